// SPDX-License-Identifier: GPL-3.0-only
// Finds stop texts in a stream of text pieces, holding back what could be the beginning of one.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace rlx {

class stop_text {
public:
    // Borrows the texts; empty ones are ignored.
    explicit stop_text(std::span<const std::string> texts) : texts_(texts) {}

    // Appends a piece; returns what may be shown. Once a text is complete, matched() is set and the
    // rest is dropped. The result does not depend on how the stream is cut: the match that ends
    // first wins, of those the one that begins first.
    std::string push(std::string_view piece);
    // What is still held back.
    std::string finish();

    const std::string* matched() const { return matched_; }

private:
    std::size_t possible_start() const;

    std::span<const std::string> texts_;
    std::string held_;
    const std::string* matched_ = nullptr;
};

} // namespace rlx

// SPDX-License-Identifier: GPL-3.0-only
#include "stop_text.hpp"

#include <algorithm>
#include <utility>

namespace rlx {

std::string stop_text::push(std::string_view piece) {
    if (matched_) return {};
    held_ += piece;
    std::size_t begin = held_.size(), end = std::string::npos;
    for (const std::string& text : texts_) {
        const std::size_t at = text.empty() ? std::string::npos : held_.find(text);
        if (at == std::string::npos) continue;
        if (at + text.size() < end || (at + text.size() == end && at < begin)) {
            begin = at;
            end = at + text.size();
            matched_ = &text;
        }
    }
    if (!matched_) begin = possible_start();
    std::string shown = held_.substr(0, begin);
    held_.erase(0, matched_ ? held_.size() : begin);
    return shown;
}

// Where the longest end of the held text begins that is the beginning of a stop text.
std::size_t stop_text::possible_start() const {
    std::size_t start = held_.size();
    for (const std::string& text : texts_)
        for (std::size_t n = std::min(text.size(), held_.size()); n > 0; --n)
            if (held_.ends_with(std::string_view(text).substr(0, n))) {
                start = std::min(start, held_.size() - n);
                break;
            }
    return start;
}

std::string stop_text::finish() {
    return std::exchange(held_, {});
}

} // namespace rlx

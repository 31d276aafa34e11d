// SPDX-License-Identifier: GPL-3.0-only
// Book-keeping of the KV pages of one model: which are free, how many sequences share one. The
// memory itself is the backend's and is committed as it is touched.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace rlx {

class page_pool {
public:
    explicit page_pool(std::uint32_t n_pages);

    // A page with one user, or nullopt when all are taken. The last one given back comes first: it
    // is committed already.
    std::optional<std::uint32_t> take();

    void share(std::uint32_t page) { ++users_[page]; }

    void drop(std::uint32_t page);

    std::uint32_t users(std::uint32_t page) const { return users_[page]; }

    std::size_t free_count() const { return free_.size(); }

private:
    std::vector<std::uint32_t> users_; // [n_pages]
    std::vector<std::uint32_t> free_;  // stack
};

} // namespace rlx

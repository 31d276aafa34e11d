// SPDX-License-Identifier: GPL-3.0-only
#include "page_pool.hpp"

namespace rlx {

page_pool::page_pool(std::uint32_t n_pages) : users_(n_pages), free_(n_pages) {
    for (std::uint32_t i = 0; i < n_pages; ++i)
        free_[i] = n_pages - 1 - i;
}

std::optional<std::uint32_t> page_pool::take() {
    if (free_.empty()) return std::nullopt;
    const std::uint32_t page = free_.back();
    free_.pop_back();
    users_[page] = 1;
    return page;
}

void page_pool::drop(std::uint32_t page) {
    if (--users_[page] == 0) free_.push_back(page); // never more than n_pages: no allocation
}

} // namespace rlx

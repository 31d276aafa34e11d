// SPDX-License-Identifier: GPL-3.0-only
// (left id, right id) -> (rank, merged id): open addressing, 16 bytes a slot.
#pragma once

#include "tokenizer/token_table.hpp"

#include <bit>
#include <cstdint>
#include <vector>

namespace rlx::text {

class merge_table {
public:
    struct merge {
        std::uint32_t rank = 0;
        token_id merged = no_token;
    };

    void reserve(std::size_t n) { slots_.assign(std::bit_ceil(n * 3 / 2 + 1), {}); }

    std::size_t size() const { return size_; }

    // Of equal pairs the last one counts. reserve() comes first and bounds the number of pairs.
    void insert(token_id left, token_id right, merge m) {
        slot& s = slots_[find_slot(key_of(left, right))];
        size_ += s.key == empty_key;
        s = {key_of(left, right), m};
    }

    const merge* find(token_id left, token_id right) const {
        if (slots_.empty()) return nullptr;
        const slot& s = slots_[find_slot(key_of(left, right))];
        return s.key == empty_key ? nullptr : &s.value;
    }

private:
    static constexpr std::uint64_t empty_key = ~std::uint64_t{0};

    struct slot {
        std::uint64_t key = empty_key;
        merge value;
    };

    static std::uint64_t key_of(token_id left, token_id right) {
        return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) |
               static_cast<std::uint32_t>(right);
    }

    std::size_t find_slot(std::uint64_t key) const {
        const std::size_t mask = slots_.size() - 1;
        std::uint64_t h = (key ^ (key >> 32)) * 0x9E3779B97F4A7C15ull;
        h ^= key * 0xC2B2AE3D27D4EB4Full;
        std::size_t at = (h ^ (h >> 31)) & mask;
        while (slots_[at].key != empty_key && slots_[at].key != key)
            at = (at + 1) & mask;
        return at;
    }

    std::vector<slot> slots_;
    std::size_t size_ = 0;
};

} // namespace rlx::text

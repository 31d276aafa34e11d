// SPDX-License-Identifier: GPL-3.0-only
// A page of a KV slot: all keys, then all values, for each head. Keys [heads][words of a
// row][rows], so that the invocations that take a key each read side by side; values
// [heads][rows][words of a row]. A word is one f32 or two f16.
#pragma once

#include "program.hpp"

namespace rlx::vulkan {

struct kv_layout {
    std::uint64_t heads = 0, rows = 0;
    std::uint64_t k_words = 0, v_words = 0; // of one head's row

    static kv_layout of(const rlx_state_slot& s, const program_config& c) {
        const auto words = [&](std::int64_t n) {
            return static_cast<std::uint64_t>(c.kv_f16 ? (n + 1) / 2 : n);
        };
        return {
            static_cast<std::uint64_t>(s.n_heads), c.page_tokens, words(s.k_dim), words(s.v_dim)};
    }

    // The cache of a layer as one binding: an error that says what fits when it is too large.
    static status check_bytes(std::uint64_t bytes, std::uint64_t page_bytes, const program& p);

    std::uint64_t page_words() const { return heads * rows * (k_words + v_words); }
};

} // namespace rlx::vulkan

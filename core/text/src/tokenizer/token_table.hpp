// SPDX-License-Identifier: GPL-3.0-only
// The vocabulary: id -> bytes and bytes -> id, in one arena and one open-addressing table
// (about 24 bytes a token beside its text).
#pragma once

#include "rlx/base/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rlx::text {

using token_id = std::int32_t;
inline constexpr token_id no_token = -1;
inline constexpr std::size_t max_vocab_size = std::size_t{1} << 24;
inline constexpr std::size_t max_token_bytes = std::size_t{1} << 24;

// Numbers of `tokenizer.ggml.token_type`.
enum class token_type : std::uint8_t {
    absent = 0,
    normal,
    unknown,
    control,
    user_defined,
    unused,
    byte
};

class token_table {
public:
    // A token's bytes are either what it stands for in text, or (literal) a name such as
    // "<|im_end|>" that only the matcher of special tokens finds; the two never collide in a
    // look-up.
    struct entry {
        token_type type = token_type::absent;
        bool literal = false;
    };

    result<void> resize(std::size_t n);
    // Ids may come in any order; giving one twice replaces its meaning for text -> id, not its
    // bytes.
    result<void> set(token_id id, std::string_view bytes, entry e);
    // Builds the look-up. Of tokens with equal bytes the last id wins.
    void index();

    std::size_t size() const { return records_.size(); }

    bool contains(std::int64_t id) const {
        return id >= 0 && static_cast<std::size_t>(id) < size() &&
               record_of(static_cast<token_id>(id)).type != 0;
    }

    std::string_view bytes(token_id id) const {
        return {arena_.data() + record_of(id).first, record_of(id).size};
    }

    entry info(token_id id) const {
        return {static_cast<token_type>(record_of(id).type), record_of(id).literal != 0};
    }

    void set_type(token_id id, token_type type) {
        records_[static_cast<std::size_t>(id)].type = static_cast<std::uint32_t>(type) & 7;
    }

    token_id find(std::string_view bytes, bool literal = false) const; // no_token when absent

private:
    struct record {
        std::uint32_t first = 0; // in the arena
        std::uint32_t size : 28 = 0;
        std::uint32_t type : 3 = 0; // token_type
        std::uint32_t literal : 1 = 0;
    };

    struct slot {
        std::uint32_t token = 0; // id + 1, 0 = free
        std::uint32_t tag =
            0; // more of the hash: spares most look-ups of records that do not match
    };

    const record& record_of(token_id id) const { return records_[static_cast<std::size_t>(id)]; }

    std::uint64_t hash(std::string_view bytes, bool literal) const;

    std::string arena_;
    std::vector<record> records_;
    std::vector<slot> slots_;
    std::uint64_t seed_ = 0;
};

} // namespace rlx::text

// SPDX-License-Identifier: GPL-3.0-only
#include "tokenizer/token_table.hpp"

#include <bit>
#include <cstring>
#include <limits>

namespace rlx::text {
namespace {

std::uint64_t mix(std::uint64_t h, std::uint64_t word) {
    h = (h ^ word) * 0x9E3779B97F4A7C15ull;
    return h ^ (h >> 29);
}

} // namespace

result<void> token_table::resize(std::size_t n) {
    if (n > max_vocab_size)
        return error{
            RLX_CORRUPT_DATA,
            "vocabulary of " + std::to_string(n) + " tokens, at most " +
                std::to_string(max_vocab_size) + " are supported"};
    records_.resize(n);
    return {};
}

result<void> token_table::set(token_id id, std::string_view bytes, entry e) {
    if (id < 0 || static_cast<std::size_t>(id) >= max_vocab_size)
        return error{RLX_CORRUPT_DATA, "token id " + std::to_string(id) + " is out of range"};
    const std::size_t i = static_cast<std::size_t>(id);
    if (i > size() * 4 + 65536)
        return error{
            RLX_CORRUPT_DATA,
            "token id " + std::to_string(id) + " in a vocabulary of " + std::to_string(size()) +
                " tokens"};
    if (i >= size()) RLX_CHECK(resize(i + 1));
    if (bytes.size() > max_token_bytes)
        return error{
            RLX_CORRUPT_DATA,
            "token " + std::to_string(id) + " has " + std::to_string(bytes.size()) +
                " bytes, at most " + std::to_string(max_token_bytes) + " are supported"};
    if (arena_.size() + bytes.size() > std::numeric_limits<std::uint32_t>::max())
        return error{RLX_CORRUPT_DATA, "the vocabulary's text is larger than 4 GiB"};
    records_[i] = {
        static_cast<std::uint32_t>(arena_.size()),
        static_cast<std::uint32_t>(bytes.size()) & 0xFFFFFFF,
        static_cast<std::uint32_t>(e.type) & 7,
        e.literal};
    arena_ += bytes;
    return {};
}

void token_table::index() {
    arena_.shrink_to_fit();
    slots_.assign(std::bit_ceil(size() * 3 / 2 + 1), {});
    // The address differs from run to run, so that a vocabulary cannot be made to collide.
    seed_ = reinterpret_cast<std::uintptr_t>(slots_.data()) * 0x9E3779B97F4A7C15ull;
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t i = 0; i < size(); ++i) {
        if (records_[i].type == 0) continue;
        const std::string_view b = bytes(static_cast<token_id>(i));
        const bool literal = records_[i].literal;
        const std::uint64_t h = hash(b, literal);
        const auto tag = static_cast<std::uint32_t>(h >> 32);
        std::size_t at = h & mask;
        for (; slots_[at].token; at = (at + 1) & mask) {
            const token_id other = static_cast<token_id>(slots_[at].token - 1);
            if (slots_[at].tag == tag && record_of(other).literal == literal && bytes(other) == b)
                break;
        }
        slots_[at] = {static_cast<std::uint32_t>(i + 1), tag};
    }
}

std::uint64_t token_table::hash(std::string_view bytes, bool literal) const {
    std::uint64_t h = seed_ ^ (bytes.size() * 2 + literal);
    std::size_t i = 0;
    for (; i + 8 <= bytes.size(); i += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data() + i, 8);
        h = mix(h, word);
    }
    std::uint64_t word = 0;
    if (i < bytes.size()) std::memcpy(&word, bytes.data() + i, bytes.size() - i);
    h = mix(h, word);
    return mix(h, h >> 32);
}

token_id token_table::find(std::string_view b, bool literal) const {
    if (slots_.empty()) return no_token;
    const std::size_t mask = slots_.size() - 1;
    const std::uint64_t h = hash(b, literal);
    const auto tag = static_cast<std::uint32_t>(h >> 32);
    for (std::size_t at = h & mask; slots_[at].token; at = (at + 1) & mask) {
        if (slots_[at].tag != tag) continue;
        const token_id id = static_cast<token_id>(slots_[at].token - 1);
        if (bytes(id) == b && record_of(id).literal == literal) return id;
    }
    return no_token;
}

} // namespace rlx::text

// SPDX-License-Identifier: GPL-3.0-only
#include "tokenizer/charsmap.hpp"

#include "unicode/normalize.hpp"
#include "unicode/utf8.hpp"

#include <cstring>

namespace rlx::text {
namespace {

// One node of the double array.
std::uint32_t offset_of(std::uint32_t node) {
    return (node >> 10) << ((node & (1U << 9)) >> 6);
}

std::uint32_t label_of(std::uint32_t node) {
    return node & ((1U << 31) | 0xFF);
}

bool has_value(std::uint32_t node) {
    return (node >> 8) & 1;
}

std::uint32_t value_of(std::uint32_t node) {
    return node & ((1U << 31) - 1);
}

// Clusters longer than this have no rule of their own.
constexpr std::size_t max_cluster_bytes = 6;

// What a rule may take and give (published rules: 20 and 33 bytes). A double array can lead around
// in a circle, and one byte must not become a megabyte.
constexpr std::size_t max_rule_bytes = 256;

} // namespace

result<charsmap> charsmap::parse(std::string_view blob, unit u) {
    charsmap m;
    m.unit_ = u;
    std::uint32_t bytes = 0;
    if (blob.size() < sizeof bytes)
        return error{RLX_CORRUPT_DATA, "precompiled_charsmap is shorter than its header"};
    std::memcpy(&bytes, blob.data(), sizeof bytes);
    blob.remove_prefix(sizeof bytes);
    if (bytes % sizeof(std::uint32_t) != 0 || bytes == 0 || bytes > blob.size())
        return error{
            RLX_CORRUPT_DATA,
            "precompiled_charsmap: a table of " + std::to_string(bytes) + " bytes in " +
                std::to_string(blob.size())};
    m.nodes_.resize(bytes / sizeof(std::uint32_t));
    std::memcpy(m.nodes_.data(), blob.data(), bytes);
    m.replacements_ = blob.substr(bytes);
    if (!m.replacements_.empty() && m.replacements_.back() != '\0')
        return error{RLX_CORRUPT_DATA, "precompiled_charsmap: the last replacement has no end"};
    for (std::size_t at = 0; at < m.replacements_.size();) {
        const std::size_t end = m.replacements_.find('\0', at);
        if (end - at > max_rule_bytes)
            return error{
                RLX_CORRUPT_DATA,
                "precompiled_charsmap: a replacement of " + std::to_string(end - at) +
                    " bytes, at most " + std::to_string(max_rule_bytes) + " are supported"};
        at = end + 1;
    }
    return m;
}

std::optional<charsmap::rule> charsmap::find(std::string_view text, bool longest) const {
    std::optional<rule> found;
    std::size_t node = offset_of(nodes_[0]);
    text = text.substr(0, max_rule_bytes);
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (byte == 0) break;
        node ^= byte;
        if (node >= nodes_.size() || label_of(nodes_[node]) != byte) break;
        const std::uint32_t here = nodes_[node];
        node ^= offset_of(here);
        if (!has_value(here)) continue;
        if (node >= nodes_.size()) break;
        const std::size_t at = value_of(nodes_[node]);
        if (at >= replacements_.size()) break;
        found = rule{i + 1, std::string_view(replacements_).substr(at).data()};
        if (!longest) break;
    }
    return found;
}

void charsmap::apply_cluster(std::string_view cluster, std::string& out) const {
    if (cluster.size() < max_cluster_bytes)
        if (const auto r = find(cluster, false)) {
            out += r->replacement;
            return;
        }
    for (std::size_t i = 0; i < cluster.size();) {
        const std::string_view character = cluster.substr(i, decode_at(cluster, i).size);
        const auto r = find(character, false);
        out += r ? r->replacement : character;
        i += character.size();
    }
}

std::string charsmap::apply(std::string_view text) const {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size();) {
        if (unit_ == unit::graphemes) {
            const std::size_t size = grapheme_size(text.substr(i));
            apply_cluster(text.substr(i, size), out);
            i += size;
            continue;
        }
        const auto r = find(text.substr(i), true);
        const std::size_t size = r ? r->size : decode_at(text, i).size;
        out += r ? r->replacement : text.substr(i, size);
        i += size;
    }
    return out;
}

std::optional<std::string> decode_base64(std::string_view text) {
    while (text.ends_with('='))
        text.remove_suffix(1);
    std::string out;
    out.reserve(text.size() * 3 / 4);
    std::uint32_t bits = 0;
    int n = 0;
    for (const char c : text) {
        static constexpr std::string_view alphabet =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const std::size_t digit = alphabet.find(c);
        if (digit == alphabet.npos) return std::nullopt;
        bits = bits << 6 | static_cast<std::uint32_t>(digit);
        n += 6;
        if (n < 8) continue;
        n -= 8;
        out += static_cast<char>(bits >> n & 0xFF);
    }
    return out;
}

} // namespace rlx::text

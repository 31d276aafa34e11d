// SPDX-License-Identifier: GPL-3.0-only
#include "tokenizer/merge_reader.hpp"

#include "tokenizer/byte_level.hpp"

namespace rlx::text {

// By meaning, else by name: a merge may make a token that is listed as a special one.
token_id merge_reader::find_slowly(std::string_view text) const {
    token_id id = no_token;
    if (!byte_level_)
        id = tokens_.find(text);
    else if (const auto bytes = chars_to_bytes(text))
        id = tokens_.find(*bytes);
    return id == no_token ? tokens_.find(text, true) : id;
}

error merge_reader::not_there(std::string_view text, std::uint32_t rank) const {
    return {
        RLX_CORRUPT_DATA,
        "merge " + std::to_string(rank) + " needs the token \"" + std::string(text) +
            "\", which is not in the vocabulary"};
}

result<void> merge_reader::add(
    std::string_view left, std::string_view right, std::uint32_t rank, merge_table& out
) {
    std::string_view tail = right;
    if (!continuing_.empty() && tail.starts_with(continuing_))
        tail.remove_prefix(continuing_.size());
    // Both sides as bytes, one behind the other, so that three look-ups need one conversion.
    joined_.clear();
    std::size_t middle = left.size();
    bool plain = true;
    if (byte_level_) {
        plain = append_bytes(joined_, left);
        middle = joined_.size();
        plain = plain && append_bytes(joined_, tail);
    } else {
        joined_ = left;
        joined_ += tail;
    }
    const std::string_view joined = joined_;
    token_id l, r, merged;
    if (plain && tail.size() == right.size()) {
        l = tokens_.find(joined.substr(0, middle));
        r = tokens_.find(joined.substr(middle));
        merged = tokens_.find(joined);
    } else {
        l = r = merged = no_token;
    }
    if (l == no_token) l = find_slowly(left);
    if (l == no_token) return not_there(left, rank);
    if (r == no_token) r = find_slowly(right);
    if (r == no_token) return not_there(right, rank);
    if (merged == no_token) {
        const std::string text = std::string(left) + std::string(tail);
        merged = find_slowly(text);
        if (merged == no_token) return not_there(text, rank);
    }
    out.insert(l, r, {rank, merged});
    return {};
}

result<void> merge_reader::add(std::string_view merge, std::uint32_t rank, merge_table& out) {
    const std::size_t space = merge.find(' ', 1);
    if (space == merge.npos)
        return error{
            RLX_CORRUPT_DATA,
            "merge " + std::to_string(rank) + " is \"" + std::string(merge) +
                "\", expected two tokens with a space between"};
    return add(merge.substr(0, space), merge.substr(space + 1), rank, out);
}

} // namespace rlx::text

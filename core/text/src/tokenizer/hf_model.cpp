// SPDX-License-Identifier: GPL-3.0-only
// "model" of tokenizer.json: vocabulary, merges or scores, and what cuts words into tokens.
#include "tokenizer/byte_level.hpp"
#include "tokenizer/hf.hpp"
#include "tokenizer/merge_reader.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace rlx::text {
namespace {

// {"token": id, ...}
result<void> read_vocab(std::string_view table, bool byte_level, token_table& out) {
    struct item {
        std::size_t first, size;
        token_id id;
    };

    table_reader t(table, "vocab");
    std::string text, texts;
    std::vector<item> items;
    RLX_CHECK(t.expect('{'));
    while (!RLX_TRY(t.at_end('}', items.empty()))) {
        RLX_CHECK(t.string(text));
        RLX_CHECK(t.expect(':'));
        const std::string_view number = t.scalar();
        token_id id = no_token;
        const auto r = std::from_chars(number.data(), number.data() + number.size(), id);
        if (r.ec != std::errc() || r.ptr != number.data() + number.size() || id < 0 ||
            static_cast<std::size_t>(id) >= max_vocab_size)
            return error{
                RLX_CORRUPT_DATA,
                "token \"" + text + "\" has the id " + std::string(number) +
                    ", expected a whole number below " + std::to_string(max_vocab_size)};
        items.push_back({texts.size(), text.size(), id});
        texts += text;
    }
    RLX_CHECK(out.resize(items.size()));
    for (const item& i : items) {
        const std::string_view token = std::string_view(texts).substr(i.first, i.size);
        if (out.contains(i.id))
            return error{
                RLX_CORRUPT_DATA,
                "two tokens have the id " + std::to_string(i.id) + ", one is \"" +
                    std::string(token) + "\""};
        text.clear();
        const bool bytes = byte_level && append_bytes(text, token);
        RLX_CHECK(out.set(
            i.id, bytes ? std::string_view(text) : token, {token_type::normal, byte_level && !bytes}
        ));
    }
    return {};
}

// ["left right", ...] or [["left", "right"], ...]
result<merge_table> read_merges(std::string_view table, merge_reader reader) {
    table_reader t(table, "merges");
    merge_table out;
    // Each merge has at least two quotes.
    out.reserve(static_cast<std::size_t>(std::count(table.begin(), table.end(), '"')) / 2);
    std::string left, right;
    RLX_CHECK(t.expect('['));
    for (std::uint32_t rank = 0; !RLX_TRY(t.at_end(']', rank == 0)); ++rank) {
        if (t.at_string()) {
            RLX_CHECK(t.string(left));
            RLX_CHECK(reader.add(left, rank, out));
            continue;
        }
        const bool pair = t.take('[') && t.at_string();
        if (pair) RLX_CHECK(t.string(left));
        if (!pair || !t.take(',') || !t.at_string())
            return error{
                RLX_CORRUPT_DATA,
                "merge " + std::to_string(rank) + " is neither a string nor a pair of strings"};
        RLX_CHECK(t.string(right));
        if (!t.take(']'))
            return error{
                RLX_CORRUPT_DATA,
                "merge " + std::to_string(rank) + " is neither a string nor a pair of strings"};
        RLX_CHECK(reader.add(left, right, rank, out));
    }
    return out;
}

result<token_id> unknown_token(const json& model, const pipeline& p) {
    const auto unk = RLX_TRY(get_string(model, "unk_token"));
    if (!unk) return no_token;
    const token_id id = p.tokens.find(*unk);
    if (id == no_token)
        return error{
            RLX_CORRUPT_DATA, "the unknown token \"" + *unk + "\" is not in the vocabulary"};
    return id;
}

result<void> read_bpe(const json& model, const hf_tables& tables, bool byte_level, pipeline& p) {
    if (!tables.merges) return error{RLX_CORRUPT_DATA, "\"merges\" is missing or no array"};
    if (const json* dropout = get(model, "dropout");
        dropout && !(dropout->is_number() && dropout->get<double>() == 0))
        return error{RLX_UNSUPPORTED, "BPE dropout is not supported"};
    bpe_model::options o;
    o.byte_level = byte_level;
    o.ignore_merges = RLX_TRY(get_bool(model, "ignore_merges", false));
    o.byte_fallback = RLX_TRY(get_bool(model, "byte_fallback", false));
    o.fuse_unk = RLX_TRY(get_bool(model, "fuse_unk", false));
    o.end_of_word = RLX_TRY(get_string(model, "end_of_word_suffix")).value_or("");
    o.continuing = RLX_TRY(get_string(model, "continuing_subword_prefix")).value_or("");
    RLX_CHECK(read_vocab(*tables.vocab, byte_level, p.tokens));
    p.tokens.index();
    o.unk = RLX_TRY(unknown_token(model, p));
    // Text without any pre-tokenizer would be one word of any length.
    if (!byte_level && o.end_of_word.empty() && o.continuing.empty() &&
        may_cut_before(p.tokens, space_mark))
        p.pre.steps.emplace_back(split_before_run{std::string(space_mark)});
    merge_table merges =
        RLX_TRY(read_merges(*tables.merges, merge_reader(p.tokens, byte_level, o.continuing)));
    p.model = RLX_TRY(bpe_model::make(p.tokens, std::move(merges), std::move(o)));
    p.kind = byte_level ? "bpe" : "bpe/characters";
    return {};
}

result<void> read_wordpiece(const json& model, const hf_tables& tables, pipeline& p) {
    wordpiece_model::options o;
    o.continuing = RLX_TRY(get_string(model, "continuing_subword_prefix")).value_or("##");
    const auto longest = RLX_TRY(get_int(model, "max_input_chars_per_word")).value_or(100);
    if (longest < 0 || longest > 1 << 20)
        return error{
            RLX_CORRUPT_DATA,
            "\"max_input_chars_per_word\" is " + std::to_string(longest) +
                ", expected 0 to 1048576"};
    o.max_characters = static_cast<std::size_t>(longest);
    RLX_CHECK(read_vocab(*tables.vocab, false, p.tokens));
    p.tokens.index();
    o.unk = RLX_TRY(unknown_token(model, p));
    p.model = RLX_TRY(wordpiece_model::make(p.tokens, std::move(o)));
    p.kind = "wordpiece";
    return {};
}

// [["token", score], ...]; the place is the id.
result<std::vector<double>> read_scored_vocab(std::string_view table, token_table& out) {
    table_reader t(table, "vocab");
    std::string text;
    std::vector<std::string> texts;
    std::vector<double> scores;
    RLX_CHECK(t.expect('['));
    while (!RLX_TRY(t.at_end(']', scores.empty()))) {
        RLX_CHECK(t.expect('['));
        RLX_CHECK(t.string(text));
        RLX_CHECK(t.expect(','));
        const std::string_view number = t.scalar();
        double score = 0;
        const auto r = std::from_chars(number.data(), number.data() + number.size(), score);
        if (r.ec != std::errc() || r.ptr != number.data() + number.size() || !std::isfinite(score))
            return error{
                RLX_CORRUPT_DATA,
                "token \"" + text + "\" has the score " + std::string(number) +
                    ", expected a number"};
        RLX_CHECK(t.expect(']'));
        if (scores.size() == max_vocab_size)
            return error{
                RLX_CORRUPT_DATA,
                "more than " + std::to_string(max_vocab_size) + " tokens are not supported"};
        texts.push_back(text);
        scores.push_back(score);
    }
    RLX_CHECK(out.resize(texts.size()));
    for (std::size_t i = 0; i < texts.size(); ++i)
        RLX_CHECK(out.set(static_cast<token_id>(i), texts[i], {token_type::normal, false}));
    return scores;
}

result<unigram_parts> read_unigram(const json& model, const hf_tables& tables, pipeline& p) {
    unigram_parts u;
    u.options.byte_fallback = RLX_TRY(get_bool(model, "byte_fallback", false));
    u.scores = RLX_TRY(read_scored_vocab(*tables.scored_vocab, p.tokens));
    p.tokens.index();
    if (u.scores.empty()) return error{RLX_CORRUPT_DATA, "\"vocab\" is empty"};
    u.options.unk_score = *std::min_element(u.scores.begin(), u.scores.end()) - unknown_penalty;
    if (const auto unk = RLX_TRY(get_int(model, "unk_id"))) {
        if (!p.tokens.contains(*unk))
            return error{
                RLX_CORRUPT_DATA, "unk_id " + std::to_string(*unk) + " is not in the vocabulary"};
        u.options.unk = static_cast<token_id>(*unk);
    }
    p.kind = "unigram";
    return u;
}

} // namespace

result<std::optional<unigram_parts>>
read_model(const json& model, const hf_tables& tables, bool byte_level, pipeline& p) {
    // Old files do not say.
    const std::string guess = tables.scored_vocab ? "Unigram" : tables.merges ? "BPE" : "WordPiece";
    const std::string type = RLX_TRY(get_string(model, "type")).value_or(guess);
    if (type != "BPE" && type != "WordPiece" && type != "Unigram")
        return error{
            RLX_UNSUPPORTED,
            "model \"" + type + "\" is not supported; known are BPE, WordPiece, Unigram"};
    if (type == "Unigram" ? !tables.scored_vocab : !tables.vocab)
        return error{
            RLX_CORRUPT_DATA,
            std::string("\"vocab\" is missing or no ") + (type == "Unigram" ? "array" : "object")};
    if (byte_level && type != "BPE")
        return error{RLX_UNSUPPORTED, "ByteLevel with a " + type + " model is not supported"};
    if (type == "Unigram") return std::optional(RLX_TRY(read_unigram(model, tables, p)));
    RLX_CHECK(
        type == "BPE" ? read_bpe(model, tables, byte_level, p) : read_wordpiece(model, tables, p)
    );
    return std::optional<unigram_parts>();
}

result<void> make_unigram(unigram_parts parts, pipeline& p) {
    parts.scores.resize(p.tokens.size());
    p.model = RLX_TRY(unigram_model::make(p.tokens, std::move(parts.scores), parts.options));
    return {};
}

} // namespace rlx::text

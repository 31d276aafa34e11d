// SPDX-License-Identifier: GPL-3.0-only
#include "tokenizer/pipeline.hpp"

#include "tokenizer/byte_level.hpp"

namespace rlx::text {
namespace {

struct model_sink final : word_sink {
    const pipeline& p;
    merge_scratch& scratch;
    std::vector<token_id>& out;

    model_sink(const pipeline& pipe, merge_scratch& s, std::vector<token_id>& ids)
        : p(pipe), scratch(s), out(ids) {}

    result<void> word(std::string_view text) override {
        if (const auto* bpe = std::get_if<bpe_model>(&p.model))
            return bpe->encode(text, scratch, out);
        if (const auto* spm = std::get_if<spm_model>(&p.model))
            return spm->encode(text, scratch, out);
        if (const auto* unigram = std::get_if<unigram_model>(&p.model))
            return unigram->encode(text, out);
        if (const auto* wordpiece = std::get_if<wordpiece_model>(&p.model)) {
            wordpiece->encode(text, out);
            return {};
        }
        return error{RLX_INTERNAL, "tokenizer without a model"};
    }
};

// No text of its own unless asked for.
bool is_special(token_type t) {
    return t == token_type::control || t == token_type::unknown;
}

class pipeline_stream final : public stream_decoder {
public:
    explicit pipeline_stream(const pipeline_tokenizer& t) : tokenizer_(&t), state_(t.rules()) {}

    result<std::string> push(std::int32_t id) override {
        std::string out;
        RLX_CHECK(tokenizer_->push(state_, id, false, out));
        return out;
    }

    std::string finish() override {
        std::string out;
        state_.finish(out);
        return out;
    }

private:
    const pipeline_tokenizer* tokenizer_;
    detokenizer state_;
};

} // namespace

result<std::vector<std::int32_t>>
pipeline_tokenizer::encode(std::string_view text, const encode_options& o) const {
    std::vector<token_id> out;
    out.reserve(text.size() / 4 + 8);
    if (o.add_special) out.insert(out.end(), p_->prefix.begin(), p_->prefix.end());
    std::vector<segment> segments;
    p_->raw_added.split(text, o.parse_special, segments);
    merge_scratch scratch;
    for (const segment& s : segments) {
        if (s.id != no_token)
            out.push_back(s.id);
        else
            RLX_CHECK(
                encode_text(s.text, s.text.data() == text.data(), o.parse_special, scratch, out)
            );
    }
    if (o.add_special) out.insert(out.end(), p_->suffix.begin(), p_->suffix.end());
    return out;
}

result<token_pair>
pipeline_tokenizer::join(std::span<const std::int32_t> a, std::span<const std::int32_t> b) const {
    using kind = pair_item::kind;
    std::vector<pair_item> items = p_->pair;
    if (items.empty()) {
        const auto add = [&](std::span<const token_id> ids, std::int32_t type) {
            for (const token_id id : ids)
                items.push_back({kind::token, id, type});
        };
        add(p_->prefix, 0);
        items.push_back({kind::first, no_token, 0});
        add(p_->suffix, 0);
        items.push_back({kind::second, no_token, 1});
        add(p_->suffix, 1);
    }
    token_pair out;
    for (const pair_item& item : items) {
        if (item.what == kind::token) {
            out.ids.push_back(item.id);
        } else {
            const auto text = item.what == kind::first ? a : b;
            out.ids.insert(out.ids.end(), text.begin(), text.end());
        }
        out.types.resize(out.ids.size(), item.type);
    }
    return out;
}

result<void> pipeline_tokenizer::encode_text(
    std::string_view text,
    bool first,
    bool parse_special,
    merge_scratch& scratch,
    std::vector<token_id>& out
) const {
    std::string normalized;
    if (!p_->norm.empty()) {
        normalized = RLX_TRY(p_->norm(text));
        text = normalized;
    }
    model_sink sink(*p_, scratch, out);
    if (p_->normalized_added.empty()) return p_->pre(text, first, sink);
    std::vector<segment> segments;
    p_->normalized_added.split(text, parse_special, segments);
    for (const segment& s : segments) {
        if (s.id != no_token)
            out.push_back(s.id);
        else
            RLX_CHECK(p_->pre(s.text, first && s.text.data() == text.data(), sink));
    }
    return {};
}

result<void> pipeline_tokenizer::check(std::int32_t id) const {
    if (p_->tokens.contains(id)) return {};
    return error{
        RLX_INVALID_ARGUMENT,
        "token id " + std::to_string(id) + " is not in the vocabulary of " +
            std::to_string(p_->tokens.size()) + " tokens"};
}

result<std::string> pipeline_tokenizer::piece(std::int32_t id, bool special) const {
    RLX_CHECK(check(id));
    const token_table::entry e = p_->tokens.info(id);
    if (is_special(e.type) && !special) return std::string();
    std::string_view token = p_->tokens.bytes(id);
    const std::string& continuing = p_->decoder.continuing;
    if (!continuing.empty() && token.starts_with(continuing))
        token.remove_prefix(continuing.size());
    return token_bytes(p_->decoder, token, e.literal);
}

result<void>
pipeline_tokenizer::push(detokenizer& d, std::int32_t id, bool special, std::string& out) const {
    RLX_CHECK(check(id));
    const token_table::entry e = p_->tokens.info(id);
    if (!is_special(e.type) || special) d.push(p_->tokens.bytes(id), e.literal, out);
    return {};
}

result<std::string>
pipeline_tokenizer::decode(std::span<const std::int32_t> ids, bool special) const {
    detokenizer d(p_->decoder);
    std::string out;
    for (const std::int32_t id : ids)
        RLX_CHECK(push(d, id, special, out));
    d.finish(out);
    return out;
}

std::optional<std::int32_t> pipeline_tokenizer::id_of(std::string_view token) const {
    token_id id = p_->tokens.find(token, true);
    if (id == no_token && !p_->decoder.byte_level) id = p_->tokens.find(token);
    if (id == no_token && p_->decoder.byte_level)
        if (const auto bytes = chars_to_bytes(token)) id = p_->tokens.find(*bytes);
    return id == no_token ? std::nullopt : std::optional(id);
}

std::unique_ptr<stream_decoder> pipeline_tokenizer::stream() const {
    return std::make_unique<pipeline_stream>(*this);
}

} // namespace rlx::text

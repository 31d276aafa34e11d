// SPDX-License-Identifier: GPL-3.0-only
// Texts to ids, ids to rows in steps of the model, rows to vectors.
#include "embed_files.hpp"
#include "embedder_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <numeric>

namespace rlx {
namespace {

error invalid(std::string message) {
    return {RLX_INVALID_ARGUMENT, std::move(message)};
}

const std::string* find_prompt(const embedding_recipe& r, std::string_view name) {
    for (const auto& [key, text] : r.prompts)
        if (key == name) return &text;
    return nullptr;
}

result<std::string_view> named_prompt(const embedding_recipe& r, std::string_view name) {
    if (const std::string* text = find_prompt(r, name)) return std::string_view(*text);
    std::string known;
    for (const auto& [key, text] : r.prompts)
        known += (known.empty() ? "" : ", ") + key;
    return invalid(fmt::format(
        "no prompt is called '{}'; the checkpoint has {}", name, known.empty() ? "none" : known
    ));
}

result<std::string_view> prompt_of(const embedding_recipe& r, const embed_options& o) {
    if (o.prompt) return std::string_view(*o.prompt);
    if (!o.prompt_name.empty()) return named_prompt(r, o.prompt_name);
    constexpr std::string_view documents[] = {"document", "passage", "corpus"},
                               queries[] = {"query"};
    if (o.role == text_role::plain)
        return r.default_prompt.empty() ? std::string_view() : named_prompt(r, r.default_prompt);
    const std::span<const std::string_view> names =
        o.role == text_role::query ? std::span<const std::string_view>(queries) : documents;
    for (const std::string_view name : names)
        if (const std::string* text = find_prompt(r, name)) return std::string_view(*text);
    return std::string_view(); // trained without
}

// Special tokens that the text spells are recognised, as transformers' tokenizers do.
constexpr encode_options whole_text{.add_special = true, .parse_special = true};
constexpr encode_options bare_text{.add_special = false, .parse_special = true};

// Ids in front of the text itself: special tokens and prompt.
result<std::int64_t> prompt_ids(checkpoint& c, std::string_view prompt) {
    const auto whole = RLX_TRY(c.tokenize(prompt, whole_text));
    const auto plain = RLX_TRY(c.tokenize(prompt, bare_text));
    return std::ranges::search(whole, plain).end() - whole.begin();
}

bool raised(const std::atomic<std::uint32_t>* flag) {
    return flag && flag->load(std::memory_order_relaxed) != 0;
}

error too_long(std::int64_t tokens, std::int64_t most) {
    return invalid(fmt::format(
        "{} tokens, max_length is {}; shorten the text or ask for truncation", tokens, most
    ));
}

// A text's first rows, those of the prompt, when the checkpoint does not pool them.
std::size_t skipped_rows(const embed_input& in) {
    const auto skip = static_cast<std::size_t>(in.prompt);
    return skip < in.ids.size() ? skip : 0;
}

} // namespace

result<void> text_embedder::state::check(const embed_input& in, std::size_t index) const {
    const auto at_fault = [&](std::string what) {
        return invalid(fmt::format("text {}: {}", index, what));
    };
    if (in.ids.empty()) return at_fault("nothing to embed: at least one token is needed");
    if (std::ssize(in.ids) > longest_ids())
        return too_long(std::ssize(in.ids), longest_ids()).within(fmt::format("text {}", index));
    if (!in.types.empty() && in.types.size() != in.ids.size())
        return at_fault(fmt::format("{} ids and {} segments", in.ids.size(), in.types.size()));
    for (const std::int32_t id : in.ids)
        if (id < 0 || id >= vocab_size())
            return at_fault(fmt::format("id {} is outside the vocabulary of {}", id, vocab_size()));
    return {};
}

void text_embedder::state::note_guesses(const finish_vector& finish, const embed_options& o) {
    const auto note = [&](std::string_view what, std::string reason) {
        if (std::ranges::find(opened.fallbacks, what, &fallback::what) == opened.fallbacks.end())
            opened.fallbacks.push_back({std::string(what), std::move(reason)});
    };
    const std::pair<std::string, std::string> unsaid("pooling", "default");
    const bool guessed = std::ranges::find(recipe.sources, unsaid) != recipe.sources.end();
    if (o.pooling == pooling::from_checkpoint && guessed)
        note("pooling", "mean, because nothing says otherwise");
    if (finish.dimensions > 0 && !recipe.matryoshka && recipe.dimensions == 0)
        note(
            "dimensions",
            "vectors are cut, and nothing says that the model was trained for fewer dimensions"
        );
}

result<finish_vector> finish_vector::of(const text_embedder::state& s, const embed_options& o) {
    finish_vector out{o.pooling, s.recipe.normalise, o.dimensions};
    if (out.pooling == pooling::from_checkpoint) {
        if (!s.recipe.unsupported_pooling.empty())
            return error{RLX_UNSUPPORTED, s.recipe.unsupported_pooling};
        out.pooling = s.recipe.pooling;
        out.more = s.recipe.more_pooling;
    }
    const bool rows = out.pooling == pooling::none;
    if (rows) out.normalise = false; // sentence-transformers' token embeddings are as they are
    if (o.normalise != normalising::from_checkpoint) out.normalise = o.normalise == normalising::on;
    // A pooling of the caller stands for all of the checkpoint.
    const bool one = out.more.empty() && !s.recipe.more_pooling.empty() && !rows;
    const std::int64_t all = one ? RLX_TRY(s.modules_size(s.hidden_size())) : s.vector_size();
    if (o.dimensions < 0 || o.dimensions > all)
        return invalid(
            fmt::format("dimensions is {}, the model's vectors have {}", o.dimensions, all)
        );
    if (rows && o.dimensions > 0)
        return invalid("dimensions of a vector are asked for, and pooling none gives no vector");
    if (out.dimensions == 0 && !rows) {
        // The checkpoint's own cut is sentence-transformers' truncate_dim, which scales no more.
        out.dimensions = std::min(s.recipe.dimensions, all);
        out.cut_last = o.normalise == normalising::from_checkpoint;
    }
    if (out.dimensions == all) out.dimensions = 0;
    return out;
}

std::vector<float> finish_vector::operator()(
    const embedding_recipe& recipe,
    std::span<const float> rows,
    std::size_t width,
    std::size_t skipped
) const {
    std::vector<float> out = pool_rows(rows, width, pooling, skipped);
    for (const rlx::pooling kind : more)
        std::ranges::copy(pool_rows(rows, width, kind, skipped), std::back_inserter(out));
    if (pooling == pooling::none) {
        for (std::size_t at = 0; normalise && at < out.size(); at += width)
            scale_to_unit(std::span(out).subspan(at, width));
        return out;
    }
    for (const vector_module& m : recipe.modules)
        out = apply_module(m, std::move(out));
    if (cut_last && normalise) scale_to_unit(out);
    if (dimensions > 0) {
        if (recipe.norm_before_cut) layer_norm(out);
        out.resize(static_cast<std::size_t>(dimensions));
    }
    if (!cut_last && normalise) scale_to_unit(out);
    return out;
}

result<embed_input> text_embedder::prepare(std::string_view text, const embed_options& o) {
    rlx::checkpoint& files = *state_->opened.files;
    const std::string_view prompt = RLX_TRY(prompt_of(state_->recipe, o));
    const std::string joined = fmt::format("{}{}", prompt, text);
    embed_input out;
    out.ids = RLX_TRY(files.tokenize(joined, whole_text));
    if (out.ids.empty()) return invalid("nothing to embed: the text has no tokens");
    if (!prompt.empty() && !state_->recipe.include_prompt)
        out.prompt = RLX_TRY(prompt_ids(files, prompt));
    const auto tokens = std::ssize(out.ids);
    if (tokens <= state_->max_length) return out;
    if (!o.truncate) return too_long(tokens, state_->max_length);
    const auto plain = RLX_TRY(files.tokenize(joined, bare_text));
    out.ids = RLX_TRY(truncate_ids(out.ids, plain, state_->max_length));
    out.dropped = tokens - std::ssize(out.ids);
    return out;
}

result<embed_input>
text_embedder::prepare(std::span<const std::int32_t> ids, const embed_options& o) const {
    if (ids.empty()) return invalid("nothing to embed: at least one token is needed");
    const auto tokens = std::ssize(ids);
    const std::int64_t kept = std::min<std::int64_t>(tokens, state_->longest_ids());
    if (kept < tokens && !o.truncate) return too_long(tokens, state_->longest_ids());
    embed_input out;
    out.ids.assign(ids.begin(), ids.begin() + kept);
    out.dropped = tokens - kept;
    return out;
}

namespace {

// Runs an encoder over all inputs, the longest first, and hands each one's rows to done(index).
template <class Done>
result<void> run_encoder(
    encoder_model& model, std::span<const embed_input> inputs, const embed_options& o, Done&& done
) {
    std::vector<std::size_t> order(inputs.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
        return inputs[a].ids.size() > inputs[b].ids.size();
    });
    std::vector<encoder_text> texts;
    texts.reserve(inputs.size());
    for (const std::size_t i : order)
        texts.push_back({inputs[i].ids, inputs[i].types});
    const auto width = static_cast<std::size_t>(model.hidden_size());
    for (std::size_t first = 0; first < texts.size();) {
        if (raised(o.cancel)) return error{RLX_CANCELLED, "cancelled"};
        const auto rest = std::span<const encoder_text>(texts).subspan(first);
        const auto step = rest.first(model.fits(rest));
        std::span<const float> rows = RLX_TRY(model.encode(step));
        for (std::size_t k = 0; k < step.size(); ++k) {
            const std::size_t n = step[k].ids.size() * width;
            done(order[first + k], rows.first(n));
            rows = rows.subspan(n);
        }
        first += step.size();
    }
    return {};
}

template <class Done>
result<void> run_lm(
    lm_model& model,
    std::span<const embed_input> inputs,
    const embed_options& o,
    bool all_rows,
    Done&& done
) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        const auto sequence = RLX_TRY(model.new_sequence());
        const lm_batch_item item{sequence.get(), inputs[i].ids, all_rows};
        done(i, RLX_TRY(model.eval({&item, 1}, {.cancel = o.cancel})));
    }
    return {};
}

} // namespace

result<std::vector<embedding>>
text_embedder::embed(std::span<const embed_input> inputs, const embed_options& o) {
    state& s = *state_;
    const finish_vector finish = RLX_TRY(finish_vector::of(s, o));
    for (std::size_t i = 0; i < inputs.size(); ++i)
        RLX_CHECK(s.check(inputs[i], i));
    s.note_guesses(finish, o);
    std::vector<embedding> out(inputs.size());
    const auto width = static_cast<std::size_t>(s.hidden_size());
    const auto done = [&](std::size_t i, std::span<const float> rows) {
        const embed_input& in = inputs[i];
        const bool last_only = rows.size() == width && in.ids.size() > 1;
        out[i].values = finish(s.recipe, rows, width, last_only ? 0 : skipped_rows(in));
        out[i].pooling = finish.pooling;
        out[i].tokens = std::ssize(in.ids);
        out[i].dropped = in.dropped;
    };
    if (s.encoder)
        RLX_CHECK(run_encoder(*s.encoder, inputs, o, done));
    else
        RLX_CHECK(
            run_lm(*s.lm, inputs, o, finish.pooling != pooling::last || !finish.more.empty(), done)
        );
    return out;
}

result<std::vector<embedding>>
text_embedder::embed(std::span<const std::string> texts, const embed_options& o) {
    std::vector<embed_input> inputs;
    inputs.reserve(texts.size());
    for (const std::string& text : texts) {
        auto made = prepare(std::string_view(text), o);
        if (!made) return std::move(made.error()).within(fmt::format("text {}", inputs.size()));
        inputs.push_back(std::move(*made));
    }
    return embed(std::span<const embed_input>(inputs), o);
}

result<embedding> text_embedder::embed(std::string_view text, const embed_options& o) {
    const embed_input input = RLX_TRY(prepare(text, o));
    auto out = RLX_TRY(embed(std::span(&input, 1), o));
    return std::move(out.front());
}

result<embedding> text_embedder::embed(std::span<const std::int32_t> ids, const embed_options& o) {
    const embed_input input = RLX_TRY(prepare(ids, o));
    auto out = RLX_TRY(embed(std::span(&input, 1), o));
    return std::move(out.front());
}

} // namespace rlx

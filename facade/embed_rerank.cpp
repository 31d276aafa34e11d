// SPDX-License-Identifier: GPL-3.0-only
// Cross-encoders: query and document as one pair, the head's score for it.
#include "embedder_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

namespace rlx {
namespace {

error invalid(std::string message) {
    return {RLX_INVALID_ARGUMENT, std::move(message)};
}

// Cuts the ends until both fit `most`: the shorter one to half of it, rounded down, the longer one
// to what is left; of equal ones the second is the longer. tokenizers' "longest_first".
void cut_longest_first(
    std::vector<std::int32_t>& a, std::vector<std::int32_t>& b, std::size_t most
) {
    if (a.size() + b.size() <= most) return;
    auto& shorter = a.size() > b.size() ? b : a;
    auto& longer = a.size() > b.size() ? a : b;
    shorter.resize(std::min(shorter.size(), most / 2));
    longer.resize(most - shorter.size());
}

} // namespace

text_reranker::text_reranker(std::unique_ptr<text_embedder> model) : model_(std::move(model)) {}

text_reranker::~text_reranker() = default;

result<std::unique_ptr<text_reranker>> text_embedder::builder::build_reranker() const {
    const auto start = std::chrono::steady_clock::now();
    auto s = std::make_unique<state>();
    RLX_CHECK(s->prepare(*this));
    if (s->opened.task() != "encode")
        return error{
            RLX_UNSUPPORTED,
            fmt::format(
                "{}: family '{}' is no text encoder; rerankers are encoders with a classification "
                "head",
                name(),
                s->opened.facts.family
            )};
    s->encoder_how.head = encoder_head::classes;
    s->recipe.modules.clear();
    auto loaded = s->load();
    if (!loaded) return std::move(loaded.error()).within(name());
    if (s->encoder->width() != 1)
        return error{
            RLX_UNSUPPORTED,
            fmt::format(
                "{}: the classification head has {} classes, a reranker has one",
                name(),
                s->encoder->width()
            )};
    s->load_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::unique_ptr<text_embedder> model(new text_embedder(std::move(s)));
    return std::unique_ptr<text_reranker>(new text_reranker(std::move(model)));
}

result<std::vector<ranked>> text_reranker::rerank(
    std::string_view query, std::span<const std::string> documents, const rerank_options& o
) {
    text_embedder::state& s = *model_->state_;
    const tokenizer& t = *RLX_TRY(s.opened.files->tokenizer());
    constexpr encode_options bare{.add_special = false, .parse_special = true};
    const auto query_ids = RLX_TRY(t.encode(query, bare));
    const std::size_t special = RLX_TRY(t.join({}, {})).ids.size();
    const auto most = static_cast<std::size_t>(s.max_length);
    if (special >= most) return invalid(fmt::format("max_length {} has no room for a pair", most));
    std::vector<token_pair> pairs;
    std::vector<ranked> out(documents.size());
    for (std::size_t i = 0; i < documents.size(); ++i) {
        auto a = query_ids, b = RLX_TRY(t.encode(documents[i], bare));
        const std::size_t whole = a.size() + b.size() + special;
        if (whole > most && !o.truncate)
            return invalid(fmt::format(
                "document {}: {} tokens with the query, max_length is {}; shorten it or ask for "
                "truncation",
                i,
                whole,
                most
            ));
        cut_longest_first(a, b, most - special);
        pairs.push_back(RLX_TRY(t.join(a, b)));
        out[i] = {i, 0, std::ssize(pairs.back().ids), 0};
        out[i].dropped = static_cast<std::int64_t>(whole) - out[i].tokens;
    }
    std::vector<std::size_t> order(pairs.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
        return pairs[a].ids.size() > pairs[b].ids.size();
    });
    std::vector<encoder_text> texts;
    for (const std::size_t i : order)
        texts.push_back({pairs[i].ids, pairs[i].types});
    for (std::size_t first = 0; first < texts.size();) {
        if (o.cancel && o.cancel->load(std::memory_order_relaxed) != 0)
            return error{RLX_CANCELLED, "cancelled"};
        const auto rest = std::span<const encoder_text>(texts).subspan(first);
        const auto step = rest.first(s.encoder->fits(rest));
        const auto scores = RLX_TRY(s.encoder->encode(step));
        for (std::size_t k = 0; k < step.size(); ++k) {
            const auto logit = static_cast<double>(scores[k]);
            out[order[first + k]].score = o.sigmoid ? 1 / (1 + std::exp(-logit)) : logit;
        }
        first += step.size();
    }
    if (o.sort)
        std::ranges::stable_sort(out, [](const ranked& a, const ranked& b) {
            return a.score > b.score;
        });
    return out;
}

} // namespace rlx

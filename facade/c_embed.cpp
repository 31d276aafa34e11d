// SPDX-License-Identifier: GPL-3.0-only
// The C API's part with vectors: embedding texts, ranking documents.
#include "c_api.hpp"

#include <cstddef>

namespace rlx::c_api {
namespace {

constexpr std::uint32_t embed_flags = RLX_EMBED_RAW | RLX_EMBED_TRUNCATE | RLX_EMBED_UNIT;
constexpr std::uint32_t rerank_flags =
    RLX_RERANK_SIGMOID | RLX_RERANK_TRUNCATE | RLX_RERANK_IN_ORDER;

result<embed_options> read_embed(const rlx_embed_options* given) {
    const rlx_embed_options o = RLX_TRY(read_options(given, "rlx_embed_options"));
    RLX_CHECK(check_flags(o.flags, embed_flags, "rlx_embed_options"));
    constexpr std::uint32_t both = RLX_EMBED_RAW | RLX_EMBED_UNIT;
    if ((o.flags & both) == both)
        return error{
            RLX_INVALID_ARGUMENT, "flags: RLX_EMBED_RAW and RLX_EMBED_UNIT exclude each other"};
    if (o.pooling >= std::size(poolings))
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format("pooling is {}, expected one of RLX_POOL_*", o.pooling)};
    if (o.role > RLX_TEXT_DOCUMENT)
        return error{
            RLX_INVALID_ARGUMENT, fmt::format("role is {}, expected one of RLX_TEXT_*", o.role)};
    embed_options out;
    out.pooling = poolings[o.pooling];
    if (o.flags & RLX_EMBED_RAW) out.normalise = normalising::off;
    if (o.flags & RLX_EMBED_UNIT) out.normalise = normalising::on;
    out.truncate = (o.flags & RLX_EMBED_TRUNCATE) != 0;
    out.role = static_cast<text_role>(o.role);
    out.dimensions = o.dimensions;
    out.prompt_name = RLX_TRY(read_text(o.prompt_name, "prompt_name"));
    const std::string_view prompt = RLX_TRY(read_text(o.prompt, "prompt"));
    if (o.prompt.p) out.prompt = prompt; // "" is one: none, whatever the checkpoint's default
    out.cancel = watched(o.cancel);
    return out;
}

void put_vectors(std::span<const embedding> made, rlx_embed_result* out) {
    rlx_embed_result r{};
    for (const embedding& e : made) {
        r.n_values += e.values.size();
        r.n_tokens += e.tokens;
        r.n_dropped += e.dropped;
    }
    r.pooling = made.empty() ? std::uint32_t{RLX_POOL_AUTO} : as_pooling(made.front().pooling);
    owned<float> values = copy_out<float>(nullptr, 0, r.n_values);
    float* at = values.get();
    for (const embedding& e : made)
        at = std::ranges::copy(e.values, at).out;
    // A caller whose struct has no place for them gets nothing to free.
    if (out->size >= offsetof(rlx_embed_result, values) + sizeof r.values)
        r.values = values.release();
    write_result(out, r);
}

// `embed`: (embedder, options) -> result<vector<embedding>>.
template <class Embed>
rlx_error* embed_with(
    rlx_model* model, const rlx_embed_options* options, rlx_embed_result* out, Embed&& embed
) {
    return guarded([&]() -> result<void> {
        RLX_CHECK(clear_result(out, "rlx_embed_result"));
        const use held = RLX_TRY(use::begin(model));
        text_embedder& embedder = *RLX_TRY(held.embedder());
        const auto made = RLX_TRY(embed(embedder, RLX_TRY(read_embed(options))));
        put_vectors(made, out);
        return {};
    });
}

result<std::vector<std::string>> read_texts(const rlx_str* first, std::uint64_t n) {
    std::vector<std::string> out;
    for (const rlx_str& s : RLX_TRY(read_array(first, n, "texts")))
        out.emplace_back(RLX_TRY(read_text(s, "texts")));
    return out;
}

result<rerank_options> read_rerank(const rlx_rerank_options* given) {
    const rlx_rerank_options o = RLX_TRY(read_options(given, "rlx_rerank_options"));
    RLX_CHECK(check_flags(o.flags, rerank_flags, "rlx_rerank_options"));
    rerank_options out;
    out.sigmoid = (o.flags & RLX_RERANK_SIGMOID) != 0;
    out.truncate = (o.flags & RLX_RERANK_TRUNCATE) != 0;
    out.sort = (o.flags & RLX_RERANK_IN_ORDER) == 0;
    out.cancel = watched(o.cancel);
    return out;
}

// One text's vector as a list of one.
result<std::vector<embedding>> alone(result<embedding> made) {
    std::vector<embedding> out;
    out.push_back(RLX_TRY(std::move(made)));
    return out;
}

} // namespace
} // namespace rlx::c_api

using namespace rlx::c_api;

rlx_error* rlx_model_embed(
    rlx_model* model, rlx_str text, const rlx_embed_options* options, rlx_embed_result* result
) {
    const auto embed = [&](rlx::text_embedder& e, const rlx::embed_options& how
                       ) -> rlx::result<std::vector<rlx::embedding>> {
        return alone(e.embed(RLX_TRY(read_text(text, "text")), how));
    };
    return embed_with(model, options, result, embed);
}

rlx_error* rlx_model_embed_ids(
    rlx_model* model,
    const int32_t* ids,
    uint64_t n_ids,
    const rlx_embed_options* options,
    rlx_embed_result* result
) {
    const auto embed = [&](rlx::text_embedder& e, const rlx::embed_options& how
                       ) -> rlx::result<std::vector<rlx::embedding>> {
        return alone(e.embed(RLX_TRY(read_array(ids, n_ids, "ids")), how));
    };
    return embed_with(model, options, result, embed);
}

rlx_error* rlx_model_embed_texts(
    rlx_model* model,
    const rlx_str* texts,
    uint64_t n_texts,
    const rlx_embed_options* options,
    rlx_embed_result* result
) {
    const auto embed = [&](rlx::text_embedder& e, const rlx::embed_options& how
                       ) -> rlx::result<std::vector<rlx::embedding>> {
        const auto given = RLX_TRY(read_texts(texts, n_texts));
        const bool rows =
            how.pooling == rlx::pooling::none || (how.pooling == rlx::pooling::from_checkpoint &&
                                                  e.recipe().pooling == rlx::pooling::none);
        if (rows)
            return rlx::error{
                RLX_INVALID_ARGUMENT,
                "RLX_POOL_NONE gives texts different numbers of rows; embed them one by one"};
        return e.embed(std::span<const std::string>(given), how);
    };
    return embed_with(model, options, result, embed);
}

rlx_error* rlx_model_rerank(
    rlx_model* model,
    rlx_str query,
    const rlx_str* documents,
    uint64_t n_documents,
    const rlx_rerank_options* options,
    rlx_ranked** ranked,
    uint64_t* n_ranked
) {
    return guarded([&]() -> rlx::result<void> {
        auto out = RLX_TRY(array_result<rlx_ranked>::begin(ranked, n_ranked, "ranked or n_ranked"));
        const use held = RLX_TRY(use::begin(model));
        rlx::text_reranker& reranker = *RLX_TRY(held.reranker());
        const auto how = RLX_TRY(read_rerank(options));
        const auto given = RLX_TRY(read_texts(documents, n_documents));
        const auto made = RLX_TRY(reranker.rerank(RLX_TRY(read_text(query, "query")), given, how));
        std::vector<rlx_ranked> list;
        for (const rlx::ranked& r : made)
            list.push_back({r.index, r.score, r.tokens, r.dropped});
        out.put(copy_out(list.data(), list.size()), list.size());
        return {};
    });
}

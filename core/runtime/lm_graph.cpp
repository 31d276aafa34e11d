// SPDX-License-Identifier: GPL-3.0-only
#include "lm_graph.hpp"

#include "family_graph.hpp"

#include "rlx/base/checked.hpp"
#include "rlx/base/log.hpp"
#include "rlx/base/wall.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

namespace rlx {
namespace {

constexpr std::int64_t default_max_seq = 4096;
constexpr std::int64_t max_extent = std::numeric_limits<std::int32_t>::max();

error out_of_range(std::string_view name, std::int64_t value, std::int64_t low, std::int64_t high) {
    return {
        RLX_INVALID_ARGUMENT, fmt::format("{} is {}, expected {} to {}", name, value, low, high)};
}

// What language models need besides check_tables().
result<void> check_state_members(const model_parts& p) {
    for (const rlx_backend_v1* b : {p.backend, p.second.backend}) {
        if (!b) continue;
        if (!RLX_HAS(b, page_bytes)) return lacks_member("backend", "page_bytes");
        if (!RLX_HAS(b, copy)) return lacks_member("backend", "copy");
    }
    return {};
}

bool embeds(const lm_graph& lm) {
    return lm.options.graph == RLX_GRAPH_EMBED;
}

std::string_view output_name(const lm_graph& lm) {
    return embeds(lm) ? "hidden" : "logits";
}

// Fills in the defaults and checks every number against the others.
result<void> settle(lm_graph& lm) {
    lm_options& o = lm.options;
    if (o.graph != RLX_GRAPH_LM && o.graph != RLX_GRAPH_EMBED)
        return error{
            RLX_INVALID_ARGUMENT, fmt::format("graph is '{}', expected 'lm' or 'embed'", o.graph)};
    if (o.max_seq == 0)
        o.max_seq =
            lm.context_length > 0 ? std::min(lm.context_length, default_max_seq) : default_max_seq;
    // Pooling wants every token's row, and hidden states are small.
    if (o.max_rows == 0) o.max_rows = embeds(lm) ? o.max_batch : o.max_sequences;
    if (o.max_seq < 1 || o.max_seq > max_extent)
        return out_of_range("max_seq", o.max_seq, 1, max_extent);
    if (o.max_batch < 1 || o.max_batch > (1 << 20))
        return out_of_range("max_batch", o.max_batch, 1, 1 << 20);
    if (o.max_sequences < 1 || o.max_sequences > (1 << 16))
        return out_of_range("max_sequences", o.max_sequences, 1, 1 << 16);
    if (o.max_rows < 1 || o.max_rows > (1 << 20))
        return out_of_range("max_rows", o.max_rows, 1, 1 << 20);
    // A step feeds at least one token of every sequence in it.
    o.max_batch = std::max(o.max_batch, o.max_sequences);
    lm.pages_per_sequence = (o.max_seq + page_tokens - 1) / page_tokens;
    lm.n_pages = lm.pages_per_sequence * o.max_sequences;
    if (lm.n_pages > max_extent / page_tokens)
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "max_seq {} times max_sequences {} is more cache rows than a 32-bit row number can "
                "address",
                o.max_seq,
                o.max_sequences
            )};
    constexpr std::string_view modes[] = {"auto", "f32", "f16", "bf16"};
    if (std::ranges::find(modes, o.compute) == std::end(modes))
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format("compute is '{}', expected one of {}", o.compute, fmt::join(modes, ", "))};
    lm.kv_may_be_f32 = o.kv == "auto";
    if (o.kv == "auto") o.kv = o.compute == "f32" ? "f32" : "f16";
    if (o.kv != "f32" && o.kv != "f16")
        return error{
            RLX_INVALID_ARGUMENT, fmt::format("kv is '{}', expected 'auto', 'f16' or 'f32'", o.kv)};
    if (!(o.max_memory_gb >= 0) || o.max_memory_gb > 1e9)
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format("max_memory_gb is {}, expected 0 or more", o.max_memory_gb)};
    if (lm.context_length > 0 && o.max_seq > lm.context_length)
        lm.warnings.push_back(fmt::format(
            "max_seq {} is longer than the {} tokens the checkpoint was trained for",
            o.max_seq,
            lm.context_length
        ));
    return {};
}

// Symbols T, B, P, R and the eight inputs of rlx/abi/family.h.
result<void> declare(lm_graph& lm) {
    const rlx_graph_v1* t = graph_table();
    rlx_graph* g = lm.g->handle();

    const struct {
        std::string_view name;
        std::int64_t max;
    } symbols[n_symbols] = {
        {"T", lm.options.max_batch},
        {"B", lm.options.max_sequences},
        {"P", lm.pages_per_sequence},
        {"R", lm.options.max_rows}};

    std::int64_t dims[n_symbols];
    for (std::size_t i = 0; i < n_symbols; ++i)
        RLX_CHECK(check_wall(t->symbol(g, str(symbols[i].name), 1, symbols[i].max, 1, &dims[i])));
    std::int64_t ends = 0;
    RLX_CHECK(check_wall(t->dim_op(g, RLX_DIM_ADD, dims[symbol_b], 1, &ends)));
    const std::int64_t table[] = {dims[symbol_b], dims[symbol_p]};

    const struct {
        std::string_view name;
        std::uint32_t rank;
        const std::int64_t* dims;
    } inputs[n_inputs] = {
        {"tokens", 1, &dims[symbol_t]},
        {"positions", 1, &dims[symbol_t]},
        {"lengths", 1, &dims[symbol_t]},
        {"slots", 1, &dims[symbol_t]},
        {"cu_seqlens", 1, &ends},
        {"kv_lengths", 1, &dims[symbol_b]},
        {"block_table", 2, table},
        {"rows", 1, &dims[symbol_r]}};

    for (std::size_t i = 0; i < n_inputs; ++i)
        RLX_CHECK(check_wall(
            t->input(g, str(inputs[i].name), RLX_I32, inputs[i].rank, inputs[i].dims, &lm.inputs[i])
        ));
    return {};
}

result<void> finish(lm_graph& lm, const lm_model::parts& p) {
    program_options how;
    how.compute = lm.options.compute;
    how.kv = lm.options.kv;
    how.kv_may_be_f32 = lm.kv_may_be_f32;
    how.fuse = lm.options.fuse;
    how.page_tokens = page_tokens;
    how.finish = lm.options.finish;
    lm.program = RLX_TRY(program_plan::make(*lm.g, p, how));
    lm.output = lm.g->find_output(output_name(lm));
    lm.states = lm.g->states();
    if (!lm.states.empty()) lm.options.kv = lm.program.kv(lm.program.side_of(lm.states[0]));
    return {};
}

// The output is f32 [R, row_size], whatever the family meant to build.
result<void> check_output(const lm_graph& lm) {
    if (lm.output == 0)
        return error{
            RLX_INTERNAL,
            fmt::format(
                "the family's '{}' graph has no output '{}'", lm.options.graph, output_name(lm)
            )};
    rlx_value_info info{};
    info.size = sizeof(info);
    RLX_CHECK(check_wall(graph_table()->value(lm.g->handle(), lm.output, &info)));
    if (info.dtype != RLX_F32 || info.rank != 2 || info.dims[1] != lm.row_size)
        return error{
            RLX_INTERNAL,
            fmt::format(
                "the family's output '{}' has dtype {} and rank {}{}, expected f32 [R, {}]",
                output_name(lm),
                info.dtype,
                info.rank,
                info.rank == 2 ? fmt::format(" with {} columns", info.dims[1]) : "",
                lm.row_size
            )};
    return {};
}

error too_large(std::string_view what) {
    return {
        RLX_INVALID_ARGUMENT,
        fmt::format("the size of the {} does not fit 64 bits; lower max_seq", what)};
}

result<void> measure(lm_graph& lm, const lm_model::parts& p) {
    lm.plan.devices = lm.program.memory();
    lm.plan.max_seq = lm.options.max_seq;
    lm.plan.max_sequences = lm.options.max_sequences;
    std::uint64_t pool_page = 0; // bytes of one page in all slots
    for (const rlx_value state : lm.states) {
        const std::uint64_t bytes = RLX_TRY(lm.program.page_bytes(p, state));
        lm.page_bytes.push_back(bytes);
        const auto sum = checked_add(pool_page, bytes);
        if (!sum || !checked_mul(*sum, static_cast<std::uint64_t>(lm.n_pages)))
            return too_large("KV cache");
        pool_page = *sum;
        const std::string& home = devices_of(p)[lm.program.side_of(state)].name;
        for (device_memory& d : lm.plan.devices)
            if (d.device == home) d.state += bytes * static_cast<std::uint64_t>(lm.n_pages);
    }
    lm.plan.state_per_token = pool_page / page_tokens;
    // What eval() returns; an embedding may ask for the rows of a whole sequence.
    const std::int64_t n_rows =
        embeds(lm) ? std::max(lm.options.max_rows, lm.options.max_seq) : lm.options.max_rows;
    const auto rows = checked_mul(
        static_cast<std::uint64_t>(n_rows), static_cast<std::uint64_t>(lm.row_size) * sizeof(float)
    );
    if (!rows) return too_large("rows of results");
    // The rows are in host memory: where the second device computes, or the only one.
    const auto scratch = checked_add(lm.plan.devices.back().scratch, *rows);
    if (!scratch) return too_large("scratch arena");
    lm.plan.devices.back().scratch = *scratch;
    const device_memory all = together(lm.plan.devices);
    lm.plan.weights = all.weights;
    lm.plan.mapped = all.mapped;
    lm.plan.state = all.state;
    lm.plan.scratch = all.scratch;
    return {};
}

result<void> read_info(lm_graph& lm, const family_model& model) {
    const options info = RLX_TRY(model.info());
    const auto vocab = info.get_int("vocab_size");
    if (!vocab || *vocab < 1 || *vocab > max_extent)
        return error{
            RLX_INTERNAL, fmt::format("the family reports a vocab_size of {}", vocab.value_or(0))};
    lm.vocab_size = *vocab;
    lm.hidden_size = info.get_int("hidden_size").value_or(0);
    lm.row_size = embeds(lm) ? lm.hidden_size : lm.vocab_size;
    if (lm.row_size < 1 || lm.row_size > max_extent)
        return error{
            RLX_INTERNAL, fmt::format("the family reports a hidden_size of {}", lm.hidden_size)};
    lm.context_length = info.get_int("context_length").value_or(0);
    return {};
}

} // namespace

result<lm_graph> build_lm_graph(const lm_model::parts& parts, const lm_options& options) {
    RLX_CHECK(check_state_members(parts));
    RLX_CHECK(check_tables(parts));
    lm_graph lm;
    lm.options = options;
    lm.g = graph::create(
        parts.w, parts.find_op
    );                  // first: it offers rlx.graph/1, which plugins ask for in open()
    rlx::options asked; // rlx/abi/family.h lists the keys
    asked.set_string("compute", options.compute).set_string("kv", options.kv);
    asked.set_int("max_seq", options.max_seq);
    asked.set_string("infer.mode", options.infer_mode).set_string("profile", options.profile);
    const family_model model = RLX_TRY(family_model::open(parts, asked));
    RLX_CHECK(read_info(lm, model));
    RLX_CHECK(settle(lm));
    RLX_CHECK(declare(lm));
    RLX_CHECK(model.build(options.graph, lm.g->handle()));
    RLX_CHECK(finish(lm, parts));
    RLX_CHECK(check_output(lm));
    constexpr std::string_view symbols[n_symbols] = {"T", "B", "P", "R"};
    RLX_CHECK(find_symbols(*lm.g, symbols, lm.symbols, lm.extents));
    RLX_CHECK(measure(lm, parts));
    if (std::string away = away_warning(lm.program, parts); !away.empty())
        lm.warnings.push_back(std::move(away));
    if (!parts.w) return lm;
    // An embedding has no use for the head; that is no news.
    std::string unused = embeds(lm) ? unused_tensors(*parts.w, {"lm_head.weight", "output.weight"})
                                    : unused_tensors(*parts.w);
    if (!unused.empty()) lm.warnings.push_back(std::move(unused));
    return lm;
}

} // namespace rlx

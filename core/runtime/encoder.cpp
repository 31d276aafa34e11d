// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/runtime/encoder.hpp"

#include "encoder_plan.hpp"

#include "rlx/base/checked.hpp"
#include "rlx/base/wall.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <limits>
#include <vector>

namespace rlx {
namespace {

constexpr std::int64_t max_extent = std::numeric_limits<std::int32_t>::max();

enum input : std::size_t { in_tokens, in_positions, in_types, in_cu_seqlens, n_inputs };

// What the family is asked for, and the output it must have.
struct head_facts {
    std::string_view graph, output;
    bool per_text; // rows are texts, not tokens
};

const head_facts& facts_of(encoder_head head) {
    static constexpr head_facts all[] = {
        {RLX_GRAPH_ENCODE, "hidden", false},
        {RLX_GRAPH_ENCODE_POOLED, "pooled", true},
        {RLX_GRAPH_ENCODE_CLASSES, "scores", true},
        {RLX_GRAPH_ENCODE_VOCAB, "logits", false},
    };
    return all[static_cast<std::size_t>(head)];
}

struct encoder_graph {
    std::unique_ptr<graph> g;
    encoder_options options;
    std::int64_t hidden = 0, vocab = 0, types = 0, context = 0;
    std::int64_t width = 0;     // of the output's rows
    std::int64_t unplaced = -1; // the id that takes no place in its text
    std::array<rlx_value, n_inputs> inputs{};
    rlx_value output = 0;
    std::array<std::uint32_t, 2> symbols{}; // places of T and B among the extents
    std::vector<std::int64_t> extents;
    program_plan program;
    encoder_plan plan;
    std::vector<std::string> warnings;

    const head_facts& head() const { return facts_of(options.head); }

    std::int64_t max_rows() const {
        return head().per_text ? options.max_texts : options.max_tokens;
    }
};

error invalid(std::string message) {
    return {RLX_INVALID_ARGUMENT, std::move(message)};
}

result<void> check_range(std::string_view name, std::int64_t value, std::int64_t high) {
    if (value >= 1 && value <= high) return {};
    return invalid(fmt::format("{} is {}, expected 1 to {}", name, value, high));
}

result<void> read_info(encoder_graph& e, const family_model& model) {
    const options info = RLX_TRY(model.info());
    e.hidden = info.get_int("hidden_size").value_or(0);
    e.vocab = info.get_int("vocab_size").value_or(0);
    e.types = info.get_int("token_types").value_or(0);
    e.context = info.get_int("context_length").value_or(0);
    e.unplaced = info.get_int("unplaced_id").value_or(-1);
    if (e.hidden < 1 || e.hidden > max_extent || e.vocab < 1 || e.vocab > max_extent ||
        e.context < 1)
        return error{
            RLX_INTERNAL,
            fmt::format(
                "the family reports hidden_size {}, vocab_size {}, context_length {}",
                e.hidden,
                e.vocab,
                e.context
            )};
    return {};
}

result<void> settle(encoder_graph& e) {
    encoder_options& o = e.options;
    if (o.max_length == 0) o.max_length = e.context;
    RLX_CHECK(check_range("max_length", o.max_length, e.context));
    RLX_CHECK(check_range("max_tokens", o.max_tokens, std::int64_t{1} << 20));
    RLX_CHECK(check_range("max_texts", o.max_texts, std::int64_t{1} << 20));
    // A step holds at least one text of full length.
    o.max_tokens = std::max(o.max_tokens, o.max_length);
    o.max_texts = std::min(o.max_texts, o.max_tokens);
    return {};
}

// Symbols T and B and the inputs of RLX_GRAPH_ENCODE (rlx/abi/family.h).
result<void> declare(encoder_graph& e) {
    const rlx_graph_v1* t = graph_table();
    rlx_graph* g = e.g->handle();
    std::int64_t tokens = 0, texts = 0, bounds = 0;
    RLX_CHECK(check_wall(t->symbol(g, str("T"), 1, e.options.max_tokens, 1, &tokens)));
    RLX_CHECK(check_wall(t->symbol(g, str("B"), 1, e.options.max_texts, 1, &texts)));
    RLX_CHECK(check_wall(t->dim_op(g, RLX_DIM_ADD, texts, 1, &bounds)));
    constexpr std::string_view names[n_inputs] = {
        "tokens", "positions", "token_types", "cu_seqlens"};
    for (std::size_t i = 0; i < n_inputs; ++i) {
        const std::int64_t* dim = i == in_cu_seqlens ? &bounds : &tokens;
        RLX_CHECK(check_wall(t->input(g, str(names[i]), RLX_I32, 1, dim, &e.inputs[i])));
    }
    return {};
}

result<void> check_output(encoder_graph& e) {
    const head_facts& head = e.head();
    e.output = e.g->find_output(head.output);
    rlx_value_info info{};
    info.size = sizeof info;
    if (e.output) RLX_CHECK(check_wall(graph_table()->value(e.g->handle(), e.output, &info)));
    const bool rows = e.output != 0 && info.dtype == RLX_F32 && info.rank == 2 &&
                      info.dims[1] >= 1 && info.dims[1] <= max_extent;
    // The number of classes is for the checkpoint to say.
    const std::int64_t expected = e.options.head == encoder_head::vocab     ? e.vocab
                                  : e.options.head == encoder_head::classes ? info.dims[1]
                                                                            : e.hidden;
    if (!rows || info.dims[1] != expected)
        return error{
            RLX_INTERNAL,
            fmt::format(
                "the family's '{}' graph has no output '{}' f32 [{}, {}]",
                head.graph,
                head.output,
                head.per_text ? "B" : "T",
                e.options.head == encoder_head::classes ? "classes" : std::to_string(expected)
            )};
    e.width = expected;
    return {};
}

encoder_advice advice_of(const encoder_graph& e) {
    return {fmt::format("{} tokens", e.options.max_tokens), "max_tokens"};
}

result<void> measure(encoder_graph& e) {
    const auto results = checked_mul(
        static_cast<std::uint64_t>(e.max_rows()),
        static_cast<std::uint64_t>(e.width) * sizeof(float)
    );
    e.plan = RLX_TRY(plan_encoder(e.program, results, advice_of(e)));
    return {};
}

result<encoder_graph> build(const model_parts& parts, const encoder_options& options) {
    RLX_CHECK(check_tables(parts));
    encoder_graph e;
    e.options = options;
    e.g = graph::create(parts.w, parts.find_op);
    rlx::options asked; // rlx/abi/family.h lists the keys
    asked.set_string("compute", options.compute);
    const family_model model = RLX_TRY(family_model::open(parts, asked));
    RLX_CHECK(read_info(e, model));
    RLX_CHECK(settle(e));
    RLX_CHECK(declare(e));
    RLX_CHECK(model.build(e.head().graph, e.g->handle()));
    program_options how;
    how.compute = e.options.compute;
    how.fuse = e.options.fuse;
    how.finish = e.options.finish;
    e.program = RLX_TRY(program_plan::make(*e.g, parts, how));
    RLX_CHECK(check_output(e));
    constexpr std::string_view symbols[] = {"T", "B"};
    RLX_CHECK(find_symbols(*e.g, symbols, e.symbols, e.extents));
    RLX_CHECK(measure(e));
    e.warnings = plan_warnings(e.program, parts);
    return e;
}

result<void> check_memory(const encoder_graph& e, const model_parts& p) {
    return check_memory(e.plan, p, e.options.max_memory_gb, advice_of(e));
}

class loaded_encoder final : public encoder_model {
public:
    explicit loaded_encoder(encoder_graph&& built) : e_(std::move(built)) {}

    result<void> load(const model_parts& p);

    encoder_head head() const override { return e_.options.head; }

    std::int64_t width() const override { return e_.width; }

    std::int64_t hidden_size() const override { return e_.hidden; }

    std::int64_t vocab_size() const override { return e_.vocab; }

    std::int64_t max_length() const override { return e_.options.max_length; }

    std::int64_t max_tokens() const override { return e_.options.max_tokens; }

    std::int64_t max_texts() const override { return e_.options.max_texts; }

    const encoder_plan& memory() const override { return e_.plan; }

    std::string tier() const override { return program_.fact("tier"); }

    std::string compute() const override { return program_.fact_or("compute", e_.options.compute); }

    const partition_report& partition() const override { return e_.program.report(); }

    std::vector<device_facts> devices() const override { return program_.facts(); }

    std::span<const std::string> warnings() const override { return e_.warnings; }

    std::size_t fits(std::span<const encoder_text> texts) const override;
    result<std::span<const float>> encode(std::span<const encoder_text> texts) override;

private:
    result<void> check(const encoder_text& text, std::size_t index) const;
    void append(const encoder_text& text);

    encoder_graph e_;
    graph_program program_;
    std::array<std::vector<std::int32_t>, n_inputs> in_;
    std::vector<rlx_binding> bindings_; // inputs, output
    std::vector<float> rows_;
};

result<void> loaded_encoder::load(const model_parts& p) {
    program_ = RLX_TRY(graph_program::load(e_.program, p, e_.options.progress, e_.options.cancel));
    for (std::size_t i = 0; i < n_inputs; ++i) {
        const std::int64_t most =
            i == in_cu_seqlens ? e_.options.max_texts + 1 : e_.options.max_tokens;
        in_[i].reserve(static_cast<std::size_t>(most));
        bindings_.push_back({e_.inputs[i], 0, nullptr, nullptr, 0});
    }
    bindings_.push_back({e_.output, 0, nullptr, nullptr, 0});
    return {};
}

std::size_t loaded_encoder::fits(std::span<const encoder_text> texts) const {
    const std::size_t most = std::min(texts.size(), static_cast<std::size_t>(max_texts()));
    std::size_t n = 0, tokens = 0;
    while (n < most &&
           (n == 0 || tokens + texts[n].ids.size() <= static_cast<std::size_t>(max_tokens())))
        tokens += texts[n++].ids.size();
    return n;
}

result<void> loaded_encoder::check(const encoder_text& text, std::size_t index) const {
    if (text.ids.empty()) return invalid(fmt::format("text {} has no tokens", index));
    if (text.ids.size() > static_cast<std::size_t>(max_length()))
        return invalid(fmt::format(
            "text {} has {} tokens, at most {} fit", index, text.ids.size(), max_length()
        ));
    if (!text.types.empty() && text.types.size() != text.ids.size())
        return invalid(fmt::format(
            "text {} has {} tokens and {} segment ids", index, text.ids.size(), text.types.size()
        ));
    for (const std::int32_t id : text.ids)
        if (id < 0 || id >= e_.vocab)
            return invalid(fmt::format(
                "text {}: token id {} is outside the vocabulary of {}", index, id, e_.vocab
            ));
    for (const std::int32_t type : text.types)
        if (type < 0 || type >= std::max<std::int64_t>(e_.types, 1))
            return invalid(fmt::format(
                "text {}: segment {}, the model knows {}",
                index,
                type,
                std::max<std::int64_t>(e_.types, 1)
            ));
    return {};
}

void loaded_encoder::append(const encoder_text& text) {
    in_[in_tokens].insert(in_[in_tokens].end(), text.ids.begin(), text.ids.end());
    std::int32_t place = 0;
    for (std::size_t i = 0; i < text.ids.size(); ++i) {
        in_[in_positions].push_back(text.ids[i] == e_.unplaced ? -1 : place++);
        in_[in_types].push_back(text.types.empty() ? 0 : text.types[i]);
    }
    in_[in_cu_seqlens].push_back(static_cast<std::int32_t>(in_[in_tokens].size()));
}

result<std::span<const float>> loaded_encoder::encode(std::span<const encoder_text> texts) {
    if (texts.empty()) return std::span<const float>();
    if (fits(texts) < texts.size())
        return invalid(fmt::format(
            "{} texts are more than one step takes ({} texts, {} tokens)",
            texts.size(),
            max_texts(),
            max_tokens()
        ));
    for (auto& in : in_)
        in.clear();
    in_[in_cu_seqlens].push_back(0);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        RLX_CHECK(check(texts[i], i));
        append(texts[i]);
    }
    const std::size_t tokens = in_[in_tokens].size();
    const std::size_t rows = e_.head().per_text ? texts.size() : tokens;
    rows_.resize(rows * static_cast<std::size_t>(e_.width));
    for (std::size_t i = 0; i < n_inputs; ++i) {
        bindings_[i].host = in_[i].data();
        bindings_[i].bytes = in_[i].size() * sizeof(std::int32_t);
    }
    bindings_[n_inputs].host = rows_.data();
    bindings_[n_inputs].bytes = rows_.size() * sizeof(float);
    e_.extents[e_.symbols[0]] = static_cast<std::int64_t>(tokens);
    e_.extents[e_.symbols[1]] = static_cast<std::int64_t>(texts.size());
    RLX_CHECK(program_.run(bindings_, e_.extents, e_.options.cancel));
    return std::span<const float>(rows_);
}

} // namespace

result<encoder_plan> encoder_model::plan(const model_parts& p, const encoder_options& options) {
    encoder_graph e = RLX_TRY(build(p, options));
    if (auto fits = check_memory(e, p); !fits) e.plan.refused = std::move(fits.error().message);
    e.plan.partition = e.program.report();
    return std::move(e.plan);
}

result<std::unique_ptr<encoder_model>>
encoder_model::open(const model_parts& p, const encoder_options& options) {
    encoder_graph e = RLX_TRY(build(p, options));
    RLX_CHECK(check_memory(e, p));
    auto out = std::make_unique<loaded_encoder>(std::move(e));
    RLX_CHECK(out->load(p));
    return std::unique_ptr<encoder_model>(std::move(out));
}

} // namespace rlx

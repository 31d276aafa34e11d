// SPDX-License-Identifier: GPL-3.0-only
#include "driver.hpp"
#include "loan.hpp"

#include "rlx/base/options.hpp"
#include "rlx/base/wall.hpp"
#include "rlx/formats/weights.hpp"
#include "rlx/graph/graph.hpp"

#include <fmt/format.h>

namespace conformance {
namespace {

using rlx::str;

// Of an image encoder: images of the size the checkpoint was trained for, the only one that every
// family reads.
std::unique_ptr<rlx::graph>
image_graph(rlx::weights* w, const rlx::options& facts, const rlx::custom_op_finder& find_op) {
    constexpr std::int64_t built_in = 16, most = 1 << 16;
    const std::int64_t height = facts.get_int("image_height").value_or(built_in);
    const std::int64_t width = facts.get_int("image_width").value_or(built_in);
    if (height < 1 || height > most || width < 1 || width > most)
        throw failed{fmt::format("info gives images of {} x {}", height, width)};
    auto g = rlx::graph::create(w, find_op);
    const rlx_graph_v1* t = rlx::graph_table();
    std::int64_t dims[] = {0, 3, 0, 0};
    rlx_value v = 0;
    of_host(t->symbol(g->handle(), str("B"), 1, 2, 1, &dims[0]));
    of_host(t->symbol(g->handle(), str("H"), height, height, 1, &dims[2]));
    of_host(t->symbol(g->handle(), str("W"), width, width, 1, &dims[3]));
    of_host(t->input(g->handle(), str("pixels"), RLX_F32, 4, dims, &v));
    return g;
}

// The host's part of a graph: symbols and inputs of rlx/abi/family.h.
std::unique_ptr<rlx::graph> declared_graph(
    rlx::weights* w,
    std::string_view name,
    const rlx::options& facts,
    const rlx::custom_op_finder& find_op
) {
    if (name.starts_with(RLX_GRAPH_ENCODE_IMAGE)) return image_graph(w, facts, find_op);
    const bool encode = name.starts_with(RLX_GRAPH_ENCODE); // and its heads
    auto g = rlx::graph::create(w, find_op);
    const rlx_graph_v1* t = rlx::graph_table();
    std::int64_t dims[4] = {}, ends = 0;

    const struct {
        const char* name;
        std::int64_t max;
    } symbols[] = {{"T", 8}, {"B", 2}, {"P", 4}, {"R", 2}};

    for (int i = 0; i < (encode ? 2 : 4); i++)
        of_host(t->symbol(g->handle(), str(symbols[i].name), 1, symbols[i].max, 1, &dims[i]));
    of_host(t->dim_op(g->handle(), RLX_DIM_ADD, dims[1], 1, &ends));
    const std::int64_t table[] = {dims[1], dims[2]};

    const struct {
        const char* name;
        bool in_encode, in_lm;
        std::uint32_t rank;
        const std::int64_t* dims;
    } inputs[] = {
        {"tokens", true, true, 1, &dims[0]},
        {"positions", true, true, 1, &dims[0]},
        {"token_types", true, false, 1, &dims[0]},
        {"lengths", false, true, 1, &dims[0]},
        {"slots", false, true, 1, &dims[0]},
        {"cu_seqlens", true, true, 1, &ends},
        {"kv_lengths", false, true, 1, &dims[1]},
        {"block_table", false, true, 2, table},
        {"rows", false, true, 1, &dims[3]}};

    for (const auto& i : inputs) {
        rlx_value v = 0;
        if (!(encode ? i.in_encode : i.in_lm)) continue;
        of_host(t->input(g->handle(), str(i.name), RLX_I32, i.rank, i.dims, &v));
    }
    return g;
}

struct known_graph {
    const char* name;
    const char* output;
};

constexpr known_graph known_graphs[] = {
    {RLX_GRAPH_LM, "logits"},
    {RLX_GRAPH_EMBED, "hidden"},
    {RLX_GRAPH_ENCODE, "hidden"},
    {RLX_GRAPH_ENCODE_POOLED, "pooled"},
    {RLX_GRAPH_ENCODE_CLASSES, "scores"},
    {RLX_GRAPH_ENCODE_VOCAB, "logits"},
    {RLX_GRAPH_ENCODE_IMAGE, "hidden"},
    {RLX_GRAPH_ENCODE_IMAGE_POOLED, "pooled"},
    {RLX_GRAPH_ENCODE_IMAGE_CLASSES, "scores"}};

class family_driver final : public driver {
public:
    family_driver(const subject& s, const void* table)
        : subject_(s), t_(static_cast<const rlx_family_v1*>(table)), self_(s.table().self) {}

    std::string name() const override { return "rlx.family/1"; }

    std::string missing_members() const override {
        std::string out;
        if (!RLX_HAS(t_, open)) out += " open";
        if (!RLX_HAS(t_, close)) out += " close";
        if (!RLX_HAS(t_, info)) out += " info";
        if (!RLX_HAS(t_, build)) out += " build";
        return out;
    }

    life_result life() override {
        open_weights();
        return life_with(*weights_);
    }

    void null_arguments() override {
        void* model = nullptr;
        must_fail("open without weights", open(nullptr, nullptr, &model));
        open_weights();
        must_fail("open without a place for the model", open(weights_->handle(), nullptr, nullptr));
        close(nullptr);
        rlx::options facts;
        must_fail("info without a model", info(nullptr, facts.handle()));
        const auto g =
            declared_graph(weights_.get(), RLX_GRAPH_LM, facts, subject_.about().find_op);
        must_fail("build without a model", build(nullptr, str("lm"), g->handle()));
        if (open(weights_->handle(), nullptr, &model)) throw failed{"open fails the second time"};
        must_fail("info without a bag", info(model, nullptr));
        must_fail("build without a graph", build(model, str("lm"), nullptr));
        for (const char* graph : {"", "no such graph"})
            must_fail(
                "build of the graph '" + std::string(graph) + "'",
                build(model, str(graph), g->handle())
            );
        must_fail("build of a graph without a name", build(model, {nullptr, 0}, g->handle()));
        close(model);
    }

    void short_structs() override {} // no sized struct crosses this table

private:
    rlx_error* open(rlx_weights* w, const rlx_options* o, void** model) {
        return call("rlx.family/1 open", [&] { return t_->open(self_, w, o, model); });
    }

    void close(void* model) {
        call("rlx.family/1 close", [&] { t_->close(self_, model); });
    }

    rlx_error* info(void* model, rlx_options* out) {
        return call("rlx.family/1 info", [&] { return t_->info(self_, model, out); });
    }

    rlx_error* build(void* model, rlx_str name, rlx_graph* g) {
        const lent<char> text{std::span(name.p, name.p ? static_cast<std::size_t>(name.n) : 0)};
        const rlx_str graph{name.p ? text.data() : nullptr, name.n};
        return call("rlx.family/1 build", [&] { return t_->build(self_, model, graph, g); });
    }

    // --weights, else the first built-in checkpoint this family opens. Asked once, in a host
    // without faults.
    void open_weights() {
        if (weights_) return;
        if (!why_none_.empty()) throw skipped{why_none_};
        const target& t = subject_.about();
        const auto files = t.weights.empty() ? family_samples(t.samples, t.manifest)
                                             : std::vector<std::filesystem::path>{t.weights};
        std::string reasons = files.empty() ? " the manifest names no hf_model_types" : "";
        for (const auto& file : files) {
            auto w = rlx::weights::open(file);
            if (!w.ok()) throw failed{"weights: " + w.error().message};
            const life_result r = life_with(**w);
            if (r.ok()) {
                weights_ = std::move(*w);
                return;
            }
            if (!t.weights.empty())
                throw failed{r.where + " fails with " + file.native() + ": " + r.error.message};
            reasons += fmt::format(
                " {} with the names of a {}: {};",
                file.lexically_relative(t.samples / "families").parent_path().native(),
                file.filename().native(),
                r.error.message
            );
        }
        why_none_ = "no built-in checkpoint fits, give one with --weights:" + reasons;
        throw skipped{why_none_};
    }

    life_result life_with(rlx::weights& w) {
        void* model = nullptr;
        if (rlx_error* e = open(w.handle(), nullptr, &model)) {
            if (model) throw failed{"open left a model beside its error"};
            return {take(e), "open"};
        }
        const life_result r = use(model, w);
        close(model);
        return r;
    }

    life_result use(void* model, rlx::weights& w) {
        rlx::options facts;
        if (rlx_error* e = info(model, facts.handle())) return {take(e), "info"};
        if (is_lm() && facts.get_int("vocab_size").value_or(0) < 1)
            throw failed{"info gives no vocab_size"};
        std::string refusals;
        int built = 0;
        for (const known_graph& k : known_graphs) {
            const life_result r = build_one(model, w, k, facts);
            if (r.error.code == RLX_UNSUPPORTED && !(is_lm() && k.name == std::string_view("lm"))) {
                refusals = r.error.message;
                continue;
            }
            if (!r.ok()) return r;
            built++;
        }
        if (built == 0)
            return {{RLX_UNSUPPORTED, "none of the known graphs: " + refusals}, "build"};
        return {};
    }

    life_result
    build_one(void* model, rlx::weights& w, const known_graph& k, const rlx::options& facts) {
        const auto g = declared_graph(&w, k.name, facts, subject_.about().find_op);
        if (rlx_error* e = build(model, str(k.name), g->handle())) return {take(e), "build"};
        auto finished = g->finish({});
        if (!finished.ok()) {
            return {{RLX_INTERNAL, "its graph is wrong: " + finished.error().message}, "build"};
        }
        if (g->find_output(k.output) == 0)
            throw failed{
                std::string("the graph '") + k.name + "' has no output '" + k.output + "'"};
        return {};
    }

    bool is_lm() const {
        for (const auto& p : subject_.about().manifest.provides)
            if (p.kind == "family" && p.task == "lm") return true;
        return false;
    }

    const subject& subject_;
    const rlx_family_v1* t_;
    void* self_;
    std::unique_ptr<rlx::weights> weights_;
    std::string why_none_;
};

} // namespace

std::unique_ptr<driver> drive_family(const subject& s, const void* table) {
    return std::make_unique<family_driver>(s, table);
}

} // namespace conformance

// SPDX-License-Identifier: GPL-3.0-only
// A model as a recipe: a list of stages that work on named streams. A thin layer over scope and
// blocks for models whose structure is a list; a family may as well call blocks directly. There is
// no closed set of stages: a stage is any function, and one that takes `emit` reaches everything.
// Compiled into the plugin.
//
//   model_recipe r;
//   r.declared_input("tokens", RLX_I32, 1)
//       .stage("model.embed_tokens", [&](scope m, tensor ids) { return embedding(m, ids, v, h); },
//              {.from = "tokens", .to = "main"})
//       .repeat("model.layers", n, [&](scope m, tensor x, std::int64_t layer) { ... })
//       .stage("model.norm", [&](scope m, tensor x) { return rms_norm(m, x, eps); })
//       .output("hidden");
//   return r.build(g);
#pragma once

#include "rlx/sdk/blocks.hpp"

#include <functional>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace rlx::sdk {
inline namespace sdk_v1 {

// One build in progress: the named values (streams) and the parameters made so far. Belongs to
// model_recipe::build. [one thread per graph]
struct flow {
    graph_builder* graph;
    std::map<std::string, tensor, std::less<>> streams;
    std::map<std::string, tensor, std::less<>> parameters;
};

struct load_options {
    bool transpose = false; // [a, b] in the file -> [b, a] contiguous
    bool optional = false;  // absent: an empty tensor
};

// What a stage receives: its place in the module tree, the streams, the graph. Valid during the
// stage. [one thread per graph]
class emit {
public:
    emit(flow& f, scope at, std::int64_t layer = -1) : flow_(&f), at_(at), layer_(layer) {}

    // Where the stage's weights live; what goes wrong is reported with this path.
    scope at() const { return at_; }

    scope operator[](std::string_view name) const { return at_[name]; }

    scope root() const { return scope(*flow_->graph); }

    graph_builder& graph() const { return *flow_->graph; }

    bool ok() const { return at_.ok(); }

    // Number of the innermost repeat's round, -1 outside.
    std::int64_t layer() const { return layer_; }

    // The same streams seen from another place below this one.
    emit under(std::string_view path, std::int64_t layer) const {
        return {*flow_, path.empty() ? at_ : at_[path], layer};
    }

    // -- streams: named values. A name that was never set is an error that lists the known ones.

    bool has(std::string_view stream) const { return flow_->streams.contains(stream); }

    tensor get(std::string_view stream) const {
        const auto it = flow_->streams.find(stream);
        if (it != flow_->streams.end()) return it->second;
        std::string known;
        for (const auto& [name, value] : flow_->streams)
            known += (known.empty() ? "" : ", ") + name;
        at_.fail(RLX_INTERNAL, "no stream '{}' (known: {})", stream, known);
        return {};
    }

    void set(std::string_view stream, tensor value) const {
        flow_->streams.insert_or_assign(std::string(stream), value);
    }

    // -- inputs and outputs of the graph

    tensor
    input(std::string_view name, std::uint32_t dtype, std::initializer_list<dim> dims) const {
        return graph().input(name, dtype, {dims.begin(), dims.size()});
    }

    void output(std::string_view name, tensor value) const { graph().output(name, value); }

    // -- parameters: made once per build, however often they are asked for

    // The tensor <path>.<leaf>; expect is the shape in the file. Transposed, it is computed from the
    // file's in f32 in every run, for operands of MatMul; packed weights cannot be: take them as
    // they are. The weights of large layers are better transposed once, by a name rule
    // (transposed_matrix, checkpoint::add_names), and taken by linear().
    tensor
    load(std::string_view leaf, std::initializer_list<dim> expect, load_options o = {}) const {
        const std::string key =
            format("{}{}", at_[leaf].path(), std::string_view(o.transpose ? " transposed" : ""));
        return once(key, [&]() -> tensor {
            const std::uint32_t flags = o.optional ? std::uint32_t{RLX_WEIGHT_OPTIONAL} : 0;
            const tensor w = at_.weight(leaf, expect, flags);
            if (!w || !o.transpose) return w;
            if (expect.size() != 2) {
                at_.fail(RLX_INTERNAL, "{}: only matrices are transposed", leaf);
                return {};
            }
            const tensor turned = permute(at_, w, {1, 0});
            return at_.op(RLX_OP_Cast, {turned}, {attr(RLX_ATTR_dtype, RLX_F32)});
        });
    }

    // A synthetic parameter: values in row-major order, as many as dims multiply to. name tells
    // synthetic parameters of one place apart.
    tensor constant(
        std::string_view name, std::span<const float> values, std::initializer_list<dim> dims
    ) const {
        return once(format("{} constant {}", at_.path(), name), [&] {
            return graph().constant(
                RLX_F32, {dims.begin(), dims.size()}, {values.data(), values.size_bytes()}
            );
        });
    }

    tensor zeros(std::initializer_list<dim> dims) const {
        const std::span<const dim> shape(dims.begin(), dims.size());
        return once(format("zeros {}", shape), [&] {
            return at_.op(
                RLX_OP_Fill,
                {},
                {attr_list(RLX_ATTR_dims, shape),
                 attr(RLX_ATTR_dtype, RLX_F32),
                 attr_real(RLX_ATTR_value, 0)}
            );
        });
    }

private:
    template <class Make>
    tensor once(const std::string& key, Make&& make) const {
        const auto it = flow_->parameters.find(key);
        if (it != flow_->parameters.end()) return it->second;
        const tensor made = make();
        if (ok()) flow_->parameters.emplace(key, made);
        return made;
    }

    flow* flow_;
    scope at_;
    std::int64_t layer_;
};

// A function of a model: everything a recipe is made of.
using stage = std::function<void(const emit&)>;

// Which stream a stage reads and which it writes; `to` empty: the same.
struct stream_names {
    std::string from = "main";
    std::string to = {};
};

namespace detail {

// Any of the accepted forms as a stage.
template <class F>
stage as_stage(F f, stream_names s) {
    if (s.to.empty()) s.to = s.from;
    if constexpr (std::is_invocable_r_v<void, F, const emit&>) {
        return stage(std::move(f));
    } else if constexpr (std::is_invocable_r_v<tensor, F, scope, tensor, std::int64_t>) {
        return [f = std::move(f), s = std::move(s)](const emit& e) {
            e.set(s.to, f(e.at(), e.get(s.from), e.layer()));
        };
    } else {
        static_assert(
            std::is_invocable_r_v<tensor, F, scope, tensor>,
            "a stage is void(const emit&), tensor(scope, tensor) or tensor(scope, tensor, layer)"
        );
        return [f = std::move(f), s = std::move(s)](const emit& e) {
            e.set(s.to, f(e.at(), e.get(s.from)));
        };
    }
}

} // namespace detail

// The list of stages. A value: copy it, append to it, build it as often as needed. What its stages
// capture must live until the last build. [one thread per object]
class model_recipe {
public:
    // Graph inputs, as streams of the same name.
    model_recipe& declared_input(std::string_view name, std::uint32_t dtype, std::uint32_t rank) {
        return add({}, [name = std::string(name), dtype, rank](const emit& e) {
            e.set(name, e.graph().declared_input(name, dtype, rank));
        });
    }

    model_recipe& input(std::string_view name, std::uint32_t dtype, std::vector<dim> dims) {
        return add({}, [name = std::string(name), dtype, dims = std::move(dims)](const emit& e) {
            e.set(name, e.graph().input(name, dtype, dims));
        });
    }

    // f works at `path` below the recipe's place: tensor(scope, tensor) maps one stream to another,
    // void(const emit&) does what it likes.
    template <class F>
    model_recipe& stage(std::string_view path, F f, stream_names s = {}) {
        return add(path, detail::as_stage(std::move(f), std::move(s)));
    }

    // The stages of another recipe at `path`.
    model_recipe& stage(std::string_view path, model_recipe body) {
        return add(path, [body = std::move(body)](const emit& e) { body.run(e); });
    }

    // f n times, at path.0, path.1, ...; f as for stage(), or tensor(scope, tensor, layer), or a
    // recipe.
    template <class F>
    model_recipe& repeat(std::string_view path, std::int64_t n, F f, stream_names s = {}) {
        sdk_v1::stage one;
        if constexpr (std::is_same_v<F, model_recipe>) {
            one = [body = std::move(f)](const emit& e) { body.run(e); };
        } else {
            one = detail::as_stage(std::move(f), std::move(s));
        }
        return add(path, [n, one = std::move(one)](const emit& e) {
            for (std::int64_t i = 0; i < n && e.ok(); ++i)
                one(e.under(format("{}", i), i));
        });
    }

    // A stage that maps two streams at once, as joint attention does:
    // f(scope, tensor a, tensor b) -> std::pair<tensor, tensor> (or with the layer as 4th
    // argument).
    template <class F>
    model_recipe&
    dual_stream(std::string_view path, F f, std::string a = "img", std::string b = "txt") {
        return add(path, [f = std::move(f), a = std::move(a), b = std::move(b)](const emit& e) {
            const auto [x, y] = f(e.at(), e.get(a), e.get(b));
            e.set(a, x);
            e.set(b, y);
        });
    }

    // Graph output `name`: what the stream holds then.
    model_recipe& output(std::string_view name, std::string_view stream = "main") {
        return add({}, [name = std::string(name), stream = std::string(stream)](const emit& e) {
            e.output(name, e.get(stream));
        });
    }

    // Runs the stages in order; after the first error the rest do nothing. The error stays in
    // g.errors() too.
    status build(graph_builder& g) const {
        flow f{&g, {}, {}};
        run(emit(f, scope(g)));
        return g.errors().done();
    }

private:
    struct step {
        std::string path;
        sdk_v1::stage run;
    };

    model_recipe& add(std::string_view path, sdk_v1::stage s) {
        steps_.push_back({std::string(path), std::move(s)});
        return *this;
    }

    void run(const emit& e) const {
        for (const step& s : steps_) {
            if (!e.ok()) return;
            s.run(e.under(s.path, e.layer()));
        }
    }

    std::vector<step> steps_;
};

// The names the concepts have elsewhere.
using Emit = emit;
using ModelRecipe = model_recipe;

} // namespace sdk_v1
} // namespace rlx::sdk

// SPDX-License-Identifier: GPL-3.0-only
// Graphs for the executor's tests: built through the graph table, compiled and run through the
// plugin's backend table, with weights from memory.
#pragma once

#include "rlx/abi/backend.h"
#include "rlx/base/options.hpp"
#include "rlx/base/threads.hpp"
#include "rlx/base/wall.hpp"
#include "rlx/formats/weights.hpp"
#include "rlx/graph/graph.hpp"
#include "tier.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

extern "C" rlx_error* rlx_plugin_entry_v1_rlx_cpu(const rlx_host* host, rlx_plugin* out);

namespace rlx::cpu_test {

using dim = std::int64_t;

const rlx_weights_v1* memory_weights_table();

inline const rlx_backend_v1& backend() {
    static const rlx_backend_v1* table = [] {
        host_provide("rlx.weights/1", memory_weights_table());
        host_provide("rlx.graph/1", graph_table());
        rlx_plugin p{};
        p.hdr.size = sizeof p;
        if (rlx_error* e = rlx_plugin_entry_v1_rlx_cpu(host(), &p))
            ADD_FAILURE() << from_wall(e).message;
        return static_cast<const rlx_backend_v1*>(p.iface(p.self, str("rlx.backend/1"), 0));
    }();
    return *table;
}

// ---- a checkpoint in memory
// ------------------------------------------------------------------------

struct stored_tensor {
    std::uint16_t dtype;
    std::vector<dim> dims;
    std::vector<char> bytes;
    std::vector<float> f32; // the same, dequantised
    bool in_place = true;   // view() works; else only read_rows
    int released = 0;
};

class memory_weights final : public weights {
public:
    std::map<std::string, stored_tensor, std::less<>> tensors_by_name;

    stored_tensor&
    f32(const std::string& name, std::vector<dim> dims, const std::vector<float>& data) {
        std::vector<char> bytes(data.size() * 4);
        if (!data.empty()) std::memcpy(bytes.data(), data.data(), bytes.size());
        return tensors_by_name[name] = {RLX_F32, std::move(dims), std::move(bytes), data};
    }

    // Upper halves of the floats; data is rounded to what is stored.
    stored_tensor& bf16(const std::string& name, std::vector<dim> dims, std::vector<float> data) {
        std::vector<char> bytes(data.size() * 2);
        for (std::size_t i = 0; i < data.size(); ++i) {
            std::uint32_t u;
            std::memcpy(&u, &data[i], 4);
            u &= 0xffff0000u;
            std::memcpy(&data[i], &u, 4);
            std::memcpy(bytes.data() + 2 * i, reinterpret_cast<char*>(&u) + 2, 2);
        }
        return tensors_by_name[name] = {RLX_BF16, std::move(dims), std::move(bytes), data};
    }

    // Q8_0 blocks of data; data becomes what the blocks hold.
    stored_tensor& q8_0(const std::string& name, std::vector<dim> dims, std::vector<float> data) {
        std::vector<char> bytes;
        for (std::size_t b = 0; b + 32 <= data.size(); b += 32) {
            float top = 0;
            for (std::size_t i = 0; i < 32; ++i)
                top = std::max(top, std::abs(data[b + i]));
            const auto d = static_cast<_Float16>(top / 127);
            const float scale = static_cast<float>(d);
            const char* p = reinterpret_cast<const char*>(&d);
            bytes.insert(bytes.end(), p, p + 2);
            for (std::size_t i = 0; i < 32; ++i) {
                const auto q =
                    static_cast<std::int8_t>(scale > 0 ? std::lround(data[b + i] / scale) : 0);
                bytes.push_back(static_cast<char>(q));
                data[b + i] = q * scale;
            }
        }
        return tensors_by_name[name] = {RLX_Q8_0, std::move(dims), std::move(bytes), data};
    }

    static memory_weights& of(const rlx_weights* w) {
        return *const_cast<memory_weights*>(reinterpret_cast<const memory_weights*>(w));
    }

    std::string_view format() const override { return "memory"; }

    std::string_view architecture() const override { return {}; }

    const std::filesystem::path& path() const override { return path_; }

    std::span<const tensor_info> tensors() const override { return {}; }

    std::uint64_t file_bytes() const override { return 0; }

    std::optional<std::string_view> meta_string(std::string_view) const override { return {}; }

    std::optional<std::int64_t> meta_int(std::string_view) const override { return {}; }

    std::optional<double> meta_float(std::string_view) const override { return {}; }

    std::optional<bool> meta_bool(std::string_view) const override { return {}; }

    std::optional<std::vector<std::string_view>> meta_strings(std::string_view) const override {
        return {};
    }

    std::optional<std::vector<double>> meta_floats(std::string_view) const override { return {}; }

    std::optional<std::vector<std::int64_t>> meta_ints(std::string_view) const override {
        return {};
    }

    std::vector<std::string> meta_keys() const override { return {}; }

    result<std::optional<std::string>> sidecar(std::string_view) const override {
        return std::optional<std::string>();
    }

    std::vector<std::string> unused() const override { return {}; }

    rlx_weights* handle() override { return reinterpret_cast<rlx_weights*>(this); }

private:
    std::filesystem::path path_;
};

// ---- graphs
// ----------------------------------------------------------------------------------------

struct attr {
    attr(std::uint16_t key, std::int64_t v) : a{key, RLX_ATTR_I64, 1, v, 0, nullptr, 0} {}

    attr(std::uint16_t key, int v) : attr(key, static_cast<std::int64_t>(v)) {}

    attr(std::uint16_t key, double v) : a{key, RLX_ATTR_F64, 1, 0, v, nullptr, 0} {}

    attr(std::uint16_t key, std::vector<dim> v)
        : a{key, RLX_ATTR_LIST, 1, 0, 0, nullptr, v.size()}, list(std::move(v)) {}

    rlx_attr a;
    std::vector<dim> list;
};

class net {
public:
    explicit net(memory_weights* w = nullptr) : g(graph::create(w)), api(graph_table()) {
        backend();
    }

    std::unique_ptr<graph> g;
    const rlx_graph_v1* api;

    dim sym(std::string_view name, dim max, dim min = 0) {
        dim d = 0;
        ok(api->symbol(g->handle(), str(name), min, max, 1, &d));
        return d;
    }

    rlx_value in(std::string_view name, std::uint32_t dtype, std::vector<dim> dims) {
        rlx_value v = 0;
        ok(api->input(
            g->handle(), str(name), dtype, static_cast<std::uint32_t>(dims.size()), dims.data(), &v
        ));
        return v;
    }

    rlx_value weight(std::string_view name, std::vector<dim> expect) {
        rlx_value v = 0;
        ok(api->weight(
            g->handle(), str(name), static_cast<std::uint32_t>(expect.size()), expect.data(), 0, &v
        ));
        return v;
    }

    rlx_value constant(std::vector<dim> dims, const std::vector<float>& data) {
        rlx_value v = 0;
        ok(api->constant(
            g->handle(),
            RLX_F32,
            static_cast<std::uint32_t>(dims.size()),
            dims.data(),
            {data.data(), data.size() * 4},
            &v
        ));
        return v;
    }

    rlx_value state(std::string_view name, dim heads, dim k, dim v) {
        const rlx_state_slot slot{sizeof slot, RLX_STATE_KV, heads, k, v};
        rlx_value out = 0;
        ok(api->state(g->handle(), str(name), &slot, &out));
        return out;
    }

    rlx_value
    add(std::uint32_t op,
        std::vector<rlx_value> in,
        std::vector<attr> attrs = {},
        rlx_value* second = nullptr) {
        std::vector<rlx_attr> raw;
        for (attr& a : attrs) {
            a.a.list = a.list.data();
            raw.push_back(a.a);
        }
        rlx_value out[2] = {0, 0};
        add_node(op, in, raw, {out, second ? 2u : 1u});
        if (second) *second = out[1];
        return out[0];
    }

    // All n results of an op.
    std::vector<rlx_value>
    add_all(std::uint32_t op, std::vector<rlx_value> in, std::vector<attr> attrs, std::size_t n) {
        std::vector<rlx_attr> raw;
        for (attr& a : attrs) {
            a.a.list = a.list.data();
            raw.push_back(a.a);
        }
        std::vector<rlx_value> out(n, 0);
        add_node(op, in, raw, out);
        return out;
    }

    rlx_value output(std::string_view name, rlx_value v) {
        ok(api->output(g->handle(), str(name), v));
        return v;
    }

private:
    void add_node(
        std::uint32_t op,
        const std::vector<rlx_value>& in,
        const std::vector<rlx_attr>& attrs,
        std::span<rlx_value> out
    ) {
        ok(api->add(
            g->handle(),
            op,
            in.data(),
            static_cast<std::uint32_t>(in.size()),
            attrs.data(),
            static_cast<std::uint32_t>(attrs.size()),
            out.data(),
            static_cast<std::uint32_t>(out.size())
        ));
    }

    static void ok(rlx_error* e) {
        if (e) ADD_FAILURE() << from_wall(e).message;
    }
};

// ---- running
// ---------------------------------------------------------------------------------------

struct setup {
    std::string tier; // empty: the best
    bool fuse = true;
    std::string compute = "f32";
    std::string kv = "f32";
    std::uint32_t page_tokens = 16;
    std::vector<std::uint16_t> refused = {}; // ops the backend shall not claim
    const rlx_backend_v1* api = nullptr;     // another backend than the CPU
    std::string cache_dir = {};
    std::string fault = {};
    int validate = 0;
    int max_binding = 0;
    bool finished = false; // the graph is: another session has claimed its nodes
    // Of compile.
    const volatile std::uint32_t* cancel = nullptr;
    rlx_progress_fn progress = nullptr;
    void* progress_ctx = nullptr;
};

// A finished graph compiled for one device. Failures to build are test failures; run() returns the
// error text.
class session {
public:
    session(net& n, const setup& s) : n_(n), api_(s.api ? *s.api : backend()) {
        options o;
        if (!s.cache_dir.empty()) o.set_string("cache_dir", s.cache_dir);
        if (!s.fault.empty()) o.set_string("fault", s.fault);
        if (s.validate) o.set_int("validate", s.validate);
        if (s.max_binding) o.set_int("max_binding", s.max_binding);
        if (!s.tier.empty()) o.set_string("tier", s.tier);
        error = text(api_.open(nullptr, 0, o.handle(), &device_));
        if (!error.empty()) return;
        const auto claims = [&](std::span<const std::uint32_t> nodes,
                                std::span<std::uint8_t> verdict,
                                std::span<std::string> why) -> result<void> {
            std::vector<rlx_str> reason(nodes.size());
            RLX_CHECK(check_wall(api_.supports(
                device_, n.g->handle(), nodes.data(), nodes.size(), verdict.data(), reason.data()
            )));
            for (std::size_t i = 0; i < nodes.size(); ++i) {
                why[i] = std::string(view(reason[i]));
                rlx_node_info info{};
                info.size = sizeof info;
                RLX_CHECK(check_wall(n.api->node(n.g->handle(), nodes[i], &info)));
                if (std::count(s.refused.begin(), s.refused.end(), info.op)) verdict[i] = RLX_NO;
            }
            return {};
        };
        if (s.finished) {
        } else if (auto r = n.g->finish(claims); !r) {
            error = r.error().message;
            return;
        }
        nodes_.resize(n.api->node_count(n.g->handle()));
        for (std::uint32_t i = 0; i < nodes_.size(); ++i)
            nodes_[i] = i;
        compile_options_.set_string("compute", s.compute).set_string("kv", s.kv);
        compile_options_.set_int("fuse", s.fuse ? 1 : 0);
        args_.size = sizeof args_;
        args_.page_tokens = s.page_tokens;
        args_.graph = n.g->handle();
        args_.nodes = nodes_.data();
        args_.n_nodes = nodes_.size();
        args_.options = compile_options_.handle();
        args_.cancel = s.cancel;
        args_.progress = s.progress;
        args_.progress_ctx = s.progress_ctx;
        measured.size = sizeof measured;
        error = text(api_.measure(device_, &args_, &measured));
        if (error.empty()) error = text(api_.compile(device_, &args_, &program_));
        if (!error.empty()) return;
        error = text(api_.alloc(device_, n.g->scratch_bytes() + measured.scratch, &scratch_));
    }

    ~session() {
        if (program_) api_.program_free(device_, program_);
        if (scratch_) api_.free(device_, scratch_);
        for (auto& [v, b] : states_)
            api_.free(device_, b);
        if (device_) api_.close(nullptr, device_);
    }

    session(const session&) = delete;
    session& operator=(const session&) = delete;

    template <class T>
    session& set(rlx_value v, const std::vector<T>& data) {
        auto& bytes = host_[v];
        bytes.resize(data.size() * sizeof(T));
        if (!data.empty()) std::memcpy(bytes.data(), data.data(), bytes.size());
        return *this;
    }

    session& pages(rlx_value state, std::uint64_t n) {
        std::uint64_t bytes = 0;
        error = text(api_.page_bytes(device_, &args_, state, &bytes));
        error += text(api_.alloc(device_, bytes * n, &states_[state]));
        state_bytes_[state] = bytes * n;
        return *this;
    }

    // Binds the first n pages of the state's buffer from now on.
    void bind_pages(rlx_value state, std::uint64_t n) {
        std::uint64_t bytes = 0;
        error = text(api_.page_bytes(device_, &args_, state, &bytes));
        state_bytes_[state] = bytes * n;
    }

    void free_pages(rlx_value state) { api_.free(device_, std::exchange(states_[state], nullptr)); }

    // Runs with room for `sizes` elements per output; returns the error's text. NaN-filled outputs
    // show what is not written.
    std::string
    run(std::vector<std::pair<std::string_view, dim>> extents,
        std::map<rlx_value, std::size_t> sizes,
        const volatile std::uint32_t* cancel = nullptr) {
        const auto values = n_.g->extents(extents);
        if (!values) return values.error().message;
        std::vector<rlx_binding> bind;
        for (auto& [v, bytes] : host_)
            bind.push_back({v, 0, bytes.data(), nullptr, bytes.size()});
        for (auto& [v, b] : states_)
            bind.push_back({v, 0, nullptr, b, state_bytes_[v]});
        for (auto& [v, n] : sizes) {
            auto& o = out_[v];
            o.assign(n * 4, static_cast<char>(0xff));
            bind.push_back({v, 0, o.data(), nullptr, o.size()});
        }
        rlx_run_args r{};
        r.size = sizeof r;
        r.n_extents = static_cast<std::uint32_t>(values.value().size());
        r.extents = values.value().data();
        r.bind = bind.data();
        r.n_bind = bind.size();
        r.bind_stride = sizeof(rlx_binding);
        r.scratch = scratch_;
        r.cancel = cancel;
        return text(api_.run(device_, program_, &r));
    }

    std::vector<float> f32(rlx_value v) { return as<float>(v); }

    std::vector<std::int32_t> i32(rlx_value v) { return as<std::int32_t>(v); }

    std::string info(std::string_view key) {
        options o;
        if (rlx_error* e = api_.program_info(device_, program_, o.handle()))
            return from_wall(e).message;
        return std::string(o.get_string(key).value_or(""));
    }

    std::int64_t count(std::string_view key) {
        options o;
        if (rlx_error* e = api_.program_info(device_, program_, o.handle()))
            ADD_FAILURE() << from_wall(e).message;
        return o.get_int(key).value_or(-1);
    }

    std::string error;      // of building; empty = ready
    std::uint32_t code = 0; // of the last failing call
    rlx_memory measured{};

private:
    std::string text(rlx_error* e) {
        if (!e) return {};
        const rlx::error err = from_wall(e);
        code = err.code;
        return err.message;
    }

    template <class T>
    std::vector<T> as(rlx_value v) {
        const auto& bytes = out_[v];
        std::vector<T> data(bytes.size() / sizeof(T));
        if (!data.empty()) std::memcpy(data.data(), bytes.data(), bytes.size());
        return data;
    }

    net& n_;
    const rlx_backend_v1& api_;
    void* device_ = nullptr;
    void* program_ = nullptr;
    rlx_buffer* scratch_ = nullptr;
    std::vector<std::uint32_t> nodes_;
    options compile_options_;
    rlx_compile_args args_{};
    std::map<rlx_value, std::vector<char>> host_, out_;
    std::map<rlx_value, rlx_buffer*> states_;
    std::map<rlx_value, std::uint64_t> state_bytes_;
};

// Repeatable numbers in [lo, hi).
inline std::vector<float> numbers(std::size_t n, std::uint32_t seed, float lo = -1, float hi = 1) {
    std::mt19937 rng(seed);
    std::uniform_real_distribution<float> d(lo, hi);
    std::vector<float> v(n);
    for (float& x : v)
        x = d(rng);
    return v;
}

// Largest difference relative to want's root mean square; infinity when sizes differ or something
// is NaN.
inline double distance(const std::vector<float>& got, const std::vector<float>& want) {
    if (got.size() != want.size()) return INFINITY;
    double worst = 0, squares = 1e-30;
    for (std::size_t i = 0; i < got.size(); ++i) {
        if (!(std::abs(got[i]) < INFINITY)) return INFINITY;
        worst = std::max<double>(worst, std::abs(static_cast<double>(got[i]) - want[i]));
        squares += static_cast<double>(want[i]) * want[i];
    }
    return worst / std::sqrt(squares / std::max<double>(1, static_cast<double>(want.size())));
}

// A test per kernel tier (the parameter); skips where the machine lacks it. Three threads.
class tier_test : public testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        char missing[160];
        for (int i = 0; i < cpu::n_tiers; ++i) {
            const auto t = static_cast<cpu::tier>(i);
            if (std::string(GetParam()) != cpu::tier_name(t)) continue;
            if (cpu::tier_missing(cpu::detect_features(), t, missing, sizeof missing))
                GTEST_SKIP() << "this processor lacks " << missing;
        }
        (void)set_threads(3);
    }

    void TearDown() override { (void)set_threads(2); }
};

} // namespace rlx::cpu_test

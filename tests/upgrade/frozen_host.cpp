// SPDX-License-Identifier: GPL-3.0-only
// Compiled against the frozen headers only (tests/upgrade/sdk-1.0).
#include "frozen_host.hpp"

#include "rlx/abi/backend.h"
#include "rlx/abi/family.h"

#include <algorithm>
#include <cstring>
#include <dlfcn.h>
#include <exception>
#include <string_view>

static_assert(RLX_ABI_MAJOR == 1 && RLX_ABI_MINOR == 0, "these are not the frozen headers");

namespace frozen_host {
namespace {

const rlx_host* real = nullptr;
std::uint64_t refused = 0;

rlx_str str(std::string_view s) {
    return {s.data(), s.size()};
}

std::string_view view(rlx_str s) {
    return {s.p ? s.p : "", static_cast<std::size_t>(s.n)};
}

const void* real_table(const char* name) {
    return real->iface(real->ctx, str(name), 0);
}

// The leading members of a table of any later minor are the frozen ones.
template <class Table>
Table cut(const void* later) {
    Table t{};
    if (!later) return t;
    std::memcpy(
        &t, later, std::min<std::size_t>(sizeof t, static_cast<const rlx_hdr*>(later)->size)
    );
    t.hdr = {sizeof t, 1, 0};
    return t;
}

// A struct the caller filled the size of: the other side sees no more than the frozen part of it.
template <class T>
class frozen_size {
public:
    explicit frozen_size(T* s) : s_(s), size_(s ? s->size : 0) {
        if (s) s->size = std::min<std::uint32_t>(s->size, sizeof(T));
    }

    ~frozen_size() {
        if (s_) s_->size = size_;
    }

private:
    T* s_;
    std::uint32_t size_;
};

// ---- services, host -> plugin ----

const rlx_weights_v1* real_weights() {
    static const auto* t = static_cast<const rlx_weights_v1*>(real_table("rlx.weights/1"));
    return t;
}

const rlx_graph_v1* real_graph() {
    static const auto* t = static_cast<const rlx_graph_v1*>(real_table("rlx.graph/1"));
    return t;
}

rlx_error* weights_meta(const rlx_weights* w, rlx_str key, rlx_meta* out, uint32_t* found) {
    const frozen_size<rlx_meta> size(out);
    return real_weights()->meta(w, key, out, found);
}

rlx_error* weights_find(const rlx_weights* w, rlx_str name, rlx_tensor_desc* out, uint32_t* found) {
    const frozen_size<rlx_tensor_desc> size(out);
    return real_weights()->find(w, name, out, found);
}

rlx_error* weights_require(rlx_weights* w, rlx_str name, rlx_tensor_desc* out) {
    const frozen_size<rlx_tensor_desc> size(out);
    return real_weights()->require(w, name, out);
}

rlx_error* graph_node(const rlx_graph* g, uint32_t index, rlx_node_info* out) {
    const frozen_size<rlx_node_info> size(out);
    return real_graph()->node(g, index, out);
}

rlx_error* graph_value(const rlx_graph* g, rlx_value v, rlx_value_info* out) {
    const frozen_size<rlx_value_info> size(out);
    return real_graph()->value(g, v, out);
}

struct known_attr {
    std::uint32_t op;
    std::uint16_t key;
};

constexpr std::uint32_t known_ops[] = {
#define RLX_OP(id, name, version, min_in, max_in, n_out, kind, rule) id,
#define RLX_OP_ATTR(op, attr, kind, required)
#include "rlx/abi/ops.def"
#undef RLX_OP
#undef RLX_OP_ATTR
};

constexpr known_attr known_attrs[] = {
#define RLX_OP(id, name, version, min_in, max_in, n_out, kind, rule)
#define RLX_OP_ATTR(op, attr, kind, required) {RLX_OP_##op, RLX_ATTR_##attr},
#include "rlx/abi/ops.def"
#undef RLX_OP
#undef RLX_OP_ATTR
};

bool is_known(std::uint32_t op, const rlx_attr* attrs, std::uint32_t n) {
    if (std::find(std::begin(known_ops), std::end(known_ops), op) == std::end(known_ops))
        return false;
    for (std::uint32_t i = 0; i < n; i++) {
        const auto* hit =
            std::find_if(std::begin(known_attrs), std::end(known_attrs), [&](const known_attr& k) {
                return k.op == op && k.key == attrs[i].key;
            });
        if (hit == std::end(known_attrs)) return false;
    }
    return true;
}

rlx_error* graph_add(
    rlx_graph* g,
    uint32_t op,
    const rlx_value* in,
    uint32_t n_in,
    const rlx_attr* attrs,
    uint32_t n_attr,
    rlx_value* out,
    uint32_t n_out
) {
    if (!is_known(op, attrs, n_attr)) {
        refused++;
        const std::string text = "op " + std::to_string(op) +
                                 " or one of its attributes is not in the op set of ABI 1.0";
        return real->error_new(real->ctx, RLX_UNSUPPORTED, str(text), nullptr);
    }
    return real_graph()->add(g, op, in, n_in, attrs, n_attr, out, n_out);
}

const rlx_weights_v1* weights() {
    static const rlx_weights_v1 table = [] {
        auto t = cut<rlx_weights_v1>(real_weights());
        t.meta = weights_meta;
        t.find = weights_find;
        t.require = weights_require;
        return t;
    }();
    return &table;
}

const rlx_graph_v1* graph() {
    static const rlx_graph_v1 table = [] {
        auto t = cut<rlx_graph_v1>(real_graph());
        t.node = graph_node;
        t.value = graph_value;
        t.add = graph_add;
        return t;
    }();
    return &table;
}

const void* host_iface(void*, rlx_str name, uint16_t min_minor) {
    static const auto options = cut<rlx_options_v1>(real_table("rlx.options/1"));
    static const auto par = cut<rlx_par_v1>(real_table("rlx.par/1"));
    if (min_minor > 0) return nullptr;
    const std::string_view n = view(name);
    if (n == "rlx.options/1") return &options;
    if (n == "rlx.par/1") return &par;
    if (n == "rlx.weights/1") return weights();
    if (n == "rlx.graph/1") return graph();
    return nullptr;
}

const rlx_host* frozen_table(const void* real_host) {
    if (!real) real = static_cast<const rlx_host*>(real_host);
    static const rlx_host table = [] {
        auto t = cut<rlx_host>(real);
        t.iface = host_iface;
        return t;
    }();
    return &table;
}

// ---- plugin -> host: what a backend is told ----

const rlx_backend_v1* device_table = nullptr;

rlx_compile_args cut_args(const rlx_compile_args* a) {
    rlx_compile_args out = *a;
    out.size = std::min<std::uint32_t>(a->size, sizeof out);
    return out;
}

rlx_error* backend_measure(void* device, const rlx_compile_args* a, rlx_memory* out) {
    const rlx_compile_args args = cut_args(a);
    const frozen_size<rlx_memory> size(out);
    return device_table->measure(device, &args, out);
}

rlx_error* backend_compile(void* device, const rlx_compile_args* a, void** program) {
    const rlx_compile_args args = cut_args(a);
    return device_table->compile(device, &args, program);
}

rlx_error*
backend_page_bytes(void* device, const rlx_compile_args* a, rlx_value state, uint64_t* bytes) {
    const rlx_compile_args args = cut_args(a);
    return device_table->page_bytes(device, &args, state, bytes);
}

rlx_error* backend_run(void* device, void* program, const rlx_run_args* a) {
    rlx_run_args args = *a;
    args.size = std::min<std::uint32_t>(a->size, sizeof args);
    return device_table->run(device, program, &args);
}

rlx_plugin* plugin_table() {
    static rlx_plugin table; // one at a time is enough: what is needed later is copied
    return &table;
}

std::string text_of(rlx_error* e) {
    std::string out(view(real->error_message(e)));
    real->error_free(e);
    return out.empty() ? "an error without a message" : out;
}

} // namespace

std::string load(const char* library, const void* real_host, plugin& out) {
    void* handle = ::dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle) return ::dlerror();
    const auto entry =
        reinterpret_cast<rlx_plugin_entry_fn>(::dlsym(handle, RLX_PLUGIN_ENTRY_SYMBOL));
    if (!entry) return "no entry";
    rlx_plugin& t = *plugin_table();
    t = {};
    t.hdr.size = sizeof t;
    try {
        if (rlx_error* e = entry(frozen_table(real_host), &t)) return text_of(e);
    } catch (const std::exception& e) {
        return std::string("the entry threw: ") + e.what();
    }
    if (t.hdr.size > sizeof t || !RLX_HAS(&t, iface)) return "the entry left no usable table";
    auto* copy = new rlx_plugin(t); // for ever, as a host keeps it
    out.self = t.self;
    out.table = copy;
    out.id = view(t.id);
    out.version = view(t.version);
    out.table_bytes = t.hdr.size;
    out.major = t.hdr.major;
    out.minor = t.hdr.minor;
    return {};
}

namespace {

const void* ask(const plugin& p, const char* name) {
    const auto* t = static_cast<const rlx_plugin*>(p.table);
    return t->iface(t->self, str(name), 0);
}

} // namespace

const void* family(const plugin& p) {
    const void* later = ask(p, "rlx.family/1");
    return later ? new rlx_family_v1(cut<rlx_family_v1>(later)) : nullptr;
}

const void* backend(const plugin& p) {
    device_table = static_cast<const rlx_backend_v1*>(ask(p, "rlx.backend/1"));
    if (!device_table) return nullptr;
    auto* t = new rlx_backend_v1(cut<rlx_backend_v1>(device_table));
    if (t->measure) t->measure = backend_measure;
    if (t->compile) t->compile = backend_compile;
    if (t->page_bytes) t->page_bytes = backend_page_bytes;
    if (t->run) t->run = backend_run;
    return t;
}

sizes frozen_sizes() {
    return {
        sizeof(rlx_host),
        sizeof(rlx_plugin),
        sizeof(rlx_weights_v1),
        sizeof(rlx_graph_v1),
        sizeof(rlx_options_v1),
        sizeof(rlx_par_v1),
        sizeof(rlx_family_v1),
        sizeof(rlx_backend_v1),
        sizeof(rlx_compile_args),
        sizeof(rlx_run_args)};
}

const void* host(const void* real_host) {
    return frozen_table(real_host);
}

std::uint64_t ops_refused() {
    return refused;
}

} // namespace frozen_host

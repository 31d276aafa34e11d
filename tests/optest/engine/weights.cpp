// SPDX-License-Identifier: GPL-3.0-only
#include "weights.hpp"

#include "rlx/base/wall.hpp"
#include "rlx/formats/dequant.hpp"

#include <cstring>

namespace optest {
namespace {

using rlx::str;

std::set<const void*>& in_memory() {
    static std::set<const void*> all;
    return all;
}

const rlx_weights_v1& real() {
    return *rlx::weights_table();
}

// Null for a checkpoint in files.
const memory_weights* mine(const rlx_weights* w) {
    return in_memory().contains(w) ? reinterpret_cast<const memory_weights*>(w) : nullptr;
}

const stored_tensor* lookup(const memory_weights& m, rlx_str name) {
    const auto it = m.stored.find(rlx::view(name));
    return it == m.stored.end() ? nullptr : &it->second;
}

void describe(const stored_tensor& t, rlx_tensor_desc* out) {
    out->dtype = t.dtype;
    out->rank = static_cast<std::uint16_t>(t.dims.size());
    for (std::size_t i = 0; i < t.dims.size(); ++i)
        out->dim[i] = t.dims[i];
    out->n_bytes = t.bytes.size();
}

rlx_str format(const rlx_weights* w) {
    return mine(w) ? str("memory") : real().format(w);
}

rlx_str architecture(const rlx_weights* w) {
    return mine(w) ? str("") : real().architecture(w);
}

rlx_error* meta(const rlx_weights* w, rlx_str key, rlx_meta* out, std::uint32_t* found) {
    if (!mine(w)) return real().meta(w, key, out, found);
    *found = 0;
    return nullptr;
}

rlx_error*
add_names(rlx_weights* w, const rlx_name_rule* rules, std::uint64_t n, std::uint64_t stride) {
    return mine(w) ? nullptr : real().add_names(w, rules, n, stride);
}

rlx_error* find(const rlx_weights* w, rlx_str name, rlx_tensor_desc* out, std::uint32_t* found) {
    const memory_weights* m = mine(w);
    if (!m) return real().find(w, name, out, found);
    const stored_tensor* t = lookup(*m, name);
    *found = t != nullptr;
    if (t) describe(*t, out);
    return nullptr;
}

rlx_error* missing(rlx_str name) {
    return rlx::to_wall({RLX_NOT_FOUND, std::string(rlx::view(name)) + ": not there"});
}

rlx_error* require(rlx_weights* w, rlx_str name, rlx_tensor_desc* out) {
    const memory_weights* m = mine(w);
    if (!m) return real().require(w, name, out);
    const stored_tensor* t = lookup(*m, name);
    if (!t) return missing(name);
    describe(*t, out);
    return nullptr;
}

rlx_error* view_of(const rlx_weights* w, rlx_str name, rlx_bytes* out) {
    const memory_weights* m = mine(w);
    if (!m) return real().view(w, name, out);
    const stored_tensor* t = lookup(*m, name);
    if (!t) return missing(name);
    *out = {t->bytes.data(), t->bytes.size()};
    return nullptr;
}

struct span_of_rows {
    const char* p = nullptr;
    std::uint64_t bytes = 0, elements = 0;
};

// Rows [first, first + n) of the tensor as [outer, innermost]; null when they are not there.
span_of_rows rows_of(const stored_tensor* t, std::uint64_t first, std::uint64_t n) {
    if (!t) return {};
    std::uint64_t rows = 1;
    for (std::size_t i = 0; i + 1 < t->dims.size(); ++i)
        rows *= static_cast<std::uint64_t>(t->dims[i]);
    if (first > rows || n > rows - first) return {};
    const std::uint64_t row = rows ? t->bytes.size() / rows : 0;
    const std::uint64_t width = t->dims.empty() ? 1 : static_cast<std::uint64_t>(t->dims.back());
    static const char nothing = 0;
    return {row ? t->bytes.data() + first * row : &nothing, n * row, n * width};
}

rlx_error* read_rows(
    const rlx_weights* w,
    rlx_str name,
    std::uint64_t first,
    std::uint64_t n,
    void* dst,
    std::uint64_t bytes
) {
    const memory_weights* m = mine(w);
    if (!m) return real().read_rows(w, name, first, n, dst, bytes);
    const span_of_rows s = rows_of(lookup(*m, name), first, n);
    if (!s.p || s.bytes != bytes)
        return rlx::to_wall({RLX_INVALID_ARGUMENT, "read_rows outside the tensor"});
    if (bytes) std::memcpy(dst, s.p, bytes);
    return nullptr;
}

rlx_error*
read_f32(const rlx_weights* w, rlx_str name, std::uint64_t first, std::uint64_t n, float* dst) {
    const memory_weights* m = mine(w);
    if (!m) return real().read_f32(w, name, first, n, dst);
    const stored_tensor* t = lookup(*m, name);
    const span_of_rows s = rows_of(t, first, n);
    if (!s.p) return rlx::to_wall({RLX_INVALID_ARGUMENT, "read_f32 outside the tensor"});
    auto done = rlx::dequantize(t->dtype, s.p, s.elements, dst);
    return done.ok() ? nullptr : rlx::to_wall(done.error());
}

void release(const rlx_weights* w, rlx_str name) {
    if (!mine(w)) real().release(w, name);
}

constexpr rlx_weights_v1 table = [] {
    rlx_weights_v1 t{};
    t.hdr = {sizeof t, 1, 0};
    t.format = format;
    t.architecture = architecture;
    t.meta = meta;
    t.add_names = add_names;
    t.find = find;
    t.require = require;
    t.view = view_of;
    t.read_rows = read_rows;
    t.read_f32 = read_f32;
    t.release = release;
    return t;
}();

} // namespace

memory_weights::memory_weights() {
    in_memory().insert(handle());
}

memory_weights::~memory_weights() {
    in_memory().erase(handle());
}

void offer_weights() {
    rlx::host_provide("rlx.weights/1", &table); // the first one offered stays
}

} // namespace optest

// SPDX-License-Identifier: GPL-3.0-only
#include "net.hpp"

namespace rlx::cpu_test {

namespace {

stored_tensor* lookup(const rlx_weights* w, rlx_str name) {
    auto& all = memory_weights::of(w).tensors_by_name;
    const auto it = all.find(view(name));
    return it == all.end() ? nullptr : &it->second;
}

void describe(const stored_tensor& t, rlx_tensor_desc* out) {
    out->dtype = t.dtype;
    out->rank = static_cast<std::uint16_t>(t.dims.size());
    for (std::size_t i = 0; i < t.dims.size(); ++i)
        out->dim[i] = t.dims[i];
    out->n_bytes = t.bytes.size();
}

rlx_error* find(const rlx_weights* w, rlx_str name, rlx_tensor_desc* out, std::uint32_t* found) {
    const stored_tensor* t = lookup(w, name);
    *found = t != nullptr;
    if (t) describe(*t, out);
    return nullptr;
}

rlx_error* require(rlx_weights* w, rlx_str name, rlx_tensor_desc* out) {
    const stored_tensor* t = lookup(w, name);
    if (!t) return to_wall({RLX_NOT_FOUND, std::string(view(name)) + ": not there"});
    describe(*t, out);
    return nullptr;
}

rlx_error* view_of(const rlx_weights* w, rlx_str name, rlx_bytes* out) {
    const stored_tensor* t = lookup(w, name);
    *out = t->in_place ? rlx_bytes{t->bytes.data(), t->bytes.size()} : rlx_bytes{nullptr, 0};
    return nullptr;
}

std::uint64_t rows_of(const stored_tensor& t) {
    std::uint64_t n = 1;
    for (std::size_t i = 0; i + 1 < t.dims.size(); ++i)
        n *= static_cast<std::uint64_t>(t.dims[i]);
    return n;
}

rlx_error* read_rows(
    const rlx_weights* w,
    rlx_str name,
    std::uint64_t first,
    std::uint64_t n,
    void* dst,
    std::uint64_t bytes
) {
    const stored_tensor* t = lookup(w, name);
    const std::uint64_t row = t->bytes.size() / rows_of(*t);
    if (first + n > rows_of(*t) || bytes != n * row)
        return to_wall({RLX_INTERNAL, "read_rows outside the tensor"});
    std::memcpy(dst, t->bytes.data() + first * row, bytes);
    return nullptr;
}

rlx_error*
read_f32(const rlx_weights* w, rlx_str name, std::uint64_t first, std::uint64_t n, float* dst) {
    const stored_tensor* t = lookup(w, name);
    const std::uint64_t row = t->f32.size() / rows_of(*t);
    if (first + n > rows_of(*t)) return to_wall({RLX_INTERNAL, "read_f32 outside the tensor"});
    std::memcpy(dst, t->f32.data() + first * row, n * row * 4);
    return nullptr;
}

void release(const rlx_weights* w, rlx_str name) {
    ++lookup(w, name)->released;
}

} // namespace

const rlx_weights_v1* memory_weights_table() {
    static const rlx_weights_v1 table = [] {
        rlx_weights_v1 t{};
        t.hdr = {sizeof t, 1, 0};
        t.find = find;
        t.require = require;
        t.view = view_of;
        t.read_rows = read_rows;
        t.read_f32 = read_f32;
        t.release = release;
        return t;
    }();
    return &table;
}

} // namespace rlx::cpu_test

// SPDX-License-Identifier: GPL-3.0-only
// The ops of this backend. Each lives in its ops/<op>.cpp with shaders/<op>.comp: the reason why a
// node cannot run here, and the step that records it.
#pragma once

#include "recorder.hpp"

namespace rlx::vulkan {

struct op_entry {
    std::uint16_t op;
    const char* (*why)(const node& n, const program& p); // null: it can run; else static text
    std::unique_ptr<step> (*make)();
};

const op_entry* find_op(std::uint16_t op); // null: no shader for it

bool is_view(std::uint16_t op);

// Null when the node can run on this device, else static text.
const char* why_not(const node& n, const program& p);

template <class Step>
std::unique_ptr<step> make_step() {
    return std::make_unique<Step>();
}

// ---- shared by the ops ----
// Usable where f32 is wanted: float weights are widened when they are loaded.
bool f32_like(const program& p, const tensor* t);
const char* all_f32(const node& n, const program& p, std::size_t first = 0);

// Loads the weight or constant behind t as an array; nothing to do for other values.
status want_plain(program& p, tensor* t);
status want_plain(program& p, node& n);

// The stored matrix behind a product's or a gather's table; null when t is none (made at run time,
// a view of columns) or no shader reads its type.
struct stored_rows {
    const matrix_format* format = nullptr;
    std::int64_t first_row = 0, rows = 0, cols = 0;
};

bool find_stored(const program& p, const tensor& t, stored_rows* out);
matrix_weight* want_matrix(program& p, const tensor& t, const stored_rows& rows);

// Dims of a tensor with neighbours joined where all the given strides allow it. At most `max` axes
// remain (in front, padded with 1); false when there are more.
struct walk {
    static constexpr std::uint32_t max = 8;
    std::uint32_t rank = 0;
    std::uint32_t dim[max] = {};
    std::uint32_t stride[4][max] = {}; // of each tensor; 0 where it repeats
};

// shape: what is walked; tensors broadcast to it as numpy does.
walk make_walk(const tensor& shape, std::initializer_list<const tensor*> tensors);

template <std::size_t N>
void fill_dims(const walk& w, std::uint32_t (&dims)[N]) {
    for (std::uint32_t i = 0; i < N; ++i)
        dims[i] = i < w.rank ? w.dim[i] : 1;
}

template <std::size_t N>
void fill_strides(const walk& w, std::size_t which, std::uint32_t (&strides)[N]) {
    for (std::uint32_t i = 0; i < N; ++i)
        strides[i] = i < w.rank ? w.stride[which][i] : 0;
}

inline std::uint32_t u32(std::int64_t n) {
    return static_cast<std::uint32_t>(n);
}

inline std::uint64_t groups_of(std::int64_t n, std::uint32_t size = group_size) {
    return (static_cast<std::uint64_t>(n) + size - 1) / size;
}

} // namespace rlx::vulkan

// SPDX-License-Identifier: GPL-3.0-only
#include "dtype.hpp"

#include "rlx/abi/dtype.h"

#include <fmt/format.h>

namespace rlx::ir {

namespace {

struct row {
    std::uint32_t dtype;
    const char* name;
    dtype_layout layout;
};

constexpr row rows[] = {
    {RLX_F32, "f32", {4, 1}},         {RLX_F16, "f16", {2, 1}},
    {RLX_Q4_0, "q4_0", {18, 32}},     {RLX_Q4_1, "q4_1", {20, 32}},
    {RLX_Q5_0, "q5_0", {22, 32}},     {RLX_Q5_1, "q5_1", {24, 32}},
    {RLX_Q8_0, "q8_0", {34, 32}},     {RLX_Q2_K, "q2_K", {84, 256}},
    {RLX_Q3_K, "q3_K", {110, 256}},   {RLX_Q4_K, "q4_K", {144, 256}},
    {RLX_Q5_K, "q5_K", {176, 256}},   {RLX_Q6_K, "q6_K", {210, 256}},
    {RLX_IQ4_NL, "iq4_nl", {18, 32}}, {RLX_IQ4_XS, "iq4_xs", {136, 256}},
    {RLX_I8, "i8", {1, 1}},           {RLX_I16, "i16", {2, 1}},
    {RLX_I32, "i32", {4, 1}},         {RLX_I64, "i64", {8, 1}},
    {RLX_F64, "f64", {8, 1}},         {RLX_BF16, "bf16", {2, 1}},
    {RLX_U8, "u8", {1, 1}},           {RLX_BOOL, "bool", {1, 1}},
    {RLX_F8_E4M3, "f8_e4m3", {1, 1}}, {RLX_F8_E5M2, "f8_e5m2", {1, 1}},
};

const row* find(std::uint32_t dtype) {
    for (const row& r : rows)
        if (r.dtype == dtype) return &r;
    return nullptr;
}

} // namespace

dtype_layout layout_of(std::uint32_t dtype) {
    const row* r = find(dtype);
    return r ? r->layout : dtype_layout{0, 1};
}

std::string dtype_name(std::uint32_t dtype) {
    const row* r = find(dtype);
    return r ? r->name : fmt::format("dtype {}", dtype);
}

bool is_plain_float(std::uint32_t dtype) {
    return dtype == RLX_F32 || dtype == RLX_F16 || dtype == RLX_BF16 || dtype == RLX_F64;
}

} // namespace rlx::ir

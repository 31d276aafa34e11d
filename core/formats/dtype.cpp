// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/base/checked.hpp"
#include "rlx/formats/dequant.hpp"

namespace rlx {
namespace {

constexpr dtype_traits table[] = {
    {RLX_F32, 1, 4, true, "F32", "F32"},
    {RLX_F16, 1, 2, true, "F16", "F16"},
    {RLX_Q4_0, 32, 18, true, "Q4_0", ""},
    {RLX_Q4_1, 32, 20, true, "Q4_1", ""},
    {RLX_Q5_0, 32, 22, true, "Q5_0", ""},
    {RLX_Q5_1, 32, 24, true, "Q5_1", ""},
    {RLX_Q8_0, 32, 34, true, "Q8_0", ""},
    {RLX_Q2_K, 256, 84, true, "Q2_K", ""},
    {RLX_Q3_K, 256, 110, true, "Q3_K", ""},
    {RLX_Q4_K, 256, 144, true, "Q4_K", ""},
    {RLX_Q5_K, 256, 176, true, "Q5_K", ""},
    {RLX_Q6_K, 256, 210, true, "Q6_K", ""},
    {RLX_IQ4_NL, 32, 18, true, "IQ4_NL", ""},
    {RLX_IQ4_XS, 256, 136, true, "IQ4_XS", ""},
    {RLX_I8, 1, 1, true, "I8", "I8"},
    {RLX_I16, 1, 2, true, "I16", "I16"},
    {RLX_I32, 1, 4, true, "I32", "I32"},
    {RLX_I64, 1, 8, true, "I64", "I64"},
    {RLX_F64, 1, 8, true, "F64", "F64"},
    {RLX_BF16, 1, 2, true, "BF16", "BF16"},
    {RLX_U8, 1, 1, true, "U8", "U8"},
    {RLX_BOOL, 1, 1, true, "BOOL", "BOOL"},
    {RLX_F8_E4M3, 1, 1, true, "F8_E4M3", "F8_E4M3"},
    {RLX_F8_E5M2, 1, 1, true, "F8_E5M2", "F8_E5M2"},
    // GGUF types a file may hold: their size is known, so the file can be checked and listed.
    {9, 32, 40, false, "Q8_1", ""},
    {15, 256, 292, false, "Q8_K", ""},
    {16, 256, 66, false, "IQ2_XXS", ""},
    {17, 256, 74, false, "IQ2_XS", ""},
    {18, 256, 98, false, "IQ3_XXS", ""},
    {19, 256, 50, false, "IQ1_S", ""},
    {21, 256, 110, false, "IQ3_S", ""},
    {22, 256, 82, false, "IQ2_S", ""},
    {29, 256, 56, false, "IQ1_M", ""},
    {34, 256, 54, false, "TQ1_0", ""},
    {35, 256, 66, false, "TQ2_0", ""},
    {39, 32, 17, false, "MXFP4", ""},
    {40, 64, 36, false, "NVFP4", ""},
    {41, 128, 18, false, "Q1_0", ""},
};

} // namespace

const dtype_traits* dtype_find(std::uint32_t dtype) {
    for (const dtype_traits& t : table) {
        if (t.dtype == dtype) return &t;
    }
    return nullptr;
}

const dtype_traits* dtype_find_safetensors(std::string_view name) {
    for (const dtype_traits& t : table) {
        if (!name.empty() && t.safetensors == name) return &t;
    }
    return nullptr;
}

std::string dtype_name(std::uint32_t dtype) {
    const dtype_traits* t = dtype_find(dtype);
    return t ? std::string(t->name) : "type " + std::to_string(dtype);
}

std::optional<std::uint64_t> dtype_bytes(const dtype_traits& t, std::uint64_t n) {
    if (n % t.block != 0) return std::nullopt;
    return checked_mul(n / t.block, t.block_bytes);
}

} // namespace rlx

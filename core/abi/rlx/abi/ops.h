// SPDX-License-Identifier: GPL-3.0-only
// Stable numbers of ops, attribute keys and attribute values. Semantics: rlx/abi/ops.def.
#pragma once

#include <stdint.h>

enum {
#define RLX_OP(id, name, version, min_in, max_in, n_out, kind, rule) RLX_OP_##name = id,
#define RLX_OP_ATTR(op, attr, kind, required)
#include "rlx/abi/ops.def"
#undef RLX_OP
#undef RLX_OP_ATTR
    RLX_OP_NONE = 0
};

// Attribute keys (shared by all ops). RLX_ATTR_CUSTOM and above belong to custom ops, each of which numbers its own.
enum {
    RLX_ATTR_dims = 1,
    RLX_ATTR_perm = 2,
    RLX_ATTR_axis = 3,
    RLX_ATTR_start = 4,
    RLX_ATTR_stop = 5,
    RLX_ATTR_dtype = 6,
    RLX_ATTR_value = 7,
    RLX_ATTR_n = 8,
    RLX_ATTR_k = 9,
    RLX_ATTR_kind = 10,
    RLX_ATTR_lo = 11,
    RLX_ATTR_hi = 12,
    RLX_ATTR_scale = 13,
    RLX_ATTR_shift = 14,
    RLX_ATTR_keep = 15,
    RLX_ATTR_eps = 16,
    RLX_ATTR_weight_offset = 17,
    RLX_ATTR_normalise = 18,
    RLX_ATTR_dim = 19,
    RLX_ATTR_base = 20,
    RLX_ATTR_scaling = 21,
    RLX_ATTR_factor = 22,
    RLX_ATTR_original_max = 23,
    RLX_ATTR_low_freq_factor = 24,
    RLX_ATTR_high_freq_factor = 25,
    RLX_ATTR_beta_fast = 26,
    RLX_ATTR_beta_slow = 27,
    RLX_ATTR_truncate = 28,
    RLX_ATTR_attention_factor = 29,
    RLX_ATTR_pairing = 30,
    RLX_ATTR_window = 31,
    RLX_ATTR_softcap = 32,
    RLX_ATTR_groups = 33,
    RLX_ATTR_stride = 34,
    RLX_ATTR_pad_lo = 35,
    RLX_ATTR_pad_hi = 36,
    RLX_ATTR_dilation = 37,
    RLX_ATTR_output_padding = 38,
    RLX_ATTR_causal = 39,
    RLX_ATTR_log = 40,
    RLX_ATTR_accumulate = 41,
    RLX_ATTR_descending = 42,
    RLX_ATTR_exclusive = 43,
    RLX_ATTR_reverse = 44,
    RLX_ATTR_kernel = 45,
    RLX_ATTR_ceil = 46,
    RLX_ATTR_count_pad = 47,
    RLX_ATTR_coord = 48,
    RLX_ATTR_antialias = 49,
    RLX_ATTR_cubic = 50,
    RLX_ATTR_pad = 51,
    RLX_ATTR_align = 52,
    RLX_ATTR_block = 53,
    RLX_ATTR_hop = 54,
    RLX_ATTR_trim = 55,
    RLX_ATTR_tiled = 56,
    RLX_ATTR_CUSTOM = 0x8000
};

enum { RLX_CUSTOM_OUTPUTS = 8 }; // most outputs a custom op may have

enum {
    RLX_UNARY_NEG = 1,
    RLX_UNARY_ABS = 2,
    RLX_UNARY_EXP = 3,
    RLX_UNARY_LOG = 4,
    RLX_UNARY_SQRT = 5,
    RLX_UNARY_RSQRT = 6,
    RLX_UNARY_RECIPROCAL = 7,
    RLX_UNARY_SIN = 8,
    RLX_UNARY_COS = 9,
    RLX_UNARY_TANH = 10,
    RLX_UNARY_SIGMOID = 11,
    RLX_UNARY_SILU = 12,
    RLX_UNARY_GELU = 13,      // exact, erf
    RLX_UNARY_GELU_TANH = 14, // tanh form
    RLX_UNARY_RELU = 15,
    RLX_UNARY_ERF = 16,
    RLX_UNARY_SOFTPLUS = 17,
    RLX_UNARY_FLOOR = 18,
    RLX_UNARY_CEIL = 19,
    RLX_UNARY_ROUND = 20, // halves to even
    RLX_UNARY_SIGN = 21,
    RLX_UNARY_EXPM1 = 22,
    RLX_UNARY_LOG1P = 23
};
enum {
    RLX_BINARY_ADD = 1,
    RLX_BINARY_SUB = 2,
    RLX_BINARY_MUL = 3,
    RLX_BINARY_DIV = 4, // i32: truncates toward zero
    RLX_BINARY_MAX = 5,
    RLX_BINARY_MIN = 6,
    RLX_BINARY_POW = 7,
    RLX_BINARY_ATAN2 = 8
};
enum {
    RLX_COMPARE_EQ = 1,
    RLX_COMPARE_NE = 2,
    RLX_COMPARE_LT = 3,
    RLX_COMPARE_LE = 4,
    RLX_COMPARE_GT = 5,
    RLX_COMPARE_GE = 6
};
enum { RLX_GLU_SWIGLU = 1, RLX_GLU_GEGLU_TANH = 2, RLX_GLU_GEGLU_ERF = 3, RLX_GLU_REGLU = 4, RLX_GLU_SIGMOID = 5 };
enum {
    RLX_REDUCE_SUM = 1,
    RLX_REDUCE_MEAN = 2,
    RLX_REDUCE_MAX = 3,
    RLX_REDUCE_MIN = 4,
    RLX_REDUCE_PROD = 5,
    RLX_REDUCE_L2 = 6 // sqrt of the sum of squares
};
enum { RLX_ROPE_NONE = 0, RLX_ROPE_LINEAR = 1, RLX_ROPE_LLAMA3 = 2, RLX_ROPE_YARN = 3, RLX_ROPE_DYNAMIC = 4 };
enum { RLX_PAD_CONSTANT = 1, RLX_PAD_REFLECT = 2, RLX_PAD_REPLICATE = 3, RLX_PAD_CIRCULAR = 4 };
enum { RLX_RANDOM_UNIFORM = 1, RLX_RANDOM_NORMAL = 2 };
enum { RLX_L2_MAX = 1, RLX_L2_ADD = 2 };
enum { RLX_POOL_MAX = 1, RLX_POOL_AVG = 2 };
enum { RLX_RESIZE_NEAREST = 1, RLX_RESIZE_LINEAR = 2, RLX_RESIZE_CUBIC = 3 };
enum { RLX_COORD_HALF_PIXEL = 0, RLX_COORD_ALIGN_CORNERS = 1, RLX_COORD_ASYMMETRIC = 2 };
enum { RLX_FFT_R2C = 1, RLX_FFT_C2R = 2, RLX_FFT_C2C = 3, RLX_FFT_C2C_INVERSE = 4 };
enum { RLX_RNN_LSTM = 1, RLX_RNN_GRU = 2, RLX_RNN_TANH = 3, RLX_RNN_RELU = 4 };

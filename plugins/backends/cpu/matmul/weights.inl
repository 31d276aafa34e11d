// SPDX-License-Identifier: GPL-3.0-only
// What one 32-column block of a panel means, per layout: codes, scales and minima as sixteen lanes.
//   value = scale * (code - offset) + minimum
// Included once per tier inside that tier's namespace.

// Column group J (columns 4J..4J+3) of the block at p, as unsigned codes.
template <int BITS, int J>
RLX_MM_FN vi unpack_group(const uint8_t* p) {
    if constexpr (BITS == 8) {
        return load_i(p + 64 * J);
    } else if constexpr (BITS == 4) {
        const vi v = load_i(p + 64 * (J % 4));
        return and_i(J < 4 ? v : shift16<-4>(v), set1_i8(0x0f));
    } else if constexpr (BITS == 5) {
        const vi high = and_i(shift16<4 - J>(load_i(p + 256)), set1_i8(0x10));
        return or_i(unpack_group<4, J>(p), high);
    } else if constexpr (BITS == 6) {
        const vi v = load_i(p + 256 + 64 * (J % 2));
        return or_i(unpack_group<4, J>(p), and_i(shift16<4 - 2 * (J / 2)>(v), set1_i8(0x30)));
    } else if constexpr (BITS == 2) {
        return and_i(shift16<-2 * (J / 2)>(load_i(p + 64 * (J % 2))), set1_i8(0x03));
    } else {
        static_assert(BITS == 3);
        const vi high = and_i(shift16<2 - J>(load_i(p + 128)), set1_i8(0x04));
        return or_i(unpack_group<2, J>(p), high);
    }
}

// Facts and accessors of a layout. groups: sub-blocks with a scale of their own in 32 columns (1 or
// 2). dot_bits bounds the codes a dot product sees; b is the block's number in the panel.
template <int BITS, int GROUPS, bool MIN, int OFFSET>
struct weight_base {
    static constexpr int bits = BITS;
    static constexpr int dot_bits = BITS;
    static constexpr int groups = GROUPS;
    static constexpr bool has_min = MIN;
    static constexpr int offset = OFFSET;
    static constexpr bool streams = true; // read from memory once, in order

    template <int J>
    RLX_MM_FN static vi code(const panel_ptr& p, int64_t b) {
        return unpack_group<BITS, J>(p.codes + b * (64 * BITS));
    }
};

// float16 scale [and minimum] per block.
template <int BITS, bool MIN, int OFFSET>
struct weight_f16 : weight_base<BITS, 1, MIN, OFFSET> {
    static constexpr int scale_bytes = MIN ? 64 : 32;
    static constexpr int super_bytes = 0;

    RLX_MM_FN static vf scale(const panel_ptr& p, int64_t b, int) {
        return load_f16(p.scales + b * (MIN ? 64 : 32));
    }

    RLX_MM_FN static vf minimum(const panel_ptr& p, int64_t b, int) {
        return load_f16(p.scales + b * 64 + 32);
    }
};

// Super-blocks of 256 with signed 8-bit sub-scales, one per 32 or 16 columns.
template <int BITS, int GROUPS, int OFFSET>
struct weight_super : weight_base<BITS, GROUPS, false, OFFSET> {
    static constexpr int scale_bytes = 16 * GROUPS;
    static constexpr int super_bytes = 32;

    RLX_MM_FN static vf scale(const panel_ptr& p, int64_t b, int g) {
        const vf d = load_f16(p.supers + b / blocks_per_super * 32);
        return mul_f(d, to_f(load_s8(p.scales + (b * GROUPS + g) * 16)));
    }

    RLX_MM_FN static vf minimum(const panel_ptr&, int64_t, int) { return zero_f(); }
};

// Super-blocks with unsigned 8-bit sub-scales and sub-minima per 32 columns; dmin is stored
// negated.
template <int BITS>
struct weight_super_min : weight_base<BITS, 1, true, 0> {
    static constexpr int scale_bytes = 32;
    static constexpr int super_bytes = 64;

    RLX_MM_FN static vf scale(const panel_ptr& p, int64_t b, int) {
        const vf d = load_f16(p.supers + b / blocks_per_super * 64);
        return mul_f(d, to_f(load_u8(p.scales + b * 32)));
    }

    RLX_MM_FN static vf minimum(const panel_ptr& p, int64_t b, int) {
        const vf dmin = load_f16(p.supers + b / blocks_per_super * 64 + 32);
        return mul_f(dmin, to_f(load_u8(p.scales + b * 32 + 16)));
    }
};

// Q2_K: sub-scale in the low and sub-minimum in the high nibble, per 16 columns.
struct weight_q2_k : weight_base<2, 2, true, 0> {
    static constexpr int scale_bytes = 32;
    static constexpr int super_bytes = 64;

    RLX_MM_FN static vf scale(const panel_ptr& p, int64_t b, int g) {
        const vf d = load_f16(p.supers + b / blocks_per_super * 64);
        return mul_f(d, to_f(and_i(load_u8(p.scales + b * 32 + g * 16), set1_i32(15))));
    }

    RLX_MM_FN static vf minimum(const panel_ptr& p, int64_t b, int g) {
        const vf dmin = load_f16(p.supers + b / blocks_per_super * 64 + 32);
        return mul_f(dmin, to_f(shr32<4>(load_u8(p.scales + b * 32 + g * 16))));
    }
};

// 4-bit codes that index the IQ4 codebook.
template <class BASE>
struct weight_iq4 : BASE {
    static constexpr int dot_bits = 8;

    template <int J>
    RLX_MM_FN static vi code(const panel_ptr& p, int64_t b) {
        return lookup(mm_iq4_codebook, unpack_group<4, J>(p.codes + b * 256));
    }
};

// A layout with its codes as operands of a dot product.
template <class BASE>
struct weight_operand : BASE {
    static constexpr int code_bytes = 64 * BASE::bits;
    static constexpr int block_bytes =
        code_bytes + BASE::scale_bytes + BASE::super_bytes / blocks_per_super;

    template <int J>
    RLX_MM_FN static dot_codes<BASE::dot_bits> operand(const panel_ptr& p, int64_t b) {
        return dot_prepare<BASE::dot_bits>(BASE::template code<J>(p, b));
    }
};

template <int ID>
struct weight_of;

template <>
struct weight_of<mm_q4_0> : weight_operand<weight_f16<4, false, 8>> {};

template <>
struct weight_of<mm_q4_1> : weight_operand<weight_f16<4, true, 0>> {};

template <>
struct weight_of<mm_q5_0> : weight_operand<weight_f16<5, false, 16>> {};

template <>
struct weight_of<mm_q5_1> : weight_operand<weight_f16<5, true, 0>> {};

template <>
struct weight_of<mm_q8_0> : weight_operand<weight_f16<8, false, 128>> {};

template <>
struct weight_of<mm_q2_k> : weight_operand<weight_q2_k> {};

template <>
struct weight_of<mm_q3_k> : weight_operand<weight_super<3, 2, 4>> {};

template <>
struct weight_of<mm_q4_k> : weight_operand<weight_super_min<4>> {};

template <>
struct weight_of<mm_q5_k> : weight_operand<weight_super_min<5>> {};

template <>
struct weight_of<mm_q6_k> : weight_operand<weight_super<6, 2, 32>> {};

template <>
struct weight_of<mm_iq4_nl> : weight_operand<weight_iq4<weight_f16<4, false, 128>>> {};

template <>
struct weight_of<mm_iq4_xs> : weight_operand<weight_iq4<weight_super<4, 1, 128>>> {};

// A panel unpacked for many activation rows: operands [block][8], float scales and minima
// [block][group][16] in the planes of a panel_ptr.
template <int DOT_BITS, int GROUPS, bool MIN>
struct weight_tile : weight_base<DOT_BITS, GROUPS, MIN, 0> {
    static constexpr bool streams = false;

    template <int J>
    RLX_MM_FN static dot_codes<DOT_BITS> operand(const panel_ptr& p, int64_t b) {
        return dot_load<DOT_BITS>(p.codes + (b * 8 + J) * dot_codes_bytes<DOT_BITS>);
    }

    RLX_MM_FN static vf scale(const panel_ptr& p, int64_t b, int g) {
        return load_f(reinterpret_cast<const float*>(p.scales) + (b * GROUPS + g) * 16);
    }

    RLX_MM_FN static vf minimum(const panel_ptr& p, int64_t b, int g) {
        return load_f(reinterpret_cast<const float*>(p.supers) + (b * GROUPS + g) * 16);
    }
};

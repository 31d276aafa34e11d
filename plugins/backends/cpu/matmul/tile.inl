// SPDX-License-Identifier: GPL-3.0-only
// Where panels, activation rows and output rows lie.
// Included once per tier inside that tier's namespace.

// The planes of one panel, at its first block.
struct panel_ptr {
    const uint8_t* codes;
    const uint8_t* scales;
    const uint8_t* supers;
};

RLX_MM_FN panel_ptr panel_at(const mm_packed& p, int64_t group, int64_t panel) {
    const uint8_t* base =
        static_cast<const uint8_t*>(p.data) + group * p.group_bytes + panel * p.panel_bytes;
    return {base, base + p.scale_offset, base + p.super_offset};
}

RLX_MM_FN const uint8_t* act_row(const mm_tile& t, int64_t r) {
    return static_cast<const uint8_t*>(t.act) + (t.act_rows ? t.act_rows[r] : r) * t.act_stride;
}

RLX_MM_FN float* out_row(const mm_tile& t, int64_t r) {
    return t.out + (t.out_rows ? t.out_rows[r] : r) * t.out_stride;
}

inline void fill_zero(const mm_tile& t) {
    for (int64_t r = 0; r < t.n_rows; ++r)
        memset(out_row(t, r), 0, t.n_cols * 4);
}

// Weights stream from memory in long runs that cross pages, where the processor's own prefetchers
// stop. Kernels that read them once ask for bytes this far ahead; a run's end touches what follows
// it, mostly the next panel.
constexpr int64_t stream_ahead = 4096;

template <int N>
RLX_MM_FN void prefetch_bytes(const uint8_t* p) {
#pragma GCC unroll 16
    for (int i = 0; i < N; i += 64)
        __builtin_prefetch(p + i);
}

// Block b of the panel that lies `ahead` bytes on.
template <class W>
RLX_MM_FN void prefetch_block(const panel_ptr& p, int64_t b, int64_t ahead) {
    prefetch_bytes<W::code_bytes>(p.codes + b * W::code_bytes + ahead);
    __builtin_prefetch(p.scales + b * W::scale_bytes + ahead);
}

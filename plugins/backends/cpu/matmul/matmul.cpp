// SPDX-License-Identifier: GPL-3.0-only
#include "matmul.hpp"

#include "layout.hpp"

#include <sys/syscall.h>
#include <unistd.h>

namespace rlx::cpu {

const uint8_t mm_iq4_codebook[16] = {
    1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};

namespace {

constexpr uint64_t line = 64;

uint64_t round_up(uint64_t v, uint64_t to) {
    return (v + to - 1) / to * to;
}

int64_t ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

// clang-format off
constexpr mm_format formats[] = {
    // dtype, layout, file columns, file bytes, code, scale, super bytes per panel
    {0,  mm_f32,    1,   4,   64,  0,  0},
    {1,  mm_f16,    1,   2,   32,  0,  0},
    {30, mm_bf16,   1,   2,   64,  0,  0},
    {2,  mm_q4_0,   32,  18,  256, 32, 0},
    {3,  mm_q4_1,   32,  20,  256, 64, 0},
    {6,  mm_q5_0,   32,  22,  320, 32, 0},
    {7,  mm_q5_1,   32,  24,  320, 64, 0},
    {8,  mm_q8_0,   32,  34,  512, 32, 0},
    {10, mm_q2_k,   256, 84,  128, 32, 64},
    {11, mm_q3_k,   256, 110, 192, 32, 32},
    {12, mm_q4_k,   256, 144, 256, 32, 64},
    {13, mm_q5_k,   256, 176, 320, 32, 64},
    {14, mm_q6_k,   256, 210, 384, 32, 32},
    {20, mm_iq4_nl, 32,  18,  256, 32, 0},
    {23, mm_iq4_xs, 256, 136, 256, 16, 32},
};

// clang-format on

const mm_kernels* kernels_for(const mm_config& cfg) {
    switch (cfg.isa) {
    case tier::avx2: return cfg.features.avx_vnni ? &mm_kernels_avx2_vnni : &mm_kernels_avx2;
    case tier::avx512: return &mm_kernels_avx512;
    case tier::avx512_vnni:
    case tier::amx: return &mm_kernels_avx512_vnni;
    default: return &mm_kernels_baseline;
    }
}

act_form form_of(const mm_config& cfg, const mm_kernels& k, uint8_t layout) {
    if (cfg.exact) return act_form::f32;
    const bool bf16 = cfg.isa == tier::amx || (cfg.isa >= tier::avx512 && cfg.features.avx512_bf16);
    if (layout == mm_bf16 && bf16) return act_form::bf16;
    return k.fast[layout] ? act_form::q8 : act_form::f32;
}

} // namespace

bool mm_permit_tiles() {
    constexpr long request_permission = 0x1023; // ARCH_REQ_XCOMP_PERM
    constexpr long tile_data = 18;
    return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

const mm_format* find_format(uint16_t dtype) {
    for (const mm_format& f : formats) {
        if (f.dtype == dtype) return &f;
    }
    return nullptr;
}

bool mm_layout(const mm_config& cfg, const mm_weight& w, mm_packed* out, const char** reason) {
    const mm_format* f = find_format(w.dtype);
    if (!f) {
        *reason = "no matrix product for this weight type";
        return false;
    }
    if (w.groups < 0 || w.rows < 0 || w.cols < 0) {
        *reason = "negative weight dimension";
        return false;
    }
    if (w.cols % f->file_cols != 0) {
        *reason = "weight rows are not a whole number of quantisation blocks";
        return false;
    }
    // 2^40 columns x 64 bytes and 2^40 rows cannot overflow 64 bits before the checked products
    // below.
    constexpr int64_t limit = int64_t{1} << 40;
    if (w.groups > limit || w.rows > limit || w.cols > limit) {
        *reason = "weight dimension beyond 2^40";
        return false;
    }
    *out = mm_packed{};
    out->desc = w;
    out->layout = f->layout;
    out->row_step = panel_rows;
    const uint64_t cols = static_cast<uint64_t>(w.cols);
    if (f->file_cols == 1) {
        out->panel_bytes =
            round_up((f->layout == mm_bf16 ? (cols + 1) / 2 : cols) * f->code_bytes, line);
        out->scale_offset = out->super_offset = out->panel_bytes;
    } else {
        out->blocks = w.cols / block_cols;
        const uint64_t blocks = static_cast<uint64_t>(out->blocks);
        const uint64_t supers = (blocks + blocks_per_super - 1) / blocks_per_super;
        out->scale_offset = blocks * f->code_bytes;
        out->super_offset = round_up(out->scale_offset + blocks * f->scale_bytes, line);
        out->panel_bytes = round_up(out->super_offset + supers * f->super_bytes, line);
    }
    const uint64_t panels = static_cast<uint64_t>(ceil_div(w.rows, panel_rows));
    if (__builtin_mul_overflow(panels, out->panel_bytes, &out->group_bytes) ||
        __builtin_mul_overflow(out->group_bytes, static_cast<uint64_t>(w.groups), &out->bytes)) {
        *reason = "packed weight size overflows";
        return false;
    }
    const mm_kernels* k = kernels_for(cfg);
    out->kernels = k;
    out->form = form_of(cfg, *k, f->layout);
    out->amx = out->form != act_form::f32 && cfg.isa == tier::amx;
    return true;
}

void mm_pack(const mm_packed& p, int64_t group, int64_t first, int64_t n, const void* src) {
    const mm_format& f = *find_format(p.desc.dtype);
    const uint64_t row_bytes = static_cast<uint64_t>(p.desc.cols / f.file_cols) * f.file_bytes;
    const uint8_t* rows = static_cast<const uint8_t*>(src);
    uint8_t* base = static_cast<uint8_t*>(p.data) + static_cast<uint64_t>(group) * p.group_bytes;
    for (int64_t r = 0; r < n; r += panel_rows) {
        const int64_t count = n - r < panel_rows ? n - r : panel_rows;
        uint8_t* panel = base + static_cast<uint64_t>((first + r) / panel_rows) * p.panel_bytes;
        pack_panel(p, f, panel, static_cast<int>(count), rows, row_bytes);
        rows += static_cast<uint64_t>(count) * row_bytes;
    }
}

uint64_t act_row_bytes(act_form form, int64_t cols) {
    const uint64_t n = static_cast<uint64_t>(cols);
    switch (form) {
    case act_form::bf16: return round_up((n + 1) / 2 * 4, line);
    case act_form::q8: return round_up((n + block_cols - 1) / block_cols * q8_block_bytes, line);
    default: return round_up(n * 4, line);
    }
}

void act_make(const mm_config& cfg, act_form form, const float* x, int64_t cols, void* dst) {
    const mm_kernels* k = kernels_for(cfg);
    switch (form) {
    case act_form::bf16: mm_bf16_avx512.make(x, cols, dst); break;
    case act_form::q8: k->make_q8(x, cols, dst); break;
    default: __builtin_memcpy(dst, x, static_cast<uint64_t>(cols) * 4);
    }
}

mm_tiling mm_tile_size(const mm_packed& p, int64_t rows, uint32_t threads) {
    constexpr int64_t step = 2 * panel_rows; // kernels may take two panels at a time
    const int64_t out = p.desc.rows > 0 ? p.desc.rows : 1;
    const bool tiles = p.amx && p.form == act_form::bf16;
    mm_tiling t;
    if (rows <= max_gemv_rows) {
        // Bound by reading the weight: small tiles of one size, so that a list of tiles of several
        // products can be shared out evenly by number.
        t.tile_rows = max_gemv_rows;
        t.tile_cols = step;
        return t;
    }
    // Rows in equal parts, multiples of the register blocks' heights (6, 12, 16; 32 on tiles).
    const int64_t parts = ceil_div(rows, tiles ? amx_bf16_rows : max_tile_rows);
    const int64_t height = tiles ? 32 : 48;
    t.tile_rows = ceil_div(ceil_div(rows, parts), height) * height;
    // Enough tiles that a late thread finds work, few enough that regrouping activations stays
    // cheap.
    const int64_t team = static_cast<int64_t>(threads > 0 ? threads : 1);
    const int64_t wanted = ceil_div(team * 8, parts);
    int64_t cols = ceil_div(ceil_div(out, wanted), step) * step;
    constexpr int64_t least = 128;
    constexpr int64_t most = 512;
    cols = cols < least ? least : cols > most ? most : cols;
    // Not many tiles: as many for one thread as for the other. (Float tiles have activations in
    // place, so that more of them cost nothing.)
    if (parts < team * (p.form == act_form::f32 ? 32 : 2)) {
        const int64_t count = ceil_div(ceil_div(out, cols), team) * team;
        cols = ceil_div(ceil_div(out, count), step) * step;
    }
    t.tile_cols = cols;
    return t;
}

void mm_run(const mm_packed& p, const mm_tile& t) {
    if (t.n_rows <= 0 || t.n_cols <= 0) return;
    const mm_kernels& k = *static_cast<const mm_kernels*>(p.kernels);
    switch (p.form) {
    case act_form::f32: k.exact[p.layout](p, t); break;
    case act_form::q8: {
        const bool tiles = p.amx && t.n_rows > max_gemv_rows;
        (tiles ? mm_q8_amx : k.fast)[p.layout](p, t);
        break;
    }
    case act_form::bf16: (p.amx ? mm_bf16_amx : mm_bf16_avx512.run)(p, t); break;
    }
}

uint64_t mm_workspace(const mm_packed& p) {
    if (p.amx && p.form == act_form::bf16) return amx_bf16_space;
    const uint64_t few =
        max_gemv_rows * static_cast<uint64_t>(p.blocks) * (block_cols + 4 + 8) + line;
    const uint64_t space = p.form == act_form::q8 && few > mm_gemm_space ? few : mm_gemm_space;
    return round_up(space, line);
}

} // namespace rlx::cpu

// SPDX-License-Identifier: GPL-3.0-only
// File blocks to panels. A row of a block is decoded to 32 codes (exact integers) and its scales;
// store_codes spreads the codes over the bit planes, the scales go to their planes unchanged. Block
// layouts: the GGUF specification.
#include "pack.hpp"
#include "layout.hpp"

#include <string.h>

namespace rlx::cpu {
namespace {

struct panel_row {
    uint8_t* codes; // of the panel's block, already at this row's 4 bytes
    uint8_t* scales;
    uint8_t* supers;
    int row;
};

void put16(uint8_t* plane, int row, const uint8_t* value) {
    memcpy(plane + 2 * row, value, 2);
}

// Column group j of the row: 4 codes.
uint8_t* group_at(uint8_t* plane, int j) {
    return plane + 64 * j;
}

void store_plane4(uint8_t* plane, const uint8_t* q) {
    for (int j = 0; j < 4; ++j) {
        uint8_t* dst = group_at(plane, j);
        for (int t = 0; t < 4; ++t) {
            dst[t] = static_cast<uint8_t>((q[4 * j + t] & 15) | (q[16 + 4 * j + t] & 15) << 4);
        }
    }
}

void store_plane2(uint8_t* plane, const uint8_t* q, int shift) {
    for (int h = 0; h < 2; ++h) {
        for (int t = 0; t < 4; ++t) {
            int byte = 0;
            for (int field = 0; field < 4; ++field) {
                byte |= (q[4 * (2 * field + h) + t] >> shift & 3) << 2 * field;
            }
            group_at(plane, h)[t] = static_cast<uint8_t>(byte);
        }
    }
}

void store_plane1(uint8_t* plane, const uint8_t* q, int shift) {
    for (int t = 0; t < 4; ++t) {
        int byte = 0;
        for (int j = 0; j < 8; ++j)
            byte |= (q[4 * j + t] >> shift & 1) << j;
        plane[t] = static_cast<uint8_t>(byte);
    }
}

void store_codes(int bits, uint8_t* dst, const uint8_t* q) {
    switch (bits) {
    case 8:
        for (int j = 0; j < 8; ++j)
            memcpy(group_at(dst, j), q + 4 * j, 4);
        break;
    case 6:
        store_plane4(dst, q);
        store_plane2(dst + 256, q, 4);
        break;
    case 5:
        store_plane4(dst, q);
        store_plane1(dst + 256, q, 4);
        break;
    case 4: store_plane4(dst, q); break;
    case 3:
        store_plane2(dst, q, 0);
        store_plane1(dst + 128, q, 2);
        break;
    default: store_plane2(dst, q, 0);
    }
}

int layout_bits(uint8_t layout) {
    switch (layout) {
    case mm_q8_0: return 8;
    case mm_q6_k: return 6;
    case mm_q5_0:
    case mm_q5_1:
    case mm_q5_k: return 5;
    case mm_q3_k: return 3;
    case mm_q2_k: return 2;
    default: return 4;
    }
}

// Formats with one file block per 32 columns: [d][m][5th bits][codes].
void pack_block(uint8_t layout, const uint8_t* src, const panel_row& dst) {
    put16(dst.scales, dst.row, src);
    src += 2;
    if (layout == mm_q4_1 || layout == mm_q5_1) {
        put16(dst.scales + 32, dst.row, src);
        src += 2;
    }
    if (layout == mm_q8_0) {
        for (int j = 0; j < 8; ++j) {
            uint32_t word;
            memcpy(&word, src + 4 * j, 4);
            word ^= 0x80808080u; // code = value + 128
            memcpy(group_at(dst.codes, j), &word, 4);
        }
        return;
    }
    uint32_t fifth = 0;
    if (layout == mm_q5_0 || layout == mm_q5_1) {
        memcpy(&fifth, src, 4);
        src += 4;
        uint8_t q[block_cols];
        for (int k = 0; k < block_cols; ++k)
            q[k] = static_cast<uint8_t>(fifth >> k & 1);
        store_plane1(dst.codes + 256, q, 0);
    }
    // The file pairs columns k and k + 16 in one byte, as the 4-bit plane does.
    for (int j = 0; j < 4; ++j)
        memcpy(group_at(dst.codes, j), src + 4 * j, 4);
}

void pack_super(const mm_format& f, const uint8_t* src, const panel_row& dst) {
    super_block s;
    decode_super(f.layout, src, &s);
    put16(dst.supers, dst.row, s.d);
    if (f.super_bytes == 64) put16(dst.supers + 32, dst.row, s.dmin);
    const int bits = layout_bits(f.layout);
    for (int b = 0; b < blocks_per_super; ++b) {
        store_codes(bits, dst.codes + b * f.code_bytes, s.codes + b * block_cols);
        uint8_t* scales = dst.scales + b * f.scale_bytes;
        for (int i = 0; i < f.scale_bytes / panel_rows; ++i) {
            scales[panel_rows * i + dst.row] = s.scales[b * (f.scale_bytes / panel_rows) + i];
        }
    }
}

void pack_quantised_row(
    const mm_packed& p, const mm_format& f, uint8_t* panel, int row, const uint8_t* src
) {
    const int step = f.file_cols / block_cols;
    for (int64_t b = 0; b < p.blocks; b += step) {
        const panel_row dst = {
            panel + b * f.code_bytes + 4 * row,
            panel + p.scale_offset + b * f.scale_bytes,
            panel + p.super_offset + b / blocks_per_super * f.super_bytes,
            row};
        if (step == 1) {
            pack_block(f.layout, src, dst);
        } else {
            pack_super(f, src, dst);
        }
        src += f.file_bytes;
    }
}

void pack_float_row(
    const mm_packed& p, const mm_format& f, uint8_t* panel, int row, const uint8_t* src
) {
    const int64_t cols = p.desc.cols;
    if (f.layout == mm_f32) {
        for (int64_t k = 0; k < cols; ++k)
            memcpy(panel + k * 64 + 4 * row, src + 4 * k, 4);
    } else if (f.layout == mm_f16) {
        for (int64_t k = 0; k < cols; ++k)
            put16(panel + k * 32, row, src + 2 * k);
    } else {
        for (int64_t k = 0; k < cols; ++k) {
            memcpy(panel + k / 2 * 64 + 4 * row + 2 * (k % 2), src + 2 * k, 2);
        }
    }
}

} // namespace

void pack_panel(
    const mm_packed& p,
    const mm_format& f,
    uint8_t* panel,
    int rows,
    const uint8_t* src,
    uint64_t row_bytes
) {
    // Rows that do not exist and the padding of an odd last column are zero.
    if (rows < panel_rows || (f.layout == mm_bf16 && p.desc.cols % 2)) {
        memset(panel, 0, p.panel_bytes);
    }
    for (int r = 0; r < rows; ++r) {
        if (f.file_cols == 1) {
            pack_float_row(p, f, panel, r, src + static_cast<uint64_t>(r) * row_bytes);
        } else {
            pack_quantised_row(p, f, panel, r, src + static_cast<uint64_t>(r) * row_bytes);
        }
    }
}

} // namespace rlx::cpu

// SPDX-License-Identifier: GPL-3.0-only
// The state of the AMX tile registers. The instructions stand as assembly with a memory clobber:
// GCC 12's intrinsics do not tell the compiler which memory they use, and stores before them get
// lost. Included once per tier inside that tier's namespace.

struct tile_config {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
};

RLX_MM_FN void tiles_configure(const tile_config& c) {
    asm volatile("ldtilecfg %0" : : "m"(c) : "memory");
}

RLX_MM_FN void tiles_release() {
    asm volatile("tilerelease" : : : "memory");
}

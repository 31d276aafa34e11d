#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-only
"""Writes blocks.bin: random blocks of every quantised GGUF type and the float32 values the gguf package gives them.

Per type: u32 type id, u32 bytes, u32 values, the block bytes, the values. Needs: pip install gguf numpy
"""
import struct
import sys
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import GGML_QUANT_SIZES
from gguf.quants import dequantize

TYPES = [T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q2_K, T.Q3_K, T.Q4_K, T.Q5_K, T.Q6_K, T.IQ4_NL, T.IQ4_XS]
# Byte positions of the float16 scales in a block.
HALVES = {T.Q4_1: [0, 2], T.Q5_1: [0, 2], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q2_K: [80, 82], T.Q3_K: [108], T.Q6_K: [208]}


def main() -> None:
    rng = np.random.default_rng(20240607)
    out = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("blocks.bin"))
    with out.open("wb") as f:
        for t in TYPES:
            cols, size = GGML_QUANT_SIZES[t]
            n = 512 // cols
            blocks = rng.integers(0, 256, (n, size), dtype=np.uint8)
            for at in HALVES.get(t, [0]):
                scale = rng.uniform(-0.03, 0.03, n).astype(np.float16)
                blocks[:, at : at + 2] = scale.view(np.uint8).reshape(n, 2)
            values = dequantize(blocks.reshape(-1), t).astype("<f4")
            f.write(struct.pack("<III", int(t), blocks.size, values.size))
            f.write(blocks.tobytes())
            f.write(values.tobytes())


if __name__ == "__main__":
    main()

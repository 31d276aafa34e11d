#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-only
"""Writes data/dequant.bin: random blocks of every element type and what they mean in float32.

Needs numpy, gguf and torch. The expected values come from gguf.quants.dequantize (packed types) and torch (float8).
Layout, little-endian, repeated to the end of the file:
    u32 type (RLX_*), u32 n_elements, u32 n_bytes, bytes, f32 values
"""
import pathlib
import struct

import numpy as np
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

# Byte offsets of the float16 fields of a block: random bytes there would mostly be infinities and NaN.
HALVES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "IQ4_NL": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_XS": [0],
}


def entry(dtype, raw, values):
    values = np.ascontiguousarray(values, dtype="<f4").ravel()
    return struct.pack("<III", dtype, values.size, len(raw)) + raw + values.tobytes()


def packed(rng):
    for name, halves in HALVES.items():
        kind = GGMLQuantizationType[name]
        n, size = GGML_QUANT_SIZES[kind]
        blocks = 8 if n == 32 else 4
        raw = rng.integers(0, 256, (blocks, size), dtype=np.uint8)
        for at in halves:
            scale = rng.normal(0, 0.05, blocks).astype("<f2")
            raw[:, at:at + 2] = scale.view(np.uint8).reshape(blocks, 2)
        raw[0, halves[0]:halves[0] + 2] = np.array([3e-7], "<f2").view(np.uint8)  # a subnormal scale
        yield entry(int(kind), raw.tobytes(), dequantize(raw.reshape(1, -1), kind))


def plain(rng):
    every_half = np.arange(0, 65536, 37, dtype=np.uint16)
    every_half = every_half[(every_half & 0x7c00) != 0x7c00]
    edge = np.array([0x0000, 0x8000, 0x0001, 0x83ff, 0x03ff, 0x0400, 0x7bff, 0x7c00, 0xfc00], np.uint16)
    halves = np.concatenate([every_half, edge])
    yield entry(1, halves.tobytes(), halves.view(np.float16).astype(np.float32))
    b = rng.normal(0, 1, 64).astype(np.float32).view(np.uint32) >> 16
    yield entry(30, b.astype("<u2").tobytes(), (b << 16).astype(np.uint32).view(np.float32))
    f = rng.normal(0, 1, 64)
    yield entry(0, f.astype("<f4").tobytes(), f.astype("<f4"))
    yield entry(28, f.astype("<f8").tobytes(), f.astype("<f4"))
    for kind, dtype in ((24, "<i1"), (25, "<i2"), (26, "<i4"), (27, "<i8"), (0x100, "<u1")):
        info = np.iinfo(dtype)
        v = np.concatenate([rng.integers(info.min, info.max, 30, dtype=dtype), np.array([info.min, info.max, 0], dtype)])
        yield entry(kind, v.tobytes(), v.astype(np.float32))
    yield entry(0x101, bytes([0, 1, 1, 0]), np.array([0, 1, 1, 0]))
    every = torch.arange(256, dtype=torch.int16).to(torch.uint8)
    for kind, dtype in ((0x102, torch.float8_e4m3fn), (0x103, torch.float8_e5m2)):
        yield entry(kind, every.numpy().tobytes(), every.view(dtype).to(torch.float32).numpy())


def main():
    rng = np.random.default_rng(20260101)
    out = pathlib.Path(__file__).parent / "data" / "dequant.bin"
    out.parent.mkdir(exist_ok=True)
    out.write_bytes(b"".join([*packed(rng), *plain(rng)]))
    print(out, out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()

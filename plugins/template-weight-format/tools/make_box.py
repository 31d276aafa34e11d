# SPDX-License-Identifier: GPL-3.0-only
"""Writes fixture/tiny.box from a llama checkpoint directory (config.json, model.safetensors).

    python3 make_box.py <directory> <out.box>
"""
import json
import struct
import sys
from pathlib import Path

TYPES = {"F32": 0, "F16": 1, "BF16": 30}
RENAMED = {
    "model.embed_tokens.weight": "embed",
    "model.norm.weight": "norm",
    "lm_head.weight": "head",
    "input_layernorm.weight": "norm1",
    "post_attention_layernorm.weight": "norm2",
    "self_attn.q_proj.weight": "q",
    "self_attn.k_proj.weight": "k",
    "self_attn.v_proj.weight": "v",
    "self_attn.o_proj.weight": "o",
    "mlp.gate_proj.weight": "gate",
    "mlp.up_proj.weight": "up",
    "mlp.down_proj.weight": "down",
}


def spelled(name):
    if name in RENAMED:
        return RENAMED[name]
    _, _, layer, rest = name.split(".", 3)
    return f"block.{layer}.{RENAMED[rest]}"


def main(directory, out):
    raw = (Path(directory) / "model.safetensors").read_bytes()
    n = struct.unpack("<Q", raw[:8])[0]
    head = json.loads(raw[8 : 8 + n])
    head.pop("__metadata__", None)
    config = json.loads((Path(directory) / "config.json").read_text())
    config["model_type"] = "box-llama"
    entries = [(0, "config.json", json.dumps(config).encode(), 0, [])]
    for name, t in head.items():
        first, last = t["data_offsets"]
        data = raw[8 + n + first : 8 + n + last]
        entries.append((1, spelled(name), data, TYPES[t["dtype"]], t["shape"]))
    size = 12 + sum(24 + len(e[1]) + (8 + 8 * len(e[4]) if e[0] else 0) for e in entries)
    table, data = b"RLXBOX1\n" + struct.pack("<I", len(entries)), b""
    for kind, name, body, dtype, shape in entries:
        data += b"\0" * (-(size + len(data)) % 64)
        table += struct.pack("<II", kind, len(name)) + name.encode()
        table += struct.pack("<QQ", size + len(data), len(body))
        if kind:
            table += struct.pack(f"<II{len(shape)}Q", dtype, len(shape), *shape)
        data += body
    assert len(table) == size
    Path(out).write_bytes(table + data)


main(*sys.argv[1:])

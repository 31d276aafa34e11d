#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-only
"""Expected values for the ops and SDK blocks of encoders, image decoders and codecs.

Writes tests/goldens/blocks/ops.safetensors and blocks.safetensors. Every parameter is random, norm weights and
biases too; sizes are odd and batches larger than one. Needs torch, transformers >= 5, safetensors, numpy.

ops.safetensors: tensors "<case>/in<i>" and "<case>/out"; the metadata holds one JSON object per case:
  op, attrs {name: number or list}, weights [indices of inputs that are checkpoint tensors], absent [indices of
  optional inputs left out], dims {index: [number or symbol name]}, bf16 (weights are bf16 values).
blocks.safetensors: tensors "<case>/w/<checkpoint name>", "<case>/x/<input>" and "<case>/out".
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.set_num_threads(1)
OUT = Path(__file__).parent / "blocks"
PAD = {"constant": 1, "reflect": 2, "replicate": 3, "circular": 4}


def rand(*shape, scale=1.0):
    return torch.randn(*shape) * scale


class Ops:
    def __init__(self):
        self.tensors = {}
        self.cases = {}

    def add(self, name, op, inputs, out, weights=(), dims=None, bf16=False, **attrs):
        absent = [i for i, t in enumerate(inputs) if t is None]
        for i, t in enumerate(inputs):
            if t is not None:
                self.tensors[f"{name}/in{i}"] = t.clone().contiguous()
        self.tensors[f"{name}/out"] = out.clone().contiguous()
        self.cases[name] = json.dumps(
            {"op": op, "attrs": attrs, "weights": list(weights), "absent": absent, "dims": dims or {}, "bf16": bf16}
        )


def pads(ops):
    x = rand(2, 3, 5, 7)
    for kind, code in PAD.items():
        value = {"value": 0.25} if kind == "constant" else {}
        y = F.pad(x, (2, 3, 1, 0), mode=kind, **value)
        ops.add(f"pad.{kind}", "Pad", [x], y, dims={0: ["B", 3, "H", "W"]}, kind=code, pad_lo=[1, 2], pad_hi=[0, 3], **value)


def conv_case(ops, name, x, w, bias, lo, hi, dims, bf16=False, **attrs):
    n = x.dim() - 2
    stride, dilation = attrs.get("stride", [1] * n), attrs.get("dilation", [1] * n)
    if bf16:
        w, bias = w.bfloat16().float(), bias.bfloat16().float()
    pad = [p for a in reversed(range(n)) for p in (lo[a], hi[a])]
    fn = (F.conv1d, F.conv2d, F.conv3d)[n - 1]
    y = fn(F.pad(x.double(), pad), w.double(), bias.double() if bias is not None else None, stride, 0, dilation,
           attrs.get("groups", 1)).float()
    inputs = [x, w] + ([bias] if bias is not None else [])
    ops.add(name, "Conv", inputs, y, [1, 2][: len(inputs) - 1], {0: dims}, bf16, pad_lo=lo, pad_hi=hi, **attrs)


def convs(ops):
    case = lambda *a, **k: conv_case(ops, *a, **k)
    case("conv1d.causal", rand(2, 6, 41), rand(9, 6, 3, scale=0.3), rand(9), [4], [0], ["B", 6, "T"], dilation=[2])
    case("conv1d.long", rand(1, 2, 157), rand(33, 2, 3, scale=0.3), None, [1], [1], ["B", 2, "T"])
    case("conv1d.deep", rand(2, 43, 5), rand(6, 43, 4, scale=0.1), rand(6), [2], [2], ["B", 43, "T"])
    case("conv1d.stride", rand(3, 6, 17), rand(12, 3, 4, scale=0.3), rand(12), [1], [2], ["B", 6, "T"], stride=[3], groups=2)
    case("conv1d.depthwise", rand(2, 5, 29), rand(5, 1, 7, scale=0.3), rand(5), [6], [0], ["B", 5, "T"], groups=5)
    case("conv1d.one_out", rand(2, 11, 23), rand(1, 11, 7, scale=0.3), rand(1), [3], [3], ["B", 11, "T"])
    case("conv1d.point", rand(2, 13, 19), rand(17, 13, 1, scale=0.3), rand(17), [0], [0], ["B", 13, "T"], bf16=True)
    case("conv2d.same", rand(2, 5, 7, 5), rand(7, 5, 3, 3, scale=0.3), rand(7), [1, 1], [1, 1], ["B", 5, "H", "W"])
    case("conv2d.down", rand(2, 5, 9, 8), rand(6, 5, 3, 3, scale=0.3), rand(6), [0, 0], [1, 1], ["B", 5, "H", "W"], stride=[2, 2])
    case("conv2d.patch", rand(2, 3, 8, 12), rand(6, 3, 4, 4, scale=0.3), rand(6), [0, 0], [0, 0], ["B", 3, "H", "W"], stride=[4, 4])
    case("conv2d.wide", rand(1, 6, 7, 9), rand(10, 3, 3, 2, scale=0.3), None, [2, 0], [2, 1], ["B", 6, "H", "W"], dilation=[2, 1], groups=2)
    case("conv2d.depthwise", rand(2, 4, 7, 7), rand(8, 1, 3, 3, scale=0.3), rand(8), [1, 1], [1, 1], ["B", 4, "H", "W"], stride=[2, 1], groups=4)
    case("conv3d", rand(2, 3, 4, 4, 3), rand(5, 3, 2, 3, 3, scale=0.3), rand(5), [0, 1, 1], [0, 1, 1], ["B", 3, "D", "H", "W"], stride=[2, 1, 1])


def transposed_case(ops, name, x, w, bias, lo, hi, dims, **attrs):
    n = x.dim() - 2
    fn = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[n - 1]
    extra = attrs.get("output_padding", [0] * n)
    # torch's output_padding must be smaller than the stride; here the end is trimmed by hand.
    y = fn(x.double(), w.double(), bias.double() if bias is not None else None, attrs.get("stride", [1] * n), 0, extra,
           attrs.get("groups", 1), attrs.get("dilation", [1] * n)).float()
    for a in range(n):
        y = y.narrow(2 + a, lo[a], y.shape[2 + a] - lo[a] - hi[a])
    inputs = [x, w] + ([bias] if bias is not None else [])
    ops.add(name, "ConvTranspose", inputs, y, [1, 2][: len(inputs) - 1], {0: dims}, pad_lo=lo, pad_hi=hi, **attrs)


def transposed(ops):
    case = lambda *a, **k: transposed_case(ops, *a, **k)
    case("up1d.same", rand(2, 6, 13), rand(6, 7, 8, scale=0.3), rand(7), [2], [2], ["B", 6, "T"], stride=[4])
    case("up1d.causal", rand(2, 6, 13), rand(6, 9, 6, scale=0.3), rand(9), [0], [3], ["B", 6, "T"], stride=[3])
    case("up1d.gaps", rand(2, 6, 5), rand(6, 5, 2, scale=0.3), rand(5), [0], [0], ["B", 6, "T"], stride=[3], output_padding=[1])
    case("up1d.depthwise", rand(2, 5, 9), rand(5, 1, 4, scale=0.3), None, [0], [2], ["B", 5, "T"], stride=[2], groups=5)
    case("up1d.wide", rand(2, 4, 9), rand(4, 6, 3, scale=0.3), rand(12), [1], [0], ["B", 4, "T"], stride=[2], dilation=[2], groups=2)
    case("up2d.two", rand(2, 5, 4, 3), rand(5, 6, 2, 2, scale=0.3), rand(6), [0, 0], [0, 0], ["B", 5, "H", "W"], stride=[2, 2])
    case("up2d.three", rand(2, 5, 4, 3), rand(5, 6, 3, 3, scale=0.3), rand(6), [1, 1], [1, 1], ["B", 5, "H", "W"], stride=[2, 2], output_padding=[1, 1])
    case("up3d", rand(2, 3, 2, 2, 3), rand(3, 5, 2, 2, 2, scale=0.3), rand(5), [0, 0, 0], [0, 0, 0], ["B", 3, "D", "H", "W"], stride=[1, 2, 2])


def norms(ops):
    x = rand(2, 5, 37) * 2 + 3
    w, b = rand(37), rand(37)
    dims = {0: ["B", "T", 37]}
    ln = lambda w, b: F.layer_norm(x, (37,), w, b, 1e-6)
    ops.add("layer_norm", "LayerNorm", [x, w, b], ln(w, b), [1, 2], dims, eps=1e-6)
    ops.add("layer_norm.plain", "LayerNorm", [x], ln(None, None), [], dims, eps=1e-6)
    ops.add("layer_norm.bias", "LayerNorm", [x, None, b], ln(None, b), [2], dims, eps=1e-6)
    x = rand(2, 6, 5, 7) * 2 - 1
    w, b = rand(6), rand(6)
    for groups in (1, 3, 6):
        y = F.group_norm(x, groups, w, b, 1e-5)
        ops.add(f"group_norm.{groups}", "GroupNorm", [x, w, b], y, [1, 2], {0: ["B", 6, "H", "W"]}, groups=groups, eps=1e-5)
    y = F.group_norm(x, 2, None, None, 1e-5)
    ops.add("group_norm.plain", "GroupNorm", [x], y, [], {0: ["B", 6, "H", "W"]}, groups=2, eps=1e-5)


def activations(ops):
    x, a, b = rand(2, 5, 21, scale=4), rand(5).abs() + 0.3, rand(5).abs() + 0.3
    wave = lambda a, b: x + torch.sin(a[:, None] * x) ** 2 / (b[:, None] + 1e-9)
    dims = {0: ["B", 5, "T"]}
    ops.add("snake", "Snake", [x, a], wave(a, a), [1], dims)
    ops.add("snake.beta", "Snake", [x, a.log(), b.log()], wave(a, b), [1, 2], dims, log=1)
    x = rand(2, 7, 19)
    scale, shift, gate, rest = rand(2, 1, 19), rand(2, 1, 19), rand(2, 1, 19), rand(2, 7, 19)
    row = {0: ["B", "T", 19], 1: ["B", 1, 19], 2: ["B", 1, 19], 3: ["B", 1, 19], 4: ["B", "T", 19]}
    ops.add("modulate", "Modulate", [x, scale, shift], x * (1 + scale) + shift, [], {k: row[k] for k in (0, 1, 2)})
    ops.add("modulate.gate", "Modulate", [x, None, None, gate, rest], rest + gate * x, [], {k: row[k] for k in (0, 3, 4)})
    per_token = rand(2, 7, 1)
    y = rest + gate * (x * (1 + scale) + per_token)
    ops.add("modulate.all", "Modulate", [x, scale, per_token, gate, rest], y, [], {**row, 2: ["B", "T", 1]})


def attention_reference(q, k, v, mask, scale, causal, window, softcap):
    group = q.shape[2] // k.shape[2]
    q, k, v = (t.double().transpose(1, 2) for t in (q, k, v))
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    s = q @ k.transpose(-1, -2) * scale
    if softcap:
        s = softcap * torch.tanh(s / softcap)
    if mask is not None:
        s = s + mask
    if causal:
        i = torch.arange(s.shape[-2])[:, None] + s.shape[-1] - s.shape[-2]
        j = torch.arange(s.shape[-1])[None]
        hidden = (j > i) | ((i - j >= window) if window else torch.zeros_like(j > i))
        s = s.masked_fill(hidden, -torch.inf)
    p = torch.nan_to_num(torch.softmax(s, -1))
    return (p @ v).transpose(1, 2).float()


def attention_case(ops, name, q, k, v, mask=None, mask_dims=None, causal=0, window=0, softcap=0.0, scale=0.4):
    y = attention_reference(q, k, v, mask, scale, causal, window, softcap)
    heads, kv = q.shape[2:], k.shape[2:]
    keys = "Q" if k.shape[1] == q.shape[1] else "K"
    dims = {0: ["B", "Q", *heads], 1: ["B", keys, *kv], 2: ["B", keys, v.shape[2], v.shape[3]]}
    if mask is not None:
        dims[3] = mask_dims
    attrs = {"scale": scale, "causal": causal, "window": window, "softcap": softcap}
    ops.add(name, "Attention", [q, k, v] + ([mask] if mask is not None else []), y, [], dims, **attrs)


def attentions(ops):
    case = lambda *a, **k: attention_case(ops, *a, **k)
    case("attention", rand(2, 9, 3, 5), rand(2, 13, 3, 5), rand(2, 13, 3, 7))
    case("attention.long", rand(1, 3, 2, 2), rand(1, 291, 1, 2), rand(1, 291, 1, 1))
    case("attention.causal", rand(2, 7, 4, 6), rand(2, 7, 2, 6), rand(2, 7, 2, 6), causal=1)
    case("attention.tail", rand(2, 3, 2, 8), rand(2, 10, 2, 8), rand(2, 10, 2, 8), causal=1)
    case("attention.window", rand(2, 11, 2, 3), rand(2, 11, 2, 3), rand(2, 11, 2, 5), causal=1, window=4)
    case("attention.softcap", rand(2, 6, 2, 8), rand(2, 7, 2, 8), rand(2, 7, 2, 8), softcap=1.5)
    mask = torch.zeros(2, 1, 1, 8)
    mask[0, ..., 5:] = -torch.inf
    mask[1] = -torch.inf  # sees nothing
    case("attention.padding", rand(2, 5, 4, 8), rand(2, 8, 2, 8), rand(2, 8, 2, 8), mask, ["B", 1, 1, "K"])
    case("attention.bias", rand(2, 5, 4, 8), rand(2, 6, 2, 8), rand(2, 6, 2, 8), rand(4, 5, 6), [4, "Q", "K"])


def products(ops):
    a, b = rand(2, 3, 7, 11), rand(2, 1, 19, 11)
    ops.add("batch_matmul", "BatchMatMul", [a, b], a @ b.transpose(-1, -2), [], {0: ["B", 3, "M", 11], 1: ["B", 1, "N", 11]})
    a, b = rand(4, 5), rand(3, 6, 5)
    ops.add("batch_matmul.spread", "BatchMatMul", [a, b], a @ b.transpose(-1, -2), [], {0: ["M", 5], 1: [3, 6, 5]})


def make_ops():
    torch.manual_seed(1)
    ops = Ops()
    for part in (pads, convs, transposed, norms, activations, attentions, products):
        part(ops)
    save_file(ops.tensors, OUT / "ops.safetensors", ops.cases)


def main():
    OUT.mkdir(exist_ok=True)
    make_ops()
    for f in sorted(OUT.glob("*.safetensors")):
        print(f.name, f.stat().st_size)


if __name__ == "__main__":
    sys.exit(main())

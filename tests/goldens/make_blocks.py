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
    case("conv1d.causal", rand(2, 5, 23), rand(7, 5, 3, scale=0.3), rand(7), [4], [0], ["B", 5, "T"], dilation=[2])
    case("conv1d.long", rand(1, 2, 157), rand(6, 2, 3, scale=0.3), None, [1], [1], ["B", 2, "T"])
    case("conv1d.many", rand(2, 2, 3), rand(70, 2, 3, scale=0.3), rand(70), [1], [1], ["B", 2, "T"])
    case("conv1d.deep", rand(1, 43, 5), rand(5, 43, 4, scale=0.1), rand(5), [2], [2], ["B", 43, "T"])
    case("conv1d.stride", rand(3, 6, 17), rand(12, 3, 4, scale=0.3), rand(12), [1], [2], ["B", 6, "T"], stride=[3], groups=2)
    case("conv1d.depthwise", rand(2, 5, 29), rand(5, 1, 7, scale=0.3), rand(5), [6], [0], ["B", 5, "T"], groups=5)
    case("conv1d.one_out", rand(2, 11, 23), rand(1, 11, 7, scale=0.3), rand(1), [3], [3], ["B", 11, "T"])
    case("conv1d.point", rand(2, 7, 11), rand(17, 7, 1, scale=0.3), rand(17), [0], [0], ["B", 7, "T"], bf16=True)
    case("conv2d.same", rand(2, 3, 7, 5), rand(5, 3, 3, 3, scale=0.3), rand(5), [1, 1], [1, 1], ["B", 3, "H", "W"])
    case("conv2d.down", rand(2, 3, 7, 6), rand(5, 3, 3, 3, scale=0.3), rand(5), [0, 0], [1, 1], ["B", 3, "H", "W"], stride=[2, 2])
    case("conv2d.patch", rand(2, 3, 8, 12), rand(6, 3, 4, 4, scale=0.3), rand(6), [0, 0], [0, 0], ["B", 3, "H", "W"], stride=[4, 4])
    case("conv2d.wide", rand(1, 4, 5, 6), rand(10, 2, 3, 2, scale=0.3), None, [2, 0], [2, 1], ["B", 4, "H", "W"], dilation=[2, 1], groups=2)
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
    case("up1d.same", rand(2, 5, 7), rand(5, 7, 8, scale=0.3), rand(7), [2], [2], ["B", 5, "T"], stride=[4])
    case("up1d.causal", rand(2, 5, 7), rand(5, 6, 6, scale=0.3), rand(6), [0], [3], ["B", 5, "T"], stride=[3])
    case("up1d.gaps", rand(2, 6, 5), rand(6, 5, 2, scale=0.3), rand(5), [0], [0], ["B", 6, "T"], stride=[3], output_padding=[1])
    case("up1d.depthwise", rand(2, 5, 9), rand(5, 1, 4, scale=0.3), None, [0], [2], ["B", 5, "T"], stride=[2], groups=5)
    case("up1d.wide", rand(2, 4, 9), rand(4, 6, 3, scale=0.3), rand(12), [1], [0], ["B", 4, "T"], stride=[2], dilation=[2], groups=2)
    case("up2d.two", rand(2, 5, 4, 3), rand(5, 6, 2, 2, scale=0.3), rand(6), [0, 0], [0, 0], ["B", 5, "H", "W"], stride=[2, 2])
    case("up2d.three", rand(2, 5, 4, 3), rand(5, 6, 3, 3, scale=0.3), rand(6), [1, 1], [1, 1], ["B", 5, "H", "W"], stride=[2, 2], output_padding=[1, 1])
    case("up3d", rand(2, 3, 2, 2, 3), rand(3, 5, 2, 2, 2, scale=0.3), rand(5), [0, 0, 0], [0, 0, 0], ["B", 3, "D", "H", "W"], stride=[1, 2, 2])


def norms(ops):
    x = rand(2, 3, 37) * 2 + 3
    w, b = rand(37), rand(37)
    dims = {0: ["B", "T", 37]}
    ln = lambda w, b: F.layer_norm(x, (37,), w, b, 1e-6)
    ops.add("layer_norm", "LayerNorm", [x, w, b], ln(w, b), [1, 2], dims, eps=1e-6)
    ops.add("layer_norm.plain", "LayerNorm", [x], ln(None, None), [], dims, eps=1e-6)
    ops.add("layer_norm.bias", "LayerNorm", [x, None, b], ln(None, b), [2], dims, eps=1e-6)
    x = rand(2, 6, 3, 5) * 2 - 1
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
    x = rand(2, 3, 19)
    scale, shift, gate, rest = rand(2, 1, 19), rand(2, 1, 19), rand(2, 1, 19), rand(2, 3, 19)
    row = {0: ["B", "T", 19], 1: ["B", 1, 19], 2: ["B", 1, 19], 3: ["B", 1, 19], 4: ["B", "T", 19]}
    ops.add("modulate", "Modulate", [x, scale, shift], x * (1 + scale) + shift, [], {k: row[k] for k in (0, 1, 2)})
    ops.add("modulate.gate", "Modulate", [x, None, None, gate, rest], rest + gate * x, [], {k: row[k] for k in (0, 3, 4)})
    per_token = rand(2, 3, 1)
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
    case("attention", rand(2, 5, 3, 5), rand(2, 7, 3, 5), rand(2, 7, 3, 6))
    case("attention.long", rand(1, 3, 2, 2), rand(1, 291, 1, 2), rand(1, 291, 1, 1))
    case("attention.causal", rand(2, 7, 4, 4), rand(2, 7, 2, 4), rand(2, 7, 2, 4), causal=1)
    case("attention.tail", rand(2, 3, 2, 4), rand(2, 10, 2, 4), rand(2, 10, 2, 4), causal=1)
    case("attention.window", rand(2, 11, 2, 3), rand(2, 11, 2, 3), rand(2, 11, 2, 5), causal=1, window=4)
    case("attention.softcap", rand(2, 6, 2, 4), rand(2, 7, 2, 4), rand(2, 7, 2, 4), softcap=1.5)
    mask = torch.zeros(2, 1, 1, 8)
    mask[0, ..., 5:] = -torch.inf
    mask[1] = -torch.inf  # sees nothing
    case("attention.padding", rand(2, 3, 4, 4), rand(2, 8, 2, 4), rand(2, 8, 2, 4), mask, ["B", 1, 1, "K"])
    case("attention.bias", rand(2, 5, 4, 4), rand(2, 6, 2, 4), rand(2, 6, 2, 4), rand(4, 5, 6), [4, "Q", "K"])


def products(ops):
    a, b = rand(2, 3, 5, 7), rand(2, 1, 17, 7)
    ops.add("batch_matmul", "BatchMatMul", [a, b], a @ b.transpose(-1, -2), [], {0: ["B", 3, "M", 7], 1: ["B", 1, "N", 7]})
    a, b = rand(4, 5), rand(3, 6, 5)
    ops.add("batch_matmul.spread", "BatchMatMul", [a, b], a @ b.transpose(-1, -2), [], {0: ["M", 5], 1: [3, 6, 5]})


def make_ops():
    torch.manual_seed(1)
    ops = Ops()
    for part in (pads, convs, transposed, norms, activations, attentions, products):
        part(ops)
    save_file(ops.tensors, OUT / "ops.safetensors", ops.cases)


class Blocks:
    def __init__(self):
        self.tensors = {}

    def add(self, case, weights, inputs, out):
        for name, t in weights.items():
            self.tensors[f"{case}/w/{name}"] = t.detach().float().clone().contiguous()
        for name, t in inputs.items():
            self.tensors[f"{case}/x/{name}"] = (t.float() if t.is_floating_point() else t.int()).clone().contiguous()
        self.tensors[f"{case}/out"] = out.detach().float().clone().contiguous()


def randomise(module, seed):
    """Every parameter and buffer random; scales keep activations of order one."""
    gen = torch.Generator().manual_seed(seed)
    for name, p in list(module.named_parameters()) + list(module.named_buffers()):
        if not p.is_floating_point() or "inv_freq" in name:
            continue
        r = torch.randn(p.shape, generator=gen, dtype=torch.float32)
        if "running_var" in name or "cluster_usage" in name or "alpha" in name or "original0" in name:
            r = r.abs() + 0.5
        elif p.dim() > 1:
            r = r * (1.5 / max(1, p[0].numel()) ** 0.5)
        with torch.no_grad():
            p.copy_(r)
    return module.double().eval()


def state(module, *prefixes):
    return {k: v for k, v in module.state_dict().items() if v.is_floating_point() and
            (not prefixes or k.startswith(prefixes))}


class Resnet(torch.nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.norm1, self.norm2 = torch.nn.GroupNorm(2, cin, 1e-6), torch.nn.GroupNorm(2, cout, 1e-6)
        self.conv1 = torch.nn.Conv2d(cin, cout, 3, padding=1)
        self.conv2 = torch.nn.Conv2d(cout, cout, 3, padding=1)
        if cin != cout:
            self.conv_shortcut = torch.nn.Conv2d(cin, cout, 1)

    def forward(self, x):
        y = self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))
        return y + (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x)


class ConvStack(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.resnets = torch.nn.ModuleList([Resnet(4, 6), Resnet(6, 6)])
        self.downsamplers = torch.nn.ModuleDict({"conv": torch.nn.Conv2d(6, 6, 3, stride=2)})
        self.upsamplers = torch.nn.ModuleDict({"conv": torch.nn.Conv2d(6, 5, 3, padding=1)})

    def forward(self, x):
        for r in self.resnets:
            x = r(x)
        x = self.downsamplers["conv"](F.pad(x, (0, 1, 0, 1)))
        return self.upsamplers["conv"](F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Basic(torch.nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        n = torch.nn
        self.conv1 = n.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.conv2 = n.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = n.BatchNorm2d(cout), n.BatchNorm2d(cout)
        if stride != 1 or cin != cout:
            self.downsample = n.Sequential(n.Conv2d(cin, cout, 1, stride, bias=False), n.BatchNorm2d(cout))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class Normed(torch.nn.Module):
    """Weight norm in both spellings, on a convolution and a transposed one, a norm over channels, an even kernel."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv1d(5, 7, 3))
        self.up = torch.nn.utils.weight_norm(torch.nn.ConvTranspose1d(7, 6, 4, 2))
        self.norm = torch.nn.LayerNorm(6, 1e-6)
        self.last = torch.nn.Conv1d(6, 5, 4, dilation=3, padding="same")

    def forward(self, x):
        x = self.up(self.conv(F.pad(x, (2, 0), mode="replicate")))[..., :-2]
        return self.last(self.norm(x.transpose(1, 2)).transpose(1, 2))


def conv_blocks(b):
    x = rand(2, 4, 5, 7)
    m = randomise(ConvStack(), 1)
    b.add("conv_stack", state(m), {"x": x}, m(x.double()))
    x = rand(2, 3, 7, 5)
    m = randomise(torch.nn.Sequential(Basic(3, 5, 2), Basic(5, 5, 1)), 2)
    b.add("basic", state(m), {"x": x}, m(x.double()))
    x = rand(2, 5, 9)
    m = Normed()
    m = randomise(m, 3)
    b.add("weight_norm", state(m), {"x": x}, m(x.double()))


    from transformers import MimiConfig
    from transformers.models.mimi.modeling_mimi import MimiConv1d
    first = MimiConv1d(MimiConfig(), 3, 6, 7, stride=3, pad_mode="constant")
    m = randomise(torch.nn.ModuleList([first, MimiConv1d(MimiConfig(), 6, 5, 4, stride=2, pad_mode="replicate")]), 9)
    x = rand(2, 3, 13)  # 5 frames of 3, then 3 of 2: both end in a part of a frame
    b.add("frames", {k: v for k, v in state(m).items() if "conv." in k}, {"x": x}, m[1](m[0](x.double())))


def vits(b):
    from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel
    for name, swiglu in (("dinov2", False), ("dinov2_swiglu", True)):
        c = Dinov2WithRegistersConfig(hidden_size=12, num_hidden_layers=1, num_attention_heads=3, image_size=12,
                                      patch_size=4, num_register_tokens=2, mlp_ratio=2, use_swiglu_ffn=swiglu)
        c._attn_implementation = "eager"
        m = randomise(Dinov2WithRegistersModel(c), 4)
        x = rand(2, 3, 12, 12)
        b.add(name, state(m), {"pixels": x}, m(pixel_values=x.double()).last_hidden_state)


class Attention(torch.nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, torch.nn.Linear(d, 3 * d), torch.nn.Linear(d, d)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, d))


class DiT(torch.nn.Module):
    """adaLN-Zero as in Peebles and Xie, arXiv:2212.09748."""

    def __init__(self, d, heads):
        super().__init__()
        n = torch.nn
        self.attn = Attention(d, heads)
        self.mlp = n.ModuleDict({"fc1": n.Linear(d, 2 * d), "fc2": n.Linear(2 * d, d)})
        self.adaLN_modulation = n.Sequential(n.SiLU(), n.Linear(d, 6 * d))

    def forward(self, x, vec):
        s1, c1, g1, s2, c2, g2 = self.adaLN_modulation(vec)[:, None].chunk(6, -1)
        norm = lambda x, s, c: F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + c) + s
        x = x + g1 * self.attn(norm(x, s1, c1))
        h = F.gelu(self.mlp["fc1"](norm(x, s2, c2)), approximate="tanh")
        return x + g2 * self.mlp["fc2"](h)


class DiTModel(torch.nn.Module):
    def __init__(self, d=12, heads=2, frequencies=8):
        super().__init__()
        n, self.frequencies = torch.nn, frequencies
        self.time = n.ModuleDict({"linear_1": n.Linear(frequencies, d), "linear_2": n.Linear(d, d)})
        self.blocks = n.ModuleList([DiT(d, heads)])
        self.final = n.Linear(d, 2 * d)

    def forward(self, x, t):
        half = self.frequencies // 2
        angle = t[:, None] * torch.exp(-torch.log(torch.tensor(10000.0)) * torch.arange(half) / half).double()
        vec = self.time["linear_2"](F.silu(self.time["linear_1"](torch.cat([angle.cos(), angle.sin()], -1))))
        for block in self.blocks:
            x = block(x, vec)
        shift, scale = self.final(F.silu(vec))[:, None].chunk(2, -1)
        return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


def rope_axes(x, positions, dims, base):
    """x [B, T, H, hd]; each axis turns its own run of pairs (2j, 2j + 1)."""
    parts, at = [], 0
    for p, d in zip(positions, dims):
        angle = p.double()[:, None] * base ** (-torch.arange(0, d, 2).double() / d)
        cos, sin = angle.cos()[:, None], angle.sin()[:, None]
        a, c = x[..., at : at + d : 2], x[..., at + 1 : at + d : 2]
        parts.append(torch.stack([a * cos - c * sin, c * cos + a * sin], -1).flatten(-2))
        at += d
    return torch.cat(parts, -1)


class Joint(torch.nn.Module):
    """One dual-stream and one single-stream block with shared modulation (FLUX.2's structure, diffusers' names)."""

    def __init__(self, d=8, heads=2, mlp=7):
        super().__init__()
        n, lin = torch.nn, lambda i, o: torch.nn.Linear(i, o, bias=False)
        hd = d // heads
        names = ["to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out"]
        attn = {k: lin(d, d) for k in names} | {"to_out": n.ModuleList([lin(d, d)])}
        attn |= {k: n.RMSNorm(hd, 1e-6) for k in ("norm_q", "norm_k", "norm_added_q", "norm_added_k")}
        ff = lambda: n.ModuleDict({"linear_in": lin(d, 2 * mlp), "linear_out": lin(mlp, d)})
        self.transformer_blocks = n.ModuleList([n.ModuleDict({"attn": n.ModuleDict(attn), "ff": ff(), "ff_context": ff()})])
        single = {"to_qkv_mlp_proj": lin(d, 3 * d + 2 * mlp), "to_out": lin(d + mlp, d)}
        single |= {k: n.RMSNorm(hd, 1e-6) for k in ("norm_q", "norm_k")}
        self.single_transformer_blocks = n.ModuleList([n.ModuleDict({"attn": n.ModuleDict(single)})])
        self.double_stream_modulation_img = n.ModuleDict({"linear": lin(d, 6 * d)})
        self.double_stream_modulation_txt = n.ModuleDict({"linear": lin(d, 6 * d)})
        self.single_stream_modulation = n.ModuleDict({"linear": lin(d, 3 * d)})
        self.heads = heads

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1))

    def attend(self, q, k, v, positions):
        q, k = rope_axes(q, positions, (2, 2), 2000.0), rope_axes(k, positions, (2, 2), 2000.0)
        y = F.scaled_dot_product_attention(*(t.transpose(1, 2) for t in (q, k, v)))
        return y.transpose(1, 2).flatten(2)

    def forward(self, img, txt, vec, positions):
        norm = lambda x, s, c: F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + c) + s
        mods = lambda m, n: m["linear"](F.silu(vec))[:, None].chunk(3 * n, -1)
        glu = lambda x: F.silu(x.chunk(2, -1)[0]) * x.chunk(2, -1)[1]
        ff = lambda m, x: m["linear_out"](glu(m["linear_in"](x)))
        i, t = mods(self.double_stream_modulation_img, 2), mods(self.double_stream_modulation_txt, 2)
        b = self.transformer_blocks[0]
        a = b["attn"]
        x, y = norm(img, i[0], i[1]), norm(txt, t[0], t[1])
        q = torch.cat([a["norm_added_q"](self.split(a["add_q_proj"](y))), a["norm_q"](self.split(a["to_q"](x)))], 1)
        k = torch.cat([a["norm_added_k"](self.split(a["add_k_proj"](y))), a["norm_k"](self.split(a["to_k"](x)))], 1)
        v = torch.cat([self.split(a["add_v_proj"](y)), self.split(a["to_v"](x))], 1)
        o = self.attend(q, k, v, positions)
        n = txt.shape[1]
        img, txt = img + i[2] * a["to_out"][0](o[:, n:]), txt + t[2] * a["to_add_out"](o[:, :n])
        img = img + i[5] * ff(b["ff"], norm(img, i[3], i[4]))
        txt = txt + t[5] * ff(b["ff_context"], norm(txt, t[3], t[4]))
        s = mods(self.single_stream_modulation, 1)
        a = self.single_transformer_blocks[0]["attn"]
        x = torch.cat([txt, img], 1)
        d = x.shape[-1]
        q, k, v, h = a["to_qkv_mlp_proj"](norm(x, s[0], s[1])).split([d, d, d, a["to_out"].in_features * 2 - 2 * d], -1)
        o = self.attend(a["norm_q"](self.split(q)), a["norm_k"](self.split(k)), self.split(v), positions)
        return x + s[2] * a["to_out"](torch.cat([o, glu(h)], -1))


def dits(b):
    x, t = rand(2, 7, 12), torch.tensor([0.75, 13.0])
    m = randomise(DiTModel(), 5)
    b.add("dit", state(m), {"x": x, "t": t}, m(x.double(), t.double()))
    img, txt, vec = rand(2, 6, 8), rand(2, 3, 8), rand(2, 8)
    positions = [torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 1]), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2])]
    m = randomise(Joint(), 6)
    y = m(img.double(), txt.double(), vec.double(), positions)
    b.add("joint", state(m), {"img": img, "txt": txt, "vec": vec, "p0": positions[0], "p1": positions[1]}, y)


def codecs(b):
    from transformers import DacConfig, DacModel, MimiConfig, MimiModel
    c = DacConfig(encoder_hidden_size=2, downsampling_ratios=[2, 3], decoder_hidden_size=12, n_codebooks=3, codebook_size=16,
                  codebook_dim=3, upsampling_ratios=[3, 2], hidden_size=8)
    m = randomise(DacModel(c), 7)
    with torch.no_grad():
        for p in m.decoder.parameters():  # snakes of large values say more about sin() than about the block
            p *= 0.5
    codes = torch.randint(0, 16, (2, 3, 5))
    z = m.quantizer.from_codes(codes)[0]
    keep = state(m, "decoder.", "quantizer.")
    b.add("dac", {k: v for k, v in keep.items() if "in_proj" not in k}, {"codes": codes}, m.decoder(z))
    c = MimiConfig(hidden_size=8, num_filters=2, upsampling_ratios=[3, 2], codebook_size=8, codebook_dim=4, num_quantizers=3,
                   vector_quantization_hidden_dimension=4, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
                   head_dim=4, intermediate_size=8, upsample_groups=8, num_residual_layers=2, sliding_window=5)
    m = randomise(MimiModel(c), 8)
    codes = torch.randint(0, 8, (2, 3, 4))
    y = m.decode(codes).audio_values
    keep = state(m, "decoder.", "quantizer.")
    unused = ("input_proj", "initialized")
    b.add("mimi", {k: v for k, v in keep.items() if not any(u in k for u in unused)}, {"codes": codes}, y)


def make_blocks():
    torch.manual_seed(2)
    b = Blocks()
    for part in (conv_blocks, vits, dits, codecs):
        part(b)
    save_file(b.tensors, OUT / "blocks.safetensors")


def main():
    OUT.mkdir(exist_ok=True)
    make_ops()
    make_blocks()
    for f in sorted(OUT.glob("*.safetensors")):
        print(f.name, f.stat().st_size)


if __name__ == "__main__":
    sys.exit(main())

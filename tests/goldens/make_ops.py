#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-only
"""Expected values for the ops of images, audio, recurrent models and index arithmetic.

Writes index_ops, image_ops and sequence_ops.safetensors to tests/goldens/blocks, in the format of make_blocks.py (which see); an op with several
results has them in "<case>/out", "<case>/out1", ... and whole numbers are I32 tensors. Results come from PyTorch where it has
the op, else from loops that follow the text of ops.def. Needs torch, safetensors, numpy.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.set_num_threads(1)
OUT = Path(__file__).parent / "blocks"


def rand(*shape, scale=1.0):
    return torch.randn(*shape) * scale


def ints(*values):
    return torch.tensor(values, dtype=torch.int32)


class Ops:
    def __init__(self):
        self.tensors = {}
        self.cases = {}

    def add(self, name, op, inputs, outs, weights=(), syms=None, **attrs):
        outs = outs if isinstance(outs, (list, tuple)) else [outs]
        absent = [i for i, t in enumerate(inputs) if t is None]
        narrow = lambda t: t.to(torch.int32) if not t.is_floating_point() else t.float()
        for i, t in enumerate(inputs):
            if t is not None:
                self.tensors[f"{name}/in{i}"] = narrow(t).clone().contiguous()
        for i, t in enumerate(outs):
            self.tensors[f"{name}/out{i or ''}"] = narrow(t).clone().contiguous()
        assert name not in self.cases, name
        self.cases[name] = json.dumps(
            {"op": op, "attrs": attrs, "weights": list(weights), "absent": absent, "dims": syms or {}, "bf16": False}
        )


# ---- elementwise, index, order ----


def elementwise(ops):
    x = torch.cat([rand(3, 37, scale=3.0), torch.tensor([[0.5, 1.5, 2.5, -0.5, -1.5, 0.0, 1e-4] * 5 + [30.0, -30.0]])])
    kinds = {16: torch.erf, 17: lambda v: torch.logaddexp(v, torch.zeros(())), 18: torch.floor, 19: torch.ceil,
             20: torch.round, 21: torch.sign, 22: lambda v: torch.expm1(v.clamp(max=5)), 23: lambda v: torch.log1p(v.abs())}
    for kind, fn in kinds.items():
        v = x.clamp(max=5) if kind == 22 else x.abs() if kind == 23 else x
        ops.add(f"unary.{kind}", "Unary", [v], fn(v.double()).float(), syms={0: ["A", "B"]}, kind=kind)
    a, b = rand(4, 9), rand(9)
    ops.add("binary.atan2", "Binary", [a, b], torch.atan2(a, b.expand(4, 9)), kind=8)


def index(ops):
    x = rand(3, 5, 4)
    for axis in range(3):
        idx = torch.randint(0, x.shape[axis], (2, 3))
        y = torch.tensor(np.take(x.numpy(), idx.numpy(), axis))
        ops.add(f"gather.{axis}", "Gather", [x, idx], y, syms={0: ["A", "B", "C"]}, axis=axis)
    ops.add("gather.scalar", "Gather", [x, torch.tensor(2)], x[:, 2], axis=1)
    for axis in range(3):
        ops.add(f"flip.{axis}", "Flip", [x], x.flip(axis), syms={0: ["A", "B", "C"]}, axis=axis)
    ids, rows = torch.tensor([4, 0, 4, 2]), rand(4, 3, 2)
    base = rand(6, 3, 2)
    last = base.clone()
    for t, i in enumerate(ids):
        last[i] = rows[t]
    ops.add("scatter_rows.set", "ScatterRows", [base, ids, rows], last, syms={0: ["N", 3, 2], 1: ["T"], 2: ["T", 3, 2]})
    ops.add("scatter_rows.add", "ScatterRows", [base, ids, rows], base.index_add(0, ids, rows), accumulate=1)
    base_i, rows_i = torch.randint(-9, 9, (6, 2)), torch.randint(-9, 9, (4, 2))
    ops.add("scatter_rows.i32", "ScatterRows", [base_i, ids, rows_i], base_i.index_add(0, ids, rows_i), accumulate=1)
    for axis in range(3):
        idx = torch.randint(0, x.shape[axis], tuple(2 if a == axis else n for a, n in enumerate(x.shape)))
        if axis == 1:
            idx = torch.stack([idx[:, 0], (idx[:, 0] + 1) % 5], 1)  # no index twice: set has one answer
            ops.add("scatter_along.set", "ScatterAlong", [x, idx, 2 * idx.float()], x.scatter(1, idx, 2 * idx.float()), axis=1)
        src = rand(*idx.shape)
        y = x.scatter_add(axis, idx, src)
        ops.add(f"scatter_along.add{axis}", "ScatterAlong", [x, idx, src], y, syms={0: ["A", "B", "C"]} if axis == 1 else {},
                axis=axis, accumulate=1)


def order(ops):
    x = torch.randint(-4, 4, (3, 2, 11)).float()
    x[0, 0, 3], x[0, 0, 4], x[1, 1, 2] = math.inf, -math.inf, -0.0
    finite = x.clamp(-100, 100)
    for down in (0, 1):
        v, i = torch.sort(finite, stable=True, descending=bool(down))
        ops.add(f"sort.{down}", "Sort", [finite], [v, i], syms={0: ["A", "B", "N"]}, descending=down)
    for axis in range(3):
        ops.add(f"arg_max.{axis}", "ArgReduce", [finite], torch.tensor(np.argmax(finite.numpy(), axis)), syms={0: ["A", "B", "N"]},
                kind=3, axis=axis)
    ops.add("arg_min.keep", "ArgReduce", [finite], torch.tensor(np.argmin(finite.numpy(), 1, keepdims=True)), kind=4, axis=-2, keep=1)
    y = rand(2, 3, 67)
    for axis in range(3):
        d = y.double()
        ops.add(f"cum_sum.{axis}", "CumSum", [y], d.cumsum(axis), syms={0: ["A", "B", "C"]}, axis=axis)
        ops.add(f"cum_sum.exclusive{axis}", "CumSum", [y], d.cumsum(axis) - d, axis=axis, exclusive=1)
        back = d.flip(axis).cumsum(axis).flip(axis)
        ops.add(f"cum_sum.reverse{axis}", "CumSum", [y], back - d, axis=axis, exclusive=1, reverse=1)
    whole = torch.randint(-9, 9, (5, 6))
    ops.add("cum_sum.i32", "CumSum", [whole], whole.cumsum(0), axis=0)
    for axis in range(3):
        ops.add(f"log_sum_exp.{axis}", "LogSumExp", [y * 20], torch.logsumexp((y * 20).double(), axis, keepdim=axis == 1),
                syms={0: ["A", "B", "C"]}, axis=axis, keep=int(axis == 1))


def philox(counter, key):
    c, k, low = list(counter), list(key), 0xFFFFFFFF
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & low, (a >> 32) ^ c[3] ^ k[1], a & low]
        k = [(k[0] + 0x9E3779B9) & low, (k[1] + 0xBB67AE85) & low]
    return c


def random(ops):
    # Known answers of the Random123 distribution.
    assert philox([0] * 4, [0] * 2) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert philox([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    for name, seed, offset, shape in (("small", 7, 0, [3, 7]), ("wide", 0x123456789ABCDEF0, 0xFFFFFFFF, [2, 3, 5])):
        words = []
        for b in range((math.prod(shape) + 3) // 4):
            at = (offset + b) % 2**64
            words.append(philox([at & 0xFFFFFFFF, at >> 32, 0, 0], [seed & 0xFFFFFFFF, seed >> 32]))
        w = np.array(words, dtype=np.uint64) >> np.uint64(8)
        u = (w.astype(np.float64) * 2.0**-24)
        r, t = np.sqrt(-2 * np.log(u[:, 0::2] + 2.0**-24)), 2 * np.pi * u[:, 1::2]
        n = np.stack([r * np.cos(t), r * np.sin(t)], 2).reshape(-1)
        signed = lambda v: torch.tensor(np.array([v & 0xFFFFFFFF, v >> 32], dtype=np.uint32).view(np.int32))
        cut = lambda v: torch.tensor(v.reshape(-1)[: math.prod(shape)].reshape(shape))
        for kind, v in ((1, u), (2, n)):
            ops.add(f"random.{name}{kind}", "Random", [signed(seed), signed(offset)], cut(v), kind=kind, dims=shape)


# ---- norms, products, codes ----


def norms(ops):
    x = rand(3, 5, 7)
    x[1, 2] = 0
    ops.add("l2_norm.max", "L2Norm", [x], F.normalize(x.double(), dim=-1, eps=1e-3), syms={0: ["A", "B", "N"]}, eps=1e-3)
    ops.add("l2_norm.add", "L2Norm", [x], x.double() * torch.rsqrt((x.double() ** 2).sum(-1, True) + 1e-3), eps=1e-3, kind=2)
    for shape in ((2, 5, 7), (2, 5, 3, 4), (2, 5, 2, 3, 2)):
        v, w, b = rand(*shape) + 0.5, rand(5), rand(5)
        to = [0, *range(2, v.dim()), 1]
        y = F.layer_norm(v.double().permute(to), [5], w.double(), b.double(), 1e-5)
        y = y.permute([0, v.dim() - 1, *range(1, v.dim() - 1)])
        ops.add(f"channel_norm.{v.dim()}", "ChannelNorm", [v, w, b], y, [1, 2], {0: ["B", 5, *"HWD"[: v.dim() - 2]]}, eps=1e-5)
    x, w, a, b, bias = rand(2, 3, 33), rand(17, 33), rand(4, 33), rand(17, 4), rand(17)
    y = F.linear(x.double(), w.double(), bias.double()) + 0.5 * F.linear(F.linear(x.double(), a.double()), b.double())
    ops.add("lora", "LoraMatMul", [x, w, a, b, bias], y, [1, 2, 3, 4], {0: ["B", "T", 33]}, scale=0.5)
    ops.add("lora.plain", "LoraMatMul", [x, w, a, b], y - bias, [1, 2, 3], scale=0.5)
    x, codes = rand(2, 9, 6), rand(31, 6)
    near = ((x[..., None, :].double() - codes.double()) ** 2).sum(-1).argmin(-1)
    ops.add("vq_nearest", "VqNearest", [x, codes], near, [1], {0: ["B", "T", 6]})


# ---- images ----


def pools(ops):
    def case(name, x, kernel, stride=None, pad=0, dims=None, **attrs):
        n = x.dim() - 2
        d = x.double()
        up = bool(attrs.get("ceil", 0))
        lists = {"kernel": [kernel] * n, "pad_lo": [pad] * n, "pad_hi": [pad] * n}
        if stride is not None:
            lists["stride"] = [stride] * n
        top = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[n - 1]
        dilation = attrs.pop("dilation", 1)
        y = top(d, kernel, stride, pad, dilation, up)
        if dilation != 1:
            lists["dilation"] = [dilation] * n
        ops.add(f"pool.max.{name}", "Pool", [x], y, (), {0: dims} if dims else {}, kind=1, **lists, **attrs)
        if dilation != 1:
            return
        mean = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[n - 1]
        for count in (0, 1):
            y = mean(d, kernel, stride, pad, up, bool(count))
            ops.add(f"pool.avg{count}.{name}", "Pool", [x], y, (), {0: dims} if dims else {}, kind=2, count_pad=count, **lists, **attrs)

    case("1d", rand(2, 3, 17), 3, 2, 1, ["B", 3, "L"])
    case("2d", rand(2, 3, 7, 9), 2, dims=["B", 3, "H", "W"])
    case("resnet", rand(1, 2, 9, 8), 3, 2, 1, ["B", 2, "H", "W"])
    case("ceil", rand(2, 2, 8, 10), 3, 2, 1, ["B", 2, "H", "W"], ceil=1)
    case("ceil_wide", rand(1, 2, 7), 2, 3, 1, ["B", 2, "L"], ceil=1)
    case("ceil_gap", rand(1, 2, 8), 2, 4, 0, ["B", 2, "L"], ceil=1)
    case("3d", rand(1, 2, 5, 4, 6), 2, 2, 1, ["B", 2, "D", "H", "W"])
    case("dilated", rand(1, 2, 11, 9), 3, 1, 1, ["B", 2, "H", "W"], dilation=2)


def resizes(ops):
    def case(name, x, size=None, mode="bilinear", scale=None, align=None, antialias=False, **attrs):
        n = x.dim() - 2
        inputs = [x]
        if scale is not None:
            inputs.append(torch.tensor([1.0 / s for s in scale], dtype=torch.float32))
        extra = {} if align is None else {"align_corners": align}
        y = F.interpolate(x, size, scale, mode, antialias=antialias, **extra)
        kind = {"nearest": 1, "nearest-exact": 1, "linear": 2, "bilinear": 2, "trilinear": 2, "bicubic": 3}[mode]
        if mode == "nearest":
            attrs["coord"] = 2
        if align:
            attrs["coord"] = 1
        if antialias:
            attrs["antialias"] = 1
        ops.add(f"resize.{name}", "Resize", inputs, y, (), {0: ["B", "C", *"DHW"[3 - n:]]}, kind=kind, dims=list(y.shape[2:]), **attrs)

    x = rand(1, 2, 7, 11)
    for size in ((7, 11), (14, 22), (5, 6), (1, 1), (25, 3)):
        tag = f"{size[0]}x{size[1]}"
        case(f"nearest.{tag}", x, size, "nearest")
        case(f"exact.{tag}", x, size, "nearest-exact")
        case(f"linear.{tag}", x, size, "bilinear", align=False)
        case(f"aligned.{tag}", x, size, "bilinear", align=True)
        case(f"cubic.{tag}", x, size, "bicubic", align=False)
        case(f"cubic_aligned.{tag}", x, size, "bicubic", align=True)
        case(f"wide_linear.{tag}", x, size, "bilinear", align=False, antialias=True)
        case(f"wide_cubic.{tag}", x, size, "bicubic", align=False, antialias=True)
    # DINOv2's position tables: scale_factor with an offset of 0.1.
    table = rand(1, 4, 7, 7)
    case("scaled.cubic", table, None, "bicubic", ((5 + 0.1) / 7, (9 + 0.1) / 7), align=False)
    case("scaled.linear", table, None, "bilinear", (1.7, 0.6), align=False)
    case("scaled.nearest", table, None, "nearest", (1.7, 0.6))
    case("1d.linear", rand(2, 3, 9), (21,), "linear", align=False)
    for size in (21, 49, 41, 82, 3):
        case(f"1d.nearest{size}", rand(1, 2, 7), (size,), "nearest")
        case(f"1d.exact{size}", rand(1, 2, 7), (size,), "nearest-exact")
    case("3d.linear", rand(1, 2, 3, 4, 5), (5, 3, 8), "trilinear", align=False)
    case("3d.nearest", rand(1, 2, 3, 4, 5), (5, 3, 8), "nearest")


def images(ops):
    x, grid = rand(2, 3, 5, 7), rand(2, 4, 6, 2) * 1.2
    for kind, mode in ((1, "nearest"), (2, "bilinear"), (3, "bicubic")):
        for pad, name in ((1, "zeros"), (2, "reflection"), (3, "border")):
            for align in (0, 1):
                y = F.grid_sample(x.double(), grid.double(), mode, name, bool(align))
                ops.add(f"grid.{mode}.{name}{align}", "GridSample", [x, grid], y, (), {0: ["B", 3, "H", "W"], 1: ["B", "h", "w", 2]},
                        kind=kind, pad=pad, align=align)
    x = rand(2, 12, 3, 5)
    ops.add("pixel_shuffle", "PixelShuffle", [x], F.pixel_shuffle(x, 2), (), {0: ["B", 12, "H", "W"]}, block=2)
    y = rand(2, 3, 6, 9)
    ops.add("pixel_unshuffle", "PixelUnshuffle", [y], F.pixel_unshuffle(y, 3), (), {0: ["B", 3, "H", "W"]}, block=3)
    x, w, b = rand(2, 3, 9, 13), rand(5, 3, 4, 3, scale=0.3), rand(5)
    y = F.conv2d(x.double(), w.double(), b.double(), (4, 3)).flatten(2).transpose(1, 2)
    ops.add("patch_embed", "PatchEmbed", [x, w, b], y, [1, 2], {0: ["B", 3, "H", "W"]})
    x, w = rand(1, 2, 4, 6, 4), rand(3, 2, 2, 3, 2, scale=0.3)
    ops.add("patch_embed.3d", "PatchEmbed", [x, w], F.conv3d(x.double(), w.double(), None, (2, 3, 2)).flatten(2).transpose(1, 2), [1])
    for name, x, window in (("even", rand(2, 6, 8, 3), [3, 4]), ("padded", rand(2, 7, 5, 3), [3, 4])):
        n, h, wide, c = x.shape
        a, b = window
        rows, cols = -(-h // a), -(-wide // b)
        p = F.pad(x, (0, 0, 0, cols * b - wide, 0, rows * a - h))
        y = p.view(n, rows, a, cols, b, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, a, b, c)
        ops.add(f"window_partition.{name}", "WindowPartition", [x], y, (), {0: ["B", "H", "W", 3]}, kernel=window)
        ops.add(f"window_unpartition.{name}", "WindowUnpartition", [y], x, kernel=window, dims=[n, h, wide])


def columns(ops):
    def case(name, shape, kernel, stride, pad, dilation):
        x = rand(*shape)
        n = x.dim() - 2
        planes = x.double()
        if n == 1:
            y = F.unfold(planes[:, :, None], (1, kernel[0]), (1, dilation[0]), (0, pad[0]), (1, stride[0]))
        else:
            y = F.unfold(planes, kernel, dilation, pad, stride)
        places = [(shape[2 + i] + 2 * pad[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in range(n)]
        y = y.view(shape[0], shape[1], math.prod(kernel), *places)
        lists = dict(kernel=kernel, stride=stride, pad_lo=pad, pad_hi=pad, dilation=dilation)
        ops.add(f"im2col.{name}", "Im2Col", [x], y, (), {0: ["B", shape[1], *"HW"[2 - n:]]}, **lists)
        taps = rand(*y.shape)
        flat = taps.double().view(shape[0], shape[1] * math.prod(kernel), -1)
        if n == 1:
            back = F.fold(flat, (1, shape[2]), (1, kernel[0]), (1, dilation[0]), (0, pad[0]), (1, stride[0]))[:, :, 0]
        else:
            back = F.fold(flat, shape[2:], kernel, dilation, pad, stride)
        ops.add(f"col2im.{name}", "Col2Im", [taps], back, dims=list(shape[2:]), **lists)

    case("1d", [2, 3, 23], [4], [2], [1], [2])
    case("frames", [2, 1, 61], [16], [5], [0], [1])
    case("2d", [2, 3, 7, 8], [3, 2], [2, 1], [1, 1], [1, 2])


# ---- spectra ----


def spectra(ops):
    real = lambda z: torch.view_as_real(z)
    for n in (1, 2, 3, 8, 12, 17, 30, 47, 97, 400):
        x = rand(2, 3, n) if n < 30 else rand(1, n)
        lead = ["A", "B"][: x.dim() - 1]
        f = torch.fft.rfft(x.double())
        ops.add(f"fft.r2c.{n}", "Fft", [x], real(f), (), {0: [*lead, n]}, kind=1)
        z = torch.view_as_complex(rand(*x.shape[:-1], n // 2 + 1, 2).double())
        ops.add(f"fft.c2r.{n}", "Fft", [real(z)], torch.fft.irfft(z, n) if n > 1 else z.real, (), {0: [*lead, n // 2 + 1, 2]}, kind=2, n=n)
        z = torch.view_as_complex(rand(*x.shape, 2).double())
        ops.add(f"fft.c2c.{n}", "Fft", [real(z)], real(torch.fft.fft(z)), (), {0: [*lead, n, 2]}, kind=3)
        ops.add(f"fft.inverse.{n}", "Fft", [real(z)], real(torch.fft.ifft(z)), kind=4)
    for n, hop, length in ((16, 4, 70), (30, 10, 64), (25, 7, 25)):
        x, window = rand(2, length), torch.hann_window(n) + 0.1
        z = torch.stft(x.double(), n, hop, n, window.double(), center=False, return_complex=True)
        ops.add(f"stft.{n}", "Stft", [x, window], real(z).transpose(1, 2), [1], {0: ["B", "L"]}, n=n, hop=hop)
        frames = z.shape[2]
        z = torch.view_as_complex(rand(2, frames, n // 2 + 1, 2).double())
        trim = n // 4
        parts = torch.fft.irfft(z, n) * window.double()
        total = (frames - 1) * hop + n
        y, squares = torch.zeros(2, total, dtype=torch.double), torch.zeros(total, dtype=torch.double)
        for m in range(frames):
            y[:, m * hop : m * hop + n] += parts[:, m]
            squares[m * hop : m * hop + n] += window.double() ** 2
        y = (y / squares)[:, trim : total - trim]
        ops.add(f"istft.{n}", "Istft", [real(z), window], y, [1], {0: ["B", "M", n // 2 + 1, 2]}, n=n, hop=hop, trim=trim)
    x = rand(1, 40)
    ops.add("stft.plain", "Stft", [x], real(torch.stft(x.double(), 8, 3, center=False, return_complex=True, window=torch.ones(8).double())).transpose(1, 2),
            n=8, hop=3)


# ---- recurrent ----

LENGTHS = [5, 0, 1, 7]
CU = np.cumsum([0, *LENGTHS])
T, B = int(CU[-1]), len(LENGTHS)


def cu():
    return torch.tensor(CU)


def scans(ops):
    x, w, bias, state = rand(T, 6), rand(6, 4), rand(6), rand(B, 6, 3)
    for with_state in (True, False):
        y, after = torch.zeros(T, 6), torch.zeros(B, 6, 3)
        for b in range(B):
            old = state[b].T if with_state else torch.zeros(3, 6)
            all_x = torch.cat([old, x[CU[b] : CU[b + 1]]])
            for t in range(LENGTHS[b]):
                y[CU[b] + t] = bias + (w.T * all_x[t : t + 4]).sum(0)
            after[b] = all_x[-3:].T
        if with_state:
            ops.add("causal_conv.state", "CausalConv1d", [x, w, cu(), bias, state], [y, after], [1, 3], {0: ["T", 6]})
        else:
            ops.add("causal_conv.fresh", "CausalConv1d", [x, w, cu(), bias], [y, after], [1, 3], {0: ["T", 6]})

    x, dt, a, bm, cm = rand(T, 18), rand(T, 18).exp() * 0.3, -rand(18, 5).exp(), rand(T, 5), rand(T, 5)
    skip, state = rand(18), rand(B, 18, 5)
    y, s = torch.zeros(T, 18, dtype=torch.double), state.double().clone()
    for b in range(B):
        for t in range(CU[b], CU[b + 1]):
            s[b] = torch.exp(dt[t, :, None].double() * a) * s[b] + (dt[t] * x[t]).double()[:, None] * bm[t]
            y[t] = s[b] @ cm[t].double() + skip * x[t]
    ops.add("selective_scan", "SelectiveScan", [x, dt, a, bm, cm, cu(), skip, state], [y, s], [2, 6])

    x, dt, a = rand(T, 6, 4), rand(T, 6).exp() * 0.3, -rand(6).exp()
    bm, cm, skip, state = rand(T, 2, 9), rand(T, 2, 9), rand(6), rand(B, 6, 4, 9)
    y, s = torch.zeros(T, 6, 4, dtype=torch.double), state.double().clone()
    for b in range(B):
        for t in range(CU[b], CU[b + 1]):
            for h in range(6):
                g = h // 3
                s[b, h] = math.exp(dt[t, h] * a[h]) * s[b, h] + torch.outer(dt[t, h] * x[t, h], bm[t, g])
                y[t, h] = s[b, h] @ cm[t, g].double() + skip[h] * x[t, h]
    ops.add("ssd_scan", "SsdScan", [x, dt, a, bm, cm, cu(), skip, state], [y, s], [2, 6])

    q, k, v = rand(T, 2, 5), F.normalize(rand(T, 2, 5), dim=-1), rand(T, 6, 3)
    beta, state = torch.rand(T, 6), rand(B, 6, 5, 3)
    decays = {"head": -rand(T, 6).exp(), "key": -rand(T, 6, 5).exp(), "fixed": -rand(6).exp(), "none": None}
    for delta in (True, False):
        for name, g in decays.items():
            if delta and name in ("fixed", "none"):
                continue
            for tiled in (0, 1):
                y, s = torch.zeros(T, 6, 3, dtype=torch.double), state.double().clone()
                for b in range(B):
                    for t in range(CU[b], CU[b + 1]):
                        for h in range(6):
                            i = h % 2 if tiled else h // 3
                            f = torch.ones(()) if g is None else (g[h] if g.dim() == 1 else g[t, h]).exp()
                            S = s[b, h] * (f[:, None] if f.dim() else f)
                            change = beta[t, h] * (v[t, h] - S.T @ k[t, i].double()) if delta else v[t, h].double()
                            s[b, h] = S + torch.outer(k[t, i].double(), change)
                            y[t, h] = 0.5 * (s[b, h].T @ q[t, i].double())
                if delta:
                    ops.add(f"delta.{name}{tiled}", "GatedDeltaRule", [q, k, v, g, beta, cu(), state], [y, s], scale=0.5, tiled=tiled)
                else:
                    ops.add(f"linear.{name}{tiled}", "LinearAttention", [q, k, v, cu(), g, state], [y, s], scale=0.5, tiled=tiled)


def rnns(ops):
    for kind, name, cls in ((1, "lstm", torch.nn.LSTM), (2, "gru", torch.nn.GRU), (3, "tanh", torch.nn.RNN), (4, "relu", torch.nn.RNN)):
        more = {"nonlinearity": name} if kind > 2 else {}
        net = cls(5, 7, batch_first=True, bidirectional=True, **more)
        net = net.double()  # of values that are f32
        x, h0, c0 = rand(3, 6, 5), rand(2, 3, 7), rand(2, 3, 7)
        start = (h0.double(), c0.double()) if kind == 1 else h0.double()
        with torch.no_grad():
            y, end = net(x.double(), start)
        h, c = end if kind == 1 else (end, end)
        for way, tail in enumerate(("", "_reverse")):
            p = [getattr(net, f"{n}_l0{tail}").detach() for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
            inputs = [x, *p, h0[way]] + ([c0[way]] if kind == 1 else [])
            outs = [y[:, :, 7 * way : 7 * way + 7], h[way], c[way]]
            ops.add(f"rnn.{name}{tail}", "Rnn", inputs, outs, [1, 2, 3, 4], {0: ["N", "T", 5], 5: ["N", 7], 6: ["N", 7]}, kind=kind, reverse=way)
    net = torch.nn.GRU(5, 4, batch_first=True, bias=False)
    x = rand(2, 3, 5)
    y, h = net(x)
    ops.add("rnn.plain", "Rnn", [x, net.weight_ih_l0.detach(), net.weight_hh_l0.detach()], [y.detach(), h[0].detach(), h[0].detach()], [1, 2], kind=2)


def main():
    torch.manual_seed(20240705)
    files = {
        "index_ops": (elementwise, index, order, random, norms),
        "image_ops": (pools, resizes, images, columns),
        "sequence_ops": (spectra, scans, rnns),
    }
    for name, parts in files.items():
        ops = Ops()
        for part in parts:
            part(ops)
        path = OUT / f"{name}.safetensors"
        save_file(dict(sorted(ops.tensors.items())), path, ops.cases)
        print(name, len(ops.cases), "cases", path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()

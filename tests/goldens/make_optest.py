# SPDX-License-Identifier: GPL-3.0-only
"""What numpy and torch say where the text of an op has a convention: order of axes, sides of a pad, ties, windows.

    python make_optest.py ../optest/goldens/conventions.json

Each entry: op, attributes by name, inputs and outputs as shape and numbers (null: not given). The test
optest_oracle_test holds the oracle of rlx-optest against them."""
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(7)
entries = []


def pack(t, dtype=None):
    if t is None:
        return None
    t = torch.as_tensor(t)
    if dtype is None:
        dtype = "i32" if t.dtype in (torch.int32, torch.int64) else "bool" if t.dtype == torch.bool else "f32"
    return {"dtype": dtype, "shape": list(t.shape), "data": [round(float(x), 7) for x in t.double().flatten()]}


def add(op, inputs, outputs, **attrs):
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    entries.append({"op": op, "attrs": attrs, "in": [pack(t) for t in inputs], "out": [pack(t) for t in outputs]})


def rnd(*shape):
    return (torch.rand(*shape, dtype=torch.float64) * 2 - 1).round(decimals=3)


# ---- windows
x, w, b = rnd(2, 4, 7), rnd(6, 2, 3), rnd(6)
add("Conv", [x, w, b], F.conv1d(F.pad(x, (1, 2)), w, b, stride=2, dilation=2, groups=2),
    stride=[2], pad_lo=[1], pad_hi=[2], dilation=[2], groups=2)
x, w = rnd(1, 2, 5, 6), rnd(3, 2, 3, 2)
add("Conv", [x, w, None], F.conv2d(x, w, stride=(2, 1), padding=(1, 0)), stride=[2, 1], pad_lo=[1, 0], pad_hi=[1, 0])
x, w, b = rnd(2, 4, 5), rnd(4, 3, 4), rnd(6)
add("ConvTranspose", [x, w, b], F.conv_transpose1d(x, w, b, stride=3, padding=1, output_padding=1, groups=2),
    stride=[3], pad_lo=[1], pad_hi=[1], output_padding=[1], groups=2)
x = rnd(1, 2, 7, 8)
add("Pool", [x], F.max_pool2d(x, (3, 2), (2, 3), (1, 0), ceil_mode=True),
    kind=1, kernel=[3, 2], stride=[2, 3], pad_lo=[1, 0], pad_hi=[1, 0], ceil=1)
for count in (0, 1):
    for ceil in (0, 1):
        add("Pool", [x], F.avg_pool2d(x, 3, 2, 1, ceil_mode=bool(ceil), count_include_pad=bool(count)),
            kind=2, kernel=[3, 3], stride=[2, 2], pad_lo=[1, 1], pad_hi=[1, 1], ceil=ceil, count_pad=count)
cols = F.unfold(x, (3, 2), padding=(1, 0), stride=(2, 1))
add("Im2Col", [x], cols.reshape(1, 2, 6, 4, 7), kernel=[3, 2], stride=[2, 1], pad_lo=[1, 0], pad_hi=[1, 0])
add("Col2Im", [cols.reshape(1, 2, 6, 4, 7)], F.fold(cols, (7, 8), (3, 2), padding=(1, 0), stride=(2, 1)),
    dims=[7, 8], kernel=[3, 2], stride=[2, 1], pad_lo=[1, 0], pad_hi=[1, 0])
x = rnd(1, 8, 2, 3)
add("PixelShuffle", [x], F.pixel_shuffle(x, 2), block=2)
x = rnd(1, 2, 4, 6)
add("PixelUnshuffle", [x], F.pixel_unshuffle(x, 2), block=2)
for kind, mode in ((2, "reflect"), (3, "replicate"), (4, "circular")):
    x = rnd(1, 2, 4, 5)
    add("Pad", [x], F.pad(x, (2, 1, 3, 0), mode=mode), kind=kind, pad_lo=[3, 2], pad_hi=[0, 1])

# ---- resampling
x = rnd(1, 2, 5, 6)
for size in ((8, 9), (3, 4)):
    add("Resize", [x], F.interpolate(x, size, mode="nearest"), kind=1, dims=list(size), coord=2)
    add("Resize", [x], F.interpolate(x, size, mode="nearest-exact"), kind=1, dims=list(size), coord=0)
    for kind, mode in ((2, "bilinear"), (3, "bicubic")):
        for align in (False, True):
            add("Resize", [x], F.interpolate(x, size, mode=mode, align_corners=align), kind=kind, dims=list(size), coord=int(align))
        add("Resize", [x], F.interpolate(x, size, mode=mode, antialias=True), kind=kind, dims=list(size), antialias=1)
grid = (torch.rand(1, 3, 4, 2, dtype=torch.float64) * 3.2 - 1.6).round(decimals=3)
for kind, mode in ((1, "nearest"), (2, "bilinear"), (3, "bicubic")):
    for pad, pmode in ((1, "zeros"), (3, "border"), (2, "reflection")):
        for align in (0, 1):
            add("GridSample", [x, grid], F.grid_sample(x, grid, mode, pmode, bool(align)), kind=kind, pad=pad, align=align)

# ---- elementwise, rows
x = torch.linspace(-4, 4, 17, dtype=torch.float64)
for kind, f in ((11, torch.sigmoid), (12, F.silu), (13, F.gelu), (14, lambda t: F.gelu(t, approximate="tanh")), (15, F.relu),
                (16, torch.erf), (17, F.softplus), (20, torch.round), (21, torch.sign), (22, torch.expm1)):
    add("Unary", [x], f(x), kind=kind)
a, c = torch.tensor([7, -7, 7, -7, 5], dtype=torch.int32), torch.tensor([2, 2, -2, -2, 0], dtype=torch.int32)
add("Binary", [a, c], torch.tensor([3, -3, -3, 3, 0], dtype=torch.int32), kind=4)
a, c = rnd(2, 1, 3), rnd(4, 1)
add("Binary", [a, c], a - c, kind=2)
add("Binary", [a, c], torch.atan2(a, c), kind=8)
x = rnd(2, 3, 4)
add("Softmax", [x], F.softmax(x, 1), axis=1)
add("LogSumExp", [x], torch.logsumexp(x, 2), axis=2)
add("CumSum", [x], torch.cumsum(x, 1), axis=1)
add("Reduce", [x], x.norm(dim=1, keepdim=True), kind=6, axis=1, keep=1)
g, o = rnd(4), rnd(4)
add("LayerNorm", [x, g, o], F.layer_norm(x, (4,), g, o, 1e-3), eps=1e-3)
add("RmsNorm", [x, g], F.rms_norm(x, (4,), g, 1e-3), eps=1e-3)
x, g, o = rnd(2, 4, 3), rnd(4), rnd(4)
add("GroupNorm", [x, g, o], F.group_norm(x, 2, g, o, 1e-3), groups=2, eps=1e-3)
add("L2Norm", [x], F.normalize(x, dim=-1, eps=0.9), eps=0.9, kind=1)

# ---- index
x = torch.tensor([[1.0, 3, 3, -2, 3], [0, 0, 0, 0, 0]], dtype=torch.float64)
v, i = torch.sort(x, dim=-1, descending=True, stable=True)
add("Sort", [x], [v, i.int()], descending=1)
v, i = torch.sort(x, dim=-1, stable=True)
add("Sort", [x], [v, i.int()])
add("TopK", [x], [torch.tensor([[3.0, 3, 3], [0, 0, 0]]), torch.tensor([[1, 2, 4], [0, 1, 2]], dtype=torch.int32)], k=3)
add("ArgReduce", [x], torch.from_numpy(np.argmax(x.numpy(), 1)).int(), kind=3, axis=1)
x, idx = rnd(3, 4), torch.tensor([[3, 0], [1, 1], [2, 3]], dtype=torch.int32)
add("TakeAlong", [x, idx], torch.gather(x, 1, idx.long()), axis=1)
add("Gather", [x, torch.tensor([[2, 0], [1, 1]], dtype=torch.int32)], torch.from_numpy(np.take(x.numpy(), [[2, 0], [1, 1]], 1)), axis=1)
src = rnd(3, 2)
add("ScatterAlong", [x, idx, src], x.scatter_add(1, idx.long(), src), axis=1, accumulate=1)
add("Flip", [x], torch.flip(x, (1,)), axis=1)

# ---- products and attention
x, w, b = rnd(3, 5), rnd(4, 5), rnd(4)
add("MatMul", [x, w, b], F.linear(x, w, b))
a, c = rnd(2, 3, 5), rnd(4, 5)
add("BatchMatMul", [a, c], a @ c.T)
q, k, v = rnd(1, 3, 4, 2), rnd(1, 5, 2, 2), rnd(1, 5, 2, 3)
mask = rnd(3, 5)
sdpa = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), mask, scale=0.5, enable_gqa=True)
add("Attention", [q, k, v, mask], sdpa.transpose(1, 2), scale=0.5)
hidden = torch.ones(3, 5, dtype=torch.bool).tril(2)
sdpa = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), hidden, scale=0.5, enable_gqa=True)
add("Attention", [q, k, v], sdpa.transpose(1, 2), scale=0.5, causal=1)

# ---- signal, recurrent
x = rnd(2, 9)
add("Fft", [x], torch.view_as_real(torch.fft.rfft(x)), kind=1)
z = torch.fft.rfft(x)
add("Fft", [torch.view_as_real(z)], torch.fft.irfft(z, 9), kind=2, n=9)
z = torch.complex(rnd(2, 6), rnd(2, 6))
add("Fft", [torch.view_as_real(z)], torch.view_as_real(torch.fft.fft(z)), kind=3)
add("Fft", [torch.view_as_real(z)], torch.view_as_real(torch.fft.ifft(z)), kind=4)
x, win = rnd(2, 30), torch.hann_window(8, dtype=torch.float64) + 0.1
s = torch.stft(x, 8, 3, window=win, center=False, return_complex=True)
add("Stft", [x, win], torch.view_as_real(s.transpose(1, 2)), n=8, hop=3)
s = torch.stft(x, 8, 3, window=win, center=True, return_complex=True)
y = torch.istft(s, 8, 3, window=win, center=True)
add("Istft", [torch.view_as_real(s.transpose(1, 2).contiguous()), win], y, n=8, hop=3, trim=4)
for kind, make in ((1, torch.nn.LSTM), (2, torch.nn.GRU), (3, torch.nn.RNN)):
    net = make(3, 2, batch_first=True).double()
    x, h, c = rnd(2, 4, 3), rnd(2, 2), rnd(2, 2)
    p = [net.weight_ih_l0, net.weight_hh_l0, net.bias_ih_l0, net.bias_hh_l0]
    with torch.no_grad():
        if kind == 1:
            y, (hn, cn) = net(x, (h[None], c[None]))
            add("Rnn", [x, *p, h, c], [y, hn[0], cn[0]], kind=kind)
        else:
            y, hn = net(x, h[None])
            add("Rnn", [x, *p, h], [y, hn[0], hn[0]], kind=kind)
x, w, b = rnd(7, 3), rnd(3, 4), rnd(3)
y = F.conv1d(F.pad(x.T[None], (3, 0)), w[:, None], b, groups=3)[0].T
add("CausalConv1d", [x, w, torch.tensor([0, 7], dtype=torch.int32), b], [y, x[-3:].T[None]])

json.dump({"generator": "tests/goldens/make_optest.py", "torch": torch.__version__.split("+")[0], "entries": entries},
          open(sys.argv[1], "w"), separators=(",", ":"))
print(len(entries), "entries")

# SPDX-License-Identifier: GPL-3.0-only
"""NomicBERT as the code published beside its checkpoints computes it, for the options transformers does not have: partial and
interleaved rotation, dynamic NTK, biases, plain and gated feed-forwards, experts. One text at a time, float32, from a config with
the hub's keys and tensors with the hub's names. make_encoders.py checks it against transformers where both can.
"""
import torch
import torch.nn.functional as F

GATES = {"swiglu": F.silu, "geglu": F.gelu, "glu": torch.sigmoid}


def rounded(n, multiple=256):
    return -(-n // multiple) * multiple


def shapes(c):
    """Names and shapes of the body's tensors."""
    d, n = c["n_embd"], c["n_inner"]
    vocab = rounded(c["vocab_size"], c.get("pad_vocab_size_multiple", 1))
    out = {"embeddings.word_embeddings.weight": (vocab, d)}
    if c["type_vocab_size"]:
        out["embeddings.token_type_embeddings.weight"] = (c["type_vocab_size"], d)

    def norm(name):
        out.update({f"{name}.weight": (d,), f"{name}.bias": (d,)})

    def linear(name, rows, columns, bias):
        out[f"{name}.weight"] = (rows, columns)
        if bias:
            out[f"{name}.bias"] = (rows,)

    norm("emb_ln")
    for i in range(c["n_layer"]):
        p = f"encoder.layers.{i}."
        linear(p + "attn.Wqkv", 3 * d, d, c["qkv_proj_bias"])
        linear(p + "attn.out_proj", d, d, c["qkv_proj_bias"])
        norm(p + "norm1")
        norm(p + "norm2")
        if has_experts(c, i):
            linear(p + "mlp.router.layer", c["num_experts"], d, False)
            out[p + "mlp.experts.mlp.w1"] = out[p + "mlp.experts.mlp.w2"] = (c["num_experts"] * n, d)
            out[p + "mlp.experts.bias"] = (d,)
        elif c["activation_function"] in GATES:
            linear(p + "mlp.fc11", rounded(n), d, c["mlp_fc1_bias"])
            linear(p + "mlp.fc12", rounded(n), d, c["mlp_fc1_bias"])
            linear(p + "mlp.fc2", d, rounded(n), c["mlp_fc2_bias"])
        else:
            linear(p + "mlp.fc1", n, d, c["mlp_fc1_bias"])
            linear(p + "mlp.fc2", d, n, c["mlp_fc2_bias"])
    return out


def has_experts(c, layer):
    every = c.get("moe_every_n_layers", 0)
    return every > 0 and layer % every == 1


def rotate(c, x):
    """x [n, heads, head_dim]"""
    n, dim = x.shape[0], int(x.shape[-1] * c["rotary_emb_fraction"])
    base, factor = float(c["rotary_emb_base"]), c.get("rotary_scaling_factor")
    if factor and n > c["max_trained_positions"]:
        base *= (factor * n / c["max_trained_positions"] - (factor - 1)) ** (dim / (dim - 2))
    angles = torch.outer(torch.arange(n).float(), 1.0 / base ** (torch.arange(0, dim, 2).float() / dim))
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    part = x[..., :dim]
    pair = (part[..., 0::2], part[..., 1::2]) if c["rotary_emb_interleaved"] else part.chunk(2, -1)
    turned = (pair[0] * cos - pair[1] * sin, pair[1] * cos + pair[0] * sin)
    part = torch.stack(turned, -1).flatten(-2) if c["rotary_emb_interleaved"] else torch.cat(turned, -1)
    return torch.cat((part, x[..., dim:]), -1)


class Body:
    def __init__(self, c, weights):
        self.c, self.w = c, weights

    def linear(self, name, x):
        return F.linear(x, self.w[f"{name}.weight"], self.w.get(f"{name}.bias"))

    def norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.w[f"{name}.weight"], self.w[f"{name}.bias"], self.c["layer_norm_epsilon"])

    def attention(self, p, x):
        n, heads = len(x), self.c["n_head"]
        q, k, v = self.linear(p + "Wqkv", x).view(n, 3, heads, -1).unbind(1)
        q, k = rotate(self.c, q), rotate(self.c, k)
        scores = torch.einsum("qhd,khd->hqk", q, k) / q.shape[-1] ** 0.5
        return self.linear(p + "out_proj", torch.einsum("hqk,khd->qhd", scores.softmax(-1), v).reshape(n, -1))

    def experts(self, p, x):
        share, chosen = self.linear(p + "router.layer", x).softmax(-1).topk(self.c["moe_top_k"], -1)
        w1, w2 = (self.w[p + f"experts.mlp.{w}"].view(self.c["num_experts"], self.c["n_inner"], -1) for w in ("w1", "w2"))
        out = torch.zeros_like(x)
        for t in range(len(x)):
            for weight, e in zip(share[t], chosen[t]):
                out[t] += weight * (F.gelu(x[t] @ w1[e].T) @ w2[e])
        return out + self.w[p + "experts.bias"]

    def mlp(self, p, x):
        gate = GATES.get(self.c["activation_function"])
        h = self.linear(p + "fc11", x) * gate(self.linear(p + "fc12", x)) if gate else F.gelu(self.linear(p + "fc1", x))
        return self.linear(p + "fc2", h)

    @torch.no_grad()
    def __call__(self, ids, types):
        x = F.embedding(ids, self.w["embeddings.word_embeddings.weight"])
        if self.c["type_vocab_size"]:
            x = x + F.embedding(types, self.w["embeddings.token_type_embeddings.weight"])
        x = self.norm("emb_ln", x)
        for i in range(self.c["n_layer"]):
            p = f"encoder.layers.{i}."
            x = self.norm(p + "norm1", self.attention(p + "attn.", x) + x)
            x = self.norm(p + "norm2", (self.experts if has_experts(self.c, i) else self.mlp)(p + "mlp.", x) + x)
        return x

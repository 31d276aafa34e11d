#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-only
"""Trains the template's tiny checkpoint and writes it with the ids it must generate.

    make_checkpoint.py --out checkpoint [--steps 4000]

Writes config.json, model.safetensors (f16), tokenizer.json and golden.json (prompt, its ids, the greedy
continuation in f32). Needs torch, tokenizers, safetensors; using the template needs none of them. The model is
the reference for graph.cpp: a decoder whose attention and feed-forward read the same normed input side by side
and whose feed-forward is down(relu(up(x))^2).
"""
import argparse
import json
import math
import os
import random

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

END = "<|end|>"
CONFIG = {
    "model_type": "pebble", "vocab_size": 384, "hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}, "tie_word_embeddings": True,
    "hidden_act": "relu2", "eos_token_id": 0, "torch_dtype": "float16",
}
ANIMALS = ["fox", "bear", "mouse", "goat", "cat", "duck"]
PLACES = ["forest", "garden", "village", "harbor"]
THINGS = ["kite", "lantern", "bell", "map", "drum"]
COLORS = ["red", "blue", "green", "golden"]
FOODS = ["bread", "soup", "honey cake", "apple pie"]


def story(r):
    a, b = r.sample(ANIMALS, 2)
    place, thing, color, food = r.choice(PLACES), r.choice(THINGS), r.choice(COLORS), r.choice(FOODS)
    text = f"Once there was a little {a} who lived in the {place}. "
    lost = (f"The {a} had a {color} {thing}. One day the {thing} was gone. The {a} looked everywhere and was very sad. "
            f"Then a {b} came by. \"I will help you,\" said the {b}. They found the {color} {thing} in the {place}. ")
    shared = (f"One day the {a} made {food}. Then a {b} came by. \"I am so hungry,\" said the {b}. "
              f"\"Sit with me,\" said the {a}. They ate the {food} together. ")
    made = (f"One day the {a} made a {color} {thing}, but it broke. The {a} was very sad. Then a {b} came by. "
            f"\"Try again,\" said the {b}. The {a} made a new {thing}, and it was good. ")
    text += r.choice([lost, shared, made])
    return text + f"After that, the {a} and the {b} were friends. The end."


def rope(x):  # [B, H, T, d], rotates halves
    half = x.shape[-1] // 2
    inv = CONFIG["rope_parameters"]["rope_theta"] ** (-torch.arange(half, dtype=torch.float32) / half)
    angle = torch.arange(x.shape[2], dtype=torch.float32)[:, None] * inv
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)


def norm(x, weight):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + CONFIG["rms_norm_eps"]) * weight


def shapes():
    c, h = CONFIG, CONFIG["hidden_size"]
    kv = h // c["num_attention_heads"] * c["num_key_value_heads"]
    out = {"model.embed_tokens.weight": (c["vocab_size"], h), "model.norm.weight": (h,)}
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        out |= {p + "input_layernorm.weight": (h,), p + "self_attn.q_proj.weight": (h, h),
                p + "self_attn.k_proj.weight": (kv, h), p + "self_attn.v_proj.weight": (kv, h),
                p + "self_attn.o_proj.weight": (h, h), p + "mlp.up_proj.weight": (c["intermediate_size"], h),
                p + "mlp.down_proj.weight": (h, c["intermediate_size"])}
    return out


def forward(w, ids):
    c = CONFIG
    heads, kv_heads = c["num_attention_heads"], c["num_key_value_heads"]
    x = w["model.embed_tokens.weight"][ids]
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        n = norm(x, w[p + "input_layernorm.weight"])

        def split(name, count):
            return F.linear(n, w[p + name]).unflatten(-1, (count, -1)).transpose(1, 2)
        q, k = rope(split("self_attn.q_proj.weight", heads)), rope(split("self_attn.k_proj.weight", kv_heads))
        v = split("self_attn.v_proj.weight", kv_heads)
        k, v = (t.repeat_interleave(heads // kv_heads, 1) for t in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        m = F.relu(F.linear(n, w[p + "mlp.up_proj.weight"])).pow(2)
        x = x + F.linear(y, w[p + "self_attn.o_proj.weight"]) + F.linear(m, w[p + "mlp.down_proj.weight"])
    return F.linear(norm(x, w["model.norm.weight"]), w["model.embed_tokens.weight"])


def train(w, data, steps):
    params = list(w.values())
    opt = torch.optim.AdamW(params, lr=1e-2, betas=(0.9, 0.98), weight_decay=0.01)
    length, batch = 96, 24
    for step in range(steps):
        lr = 6e-3 * min(1, (step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        for group in opt.param_groups:
            group["lr"] = lr
        at = torch.randint(0, len(data) - length - 1, (batch,))
        x = torch.stack([data[i:i + length + 1] for i in at])
        loss = F.cross_entropy(forward(w, x[:, :-1]).flatten(0, 1), x[:, 1:].flatten())
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        if step % 100 == 0:
            print(f"step {step} loss {loss.item():.4f}", flush=True)


def continuation(w, ids, count):
    ids = list(ids)
    margin = 1e9
    for _ in range(count):
        top = forward(w, torch.tensor([ids]))[0, -1].topk(2).values
        ids.append(int(forward(w, torch.tensor([ids]))[0, -1].argmax()))
        margin = min(margin, float(top[0] - top[1]))
        if ids[-1] == 0:
            break
    return ids, margin


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", required=True)
    p.add_argument("--steps", type=int, default=4000)
    a = p.parse_args()
    r = random.Random(1)
    torch.manual_seed(1)
    texts = [story(r) for _ in range(6000)]
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=CONFIG["vocab_size"], special_tokens=[END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    data = torch.tensor([i for e in tok.encode_batch([t + END for t in texts]) for i in e.ids])
    print(f"{len(data)} tokens, {sum(math.prod(s) for s in shapes().values())} parameters", flush=True)
    w = {name: (torch.ones(s) if len(s) == 1 else torch.randn(s) * 0.06).requires_grad_() for name, s in shapes().items()}
    train(w, data, a.steps)
    with torch.no_grad():
        stored = {k: v.half().contiguous() for k, v in w.items()}
        w = {k: v.float() for k, v in stored.items()}
        prompt = "Once there was a little fox"
        ids = tok.encode(prompt).ids
        full, margin = continuation(w, ids, 64)
    os.makedirs(a.out, exist_ok=True)
    save_file(stored, f"{a.out}/model.safetensors", metadata={"format": "pt"})
    tok.save(f"{a.out}/tokenizer.json", pretty=False)
    for name, doc in (("config.json", CONFIG), ("golden.json", {
            "prompt": prompt, "prompt_ids": ids, "ids": full[len(ids):], "text": tok.decode(full[len(ids):]),
            "margin": round(margin, 4)})):
        with open(f"{a.out}/{name}", "w", encoding="utf-8") as f:
            f.write(json.dumps(doc, indent=1) + "\n")
    print(tok.decode(full), f"(least margin {margin:.3f})")


if __name__ == "__main__":
    main()

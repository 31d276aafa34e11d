#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-only
"""Writes tests/goldens/sdk: tiny random language models of architectures that rlx has no family for, and what
transformers computes with them. tests/parity/sdk_family_test.cpp has their families, written as a plugin's author would.
Needs torch, transformers >= 5, safetensors, numpy.

    python tests/goldens/make_sdk.py

Per case NAME: NAME/hf as save_pretrained writes it (every parameter random), NAME/ids.npy int32 [T],
NAME/logits.npy float32 [T, vocab], full prefill in f32 with eager attention.
"""

import pathlib
import shutil

import numpy as np
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM, GPT2Config, GPT2LMHeadModel, GPTNeoXConfig, GPTNeoXForCausalLM

OUT = pathlib.Path(__file__).resolve().parent / "sdk"
VOCAB, TOKENS = 64, 24
IDS = dict(vocab_size=VOCAB, bos_token_id=0, eos_token_id=0)

CASES = {
    # Learnt positions, [in, out] weights, one projection for q, k and v, LayerNorm.
    "gpt2": (GPT2LMHeadModel, GPT2Config(n_positions=48, n_embd=24, n_layer=2, n_head=3, n_inner=40, **IDS)),
    # A quarter of each head rotates, q, k and v lie side by side per head, attention and mlp read the same stream.
    "neox": (GPTNeoXForCausalLM, GPTNeoXConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=40, max_position_embeddings=48,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25}, **IDS)),
    # Norms before and behind, weights stored minus one, sliding layers, caps on scores and logits.
    "gemma2": (Gemma2ForCausalLM, Gemma2Config(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
        intermediate_size=40, sliding_window=7, query_pre_attn_scalar=12, attn_logit_softcapping=5.0,
        final_logit_softcapping=3.0, max_position_embeddings=48, **IDS)),
}


def randomise(model, seed):
    gen = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=gen)
        norm = ("norm" in name or "ln_" in name) and name.endswith("weight")
        p.data = noise * 0.25 + (0.0 if "Gemma" in type(model).__name__ or not norm else 1.0)


def main():
    for seed, (name, (kind, config)) in enumerate(CASES.items()):
        config._attn_implementation = "eager"
        model = kind(config).float().eval()
        randomise(model, seed)
        folder = OUT / name
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder / "hf")
        (folder / "hf" / "generation_config.json").unlink(missing_ok=True)
        ids = torch.randint(0, VOCAB, (TOKENS,), generator=torch.Generator().manual_seed(100 + seed))
        with torch.no_grad():
            logits = model(ids[None]).logits[0]
        np.save(folder / "ids.npy", ids.numpy().astype(np.int32))
        np.save(folder / "logits.npy", logits.numpy().astype(np.float32))
        print(name, sum(p.numel() for p in model.parameters()), "parameters, rms", float(logits.square().mean().sqrt()))


if __name__ == "__main__":
    main()

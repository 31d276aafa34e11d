#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-only
"""Writes tests/goldens/lm: tiny random language models in the real formats and what transformers
computes with them. Needs torch, transformers >= 5, safetensors, gguf, numpy.

    python tests/goldens/make_lm.py [--hidden] [name ...]

Per case NAME:
    NAME/hf/{config.json, model.safetensors}  as save_pretrained writes them (every parameter random)
    NAME/config.v4.json    the same config as transformers 4 and most published files spell it
    NAME/gguf/model.gguf   the same weights as a converter writes them: GGUF names, F32, q/k rows permuted
                           for llama, experts stacked; the tokens are placeholders
    NAME/ids.npy           int32 [T]
    NAME/logits.npy        float32 [T, vocab], full prefill in f32 with eager attention
    NAME/hidden.npy        float32 [T, hidden], last_hidden_state of AutoModel: the same without the head
                           (--hidden writes only these, from the checkpoints that are there)
"""

import json
import math
import pathlib
import shutil
import sys

import gguf
import numpy as np
import torch
import transformers
from transformers import LlamaConfig, Qwen2Config, Qwen3Config, Qwen3MoeConfig

OUT = pathlib.Path(__file__).resolve().parent / "lm"
LIMIT = 256 * 1024  # bytes per folder
TOKENS = 48
MIN_MARGIN = 2e-3  # between the two best logits, relative to their RMS: ties would make top-1 a coin toss

DEFAULT_ROPE = {"rope_type": "default", "rope_theta": 10000.0}


def llama(**kw):
    base = dict(
        vocab_size=96, hidden_size=40, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, max_position_embeddings=256, rms_norm_eps=1e-5,
        rope_parameters=dict(DEFAULT_ROPE), bos_token_id=1, eos_token_id=2,
    )
    return LlamaConfig(**{**base, **kw})


def qwen2(**kw):
    base = dict(
        vocab_size=96, hidden_size=48, intermediate_size=56, num_hidden_layers=2, num_attention_heads=6,
        num_key_value_heads=2, max_position_embeddings=256, rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}, bos_token_id=1, eos_token_id=2,
    )
    return Qwen2Config(**{**base, **kw})


def qwen3(**kw):
    base = dict(
        vocab_size=96, hidden_size=40, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, max_position_embeddings=256, rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}, bos_token_id=1, eos_token_id=2,
    )
    return Qwen3Config(**{**base, **kw})


def qwen3_moe(**kw):
    base = dict(
        vocab_size=96, hidden_size=40, intermediate_size=48, moe_intermediate_size=12, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=12, num_experts=6, num_experts_per_tok=2,
        max_position_embeddings=256, rms_norm_eps=1e-6, bos_token_id=1, eos_token_id=2,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    )
    return Qwen3MoeConfig(**{**base, **kw})


CASES = {
    # head_dim differs from hidden / heads in most of them.
    "qwen3-dense": lambda: qwen3(),
    "qwen3-tied": lambda: qwen3(tie_word_embeddings=True, attention_bias=True, num_attention_heads=6,
                                num_key_value_heads=3, head_dim=8, vocab_size=128),
    "qwen3-yarn": lambda: qwen3(
        max_position_embeddings=128,
        rope_parameters={"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0,
                         "original_max_position_embeddings": 32, "beta_fast": 4.0, "beta_slow": 0.5}),
    "qwen3-sliding": lambda: qwen3(use_sliding_window=True, sliding_window=9, max_window_layers=1,
                                   layer_types=["full_attention", "sliding_attention"]),
    "qwen3moe-normalised": lambda: qwen3_moe(norm_topk_prob=True),
    "qwen3moe-raw": lambda: qwen3_moe(norm_topk_prob=False, num_hidden_layers=4, mlp_only_layers=[3],
                                      decoder_sparse_step=2, num_experts=8, num_experts_per_tok=3,
                                      intermediate_size=32),
    "llama-default": lambda: llama(),
    "llama-linear": lambda: llama(rope_parameters={**DEFAULT_ROPE, "rope_type": "linear", "factor": 3.0}),
    # Wavelengths 6 to 19,869 against bands [16, 64]: kept, blended and divided ones all occur.
    "llama-llama3": lambda: llama(
        tie_word_embeddings=True,
        rope_parameters={**DEFAULT_ROPE, "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                         "high_freq_factor": 4.0, "original_max_position_embeddings": 64}),
    "llama-yarn": lambda: llama(
        max_position_embeddings=256,
        rope_parameters={**DEFAULT_ROPE, "rope_type": "yarn", "factor": 8.0,
                         "original_max_position_embeddings": 32}),
    # 48 tokens against a border of 32.
    "llama-dynamic": lambda: llama(max_position_embeddings=32, rope_parameters={
        **DEFAULT_ROPE, "rope_type": "dynamic", "factor": 2.0}),
    "llama-bias": lambda: llama(attention_bias=True, mlp_bias=True, head_dim=12, num_key_value_heads=1),
    "llama-gelu": lambda: llama(hidden_act="gelu", num_key_value_heads=4, head_dim=10),
    "qwen2-untied": lambda: qwen2(),
    "qwen2-tied": lambda: qwen2(tie_word_embeddings=True, num_attention_heads=4, num_key_value_heads=4),
}

# GGUF has no key for these, so a converted file means something else.
NO_GGUF = {"llama-dynamic", "llama-gelu", "qwen3-sliding", "qwen3moe-raw"}


def randomise(model, seed):
    gen = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=gen)
        if "norm" in name:
            p.data = 1.0 + 0.25 * noise
        elif name.endswith("bias"):
            p.data = 0.3 * noise
        elif "embed_tokens" in name:
            p.data = 0.8 * noise
        else:
            p.data = noise * 1.1 / math.sqrt(p.shape[-1])


def old_spelling(config):
    """config.json as transformers 4 writes it."""
    c = dict(config)
    rope = dict(c.pop("rope_parameters"))
    c["rope_theta"] = rope.pop("rope_theta")
    kind = rope.pop("rope_type")
    if kind == "default":
        c["rope_scaling"] = None
    else:
        # "type" is the older of the two names version 4 accepts.
        c["rope_scaling"] = {("type" if kind in ("linear", "dynamic") else "rope_type"): kind, **rope}
    if "dtype" in c:
        c["torch_dtype"] = c.pop("dtype")
    if "num_local_experts" in c:
        c["num_experts"] = c.pop("num_local_experts")
    c.pop("layer_types", None)
    c["transformers_version"] = "4.51.0"
    return c


def llama3_divisors(rope, head_dim):
    out = []
    for j in range(head_dim // 2):
        wavelength = 2 * math.pi * rope["rope_theta"] ** (2 * j / head_dim)
        original = rope["original_max_position_embeddings"]
        low, high, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
        if wavelength < original / high:
            out.append(1.0)
        elif wavelength > original / low:
            out.append(factor)
        else:
            s = (original / wavelength - low) / (high - low)
            out.append(1.0 / ((1 - s) / factor + s))
    return np.array(out, dtype=np.float32)


NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "mlp.gate": "ffn_gate_inp",
}
EXPERTS = {"gate_proj": "ffn_gate_exps", "up_proj": "ffn_up_exps", "down_proj": "ffn_down_exps"}


def permute(w, n_heads):
    return w.reshape(n_heads, 2, w.shape[0] // n_heads // 2, -1).swapaxes(1, 2).reshape(w.shape)


def gguf_tensors(tensors, config):
    """(name, array) pairs as the converter leaves them."""
    experts = {}
    for name, w in tensors.items():
        module, leaf = name.rsplit(".", 1)
        prefix = ""
        if module.startswith("model.layers."):
            _, _, layer, module = module.split(".", 3)
            prefix = f"blk.{layer}."
        if module.startswith("mlp.experts."):
            _, _, expert, proj = module.split(".")
            experts.setdefault(prefix + EXPERTS[proj] + "." + leaf, {})[int(expert)] = w
            continue
        if config["model_type"] == "llama" and module == "self_attn.q_proj":
            w = permute(w, config["num_attention_heads"])
        if config["model_type"] == "llama" and module == "self_attn.k_proj":
            w = permute(w, config["num_key_value_heads"])
        yield prefix + NAMES[module] + "." + leaf, w
    for name, parts in experts.items():
        yield name, np.stack([parts[i] for i in range(len(parts))])


def write_gguf(path, tensors, config):
    arch = {"qwen3_moe": "qwen3moe"}.get(config["model_type"], config["model_type"])
    rope = config["rope_parameters"]
    head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    w = gguf.GGUFWriter(path, arch)
    w.add_name("random")
    w.add_vocab_size(config["vocab_size"])
    w.add_context_length(config["max_position_embeddings"])
    w.add_embedding_length(config["hidden_size"])
    w.add_block_count(config["num_hidden_layers"])
    w.add_feed_forward_length(config["intermediate_size"])
    w.add_head_count(config["num_attention_heads"])
    w.add_head_count_kv(config["num_key_value_heads"])
    w.add_key_length(head_dim)
    w.add_value_length(head_dim)
    w.add_layer_norm_rms_eps(config["rms_norm_eps"])
    w.add_rope_dimension_count(head_dim)
    w.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] in ("linear", "yarn"):
        w.add_string(f"{arch}.rope.scaling.type", rope["rope_type"])
        w.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "yarn":
        w.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        if "beta_fast" in rope:
            w.add_float32(f"{arch}.rope.scaling.yarn_beta_fast", rope["beta_fast"])
            w.add_float32(f"{arch}.rope.scaling.yarn_beta_slow", rope["beta_slow"])
    if "num_experts_per_tok" in config:
        w.add_expert_count(config.get("num_local_experts", config.get("num_experts")))
        w.add_expert_used_count(config["num_experts_per_tok"])
        w.add_expert_feed_forward_length(config["moe_intermediate_size"])
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    w.add_token_list([f"t{i}" for i in range(config["vocab_size"])])
    w.add_token_merges(["t 0"])
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    for name, array in gguf_tensors(tensors, config):
        w.add_tensor(name, np.ascontiguousarray(array, dtype=np.float32))
    if rope["rope_type"] == "llama3":
        w.add_tensor("rope_freqs.weight", llama3_divisors(rope, head_dim))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def margin(logits):
    best = torch.topk(logits, 2, dim=-1).values
    return ((best[:, 0] - best[:, 1]).min() / logits.pow(2).mean().sqrt()).item()


def attempt(name, config, seed):
    model = transformers.AutoModelForCausalLM.from_config(
        config, attn_implementation="eager", dtype=torch.float32)
    if hasattr(model.config, "num_experts_per_tok"):
        model.set_experts_implementation("eager")
    model.eval()
    randomise(model, seed)
    model.tie_weights()
    gen = torch.Generator().manual_seed(seed + 1)
    ids = torch.randint(0, config.vocab_size, (TOKENS,), generator=gen)
    with torch.no_grad():
        logits = model(ids[None]).logits[0]
    assert torch.isfinite(logits).all()
    return model, ids, logits


def make(name, config):
    for seed in range(100, 150):
        model, ids, logits = attempt(name, config, seed)
        if margin(logits) >= MIN_MARGIN:
            break
    else:
        raise SystemExit(f"{name}: no seed without a near-tie")
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    hf = folder / "hf"
    model.save_pretrained(hf)
    (hf / "generation_config.json").unlink(missing_ok=True)
    config = json.loads((hf / "config.json").read_text())
    (folder / "config.v4.json").write_text(json.dumps(old_spelling(config), indent=2) + "\n")
    np.save(folder / "ids.npy", ids.numpy().astype(np.int32))
    np.save(folder / "logits.npy", logits.numpy().astype(np.float32))
    if name not in NO_GGUF:
        from safetensors.numpy import load_file
        (folder / "gguf").mkdir()
        write_gguf(folder / "gguf" / "model.gguf", load_file(hf / "model.safetensors"), config)
    for part in [hf, folder / "gguf"]:
        size = sum(f.stat().st_size for f in part.rglob("*") if f.is_file())
        assert size <= LIMIT, f"{part}: {size} bytes"
    spread = logits.pow(2).mean().sqrt().item()
    print(f"{name}: seed {seed}, logits rms {spread:.3f}, margin {margin(logits):.4f}")


def make_hidden(name):
    """The final hidden states of a fixture that is there, from the model without its head."""
    folder = OUT / name
    model = transformers.AutoModel.from_pretrained(
        folder / "hf", attn_implementation="eager", dtype=torch.float32)
    if hasattr(model.config, "num_experts_per_tok"):
        model.set_experts_implementation("eager")
    model.eval()
    ids = torch.from_numpy(np.load(folder / "ids.npy").astype(np.int64))
    with torch.no_grad():
        hidden = model(ids[None]).last_hidden_state[0]
    assert torch.isfinite(hidden).all()
    np.save(folder / "hidden.npy", hidden.numpy().astype(np.float32))
    print(f"{name}: hidden {tuple(hidden.shape)}")


def main():
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    arguments = sys.argv[1:]
    hidden_only = "--hidden" in arguments
    names = [a for a in arguments if a != "--hidden"] or list(CASES)
    for name in names:
        if not hidden_only:
            make(name, CASES[name]())
        make_hidden(name)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-only
"""Trains the bundled model (Qwen3 architecture, about 2.2 M parameters) on stories of make_stories.py and writes
rlx-stories.gguf (Q8_0). Needs torch, transformers, tokenizers, gguf; the README beside it has the commands.

    make_stories.py --out stories.jsonl
    train.py --stories stories.jsonl --out rlx-stories.gguf [--hf DIR]
"""
import argparse
import json
import math
import random
import time

import gguf
import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Qwen3Config, Qwen3ForCausalLM

END, START_TURN, END_TURN = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VOCAB, CONTEXT = 1024, 512
# The split of the "qwen2" pre-tokenizer, which the GGUF names.
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
TEMPLATE = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
            "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def make_tokenizer(texts):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=[END, START_TURN, END_TURN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tok


def documents(rows, rng):
    """Half plain stories, half chat turns."""
    for row in rows:
        if rng.random() < 0.5:
            yield row["story"] + END
        else:
            yield (f"{START_TURN}user\n{row['request']}{END_TURN}\n{START_TURN}assistant\n{row['story']}{END_TURN}\n{END}")


def config():
    return Qwen3Config(
        vocab_size=VOCAB, hidden_size=160, intermediate_size=448, num_hidden_layers=6, num_attention_heads=4,
        num_key_value_heads=2, head_dim=64, max_position_embeddings=CONTEXT, rope_theta=10000.0, rms_norm_eps=1e-6,
        tie_word_embeddings=True, eos_token_id=2, bos_token_id=None, pad_token_id=0)


def train(model, data, steps, batch, seed):
    torch.manual_seed(seed)
    opt = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.95), weight_decay=0.05)
    length, warmup, start = 256, 100, time.time()
    for step in range(steps):
        lr = 2e-3 * min(1.0, (step + 1) / warmup) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        for group in opt.param_groups:
            group["lr"] = lr
        at = torch.randint(0, len(data) - length - 1, (batch,))
        x = torch.stack([data[i:i + length] for i in at])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(input_ids=x, labels=x).loss
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        if step % 50 == 0:
            print(f"step {step} loss {loss.item():.4f} {time.time() - start:.0f} s", flush=True)


GGUF_NAMES = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


def gguf_name(name):
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{GGUF_NAMES[rest.removesuffix('.weight')]}.weight"


def write_gguf(path, model, tok):
    c = model.config
    w = gguf.GGUFWriter(path, "qwen3")
    w.add_name("rlx stories 2M")
    w.add_description("Short children's stories; trained by the rlx project on text of its own story generator.")
    w.add_license("GPL-3.0-only")
    w.add_block_count(c.num_hidden_layers)
    w.add_context_length(c.max_position_embeddings)
    w.add_embedding_length(c.hidden_size)
    w.add_feed_forward_length(c.intermediate_size)
    w.add_head_count(c.num_attention_heads)
    w.add_head_count_kv(c.num_key_value_heads)
    w.add_key_length(c.head_dim)
    w.add_value_length(c.head_dim)
    w.add_rope_freq_base(10000.0)
    w.add_layer_norm_rms_eps(c.rms_norm_eps)
    w.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    vocab = sorted(tok.get_vocab().items(), key=lambda kv: kv[1])
    w.add_token_list([t for t, _ in vocab])
    w.add_token_types([gguf.TokenType.CONTROL if t in (END, START_TURN, END_TURN) else gguf.TokenType.NORMAL
                       for t, _ in vocab])
    merges = json.loads(tok.to_str())["model"]["merges"]
    w.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    w.add_eos_token_id(2)
    w.add_pad_token_id(0)
    w.add_add_bos_token(False)
    w.add_chat_template(TEMPLATE)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        data = tensor.float().numpy()
        if data.ndim == 2:
            q8 = gguf.GGMLQuantizationType.Q8_0
            w.add_tensor(gguf_name(name), gguf.quants.quantize(data, q8), raw_dtype=q8)
        else:
            w.add_tensor(gguf_name(name), data.astype(np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--stories", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--hf", help="also save the f32 checkpoint here")
    p.add_argument("--init", help="continue from a checkpoint that --hf saved")
    p.add_argument("--steps", type=int, default=2500)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    rng = random.Random(a.seed)
    rows = [json.loads(line) for line in open(a.stories, encoding="utf-8")]
    docs = list(documents(rows, rng))
    tok = make_tokenizer(docs[:20000])
    ids = [i for e in tok.encode_batch(docs) for i in e.ids]
    print(f"{len(ids)} tokens", flush=True)
    model = Qwen3ForCausalLM.from_pretrained(a.init, dtype=torch.float32) if a.init else Qwen3ForCausalLM(config())
    model.train()
    print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)
    try:
        train(model, torch.tensor(ids, dtype=torch.long), a.steps, a.batch, a.seed)
    except KeyboardInterrupt:
        print("stopped early; writing what there is", flush=True)
    model.eval()
    if a.hf:
        model.save_pretrained(a.hf)
        tok.save(f"{a.hf}/tokenizer.json")
    write_gguf(a.out, model, tok)


if __name__ == "__main__":
    main()

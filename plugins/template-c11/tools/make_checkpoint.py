#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-only
"""Counts the bigrams of the stories of template-family and writes a checkpoint with the ids it must generate.

    make_checkpoint.py --out checkpoint
"""
import argparse
import importlib.util
import json
import math
import os
import random

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

here = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location("stories", f"{here}/../../template-family/tools/make_checkpoint.py")
stories = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stories)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", required=True)
    a = p.parse_args()
    r = random.Random(2)
    texts = [stories.story(r) for _ in range(3000)]
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=160, special_tokens=[stories.END]))
    vocab = tok.get_vocab_size()
    counts = torch.full((vocab, vocab), 0.01)
    for e in tok.encode_batch([t + stories.END for t in texts]):
        for x, y in zip(e.ids, e.ids[1:]):
            counts[x, y] += 1
    table = (counts / counts.sum(1, keepdim=True)).log().half()
    prompt = "Once there was a little"
    ids = tok.encode(prompt).ids
    out, margin = list(ids), math.inf
    for _ in range(16):
        top = table[out[-1]].float().topk(2).values
        margin = min(margin, float(top[0] - top[1]))
        out.append(int(table[out[-1]].float().argmax()))
    os.makedirs(a.out, exist_ok=True)
    save_file({"bigram.weight": table.contiguous()}, f"{a.out}/model.safetensors", metadata={"format": "pt"})
    tok.save(f"{a.out}/tokenizer.json", pretty=False)
    for name, doc in (("config.json", {"model_type": "bigram", "vocab_size": vocab, "eos_token_id": 0}),
                      ("golden.json", {"prompt": prompt, "prompt_ids": ids, "ids": out[len(ids):],
                                       "text": tok.decode(out[len(ids):]), "margin": round(margin, 4)})):
        with open(f"{a.out}/{name}", "w", encoding="utf-8") as f:
            f.write(json.dumps(doc, indent=1) + "\n")
    print(tok.decode(out), f"(least margin {margin:.3f})")


if __name__ == "__main__":
    main()

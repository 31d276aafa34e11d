#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-only
"""Writes tests/parity/kl-ids.npy: the ids of tests/parity/kl-text.txt (a text of this project) with the
tokenizer inside a SmolLM2 GGUF file. Needs transformers, gguf, numpy.

    python tests/goldens/make_kl_ids.py SmolLM2-135M-Instruct.Q4_1.gguf
"""

import pathlib
import sys

import numpy as np
from transformers import AutoTokenizer

model = pathlib.Path(sys.argv[1]).resolve()
folder = pathlib.Path(__file__).resolve().parent.parent / "parity"
tokenizer = AutoTokenizer.from_pretrained(model.parent, gguf_file=model.name)
text = (folder / "kl-text.txt").read_text().replace("\n\n", "\0").replace("\n", " ").replace("\0", "\n\n")
ids = tokenizer(text, add_special_tokens=False).input_ids
np.save(folder / "kl-ids.npy", np.array(ids, dtype=np.int32))
print(len(ids), "tokens")

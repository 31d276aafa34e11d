# SPDX-License-Identifier: GPL-3.0-only
"""Tiny sentence embedders and a cross-encoder with random parameters, and what sentence-transformers' formulas make of them.

Usage: python make_embedders.py <tests/goldens/embedders>    (needs torch, transformers, tokenizers, safetensors, numpy,
sentence-transformers 6)

Folders as sentence-transformers saves them: embedder (Transformer, Pooling, Dense, Normalize; prompts), reranker (a BERT
with one class). expected.json holds the texts, for each pooling the vectors before Dense and Normalize (computed here by the
formulas of the Pooling module), the vectors of the whole chain, with prompts and cut to fewer dimensions, what the
library's quantize_embeddings makes of them and of more_vectors, and the reranker's scores, pair ids and scores of pairs
that tokenizers cut. Float32, eager attention, each text alone. Every parameter is random.
"""
import json, pathlib, shutil, string, sys

import numpy as np
import torch
from safetensors.torch import save_file
from sentence_transformers.util import quantize_embeddings
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, BertModel

WORDS = "the a an of and to in is it was for on are with as his they at be this from have or one had by word but not what all were".split()
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SIZES = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, max_position_embeddings=64, type_vocab_size=2)
TEXTS = ["the word is not a word", "", "Hello, world! 42", "what was it, and for whom?", "it was on the [MASK]",
         "the quick brown fox jumps over the lazy dog", "naïve café", "x"]
QUERY_PROMPT, DOCUMENT_PROMPT = "query: ", "the text: "


def tokenizer():
    chars = string.ascii_lowercase + string.digits + ".,!?:;'-"
    vocab = {t: i for i, t in enumerate(SPECIAL + list(chars) + ["##" + c for c in string.ascii_lowercase + string.digits] + WORDS[1:])}
    t = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    from tokenizers import decoders, AddedToken
    t.decoder = decoders.WordPiece()
    t.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIAL])
    return t


def randomise(model, seed):
    g = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        scale, shift = (0.2, 1.0) if "norm" in name.lower() and name.endswith("weight") else (0.3, 0.0)
        p.data = torch.randn(p.shape, generator=g) * scale + shift


def pool(h, kind):  # h [n, hidden]
    n = h.shape[0]
    if kind == "cls":
        return h[0]
    if kind == "last":
        return h[-1]
    if kind == "max":
        return h.max(0).values
    if kind == "weighted-mean":
        w = torch.arange(1, n + 1, dtype=torch.float32).unsqueeze(1)
        return (h * w).sum(0) / w.sum()
    if kind == "mean-sqrt-len":
        return h.sum(0) / n ** 0.5
    return h.mean(0)


def hidden(model, ids, types=None):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), token_type_ids=torch.tensor([types or [0] * len(ids)])).last_hidden_state[0]


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def rounded(t):
    return [float(np.float32(v)) for v in t]


def main(out):
    out = pathlib.Path(out)
    tok = tokenizer()
    sizes = dict(SIZES, vocab_size=tok.get_vocab_size())
    config = BertConfig(**sizes)
    config._attn_implementation = "eager"
    model = BertModel(config, add_pooling_layer=False).eval()
    randomise(model, 1)
    folder = out / "embedder"
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    tok.save(str(folder / "tokenizer.json"))
    prefix = "sentence_transformers.models."
    write(folder / "modules.json", [dict(idx=i, name=str(i), path=p, type=prefix + k) for i, (k, p) in enumerate(
        [("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense"), ("Normalize", "3_Normalize")])])
    write(folder / "1_Pooling/config.json", dict(word_embedding_dimension=24, pooling_mode_cls_token=False, pooling_mode_mean_tokens=True))
    write(folder / "sentence_bert_config.json", dict(max_seq_length=48, do_lower_case=False))
    write(folder / "config_sentence_transformers.json", dict(prompts=dict(query=QUERY_PROMPT, document=DOCUMENT_PROMPT),
                                                             default_prompt_name=None, similarity_fn_name="cosine"))
    g = torch.Generator().manual_seed(2)
    weight, bias = torch.randn(16, 24, generator=g) * 0.3, torch.randn(16, generator=g) * 0.3
    write(folder / "2_Dense/config.json", dict(in_features=24, out_features=16, bias=True, activation_function="torch.nn.modules.activation.Tanh"))
    save_file({"linear.weight": weight, "linear.bias": bias}, folder / "2_Dense/model.safetensors")

    def whole(ids, dims=None):
        v = torch.tanh(weight @ pool(hidden(model, ids), "mean") + bias)
        v = v[:dims] if dims else v
        return torch.nn.functional.normalize(v, dim=0)

    ids = [tok.encode(t).ids for t in TEXTS]
    expected = dict(texts=TEXTS, ids=ids)
    expected["pooled"] = {k: [rounded(pool(hidden(model, i), k)) for i in ids]
                          for k in ("cls", "mean", "max", "last", "weighted-mean", "mean-sqrt-len")}
    expected["vectors"] = [rounded(whole(i)) for i in ids]
    expected["cut_to_8"] = [rounded(whole(i, 8)) for i in ids]
    for role, prompt in (("query", QUERY_PROMPT), ("document", DOCUMENT_PROMPT)):
        expected[role] = [rounded(whole(tok.encode(prompt + t).ids[:48])) for t in TEXTS]
    norm = torch.nn.functional.layer_norm(pool(hidden(model, ids[0]), "mean"), (24,))
    expected["layer_norm"] = rounded(norm)

    all_vectors = np.stack([whole(i).numpy() for i in ids])
    ranges = np.stack([all_vectors.min(0), all_vectors.max(0)])
    expected["ranges"] = [rounded(end) for end in ranges]
    # Values outside of the range too, and more of those inside than a few texts have.
    more = np.random.default_rng(4).uniform(-1.1, 1.1, (32, 16)).astype(np.float32) * np.abs(ranges).max(0)
    expected["more_vectors"] = [rounded(v) for v in more]
    for kind in ("int8", "uint8", "binary", "ubinary"):
        expected[kind] = quantize_embeddings(np.concatenate([all_vectors, more]), kind, ranges=ranges).tolist()

    config = BertConfig(**sizes, num_labels=1)
    config._attn_implementation = "eager"
    ranker = BertForSequenceClassification(config).eval()
    randomise(ranker, 3)
    folder = out / "reranker"
    shutil.rmtree(folder, ignore_errors=True)
    ranker.save_pretrained(folder)
    tok.save(str(folder / "tokenizer.json"))
    query, pairs = "what was it?", []
    for t in TEXTS:
        e = tok.encode(query, t)
        with torch.no_grad():
            score = ranker(input_ids=torch.tensor([e.ids]), token_type_ids=torch.tensor([e.type_ids])).logits[0, 0].item()
        pairs.append(dict(ids=e.ids, types=e.type_ids, score=score))
    cut = []
    for first, second in ((TEXTS[5], TEXTS[3]), (TEXTS[3], TEXTS[5]), (TEXTS[3], TEXTS[3]), ("x", TEXTS[5]), (TEXTS[5], "x")):
        for most in (4, 5, 8, 11, 16, 17, 20, 23):
            tok.enable_truncation(most, strategy="longest_first")
            e = tok.encode(first, second)
            with torch.no_grad():
                score = ranker(input_ids=torch.tensor([e.ids]), token_type_ids=torch.tensor([e.type_ids])).logits[0, 0].item()
            cut.append(dict(query=first, document=second, max_length=most, tokens=len(e.ids), score=score))
    expected["rerank"] = dict(query=query, pairs=pairs, cut=cut)
    write(out / "expected.json", expected)
    print(sum(f.stat().st_size for f in out.rglob("*") if f.is_file()) // 1024, "KiB")


main(sys.argv[1])

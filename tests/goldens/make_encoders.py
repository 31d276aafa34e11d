# SPDX-License-Identifier: GPL-3.0-only
"""Tiny text encoders with random parameters, and the hidden states transformers computes with them.

Usage: python make_encoders.py <tests/goldens/encoders>    (needs torch, transformers, safetensors; made with transformers 5.23)

One folder per case: config.json and model.safetensors as save_pretrained writes them, and expected.safetensors with, for
text i, ids.i (i32 [n]), types.i (i32 [n], where the model has segments) and hidden.i (f32 [n, hidden]): each text alone,
float32, eager attention; where the class has them pooled.i [hidden], scores.i [classes], logits.i [n, vocab]. Every
parameter is random, norms and biases too; sizes differ from each other.
"""
import pathlib, shutil, sys

import torch
from safetensors.torch import load_file, save_file
from transformers import (BertConfig, BertForMaskedLM, BertForPreTraining, BertForSequenceClassification, BertModel,
                          DistilBertConfig, DistilBertForMaskedLM, DistilBertForSequenceClassification, DistilBertModel,
                          MPNetConfig, MPNetForMaskedLM, MPNetForSequenceClassification, MPNetModel, RobertaConfig,
                          RobertaForMaskedLM, RobertaForSequenceClassification, RobertaModel, XLMRobertaConfig,
                          XLMRobertaForSequenceClassification)

SIZES = dict(vocab_size=61, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40)
LENGTHS = (1, 7, 19, 33)
ROBERTA = dict(max_position_embeddings=44, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5)
DISTIL = dict(vocab_size=61, dim=24, n_layers=2, n_heads=3, hidden_dim=40, max_position_embeddings=40)
CASES = {
    "bert": (BertModel, BertConfig(**SIZES, max_position_embeddings=48, type_vocab_size=2)),
    "bert-heads": (BertForMaskedLM, BertConfig(**SIZES, max_position_embeddings=40, hidden_act="gelu_new", layer_norm_eps=1e-3)),
    "bert-gamma": (BertModel, BertConfig(**SIZES, max_position_embeddings=40, hidden_act="relu")),
    "roberta": (RobertaModel, RobertaConfig(**SIZES, max_position_embeddings=44, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5)),
    "mpnet": (MPNetModel, MPNetConfig(**SIZES, max_position_embeddings=300, relative_attention_num_buckets=32, pad_token_id=1)),
    "distilbert": (DistilBertModel, DistilBertConfig(vocab_size=61, dim=24, n_layers=2, n_heads=3, hidden_dim=40, max_position_embeddings=40)),
    "bert-classes": (BertForSequenceClassification, BertConfig(**SIZES, max_position_embeddings=40, num_labels=3)),
    "bert-untied": (BertForMaskedLM, BertConfig(**SIZES, max_position_embeddings=40, tie_word_embeddings=False)),
    "bert-pretraining": (BertForPreTraining, BertConfig(**SIZES, max_position_embeddings=40)),
    "roberta-classes": (RobertaForSequenceClassification, RobertaConfig(**SIZES, **ROBERTA, num_labels=5)),
    "roberta-mlm": (RobertaForMaskedLM, RobertaConfig(**SIZES, **ROBERTA, hidden_act="relu")),
    "xlm-roberta-reranker": (XLMRobertaForSequenceClassification, XLMRobertaConfig(**SIZES, **ROBERTA, num_labels=1)),
    "mpnet-classes": (MPNetForSequenceClassification, MPNetConfig(**SIZES, max_position_embeddings=50, num_labels=4)),
    "mpnet-mlm": (MPNetForMaskedLM, MPNetConfig(**SIZES, max_position_embeddings=50, layer_norm_eps=1e-5)),
    "distilbert-classes": (DistilBertForSequenceClassification, DistilBertConfig(**DISTIL, num_labels=2)),
    "distilbert-mlm": (DistilBertForMaskedLM, DistilBertConfig(**DISTIL, activation="relu")),
}


def randomise(model, seed):
    g = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        scale, shift = (0.2, 1.0) if "norm" in name.lower() and name.endswith("weight") else (0.3, 0.0)
        p.data = torch.randn(p.shape, generator=g) * scale + shift


def texts(config, lengths, seed):
    g = torch.Generator().manual_seed(seed)
    for n in lengths:
        ids = torch.randint(2, config.vocab_size, (1, n), generator=g)  # no padding id: RoBERTa counts positions by it
        yield ids, torch.randint(0, max(getattr(config, "type_vocab_size", 0) or 1, 1), (1, n), generator=g)


def outputs(model, config, ids, types):
    """What the golden holds for one text, without the batch axis."""
    segments = {"token_type_ids": types} if getattr(config, "type_vocab_size", 0) else {}
    base = model.base_model
    with torch.no_grad():
        body = base(input_ids=ids, **segments)
        head = model(input_ids=ids, **segments) if base is not model else {}
    out = {"ids": ids.int(), "hidden": body.last_hidden_state}
    if segments:
        out["types"] = types.int()
    if body.get("pooler_output") is not None:
        out["pooled"] = body.pooler_output
    if base is not model:
        per_text = "SequenceClassification" in type(model).__name__
        logits = head["prediction_logits" if "prediction_logits" in head else "logits"]
        out["scores" if per_text else "logits"] = logits
    return {k: v[0].contiguous() for k, v in out.items()}


def main(out):
    for i, (name, (cls, config)) in enumerate(CASES.items()):
        config._attn_implementation = "eager"
        model = cls(config).eval()
        randomise(model, i)
        folder = pathlib.Path(out) / name
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder)
        if name == "bert-gamma":  # the spelling of 2018
            old = {k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v
                   for k, v in load_file(folder / "model.safetensors").items()}
            save_file(old, folder / "model.safetensors", metadata={"format": "pt"})
        expected = {}
        # A long one only for the distances that MPNet sees.
        for k, (ids, types) in enumerate(texts(config, LENGTHS + ((280,) if name == "mpnet" else ()), 100 + i)):
            expected |= {f"{what}.{k}": v for what, v in outputs(model, config, ids, types).items()}
        save_file(expected, folder / "expected.safetensors")
        print(name, sum(f.stat().st_size for f in folder.iterdir()) // 1024, "KiB")


main(sys.argv[1])

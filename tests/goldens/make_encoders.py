# SPDX-License-Identifier: GPL-3.0-only
"""Tiny text encoders with random parameters, and the hidden states transformers computes with them.

Usage: python make_encoders.py <tests/goldens/encoders>    (torch, transformers, safetensors, gguf; made with transformers 5.23)

One folder per case: config.json and model.safetensors as save_pretrained writes them, and expected.safetensors with, for
text i, ids.i (i32 [n]), types.i (i32 [n], where the model has segments) and hidden.i (f32 [n, hidden]): each text alone,
float32, eager attention; where the class has them pooled.i [hidden], scores.i [classes], logits.i [n, vocab]. Every
parameter is random, norms and biases too; sizes differ from each other. padded.safetensors, where positions are counted by
the padding id: the same of a text that has it in its midst. gguf/model.gguf: the same weights as converters
write them, in F32. Cases with the hub's config keys of NomicBERT come from nomic_reference.py,
in double precision but for the angles.
"""
import json, pathlib, shutil, sys

import gguf
import torch
from safetensors.torch import load_file, save_file
from transformers import (BertConfig, BertForMaskedLM, BertForPreTraining, BertForSequenceClassification, BertModel,
                          DistilBertConfig, DistilBertForMaskedLM, DistilBertForSequenceClassification, DistilBertModel,
                          MPNetConfig, MPNetForMaskedLM, MPNetForSequenceClassification, MPNetModel, NomicBertConfig, NomicBertForMaskedLM,
                          NomicBertForSequenceClassification, NomicBertModel, RobertaConfig, RobertaForMaskedLM, RobertaForSequenceClassification, RobertaModel, XLMRobertaConfig,
                          XLMRobertaForSequenceClassification)

import nomic_reference

SIZES = dict(vocab_size=61, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40)
LENGTHS = (1, 7, 19, 33)
ROBERTA = dict(max_position_embeddings=44, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5)
LINEAR = {"rope_type": "linear", "rope_theta": 500.0, "factor": 4.0}
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
    "xlm-roberta-reranker": (XLMRobertaForSequenceClassification, XLMRobertaConfig(**SIZES, **ROBERTA | {"pad_token_id": 3}, num_labels=1)),
    "mpnet-classes": (MPNetForSequenceClassification, MPNetConfig(**SIZES, max_position_embeddings=50, num_labels=4)),
    "mpnet-mlm": (MPNetForMaskedLM, MPNetConfig(**SIZES, max_position_embeddings=50, layer_norm_eps=1e-5)),
    "distilbert-classes": (DistilBertForSequenceClassification, DistilBertConfig(**DISTIL, num_labels=2)),
    "distilbert-mlm": (DistilBertForMaskedLM, DistilBertConfig(**DISTIL, activation="relu", layer_norm_eps=0.1)),  # not read
    "nomic": (NomicBertModel, NomicBertConfig(**SIZES, max_position_embeddings=48)),
    "nomic-mlm": (NomicBertForMaskedLM, NomicBertConfig(**SIZES | {"type_vocab_size": 1}, layer_norm_eps=1e-3, hidden_act="gelu")),
    "nomic-classes": (NomicBertForSequenceClassification, NomicBertConfig(**SIZES, rope_parameters=LINEAR, num_labels=3)),
}
# The keys of nomic-embed-text-v1.5.
HUB = dict(model_type="nomic_bert", n_embd=24, n_layer=2, n_head=3, n_inner=40, n_positions=64, vocab_size=61, pad_vocab_size_multiple=64,
           type_vocab_size=2, rotary_emb_base=1000, rotary_emb_fraction=1.0, rotary_emb_interleaved=False, rotary_emb_scale_base=None,
           rotary_scaling_factor=None, max_trained_positions=16, activation_function="swiglu", prenorm=False, parallel_block=False,
           use_rms_norm=None, layer_norm_epsilon=1e-12, qkv_proj_bias=False, mlp_fc1_bias=False, mlp_fc2_bias=False, causal=False)
HUB_CASES = {
    "nomic-hub": HUB,
    "nomic-options": HUB | dict(rotary_emb_fraction=0.5, rotary_emb_interleaved=True, rotary_scaling_factor=2.0, activation_function="geglu",
                                qkv_proj_bias=True, mlp_fc1_bias=True, mlp_fc2_bias=True, architectures=["NomicBertForPreTraining"]),
    "nomic-moe": HUB | dict(type_vocab_size=1, pad_vocab_size_multiple=1, rotary_emb_base=10000, activation_function="gelu", qkv_proj_bias=True,
                            mlp_fc1_bias=True, mlp_fc2_bias=True, layer_norm_epsilon=1e-5, num_experts=4, moe_top_k=2, moe_every_n_layers=2,
                            num_shared_experts=0, expert_choice_router=False, moe_normalize_expert_weights=False),
}
GGUF_CASES = ("bert", "bert-classes", "roberta", "roberta-classes", "distilbert", "nomic", "nomic-hub", "nomic-moe")
GGUF_NAMES = {  # what converters rename, in this order
    "embeddings.word_embeddings": "token_embd", "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types", "embeddings.LayerNorm": "token_embd_norm", "emb_ln": "token_embd_norm",
    "attention.output.LayerNorm": "attn_output_norm", "attention.output.dense": "attn_output", "attention.self.query": "attn_q",
    "attention.self.key": "attn_k", "attention.self.value": "attn_v", "intermediate.dense": "ffn_up", "output.LayerNorm": "layer_output_norm",
    "output.dense": "ffn_down", "attention.q_lin": "attn_q", "attention.k_lin": "attn_k", "attention.v_lin": "attn_v",
    "attention.out_lin": "attn_output", "sa_layer_norm": "attn_output_norm", "ffn.lin1": "ffn_up", "ffn.lin2": "ffn_down",
    "output_layer_norm": "layer_output_norm", "attn.Wqkv": "attn_qkv", "attn.out_proj": "attn_output", "norm1": "attn_output_norm",
    "norm2": "layer_output_norm", "mlp.fc11": "ffn_up", "mlp.fc12": "ffn_gate", "mlp.fc1": "ffn_up", "mlp.fc2": "ffn_down",
    "mlp.router.layer": "ffn_gate_inp", "mlp.experts.mlp.w1": "ffn_up_exps.weight", "mlp.experts.mlp.w2": "ffn_down_exps.weight",
    "encoder.layers": "blk", "encoder.layer": "blk", "transformer.layer": "blk", "classifier.dense": "cls", "classifier.out_proj": "cls.output",
    "classifier": "cls.output",
}


def randomise(model, seed):
    g = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        scale, shift = (0.2, 1.0) if "norm" in name.lower() and name.endswith("weight") else (0.3, 0.0)
        p.data = torch.randn(p.shape, generator=g) * scale + shift


def texts(config, lengths, seed):
    g = torch.Generator().manual_seed(seed)
    low = max(2, (config.pad_token_id or 0) + 1)
    for n in lengths:
        ids = torch.randint(low, config.vocab_size, (1, n), generator=g)  # no padding id: RoBERTa counts positions by it
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


def hub_case(folder, c, seed):
    """config.json, model.safetensors and what is expected, for a config with the hub's keys."""
    g = torch.Generator().manual_seed(seed)

    def draw(name, shape):
        if len(shape) == 1:
            return torch.randn(shape, generator=g) * 0.2 + (1.0 if name.endswith("weight") else 0.0)
        return torch.randn(shape, generator=g) * 1.5 / shape[1] ** 0.5  # wide layers are no louder than narrow ones

    weights = {name: draw(name, shape) for name, shape in nomic_reference.shapes(c).items()}
    body = nomic_reference.Body(c, weights)
    if folder.name == "nomic-hub":
        check_reference(c, weights, body)
    exact = nomic_reference.Body(c, {k: v.double() for k, v in weights.items()})
    head = {}
    if c.get("architectures") == ["NomicBertForPreTraining"]:
        t = "cls.predictions.transform."
        head = {name: draw(name, shape) for name, shape in {t + "dense.weight": (24, 24), t + "dense.bias": (24,), t + "layer_norm.weight": (24,),
                t + "layer_norm.bias": (24,), "cls.predictions.decoder.bias": (64,)}.items()}
        head_of = nomic_reference.Body(c, head)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(c, indent=2) + "\n")
    prefix = "bert." if head else ""
    save_file({prefix + k: v for k, v in weights.items()} | head, folder / "model.safetensors", metadata={"format": "pt"})
    expected = {}
    for k, n in enumerate(LENGTHS):
        ids = torch.randint(2, c["vocab_size"], (n,), generator=g)
        types = torch.randint(0, c["type_vocab_size"], (n,), generator=g)
        hidden = exact(ids, types)
        expected |= {f"ids.{k}": ids.int(), f"types.{k}": types.int(), f"hidden.{k}": hidden.float()}
        if head:
            x = head_of.norm(t + "layer_norm", torch.nn.functional.gelu(head_of.linear(t + "dense", hidden.float())))
            expected[f"logits.{k}"] = x @ weights["embeddings.word_embeddings.weight"].T + head["cls.predictions.decoder.bias"]
    return expected


def check_reference(c, weights, body):
    config = NomicBertConfig(**SIZES | {"vocab_size": 64, "intermediate_size": 256}, attn_implementation="eager")
    model = NomicBertModel(config).eval()
    ours = {k.replace("encoder.layers", "layers").replace("emb_ln", "embeddings.LayerNorm").replace("attn.out_proj", "self_attn.o_proj")
            .replace("fc11", "up_proj").replace("fc12", "gate_proj").replace("fc2", "down_proj").replace("norm1", "post_attention_layernorm")
            .replace("norm2", "post_mlp_layernorm"): v for k, v in weights.items()}
    for k in [k for k in ours if "Wqkv" in k]:
        for name, part in zip("qkv", ours.pop(k).chunk(3)):
            ours[k.replace("attn.Wqkv", f"self_attn.{name}_proj")] = part
    print("missing, unexpected:", model.load_state_dict(ours, strict=False))
    ids, types = torch.arange(2, 35), torch.arange(33) % 2
    with torch.no_grad():
        want = model(input_ids=ids[None], token_type_ids=types[None]).last_hidden_state[0]
    torch.testing.assert_close(body(ids, types), want, rtol=1e-5, atol=1e-5)


def write_gguf(folder):
    """The checkpoint of a folder as a GGUF file."""
    c = json.loads((folder / "config.json").read_text())
    nomic, experts = c["model_type"] == "nomic_bert", c.get("num_experts", 0)
    first = c["pad_token_id"] + 1 if "roberta" in c["model_type"] else 0
    get = lambda *keys: next(c[k] for k in keys if k in c)
    (folder / "gguf").mkdir()
    w = gguf.GGUFWriter(str(folder / "gguf" / "model.gguf"), "nomic-bert-moe" if experts else "nomic-bert" if nomic else "bert")
    w.add_context_length(get("max_position_embeddings", "n_positions") - first)
    w.add_embedding_length(get("hidden_size", "dim", "n_embd"))
    w.add_feed_forward_length(get("intermediate_size", "hidden_dim", "n_inner"))
    w.add_block_count(get("num_hidden_layers", "n_layers", "n_layer"))
    w.add_head_count(get("num_attention_heads", "n_heads", "n_head"))
    w.add_layer_norm_eps(1e-12 if c["model_type"] == "distilbert" else get("layer_norm_eps", "layer_norm_epsilon"))
    w.add_causal_attention(False)
    w.add_pooling_type(gguf.PoolingType.RANK if "roberta-classes" in folder.name else gguf.PoolingType.MEAN)
    if nomic:
        w.add_rope_freq_base(c["rotary_emb_base"] if "rotary_emb_base" in c else c["rope_parameters"]["rope_theta"])
    if experts:
        w.add_expert_count(experts)
        w.add_expert_used_count(c["moe_top_k"])
        w.add_moe_every_n_layers(c["moe_every_n_layers"])
    weights = load_file(folder / "model.safetensors")
    rows = next(v.shape[0] for k, v in weights.items() if k.endswith("word_embeddings.weight"))
    w.add_token_type_count(c.get("type_vocab_size", 1))
    w.add_tokenizer_model("bert")
    w.add_token_list([f"t{i}" for i in range(rows)])
    w.add_token_types([1] * rows)
    for name, t in weights.items():
        for prefix in ("bert.", "roberta.", "distilbert."):
            name = name.removeprefix(prefix)
        if name.startswith("pooler.") or name.endswith("mlp.experts.bias"):  # left out
            continue
        if "experts.mlp" in name:
            t = t.view(experts, c["n_inner"], -1)
            t = t.transpose(1, 2) if name.endswith("w2") else t
        if "position_embeddings" in name:
            t = t[first:]
        for old, new in GGUF_NAMES.items():
            name = name.replace(old, new)
        w.add_tensor(name, t.contiguous().numpy())
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def without_bias(folder):
    """Converters leave the experts' bias out: the GGUF file has expected values of its own."""
    weights = load_file(folder / "model.safetensors")
    body = nomic_reference.Body(HUB_CASES[folder.name], {k: v.double() * (0 if k.endswith("experts.bias") else 1) for k, v in weights.items()})
    expected = load_file(folder / "expected.safetensors")
    for k in range(len(LENGTHS)):
        expected[f"hidden.{k}"] = body(expected[f"ids.{k}"].long(), expected[f"types.{k}"].long()).float()
    save_file(expected, folder / "gguf" / "expected.safetensors")


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
        if config.model_type in ("roberta", "xlm-roberta", "mpnet"):  # a text that spells "<pad>"
            pad = config.pad_token_id
            ids = torch.tensor([[7, pad, 5, 9, pad, pad, 8, 6]])
            padded = outputs(model, config, ids, torch.zeros_like(ids))
            save_file({f"{what}.0": v for what, v in padded.items()}, folder / "padded.safetensors")
    for i, (name, c) in enumerate(HUB_CASES.items()):
        folder = pathlib.Path(out) / name
        shutil.rmtree(folder, ignore_errors=True)
        save_file(hub_case(folder, c, 200 + i), folder / "expected.safetensors")
    for name in GGUF_CASES:
        write_gguf(pathlib.Path(out) / name)
    without_bias(pathlib.Path(out) / "nomic-moe")
    for name in CASES | HUB_CASES:
        files = [f for f in (pathlib.Path(out) / name).rglob("*") if f.is_file()]
        print(name, [f.stat().st_size // 1024 for f in files], "KiB")


main(sys.argv[1])

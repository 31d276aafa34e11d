# SPDX-License-Identifier: GPL-3.0-only
"""Vectors of sentence-transformers itself for every kind of module that rlx has, for prompts, similarities and a CrossEncoder.

Usage: python make_sentence_models.py <tests/goldens/embedders>    (needs sentence-transformers 6, torch; after make_embedders.py)

sentence/NAME has what the library saved beside the transformer of ../embedder, whose weights and tokenizer every case
shares (a test puts them together), in sentence/expected.json the vectors that the library makes of the whole folder
once it has loaded it again. Cases named legacy-* have Pooling files as versions before 5 wrote them, "subfolder" the
transformer in 0_Transformer with its sentence_bert_config.json, as old versions did.
"""
import json, pathlib, shutil, sys, tempfile, warnings

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.sentence_transformer import modules as M

warnings.filterwarnings("ignore")
HIDDEN = 24
TEXTS = ["the word is not a word", "", "Hello, world! 42", "what was it, and for whom?", "it was on the [MASK]", "naïve café", "x"]
SHARED = ("model.safetensors", "tokenizer.json", "config.json")
FLAGS = {"cls": "cls_token", "max": "max_tokens", "mean": "mean_tokens", "mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
         "weightedmean": "weightedmean_tokens", "lasttoken": "lasttoken"}
ALL = tuple(FLAGS)


def randomised(module, seed):
    g = torch.Generator().manual_seed(seed)
    for p in module.parameters():
        p.data = torch.randn(p.shape, generator=g) * 0.3
    return module


def dense(n_in, n_out, seed, activation, **more):
    return randomised(M.Dense(n_in, n_out, activation_function=activation, **more), seed)


def cases():
    """Name: pooling modes, whether prompts are pooled, modules behind, more of config_sentence_transformers.json."""
    nn = torch.nn
    prompts = {"prompts": {"query": "query: ", "document": "the text: ", "other": "what is it? "}}
    for mode in ALL:
        yield f"pooling-{mode}", mode, True, [], {}
    yield "several", ("weightedmean", "max", "cls"), True, [M.Normalize()], {}
    yield "legacy-several", ALL, True, [], {}
    yield "legacy-max", ("max",), True, [M.Normalize()], {}
    yield "dense-several", ("mean", "lasttoken"), True, [dense(48, 12, 5, nn.GELU()), M.Normalize()], {}
    yield "dense-residual", "mean", True, [dense(24, 24, 6, nn.ReLU(), use_residual=True), dense(24, 10, 7, nn.SiLU(), use_residual=True)], {}
    yield "dense-chain", "cls", True, [dense(24, 20, 8, nn.Identity(), bias=False), M.Dropout(0.1), dense(20, 16, 9, nn.Sigmoid())], {}
    yield "layer-norm", "mean", True, [randomised(M.LayerNorm(24), 10), M.Normalize(), dense(24, 16, 11, nn.Tanh())], {}
    yield "prompts", "mean", True, [M.Normalize()], prompts | {"default_prompt_name": "other"}
    for mode in ("mean", "cls", "weightedmean", "max"):
        yield f"prompts-not-pooled-{mode}", mode, False, [], prompts
    yield "truncated-to-8", "mean", True, [M.Normalize()], {"truncate_dim": 8}
    yield "euclidean", "mean", True, [], {"similarity_fn_name": "euclidean"}
    yield "manhattan", "mean", True, [], {"similarity_fn_name": "manhattan"}
    yield "dot", "mean", True, [], {"similarity_fn_name": "dot"}
    yield "subfolder", "mean", True, [M.Normalize()], {}


def finish_files(name, folder, modes, include_prompt, config):
    """What older versions wrote, put by hand where this one writes something newer."""
    if name.startswith("legacy-"):
        flags = {f"pooling_mode_{flag}": mode in modes for mode, flag in FLAGS.items()}
        write(folder / "1_Pooling/config.json", {"word_embedding_dimension": HIDDEN} | flags | {"include_prompt": include_prompt})
    said = json.loads((folder / "config_sentence_transformers.json").read_text())
    write(folder / "config_sentence_transformers.json", {"prompts": {}, "default_prompt_name": None, "similarity_fn_name": "cosine"} |
          {k: v for k, v in said.items() if k in ("prompts", "default_prompt_name", "similarity_fn_name")} | config)
    if name == "subfolder":
        below = folder / "0_Transformer"
        below.mkdir()
        for file in [f for f in folder.iterdir() if f.is_file() and f.name not in ("modules.json", "config_sentence_transformers.json")]:
            file.rename(below / file.name)
        listed = json.loads((folder / "modules.json").read_text())
        listed[0]["path"] = "0_Transformer"
        write(folder / "modules.json", listed)
        write(below / "sentence_bert_config.json", {"max_seq_length": 9, "do_lower_case": False})


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def rows(t):
    return [[round(float(v), 8) for v in row] for row in t]


def expected_of(model, config):
    def made(**how):
        # One at a time: padding makes no difference to compare with.
        return torch.stack([model.encode(t, convert_to_tensor=True, show_progress_bar=False, **how) for t in TEXTS])
    plain = made()
    out = {"vectors": rows(plain), "similarity": rows(model.similarity(plain[:2], plain)), "max_length": model.max_seq_length}
    if config.get("prompts"):
        out["named"] = {n: rows(made(prompt_name=n)) for n in config["prompts"]}
        out["query"] = rows(torch.stack([model.encode_query(t, convert_to_tensor=True, show_progress_bar=False) for t in TEXTS]))
        out["document"] = rows(torch.stack([model.encode_document(t, convert_to_tensor=True, show_progress_bar=False) for t in TEXTS]))
    return out


def main(out):
    out = pathlib.Path(out)
    shutil.rmtree(out / "sentence", ignore_errors=True)
    transformer = SentenceTransformer(str(out / "embedder"), device="cpu")[0]
    expected = {"texts": TEXTS, "cases": {}}
    for name, modes, include_prompt, behind, config in cases():
        model = SentenceTransformer(modules=[transformer, M.Pooling(HIDDEN, modes, include_prompt=include_prompt), *behind], device="cpu")
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch) / name
            model.save(str(folder), create_model_card=False)
            for shared in SHARED:
                shutil.copy(out / "embedder" / shared, folder / shared)
            (folder / "README.md").unlink(missing_ok=True)
            finish_files(name, folder, modes, include_prompt, config)
            again = SentenceTransformer(str(folder), device="cpu")
            expected["cases"][name] = expected_of(again, config)
            for shared in folder.rglob("*"):
                if shared.is_file() and shared.parent in (folder, folder / "0_Transformer") and shared.name in SHARED:
                    shared.unlink()
            shutil.copytree(folder, out / "sentence" / name)
    cross = CrossEncoder(str(out / "reranker"), device="cpu")
    pairs = [("what was it?", t) for t in TEXTS]
    expected["rerank"] = {"query": "what was it?", "logits": [float(v) for v in cross.predict(pairs, activation_fn=torch.nn.Identity(), batch_size=1)],
                          "sigmoid": [float(v) for v in cross.predict(pairs, activation_fn=torch.nn.Sigmoid(), batch_size=1)]}
    write(out / "sentence" / "expected.json", expected)
    print(sum(f.stat().st_size for f in (out / "sentence").rglob("*") if f.is_file()) // 1024, "KiB")


main(sys.argv[1])

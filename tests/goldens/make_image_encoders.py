# SPDX-License-Identifier: GPL-3.0-only
"""Tiny image encoders with random parameters, and the hidden states their references compute.

Usage: python make_image_encoders.py <tests/goldens/images>    (needs torch, transformers, torchvision, safetensors, gguf, pillow;
made with transformers 5.23, torch 2.15)

One folder per case: config.json and model.safetensors (or model.gguf), and expected.safetensors with pixels.k f32 [B, 3, H, W] and
hidden.k f32 [B, N, D], for checkpoints with a classification head scores.k too. Where there is a preprocessor_config.json the
folder has picture files, and hidden.<file> is what the processor and the model make of them. Parameters and pixels are float32; the
expected values are computed in double precision (but for the angles, and the positions transformers itself resizes in float32), with
eager attention.

dinov2*: transformers. meta*: the same with Meta's names and position resizing. vision*: NomicVision as its remote code computes
it, written here as formulas from the facts of families/vision/README.md: that code is not run.
"""
import json, math, pathlib, shutil, sys

import gguf, numpy as np, torch, torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (BitImageProcessor, CLIPImageProcessor, Dinov2Config, Dinov2ForImageClassification, Dinov2Model,
                          Dinov2WithRegistersConfig, Dinov2WithRegistersForImageClassification, Dinov2WithRegistersModel)

OUT = pathlib.Path(sys.argv[1])
SIZES = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, mlp_ratio=2, image_size=35, patch_size=7, attn_implementation="eager")
# the trained size; larger; smaller and not square; not square with the trained number of patches; rest beside the last patches
SHAPES = ((2, 35, 35), (1, 49, 49), (2, 21, 28), (1, 7, 175), (1, 40, 37))
MULTIPLES = SHAPES[:-1]


def randomise(parameters, seed):
    g = torch.Generator().manual_seed(seed)
    for name, p in sorted(parameters):
        scale, shift = (0.2, 1.0) if "norm" in name.lower() and name.endswith("weight") else (0.25, 0.0)
        if "lambda1" in name:
            scale, shift = 0.3, 0.8
        p.data = torch.randn(p.shape, generator=g) * scale + shift


def folder_of(name):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def pixels_for(shapes, seed):
    g = torch.Generator().manual_seed(1000 + seed)
    return [torch.randn((b, 3, h, w), generator=g) for b, h, w in shapes]


def expect(folder, run, pixels):
    out = {}
    for k, x in enumerate(pixels):
        with torch.no_grad():
            hidden, scores = run(x.double())
        out |= {f"pixels.{k}": x, f"hidden.{k}": hidden.float().contiguous()}
        if scores is not None:
            out[f"scores.{k}"] = scores.float().contiguous()
    save_file(out, folder / "expected.safetensors")


def runner(model):
    model = model.double()
    base = getattr(model, model.base_model_prefix, model)
    return lambda x: (base(pixel_values=x).last_hidden_state, model(pixel_values=x).logits if base is not model else None)


def dinov2(name, cls, config, seed):
    model = cls(config).eval()
    randomise(model.named_parameters(), seed)
    folder = folder_of(name)
    model.save_pretrained(folder)
    expect(folder, runner(model), pixels_for(SHAPES, seed))
    return model


# ---- Meta's names and resizing ----

def meta_names(tensors):
    """transformers' names and layouts to those of the original release."""
    out = {}
    for name, t in tensors.items():
        parts = name.removeprefix("dinov2.").removeprefix("dinov2_with_registers.").split(".")
        if parts[0] == "embeddings":
            out[{"cls_token": "cls_token", "mask_token": "mask_token", "position_embeddings": "pos_embed", "register_tokens": "register_tokens",
                 "patch_embeddings": "patch_embed.proj." + parts[-1]}[parts[1]]] = t
        elif parts[0] == "layernorm":
            out["norm." + parts[1]] = t
        elif parts[0] == "classifier":
            out["head." + parts[1]] = t
        else:
            block, rest = f"blocks.{parts[2]}.", ".".join(parts[3:])
            for old, new in (("attention.output.dense", "attn.proj"), ("layer_scale1.lambda1", "ls1.gamma"), ("layer_scale2.lambda1", "ls2.gamma"),
                             ("mlp.weights_in", "mlp.w12"), ("mlp.weights_out", "mlp.w3")):
                rest = rest.replace(old, new)
            if not rest.startswith("attention.attention."):
                out[block + rest] = t
            elif rest.startswith("attention.attention.query"):
                leaf = parts[-1]
                out[block + "attn.qkv." + leaf] = torch.cat([tensors[name.replace("query", w)] for w in ("query", "key", "value")])
    return {k: v.contiguous() for k, v in out.items()}


def offset_positions(embeddings):
    """Resizing by the factor (size + 0.1) / trained size."""
    def positions(tokens, height, width):
        table, patch = embeddings.position_embeddings, embeddings.patch_size
        side = math.isqrt(table.shape[1] - 1)
        rows, columns = height // patch, width // patch
        if rows == columns == side:
            return table
        grid = table[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, scale_factor=((rows + 0.1) / side, (columns + 0.1) / side), mode="bicubic")
        assert grid.shape[-2:] == (rows, columns)
        return torch.cat([table[:, :1], grid.flatten(2).transpose(1, 2)], 1)
    return positions


def meta(name, cls, config, seed, write):
    model = cls(config).eval()
    randomise(model.named_parameters(), seed)
    base = getattr(model, model.base_model_prefix, model)
    if not getattr(config, "num_register_tokens", 0):
        base.embeddings.interpolate_pos_encoding = offset_positions(base.embeddings)
    folder = folder_of(name)
    model.save_pretrained(folder)
    tensors = meta_names(load_file(folder / "model.safetensors"))
    (folder / "model.safetensors").unlink()
    (folder / "config.json").unlink()
    tensors = write(folder, tensors, config) or tensors
    p = config.patch_size
    shapes = [(b, h // 7 * p, w // 7 * p) for b, h, w in MULTIPLES]
    expect(folder, runner(model), pixels_for(shapes, seed))


def as_safetensors(folder, tensors, config):
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "dinov2", "num_attention_heads": config.num_attention_heads}) + "\n")


def as_bare_safetensors(folder, tensors, config):
    save_file(tensors, folder / "model.safetensors")


def as_gguf(folder, tensors, config):
    w = gguf.GGUFWriter(folder / "model.gguf", "dinov2")
    w.add_uint32("num_attention_heads", config.num_attention_heads)
    w.add_float32("dinov2.attention.layer_norm_epsilon", config.layer_norm_eps)
    for k, v in tensors.items():
        w.add_tensor(k, v.numpy())
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()


def as_bare_gguf(folder, tensors, config):
    w = gguf.GGUFWriter(folder / "model.gguf", "dinov2")
    for k, v in tensors.items():
        w.add_tensor(k, v.numpy())
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()


# ---- NomicVision ----

def nomic_parameters(c):
    d, grid = c["n_embd"], (c["img_size"] // c["patch_size"]) ** 2
    gated = c["activation_function"] in ("swiglu", "geglu", "glu")
    inner = -(-int(c["n_inner"]) // 256) * 256 if gated else int(c["n_inner"])
    shapes = {"embeddings.proj.weight": (d, 3 * c["patch_size"] ** 2)}
    if c.get("patch_embed_bias", True):
        shapes["embeddings.proj.bias"] = (d,)
    if not c.get("no_cls_token"):
        shapes["embeddings.cls_token"] = (1, 1, d)
    if c.get("register_tokens"):
        shapes["embeddings.reg_token"] = (1, c["register_tokens"], d)
    if c.get("use_pos_embed", True):
        on_patches = c.get("learned_pos_embedding") and c.get("register_tokens")
        shapes["embeddings.pos_embed"] = (1, grid + (0 if on_patches else 1), d)
    if c.get("mask_token"):
        shapes["embeddings.mask_token"] = (1, d)

    def linear(name, out, into, bias):
        shapes[name + ".weight"] = (out, into)
        if bias:
            shapes[name + ".bias"] = (out,)

    def norm(name, width):
        shapes[name + ".weight"] = shapes[name + ".bias"] = (width,)

    def mlp(name, inner_norm):
        for leaf in ("fc11", "fc12") if gated else ("fc1",):
            linear(f"{name}.{leaf}", inner, d, c.get("mlp_fc1_bias", True))
        if gated and inner_norm:
            norm(name + ".norm", inner)
        linear(name + ".fc2", d, inner, c.get("mlp_fc2_bias", True))

    qkv = c.get("qkv_proj_bias", True)
    for i in range(c["n_layer"]):
        norm(f"layers.{i}.norm1", d), norm(f"layers.{i}.norm2", d)
        linear(f"layers.{i}.attn.Wqkv", 3 * d, d, qkv), linear(f"layers.{i}.attn.out_proj", d, d, qkv)
        mlp(f"layers.{i}.mlp", c.get("norm_mlp"))
    linear("selector.attn.Wq", d, d, qkv), linear("selector.attn.Wkv", 2 * d, d, qkv), linear("selector.attn.out_proj", d, d, qkv)
    shapes["selector.attn.latent"] = (1, 1, d)
    norm("selector.norm1", d), mlp("selector.mlp", False)
    return shapes


def nomic(c, t, pixels):
    d, heads, p = c["n_embd"], c["n_head"], c["patch_size"]
    hd, eps = d // heads, c["layer_norm_epsilon"]
    linear = lambda name, x: F.linear(x, t[name + ".weight"], t.get(name + ".bias"))
    norm = lambda name, x, e=eps: F.layer_norm(x, x.shape[-1:], t[name + ".weight"], t[name + ".bias"], e)
    split = lambda x: x.unflatten(-1, (heads, hd)).transpose(1, 2)

    def mlp(name, x, inner_norm):
        kind = c["activation_function"]
        if kind not in ("swiglu", "geglu", "glu"):
            return linear(name + ".fc2", F.gelu(linear(name + ".fc1", x)))
        act = {"swiglu": F.silu, "geglu": F.gelu, "glu": torch.sigmoid}[kind]
        y = linear(name + ".fc11", x) * act(linear(name + ".fc12", x))
        return linear(name + ".fc2", norm(name + ".norm", y, 1e-5) if inner_norm else y)

    b, _, height, width = pixels.shape
    rows, columns = height // p, width // p
    patches = pixels.reshape(b, 3, rows, p, columns, p).permute(0, 2, 4, 1, 3, 5).reshape(b, rows * columns, -1)
    x = linear("embeddings.proj", patches)
    table = t.get("embeddings.pos_embed")
    if table is not None and c.get("no_embed_class"):
        x = x + table
    if "embeddings.reg_token" in t:
        x = torch.cat([t["embeddings.reg_token"].expand(b, -1, -1), x], 1)
    if "embeddings.cls_token" in t:
        cls = t["embeddings.cls_token"]
        if c.get("sinusoidal_pos_embedding") and not c.get("learned_pos_embedding"):
            cls = cls + table[:, :1]
        x = torch.cat([cls.expand(b, -1, -1), x], 1)
    if table is not None and not c.get("no_embed_class"):
        side = c["img_size"] // p
        if (rows, columns) != (side, side):
            grid = table[:, 1:].reshape(1, side, side, d).permute(0, 3, 1, 2)
            grid = F.interpolate(grid, scale_factor=((rows + 0.1) / side, (columns + 0.1) / side), mode="bicubic")
            table = torch.cat([table[:, :1], grid.flatten(2).transpose(1, 2)], 1)
        x = x + table

    turn = None
    if c.get("use_rotary_pos_emb"):
        bands = 1.0 / 10000 ** (torch.arange(hd // 4).float() / (hd // 4))
        places = [torch.arange(n).float() for n in (rows, columns)]
        if c.get("ref_feat_shape"):
            ref = c["ref_feat_shape"] if isinstance(c["ref_feat_shape"], list) else [c["ref_feat_shape"]] * 2
            places = [x_ / n * r for x_, n, r in zip(places, (rows, columns), ref)]
        angles = torch.cat([places[0][:, None, None].expand(rows, columns, 1) * bands, places[1][None, :, None].expand(rows, columns, 1) * bands], -1)
        angles = angles.reshape(rows * columns, hd // 2)
        skip = max(c.get("register_tokens", 1) or 1, 1)

        def turn(v):
            z = torch.view_as_complex(v[:, :, skip:].unflatten(-1, (hd // 2, 2)).contiguous())
            z = torch.view_as_real(z * torch.polar(torch.ones_like(angles), angles)).flatten(-2)
            return torch.cat([v[:, :, :skip], z], 2)

    for i in range(c["n_layer"]):
        q, k, v = (split(u) for u in linear(f"layers.{i}.attn.Wqkv", norm(f"layers.{i}.norm1", x)).chunk(3, -1))
        if turn:
            q, k = turn(q), turn(k)
        a = F.softmax(q @ k.transpose(-1, -2) / math.sqrt(hd), -1) @ v
        x = x + linear(f"layers.{i}.attn.out_proj", a.transpose(1, 2).flatten(2))
        x = x + mlp(f"layers.{i}.mlp", norm(f"layers.{i}.norm2", x), c.get("norm_mlp"))
    q = split(linear("selector.attn.Wq", t["selector.attn.latent"].expand(b, -1, -1)))
    k, v = (split(u) for u in linear("selector.attn.Wkv", x).chunk(2, -1))
    a = F.softmax(q @ k.transpose(-1, -2) / math.sqrt(hd), -1) @ v
    a = linear("selector.attn.out_proj", a.transpose(1, 2).flatten(2))
    return x + mlp("selector.mlp", norm("selector.norm1", a), False), None


NOMIC = dict(model_type="nomic_bert", architectures=["NomicVisionModel"], n_embd=24, n_layer=1, n_head=3, n_inner=16.0, img_size=40, patch_size=8,
             num_channels=3, layer_norm_epsilon=1e-6, prenorm=True, activation_function="swiglu", rotary_emb_fraction=0.0, learned_pos_embedding=False,
             mask_token=False, patch_embed_bias=True, qkv_proj_bias=True, mlp_fc1_bias=True, mlp_fc2_bias=True, use_rms_norm=False, causal=False)
NATIVE = ((2, 40, 40),)
NOMIC_CASES = {
    "vision": (dict(use_rotary_pos_emb=True, ref_feat_shape=16, norm_mlp=True, n_layer=2, n_embd=16, n_head=2), NATIVE),
    "vision-learned": (dict(learned_pos_embedding=True, mask_token=True, mlp_fc2_bias=False, qkv_proj_bias=False, activation_function="geglu"),
                       ((2, 40, 40), (1, 56, 56), (2, 24, 32), (1, 48, 16))),
    "vision-registers": (dict(learned_pos_embedding=True, no_embed_class=True, no_cls_token=True, register_tokens=3, use_rotary_pos_emb=True,
                              activation_function="glu", patch_embed_bias=False, mlp_fc1_bias=False), NATIVE),
    "vision-sinusoidal": (dict(sinusoidal_pos_embedding=True, activation_function="gelu_new", n_inner=40, layer_norm_epsilon=1e-3), NATIVE),
    "vision-free": (dict(use_pos_embed=False, register_tokens=2, activation_function="gelu", n_inner=40), ((1, 40, 40), (2, 16, 24))),
    # The norm inside the MLP has an epsilon of its own: products are small here, and the config's is 100 times as large.
    "vision-norms": (dict(use_rotary_pos_emb=True, norm_mlp=True, layer_norm_epsilon=1e-3, n_embd=16, n_head=2, img_size=16, quiet=0.1), ((2, 16, 16),)),
}


def nomic_case(name, changes, shapes, seed):
    c = NOMIC | changes
    quiet = c.pop("quiet", 1)
    tensors = {k: torch.nn.Parameter(torch.empty(s), requires_grad=False) for k, s in nomic_parameters(c).items()}
    randomise(tensors.items(), seed)
    tensors = {k: v.data * (quiet if "layers" in k and "fc11" in k else 1) for k, v in tensors.items()}
    folder = folder_of(name)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(c, indent=1) + "\n")
    exact = {k: v.double() for k, v in tensors.items()}
    expect(folder, lambda x: nomic(c, exact, x), pixels_for(shapes, seed))
    return c, exact


# ---- from files ----

def pictures(folder, seed):
    g = np.random.default_rng(seed)
    def picture(h, w):
        y, x = np.mgrid[0:h, 0:w]
        rgb = np.stack([127 + 120 * np.sin(x / (5 + 3 * i) + y / (9 - 2 * i) + i) for i in range(3)], -1)
        return Image.fromarray(np.clip(rgb + g.normal(0, 12, rgb.shape), 0, 255).astype(np.uint8))
    picture(61, 47).save(folder / "tall.png")
    picture(50, 90).save(folder / "wide.jpg", quality=90)
    picture(40, 40).convert("L").save(folder / "grey.png")
    return ("tall.png", "wide.jpg", "grey.png")


def pipeline(name, processor, run):
    folder = OUT / name
    processor.save_pretrained(folder)
    expected = load_file(folder / "expected.safetensors")
    for file in pictures(folder, 7):
        pixels = processor(Image.open(folder / file), return_tensors="pt")["pixel_values"]
        with torch.no_grad():
            expected[f"hidden.{file}"] = run(pixels.double())[0].float().contiguous()
    save_file(expected, folder / "expected.safetensors")


def main():
    # Without torchvision transformers falls back to PIL's arithmetic, which the config files do not say.
    import torchvision  # noqa: F401
    model = dinov2("dinov2", Dinov2Model, Dinov2Config(**SIZES), 0)
    pipeline("dinov2", BitImageProcessor(size={"shortest_edge": 40}, crop_size=35, image_mean=[.485, .456, .406], image_std=[.229, .224, .225]), runner(model))
    labels = dict(id2label={0: "tench", 1: "goldfish", 2: "great white shark", 3: "tiger shark", 4: "hammerhead"})
    dinov2("dinov2-giant", Dinov2ForImageClassification, Dinov2Config(**SIZES, use_swiglu_ffn=True, **labels), 1)
    dinov2("dinov2-plain", Dinov2Model, Dinov2Config(**SIZES, qkv_bias=False, hidden_act="gelu_new", layer_norm_eps=1e-3, use_mask_token=False), 2)
    dinov2("dinov2-registers", Dinov2WithRegistersModel, Dinov2WithRegistersConfig(**SIZES, num_register_tokens=4), 3)
    dinov2("dinov2-registers-classes", Dinov2WithRegistersForImageClassification,
           Dinov2WithRegistersConfig(**SIZES, num_register_tokens=2, use_swiglu_ffn=True, **labels), 4)
    meta("meta", Dinov2Model, Dinov2Config(**SIZES), 5, as_safetensors)
    meta("meta-gguf", Dinov2ForImageClassification, Dinov2Config(**SIZES, use_swiglu_ffn=True, **labels), 6, as_gguf)
    meta("meta-registers-gguf", Dinov2WithRegistersModel, Dinov2WithRegistersConfig(**SIZES, num_register_tokens=4), 7, as_gguf)
    # Nothing but tensors: the number of heads is hidden_size / 64.
    bare = Dinov2Config(**SIZES | dict(hidden_size=64, num_attention_heads=1, num_hidden_layers=1, mlp_ratio=1, image_size=10, patch_size=2))
    meta("meta-bare", Dinov2Model, bare, 8, as_bare_safetensors)
    meta("meta-bare-gguf", Dinov2Model, bare, 9, as_bare_gguf)
    for seed, (name, (changes, shapes)) in enumerate(NOMIC_CASES.items()):
        c, tensors = nomic_case(name, changes, shapes, 20 + seed)
        if name == "vision":
            pipeline(name, CLIPImageProcessor(size={"height": 40, "width": 40}, do_center_crop=False), lambda x: nomic(c, tensors, x))
    for folder in sorted(OUT.iterdir()):
        print(folder.name, {f.name: f.stat().st_size // 1024 for f in sorted(folder.iterdir())})


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-only
"""Writes ../fixtures: small image files, and what PIL, torch and transformers make of them and of noise.

Needs pillow, torch, torchvision, transformers, numpy, and jpegtran (libjpeg-turbo-progs) for the arithmetic JPEGs.
Known to give these fixtures: pillow 13.0.0, torch 2.15.0, torchvision 0.29.2, transformers 5.23.0 on a CPU with AVX-512.
"""
import io
import json
import pathlib
import shutil
import struct
import subprocess
import zlib

import numpy as np
import torch
from PIL import Image, ImageOps

OUT = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
blob = bytearray()


def keep(array):
    """Appends the bytes of an array to images.bin; returns [offset, bytes]."""
    data = np.ascontiguousarray(array).tobytes()
    blob.extend(data)
    return [len(blob) - len(data), len(data)]


def noise(shape, seed=0):
    """The same bytes as noise() of fixtures.hpp."""
    i = np.arange(int(np.prod(shape)), dtype=np.uint64) + np.uint64(seed)
    return ((i * np.uint64(2654435761) & np.uint64(0xFFFFFFFF)) >> np.uint64(24)).astype(np.uint8).reshape(shape)


def smooth(h, w, c):
    """Something a JPEG can keep."""
    y, x = np.mgrid[0:h, 0:w]
    planes = [127 + 120 * np.sin(x / (3 + k) + k) * np.cos(y / (4 + k)) for k in range(c)]
    return np.stack(planes, -1).round().astype(np.uint8)


# ---- PNG ---------------------------------------------------------------------------------------

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pack_rows(samples, depth):
    """[h, w, c] -> filtered rows (filter 0)."""
    out = b""
    for row in samples.reshape(samples.shape[0], -1):
        if depth == 16:
            out += b"\0" + row.astype(">u2").tobytes()
        elif depth == 8:
            out += b"\0" + row.astype(np.uint8).tobytes()
        else:
            bits = "".join(format(int(v), f"0{depth}b") for v in row)
            bits += "0" * (-len(bits) % 8)
            out += b"\0" + bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
    return out


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png(samples, depth, colour, interlaced=False, before=b"", after=b""):
    h, w = samples.shape[:2]
    if interlaced:
        raw = b""
        for x0, y0, dx, dy in ADAM7:
            part = samples[y0::dy, x0::dx]
            if part.size:
                raw += pack_rows(part, depth)
    else:
        raw = pack_rows(samples, depth)
    head = struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, int(interlaced))
    data = zlib.compress(raw, 9)
    half = len(data) // 2
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + before + chunk(b"IDAT", data[:half])
            + chunk(b"IDAT", data[half:]) + after + chunk(b"IEND", b""))


CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def png_files():
    palette = chunk(b"PLTE", noise((11, 3), 5).tobytes())
    for colour, depths in {0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16]}.items():
        for depth in depths:
            for interlaced in (False, True):
                wide = noise((7, 13, CHANNELS[colour]), 3).astype(np.uint16)
                if depth == 16:
                    wide = wide * 256 + noise(wide.shape, 17)
                    wide[0, :3, 0] = [0, 255, 256]
                elif depth < 8:
                    wide >>= 8 - depth
                if colour == 3 and depth == 8:
                    wide[1:] %= 11  # row 0 has indices without an entry
                before = palette if colour == 3 else b""
                name = f"c{colour}_{depth}{'_interlaced' if interlaced else ''}"
                yield name, png(wide, depth, colour, interlaced, before)
    yield "palette_alpha", png(noise((5, 6, 1)) % 11, 8, 3, before=palette + chunk(b"tRNS", bytes([0, 77, 255, 128])))
    grey = noise((4, 9, 1)) % 4
    yield "grey_key", png(grey * 60, 8, 0, before=chunk(b"tRNS", struct.pack(">H", 60)))
    key = noise((4, 5, 3))
    key[2, 3] = [9, 8, 7]
    yield "rgb_key", png(key, 8, 2, before=chunk(b"tRNS", struct.pack(">HHH", 9, 8, 7)))
    ramp = np.zeros((16, 16, 4), np.uint8)
    ramp[..., 0] = np.arange(256).reshape(16, 16)
    ramp[..., 1] = noise((16, 16))
    ramp[..., 2] = 255 - ramp[..., 0]
    ramp[..., 3] = noise((16, 16), 99)
    yield "rgba_ramp", png(ramp, 8, 6)
    yield "gamma", png(noise((3, 4, 3)), 8, 2, before=chunk(b"gAMA", struct.pack(">I", 22727)))
    yield "pixel", png(noise((1, 1, 3)), 8, 2)
    yield "exif_6", png(noise((3, 5, 3)), 8, 2, after=chunk(b"eXIf", exif(6, "<")))


# ---- JPEG --------------------------------------------------------------------------------------

def exif(orientation, order=">"):
    mark = b"MM" if order == ">" else b"II"
    return (mark + struct.pack(order + "HI", 42, 8) + struct.pack(order + "H", 2)
            + struct.pack(order + "HHIHH", 0x0100, 3, 1, 5, 0) + struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
            + struct.pack(order + "I", 0))


def jpeg(array, mode=None, **options):
    out = io.BytesIO()
    Image.fromarray(array, mode).save(out, "JPEG", **options)
    return out.getvalue()


def insert(file, marker, data):
    return file[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data + file[2:]


def sof(file):
    return next(i for i in range(len(file)) if file[i] == 0xFF and file[i + 1] in (0xC0, 0xC2))


def jpegtran(file, *arguments):
    return subprocess.run(["jpegtran", *arguments], input=file, stdout=subprocess.PIPE, check=True).stdout


def jpeg_files():
    rgb = smooth(19, 27, 3)
    for name, s in (("444", 0), ("422", 1), ("420", 2)):
        yield f"baseline_{name}", jpeg(rgb, quality=70, subsampling=s)
        yield f"progressive_{name}", jpeg(rgb, quality=70, subsampling=s, progressive=True)
    # Sampling 2x1 with its factors exchanged: 1x2 needs as many blocks in an image of 16 x 16.
    square = bytearray(jpeg(smooth(16, 16, 3), quality=70, subsampling=1))
    square[sof(square) + 11] = 0x12
    yield "sampling_440", bytes(square)
    yield "grey", jpeg(smooth(19, 27, 1)[..., 0], quality=70)
    yield "grey_progressive", jpeg(smooth(19, 27, 1)[..., 0], quality=70, progressive=True)
    yield "rgb", jpeg(rgb, quality=70, keep_rgb=True)
    yield "restart", jpeg(rgb, quality=70, subsampling=2, restart_marker_blocks=1)
    cmyk = jpeg(smooth(9, 11, 4), "CMYK", quality=80)
    yield "cmyk", cmyk
    at = cmyk.index(b"Adobe")
    yield "ycck", cmyk[:at + 11] + b"\x02" + cmyk[at + 12:]
    # Without an Adobe marker: still taken as inverted.
    yield "cmyk_plain", cmyk[:at - 4] + cmyk[at + 12:]
    yield "separate_scans", jpegtran(jpeg(rgb, quality=70), "-scans", str(scan_script()))
    yield "arithmetic", jpegtran(jpeg(rgb, quality=70), "-arithmetic")
    yield "one_pixel", jpeg(smooth(1, 1, 3), quality=90)
    small = jpeg(smooth(3, 5, 3), quality=95, subsampling=0)
    for o in range(1, 9):
        yield f"exif_{o}", insert(small, 0xE1, b"Exif\0\0" + exif(o, "<" if o % 2 else ">"))
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><rdf:Description tiff:Orientation=\"8\"/></x:xmpmeta>"
    yield "xmp_8", insert(small, 0xE1, xmp)
    yield "exif_damaged", insert(small, 0xE1, b"Exif\0\0" + exif(6)[:10])


def scan_script():
    path = OUT / "scans.tmp"
    path.write_text("0;\n1;\n2;\n")
    return path


# ---- expectations ------------------------------------------------------------------------------

def decoded(name, suffix, data):
    file = f"{name}.{suffix}"
    (OUT / file).write_bytes(data)
    row = {"file": file}
    with Image.open(io.BytesIO(data)) as im:
        row["mode"] = im.mode
        rgb = np.array(im.convert("RGB"))
        row["stored"] = list(rgb.shape[:2])
        row["rgb"] = keep(rgb)
    if "exif" in name or "xmp" in name:
        with Image.open(io.BytesIO(data)) as im:
            try:
                turned = np.array(ImageOps.exif_transpose(im).convert("RGB"))
            except Exception:  # PIL gives up on a damaged block
                turned = rgb
            row["turned"] = keep(turned)
            row["turned_size"] = list(turned.shape[:2])
    if name in ("palette_alpha", "grey_key", "rgb_key", "rgba_ramp", "c4_8", "c6_16"):
        with Image.open(io.BytesIO(data)) as im:
            rgba = im.convert("RGBA")
            white = Image.new("RGBA", im.size, (255, 255, 255, 255))
            row["rgba"] = keep(np.array(rgba))
            row["on_white"] = keep(np.array(Image.alpha_composite(white, rgba).convert("RGB")))
    return row


PAIRS = [((16, 16), (16, 16)), ((17, 23), (8, 11)), ((17, 23), (31, 40)), ((1, 1), (5, 7)), ((5, 7), (1, 1)),
         ((1, 9), (4, 3)), ((9, 1), (2, 6)), ((13, 29), (13, 11)), ((29, 13), (12, 13)), ((40, 30), (7, 5)),
         ((3, 2), (20, 17)), ((64, 48), (23, 37)), ((2, 3), (3, 2))]
LARGE = [((480, 640), (256, 341)), ((333, 500), (224, 224)), ((240, 321), (518, 700)), ((1000, 3), (10, 700)),
         ((2, 1999), (7, 13)), ((768, 1024), (14, 14)), ((90, 60), (31, 30)), ((90, 60), (30, 30)), ((90, 60), (29, 30))]


def torch_u8(a, size, mode):
    t = torch.from_numpy(a).permute(2, 0, 1)[None]
    extra = {} if mode == "nearest-exact" else {"antialias": True, "align_corners": False}
    if tuple(t.shape[-2:]) == tuple(size):
        return a
    return torch.nn.functional.interpolate(t, size=list(size), mode=mode, **extra)[0].permute(1, 2, 0).numpy()


def resized_images():
    pil = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}
    for pairs, large in ((PAIRS, False), (LARGE, True)):
        for old, new in pairs:
            for f in ("nearest", "bilinear", "bicubic", "lanczos"):
                for kind in ("pil", "torch"):
                    # torch takes other ways for one channel than for three.
                    for channels in (3, 1) if not large else (3,):
                        a = noise((*old, channels))
                        if kind == "torch":
                            r = torch_u8(a, new, "nearest-exact" if f == "nearest" else f)
                        elif channels == 3:
                            r = np.array(Image.fromarray(a).resize((new[1], new[0]), pil[f]))
                        else:
                            r = np.array(Image.fromarray(a[..., 0]).resize((new[1], new[0]), pil[f]))
                        row = {"kernel": f"{kind}_{f}", "from": old, "to": new, "channels": channels}
                        row["crc"] = zlib.crc32(np.ascontiguousarray(r).tobytes())
                        if channels == 3 and old in ((17, 23), (3, 2)):
                            row["pixels"] = keep(r)
                        yield row


def resized_planes():
    modes = {"antialias_bilinear": ("bilinear", True), "antialias_bicubic": ("bicubic", True),
             "bilinear": ("bilinear", False), "bicubic": ("bicubic", False), "nearest": ("nearest", None)}
    def one(old, new, kernel, factor):
        mode, antialias = modes[kernel]
        t = torch.from_numpy(noise((2, *old)).astype(np.float32) / 16 - 8)[None]
        extra = {} if antialias is None else {"antialias": antialias, "align_corners": False}
        if factor:
            r = torch.nn.functional.interpolate(t, scale_factor=factor, mode=mode, recompute_scale_factor=False, **extra)
        else:
            r = torch.nn.functional.interpolate(t, size=list(new), mode=mode, **extra)
        row = {"kernel": kernel, "from": old, "to": list(r.shape[-2:]), "values": keep(r[0, :1 if not factor else 2].numpy())}
        if factor:
            row["factor"] = factor
        return row
    for kernel in modes:
        for old, new in PAIRS + [((10, 200), (3, 140)), ((10, 200), (3, 90))]:  # torch changes kernels at 128
            yield one(old, new, kernel, None)
        if modes[kernel][1]:
            # torch 2.15 confuses samples where a result of another height is one pixel wide; PIL's floats do not.
            for old, new in (((8, 5), (3, 1)), ((6, 1), (7, 1))):
                f = Image.fromarray(noise((2, *old)).astype(np.float32)[0] / 16 - 8)
                r = np.array(f.resize((new[1], new[0]), {"bilinear": 2, "bicubic": 3}[modes[kernel][0]]))
                yield {"kernel": kernel, "from": old, "to": new, "values": keep(r)}
        # The "+0.1" of DINOv2's position tables.
        for old, factor in (((6, 6), ((9 + 0.1) / 6, (4 + 0.1) / 6)), ((5, 7), ((16 + 0.1) / 5, (7 + 0.1) / 7)),
                            ((4, 3), ((8 + 0.9) / 4, (6 + 0.9) / 3))):
            yield one(old, None, kernel, factor)


def processors():
    import transformers
    base = {"do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}
    imagenet = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    cases = [
        ("Bit", {**base, **imagenet, "do_resize": True, "size": {"shortest_edge": 12}, "resample": 3, "do_center_crop": True,
                 "crop_size": {"height": 9, "width": 8}}, [(20, 31), (31, 20), (7, 5)]),
        ("CLIP", {**base, "do_resize": True, "size": {"shortest_edge": 8}, "crop_size": {"height": 11, "width": 13}},
         [(20, 31), (9, 9)]),
        ("ViT", {**base, "do_resize": True, "size": {"height": 7, "width": 10}, "resample": 2}, [(20, 31)]),
        ("ViT", {"do_resize": False, "do_rescale": True, "rescale_factor": 0.00392156862745098, "do_normalize": False}, [(6, 5)]),
        ("ViT", {"do_resize": False, "do_rescale": False, "do_normalize": True, **imagenet}, [(6, 5)]),
        ("ViT", {"size": 6, "resample": 0}, [(11, 17)]),
        ("Siglip", {"size": 6, "resample": 1, "do_pad": True, "pad_size": {"height": 12, "width": 13}}, [(8, 11)]),
        ("DeiT", {"size": 9, "crop_size": 7, "do_convert_rgb": None}, [(15, 14)]),
    ]
    for name, config, sizes in cases:
        for tail in ("", "Pil"):
            kind = getattr(transformers, f"{name}ImageProcessor{tail}", None)
            if kind is None:
                kind = getattr(__import__(f"transformers.models.{name.lower()}.image_processing_pil_{name.lower()}",
                                          fromlist=["x"]), f"{name}ImageProcessor{tail}")
            for size in sizes:
                p = kind(**config)
                out = p(Image.fromarray(noise((*size, 3))), return_tensors="np" if tail else "pt")["pixel_values"][0]
                out = np.asarray(out, dtype=np.float32)
                yield {"config": {**config, "image_processor_type": f"{name}ImageProcessor{tail}"}, "from": size,
                       "shape": list(out.shape), "values": keep(out)}


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    torch.set_num_threads(1)
    table = {
        "decode": [decoded(n, "png", d) for n, d in png_files()] + [decoded(n, "jpg", d) for n, d in jpeg_files()],
        "images": list(resized_images()),
        "planes": list(resized_planes()),
        "processors": list(processors()),
    }
    (OUT / "scans.tmp").unlink()
    (OUT / "images.bin").write_bytes(blob)
    rows = ",\n".join(json.dumps(k) + ": [\n" + ",\n".join(json.dumps(r, separators=(",", ":")) for r in v) + "\n]" for k, v in table.items())
    (OUT / "images.json").write_text("{\n" + rows + "\n}\n")
    print(sum(f.stat().st_size for f in OUT.iterdir()), "bytes")


if __name__ == "__main__":
    main()

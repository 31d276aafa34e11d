#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-only
"""Encoders of rlx against onnxruntime and torch, in turn on the same machine.

  benchmarks/compare_encoders.py --text MODEL_DIR [--rounds 5] [--threads 2] [--rows minilm-32x128,...]
                                 [--tier avx2] [--build build/release]

MODEL_DIR is a checkpoint of all-MiniLM-L6-v2. DINOv2-S and -B are made with random weights in their real
shapes. Needs torch, transformers, onnx and onnxruntime, for this script only. With --tier avx2 rlx is limited
to that tier, and torch, whose libraries can be limited, runs a second time limited to AVX2 ("torch avx2");
onnxruntime has no such switch. Every round runs each contestant once on each row, the order turning; a
contestant's figure of a round is the median of its repeated steps. Printed: per row the median over the rounds
and the least single step, in milliseconds, and the ratio of the better f32 peer's median to rlx's. Processor
seconds per step (user and system, all threads) stand beside, because neighbours lengthen wall time; threads
that wait by spinning count too.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS = {
    "minilm-1x16": ("minilm", 1, 16, 60),
    "minilm-1x128": ("minilm", 1, 128, 20),
    "minilm-32x128": ("minilm", 32, 128, 3),
    "dinov2-s-224": ("dinov2-s", 1, 224, 15),
    "dinov2-s-518": ("dinov2-s", 1, 518, 3),
    "dinov2-b-224": ("dinov2-b", 1, 224, 7),
    "dinov2-b-518": ("dinov2-b", 1, 518, 2),
}
SHAPES = {"dinov2-s": (384, 6), "dinov2-b": (768, 12)}
LIMITS = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}


def make_dinov2(folder, hidden, heads):
    import torch
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(1)
    config = Dinov2Config(hidden_size=hidden, num_hidden_layers=12, num_attention_heads=heads, image_size=518)
    model = Dinov2Model(config).eval()
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() > 1:
                p.normal_(0, 0.02)
    model.save_pretrained(folder)


def load_torch(folder):
    import torch
    from transformers import AutoModel

    class hidden_state(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, x, mask=None):
            if x.dtype == torch.int64:
                return self.model(input_ids=x, attention_mask=mask).last_hidden_state
            return self.model(pixel_values=x).last_hidden_state

    return hidden_state(AutoModel.from_pretrained(folder, dtype=torch.float32)).eval()


def inputs(model, batch, size):
    import torch

    torch.manual_seed(2)
    if model == "minilm":
        ids = torch.full((batch, size), 2023)
        return ids, torch.ones_like(ids)
    return (torch.rand(batch, 3, size, size) * 4 - 2,)


def export(folder, model, batch, size, path):
    """One file per row: its shape is fixed, which only helps the peer."""
    import torch

    torch.onnx.export(load_torch(folder), inputs(model, batch, size), path, dynamo=True, opset_version=20)


def peer(kind, threads):
    """A process that answers each line {"row", "folder", "onnx"} with its times."""
    import torch

    torch.set_num_threads(threads)
    known = {}
    for line in sys.stdin:
        job = json.loads(line)
        model, batch, size, steps = ROWS[job["row"]]
        if job["row"] not in known:
            x = inputs(model, batch, size)
            if kind == "onnxruntime":
                import onnxruntime

                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = threads
                session = onnxruntime.InferenceSession(job["onnx"], options, providers=["CPUExecutionProvider"])
                feed = {i.name: v.numpy() for i, v in zip(session.get_inputs(), x)}
                known[job["row"]] = lambda s=session, f=feed: s.run(None, f)
            else:
                net = known.setdefault(job["folder"], None) or load_torch(job["folder"])
                known[job["folder"]] = net
                known[job["row"]] = lambda n=net, v=x: n(*v)
        call = known[job["row"]]
        narrow = torch.autocast("cpu", dtype=torch.bfloat16, enabled=kind == "torch-bf16")
        with torch.inference_mode(), narrow:
            call()
            times = []
            cpu = time.process_time()
            for _ in range(steps):
                begin = time.perf_counter()
                call()
                times.append(1e3 * (time.perf_counter() - begin))
            cpu = 1e3 * (time.process_time() - cpu) / steps
        print(json.dumps({"ms": statistics.median(times), "least": min(times), "cpu": cpu}), flush=True)


class contestant:
    def __init__(self, name, command, env):
        self.name = name
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env, text=True)

    def run(self, row, folder, onnx):
        self.process.stdin.write(json.dumps({"row": row, "folder": str(folder), "onnx": str(onnx)}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended while running {row}")
        return json.loads(line)


class rlx:
    def __init__(self, name, bench, compute, tier, threads):
        self.name, self.bench, self.compute = name, bench, compute
        self.env = dict(os.environ, RLX_THREADS=str(threads))
        self.env.pop("RLX_CPU", None)
        if tier:
            self.env["RLX_CPU"] = tier

    def run(self, row, folder, onnx):
        model, batch, size, steps = ROWS[row]
        what = [str(batch), str(size)] if model == "minilm" else ["image", str(size)]
        out = subprocess.run(
            [self.bench, folder, *what, str(steps), self.compute], env=self.env, capture_output=True, text=True)
        if out.returncode != 0:
            return {"error": out.stderr.strip()}
        least, median, cpu, *rest = out.stdout.split()
        return {"ms": float(median), "least": float(least), "cpu": float(cpu), "ran": " ".join(rest)}


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--peer":
        return peer(sys.argv[2], int(sys.argv[3]))
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--text", required=True)
    args.add_argument("--rounds", type=int, default=5)
    args.add_argument("--threads", type=int, default=2)
    args.add_argument("--rows", default=",".join(ROWS))
    args.add_argument("--tier", default="")
    args.add_argument("--build", default=Path(__file__).resolve().parent.parent / "build/release", type=Path)
    o = args.parse_args()
    rows = o.rows.split(",")

    def probe():
        out = subprocess.run([o.build / "bin/matmul_bench", "--threads", str(o.threads), "--dtype", "none"],
                             capture_output=True, text=True).stdout
        print(out, end="", flush=True)

    probe()
    with tempfile.TemporaryDirectory() as work:
        folders = {"minilm": Path(o.text)}
        for name, (hidden, heads) in SHAPES.items():
            if any(ROWS[r][0] == name for r in rows):
                folders[name] = Path(work) / name
                make_dinov2(folders[name], hidden, heads)
        onnx = {r: Path(work) / f"{r}.onnx" for r in rows}
        for r in rows:
            export(folders[ROWS[r][0]], *ROWS[r][:3], onnx[r])
        bench = o.build / "benchmarks/encoder_bench"
        here = [sys.executable, __file__, "--peer"]
        all_env = dict(os.environ)
        team = [rlx("rlx f32", bench, "f32", o.tier, o.threads)]
        if not o.tier:
            team.append(rlx("rlx bf16", bench, "bf16", "", o.threads))
        team.append(contestant("torch", [*here, "torch", str(o.threads)], all_env))
        team.append(contestant("onnxruntime", [*here, "onnxruntime", str(o.threads)], all_env))
        if o.tier == "avx2":
            team.append(contestant("torch avx2", [*here, "torch", str(o.threads)], dict(all_env, **LIMITS)))
        else:
            team.append(contestant("torch bf16", [*here, "torch-bf16", str(o.threads)], all_env))
        found = {(r, c.name): [] for r in rows for c in team}
        for i in range(o.rounds):
            for r in rows:
                for c in team[i % len(team):] + team[:i % len(team)]:
                    found[r, c.name].append(c.run(r, folders[ROWS[r][0]], onnx[r]))
            print(f"round {i + 1} of {o.rounds} done", file=sys.stderr, flush=True)
        report(rows, [c.name for c in team], found)
    probe()


def report(rows, names, found):
    print(f"{'row':<15}{'':<13}{'median':>9}{'least':>9}{'cpu ms':>9}  better f32 peer / this")
    for r in rows:
        mid = {}
        for n in names:
            runs = found[r, n]
            if "error" in runs[0]:
                print(f"{r:<15}{n:<13}  {runs[0]['error']}")
                continue
            mid[n] = statistics.median(x["ms"] for x in runs)
        best = min((mid[n], n) for n in ("torch", "onnxruntime") if n in mid)
        for n in mid:
            runs = found[r, n]
            note = f"{best[0] / mid[n]:.2f}" + (f" ({best[1]})" if n.startswith("rlx") else "")
            if n.startswith("rlx") and "torch avx2" in mid:
                note += f", torch avx2 / this {mid['torch avx2'] / mid[n]:.2f}"
            print(f"{r:<15}{n:<13}{mid[n]:>9.2f}{min(x['least'] for x in runs):>9.2f}"
                  f"{statistics.median(x['cpu'] for x in runs):>9.1f}  {note}  {runs[0].get('ran', '')}")


if __name__ == "__main__":
    main()

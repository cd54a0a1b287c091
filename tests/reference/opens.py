#!/usr/bin/env python3
"""Whether other tools open what Anemone writes.

    python3 -P tests/reference/opens.py ANEMONE

trains tests/data/models/* for a few steps with the given program, opens each
run folder in transformers and compares the mean loss over the same windows
(fp32, 1e-4 relative; the same weights and ids are the same loss); exports, and
reads every tensor of the GGUF with the gguf package, against the run's own.
When LLAMA2C=path/to/run or LLAMA_CPP=path/to/llama-cli is in the environment,
these open what is exported too (their tokenizers must be given beside).
Needs torch, transformers, safetensors, gguf.
"""
import json
import os
import subprocess
import sys
import tempfile
import gguf
import numpy as np
import torch
import transformers
from safetensors.torch import load_file

anemone = os.path.abspath(sys.argv[1])
data = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "data"))
SEQUENCE = 16


def run(*words):
    return subprocess.run([anemone, *words], check=True, capture_output=True,
                          text=True).stdout


def loss_of(model, ids):
    n = (len(ids) - 1) // SEQUENCE
    x = torch.tensor(ids[:n * SEQUENCE]).reshape(n, SEQUENCE)
    y = torch.tensor(ids[1:n * SEQUENCE + 1]).reshape(-1)
    with torch.no_grad():
        logits = model(x).logits.float()
    return torch.nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), y).item()


def check_transformers(name, ids):
    got = json.loads(run("eval", "--checkpoint", name, "--data", "ids.bin",
                         "--seq", str(SEQUENCE), "--engine", "cpu", "--json"))
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        name, output_loading_info=True, dtype=torch.float32)
    bad = [k for k in ("missing_keys", "unexpected_keys", "mismatched_keys")
           if info[k]]
    assert not bad, (name, info)
    want = loss_of(model.eval(), ids)
    error = abs(got["loss"] - want) / want
    print(f"{name}: loss {got['loss']:.6f}, transformers {want:.6f}")
    assert error < 1e-4, error


def unpermute(x, heads):
    rows = x.shape[0]
    return x.reshape(heads, rows // heads // 2, 2, *x.shape[1:]).swapaxes(
        1, 2).reshape(x.shape)


def check_gguf(name, kind):
    out = f"{name}-{kind}.gguf"
    run("export", "--checkpoint", name, "--to", "gguf", "--dtype", kind,
        "--out", out)
    reader = gguf.GGUFReader(out)
    arch = reader.fields["general.architecture"].contents()
    ours = load_file(os.path.join(name, "model.safetensors"))
    blocks = reader.fields[arch + ".block_count"].contents()
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH_NAMES and {
        v: k for k, v in gguf.MODEL_ARCH_NAMES.items()}[arch], blocks)
    tensors = {t.name: t for t in reader.tensors}
    assert len(tensors) == len(ours), (len(tensors), len(ours))
    worst = 0.0
    for key, want in ours.items():
        base, suffix = key.rsplit(".", 1)
        t = tensors[names.get_name(base) + "." + suffix]
        got = gguf.quants.dequantize(t.data, t.tensor_type)
        want = want.float().numpy()
        if arch == "gpt2" and ".h." in key and want.ndim == 2:
            want = want.T
        if arch == "llama" and (".q_proj." in key or ".k_proj." in key):
            q = ".q_proj." in key
            heads = reader.fields[f"{arch}.attention.head_count"
                                  + ("" if q else "_kv")].contents()
            got = unpermute(got, heads)
        got = got.reshape(want.shape)
        worst = max(worst, float(np.abs(got - want).max() / np.abs(want).max()))
    print(f"{out}: {len(tensors)} tensors, within {worst:.2g}")
    assert worst <= {"f32": 0, "f16": 6e-4, "bf16": 4e-3, "q8_0": 5e-3}[kind]


def check_programs(name):
    if "LLAMA2C" in os.environ:
        run("export", "--checkpoint", name, "--to", "llama2c", "--out", "a.bin")
        print(subprocess.run([os.environ["LLAMA2C"], "a.bin", "-n", "8", "-z",
                              os.environ["LLAMA2C_TOKENIZER"]], check=True,
                             capture_output=True, text=True).stdout)
    if "LLAMA_CPP" in os.environ:
        subprocess.run([os.environ["LLAMA_CPP"], "-m", f"{name}-f32.gguf",
                        "-n", "8", "-p", "a"], check=True)


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    ids = [(i * i + 3 * i) % 13 + 1 for i in range(400)]
    np.array(ids, np.uint16).tofile("ids.bin")
    for name in ("llama2", "llama3", "linear", "mistral", "qwen2", "qwen3",
                 "gpt2"):
        run("train", "--init", os.path.join(data, "models", name), "--data",
            "ids.bin", "--out", name, "--steps", "4", "--batch", "2", "--seq",
            "12", "--lr", "0.01", "--sample-every", "0", "--engine", "cpu",
            "--quiet")
        check_transformers(name, ids)
        if name != "llama3":
            for kind in ("f32", "f16", "bf16"):
                check_gguf(name, kind)
    run("export", "--checkpoint", os.path.join(data, "weights", "blocks"),
        "--to", "safetensors", "--out", "blocks")
    check_transformers("blocks", ids)
    for kind in ("f32", "q8_0"):
        check_gguf("blocks", kind)
    check_programs("llama2")

#!/usr/bin/env python3
"""Whether other tools open what Anemone writes, and read the same model in it.

    python3 -P tests/reference/opens.py ANEMONE

trains every model of tests/data/models for a few steps with the given program
and opens the run folder in transformers: every logit of every token agrees
(fp32, 1e-4 relative, beside 1e-6 of the largest for those near 0). Trains with
every tokenizer of tests/data/tokenizers that has a form as tokenizer.json: the
run folder's AutoTokenizer gives the ids of `anemone data encode`, and decodes
as it does. Exports, and reads every tensor of the GGUF with the gguf package,
against the run's own. Needs torch, transformers, safetensors, gguf.
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


def logits_of(model, ids):
    n = (len(ids) - 1) // SEQUENCE
    x = torch.tensor(ids[:n * SEQUENCE]).reshape(n, SEQUENCE)
    with torch.no_grad():
        return model(x).logits.float().numpy().reshape(n * SEQUENCE, -1)


def check_transformers(name, ids):
    run("eval", "--checkpoint", name, "--data", "ids.bin", "--seq",
        str(SEQUENCE), "--engine", "cpu", "--logits", "ours.npy")
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        name, output_loading_info=True, dtype=torch.float32)
    bad = [k for k in ("missing_keys", "unexpected_keys", "mismatched_keys")
           if info[k]]
    assert not bad, (name, info)
    got, want = np.load("ours.npy"), logits_of(model.eval(), ids)
    assert got.shape == want.shape, (name, got.shape, want.shape)
    error = np.abs(got - want)
    largest = np.abs(want).max()
    over = (error / (1e-4 * np.abs(want) + 1e-6 * largest)).max()
    print(f"{name}: {want.size} logits, the worst off by "
          f"{error.max() / largest:.1e} of the largest, "
          f"{over:.2g} of what is allowed")
    assert over <= 1, (name, over)


TEXTS = ["Hello world  it's 12345!", " leading  spaces\n\n\tand a tab",
         "\u65e5\u672c\u8a9e emoji \U0001f600 \u00e9 e\u0301 \u00df",
         "<s> a </s>", "<|endoftext|>abc", "  ", "na\u00efve's  don't WE'LL",
         "\u0e20\u0e32\u0e29\u0e32 \u0627\u0644\u0644\u063a\u0629 "
         "\u05e9\u05dc\u05d5\u05dd", "for (i = 0; i < 10; i++)\r\n\t{x();}"]


def check_tokenizer(name):
    """With both, what is beside the text (BOS) is another's to add."""
    folder = "run-" + name
    with open("tokens.json", "w") as f:
        json.dump(dict(model_type="llama", hidden_size=32,
                       intermediate_size=64, num_hidden_layers=1,
                       num_attention_heads=2, num_key_value_heads=1,
                       max_position_embeddings=16, vocab_size=1200,
                       rms_norm_eps=1e-5, rope_theta=1e4,
                       tie_word_embeddings=True), f)
    with open("text", "w") as f:
        f.write("some words and 123 more of them; " * 200)
    path = os.path.join(data, "tokenizers", name)
    run("train", "--data", "text", "--model", "tokens.json", "--out", folder,
        "--tokenizer", path if os.path.exists(path) else name, "--steps", "1",
        "--sample-every", "0", "--engine", "cpu", "--quiet")
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    for text in TEXTS:
        ours = [int(i) for i in run(
            "data", "encode", "--tokenizer", os.path.join(
                folder, "tokenizer.json"), "--text", text).split()]
        ids = theirs(text, add_special_tokens=False)["input_ids"]
        assert ours == ids, (name, text, ours, ids)
    print(f"{folder}: {len(TEXTS)} texts, the same ids")


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
    for name in ("gpt2.json", "llama3.json", "qwen2.json", "smollm.json",
                 "metaspace.json", "bpe.model", "bpe.bin", "bpe.gguf", "gpt2",
                 "ranks.tiktoken", "bytes"):
        check_tokenizer(name)

#!/usr/bin/env python3
"""Checks that PEFT opens what a LoRA run writes, and computes our logits.

    python3 -P tests/reference/lora_opens.py build/anemone

For Llama's kin and GPT-2 (tests/data/models): trains adapters for three steps,
opens the run folder with peft over the base model, and compares the logits of
ids with those of `anemone eval --logits`, and merge_and_unload's weights with
those of `anemone export --merge`. Prints the largest differences as shares of
the largest element. Needs torch, transformers, peft, safetensors, numpy.
"""
import os
import subprocess
import sys
import tempfile
import numpy as np
import torch
import transformers as tf
from peft import PeftModel
from safetensors.torch import load_file

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def run(*arguments):
    subprocess.run([str(a) for a in arguments], check=True,
                   stdout=subprocess.DEVNULL)


def share(a, b):
    return float((a - b).abs().max() / b.abs().max())


def check(anemone, name, targets, folder):
    base = os.path.abspath(os.path.join(ROOT, "tests", "data", "models", name))
    ids = np.random.default_rng(1).integers(0, 48, 600).astype("<u2")
    data, out = os.path.join(folder, "ids.u16"), os.path.join(folder, name)
    ids.tofile(data)
    run(anemone, "train", "--data", data, "--init", base, "--tokenizer", "bytes",
        "--lora", 4, "--lora-targets", targets, "--seq", 12, "--steps", 3,
        "--batch", 2, "--lr", 0.05, "--engine", "cpu", "--quiet", "--out", out)
    logits = os.path.join(folder, name + ".npy")
    run(anemone, "eval", "--checkpoint", out, "--data", data, "--seq", 12,
        "--engine", "cpu", "--logits", logits)
    model = PeftModel.from_pretrained(
        tf.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), out)
    model.eval()
    ours = torch.from_numpy(np.load(logits))
    rows = ours.shape[0] // 12
    batch = torch.from_numpy(ids[:rows * 12].astype("int64")).reshape(rows, 12)
    with torch.no_grad():
        theirs = model(batch).logits.reshape(rows * 12, -1)
        plain = model.get_base_model()
        with model.disable_adapter():
            without = plain(batch).logits.reshape(rows * 12, -1)
    merged_folder = os.path.join(folder, name + "-merged")
    run(anemone, "export", "--checkpoint", out, "--merge", "--to",
        "safetensors", "--out", merged_folder)
    merged = model.merge_and_unload().state_dict()
    weights = max(share(tensor, merged[key].float()) for key, tensor in load_file(
        os.path.join(merged_folder, "model.safetensors")).items())
    print(f"{name} {targets}: logits {share(ours[:rows * 12], theirs):.2g} "
          f"(without adapters {share(without, theirs):.2g}), "
          f"merged weights {weights:.2g}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        for name, targets in (("llama3", "q_proj,v_proj"),
                              ("qwen2", "all-linear"),
                              ("qwen3", "k_proj,down_proj"),
                              ("gpt2", "c_attn,c_proj,c_fc")):
            check(os.path.abspath(sys.argv[1]), name, targets, scratch)

#!/usr/bin/env python3
"""Whether llama2.c's readers take the model.bin that Anemone writes.

    python3 -P tests/reference/llama2c.py ANEMONE

exports two models of tests/data (classifier shared and not) and lets llama2_py,
which is llama2.c's run.c line by line in Python, compute the logits after each
token from the file: they agree with those of `anemone eval` within 1e-5 of the
largest. With LLAMA2C=path/to/run in the environment, that program continues the
beginning-of-text token by the likeliest ones, and must write what `anemone
generate` does. Needs numpy and llama2-py (its version 0.0.6 reads no grouped
queries).
"""
import os
import struct
import subprocess
import sys
import tempfile
import llama2_py
import numpy as np

anemone = os.path.abspath(sys.argv[1])
data = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "data"))
SEQUENCE = 16


def run(*words):
    return subprocess.run([*words], check=True, capture_output=True).stdout


def open_file(path):
    with open(path, "rb") as f:
        sizes = list(struct.unpack("7i", f.read(28)))
        shared, sizes[5] = sizes[5] > 0, abs(sizes[5])
        config = llama2_py.Config(*sizes)
        weights = llama2_py.TransformerWeights()
        llama2_py.checkpoint_init_weights(weights, config, f, shared,
                                          os.path.getsize(path))
    return config, weights


def logits_of(path, windows):
    config, weights = open_file(path)
    rows = []
    for window in windows:
        state = llama2_py.RunState()
        llama2_py.init_run_state(state, config)
        for position, token in enumerate(window):
            llama2_py.transformer(token, position, config, state, weights)
            rows.append(list(state.logits))
    return np.array(rows)


def check(folder):
    out = os.path.basename(folder) + ".bin"
    run(anemone, "export", "--checkpoint", folder, "--to", "llama2c", "--out",
        out)
    run(anemone, "eval", "--checkpoint", folder, "--data", "ids.bin", "--seq",
        str(SEQUENCE), "--engine", "cpu", "--logits", "ours.npy")
    ours = np.load("ours.npy")
    windows = np.fromfile("ids.bin", np.uint16)[:len(ours)]
    theirs = logits_of(out, windows.reshape(-1, SEQUENCE).tolist())
    error = np.abs(ours - theirs).max() / np.abs(ours).max()
    print(f"{out}: {ours.size} logits, the worst off by {error:.1e} of the "
          "largest")
    assert ours.shape == theirs.shape and error <= 1e-5, (out, error)
    return out, theirs.shape[1]


def write_tokenizer(n):
    """Every id but the first three is a word of its own."""
    with open("tokenizer.bin", "wb") as f:
        f.write(struct.pack("<I", 8))
        for i in range(n):
            text = ["<unk>", "\n<s>\n", "\n</s>\n"][i] if i < 3 else f"<{i}>"
            f.write(struct.pack("<fI", -i, len(text)) + text.encode())


def check_program(path, vocabulary, program):
    write_tokenizer(vocabulary)
    tokens = 12
    theirs = run(program, path, "-t", "0", "-n", str(tokens + 1), "-z",
                 "tokenizer.bin").strip()
    ours = run(anemone, "generate", "--checkpoint", path, "--tokenizer",
               "tokenizer.bin", "--temperature", "0", "--tokens", str(tokens),
               "--engine", "cpu", "--quiet").strip()
    print(f"{path}: {theirs.decode()}")
    assert len(theirs) > 0 and ours == theirs, (ours, theirs)


with tempfile.TemporaryDirectory() as work:
    os.chdir(work)
    np.array([(i * i + 3 * i) % 13 + 1 for i in range(161)],
             np.uint16).tofile("ids.bin")
    for folder in ("models/llama2", "weights/pairs"):
        exported, vocabulary = check(os.path.join(data, folder))
        if "LLAMA2C" in os.environ:
            check_program(exported, vocabulary,
                          os.path.abspath(os.environ["LLAMA2C"]))

#!/usr/bin/env python3
"""Whether llama.cpp reads the GGUF that Anemone writes as the same model.

    python3 -P tests/reference/llama_cpp.py ANEMONE [MODEL...]

exports models of tests/data (or the given folders) to GGUF in every type, lets
llama.cpp compute the logits after each token, on one thread with a KV cache of
fp32, and compares them with those of `anemone eval` of the same file: elements
and the tokens that are likeliest. Then trains with the tokenizers of tests/data,
exports, and compares the ids that llama.cpp's tokenizer in the file gives. llama.cpp multiplies f16, bf16 and q8_0
matrices by activations rounded alike, Anemone by fp32 ones; the tolerances are
of that. Needs numpy and llama-cpp-py-sync, whose wheel holds llama.cpp's
library, or another build of it of about that time in LLAMA_CPP_LIB (such as
xllamacpp's, where glibc is older than 2.38).
"""
import json
import os
import subprocess
import sys
import tempfile
import numpy as np
from llama_cpp_py_sync.llama import get_ffi, get_lib

anemone = os.path.abspath(sys.argv[1])
data = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "data"))
ffi = get_ffi()
library = os.environ.get("LLAMA_CPP_LIB")
lib = ffi.dlopen(library) if library else get_lib()
SEQUENCE = 16
# Of the largest logit. Rounding of activations: 2^-11, 2^-8, 1/254 of a block's
# largest; two layers of some six products each add up.
TOLERANCE = {"f32": 1e-5, "f16": 5e-3, "bf16": 4e-2, "q8_0": 4e-2}
# ggml takes gelu from a table over fp16.
TABLE = {"gpt2": 2e-3}


@ffi.callback("void(enum ggml_log_level, const char *, void *)")
def log(level, text, _):
    if level == lib.GGML_LOG_LEVEL_ERROR:
        sys.stderr.write(ffi.string(text).decode())


def run(*words):
    subprocess.run([anemone, *words], check=True, stdout=subprocess.DEVNULL)


def decode(context, vocabulary, ids):
    """Logits [len(ids), V] of one sequence."""
    batch = lib.llama_batch_init(len(ids), 0, 1)
    batch.n_tokens = len(ids)
    for i, token in enumerate(ids):
        batch.token[i], batch.pos[i], batch.logits[i] = token, i, 1
        batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
    lib.llama_memory_clear(lib.llama_get_memory(context), True)
    assert lib.llama_decode(context, batch) == 0
    rows = [np.frombuffer(ffi.buffer(lib.llama_get_logits_ith(context, i),
                                     4 * vocabulary), np.float32).copy()
            for i in range(len(ids))]
    lib.llama_batch_free(batch)
    return np.stack(rows)


def logits_of(path, windows):
    model = lib.llama_model_load_from_file(
        path.encode(), lib.llama_model_default_params())
    assert model != ffi.NULL, f"llama.cpp does not read {path}"
    p = lib.llama_context_default_params()
    p.n_ctx, p.n_batch, p.n_ubatch = 64, SEQUENCE, SEQUENCE
    p.n_threads = p.n_threads_batch = 1
    p.type_k = p.type_v = 0
    p.flash_attn_type = 0
    context = lib.llama_init_from_model(model, p)
    assert context != ffi.NULL, path
    vocabulary = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))
    rows = np.concatenate([decode(context, vocabulary, w) for w in windows])
    lib.llama_free(context)
    lib.llama_model_free(model)
    return rows


def check(folder, kind):
    name = os.path.basename(folder)
    out = f"{name}-{kind}.gguf"
    run("export", "--checkpoint", folder, "--to", "gguf", "--dtype", kind,
        "--out", out)
    run("eval", "--checkpoint", out, "--data", "ids.bin", "--seq",
        str(SEQUENCE), "--engine", "cpu", "--logits", "ours.npy")
    ours = np.load("ours.npy")
    windows = np.fromfile("ids.bin", np.uint16)[:len(ours)]
    theirs = logits_of(out, windows.reshape(-1, SEQUENCE).tolist())
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    error = np.abs(ours - theirs).max() / np.abs(ours).max()
    same = (ours.argmax(1) == theirs.argmax(1)).mean()
    print(f"{out}: {ours.size} logits, the worst off by {error:.1e} of the "
          f"largest, the likeliest token the same {100 * same:.1f} %")
    assert error <= TOLERANCE[kind] + TABLE.get(name, 0), (out, error)
    assert same >= (1 if kind == "f32" else 0.9), (out, same)


TEXTS = ["Hello world  it's 12345!", " leading  spaces\n\n\tand a tab",
         "\u65e5\u672c\u8a9e emoji \U0001f600 \u00e9 \u00df", "<s> a </s>",
         "<|endoftext|>abc", "  ", "na\u00efve's  don't WE'LL",
         "for (i = 0; i < 10; i++)\r\n\t{x();}"]


def ids_of(vocabulary, text):
    room = ffi.new("llama_token[]", 400)
    data = text.encode()
    n = lib.llama_tokenize(vocabulary, data, len(data), room, 400, False, True)
    assert n >= 0, text
    return list(room[0:n])


def check_tokenizer(name):
    with open("tokens.json", "w") as f:
        json.dump(dict(model_type="llama", hidden_size=32, intermediate_size=64,
                       num_hidden_layers=1, num_attention_heads=2,
                       num_key_value_heads=1, max_position_embeddings=16,
                       vocab_size=1200, rms_norm_eps=1e-5, rope_theta=1e4,
                       tie_word_embeddings=True), f)
    with open("text", "w") as f:
        f.write("some words and 123 more of them; " * 200)
    path, out = os.path.join(data, "tokenizers", name), name + ".gguf"
    run("train", "--data", "text", "--model", "tokens.json", "--out",
        "run-" + name, "--tokenizer", path, "--steps", "1", "--sample-every",
        "0", "--engine", "cpu", "--quiet")
    run("export", "--checkpoint", "run-" + name, "--to", "gguf", "--out", out)
    p = lib.llama_model_default_params()
    p.vocab_only = True
    model = lib.llama_model_load_from_file(out.encode(), p)
    assert model != ffi.NULL, f"llama.cpp does not read {out}"
    vocabulary = lib.llama_model_get_vocab(model)
    assert lib.llama_vocab_type(vocabulary) != 0, f"no tokenizer in {out}"
    differ = 0
    for text in TEXTS:
        ours = [int(i) for i in subprocess.run(
            [anemone, "data", "encode", "--tokenizer",
             f"run-{name}/tokenizer.json", "--text", text],
            check=True, capture_output=True, text=True).stdout.split()]
        theirs = ids_of(vocabulary, text)
        if ours != theirs:
            differ += 1
            print(f"{out}: {text!r}: ours {ours}, llama.cpp {theirs}")
    lib.llama_model_free(model)
    print(f"{out}: {len(TEXTS) - differ} of {len(TEXTS)} texts, the same ids")
    return differ


lib.llama_log_set(log, ffi.NULL)
lib.llama_backend_init()
kinds = {"llama2": "f32 f16 bf16", "blocks": "f32 f16 bf16 q8_0"}
folders = sys.argv[2:] or [
    os.path.join(data, "models", name) for name in (
        "llama2", "llama3", "linear", "mistral", "qwen2", "qwen3", "gpt2")
] + [os.path.join(data, "weights", "blocks")]
folders = [os.path.abspath(f) for f in folders]
with tempfile.TemporaryDirectory() as work:
    os.chdir(work)
    np.array([(i * i + 3 * i) % 13 + 1 for i in range(321)],
             np.uint16).tofile("ids.bin")
    for folder in folders:
        for kind in kinds.get(os.path.basename(folder), "f32").split():
            check(folder, kind)
    if not sys.argv[2:]:
        assert sum(check_tokenizer(name) for name in (
            "gpt2.json", "llama3.json", "smollm.json", "bpe.model")) == 0

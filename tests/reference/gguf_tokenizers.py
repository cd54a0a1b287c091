#!/usr/bin/env python3
"""Whether llama.cpp gives the ids of tests/data/tokenizers with the tokenizers
that Anemone writes into GGUF files, and what gguf reads of them.

    python3 -P tests/reference/gguf_tokenizers.py ANEMONE

Needs gguf and llama-cpp-py-sync, or another build of llama.cpp in
LLAMA_CPP_LIB (see llama_cpp.py).
"""
import json, os, struct, subprocess, sys, tempfile
import gguf
from llama_cpp_py_sync.llama import get_ffi, get_lib

anemone = os.path.abspath(sys.argv[1])
data = os.path.abspath("tests/data/tokenizers")
ffi = get_ffi()
library = os.environ.get("LLAMA_CPP_LIB")
lib = ffi.dlopen(library) if library else get_lib()
FILES = {"gpt2.json": "gpt2", "llama3.json": "llama3", "smollm.json": "smollm",
         "ranks.tiktoken": "ranks", "bpe.model": "bpe_utf8",
         "bpe.bin": "bpe_utf8"}


def run(*words):
    subprocess.run([anemone, *words], check=True, stdout=subprocess.DEVNULL)


def texts():
    with open(data + "/texts.bin", "rb") as f:
        while head := f.read(4):
            yield f.read(struct.unpack("<I", head)[0])


def answers(name):
    with open(f"{data}/{name}.ids", "rb") as f:
        while head := f.read(4):
            n = struct.unpack("<I", head)[0]
            yield None if n == 2**32 - 1 else list(
                struct.unpack(f"<{n}H", f.read(2 * n)))


def ids_of(vocab, text):
    room = len(text) + 64
    out = ffi.new("llama_token[]", room)
    n = lib.llama_tokenize(vocab, text, len(text), out, room, False, True)
    return list(out[0:n])


def check(file, name):
    config = {"model_type": "llama", "hidden_size": 32,
              "intermediate_size": 32, "num_hidden_layers": 1,
              "num_attention_heads": 1, "num_key_value_heads": 1,
              "max_position_embeddings": 32, "vocab_size": 1024,
              "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
              "tie_word_embeddings": True}
    with open("tiny.json", "w") as f:
        json.dump(config, f)
    with open("text", "w") as f:
        f.write("one two three " * 100)
    run("train", "--data", "text", "--model", "tiny.json", "--tokenizer",
        f"{data}/{file}", "--steps", "1", "--out", name, "--fresh", "--quiet",
        "--engine", "cpu", "--sample-every", "0", "--batch", "1")
    run("export", "--checkpoint", name, "--to", "gguf", "--out", "x.gguf")
    fields = gguf.GGUFReader("x.gguf").fields
    tokens = fields["tokenizer.ggml.tokens"]
    assert len(tokens.data) == 1024
    p = lib.llama_model_default_params()
    p.vocab_only = True
    model = lib.llama_model_load_from_file(b"x.gguf", p)
    assert model != ffi.NULL, file
    vocab = lib.llama_model_get_vocab(model)
    same = other = 0
    for text, want in zip(texts(), answers(name)):
        try:
            text.decode()
        except UnicodeDecodeError:
            continue
        if want is None or b"</s>" in text or b"<s>" in text:
            continue
        came = ids_of(vocab, text)
        same += came == want
        if came != want:
            other += 1
            if other < 4:
                print(file, text[:60], came[:20], want[:20])
    lib.llama_model_free(model)
    print(f"{file}: {same} texts with the same ids, {other} others")


@ffi.callback("void(enum ggml_log_level, const char *, void *)")
def log(level, text, _):
    if level == lib.GGML_LOG_LEVEL_ERROR:
        sys.stderr.write(ffi.string(text).decode())


lib.llama_log_set(log, ffi.NULL)
lib.llama_backend_init()
with tempfile.TemporaryDirectory() as work:
    os.chdir(work)
    for file, name in FILES.items():
        check(file, name)

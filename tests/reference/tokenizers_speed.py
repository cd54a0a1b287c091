#!/usr/bin/env python3
"""How fast texts become ids, beside Hugging Face's tokenizers on one thread.

    TOKENIZERS_PARALLELISM=false python3 -P tests/reference/tokenizers_speed.py \\
        ANEMONE TEXT

TEXT is some MB in a file. Trains byte-level BPE of 32,000 tokens on it in
each form, and metaspace BPE with byte fallback; encodes all of it with
`anemone data encode` (a process that reads the file and writes the ids) and
with encode_batch_fast over paragraphs of at least 4 kB. Time is the
processor's, so that a busy machine does not matter, the best of three; that of
a process on an empty file, mostly the reading of tokenizer.json, is taken off
ours. Then one and four million equal characters. Needs tokenizers.
"""
import os
import resource
import subprocess
import sys
import tempfile
import tokenizers
from tokenizers import Tokenizer, decoders, models, normalizers, trainers

anemone = os.path.abspath(sys.argv[1])
text_path = os.path.abspath(sys.argv[2])
assert os.environ.get("TOKENIZERS_PARALLELISM") == "false", "one thread only"
with open(text_path, encoding="utf-8", errors="replace", newline="") as f:
    text = f.read()
VOCABULARY = 32000


def spent():
    """Seconds of the processor, by us and by the processes that we ran."""
    return sum(u.ru_utime + u.ru_stime for u in map(
        resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def best(work):
    times = []
    for _ in range(3):
        begin = spent()
        work()
        times.append(spent() - begin)
    return min(times)


def encode(tokenizer, path):
    subprocess.run([anemone, "data", "encode", path, "--tokenizer", tokenizer,
                    "--out", "ids.bin", "--quiet"], check=True)


def paragraphs():
    parts, at = [], 0
    while at < len(text):
        end = text.find("\n\n", at + 4096)
        end = len(text) if end < 0 else end + 2
        parts.append(text[at:end])
        at = end
    return parts


def metaspace(path):
    """As Llama 2's: blanks are metaspaces, one before the text, no words."""
    t = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>",
                             fuse_unk=True))
    t.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    t.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(),
         decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    fallback = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    words = (w for line in text[:4_000_000].split("\n")
             for w in line.split(" "))
    t.train_from_iterator(words, trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=fallback, show_progress=False))
    t.save(path)


def compare(form, parts, size):
    path = form + ".json"
    if form == "metaspace":
        metaspace(path)
    else:
        subprocess.run([anemone, "data", "train-tokenizer", text_path,
                        "--vocab", str(VOCABULARY), "--form", form, "--out",
                        path, "--quiet"], check=True)
    theirs = Tokenizer.from_file(path)
    idle = best(lambda: encode(path, "empty"))
    ours = best(lambda: encode(path, text_path)) - idle
    hf = best(lambda: theirs.encode_batch_fast(parts, add_special_tokens=False))
    same = [best(lambda: encode(path, name)) - idle
            for name in ("equal1", "equal4")]
    print(f"{form}: {size / ours:.1f} MB/s, tokenizers {size / hf:.1f} MB/s, "
          f"{hf / ours:.2f} times as fast; one and four million equal "
          f"characters {same[0]:.2f} and {same[1]:.2f} s", flush=True)


print("tokenizers", tokenizers.__version__)
parts = paragraphs()
size = len(text.encode()) / 1e6
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    open("empty", "w").close()
    for n in (1, 4):
        with open(f"equal{n}", "w") as f:
            f.write("a" * n * 1_000_000)
    for form in ("gpt2", "llama3", "qwen2", "smollm", "metaspace"):
        compare(form, parts, size)

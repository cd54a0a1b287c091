#!/usr/bin/env python3
"""Small tokenizers of the common forms, and the ids that the libraries they
come from give to a set of hard texts. Writes tests/data/tokenizers:

    texts.bin       a text each: uint32 size, bytes
    NAME.json ...   tokenizers of a few hundred tokens
    NAME.ids        for each text: uint32 count, uint16 ids (little-endian);
                    count 0xffffffff: the library takes no such text

Needs tokenizers, sentencepiece, tiktoken and gguf, and a text file to train on:

    python3 tests/reference/tokenizers_ids.py TEXT
"""
import base64, json, os, random, struct, sys, unicodedata
os.environ["RAYON_NUM_THREADS"] = "1"
import gguf
import sentencepiece as spm
import tiktoken
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models,
                        normalizers, pre_tokenizers, processors, trainers)

OUT = "tests/data/tokenizers"  # run from the root: files keep the path
rng = random.Random(7)

# First and last letter of blocks that Unicode 13 fills.
SCRIPTS = [
    (0x41, 0x5a), (0x61, 0x7a), (0xc0, 0x17f), (0x250, 0x2af), (0x391, 0x3a1),
    (0x3b1, 0x3c9), (0x410, 0x44f), (0x531, 0x556), (0x5d0, 0x5ea),
    (0x620, 0x64a), (0x710, 0x72f), (0x780, 0x7a5), (0x7c0, 0x7ea),
    (0x905, 0x94d), (0x985, 0x9b9), (0xa05, 0xa39), (0xa85, 0xab9),
    (0xb05, 0xb39), (0xb85, 0xbb9), (0xc05, 0xc39), (0xc85, 0xcb9),
    (0xd05, 0xd39), (0xd85, 0xdc6), (0xe01, 0xe3a), (0xe81, 0xeb0),
    (0xf40, 0xf6a), (0x1000, 0x1049), (0x10d0, 0x10f0), (0x1100, 0x1112),
    (0x1200, 0x1248), (0x13a0, 0x13f4), (0x1401, 0x1450), (0x1681, 0x169a),
    (0x16a0, 0x16ea), (0x1780, 0x17b3), (0x1820, 0x1877), (0x3041, 0x3096),
    (0x30a1, 0x30fa), (0x3105, 0x312f), (0x4e00, 0x4fff), (0xa000, 0xa050),
    (0xac00, 0xad00), (0x10330, 0x1034a), (0x10400, 0x1044f),
    (0x12000, 0x12050), (0x13000, 0x13050), (0x1d400, 0x1d433),
    (0x20000, 0x20050),
]


def letters(first, last):
    return [chr(c) for c in range(first, last + 1)
            if unicodedata.category(chr(c))[0] in "LMN"]


WORDS = [["".join(rng.choices(letters(*s)[:12], k=rng.randint(1, 5)))
          for _ in range(6)] for s in SCRIPTS]
SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", " \n", "\n ", "\v",
          "\f", "\x85", "\u00a0", "\u1680", "\u2003", "\u2028", "\u202f",
          "\u205f", "\u3000", "\u180e", "\u200b", "\ufeff", "\x1c", "\x1f"]


def text_of(n):
    out = []
    for _ in range(n):
        out.append(rng.choice(rng.choice(WORDS)))
        out.append(rng.choice(SPACES[:8] if rng.random() < .8 else SPACES))
        if rng.random() < .3:
            out.append(rng.choice(".,;:!?-()[]{}<>/\\'\"@#$%^&*_+=|~`"))
        if rng.random() < .2:
            out.append(str(rng.randint(0, 10 ** rng.randint(1, 7))))
    return "".join(out)


EMOJI = "😀 👍🏽 👨‍👩‍👧‍👦 🇩🇪🇫🇷 ❤️ ☺ ✋🏿 🏴󠁧󠁢󠁥󠁮󠁧󠁿 1️⃣ ©️"
SPECIAL = ("<s>a</s> <|endoftext|>b<|endoftext|> <|begin_of_text|>hello"
           "<|eot_id|>\n<|im_start|>user\nhi<|im_end|>\n<think>x</think> "
           "<unk> <pad>  <mask>  end <0x0A> <0x41>")


def texts():
    out = ["", " ", "a", "hello world", "Hello, world!", " leading",
           "trailing ", "  two  spaces  ", "\n", "\n\n\n", "a\n\n\nb",
           "a \n \n b", "tabs\t\tand\tmore", "word" * 3 + " " * 40 + "x",
           "I'm you're he'll we've they'd it's can't I'M YOU'RE HE'LL IT'S",
           "'s't're", "’s ‘t", "it\u017f '\u017f x'\u017f", "\u212a kelvin",
           "0 1 12 123 1234 12345 1234567890 3.14 1,000,000 ½ ² Ⅷ ٣٤ ३४ 五",
           "a1b2c3 4d5e6f x86_64 IPv6", "!!! ??? ... --- ===>>> $$$ #include",
           "def f(x):\n    return x**2  # square\n\n\tif y:\n\t\tpass\n",
           "<html><body class=\"x\">&amp;</body></html>", EMOJI, SPECIAL,
           "e\u0301 a\u0308\u0323 \u1e69 s\u0323\u0307 s\u0307\u0323 \u212b "
           "\u1100\u1161\u11a8 \uac01 \u0958 \u2126 \ufb01 \uf900",
           "a" + "\u0301" * 30 + "\u0323\u0301" * 8,
           "\u2581 \u2581\u2581a b\u2581c", "\x00\x01\x7f\x00", "\ufffd",
           "ﷺ ﬁ ① ㍿ Ａｂｃ ｶﾞ", "a\u200db \u200e\u202e x", "\U0010ffff",
           "".join(SPACES), "x".join(SPACES), " ".join(SPACES),
           "a" * 1000, " " * 1000, "\n" * 300, "ab" * 500, "é" * 300,
           "1" * 200, "!" * 200, "👍" * 100, "a " * 300, " a" * 300]
    for w in WORDS:
        out.append(" ".join(w) + w[0] + w[1])
    out += [text_of(40) for _ in range(20)]
    out.append(text_of(1500).replace("\n", " ").replace("\r", " "))
    data = [t.encode() for t in out]
    data += [b"\xff", b"a\xffb", b"abc\xc3", b"\xe2\x96", b"\xf0\x9f\x98 x",
             b"\xed\xa0\x80 \xc0\x80 \xf8\x88\x80\x80\x80 ok",
             bytes(range(256)), b"hello \x80\x81\xfe world \xc3\x28\xff"]
    return data


def corpus(path):
    plain = open(path, encoding="utf-8").read()[:200000]
    return plain.split("\n\n") + [text_of(60) for _ in range(150)] + \
        [" ".join(w) for w in WORDS for _ in range(4)] + [EMOJI] * 3


GPT2 = None
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
          r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def split(regex):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(regex), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def byte_level(lines, pre, specials, size=700, normalizer=None, added=()):
    t = Tokenizer(models.BPE())
    if normalizer:
        t.normalizer = normalizer
    t.pre_tokenizer = pre
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=size, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    t.add_special_tokens([AddedToken(s, special=True, normalized=False)
                          for s in specials])
    t.add_tokens(list(added))
    return t


def bos(t, name):
    return processors.TemplateProcessing(
        single=f"{name} $A", pair=f"{name} $A {name} $B",
        special_tokens=[(name, t.token_to_id(name))])


def hugging_face(lines):
    byte = pre_tokenizers.ByteLevel
    gpt2 = byte_level(lines, byte(add_prefix_space=False), ["<|endoftext|>"])
    gpt2.post_processor = processors.ByteLevel(trim_offsets=False)
    yield "gpt2", gpt2
    llama3 = byte_level(lines, split(LLAMA3), ["<|begin_of_text|>",
                        "<|end_of_text|>", "<|eot_id|>"])
    llama3.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        bos(llama3, "<|begin_of_text|>")])
    j = json.loads(llama3.to_str())
    j["model"]["ignore_merges"] = True
    yield "llama3", Tokenizer.from_str(json.dumps(j))
    qwen = byte_level(
        lines, split(QWEN2), ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        normalizer=normalizers.NFC(),
        added=[AddedToken("<think>", normalized=False),
               AddedToken("</think>", normalized=True),
               AddedToken("<mask>", lstrip=True, normalized=False),
               AddedToken("<pad>", rstrip=True, normalized=False)])
    qwen.post_processor = processors.ByteLevel(trim_offsets=False)
    yield "qwen2", qwen
    yield "smollm", byte_level(
        lines, pre_tokenizers.Sequence([
            pre_tokenizers.Digits(individual_digits=True),
            byte(add_prefix_space=False, use_regex=True)]),
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    meta = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True,
                                byte_fallback=True))
    meta.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    meta.decoder = decoders.Metaspace(prepend_scheme="first")
    meta.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=700, show_progress=False, limit_alphabet=150,
        special_tokens=["<unk>", "<s>", "</s>"] +
        [f"<0x{b:02X}>" for b in range(256)]))
    meta.post_processor = bos(meta, "<s>")
    j = json.loads(meta.to_str())
    j["added_tokens"] = j["added_tokens"][:3]
    yield "metaspace", Tokenizer.from_str(json.dumps(j))


def put_ids(name, lists):
    with open(f"{OUT}/{name}.ids", "wb") as f:
        for ids in lists:
            if ids is None:
                f.write(struct.pack("<I", 0xffffffff))
            else:
                f.write(struct.pack(f"<I{len(ids)}H", len(ids), *ids))


def sentence_piece(lines):
    """Files by name, and the processor that answers for each."""
    # All characters must have pieces: a dozen scripts, the rest is unknown.
    flat = [l.replace("\n", " ") for l in lines if l.isascii()]
    flat += [" ".join(w) for w in WORDS[:12] for _ in range(4)]

    def train(name, **options):
        model = f"{OUT}/{name}.model"
        with open(model, "wb") as f:
            spm.SentencePieceTrainer.train(
                sentence_iterator=iter(flat), model_writer=f, num_threads=1,
                minloglevel=2, max_sentence_length=100000, **options)
        return name, spm.SentencePieceProcessor(model_file=model)

    # Rules of our own instead of nmt_nfkc's, whose table takes 240 KB.
    rules = f"{OUT}/rules.tsv"
    with open(rules, "w") as f:
        for c in range(0xff01, 0xff5f):
            f.write(f"{c:X}\t{c - 0xfee0:X}\n")
        for c in (9, 10, 13, 0xa0, 0x2003, 0x3000):
            f.write(f"{c:X}\t20\n")
        f.write("65 301\tE9\nFB01\t66 69\n2126\t3A9\n2460\t31\n200B\t\n"
                "41\t61\n49\t69\nFDFA\t635 644 649 20 627\n")

    yield train("bpe", model_type="bpe", vocab_size=700, byte_fallback=True,
                normalization_rule_name="identity", split_digits=True,
                remove_extra_whitespaces=False, character_coverage=1.0,
                allow_whitespace_only_pieces=True)
    yield train("bpe_user", model_type="bpe", vocab_size=600,
                user_defined_symbols=["<think>", "</think>"],
                normalization_rule_tsv=rules,
                character_coverage=1.0)
    yield train("unigram", model_type="unigram", vocab_size=700,
                byte_fallback=True, normalization_rule_tsv=rules,
                character_coverage=1.0)
    yield train("unigram_user", model_type="unigram", vocab_size=500,
                user_defined_symbols=["<think>", "lo"],
                character_coverage=1.0, add_dummy_prefix=False,
                normalization_rule_tsv=rules)
    os.remove(rules)


def llama2c(name, sp):
    """tokenizer.bin as llama2.c's tokenizer.py writes it."""
    pieces = []
    for i in range(sp.get_piece_size()):
        text = sp.id_to_piece(i)
        text = {1: "\n<s>\n", 2: "\n</s>\n"}.get(i, text)
        pieces.append((text.replace("\u2581", " ").encode(), sp.get_score(i)))
    with open(f"{OUT}/{name}.bin", "wb") as f:
        f.write(struct.pack("<I", max(len(p) for p, _ in pieces)))
        for p, score in pieces:
            f.write(struct.pack("<fI", score, len(p)) + p)


def rank_file(name, t):
    """The ranks of a byte-level tokenizer's tokens, in the order of its ids."""
    spelled = {}
    codes = list(range(33, 127)) + list(range(161, 173)) + \
        list(range(174, 256))
    for c in codes:
        spelled[chr(c)] = c
    for i, b in enumerate(b for b in range(256) if b not in codes):
        spelled[chr(256 + i)] = b
    vocab = json.loads(t.to_str())["model"]["vocab"]
    ranks = {bytes(spelled[c] for c in k): v for k, v in vocab.items()}
    with open(f"{OUT}/{name}.tiktoken", "w") as f:
        for token, rank in ranks.items():
            f.write(base64.b64encode(token).decode() + f" {rank}\n")
    return tiktoken.Encoding(name, pat_str=LLAMA3, mergeable_ranks=ranks,
                             special_tokens={"<|endoftext|>": len(ranks)})


def gguf_file(name, arch, model, tokens, types, scores=None, merges=None,
              pre=None, bos=None, eos=None):
    w = gguf.GGUFWriter(f"{OUT}/{name}.gguf", arch)
    w.add_tokenizer_model(model)
    if pre:
        w.add_tokenizer_pre(pre)
    w.add_token_list(tokens)
    if scores:
        w.add_token_scores(scores)
    w.add_token_types(types)
    if merges:
        w.add_token_merges(merges)
    if bos is not None:
        w.add_bos_token_id(bos)
    w.add_eos_token_id(eos)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def ggufs(t, sp):
    """The "gpt2" form of a byte-level tokenizer, the "llama" form of a BPE."""
    j = json.loads(t.to_str())
    vocab = {**j["model"]["vocab"]}
    types = {}
    for a in j["added_tokens"]:
        vocab[a["content"]] = a["id"]
        types[a["id"]] = 3 if a["special"] else 4
    tokens = sorted(vocab, key=vocab.get)
    gguf_file("smollm", "llama", "gpt2", tokens,
              [types.get(i, 1) for i in range(len(tokens))], pre="smollm",
              merges=[" ".join(m) for m in j["model"]["merges"]],
              eos=vocab["<|endoftext|>"])
    n = sp.get_piece_size()
    kind = [2 if sp.is_unknown(i) else 3 if sp.is_control(i) else
            6 if sp.is_byte(i) else 1 for i in range(n)]
    gguf_file("bpe", "llama", "llama", [sp.id_to_piece(i) for i in range(n)],
              kind, scores=[sp.get_score(i) for i in range(n)], bos=1, eos=2)


def encode_strict(t, data):
    try:
        return t.encode(data.decode(), add_special_tokens=False).ids
    except UnicodeDecodeError:
        return None


def main():
    os.makedirs(OUT, exist_ok=True)
    data, lines = texts(), corpus(sys.argv[1])
    with open(f"{OUT}/texts.bin", "wb") as f:
        for d in data:
            f.write(struct.pack("<I", len(d)) + d)
    files = dict(hugging_face(lines))
    for name, t in files.items():
        with open(f"{OUT}/{name}.json", "w") as f:
            f.write(t.to_str())
        put_ids(name, [encode_strict(t, d) for d in data])
    os.makedirs(f"{OUT}/gpt2", exist_ok=True)
    files["gpt2"].model.save(f"{OUT}/gpt2")
    path = f"{OUT}/gpt2/vocab.json"  # OpenAI's holds the end of text too
    vocab = json.load(open(path))
    vocab["<|endoftext|>"] = len(vocab)
    json.dump(vocab, open(path, "w"))
    processors_ = dict(sentence_piece(lines))
    for name, sp in processors_.items():
        put_ids(name, [sp.encode(d) for d in data])
    # Other readers of the same pieces keep bytes that are no UTF-8.
    sp = processors_["bpe"]
    put_ids("bpe_utf8", [sp.encode(d) if is_utf8(d) else None for d in data])
    llama2c("bpe", processors_["bpe"])
    ggufs(files["smollm"], processors_["bpe"])
    t = rank_file("ranks", files["llama3"])
    put_ids("ranks", [tiktoken_strict(t, d) for d in data])


def is_utf8(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def tiktoken_strict(t, data):
    try:
        return t.encode(data.decode(), allowed_special="all")
    except UnicodeDecodeError:
        return None


if __name__ == "__main__":
    main()

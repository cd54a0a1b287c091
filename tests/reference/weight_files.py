#!/usr/bin/env python3
"""Weight files in the formats of other tools, of three tiny models.

    python3 tests/reference/weight_files.py

writes tests/data/weights: two models as Hugging Face's folders (pairs: heads
share no key-value heads; blocks: rows of 32) and the same weights as llama2.c's
v0, v1, v2, maderix's BLZT v2 and v4, Orion's v2, and GGUF in five types; and
tests/data/models/gpt2 as llm.c's v3 and v5. Values are multiples of 1/64, which
fp16 and bf16 hold; the int8 files hold what is nearest. Needs numpy,
safetensors, gguf.
"""
import json
import os
import struct
import gguf
import numpy as np
from safetensors.numpy import load_file, save_file

DATA = os.path.join(os.path.dirname(__file__), "..", "data")
OUT = os.path.join(DATA, "weights")


def make(name, d, f, v, layers, heads, kv, tied, seed):
    rng = np.random.default_rng(seed)
    hd = d // heads

    def matrix(rows, columns):
        x = np.round(rng.normal(size=(rows, columns)) * 16) / 64
        return np.clip(x, -1.9, 1.9).astype(np.float32)

    def norm():
        return (1 + np.round(rng.normal(size=d) * 8) / 64).astype(np.float32)

    w = {"model.embed_tokens.weight": matrix(v, d), "model.norm.weight": norm()}
    for i in range(layers):
        p = f"model.layers.{i}."
        w[p + "input_layernorm.weight"] = norm()
        w[p + "post_attention_layernorm.weight"] = norm()
        w[p + "self_attn.q_proj.weight"] = matrix(d, d)
        w[p + "self_attn.k_proj.weight"] = matrix(kv * hd, d)
        w[p + "self_attn.v_proj.weight"] = matrix(kv * hd, d)
        w[p + "self_attn.o_proj.weight"] = matrix(d, d)
        w[p + "mlp.gate_proj.weight"] = matrix(f, d)
        w[p + "mlp.up_proj.weight"] = matrix(f, d)
        w[p + "mlp.down_proj.weight"] = matrix(d, f)
    if not tied:
        w["lm_head.weight"] = matrix(v, d)
    c = dict(architectures=["LlamaForCausalLM"], model_type="llama",
             hidden_act="silu", hidden_size=d, intermediate_size=f,
             num_hidden_layers=layers, num_attention_heads=heads,
             num_key_value_heads=kv, vocab_size=v, max_position_embeddings=16,
             rms_norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=tied)
    os.makedirs(os.path.join(OUT, name), exist_ok=True)
    with open(os.path.join(OUT, name, "config.json"), "w") as file:
        json.dump(c, file, indent=2)
    stored = {k: x.astype(np.float16) for k, x in w.items()}
    save_file(stored, os.path.join(OUT, name, "model.safetensors"))
    return c, w


def pairs(x, heads):
    """Rows of halves (i, i + hd/2) to neighbours (2 i, 2 i + 1)."""
    rows, columns = x.shape
    hd = rows // heads
    return x.reshape(heads, 2, hd // 2, columns).swapaxes(1, 2).reshape(
        rows, columns)


def layers_of(c, w, name, heads=0):
    out = []
    for i in range(c["num_hidden_layers"]):
        x = w[f"model.layers.{i}.{name}.weight"]
        out.append(pairs(x, heads) if heads else x)
    return out


def matrices(c, w):
    q, kv = c["num_attention_heads"], c["num_key_value_heads"]
    for name, heads in (("self_attn.q_proj", q), ("self_attn.k_proj", kv),
                        ("self_attn.v_proj", 0), ("self_attn.o_proj", 0),
                        ("mlp.gate_proj", 0), ("mlp.down_proj", 0),
                        ("mlp.up_proj", 0)):
        yield layers_of(c, w, name, heads)


def seven(c):
    v = c["vocab_size"]
    return struct.pack("<7i", c["hidden_size"], c["intermediate_size"],
                       c["num_hidden_layers"], c["num_attention_heads"],
                       c["num_key_value_heads"], v,
                       c["max_position_embeddings"])


def write(name, chunks):
    with open(os.path.join(OUT, name), "wb") as file:
        for x in chunks:
            file.write(x if isinstance(x, bytes) else
                       np.ascontiguousarray(x).tobytes())


def llama2c_v0(c, w, name):
    tied = c["tie_word_embeddings"]
    head = struct.pack("<7i", *[(-x if i == 5 and not tied else x) for i, x in
                                enumerate(struct.unpack("<7i", seven(c)))])
    all_matrices = list(matrices(c, w))
    hd = c["hidden_size"] // c["num_attention_heads"]
    tables = np.zeros(c["max_position_embeddings"] * hd, np.float32)
    body = [w["model.embed_tokens.weight"],
            *layers_of(c, w, "input_layernorm")]
    for m in all_matrices[:4]:
        body += m
    body += layers_of(c, w, "post_attention_layernorm")
    for m in all_matrices[4:]:
        body += m
    body += [w["model.norm.weight"], tables]
    if not tied:
        body.append(w["lm_head.weight"])
    write(name, [head] + body)


def q8_groups(x, group):
    g = x.reshape(-1, group)
    scale = (np.abs(g).max(axis=1) / 127).astype(np.float32)
    q = np.round(g / np.where(scale == 0, 1, scale)[:, None]).astype(np.int8)
    return [q, scale]


def llama2c_v12(c, w, name, version, group=0):
    tied = c["tie_word_embeddings"]
    head = struct.pack("<Ii", 0x616B3432, version) + seven(c) + bytes([tied])
    if version == 2:
        head += struct.pack("<i", group)
    body = [head.ljust(256, b"\0"), *layers_of(c, w, "input_layernorm"),
            *layers_of(c, w, "post_attention_layernorm"),
            w["model.norm.weight"]]
    tensors = [w["model.embed_tokens.weight"]]
    for m in matrices(c, w):
        tensors += m
    if not tied:
        tensors.append(w["lm_head.weight"])
    for x in tensors:
        body += q8_groups(x, group) if version == 2 else [x]
    write(name, body)


def blzt(c, w, name, version, orion=False):
    d, l = c["hidden_size"], c["num_hidden_layers"]
    head = struct.pack("<10i2f3d6i", 0x424C5A54, version, 10, 100, l,
                       c["vocab_size"], d, c["intermediate_size"],
                       c["num_attention_heads"], c["max_position_embeddings"],
                       1e-4, 3.0, 0.0, 0.0, 0.0, 10, 10, 10,
                       *([c["num_key_value_heads"],
                          d // c["num_attention_heads"], d]
                         if version == 4 else [0, 0, 0]))
    assert len(head) == 96, len(head)
    alpha = np.float32(1 / np.sqrt(2 * l)) if version == 4 else np.float32(1)
    q, k, v, o, w1, w2, w3 = matrices(c, w)
    att = layers_of(c, w, "input_layernorm")
    ffn = layers_of(c, w, "post_attention_layernorm")
    o, w2 = [x / alpha for x in o], [x / alpha for x in w2]
    embed, final = w["model.embed_tokens.weight"], w["model.norm.weight"]

    def moments(x):
        return [np.full_like(x, 0.001), np.full_like(x, 0.002)]

    body = [head]
    if orion:
        layers = [[att[i], q[i], k[i], v[i], o[i], ffn[i], w1[i], w3[i], w2[i]]
                  for i in range(l)]
        flat = [x for layer in layers for x in layer]
        body += flat + [moments(x)[0] for x in flat]
        body += [moments(x)[1] for x in flat]
        body += [embed, final, moments(embed)[0], moments(final)[0],
                 moments(embed)[1], moments(final)[1]]
    else:
        for i in range(l):
            for x in (q[i], k[i], v[i], o[i], w1[i], w2[i], w3[i], att[i],
                      ffn[i]):
                body += [x, *moments(x)]
        body += [final, *moments(final), embed, *moments(embed)]
    write(name, body)


def gguf_file(c, w, name, kind):
    g = gguf.GGUFWriter(os.path.join(OUT, name), "llama")
    g.add_context_length(c["max_position_embeddings"])
    g.add_embedding_length(c["hidden_size"])
    g.add_block_count(c["num_hidden_layers"])
    g.add_feed_forward_length(c["intermediate_size"])
    g.add_head_count(c["num_attention_heads"])
    g.add_head_count_kv(c["num_key_value_heads"])
    g.add_layer_norm_rms_eps(c["rms_norm_eps"])
    g.add_rope_freq_base(c["rope_theta"])
    g.add_vocab_size(c["vocab_size"])
    types = gguf.GGMLQuantizationType

    def add(key, x):
        kinds = {"f32": types.F32, "f16": types.F16, "bf16": types.BF16,
                 "q8_0": types.Q8_0, "q4_0": types.Q4_0}
        t = kinds[kind] if x.ndim == 2 else types.F32
        g.add_tensor(key, gguf.quants.quantize(x, t), raw_dtype=t)

    add("token_embd.weight", w["model.embed_tokens.weight"])
    add("output_norm.weight", w["model.norm.weight"])
    if "lm_head.weight" in w:
        add("output.weight", w["lm_head.weight"])
    names = {"attn_norm": ("input_layernorm", 0),
             "ffn_norm": ("post_attention_layernorm", 0),
             "attn_q": ("self_attn.q_proj", c["num_attention_heads"]),
             "attn_k": ("self_attn.k_proj", c["num_key_value_heads"]),
             "attn_v": ("self_attn.v_proj", 0),
             "attn_output": ("self_attn.o_proj", 0),
             "ffn_gate": ("mlp.gate_proj", 0), "ffn_up": ("mlp.up_proj", 0),
             "ffn_down": ("mlp.down_proj", 0)}
    for key, (hf, heads) in names.items():
        for i, x in enumerate(layers_of(c, w, hf, heads)):
            add(f"blk.{i}.{key}.weight", x)
    g.write_header_to_file()
    g.write_kv_data_to_file()
    g.write_tensors_to_file()
    g.close()


def bf16(x):
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def llmc(folder, name, version):
    c = json.load(open(os.path.join(folder, "config.json")))
    w = load_file(os.path.join(folder, "model.safetensors"))
    v, padded = c["vocab_size"], -(-c["vocab_size"] // 128) * 128
    head = np.zeros(256, np.int32)
    head[:8] = [20240326, version, c["n_positions"], v, c["n_layer"],
                c["n_head"], c["n_embd"], padded]
    wte = np.zeros((padded, c["n_embd"]), np.float32)
    wte[:v] = w["transformer.wte.weight"]
    body = [wte, w["transformer.wpe.weight"]]
    for key, turn in (("ln_1.weight", 0), ("ln_1.bias", 0),
                      ("attn.c_attn.weight", 1), ("attn.c_attn.bias", 0),
                      ("attn.c_proj.weight", 1), ("attn.c_proj.bias", 0),
                      ("ln_2.weight", 0), ("ln_2.bias", 0),
                      ("mlp.c_fc.weight", 1), ("mlp.c_fc.bias", 0),
                      ("mlp.c_proj.weight", 1), ("mlp.c_proj.bias", 0)):
        for i in range(c["n_layer"]):
            x = w[f"transformer.h.{i}.{key}"]
            body.append(x.T if turn else x)
    body += [w["transformer.ln_f.weight"], w["transformer.ln_f.bias"]]
    write(name, [head] + [x if version == 3 else bf16(x) for x in body])


c, w = make("pairs", 8, 12, 16, 2, 2, 2, True, 3)
llama2c_v0(c, w, "v0.bin")
llama2c_v12(c, w, "v2.bin", 2, 4)
blzt(c, w, "maderix2.bin", 2)
blzt(c, w, "orion2.bin", 2, orion=True)
blzt(c, w, "maderix4.bin", 4)
c, w = make("blocks", 32, 32, 16, 1, 2, 1, False, 5)
llama2c_v0(c, w, "v0_untied.bin")
llama2c_v12(c, w, "v1.bin", 1)
for kind in ("f32", "f16", "bf16", "q8_0", "q4_0"):
    gguf_file(c, w, f"{kind}.gguf", kind)
llmc(os.path.join(DATA, "models", "gpt2"), "gpt2_v3.bin", 3)
llmc(os.path.join(DATA, "models", "gpt2"), "gpt2_v5.bin", 5)

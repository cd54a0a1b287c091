"""One and two training steps of small Llama models in fp64, with PyTorch.

    python3 tests/reference/step.py        # rewrites step_{untied,tied}.safetensors

Needs torch, numpy and safetensors. Written with plain torch operators from the
formulas of transformers' modeling_llama.py (RMSNorm, rotate-half RoPE, grouped
queries, SwiGLU), independent of Anemone's code; gradients are autograd's.

Weights: element k (row-major, of the fused parameter as Anemone lists it) of
parameter i is

    u = fmix32(2^20 i + k) / 2^31 - 1             in [-1, 1)
    matrices: 0.3 u      norms: 1 + 0.5 u

with fmix32 the finalizer of MurmurHash3. Tokens of step t: id n of the stream
is fmix32(2^28 + 2^12 t + n) mod V.

A step: mean cross-entropy, gradients scaled by min(1, 1 / global norm), AdamW
(lr 0.01, betas 0.9, 0.95, epsilon 1e-8, decay 0.1 on matrices). The first step
of Adam does not depend on the scale of the gradient; the second does, so both
are stored.

Tensors of a file, fp64 but for the ids; N = batch x sequence, column b S + s:

    inputs.T targets.T   [B, S] int32, T = 1, 2 the step
    loss.T grad_norm.T   [1]; the norm is before clipping
    grad.T.<param>       [rows, columns], not clipped
    after.T.<param>      the weights after step T
    x0  layers.L.attention  layers.L.mlp   [D, N] in step 1
    logits               [V, N] in step 1
"""

import json
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).parent
BATCH, SEQUENCE, STEPS = 2, 32, 2
LR, BETA1, BETA2, EPSILON, DECAY, CLIP = 0.01, 0.9, 0.95, 1e-8, 0.1, 1.0


def fmix32(x):
    x = x.astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    x *= np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    return x


def shapes(c):
    """Parameters in Anemone's order: name, rows, columns."""
    d, f, hd = c["hidden_size"], c["intermediate_size"], c["head_dim"]
    q, kv = c["num_attention_heads"] * hd, c["num_key_value_heads"] * hd
    yield "embed", c["vocab_size"], d
    for l in range(c["num_hidden_layers"]):
        yield f"layers.{l}.attention_norm", d, 1
        yield f"layers.{l}.w_qkv", q + 2 * kv, d
        yield f"layers.{l}.w_o", d, q
        yield f"layers.{l}.mlp_norm", d, 1
        yield f"layers.{l}.w_gate_up", 2 * f, d
        yield f"layers.{l}.w_down", d, f
    yield "final_norm", d, 1
    if not c["tie_word_embeddings"]:
        yield "head", c["vocab_size"], d


def weights(c):
    out = {}
    for i, (name, rows, columns) in enumerate(shapes(c)):
        k = np.arange(rows * columns, dtype=np.int64)
        u = fmix32((i << 20) + k) / 2.0**31 - 1
        w = 1 + 0.5 * u if columns == 1 else 0.3 * u
        out[name] = torch.tensor(w.reshape(rows, columns), requires_grad=True)
    return out


def tokens(c, step):
    n = np.arange(BATCH * (SEQUENCE + 1), dtype=np.int64)
    ids = fmix32((1 << 28) + (step << 12) + n) % c["vocab_size"]
    return torch.tensor(ids.astype(np.int64).reshape(BATCH, SEQUENCE + 1))


def rms_norm(x, weight, eps):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + eps) * weight[:, 0]


def rope(x, theta):
    """x [B, heads, S, hd]."""
    hd = x.shape[-1]
    frequency = theta ** (-torch.arange(0, hd, 2, dtype=x.dtype) / hd)
    angle = torch.arange(x.shape[-2], dtype=x.dtype)[:, None] * frequency
    cos, sin = torch.cat([angle.cos()] * 2, -1), torch.cat([angle.sin()] * 2, -1)
    half = torch.cat([-x[..., hd // 2 :], x[..., : hd // 2]], -1)
    return x * cos + half * sin


def attention(c, w, layer, x):
    heads, kv, hd = (
        c["num_attention_heads"],
        c["num_key_value_heads"],
        c["head_dim"],
    )
    b, s, _ = x.shape
    xn = rms_norm(x, w[f"layers.{layer}.attention_norm"], c["rms_norm_eps"])
    qkv = w[f"layers.{layer}.w_qkv"].split([heads * hd, kv * hd, kv * hd])
    q, k, v = (
        (xn @ part.T).view(b, s, -1, hd).transpose(1, 2) for part in qkv
    )
    q, k = rope(q, c["rope_theta"]), rope(k, c["rope_theta"])
    k, v = (t.repeat_interleave(heads // kv, 1) for t in (k, v))
    scores = q @ k.transpose(-1, -2) / hd**0.5
    later = torch.ones(s, s, dtype=torch.bool).triu(1)
    p = scores.masked_fill(later, -torch.inf).softmax(-1)
    out = (p @ v).transpose(1, 2).reshape(b, s, heads * hd)
    return x + out @ w[f"layers.{layer}.w_o"].T


def mlp(c, w, layer, x):
    xn = rms_norm(x, w[f"layers.{layer}.mlp_norm"], c["rms_norm_eps"])
    gate, up = (xn @ w[f"layers.{layer}.w_gate_up"].T).chunk(2, -1)
    silu = gate / (1 + torch.exp(-gate))
    return x + (silu * up) @ w[f"layers.{layer}.w_down"].T


def forward(c, w, ids):
    """Logits [B, S, V], and the values between the blocks by name."""
    x = w["embed"][ids]
    values = {"x0": x}
    for layer in range(c["num_hidden_layers"]):
        x = values[f"layers.{layer}.attention"] = attention(c, w, layer, x)
        x = values[f"layers.{layer}.mlp"] = mlp(c, w, layer, x)
    x = rms_norm(x, w["final_norm"], c["rms_norm_eps"])
    logits = values["logits"] = x @ w.get("head", w["embed"]).T
    return logits, values


def mean_loss(logits, targets):
    picked = logits.gather(-1, targets[..., None])[..., 0]
    return (logits.logsumexp(-1) - picked).mean()


def columns(x):
    """[B, S, C] as [C, B S]."""
    return x.detach().permute(2, 0, 1).reshape(x.shape[2], -1)


def run(c):
    w = weights(c)
    matrices = [p for p in w.values() if p.shape[1] > 1]
    norms = [p for p in w.values() if p.shape[1] == 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": DECAY},
            {"params": norms, "weight_decay": 0.0},
        ],
        lr=LR,
        betas=(BETA1, BETA2),
        eps=EPSILON,
    )
    out = {}
    for step in range(1, STEPS + 1):
        window = tokens(c, step)
        inputs, targets = window[:, :-1], window[:, 1:]
        logits, values = forward(c, w, inputs)
        loss = mean_loss(logits, targets)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.sqrt(sum((p.grad**2).sum() for p in w.values()))
        out[f"inputs.{step}"] = inputs.to(torch.int32)
        out[f"targets.{step}"] = targets.to(torch.int32)
        out[f"loss.{step}"] = loss.detach()[None]
        out[f"grad_norm.{step}"] = norm[None]
        for name, p in w.items():
            out[f"grad.{step}.{name}"] = p.grad.clone()
            p.grad *= min(1.0, CLIP / norm.item())
        optimizer.step()
        for name, p in w.items():
            out[f"after.{step}.{name}"] = p.detach().clone()
        if step == 1:
            out.update((name, columns(x)) for name, x in values.items())
    return out


if __name__ == "__main__":
    torch.set_num_threads(1)
    for kind in "untied", "tied":
        config = json.loads((HERE / f"step_{kind}.json").read_text())
        result = run(config)
        arrays = {k: np.ascontiguousarray(v.numpy()) for k, v in result.items()}
        save_file(arrays, HERE / f"step_{kind}.safetensors")
        print(kind, *(f"{result[k].item():.12g}" for k in
                      ("loss.1", "grad_norm.1", "loss.2", "grad_norm.2")))

"""Trains the model of a run folder with PyTorch as `anemone train` would.

    anemone train --data FILE --seed 1 --out init --lr 1e-12 --steps 1
    python3 tests/reference/train.py --run init --data FILE --seed 1 --steps 1000

The first command leaves the initial weights in init/: its one step moves no
weight by more than 1e-12. The second starts from them, in fp32, with the same
windows in the same order (windows.py), the same schedule, clipping and AdamW,
and prints one line of JSON with the validation loss at the end; progress goes
to stderr. Tokenizer "bytes". Needs torch, numpy and safetensors.
"""

import argparse
import json
import math
import pathlib
import sys

import torch
from safetensors.torch import load_file

from step import forward, mean_loss
from windows import Windows

HF_LAYER = {
    "attention_norm": ["input_layernorm"],
    "w_qkv": [f"self_attn.{x}_proj" for x in "qkv"],
    "w_o": ["self_attn.o_proj"],
    "mlp_norm": ["post_attention_layernorm"],
    "w_gate_up": ["mlp.gate_proj", "mlp.up_proj"],
    "w_down": ["mlp.down_proj"],
}


def load_weights(path, c):
    """Tensors by Hugging Face's names as step.py's parameters."""
    tensors = load_file(path)

    def fused(*names):
        parts = [tensors[f"{n}.weight"].float() for n in names]
        w = torch.cat(parts)
        return (w[:, None] if w.dim() == 1 else w).requires_grad_()

    w = {"embed": fused("model.embed_tokens")}
    for layer in range(c["num_hidden_layers"]):
        for name, parts in HF_LAYER.items():
            prefix = f"model.layers.{layer}."
            w[f"layers.{layer}.{name}"] = fused(*(prefix + p for p in parts))
    w["final_norm"] = fused("model.norm")
    if not c["tie_word_embeddings"]:
        w["head"] = fused("lm_head")
    return w


def learning_rate(o, step):
    """Of step 1, 2, ...: linear warm-up, then a cosine to lr x lr_min."""
    end = step / o.steps
    warmup = 0.1 if o.warmup < 0 else o.warmup / o.steps
    if end < warmup:
        return o.lr * end / warmup
    if warmup >= 1:
        return o.lr
    cosine = 0.5 * (1 + math.cos(math.pi * (end - warmup) / (1 - warmup)))
    return o.lr * (o.lr_min + (1 - o.lr_min) * cosine)


def batch_of(windows):
    ids = torch.tensor(windows)
    return ids[:, :-1], ids[:, 1:]


@torch.no_grad()
def validate(o, c, w, data):
    n = data.n_validation
    if o.eval_windows > 0:
        n = min(n, o.eval_windows)
    total = 0.0
    for first in range(0, n, o.batch):
        rows = range(first, min(first + o.batch, n))
        x, y = batch_of([data.validation(k) for k in rows])
        total += mean_loss(forward(c, w, x)[0], y).item() * len(rows)
    return total / n


def train(o, c, w, data):
    matrices = [p for p in w.values() if p.shape[1] > 1]
    norms = [p for p in w.values() if p.shape[1] == 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": o.weight_decay},
            {"params": norms, "weight_decay": 0.0},
        ],
        betas=(0.9, 0.95),
        eps=1e-8,
    )
    loss = math.nan
    for step in range(1, o.steps + 1):
        optimizer.zero_grad()
        loss = 0.0
        for micro in range(o.accum):
            first = ((step - 1) * o.accum + micro) * o.batch
            rows = range(first, first + o.batch)
            x, y = batch_of([data.train(k) for k in rows])
            part = mean_loss(forward(c, w, x)[0], y) / o.accum
            part.backward()
            loss += part.item()
        norm = math.sqrt(
            sum((p.grad.double() ** 2).sum().item() for p in w.values())
        )
        if 0 < o.clip < norm:
            for p in w.values():
                p.grad *= o.clip / norm
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(o, step)
        optimizer.step()
        if step % 50 == 0 or step == 1:
            print(f"step {step} loss {loss:.4f} norm {norm:.3f}",
                  file=sys.stderr)
    return loss


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--run", required=True, help="folder with the start")
    a.add_argument("--data", nargs="+", required=True)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--steps", type=int, default=1000)
    a.add_argument("--batch", type=int, default=0)
    a.add_argument("--accum", type=int, default=1)
    a.add_argument("--seq", type=int, default=0)
    a.add_argument("--lr", type=float, default=0)
    a.add_argument("--lr-min", type=float, default=0.1)
    a.add_argument("--warmup", type=int, default=-1)
    a.add_argument("--weight-decay", type=float, default=0.1)
    a.add_argument("--clip", type=float, default=1.0)
    a.add_argument("--validation", type=float, default=0.1)
    a.add_argument("--eval-windows", type=int, default=64, help="0: all")
    a.add_argument("--threads", type=int, default=0)
    o = a.parse_args()
    if o.threads:
        torch.set_num_threads(o.threads)
    folder = pathlib.Path(o.run)
    c = json.loads((folder / "config.json").read_text())
    o.seq = o.seq or c["max_position_embeddings"]
    o.batch = o.batch or max(1, 1024 // o.seq)
    o.lr = o.lr or 5e-4 * 768 / c["hidden_size"]
    w = load_weights(folder / "model.safetensors", c)
    data = Windows(o.data, o.seq, o.seed, o.validation)
    start = validate(o, c, w, data)
    loss = train(o, c, w, data)
    print(json.dumps({
        "steps": o.steps,
        "tokens": o.steps * o.accum * o.batch * o.seq,
        "seed": o.seed,
        "loss": loss,
        "start_val_loss": start,
        "val_loss": validate(o, c, w, data),
    }))


if __name__ == "__main__":
    main()

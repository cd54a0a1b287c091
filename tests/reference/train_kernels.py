"""Loss and AdamW by PyTorch in fp64; writes train_kernels.inc beside itself.

Inputs are formulas, so that the C test makes the same ones.
"""
import pathlib
import numpy as np
import torch

V, N, SCALE = 257, 5, 1024.0
SIZE, STEPS = 12, 6


def numbers(name, values):
    rows = [f"    {x!r}," for x in np.asarray(values, dtype=np.float64).reshape(-1).tolist()]
    return f"static const double {name}[] = {{\n" + "\n".join(rows) + "\n};\n"


def loss():
    v, n = np.meshgrid(np.arange(V), np.arange(N), indexing="ij")
    x = torch.tensor(6.0 * np.sin(0.37 * v * (n + 1.0) + n), requires_grad=True)
    targets = torch.tensor([(31 * c + 7) % V for c in range(N)])
    nats = torch.nn.functional.cross_entropy(x.t(), targets, reduction="sum")
    (nats * SCALE).backward()
    rows = [0, 7, 100, 131, 256]
    return numbers("reference_nats", [nats.item()]) + numbers("reference_dlogits", x.grad[rows].numpy())


def adamw(decay):
    i = np.arange(SIZE)
    w = torch.nn.Parameter(torch.tensor(np.cos(1.7 * i)))
    optimizer = torch.optim.AdamW([w], lr=3e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=decay)
    for t in range(STEPS):
        # the gradient grows small along i, so that epsilon counts
        w.grad = torch.tensor(np.sin(0.9 * i + t) * 10.0 ** -(i * 0.75))
        optimizer.step()
    state = optimizer.state[w]
    return [w.detach().numpy(), state["exp_avg"].numpy(), state["exp_avg_sq"].numpy()]


out = "/* Made by train_kernels.py, torch " + torch.__version__ + ". */\n"
out += loss()
for name, decay in (("plain", 0.0), ("decay", 0.1)):
    for part, values in zip("wmv", adamw(decay)):
        out += numbers(f"adamw_{name}_{part}", values)
pathlib.Path(__file__).with_name("train_kernels.inc").write_text(out)

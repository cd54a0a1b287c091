#!/usr/bin/env python3
"""Writes cases.inc: ops, operands and results, computed by PyTorch in fp64.

    python3 tests/ops/cases.py > tests/ops/cases.inc

A case is an op, its tensor parameters, its constants as text, the operands and
the results. Operands are drawn so that no case lies at a kink (ties of max,
zeros of abs), because gradients are checked at the same points.
"""
import math
import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
DTYPES = {torch.float64: "AN_FP64", torch.bool: "AN_BOOL",
          torch.int32: "AN_INT32", torch.float16: "AN_FP16",
          torch.uint8: "AN_UINT8", torch.int8: "AN_INT8"}


def shape(t):
    dims = ", ".join(str(d) for d in t.shape) or "0"
    return "{%s, %d, {%s}}" % (DTYPES[t.dtype], t.dim(), dims)


def numbers(tensors):
    values = [float(x) for t in tensors for x in t.reshape(-1)]
    return ", ".join("(double)NAN" if math.isnan(x) else
                     ("-(double)INFINITY" if x < 0 else
                      "(double)INFINITY") if math.isinf(x)
                     else repr(x) for x in values) or "0"


def case(op, params, consts, inputs, outputs):
    if isinstance(outputs, torch.Tensor):
        outputs = [outputs]
    print('{"%s", "%s", "%s", %d, {%s}, (const double[]){%s}, %d,\n'
          ' {%s}, (const double[]){%s}},' %
          (op, params, consts, len(inputs), ", ".join(map(shape, inputs)) or "{AN_FP64, 0, {0}}",
           numbers(inputs), len(outputs), ", ".join(map(shape, outputs)),
           numbers(outputs)))


def rnd(*dims, low=-2.0, high=2.0):
    return torch.round(torch.rand(dims) * (high - low) + low, decimals=3)


def away(x, gap=0.05):
    """Moves values at least `gap` from 0."""
    return torch.where(x.abs() < gap, x.sign() * gap + x, x)


def unary(op, fn, x, consts=""):
    case(op, "x", consts, [x], fn(x))


def unaries():
    x = away(rnd(2, 3, 1, 4))
    for op, fn in [("identity", lambda x: x), ("relu", torch.relu),
                   ("sigmoid", torch.sigmoid), ("tanh", torch.tanh),
                   ("silu", F.silu), ("erf", torch.erf), ("exp", torch.exp),
                   ("exp2", torch.exp2), ("square", torch.square),
                   ("abs", torch.abs), ("sign", torch.sign),
                   ("floor", torch.floor), ("ceil", torch.ceil),
                   ("sin", torch.sin), ("cos", torch.cos)]:
        unary(op, fn, x)
        unary(op, fn, torch.tensor(0.75))
    unary("round", torch.round, torch.tensor([-2.5, -1.5, -0.4, 0.5, 1.5, 2.6]))
    positive = rnd(3, 5, low=0.3, high=3)
    unary("sqrt", torch.sqrt, positive)
    unary("log", torch.log, positive)
    unary("log", lambda x: torch.log(x + 0.25), positive, "epsilon=0.25")
    unary("rsqrt", lambda x: (x + 1e-12).rsqrt(), positive)
    unary("rsqrt", lambda x: (x + 0.5).rsqrt(), positive, "epsilon=0.5")
    unary("inverse", lambda x: 1 / (x + 1e-4), positive)
    unary("inverse", lambda x: 1 / (x + 0.5), positive, "epsilon=0.5")
    unary("sqrt", torch.sqrt, torch.tensor([0.0, -1.0, math.inf]))
    unary("relu", torch.relu, torch.tensor([math.nan, -math.inf, math.inf]))
    unary("sigmoid", torch.sigmoid, torch.tensor([-1000.0, 1000.0]))
    unary("gelu", F.gelu, x)
    unary("gelu", F.gelu, x, "mode=EXACT")
    unary("gelu", lambda x: F.gelu(x, approximate="tanh"), x,
          "mode=TANH_APPROXIMATION")
    unary("gelu", lambda x: x * torch.sigmoid(1.702 * x), x,
          "mode=SIGMOID_APPROXIMATION")
    unary("clip", lambda x: x.clamp(-0.7, 0.9), x, "alpha=-0.7 beta=0.9")
    unary("logical_not", torch.logical_not,
          torch.tensor([True, False, True]))


def binaries():
    pairs = [((2, 3), (2, 3)), ((2, 3, 4), (3, 1)), ((1, 4), (3, 2, 1)),
             ((2, 2), ()), ((), (3,))]
    for a, b in pairs:
        x, y = rnd(*a), rnd(*b)
        y = torch.where((x - y).abs().amin() < 0.01, y + 0.017, y)
        for op, fn in [("add", torch.add), ("sub", torch.sub),
                       ("mul", torch.mul), ("maximum", torch.maximum),
                       ("minimum", torch.minimum)]:
            case(op, "x y", "", [x, y], fn(x, y))
        z = away(y, 0.4)
        case("real_div", "x y", "", [x, z], x / z)
        p = rnd(*a, low=0.4, high=2)
        case("pow", "x y", "", [p, y], p ** y)
    x = torch.tensor([-7.0, 7.0, 7.5, -7.5])
    case("floor_div", "x y", "", [x, torch.tensor(2.0)], torch.floor(x / 2))
    i = torch.tensor([-7, 7, 8], dtype=torch.int32)
    two = torch.tensor([2], dtype=torch.int32)
    case("floor_div", "x y", "", [i, two],
         torch.div(i, two, rounding_mode="floor"))
    case("add", "x y", "", [i, two], i + two)
    x = torch.tensor([[1.0, 2.0], [3.0, math.nan]])
    y = torch.tensor([1.0, 3.0])
    for op, fn in [("equal", torch.eq), ("not_equal", torch.ne),
                   ("less", torch.lt), ("less_equal", torch.le),
                   ("greater", torch.gt), ("greater_equal", torch.ge)]:
        case(op, "x y", "", [x, y], fn(x, y))
    a, b = torch.tensor([[True], [False]]), torch.tensor([True, False])
    for op, fn in [("logical_and", torch.logical_and),
                   ("logical_or", torch.logical_or),
                   ("logical_xor", torch.logical_xor), ("equal", torch.eq)]:
        case(op, "x y", "", [a, b], fn(a, b))
    a, b = rnd(2, 3), rnd(3)
    c = torch.tensor([[True], [False]])
    case("select", "cond a b", "", [c, a, b], torch.where(c, a, b))


def pow_constants():
    x = rnd(2, 3, low=0.4, high=2)
    for p in [-0.5, 0.5, 2.0, 3.0]:
        case("pow", "x", "y=%r" % p, [x], x ** p)


def casts():
    x = torch.tensor([-1.75, 0.0, 2.5, 300.0, math.nan])
    case("cast", "x", "dtype=fp64", [x], x)
    case("cast", "x", "dtype=bool", [x], x != 0)
    case("cast", "x", "dtype=int32", [x],
         torch.tensor([-1, 0, 2, 300, 0], dtype=torch.int32))
    case("cast", "x", "dtype=int8", [x],
         torch.tensor([-1, 0, 2, 127, 0], dtype=torch.int8))
    case("cast", "x", "dtype=uint8", [x],
         torch.tensor([0, 0, 2, 255, 0], dtype=torch.uint8))
    b = torch.tensor([True, False])
    case("cast", "x", "dtype=fp64", [b], b.double())
    y = rnd(2, 2)
    case("cast", "x", "dtype=fp64", [y], y)
    case("cast", "x", "dtype=fp32", [y], y)
    case("fill", "", "shape=2,2 value=1.5", [], torch.full((2, 2), 1.5))
    case("const", "", "val=1.5", [], torch.tensor(1.5))


def reductions():
    x = rnd(2, 3, 4)
    ops = [("reduce_sum", lambda d, k: x.sum(d, keepdim=k)),
           ("reduce_mean", lambda d, k: x.mean(d, keepdim=k)),
           ("reduce_max", lambda d, k: x.amax(d, keepdim=k)),
           ("reduce_min", lambda d, k: x.amin(d, keepdim=k)),
           ("reduce_sum_square", lambda d, k: (x * x).sum(d, keepdim=k)),
           ("reduce_log_sum_exp", lambda d, k: x.logsumexp(d, keepdim=k))]
    for op, fn in ops:
        for axes, d in [("axes=1", (1,)), ("axes=-1", (2,)),
                        ("axes=0,2", (0, 2)), ("", (0, 1, 2))]:
            case(op, "x", axes + " keep_dims=true", [x], fn(d, True))
            case(op, "x", axes, [x], fn(d, False))
    x4 = rnd(1, 5, 1, 3)
    case("reduce_sum", "x", "axes=1 keep_dims=true", [x4],
         x4.sum(1, keepdim=True))


def contractions():
    t = lambda m: m.transpose(-1, -2)
    for bx, by in [((), ()), ((1, 1), (1, 1)), ((2,), (2,)), ((2, 3), (3,)),
                   ((2, 1), (1, 3)), ((), (2,)), ((2, 2), ())]:
        for tx in (False, True):
            for ty in (False, True):
                x = rnd(*bx, *((3, 2) if tx else (2, 3)))
                y = rnd(*by, *((4, 3) if ty else (3, 4)))
                case("matmul", "x y", "transpose_x=%s transpose_y=%s" %
                     (str(tx).lower(), str(ty).lower()), [x, y],
                     (t(x) if tx else x) @ (t(y) if ty else y))
    for x, y in [(rnd(3), rnd(3, 2)), (rnd(2, 3), rnd(3)), (rnd(3), rnd(3)),
                 (rnd(2, 4, 3), rnd(3)), (rnd(3), rnd(2, 3, 4))]:
        case("matmul", "x y", "", [x, y], x @ y)
    w, b = rnd(4, 3), rnd(4)
    for dims in [(3,), (2, 3), (2, 2, 3)]:
        x = rnd(*dims)
        case("linear", "x weight", "", [x, w], F.linear(x, w))
        case("linear", "x weight bias", "", [x, w, b], F.linear(x, w, b))


def convolutions():
    def go(x, w, b, text="", stride=1, pad=0, dilation=1, groups=1, crop=None):
        fn = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[x.dim()]
        padded = F.pad(x, pad) if isinstance(pad, tuple) else x
        y = fn(padded, w, b, stride, 0, dilation, groups)
        ins = [x, w] + ([b] if b is not None else [])
        case("conv", "x weight" + (" bias" if b is not None else ""), text,
             ins, y)
    go(rnd(2, 3, 1, 4), rnd(5, 3, 1, 1), None)
    go(rnd(1, 3, 2, 4), rnd(2, 3, 1, 1), rnd(2))
    go(rnd(2, 3, 4), rnd(2, 3, 1), rnd(2))
    go(rnd(1, 2, 5), rnd(3, 2, 3), None)
    go(rnd(2, 2, 5, 6), rnd(3, 2, 3, 2), rnd(3))
    go(rnd(1, 2, 6, 7), rnd(3, 2, 3, 2), None, "strides=2,3", (2, 3))
    go(rnd(1, 2, 5, 4), rnd(2, 2, 3, 3), None,
       "pad_type=custom pad=1,2,0,1", pad=(0, 1, 1, 2))
    go(rnd(1, 2, 5, 5), rnd(2, 2, 3, 3), None, "pad_type=same",
       pad=(1, 1, 1, 1))
    go(rnd(1, 1, 6, 6), rnd(2, 1, 3, 3), None,
       "pad_type=same strides=2,2", (2, 2), (0, 1, 0, 1))
    go(rnd(1, 1, 6, 6), rnd(2, 1, 3, 3), None,
       "pad_type=same_lower strides=2,2", (2, 2), (1, 0, 1, 0))
    go(rnd(1, 2, 7, 8), rnd(2, 2, 2, 3), None,
       "dilations=2,3 strides=2,1", (2, 1), dilation=(2, 3))
    go(rnd(2, 4, 3, 3), rnd(6, 2, 2, 2), rnd(6), "groups=2", groups=2)
    go(rnd(1, 3, 4), rnd(3, 1, 2), None, "groups=3 pad_type=custom pad=1,1",
       pad=(1, 1), groups=3)
    go(rnd(1, 2, 3, 3), rnd(2, 2, 1, 1), None,
       "pad_type=custom pad=1,0,0,2", pad=(0, 2, 1, 0))
    go(rnd(1, 2, 5, 5), rnd(2, 2, 1, 1), None, "strides=2,2", (2, 2))
    go(rnd(1, 1, 3, 3, 3), rnd(2, 1, 2, 2, 2), None)


def norms():
    x = rnd(2, 3, 4)
    for axis in (-1, 0, 1):
        case("softmax", "x", "axis=%d" % axis, [x], x.softmax(axis))
    case("softmax", "x", "", [x], x.softmax(-1))
    big = torch.tensor([1000.0, 1.0, 2.0, -1e4])
    case("softmax", "x", "", [big], big.softmax(-1))
    g, b = rnd(4), rnd(4)
    case("layer_norm", "x", "axes=-1", [x], F.layer_norm(x, (4,)))
    case("layer_norm", "x gamma beta", "axes=2 epsilon=0.01", [x, g, b],
         F.layer_norm(x, (4,), g, b, 0.01))
    g, b = rnd(3, 4), rnd(3, 4)
    case("layer_norm", "x gamma", "axes=1,2", [x, g],
         F.layer_norm(x, (3, 4), g))
    case("layer_norm", "x beta", "axes=1,2", [x, b],
         F.layer_norm(x, (3, 4), None, b))
    g = rnd(2, 4)  # axes that are not the last ones
    n = x.permute(1, 0, 2)
    y = F.layer_norm(n, (2, 4), g).permute(1, 0, 2)
    case("layer_norm", "x gamma", "axes=0,2", [x, g], y)
    case("layer_norm", "x", "", [x], F.layer_norm(x, (2, 3, 4)))


def movements():
    x = rnd(2, 3, 4)
    case("reshape", "x", "shape=4,6", [x], x.reshape(4, 6))
    case("reshape", "x", "shape=0,-1,2", [x], x.reshape(2, 6, 2))
    case("expand_dims", "x", "axes=0,-1", [x], x[None, ..., None])
    case("expand_dims", "x", "axes=2", [x], x[:, :, None])
    s = rnd(1, 2, 1)
    case("squeeze", "x", "", [s], s.squeeze())
    case("squeeze", "x", "axes=-1,1", [s], s.squeeze(-1))
    case("transpose", "x", "perm=2,0,1", [x], x.permute(2, 0, 1))
    case("transpose", "x", "perm=0,-1,1", [x], x.permute(0, 2, 1))
    a, b, c = rnd(2, 1, 3), rnd(2, 2, 3), rnd(2, 3, 3)
    case("concat", "values", "axis=1 interleave=false", [a, b, c],
         torch.cat([a, b, c], 1))
    d = rnd(2, 2, 3)
    case("concat", "values", "axis=1 interleave=true", [b, d],
         torch.stack([b, d], 2).reshape(2, 4, 3))
    case("concat", "values", "axis=-1 interleave=true", [b, d, b],
         torch.stack([b, d, b], 3).reshape(2, 2, 9))
    case("concat", "values", "axis=0", [a], a)
    for axis in (0, 1, -1):
        case("stack", "values", "axis=%d" % axis, [b, d],
             torch.stack([b, d], axis))
    case("split", "x", "num_splits=2 axis=2", [x], x.split(2, 2))
    case("split", "x", "split_sizes=1,2 axis=1", [x], x.split([1, 2], 1))
    case("slice_by_size", "x", "begin=0,1,2 size=2,1,-1", [x],
         x[:, 1:2, 2:])
    case("slice_by_size", "x", "begin=0,-2,0 size=1,2,4", [x], x[:1, 1:])
    x = rnd(3, 4, 5)
    case("slice_by_index", "x", "begin=1,0,1 end=3,4,-1", [x], x[1:, :, 1:-1])
    case("slice_by_index", "x", "begin=0,1,0 end=3,4,5 stride=2,3,2", [x],
         x[::2, 1::3, ::2])
    case("slice_by_index", "x", "begin=0,-1,4 end=3,-4,0 stride=1,-1,-2", [x],
         x.flip(1)[:, :3].flip(2)[:, :, ::2][:, :, :2])
    case("slice_by_index", "x", "begin=1,9,2 end=0,0,4 "
         "begin_mask=false,true,false end_mask=true,true,false", [x],
         x[1:, :, 2:4])
    case("slice_by_index", "x", "begin=0,1,2 end=3,2,3 "
         "squeeze_mask=false,true,true", [x], x[:, 1, 2])
    case("slice_by_index", "x", "begin=0,0,0 end=0,0,0 stride=-1,1,-2 "
         "begin_mask=true,true,true end_mask=true,true,true", [x],
         x.flip(0).flip(2)[:, :, ::2])
    case("slice_by_index", "x", "begin=0,0,-1 end=3,4,0 stride=1,1,1 "
         "end_mask=false,false,true", [x], x[:, :, -1:])
    x = rnd(2, 3, 4)
    case("pad", "x", "pad=1,2", [x], F.pad(x, (1, 2)))
    case("pad", "x", "pad=0,1,2,0 mode=constant constant_val=0.5", [x],
         F.pad(x, (2, 0, 0, 1), value=0.5))
    case("pad", "x", "pad=1,0,0,0,0,0", [x], F.pad(x, (0, 0, 0, 0, 1, 0)))
    case("pad", "x", "pad=2,1,3,2 mode=reflect", [x[None]],
         F.pad(x[None], (3, 2, 2, 1), mode="reflect"))
    case("pad", "x", "pad=1,2,2,1 mode=replicate", [x[None]],
         F.pad(x[None], (2, 1, 1, 2), mode="replicate"))
    case("tile", "x", "reps=2,1,3", [x], x.repeat(2, 1, 3))
    case("tile", "x", "reps=1,2,1", [x], x.repeat(1, 2, 1))
    i = torch.tensor([[2, -1, 0]], dtype=torch.int32)
    case("gather", "x indices", "axis=1", [x, i], x[:, i.long()])
    case("gather", "x indices", "", [x, torch.tensor([1], dtype=torch.int32)],
         x[1:])
    j = torch.tensor([[0, 2], [1, 1]], dtype=torch.int32)
    case("gather", "x indices", "axis=1 batch_dims=1", [x, j],
         torch.stack([x[k, j[k].long()] for k in range(2)]))
    case("gather", "x indices", "axis=2 batch_dims=1", [x, j],
         torch.stack([x[k][:, j[k].long()] for k in range(2)]))


def ramps():
    x = away(rnd(2, 3, 1, 4, low=-8.0, high=8.0))
    hard = lambda x, a, b: (a * x + b).clamp(0, 1)
    unary("relu6", F.relu6, x)
    unary("leaky_relu", lambda x: F.leaky_relu(x, 0.1), x, "alpha=0.1")
    unary("clamped_relu", lambda x: torch.where(x >= 0, x, 0.3 * x).clamp(
        max=1.5), x, "alpha=0.3 beta=1.5")
    unary("clamped_relu", lambda x: torch.where(x >= 0, x, 0.3 * x).clamp(
        max=-0.5), x, "alpha=0.3 beta=-0.5")
    unary("thresholded_relu", lambda x: torch.where(x >= 0.7, x, 0.0), x,
          "alpha=0.7")
    unary("threshold", lambda x: x.clamp(min=0.7), x, "alpha=0.7")
    unary("linear_activation", lambda x: 1.5 * x - 0.25, x,
          "alpha=1.5 beta=-0.25")
    unary("sigmoid_hard", lambda x: hard(x, 0.2, 0.5), x, "alpha=0.2 beta=0.5")
    for x in (x, rnd(2, 3, 4)):
        a, b = rnd(3), rnd(3)
        by = lambda a: a.reshape(3, *[1] * (x.dim() - 2))
        if x.dim() == 3:
            a = torch.full((3,), 0.25)
        case("prelu", "x alpha", "", [x, a], F.prelu(x, a))
        case("softplus_parametric", "x alpha beta", "", [x, a, b],
             by(a) * F.softplus(by(b) * x, threshold=1000))


def curves():
    x = away(rnd(2, 3, 1, 4))
    unary("softplus", lambda x: F.softplus(x, threshold=1000), x * 8)
    unary("softplus", lambda x: F.softplus(x, threshold=1e9),
          torch.tensor([-1000.0, 1000.0]))
    unary("softsign", F.softsign, x)
    unary("elu", lambda x: F.elu(x, 0.7), x, "alpha=0.7")
    unary("scaled_tanh", lambda x: 1.7 * torch.tanh(0.6 * x), x,
          "alpha=1.7 beta=0.6")
    small = away(rnd(2, 5, low=-0.9, high=0.9))
    for op, fn in [("tan", torch.tan), ("asin", torch.asin),
                   ("acos", torch.acos), ("atanh", torch.atanh)]:
        unary(op, fn, small)
    for op, fn in [("atan", torch.atan), ("sinh", torch.sinh),
                   ("cosh", torch.cosh)]:
        unary(op, fn, x)
    x, y = rnd(2, 3), torch.tensor([1.7, -0.6, 0.9])
    case("mod", "x y", "", [x, y], torch.remainder(x, y))
    i = torch.tensor([-7, 7, 8, -8], dtype=torch.int32)
    n = torch.tensor([3, -3, 3, 4], dtype=torch.int32)
    case("mod", "x y", "", [i, n], torch.remainder(i, n))


def quantised():
    q = torch.tensor([[-128, 127, 3], [0, -5, 9]], dtype=torch.int8)
    u = torch.tensor([[0, 255, 3], [7, 1, 9]], dtype=torch.uint8)
    half, scales = torch.tensor(0.5), torch.tensor([0.5, 2.0])
    zero, zeros = torch.tensor(3, dtype=torch.int8), torch.tensor(
        [1, -2], dtype=torch.int8)
    names = "quantized_data scale zero_point"
    affine = "constexpr_affine_dequantize@16"
    case(affine, names, "axis=0", [q, half, zero], 0.5 * (q.double() - 3))
    per = scales[:, None] * (q.double() - zeros.double()[:, None])
    case(affine, names, "axis=0", [q, scales, zeros], per)
    case(affine, names, "axis=-1", [
        u, torch.tensor([1.0, 2.0, 0.25]), torch.tensor(4, dtype=torch.uint8)],
        torch.tensor([1.0, 2.0, 0.25]) * (u.double() - 4))
    case("dequantize", "input scale", "", [q, half], 0.5 * q.double())
    case("dequantize", "input scale zero_point", "axis=0", [q, scales, zeros],
         per)
    x = torch.tensor([[0.25, 0.75, -1000.0], [1.3, -2.6, 400.0]])
    fit = lambda y, lo, hi: y.round().clamp(lo, hi)
    case("quantize", "input scale", "output_dtype=int8", [x, half],
         fit(x / 0.5, -128, 127).to(torch.int8))
    case("quantize", "input scale zero_point", "axis=0 output_dtype=int8",
         [x, scales, zeros],
         fit((x / scales[:, None]).round() + zeros.double()[:, None], -128,
             127).to(torch.int8))
    case("quantize", "input scale zero_point", "output_dtype=uint8",
         [x, half, torch.tensor(3, dtype=torch.uint8)],
         fit((x / 0.5).round() + 3, 0, 255).to(torch.uint8))
    d, s, o = q.repeat(2, 2), rnd(2, 3), torch.tensor(
        [[1, 2, 3], [4, 5, 6]], dtype=torch.int8)
    wide = lambda t: t.double().repeat_interleave(2, 0).repeat_interleave(2, 1)
    block = "constexpr_blockwise_shift_scale"
    case(block, "data scale", "", [d, s], wide(s) * d.double())
    case(block, "data scale offset", "", [d, s, o],
         wide(s) * (d.double() - wide(o)))
    for op in ("constexpr_cast@16", "constexpr_cast@18"):
        h = torch.tensor([1.5, -2.0], dtype=torch.float16)
        case(op, "source_val", "output_dtype=fp32", [h], h.double())


def forms():
    x = rnd(2, 3, 4)
    b = torch.tensor([True, False])
    case("cast@15", "x", "dtype=fp64", [b], b.double())
    case("cast@15", "x", "dtype=fp32", [x], x)
    unary("clip@15", lambda x: x.clamp(-0.7, 0.9), x, "alpha=-0.7 beta=0.9")
    unary("clip@16", lambda x: x.clamp(0.5, 0.5), x[0, :0 + 1],
          "alpha=0.5 beta=0.5")
    y, w, c = rnd(1, 2, 5), rnd(3, 2, 3), rnd(3)
    case("conv@16", "x weight bias", "", [y, w, c], F.conv1d(y, w, c))
    i = torch.tensor([2, -1], dtype=torch.int32)
    case("gather@15", "x indices", "axis=1", [x, i], x[:, i.long()])
    case("gather@16", "x indices", "axis=1 batch_dims=1",
         [x, i[:, None]], torch.stack([x[0, 2:], x[1, 2:]]))
    k = torch.tensor([[[2, -1, 0, 1]], [[0, 0, 1, 2]]], dtype=torch.int32)
    for op in ("gather_along_axis@15", "gather_along_axis"):
        case(op, "x indices", "axis=1", [x, k],
             x.gather(1, k.long() % 3))
        case(op, "x indices", "axis=-1", [x[:, :1], k],
             x[:, :1].gather(2, k.long() % 4))
    case("fill_like", "ref_tensor", "value=0.5", [x],
         torch.full((2, 3, 4), 0.5))


def attentions():
    op, names = "scaled_dot_product_attention", "query key value"
    sdpa = F.scaled_dot_product_attention
    q, k, v = rnd(2, 2, 3, 4), rnd(2, 2, 5, 4), rnd(2, 2, 5, 2)
    case(op, names, "", [q, k, v], sdpa(q, k, v))
    case(op, names, "", [q[0], k[0], v[0]], sdpa(q[0], k[0], v[0]))
    m = rnd(3, 5)
    case(op, names + " attn_mask", "", [q, k, v, m], sdpa(q, k, v, m))
    m = rnd(2, 1, 1, 5)
    case(op, names + " attn_mask", "", [q, k, v, m], sdpa(q, k, v, m))
    b = torch.ones(3, 5).tril(1).bool()
    case(op, names + " attn_mask", "", [q, k, v, b], sdpa(q, k, v, b))
    g, h = k[:, :1], v[:, :1]
    case(op, names, "", [q, g, h], sdpa(q, g.expand(2, 2, 5, 4),
                                        h.expand(2, 2, 5, 2)))


def pools():
    x = rnd(1, 2, 5, 7)
    l2 = lambda t, k, s: torch.sqrt(F.avg_pool2d(t * t, k, s) * k[0] * k[1])
    valid, custom = "pad_type=valid", "pad_type=custom"
    case("max_pool", "x", "kernel_sizes=2,3 strides=2,2 " + valid, [x],
         F.max_pool2d(x, (2, 3), 2))
    case("max_pool", "x", "kernel_sizes=3,3 pad=1,1,1,1 " + custom, [x],
         F.max_pool2d(x, 3, 1, 1))
    case("max_pool", "x", "kernel_sizes=2,2 strides=3,2 ceil_mode=true " +
         valid, [x], F.max_pool2d(x, 2, (3, 2), ceil_mode=True))
    case("max_pool", "x", "kernel_sizes=3,3 strides=2,2 pad_type=same", [x],
         F.max_pool2d(F.pad(x, (1, 1, 1, 1), value=-math.inf), 3, 2))
    case("max_pool", "x", "kernel_sizes=3 " + valid, [x[0]],
         F.max_pool1d(x[0], 3, 1))
    case("avg_pool", "x", "kernel_sizes=2,3 strides=2,2 " + valid, [x],
         F.avg_pool2d(x, (2, 3), 2))
    for inside in (True, False):
        case("avg_pool", "x", "kernel_sizes=3,3 strides=2,2 pad=1,1,1,1 "
             "exclude_padding_from_average=%s " % str(inside).lower() + custom,
             [x], F.avg_pool2d(x, 3, 2, 1, count_include_pad=not inside))
    case("avg_pool", "x", "kernel_sizes=2,2,2 " + valid, [x[None]],
         F.avg_pool3d(x[None], 2, 1))
    case("l2_pool", "x", "kernel_sizes=2,3 strides=1,2 " + valid, [x],
         l2(x, (2, 3), (1, 2)))


def moves():
    x = rnd(2, 3, 4)
    case("flatten2d", "x", "", [x], x.reshape(2, 12))
    case("flatten2d", "x", "axis=-1", [x], x.reshape(6, 4))
    case("flatten2d", "x", "axis=3", [x], x.reshape(24, 1))
    case("reverse", "x", "axes=0,-1", [x], x.flip(0, 2))
    case("reverse", "x", "", [x], x.flip(0, 1, 2))
    case("crop", "x", "crop_height=1,0 crop_width=1,2", [x], x[:, 1:, 1:2])
    z = away(x, 0.2)
    ops = [("reduce_l1_norm", lambda x, d, k: x.abs().sum(d, keepdim=k), z),
           ("reduce_l2_norm", lambda x, d, k: (x * x).sum(
               d, keepdim=k).sqrt(), z),
           ("reduce_log_sum", lambda x, d, k: x.sum(d, keepdim=k).log(),
            z.abs()),
           ("reduce_prod", lambda x, d, k: (x.prod(1, keepdim=True) if d == (
               1,) else x.prod(0, keepdim=True).prod(
                   1, keepdim=True).prod(2, keepdim=True)).reshape(
                       x.sum(d, keepdim=k).shape), z)]
    for op, fn, a in ops:
        for axes, d in [("axes=1", (1,)), ("", (0, 1, 2))]:
            case(op, "x", axes + " keep_dims=true", [a], fn(a, d, True))
            case(op, "x", axes, [a], fn(a, d, False))
    t = torch.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 0.0]])
    first = lambda x, d, k, pick: torch.from_numpy(
        pick(x.numpy(), d, keepdims=k)).int()
    for op, pick in (("reduce_argmax", np.argmax), ("reduce_argmin",
                                                    np.argmin)):
        for name in (op, op + "@15"):
            case(name, "x", "", [t], first(t, -1, False, pick))
            case(name, "x", "axis=0 keep_dims=true", [t],
                 first(t, 0, True, pick))


print("/* Written by cases.py: op, tensor parameters, constants, operands, "
      "results. */")
for part in (unaries, binaries, pow_constants, casts, reductions, contractions,
             convolutions, norms, movements, ramps, curves, quantised, forms, attentions,
             pools, moves):
    part()

/*
 * The suite: what is asked of an engine. A row is a probe in the short form of
 * probe.h. Questions are those that docs/numerics.md and docs/rules.md leave
 * open, and the values of every core op; the names group them.
 */
#include "capture/probe.h"

#define BITS "in x bits 1 64 1 1024; "
#define PAIRS "in x special_x 1 64 1 1024; in y special_y 1 64 1 1024; "

/* A function of one operand on every fp16 pattern: its table, point by point.
 */
#define TABLE(op, more)                                                        \
    {                                                                          \
        AN_PROBE_VALUES, "table/" #op, "the function on all 65536 patterns",   \
            BITS "z = " #op "(x = x" more ")"                                  \
    }
/* A function of two operands on all pairs of 256 chosen values. */
#define PAIR(op)                                                               \
    {                                                                          \
        AN_PROBE_VALUES, "pair/" #op,                                          \
            "the function on pairs of special values",                         \
            PAIRS "z = " #op "(x = x, y = y)"                                  \
    }
#define COMPARE(op)                                                            \
    {                                                                          \
        AN_PROBE_VALUES, "pair/" #op, "the comparison of special values",      \
            PAIRS "c = " #op "(x = x, y = y); z = cast(x = c, dtype = 'fp16')" \
    }
#define LOGIC(op)                                                              \
    {                                                                          \
        AN_PROBE_VALUES, "pair/" #op, "logic on comparisons",                  \
            PAIRS "a = greater(x = x, y = 1.0); b = less(x = y, y = 2.0); "    \
                  "c = " #op "(x = a, y = b); z = cast(x = c, dtype = 'fp16')" \
    }
/* A reduction over 256 channels, over a row, and of equal special values. */
#define REDUCE(op)                                                             \
    {AN_PROBE_VALUES, "reduce/" #op "/channels", "how 256 channels are added", \
     "in x normal:1 1 256 1 64; "                                              \
     "z = reduce_" #op "(x = x, axes = [1], keep_dims = true)"},               \
        {AN_PROBE_VALUES, "reduce/" #op "/height", "how 128 rows are added",   \
         "in x normal:1 1 32 128 32; "                                         \
         "z = reduce_" #op "(x = x, axes = [2], keep_dims = true)"},           \
    {                                                                          \
        AN_PROBE_VALUES, "reduce/" #op "/special",                             \
            "32 equal special values: overflow, NaN, infinity",                \
            "in x special_y 1 32 1 256; "                                      \
            "z = reduce_" #op "(x = x, axes = [1], keep_dims = true)"          \
    }
#define ARG(op)                                                                \
    {                                                                          \
        AN_PROBE_VALUES, "reduce/" #op, "which of equal values is found",      \
            "in x list:1,7,3,7,-2 1 1 64 32; "                                 \
            "i = reduce_" #op "(x = x, axis = -1, keep_dims = true, "          \
            "output_dtype = 'int32'); z = cast(x = i, dtype = 'fp16')"         \
    }
/* One sum of products: x [1, K] times y, the same in all 32 columns. */
#define SUM(name, asks, x, y)                                                  \
    {                                                                          \
        AN_PROBE_VALUES, "sum/" name, asks,                                    \
            "in x " x " 1 1 1 32; in y " y " 1 1 32 32; "                      \
            "z = matmul(x = x, y = y, transpose_x = false, transpose_y = "     \
            "true)"                                                            \
    }
/* Convolutions: channels out, in, and what the kernel is. */
#define CONV(name, asks, x, w, more)                                           \
    {                                                                          \
        AN_PROBE_VALUES, "conv/" name, asks,                                   \
            "in x normal:1 " x "; const w normal:0.1 " w "; "                  \
            "z = conv(x = x, weight = w, " more ")"                            \
    }
#define POINTWISE                                                              \
    "strides = [1, 1], pad_type = 'valid', pad = [0, 0, 0, 0], "               \
    "dilations = [1, 1], groups = 1"
#define MATMUL(name, asks, x, y, transposes)                                   \
    {                                                                          \
        AN_PROBE_VALUES, "matmul/" name, asks,                                 \
            "in x normal:1 " x "; in y normal:0.5 " y "; "                     \
            "z = matmul(x = x, y = y, " transposes ")"                         \
    }
#define PLAIN "transpose_x = false, transpose_y = false"
/* Moves keep patterns: every one of them passes. A move alone is refused
 * so that another op stands before it. */
#define MOVE(name, form)                                                       \
    {                                                                          \
        AN_PROBE_VALUES, "move/" name, "are patterns kept",                    \
            "in x bits 1 64 32 32; " form                                      \
    }
#define POOL(op, more)                                                         \
    {                                                                          \
        AN_PROBE_VALUES, "pool/" #op, "how a window is reduced",               \
            "in x normal:2 1 64 32 64; z = " #op                               \
            "(x = x, kernel_sizes = [2, 2], strides = [1, 2], pad_type = "     \
            "'custom', "                                                       \
            "pad = [0, 1, 0, 0], " more "ceil_mode = false)"                   \
    }
// clang-format off
static const an_probe suite[] = {
    TABLE(relu, ""), TABLE(sigmoid, ""), TABLE(tanh, ""), TABLE(silu, ""),
    {AN_PROBE_VALUES, "table/gelu_exact", "the function on all 65536 patterns",
     BITS "z = gelu(x = x, mode = 'EXACT')"},
    {AN_PROBE_VALUES, "table/gelu_tanh", "the same table as exact?",
     BITS "z = gelu(x = x, mode = 'TANH_APPROXIMATION')"},
    {AN_PROBE_VALUES, "table/gelu_sigmoid", "the same table as exact?",
     BITS "z = gelu(x = x, mode = 'SIGMOID_APPROXIMATION')"},
    TABLE(erf, ""), TABLE(exp, ""), TABLE(exp2, ""), TABLE(sqrt, ""),
    TABLE(log, ", epsilon = 0.0"), TABLE(rsqrt, ", epsilon = 0.0"),
    TABLE(inverse, ", epsilon = 0.0001"),
    TABLE(sin, ""), TABLE(cos, ""), TABLE(tan, ""), TABLE(asin, ""),
    TABLE(acos, ""), TABLE(atan, ""), TABLE(sinh, ""), TABLE(cosh, ""),
    TABLE(atanh, ""), TABLE(softplus, ""), TABLE(softsign, ""),
    TABLE(relu6, ""), TABLE(elu, ", alpha = 1.0"),
    TABLE(leaky_relu, ", alpha = 0.1"), TABLE(threshold, ", alpha = 0.5"),
    TABLE(thresholded_relu, ", alpha = 0.5"),
    TABLE(clamped_relu, ", alpha = 0.1, beta = 6.0"),
    TABLE(linear_activation, ", alpha = 0.3, beta = 0.7"),
    TABLE(sigmoid_hard, ", alpha = 0.2, beta = 0.5"),
    TABLE(scaled_tanh, ", alpha = 1.5, beta = 0.5"),
    TABLE(clip, ", alpha = -3.0, beta = 2.5"),
    TABLE(square, ""), TABLE(abs, ""), TABLE(sign, ""), TABLE(floor, ""),
    TABLE(ceil, ""), TABLE(round, ""), TABLE(identity, ""),
    {AN_PROBE_VALUES, "table/prelu", "the function on all 65536 patterns",
     BITS "const a normal:0.5 64; z = prelu(x = x, alpha = a)"},
    {AN_PROBE_VALUES, "table/softplus_parametric",
     "the function on all 65536 patterns",
     BITS "const a full:1.5 64; const b full:0.5 64; "
     "z = softplus_parametric(x = x, alpha = a, beta = b)"},
    {AN_PROBE_VALUES, "table/to_int", "how casts to integers round",
     BITS "i = cast(x = x, dtype = 'int32'); z = cast(x = i, dtype = 'fp16')"},
    {AN_PROBE_VALUES, "table/silu_fused", "mul(x, sigmoid(x)) is silu's table",
     BITS "s = sigmoid(x = x); z = mul(x = x, y = s)"},
    {AN_PROBE_VALUES, "table/silu_read_twice",
     "a sigmoid with a second reader is not fused",
     BITS "s = sigmoid(x = x); z = mul(x = x, y = s); out s z"},

    PAIR(add), PAIR(sub), PAIR(mul), PAIR(real_div), PAIR(floor_div),
    PAIR(mod), PAIR(pow), PAIR(maximum), PAIR(minimum),
    COMPARE(equal), COMPARE(not_equal), COMPARE(less), COMPARE(less_equal),
    COMPARE(greater), COMPARE(greater_equal),
    LOGIC(logical_and), LOGIC(logical_or), LOGIC(logical_xor),
    {AN_PROBE_VALUES, "pair/logical_not", "logic on comparisons",
     PAIRS "a = greater(x = x, y = y); c = logical_not(x = a); "
     "z = cast(x = c, dtype = 'fp16')"},
    {AN_PROBE_VALUES, "pair/select", "are patterns kept",
     PAIRS "c = greater(x = x, y = y); z = select(cond = c, a = x, b = y)"},

    REDUCE(sum), REDUCE(mean), REDUCE(max), REDUCE(min), REDUCE(sum_square),
    REDUCE(log_sum_exp), REDUCE(l1_norm), REDUCE(l2_norm), REDUCE(log_sum),
    REDUCE(prod), ARG(argmax), ARG(argmin),
    {AN_PROBE_VALUES, "softmax/row", "is exp its table; is the sum rounded",
     "in x normal:4 1 16 64 64; z = softmax(x = x, axis = -1)"},
    {AN_PROBE_VALUES, "softmax/channels", "the same over channels",
     "in x normal:4 1 64 1 64; z = softmax(x = x, axis = 1)"},
    {AN_PROBE_VALUES, "softmax/masked", "a finite mask of -1e4",
     "in x list:1,2,3,-10000 1 4 32 32; z = softmax(x = x, axis = -1)"},
    {AN_PROBE_VALUES, "norm/layer_norm", "over channels",
     "in x normal:3 1 64 1 64; const g normal:1 64; const b normal:1 64; "
     "z = layer_norm(x = x, axes = [1], gamma = g, beta = b, epsilon = 0.00001)"},

    SUM("limit", "32760 rounds to 32768 and is finite", "put:32752,8", "full:1"),
    SUM("over", "32768 is infinite", "put:32752,16", "full:1"),
    SUM("sticky", "does an infinite sum come back", "put:32752,16,-64", "full:1"),
    SUM("before", "in which order products arrive", "put:-64,32752,16", "full:1"),
    SUM("between", "in which order products arrive", "put:16,-64,32752", "full:1"),
    SUM("far", "in which order products arrive, far apart",
        "put:32752,0,0,0,0,0,0,0,0,0,0,16,0,0,0,0,0,0,0,0,-64",
        "full:1"),
    SUM("lost", "products below 2^-17 vanish however many",
        "full:0.00390625", "full:0.0009765625"),
    SUM("half", "half a step of 2^-16 rounds away",
        "full:0.00390625", "full:0.00390625"),
    SUM("tie", "ties away from zero or to even", "put:2048,1", "full:1"),
    SUM("tie_down", "the same of a negative sum", "put:-2048,-1", "full:1"),
    SUM("denormal", "denormal operands keep their value",
        "put:0.00000005960464477539063", "full:32768"),
    SUM("cancel", "large terms that cancel keep small ones",
        "put:16384,1,-16384", "full:1"),
    SUM("zero", "the sign of a zero sum", "put:1,-1", "full:-1"),
    {AN_PROBE_VALUES, "sum/lanes", "4096 + 1024 x 1 (M1 is said to lose ones)",
     "in a put:4096 1 1 1 1056; in o full:1 1 1 1 1056; "
     "x = maximum(x = a, y = o); in y full:1 1 1 32 1056; "
     "z = matmul(x = x, y = y, transpose_x = false, transpose_y = true)"},
    {AN_PROBE_VALUES, "sum/patterns", "every pattern as an operand, times 1",
     "in x bits 1 1 2048 32; in y diagonal:1 1 1 32 32; "
     "z = matmul(x = x, y = y, " PLAIN ")"},
    {AN_PROBE_VALUES, "sum/small", "every pattern as an operand, times 2^-10",
     "in x bits 1 1 2048 32; in y diagonal:0.0009765625 1 1 32 32; "
     "z = matmul(x = x, y = y, " PLAIN ")"},
    {AN_PROBE_VALUES, "sum/bias", "when the bias is added",
     "in x full:1 1 32 1 32; const w full:1024 32 32 1 1; "
     "const b list:-8,8,0.5,-32752 32; "
     "z = conv(x = x, weight = w, bias = b, " POINTWISE ")"},
    {AN_PROBE_VALUES, "sum/scaled", "is a constant scale folded into weights",
     "in x normal:1 1 64 1 64; const w normal:0.1 64 64 1 1; "
     "y = conv(x = x, weight = w, " POINTWISE "); z = mul(x = y, y = 0.3)"},

    CONV("64", "64 x 64", "1 64 1 64", "64 64 1 1", POINTWISE),
    CONV("256", "256 x 256", "1 256 1 128", "256 256 1 1", POINTWISE),
    CONV("768", "3072 x 768", "1 768 1 64", "3072 768 1 1", POINTWISE),
    CONV("3x3", "a 3 x 3 kernel, padded", "1 32 32 32", "32 32 3 3",
         "strides = [1, 1], pad_type = 'custom', pad = [1, 1, 1, 1], "
         "dilations = [1, 1], groups = 1"),
    CONV("stride", "stride 2", "1 32 32 64", "32 32 3 3",
         "strides = [2, 2], pad_type = 'custom', pad = [1, 1, 1, 1], "
         "dilations = [1, 1], groups = 1"),
    CONV("dilated", "dilation 2", "1 32 32 32", "32 32 3 3",
         "strides = [1, 1], pad_type = 'custom', pad = [2, 2, 2, 2], "
         "dilations = [2, 2], groups = 1"),
    CONV("groups", "4 groups", "1 64 1 64", "64 16 1 1",
         "strides = [1, 1], pad_type = 'valid', pad = [0, 0, 0, 0], "
         "dilations = [1, 1], groups = 4"),
    {AN_PROBE_VALUES, "conv/large", "sums of magnitude 100",
     "in x normal:10 1 256 1 64; const w normal:0.6 256 256 1 1; "
     "z = conv(x = x, weight = w, " POINTWISE ")"},
    {AN_PROBE_VALUES, "conv/tiny", "gradients of 1e-4 by weights of 1e-2",
     "in x normal:0.0001 1 256 1 64; const w normal:0.01 256 256 1 1; "
     "z = conv(x = x, weight = w, " POINTWISE ")"},
    MATMUL("64", "64 x 64", "1 4 64 64", "1 4 64 64", PLAIN),
    MATMUL("512", "512 x 512", "1 1 512 512", "1 1 512 64", PLAIN),
    MATMUL("left", "x transposed", "1 4 64 64", "1 4 64 64",
           "transpose_x = true, transpose_y = false"),
    MATMUL("right", "y transposed", "1 4 64 64", "1 4 64 64",
           "transpose_x = false, transpose_y = true"),
    MATMUL("both", "both transposed", "1 4 64 64", "1 4 64 64",
           "transpose_x = true, transpose_y = true"),
    MATMUL("broadcast", "one right operand for four", "2 4 32 64",
           "2 1 64 32", PLAIN),
    {AN_PROBE_VALUES, "matmul/linear", "linear with a bias",
     "in x normal:1 1 1 32 64; const w normal:0.1 64 64; const b normal:1 64; "
     "z = linear(x = x, weight = w, bias = b)"},
    {AN_PROBE_VALUES, "matmul/attention", "what attention is made of",
     "in a normal:1 1 4 64 64; in b normal:1 1 4 64 64; in c normal:1 1 4 64 64; "
     "z = scaled_dot_product_attention(query = a, key = b, value = c)"},

    MOVE("reshape", "z = reshape(x = x, shape = [1, 32, 64, 32])"),
    MOVE("transpose", "z = transpose(x = x, perm = [0, 2, 1, 3])"),
    MOVE("transpose_last", "z = transpose(x = x, perm = [0, 1, 3, 2])"),
    MOVE("expand_dims", "y = reshape(x = x, shape = [64, 32, 32]); "
                        "z = expand_dims(x = y, axes = [0])"),
    MOVE("squeeze", "y = squeeze(x = x, axes = [0]); "
                    "z = reshape(x = y, shape = [1, 64, 32, 32])"),
    MOVE("flatten2d", "y = flatten2d(x = x, axis = 2); "
                      "z = reshape(x = y, shape = [1, 64, 32, 32])"),
    MOVE("concat", "z = concat(values = (x, x), axis = 1, interleave = false)"),
    MOVE("interleave", "z = concat(values = (x, x), axis = 1, interleave = true)"),
    MOVE("stack", "y = reshape(x = x, shape = [64, 32, 32]); "
                  "z = stack(values = (y, y), axis = 0)"),
    MOVE("split", "a, b = split(x = x, split_sizes = [16, 48], axis = 1); "
                  "out a b"),
    MOVE("slice", "z = slice_by_size(x = x, begin = [0, 8, 0, 0], "
                  "size = [1, 32, 32, 32])"),
    MOVE("slice_columns",
         "y = slice_by_size(x = x, begin = [0, 0, 0, 8], size = [1, 64, 32, 16]); "
         "z = concat(values = (y, y), axis = 3, interleave = false)"),
    MOVE("slice_stride",
         "z = slice_by_index(x = x, begin = [0, 1, 0, 0], end = [1, 64, 32, 32], "
         "stride = [1, 2, 1, 1])"),
    MOVE("reverse", "z = reverse(x = x, axes = [1])"),
    MOVE("crop", "z = crop(x = x, crop_height = [1, 3], crop_width = [0, 0])"),
    MOVE("pad", "z = pad(x = x, pad = [0, 0, 0, 0, 1, 2, 0, 0], "
                "mode = 'constant', constant_val = 0.5)"),
    MOVE("tile", "z = tile(x = x, reps = [1, 2, 1, 1])"),
    MOVE("gather", "z = gather(x = x, indices = [5, 0, 63, 7], axis = 1, "
                   "batch_dims = 0, validate_indices = false)"),
    MOVE("gather_along_axis",
         "const i int32:list:3,1,2,0 1 4 32 32; "
         "z = gather_along_axis(x = x, indices = i, axis = 1, "
         "validate_indices = false)"),
    MOVE("fill", "f = fill(shape = [1, 64, 32, 32], value = 1.5); "
                 "z = maximum(x = x, y = f)"),
    MOVE("fill_like", "f = fill_like(ref_tensor = x, value = 1.5); "
                      "z = maximum(x = x, y = f)"),
    POOL(max_pool, ""),
    POOL(avg_pool, "exclude_padding_from_average = true, "),
    POOL(l2_pool, ""),

    {AN_PROBE_VALUES, "quantized/affine", "how int8 weights become fp16",
     "in x full:1 1 32 1 32; const q int8:list:-128,-7,0,5,127 32 32 1 1; "
     "const s normal:0.1 32; const o int8:full:3; "
     "w = constexpr_affine_dequantize(quantized_data = q, scale = s, "
     "zero_point = o, axis = 0); z = conv(x = x, weight = w, " POINTWISE ")"},
    {AN_PROBE_VALUES, "quantized/blockwise", "how int8 blocks become fp16",
     "in x full:1 1 32 1 32; const q int8:list:-128,-7,0,5,127 32 32 1 1; "
     "const s normal:0.1 32 2 1 1; "
     "w = constexpr_blockwise_shift_scale(data = q, scale = s); "
     "z = conv(x = x, weight = w, " POINTWISE ")"},
    {AN_PROBE_VALUES, "quantized/round_trip", "how activations become int8",
     "in x normal:20 1 64 1 64; const s full:0.5; "
     "q = quantize(input = x, scale = s, output_dtype = 'int8'); "
     "z = dequantize(input = q, scale = s)"},
    {AN_PROBE_VALUES, "quantized/constant_cast", "a constant's cast",
     "in x full:1 1 32 1 32; const c normal:1 1 32 1 32; "
     "w = constexpr_cast(source_val = c, output_dtype = 'fp32'); "
     "h = cast(x = w, dtype = 'fp16'); z = mul(x = x, y = h)"},

    {AN_PROBE_VALUES, "binding/inputs", "which surface is which input (R-30)",
     "in z full:1 1 64 1 64; in a full:1 1 64 1 64; in m full:1 1 64 1 64; "
     "z1 = mul(x = z, y = 1.0); a2 = mul(x = a, y = 2.0); m4 = mul(x = m, y = 4.0); "
     "s = add(x = z1, y = a2); t = add(x = s, y = m4); out t"},
    {AN_PROBE_VALUES, "binding/outputs", "which surface is which output (R-31)",
     "in x ramp 1 64 1 64; z = mul(x = x, y = 1.0); a = mul(x = x, y = 2.0); "
     "m = mul(x = x, y = 4.0); out z a m"},

    {AN_PROBE_RELOAD, "reload/conv",
     "loaded again with negated weights, without a compile: are they used",
     "in x normal:1 1 64 1 64; const w normal:0.1 64 64 1 1; "
     "z = conv(x = x, weight = w, " POINTWISE ")"},
    {AN_PROBE_SPEED, "speed/dispatch", "the least that an evaluation takes",
     "in x normal:1 1 512 1 64; z = relu(x = x)"},
    {AN_PROBE_SPEED, "speed/conv_512", "multiply-adds a second",
     "in x normal:1 1 512 1 512; const w normal:0.05 512 512 1 1; "
     "z = conv(x = x, weight = w, " POINTWISE ")"},
    {AN_PROBE_SPEED, "speed/matmul_512", "the same with streamed weights",
     "in w normal:0.05 1 1 512 512; in x normal:1 1 1 512 512; "
     "z = matmul(x = w, y = x, " PLAIN ")"},
    {AN_PROBE_SPEED, "speed/add_1m", "bytes a second",
     "in x normal:1 1 64 128 128; in y normal:1 1 64 128 128; "
     "z = add(x = x, y = y)"},
};
// clang-format on

/* Programs that break one rule: what does the engine answer? The bad ones of
 * tests/rules that an engine can be asked (tests/unit/test_capture.c). */
static const an_probe rules[] = {
#include "capture/rules.inc"
};

const an_probe *an_probe_at(int i)
{
    const int n = sizeof suite / sizeof *suite;
    const int n_rules = sizeof rules / sizeof *rules;
    if (i < 0 || i >= n + n_rules) return NULL;
    return i < n ? &suite[i] : &rules[i - n];
}

/*
 * The numerics `hw` through the engine: what real engines returned for single
 * products and sums, and what only some chips do. That every fast step returns
 * the bits of the reference kernels is in test_engine and test_engine_run.
 */
#include "engine_case.h"

#include <stdlib.h>

/* ---- single results of real engines: tests/data/hw/mac_probes.csv ---- */

enum { MOST = 8 };
typedef struct probe {
    char chip[8], path[8];
    double x[MOST], w[MOST], bias, out;
    int n;
} probe;

static int numbers_of(char *text, double *out)
{
    int n = 0;
    for (char *p = strtok(text, ";"); p && n < MOST; p = strtok(NULL, ";"))
        out[n++] = strtod(p, NULL);
    return n;
}

/* chip,path,x,w,bias,out,source; x and w are lists between semicolons. */
static bool read_probe(char *line, probe *p)
{
    char *field[6];
    for (int i = 0; i < 6; i++) {
        field[i] = line;
        line = strchr(line, ',');
        if (!line) return false;
        *line++ = 0;
    }
    if (strcmp(field[0], "chip") == 0) return false;
    *p = (probe){.bias = strtod(field[4], NULL), .out = strtod(field[5], NULL)};
    snprintf(p->chip, sizeof p->chip, "%s", field[0]);
    snprintf(p->path, sizeof p->path, "%s", field[1]);
    p->n = numbers_of(field[2], p->x);
    assert_int_equal(numbers_of(field[3], p->w), p->n);
    return true;
}

#define HEAD                                                                   \
    "program(1.3)\n[buildInfo = dict<string, string>({{\"coremlc-version\", "  \
    "\"3600.25.1\"}})]\n{\n"                                                   \
    "    func main<ios18>("

/* Inputs x and w; the bias is a constant, as convolutions want it. */
static void probe_text(const probe *p, char *out, size_t size)
{
    if (strcmp(p->path, "mac") != 0) {
        snprintf(out, size,
                 HEAD "tensor<fp16, [1, 1, 1, 1]> x, tensor<fp16, [1, 1, 1, "
                      "1]> w) {\ntensor<fp16, [1, 1, 1, 1]> y = %s(x = x, "
                      "y = w)[name = string(\"y\")];\n} -> (y);\n}",
                 p->path);
        return;
    }
    snprintf(out, size,
             HEAD "tensor<fp16, [1, %d, 1, 1]> x, tensor<fp16, [1, %d, 1, 1]> "
                  "w) {\ntensor<fp16, [1]> b = const()[name = string(\"b\"), "
                  "val = tensor<fp16, [1]>([%a])];\n"
                  "tensor<fp16, [1, 1, 1, 1]> y = conv(x = x, weight = w, "
                  "bias = b)[name = string(\"y\")];\n} -> (y);\n}",
             p->n, p->n, p->bias);
}

/* Evaluates a program whose inputs are n fp16 values each. */
static void evaluate(const char *engine, const char *text, int n,
                     double *const *inputs, int n_inputs, case_tensor *out)
{
    engine_case c = {.name = text};
    uint16_t bits[2][8];
    case_tensor in[CASE_PORTS] = {{.n = 0}};
    for (int i = 0; i < n_inputs; i++) {
        in[i].bytes = bits[i];
        for (int k = 0; k < n; k++)
            bits[i][k] = an_half_from_double(inputs[i][k]);
    }
    an_engine_options o = {
        .name = engine, .numerics = AN_NUMERICS_HW, .threads = 1};
    case_run_text(&c, text, strlen(text), &o, in, out);
}

static void probes(void **state)
{
    (void)state;
    char line[512], text[1024];
    int n = 0, same = 0;
    FILE *file = fopen("tests/data/hw/mac_probes.csv", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        probe p;
        case_tensor out;
        if (line[0] == '#' || !read_probe(line, &p)) continue;
        probe_text(&p, text, sizeof text);
        evaluate(strcmp(p.chip, "M4") == 0 ? "soft:m4" : "soft:m6", text, p.n,
                 (double *[]){p.x, p.w}, 2, &out);
        double came = case_load(AN_FP16, out.bytes, 0);
        an_free(out.bytes);
        n++;
        if (came == p.out)
            same++;
        else
            print_error("mac_probes row %d: expected %.9g, came %.9g\n", n,
                        p.out, came);
    }
    fclose(file);
    print_message("# figure: mac_probes through the engine: %d of %d rows\n",
                  same, n);
    assert_int_equal(n, 113);
    assert_int_equal(same, 113);
}

/* ---- what only some chips do ---- */

static const char slices[] =
    HEAD "tensor<fp16, [2, 4]> x) {\n"
         "tensor<int32, [2]> b = const()[name = string(\"b\"), "
         "val = tensor<int32, [2]>([0, 1])];\n"
         "tensor<int32, [2]> s = const()[name = string(\"s\"), "
         "val = tensor<int32, [2]>([2, 3])];\n"
         "tensor<fp16, [2, 3]> y = slice_by_size(x = x, begin = b, size = s)"
         "[name = string(\"y\")];\n} -> (y);\n}";

/* Values above 4094 are lost behind the first column, on M1 and M2. */
static void slices_have_gain(void **state)
{
    (void)state;
    static const struct {
        const char *engine;
        double large;
    } cases[] = {{"soft:m1", HUGE_VAL},
                 {"soft:m2", HUGE_VAL},
                 {"soft:m3", 4096},
                 {"soft:m4", 4096}};
    double x[8] = {5000, 4094, 4096, 1, 5000, -4096, 0x1p-24, -4094};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double large = cases[i].large, came;
        double want[6] = {x[1], large, x[3], -large, x[6], x[7]};
        case_tensor out;
        evaluate(cases[i].engine, slices, 8, (double *[]){x}, 1, &out);
        for (size_t k = 0; k < 6; k++)
            if ((came = case_load(AN_FP16, out.bytes, k)) != want[k])
                fail_msg("%s: y[%zu] is %g, expected %g", cases[i].engine, k,
                         came, want[k]);
        an_free(out.bytes);
    }
}

static const char literals[] = HEAD
    "tensor<fp16, [2]> x) {\n"
    "tensor<fp16, [1, 2]> w = const()[name = string(\"w\"), "
    "val = tensor<fp16, [1, 2]>([0x1p-16, 0x1p+0])];\n"
    "tensor<fp16, [2, 1]> c = reshape(x = x, shape = tensor<int32, [2]>"
    "([2, 1]))[name = string(\"c\")];\n"
    "tensor<fp16, [1, 1]> y = matmul(x = w, y = c)[name = string(\"y\")];\n"
    "} -> (y);\n}";

/* A literal below 2^-14 is 0 on M5, where a surface's value is not. */
static void small_literals_are_lost(void **state)
{
    (void)state;
    static const struct {
        const char *engine;
        double y;
    } cases[] = {{"soft:m5", 0x1p-16}, {"soft:m4", 0.25 + 0x1p-16}};
    double x[2] = {16384, 0x1p-16};
    for (int i = 0; i < 2; i++) {
        case_tensor out;
        evaluate(cases[i].engine, literals, 2, (double *[]){x}, 1, &out);
        double want = an_half_to_double(an_half_from_double(cases[i].y));
        assert_true(case_load(AN_FP16, out.bytes, 0) == want);
        an_free(out.bytes);
    }
}

/* ---- fusion ---- */

/* x sigmoid(x) is silu's table; with a sigmoid that is a result as well it is
 * not. At 0.08203 a real engine returned 0.0465 to 0.0651; the true value is
 * 0.0427. Source: christopherkarani/Espresso's captures. */
static void sigmoid_times_x_is_silu(void **state)
{
    (void)state;
    static const char text[] =
        HEAD "tensor<fp16, [1]> x) {\n"
             "tensor<fp16, [1]> s = sigmoid(x = x)[name = string(\"s\")];\n"
             "tensor<fp16, [1]> y = mul(x = s, y = x)[name = string(\"y\")];\n"
             "} -> (y";
    char program[512];
    double x = 0.08203;
    for (int both = 0; both < 2; both++) {
        case_tensor out[2];
        snprintf(program, sizeof program, "%s%s);\n}", text, both ? ", s" : "");
        evaluate("soft", program, 1, (double *[]){&x}, 1, out);
        double y = case_load(AN_FP16, out[0].bytes, 0);
        assert_true(both ? y < 0.0435 : y > 0.0465 && y < 0.0651);
        for (int i = 0; i <= both; i++)
            an_free(out[i].bytes);
    }
}

static void hw_needs_a_chip(void **state)
{
    (void)state;
    an_engine *e;
    an_error err = {0};
    an_engine_options o = {.name = "cpu", .numerics = AN_NUMERICS_HW};
    assert_int_equal(an_engine_open(&o, &e, &err), AN_EINVAL);
    assert_string_equal(err.text,
                        "numerics hw needs a chip, engine cpu has none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probes),
        cmocka_unit_test(slices_have_gain),
        cmocka_unit_test(small_literals_are_lost),
        cmocka_unit_test(sigmoid_times_x_is_silu),
        cmocka_unit_test(hw_needs_a_chip),
    };
    return cmocka_run_group_tests_name("engine hw", tests, NULL, NULL);
}

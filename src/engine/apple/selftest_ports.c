/*
 * Ports: how many a program may have, of which sizes, which symbol each is, and
 * where its rows lie. Values are whole numbers below 2048, exact in fp16
 * whatever the engine accumulates in.
 */
#include "engine/apple/selftest.h"

#include "base/half.h"
#include "engine/apple/selftest_parts.h"

#include <math.h>
#include <string.h>

/* ---- order of symbols, number of ports ---- */

bool an_selftest_inputs(double element, const int assumed[3], int symbols[3])
{
    if (!(element >= 0 && element < 512) || element != floor(element))
        return false;
    int sum = (int)element, read[3] = {sum % 8, sum / 8 % 8, sum / 64};
    bool seen[4] = {false};
    for (int i = 0; i < 3; i++) {
        if (read[i] < 1 || read[i] > 3 || seen[read[i]]) return false;
        seen[read[i]] = true;
    }
    for (int i = 0; i < 3; i++)
        symbols[i] = assumed[read[i] - 1];
    return true;
}

an_found_order an_selftest_order(const int *symbols, int n)
{
    static const int by_name[][3] = {{1, 0}, {2, 0, 1}}; /* y b; z a m */
    bool named = true, declared = true;
    for (int i = 0; i < n; i++) {
        named = named && symbols[i] == by_name[n - 2][i];
        declared = declared && symbols[i] == i;
    }
    return named      ? AN_ORDER_BY_NAME
           : declared ? AN_ORDER_DECLARED
                      : AN_ORDER_OTHER;
}

static const an_symbol *symbols_of(const an_session *s, an_port_side side)
{
    return ((const an_apple_program *)s->program)->loaded->symbols[side];
}

/* Compares what was computed with what was assumed. */
static an_status judge_order(an_test *t, const an_session *s, double first,
                             double second)
{
    const an_symbol *in = symbols_of(s, AN_INPUT);
    const an_symbol *out = symbols_of(s, AN_OUTPUT);
    const int assumed[3] = {in[0].index, in[1].index, in[2].index};
    int inputs[3], outputs[2] = {out[0].index, out[1].index};
    bool swapped = first >= 1024;
    double y = swapped ? second : first, b = swapped ? first : second;
    if (b != y + 1024 || !an_selftest_inputs(y, assumed, inputs))
        return an_test_fail(t, "a sum of three inputs is none of any order");
    if (swapped) {
        outputs[0] = out[1].index;
        outputs[1] = out[0].index;
    }
    t->out->inputs = an_selftest_order(inputs, 3);
    t->out->outputs = an_selftest_order(outputs, 2);
    bool right = !swapped && memcmp(inputs, assumed, sizeof inputs) == 0;
    bool told = in[0].told && out[0].told;
    t->out->table = !told   ? AN_TABLE_SILENT
                    : right ? AN_TABLE_RIGHT
                            : AN_TABLE_WRONG;
    return AN_OK;
}

/* A text of three inputs and two outputs, in the order that is said. */
// clang-format off
#define SUM(in0, in1, in2, out0, out1)                                         \
    AN_MIL_HEAD AN_MIL_SMALL " " in0 ", " AN_MIL_SMALL " " in1 ", "            \
    AN_MIL_SMALL " " in2 ") {\n        "                                       \
    AN_MIL_HALF("c8", "0x1p+3") AN_MIL_HALF("c64", "0x1p+6")                   \
    AN_MIL_HALF("c1024", "0x1p+10")                                            \
    AN_MIL_SMALL " a8 = mul(x = a, y = c8)" AN_MIL_NAME("a8")                  \
    AN_MIL_SMALL " m64 = mul(x = m, y = c64)" AN_MIL_NAME("m64")               \
    AN_MIL_SMALL " za = add(x = z, y = a8)" AN_MIL_NAME("za")                  \
    AN_MIL_SMALL " y = add(x = za, y = m64)" AN_MIL_NAME("y")                  \
    AN_MIL_SMALL " b = add(x = y, y = c1024)" AN_MIL_NAME("b")                 \
    "} -> (" out0 ", " out1 ");\n}\n"
// clang-format on

/* Runs a text of n inputs that hold 1, 2, 3 and two outputs, whose values go to
 * out. A refusal is noted, and is no failure: *ran is false. */
static an_status run_ports(an_test *t, const char *text, int n, an_session *s,
                           double out[2], bool *ran, const char *about)
{
    an_error refused = {0};
    an_status status = an_test_open(t, text, NULL, s, &refused);
    for (int i = 0; i < n && status == AN_OK; i++)
        status = an_test_fill(s, i, i + 1, &refused);
    if (status == AN_OK) status = an_request_run(s->request, &refused);
    for (int i = 0; i < 2 && status == AN_OK; i++)
        status = an_test_read(s, i, &out[i], &refused);
    *ran = status == AN_OK;
    if (status == AN_OK) return AN_OK;
    an_test_note(t, about, &refused);
    if (an_test_refused(t, status)) return AN_OK;
    *t->err = refused;
    return status;
}

/* Several inputs give 0x1d (maderix/ANE), or work when all surfaces of a side
 * have one size (mechramc/Orion), or always (tmc/apple, True2456/qwen-ane). The
 * names ascend, so that every claim about order is satisfied. */
an_status an_ask_ports(an_test *t)
{
    // clang-format off
    static const char sizes[] =
        AN_MIL_HEAD AN_MIL_SMALL " a, " AN_MIL_LARGE " b) {\n        "
        AN_MIL_SMALL " c = add(x = a, y = a)" AN_MIL_NAME("c")
        AN_MIL_LARGE " d = add(x = b, y = b)" AN_MIL_NAME("d")
        "} -> (c, d);\n}\n";
    static const char equal[] = SUM("a", "m", "z", "b", "y");
    // clang-format on
    an_session s = {0};
    double out[2];
    bool ran = false;
    an_status status =
        run_ports(t, sizes, 2, &s, out, &ran, "ports of two sizes");
    bool told = ran && symbols_of(&s, AN_INPUT)->told;
    an_session_close(&s);
    t->out->table = told ? AN_TABLE_RIGHT : AN_TABLE_SILENT;
    if (status != AN_OK || (ran && out[0] == 2 && out[1] == 4)) return status;
    status = run_ports(t, equal, 3, &s, out, &ran, "three inputs");
    an_session_close(&s);
    bool well = ran && out[1] == 3 + 8 + 128 && out[0] == out[1] + 1024;
    t->out->ports = well ? AN_PORTS_EQUAL : AN_PORTS_ONE;
    return status;
}

/* Alphabetical (mechramc/Orion, of inputs), declared (most clients), or by the
 * program's table (tmc/apple, True2456/qwen-ane). */
an_status an_ask_order(an_test *t)
{
    static const char text[] = SUM("z", "a", "m", "y", "b");
    an_session s = {0};
    double out[2];
    bool ran = false;
    t->out->inputs = t->out->outputs = AN_ORDER_REFUSED;
    if (t->out->ports == AN_PORTS_ONE) return AN_OK;
    an_status status =
        run_ports(t, text, 3, &s, out, &ran, "names that do not ascend");
    if (ran) status = judge_order(t, &s, out[0], out[1]);
    an_session_close(&s);
    return status;
}

/* ---- rows ---- */

static bool are_rows(const uint16_t *out, size_t n, int rows, int width,
                     int from, int to)
{
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < width; i++) {
            size_t at = (size_t)(r * to + i);
            double want = 2.0 * (r * from + i);
            if (at >= n || an_half_to_double(out[at]) != want) return false;
        }
    return true;
}

an_found_rows an_selftest_rows(const uint16_t *out, size_t n, int rows,
                               int width)
{
    int aligned = (width + 31) / 32 * 32;
    if (are_rows(out, n, rows, width, aligned, aligned)) return AN_ROWS_ALIGNED;
    if (are_rows(out, n, rows, width, width, width)) return AN_ROWS_PACKED;
    return AN_ROWS_OTHER;
}

enum { ROWS = 8, WIDTH = 16, NAN_BITS = 0x7e00 };

static an_status write_ramp(an_session *s, an_error *err)
{
    void *in = NULL, *out = NULL;
    an_status status = an_surface_lock(s->surfaces[0], AN_LOCK_WRITE, &in, err);
    if (status != AN_OK) return status;
    uint16_t *halves = in;
    for (size_t i = 0; i < an_surface_size(s->surfaces[0]) / 2; i++)
        halves[i] = an_half_from_double((double)(i % 1024));
    an_surface_unlock(s->surfaces[0], AN_LOCK_WRITE);
    status = an_surface_lock(s->surfaces[1], AN_LOCK_WRITE, &out, err);
    if (status != AN_OK) return status;
    halves = out;
    for (size_t i = 0; i < an_surface_size(s->surfaces[1]) / 2; i++)
        halves[i] = NAN_BITS;
    an_surface_unlock(s->surfaces[1], AN_LOCK_WRITE);
    return AN_OK;
}

/* Rows at multiples of 64 bytes (tmc/apple, jafreck/ironmill), packed
 * (mechramc/Orion), or refused (skyfallsin's guide, christopherkarani). */
an_status an_ask_rows(an_test *t)
{
    // clang-format off
    static const char text[] =
        AN_MIL_HEAD AN_MIL_T("[1, 8, 1, 16]") " x) {\n        "
        AN_MIL_T("[1, 8, 1, 16]") " y = add(x = x, y = x)" AN_MIL_NAME("y")
        "} -> (y);\n}\n";
    // clang-format on
    an_session s = {0};
    an_error refused = {0};
    void *out = NULL;
    an_status status = an_test_open(t, text, NULL, &s, &refused);
    if (status == AN_OK) status = write_ramp(&s, &refused);
    if (status == AN_OK) status = an_request_run(s.request, &refused);
    if (status == AN_OK)
        status = an_surface_lock(s.surfaces[1], AN_LOCK_READ, &out, &refused);
    if (status == AN_OK) {
        t->out->rows = an_selftest_rows(out, an_surface_size(s.surfaces[1]) / 2,
                                        ROWS, WIDTH);
        an_surface_unlock(s.surfaces[1], AN_LOCK_READ);
    } else if (an_test_refused(t, status)) {
        an_test_note(t, "narrow rows", &refused);
        t->out->rows = AN_ROWS_REFUSED;
        status = AN_OK;
    } else {
        *t->err = refused;
    }
    an_session_close(&s);
    return status;
}

/*
 * What the questions of the self-test share, and the questions, one file each
 * but the first. An answer goes to `out`; AN_OK is every answer, a refusal
 * too. Only a machine that failed us (no memory, a call that hangs, a program
 * that computes nonsense) is an error.
 */
#ifndef AN_ENGINE_APPLE_SELFTEST_PARTS_H
#define AN_ENGINE_APPLE_SELFTEST_PARTS_H

#include "engine/apple/apple.h"
#include "engine/session.h"

/* Pieces of MIL text. */
#define AN_MIL_HEAD                                                            \
    "program(1.3)\n[buildInfo = dict<string, string>({{\"coremlc-version\", "  \
    "\"3510.2.1\"}})]\n{\n    func main<ios18>("
#define AN_MIL_T(shape) "tensor<fp16, " shape ">"
#define AN_MIL_SMALL AN_MIL_T("[1, 64, 1, 64]")
#define AN_MIL_LARGE AN_MIL_T("[1, 64, 1, 1024]")
#define AN_MIL_NAME(n) "[name = string(\"" n "\")];\n        "
/* Constants are ops of their own, as coremltools prints them. */
#define AN_MIL_CONST(type, n, value)                                           \
    type " " n " = const()[name = string(\"" n "\"), val = " value             \
         "];\n        "
#define AN_MIL_HALF(n, value) AN_MIL_CONST("fp16", n, "fp16(" value ")")

typedef struct an_test {
    an_engine *engine;
    an_framework *fw;
    an_findings *out;
    an_error *err;
} an_test;

an_status an_ask_ports(an_test *t);
an_status an_ask_order(an_test *t);
an_status an_ask_rows(an_test *t);
an_status an_ask_reload(an_test *t);
an_status an_ask_places(an_test *t);

an_status an_test_fail(an_test *t, const char *what);
/* Did the framework refuse, as against a machine that failed us? */
bool an_test_refused(const an_test *t, an_status s);
/* Keeps the reason of a refusal, for people. */
void an_test_note(const an_test *t, const char *about, const an_error *refused);
/* A session of the text; blob: NULL or one. The caller closes it. */
an_status an_test_open(const an_test *t, const char *text, const an_blob *blob,
                       an_session *out, an_error *err);
/* Every element of input i gets the value. */
an_status an_test_fill(an_session *s, int i, double value, an_error *err);
/* The one value that all elements of output i have; NAN: they differ. */
an_status an_test_read(an_session *s, int i, double *value, an_error *err);

#endif

/*
 * The self-test as a whole: opens an engine for itself, asks, keeps the
 * answers.
 */
#include "engine/apple/selftest.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/apple/selftest_parts.h"

#include <stdio.h>
#include <string.h>

/* ---- does it run at all? ---- */

/* Rectified values are exact, and 64 KB of width 64 satisfy every claim about
 * sizes at once. */
static an_status ask_whether_it_runs(an_test *t)
{
    // clang-format off
    static const char text[] =
        AN_MIL_HEAD AN_MIL_T("[1, 512, 1, 64]") " x) {\n        "
        AN_MIL_T("[1, 512, 1, 64]") " y = relu(x = x)" AN_MIL_NAME("y")
        "} -> (y);\n}\n";
    // clang-format on
    an_session s = {0};
    double up = 0, down = 1;
    an_status status = an_test_open(t, text, NULL, &s, t->err);
    if (status == AN_OK) status = an_test_fill(&s, 0, 1025, t->err);
    if (status == AN_OK) status = an_request_run(s.request, t->err);
    if (status == AN_OK) status = an_test_read(&s, 0, &up, t->err);
    if (status == AN_OK) status = an_test_fill(&s, 0, -3, t->err);
    if (status == AN_OK) status = an_request_run(s.request, t->err);
    if (status == AN_OK) status = an_test_read(&s, 0, &down, t->err);
    an_session_close(&s);
    if (status != AN_OK) an_fail_context(t->err, "self-test");
    if (status == AN_OK && (up != 1025 || down != 0))
        status = an_test_fail(t, "relu computes something else");
    return status;
}

/* ---- the test ---- */

static an_status subject_of(void *ctx, an_error *err)
{
    void *const *both = ctx;
    const an_objc *o = both[0];
    void *pool = an_pool_push(o);
    an_status s = an_subject_of(o, both[1], err);
    an_pool_pop(o, pool);
    return s;
}

static an_status ask_all(an_test *t)
{
    static an_status (*const asks[])(an_test *) = {
        ask_whether_it_runs, an_ask_ports,  an_ask_order,
        an_ask_rows,         an_ask_reload, an_ask_places};
    an_status s = AN_OK;
    for (size_t i = 0; i < sizeof asks / sizeof *asks && s == AN_OK; i++)
        s = asks[i](t);
    return s;
}

an_status an_selftest(const char *engine, an_findings *out, an_subject *subject,
                      an_error *err)
{
    char name[160];
    an_findings findings = {0};
    an_test t = {.out = &findings, .err = err};
    double started = an_clock();
    snprintf(name, sizeof name, "%.100s,rules=off,compiles=0,live=0", engine);
    an_engine_options options = {
        .name = name, .numerics = AN_NUMERICS_IEEE, .threads = 1};
    an_status s = an_engine_open(&options, &t.engine, err);
    if (s != AN_OK) return s;
    t.fw = ((an_apple *)t.engine)->fw;
    t.fw->found = findings; /* a verdict of before is not believed */
    void *both[] = {&t.fw->objc, subject};
    s = subject_of(both, err);
    if (s == AN_OK) s = ask_all(&t);
    an_engine_close(t.engine);
    findings.seconds = an_clock() - started;
    if (s == AN_OK) s = an_verdict_save(subject, &findings, err);
    if (s == AN_OK) *out = findings;
    return s;
}

static bool is_apple(const char *engine)
{
    size_t n = strcspn(engine, ",");
    return (n == 5 && strncmp(engine, "apple", 5) == 0) ||
           (n == 4 && strncmp(engine, "auto", 4) == 0 && an_apple_is_own());
}

an_status an_selftest_recall(an_findings *out, an_subject *subject,
                             an_error *err)
{
    an_objc *o = an_alloc(sizeof *o);
    void *both[] = {o, subject};
    if (!o) return an_fail(err, AN_ENOMEM, "self-test: no memory");
    an_status s = an_objc_open(o, err);
    if (s == AN_OK) s = an_objc_check(o, err);
    if (s == AN_OK) s = subject_of(both, err);
    if (s == AN_OK) s = an_verdict_load(subject, out, err);
    an_free(o);
    return s;
}

bool an_selftest_is_due(const char *engine)
{
    an_subject subject;
    an_findings f;
    if (!is_apple(engine)) return false;
    an_status s = an_selftest_recall(&f, &subject, NULL);
    return s == AN_EIO || s == AN_EFORMAT;
}

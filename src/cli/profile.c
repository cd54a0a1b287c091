/*
 * Seconds are kept by step, evaluations side by side, so that a median is the
 * middle of a sorted row.
 */
#include "cli/profile.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

typedef struct line {
    an_profiled_step step;
    int index;
    double seconds;
} line;

an_status an_times_open(an_request *r, an_timing timing, int n, an_times *out,
                        an_error *err)
{
    an_profiled_step step;
    *out = (an_times){.capacity = n};
    if (timing == AN_TIME_STEPS) {
        an_status s = an_request_profile(r, err);
        if (s != AN_OK) return s;
        while (an_request_step(r, out->n_steps, &step))
            out->n_steps++;
    }
    out->seconds = an_alloc_array((size_t)out->n_steps + 1,
                                  (size_t)n * sizeof *out->seconds);
    if (out->seconds == NULL)
        return an_fail(err, AN_ENOMEM, "no memory for %d times", n);
    return AN_OK;
}

void an_times_close(an_times *t)
{
    an_free(t->seconds);
    *t = (an_times){0};
}

static double *row(const an_times *t, int step)
{
    return t->seconds + (size_t)step * (size_t)t->capacity;
}

void an_times_note(an_times *t, const an_request *r)
{
    an_profiled_step step = {0};
    if (t->n == t->capacity) return;
    for (int i = 0; i < t->n_steps && an_request_step(r, i, &step); i++)
        row(t, i)[t->n] = step.seconds;
    row(t, t->n_steps)[t->n++] = an_request_seconds(r);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const an_times *t, int step)
{
    double *values = row(t, step);
    if (t->n == 0) return 0;
    qsort(values, (size_t)t->n, sizeof *values, by_value);
    return (values[(t->n - 1) / 2] + values[t->n / 2]) / 2;
}

static int slowest_first(const void *a, const void *b)
{
    const line *x = a, *y = b;
    if (x->seconds != y->seconds) return x->seconds < y->seconds ? 1 : -1;
    return x->index - y->index;
}

/* "matmul y, add z and 3 more"; what a step without ops does is to copy. */
static void print_ops(FILE *out, const an_profiled_step *step)
{
    enum { SHOWN = 3 };
    for (int i = 0; i < step->n_ops && i < SHOWN; i++)
        fprintf(out, "%s%s %s", i > 0 ? ", " : "", step->ops[i].op,
                step->ops[i].result);
    if (step->n_ops > SHOWN) fprintf(out, " and %d more", step->n_ops - SHOWN);
    if (step->n_ops == 0) fputs("to a result", out);
    fputc('\n', out);
}

static void print_rate(FILE *out, double flops, double seconds)
{
    if (flops > 0 && seconds > 0)
        fprintf(out, " %8.2f", flops / seconds / 1e9);
    else
        fprintf(out, " %8s", "-");
}

static void print_table(FILE *out, const an_times *t, const line *lines,
                        double sum)
{
    fprintf(out, "%4s %6s %10s %7s %8s  %-9s %s\n", "step", "calls", "ms",
            "share", "GFLOP/s", "kind", "ops");
    for (int i = 0; i < t->n_steps; i++) {
        const line *l = &lines[i];
        fprintf(out, "%4d %6d %10.4f %6.1f%%", l->index, t->n, l->seconds * 1e3,
                sum > 0 ? 100 * l->seconds / sum : 0.0);
        print_rate(out, l->step.flops, l->seconds);
        fprintf(out, "  %-9s ", l->step.kind);
        print_ops(out, &l->step);
    }
}

static an_status print_steps(FILE *out, an_times *t, const an_request *r,
                             an_error *err)
{
    double sum = 0;
    line *lines = an_alloc_array((size_t)t->n_steps + 1, sizeof *lines);
    if (lines == NULL)
        return an_fail(err, AN_ENOMEM, "no memory for the table of steps");
    for (int i = 0; i < t->n_steps; i++) {
        an_request_step(r, i, &lines[i].step);
        lines[i].index = i;
        lines[i].seconds = median(t, i);
        sum += lines[i].seconds;
    }
    qsort(lines, (size_t)t->n_steps, sizeof *lines, slowest_first);
    print_table(out, t, lines, sum);
    an_free(lines);
    return AN_OK;
}

an_status an_times_print(FILE *out, an_times *t, const an_request *r,
                         double flops, an_error *err)
{
    double seconds = median(t, t->n_steps);
    fprintf(out, "%.4f ms", seconds * 1e3);
    if (t->n > 1) fprintf(out, ", median of %d", t->n);
    if (flops > 0 && seconds > 0)
        fprintf(out, ", %.2f GFLOP/s", flops / seconds / 1e9);
    fputc('\n', out);
    return t->n_steps > 0 ? print_steps(out, t, r, err) : AN_OK;
}

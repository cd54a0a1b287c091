/*
 * Rows of progress. A row is a list of parts, each with a rank: a line that
 * updates in place must not wrap, so parts of the highest rank are left out
 * until it fits. Rows that stay are printed whole.
 */
#include "cli/display.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_PARTS = 10,
    BAR_CELLS = 20,
    PLAIN_ROWS = 40,      /* of a run that is piped, about */
    MAX_SAMPLE = 1 << 20, /* bytes of a sample in JSON */
};
static const double redraw_seconds = 0.1;
static const char dim[] = "\033[2m", normal[] = "\033[0m";

typedef struct part {
    const char *label; /* dim on a terminal */
    char text[112];
    int cells; /* of label and text on the screen */
    int rank;  /* 0: never left out */
} part;

typedef struct row {
    part parts[MAX_PARTS];
    int n;
} row;

void an_display_init(an_display *p, an_display_mode mode,
                     const an_run_facts *facts, const an_train_plan *plan)
{
    *p = (an_display){.mode = mode,
                      .terminal = an_terminal_of(stdout),
                      .facts = *facts,
                      .plan = *plan,
                      .started = an_clock(),
                      .first_loss = (double)NAN,
                      .loss = (double)NAN,
                      .val_loss = (double)NAN,
                      .first_step = plan->first_step,
                      .step = plan->first_step};
}

void an_display_fini(an_display *p)
{
    an_free(p->sample);
    p->sample = NULL;
}

const char *an_human(double x, const char *unit, char *text, size_t size)
{
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P", "E"};
    int i = 0;
    while (fabs(x) >= 999.5 && i < AN_COUNT(prefixes) - 1) {
        x /= 1000;
        i++;
    }
    int decimals = i == 0 || fabs(x) >= 99.95 ? 0 : fabs(x) >= 9.995 ? 1 : 2;
    snprintf(text, size, "%.*f%s%s%s", decimals, x, unit[0] != '\0' ? " " : "",
             prefixes[i], unit);
    return text;
}

AN_PRINTF(4, 5)
static void add(row *r, int rank, const char *label, const char *format, ...)
{
    part *p = &r->parts[r->n++];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(p->text, sizeof p->text, format, args);
    va_end(args);
    p->label = label;
    p->rank = rank;
    p->cells = n + (label[0] != '\0' ? (int)strlen(label) + 1 : 0);
}

/* The share of the run that is done. */
static double share(const an_display *p)
{
    double elapsed = an_clock() - p->started;
    double x = p->facts.minutes > 0 ? elapsed / (60 * p->facts.minutes)
                                    : (double)p->step / (double)p->plan.steps;
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static void add_bar(row *r, const an_display *p)
{
    char bar[112] = "";
    double filled = share(p) * BAR_CELLS;
    for (int i = 0; i < BAR_CELLS; i++) {
        double here = filled - i;
        const char *cell = here >= 1 ? "\u2501" : here >= 0.5 ? "\u2578" : " ";
        if (!p->terminal.utf8) cell = here >= 1 ? "#" : ".";
        strcat(bar, cell);
    }
    add(r, 5, "", "%s", bar);
    r->parts[r->n - 1].cells = BAR_CELLS;
}

static double seconds_left(const an_display *p)
{
    double elapsed = an_clock() - p->started;
    double by_steps = (double)(p->facts.last_step - p->step) * p->ms / 1000;
    if (p->facts.minutes > 0) return 60 * p->facts.minutes - elapsed;
    return by_steps;
}

/* "48s", "3:05", "2:10:00". */
static const char *duration(double seconds, char *text, size_t size)
{
    long s = seconds > 0 ? lround(seconds) : 0;
    if (s < 60)
        snprintf(text, size, "%lds", s);
    else if (s < 3600)
        snprintf(text, size, "%ld:%02ld", s / 60, s % 60);
    else
        snprintf(text, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    return text;
}

/* What is out of the ordinary: on battery, hot. */
static void add_host(row *r, const an_step_report *s)
{
    bool battery = s->power && strcmp(s->power, "battery") == 0;
    bool hot = s->thermal && strcmp(s->thermal, "nominal") != 0;
    char charge[16] = "";
    if (battery && s->charge >= 0)
        snprintf(charge, sizeof charge, " %d%%", s->charge);
    if (battery || hot)
        add(r, 4, "", "%s%s%s%s%s", battery ? "battery" : "", charge,
            battery && hot ? ", " : "", hot ? "heat " : "",
            hot ? s->thermal : "");
}

static void fill_row(row *r, const an_display *p, const an_step_report *s,
                     double val_loss)
{
    char rate[32], left[32];
    char steps[32];
    int width = snprintf(steps, sizeof steps, "%lld", (long long)p->plan.steps);
    if (p->facts.minutes > 0)
        add(r, 0, "step", "%5lld", (long long)s->step);
    else
        add(r, 0, "step", "%*lld/%s", width, (long long)s->step, steps);
    add(r, 0, "loss", "%.4f", s->loss);
    if (isnan(val_loss))
        add(r, 1, "   ", "%6s", "");
    else
        add(r, 1, "val", "%.4f", val_loss);
    add(r, 4, "lr", "%.2e", s->lr);
    an_human(p->ms > 0 ? (double)p->plan.tokens_per_step * 1000 / p->ms : 0, "",
             rate, sizeof rate);
    add(r, 3, "", "%5s tok/s", rate);
    add(r, 6, "", "%.*f ms (engine %.*f, CPU %.*f)", p->ms < 100, p->ms,
        p->ms < 100, p->engine_ms, p->ms < 100, p->cpu_ms);
    add(r, 2, "", "%s left", duration(seconds_left(p), left, sizeof left));
    add_host(r, s);
    if (s->skipped)
        add(r, 0, "", "skipped at loss scale %g: %s", s->loss_scale,
            s->overflow);
}

static int cells(const row *r)
{
    int n = 0;
    for (int i = 0; i < r->n; i++)
        n += r->parts[i].cells + 2;
    return n;
}

/* Leaves out what is least wanted until the row has at most `width` cells. */
static void fit(row *r, int width)
{
    for (int rank = MAX_PARTS; rank > 0 && cells(r) > width; rank--) {
        int n = 0;
        for (int i = 0; i < r->n; i++)
            if (r->parts[i].rank != rank) r->parts[n++] = r->parts[i];
        r->n = n;
    }
}

static void print_row(const row *r, an_display *p)
{
    p->spaced = false;
    for (int i = 0; i < r->n; i++) {
        const part *a = &r->parts[i];
        const char *gap = a->label[0] != '\0' ? " " : "";
        fputs(i > 0 ? "  " : p->terminal.live ? "  " : "", stdout);
        if (p->terminal.color)
            printf("%s%s%s%s%s", dim, a->label, normal, gap, a->text);
        else
            printf("%s%s%s", a->label, gap, a->text);
    }
}

void an_display_clear(an_display *p)
{
    if (p->line_open) fputs("\r\033[K", stdout);
    p->line_open = false;
}

static void draw_live(an_display *p, const an_step_report *s)
{
    row r = {0};
    double now = an_clock();
    if (!isnan(s->val_loss)) {
        fill_row(&r, p, s, s->val_loss);
        fit(&r, an_terminal_width(stdout) - 2);
        an_display_clear(p);
        print_row(&r, p);
        putchar('\n');
        r.n = 0;
    }
    if (now - p->drawn < redraw_seconds && s->step < p->facts.last_step) return;
    p->drawn = now;
    add_bar(&r, p);
    fill_row(&r, p, s, p->val_loss);
    fit(&r, an_terminal_width(stdout) - 2);
    fputs("\r", stdout);
    print_row(&r, p);
    fputs("\033[K", stdout);
    fflush(stdout);
    p->line_open = true;
}

/* The smallest of 1, 2, 5, 10, 20, 50, ... that gives at most PLAIN_ROWS. */
static int64_t row_interval(int64_t steps)
{
    static const int64_t factors[] = {1, 2, 5};
    for (int64_t ten = 1; ten < INT64_MAX / 100; ten *= 10)
        for (int i = 0; i < AN_COUNT(factors); i++)
            if (steps / (ten * factors[i]) <= PLAIN_ROWS)
                return ten * factors[i];
    return INT64_MAX;
}

static void draw_plain(an_display *p, const an_step_report *s)
{
    row r = {0};
    int64_t every = row_interval(p->facts.last_step - p->first_step);
    if (s->step % every != 0 && s->step != p->first_step + 1 &&
        s->step != p->facts.last_step && isnan(s->val_loss) && !s->skipped)
        return;
    fill_row(&r, p, s, s->val_loss);
    print_row(&r, p);
    putchar('\n');
    fflush(stdout);
}

static void mean(double *of, double x, double weight)
{
    *of += (x - *of) * weight;
}

void an_display_step(an_display *p, const an_step_report *r)
{
    /* A plain mean at first, then one over about the last 20 steps. */
    double n = (double)(r->step - p->first_step);
    double weight = n < 20 ? 1 / (n > 1 ? n : 1) : 0.05;
    mean(&p->ms, r->ms, weight);
    mean(&p->engine_ms, r->engine_ms, weight);
    mean(&p->cpu_ms, r->cpu_ms, weight);
    if (isnan(p->first_loss)) p->first_loss = r->loss;
    p->loss = r->loss;
    if (!isnan(r->val_loss)) p->val_loss = r->val_loss;
    p->run_tokens += r->tokens - p->tokens;
    p->tokens = r->tokens;
    p->step = r->step;
    if (p->mode == AN_DISPLAY_LIVE) draw_live(p, r);
    if (p->mode == AN_DISPLAY_PLAIN) draw_plain(p, r);
}

static an_status put_object(json_t *o, an_error *err)
{
    int failed = json_dumpf(o, stdout, JSON_COMPACT);
    json_decref(o);
    if (failed) return an_fail(err, AN_ENOMEM, "no memory for a JSON object");
    putchar('\n');
    fflush(stdout);
    return AN_OK;
}

/* What happened after which step. */
static json_t *event_object(const an_display *p, const char *type)
{
    json_t *o = json_object();
    json_object_set_new(o, "type", json_string(type));
    json_object_set_new(o, "step", json_integer(p->step));
    return o;
}

/* A line of its own, that stays. */
static void begin_note(an_display *p)
{
    an_display_clear(p);
    p->spaced = false;
    if (p->terminal.live) fputs("  ", stdout);
}

an_status an_display_pause(an_display *p, int charge, an_error *err)
{
    if (p->mode == AN_DISPLAY_QUIET) return AN_OK;
    if (p->mode == AN_DISPLAY_JSON) {
        json_t *o = event_object(p, "pause");
        if (charge >= 0) json_object_set_new(o, "charge", json_integer(charge));
        return put_object(o, err);
    }
    begin_note(p);
    printf("paused after step %lld: on battery", (long long)p->step);
    if (charge >= 0) printf(" (%d%%)", charge);
    printf("; the state is saved, the run goes on with mains power\n");
    fflush(stdout);
    return AN_OK;
}

an_status an_display_go_on(an_display *p, double waited, an_error *err)
{
    char text[32];
    p->started += waited; /* the time of a run is the time that it worked */
    if (p->mode == AN_DISPLAY_QUIET) return AN_OK;
    if (p->mode == AN_DISPLAY_JSON) {
        json_t *o = event_object(p, "continue");
        json_object_set_new(o, "waited", json_real(waited));
        return put_object(o, err);
    }
    begin_note(p);
    printf("on mains power again after %s\n",
           duration(waited, text, sizeof text));
    fflush(stdout);
    return AN_OK;
}

static json_t *real_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

/* The object of one step; losses that are not numbers are null. */
static json_t *step_object(const an_display *p, const an_step_report *r)
{
    json_t *o = event_object(p, "step");
    json_object_set_new(o, "steps", json_integer(p->plan.steps));
    json_object_set_new(o, "loss", real_or_null(r->loss));
    if (!isnan(r->val_loss))
        json_object_set_new(o, "val_loss", real_or_null(r->val_loss));
    json_object_set_new(o, "lr", json_real(r->lr));
    json_object_set_new(o, "grad_norm", real_or_null(r->grad_norm));
    json_object_set_new(o, "tokens", json_integer(r->tokens));
    json_object_set_new(o, "ms", json_real(r->ms));
    json_object_set_new(o, "engine_ms", json_real(r->engine_ms));
    json_object_set_new(o, "cpu_ms", json_real(r->cpu_ms));
    json_object_set_new(o, "loss_scale", json_real(r->loss_scale));
    json_object_set_new(o, "skipped", json_boolean(r->skipped));
    if (r->skipped)
        json_object_set_new(o, "overflow", json_string(r->overflow));
    json_object_set_new(o, "saved", json_boolean(r->saved));
    if (r->power) json_object_set_new(o, "power", json_string(r->power));
    if (r->charge >= 0)
        json_object_set_new(o, "charge", json_integer(r->charge));
    if (r->thermal) json_object_set_new(o, "thermal", json_string(r->thermal));
    if (p->sample_bytes > 0)
        json_object_set_new(o, "sample",
                            json_stringn(p->sample, p->sample_bytes));
    return o;
}

an_status an_display_step_end(an_display *p, const an_step_report *r,
                              an_error *err)
{
    if (p->mode != AN_DISPLAY_JSON) return AN_OK;
    json_t *o = step_object(p, r);
    p->sample_bytes = 0;
    return put_object(o, err);
}

/* Lines of a sample stand behind a bar, so that it is clear what is whose. */
static void print_sample(an_display *p, const char *text, size_t size)
{
    const char *edge = p->terminal.utf8 ? "  \u2502 " : "  | ";
    for (size_t i = 0; i < size; i++) {
        if (!p->line_started) fputs(edge, stdout);
        p->line_started = text[i] != '\n';
        putchar(text[i]);
    }
    fflush(stdout);
}

static void keep_sample(an_display *p, const char *text, size_t size)
{
    for (size_t i = 0; i < size && p->sample_bytes < MAX_SAMPLE; i++) {
        if (!an_grow(&p->sample, &p->sample_room, p->sample_bytes, 1)) return;
        p->sample[p->sample_bytes++] = text[i];
    }
}

static void take_sample(an_display *p, const char *text, size_t size)
{
    if (p->mode == AN_DISPLAY_JSON)
        keep_sample(p, text, size);
    else
        print_sample(p, text, size);
}

void an_display_sample_begin(an_display *p)
{
    p->clean = (an_clean){0};
    p->line_started = false;
    an_display_clear(p);
    if (p->mode == AN_DISPLAY_JSON) return;
    printf("%s  %ssample after step %lld%s\n", p->spaced ? "" : "\n",
           p->terminal.color ? dim : "", (long long)p->step,
           p->terminal.color ? normal : "");
}

bool an_display_sample_put(void *display, const char *bytes, size_t size)
{
    enum { PIECE = 256 };
    an_display *p = display;
    char text[3 * (PIECE + 4)];
    while (size > 0) {
        size_t n = size < PIECE ? size : PIECE;
        take_sample(p, text, an_clean_put(&p->clean, bytes, n, text));
        bytes += n;
        size -= n;
    }
    return true;
}

void an_display_sample_end(an_display *p)
{
    char rest[12];
    take_sample(p, rest, an_clean_end(&p->clean, rest));
    if (p->mode == AN_DISPLAY_JSON) return;
    if (p->line_started) putchar('\n');
    putchar('\n');
    p->spaced = true;
    fflush(stdout);
}

/*
 * What one sees of a training run. LIVE updates one line in place and leaves a
 * row behind at every evaluation; PLAIN prints rows, about forty a run; JSON
 * prints one object a step and a summary; QUIET prints nothing.
 */
#ifndef AN_CLI_DISPLAY_H
#define AN_CLI_DISPLAY_H

#include "anemone/train.h"
#include "cli/args.h"
#include "cli/terminal.h"

typedef enum an_display_mode {
    AN_DISPLAY_LIVE,
    AN_DISPLAY_PLAIN,
    AN_DISPLAY_JSON,
    AN_DISPLAY_QUIET,
} an_display_mode;

/* Facts of the run that only the command line knows. Borrowed. */
typedef struct an_run_facts {
    const char *model;
    const an_words *data;
    const char *folder;      /* NULL: nothing is written */
    double minutes;          /* length in time, 0: by steps */
    int64_t last_step;       /* where this process stops at the latest */
    int processes, compiles; /* of the whole command; for the summary */
} an_run_facts;

typedef struct an_display {
    an_display_mode mode;
    an_terminal terminal;
    an_run_facts facts;
    an_train_plan plan;
    double started, drawn;             /* an_clock seconds */
    double ms, engine_ms, cpu_ms;      /* running means */
    double first_loss, loss, val_loss; /* NAN before the first */
    int64_t first_step, step, tokens, run_tokens;
    an_clean clean;
    char *sample; /* JSON: the text of this step's sample */
    size_t sample_bytes, sample_room;
    bool line_open;    /* LIVE: the updating line is on the screen */
    bool line_started; /* a sample's line has begun */
    bool spaced;       /* the last line on the screen is blank */
} an_display;

void an_display_init(an_display *p, an_display_mode mode,
                     const an_run_facts *facts, const an_train_plan *plan);
void an_display_fini(an_display *p);

/* The block before the first step: model, data, engine, schedule, folder. */
void an_display_header(an_display *p);
/* The same and the cost of a step, for --dry-run; one object in JSON. */
an_status an_plan_print(const an_display *p, an_error *err);

void an_display_step(an_display *p, const an_step_report *r);
/* JSON objects are printed when the step's sample is complete too. */
an_status an_display_step_end(an_display *p, const an_step_report *r,
                              an_error *err);

/* The run waits after this step, on battery with that charge (percent, -1: not
 * known), with its state saved; and it goes on. */
an_status an_display_pause(an_display *p, int charge, an_error *err);
an_status an_display_go_on(an_display *p, double waited, an_error *err);

/* A sample of text: begin, pieces (an an_sample_fn), end. */
void an_display_sample_begin(an_display *p);
bool an_display_sample_put(void *display, const char *bytes, size_t size);
void an_display_sample_end(an_display *p);

/* Takes the updating line off the screen, before anything else is printed. */
void an_display_clear(an_display *p);
/* Steps, tokens, losses, time; where everything is. */
an_status an_display_summary(an_display *p, bool interrupted, bool finished,
                             an_error *err);

/* Three digits and a unit of a thousand: "9.8k", with a unit "1.25 MB". */
const char *an_human(double x, const char *unit, char *text, size_t size);

#endif

/* See talk.h. */
#include "cli/talk.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

typedef struct talk {
    an_runner *runner;
    an_sample_options sample;
    an_arena arena; /* of what was said */
    an_message *messages;
    size_t n, capacity;
    char *answer; /* what was said of it so far */
    size_t n_answer, cap_answer;
    an_sample_fn *put;
    void *ctx;
    bool full; /* no memory for the answer */
} talk;

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "chat: no memory");
}

static an_status add(talk *t, const char *role, const char *content,
                     size_t size, an_error *err)
{
    char *own = an_arena_strndup(&t->arena, content, size);
    if (!own || !an_grow(&t->messages, &t->capacity, t->n, sizeof *t->messages))
        return no_memory(err);
    t->messages[t->n++] = (an_message){role, own, size};
    return AN_OK;
}

static bool keep(void *ctx, const char *bytes, size_t size)
{
    talk *t = ctx;
    for (size_t i = 0; i < size && !t->full; i++) {
        t->full =
            !an_grow(&t->answer, &t->cap_answer, t->n_answer, sizeof(char));
        if (!t->full) t->answer[t->n_answer++] = bytes[i];
    }
    return !t->full && t->put(t->ctx, bytes, size);
}

static an_status answer(talk *t, const char *question, size_t size,
                        an_error *err)
{
    an_status s = add(t, "user", question, size, err);
    if (s != AN_OK) return s;
    t->sample.messages = t->messages;
    t->sample.n_messages = (int)t->n;
    t->n_answer = 0;
    s = an_runner_sample(t->runner, &t->sample, keep, t, err);
    if (s == AN_OK && t->full) s = no_memory(err);
    return s == AN_OK ? add(t, "assistant", t->answer, t->n_answer, err) : s;
}

/* Terminals show whose turn it is, and end in a line of their own. */
static void show(const char *text, FILE *in)
{
    if (!an_terminal_of(in).live || !an_terminal_of(stdout).live) return;
    fputs(text, stdout);
    fflush(stdout);
}

static an_status answer_lines(talk *t, FILE *in, an_error *err)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    an_status s = AN_OK;
    show("> ", in);
    while (s == AN_OK && (n = getline(&line, &room, in)) >= 0) {
        while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
            n--;
        if (n > 0) {
            s = answer(t, line, (size_t)n, err);
            if (s == AN_OK && !t->put(t->ctx, "\n", 1)) break;
        }
        if (s == AN_OK) show("> ", in);
    }
    free(line);
    show("\n", in);
    if (s == AN_OK && ferror(in)) s = an_fail(err, AN_EIO, "cannot read stdin");
    return s;
}

an_status an_talk(an_runner *runner, const an_sample_options *sample,
                  const char *system, FILE *in, an_sample_fn *put, void *ctx,
                  an_error *err)
{
    talk t = {.runner = runner, .sample = *sample, .put = put, .ctx = ctx};
    const char *prompt = sample->prompt;
    an_arena_init(&t.arena);
    an_status s = AN_OK;
    if (system) s = add(&t, "system", system, strlen(system), err);
    if (s == AN_OK)
        s = prompt ? answer(&t, prompt, strlen(prompt), err)
                   : answer_lines(&t, in, err);
    an_free(t.messages);
    an_free(t.answer);
    an_arena_fini(&t.arena);
    return s;
}

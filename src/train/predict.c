/*
 * Layers in the form DECODE over a cache, the head, and rows of the embedding;
 * see predict.h. The prompt's layers live for one pass.
 */
#include "train/predict.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <string.h>

struct an_predictor {
    const an_placed *placed;
    an_packed *weights;
    an_dtype dtype; /* fp32; fp64 in `exact` */
    int64_t sequence;
    an_cache cache;
    an_layers *layers;
    an_program *head;
    an_request *head_request;
    an_surface *logits;
    int embed, positions; /* weights; -1: none */
    an_speed speed;
};

/* Longer prompts go on token by token: a pass holds the scores of all pairs of
 * positions. */
enum { PROMPT_MOST = 2048 };

/* ---- the embedding ---- */

/* Column `column` becomes E[id] (+ P[position]). */
static void embed(const an_predictor *d, const an_matrix *x, int64_t column,
                  int32_t id, int64_t position)
{
    const an_packed *w = d->weights;
    for (int64_t row = 0; row < d->placed->model_facts.width; row++) {
        double sum = an_packed_get(w, d->embed, id, row);
        if (d->positions >= 0)
            sum += an_packed_get(w, d->positions, position, row);
        an_matrix_put(x, row, column, sum);
    }
}

/* ---- building ---- */

static an_status make_head(an_predictor *d, an_error *err)
{
    const an_placed *p = d->placed;
    an_block_options o = {.x_dtype = d->dtype,
                          .dtype = d->dtype,
                          .batch = 1,
                          .sequence = 1,
                          .matrices = d->weights->form};
    an_status s = an_layers_compile(p, AN_BLOCK_HEAD, &o, p->cpu, 1, "decode",
                                    &d->head, err);
    if (s == AN_OK) s = an_request_new(d->head, &d->head_request, err);
    for (int i = 0; s == AN_OK && i < an_program_n_ports(d->head, AN_INPUT);
         i++) {
        const an_port *port = an_program_port(d->head, AN_INPUT, i);
        if (strcmp(port->name, "x") == 0)
            s = an_request_bind(d->head_request, AN_INPUT, "x",
                                an_layers_output_surface(d->layers), err);
        else
            s = an_layers_bind_weight(d->weights, -1, AN_BLOCK_HEAD, p->cpu,
                                      port, d->head_request, err);
    }
    if (s == AN_OK)
        s = an_surface_new(p->cpu,
                           an_program_port(d->head, AN_OUTPUT, 0)->size_bytes,
                           &d->logits, err);
    return s == AN_OK ? an_request_bind(d->head_request, AN_OUTPUT, "logits",
                                        d->logits, err)
                      : s;
}

an_status an_predictor_new(const an_placed *p, an_packed *weights,
                           int64_t sequence, an_predictor **out, an_error *err)
{
    an_predictor *d = an_alloc(sizeof *d);
    if (!d) return an_fail(err, AN_ENOMEM, "predictor: no memory");
    *d = (an_predictor){
        .placed = p,
        .weights = weights,
        .dtype = weights->dtype,
        .sequence = sequence,
        .embed = an_packed_find(weights, -1, AN_BLOCK_EMBED, "embed"),
        .positions = an_packed_find(weights, -1, AN_BLOCK_EMBED, "positions")};
    an_layers_options o = {.placed = p,
                           .weights = weights,
                           .engine = p->cpu,
                           .dtype = d->dtype,
                           .columns = 1,
                           .form = AN_FORM_DECODE,
                           .sequence = 1,
                           .cache = &d->cache};
    an_status s = an_cache_init(&d->cache, p->cpu, d->dtype, &p->model_facts,
                                sequence, err);
    if (s == AN_OK) s = an_layers_new(&o, &d->layers, err);
    if (s == AN_OK) s = make_head(d, err);
    if (s == AN_OK)
        *out = d;
    else
        an_predictor_free(d);
    return s;
}

void an_predictor_free(an_predictor *d)
{
    if (!d) return;
    an_request_free(d->head_request);
    an_program_free(d->head);
    an_surface_free(d->logits);
    an_layers_free(d->layers);
    an_cache_fini(&d->cache);
    an_free(d);
}

/* ---- running ---- */

int64_t an_predictor_length(const an_predictor *d)
{
    return d->cache.n;
}

an_matrix an_predictor_logits(an_predictor *d)
{
    const an_port *port = an_program_port(d->head, AN_OUTPUT, 0);
    return (an_matrix){.data = an_surface_data(d->logits),
                       .dtype = port->shape.dtype,
                       .rows = d->placed->model_facts.vocab_size,
                       .columns = 1,
                       .row_bytes = port->row_bytes};
}

/* Columns [0, n) of what the layers found, at the positions that follow. */
static void keep(an_predictor *d, an_layers *from, int64_t n)
{
    for (int i = 0; i < d->cache.n_layers; i++) {
        an_matrix k = an_layers_k(from, i), v = an_layers_v(from, i);
        for (int64_t t = 0; t < n; t++)
            an_cache_put(&d->cache, i, &k, &v, t, d->cache.n + t);
    }
    an_cache_advance(&d->cache, d->cache.n + n);
}

static an_status reserve(an_predictor *d, int64_t n, an_error *err)
{
    bool grown;
    an_status s = an_cache_reserve(&d->cache, n, &grown, err);
    return s == AN_OK && grown ? an_layers_refresh(d->layers, err) : s;
}

static an_status step(an_predictor *d, int32_t id, an_error *err)
{
    an_status s = reserve(d, d->cache.n + 1, err);
    if (s != AN_OK) return s;
    an_matrix x = an_layers_input(d->layers);
    embed(d, &x, 0, id, d->cache.n);
    an_layers_set_position(d->layers, d->cache.n);
    s = an_layers_run(d->layers, d->head_request, err);
    if (s == AN_OK) keep(d, d->layers, 1);
    return s;
}

an_status an_predictor_step(an_predictor *d, int32_t id, an_error *err)
{
    double start = an_clock();
    an_status s = step(d, id, err);
    d->speed.seconds += an_clock() - start;
    d->speed.tokens++;
    return s;
}

void an_predictor_get_speed(const an_predictor *d, an_speed *out)
{
    *out = d->speed;
}

/* The last of n columns goes to the head. */
static an_status run_head(an_predictor *d, an_layers *from, int64_t n,
                          an_error *err)
{
    an_matrix y = an_layers_output(from);
    an_matrix x = an_layers_output(d->layers);
    for (int64_t row = 0; row < d->placed->model_facts.width; row++)
        an_matrix_put(&x, row, 0, an_matrix_get(&y, row, n - 1));
    return an_request_run(d->head_request, err);
}

/* The first n tokens in one pass. */
static an_status pass(an_predictor *d, const int32_t *ids, int64_t n,
                      an_error *err)
{
    const an_placed *p = d->placed;
    an_layers *layers = NULL;
    int64_t columns = (n + p->columns - 1) / p->columns * p->columns;
    an_layers_options o = {.placed = p,
                           .weights = d->weights,
                           .engine = p->engine,
                           .dtype = p->dtype,
                           .columns = p->columns,
                           .form = AN_FORM_PROMPT,
                           .sequence =
                               columns < d->sequence ? columns : d->sequence};
    an_status s = reserve(d, n, err);
    if (s == AN_OK) s = an_layers_new(&o, &layers, err);
    if (s == AN_OK) {
        an_matrix x = an_layers_input(layers);
        for (int64_t t = 0; t < o.sequence; t++)
            embed(d, &x, t, t < n ? ids[t] : 0, t);
        s = an_layers_run(layers, NULL, err);
    }
    if (s == AN_OK) {
        keep(d, layers, n);
        s = run_head(d, layers, n, err);
    }
    an_layers_free(layers);
    return s;
}

an_status an_predictor_prompt(an_predictor *d, const int32_t *ids, int64_t n,
                              an_error *err)
{
    double start = an_clock();
    an_cache_clear(&d->cache);
    an_status s = AN_OK;
    int64_t first = n < PROMPT_MOST ? n : PROMPT_MOST;
    if (first > 1)
        s = pass(d, ids, first, err);
    else
        first = 0;
    for (int64_t t = first; s == AN_OK && t < n; t++)
        s = step(d, ids[t], err);
    d->speed.prompt_seconds += an_clock() - start;
    d->speed.prompt_tokens += n;
    return s;
}

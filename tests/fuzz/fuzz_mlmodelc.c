/*
 * Fuzz target: a compiled model's folder. The input is model.mil up to the
 * first zero byte and weights/weight.bin behind it. What parses is compiled
 * with its weights, and run when that costs little; every refusal has a line.
 */
#include "anemone/engine.h"

#include "mil/ir.h"
#include "scratch.h"

#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    MAX_ELEMENTS = 1 << 12, /* of all parameters and results together */
    MAX_FLOPS = 1 << 18,
};

static char weights_path[80], model_path[80], weight_path[96];
static an_engine *engine;

static void close_engine(void)
{
    an_engine_close(engine);
}

static void begin(void)
{
    snprintf(weights_path, sizeof weights_path, "%s/weights", scratch);
    snprintf(model_path, sizeof model_path, "%s/model.mil", scratch);
    snprintf(weight_path, sizeof weight_path, "%s/weight.bin", weights_path);
    an_engine_options o = {.name = "cpu", .threads = 1};
    if (mkdir(weights_path, 0700) != 0 ||
        an_engine_open(&o, &engine, NULL) != AN_OK)
        abort();
    atexit(close_engine);
}

static void refused(const an_error *err)
{
    if (err->code == AN_OK || err->text[0] == '\0' ||
        strchr(err->text, '\n') != NULL)
        abort();
}

/* Adds a value's elements to *sum; false: there are too many. */
static bool count_value(const an_value *v, int64_t *sum)
{
    const an_shape *s = an_value_shape(v);
    int64_t count = 1;
    for (int d = 0; s != NULL && d < s->rank; d++) {
        if (s->dims[d] > MAX_ELEMENTS) return false;
        if (s->dims[d] > 0) count *= s->dims[d];
        if (count > MAX_ELEMENTS) return false;
    }
    *sum += count;
    return *sum <= MAX_ELEMENTS;
}

static bool is_small(const an_module *m)
{
    int64_t sum = 0;
    for (int i = 0; i < m->n_functions; i++) {
        const an_function *f = m->functions[i];
        for (int j = 0; j < f->n_params; j++)
            if (!count_value(f->params[j], &sum)) return false;
        for (int j = 0; j < f->n_nodes; j++)
            for (int k = 0; k < f->nodes[j]->n_results; k++)
                if (!count_value(f->nodes[j]->results[k], &sum)) return false;
    }
    return true;
}

static void bind_side(an_program *p, an_request *r, an_port_side side,
                      an_surface **surfaces, int *n)
{
    for (int i = 0; i < an_program_n_ports(p, side) && *n < 16; i++) {
        const an_port *port = an_program_port(p, side, i);
        an_error err = {0};
        if (port->size_bytes > (1 << 20) ||
            an_surface_new(engine, port->size_bytes, &surfaces[*n], &err) !=
                AN_OK)
            return;
        uint8_t *bytes = an_surface_data(surfaces[*n]);
        for (size_t j = 0; side == AN_INPUT && j < port->size_bytes; j++)
            bytes[j] = (uint8_t)(j * 37 + (size_t)i);
        if (an_request_bind(r, side, port->name, surfaces[*n], &err) != AN_OK)
            refused(&err);
        (*n)++;
    }
}

static void run(an_program *p)
{
    an_surface *surfaces[16] = {0};
    an_request *r = NULL;
    an_error err = {0};
    int n = 0;
    if (an_program_flops(p) > MAX_FLOPS) return;
    if (an_request_new(p, &r, &err) != AN_OK) {
        refused(&err);
        return;
    }
    bind_side(p, r, AN_INPUT, surfaces, &n);
    bind_side(p, r, AN_OUTPUT, surfaces, &n);
    if (an_request_run(r, &err) != AN_OK) refused(&err);
    an_request_free(r);
    for (int i = 0; i < n; i++)
        an_surface_free(surfaces[i]);
}

static void compile(const uint8_t *text, size_t n_text, const uint8_t *weight,
                    size_t n_weight)
{
    const an_blob blob = {"@model_path/weights/weight.bin", weight, n_weight};
    const an_source source = {.text = (const char *)text,
                              .size = n_text,
                              .blobs = &blob,
                              .n_blobs = 1};
    an_program *p = NULL;
    an_error err = {0};
    if (an_engine_compile(engine, &source, &p, &err) != AN_OK) {
        refused(&err);
        return;
    }
    run(p);
    an_program_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (scratch_begin()) begin();
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    size_t n_text = zero != NULL ? (size_t)(zero - data) : size;
    const uint8_t *weight = zero != NULL ? zero + 1 : data + size;
    size_t n_weight = (size_t)(data + size - weight);
    an_module *m = NULL;
    an_error err = {0};
    scratch_put(model_path, data, n_text);
    scratch_put(weight_path, weight, n_weight);
    if (an_mil_load(scratch, &m, &err) != AN_OK) {
        refused(&err);
        return 0;
    }
    bool small = is_small(m);
    an_module_free(m);
    if (small) compile(data, n_text, weight, n_weight);
    return 0;
}

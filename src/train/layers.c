/*
 * Programs, requests and surfaces of layers; see layers.h. x and y of all
 * blocks are two surfaces that take turns.
 */
#include "train/layers.h"

#include "base/alloc.h"
#include "lower/lower.h"

#include <stdio.h>
#include <string.h>

struct an_layers {
    an_layers_options o;
    int n_layers, n_blocks;
    an_program **programs; /* by block */
    an_request **requests; /* layer by block */
    an_surface *flow[2];
    an_surface **k, **v; /* by layer */
    an_port flow_port, kv_port;
    int n_tables;
    an_surface **tables; /* DECODE */
    double *column;      /* of a table */
};

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "layers: no memory");
}

/* ---- programs ---- */

static const char *block_name(const an_placed *p, int block)
{
    return block == AN_BLOCK_HEAD ? "head"
                                  : an_model_block_name(p->model, block);
}

an_status an_layers_compile(const an_placed *p, int block,
                            const an_block_options *o, an_engine *engine,
                            int columns, const char *name, an_program **out,
                            an_error *err)
{
    char program[96];
    an_block b = {0};
    an_lowered l = {0};
    snprintf(program, sizeof program, "%s-%s", block_name(p, block), name);
    an_lower_options lower = {
        .columns = columns, .dump = p->dump, .program = program};
    an_status s = an_model_block(p->model, block, o, &b, err);
    if (s == AN_OK)
        s = an_dump_function(p->dump, "model", program,
                             an_module_function(b.module, "forward"), err);
    if (s == AN_OK)
        s = an_lower_function(an_module_function(b.module, "forward"), &lower,
                              &l, err);
    if (s == AN_OK) s = an_engine_compile(engine, &l.source, out, err);
    if (s != AN_OK) an_fail_context(err, "%s", program);
    an_lowered_free(&l);
    an_block_free(&b);
    return s;
}

static an_status compile(an_layers *l, int block, an_error *err)
{
    char name[48];
    bool decode = l->o.form == AN_FORM_DECODE;
    an_block_options o = {.x_dtype = l->o.dtype,
                          .dtype = l->o.dtype,
                          .batch = 1,
                          .sequence = l->o.sequence,
                          .form = l->o.form,
                          .capacity = decode ? l->o.cache->capacity : 0,
                          .matrices = l->o.dtype == l->o.weights->dtype
                                          ? l->o.weights->form
                                          : AN_MATRIX_PLAIN};
    snprintf(name, sizeof name, "%s_%lld", decode ? "decode" : "prompt",
             (long long)(decode ? o.capacity : o.sequence));
    return an_layers_compile(l->o.placed, block, &o, l->o.engine, l->o.columns,
                             name, &l->programs[block], err);
}

/* ---- surfaces by name ---- */

an_status an_layers_bind_weight(an_packed *weights, int layer, int block,
                                an_engine *engine, const an_port *port,
                                an_request *r, an_error *err)
{
    an_surface *surface = NULL;
    int i = an_packed_find(weights, layer, block, port->name);
    if (i < 0)
        return an_fail(err, AN_EINVAL, "block %d: nothing is called '%s'",
                       block, port->name);
    an_status s = an_packed_surface(weights, i, engine, port, &surface, err);
    return s == AN_OK ? an_request_bind(r, AN_INPUT, port->name, surface, err)
                      : s;
}

/* A surface that stays, made when first needed in the port's layout. */
static an_status own(an_layers *l, const an_port *port, an_surface **at,
                     an_port *layout, an_error *err)
{
    if (*at) return AN_OK;
    if (layout) *layout = *port;
    return an_surface_new(l->o.engine, port->size_bytes, at, err);
}

static an_surface **table_of(an_layers *l, const char *name)
{
    for (int i = 0; i < l->n_tables; i++)
        if (strcmp(an_model_table_name(l->o.placed->model, i), name) == 0)
            return &l->tables[i];
    return NULL;
}

/* What the cache has under this name; NULL: nothing. */
static an_surface *cached(const an_layers *l, int layer, const char *name)
{
    const an_cache *c = l->o.cache;
    if (!c) return NULL;
    return strcmp(name, "k_cache") == 0   ? c->k[layer]
           : strcmp(name, "v_cache") == 0 ? c->v[layer]
           : strcmp(name, "mask") == 0    ? c->mask
                                          : NULL;
}

static an_status bind_input(an_layers *l, int layer, int block, an_request *r,
                            const an_port *port, an_error *err)
{
    an_surface *kept = cached(l, layer, port->name), **at = &kept;
    an_surface **table = table_of(l, port->name);
    bool x = strcmp(port->name, "x") == 0;
    if (x)
        at = &l->flow[(layer * l->n_blocks + block) & 1];
    else if (table && l->o.form == AN_FORM_DECODE)
        at = table;
    else if (!kept)
        return an_layers_bind_weight(l->o.weights, layer, block, l->o.engine,
                                     port, r, err);
    an_status s = own(l, port, at, x ? &l->flow_port : NULL, err);
    return s == AN_OK ? an_request_bind(r, AN_INPUT, port->name, *at, err) : s;
}

static an_status bind_output(an_layers *l, int layer, int block, an_request *r,
                             const an_port *port, an_error *err)
{
    bool k = strcmp(port->name, "k") == 0, v = strcmp(port->name, "v") == 0;
    an_surface **at = k   ? &l->k[layer]
                      : v ? &l->v[layer]
                          : &l->flow[(layer * l->n_blocks + block + 1) & 1];
    an_status s = own(l, port, at, k || v ? &l->kv_port : &l->flow_port, err);
    return s == AN_OK ? an_request_bind(r, AN_OUTPUT, port->name, *at, err) : s;
}

static an_status make_request(an_layers *l, int layer, int block, an_error *err)
{
    const an_program *p = l->programs[block];
    an_request **r = &l->requests[layer * l->n_blocks + block];
    an_status s = an_request_new(l->programs[block], r, err);
    for (int i = 0; s == AN_OK && i < an_program_n_ports(p, AN_INPUT); i++)
        s = bind_input(l, layer, block, *r, an_program_port(p, AN_INPUT, i),
                       err);
    for (int i = 0; s == AN_OK && i < an_program_n_ports(p, AN_OUTPUT); i++)
        s = bind_output(l, layer, block, *r, an_program_port(p, AN_OUTPUT, i),
                        err);
    return s;
}

/* A block in all layers. */
static an_status place(an_layers *l, int block, an_error *err)
{
    an_status s = compile(l, block, err);
    for (int i = 0; s == AN_OK && i < l->n_layers; i++)
        s = make_request(l, i, block, err);
    return s;
}

static void displace(an_layers *l, int block)
{
    for (int i = 0; i < l->n_layers; i++) {
        an_request_free(l->requests[i * l->n_blocks + block]);
        l->requests[i * l->n_blocks + block] = NULL;
    }
    an_program_free(l->programs[block]);
    l->programs[block] = NULL;
}

an_status an_layers_refresh(an_layers *l, an_error *err)
{
    an_status s = AN_OK;
    for (int b = 0; s == AN_OK && b < l->n_blocks; b++) {
        if (!an_program_find_port(l->programs[b], AN_INPUT, "k_cache"))
            continue;
        displace(l, b);
        s = place(l, b, err);
    }
    return s;
}

/* ---- the whole ---- */

static an_status build(an_layers *l, an_error *err)
{
    const an_model *model = l->o.placed->model;
    size_t n = (size_t)l->n_layers, blocks = (size_t)l->n_blocks;
    int64_t rows = 1;
    for (; an_model_table_name(model, l->n_tables); l->n_tables++) {
        int64_t of = an_model_table_rows(model, l->n_tables);
        if (of > rows) rows = of;
    }
    l->programs = an_alloc_array(blocks, sizeof *l->programs);
    l->requests = an_alloc_array(n * blocks, sizeof *l->requests);
    l->k = an_alloc_array(n, sizeof *l->k);
    l->v = an_alloc_array(n, sizeof *l->v);
    l->tables = an_alloc_array((size_t)l->n_tables + 1, sizeof *l->tables);
    l->column = an_alloc_array((size_t)rows, sizeof *l->column);
    if (!l->programs || !l->requests || !l->k || !l->v || !l->tables ||
        !l->column)
        return no_memory(err);
    an_status s = AN_OK;
    for (int b = 0; s == AN_OK && b < l->n_blocks; b++)
        s = place(l, b, err);
    return s;
}

an_status an_layers_new(const an_layers_options *options, an_layers **out,
                        an_error *err)
{
    an_layers *l = an_alloc(sizeof *l);
    if (!l) return no_memory(err);
    l->o = *options;
    l->n_layers = (int)options->placed->model_facts.n_layers;
    l->n_blocks = an_model_n_blocks(options->placed->model);
    an_status s = build(l, err);
    if (s == AN_OK)
        *out = l;
    else
        an_layers_free(l);
    return s;
}

void an_layers_free(an_layers *l)
{
    if (!l) return;
    for (int b = 0; l->programs && l->requests && b < l->n_blocks; b++)
        displace(l, b);
    for (int i = 0; l->k && l->v && i < l->n_layers; i++) {
        an_surface_free(l->k[i]);
        an_surface_free(l->v[i]);
    }
    for (int i = 0; l->tables && i < l->n_tables; i++)
        an_surface_free(l->tables[i]);
    an_surface_free(l->flow[0]);
    an_surface_free(l->flow[1]);
    an_free(l->programs);
    an_free(l->requests);
    an_free(l->k);
    an_free(l->v);
    an_free(l->tables);
    an_free(l->column);
    an_free(l);
}

static an_matrix matrix(const an_layers *l, an_surface *s, const an_port *port)
{
    return (an_matrix){.data = an_surface_data(s),
                       .dtype = port->shape.dtype,
                       .rows = (int64_t)(port->size_bytes / port->row_bytes),
                       .columns = l->o.sequence,
                       .row_bytes = port->row_bytes};
}

an_matrix an_layers_input(an_layers *l)
{
    return matrix(l, l->flow[0], &l->flow_port);
}

an_surface *an_layers_output_surface(an_layers *l)
{
    return l->flow[(l->n_layers * l->n_blocks) & 1];
}

an_matrix an_layers_output(an_layers *l)
{
    return matrix(l, an_layers_output_surface(l), &l->flow_port);
}

an_matrix an_layers_k(an_layers *l, int layer)
{
    return matrix(l, l->k[layer], &l->kv_port);
}

an_matrix an_layers_v(an_layers *l, int layer)
{
    return matrix(l, l->v[layer], &l->kv_port);
}

void an_layers_set_position(an_layers *l, int64_t position)
{
    for (int i = 0; i < l->n_tables; i++) {
        const an_model *model = l->o.placed->model;
        int64_t rows = an_model_table_rows(model, i);
        void *data = an_surface_data(l->tables[i]);
        an_model_table(model, i, position, l->column);
        for (int64_t row = 0; row < rows; row++)
            if (l->o.dtype == AN_FP64)
                ((double *)data)[row] = l->column[row];
            else
                ((float *)data)[row] = (float)l->column[row];
    }
}

an_status an_layers_run(an_layers *l, an_request *last, an_error *err)
{
    int n = l->n_layers * l->n_blocks, submitted = 0;
    an_status s = AN_OK;
    while (s == AN_OK && submitted < n) {
        s = an_request_submit(l->requests[submitted], err);
        submitted += s == AN_OK;
    }
    bool more = s == AN_OK && last;
    if (more) s = an_request_submit(last, err);
    for (int i = 0; i < submitted; i++) {
        an_status w = an_request_wait(l->requests[i], s == AN_OK ? err : NULL);
        if (s == AN_OK) s = w;
    }
    if (more) {
        an_status w = an_request_wait(last, s == AN_OK ? err : NULL);
        if (s == AN_OK) s = w;
    }
    return s;
}

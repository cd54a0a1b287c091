/*
 * Models: opening one, and its blocks as modules.
 */
#include "model/model.h"

#include "base/alloc.h"
#include "model/parts.h"

an_status an_model_new(const an_config *config, an_model **out, an_error *err)
{
    an_model *m = an_alloc(sizeof *m);
    if (!m) return an_fail(err, AN_ENOMEM, "model: no memory");
    an_arena_init(&m->arena);
    m->config = *config;
    an_status s = an_model_list_params(m, err);
    if (s == AN_OK)
        *out = m;
    else
        an_model_free(m);
    return s;
}

an_status an_model_open(const char *preset_or_path, int64_t vocab_size,
                        an_model **out, an_error *err)
{
    an_config config;
    an_status s = an_config_open(preset_or_path, vocab_size, &config, err);
    return s == AN_OK ? an_model_new(&config, out, err) : s;
}

void an_model_free(an_model *model)
{
    if (!model) return;
    an_arena_fini(&model->arena);
    an_free(model);
}

void an_model_get_facts(const an_model *model, an_model_facts *out)
{
    *out = model->config.facts;
}

static const an_block_row *block_row(const an_model *model, int block)
{
    return model->config.architecture->block(&model->config, block);
}

int an_model_n_blocks(const an_model *model)
{
    int n = 0;
    while (block_row(model, n))
        n++;
    return n;
}

const char *an_model_block_name(const an_model *model, int block)
{
    const an_block_row *row = block_row(model, block);
    return row ? row->name : NULL;
}

static an_status check_request(const an_model *model, int block,
                               const an_block_options *o, an_error *err)
{
    const int64_t most = (int64_t)1 << 24;
    const an_model_facts *f = &model->config.facts;
    if (!block_row(model, block))
        return an_fail(err, AN_EINVAL, "model: there is no block %d", block);
    if (o->dtype > AN_FP64 || o->x_dtype > AN_FP64)
        return an_fail(err, AN_EINVAL,
                       "model: blocks are fp16, fp32 or fp64, came %s and %s",
                       an_dtype_name(o->x_dtype), an_dtype_name(o->dtype));
    if (o->matrices != AN_MATRIX_PLAIN && o->dtype != AN_FP32)
        return an_fail(err, AN_EINVAL,
                       "model: narrow matrices are for fp32 blocks, came %s",
                       an_dtype_name(o->dtype));
    if (o->batch < 1 || o->sequence < 1 || o->sequence > most ||
        o->batch > most / o->sequence)
        return an_fail(err, AN_EINVAL,
                       "model: %lld sequences of %lld, expected 1 to %lld "
                       "positions in all",
                       (long long)o->batch, (long long)o->sequence,
                       (long long)most);
    if (f->positions > 0 && o->sequence > f->positions)
        return an_fail(err, AN_EINVAL,
                       "model: sequences of %lld, but the model has %lld "
                       "positions",
                       (long long)o->sequence, (long long)f->positions);
    if (o->form == AN_FORM_DECODE &&
        (o->batch * o->sequence != 1 || o->capacity < 1 || o->capacity > most))
        return an_fail(err, AN_EINVAL,
                       "model: decoding is of 1 column after 1 to %lld, came "
                       "%lld after %lld",
                       (long long)most, (long long)(o->batch * o->sequence),
                       (long long)o->capacity);
    return AN_OK;
}

static an_status build(const an_model *model, const an_block_row *row,
                       an_dtype x_dtype, an_block_frame *f, an_module *module,
                       an_error *err)
{
    enum { OPSET = 18 };
    an_status s = an_build_begin(module, "forward", OPSET, &f->b, err);
    if (s != AN_OK) return s;
    an_value *x = an_build_param(
        f->b, "x",
        AN_TENSOR(x_dtype, 1, model->config.facts.width, 1, f->columns));
    row->build(f, an_emit_cast(f->b, x, f->dtype));
    return an_build_end(f->b, err);
}

an_status an_model_block(const an_model *model, int block,
                         const an_block_options *o, an_block *out,
                         an_error *err)
{
    an_status s = check_request(model, block, o, err);
    if (s != AN_OK) return s;
    const an_block_row *row = block_row(model, block);
    an_block_frame f = {.model = model,
                        .block = block,
                        .config = &model->config,
                        .dtype = o->dtype,
                        .batch = o->batch,
                        .sequence = o->sequence,
                        .columns = o->batch * o->sequence,
                        .form = o->form,
                        .capacity = o->capacity,
                        .matrices = o->matrices};
    an_module *module = NULL;
    s = an_module_new(&module, err);
    if (s == AN_OK) s = build(model, row, o->x_dtype, &f, module, err);
    if (s != AN_OK) {
        an_fail_context(err, "block %s", row->name);
        an_module_free(module);
        return s;
    }
    const an_taps *more =
        model->taps && block >= 0 ? &model->taps[block] : NULL;
    *out = (an_block){.module = module,
                      .taps = more ? more->names : row->taps,
                      .n_taps = more ? more->n : row->n_taps,
                      .stops = row->stops,
                      .n_stops = row->n_stops,
                      .cuts = row->cuts,
                      .n_cuts = row->n_cuts};
    return AN_OK;
}

void an_block_free(an_block *block)
{
    an_module_free(block->module);
    *block = (an_block){0};
}

/* ---- tables ---- */

static const an_table *table_row(const an_model *model, int i)
{
    const an_architecture *a = model->config.architecture;
    return i >= 0 && i < a->n_tables ? &a->tables[i] : NULL;
}

const char *an_model_table_name(const an_model *model, int i)
{
    const an_table *t = table_row(model, i);
    return t ? t->name : NULL;
}

int64_t an_model_table_rows(const an_model *model, int i)
{
    return table_row(model, i)->rows(&model->config);
}

void an_model_table(const an_model *model, int i, int64_t position, double *out)
{
    const an_table *t = table_row(model, i);
    int64_t rows = t->rows(&model->config);
    for (int64_t row = 0; row < rows; row++)
        out[row] = t->value(&model->config, row, position);
}

/*
 * See weight_file.h. What a file says is believed after every size that follows
 * from it was compared with the file's.
 */
#include "model/weight_file_parts.h"

#include "base/alloc.h"
#include "base/half.h"
#include "model/llama.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The last one has no magic: it is told by its size. */
static const an_weight_format *const formats[] = {
    &an_weight_format_gguf, &an_weight_format_llmc, &an_weight_format_blzt,
    &an_weight_format_llama2c};
enum { N_FORMATS = sizeof formats / sizeof formats[0] };

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "weights: no memory");
}

/* ---- the list ---- */

an_status an_weight_file_add(an_weight_file *s, const an_stored_tensor *t,
                             const char *name, an_error *err)
{
    char *text = an_arena_strndup(&s->arena, name, strlen(name));
    if (!text || !an_grow(&s->list, &s->capacity, s->n, sizeof *s->list))
        return no_memory(err);
    s->list[s->n] = *t;
    s->list[s->n].name = text;
    if (t->factor == 0) s->list[s->n].factor = 1;
    s->n++;
    return AN_OK;
}

an_stored an_stored_of(an_dtype dtype)
{
    switch (dtype) {
    case AN_FP32:
        return AN_STORED_F32;
    case AN_FP16:
        return AN_STORED_F16;
    case AN_BF16:
        return AN_STORED_BF16;
    case AN_FP64:
        return AN_STORED_F64;
    default:
        return AN_STORED_OTHER;
    }
}

an_status an_weight_file_add_st(an_weight_file *s, const an_st *st,
                                const char *prefix, an_error *err)
{
    an_status status = AN_OK;
    size_t size = strlen(prefix);
    for (int i = 0; status == AN_OK && i < an_st_count(st); i++) {
        const an_st_tensor *t = an_st_at(st, i);
        if (strncmp(t->name, prefix, size) != 0) continue;
        an_stored_tensor x = {
            .stored = an_stored_of(t->dtype), .rank = t->rank, .data = t->data};
        memcpy(x.shape, t->shape, sizeof x.shape);
        status = an_weight_file_add(s, &x, t->name + size, err);
    }
    return status;
}

void an_weight_file_set_llama(an_weight_file *s, const an_model_facts *f,
                              double epsilon, double theta)
{
    s->config = (an_config){.architecture = &an_architecture_llama,
                            .facts = *f,
                            .norm_epsilon = epsilon,
                            .initializer_range = 0.02,
                            .rope = {.theta = theta},
                            .variant = an_llama_variant_find("llama")};
    s->has_config = true;
}

static int by_name(const void *a, const void *b)
{
    const an_stored_tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static an_status sort_list(an_weight_file *s, an_error *err)
{
    if (s->n > 0) qsort(s->list, s->n, sizeof *s->list, by_name);
    for (size_t i = 1; i < s->n; i++)
        if (strcmp(s->list[i - 1].name, s->list[i].name) == 0)
            return an_fail(err, AN_EFORMAT, "tensor '%.80s' is there twice",
                           s->list[i].name);
    return AN_OK;
}

/* ---- walking through a file ---- */

int32_t an_file_int(const unsigned char *data, size_t index)
{
    int32_t x;
    memcpy(&x, data + 4 * index, sizeof x);
    return x;
}

float an_file_float(const unsigned char *data, size_t index)
{
    float x;
    memcpy(&x, data + 4 * index, sizeof x);
    return x;
}

const unsigned char *an_walk_take(an_file_walk *w, uint64_t n,
                                  uint64_t element_bytes, const char *what)
{
    if (w->status != AN_OK) return NULL;
    size_t left = w->s->size - w->at;
    if (element_bytes > 0 && n > left / element_bytes) {
        w->status = an_fail(w->err, AN_EFORMAT,
                            "%s: %llu values of %llu bytes do not fit the %zu "
                            "bytes that are left",
                            what, (unsigned long long)n,
                            (unsigned long long)element_bytes, left);
        return NULL;
    }
    const unsigned char *p = w->s->data + w->at;
    w->at += (size_t)(n * element_bytes);
    return p;
}

/* Dimensions are bounded by the configuration's readers: no overflow. */
static uint64_t count_of(const an_stored_tensor *t)
{
    uint64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= (uint64_t)t->shape[i];
    return n;
}

uint64_t an_stored_bytes(const an_stored_tensor *t)
{
    static const unsigned bytes[] = {4, 2, 2, 8, 34, 18, 1, 0};
    bool blocks = t->stored == AN_STORED_Q8_0 || t->stored == AN_STORED_Q4_0;
    return count_of(t) / (blocks ? 32 : 1) * bytes[t->stored];
}

/* Names with one "%d", for the layer. */
static void layer_name(char *out, size_t size, const char *format, int64_t i)
{
    const char *mark = strstr(format, "%d");
    if (mark)
        snprintf(out, size, "%.*s%lld%s", (int)(mark - format), format,
                 (long long)i, mark + 2);
    else
        snprintf(out, size, "%s", format);
}

void an_walk_tensors(an_file_walk *w, const char *format, int64_t n,
                     const an_stored_tensor *like)
{
    char name[128];
    for (int64_t i = 0; w->status == AN_OK && i < n; i++) {
        an_stored_tensor t = *like;
        layer_name(name, sizeof name, format, i);
        t.data = an_walk_take(w, an_stored_bytes(like), 1, name);
        if (t.group > 0)
            t.scales =
                an_walk_take(w, count_of(like) / (uint64_t)t.group, 4, name);
        if (w->status == AN_OK)
            w->status = an_weight_file_add(w->s, &t, name, w->err);
    }
}

/* ---- opening ---- */

static an_status new_source(const char *path, an_weight_file **out,
                            an_error *err)
{
    an_weight_file *s = an_alloc(sizeof *s);
    if (!s) return no_memory(err);
    an_arena_init(&s->arena);
    s->path = an_arena_strndup(&s->arena, path, strlen(path));
    *out = s;
    return s->path ? AN_OK : no_memory(err);
}

void an_weight_file_close(an_weight_file *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->n_files; i++)
        an_st_close(s->files[i]);
    an_free(s->files);
    an_free(s->list);
    an_map_close(&s->map);
    an_arena_fini(&s->arena);
    an_free(s);
}

/* Sorts, and hands over or frees. */
static an_status finish(an_weight_file *s, an_status status,
                        an_weight_file **out, an_error *err)
{
    if (status == AN_OK) status = sort_list(s, err);
    if (status == AN_OK) {
        *out = s;
    } else {
        if (s && s->path) an_fail_context(err, "%s", s->path);
        an_weight_file_close(s);
    }
    return status;
}

static an_status list_format(an_weight_file *s, an_error *err)
{
    for (int i = 0; i < N_FORMATS; i++) {
        if (!formats[i]->is(s->data, s->size)) continue;
        s->format = formats[i]->name;
        return formats[i]->list(s, err);
    }
    return an_fail(err, AN_EFORMAT,
                   "expected safetensors, GGUF, llama2.c's .bin, llm.c's GPT-2 "
                   ".bin, a BLZT checkpoint or a folder of Hugging Face's");
}

an_status an_weight_file_open_bytes(const void *data, size_t size,
                                    const char *name, an_weight_file **out,
                                    an_error *err)
{
    an_weight_file *s = NULL;
    an_status status = new_source(name, &s, err);
    if (status == AN_OK) {
        s->data = data;
        s->size = size;
        status = list_format(s, err);
    }
    return finish(s, status, out, err);
}

static bool is_safetensors(const char *path)
{
    static const char end[] = ".safetensors";
    size_t n = strlen(path), k = sizeof end - 1;
    return n > k && strcmp(path + n - k, end) == 0;
}

an_status an_weight_file_open(const char *path, an_weight_file **out,
                              an_error *err)
{
    an_weight_file *s = NULL;
    an_status status = new_source(path, &s, err);
    if (status != AN_OK) {
        an_weight_file_close(s);
        return status;
    }
    if (an_path_is_folder(path) || is_safetensors(path)) {
        s->format = "safetensors";
        status = an_weight_file_open_hf(s, path, err);
    } else {
        status = an_map_open(path, &s->map, err);
        s->data = s->map.data;
        s->size = s->map.size;
        if (status == AN_OK) status = list_format(s, err);
    }
    return finish(s, status, out, err);
}

an_status an_weight_file_of_st(const an_st *st, const char *prefix,
                               const an_config *config, an_weight_file **out,
                               an_error *err)
{
    an_weight_file *s = NULL;
    an_status status = new_source("model.safetensors", &s, err);
    if (status == AN_OK) {
        s->format = "safetensors";
        s->borrowed = st;
        if (config) s->config = *config;
        s->has_config = config != NULL;
        status = an_weight_file_add_st(s, st, prefix, err);
    }
    return finish(s, status, out, err);
}

an_status an_weight_file_of_list(const an_stored_tensor *list, size_t n,
                                 const char *path, an_weight_file **out,
                                 an_error *err)
{
    an_weight_file *s = NULL;
    an_status status = new_source(path, &s, err);
    for (size_t i = 0; status == AN_OK && i < n; i++)
        status = an_weight_file_add(s, &list[i], list[i].name, err);
    return finish(s, status, out, err);
}

/* ---- looking up ---- */

const char *an_weight_file_format(const an_weight_file *s)
{
    return s->format;
}

bool an_weight_file_has_tokenizer(const an_weight_file *s)
{
    return s->has_tokenizer;
}

an_status an_weight_file_model(const an_weight_file *s, an_model **out,
                               an_error *err)
{
    if (!s->has_config)
        return an_fail(err, AN_EFORMAT, "%s: expected a config.json beside it",
                       s->path);
    return an_model_new(&s->config, out, err);
}

int an_weight_file_count(const an_weight_file *s)
{
    return (int)s->n;
}

const an_stored_tensor *an_weight_file_at(const an_weight_file *s, int i)
{
    return &s->list[i];
}

static an_stored_tensor *find(const an_weight_file *s, const char *name)
{
    const an_stored_tensor key = {.name = name};
    return s->n ? bsearch(&key, s->list, s->n, sizeof *s->list, by_name) : NULL;
}

const an_stored_tensor *an_weight_file_use(an_weight_file *s, const char *name)
{
    an_stored_tensor *t = find(s, name);
    const char *point = strchr(name, '.');
    if (!t && point) t = find(s, point + 1);
    if (t) t->used = true;
    return t;
}

static void forget(const an_weight_file *s, const void *at, size_t size)
{
    an_map_forget(&s->map, at, size);
    if (s->borrowed) an_st_forget(s->borrowed, at, size);
    for (size_t i = 0; i < s->n_files; i++)
        an_st_forget(s->files[i], at, size);
}

void an_weight_file_forget(const an_weight_file *s, const an_stored_tensor *t)
{
    forget(s, t->data, (size_t)an_stored_bytes(t));
    if (t->group > 0)
        forget(s, t->scales, (size_t)(count_of(t) / (uint64_t)t->group * 4));
}

/* ---- what the model needs ---- */

/* A list of names that is cut when it becomes long. */
typedef struct names {
    char text[360];
    int n;
} names;

static void add_name(names *list, const char *name)
{
    size_t at = strlen(list->text), room = sizeof list->text - at;
    if (room > 120)
        snprintf(list->text + at, room, "%s%.96s", list->n ? ", " : "", name);
    list->n++;
}

static bool fits(const an_stored_tensor *t, const an_param_part *part)
{
    int64_t rows = part->transposed ? part->columns : part->rows;
    int64_t columns = part->transposed ? part->rows : part->columns;
    return t->rank == part->file_rank && t->shape[0] == rows &&
           (t->rank == 1 || t->shape[1] == columns);
}

static an_status check_tensor(const an_stored_tensor *t,
                              const an_param_part *part, an_error *err)
{
    if (t->stored == AN_STORED_OTHER)
        return an_fail(err, AN_EFORMAT,
                       "%s: no float: its values are not weights", t->name);
    if (fits(t, part)) return AN_OK;
    char shape[96] = "";
    for (int i = 0; i < t->rank && i < 4; i++) {
        size_t at = strlen(shape);
        snprintf(shape + at, sizeof shape - at, "%s%lld", i ? ", " : "",
                 (long long)t->shape[i]);
    }
    int64_t rows = part->transposed ? part->columns : part->rows;
    int64_t columns = part->transposed ? part->rows : part->columns;
    if (part->file_rank == 1)
        return an_fail(err, AN_EFORMAT, "%s: shape is [%s], expected [%lld]",
                       t->name, shape, (long long)rows);
    return an_fail(err, AN_EFORMAT, "%s: shape is [%s], expected [%lld, %lld]",
                   t->name, shape, (long long)rows, (long long)columns);
}

/* Buffers that older writers saved, and the second name of a tied tensor. */
static bool is_harmless(const char *name, const an_model *model)
{
    static const char *const ends[] = {".attn.bias", ".attn.masked_bias",
                                       ".rotary_emb.inv_freq"};
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(name), k = strlen(ends[i]);
        if (n >= k && strcmp(name + n - k, ends[i]) == 0) return true;
    }
    return model->config.facts.tied && strcmp(name, "lm_head.weight") == 0;
}

an_status an_weight_file_check_set(an_weight_file *s, const an_model *model,
                                   an_param_set set, an_error *err)
{
    names missing = {.n = 0}, extra = {.n = 0};
    for (int i = 0; i < model->n_params; i++) {
        const an_model_param *p = &model->params[i];
        if (!an_param_in(p, set)) continue;
        for (int k = 0; k < p->n_parts; k++) {
            const an_stored_tensor *t = an_weight_file_use(s, p->parts[k].name);
            if (!t) {
                add_name(&missing, p->parts[k].name);
                continue;
            }
            an_status status = check_tensor(t, &p->parts[k], err);
            if (status != AN_OK) {
                an_fail_context(err, "%s", s->path);
                return status;
            }
        }
    }
    for (size_t i = 0; i < s->n; i++)
        if (!s->list[i].used && !is_harmless(s->list[i].name, model))
            add_name(&extra, s->list[i].name);
    if (missing.n == 0 && extra.n == 0) return AN_OK;
    return an_fail(err, AN_EFORMAT, "%s: %s%s%s%s%s", s->path,
                   missing.n ? "missing: " : "", missing.text,
                   missing.n && extra.n ? "; " : "",
                   extra.n ? "not expected: " : "", extra.text);
}

an_status an_weight_file_check(an_weight_file *s, const an_model *model,
                               an_error *err)
{
    return an_weight_file_check_set(s, model, AN_PARAMS_BASE, err);
}

/* ---- reading ---- */

static double block_element(const an_stored_tensor *t, uint64_t i)
{
    uint16_t d;
    uint64_t k = i % 32;
    bool bytes = t->stored == AN_STORED_Q8_0;
    const unsigned char *block = t->data + i / 32 * (bytes ? 34 : 18);
    memcpy(&d, block, sizeof d);
    if (bytes) return an_half_to_double(d) * (int8_t)block[2 + k];
    int nibble = k < 16 ? block[2 + k] & 15 : block[2 + k - 16] >> 4;
    return an_half_to_double(d) * (nibble - 8);
}

static double element(const an_stored_tensor *t, uint64_t i)
{
    double d;
    uint16_t h;
    switch (t->stored) {
    case AN_STORED_F32:
        return (double)an_file_float(t->data, i);
    case AN_STORED_F16:
        memcpy(&h, t->data + 2 * i, sizeof h);
        return an_half_to_double(h);
    case AN_STORED_BF16:
        memcpy(&h, t->data + 2 * i, sizeof h);
        return (double)an_bf16_to_float(h);
    case AN_STORED_F64:
        memcpy(&d, t->data + 8 * i, sizeof d);
        return d;
    case AN_STORED_GROUPS:
        return (double)an_file_float(t->scales, i / (uint64_t)t->group) *
               (int8_t)t->data[i];
    case AN_STORED_Q8_0:
    case AN_STORED_Q4_0:
        return block_element(t, i);
    case AN_STORED_OTHER:
        break;
    }
    return 0;
}

/* Row r of halves is row (2 i + half) of pairs. */
static int64_t paired_row(int64_t rope, int64_t r)
{
    int64_t head = r / rope, k = r % rope, half = rope / 2;
    return head * rope + (k < half ? 2 * k : 2 * (k - half) + 1);
}

void an_stored_read(const an_stored_tensor *t, an_stored_axis axis, int64_t r,
                    an_dtype to, void *out)
{
    int64_t rows = t->rank == 2 ? t->shape[0] : 1;
    int64_t columns = t->shape[t->rank - 1];
    bool across = axis == AN_STORED_COLUMNS;
    assert(t->rank == 1 || t->rank == 2);
    int64_t n = across ? rows : columns;
    if (t->rope > 0 && !across) r = paired_row(t->rope, r);
    bool contiguous = across == t->transposed;
    uint64_t at = (uint64_t)(contiguous ? r * n : r);
    uint64_t step = contiguous ? 1 : (uint64_t)(across ? columns : rows);
    if (contiguous && t->factor == 1 && t->stored == AN_STORED_F32 &&
        to == AN_FP32) {
        memcpy(out, t->data + 4 * at, 4 * (size_t)n);
        return;
    }
    for (int64_t i = 0; i < n; i++, at += step) {
        double x = element(t, at) * t->factor;
        if (to == AN_FP64)
            ((double *)out)[i] = x;
        else
            ((float *)out)[i] = (float)x;
    }
}

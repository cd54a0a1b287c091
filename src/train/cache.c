/* Memory of keys and values; see cache.h. */
#include "train/cache.h"

#include "base/alloc.h"

#include <string.h>

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void store(an_dtype dtype, void *data, int64_t i, double x)
{
    if (dtype == AN_FP32)
        ((float *)data)[i] = (float)x;
    else
        ((double *)data)[i] = x;
}

/* Nothing is there, but the column itself, which stands last. */
static void fill_mask(an_cache *c)
{
    void *mask = an_surface_data(c->mask);
    for (int64_t i = 0; i <= c->capacity; i++)
        store(c->dtype, mask, i, i < c->n || i == c->capacity ? 0 : AN_MASKED);
}

void an_cache_put(an_cache *c, int layer, const an_matrix *k,
                  const an_matrix *v, int64_t column, int64_t position)
{
    void *to_k = an_surface_data(c->k[layer]);
    void *to_v = an_surface_data(c->v[layer]);
    int64_t hd = c->head_dim, rows = c->heads * hd;
    for (int64_t row = 0; row < rows; row++) {
        int64_t at = (row / hd * c->capacity + position) * hd + row % hd;
        store(c->dtype, to_k, at, an_matrix_get(k, row, column));
        store(c->dtype, to_v, row * c->capacity + position,
              an_matrix_get(v, row, column));
    }
}

void an_cache_advance(an_cache *c, int64_t n)
{
    void *mask = an_surface_data(c->mask);
    for (; c->n < n; c->n++)
        store(c->dtype, mask, c->n, 0);
}

void an_cache_clear(an_cache *c)
{
    c->n = 0;
    fill_mask(c);
}

size_t an_cache_bytes(const an_cache *c)
{
    return (size_t)(2 * c->n_layers * c->heads * c->head_dim * c->capacity) *
           an_dtype_size(c->dtype);
}

/* ---- growth ---- */

/* `runs` pieces of `used` elements, `from` and `to` elements apart. */
static void copy_runs(const an_cache *c, an_surface *old, an_surface *new,
                      int64_t runs, int64_t used, int64_t from, int64_t to)
{
    size_t size = an_dtype_size(c->dtype);
    for (int64_t i = 0; i < runs; i++)
        memcpy((unsigned char *)an_surface_data(new) + (size_t)(i * to) * size,
               (unsigned char *)an_surface_data(old) +
                   (size_t)(i * from) * size,
               (size_t)used * size);
}

/* A surface of `count` elements takes the place of *at, which is freed after
 * its runs were copied. */
static an_status replace(an_cache *c, an_surface **at, int64_t runs,
                         int64_t used, int64_t from, int64_t to, an_error *err)
{
    size_t bytes;
    an_surface *fresh = NULL;
    if (!an_mul_size((size_t)(runs * to), an_dtype_size(c->dtype), &bytes))
        return an_fail(err, AN_ENOMEM, "cache: no memory");
    an_status s = an_surface_new(c->engine, bytes, &fresh, err);
    if (s != AN_OK) return s;
    if (*at) copy_runs(c, *at, fresh, runs, used, from, to);
    an_surface_free(*at);
    *at = fresh;
    return AN_OK;
}

/* A layer whose surfaces are replaced while others' are not would not fit the
 * capacity: after an error the cache is only to be freed. */
static an_status grow(an_cache *c, int64_t capacity, an_error *err)
{
    int64_t hd = c->head_dim, old = c->capacity;
    an_status s = AN_OK;
    for (int i = 0; s == AN_OK && i < c->n_layers; i++) {
        s = replace(c, &c->k[i], c->heads, c->n * hd, old * hd, capacity * hd,
                    err);
        if (s == AN_OK)
            s = replace(c, &c->v[i], c->heads * hd, c->n, old, capacity, err);
    }
    if (s == AN_OK) s = replace(c, &c->mask, 1, 0, 0, capacity + 1, err);
    if (s != AN_OK) return s;
    c->capacity = capacity;
    fill_mask(c);
    return AN_OK;
}

an_status an_cache_reserve(an_cache *c, int64_t n, bool *grown, an_error *err)
{
    int64_t capacity = c->capacity;
    *grown = false;
    if (n > c->most)
        return an_fail(err, AN_EINVAL,
                       "cache: %lld positions, the sequence has %lld",
                       (long long)n, (long long)c->most);
    while (capacity < n)
        capacity = least(2 * capacity, c->most);
    if (capacity == c->capacity) return AN_OK;
    *grown = true;
    return grow(c, capacity, err);
}

an_status an_cache_init(an_cache *c, an_engine *engine, an_dtype dtype,
                        const an_model_facts *facts, int64_t most,
                        an_error *err)
{
    size_t n = (size_t)facts->n_layers;
    *c = (an_cache){.engine = engine,
                    .dtype = dtype,
                    .n_layers = (int)n,
                    .heads = facts->n_kv_heads,
                    .head_dim = facts->head_dim,
                    .most = most,
                    .k = an_alloc_array(n, sizeof *c->k),
                    .v = an_alloc_array(n, sizeof *c->v)};
    if (!c->k || !c->v) return an_fail(err, AN_ENOMEM, "cache: no memory");
    return grow(c, least(AN_CACHE_FIRST, most), err);
}

void an_cache_fini(an_cache *c)
{
    for (int i = 0; i < c->n_layers; i++) {
        if (c->k) an_surface_free(c->k[i]);
        if (c->v) an_surface_free(c->v[i]);
    }
    an_surface_free(c->mask);
    an_free(c->k);
    an_free(c->v);
    *c = (an_cache){0};
}

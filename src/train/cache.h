/*
 * The keys and values of the positions that a sequence has so far, per layer:
 * k [1, KV, P, hd] and v [1, KV, hd, P] as AN_FORM_DECODE reads them, and its
 * mask [1, 1, 1, P + 1]. The capacity P doubles when it is used up, so short
 * texts take little memory and time; surfaces are new ones then.
 */
#ifndef AN_TRAIN_CACHE_H
#define AN_TRAIN_CACHE_H

#include "anemone/engine.h"
#include "anemone/model.h"
#include "train/stages.h"

enum { AN_CACHE_FIRST = 32 }; /* positions at the start */

typedef struct an_cache {
    an_engine *engine;
    an_dtype dtype; /* fp32 or fp64 */
    int n_layers;
    int64_t heads, head_dim;   /* KV, hd */
    int64_t n, capacity, most; /* positions: there are, fit, at most */
    an_surface **k, **v;       /* by layer */
    an_surface *mask;
} an_cache;

/* Empty. an_cache_fini also after errors. */
an_status an_cache_init(an_cache *c, an_engine *engine, an_dtype dtype,
                        const an_model_facts *facts, int64_t most,
                        an_error *err);
void an_cache_fini(an_cache *c);
void an_cache_clear(an_cache *c);
/* Room for n positions, what is there stays; *grown when surfaces changed. */
an_status an_cache_reserve(an_cache *c, int64_t n, bool *grown, an_error *err);
/* Position c->n of a layer from a column of k and v, [KV hd, columns] in any
 * float type; then, once all layers have it, an_cache_advance. No evaluation
 * may be running. */
void an_cache_put(an_cache *c, int layer, const an_matrix *k,
                  const an_matrix *v, int64_t column, int64_t position);
/* Positions below n are there. */
void an_cache_advance(an_cache *c, int64_t n);
size_t an_cache_bytes(const an_cache *c);

#endif

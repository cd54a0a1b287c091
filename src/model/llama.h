/* Llama and its kin: what configuration and blocks share. */
#ifndef AN_MODEL_LLAMA_H
#define AN_MODEL_LLAMA_H

#include "model/model.h"

/* A model_type of config.json and what its blocks have more than Llama's. */
typedef struct an_llama_variant {
    const char *model_type, *class_name;
    enum { AN_QKV_PLAIN, AN_QKV_BIAS } qkv; /* biases on q, k, v */
    enum { AN_QK_PLAIN, AN_QK_NORM } qk;    /* RMSNorm on each head of q, k */
} an_llama_variant;

/* NULL: no such variant. */
const an_llama_variant *an_llama_variant_find(const char *model_type);
an_status an_llama_read_config(const json_t *file, const char *path,
                               an_config *c, an_error *err);
void an_llama_write_config(const an_config *c, char *out, size_t size);
/* Radians a position that RoPE turns a pair of channels by. */
double an_llama_frequency(const an_config *c, int64_t pair);
/* What the stretching divides a pair's frequency by. */
double an_rope_factor(const an_config *c, int64_t pair);
/* Sets c->rope, of which theta is known, to what has these divisors, one for
 * each pair of a head's channels; `original` is the context before stretching,
 * 0: not known. AN_EUNSUPPORTED: they are not Llama 3's. */
an_status an_rope_from_factors(an_config *c, const float *factors,
                               double original, an_error *err);

#endif

/*
 * Token windows over files. Text that is not its own ids is encoded into a
 * cache (token_cache.h) first, of a stream or of samples. The stream is the
 * files one after another; a text file is led by end of text, so that a model
 * learns how texts begin; token files carry their own marks. Window i takes ids
 * [i S, i S + S]: its targets are its inputs moved by one, and windows share
 * one id with their neighbour. Validation windows are the last ones. Training
 * windows come in the order of a permutation for each epoch (permute.h, keys:
 * seed, epoch).
 */
#include "base/alloc.h"
#include "base/rng.h"
#include "text/documents.h"
#include "text/permute.h"
#include "text/token_cache.h"
#include "text/tokens.h"

#include <math.h>
#include <string.h>

enum { MAX_FILES = 65536, SAMPLES_PER_FILE = 1024 };
static const int64_t max_sequence = (int64_t)1 << 24;
static const int64_t max_vocab_size = (int64_t)1 << 31;
/* Ids of the dataset "random": more than a run can see. */
static const int64_t random_tokens = (int64_t)1 << 48;
/* Stream of the random generator for "random" ("ids"). */
static const uint64_t random_stream = 0x696473;

typedef struct segment {
    an_tokens tokens;
    char *path;
    bool led;      /* by end of text: position 0 is not in the file */
    int64_t start; /* in the stream */
} segment;

struct an_dataset {
    an_paths files;
    segment *segments;
    int n_segments; /* 0: random, or cached */
    an_token_cache cache;
    bool cached;
    int64_t truncated; /* samples */
    int64_t n_tokens, n_text_bytes;
    int64_t windows[2]; /* by an_split */
    int64_t sequence, vocab_size;
    int32_t end_of_text;
    uint64_t seed;
};

static int64_t segment_count(const segment *g)
{
    return g->tokens.n + (g->led ? 1 : 0);
}

static bool is_random(const char *const *paths, int n_paths)
{
    return n_paths == 1 && strcmp(paths[0], "random") == 0;
}

static an_status check_options(const an_dataset_options *o, an_error *err)
{
    if (o->n_paths < 1 || o->n_paths > MAX_FILES)
        return an_fail(err, AN_EINVAL, "data: expected 1 to %d files, came %d",
                       MAX_FILES, o->n_paths);
    if (o->sequence < 1 || o->sequence > max_sequence)
        return an_fail(err, AN_EINVAL,
                       "data: sequence is %lld, expected 1 to %lld",
                       (long long)o->sequence, (long long)max_sequence);
    if (o->vocab_size < 1 || o->vocab_size > max_vocab_size)
        return an_fail(err, AN_EINVAL,
                       "data: vocabulary is %lld, expected 1 to %lld",
                       (long long)o->vocab_size, (long long)max_vocab_size);
    if (!(o->validation_share >= 0 && o->validation_share <= 1))
        return an_fail(err, AN_EINVAL,
                       "data: validation share is %g, expected 0 to 1",
                       o->validation_share);
    return AN_OK;
}

/* Text needs a tokenizer whose ids fit the vocabulary. */
static an_status check_text(const an_dataset_options *o, const char *path,
                            an_error *err)
{
    if (!o->tokenizer)
        return an_fail(err, AN_EINVAL, "%s: text needs a tokenizer", path);
    int64_t n = an_tokenizer_vocab_size(o->tokenizer);
    if (n > o->vocab_size)
        return an_fail(err, AN_EINVAL,
                       "%s: the tokenizer has %lld ids, the model's vocabulary "
                       "%lld",
                       path, (long long)n, (long long)o->vocab_size);
    return AN_OK;
}

static an_status open_segment(an_dataset *d, const an_dataset_options *o,
                              const char *path, an_error *err)
{
    segment *g = &d->segments[d->n_segments];
    g->path = an_strdup(path);
    if (!g->path) return an_fail(err, AN_ENOMEM, "data: no memory");
    d->n_segments++;
    an_status s = an_tokens_open(g->path, &g->tokens, err);
    if (s != AN_OK) return s;
    if (g->tokens.kind != d->segments[0].tokens.kind)
        return an_fail(err, AN_EINVAL,
                       "%s: text and token files cannot be mixed; %s is %s",
                       path, d->segments[0].path,
                       g->tokens.kind == AN_DATA_TEXT ? "tokens" : "text");
    if (g->tokens.kind == AN_DATA_TEXT) {
        if ((s = check_text(o, path, err)) != AN_OK) return s;
        g->led = true;
        d->n_text_bytes += g->tokens.n;
    }
    g->start = d->n_tokens;
    d->n_tokens += segment_count(g);
    return AN_OK;
}

static an_status open_segments(an_dataset *d, const an_dataset_options *o,
                               an_error *err)
{
    d->segments = an_alloc_array(d->files.n, sizeof *d->segments);
    if (!d->segments) return an_fail(err, AN_ENOMEM, "data: no memory");
    if (o->tokenizer) d->end_of_text = an_tokenizer_end_of_text(o->tokenizer);
    an_status s = AN_OK;
    for (size_t i = 0; s == AN_OK && i < d->files.n; i++)
        s = open_segment(d, o, d->files.items[i], err);
    return s;
}

/* ---- text that is encoded first ---- */

/* Whether a file is text, and whether its lines are samples. */
static an_status look_at(const char *path, bool *text, bool *samples,
                         an_error *err)
{
    an_tokens t;
    an_status s = an_tokens_open(path, &t, err);
    if (s != AN_OK) return s;
    *text = t.kind == AN_DATA_TEXT;
    *samples = false;
    an_tokens_close(&t);
    return an_is_jsonl(path) ? an_samples_detect(path, samples, err) : AN_OK;
}

static an_status check_kinds(const an_dataset *d, bool *text, bool *samples,
                             bool *lines, an_error *err)
{
    an_status s = look_at(d->files.items[0], text, samples, err);
    *lines = an_is_jsonl(d->files.items[0]);
    for (size_t i = 1; s == AN_OK && i < d->files.n; i++) {
        bool other_text = false, other_samples = false;
        const char *path = d->files.items[i];
        s = look_at(path, &other_text, &other_samples, err);
        *lines = *lines || an_is_jsonl(path);
        if (s == AN_OK && other_text != *text)
            s = an_fail(err, AN_EINVAL,
                        "%s: text and token files cannot be mixed; %s is %s",
                        path, d->files.items[0], *text ? "text" : "tokens");
        if (s == AN_OK && other_samples != *samples)
            s = an_fail(err, AN_EINVAL,
                        "%s: samples and texts cannot be mixed; %s has %s",
                        path, d->files.items[0],
                        *samples ? "samples" : "texts");
    }
    return s;
}

static an_status open_cache(an_dataset *d, const an_dataset_options *o,
                            an_layout layout, an_error *err)
{
    const an_cache_options c = {.path = o->cache,
                                .files = &d->files,
                                .tokenizer = o->tokenizer,
                                .layout = layout,
                                .mask = o->mask,
                                .progress = o->progress,
                                .ctx = o->ctx};
    an_status s = an_token_cache_open(&c, &d->cache, err);
    if (s != AN_OK) return s;
    d->cached = true;
    d->n_tokens = d->cache.n;
    d->n_text_bytes = d->cache.text_bytes;
    int32_t end = an_tokenizer_end_of_text(o->tokenizer);
    d->end_of_text = end >= 0 ? end : 0;
    for (int64_t i = 0; i < d->cache.n_samples; i++)
        d->truncated += an_token_cache_begin(&d->cache, i + 1) -
                            an_token_cache_begin(&d->cache, i) >
                        o->sequence + 1;
    return AN_OK;
}

static an_status open_files(an_dataset *d, const an_dataset_options *o,
                            an_error *err)
{
    bool text = false, samples = false, lines = false;
    an_status s = an_paths_expand(o->paths, o->n_paths, &d->files, err);
    if (s == AN_OK) s = check_kinds(d, &text, &samples, &lines, err);
    if (s != AN_OK) return s;
    bool mapped =
        !text || (o->tokenizer && o->tokenizer->ids_are_bytes && !lines);
    if (mapped) return open_segments(d, o, err);
    s = check_text(o, d->files.items[0], err);
    return s == AN_OK
               ? open_cache(d, o,
                            samples ? AN_LAYOUT_SAMPLES : AN_LAYOUT_STREAM, err)
               : s;
}

static an_status split_windows(an_dataset *d, double share, an_error *err)
{
    int64_t n = d->n_tokens > 0 ? (d->n_tokens - 1) / d->sequence : 0;
    if (d->cache.n_samples > 0) n = d->cache.n_samples;
    int least_train = share<1, least_validation = share> 0;
    if (n < least_train + least_validation)
        return an_fail(err, AN_EINVAL,
                       "data: too small: %lld tokens make %lld windows of "
                       "%lld + 1, %d needed (%d to train, %d to validate)",
                       (long long)d->n_tokens, (long long)n,
                       (long long)d->sequence, least_train + least_validation,
                       least_train, least_validation);
    int64_t validation = (int64_t)round(share * (double)n);
    if (validation < least_validation) validation = least_validation;
    if (validation > n - least_train) validation = n - least_train;
    d->windows[AN_SPLIT_TRAIN] = n - validation;
    d->windows[AN_SPLIT_VALIDATION] = validation;
    return AN_OK;
}

an_status an_dataset_open(const an_dataset_options *options, an_dataset **out,
                          an_error *err)
{
    an_status s = check_options(options, err);
    if (s != AN_OK) return s;
    an_dataset *d = an_alloc(sizeof *d);
    if (!d) return an_fail(err, AN_ENOMEM, "data: no memory");
    d->sequence = options->sequence;
    d->vocab_size = options->vocab_size;
    d->seed = options->seed;
    if (is_random(options->paths, options->n_paths))
        d->n_tokens = random_tokens;
    else
        s = open_files(d, options, err);
    if (s == AN_OK) s = split_windows(d, options->validation_share, err);
    if (s == AN_OK)
        *out = d;
    else
        an_dataset_free(d);
    return s;
}

void an_dataset_free(an_dataset *d)
{
    if (!d) return;
    for (int i = 0; i < d->n_segments; i++) {
        an_tokens_close(&d->segments[i].tokens);
        an_free(d->segments[i].path);
    }
    an_free(d->segments);
    an_paths_free(&d->files);
    an_token_cache_close(&d->cache);
    an_free(d);
}

an_status an_data_detect(const char *const *paths, int n_paths,
                         an_data_kind *out, an_error *err)
{
    if (n_paths < 1) return an_fail(err, AN_EINVAL, "data: no files");
    if (is_random(paths, n_paths)) {
        *out = AN_DATA_RANDOM;
        return AN_OK;
    }
    an_tokens t;
    an_status s = an_tokens_open(paths[0], &t, err);
    if (s != AN_OK) return s;
    *out = t.kind;
    an_tokens_close(&t);
    return AN_OK;
}

int64_t an_dataset_windows(const an_dataset *d, an_split split)
{
    return d->windows[split];
}

int64_t an_dataset_tokens(const an_dataset *d)
{
    return d->n_tokens;
}

int64_t an_dataset_truncated(const an_dataset *d)
{
    return d->truncated;
}

double an_dataset_bytes_per_token(const an_dataset *d)
{
    return (double)d->n_text_bytes / (double)d->n_tokens;
}

static uint64_t segment_digest(const segment *g, uint64_t hash)
{
    const an_tokens *t = &g->tokens;
    hash = an_mix(hash ^ (uint64_t)t->n);
    hash = an_mix(hash ^ (uint64_t)(t->id_bytes << 1 | g->led));
    int64_t samples = t->n < SAMPLES_PER_FILE ? t->n : SAMPLES_PER_FILE;
    for (int64_t i = 0; i < samples; i++) {
        /* From the first id to the last. */
        int64_t at = samples < 2
                         ? 0
                         : (t->n - 1) / (samples - 1) * i +
                               (t->n - 1) % (samples - 1) * i / (samples - 1);
        const unsigned char *p = t->ids + at * t->id_bytes;
        hash = an_mix(hash ^ (uint64_t)(p[0] | p[t->id_bytes - 1] << 8));
    }
    return hash;
}

static uint64_t cache_digest(const an_token_cache *c, uint64_t hash)
{
    int64_t samples = c->n < SAMPLES_PER_FILE ? c->n : SAMPLES_PER_FILE;
    hash = an_mix(hash ^ (uint64_t)c->n_samples);
    for (int64_t i = 0; i < samples; i++) {
        uint32_t id;
        an_token_cache_read(c, c->n / samples * i, 1, &id);
        hash = an_mix(hash ^ id);
    }
    return hash;
}

uint64_t an_dataset_digest(const an_dataset *d)
{
    uint64_t hash = an_mix((uint64_t)d->n_tokens);
    if (d->cached) return cache_digest(&d->cache, hash);
    for (int i = 0; i < d->n_segments; i++)
        hash = segment_digest(&d->segments[i], hash);
    return hash;
}

/* The segment that holds position `at` of the stream. */
static const segment *find_segment(const an_dataset *d, int64_t at)
{
    int low = 0, high = d->n_segments - 1;
    while (low < high) {
        int middle = high - (high - low) / 2;
        if (d->segments[middle].start <= at)
            low = middle;
        else
            high = middle - 1;
    }
    return &d->segments[low];
}

static void read_random(const an_dataset *d, int64_t at, int64_t n,
                        int32_t *out)
{
    an_rng rng = {d->seed, random_stream, (uint64_t)at};
    for (int64_t i = 0; i < n; i++)
        out[i] =
            (int32_t)((an_rng_u64(&rng) >> 32) * (uint64_t)d->vocab_size >> 32);
}

/* Positions [begin, begin + n) of a segment. */
static an_status read_segment(const an_dataset *d, const segment *g,
                              int64_t begin, int64_t n, int32_t *out,
                              an_error *err)
{
    if (g->led && begin == 0 && n > 0) {
        *out++ = d->end_of_text;
        n--;
    } else if (g->led) {
        begin--; /* position 0 is not in the file */
    }
    return an_tokens_read(&g->tokens, begin, n, d->vocab_size, out, err);
}

/* Ids of the cache without the mask's bit. */
static an_status read_cache(const an_dataset *d, int64_t at, int64_t n,
                            int32_t *out, an_error *err)
{
    an_token_cache_read(&d->cache, at, n, (uint32_t *)out);
    for (int64_t i = 0; i < n; i++) {
        out[i] &= INT32_MAX;
        if (out[i] >= d->vocab_size)
            return an_fail(err, AN_EFORMAT,
                           "data: id %ld in the cache is not below the "
                           "vocabulary's %lld",
                           (long)out[i], (long long)d->vocab_size);
    }
    return AN_OK;
}

/* Ids [at, at + n) of the stream. */
static an_status read_stream(const an_dataset *d, int64_t at, int64_t n,
                             int32_t *out, an_error *err)
{
    if (d->n_segments == 0) {
        if (d->cached) return read_cache(d, at, n, out, err);
        read_random(d, at, n, out);
        return AN_OK;
    }
    an_status s = AN_OK;
    for (const segment *g = find_segment(d, at); s == AN_OK && n > 0; g++) {
        int64_t begin = at - g->start, left = segment_count(g) - begin;
        int64_t take = n < left ? n : left;
        s = read_segment(d, g, begin, take, out, err);
        at += take;
        out += take;
        n -= take;
    }
    return s;
}

/* Sample i, padded with end of text. */
static an_status read_sample(const an_dataset *d, int64_t i, int32_t *inputs,
                             int32_t *targets, an_error *err)
{
    int64_t begin = an_token_cache_begin(&d->cache, i);
    int64_t n = an_token_cache_begin(&d->cache, i + 1) - begin;
    if (n > d->sequence + 1) n = d->sequence + 1;
    int64_t n_inputs = n < d->sequence ? n : d->sequence;
    an_status s = read_cache(d, begin, n_inputs, inputs, err);
    for (int64_t j = n_inputs; j < d->sequence; j++)
        inputs[j] = d->end_of_text;
    for (int64_t j = 0; s == AN_OK && j < d->sequence; j++) {
        uint32_t id = AN_SAMPLE_MASK;
        if (j + 1 < n) an_token_cache_read(&d->cache, begin + j + 1, 1, &id);
        targets[j] = -1;
        if (!(id & AN_SAMPLE_MASK))
            s = read_cache(d, begin + j + 1, 1, &targets[j], err);
    }
    return s;
}

an_status an_dataset_window(const an_dataset *d, an_split split, uint64_t k,
                            int32_t *inputs, int32_t *targets, an_error *err)
{
    uint64_t n = (uint64_t)d->windows[split], window = k;
    if (n == 0 || (split == AN_SPLIT_VALIDATION && k >= n))
        return an_fail(err, AN_EINVAL, "data: window %llu of %llu",
                       (unsigned long long)k, (unsigned long long)n);
    if (split == AN_SPLIT_TRAIN)
        window = an_permute(d->seed, k / n, n, k % n);
    else
        window += (uint64_t)d->windows[AN_SPLIT_TRAIN];
    if (d->cache.n_samples > 0)
        return read_sample(d, (int64_t)window, inputs, targets, err);
    int64_t at = (int64_t)window * d->sequence;
    size_t rest = (size_t)d->sequence - 1;
    an_status s = read_stream(d, at, d->sequence, inputs, err);
    if (s != AN_OK) return s;
    memcpy(targets, inputs + 1, rest * sizeof *targets);
    return read_stream(d, at + d->sequence, 1, targets + rest, err);
}

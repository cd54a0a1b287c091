/*
 * Token windows over files. The stream is the files one after another; a text
 * file is led by end of text, so that a model learns how texts begin; token
 * files carry their own marks. Window i takes ids [i S, i S + S]: its targets
 * are its inputs moved by one, and windows share one id with their neighbour.
 * Validation windows are the last ones. Training windows come in the order of
 * a permutation for each epoch (permute.h, keys: seed, epoch).
 */
#include "base/alloc.h"
#include "base/rng.h"
#include "text/permute.h"
#include "text/tokenizer.h"
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
    segment *segments;
    int n_segments; /* 0: random */
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

/* Text needs a tokenizer whose ids are bytes and fit the vocabulary. */
static an_status check_text(const an_dataset_options *o, const char *path,
                            an_error *err)
{
    if (!o->tokenizer)
        return an_fail(err, AN_EINVAL, "%s: text needs a tokenizer", path);
    if (!o->tokenizer->ids_are_bytes)
        return an_fail(err, AN_EUNSUPPORTED,
                       "%s: text is read with the tokenizer bytes alone, "
                       "came %s",
                       path, an_tokenizer_kind(o->tokenizer));
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

static an_status open_files(an_dataset *d, const an_dataset_options *o,
                            an_error *err)
{
    d->segments = an_alloc_array((size_t)o->n_paths, sizeof *d->segments);
    if (!d->segments) return an_fail(err, AN_ENOMEM, "data: no memory");
    if (o->tokenizer) d->end_of_text = an_tokenizer_end_of_text(o->tokenizer);
    an_status s = AN_OK;
    for (int i = 0; s == AN_OK && i < o->n_paths; i++)
        s = open_segment(d, o, o->paths[i], err);
    return s;
}

static an_status split_windows(an_dataset *d, double share, an_error *err)
{
    int64_t n = d->n_tokens > 0 ? (d->n_tokens - 1) / d->sequence : 0;
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

uint64_t an_dataset_digest(const an_dataset *d)
{
    uint64_t hash = an_mix((uint64_t)d->n_tokens);
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

/* Ids [at, at + n) of the stream. */
static an_status read_stream(const an_dataset *d, int64_t at, int64_t n,
                             int32_t *out, an_error *err)
{
    if (d->n_segments == 0) {
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
    int64_t at = (int64_t)window * d->sequence;
    size_t rest = (size_t)d->sequence - 1;
    an_status s = read_stream(d, at, d->sequence, inputs, err);
    if (s != AN_OK) return s;
    memcpy(targets, inputs + 1, rest * sizeof *targets);
    return read_stream(d, at + d->sequence, 1, targets + rest, err);
}

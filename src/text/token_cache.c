/* Written through a temporary name, so that a cache is whole or not there. */
#include "text/token_cache.h"

#include "base/alloc.h"
#include "text/documents.h"
#include "text/shard.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HEADER_BYTES = 64, VERSION = 1 };
static const char magic[8] = {'A', 'N', 'T', 'O', 'K', 'E', 'N', 'S'};

static uint64_t get(const unsigned char *p, int n)
{
    uint64_t x = 0;
    for (int i = n; i-- > 0;)
        x = x << 8 | p[i];
    return x;
}

static void set(unsigned char *p, uint64_t x, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (unsigned char)(x >> (8 * i));
}

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "data: no memory");
}

/* ---- what a cache is made of ---- */

static uint64_t hash_more(uint64_t hash, const void *bytes, size_t size)
{
    const uint64_t both[2] = {hash, an_hash_bytes(bytes, size)};
    return an_hash_bytes(both, sizeof both);
}

/* All that changes ids. */
static uint64_t hash_tokenizer(const an_tokenizer *t)
{
    uint64_t hash = an_hash_bytes(t->source ? t->source : "", t->source_size);
    const int64_t flags[] = {
        t->model,         t->spelling,       t->byte_fallback,
        t->fuses_unknown, t->ignores_merges, t->unknown,
        t->begin,         t->end_of_text,    t->n_steps};
    hash = hash_more(hash, flags, sizeof flags);
    for (size_t i = 0; i < t->vocab.n; i++) {
        const an_token *k = &t->vocab.tokens[i];
        hash = hash_more(hash, k->text, k->size);
        hash = hash_more(hash, &k->score, sizeof k->score);
    }
    for (size_t i = 0; i < t->pairs.n_slots; i++)
        hash = hash_more(hash, &t->pairs.slots[i], sizeof t->pairs.slots[i]);
    for (int i = 0; i < t->n_splits; i++)
        hash = hash_more(hash, t->splits[i].expression, t->splits[i].size);
    return t->chat_template
               ? hash_more(hash, t->chat_template, t->chat_template_size)
               : hash;
}

static an_status hash_file(const char *path, uint64_t *out, an_error *err)
{
    enum { AT_ONCE = 1 << 20 };
    an_map map;
    an_status s = an_map_open(path, &map, err);
    if (s != AN_OK) return s;
    uint64_t hash = 0;
    for (size_t at = 0; at < map.size; at += AT_ONCE)
        hash = hash_more(hash, map.data + at,
                         map.size - at < AT_ONCE ? map.size - at : AT_ONCE);
    an_map_close(&map);
    *out = hash;
    return AN_OK;
}

static an_status stat_file(const char *path, struct stat *st, an_error *err)
{
    if (stat(path, st) == 0) return AN_OK;
    return an_fail(err, AN_EIO, "%s: cannot open", path);
}

static json_t *about_of(const an_cache_options *o)
{
    return json_pack(
        "{s:I, s:I, s:i, s:i, s:o}", "made", (json_int_t)time(NULL),
        "tokenizer", (json_int_t)hash_tokenizer(o->tokenizer), "layout",
        (int)o->layout, "mask", (int)o->mask, "files", json_array());
}

static an_status describe(const an_cache_options *o, json_t **out,
                          an_error *err)
{
    json_t *about = about_of(o), *list = json_object_get(about, "files");
    an_status s = about ? AN_OK : no_memory(err);
    for (size_t i = 0; s == AN_OK && i < o->files->n; i++) {
        struct stat st = {0};
        uint64_t hash = 0;
        const char *path = o->files->items[i];
        s = stat_file(path, &st, err);
        if (s == AN_OK) s = hash_file(path, &hash, err);
        if (s != AN_OK) break;
        json_t *f =
            json_pack("{s:s, s:I, s:I, s:I}", "path", path, "size",
                      (json_int_t)st.st_size, "time", (json_int_t)st.st_mtime,
                      "hash", (json_int_t)hash);
        if (!f || json_array_append_new(list, f) != 0) s = no_memory(err);
    }
    if (s == AN_OK)
        *out = about;
    else
        json_decref(about);
    return s;
}

/* ---- is it current? ---- */

static bool is_int(const json_t *o, const char *key, int64_t want)
{
    const json_t *v = json_object_get(o, key);
    return json_is_integer(v) && json_integer_value(v) == want;
}

/* A file that changed within seconds of the cache's making may have changed
 * again with the same time: then the hash tells. */
static bool is_file(const json_t *f, const char *path, int64_t made)
{
    enum { SECONDS = 2 };
    struct stat st;
    uint64_t hash = 0;
    const char *was = json_string_value(json_object_get(f, "path"));
    if (!was || strcmp(was, path) != 0 || stat(path, &st) != 0 ||
        !is_int(f, "size", (int64_t)st.st_size))
        return false;
    if (is_int(f, "time", (int64_t)st.st_mtime) &&
        (int64_t)st.st_mtime + SECONDS < made)
        return true;
    return hash_file(path, &hash, NULL) == AN_OK &&
           is_int(f, "hash", (int64_t)hash);
}

static bool is_current(const json_t *about, const an_cache_options *o)
{
    const json_t *list = json_object_get(about, "files");
    int64_t made = json_integer_value(json_object_get(about, "made"));
    bool same =
        is_int(about, "tokenizer", (int64_t)hash_tokenizer(o->tokenizer)) &&
        is_int(about, "layout", o->layout) && is_int(about, "mask", o->mask) &&
        json_array_size(list) == o->files->n;
    for (size_t i = 0; same && i < o->files->n; i++)
        same = is_file(json_array_get(list, i), o->files->items[i], made);
    return same;
}

/* ---- reading ---- */

an_status an_token_cache_parse(const char *path, an_map map,
                               an_token_cache *out, json_t **about,
                               an_error *err)
{
    const unsigned char *p = map.data;
    if (map.size < HEADER_BYTES || memcmp(p, magic, sizeof magic) != 0 ||
        get(p + 8, 4) != VERSION)
        return an_fail(err, AN_EFORMAT, "%s: not a cache of tokens", path);
    uint64_t id_bytes = get(p + 12, 4), n = get(p + 16, 8);
    uint64_t samples = get(p + 24, 8), n_text = get(p + 32, 8);
    uint64_t n_json = get(p + 40, 8), left = map.size - HEADER_BYTES;
    bool well = (id_bytes == 2 || id_bytes == 4) && n <= left / id_bytes;
    if (well) left -= n * id_bytes;
    uint64_t begins = samples > 0 ? samples + 1 : 0;
    well = well && samples <= left / 8 && begins <= left / 8 &&
           n_text <= INT64_MAX;
    if (well) left -= 8 * begins;
    if (!well || n_json != left)
        return an_fail(err, AN_EFORMAT, "%s: a cache of %zu bytes is cut", path,
                       map.size);
    an_token_cache c = {.map = map,
                        .ids = p + HEADER_BYTES,
                        .n = (int64_t)n,
                        .n_samples = (int64_t)samples,
                        .text_bytes = (int64_t)n_text,
                        .id_bytes = (int)id_bytes};
    c.begins = c.ids + n * id_bytes;
    for (uint64_t i = 0; i < begins; i++) {
        int64_t at = an_token_cache_begin(&c, (int64_t)i);
        if (at < 0 || at > c.n ||
            (i > 0 && at < an_token_cache_begin(&c, (int64_t)i - 1)))
            return an_fail(err, AN_EFORMAT, "%s: sample %llu begins at %lld",
                           path, (unsigned long long)i, (long long)at);
    }
    an_status s = an_json_parse((const char *)c.begins + 8 * begins,
                                (size_t)n_json, path, about, err);
    if (s == AN_OK) *out = c;
    return s;
}

int64_t an_token_cache_begin(const an_token_cache *c, int64_t i)
{
    return (int64_t)get(c->begins + 8 * i, 8);
}

void an_token_cache_read(const an_token_cache *c, int64_t begin, int64_t n,
                         uint32_t *out)
{
    const unsigned char *p = c->ids + begin * c->id_bytes;
    for (int64_t i = 0; i < n; i++)
        out[i] = (uint32_t)get(p + i * c->id_bytes, c->id_bytes);
}

void an_token_cache_close(an_token_cache *c)
{
    if (c->map.data) an_map_close(&c->map);
    *c = (an_token_cache){0};
}

/* ---- writing ---- */

typedef struct maker {
    const an_cache_options *o;
    an_encoder *encoder;
    an_writer *writer;
    int id_bytes;
    uint64_t n, text_bytes, total;
    uint64_t *begins; /* samples */
    size_t n_begins, cap_begins;
} maker;

static an_status put_number(maker *m, uint64_t x, int n, an_error *err)
{
    unsigned char bytes[8];
    set(bytes, x, n);
    return an_writer_put(m->writer, bytes, (size_t)n, err);
}

static an_status put_id(maker *m, uint32_t id, an_error *err)
{
    m->n++;
    return put_number(m, id, m->id_bytes, err);
}

static an_status put_part(void *ctx, an_piece piece, const char *text,
                          size_t size, an_error *err)
{
    maker *m = ctx;
    int32_t lead[2];
    int n_lead =
        piece == AN_PIECE_FIRST ? an_document_lead(m->o->tokenizer, lead) : 0;
    an_status s = AN_OK;
    for (int i = 0; s == AN_OK && i < n_lead; i++)
        s = put_id(m, (uint32_t)lead[i], err);
    an_encoder_clear(m->encoder);
    if (s == AN_OK) s = an_encoder_put(m->encoder, piece, text, size, err);
    size_t n;
    const int32_t *ids = an_encoder_ids(m->encoder, &n);
    for (size_t i = 0; s == AN_OK && i < n; i++)
        s = put_id(m, (uint32_t)ids[i], err);
    m->text_bytes += size;
    return s;
}

static bool show(void *ctx, uint64_t bytes)
{
    const maker *m = ctx;
    return !m->o->progress ||
           m->o->progress(m->o->ctx,
                          (double)bytes / (double)(m->total ? m->total : 1));
}

static an_status add_begin(maker *m, an_error *err)
{
    if (!an_grow(&m->begins, &m->cap_begins, m->n_begins, sizeof *m->begins))
        return no_memory(err);
    m->begins[m->n_begins++] = m->n;
    return AN_OK;
}

static an_status put_sample(void *ctx, const uint32_t *ids, size_t n,
                            an_error *err)
{
    maker *m = ctx;
    an_status s = add_begin(m, err);
    for (size_t i = 0; s == AN_OK && i < n; i++)
        s = put_id(m, ids[i], err);
    return s;
}

static an_status put_samples(maker *m, an_error *err)
{
    an_status s = AN_OK;
    m->total = m->o->files->n; /* files, not bytes */
    for (size_t i = 0; s == AN_OK && i < m->o->files->n; i++) {
        s = an_samples_read(m->o->files->items[i], m->o->tokenizer, m->o->mask,
                            put_sample, m, err);
        if (s == AN_OK && !show(m, i + 1)) s = an_fail(err, AN_EIO, "stopped");
    }
    if (s == AN_OK && m->n_begins == 0)
        s = an_fail(err, AN_EINVAL, "data: no samples");
    if (s == AN_OK) s = add_begin(m, err);
    for (size_t i = 0; s == AN_OK && i < m->n_begins; i++)
        s = put_number(m, m->begins[i], 8, err);
    return s;
}

static an_status put_stream(maker *m, an_error *err)
{
    const an_documents_reader r = {
        .part = put_part, .progress = show, .ctx = m};
    an_status s = an_documents_size(m->o->files, &m->total, err);
    if (s == AN_OK)
        s = an_encoder_new(m->o->tokenizer, SIZE_MAX, &m->encoder, err);
    if (s == AN_OK)
        s = an_documents_read((const char *const *)m->o->files->items,
                              m->o->files->n, &r, err);
    return s;
}

/* jansson (2.14) forgets that the text of a key could not be put. */
typedef struct printed {
    an_buffer text;
    an_status status;
} printed;

static int put_text(const char *text, size_t size, void *out)
{
    printed *p = out;
    if (p->status == AN_OK)
        p->status = an_buffer_put(&p->text, text, size, NULL);
    return p->status == AN_OK ? 0 : -1;
}

static an_status put_all(maker *m, an_error *err)
{
    unsigned char header[HEADER_BYTES] = {0};
    json_t *about = NULL;
    /* Before the files are read: what changes meanwhile is noticed. */
    an_status s = describe(m->o, &about, err);
    printed out = {0};
    if (s == AN_OK &&
        (json_dump_callback(about, put_text, &out, JSON_COMPACT) != 0 ||
         out.status != AN_OK))
        s = no_memory(err);
    if (s == AN_OK) s = an_writer_put(m->writer, header, sizeof header, err);
    if (s == AN_OK)
        s = m->o->layout == AN_LAYOUT_SAMPLES ? put_samples(m, err)
                                              : put_stream(m, err);
    if (s == AN_OK)
        s = an_writer_put(m->writer, out.text.data, out.text.n, err);
    memcpy(header, magic, sizeof magic);
    set(header + 8, VERSION, 4);
    set(header + 12, (uint64_t)m->id_bytes, 4);
    set(header + 16, m->n, 8);
    set(header + 24, m->n_begins ? m->n_begins - 1 : 0, 8);
    set(header + 32, m->text_bytes, 8);
    set(header + 40, out.text.n, 8);
    if (s == AN_OK)
        s = an_writer_patch(m->writer, 0, header, sizeof header, err);
    an_buffer_fini(&out.text);
    json_decref(about);
    return s;
}

static an_status make(const an_cache_options *o, const char *path,
                      an_error *err)
{
    maker m = {.o = o};
    bool wide = o->layout == AN_LAYOUT_SAMPLES ||
                an_tokenizer_vocab_size(o->tokenizer) > 1 << 16;
    m.id_bytes = wide ? 4 : 2;
    an_status s = an_writer_open(path, &m.writer, err);
    if (s != AN_OK) return s;
    s = put_all(&m, err);
    if (s == AN_OK)
        s = an_writer_commit(m.writer, err);
    else
        an_writer_abort(m.writer);
    an_encoder_free(m.encoder);
    an_free(m.begins);
    return s;
}

/* ---- opening ---- */

static an_status open_file(const char *path, an_token_cache *out,
                           json_t **about, an_error *err)
{
    an_map map;
    an_status s = an_map_open(path, &map, err);
    if (s != AN_OK) return s;
    s = an_token_cache_parse(path, map, out, about, err);
    if (s != AN_OK) an_map_close(&map);
    return s;
}

static bool open_current(const an_cache_options *o, an_token_cache *out)
{
    json_t *about = NULL;
    an_token_cache c = {0};
    if (open_file(o->path, &c, &about, NULL) != AN_OK) return false;
    bool current = is_current(about, o);
    json_decref(about);
    if (current)
        *out = c;
    else
        an_token_cache_close(&c);
    return current;
}

/* A file of its own, whose name is gone before it is used. */
static an_status open_temporary(const an_cache_options *o, an_token_cache *out,
                                an_error *err)
{
    char path[512];
    json_t *about = NULL;
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/anemone-tokens-XXXXXX",
             folder && folder[0] && strlen(folder) < 400 ? folder : "/tmp");
    int fd = mkstemp(path);
    if (fd < 0) return an_fail(err, AN_EIO, "%s: cannot create", path);
    close(fd);
    an_status s = make(o, path, err);
    if (s == AN_OK) s = open_file(path, out, &about, err);
    json_decref(about);
    unlink(path);
    return s;
}

static an_status make_folder_of(const char *path, an_error *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path) return AN_OK;
    char *folder = an_strdup(path);
    if (!folder) return no_memory(err);
    folder[slash - path] = 0;
    an_status s = an_dir_make(folder, err);
    an_free(folder);
    return s;
}

an_status an_token_cache_open(const an_cache_options *o, an_token_cache *out,
                              an_error *err)
{
    json_t *about = NULL;
    if (!o->path) return open_temporary(o, out, err);
    if (an_path_exists(o->path) && open_current(o, out)) return AN_OK;
    an_status s = make_folder_of(o->path, err);
    if (s == AN_OK) s = make(o, o->path, err);
    if (s == AN_OK) s = open_file(o->path, out, &about, err);
    json_decref(about);
    return s;
}

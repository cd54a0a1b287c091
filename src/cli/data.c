/*
 * anemone data: text to tokens and back, what files hold, tokenizers from text.
 */
#include "cli/bar.h"
#include "cli/commands.h"
#include "cli/display.h"
#include "cli/terminal.h"

#include "anemone/text.h"
#include "base/clock.h"
#include "base/file.h"
#include "text/documents.h"
#include "text/tokens.h"

#include <string.h>

typedef enum action { ENCODE, DECODE, INFO, TRAIN_TOKENIZER, N_ACTIONS } action;

typedef struct values {
    int action, form;
    an_words files;
    const char *tokenizer, *out, *text;
    int64_t vocab;
    bool quiet;
} values;

static const char *action_choice(int i)
{
    static const char *const names[N_ACTIONS] = {"encode", "decode", "info",
                                                 "train-tokenizer"};
    return i < N_ACTIONS ? names[i] : NULL;
}

static const char *form_choice(int i)
{
    return i < AN_FORM_COUNT ? an_tokenizer_form_name((an_tokenizer_form)i)
                             : NULL;
}

static const an_option options[] = {
    {.section = "Operands",
     .metavar = "ACTION",
     .type = AN_OPTION_CHOICE,
     .choice = action_choice,
     .required = true,
     AN_AT(values, action),
     .help = "encode: text files to one file of tokens (or --text to ids that "
             "are printed); decode: files of tokens to text; info: what data "
             "and tokenizer files hold; train-tokenizer: byte-level BPE"},
    {.metavar = "FILE...",
     .type = AN_OPTION_WORDS,
     AN_AT(values, files),
     .help = "text, JSONL with \"text\", folders of them; token files for "
             "decode"},
    {.section = "Options",
     .name = "tokenizer",
     .metavar = "FILE",
     .type = AN_OPTION_TEXT,
     AN_AT(values, tokenizer),
     .help = "tokenizer.json, SentencePiece or tiktoken tokenizer.model, "
             "vocab.json beside merges.txt, llama2.c tokenizer.bin, a GGUF, a "
             "folder with one of them, or the word bytes"},
    {.name = "out",
     .metavar = "FILE",
     .type = AN_OPTION_TEXT,
     .preset = "standard output for decode",
     AN_AT(values, out),
     .help = "what is written: a token shard of llm.c, text, tokenizer.json"},
    {.name = "text",
     .metavar = "TEXT",
     .type = AN_OPTION_TEXT,
     .preset = "FILE...",
     AN_AT(values, text),
     .help = "encode: this text; its ids are printed"},
    {.name = "vocab",
     .metavar = "N",
     .type = AN_OPTION_INT,
     .unit = "tokens",
     .min = 257,
     .max = 1 << 22,
     AN_AT(values, vocab),
     .help = "train-tokenizer: how many, bytes and special tokens included"},
    {.name = "form",
     .metavar = "NAME",
     .type = AN_OPTION_CHOICE,
     .choice = form_choice,
     AN_AT(values, form),
     .help = "train-tokenizer: as whose tokenizer splits texts, and with which "
             "special tokens: gpt2, llama3, qwen2 or smollm"},
    {.name = "quiet",
     .type = AN_OPTION_FLAG,
     AN_AT(values, quiet),
     .help = "print errors only"},
};

static void defaults(void *v)
{
    *(values *)v =
        (values){.tokenizer = "bytes", .vocab = 8192, .form = AN_FORM_GPT2};
}

static an_bar bar_of(const char *what, const values *o)
{
    return an_bar_of(what, o->quiet ? AN_BAR_HIDDEN : AN_BAR_SHOWN);
}

/* ---- actions ---- */

static an_status need(const char *what, bool there, an_error *err)
{
    return there ? AN_OK
                 : an_fail(err, AN_EINVAL, "%s is missing; see --help", what);
}

static an_status encode_text(const values *o, const an_tokenizer *t,
                             an_error *err)
{
    int32_t *ids = NULL;
    size_t n = 0;
    an_status s =
        an_tokenizer_encode(t, o->text, strlen(o->text), &ids, &n, err);
    for (size_t i = 0; s == AN_OK && i < n; i++)
        printf("%s%ld", i ? " " : "", (long)ids[i]);
    if (s == AN_OK) putchar('\n');
    an_tokens_free(ids);
    return s;
}

static an_status encode_files(const values *o, const an_tokenizer *t,
                              an_error *err)
{
    an_bar b = bar_of("encode", o);
    an_encode_options e = {.paths = o->files.items,
                           .n_paths = o->files.n,
                           .tokenizer = t,
                           .progress = an_bar_show,
                           .ctx = &b};
    an_encode_report r = {0};
    an_status s = need("FILE...", o->files.n > 0, err);
    if (s == AN_OK) s = need("--out FILE", o->out != NULL, err);
    if (s == AN_OK) s = an_data_encode(&e, o->out, &r, err);
    an_bar_clear(&b);
    if (s == AN_OK && !o->quiet) {
        char size[32];
        double seconds = an_clock() - b.started;
        an_human((double)r.text_bytes, "B", size, sizeof size);
        printf("%lld documents, %s, %lld tokens, %.2f bytes per token, %.1f s: "
               "%s\n",
               (long long)r.documents, size, (long long)r.tokens,
               r.tokens ? (double)r.text_bytes / (double)r.tokens : 0.0,
               seconds, o->out);
    }
    return s;
}

static an_status encode(const values *o, an_error *err)
{
    an_tokenizer *t = NULL;
    an_status s = an_tokenizer_open(o->tokenizer, &t, err);
    if (s == AN_OK)
        s = o->text ? encode_text(o, t, err) : encode_files(o, t, err);
    an_tokenizer_free(t);
    return s;
}

/* Where decoded text goes. */
typedef struct sink {
    an_writer *writer; /* NULL: standard output */
    bool live;
    an_clean clean;
} sink;

static an_status put(sink *out, const char *bytes, size_t size, an_error *err)
{
    if (out->writer) return an_writer_put(out->writer, bytes, size, err);
    if (out->live)
        an_clean_print(&out->clean, bytes, size, stdout);
    else
        fwrite(bytes, 1, size, stdout);
    return ferror(stdout) ? an_fail(err, AN_EIO, "cannot write the output")
                          : AN_OK;
}

static an_status decode_tokens(const an_tokens *tokens, const an_tokenizer *t,
                               sink *out, an_error *err)
{
    enum { AT_ONCE = 4096 };
    int32_t ids[AT_ONCE];
    an_status s = AN_OK;
    an_decoder d = {0};
    for (int64_t at = 0; s == AN_OK && at < tokens->n; at += AT_ONCE) {
        int64_t left = tokens->n - at, n = left < AT_ONCE ? left : AT_ONCE;
        s = an_tokens_read(tokens, at, n, an_tokenizer_vocab_size(t), ids, err);
        for (int64_t i = 0; s == AN_OK && i < n; i++) {
            size_t size;
            const char *bytes = an_decoder_next(&d, t, ids[i], &size);
            s = put(out, bytes, size, err);
        }
    }
    return s;
}

static an_status decode_file(const char *path, const an_tokenizer *t, sink *out,
                             an_error *err)
{
    an_tokens tokens;
    an_status s = an_tokens_open(path, &tokens, err);
    if (s != AN_OK) return s;
    if (tokens.kind == AN_DATA_TOKENS)
        s = decode_tokens(&tokens, t, out, err);
    else
        s = an_fail(err, AN_EINVAL, "%s: text; decode takes files of tokens",
                    path);
    an_tokens_close(&tokens);
    return s;
}

static an_status decode(const values *o, an_error *err)
{
    an_tokenizer *t = NULL;
    sink out = {.live = an_terminal_of(stdout).live};
    an_status s = need("FILE...", o->files.n > 0, err);
    if (s == AN_OK) s = an_tokenizer_open(o->tokenizer, &t, err);
    if (s == AN_OK && o->out) s = an_writer_open(o->out, &out.writer, err);
    for (int i = 0; s == AN_OK && i < o->files.n; i++)
        s = decode_file(o->files.items[i], t, &out, err);
    if (s == AN_OK && out.writer)
        s = an_writer_commit(out.writer, err);
    else
        an_writer_abort(out.writer);
    an_tokenizer_free(t);
    return s;
}

static void print_tokenizer(const char *path, const an_tokenizer *t)
{
    printf("%s: tokenizer, %s, %lld tokens", path, an_tokenizer_kind(t),
           (long long)an_tokenizer_vocab_size(t));
    if (an_tokenizer_begin_of_text(t) >= 0)
        printf(", begin of text %ld", (long)an_tokenizer_begin_of_text(t));
    if (an_tokenizer_end_of_text(t) >= 0)
        printf(", end of text %ld", (long)an_tokenizer_end_of_text(t));
    putchar('\n');
}

static an_status print_data(const char *path, an_error *err)
{
    an_tokens tokens;
    char size[32];
    an_status s = an_tokens_open(path, &tokens, err);
    if (s != AN_OK) return s;
    an_human((double)tokens.map.size, "B", size, sizeof size);
    if (tokens.kind == AN_DATA_TEXT)
        printf("%s: %s, %s\n", path, an_is_jsonl(path) ? "JSONL" : "text",
               size);
    else
        printf("%s: %s of %lld ids of %d bits, %s\n", path,
               tokens.offset ? "token shard" : "raw tokens",
               (long long)tokens.n, 8 * tokens.id_bytes, size);
    an_tokens_close(&tokens);
    return AN_OK;
}

/* A file that is no tokenizer is data. */
static an_status info(const values *o, an_error *err)
{
    an_status s = need("FILE...", o->files.n > 0, err);
    for (int i = 0; s == AN_OK && i < o->files.n; i++) {
        an_tokenizer *t = NULL;
        an_error why = {0};
        const char *path = o->files.items[i];
        if (!an_is_jsonl(path) && an_tokenizer_open(path, &t, &why) == AN_OK)
            print_tokenizer(path, t);
        else if (why.code == AN_EUNSUPPORTED || why.code == AN_OK)
            s = print_data(path, err);
        else
            s = an_fail(err, why.code, "%s", why.text);
        an_tokenizer_free(t);
    }
    return s;
}

static an_status train_tokenizer(const values *o, an_error *err)
{
    an_bar b = bar_of("train-tokenizer", o);
    an_tokenizer *t = NULL;
    an_tokenizer_training g = {.paths = o->files.items,
                               .n_paths = o->files.n,
                               .form = (an_tokenizer_form)o->form,
                               .vocab_size = o->vocab,
                               .progress = an_bar_show,
                               .ctx = &b};
    an_status s = need("FILE...", o->files.n > 0, err);
    if (s == AN_OK) s = need("--out FILE", o->out != NULL, err);
    if (s == AN_OK) s = an_tokenizer_train(&g, &t, err);
    if (s == AN_OK) s = an_tokenizer_save(t, o->out, err);
    an_bar_clear(&b);
    if (s == AN_OK && !o->quiet)
        printf("%lld tokens, %.1f s: %s\n",
               (long long)an_tokenizer_vocab_size(t), an_clock() - b.started,
               o->out);
    an_tokenizer_free(t);
    return s;
}

static int data(const an_call *call, const void *v)
{
    static an_status (*const actions[N_ACTIONS])(const values *, an_error *) = {
        [ENCODE] = encode,
        [DECODE] = decode,
        [INFO] = info,
        [TRAIN_TOKENIZER] = train_tokenizer};
    const values *o = v;
    an_error err = {0};
    return actions[o->action](o, &err) == AN_OK ? 0 : an_call_fail(call, &err);
}

const an_command an_command_data = {
    .name = "data",
    .summary = "text to tokens and back; train a tokenizer",
    .about = "Works on files of any size in little memory; what is written "
             "appears under its name when it is whole.",
    .options = options,
    .n_options = AN_COUNT(options),
    .size_bytes = sizeof(values),
    .defaults = defaults,
    .run = data,
};

/* What the readers of the formats share. */
#ifndef AN_MODEL_WEIGHT_FILE_PARTS_H
#define AN_MODEL_WEIGHT_FILE_PARTS_H

#include "model/weight_file.h"

enum { AN_WEIGHT_FILES = 1024 }; /* of one model, at most */

struct an_weight_file {
    an_arena arena; /* names */
    const char *format, *path;
    an_map map; /* of one file; folders have `files` */
    const unsigned char *data;
    size_t size;
    const an_st *borrowed; /* of the caller's */
    an_st **files;
    size_t n_files, cap_files;
    an_config config;
    bool has_config, has_tokenizer;
    an_stored_tensor *list; /* sorted by name once open */
    size_t n, capacity;
};

/* A format that is told by the file's first bytes, or by its size. */
typedef struct an_weight_format {
    const char *name;
    bool (*is)(const unsigned char *data, size_t size);
    /* Fills in list and config of s->data. */
    an_status (*list)(an_weight_file *s, an_error *err);
} an_weight_format;
extern const an_weight_format an_weight_format_llama2c, an_weight_format_llmc,
    an_weight_format_blzt, an_weight_format_gguf;

/* Hugging Face: one file with its config.json, or a folder. */
an_status an_weight_file_open_hf(an_weight_file *s, const char *path,
                                 an_error *err);

/* Appends a tensor; its name is made in the arena. */
an_status an_weight_file_add(an_weight_file *s, const an_stored_tensor *t,
                             const char *name, an_error *err);
an_status an_weight_file_add_st(an_weight_file *s, const an_st *st,
                                const char *prefix, an_error *err);
/* Llama of the given facts, with RoPE's and the norm's constants. */
void an_weight_file_set_llama(an_weight_file *s, const an_model_facts *f,
                              double epsilon, double theta);

/* A walk through a file's body: each take checks the room that is left. */
typedef struct an_file_walk {
    an_weight_file *s;
    size_t at;
    an_status status;
    an_error *err;
} an_file_walk;
/* `bytes` of the body, or NULL with the status set. */
const unsigned char *an_walk_take(an_file_walk *w, uint64_t n,
                                  uint64_t element_bytes, const char *what);
/* n equal tensors that follow each other, one a layer: "model.layers.%d.x";
 * or one, whose name has no %d. `like` says all but name and data. */
void an_walk_tensors(an_file_walk *w, const char *format, int64_t n,
                     const an_stored_tensor *like);

/* Little-endian numbers of a header. */
int32_t an_file_int(const unsigned char *data, size_t index);
float an_file_float(const unsigned char *data, size_t index);
uint64_t an_stored_bytes(const an_stored_tensor *t);

#endif

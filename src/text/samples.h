/*
 * Fine-tuning samples of JSONL files, one a line: {"prompt", "completion"} or
 * {"messages": [{"role", "content"}]}. Both are conversations (chat.h); without
 * a chat form a prompt and its completion stand one behind the other.
 */
#ifndef AN_TEXT_SAMPLES_H
#define AN_TEXT_SAMPLES_H

#include "text/tokenizer.h"

/* Set in an id that nothing is to be learned from. */
#define AN_SAMPLE_MASK (UINT32_C(1) << 31)

/* Whether the file's first object is a sample, not {"text"}. */
an_status an_samples_detect(const char *path, bool *out, an_error *err);

/* The sample's ids, borrowed. */
typedef an_status an_sample_put(void *ctx, const uint32_t *ids, size_t n,
                                an_error *err);
/* One call for each line. AN_EFORMAT names file and line. */
an_status an_samples_read(const char *path, const an_tokenizer *t, an_mask mask,
                          an_sample_put *put, void *ctx, an_error *err);
/* The same for a file's bytes. */
an_status an_samples_parse(const char *path, const char *text, size_t size,
                           const an_tokenizer *t, an_mask mask,
                           an_sample_put *put, void *ctx, an_error *err);

#endif

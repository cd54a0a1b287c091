/*
 * Text as llm.c's token shards: ids of 16 bits where the vocabulary allows it,
 * else of 32. Each document is led by the end of text, and by the id that the
 * tokenizer's models expect before a text, where there is one.
 */
#ifndef AN_TEXT_SHARD_H
#define AN_TEXT_SHARD_H

#include "anemone/text.h"

#include "text/tokens.h"

/* What documents are led by; returns how many ids. */
int an_document_lead(const an_tokenizer *t, int32_t lead[2]);

#endif

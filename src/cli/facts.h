/* Facts of a machine as probe and doctor show them. */
#ifndef AN_CLI_FACTS_H
#define AN_CLI_FACTS_H

#include "base/json.h"
#include "engine/apple/machine.h"

/* "25.8 GB". */
const char *an_bytes_text(uint64_t bytes, char *text, size_t size);

/* The framework does not open: what to do, whole lines. */
const char *an_framework_advice(const an_machine *m);

/* New values; null for "", 0, unknown, and text that is not UTF-8. */
json_t *an_text_json(const char *text);
json_t *an_count_json(int64_t n);
json_t *an_answer_json(an_answer a);
json_t *an_machine_json(const an_machine *m);

/* Prints and releases. */
an_status an_json_print(json_t *value, an_error *err);

#endif

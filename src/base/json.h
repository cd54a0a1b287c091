/*
 * JSON over jansson, with bounds: text of at most 100 MB, depth of at most 64,
 * no duplicate keys. Values are jansson's; readers below name the key and the
 * expected type in their errors.
 */
#ifndef AN_BASE_JSON_H
#define AN_BASE_JSON_H

#include "anemone/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* `name` is used in errors, as "name: line 3: ...". The caller decrefs. */
an_status an_json_parse(const char *text, size_t size, const char *name,
                        json_t **out, an_error *err);
an_status an_json_load(const char *path, json_t **out, an_error *err);

/* Read object[key] into *out. A missing key, or null, leaves *out (the default)
 * alone and is well; a value of another type or out of [min, max] is
 * AN_EFORMAT. */
an_status an_json_int(const json_t *object, const char *key, int64_t min,
                      int64_t max, int64_t *out, an_error *err);
an_status an_json_real(const json_t *object, const char *key, double *out,
                       an_error *err);
an_status an_json_bool(const json_t *object, const char *key, bool *out,
                       an_error *err);
/* Borrowed from the object. */
an_status an_json_string(const json_t *object, const char *key,
                         const char **out, an_error *err);

#endif

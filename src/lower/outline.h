/*
 * The end of lowering: large constants move to a weight file, and the function
 * is ready to be printed.
 */
#ifndef AN_LOWER_OUTLINE_H
#define AN_LOWER_OUTLINE_H

#include "mil/ir.h"

/*
 * Adds f to `into` as "main", its large constants as records of a weight file
 * at `path` ("@model_path/..."). *data, *size: the file's bytes, which the
 * caller frees with an_free; NULL and 0 when there are no such constants.
 * Those of fp64 stay inline: weight files have no fp64.
 */
an_status an_outline(const an_function *f, an_module *into, const char *path,
                     void **data, size_t *size, an_error *err);

#endif

/*
 * The weights of one function, out of the files that many share.
 */
#ifndef AN_LOWER_REPACK_H
#define AN_LOWER_REPACK_H

#include "lower/lower.h"

/*
 * Adds f to `into` as "main", with the records that its constants name in
 * `blobs` copied into one weight file at `path` ("@model_path/..."). *data,
 * *size: the file's bytes, which the caller frees with an_free; NULL and 0 when
 * f names no records. AN_EUNSUPPORTED: an op names a record itself, without a
 * constant; AN_EFORMAT: a record cannot be read.
 */
an_status an_repack(const an_function *f, an_module *into, const char *path,
                    const an_blob *blobs, int n_blobs, void **data,
                    size_t *size, an_error *err);

#endif

/*
 * Weight blob files: the version 2 container that BLOBFILE literals name, and
 * the hand-written forms that run on hardware. Layout and sources:
 * docs/mil.md, "Weight files" (apple/coremltools StorageFormat.hpp).
 */
#ifndef AN_MIL_BLOB_H
#define AN_MIL_BLOB_H

#include "anemone/mil.h"

typedef struct an_blob_record {
    an_dtype dtype;   /* of the record's type field */
    const void *data; /* in the file's bytes */
    size_t size_bytes;
    size_t next; /* offset of the record that would follow */
} an_blob_record;

/*
 * The record at `offset` of a file's bytes, for `count` elements of `dtype` as
 * the program wants them. Data is where the record's field says when that is
 * plausible, else behind the record. Errors name file and offset: truncated,
 * misaligned, no sentinel, wrong size.
 */
an_status an_blob_read(const void *file, size_t size, const char *name,
                       uint64_t offset, an_dtype dtype, int64_t count,
                       an_blob_record *out, an_error *err);

/* Unpacks a record's elements into an_dtype_size bytes each. */
void an_blob_unpack(const an_blob_record *r, an_dtype dtype, int64_t count,
                    void *out);

/* Builds a file: records in order, true offsets, version 2. */
typedef struct an_blob_writer an_blob_writer;
an_status an_blob_writer_new(an_blob_writer **out, an_error *err);
/* `data` holds count elements of an_dtype_size bytes. *offset: the record's. */
an_status an_blob_writer_add(an_blob_writer *w, an_dtype dtype, int64_t count,
                             const void *data, uint64_t *offset, an_error *err);
/* The file's bytes; the caller frees them with an_free. Frees w. */
an_status an_blob_writer_take(an_blob_writer *w, void **data, size_t *size,
                              an_error *err);
void an_blob_writer_free(an_blob_writer *w);

#endif

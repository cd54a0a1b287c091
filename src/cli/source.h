/*
 * A program on the command line: read, parsed, and shown where it is wrong.
 */
#ifndef AN_CLI_SOURCE_H
#define AN_CLI_SOURCE_H

#include "anemone/mil.h"
#include "cli/args.h"

typedef struct an_source_text {
    char *path; /* of the text: in a folder, its model.mil */
    char *text;
    size_t size;
} an_source_text;

/* Reads and parses `path`, a MIL file or a .mlmodelc folder. *source is to be
 * closed in every case, *module to be freed when it is set. */
an_status an_source_open(const char *path, an_source_text *source,
                         an_module **module, an_error *err);
void an_source_close(an_source_text *source);

/* The program's folder, "." when its path has none: what @model_path stands
 * for by default. */
an_status an_source_folder(const an_source_text *source, char *out, size_t size,
                           an_error *err);

/* Prints the source line on stderr, and a caret below the column. */
void an_source_show(const an_source_text *source, int line, int column);
/* Prints the error on stderr: "file:line:col: message", the source line and a
 * caret below; or, when it has no position, as an_call_fail. */
int an_source_fail(const an_call *call, const an_source_text *source,
                   const an_error *err);

#endif

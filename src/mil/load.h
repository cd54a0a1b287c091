/* Programs as files. */
#ifndef AN_MIL_LOAD_H
#define AN_MIL_LOAD_H

#include "anemone/mil.h"

/*
 * The file that holds the text of the program at `path`: `path` itself, or of
 * a folder (a compiled model, "x.mlmodelc") its model.mil. What @model_path
 * stands for is then that file's folder. The caller frees *out with an_free.
 */
an_status an_mil_find(const char *path, char **out, an_error *err);

#endif

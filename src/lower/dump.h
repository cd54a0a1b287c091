/*
 * Stages of lowering as files: numbered, runnable programs, large constants in
 * weight files beside them. "003-fold-ffn-forward.mil" is the fourth stage that
 * was told, by the pass "fold", of the program "ffn-forward"; its weights are
 * weights/003-fold-ffn-forward.bin. Files that are there are overwritten.
 */
#ifndef AN_LOWER_DUMP_H
#define AN_LOWER_DUMP_H

#include "mil/ir.h"

typedef struct an_dump an_dump;

/* Makes the folder. */
an_status an_dump_open(const char *folder, an_dump **out, an_error *err);
void an_dump_close(an_dump *dump); /* NULL is allowed */

/* Writes a function as "main" of a program. A dump of NULL writes nothing. */
an_status an_dump_function(an_dump *dump, const char *stage,
                           const char *program, const an_function *f,
                           an_error *err);

#endif

/*
 * One op of a text that does not parse, as a program of its own: what bisecting
 * is where there is no module yet.
 */
#ifndef AN_LOWER_CUT_TEXT_H
#define AN_LOWER_CUT_TEXT_H

#include "mil/ir.h"

/*
 * The program with the statement at line:column, the constants that it reads,
 * and its other operands as parameters, of the types that the text declares.
 * *out: a text that ends in 0, which the caller frees with an_free; NULL: the
 * place is in no statement. Whether the text is refused as the whole is the
 * caller's to try.
 */
an_status an_cut_text(const char *text, size_t size, int line, int column,
                      char **out, an_error *err);

#endif

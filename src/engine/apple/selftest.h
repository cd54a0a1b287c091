/*
 * The start-up self-test: what sources say differently about the framework is
 * settled with marked data before the first training step of a system build.
 * It compiles more than a hundred programs, of which a process may have few: a
 * process that tests does not train.
 */
#ifndef AN_ENGINE_APPLE_SELFTEST_H
#define AN_ENGINE_APPLE_SELFTEST_H

#include "anemone/engine.h"
#include "engine/apple/verdict.h"

/*
 * Opens the engine ("apple", with settings), tests it, and keeps the verdict;
 * where it lies goes to `subject`. Fails when an engine that works by any
 * account cannot be found: a program of one op does not compile or computes
 * something else; when a call hangs; when the verdict cannot be kept.
 */
an_status an_selftest(const char *engine, an_findings *out, an_subject *subject,
                      an_error *err);

/* The verdict that is kept. AN_EIO: there is none, or no place for one;
 * AN_EFORMAT: it is of no use; AN_EUNSUPPORTED: there is no framework. */
an_status an_selftest_recall(an_findings *out, an_subject *subject,
                             an_error *err);

/* Does this engine's name stand for the framework, and is its self-test due?
 * False too where the framework does not open: opening the engine says why. */
bool an_selftest_is_due(const char *engine);

/* ---- what the marked data say, apart for tests ---- */

/*
 * Three inputs, z, a, m in the order of the text, hold 1, 2, 3 at the symbols
 * that were assumed (`assumed`: which symbol each has); one element of what was
 * read as z + 8 a + 64 m tells which symbol each has in truth. False: the
 * element is no such sum.
 */
bool an_selftest_inputs(double element, const int assumed[3], int symbols[3]);

/* The order that these symbols of z, a, m, or of y, b, are. */
an_found_order an_selftest_order(const int *symbols, int n);

/* `rows` rows of `width` elements were read and doubled; the input's n elements
 * were 0, 1, 2, ..., the output's NaN. In bytes the distance of rows. */
an_found_rows an_selftest_rows(const uint16_t *out, size_t n, int rows,
                               int width);

#endif

/* For tools/tidy: tells the analyzer that failing returns the given code. */
/* What src/base/file.c defines, too late behind this header. */
#define _DEFAULT_SOURCE
#include "anemone/status.h"
#define an_fail(err, code, ...) (an_fail(err, code, __VA_ARGS__), (code))
#define an_fail_at(err, code, line, column, ...)                               \
    (an_fail_at(err, code, line, column, __VA_ARGS__), (code))

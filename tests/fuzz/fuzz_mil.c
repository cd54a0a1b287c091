/*
 * Fuzz target: MIL text. What parses must verify, print, parse again, and
 * print as the same bytes.
 */
#include "anemone/mil.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    an_module *m = NULL, *again = NULL;
    char *once = NULL, *twice = NULL;
    size_t n_once = 0, n_twice = 0;
    an_error err = {0};
    if (an_mil_parse((const char *)data, size, "fuzz", &m, &err) != AN_OK) {
        if (err.code == AN_OK || err.text[0] == 0) abort();
        return 0;
    }
    if (an_mil_verify(m, "fuzz", NULL) != AN_OK ||
        an_mil_print(m, &once, &n_once, NULL) != AN_OK ||
        an_mil_parse(once, n_once, "again", &again, NULL) != AN_OK ||
        an_mil_print(again, &twice, &n_twice, NULL) != AN_OK ||
        n_once != n_twice || memcmp(once, twice, n_once) != 0)
        abort();
    an_text_free(once);
    an_text_free(twice);
    an_module_free(m);
    an_module_free(again);
    return 0;
}

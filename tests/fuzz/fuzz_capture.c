/*
 * Fuzz target: captures behind their digest. What is accepted names tensors
 * that are there.
 */
#include "capture/capture.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const an_captured *c)
{
    for (int i = 0; i < c->program.n_inputs; i++)
        if (c->program.inputs[i].data == NULL) abort();
    for (int i = 0; i < c->n_outputs; i++)
        if (c->outputs[i].data == NULL) abort();
    if (c->program.text == NULL || c->name == NULL) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    an_capture c;
    an_error err = {0};
    an_capture_init(&c);
    if (an_st_open_bytes(data, size, "fuzz", &c.file, &err) == AN_OK &&
        an_capture_read(&c, "fuzz", &err) == AN_OK)
        for (size_t i = 0; i < c.n; i++)
            check(&c.list[i]);
    else if (err.code == AN_OK || err.text[0] == '\0')
        abort();
    an_capture_fini(&c);
    return 0;
}

/* No text may make the JSON reader crash, hang or recurse without bound. */
#include "base/json.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *root = NULL;
    an_error err = {0};
    int64_t x = 0;
    const char *text = NULL;
    an_status s = an_json_parse((const char *)data, size, "input", &root, &err);
    assert((s == AN_OK) == (root != NULL) && s == err.code);
    an_json_int(root, "a", -5, 5, &x, NULL);
    an_json_string(root, "b", &text, NULL);
    assert(x >= -5 && x <= 5);
    json_decref(root);
    return 0;
}

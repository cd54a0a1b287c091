/* main for fuzz targets without libFuzzer: runs each file of argv once. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) return -1;
    /* A block of the input's size, so that a sanitizer sees any overrun. */
    uint8_t *data = malloc(1);
    size_t size = 0;
    for (int c; data && (c = getc(f)) != EOF;) {
        uint8_t *more = realloc(data, size + 1);
        if (!more) break;
        data = more;
        data[size++] = (uint8_t)c;
    }
    fclose(f);
    if (data) LLVMFuzzerTestOneInput(data, size);
    free(data);
    return data ? 0 : -1;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (replay(argv[i]) == 0) continue;
        fprintf(stderr, "%s: cannot read\n", argv[i]);
        return 1;
    }
    return 0;
}

/*
 * Fuzz target: the file of what the self-test found. What is accepted can be
 * told, and is the same after it was saved and loaded.
 */
#include "engine/apple/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static an_subject subject = {"25A1", "Apple M4", "1.0", ""};

static void remove_file(void)
{
    unlink(subject.path);
}

static void make_file(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(subject.path, sizeof subject.path, "%.40s/fuzz-XXXXXX",
             tmp != NULL ? tmp : "/tmp");
    int file = mkstemp(subject.path);
    if (file < 0 || close(file) != 0) abort();
    atexit(remove_file);
}

/* All that it says, one line after the other. */
static void tell(const an_findings *f, char *out, size_t size)
{
    const char *key, *question;
    char answer[700];
    size_t n = 0;
    for (int i = 0;
         an_findings_tell(f, i, &key, &question, answer, sizeof answer); i++)
        n += (size_t)snprintf(out + n, size - n, "%s: %s\n", key, answer);
    an_findings_refusal(f, out + n, size - n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { ROOM = 1 << 14 };
    static char first[ROOM], second[ROOM];
    an_findings found, again;
    an_error err = {0};
    if (subject.path[0] == '\0') make_file();
    FILE *f = fopen(subject.path, "wb");
    if (f == NULL || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
    if (an_verdict_load(&subject, &found, &err) != AN_OK) {
        if (err.text[0] == '\0' || strchr(err.text, '\n') != NULL) abort();
        return 0;
    }
    tell(&found, first, sizeof first);
    if (an_verdict_save(&subject, &found, &err) != AN_OK ||
        an_verdict_load(&subject, &again, &err) != AN_OK)
        abort();
    tell(&again, second, sizeof second);
    if (strcmp(first, second) != 0) abort();
    return 0;
}

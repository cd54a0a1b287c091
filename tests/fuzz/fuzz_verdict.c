/*
 * Fuzz target: the file of what the self-test found. What is accepted can be
 * told, and is the same after it was saved and loaded.
 */
#include "engine/apple/verdict.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static an_subject subject = {"25A1", "Apple M4", "1.0", ""};

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
    if (scratch_begin())
        snprintf(subject.path, sizeof subject.path, "%s/verdict", scratch);
    scratch_put(subject.path, data, size);
    an_status s = an_verdict_load(&subject, &found, &err);
    must_have_line(s, &err);
    if (s != AN_OK) return 0;
    tell(&found, first, sizeof first);
    if (an_verdict_save(&subject, &found, &err) != AN_OK ||
        an_verdict_load(&subject, &again, &err) != AN_OK)
        abort();
    tell(&again, second, sizeof second);
    if (strcmp(first, second) != 0) abort();
    return 0;
}

/*
 * The part before the first '=' is the name; a file's name may have more.
 */
#include "cli/pairs.h"

#include "cli/tensor.h"

#include <string.h>

/* The file of NAME=FILE when the word is about `name`, or NULL. */
static const char *file_of(const char *word, const char *name)
{
    size_t size = strlen(name);
    return strncmp(word, name, size) == 0 && word[size] == '=' ? word + size + 1
                                                               : NULL;
}

const char *an_pairs_find(const an_words *words, const char *name)
{
    for (int i = 0; i < words->n; i++) {
        const char *file = file_of(words->items[i], name);
        if (file != NULL) return file;
    }
    return NULL;
}

an_status an_pairs_check(const char *option, const an_words *words,
                         an_error *err)
{
    for (int i = 0; i < words->n; i++) {
        const char *word = words->items[i], *equals = strchr(word, '=');
        if (equals == NULL || equals == word || equals[1] == '\0')
            return an_fail(err, AN_EINVAL,
                           "--%s: expected NAME=FILE, got '%.80s'", option,
                           word);
        for (int k = 0; k < i; k++)
            if (strncmp(words->items[k], word, (size_t)(equals - word + 1)) ==
                0)
                return an_fail(err, AN_EINVAL, "--%s: %.*s is given twice",
                               option, (int)(equals - word), word);
    }
    return AN_OK;
}

an_status an_pairs_check_ports(const an_program *p, an_port_side side,
                               const char *option, const an_words *words,
                               an_error *err)
{
    int n = an_program_n_ports(p, side);
    for (int i = 0; i < words->n; i++) {
        int k = 0;
        while (k < n && file_of(words->items[i],
                                an_program_port(p, side, k)->name) == NULL)
            k++;
        if (k < n) continue;
        char known[256] = "none";
        for (int j = 0, used = 0; j < n && used < 200; j++)
            used +=
                snprintf(known + used, sizeof known - (size_t)used, "%s%.60s",
                         j > 0 ? ", " : "", an_program_port(p, side, j)->name);
        return an_fail(err, AN_EINVAL,
                       "--%s: the program has no such port: '%.80s'; it has "
                       "%s",
                       option, words->items[i], known);
    }
    return AN_OK;
}

an_status an_pairs_load(const an_port *port, int i, const an_words *inputs,
                        int64_t seed, void **data, an_error *err)
{
    const char *file = an_pairs_find(inputs, port->name);
    char text[128];
    if (file != NULL) return an_tensor_load(file, &port->shape, data, err);
    if (seed >= 0)
        return an_tensor_random(&port->shape, (uint64_t)seed, (uint64_t)i, data,
                                err);
    return an_fail(err, AN_EINVAL,
                   "input %s, %s, is missing: give --input %s=FILE or "
                   "--random SEED",
                   port->name, an_shape_text(&port->shape, text, sizeof text),
                   port->name);
}

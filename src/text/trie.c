/* Nodes are numbers; edges are pairs in a hash table. */
#include "text/trie.h"

#include "base/alloc.h"

static an_status add_node(an_trie *t, an_error *err)
{
    if (!an_grow(&t->values, &t->capacity, t->n, sizeof *t->values))
        return an_fail(err, AN_ENOMEM, "tokenizer: no memory");
    t->values[t->n++] = -1;
    return AN_OK;
}

an_status an_trie_init(an_trie *t, size_t n_bytes, an_error *err)
{
    *t = (an_trie){0};
    if (n_bytes >= INT32_MAX)
        return an_fail(err, AN_EUNSUPPORTED,
                       "tokenizer: %zu bytes of tokens, expected fewer",
                       n_bytes);
    an_status s = an_pair_table_init(&t->edges, n_bytes, err);
    return s == AN_OK ? add_node(t, err) : s;
}

bool an_trie_step(const an_trie *t, int32_t *node, unsigned char byte)
{
    const an_pair *edge = an_pair_table_find(&t->edges, *node, byte);
    if (!edge) return false;
    *node = edge->id;
    return true;
}

an_status an_trie_put(an_trie *t, const void *text, size_t size, int32_t value,
                      an_error *err)
{
    const unsigned char *p = text;
    int32_t node = 0;
    if (size == 0) return AN_OK;
    t->begins[p[0]] = true;
    for (size_t i = 0; i < size; i++) {
        if (an_trie_step(t, &node, p[i])) continue;
        const an_pair edge = {node, p[i], (int32_t)t->n, 0};
        an_status s = add_node(t, err);
        if (s != AN_OK) return s;
        an_pair_table_put(&t->edges, &edge);
        node = edge.id;
    }
    if (t->values[node] < 0) t->values[node] = value;
    return AN_OK;
}

int32_t an_trie_longest(const an_trie *t, const unsigned char *text,
                        size_t size, size_t *length)
{
    int32_t node = 0, found = -1;
    if (size == 0 || !t->begins[text[0]]) return -1;
    for (size_t i = 0; i < size && an_trie_step(t, &node, text[i]); i++) {
        if (t->values[node] < 0) continue;
        found = t->values[node];
        *length = i + 1;
    }
    return found;
}

void an_trie_fini(an_trie *t)
{
    an_pair_table_fini(&t->edges);
    an_free(t->values);
    *t = (an_trie){0};
}

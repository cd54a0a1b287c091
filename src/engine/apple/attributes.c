/*
 * modelAttributes after a load: which symbol is which port, and where its rows
 * are. Shape of the dictionary: tmc/apple x/ane/compile.go, jafreck/ironmill.
 * Outputs' symbols end in "@output". A program that tells nothing is bound in
 * the order that the self-test found; untested by name, in ascending order
 * (mechramc/Orion found that for inputs).
 */
#include "engine/apple/apple.h"
#include "engine/apple/values.h"

#include <stdio.h>
#include <string.h>

typedef struct side_keys {
    const char *live, *symbols, *indices;
} side_keys;

static const side_keys keys[] = {
    [AN_INPUT] = {"LiveInputList", "kANEFModelInputSymbolsArrayKey",
                  "ANEFModelInputSymbolIndexArray"},
    [AN_OUTPUT] = {"LiveOutputList", "kANEFModelOutputSymbolsArrayKey",
                   "ANEFModelOutputSymbolIndexArray"},
};

/* "y" and "y@output" are the port y. */
static bool is_port(const char *symbol, const char *port)
{
    size_t n = strlen(port);
    return strncmp(symbol, port, n) == 0 &&
           (symbol[n] == '\0' || strcmp(symbol + n, "@output") == 0);
}

static void *attributes_of(const an_objc *o, void *model)
{
    void *attributes = an_send(o, AN_SEL_ATTRIBUTES, model);
    if (an_ns_get(o, attributes, "NetworkStatusList")) return attributes;
    return an_send(o, AN_SEL_INNER_ATTRIBUTES, an_send(o, AN_SEL_INNER, model));
}

/* The entry of a port in a live list; nil: none. */
static void *live_entry(const an_objc *o, void *list, const char *port)
{
    for (size_t i = 0; i < an_ns_count(o, list); i++) {
        void *entry = an_ns_at(o, list, i);
        if (is_port(an_ns_text(o, an_ns_get(o, entry, "Name")), port) ||
            is_port(an_ns_text(o, an_ns_get(o, entry, "Symbol")), port))
            return entry;
    }
    return NULL;
}

/* The position of a port's symbol; -1: none. */
static long position(const an_objc *o, void *symbols, void *entry,
                     const char *port)
{
    const char *symbol = an_ns_text(o, an_ns_get(o, entry, "Symbol"));
    for (size_t i = 0; i < an_ns_count(o, symbols); i++) {
        const char *at = an_ns_text(o, an_ns_at(o, symbols, i));
        if (is_port(at, port) || (*symbol && strcmp(at, symbol) == 0))
            return (long)i;
    }
    return -1;
}

static size_t bytes(const an_objc *o, void *entry, const char *key)
{
    long long n = an_ns_value(o, an_ns_get(o, entry, key), 0);
    return n > 0 ? (size_t)n : 0;
}

static void read_strides(const an_objc *o, void *entry, an_symbol *out)
{
    size_t batches = bytes(o, entry, "Batches");
    out->row_bytes = bytes(o, entry, "RowStride");
    out->plane_bytes = bytes(o, entry, "PlaneStride");
    out->size_bytes = bytes(o, entry, "BatchStride");
    if (out->size_bytes && batches && out->size_bytes < SIZE_MAX / batches)
        out->size_bytes *= batches;
}

static int by_order(an_found_order order, const an_port *ports, int n, int i)
{
    int before = 0;
    if (order == AN_ORDER_DECLARED) return i;
    for (int k = 0; k < n; k++)
        before += strcmp(ports[k].name, ports[i].name) < 0;
    return before;
}

/* Every index once: else two ports would share a surface's place. */
static an_status check_indices(const an_symbol *symbols, int n, an_error *err)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < i; k++)
            if (symbols[i].index == symbols[k].index)
                return an_fail(err, AN_EENGINE,
                               "load: two ports have symbol %d",
                               symbols[i].index);
    return AN_OK;
}

static an_status read_side(an_loaded *l, an_port_side side,
                           const an_port *ports, void *status, void *about,
                           an_error *err)
{
    const an_objc *o = &l->fw->objc;
    int n = l->n_symbols[side];
    void *live = an_ns_get(o, status, keys[side].live);
    void *symbols = an_ns_get(o, about, keys[side].symbols);
    void *procedure =
        an_ns_at(o, an_ns_get(o, about, "ANEFModelProcedures"), 0);
    void *indices = an_ns_get(o, procedure, keys[side].indices);
    bool told = an_ns_count(o, symbols) > 0;
    an_found_order order =
        side == AN_INPUT ? l->fw->found.inputs : l->fw->found.outputs;
    for (int i = 0; i < n; i++) {
        an_symbol *out = &l->symbols[side][i];
        void *entry = live_entry(o, live, ports[i].name);
        long at = position(o, symbols, entry, ports[i].name);
        if (told && at < 0)
            return an_fail(err, AN_EENGINE,
                           "load: the program has no symbol for port \"%.64s\"",
                           ports[i].name);
        out->told = told;
        out->index = by_order(order, ports, n, i);
        if (told && l->fw->found.table != AN_TABLE_WRONG)
            out->index =
                (int)an_ns_value(o, an_ns_at(o, indices, (size_t)at), at);
        if (entry) read_strides(o, entry, out);
    }
    return check_indices(l->symbols[side], n, err);
}

an_status an_loaded_read_symbols(an_loaded *l, const an_port *const ports[2],
                                 an_error *err)
{
    const an_objc *o = &l->fw->objc;
    void *attributes = attributes_of(o, l->object);
    void *status =
        an_ns_at(o, an_ns_get(o, attributes, "NetworkStatusList"), 0);
    void *about = an_ns_get(o, attributes, "ANEFModelDescription");
    an_status s = read_side(l, AN_INPUT, ports[AN_INPUT], status, about, err);
    if (s == AN_OK)
        s = read_side(l, AN_OUTPUT, ports[AN_OUTPUT], status, about, err);
    return s;
}

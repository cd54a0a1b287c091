/*
 * Classes and methods are listed by functions that Apple's and GNU's runtimes
 * share. A list of classes may grow while it is read; it is cut then.
 */
#include "engine/apple/describe.h"

#include "base/alloc.h"
#include "engine/apple/values.h"
#include "engine/impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CLASSES = 1000000, MAX_METHODS = 10000 };

/* ---- what is published ---- */

typedef struct published {
    const char *name, *types; /* "-selector"; a class has no types */
} published;

#define CLASS(name) {#name, NULL},
#define METHOD(name, types) {name, types},
#define STRING(name, types, text) {name, types},
#define NUMBER(name, types, number) {name, types},
#define ERROR(name, types, code, text) {name, types},
static const published list[] = {
#include "engine/apple/published.def"
};
enum { N_PUBLISHED = sizeof list / sizeof *list };

/* The class's first method, or -1. */
static int published_class(const char *name)
{
    for (int i = 0; i < N_PUBLISHED; i++)
        if (!list[i].types && strcmp(list[i].name, name) == 0) return i + 1;
    return -1;
}

static an_publicity compare(int first, const an_described_method *m)
{
    for (int i = first; i >= 0 && i < N_PUBLISHED && list[i].types; i++)
        if (list[i].name[0] == m->kind &&
            strcmp(list[i].name + 1, m->selector) == 0)
            return an_types_compare(list[i].types, m->types) ==
                           AN_TYPES_DIFFERENT
                       ? AN_PUBLISHED_OTHER
                       : AN_PUBLISHED;
    return AN_UNPUBLISHED;
}

const char *an_publicity_name(an_publicity p)
{
    static const char *const names[] = {[AN_PUBLISHED] = "published",
                                        [AN_PUBLISHED_OTHER] =
                                            "published with other types",
                                        [AN_COMMON] = "of every object",
                                        [AN_UNPUBLISHED] = "new"};
    return names[p];
}

/* ---- the table ---- */

const char *an_row_state_name(an_row_state s)
{
    static const char *const names[] = {[AN_ROW_HOLDS] = "holds",
                                        [AN_ROW_HARMLESS] =
                                            "holds, in other words",
                                        [AN_ROW_DIFFERS] = "differs",
                                        [AN_ROW_MISSING] = "is missing",
                                        [AN_ROW_NO_CLASS] = "has no class"};
    return names[s];
}

static void describe_rows(an_description *d, const an_objc *o)
{
    for (int i = 0; i < AN_N_NAMES; i++)
        d->rows[i].state = an_objc_row(o, (an_name)i, &d->rows[i].types);
}

static bool is_used(const char *class_name, const an_described_method *m)
{
    for (int i = 0; i < AN_N_NAMES; i++)
        if (an_names[i].kind == m->kind &&
            strcmp(an_names[i].selector, m->selector) == 0 &&
            strcmp(an_names[i].class_name, class_name) == 0)
            return true;
    return false;
}

/* ---- classes ---- */

/* The runtime's functions that only a listing needs. */
typedef struct lister {
    const an_objc *objc;
    int (*classes)(void **out, int n);
    const char *(*class_name)(void *class_);
    void *(*parent)(void *class_);
    void **(*methods)(void *class_, unsigned *n); /* of malloc */
    void *(*selector)(void *method);
    const char *(*selector_name)(void *selector);
    void *root; /* NSObject */
} lister;

static bool bind(lister *l, const an_objc *o)
{
    const struct {
        const char *name;
        void *out;
    } functions[] = {
        {"objc_getClassList", &l->classes},
        {"class_getName", &l->class_name},
        {"class_getSuperclass", &l->parent},
        {"class_copyMethodList", &l->methods},
        {"method_getName", &l->selector},
        {"sel_getName", &l->selector_name},
    };
    l->objc = o;
    l->root = o->get_class("NSObject");
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *at = an_objc_symbol(o, functions[i].name);
        if (!at) return false;
        memcpy(functions[i].out, &at, sizeof at);
    }
    return true;
}

/* What every object has is left out of what is published. */
static bool is_common(const lister *l, char kind, void *selector)
{
    void *root = l->root;
    const char *name = l->selector_name(selector);
    if (root && kind == '+') root = an_objc_class_of(l->objc, root);
    return *name == '.' || (root && l->objc->responds(root, selector));
}

static bool add_methods(const lister *l, an_described_class *c, char kind,
                        void *of, int first)
{
    unsigned n = 0;
    void **methods = of ? l->methods(of, &n) : NULL;
    if (!methods || n > MAX_METHODS) n = 0;
    an_described_method *grown =
        an_realloc(c->methods, (c->n_methods + n + 1) * sizeof *grown);
    if (grown) c->methods = grown;
    for (unsigned i = 0; grown && i < n; i++) {
        void *selector = l->selector(methods[i]);
        const char *types = l->objc->encoding(methods[i]);
        an_described_method m = {.kind = kind,
                                 .selector = l->selector_name(selector),
                                 .types = types ? types : ""};
        m.publicity = compare(first, &m);
        if (m.publicity == AN_UNPUBLISHED && is_common(l, kind, selector))
            m.publicity = AN_COMMON;
        m.used = is_used(c->name, &m);
        c->methods[c->n_methods++] = m;
    }
    free(methods);
    return grown != NULL;
}

static int by_selector(const void *a, const void *b)
{
    const an_described_method *x = a, *y = b;
    if (x->kind != y->kind) return x->kind - y->kind;
    return strcmp(x->selector, y->selector);
}

static int by_class(const void *a, const void *b)
{
    const an_described_class *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static bool describe_class(const lister *l, an_described_class *c, void *class_)
{
    void *parent = l->parent(class_);
    c->name = l->class_name(class_);
    c->parent = parent ? l->class_name(parent) : "";
    int first = published_class(c->name);
    c->published = first >= 0;
    if (!add_methods(l, c, '+', an_objc_class_of(l->objc, class_), first) ||
        !add_methods(l, c, '-', class_, first))
        return false;
    qsort(c->methods, c->n_methods, sizeof *c->methods, by_selector);
    return true;
}

/* All classes of the process; the _ANE ones come first, *n of them. */
static void **list_classes(const lister *l, size_t *n)
{
    int room = l->classes(NULL, 0);
    if (room < 0 || room > MAX_CLASSES) room = 0;
    void **classes = an_alloc_array((size_t)room + 1, sizeof *classes);
    int got = classes ? l->classes(classes, room) : 0;
    *n = 0;
    for (int i = 0; i < got && i < room; i++)
        if (strncmp(l->class_name(classes[i]), "_ANE", 4) == 0)
            classes[(*n)++] = classes[i];
    return classes;
}

static bool describe_classes(const lister *l, an_description *d)
{
    size_t n = 0;
    void **classes = list_classes(l, &n);
    d->classes = an_alloc_array(n + 1, sizeof *d->classes);
    bool well = classes && d->classes;
    for (size_t i = 0; i < n && well; i++)
        well = describe_class(l, &d->classes[d->n_classes++], classes[i]);
    an_free(classes);
    if (well) qsort(d->classes, d->n_classes, sizeof *d->classes, by_class);
    return well;
}

/* ---- what is published and absent ---- */

static bool is_there(const an_objc *o, void *class_, const char *method)
{
    void *selector = o->register_name(method + 1);
    return *method == '+' ? o->class_method(class_, selector) != NULL
                          : o->instance_method(class_, selector) != NULL;
}

static bool add_absent(an_description *d, const char *class_name,
                       const char *method)
{
    char text[512];
    if (method)
        snprintf(text, sizeof text, "%c[%s %s]", *method, class_name,
                 method + 1);
    else
        snprintf(text, sizeof text, "%s", class_name);
    d->absent[d->n_absent] = an_strdup(text);
    return d->absent[d->n_absent++] != NULL;
}

static bool describe_absent(const an_objc *o, an_description *d)
{
    const char *name = "";
    void *class_ = NULL;
    bool well = true;
    d->absent = an_alloc_array(N_PUBLISHED, sizeof *d->absent);
    if (!d->absent) return false;
    for (int i = 0; i < N_PUBLISHED && well; i++) {
        if (!list[i].types) {
            name = list[i].name;
            class_ = o->get_class(name);
            if (!class_) well = add_absent(d, name, NULL);
        } else if (class_ && !is_there(o, class_, list[i].name)) {
            well = add_absent(d, name, list[i].name);
        }
    }
    return well;
}

/* ---- the device ---- */

void an_framework_version(const an_objc *o, char *text, size_t size)
{
    char folder[512];
    snprintf(text, size, "replica " AN_VERSION);
    if (o->replica) return;
    void *pool = an_pool_push(o);
    snprintf(folder, sizeof folder, "%s", o->path);
    char *slash = strrchr(folder, '/');
    if (slash) *slash = '\0';
    void *bundle = an_send_p(o, AN_SEL_BUNDLE, o->classes[AN_SEL_BUNDLE],
                             an_ns_string(o, folder));
    void *told = an_send_p(o, AN_SEL_BUNDLE_VALUE, bundle,
                           an_ns_string(o, "CFBundleVersion"));
    snprintf(text, size, "%s", an_ns_text(o, told));
    an_pool_pop(o, pool);
}

static an_answer ask(const an_objc *o, an_name name)
{
    if (!o->present[name]) return AN_UNKNOWN;
    return an_send_bool(o, name, o->classes[name]) ? AN_YES : AN_NO;
}

static void describe_device(const an_objc *o, an_description *d)
{
    void *pool = an_pool_push(o);
    an_framework_version(o, d->version, sizeof d->version);
    d->engine = ask(o, AN_SEL_HAS_ANE);
    d->guest = ask(o, AN_SEL_IS_GUEST);
    unsigned cores = an_send_int(o, AN_SEL_CORES, o->classes[AN_SEL_CORES]);
    d->cores = cores < 1024 ? (int)cores : 0;
    snprintf(d->architecture, sizeof d->architecture, "%s",
             an_ns_text(o, an_send(o, AN_SEL_ARCHITECTURE,
                                   o->classes[AN_SEL_ARCHITECTURE])));
    snprintf(d->system_build, sizeof d->system_build, "%s",
             an_ns_text(o, an_send(o, AN_SEL_SYSTEM_BUILD,
                                   o->classes[AN_SEL_SYSTEM_BUILD])));
    an_pool_pop(o, pool);
}

/* False without memory. */
static bool describe(an_description *d, an_objc *o)
{
    lister l = {0};
    bool open = an_objc_open(o, &d->error) == AN_OK;
    snprintf(d->path, sizeof d->path, "%s", o->path);
    if (!open) return true;
    an_objc_check(o, NULL); /* fills in what there is */
    d->own = !o->replica;
    describe_rows(d, o);
    describe_device(o, d);
    return !bind(&l, o) || (describe_classes(&l, d) && describe_absent(o, d));
}

an_status an_describe(an_description **out, an_error *err)
{
    an_description *d = an_alloc(sizeof *d);
    an_objc *o = an_alloc(sizeof *o);
    bool well = d && o;
    if (well) {
        an_machine_look(&d->machine);
        an_services_look(&d->services);
        d->own = an_apple_is_own();
        well = describe(d, o);
    }
    an_free(o);
    if (!well) {
        an_description_free(d);
        return an_fail(err, AN_ENOMEM, "describe: no memory");
    }
    *out = d;
    return AN_OK;
}

void an_description_free(an_description *d)
{
    if (!d) return;
    for (size_t i = 0; i < d->n_classes; i++)
        an_free(d->classes[i].methods);
    for (size_t i = 0; i < d->n_absent; i++)
        an_free(d->absent[i]);
    an_free(d->classes);
    an_free(d->absent);
    an_free(d);
}

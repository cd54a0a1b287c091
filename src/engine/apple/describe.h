/*
 * What the framework of this machine looks like, compared with our table
 * (names.def) and with what is published of it (published.def). For people:
 * `anemone probe` prints it. Texts are the runtime's and live as long as the
 * process.
 */
#ifndef AN_ENGINE_APPLE_DESCRIBE_H
#define AN_ENGINE_APPLE_DESCRIBE_H

#include "engine/apple/bind.h"
#include "engine/apple/machine.h"

/* A method against what is published. */
typedef enum an_publicity {
    AN_PUBLISHED,       /* with these types, harmless differences aside */
    AN_PUBLISHED_OTHER, /* with other types */
    AN_COMMON,          /* not, but every object has it */
    AN_UNPUBLISHED,     /* new */
} an_publicity;
const char *an_publicity_name(an_publicity p);

typedef struct an_described_method {
    char kind; /* '+' of the class, '-' of its instances */
    const char *selector, *types;
    an_publicity publicity;
    bool used; /* our table has it */
} an_described_method;

typedef struct an_described_class {
    const char *name, *parent; /* parent: "" for a root class */
    bool published;
    an_described_method *methods; /* by kind and selector */
    size_t n_methods;
} an_described_class;

typedef struct an_described_row {
    an_row_state state;
    const char *types; /* the system's, or "" */
} an_described_row;

const char *an_row_state_name(an_row_state s);

typedef struct an_description {
    an_machine machine;
    an_services services;
    an_error error; /* why the framework does not open; AN_OK: it is open */
    bool own;       /* Apple's, where it is or would be; else the replica */
    char path[512];
    char version[64]; /* of the framework's bundle, or "" */
    /* The rest only when open. */
    an_answer engine, guest; /* as _ANEDeviceInfo tells */
    int cores;
    char architecture[32], system_build[32];
    an_described_row rows[AN_N_NAMES];
    an_described_class *classes; /* every _ANE class, by name */
    size_t n_classes;
    /* Published names "-[Class selector]" that the system lacks. */
    char **absent;
    size_t n_absent;
} an_description;

/* A framework that lacks is a description too; AN_ENOMEM is the only error. The
 * caller frees it. */
an_status an_describe(an_description **out, an_error *err);
void an_description_free(an_description *d); /* NULL is allowed */

/* The bundle's version; of a replica its own. A pool must be open. */
void an_framework_version(const an_objc *o, char *text, size_t size);

#endif

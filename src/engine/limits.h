/*
 * What an engine lets one do: how often a process compiles, how many programs
 * it holds, whether a reload takes new weights, what becomes of programs that
 * break a rule, how the apple engine calls. The chip's row has the answers; a
 * name like "soft:m4,compiles=20,live=30,reload=stale,rules=silent" replaces
 * them, so that every answer to an open question can be tried.
 */
#ifndef AN_ENGINE_LIMITS_H
#define AN_ENGINE_LIMITS_H

#include "anemone/status.h"
#include "chip/chips.h"
#include "chip/rule.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum an_route {
    AN_ROUTE_AUTO,   /* the first that works at the first evaluation */
    AN_ROUTE_MODEL,  /* through the loaded model */
    AN_ROUTE_CLIENT, /* through the connection, directly */
} an_route;

/* Were the numerics asked for? An engine that has its own then refuses. */
typedef enum an_wish { AN_WISH_DEFAULT, AN_WISH_ASKED } an_wish;

typedef struct an_limits {
    int compiles; /* 0: no limit */
    int live;
    an_chip_reload reload;
    an_rules_mode rules;
    /* Of the apple engine. */
    int qos;        /* of its calls; 21, the default class, is what all use */
    int memory_mb;  /* of all surfaces; 0: the machine's */
    int watchdog;   /* seconds after which a call is taken for hung */
    an_route route; /* of evaluations */
    an_wish numerics;
} an_limits;

/* The chip's limits, with what follows the first comma of an engine's name. */
an_status an_limits_read(const an_chip *chip, const char *name, an_limits *out,
                         an_error *err);

/* Fails as Apple's framework does. Source of domains, codes and texts:
 * docs/rules.md. */
an_status an_limits_fail_compile(const an_limits *limits, an_error *err);
an_status an_limits_fail_load(const an_limits *limits, an_error *err);

#endif

/*
 * What stands behind the framework's classes: daemon, compiler and driver in
 * one, done by the soft engine. Plain C; knows nothing of Objective-C.
 *
 * A compiled program stays in the cache under its identifier until purged; a
 * load gives it a handle. Handles, the cache and all counts belong to the
 * process, and nothing of them outlives it.
 */
#ifndef AN_REPLICA_DEVICE_H
#define AN_REPLICA_DEVICE_H

#include "anemone/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An error as the framework reports it. */
typedef struct an_failure {
    const char *domain;
    long code;
    const char *method; /* selector that the text begins with, or NULL */
    char text[640];
    long under_code; /* NSUnderlyingError, when under_text is not empty */
    char under_text[1200];
} an_failure;

extern const char an_domain_ane[], an_domain_compiler[], an_domain_espresso[];

/* Compiles folder/model.mil with the weight files that it names, and stores
 * the result under the identifier, in place of one that is there. */
bool an_device_compile(const char *identifier, const char *folder,
                       an_failure *failure);
bool an_device_has(const char *identifier);
void an_device_purge(const char *identifier);

/* Loads from the cache; on a miss compiles from the folder first. */
bool an_device_load(const char *identifier, const char *folder,
                    uint64_t *handle, an_failure *failure);
/* The daemon drops the program. False: there is no such handle. */
bool an_device_unload(uint64_t handle);
/* The last object that held the handle is gone. */
void an_device_release(uint64_t handle);

/* The port that a symbol index means; NULL: none. Valid while loaded. */
const an_port *an_device_port(uint64_t handle, an_port_side side, int symbol);

typedef struct an_bind {
    an_port_side side;
    int symbol;
    void *data;
    size_t size;
} an_bind;

/* Runs one evaluation, one at a time. */
bool an_device_evaluate(uint64_t handle, const an_bind *binds, int n,
                        double *seconds, an_failure *failure);

/* The usual errors of a call, by number (0: the commonest). */
void an_failure_compile(an_failure *f, const char *folder, const char *reason);
void an_failure_load(an_failure *f, long number);
void an_failure_eval(an_failure *f, long status, long type);

#endif

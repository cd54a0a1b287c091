/*
 * How the replica behaves where sources on the real framework contradict each
 * other, and which calls fail on purpose. Read from ANEMONE_REPLICA, or given
 * by an_replica_configure, before the first program is compiled or loaded.
 *
 *     ANEMONE_REPLICA=chip=m4,numerics=hw,fault=compile:3=hang,eval:17
 */
#ifndef AN_REPLICA_SETTINGS_H
#define AN_REPLICA_SETTINGS_H

#include "anemone/engine.h"

#include <stdbool.h>

/* Of a Mac: surfaces take whole pages. */
enum { AN_PAGE = 16384 };

/* What a live slot of the driver is taken by; see docs/replica.md. */
typedef enum an_slot_unit {
    AN_SLOT_PER_HANDLE,
    AN_SLOT_PER_IDENTIFIER,
    AN_SLOT_PER_TEXT,
} an_slot_unit;

/* The number of settings of one key; the rows of settings.c say what each
 * value means. */
typedef enum an_setting {
    AN_SET_RULES,   /* what the soft engine does with breaches */
    AN_SET_ORDER,   /* symbols by name or as declared */
    AN_SET_SLOT,    /* unload frees, or only unload and release */
    AN_SET_COUNT,   /* an_slot_unit */
    AN_SET_DEALLOC, /* leaks the slot, or unloads */
    AN_SET_RELOAD,  /* a cached load keeps weights, or reads the folder */
    AN_SET_MISS,    /* a load that compiles counts as a compile, or not */
    AN_SET_VERIFY,  /* compares file hashes and refuses links, or not */
    AN_SET_MAP,     /* mapping surfaces ahead works, or fails */
    AN_SET_PERF,    /* statistics are given, or withheld */
    AN_SET_MACHINE, /* with an engine, a guest, or bare metal without one */
    AN_SET_REPORT,  /* objects are counted, and told at the end, or not */
    AN_SET_COUNT_OF
} an_setting;

typedef enum an_call {
    AN_CALL_COMPILE,
    AN_CALL_LOAD,
    AN_CALL_EVAL,
    AN_CALL_UNLOAD,
    AN_CALL_MAP,
    AN_CALL_SURFACE,
    AN_CALL_LOCK,
    AN_CALL_DESCRIPTOR,
    AN_CALL_REQUEST,
    AN_CALL_ATTRIBUTES,
    AN_CALL_COUNT
} an_call;

/* How a call fails. */
typedef enum an_fault_kind {
    AN_FAULT_NONE,
    AN_FAULT_ERROR,  /* as the real one, by `number` (0: the usual error) */
    AN_FAULT_HANG,   /* never returns */
    AN_FAULT_THROW,  /* raises an Objective-C exception */
    AN_FAULT_SILENT, /* NO without an error */
    AN_FAULT_SLOW,   /* takes half a second, then works */
} an_fault_kind;

typedef struct an_fault {
    an_fault_kind kind;
    long number; /* 4097, 0x50004, 0x1d, ... */
} an_fault;

typedef struct an_settings {
    char chip[16];
    an_numerics numerics;
    int threads;        /* of the soft engine; 0: one per processor */
    int compiles, live; /* limits of a process; -1: the chip's, 0: none */
    int value[AN_SET_COUNT_OF]; /* 0: the first word of the row */
} an_settings;

/* The settings, read from the environment when first asked for; a mistake in
 * the environment is told on stderr and skipped. */
const an_settings *an_settings_get(void);

/* The word that a key is set to. */
const char *an_setting_word(an_setting setting);

/* Counts this call; says whether and how it fails. */
an_fault an_fault_next(an_call call);

/*
 * Sets keys as the variable does, and takes precedence over it. 0: done; -1: a
 * word is not understood, or would change something when a program exists
 * already; stderr says which.
 */
AN_API int an_replica_configure(const char *settings);

/* Called by the device when it opens: too late for other settings. */
void an_settings_freeze(void);

#endif

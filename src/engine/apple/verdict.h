/*
 * What the self-test found on a build of the system, and where that is kept: a
 * small file in the user's cache folder, one per build, chip and version of the
 * framework (of a replica: per library and settings). A file that lacks, is
 * broken, or is of another test means that the test is due.
 */
#ifndef AN_ENGINE_APPLE_VERDICT_H
#define AN_ENGINE_APPLE_VERDICT_H

#include "anemone/engine.h"
#include "engine/apple/bind.h"
#include "engine/apple/machine.h"

/* The first value of each is what is assumed where nothing was tested. */
typedef enum an_found_order {
    AN_ORDER_BY_NAME,  /* symbol i is the i-th name, ascending */
    AN_ORDER_DECLARED, /* as in the text */
    AN_ORDER_OTHER,
    AN_ORDER_REFUSED, /* names that do not ascend are refused */
} an_found_order;

typedef enum an_found_table {
    AN_TABLE_RIGHT,  /* modelAttributes tells which symbol is which port */
    AN_TABLE_WRONG,  /* and values come out otherwise */
    AN_TABLE_SILENT, /* tells nothing */
} an_found_table;

typedef enum an_found_ports {
    AN_PORTS_ANY,   /* several inputs and outputs, of any sizes */
    AN_PORTS_EQUAL, /* all inputs of one size, all outputs of one size */
    AN_PORTS_ONE,   /* one input, one output */
} an_found_ports;

typedef enum an_found_rows {
    AN_ROWS_ALIGNED, /* rows of a width below 32 start at multiples of 64 */
    AN_ROWS_PACKED,  /* one behind the other */
    AN_ROWS_REFUSED, /* such programs do not compile or run */
    AN_ROWS_OTHER,
} an_found_rows;

typedef enum an_found_reload {
    AN_RELOAD_NEW, /* computes with the new weights */
    AN_RELOAD_OLD,
    AN_RELOAD_FAILS,
} an_found_reload;

typedef enum an_found_slot {
    AN_SLOT_OPEN,    /* a compile failed before a place was refused */
    AN_SLOT_UNLOAD,  /* an unload gives the place back */
    AN_SLOT_PROGRAM, /* unload, and taking the program from the model */
    AN_SLOT_RELEASE, /* only unload and release of the model do */
    AN_SLOT_KEPT,    /* neither does */
} an_found_slot;

typedef struct an_findings {
    an_found_order inputs, outputs;
    an_found_table table;
    an_found_ports ports;
    an_found_rows rows;
    an_found_reload files;   /* the same object, other files in its folder */
    an_found_reload weights; /* a new descriptor, loaded without a compile */
    an_found_slot slot;
    int programs;    /* loaded and unloaded without one being refused a place */
    int compiles;    /* after as many one failed; 0: none failed */
    double seconds;  /* that the test took */
    char notes[512]; /* what the framework said where it refused, or "" */
} an_findings;

/* For people, one after the other: what was asked, and the answer. False after
 * the last. `key` is the file's, `answer` is at most `size` bytes. */
bool an_findings_tell(const an_findings *f, int i, const char **key,
                      const char **question, char *answer, size_t size);

/* Why nothing can be trained with these findings, in one line; "": it can. */
void an_findings_refusal(const an_findings *f, char *text, size_t size);

/* AN_EUNSUPPORTED: the engine does not take programs with such ports, or other
 * weights, by what was found. */
an_status an_findings_allow(const an_findings *f, an_port *const ports[2],
                            const int n_ports[2], an_error *err);
an_status an_findings_allow_reload(const an_findings *f, an_error *err);

/* Which system a verdict is of, and its file. */
typedef struct an_subject {
    char build[64], chip[128], framework[64];
    char path[1100];
} an_subject;

/* A pool must be open. Fails without a cache folder. */
an_status an_subject_of(const an_objc *o, an_subject *out, an_error *err);

/* $XDG_CACHE_HOME/anemone, else ~/Library/Caches/anemone on macOS and
 * ~/.cache/anemone elsewhere; it need not be there. */
an_status an_cache_folder(char *path, size_t size, an_error *err);

/* ANEMONE_REPLICA without its faults, which are not behaviour. */
void an_replica_settings(char *out, size_t size);

/* AN_EIO: there is none; AN_EFORMAT: what is there is of no use. */
an_status an_verdict_load(const an_subject *s, an_findings *out, an_error *err);
an_status an_verdict_save(const an_subject *s, const an_findings *f,
                          an_error *err);

#endif

/*
 * Engines: things that compile MIL text and run it.
 *
 *     an_engine *e = NULL;
 *     an_program *p = NULL;
 *     an_request *r = NULL;
 *     an_engine_open(&(an_engine_options){.name = "soft"}, &e, &err);
 *     an_engine_compile(e, &(an_source){.text = text, .size = size}, &p, &err);
 *     const an_port *in = an_program_port(p, AN_INPUT, 0);
 *     an_surface *x = NULL, *y = NULL;
 *     an_surface_new(e, in->size_bytes, &x, &err);
 *     ...
 *     an_request_new(p, &r, &err);
 *     an_request_bind(r, AN_INPUT, "x", x, &err);
 *     an_request_bind(r, AN_OUTPUT, "y", y, &err);
 *     an_request_submit(r, &err);
 *     an_request_wait(r, &err);
 *
 * An engine gets text and blobs, nothing else. All calls are safe from any
 * thread. Objects are freed before the engine they came from is closed.
 */
#ifndef ANEMONE_ENGINE_H
#define ANEMONE_ENGINE_H

#include "anemone/mil.h"

struct an_pool;
struct an_fence;

typedef struct an_engine an_engine;
typedef struct an_program an_program;
typedef struct an_surface an_surface;
typedef struct an_request an_request;

typedef enum an_numerics {
    AN_NUMERICS_IEEE,  /* every op rounded to its type; fp32 accumulation */
    AN_NUMERICS_HW,    /* what the chip returns; not on `cpu`, which has none */
    AN_NUMERICS_EXACT, /* fp64, no rounding but at fp16 and fp32 ports */
    AN_NUMERICS_COUNT
} an_numerics;
AN_API const char *an_numerics_name(an_numerics numerics);
/* AN_EINVAL for a name that is none; the message lists those that are. */
AN_API an_status an_numerics_find(const char *name, an_numerics *out,
                                  an_error *err);

typedef struct an_engine_options {
    /* "auto" (Apple's engine where there is one, else soft), "apple", "soft",
     * "soft:m4", "cpu"; a chip's limits may be replaced:
     * "soft:m4,compiles=20,live=30". */
    const char *name;
    /* Apple's framework has its own: AN_EINVAL for exact, and for the others
     * if the name says numerics=asked. */
    an_numerics numerics;
    struct an_pool *pool; /* shared; NULL: the engine opens its own */
    int threads;          /* of an own pool; 0: one per processor */
} an_engine_options;

AN_API an_status an_engine_open(const an_engine_options *options,
                                an_engine **out, an_error *err);
AN_API void an_engine_close(an_engine *engine);

typedef struct an_engine_facts {
    const char *name;    /* "soft:m4" */
    const char *chip;    /* "m4", "cpu" */
    int cores;           /* of the chip's engine; 0 for cpu */
    bool own_numerics;   /* it computes as its chip does, whatever was asked */
    int compiles;        /* since it was opened */
    int compiles_left;   /* in this process; -1: no limit */
    bool reload_counts;  /* a reload may take one of them */
    int programs_loaded; /* compiled and not freed */
} an_engine_facts;
AN_API void an_engine_get_facts(an_engine *engine, an_engine_facts *out);

/* Does the error say that a process holds too many programs, or too large
 * ones? The engine has freed and waited by then: another process can go on. */
AN_API bool an_error_is_full(const an_error *err);

/* A weight file in memory, by the path that BLOBFILE literals name. */
typedef struct an_blob {
    const char *path; /* "@model_path/weights/weight.bin" */
    const void *data;
    size_t size;
} an_blob;

/* What an engine compiles. All of it may be freed after compile. */
typedef struct an_source {
    const char *text;
    size_t size;
    const char *name;     /* for errors; NULL: "program" */
    const char *function; /* NULL: the only one, else "main" */
    const an_blob *blobs;
    int n_blobs;
} an_source;

AN_API an_status an_engine_compile(an_engine *engine, const an_source *source,
                                   an_program **out, an_error *err);
/* Unloads and frees; requests of the program must be freed first. */
AN_API void an_program_free(an_program *program);

/*
 * Loads the program again with other weight files of the same sizes, without a
 * compile of the caller's. Whether an engine then uses them is its own affair
 * (a chip's row says what is assumed): verify by value. Waits for evaluations.
 */
AN_API an_status an_program_reload(an_program *program, const an_blob *blobs,
                                   int n_blobs, an_error *err);

typedef enum an_port_side { AN_INPUT, AN_OUTPUT } an_port_side;

/* One input or output. Elements are row-major; rows (last axis) start at
 * multiples of row_bytes, planes (last two axes) of plane_bytes. */
typedef struct an_port {
    const char *name;
    an_shape shape;
    size_t row_bytes, plane_bytes, size_bytes;
} an_port;
AN_API int an_program_n_ports(const an_program *p, an_port_side side);
/* In the order of the text. */
AN_API const an_port *an_program_port(const an_program *p, an_port_side side,
                                      int i);
AN_API const an_port *an_program_find_port(const an_program *p,
                                           an_port_side side, const char *name);
/* Floating-point operations of one evaluation (sum of the rows' cost). */
AN_API double an_program_flops(const an_program *p);
/* Bytes that evaluations need beside surfaces and constants. */
AN_API size_t an_program_work_bytes(const an_program *p);

/* Zeroed, aligned to a page. */
AN_API an_status an_surface_new(an_engine *engine, size_t size_bytes,
                                an_surface **out, an_error *err);
/* Over memory of the caller's, which must outlive it (64-byte aligned); a chip
 * takes 16 KB and more (AN_ERULE). */
AN_API an_status an_surface_wrap(an_engine *engine, void *data,
                                 size_t size_bytes, an_surface **out,
                                 an_error *err);
/* Waits for evaluations that use it. */
AN_API void an_surface_free(an_surface *surface);
AN_API size_t an_surface_size(const an_surface *surface);

typedef enum an_lock_mode { AN_LOCK_READ = 1, AN_LOCK_WRITE = 2 } an_lock_mode;
/* Waits for evaluations and returns the bytes until unlocked. Returns the
 * error of the evaluation that should have written it. */
AN_API an_status an_surface_lock(an_surface *surface, an_lock_mode mode,
                                 void **data, an_error *err);
AN_API void an_surface_unlock(an_surface *surface, an_lock_mode mode);

/* Copies a dense row-major tensor of the port's dtype to or from a surface
 * that has the port's strides. Locks by itself. */
AN_API an_status an_surface_put(an_surface *s, const an_port *port,
                                const void *dense, an_error *err);
AN_API an_status an_surface_take(an_surface *s, const an_port *port,
                                 void *dense, an_error *err);

AN_API an_status an_request_new(an_program *p, an_request **out, an_error *err);
AN_API void an_request_free(an_request *request);
/* Any engine's surface may be bound where the memory is shared. Refuses a
 * surface smaller than the port. */
AN_API an_status an_request_bind(an_request *r, an_port_side side,
                                 const char *port, an_surface *surface,
                                 an_error *err);
/* Starts an evaluation after all earlier ones that touch its surfaces. Every
 * port must be bound. A request runs once at a time: submit again after wait.
 * Allocates nothing. */
AN_API an_status an_request_submit(an_request *r, an_error *err);
/* The evaluation's error, or that of one whose output it read. */
AN_API an_status an_request_wait(an_request *r, an_error *err);
/* Seconds of the last evaluation that was waited for, 0 before the first. */
AN_API double an_request_seconds(const an_request *r);
/* submit and wait. */
AN_API an_status an_request_run(an_request *r, an_error *err);

typedef struct an_profiled_op {
    const char *op, *result; /* "matmul", and its first result's name */
} an_profiled_op;

/* One step of the engine's plan: ops that it computes together. Ops that cost
 * nothing, such as views, are in no step; one that takes several (a product
 * whose result is copied) is in each. */
typedef struct an_profiled_step {
    const char *kind; /* the engine's word: "product", "chain", "copy", ... */
    const an_profiled_op *ops;
    int n_ops;
    double flops;   /* of one evaluation */
    double seconds; /* of the last evaluation that was waited for */
} an_profiled_step;

/* From now on the request's evaluations are timed by step. Waits for the last
 * one; allocates once, not while running. */
AN_API an_status an_request_profile(an_request *r, an_error *err);
/* Step i in the order of execution; what it points to is the request's. False:
 * there is none, or the request is not profiled. */
AN_API bool an_request_step(const an_request *r, int i, an_profiled_step *out);

/* For work on the same pool that reads or writes a surface: its fence and its
 * bytes (valid while ordered by the fence). */
AN_API struct an_fence *an_surface_fence(an_surface *surface);
AN_API void *an_surface_data(an_surface *surface);

#endif

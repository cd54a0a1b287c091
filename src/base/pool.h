/*
 * Jobs on a fixed set of threads, ordered by fences.
 *
 * A job is a sequence of phases; a phase is a number of tiles that may run at
 * the same time; the next phase starts when the last tile has ended. Tiles
 * are the only unit of parallel work, and their number never depends on the
 * number of threads, so results do not either.
 *
 * A fence orders the jobs that touch one piece of memory: a reader comes after
 * the last writer, a writer after the last writer and its readers. Fences are
 * counters, not locks: a job enters the queue when its last dependency ends,
 * so no thread of the pool ever blocks and the order of submission is enough
 * to make a program of jobs right. When a writer fails, jobs that read its
 * fence fail with its error without running.
 *
 * Nothing here allocates after an_pool_open and an_job_init.
 *
 * Shared between threads, all under the pool's one mutex: the queue, every
 * job's state and every fence.
 */
#ifndef AN_BASE_POOL_H
#define AN_BASE_POOL_H

#include "anemone/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct an_pool an_pool;
typedef struct an_job an_job;
typedef struct an_access an_access;

typedef struct an_fence {
    an_access *writer;  /* last submitted write that has not ended */
    an_access *readers; /* reads submitted after it that have not ended */
    an_error error;     /* of the last write that ended; code AN_OK if well */
} an_fence;

typedef enum an_mode { AN_READ = 1, AN_WRITE = 2, AN_UPDATE = 3 } an_mode;

/* One job's use of one fence. Lives in the job; links are the pool's. */
struct an_access {
    an_fence *fence;
    an_mode mode;
    an_job *job;
    an_access *waiters;   /* accesses that wait for this write */
    an_access *next;      /* in `waiters` or in the fence's readers */
    an_access *prev;      /* in the fence's readers */
    an_access *successor; /* the write that waits for this read */
    bool live;            /* submitted and not ended */
};

typedef struct an_work {
    /* Number of tiles of phase `phase`, 0 after the last; called once a phase
     * by one thread, after the phase before has ended. */
    int (*tiles)(void *ctx, int phase);
    /* One tile. `worker` is below an_pool_threads. An error ends the job after
     * the tiles already running; of several the lowest tile's counts. */
    an_status (*run)(void *ctx, int phase, int tile, int worker, an_error *err);
    void *ctx;
    /* Work that another thread or a device does, in the place of tiles and run,
     * which are not called: start is called once, when the job's dependencies
     * have ended, and must not block; the job ends with an_pool_finish. */
    void (*start)(void *ctx);
} an_work;

struct an_job {
    an_work work;
    an_access *access;
    int n_access;
    /* private to the pool */
    an_job *next;
    int pending, phase, n_tiles, next_tile, running;
    int failed_tile; /* the one `error` comes from */
    bool submitted, done;
    unsigned long long sequence;
    an_error error;
    double started, ended; /* an_clock seconds of the last run */
};

/* n_threads 0: one per performance core where the system tells them apart
 * (macOS), else one per processor. Workers run at user-initiated quality of
 * service there. */
an_status an_pool_open(int n_threads, an_pool **out, an_error *err);
/* Waits for all submitted jobs first. */
void an_pool_close(an_pool *pool);
int an_pool_threads(const an_pool *pool);

/* Sets up a job in the caller's memory; `access`, in the caller's memory too,
 * has fence and mode filled in. Two accesses to one fence are merged, those
 * without a fence are dropped, and the rest moves up: fill in the whole array
 * again before another init. */
void an_job_init(an_job *job, an_work work, an_access *access, int n_access);

/* Submits; the job's memory must stay until it was waited for. A job may be
 * submitted again after an_pool_wait returned. */
void an_pool_submit(an_pool *pool, an_job *job);
/* Ends a job whose work was started; from any thread, once. `err` says why when
 * s is not AN_OK. */
void an_pool_finish(an_pool *pool, an_job *job, an_status s,
                    const an_error *err);
/* Blocks until the job has ended; its own error or that of a read fence. Not
 * to be called by a tile. A job never submitted is done. */
an_status an_pool_wait(an_pool *pool, an_job *job, an_error *err);
/* Blocks until nothing that was submitted for the fence is running: with
 * AN_READ the last write, otherwise its readers too; then the pool holds no
 * pointer to the fence. AN_READ and AN_UPDATE return the error of the last
 * write. With AN_WRITE the caller is about to write: the error is cleared. */
an_status an_fence_wait(an_pool *pool, an_fence *fence, an_mode mode,
                        an_error *err);

/* Submit and wait: runs `n_tiles` tiles of one phase. */
an_status an_pool_run(an_pool *pool, int n_tiles,
                      an_status (*run)(void *ctx, int phase, int tile,
                                       int worker, an_error *err),
                      void *ctx, an_error *err);

#endif

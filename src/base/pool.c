/*
 * The pool: one mutex over queue, jobs and fences, one condition for idle
 * workers and one for callers that wait.
 *
 * Dependencies are counted per access. While a fence has a writer that has not
 * ended, the reads submitted after it hang on that write's `waiters`; when it
 * ends they become the fence's `readers`. A write submitted later takes that
 * list over: it becomes the `successor` of each read (or hangs on the earlier
 * write when nobody reads), and the fence starts anew with it. A read that
 * ends counts down its successor, or leaves the list when it has none.
 *
 * A ready job enters the queue with one empty tile, "phase -1". Whichever
 * worker ends the last tile of a phase asks for the next one and queues it, so
 * start, phases and failure take one path and nothing recurses. Tiles of a job
 * are claimed in ascending order, so the lowest tile that fails is the same in
 * every run.
 */
#include "base/pool.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/host.h"

#include <assert.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { MAX_THREADS = 1024, STACK_BYTES = 8 << 20 };

/* How long an idle worker looks for work before it sleeps. With two workers
 * and phases of 5 us this takes the time of a phase from 12 to 5.6 us. */
static const double spin_seconds = 20e-6;

struct worker {
    an_pool *pool;
    pthread_t thread;
    int index;
};

struct an_pool {
    pthread_mutex_t mutex;
    pthread_cond_t work;  /* the queue grew, or stop */
    pthread_cond_t ended; /* a job ended */
    an_job *ready;        /* jobs with unclaimed tiles, first submitted first */
    unsigned long long n_submitted;
    int n_unfinished; /* jobs */
    int n_asleep;     /* workers on `work` */
    int n_waiting;    /* callers on `ended` */
    bool stop;
    atomic_uint queued; /* changes when the queue grows; spinners watch it */
    an_host host;
    int n_threads;
    struct worker workers[];
};

/* ---- queue ---- */

static void enqueue(an_pool *pool, an_job *job, int n_tiles)
{
    job->n_tiles = n_tiles;
    job->next_tile = 0;
    an_job **at = &pool->ready;
    while (*at && (*at)->sequence < job->sequence)
        at = &(*at)->next;
    job->next = *at;
    *at = job;
    atomic_fetch_add(&pool->queued, 1);
}

static void dequeue(an_pool *pool, an_job *job)
{
    an_job **at = &pool->ready;
    while (*at && *at != job)
        at = &(*at)->next;
    if (*at) *at = job->next;
}

static void wake_one(an_pool *pool)
{
    if (pool->n_asleep) pthread_cond_signal(&pool->work);
}

/* Who claims a tile wakes the next worker if there is more to do. */
static int claim_tile(an_pool *pool, an_job *job)
{
    int tile = job->next_tile++;
    if (job->next_tile == job->n_tiles) dequeue(pool, job);
    job->running++;
    if (pool->ready) wake_one(pool);
    return tile;
}

/* ---- fences ---- */

static void push(an_access **list, an_access *a)
{
    a->prev = NULL;
    a->next = *list;
    if (*list) (*list)->prev = a;
    *list = a;
}

static void add_read(an_access *a)
{
    an_fence *fence = a->fence;
    if (fence->writer) a->job->pending++;
    push(fence->writer ? &fence->writer->waiters : &fence->readers, a);
}

static void add_write(an_access *a)
{
    an_fence *fence = a->fence;
    an_access *readers =
        fence->writer ? fence->writer->waiters : fence->readers;
    for (an_access *r = readers; r; r = r->next) {
        r->successor = a;
        a->job->pending++;
    }
    if (fence->writer && !readers) {
        a->job->pending++;
        push(&fence->writer->waiters, a);
    }
    fence->readers = NULL;
    fence->writer = a;
}

/* All that a job waits for has ended: it runs, or fails with what it reads. */
static void make_ready(an_pool *pool, an_job *job)
{
    for (int i = 0; i < job->n_access && job->error.code == AN_OK; i++) {
        const an_access *a = &job->access[i];
        if (a->mode & AN_READ && a->fence->error.code != AN_OK)
            job->error = a->fence->error;
    }
    job->phase = -1;
    enqueue(pool, job, 1);
}

static void count_down(an_pool *pool, an_job *job)
{
    if (--job->pending == 0) make_ready(pool, job);
}

static void end_write(an_pool *pool, an_access *a)
{
    an_fence *fence = a->fence;
    if (a->job->error.code != AN_OK)
        fence->error = a->job->error;
    else if (fence->error.code != AN_OK)
        fence->error = (an_error){0};
    an_access *waiters = a->waiters;
    a->waiters = NULL;
    if (fence->writer == a) {
        fence->writer = NULL;
        fence->readers = waiters;
    }
    for (an_access *w = waiters, *next; w; w = next) {
        next = w->next;
        count_down(pool, w->job);
    }
}

static void end_read(an_pool *pool, an_access *a)
{
    if (a->successor) {
        count_down(pool, a->successor->job);
        return;
    }
    if (a->next) a->next->prev = a->prev;
    if (a->prev)
        a->prev->next = a->next;
    else
        a->fence->readers = a->next;
}

/* After this the pool holds no pointer to the job. */
static void end_job(an_pool *pool, an_job *job)
{
    job->ended = an_clock();
    for (int i = 0; i < job->n_access; i++) {
        an_access *a = &job->access[i];
        a->live = false;
        if (a->mode & AN_WRITE)
            end_write(pool, a);
        else
            end_read(pool, a);
    }
    job->done = true;
    pool->n_unfinished--;
    if (pool->n_waiting) pthread_cond_broadcast(&pool->ended);
}

/* ---- workers ---- */

/* The last running tile of a phase has ended; unlocks to ask for the next. */
static void advance(an_pool *pool, an_job *job)
{
    int n_tiles = 0;
    if (job->error.code == AN_OK && job->work.start) {
        pthread_mutex_unlock(&pool->mutex);
        job->work.start(job->work.ctx); /* from here the job may have ended */
        pthread_mutex_lock(&pool->mutex);
        return;
    }
    if (job->error.code == AN_OK) {
        int phase = job->phase + 1;
        pthread_mutex_unlock(&pool->mutex);
        n_tiles = job->work.tiles(job->work.ctx, phase);
        assert(n_tiles >= 0);
        pthread_mutex_lock(&pool->mutex);
        job->phase = phase;
    }
    if (n_tiles > 0)
        enqueue(pool, job, n_tiles);
    else
        end_job(pool, job);
}

static void record_failure(an_pool *pool, an_job *job, int tile, an_status s,
                           an_error *err)
{
    an_fail(err, s, "job failed (%s)", an_status_name(s));
    if (job->error.code == AN_OK || tile < job->failed_tile) {
        job->error = *err;
        job->failed_tile = tile;
    }
    *err = (an_error){0};
    if (job->next_tile < job->n_tiles) dequeue(pool, job);
    job->next_tile = job->n_tiles;
}

static void run_tile(an_pool *pool, an_job *job, int worker, an_error *err)
{
    int tile = claim_tile(pool, job);
    int phase = job->phase;
    an_status s = AN_OK;
    if (phase < 0) {
        job->started = an_clock();
    } else {
        pthread_mutex_unlock(&pool->mutex);
        s = job->work.run(job->work.ctx, phase, tile, worker, err);
        pthread_mutex_lock(&pool->mutex);
    }
    if (s != AN_OK) record_failure(pool, job, tile, s, err);
    if (--job->running == 0 && job->next_tile == job->n_tiles)
        advance(pool, job);
}

/* Returns after the queue grew, or stop, or for no reason. */
static void wait_for_work(an_pool *pool)
{
    unsigned seen = atomic_load(&pool->queued);
    pthread_mutex_unlock(&pool->mutex);
    double start = an_clock();
    while (atomic_load(&pool->queued) == seen &&
           an_clock() - start < spin_seconds)
        ;
    pthread_mutex_lock(&pool->mutex);
    if (pool->ready || pool->stop) return;
    pool->n_asleep++;
    pthread_cond_wait(&pool->work, &pool->mutex);
    pool->n_asleep--;
}

static void *work(void *arg)
{
    const struct worker *w = arg;
    an_pool *pool = w->pool;
    an_error err = {0};
    an_host_favour_thread(pool->host);
    pthread_mutex_lock(&pool->mutex);
    while (pool->ready || !pool->stop) {
        if (pool->ready)
            run_tile(pool, pool->ready, w->index, &err);
        else
            wait_for_work(pool);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

/* ---- the interface ---- */

static an_status start_workers(an_pool *pool, int n, an_error *err)
{
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0)
        return an_fail(err, AN_ENOMEM, "pool: no thread attributes");
    int failed = pthread_attr_setstacksize(&attr, STACK_BYTES);
    for (int i = 0; i < n && !failed; i++) {
        struct worker *w = &pool->workers[i];
        *w = (struct worker){.pool = pool, .index = i};
        failed = pthread_create(&w->thread, &attr, work, w);
        if (!failed) pool->n_threads++;
    }
    pthread_attr_destroy(&attr);
    if (failed)
        return an_fail(err, AN_ENOMEM, "pool: thread %d of %d: %s",
                       pool->n_threads + 1, n, strerror(failed));
    return AN_OK;
}

/* Efficiency cores are left to others: a tile on one would be the last. */
static int default_threads(an_host host)
{
    an_host_facts facts = an_host_get_facts(host);
    int n = facts.performance_cores ? facts.performance_cores : facts.cores;
    return n < MAX_THREADS ? n : MAX_THREADS;
}

an_status an_pool_open(int n_threads, an_pool **out, an_error *err)
{
    an_host host = an_host_here();
    int n = n_threads ? n_threads : default_threads(host);
    if (n < 0 || n > MAX_THREADS)
        return an_fail(err, AN_EINVAL, "pool: %d threads, expected 1 to %d", n,
                       MAX_THREADS);
    an_pool *pool = an_alloc(sizeof *pool + (size_t)n * sizeof(struct worker));
    if (!pool) return an_fail(err, AN_ENOMEM, "pool: out of memory");
    pool->host = host;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->ended, NULL);
    an_status s = start_workers(pool, n, err);
    if (s != AN_OK) {
        an_pool_close(pool);
        return s;
    }
    *out = pool;
    return AN_OK;
}

/* Sleeps until some job ends. */
static void wait_for_end(an_pool *pool)
{
    pool->n_waiting++;
    pthread_cond_wait(&pool->ended, &pool->mutex);
    pool->n_waiting--;
}

void an_pool_close(an_pool *pool)
{
    if (!pool) return;
    pthread_mutex_lock(&pool->mutex);
    while (pool->n_unfinished)
        wait_for_end(pool);
    pool->stop = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 0; i < pool->n_threads; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->ended);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->mutex);
    an_free(pool);
}

int an_pool_threads(const an_pool *pool)
{
    return pool->n_threads;
}

void an_job_init(an_job *job, an_work work, an_access *access, int n_access)
{
    *job = (an_job){.work = work, .access = access};
    for (int i = 0; i < n_access; i++) {
        an_access a = {
            .fence = access[i].fence, .mode = access[i].mode, .job = job};
        int at = 0;
        while (at < job->n_access && access[at].fence != a.fence)
            at++;
        if (!a.fence) continue;
        if (at < job->n_access)
            access[at].mode = (an_mode)(access[at].mode | a.mode);
        else
            access[job->n_access++] = a;
    }
}

void an_pool_submit(an_pool *pool, an_job *job)
{
    pthread_mutex_lock(&pool->mutex);
    assert(!job->submitted || job->done);
    job->submitted = true;
    job->done = false;
    job->error = (an_error){0};
    job->failed_tile = INT_MAX;
    job->sequence = pool->n_submitted++;
    pool->n_unfinished++;
    job->pending = 1; /* held until all accesses are in */
    for (int i = 0; i < job->n_access; i++) {
        an_access *a = &job->access[i];
        a->live = true;
        a->waiters = a->successor = NULL;
        if (a->mode & AN_WRITE)
            add_write(a);
        else
            add_read(a);
    }
    count_down(pool, job);
    if (pool->ready) wake_one(pool);
    pthread_mutex_unlock(&pool->mutex);
}

void an_pool_finish(an_pool *pool, an_job *job, an_status s,
                    const an_error *err)
{
    pthread_mutex_lock(&pool->mutex);
    if (s != AN_OK && err) job->error = *err;
    if (s != AN_OK)
        an_fail(&job->error, s, "job failed (%s)", an_status_name(s));
    end_job(pool, job);
    if (pool->ready) wake_one(pool);
    pthread_mutex_unlock(&pool->mutex);
}

static an_status report(const an_error *error, an_error *err)
{
    if (error->code != AN_OK && err && err->code == AN_OK) *err = *error;
    return error->code;
}

an_status an_pool_wait(an_pool *pool, an_job *job, an_error *err)
{
    pthread_mutex_lock(&pool->mutex);
    while (job->submitted && !job->done)
        wait_for_end(pool);
    an_status s = report(&job->error, err);
    pthread_mutex_unlock(&pool->mutex);
    return s;
}

an_status an_fence_wait(an_pool *pool, an_fence *fence, an_mode mode,
                        an_error *err)
{
    pthread_mutex_lock(&pool->mutex);
    while (fence->writer || (mode != AN_READ && fence->readers))
        wait_for_end(pool);
    an_status s = AN_OK;
    if (mode & AN_READ)
        s = report(&fence->error, err);
    else
        fence->error = (an_error){0};
    pthread_mutex_unlock(&pool->mutex);
    return s;
}

struct single_phase {
    int n_tiles;
    an_status (*run)(void *ctx, int phase, int tile, int worker, an_error *err);
    void *ctx;
};

static int single_phase_tiles(void *ctx, int phase)
{
    const struct single_phase *single = ctx;
    return phase == 0 ? single->n_tiles : 0;
}

static an_status single_phase_run(void *ctx, int phase, int tile, int worker,
                                  an_error *err)
{
    const struct single_phase *single = ctx;
    return single->run(single->ctx, phase, tile, worker, err);
}

an_status an_pool_run(an_pool *pool, int n_tiles,
                      an_status (*run)(void *ctx, int phase, int tile,
                                       int worker, an_error *err),
                      void *ctx, an_error *err)
{
    struct single_phase single = {n_tiles, run, ctx};
    an_job job;
    an_job_init(&job, (an_work){single_phase_tiles, single_phase_run, &single},
                NULL, 0);
    an_pool_submit(pool, &job);
    return an_pool_wait(pool, &job, err);
}

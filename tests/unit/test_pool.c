/* The pool: phases, order by fences, errors, reuse; run under TSan too. */
#include "alloc_fail.h"
#include "base/pool.h"
#include "base/rng.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static an_pool *pool_of(int threads)
{
    an_pool *pool = NULL;
    assert_int_equal(an_pool_open(threads, &pool, NULL), AN_OK);
    return pool;
}

/* ---- phases ---- */

enum { PHASES = 4, TILES = 13 };

struct phases {
    atomic_int ended[PHASES];
    atomic_int wrong;
    int n_threads;
};

static int phases_tiles(void *ctx, int phase)
{
    struct phases *p = ctx;
    if (phase > 0 && p->ended[phase - 1] != TILES) p->wrong++;
    return phase < PHASES ? TILES : 0;
}

static an_status phases_run(void *ctx, int phase, int tile, int worker,
                            an_error *err)
{
    (void)tile, (void)err;
    struct phases *p = ctx;
    if (phase > 0 && p->ended[phase - 1] != TILES) p->wrong++;
    if (worker < 0 || worker >= p->n_threads) p->wrong++;
    p->ended[phase]++;
    return AN_OK;
}

static void test_phases_follow_each_other(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        an_pool *pool = pool_of(threads);
        struct phases p = {.n_threads = threads};
        an_job job;
        an_job_init(&job, (an_work){phases_tiles, phases_run, &p}, NULL, 0);
        assert_int_equal(an_pool_wait(pool, &job, NULL), AN_OK);
        for (int i = 0; i < 3; i++) {
            memset(p.ended, 0, sizeof p.ended);
            an_pool_submit(pool, &job);
            assert_int_equal(an_pool_wait(pool, &job, NULL), AN_OK);
            assert_true(job.ended >= job.started);
            for (int phase = 0; phase < PHASES; phase++)
                assert_int_equal(p.ended[phase], TILES);
        }
        assert_int_equal(p.wrong, 0);
        an_pool_close(pool);
    }
}

static an_status fail_from_tile_3(void *ctx, int phase, int tile, int worker,
                                  an_error *err)
{
    (void)phase, (void)worker;
    atomic_int *ran = ctx;
    (*ran)++;
    return tile < 3 ? AN_OK : an_fail(err, AN_EIO, "tile %d", tile);
}

static void test_lowest_failing_tile_counts(void **state)
{
    (void)state;
    an_pool *pool = pool_of(3);
    for (int i = 0; i < 200; i++) {
        atomic_int ran = 0;
        an_error err = {0};
        assert_int_equal(an_pool_run(pool, 1000, fail_from_tile_3, &ran, &err),
                         AN_EIO);
        assert_string_equal(err.text, "tile 3");
        assert_true(ran < 1000);
    }
    atomic_int ran = 0;
    assert_int_equal(an_pool_run(pool, 3, fail_from_tile_3, &ran, NULL), AN_OK);
    assert_int_equal(an_pool_run(pool, 0, fail_from_tile_3, &ran, NULL), AN_OK);
    assert_int_equal(ran, 3);
    an_pool_close(pool);
}

static void test_number_of_threads(void **state)
{
    (void)state;
    an_pool *pool = pool_of(0);
    assert_true(an_pool_threads(pool) >= 1);
    an_pool_close(pool);
    pool = NULL;
    assert_int_equal(an_pool_open(-1, &pool, NULL), AN_EINVAL);
    assert_int_equal(an_pool_open(1 << 20, &pool, NULL), AN_EINVAL);
    assert_null(pool);
    an_pool_close(NULL);
}

/* ---- fences ---- */

/* A job that appends to or reads plain, unguarded cells. */
struct touch {
    an_job job;
    an_access access[4];
    uint64_t *cells[4];
    int n;
    uint64_t number, seen;
    an_status status;
};

static int one_tile(void *ctx, int phase)
{
    (void)ctx;
    return phase == 0;
}

static void touch_cells(struct touch *t)
{
    t->seen = 0;
    for (int i = 0; i < t->n; i++)
        if (t->access[i].mode & AN_READ) t->seen = t->seen * 31 + *t->cells[i];
    for (int i = 0; i < t->n; i++)
        if (t->access[i].mode & AN_WRITE)
            *t->cells[i] = t->seen * 17 + t->number;
}

static an_status touch_run(void *ctx, int phase, int tile, int worker,
                           an_error *err)
{
    (void)phase, (void)tile, (void)worker;
    struct touch *t = ctx;
    if (t->status != AN_OK)
        return an_fail(err, t->status, "job %d", (int)t->number);
    touch_cells(t);
    return AN_OK;
}

static void touch_init(struct touch *t)
{
    an_job_init(&t->job, (an_work){one_tile, touch_run, t}, t->access, t->n);
}

enum { CELLS = 6, JOBS = 64, ROUNDS = 150 };

static void plan_jobs(an_rng *rng, struct touch *jobs, an_fence *fences,
                      uint64_t *cells)
{
    for (int i = 0; i < JOBS; i++) {
        struct touch *t = &jobs[i];
        *t = (struct touch){.number = (uint64_t)i + 1};
        unsigned used = 0;
        for (int k = 0; k < 4; k++) {
            unsigned cell = (unsigned)an_rng_below(rng, CELLS);
            if (used >> cell & 1) continue;
            used |= 1u << cell;
            t->cells[t->n] = &cells[cell];
            t->access[t->n++] = (an_access){
                .fence = &fences[cell],
                .mode = (an_mode)(1 + an_rng_below(rng, 3)),
            };
        }
        touch_init(t);
    }
}

/* Random jobs on plain memory must leave what the serial order leaves. */
static void test_any_order_equals_submission_order(void **state)
{
    (void)state;
    an_pool *pool = pool_of(4);
    an_rng rng = {.seed = 5};
    static struct touch jobs[JOBS];
    for (int round = 0; round < ROUNDS; round++) {
        an_fence fences[CELLS] = {0};
        uint64_t cells[CELLS] = {0}, serial[CELLS], seen[JOBS];
        plan_jobs(&rng, jobs, fences, cells);
        for (int i = 0; i < JOBS; i++) {
            touch_cells(&jobs[i]);
            seen[i] = jobs[i].seen;
        }
        memcpy(serial, cells, sizeof serial);
        memset(cells, 0, sizeof cells);
        for (int i = 0; i < JOBS; i++)
            an_pool_submit(pool, &jobs[i].job);
        for (int c = 0; c < CELLS; c++)
            assert_int_equal(an_fence_wait(pool, &fences[c], AN_UPDATE, NULL),
                             AN_OK);
        assert_memory_equal(cells, serial, sizeof serial);
        for (int i = 0; i < JOBS; i++) {
            assert_int_equal(an_pool_wait(pool, &jobs[i].job, NULL), AN_OK);
            assert_true(jobs[i].seen == seen[i]);
        }
        for (int c = 0; c < CELLS; c++) /* the pool has let go of them */
            assert_true(!fences[c].writer && !fences[c].readers);
        memset(fences, 0xa5, sizeof fences);
    }
    an_pool_close(pool);
}

static struct touch touch_of(int number, int n, an_fence *const *fences,
                             uint64_t *const *cells, const an_mode *modes)
{
    struct touch t = {.number = (uint64_t)number, .n = n};
    for (int i = 0; i < n; i++) {
        t.access[i] = (an_access){.fence = fences[i], .mode = modes[i]};
        t.cells[i] = cells[i];
    }
    return t;
}

static void test_accesses_are_merged(void **state)
{
    (void)state;
    an_fence a = {0}, b = {0};
    an_access access[] = {{.fence = &a, .mode = AN_READ},
                          {.fence = NULL, .mode = AN_READ},
                          {.fence = &b, .mode = AN_READ},
                          {.fence = &a, .mode = AN_WRITE}};
    an_job job;
    an_job_init(&job, (an_work){one_tile, touch_run, NULL}, access, 4);
    assert_int_equal(job.n_access, 2);
    assert_ptr_equal(job.access[0].fence, &a);
    assert_int_equal(job.access[0].mode, AN_UPDATE);
    assert_int_equal(job.access[1].mode, AN_READ);
}

/* w fails -> r (reads a, writes b) fails unrun -> u (updates b) fails unrun;
 * a later pure write of b makes it well again. */
static void test_errors_follow_fences(void **state)
{
    (void)state;
    an_pool *pool = pool_of(2);
    an_fence a = {0}, b = {0};
    uint64_t x = 0, y = 0;
    struct touch w = touch_of(1, 1, (an_fence *[]){&a}, (uint64_t *[]){&x},
                              (an_mode[]){AN_WRITE});
    struct touch r =
        touch_of(2, 2, (an_fence *[]){&a, &b}, (uint64_t *[]){&x, &y},
                 (an_mode[]){AN_READ, AN_WRITE});
    struct touch u = touch_of(3, 1, (an_fence *[]){&b}, (uint64_t *[]){&y},
                              (an_mode[]){AN_UPDATE});
    struct touch v = touch_of(4, 1, (an_fence *[]){&b}, (uint64_t *[]){&y},
                              (an_mode[]){AN_WRITE});
    w.status = AN_EENGINE;
    struct touch *all[] = {&w, &r, &u};
    for (int i = 0; i < 3; i++) {
        touch_init(all[i]);
        an_pool_submit(pool, &all[i]->job);
    }
    for (int i = 0; i < 3; i++) {
        an_error err = {0};
        assert_int_equal(an_pool_wait(pool, &all[i]->job, &err), AN_EENGINE);
        assert_string_equal(err.text, "job 1");
    }
    assert_int_equal(y, 0);
    an_error err = {0};
    assert_int_equal(an_fence_wait(pool, &b, AN_READ, &err), AN_EENGINE);
    assert_string_equal(err.text, "job 1");

    touch_init(&v);
    an_pool_submit(pool, &v.job);
    assert_int_equal(an_fence_wait(pool, &b, AN_READ, NULL), AN_OK);
    assert_int_equal(y, 4);
    assert_int_equal(an_pool_wait(pool, &v.job, NULL), AN_OK);

    assert_int_equal(an_fence_wait(pool, &a, AN_UPDATE, NULL), AN_EENGINE);
    assert_int_equal(an_fence_wait(pool, &a, AN_WRITE, NULL), AN_OK);
    an_pool_submit(pool, &r.job); /* the same job once more */
    assert_int_equal(an_pool_wait(pool, &r.job, NULL), AN_OK);
    an_pool_close(pool);
}

/* A long chain of failing jobs must not recurse. */
static void test_failure_of_a_long_chain(void **state)
{
    (void)state;
    enum { CHAIN = 20000 };
    static an_job jobs[CHAIN];
    static an_access access[CHAIN];
    an_pool *pool = pool_of(2);
    an_fence fence = {0};
    atomic_int ran = 0;
    struct touch first = touch_of(0, 1, (an_fence *[]){&fence},
                                  (uint64_t *[]){NULL}, (an_mode[]){AN_WRITE});
    first.status = AN_EFORMAT;
    touch_init(&first);
    an_pool_submit(pool, &first.job);
    for (int i = 0; i < CHAIN; i++) {
        access[i] = (an_access){.fence = &fence, .mode = AN_UPDATE};
        an_job_init(&jobs[i], (an_work){one_tile, fail_from_tile_3, &ran},
                    &access[i], 1);
        an_pool_submit(pool, &jobs[i]);
    }
    assert_int_equal(an_pool_wait(pool, &jobs[CHAIN - 1], NULL), AN_EFORMAT);
    assert_int_equal(ran, 0);
    an_pool_close(pool);
}

static void test_close_waits(void **state)
{
    (void)state;
    an_pool *pool = pool_of(2);
    struct phases p[20];
    an_job jobs[20];
    memset(p, 0, sizeof p);
    for (int i = 0; i < 20; i++) {
        p[i].n_threads = 2;
        an_job_init(&jobs[i], (an_work){phases_tiles, phases_run, &p[i]}, NULL,
                    0);
        an_pool_submit(pool, &jobs[i]);
    }
    an_pool_close(pool);
    for (int i = 0; i < 20; i++)
        assert_int_equal(p[i].ended[PHASES - 1], TILES);
}

static an_status open_and_run(void *ctx, an_error *err)
{
    atomic_int *ran = ctx;
    an_pool *pool = NULL;
    an_status s = an_pool_open(2, &pool, err);
    if (s != AN_OK) return s;
    long before = alloc_requests();
    s = an_pool_run(pool, 3, fail_from_tile_3, ran, err);
    assert_int_equal(alloc_requests(), before);
    an_pool_close(pool);
    return s;
}

static void test_allocations(void **state)
{
    (void)state;
    atomic_int ran = 0;
    assert_int_equal(alloc_sweep(open_and_run, &ran), 1);
}

/* ---- work of another thread ---- */

/* A device that does one thing after the other, on a thread of its own. */
enum { STARTED = 16 };
typedef struct device {
    an_pool *pool;
    pthread_mutex_t mutex;
    pthread_cond_t more;
    struct device_work {
        struct device *device;
        an_job job;
        an_access access[2];
        int *from, *to; /* *to = *from + 1 */
        an_status answer;
    } work[STARTED], *queue[STARTED];
    int n, taken;
} device;

static void device_start(void *ctx)
{
    struct device_work *w = ctx;
    device *d = w->device;
    pthread_mutex_lock(&d->mutex);
    d->queue[d->n++] = w;
    pthread_cond_signal(&d->more);
    pthread_mutex_unlock(&d->mutex);
}

static void *device_run(void *arg)
{
    device *d = arg;
    while (d->taken < STARTED) {
        pthread_mutex_lock(&d->mutex);
        while (d->taken == d->n)
            pthread_cond_wait(&d->more, &d->mutex);
        struct device_work *w = d->queue[d->taken++];
        pthread_mutex_unlock(&d->mutex);
        *w->to = *w->from + 1;
        an_error err = {0};
        if (w->answer != AN_OK) an_fail(&err, w->answer, "the device said no");
        an_pool_finish(d->pool, &w->job, w->answer, &err);
    }
    return NULL;
}

/* A chain through the device, with a job of the pool behind each link. */
static void test_started_work_is_ordered(void **state)
{
    (void)state;
    static device d;
    static int values[STARTED + 1];
    static an_fence fences[STARTED + 1];
    pthread_t thread;
    d = (device){.pool = pool_of(2)};
    memset(values, 0, sizeof values);
    memset(fences, 0, sizeof fences);
    pthread_mutex_init(&d.mutex, NULL);
    pthread_cond_init(&d.more, NULL);
    assert_int_equal(pthread_create(&thread, NULL, device_run, &d), 0);
    for (int i = 0; i < STARTED; i++) {
        struct device_work *w = &d.work[i];
        w->device = &d;
        w->from = &values[i], w->to = &values[i + 1];
        w->access[0] = (an_access){.fence = &fences[i], .mode = AN_READ};
        w->access[1] = (an_access){.fence = &fences[i + 1], .mode = AN_WRITE};
        w->answer = i == STARTED - 1 ? AN_EENGINE : AN_OK;
        an_job_init(&w->job, (an_work){.start = device_start, .ctx = w},
                    w->access, 2);
        an_pool_submit(d.pool, &w->job);
    }
    an_error err = {0};
    assert_int_equal(an_fence_wait(d.pool, &fences[STARTED - 1], AN_READ, &err),
                     AN_OK);
    assert_int_equal(values[STARTED - 1], STARTED - 1);
    assert_int_equal(an_pool_wait(d.pool, &d.work[STARTED - 1].job, &err),
                     AN_EENGINE);
    assert_string_equal(err.text, "the device said no");
    pthread_join(thread, NULL);
    an_pool_close(d.pool);
    pthread_cond_destroy(&d.more);
    pthread_mutex_destroy(&d.mutex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phases_follow_each_other),
        cmocka_unit_test(test_lowest_failing_tile_counts),
        cmocka_unit_test(test_number_of_threads),
        cmocka_unit_test(test_any_order_equals_submission_order),
        cmocka_unit_test(test_accesses_are_merged),
        cmocka_unit_test(test_errors_follow_fences),
        cmocka_unit_test(test_failure_of_a_long_chain),
        cmocka_unit_test(test_close_waits),
        cmocka_unit_test(test_started_work_is_ordered),
        cmocka_unit_test(test_allocations),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}

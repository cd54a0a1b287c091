/*
 * Time on the engine, where the system tells it: a profiled request evaluates
 * with a mask of statistics among its options, and finds nanoseconds in its
 * perfStats afterwards. Third parties are said to get them
 * (christopherkarani/Espresso, ncdrone/rustane) and not to get them
 * (dev-erik/ANE, m0at/ANEtransformers): where there are none, the time is wall
 * time, and the step's kind says which of the two it is.
 */
#include "engine/apple/apple.h"
#include "engine/apple/values.h"

#include "base/alloc.h"
#include "mil/op.h"

/* All four kinds of statistics, as clients that read hardware time ask. */
enum { MASK = 15 };

struct an_stats {
    an_profiled_step step;
    an_profiled_op ops[];
};

void *an_stats_options(const an_objc *o)
{
    void *const *name = an_objc_symbol(o, "kANEFPerformanceStatsMaskKey");
    void *key = name ? *name : an_ns_string(o, "kANEFPerformanceStatsMask");
    void *mask = an_ns_number(o, MASK);
    return key && mask ? an_ns_dictionary(o, &mask, &key, 1) : NULL;
}

an_stats *an_stats_new(const an_program *p)
{
    const an_function *f = p->function;
    size_t n = (size_t)f->n_nodes, bytes;
    if (!an_mul_size(n, sizeof(an_profiled_op), &bytes)) return NULL;
    an_stats *stats = an_alloc(sizeof *stats + bytes);
    if (!stats) return NULL;
    int at = 0;
    for (int i = 0; i < f->n_nodes; i++)
        if (f->nodes[i]->op->cost)
            stats->ops[at++] = (an_profiled_op){f->nodes[i]->op->name,
                                                f->nodes[i]->results[0]->name};
    stats->step = (an_profiled_step){
        .kind = "wall", .ops = stats->ops, .n_ops = at, .flops = p->flops};
    return stats;
}

void an_stats_take(an_stats *stats, const an_objc *o, void *request)
{
    long long ns = an_send_long(o, AN_SEL_HARDWARE_NS,
                                an_send(o, AN_SEL_PERF_STATS, request));
    stats->step.kind = ns <= 0 ? "wall" : o->replica ? "replica" : "hardware";
    stats->step.seconds = ns <= 0 ? 0 : (double)ns * 1e-9;
}

bool an_stats_step(const an_stats *stats, const an_request *r, int i,
                   an_profiled_step *out)
{
    if (!stats || i != 0) return false;
    *out = stats->step;
    if (out->seconds <= 0) out->seconds = an_request_seconds(r);
    return true;
}

/*
 * What a run will be and what it was: the block before the first step, the
 * plan of --dry-run, the summary. Bytes are decimal (1 MB is 1e6), a FLOP is
 * one addition or multiplication.
 */
#include "cli/display.h"

#include "base/clock.h"
#include "base/json.h"
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

static void field(const an_display *p, const char *label)
{
    printf("  %s%-11s%s", p->terminal.color ? "\033[2m" : "", label,
           p->terminal.color ? "\033[0m" : "");
}

static void print_model(const an_display *p)
{
    const an_model_facts *m = &p->plan.model;
    char n[32];
    field(p, "model");
    printf("%s: %s parameters, %lld layer%s, width %lld, hidden %lld, "
           "%lld heads",
           p->facts.model, an_human((double)m->n_params, "", n, sizeof n),
           (long long)m->n_layers, m->n_layers == 1 ? "" : "s",
           (long long)m->width, (long long)m->hidden, (long long)m->n_heads);
    if (m->n_kv_heads != m->n_heads)
        printf(" (%lld of keys and values)", (long long)m->n_kv_heads);
    printf(", vocabulary %lld\n", (long long)m->vocab_size);
}

/* What is trained, and how weights reach the programs; nothing to say where
 * all are trained. */
static void print_trained(const an_display *p)
{
    const an_train_plan *plan = &p->plan;
    char n[32];
    if (plan->trained >= plan->model.n_params) return;
    field(p, "trained");
    printf("%s parameters, the others frozen",
           an_human((double)plan->trained, "", n, sizeof n));
    if (plan->weights == AN_WEIGHT_MIXED) printf(" (constants)");
    if (plan->programs_wanted > plan->programs)
        printf(" (streamed: constants would take %d programs, more than the "
               "engine compiles)",
               plan->programs_wanted);
    putchar('\n');
}

static double file_bytes(const an_words *files)
{
    double sum = 0;
    struct stat st;
    for (int i = 0; i < files->n; i++)
        if (stat(files->items[i], &st) == 0) sum += (double)st.st_size;
    return sum;
}

static void print_data(const an_display *p)
{
    const an_words *d = p->facts.data;
    char n[32];
    field(p, "data");
    if (strcmp(d->items[0], "random") == 0) {
        printf("random tokens\n");
        return;
    }
    printf("%s", d->items[0]);
    if (d->n > 1) printf(" and %d more file%s", d->n - 1, d->n == 2 ? "" : "s");
    printf(", %s\n", an_human(file_bytes(d), "B", n, sizeof n));
}

static void print_engine(const an_display *p)
{
    const char *name = p->plan.engine;
    field(p, "engine");
    if (strncmp(name, "soft", 4) == 0)
        printf("software Neural Engine (%s)", name);
    else
        printf("%s", name);
    printf(", %s numerics\n", p->plan.numerics);
    if (an_blas_threads() == 1) return;
    field(p, "products");
    printf("%s: this system cannot be told to use one\n", an_blas_name());
}

static void print_step(const an_display *p)
{
    const an_train_plan *plan = &p->plan;
    char flops[32];
    field(p, "step");
    if (plan->accum > 1) printf("%lld x ", (long long)plan->accum);
    printf("%lld x %lld = %lld tokens, %s, %d evaluations of %d "
           "programs\n",
           (long long)plan->batch, (long long)plan->sequence,
           (long long)plan->tokens_per_step,
           an_human(plan->flops_per_step, "FLOP", flops, sizeof flops),
           plan->evaluations_per_step, plan->programs);
}

static void print_schedule(const an_display *p)
{
    field(p, "schedule");
    if (p->facts.minutes > 0)
        printf("%g minutes (not reproducible bit for bit)", p->facts.minutes);
    else
        printf("%lld steps", (long long)p->plan.steps);
    printf(", learning rate %g", p->plan.lr);
    if (p->facts.minutes <= 0)
        printf(" after %lld of warm-up", (long long)p->plan.warmup);
    if (p->plan.steps_before > 0 && p->plan.steps_before != p->plan.steps)
        printf(" (planned anew: it was %lld steps)",
               (long long)p->plan.steps_before);
    printf("\n");
}

static void print_folder(const an_display *p)
{
    field(p, "run");
    if (p->facts.folder == NULL)
        printf("nothing is written\n");
    else if (p->plan.resumed)
        printf("%s, resumed after step %lld\n", p->facts.folder,
               (long long)p->plan.first_step);
    else
        printf("%s\n", p->facts.folder);
}

void an_display_header(an_display *p)
{
    if (p->mode == AN_DISPLAY_JSON || p->mode == AN_DISPLAY_QUIET) return;
    putchar('\n');
    print_model(p);
    print_trained(p);
    print_data(p);
    print_engine(p);
    print_step(p);
    print_schedule(p);
    print_folder(p);
    putchar('\n');
    p->spaced = true;
    fflush(stdout);
}

/* What --dry-run tells: one row for people and JSON alike. */
typedef struct fact {
    const char *key, *text, *unit;
    double value;
} fact;
enum { N_FACTS = 13 };

static void plan_facts(const an_train_plan *p, fact out[N_FACTS])
{
    double per_layer = p->model.n_layers > 0
                           ? (double)p->evaluations_per_step /
                                 (double)(p->accum * p->model.n_layers)
                           : 0;
    const fact facts[N_FACTS] = {
        {"parameters", "parameters", "", (double)p->model.n_params},
        {"trained_parameters", "  of them trained", "", (double)p->trained},
        {"tokens_per_step", "tokens per step", "", (double)p->tokens_per_step},
        {"flops_per_step", "FLOPs per step", "FLOP", p->flops_per_step},
        {"memory_bytes", "memory", "B", (double)p->memory_bytes},
        {"parameter_bytes", "  parameters", "B", (double)p->parameter_bytes},
        {"optimizer_bytes", "  gradients, moments", "B",
         (double)p->optimizer_bytes},
        {"surface_bytes", "  surfaces", "B", (double)p->surface_bytes},
        {"work_bytes", "  work", "B", (double)p->work_bytes},
        {"programs", "programs", "", p->programs},
        {"evaluations_per_step", "evaluations per step", "",
         p->evaluations_per_step},
        {"evaluations_per_layer_and_micro_batch", "  per layer, micro-batch",
         "", per_layer},
        {"steps", "steps", "", (double)p->steps},
    };
    memcpy(out, facts, sizeof facts);
}

static an_status print_object(json_t *o, an_error *err)
{
    int failed = json_dumpf(o, stdout, JSON_COMPACT);
    json_decref(o);
    if (failed) return an_fail(err, AN_ENOMEM, "no memory for a JSON object");
    putchar('\n');
    return AN_OK;
}

an_status an_plan_print(const an_display *p, an_error *err)
{
    fact facts[N_FACTS];
    char n[32];
    plan_facts(&p->plan, facts);
    if (p->mode == AN_DISPLAY_JSON) {
        json_t *o = json_object();
        json_object_set_new(o, "type", json_string("plan"));
        json_object_set_new(o, "model", json_string(p->facts.model));
        json_object_set_new(o, "engine", json_string(p->plan.engine));
        json_object_set_new(o, "numerics", json_string(p->plan.numerics));
        for (int i = 0; i < N_FACTS; i++)
            json_object_set_new(o, facts[i].key,
                                facts[i].value == floor(facts[i].value)
                                    ? json_integer((json_int_t)facts[i].value)
                                    : json_real(facts[i].value));
        return print_object(o, err);
    }
    putchar('\n');
    print_model(p);
    print_trained(p);
    print_data(p);
    print_engine(p);
    print_schedule(p);
    putchar('\n');
    for (int i = 0; i < N_FACTS; i++)
        printf("  %-26s%s\n", facts[i].text,
               an_human(facts[i].value, facts[i].unit, n, sizeof n));
    printf("\n  nothing was written\n");
    return AN_OK;
}

static an_status summary_object(const an_display *p, bool interrupted,
                                bool finished, double seconds, an_error *err)
{
    json_t *o = json_object();
    json_object_set_new(o, "type", json_string("summary"));
    json_object_set_new(o, "step", json_integer(p->step));
    json_object_set_new(o, "steps", json_integer(p->plan.steps));
    json_object_set_new(o, "tokens", json_integer(p->tokens));
    json_object_set_new(o, "parameters", json_integer(p->plan.model.n_params));
    if (isfinite(p->loss)) json_object_set_new(o, "loss", json_real(p->loss));
    if (isfinite(p->val_loss))
        json_object_set_new(o, "val_loss", json_real(p->val_loss));
    json_object_set_new(o, "seconds", json_real(seconds));
    json_object_set_new(o, "ms_per_step", json_real(p->ms));
    json_object_set_new(o, "engine", json_string(p->plan.engine));
    json_object_set_new(o, "out",
                        p->facts.folder != NULL ? json_string(p->facts.folder)
                                                : json_null());
    json_object_set_new(o, "compiles", json_integer(p->facts.compiles));
    json_object_set_new(o, "processes", json_integer(p->facts.processes));
    json_object_set_new(o, "interrupted", json_boolean(interrupted));
    json_object_set_new(o, "finished", json_boolean(finished));
    return print_object(o, err);
}

static void print_losses(const an_display *p)
{
    if (isnan(p->loss)) return;
    field(p, "loss");
    printf("%.4f, from %.4f at step %lld\n", p->loss, p->first_loss,
           (long long)p->first_step + 1);
    if (isnan(p->val_loss)) return;
    field(p, "validation");
    printf("%.4f\n", p->val_loss);
}

an_status an_display_summary(an_display *p, bool interrupted, bool finished,
                             an_error *err)
{
    double seconds = an_clock() - p->started;
    char tokens[32];
    if (p->mode == AN_DISPLAY_QUIET) return AN_OK;
    if (p->mode == AN_DISPLAY_JSON)
        return summary_object(p, interrupted, finished, seconds, err);
    an_display_clear(p);
    if (!p->spaced) putchar('\n');
    printf("%s after step %lld",
           interrupted ? "Interrupted"
           : finished  ? "Done"
                       : "Stopped",
           (long long)p->step);
    if (p->facts.minutes <= 0) printf(" of %lld", (long long)p->plan.steps);
    if (p->step > p->first_step)
        printf(": %s tokens in %.1f s\n\n",
               an_human((double)p->run_tokens, "", tokens, sizeof tokens),
               seconds);
    else
        printf(", nothing to do%s\n\n",
               finished ? "; more --steps go on, --fresh starts anew" : "");
    print_losses(p);
    if (p->facts.processes > 1) {
        field(p, "programs");
        printf("%d compiled, in %d processes\n", p->facts.compiles,
               p->facts.processes);
    }
    if (p->facts.folder == NULL) return AN_OK;
    field(p, "model");
    printf("%s/%smodel.safetensors\n", p->facts.folder,
           p->plan.lora ? "adapter_" : "");
    field(p, "metrics");
    printf("%s/metrics.jsonl\n", p->facts.folder);
    return AN_OK;
}

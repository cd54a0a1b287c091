/*
 * Run folders: what is written where, whole or not at all.
 *
 *     config.json  tokenizer.json  metrics.jsonl  .lock
 *     step-NNNNNNNN/{model,state}.safetensors
 *     latest -> step-NNNNNNNN      best -> step-NNNNNNNN
 *     model.safetensors -> latest/model.safetensors, state.safetensors the same
 *
 * A LoRA run has PEFT's adapter_model.safetensors and adapter_config.json in
 * place of model.safetensors.
 *
 * A step's folder is written under a temporary name, synced, renamed; `latest`
 * is swapped by rename; older steps beyond `keep` are removed but for the best
 * by validation. Leftovers of dead writers are removed at open. Nothing in the
 * two files depends on clock, path or interruption.
 */
#ifndef AN_TRAIN_CHECKPOINT_H
#define AN_TRAIN_CHECKPOINT_H

#include "base/json.h"
#include "base/safetensors.h"

typedef struct an_run an_run; /* an open, locked run folder */

/* Creates the folder (and parents), takes the lock (AN_EIO "in use by another
 * process"), sweeps leftovers. FRESH removes what an earlier run left there:
 * only files that a run writes; a folder with anything else is refused. So is,
 * in both modes, one with a config.json or the like that no run wrote. */
typedef enum an_run_mode { AN_RUN_RESUME, AN_RUN_FRESH } an_run_mode;
an_status an_run_open(const char *folder, an_run_mode mode, an_run **out,
                      an_error *err);
void an_run_close(an_run *run);
const char *an_run_folder(const an_run *run);

/* The newest whole checkpoint; *model is NULL when there is none. Files stay
 * mapped until the caller closes them. *step is its number. */
an_status an_run_load(an_run *run, int64_t *step, an_st **model, an_st **state,
                      an_error *err);
/* The same for readers, without a lock: a run folder, or a step's folder.
 * `state` may be NULL. */
an_status an_checkpoint_load(const char *folder, an_st **model, an_st **state,
                             an_error *err);

/* Whether a folder is a run's, not a step's in it nor another tool's. */
bool an_checkpoint_is_run(const char *folder);

typedef struct an_checkpoint {
    int64_t step;
    const char *adapter_config; /* text: `model` is adapters; or NULL */
    const an_st_tensor *model, *state;
    int n_model, n_state;
    const char *const *metadata; /* of state: key, value, ..., NULL */
    int64_t keep;
    bool best; /* the lowest validation loss so far */
} an_checkpoint;
an_status an_run_save(an_run *run, const an_checkpoint *c, an_error *err);

/* Writes a small text file (config.json) of the folder, whole. */
an_status an_run_put(an_run *run, const char *name, const char *text,
                     an_error *err);

/*
 * metrics.jsonl: one JSON object a line. Opening cuts it back to lines whose
 * "step" is at most `step` (a torn last line goes too). Appending writes one
 * line with one write call; numbers are printed with %.17g (so that they read
 * back to the same bits); values that are not finite are left out.
 */
typedef struct an_metric {
    const char *key;
    double value;
} an_metric;
an_status an_run_metrics_open(an_run *run, int64_t step, an_error *err);
/* Allocates nothing. */
an_status an_run_metrics_add(an_run *run, const an_metric *m, int n,
                             an_error *err);

#endif

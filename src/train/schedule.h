/* Learning rate over the run. */
#ifndef AN_TRAIN_SCHEDULE_H
#define AN_TRAIN_SCHEDULE_H

/*
 * Warm-up is linear from lr / warmup to lr; then a cosine from lr to lr x
 * lr_min at the end. `progress` is the share of the run behind this step, in
 * [0, 1): (step - 1) / steps, or elapsed time; `warmup` the share of the run
 * that warms up, `quantum` the length of one step in the same measure.
 */
typedef struct an_schedule {
    double lr, lr_min;
    double warmup;
} an_schedule;
double an_schedule_lr(const an_schedule *s, double progress, double quantum);

#endif

/*
 * Learning rate. A step's place is the share of the run behind its end,
 * progress + quantum, so that the last warm-up step has the peak and the last
 * step of the run the minimum.
 */
#include "train/schedule.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

double an_schedule_lr(const an_schedule *s, double progress, double quantum)
{
    double end = fmin(progress + quantum, 1.0);
    if (end < s->warmup) return s->lr * (end / s->warmup);
    if (s->warmup >= 1.0) return s->lr;
    double t = (end - s->warmup) / (1.0 - s->warmup);
    double share = 0.5 * (1.0 + cos(PI * t)); /* 1 to 0 */
    return s->lr * (s->lr_min + (1.0 - s->lr_min) * share);
}

/*
 * When the loss scale changes. It moves by factors of two, between updates.
 */
#include "train/scale.h"

#include <math.h>

enum {
    CALM = 200, /* updates without overflow before it grows */
    MARGIN = 8, /* it grows only while the peak stays this far below */
};
static const double least = 0x1p-24, most = 0x1p+24;

const char *an_scaling_name(an_scaling scaling)
{
    return scaling == AN_SCALING_FIXED ? "fixed" : "dynamic";
}

bool an_peak_overflows(const an_peak *p)
{
    return p->tensor && !(p->largest < p->limit);
}

void an_scale_step(an_scale *s, an_scaling scaling, bool skipped,
                   const an_peak *peak)
{
    if (scaling == AN_SCALING_FIXED) return;
    if (skipped) {
        s->calm = 0;
        if (s->value > least) s->value /= 2;
        return;
    }
    s->calm++;
    /* Where nothing is watched (fp32) nothing is gained by growing. */
    bool room = peak->tensor && peak->largest * MARGIN < peak->limit;
    if (s->calm < CALM || !room || s->value >= most) return;
    s->value *= 2;
    s->calm = 0;
}

/* The numerics modes of the software engine. */
#include "engine/soft/numerics.h"

static const an_soft_numerics modes[AN_NUMERICS_COUNT] = {
    [AN_NUMERICS_IEEE] = {.num = &an_num_ieee},
    [AN_NUMERICS_EXACT] = {.num = &an_num_exact, .wide = true},
};

const an_soft_numerics *an_soft_numerics_of(an_numerics numerics)
{
    return &modes[numerics];
}

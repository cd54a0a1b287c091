/* Floats are compared as doubles, which hold every one of them. */
#include "mil/element.h"

#include "base/half.h"
#include "mil/type.h"

#include <math.h>
#include <string.h>

double an_element(an_dtype dtype, const void *data, size_t i)
{
    switch (dtype) {
    case AN_FP16:
        return an_half_to_double(((const uint16_t *)data)[i]);
    case AN_BF16:
        return (double)an_bf16_to_float(((const uint16_t *)data)[i]);
    case AN_FP32:
        return (double)((const float *)data)[i];
    case AN_FP64:
        return ((const double *)data)[i];
    case AN_INT4:
    case AN_INT8:
        return ((const int8_t *)data)[i];
    case AN_INT16:
        return ((const int16_t *)data)[i];
    case AN_INT32:
        return ((const int32_t *)data)[i];
    case AN_INT64:
        return (double)((const int64_t *)data)[i];
    case AN_UINT16:
        return ((const uint16_t *)data)[i];
    case AN_UINT32:
        return ((const uint32_t *)data)[i];
    case AN_UINT64:
        return (double)((const uint64_t *)data)[i];
    default:
        return ((const uint8_t *)data)[i];
    }
}

bool an_element_equal(an_dtype dtype, const void *a, const void *b, size_t i)
{
    size_t size = an_dtype_size(dtype), at = i * size;
    if (memcmp((const char *)a + at, (const char *)b + at, size) == 0)
        return true;
    if (!an_dtype_is_float(dtype)) return false;
    double x = an_element(dtype, a, i), y = an_element(dtype, b, i);
    return x == y || (isnan(x) && isnan(y));
}

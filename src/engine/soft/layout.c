/* Strides; see layout.h. */
#include "engine/soft/layout.h"

#include <string.h>

an_place an_place_dense(int buffer, an_dtype dtype, const an_shape *shape)
{
    an_place p = {.buffer = buffer, .dtype = dtype, .rank = shape->rank};
    int64_t stride = 1;
    for (int i = shape->rank - 1; i >= 0; i--) {
        p.dims[i] = shape->dims[i];
        p.strides[i] = stride;
        stride *= shape->dims[i];
    }
    return p;
}

int64_t an_place_count(const an_place *p)
{
    int64_t n = 1;
    for (int i = 0; i < p->rank; i++)
        n *= p->dims[i];
    return n;
}

bool an_place_equal(const an_place *a, const an_place *b)
{
    if (a->buffer != b->buffer || a->dtype != b->dtype ||
        a->offset != b->offset || a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++) {
        if (a->dims[i] != b->dims[i]) return false;
        if (a->dims[i] > 1 && a->strides[i] != b->strides[i]) return false;
    }
    return true;
}

/* Axes [from, to) of x and [at, end) of dims that hold equally many
 * elements, as few as possible, 1s in front and behind included. */
typedef struct group {
    int from, to, at, end;
} group;

static void next_group(const an_place *x, int rank, const int64_t *dims,
                       group *g)
{
    g->from = g->to, g->at = g->end;
    int64_t a = 1, b = 1;
    while (g->to < x->rank || g->end < rank) {
        if (a == b && g->to > g->from && g->end > g->at && a > 1) break;
        if (g->end == rank || (g->to < x->rank && a <= b))
            a *= x->dims[g->to++];
        else
            b *= dims[g->end++];
    }
}

/* x's axes of a group as one axis: its stride. False: it is none. */
static bool group_stride(const an_place *x, const group *g, int64_t *stride)
{
    int64_t expected = 0;
    bool any = false;
    *stride = 0;
    for (int i = g->to - 1; i >= g->from; i--) {
        if (x->dims[i] == 1) continue;
        if (!any)
            *stride = x->strides[i];
        else if (x->strides[i] != expected)
            return false;
        expected = x->strides[i] * x->dims[i];
        any = true;
    }
    return true;
}

bool an_place_reshape(const an_place *x, int rank, const int64_t *dims,
                      an_place *out)
{
    an_place r = {.buffer = x->buffer,
                  .dtype = x->dtype,
                  .rank = rank,
                  .offset = x->offset};
    group g = {0};
    while (g.to < x->rank || g.end < rank) {
        next_group(x, rank, dims, &g);
        int64_t stride;
        if (!group_stride(x, &g, &stride)) return false;
        for (int i = g.end - 1; i >= g.at; i--) {
            r.dims[i] = dims[i];
            r.strides[i] = stride;
            stride *= dims[i];
        }
    }
    *out = r;
    return true;
}

void an_place_transpose(const an_place *x, const int *perm, an_place *out)
{
    an_place r = *x;
    for (int i = 0; i < x->rank; i++) {
        r.dims[i] = x->dims[perm[i]];
        r.strides[i] = x->strides[perm[i]];
    }
    *out = r;
}

void an_place_untranspose(const an_place *x, const int *perm, an_place *out)
{
    an_place r = *x;
    for (int i = 0; i < x->rank; i++) {
        r.dims[perm[i]] = x->dims[i];
        r.strides[perm[i]] = x->strides[i];
    }
    *out = r;
}

void an_place_slice(const an_place *x, const int64_t *begin,
                    const int64_t *stride, const int64_t *length, an_place *out)
{
    an_place r = *x;
    for (int i = 0; i < x->rank; i++) {
        r.offset += begin[i] * x->strides[i];
        r.strides[i] = stride[i] * x->strides[i];
        r.dims[i] = length[i];
    }
    *out = r;
}

void an_place_part(const an_place *x, int axis, int64_t begin, int64_t length,
                   an_place *out)
{
    an_place r = *x;
    r.offset += begin * x->strides[axis];
    r.dims[axis] = length;
    *out = r;
}

void an_place_broadcast(const an_place *x, int rank, const int64_t *dims,
                        an_place *out)
{
    an_place r = {.buffer = x->buffer,
                  .dtype = x->dtype,
                  .rank = rank,
                  .offset = x->offset};
    int lead = rank - x->rank;
    for (int i = 0; i < rank; i++) {
        r.dims[i] = dims[i];
        bool own = i >= lead && x->dims[i - lead] == dims[i];
        r.strides[i] = own && dims[i] > 1 ? x->strides[i - lead] : 0;
    }
    *out = r;
}

static void drop_axis(an_place *p, int axis)
{
    p->rank--;
    for (int i = axis; i < p->rank; i++) {
        p->dims[i] = p->dims[i + 1];
        p->strides[i] = p->strides[i + 1];
    }
}

static int64_t magnitude(int64_t x)
{
    return x < 0 ? -x : x;
}

static void swap_axes(an_place *p, int i, int j)
{
    int64_t dim = p->dims[i], stride = p->strides[i];
    p->dims[i] = p->dims[j], p->strides[i] = p->strides[j];
    p->dims[j] = dim, p->strides[j] = stride;
}

/* Largest stride of the first place first; equal ones stay in order. */
static void sort_axes(int n, an_place *const *places)
{
    const an_place *lead = places[0];
    for (int i = 1; i < lead->rank; i++)
        for (int j = i; j > 0 && magnitude(lead->strides[j - 1]) <
                                     magnitude(lead->strides[j]);
             j--)
            for (int k = 0; k < n; k++)
                swap_axes(places[k], j - 1, j);
}

static bool can_merge(int n, an_place *const *places, int axis)
{
    for (int k = 0; k < n; k++) {
        const an_place *p = places[k];
        if (p->strides[axis] != p->strides[axis + 1] * p->dims[axis + 1])
            return false;
    }
    return true;
}

static void drop_ones(int n, an_place *const *places)
{
    for (int i = places[0]->rank - 1; i >= 0; i--) {
        if (places[0]->dims[i] != 1) continue;
        for (int k = n - 1; k >= 0; k--)
            drop_axis(places[k], i);
    }
}

void an_places_merge(int n, an_place *const *places)
{
    drop_ones(n, places);
    for (int i = places[0]->rank - 2; i >= 0; i--) {
        if (!can_merge(n, places, i)) continue;
        for (int k = 0; k < n; k++) {
            places[k]->strides[i] = places[k]->strides[i + 1];
            places[k]->dims[i] *= places[k]->dims[i + 1];
            drop_axis(places[k], i + 1);
        }
    }
    for (int k = n - 1; k >= 0 && places[0]->rank == 0; k--)
        places[k]->rank = 1, places[k]->dims[0] = 1, places[k]->strides[0] = 0;
}

void an_places_simplify(int n, an_place *const *places)
{
    drop_ones(n, places);
    sort_axes(n, places);
    an_places_merge(n, places);
}

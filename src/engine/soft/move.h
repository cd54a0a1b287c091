/*
 * Runs of elements between memory and registers: any stored type at any stride
 * from and to fp32 or fp64. A float that is stored in a narrower type is
 * rounded to the nearest even; fp64 carries the patterns of fp16's NaNs as
 * mil/numerics.h says (in fp32 they are quiet NaNs); a bool is 0 or 1; integers
 * are exact in fp64 up to 2^53.
 */
#ifndef AN_ENGINE_SOFT_MOVE_H
#define AN_ENGINE_SOFT_MOVE_H

#include "engine/soft/plan.h"

/* Where element `offset` of a place's buffer is. */
const void *an_exec_read(const an_exec *e, const an_place *p, int64_t offset);
void *an_exec_write(const an_exec *e, const an_place *p, int64_t offset);
void *an_exec_scratch(const an_exec *e, int worker);

/* Offset of element `index`, row-major. */
int64_t an_place_at(const an_place *p, int64_t index);
/* Offset of the row with index `row` among all axes but the last. */
int64_t an_place_row(const an_place *p, int64_t row);

void an_load_f32(an_dtype dtype, const void *x, int64_t stride, int64_t n,
                 float *out);
void an_load_f64(an_dtype dtype, const void *x, int64_t stride, int64_t n,
                 double *out);
void an_store_f32(an_dtype dtype, const float *x, int64_t n, void *out,
                  int64_t stride);
void an_store_f64(an_dtype dtype, const double *x, int64_t n, void *out,
                  int64_t stride);

/*
 * Elements of a place cut into units: at most `chunk` elements of one row.
 * Tiles are some thousand elements, whatever the number of threads.
 */
typedef struct an_walk {
    int64_t length, chunk, chunks; /* a row: elements, per unit, units */
    int64_t units, per_tile;
} an_walk;
an_walk an_walk_of(const an_place *p, int64_t chunk);
int an_walk_tiles(const an_walk *w);
/* Unit u: its row, first element in the row and number of elements. */
void an_walk_unit(const an_walk *w, int64_t u, int64_t *row, int64_t *begin,
                  int64_t *n);

/* Is every value of the type exact in fp32? */
bool an_fits_f32(an_dtype dtype);

#endif

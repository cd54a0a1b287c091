/* Steps that copy elements from one place to another, converting types. */
#include "engine/soft/move.h"

#include <string.h>

typedef struct copy_step {
    an_step step;
    an_place from, to;
    const an_chip_numerics *slice; /* not NULL: by an_hw_slice */
    an_walk walk;
} copy_step;

enum { CHUNK = 256 };

/* n elements of `size` bytes, each at its stride. */
static void copy_elements(size_t size, const unsigned char *x, int64_t x_stride,
                          unsigned char *y, int64_t y_stride, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        memcpy(y + i * y_stride * (int64_t)size,
               x + i * x_stride * (int64_t)size, size);
}

/* What a chip's slices do to elements that leave their range. */
static void copy_sliced(const copy_step *s, const void *x, void *y, int64_t n)
{
    double part[CHUNK];
    an_load_f64(s->from.dtype, x, s->from.strides[s->from.rank - 1], n, part);
    for (int64_t i = 0; i < n; i++) {
        uint16_t bits = an_hw_slice(s->slice, an_hw_store(part[i]));
        if ((bits & 0x7fff) == 0x7c00) part[i] = an_hw_load(bits);
    }
    an_store_f64(s->to.dtype, part, n, y, s->to.strides[s->to.rank - 1]);
}

static void copy_run(const copy_step *s, const void *x, void *y, int64_t n)
{
    int64_t x_stride = s->from.strides[s->from.rank - 1];
    int64_t y_stride = s->to.strides[s->to.rank - 1];
    an_dtype from = s->from.dtype, to = s->to.dtype;
    size_t size = an_dtype_size(from);
    if (s->slice) {
        copy_sliced(s, x, y, n);
    } else if (from == to && x_stride == 1 && y_stride == 1) {
        memcpy(y, x, (size_t)n * size);
    } else if (from == to && size == 2) {
        copy_elements(2, x, x_stride, y, y_stride, n);
    } else if (from == to && size == 4) {
        copy_elements(4, x, x_stride, y, y_stride, n);
    } else if (from == to) {
        copy_elements(size, x, x_stride, y, y_stride, n);
    } else if (an_fits_f32(from)) {
        float part[CHUNK];
        an_load_f32(from, x, x_stride, n, part);
        an_store_f32(to, part, n, y, y_stride);
    } else {
        double part[CHUNK];
        an_load_f64(from, x, x_stride, n, part);
        an_store_f64(to, part, n, y, y_stride);
    }
}

static an_status run(const an_step *step, const an_exec *exec, int phase,
                     int tile, int worker, an_error *err)
{
    (void)phase;
    (void)worker;
    (void)err;
    const copy_step *s = (const copy_step *)step;
    int64_t first = tile * s->walk.per_tile, last = first + s->walk.per_tile;
    if (last > s->walk.units) last = s->walk.units;
    for (int64_t u = first; u < last; u++) {
        int64_t row, begin, n;
        an_walk_unit(&s->walk, u, &row, &begin, &n);
        int64_t x = an_place_row(&s->from, row) +
                    begin * s->from.strides[s->from.rank - 1];
        int64_t y =
            an_place_row(&s->to, row) + begin * s->to.strides[s->to.rank - 1];
        copy_run(s, an_exec_read(exec, &s->from, x),
                 an_exec_write(exec, &s->to, y), n);
    }
    return AN_OK;
}

static an_status add(an_plan *plan, const an_place *from, const an_place *to,
                     const an_chip_numerics *slice, an_error *err)
{
    copy_step *s = an_plan_alloc(plan, sizeof *s);
    if (!s) return an_plan_no_memory(err);
    s->from = *from;
    s->to = *to;
    s->slice = slice;
    an_places_simplify(2, (an_place *[]){&s->to, &s->from});
    s->walk = an_walk_of(&s->to, CHUNK);
    s->step = (an_step){.run = run,
                        .kind = "copy",
                        .moves = true,
                        .n_phases = 1,
                        .tiles = {an_walk_tiles(&s->walk)}};
    an_plan_touch(plan, from->buffer);
    an_plan_touch(plan, to->buffer);
    return an_plan_append(plan, &s->step) ? AN_OK : an_plan_no_memory(err);
}

an_status an_plan_add_copy(an_plan *plan, const an_place *from,
                           const an_place *to, an_error *err)
{
    return add(plan, from, to, NULL, err);
}

an_status an_plan_add_slice(an_plan *plan, const an_place *from,
                            const an_place *to, an_error *err)
{
    return add(plan, from, to, plan->numerics->chip, err);
}

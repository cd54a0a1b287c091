/* No bytes may make a reader of weight files crash; what it accepts lies in the
 * input, and every tensor that a model takes can be read. */
#include "base/alloc.h"
#include "model/weight_file.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static double sum_of(const an_stored_tensor *t)
{
    if (t->rank < 1 || t->rank > 2 || t->stored == AN_STORED_OTHER) return 0;
    int64_t rows = t->rank == 2 ? t->shape[0] : 1;
    int64_t columns = t->shape[t->rank - 1];
    int64_t n = rows > columns ? rows : columns;
    double *row = an_alloc_array((size_t)n + 1, sizeof *row), sum = 0;
    for (int64_t r = 0; row && r < rows; r++) {
        an_stored_read(t, AN_STORED_ROWS, r, AN_FP64, row);
        sum += row[0];
    }
    for (int64_t c = 0; row && t->rope == 0 && c < columns && rows > 1; c++) {
        an_stored_read(t, AN_STORED_COLUMNS, c, AN_FP64, row);
        sum += row[0];
    }
    an_free(row);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    an_weight_file *f = NULL;
    an_model *m = NULL;
    an_error err = {0};
    an_status s = an_weight_file_open_bytes(data, size, "input", &f, &err);
    assert((s == AN_OK) == (f != NULL) && s == err.code);
    volatile double sum = 0;
    if (f && an_weight_file_model(f, &m, NULL) == AN_OK)
        an_weight_file_check(f, m, NULL);
    for (int i = 0; f && i < an_weight_file_count(f); i++)
        sum += sum_of(an_weight_file_at(f, i));
    (void)sum;
    an_model_free(m);
    an_weight_file_close(f);
    return 0;
}

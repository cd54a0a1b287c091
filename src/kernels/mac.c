/* Which way a product in the engine's arithmetic takes; the fast one is
 * mac.inc. */
#include "kernels/mac.h"

#include "kernels/set.h"

static bool is_plain(const an_mac *mac)
{
    return mac->lanes <= 1 && mac->result_ties == AN_TIES_AWAY &&
           !mac->flushes_denormals;
}

static void gemm_by_dots(const an_mac *mac, const an_mac_product_args *p)
{
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++)
            p->c[i * p->ldc + j] = an_mac_dot(
                mac, p->k, p->a + i * p->a_row, p->a_col, p->b + j * p->b_col,
                p->b_row, p->bias ? p->bias[i] : 0);
}

void an_gemm_mac(const an_mac *mac, int64_t m, int64_t n, int64_t k,
                 const uint16_t *a, int64_t a_row, int64_t a_col,
                 const uint16_t *b, int64_t b_row, int64_t b_col,
                 const uint16_t *bias, uint16_t *c, int64_t ldc, void *work)
{
    an_mac_product_args p = {m,     n,     k,    a, a_row, a_col, b,
                             b_row, b_col, bias, c, ldc,   mac};
    if (is_plain(mac))
        an_kernels()->gemm_mac(&p, work);
    else
        gemm_by_dots(mac, &p);
}

/* Panels of one block of A (values and thresholds) and one of B, and two
 * bounds per panel and step of k. */
size_t an_gemm_mac_work_bytes(int64_t m, int64_t n, int64_t k)
{
    int64_t rows = m < AN_MAC_BLOCK_M ? m : AN_MAC_BLOCK_M;
    int64_t cols = n < AN_MAC_BLOCK_N ? n : AN_MAC_BLOCK_N;
    int64_t steps = (k + AN_MAC_STEP - 1) / AN_MAC_STEP;
    size_t floats =
        (size_t)((2 * (rows + AN_MAC_PAD) + cols + AN_MAC_PAD) * (k + steps));
    return floats * sizeof(float);
}

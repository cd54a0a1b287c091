/*
 * Matrix products in the Neural Engine's arithmetic (base/mac.h), the same
 * bits as one an_mac_dot per element.
 */
#ifndef AN_KERNELS_MAC_H
#define AN_KERNELS_MAC_H

#include "base/mac.h"

#include <stddef.h>

/*
 * C[m, n] = bias + A B on fp16 bit patterns; element (i, p) of A at
 * a[i * a_row + p * a_col], likewise B [k, n] and C with columns side by side.
 * bias is [m] or NULL. Chips with a first stage, with ties to even or with
 * flushed denormals take the slow way of an_mac_dot.
 * work: an_gemm_mac_work_bytes, aligned to 8 bytes.
 */
void an_gemm_mac(const an_mac *mac, int64_t m, int64_t n, int64_t k,
                 const uint16_t *a, int64_t a_row, int64_t a_col,
                 const uint16_t *b, int64_t b_row, int64_t b_col,
                 const uint16_t *bias, uint16_t *c, int64_t ldc, void *work);
size_t an_gemm_mac_work_bytes(int64_t m, int64_t n, int64_t k);

#endif

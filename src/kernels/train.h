/*
 * The trainer's own loops: loss, optimizer, norms, embedding. Pure; each takes
 * a range of its work so that a pool can run it in tiles, and each tile's
 * result depends on its range only. Master type is float, or double in exact
 * runs: the two forms come from one template.
 */
#ifndef AN_KERNELS_TRAIN_H
#define AN_KERNELS_TRAIN_H

#include <stddef.h>
#include <stdint.h>

/*
 * Cross-entropy over columns [0, n) of logits [V, stride]: returns the sum of
 * -log softmax(logits)[target] in nats, and writes in place
 *     dlogits = scale (softmax(logits) - onehot(target)).
 * Targets are below vocab; one below 0 counts nothing and its column becomes
 * 0. Any other column whose logits are not finite gives a loss of NaN and
 * dlogits of NaN. exp and the factor are in the logits' type, sums in fp64.
 * Ranges of 64 columns or more make best use of memory.
 */
double an_loss_f32(int64_t vocab, int64_t stride, int64_t n, float *logits,
                   const int32_t *targets, float scale);
double an_loss_f64(int64_t vocab, int64_t stride, int64_t n, double *logits,
                   const int32_t *targets, double scale);
/* The loss alone, logits unchanged. */
double an_loss_only_f32(int64_t vocab, int64_t stride, int64_t n,
                        const float *logits, const int32_t *targets);
double an_loss_only_f64(int64_t vocab, int64_t stride, int64_t n,
                        const double *logits, const int32_t *targets);

/*
 * AdamW with decoupled decay (Loshchilov and Hutter 2019, arXiv:1711.05101):
 *     g' = g x grad_factor
 *     m = b1 m + (1-b1) g';  v = b2 v + (1-b2) g'^2
 *     w = w - lr (m/correction1 / (sqrt(v/correction2) + epsilon) + decay w)
 * correction_i = 1 - b_i^t. `half`, when not NULL, receives w in fp16. The
 * order of operations is torch.optim.AdamW's: w (1 - lr decay) first.
 */
typedef struct an_adamw {
    double lr, beta1, beta2, epsilon, decay;
    double correction1, correction2, grad_factor;
} an_adamw;
void an_adamw_f32(const an_adamw *o, size_t n, float *w, float *m, float *v,
                  const float *g, uint16_t *half);
void an_adamw_f64(const an_adamw *o, size_t n, double *w, double *m, double *v,
                  const double *g, uint16_t *half);

/* Sum of squares in fp64, in an order fixed by n. */
double an_sum_square_f32(size_t n, const float *x);
double an_sum_square_f64(size_t n, const double *x);

#endif

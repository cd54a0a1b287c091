/*
 * Recurrent layers: x [S, B, I], weights [G H, I] and [G H, H] for G gates,
 * initial state [B, D H], D = 2 for a bidirectional lstm. Results: the
 * sequence [S or 1, B, D H] and the last states [B, D H]. No engine takes
 * them, so they are known, not core.
 */
#include "ops/ops.h"

#include <string.h>

static const char *const activations =
    "tanh scaled_tanh sigmoid sigmoid_hard hard_sigmoid relu linear";

/* weight_ih and weight_hh (or those of the way back) for `gates`. */
static an_status check_weights(const an_node *node, const char *ih,
                               const char *hh, int gates, int64_t hidden,
                               an_error *err)
{
    const an_shape *x = an_node_shape(node, "x");
    an_shape want =
        AN_TENSOR(an_node_shape(node, ih)->dtype, gates * hidden, x->dims[2]);
    an_status s = an_rule_shape(node, ih, &want, err);
    want.dims[1] = hidden;
    return s == AN_OK ? an_rule_shape(node, hh, &want, err) : s;
}

static an_status check_biases(const an_node *node, const char *const *params,
                              int64_t size, an_error *err)
{
    an_status s = AN_OK;
    for (; *params && s == AN_OK; params++) {
        if (an_op_param_index(node->op, *params, strlen(*params)) < 0 ||
            !an_node_given(node, *params))
            continue;
        an_shape want = AN_TENSOR(an_node_shape(node, *params)->dtype, size);
        s = an_rule_shape(node, *params, &want, err);
    }
    return s;
}

/* Sequence and states of `width` = D H. */
static an_status give_results(const an_node *node, an_shape *out, int n,
                              int64_t width, an_error *err)
{
    static const char *const initial[] = {"initial_h", "initial_c"};
    const an_shape *x = an_node_shape(node, "x");
    an_shape state = AN_TENSOR(x->dtype, x->dims[1], width);
    for (int i = 0; i + 1 < n && i < 2; i++) {
        an_status s = an_rule_shape(node, initial[i], &state, err);
        if (s != AN_OK) return s;
        out[i + 1] = state;
    }
    int64_t length = an_node_bool(node, "output_sequence") ? x->dims[0] : 1;
    out[0] = AN_TENSOR(x->dtype, length, x->dims[1], width);
    return an_rule_size(node, &out[0], err);
}

static an_status check_layer(const an_node *node, int n, int results,
                             const char *directions, an_error *err)
{
    an_status s = an_rule_results(node, n, results, err);
    if (s == AN_OK) s = an_rule_domain(node, "x", AN_DOMAIN_FLOAT, err);
    if (s == AN_OK) s = an_rule_rank(node, "x", 3, 3, err);
    if (s == AN_OK) s = an_rule_rank(node, "weight_hh", 2, 2, err);
    if (s == AN_OK) s = an_rule_choice(node, "direction", directions, err);
    if (s == AN_OK) s = an_rule_choice(node, "activation", activations, err);
    return s;
}

static an_status shape_layer(const an_node *node, an_shape *out, int n,
                             int gates, an_error *err)
{
    static const char *const biases[] = {"bias", "input_bias", NULL};
    an_status s = check_layer(node, n, 2, "forward reverse", err);
    if (s != AN_OK) return s;
    int64_t hidden = an_node_shape(node, "weight_hh")->dims[1];
    s = check_weights(node, "weight_ih", "weight_hh", gates, hidden, err);
    if (s == AN_OK) s = check_biases(node, biases, gates * hidden, err);
    return s == AN_OK ? give_results(node, out, n, hidden, err) : s;
}

static an_status shape_rnn(const an_node *node, an_shape *out, int n,
                           an_error *err)
{
    return shape_layer(node, out, n, 1, err);
}

static an_status shape_gru(const an_node *node, an_shape *out, int n,
                           an_error *err)
{
    an_status s =
        an_rule_choice(node, "recurrent_activation", activations, err);
    return s == AN_OK ? shape_layer(node, out, n, 3, err) : s;
}

static an_status check_back(const an_node *node, int64_t hidden, an_error *err)
{
    if (!an_str_is(an_node_string(node, "direction"), "bidirectional"))
        return AN_OK;
    if (!an_node_given(node, "weight_ih_back") ||
        !an_node_given(node, "weight_hh_back"))
        return an_node_fail(node, err, AN_ETYPE,
                            "direction is bidirectional, expected "
                            "weight_ih_back and weight_hh_back");
    return check_weights(node, "weight_ih_back", "weight_hh_back", 4, hidden,
                         err);
}

static an_status shape_lstm(const an_node *node, an_shape *out, int n,
                            an_error *err)
{
    static const char *const biases[] = {"bias", "bias_back", NULL};
    static const char *const peepholes[] = {"peephole", "peephole_back", NULL};
    an_status s = check_layer(node, n, 3, "forward reverse bidirectional", err);
    if (s == AN_OK)
        s = an_rule_choice(node, "recurrent_activation", activations, err);
    if (s == AN_OK)
        s = an_rule_choice(node, "cell_activation", activations, err);
    if (s != AN_OK) return s;
    int64_t hidden = an_node_shape(node, "weight_hh")->dims[1];
    s = check_weights(node, "weight_ih", "weight_hh", 4, hidden, err);
    if (s == AN_OK) s = check_back(node, hidden, err);
    if (s == AN_OK) s = check_biases(node, biases, 4 * hidden, err);
    if (s == AN_OK) s = check_biases(node, peepholes, 3 * hidden, err);
    if (s != AN_OK) return s;
    bool both = an_str_is(an_node_string(node, "direction"), "bidirectional");
    return give_results(node, out, n, both ? 2 * hidden : hidden, err);
}

// clang-format off
const an_op an_op_rnn = {
    .name = "rnn", .since = 15,
    .params = "x:t initial_h:t weight_ih:c weight_hh:c bias:c? "
              "direction:s=forward output_sequence:b=false activation:s=tanh",
    .cls = AN_CLASS_OTHER, .shape = shape_rnn};

const an_op an_op_gru = {
    .name = "gru", .since = 15,
    .params = "x:t initial_h:t weight_ih:c weight_hh:c bias:c? "
              "direction:s=forward output_sequence:b=false "
              "recurrent_activation:s=sigmoid activation:s=tanh",
    .cls = AN_CLASS_OTHER, .shape = shape_gru};

const an_op an_op_gru_ios18 = {
    .name = "gru", .since = 18,
    .params = "x:t initial_h:t weight_ih:c weight_hh:c bias:c? "
              "direction:s=forward output_sequence:b=false "
              "recurrent_activation:s=sigmoid activation:s=tanh "
              "reset_after:b=false input_bias:c?",
    .cls = AN_CLASS_OTHER, .shape = shape_gru};

const an_op an_op_lstm = {
    .name = "lstm", .since = 15,
    .params = "x:t initial_h:t initial_c:t weight_ih:c weight_hh:c bias:c? "
              "peephole:c? weight_ih_back:c? weight_hh_back:c? bias_back:c? "
              "peephole_back:c? direction:s=forward output_sequence:b=false "
              "recurrent_activation:s=sigmoid cell_activation:s=tanh "
              "activation:s=tanh clip:f?",
    .cls = AN_CLASS_OTHER, .shape = shape_lstm};
// clang-format on

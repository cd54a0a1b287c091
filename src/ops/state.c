/*
 * What is more than tensors: states, tensor buffers, lists, classifiers. The
 * types of lists, dicts and buffers are those that the text declares.
 */
#include "ops/ops.h"

static const an_shape declared = {.rank = AN_RANK_DECLARED};

static an_status shape_read_state(const an_node *node, an_shape *out, int n,
                                  an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) out[0] = *an_node_shape(node, "input");
    return s;
}

/* The tensor has the state's type. */
static an_status check_update(const an_node *node, const char *state,
                              const char *value, an_error *err)
{
    return an_rule_shape(node, value, an_node_shape(node, state), err);
}

static an_status shape_write_state(const an_node *node, an_shape *out, int n,
                                   an_error *err)
{
    (void)out;
    an_status s = an_rule_results(node, n, 0, err);
    return s == AN_OK ? check_update(node, "input", "data", err) : s;
}

static an_status shape_update_state(const an_node *node, an_shape *out, int n,
                                    an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) s = check_update(node, "state", "value", err);
    if (s == AN_OK) out[0] = *an_node_shape(node, "state");
    return s;
}

static an_status shape_from_buffer(const an_node *node, an_shape *out, int n,
                                   an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) out[0] = *an_node_shape(node, "input");
    return s;
}

static an_status shape_to_buffer(const an_node *node, an_shape *out, int n,
                                 an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    int rank = an_node_shape(node, "input")->rank;
    if (s == AN_OK) s = an_rule_count(node, "strides", rank, err);
    if (s == AN_OK) s = an_rule_count(node, "interleave_factors", rank, err);
    if (s == AN_OK) out[0] = declared;
    return s;
}

/* ---- lists ---- */

/* One result of a type that the text declares. */
static an_status shape_declared(const an_node *node, an_shape *out, int n,
                                an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) out[0] = declared;
    return s;
}

/* An element of the list, which holds tensors. */
static const an_shape *element(const an_node *node)
{
    const an_type *list = an_node_arg(node, "ls")->value->type;
    return list->args[0]->kind == AN_TYPE_TENSOR ? &list->args[0]->shape
                                                 : &declared;
}

static an_status check_list(const an_node *node, int n, const char *index,
                            int rank, an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    return s == AN_OK ? an_rule_integers(node, index, rank, err) : s;
}

static an_status shape_list_length(const an_node *node, an_shape *out, int n,
                                   an_error *err)
{
    an_status s = an_rule_results(node, n, 1, err);
    if (s == AN_OK) out[0] = AN_SCALAR(AN_INT32);
    return s;
}

static an_status shape_list_read(const an_node *node, an_shape *out, int n,
                                 an_error *err)
{
    an_status s = check_list(node, n, "index", 0, err);
    if (s == AN_OK) out[0] = *element(node);
    return s;
}

static an_status shape_list_write(const an_node *node, an_shape *out, int n,
                                  an_error *err)
{
    an_status s = check_list(node, n, "index", 0, err);
    if (s == AN_OK) out[0] = declared;
    return s;
}

/* indices [k]: [k] + element */
static an_status shape_list_gather(const an_node *node, an_shape *out, int n,
                                   an_error *err)
{
    an_status s = check_list(node, n, "indices", 1, err);
    if (s != AN_OK) return s;
    const an_shape *e = element(node);
    an_shape r = {.dtype = e->dtype, .rank = e->rank + 1};
    if (e->rank < 0 || r.rank > AN_MAX_RANK) {
        out[0] = declared;
        return AN_OK;
    }
    r.dims[0] = an_node_shape(node, "indices")->dims[0];
    for (int i = 0; i < e->rank; i++)
        r.dims[i + 1] = e->dims[i];
    out[0] = r;
    return AN_OK;
}

/* value [k, ..] for indices [k] */
static an_status shape_list_scatter(const an_node *node, an_shape *out, int n,
                                    an_error *err)
{
    an_status s = check_list(node, n, "indices", 1, err);
    if (s == AN_OK) s = an_rule_rank(node, "value", 1, AN_MAX_RANK, err);
    if (s != AN_OK) return s;
    an_shape want = *an_node_shape(node, "value");
    want.dims[0] = an_node_shape(node, "indices")->dims[0];
    s = an_rule_shape(node, "value", &want, err);
    if (s == AN_OK) out[0] = declared;
    return s;
}

/* ---- what an app reads ---- */

/* The label and the probabilities by label. */
static an_status shape_classify(const an_node *node, an_shape *out, int n,
                                an_error *err)
{
    an_status s = an_rule_results(node, n, 2, err);
    if (s == AN_OK)
        s = an_rule_domain(node, "probabilities", AN_DOMAIN_FLOAT, err);
    if (s != AN_OK) return s;
    out[0] = out[1] = declared;
    return AN_OK;
}

/* boxes [B, N, 4], scores [B, N, K]: [B, max, 4], [B, max, K], [B, max], [B] */
static an_status shape_nms(const an_node *node, an_shape *out, int n,
                           an_error *err)
{
    an_status s = an_rule_results(node, n, 4, err);
    if (s == AN_OK) s = an_rule_domain(node, "boxes", AN_DOMAIN_FLOAT, err);
    if (s == AN_OK) s = an_rule_same_type(node, "boxes", "scores", err);
    if (s == AN_OK) s = an_rule_rank(node, "scores", 3, 3, err);
    if (s == AN_OK) s = an_rule_int(node, "max_boxes", 1, INT32_MAX, err);
    if (s != AN_OK) return s;
    const an_shape *scores = an_node_shape(node, "scores");
    an_shape boxes = *scores;
    boxes.dims[2] = 4;
    if ((s = an_rule_shape(node, "boxes", &boxes, err)) != AN_OK) return s;
    int64_t most = an_node_int(node, "max_boxes"), batch = scores->dims[0];
    out[0] = AN_TENSOR(scores->dtype, batch, most, 4);
    out[1] = AN_TENSOR(scores->dtype, batch, most, scores->dims[2]);
    out[2] = AN_TENSOR(AN_INT32, batch, most);
    out[3] = AN_TENSOR(AN_INT32, batch);
    s = an_rule_size(node, &out[0], err);
    return s == AN_OK ? an_rule_size(node, &out[1], err) : s;
}

// clang-format off
const an_op an_op_read_state = {
    .name = "read_state", .since = 18, .params = "input:d",
    .cls = AN_CLASS_OTHER, .shape = shape_read_state};

const an_op an_op_write_state = {
    .name = "write_state", .since = 18, .params = "input:d data:t",
    .cls = AN_CLASS_OTHER, .shape = shape_write_state};

const an_op an_op_coreml_update_state = {
    .name = "coreml_update_state", .since = 18, .params = "state:d value:t",
    .cls = AN_CLASS_OTHER, .shape = shape_update_state};

const an_op an_op_tensor_buffer_to_tensor = {
    .name = "tensor_buffer_to_tensor", .since = 15, .params = "input:u",
    .cls = AN_CLASS_OTHER, .shape = shape_from_buffer};

const an_op an_op_tensor_to_tensor_buffer = {
    .name = "tensor_to_tensor_buffer", .since = 15,
    .params = "input:t interleave_factors:I strides:I", .cls = AN_CLASS_OTHER,
    .shape = shape_to_buffer};

const an_op an_op_make_list = {
    .name = "make_list", .since = 15,
    .params = "init_length:t? dynamic_length:b=true elem_shape:v? "
              "dtype:s=fp32",
    .cls = AN_CLASS_OTHER, .shape = shape_declared};

const an_op an_op_list_length = {
    .name = "list_length", .since = 15, .params = "ls:l",
    .cls = AN_CLASS_OTHER, .shape = shape_list_length};

const an_op an_op_list_read = {
    .name = "list_read", .since = 15, .params = "ls:l index:t",
    .cls = AN_CLASS_OTHER, .shape = shape_list_read};

const an_op an_op_list_write = {
    .name = "list_write", .since = 15, .params = "ls:l index:t value:t",
    .cls = AN_CLASS_OTHER, .shape = shape_list_write};

const an_op an_op_list_gather = {
    .name = "list_gather", .since = 15, .params = "ls:l indices:t",
    .cls = AN_CLASS_OTHER, .shape = shape_list_gather};

const an_op an_op_list_scatter = {
    .name = "list_scatter", .since = 15, .params = "ls:l indices:t value:t",
    .cls = AN_CLASS_OTHER, .shape = shape_list_scatter};

const an_op an_op_classify = {
    .name = "classify", .since = 15, .params = "probabilities:t classes:x",
    .cls = AN_CLASS_OTHER, .shape = shape_classify};

const an_op an_op_non_maximum_suppression = {
    .name = "non_maximum_suppression", .since = 15,
    .params = "boxes:t scores:t iou_threshold:f score_threshold:f max_boxes:i "
              "per_class_suppression:b=false",
    .cls = AN_CLASS_OTHER, .shape = shape_nms};

const an_op an_op_non_maximum_suppression_ios17 = {
    .name = "non_maximum_suppression", .since = 17,
    .params = "boxes:t scores:t iou_threshold:f score_threshold:f? max_boxes:i "
              "per_class_suppression:b=false",
    .cls = AN_CLASS_OTHER, .shape = shape_nms};
// clang-format on

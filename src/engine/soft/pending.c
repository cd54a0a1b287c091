/* Fast steps that are not there yet: every node runs by its reference kernel.
 */
#include "engine/soft/plan.h"
an_status an_plan_add_product(an_plan *plan, const an_node *node, bool *done,
                              an_error *err)
{
    (void)plan;
    (void)node;
    (void)done;
    (void)err;
    return AN_OK;
}
an_status an_plan_add_rows(an_plan *plan, const an_node *node, bool *done,
                           an_error *err)
{
    (void)plan;
    (void)node;
    (void)done;
    (void)err;
    return AN_OK;
}
bool an_plan_chains(const an_plan *plan, const an_node *node)
{
    (void)plan;
    (void)node;
    return false;
}
an_status an_plan_add_chain(an_plan *plan, const an_node *const *nodes, int n,
                            an_error *err)
{
    (void)plan;
    (void)nodes;
    (void)n;
    (void)err;
    return AN_OK;
}
void an_tables_free(an_engine *engine)
{
    (void)engine;
}

/* Fast steps that are not there yet: every node runs by its reference kernel.
 */
#include "engine/soft/plan.h"

an_status an_plan_add_rows(an_plan *plan, const an_node *node, bool *done,
                           an_error *err)
{
    (void)plan;
    (void)node;
    (void)done;
    (void)err;
    return AN_OK;
}

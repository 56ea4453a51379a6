/* SPDX-License-Identifier: Apache-2.0 */
#include "model/assignment.h"

#include <string.h>

#include "util/json_value.h"

static const lh_json_value *read_array(const lh_call *call, const char *column)
{
    const char *text = lh_cell(call, column);

    return lh_json_value_parse(call->r->pool, text, strlen(text)).root;
}

lh_assignment lh_assignment_read(const lh_call *call)
{
    lh_assignment assignment = {lh_cell(call, "_title"), lh_cell(call, "_description"),
                                read_array(call, "_requirements"), read_array(call, "_constraints")};

    return assignment;
}

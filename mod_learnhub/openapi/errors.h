/* SPDX-License-Identifier: Apache-2.0 */
/* The errors that a route can return, in the error format of its group. Depends on APR only. */
#ifndef LH_ERRORS_H
#define LH_ERRORS_H

#include "http/route.h"
#include "openapi/component.h"

/* The statuses from 400 on that the route can return, in ascending order; 0 ends them. `p` holds them. */
const int *lh_errors_statuses(apr_pool_t *p, const lh_compiled_route *route);

/* Writes the response for one of these statuses. */
void lh_errors_write(lh_json *json, lh_components *components, const lh_compiled_route *route, int status);

/* Writes the schema of the body of an error. */
void lh_errors_schema(lh_json *json, lh_components *components, lh_error_format format, int status);

/* Writes a reference to a header, and the header. */
void lh_errors_header(lh_json *json, lh_components *components, const char *name);

#endif

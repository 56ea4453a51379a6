/* SPDX-License-Identifier: Apache-2.0 */
/* One operation of the document: parameters, body, security, responses. Depends on APR only. */
#ifndef LH_OPERATION_H
#define LH_OPERATION_H

#include "http/route.h"
#include "openapi/component.h"
#include "openapi/options.h"

typedef struct lh_json lh_json;

/* Writes an Operation Object, and what it refers to into `components`. */
void lh_operation_write(lh_json *json, lh_components *components, const lh_compiled_route *route,
                        const lh_openapi_options *options);

/* The path without the types of its parameters: "/api/sessions/{id}/join/". */
const char *lh_operation_path(apr_pool_t *p, const lh_route *route);

#endif

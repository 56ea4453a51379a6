/* SPDX-License-Identifier: Apache-2.0 */
/* One route as an HTML article. Depends on APR only. */
#ifndef LH_OPERATION_TEXT_H
#define LH_OPERATION_TEXT_H

#include "http/route.h"
#include "util/html.h"

/* The path of a route without the types of its parameters: "/api/sessions/{id}/join/". */
const char *lh_operation_text_path(apr_pool_t *p, const char *path);

/* Writes the article. `scratch` holds texts that are not needed afterwards. */
void lh_operation_text_write(lh_buffer *out, apr_pool_t *scratch, const lh_compiled_route *route);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The plain description of the routes that a server serves: readable without scripts. */
#ifndef LH_REFERENCE_H
#define LH_REFERENCE_H

#include "core/config.h"
#include "http/route.h"
#include "util/html.h"

/* Writes the page. `scratch` holds texts that are not needed afterwards. */
void lh_reference_write(lh_buffer *out, apr_pool_t *scratch, const lh_config *config, const lh_routes *routes);

/* The id of the section of a group on the page, from its title. */
const char *lh_reference_anchor(apr_pool_t *p, const lh_route_group *group);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Which routes a server serves. */
#ifndef LH_SERVED_H
#define LH_SERVED_H

#include "core/config.h"
#include "learnhub.h"

/* 1 when the server serves `path`, which is in `group`: LearnHubPages lists service pages, LearnHubAPI groups. */
int lh_served(const lh_config *config, const lh_route_group *group, const char *path);

#endif

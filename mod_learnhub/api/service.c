/* SPDX-License-Identifier: Apache-2.0 */
/* The module's own pages. */
#include "learnhub.h"

static const lh_field index_keys[] = {
    {.name = "name", .type = LH_TEXT}, {.name = "version", .type = LH_TEXT}, {.name = "links", .type = LH_OBJECT}, {0}};

static const lh_field health_keys[] = {{.name = "status", .type = LH_TEXT, .one_of = "healthy unhealthy"},
                                       {.name = "database", .type = LH_TEXT, .one_of = "reachable unreachable"},
                                       {.name = "version", .type = LH_TEXT},
                                       {0}};

static lh_problem *show_index(lh_call *call)
{
    lh_answer_text(call, "name", "mod_learnhub");
    lh_answer_text(call, "version", LH_VERSION);
    lh_answer_json(call, "links", lh_links(call));
    return NULL;
}

/* Never a problem's shape: monitors read `status`. */
static lh_problem *show_health(lh_call *call)
{
    int down = lh_run(call) != NULL;

    lh_answer_text(call, "status", down ? "unhealthy" : "healthy");
    lh_answer_text(call, "database", down ? "unreachable" : "reachable");
    lh_answer_text(call, "version", LH_VERSION);
    if (down) {
        lh_answer_status(call, 503);
    }
    return NULL;
}

static const lh_route routes[] = {
    {.name = "service.index",
     .method = "GET",
     .path = "/",
     .summary = "Name, version and links.",
     .handler = show_index,
     .shape = LH_ONE,
     .returns = index_keys},
    {.name = "service.health",
     .method = "GET",
     .path = "/health",
     .summary = "Whether the database answers.",
     .sql = {"SELECT count(*) AS _events FROM (SELECT FROM learnhub.auth_events LIMIT 1) one"},
     .handler = show_health,
     .shape = LH_ONE,
     .returns = health_keys},
    {0}};

const lh_api lh_api_service = {.name = "service",
                               .title = "The service itself",
                               .prefixes = (const char *const[]){"/", "/health", NULL},
                               .problems = LH_PLAIN,
                               .times = LH_SECONDS_Z,
                               .routes = routes};

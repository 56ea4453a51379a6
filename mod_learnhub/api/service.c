/* SPDX-License-Identifier: Apache-2.0 */
/* The service pages: / and /health. */
#include "learnhub.h"

static lh_error *describe(lh_call *call)
{
    lh_reply_string(call, "name", "mod_learnhub");
    lh_reply_string(call, "version", LH_VERSION);
    lh_reply_json(call, "links", lh_links(call));
    return NULL;
}

static const lh_step describe_service = {.name = "describe", .run = describe};

/* If the database is down, the response is a 503 with the same keys, so that monitors can read `status`. */
static lh_error *probe(lh_call *call)
{
    int down = lh_query(call, 0) != NULL, mismatch = down ? lh_schema_mismatch(call) : 0;
    const char *unusable = mismatch < 0 ? "outdated" : mismatch > 0 ? "newer" : "unreachable";

    lh_reply_string(call, "status", down ? "unhealthy" : "healthy");
    lh_reply_string(call, "database", down ? unusable : "reachable");
    lh_reply_string(call, "version", LH_VERSION);
    if (down) {
        lh_reply_status(call, 503);
    }
    return NULL;
}

static const lh_step probe_database = {.name = "probe", .run = probe, .extra_sql = 1};

/* clang-format off */

static const lh_field index_keys[] = {
    {.name = "name",    .type = LH_STRING},
    {.name = "version", .type = LH_STRING},
    {.name = "links",   .type = LH_OBJECT},
    {0}};

static const lh_field health_keys[] = {
    {.name = "status",   .type = LH_STRING, .enum_values = "healthy unhealthy"},
    {.name = "database", .type = LH_STRING, .enum_values = "reachable unreachable outdated newer"},
    {.name = "version",  .type = LH_STRING},
    {0}};

static const lh_route routes[] = {
    {.name = "service.index", .method = "GET", .path = "/",
     .summary = "Get the name, the version and the links of the service.",
     .before = {&describe_service},
     .shape = LH_ONE,
     .returns = index_keys},

    {.name = "service.health", .method = "GET", .path = "/health",
     .summary = "Check whether the database is reachable.",
     .before = {&probe_database},
     .extra_sql = {
         "SELECT count(*) AS _events "
         "FROM (SELECT FROM learnhub.auth_events LIMIT 1) one"},
     .shape = LH_ONE,
     .returns = health_keys},

    {0}};

const lh_route_group lh_group_service = {
    .name = "service",
    .title = "Service pages",
    .prefixes = (const char *const[]){"/", "/health", NULL},
    .error_format = LH_ERRORS_DETAIL,
    .time_format = LH_SECONDS_Z,
    .routes = routes};

/* clang-format on */

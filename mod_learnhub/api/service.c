/* SPDX-License-Identifier: Apache-2.0 */
/* The service pages: /, /health, /openapi.json and /docs. */
#include "learnhub.h"
#include "learnhub_pages.h"

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

static lh_error *send_openapi(lh_call *call)
{
    lh_reply_document(call, lh_openapi(call));
    return NULL;
}

static const lh_step publish_openapi = {.name = "openapi", .run = send_openapi};

/* clang-format off */

#define HEALTH                                                                                                         \
    "SELECT count(*) AS _events "                                                                                      \
    "FROM (SELECT FROM learnhub.auth_events LIMIT 1) one"

static const lh_field index_keys[] = {
    {.name = "name",    .type = LH_STRING, .object = "ServiceIndex", .example = "mod_learnhub"},
    {.name = "version", .type = LH_STRING},
    {.name = "links",   .type = LH_OBJECT,
     .example = "{\"users\": \"/users\", \"problems\": \"/problems\", \"self\": \"/\", \"health\": \"/health\", "
                "\"openapi.json\": \"/openapi.json\", \"docs\": \"/docs\"}"},
    {0}};

static const lh_field health_keys[] = {
    {.name = "status",   .type = LH_STRING, .enum_values = "healthy unhealthy", .object = "Health"},
    {.name = "database", .type = LH_STRING, .enum_values = "reachable unreachable outdated newer"},
    {.name = "version",  .type = LH_STRING},
    {0}};

/* A page without its contents. */
#define PAGE(title) {                                                                                                  \
    "text/html",                                                                                                       \
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<title>" title "</title>\n</head>\n<body>...</body>\n</html>\n", 0}

static const lh_route routes[] = {
    {.name = "service.index", .method = "GET", .path = "/",
     .summary = "Get the name, the version and the links of the service.",
     .before = {&lh_step_start_page, &describe_service},
     .extra_sql = {HEALTH},
     .shape = LH_ONE,
     .media = "text/html",
     .returns = index_keys,
     .examples = (const lh_route_example[]){PAGE("mod_learnhub"), {0}}},

    {.name = "service.health", .method = "GET", .path = "/health",
     .summary = "Check whether the database is reachable.",
     .before = {&probe_database},
     .extra_sql = {HEALTH},
     .shape = LH_ONE,
     .other_status = 503,
     .returns = health_keys,
     .examples = (const lh_route_example[]){{"status", "unhealthy", 503}, {"database", "unreachable", 503}, {0}}},

    {.name = "service.openapi", .method = "GET", .path = "/openapi.json",
     .summary = "Get the OpenAPI 3.1 description of all enabled APIs: this document.",
     .before = {&publish_openapi},
     .shape = LH_DOCUMENT,
     .media = "application/json",
     .examples = (const lh_route_example[]){
         {"application/json",
          "{\"openapi\": \"3.1.0\", \"info\": {\"title\": \"mod_learnhub\", \"version\": \"" LH_VERSION "\"}, "
          "\"paths\": {}}", 0},
         {0}}},

    {.name = "service.docs", .method = "GET", .path = "/docs",
     .summary = "Read and try the APIs.",
     .before = {&lh_step_docs},
     .shape = LH_DOCUMENT,
     .media = "text/html",
     .examples = (const lh_route_example[]){PAGE("mod_learnhub API"), {0}}},

    {.name = "service.docs_plain", .method = "GET", .path = "/docs/plain",
     .summary = "Read about the APIs on a page without scripts.",
     .before = {&lh_step_docs_plain},
     .shape = LH_DOCUMENT,
     .media = "text/html",
     .examples = (const lh_route_example[]){PAGE("mod_learnhub API"), {0}}},

    {.name = "service.docs_file", .method = "GET", .path = "/docs/{file:text}",
     .summary = "Get a script or a stylesheet of the page.",
     .before = {&lh_step_docs_file},
     .shape = LH_DOCUMENT,
     .media = "text/javascript text/css",
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "Not found."}, {0}}},

    {0}};

const lh_route_group lh_group_service = {
    .name = "service",
    .title = "Service pages",
    .prefixes = (const char *const[]){"/", "/health", "/openapi.json", "/docs", NULL},
    .pages = "index health openapi docs",
    .error_format = LH_ERRORS_DETAIL,
    .time_format = LH_SECONDS_Z,
    .routes = routes};

/* clang-format on */

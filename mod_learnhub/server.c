/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <http_core.h>
#include <mpm_common.h>
#include <string.h>

#include "auth/token.h"
#include "core/learnhub_module.h"
#include "core/server_state.h"
#include "crypto/jwt_memory.h"
#include "db/batch.h"
#include "db/hosts.h"
#include "db/pool.h"
#include "http/call.h"
#include "http/claim.h"
#include "http/idempotency.h"
#include "http/rate.h"
#include "http/route.h"
#include "http/served.h"
#include "http/standby.h"
#include "http/topics.h"
#include "jobs/jobs.h"
#include "jobs/smtp.h"
#include "metrics/metrics.h"
#include "model/model.h"
#include "openapi/publish.h"
#include "pages/pages.h"
#include "util/gate.h"
#include "util/json.h"
#include "util/lru.h"
#include "util/memory.h"
#include "util/recent.h"
#include "util/spool.h"

/*
 * The number of threads of a process that may hash passwords at once, because bcrypt occupies a core. Sign-ups have
 * their own gate, so that they cannot delay logins. So have new passwords of existing accounts: whoever sets one has a
 * reset link or a token, and a flood of sign-ups or logins from anywhere must not reject them. At most a quarter of all
 * threads may wait at each gate, and half of them at all gates.
 */
#define LOGIN_GATE 4
#define SIGNUP_GATE 2
#define CHANGE_GATE 2

static const lh_routes *routes;
static apr_hash_t *servers; /* server_rec * -> lh_server, of this child process */

static lh_config *config_of(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &learnhub_module);
}

/* ---- before the start ---- */

/* Logs the reason why httpd cannot start. */
static int fail(server_rec *s, apr_status_t rv, const char *why)
{
    ap_log_error(APLOG_MARK, APLOG_EMERG, rv, s, LH_LOG(0040) "%s", why);
    return HTTP_INTERNAL_SERVER_ERROR;
}

static const char *missing_module(void)
{
    if (!ap_find_linked_module("mod_dbd.c")) {
        return "LearnHub is On, but mod_dbd is not loaded: it opens the database connections";
    }
    if (!ap_find_linked_module("mod_watchdog.c")) {
        return "LearnHub is On, but mod_watchdog is not loaded: it runs the jobs, such as sending mail";
    }
    return NULL;
}

static int compile(apr_pool_t *pconf, const char **why)
{
    lh_statements *statements = lh_statements_create(pconf);

    routes = lh_routes_compile(pconf, lh_route_groups, statements, why);
    return routes && lh_token_compile(statements, why) && lh_topics_compile(statements, why) &&
           lh_standby_compile(statements, why) && lh_idempotency_compile(statements, why) &&
           lh_claim_compile(statements, why) && lh_jobs_compile(statements, why);
}

/* Runs for `apachectl configtest` as well. */
static int check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *main_server)
{
    const char *why;
    server_rec *s;
    int any = 0;

    (void)plog, (void)ptemp;
    for (s = main_server; s; s = s->next) {
        lh_config config = *config_of(s);
        lh_config_complete(ptemp, &config);
        if (!config.enabled) {
            continue;
        }
        any = 1;
        why = lh_config_error(&config);
        if (why) {
            return fail(s, 0, why);
        }
    }
    why = any ? missing_module() : NULL;
    if (why || !compile(pconf, &why)) {
        return fail(main_server, 0, why);
    }
    return OK;
}

/* Returns the number of servers with LearnHub On; sets *without_smtp, *with_cache and *with_standby to how many of them
 * lack LearnHubSMTP, have a cache, and have LearnHubReadFrom. */
static int count_servers(apr_pool_t *p, server_rec *s, int *without_smtp, int *with_cache, int *with_standby)
{
    int on = 0;

    *without_smtp = *with_cache = *with_standby = 0;
    for (; s; s = s->next) {
        lh_config config = *config_of(s);
        lh_config_complete(p, &config);
        on += config.enabled != 0;
        *without_smtp += config.enabled && !config.smtp;
        *with_cache += config.enabled && config.cache;
        *with_standby += config.enabled && config.read_from;
    }
    return on;
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *main_server)
{
    apr_status_t rv;
    int without_smtp, with_cache, with_standby, on;

    (void)plog;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    ap_add_version_component(pconf, "mod_learnhub/" LH_VERSION);
    on = count_servers(ptemp, main_server, &without_smtp, &with_cache, &with_standby);
    if (!on) {
        return OK;
    }
    lh_standby_store_writers(with_standby);
    rv = lh_revocation_share(main_server->process->pool);
    if (rv == APR_SUCCESS) {
        rv = lh_recent_share(pconf);
    }
    if (rv == APR_SUCCESS) {
        rv = lh_rate_share(main_server->process->pool);
    }
    if (rv == APR_SUCCESS && with_cache) {
        rv = lh_topics_share(main_server->process->pool);
    }
    if (rv == APR_SUCCESS) {
        rv = lh_metrics_share(main_server->process->pool, routes);
    }
    if (rv != APR_SUCCESS) {
        return fail(main_server, rv, "cannot create shared memory");
    }
    rv = lh_smtp_prepare(pconf);
    if (rv == APR_SUCCESS) {
        rv = lh_jobs_prepare(pconf);
    }
    if (rv != APR_SUCCESS) {
        return fail(main_server, rv, "cannot prepare the jobs");
    }
    if (without_smtp) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, main_server,
                     LH_LOG(0041) "LearnHubSMTP is not set: mail stays in the outbox");
    }
    return OK;
}

/* ---- in each child process ---- */

static const void *dbd_of(const server_rec *s)
{
    return ap_get_module_config(s->module_config, ap_find_linked_module("mod_dbd.c"));
}

/* The statement_timeout of shared connections: the longest LearnHubStatementTimeout of the servers that share them.
 * Deadlines in httpd (http/run.c) apply each server's own timeout. */
static apr_int64_t longest_timeout(const void *dbd, server_rec *main_server)
{
    apr_int64_t longest = 0;
    server_rec *s;

    for (s = main_server; s; s = s->next) {
        const lh_server *server = apr_hash_get(servers, &s, sizeof(s));
        if (server && dbd_of(s) == dbd && server->config.statement_timeout > longest) {
            longest = server->config.statement_timeout;
        }
    }
    return longest;
}

static lh_prepared prepared_of(const lh_config *config)
{
    return !strcmp(config->prepared, "on")    ? LH_PREPARED_ON
           : !strcmp(config->prepared, "off") ? LH_PREPARED_OFF
                                              : LH_PREPARED_AUTO;
}

/* Sets server->standby. Servers with the same connections to the primary and the same LearnHubReadFrom and
 * LearnHubReadLag share it. */
static void set_standby(apr_pool_t *pchild, lh_server *server, const lh_session_options *options, apr_hash_t *pools)
{
    const char *from = server->config.read_from;
    lh_hosts *hosts = from && *from ? lh_hosts_parse(pchild, from) : NULL;
    const char *key =
        hosts ? apr_psprintf(pchild, "%pp %" APR_INT64_T_FMT " %s", (void *)server->db, server->config.read_lag, from)
              : NULL;

    server->standby = key ? apr_hash_get(pools, key, APR_HASH_KEY_STRING) : NULL;
    if (key && !server->standby) {
        server->standby = lh_standby_create(pchild, server->s, server->db, options, hosts, server->config.read_lag);
        apr_hash_set(pools, key, APR_HASH_KEY_STRING, server->standby);
    }
}

/* Sets server->db, server->batches and server->standby. Servers with the same mod_dbd configuration share its DBDMax
 * connections and one pool. */
static void set_pool(apr_pool_t *pchild, lh_server *server, server_rec *main_server, apr_hash_t *pools)
{
    const void *dbd = dbd_of(server->s);
    lh_session_options options = {.statement_timeout = longest_timeout(dbd, main_server),
                                  .prepared = prepared_of(&server->config)};

    server->db = apr_hash_get(pools, &dbd, sizeof(dbd));
    if (!server->db) {
        server->db = lh_pool_create(pchild, server->s, &options);
        apr_hash_set(pools, apr_pmemdup(pchild, &dbd, sizeof(dbd)), sizeof(dbd), server->db);
    }
    server->batches = lh_batches_create(pchild, server->db);
    set_standby(pchild, server, &options, pools);
}

/* The key of entity tags. It is the same on all nodes, so that clients can use their tags on each. NULL
 * when OpenSSL does not provide it: then responses have no tags. */
static lh_mac *make_etag_key(apr_pool_t *pchild, const lh_config *config)
{
    unsigned char key[LH_HMAC_BYTES];

    return lh_jwt_keys_derive(config->keys, 0, "etag", key) ? lh_mac_gmac(pchild, key) : NULL;
}

/* At most half of the threads send long responses that the spool has no room for. */
static lh_spools *create_spools(apr_pool_t *pchild, const lh_server *server)
{
    const lh_spool_limit *limit = &server->config.spool;
    const char *directory = limit->directory;
    lh_spools *spools;
    int threads = 0;
    apr_status_t rv;

    if (!directory && apr_temp_dir_get(&directory, pchild) != APR_SUCCESS) {
        directory = "/";
    }
    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    spools = lh_spools_create(pchild, directory, limit->bytes, threads > 1 ? threads / 2 : 1);
    rv = lh_spools_check(spools, pchild);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, server->s,
                     LH_LOG(0063) "LearnHubSpool: no file can be created in %s: a long response keeps a thread for as "
                                  "long as its client reads",
                     directory);
    }
    return spools;
}

/* Creates the state of a server in this process; NULL when LearnHub is Off. */
static lh_server *create_server(apr_pool_t *pchild, server_rec *s)
{
    lh_server *server = apr_pcalloc(pchild, sizeof(*server));

    server->s = s;
    server->config = *config_of(s);
    lh_config_complete(pchild, &server->config);
    if (!server->config.enabled) {
        return NULL;
    }
    server->spools = create_spools(pchild, server);
    server->tokens = lh_tokens_create(pchild);
    server->verified = lh_jwt_memory_create(pchild);
    server->etags = make_etag_key(pchild, &server->config);
    if (server->config.cache) {
        server->cache = lh_lru_create(pchild, (apr_size_t)server->config.cache);
        server->topics = lh_topics_create(pchild);
    }
    server->pages = lh_pages_create(pchild, routes);
    server->openapi = lh_openapi_create(pchild, routes);
    server->model = lh_model_create(pchild, &server->config, server->config.model_timeout);
    server->reviewer = lh_model_create(pchild, &server->config, server->config.review_timeout);
    return server;
}

static void create_gates(apr_pool_t *pchild, lh_gates *gates)
{
    int threads = 0;

    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    gates->login = lh_gate_create(pchild, LOGIN_GATE, threads / 4);
    gates->signup = lh_gate_create(pchild, SIGNUP_GATE, threads / 4);
    gates->change = lh_gate_create(pchild, CHANGE_GATE, threads / 4);
    lh_gate_limit_queues(pchild, (lh_gate *const[]){gates->login, gates->signup, gates->change}, 3, threads / 2);
}

/* The allocator of prefork's child processes has no lock, but threads of this module and mod_dbd use their pool. */
static void lock_allocator(apr_pool_t *pchild)
{
    apr_allocator_t *allocator = apr_pool_allocator_get(pchild);
    apr_thread_mutex_t *lock;

    if (apr_allocator_owner_get(allocator) == pchild && !apr_allocator_mutex_get(allocator) &&
        apr_thread_mutex_create(&lock, APR_THREAD_MUTEX_DEFAULT, pchild) == APR_SUCCESS) {
        apr_allocator_mutex_set(allocator, lock);
    }
}

static void child_init(apr_pool_t *pchild, server_rec *main_server)
{
    apr_hash_t *pools = apr_hash_make(pchild);
    lh_gates gates;
    apr_array_header_t *all = apr_array_make(pchild, 4, sizeof(lh_server *));
    lh_server *server;
    server_rec *s;

    lock_allocator(pchild);
    lh_metrics_begin(pchild);
    create_gates(pchild, &gates);
    servers = apr_hash_make(pchild);
    for (s = main_server; s; s = s->next) {
        server = create_server(pchild, s);
        if (server) {
            server->gates = gates;
            apr_hash_set(servers, &server->s, sizeof(server->s), server);
        }
    }
    if (apr_hash_count(servers)) {
        lh_memory_limit();
    }
    for (s = main_server; s; s = s->next) {
        server = apr_hash_get(servers, &s, sizeof(s));
        if (server) {
            set_pool(pchild, server, main_server, pools);
            APR_ARRAY_PUSH(all, lh_server *) = server;
        }
    }
    lh_jobs_begin(pchild, all);
}

/* ---- for requests ---- */

lh_server *lh_server_of(const request_rec *r)
{
    return apr_hash_get(servers, &r->server, sizeof(r->server));
}

const lh_routes *lh_server_routes(void)
{
    return routes;
}

const lh_route_group lh_server_no_group = {
    .name = "none", .error_format = LH_ERRORS_DETAIL, .time_format = LH_SECONDS_Z};

const lh_route_group *lh_server_find_group(const lh_server *server, const char *uri, const char **path)
{
    const char *prefix = server->config.prefix;
    const lh_route_group *group;

    if (*prefix && !lh_path_below(prefix, uri)) {
        return NULL;
    }
    *path = uri[strlen(prefix)] ? uri + strlen(prefix) : "/";
    group = lh_route_find_group(lh_route_groups, *path);
    if (group && lh_served(&server->config, group, *path)) {
        return group;
    }
    return *prefix ? &lh_server_no_group : NULL;
}

const char *lh_links(const lh_call *call)
{
    const char *base = lh_config_base(call->r->pool, &call->server->config);
    lh_json json;
    int i;

    lh_json_init(&json, call->r->pool, 512);
    lh_json_open(&json, '{');
    for (i = 0; lh_route_groups[i]; i++) {
        const char *const *prefix;
        for (prefix = lh_route_groups[i]->prefixes; *prefix; prefix++) {
            if (lh_served(&call->server->config, lh_route_groups[i], *prefix)) {
                lh_json_key(&json, (*prefix)[1] ? *prefix + 1 : "self");
                lh_json_text(&json, apr_pstrcat(call->r->pool, base, *prefix, NULL));
            }
        }
    }
    lh_json_close(&json, '}');
    return lh_json_result(&json);
}

int lh_schema_mismatch(const lh_call *call)
{
    return lh_pool_schema(call->server->db);
}

void lh_server_hooks(apr_pool_t *p)
{
    static const char *const after_dbd[] = {"mod_dbd.c", NULL};

    (void)p;
    lh_pool_hooks();
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(child_init, after_dbd, NULL, APR_HOOK_MIDDLE);
}

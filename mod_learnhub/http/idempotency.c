/* SPDX-License-Identifier: Apache-2.0 */
#include "http/idempotency.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <string.h>

#include "core/server_state.h"
#include "crypto/digest.h"
#include "crypto/mac.h"
#include "crypto/seal.h"
#include "db/result.h"
#include "http/error.h"
#include "http/output.h"
#include "http/reply.h"
#include "http/route.h"
#include "util/buffer.h"
#include "util/network.h"

#define KEY_MAX 255 /* characters */
#define KEY_RULE "The header Idempotency-Key must have 1 to " APR_STRINGIFY(KEY_MAX) " printable ASCII characters."

static const char *const slot_names[] = {"id",       "user", "route", "digest", "status", "type",
                                         "too_long", "body", "ttl",   "owner",  "claim"};
const lh_slots lh_idempotency_slots = {slot_names, LH_KEY_SLOTS};

static const lh_statement *lock, *keep;

int lh_idempotency_compile(lh_statements *registry, const char **why)
{
    lock = lh_statement_compile(registry, "idempotency.lock",
                                "SELECT * FROM learnhub.lock_idempotency_key(decode(:id, 'hex'))", NULL,
                                &lh_idempotency_slots, why);
    if (!*why) {
        keep = lh_statement_compile(
            registry, "idempotency.keep",
            "WITH ended AS (DELETE FROM learnhub.idempotency_claims WHERE id = decode(:id, 'hex')) "
            "INSERT INTO learnhub.idempotency_keys "
            "    (id, user_id, route, digest, status, type, too_long, body, expires_at) "
            "VALUES (decode(:id, 'hex'), :user::bigint, :route, decode(:digest, 'hex'), :status::int, :type, "
            "        :too_long::boolean, decode(:body, 'hex'), now() + make_interval(secs => :ttl::bigint))",
            NULL, &lh_idempotency_slots, why);
    }
    return !*why;
}

const lh_statement *lh_idempotency_guard(void)
{
    return lock;
}

const lh_statement *lh_idempotency_closing(void)
{
    return keep;
}

/* ---- the request ---- */

static int is_valid(const char *key)
{
    const char *c = key;

    while (*c >= ' ' && *c <= '~') {
        c++;
    }
    return !*c && c > key && c - key <= KEY_MAX;
}

/* Whom the key belongs to. */
static const char *owner_of(const lh_call *call)
{
    const request_rec *r = call->r;

    return call->me.id ? apr_psprintf(r->pool, "user %" APR_INT64_T_FMT, call->me.id)
                       : apr_psprintf(r->pool, "network %" APR_UINT64_T_HEX_FMT, lh_network_of(r->useragent_addr));
}

/* The names and digests of the values in path, query and body, without absent ones, so that a later version may have
 * further fields. Fields with a secret have no name. NULL when OpenSSL fails. */
static const char *describe(const lh_call *call)
{
    apr_pool_t *p = call->r->pool;
    lh_buffer out;
    int i;

    lh_buffer_init(&out, p, 1024);
    for (i = 0; i < call->route->step_slot; i++) {
        const char *name = call->route->slots.names[i], *digest;

        if (!call->values[i]) {
            continue;
        }
        digest = lh_digest_hex(p, call->values[i]);
        if (!digest) {
            return NULL;
        }
        lh_buffer_append(&out, name, strlen(name));
        lh_buffer_append(&out, "=", 1);
        lh_buffer_append(&out, digest, strlen(digest));
        lh_buffer_append(&out, " ", 1);
    }
    return lh_buffer_text(&out);
}

lh_error *lh_idempotency_read(lh_call *call)
{
    apr_pool_t *p = call->r->pool;
    const char *name = call->route->def->name, *key;
    lh_idempotency *state;

    key = call->route->def->flags & LH_IDEMPOTENT ? apr_table_get(call->r->headers_in, "Idempotency-Key") : NULL;
    if (!key) {
        return NULL;
    }
    if (!is_valid(key)) {
        return lh_error_field(p, NULL, "body", NULL, KEY_RULE);
    }
    state = apr_pcalloc(p, sizeof(*state));
    state->request = describe(call);
    if (!state->request || !lh_digest(apr_pstrcat(p, name, "\n", owner_of(call), "\n", key, NULL), state->id)) {
        return lh_error_of_status(p, HTTP_INTERNAL_SERVER_ERROR);
    }
    state->values[LH_KEY_ID] = apr_pescape_hex(p, state->id, sizeof(state->id), 0);
    state->values[LH_KEY_USER] = call->me.id ? apr_psprintf(p, "%" APR_INT64_T_FMT, call->me.id) : NULL;
    state->values[LH_KEY_ROUTE] = name;
    state->values[LH_KEY_TTL] =
        apr_psprintf(p, "%" APR_INT64_T_FMT, (apr_int64_t)apr_time_sec(call->server->config.idempotency_ttl));
    call->idempotency = state;
    return NULL;
}

/* ---- keys ---- */

/* The HMAC for requests, with the key of the server with this index. */
static lh_mac *request_mac(const lh_call *call, int index)
{
    unsigned char key[LH_HMAC_BYTES];

    return lh_jwt_keys_derive(call->server->config.keys, index, "idempotency request", key)
               ? lh_mac_hmac(call->r->pool, (const char *)key, sizeof(key))
               : NULL;
}

/* Sets the key that encrypts the response of this request. Returns 0 when OpenSSL fails. */
static int response_key(const lh_call *call, int index, unsigned char key[LH_SEAL_KEY_BYTES])
{
    unsigned char parent[LH_HMAC_BYTES];
    lh_mac *mac = lh_jwt_keys_derive(call->server->config.keys, index, "idempotency response", parent)
                      ? lh_mac_hmac(call->r->pool, (const char *)parent, sizeof(parent))
                      : NULL;

    return mac && lh_mac_sign(mac, NULL, (const char *)call->idempotency->id, sizeof(call->idempotency->id), key);
}

/* ---- stored responses ---- */

static const char *cell(const lh_result *result, const char *name, int *length)
{
    int column = lh_result_find(result, name);

    return column < 0 ? NULL : lh_result_cell(result, 0, column, length);
}

/* The index of the key with which the request has the stored digest, or -1. */
static int find_key(const lh_call *call, const char *digest)
{
    const char *request = call->idempotency->request;
    int i;

    for (i = 0; i < lh_jwt_keys_count(call->server->config.keys); i++) {
        lh_mac *mac = request_mac(call, i);

        if (mac && lh_mac_check(mac, request, strlen(request), (const unsigned char *)digest)) {
            return i;
        }
    }
    return -1;
}

/* Sets the body of the response; 0 if it cannot be decrypted. */
static int unseal(const lh_call *call, int index, const char *sealed, int length, lh_response *response)
{
    unsigned char key[LH_SEAL_KEY_BYTES];
    char *body = apr_palloc(call->r->pool, (apr_size_t)length + 1);

    if (!response_key(call, index, key) || !lh_unseal(key, (const unsigned char *)sealed, (apr_size_t)length, body)) {
        return 0;
    }
    response->body = body;
    response->length = (apr_size_t)length - LH_SEAL_EXTRA;
    return 1;
}

/* The result has a row with the digest of a request that had the key. */
static lh_key_state replay(lh_call *call, const lh_result *result, const char *digest)
{
    lh_response *response = apr_pcalloc(call->r->pool, sizeof(*response));
    const char *too_long, *sealed;
    int index = find_key(call, digest), length = 0;

    if (index < 0) {
        return LH_KEY_OTHER;
    }
    too_long = cell(result, "too_long", &length);
    sealed = cell(result, "body", &length);
    if (!too_long || *too_long || (sealed && !unseal(call, index, sealed, length, response))) {
        return LH_KEY_LOST;
    }
    response->status = atoi(lh_call_cell(call, result, 0, lh_result_find(result, "status")));
    response->type = lh_call_cell(call, result, 0, lh_result_find(result, "type"));
    response->cache_control = "no-store";
    call->kept = response;
    call->replays = 1;
    return LH_KEY_REPLAYS;
}

lh_key_state lh_idempotency_state(lh_call *call, const lh_result *result)
{
    int length = 0;
    const char *digest = lh_result_rows(result) ? cell(result, "digest", &length) : NULL, *mine;

    if (digest && length == LH_HMAC_BYTES) {
        return replay(call, result, digest);
    }
    mine = lh_result_rows(result) ? cell(result, "mine", &length) : NULL;
    return !mine || *mine ? LH_KEY_FREE : LH_KEY_BUSY;
}

lh_error *lh_idempotency_error(const lh_call *call, lh_key_state state)
{
    apr_pool_t *p = call->r->pool;
    lh_error *error = NULL;

    if (state == LH_KEY_BUSY) {
        error = lh_error_make(p, HTTP_CONFLICT,
                              "A request with this Idempotency-Key is in progress. Repeat this one shortly.");
        error->retry_after = 1;
    }
    else if (state == LH_KEY_OTHER) {
        error =
            lh_error_field(p, NULL, "body", NULL, "This Idempotency-Key was used for another request. Send a new key.");
    }
    else if (state == LH_KEY_LOST) {
        error = lh_error_make(p, HTTP_CONFLICT,
                              "This request has been carried out. Its response was too long to be stored: read the "
                              "object instead.");
    }
    return error;
}

/* ---- storing a response ---- */

/* Encrypts the body; 0 when OpenSSL fails. */
static int seal(const lh_call *call, const lh_response *response, const char **hex)
{
    unsigned char key[LH_SEAL_KEY_BYTES], *sealed = apr_palloc(call->r->pool, response->length + LH_SEAL_EXTRA);

    if (!response_key(call, 0, key) || !lh_seal(key, response->body, response->length, sealed)) {
        return 0;
    }
    *hex = apr_pescape_hex(call->r->pool, sealed, response->length + LH_SEAL_EXTRA, 0);
    return 1;
}

int lh_idempotency_keep(lh_call *call)
{
    apr_pool_t *p = call->r->pool;
    lh_idempotency *state = call->idempotency;
    lh_response *response = apr_pcalloc(p, sizeof(*response));
    unsigned char digest[LH_HMAC_BYTES];
    lh_mac *mac = request_mac(call, 0);
    int is_short;

    call->kept = NULL;
    call->replays = 0;
    is_short = lh_reply_make(call, response) && response->length <= LH_OUTPUT_PART;
    if (!mac || !lh_mac_sign(mac, NULL, state->request, strlen(state->request), digest)) {
        return 0;
    }
    state->values[LH_KEY_DIGEST] = apr_pescape_hex(p, digest, sizeof(digest), 0);
    state->values[LH_KEY_STATUS] = apr_itoa(p, response->status);
    state->values[LH_KEY_TYPE] = response->type;
    state->values[LH_KEY_TOO_LONG] = is_short ? "false" : "true";
    state->values[LH_KEY_BODY] = NULL;
    if (is_short) {
        call->kept = response;
    }
    return !is_short || !response->body || seal(call, response, &state->values[LH_KEY_BODY]);
}

/* The status may not be NULL. */
void lh_idempotency_abort(lh_call *call)
{
    call->idempotency->values[LH_KEY_STATUS] = NULL;
}

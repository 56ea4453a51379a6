/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/password.h"

#include <apr_cstr.h>
#include <apr_general.h>
#include <apr_lib.h>
#include <apr_md5.h>
#include <apr_strings.h>
#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>
#include <string.h>

#define BYTES_MIN 8
#define BYTES_MAX 72 /* bcrypt reads no further */
#define SALT_BYTES 16
#define HASH_SIZE 61 /* with the zero byte */

/* ---- the gate ---- */

struct lh_gate {
    apr_thread_mutex_t *mutex;
    apr_thread_cond_t *left;
    int free, waiting, line;
};

lh_gate *lh_gate_create(apr_pool_t *p, int width, int line)
{
    lh_gate *gate = apr_pcalloc(p, sizeof(*gate));

    gate->free = width;
    gate->line = line;
    if (apr_thread_mutex_create(&gate->mutex, APR_THREAD_MUTEX_DEFAULT, p) != APR_SUCCESS ||
        apr_thread_cond_create(&gate->left, p) != APR_SUCCESS) {
        return NULL;
    }
    return gate;
}

apr_status_t lh_gate_enter(lh_gate *gate, apr_interval_time_t wait)
{
    apr_time_t until = apr_time_now() + wait, now;
    apr_status_t rv = APR_SUCCESS;

    apr_thread_mutex_lock(gate->mutex);
    gate->waiting++;
    while (gate->free == 0 && gate->waiting <= gate->line && (now = apr_time_now()) < until) {
        apr_thread_cond_timedwait(gate->left, gate->mutex, until - now); /* woken for nothing, it waits on */
    }
    gate->waiting--;
    if (gate->free > 0) {
        gate->free--;
    }
    else {
        rv = APR_TIMEUP;
    }
    apr_thread_mutex_unlock(gate->mutex);
    return rv;
}

void lh_gate_leave(lh_gate *gate)
{
    apr_thread_mutex_lock(gate->mutex);
    gate->free++;
    apr_thread_cond_signal(gate->left);
    apr_thread_mutex_unlock(gate->mutex);
}

/* ---- rules ---- */

/* An e-mail address counts as a whole, and by what stands before its @. */
static int is_own(const char *password, const char *own)
{
    apr_size_t local = strcspn(own, "@");

    return !apr_cstr_casecmp(password, own) ||
           (own[local] && strlen(password) == local && !apr_cstr_casecmpn(password, own, local));
}

const char *lh_password_error(const char *password, const char *const *own, int count)
{
    apr_size_t length = strlen(password);
    int i;

    if (length < BYTES_MIN || length > BYTES_MAX) {
        return "This must have 8 to 72 bytes; letters beyond ASCII count two to four.";
    }
    if (strspn(password, "0123456789") == length) {
        return "This must not consist of digits only.";
    }
    for (i = 0; i < count; i++) {
        if (own[i] && is_own(password, own[i])) {
            return "This must not be your name or e-mail address.";
        }
    }
    return NULL;
}

/* ---- bcrypt ---- */

const char *lh_password_hash(apr_pool_t *p, const char *password, int cost)
{
    unsigned char salt[SALT_BYTES];
    char *hash = apr_palloc(p, HASH_SIZE);

    if (apr_generate_random_bytes(salt, sizeof(salt)) != APR_SUCCESS ||
        apr_bcrypt_encode(password, (unsigned)cost, salt, sizeof(salt), hash, HASH_SIZE) != APR_SUCCESS) {
        return NULL;
    }
    return hash;
}

/* With no hash, or a password longer than bcrypt reads, the same work is done for nothing. */
int lh_password_matches(const char *password, const char *hash, int cost)
{
    char decoy[HASH_SIZE];

    apr_snprintf(decoy, sizeof(decoy), "$2y$%02d$%053d", cost, 0);
    return apr_password_validate(password, hash ? hash : decoy) == APR_SUCCESS && hash && strlen(password) <= BYTES_MAX;
}

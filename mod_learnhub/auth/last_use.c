/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/last_use.h"

#include <apr_atomic.h>
#include <apr_escape.h>
#include <apr_strings.h>
#include <apr_thread_mutex.h>
#include <string.h>

#define PLACES 1024
#define PERIOD 240 /* seconds in which a login is noted once */
#define TAKEN_MAX 100

typedef struct place {
    unsigned char id[LH_LAST_USE_ID];
    apr_int64_t noted_at;
    int waiting; /* has not been taken yet */
} place;

struct lh_last_use {
    apr_thread_mutex_t *lock;
    volatile apr_uint32_t waiting; /* places */
    place places[PLACES];
};

lh_last_use *lh_last_use_create(apr_pool_t *p)
{
    lh_last_use *uses = apr_pcalloc(p, sizeof(*uses));

    apr_thread_mutex_create(&uses->lock, APR_THREAD_MUTEX_DEFAULT, p);
    return uses;
}

/* A login that waits keeps its place; another one is then not noted. */
void lh_last_use_note(lh_last_use *uses, const unsigned char id[LH_LAST_USE_ID], apr_int64_t now)
{
    place *at = &uses->places[(id[0] | id[1] << 8) % PLACES]; /* ids are random */

    apr_thread_mutex_lock(uses->lock);
    if (!at->waiting && (memcmp(at->id, id, sizeof(at->id)) || now - at->noted_at >= PERIOD)) {
        memcpy(at->id, id, sizeof(at->id));
        at->noted_at = now;
        at->waiting = 1;
        apr_atomic_inc32(&uses->waiting);
    }
    apr_thread_mutex_unlock(uses->lock);
}

const char *lh_last_use_take(lh_last_use *uses, apr_pool_t *p)
{
    const char *list = "";
    int count = 0, i;

    if (!apr_atomic_read32(&uses->waiting)) {
        return NULL;
    }
    apr_thread_mutex_lock(uses->lock);
    for (i = 0; i < PLACES && count < TAKEN_MAX; i++) {
        place *at = &uses->places[i];
        if (at->waiting) {
            at->waiting = 0;
            apr_atomic_dec32(&uses->waiting);
            list = apr_pstrcat(p, list, count++ ? "," : "{", apr_pescape_hex(p, at->id, sizeof(at->id), 0), NULL);
        }
    }
    apr_thread_mutex_unlock(uses->lock);
    return count ? apr_pstrcat(p, list, "}", NULL) : NULL;
}

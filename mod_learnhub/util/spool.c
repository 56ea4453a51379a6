/* SPDX-License-Identifier: Apache-2.0 */
#include "util/spool.h"

#include <apr_strings.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define OWNER_PART 4 /* an owner may use 1/4 of the bytes */
#define OWNER_SENDERS 2
#define RESERVE_PART 4 /* 1/4 of the bytes are added for responses to changes */

/* A caller with at least one body; freed with the last one. */
typedef struct owner {
    struct owner *next;
    int bodies;
    int senders[2]; /* [1]: of responses to changes */
    apr_int64_t bytes;
    char name[];
} owner;

struct lh_spools {
    const char *directory;
    apr_int64_t bytes_max;
    int senders_max[2];

    pthread_mutex_t lock; /* guards the fields below and all owners */
    owner *owners;
    apr_int64_t bytes;
    int senders[2];
};

struct lh_spool {
    apr_pool_t *pool;
    lh_spools *spools;
    owner *owner;
    apr_file_t *file; /* NULL before the first append */
    apr_off_t length;
    int change; /* 1: of the response to a change */
    int sendfile, sending;
};

/* ---- owners; the functions below need the lock ---- */

/* Returns NULL without memory. */
static owner *find_owner(lh_spools *spools, const char *name)
{
    owner *found = spools->owners;

    while (found && strcmp(found->name, name)) {
        found = found->next;
    }
    if (!found && (found = calloc(1, sizeof(*found) + strlen(name) + 1)) != NULL) {
        memcpy(found->name, name, strlen(name) + 1);
        found->next = spools->owners;
        spools->owners = found;
    }
    return found;
}

static void remove_owner(lh_spools *spools, owner *gone)
{
    owner **link = &spools->owners;

    while (*link != gone) {
        link = &(*link)->next;
    }
    *link = gone->next;
    free(gone);
}

static void add_bytes(lh_spool *spool, apr_int64_t bytes)
{
    spool->spools->bytes += bytes;
    spool->owner->bytes += bytes;
}

/* ---- the spool ---- */

lh_spools *lh_spools_create(apr_pool_t *p, const char *directory, apr_int64_t bytes, int senders)
{
    lh_spools *spools = apr_pcalloc(p, sizeof(*spools));

    spools->directory = directory;
    spools->bytes_max = bytes;
    spools->senders_max[0] = senders;
    spools->senders_max[1] = senders > 1 ? senders / 2 : 1;
    pthread_mutex_init(&spools->lock, NULL);
    return spools;
}

/* An unlinked file with mode 0600 that is closed on exec. */
static apr_status_t open_file(const lh_spools *spools, apr_pool_t *p, apr_int32_t sendfile, apr_file_t **file)
{
    char *name = apr_pstrcat(p, spools->directory, "/learnhub-XXXXXX", NULL);
    apr_int32_t flags = APR_FOPEN_CREATE | APR_FOPEN_EXCL | APR_FOPEN_READ | APR_FOPEN_WRITE | APR_FOPEN_BINARY;
    apr_status_t rv = apr_file_mktemp(file, name, flags | sendfile, p);

    if (rv != APR_SUCCESS) {
        *file = NULL;
        return rv;
    }
    rv = apr_file_remove(name, p);
    if (rv != APR_SUCCESS) {
        apr_file_close(*file);
        *file = NULL;
    }
    return rv;
}

apr_status_t lh_spools_check(const lh_spools *spools, apr_pool_t *p)
{
    apr_file_t *file;
    apr_status_t rv = open_file(spools, p, 0, &file);

    if (file) {
        apr_file_close(file);
    }
    return rv;
}

apr_int64_t lh_spools_used(lh_spools *spools)
{
    apr_int64_t bytes;

    pthread_mutex_lock(&spools->lock);
    bytes = spools->bytes;
    pthread_mutex_unlock(&spools->lock);
    return bytes;
}

/* ---- bodies ---- */

/* The file is closed by APR's cleanup: in httpd's pool of unsent data, or in `pool`. */
static apr_status_t clear(void *data)
{
    lh_spool *spool = data;
    lh_spools *spools = spool->spools;

    pthread_mutex_lock(&spools->lock);
    add_bytes(spool, -spool->length);
    spools->senders[spool->change] -= spool->sending;
    spool->owner->senders[spool->change] -= spool->sending;
    if (--spool->owner->bodies == 0) {
        remove_owner(spools, spool->owner);
    }
    pthread_mutex_unlock(&spools->lock);
    return APR_SUCCESS;
}

lh_spool *lh_spool_create(apr_pool_t *p, lh_spools *spools, const char *name, int change, int sendfile)
{
    lh_spool *spool = apr_pcalloc(p, sizeof(*spool));

    spool->pool = p;
    spool->spools = spools;
    spool->change = change;
    spool->sendfile = sendfile ? APR_FOPEN_SENDFILE_ENABLED : 0;
    pthread_mutex_lock(&spools->lock);
    spool->owner = find_owner(spools, name);
    if (spool->owner) {
        spool->owner->bodies++;
    }
    pthread_mutex_unlock(&spools->lock);
    if (!spool->owner) {
        return NULL;
    }
    apr_pool_cleanup_register(p, spool, clear, apr_pool_cleanup_null);
    return spool;
}

/* Reserves bytes for the body. Returns 0 without room. */
static int reserve(lh_spool *spool, apr_int64_t bytes)
{
    lh_spools *spools = spool->spools;
    apr_int64_t most = spools->bytes_max + (spool->change ? spools->bytes_max / RESERVE_PART : 0);
    int fits;

    pthread_mutex_lock(&spools->lock);
    fits = bytes <= most - spools->bytes && bytes <= most / OWNER_PART - spool->owner->bytes;
    if (fits) {
        add_bytes(spool, bytes);
    }
    pthread_mutex_unlock(&spools->lock);
    return fits;
}

static void release(lh_spool *spool, apr_int64_t bytes)
{
    pthread_mutex_lock(&spool->spools->lock);
    add_bytes(spool, -bytes);
    pthread_mutex_unlock(&spool->spools->lock);
}

/* Removes what lies behind `length`, and continues there. */
static void truncate_file(lh_spool *spool)
{
    if (spool->file) {
        apr_file_trunc(spool->file, spool->length);
    }
}

apr_status_t lh_spool_append(lh_spool *spool, const char *data, apr_size_t length)
{
    apr_status_t rv = APR_SUCCESS;

    if (!reserve(spool, (apr_int64_t)length)) {
        return APR_FROM_OS_ERROR(EDQUOT);
    }
    if (!spool->file) {
        rv = open_file(spool->spools, spool->pool, spool->sendfile, &spool->file);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_file_write_full(spool->file, data, length, NULL);
    }
    if (rv == APR_SUCCESS) {
        spool->length += (apr_off_t)length;
    }
    else {
        truncate_file(spool);
        release(spool, (apr_int64_t)length);
    }
    return rv;
}

void lh_spool_rewind(lh_spool *spool)
{
    release(spool, spool->length);
    spool->length = 0;
    truncate_file(spool);
}

apr_file_t *lh_spool_file(const lh_spool *spool)
{
    return spool->file;
}

apr_off_t lh_spool_length(const lh_spool *spool)
{
    return spool->length;
}

int lh_spool_send(lh_spool *spool)
{
    lh_spools *spools = spool->spools;
    int *all = &spools->senders[spool->change], *own = &spool->owner->senders[spool->change];

    pthread_mutex_lock(&spools->lock);
    spool->sending = *all < spools->senders_max[spool->change] && *own < OWNER_SENDERS;
    *all += spool->sending;
    *own += spool->sending;
    pthread_mutex_unlock(&spools->lock);
    return spool->sending;
}

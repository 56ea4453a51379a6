/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/jwt_memory.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES 4096 /* at most 2.6 MB; pages without an entry take no memory */
#define TOKEN_MAX 512
#define LOCKS 16

typedef struct entry {
    apr_size_t length; /* 0: free */
    lh_claims claims;
    apr_int64_t noted;     /* when *is_due was set last, in seconds since 1970 */
    char token[TOKEN_MAX]; /* not terminated */
} entry;

struct lh_jwt_memory {
    pthread_mutex_t locks[LOCKS]; /* lock i guards the entries whose index modulo LOCKS is i */
    entry *entries;
};

static apr_status_t destroy(void *data)
{
    lh_jwt_memory *memory = data;
    int i;

    for (i = 0; i < LOCKS; i++) {
        pthread_mutex_destroy(&memory->locks[i]);
    }
    free(memory->entries);
    return APR_SUCCESS;
}

lh_jwt_memory *lh_jwt_memory_create(apr_pool_t *p)
{
    lh_jwt_memory *memory = apr_palloc(p, sizeof(*memory));
    int i;

    memory->entries = calloc(ENTRIES, sizeof(entry)); /* NULL: out of memory, nothing is stored */
    for (i = 0; i < LOCKS; i++) {
        pthread_mutex_init(&memory->locks[i], NULL);
    }
    apr_pool_cleanup_register(p, memory, destroy, apr_pool_cleanup_null);
    return memory;
}

/* The index of the token's entry. The last characters of a signature are as good as random. */
static unsigned index_of(const char *token, apr_size_t length)
{
    apr_uint32_t bits = 0;
    apr_size_t i;

    for (i = length - 8; i < length - 1; i++) { /* the last character has only four bits of the signature */
        bits = bits * 61 + (unsigned char)token[i];
    }
    return bits % ENTRIES;
}

static int may_be_stored(const lh_jwt_memory *memory, apr_size_t length)
{
    return memory->entries && length >= 8 && length <= TOKEN_MAX;
}

int lh_jwt_memory_find(lh_jwt_memory *memory, const char *token, apr_int64_t now, lh_claims *claims, int *is_due)
{
    apr_size_t length = strnlen(token, TOKEN_MAX + 1);
    pthread_mutex_t *lock;
    entry *found;
    unsigned index;
    int valid;

    if (!may_be_stored(memory, length)) {
        return 0;
    }
    index = index_of(token, length);
    found = &memory->entries[index];
    lock = &memory->locks[index % LOCKS];
    pthread_mutex_lock(lock);
    /* In constant time: the duration must not reveal how much of a forged token equals a stored one. */
    valid = found->length == length && CRYPTO_memcmp(found->token, token, length) == 0 && found->claims.expires > now;
    if (valid) {
        *claims = found->claims;
        *is_due = now - found->noted >= LH_JWT_MEMORY_PERIOD;
        if (*is_due) {
            found->noted = now;
        }
    }
    pthread_mutex_unlock(lock);
    return valid;
}

void lh_jwt_memory_store(lh_jwt_memory *memory, const char *token, const lh_claims *claims)
{
    apr_size_t length = strnlen(token, TOKEN_MAX + 1);
    entry *replaced;
    unsigned index;

    if (!may_be_stored(memory, length)) {
        return;
    }
    index = index_of(token, length);
    replaced = &memory->entries[index];
    pthread_mutex_lock(&memory->locks[index % LOCKS]);
    memcpy(replaced->token, token, length);
    replaced->length = length;
    replaced->claims = *claims;
    replaced->noted = 0;
    pthread_mutex_unlock(&memory->locks[index % LOCKS]);
}

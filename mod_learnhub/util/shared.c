/* SPDX-License-Identifier: Apache-2.0 */
#include "util/shared.h"

#include <apr_shm.h>
#include <string.h>

apr_status_t lh_shared_memory(apr_pool_t *process, const char *key, apr_size_t size, void **memory)
{
    apr_shm_t *shm;
    apr_status_t rv;

    apr_pool_userdata_get(memory, key, process);
    if (*memory) {
        return APR_SUCCESS;
    }
    rv = apr_shm_create(&shm, size + LH_SHARED_LINE, NULL, process);
    if (rv == APR_SUCCESS) {
        char *base = apr_shm_baseaddr_get(shm);

        base += LH_SHARED_LINE - (apr_uintptr_t)base % LH_SHARED_LINE;
        *memory = memset(base, 0, size);
        apr_pool_userdata_set(*memory, key, NULL, process); /* copies the key */
    }
    return rv;
}

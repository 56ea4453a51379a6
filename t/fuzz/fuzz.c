/* SPDX-License-Identifier: Apache-2.0 */
/* Connects a fuzz target with libFuzzer. */
#include "fuzz.h"

#include <apr_general.h>
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

apr_pool_t *fuzz_root;

/* ---- memory of pools ---- */

typedef union block {
    union block *next;
    max_align_t aligned;
} block;

static block *kept, *of_input; /* the blocks that live as long as the process, and as long as the input */

#define LARGE 8192 /* bytes from which on malloc() with AddressSanitizer is slow */

/* Replaces the function of libapr, whose pools put small allocations side by side into large blocks. */
void *apr_palloc(apr_pool_t *p, apr_size_t size)
{
    static void *(*original)(apr_pool_t *, apr_size_t);
    block **list = !fuzz_root || p == fuzz_root ? &kept : &of_input, *one;

    if (size >= LARGE) {
        *(void **)&original = original ? (void *)original : dlsym(RTLD_NEXT, "apr_palloc");
        return original(p, size);
    }
    one = malloc(sizeof(*one) + size);
    if (!one) {
        abort();
    }
    one->next = *list;
    *list = one;
    return one + 1;
}

static void free_blocks(void)
{
    while (of_input) {
        block *next = of_input->next;

        free(of_input);
        of_input = next;
    }
}

/* ---- inputs ---- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p;
    char *copy;

    if (!fuzz_root) {
        apr_initialize();
        apr_pool_create(&fuzz_root, NULL);
    }
    /* Seeds are text files: a line break at the end does not count. */
    size -= size > 1 && data[size - 1] == '\n' && data[size - 2] != '\r';
    copy = malloc(size + 1);
    if (size) {
        memcpy(copy, data, size);
    }
    copy[size] = '\0';
    apr_pool_create(&p, fuzz_root);
    fuzz(p, copy, size);
    apr_pool_destroy(p);
    free_blocks();
    free(copy);
    return 0;
}

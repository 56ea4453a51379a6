/* SPDX-License-Identifier: Apache-2.0 */
/* The store: values by key, the limit in bytes, the order of use, references that outlive their entry. */
#include "util/lru.h"

#include <apr_strings.h>
#include <apr_thread_proc.h>

#include "tap.h"

static int add(lh_lru *lru, const char *key, const char *value)
{
    lh_lru_entry *entry = lh_lru_make(lru, key, strlen(key), strlen(value) + 1);

    if (entry) {
        strcpy(lh_lru_value(entry), value);
        lh_lru_add(lru, entry);
    }
    return entry != NULL;
}

/* The value of a key, copied; NULL: there is none. */
static const char *get(lh_lru *lru, const char *key)
{
    lh_lru_entry *entry = lh_lru_find(lru, key, strlen(key));
    const char *value = entry ? apr_pstrdup(tap_pool, lh_lru_value(entry)) : NULL;

    if (entry) {
        lh_lru_release(entry);
    }
    return value;
}

static void test_values(void)
{
    lh_lru *lru = lh_lru_create(tap_pool, 1048576);
    lh_lru_entry *entry;

    is_str(get(lru, "a"), NULL, "a new store is empty");
    add(lru, "a", "1");
    add(lru, "ab", "2");
    add(lru, "", "3");
    is_str(get(lru, "a"), "1", "a value is found by its key");
    is_str(get(lru, "ab"), "2", "a longer key is another key");
    is_str(get(lru, ""), "3", "a key may be empty");
    entry = lh_lru_find(lru, "a", 1);
    add(lru, "a", "4");
    is_str(get(lru, "a"), "4", "a new value replaces the old one");
    is_str(lh_lru_value(entry), "1", "a reference keeps the old value");
    lh_lru_drop(lru, entry);
    is_str(get(lru, "a"), "4", "dropping a replaced entry does not drop the new one");
    lh_lru_release(entry);
    entry = lh_lru_find(lru, "a", 1);
    lh_lru_drop(lru, entry);
    is_str(get(lru, "a"), NULL, "a dropped entry is not found");
    is_str(lh_lru_value(entry), "4", "a reference keeps a dropped value");
    lh_lru_release(entry);
}

#define BYTES 262144

static const char *text_of(int length)
{
    char *text = apr_palloc(tap_pool, (apr_size_t)length + 1);

    memset(text, 'x', (apr_size_t)length);
    text[length] = '\0';
    return text;
}

static void test_limit(void)
{
    lh_lru *lru = lh_lru_create(tap_pool, BYTES), *large = lh_lru_create(tap_pool, 16777216);
    const char *kilobyte = text_of(1000);
    apr_size_t most = 0;
    int i, found = 0;

    for (i = 0; i < 2000; i++) {
        add(lru, apr_itoa(tap_pool, i), kilobyte);
        most = lh_lru_bytes(lru) > most ? lh_lru_bytes(lru) : most;
        get(lru, "0");
    }
    for (i = 0; i < 2000; i++) {
        found += get(lru, apr_itoa(tap_pool, i)) != NULL;
    }
    ok(most <= BYTES, "2000 values of 1 KB never use more than the limit of 256 KB (%lu bytes)", (unsigned long)most);
    ok(found > 150 && found < 256, "most of the bytes are values (%d of 1 KB)", found);
    ok(get(lru, "0") != NULL, "a value that is used often stays");
    ok(get(lru, "1") == NULL && get(lru, "1999") != NULL, "old values make room for new ones");
    ok(add(lru, "large", text_of(BYTES / 16 - 200)), "a value may have almost 1/16 of the bytes");
    ok(!add(lru, "larger", text_of(BYTES / 16)), "a larger value is not stored");
    ok(add(large, "large", text_of(65536 - 200)), "in a large store it may have almost 64 KB");
    ok(!add(large, "larger", text_of(65536)), "but not more");
}

static void test_small(void)
{
    lh_lru *lru = lh_lru_create(tap_pool, 1024);

    ok(!add(lru, "a", "1"), "a store of 1 KB takes nothing");
    lru = lh_lru_create(tap_pool, 4096);
    add(lru, "a", "1");
    ok(lh_lru_bytes(lru) <= 4096, "a small store keeps its limit");
}

/* ---- threads ---- */

static void *APR_THREAD_FUNC work(apr_thread_t *thread, void *data)
{
    lh_lru *lru = data;
    int wrong = 0;
    char key[32], value[64];
    int i;

    for (i = 0; i < 4000; i++) {
        lh_lru_entry *entry;

        apr_snprintf(key, sizeof(key), "key %d", i * 7 % 300);
        apr_snprintf(value, sizeof(value), "value of %s", key);
        entry = lh_lru_find(lru, key, strlen(key));
        if (!entry) {
            add(lru, key, value);
            continue;
        }
        if (i % 5 == 0) {
            lh_lru_drop(lru, entry);
        }
        wrong += strcmp(lh_lru_value(entry), value) != 0;
        lh_lru_release(entry);
    }
    apr_thread_exit(thread, wrong);
    return NULL;
}

/* The sanitizers find a value that is used after it was freed. */
static void test_threads(void)
{
    lh_lru *lru = lh_lru_create(tap_pool, 32768);
    apr_thread_t *threads[4];
    apr_status_t wrong;
    int i, all_wrong = 0;

    for (i = 0; i < 4; i++) {
        apr_thread_create(&threads[i], NULL, work, lru, tap_pool);
    }
    for (i = 0; i < 4; i++) {
        apr_thread_join(&wrong, threads[i]);
        all_wrong += wrong;
    }
    is_int(all_wrong, 0, "four threads find the values of their keys");
    ok(lh_lru_bytes(lru) <= 32768, "after four threads the limit holds");
}

int main(void)
{
    tap_begin();
    test_values();
    test_limit();
    test_small();
    test_threads();
    return tap_end();
}

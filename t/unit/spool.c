/* SPDX-License-Identifier: Apache-2.0 */
/* The spool: contents, the limits in total and for each owner, senders, failures of the file system. */
#include "util/spool.h"

#include "tap.h"

#include <apr_portable.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define TOTAL 4000 /* bytes; an owner may use 1000 */

static const char *directory;
static char bytes[2000];

static lh_spools *make(void)
{
    return lh_spools_create(tap_pool, directory, TOTAL, 3);
}

static apr_pool_t *pool(void)
{
    apr_pool_t *p;

    apr_pool_create(&p, tap_pool);
    return p;
}

static lh_spool *body(apr_pool_t *p, lh_spools *spools, const char *owner, apr_size_t length, apr_status_t expected)
{
    lh_spool *spool = lh_spool_create(p, spools, owner, 0, 1);
    char name[100];

    snprintf(name, sizeof(name), "%d bytes of %s are %s", (int)length, owner, expected ? "rejected" : "stored");
    is_int(lh_spool_append(spool, bytes, length), expected, name);
    return spool;
}

static void test_contents(void)
{
    apr_pool_t *p = pool();
    lh_spools *spools = make();
    lh_spool *spool = lh_spool_create(p, spools, "ada", 0, 1);
    char text[20] = "";
    apr_off_t start = 0;
    struct stat status;
    apr_os_file_t fd;

    ok(!lh_spool_file(spool) && lh_spool_length(spool) == 0, "an empty body has no file");
    lh_spool_append(spool, "wrong", 5);
    lh_spool_rewind(spool);
    is_int(lh_spools_used(spools), 0, "a rewound body uses no bytes");
    lh_spool_append(spool, "ab", 2);
    lh_spool_append(spool, "cd", 2);
    is_int(lh_spool_length(spool), 4, "the length is that of what was appended after the rewind");
    apr_file_seek(lh_spool_file(spool), APR_SET, &start);
    apr_file_read_full(lh_spool_file(spool), text, sizeof(text), NULL);
    is_str(text, "abcd", "the file has the bytes that were appended after the rewind");
    apr_os_file_get(&fd, lh_spool_file(spool));
    fstat(fd, &status);
    ok(status.st_nlink == 0 && (status.st_mode & 0777) == 0600, "the file has no name and mode 0600");
    ok(fcntl(fd, F_GETFD) & FD_CLOEXEC, "the file is closed on exec");
    ok(apr_file_flags_get(lh_spool_file(spool)) & APR_FOPEN_SENDFILE_ENABLED,
       "sendfile may be used if that is asked for");
    is_int(lh_spools_used(spools), 4, "the bytes are counted");
    apr_pool_destroy(p);
    is_int(lh_spools_used(spools), 0, "a cleared body uses no bytes");
    ok(fcntl(fd, F_GETFD) < 0, "a cleared body has closed its file");
}

static void test_limits(void)
{
    const apr_status_t full = APR_FROM_OS_ERROR(EDQUOT);
    apr_pool_t *all = pool(), *first = pool();
    lh_spools *spools = make();
    lh_spool *spool;

    body(first, spools, "ada", 600, APR_SUCCESS);
    spool = body(all, spools, "ada", 400, APR_SUCCESS);
    is_int(lh_spool_append(spool, bytes, 1), full, "the share of an owner is a quarter");
    is_int(lh_spool_length(spool), 400, "a rejected append does not change the body");
    body(all, spools, "bob", 1001, full);
    body(all, spools, "bob", 1000, APR_SUCCESS);
    body(all, spools, "cyd", 1000, APR_SUCCESS);
    body(all, spools, "dan", 1000, APR_SUCCESS);
    body(all, spools, "eve", 1, full);
    apr_pool_destroy(first);
    is_int(lh_spools_used(spools), 3400, "the bytes of a cleared body are available again");
    body(all, spools, "eve", 600, APR_SUCCESS);
    body(all, spools, "ada", 1, full);
    apr_pool_destroy(all);
    is_int(lh_spools_used(spools), 0, "no bytes are in use at the end");
}

static void test_senders(void)
{
    apr_pool_t *all = pool(), *first = pool();
    lh_spools *spools = make();

    ok(lh_spool_send(lh_spool_create(first, spools, "ada", 0, 0)), "an owner may send");
    ok(lh_spool_send(lh_spool_create(all, spools, "ada", 0, 0)), "an owner may send twice");
    ok(!lh_spool_send(lh_spool_create(all, spools, "ada", 0, 0)), "an owner may not send three times");
    ok(lh_spool_send(lh_spool_create(all, spools, "bob", 0, 0)), "another owner may send");
    ok(!lh_spool_send(lh_spool_create(all, spools, "cyd", 0, 0)), "a fourth sender is rejected");
    apr_pool_destroy(first);
    ok(lh_spool_send(lh_spool_create(all, spools, "cyd", 0, 0)), "a sender may begin when another one has ended");
    apr_pool_destroy(all);
}

/* With TOTAL 4000, changes may use 5000, an owner 1250 of them. */
static void test_changes(void)
{
    apr_pool_t *all = pool();
    lh_spools *spools = make();
    lh_spool *change = lh_spool_create(all, spools, "ada", 1, 0);

    body(all, spools, "ada", 1000, APR_SUCCESS);
    body(all, spools, "ada", 1, APR_FROM_OS_ERROR(EDQUOT));
    is_int(lh_spool_append(change, bytes, 250), APR_SUCCESS, "a response to a change uses the owner's reserve");
    is_int(lh_spool_append(change, bytes, 1), APR_FROM_OS_ERROR(EDQUOT), "not more than that");
    body(all, spools, "bob", 1000, APR_SUCCESS);
    body(all, spools, "cyd", 1000, APR_SUCCESS);
    body(all, spools, "dan", 750, APR_SUCCESS);
    body(all, spools, "eve", 1, APR_FROM_OS_ERROR(EDQUOT));
    change = lh_spool_create(all, spools, "eve", 1, 0);
    is_int(lh_spool_append(change, bytes, 1000), APR_SUCCESS, "a response to a change uses the reserve of all");
    is_int(lh_spool_append(change, bytes, 1), APR_FROM_OS_ERROR(EDQUOT), "not more than that");
    ok(lh_spool_send(lh_spool_create(all, spools, "fay", 0, 0)), "an owner sends a response");
    ok(lh_spool_send(lh_spool_create(all, spools, "fay", 0, 0)), "and another one");
    ok(lh_spool_send(lh_spool_create(all, spools, "gus", 0, 0)), "so does another owner: there are three senders");
    ok(lh_spool_send(lh_spool_create(all, spools, "fay", 1, 0)), "senders for changes are counted apart");
    ok(!lh_spool_send(lh_spool_create(all, spools, "gus", 1, 0)), "there are half as many of them");
    apr_pool_destroy(all);
}

/* A write beyond the limit for files fails in the middle, as on a full disk. */
static void test_failures(void)
{
    apr_pool_t *p = pool();
    lh_spools *spools = make(), *nowhere = lh_spools_create(tap_pool, "/nonexistent/directory", TOTAL, 1);
    lh_spool *spool;
    struct rlimit before, limit;
    apr_finfo_t info;

    is_int(lh_spools_check(spools, p), APR_SUCCESS, "files can be created");
    ok(APR_STATUS_IS_ENOENT(lh_spools_check(nowhere, p)), "the check reports a directory that does not exist");
    ok(APR_STATUS_IS_ENOENT(lh_spool_append(lh_spool_create(p, nowhere, "ada", 0, 0), bytes, 10)),
       "and so does an append");
    is_int(lh_spools_used(nowhere), 0, "a body without a file uses no bytes");
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 500;
    setrlimit(RLIMIT_FSIZE, &limit);
    spool = body(p, spools, "ada", 400, APR_SUCCESS);
    is_int(lh_spool_append(spool, bytes, 400), APR_FROM_OS_ERROR(EFBIG),
           "a write that fails in the middle is reported");
    setrlimit(RLIMIT_FSIZE, &before);
    ok(lh_spool_length(spool) == 400 && lh_spools_used(spools) == 400, "it appends nothing");
    is_int(lh_spool_append(spool, bytes, 400), APR_SUCCESS, "the body can be continued");
    is_int(lh_spool_length(spool), 800, "with its length");
    apr_file_info_get(&info, APR_FINFO_SIZE, lh_spool_file(spool));
    is_int(info.size, 800, "without bytes of the write that failed");
    apr_pool_destroy(p);
}

int main(void)
{
    tap_begin();
    apr_temp_dir_get(&directory, tap_pool);
    test_contents();
    test_limits();
    test_senders();
    test_changes();
    test_failures();
    return tap_end();
}

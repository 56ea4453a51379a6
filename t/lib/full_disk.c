/* SPDX-License-Identifier: Apache-2.0 */
/* A full disk for PostgreSQL, as a library for LD_PRELOAD: while the file $FULL_DISK/base exists, no data file can
 * grow; while $FULL_DISK/pg_wal exists, no WAL can be written. The calls return ENOSPC. For 64-bit systems. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* access() would not use the capability with which tests below a closed directory run. */
static int is_full(const char *folder)
{
    const char *flags = getenv("FULL_DISK");
    struct stat file;
    char name[512];

    return flags && snprintf(name, sizeof(name), "%s/%s", flags, folder) < (int)sizeof(name) && !stat(name, &file);
}

/* Whether a write at this offset fails. */
static int is_refused(int fd, off_t offset)
{
    char link[64], path[1024];
    struct stat file;
    ssize_t length;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof(path) - 1);
    if (length <= 0) {
        return 0;
    }
    path[length] = '\0';
    if (strstr(path, "/pg_wal/")) {
        return is_full("pg_wal");
    }
    return strstr(path, "/base/") && is_full("base") && !fstat(fd, &file) && offset >= file.st_size;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset)
{
    ssize_t (*next)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite");

    if (is_refused(fd, offset)) {
        errno = ENOSPC;
        return -1;
    }
    return next(fd, data, length, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    ssize_t (*next)(int, const struct iovec *, int, off_t) = dlsym(RTLD_NEXT, "pwritev");

    if (is_refused(fd, offset)) {
        errno = ENOSPC;
        return -1;
    }
    return next(fd, parts, count, offset);
}

int posix_fallocate(int fd, off_t offset, off_t length)
{
    int (*next)(int, off_t, off_t) = dlsym(RTLD_NEXT, "posix_fallocate");

    return is_refused(fd, offset + length - 1) ? ENOSPC : next(fd, offset, length);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords that attackers try first: a few built-in patterns, and lists in files. Depends on APR and zlib. */
#ifndef LH_COMMON_PASSWORD_H
#define LH_COMMON_PASSWORD_H

#include <apr_pools.h>

#define LH_PASSWORD_BYTES_MIN 8
#define LH_PASSWORD_BYTES_MAX 72 /* bcrypt ignores all further bytes */

/* A list of passwords. It does not change after it was read, so that threads can use it at the same time. */
typedef struct lh_password_list lh_password_list;

/* A list without passwords. */
const lh_password_list *lh_password_list_empty(apr_pool_t *p);

/*
 * Reads a file with one password a line, as it is or gzipped. Lines that begin with #, and passwords that are too
 * short or too long for new ones, are ignored. Returns NULL, or why it could not be read: the file
 * may have at most 64 MB when unpacked, and must contain at least one password.
 */
const char *lh_password_list_read(apr_pool_t *p, const char *file, const lh_password_list **list);

/* The number of passwords in the list. */
int lh_password_list_count(const lh_password_list *list);

/*
 * 1 when the password is in the list (NULL: none) or has one of these forms, ignoring the case of ASCII letters: up to
 * four characters repeated, such as "aaaaaaaa" or "abababab"; neighbours in the alphabet or on a keyboard, such as
 * "abcdefgh", "hgfedcba" or "1q2w3e4r"; a common word with up to six characters that are not letters before and after
 * it, also with digits and signs in place of letters, such as "P4ssw0rd!" or "welcome2024".
 */
int lh_password_is_common(const char *password, const lh_password_list *list);

#endif

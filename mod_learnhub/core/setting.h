/* SPDX-License-Identifier: Apache-2.0 */
/* A setting is the cmd_data of a directive: it describes how the value is read and where it is stored. */
#ifndef LH_SETTING_H
#define LH_SETTING_H

#include <apr_pools.h>

typedef struct lh_setting lh_setting;

/* Reads the arguments of a directive into *target. Returns NULL, or an error message for the operator. */
typedef const char *lh_setting_reader(apr_pool_t *p, const lh_setting *setting, void *target, int argc,
                                      char *const argv[]);

/* How an unset value is represented: a NULL pointer, or a negative number (the first one of a struct). */
typedef enum { LH_SETTING_POINTER, LH_SETTING_NUMBER } lh_setting_kind;

struct lh_setting {
    lh_setting_reader *read;
    lh_setting_kind kind;
    apr_size_t offset, size;   /* of the value in lh_config */
    apr_int64_t min, max;      /* of an integer, or of a duration in microseconds */
    const char *default_value; /* as an argument of the directive; NULL: the value remains unset */
    const char *words;         /* the allowed names, separated by spaces */
    int parts;                 /* of equal size, which are set and inherited one by one; 0: the value is one part */
};

#endif

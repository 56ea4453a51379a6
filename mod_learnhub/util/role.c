/* SPDX-License-Identifier: Apache-2.0 */
#include "util/role.h"

#include <string.h>

#include "learnhub.h"

static const struct {
    unsigned role;
    const char *name;
} roles[] = {{LH_STUDENT, "student"}, {LH_INSTRUCTOR, "instructor"}, {LH_ADMIN, "admin"}, {LH_SERVICE, "service"}};

const char *lh_role_name(unsigned role)
{
    apr_size_t i;

    for (i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (roles[i].role == role) {
            return roles[i].name;
        }
    }
    return NULL;
}

unsigned lh_role_of(const char *name)
{
    apr_size_t i;

    for (i = 0; name && i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (!strcmp(roles[i].name, name)) {
            return roles[i].role;
        }
    }
    return 0;
}

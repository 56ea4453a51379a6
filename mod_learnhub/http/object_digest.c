/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of objects that are stored as they were sent: lh_fingerprint() and lh_canonical_md5(); what was saved last:
 * lh_remember() and lh_recalls_other(). */
#include <httpd.h>

#include <apr_escape.h>
#include <apr_md5.h>
#include <apr_strings.h>
#include <string.h>

#include "crypto/digest.h"
#include "http/call.h"
#include "http/error.h"
#include "util/json_canonical.h"
#include "util/recent.h"

const char *lh_fingerprint(const lh_call *call, const char *name)
{
    const char *text = lh_param(call, name);

    return text ? lh_digest_hex(call->r->pool, text) : NULL;
}

void lh_remember(const char *key, const char *value)
{
    if (key && value) {
        lh_recent_set(key, value);
    }
}

int lh_recalls_other(const char *key, const char *value)
{
    return key && value && lh_recent_differs(key, value);
}

lh_error *lh_canonical_md5(lh_call *call, const char *name, const char **md5)
{
    apr_pool_t *p = call->r->pool, *scratch;
    const char *text = lh_param(call, name), *why;
    unsigned char digest[APR_MD5_DIGESTSIZE];
    lh_slice form;

    apr_pool_create(&scratch, p);
    why = lh_canonical_form(scratch, text, strlen(text), &form);
    if (!why) {
        apr_md5(digest, form.data, form.length > 2 ? form.length : 0); /* {}: the MD5 of no bytes */
        *md5 = apr_pescape_hex(p, digest, sizeof(digest), 0);
    }
    apr_pool_destroy(scratch);
    return why ? lh_error_field(p, NULL, "body", NULL,
                                apr_psprintf(p, "The body is not valid JSON: %s: %s.", name, why))
               : NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of objects that are stored as they were sent: lh_fingerprint() and lh_canonical_md5(). */
#include <httpd.h>

#include <apr_escape.h>
#include <apr_md5.h>
#include <apr_strings.h>
#include <string.h>

#include "crypto/digest.h"
#include "http/call.h"
#include "http/error.h"
#include "util/json_canonical.h"

const char *lh_fingerprint(const lh_call *call, const char *name)
{
    const char *text = lh_param(call, name);

    return text ? lh_digest_hex(call->r->pool, text) : NULL;
}

lh_error *lh_canonical_md5(lh_call *call, const char *name, const char **md5)
{
    apr_pool_t *p = call->r->pool, *scratch;
    const char *text = lh_param(call, name), *why;
    unsigned char digest[APR_MD5_DIGESTSIZE];
    apr_size_t length = strlen(text);
    lh_json out;

    apr_pool_create(&scratch, p);
    lh_json_init(&out, scratch, length + 1);
    why = lh_canonical_write(scratch, text, length, &out);
    if (!why) {
        apr_md5(digest, out.out.data, out.out.length > 2 ? out.out.length : 0); /* {}: the MD5 of no bytes */
        *md5 = apr_pescape_hex(p, digest, sizeof(digest), 0);
    }
    apr_pool_destroy(scratch);
    return why ? lh_error_field(p, NULL, "body", NULL,
                                apr_psprintf(p, "The body is not valid JSON: %s: %s.", name, why))
               : NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of requests for our paths that httpd writes as an HTML page, because they precede every hook that could
 * redirect them: malformed or too large headers, a path that leaves the root, a URI that is too long.
 */
#ifndef LH_ERROR_FILTER_H
#define LH_ERROR_FILTER_H

#include "http/call.h"

/* Registers the filter. */
void lh_error_filter_register(void);

/* Replaces the page with the error of its status in the group's format. Call it from the hook insert_error_filter. */
void lh_error_filter_add(lh_call *call);

/* The path of the request, with `.` and `..` resolved, also if its URI is too long and httpd sets no path. NULL: the
 * request line has none. */
const char *lh_error_filter_path(const request_rec *r);

#endif

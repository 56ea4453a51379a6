/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of a request as bytes, read within limits: LearnHubMaxBody, or what LearnHubMaxPhoto asks for where a row
 * takes multipart/form-data and such a body comes.
 */
#ifndef LH_RECEIVE_H
#define LH_RECEIVE_H

#include "http/call.h"

/* LH_JSON, LH_FORM or LH_MULTIPART by the Content-Type; none is JSON. 0: another, or a charset that is not UTF-8. */
unsigned lh_receive_type(const request_rec *r);

/* Refuses a body that says it is too large, before anything of it is read; also where none is wanted. */
lh_error *lh_receive_check_length(lh_call *call);

/* The whole body, ended by a zero byte. */
lh_error *lh_receive_body(lh_call *call, const char **text, apr_size_t *length);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Responses to the routes with `depends`, kept in each process until what they show changes (see topics.h). A response
 * also expires when the column `_expires` of one of its rows says so. LearnHubCache limits their memory.
 */
#ifndef LH_CACHE_H
#define LH_CACHE_H

#include "http/call.h"
#include "http/reply.h"

/*
 * Finds the response to a call whose caller, path and query were checked; sets the note learnhub-cache. Returns 1 and
 * sets *response, whose body lives as long as the request. Otherwise call lh_cache_store() when the response is made.
 */
int lh_cache_find(lh_call *call, lh_response *response);

/* Stores the response if lh_cache_find() was called, it is a 200 and it is not too large. */
void lh_cache_store(lh_call *call, const lh_response *response);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of the pages for people (mod_learnhub/pages/). */
#ifndef LEARNHUB_PAGES_H
#define LEARNHUB_PAGES_H

#include "learnhub.h"

/* Answers a client that prefers HTML to JSON with the start page. Its extra_sql[0] succeeds if the database is
 * reachable. */
extern const lh_step lh_step_start_page;

/* Answers with a page on which people read and try the API, made of the files of LearnHubDocs, or with the plain
 * page. */
extern const lh_step lh_step_docs;

/* Answers with the plain page: the description of the routes, readable without scripts. */
extern const lh_step lh_step_docs_plain;

/* Answers with the file of LearnHubDocs whose version and name are the parameter `file`. */
extern const lh_step lh_step_docs_file;

#endif

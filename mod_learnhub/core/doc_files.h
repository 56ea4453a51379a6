/* SPDX-License-Identifier: Apache-2.0 */
/* The files of the page /docs (LearnHubDocs): a fixed table of names, read once into memory when httpd starts. */
#ifndef LH_DOC_FILES_H
#define LH_DOC_FILES_H

#include <apr_pools.h>

#include "core/setting.h"

typedef struct lh_doc_file {
    const char *data;
    apr_size_t length;
} lh_doc_file;

enum { LH_DOC_RENDERER_STYLE, LH_DOC_STYLE, LH_DOC_RENDERER, LH_DOC_SCRIPT, LH_DOC_FILES };

/* The names and the media types of the files, in the order of the enumeration. */
extern const char *const lh_doc_names[LH_DOC_FILES], *const lh_doc_types[LH_DOC_FILES];

typedef struct lh_doc_files {
    const char *version; /* the start of a digest of all files, in hex; NULL: Off, there are no files */
    lh_doc_file files[LH_DOC_FILES];
} lh_doc_files;

/* Reads the argument of LearnHubDocs: a directory that contains all of the files, or Off. */
lh_setting_reader lh_read_docs;

#endif

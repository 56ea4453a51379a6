/* SPDX-License-Identifier: Apache-2.0 */
#include "core/doc_files.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <httpd.h>
#include <string.h>

#include <http_config.h>

#include "crypto/digest.h"

#define FILE_BYTES_MAX (8 * 1024 * 1024)
#define VERSION_LENGTH 16 /* hex digits */

const char *const lh_doc_names[LH_DOC_FILES] = {
    [LH_DOC_RENDERER_STYLE] = "swagger-ui.css",
    [LH_DOC_STYLE] = "docs.css",
    [LH_DOC_RENDERER] = "swagger-ui-bundle.js",
    [LH_DOC_SCRIPT] = "docs.js",
};

const char *const lh_doc_types[LH_DOC_FILES] = {
    [LH_DOC_RENDERER_STYLE] = "text/css; charset=utf-8",
    [LH_DOC_STYLE] = "text/css; charset=utf-8",
    [LH_DOC_RENDERER] = "text/javascript; charset=utf-8",
    [LH_DOC_SCRIPT] = "text/javascript; charset=utf-8",
};

/* Reads a text file. Returns NULL, or why it cannot be read. */
static const char *read_file(apr_pool_t *p, const char *path, lh_doc_file *file)
{
    char reason[128], *data;
    apr_finfo_t info;
    apr_file_t *in;
    apr_status_t rv =
        apr_file_open(&in, path, APR_FOPEN_READ | APR_FOPEN_BINARY | APR_FOPEN_NONBLOCK, APR_FPROT_OS_DEFAULT, p);

    if (rv != APR_SUCCESS) {
        return apr_pstrdup(p, apr_strerror(rv, reason, sizeof(reason)));
    }
    rv = apr_file_info_get(&info, APR_FINFO_SIZE | APR_FINFO_TYPE, in);
    if (rv != APR_SUCCESS || info.filetype != APR_REG || info.size == 0 || info.size > FILE_BYTES_MAX) {
        apr_file_close(in);
        return "must be a file of 1 byte to 8 MB";
    }
    data = apr_palloc(p, (apr_size_t)info.size + 1);
    rv = apr_file_read_full(in, data, (apr_size_t)info.size, NULL);
    apr_file_close(in);
    if (rv != APR_SUCCESS) {
        return apr_pstrdup(p, apr_strerror(rv, reason, sizeof(reason)));
    }
    data[info.size] = '\0';
    file->data = data;
    file->length = (apr_size_t)info.size;
    return strlen(data) == file->length ? NULL : "must be a text file";
}

/* URLs of the files contain the version: it changes with any of them, so that browsers may keep them for ever. */
static const char *version_of(apr_pool_t *p, const lh_doc_files *files)
{
    const char *all = "";
    int i;

    for (i = 0; all && i < LH_DOC_FILES; i++) {
        const char *digest = lh_digest_hex(p, files->files[i].data);
        all = digest ? apr_pstrcat(p, all, digest, NULL) : NULL;
    }
    all = all ? lh_digest_hex(p, all) : NULL;
    return all ? apr_pstrmemdup(p, all, VERSION_LENGTH) : NULL;
}

const char *lh_read_docs(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    const char *directory = argc == 1 && *argv[0] ? ap_server_root_relative(p, argv[0]) : NULL;
    lh_doc_files *read = apr_pcalloc(p, sizeof(*read));
    int i;

    (void)setting;
    if (!directory) {
        return "must be Off or the directory of the files of /docs";
    }
    *(const lh_doc_files **)target = read;
    if (!strcasecmp(argv[0], "Off")) {
        return NULL;
    }
    for (i = 0; i < LH_DOC_FILES; i++) {
        const char *why = read_file(p, apr_pstrcat(p, directory, "/", lh_doc_names[i], NULL), &read->files[i]);
        if (why) {
            return apr_psprintf(p, "%s/%s: %s", argv[0], lh_doc_names[i], why);
        }
    }
    read->version = version_of(p, read);
    return read->version ? NULL : "no digest of the files could be computed";
}

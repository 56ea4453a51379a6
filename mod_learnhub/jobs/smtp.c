/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/smtp.h"

#include <apr_strings.h>
#include <curl/curl.h>
#include <string.h>

#define CONNECT_LIMIT 5000L /* milliseconds */
#define REPLY_MAX 300       /* bytes of a server's reply that are kept */

/* The command that was sent last, as far as it decides what a reply means. */
typedef enum { STAGE_BEGIN, STAGE_RECIPIENT, STAGE_DATA } stage;

struct lh_smtp {
    apr_pool_t *pool;
    CURL *curl;
    lh_smtp_stop *stop;

    /* Of the present mail. */
    const char *message;
    apr_size_t length, taken; /* bytes that libcurl has read */
    stage stage;
    int over;              /* QUIT was sent: what follows says nothing of the mail */
    int code;              /* of the last reply to the last command; 0: none yet */
    char reply[REPLY_MAX]; /* its last line */
};

/* ---- libcurl's state ---- */

static apr_status_t forget_curl(void *unused)
{
    (void)unused;
    curl_global_cleanup();
    return APR_SUCCESS;
}

apr_status_t lh_smtp_prepare(apr_pool_t *pconf)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return APR_EGENERAL;
    }
    apr_pool_cleanup_register(pconf, NULL, forget_curl, apr_pool_cleanup_null);
    return APR_SUCCESS;
}

/* ---- what libcurl calls ---- */

static size_t read_message(char *buffer, size_t size, size_t count, void *data)
{
    lh_smtp *smtp = data;
    apr_size_t left = smtp->length - smtp->taken, length = size * count < left ? size * count : left;

    memcpy(buffer, smtp->message + smtp->taken, length);
    smtp->taken += length;
    return length;
}

static int all_taken(const lh_smtp *smtp)
{
    return smtp->stage == STAGE_DATA && smtp->taken == smtp->length;
}

static int may_go_on(void *data, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const lh_smtp *smtp = data;

    (void)a, (void)b, (void)c, (void)d;
    return smtp->stop() && !all_taken(smtp);
}

static int begins(const char *text, size_t length, const char *with)
{
    return length >= strlen(with) && !memcmp(text, with, strlen(with));
}

static void note_reply(lh_smtp *smtp, const char *line, size_t length)
{
    char *s;

    if (length < 3 || line[0] < '2' || line[0] > '5') {
        return;
    }
    smtp->code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
    apr_cpystrn(smtp->reply, line, length < REPLY_MAX ? length + 1 : REPLY_MAX);
    for (s = smtp->reply; *s; s++) {
        if ((unsigned char)*s < ' ' || (unsigned char)*s > '~') {
            *s = ' ';
        }
    }
    while (s > smtp->reply && s[-1] == ' ') {
        *--s = '\0';
    }
}

/* The conversation, line by line; what was sent is looked at and not kept, as it has the password. */
static int overhear(CURL *curl, curl_infotype type, char *line, size_t length, void *data)
{
    lh_smtp *smtp = data;

    (void)curl;
    smtp->over = smtp->over || (type == CURLINFO_HEADER_OUT && begins(line, length, "QUIT\r"));
    if (smtp->over) {
        return 0;
    }
    if (type == CURLINFO_HEADER_IN) {
        note_reply(smtp, line, length);
    }
    else if (type == CURLINFO_HEADER_OUT) {
        smtp->code = 0;
        smtp->stage = begins(line, length, "RCPT TO:") ? STAGE_RECIPIENT
                      : begins(line, length, "DATA\r") ? STAGE_DATA
                                                       : STAGE_BEGIN;
    }
    return 0;
}

/* Replies to headers would go to standard output otherwise. */
static size_t swallow(char *data, size_t size, size_t count, void *unused)
{
    (void)data, (void)unused;
    return size * count;
}

/* ---- opening ---- */

static apr_status_t close_curl(void *curl)
{
    curl_easy_cleanup(curl);
    return APR_SUCCESS;
}

static int is_local(const char *url)
{
    const char *host = strstr(url, "://") + 3;
    apr_size_t length = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");

    return (length == 9 && !strncasecmp(host, "localhost", 9)) || (length == 5 && !strncmp(host, "[::1]", 5)) ||
           (!strncmp(host, "127.", 4) && strspn(host, "0123456789.") == length);
}

lh_smtp *lh_smtp_open(apr_pool_t *p, const char *url, const lh_credentials *login, lh_smtp_stop *stop)
{
    lh_smtp *smtp = apr_pcalloc(p, sizeof(*smtp));
    CURL *curl = smtp->curl = curl_easy_init();

    if (!curl) {
        return NULL;
    }
    apr_pool_cleanup_register(p, curl, close_curl, apr_pool_cleanup_null);
    smtp->pool = p;
    smtp->stop = stop;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_LIMIT);
    curl_easy_setopt(curl, CURLOPT_USE_SSL, (long)(login && !is_local(url) ? CURLUSESSL_ALL : CURLUSESSL_TRY));
    if (login) {
        curl_easy_setopt(curl, CURLOPT_USERNAME, login->user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, login->password);
    }
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_message);
    curl_easy_setopt(curl, CURLOPT_READDATA, smtp);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, swallow);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, may_go_on);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, smtp);
    curl_easy_setopt(curl, CURLOPT_VERBOSE, 1L);
    curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, overhear);
    curl_easy_setopt(curl, CURLOPT_DEBUGDATA, smtp);
    return smtp;
}

/* ---- sending ---- */

/* 421 is the server's own end, whatever it answers. */
static lh_smtp_outcome judge(const lh_smtp *smtp, CURLcode result)
{
    if (result == CURLE_OK) {
        return LH_SMTP_SENT;
    }
    if (result == CURLE_ABORTED_BY_CALLBACK) {
        return LH_SMTP_STOPPED;
    }
    if (all_taken(smtp) && smtp->code < 400) {
        return LH_SMTP_UNKNOWN;
    }
    if (smtp->stage == STAGE_BEGIN || smtp->code < 400 || smtp->code == 421) {
        return LH_SMTP_DOWN;
    }
    return smtp->code < 500 ? LH_SMTP_LATER : LH_SMTP_REFUSED;
}

/* A reply to a login may repeat what it was given. */
static const char *reason(const lh_smtp *smtp, CURLcode result)
{
    return smtp->code >= 400 && result != CURLE_LOGIN_DENIED ? apr_pstrdup(smtp->pool, smtp->reply)
                                                             : curl_easy_strerror(result);
}

lh_smtp_outcome lh_smtp_send(lh_smtp *smtp, const lh_envelope *envelope, const char **why)
{
    CURL *curl = smtp->curl;
    struct curl_slist *to = curl_slist_append(NULL, apr_pstrcat(smtp->pool, "<", envelope->to, ">", NULL));
    CURLcode result = to ? CURLE_OK : CURLE_OUT_OF_MEMORY;

    smtp->message = envelope->message;
    smtp->length = envelope->length;
    smtp->taken = 0;
    smtp->stage = STAGE_BEGIN;
    smtp->over = smtp->code = 0;
    curl_easy_setopt(curl, CURLOPT_MAIL_FROM, apr_pstrcat(smtp->pool, "<", envelope->from, ">", NULL));
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, to);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)envelope->length);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)apr_time_as_msec(envelope->limit) + 1); /* 0 is none */
    if (result == CURLE_OK) {
        result = curl_easy_perform(curl);
    }
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, NULL);
    curl_slist_free_all(to);
    *why = reason(smtp, result);
    return judge(smtp, result);
}

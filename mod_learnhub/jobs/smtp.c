/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/smtp.h"

#include <apr_strings.h>
#include <curl/curl.h>
#include <string.h>

#define CONNECT_LIMIT 5000L /* milliseconds */
#define REPLY_BYTES 300     /* of a server's reply; the rest is cut off */

/* The last command: errors in reply to RCPT, DATA or the message concern only the mail. */
typedef enum {
    STAGE_OTHER,
    STAGE_RECIPIENT, /* RCPT */
    STAGE_DATA       /* DATA and the message */
} stage;

struct lh_smtp {
    apr_pool_t *pool;
    CURL *curl;
    lh_smtp_stop *stop;

    /* Of the current mail. */
    const char *message;
    apr_size_t length, sent; /* bytes of the message; how many of them libcurl has read */
    stage stage;
    int quit;                /* QUIT was sent: later replies are ignored */
    int code;                /* of the reply to the last command; 0: none yet */
    char reply[REPLY_BYTES]; /* the last line of that reply */
};

/* ---- libcurl's global state ---- */

static apr_status_t clean_up_curl(void *unused)
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
    apr_pool_cleanup_register(pconf, NULL, clean_up_curl, apr_pool_cleanup_null);
    return APR_SUCCESS;
}

/* ---- callbacks for libcurl ---- */

static size_t read_message(char *buffer, size_t size, size_t count, void *data)
{
    lh_smtp *smtp = data;
    apr_size_t left = smtp->length - smtp->sent, length = size * count < left ? size * count : left;

    memcpy(buffer, smtp->message + smtp->sent, length);
    smtp->sent += length;
    return length;
}

static int all_sent(const lh_smtp *smtp)
{
    return smtp->stage == STAGE_DATA && smtp->sent == smtp->length;
}

/* The progress callback: 1 aborts the transfer. */
static int must_abort(void *data, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const lh_smtp *smtp = data;

    (void)a, (void)b, (void)c, (void)d;
    return smtp->stop() && !all_sent(smtp);
}

static int starts_with(const char *text, size_t length, const char *prefix)
{
    return length >= strlen(prefix) && !memcmp(text, prefix, strlen(prefix));
}

/* Stores the code and text of a reply line, printable ASCII only. */
static void store_reply(lh_smtp *smtp, const char *line, size_t length)
{
    char *s;

    if (length < 3 || line[0] < '2' || line[0] > '5') {
        return;
    }
    smtp->code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
    apr_cpystrn(smtp->reply, line, length < REPLY_BYTES ? length + 1 : REPLY_BYTES);
    for (s = smtp->reply; *s; s++) {
        if ((unsigned char)*s < ' ' || (unsigned char)*s > '~') {
            *s = ' ';
        }
    }
    while (s > smtp->reply && s[-1] == ' ') {
        *--s = '\0';
    }
}

/* The debug callback: receives every line that is sent or received. Sent lines may contain the password and are not
 * stored. */
static int watch_line(CURL *curl, curl_infotype type, char *line, size_t length, void *data)
{
    lh_smtp *smtp = data;

    (void)curl;
    smtp->quit = smtp->quit || (type == CURLINFO_HEADER_OUT && starts_with(line, length, "QUIT\r"));
    if (smtp->quit) {
        return 0;
    }
    if (type == CURLINFO_HEADER_IN) {
        store_reply(smtp, line, length);
    }
    else if (type == CURLINFO_HEADER_OUT) {
        smtp->code = 0;
        smtp->stage = starts_with(line, length, "RCPT TO:") ? STAGE_RECIPIENT
                      : starts_with(line, length, "DATA\r") ? STAGE_DATA
                                                            : STAGE_OTHER;
    }
    return 0;
}

/* By default libcurl writes replies to standard output. */
static size_t discard(char *data, size_t size, size_t count, void *unused)
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

/* 1 if the host of an SMTP URL is localhost or a loopback address. */
static int is_local(const char *url)
{
    const char *host = strstr(url, "://") + 3;
    apr_size_t length = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");

    return (length == 9 && !strncasecmp(host, "localhost", 9)) || (length == 5 && !strncmp(host, "[::1]", 5)) ||
           (!strncmp(host, "127.", 4) && strspn(host, "0123456789.") == length);
}

lh_smtp *lh_smtp_open(apr_pool_t *p, const char *url, const lh_credentials *login, int tls, lh_smtp_stop *stop)
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
    curl_easy_setopt(curl, CURLOPT_USE_SSL, (long)((login || tls) && !is_local(url) ? CURLUSESSL_ALL : CURLUSESSL_TRY));
    if (login) {
        curl_easy_setopt(curl, CURLOPT_USERNAME, login->user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, login->password);
    }
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_message);
    curl_easy_setopt(curl, CURLOPT_READDATA, smtp);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, discard);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, must_abort);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, smtp);
    curl_easy_setopt(curl, CURLOPT_VERBOSE, 1L);
    curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, watch_line);
    curl_easy_setopt(curl, CURLOPT_DEBUGDATA, smtp);
    return smtp;
}

/* ---- sending ---- */

/* With the reply 421 to any command the server closes the connection. */
static lh_smtp_outcome classify(const lh_smtp *smtp, CURLcode result)
{
    if (result == CURLE_OK) {
        return LH_SMTP_SENT;
    }
    if (result == CURLE_ABORTED_BY_CALLBACK) {
        return LH_SMTP_STOPPED;
    }
    if (all_sent(smtp) && smtp->code < 400) {
        return LH_SMTP_UNKNOWN;
    }
    if (smtp->stage == STAGE_OTHER || smtp->code < 400 || smtp->code == 421) {
        return LH_SMTP_DOWN;
    }
    return smtp->code < 500 ? LH_SMTP_LATER : LH_SMTP_REJECTED;
}

/* The reply to a failed login is not used: it may repeat the password. */
static void set_cause(const lh_smtp *smtp, CURLcode result, lh_smtp_cause *why)
{
    why->reply = why->summary = curl_easy_strerror(result);
    if (smtp->code >= 400 && result != CURLE_LOGIN_DENIED) {
        why->reply = apr_pstrdup(smtp->pool, smtp->reply);
        why->summary = apr_itoa(smtp->pool, smtp->code);
    }
}

lh_smtp_outcome lh_smtp_send(lh_smtp *smtp, const lh_envelope *envelope, lh_smtp_cause *why)
{
    CURL *curl = smtp->curl;
    struct curl_slist *to = curl_slist_append(NULL, apr_pstrcat(smtp->pool, "<", envelope->to, ">", NULL));
    CURLcode result = to ? CURLE_OK : CURLE_OUT_OF_MEMORY;

    smtp->message = envelope->message;
    smtp->length = envelope->length;
    smtp->sent = 0;
    smtp->stage = STAGE_OTHER;
    smtp->quit = smtp->code = 0;
    curl_easy_setopt(curl, CURLOPT_MAIL_FROM, apr_pstrcat(smtp->pool, "<", envelope->from, ">", NULL));
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, to);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)envelope->length);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)apr_time_as_msec(envelope->limit) + 1); /* 0 would be no limit */
    if (result == CURLE_OK) {
        result = curl_easy_perform(curl);
    }
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, NULL);
    curl_slist_free_all(to);
    set_cause(smtp, result, why);
    return classify(smtp, result);
}

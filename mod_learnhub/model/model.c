/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include <apr_strings.h>
#include <apr_thread_mutex.h>
#include <curl/curl.h>

#include "core/learnhub_module.h"
#include "util/clock.h"
#include "util/counters.h"
#include "util/json.h"
#include "util/json_value.h"

#define FAILURES_MAX 3     /* in a row, before the breaker opens */
#define OPEN_TIMEOUTS 10   /* how long the breaker stays open, in multiples of the timeout */
#define CONCURRENT_MAX 8   /* requests of a process that wait for the model; others do not query it */
#define RESPONSE_MAX 65536 /* bytes */

struct lh_model {
    const char *url, *name, *authorization; /* a header line, or NULL */
    apr_interval_time_t timeout;
    apr_thread_mutex_t *lock; /* guards the fields below */
    int failures;             /* in a row; FAILURES_MAX and more: the breaker is open or half-open */
    int concurrent;           /* requests that wait for the model */
    apr_time_t open_until;    /* on lh_clock(); from then on the breaker is half-open */
};

/* ---- circuit breaker ---- */

lh_model_state lh_model_enter(lh_model *model)
{
    apr_time_t now = lh_clock();
    lh_model_state state;

    apr_thread_mutex_lock(model->lock);
    state = model->failures >= FAILURES_MAX && now < model->open_until ? LH_MODEL_DOWN
            : model->concurrent >= CONCURRENT_MAX                      ? LH_MODEL_BUSY
                                                                       : LH_MODEL_READY;
    if (state == LH_MODEL_READY) {
        model->concurrent++;
        /* Half-open: no other request may query the model until this one has its result. */
        model->open_until = now + OPEN_TIMEOUTS * model->timeout;
    }
    apr_thread_mutex_unlock(model->lock);
    return state;
}

void lh_model_leave(lh_model *model, lh_model_outcome outcome, server_rec *s)
{
    int before;

    apr_thread_mutex_lock(model->lock);
    before = model->failures;
    model->concurrent--;
    if (outcome == LH_MODEL_NOT_ASKED) {
        model->open_until = 0; /* still half-open: the next request queries the model */
    }
    else {
        model->failures = outcome == LH_MODEL_SUCCEEDED ? 0 : before + 1;
        model->open_until = lh_clock() + OPEN_TIMEOUTS * model->timeout;
    }
    apr_thread_mutex_unlock(model->lock);
    if (outcome == LH_MODEL_FAILED && before + 1 == FAILURES_MAX) {
        lh_gauge_add(LH_GAUGE_MODEL_DOWN, 1);
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     LH_LOG(0010) "model: circuit breaker open after %d failures, next try in %" APR_INT64_T_FMT " s",
                     FAILURES_MAX, apr_time_sec(OPEN_TIMEOUTS * model->timeout));
    }
    if (outcome == LH_MODEL_SUCCEEDED && before >= FAILURES_MAX) {
        lh_gauge_add(LH_GAUGE_MODEL_DOWN, -1);
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, LH_LOG(0011) "model: circuit breaker closed");
    }
}

/* ---- the request ---- */

static void write_request(lh_json *json, apr_pool_t *p, const lh_model *model, const lh_model_message *messages,
                          int count)
{
    int i;

    lh_json_init(json, p, 4096);
    lh_json_open(json, '{');
    lh_json_key(json, "model");
    lh_json_text(json, model->name);
    lh_json_key(json, "temperature");
    lh_json_int(json, 0);
    lh_json_key(json, "messages");
    lh_json_open(json, '[');
    for (i = 0; i < count; i++) {
        lh_json_open(json, '{');
        lh_json_key(json, "role");
        lh_json_text(json, messages[i].role);
        lh_json_key(json, "content");
        lh_json_text(json, messages[i].content);
        lh_json_close(json, '}');
    }
    lh_json_close(json, ']');
    lh_json_close(json, '}');
}

/* ---- HTTP ---- */

static apr_status_t free_handle(void *curl)
{
    curl_easy_cleanup(curl);
    return APR_SUCCESS;
}

static apr_status_t free_headers(void *headers)
{
    curl_slist_free_all(headers);
    return APR_SUCCESS;
}

/* 0 aborts the transfer. */
static size_t receive(char *data, size_t size, size_t count, void *response)
{
    lh_buffer *buffer = response;

    if (buffer->length + size * count > RESPONSE_MAX) {
        return 0;
    }
    lh_buffer_append(buffer, data, size * count);
    return size * count;
}

static struct curl_slist *make_headers(apr_pool_t *p, const lh_model *model)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");

    if (headers && model->authorization) {
        curl_slist_append(headers, model->authorization);
    }
    apr_pool_cleanup_register(p, headers, free_headers, apr_pool_cleanup_null);
    return headers;
}

/* Returns NULL, or the cause of the failure. */
static const char *post(apr_pool_t *p, const lh_model *model, const lh_json *request, lh_buffer *response)
{
    CURL *curl = curl_easy_init();
    CURLcode code;
    long status = 0, timeout = (long)apr_time_as_msec(model->timeout);

    if (!curl) {
        return "libcurl has no memory";
    }
    apr_pool_cleanup_register(p, curl, free_handle, apr_pool_cleanup_null);
    lh_buffer_init(response, p, 4096);
    curl_easy_setopt(curl, CURLOPT_URL, model->url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, make_headers(p, model));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->out.data);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)request->out.length);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, response);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* do not wait for a name lookup */
#endif
    code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return code != CURLE_OK ? curl_easy_strerror(code) : status != 200 ? apr_psprintf(p, "status %ld", status) : NULL;
}

/* ---- a question ---- */

/* Reads {"choices": [{"message": {"content": "..."}}]}. */
static const char *read_content(apr_pool_t *p, const lh_buffer *response)
{
    const lh_json_value *root = lh_json_value_parse(p, response->data, response->length).root;
    const lh_json_value *choice = lh_json_value_at(lh_json_value_get(root, "choices"), 0);

    return lh_json_value_string(lh_json_value_get(lh_json_value_get(choice, "message"), "content"), NULL);
}

const char *lh_model_ask(apr_pool_t *p, const lh_model *model, const lh_model_message *messages, int count,
                         const char **content)
{
    lh_json request;
    lh_buffer response;
    const char *why;

    *content = NULL;
    write_request(&request, p, model, messages, count);
    why = post(p, model, &request, &response);
    if (!why) {
        *content = read_content(p, &response);
        why = *content ? NULL : "the response has no text";
    }
    return why;
}

const lh_json_value *lh_model_object(apr_pool_t *p, const char *content)
{
    const char *from = strchr(content, '{'), *to = from ? strrchr(from, '}') : NULL;

    return to ? lh_json_value_parse(p, from, (apr_size_t)(to - from) + 1).root : NULL;
}

/* ---- child_init ---- */

lh_model *lh_model_create(apr_pool_t *p, const lh_config *config, apr_interval_time_t timeout)
{
    lh_model *model = config->model_url ? apr_pcalloc(p, sizeof(*model)) : NULL;

    if (model) {
        model->url = config->model_url;
        model->name = config->model_name;
        model->timeout = timeout;
        model->authorization =
            config->model_key ? apr_pstrcat(p, "Authorization: Bearer ", config->model_key, NULL) : NULL;
        apr_thread_mutex_create(&model->lock, APR_THREAD_MUTEX_DEFAULT, p);
    }
    return model;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Integers and numbers with decimals, compared with libc, and the JSON writer's numbers, which read back the same. */
#include <apr_strings.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "fuzz.h"
#include "util/json.h"
#include "util/text.h"

#define DIGITS "0123456789"

static void check_integer(const char *text)
{
    const char *digits = text + (*text == '-');
    apr_int64_t ours = 0;
    long long theirs;
    int expected;

    errno = 0;
    theirs = strtoll(text, NULL, 10);
    expected = *digits && strspn(digits, DIGITS) == strlen(digits) && errno == 0;
    REQUIRE(lh_text_integer(text, &ours) == expected && (!expected || ours == theirs));
}

static void check_hundredths(const char *text)
{
    const char *digits = text + (*text == '-'), *point = digits + strspn(digits, DIGITS);
    apr_size_t whole = (apr_size_t)(point - digits), decimals = *point == '.' ? strlen(point + 1) : 0;
    int form =
        whole && (!*point || (*point == '.' && decimals && decimals <= 2 && strspn(point + 1, DIGITS) == decimals));
    apr_int64_t ours = 0;
    int good = lh_text_hundredths(text, &ours);

    REQUIRE(!good || form);
    REQUIRE(good || !form || whole > 14);
    if (good && whole + decimals <= 15) {
        REQUIRE(ours == llrintl(strtold(text, NULL) * 100));
    }
}

static void check_writer(apr_pool_t *p, double value)
{
    lh_json json;
    const char *text;

    lh_json_init(&json, p, 8);
    lh_json_number(&json, value);
    text = lh_json_result(&json);
    if (isfinite(value)) {
        REQUIRE(strtod(text, NULL) == value && strlen(text) <= 24);
        REQUIRE(strspn(text, DIGITS "+-.e") == strlen(text) && *text != '+' && *text != '.');
    }
    else {
        REQUIRE(!strcmp(text, "null"));
    }
}

void fuzz(apr_pool_t *p, char *data, apr_size_t size)
{
    char *text = strdup(data); /* ends at the first zero byte */
    double value;

    check_integer(text);
    check_hundredths(text);
    check_writer(p, strtod(text, NULL));
    if (size >= sizeof(value)) {
        memcpy(&value, data, sizeof(value));
        check_writer(p, value);
    }
    free(text);
}

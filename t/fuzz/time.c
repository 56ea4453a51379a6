/* SPDX-License-Identifier: Apache-2.0 */
/* Dates, times and durations: the same texts are accepted, with the same values, as by regular expressions. */
#include <apr_strings.h>
#include <regex.h>
#include <string.h>
#include <time.h>

#include "fuzz.h"
#include "util/json.h"
#include "util/text.h"

#define D2 "([0-9]{2})"
#define TIME "^([0-9]{4})-" D2 "-" D2 "([Tt ]" D2 ":" D2 "(:" D2 "(\\.([0-9]+))?)?([Zz]|([+-])" D2 "(:?" D2 ")?)?)?$"
#define DURATION "^([0-9]{2}):([0-5][0-9]):([0-5][0-9])$"

static regex_t time_form, duration_form;

/* The number in a group; 0 if the group is absent. */
static int group(const char *text, const regmatch_t *match)
{
    int value = 0;
    regoff_t i;

    for (i = match->rm_so; i < match->rm_eo; i++) {
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

/* The fraction of a second in microseconds; further digits are ignored. */
static apr_int64_t fraction(const char *text, const regmatch_t *match)
{
    char digits[] = "000000";
    size_t length = match->rm_so < 0 ? 0 : (size_t)(match->rm_eo - match->rm_so);

    memcpy(digits, text + (length ? match->rm_so : 0), length < 6 ? length : 6);
    return atoi(digits);
}

/* 1 if the text is a time of the years 1 to 9999 in UTC. */
static int reference_time(const char *text, apr_int64_t *micros)
{
    regmatch_t m[16];
    struct tm parts = {0}, same;
    time_t seconds;
    int east;

    if (regexec(&time_form, text, 16, m, 0)) {
        return 0;
    }
    parts.tm_year = group(text, &m[1]) - 1900;
    parts.tm_mon = group(text, &m[2]) - 1;
    parts.tm_mday = group(text, &m[3]);
    parts.tm_hour = group(text, &m[5]);
    parts.tm_min = group(text, &m[6]);
    parts.tm_sec = group(text, &m[8]);
    same = parts;
    seconds = timegm(&same); /* normalizes what does not exist, such as February 30 */
    if (same.tm_mon != parts.tm_mon || same.tm_mday != parts.tm_mday || same.tm_hour != parts.tm_hour ||
        same.tm_min != parts.tm_min || same.tm_sec != parts.tm_sec || parts.tm_year < 1 - 1900 ||
        group(text, &m[13]) > 23 || group(text, &m[15]) > 59) {
        return 0;
    }
    east = (group(text, &m[13]) * 60 + group(text, &m[15])) * 60;
    seconds -= m[12].rm_so >= 0 && text[m[12].rm_so] == '-' ? -east : east;
    *micros = (apr_int64_t)seconds * APR_USEC_PER_SEC + fraction(text, &m[10]);
    return seconds >= -62135596800 && seconds < 253402300800;
}

static void check_time(apr_pool_t *p, const char *text)
{
    apr_int64_t ours = 0, theirs = 0, again = 0;
    int good = lh_text_time(text, &ours), expected = reference_time(text, &theirs);
    lh_json json;

    REQUIRE(good == expected && (!good || ours == theirs));
    if (good) {
        lh_json_init(&json, p, 8);
        lh_json_time(&json, ours, LH_MICROS_Z);
        REQUIRE(lh_text_time(apr_pstrmemdup(p, json.out.data + 1, json.out.length - 2), &again) && again == ours);
    }
}

static void check_duration(const char *text)
{
    regmatch_t m[4];
    int seconds = -1;

    if (!regexec(&duration_form, text, 4, m, 0)) {
        seconds = (group(text, &m[1]) * 60 + group(text, &m[2])) * 60 + group(text, &m[3]);
    }
    REQUIRE(lh_text_duration(text) == seconds);
}

void fuzz(apr_pool_t *p, char *data, apr_size_t size)
{
    static int ready;
    char *text = strdup(data); /* ends at the first zero byte */

    (void)size;
    if (!ready++) {
        REQUIRE(!regcomp(&time_form, TIME, REG_EXTENDED) && !regcomp(&duration_form, DURATION, REG_EXTENDED));
    }
    check_time(p, text);
    check_duration(text);
    free(text);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "openapi/example.h"

#include <string.h>

#include "util/json.h"
#include "util/text.h"

/* clang-format off */

/* The values of fields with these names, as text; of lists and objects, as JSON. */
static const struct {
    const char *name;
    lh_type type;
    const char *value;
} by_name[] = {
    {"about_me",              LH_STRING,  "I have built distributed systems for ten years."},
    {"access",                LH_STRING,  "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"},
    {"access_token",          LH_STRING,  "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"},
    {"refresh",               LH_STRING,  "eyJhbGciOiJIUzI1NiJ9.e30.cmVm"},
    {"refresh_token",         LH_STRING,  "eyJhbGciOiJIUzI1NiJ9.e30.cmVm"},
    {"auth_token",            LH_STRING,  "9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b"},
    {"token",                 LH_STRING,  "7d4b1c0e5f"},
    {"uid",                   LH_STRING,  "Mjc"},

    {"username",              LH_STRING,  "ada"},
    {"email",                 LH_STRING,  "ada@example.com"},
    {"first_name",            LH_STRING,  "Ada"},
    {"last_name",             LH_STRING,  "King"},
    {"mentor_first_name",     LH_STRING,  "Ada"},
    {"mentor_last_name",      LH_STRING,  "King"},
    {"mentee_first_name",     LH_STRING,  "Amara"},
    {"mentee_last_name",      LH_STRING,  "Diallo"},
    {"phone_number",          LH_STRING,  "+12345678987"},
    {"github_username",       LH_STRING,  "octocat"},
    {"password",              LH_STRING,  "correct horse"},
    {"password2",             LH_STRING,  "correct horse"},
    {"confirm_password",      LH_STRING,  "correct horse"},
    {"re_password",           LH_STRING,  "correct horse"},
    {"current_password",      LH_STRING,  "correct horse"},
    {"new_password",          LH_STRING,  "another horse"},
    {"re_new_password",       LH_STRING,  "another horse"},

    {"title",                 LH_STRING,  "An introduction to caches"},
    {"description",           LH_STRING,  "Which caches there are, and what they cost."},
    {"requirements",          LH_STRINGS, "[\"Reads take less than 100 ms\"]"},
    {"constraints",           LH_STRINGS, "[\"10 million users\"]"},
    {"hints",                 LH_STRINGS, "[\"Cache what is read often\"]"},
    {"categories",            LH_STRINGS, "[\"caching\"]"},
    {"skills",                LH_STRINGS, "[\"C\", \"SQL\"]"},
    {"estimated_time",        LH_STRING,  "45 minutes"},
    {"diagram_data",          LH_OBJECT,  "{\"elements\": [{\"type\": \"text\", \"text\": \"Cache\"}]}"},
    {"diagram_hash",          LH_STRING,  "8c69d49e2b7cd5bbc99d622fd0946b5a"},
    {"message",               LH_STRING,  "Where do I store the likes?"},
    {"content",               LH_STRING,  "Where do I store the likes?"},
    {"timestamp",             LH_STRING,  "2024-01-15T10:35:00"},
    {"problem_id",            LH_OBJECT_ID, "6b01d45538cde486e0000007"},
    {"session_id",            LH_OBJECT_ID, "6b01d45538cde486e0000011"},
    {"strengths",             LH_STRINGS, "[\"Reads come from a cache\"]"},
    {"improvements",          LH_STRINGS, "[\"Limit the size of the cache\"]"},
    {"missing_components",    LH_STRINGS, "[\"A database\"]"},
    {"implemented",           LH_STRINGS, "[\"Reads take less than 100 ms\"]"},
    {"missing",               LH_STRINGS, "[\"A database\"]"},
    {"next_steps",            LH_STRINGS, "[\"Add a database behind the cache\"]"},
    {"tips",                  LH_STRINGS, "[\"Label the connections\"]"},
    {"requirement",           LH_STRING,  "Reads take less than 100 ms"},
    {"note",                  LH_STRING,  "The cache holds what is read often."},

    {"activity",              LH_STRING,  "hiking"},
    {"activity_date",         LH_STRING,  "2024-01-15"},
    {"location",              LH_STRING,  "At the lake"},
    {"category",              LH_STRING,  "General"},
    {"session_name",          LH_STRING,  "Parser"},
    {"reason",                LH_STRING,  "A sticker"},
    {"name",                  LH_STRING,  "Books"},
    {"icon",                  LH_STRING,  "\xF0\x9F\x8C\xB3"},
    {"reward_icon",           LH_STRING,  "\xF0\x9F\x8C\xB3"},
    {"profile_pic",           LH_STRING,  "https://example.com/api/profiles/photos/5f2a"},
    {"profile_photo",         LH_STRING,  "https://example.com/myprofile/photos/5f2a"},
    {"verification_proof",    LH_STRING,  "https://example.com/api/activities/photos/5f2a"},
    {"url",                   LH_STRING,  "https://example.com/caching"},

    {"emoji",                 LH_STRING,  "\xF0\x9F\x8E\xAF"},
    {"device_platform",       LH_STRING,  "android"},

    {"address",               LH_STRING,  "192.0.2.7"},
    {"user_agent",            LH_STRING,  "curl/8.5.0"},
    {"event",                 LH_STRING,  "role_changed"},
    {"version",               LH_STRING,  LH_VERSION},

    {"max_participants",      LH_INTEGER, "6"},
    {"days_total",            LH_INTEGER, "30"},
    {"score",                 LH_INTEGER, "80"},
    {"amount",                LH_INTEGER, "5"},
    {"cost",                  LH_INTEGER, "5"},
    {"mentee",                LH_INTEGER, "2"},
    {"actor",                 LH_INTEGER, "2"},
    {"credits_awarded",       LH_INTEGER, "15"},
    {"locked_credits",        LH_INTEGER, "15"},
    {"available_credits",     LH_INTEGER, "10"},
    {"eco_credits",           LH_INTEGER, "10"},
    {"remaining_credits",     LH_INTEGER, "10"},
    {"spent_credits",         LH_INTEGER, "5"},
    {"time_spent",            LH_INTEGER, "600"},
    {"expires_in",            LH_INTEGER, "86400"},
    {"total_duration_seconds",   LH_INTEGER, "1500"},
    {"focused_duration_seconds", LH_INTEGER, "1400"},
    {"xp_total",              LH_INTEGER, "250"},
    {"xp_physique",           LH_INTEGER, "150"},
    {"xp_energy",             LH_INTEGER, "60"},
    {"xp_logic",              LH_INTEGER, "20"},
    {"xp_creativity",         LH_INTEGER, "10"},
    {"xp_social",             LH_INTEGER, "10"},
    {"xp_to_next_level",      LH_INTEGER, "9750"},

    {"date",                  LH_TIME,    "2040-01-20T16:00:00Z"},
    {"start_time",            LH_TIME,    "2040-01-20T16:00:00Z"},
    {"end_time",              LH_TIME,    "2040-01-20T18:00:00Z"},
    {"ended_at",              LH_TIME,    "2024-01-15T14:25:00Z"},
    {"finish_by",             LH_DATE,    "2040-01-20"},
};

static const struct {
    int quoted;
    const char *value;
} by_type[] = {
    [LH_STRING]    = {1, "A text"},
    [LH_EMAIL]     = {1, "ada@example.com"},
    [LH_INTEGER]   = {0, "1"},
    [LH_BOOLEAN]   = {0, "true"},
    [LH_TIME]      = {1, "2024-01-15T14:00:00Z"},
    [LH_DATE]      = {1, "2024-01-15"},
    [LH_DURATION]  = {1, "01:30:00"},
    [LH_OBJECT_ID] = {1, "6b01d45538cde486e0000015"},
    [LH_STRINGS]   = {0, "[\"A text\"]"},
    [LH_OBJECT]    = {0, "{}"},
    [LH_GROUP]     = {0, "{}"},
    [LH_PHONE]     = {1, "+12345678987"},
    [LH_PHOTO]     = {1, ""},
    [LH_UUID]      = {1, "123e4567-e89b-12d3-a456-426614174000"},
    [LH_NUMBER]    = {0, "1.5"},
    [LH_COLOR]     = {1, "#4187a2"},
    [LH_LIST]      = {0, "[]"},
};

/* clang-format on */

static const char *named(const lh_field *field)
{
    const char *dot = strrchr(field->name, '.'), *name = dot ? dot + 1 : field->name;
    apr_size_t i;

    for (i = 0; i < sizeof(by_name) / sizeof(by_name[0]); i++) {
        if (by_name[i].type == field->type && !strcmp(by_name[i].name, name)) {
            return by_name[i].value;
        }
    }
    return NULL;
}

static void write_time(lh_json *json, const char *text, lh_time_format times)
{
    apr_int64_t micros = 0;

    lh_text_time(text, &micros);
    lh_json_time(json, micros, times);
}

void lh_example_text(lh_json *json, const lh_field *field, const char *text, lh_time_format times)
{
    if ((field->flags & LH_NULL) && !strcmp(text, "null")) {
        lh_json_null(json);
    }
    else if (field->type == LH_TIME) {
        write_time(json, text, times);
    }
    else if (by_type[field->type].quoted) {
        lh_json_text(json, text);
    }
    else {
        lh_json_verbatim(json, text, strlen(text));
    }
}

void lh_example_value(lh_json *json, const lh_field *field, lh_time_format times)
{
    const char *words = field->type == LH_STRING ? field->enum_values : NULL, *word, *name = named(field);
    apr_size_t length;

    word = lh_text_word(&words, &length);
    if (field->example) {
        lh_example_text(json, field, field->example, times);
    }
    else if (word) {
        lh_json_string(json, word, length);
    }
    else if (name || field->default_value) {
        lh_example_text(json, field, name ? name : field->default_value, times);
    }
    else if (field->type == LH_INTEGER && field->min > 1) {
        lh_json_int(json, field->min);
    }
    else {
        lh_example_text(json, field, by_type[field->type].value, times);
    }
}

const char *lh_example_of_route(const lh_route *route, const char *name, int status)
{
    const lh_route_example *example;

    for (example = route->examples; example && example->name; example++) {
        if (!strcmp(example->name, name) && (!example->status || example->status == status)) {
            return example->value;
        }
    }
    return NULL;
}

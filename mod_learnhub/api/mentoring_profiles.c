/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who mentors and who is mentored: own profiles, and the directories of all. The document is seeds' mentoring; contract
 * section 5 settles the rest.
 *
 * A directory shows whoever has the flag; who has set it without writing a profile is shown with an empty one.
 */
#include "learnhub.h"

#define OPEN_AVAILABILITIES(mentor)                                                                                    \
    "coalesce((SELECT json_agg(json_build_object('pk', a.id, 'mentor', a.mentor_id, "                                  \
    "'start_time', learnhub.iso_seconds(a.starts_at), 'end_time', learnhub.iso_seconds(a.ends_at)) "                   \
    "ORDER BY a.starts_at, a.id) FROM learnhub.availabilities a "                                                      \
    "WHERE a.mentor_id = " mentor " AND a.deleted_at IS NULL AND a.ends_at > now()), '[]')"

#define PERSON                                                                                                         \
    "SELECT u.id AS pk, u.username, u.first_name, u.last_name, "                                                       \
    "learnhub.photo_url(:base, u.profile_photo) AS profile_photo, "

#define MENTOR_PROFILE "p.about_me, p.skills "
#define MENTEE_PROFILE "p.team_number "

/* ---- the shapes ---- */

static const lh_field availability_keys[] = {{.name = "pk", .type = LH_INTEGER},
                                             {.name = "mentor", .type = LH_INTEGER},
                                             {.name = "start_time", .type = LH_TIME},
                                             {.name = "end_time", .type = LH_TIME},
                                             {0}};

#define ABOUT                                                                                                          \
    {.name = "about_me", .type = LH_STRING},                                                                           \
    {                                                                                                                  \
        .name = "skills", .type = LH_STRINGS, .note = "In the form in which it was sent: a text or an array."          \
    }

static const lh_field about_keys[] = {ABOUT, {0}};
static const lh_field own_mentor_keys[] = {
    ABOUT, {.name = "availabilities", .type = LH_LIST, .items = availability_keys}, {0}};
static const lh_field team_keys[] = {{.name = "team_number", .type = LH_INTEGER, .flags = LH_NULL}, {0}};

static const lh_field listed_profile_keys[] = {{.name = "about_me", .type = LH_STRING},
                                               {.name = "skills", .type = LH_STRINGS},
                                               {.name = "availabilities",
                                                .type = LH_LIST,
                                                .items = availability_keys,
                                                .note = "Those that have not ended, by start."},
                                               {0}};

#define PERSON_KEYS                                                                                                    \
    {.name = "pk", .type = LH_INTEGER}, {.name = "username", .type = LH_STRING},                                       \
        {.name = "first_name", .type = LH_STRING}, {.name = "last_name", .type = LH_STRING},                           \
    {                                                                                                                  \
        .name = "profile_photo", .type = LH_STRING, .flags = LH_NULL                                                   \
    }

static const lh_field mentor_keys[] = {PERSON_KEYS,
                                       {.name = "is_mentor", .type = LH_BOOLEAN},
                                       {.name = "mentor_profile", .type = LH_OBJECT, .items = listed_profile_keys},
                                       {0}};
static const lh_field mentee_keys[] = {PERSON_KEYS,
                                       {.name = "is_mentee", .type = LH_BOOLEAN},
                                       {.name = "mentee_profile", .type = LH_OBJECT, .items = team_keys},
                                       {0}};
static const lh_field skilled_keys[] = {{.name = "pk", .type = LH_INTEGER},
                                        {.name = "about_me", .type = LH_STRING},
                                        {.name = "skills", .type = LH_STRINGS},
                                        {0}};

/* ---- what comes in ---- */

#define ABOUT_ME .name = "about_me", .type = LH_STRING, .max = 10000
#define SKILLS .name = "skills", .type = LH_STRINGS, .max = 50, .note = "A text with commas, or an array of texts."
#define TEAM .name = "team_number", .type = LH_INTEGER, .flags = LH_REQUIRED | LH_COERCE, .min = 0, .max = 2147483647

static const lh_field mentor_fields[] = {
    {ABOUT_ME, .flags = LH_REQUIRED}, {SKILLS, .flags = LH_REQUIRED | LH_COERCE}, {0}};
static const lh_field mentor_changes[] = {{ABOUT_ME}, {SKILLS, .flags = LH_COERCE}, {0}};
static const lh_field mentee_fields[] = {{TEAM}, {0}};

#define TOO_MANY                                                                                                       \
    {                                                                                                                  \
        "mentor_profiles_count_check", 400, "skills", "This may have at most 50 skills."                               \
    }
#define TOO_LONG                                                                                                       \
    {                                                                                                                  \
        "mentor_profiles_length_check", 400, "skills", "A skill may have at most 100 characters."                      \
    }
#define TOO_LARGE                                                                                                      \
    {                                                                                                                  \
        "mentor_profiles_size_check", 400, "skills", "This may have at most 20000 bytes."                              \
    }
#define NO_PROFILE                                                                                                     \
    {                                                                                                                  \
        "missing", 404, NULL, "You have no such profile."                                                              \
    }
static const lh_route_error no_profile[] = {NO_PROFILE, {0}};

/*
 * The person first, as offers and bookings do: time that is offered at this moment is either seen or refused, and
 * nobody who books waits for this and is waited for.
 */
#define LOCK_ME "SELECT id FROM learnhub.users WHERE id = :me::bigint FOR NO KEY UPDATE"

static const lh_route routes[] = {
    {.name = "mentors.list",
     .method = "GET",
     .path = "/mentor/",
     .roles = LH_MEMBER,
     .summary = "All mentors, by pk.",
     .sql = {PERSON "u.is_mentor, coalesce(p.about_me, '') AS \"mentor_profile.about_me\", "
                    "to_jsonb(coalesce(p.skill_names, '{}')) AS \"mentor_profile.skills\", " OPEN_AVAILABILITIES(
                        "u.id") " AS \"mentor_profile.availabilities\" FROM learnhub.users u "
                                "LEFT JOIN learnhub.mentor_profiles p ON p.user_id = u.id "
                                "WHERE u.is_mentor AND u.is_active ORDER BY u.id"},
     .shape = LH_ALL,
     .flags = LH_STREAMED,
     .returns = mentor_keys},
    {.name = "mentors.by_skills",
     .method = "GET",
     .path = "/mentor/{skills:text}/",
     .roles = LH_MEMBER,
     .summary = "The mentors who have all of these skills, which are separated by commas; by pk.",
     .sql = {"SELECT p.user_id AS pk, p.about_me, to_jsonb(p.skill_names) AS skills FROM learnhub.mentor_profiles p "
             "JOIN learnhub.users u ON u.id = p.user_id WHERE u.is_mentor AND u.is_active "
             "AND p.skill_keys @> learnhub.skill_keys(to_jsonb(:skills::text)) "
             "AND cardinality(learnhub.skill_keys(to_jsonb(:skills::text))) > 0 ORDER BY p.user_id"},
     .shape = LH_ALL,
     .flags = LH_STREAMED,
     .returns = skilled_keys},
    {.name = "mentors.create",
     .method = "POST",
     .path = "/mentorinfo/",
     .roles = LH_MEMBER,
     .summary = "Become a mentor.",
     .body = mentor_fields,
     .sql = {"WITH p AS (INSERT INTO learnhub.mentor_profiles (user_id, about_me, skills) "
             "VALUES (:me::bigint, :about_me, :skills::jsonb) RETURNING *), "
             "flag AS (UPDATE learnhub.users SET is_mentor = true WHERE id = :me::bigint) SELECT " MENTOR_PROFILE
             "FROM p"},
     .shape = LH_ONE,
     .status = 201,
     .returns = about_keys,
     .errors = (const lh_route_error[]){{"mentor_profiles_pkey", 400, NULL, "You have a mentor's profile already."},
                                        TOO_MANY,
                                        TOO_LONG,
                                        TOO_LARGE,
                                        {0}}},
    {.name = "mentors.own",
     .method = "GET",
     .path = "/mentorinfo/",
     .roles = LH_MEMBER,
     .summary = "The caller's mentor profile.",
     .sql = {"SELECT " MENTOR_PROFILE ", " OPEN_AVAILABILITIES(
         "p.user_id") " AS availabilities FROM learnhub.mentor_profiles p WHERE p.user_id = :me::bigint"},
     .shape = LH_ONE,
     .returns = own_mentor_keys,
     .errors = no_profile},
    {.name = "mentors.update",
     .method = "PATCH",
     .path = "/mentorinfoupdate/",
     .roles = LH_MEMBER,
     .summary = "Change the caller's mentor profile.",
     .body = mentor_changes,
     .sql = {"UPDATE learnhub.mentor_profiles p SET about_me = coalesce(:about_me, p.about_me), "
             "skills = coalesce(:skills::jsonb, p.skills) WHERE p.user_id = :me::bigint RETURNING " MENTOR_PROFILE},
     .shape = LH_ONE,
     .returns = about_keys,
     .errors = (const lh_route_error[]){NO_PROFILE, TOO_MANY, TOO_LONG, TOO_LARGE, {0}}},
    {.name = "mentors.delete",
     .method = "DELETE",
     .path = "/mentorinfoupdate/",
     .roles = LH_MEMBER,
     .summary = "Stop being a mentor: availabilities end and sessions to come are canceled.",
     .sql = {LOCK_ME, "SELECT NULL::text AS \"!\" FROM learnhub.mentor_profiles WHERE user_id = :me::bigint FOR UPDATE",
             "SELECT learnhub.end_availabilities(user_id)::text AS _done FROM learnhub.mentor_profiles "
             "WHERE user_id = :me::bigint",
             "WITH gone AS (DELETE FROM learnhub.mentor_profiles WHERE user_id = :me::bigint RETURNING user_id) "
             "UPDATE learnhub.users u SET is_mentor = false FROM gone WHERE u.id = gone.user_id RETURNING u.id AS _id"},
     .shape = LH_NOTHING,
     .errors = no_profile},
    {.name = "mentees.list",
     .method = "GET",
     .path = "/mentee/",
     .roles = LH_MEMBER,
     .summary = "All mentees, by pk.",
     .sql = {PERSON "u.is_mentee, p.team_number AS \"mentee_profile.team_number\" FROM learnhub.users u "
                    "LEFT JOIN learnhub.mentee_profiles p ON p.user_id = u.id "
                    "WHERE u.is_mentee AND u.is_active ORDER BY u.id"},
     .shape = LH_ALL,
     .flags = LH_STREAMED,
     .returns = mentee_keys},
    {.name = "mentees.create",
     .method = "POST",
     .path = "/menteeinfo/",
     .roles = LH_MEMBER,
     .summary = "Become a mentee.",
     .body = mentee_fields,
     .sql = {"WITH p AS (INSERT INTO learnhub.mentee_profiles (user_id, team_number) "
             "VALUES (:me::bigint, :team_number::int) RETURNING *), "
             "flag AS (UPDATE learnhub.users SET is_mentee = true WHERE id = :me::bigint) SELECT " MENTEE_PROFILE
             "FROM p"},
     .shape = LH_ALL,
     .status = 201,
     .returns = team_keys,
     .errors =
         (const lh_route_error[]){{"mentee_profiles_pkey", 400, NULL, "You have a mentee's profile already."}, {0}}},
    {.name = "mentees.own",
     .method = "GET",
     .path = "/menteeinfo/",
     .roles = LH_MEMBER,
     .summary = "The caller's mentee profile, in an array that is empty when there is none.",
     .sql = {"SELECT " MENTEE_PROFILE "FROM learnhub.mentee_profiles p WHERE p.user_id = :me::bigint"},
     .shape = LH_ALL,
     .returns = team_keys},
    {.name = "mentees.update",
     .method = "PATCH",
     .path = "/menteeinfoupdate/",
     .roles = LH_MEMBER,
     .summary = "Change the caller's mentee profile.",
     .body = mentee_fields,
     .flags = LH_UNWRAP_ARRAY,
     .sql = {"UPDATE learnhub.mentee_profiles p SET team_number = :team_number::int WHERE p.user_id = :me::bigint "
             "RETURNING " MENTEE_PROFILE},
     .shape = LH_ONE,
     .returns = team_keys,
     .errors = no_profile},
    {.name = "mentees.delete",
     .method = "DELETE",
     .path = "/menteeinfoupdate/",
     .roles = LH_MEMBER,
     .summary = "Stop being a mentee; sessions stay.",
     .sql = {"WITH gone AS (DELETE FROM learnhub.mentee_profiles WHERE user_id = :me::bigint RETURNING user_id) "
             "UPDATE learnhub.users u SET is_mentee = false FROM gone WHERE u.id = gone.user_id RETURNING u.id AS _id"},
     .shape = LH_NOTHING,
     .errors = no_profile},
    {0}};

const lh_route_group lh_group_mentors = {.name = "mentoring",
                                         .title = "Mentors and mentees",
                                         .prefixes =
                                             (const char *const[]){"/mentor", "/mentorinfo", "/mentorinfoupdate",
                                                                   "/mentee", "/menteeinfo", "/menteeinfoupdate", NULL},
                                         .error_format = LH_ERRORS_DETAIL,
                                         .time_format = LH_SECONDS_Z,
                                         .routes = routes};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mentor and mentee profiles, and the directories of mentors and mentees.
 *
 * A directory lists the active users with the flag is_mentor or is_mentee. Users with the flag but without a profile
 * are listed with an empty one. E-mail addresses are not shown, also not as usernames.
 */
#include "api/shared.h"

/* clang-format off */

/* The availabilities of a mentor that have not ended, as the JSON column o.availabilities. The aggregate is computed
 * once per row, however many columns read it. */
#define OPEN_AVAILABILITIES(mentor)                                                                                    \
    "CROSS JOIN LATERAL ("                                                                                             \
    "    SELECT coalesce(json_agg(json_build_object('pk', a.id, 'mentor', a.mentor_id, "                               \
    "                                               'start_time', learnhub.iso_seconds(a.starts_at), "                 \
    "                                               'end_time', learnhub.iso_seconds(a.ends_at)) "                     \
    "                             ORDER BY a.starts_at, a.id), '[]') AS availabilities "                               \
    "    FROM learnhub.availabilities a "                                                                              \
    "    WHERE a.mentor_id = " mentor " AND a.deleted_at IS NULL AND a.ends_at > now()) o "

/* The profile is also at the top level of an entry, for clients that do not read mentor_profile. */
#define MENTOR_LIST                                                                                                    \
    "SELECT u.id AS pk, learnhub.directory_name(u.username) AS username, u.first_name, u.last_name, "                  \
    "       learnhub.photo_url(:base, u.profile_photo) AS profile_photo, u.is_mentor, "                                \
    "       coalesce(p.about_me, '') AS \"mentor_profile.about_me\", "                                                 \
    "       to_jsonb(coalesce(p.skill_names, '{}')) AS \"mentor_profile.skills\", "                                    \
    "       o.availabilities AS \"mentor_profile.availabilities\", "                                                   \
    "       p.about_me, to_jsonb(coalesce(p.skill_names, '{}')) AS skills, o.availabilities "                          \
    "FROM learnhub.users u "                                                                                           \
    "LEFT JOIN learnhub.mentor_profiles p ON p.user_id = u.id "                                                        \
    OPEN_AVAILABILITIES("u.id")                                                                                        \
    "WHERE u.is_mentor AND u.is_active "

/* ---- responses ---- */

static const lh_field mentor_keys[] = {
    {.name = "pk",             .type = LH_INTEGER, .object = "Mentor"},
    {.name = "username",       .type = LH_STRING},
    {.name = "first_name",     .type = LH_STRING},
    {.name = "last_name",      .type = LH_STRING},
    {.name = "profile_photo",  .type = LH_STRING, .flags = LH_NULL},
    {.name = "is_mentor",      .type = LH_BOOLEAN},
    {.name = "mentor_profile", .type = LH_OBJECT, .items = (const lh_field[]){
        {.name = "about_me",       .type = LH_STRING},
        {.name = "skills",         .type = LH_STRINGS},
        {.name = "availabilities", .type = LH_LIST, .items = (const lh_field[]){AVAILABILITY_KEYS, {0}},
         .note = "Those that have not ended, by start."},
        {0}}},
    {.name = "about_me",       .type = LH_STRING, .flags = LH_NULL, .note = "Null without a profile."},
    {.name = "skills",         .type = LH_STRINGS},
    {.name = "availabilities", .type = LH_LIST, .items = (const lh_field[]){AVAILABILITY_KEYS, {0}}},
    {0}};

static const lh_field mentee_keys[] = {
    {.name = "pk",             .type = LH_INTEGER, .object = "Mentee"},
    {.name = "username",       .type = LH_STRING},
    {.name = "first_name",     .type = LH_STRING},
    {.name = "last_name",      .type = LH_STRING},
    {.name = "profile_photo",  .type = LH_STRING, .flags = LH_NULL},
    {.name = "is_mentee",      .type = LH_BOOLEAN},
    {.name = "mentee_profile", .type = LH_OBJECT, .items = (const lh_field[]){
        {.name = "team_number", .type = LH_INTEGER, .flags = LH_NULL},
        {0}}},
    {0}};

static const lh_field about_keys[] = {
    {.name = "about_me",    .type = LH_STRING, .object = "MentorProfile"},
    {.name = "skills",      .type = LH_STRINGS, .flags = LH_COERCE, .note = "As sent."},
    {.name = "team_number", .type = LH_INTEGER, .flags = LH_NULL},
    {0}};

#define OWN_MENTOR_KEYS                                                                                                \
    {.name = "about_me",       .type = LH_STRING},                                                                     \
    {.name = "skills",         .type = LH_STRINGS, .flags = LH_COERCE, .note = "As sent."},                          \
    {.name = "team_number",    .type = LH_INTEGER, .flags = LH_NULL},                                                  \
    {.name = "availabilities", .type = LH_LIST, .items = (const lh_field[]){AVAILABILITY_KEYS, {0}}}

static const lh_field own_mentor_keys[] = {
    OWN_MENTOR_KEYS,
    {.name = "0", .type = LH_OBJECT, .items = (const lh_field[]){OWN_MENTOR_KEYS, {0}},
     .object = "OwnMentorProfile", .note = "The same again, for clients that expect an array."},
    {0}};

static const lh_field team_keys[] = {
    {.name = "team_number", .type = LH_INTEGER, .flags = LH_NULL, .object = "MenteeProfile"},
    {0}};

/* ---- requests ---- */

static const lh_field mentor_fields[] = {
    {.name = "about_me",    .type = LH_STRING,  .flags = LH_REQUIRED, .max = 10000},
    {.name = "skills",      .type = LH_STRINGS, .flags = LH_REQUIRED | LH_COERCE, .max = 50,
     .note = "A comma-separated string or an array of strings."},
    {.name = "team_number", .type = LH_INTEGER, .flags = LH_COERCE | LH_CLEARABLE, .max = 2147483647},
    {0}};

static const lh_field mentor_changes[] = {
    {.name = "about_me",    .type = LH_STRING,  .max = 10000},
    {.name = "skills",      .type = LH_STRINGS, .flags = LH_COERCE, .max = 50,
     .note = "A comma-separated string or an array of strings."},
    {.name = "team_number", .type = LH_INTEGER, .flags = LH_COERCE | LH_CLEARABLE, .max = 2147483647},
    {0}};

static const lh_field team_fields[] = {
    {.name = "team_number", .type = LH_INTEGER, .flags = LH_REQUIRED | LH_COERCE, .min = 0, .max = 2147483647},
    {0}};

/* ---- errors ---- */

#define PROFILE_NOT_FOUND {"missing", 404, NULL, "You have no such profile."}

#define SKILLS_ERRORS                                                                                                  \
    {"mentor_profiles_count_check",  400, "skills", "This may have at most 50 skills."},                               \
    {"mentor_profiles_length_check", 400, "skills", "A skill may have at most 100 characters."},                       \
    {"mentor_profiles_size_check",   400, "skills", "This may have at most 20000 bytes."}

/* ---- routes ---- */

static const lh_route routes[] = {
    {.name = "mentors.list", .method = "GET", .path = "/mentor/",
     .summary = "List all mentors, by pk.",
     .roles = LH_MEMBER,
     .flags = LH_UNPAGED | LH_STANDBY,
     .sql = {MENTOR_LIST
             "ORDER BY u.id "
             "LIMIT :limit::bigint OFFSET :offset::bigint"},
     .shape = LH_ALL,
     .returns = mentor_keys},

    {.name = "mentors.by_skills", .method = "GET", .path = "/mentor/{skills:text}/",
     .summary = "List the mentors who have all of the comma-separated skills, by pk.",
     .roles = LH_MEMBER,
     .flags = LH_UNPAGED | LH_STANDBY,
     .sql = {MENTOR_LIST
             "  AND p.skill_keys @> learnhub.skill_keys(to_jsonb(:skills::text)) "
             "  AND cardinality(learnhub.skill_keys(to_jsonb(:skills::text))) > 0 "
             "ORDER BY u.id "
             "LIMIT :limit::bigint OFFSET :offset::bigint"},
     .shape = LH_ALL,
     .returns = mentor_keys},

    {.name = "mentors.create", .method = "POST", .path = "/mentorinfo/",
     .summary = "Create the caller's mentor profile.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .body = mentor_fields,
     .sql = {"WITH p AS ("
             "    INSERT INTO learnhub.mentor_profiles (user_id, about_me, skills, team_number) "
             "    VALUES (:me::bigint, :about_me, :skills::jsonb, nullif(:team_number::text, '')::int) "
             "    RETURNING *), "
             "flag AS ("
             "    UPDATE learnhub.users "
             "    SET is_mentor = true "
             "    WHERE id = :me::bigint) "
             "SELECT p.about_me, p.skills, p.team_number "
             "FROM p"},
     .shape = LH_ONE,
     .status = 201,
     .returns = about_keys,
     .errors = (const lh_route_error[]){
         {"mentor_profiles_pkey", 400, NULL, "You already have a mentor profile."},
         SKILLS_ERRORS,
         {0}}},

    {.name = "mentors.own", .method = "GET", .path = "/mentorinfo/",
     .summary = "Get the caller's mentor profile.",
     .roles = LH_MEMBER,
     .sql = {"SELECT p.about_me, p.skills, p.team_number, o.availabilities, "
             "       p.about_me AS \"0.about_me\", p.skills AS \"0.skills\", p.team_number AS \"0.team_number\", "
             "       o.availabilities AS \"0.availabilities\" "
             "FROM learnhub.mentor_profiles p "
             OPEN_AVAILABILITIES("p.user_id")
             "WHERE p.user_id = :me::bigint"},
     .shape = LH_ONE,
     .returns = own_mentor_keys,
     .errors = (const lh_route_error[]){PROFILE_NOT_FOUND, {0}}},

    {.name = "mentors.update", .method = "PATCH", .path = "/mentorinfoupdate/",
     .summary = "Change the caller's mentor profile.",
     .roles = LH_MEMBER,
     .body = mentor_changes,
     .sql = {"UPDATE learnhub.mentor_profiles p "
             "SET about_me = coalesce(:about_me, p.about_me), "
             "    skills = coalesce(:skills::jsonb, p.skills), "
             "    team_number = CASE WHEN :team_number::text IS NULL THEN p.team_number "
             "                       ELSE nullif(:team_number::text, '')::int END "
             "WHERE p.user_id = :me::bigint "
             "RETURNING p.about_me, p.skills, p.team_number"},
     .shape = LH_ONE,
     .returns = about_keys,
     .errors = (const lh_route_error[]){PROFILE_NOT_FOUND, SKILLS_ERRORS, {0}}},

    {.name = "mentors.delete", .method = "DELETE", .path = "/mentorinfoupdate/",
     .summary = "Delete the caller's mentor profile and availabilities, and cancel the future sessions in them.",
     .roles = LH_MEMBER,
     /* Locks the user first, as POST /availabilty/ and POST /sessionrequest/ do: an availability created concurrently
      * is either deleted here or rejected, and concurrent bookings cannot cause a deadlock. */
     .sql = {CALLER_LOCK,

             "SELECT NULL::text AS \"!\" "
             "FROM learnhub.mentor_profiles "
             "WHERE user_id = :me::bigint "
             "FOR UPDATE",

             "SELECT learnhub.end_availabilities(user_id)::text AS _done "
             "FROM learnhub.mentor_profiles "
             "WHERE user_id = :me::bigint",

             "WITH deleted AS ("
             "    DELETE FROM learnhub.mentor_profiles "
             "    WHERE user_id = :me::bigint "
             "    RETURNING user_id) "
             "UPDATE learnhub.users u "
             "SET is_mentor = false "
             "FROM deleted "
             "WHERE u.id = deleted.user_id "
             "RETURNING u.id AS _id"},
     .shape = LH_NOTHING,
     .errors = (const lh_route_error[]){PROFILE_NOT_FOUND, {0}}},

    {.name = "mentees.list", .method = "GET", .path = "/mentee/",
     .summary = "List all mentees, by pk.",
     .roles = LH_MEMBER,
     .flags = LH_UNPAGED | LH_STANDBY,
     .sql = {"SELECT u.id AS pk, learnhub.directory_name(u.username) AS username, u.first_name, u.last_name, "
             "       learnhub.photo_url(:base, u.profile_photo) AS profile_photo, u.is_mentee, "
             "       p.team_number AS \"mentee_profile.team_number\" "
             "FROM learnhub.users u "
             "LEFT JOIN learnhub.mentee_profiles p ON p.user_id = u.id "
             "WHERE u.is_mentee AND u.is_active "
             "ORDER BY u.id "
             "LIMIT :limit::bigint OFFSET :offset::bigint"},
     .shape = LH_ALL,
     .returns = mentee_keys},

    {.name = "mentees.create", .method = "POST", .path = "/menteeinfo/",
     .summary = "Create the caller's mentee profile.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .body = team_fields,
     .sql = {"WITH p AS ("
             "    INSERT INTO learnhub.mentee_profiles (user_id, team_number) "
             "    VALUES (:me::bigint, :team_number::int) "
             "    RETURNING *), "
             "flag AS ("
             "    UPDATE learnhub.users "
             "    SET is_mentee = true "
             "    WHERE id = :me::bigint) "
             "SELECT p.team_number "
             "FROM p"},
     .shape = LH_ALL,
     .status = 201,
     .returns = team_keys,
     .errors = (const lh_route_error[]){
         {"mentee_profiles_pkey", 400, NULL, "You already have a mentee profile."},
         {0}}},

    {.name = "mentees.own", .method = "GET", .path = "/menteeinfo/",
     .summary = "Get the caller's mentee profile, as an array of at most one.",
     .roles = LH_MEMBER,
     .sql = {"SELECT p.team_number "
             "FROM learnhub.mentee_profiles p "
             "WHERE p.user_id = :me::bigint"},
     .shape = LH_ALL,
     .returns = team_keys},

    {.name = "mentees.update", .method = "PATCH", .path = "/menteeinfoupdate/",
     .summary = "Change the caller's mentee profile.",
     .roles = LH_MEMBER,
     .flags = LH_UNWRAP_ARRAY,
     .body = team_fields,
     .sql = {"UPDATE learnhub.mentee_profiles p "
             "SET team_number = :team_number::int "
             "WHERE p.user_id = :me::bigint "
             "RETURNING p.team_number"},
     .shape = LH_ONE,
     .returns = team_keys,
     .errors = (const lh_route_error[]){PROFILE_NOT_FOUND, {0}}},

    {.name = "mentees.delete", .method = "DELETE", .path = "/menteeinfoupdate/",
     .summary = "Delete the caller's mentee profile; sessions remain.",
     .roles = LH_MEMBER,
     .sql = {"WITH deleted AS ("
             "    DELETE FROM learnhub.mentee_profiles "
             "    WHERE user_id = :me::bigint "
             "    RETURNING user_id) "
             "UPDATE learnhub.users u "
             "SET is_mentee = false "
             "FROM deleted "
             "WHERE u.id = deleted.user_id "
             "RETURNING u.id AS _id"},
     .shape = LH_NOTHING,
     .errors = (const lh_route_error[]){PROFILE_NOT_FOUND, {0}}},

    {0}};

const lh_route_group lh_group_mentors = {
    .name = "mentoring",
    .title = "Mentors and mentees",
    .prefixes = (const char *const[]){"/mentor", "/mentorinfo", "/mentorinfoupdate",
                                      "/mentee", "/menteeinfo", "/menteeinfoupdate", NULL},
    .error_format = LH_ERRORS_DETAIL,
    .time_format = LH_SECONDS_Z,
    .routes = routes};

/* clang-format on */

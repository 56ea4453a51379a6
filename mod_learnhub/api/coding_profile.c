/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's coding profile and the leaderboard: /api/profiles, /api/leaderboard. */
#include "api/shared.h"

#include <ctype.h>
#include <string.h>

/* clang-format off */

#define OWN_PROFILE                                                                                                    \
    "SELECT u.id, u.id AS user, :base || '/api/profiles/photos/' || u.profile_photo AS profile_pic, "                  \
    "       p.github_username, c.available_credits AS eco_credits, c.locked_credits, s.current_streak, "               \
    "       s.longest_streak, coalesce(p.on_leaderboard, true) AS on_leaderboard "                                     \
    "FROM learnhub.users u "                                                                                           \
    "LEFT JOIN learnhub.coding_profiles p ON p.user_id = u.id "                                                        \
    "CROSS JOIN learnhub.credits_of(:me::bigint) c "                                                                   \
    "CROSS JOIN learnhub.streaks_of(:me::bigint) s "                                                                   \
    "WHERE u.id = :me::bigint AND u.is_active"

static const lh_field profile_keys[] = {
    {.name = "id",              .type = LH_INTEGER, .object = "CodingProfile"},
    {.name = "user",            .type = LH_INTEGER, .note = "The same as id."},
    {.name = "profile_pic",     .type = LH_STRING,  .flags = LH_NULL,
     .note = "An absolute URL that needs no token and whose content never changes."},
    {.name = "github_username", .type = LH_STRING,  .flags = LH_NULL},
    {.name = "eco_credits",     .type = LH_INTEGER, .note = "The available credits."},
    {.name = "locked_credits",  .type = LH_INTEGER},
    {.name = "current_streak",  .type = LH_INTEGER, .note = "UTC days with coding sessions, up to today or yesterday."},
    {.name = "longest_streak",  .type = LH_INTEGER},
    {.name = "on_leaderboard",  .type = LH_BOOLEAN},
    {0}};

static const lh_field profile_fields[] = {
    {.name = "github_username", .type = LH_STRING,  .flags = LH_TRIM | LH_CLEARABLE, .max = 39},
    {.name = "profile_pic",     .type = LH_PHOTO,   .flags = LH_CLEARABLE},
    {.name = "on_leaderboard",  .type = LH_BOOLEAN, .flags = LH_COERCE | LH_EMPTY},
    {0}};

static const lh_field leaderboard_keys[] = {
    {.name = "rank",        .type = LH_INTEGER, .object = "LeaderboardEntry"},
    {.name = "user_id",     .type = LH_INTEGER},
    {.name = "username",    .type = LH_STRING,  .note = "Never an e-mail address."},
    {.name = "eco_credits", .type = LH_INTEGER, .note = "The credits of all unlocked sessions, spent or not."},
    {0}};

/* clang-format on */

/* GitHub's rule: letters, digits, and single hyphens that are neither first nor last. An empty name clears it. */
static lh_error *check_github_username(lh_call *call, lh_error *errors)
{
    const char *name = lh_param(call, "github_username");
    size_t i, length = name ? strlen(name) : 0;

    for (i = 0; i < length; i++) {
        int hyphen = name[i] == '-' && i && name[i - 1] != '-' && i + 1 < length;
        if (!hyphen && !(isascii((unsigned char)name[i]) && isalnum((unsigned char)name[i]))) {
            return lh_fail_field(call, errors, "github_username",
                                 "This must have letters, digits, and single hyphens between them.");
        }
    }
    return errors;
}

/* clang-format off */

static const lh_route routes[] = {
    {.name = "coding_profile.get", .method = "GET", .path = "/api/profiles/me/",
     .summary = "Get the caller's coding profile.",
     .roles = LH_MEMBER,
     .lock = CALLER_LOCK,
     .sql = {OWN_PROFILE},
     .shape = LH_ONE,
     .returns = profile_keys},

    {.name = "coding_profile.update", .method = "PATCH", .path = "/api/profiles/me/",
     .summary = "Change any fields of the caller's coding profile.",
     .roles = LH_MEMBER,
     .accepts = LH_MULTIPART | LH_JSON,
     .body = profile_fields,
     .check = check_github_username,
     .sql = {CALLER_LOCK,

             "WITH account AS (SELECT id FROM learnhub.users WHERE id = :me::bigint AND is_active), "
             PHOTO_CHANGE("profile_pic")
             "changed AS ("
             "    UPDATE learnhub.users u "
             "    SET profile_photo = (SELECT name FROM photo) "
             "    FROM account "
             "    WHERE u.id = account.id AND :profile_pic::text IS NOT NULL) "
             "INSERT INTO learnhub.coding_profiles AS p (user_id, github_username, on_leaderboard) "
             "SELECT id, nullif(:github_username::text, ''), coalesce(:on_leaderboard::boolean, true) "
             "FROM account "
             "ON CONFLICT (user_id) DO UPDATE "
             "SET github_username = CASE WHEN :github_username::text IS NULL THEN p.github_username "
             "                           ELSE excluded.github_username END, "
             "    on_leaderboard = coalesce(:on_leaderboard::boolean, p.on_leaderboard)",

             OWN_PROFILE},
     .shape = LH_ONE,
     .returns = profile_keys},

    {.name = "coding_profile.photo", .method = "GET", .path = "/api/profiles/photos/{name:text}",
     .summary = "Get a profile photo by the name in its URL; replaced and removed photos are not found.",
     .sql = {PHOTO_BY_NAME("photos")},
     .shape = LH_BYTES,
     .media = PHOTO_MEDIA},

    /* Public, because the front end sends no token. */
    {.name = "leaderboard.friends", .method = "GET", .path = "/api/leaderboard/friends/",
     .summary = "List the 100 users with the most unlocked credits, except those who do not want to be listed.",
     .sql = {"SELECT row_number() OVER (ORDER BY p.unlocked_credits DESC, p.user_id) AS rank, p.user_id, "
             "       learnhub.public_name(u.id, u.username, u.first_name) AS username, "
             "       p.unlocked_credits AS eco_credits "
             "FROM learnhub.coding_profiles p "
             "JOIN learnhub.users u ON u.id = p.user_id AND u.is_active "
             "WHERE p.on_leaderboard AND p.unlocked_credits > 0 "
             "ORDER BY p.unlocked_credits DESC, p.user_id "
             "LIMIT 100"},
     .shape = LH_ALL,
     .key = "leaderboard",
     .returns = leaderboard_keys},

    {0}};

const lh_route_group lh_group_coding_profile = {
    .name = "coding",
    .title = "Coding profiles and leaderboard",
    .prefixes = (const char *const[]){"/api/profiles", "/api/leaderboard", NULL},
    .error_format = LH_ERRORS_ENVELOPE,
    .time_format = LH_MICROS_Z,
    .routes = routes};

/* clang-format on */

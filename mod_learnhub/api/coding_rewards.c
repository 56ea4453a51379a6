/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rewards that users buy with available credits: /api/rewards. The front end reads these responses without the envelope
 * of the other coding routes.
 */
#include "api/shared.h"

/* clang-format off */

#define REWARD_COLUMNS                                                                                                 \
    "r.id, r.name, r.description, r.cost, r.category, initcap(r.category) AS category_display, r.icon, r.popular, "    \
    "r.stock, r.is_active AND r.stock IS DISTINCT FROM 0 AS available, r.is_active, r.created_at "

#define CATEGORIES "environmental merchandise digital"
#define TREE "A tree"
#define PLANTED "We plant a tree in your name."

static const lh_field reward_keys[] = {
    {.name = "id",               .type = LH_INTEGER, .object = "Reward"},
    {.name = "name",             .type = LH_STRING,  .example = TREE},
    {.name = "description",      .type = LH_STRING,  .example = PLANTED},
    {.name = "cost",             .type = LH_INTEGER},
    {.name = "category",         .type = LH_STRING,  .enum_values = CATEGORIES},
    {.name = "category_display", .type = LH_STRING,  .enum_values = "Environmental Merchandise Digital",
     .note = "The category with a capital letter."},
    {.name = "icon",             .type = LH_STRING},
    {.name = "popular",          .type = LH_BOOLEAN},
    {.name = "stock",            .type = LH_INTEGER, .flags = LH_NULL, .note = "Null: unlimited."},
    {.name = "available",        .type = LH_BOOLEAN, .note = "Active and not sold out."},
    {.name = "is_active",        .type = LH_BOOLEAN},
    {.name = "created_at",       .type = LH_TIME},
    {0}};

static const lh_field reward_fields[] = {
    {.name = "name",        .type = LH_STRING,  .flags = LH_REQUIRED | LH_TRIM, .min = 1, .max = 150,
     .example = TREE},
    {.name = "description", .type = LH_STRING,  .max = 2000, .example = PLANTED},
    {.name = "cost",        .type = LH_INTEGER, .flags = LH_REQUIRED, .min = 1, .max = APR_INT32_MAX},
    {.name = "category",    .type = LH_STRING,  .enum_values = CATEGORIES, .default_value = "environmental"},
    {.name = "icon",        .type = LH_STRING,  .flags = LH_TRIM, .max = 100},
    {.name = "popular",     .type = LH_BOOLEAN, .default_value = "false"},
    {.name = "stock",       .type = LH_INTEGER, .flags = LH_CLEARABLE, .min = 0, .max = APR_INT32_MAX},
    {.name = "is_active",   .type = LH_BOOLEAN, .default_value = "true"},
    {0}};

static const lh_field reward_changes[] = {
    {.name = "name",        .type = LH_STRING,  .flags = LH_TRIM, .min = 1, .max = 150, .example = TREE},
    {.name = "description", .type = LH_STRING,  .max = 2000, .example = PLANTED},
    {.name = "cost",        .type = LH_INTEGER, .min = 1, .max = APR_INT32_MAX},
    {.name = "category",    .type = LH_STRING,  .enum_values = CATEGORIES},
    {.name = "icon",        .type = LH_STRING,  .flags = LH_TRIM, .max = 100},
    {.name = "popular",     .type = LH_BOOLEAN},
    {.name = "stock",       .type = LH_INTEGER, .flags = LH_CLEARABLE, .min = 0, .max = APR_INT32_MAX,
     .note = "Null: unlimited."},
    {.name = "is_active",   .type = LH_BOOLEAN},
    {0}};

static const lh_field redeem_fields[] = {
    {.name = "reward_id", .alias = "reward", .type = LH_INTEGER, .flags = LH_REQUIRED, .min = 1, .max = APR_INT64_MAX},
    {0}};

#define REDEMPTION_KEYS(prefix)                                                                                        \
    {.name = prefix "id",              .type = LH_INTEGER},                                                            \
    {.name = prefix "reward",          .type = LH_INTEGER},                                                            \
    {.name = prefix "reward_name",     .type = LH_STRING, .example = TREE,                                             \
     .note = "At the time of the redemption."},                                                                        \
    {.name = prefix "reward_icon",     .type = LH_STRING},                                                             \
    {.name = prefix "reward_category", .type = LH_STRING, .enum_values = CATEGORIES},                                  \
    {.name = prefix "cost",            .type = LH_INTEGER},                                                            \
    {.name = prefix "date",            .type = LH_TIME, .example = "2024-01-15T14:00:00Z"}

static const lh_field redemption_keys[] = {REDEMPTION_KEYS(""), {0}};

static const lh_field redeemed_keys[] = {
    {.name = "success",           .type = LH_BOOLEAN, .object = "RedemptionResult"},
    {.name = "message",           .type = LH_STRING, .example = "You have redeemed " TREE "."},
    {.name = "remaining_credits", .type = LH_INTEGER},
    REDEMPTION_KEYS("redemption."),
    {0}};

static const lh_route routes[] = {
    {.name = "rewards.list", .method = "GET", .path = "/api/rewards/",
     .summary = "List the active rewards, for admins all, by cost and name.",
     .roles = LH_MEMBER,
     .flags = LH_UNPAGED | LH_STANDBY,
     .sql = {"SELECT " REWARD_COLUMNS
             "FROM learnhub.rewards r "
             "WHERE r.is_active OR " ADMIN_CALLER " "
             "ORDER BY r.cost, r.name, r.id "
             "LIMIT :limit::bigint OFFSET :offset::bigint"},
     .shape = LH_ALL,
     .returns = reward_keys},

    {.name = "rewards.create", .method = "POST", .path = "/api/rewards/",
     .summary = "Create a reward.",
     .roles = LH_ADMIN,
     .flags = LH_IDEMPOTENT,
     .body = reward_fields,
     .sql = {"INSERT INTO learnhub.rewards AS r "
             "    (name, description, cost, category, icon, popular, stock, is_active) "
             "VALUES (:name, coalesce(:description, ''), :cost::int, :category, coalesce(:icon, ''), "
             "        :popular::boolean, nullif(:stock, '')::int, :is_active::boolean) "
             "RETURNING " REWARD_COLUMNS},
     .shape = LH_ONE,
     .status = 201,
     .returns = reward_keys},

    {.name = "rewards.change", .method = "PATCH", .path = "/api/rewards/{id:int}/",
     .summary = "Change any fields of a reward.",
     .roles = LH_ADMIN,
     .body = reward_changes,
     .sql = {"UPDATE learnhub.rewards r "
             "SET name = coalesce(:name, r.name), "
             "    description = coalesce(:description, r.description), "
             "    cost = coalesce(:cost::int, r.cost), "
             "    category = coalesce(:category, r.category), "
             "    icon = coalesce(:icon, r.icon), "
             "    popular = coalesce(:popular::boolean, r.popular), "
             "    stock = CASE WHEN :stock::text IS NULL THEN r.stock ELSE nullif(:stock::text, '')::int END, "
             "    is_active = coalesce(:is_active::boolean, r.is_active) "
             "WHERE r.id = :id::bigint "
             "RETURNING " REWARD_COLUMNS},
     .shape = LH_ONE,
     .returns = reward_keys,
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "Reward not found."}, {0}}},

    {.name = "rewards.redeem", .method = "POST", .path = "/api/rewards/redeem/",
     .summary = "Spend available credits on a reward.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .body = redeem_fields,
     /* Statements 1 and 2 lock the caller and the reward, so statement 3 sees the same credits and stock. */
     .sql = {CALLER_LOCK,

             "SELECT CASE WHEN NOT r.is_active THEN 'missing' "
             "            WHEN r.stock = 0 THEN 'sold_out' "
             "            WHEN c.available_credits < r.cost THEN 'few' "
             "       END AS \"!\" "
             "FROM (SELECT * FROM learnhub.rewards WHERE id = :reward_id::bigint FOR NO KEY UPDATE) r, "
             "     learnhub.credits_of(:me::bigint) c",

             "WITH item AS ("
             "    UPDATE learnhub.rewards r "
             "    SET stock = r.stock - 1 "
             "    FROM learnhub.credits_of(:me::bigint) c "
             "    WHERE r.id = :reward_id::bigint AND r.is_active AND r.stock IS DISTINCT FROM 0 "
             "      AND c.available_credits >= r.cost "
             "    RETURNING r.id, r.name, r.icon, r.category, r.cost, c.available_credits - r.cost AS remaining), "
             "spending AS ("
             "    INSERT INTO learnhub.credit_spendings (user_id, amount, reason) "
             "    SELECT :me::bigint, item.cost, item.name "
             "    FROM item "
             "    RETURNING id), "
             "redemption AS ("
             "    INSERT INTO learnhub.redemptions (user_id, reward_id, spending_id) "
             "    SELECT :me::bigint, item.id, spending.id "
             "    FROM item, spending "
             "    RETURNING id, created_at) "
             "SELECT true AS success, 'You have redeemed ' || item.name || '.' AS message, "
             "       item.remaining AS remaining_credits, "
             "       redemption.id AS \"redemption.id\", item.id AS \"redemption.reward\", "
             "       item.name AS \"redemption.reward_name\", item.icon AS \"redemption.reward_icon\", "
             "       item.category AS \"redemption.reward_category\", item.cost AS \"redemption.cost\", "
             "       redemption.created_at AS \"redemption.date\" "
             "FROM item, redemption"},
     .shape = LH_ONE,
     .status = 201,
     .returns = redeemed_keys,
     .errors = (const lh_route_error[]){
         {"missing",  404, NULL, "Reward not found."},
         {"sold_out", 400, NULL, "This reward is sold out."},
         {"few",      400, NULL, "You have too few credits for this reward."},
         {0}}},

    {.name = "rewards.redemptions", .method = "GET", .path = "/api/rewards/redemptions/",
     .summary = "List the caller's redemptions, newest first.",
     .roles = LH_MEMBER,
     .flags = LH_UNPAGED,
     .sql = {"SELECT d.id, d.reward_id AS reward, s.reason AS reward_name, r.icon AS reward_icon, "
             "       r.category AS reward_category, s.amount AS cost, d.created_at AS date "
             "FROM learnhub.redemptions d "
             "JOIN learnhub.credit_spendings s ON s.id = d.spending_id "
             "JOIN learnhub.rewards r ON r.id = d.reward_id "
             "WHERE " OF_CALLER("d.user_id")
             "ORDER BY d.user_id DESC, d.id DESC "
             "LIMIT :limit::bigint OFFSET :offset::bigint"},
     .shape = LH_ALL,
     .returns = redemption_keys},

    {0}};

const lh_route_group lh_group_rewards = {
    .name = "coding",
    .title = "Rewards",
    .prefixes = (const char *const[]){"/api/rewards", NULL},
    .error_format = LH_ERRORS_DETAIL,
    .time_format = LH_MICROS_Z,
    .routes = routes};

/* clang-format on */

/* SPDX-License-Identifier: Apache-2.0 */
/* All route groups. */
#include "learnhub.h"

/* clang-format off */
const lh_route_group *const lh_route_groups[] = {
    &lh_group_users, &lh_group_auth, &lh_group_sessions, &lh_group_account_mail, &lh_group_account_data,
    &lh_group_tutoring_login, &lh_group_coding_token, &lh_group_coding_users, &lh_group_xp_login,
    &lh_group_problems, &lh_group_submissions, &lh_group_practice, &lh_group_reviews,
    &lh_group_tutoring,
    &lh_group_profile, &lh_group_mentors, &lh_group_mentoring, &lh_group_settings,
    &lh_group_availabilities, &lh_group_own_availabilities,
    &lh_group_coding, &lh_group_eco, &lh_group_credits,
    &lh_group_coding_activities, &lh_group_rewards, &lh_group_coding_profile,
    &lh_group_activities, &lh_group_xp,
    &lh_group_admin, &lh_group_service,
    NULL};
/* clang-format on */

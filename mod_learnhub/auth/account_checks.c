/* SPDX-License-Identifier: Apache-2.0 */
/* The checks that learnhub_accounts.h declares: the rules for new passwords, and fields that depend on each other. */
#include "learnhub_accounts.h"

#include <apr_cstr.h>
#include <apr_strings.h>
#include <openssl/crypto.h>
#include <string.h>

#include "core/server_state.h"
#include "crypto/password.h"
#include "http/call.h"
#include "http/error.h"
#include "http/route.h"
#include "util/text.h"

/* ---- new passwords ---- */

/* Compares in constant time. */
static int secure_equal(const char *a, const char *b)
{
    apr_size_t length = strlen(a);

    return length == strlen(b) && !CRYPTO_memcmp(a, b, length);
}

/* The name of the field with the new password, which differs between routes. */
static const char *password_field(const lh_call *call)
{
    return lh_param(call, "new_password") ? "new_password" : "password";
}

/* The rule that the new password breaks, as a sentence that begins with `subject`; NULL: none, or no password was sent.
 * `user`: username, e-mail, first and last name; each may be NULL. */
static const char *broken_rule(lh_call *call, const char *subject, const char *const user[4])
{
    const char *full_name = user[2] && user[3] ? apr_pstrcat(call->r->pool, user[2], " ", user[3], NULL) : NULL;
    const char *names[] = {user[0], user[1], user[2], user[3], full_name};
    const char *password = lh_param(call, password_field(call));
    const char *text = password ? lh_password_error(password, names, 5, call->server->config.passwords) : NULL;

    return text ? apr_pstrcat(call->r->pool, subject, " ", text, NULL) : NULL;
}

/* The same with the names that were sent. */
static const char *rule_broken_by_body(lh_call *call, const char *subject)
{
    const char *user[] = {lh_param(call, "username"), lh_param(call, "email"), lh_param(call, "first_name"),
                          lh_param(call, "last_name")};

    return broken_rule(call, subject, user);
}

/* 1 when a field with the repeated password was sent and differs. */
static int repeated_differently(const lh_call *call, const char *password)
{
    static const char *const fields[] = {"re_password", "re_new_password", "confirm_password", "password2"};
    int differs = 0;
    apr_size_t i;

    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const char *repeated = lh_param(call, fields[i]);
        differs |= repeated && !secure_equal(password, repeated);
    }
    return differs;
}

/* 1 when both were sent and the username has an @, but is not the e-mail address. */
static int is_foreign_username(const lh_call *call)
{
    const char *username = lh_param(call, "username"), *email = lh_param(call, "email");

    return username && email && strchr(username, '@') && apr_cstr_casecmp(username, email);
}

lh_error *lh_check_password(lh_call *call, lh_error *errors)
{
    const char *password = lh_param(call, password_field(call)), *text = rule_broken_by_body(call, "This");

    if (text) {
        errors = lh_fail_field(call, errors, password_field(call), text);
    }
    if (is_foreign_username(call)) {
        errors = lh_fail_field(call, errors, "username", LH_USERNAME_RULE);
    }
    return password && repeated_differently(call, password)
               ? lh_fail_field(call, errors, NULL, "The two password fields did not match.")
               : errors;
}

lh_error *lh_check_signup(lh_call *call, lh_error *errors)
{
    const char *text = errors ? NULL : rule_broken_by_body(call, "The password");

    return text ? lh_error_make(call->r->pool, HTTP_UNPROCESSABLE_ENTITY, text) : lh_check_password(call, errors);
}

static lh_error *check_own_password(lh_call *call)
{
    const char *user[] = {lh_cell(call, "_username"), lh_cell(call, "_email"), lh_cell(call, "_first_name"),
                          lh_cell(call, "_last_name")};
    const char *text = broken_rule(call, "This", user);

    return text ? lh_fail_field(call, NULL, password_field(call), text) : NULL;
}

/* ---- login names ---- */

/* 1 when `errors` contains the field. */
static int is_invalid(const lh_error *errors, const char *field)
{
    const lh_field_error *entry;

    for (entry = errors ? errors->first : NULL; entry; entry = entry->next) {
        if (entry->field && !strcmp(entry->field, field)) {
            return 1;
        }
    }
    return 0;
}

/* 1 when the field was not sent: it has neither a value nor an error. */
static int is_absent(const lh_call *call, const lh_error *errors, const char *field)
{
    return !lh_param(call, field) && !is_invalid(errors, field);
}

lh_error *lh_check_registration(lh_call *call, lh_error *errors)
{
    const char *username = lh_param(call, "username");

    if (is_absent(call, errors, "email") && !(username && lh_text_is_email(username))) {
        errors =
            lh_fail_field(call, errors, "email", "This field is required, unless the username is an e-mail address.");
    }
    return lh_check_password(call, errors);
}

lh_error *lh_check_login_name(lh_call *call, lh_error *errors)
{
    return is_absent(call, errors, "username") && is_absent(call, errors, "email")
               ? lh_fail_field(call, errors, call->route->def->body->name, "This field is required.")
               : errors;
}

/* ---- changes of login names ---- */

static lh_error *log_in_to_change(lh_call *call)
{
    lh_error *error = lh_query(call, lh_step_log_in.extra_sql);

    if (error || !lh_row_count(call)) {
        return error;
    }
    if (!lh_param(call, "current_password")) {
        return lh_fail_field(call, NULL, "current_password",
                             "This field is required to change the username or the e-mail address.");
    }
    return lh_step_log_in.run(call);
}

/* clang-format off */
const lh_step lh_step_log_in_to_change = {
    .name = "log_in_to_change", .run = log_in_to_change, .fields = "current_password username email",
    .binds = "failures seconds address_failures address_seconds account user_id version known verified_hash rehash",
    .extra_sql = 3, .columns = "_id _role _version _hash _account _wait _noted _known"};

const lh_step lh_step_check_own_password = {
    .name = "check_own_password", .run = check_own_password, .fields = "password|new_password",
    .columns = "_username _email _first_name _last_name"};
/* clang-format on */

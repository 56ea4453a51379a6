/* SPDX-License-Identifier: Apache-2.0 */
#include "http/fields.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <string.h>

#include "util/json.h"
#include "util/photo_clean.h"
#include "util/text.h"

typedef struct check {
    apr_pool_t *pool;
    const lh_field *field;
    const lh_input *input;
    int untyped;
    apr_int64_t now;
    const char **value;
} check;

/* Stores the value and returns NULL. */
static const char *set_value(check *c, const char *text)
{
    *c->value = text;
    return NULL;
}

/* The string that was sent; empty for input of another kind. */
static const char *string_of(const check *c)
{
    return c->input->kind == LH_INPUT_STRING ? c->input->text : "";
}

static const char *length_sentence(check *c)
{
    const lh_field *f = c->field;

    if (!f->max) {
        return "This may not be blank.";
    }
    return f->min ? apr_psprintf(c->pool, "This must have %d to %d characters.", (int)f->min, (int)f->max)
                  : apr_psprintf(c->pool, "This must have at most %d characters.", (int)f->max);
}

/* The field's enum_values: "easy, medium, hard". */
static const char *word_list(const check *c)
{
    const char *words = c->field->enum_values, *word, *list = "";
    apr_size_t length;

    while ((word = lh_text_word(&words, &length))) {
        list = apr_psprintf(c->pool, "%s%s%.*s", list, *list ? ", " : "", (int)length, word);
    }
    return list;
}

/* 1 when the text contains a control character (C0, DEL, C1), a line or paragraph separator, or a directional mark. */
static int has_control(const char *text)
{
    const unsigned char *s;

    for (s = (const unsigned char *)text; *s; s++) {
        if (*s < ' ' || *s == 0x7F || (s[0] == 0xC2 && s[1] < 0xA0) ||
            (s[0] == 0xE2 &&
             ((s[1] == 0x80 && s[2] >= 0xA8 && s[2] <= 0xAE) || (s[1] == 0x81 && s[2] >= 0xA6 && s[2] <= 0xA9)))) {
            return 1;
        }
    }
    return 0;
}

#define CONTROL_IN_TEXT "This may not have control characters other than tabs and line breaks."

/* 1 when a text of several lines contains a control character (C0, DEL) other than a tab, a line feed or a carriage
 * return. JSON writes such a character in up to six bytes. */
static int has_control_in_text(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    while (*s == '\t' || *s == '\n' || *s == '\r' || (*s >= ' ' && *s != 0x7F)) {
        s++;
    }
    return *s != '\0';
}

/* The same for an array of strings in JSON, where lh_json_string() has escaped control characters. */
static int has_control_in_strings(const char *json)
{
    for (; *json && *json != 0x7F; json++) {
        if (*json == '\\' && strchr("ubf", *++json)) {
            return 1;
        }
    }
    return *json != '\0';
}

static const char *check_string(check *c)
{
    const lh_field *f = c->field;
    const char *text = c->input->text;
    apr_int64_t characters;

    if ((f->flags & LH_COERCE) && c->input->kind == LH_INPUT_INTEGER) {
        text = apr_psprintf(c->pool, "%" APR_INT64_T_FMT, c->input->number);
    }
    else if (c->input->kind != LH_INPUT_STRING) {
        return "This must be a string.";
    }
    if (f->flags & (LH_TRIM | LH_NAME)) {
        text = lh_text_trim(apr_pstrdup(c->pool, text));
    }
    if (f->enum_values) {
        return lh_text_listed(f->enum_values, text, strlen(text))
                   ? set_value(c, text)
                   : apr_psprintf(c->pool, "This must be one of: %s.", word_list(c));
    }
    if ((f->flags & (LH_TRIM | LH_NAME)) && has_control(text)) {
        return "This may not have line breaks or other control characters.";
    }
    if ((f->flags & LH_NAME) && lh_text_has_invisible(text)) {
        return "This may not have invisible characters.";
    }
    if (!(f->flags & (LH_TRIM | LH_SECRET)) && has_control_in_text(text)) {
        return CONTROL_IN_TEXT;
    }
    characters = (apr_int64_t)lh_utf8_length(text);
    return characters < f->min || (f->max && characters > f->max) ? length_sentence(c) : set_value(c, text);
}

static const char *check_email(check *c)
{
    const char *text = lh_text_trim(apr_pstrdup(c->pool, string_of(c)));

    return lh_text_is_email(text) ? set_value(c, text) : "This must be an e-mail address such as name@example.com.";
}

static const char *integer_sentence(check *c)
{
    const lh_field *f = c->field;

    if (!f->min && !f->max) {
        return "This must be a whole number.";
    }
    if (f->max == APR_INT64_MAX || (f->flags & LH_CLAMP)) {
        return apr_psprintf(c->pool, "This must be a whole number of at least %" APR_INT64_T_FMT ".", f->min);
    }
    return apr_psprintf(c->pool, "This must be a whole number from %" APR_INT64_T_FMT " to %" APR_INT64_T_FMT ".",
                        f->min, f->max);
}

static const char *check_integer(check *c)
{
    const lh_field *f = c->field;
    apr_int64_t number = c->input->number;
    int coerce = c->untyped || (f->flags & LH_COERCE), limited = f->min || f->max;

    if (c->input->kind != LH_INPUT_INTEGER &&
        (c->input->kind != LH_INPUT_STRING || !coerce || !lh_text_integer(c->input->text, &number))) {
        return integer_sentence(c);
    }
    if ((f->flags & LH_CLAMP) && number > f->max) {
        number = f->max;
    }
    if (limited && (number < f->min || number > f->max)) {
        return integer_sentence(c);
    }
    return set_value(c, apr_psprintf(c->pool, "%" APR_INT64_T_FMT, number));
}

static const char *check_boolean(check *c)
{
    const char *text = c->input->text;
    int coerce = c->untyped || (c->field->flags & LH_COERCE);

    if (c->input->kind == LH_INPUT_BOOLEAN ||
        (coerce && c->input->kind == LH_INPUT_INTEGER && c->input->number >> 1 == 0)) {
        return set_value(c, c->input->number ? "true" : "false");
    }
    if (coerce && c->input->kind == LH_INPUT_STRING) {
        if (!strcasecmp(text, "true") || !strcmp(text, "1")) {
            return set_value(c, "true");
        }
        if (!strcasecmp(text, "false") || !strcmp(text, "0")) {
            return set_value(c, "false");
        }
    }
    return "This must be true or false.";
}

/* The value is set even if the time is rejected because it has passed: a repeated request is recognised by it. */
static const char *check_time(check *c)
{
    apr_int64_t micros;
    lh_json text;

    if (c->input->kind != LH_INPUT_STRING || !lh_text_time(c->input->text, &micros)) {
        return "This must be a date and time in ISO 8601, such as 2024-01-15T14:00:00Z.";
    }
    lh_json_init(&text, c->pool, 40);
    lh_json_time(&text, micros, LH_MICROS_Z);
    set_value(c, apr_pstrmemdup(c->pool, text.out.data + 1, text.out.length - 2));
    if ((c->field->flags & LH_FUTURE) && micros <= c->now) {
        return "This must be in the future.";
    }
    if ((c->field->flags & LH_PAST) && micros > c->now) {
        return "This may not be in the future.";
    }
    return NULL;
}

#define MICROS_PER_DAY (APR_INT64_C(86400) * APR_USEC_PER_SEC)

static const char *check_date(check *c)
{
    apr_int64_t micros;
    lh_json text;

    if (!lh_text_time(string_of(c), &micros)) {
        return "This must be a date such as 2024-01-15.";
    }
    if ((c->field->flags & LH_PAST) && micros / MICROS_PER_DAY > c->now / MICROS_PER_DAY + 1) {
        return "This may not be later than tomorrow (UTC).";
    }
    lh_json_init(&text, c->pool, 40);
    lh_json_time(&text, micros, LH_SECONDS_Z);
    return set_value(c, apr_pstrmemdup(c->pool, text.out.data + 1, strlen("2024-01-15")));
}

static const char *check_duration(check *c)
{
    const char *text = string_of(c);
    int coerce = (c->field->flags & LH_COERCE) && *text && text[1] == ':';
    int seconds = lh_text_duration(coerce ? apr_pstrcat(c->pool, "0", text, NULL) : text);

    return seconds > 0 && seconds <= 86400
               ? set_value(c, apr_itoa(c->pool, seconds))
               : "This must be a duration HH:MM:SS of more than 00:00:00 and at most 24:00:00.";
}

static const char *check_object_id(check *c)
{
    return lh_text_is_object_id(string_of(c)) ? set_value(c, c->input->text) : "This must be an id of 24 hex digits.";
}

static const char *check_strings(check *c)
{
    const lh_field *f = c->field;

    if (c->input->kind == LH_INPUT_STRING && (f->flags & LH_COERCE)) {
        lh_json text;

        if (has_control_in_text(c->input->text)) {
            return CONTROL_IN_TEXT;
        }
        lh_json_init(&text, c->pool, 64);
        lh_json_text(&text, c->input->text);
        return set_value(c, lh_json_result(&text));
    }
    if (c->input->kind != LH_INPUT_STRINGS) {
        return f->flags & LH_COERCE ? "This must be a string or an array of strings."
                                    : "This must be an array of strings.";
    }
    if (c->input->number < f->min || (f->max && c->input->number > f->max)) {
        return f->max ? apr_psprintf(c->pool, "This must have %d to %d entries.", (int)f->min, (int)f->max)
                      : "This may not be empty.";
    }
    if (has_control_in_strings(c->input->text)) {
        return CONTROL_IN_TEXT;
    }
    return set_value(c, c->input->text);
}

static const char *check_object(check *c)
{
    if (c->input->kind == LH_INPUT_OBJECT && !c->input->text) {
        return "The name of this object must be written without escapes.";
    }
    return c->input->kind == LH_INPUT_OBJECT ? set_value(c, c->input->text) : "This must be an object.";
}

static const char *check_group(check *c)
{
    return c->input->kind == LH_INPUT_OBJECT ? set_value(c, "true") : "This must be an object.";
}

#define PHONE_DIGITS 15 /* at most, after the plus sign (E.164) */
#define PHONE_MARKS " .-()"

/* The marks are dropped; all digits count, also those of a national prefix "(0)". */
static const char *check_phone(check *c)
{
    const char *text = lh_text_trim(apr_pstrdup(c->pool, string_of(c)));
    char number[1 + PHONE_DIGITS + 1];
    apr_size_t length = 0, digits;

    for (; *text && length < sizeof(number) - 1; text++) {
        if (!strchr(PHONE_MARKS, *text)) {
            number[length++] = *text;
        }
    }
    text += strspn(text, PHONE_MARKS);
    number[length] = '\0';
    digits = *number == '+' ? strspn(number + 1, "0123456789") : 0;
    return !*text && digits >= 8 && number[1] != '0' && !number[1 + digits]
               ? set_value(c, apr_pstrdup(c->pool, number))
               : "This must be a phone number in international format, such as +12345678987.";
}

static const char *check_photo(check *c)
{
    apr_size_t length;
    const char *photo;

    if (c->input->kind != LH_INPUT_FILE) {
        return c->field->flags & LH_CLEARABLE
                   ? "This must be sent as a file in multipart/form-data; null removes the current one."
                   : "This must be sent as a file in multipart/form-data.";
    }
    photo = lh_photo_clean(c->pool, c->input->text, (apr_size_t)c->input->number, &length);
    return photo ? set_value(c, apr_pescape_hex(c->pool, photo, length, 0))
                 : "This must be a JPEG, PNG, WebP or GIF image.";
}

/* 1 when the input clears an LH_CLEARABLE field. In JSON only null clears a photo: an empty string is invalid. */
static int clears(const check *c)
{
    return c->input->kind == LH_INPUT_NULL ||
           (c->input->kind == LH_INPUT_STRING && !*c->input->text && (c->untyped || c->field->type != LH_PHOTO));
}

static const char *check_uuid(check *c)
{
    return lh_text_is_uuid(string_of(c)) ? set_value(c, c->input->text)
                                         : "This must be a UUID such as 123e4567-e89b-12d3-a456-426614174000.";
}

static const char *check_color(check *c)
{
    const char *text = string_of(c);

    return text[0] == '#' && strlen(text) == 7 && strspn(text + 1, "0123456789abcdefABCDEF") == 6
               ? set_value(c, text)
               : "This must be a color such as #4187a2.";
}

static const char *check_number(check *c)
{
    const lh_field *f = c->field;
    const char *text = c->input->text;
    apr_int64_t hundredths;

    if (c->input->kind == LH_INPUT_INTEGER) {
        text = apr_psprintf(c->pool, "%" APR_INT64_T_FMT, c->input->number);
    }
    else if (c->input->kind != LH_INPUT_NUMBER && (c->input->kind != LH_INPUT_STRING || !c->untyped)) {
        text = "";
    }
    if (!lh_text_hundredths(text, &hundredths) || hundredths < f->min * 100 || hundredths > f->max * 100) {
        return apr_psprintf(c->pool,
                            "This must be a number from %" APR_INT64_T_FMT " to %" APR_INT64_T_FMT
                            " with at most two decimals.",
                            f->min, f->max);
    }
    return set_value(c, text);
}

static const char *check_typed(check *c)
{
    switch (c->field->type) {
    case LH_EMAIL: return check_email(c);
    case LH_INTEGER: return check_integer(c);
    case LH_BOOLEAN: return check_boolean(c);
    case LH_TIME: return check_time(c);
    case LH_DATE: return check_date(c);
    case LH_DURATION: return check_duration(c);
    case LH_OBJECT_ID: return check_object_id(c);
    case LH_STRINGS: return check_strings(c);
    case LH_OBJECT: return check_object(c);
    case LH_GROUP: return check_group(c);
    case LH_PHONE: return check_phone(c);
    case LH_PHOTO: return check_photo(c);
    case LH_UUID: return check_uuid(c);
    case LH_NUMBER: return check_number(c);
    case LH_COLOR: return check_color(c);
    default: return check_string(c);
    }
}

/* A field of another type than LH_STRING accepts its enum_values as well. */
static const char *check_word_or_type(check *c)
{
    const char *words = c->field->type == LH_STRING ? NULL : c->field->enum_values, *why;

    if (words && lh_text_listed(words, string_of(c), strlen(string_of(c)))) {
        return set_value(c, c->input->text);
    }
    why = check_typed(c);
    return why && words ? apr_psprintf(c->pool, "%.*s, or one of: %s.", (int)strlen(why) - 1, why, word_list(c)) : why;
}

const char *lh_field_check(apr_pool_t *p, const lh_field *field, const lh_input *input, int untyped, apr_int64_t now,
                           const char **value)
{
    check c = {p, field, input, untyped, now, value};

    *value = NULL;
    if (input->kind == LH_INPUT_CONFLICT) {
        return apr_psprintf(p, "This and %s are the same field: send one of them, or the same value.", field->alias);
    }
    if ((field->flags & LH_CLEARABLE) && clears(&c)) {
        return set_value(&c, "");
    }
    if (input->kind == LH_INPUT_NULL && !(field->flags & LH_NULL)) {
        return "This may not be null.";
    }
    if (input->kind == LH_INPUT_ABSENT || input->kind == LH_INPUT_NULL ||
        ((field->flags & LH_EMPTY) && input->kind == LH_INPUT_STRING && !*input->text)) {
        return field->flags & LH_REQUIRED ? "This field is required."
               : field->default_value     ? set_value(&c, field->default_value)
                                          : NULL;
    }
    return check_word_or_type(&c);
}

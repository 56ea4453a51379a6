/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that read the arguments of directives, one for each kind of value. A message about wrong arguments follows
 * "<directive>: " and states what is allowed; it never contains any part of a secret.
 */
#ifndef LH_READERS_H
#define LH_READERS_H

#include "core/setting.h"

#define LH_MILLISECOND ((apr_int64_t)1000) /* microseconds, as all durations */
#define LH_SECOND (1000 * LH_MILLISECOND)
#define LH_MINUTE (60 * LH_SECOND)
#define LH_HOUR (60 * LH_MINUTE)
#define LH_DAY (24 * LH_HOUR)

/* What may be the value of a secret, for messages. */
#define LH_SECRET_SOURCES "file:PATH, exec:COMMAND, env:NAME or the "

lh_setting_reader lh_read_flag, lh_read_integer, lh_read_duration, lh_read_throttle, lh_read_rate, lh_read_passwords,
    lh_read_spool, lh_read_words, lh_read_choice, lh_read_list, lh_read_string, lh_read_email, lh_read_url,
    lh_read_prefix, lh_read_origins, lh_read_reset_url, lh_read_meeting_url, lh_read_smtp, lh_read_key, lh_read_login,
    lh_read_secret;

#endif

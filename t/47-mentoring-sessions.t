# SPDX-License-Identifier: Apache-2.0
# Mentoring sessions: requests, confirmations and cancellations, mails and reminders, and concurrent requests.
use strict;
use warnings;
use utf8;

use LearnHub::Mentoring;
use LearnHub::Test;
use LearnHub::Users;
use POSIX qw(strftime);

my $keys = [qw(end_time mentee mentee_first_name mentee_last_name mentor mentor_availability mentor_first_name
        mentor_last_name pk session_length start_time status)];
my @notifications = qw(session_requested session_confirmed session_canceled fifteen_minute_alert sixty_minute_alert);
my $serial = 0;

# Switches these notifications on and all others off.
sub set_notifications {
    my ($user, %on) = @_;
    is(api_as($user, PATCH => '/notificationsettings/' . user_id($user),
            json => { map { $_ => $on{$_} ? true : false } @notifications })->status, 200,
        "notifications of $user->{first_name} are set");
    return;
}

# A different hour of the year 2040 at each call.
sub next_hour { return strftime('%Y-%m-%dT%H:00:00Z', gmtime(2_208_988_800 + 7200 * ++$serial)) }

# An hour of a day in November 2040.
sub hour_of { my ($day) = @_; return sprintf '2040-11-%02dT10:00:00Z', $day }

# A new session at the next hour of an availability.
sub book {
    my ($user, $availability) = @_;
    my $reply = request_session($user, $availability, next_hour());
    $reply->status == 201 or die $reply->summary;
    return $reply->json;
}

sub set_status {
    my ($user, $session, $status) = @_;
    return api_as($user, PATCH => "/sessionrequest/$session->{pk}", json => { status => $status });
}

# Moves a session: minutes from now.
sub move {
    my ($session, $minutes) = @_;
    sql("UPDATE learnhub.mentoring_sessions SET starts_at = now() + make_interval(secs => ? * 60) WHERE id = ?",
        $minutes, $session->{pk});
    return $session;
}

# The mails of a session in the outbox, each as "address subject".
sub mails {
    my ($session) = @_;
    my @mails = sql('SELECT * FROM learnhub.outbox WHERE subject_ref = ?', "session $session->{pk}");
    return [sort map {"$_->{to_address} $_->{subject}"} @mails];
}

my ($mentor, $mentee, $stranger) = (mentor(), signup(first_name => 'Mia', last_name => 'Tee'), signup());
my $admin = signup(role => 'admin');
my $year = offer_year($mentor);

subtest 'Every route requires a token and a known session' => sub {
    is_error(api_as(undef, @$_, json => {}), 'detail', 401, "$_->[0] $_->[1] without a token is rejected")
        for [GET => '/session/'], [GET => '/archivesession/'],
        [POST => '/sessionrequest/'], [GET => '/sessionrequest/1'], [PATCH => '/sessionrequest/1'];
    is_error(api_as($mentee, GET => "/sessionrequest/$_"), 'detail', 404, 'GET of an unknown session is not found')
        for 999999999, 'x', '-1';
    is_error(api_as($mentee, PATCH => '/sessionrequest/999999999', json => { status => 'Canceled' }), 'detail', 404,
        'PATCH of an unknown session is not found');
};

my $session;

subtest 'A mentee requests a session' => sub {
    my $reply = request_session($mentee, $year, '2040-01-01T00:00:00.000Z', 60);
    is($reply->status, 201, 'a session is requested') || diag($reply->summary);
    $session = $reply->json;
    is_deeply($session, { pk => $session->{pk}, mentor => user_id($mentor), mentor_first_name => 'Ment',
            mentor_last_name => 'Ör', mentor_availability => $year, mentee => user_id($mentee),
            mentee_first_name => 'Mia', mentee_last_name => 'Tee', start_time => '2040-01-01T00:00:00Z',
            end_time => '2040-01-01T01:00:00Z', status => 'Pending', session_length => 60 },
        'the response has twelve fields');
    is_deeply(mails($session), [], 'no mail is written while all notifications are off');
    my $later = api_as($mentee, POST => '/sessionrequest/',
        json => { mentor_availability => "$year", start_time => '2040-01-01T01:00:00Z', session_length => '30',
            status => 'Confirmed', mentee => 1, pk => 1 });
    is_deeply([@{ $later->json }{qw(status session_length mentee end_time)}],
        ['Pending', 30, user_id($mentee), '2040-01-01T01:30:00Z'],
        'numbers may be strings, sessions may touch, and a new session is always Pending');
    is_deeply(api_as($_, GET => "/sessionrequest/$session->{pk}")->json, $session, 'mentor and mentee read the session')
        for $mentor, $mentee;
    is_error(api_as($_, GET => "/sessionrequest/$session->{pk}/"), 'detail', 403,
        'other users cannot read the session, admins included') for $stranger, $admin;
};

# How many sessions a user has as mentee.
sub sessions_of {
    my ($user) = @_;
    return (sql('SELECT count(*) AS n FROM learnhub.mentoring_sessions WHERE mentee_id = ?', user_id($user)))[0]{n};
}

subtest 'Invalid requests are rejected' => sub {
    my $before = sessions_of($mentee);
    is_invalid(api_as($mentee, POST => '/sessionrequest/', json => {}), 'detail',
        [qw(mentor_availability session_length start_time)], 'all required fields are reported at once');
    my %good = (mentor_availability => $year, start_time => '2040-06-01T10:00:00Z', session_length => 30);
    is_invalid(api_as($mentee, POST => '/sessionrequest/', json => { %good, @$_ }), 'detail', [$_->[0]],
        "rejected: @{[ map { $_ // 'null' } @$_ ]}")
        for [session_length => 45], [session_length => '60m'], [session_length => 30.5], [session_length => undef],
        [session_length => 0], [start_time => 'soon'], [start_time => '2020-01-01T10:00:00Z'], [start_time => undef],
        [mentor_availability => 999999999], [mentor_availability => 'x'], [mentor_availability => undef];
    is_invalid(api_as($mentee, POST => '/sessionrequest/', json => { %good, session_length => 45, start_time => 5 }),
        'detail', [qw(session_length start_time)], 'an invalid length and an invalid start are reported together');
    is_invalid(request_session($mentor, $year, '2040-06-01T10:00:00Z'), 'detail', ['mentor_availability'],
        'mentor and mentee must differ');
    is_invalid(request_session($mentee, $year, @$_), 'detail', ['non_field_errors'],
        "a session outside the availability is rejected: @$_") for ['2039-12-31T23:59:59Z', 30],
        ['2039-12-31T23:29:59Z', 30], ['2040-12-31T23:30:01Z', 30], ['2040-12-31T23:00:01Z', 60],
        ['2041-06-01T10:00:00Z', 30];
    is(sessions_of($mentee), $before, 'rejected requests store no session');
    is(request_session($mentee, $year, '2040-12-31T23:30:00Z', 30)->status, 201,
        'a session may end with the availability');
};

subtest 'Sessions of one user never overlap' => sub {
    for my $start ('2040-01-01T00:00:00Z', '2040-01-01T00:45:00Z', '2040-01-01T00:59:59Z', '2040-01-01T01:15:00Z') {
        is_invalid(request_session($stranger, $year, $start), 'detail', ['non_field_errors'],
            "the mentor has another session at $start");
    }
    my $precise = mentor();
    my $hour = offer($precise, '2042-01-01T10:00:00.5Z', '2042-01-01T12:00:00.5Z')->json;
    my $first = request_session($stranger, $hour->{pk}, '2042-01-01T10:00:00.25Z');
    is_deeply([$first->status, $first->json->{start_time}], [201, $hour->{start_time}],
        'a session may begin at the start that was returned for the availability');
    is(request_session($mentee, $hour->{pk}, $first->json->{end_time})->status, 201,
        'a session may begin at the end that was returned for another session');
    my $second = mentor();
    my $other_year = offer_year($second);
    is_invalid(request_session($mentee, $other_year, '2040-01-01T00:30:00Z'), 'detail', ['non_field_errors'],
        'the mentee has another session at that time');
    is_invalid(request_session($mentor, $other_year, '2040-01-01T00:30:00Z'), 'detail', ['non_field_errors'],
        'a mentor with a session at that time cannot be a mentee');
    is_invalid(request_session($second, $year, '2040-01-01T00:30:00Z'), 'detail', ['non_field_errors'],
        'a mentee with a session at that time cannot be a mentor');
    is(request_session($stranger, $other_year, '2040-01-01T00:30:00Z')->status, 201,
        'users without a session at that time book it');
    my $off = mentor();
    my $off_year = offer_year($off);
    api_as($off, PATCH => '/myprofile/', json => { is_mentor => false });
    is_invalid(request_session($mentee, $off_year, next_hour()), 'detail', ['mentor_availability'],
        'a user without the mentor flag cannot be booked');
};

subtest 'Mentors confirm pending sessions, both cancel before the start' => sub {
    my @cases = ( # user, from, to, allowed
        ['mentor', 'Pending', 'Confirmed', 1], ['mentee', 'Pending', 'Confirmed', 0],
        ['mentor', 'Confirmed', 'Confirmed', 0], ['mentor', 'Canceled', 'Confirmed', 0],
        ['mentor', 'Pending', 'Canceled', 1], ['mentee', 'Pending', 'Canceled', 1],
        ['mentor', 'Confirmed', 'Canceled', 1], ['mentee', 'Confirmed', 'Canceled', 1],
        ['mentor', 'Canceled', 'Canceled', 0], ['mentee', 'Canceled', 'Canceled', 0],
        ['mentee', 'Confirmed', 'Confirmed', 0],
    );
    for my $case (@cases) {
        my ($by, $from, $to, $allowed) = @$case;
        my $now = book($mentee, $year);
        set_status($mentor, $now, $from) if $from ne 'Pending';
        is_error(set_status($_, $now, $to), 'detail', 403, 'other users cannot change the session, admins included')
            for $stranger, $admin;
        my $changed = set_status($by eq 'mentor' ? $mentor : $mentee, $now, $to);
        if ($allowed) {
            is_deeply([$changed->status, $changed->json], [201, { %$now, status => $to }],
                "$by: $from to $to is accepted");
        }
        else {
            is_error($changed, 'detail', 400, qr/\S/, "$by: $from to $to is rejected");
            is(api_as($mentee, GET => "/sessionrequest/$now->{pk}")->json->{status}, $from,
                "$by: $from to $to leaves the session unchanged");
        }
    }
    my $begun = move(book($mentee, $year), -1);
    is_error(set_status($mentor, $begun, $_), 'detail', 400, qr/\S/, "$_ after the start is rejected")
        for qw(Confirmed Canceled);
    is(api_as($mentee, GET => "/sessionrequest/$begun->{pk}")->json->{status}, 'Pending',
        'a change after the start leaves the session unchanged');
    is_invalid(set_status($mentor, $session, $_), 'detail', ['status'], 'the status is rejected: ' . ($_ // 'null'))
        for 'Pending', 'confirmed', 'Done', undef, 5;
    is_invalid(api_as($mentor, PATCH => "/sessionrequest/$session->{pk}/", json => {}), 'detail', ['status'],
        'status is required');
    my $freed = book($mentee, $year);
    set_status($mentee, $freed, 'Canceled');
    is(request_session($stranger, $year, $freed->{start_time})->status, 201,
        'the time of a canceled session can be booked');
};

my ($lister, $guide) = (signup(), mentor());
my $guided = offer_year($guide);
my @own = map { book($lister, $guided) } 1 .. 4;
set_status($lister, $own[0], 'Canceled');
move($own[1], -60 * 23);
move($own[2], -60 * 25);
move($own[3], -60 * 48);
my @taught = (book($stranger, $guided));

subtest 'Sessions are listed until 24 hours after their start, older ones in the archive' => sub {
    is_deeply([map { $_->{pk} } @{ api_as($lister, GET => '/session/')->json }], [map { $_->{pk} } @own[1, 0]],
        '/session/ has the sessions from 24 hours ago on, by start');
    is_deeply([map { $_->{pk} } @{ api_as($lister, GET => '/archivesession/')->json }], [map { $_->{pk} } @own[3, 2]],
        '/archivesession/ has the older sessions, oldest first');
    is_deeply([map { keys_of($_) } @{ api_as($lister, GET => $_)->json }], [($keys) x 2],
        "$_: twelve fields of a session") for '/session/', '/archivesession/';
    is_deeply([map { $_->{pk} } @{ api_as($guide, GET => '/session/')->json }], [map { $_->{pk} } @own[1, 0], @taught],
        '/session/ has the sessions as mentor');
    is(api_as(signup(), GET => $_)->body, '[]', "$_ is empty for a new user") for '/session/', '/archivesession/';
};

my %subject = (session_requested => 'New session request',
    session_confirmed => 'Your session is confirmed', session_canceled => 'Your session was canceled',
    fifteen_minute_alert => 'Your session starts within 15 minutes',
    sixty_minute_alert => 'Your session starts within 60 minutes');

# A mail about an event, as mails() lists it.
sub mail_to { my ($user, $notification) = @_; return "$user->{email} $subject{$notification}" }

subtest 'Requests, confirmations and cancellations are mailed to the users concerned' => sub {
    set_notifications($mentor, map { $_ => 1 } @notifications);
    set_notifications($mentee, map { $_ => 1 } @notifications);
    sql('UPDATE learnhub.users SET email_verified_at = now() WHERE email = ?', $mentor->{email});
    my $requested = book($mentee, $year);
    is_deeply(mails($requested), [mail_to($mentor, 'session_requested')], 'a request is mailed to the mentor');
    my ($mail) = sql('SELECT * FROM learnhub.outbox WHERE subject_ref = ?', "session $requested->{pk}");
    my $when = $requested->{start_time} =~ s/T(\d\d:\d\d):00Z/ $1 UTC (+00:00)/r;
    like($mail->{body}, qr/With: Mia Tee\n.*When: \Q$when\E\n.*Length: 30 minutes/s,
        'the mail has the name, the time in UTC and the length');
    set_status($mentor, $requested, 'Confirmed');
    is_deeply(mails($requested), [sort +mail_to($mentor, 'session_requested'), mail_to($mentor, 'session_confirmed'),
            mail_to($mentee, 'session_confirmed')], 'a confirmation is mailed to mentor and mentee, one mail each');
    set_status($mentee, $requested, 'Canceled');
    is_deeply([grep {/canceled/} @{ mails($requested) }], [mail_to($mentor, 'session_canceled')],
        'a cancellation by the mentee is mailed to the mentor');
    my $kept = book($mentee, $year);
    set_status($mentor, $kept, 'Canceled');
    is_deeply([grep {/canceled/} @{ mails($kept) }], [mail_to($mentee, 'session_canceled')],
        'a cancellation by the mentor is mailed to the mentee');
};

my $single;

subtest 'Mails go only to users whose setting is on' => sub {
    for my $notification (@notifications[0 .. 2]) {
        set_notifications($mentor, map { $_ => 1 } grep { $_ ne $notification } @notifications);
        set_notifications($mentee, map { $_ => 1 } grep { $_ ne $notification } @notifications);
        my $quiet = book($mentee, $year);
        set_status($mentor, $quiet, 'Confirmed');
        set_status($mentor, $quiet, 'Canceled');
        is_deeply([grep {/\Q$subject{$notification}\E/} @{ mails($quiet) }], [],
            "no mail about $notification while it is off");
        cmp_ok(scalar @{ mails($quiet) }, '>', 0, "mails about other events are written while $notification is off");
    }
    set_notifications($mentor, session_confirmed => 1);
    set_notifications($mentee);
    $single = book($mentee, $year);
    set_status($mentor, $single, 'Confirmed');
    is_deeply(mails($single), [mail_to($mentor, 'session_confirmed')],
        "a user's mails depend on the user's own settings only");
    is_error(set_status($mentor, $single, 'Confirmed'), 'detail', 400, 'a second confirmation is rejected');
    is(scalar @{ mails($single) }, 1, 'a rejected change writes no mail');
};

subtest 'Ending an availability cancels its future sessions' => sub {
    my $giver = mentor();
    my ($early, $late) = map { offer($giver, "204$_-01-01T00:00:00Z", "204$_-02-01T00:00:00Z")->json->{pk} } 2, 3;
    set_notifications($mentee, session_canceled => 1);
    set_notifications($giver, session_canceled => 1);
    my @inside = map { request_session($mentee, $early, "2042-01-0${_}T10:00:00Z")->json } 1 .. 3;
    set_status($giver, $inside[1], 'Confirmed');
    move($inside[2], -5);
    my $elsewhere = request_session($mentee, $late, '2043-01-01T10:00:00Z')->json;
    is(api_as($admin, DELETE => "/availabilty/$early/")->status, 204, 'an admin deletes an availability');
    is_deeply([map { api_as($mentee, GET => "/sessionrequest/$_->{pk}")->json->{status} } @inside, $elsewhere],
        [qw(Canceled Canceled Pending Pending)], 'future sessions in the availability are canceled, others stay');
    is_deeply([map { @{ mails($_) } } @inside, $elsewhere], [(mail_to($mentee, 'session_canceled')) x 2],
        'the mentee gets a mail for each canceled session');
    is_invalid(request_session($mentee, $early, '2042-01-05T10:00:00Z'), 'detail', ['mentor_availability'],
        'a deleted availability cannot be booked');
    is(api_as($giver, DELETE => '/mentorinfoupdate/')->status, 204, 'the mentor deletes the profile');
    is_deeply([api_as($mentee, GET => "/sessionrequest/$elsewhere->{pk}")->json->{status}, mails($elsewhere)],
        ['Canceled', [mail_to($mentee, 'session_canceled')]],
        'sessions of the other availabilities are canceled, with a mail');
    is((sql('SELECT count(*) AS n FROM learnhub.mentoring_sessions WHERE mentor_id = ?', user_id($giver)))[0]{n}, 4,
        'no session is deleted');
};

subtest 'Deleting an account cancels its future sessions' => sub {
    set_notifications($mentor, session_canceled => 1);
    my $leaver = signup();
    my $lost = book($leaver, $year);
    is(api_as($leaver, DELETE => '/auth/users/me/', json => { current_password => $leaver->{password} })->status, 204,
        'a mentee deletes the account');
    is_deeply([api_as($mentor, GET => "/sessionrequest/$lost->{pk}")->json->{status}, mails($lost)],
        ['Canceled', [mail_to($mentor, 'session_canceled')]],
        'the session of a deleted account is canceled, with a mail to the mentor');
    like((sql('SELECT body FROM learnhub.outbox WHERE subject_ref = ?', "session $lost->{pk}"))[0]{body},
        qr/^  With: a former user$/m, 'the mail does not name the deleted user');
};

# Activates or deactivates an account as an admin; returns the status.
sub set_active {
    my ($user, $active) = @_;
    return api_as($admin, PATCH => '/api/admin/users/' . user_id($user) . '/',
        json => { is_active => $active })->status;
}

# The statuses of sessions in the database.
sub statuses_of {
    return [map { (sql('SELECT status FROM learnhub.mentoring_sessions WHERE id = ?', $_->{pk}))[0]{status} } @_];
}

subtest 'Deactivating an account cancels its future sessions as mentor and as mentee' => sub {
    my ($inactive, $teacher, $pupil) = (mentor(), mentor(), signup(first_name => 'Pu', last_name => 'Pil'));
    my ($inactive_year, $teacher_year) = (offer_year($inactive), offer_year($teacher));
    set_notifications($_, session_canceled => 1) for $inactive, $teacher, $pupil;
    my ($as_mentor, $as_mentee, $running, $untouched) = (book($pupil, $inactive_year), book($inactive, $teacher_year),
        book($pupil, $inactive_year), book($pupil, $teacher_year));
    set_status($teacher, $as_mentee, 'Confirmed');
    move($running, -5);
    is(set_active($inactive, false), 200, 'an admin deactivates the account');
    is_deeply(statuses_of($as_mentor, $as_mentee, $running, $untouched), [qw(Canceled Canceled Pending Pending)],
        'future sessions of the account are canceled, begun sessions and those of others stay');
    is_deeply([map { @{ mails($_) } } $as_mentor, $as_mentee, $running, $untouched],
        [mail_to($pupil, 'session_canceled'), mail_to($teacher, 'session_canceled')],
        'the other participant gets a mail, and nobody else');
    is_invalid(request_session($pupil, $inactive_year, next_hour()), 'detail', ['mentor_availability'],
        'a deactivated mentor cannot be booked');
    is(set_active($inactive, true), 200, 'an admin activates the account again');
    is(request_session($pupil, $inactive_year, $as_mentor->{start_time})->status, 201,
        'availabilities are kept while an account is deactivated');
    is(set_active($pupil, true), 200, 'an active account is activated');
    is_deeply(statuses_of($untouched), ['Pending'], 'activating an active account cancels nothing');
    is(set_active($inactive, false), 200, 'the account is deactivated again');
    sql('SELECT learnhub.delete_account(?)', user_id($inactive));
    is((sql('SELECT count(*) AS n FROM learnhub.availabilities WHERE mentor_id = ? AND deleted_at IS NULL',
                user_id($inactive)))[0]{n}, 0, 'deleting a deactivated account ends its availabilities');
};

# Runs the job once; returns the number of reminders written.
sub post_reminders { return (sql('SELECT learnhub.post_reminders() AS n'))[0]{n} }

post_reminders();
set_notifications($mentor, fifteen_minute_alert => 1, sixty_minute_alert => 1);
set_notifications($mentee, sixty_minute_alert => 1);

# A confirmed session, at another hour each time.
sub confirmed { my $session = book($mentee, $year); set_status($mentor, $session, 'Confirmed'); return $session }

subtest 'Reminders are written once, 60 and 15 minutes before a confirmed session' => sub {
    my $soon = move(confirmed(), 59);
    is_deeply(do { post_reminders(); mails($soon) },
        [sort +mail_to($mentor, 'sixty_minute_alert'), mail_to($mentee, 'sixty_minute_alert')],
        'the 60-minute reminder goes to mentor and mentee');
    is(post_reminders(), 0, 'the 60-minute reminder is written once');
    move($soon, 14);
    post_reminders();
    is_deeply([grep {/15 minutes/} @{ mails($soon) }], [mail_to($mentor, 'fifteen_minute_alert')],
        'the 15-minute reminder goes to the user who has switched it on');
    is(post_reminders(), 0, 'the 15-minute reminder is written once');
    my ($reminder) = sql("SELECT * FROM learnhub.outbox WHERE subject_ref = ? AND once LIKE 'fifteen%'",
        "session $soon->{pk}");
    my ($end) = sql('SELECT o.not_after <= s.starts_at AS early FROM learnhub.outbox o, learnhub.mentoring_sessions s
        WHERE o.id = ? AND s.id = ?', $reminder->{id}, $soon->{pk});
    is_deeply([$reminder->{at_most_once}, $end->{early}], [1, 1],
        'a reminder is sent at most once, and not after the start');
    my $now = move(confirmed(), 10);
    is_deeply(do { post_reminders(); mails($now) }, [mail_to($mentor, 'fifteen_minute_alert')],
        'within 15 minutes before the start there is no 60-minute reminder');
    my %placed = (61 => 0, -1 => 0, 30 => 2);
    for my $minutes (sort keys %placed) {
        my $one = move(confirmed(), $minutes);
        post_reminders();
        is(scalar @{ mails($one) }, $placed{$minutes},
            "$minutes minutes before the start: $placed{$minutes} reminders");
    }
    my $pending = move(book($mentee, $year), 50);
    is_deeply(do { post_reminders(); mails($pending) }, [], 'a session that is not confirmed has no reminders');
};

subtest 'A cancellation withdraws the reminders' => sub {
    my $dropped = confirmed();
    sql("UPDATE learnhub.outbox SET state = 'sent' WHERE state = 'waiting'");
    move($dropped, 50);
    post_reminders();
    is(scalar @{ mails($dropped) }, 2, 'two reminders wait before the cancellation');
    set_status($mentee, $dropped, 'Canceled');
    is_deeply(mails($dropped), [], 'the cancellation withdraws both reminders');
    is_deeply(do { post_reminders(); mails($dropped) }, [], 'no reminder is written after the cancellation');
    set_notifications($mentor);
    set_notifications($mentee);
    is_deeply(do { my $silent = move(confirmed(), 50); post_reminders(); mails($silent) }, [],
        'no reminder is written while the notifications are off');
};

subtest 'Concurrent servers write each reminder once' => sub {
    set_notifications($mentor, sixty_minute_alert => 1);
    set_notifications($mentee, sixty_minute_alert => 1);
    my @crowd = map { move(confirmed(), 55) } 1 .. 5;
    parallel(6, sub { post_reminders() });
    is_deeply([map { scalar @{ mails($_) } } @crowd], [(2) x 5],
        'six concurrent runs write one reminder per user and session');

    my @crossed = map { move(confirmed(), 50) } 1 .. 8;
    parallel 12, sub {
        my ($i) = @_;
        return $i < 8 ? set_status($mentee, $crossed[$i], 'Canceled')->status : post_reminders();
    };
    is_deeply([map { @{ mails($_) } } @crossed], [], 'no reminder remains when sessions are canceled at the same time');
};

subtest 'A server that has not read a deletion yet books no session for the account' => sub {
    my $stale = second_httpd("LearnHubRevocationInterval 1h\n");
    my $deleted = signup();
    is(api(GET => '/session/', token => $deleted->{token}, port => $stale->port)->status, 200,
        'the other server accepts the token');
    sql('SELECT learnhub.delete_account(?)', user_id($deleted));
    is_error(api_as($deleted, POST => '/sessionrequest/', port => $stale->port,
            json => { mentor_availability => $year, start_time => next_hour(), session_length => 30 }), 'detail', 403,
        qr/\S/, 'a request of a deleted account is rejected');
    is(sessions_of($deleted), 0, 'no session is stored for a deleted account');
};

subtest 'Confirmed sessions get a meeting URL by LearnHubMeetingURL' => sub {
    my $meeting = second_httpd("LearnHubMeetingURL https://meet.example.com/room/%s?x=1\n");
    set_notifications($mentor, session_confirmed => 1, sixty_minute_alert => 1);
    set_notifications($mentee, session_confirmed => 1);
    my $met = book($mentee, $year);
    is(api_as($mentor, PATCH => "/sessionrequest/$met->{pk}", json => { status => 'Confirmed' },
            port => $meeting->port)->status, 201, 'the mentor confirms on the server with the directive');
    move($met, 40);
    post_reminders();
    my @where = map { $_->{body} =~ m{Where: (https://meet\.example\.com/room/[0-9a-f]{32}\?x=1)\n} } sql(
        'SELECT * FROM learnhub.outbox WHERE subject_ref = ? ORDER BY id', "session $met->{pk}");
    is_deeply(\@where, [($where[0]) x 3], 'all mails of a session have the same unguessable URL');
    my $otherwise = book($mentee, $year);
    api_as($mentor, PATCH => "/sessionrequest/$otherwise->{pk}", json => { status => 'Confirmed' },
        port => $meeting->port);
    my ($another) = sql('SELECT meeting_url FROM learnhub.mentoring_sessions WHERE id = ?', $otherwise->{pk});
    isnt($another->{meeting_url}, $where[0], 'another session has another URL');
    unlike((sql('SELECT string_agg(body, chr(10)) AS all FROM learnhub.outbox WHERE subject_ref = ?',
                "session $single->{pk}"))[0]{all}, qr/Where/, 'without the directive mails have no meeting URL');
    for my $bad ('LearnHubMeetingURL https://meet.example.com/', 'LearnHubMeetingURL https://meet.example.com/%s/%s',
        'LearnHubMeetingURL meet/%s', 'LearnHubMeetingURL', 'LearnHubMeetingURL https://m.example.com/%s x') {
        my ($code, $output) = configtest("$bad\n");
        ok($code != 0 && $output =~ /LearnHubMeetingURL/, "configtest rejects \"$bad\"") || diag($output);
    }
};

my @users;

subtest 'Concurrent requests never book a user twice' => sub {
    my $start = next_hour();
    @users = map { signup() } 1 .. 20;
    my @statuses = map { $_->{status} } parallel(20, sub { my ($i) = @_; request_session($users[$i], $year, $start) });
    is_deeply([sort @statuses], [201, (400) x 19], 'of 20 concurrent requests for one hour one succeeds');
    my $busy = signup();
    my @guides = map { [mentor()] } 1 .. 8;
    push @$_, offer_year($_->[0]) for @guides;
    $start = next_hour();
    @statuses = map { $_->{status} } parallel(8, sub { my ($i) = @_; request_session($busy, $guides[$i][1], $start) });
    is_deeply([sort @statuses], [201, (400) x 7], 'of 8 concurrent requests of one mentee for one hour one succeeds');
    $start = next_hour();
    @statuses = map { $_->{status} } parallel(8,
        sub { my ($i) = @_; request_session($guides[$i][0], $guides[($i + 1) % 8][1], $start) });
    is_deeply([grep { !/^(?:201|400)$/ } @statuses], [],
        'concurrent requests of mentors to each other do not deadlock');
    my $hours = (sql('SELECT count(*) AS n FROM learnhub.mentoring_hours a JOIN learnhub.mentoring_hours b
        ON a.user_id = b.user_id AND a.during && b.during AND a.session_id <> b.session_id'))[0]{n};
    is($hours, 0, 'no user has overlapping sessions');
};

subtest 'Concurrent confirmations and cancellations end canceled' => sub {
    my $contested = book($mentee, $year);
    my @both_ways = sort map { $_->{status} } parallel(10,
        sub { my ($i) = @_; set_status($i % 2 ? $mentor : $mentee, $contested, $i % 2 ? 'Confirmed' : 'Canceled') });
    is((grep { $_ == 201 } @both_ways) <= 2 && api_as($mentee,
            GET => "/sessionrequest/$contested->{pk}")->json->{status}, 'Canceled',
        'a session confirmed and canceled concurrently is canceled');
};

# The deletion and the bookings lock the same rows: they must not deadlock.
subtest 'A mentor profile can be deleted while sessions are booked' => sub {
    my ($quitter, @askers) = (mentor(), map { signup() } 1 .. 6);
    my $quit_year = offer_year($quitter);
    my @quit = parallel 7, sub {
        my ($i) = @_;
        return api_as($quitter, DELETE => '/mentorinfoupdate/')->status if !$i;
        return request_session($askers[$i - 1], $quit_year, hour_of($i))->status;
    };
    is_deeply([shift @quit, grep { !/^(?:201|400)$/ } @quit], [204],
        'the deletion succeeds, and the bookings succeed or are rejected');
    my ($open) = sql("SELECT count(*) AS n FROM learnhub.mentoring_sessions
        WHERE availability_id = ? AND status <> 'Canceled'", $quit_year);
    is($open->{n}, 0, 'no open session is left with the former mentor');
};

subtest 'An availability can be deleted while it is booked' => sub {
    my @swept = map { book($_, $year) } map { signup() } 1 .. 4;
    my @mix = parallel 9, sub {
        my ($i) = @_;
        return api_as($mentor, DELETE => "/availabilty/$year/")->status if $i == 0;
        return request_session($users[$i], $year, hour_of($i))->status;
    };
    is($mix[0], 204, 'an availability is deleted during concurrent requests');
    my ($future) = sql("SELECT count(*) AS n FROM learnhub.mentoring_sessions
        WHERE availability_id = ? AND status <> 'Canceled' AND starts_at > now()", $year);
    is($future->{n}, 0, 'no future session is left in a deleted availability');
};

done_testing();

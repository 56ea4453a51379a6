# SPDX-License-Identifier: Apache-2.0
# Mentoring sessions: requests, confirmations and cancellations, who is told by mail and who is not, reminders, races.
use strict;
use warnings;
use utf8;

use LearnHub::Test;
use POSIX qw(strftime);

my $keys = [qw(end_time mentee mentee_first_name mentee_last_name mentor mentor_availability mentor_first_name
        mentor_last_name pk session_length start_time status)];
my @switches = qw(session_requested session_confirmed session_canceled fifteen_minute_alert sixty_minute_alert);
my $serial = 0;

sub call { my ($who, $method, $path, %with) = @_; return api($method, $path, $who ? (token => $who->{token}) : (), %with) }

sub pk { my ($who) = @_; return $who->{pk} ||= user($who->{email})->{id} }

sub switch {
    my ($who, %on) = @_;
    is(call($who, PATCH => '/notificationsettings/' . pk($who), json => { map { $_ => $on{$_} ? true : false } @switches })->status,
        200, 'switches of ' . $who->{first_name});
    return;
}

sub mentor {
    my $mentor = signup(first_name => 'Ment', last_name => 'Ör');
    call($mentor, POST => '/mentorinfo/', json => { about_me => 'x', skills => 'y' })->status == 201 or die;
    return $mentor;
}

# A year of a mentor's time, from 2040 on.
sub offer {
    my ($mentor) = @_;
    return call($mentor, POST => '/availabilty/', json => { start_time => '2040-01-01T00:00:00Z', end_time => '2041-01-01T00:00:00Z' })->json->{pk};
}

sub ask {
    my ($who, $availability, $start, $length) = @_;
    return call($who, POST => '/sessionrequest/',
        json => { mentor_availability => $availability, start_time => $start, session_length => $length || 30 });
}

# Another hour of the year 2040 each time.
sub hour { return strftime('%Y-%m-%dT%H:00:00Z', gmtime(2_208_988_800 + 7200 * ++$serial)) }

sub booked {
    my ($who, $availability) = @_;
    my $reply = ask($who, $availability, hour());
    $reply->status == 201 or die $reply->summary;
    return $reply->json;
}

sub change { my ($who, $session, $status) = @_; return call($who, PATCH => "/sessionrequest/$session->{pk}", json => { status => $status }) }

# Places a session in time: minutes from now.
sub place {
    my ($session, $minutes) = @_;
    sql("UPDATE learnhub.mentoring_sessions SET starts_at = now() + make_interval(secs => ? * 60) WHERE id = ?", $minutes, $session->{pk});
    return $session;
}

# What is in the outbox about a session: "address subject" each.
sub mails {
    my ($session) = @_;
    return [sort map {"$_->{to_address} $_->{subject}"} sql('SELECT * FROM learnhub.outbox WHERE subject_ref = ?', "session $session->{pk}")];
}

my ($mentor, $mentee, $stranger) = (mentor(), signup(first_name => 'Mia', last_name => 'Tee'), signup());
my $admin = signup(role => 'admin');
my $year = offer($mentor);

# ---- without a token, for what is not there, for strangers ----

is_refusal(call(undef, @$_, json => {}), 'plain', 401) for [GET => '/session/'], [GET => '/archivesession/'],
    [POST => '/sessionrequest/'], [GET => '/sessionrequest/1'], [PATCH => '/sessionrequest/1'];
is_refusal(call($mentee, GET => "/sessionrequest/$_"), 'plain', 404) for 999999999, 'x', '-1';
is_refusal(call($mentee, PATCH => '/sessionrequest/999999999', json => { status => 'Canceled' }), 'plain', 404);

# ---- requests ----

my $reply = ask($mentee, $year, '2040-01-01T00:00:00.000Z', 60);
is($reply->status, 201, 'requested') || diag($reply->summary);
my $session = $reply->json;
is_deeply($session, { pk => $session->{pk}, mentor => pk($mentor), mentor_first_name => 'Ment', mentor_last_name => 'Ör',
        mentor_availability => $year, mentee => pk($mentee), mentee_first_name => 'Mia', mentee_last_name => 'Tee',
        start_time => '2040-01-01T00:00:00Z', end_time => '2040-01-01T01:00:00Z', status => 'Pending', session_length => 60 },
    'the twelve fields');
is_deeply(mails($session), [], 'no switch is on: no mail');
my $later = call($mentee, POST => '/sessionrequest/', json => { mentor_availability => "$year", start_time => '2040-01-01T01:00:00Z',
        session_length => '30', status => 'Confirmed', mentee => 1, pk => 1 });
is_deeply([@{ $later->json }{qw(status session_length mentee end_time)}], ['Pending', 30, pk($mentee), '2040-01-01T01:30:00Z'],
    'numbers as text, touching the one before, Pending whatever the body says');
is_deeply(call($_, GET => "/sessionrequest/$session->{pk}")->json, $session, 'both people read it') for $mentor, $mentee;
is_refusal(call($_, GET => "/sessionrequest/$session->{pk}/"), 'plain', 403) for $stranger, $admin;

is_invalid(call($mentee, POST => '/sessionrequest/', json => {}), 'plain', [qw(mentor_availability session_length start_time)]);
my %good = (mentor_availability => $year, start_time => '2040-06-01T10:00:00Z', session_length => 30);
is_invalid(call($mentee, POST => '/sessionrequest/', json => { %good, @$_ }), 'plain', [$_->[0]], "@{[ map { $_ // 'null' } @$_ ]}")
    for [session_length => 45], [session_length => '60m'], [session_length => 30.5], [session_length => undef], [session_length => 0],
    [start_time => 'soon'], [start_time => '2020-01-01T10:00:00Z'], [start_time => undef], [mentor_availability => 999999999],
    [mentor_availability => 'x'], [mentor_availability => undef];
is_invalid(call($mentee, POST => '/sessionrequest/', json => { %good, session_length => 45, start_time => 5 }), 'plain',
    [qw(session_length start_time)], 'both at once');
is_invalid(ask($mentor, $year, '2040-06-01T10:00:00Z'), 'plain', ['mentor_availability'], 'with oneself');
is_invalid(ask($mentee, $year, @$_), 'plain', ['non_field_errors'], "outside: @$_") for ['2039-12-31T23:59:59Z', 30],
    ['2040-12-31T23:30:01Z', 30], ['2040-12-31T23:00:01Z', 60], ['2041-06-01T10:00:00Z', 30];
is(ask($mentee, $year, '2040-12-31T23:30:00Z', 30)->status, 201, 'up to the very end');
for my $start ('2040-01-01T00:00:00Z', '2040-01-01T00:45:00Z', '2040-01-01T00:59:59Z', '2040-01-01T01:15:00Z') {
    is_invalid(ask($stranger, $year, $start), 'plain', ['non_field_errors'], "the mentor is taken at $start");
}
my $precise = mentor();
my $hour = call($precise, POST => '/availabilty/', json => { start_time => '2042-01-01T10:00:00.5Z', end_time => '2042-01-01T12:00:00.5Z' })->json;
my $first = ask($stranger, $hour->{pk}, '2042-01-01T10:00:00.25Z');
is_deeply([$first->status, $first->json->{start_time}], [201, $hour->{start_time}], 'from the start that was shown');
is(ask($mentee, $hour->{pk}, $first->json->{end_time})->status, 201, 'and from the end that was shown');
my $second = mentor();
my $other_year = offer($second);
is_invalid(ask($mentee, $other_year, '2040-01-01T00:30:00Z'), 'plain', ['non_field_errors'], 'the mentee is taken');
is_invalid(ask($mentor, $other_year, '2040-01-01T00:30:00Z'), 'plain', ['non_field_errors'], 'who mentors then cannot be mentored');
is_invalid(ask($second, $year, '2040-01-01T00:30:00Z'), 'plain', ['non_field_errors'], 'nor the other way round');
is(ask($stranger, $other_year, '2040-01-01T00:30:00Z')->status, 201, 'others can');
my $off = mentor();
my $off_year = offer($off);
call($off, PATCH => '/myprofile/', json => { is_mentor => false });
is_invalid(ask($mentee, $off_year, hour()), 'plain', ['mentor_availability'], 'of somebody who is no mentor at present');

# ---- confirmations and cancellations ----

my @cases = ( # who, from, to, allowed
    ['mentor', 'Pending', 'Confirmed', 1], ['mentee', 'Pending', 'Confirmed', 0], ['mentor', 'Confirmed', 'Confirmed', 0],
    ['mentor', 'Canceled', 'Confirmed', 0], ['mentor', 'Pending', 'Canceled', 1], ['mentee', 'Pending', 'Canceled', 1],
    ['mentor', 'Confirmed', 'Canceled', 1], ['mentee', 'Confirmed', 'Canceled', 1], ['mentor', 'Canceled', 'Canceled', 0],
    ['mentee', 'Canceled', 'Canceled', 0], ['mentee', 'Confirmed', 'Confirmed', 0],
);
for my $case (@cases) {
    my ($by, $from, $to, $allowed) = @$case;
    my $now = booked($mentee, $year);
    change($mentor, $now, $from) if $from ne 'Pending';
    is_refusal(change($_, $now, $to), 'plain', 403) for $stranger, $admin;
    my $changed = change($by eq 'mentor' ? $mentor : $mentee, $now, $to);
    if ($allowed) {
        is_deeply([$changed->status, $changed->json], [201, { %$now, status => $to }], "$by: $from to $to");
    }
    else {
        is_refusal($changed, 'plain', 400, qr/\S/, "$by: $from to $to");
        is(call($mentee, GET => "/sessionrequest/$now->{pk}")->json->{status}, $from, 'nothing has changed');
    }
}
my $begun = place(booked($mentee, $year), -1);
is_refusal(change($mentor, $begun, $_), 'plain', 400, qr/\S/, "$_ after the start") for qw(Confirmed Canceled);
is_invalid(change($mentor, $session, $_), 'plain', ['status'], 'status ' . ($_ // 'null')) for 'Pending', 'confirmed', 'Done', undef, 5;
is_invalid(call($mentor, PATCH => "/sessionrequest/$session->{pk}/", json => {}), 'plain', ['status']);
my $freed = booked($mentee, $year);
change($mentee, $freed, 'Canceled');
is(ask($stranger, $year, $freed->{start_time})->status, 201, 'the time of a canceled session is free');

# ---- lists ----

my ($lister, $guide) = (signup(), mentor());
my $guided = offer($guide);
my @own = map { booked($lister, $guided) } 1 .. 4;
change($lister, $own[0], 'Canceled');
place($own[1], -60 * 23);
place($own[2], -60 * 25);
place($own[3], -60 * 48);
my @taught = (booked($stranger, $guided));
is_deeply([map { $_->{pk} } @{ call($lister, GET => '/session/')->json }], [map { $_->{pk} } @own[1, 0]], 'from 24 hours ago on, by start');
is_deeply([map { $_->{pk} } @{ call($lister, GET => '/archivesession/')->json }], [map { $_->{pk} } @own[2, 3]], 'older ones, newest first');
is_deeply([map { keys_of($_) } @{ call($lister, GET => $_)->json }], [($keys) x 2], "$_: the twelve fields") for '/session/', '/archivesession/';
is_deeply([map { $_->{pk} } @{ call($guide, GET => '/session/')->json }], [map { $_->{pk} } @own[1, 0], @taught], 'as mentor');
is(call(signup(), GET => $_)->body, '[]', "$_: none") for '/session/', '/archivesession/';

# ---- mails: who gets which, and who does not ----

my %subject = (session_requested => 'New session request', session_confirmed => 'Your session is confirmed',
    session_canceled => 'Your session was canceled', fifteen_minute_alert => 'Your session starts within 15 minutes',
    sixty_minute_alert => 'Your session starts within 60 minutes');
sub to { my ($who, $switch) = @_; return "$who->{email} $subject{$switch}" }

switch ($mentor, map { $_ => 1 } @switches);
switch ($mentee, map { $_ => 1 } @switches);
my $told = booked($mentee, $year);
is_deeply(mails($told), [to($mentor, 'session_requested')], 'requested: the mentor');
my ($mail) = sql('SELECT * FROM learnhub.outbox WHERE subject_ref = ?', "session $told->{pk}");
my $when = $told->{start_time} =~ s/T(\d\d:\d\d):00Z/ $1 UTC (+00:00)/r;
like($mail->{body}, qr/With: Mia Tee\n.*When: \Q$when\E\n.*Length: 30 minutes/s, 'with whom, when in UTC, how long');
change($mentor, $told, 'Confirmed');
is_deeply(mails($told), [sort +to($mentor, 'session_requested'), to($mentor, 'session_confirmed'), to($mentee, 'session_confirmed')],
    'confirmed: both, in a mail each');
change($mentee, $told, 'Canceled');
is_deeply([grep {/canceled/} @{ mails($told) }], [to($mentor, 'session_canceled')], 'canceled by the mentee: the mentor');
my $kept = booked($mentee, $year);
change($mentor, $kept, 'Canceled');
is_deeply([grep {/canceled/} @{ mails($kept) }], [to($mentee, 'session_canceled')], 'canceled by the mentor: the mentee');
for my $switch (@switches[0 .. 2]) {
    switch ($mentor, map { $_ => 1 } grep { $_ ne $switch } @switches);
    switch ($mentee, map { $_ => 1 } grep { $_ ne $switch } @switches);
    my $quiet = booked($mentee, $year);
    change($mentor, $quiet, 'Confirmed');
    change($_, $quiet, 'Canceled') for $mentor;
    is_deeply([grep {/\Q$subject{$switch}\E/} @{ mails($quiet) }], [], "nobody whose $switch is off");
    cmp_ok(scalar @{ mails($quiet) }, '>', 0, 'but the others');
}
switch ($mentor, session_confirmed => 1);
switch ($mentee);
my $single = booked($mentee, $year);
change($mentor, $single, 'Confirmed');
is_deeply(mails($single), [to($mentor, 'session_confirmed')], 'only the one whose own switch is on');
is_refusal(change($mentor, $single, 'Confirmed'), 'plain', 400);
is(scalar @{ mails($single) }, 1, 'what is refused tells nobody');

# ---- an availability that is taken back; a mentor who stops; an account that goes ----

my $giver = mentor();
my ($early, $late) = map { call($giver, POST => '/availabilty/', json => { start_time => "204$_-01-01T00:00:00Z",
            end_time => "204$_-02-01T00:00:00Z" })->json->{pk} } 2, 3;
switch ($mentee, session_canceled => 1);
switch ($giver, session_canceled => 1);
my @inside = map { ask($mentee, $early, "2042-01-0${_}T10:00:00Z")->json } 1 .. 3;
change($giver, $inside[1], 'Confirmed');
place($inside[2], -5);
my $elsewhere = ask($mentee, $late, '2043-01-01T10:00:00Z')->json;
is(call($admin, DELETE => "/availabilty/$early/")->status, 204, 'an availability is taken back');
is_deeply([map { call($mentee, GET => "/sessionrequest/$_->{pk}")->json->{status} } @inside, $elsewhere],
    [qw(Canceled Canceled Pending Pending)], 'its sessions to come are canceled, the others stay');
is_deeply([map { @{ mails($_) } } @inside, $elsewhere], [(to($mentee, 'session_canceled')) x 2], 'the mentee is told');
is_invalid(ask($mentee, $early, '2042-01-05T10:00:00Z'), 'plain', ['mentor_availability'], 'it cannot be booked any more');
is(call($giver, DELETE => '/mentorinfoupdate/')->status, 204, 'the mentor stops');
is_deeply([call($mentee, GET => "/sessionrequest/$elsewhere->{pk}")->json->{status}, mails($elsewhere)],
    ['Canceled', [to($mentee, 'session_canceled')]], 'the others follow');
is((sql('SELECT count(*) AS n FROM learnhub.mentoring_sessions WHERE mentor_id = ?', pk($giver)))[0]{n}, 4, 'no session is deleted');

switch ($mentor, session_canceled => 1);
my $leaver = signup();
my $lost = booked($leaver, $year);
is(call($leaver, DELETE => '/auth/users/me/', json => { current_password => $leaver->{password} })->status, 204, 'a mentee leaves');
is_deeply([call($mentor, GET => "/sessionrequest/$lost->{pk}")->json->{status}, mails($lost)],
    ['Canceled', [to($mentor, 'session_canceled')]], 'the mentor is told');
like((sql('SELECT body FROM learnhub.outbox WHERE subject_ref = ?', "session $lost->{pk}"))[0]{body}, qr/^  With: a former user$/m,
    'without a name made up');

# A deactivated account, in either part; what has begun and others' sessions stay.
sub active { my ($who, $active) = @_; return call($admin, PATCH => '/api/admin/users/' . pk($who) . '/', json => { is_active => $active })->status }
sub states { return [map { (sql('SELECT status FROM learnhub.mentoring_sessions WHERE id = ?', $_->{pk}))[0]{status} } @_] }
my ($barred, $teacher, $pupil) = (mentor(), mentor(), signup(first_name => 'Pu', last_name => 'Pil'));
my ($barred_year, $teacher_year) = (offer($barred), offer($teacher));
switch ($_, session_canceled => 1) for $barred, $teacher, $pupil;
my ($as_mentor, $as_mentee, $running, $untouched) = (booked($pupil, $barred_year), booked($barred, $teacher_year),
    booked($pupil, $barred_year), booked($pupil, $teacher_year));
change($teacher, $as_mentee, 'Confirmed');
place($running, -5);
is(active($barred, false), 200, 'an account is deactivated');
is_deeply(states($as_mentor, $as_mentee, $running, $untouched), [qw(Canceled Canceled Pending Pending)], 'its sessions to come are canceled');
is_deeply([map { @{ mails($_) } } $as_mentor, $as_mentee, $running, $untouched], [to($pupil, 'session_canceled'), to($teacher, 'session_canceled')],
    'the other one of each is told, and nobody else');
is_invalid(ask($pupil, $barred_year, hour()), 'plain', ['mentor_availability'], 'who is deactivated cannot be booked');
is(active($barred, true), 200, 'and activated again');
is(ask($pupil, $barred_year, $as_mentor->{start_time})->status, 201, 'the availabilities were kept');
is(active($pupil, true), 200, 'activating who is active');
is_deeply(states($untouched), ['Pending'], 'cancels nothing');
is(active($barred, false), 200, 'deactivated');
sql('SELECT learnhub.delete_account(?)', pk($barred));
is((sql('SELECT count(*) AS n FROM learnhub.availabilities WHERE mentor_id = ? AND deleted_at IS NULL', pk($barred)))[0]{n}, 0,
    'deleting an account that was deactivated ends its availabilities');

# ---- reminders ----

sub remind { return (sql('SELECT learnhub.post_reminders() AS n'))[0]{n} }
remind();
switch ($mentor, fifteen_minute_alert => 1, sixty_minute_alert => 1);
switch ($mentee, sixty_minute_alert => 1);

# Far apart, so that several can be placed into the next hour one after the other.
sub confirmed { my $session = booked($mentee, $year); change($mentor, $session, 'Confirmed'); return $session }
my $soon = place(confirmed(), 59);
is_deeply(do { remind(); mails($soon) }, [sort +to($mentor, 'sixty_minute_alert'), to($mentee, 'sixty_minute_alert')], 'an hour before: both');
is(remind(), 0, 'once');
place($soon, 14);
is_deeply(do { remind(); [grep {/15 minutes/} @{ mails($soon) }] }, [to($mentor, 'fifteen_minute_alert')], 'a quarter before: whose switch is on');
is(remind(), 0, 'once');
my ($reminder) = sql("SELECT * FROM learnhub.outbox WHERE subject_ref = ? AND once LIKE 'fifteen%'", "session $soon->{pk}");
is_deeply([$reminder->{at_most_once}, (sql('SELECT o.not_after <= s.starts_at AS early FROM learnhub.outbox o, learnhub.mentoring_sessions s
    WHERE o.id = ? AND s.id = ?', $reminder->{id}, $soon->{pk}))[0]{early}], [1, 1], 'at most once, and not after the start');
my $now = place(confirmed(), 10);
is_deeply(do { remind(); mails($now) }, [to($mentor, 'fifteen_minute_alert')], 'no reminder of an hour when a quarter is left');
my %placed = (61 => 0, -1 => 0, 30 => 2);
for my $minutes (sort keys %placed) {
    my $one = place(confirmed(), $minutes);
    remind();
    is(scalar @{ mails($one) }, $placed{$minutes}, "$minutes minutes before: $placed{$minutes}");
}
my $pending = place(booked($mentee, $year), 50);
is_deeply(do { remind(); mails($pending) }, [], 'none for a session that is not confirmed');
my $dropped = place(confirmed(), 50);
sql("UPDATE learnhub.outbox SET state = 'sent' WHERE state = 'waiting'");
remind();
is(scalar @{ mails($dropped) }, 2, 'two wait');
change($mentee, $dropped, 'Canceled');
is_deeply(mails($dropped), [], 'a cancellation takes them back');
is_deeply(do { remind(); mails($dropped) }, [], 'for good');
switch ($mentor);
switch ($mentee);
is_deeply(do { my $silent = place(confirmed(), 50); remind(); mails($silent) }, [], 'none when the switches are off');
switch ($mentor, sixty_minute_alert => 1);
switch ($mentee, sixty_minute_alert => 1);
my @crowd = map { place(confirmed(), 55) } 1 .. 5;
parallel(6, sub { remind() });
is_deeply([map { scalar @{ mails($_) } } @crowd], [(2) x 5], 'six nodes at once: each reminder once');

my @crossed = map { place(confirmed(), 50) } 1 .. 8;
parallel(12, sub { my ($i) = @_; return $i < 8 ? change($mentee, $crossed[$i], 'Canceled')->status : remind() });
is_deeply([map { @{ mails($_) } } @crossed], [], 'reminded and canceled at once: no reminder is left');

# ---- a node that has not heard yet that an account is gone ----

my $deaf = second_httpd("LearnHubRevocationInterval 1h\n");
my $ghost = signup();
is(api(GET => '/session/', token => $ghost->{token}, port => $deaf->port)->status, 200, 'another node knows the token');
sql('SELECT learnhub.delete_account(?)', pk($ghost));
is_refusal(call($ghost, POST => '/sessionrequest/', port => $deaf->port, json => { mentor_availability => $year, start_time => hour(),
            session_length => 30 }), 'plain', 403, qr/\S/, 'it books nothing for it');
is((sql('SELECT count(*) AS n FROM learnhub.mentoring_sessions WHERE mentee_id = ?', pk($ghost)))[0]{n}, 0, 'nothing at all');

# ---- where sessions meet ----

my $meeting = second_httpd("LearnHubMeetingURL https://meet.example.com/room/%s?x=1\n");
switch ($mentor, session_confirmed => 1, sixty_minute_alert => 1);
switch ($mentee, session_confirmed => 1);
my $met = booked($mentee, $year);
is(call($mentor, PATCH => "/sessionrequest/$met->{pk}", json => { status => 'Confirmed' }, port => $meeting->port)->status, 201, 'confirmed there');
place($met, 40);
remind();
my @where = map { $_->{body} =~ m{Where: (https://meet\.example\.com/room/[0-9a-f]{32}\?x=1)\n} } sql(
    'SELECT * FROM learnhub.outbox WHERE subject_ref = ? ORDER BY id', "session $met->{pk}");
is_deeply(\@where, [($where[0]) x 3], 'one unguessable place, the same in all mails');
my $otherwise = booked($mentee, $year);
call($mentor, PATCH => "/sessionrequest/$otherwise->{pk}", json => { status => 'Confirmed' }, port => $meeting->port);
my ($another) = sql('SELECT meeting_url FROM learnhub.mentoring_sessions WHERE id = ?', $otherwise->{pk});
isnt($another->{meeting_url}, $where[0], 'another session, another place');
unlike((sql('SELECT string_agg(body, chr(10)) AS all FROM learnhub.outbox WHERE subject_ref = ?', "session $single->{pk}"))[0]{all}, qr/Where/,
    'without the directive no place is named');
for my $bad ('LearnHubMeetingURL https://meet.example.com/', 'LearnHubMeetingURL https://meet.example.com/%s/%s',
    'LearnHubMeetingURL meet/%s', 'LearnHubMeetingURL', 'LearnHubMeetingURL https://m.example.com/%s x') {
    my ($code, $said) = configtest("$bad\n");
    ok($code != 0 && $said =~ /LearnHubMeetingURL/, "configtest: $bad") || diag($said);
}

# ---- races ----

my $start = hour();
my @people = map { signup() } 1 .. 20;
my @answers = map { $_->{status} } parallel(20, sub { my ($i) = @_; ask($people[$i], $year, $start) });
is_deeply([sort @answers], [201, (400) x 19], 'twenty ask for one hour at the same instant: one gets it');
my $busy = signup();
my @guides = map { [mentor()] } 1 .. 8;
push @$_, offer($_->[0]) for @guides;
$start = hour();
@answers = map { $_->{status} } parallel(8, sub { my ($i) = @_; ask($busy, $guides[$i][1], $start) });
is_deeply([sort @answers], [201, (400) x 7], 'one mentee asks eight mentors: one session');
$start = hour();
@answers = map { $_->{status} } parallel(8, sub { my ($i) = @_; ask($guides[$i][0], $guides[($i + 1) % 8][1], $start) });
is_deeply([grep { !/^(?:201|400)$/ } @answers], [], 'a ring of mentors ask each other at once: no deadlock is told');
my $hours = (sql('SELECT count(*) AS n FROM learnhub.mentoring_hours a JOIN learnhub.mentoring_hours b
    ON a.user_id = b.user_id AND a.during && b.during AND a.session_id <> b.session_id'))[0]{n};
is($hours, 0, 'nobody is in two places');
my $fought = booked($mentee, $year);
my @both_ways = sort map { $_->{status} } parallel(10, sub { my ($i) = @_; change($i % 2 ? $mentor : $mentee, $fought, $i % 2 ? 'Confirmed' : 'Canceled') });
is((grep { $_ == 201 } @both_ways) <= 2 && call($mentee, GET => "/sessionrequest/$fought->{pk}")->json->{status}, 'Canceled',
    'confirmed and canceled at once: canceled at last');

# A mentor stops while others book, in the order in which each could wait for the other.
my ($quitter, @askers) = (mentor(), map { signup() } 1 .. 6);
my $quit_year = offer($quitter);
my @quit = parallel(7, sub {
        my ($i) = @_;
        return $i ? ask($askers[$i - 1], $quit_year, hour_of($i))->status : call($quitter, DELETE => '/mentorinfoupdate/')->status;
});
is_deeply([shift @quit, grep { !/^(?:201|400)$/ } @quit], [204], 'a mentor stops while it is booked');
is((sql("SELECT count(*) AS n FROM learnhub.mentoring_sessions WHERE availability_id = ? AND status <> 'Canceled'", $quit_year))[0]{n}, 0,
    'no session is left');
my @swept = map { booked($_, $year) } map { signup() } 1 .. 4;
my @mix = parallel(9, sub {
        my ($i) = @_;
        return call($mentor, DELETE => "/availabilty/$year/")->status if $i == 0;
        return ask($people[$i], $year, hour_of($i))->status;
});
sub hour_of { my ($i) = @_; return sprintf '2040-11-%02dT10:00:00Z', $i }
is($mix[0], 204, 'taken back while it is booked');
is((sql("SELECT count(*) AS n FROM learnhub.mentoring_sessions WHERE availability_id = ? AND status <> 'Canceled' AND starts_at > now()", $year))[0]{n},
    0, 'no session is left in it');

done_testing();

# SPDX-License-Identifier: Apache-2.0
# What one user can cause by mail: confirmed addresses, the password for a change of address, notices, limits of reset
# mails and of mails about sessions, names in mails, and what the outbox and the log keep.
use strict;
use warnings;
use utf8;

use LearnHub::Account;
use LearnHub::Mail;
use LearnHub::Mentoring;
use LearnHub::Test;
use LearnHub::Users;

my $me = '/auth/users/me/';
my $reset = '/auth/users/reset_password/';
my $activation = '/auth/users/activation/';
my $resend = '/auth/users/resend_activation/';
my $new_password = 'a fresh good password';
my $mail_server = LearnHub::Mail->new->start;
my $smtp = 'LearnHubSMTP ' . $mail_server->url . "\nLearnHubMailFrom learnhub\@house.example\n";
my $lure = 'YOU WON! Claim it at https://evil.example/claim now';

sub patch { my ($user, %fields) = @_; return api_as($user, PATCH => $me, json => \%fields) }
sub change { my ($user, %names) = @_; return patch($user, current_password => $user->{password}, %names) }
sub request_reset { my ($email, %with) = @_; return api(POST => $reset, json => { email => $email }, %with)->status }

# The rows of the outbox for an address, oldest first.
sub rows_to { my ($email) = @_; return sql('SELECT * FROM learnhub.outbox WHERE to_address = ? ORDER BY id', $email) }
sub subjects_to { my ($email) = @_; return [map { $_->{subject} } rows_to($email)] }
sub state_of { my ($id) = @_; return (sql('SELECT state FROM learnhub.outbox WHERE id = ?', $id))[0]{state} }

# Waits until no mail that is due waits or is being sent.
sub sent {
    my $waiting = "SELECT 1 FROM learnhub.outbox WHERE state IN ('waiting', 'sending')
        AND due_at < now() + interval '1 hour'";
    return eventually(sub { !sql($waiting) }, 20);
}

# Moves the requests of mails into the past, as if so much time had passed.
sub age {
    my ($interval) = @_;
    return sql('UPDATE learnhub.mail_requests SET created_at = created_at - ?::interval', $interval // '61 seconds');
}

# The events of the audit log of a user.
sub events {
    my ($id) = @_;
    return [map { $_->{event} } sql('SELECT event FROM learnhub.audit_log WHERE user_id = ? ORDER BY id', $id)];
}

sub address { return unique('box') . '@example.com' }

sql("UPDATE learnhub.outbox SET state = 'sent' WHERE state IN ('waiting', 'sending')"); # left by other test files
sql('DELETE FROM learnhub.mail_requests');

# ---- reset mails ----

# Lets the job handle no requests until the transaction that this begins ends.
sub stop_job {
    database()->begin_work;
    return sql("SELECT pg_advisory_xact_lock(hashtextextended('mail requests', 0))");
}

# A request in a transaction that is committed when another transaction waits for it; true if one did.
sub request_slowly {
    my ($email) = @_;
    database()->begin_work;
    sql("SELECT learnhub.request_mail('reset', ?, '127.0.0.1', '/{uid}/{token}')", $email);
    sql('SELECT pg_advisory_xact_lock(56)'); # for request_meanwhile()
    my $waits = 'SELECT 1 FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))';
    my $waited = eventually(sub { scalar sql($waits) });
    database()->commit;
    return $waited;
}

sub request_meanwhile {
    my ($email) = @_;
    my $other = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND objid = 56";
    eventually(sub { scalar sql($other) }) or die 'no concurrent request';
    return request_reset($email);
}

# The tables that a request reads or writes. Must run in a process that has used the database for nothing else.
sub touched {
    my ($email) = @_;
    database()->begin_work;
    sql("SELECT learnhub.request_mail('reset', ?, '127.0.0.1', '/{uid}/{token}')", $email);
    my @tables = sql('SELECT relname, seq_scan, seq_tup_read, idx_scan, n_tup_ins, n_tup_upd, n_tup_del
        FROM pg_stat_xact_user_tables WHERE coalesce(seq_scan, 0) + coalesce(idx_scan, 0) + n_tup_ins > 0
        ORDER BY relname');
    database()->rollback;
    return \@tables;
}

subtest 'a reset request does the same for known and unknown addresses; a job posts the mail' => sub {
    my ($known, $unknown) = (signup()->{email}, address());
    my @touched = parallel 2, sub { return touched(($known, $unknown)[$_[0]]) };
    is_deeply($touched[0], $touched[1], 'the same tables are read and written');
    is_deeply([map { $_->{relname} } @{ $touched[0] }], ['mail_requests'], 'only the requests are');
    stop_job();
    is_deeply([map { request_reset($_) } uc $known, $unknown], [204, 204], 'both requests return 204');
    my @stored = sql('SELECT kind, address, user_id, link, posted FROM learnhub.mail_requests WHERE address IN (?, ?)
        ORDER BY id', $known, $unknown);
    is_deeply([map { $_->{address} } @stored], [$known, $unknown], 'both requests are stored');
    delete $_->{address} for @stored;
    is_deeply($stored[0], $stored[1], 'the rows do not differ');
    like($stored[0]{link}, qr/\{token\}/, 'no token exists before the mail is posted');
    is_deeply([rows_to($known), sql('SELECT 1 FROM learnhub.password_resets WHERE user_id = ?', user($known)->{id})],
        [], 'the request itself posts no mail');
    database()->rollback;
    ok(post_links(), 'the job handles the requests');
    is_deeply([map { subjects_to($_) } $known, $unknown], [['Reset your password'], []],
        'it posts a mail to the known address only');
};

my $relay = second_httpd($smtp);

subtest 'a reset mail contains no text that a user has chosen' => sub {
    my @strangers = map { address() } 1, 2;
    my %password = (password => 'good enough', re_password => 'good enough');
    is(api(POST => '/auth/users/', json => { username => $lure . unique(), email => $strangers[0], %password })->status,
        201, 'an account with a lure as username');
    signup(first_name => $lure, last_name => $lure, email => $strangers[1]);
    request_reset($_) for @strangers;
    ok(post_links() && sent(), 'the mails are sent');
    for my $stranger (@strangers) {
        my ($mail) = $mail_server->to($stranger);
        like($mail->{text}, qr{/password/reset/confirm/[0-9a-f-]{36}/[0-9a-f]{40}$}m, 'the mail has the link');
        is($mail->{headers}{to}, "<$stranger>", 'the mail has no name in To');
        unlike(join("\n", $mail->{text}, values %{ $mail->{headers} }), qr/WON|evil/, 'the mail has no chosen text');
        is((rows_to($stranger))[0]{body}, '', 'the outbox has no body after the mail was sent');
    }
};

subtest 'changes of the address do not reset the limits of reset mails' => sub {
    my $bomber = signup();
    my ($victim, $second) = (address(), address());
    my $count = sub { scalar grep { $_->{headers}{subject} eq 'Reset your password' } $mail_server->to($_[0]) };
    stop_job(); # a mail that still waits is withdrawn by the next change
    for my $spelling (uc $victim, $victim, ucfirst $victim, $victim) {
        change($bomber, email => $spelling)->status == 200 or die;
        request_reset($spelling);
    }
    database()->rollback;
    ok(post_links() && sent(), 'the mails are sent');
    is($count->($victim), 1, 'of four requests with changes of letter case in between one sends a mail');
    change($bomber, email => $second);
    request_reset($second);
    ok(post_links() && sent(), 'the requests are handled');
    is($count->($second), 0, 'another address of the same account gets no mail within a minute');
    change($bomber, email => $victim);
    for (1 .. 6) { age(); request_reset($victim); post_links() }
    ok(sent(), 'the mails are sent');
    is($count->($victim), 5, 'within an hour the account gets five mails');
    my ($one) = sql("SELECT count(*) AS n FROM learnhub.mail_requests WHERE address = ? AND network IS NOT NULL",
        $victim);
    is($one->{n}, 5, 'further requests for the address are not even stored');
    my $racer = address();
    is_deeply([parallel 2, sub { return $_[0] ? request_meanwhile($racer) : request_slowly($racer) }], [1, 204],
        'a request waits for a concurrent one for the same address');
    ($one) = sql('SELECT count(*) AS n FROM learnhub.mail_requests WHERE address = ?', $racer);
    is($one->{n}, 1, 'one of them counts');
};

subtest 'a network can request 200 links an hour' => sub {
    my $stored = sub { (sql('SELECT count(*) AS n FROM learnhub.mail_requests WHERE network = ?', $_[0]))[0]{n} };
    sql("INSERT INTO learnhub.mail_requests (kind, address, network, posted)
        SELECT 'reset', 'a' || i || '\@example.com', '127.0.56.1', true FROM generate_series(1, 199) AS i");
    is_deeply([map { request_reset(address(), from => '127.0.56.1') } 1 .. 3], [(204) x 3], 'all requests return 204');
    is($stored->('127.0.56.1'), 200, 'the two hundredth is the last that counts');
    request_reset(address(), from => '127.0.56.2');
    is($stored->('127.0.56.2'), 1, 'other networks are not affected');
    age('1 hour');
    is(eventually(sub { post_links(); $stored->('127.0.56.1') == 0 }), 1, 'requests are deleted after an hour');
};

# ---- changes of an account ----

subtest 'a change of username or e-mail address requires the password' => sub {
    my $victim = signup();
    my ($mailbox, $thief) = ($victim->{email}, address());
    my $profile = sub { api_as($victim, PATCH => '/myprofile/', @_) };
    my %attempt = (
        "PATCH $me" => sub { patch($victim, @_) },
        'PATCH /myprofile/, JSON' => sub { $profile->(json => {@_}) },
        'PATCH /myprofile/, multipart' => sub { $profile->(multipart => [@_]) },
    );
    for my $name (sort keys %attempt) {
        my $try = $attempt{$name};
        for my $change ([email => $thief], [username => 'thief'], [email => uc $mailbox]) {
            is_invalid($try->(@$change), 'detail', ['current_password'], "$name: @$change without the password");
            is_invalid($try->(@$change, current_password => 'wrong one'), 'detail', ['current_password'],
                "$name: @$change with a wrong password");
        }
        is($try->(email => $mailbox, username => $mailbox)->status, 200,
            "$name: the present values need no password");
        is_invalid($try->(email => $mailbox, username => "x$thief"), 'detail', ['current_password'],
            "$name: one of both differs");
        sql("DELETE FROM learnhub.login_failures");
    }
    is_deeply([@{ user($mailbox) }{qw(email username)}], [$mailbox, $mailbox], 'nothing was changed');
    is_deeply(subjects_to($mailbox), [], 'nothing was mailed');
    is($profile->(json => { email => $thief, current_password => $victim->{password}, first_name => 'A' })->status, 200,
        'with the password the address changes');
    is(user($thief)->{first_name}, 'A', 'together with other fields');
    is_deeply([grep { $_ ne 'login_failed' } @{ events(user_id($victim)) }], ['email_changed'],
        'the audit log has the change') if $victim->{email} = $thief;
    my $strict = second_httpd("LearnHubLoginThrottle 3/1m\n");
    my @codes = map {
        api_as($victim, PATCH => $_, port => $strict->port, from => '127.0.56.3',
            json => { username => 'x', current_password => 'wrong' })->status
    } $me, '/myprofile/', $me, '/myprofile/';
    is_deeply(\@codes, [400, 400, 400, 429], 'wrong passwords are throttled');
    $strict->stop;
};

subtest 'an account gets mails about changes' => sub {
    my $ada = signup(first_name => $lure);
    my ($old, $new) = ($ada->{email}, address());
    change($ada, email => $new, username => $lure);
    is_deeply([map { subjects_to($_) } $old, $new], [['Your e-mail address was changed'], []],
        'the old address gets a mail about a new one');
    $ada->{email} = $new;
    api_as($ada, POST => '/auth/users/set_password/',
        json => { current_password => $ada->{password}, new_password => $new_password })->status == 204 or die;
    role($new, 'instructor');
    sql('UPDATE learnhub.users SET is_active = false WHERE email = ?', $new);
    is_deeply(subjects_to($new), ['Your password was changed', 'Your role was changed', 'Your account was deactivated'],
        'the address gets mails about a new password, another role and the deactivation');
    ok(sent(), 'the mails are sent');
    my @mails = map { $mail_server->to($_) } $old, $new;
    is(scalar @mails, 4, 'four mails arrived');
    is(scalar grep({ join("\n", $_->{text}, values %{ $_->{headers} }) =~ /WON|evil/ } @mails), 0,
        'no notice has text that a user has chosen');
    my $flooded = signup();
    role($flooded->{email}, $_ % 2 ? 'instructor' : 'student') for 1 .. 14;
    is(scalar @{ subjects_to($flooded->{email}) }, 10, 'an address gets at most ten notices an hour');
    my $leaver = signup();
    my $id = user_id($leaver);
    api_as($leaver, DELETE => $me, json => { current_password => $leaver->{password} });
    is_deeply([sql('SELECT 1 FROM learnhub.outbox WHERE user_id = ?', $id)], [], 'a deletion posts no mail');
};

# ---- mails about sessions ----

# Names as they are stored, and in mails.
my %names = (
    'Zoë Ångström-日本 O\'Neill' => 'Zoë Ångström-日本 O\'Neill',
    'J.R.R. Tolkien' => 'J. R. R. Tolkien',
    $lure => 'YOU WON! Claim it at https evil. example claim now',
    'www.evil.example' => 'www. evil. example',
    "evil\x{3002}example evil\x{FF0E}example evil\x{2024}example" => "evil\x{3002} example evil. example evil. example",
    "https\x{FF1A}\x{FF0F}\x{FF0F}evil" => 'https evil',
    "a\x{200B}b\x{202E}c\x{FEFF}d" => 'abcd',
    "a\r\nb\tc  d\x{2028}e" => 'a b c d e',
    'mallory@evil.example <b> #1?x=2&y%20 a|b a\\b' => 'mallory evil. example b 1 x 2 y 20 a b a b',
    'x' x 150 => 'x' x 60,
    '://' => '',
);

subtest 'names in mails contain no links' => sub {
    for my $name (sort keys %names) {
        is((sql('SELECT learnhub.plain_name(?) AS name', $name))[0]{name}, $names{$name}, "the name $name");
    }
    my ($mentor, $mentee) = (mentor(), signup(first_name => 'Unlock at', last_name => 'https://evil.example/x'));
    my $year = offer_year($mentor);
    sql('INSERT INTO learnhub.notification_settings VALUES (?, true, true, true, true, true)', user_id($mentor));
    request_session($mentee, $year, '2040-01-01T10:00:00Z')->status == 201 or die;
    ok(sent(), 'the mail is sent');
    my ($mail) = $mail_server->to($mentor->{email});
    like($mail->{text}, qr/^  With: your mentee$/m, 'an unconfirmed address gets no name of another user');
    is($mail->{headers}{to}, "<$mentor->{email}>", 'an unconfirmed address gets no name in To');
    sql('UPDATE learnhub.users SET email_verified_at = now() WHERE id = ?', user_id($mentor));
    request_session($mentee, $year, '2040-01-02T10:00:00Z')->status == 201 or die;
    ok(sent(), 'the next mail is sent');
    like(($mail_server->to($mentor->{email}))[-1]{text}, qr/^  With: Unlock at https evil\. example x$/m,
        'a confirmed address gets the name without a link');
    sql("UPDATE learnhub.users SET first_name = '', last_name = '' WHERE id = ?", user_id($mentee));
    my ($shown) = sql('SELECT learnhub.mail_name(u) AS name FROM learnhub.users u WHERE id = ?', user_id($mentee));
    is($shown->{name}, $mentee->{email} =~ s/@.*//r, 'a username that is an address is cut');
};

$relay->stop;

my ($hour, $mentor, $mentee) = (0, mentor(), signup());
my $year = offer_year($mentor);
sql('INSERT INTO learnhub.notification_settings VALUES (?, true, true, true, true, true)', user_id($_))
    for $mentor, $mentee;

# Requests a session at another hour each time; returns the reply.
sub book {
    my ($user) = @_;
    $hour++;
    my $start = sprintf '2040-%02d-%02dT%02d:00:00Z', 1 + int($hour / 600), 1 + int($hour / 24) % 25, $hour % 24;
    return request_session($user, $year, $start);
}

sub cancel {
    my ($user, $pk) = @_;
    return api_as($user, PATCH => "/sessionrequest/$pk", json => { status => 'Canceled' })->status;
}

# The mails to a user that were queued, without the one about many changes.
sub mails_about_sessions { return grep { $_->{subject_ref} =~ /^session \d/ } rows_to($_[0]{email}) }
sub summaries { return grep { $_->{subject_ref} eq 'sessions' } rows_to($_[0]{email}) }

# As if the mail server had accepted all mails.
sub deliver { return sql("UPDATE learnhub.outbox SET state = 'sent', attempts = 1 WHERE state = 'waiting'") }

# One of the mails is written once for each hour of the clock.
subtest 'booking and canceling in a loop does not flood the mentor' => sub {
    sleep 1 while time % 3600 > 3580;
    for (1 .. 10) {
        my $pk = book($mentee)->json->{pk};
        cancel($mentee, $pk) == 201 or die;
    }
    is_deeply([rows_to($mentor->{email})], [], 'a request that is canceled before it was mailed is not mailed');
    for (1 .. 13) {
        my $pk = book($mentee)->json->{pk};
        deliver();
        cancel($mentee, $pk) == 201 or die;
        deliver();
    }
    is(scalar mails_about_sessions($mentor), 20, 'a mentor gets at most 20 mails an hour about the same mentee');
    is(scalar summaries($mentor), 1, 'and one that there was more');
    is(scalar mails_about_sessions($mentee), 0, 'the mentee gets no mail about own changes');
    my $pk = book(my $other = signup())->json->{pk};
    is(scalar mails_about_sessions($mentor), 21, 'requests of other mentees are mailed');
    api_as($mentor, PATCH => "/sessionrequest/$pk", json => { status => 'Confirmed' })->status == 201 or die;
    is_deeply([map { $_->{subject} } (mails_about_sessions($mentor))[-1]], ['Your session is confirmed'],
        'a request that was confirmed keeps its mails');
    sql("INSERT INTO learnhub.outbox (user_id, to_address, subject, body, subject_ref, other_id, state)
        SELECT ?, ?, 's', '', 'session 0', 0, 'sent' FROM generate_series(1, 38)", user_id($mentor), $mentor->{email});
    my $before = mails_about_sessions($mentor);
    book($_)->status == 201 or die for map { signup() } 1 .. 3;
    is($before, 60, 'the mentor has 60 mails');
    is(scalar mails_about_sessions($mentor), 60, 'a user gets at most 60 mails about sessions an hour');
    is(scalar summaries($mentor), 1, 'the mail that there was more is not repeated');
    sql("UPDATE learnhub.mentoring_sessions SET starts_at = now() + interval '50 minutes' WHERE id = ?", $pk);
    sql('SELECT learnhub.post_reminders()');
    is((mails_about_sessions($mentor))[-1]{subject}, 'Your session starts within 60 minutes',
        'reminders are not limited');
};

subtest 'a mentee can request 60 sessions with a mentor in an hour' => sub {
    my $eager = signup();
    sql("INSERT INTO learnhub.mentoring_sessions
            (availability_id, mentor_id, mentee_id, starts_at, session_length, status)
        SELECT ?, ?, ?, timestamptz '2040-12-01' + i * interval '1 hour', 30, 'Canceled'
        FROM generate_series(1, 57) AS i", $year, user_id($mentor), user_id($eager));
    my @starts = map { sprintf '2040-11-%02dT10:00:00Z', $_ } 1 .. 8;
    my @codes = parallel 8, sub { return request_session($eager, $year, $starts[$_[0]])->status };
    is_deeply([sort @codes], [(201) x 3, (400) x 5], 'of eight concurrent requests after 57 three succeed');
    is_invalid(book($eager), 'detail', ['non_field_errors'], 'the next request is rejected');
    is(book(signup())->status, 201, 'other mentees are not affected');
    sql("UPDATE learnhub.mentoring_sessions SET created_at = created_at - interval '1 hour' WHERE mentee_id = ?",
        user_id($eager));
    is(book($eager)->status, 201, 'an hour later it succeeds');
};

subtest 'the end of an availability posts a limited number of mails' => sub {
    my $pupil = signup();
    sql('INSERT INTO learnhub.notification_settings VALUES (?, true, true, true, true, true)', user_id($pupil));
    my @booked = map { book($pupil)->status } 1 .. 24;
    is_deeply(\@booked, [(201) x 24], 'a mentee has 24 sessions');
    is(api_as($mentor, DELETE => "/availabilty/$year/")->status, 204, 'the mentor deletes the availability');
    is_deeply([scalar mails_about_sessions($pupil), scalar summaries($pupil)], [20, 1],
        'the mentee gets 20 mails and one that there was more');
};

# ---- confirmed addresses ----

deliver();
sql('DELETE FROM learnhub.mail_requests');
my %aged = map { my $state = $_; map { ("$state $_" => undef) } 2, 0 } qw(sent failed expired waiting);
for my $name (keys %aged) {
    my ($state, $days) = split / /, $name;
    ($aged{$name}) = map { $_->{id} } sql("INSERT INTO learnhub.outbox
        (to_address, subject, body, state, created_at, due_at) VALUES (?, ?, 'b', 'waiting',
         now() - make_interval(days => ?), now() + interval '1 day') RETURNING id", address(), $name, $days);
    sql('UPDATE learnhub.outbox SET state = ? WHERE id = ?', $state, $aged{$name}) if $state ne 'waiting';
}

my $strict = second_httpd("${smtp}LearnHubVerifyEmail On\nLearnHubKeepMails 1d\n"
        . "LearnHubActivationURL https://app.example/a?u={uid}&t={token}\n");
my @strict = (port => $strict->port);

# A new account at the server with LearnHubVerifyEmail On; @more: the path and further fields of another sign-up.
sub join_strictly {
    my (@more) = @_;
    my ($path, %fields) = @more ? @more : ('/users/signup', first_name => $lure, last_name => $lure);
    my %user = (email => address(), password => 'a good password');
    my $reply = api(POST => $path, @strict, json => { %user, %fields });
    $reply->status == 201 or die $reply->summary;
    my $login = log_in($user{email}, $user{password}, @strict);
    return { %user, token => $login->json->{access_token}, login => $login->status };
}

# The uid and token of the latest link that the mail server received for an address.
sub link_to {
    my ($email) = @_;
    my $last = eventually(sub { (grep { $_->{text} =~ /app\.example/ } $mail_server->to($email))[-1] }) or return;
    return $last->{text} =~ m{^https://app\.example/a\?u=([0-9a-f-]{36})&t=([0-9a-f]{40})$}m
        ? (uid => $1, token => $2) : ();
}

# The subject of the latest mail that the mail server received for an address.
sub last_subject { my ($email) = @_; return ($mail_server->to($email))[-1]{headers}{subject} }

sub confirm { my (%link) = @_; return api(POST => $activation, @strict, json => \%link) }
sub is_verified { return defined user($_[0])->{email_verified_at} }

my %new_name = (username => "$lure 1");
my @members = (
    join_strictly(), join_strictly('/auth/users/', %new_name, re_password => 'a good password'),
    join_strictly('/api/auth/register/', username => "$lure 2", confirm_password => 'a good password'),
    join_strictly('/api/users/', first_name => $lure), join_strictly('/api/v1/auth/register/', username => "$lure 3"),
);
my ($ada, $bob, $cleo, $dora) = @members;

subtest 'a sign-up is confirmed by the link in a mail' => sub {
    is_deeply([map { $_->{login} } @members], [(200) x 5], 'unconfirmed users can log in');
    my %link = link_to($ada->{email});
    my %foreign = link_to($bob->{email});
    is_deeply([map { { link_to($_->{email}) }->{uid} } @members], [map { user($_->{email})->{uuid} } @members],
        'each of five sign-ups mails a link to its user');
    my ($mail) = $mail_server->to($ada->{email});
    unlike(join("\n", $mail->{text}, values %{ $mail->{headers} }), qr/WON|evil/, 'the mail has no chosen text');
    is_invalid(confirm(), 'detail', [qw(token uid)], 'uid and token are required');
    is_invalid(confirm(%link, token => '0' x 40), 'detail', ['token'], 'an unknown token is rejected');
    is_invalid(confirm(%link, uid => $foreign{uid}), 'detail', ['token'], "another user's uid is rejected");
    is(is_verified($ada->{email}), '', 'rejected links confirm nothing');
    is_deeply([sort +parallel 6, sub { confirm(%link, uid => uc $link{uid})->status }], [204, (400) x 5],
        'of six concurrent uses of a link one returns 204');
    ok(is_verified($ada->{email}) && !is_verified($bob->{email}), 'the address is confirmed, no other one');
    is_deeply(events(user($ada->{email})->{id}), ['email_confirmed'], 'the audit log has the confirmation');
    sql("UPDATE learnhub.email_confirmations SET created_at = now() - interval '3 days' WHERE user_id = ?",
        user($bob->{email})->{id});
    is_invalid(confirm(%foreign), 'detail', ['token'], 'a link expires after three days');
};

subtest 'an unconfirmed address gets no mail but the confirmation' => sub {
    request_reset($_->{email}, @strict) for $ada, $bob;
    my @ids = map { (sql('SELECT learnhub.post_mail(?, ?, ?) AS id', user($_->{email})->{id}, 's', 'b'))[0]{id} } $ada,
        $bob;
    ok(post_links() && sent(), 'the mails are handled');
    is_deeply([map { $_->{headers}{subject} } $mail_server->to($bob->{email})], ['Confirm your e-mail address'],
        'the unconfirmed address got the confirmation only');
    is_deeply([map { $_->{state} } rows_to($bob->{email})], [qw(sent expired expired)], 'other mails expire');
    like((rows_to($bob->{email}))[-1]{last_error}, qr/not confirmed/, 'the outbox says why');
    is_deeply([map { state_of($_) } @ids], [qw(sent expired)], 'a confirmed address gets them');
    my ($named) = grep { $_->{headers}{subject} eq 's' } $mail_server->to($ada->{email});
    is($named->{headers}{to}, "$lure $lure <$ada->{email}>", 'with the name in To') if $named;
    is(scalar grep({ $_->{headers}{subject} eq 'Reset your password' } $mail_server->to($ada->{email})), 1,
        'a confirmed address gets reset mails');
};

subtest 'the link can be mailed again' => sub {
    my $again = sub { api(POST => $resend, @strict, json => { email => $_[0] })->status };
    my %old = link_to($cleo->{email});
    my $nobody = address();
    is_deeply([map { $again->($_) } uc $cleo->{email}, $ada->{email}, $nobody], [(204) x 3],
        'unconfirmed, confirmed and unknown addresses return 204');
    is($again->($cleo->{email}), 204, 'a second request within a minute returns 204');
    ok(post_links() && sent(), 'the mails are sent');
    my @counts = map { my $to = $_; scalar grep { $_->{headers}{subject} =~ /Confirm/ } $mail_server->to($to) }
        $cleo->{email}, $ada->{email}, $nobody;
    is_deeply(\@counts, [2, 1, 0], 'only the unconfirmed address gets one more mail');
    is_invalid(confirm(%old), 'detail', ['token'], 'the earlier link is invalid');
    for (1 .. 6) { age(); $again->($cleo->{email}); post_links() }
    ok(sent(), 'the mails are sent');
    my ($posted) = sql('SELECT count(*) AS n FROM learnhub.mail_requests WHERE address = ? AND user_id IS NOT NULL',
        $cleo->{email});
    is($posted->{n}, 5, 'an address gets at most five confirmations an hour');
    is(confirm(link_to($cleo->{email}))->status, 204, 'the last link confirms the address');
    is(api(POST => $resend, json => { email => $bob->{email} })->status, 204, 'with LearnHubVerifyEmail Off it is 204');
    ok(post_links(), 'the request is handled');
    is_deeply([map { $_->{state} } rows_to($bob->{email})], [qw(sent expired expired)], 'and no mail is posted');
};

subtest 'a new address counts when it is confirmed' => sub {
    my ($old, $new) = ($ada->{email}, address());
    my %password = (current_password => $ada->{password});
    my %names = (email => $new, username => 'Ada ' . unique());
    my $reply = api_as($ada, PATCH => $me, @strict, json => { %names, %password });
    is_deeply([$reply->status, $reply->json->{email}], [200, $old], 'the response has the present address');
    like($reply->json->{username}, qr/^Ada /, 'and the new username');
    ok(sent(), 'the mails are sent');
    is(last_subject($old), 'Your e-mail address will be changed', 'the old address is told');
    is_deeply([map { log_in($_, $ada->{password}, @strict)->status } $old, $new], [200, 401],
        'the old address logs in, the new one does not');
    is(confirm(link_to($new))->status, 204, 'the link confirms the new address');
    is_deeply([map { log_in($_, $ada->{password}, @strict)->status } $old, $new], [401, 200], 'now the new one does');
    ok(is_verified($new), 'it is confirmed');
    ok(sent(), 'the mails are sent');
    is(last_subject($old), 'Your e-mail address was changed', 'the old address is told again');
    is_deeply(events(user($new)->{id}), [qw(email_confirmed email_change_requested email_changed)],
        'the audit log has the request and the change');
    $ada->{email} = $new;

    my $profile = sub { api_as($ada, PATCH => '/myprofile/', @strict, json => { %password, @_ }) };
    is($profile->(email => uc $new)->json->{email}, uc $new, 'another case of letters counts at once');
    ok(is_verified(uc $new), 'and stays confirmed');
    my @next = map { address() } 1 .. 10;
    is($profile->(email => $next[0])->json->{email}, uc $new, '/myprofile/ returns the present address');
    my %first = link_to($next[0]);
    $profile->(email => $next[1]);
    is_invalid(confirm(%first), 'detail', ['token'], 'the next request invalidates the link to another address');
    my %stolen = link_to($next[1]);
    api_as($ada, POST => '/auth/users/set_password/', @strict, json => { %password, new_password => $new_password })
        ->status == 204 or die;
    is_invalid(confirm(%stolen), 'detail', ['token'], 'a new password invalidates the link');
    $ada->{token} = log_in($new, $new_password, @strict)->json->{access_token};
    $password{current_password} = $new_password;
    $profile->(email => $next[2]);
    my %taken = link_to($next[2]);
    signup(email => $next[2]);
    is_invalid(confirm(%taken), 'detail', ['token'], 'an address that another account has taken is rejected');
    is(user(uc $new)->{email}, uc $new, 'the account keeps its address');
    my @codes = map { $profile->(email => $_)->status } @next[3 .. 9];
    is_deeply(\@codes, [(200) x 5, 400, 400], 'an account can request ten confirmations an hour');
    is_invalid($profile->(email => address()), 'detail', ['email'], 'the error names the address');
};

subtest 'a stranger does not replace the link to a new address' => sub {
    my ($user, $next) = (signup(), address());
    api_as($user, PATCH => $me, @strict, json => { email => $next, current_password => $user->{password} })->status
        == 200 or die;
    my %link = link_to($next);
    is(api(POST => $resend, @strict, json => { email => $user->{email} })->status, 204, 'another link is requested');
    ok(post_links(), 'the request is handled');
    is(confirm(%link)->status, 204, 'the link to the new address remains valid');
};

subtest 'a reset link confirms the address' => sub {
    my $user = signup();
    stop_job(); # a server that sends the mail would erase its body before it is read here
    request_reset($user->{email});
    sql('SELECT learnhub.post_requested_mails()');
    my ($link) = grep { $_->{subject} =~ /Reset/ } rows_to($user->{email});
    database()->commit;
    my ($uid, $token) = $link->{body} =~ m{/([0-9a-f-]{36})/([0-9a-f]{40})$}m;
    my %new = (uid => $uid, token => $token, new_password => $new_password);
    is(api(POST => '/auth/users/reset_password_confirm/', json => \%new)->status, 204, 'the reset succeeds');
    ok(is_verified($user->{email}), 'the address is confirmed');
    is_deeply(events(user_id($user)), ['password_reset'], 'the audit log has the reset');
};

# ---- the outbox and the log ----

subtest 'addresses are not logged' => sub {
    expect_log(qr/LH0021: /);
    my $gone = $dora->{email};
    $mail_server->behave(rcpt => { $gone => "550 5.1.1 <$gone>: user unknown" });
    sql('UPDATE learnhub.users SET email_verified_at = now() WHERE email = ?', $gone);
    my ($mail) = sql('SELECT learnhub.post_mail(id, ?, ?) AS id FROM learnhub.users WHERE email = ?',
        's', 'secret', $gone);
    ok(eventually(sub { state_of($mail->{id}) eq 'failed' }), 'a mail fails');
    my ($row) = sql('SELECT body, last_error FROM learnhub.outbox WHERE id = ?', $mail->{id});
    is_deeply($row, { body => '', last_error => "550 5.1.1 <$gone>: user unknown" },
        'the outbox has the reply and no body');
    ok(eventually(sub { $strict->log_text =~ /LH0021: mail $mail->{id} failed after 1 attempts: 550$/m }),
        'the log has the code');
    unlike($strict->log_text, qr/\@example\.com|user unknown/, 'the log has no address and no text of the server');
};

subtest 'old mails are deleted' => sub {
    my @left = qw(expired failed sent waiting);
    is_deeply([map { (sql('SELECT body FROM learnhub.outbox WHERE id = ?', $aged{"$_ 0"}))[0]{body} } @left],
        ['', '', '', 'b'], 'finished mails of any kind have no body');
    my $exist = sub { join ' ', sort grep { sql('SELECT 1 FROM learnhub.outbox WHERE id = ?', $aged{$_}) } keys %aged };
    ok(eventually(sub { $exist->() eq 'expired 0 failed 0 sent 0 waiting 0 waiting 2' }, 15),
        'finished mails older than LearnHubKeepMails are deleted, no others') || diag($exist->());
};

done_testing;

# SPDX-License-Identifier: Apache-2.0
# The outbox and its delivery over real SMTP connections: failures of the mail server, restarts of httpd and PostgreSQL,
# and delivery exactly once by several servers.
use strict;
use warnings;
use utf8;

use LearnHub::Mail;
use LearnHub::Test;
use Time::HiRes qw(sleep time);

my $mail_server = LearnHub::Mail->new->start;
my $from = 'learnhub@house.example';
my $smtp = 'LearnHubSMTP ' . $mail_server->url . "\nLearnHubMailFrom $from\n";
my $outage = qr/LH0022: /;

# Queues a mail to a user, or to a user's id; returns the id of the mail, undef if none was queued.
sub queue {
    my ($user, %mail) = @_;
    my @given = (subject => 'A subject', body => "A body.\n", %mail);
    my %named = @given;
    my @names = sort keys %named;
    my ($row) = sql('SELECT learnhub.post_mail(recipient => ?' . join('', map {", $_ => ?"} @names) . ') AS id',
        ref $user ? user($user->{email})->{id} : $user, @named{@names});
    return $row->{id};
}

# A new user whose address is confirmed: mails to it have the name.
sub confirmed {
    my (%user) = @_;
    my $user = signup(%user);
    sql('UPDATE learnhub.users SET email_verified_at = now() WHERE email = ?', $user->{email});
    return $user;
}

# The row of a mail in the outbox.
sub outbox_row { my ($id) = @_; return (sql('SELECT * FROM learnhub.outbox WHERE id = ?', $id))[0] }
sub state_of { my ($id) = @_; return (outbox_row($id) || {})->{state} // 'none' }

my $httpd;

# How often the log has a line, once it has it: a failure is logged after it is stored.
sub times_logged {
    my ($line) = @_;
    eventually(sub { $httpd->log_text =~ $line });
    return scalar(() = $httpd->log_text =~ /$line/g);
}

# Waits until a mail has this state.
sub becomes {
    my ($id, $state, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    eventually(sub { state_of($id) eq $state }, 20);
    return is(state_of($id), $state, $name);
}

# Waits until a mail was tried at least so many times and is not being sent. Returns false after 20 seconds.
sub wait_for_tries {
    my ($id, $times) = @_;
    return eventually(sub { outbox_row($id)->{attempts} >= $times && state_of($id) ne 'sending' }, 20);
}

my $ada = confirmed(first_name => 'Ada', last_name => 'King');

subtest 'LearnHubSMTP requires LearnHubMailFrom' => sub {
    is((configtest($smtp))[0], 0, 'configtest accepts LearnHubSMTP with LearnHubMailFrom');
    my ($status, $output) = configtest('LearnHubSMTP ' . $mail_server->url);
    ok($status != 0 && $output =~ /LH0040: .*LearnHubMailFrom/,
        'configtest rejects LearnHubSMTP without LearnHubMailFrom, with a reason') || diag($output);
};

my $early = queue($ada, subject => 'Early');

subtest 'Mails stay in the outbox if LearnHubSMTP is not set' => sub {
    is(state_of($early), 'waiting', 'a new mail waits in the outbox');
    my $forgotten = queue($ada);
    sql("UPDATE learnhub.outbox SET due_at = now() - interval '8 days' WHERE id = ?", $forgotten);
    my $silent = second_httpd('');
    becomes($forgotten, 'expired', 'a mail that waits for more than seven days expires');
    is(scalar(() = $silent->log_text =~ /:notice\].*LH0041: /g), 1,
        'httpd logs once at the start that mails wait');
    my $expired = queue($ada, not_after => '2020-01-01T00:00:00Z');
    becomes($expired, 'expired', 'a mail past its not_after expires');
    is(state_of($early), 'waiting', 'other mails keep waiting');
    is(scalar($mail_server->commands), 0, 'no mail server is contacted');
    $silent->stop;
};

$httpd = second_httpd($smtp);

my $first;

subtest 'A waiting mail is sent as plain text with complete headers' => sub {
    unlike($httpd->log_text, qr/LH0041: /, 'with LearnHubSMTP nothing is logged about waiting mails');
    becomes($early, 'sent', 'a starting server sends the waiting mail');
    ($first) = $mail_server->to($ada->{email});
    is($first->{from}, $from, 'MAIL FROM is LearnHubMailFrom');
    is($first->{headers}{subject}, 'Early', 'Subject is the subject');
    is($first->{headers}{from}, "<$from>", 'From is LearnHubMailFrom');
    is($first->{headers}{to}, qq("Ada King" <$ada->{email}>), 'To has name and address');
    like($first->{headers}{date}, qr/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000$/,
        'Date is in UTC');
    like($first->{headers}{'message-id'}, qr/^<\S+\@house\.example>$/, 'Message-ID has the domain of the sender');
    is_deeply([@{ $first->{headers} }{qw(mime-version content-type content-transfer-encoding auto-submitted)}],
        ['1.0', 'text/plain; charset=utf-8', 'quoted-printable', 'auto-generated'],
        'the mail is declared as automatic plain text in UTF-8');
    is($first->{text}, "A body.\n", 'the body is complete');
    is_deeply(keys_of($first->{headers}),
        [sort qw(auto-submitted content-transfer-encoding content-type date from message-id
                mime-version subject to)], 'there are no other headers');
    my $sent = outbox_row($early);
    is_deeply([@$sent{qw(attempts last_error)}], [1, undef], 'the outbox has one try and no error');
    ok($sent->{sent_at}, 'the outbox has the time of sending');
};

subtest 'A new mail is sent at once' => sub {
    my $posted = time;
    my $quick = queue($ada, subject => 'Quick');
    becomes($quick, 'sent', 'a second mail is sent');
    my ($arrived) = grep { $_->{headers}{subject} eq 'Quick' } $mail_server->accepted;
    cmp_ok($arrived->{at} - $posted, '<', 10, 'a new mail arrives within 10 seconds') || diag($arrived->{at} - $posted);
    isnt($arrived->{headers}{'message-id'}, $first->{headers}{'message-id'}, 'each mail has its own Message-ID');
};

# Text that is difficult to send: leading dots, trailing spaces, long lines, letters beyond ASCII.
my $body = ".\n..\n.dot first\n\nGrüße, 日本語 🙂 = \t \ntrailing space \n" . ('long ' x 500) . "\n" . ('ü' x 400)
    . "\nhttps://x.example/?a=1&b=2\nlast line without an end";
my $zoë = confirmed(first_name => 'Zoë "Q" Ångström', last_name => '日本語' x 30);
my $odd = queue($zoë, subject => "Grüße: \x{1F642} " . 'lang ' x 30 . "\r\nBcc: evil\@example.com\nX: y",
    body => $body);

subtest 'Text beyond ASCII, dots and long lines arrive unchanged' => sub {
    becomes($odd, 'sent', 'a mail with difficult text is sent');
    my ($strange) = $mail_server->to($zoë->{email});
    is($strange->{text}, "$body\n", 'the body is unchanged');
    is($strange->{headers}{subject}, "Grüße: \x{1F642} " . 'lang ' x 30 . '  Bcc: evil@example.com X: y',
        'line breaks in the subject become spaces');
    is($strange->{headers}{to}, 'Zoë "Q" Ångström ' . '日本語' x 30 . " <$zoë->{email}>",
        'the name of the recipient is unchanged');
    ok(!exists $strange->{headers}{bcc}, 'the subject cannot add a header');
    ok(!(grep { length > 998 } split /\r\n/, $strange->{raw}), 'no line is longer than the 998 characters of SMTP');
    ok(!(grep { length > 76 && !/^To: / } split /\r\n/, $strange->{raw}),
        'no line but To is longer than the 76 characters of MIME');
    unlike($strange->{raw}, qr/[^\x00-\x7F]/, 'only ASCII is sent');
};

my $eve;

subtest 'A name with line breaks cannot add a header' => sub {
    $eve = confirmed();
    sql('UPDATE learnhub.users SET first_name = ?, last_name = ? WHERE email = ?', "Eve\r\nBcc: x\@evil.example",
        'a\\b"c', $eve->{email});
    becomes(queue($eve), 'sent', 'a mail to a name with line breaks is sent');
    is(($mail_server->to($eve->{email}))[0]{headers}{to}, qq("Eve  Bcc: x\@evil.example a\\\\b\\"c" <$eve->{email}>),
        'the name in To is one line, quoted');
};

subtest 'An address that contains a command is never sent' => sub {
    sql('UPDATE learnhub.outbox SET to_address = ?, state = ?, attempts = 0, due_at = now() WHERE id = ?',
        "a\@b.example>\r\nRCPT TO:<evil\@b.example", 'waiting', $odd);
    expect_log(qr/LH0021: /);
    becomes($odd, 'failed', 'a mail to an address with a command fails');
    ok(!(grep {/evil\@b/} $mail_server->commands), 'no recipient is taken from the address');
};

subtest 'post_mail() queues a mail once per key and for active users only' => sub {
    is(queue($ada, once => 'key 1') ? 1 : 0, 1, 'the first mail with a key is queued');
    is(queue($ada, once => 'key 1'), undef, 'the second mail with a key is not queued');
    my @parallel = parallel(8, sub { return queue($ada, once => 'key 2') });
    is(scalar(grep {defined} @parallel), 1, 'of 8 concurrent mails with a key one is queued');
    is(queue(0), undef, 'no mail is queued for an unknown user');
    my $gone = signup();
    sql('UPDATE learnhub.users SET is_active = false WHERE email = ?', $gone->{email});
    is(queue($gone), undef, 'no mail is queued for a deactivated user');
    my $about = queue($ada, about => 'session 9000005', not_after => '2099-01-01T00:00:00Z', at_most_once => 1);
    is_deeply([@{ outbox_row($about) }{qw(subject_ref at_most_once to_name)}], ['session 9000005', 1, 'Ada King'],
        'the outbox has reference, at_most_once and name');
    becomes($about, 'sent', 'a mail with a reference is sent');
    eventually(sub { !sql(q(SELECT 1 FROM learnhub.outbox WHERE state IN ('waiting', 'sending'))) }, 10);
};

subtest 'A permanent rejection of a mail is final' => sub {
    $mail_server->behave(rcpt => { $zoë->{email} => '550 5.1.1 No such user' },
        end => { $eve->{email} => '554 5.7.1 This is spam' });
    my ($unknown, $spam, $fine) = (queue($zoë), queue($eve), queue($ada));
    becomes($unknown, 'failed', 'a mail fails after 550 to RCPT');
    becomes($spam, 'failed', 'a mail fails after 554 to DATA');
    becomes($fine, 'sent', 'a mail to another recipient is sent');
    is_deeply([map { outbox_row($_)->{attempts} } $unknown, $spam], [1, 1], 'a rejected mail is tried once');
    like(outbox_row($unknown)->{last_error}, qr/^550 5\.1\.1 No such user$/, 'the outbox has the reply to RCPT');
    like(outbox_row($spam)->{last_error}, qr/^554 5\.7\.1 This is spam$/, 'the outbox has the reply to DATA');
    is(times_logged(qr/:warn\].*LH0021: mail $unknown failed after 1 attempts: 550$/m), 1,
        'a permanent rejection is logged once, with the code of the reply only');
};

subtest 'A temporary rejection of a mail is tried again, with growing pauses' => sub {
    $mail_server->behave(rcpt => { $zoë->{email} => '450 4.2.1 Mailbox busy' },
        end => { $eve->{email} => '452 4.3.1 Disk full' });
    my ($busy, $full) = (queue($zoë), queue($eve));
    ok(wait_for_tries($busy, 2) && wait_for_tries($full, 2), 'mails are tried again after 450 to RCPT and 452 to DATA');
    is_deeply([map { state_of($_) } $busy, $full], [qw(waiting waiting)], 'mails rejected temporarily wait');
    like(outbox_row($busy)->{last_error}, qr/^450 4\.2\.1 Mailbox busy$/, 'the outbox has the temporary reply');
    ok((sql(q(SELECT due_at >= created_at + interval '5 seconds' AS later FROM learnhub.outbox WHERE id = ?),
                $busy))[0]{later}, 'the third try is at least 5 seconds after the mail was queued');
    $mail_server->behave;
    becomes($_, 'sent', 'a mail is sent when the server accepts it') for $busy, $full;
    is(outbox_row($busy)->{last_error}, undef, 'the outbox has no error after sending');
    unlike($httpd->log_text, $outage, 'a rejected mail is not logged as an outage');
};

my %outages = (
    'closes at once' => { connect => 'close' },
    'is not ready' => { connect => '554 No service' },
    'rejects EHLO and HELO' => { ehlo => '421 Going down' },
    'rejects the sender' => { mail => '550 Who are you' },
    'closes at RCPT' => { rcpt => 'close' },
    'replies 421 to RCPT' => { rcpt => '421 Going down' },
    'closes at DATA' => { data => 'close' },
);
expect_log($outage);

subtest 'During an outage of the mail server mails wait' => sub {
    for my $name (sort keys %outages) {
        $mail_server->behave(%{ $outages{$name} });
        my $id = queue($ada, subject => $name);
        ok(wait_for_tries($id, 1), "a server that $name: a mail is tried");
        is(state_of($id), 'waiting', "a server that $name: the mail waits");
        like(outbox_row($id)->{last_error}, qr/\S/, "a server that $name: the outbox has the reason");
        $mail_server->behave;
        becomes($id, 'sent', "a server that $name: the mail is sent afterwards");
        is(scalar(grep { $_->{headers}{subject} eq $name } $mail_server->accepted), 1,
            "a server that $name: the mail is sent once");
    }
};

subtest 'Mails wait while no mail server listens' => sub {
    $mail_server->stop;
    my @waiting = map { queue($ada, subject => "down $_") } 1 .. 3;
    my $tried = q(SELECT count(*) AS n FROM learnhub.outbox WHERE id = ANY(?) AND attempts > 0 AND state = 'waiting');
    is(eventually(sub { (sql($tried, \@waiting))[0]{n} == 3 }, 20), 1,
        'mails wait after a try while no mail server listens');
    my $before = () = $httpd->log_text =~ /$outage/g;
    $mail_server->start;
    becomes($_, 'sent', 'a mail is sent when the mail server is back') for @waiting;
    cmp_ok($before, '<=', 2 * (keys(%outages) + 1), 'each process logs an outage once');
    like($httpd->log_text, qr/:notice\].*LH0023: /, 'the end of an outage is logged');
};

subtest 'A mail with an unknown outcome is repeated unless it is at_most_once' => sub {
    my %unknown = (end => { $ada->{email} => 'close' });
    $mail_server->behave(%unknown);
    my ($ordinary, $single) = (queue($ada, subject => 'ordinary'), queue($ada, subject => 'single', at_most_once => 1));
    becomes($single, 'failed', 'an at_most_once mail fails when the server closes without a reply');
    ok(wait_for_tries($ordinary, 1), 'an ordinary mail is tried');
    is(state_of($ordinary), 'waiting', 'an ordinary mail waits when the server closes without a reply');
    $mail_server->behave;
    becomes($ordinary, 'sent', 'an ordinary mail is sent at the next try');
    my %unanswered;
    $unanswered{ $_->{headers}{subject} }++ for $mail_server->rejected;
    cmp_ok($unanswered{ordinary}, '>=', 1, 'the server received the ordinary mail without replying');
    is($unanswered{single}, 1, 'and the other one once');
    is(scalar(grep { $_->{headers}{subject} eq 'single' } $mail_server->accepted), 0,
        'the at_most_once mail is not repeated');
    my ($twice) = grep { $_->{headers}{subject} eq 'ordinary' } $mail_server->rejected;
    my ($again) = grep { $_->{headers}{subject} eq 'ordinary' } $mail_server->accepted;
    is($twice->{headers}{'message-id'}, $again->{headers}{'message-id'}, 'the repeated mail has the same Message-ID');
};

subtest 'A mail that was certainly not sent is repeated even if it is at_most_once' => sub {
    $mail_server->behave(rcpt => 'close');
    my $known = queue($ada, subject => 'known', at_most_once => 1);
    ok(wait_for_tries($known, 1), 'an at_most_once mail is tried');
    is(state_of($known), 'waiting', 'an at_most_once mail waits when the server closes before DATA');
    $mail_server->behave;
    becomes($known, 'sent', 'an at_most_once mail is sent at the next try');
};

# Mails whose lease has expired or expires in an hour.
subtest 'Mails of a process that died are handled when their lease expires' => sub {
    sql(q(INSERT INTO learnhub.outbox (user_id, to_address, subject, body, state, attempts, due_at, at_most_once)
        SELECT id, email, 'left ' || once, 'x', 'sending', 1, now() + wait, once FROM learnhub.users,
        (VALUES (true, interval '-1 s'), (false, interval '-1 s'), (false, interval '1 hour')) v (once, wait)
        WHERE email = ?), $ada->{email});
    my ($lost, $left, $held) = map { $_->{id} }
        sql(q(SELECT id FROM learnhub.outbox WHERE subject LIKE 'left %' ORDER BY id));
    becomes($lost, 'failed', 'an at_most_once mail fails when its lease has expired');
    like(outbox_row($lost)->{last_error}, qr/unknown/, 'the outbox has the error that the outcome is unknown');
    becomes($left, 'sent', 'an ordinary mail is sent when its lease has expired');
    is(state_of($held), 'sending', 'a mail stays with the process until its lease expires');
    sql('DELETE FROM learnhub.outbox WHERE id = ?', $held);
};

subtest 'A process that has lost its lease does not store the outcome' => sub {
    $mail_server->behave(data => 'slow');
    my $taken = queue($ada, subject => 'taken');
    ok(eventually(sub { state_of($taken) eq 'sending' }, 10), 'a mail is being sent to a slow server');
    sql('UPDATE learnhub.outbox SET attempts = attempts + 1 WHERE id = ?', $taken); # as another process that claims it
    ok(eventually(sub { grep { $_->{headers}{subject} eq 'taken' } $mail_server->accepted }, 15),
        'the slow server accepts the mail');
    sleep 1;
    is(state_of($taken), 'sending', 'the mail stays with the process that has claimed it since');
    sql('DELETE FROM learnhub.outbox WHERE id = ?', $taken);
    $mail_server->behave;
};

subtest 'A mail is not sent after its not_after' => sub {
    $mail_server->behave(rcpt => '450 Not now');
    my $late = queue($ada, not_after => (sql(q(SELECT now() + interval '4 seconds' AS t)))[0]{t});
    ok(wait_for_tries($late, 1), 'a mail with not_after is tried');
    becomes($late, 'expired', 'a waiting mail expires at its not_after');
    $mail_server->behave(data => 'slow');
    my $slow = queue($ada, subject => 'slow', not_after => (sql(q(SELECT now() + interval '3 seconds' AS t)))[0]{t});
    becomes($slow, 'expired', 'a mail expires while a slow server receives it');
    is(scalar(grep { $_->{headers}{subject} eq 'slow' } $mail_server->accepted), 0,
        'the expired mail was not accepted by the slow server');
};

my $hang;

subtest 'A mail server that hangs blocks neither database nor requests nor httpd' => sub {
    $mail_server->behave(data => 'hang');
    $hang = queue($ada, subject => 'hang');
    ok(eventually(sub { state_of($hang) eq 'sending' }, 10), 'a mail is being sent to a server that hangs');

    # Jobs of other processes hold locks for a moment.
    my $locks = q(SELECT 1 FROM pg_locks WHERE relation = 'learnhub.outbox'::regclass AND mode LIKE 'Row%');
    ok(eventually(sub { !sql($locks) }, 5), 'no lock is held while the mail server hangs');
    is(state_of($hang), 'sending', 'the mail is still being sent then');
    my $began = time;
    is(api(GET => '/users/me', token => $ada->{token}, port => $httpd->port)->status, 200,
        'a request succeeds while the mail server hangs');
    cmp_ok(time - $began, '<', 5, 'a request takes less than 5 seconds while the mail server hangs');
    $began = time;
    $httpd->stop;
    cmp_ok(time - $began, '<', 8, 'httpd stops in less than 8 seconds');
    is_deeply([@{ outbox_row($hang) }{qw(state attempts)}], ['waiting', 0],
        'a mail interrupted by a stop waits again, without counting the try');
};

subtest 'LearnHubMailTries limits the tries' => sub {
    $mail_server->behave;
    $httpd = second_httpd("${smtp}LearnHubMailTries 2\n");
    becomes($hang, 'sent', 'a mail interrupted by a stop is sent after the next start');
    $mail_server->behave(rcpt => '450 Not now');
    my $few = queue($ada);
    becomes($few, 'failed', 'a mail fails after LearnHubMailTries tries');
    is(outbox_row($few)->{attempts}, 2, 'with LearnHubMailTries 2 a mail is tried twice');
    is(times_logged(qr/:warn\].*LH0021: mail $few failed after 2 attempts: 450$/m), 1,
        'a mail that fails after its last try is logged once');
    $mail_server->behave;
    $httpd->stop;
};

my $password = 'open sesame ' . unique();
my $secret = "$top/t/logs/smtp-secret";
open my $file, '>', $secret or die $!;
print $file "$password\n";
close $file or die $!;

subtest 'LearnHubSMTPAuth logs in, and the password is not disclosed' => sub {
    $httpd = second_httpd(qq(${smtp}LearnHubSMTPAuth ada\@relay "file:$secret"\n));
    $mail_server->behave(offers => ['AUTH PLAIN']);
    my $login = queue($ada, subject => 'login');
    becomes($login, 'sent', 'a mail is sent with LearnHubSMTPAuth');
    is((grep { $_->{headers}{subject} eq 'login' } $mail_server->accepted)[0]{login}, "ada\@relay:$password",
        'the server received user and password');
    $mail_server->behave(offers => ['AUTH PLAIN'], auth => "535 5.7.8 Wrong: $password");
    eventually(sub { (($mail_server->commands)[-1] // '') =~ /^QUIT/ });
    my $denied = queue($ada, subject => 'denied');

    # An open connection has logged in already; it is closed after each round.
    ok(eventually(sub { (outbox_row($denied)->{last_error} // '') =~ /\S/ || state_of($denied) eq 'sent' }, 20),
        'a mail is tried with a rejected login');
    is(state_of($denied), 'waiting', 'a mail waits after a rejected login');
    unlike(outbox_row($denied)->{last_error} // '', qr/\Q$password\E/, 'the outbox does not have the password');
    $mail_server->behave(offers => ['AUTH PLAIN']);
    becomes($denied, 'sent', 'a mail is sent when the login succeeds again');
    $httpd->stop;
    unlike($httpd->log_text, qr/\Q$password\E/, 'the log does not have the password');
};

# 2130706433 is 127.0.0.1, but not recognized as a local address.
subtest 'A password is not sent without TLS to another host' => sub {
    my $far = 'LearnHubSMTP smtp://2130706433:' . $mail_server->port . "\nLearnHubMailFrom $from\n";
    $httpd = second_httpd("${far}LearnHubSMTPAuth ada secret\n");
    my $open = queue($ada, subject => 'open');
    my $logins = grep {/^AUTH/} $mail_server->commands;
    ok(wait_for_tries($open, 1), 'a mail to a remote server without TLS is tried');
    is(state_of($open), 'waiting', 'a mail waits while a remote server has no TLS');
    is(scalar(grep {/^AUTH/} $mail_server->commands), $logins,
        'the password is not sent to a remote server without TLS');
    $httpd->stop;
    sql('UPDATE learnhub.outbox SET due_at = now() WHERE id = ?', $open);
    $httpd = second_httpd($far);
    ok(wait_for_tries($open, 2), 'without LearnHubSMTPAuth the mail is tried');
    is(state_of($open), 'waiting', 'without LearnHubSMTPAuth the mail waits for TLS as well');
    is(scalar(grep { $_->{headers}{subject} eq 'open' } $mail_server->accepted), 0,
        'the mail was not sent without TLS');
    $httpd->stop;
    sql('UPDATE learnhub.outbox SET due_at = now() WHERE id = ?', $open);
    $httpd = second_httpd("${far}LearnHubSMTPSecurity Opportunistic\n");
    becomes($open, 'sent', 'with LearnHubSMTPSecurity Opportunistic the mail is sent without TLS');
    $httpd->stop;
};

my $private;

subtest 'A mail is not sent unencrypted when TLS fails' => sub {
    $mail_server->behave(offers => ['STARTTLS']);
    $httpd = second_httpd($smtp);
    $private = queue($ada, subject => 'private');
    ok(wait_for_tries($private, 1), 'STARTTLS is offered and fails: the mail is tried');
    is(state_of($private), 'waiting', 'STARTTLS fails: the mail waits');
    ok((grep {/^STARTTLS/} $mail_server->commands), 'STARTTLS was sent');
    is(scalar(grep { $_->{headers}{subject} eq 'private' } $mail_server->accepted), 0,
        'the mail was not accepted without TLS');
    $httpd->stop;
    $mail_server->behave;
    $httpd = second_httpd('LearnHubSMTP smtps://127.0.0.1:' . $mail_server->port . "\nLearnHubMailFrom $from\n");
    sql('UPDATE learnhub.outbox SET due_at = now(), attempts = 0, last_error = NULL WHERE id = ?', $private);
    ok(eventually(sub { outbox_row($private)->{last_error} }, 30), 'smtps to a server without TLS: the mail is tried');
    is(state_of($private), 'waiting', 'smtps to a server without TLS: the mail waits');
    $httpd->stop;
};

subtest 'A failing job is logged once and does not stop the others' => sub {
    expect_log(qr/LH0020: job mentoring\.reminders fails: /);
    my ($definition) = map { $_->{d} } sql(q(SELECT pg_get_functiondef('learnhub.post_reminders'::regproc) AS d));
    sql('DROP FUNCTION learnhub.post_reminders()');
    $httpd = second_httpd("LearnHubCORS *\n<VirtualHost *>\nServerName other.example\n$smtp</VirtualHost>\n"
            . "StartServers 1\nServerLimit 1\nMaxRequestWorkers 32\nMaxSpareThreads 32\n");
    like($httpd->log_text, qr/LH0041: /, 'the virtual host without LearnHubSMTP is logged');
    ok(eventually(sub { $httpd->log_text =~ /:warn\].*LH0020: job mentoring\.reminders fails: SQLSTATE 42883/ }, 20),
        'the failing job is logged');
    my $shared = queue($ada);
    becomes($shared, 'sent', 'a virtual host with LearnHubSMTP sends the mails of its database');
    sleep 6;
    is(scalar(() = $httpd->log_text =~ /LH0020: job /g), 1, 'the failing job is logged once');
    sql(q(CREATE FUNCTION learnhub.post_reminders() RETURNS integer LANGUAGE sql AS
        $$SELECT learnhub.post_mail(max(id), 'Reminder', 'Soon.', once => 'reminder')::int
        FROM learnhub.users WHERE is_active$$));
    my $reminder = sub { (sql(q(SELECT id FROM learnhub.outbox WHERE once = 'reminder')))[0] };
    ok(eventually($reminder, 15), 'the job post_reminders() runs every few seconds');
    becomes($reminder->()->{id}, 'sent', 'the mail that the job has queued is sent');
    sql($definition);
    $httpd->stop;
};

sql('UPDATE learnhub.outbox SET due_at = now() WHERE id = ?', $private);
my @nodes = map { second_httpd($smtp) } 1, 2;

my %count;

subtest 'Two servers send each mail once' => sub {
    my @many = map { queue($ada, subject => "many $_", at_most_once => $_ % 2) } 1 .. 60;
    ok(eventually(sub { 60 == grep { state_of($_) eq 'sent' } @many }, 40), 'two servers send sixty mails');
    $count{ $_->{headers}{subject} }++ for $mail_server->accepted;
    is_deeply([map { $count{"many $_"} } 1 .. 60], [(1) x 60], 'each of the sixty mails was accepted once');
};

subtest 'Restarts of httpd lose and repeat no mail' => sub {
    $mail_server->behave(rcpt => '450 Not now');
    my $patient = queue($ada, subject => 'patient');
    ok(wait_for_tries($patient, 1), 'a mail waits before the restart of httpd');
    $nodes[0]->graceful;
    $nodes[1]->stop;
    $mail_server->behave;
    becomes($patient, 'sent', 'a mail that waits is sent after the restart of httpd');
    my @storm = map { queue($ada, subject => "storm $_", at_most_once => 0) } 1 .. 100;
    $nodes[0]->restart($_) for qw(graceful restart);
    ok(eventually(sub { 100 == grep { state_of($_) eq 'sent' } @storm }, 60),
        'a hundred mails are sent during restarts');
    %count = ();
    $count{ $_->{headers}{subject} }++ for $mail_server->accepted;
    is_deeply([grep { ($count{"storm $_"} // 0) != 1 } 1 .. 100], [], 'each of the hundred mails was accepted once');
};

subtest 'A restart of PostgreSQL loses and repeats no mail' => sub {
    expect_log(qr/LH0031: /, qr/\[dbd:error\]/);
    my @during = map { queue($ada, subject => "during $_") } 1 .. 30;
    pg('stop', '-m', 'fast');
    sleep 3;
    pg('start');
    ok(eventually(sub { 30 == grep { state_of($_) eq 'sent' } @during }, 60),
        'thirty mails are sent after a restart of PostgreSQL');
    %count = ();
    $count{ $_->{headers}{subject} }++ for $mail_server->accepted;
    is_deeply([grep { ($count{"during $_"} // 0) != 1 } 1 .. 30], [], 'each of the thirty mails was accepted once');
    unlike($nodes[0]->log_text, qr/LH0020: job /, 'no failing job is logged for a restart of PostgreSQL');
    my $last = queue($ada, subject => 'last');
    becomes($last, 'sent', 'a new mail is sent after a restart of PostgreSQL');
};

done_testing;

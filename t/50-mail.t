# SPDX-License-Identifier: Apache-2.0
# The outbox and its sending, over real SMTP conversations: contract.md section 5. What a mail server can do to us, what
# happens when httpd or PostgreSQL end meanwhile, and that each mail is sent exactly once by several servers.
use strict;
use warnings;
use utf8;
use lib 't/lib';
use LearnHub::Mail;
use LearnHub::Test;
use Time::HiRes qw(sleep time);

my $sink = LearnHub::Mail->new->start;
my $from = 'learnhub@house.example';
my $smtp = 'LearnHubSMTP ' . $sink->url . "\nLearnHubMailFrom $from\n";
my $DOWN = qr/the mail server cannot be used, mails wait: /;

sub post {
    my ($who, %mail) = @_;
    my @given = (subject => 'A subject', body => "A body.\n", %mail);
    my %named = @given;
    my @names = sort keys %named;
    my ($row) = sql('SELECT learnhub.post_mail(recipient => ?' . join('', map {", $_ => ?"} @names) . ') AS id',
        ref $who ? user($who->{email})->{id} : $who, @named{@names});
    return $row->{id};
}

sub mail { my ($id) = @_; return (sql('SELECT * FROM learnhub.outbox WHERE id = ?', $id))[0] }
sub state_of { my ($id) = @_; return (mail($id) || {})->{state} // 'none' }
sub becomes { my ($id, $state, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    eventually(sub { state_of($id) eq $state }, 20);
    return is(state_of($id), $state, $name);
}
sub tried { my ($id, $times) = @_; return eventually(sub { mail($id)->{attempts} >= $times && state_of($id) ne 'sending' }, 20) }
sub log_of { my ($server) = @_; return $server->log_text }

my $ada = signup(first_name => 'Ada', last_name => 'King');

# ---- without a mail server ----

is((configtest($smtp))[0], 0, 'LearnHubSMTP with a sender');
my ($status, $said) = configtest('LearnHubSMTP ' . $sink->url);
ok($status != 0 && $said =~ /learnhub: .*LearnHubMailFrom/, 'without one: a sentence') || diag($said);
my $early = post($ada, subject => 'Early');
is(state_of($early), 'waiting', 'a mail waits in the outbox');
my $silent = second_httpd('');
is(scalar(() = log_of($silent) =~ /:notice\].*learnhub: without LearnHubSMTP mails wait/g), 1,
    'without LearnHubSMTP: httpd says so once, at its start');
my $expired = post($ada, not_after => '2020-01-01T00:00:00Z');
becomes($expired, 'expired', 'one whose time is over expires');
is(state_of($early), 'waiting', 'the other goes on waiting');
is(scalar($sink->commands), 0, 'nobody was called');
$silent->stop;

# ---- a plain mail ----

my $httpd = second_httpd($smtp);
unlike(log_of($httpd), qr/without LearnHubSMTP/, 'with LearnHubSMTP nothing is said');
becomes($early, 'sent', 'a server that starts sends what waits');
my ($first) = $sink->to($ada->{email});
is($first->{from}, $from, 'MAIL FROM is LearnHubMailFrom');
is($first->{headers}{subject}, 'Early', 'Subject');
is($first->{headers}{from}, "<$from>", 'From');
is($first->{headers}{to}, qq("Ada King" <$ada->{email}>), 'To, with the name');
like($first->{headers}{date}, qr/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000$/, 'Date');
like($first->{headers}{'message-id'}, qr/^<\S+\@house\.example>$/, 'Message-ID');
is_deeply([@{ $first->{headers} }{qw(mime-version content-type content-transfer-encoding auto-submitted)}],
    ['1.0', 'text/plain; charset=utf-8', 'quoted-printable', 'auto-generated'], 'what it is');
is($first->{text}, "A body.\n", 'the body');
is_deeply(keys_of($first->{headers}), [sort qw(auto-submitted content-transfer-encoding content-type date from message-id
            mime-version subject to)], 'no other headers');
my $sent = mail($early);
is_deeply([@$sent{qw(attempts last_error)}], [1, undef], 'one try, no error');
ok($sent->{sent_at}, 'sent_at');
my $posted = time;
my $quick = post($ada, subject => 'Quick');
becomes($quick, 'sent', 'another mail');
my ($arrived) = grep { $_->{headers}{subject} eq 'Quick' } $sink->accepted;
cmp_ok($arrived->{at} - $posted, '<', 5, 'leaves soon') || diag($arrived->{at} - $posted);
isnt($arrived->{headers}{'message-id'}, $first->{headers}{'message-id'}, 'with an id of its own');

# ---- difficult texts ----

my $body = ".\n..\n.dot first\n\nGrüße, 日本語 🙂 = \t \ntrailing space \n" . ('long ' x 500) . "\n" . ('ü' x 400)
    . "\nhttps://x.example/?a=1&b=2\nlast line without an end";
my $zoë = signup(first_name => 'Zoë "Q" Ångström', last_name => '日本語' x 30);
my $odd = post($zoë, subject => "Grüße: \x{1F642} " . 'lang ' x 30 . "\r\nBcc: evil\@example.com\nX: y", body => $body);
becomes($odd, 'sent', 'a mail full of letters beyond ASCII, dots and long lines');
my ($strange) = $sink->to($zoë->{email});
is($strange->{text}, "$body\n", 'its body arrives as it was');
is($strange->{headers}{subject}, "Grüße: \x{1F642} " . 'lang ' x 30 . '  Bcc: evil@example.com X: y', 'its subject is one line');
is($strange->{headers}{to}, 'Zoë "Q" Ångström ' . '日本語' x 30 . " <$zoë->{email}>", 'the name');
ok(!exists $strange->{headers}{bcc}, 'no header came in through the subject');
ok(!(grep { length > 998 } split /\r\n/, $strange->{raw}), 'no line is longer than SMTP allows');
ok(!(grep { length > 76 && !/^To: / } split /\r\n/, $strange->{raw}), 'nor than MIME asks for');
unlike($strange->{raw}, qr/[^\x00-\x7F]/, 'the wire has ASCII only');
my $eve = signup();
sql('UPDATE learnhub.users SET first_name = ?, last_name = ? WHERE email = ?', "Eve\r\nBcc: x\@evil.example", 'a\\b"c', $eve->{email});
becomes(post($eve), 'sent', 'a name with line breaks');
is(($sink->to($eve->{email}))[0]{headers}{to}, qq("Eve  Bcc: x\@evil.example a\\\\b\\"c" <$eve->{email}>), 'is one line, quoted');
sql('UPDATE learnhub.outbox SET to_address = ?, state = ?, attempts = 0, due_at = now() WHERE id = ?',
    "a\@b.example>\r\nRCPT TO:<evil\@b.example", 'waiting', $odd);
expect_log(qr/mail \d+ was given up after \d+ tries: /);
becomes($odd, 'failed', 'an address that would be two commands is never sent');
ok(!(grep {/evil\@b/} $sink->commands), 'not even tried');

# ---- post_mail ----

is(post($ada, once => 'key 1') ? 1 : 0, 1, 'a key is taken');
is(post($ada, once => 'key 1'), undef, 'once');
my @parallel = parallel(8, sub { return post($ada, once => 'key 2') });
is(scalar(grep {defined} @parallel), 1, 'also when many come at the same time');
is(post(0), undef, 'nobody gets no mail');
my $gone = signup();
sql('UPDATE learnhub.users SET is_active = false WHERE email = ?', $gone->{email});
is(post($gone), undef, 'nor does a deactivated account');
my $about = post($ada, about => 'session 5', not_after => '2099-01-01T00:00:00Z', at_most_once => 1);
is_deeply([@{ mail($about) }{qw(subject_ref at_most_once to_name)}], ['session 5', 1, 'Ada King'], 'what it keeps');
becomes($about, 'sent', 'it is sent in its time');
eventually(sub { !sql(q(SELECT 1 FROM learnhub.outbox WHERE state IN ('waiting', 'sending'))) }, 10);

# ---- refusals ----

$sink->behave(rcpt => { $zoë->{email} => '550 5.1.1 No such user' }, end => { $eve->{email} => '554 5.7.1 This is spam' });
my ($unknown, $spam, $fine) = (post($zoë), post($eve), post($ada));
becomes($unknown, 'failed', '550 to RCPT: given up');
becomes($spam, 'failed', '554 after DATA: given up');
becomes($fine, 'sent', 'others go on');
is_deeply([map { mail($_)->{attempts} } $unknown, $spam], [1, 1], 'after one try');
like(mail($unknown)->{last_error}, qr/^550 5\.1\.1 No such user$/, 'with the reason');
like(mail($spam)->{last_error}, qr/^554 5\.7\.1 This is spam$/, 'of both');
is(scalar(() = log_of($httpd) =~ /:warn\].*mail $unknown was given up after 1 tries: 550 5.1.1 No such user/g), 1, 'one line in the log');
$sink->behave(rcpt => { $zoë->{email} => '450 4.2.1 Mailbox busy' }, end => { $eve->{email} => '452 4.3.1 Disk full' });
my ($busy, $full) = (post($zoë), post($eve));
ok(tried($busy, 2) && tried($full, 2), '450 to RCPT and 452 after DATA: tried again');
is_deeply([map { state_of($_) } $busy, $full], [qw(waiting waiting)], 'they wait');
like(mail($busy)->{last_error}, qr/^450 4\.2\.1 Mailbox busy$/, 'with the reason');
ok((sql(q(SELECT due_at > now() + interval '1 second' AS later FROM learnhub.outbox WHERE id = ?), $busy))[0]{later}, 'and each time longer');
$sink->behave;
becomes($_, 'sent', 'and sent when the server takes them') for $busy, $full;
is(mail($busy)->{last_error}, undef, 'the reason is gone');
unlike(log_of($httpd), $DOWN, 'what one mail meets is not the server being out of use');

# ---- the server is out of use ----

my %outages = (
    'closes at once' => { connect => 'close' },
    'is not ready' => { connect => '554 No service' },
    'refuses EHLO and HELO' => { ehlo => '421 Going down' },
    'refuses the sender' => { mail => '550 Who are you' },
    'closes at RCPT' => { rcpt => 'close' },
    'says 421 to RCPT' => { rcpt => '421 Going down' },
    'closes at DATA' => { data => 'close' },
);
expect_log($DOWN);
for my $name (sort keys %outages) {
    $sink->behave(%{ $outages{$name} });
    my $id = post($ada, subject => $name);
    ok(tried($id, 1), "a server that $name: tried");
    is(state_of($id), 'waiting', 'the mail waits');
    like(mail($id)->{last_error}, qr/\S/, 'with a reason');
    $sink->behave;
    becomes($id, 'sent', 'and is sent afterwards');
    is(scalar(grep { $_->{headers}{subject} eq $name } $sink->accepted), 1, 'once');
}
$sink->stop;
my @waiting = map { post($ada, subject => "down $_") } 1 .. 3;
ok(eventually(sub { 3 == grep { mail($_)->{attempts} } @waiting }, 20), 'no server at all: all are tried');
is_deeply([map { state_of($_) } @waiting], [('waiting') x 3], 'and wait');
my $before = () = log_of($httpd) =~ /$DOWN/g;
$sink->start;
becomes($_, 'sent', 'until it is there') for @waiting;
cmp_ok($before, '<=', 2 * (keys(%outages) + 1), 'the log had a line a process for each outage');
like(log_of($httpd), qr/:notice\].*the mail server can be used again/, 'and one for its end');

# ---- unknown outcomes ----

my %unknown = (end => { $ada->{email} => 'close' });
$sink->behave(%unknown);
my ($ordinary, $single) = (post($ada, subject => 'ordinary'), post($ada, subject => 'single', at_most_once => 1));
becomes($single, 'failed', 'no answer to a mail that may go out once: given up');
ok(tried($ordinary, 1), 'an ordinary one');
is(state_of($ordinary), 'waiting', 'is tried again');
$sink->behave;
becomes($ordinary, 'sent', 'and sent');
is_deeply([map { my $subject = $_; scalar grep { $_->{headers}{subject} eq $subject } $sink->refused } qw(ordinary single)],
    [1, 1], 'the server had both of them once without an answer');
is(scalar(grep { $_->{headers}{subject} eq 'single' } $sink->accepted), 0, 'the one was never handed over again');
my ($twice) = grep { $_->{headers}{subject} eq 'ordinary' } $sink->refused;
my ($again) = grep { $_->{headers}{subject} eq 'ordinary' } $sink->accepted;
is($twice->{headers}{'message-id'}, $again->{headers}{'message-id'}, 'the other had the same Message-ID');
$sink->behave(rcpt => 'close');
my $known = post($ada, subject => 'known', at_most_once => 1);
ok(tried($known, 1), 'at most once, and certainly not sent');
is(state_of($known), 'waiting', 'is tried again');
$sink->behave;
becomes($known, 'sent', 'and sent');

# A process that died holds its mails until the lease is over.
sql(q(INSERT INTO learnhub.outbox (user_id, to_address, subject, body, state, attempts, due_at, at_most_once)
    SELECT id, email, 'left ' || once, 'x', 'sending', 1, now() + wait, once FROM learnhub.users,
    (VALUES (true, interval '-1 s'), (false, interval '-1 s'), (false, interval '1 hour')) v (once, wait) WHERE email = ?), $ada->{email});
my ($lost, $left, $held) = map { $_->{id} } sql(q(SELECT id FROM learnhub.outbox WHERE subject LIKE 'left %' ORDER BY id));
becomes($lost, 'failed', 'at most once: the outcome is unknown');
like(mail($lost)->{last_error}, qr/unknown/, 'for this reason');
becomes($left, 'sent', 'an ordinary one is sent when the lease is over');
is(state_of($held), 'sending', 'and not before');
sql('DELETE FROM learnhub.outbox WHERE id = ?', $held);

# ---- time ----

$sink->behave(rcpt => '450 Not now');
my $late = post($ada, not_after => (sql(q(SELECT now() + interval '4 seconds' AS t)))[0]{t});
ok(tried($late, 1), 'a mail with an end is tried');
becomes($late, 'expired', 'and expires');
$sink->behave(data => 'slow');
my $slow = post($ada, subject => 'slow', not_after => (sql(q(SELECT now() + interval '3 seconds' AS t)))[0]{t});
becomes($slow, 'expired', 'a slow server');
is(scalar(grep { $_->{headers}{subject} eq 'slow' } $sink->accepted), 0, 'is left when the time is over');
$sink->behave(data => 'hang');
my $hang = post($ada, subject => 'hang');
ok(eventually(sub { state_of($hang) eq 'sending' }, 10), 'a server that hangs');
ok(!sql(q(SELECT 1 FROM pg_locks WHERE relation = 'learnhub.outbox'::regclass AND mode LIKE 'Row%')), 'no lock is held meanwhile');
my $began = time;
is(api(GET => '/users/me', token => $ada->{token}, port => $httpd->port)->status, 200, 'requests are answered');
cmp_ok(time - $began, '<', 5, 'at once');
$began = time;
$httpd->stop;
cmp_ok(time - $began, '<', 8, 'httpd stops without waiting for it');
is_deeply([@{ mail($hang) }{qw(state attempts)}], ['waiting', 0], 'the mail goes back as it was');

# ---- tries ----

$sink->behave;
$httpd = second_httpd("${smtp}LearnHubMailTries 2\n");
becomes($hang, 'sent', 'what a stop interrupted is sent by the next start');
$sink->behave(rcpt => '450 Not now');
my $few = post($ada);
becomes($few, 'failed', 'LearnHubMailTries 2');
is(mail($few)->{attempts}, 2, 'two tries');
is(scalar(() = log_of($httpd) =~ /:warn\].*mail $few was given up after 2 tries: 450 Not now/g), 1, 'one line in the log');
$sink->behave;
$httpd->stop;

# ---- who we are ----

my $password = 'open sesame ' . unique();
my $secret = "$top/t/logs/smtp-secret";
open my $file, '>', $secret or die $!;
print $file "$password\n";
close $file or die $!;
$httpd = second_httpd(qq(${smtp}LearnHubSMTPAuth ada\@relay "file:$secret"\n));
$sink->behave(offers => ['AUTH PLAIN']);
my $login = post($ada, subject => 'login');
becomes($login, 'sent', 'LearnHubSMTPAuth');
is((grep { $_->{headers}{subject} eq 'login' } $sink->accepted)[0]{login}, "ada\@relay:$password", 'logs in');
$sink->behave(offers => ['AUTH PLAIN'], auth => "535 5.7.8 Wrong: $password");
sleep 0.1;
my $denied = post($ada, subject => 'denied');

# The conversation that is open has logged in already: it ends after each round.
ok(eventually(sub { (mail($denied)->{last_error} // '') =~ /\S/ || state_of($denied) eq 'sent' }, 20), 'a login that is refused');
is(state_of($denied), 'waiting', 'the mail waits');
unlike(mail($denied)->{last_error} // '', qr/\Q$password\E/, 'the reason does not have the password');
$sink->behave(offers => ['AUTH PLAIN']);
becomes($denied, 'sent', 'it is sent when the login works');
$httpd->stop;
unlike(log_of($httpd), qr/\Q$password\E/, 'nor does the log');

# 2130706433 is 127.0.0.1, too, but it does not look like this machine.
my $far = 'LearnHubSMTP smtp://2130706433:' . $sink->port . "\nLearnHubMailFrom $from\n";
$httpd = second_httpd("${far}LearnHubSMTPAuth ada secret\n");
my $open = post($ada, subject => 'open');
my $logins = grep {/^AUTH/} $sink->commands;
ok(tried($open, 1), 'another machine without TLS');
is(state_of($open), 'waiting', 'the mail waits');
is(scalar(grep {/^AUTH/} $sink->commands), $logins, 'the password was not sent in the clear');
$httpd->stop;
sql('UPDATE learnhub.outbox SET due_at = now() WHERE id = ?', $open);
$httpd = second_httpd($far);
becomes($open, 'sent', 'without a password TLS is not needed');
$httpd->stop;

# ---- TLS ----

$sink->behave(offers => ['STARTTLS']);
$httpd = second_httpd($smtp);
my $private = post($ada, subject => 'private');
ok(tried($private, 1), 'STARTTLS is offered and does not work');
is(state_of($private), 'waiting', 'the mail waits');
ok((grep {/^STARTTLS/} $sink->commands), 'it was used');
is(scalar(grep { $_->{headers}{subject} eq 'private' } $sink->accepted), 0, 'and the mail did not go without');
$httpd->stop;
$sink->behave;
$httpd = second_httpd('LearnHubSMTP smtps://127.0.0.1:' . $sink->port . "\nLearnHubMailFrom $from\n");
sql('UPDATE learnhub.outbox SET due_at = now(), attempts = 0, last_error = NULL WHERE id = ?', $private);
ok(eventually(sub { mail($private)->{last_error} }, 30), 'smtps to a server without TLS');
is(state_of($private), 'waiting', 'the mail waits');
$httpd->stop;

# ---- jobs ----

expect_log(qr/learnhub: job mentoring\.reminders: /);
my ($definition) = map { $_->{d} } sql(q(SELECT pg_get_functiondef('learnhub.post_reminders'::regproc) AS d));
sql('DROP FUNCTION learnhub.post_reminders()');
$httpd = second_httpd("LearnHubCORS *\n<VirtualHost *>\nServerName other.example\n$smtp</VirtualHost>\n"
        . "StartServers 1\nServerLimit 1\nMaxRequestWorkers 32\nMaxSpareThreads 32\n");
like(log_of($httpd), qr/without LearnHubSMTP/, 'a host without a mail server');
ok(eventually(sub { log_of($httpd) =~ /:warn\].*learnhub: job mentoring\.reminders: SQLSTATE 42883/ }, 20), 'a job that fails is told in the log');
my $shared = post($ada);
becomes($shared, 'sent', 'other jobs go on; a host with a mail server sends for those that share its database');
sleep 6;
is(scalar(() = log_of($httpd) =~ /learnhub: job /g), 1, 'and told once');
sql(q(CREATE FUNCTION learnhub.post_reminders() RETURNS integer LANGUAGE sql AS
    $$SELECT learnhub.post_mail(max(id), 'Reminder', 'Soon.', once => 'reminder')::int FROM learnhub.users WHERE is_active$$));
my $reminder = sub { (sql(q(SELECT id FROM learnhub.outbox WHERE once = 'reminder')))[0] };
ok(eventually($reminder, 15), 'post_reminders() is called every few seconds');
becomes($reminder->()->{id}, 'sent', 'what it posts is sent');
sql($definition);
$httpd->stop;

# ---- several servers, restarts ----

sql('UPDATE learnhub.outbox SET due_at = now() WHERE id = ?', $private);
my @nodes = map { second_httpd($smtp) } 1, 2;
my @many = map { post($ada, subject => "many $_", at_most_once => $_ % 2) } 1 .. 60;
ok(eventually(sub { 60 == grep { state_of($_) eq 'sent' } @many }, 40), 'two servers send sixty mails');
my %count;
$count{ $_->{headers}{subject} }++ for $sink->accepted;
is_deeply([map { $count{"many $_"} } 1 .. 60], [(1) x 60], 'each once');
$sink->behave(rcpt => '450 Not now');
my $patient = post($ada, subject => 'patient');
ok(tried($patient, 1), 'a mail waits');
$nodes[0]->graceful;
$nodes[1]->stop;
$sink->behave;
becomes($patient, 'sent', 'httpd was restarted meanwhile');
my @storm = map { post($ada, subject => "storm $_", at_most_once => 0) } 1 .. 100;
$nodes[0]->restart($_) for qw(graceful restart);
ok(eventually(sub { 100 == grep { state_of($_) eq 'sent' } @storm }, 60), 'restarts while a hundred mails are sent');
%count = ();
$count{ $_->{headers}{subject} }++ for $sink->accepted;
is_deeply([grep { ($count{"storm $_"} // 0) != 1 } 1 .. 100], [], 'each once');
expect_log(qr/the database cannot be reached/, qr/\[dbd:error\]/);
my @during = map { post($ada, subject => "during $_") } 1 .. 30;
pg('stop', '-m', 'fast');
sleep 3;
pg('start');
ok(eventually(sub { 30 == grep { state_of($_) eq 'sent' } @during }, 60), 'PostgreSQL was restarted meanwhile');
%count = ();
$count{ $_->{headers}{subject} }++ for $sink->accepted;
is_deeply([grep { ($count{"during $_"} // 0) != 1 } 1 .. 30], [], 'each once');
unlike(log_of($nodes[0]), qr/learnhub: job /, 'the jobs said nothing of it');
my $last = post($ada, subject => 'last');
becomes($last, 'sent', 'and go on');

done_testing;

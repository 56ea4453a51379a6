# SPDX-License-Identifier: Apache-2.0
# Child processes of httpd killed while they send thousands of mails and serve requests: no mail is lost, few are sent
# twice, no reminder is.
use strict;
use warnings;

use LearnHub::Ledger;
use LearnHub::Mail;
use LearnHub::Slow;
use LearnHub::Test;
use Time::HiRes qw(sleep time);

expect_log(qr/exit signal Killed/, qr/LH0021: .* The process that was sending it ended/);

my $count = long() ? 5000 : 300;
my $kills = 6;
my $mail_server = LearnHub::Mail->new->behave(end => 'pause')->start; # so that kills hit mails that are being sent
sql("UPDATE learnhub.outbox SET state = 'sent' WHERE state IN ('waiting', 'sending')"); # left by other test files
my $last = (sql('SELECT coalesce(max(id), 0) AS id FROM learnhub.outbox'))[0]{id};

# Each fourth mail is a reminder, which is sent at most once.
my $stem = unique('killed');
sql("INSERT INTO learnhub.outbox (to_address, subject, body, at_most_once, once, due_at)
    SELECT ? || n || '\@example.com', 'S', 'B', n % 4 = 0, ? || n, now() + n * interval '1 microsecond'
    FROM generate_series(1, ?) n", $stem, $stem, $count);

my $node = second_httpd(node_directives('LearnHubSMTP ' . $mail_server->url
            . "\nLearnHubMailFrom learnhub\@house.example\n"));
my $ledger = ledger(nodes => [$node->port], clients => 4, pause => long() ? 0.02 : 0.1,
    mix => [qw(booking session me page)]);

sub states {
    return map { $_->{state} => $_->{n} } sql('SELECT state, count(*) AS n FROM learnhub.outbox GROUP BY 1');
}

sub sent { my %state = states(); return $state{sent} // 0 }

# Kills a child that works, six times, each after more mails were sent.
my $killed = 0;
my $kill_some = sub {
    for (1 .. $kills) {
        my $before = sent();
        eventually(sub { sent() >= $before + $count / 10 }, 60);
        my @children; # none, until httpd has replaced those killed before
        eventually(sub { @children = grep { LearnHub::Server::runs($_) } children_of($node) });
        $killed += kill KILL => $children[rand @children] if @children;
    }
};
my $run = $ledger->under_load(before => 0.3, fault => $kill_some, after => 0.5);

# Waits until no mail waits; then ends the leases of those that the killed processes were sending, which last a minute.
my $ended = eventually(sub { my %state = states(); !$state{waiting} }, long() ? 300 : 60);
my $sending = q(SELECT id, attempts FROM learnhub.outbox WHERE state = 'sending' ORDER BY id);
my $left = eventually(sub {
        my $first = join ' ', map {"$_->{id}.$_->{attempts}"} sql($sending);
        sleep 2;
        my @second = sql($sending);
        return $first eq join(' ', map {"$_->{id}.$_->{attempts}"} @second) && { interrupted => scalar @second };
}, 30);
sql(q(UPDATE learnhub.outbox SET due_at = now() WHERE state = 'sending'));
my $done = eventually(sub { my %state = states(); !$state{waiting} && !$state{sending} }, 60);

my %times;
$times{ $_->{to} }++ for map { { to => $_->{to} } } $mail_server->entries('accepted');
my @mails = sql("SELECT to_address, at_most_once, state FROM learnhub.outbox
    WHERE id > ? AND (to_address LIKE ? OR subject_ref LIKE 'session %')", $last, "$stem%");
my @lost = grep { !$_->{at_most_once} && !$times{ $_->{to_address} } } @mails;
my @twice = grep { ($times{ $_->{to_address} } // 0) > 1 } grep { $_->{to_address} =~ /^$stem/ } @mails;
my @unsent = grep { !$_->{at_most_once} && $_->{state} ne 'sent' } @mails;
my @failed = grep { $_->{at_most_once} && $_->{state} ne 'sent' } @mails;
my ($bookings) = sql("SELECT count(*) AS n FROM learnhub.outbox WHERE id > ? AND subject_ref LIKE 'session %'", $last);

consistent($run, "$killed children killed", mails => scalar(@mails) . ', lost ' . @lost . ', twice ' . @twice
        . ', reminders not sent ' . @failed);
is($killed, $kills, 'children are killed');
ok($ended && $done, 'all mails are handled');
is_deeply([map { $_->{to_address} } @lost], [], 'no mail is lost');
is_deeply([map {"$_->{to_address} $_->{state}"} @unsent], [], 'all are marked as sent');
cmp_ok(scalar @twice, '<=', $kills, 'at most those that a killed process was sending are sent twice');
is_deeply([map { $_->{to_address} } grep { $_->{at_most_once} } @twice], [], 'no reminder is sent twice');
cmp_ok(scalar @failed, '<=', $kills, 'at most those that a killed process was sending are not sent');
is(scalar(grep { $_->{fresh} && $_->{status} } $run->failed), 0, 'no request gets 503');
cmp_ok($bookings->{n}, '>', 5, 'mails of bookings are among them');

done_testing;

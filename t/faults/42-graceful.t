# SPDX-License-Identifier: Apache-2.0
# httpd restarted and stopped gracefully under load. The measure is a constant page of the same httpd: a request on a
# connection that was kept alive can find it closed, as with any handler, but then it has not been executed.
use strict;
use warnings;

use LearnHub::Ledger;
use LearnHub::Test;
use Time::HiRes qw(sleep time);

mkdir "$top/t/htdocs";
open my $page, '>', "$top/t/htdocs/constant.txt" or die "constant.txt: $!";
print $page 'constant ' x 100;
close $page or die $!;

my %constant = (constant => sub { (GET => '/constant.txt') });
my @mix = qw(create constant session constant problem constant me constant coding constant page constant);
my ($rounds, $pause) = long() ? (20, 1) : (4, 0.5);

# The failed requests of a run that were executed, of kinds whose keys are in the database.
sub executed {
    my ($run) = @_;
    my %query = (create => 'tutoring_sessions WHERE title', problem => 'problems WHERE title',
        coding => 'coding_sessions WHERE session_name');
    my @failed = grep { $query{ $_->{kind} } } $run->failed;
    my @found = grep { sql("SELECT 1 FROM learnhub.$query{$_->{kind}} = ?", $_->{key}) } @failed;
    return [map {"$_->{kind} $_->{key}"} @found];
}

# [failed, all] requests of the module, and those of the constant page.
sub failures {
    my ($run) = @_;
    my ($module, $constant) = ([0, 0], [0, 0]);
    $_->{kind} eq 'constant' ? $constant->[1]++ : $module->[1]++ for $run->entries;
    $_->{kind} eq 'constant' ? $constant->[0]++ : $module->[0]++ for $run->failed;
    return ($module, $constant);
}

subtest 'graceful restarts' => sub {
    my $node = second_httpd(node_directives());
    my %with = (nodes => [$node->port], mentors => 1, others => \%constant, mix => \@mix);
    my ($kept, $fresh) = (ledger(%with, clients => 12), ledger(%with, clients => 6, fresh => 1));
    my ($other, $count);
    my $restarts = sub { for (1 .. $rounds) { $node->graceful; $count++; sleep $pause } };
    my $run = $fresh->under_load(
        before => 0.2,
        fault => sub { $other = $kept->under_load(before => 0.5, fault => $restarts, after => 0.5) },
        after => 0.2
    );
    my ($module, $constant) = failures($other);
    my $figures = "$module->[0] of $module->[1], constant $constant->[0] of $constant->[1]";
    consistent($run, "$rounds graceful restarts, new connections");
    consistent($other, "$rounds graceful restarts, kept connections", closed => $figures);
    is($count, $rounds, 'all restarts succeed');
    is_deeply([map {"$_->{kind} $_->{status}"} $run->failed], [], 'no request on a new connection fails');
    my @odd = grep { $_->{status} || $_->{fresh} || $_->{part} } $other->failed;
    is_deeply([map {"$_->{kind} $_->{status}"} @odd], [], 'on others, requests fail only by a closed connection');
    cmp_ok($module->[0] / $module->[1], '<=', 0.005 + 3 * $constant->[0] / $constant->[1],
        'not many more of the module than of a constant page');
    is_deeply(executed($other), [], 'none of the failed requests is executed');
    is(scalar(grep { $node->log_text =~ /$_/ } 'exit signal', 'still did not exit'), 0, 'each child ends by itself');
    $node->stop;
};

for my $round (1 .. (long() ? 3 : 1)) {
    subtest "graceful-stop $round" => sub {
        my $node = second_httpd(node_directives());
        my $ledger = ledger(nodes => [$node->port], mentors => 1, others => \%constant, mix => \@mix, clients => 12);
        my $pid = $node->pid;
        my $seconds;
        my $stop = sub {
            my $start = time;
            kill WINCH => $pid;
            eventually(sub { !LearnHub::Server::runs($pid) }, 20);
            $seconds = time - $start;
        };
        my $run = $ledger->under_load(before => 1, fault => $stop, after => 0.2);
        my @before = grep { $_->{start} < $run->at('fault') } $run->entries;
        consistent($run, 'graceful-stop', stopped => sprintf '%.1f s', $seconds);
        ok(!LearnHub::Server::runs($pid), 'the server ends');
        cmp_ok($seconds, '<', 15, 'in some seconds');
        my @cut = grep { !$_->{status} && ($_->{fresh} || $_->{part}) } @before;
        is_deeply([map { $_->{kind} } @cut], [], 'requests in progress are answered');
        is_deeply(executed($run), [], 'none of the failed requests is executed');
        ok(eventually(sub { !busy_connections('mod_learnhub') }), 'no database connection is left in use');
    };
}

done_testing;

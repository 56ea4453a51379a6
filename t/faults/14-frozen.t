# SPDX-License-Identifier: Apache-2.0
# PostgreSQL stops responding without closing its connections (SIGSTOP): each request is answered within its deadline.
use strict;
use warnings;

use LearnHub::Cluster;
use LearnHub::Ledger;
use LearnHub::Test;
use Time::HiRes qw(sleep time);

expect_outage();

my $cluster = LearnHub::Cluster->main;
my ($wait, $timeout, $pause) = long() ? (2, 5, 15) : (1, 2, 6);
my $limits = "LearnHubConnectionWait ${wait}s\nLearnHubStatementTimeout ${timeout}s\n";

subtest 'frozen PostgreSQL under load' => sub {

    # The second node reads revocations for each request.
    my @nodes = map { second_httpd(node_directives($limits . $_)) } '', "LearnHubRevocationInterval 0\n";
    my $ledger = ledger(nodes => [map { $_->port } @nodes]);
    my $freeze = sub {
        my ($mark) = @_;
        $cluster->freeze;
        sleep $pause;
        $cluster->thaw;
        $mark->('continued');
    };
    my $run = $ledger->under_load(fault => $freeze, after => 3);
    my $bound = $wait + $timeout + 0.5;
    for my $i (0, 1) {
        my @own = grep { $_->{node} == $nodes[$i]->port && $_->{kind} ne 'index' } $run->entries;
        my ($longest) = sort { $b->{end} - $b->{start} <=> $a->{end} - $a->{start} } @own;
        my $took = $longest->{end} - $longest->{start};
        diag(sprintf 'node %d: longest %s %.0f ms of %.0f', $i, $longest->{kind}, 1000 * $took, 1000 * $bound);
        cmp_ok($took, '<', $bound + $run->noise, "node $i: every request is answered within its deadline");
    }
    consistent($run, "frozen $pause s", recovery => sprintf '%.0f ms', 1000 * $run->last_failure('continued'));
    my @late = grep { $_->{end} > $run->at('continued') + 2 } $run->failed;
    is_deeply([map {"$_->{kind} $_->{status}"} @late], [], 'no request fails 2 seconds after PostgreSQL has continued');
    $_->stop for @nodes;
};

my $short = second_httpd("LearnHubStatementTimeout 500ms\nLearnHubConnectionWait 300ms\nDBDMax 1\nDBDKeep 1\n");
my %short = (port => $short->port);
my @users = map { signup() } 1 .. 4;
my %session = (title => 'T', description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 20);
my $session = api_as(signup(role => 'instructor'), POST => '/api/sessions/', json => \%session)->json->{id};
sub recovers { my ($seconds) = @_; return eventually(sub { api(GET => '/health', %short)->status == 200 }, $seconds) }

subtest 'hung PostgreSQL' => sub {
    ok(recovers(10), 'a server with one connection serves requests');
    $cluster->freeze;
    my $start = time;
    my @waiting = parallel 4, sub { api_as($users[$_[0]], GET => "/api/sessions/$session/", %short) };
    $cluster->thaw;
    cmp_ok(time - $start, '<', 10, 'four requests to a hung database finish within 10 seconds');
    is_deeply([map { $_->{status} } @waiting], [(503) x 4], 'four requests to a hung database return 503');
    ok(recovers(15), '/health returns 200 after PostgreSQL continues');
};

subtest 'a locked row and an exhausted pool' => sub {
    ok(recovers(10), 'a server with one connection serves requests');
    database()->begin_work;
    sql('SELECT id FROM learnhub.tutoring_sessions WHERE id = ? FOR UPDATE', $session);
    my $start = time;
    my @waiting = parallel 4, sub { api_as($users[$_[0]], POST => "/api/sessions/$session/join/", %short) };
    cmp_ok(time - $start, '<', 10, 'four requests for a locked row finish within 10 seconds');
    is_deeply([map { $_->{status} } @waiting], [(503) x 4], 'four requests for a locked row return 503');
    is($waiting[$_]{json}{error} =~ /\S/ ? 1 : 0, 1, "the 503 of request $_ for a locked row has a message") for 0 .. 3;
    database()->rollback;
    ok(recovers(10), '/health returns 200 after the lock is released');
};

done_testing;

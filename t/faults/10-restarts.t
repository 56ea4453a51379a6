# SPDX-License-Identifier: Apache-2.0
# PostgreSQL restarted and stopped, httpd restarted gracefully, under load: few requests fail, each is answered within
# the wait for a connection, and the module recovers without intervention.
use strict;
use warnings;

use LearnHub::Cluster;
use LearnHub::Ledger;
use LearnHub::Test;
use Time::HiRes qw(sleep time);

expect_outage();
LearnHub::Cluster->main->without_fsync;

my $node = second_httpd(node_directives());
my %node = (port => $node->port);
my $ledger = ledger(nodes => [$node->port]);

sub health_status { my (%with) = @_; return api(GET => '/health', %with)->status }
sub recovers { my ($seconds, %with) = @_; return eventually(sub { health_status(%with) == 200 }, $seconds) }

sub no_failure_after {
    my ($run, $mark) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @failed = map {"$_->{kind} $_->{status}"} grep { $_->{end} > $run->at($mark) + 3 } $run->failed;
    return is_deeply(\@failed, [], "no request fails later than 3 seconds after PostgreSQL has $mark");
}

sub served { my ($run) = @_; return $run->entries - $run->failed }

# Whatever the wait, the database counts as down after two seconds, which a busy machine may need to start it.
sub few_failures {
    my ($run) = @_;
    my @early = grep { $_->{end} < $run->at('fault') + 2 } $run->failed;
    my @writes = grep { $_->{write} } @early;
    is_deeply([map { $_->{kind} } grep { !$_->{write} } @early], [], 'no read fails within 2 seconds');
    return cmp_ok(scalar @writes, '<=', 16, 'and of each client at most one write');
}

my $patient = second_httpd(node_directives("LearnHubConnectionWait 20s\n"));
my $waiting = ledger(nodes => [$patient->port]);

for my $restart (map { ("fast $_", "immediate $_") } 1 .. (long() ? 3 : 1)) {
    subtest "restart of PostgreSQL, $restart" => sub {
        my ($mode) = $restart =~ /(\w+)/;
        my $fault = sub { my ($mark) = @_; pg('stop', '-m', $mode); pg('start'); $mark->('started') };
        my $run = $waiting->under_load(fault => $fault, after => long() ? 6 : 1.5);
        consistent($run, "restart $restart", recovery => sprintf '%.0f ms', 1000 * $run->last_failure('started'));
        cmp_ok(served($run), '>', 50, 'more than 50 requests are served');
        few_failures($run);
        no_failure_after($run, 'started');
        ok(recovers(15, port => $patient->port), '/health returns 200');
    };
}

subtest 'two graceful restarts of httpd under load' => sub {
    my $run = $ledger->under_load(fault => sub { $node->graceful for 1, 2 }, after => 1);
    consistent($run, 'graceful restarts');
    cmp_ok(served($run), '>', 50, 'more than 50 requests are served');
    cmp_ok(scalar(my @failed = $run->failed), '<=', 12, 'at most 12 requests fail');
};

subtest 'stopped PostgreSQL' => sub {
    my $outage = long() ? 20 : 5;
    my $beside = ledger(nodes => [$node->port], mix => [qw(session create health index me autosave)],
        others => { health => sub { (GET => '/health') } });
    my %create = (title => unique('down'), description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 2);
    my ($early, %reply);
    my $stop = sub {
        my ($mark) = @_;
        pg('stop', '-m', 'fast');
        $mark->('stopped');
        $early = second_httpd(node_directives());
        $reply{early} = api(GET => '/health', port => $early->port);
        sleep $outage;
        $reply{create} = api_as($ledger->{teacher}, POST => '/api/sessions/', json => \%create, %node);
        $reply{health} = api(GET => '/health', %node);
        $mark->('before');
        pg('start');
        $mark->('started');
    };
    my $run = $beside->under_load(fault => $stop, after => 3.5);
    my @late = grep { $_->{start} > $run->at('stopped') + 3 && $_->{end} < $run->at('before') }
        $run->entries(qw(reads writes));
    my ($median) = (sort { $a <=> $b } map { $_->{end} - $_->{start} } @late)[@late / 2];
    consistent($run, "stopped $outage s", median => sprintf '%.1f ms', 1000 * $median);
    is(scalar(grep { $_->{status} != 503 } @late), 0, 'without a database all requests that need it return 503');
    cmp_ok(scalar @late, '>', 50, 'and many of them');
    cmp_ok($median, '<', 0.1, 'during a lasting outage without another wait');
    cmp_ok($run->longest, '<', 2.5 + $run->noise, 'the first ones after the wait of 2 seconds');
    no_failure_after($run, 'started');
    is_error($reply{create}, 'flat', 503, 'a request without a database returns 503 in the flat format');
    like($reply{create}->header('Retry-After'), qr/^\d+$/, 'the 503 without a database has Retry-After');
    is_deeply([$reply{health}->status, @{ $reply{health}->json }{qw(status database)}],
        [503, 'unhealthy', 'unreachable'], '/health reports an unreachable database');
    is($reply{early}->status, 503, 'an httpd started without a database returns 503');
    ok(recovers(15, %node), '/health returns 200 after PostgreSQL has started again');
    ok(recovers(15, port => $early->port), '/health of an httpd started without a database returns 200 as well');
    my %after = (%create, title => unique('after'));
    is(api_as($ledger->{teacher}, POST => '/api/sessions/', json => \%after, port => $early->port)->status, 201,
        'writes succeed after PostgreSQL has started again');
};

done_testing;

# SPDX-License-Identifier: Apache-2.0
# A primary and its standby, which are copies of the tests' cluster: the primary fails, or the standby. With
# synchronous_commit = remote_apply no acknowledged write is lost.
use strict;
use warnings;

use LearnHub::Cluster;
use LearnHub::Ledger;
use LearnHub::Test;
use POSIX ();
use Time::HiRes qw(sleep time);

expect_outage();

# A ledger of $clients clients, whose users are in a new primary and its standby: (ledger, httpd node, primary,
# standby). Further settings are those of the primary.
sub pair {
    my ($clients, $more, %settings) = @_;
    my $ledger = ledger(nodes => [1], clients => $clients);
    my %synchronous = (synchronous_standby_names => '*', synchronous_commit => 'remote_apply', %settings);
    my @clusters = LearnHub::Cluster->copies(primary => \%synchronous, standby => { standby_of => 'primary' });
    $_->start for @clusters;
    my $streams = sub {
        my ($row) = $clusters[0]->handle('postgres')->selectrow_array(
            "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'");
        return $row;
    };
    eventually($streams, 20) or die 'the standby does not stream';
    my $node = second_httpd(LearnHub::Cluster->directives(@clusters) . node_directives($more));
    $ledger->{nodes} = [$node->port];
    return ($ledger, $node, @clusters);
}

my ($pooler, $owner) = (0, $$);
END { stop_pooler() if $pooler && $owner == $$ }

sub stop_pooler {
    local $?;
    kill INT => $pooler;
    return waitpid $pooler, 0;
}

# Starts PgBouncer in transaction mode with five connections; returns the connection string.
sub start_pooler {
    my ($socket) = map {"$_-pooler"} LearnHub::Cluster->socket_directory;
    my $files = "$top/t/logs/pooler";
    open my $ini, '>', "$files.ini" or die $!;
    print $ini map {"$_\n"} '[databases]',
        'learnhub = host=' . LearnHub::Cluster->socket_directory . ' port=5432 dbname=learnhub user=learnhub',
        '[pgbouncer]', 'listen_addr =', 'listen_port = 6432', "unix_socket_dir = $socket", 'auth_type = any',
        'pool_mode = transaction', 'default_pool_size = 5', 'max_client_conn = 200', 'server_tls_sslmode = disable',
        "logfile = $files.log", "pidfile = $files.pid";
    close $ini or die $!;
    $pooler = fork // die "fork: $!";

    if (!$pooler) {
        open STDOUT, '>', "$files.out" and open STDERR, '>&', \*STDOUT and exec '/usr/sbin/pgbouncer', "$files.ini";
        POSIX::_exit(127);
    }
    my $conninfo = "host=$socket port=6432 user=learnhub dbname=learnhub sslmode=disable gssencmode=disable";
    eventually(sub { LearnHub::Cluster->handle_of($conninfo) }) or die "PgBouncer does not start; see $files.log\n";
    return $conninfo;
}

sub recovered {
    my ($run, $mark, $seconds) = @_;
    my @late = grep { $_->{end} > $run->at($mark) + $seconds } $run->failed;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply([map {"$_->{kind} $_->{status}"} @late], [], "no request fails $seconds seconds after promotion");
}

subtest 'the primary is killed and the standby promoted' => sub {
    my ($ledger, $node, $primary, $standby) = pair(16, "LearnHubConnectionWait 15s\n");
    my $fail = sub {
        my ($mark) = @_;
        my @receiver = $standby->receiver;
        $standby->freeze; # from now on it gets nothing, so nothing can be acknowledged
        sleep 0.5;
        $primary->crash;
        $mark->('crash');
        kill TERM => @receiver; # it reads no WAL that has arrived meanwhile
        $standby->thaw;
        sleep(long() ? 1 : 0.3);
        $standby->promote;
        $mark->('promoted');
    };
    my $run = $ledger->under_load(fault => $fail, after => 3.5);
    $ledger->{database} = $standby->handle;
    consistent($run, 'primary killed', recovery => sprintf '%.0f ms', 1000 * $run->last_failure('promoted'));
    my @early = grep { $_->{end} < $run->at('crash') + 2 } $run->failed; # later the database counts as down
    my @writes = grep { $_->{write} } @early;
    is_deeply([map { $_->{kind} } grep { !$_->{write} } @early], [], 'no read fails within 2 seconds');
    cmp_ok(scalar @writes, '<=', 16, 'and of each client at most one write');
    recovered($run, 'promoted', 3);
    my $served = grep { $_->{start} > $run->at('promoted') && $_->{status} =~ /^2/ } $run->entries('writes');
    cmp_ok($served, '>', 10, 'the new primary serves writes');
    $standby->stop('immediate');
    $node->stop;
};

# Each write waits for the standby until its deadline. The pool has more connections than there are clients.
subtest 'the only synchronous standby is lost' => sub {
    my $limits = "LearnHubStatementTimeout 2s\nServerLimit 2\nMaxRequestWorkers 64\n";
    my ($ledger, $node, $primary, $standby) = pair(8, $limits, max_connections => 40);
    my @counts;
    my $lose = sub {
        $standby->crash;
        my $end = time + (long() ? 30 : 10);
        while (time < $end) {
            push @counts, scalar(my @backends = $primary->backends);
            sleep 0.1;
        }
        $standby->start;
    };
    my $run = $ledger->under_load(fault => $lose, after => 3);
    $ledger->{database} = $primary->handle;
    my ($most) = sort { $b <=> $a } @counts;
    consistent($run, 'standby lost', backends => "$counts[0] to $most");
    cmp_ok($most, '<=', 24, 'no backends are left behind');
    my @failed = $run->failed('reads');
    is_deeply([map { $_->{kind} } @failed], [], 'no read fails');
    my $waited = grep { $_->{start} > $run->at('fault') } $run->failed('writes');
    cmp_ok($waited, '>', 10, 'writes are not acknowledged without the standby');
    $_->stop('immediate') for $primary, $standby;
    $node->stop;
};

if (long()) {
    subtest 'the standby is promoted while the primary is frozen' => sub {
        my ($ledger, $node, $primary, $standby) = pair(16, '');
        my $fail = sub {
            my ($mark) = @_;
            $primary->freeze;
            sleep 1;
            $standby->promote;
            $mark->('promoted');
        };
        my $run = $ledger->under_load(fault => $fail, after => 12);
        $ledger->{database} = $standby->handle;
        consistent($run, 'primary frozen', recovery => sprintf '%.0f ms', 1000 * $run->last_failure('promoted'));
        recovered($run, 'promoted', 2);
        $primary->crash;
        $standby->stop('immediate');
        $node->stop;
    };

    subtest 'PgBouncer in transaction mode, and a restart of PostgreSQL behind it' => sub {
        my $ledger = ledger();
        my $conninfo = start_pooler();
        my $more = qq(DBDParams "$conninfo connect_timeout=2 application_name=mod_learnhub"\n);
        my $node = second_httpd($more . node_directives("LearnHubConnectionWait 15s\n"));
        $ledger->{nodes} = [$node->port];
        my $restart = sub { my ($mark) = @_; pg('stop', '-m', 'fast'); pg('start'); $mark->('started') };
        my $run = $ledger->under_load(before => 10, fault => $restart, after => 10);
        consistent($run, 'PgBouncer', recovery => sprintf '%.0f ms', 1000 * $run->last_failure('started'));
        is(scalar(grep { $_->{end} < $run->at('fault') } $run->failed), 0, 'no request fails before the restart');
        $node->stop;
        stop_pooler();
    };
}

done_testing;

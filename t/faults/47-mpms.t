# SPDX-License-Identifier: Apache-2.0
# The MPMs event, worker and prefork: start, a ledger during a restart of PostgreSQL and a graceful restart, stop.
# With prefork each process has one thread and one database connection. At the end a stop with clients that read slowly.
use strict;
use warnings;

use LearnHub::Cluster;
use LearnHub::Ledger;
use LearnHub::Slow;
use LearnHub::Stream;
use LearnHub::Test;
use Time::HiRes qw(sleep time);

expect_log(qr/LH0031: /, qr/LH0004: /, qr/LH0005: /, qr/SQLSTATE 57P0\d/, qr/\[dbd:error\]/);
LearnHub::Cluster->main->without_fsync;

my ($base, $extra) = map { do { local (@ARGV, $/) = "$top/t/conf/$_.conf"; <> } } qw(base extra);

my %processes = (
    event => "ServerLimit 4\nStartServers 2\nThreadsPerChild 32\nMaxRequestWorkers 64",
    worker => "ServerLimit 4\nStartServers 2\nThreadsPerChild 32\nMaxRequestWorkers 64",
    prefork => "ServerLimit 16\nStartServers 8\nMinSpareServers 8\nMaxSpareServers 16\nMaxRequestWorkers 16\n"
        . "DBDMax 1\nDBDKeep 1",
);

# t/conf with another MPM.
sub with_mpm {
    my ($mpm) = @_;
    my $conf = $base =~ s/mpm_event_module (".*)mod_mpm_event/mpm_${mpm}_module $1mod_mpm_$mpm/r;
    $conf =~ s/^(?:ServerLimit|StartServers|Thread\w+|M\w+SpareThreads|MaxRequestWorkers|DBDMax|DBDKeep) .*\n//mg;
    $conf =~ s/application_name=\S+/application_name=$mpm/;
    return second_httpd("$processes{$mpm}\n$conf\n$extra\n" . node_directives("LearnHubConnectionWait 10s\n"),
        alone => 1);
}

sub connections { my ($mpm) = @_;
    return (sql('SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = ?', $mpm))[0]{n} }

# Whether a request may have failed because the database counted as down, as it does after two seconds: a busy machine
# may need that long to restart it.
sub while_down {
    my ($node, $run, $entry) = @_;
    return 0 if $node->log_text !~ /LH0031: /;
    return $entry->{end} > $run->at('fault') + 2 && $entry->{end} < $run->at('started') + 3;
}

for my $mpm (qw(event worker prefork)) {
    subtest $mpm => sub {
        my $node = with_mpm($mpm);
        my $ledger = ledger(nodes => [$node->port], clients => 8, mentors => 20);
        my $pid = $node->pid;
        my $faults = sub {
            my ($mark) = @_;
            pg('stop', '-m', 'fast');
            pg('start');
            $mark->('started');
            sleep 0.5;
            $mark->('graceful');
            $node->graceful for 1 .. (long() ? 3 : 1);
        };
        my $run = $ledger->under_load(before => 0.5, fault => $faults, after => long() ? 5 : 1);
        my $connections = connections($mpm);
        consistent($run, $mpm, connections => $connections);
        my $served = $run->entries - $run->failed;
        cmp_ok($served, '>', 50, 'more than 50 requests are served');
        my @failed = grep { $_->{status} && !while_down($node, $run, $_) } $run->failed;
        cmp_ok(scalar @failed, '<=', 8, 'of each client at most one gets 503');
        is_deeply([map { $_->{kind} } grep { $_->{fresh} && !$_->{status} } $run->failed], [],
            'no request on a new connection is lost');
        cmp_ok($connections, '<=', 32, 'no more connections than two generations may have');
        is(api(GET => '/health', port => $node->port)->status, 200, '/health returns 200');
        kill TERM => $pid;
        ok(eventually(sub { !LearnHub::Server::runs($pid) }, 15), 'it stops');
        ok(eventually(sub { !connections($mpm) }), 'no database connection is left');
        my $asked_again = qr/process (\d+) still did not exit, sending a SIGTERM/; # after 3 seconds, and after 5
        unlike($node->log_text, qr/exit signal|SIGKILL|$asked_again.*process \1 still did not exit/s,
            'each child ends by itself');
    };
}

# httpd gives its children ten seconds to end; those with slow clients do not end before.
subtest 'a stop with slow readers' => sub {
    my $server = quickstart_httpd(node_directives());
    my $reader = signup();
    fill($reader, 4, 700);
    my $slow = LearnHub::Slow->start(port => $server->port, count => 40, read => 1000, from => \&address_of,
        request => "GET /sessions/user/my-sessions HTTP/1.1\r\nHost: x\r\n"
            . "Authorization: Bearer $reader->{token}\r\n\r\n");
    ok(eventually(sub { $slow->progress->{begun} >= 20 }, 20), 'clients read slowly');
    my ($pid, @children) = ($server->pid, children_of($server));
    my $start = time;
    kill TERM => $pid;
    ok(eventually(sub { !grep { LearnHub::Server::runs($_) } $pid, @children }, 20), 'all processes end');
    my $seconds = time - $start;
    diag(sprintf 'a stop with 40 slow readers takes %.1f s', $seconds);
    cmp_ok($seconds, '<', 15, 'after the ten seconds of httpd at the latest');
    $slow->stop;
    my $query = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'quickstart'";
    ok(eventually(sub { !sql($query) }), 'no database connection is left');
};

done_testing;

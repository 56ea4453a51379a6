# SPDX-License-Identifier: Apache-2.0
# Two database servers under Patroni, as conf/cluster/patroni.yml configures them: the primary's processes are killed or
# frozen, its network is cut, and it is changed by a switchover, all under load. No acknowledged write is lost, and
# requests succeed within seconds after the promotion.
use strict;
use warnings;

use LearnHub::Ledger;
use LearnHub::Patroni;
use LearnHub::Recipe;
use LearnHub::Server;
use LearnHub::Test;
use POSIX ();
use Time::HiRes qw(sleep time);

expect_outage();

my $patroni = LearnHub::Patroni->new;
my $node = second_httpd($patroni->directives . node_directives());
$ENV{LEARNHUB_PORT} = $node->port;
my $ledger = ledger(nodes => [$node->port], clients => 8);

# Waits until the server of a machine accepts writes; the time of that.
sub wait_for_promotion {
    my ($machine) = @_;
    eventually(sub { $patroni->accepts_writes($machine) }, 90) || die 'no promotion';
    return time;
}

# Runs a fault on the primary, and prints the times from the fault to the promotion, and from there to the first write.
# `fault` gets the primary and the other machine, and returns the machine that is the primary then; `repair` gets the
# same two and is called afterwards. No request that begins `within` (3) seconds after the promotion fails.
sub scenario {
    my ($name, %with) = @_;
    my ($primary, $standby) = $patroni->pair;
    my ($promoted, $within) = (undef, $with{within} // 3);
    my $run = $ledger->under_load(before => 2, after => 4, fault => sub {
            my ($mark) = @_;
            database()->disconnect;
            my $next = $with{fault}->($primary, $standby);
            $promoted = wait_for_promotion($next);
            sleep $within;
            $with{repair}->($primary, $standby) if $with{repair};
    });
    $patroni->wait_until_complete;
    my ($write) = sort { $a <=> $b } map { $_->{end} }
        grep { $_->{write} && $_->{status} =~ /^2/ && $_->{start} > $promoted } $run->entries;
    my ($failed) = sort { $b <=> $a } $promoted, map { $_->{end} } $run->failed;
    consistent($run, $name, promotion => sprintf('%.1f s', $promoted - $run->at('fault')),
        write => sprintf('%.2f s later', ($write // 999) - $promoted),
        failure => sprintf '%.2f s later', $failed - $promoted);
    my @late = grep { $_->{start} > $promoted + $within } $run->failed;
    is_deeply([map {"$_->{kind} $_->{status}"} @late],
        [], "$name: none fails that begins $within s after the promotion");
    ok($write && $write - $promoted < $within + 1, "$name: writes succeed soon after the promotion");
    return $run;
}

sub switch_over {
    my ($primary, $standby) = @_;
    $patroni->patronictl("switchover --candidate $standby->{name} --force learnhub") or die 'no switchover';
    return $standby;
}

my %lost = (fault => sub { $_[0]->crash; return $_[1] }, repair => sub { $patroni->start($_[0]) });
my %frozen = (fault => sub { $_[0]->freeze; return $_[1] }, repair => sub { $_[0]->thaw });

subtest 'switchover' => sub { scenario('switchover', fault => \&switch_over) };

subtest 'the processes of PostgreSQL are killed' => sub {
    scenario('PostgreSQL killed', fault => sub {
            my ($primary) = @_;
            my @postgres = grep { LearnHub::Cluster::command_of($_) =~ /postgres/ } $primary->processes;
            kill KILL => @postgres;
            eventually(sub { !eval { $patroni->accepts_writes($primary) } }, 5);
            my $next;
            eventually(sub { ($next) = grep { eval { $patroni->accepts_writes($_) } } @{ $patroni->{members} } }, 60);
            return $next // die 'no primary';
    });
};

subtest 'the machine of the primary is lost' => sub { scenario('machine lost', %lost) };
subtest 'the primary is frozen' => sub { scenario('frozen', %frozen) };

subtest 'the network of the primary is cut' => sub {
    scenario('network cut', fault => sub { $_[0]->cut; return $_[1] }, repair => sub { $_[0]->heal });
};

# ---- PgBouncer before HAProxy before the primary ----

my (@pids, $owner);

sub start_program {
    my ($log, @command) = @_;
    $owner = $$;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        open STDOUT, '>', $log and open STDERR, '>&', \*STDOUT and exec @command or POSIX::_exit(127);
    }
    return push @pids, $pid;
}

END {
    if (@pids && $$ == $owner) {
        local $?;
        $_->stop for LearnHub::Server->started;
        kill KILL => @pids;
        waitpid $_, 0 for @pids;
    }
}

# Starts both with their recipes; returns the directive of a node.
sub start_pooler {
    my $directory = "$top/build/clusters";
    my $ini = "$directory/pgbouncer.ini";
    my $users = "$directory/userlist.txt";
    open my $out, '>', $users or die "$users: $!";
    print $out qq("learnhub" "secret"\n);
    close $out && chmod 0600, $users or die "$users: $!";
    my ($first, $second) = map { $_->address } @{ $patroni->{members} };
    my @changes = ([qr/^ +server db3 .*\n/m => ''], [qr/10\.0\.1\.1\b/ => $first], [qr/10\.0\.1\.2\b/ => $second]);
    my $cfg = LearnHub::Recipe->write_recipe("$directory/haproxy-postgres.cfg", 'haproxy-postgres.cfg', @changes);
    LearnHub::Recipe->write_recipe($ini, 'pgbouncer.ini', [qr{/etc/pgbouncer/userlist\.txt} => $users],
        [qr{/var/log/postgresql} => $directory], [qr{/run/postgresql} => $directory]);
    start_program("$directory/haproxy.log", '/usr/sbin/haproxy', '-db', '-f', $cfg);
    start_program("$directory/pgbouncer.log", '/usr/sbin/pgbouncer', $ini);
    my $conninfo = 'host=127.0.0.1 port=6432 dbname=learnhub user=learnhub';
    eventually(sub { LearnHub::Cluster->handle_of("$conninfo password=secret") }, 30) or die 'PgBouncer does not start';
    open my $more, '>>', "$directory/passfile" or die $!;
    print $more "127.0.0.1:6432:learnhub:learnhub:secret\n";
    close $more or die $!;
    return qq(DBDParams "$conninfo passfile=$directory/passfile connect_timeout=2 sslcert=/nonexistent )
        . qq(gssencmode=disable application_name=mod_learnhub"\n);
}

# HAProxy, PgBouncer and the module notice the new primary one after the other, each within about a second.
subtest 'PgBouncer and HAProxy' => sub {
    my %slow = (within => 8);
    my $pooled = second_httpd(start_pooler() . node_directives());
    $ledger->{nodes} = [$pooled->port];
    scenario('with PgBouncer: switchover', %slow, fault => \&switch_over);
    scenario('with PgBouncer: machine lost', %slow, %lost);
    scenario('with PgBouncer: frozen', %slow, %frozen);
    like($pooled->log_text, qr/LH0112: /, 'the module has detected the pooler');
};

done_testing;

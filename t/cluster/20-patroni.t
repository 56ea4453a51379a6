# SPDX-License-Identifier: Apache-2.0
# Three database servers under Patroni with an etcd on each, as conf/cluster configures them: the primary is changed by
# a switchover, its PostgreSQL is killed, and its machine or that of the synchronous standby, with the etcd that leads,
# is lost, frozen, or cut off the network, all under load. No acknowledged write is lost, and requests succeed within
# seconds after the promotion, or after the choice of the other standby.
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

# Runs a fault, and prints the times from the fault to the recovery, and from there to the first write. The recovery
# from a fault of the primary is a promotion. With standby => 1 the fault is one of the synchronous standby, and the
# recovery is the moment at which commits wait for the other standby. `fault` gets the machine of this server and that
# of the other one of the two, and returns the machine that is the primary then. `repair` of a machine that is lost gets
# the same two and is called afterwards. No request that begins `within` (3) seconds after the recovery fails.
sub scenario {
    my ($name, %with) = @_;
    my %role = $patroni->roles($patroni->{members}[0]);
    my ($victim, $other) = @role{ $with{standby} ? qw(sync_standby leader) : qw(leader sync_standby) };
    my $etcd = eventually(sub { $patroni->lead_etcd($victim) }, 30) // die 'etcd has no leader';
    my ($recovered, $within) = (undef, $with{within} // 3);
    my $run = $ledger->under_load(before => 2, after => 4, fault => sub {
            my ($mark) = @_;
            database()->disconnect;
            my $primary = $with{fault}->($victim, $other);
            eventually(sub { $patroni->accepts_writes($primary) }, 90) || die 'no promotion';
            my $chosen = sub { +{ $patroni->roles($primary) }->{sync_standby} // $victim };
            eventually(sub { $chosen->() != $victim }, 90) || die 'no other standby' if $with{standby};
            $recovered = time;
            my $elected = sub { $patroni->etcd_leader($primary) ne $etcd };
            ok(eventually($elected), "$name: another etcd leads") if $with{repair};
            sleep $within;
            $with{repair}->($victim, $other) if $with{repair};
    });
    $patroni->wait_until_complete;
    my ($write) = sort { $a <=> $b } map { $_->{end} }
        grep { $_->{write} && $_->{status} =~ /^2/ && $_->{start} > $recovered } $run->entries;
    my ($failed) = sort { $b <=> $a } $recovered, map { $_->{end} } $run->failed;
    consistent($run, $name, recovery => sprintf('%.1f s', $recovered - $run->at('fault')),
        write => sprintf('%.2f s later', ($write // 999) - $recovered),
        failure => sprintf '%.2f s later', $failed - $recovered);
    my @late = grep { $_->{start} > $recovered + $within } $run->failed;
    is_deeply([map {"$_->{kind} $_->{status}"} @late],
        [], "$name: none fails that begins $within s after the recovery");
    ok($write && $write - $recovered < $within + 1, "$name: writes succeed soon after the recovery");
    return $run;
}

sub switch_over {
    my ($primary, $standby) = @_;
    $patroni->patronictl("switchover --candidate $standby->{name} --force learnhub") or die 'no switchover';
    return $standby;
}

my %lost = (
    fault => sub { $_[0]->crash; return $_[1] },
    repair => sub { $patroni->start_etcd($_[0]); $patroni->start_patroni($_[0]) },
);
my %cut = (fault => sub { $_[0]->cut; return $_[1] }, repair => sub { $_[0]->heal });
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

subtest 'the machine of the primary is lost with its etcd' => sub { scenario('machine lost', %lost) };
subtest 'the primary is frozen' => sub { scenario('frozen', %frozen) };
subtest 'the network of the primary is cut' => sub { scenario('network cut', %cut) };

subtest 'the synchronous standby' => sub {
    scenario('standby lost', standby => 1, %lost);
    scenario('standby cut', standby => 1, %cut);
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
    my $cfg = LearnHub::Recipe->write_recipe("$directory/haproxy-postgres.cfg", 'haproxy-postgres.cfg');
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

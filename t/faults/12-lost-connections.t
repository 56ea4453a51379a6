# SPDX-License-Identifier: Apache-2.0
# Back ends of PostgreSQL terminated or killed, and a column that changes its type, under load: requests are repeated
# where that is safe.
use strict;
use warnings;

use LearnHub::Cluster;
use LearnHub::Ledger;
use LearnHub::Stream qw(fill);
use LearnHub::Test;
use Time::HiRes qw(sleep time);

expect_log(qr/LH0031: /, qr/LH0004: /, qr/LH0005: /, qr/SQLSTATE 57P0\d/, qr/\[dbd:error\]/);

my $node = second_httpd(node_directives("LearnHubConnectionWait 10s\n"));
my $ledger = ledger(nodes => [$node->port]);
my $cluster = LearnHub::Cluster->main;

# Terminates one back end of httpd each 50 ms; returns their number. SIGTERM is what pg_terminate_backend() sends; the
# schema's owner may not call that for another role.
sub terminate_some {
    my ($seconds) = @_;
    my ($end, $count) = (time + $seconds, 0);
    while (time < $end) {
        my @backends = $cluster->backends;
        $count += kill TERM => $backends[rand @backends] if @backends;
        sleep 0.05;
    }
    return $count;
}

subtest 'terminated PostgreSQL backends under load' => sub {
    my $terminated;
    my $run = $ledger->under_load(fault => sub { $terminated = terminate_some(long() ? 15 : 4) }, after => 0.5);
    consistent($run, 'terminated backends', terminated => $terminated);
    my $served = $run->entries - $run->failed;
    cmp_ok($terminated, '>', 20, 'more than 20 back ends are terminated');
    cmp_ok($served, '>', 50, 'more than 50 requests are served');
    is_deeply([map { $_->{kind} } $run->failed('reads')], [], 'no read fails');
    cmp_ok(scalar(my @failed = $run->failed), '<=', $terminated / 4, 'few writes fail');
};

# A list that is cut short has no status in the ledger.
subtest 'terminated PostgreSQL backends, reads only' => sub {
    my $spooled = sub { my ($l, $c) = @_; (GET => '/sessions/user/my-sessions', token => $c->{person}{token}) };
    my $reads = ledger(nodes => [$node->port], others => { spooled => $spooled },
        mix => [qw(streamed spooled session page spooled me credits problems)]);
    fill($_->{person}, 3, 30) for @{ $reads->{people} };
    my $terminated;
    my $run = $reads->under_load(fault => sub { $terminated = terminate_some(long() ? 15 : 4) }, after => 0.5);
    my $lists = $run->entries('spooled');
    consistent($run, 'terminated backends, reads', terminated => $terminated, 'long lists' => $lists);
    is_deeply([map { $_->{kind} } $run->failed], [], 'no request fails');
};

sub retype { return sql("ALTER TABLE learnhub.tutoring_sessions ALTER COLUMN description TYPE $_[0]") }

subtest 'a column that changes its type under load' => sub {
    my $change = sub {
        for (1 .. 5) {
            retype('varchar');
            sleep 0.15;
            retype('text');
            sleep 0.15;
        }
    };
    my $changing = ledger(nodes => [$node->port], mix => [qw(session create join leave page me)], clients => 6);
    my $run = $changing->under_load(fault => $change, after => 0.5);
    consistent($run, 'changed column type');
    my $served = $run->entries - $run->failed;
    cmp_ok($served, '>', 50, 'more than 50 requests are served');
    is_deeply([map { $_->{kind} } $run->failed], [], 'no request fails');
};

# The backends that wait for a table.
sub blocked {
    return map { $_->{pid} } sql('SELECT pid FROM pg_locks WHERE relation = ?::regclass AND NOT granted', $_[0]);
}

# With one connection in the pool, so that a repetition waits for a new one. A killed backend makes PostgreSQL recover.
subtest 'a killed PostgreSQL backend' => sub {
    my $single = second_httpd("DBDMax 1\nDBDKeep 1\nLearnHubConnectionWait 10s\n");
    my %with = (port => $single->port);
    my ($user, $teacher) = ($ledger->{people}[0]{person}, $ledger->{teacher});
    my %session = (title => unique('killed'), description => 'D', date => '2040-01-01T00:00:00Z',
        max_participants => 20);
    my %request = (read => sub { api_as($user, GET => "/api/sessions/$ledger->{session}/", %with) },
        write => sub { api_as($teacher, POST => '/api/sessions/', json => \%session, %with) });
    my $healthy = sub { api(GET => '/health', %with)->status == 200 };
    for my $case ([read => 200], [write => 503]) {
        my ($kind, $expected) = @$case;
        database()->begin_work;
        sql('LOCK TABLE learnhub.tutoring_sessions');
        my @done = parallel 2, sub {
            return $request{$kind}->()->status if $_[0] == 0;
            my $found = eventually(sub { my @one = blocked('learnhub.tutoring_sessions'); @one == 1 && \@one }, 4);
            return kill KILL => @{ $found || [] };
        };
        ok(eventually($healthy, 15), "/health returns 200 after the backend of a $kind was killed");
        database()->rollback if !database()->{AutoCommit};
        is_deeply(\@done, [$expected, 1], "a $kind whose backend was killed returns $expected");
    }
    is((sql('SELECT count(*) AS n FROM learnhub.tutoring_sessions WHERE title = ?', $session{title}))[0]{n}, 0,
        'the write of the killed backend is not stored');
    $single->stop;
};

done_testing;

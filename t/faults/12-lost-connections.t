# SPDX-License-Identifier: Apache-2.0
# Backends of PostgreSQL terminated or killed, and a column that changes its type, under load: requests are repeated
# where that is safe.
use strict;
use warnings;

use LearnHub::Cluster;
use LearnHub::Ledger;
use LearnHub::Stream qw(fill);
use LearnHub::Test;
use Time::HiRes qw(sleep time);

expect_outage();

my $node = second_httpd(node_directives("LearnHubConnectionWait 10s\n"));
my $ledger = ledger(nodes => [$node->port]);
my $cluster = LearnHub::Cluster->main;
$cluster->without_fsync;

# Terminates one backend of httpd each 50 ms, $times times; returns their number. SIGTERM is what pg_terminate_backend()
# sends; the schema's owner may not call that for another role.
sub terminate_some {
    my ($times) = @_;
    my $count = 0;
    for (1 .. $times) {
        my @backends = $cluster->backends;
        $count += kill TERM => $backends[rand @backends] if @backends;
        sleep 0.05;
    }
    return $count;
}

subtest 'terminated PostgreSQL backends under load' => sub {
    my $terminated;
    my $run = $ledger->under_load(fault => sub { $terminated = terminate_some(long() ? 260 : 70) }, after => 0.5);
    consistent($run, 'terminated backends', terminated => $terminated);
    my $served = $run->entries - $run->failed;
    cmp_ok($terminated, '>', 20, 'more than 20 backends are terminated');
    cmp_ok($served, '>', 50, 'more than 50 requests are served');
    is_deeply([map { $_->{kind} } $run->failed('reads')], [], 'no read fails');
    cmp_ok(scalar(my @failed = $run->failed), '<=', $terminated / 5, 'few writes fail');
};

# A list that is cut short has no status in the ledger.
subtest 'terminated PostgreSQL backends, reads only' => sub {
    my $spooled = sub { my ($l, $c) = @_; (GET => '/sessions/user/my-sessions', token => $c->{person}{token}) };
    my $reads = ledger(nodes => [$node->port], others => { spooled => $spooled },
        mix => [qw(streamed spooled session page spooled me credits problems)]);
    fill($_->{person}, 3, 30) for @{ $reads->{people} };
    my $terminated;
    my $run = $reads->under_load(fault => sub { $terminated = terminate_some(long() ? 260 : 70) }, after => 0.5);
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

# The backend that has locked the table, if any.
sub holder {
    my $holder = q(SELECT pid FROM pg_locks WHERE relation = ?::regclass AND mode = 'AccessExclusiveLock' AND granted);
    return map { $_->{pid} } sql($holder, 'learnhub.tutoring_sessions');
}

# A server with one connection, so that a repetition waits for a new one, and requests that need the table of sessions.
sub single {
    my ($title) = @_;
    my $single = second_httpd("DBDMax 1\nDBDKeep 1\nLearnHubConnectionWait 20s\nLearnHubStatementTimeout 20s\n");
    my %with = (port => $single->port);
    my %session = (title => $title, description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 20);
    my $user = $ledger->{people}[0]{person};
    return ($single, read => sub { api_as($user, GET => "/api/sessions/$ledger->{session}/", %with) },
        write => sub { api_as($ledger->{teacher}, POST => '/api/sessions/', json => \%session, %with) });
}

sub stored {
    my ($title) = @_;
    return (sql('SELECT count(*) AS n FROM learnhub.tutoring_sessions WHERE title = ?', $title))[0]{n};
}

# Sends a request while another process holds a lock, and a signal to its backend. Then the lock is released, if that
# process is still connected. Returns the status of the response and the number of signals.
sub with_signal {
    my ($signal, $request) = @_;
    my $table = 'learnhub.tutoring_sessions';
    return parallel 2, sub {
        if ($_[0] == 0) {
            eventually(sub { holder() });
            return $request->()->status;
        }
        database()->begin_work;
        sql("LOCK TABLE $table");
        my $first = eventually(sub { (blocked($table))[0] });
        my $sent = kill $signal => $first // ();
        return $sent if $signal eq 'KILL';
        eventually(sub { grep { $_ != $first } blocked($table) });
        database()->rollback;
        return $sent;
    };
}

# PostgreSQL reports 57P01: nothing was committed.
subtest 'a terminated PostgreSQL backend' => sub {
    my $title = unique('terminated');
    my ($single, %request) = single($title);
    is_deeply([with_signal('TERM', $request{read})], [200, 1], 'a read whose backend was terminated is repeated');
    is_deeply([with_signal('TERM', $request{write})], [201, 1], 'a write whose backend was terminated is repeated');
    is(stored($title), 1, 'the write is stored once');
    $single->stop;
};

# PostgreSQL closes all connections and recovers. The outcome of the write is unknown.
subtest 'a killed PostgreSQL backend' => sub {
    my $title = unique('killed');
    my ($single, %request) = single($title);
    for my $case ([read => 200], [write => 503]) {
        my ($kind, $expected) = @$case;
        my @done = with_signal('KILL', $request{$kind});
        ok(eventually(sub { api(GET => '/health', port => $single->port)->status == 200 }, 20),
            "/health returns 200 after the backend of a $kind was killed");
        is_deeply(\@done, [$expected, 1], "a $kind whose backend was killed returns $expected");
    }
    is(stored($title), 0, 'the write of the killed backend is not stored');
    $single->stop;
};

done_testing;

# SPDX-License-Identifier: Apache-2.0
# Faults: graceful restarts; PostgreSQL restarted, stopped, hung, with terminated backends or a changed column; locked
# rows, an exhausted pool, slow clients. Writes that returned success are stored once, and the module recovers without
# intervention.
use strict;
use warnings;

use LearnHub::Test;
use Time::HiRes qw(sleep time);

expect_log(qr/LH0031: /, qr/LH0004: /, qr/LH0005: /,
    qr/SQLSTATE (57P0\d|57014)/, qr/\[dbd:error\]/);

my $teacher = signup(role => 'instructor');
my @users = map { signup() } 1 .. 6;
my %fields = (description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 20);

sub create {
    my ($title, %with) = @_;
    return api_as($teacher, POST => '/api/sessions/', json => { title => $title, %fields }, %with);
}

my $session = create('load')->json->{id};

# Sends a request: read, create, join or leave.
sub request {
    my ($action, $user, $title, %with) = @_;
    return create($title, %with) if $action eq 'create';
    return api_as($user, GET => "/api/sessions/$session/", %with) if $action eq 'read';
    return api_as($user, POST => "/api/sessions/$session/$action/", %with);
}

# The requests of client $i until $end, as {action, at, title, status, json, retry}; status 0: no response. The user
# agent reconnects if httpd closed the connection between two requests.
sub client_load {
    my ($i, $end) = @_;
    my $stem = unique('load');
    my @results;
    for (my $n = 0; time < $end; $n++) {
        my ($action, $title) = (qw(read create join leave) [$n % 4], "$stem-$i-$n");
        my $reply = request($action, $users[$i], $title);
        my $lost = ($reply->header('Client-Warning') // '') =~ /Internal/;
        push @results, { action => $action, at => time, title => $title, status => $lost ? 0 : $reply->status,
            json => $reply->is_json ? 1 : 0, retry => $reply->header('Retry-After') };
    }
    return \@results;
}

# The results of six clients during some seconds, and {action => 'fault', at => the end of $fault}, which a seventh
# process runs after 0.4 seconds.
sub under_load {
    my ($seconds, $fault) = @_;
    my $end = time + $seconds;
    my @lists = parallel 7, sub {
        my ($i) = @_;
        return client_load($i, $end) if $i < 6;
        sleep 0.4;
        $fault->();
        return [{ action => 'fault', at => time }];
    };
    return map {@$_} @lists;
}

sub count { my ($test, @results) = @_; return scalar grep { $test->($_) } @results }

# survives($name, $most, under_load(...)): failures are 503 in JSON with Retry-After or lost connections, at most $most;
# undef: any number, but none later than 3 seconds after the fault. Every successful creation is stored once.
sub survives {
    my ($name, $most, @all) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($fault) = grep { $_->{action} eq 'fault' } @all;
    my @results = grep { $_->{action} ne 'fault' } @all;
    my @other = grep { $_->{status} !~ /^(200|201|400|503)$/ && $_->{status} } @results;
    my @failed = grep { $_->{status} == 503 || !$_->{status} } @results;
    cmp_ok(scalar(@results) - @failed, '>', 50, "$name: more than 50 requests were served");
    is_deeply([map {"$_->{action} $_->{status}"} @other], [], "$name: responses are 200, 201, 400 or 503");
    is(count(sub { $_[0]{status} == 503 && !($_[0]{json} && $_[0]{retry}) }, @results), 0,
        "$name: every 503 is JSON with Retry-After");
    my @counted = defined $most ? @failed : grep { $_->{at} > $fault->{at} + 3 } @failed;
    my $limit = 'no request fails later than 3 seconds after the fault';
    $limit = "at most $most of " . @results . ' requests fail' if defined $most;
    cmp_ok(scalar @counted, '<=', $most // 0, "$name: $limit")
        || diag(join ', ', map {"$_->{action} $_->{status}"} @counted);
    my $titles = 'SELECT title, count(*) AS n FROM learnhub.tutoring_sessions GROUP BY title';
    my %stored = map { $_->{title} => $_->{n} } sql($titles);
    my @created = grep { $_->{action} eq 'create' } @results;
    is(count(sub { $_[0]{status} == 201 && ($stored{ $_[0]{title} } // 0) != 1 }, @created), 0,
        "$name: each 201 is stored once");
    is(count(sub { ($stored{ $_[0]{title} } // 0) > 1 }, @created), 0, "$name: no session is stored twice");
    my ($row) = sql('SELECT participant_count AS stored, (SELECT count(*) FROM learnhub.tutoring_participants
        WHERE session_id = s.id) AS counted FROM learnhub.tutoring_sessions s WHERE id = ?', $session);
    is($row->{stored}, $row->{counted}, "$name: participant_count equals the number of participants");
    return;
}

sub health_status { my (%with) = @_; return api(GET => '/health', %with)->status }
sub recovers { my ($seconds, %with) = @_; return eventually(sub { health_status(%with) == 200 }, $seconds) }

# SIGTERM is what pg_terminate_backend() sends; the schema's owner may not call that for another role.
sub backends {
    return map { $_->{pid} } sql(q(SELECT pid FROM pg_stat_activity WHERE application_name = 'mod_learnhub'));
}

sub retype { return sql("ALTER TABLE learnhub.tutoring_sessions ALTER COLUMN description TYPE $_[0]") }

# ---- faults under load ----

subtest 'two graceful restarts of httpd under load' => sub {
    survives('graceful restart', 12, under_load(4, sub { restart_httpd('graceful') for 1, 2 }));
};

subtest 'immediate restart of PostgreSQL under load' => sub {
    survives('restart of PostgreSQL', undef, under_load(6, sub { pg('stop', '-m', 'immediate'); pg('start') }));
    ok(recovers(15), '/health returns 200 after a restart of PostgreSQL');
};

subtest 'terminated PostgreSQL backends under load' => sub {
    my $terminate = sub {
        my $terminated = 0;
        for (1 .. 8) {
            $terminated += kill TERM => backends();
            sleep 0.2;
        }
        $terminated >= 8 or die "only $terminated backends were terminated";
    };
    survives('terminated backends', 12, under_load(4, $terminate));
};

subtest 'a column that changes its type under load' => sub {
    my $change = sub {
        for (1 .. 5) {
            retype('varchar');
            sleep 0.15;
            retype('text');
            sleep 0.15;
        }
    };
    survives('changed column type', 0, under_load(3, $change));
};

# ---- faults without load ----

subtest 'stopped PostgreSQL' => sub {
    pg('stop', '-m', 'fast');
    my $down = eventually(sub { my $reply = create('down'); $reply->status == 503 && $reply }, 15);
    is_error($down, 'flat', 503, 'a request without a database returns 503 in the flat format');
    like($down->header('Retry-After'), qr/^\d+$/, 'the 503 without a database has Retry-After');
    my $health = api(GET => '/health');
    is_deeply([$health->status, @{ $health->json }{qw(status database)}], [503, 'unhealthy', 'unreachable'],
        '/health reports an unreachable database');
    ok(eventually(sub { my $start = time; create('down'); time - $start < 1 }, 20),
        'during a lasting outage requests fail in less than a second');
    my $early = second_httpd('');
    is(health_status(port => $early->port), 503, 'an httpd started without a database returns 503');
    pg('start');
    ok(recovers(15), '/health returns 200 after PostgreSQL has started again');
    ok(recovers(15, port => $early->port), '/health of an httpd started without a database returns 200 as well');
    is(create(unique('after'))->status, 201, 'writes succeed after PostgreSQL has started again');
    $early->stop;
};

subtest 'virtual hosts with a pool of one connection' => sub {
    my $hosts = second_httpd(<<'CONF');
DBDMax 1
DBDKeep 1
<VirtualHost *>
    ServerName a.example
    LearnHubCORS *
</VirtualHost>
<VirtualHost *>
    ServerName b.example
    LearnHubMaxBody 2000
</VirtualHost>
CONF
    for my $case (['a.example', 'first'], ['b.example', 'first'], ['a.example', 'second']) {
        my ($name, $time) = @$case;
        is(health_status(port => $hosts->port, headers => { Host => $name }), 200, "$name serves its $time request");
    }
};

my $short = second_httpd("LearnHubStatementTimeout 500ms\nLearnHubConnectionWait 300ms\nDBDMax 1\nDBDKeep 1\n");
my %short = (port => $short->port);

subtest 'a locked row and an exhausted pool' => sub {
    is(health_status(%short), 200, 'a server with one connection serves requests');
    database()->begin_work;
    sql('SELECT id FROM learnhub.tutoring_sessions WHERE id = ? FOR UPDATE', $session);
    my $start = time;
    my @waiting = parallel 4, sub { api_as($users[$_[0]], POST => "/api/sessions/$session/join/", %short) };
    cmp_ok(time - $start, '<', 10, 'four requests for a locked row finish within 10 seconds');
    is_deeply([map { $_->{status} } @waiting], [(503) x 4], 'four requests for a locked row return 503');
    is($waiting[$_]{json}{error} =~ /\S/ ? 1 : 0, 1, "the 503 of request $_ for a locked row has a message") for 0 .. 3;
    database()->rollback;
    ok(recovers(10, %short), '/health returns 200 after the lock is released');
};

subtest 'hung PostgreSQL' => sub {
    open my $file, '<', "$top/build/run/pg/postmaster.pid" or die $!;
    chomp(my $postmaster = <$file>);
    my @processes = ($postmaster, backends());
    kill STOP => @processes;
    my $start = time;
    my @waiting = parallel 4, sub { api_as($users[$_[0]], GET => "/api/sessions/$session/", %short) };
    kill CONT => @processes;
    cmp_ok(time - $start, '<', 10, 'four requests to a hung database finish within 10 seconds');
    is_deeply([map { $_->{status} } @waiting], [(503) x 4], 'four requests to a hung database return 503');
    ok(recovers(15, %short), '/health returns 200 after PostgreSQL continues');
};

# The backends that wait for a table.
sub blocked {
    return map { $_->{pid} } sql('SELECT pid FROM pg_locks WHERE relation = ?::regclass AND NOT granted', $_[0]);
}

# The module leaves one connection of DBDMax to other modules.
subtest 'the number of connections' => sub {
    my $four = second_httpd("DBDMax 4\nDBDKeep 4\nServerLimit 1\nStartServers 1\nMaxRequestWorkers 32\n"
            . "MaxSpareThreads 32\nLearnHubConnectionWait 1s\n");
    database()->begin_work;
    sql('LOCK TABLE learnhub.tutoring_sessions');
    my @done = parallel 6, sub {
        return create('number', port => $four->port)->status if $_[0] < 5;
        return eventually(sub { blocked('learnhub.tutoring_sessions') == 3 }, 5) ? 3 : 0;
    };
    database()->rollback;
    is_deeply(\@done, [(503) x 5, 3], 'with DBDMax 4, three requests use a connection each');
    ok(recovers(10, port => $four->port), '/health returns 200 after the lock is released');
    $four->stop;
};

# With one connection in the pool, so that a repetition waits for a new one. A killed backend makes PostgreSQL recover.
subtest 'a killed PostgreSQL backend' => sub {
    my $single = second_httpd("DBDMax 1\nDBDKeep 1\nLearnHubConnectionWait 10s\n");
    my $title = unique('killed');
    my %request = (read => sub { api_as($users[0], GET => "/api/sessions/$session/", @_) },
        write => sub { create($title, @_) });
    for my $case ([read => 200], [write => 503]) {
        my ($kind, $expected) = @$case;
        database()->begin_work;
        sql('LOCK TABLE learnhub.tutoring_sessions');
        my @done = parallel 2, sub {
            return $request{$kind}->(port => $single->port)->status if $_[0] == 0;
            my $found = eventually(sub { my @one = blocked('learnhub.tutoring_sessions'); @one == 1 && \@one }, 4);
            return kill KILL => @{ $found || [] };
        };
        ok(recovers(15, port => $single->port), "/health returns 200 after the backend of a $kind was killed");
        database()->rollback if !database()->{AutoCommit};
        is_deeply(\@done, [$expected, 1], "a $kind whose backend was killed returns $expected");
    }
    is((sql('SELECT count(*) AS n FROM learnhub.tutoring_sessions WHERE title = ?', $title))[0]{n}, 0,
        'the write of the killed backend is not stored');
    $single->stop;
};

sub send_bytes {
    my ($bytes) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $short->port) or die $@;
    syswrite $socket, $bytes;
    return $socket;
}

subtest 'slow clients' => sub {
    sql("INSERT INTO learnhub.tutoring_sessions (title, description, starts_at, max_participants, creator_id)
        SELECT 'wide', repeat('x', 20000), now() + interval '1 day', 2, ? FROM generate_series(1, 100)",
        user($teacher->{email})->{id});
    my $headers = "Host: x\r\nAuthorization: Bearer $teacher->{token}\r\n";
    my $list = "GET /api/sessions/?page_size=100 HTTP/1.1\r\n$headers\r\n";
    my $part = "POST /api/sessions/ HTTP/1.1\r\n${headers}Content-Length: 500\r\n\r\n{\"title\":";
    my @clients = ((map { send_bytes($list) } 1 .. 6), map { send_bytes($part) } 1 .. 6);
    sleep 1;
    is(api_as($users[0], GET => "/api/sessions/$session/", %short)->status, 200,
        'six clients that do not read and six that do not finish sending leave the only connection to others');
    close $_ for @clients;
};

done_testing;

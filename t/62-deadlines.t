# SPDX-License-Identifier: Apache-2.0
# One deadline for all that a request does in the database, Retry-After, and what a lasting outage writes into the logs.
use strict;
use warnings;

use LearnHub::Account;
use LearnHub::Test;
use POSIX ();
use Time::HiRes qw(sleep time);

expect_log(qr/LH0031: /, qr/LH000[34]: /, qr/\[dbd:error\]/);

my $log = "$top/t/logs/deadlines-$$.log";

# One process, so that its log lines can be counted, with a pool of its own. Reading the revocations is part of each
# request with a token, because the interval is 0.
sub server {
    my ($size, $directives) = @_;
    return second_httpd(<<"CONF");
ServerLimit 1
StartServers 1
MaxRequestWorkers 32
LogFormat "%s %{learnhub-route}n %{learnhub-db-us}n" deadlines
CustomLog "$log" deadlines
DBDMax $size
DBDKeep $size
DBDParams "$ENV{LEARNHUB_OWNER} connect_timeout=2 application_name=deadlines"
LearnHubRevocationInterval 0
LearnHubCache 0
$directives
CONF
}

my $teacher = signup(role => 'instructor');
my ($login, $password) = @$teacher{qw(email password)};
my $session = api_as($teacher, POST => '/api/sessions/', json => { title => unique('late'), description => 'D',
        date => '2040-01-01T00:00:00Z', max_participants => 5 })->json->{id};
my $problem = api_as($teacher, POST => '/problems/', json => { title => unique('late'), description => 'D',
        difficulty => 'easy' })->json->{problem}{id};
my $practice = api_as($teacher, POST => '/sessions/', json => { problem_id => $problem })->json->{id};

# An opaque token that the server has not met, so that it is looked up.
sub opaque { return 'Token ' . (token_login($login, $password)->json->{auth_token} // '') }

sub auto_save {
    my ($user, %with) = @_;
    return api_as($user, PUT => "/sessions/$practice/autosave", %with,
        json => { diagram_data => { n => unique() }, time_spent => 1 });
}

# name => a sub that sends the request: ($opaque, %with).
my %request = (
    'a read' => sub { api_as($teacher, GET => "/api/sessions/$session/", @_[1 .. $#_]) },
    'a read with an opaque token' => sub { api_as(shift, GET => "/api/sessions/$session/", @_) },
    'an auto-save' => sub { auto_save($teacher, @_[1 .. $#_]) },
    'an auto-save with an opaque token' => sub { auto_save(@_) },
    'a log-in' => sub { log_in($login, $password, @_[1 .. $#_]) },
    'a batch' => sub { api(GET => "/problems/$problem", @_[1 .. $#_]) },
    'a list' => sub { api(GET => '/problems/', @_[1 .. $#_]) },
    'a stream' => sub { api_as($teacher, GET => '/sessions/user/my-sessions', @_[1 .. $#_]) },
    'a guard' => sub { api_as($teacher, PATCH => "/api/sessions/$session/", json => { title => 'Late' },
            headers => { 'If-Match' => '*' }, @_[1 .. $#_]) },
    '/health' => sub { api(GET => '/health', @_[1 .. $#_]) },
);
my @names = sort keys %request;

# Sends all requests at once. Returns {name => {status, retry, seconds}}.
sub send_all {
    my ($opaque, %with) = @_;
    my @results = parallel scalar @names, sub {
        my $began = time;
        my $reply = $request{ $names[$_[0]] }->($opaque->{ $names[$_[0]] }, %with);
        return { status => $reply->status, retry => $reply->header('Retry-After'), seconds => time - $began };
    };
    return { map { $names[$_] => $results[$_] } 0 .. $#names };
}

sub tokens { return { map { $_ => /opaque/ ? opaque() : undef } @names } }

sub column { my ($results, $key) = @_; return { map { $_ => $results->{$_}{$key} } @names } }
sub all { my ($value) = @_; return { map { $_ => $value } @names } }

# All requests failed with 503 and Retry-After.
sub all_unavailable {
    my ($name, $results) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply(column($results, 'status'), all(503), "$name: each request returns 503");
    is_deeply(column($results, 'retry'), all(1), "$name: each 503 has Retry-After");
    return;
}

sub longest { my ($results) = @_; return (sort { $b <=> $a } map { $_->{seconds} } values %$results)[0] }

sub all_served {
    my (%with) = @_;
    return eventually(sub { !grep { $_->{status} != 200 } values %{ send_all(tokens(), %with) } }, 20);
}

sub backends { return map { $_->{pid} } sql(q(SELECT pid FROM pg_stat_activity WHERE application_name = 'deadlines')) }

# Opens all connections of a server's pool.
sub warm_up {
    my ($server, $size) = @_;
    return eventually(sub {
            all_served(port => $server->port);
            return backends() == $size;
    }, 20);
}

# The microseconds with the database of each request since the last call: ["status route us", ...].
my $log_at = 0;

sub logged {
    my ($count) = @_;
    my @lines;
    eventually(sub {
            open my $in, '<', $log or return 0;
            seek $in, $log_at, 0;
            @lines = map { [split] } <$in>;
            return @lines >= $count;
    });
    return @lines;
}

# Runs a sub while another process sends GET / to the tests' own server, which needs no database. Returns what the
# delays of the machine may add to a time, twice the longest of GET /, and the result of the sub.
sub with_noise {
    my ($work) = @_;
    my ($longest, $parent) = (0, $$);
    my $pid = open(my $from, '-|') // die "fork: $!";
    if (!$pid) {
        my $ended = 0;
        local $SIG{TERM} = sub { $ended = 1 };
        while (!$ended && getppid == $parent) {
            my $began = time;
            api(GET => '/');
            $longest = time - $began if time - $began > $longest;
            sleep 0.02;
        }
        syswrite STDOUT, $longest;
        POSIX::_exit(0);
    }
    my $result = $work->();
    kill TERM => $pid;
    $longest = <$from> // 0;
    waitpid $pid, 0;
    return (2 * $longest, $result);
}

sub skip_log { $log_at = -s $log || 0; return }

# ---- the deadline ----

my $server = server(3, "LearnHubConnectionWait 300ms\nLearnHubStatementTimeout 2s\n");
my %to = (port => $server->port);

subtest 'A frozen PostgreSQL' => sub {
    ok(warm_up($server, 3), 'the server has three connections');
    my $tokens = tokens();
    open my $file, '<', "$top/build/run/pg/postmaster.pid" or die $!;
    chomp(my $postmaster = <$file>);
    my @processes = ($postmaster, backends());
    kill STOP => @processes;
    my ($noise, $results) = with_noise(sub { eval { send_all($tokens, %to) } });
    kill CONT => @processes;
    all_unavailable('frozen', $results);
    cmp_ok(longest($results), '<', 0.3 + 2 + 0.5 + 1 + $noise, 'no request takes longer than both times together')
        || diag(explain(column($results, 'seconds')));
    ok(all_served(%to), 'all requests are served when PostgreSQL continues');
};

# Statements on these tables and the revocations of this server take $seconds each.
sub slow {
    my ($seconds) = @_;
    my $sleep = "IF current_setting('application_name') = 'deadlines' THEN PERFORM pg_sleep($seconds); END IF;";
    sql("CREATE OR REPLACE FUNCTION learnhub.test_slow() RETURNS trigger LANGUAGE plpgsql
        AS \$\$ BEGIN $sleep RETURN NULL; END \$\$");
    sql("CREATE TRIGGER test_slow BEFORE UPDATE ON learnhub.$_ EXECUTE FUNCTION learnhub.test_slow()")
        for qw(logins practice_sessions);
    return;
}

subtest 'Statements that are slow together' => sub {
    my $opaque = opaque();
    is(auto_save($opaque, %to)->status, 200, 'an auto-save is served');
    my @stored = sql('SELECT diagram_data::text AS d FROM learnhub.practice_sessions');
    $opaque = opaque();
    slow(1.2);
    my $began = time;
    my ($noise, $reply) = with_noise(sub { auto_save($opaque, %to) });
    my $seconds = time - $began;
    is_error($reply, 'located', 503, 'an auto-save whose statements take longer together returns 503');
    is($reply->header('Retry-After'), 1, 'with Retry-After');
    cmp_ok($seconds, '<', 0.3 + 2 + 0.5 + 1 + $noise, 'within both times together');
    sql("DROP TRIGGER test_slow ON learnhub.$_") for qw(logins practice_sessions);
    sql('DROP FUNCTION learnhub.test_slow()');
    my @now = sql('SELECT diagram_data::text AS d FROM learnhub.practice_sessions');
    is_deeply(\@now, \@stored, 'it has stored nothing');
    is(auto_save($opaque, %to)->status, 200, 'it is served without the delay');
};

$server->stop;
$server = server(2, "LearnHubConnectionWait 2s\nLearnHubStatementTimeout 20s\n");
%to = (port => $server->port);

# The locks of a table, by the other processes of this test.
sub locks {
    my ($which) = @_;
    return () = sql("SELECT 1 FROM pg_locks
        WHERE relation = 'learnhub.mentor_profiles'::regclass AND mode = ANY (?) AND $which",
        $which eq 'granted' ? ['AccessExclusiveLock'] : ['AccessShareLock']);
}

subtest 'An exhausted pool' => sub {
    ok(warm_up($server, 2), 'the server has two connections');
    my $tokens = tokens();
    skip_log();
    my @holders = parallel 3, sub {
        if ($_[0] < 2) {
            eventually(sub { locks('granted') == 1 });
            return api_as($teacher, GET => '/mentor/', %to)->status;
        }
        database()->begin_work;
        sql('LOCK TABLE learnhub.mentor_profiles');
        eventually(sub { locks('NOT granted') == 2 }) or die 'the pool is not exhausted';
        my @found = with_noise(sub { send_all($tokens, %to) });
        database()->rollback;
        return \@found;
    };
    my ($noise, $results) = @{ $holders[2] };
    all_unavailable('exhausted', $results);
    is_deeply([@holders[0, 1]], [200, 200], 'the statements that held the connections succeed');
    my @lines = grep { $_->[0] == 503 } logged(@names + 2);
    is(scalar @lines, scalar @names, 'each 503 is in the access log');
    my @waits = sort { $a <=> $b } map { $_->[2] / 1e6 } @lines;
    cmp_ok($waits[0], '>', 1, 'learnhub-db-us has the wait of each');
    cmp_ok($waits[-1], '<', 3 + $noise, 'all waits of a request together take LearnHubConnectionWait')
        || diag("@waits");
    ok(all_served(%to), 'all requests are served afterwards');
};

$server->stop;

# ---- 503 without a fault of the database ----

subtest 'Retry-After of other 503' => sub {
    chomp(my $folder = `apxs -q libexecdir`);
    $server = server(3, "LearnHubConnectionWait 50ms\nLearnHubBcryptCost 13\n"
            . "LoadModule rewrite_module \"$folder/mod_rewrite.so\"\nRewriteEngine On\n"
            . "RewriteRule ^/problems/elsewhere - [R=503,L]\n");
    %to = (port => $server->port);
    my $elsewhere = api(GET => '/problems/elsewhere', %to);
    is_error($elsewhere, 'located', 503, 'another module returns 503');
    is($elsewhere->header('Retry-After'), 1, 'its 503 has Retry-After');
    my @replies = parallel 8, sub {
        my %user = (first_name => 'A', last_name => 'B', password => 'a good one');
        return api(POST => '/users/signup', %to, json => { %user, email => unique('many') . '@example.com' });
    };
    my @busy = grep { $_->{status} == 503 } @replies;
    cmp_ok(scalar @busy, '>', 0, 'too many sign-ups at once: some return 503');
    is_deeply([map { $_->{retry} } @busy], [(1) x @busy], 'each has Retry-After');
    $server->stop;
};

# ---- logs ----

$server = server(3, "LearnHubConnectionWait 300ms\nLearnHubStatementTimeout 1s\n");
%to = (port => $server->port);

# The number of failures that the lines of the kinds LH0003 to LH0006, LH0105 and LH0106 stand for, and that of lines.
sub failures_in {
    my ($text) = @_;
    my ($failures, $lines) = (0, 0);
    for my $line (grep {/LH(?:000[3-6]|010[568]): /} split /\n/, $text) {
        my $rest = $line =~ /LH0108: (\d+) more of LH\d+$/ ? $1 : undef;
        $failures += $rest // 1 + ($line =~ / \(and (\d+) more\)$/ ? $1 : 0);
        $lines++;
    }
    return ($failures, $lines);
}

subtest 'A lasting outage is logged once a second, with the number of failures' => sub {
    ok(warm_up($server, 3), 'the server has three connections');
    skip_log();
    pg('stop', '-m', 'fast');
    my $began = time;
    parallel 4, sub {
        for (1 .. 60) {
            api(GET => "/problems/$problem", %to);
            sleep 0.01;
        }
        return 1;
    };
    my $seconds = time - $began;
    like($server->log_text, qr/LH0031: .*LH0105: \S+: the database is unavailable/s, 'the outage is logged');
    my $requests = grep { $_->[0] == 503 } logged(240);
    cmp_ok($requests, '>', 200, 'most of 240 requests returned 503');
    ok(eventually(sub { (failures_in($server->log_text))[0] == $requests }, 20), 'the log has the number of them')
        || diag(join ' ', $requests, failures_in($server->log_text));
    my ($failures, $lines) = failures_in($server->log_text);
    cmp_ok($lines, '<', 3 * ($seconds + 2), "at most one line a second of three kinds, not $requests");
    pg('start');
    ok(all_served(%to), 'all requests are served afterwards');
};

subtest 'Defects are logged one by one' => sub {
    sql('ALTER TABLE learnhub.mentor_profiles RENAME TO test_renamed');
    my $before = () = $server->log_text =~ /LH0003: /g;
    my @statuses = map { api_as($teacher, GET => '/mentor/', %to)->status } 1 .. 5;
    is_deeply(\@statuses, [(500) x 5], 'five requests return 500');
    sql('ALTER TABLE learnhub.test_renamed RENAME TO mentor_profiles');
    my $after = () = $server->log_text =~ /:error\].*LH0003: \S+: SQLSTATE 42P01: /g;
    is($after - $before, 5, 'each has a line');
};

subtest 'A job whose statement takes too long' => sub {
    expect_log(qr/LH0020: job accounts\.erase fails: /);
    my ($definition) = map { $_->{d} } sql(q(SELECT pg_get_functiondef('learnhub.erase_accounts'::regproc) AS d));
    sql('CREATE SEQUENCE learnhub.test_runs');
    sql(<<'SQL');
CREATE OR REPLACE FUNCTION learnhub.erase_accounts() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('application_name') = 'deadlines' THEN
        PERFORM nextval('learnhub.test_runs'), pg_sleep(3);
    END IF;
    RETURN 0;
END
$$
SQL
    my $runs = sub { (sql('SELECT last_value AS n FROM learnhub.test_runs'))[0]{n} };
    my $logged = sub { my ($line) = @_; return scalar(() = $server->log_text =~ /$line/g) };
    ok(eventually(sub { $runs->() >= 3 }, 30), 'the job is repeated');
    my $failure = qr/:warn\].*LH0020: job accounts\.erase fails: SQLSTATE 57014/;
    is($logged->($failure), 1, 'it is logged once');
    sql($definition);
    sql('DROP SEQUENCE learnhub.test_runs');
    ok(eventually(sub { $logged->(qr/:notice\].*LH0107: job accounts\.erase works again/) }, 15), 'its end is logged');
};

done_testing;

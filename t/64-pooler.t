# SPDX-License-Identifier: Apache-2.0
# PgBouncer between httpd and PostgreSQL: several clients call every route through three connections that change owners
# with each transaction; session mode; cancel requests. Other clients of the pooler see no setting of the module.
use strict;
use warnings;

use File::Path qw(make_path remove_tree);
use LearnHub::Cases;
use LearnHub::Routes;
use LearnHub::Test;
use Time::HiRes qw(sleep time);

expect_log(qr/LH0004: /, qr/SQLSTATE 57014/);

my $files = "$top/build/pooler";
my ($cluster) = $ENV{LEARNHUB_OWNER} =~ /host=(\S+)/;
my @pids;

# ---- the pooler ----

sub spew {
    my ($file, @lines) = @_;
    open my $out, '>', $file or die $!;
    print $out map {"$_\n"} @lines;
    close $out or die $!;
    return $file;
}

# Starts PgBouncer in a mode and returns the connection string. Its socket is abstract: a path could be too long.
sub pooler {
    my ($mode, $size) = @_;
    my $socket = "\@learnhub-pooler-$$-$mode";
    my $ini = spew("$files/$mode.ini", '[databases]',
        "learnhub = host=$cluster port=5432 dbname=learnhub user=learnhub application_name=pooled-$mode",
        '[pgbouncer]', 'listen_addr =', 'listen_port = 6432', "unix_socket_dir = $socket", 'auth_type = any',
        "pool_mode = $mode", "default_pool_size = $size", 'max_client_conn = 200', 'server_tls_sslmode = disable',
        "logfile = $files/$mode.log", "pidfile = $files/$mode.pid", 'admin_users = admin');
    my $pid = fork // die $!;
    if (!$pid) {
        open STDOUT, '>', "$files/$mode.out" or die $!;
        open STDERR, '>&', \*STDOUT or die $!;
        exec '/usr/sbin/pgbouncer', $ini or POSIX::_exit(127);
    }
    push @pids, $pid;
    my $conninfo = "host=$socket port=6432 user=learnhub dbname=learnhub sslmode=disable gssencmode=disable";
    eventually(sub { connect_to($conninfo) }) or die "PgBouncer did not start; see $files/$mode.log\n";
    return $conninfo;
}

sub connect_to {
    my ($conninfo) = @_;
    return DBI->connect('dbi:Pg:' . join(';', split ' ', $conninfo), '', '',
        { RaiseError => 1, PrintError => 0, PrintWarn => 0, AutoInactiveDestroy => 1, pg_server_prepare => 0 });
}

sub server {
    my ($conninfo, $more) = @_;
    return second_httpd(qq(DBDParams "$conninfo connect_timeout=2 application_name=mod_learnhub"\n$more\n));
}

my $owner = $$;

END {
    if ($$ == $owner) {
        my $status = $?;
        $_->stop for LearnHub::Server->started;
        kill(INT => $_), waitpid $_, 0 for @pids;
        $? = $status;
    }
}

# ---- clients ----

my @routes = @{ LearnHub::Routes::table()->{routes} };

# Calls every third route, from number $i on, with a valid request: ["route status", ...] of those that fail.
sub call_routes {
    my ($i) = @_;
    create_callers();
    my @failed;
    for my $route (map { $routes[$_] } grep { $_ % 3 == $i } 0 .. $#routes) {
        my ($id, %with) = case_of($route);
        my $reply = api($route->{method} => path_of($route, $id), %with);
        push @failed, "$route->{name} " . $reply->status if $reply->status !~ /^[23]/;
    }
    return \@failed;
}

# Three clients call all routes, and six users want the two seats of a session: nothing fails, and the seats are sold
# once.
sub serves_everything {
    is_deeply([parallel 3, sub { call_routes($_[0]) }], [[], [], []], 'three clients call all routes and get no error');
    my %session = (title => 'T', description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 2);
    my $id = api_as(signup(role => 'instructor'), POST => '/api/sessions/', json => {%session})->json->{id};
    my @users = map { signup() } 1 .. 6;
    my @joined = sort map {$_} parallel 6, sub { api_as($users[$_[0]], POST => "/api/sessions/$id/join/")->status };
    is("@joined", '201 201 400 400 400 400', 'two of six users get a seat');
    my $seats = 'SELECT count(*) AS n FROM learnhub.tutoring_participants WHERE session_id = ?';
    is((sql($seats, $id))[0]{n}, 2, 'two seats are sold');
    return;
}

# Writes and reads of four clients: each acknowledged problem is stored once.
sub keeps_a_ledger {
    my @users = map { signup() } 0 .. 3;
    my @lists = parallel 4, sub {
        my ($i) = @_;
        my @created;
        for (1 .. 10) {
            my $problem = { title => unique("ledger-$$-$i"), description => 'D', difficulty => 'easy' };
            my $reply = api_as($users[$i], POST => '/problems/', json => $problem);
            my $id = eval { $reply->json->{problem}{id} } // 'none';
            push @created, [$problem->{title}, $reply->status, api(GET => "/problems/$id")->status];
        }
        return \@created;
    };
    my @created = map {@$_} @lists;
    is_deeply([grep { "$_->[1] $_->[2]" ne '201 200' } @created], [], 'problems are created and read');
    my ($stored) = sql('SELECT count(*) AS n FROM learnhub.problems WHERE title = ANY (?)', [map { $_->[0] } @created]);
    is($stored->{n}, 40, 'each is stored once');
    return;
}

# What depends on settings or on several round trips.
sub special_requests {
    my $owner = signup(role => 'instructor');
    my %session = (title => 'T', description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 2);
    my $created = api_as($owner, POST => '/api/sessions/', json => {%session});
    my $path = '/api/sessions/' . $created->json->{id} . '/';
    my $tag = api_as($owner, GET => $path)->header('ETag');
    my %change = (json => { title => 'U' });
    is(api_as($owner, PATCH => $path, %change, headers => { 'If-Match' => $tag })->status, 200, 'If-Match, met');
    is(api_as($owner, PATCH => $path, %change, headers => { 'If-Match' => $tag })->status, 412, 'If-Match, not met');
    sql("INSERT INTO learnhub.coding_sessions (user_id, seconds, source) SELECT ?, 3600, 'manual'
        FROM generate_series(1, 3000)", user($owner->{email})->{id});
    is(scalar @{ api_as($owner, GET => '/api/codingsessions/me/')->json->{data} }, 3000, 'a streamed list is complete');
    my %bait = (title => 'bait', description => 'ab' x 10000, difficulty => 'easy');
    is(api_as($owner, POST => '/problems/', json => {%bait})->status, 201, 'a problem with a long text');
    is(api(GET => '/problems/search/query', query => { q => '(((.)*)*)*\1\2\3$' })->status, 422,
        'the time of a search is limited');
    return;
}

# ---- other clients of the pooler, and the superuser ----

# The settings of each of the pooler's connections, as another client of it sees them.
sub settings_of_all {
    my ($conninfo, $count) = @_;
    my @settings = qw(jit plan_cache_mode statement_timeout idle_in_transaction_session_timeout
        client_connection_check_interval);
    my $query = 'SELECT (SELECT count(*) FROM pg_prepared_statements) AS prepared, '
        . join ', ', map {"current_setting('$_') AS $_"} @settings;
    my @handles = map { connect_to($conninfo) } 1 .. $count;
    $_->begin_work for @handles;
    my @rows = map { $_->selectrow_hashref($query) } @handles;
    $_->rollback, $_->disconnect for @handles;
    return @rows;
}

sub as_superuser {
    my ($statement) = @_;
    my $superuser = connect_to($ENV{LEARNHUB_OWNER} =~ s/user=\S+/user=postgres/r);
    my $query = $superuser->prepare($statement);
    $query->execute;
    my ($value) = $query->{NUM_OF_FIELDS} ? @{ $query->fetchall_arrayref->[0] } : ();
    $superuser->disconnect;
    return $value;
}

sub set_standby {
    my ($names) = @_;
    as_superuser("ALTER SYSTEM SET synchronous_standby_names = '$names'");
    return as_superuser('SELECT pg_reload_conf()');
}

remove_tree($files);
make_path($files);
my $transaction = pooler('transaction', 3);

subtest 'transaction mode' => sub {
    my $server = server($transaction, 'LearnHubRevocationInterval 1s');
    local $ENV{LEARNHUB_PORT} = $server->port;
    serves_everything();
    keeps_a_ledger();
    special_requests();
    my %default = (prepared => 0, jit => 'on', plan_cache_mode => 'auto', statement_timeout => 0,
        idle_in_transaction_session_timeout => 0, client_connection_check_interval => 0);
    is_deeply([settings_of_all($transaction, 3)], [({%default}) x 3], 'other clients see no setting and no statement');
    my $line = qr/LH0112: the database is reached through a pooler: statements are not prepared/;
    my $notices = () = $server->log_text =~ /$line/g;
    is($notices, 2, 'each of the two processes logs the pooler once');
    $server->stop;
};

subtest 'a cancel request through the pooler' => sub {
    my $server = server($transaction, "LearnHubStatementTimeout 300ms\nLearnHubRevocationInterval 1h");
    local $ENV{LEARNHUB_PORT} = $server->port;
    my $user = signup();
    my $waiting = q(SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep');
    set_standby('nobody');
    my $problem = { title => unique('waits'), description => 'D', difficulty => 'easy' };
    my $reply = api_as($user, POST => '/problems/', json => $problem);
    my $cancelled = eventually(sub { as_superuser($waiting) == 0 }, 5);
    my $still = as_superuser($waiting);
    set_standby('');
    is($reply->status, 503, 'a write that waits for a standby fails');
    ok($cancelled, 'its backend is cancelled') || diag("$still backends wait");
    my $stored = sub { api_as($user, POST => '/problems/', json => $problem)->status == 201 };
    ok(eventually($stored), 'later writes succeed');
    $server->stop;
};

subtest 'session mode' => sub {
    my $session = pooler('session', 40);
    my $server = server($session, 'LearnHubPreparedStatements On');
    {
        local $ENV{LEARNHUB_PORT} = $server->port;
        keeps_a_ledger();
    }
    like($server->log_text, qr/LH0112: .*: it must be in session mode/, 'the log names the mode');
    $server->stop;
    $server = server($session, '');
    {
        local $ENV{LEARNHUB_PORT} = $server->port;
        keeps_a_ledger();
        special_requests();
    }
    $server->stop;
};

subtest 'LearnHubPreparedStatements Off without a pooler' => sub {
    my $server = second_httpd('LearnHubPreparedStatements Off');
    local $ENV{LEARNHUB_PORT} = $server->port;
    keeps_a_ledger();
    unlike($server->log_text, qr/LH0112/, 'no pooler is logged');
    $server->stop;
};

done_testing();

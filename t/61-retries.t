# SPDX-License-Identifier: Apache-2.0
# The rules of retries: how often statements are executed that PostgreSQL rejects, or whose connection is lost, what the
# client gets, and what is stored.
use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use IO::Select ();
use Socket qw(pack_sockaddr_un);

use LearnHub::Account;
use LearnHub::Test;

expect_log(qr/LH000[35]: /);

my $teacher = signup(role => 'instructor');
my $problem = api_as($teacher, POST => '/problems/', json => { title => unique('retried'), description => 'D',
        difficulty => 'easy' })->json->{problem}{id};
my $practice = api_as($teacher, POST => '/sessions/', json => { problem_id => $problem })->json->{id};
my $session;

# ---- faults in PostgreSQL ----

# Each execution of a new or changed tutoring session by the server of this test, and of a read of one practice session,
# takes the next number of a sequence, which survives the transaction, and fails with the SQLSTATE of that number in
# `states`. `terminate` ends its own backend, `deallocate` drops the prepared statements. Sequences also tell the number
# of the backend of each execution, and how many statements were prepared there.
sub install_faults {
    sql('CREATE TABLE learnhub.test_fault (states text[], practice bytea)');
    sql('INSERT INTO learnhub.test_fault VALUES (ARRAY[]::text[], decode(?, ?))', $practice, 'hex');
    sql("CREATE SEQUENCE learnhub.test_$_ MINVALUE 0") for 'calls', map { ("pid_$_", "prepared_$_") } 1 .. 4;
    sql(<<'SQL');
CREATE FUNCTION learnhub.test_fault() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    n bigint := nextval('learnhub.test_calls');
    state text := (SELECT states[n] FROM learnhub.test_fault);
BEGIN
    PERFORM setval('learnhub.test_pid_' || n, pg_backend_pid()),
            setval('learnhub.test_prepared_' || n, (SELECT count(*) FROM pg_prepared_statements))
    WHERE n <= 4;
    IF state = 'terminate' THEN
        PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(10);
    ELSIF state = 'deallocate' THEN
        DEALLOCATE ALL;
    ELSIF state <> '' THEN
        RAISE EXCEPTION 'fault' USING ERRCODE = state;
    END IF;
    RETURN true;
END
$$
SQL
    sql(<<'SQL');
CREATE FUNCTION learnhub.test_write() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM learnhub.test_fault();
    RETURN NEW;
END
$$
SQL
    sql("CREATE TRIGGER test_write BEFORE INSERT OR UPDATE ON learnhub.tutoring_sessions FOR EACH ROW
        WHEN (current_setting('application_name') = 'retries') EXECUTE FUNCTION learnhub.test_write()");
    sql("CREATE POLICY test_read ON learnhub.practice_sessions USING (CASE WHEN current_setting('application_name')
        <> 'retries' THEN true ELSE id <> (SELECT practice FROM learnhub.test_fault) OR learnhub.test_fault() END)");
    sql("ALTER TABLE learnhub.practice_sessions $_ ROW LEVEL SECURITY") for qw(ENABLE FORCE);
    return;
}

sub remove_faults {
    sql("ALTER TABLE learnhub.practice_sessions $_ ROW LEVEL SECURITY") for 'DISABLE', 'NO FORCE';
    sql('DROP POLICY test_read ON learnhub.practice_sessions');
    sql('DROP TRIGGER test_write ON learnhub.tutoring_sessions');
    sql("DROP FUNCTION learnhub.$_") for qw(test_write test_fault);
    sql("DROP SEQUENCE learnhub.test_$_") for 'calls', map { ("pid_$_", "prepared_$_") } 1 .. 4;
    sql('DROP TABLE learnhub.test_fault');
    return;
}

sub prepare {
    my (@states) = @_;
    sql('UPDATE learnhub.test_fault SET states = ?', \@states);
    sql("SELECT setval('learnhub.test_calls', 0)");
    return;
}

sub last_of { my ($name) = @_; return (sql("SELECT last_value AS n FROM learnhub.test_$name"))[0]{n} }

sub stored {
    my ($title) = @_;
    return (sql('SELECT count(*) AS n FROM learnhub.tutoring_sessions WHERE title = ?', $title))[0]{n};
}

# ---- requests ----

my $base = <<'CONF';
ServerLimit 1
StartServers 1
MaxRequestWorkers 32
LearnHubCache 0
CONF
my $owner = "$ENV{LEARNHUB_OWNER} connect_timeout=2 application_name=retries";

# One connection, so that a job of this server cannot make a request use another one.
my $httpd = second_httpd("${base}DBDMax 1\nDBDKeep 1\nDBDParams \"$owner\"\n");
my %to = (port => $httpd->port);

sub create {
    my ($title) = @_;
    return api_as($teacher, POST => '/api/sessions/', %to,
        json => { title => $title, description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 5 });
}

sub read_practice { return api_as($teacher, GET => "/sessions/$practice", %to) }

# A write with these faults: "status, executed n, stored m".
sub outcome_of_write {
    my $title = unique('retried');
    prepare(@_);
    my $status = create($title)->status;
    return sprintf '%d, executed %d, stored %d', $status, last_of('calls'), stored($title);
}

sub outcome_of_read {
    prepare(@_);
    my $status = read_practice()->status;
    return sprintf '%d, executed %d', $status, last_of('calls');
}

install_faults();
eventually(sub { create('warm')->status == 201 && read_practice()->status == 200 }) or die 'the server does not work';
$session = (sql("SELECT id FROM learnhub.tutoring_sessions WHERE title = 'warm'"))[0]{id};

# ---- the table of rules ----

# [states => executions, status of a write, of a read]
my @rules = (
    [[] => 1, 201, 200],
    [['40001'] => 2, 201, 200],
    [[qw(40001 40001)] => 3, 201, 200],
    [[qw(40001 40001 40001)] => 3, 503, 503],
    [['40P01'] => 2, 201, 200],
    [[qw(40P01 40P01)] => 3, 201, 200],
    [[qw(40P01 40P01 40P01)] => 3, 503, 503],
    [['25006'] => 2, 201, 200],
    [[qw(25006 25006)] => 3, 201, 200],
    [[qw(25006 25006 25006)] => 3, 503, 503],
    [['57P01'] => 2, 201, 200],
    [[qw(57P02 57P03)] => 3, 201, 200],
    [[qw(57P01 57P01 57P01)] => 3, 503, 503],
    [['0A000'] => 2, 201, 200],
    [[qw(0A000 0A000)] => 2, 500, 500],
    [['26000'] => 2, 201, 200],
    [[qw(26000 26000)] => 2, 500, 500],
    [[qw(40001 26000)] => 2, 500, 500],
    [[qw(26000 40001)] => 3, 201, 200],
    [[qw(25006 40001 40P01)] => 3, 503, 503],
    [['40002'] => 1, 503, 503],
    [['55P03'] => 1, 503, 503],
    [['53100'] => 1, 503, 503],
    [['57014'] => 1, 503, 503],
    [['08006'] => 1, 503, 503],
    [['P0001'] => 1, 500, 500],
    [['22012'] => 1, 400, 400],
);

subtest 'Errors of PostgreSQL' => sub {
    for my $rule (@rules) {
        my ($states, $executed, $write, $read) = @$rule;
        my $stored = $write == 201 ? 1 : 0;
        is(outcome_of_write(@$states), "$write, executed $executed, stored $stored", "a write after (@$states)");
        is(outcome_of_read(@$states), "$read, executed $executed", "a read after (@$states)");
    }
};

subtest 'The connection of a retry' => sub {
    my %connection = ('40001' => 'same', '40P01' => 'same', '0A000' => 'same', '26000' => 'same', '25006' => 'other',
        '57P01' => 'other');
    for my $state (sort keys %connection) {
        outcome_of_write($state);
        is(last_of('pid_1') == last_of('pid_2') ? 'same' : 'other', $connection{$state}, "$state: the connection");
    }
    for my $state (qw(40001 0A000 26000)) {
        api_as($teacher, GET => "/$_", %to)->status == 200 or die for qw(api/sessions/ mentor/ problems/);
        outcome_of_write();
        outcome_of_write($state);
        my $fewer = last_of('prepared_2') < last_of('prepared_1');
        is($fewer, $state ne '40001', "$state: whether statements are prepared again");
    }
};

subtest 'A terminated backend' => sub {
    is(outcome_of_write('terminate'), '201, executed 2, stored 1', 'a write');
    is(outcome_of_write(qw(terminate terminate)), '201, executed 3, stored 1', 'a write, twice');
    is(outcome_of_write(('terminate') x 3), '503, executed 3, stored 0', 'a write, three times');
    is(outcome_of_read('terminate'), '200, executed 2', 'a read');
    is(outcome_of_read(qw(terminate terminate)), '200, executed 3', 'a read, twice');
    is(outcome_of_read(('terminate') x 3), '503, executed 3', 'a read, three times');
};

subtest 'Statements that somebody has deallocated' => sub {
    for (1 .. 4) {
        is(outcome_of_write('deallocate'), '201, executed 1, stored 1', 'a write deallocates all statements');
        is(outcome_of_write(), '201, executed 1, stored 1', 'the next write is served');
        is(outcome_of_read('deallocate'), '200, executed 1', 'a read deallocates all statements');
        is(outcome_of_read(), '200, executed 1', 'the next read is served');
    }
};

$httpd->stop;

# ---- lost connections ----

# A proxy in front of PostgreSQL that cuts a connection when the client sends bytes with a marker. A file says how, and
# is removed then: "request MARKER": they are not forwarded; "response MARKER": they are, and PostgreSQL has responded.
my $cuts = "$top/t/logs/cut-$$";

sub cut {
    my ($how, $marker) = @_;
    open my $out, '>', $cuts or die "$cuts: $!";
    print $out "$how $marker";
    close $out or die "$cuts: $!";
    return;
}

sub cut_of {
    my ($bytes) = @_;
    open my $in, '<', $cuts or return '';
    my ($how, $marker) = split / /, <$in> // '', 2;
    return '' if !length($marker // '') || index($bytes, $marker) < 0;
    unlink $cuts;
    return $how;
}

sub to_postgresql {
    my ($name, $port) = $ENV{LEARNHUB_OWNER} =~ /host=@(\S+) port=(\d+)/;
    socket my $socket, Socket::AF_UNIX(), Socket::SOCK_STREAM(), 0 or die "socket: $!";
    connect $socket, pack_sockaddr_un("\0$name/.s.PGSQL.$port") or die "connect: $!";
    return $socket;
}

# Forwards what is readable; returns 0 when both connections must be closed.
sub forward {
    my ($from, $to, $is_client) = @_;
    return 0 if !sysread $from, my $bytes, 1 << 16;
    my $how = $is_client ? cut_of($bytes) : '';
    return 0 if $how eq 'request';
    my $sent = syswrite $to, $bytes;
    sysread $to, my $ignored, 1 << 16 if $how eq 'response';
    return $sent && $how ne 'response';
}

sub run_proxy {
    my ($listener) = @_;
    my $all = IO::Select->new($listener);
    my %peer;
    while (my @ready = $all->can_read) {
        for my $from (@ready) {
            if ($from == $listener) {
                my ($client, $server) = (scalar $listener->accept, to_postgresql());
                $all->add($client, $server);
                @peer{ $client, $server } = ([$server, 1], [$client, 0]);
            }
            elsif ($peer{$from} && !forward($from, @{ $peer{$from} })) {
                my $to = delete($peer{$from})->[0];
                delete $peer{$to};
                $all->remove($from, $to);
                close $_ for $from, $to;
            }
        }
    }
    return;
}

my $port = LearnHub::Server->free_port;
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 20) or die "listen: $!";
my $proxy = fork // die "fork: $!";
if (!$proxy) {
    local $SIG{PIPE} = 'IGNORE';
    run_proxy($listener);
    POSIX::_exit(0);
}
close $listener;
my $through = $owner =~ s/host=\S+ port=\d+/host=127.0.0.1 port=$port/r;
$httpd = second_httpd("${base}DBDMax 2\nDBDKeep 2\nDBDParams \"$through\"\n");
%to = (port => $httpd->port);
prepare();
eventually(sub { create('warm')->status == 201 && read_practice()->status == 200 }) or die 'the proxy does not work';

sub outcome_of_lost_write {
    my ($how) = @_;
    my $title = unique('lost');
    prepare();
    cut($how, $title);
    my $reply = create($title);
    return sprintf '%d, executed %d, stored %d', $reply->status, last_of('calls'), stored($title);
}

subtest 'A lost connection' => sub {
    is(outcome_of_lost_write('request'), '503, executed 0, stored 0', 'a write that PostgreSQL has not received');
    is(outcome_of_lost_write('response'), '503, executed 1, stored 1', 'a write whose commit is not confirmed');
    for my $how (qw(request response)) {
        prepare();
        cut($how, $practice);
        my $status = read_practice()->status;
        is("$status, executed " . last_of('calls'), '200, executed ' . ($how eq 'request' ? 1 : 2), "a read: $how");
    }
    like($httpd->log_text, qr/LH0005: tutoring\.create: /, 'the lost write is logged');
};

# The server does not know the token yet and looks it up in the database.
subtest 'A connection that is lost while a token is looked up' => sub {
    for my $how (qw(request response)) {
        my $token = token_login(@$teacher{qw(email password)})->json->{auth_token} || die 'no token';
        cut($how, sha256_hex($token));
        is(get_me($token, %to)->status, 200, "a lookup: $how");
        ok(!-e $cuts, "a lookup: $how: the connection was lost");
    }
};

# Before the sync of a guard nothing can be committed.
subtest 'A connection that is lost while a guard is checked' => sub {
    for my $how (qw(request response)) {
        my $title = unique('guarded');
        prepare();
        my $etag = api_as($teacher, GET => "/api/sessions/$session/", %to)->header('ETag');
        cut($how, pack 'N/a*', $session);
        my $reply = api_as($teacher, PATCH => "/api/sessions/$session/", %to, json => { title => $title },
            headers => { 'If-Match' => $etag });
        is(sprintf('%d, executed %d, stored %d', $reply->status, last_of('calls'), stored($title)),
            '200, executed 1, stored 1', "a guard: $how");
    }
};

$httpd->stop;
kill TERM => $proxy;
waitpid $proxy, 0;
remove_faults();
done_testing;

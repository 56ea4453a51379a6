# SPDX-License-Identifier: Apache-2.0
# More requests than database connections: slow statements, slow clients, virtual hosts that share one connection.
use strict;
use warnings;

use IO::Socket::INET ();
use LearnHub::Ledger;
use LearnHub::Test;
use Time::HiRes qw(sleep time);

expect_outage();

# Each problem takes half a second: 8 connections serve 16 of 200 clients within a second.
subtest 'an exhausted pool: 200 clients and slow statements' => sub {
    my $wait = long() ? 2 : 1;
    my $node = second_httpd(node_directives(<<"CONF"));
LearnHubConnectionWait ${wait}s
ServerLimit 2
ThreadLimit 128
ThreadsPerChild 128
MaxSpareThreads 256
MaxRequestWorkers 256
DBDMax 4
DBDKeep 4
CONF
    my $ledger = ledger(nodes => [$node->port], clients => 200, users => 10, pause => 0.1,
        mix => [('problem') x 7, 'index']);
    my $slow = sub {
        my ($mark) = @_;
        sql(q(CREATE FUNCTION learnhub.slow() RETURNS trigger LANGUAGE plpgsql
            AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NEW; END'));
        sql('CREATE TRIGGER slow BEFORE INSERT ON learnhub.problems FOR EACH ROW EXECUTE FUNCTION learnhub.slow()');
        $mark->('slow');
        sleep(long() ? 20 : 5);
        $mark->('ends');
        sql('DROP TRIGGER slow ON learnhub.problems');
        sql('DROP FUNCTION learnhub.slow()');
    };
    my $run = $ledger->under_load(fault => $slow, after => $wait + 1.5);
    my @refused = $run->failed('writes');
    my ($longest) = sort { $b <=> $a } map { $_->{end} - $_->{start} } @refused;
    consistent($run, 'exhausted pool', 'longest 503' => sprintf '%.0f ms', 1000 * ($longest // 0));
    cmp_ok(scalar @refused, '>', 100, 'many requests get no connection');
    cmp_ok($longest, '<', $wait + 0.2 + $run->noise, 'they return 503 within the wait and 0.2 seconds');
    my $served = grep { $_->{status} == 201 && $_->{end} > $run->at('slow') && $_->{end} < $run->at('ends') }
        $run->entries('problem');
    cmp_ok($served, '>', long() ? 160 : 40, 'the connections work all the time');
    my ($before, $after) = ($run->rate($run->at('start'), $run->at('fault')),
        $run->rate($run->at('repaired') + $wait, $run->at('end')));
    cmp_ok($after, '>', $before / 4, 'afterwards it serves as many as before, or at least a quarter');
    $node->stop;
};

# The back ends that wait for the table of sessions.
sub blocked {
    return sql(q(SELECT pid FROM pg_locks WHERE relation = 'learnhub.tutoring_sessions'::regclass AND NOT granted));
}

# The module leaves one connection of DBDMax to other modules.
subtest 'the number of connections' => sub {
    my $four = second_httpd("DBDMax 4\nDBDKeep 4\nServerLimit 1\nStartServers 1\nMaxRequestWorkers 32\n"
            . "MaxSpareThreads 32\nLearnHubConnectionWait 1s\n");
    my $teacher = signup(role => 'instructor');
    my %session = (title => 'T', description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 20);
    database()->begin_work;
    sql('LOCK TABLE learnhub.tutoring_sessions');
    my @done = parallel 6, sub {
        return api_as($teacher, POST => '/api/sessions/', json => \%session, port => $four->port)->status if $_[0] < 5;
        return eventually(sub { my @waiting = blocked(); @waiting == 3 }, 5) ? 3 : 0;
    };
    database()->rollback;
    is_deeply(\@done, [(503) x 5, 3], 'with DBDMax 4, three requests use a connection each');
    ok(eventually(sub { api(GET => '/health', port => $four->port)->status == 200 }, 10),
        '/health returns 200 after the lock is released');
    $four->stop;
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
        my $health = api(GET => '/health', port => $hosts->port, headers => { Host => $name });
        is($health->status, 200, "$name serves its $time request");
    }
};

sub send_bytes {
    my ($port, $bytes) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die $@;
    syswrite $socket, $bytes;
    return $socket;
}

subtest 'slow clients' => sub {
    my $short = second_httpd("LearnHubStatementTimeout 2s\nLearnHubConnectionWait 300ms\nDBDMax 1\nDBDKeep 1\n");
    my ($teacher, $user) = (signup(role => 'instructor'), signup());
    my %session = (title => 'T', description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 20);
    my $session = api_as($teacher, POST => '/api/sessions/', json => \%session)->json->{id};
    sql("INSERT INTO learnhub.tutoring_sessions (title, description, starts_at, max_participants, creator_id)
        SELECT 'wide', repeat('x', 20000), now() + interval '1 day', 2, ? FROM generate_series(1, 100)",
        user($teacher->{email})->{id});
    my $headers = "Host: x\r\nAuthorization: Bearer $teacher->{token}\r\n";
    my $list = "GET /api/sessions/?page_size=100 HTTP/1.1\r\n$headers\r\n";
    my $part = "POST /api/sessions/ HTTP/1.1\r\n${headers}Content-Length: 500\r\n\r\n{\"title\":";
    my @clients = map { send_bytes($short->port, $_) } ($list) x 6, ($part) x 6;
    sleep 1;
    my $served = sub { api_as($user, GET => "/api/sessions/$session/", port => $short->port)->status == 200 };
    ok(eventually($served, 5),
        'six clients that do not read and six that do not finish sending leave the only connection to others');
    close $_ for @clients;
};

done_testing;

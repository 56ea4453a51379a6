# SPDX-License-Identifier: Apache-2.0
# Bad days under load: graceful restarts, PostgreSQL restarted, killed, stopped, hung and changed, slow clients, a full
# pool. What was answered with success is there, what was refused is not, and it recovers by itself.
use strict;
use warnings;

use LearnHub::Test;
use Time::HiRes qw(sleep time);

expect_log(qr/the database cannot be reached/, qr/the connection broke, the outcome is unknown/,
    qr/the deadline passed, the outcome is unknown/, qr/SQLSTATE (57P0\d|57014)/, qr/\[dbd:error\]/);

my $teacher = signup(role => 'instructor');
my @users = map { signup() } 1 .. 6;
my %proposal = (description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 20);

sub create {
    my ($title, %with) = @_;
    return api(POST => '/api/sessions/', token => $teacher->{token}, json => { title => $title, %proposal }, %with);
}

my $session = create('load')->json->{id};

# Six clients read, create, join and leave for some seconds while `fault` happens in a seventh process. Gives all answers:
# {status, what, title, reply}. A connection that httpd closed between two requests is opened anew by the client.
sub under_load {
    my ($seconds, $fault, %with) = @_;
    my ($stem, $end) = (unique('load'), time + $seconds);
    my @lists = parallel(7, sub {
        my ($i) = @_;
        my @answers;
        if ($i == 6) {
            sleep 0.4;
            $fault->();
            return [{ what => 'fault', at => time }];
        }
        for (my $n = 0; time < $end; $n++) {
            my ($what, $title) = (qw(read create join leave)[$n % 4], "$stem-$i-$n");
            my $reply = $what eq 'create' ? create($title, %with)
                : api($what eq 'read' ? 'GET' : 'POST', "/api/sessions/$session/" . ($what eq 'read' ? '' : "$what/"),
                token => $users[$i]{token}, %with);
            my $lost = ($reply->header('Client-Warning') // '') =~ /Internal/; # no answer at all
            push @answers, { what => $what, at => time, title => $title, status => $lost ? 0 : $reply->status,
                json => $reply->is_json ? 1 : 0, retry => $reply->header('Retry-After') };
        }
        return \@answers;
    });
    return map {@$_} @lists;
}

sub count { my ($test, @answers) = @_; return scalar grep { $test->($_) } @answers }

# Failures are 503 in JSON with Retry-After, and few, or undef: as many as there were while it lasted, but none later than
# 3 seconds after its end. Creations that succeeded are there, once.
sub holds {
    my ($name, $most, @all) = @_;
    my ($fault) = grep { $_->{what} eq 'fault' } @all;
    my @answers = grep { $_->{what} ne 'fault' } @all;
    my @odd = grep { $_->{status} !~ /^(200|201|400|503)$/ && $_->{status} } @answers;
    my @failed = grep { $_->{status} == 503 || !$_->{status} } @answers;
    cmp_ok(scalar(@answers) - @failed, '>', 50, "$name: there was a load");
    is_deeply([map {"$_->{what} $_->{status}"} @odd], [], "$name: nothing but success, refusals and 503");
    is(count(sub { $_[0]{status} == 503 && !($_[0]{json} && $_[0]{retry}) }, @answers), 0, "$name: a 503 says when to try again");
    my @counted = defined $most ? @failed : grep { $_->{at} > $fault->{at} + 3 } @failed;
    $most //= 0;
    cmp_ok(scalar @counted, '<=', $most, "$name: at most $most of " . @answers . ' failed')
        || diag(join ', ', map {"$_->{what} $_->{status}"} @counted);
    my %rows = map { $_->{title} => $_->{n} }
        sql('SELECT title, count(*) AS n FROM learnhub.tutoring_sessions GROUP BY title');
    my @created = grep { $_->{what} eq 'create' } @answers;
    is(count(sub { $_[0]{status} == 201 && ($rows{ $_[0]{title} } // 0) != 1 }, @created), 0, "$name: each 201 has its row");
    is(count(sub { ($rows{ $_[0]{title} } // 0) > 1 }, @created), 0, "$name: nothing was created twice");
    my $row = (sql('SELECT participant_count, (SELECT count(*) FROM learnhub.tutoring_participants WHERE session_id = s.id)
        AS seats FROM learnhub.tutoring_sessions s WHERE id = ?', $session))[0];
    is($row->{participant_count}, $row->{seats}, "$name: the seats are counted right");
    return;
}

sub healthy { return eventually(sub { api(GET => '/health')->status == 200 }, 15) }

# ---- httpd ----

holds('graceful restart', 12, under_load(4, sub { restart_httpd('graceful') for 1, 2 }));

# ---- PostgreSQL ----

holds('PostgreSQL restarted', undef, under_load(6, sub { pg('stop', '-m', 'immediate'); pg('start') }));
ok(healthy(), 'healthy after the restart');

# SIGTERM is what pg_terminate_backend() sends; the schema's owner may not call that for another role.
sub backends { return map { $_->{pid} } sql(q(SELECT pid FROM pg_stat_activity WHERE application_name = 'mod_learnhub')) }
holds('backends killed', 12, under_load(4, sub {
    my $killed = 0;
    for (1 .. 8) {
        $killed += kill TERM => backends();
        sleep 0.2;
    }
    $killed >= 8 or die "only $killed backends were killed";
}));
sub retype { return sql("ALTER TABLE learnhub.tutoring_sessions ALTER COLUMN description TYPE $_[0]") }
holds('a column changes its type', 0, under_load(3, sub {
    for (1 .. 5) {
        retype('varchar');
        sleep 0.15;
        retype('text');
        sleep 0.15;
    }
}));

pg('stop', '-m', 'fast');
my $down = eventually(sub { my $reply = create('down'); $reply->status == 503 && $reply }, 15);
is_refusal($down, 'tutoring', 503, 'stopped: 503 in the shape of the API');
like($down->header('Retry-After'), qr/^\d+$/, 'stopped: when to try again');
my $sick = api(GET => '/health');
is_deeply([$sick->status, @{ $sick->json }{qw(status database)}], [503, 'unhealthy', 'unreachable'], 'stopped: /health');
ok(eventually(sub { my $began = time; create('down'); time - $began < 1 }, 20), 'stopped: soon refusals are quick');
my $early = second_httpd('');
is(api(GET => '/health', port => $early->port)->status, 503, 'an httpd that starts meanwhile');
pg('start');
ok(healthy(), 'it comes back by itself');
ok(eventually(sub { api(GET => '/health', port => $early->port)->status == 200 }, 15), 'and so does the one that started meanwhile');
is(create(unique('after'))->status, 201, 'everything works again');
$early->stop;

# ---- virtual hosts ----

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
is(api(GET => '/health', port => $hosts->port, headers => { Host => $_ })->status, 200, "the one connection serves $_")
    for qw(a.example b.example a.example);

# ---- deadlines ----

my $short = second_httpd("LearnHubStatementTimeout 500ms\nLearnHubConnectionWait 300ms\nDBDMax 1\nDBDKeep 1\n");
is(api(GET => '/health', port => $short->port)->status, 200, 'a server with one connection');
my $database = LearnHub::Test::database();
$database->begin_work;
sql('SELECT id FROM learnhub.tutoring_sessions WHERE id = ? FOR UPDATE', $session);
my $began = time;
my @waiting = parallel(4, sub { api(POST => "/api/sessions/$session/join/", token => $users[$_[0]]{token}, port => $short->port) });
cmp_ok(time - $began, '<', 10, 'a locked row and a full pool: nobody waits long');
is_deeply([map { $_->{status} } @waiting], [(503) x 4], 'all get 503');
is($_->{json}{error} =~ /\S/ ? 1 : 0, 1, 'with a sentence') for @waiting;
$database->rollback;
ok(eventually(sub { api(GET => '/health', port => $short->port)->status == 200 }, 10), 'the connection is there again');

my ($postmaster) = split /\n/, do { open my $file, '<', "$top/build/run/pg/postmaster.pid" or die $!; local $/; <$file> };
my @hung = ($postmaster, backends());
kill STOP => @hung;
$began = time;
my @stuck = parallel(4, sub { api(GET => "/api/sessions/$session/", token => $users[$_[0]]{token}, port => $short->port) });
kill CONT => @hung;
cmp_ok(time - $began, '<', 10, 'PostgreSQL hangs: nobody waits long');
is_deeply([map { $_->{status} } @stuck], [(503) x 4], 'all get 503');
ok(eventually(sub { api(GET => '/health', port => $short->port)->status == 200 }, 15), 'it comes back by itself');

# ---- slow clients hold no connection ----

sql("INSERT INTO learnhub.tutoring_sessions (title, description, starts_at, max_participants, creator_id)
     SELECT 'wide', repeat('x', 20000), now() + interval '1 day', 2, ? FROM generate_series(1, 100)", user($teacher->{email})->{id});
sub slow {
    my ($bytes) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $short->port) or die $@;
    syswrite $socket, $bytes;
    return $socket;
}
my @unread = map { slow("GET /api/sessions/?page_size=100 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $teacher->{token}\r\n\r\n") } 1 .. 6;
my @dripping = map {
    slow("POST /api/sessions/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $teacher->{token}\r\nContent-Length: 500\r\n\r\n{\"title\":")
} 1 .. 6;
sleep 1;
is(api(GET => "/api/sessions/$session/", token => $users[0]{token}, port => $short->port)->status, 200,
    'twelve slow clients leave the only connection to others');
close $_ for @unread, @dripping;

done_testing();

# SPDX-License-Identifier: Apache-2.0
# Batches: concurrent short reads that share a round trip. Each client gets the response to its own request, also when
# others of the batch fail, and reads that PostgreSQL delays use only a part of the connections.
use strict;
use warnings;

use LearnHub::Test;
use Time::HiRes qw(sleep time);

use constant {
    CLIENTS => 24,
    CARRIERS => 8, # threads of a process that read for others, at most
};

expect_log(qr/LH0004: /, qr/SQLSTATE (57P0\d|57014)/, qr/\[dbd:error\]/);

my $one_process = <<'CONF';
ServerLimit 1
StartServers 1
ThreadLimit 64
ThreadsPerChild 64
MaxRequestWorkers 64
DBDMax 13
DBDKeep 13
LearnHubCache 0
LearnHubConnectionWait 10s
LearnHubStatementTimeout 20s
CONF
my $httpd = second_httpd($one_process);
my %to = (port => $httpd->port);
my @users = map { signup() } 1 .. 4;
my @problems = map {
    my $title = unique('batch');
    my $reply = api_as($users[0], POST => '/problems/', json => { title => $title, description => 'D' x 500,
            difficulty => 'easy' });
    { id => $reply->json->{problem}{id}, title => $title }
} 1 .. 12;

my $teacher = signup(role => 'instructor');
my @sessions = map {
    my $title = unique('batch');
    my $reply = api_as($teacher, POST => '/api/sessions/', json => { title => $title, description => 'D',
            date => '2040-01-01T00:00:00Z', max_participants => 9 });
    { id => $reply->json->{id}, title => $title }
} 1 .. 12;

# Reads sessions, accounts and problems that do not exist for a while. Returns sentences about wrong responses, and the
# number of requests.
sub read_for {
    my ($i, $seconds) = @_;
    my ($end, $n, @wrong) = (time + $seconds, 0);
    while (time < $end) {
        my $session = $sessions[($i * 7 + $n) % @sessions];
        my $user = $users[($i + $n) % @users];
        my ($reply, $found, $expected) = $n % 3 == 0 ? (api_as($user, GET => "/api/sessions/$session->{id}/", %to),
            'title', "200 $session->{title}")
            : $n % 3 == 1 ? (api_as($user, GET => '/users/me', %to), 'email', "200 $user->{email}")
            : (api(GET => '/problems/' . 'f' x 24, %to), 'detail', '404 Problem not found.');
        my $seen = join ' ', $reply->status, $reply->json->{$found} // '';
        push @wrong, "$seen instead of $expected" if $seen ne $expected;
        $n++;
    }
    return { wrong => \@wrong, requests => $n };
}

# Every client got its own responses.
sub is_right {
    my ($name, @results) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @wrong = map { @{ $_->{wrong} } } @results;
    my $requests = 0;
    $requests += $_->{requests} for @results;
    cmp_ok($requests, '>', 10 * CLIENTS, "$name: " . CLIENTS . " clients sent $requests requests");
    return is_deeply([@wrong[0 .. ($#wrong < 4 ? $#wrong : 4)]], [], "$name: every client got its own responses");
}

subtest 'concurrent reads' => sub {
    is_right('reads', parallel CLIENTS, sub { read_for($_[0], 2) });
};

# A column changes its type, so that prepared statements in a batch fail and are repeated.
subtest 'concurrent reads while statements of batches fail' => sub {
    my @results = parallel CLIENTS + 1, sub {
        my ($i) = @_;
        return read_for($i, 2) if $i < CLIENTS;
        for my $type (qw(varchar text) x 4) {
            sql("ALTER TABLE learnhub.tutoring_sessions ALTER COLUMN description TYPE $type");
            sleep 0.2;
        }
        return { wrong => [], requests => 0 };
    };
    is_right('failing statements', @results);
};

# The backends that wait for the table of problems.
sub waiting {
    my ($row) = sql('SELECT count(*) AS n FROM pg_locks WHERE relation = ?::regclass AND NOT granted',
        'learnhub.problems');
    return $row->{n};
}

my $locked = "$top/t/logs/locked-$$"; # exists when the readers may begin

# Locks the table of problems while the other clients read it. Returns the backends that waited, and the status of a
# write of another table meanwhile.
sub delay_reads {
    database()->begin_work;
    sql('LOCK TABLE learnhub.problems');
    open my $file, '>', $locked or die "$locked: $!";
    my $most = eventually(sub { my $now = waiting(); sleep 0.3; $now > 2 && $now == waiting() && $now }, 5);
    my $write = api_as($users[0], PATCH => '/auth/users/me/', json => { first_name => 'Ada' }, %to);
    database()->rollback;
    return { waited => $most, write => $write->status };
}

subtest 'reads that PostgreSQL delays' => sub {
    my @results = parallel CLIENTS + 1, sub {
        my ($i) = @_;
        return delay_reads() if $i == CLIENTS;
        eventually(sub { -e $locked });
        my $problem = $problems[$i % @problems];
        my $reply = api(GET => "/problems/$problem->{id}", %to);
        return join ' ', $reply->status, $reply->json->{title} eq $problem->{title} ? 'right' : 'wrong';
    };
    my $delay = pop @results;
    unlink $locked;
    cmp_ok($delay->{waited} // 99, '<=', CARRIERS, CLIENTS . ' delayed reads use at most ' . CARRIERS . ' connections');
    is($delay->{write}, 200, 'a write of another table succeeds meanwhile');
    is_deeply(\@results, [('200 right') x CLIENTS], 'every delayed read gets its own response');
};

$httpd->stop;
done_testing;

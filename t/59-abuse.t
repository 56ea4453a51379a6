# SPDX-License-Identifier: Apache-2.0
# One hostile client: bodies that need a lot of memory, control characters, searches that take all database connections,
# clients that send requests and read no responses, responses to changes beyond LearnHubSpool.
use strict;
use warnings;
use utf8;

use POSIX ();
use Time::HiRes qw(time);

use LearnHub::Stream;
use LearnHub::Test;

my ($author, $other) = map { signup() } 1 .. 2;
my %problem = (title => 'T', description => 'D', difficulty => 'easy');

# Sends a JSON text.
sub post_text {
    my ($user, $path, $text, %with) = @_;
    return api_as($user, POST => $path, body => $text, headers => { 'Content-Type' => 'application/json' }, %with);
}

# The private memory of the processes of a server, in KB.
sub memory_of {
    my ($server) = @_;
    my ($pid, $sum) = ($server->pid, 0);
    open my $children, '<', "/proc/$pid/task/$pid/children" or die "children of $pid: $!";
    for my $child (split ' ', <$children>) {
        open my $in, '<', "/proc/$child/status" or next;
        $sum += $1 if join('', <$in>) =~ /^RssAnon:\s+(\d+)/m;
    }
    return $sum;
}

# Begins to read a list of 3 MB at 40 KB/s in another process, from a server that cannot store it.
sub read_slowly {
    my $small = second_httpd("SendBufferSize 16384\nLearnHubSpool 1048576\n");
    my $reader = signup();
    fill($reader, 4, 700);
    my $socket = slow_reader('/sessions/user/my-sessions', $reader, port => $small->port);
    pipe my $from, my $to or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        my $all = '';
        select undef, undef, undef, 0.4 while sysread $socket, $all, 16_384, length $all;
        syswrite $to, join "\n", length $all, $all =~ m{^HTTP/1.1 (\d+)}, $all =~ /\r\n0\r\n\r\n\z/ ? 'all' : 'a part';
        POSIX::_exit(0);
    }
    close $_ for $socket, $to;
    return { server => $small, from => $from, pid => $pid };
}

my $slow = read_slowly();

subtest 'Bodies of many values' => sub {
    my $server = second_httpd("ServerLimit 1\nStartServers 1\nMaxRequestWorkers 32\n");
    my %with = (port => $server->port);
    my $of = sub { my ($value, $count) = @_; return '{"title":"x","x":[' . join(',', ($value) x $count) . ']}' };
    my $many = $of->('{}', 340_000);
    is(post_text($author, '/problems/', $of->('{}', 3000), %with)->status, 422, 'a process has served a request');
    my $before = memory_of($server);
    my @rejected = parallel 8, sub { [map { post_text($author, '/problems/', $many, %with)->status } 1 .. 2] };
    is_deeply([grep { $_ != 422 && $_ != 429 } map {@$_} @rejected], [], '340,000 values in 1 MB are rejected');
    my $growth = memory_of($server) - $before;
    cmp_ok($growth, '<', 40_000, "KB by which 16 such requests let httpd grow");
    is_invalid(post_text($other, '/problems/', $many), 'located', ['body'], 'the body is named');
    like(post_text($other, '/problems/', $many)->body, qr/at most 10000/, 'the sentence has the limit');
    is_invalid(post_text($other, '/api/codingsessions/', $many), 'envelope', ['non_field_errors'],
        'in the format of the API');
    is_invalid(post_text($other, '/problems/', $of->('"a"', 9_990)), 'located', [qw(description difficulty)],
        'the fields of a body of 9990 values are validated');
    my $small = $of->('{}', 5_400);
    my @answers = parallel 8, sub {
        [map { post_text(undef, '/auth/users/reset_password/', $small, %with)->status } 1 .. 4];
    };
    is_deeply([grep { $_ != 400 } map {@$_} @answers], [], 'public routes accept 16 KiB only, with up to 8000 values');
    ok(eventually(sub { memory_of($server) - $before < 10_000 }), 'a moment later the system has the memory again');
    $server->stop;
};

subtest 'Parameters of a part' => sub {
    my $server = second_httpd("ServerLimit 1\nStartServers 1\nMaxRequestWorkers 32\n");
    my %with = (port => $server->port, headers => { 'Content-Type' => 'multipart/form-data; boundary=b' });
    my $login = sub {
        my $more = ';a=""' x $_[0] . "\r\n\r\n\r\n";
        my @parts = map {"--b\r\nContent-Disposition: form-data; name=\"$_\"$more"} 'a' .. 'd';
        return api(POST => '/users/login', body => join('', @parts) . "--b--\r\n", %with);
    };
    is_invalid($login->(10), 'located', [qw(password username)], 'a few parameters are accepted');
    my $before = memory_of($server);
    my $refused = $login->(620);
    is_invalid($refused, 'located', ['body'], 'many are rejected');
    cmp_ok(memory_of($server) - $before, '<', 2000, 'KB by which such a request lets httpd grow');
    $server->stop;
};

subtest 'A zero byte in a body' => sub {
    is_invalid(post_text(undef, '/users/refresh', $_), 'located', ['body'])
        for qq({"refresh_token":"x","y":2\0\n}), qq({"refresh_token":"x"}\0), qq(\0{"refresh_token":"x"});
};

subtest 'Control characters in long texts' => sub {
    my $field = sub { my ($name, $value) = @_; return { %problem, $name => $value } };
    for my $c ("\1", "\x1f", "\x7f", "\b", "\x0c", "\x1b") {
        my $code = sprintf 'U+%04X', ord $c;
        is_invalid(api_as($author, POST => '/problems/', json => $field->(description => "a${c}b")), 'located',
            ['description'], "$code in a text is rejected");
        is_invalid(api_as($author, POST => '/problems/', json => $field->(hints => ['a', "b$c"])), 'located', ['hints'],
            "$code in an array is rejected");
    }
    my $text = "line\r\n\tindented \\u0001 \x{85} \x{1F600}";
    my $made = api_as($author, POST => '/problems/', json => { %problem, description => $text, hints => [$text] });
    is($made->status, 201, 'tabs, line breaks and escaped backslashes are accepted') || diag($made->summary);
    is_deeply([@{ $made->json->{problem} }{qw(description hints)}], [$text, [$text]], 'and stored as sent');
    my $path = '/problems/' . $made->json->{problem}{id};
    is_invalid(api_as($author, PUT => $path, json => { description => "\2" }), 'located', ['description'],
        'a change is validated as well');
};

# Locks a table, so that searches wait until their timeout, and calls the sub.
sub while_locked {
    my ($table, $work) = @_;
    my $db = database()->clone;
    $db->begin_work;
    $db->do("LOCK TABLE $table IN ACCESS EXCLUSIVE MODE");
    my @result = $work->();
    $db->rollback;
    $db->disconnect;
    return @result;
}

# Runs concurrent searches, which last a second each, until the statuses fit: on a busy machine a client may come when
# another search has ended.
sub statuses_of {
    my ($search, $fits) = @_;
    my @statuses;
    for (1 .. 3) {
        @statuses = while_locked('learnhub.problems', $search);
        last if $fits->(@statuses);
    }
    return @statuses;
}

subtest 'Searches leave connections to others' => sub {
    my @statuses = while_locked('learnhub.problems', sub {
            parallel 48, sub {
                my ($i) = @_;
                return join ' ', map { api_as($other, GET => '/users/me')->status } 1 .. 20 if $i >= 40;
                my $path = '/problems/search/query?limit=1&q=' . qw(zq zqzq zq.q) [$i % 3];
                return api(GET => $path, from => '127.0.0.' . (2 + $i % 4))->status;
            };
    });
    is_deeply([@statuses[40 .. 47]], [(join ' ', (200) x 20) x 8], 'reads by others succeed while 40 searches wait');
    is_deeply([grep { !/^(?:422|429|503)$/ } @statuses[0 .. 39]], [], 'each search ends in time');
    my $search = sub { api(GET => '/problems/search/query?q=a.*b', from => '127.0.0.3')->status };
    my @expressions = statuses_of(sub { parallel 12, $search }, sub { 4 >= grep { $_ != 429 } @_ });
    cmp_ok(scalar(grep { $_ != 429 } @expressions), '<=', 4,
        'each of two processes searches for at most two expressions of an address at once');
    cmp_ok(scalar(grep { $_ == 429 } @expressions), '>=', 8, 'further ones are rejected');
};

# A process searches once at a time. Each search lasts a second, the first one of the two addresses comes during the
# first of the other.
subtest 'Networks take turns to search' => sub {
    my $server = second_httpd("ServerLimit 1\nStartServers 1\nMaxRequestWorkers 32\nLearnHubConnectionWait 4s\n");
    my $waits = q(SELECT 1 FROM pg_locks WHERE relation = 'learnhub.problems'::regclass AND NOT granted);
    my @results = while_locked(
        'learnhub.problems',
        sub {
            parallel 18, sub {
                my ($i) = @_;
                eventually(sub { sql($waits) }) if $i >= 16;
                my ($from, $began) = ('127.0.0.' . ($i < 16 ? 5 : $i), time);
                my $reply = api(GET => '/problems/search/query?q=zqzq', from => $from, port => $server->port);
                return { from => $from, status => $reply->status, began => $began, ended => time };
            };
        }
    );
    my @of_two = @results[16, 17];
    is_deeply([map { $_->{status} } @of_two], [422, 422], 'searches from two addresses are executed');
    my @others = grep { $_->{status} == 422 } @results[0 .. 15];
    for my $one (@of_two) {
        my $before = grep { $_->{ended} > $one->{began} && $_->{ended} < $one->{ended} } @others;
        cmp_ok($before, '<=', 1, "the one from $one->{from} waits for one of another, and for no more");
    }
    $server->stop;
};

subtest 'Clients that send requests and read no responses hold no threads' => sub {
    my $few = second_httpd(<<'CONF');
SendBufferSize 16384
ServerLimit 1
StartServers 1
ThreadsPerChild 6
MinSpareThreads 1
MaxSpareThreads 6
MaxRequestWorkers 6
AsyncRequestWorkerFactor 10
CONF
    my $problem = api_as($author, POST => '/problems/', json => { %problem, description => 'x' x 60_000 })->json;
    my @clients = map { slow_reader($_, undef, port => $few->port, times => 400) }
        ('/users/nothing', '/', "/problems/$problem->{problem}{id}") x 5;
    ok(eventually(sub { stuck_connections($few) == 15 }), 'their connections wait for them');
    ok(stays_busy($few, 1), 'without a thread');
    is_deeply([map { api(GET => '/problems/?limit=1', port => $few->port)->status } 1 .. 8], [(200) x 8],
        'other clients are served');
    my ($status, undef, $rest) = rest_of($clients[0]);
    my $answers = () = $rest =~ m{HTTP/1\.1 404}g;
    is("$status, $answers more", '404, 399 more', 'a client that reads again gets all responses in order');
    close $_ for @clients;
    ok(stays_busy($few, 1), 'no thread writes to clients that have left'); # mpm_event can crash if it is stopped then
    $few->stop;
};

# The session of a user with a diagram of 700 KB, which every change returns.
sub large_session {
    my ($user) = @_;
    fill($user, 1, 700);
    return api_as($user, GET => '/sessions/user/my-sessions')->json->[0]{id};
}

subtest 'Bodies that do not arrive hold few threads' => sub {
    for my $case (['POST /api/sessions/', 401], ['POST /users/none', 404], ['PUT /users/me', 405]) {
        my $reply = raw_http("$case->[0] HTTP/1.1\r\nHost: x\r\nContent-Length: 16000\r\n\r\n{", keep => 1, wait => 5);
        like($reply, qr{^HTTP/1\.1 $case->[1] .*^Connection: close\r$}ms,
            "$case->[0] does not wait for a body that is not read");
    }
    my $server = second_httpd("ServerLimit 1\nStartServers 1\nMaxRequestWorkers 32\n");
    my $part = "POST /users/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        . "Content-Length: 16000\r\n\r\nusername=";
    my $refused = sub {
        my (@addresses) = @_;
        my @clients = map {
            IO::Socket::INET->new(PeerAddr => '127.0.0.1', LocalAddr => $_, PeerPort => $server->port)
        } @addresses;
        $_->syswrite($part) for @clients;
        my @answered;
        eventually(sub {
                my $readable = '';
                vec($readable, fileno $_, 1) = 1 for @clients;
                select $readable, undef, undef, 0;
                @answered = grep { vec $readable, fileno $_, 1 } @clients;
                return @answered >= 24;
        });
        is(api(GET => '/users/me', port => $server->port)->status, 401, 'the server answers others');
        return [map { readline($_) =~ /(\d{3})/ } @answered];
    };
    is_deeply($refused->(('127.0.59.1') x 40), [(429) x 24], 'of 40 clients of one address, 24 get 429');
    ok(stays_busy($server, 1), 'no thread waits for clients that have left');
    is_deeply($refused->(map {"127.0.59.$_"} 1 .. 40), [(503) x 24],
        'of 40 clients with as many addresses, 24 get 503: half of the threads wait');
    $server->stop;
};

subtest 'Searches for expressions at the same time' => sub {
    my $server = second_httpd("ServerLimit 1\nStartServers 1\nMaxRequestWorkers 32\n");
    my $search = sub { # waits for the lock until its timeout
        my $reply = api(GET => '/problems/search/query?q=a.*b', port => $server->port);
        return join ' ', $reply->status, $reply->header('Retry-After') // '-';
    };
    my @replies = statuses_of(sub { parallel 3, $search }, sub { grep {/^429/} @_ });
    is_deeply([sort @replies], ['422 -', '422 -', '429 1'], 'an address has two');
    $server->stop;
};

subtest 'Responses to changes beyond LearnHubSpool' => sub {
    expect_log(qr/LH0096: sessions\.pause: the connection is closed/);
    my $small = second_httpd(<<'CONF');
SendBufferSize 16384
ServerLimit 1
StartServers 1
MaxRequestWorkers 32
LearnHubSpool 1048576
CONF
    my %with = (port => $small->port);
    my @ids = map { large_session($_) } $author, $other;
    my $pause = sub {
        my ($user, $id) = @_;
        return slow_reader("/sessions/$id/pause", $user, %with, method => 'PUT', json => '{"time_spent":7}');
    };
    my @readers = map { $pause->($author, $ids[0]) } 1 .. 2;
    ok(stays_busy($small, 3), 'two responses to changes of an account hold threads');
    is_deeply([rest_of($pause->($author, $ids[0]))], [], 'for a third one the connection is closed');
    my ($stored) = sql("SELECT status, time_spent FROM learnhub.practice_sessions WHERE id = decode(?, 'hex')",
        $ids[0]);
    is_deeply($stored, { status => 'paused', time_spent => 7 }, 'the change is stored');
    my $more = $pause->($other, $ids[1]);
    ok(stays_busy($small, 4), 'another account has shares of its own');
    is_deeply([map { (rest_of($_))[0] } @readers, $more], [200, 200, 200], 'these responses are sent');
    is_deeply([(rest_of($pause->($author, $ids[0])))[0]], [200], 'so are later ones');
    $small->stop;
};

subtest 'Clients that read slowly do not hold a thread for long' => sub {
    my ($bytes, $status, $read) = split /\n/, do { local $/; readline $slow->{from} };
    waitpid $slow->{pid}, 0;
    is_deeply([$status, $read], [200, 'a part'], 'the connection is closed in the middle of the response');
    cmp_ok($bytes, '>', 100_000, 'after some time');
    $slow->{server}->stop;
};

done_testing;

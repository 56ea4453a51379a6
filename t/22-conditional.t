# SPDX-License-Identifier: Apache-2.0
# Conditional requests (RFC 9110): ETags of all shapes of responses, If-None-Match and 304, If-Match and 412, also
# concurrently and through mod_deflate.
use strict;
use warnings;
use utf8;
use lib 't/lib';
use LearnHub::Test;
use POSIX ();

my $origin = 'https://a.example';
chomp(my $folder = `apxs -q libexecdir`);
my $server = second_httpd(<<"END");
LearnHubCORS $origin
LoadModule filter_module "$folder/mod_filter.so"
LoadModule deflate_module "$folder/mod_deflate.so"
SetOutputFilter DEFLATE
END

my $teacher = signup(role => 'instructor');
my ($ada, $bob) = map { signup() } 1 .. 2;
my %tutoring = (title => 'T', description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 5);

# The body of a successful reply.
sub json_of { my ($reply) = @_; $reply->status =~ /^2/ or die $reply->summary; return $reply->json }

my $session = json_of(api_as($teacher, POST => '/api/sessions/', json => \%tutoring))->{id};
my $problem = json_of(api_as($ada, POST => '/problems/',
        json => { title => 'T', description => 'D', difficulty => 'easy' }))->{problem}{id};
my $coding = json_of(api_as($ada, POST => '/api/codingsessions/',
        json => { duration => '01:00:00', source => 'manual', session_name => 'S' }))->{data}{id};

# The headers of a reply that caches use.
sub caching { my ($reply) = @_; return map { $reply->header($_) } qw(ETag Cache-Control) }

# A GET of each shape and format: [what, user or undef, path].
my @reads = (
    ['an object, detail', $ada, '/auth/users/me/'],
    ['an object, located', undef, "/problems/$problem"],
    ['an object, flat', $ada, "/api/sessions/$session/"],
    ['an object, envelope', $ada, "/api/codingsessions/$coding/"],
    ['an object or null', $ada, "/sessions/problem/$problem"],
    ['an object without statements', undef, '/'],
    ['a page', $ada, '/api/sessions/?page_size=1'],
    ['a page with skip and limit', undef, '/problems/?limit=1'],
    ['an array', $ada, "/api/sessions/$session/participants/"],
    ['an array in the envelope', $ada, '/api/codingsessions/'],
    ['a short streamed array, list', $ada, '/availability/'],
);

for my $read (@reads) {
    my ($what, $user, $path) = @$read;
    subtest "If-None-Match: $what" => sub {
        my $control = $user ? 'private, no-cache' : 'no-cache';
        my ($got, $head) = map { api_as($user, $_ => $path) } qw(GET HEAD);
        my $tag = $got->header('ETag');
        like($tag // '', qr/^"[0-9a-f]{32}"$/, 'GET returns a strong ETag');
        is_deeply([caching($got)], [$tag, $control], 'GET may be kept and must be revalidated');
        is(api_as($user, GET => $path)->header('ETag'), $tag, 'the same body has the same ETag');
        is_deeply([$head->status, $head->body, caching($head), $head->header('Content-Length')],
            [200, '', $tag, $control, length $got->body], 'HEAD has the headers of GET');
        for my $method (qw(GET HEAD)) {
            for my $match ($tag, "W/$tag", "\"x\", W/\"y\",,$tag", ' * ') {
                my $same = api_as($user, $method => $path, headers => { 'If-None-Match' => $match });
                is_deeply([$same->status, $same->body, caching($same), $same->header('Content-Type')],
                    [304, '', $tag, $control, undef], "$method with If-None-Match: $match returns 304");
            }
        }
        my $other = api_as($user, GET => $path, headers => { 'If-None-Match' => '"x"' });
        is_deeply([$other->status, $other->body], [200, $got->body], 'another tag returns the response');
        is(api_as($user, GET => $path, headers => { 'If-Match' => $tag })->status, 200, 'If-Match with the ETag: 200');
        is(api_as($user, GET => $path, headers => { 'If-Match' => '"x"' })->status, 412, 'another If-Match: 412');
    };
}

subtest 'which responses have an ETag' => sub {
    my @tags = map { api_as($_, GET => '/auth/users/me/')->header('ETag') } $ada, $bob;
    isnt($tags[0], $tags[1], 'two users get different ETags');
    my $reply = api_as($bob, GET => '/auth/users/me/', headers => { 'If-None-Match' => $tags[0] });
    is($reply->status, 200, "another user's ETag does not match");
    for my $reply (api(GET => '/auth/users/me/'), api(GET => '/problems/' . '0' x 24),
        api_as($ada, PATCH => '/auth/users/me/', json => {}), api_as($ada, DELETE => '/auth/users/me/', json => {})) {
        is_deeply([caching($reply)], [undef, 'no-store'], $reply->name . ': ' . $reply->status . ' has no ETag');
    }
    is(api(GET => '/problems/' . '0' x 24, headers => { 'If-None-Match' => '*', 'If-Match' => '"x"' })->status, 404,
        'conditions do not change an error');
    my $token = "$ada->{token}x";
    is(api(GET => '/auth/users/me/', token => $token, headers => { 'If-None-Match' => $tags[0] })->status, 401,
        'a matching ETag without a valid token returns 401');
    sql("INSERT INTO learnhub.coding_sessions (user_id, session_name, seconds, source)
        SELECT ?, repeat('n', 200), 60, 'manual' FROM generate_series(1, 400)", user($bob->{email})->{id});
    my $long = api_as($bob, GET => '/api/codingsessions/', headers => { 'If-None-Match' => '*' });
    is_deeply([$long->status, caching($long)], [200, undef, 'no-store'], 'a long streamed list has no ETag');
};

subtest 'an ETag changes with the response' => sub {
    my $path = "/api/sessions/$session/";
    my $tag = api_as($ada, GET => $path)->header('ETag');
    is(api_as($bob, POST => "${path}join/")->status, 201, 'a user joins the session');
    my $new = api_as($ada, GET => $path, headers => { 'If-None-Match' => $tag });
    is($new->status, 200, 'the old ETag no longer matches');
    is(api_as($bob, POST => "${path}leave/")->status, 200, 'the user leaves');
    is(api_as($ada, GET => $path, headers => { 'If-None-Match' => $tag })->status, 304,
        'the same response as before has the same ETag');
};

my $me = '/auth/users/me/';

subtest 'malformed headers' => sub {
    my $tag = api_as($ada, GET => $me)->header('ETag');
    for my $bad ('', ',', 'W/', '"', 'x', "$tag\"", substr($tag, 1), substr($tag, 0, -1), "$tag x", "w/$tag", '**',
        "*, $tag", '""', "\"\xe4\"", '"' x 8000, '"x",' x 2000) {
        my $name = length $bad < 60 ? $bad : substr($bad, 0, 8) . '...';
        my $found = $bad =~ /^$tag/ ? 304 : 200;
        is(api_as($ada, GET => $me, headers => { 'If-None-Match' => $bad })->status, $found,
            "If-None-Match: $name returns $found");
    }
    my $lines = raw_http("GET $me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $ada->{token}\r\n"
            . "If-None-Match: \"x\"\r\nIf-None-Match: $tag\r\n\r\n");
    like($lines, qr{^HTTP/1.1 304 }, 'two If-None-Match lines are one list');
};

# A request to the server with CORS and mod_deflate.
sub compressed {
    my ($user, $method, $path, %headers) = @_;
    my %with = %{ delete $headers{with} || {} };
    return api_as($user, $method => $path, port => $server->port, %with,
        headers => { Origin => $origin, 'Accept-Encoding' => 'gzip', %headers });
}

subtest 'mod_deflate and CORS' => sub {
    my $plain = api_as($ada, GET => $me)->header('ETag');
    my $got = compressed($ada, GET => $me);
    (my $tag = $plain) =~ s/"$/-gzip"/;
    is_deeply([$got->header('Content-Encoding'), caching($got)], ['gzip', $tag, 'private, no-cache'],
        'the ETag of a compressed response has a suffix');
    for my $known ($plain, $tag) {
        my $same = compressed($ada, GET => $me, 'If-None-Match' => "\"x\", $known");
        is_deeply([$same->status, $same->body, caching($same)], [304, '', $known, 'private, no-cache'],
            "$known is revalidated");
        is($same->header('Access-Control-Allow-Origin'), $origin, '304 has the CORS headers');
        like($same->header('Vary') // '', qr/Origin/, '304 varies by Origin');
    }
    like($got->header('Access-Control-Expose-Headers'), qr/\bETag\b/, 'scripts can read the ETag');
    my $other = compressed($ada, GET => $me, 'If-None-Match' => $tag =~ s/gzip/gzjp/r);
    is($other->status, 200, 'another suffix does not match');
};

# ---- If-Match; t/35-routes.t tests it for every route ----

my $submission = json_of(api_as($ada, POST => '/submissions/', json => { problem_id => $problem }))->{submission}{id};
my $own = "/submissions/$submission";

# A PUT of a submission with If-Match.
sub put {
    my ($tag, $json) = @_;
    return api_as($ada, PUT => $own, json => $json, headers => { 'If-Match' => $tag });
}

subtest 'which requests If-Match protects' => sub {
    is(api_as($ada, POST => "$own/chat", json => { role => 'user', content => 'C' }, headers => { 'If-Match' => '"x"' })
            ->status, 200, 'If-Match of a POST is ignored');
    is(put('*', { score => 1 })->status, 200, 'If-Match: * matches an object');
    my @without_get = (
        ['located', $ada, PUT => '/sessions/' . '0' x 24 . '/pause', { time_spent => 1 }],
        ['detail', $ada, PATCH => '/menteeinfoupdate/', { team_number => 1 }],
        ['list', $ada, DELETE => '/availability/1/'],
    );
    for my $case (@without_get) {
        my ($format, $user, $method, $path, $json) = @$case;
        my %with = (json => $json || {}, headers => { 'If-Match' => '*' });
        is_error(api_as($user, $method => $path, %with), $format, 412, qr/has no GET/,
            "$method $path: If-Match is rejected, because the path has no GET");
    }
    is_invalid(put('"x"', { score => 'x' }), 'located', ['score'], 'invalid input is reported before the condition');
    my $stranger = api_as($bob, PUT => $own, json => { score => 9 }, headers => { 'If-Match' => '*' });
    is_error($stranger, 'located', 412, '* does not match an object that the caller cannot read');
    is(api_as($ada, GET => $own)->json->{score}, 1, 'and it is not changed');
};

subtest 'If-Match with mod_deflate and CORS' => sub {
    my $tag = compressed($ada, GET => $own)->header('ETag');
    like($tag, qr/-gzip"$/, 'the ETag of the compressed response has a suffix');
    my %put = (with => { json => { score => 2 } });
    is(compressed($ada, PUT => $own, %put, 'If-Match' => $tag)->status, 200, 'it matches');
    my $changed = compressed($ada, PUT => $own, with => { json => { score => 3 } }, 'If-Match' => $tag);
    is_error($changed, 'located', 412, 'after the change it does not');
    is($changed->header('Access-Control-Allow-Origin'), $origin, '412 has the CORS headers');
};

# The pid of a backend, other than this one, that waits for a lock; undef without one.
sub blocked {
    my ($other) = @_;
    return superuser()->selectrow_array('SELECT pid FROM pg_locks WHERE NOT granted AND pid <> ?', {}, $other || 0);
}

# Sends a PUT with the ETag of now from another process while a transaction of this one has changed the submission. Runs
# `meanwhile` with the pid of the backend that waits for it, ends the transaction with `end` and returns the status.
sub put_while_locked {
    my ($end, $meanwhile) = @_;
    my $tag = api_as($ada, GET => $own)->header('ETag');
    pipe my $from, my $to or die $!;
    my $database = database()->clone;
    $database->begin_work;
    $database->do("UPDATE learnhub.submissions SET score = 100 - score WHERE id = decode(?, 'hex')", {}, $submission);
    my $pid = fork // die $!;
    if (!$pid) {
        syswrite $to, put($tag, { status => 'completed' })->status;
        POSIX::_exit(0);
    }
    my $backend = eventually(sub { blocked() });
    ok($backend, 'the request waits for the lock');
    $meanwhile->($backend) if $meanwhile;
    $database->$end;
    sysread $from, my $status, 3;
    waitpid $pid, 0;
    return $status;
}

subtest 'a change that is not committed yet' => sub {
    is(put_while_locked('commit'), 412, 'the request sees the change after its commit');
    is(api_as($ada, GET => $own)->json->{status}, 'in-progress', 'and changes nothing');
    is(put_while_locked('rollback'), 200, 'after a rollback it succeeds');
    my $kill = sub {
        my ($backend) = @_;
        superuser()->do('SELECT pg_terminate_backend(?)', {}, $backend);
        ok(eventually(sub { blocked($backend) }), 'it is repeated on another connection after a lost one');
    };
    is(put_while_locked('commit', $kill), 412, 'and then compares the ETag again');
    my $open = "SELECT count(*) FROM pg_stat_activity
        WHERE application_name = 'mod_learnhub' AND xact_start IS NOT NULL";
    ok(eventually(sub { !superuser()->selectrow_array($open) }), 'no connection is left in a transaction');
};

subtest 'concurrent changes with the same ETag' => sub {
    my ($processes, $changes) = (4, 12);
    my @counts = parallel($processes, sub {
            my ($won, $lost) = (0, 0);
            while ($won < $changes) {
                my $got = api_as($ada, GET => $own);
                my $reply = put($got->header('ETag'), { time_spent => $got->json->{time_spent} + 1 });
                $reply->status == 200 ? $won++ : $reply->status == 412 ? $lost++ : die $reply->summary;
            }
            return $lost;
    });
    my $lost = 0;
    $lost += $_ for @counts;
    is(api_as($ada, GET => $own)->json->{time_spent}, $processes * $changes, 'no increment is lost');
    cmp_ok($lost, '>', 0, "some were late: $lost");
    for my $round (1 .. 10) {
        my $tag = api_as($ada, GET => $own)->header('ETag');
        my @statuses = sort map { $_->{status} } parallel(3, sub { put($tag, { score => $round * 3 + $_[0] }) });
        is("@statuses", '200 412 412', 'one of three changes with the same ETag succeeds');
    }
};

done_testing;

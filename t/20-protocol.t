# SPDX-License-Identifier: Apache-2.0
# Rules of HTTP that hold for every API: error formats, methods, bodies and their limits, forms and queries, the
# module's own pages, CORS, the paths the module serves, and errors of httpd itself.
use strict;
use warnings;
use utf8;

use LearnHub::Test;

my $json = 'application/json';
my $form = 'application/x-www-form-urlencoded';
my $teacher = signup(role => 'instructor');
my $authorization = "Authorization: Bearer $teacher->{token}\r\n";
my $valid = JSON::XS->new->utf8->encode(
    { title => 'T', description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 5 });

# POST /api/sessions/ with a body of this Content-Type.
sub post {
    my ($body, $type) = @_;
    return api_as($teacher, POST => '/api/sessions/', body => $body, headers => { 'Content-Type' => $type // $json });
}

# POST with a body of this Content-Type to a path of practice.
sub post_to {
    my ($path, $type, $body) = @_;
    return api(POST => $path, body => $body, headers => { 'Content-Type' => $type });
}

# POST /api/sessions/ with the token of the teacher, followed by these header lines and the body.
sub raw_post {
    my ($rest, %with) = @_;
    return raw_http("POST /api/sessions/ HTTP/1.1\r\nHost: x\r\n$authorization$rest", %with);
}

my %format = ('/users' => 'located', '/auth' => 'detail', '/api/sessions' => 'flat', '/api/admin' => 'detail');
my @unknown = qw(a%2Fb %00 no/such/thing x/../none %ff/x);
for my $prefix (sort keys %format) {
    subtest "unknown paths below $prefix" => sub {
        for my $path ((map {"$prefix/$_"} @unknown), "$prefix//none//x") {
            my $reply = api(GET => $path);
            is_error($reply, $format{$prefix}, 404, "GET $path returns 404 in the API's error format");
            unlike($reply->body, qr/<html|SELECT|pgsql|\.c:/i,
                "the 404 of $path contains no HTML, SQL or name of a source file");
        }
        is_error(api(FROB => "$prefix/none"), $format{$prefix}, 404,
            "an unknown method on an unknown path below $prefix returns 404");
    };
}

subtest 'unexpected requests' => sub {
    is(api(GET => '/usersx')->header('Content-Type') =~ /json/ ? 1 : 0, 0, '/usersx does not belong to /users');
    is_error(api(POST => '/api/sessions/1/join/', body => 'x' x 2_000_000), 'flat', 413,
        'a body above the limit returns 413 also on a route without a body');
    is_error(api(GET => '/api/sessions/' . 'x' x 8000), 'flat', 404, 'a path of 8000 characters returns 404');
};

subtest 'methods' => sub {
    is_error(api(PATCH => '/users/me'), 'located', 405);
    is(api(PATCH => '/users/me')->header('Allow'), 'GET, HEAD, OPTIONS', 'a 405 lists the allowed methods in Allow');
    is_error(api(FROB => '/users/me'), 'located', 405, 'an unknown method on a known path returns 405');
    is_error(api(GET => '/api/sessions/1/join/'), 'flat', 405);
};

subtest 'HEAD and OPTIONS' => sub {
    my ($get, $head) = map { api_as($teacher, $_ => '/api/sessions/') } qw(GET HEAD);
    is($get->header('Content-Type'), $json, 'GET /api/sessions/ returns JSON');
    is_deeply([$head->status, $head->body, $head->header('Content-Type')], [200, '', $json],
        'HEAD returns the status and type of GET without a body');
    is($head->header('Content-Length'), length $get->body, 'HEAD returns the Content-Length of GET');
    is_deeply([map { $_->status, $_->body } api(HEAD => '/api/sessions/')], [401, ''],
        'HEAD without a token returns 401 without a body');
    my $options = api(OPTIONS => '/api/sessions/5');
    is_deeply([$options->status, $options->body, $options->header('Allow')],
        [204, '', 'GET, HEAD, PUT, PATCH, DELETE, OPTIONS'], 'OPTIONS returns 204 with the methods in Allow');
    is_error(api(OPTIONS => '/api/sessions/5/none'), 'flat', 404);
};

my %malformed = (
    'truncated JSON' => '{"title"', 'a bare word' => 'title', 'two JSON values' => '{} {}',
    'a trailing comma' => '{"a":1,}', 'a duplicate key' => '{"title":"a","title":"b"}',
    'invalid UTF-8' => "{\"title\":\"\xff\"}", 'a lone surrogate' => '{"title":"\ud800"}',
    'a NUL character' => '{"title":"a\u0000b"}', 'nesting of 8000 levels' => '[' x 8000 . ']' x 8000,
    'a number beyond double precision' => '{"max_participants":1e9999}',
);
subtest 'malformed JSON bodies' => sub {
    for my $kind (sort keys %malformed) {
        my $reply = post($malformed{$kind});
        is_invalid($reply, 'flat', ['non_field_errors'], "$kind in the body: 400 in the flat format");
        like($reply->json->{error}, qr/^The body is not valid JSON/,
            "$kind in the body: the error says that the body is not valid JSON");
        is_invalid(post_to('/users/signup', $json, $malformed{$kind}), 'located', ['body'],
            "$kind in the body: 422 in the located format");
    }
    is_invalid(post('{"title":"T","max_participants":99999999999999999999,"date":5}'), 'flat',
        [qw(date description max_participants)], 'a number beyond 64 bits is an error of its field');
    is_invalid(post($_), 'flat', ['non_field_errors'], "the body $_ is rejected: it is not an object")
        for '[]', '[{"title":"x"}]';
    is_invalid(post(''), 'flat', [qw(date description max_participants title)],
        'an empty body counts as an empty object');
};

subtest 'content types' => sub {
    is(post($valid, $_)->status, 201, "Content-Type $_ is accepted")
        for $json, 'application/json; charset=utf-8', 'Application/JSON;charset=UTF-8';
    is_error(post($valid, $_), 'flat', 415, "Content-Type $_ returns 415")
        for 'text/plain', $form, 'application/json; charset=latin1', 'application/jsonx';
    like(raw_post('Content-Length: ' . length($valid) . "\r\n\r\n$valid"), qr{^HTTP/1.1 201 },
        'a body without a Content-Type is read as JSON');
};

sub chunked {
    my ($body) = @_;
    return join '', map({ sprintf("%x\r\n%s\r\n", length, $_) } $body =~ /(.{1,700})/gs), "0\r\n\r\n";
}

# A valid body of exactly this size.
sub padded { my ($size) = @_; return $valid =~ s/\}$/',"x":"' . 'x' x ($size - length($valid) - 7) . '"}'/er }

subtest 'body size and transfer' => sub {
    my $limit = 1_048_576;
    my $joiner = signup();
    my $session = post($valid)->json->{id};
    my $chunks = "Content-Type: $json\r\nTransfer-Encoding: chunked\r\n\r\n";
    like(raw_post($chunks . chunked($valid)), qr{^HTTP/1.1 201 }, 'a chunked body is accepted');
    is(post(padded($limit))->status, 201, 'a body of exactly the limit is accepted');
    is_error(post(padded($limit + 1)), 'flat', 413, qr/$limit/, 'a body one byte above the limit returns 413');
    like(raw_post($chunks . chunked(padded($limit + 1))), qr{^HTTP/1.1 413 .*"error"}s,
        'a chunked body above the limit returns 413');
    my $large = "Content-Type: $json\r\nContent-Length: 99999999\r\n";
    my $expecting = raw_post("${large}Expect: 100-continue\r\n\r\n", keep => 1);
    like($expecting, qr{^HTTP/1.1 413 }, 'Expect: 100-continue with a Content-Length above the limit returns 413');
    unlike($expecting, qr/100 Continue/, 'the 413 to Expect: 100-continue comes without 100 Continue');
    for my $path (qw(/users/signup /users/login /auth/users/)) {
        is_error(api(POST => $path, body => 'x' x 16_385, headers => { 'Content-Type' => $json }),
            $path =~ /auth/ ? 'detail' : 'located', 413, qr/16384/, "POST $path accepts at most 16 KiB");
    }
    is_invalid(post_to('/users/signup', $json, '{"x":"' . 'x' x 16_376 . '"}'), 'located',
        [qw(email first_name last_name password)], 'POST /users/signup reads a body of 16 KiB');
    my $broken = raw_post("${chunks}zz\r\n");
    like($broken, qr{^HTTP/1.1 400 .*\{"error":}s, 'an invalid chunk size returns 400 in the error format');
    unlike($broken, qr/html|HTTP.*HTTP/s, 'an invalid chunk size returns one response without HTML');
    for my $request ("POST /api/sessions/$session/join/", 'GET /api/sessions/') {
        my $unread = raw_http("$request HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $joiner->{token}\r\n"
                . "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n");
        like($unread, qr/^HTTP\/1.1 400 /, "$request: an invalid chunk size returns 400 as well");
        unlike($unread, qr/\}\s*\{|HTTP.*HTTP/s, "$request: there is one response");
    }
    is(api(GET => "/api/sessions/$session/participants/", token => $joiner->{token})->body, '[]',
        'and the request is not executed');
    my $short = raw_post("Content-Type: $json\r\nContent-Length: 50\r\n\r\n{\"title\":");
    like($short, qr{^(HTTP/1.1 400 .*\{"error":.*)?$}s, 'a body shorter than its Content-Length creates nothing');
    my $length = length $valid;
    my $pair = raw_http("POST /api/sessions/ HTTP/1.1\r\nHost: x\r\nContent-Length: $length\r\n\r\n$valid"
            . "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    like($pair, qr{^HTTP/1.1 401 .*HTTP/1.1 200 .*"healthy"}s,
        'after a 401 with an unread body the connection serves the next request');
};

subtest 'form bodies' => sub {
    my $fields = 'username=' . uc($teacher->{email}) . '&password=a+good%20password&grant_type=password&scope=';
    is(post_to('/users/login', $form, $fields)->status, 200, 'plus signs and percent escapes in a form are decoded');
    is_invalid(post_to('/users/login', $form, $_), 'located', ['body'], "the form $_ is rejected")
        for 'username=%zz&password=x', 'username=%ff&password=x', 'username=%00&password=x';
    is_invalid(post_to('/users/login', $form, "username=x\0&password=y"), 'located', ['body'],
        'a form with a zero byte is rejected as a whole');
    is_invalid(api(POST => '/users/login', json => { username => 'x', password => 'y' }), 'located',
        [qw(password username)], 'a JSON body on a form route lacks the required fields');
};

subtest 'queries' => sub {
    my $admin = signup(role => 'admin');
    my $zoë = signup(first_name => 'Zoë +%', last_name => unique('odd'));
    my $found = api_as($admin, GET => '/api/admin/users/?q=zo%C3%AB+%2B%25+' . $zoë->{last_name});
    is_deeply([map { $_->{email} } @{ $found->json->{results} }], [$zoë->{email}],
        'plus signs and percent escapes in a query are decoded');
    is_invalid(api_as($teacher, GET => "/api/sessions/?page=$_"), 'flat', ['non_field_errors'],
        "the query page=$_ is rejected") for '%', '%4', '%ff', '%00';
    is(api_as($teacher, GET => '/api/sessions/?&&page=9&page=1&=&x')->status, 200,
        'the last value of a repeated query parameter is used, empty parameters are ignored');
};

subtest 'pages of the module' => sub {
    my $index = api(GET => '/');
    is_deeply([$index->status, keys_of($index->json)], [200, [qw(links name version)]],
        'GET / returns name, version and links');
    is(api(GET => $_)->status >= 404 ? 'missing' : 'served', 'served', "the link $_ of GET / is served")
        for grep {m{^/(health)?$}} values %{ $index->json->{links} };
    my $health = api(GET => '/health');
    is_deeply([$health->status, @{ $health->json }{qw(status database)}], [200, 'healthy', 'reachable'],
        'GET /health reports a reachable database');
    is_error(api(POST => '/health'), 'detail', 405);
    is($_->header('Content-Type'), $json, $_->name . ' returns JSON') for $index, $health, api(GET => '/users/x');
};

# The status and the CORS headers of the response to a preflight.
sub allowed {
    my ($reply) = @_;
    return [$reply->status, map { $reply->header("Access-Control-Allow-$_") } qw(Origin Methods Headers)];
}

subtest 'CORS' => sub {
    my $methods = 'GET, HEAD, POST, PUT, PATCH, DELETE';
    my $default = api(GET => '/health', headers => { Origin => 'https://a.example' });
    is($default->header('Access-Control-Allow-Origin'), undef, 'CORS is off by default');
    my $server = second_httpd("LearnHubCORS https://a.example https://b.example:8443\n");
    my %headers = (Origin => 'https://a.example', 'Access-Control-Request-Method' => 'PUT');
    my %from = (port => $server->port, headers => \%headers);
    my $preflight = api(OPTIONS => '/api/sessions/5/', %from);
    is_deeply(allowed($preflight), [204, 'https://a.example', $methods, 'Authorization, Content-Type'],
        'a preflight returns origin, methods and headers');
    like($preflight->header('Vary'), qr/Origin/, 'a preflight varies by Origin');
    for my $path ('/api/sessions/5/none', '/sessions/x%2Fy', '/users', '/auth/none/', '/health') {
        is_deeply(allowed(api(OPTIONS => $path, %from)), allowed($preflight),
            "a preflight for $path returns 204, whether the path exists or not");
    }
    for my $names ('authorization,content-type,x-csrftoken', 'x-requested-with', 'a, b') {
        local $headers{'Access-Control-Request-Headers'} = $names;
        is_deeply(allowed(api(OPTIONS => '/api/sessions/', %from)), [204, 'https://a.example', $methods, $names],
            "a preflight allows the headers $names");
    }
    local $headers{'Access-Control-Request-Headers'} = 'x-a, x(b)';
    is(api(OPTIONS => '/api/sessions/', %from)->header('Access-Control-Allow-Headers'), 'Authorization, Content-Type',
        'a preflight does not repeat a header name that is not a token');
    for my $reply (api(GET => '/health', %from), api(GET => '/api/sessions/', %from)) {
        is($reply->header('Access-Control-Allow-Origin'), 'https://a.example', $reply->name . ' allows the origin');
        like($reply->header('Access-Control-Expose-Headers'), qr/Retry-After/, $reply->name . ' exposes Retry-After');
    }
    is_error(api(GET => '/api/sessions/5/none', %from), 'flat', 404, 'the request after the preflight returns 404');
    for my $header ('Expect: frob', 'Transfer-Encoding: frob') {
        my $reply = raw_http("GET /users/me HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\n$header\r\n\r\n",
            port => $server->port);
        like($reply, qr{^HTTP/1.1 (?:417|501|400) .*\nAccess-Control-Allow-Origin: https://a.example\r\n}s,
            "errors that httpd writes carry the CORS headers: $header");
    }
    my $other = "GET /other HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\nExpect: frob\r\n\r\n";
    unlike(raw_http($other, port => $server->port), qr/Access-Control/,
        'errors for other paths carry no CORS headers');
    $headers{Origin} = 'https://a.example.evil';
    is(api($_ => '/api/sessions/5/', %from)->header('Access-Control-Allow-Origin'), undef,
        "$_ does not allow an origin that is not listed") for qw(OPTIONS GET);
    like(api($_ => '/api/sessions/5/', %from)->header('Vary'), qr/Origin/,
        "$_ varies by Origin for an origin that is not listed as well") for qw(OPTIONS GET);
    my $star = second_httpd("LearnHubCORS *\n");
    my $any = api(GET => '/health', port => $star->port, headers => { Origin => 'null' });
    is($any->header('Access-Control-Allow-Origin'), '*', 'LearnHubCORS * allows every origin');
};

subtest 'paths that the module serves' => sub {
    my $few = second_httpd("LearnHubAPI tutoring\nLearnHubPages none\n");
    is_error(api(GET => '/api/sessions/', port => $few->port), 'flat', 401, 'LearnHubAPI tutoring serves tutoring');
    is_error(api(GET => '/users/me', port => $few->port), 'located', 401, 'LearnHubAPI tutoring also serves accounts');
    unlike(api(GET => $_, port => $few->port)->header('Content-Type'), qr/json/,
        "$_ is left to httpd with LearnHubAPI tutoring and LearnHubPages none") for '/api/admin/users/', '/health', '/';
    my $off = second_httpd("LearnHub Off\n");
    unlike(api(GET => '/users/me', port => $off->port)->header('Content-Type'), qr/json/,
        'LearnHub Off leaves all paths to httpd');
};

subtest 'errors of httpd in the API error formats' => sub {
    my $denying = second_httpd("<Location /api/sessions>\nRequire ip 10.9.8.7\n</Location>\n");
    is_error(api_as($teacher, GET => '/api/sessions/', port => $denying->port), 'flat', 403,
        'a failed Require of a location returns 403 in the flat format');
    is(api(GET => '/health', port => $denying->port)->status, 200, 'Require of a location does not affect other paths');
    my $closed = second_httpd("<Location />\nRequire ip 10.9.8.7\n</Location>\n");
    is_error(api(GET => '/users/me', port => $closed->port), 'located', 403,
        'a failed Require of the whole server returns 403 in the located format');
    unlike(api(GET => '/.learnhub-error')->header('Content-Type'), qr/json/,
        'clients cannot request the internal error path');
    my $limited = second_httpd("LimitRequestBody 100\n");
    my %body = (body => 'x' x 200, headers => { 'Content-Type' => $json });
    is_error(api(POST => '/users/signup', port => $limited->port, %body), 'located', 413,
        'LimitRequestBody returns 413 in the located format');
};

# The complete reply to a request with this request line and these header lines.
sub raw_reply {
    my ($line, @headers) = @_;
    return raw_http(join("\r\n", "$line HTTP/1.1", 'Host: x', @headers, '', ''));
}

# httpd writes these errors itself, as HTML pages, before the module gets the request.
subtest 'errors of httpd that precede the module' => sub {
    my $malformed = [400, 'The request is malformed.'];
    my $unmet = [417, 'The expectation cannot be met.'];
    my $too_long = [414, 'The request URI is too long.'];
    my $long = 'b' x 9000;
    my @rejected = (
        ['Content-Length: x', $malformed],
        ['Content-Length: -1', $malformed],
        ['Transfer-Encoding: frob', $malformed],
        ['Expect: frob', $unmet],
        ["X: a\001b", $malformed],
        ["X y: a", $malformed],
        ["X: $long", $malformed],
        [join("\r\n", ('X: a') x 200), $malformed],
        ['Host: y', $malformed, 'Host: x'],
    );
    my %page = ('/users/me' => '{"detail":"%s"}', '/api/sessions/' => '{"error":"%s"}',
        '/api/credits/me/' => '{"success":false,"data":{"detail":"%s"}}');
    for my $path (sort keys %page) {
        for my $case (@rejected) {
            my ($header, $expected) = @$case;
            is_page(raw_reply("GET $path", $header), $expected, $page{$path}, "$path with " . substr $header, 0, 25);
        }
        is_page(raw_reply("GET $path$long"), $too_long, $page{$path}, "a path of 9000 characters below $path");
        is_page(raw_reply("GET $path?$long"), $too_long, $page{$path}, "a query of 9000 characters, $path");
        is_page(raw_reply("GET $path\001"), $malformed, $page{$path}, "a control character in $path");
        is_page(raw_reply("GET $path%zz"), $malformed, $page{$path}, "an invalid escape in $path");
        is_page(raw_reply("GET $path/../../../../..$path"), $malformed, $page{$path}, "a path that leaves the root");
        is_page(raw_reply("GET $path x"), $malformed, $page{$path}, "a request line with two spaces, $path");
    }
    like(raw_reply('HEAD /users/me', 'Expect: frob'),
        qr{^HTTP/1.1 417 .*\nContent-Type: application/json\r\n\r\n$}s, 'HEAD: the same without a body');
    for my $line ('GET /other', "GET /$long", 'GET /users/../other', 'GET /users/%2e%2e/other', "frob\r\n\r\n") {
        my $reply = $line =~ /\n/ ? raw_http($line) : raw_reply($line, 'Expect: frob');
        like($reply, qr{^HTTP/1.1 4.*\nContent-Type: text/html.*<html}s, 'httpd answers to ' . substr $line, 0, 25);
        unlike($reply, qr/no-store|"detail"/, 'without anything of this module');
    }
    my $two = raw_http(join "\r\n", 'GET /health HTTP/1.1', 'Host: x', '', 'GET /users/me HTTP/1.1', 'Host: x',
        'Expect: x', '', '');
    like($two, qr{^HTTP/1.1 200 .*"status":"healthy".*HTTP/1.1 417 .*\}$}s, 'the second request of a connection');
};

# One complete response with this status and the sentence in this body.
sub is_page {
    my ($reply, $expected, $format, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($status, $body) = ($expected->[0], sprintf $format, $expected->[1]);
    my ($head, $rest) = split /\r\n\r\n/, $reply, 2;
    like($head, qr{^HTTP/1.1 $status .*\nContent-Type: application/json(?:\r|$)}s, "$name: $status, JSON");
    is($rest, $body, "$name: the body");
    is($head =~ /\nContent-Length: (\d+)/ && $1, length $body, "$name: its length");
    return like($head, qr/\nCache-Control: no-store(?:\r|$)/, "$name: it is not stored");
}

done_testing;

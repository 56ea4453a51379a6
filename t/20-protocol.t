# SPDX-License-Identifier: Apache-2.0
# What holds for every API: error shapes, methods, bodies and their limits, queries, CORS, the module's own pages, and
# httpd's own refusals told in the API's shape.
use strict;
use warnings;
use utf8;

use LearnHub::Test;

my $teacher = signup(role => 'instructor');
my $authorization = "Authorization: Bearer $teacher->{token}\r\n";

sub proposal { return { title => 'T', description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 5, @_ } }
sub post { return api(POST => '/api/sessions/', token => $teacher->{token}, @_) }
sub json_type { return (headers => { 'Content-Type' => $_[0] }) }

# ---- errors are JSON in the API's shape, and say nothing of the inside ----

my %style = ('/users' => 'practice', '/auth' => 'plain', '/api/sessions' => 'tutoring', '/api/admin' => 'plain');
for my $prefix (sort keys %style) {
    for my $path ("$prefix/a%2Fb", "$prefix/%00", "$prefix/no/such/thing", "$prefix/x/../none", "$prefix/%ff/x", "$prefix//none//x") {
        my $reply = api(GET => $path);
        is_refusal($reply, $style{$prefix}, 404, "GET $path");
        unlike($reply->body, qr/<html|SELECT|pgsql|\.c:/i, "GET $path: nothing of the inside");
    }
    is_refusal(api(FROB => "$prefix/none"), $style{$prefix}, 404, "an unknown method below $prefix");
}
is(api(GET => '/usersx')->header('Content-Type') =~ /json/ ? 1 : 0, 0, '/usersx is not below /users');
is_refusal(api(POST => '/api/sessions/1/join/', body => 'x' x 2_000_000), 'tutoring', 413, 'a large body where none is wanted');
my $long = api(GET => '/api/sessions/' . 'x' x 8000);
is_refusal($long, 'tutoring', 404, 'a long path');
is_refusal(api(PATCH => '/users/me'), 'practice', 405);
is(api(PATCH => '/users/me')->header('Allow'), 'GET, HEAD, OPTIONS', 'Allow');
is_refusal(api(FROB => '/users/me'), 'practice', 405, 'a method nobody knows');
is_refusal(api(GET => '/api/sessions/1/join/'), 'tutoring', 405);

# ---- HEAD and OPTIONS ----

my ($get, $head) = map { api($_ => '/api/sessions/', token => $teacher->{token}) } qw(GET HEAD);
is_deeply([$head->status, $head->body, $head->header('Content-Type')], [200, '', 'application/json'], 'HEAD');
is($head->header('Content-Length'), length $get->body, 'HEAD says how long GET is');
is_deeply([map { $_->status, $_->body } api(HEAD => '/api/sessions/')], [401, ''], 'HEAD without a token');
my $options = api(OPTIONS => '/api/sessions/5');
is_deeply([$options->status, $options->body, $options->header('Allow')],
    [204, '', 'GET, HEAD, PUT, PATCH, DELETE, OPTIONS'], 'OPTIONS');
is_refusal(api(OPTIONS => '/api/sessions/5/none'), 'tutoring', 404);

# ---- bodies ----

my %bad = (
    'not JSON' => '{"title"', 'nothing but a word' => 'title', 'two values' => '{} {}', 'a trailing comma' => '{"a":1,}',
    'a duplicate key' => '{"title":"a","title":"b"}', 'invalid UTF-8' => "{\"title\":\"\xff\"}",
    'a surrogate' => '{"title":"\ud800"}', 'a zero character' => '{"title":"a\u0000b"}',
    'deep nesting' => '[' x 100000 . ']' x 100000, 'a huge number' => '{"max_participants":1e9999}',
);
for my $what (sort keys %bad) {
    my $reply = post(body => $bad{$what}, json_type('application/json'));
    is_invalid($reply, 'tutoring', ['non_field_errors'], "$what is malformed");
    like($reply->json->{error}, qr/^The body is not valid JSON/, "$what: a sentence");
    my $practice = api(POST => '/users/signup', body => $bad{$what}, json_type('application/json'));
    is_invalid($practice, 'practice', ['body'], "$what, in practice's shape");
}
is_invalid(post(body => '{"title":"T","max_participants":99999999999999999999,"date":5}', json_type('application/json')), 'tutoring',
    [qw(date description max_participants)], 'a number beyond 64 bits is the fault of its field');
is_invalid(post(body => $_, json_type('application/json')), 'tutoring', ['non_field_errors'], "$_ is no object")
    for '[]', '[{"title":"x"}]';
is_invalid(post(body => '', json_type('application/json')), 'tutoring', [qw(date description max_participants title)],
    'no body is an empty object');

my $text = JSON::XS->new->utf8->encode(proposal());
is(post(body => $text, json_type($_))->status, 201, "Content-Type: $_")
    for 'application/json', 'application/json; charset=utf-8', 'Application/JSON;charset=UTF-8';
is_refusal(post(body => $text, json_type($_)), 'tutoring', 415, "Content-Type: $_")
    for 'text/plain', 'application/x-www-form-urlencoded', 'application/json; charset=latin1', 'application/jsonx';
my $length = length $text;
my $untyped = raw_http("POST /api/sessions/ HTTP/1.1\r\nHost: x\r\n${authorization}Content-Length: $length\r\n\r\n$text");
like($untyped, qr{^HTTP/1.1 201 }, 'no type is read as JSON');

sub chunked { my ($body) = @_; return join '', map({ sprintf("%x\r\n%s\r\n", length, $_) } $body =~ /(.{1,700})/gs), "0\r\n\r\n" }
my $start = "POST /api/sessions/ HTTP/1.1\r\nHost: x\r\n${authorization}Content-Type: application/json\r\n";
like(raw_http("${start}Transfer-Encoding: chunked\r\n\r\n" . chunked($text)), qr{^HTTP/1.1 201 }, 'a chunked body');

my $limit = 1_048_576;
sub padded { my ($size) = @_; return $text =~ s/\}$/',"x":"' . 'x' x ($size - length($text) - 7) . '"}'/er }
is(post(body => padded($limit), json_type('application/json'))->status, 201, 'a body of exactly the limit');
is_refusal(post(body => padded($limit + 1), json_type('application/json')), 'tutoring', 413, qr/$limit/);
like(raw_http("${start}Transfer-Encoding: chunked\r\n\r\n" . chunked(padded($limit + 1))), qr{^HTTP/1.1 413 .*"error"}s,
    'chunked above the limit');
my $expecting = raw_http("${start}Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n", keep => 1);
like($expecting, qr{^HTTP/1.1 413 }, 'too much is refused before it is sent for');
unlike($expecting, qr/100 Continue/, 'and nobody is told to go on');
my $broken = raw_http("${start}Transfer-Encoding: chunked\r\n\r\nzz\r\n");
like($broken, qr{^HTTP/1.1 400 .*\{"error":}s, 'broken chunks');
unlike($broken, qr/html|HTTP.*HTTP/s, 'are answered once, and not as a page');
like(raw_http("${start}Content-Length: 50\r\n\r\n{\"title\":"), qr{^(HTTP/1.1 400 .*\{"error":.*)?$}s,
    'a body that ends early is no session');

# A refusal leaves the connection in order, its unread body included.
my $twice = raw_http("POST /api/sessions/ HTTP/1.1\r\nHost: x\r\nContent-Length: $length\r\n\r\n$text"
        . "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
like($twice, qr{^HTTP/1.1 401 .*HTTP/1.1 200 .*"healthy"}s, 'keep-alive after a 401 with an unread body');

# ---- forms and queries ----

my $form = 'username=' . uc($teacher->{email}) . '&password=a+good%20password&grant_type=password&scope=';
my $typed = 'application/x-www-form-urlencoded';
is(api(POST => '/users/login', body => $form, json_type($typed))->status, 200, 'plus and percent in a form');
is_invalid(api(POST => '/users/login', body => $_, json_type($typed)), 'practice', ['body'], "the form $_")
    for 'username=%zz&password=x', 'username=%ff&password=x', 'username=%00&password=x';
is_invalid(api(POST => '/users/login', json => { username => 'x', password => 'y' }), 'practice', [qw(password username)],
    'a form is wanted');

my $admin = signup(role => 'admin');
my $odd = signup(first_name => 'Zoë +%', last_name => unique('odd'));
my $found = api(GET => '/api/admin/users/?q=zo%C3%AB+%2B%25+' . $odd->{last_name}, token => $admin->{token});
is_deeply([map { $_->{email} } @{ $found->json->{results} }], [$odd->{email}], 'plus and percent in a query');
is_invalid(api(GET => "/api/sessions/?page=$_", token => $teacher->{token}), 'tutoring', ['non_field_errors'], "page=$_")
    for '%', '%4', '%ff', '%00';
is(api(GET => '/api/sessions/?&&page=9&page=1&=&x', token => $teacher->{token})->status, 200, 'the last value counts');

# ---- the module's own pages ----

my $index = api(GET => '/');
is_deeply([$index->status, keys_of($index->json)], [200, [qw(links name version)]], 'GET /');
is(api(GET => $_)->status >= 404 ? 'lost' : 'there', 'there', "the link $_") for grep {m{^/(health)?$}} values %{ $index->json->{links} };
my $health = api(GET => '/health');
is_deeply([$health->status, @{ $health->json }{qw(status database)}], [200, 'healthy', 'reachable'], 'GET /health');
is_refusal(api(POST => '/health'), 'plain', 405);
is($_->header('Content-Type'), 'application/json', $_->name . ': type') for $index, $health, $get, api(GET => '/users/x');

# ---- CORS ----

is(api(GET => '/health', headers => { Origin => 'https://a.example' })->header('Access-Control-Allow-Origin'), undef,
    'off by default');
my $one = second_httpd("LearnHubCORS https://a.example https://b.example:8443\n");
my %from = (port => $one->port, headers => { Origin => 'https://a.example', 'Access-Control-Request-Method' => 'PUT' });
my $preflight = api(OPTIONS => '/api/sessions/5/', %from);
is_deeply([$preflight->status, map { $preflight->header("Access-Control-Allow-$_") } qw(Origin Methods Headers)],
    [204, 'https://a.example', 'GET, HEAD, PUT, PATCH, DELETE, OPTIONS', 'Authorization, Content-Type, Idempotency-Key'],
    'a preflight');
like($preflight->header('Vary'), qr/Origin/, 'Vary');
for my $reply (api(GET => '/health', %from), api(GET => '/api/sessions/', %from)) {
    is($reply->header('Access-Control-Allow-Origin'), 'https://a.example', $reply->name . ': allowed');
    like($reply->header('Access-Control-Expose-Headers'), qr/Retry-After/, $reply->name . ': headers to read');
}
$from{headers}{Origin} = 'https://a.example.evil';
is(api($_ => '/api/sessions/5/', %from)->header('Access-Control-Allow-Origin'), undef, "$_ from elsewhere") for qw(OPTIONS GET);
my $star = second_httpd("LearnHubCORS *\n");
is(api(GET => '/health', port => $star->port, headers => { Origin => 'null' })->header('Access-Control-Allow-Origin'), '*', '*');

# ---- which paths are ours ----

my $few = second_httpd("LearnHubAPI tutoring\nLearnHubPages none\n");
is_refusal(api(GET => '/api/sessions/', port => $few->port), 'tutoring', 401, 'tutoring is served');
is_refusal(api(GET => '/users/me', port => $few->port), 'practice', 401, 'accounts are always served');
unlike(api(GET => $_, port => $few->port)->header('Content-Type'), qr/json/, "$_ is httpd's own") for '/api/admin/users/', '/health', '/';
my $off = second_httpd("LearnHub Off\n");
unlike(api(GET => '/users/me', port => $off->port)->header('Content-Type'), qr/json/, 'LearnHub Off: not ours');

# ---- httpd's own refusals ----

my $denying = second_httpd("<Location /api/sessions>\nRequire ip 10.9.8.7\n</Location>\n");
is_refusal(api(GET => '/api/sessions/', port => $denying->port, token => $teacher->{token}), 'tutoring', 403, 'Require, in the shape of the API');
is(api(GET => '/health', port => $denying->port)->status, 200, 'other paths are not denied');
my $closed = second_httpd("<Location />\nRequire ip 10.9.8.7\n</Location>\n");
is_refusal(api(GET => '/users/me', port => $closed->port), 'practice', 403, 'everything denied, still in its shape');
unlike(api(GET => '/.learnhub-refused')->header('Content-Type'), qr/json/, 'the inner path is not there for clients');
my $limited = second_httpd("LimitRequestBody 100\n");
is_refusal(api(POST => '/users/signup', port => $limited->port, body => 'x' x 200, json_type('application/json')), 'practice', 413,
    'LimitRequestBody, in the shape of the API');

done_testing();

# SPDX-License-Identifier: Apache-2.0
# GET /openapi.json: the OpenAPI document. Compares it with the compiled routes, validates it, and compiles and runs a
# TypeScript client with the types that are generated from it.
use strict;
use warnings;
use lib 't/lib';
use JSON::XS ();
use LearnHub::Routes;
use LearnHub::Test;

# Redocly sends nothing.
local @ENV{qw(REDOCLY_TELEMETRY REDOCLY_SUPPRESS_UPDATE_NOTICE)} = qw(off true);
my $packages = "$top/build/openapi";
my @routes = @{ LearnHub::Routes::table()->{routes} };
my $reply = api(GET => '/openapi.json');
my $document = $reply->json;

# The operations of a document by operationId, each with `method` and `path`.
sub operations {
    my ($from) = @_;
    my %found;
    for my $path (sort keys %{ $from->{paths} }) {
        for my $method (sort keys %{ $from->{paths}{$path} }) {
            my $operation = $from->{paths}{$path}{$method};
            $found{ $operation->{operationId} } = { %$operation, method => uc $method, path => $path };
        }
    }
    return \%found;
}

# Follows a reference.
sub resolve {
    my ($object, $from) = @_;
    my $at = $from || $document;
    return $object if !$object->{'$ref'};
    $at = $at->{$_} for split m{/}, $object->{'$ref'} =~ s{^#/}{}r;
    return $at;
}

sub parameters { my ($operation) = @_; return map { resolve($_) } @{ $operation->{parameters} || [] } }

# The names of the parameters in `path`, `query` or `header`.
sub names_in {
    my ($in, $operation) = @_;
    return [sort map { $_->{name} } grep { $_->{in} eq $in } parameters($operation)];
}

# Writes a file to the folder with the packages.
sub put {
    my ($name, $content) = @_;
    open my $out, '>', "$packages/$name" or die "$name: $!";
    print $out $content;
    return close $out;
}

# Runs a program of a package; returns its exit code and output.
sub node {
    my ($program, @arguments) = @_;
    my $output = `cd '$packages' && node node_modules/$program @arguments 2>&1`;
    return ($? >> 8, $output);
}

subtest 'the response' => sub {
    is($reply->status, 200, 'needs no token');
    is($reply->header('Content-Type'), 'application/json', 'is JSON');
    is($reply->header('Cache-Control'), 'no-cache', 'may be kept and must be revalidated');
    my $tag = $reply->header('ETag');
    like($tag, qr/^"[0-9a-f]{32}"$/, 'has a strong ETag');
    is(api(GET => '/openapi.json', headers => { 'If-None-Match' => $tag })->status, 304, 'If-None-Match: 304');
    is(api(GET => '/openapi.json', headers => { 'If-Match' => '"x"' })->status, 412, 'If-Match: 412');
    my $head = api(HEAD => '/openapi.json');
    is_deeply([$head->status, $head->body, $head->header('Content-Length'), $head->header('ETag')],
        [200, '', length $reply->body, $tag], 'HEAD has the headers of GET');
    is(api(GET => '/openapi.json')->body, $reply->body, 'it does not change');
    is(api(GET => '/')->json->{links}{'openapi.json'}, '/openapi.json', 'GET / has a link');
    cmp_ok(length $reply->body, '<', 600_000, 'it is not too large');
};

subtest 'operations and routes' => sub {
    my $operations = operations($document);
    is_deeply([sort keys %$operations], [sort map { $_->{name} } @routes], 'each route is an operation');
    for my $route (@routes) {
        my $operation = $operations->{ $route->{name} } or next;
        my $path = $route->{path} =~ s/\{(\w+):\w+\}/{$1}/gr;
        is_deeply([@$operation{qw(method path)}], [$route->{method}, $path], "$route->{name}: method and path");
        is_deeply([!!@{ $operation->{security} }, !!$operation->{responses}{401}],
            [!!$route->{roles}, !!($route->{roles} || $operation->{responses}{401})], "$route->{name}: security");
        is_deeply(names_in(path => $operation), [sort $route->{path} =~ /\{(\w+):/g], "$route->{name}: path");
        my %query = map { $_ => 1 } @{ names_in(query => $operation) };
        is_deeply([grep { !$query{$_} } map { $_->{name} } @{ $route->{query} }], [], "$route->{name}: query");
        my %headers = map { $_ => 1 } @{ names_in(header => $operation) };
        is(!!$headers{'Idempotency-Key'}, !!$route->{idempotent}, "$route->{name}: Idempotency-Key");
        ok($operation->{responses}{ $route->{status} }, "$route->{name}: $route->{status}");
        is(!!$operation->{requestBody}, !!@{ $route->{body} }, "$route->{name}: body");
    }
};

subtest 'what the routes imply' => sub {
    my $operations = operations($document);
    my $page = $operations->{'tutoring.list'};
    my ($size) = grep { $_->{name} eq 'page_size' } parameters($page);
    is_deeply([@{ $size->{schema} }{qw(type minimum default)}], ['integer', 1, 10], 'page_size has its bounds');
    my ($limit) = grep { $_->{name} eq 'limit' } parameters($operations->{'problems.list'});
    is_deeply([@{ $limit->{schema} }{qw(minimum maximum default)}], [1, 100, 100], 'and so has limit');
    my $body = resolve($operations->{'tutoring.create'}{requestBody}{content}{'application/json'}{schema});
    is_deeply($body->{properties}{max_participants}{minimum}, 2, 'a number has its minimum');
    is_deeply([sort @{ $body->{required} }], [qw(date description max_participants title)], 'required fields');
    my $join = $operations->{'tutoring.join'}{responses}{400}{content}{'application/json'};
    is_deeply($join->{examples}{full}{value}, { error => 'This session is full.' },
        'an error of a route is an example in the format of its group');
    is_deeply([sort keys %{ $operations->{'profile.update'}{requestBody}{content} }],
        [qw(application/json multipart/form-data)], 'a body can have several media types');
    my $profile = $operations->{'profile.update'}{requestBody}{content};
    is($profile->{'multipart/form-data'}{schema}{properties}{profile_photo}{format}, 'binary', 'a photo is a file');
    is(resolve($profile->{'application/json'}{schema})->{properties}{profile_photo}{type}, 'null',
        'JSON can only remove it');
    my $register = resolve($operations->{'xp.register'}{requestBody}{content}{'application/json'}{schema});
    is_deeply($register->{allOf}, [{ anyOf => [{ required => ['activity_id'] }, { required => ['activity'] }] }],
        'one of two names is required');
    ok($operations->{'xp.register'}{responses}{$_}, "xp.register: $_") for 200, 201;
    ok($operations->{'coding.update'}{responses}{412}, 'If-Match of a PUT: 412');
    is_deeply(names_in(header => $operations->{'coding.update'}), ['If-Match'], 'and the header');
    is_deeply(names_in(header => $operations->{'coding.get'}), [qw(If-Match If-None-Match)], 'headers of a GET');
    is($operations->{'users.login'}{'x-rate-limit'}{class}, 'login', 'the class of LearnHubRate');
    my @scheme = sort keys %{ $document->{components}{securitySchemes} };
    is_deeply(\@scheme, [qw(bearer token)], 'both kinds of tokens');
};

# The words that the CHECK constraint of a column allows, or those of a table that it refers to.
sub allowed {
    my ($table, $column) = @_;
    return map { $_->{word} } sql("SELECT $column AS word FROM learnhub.$table") if $table eq 'eco_kinds';
    my @checks = sql(
        'SELECT pg_get_constraintdef(c.oid) AS text FROM pg_constraint c '
            . 'JOIN pg_attribute a ON a.attrelid = c.conrelid AND c.conkey = ARRAY[a.attnum] '
            . q{WHERE c.contype = 'c' AND c.conrelid = ('learnhub.' || ?)::regclass AND a.attname = ?},
        $table, $column);
    my ($words) = map { $_->{text} =~ /= ANY \(\(?ARRAY\[(.*?)\]/ } @checks;
    return map {s/^'?(.*?)'?(?:::\w+)?$/$1/r} split /, /, $words // '';
}

my @closed = (
    ['AdminUser role', 'users role'],
    ['CodingActivity activity', 'eco_kinds kind'],
    ['CodingActivity status', 'eco_activities status', sub { uc $_[0] }],
    ['CodingSession source', 'coding_sessions source'],
    ['CodingSession status', 'coding_sessions status'],
    ['EcoActivity kind', 'eco_kinds kind'],
    ['EcoActivity status', 'eco_activities status'],
    ['EcoCreateBody kind', 'eco_kinds kind'],
    ['FocusSession activity type', 'activities type'],
    ['FocusSession completed_reason', 'xp_sessions completed_reason'],
    ['FocusSession status', 'xp_sessions status'],
    ['Goal status', 'goals status'],
    ['MentoringSession session_length', 'mentoring_sessions session_length'],
    ['MentoringSession status', 'mentoring_sessions status'],
    ['Participant role', 'tutoring_participants role'],
    ['Participant user role', 'users role'],
    ['PracticeSession status', 'practice_sessions status'],
    ['Problem difficulty', 'problems difficulty'],
    ['RedemptionResult redemption reward_category', 'rewards category'],
    ['Reward category', 'rewards category'],
    ['Reward category_display', 'rewards category', sub { ucfirst $_[0] }],
    ['Submission status', 'submissions status'],
    ['TutoringLogin user role', 'users role'],
    ['TutoringSession creator role', 'users role'],
    ['TutoringSession status', 'tutoring_sessions status'],
    ['TutoringSessionSummary creator role', 'users role'],
    ['TutoringSessionSummary status', 'tutoring_sessions status'],
    ['TutoringUser role', 'users role'],
    ['XpUser role', 'users role'],
);

# The paths of strings that one expects to be words of a closed set, and that have no `enum`.
sub open_words {
    my ($at, $schema) = @_;
    my @inner = map { [$_, $schema->{properties}{$_}] } sort keys %{ $schema->{properties} || {} };
    push @inner, ['[]', $schema->{items}] if $schema->{items};
    push @inner, map { ['', $_] } @{ $schema->{anyOf} || [] };
    my $is_open = $at =~ / (?:role|status|kind|difficulty|source|session_length|completed_reason|activity_type)$/
        && !$schema->{enum} && !$schema->{anyOf};
    return (($is_open ? $at : ()), map { open_words($_->[0] eq '' ? $at : "$at $_->[0]", $_->[1]) } @inner);
}

subtest 'closed sets of words' => sub {
    my $schemas = $document->{components}{schemas};
    for (@closed) {
        my ($path, $column, $form) = @$_;
        my ($name, @keys) = split / /, $path;
        my $schema = $schemas->{$name};
        $schema = $schema->{properties}{$_} for @keys;
        my @allowed = map { $form ? $form->($_) : $_ } allowed(split / /, $column);
        is_deeply([sort grep {defined} @{ $schema->{enum} }], [sort @allowed], "$path: as in the database");
    }
    is_deeply([map { open_words($_, $schemas->{$_}) } grep { !/Body$/ } sort keys %$schemas],
        ['Record kind'], 'further kinds of records may be added; no other set of words in responses is open');
};

subtest 'the document is valid' => sub {
    put('openapi.json', $reply->body);

    # A relative path: access() fails below a closed directory, whose rights the tests bypass.
    put('redocly.yaml', slurp("$top/t/openapi/redocly.yaml"));
    my ($status, $output) =
        node('@redocly/cli/bin/cli.js', qw(lint openapi.json --format=json --config=redocly.yaml));
    my ($found) = $output =~ /^(\{.*\})/ms;
    my $problems = eval { JSON::XS->new->utf8->decode($found // '') } || {};
    is_deeply($problems->{totals}, { errors => 0, warnings => 0, ignored => 0 }, 'Redocly finds nothing')
        || diag($output =~ s/(.{4000}).*/$1/sr);
    is($status, 0, 'and succeeds');
};

my $server = second_httpd(<<'END');
LearnHubPrefix /learn
LearnHubAPI tutoring
LearnHubRate login 70/1m
LearnHubMaxBody 4096
END
my $small = api(GET => '/learn/openapi.json', port => $server->port);

subtest 'another server' => sub {
    my $operations = operations($small->json);
    my %apis = map { s/\..*//r => 1 } keys %$operations;
    is_deeply([sort keys %apis], [qw(auth service tutoring tutoring_login users)], 'APIs that are off are absent');
    is($small->json->{servers}[0]{url}, '/learn', 'LearnHubPrefix is in the URL of the server');
    is_deeply($operations->{'users.login'}{'x-rate-limit'},
        { class => 'login', address => { requests => 70, seconds => 60 } }, 'the limits of LearnHubRate');
    like($operations->{'tutoring.create'}{requestBody}{description}, qr/\b4096\b/, 'LearnHubMaxBody');
    like($operations->{'users.signup'}{requestBody}{description}, qr/\b4096\b/, 'also for public routes');
};

subtest 'LearnHubPages, LearnHubPublicURL' => sub {
    my $other = second_httpd("LearnHubPublicURL https://learn.example.com/\nLearnHubPages openapi\nLearnHubAPI none\n");
    my $found = api(GET => '/openapi.json', port => $other->port)->json;
    is($found->{servers}[0]{url}, 'https://learn.example.com', 'LearnHubPublicURL is the URL of the server');
    ok(!$found->{paths}{'/health'}, 'a page that is off is not described');
    $other->stop;
    my $without = second_httpd("LearnHubPages index health docs\n");
    unlike(api(GET => '/openapi.json', port => $without->port)->header('Content-Type'), qr/json/,
        'LearnHubPages without openapi leaves the path to httpd');
    ok(!api(GET => '/', port => $without->port)->json->{links}{'openapi.json'}, 'GET / has no link then');
    $without->stop;
};

subtest 'a typed client' => sub {
    my $teacher = signup(role => 'instructor');
    put('openapi.json', $small->body);
    put($_, slurp("$top/t/openapi/$_")) for qw(client.ts wrong.ts tsconfig.json);
    my ($status, $output) = node('openapi-typescript/bin/cli.js', qw(openapi.json -o api.d.ts));
    is($status, 0, 'openapi-typescript writes types') || diag($output);
    ($status, $output) = node('typescript/bin/tsc', '--project .');
    my @errors = grep {/error TS/} split /\n/, $output;
    is_deeply([map {/^(\S+?)\(.*'(seats)'/} @errors], [('wrong.ts', 'seats') x 2],
        'the client compiles; a wrong field and a wrong key do not') || diag($output);
    local @ENV{qw(API NAME PASSWORD)} =
        ('http://127.0.0.1:' . $server->port . '/learn', $teacher->{email}, $teacher->{password});
    is(`node '$packages/client.js' 2>&1`, "Typed has 6 seats, 0 taken\n", 'the client works');
};

$server->stop;

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!";
    local $/;
    return scalar <$in>;
}

done_testing();

# SPDX-License-Identifier: Apache-2.0
# Practice problems and submissions: every operation of the document, every documented error, formats, search.
use strict;
use warnings;
use utf8;

use LearnHub::Test;
use Time::HiRes ();

my $seconds = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/;
my $millis = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
my $oid = qr/^[0-9a-f]{24}$/;
my $problem_keys = [qw(categories constraints created_at created_by description difficulty estimated_time hints id
        requirements title updated_at)];
my $submission_keys = [qw(chat_messages diagram_data feedback id problem_id score status submitted_at time_spent updated_at
        user_id)];
my $listed_keys = [qw(id problem_id score status submitted_at time_spent updated_at user_id)];
my $nowhere = '0' x 24;

my $author = signup();
my $other = signup();
my $admin = signup(role => 'admin');

sub call { my ($who, $method, $path, %with) = @_; return api($method, $path, $who ? (token => $who->{token}) : (), %with) }

sub proposal { return { title => 'A cache', description => 'Somewhere between', difficulty => 'easy', @_ } }

sub problem {
    my (%over) = @_;
    my $reply = call(delete $over{by} || $author, POST => '/problems/', json => proposal(%over));
    $reply->status == 201 or die $reply->summary;
    return $reply->json->{problem};
}

sub submission {
    my (%over) = @_;
    my $reply = call(delete $over{by} || $author, POST => '/submissions/', json => { problem_id => problem()->{id}, %over });
    $reply->status == 201 or die $reply->summary;
    return $reply->json->{submission};
}

sub said {
    my ($reply, $status, $message, $key, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is($reply->status, $status, "$name: status") || diag($reply->summary);
    is_deeply([keys_of($reply->json), $reply->json->{message}], [[sort 'message', $key], $message], "$name: envelope");
    return $reply->json->{$key};
}

sub is_problem {
    my ($problem, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply(keys_of($problem), $problem_keys, "$name: keys");
    like($problem->{id}, $oid, "$name: id");
    like($problem->{$_}, $seconds, "$name: form of $_") for qw(created_at updated_at);
    is(ref $problem->{$_}, 'ARRAY', "$name: $_ is an array") for qw(categories requirements constraints hints);
    return $problem;
}

sub is_submission {
    my ($submission, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply(keys_of($submission), $submission_keys, "$name: keys");
    like($submission->{$_}, $oid, "$name: $_") for qw(id problem_id);
    like($submission->{$_}, $seconds, "$name: form of $_") for qw(submitted_at updated_at);
    is_deeply(keys_of($submission->{feedback}), [qw(improvements missing_components strengths)], "$name: keys of feedback");
    is(ref $submission->{diagram_data}, 'HASH', "$name: the diagram is an object");
    return $submission;
}

# ---- without a token, and for what is not there ----

for ([POST => '/problems/'], [GET => '/problems/user/my-problems'], [PUT => "/problems/$nowhere"],
    [DELETE => "/problems/$nowhere"], [POST => '/submissions/'], [POST => "/submissions/from-session/$nowhere"],
    [GET => "/submissions/$nowhere"], [GET => '/submissions/user/my-submissions'], [GET => "/submissions/problem/$nowhere"],
    [PUT => "/submissions/$nowhere"], [POST => "/submissions/$nowhere/chat"], [DELETE => "/submissions/$nowhere"]) {
    is_refusal(call(undef, @$_, json => {}), 'practice', 401);
    is_refusal(call({ token => 'nonsense' }, @$_, json => {}), 'practice', 401);
}
my %message = (role => 'user', content => 'Why?');
for my $id ($nowhere, 'abc', '1', 'g' x 24, '0' x 25, '%00' x 24) {
    is_refusal(call($author, @$_), 'practice', 404) for [GET => "/problems/$id"], [PUT => "/problems/$id", json => {}],
        [DELETE => "/problems/$id"], [GET => "/submissions/$id"], [PUT => "/submissions/$id", json => {}],
        [POST => "/submissions/$id/chat", json => \%message], [DELETE => "/submissions/$id"],
        [GET => "/submissions/problem/$id"], [POST => "/submissions/from-session/$id"];
}

# ---- create a problem ----

my %full = (title => '  Ein Wörterbuch  ', description => "Zwei\nZeilen", difficulty => 'medium', categories => ['Web', 'ü', ''],
    estimated_time => '45 mins', requirements => ["a\n\"b\""], constraints => ['c', 'c'], hints => []);
my $made = is_problem(said(call($author, POST => '/problems/', json => { %full, id => 'x', created_by => 'me', more => 1 }), 201,
        'Problem created successfully', 'problem', 'create'), 'create');
is_deeply({ map { $_ => $made->{$_} } keys %full }, { %full, title => 'Ein Wörterbuch' }, 'what was sent, the title trimmed');
is($made->{created_by}, $author->{email}, 'created_by is the e-mail');
is($made->{created_at}, $made->{updated_at}, 'not changed yet');
my $least = problem();
is_deeply([@$least{qw(categories estimated_time requirements constraints hints)}], [[], '30 mins', [], [], []], 'defaults');
is_deeply([@{ problem(map { $_ => undef } qw(categories estimated_time requirements constraints hints)) }
            {qw(categories estimated_time requirements constraints hints)}], [[], '30 mins', [], [], []], 'null is the default');
is(call($author, POST => '/problems', json => proposal())->status, 201, 'without the last slash');

my @wrong = (
    [title => ''], [title => '  '], [title => 'x' x 201], [title => 5], [title => undef], [title => ['x']],
    [description => ''], [description => undef], [description => {}], [difficulty => 'Easy'], [difficulty => 'extreme'],
    [difficulty => undef], [difficulty => 1], [categories => 'Web'], [categories => [1]], [categories => ['a', undef]],
    [categories => {}], [categories => [['a']]], [requirements => 5], [constraints => [true]], [hints => [{}]],
    [estimated_time => 30], [estimated_time => ''], [estimated_time => 'x' x 51],
);
for my $case (@wrong) {
    my ($field, $value) = @$case;
    my $said = JSON::XS->new->allow_nonref->encode($value);
    is_invalid(call($author, POST => '/problems/', json => proposal($field => $value)), 'practice', [$field], "$field $said");
    is_invalid(call($author, PUT => "/problems/$least->{id}", json => { $field => $value }), 'practice', [$field],
        "PUT of $field $said") if defined $value;
}
is_invalid(call($author, POST => '/problems/', json => {}), 'practice', [qw(description difficulty title)]);
is_invalid(call($author, POST => '/problems/', json => { title => 5, hints => 5 }), 'practice',
    [qw(description difficulty hints title)], 'all wrong fields at once');
is_invalid(call($author, POST => '/problems/', body => '{', headers => { 'Content-Type' => 'application/json' }), 'practice',
    ['body'], 'broken JSON');
is(problem(title => 'ö' x 200)->{title}, 'ö' x 200, '200 characters fit');
is(length problem(description => 'x' x 65000)->{description}, 65000, '65000 bytes fit');
is_invalid(call($author, POST => '/problems/', json => proposal(hints => ['x' x 66000])), 'practice', ['description'],
    'more than 64 KB do not');

# ---- read, update, delete ----

is_deeply(call(undef, GET => "/problems/$made->{id}")->json, $made, 'anybody reads the same object');
is(call(undef, GET => '/problems/' . uc $made->{id})->json->{id}, $made->{id}, 'hex digits of either case');
is(call(undef, HEAD => "/problems/$made->{id}")->body, '', 'HEAD');
is_refusal(call($_, PUT => "/problems/$made->{id}", json => { title => 'Mine' }), 'practice', 403) for $other, $admin;
sql("UPDATE learnhub.problems SET updated_at = updated_at - interval '1 hour' WHERE id = decode(?, 'hex')", $made->{id});
my $updated = is_problem(said(call($author, PUT => "/problems/$made->{id}", json => { title => ' New ', difficulty => 'hard',
                categories => undef, hints => ['h'], description => undef, created_by => 'x' }), 200, 'Problem updated successfully',
        'problem', 'update'), 'update');
is_deeply($updated, { %$made, title => 'New', difficulty => 'hard', hints => ['h'], updated_at => $updated->{updated_at} },
    'null and what is not sent stay');
cmp_ok($updated->{updated_at}, 'ge', $made->{updated_at}, 'updated_at moves');
is(call($author, PUT => "/problems/$made->{id}", json => {})->status, 200, 'an update of nothing');
is_invalid(call($author, PUT => "/problems/$made->{id}", json => { description => 'x' x 70000 }), 'practice', ['description']);

sql('UPDATE learnhub.users SET email = ? WHERE email = ?', "new-$author->{email}", $author->{email});
is(call(undef, GET => "/problems/$made->{id}")->json->{created_by}, "new-$author->{email}", 'the present e-mail');
is(call($author, PUT => "/problems/$made->{id}", json => {})->status, 200, 'the account owns, not the address');
sql('UPDATE learnhub.users SET email = ? WHERE email = ?', $author->{email}, "new-$author->{email}");

my $doomed = problem();
is_refusal(call($_, DELETE => "/problems/$doomed->{id}"), 'practice', 404) for $other, $admin;
my $deleted = call($author, DELETE => "/problems/$doomed->{id}");
is_deeply([$deleted->status, $deleted->body], [204, ''], 'deleted');
is_refusal(call($author, DELETE => "/problems/$doomed->{id}"), 'practice', 404);
is_refusal(call(undef, GET => "/problems/$doomed->{id}"), 'practice', 404);
is_refusal(call($author, PUT => "/problems/$doomed->{id}", json => {}), 'practice', 404);

# ---- ids ----

my @ids = map { problem()->{id} } 1 .. 5;
is_deeply([sort @ids], \@ids, 'ids sort by creation');
cmp_ok(abs(hex(substr $ids[0], 0, 8) - time), '<', 60, 'and begin with the time');

# ---- lists ----

my $lister = signup();
my @listed = reverse map { problem(by => $lister, title => "L$_") } 1 .. 5;
my $list = call(undef, GET => '/problems/?limit=3')->json;
is_deeply(keys_of($list), [qw(limit problems skip total)], 'keys of a list');
is_deeply($list, { total => (sql('SELECT count(*) AS n FROM learnhub.problems'))[0]{n}, skip => 0, limit => 3,
        problems => [@listed[0 .. 2]] }, 'newest first; total counts all');
is_deeply(call(undef, GET => '/problems/?skip=2&limit=2')->json->{problems}, [@listed[2, 3]], 'skip and limit');
my $mine = call($lister, GET => '/problems/user/my-problems')->json;
is_deeply($mine, { total => 5, skip => 0, limit => 100, problems => \@listed }, 'my problems');
is_deeply(call($lister, GET => '/problems/user/my-problems?skip=4')->json, { total => 5, skip => 4, limit => 100,
        problems => [$listed[4]] }, 'total counts what matches, not the page');
is_deeply(call($lister, GET => '/problems/user/my-problems?skip=9')->json->{problems}, [], 'past the end');
is_deeply(call(signup(), GET => '/problems/user/my-problems')->json, { total => 0, skip => 0, limit => 100, problems => [] },
    'nobody else\'s');
for my $path ('/problems/?', '/problems/user/my-problems?', '/problems/search/query?q=x&', '/submissions/user/my-submissions?') {
    is_invalid(call($author, GET => "$path$_"), 'practice', [/^(\w+)/]) for 'skip=-1', 'skip=x', 'skip=1.5', 'limit=0',
        'limit=101', 'limit=ten', 'skip=99999999999999999999';
    is_invalid(call($author, GET => "${path}skip=-1&limit=0"), 'practice', [qw(limit skip)]);
    is(call($author, GET => "${path}limit=100&skip=")->status, 200, "$path: limit 100, an empty skip");
}

# ---- search ----

my $mark = 'zq' . unique('x') =~ tr/0-9/a-j/r =~ tr/a-z//cdr;
my $plus = problem(title => "Compilers for C++ $mark", description => '100% (really) $5 ^ [x] {y} \d *');
my $name = problem(title => 'An index', description => "About $mark, ROUTING and the größte Übersicht");

sub found {
    my ($q, %more) = @_;
    my $reply = call(undef, GET => '/problems/search/query', query => { q => $q, %more });
    $reply->status == 200 or return $reply->summary;
    return [map { $_->{id} } @{ $reply->json->{problems} }];
}

my $search = call(undef, GET => '/problems/search/query', query => { q => uc $mark, limit => 1 })->json;
is_deeply(keys_of($search), [qw(limit problems query skip total)], 'keys of a search');
is_deeply([@$search{qw(total query skip limit)}, scalar @{ $search->{problems} }], [2, uc $mark, 0, 1, 1], 'total counts all');
is_problem($search->{problems}[0], 'found');
is_deeply(found($mark), [$name->{id}, $plus->{id}], 'title and description, newest first');
is_deeply(found($mark, skip => 1), [$plus->{id}], 'skip');
is_deeply(found("compilers.*$mark"), [$plus->{id}], 'a regular expression, without regard to case');
is_deeply(found("\\b$mark\\b.*\\\\?\\brout"), [$name->{id}], 'the edge of a word');
is_deeply(found("${mark}, (rout|rost)ing"), [$name->{id}], 'alternatives');
is_deeply(found("^An index\$") =~ /ARRAY/ && [grep { $_ eq $name->{id} } @{ found('^An index$') }], [$name->{id}], 'anchors');
is_deeply(found("$mark.*GRÖSSTE"), [], 'sharp s is one letter');
is_deeply(found("$mark.*übersicht"), [$name->{id}], 'case of letters beyond ASCII');
is_deeply([grep { $_ eq $plus->{id} } @{ found($_) }], [$plus->{id}], "literally: $_") for 'c++', 'C++ ' . $mark, '(really',
    '[x', '*', '$5 ^ [x] {y} \\';
is_deeply([grep { $_ eq $plus->{id} } @{ found('+') }], [$plus->{id}], 'a single plus');
is_deeply(found("$mark)"), [], 'literally, and not there');
is_deeply(found("100\x{25}  (nothing"), [], 'percent and spaces');
my $decoded = call(undef, GET => "/problems/search/query?q=c%2B%2B+$mark")->json;
is_deeply([$decoded->{query}, $decoded->{total}], ["c++ $mark", 1], 'percent and plus are decoded');
is_invalid(call(undef, GET => "/problems/search/query$_"), 'practice', ['q'], "search$_") for '', '?q=', '?limit=5',
    '?q=' . 'x' x 1001;
is_invalid(call(undef, GET => '/problems/search/query?q=%zz'), 'practice', ['query'], 'a broken escape');

# A hostile expression ends in time, holds nobody up, and is refused; so is one that is too large to compile.
problem(title => 'bait', description => 'ab' x 10000);
my @hostile = ('(((.)*)*)*\1\2\3$', '(((((a{1,100}){1,100}){1,100}){1,100}){1,100})');
for my $q (@hostile) {
    is_invalid(call(undef, GET => '/problems/search/query', query => { q => $q }), 'practice', ['q'], "hostile: $q");
}
my @answers = parallel(24, sub {
        my ($i) = @_;
        return call(undef, GET => '/problems/search/query', query => { q => $hostile[0] })->status if $i < 12;
        return join ' ', map { call(undef, GET => '/problems/search/query', query => { q => $mark })->status } 1 .. 20 if $i > 17;
        return join ' ', map { call(undef, GET => "/problems/$made->{id}")->status } 1 .. 20;
});
is_deeply([@answers[12 .. 23]], [(join ' ', (200) x 20) x 12], 'others are served while it is searched for');
is_deeply([grep { !/^(?:422|503)$/ } @answers[0 .. 11]], [], 'each of them is refused');
my $plan = join "\n", map { values %$_ } sql(q{SET enable_seqscan = off}),
    sql(q{EXPLAIN SELECT 1 FROM learnhub.problems p WHERE p.title ~* (SELECT learnhub.search_pattern('compil'))
        OR p.description ~* (SELECT learnhub.search_pattern('compil'))});
like($plan, qr/BitmapOr.*problems_search_idx/s, 'the index can serve a search');
sql('RESET enable_seqscan');

# ---- submissions ----

my $problem = problem();
my $diagram = { elements => [{ type => 'rectangle', x => 1.5 }], appState => { 'ü' => undef } };
my $new = is_submission(said(call($author, POST => '/submissions/', json => { problem_id => $problem->{id},
                diagram_data => $diagram, user_id => 'x', submitted_at => 'x' }), 201, 'Submission created successfully', 'submission',
        'submit'), 'submit');
is_deeply([@$new{qw(user_id problem_id diagram_data score time_spent status feedback chat_messages)}],
    [$author->{email}, $problem->{id}, $diagram, 0, 0, 'in-progress',
        { strengths => [], improvements => [], missing_components => [] }, []], 'what was sent, and defaults');
my $rich = submission(status => 'completed', score => 100, time_spent => 2700, feedback => { strengths => ['s', 't'] });
is_deeply([@$rich{qw(status score time_spent feedback diagram_data)}], ['completed', 100, 2700,
        { strengths => ['s', 't'], improvements => [], missing_components => [] }, {}], 'parts of a feedback default to empty');
is_refusal(call($author, POST => '/submissions/', json => { problem_id => $nowhere }), 'practice', 404);
is_refusal(call($author, POST => '/submissions/', json => { problem_id => $doomed->{id} }), 'practice', 404);
is_invalid(call($author, POST => '/submissions/', json => {}), 'practice', ['problem_id']);
is_invalid(call($author, POST => '/submissions/', json => { problem_id => $_ }), 'practice', ['problem_id']) for 'x', 5, undef;
my @bad = ([status => 'done'], [status => 5], [score => -1], [score => 101], [score => 1.5], [score => '5'], [time_spent => -1],
    [time_spent => 'x'], [time_spent => 1.5], [diagram_data => []], [diagram_data => 'x'], [diagram_data => 5],
    [feedback => 'x'], [feedback => []], [feedback => { strengths => 'x' }, 'strengths'],
    [feedback => { improvements => [1] }, 'improvements'], [feedback => { missing_components => {} }, 'missing_components']);
for my $case (@bad) {
    my ($field, $value, @reported) = @$case;
    my $said = "$field " . JSON::XS->new->allow_nonref->encode($value);
    is_invalid(call($author, @$_, json => { problem_id => $problem->{id}, $field => $value }), 'practice',
        @reported ? [@reported] : [$field], "$_->[0] with $said") for [POST => '/submissions/'], [PUT => "/submissions/$new->{id}"];
}
my @broken = ('{"a":1,"a":2}', '{"a":01}', '{"a":1', '{"a":"\\u0000"}', '{"a":' . '[' x 200 . ']' x 200 . '}');
for my $diagram (@broken) {
    my $body = qq({"problem_id":"$problem->{id}","diagram_data":$diagram});
    is_invalid(call($author, @$_, body => $body), 'practice', ['body'], "$_->[0] with the diagram " . substr $diagram, 0, 20)
        for [POST => '/submissions/'], [PUT => "/submissions/$new->{id}"];
}
my $exact = '{"n":123456789012345678901234567890.5,"b":1e400}';
my $stored = call($author, POST => '/submissions/', body => qq({"problem_id":"$problem->{id}","diagram_data":$exact}));
like($stored->body, qr/\Q"diagram_data":$exact\E/, 'a diagram is kept as it was sent');
my $located = call($author, PUT => "/submissions/$new->{id}", json => { feedback => { strengths => 5 } })->json;
is_deeply($located->{detail}[0]{loc}, [qw(body feedback strengths)], 'loc is the path to the field');

is_deeply(call($author, GET => "/submissions/$new->{id}")->json, $new, 'read');
is_refusal(call($other, GET => "/submissions/$new->{id}"), 'practice', 403);
is_refusal(call($admin, GET => "/submissions/$new->{id}"), 'practice', 403);
is_refusal(call($other, PUT => "/submissions/$new->{id}", json => { score => 99 }), 'practice', 403);
is_refusal(call($other, POST => "/submissions/$new->{id}/chat", json => \%message), 'practice', 403);
is_refusal(call($other, DELETE => "/submissions/$new->{id}"), 'practice', 404);

my $changed = is_submission(said(call($author, PUT => "/submissions/$new->{id}", json => { score => 85, time_spent => 5,
                status => 'completed', diagram_data => { a => 1 }, feedback => { improvements => ['i'] }, problem_id => $nowhere }), 200,
        'Submission updated successfully', 'submission', 'update'), 'update');
is_deeply([@$changed{qw(score time_spent status diagram_data problem_id feedback)}], [85, 5, 'completed', { a => 1 },
        $problem->{id}, { strengths => [], improvements => ['i'], missing_components => [] }], 'what was sent');
my %empty = (strengths => [], improvements => [], missing_components => []);
is_deeply(call($author, PUT => "/submissions/$new->{id}", json => { feedback => {} })->json->{submission}{feedback}, \%empty,
    'an empty feedback empties all of it');
is_deeply(call($author, PUT => "/submissions/$new->{id}", json => { feedback => { improvements => ['i'], strengths => undef } })
        ->json->{submission}{feedback}, { %empty, improvements => ['i'] }, 'null is a part that is not sent');
is_deeply(call($author, PUT => "/submissions/$new->{id}", json => { score => 0, status => undef, time_spent => undef,
            diagram_data => undef, feedback => undef })->json->{submission}{$_}, { %$changed, score => 0 }->{$_}, "null leaves $_")
    for qw(score time_spent status diagram_data feedback);
is_deeply(call($author, PUT => "/submissions/$new->{id}", json => { feedback => { strengths => ['s'] } })
        ->json->{submission}{feedback}, { strengths => ['s'], improvements => [], missing_components => [] },
    'a feedback replaces the one before');

my $chat = said(call($author, POST => "/submissions/$new->{id}/chat", json => { %message, timestamp => 'x' }), 200,
    'Chat message added successfully', 'submission', 'chat');
is_deeply(keys_of($chat), [qw(chat_messages id)], 'chat: exactly id and messages');
is_deeply([map { $_->{role}, $_->{content} } @{ $chat->{chat_messages} }], ['user', 'Why?'], 'the message');
like($chat->{chat_messages}[0]{timestamp}, $seconds, 'form of its time');
$chat = call($author, POST => "/submissions/$new->{id}/chat", json => { role => 'assistant', content => " \"Därum\"\n" })
    ->json->{submission};
is_deeply([map { $_->{content} } @{ $chat->{chat_messages} }], ['Why?', " \"Därum\"\n"], 'in order, as sent');
is_deeply(call($author, GET => "/submissions/$new->{id}")->json->{chat_messages}, $chat->{chat_messages}, 'they are kept');
is_invalid(call($author, POST => "/submissions/$new->{id}/chat", json => { %message, @$_ }), 'practice', [$_->[0]])

    for [role => 'system'], [role => undef], [content => ''], [content => undef], [content => 5], [content => 'x' x 32769];
is_invalid(call($author, POST => "/submissions/$new->{id}/chat", json => {}), 'practice', [qw(content role)]);
parallel(8, sub { call($author, POST => "/submissions/$new->{id}/chat", json => \%message)->status });
is(scalar @{ call($author, GET => "/submissions/$new->{id}")->json->{chat_messages} }, 10, 'none of 8 at once is lost');
sql("UPDATE learnhub.submissions SET chat_messages = (SELECT jsonb_agg(n) FROM generate_series(1, 1000) n)
    WHERE id = decode(?, 'hex')", $rich->{id});
is_refusal(call($author, POST => "/submissions/$rich->{id}/chat", json => \%message), 'practice', 400, qr/1000/);
sql("UPDATE learnhub.submissions SET chat_messages = to_jsonb(ARRAY[repeat('x', 1000000)]) WHERE id = decode(?, 'hex')", $rich->{id});
is_refusal(call($author, POST => "/submissions/$rich->{id}/chat", json => \%message), 'practice', 400, qr/1 MB/);

my $second = said(call($author, POST => '/submissions/', json => { problem_id => $problem->{id} }), 201,
    'Submission created successfully', 'submission', 'a second one');
is_deeply(call($author, GET => "/submissions/problem/$problem->{id}")->json, $second, 'by problem: the newest');
is_refusal(call($other, GET => "/submissions/problem/$problem->{id}"), 'practice', 404);

my $sender = signup();
my @sent = reverse map { submission(by => $sender, score => $_) } 1 .. 3;
my $list_of = call($sender, GET => '/submissions/user/my-submissions?limit=2')->json;
is_deeply([keys_of($list_of), @$list_of{qw(total skip limit)}], [[qw(limit skip submissions total)], 3, 0, 2], 'my submissions');
is_deeply([map { keys_of($_) } @{ $list_of->{submissions} }], [($listed_keys) x 2], 'the eight fields');
is_deeply([map { $_->{id} } @{ $list_of->{submissions} }], [map { $_->{id} } @sent[0, 1]], 'newest first');
is_deeply(call($sender, GET => '/submissions/user/my-submissions?skip=2')->json->{submissions}[0]{score}, 1, 'skip');

call($author, DELETE => "/problems/$problem->{id}");
is(call($author, GET => "/submissions/$new->{id}")->json->{problem_id}, $problem->{id}, 'stays when its problem is deleted');
is(call($author, GET => "/submissions/problem/$problem->{id}")->json->{id}, $second->{id}, 'also by problem');
my $gone = call($author, DELETE => "/submissions/$new->{id}");
is_deeply([$gone->status, $gone->body], [204, ''], 'deleted');
is_refusal(call($author, GET => "/submissions/$new->{id}"), 'practice', 404);
is_refusal(call($author, DELETE => "/submissions/$new->{id}"), 'practice', 404);

# ---- submitting a session ----

sub session {
    my ($who) = @_;
    my $session = call($who, POST => '/sessions/', json => { problem_id => problem()->{id} })->json;
    call($who, PUT => "/sessions/$session->{id}/autosave", json => { diagram_data => $diagram, time_spent => 1200 });
    return call($who, POST => "/sessions/$session->{id}/chat", json => \%message)->json;
}

my $session = session($author);
is_refusal(call($other, POST => "/submissions/from-session/$session->{id}"), 'practice', 403);
my $from = is_submission(said(call($author, POST => "/submissions/from-session/$session->{id}"), 201,
        'Submission created from session successfully', 'submission', 'from a session'), 'from a session');
is_deeply([@$from{qw(user_id problem_id diagram_data score time_spent status chat_messages)}], [$author->{email},
        $session->{problem_id}, $diagram, 0, 1200, 'completed', $session->{chat_messages}], 'everything is copied');
like($from->{chat_messages}[0]{timestamp}, $millis, 'a copied message keeps its time');
my $ended = call($author, GET => "/sessions/$session->{id}")->json;
is($ended->{status}, 'submitted', 'the session is submitted');
like($ended->{ended_at}, $millis, 'and has ended');
is_refusal(call($author, POST => "/submissions/from-session/$session->{id}"), 'practice', 400, qr/already/);
is(call($author, DELETE => "/submissions/$from->{id}")->status, 204, 'the submission is deleted');
is_refusal(call($author, POST => "/submissions/from-session/$session->{id}"), 'practice', 400, qr/already/, 'still submitted');

my $paused = session($author);
call($author, PUT => "/sessions/$paused->{id}/pause", json => { time_spent => 1300 });
is(call($author, POST => "/submissions/from-session/$paused->{id}")->json->{submission}{time_spent}, 1300, 'a paused one, too');
my $left = session($author);
call($author, DELETE => "/sessions/$left->{id}");
is_refusal(call($author, POST => "/submissions/from-session/$left->{id}"), 'practice', 400, qr/abandoned/);

my $raced = session($author);
my @statuses = sort map { $_->{status} } parallel(12, sub { call($author, POST => "/submissions/from-session/$raced->{id}") });
is_deeply(\@statuses, [201, (400) x 11], 'twelve at once: one submission');
is((sql("SELECT count(*) AS n FROM learnhub.submissions WHERE session_id = decode(?, 'hex')", $raced->{id}))[0]{n}, 1, 'one row');

done_testing();

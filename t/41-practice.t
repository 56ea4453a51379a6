# SPDX-License-Identifier: Apache-2.0
# Practice problems and submissions: every route, every error, formats, search, and submitting a practice session.
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
my $submission_keys = [qw(chat_messages diagram_data feedback id problem_id score status submitted_at time_spent
        updated_at user_id)];
my $listed_keys = [qw(id problem_id score status submitted_at time_spent updated_at user_id)];
my $unknown_id = '0' x 24;

my $author = signup();
my $other = signup();
my $admin = signup(role => 'admin');

sub problem_body { return { title => 'A cache', description => 'Somewhere between', difficulty => 'easy', @_ } }

# Creates a problem: by => user, and fields of problem_body().
sub problem {
    my (%over) = @_;
    my $reply = api_as(delete $over{by} || $author, POST => '/problems/', json => problem_body(%over));
    $reply->status == 201 or die $reply->summary;
    return $reply->json->{problem};
}

# Creates a submission: by => user, and its fields.
sub submission {
    my (%over) = @_;
    my $reply = api_as(delete $over{by} || $author, POST => '/submissions/',
        json => { problem_id => problem()->{id}, %over });
    $reply->status == 201 or die $reply->summary;
    return $reply->json->{submission};
}

# The response to a change: {message, $key => object}.
sub is_saved {
    my ($reply, $status, $message, $key, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is($reply->status, $status, "$name: status") || diag($reply->summary);
    is_deeply([keys_of($reply->json), $reply->json->{message}], [[sort 'message', $key], $message],
        "$name: message and $key");
    return $reply->json->{$key};
}

sub is_problem {
    my ($problem, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply(keys_of($problem), $problem_keys, "$name: keys of a problem");
    like($problem->{id}, $oid, "$name: id has 24 hex digits");
    like($problem->{$_}, $seconds, "$name: $_ is a time to the second, without an offset")
        for qw(created_at updated_at);
    is(ref $problem->{$_}, 'ARRAY', "$name: $_ is an array") for qw(categories requirements constraints hints);
    return $problem;
}

sub is_submission {
    my ($submission, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply(keys_of($submission), $submission_keys, "$name: keys of a submission");
    like($submission->{$_}, $oid, "$name: $_ has 24 hex digits") for qw(id problem_id);
    like($submission->{$_}, $seconds, "$name: $_ is a time to the second, without an offset")
        for qw(submitted_at updated_at);
    is_deeply(keys_of($submission->{feedback}), [qw(improvements missing_components strengths)],
        "$name: keys of feedback");
    is(ref $submission->{diagram_data}, 'HASH', "$name: diagram_data is an object");
    return $submission;
}

subtest 'Routes of one user require a valid token' => sub {
    for ([POST => '/problems/'], [GET => '/problems/user/my-problems'], [PUT => "/problems/$unknown_id"],
        [DELETE => "/problems/$unknown_id"], [POST => '/submissions/'],
        [POST => "/submissions/from-session/$unknown_id"], [GET => "/submissions/$unknown_id"],
        [GET => '/submissions/user/my-submissions'], [GET => "/submissions/problem/$unknown_id"],
        [PUT => "/submissions/$unknown_id"], [POST => "/submissions/$unknown_id/chat"],
        [DELETE => "/submissions/$unknown_id"]) {
        is_error(api_as(undef, @$_, json => {}), 'located', 401, "$_->[0] $_->[1] without a token is rejected");
        is_error(api_as({ token => 'nonsense' }, @$_, json => {}), 'located', 401,
            "$_->[0] $_->[1] with an invalid token is rejected");
    }
};

my %message = (role => 'user', content => 'Why?');

subtest 'Ids that are unknown or cannot be parsed return 404' => sub {
    for my $id ($unknown_id, 'abc', '1', 'g' x 24, '0' x 25, '%00' x 24) {
        is_error(api_as($author, @$_), 'located', 404, "$_->[0] $_->[1] is not found")
            for [GET => "/problems/$id"], [PUT => "/problems/$id", json => {}],
            [DELETE => "/problems/$id"], [GET => "/submissions/$id"], [PUT => "/submissions/$id", json => {}],
            [POST => "/submissions/$id/chat", json => \%message], [DELETE => "/submissions/$id"],
            [GET => "/submissions/problem/$id"], [POST => "/submissions/from-session/$id"];
    }
};

my ($made, $minimal);

subtest 'Any user creates a problem' => sub {
    my %full = (title => '  Ein Wörterbuch  ', description => "Zwei\nZeilen", difficulty => 'medium',
        categories => ['Web', 'ü', ''], estimated_time => '45 mins', requirements => ["a\n\"b\""],
        constraints => ['c', 'c'], hints => []);
    my $reply = api_as($author, POST => '/problems/', json => { %full, id => 'x', created_by => 'me', more => 1 });
    $made = is_saved($reply, 201, 'Problem created successfully', 'problem', 'creating a problem');
    is_problem($made, 'created problem');
    is_deeply({ map { $_ => $made->{$_} } keys %full }, { %full, title => 'Ein Wörterbuch' },
        'the fields sent are stored, the title is trimmed, read-only and unknown fields are ignored');
    is($made->{created_by}, $author->{email}, 'created_by is the e-mail of the user');
    is($made->{created_at}, $made->{updated_at}, 'updated_at of a new problem equals created_at');
    $minimal = problem();
    is_deeply([@$minimal{qw(categories estimated_time requirements constraints hints)}], [[], '30 mins', [], [], []],
        'optional fields have default values');
    my @optional = qw(categories estimated_time requirements constraints hints);
    is_deeply([@{ problem(map { $_ => undef } @optional) }{@optional}], [[], '30 mins', [], [], []],
        'null selects the default value');
    is(api_as($author, POST => '/problems', json => problem_body())->status, 201,
        'POST works without the trailing slash');
};

subtest 'POST and PUT validate every field of a problem' => sub {
    my @wrong = (
        [title => ''], [title => '  '], [title => 'x' x 201], [title => 5], [title => undef], [title => ['x']],
        [description => ''], [description => undef], [description => {}], [difficulty => 'Easy'],
        [difficulty => 'extreme'], [difficulty => undef], [difficulty => 1], [categories => 'Web'], [categories => [1]],
        [categories => ['a', undef]],
        [categories => {}], [categories => [['a']]], [requirements => 5], [constraints => [true]], [hints => [{}]],
        [estimated_time => 30], [estimated_time => ''], [estimated_time => 'x' x 51],
    );
    for my $case (@wrong) {
        my ($field, $value) = @$case;
        my $shown = JSON::XS->new->allow_nonref->encode($value);
        is_invalid(api_as($author, POST => '/problems/', json => problem_body($field => $value)), 'located', [$field],
            "POST rejects $field $shown");
        is_invalid(api_as($author, PUT => "/problems/$minimal->{id}", json => { $field => $value }), 'located',
            [$field], "PUT rejects $field $shown") if defined $value;
    }
    is_invalid(api_as($author, POST => '/problems/', json => {}), 'located', [qw(description difficulty title)],
        'title, description and difficulty are required');
    is_invalid(api_as($author, POST => '/problems/', json => { title => 5, hints => 5 }), 'located',
        [qw(description difficulty hints title)], 'all invalid fields are reported at once');
    is_invalid(api_as($author, POST => '/problems/', body => '{', headers => { 'Content-Type' => 'application/json' }),
        'located', ['body'], 'malformed JSON is reported for the body');
    is(problem(title => 'ö' x 200)->{title}, 'ö' x 200, 'a title has up to 200 characters');
    is(length problem(description => 'x' x 65000)->{description}, 65000, 'a description of 65000 bytes is accepted');
    is_invalid(api_as($author, POST => '/problems/', json => problem_body(hints => ['x' x 66000])), 'located',
        ['description'], 'a problem of more than 64 KB is rejected');
};

subtest 'Anyone reads a problem' => sub {
    is_deeply(api_as(undef, GET => "/problems/$made->{id}")->json, $made, 'a problem is readable without a token');
    is(api_as(undef, GET => '/problems/' . uc $made->{id})->json->{id}, $made->{id},
        'hex digits of an id are read in either case');
    is(api_as(undef, HEAD => "/problems/$made->{id}")->body, '', 'HEAD returns no body');
};

subtest 'Only the creator updates a problem' => sub {
    is_error(api_as($_, PUT => "/problems/$made->{id}", json => { title => 'Mine' }), 'located', 403,
        'an update by another user is rejected, admins included') for $other, $admin;
    is_deeply(api_as(undef, GET => "/problems/$made->{id}")->json, $made,
        'the updates of other users leave the problem as it was');
    sql("UPDATE learnhub.problems SET updated_at = updated_at - interval '1 hour' WHERE id = decode(?, 'hex')",
        $made->{id});
    my %change = (title => ' New ', difficulty => 'hard', hints => ['h'], created_by => 'x');
    my $reply = api_as($author, PUT => "/problems/$made->{id}",
        json => { %change, categories => undef, description => undef });
    my $updated = is_saved($reply, 200, 'Problem updated successfully', 'problem', 'updating a problem');
    is_problem($updated, 'updated problem');
    is_deeply($updated, { %$made, title => 'New', difficulty => 'hard', hints => ['h'],
            updated_at => $updated->{updated_at} }, 'null and missing fields are left unchanged');
    cmp_ok($updated->{updated_at}, 'ge', $made->{updated_at}, 'updated_at does not go back');
    is(api_as($author, PUT => "/problems/$made->{id}", json => {})->status, 200,
        'an update with an empty object returns 200');
    is_invalid(api_as($author, PUT => "/problems/$made->{id}", json => { description => 'x' x 70000 }), 'located',
        ['description'], 'an update to more than 64 KB is rejected');
};

subtest 'The creator keeps the problem when the e-mail changes' => sub {
    sql('UPDATE learnhub.users SET email = ? WHERE email = ?', "new-$author->{email}", $author->{email});
    is(api_as(undef, GET => "/problems/$made->{id}")->json->{created_by}, "new-$author->{email}",
        'created_by is the present e-mail');
    is(api_as($author, PUT => "/problems/$made->{id}", json => {})->status, 200, 'the creator may still update');
    sql('UPDATE learnhub.users SET email = ? WHERE email = ?', $author->{email}, "new-$author->{email}");
};

my $deleted_problem = problem();

subtest 'Only the creator deletes a problem' => sub {
    is_error(api_as($_, DELETE => "/problems/$deleted_problem->{id}"), 'located', 404,
        "deleting another user's problem returns 404, for admins too") for $other, $admin;
    my $deleted = api_as($author, DELETE => "/problems/$deleted_problem->{id}");
    is_deeply([$deleted->status, $deleted->body], [204, ''], 'the creator deletes a problem');
    is_error(api_as($author, DELETE => "/problems/$deleted_problem->{id}"), 'located', 404,
        'a deleted problem cannot be deleted again');
    is_error(api_as(undef, GET => "/problems/$deleted_problem->{id}"), 'located', 404,
        'a deleted problem cannot be read');
    is_error(api_as($author, PUT => "/problems/$deleted_problem->{id}", json => {}), 'located', 404,
        'a deleted problem cannot be updated');
};

subtest 'Ids begin with the time of creation' => sub {
    my @ids = map { problem()->{id} } 1 .. 5;
    is_deeply([sort @ids], \@ids, 'ids sort by creation');
    cmp_ok(abs(hex(substr $ids[0], 0, 8) - time), '<', 60, 'the first 8 hex digits are the time in seconds');
};

subtest 'Lists of problems are newest first; skip and limit select a range' => sub {
    my $lister = signup();
    my @listed = reverse map { problem(by => $lister, title => "L$_") } 1 .. 5;
    my $list = api_as(undef, GET => '/problems/?limit=3')->json;
    is_deeply(keys_of($list), [qw(limit problems skip total)], 'keys of a list');
    is_deeply($list, { total => (sql('SELECT count(*) AS n FROM learnhub.problems'))[0]{n}, skip => 0, limit => 3,
            problems => [@listed[0 .. 2]] }, 'newest first; total counts all problems, not the page');
    is_deeply(api_as(undef, GET => '/problems/?skip=2&limit=2')->json->{problems}, [@listed[2, 3]],
        'skip and limit select a range');
    my $mine = api_as($lister, GET => '/problems/user/my-problems')->json;
    is_deeply($mine, { total => 5, skip => 0, limit => 100, problems => \@listed },
        "my-problems lists the caller's problems");
    is_deeply(api_as($lister, GET => '/problems/user/my-problems?skip=4')->json, { total => 5, skip => 4, limit => 100,
            problems => [$listed[4]] }, 'total of my-problems counts all that match, not the page');
    is_deeply(api_as($lister, GET => '/problems/user/my-problems?skip=9')->json->{problems}, [],
        'a skip beyond the end returns an empty list');
    is_deeply(api_as(signup(), GET => '/problems/user/my-problems')->json,
        { total => 0, skip => 0, limit => 100, problems => [] }, 'my-problems of a new user is empty');
    for my $path ('/problems/?', '/problems/user/my-problems?', '/problems/search/query?q=x&',
        '/submissions/user/my-submissions?') {
        is_invalid(api_as($author, GET => "$path$_"), 'located', [/^(\w+)/], "$path$_ is rejected")
            for 'skip=-1', 'skip=x', 'skip=1.5', 'limit=0',
            'limit=101', 'limit=ten', 'skip=99999999999999999999';
        is_invalid(api_as($author, GET => "${path}skip=-1&limit=0"), 'located', [qw(limit skip)],
            "${path}skip=-1&limit=0 reports both parameters");
        is(api_as($author, GET => "${path}limit=100&skip=")->status, 200,
            "${path}limit=100&skip= is accepted: 100 is the highest limit, an empty skip is ignored");
    }
};

subtest 'The list of problems is filtered by difficulty and category' => sub {
    my $tag = unique('Übung');
    my @made = map {
        problem(title => $_->[0], difficulty => $_->[0], categories => $_->[1])
    } ['easy', [$tag, 'Web']], ['hard', [uc $tag]], ['hard', ['x', lc $tag]], ['hard', ["$tag 2"]], ['easy', []];
    my $list = sub { return api_as(undef, GET => '/problems/', query => {@_})->json };
    my $ids = sub { return [map { $_->{id} } @{ $list->(@_)->{problems} }] };
    my @tagged = map { $made[$_]{id} } 2, 1, 0;
    is_deeply($ids->(category => $_), \@tagged, "category $_: newest first, regardless of case") for $tag, uc $tag;
    is_deeply($list->(category => $tag, limit => 1, skip => 1),
        { total => 3, skip => 1, limit => 1, problems => [$made[1]] }, 'total counts all that match, not the page');
    is_deeply($list->(category => $tag, difficulty => 'hard')->{total}, 2, 'the filters can be combined');
    is_deeply($ids->(category => $tag, difficulty => 'easy'), [$tagged[2]], 'difficulty selects exactly');
    is_deeply($ids->(category => substr $tag, 0, -1), [], 'a part of a category does not match');
    is_deeply($ids->(category => $_), [], 'no such category: an empty list')
        for '%', '"', '\\', '[]', "$tag\",\"Web", 'null';
    for my $level (qw(easy medium hard)) {
        my ($rows) = sql('SELECT count(*) AS n FROM learnhub.problems WHERE difficulty = ?', $level);
        my $found = $list->(difficulty => $level);
        is_deeply([$found->{total}, grep { $_->{difficulty} ne $level } @{ $found->{problems} }], [$rows->{n}],
            "difficulty $level selects the problems of this difficulty");
    }
    my $key = substr unique('Ä') x 200, 0, 200;
    my $too_long_for_an_index = join '', map { chr(0x4e00 + rand 20000) } 1 .. 9000;
    my $changed = problem(categories => [$key, "$key.", $too_long_for_an_index]);
    is_deeply($ids->(category => lc $key), [$changed->{id}], 'categories of 200 characters are found');
    api_as($author, PUT => "/problems/$changed->{id}", json => { categories => [uc "$tag 3"] });
    is_deeply([$ids->(category => "$tag 3"), $ids->(category => $key)], [[$changed->{id}], []],
        'the list follows changes of the categories');
    is($list->(difficulty => '', category => '')->{total}, $list->()->{total}, 'empty filters are ignored');
    is_invalid(api_as(undef, GET => "/problems/?difficulty=$_"), 'located', ['difficulty'], "$_ is rejected")
        for 'Easy', 'HARD', 'simple', '%20easy';
    is_invalid(api_as(undef, GET => '/problems/', query => { difficulty => 'x', category => 'c' x 201 }), 'located',
        [qw(category difficulty)], 'all invalid filters are reported');
    sql('SET enable_seqscan = off');
    my %index = (
        problems_difficulty_idx => q{p.difficulty = 'hard' ORDER BY p.created_at DESC, p.id DESC LIMIT 10},
        problems_category_keys_idx => q{p.category_keys @> ARRAY[lower('Web')]},
    );
    for my $name (sort keys %index) {
        my $plan = join ' ', map { values %$_ } sql("EXPLAIN SELECT 1 FROM learnhub.problems p WHERE $index{$name}");
        like($plan, qr/Index.*$name/, "the plan uses $name");
        unlike($plan, qr/Sort/, 'the index has the order of the list') if $name =~ /difficulty/;
    }
    sql('RESET enable_seqscan');
};

my $word = 'zq' . unique('x') =~ tr/0-9/a-j/r =~ tr/a-z//cdr;
my $plus = problem(title => "Compilers for C++ $word", description => '100% (really) $5 ^ [x] {y} \d *');
my $name = problem(title => 'An index', description => "About $word, ROUTING and the größte Übersicht");

# The ids of the problems found; a string if the search failed.
sub search {
    my ($q, %more) = @_;
    my $reply = api_as(undef, GET => '/problems/search/query', query => { q => $q, %more });
    $reply->status == 200 or return $reply->summary;
    return [map { $_->{id} } @{ $reply->json->{problems} }];
}

subtest 'Search matches a regular expression in title or description' => sub {
    my $search = api_as(undef, GET => '/problems/search/query', query => { q => uc $word, limit => 1 })->json;
    is_deeply(keys_of($search), [qw(limit problems query skip total)], 'keys of a search');
    is_deeply([@$search{qw(total query skip limit)}, scalar @{ $search->{problems} }], [2, uc $word, 0, 1, 1],
        'total counts all problems found, not the page');
    is_problem($search->{problems}[0], 'found problem');
    is_deeply(search($word), [$name->{id}, $plus->{id}], 'title and description are searched, newest first');
    is_deeply(search($word, skip => 1), [$plus->{id}], 'skip is applied to the problems found');
    is_deeply(search("compilers.*$word"), [$plus->{id}], 'the expression ignores case');
    is_deeply(search("\\b$word\\b.*\\\\?\\brout"), [$name->{id}], '\\b matches at the edge of a word');
    is_deeply(search("${word}, (rout|rost)ing"), [$name->{id}], 'alternatives in parentheses match');
    is_deeply(search("^An index\$") =~ /ARRAY/ && [grep { $_ eq $name->{id} } @{ search('^An index$') }], [$name->{id}],
        "^ and \$ anchor the expression");
    is_deeply(search("$word.*GRÖSSTE"), [], 'SS does not match a sharp s');
    is_deeply(search("$word.*übersicht"), [$name->{id}], 'case is ignored beyond ASCII');
    is_deeply([grep { $_ eq $plus->{id} } @{ search($_) }], [$plus->{id}],
        "an invalid expression is searched literally: $_") for 'c++', 'C++ ' . $word, '(really', '^ [x',
        '$5 ^ [x] {y} \\';
    is_deeply(search("$word)"), [], 'an invalid expression that occurs nowhere finds nothing');
    is_deeply(search("100\x{25}  (nothing"), [], 'percent sign and spaces are searched literally');
    my $decoded = api_as(undef, GET => "/problems/search/query?q=c%2B%2B+$word")->json;
    is_deeply([$decoded->{query}, $decoded->{total}], ["c++ $word", 1], 'q is percent- and plus-decoded');
    is_invalid(api_as(undef, GET => "/problems/search/query$_"), 'located', ['q'],
        "search$_: q must have 1 to 1000 characters") for '', '?q=', '?limit=5', '?q=' . 'x' x 1001;
    is_invalid(api_as(undef, GET => '/problems/search/query?q=%zz'), 'located', ['query'],
        'an invalid percent escape is rejected');
};

# The first expression backtracks without end, the second is too large to compile.
subtest 'A hostile expression is rejected in time and does not delay other requests' => sub {
    problem(title => 'bait', description => 'ab' x 10000);
    my @hostile = ('(((.)*)*)*\1\2\3$', '(((((a{1,100}){1,100}){1,100}){1,100}){1,100})');
    for my $q (@hostile) {
        my $rejected = api_as(undef, GET => '/problems/search/query', query => { q => $q });
        is_invalid($rejected, 'located', ['q'], "$q is rejected");
        is_deeply($rejected->json->{detail}[0]{loc}, [qw(query q)], "$q is an error of the query");
    }

    # Searches from different addresses take turns, so that each of these waits for one hostile search at most.
    my $words = sub {
        my %search = (query => { q => $word }, from => $_[0]);
        return join ' ', map { api_as(undef, GET => '/problems/search/query', %search)->status } 1 .. 20;
    };
    my @statuses = parallel 24, sub {
        my ($i) = @_;
        return api_as(undef, GET => '/problems/search/query', query => { q => $hostile[0] })->status if $i < 12;
        return $words->("127.0.41.$i") if $i > 21;
        return join ' ', map { api_as(undef, GET => "/problems/$made->{id}")->status } 1 .. 20;
    };
    is_deeply([@statuses[12 .. 23]], [(join ' ', (200) x 20) x 12],
        'reads and searches for words succeed during hostile searches');
    is_deeply([grep { !/^(?:422|429)$/ } @statuses[0 .. 11]], [], 'each hostile search is rejected');
};

subtest 'One or two characters are the beginning of a word in a title' => sub {
    my @titles = ("\x{3c0}q and more", "More about \x{3c0}Quince", "Less (\x{3c0}q!)", "A\x{3c0}q", "\x{3c0} q",
        '++ed', 'C#+');
    my %made = map { $_ => problem(title => $_, description => "$_ \x{3c0}q ++ed \x{3c0}")->{id} } @titles;
    my $found = sub { my %ids = map { $_ => 1 } @{ search($_[0]) }; return [grep { $ids{ $made{$_} } } @titles] };
    is_deeply($found->("\x{3c0}q"), [@titles[0 .. 2]], 'two characters begin a word; descriptions are not searched');
    is_deeply($found->("\x{3a0}Q"), [@titles[0 .. 2]], 'regardless of case');
    is_deeply($found->("\x{3c0}"), [@titles[0 .. 2, 4]], 'one character begins a word');
    is_deeply($found->('++'), ['++ed'], 'special characters are searched literally');
    is_deeply($found->($_), [], "$_ finds no title with other words") for '.', '^', '|', 'x|', '.*';
    is(scalar @{ $found->("\x{3c0}q ") }, 7, 'three characters are searched anywhere');
};

# What PostgreSQL needs for a search: (the number of rows that it rechecks, the plan).
sub search_plan {
    my ($q) = @_;
    my $patterns = join ' OR ', map {"p.$_ ~* (SELECT learnhub.${_}_pattern('$q'))"} qw(title description);
    my $plan = join "\n", map { values %$_ } sql(q{SET enable_seqscan = off}),
        sql("EXPLAIN (ANALYZE, COSTS off, TIMING off) SELECT 1 FROM learnhub.problems p WHERE $patterns");
    sql('RESET enable_seqscan');
    my $read = 0;
    $read += $_ for $plan =~ /Bitmap Heap Scan[^\n]*rows=(\d+)/, $plan =~ /Rows Removed by Index Recheck: (\d+)/;
    return ($read, $plan);
}

subtest 'The trigram index serves a search' => sub {
    my ($read, $plan) = search_plan('compil');
    like($plan, qr/BitmapOr.*problems_search_idx.*problems_search_idx/s, 'a word is searched with the index');
    my ($all) = sql('SELECT count(*) AS n FROM learnhub.problems');
    for my $q ('compil', $word, "$word|zqzq", 'c+', 'zq', 'zq zq') {
        my ($rows) = search_plan($q);
        cmp_ok($rows, '<', $all->{n} / 2, "a search for $q does not read all problems");
    }
};

my $problem = problem();
my $diagram = { elements => [{ type => 'rectangle', x => 1.5 }], appState => { 'ü' => undef } };

my ($new, $rich);

subtest 'A user submits a solution' => sub {
    my %body = (problem_id => $problem->{id}, diagram_data => $diagram, user_id => 'x', submitted_at => 'x');
    my $reply = api_as($author, POST => '/submissions/', json => \%body);
    $new = is_saved($reply, 201, 'Submission created successfully', 'submission', 'submitting');
    is_submission($new, 'new submission');
    is_deeply([@$new{qw(user_id problem_id diagram_data score time_spent status feedback chat_messages)}],
        [$author->{email}, $problem->{id}, $diagram, 0, 0, 'in-progress',
            { strengths => [], improvements => [], missing_components => [] }, []],
        'the fields sent are stored, the others have default values');
    $rich = submission(status => 'completed', score => 100, time_spent => 2700,
        feedback => { strengths => ['s', 't'] });
    is_deeply([@$rich{qw(status score time_spent feedback diagram_data)}], ['completed', 100, 2700,
            { strengths => ['s', 't'], improvements => [], missing_components => [] }, {}],
        'missing parts of a feedback default to empty lists');
};

subtest 'POST and PUT validate every field of a submission' => sub {
    is_error(api_as($author, POST => '/submissions/', json => { problem_id => $unknown_id }), 'located', 404,
        'a submission for an unknown problem is not found');
    is_error(api_as($author, POST => '/submissions/', json => { problem_id => $deleted_problem->{id} }), 'located', 404,
        'a submission for a deleted problem is not found');
    is_invalid(api_as($author, POST => '/submissions/', json => {}), 'located', ['problem_id'],
        'problem_id is required');
    is_invalid(api_as($author, POST => '/submissions/', json => { problem_id => $_ }), 'located', ['problem_id'],
        'problem_id must be 24 hex digits') for 'x', 5, undef;
    my @bad = ([status => 'done'], [status => 5], [score => -1], [score => 101], [score => 1.5], [score => '5'],
        [time_spent => -1], [time_spent => 'x'], [time_spent => 1.5], [diagram_data => []], [diagram_data => 'x'],
        [diagram_data => 5],
        [feedback => 'x'], [feedback => []], [feedback => { strengths => 'x' }, 'strengths'],
        [feedback => { improvements => [1] }, 'improvements'],
        [feedback => { missing_components => {} }, 'missing_components']);
    for my $case (@bad) {
        my ($field, $value, @reported) = @$case;
        my $shown = "$field " . JSON::XS->new->allow_nonref->encode($value);
        is_invalid(api_as($author, @$_, json => { problem_id => $problem->{id}, $field => $value }), 'located',
            @reported ? [@reported] : [$field], "$_->[0] rejects $shown") for [POST => '/submissions/'],
            [PUT => "/submissions/$new->{id}"];
    }
    my @broken = ('{"a":1,"a":2}', '{"a":01}', '{"a":1', '{"a":"\\u0000"}', '{"a":' . '[' x 200 . ']' x 200 . '}');
    for my $diagram (@broken) {
        my $body = qq({"problem_id":"$problem->{id}","diagram_data":$diagram});
        is_invalid(api_as($author, @$_, body => $body), 'located', ['body'],
            "$_->[0] rejects the invalid diagram " . substr $diagram, 0, 20)
            for [POST => '/submissions/'], [PUT => "/submissions/$new->{id}"];
    }
    my $exact = '{"n":123456789012345678901234567890.5,"b":1e400}';
    my $stored = api_as($author, POST => '/submissions/',
        body => qq({"problem_id":"$problem->{id}","diagram_data":$exact}));
    like($stored->body, qr/\Q"diagram_data":$exact\E/, 'a diagram is returned byte for byte as it was sent');
    my $located = api_as($author, PUT => "/submissions/$new->{id}", json => { feedback => { strengths => 5 } })->json;
    is_deeply($located->{detail}[0]{loc}, [qw(body feedback strengths)], 'loc is the path to the nested field');
};

subtest 'A submission is private to its owner' => sub {
    is_deeply(api_as($author, GET => "/submissions/$new->{id}")->json, $new, 'the owner reads the submission');
    is_error(api_as($other, GET => "/submissions/$new->{id}"), 'located', 403,
        'another user cannot read the submission');
    is_error(api_as($admin, GET => "/submissions/$new->{id}"), 'located', 403, 'an admin cannot read the submission');
    is_error(api_as($other, PUT => "/submissions/$new->{id}", json => { score => 99 }), 'located', 403,
        'another user cannot update the submission');
    is_error(api_as($other, POST => "/submissions/$new->{id}/chat", json => \%message), 'located', 403,
        'another user cannot add a chat message to the submission');
    is_error(api_as($other, DELETE => "/submissions/$new->{id}"), 'located', 404,
        'another user cannot delete the submission');
};

subtest 'An update replaces the fields sent' => sub {
    my %change = (score => 85, time_spent => 5, status => 'completed', diagram_data => { a => 1 });
    my $reply = api_as($author, PUT => "/submissions/$new->{id}",
        json => { %change, feedback => { improvements => ['i'] }, problem_id => $unknown_id });
    my $changed = is_saved($reply, 200, 'Submission updated successfully', 'submission', 'updating a submission');
    is_submission($changed, 'updated submission');
    is_deeply([@$changed{qw(score time_spent status diagram_data problem_id feedback)}],
        [85, 5, 'completed', { a => 1 }, $problem->{id},
            { strengths => [], improvements => ['i'], missing_components => [] }],
        'the fields sent are replaced, problem_id is read-only');
    my %empty = (strengths => [], improvements => [], missing_components => []);
    is_deeply(api_as($author, PUT => "/submissions/$new->{id}",
            json => { feedback => {} })->json->{submission}{feedback}, \%empty,
        'an empty feedback empties all of its parts');
    is_deeply(api_as($author, PUT => "/submissions/$new->{id}",
            json => { feedback => { improvements => ['i'], strengths => undef } })
            ->json->{submission}{feedback}, { %empty, improvements => ['i'] },
        'null for a part of a feedback empties the part');
    my %null = map { $_ => undef } qw(status time_spent diagram_data feedback);
    is_deeply(api_as($author, PUT => "/submissions/$new->{id}", json => { score => 0, %null })->json->{submission}{$_},
        { %$changed, score => 0 }->{$_},
        "null leaves $_ unchanged") for qw(score time_spent status diagram_data feedback);
    is_deeply(api_as($author, PUT => "/submissions/$new->{id}", json => { feedback => { strengths => ['s'] } })
            ->json->{submission}{feedback}, { strengths => ['s'], improvements => [], missing_components => [] },
        'a feedback replaces the previous one as a whole');
};

subtest 'Chat messages are appended in order' => sub {
    my $chat = is_saved(api_as($author, POST => "/submissions/$new->{id}/chat", json => { %message, timestamp => 'x' }),
        200, 'Chat message added successfully', 'submission', 'adding a chat message');
    is_deeply(keys_of($chat), [qw(chat_messages id)], 'the response has exactly id and chat_messages');
    is_deeply([map { $_->{role}, $_->{content} } @{ $chat->{chat_messages} }], ['user', 'Why?'],
        'the message is stored');
    like($chat->{chat_messages}[0]{timestamp}, $seconds, 'the timestamp is set by the server, to the second');
    $chat = api_as($author, POST => "/submissions/$new->{id}/chat",
        json => { role => 'assistant', content => " \"Därum\"\n" })
        ->json->{submission};
    is_deeply([map { $_->{content} } @{ $chat->{chat_messages} }], ['Why?', " \"Därum\"\n"],
        'messages are kept in order, byte for byte');
    is_deeply(api_as($author, GET => "/submissions/$new->{id}")->json->{chat_messages}, $chat->{chat_messages},
        'a later GET returns the messages');
    my @invalid = ([role => 'system'], [role => undef], [content => ''], [content => undef], [content => 5],
        [content => 'x' x 32769]);
    is_invalid(api_as($author, POST => "/submissions/$new->{id}/chat", json => { %message, @$_ }), 'located', [$_->[0]],
        "an invalid $_->[0] is rejected") for @invalid;
    is_invalid(api_as($author, POST => "/submissions/$new->{id}/chat", json => {}), 'located', [qw(content role)],
        'role and content are required');
    parallel(8, sub { api_as($author, POST => "/submissions/$new->{id}/chat", json => \%message)->status });
    is(scalar @{ api_as($author, GET => "/submissions/$new->{id}")->json->{chat_messages} }, 10,
        'of 8 concurrent messages none is lost');
    sql("UPDATE learnhub.submissions SET chat_messages = (SELECT jsonb_agg(n) FROM generate_series(1, 1000) n)
        WHERE id = decode(?, 'hex')", $rich->{id});
    is_error(api_as($author, POST => "/submissions/$rich->{id}/chat", json => \%message), 'located', 400, qr/1000/,
        'a chat has at most 1000 messages');
    sql("UPDATE learnhub.submissions SET chat_messages = to_jsonb(ARRAY[repeat('x', 1000000)])
        WHERE id = decode(?, 'hex')", $rich->{id});
    is_error(api_as($author, POST => "/submissions/$rich->{id}/chat", json => \%message), 'located', 400, qr/1 MB/,
        'a chat has at most 1 MB');
};

my $second;

subtest 'The newest submission for a problem is returned' => sub {
    $second = is_saved(api_as($author, POST => '/submissions/', json => { problem_id => $problem->{id} }), 201,
        'Submission created successfully', 'submission', 'a second submission');
    is_deeply(api_as($author, GET => "/submissions/problem/$problem->{id}")->json, $second,
        "the caller's newest submission for the problem is returned");
    is_error(api_as($other, GET => "/submissions/problem/$problem->{id}"), 'located', 404,
        '404 without a submission for the problem');
};

subtest "my-submissions lists the caller's submissions, newest first" => sub {
    my $sender = signup();
    my @sent = reverse map { submission(by => $sender, score => $_) } 1 .. 3;
    my $list_of = api_as($sender, GET => '/submissions/user/my-submissions?limit=2')->json;
    is_deeply([keys_of($list_of), @$list_of{qw(total skip limit)}], [[qw(limit skip submissions total)], 3, 0, 2],
        'keys; total counts all submissions, not the page');
    is_deeply([map { keys_of($_) } @{ $list_of->{submissions} }], [($listed_keys) x 2],
        'a listed submission has eight fields');
    is_deeply([map { $_->{id} } @{ $list_of->{submissions} }], [map { $_->{id} } @sent[0, 1]],
        'submissions are listed newest first');
    is_deeply(api_as($sender, GET => '/submissions/user/my-submissions?skip=2')->json->{submissions}[0]{score}, 1,
        'skip omits the newest');
};

subtest 'Submissions survive their problem' => sub {
    api_as($author, DELETE => "/problems/$problem->{id}");
    is(api_as($author, GET => "/submissions/$new->{id}")->json->{problem_id}, $problem->{id},
        'a submission is readable after its problem is deleted');
    is(api_as($author, GET => "/submissions/problem/$problem->{id}")->json->{id}, $second->{id},
        'a submission is found by its deleted problem');
};

subtest 'A submission is deleted by its owner' => sub {
    my $gone = api_as($author, DELETE => "/submissions/$new->{id}");
    is_deeply([$gone->status, $gone->body], [204, ''], 'the owner deletes a submission');
    is_error(api_as($author, GET => "/submissions/$new->{id}"), 'located', 404, 'a deleted submission cannot be read');
    is_error(api_as($author, DELETE => "/submissions/$new->{id}"), 'located', 404,
        'a deleted submission cannot be deleted again');
};

# A practice session with a saved diagram and a chat message.
sub session {
    my ($owner) = @_;
    my $session = api_as($owner, POST => '/sessions/', json => { problem_id => problem()->{id} })->json;
    api_as($owner, PUT => "/sessions/$session->{id}/autosave",
        json => { diagram_data => $diagram, time_spent => 1200 });
    return api_as($owner, POST => "/sessions/$session->{id}/chat", json => \%message)->json;
}

subtest 'A practice session is submitted once' => sub {
    my $session = session($author);
    is_error(api_as($other, POST => "/submissions/from-session/$session->{id}"), 'located', 403,
        "another user's session cannot be submitted");
    my $reply = api_as($author, POST => "/submissions/from-session/$session->{id}");
    my $from = is_saved($reply, 201, 'Submission created from session successfully', 'submission',
        'submitting a session');
    is_submission($from, 'submission from a session');
    is_deeply([@$from{qw(user_id problem_id diagram_data score time_spent status chat_messages)}], [$author->{email},
            $session->{problem_id}, $diagram, 0, 1200, 'completed', $session->{chat_messages}],
        'diagram, time and chat are copied');
    like($from->{chat_messages}[0]{timestamp}, $millis, 'a copied message keeps its time');
    my $ended = api_as($author, GET => "/sessions/$session->{id}")->json;
    is($ended->{status}, 'submitted', 'the session becomes submitted');
    like($ended->{ended_at}, $millis, 'the session has an end');
    is_error(api_as($author, POST => "/submissions/from-session/$session->{id}"), 'located', 400, qr/already/,
        'a submitted session cannot be submitted again');
    is(api_as($author, DELETE => "/submissions/$from->{id}")->status, 204, 'the submission can be deleted');
    is_error(api_as($author, POST => "/submissions/from-session/$session->{id}"), 'located', 400, qr/already/,
        'a session stays submitted when its submission is deleted');
};

subtest 'A paused session can be submitted, an abandoned one cannot' => sub {
    my $paused = session($author);
    api_as($author, PUT => "/sessions/$paused->{id}/pause", json => { time_spent => 1300 });
    is(api_as($author, POST => "/submissions/from-session/$paused->{id}")->json->{submission}{time_spent}, 1300,
        'a paused session is submitted');
    my $left = session($author);
    api_as($author, DELETE => "/sessions/$left->{id}");
    is_error(api_as($author, POST => "/submissions/from-session/$left->{id}"), 'located', 400, qr/abandoned/,
        'an abandoned session is rejected');
};

subtest 'Concurrent requests submit a session once' => sub {
    my $raced = session($author);
    my @statuses = sort map { $_->{status} } parallel(12,
        sub { api_as($author, POST => "/submissions/from-session/$raced->{id}") });
    is_deeply(\@statuses, [201, (400) x 11], 'of 12 concurrent requests one succeeds');
    is((sql("SELECT count(*) AS n FROM learnhub.submissions WHERE session_id = decode(?, 'hex')", $raced->{id}))[0]{n},
        1, 'the database has one submission of a session after 12 concurrent requests');
};

done_testing();

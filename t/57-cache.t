# SPDX-License-Identifier: Apache-2.0
# The cache of responses: its notes, what its keys tell apart, changes through this node, which all of its processes
# show at once, expiry, limits, and the topics that the database stores.
use strict;
use warnings;
use utf8;
use lib 't/lib';
use LearnHub::Cache;
use LearnHub::Test;
use Time::HiRes qw(sleep time);

my $node = node("LearnHubCORS https://a.example\n");
my $port = $node->port;
my $off = node("LearnHubCache 0\n");
my ($teacher, $admin) = (signup(role => 'instructor', first_name => 'Grace'), signup(role => 'admin'));
my ($ada, $bob) = map { signup() } 1 .. 2;

sub send_to { my ($user, $method, $path, %with) = @_; return api_as($user, $method => $path, port => $port, %with) }

sub json_of { my ($reply) = @_; $reply->status =~ /^2/ or die $reply->summary; return $reply->json }

sub problem {
    my ($user, $title) = @_;
    my %fields = (title => $title, description => 'D', difficulty => 'easy');
    return json_of(send_to($user, POST => '/problems/', json => \%fields))->{problem}{id};
}

sub session {
    my (%with) = @_;
    my %fields = (title => 'S', description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 5, %with);
    return json_of(send_to($teacher, POST => '/api/sessions/', json => \%fields))->{id};
}

# The notes of requests in sequence over one connection, which one process serves.
sub notes_of {
    my ($at, @requests) = @_;
    my $tag = unique('notes');
    for (@requests) {
        my ($user, $method, $path, %with) = @$_;
        my %headers = (%{ delete $with{headers} // {} }, 'X-Tag' => $tag);
        api_as($user, $method => $path, port => $at, headers => \%headers, %with);
    }
    return join ' ', map { $_->[0] } notes($at, $tag, scalar @requests);
}

my $problem = problem($ada, 'Problem');

subtest 'notes' => sub {
    my @get = (undef, GET => "/problems/$problem");
    my @put = ($ada, PUT => "/problems/$problem", json => { title => 'Changed' });
    is(notes_of($port, \@get, \@get, \@get, \@put, \@get, \@get), 'miss hit hit - miss hit',
        'a response is cached until it changes');
    is(notes_of($port, [$ada, GET => '/auth/users/me/'], [undef, GET => '/nothing']), '- -',
        'routes without topics have no note');
    is(notes_of($port, ([undef, GET => '/problems/' . '0' x 24]) x 2), 'miss miss', 'errors are not cached');
    is(notes_of($port, ([$ada, GET => '/users/me']) x 2, [$bob, GET => '/users/me'], [$ada, GET => '/users/me']),
        'miss hit miss hit', 'callers have their own responses');
    is(notes_of($off->port, \@get, \@get), 'off off', 'LearnHubCache 0 turns the cache off');
};

subtest 'responses from the cache' => sub {
    session() for 1 .. 3;
    for my $case ([undef, "/problems/$problem"], [$ada, '/users/me'], [$ada, '/api/sessions/?page_size=2']) {
        my ($user, $path) = @$case;
        my @replies = map { send_to($user, GET => $path, headers => { Origin => 'https://a.example' }) } 1 .. 2;
        my ($first, $second) = map {
            my $reply = $_;
            my @names = grep { !/^(?:Date|Client-.*|Keep-Alive)$/i } $reply->response->header_field_names;
            [$reply->status, $reply->body, map { "$_: " . $reply->header($_) } sort @names]
        } @replies;
        is_deeply($second, $first, "$path: the cached response equals the first one");
        is(send_to($user, HEAD => $path)->header('Content-Length'), length $replies[0]->body,
            "$path: HEAD has the length of the cached response");
        my $etag = $replies[1]->header('ETag');
        my $same = send_to($user, GET => $path, headers => { 'If-None-Match' => $etag });
        is($same->status, 304, "$path: a cached response becomes a 304");
    }
};

subtest 'what keys tell apart' => sub {
    my $page = sub {
        my ($args, %with) = @_;
        return json_of(send_to($ada, GET => "/api/sessions/?$args", %with));
    };
    my $next = sub { my ($args, %with) = @_; return $page->($args, %with)->{next} // '' };
    for (1 .. 2) {
        is(scalar @{ $page->('page_size=1')->{results} }, 1, 'page_size 1');
        is(scalar @{ $page->('page_size=2')->{results} }, 2, 'page_size 2');
        isnt($page->('page_size=1&page=2')->{results}[0]{id}, $page->('page_size=1')->{results}[0]{id}, 'pages differ');
        isnt($page->('page_size=1&status=cancelled')->{count}, $page->('page_size=1')->{count}, 'filters differ');
        like($next->('page_size=1&x=1'), qr/page_size=1&x=1&page=2$/, 'links have the query as it was sent');
        like($next->('x=2&page_size=1'), qr/x=2&page_size=1&page=2$/, 'in its order');
        like($next->('page_size=1', headers => { Host => 'other.example' }), qr{^http://other\.example/},
            'links have the host of the request');
        like($next->('page_size=1'), qr{^http://127\.0\.0\.1:$port/api/sessions/\?}, 'and its path');
        my $bare = json_of(send_to($ada, GET => '/api/sessions?page_size=1'));
        like($bare->{next}, qr{/api/sessions\?page_size}, 'with or without its slash');
    }
    is(send_to($ada, GET => '/problems/?skip=0&limit=1')->json->{limit}, 1, 'limit 1');
    is(send_to($ada, GET => '/problems/?skip=0&limit=2')->json->{limit}, 2, 'limit 2');
    is(send_to(undef, GET => '/users/me')->status, 401, 'a caller without a token gets no cached account');
};

# ---- changes through this node ----

# [what, [path, user] of the read, change, test of the new state]
sub shows_at_once {
    my ($what, $path, $user, $change, $test) = @_;
    my $token = $user ? $user->{token} : undef;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok(warm($port, [$path, $token]), "$what: two processes have the old response");
    my $reply = $change->();
    ok($reply->status =~ /^2/, "$what: the change succeeds") || diag($reply->summary);
    return ok(all_see($port, $path, $token, $test), "$what: all processes show the change at once");
}

subtest 'problems' => sub {
    my $id = problem($ada, 'Old');
    my $list = '/problems/?limit=3';
    my $put = sub { my ($title) = @_; return send_to($ada, PUT => "/problems/$id", json => { title => $title }) };
    shows_at_once('update', "/problems/$id", undef, sub { $put->('New') }, sub { $_[0]{title} eq 'New' });
    shows_at_once('update, id in upper case', '/problems/' . uc $id, undef, sub { $put->('Newer') },
        sub { $_[0]{title} eq 'Newer' });
    shows_at_once('update, list', $list, undef, sub { $put->('Newest') },
        sub { $_[0]{problems}[0]{title} eq 'Newest' });
    shows_at_once('update, own list', '/problems/user/my-problems?limit=2', $ada, sub { $put->('Own') },
        sub { $_[0]{problems}[0]{title} eq 'Own' });
    shows_at_once('creation', $list, undef,
        sub { send_to($bob, POST => '/problems/',
                json => { title => 'Created', description => 'D', difficulty => 'easy' }) },
        sub { $_[0]{problems}[0]{title} eq 'Created' });
    shows_at_once('deletion', "/problems/$id", undef, sub { send_to($ada, DELETE => "/problems/$id") },
        sub { $_[1] == 404 });
};

subtest 'accounts' => sub {
    my $user = signup();
    my ($mail, $path) = (unique('new') . '@example.com', '/problems/' . problem($user, 'Mine'));
    my $patch = sub {
        my (%fields) = (current_password => $user->{password}, @_);
        return send_to($user, PATCH => '/auth/users/me/', json => \%fields);
    };
    my $delete = sub { send_to($user, DELETE => '/auth/users/me/', json => { current_password => $user->{password} }) };
    shows_at_once('e-mail of a creator', $path, undef, sub { $patch->(email => $mail) },
        sub { $_[0]{created_by} eq $mail });
    shows_at_once('own e-mail', '/users/me', $user, sub { $patch->(email => "x$mail") },
        sub { $_[0]{email} eq "x$mail" });
    shows_at_once('deletion of the account', $path, undef, $delete,
        sub { $_[0]{created_by} =~ /\@deleted\.invalid$/ });
    ok(all_see($port, '/users/me', $user->{token}, sub { $_[1] == 401 }), 'a deleted account is not shown to its user');
};

subtest 'tutoring sessions' => sub {
    my ($id, $list) = (session(title => 'Old'), '/api/sessions/?page_size=2');
    my $see = sub {
        my ($what, $user, $method, $path, $json, $test) = @_;
        my $change = sub { send_to($user, $method => "/api/sessions/$id/$path", $json ? (json => $json) : ()) };
        my $own = sub { my ($json) = @_; return grep { $_->{id} == $id } @{ $json->{results} } };
        return shows_at_once($what, $list, $bob, $change, sub { $test->($own->(@_)) });
    };
    $see->('PATCH', $teacher, PATCH => '', { title => 'New' }, sub { $_[0]{title} eq 'New' });
    $see->('join', $ada, POST => 'join/', undef, sub { $_[0]{participant_count} == 1 });
    $see->('leave', $ada, POST => 'leave/', undef, sub { $_[0]{participant_count} == 0 });
    $see->('start', $teacher, POST => 'start/', undef, sub { $_[0]{status} eq 'ongoing' });
    $see->('cancel', $teacher, POST => 'cancel/', undef, sub { $_[0]{status} eq 'cancelled' });
    $see->('delete', $teacher, DELETE => '', undef, sub { !@_ });
    $id = session();
    shows_at_once('role of the creator', $list, $bob,
        sub {
            my $path = '/api/admin/users/' . user($teacher->{email})->{id} . '/';
            return send_to($admin, PATCH => $path, json => { role => 'admin' });
        },
        sub { $_[0]{results}[0]{creator}{role} eq 'admin' });
};

subtest 'can_join' => sub {
    my $id = session();
    my $starts_soon = sub {
        return (sql("UPDATE learnhub.tutoring_sessions SET starts_at = now() + interval '4 seconds' WHERE id = ?
            RETURNING extract(epoch FROM starts_at) AS at", $id))[0]{at};
    };
    my $list = '/api/sessions/?page_size=1';
    my $can_join = sub {
        my ($reply) = @_;
        my $first = $reply->json->{results}[0];
        return $first->{id} == $id && $first->{can_join};
    };
    my ($start, $hit);
    for (1 .. 3) { # a busy machine may need more than the time before the start
        my $tag = unique('join');
        $start = $starts_soon->();
        $hit = eventually(sub {
                my $reply = send_to($bob, GET => $list, headers => { 'X-Tag' => $tag });
                return $can_join->($reply) && grep { $_->[0] eq 'hit' } notes($port, $tag, 1);
        }, 3);
        last if $hit;
    }
    ok($hit, 'before its start a cached session can be joined');
    sleep 0.02 while (sql('SELECT extract(epoch FROM clock_timestamp()) AS now'))[0]{now} < $start;
    ok(!$can_join->(send_to($bob, GET => $list)), 'when it starts, it cannot');
};

# ---- limits ----

subtest 'LearnHubCache' => sub {
    my $small = node("LearnHubCache 262144\nServerLimit 1\nStartServers 1\nMaxRequestWorkers 32\nMaxSpareThreads 32\n");
    my $long = problem($ada, 'x' x 200);
    my $path = sub { return [undef, GET => "/problems/$long", headers => { Host => "h$_[0].example" }] };
    ok(eventually(sub { api(GET => '/health', port => $small->port)->status == 200 }), 'the server is healthy');
    is(notes_of($small->port, ($path->(0)) x 2), 'miss hit', 'a small cache is used');
    notes_of($small->port, map { $path->($_) } 1 .. 800);
    is(notes_of($small->port, map { $path->($_) } 800, 0), 'hit miss', 'old entries make room for 800 new ones');
    send_to($ada, PUT => "/problems/$long", json => { description => 'x' x 40000 });
    is(notes_of($small->port, ($path->(1)) x 2), 'miss miss', 'a response above 1/16 of the limit is not stored');
    is(notes_of($port, ($path->(1)) x 2), 'miss hit', 'a larger cache stores it');
    my $query = 'category=' . 'x' x 200 . '&x=' . 'y' x 1000;
    is(notes_of($port, ([undef, GET => "/problems/?$query"]) x 2), 'miss hit',
        'a long query that a list without links ignores does not matter');
    is(notes_of($port, ([$ada, GET => "/api/sessions/?$query"]) x 2), 'miss miss',
        'responses with keys above 1 KB are not stored');
    $small->stop;
};

# ---- topics ----

# The topics that transactions of the block store, sorted.
sub topics {
    my ($change) = @_;
    sql('DELETE FROM learnhub.changes');
    $change->();
    return join ' ', map { $_->{topic} } sql('SELECT topic FROM learnhub.changes ORDER BY topic');
}

subtest 'topics' => sub {
    my $id = user($ada->{email})->{id};
    my $set = sub { my ($set) = @_; return topics(sub { sql("UPDATE learnhub.users SET $set WHERE id = ?", $id) }) };
    is($set->("first_name = 'Other'"), "creators user:$id", 'a name that changes');
    is($set->("first_name = 'Other'"), '', 'a name that stays');
    is($set->("phone_number = '+49301234567', is_mentor = true"), '', 'what no cached response shows');
    is(topics(sub { sql('UPDATE learnhub.problems SET title = title') }), '', 'problems that stay');
    is(topics(sub { sql(q(UPDATE learnhub.problems SET title = 'T' WHERE id = decode(?, 'hex')), $problem) }),
        "problem:$problem problems", 'a problem');
    like(topics(sub { sql('SELECT learnhub.announce(i::text) FROM generate_series(1, 3000) i') }), qr/^\* /,
        'a transaction with many topics changes everything');
    my $several = topics(sub {
            database()->begin_work;
            sql(q(UPDATE learnhub.problems SET title = ? WHERE id = decode(?, 'hex')), "T$_", $problem) for 1 .. 3;
            database()->do('SAVEPOINT s');
            sql('UPDATE learnhub.users SET last_name = ? WHERE id = ?', 'Undone', $id);
            database()->do('ROLLBACK TO s');
            is((sql(q(SELECT current_setting('learnhub.topics') AS t)))[0]{t}, "problems problem:$problem",
                'the topics of the transaction so far, without those undone');
            database()->commit;
    });
    is($several, "problem:$problem problems", 'a transaction stores each topic once');
    is(topics(sub { database()->begin_work; sql('TRUNCATE learnhub.problems'); database()->rollback }), '',
        'a transaction that is rolled back stores none');
};

subtest 'routes that store no topic' => sub {
    my $work = json_of(send_to($ada, POST => '/sessions/', json => { problem_id => problem($bob, 'P') }));
    my $path = '/sessions/' . ($work->{id} // $work->{session}{id});
    my %runs = (
        'sessions.autosave' => sub {
            json_of(send_to($ada, PUT => "$path/autosave", json => { diagram_data => { a => $_ }, time_spent => $_ }))
                for 1, 1, 2;
        },
        'sessions.chat' => sub {
            json_of(send_to($ada, POST => "$path/chat", json => { role => 'user', content => 'Hello' }));
        },
    );
    my @flagged;
    for my $file (glob 'mod_learnhub/api/*.c') {
        open my $in, '<', $file or die $!;
        my $text = do { local $/; <$in> };
        push @flagged, map { /^([\w.]+)".*?LH_KEEPS_CACHE/s ? $1 : () } split /\{\.name = "/, $text;
    }
    is_deeply([sort @flagged], [sort keys %runs], 'all routes with LH_KEEPS_CACHE are tested');
    is(topics($runs{$_}), '', "$_ stores no topic") for sort keys %runs;
};

# topics_since() of a position: (topics, new position)
sub since { return @{ (sql('SELECT * FROM learnhub.topics_since(?)', $_[0]))[0] }{qw(topics position)} }

subtest 'reading and pruning changes' => sub {
    my ($topics, $position) = since('');
    is($topics, '*', 'without a position everything may have changed');
    is((since('1.5 1:1:'))[0], '*', 'with a position of another server, too');
    is((since($position))[0], '', 'nothing has changed since');
    my $other = database()->clone;
    $other->begin_work;
    $other->do("SELECT learnhub.announce('slow')");
    sql("SELECT learnhub.announce('fast'), learnhub.announce('faster')");
    ($topics, my $later) = since($position);
    is($topics, 'fast faster', 'topics are read when they are committed');
    my $prune = sub {
        sql("UPDATE learnhub.changes_pruned SET at = now() - interval '6 minutes'");
        return sql('SELECT learnhub.prune_changes()');
    };
    $prune->() for 1 .. 3;
    $other->commit;
    is((since($later))[0], 'slow', 'a transaction that was running is not missed');
    $prune->();
    (undef, $later) = since($later);
    $prune->();
    is((sql("SELECT count(*) AS n FROM learnhub.changes WHERE topic ~ 'fast|slow'"))[0]{n}, 0, 'old rows are deleted');
    is((since($position))[0], '*', 'a process that has missed deleted rows is told');
    is((since($later))[0], '', 'one that has read them is not');
    sql("INSERT INTO learnhub.changes (xid, topic) VALUES ('9000000000000', 'restored')");
    sql("UPDATE learnhub.changes_pruned SET pruned = '9000000000000', next = '9000000000000', at = now()");
    sql('SELECT learnhub.prune_changes()');
    (undef, $later) = since('');
    is_deeply([(since($later))[0], sql("SELECT 1 FROM learnhub.changes WHERE topic = 'restored'")], [''],
        'rows of a dump of another server do not matter');
};

done_testing;

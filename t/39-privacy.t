# SPDX-License-Identifier: Apache-2.0
# What is stored about a user: the export, the deletion of an account, and what directories show. Every table with a
# column of users must be exported and erased, or is listed here with a reason; a new table fails until that is decided.
use strict;
use warnings;
use utf8;

use LearnHub::Test;

my $export = '/auth/users/me/export/';
my $me = '/auth/users/me/';

sub id_of { my ($user) = @_; return user($user->{email})->{id} }

# The columns that name users, by foreign key or by name: (table => [columns]).
my %columns;
push @{ $columns{ $_->{name} } }, $_->{attname} for sql(q{
    SELECT DISTINCT t.relname AS name, a.attname
    FROM pg_class t
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_constraint f ON f.conrelid = t.oid AND f.contype = 'f' AND a.attnum = ANY (f.conkey)
                             AND f.confrelid = 'learnhub.users'::regclass
    WHERE t.relnamespace = 'learnhub'::regnamespace AND t.relkind IN ('r', 'p') AND NOT t.relispartition
      AND (f.oid IS NOT NULL
           OR a.attname ~ '^(users?|owner|author|creator|member|mentor|mentee|actor|account|person|recipient)_id$'
           OR a.attname ~ '_by$' AND a.atttypid = 'bigint'::regtype) ORDER BY 1, 2});

my %not_exported = (
    auth_events => 'revoked tokens, without content, for at most 31 days',
    erasures => 'only of deleted accounts',
    idempotency_keys => 'copies of responses that the account has received, encrypted, until LearnHubIdempotencyTTL',
    login_names => 'the username and the e-mail address of the account record',
    mail_requests => 'counts the mails of the last hour, which are exported',
    mentoring_hours => 'the hours of mentoring_session records',
);

my %kept = (
    audit_log => 'security, until LearnHubKeepAudit; without names',
    auth_events => 'revoked tokens, without content, for at most 31 days',
    availabilities => 'sessions of others refer to them; those without a session are deleted',
    erasures => 'work for the job; the row is deleted at its end',
    login_names => 'the names of the anonymous account',
    mail_requests => 'limits the mails to an address, for an hour',
    mentoring_hours => 'the hours of a session of two people',
    mentoring_sessions => 'shared with the other participant',
    problems => 'read by others',
    tutoring_participants => 'shared with the other participants',
    tutoring_sessions => 'read by others',
);

my %not_guarded = (
    activity_photos => 'limit_activity_photos() ignores rows of deleted accounts',
    audit_log => 'entries outlive accounts',
    auth_events => 'stored by the deletion itself',
    coding_profiles => 'written under a lock on the account that was read as active, and by a trigger',
    erasures => 'stored by the deletion itself',
    login_names => 'maintained by a trigger on users',
    logins => 'stored under a lock on the account, which must be active',
    mail_requests => 'requests name addresses, and accounts only afterwards',
    mentoring_hours => 'stored with a session',
    mentoring_sessions => 'booked under locks on both accounts, which must be active',
);

# The tables and kinds of records of the export.
my $source = do { local (@ARGV, $/) = "$top/mod_learnhub/api/account_data.c"; <> };
my %read = map { $_ => 1 } $source =~ /"(\w+)(?: \w)? (?:WHERE|JOIN|LEFT JOIN) /g, $source =~ /\blearnhub\.(\w+) /g;
my @kinds = $source =~ /RECORDS\("(\w+)",/g;

subtest 'every table with a column of users is decided' => sub {
    cmp_ok(scalar keys %columns, '>', 20, 'the tables are found');
    my %guarded = map { $_->{name} => 1 } sql(q{SELECT tgrelid::regclass::text AS qualified,
        (SELECT relname FROM pg_class WHERE oid = tgrelid) AS name FROM pg_trigger WHERE tgname = 'refuse_deleted'});
    my ($eraser) = map { $_->{body} } sql(q{SELECT prosrc AS body FROM pg_proc WHERE proname = 'erase_accounts'});
    for my $table (sort keys %columns) {
        is(!!$read{$table}, !$not_exported{$table}, "$table is exported or has a reason not to be");
        is(scalar($eraser =~ /'\Q$table\E'/), $kept{$table} ? '' : 1, "$table is erased or has a reason to be kept");
        is(!!$guarded{$table}, !$not_guarded{$table}, "$table rejects rows of deleted accounts, or has a reason");
    }
    my %stale = map {%$_} \%not_exported, \%kept, \%not_guarded;
    is_deeply([grep { !$columns{$_} } sort keys %stale], [], 'each reason is that of a table');
};

# ---- an account with rows in every table ----

my $gif = "GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;";
my $serial = 0;

sub ok_json {
    my ($reply) = @_;
    $reply->status =~ /^2/ or die $reply->summary;
    return $reply->json;
}

# Stores something of a user in every table that has a column of users.
sub full_account {
    my $user = signup(first_name => 'Zelda', last_name => 'Quux', role => 'instructor');
    my $other = signup();
    my ($id, $other_id, $n) = (id_of($user), id_of($other), ++$serial);
    my $do = sub { ok_json(api_as($user, @_)) };
    ok_json(api(POST => '/auth/token/login/', json => { username => $user->{email}, password => $user->{password} }));
    $do->(PATCH => '/myprofile/', multipart => [profile_photo => [undef, 'p.gif', Content => $gif]]);
    $do->(POST => '/mentorinfo/', json => { about_me => 'I', skills => ['C'] });
    $do->(POST => '/menteeinfo/', json => { team_number => 4 });
    sql('INSERT INTO learnhub.notification_settings (user_id, session_canceled) VALUES (?, true)', $id);
    my $offer = $do->(POST => '/availabilty/',
        json => { start_time => '2040-01-01T10:00:00Z', end_time => '2040-01-01T12:00:00Z' });
    $do->(POST => '/availabilty/',
        json => { start_time => '2040-02-01T10:00:00Z', end_time => '2040-02-01T12:00:00Z' });
    sql('INSERT INTO learnhub.notification_settings VALUES (?, true, true, true)', $other_id);
    my %request = (mentor_availability => $offer->{pk}, start_time => '2040-01-01T10:00:00Z', session_length => 30);
    ok_json(api_as($other, POST => '/sessionrequest/', json => \%request));
    my $tutoring = $do->(POST => '/api/sessions/',
        json => { title => 'T', description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 5 })->{id};
    sql(q{INSERT INTO learnhub.tutoring_participants (session_id, user_id, role) VALUES (?, ?, 'tutor')},
        $tutoring, $id);
    my $problem = $do->(POST => '/problems/', json => { title => 'T', description => 'D', difficulty => 'easy' });
    my $practice = $do->(POST => '/sessions/', json => { problem_id => $problem->{problem}{id} })->{id};
    $do->(PUT => "/sessions/$practice/autosave",
        json => { diagram_data => { secret => "drawing $n" }, time_spent => 5 });
    $do->(POST => "/sessions/$practice/chat", json => { role => 'user', content => 'My chat' });
    $do->(POST => '/submissions/', json => { problem_id => $problem->{problem}{id} },
        headers => { 'Idempotency-Key' => "full $n" });
    $do->(POST => '/api/codingsessions/', json => { duration => '01:00:00', source => 'manual', session_name => 'S' });
    sql(q{UPDATE learnhub.coding_sessions SET status = 'unlocked' WHERE user_id = ?}, $id);
    $do->(POST => '/api/credits/spend/', json => { amount => 1, reason => 'R' });
    $do->(POST => '/api/activities/', multipart => [activity => 'hiking', duration => '1:00:00',
            verification_proof => [undef, 'p.gif', Content => $gif]]);
    sql(q{WITH r AS (INSERT INTO learnhub.rewards (name, cost, category) VALUES ('N', 5, 'digital') RETURNING id)
          INSERT INTO learnhub.redemptions (user_id, reward_id, spending_id)
          SELECT s.user_id, r.id, s.id FROM r, learnhub.credit_spendings s WHERE s.user_id = ?}, $id);
    my $goal = $do->(POST => '/api/v1/goals/', json => { title => 'G', emoji => 'e', days_total => 5,
            category => { name => 'C', color => '#aabbcc' } })->{id};
    sql(q{INSERT INTO learnhub.xp_sessions (id, user_id, goal_id, status) VALUES (?, ?, ?, 'active')},
        unique('xp'), $id, $goal);
    sql(q{INSERT INTO learnhub.evaluations (user_id, question, submitting) VALUES (?, 'q', false)}, $id);
    sql(q{INSERT INTO learnhub.model_turns (user_id, purpose) VALUES (?, 'question')}, $id);
    sql(q{INSERT INTO learnhub.password_resets (digest, user_id) VALUES (sha256(?::bytea), ?)}, unique('reset'), $id);
    sql(q{INSERT INTO learnhub.email_confirmations (user_id, digest, address) VALUES (?, sha256(?::bytea), ?)},
        $id, unique('confirmation'), unique('next') . '@example.com');
    sql(q{INSERT INTO learnhub.outbox (user_id, to_address, subject, body, state)
          VALUES ($1, 'old@t.example', 'An old mail', '', 'sent'), ($1, 'new@t.example', 'A new mail', '', 'waiting')},
        $id);
    return ($user, $id, $other);
}

# The number of a user's rows in each table: {table => n}.
sub rows_of {
    my ($id) = @_;
    my %rows;
    for my $table (keys %columns) {
        my $condition = join ' OR ', map {"$_ = $id"} @{ $columns{$table} };
        my ($row) = sql("SELECT count(*) AS n FROM learnhub.$table WHERE $condition");
        $rows{$table} = $row->{n} if $row->{n};
    }
    return \%rows;
}

# Runs the job that erases until nothing is left to do for an account.
sub erase {
    my ($id) = @_;
    return eventually(
        sub {
            sql('SELECT learnhub.erase_accounts()');
            return !sql('SELECT 1 FROM learnhub.erasures WHERE user_id = ?', $id);
        }, 30);
}

my ($user, $id, $other) = full_account();

subtest 'the account of this test has rows in every table' => sub {
    my $rows = rows_of($id);
    is_deeply([grep { !$rows->{$_} && $_ ne 'erasures' && $_ ne 'auth_events' } sort keys %columns], [],
        'a new table needs a row in full_account()');
};

# ---- the export ----

subtest 'the export contains everything about the caller, and nobody else' => sub {
    my $reply = api_as($user, GET => $export);
    is($reply->status, 200, 'the export returns 200');
    is($reply->header('Cache-Control'), 'private, no-cache', 'shared caches do not store it');
    my @records = @{ $reply->json->{records} };
    is_deeply(keys_of($reply->json), ['records'], 'it is one object with an array');
    my %by_kind;
    push @{ $by_kind{ $_->{kind} } }, $_->{record} for @records;
    cmp_ok(scalar @kinds, '>=', 25, 'the kinds of the statement are found');
    is_deeply(keys_of(\%by_kind), [sort @kinds], 'there are records of every kind');
    is($records[0]{kind}, 'account', 'the account comes first');
    my $account = $records[0]{record};
    is_deeply([@$account{qw(id email first_name last_name role)}], [$id, $user->{email}, qw(Zelda Quux instructor)],
        'the account has its data');
    like($account->{profile_photo}, qr{^http://.*/myprofile/photos/\w+\.gif$}, 'the photo is a URL');
    my ($practice) = @{ $by_kind{practice_session} };
    is_deeply([$practice->{diagram_data}, $practice->{chat_messages}[0]{content}],
        [{ secret => 'drawing 1' }, 'My chat'],
        'a practice session has its diagram and its chat');
    is_deeply([sort map { $_->{subject} } @{ $by_kind{mail} }], ['A new mail', 'An old mail', 'Your role was changed'],
        'mails have their subjects');
    like($by_kind{audit}[0]{event}, qr/^role_changed$/, 'the audit log about the caller is part of it');
    unlike($reply->body, qr/password_hash|token_version|digest|\$2y\$/, 'it contains no hash of a password or token');
    my $others = join '|', map {quotemeta} $other->{email}, 'other of this';
    unlike($reply->body, qr/$others/, 'it contains no address of another user');
    is(api_as($other, GET => $export)->json->{records}[0]{record}{email}, $other->{email},
        'another user gets the own data');
    is_error(api(GET => $export), 'detail', 401, 'the export requires a token');
};

subtest 'a large export is not held in memory' => sub {
    my $rich = signup();
    sql(q{INSERT INTO learnhub.practice_sessions (user_id, problem_id, status, ended_at, diagram_data)
          SELECT ?, learnhub.object_id(), 'abandoned', now(),
                 json_build_object('d', repeat('x', 1000000))
          FROM generate_series(1, 40) n}, id_of($rich)); # 40 MB
    my $httpd = second_httpd('');
    api_as($rich, GET => '/users/me', port => $httpd->port);
    my ($length, $records) = (0, 0);
    my $request = HTTP::Request->new(GET => 'http://127.0.0.1:' . $httpd->port . $export,
        [Authorization => "Bearer $rich->{token}"]);
    my $reply = LWP::UserAgent->new(timeout => 60)->request($request,
        sub { $length += length $_[0]; $records += () = $_[0] =~ /"kind":/g }, 65536);
    is($reply->code, 200, 'it returns 200');
    cmp_ok($length, '>', 40_000_000, 'it has all data');
    cmp_ok(resident('RssAnon'), '<', 25_000, 'httpd needs less than 25 MB for it');
    $httpd->stop;
    sql('DELETE FROM learnhub.practice_sessions WHERE user_id = ?', id_of($rich));
};

# ---- the deletion ----

# The sum of what list_counts says about problems and tutoring sessions, and their numbers.
sub list_numbers {
    my ($row) = sql(q{SELECT (SELECT sum(rows) FROM learnhub.list_counts WHERE key = '' AND day = '-infinity') AS kept,
        (SELECT count(*) FROM learnhub.problems) + (SELECT count(*) FROM learnhub.tutoring_sessions) AS counted});
    return @$row{qw(kept counted)};
}

subtest 'deleting an account deletes what only its owner could read' => sub {
    my $name = q{SELECT count(*) AS n FROM learnhub.outbox
                 WHERE body LIKE '%Zelda%' AND state IN ('waiting', 'sending')};
    my $session = (sql(q{UPDATE learnhub.mentoring_sessions SET status = 'Confirmed' WHERE mentor_id = ?
                         RETURNING id}, $id))[0]{id};
    sql(q{INSERT INTO learnhub.outbox (user_id, to_address, subject, body, subject_ref)
          VALUES (?, 'x@t.example', 'S', E'News\n\n  With: Zelda Quux\n  When: soon\n', ?)},
        id_of($other), "session $session");
    cmp_ok((sql($name))[0]{n}, '>', 0, 'a mail to another user, which waits, has the name');
    my $before = rows_of($id);
    is(api_as($user, DELETE => $me, json => { current_password => $user->{password} })->status, 204,
        'DELETE returns 204');
    is((sql($name))[0]{n}, 0, 'no mail that waits has the name');
    is((sql(q{SELECT body FROM learnhub.outbox WHERE to_address = 'x@t.example'}))[0]{body},
        "News\n\n  With: a former user\n  When: soon\n", 'the rest of that mail remains');
    ok(erase($id), 'the content is erased');
    my $after = rows_of($id);
    is_deeply([grep { !$kept{$_} } sort keys %$after], [], 'no row remains in other tables than those with a reason');
    is_deeply([@$after{qw(problems tutoring_sessions tutoring_participants mentoring_sessions)}],
        [@$before{qw(problems tutoring_sessions tutoring_participants mentoring_sessions)}],
        'what others share remains');
    is($after->{availabilities}, 1, 'an availability without a session is deleted');
    my ($kept, $counted) = list_numbers();
    is($kept, $counted, 'the numbers of rows of lists are exact');
    is((sql(q{SELECT count(*) AS n FROM learnhub.audit_log WHERE user_id = ? AND event = 'account_deleted'
              AND actor_id = user_id AND address = '127.0.0.1'}, $id))[0]{n}, 1, 'the deletion is recorded');
};

subtest 'an account with much content' => sub {
    my $rich = signup();
    my $rich_id = id_of($rich);
    sql(q{INSERT INTO learnhub.practice_sessions (user_id, problem_id, status, ended_at, diagram_data)
          SELECT ?, learnhub.object_id(), 'abandoned', now(),
                 json_build_object('d', md5(n::text))
          FROM generate_series(1, 1500) n}, $rich_id);
    database()->begin_work;
    sql('SELECT learnhub.delete_account(?)', $rich_id);
    is(rows_of($rich_id)->{practice_sessions}, 1500, 'the deletion itself deletes no content');
    database()->commit;
    ok(eventually(sub { !rows_of($rich_id)->{practice_sessions} }, 30), 'jobs delete 1500 sessions');
    ok(eventually(sub { !sql('SELECT 1 FROM learnhub.erasures WHERE user_id = ?', $rich_id) }), 'and the rest');
};

subtest 'requests that race with the deletion leave nothing' => sub {
    my @posts = (
        ['/api/codingsessions/', { duration => '00:30:00', source => 'manual', session_name => 'S' }],
        ['/api/v1/goals/',
            { title => 'G', emoji => 'e', days_total => 5, category => { name => 'C', color => '#aabbcc' } }],
        ['/menteeinfo/', { team_number => 4 }],
        ['/submissions/', { problem_id => ok_json(api_as($other, POST => '/problems/',
                        json => { title => 'T', description => 'D', difficulty => 'easy' }))->{problem}{id} }],
    );
    my $racer = signup();
    my $racer_id = id_of($racer);
    my @ends = parallel 1 + @posts, sub {
        my ($n) = @_;
        if (!$n) {
            select undef, undef, undef, 0.1;
            return api_as($racer, DELETE => $me, json => { current_password => $racer->{password} })->status;
        }
        my ($status, $until) = (0, time + 20);
        while (time < $until) {
            $status = api_as($racer, POST => $posts[$n - 1][0], json => $posts[$n - 1][1])->status;
            last if $status == 401;
        }
        return $status;
    };
    is_deeply(\@ends, [204, (401) x @posts], 'the deletion succeeds, and ends the others');
    ok(erase($racer_id), 'the content is erased');
    is_deeply([grep { !$kept{$_} } keys %{ rows_of($racer_id) }], [], 'nothing is left');

    # A request on a node that has not read the revocation yet, and a transaction that began before the deletion.
    my $late = signup();
    my $late_id = id_of($late);
    my $httpd = second_httpd("LearnHubRevocationInterval 1h\n");
    is(api_as($late, GET => '/users/me', port => $httpd->port)->status, 200, 'another node knows the token');
    my ($waited, $status) = parallel 2, sub {
        if ($_[0]) {
            my $locked = q(SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = ?);
            eventually(sub { scalar sql($locked, $late_id) });
            return api_as($late, DELETE => $me, json => { current_password => $late->{password} })->status;
        }
        database()->begin_work;
        sql(q{INSERT INTO learnhub.goals (user_id, title, emoji, category_name, category_color, days_total)
              VALUES (?, 'T', 'e', 'C', '#aabbcc', 3)}, $late_id);
        sql('SELECT pg_advisory_xact_lock(?)', $late_id);
        my $blocked = eventually(
            sub { scalar sql('SELECT 1 FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))') });
        database()->commit;
        return $blocked;
    };
    is_deeply([$waited, $status], [1, 204], 'the deletion waits for a transaction that has stored a row');
    ok(erase($late_id), 'and the row is erased');
    is_error(api_as($late, POST => $posts[1][0], json => $posts[1][1], port => $httpd->port), 'detail', 401,
        'a later request is rejected by the database');
    is_deeply([grep { !$kept{$_} } keys %{ rows_of($late_id) }], [], 'nothing is left');
    $httpd->stop;
};

# ---- photos ----

subtest 'photos are stored without metadata' => sub {
    my $picture = "\xff\xdb\0\4tt\xff\xc0\0\x0b\x08\0\1\0\1\1\1\x11\0\xff\xda\0\x08\1\1\0\0?\0data\xff\xd9";
    my $turned = "MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0";
    my $sent = "\xff\xd8\xff\xe1\0\x2fExif\0\0${turned}N 51.5 W 0.12\xff\xfe\0\6home$picture" . 'and a secret';
    my $kept = "\xff\xd8\xff\xe1\0\x22Exif\0\0$turned$picture";
    my $file = [undef, 'p.jpg', Content => $sent];
    my $holder = signup();
    my $profile = ok_json(api_as($holder, PATCH => '/myprofile/', multipart => [profile_photo => $file]));
    my $activity = ok_json(api_as($holder, POST => '/api/activities/',
            multipart => [activity => 'hiking', duration => '1:00:00', verification_proof => $file]));
    for my $url ($profile->{profile_photo}, $activity->{data}{verification_proof}) {
        my $path = $url =~ s{^http://[^/]+}{}r;
        my $photo = api(GET => $path);
        ok($photo->status == 200 && $photo->body eq $kept,
            "$path: place, comment and what follows the picture are removed, the orientation is kept");
    }
    is_invalid(api_as($holder, PATCH => '/myprofile/',
            multipart => [profile_photo => [undef, 'p.jpg', Content => substr $sent, 0, -20]]),
        'detail', ['profile_photo'], 'an incomplete picture is rejected');
};

# ---- directories ----

subtest 'directories show no e-mail address' => sub {
    my $mentor = signup();
    my $mentor_id = id_of($mentor);
    my $skill = unique('skill');
    ok_json(api_as($mentor, POST => '/mentorinfo/', json => { about_me => 'I', skills => [$skill] }));
    ok_json(api_as($mentor, POST => '/menteeinfo/', json => { team_number => 1 }));
    my $local = $mentor->{email} =~ s/@.*//r;
    for my $path ('/mentor/', "/mentor/$skill/", '/mentee/') {
        my $reply = api_as($other, GET => $path);
        my ($entry) = grep { $_->{pk} == $mentor_id } @{ $reply->json };
        is($entry->{username}, $local, "$path shows the part before the @");
        unlike($reply->body, qr/\@/, "$path shows no address at all");
    }
    is(api_as($mentor, GET => '/myprofile/')->json->{username}, $mentor->{email},
        'the own profile has the full username');
    my @names = map { (sql('SELECT learnhub.directory_name(?) AS n', $_))[0]{n} }
        'ada.king', '@ada', 'a@b@c', 'ö@x', '@';
    is_deeply(\@names, ['ada.king', '@ada', 'a', 'ö', '@'], 'usernames that are no address are shown as they are');
    my $first = (sort { $a <=> $b } map { $_->{pk} } @{ api_as($other, GET => '/mentor/')->json })[0];
    for my $path (qw(/mentor/ /mentee/ /availabilty/ /availability/?mentor=all)) {
        my $whole = api_as($other, GET => $path)->json;
        my $page = $path . ($path =~ /\?/ ? '&' : '?') . 'page=1&page_size=1';
        is_deeply(api_as($other, GET => $page)->json, [$whole->[0] // ()], "$page is the beginning of the list");
    }
    is(api_as($other, GET => '/mentor/?page=9999')->status, 404, 'a page beyond the end is 404');
};

subtest 'a mentor has at most 500 availabilities to come' => sub {
    my $mentor = signup();
    my $mentor_id = id_of($mentor);
    ok_json(api_as($mentor, POST => '/mentorinfo/', json => { about_me => 'I', skills => ['C'] }));
    sql(q{INSERT INTO learnhub.availabilities (mentor_id, starts_at, ends_at)
          SELECT $1, t, t + interval '1 hour'
          FROM generate_series(now() - interval '100 days', now() + interval '496 days', '1 day') t}, $mentor_id);
    my $count = sub { (sql(q{SELECT count(*) AS n FROM learnhub.availabilities
        WHERE mentor_id = ? AND deleted_at IS NULL AND ends_at > now()}, $mentor_id))[0]{n} };
    is($count->(), 497, 'past availabilities do not count');
    my $offer = sub {
        my ($path, $n) = @_;
        my %hours = (start_time => "2045-01-01T1$n:00:00Z", end_time => "2045-01-01T1$n:30:00Z");
        return api_as($mentor, POST => $path, json => \%hours);
    };
    my @stored = parallel 8, sub {
        my ($n) = @_;
        database()->begin_work;
        my $stored = eval {
            sql(q{INSERT INTO learnhub.availabilities (mentor_id, starts_at, ends_at)
                  VALUES ($1, $2, $2::timestamptz + interval '1 minute')}, $mentor_id, "2044-01-01T1$n:00:00Z");
            select undef, undef, undef, 0.2;
            1;
        };
        $stored ? database()->commit : database()->rollback;
        return $stored || 0;
    };
    is_deeply([sort @stored], [(0) x 5, (1) x 3], 'of eight transactions at once the three that fit succeed');
    is($count->(), 500, 'the database has 500');
    is_error($offer->('/availability/', 9), 'list', 400, qr/at most 500/, 'the next one is rejected with a sentence');
    is_invalid($offer->('/availabilty/', 9), 'detail', ['non_field_errors'], 'also at the other path');
    ok_json(api_as($mentor, GET => '/availability/'));
    my ($one) = @{ api_as($mentor, GET => '/availability/')->json };
    is(api_as($mentor, DELETE => "/availability/$one->{pk}/")->status, 204, 'one is deleted');
    is($offer->('/availability/', 9)->status, 201, 'then there is room for another');
    sql('UPDATE learnhub.availabilities SET deleted_at = now() WHERE mentor_id = ?', $mentor_id);
};

done_testing;

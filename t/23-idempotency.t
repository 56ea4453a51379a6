# SPDX-License-Identifier: Apache-2.0
# Idempotency-Key: a repeated POST gets the stored response and changes nothing, for every route that creates something;
# other requests with the same key, requests in progress, races on two nodes, lost connections, expired keys.
use strict;
use warnings;
use utf8;
use lib 't/lib';

use Digest::SHA qw(sha256_hex);
use LearnHub::Cache;
use LearnHub::Cases;
use LearnHub::Model;
use LearnHub::Review qw(draw model_server);
use LearnHub::Routes;
use LearnHub::Test;
use Time::HiRes qw(sleep time);

expect_log(qr/LH0031: /, qr/LH0004: /, qr/LH0005: /, qr/SQLSTATE (57P0\d|57014)/, qr/\[dbd:error\]/);

create_callers();
my @routes = grep { $_->{method} eq 'POST' } @{ LearnHub::Routes::table()->{routes} };
my ($teacher, @users) = (signup(role => 'instructor'), map { signup() } 1 .. 4);
my %tutoring = (title => 'T', description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 20);
my %problem = (title => 'T', description => 'D', difficulty => 'easy');
my $other_request = qr/used for another request/;

# The arguments of api() with a key.
sub with_key { my ($key, %with) = @_; return (%with, headers => { 'Idempotency-Key' => $key }) }

# Whether a reply is a stored one; both headers say so.
sub is_replayed {
    my ($reply) = @_;
    my @headers = map { $reply->header($_) // '' } qw(Idempotent-Replayed Idempotency-Replayed);
    return "@headers" eq 'true true' ? 1 : "@headers" eq ' ' ? 0 : "@headers";
}

# Creates a problem.
sub create {
    my ($user, $key, %with) = @_;
    return api_as($user, POST => '/problems/', with_key($key, json => \%problem, %with));
}

sub id_of { my ($reply) = @_; return $reply->json->{problem}{id} }

# ---- which routes ----

my $no_change = 'creates nothing that a repeated request would create again';
my %without = (
    (map { $_ => 'returns tokens; each log-in is one more' }
            qw(users.login auth.login tutoring_login.login coding_token.login xp_login.login)),
    (map { $_ => 'returns tokens; ends only the token that was sent' }
            qw(users.refresh tutoring_login.refresh coding_token.refresh xp_login.refresh)),
    (map { $_ => $no_change }
            qw(coding_token.verify auth.logout tutoring_login.logout auth.activation auth.set_password
            auth.reset_password_confirm)),
    (map { $_ => 'mails a further link, within limits' } qw(auth.reset_password auth.resend_activation)),
    'reviews.check' => 'stores the evaluation of a drawing once',
    'xp.rates' => 'calculates',
);

subtest 'every POST route is idempotent or has a reason' => sub {
    is_deeply([sort map { $_->{name} } grep { !$_->{idempotent} } @routes], keys_of(\%without),
        'the routes without LH_IDEMPOTENT are those with a reason');
    my @others = grep { $_->{method} ne 'POST' && $_->{idempotent} } @{ LearnHub::Routes::table()->{routes} };
    is(scalar @others, 0, 'only POST routes are idempotent');
};

# ---- every route ----

# Tables that requests change besides their objects, and that jobs change.
my %volatile = map { $_ => 1 } qw(audit_log auth_events changes changes_pruned known_networks login_failures logins);
my @tables = grep { !$volatile{$_} }
    map { $_->{tablename} } sql("SELECT tablename FROM pg_tables WHERE schemaname = 'learnhub'");

# A text that differs after any row of these tables was inserted, updated or deleted.
sub state_of_rows {
    my @counts = map {"SELECT '$_' AS name, concat(count(*), ' ', sum(xmin::text::bigint)) AS rows FROM learnhub.$_"}
        @tables;
    return join "\n", map {"$_->{name} $_->{rows}"} sql(join(' UNION ALL ', @counts) . ' ORDER BY 1');
}

# The same, when no job is changing it.
sub settled {
    my $state = state_of_rows();
    return eventually(sub { sleep 0.1; my $was = $state; $state = state_of_rows(); $was eq $state && $state });
}

sub unchanged { my ($state) = @_; return state_of_rows() eq $state || settled() eq $state }

# Another body that is valid as well; undef: the route has no body.
my %changed = (
    (map { $_ => { problem_id => '0' x 24 } } qw(sessions.create submissions.create)),
    (map { $_ => { end_time => '2040-01-01T12:30:00Z' } } qw(availabilty.create availability.create)),
    (map { $_ => { reward_id => 1 } } qw(rewards.redeem)),
    (map { $_ => { duration => '00:31:00' } } qw(coding.create eco.create activities.create)),
    (map { $_ => { content => 'other' } } qw(sessions.chat submissions.chat)),
    'mentors.create' => { about_me => 'other' },
    'mentees.create' => { team_number => 5 },
    'session.request' => { session_length => 60 },
    'credits.spend' => { amount => 4 },
    'rewards.create' => { cost => 6 },
    'reviews.chat' => { message => 'other' },
    'xp.register' => { device_platform => 'other' },
    'xp.new_activity' => { name => 'other' },
    (map { $_ => { title => 'other' } } qw(problems.create tutoring.create xp.new_goal)),
    (map { $_ => { email => unique('other') . '@example.com' } }
            qw(users.signup auth.register tutoring_login.register coding_users.register xp_login.register)),
);

# The first requests: all of them, before the rows are compared.
my %first;

for my $route (grep { $_->{idempotent} } @routes) {
    my ($id, %with) = case_of($route);
    my ($path, $key) = (path_of($route, $id), unique($route->{name}));
    my $reply = api(POST => $path, with_key($key, %with));
    $first{ $route->{name} } = { path => $path, key => $key, with => \%with, reply => $reply };
}
cmp_ok(scalar keys %first, '>', 30, 'the table has idempotent routes');
my $state = settled();

for my $route (grep { $_->{idempotent} } @routes) {
    my $name = $route->{name};
    subtest "$name: $route->{path}" => sub {
        my ($path, $key, $first) = @{ $first{$name} }{qw(path key reply)};
        my %with = %{ $first{$name}{with} };
        is($first->status, $route->{status}, 'the first request succeeds') || diag($first->summary);
        is(is_replayed($first), 0, 'its response is not a stored one');
        my $second = api(POST => $path, with_key($key, %with));
        is_deeply([map { $second->$_ } qw(status body)], [map { $first->$_ } qw(status body)],
            'a repeated request gets the same response') || diag($second->summary);
        is_deeply([map { $second->header($_) } qw(Content-Type Cache-Control)],
            [map { $first->header($_) } qw(Content-Type Cache-Control)], 'with the same headers');
        is(is_replayed($second), 1, 'which is marked');
        my $other = $changed{$name} ? $path : path_of($route);
        my %body = $changed{$name} ? (json => { %{ $with{json} }, %{ $changed{$name} } }) : ();
        my $reply = api(POST => $other, with_key($key, %with, %body));
        my $status = $route->{format} eq 'located' ? 422 : 400;
        is($reply->status, $status, "another request with the same key is $status") || diag($reply->summary);
        like($reply->body, $other_request, 'and the response says why');
        ok(unchanged($state), 'neither changed a row');
        $state = state_of_rows();
    };
}

# ---- keys ----

sub count_titled { return (sql('SELECT count(*) AS n FROM learnhub.problems WHERE title = ?', $_[0]))[0]{n} }

subtest 'malformed keys' => sub {
    my $before = (sql('SELECT count(*) AS n FROM learnhub.problems'))[0]{n};
    for my $key ('', 'k' x 256, "k\x{e4}", "a\tb") {
        my $length = length $key;
        is_invalid(create($users[0], $key), 'located', ['body'], "a key of $length characters is rejected");
    }
    like(create($users[0], 'k' x 256)->body, qr/Idempotency-Key must have 1 to 255 printable ASCII characters/,
        'the sentence says what is allowed');
    my %flat = with_key('k' x 256, json => \%tutoring);
    is_invalid(api_as($teacher, POST => '/api/sessions/', %flat), 'flat', ['non_field_errors'], 'also in other APIs');
    is((sql('SELECT count(*) AS n FROM learnhub.problems'))[0]{n}, $before, 'nothing was created');
    for my $key ('k', 'k' x 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"', ' ~!,;=') {
        is(create($users[0], $key)->status, 201, 'a key of ' . length($key) . ' characters is accepted');
        is(is_replayed(create($users[0], $key)), 1, 'and has an effect');
    }
    is(is_replayed(create($users[0], '8e03978e-40d5-43dd-bc93-6894a57f9324')), 0, 'quotes are part of the key');
};

subtest 'keys belong to a user and a route' => sub {
    my $key = unique('key');
    my @first = map { create($_, $key) } @users[0, 1];
    is_deeply([map { $_->status } @first], [201, 201], 'two users use the same key');
    isnt(id_of($first[0]), id_of($first[1]), 'and create two problems');
    my @again = map { create($_, $key) } @users[0, 1];
    is_deeply([map { id_of($_) } @again], [map { id_of($_) } @first], 'each gets the own response again');
    my $goal = api_as($users[0], POST => '/api/v1/goals/', with_key($key, json => { title => 'T' }));
    is_deeply([$goal->status, is_replayed($goal)], [201, 0], 'another route with this key is another request');
    my ($opaque) = map { $_->json->{auth_token} } api(POST => '/auth/token/login/',
        json => { username => $users[0]{email}, password => $users[0]{password} });
    is(id_of(create($opaque, $key)), id_of($first[0]), 'another token of the same user gets the response');
    is_error(create(undef, $key), 'located', 401, 'without a token there is no response');
    sql('UPDATE learnhub.users SET is_active = false WHERE email = ?', $users[1]{email});
    is(eventually(sub { create($users[1], $key)->status == 401 }, 15), 1, 'nor for an account that was deactivated');
};

subtest 'the same request in another form' => sub {
    my $key = unique('key');
    my $first = create($users[0], $key);
    my $body = " {\"difficulty\" : \"easy\",\n \"unknown\": 5, \"description\":\"D\", \"title\": \" T\"}";
    my $again = api_as($users[0], POST => '/problems', with_key($key, body => $body));
    is(id_of($again), id_of($first), 'white space, the order of members and unknown members do not matter');
    my $picture = "GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;";
    my @fields = (activity => 'hiking', duration => '1:00:00');
    my @made = map {
        my @parts = (@fields, verification_proof => [undef, $_->[0], Content => $_->[1]]);
        api_as($users[0], POST => '/api/activities/', with_key($key, multipart => \@parts))
    } ['a.gif', $picture], ['b.gif', $picture], ['a.gif', $picture =~ s/GIF89a/GIF87a/r];
    is_deeply([map { is_replayed($_) } @made], [0, 1, 0], 'a picture is compared by its content');
    is($made[1]->body, $made[0]->body, 'its upload gets the same response');
    is($made[2]->status, 400, 'another picture is another request');
    is((sql('SELECT count(*) AS n FROM learnhub.activity_photos p JOIN learnhub.eco_activities a
             ON a.id = p.activity_id WHERE a.user_id = ?', user($users[0]{email})->{id}))[0]{n}, 1,
        'one picture is stored');
};

subtest 'requests without authentication' => sub {
    my $name = unique('anonymous');
    my %account = (username => $name, email => "$name\@example.com", password => 'good enough');
    my $sign_up = sub { api(POST => '/api/v1/auth/register/', with_key($name, json => { %account, @_[1 .. $#_] },
                from => $_[0])) };
    my ($first, $again) = map { $sign_up->('127.0.0.1') } 1 .. 2;
    is_deeply([$first->status, $again->status, is_replayed($again)], [201, 201, 1], 'a sign-up can be repeated');
    is($again->body, $first->body, 'and returns the same tokens');
    is(api_as($again->json->{access}, GET => '/users/me')->status, 200, 'which are valid');
    my $wrong = $sign_up->('127.0.0.1', password => 'another good one');
    is_deeply([$wrong->status, is_replayed($wrong)], [400, 0], 'with another password it gets nothing');
    like($wrong->body, $other_request, 'because it is another request');
    is_invalid($sign_up->('127.0.0.2'), 'detail', [qw(email username)], 'another client does not get the response');
    my ($row) = sql('SELECT k::text AS text, body, length(body) AS size FROM learnhub.idempotency_keys k
        WHERE user_id IS NULL AND route = ? ORDER BY created_at DESC LIMIT 1', 'xp_login.register');
    cmp_ok($row->{size}, '>', length $first->body, 'the response is stored');
    unlike($row->{body}, qr/access|refresh|eyJ[\w-]{10}/, 'but neither it');
    unlike($row->{text}, qr/\Q$name\E|good enough|${\sha256_hex('good enough')}/, 'nor the request can be read');
};

subtest 'routes without LH_IDEMPOTENT ignore the header' => sub {
    my %login = (form => { username => $users[0]{email}, password => $users[0]{password} });
    my @logins = map { api(POST => '/users/login', with_key('k', %login)) } 1, 2;
    is_deeply([map { ($_->status, is_replayed($_)) } @logins], [200, 0, 200, 0], 'a log-in is not replayed');
    isnt($logins[0]->json->{refresh_token}, $logins[1]->json->{refresh_token}, 'each has tokens of its own');
    my $id = id_of(create($users[0], unique('key')));
    for my $title (qw(A B)) {
        my $put = api_as($users[0], PUT => "/problems/$id", with_key('k' x 300, json => { title => $title }));
        is($put->json->{problem}{title} // $put->json->{title}, $title, "PUT sets the title $title");
    }
    is(api_as($users[0], $_ => "/problems/$id", with_key('k' x 300))->status, 200, "$_ is served") for qw(GET HEAD);
};

# ---- time ----

subtest 'expired keys' => sub {
    my ($key, $brief) = (unique('key'), second_httpd("LearnHubIdempotencyTTL 2m\nLearnHubCORS *\n"));
    my $owner = user($users[0]{email})->{id};
    my $first = create($users[0], $key, port => $brief->port);
    my $options = api(OPTIONS => '/problems/', port => $brief->port, headers => { Origin => 'https://a.example',
            'Access-Control-Request-Method' => 'POST', 'Access-Control-Request-Headers' => 'idempotency-key' });
    like($options->header('Access-Control-Allow-Headers'), qr/idempotency-key/, 'browsers may send the header');
    like($options->header('Access-Control-Expose-Headers'), qr/\bIdempotent-Replayed, Idempotency-Replayed\b/,
        'and read those of the response');
    my @row = ('FROM learnhub.idempotency_keys WHERE user_id = ? ORDER BY created_at DESC LIMIT 1', $owner);
    is((sql("SELECT extract(epoch FROM expires_at - created_at)::int AS s $row[0]", $row[1]))[0]{s}, 120,
        'LearnHubIdempotencyTTL is the time for which a response is kept');
    is(id_of(create($users[0], $key)), id_of($first), 'before that, it is replayed by another server');

    # In one transaction, which the job cannot see.
    my $expire = 'UPDATE learnhub.idempotency_keys SET expires_at = now() WHERE user_id = ?';
    sql($expire, $owner);
    my $second = create($users[0], $key);
    is_deeply([$second->status, is_replayed($second)], [201, 0], 'afterwards the request is carried out again');
    isnt(id_of($second), id_of($first), 'and creates another problem');
    is(id_of(create($users[0], $key)), id_of($second), 'whose response is kept');
    is((sql('SELECT extract(epoch FROM expires_at - created_at)::int AS s FROM learnhub.idempotency_keys
        WHERE user_id = ? AND expires_at > now()', $owner))[0]{s}, 86400, 'for 24 hours by default');
    sql('INSERT INTO learnhub.idempotency_keys (id, route, digest, status, too_long, expires_at)
        SELECT sha256(n::text::bytea), ?, sha256(n::text::bytea), 204, false, now() FROM generate_series(1, 1000) n',
        'bulk');
    sql($expire, $owner);
    my $left = q(SELECT 1 FROM learnhub.idempotency_keys WHERE user_id = ? OR route = 'bulk');
    ok(eventually(sub { !sql($left, $owner) }, 30), 'a job deletes expired keys');
    $brief->stop;
};

subtest 'a time that has passed' => sub {
    my @now = gmtime(time + 3);
    my $soon = sprintf '%d-%02d-%02dT%02d:%02d:%02dZ', $now[5] + 1900, $now[4] + 1, @now[3, 2, 1, 0];
    my %body = (%tutoring, title => unique('soon'), date => $soon);
    my $send = sub { api_as($teacher, POST => '/api/sessions/', with_key($body{title}, json => { %body, @_ })) };
    my $first = $send->();
    is($first->status, 201, 'a session that begins soon is created');
    ok(eventually(sub { api_as($teacher, POST => '/api/sessions/', json => \%body)->status == 400 }, 15),
        'later it can no longer be created');
    my $again = $send->();
    is_deeply([$again->status, $again->body, is_replayed($again)], [201, $first->body, 1],
        'but the repeated request gets its response');
    is_invalid($send->(title => 'x'), 'flat', ['date'], 'another request does not');
};

# ---- errors ----

subtest 'an invalid request with the key of another one' => sub {
    my $key = unique('key');
    is(create($users[0], $key)->status, 201, 'the first request');
    my $reply = create($users[0], $key, json => { %problem, hints => 5 });
    is_invalid($reply, 'located', ['hints'], 'an invalid value is not taken for an absent one');
    is($reply->header('Idempotent-Replayed'), undef, 'and no response is repeated');
};

subtest 'a sign-up that the database did not execute in time can be repeated at once' => sub {
    my $node = second_httpd("LearnHubStatementTimeout 400ms\n");
    my $email = unique('late') . '@example.com';
    my %account = (first_name => 'A', last_name => 'B', email => $email, password => 'good enough');
    my $send = sub { api(POST => '/users/signup', with_key($email, json => \%account), port => $node->port)->status };
    my $is_locked = q(SELECT 1 FROM pg_locks WHERE relation = 'learnhub.users'::regclass AND mode = 'ExclusiveLock'
        AND granted);
    my ($locked, $late) = parallel 2, sub {
        return eventually(sub { sql($is_locked) }) && $send->() if $_[0];
        database()->begin_work;
        sql('LOCK TABLE learnhub.users IN EXCLUSIVE MODE');
        sleep 3;
        return database()->rollback;
    };
    is($late, 503, 'while the table is locked, the sign-up is 503');

    # A key that is not released would be refused for 30 seconds.
    ok(eventually(sub { $send->() == 201 }, 5), 'afterwards its repetition succeeds');
    $node->stop;
};

subtest 'a rejected request can be repeated' => sub {
    my $session = api_as($teacher, POST => '/api/sessions/', json => { %tutoring, max_participants => 2 })->json->{id};
    my $join = sub { my ($user, @key) = @_; api_as($user, POST => "/api/sessions/$session/join/", with_key(@key)) };
    $join->($_, 'k') for @users[2, 3];
    my $key = unique('key');
    is_error($join->($users[0], $key), 'flat', 400, qr/full/i, 'a full session rejects a user');
    is(api_as($users[2], POST => "/api/sessions/$session/leave/")->status, 200, 'then a seat becomes free');
    my @replies = map { $join->($users[0], $key) } 1, 2;
    is_deeply([map { ($_->status, is_replayed($_)) } @replies], [201, 0, 201, 1], 'and the same request gets it');

    my $name = unique('taken');
    my %account = (first_name => 'A', last_name => 'B', email => "$name\@example.com", password => 'good enough');
    my $sign_up = sub { api(POST => '/users/signup', with_key($name, json => \%account)) };
    my $taken = signup(email => $account{email});
    is_error($sign_up->(), 'located', 400, 'a sign-up with an address that is taken is rejected') for 1, 2;
    sql('UPDATE learnhub.users SET email = ?, username = ? WHERE email = ?', ("$name\@b.example") x 2, $account{email});
    is_deeply([map { ($_->status, is_replayed($_)) } map { $sign_up->() } 1, 2], [201, 0, 201, 1],
        'and succeeds when it is free');
    is((sql('SELECT count(*) AS n FROM learnhub.idempotency_claims WHERE ends_at > now()'))[0]{n}, 0,
        'no claim is left');
};

subtest 'a response that is too long' => sub {
    my $problem = id_of(create($users[2], unique('key')));
    my $practice = api_as($users[2], POST => '/sessions/', json => { problem_id => $problem })->json->{id};
    draw($users[2], $practice, { text => 'x' x 100_000 });
    my $key = unique('key');
    my $chat = sub {
        my %message = (role => 'user', content => $_[0]);
        api_as($users[2], POST => "/sessions/$practice/chat", with_key($key, json => \%message));
    };
    my $first = $chat->('once');
    is_deeply([$first->status, is_replayed($first), length $first->body > 100_000], [200, 0, 1],
        'a long response is sent');
    my $again = $chat->('once');
    is_error($again, 'located', 409, qr/has been carried out.*too long/, 'a repeated request says what happened');
    is($again->header('Retry-After'), undef, 'repeating it again is of no use');
    is($chat->('twice')->status, 422, 'another request is rejected');
    is(scalar @{ api_as($users[2], GET => "/sessions/$practice")->json->{chat_messages} }, 1, 'one message is stored');
};

# ---- at the same time ----

# A server whose statements may wait for this test on a busy machine.
my @patient = (port => second_httpd("LearnHubStatementTimeout 60s\n")->port);

sub summary_of { my ($reply) = @_; return [$reply->status, is_replayed($reply), $reply->body] }

subtest 'a request in progress' => sub {
    my $session = api_as($teacher, POST => '/api/sessions/', json => \%tutoring)->json->{id};
    my $key = unique('key');
    my $join = sub { api_as($users[2], POST => "/api/sessions/$session/join/", with_key($key), @patient) };
    my $locked = "$top/t/logs/" . unique('locked');
    my ($first, $others) = parallel 2, sub {
        if (!$_[0]) {
            eventually(sub { -e $locked }, 25);
            return summary_of($join->());
        }
        database()->begin_work;
        sql('SELECT 1 FROM learnhub.tutoring_sessions WHERE id = ? FOR UPDATE', $session);
        open my $mark, '>', $locked or die $!;
        my $waiting = 'SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))';
        eventually(sub { scalar sql($waiting) }, 25) or die 'no request waits for the lock';
        my @replies = ($join->(), api_as($users[2], POST => '/api/sessions/1/join/', with_key($key)));
        database()->rollback;
        return [map { [$_->status, $_->header('Retry-After'), $_->body] } @replies];
    };
    for my $other (@$others) {
        is_deeply([@$other[0, 1]], [409, 1], 'a request with the same key meanwhile is 409 with Retry-After');
        like($other->[2], qr/\A\{"error":"A request with this Idempotency-Key is in progress/, 'and says why');
    }
    is_deeply([@$first[0, 1]], [201, 0], 'the first one succeeds') || diag($first->[2]);
    is_deeply(summary_of($join->()), [201, 1, $first->[2]], 'then the same request gets its response');
};

subtest 'a request whose steps are in progress' => sub {
    my $model = LearnHub::Model->new;
    my $httpd = model_server($model, 'LearnHubModelReviewTimeout 10s');
    $model->behave(content => '{}', after => 3);
    my $problem = id_of(create($users[3], unique('key')));
    my $practice = api_as($users[3], POST => '/sessions/', json => { problem_id => $problem })->json->{id};
    draw($users[3], $practice, { elements => [{ type => 'text', text => 'Cache' }] });
    my $key = unique('key');
    my $submit = sub { api_as($users[3], POST => "/sessions/$practice/submit", with_key($key), port => $httpd->port) };
    my ($first, $second) = parallel 2, sub {
        my ($late) = @_;
        eventually(sub { scalar(my @asked = $model->requests) }) if $late;
        my $reply = $submit->();
        return [$reply->status, $reply->header('Retry-After'), $reply->body];
    };
    is_deeply([@$first[0, 1]], [200, undef], 'a submission that asks a model succeeds') || diag($first->[2]);
    is_deeply([@$second[0, 1]], [409, 1], 'the same one meanwhile is 409') || diag($second->[2]);
    my $again = $submit->();
    is_deeply([$again->status, is_replayed($again), $again->body], [200, 1, $first->[2]],
        'and gets its response afterwards');
    is(scalar(my @asked = $model->requests), 1, 'the model was asked once');
    $httpd->stop;
    $model->stop;
};

subtest 'fifty requests at once on two nodes' => sub {
    my @nodes = map { node() } 1, 2;
    my ($title, $email) = (unique('race'), unique('race') . '@example.com');
    my %race = (problem => ['/problems/', $users[0], { %problem, title => $title }, 201],
        'sign-up' => ['/users/signup', undef,
            { first_name => 'A', last_name => 'B', email => $email, password => 'good enough' }, 201]);
    for my $what (sort keys %race) {
        my ($path, $user, $body, $status) = @{ $race{$what} };
        my @answers = parallel 50, sub {
            my $send = sub {
                api_as($user, POST => $path, with_key($title, json => $body), port => $nodes[$_[0]]->port);
            };
            my $reply = $send->($_[0] % 2);
            my ($at_first, $until, $n) = ($reply->status, time + 60, $_[0]);
            while ($reply->status =~ /409|503|429/ && time < $until) {
                sleep 0.05 + rand 0.2;
                $reply = $send->($n++ % 2);
            }
            return [$at_first, $reply->status, $reply->body, is_replayed($reply)];
        };
        my %first = map { $_->[0] => 1 } @answers;
        is_deeply([grep { !/^(?:$status|409|503)$/ } keys %first], [], "$what: at first each gets the response or 409");
        my %last = map { ("$_->[1] $_->[2]" => 1) } @answers;
        is_deeply([keys %last], ["$status $answers[0][2]"], "$what: in the end all have the same response");
        is(scalar(grep { $_->[3] == 0 } @answers), 1, "$what: one of them made the change");
    }
    is(count_titled($title), 1, 'one problem is stored');
    is((sql('SELECT count(*) AS n FROM learnhub.users WHERE email = ?', $email))[0]{n}, 1, 'one account is stored');
    $_->stop for @nodes;
};

subtest 'the cache shows the change' => sub {
    my $node = node();
    my $total = sub { fetch($node->port, '/problems/')->json->{total} };
    my $before = $total->();
    ok(eventually(sub { $total->(); $total->() == $before }), 'a list is read');
    my $key = unique('key');
    create($users[0], $key, port => $node->port) for 1 .. 3;
    is($total->(), $before + 1, 'it shows what a request with a key has created');
    $node->stop;
};

# ---- lost connections ----

sub backends {
    return map { $_->{pid} } sql(q(SELECT pid FROM pg_stat_activity WHERE application_name = 'mod_learnhub'));
}

# The result of a request during which another process calls $fault.
sub during {
    my ($request, $fault) = @_;
    my ($reply, $done) = parallel 2, sub { return $_[0] ? $fault->() : $request->() };
    ok($done, 'the connection is lost');
    return $reply;
}

subtest 'a killed backend' => sub {
    my $single = second_httpd("DBDMax 1\nDBDKeep 1\nLearnHubConnectionWait 10s\n");
    my %body = (%problem, title => unique('killed'));
    my $send = sub { create($users[0], $body{title}, json => \%body, port => $single->port) };
    my $until_answered = sub {
        my ($reply, $until) = ($send->(), time + 40);
        while ($reply->status =~ /409|503/ && time < $until) {
            sleep 0.2;
            $reply = $send->();
        }
        return $reply;
    };
    my $locks = q(SELECT pid FROM pg_locks WHERE relation = 'learnhub.problems'::regclass AND granted = ?
        AND mode <> 'AccessShareLock');
    my $reply = during(
        sub { eventually(sub { scalar sql($locks, 1) }); summary_of($until_answered->()) },
        sub {
            database()->begin_work;
            sql('LOCK TABLE learnhub.problems');
            my $found = eventually(sub { my @one = sql($locks, 0); @one == 1 && \@one }, 4) || [];
            return kill KILL => map { $_->{pid} } @$found;
        });
    is($reply->[0], 201, 'a request with a key is repeated until it is answered') || diag($reply->[2]);
    is(count_titled($body{title}), 1, 'the problem is stored once');
    is($until_answered->()->body, $reply->[2], 'repeated again it gets the same response');
    $single->stop;
};

# While a synchronous standby is missing, a commit waits for it. A backend that is terminated then has committed, but
# cannot say so.
sub standby {
    my ($name) = @_;
    open my $conf, '>>', "$top/build/run/pg/postgresql.conf" or die $!;
    print $conf "synchronous_standby_names = '$name'\n";
    close $conf;
    open my $pid, '<', "$top/build/run/pg/postmaster.pid" or die $!;
    kill HUP => <$pid> + 0;
    return;
}

# The backends that wait for a standby, according to their process titles.
sub committing {
    return grep {
        open my $title, '<', "/proc/$_/cmdline";
        $title && <$title> =~ m{ waiting for [0-9A-F]+/[0-9A-F]+};
    } backends();
}

subtest 'a commit without an answer' => sub {
    my %body = (%problem, title => unique('lost'));
    my ($key, $ready) = ($body{title}, "$top/t/logs/" . unique('ready'));
    my $cut = sub {
        standby('nobody');
        sleep 1;
        open my $mark, '>', $ready or die $!;
        my $killed = eventually(sub { my @waiting = committing(); @waiting && kill TERM => @waiting }, 25);
        sleep 0.5;
        standby('');
        return $killed;
    };
    my $reply = during(
        sub { eventually(sub { -e $ready }, 25); summary_of(create($users[0], $key, json => \%body, @patient)) }, $cut);
    is_deeply([@$reply[0, 1]], [201, 1], 'a request with a key gets the response of its committed attempt')
        || diag($reply->[2]);
    is(count_titled($key), 1, 'the problem is stored once');
    is(create($users[0], $key, json => \%body)->body, $reply->[2], 'repeated again it gets the same response');
};

# An uncommitted row with the id of the key keeps the statement that stores the response waiting.
subtest 'a retry after the response was made' => sub {
    my ($name, $ready) = (unique('retried'), "$top/t/logs/" . unique('ready'));
    my %account = (username => $name, email => "$name\@example.com", password => 'good enough');
    my $id = sha256_hex("xp_login.register\nnetwork 17f000001\n$name");
    my $waits = 'SELECT pid FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))';
    my $reply = during(
        sub {
            eventually(sub { -e $ready }, 25);
            summary_of(api(POST => '/api/v1/auth/register/', with_key($name, json => \%account), @patient));
        },
        sub {
            database()->begin_work;
            sql(q{INSERT INTO learnhub.idempotency_keys (id, route, digest, status, too_long, expires_at)
                  VALUES (decode(?, 'hex'), '', sha256(''), 201, false, now())}, $id);
            open my $mark, '>', $ready or die $!;
            my ($first, $second) = (0, 0);
            eventually(sub { ($first) = map { $_->{pid} } sql($waits) }, 25) && kill TERM => $first;
            eventually(sub { ($second) = grep { $_ != $first } map { $_->{pid} } sql($waits) }, 25);
            database()->rollback;
            return $second;
        });
    is_deeply([@$reply[0, 1]], [201, 0], 'the second attempt succeeds') || diag($reply->[2]);
    is(scalar(() = $reply->[2] =~ /"(?:access|refresh)"/g), 2, 'and its response has its tokens only');
};

# ---- keys of the server ----

subtest 'new signing keys' => sub {
    my $key = unique('key');
    my $old = create($users[0], $key);
    my ($opaque) = map { $_->json->{auth_token} } api(POST => '/auth/token/login/',
        json => { username => $users[0]{email}, password => $users[0]{password} });
    my $new = 'LearnHubJWTSecret kid=new "another secret of the tests, which is long enough"';
    my @servers = map { second_httpd("LearnHub On\n$_\n", bare => 1) } "$new\nLearnHubJWTSecret \"$jwt_secret\"", $new;
    my $at = sub { create($opaque, $key, port => $_[0]->port) };
    is($at->($servers[0])->body, $old->body, 'a key that only verifies reads stored responses');
    is($at->($servers[1])->status, 422, 'without it they cannot be read, and the request is not carried out again');
    my $next = unique('key');
    my $first = create($opaque, $next, port => $servers[1]->port);
    is($first->status, 201, 'the new key stores responses') || diag($first->summary);
    is(create($opaque, $next, port => $servers[0]->port)->body, $first->body, 'that servers with it read');
    $_->stop for @servers;
};

done_testing();

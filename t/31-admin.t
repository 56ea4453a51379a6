# SPDX-License-Identifier: Apache-2.0
# The admin API, roles, and the time until a revoked account, role or token is rejected on every node.
use strict;
use warnings;
use utf8;
use lib 't/lib';
use LearnHub::Account;
use LearnHub::Test;

my $INVALID_TOKEN = 'Bearer realm="learnhub", error="invalid_token"';
my $users = '/api/admin/users/';
my $admin = signup(role => 'admin', first_name => 'Root');
my $student = signup();
my $json = JSON::XS->new->allow_nonref;

sub id_of { my ($user) = @_; return user($user->{email})->{id} }
sub list { my (%query) = @_; return api_as($admin, GET => $users, query => \%query) }
sub emails { my ($reply) = @_; return [map { $_->{email} } @{ $reply->json->{results} }] }

# PATCH by the admin; $user is a user or an id.
sub change {
    my ($user, %change) = @_;
    my $id = ref $user ? id_of($user) : $user;
    return api_as($admin, PATCH => "$users$id/", json => \%change);
}

sub jwt_of { my ($user) = @_; return log_in(@$user{qw(email password)})->json->{access_token} }
sub opaque_of { my ($user) = @_; return 'Token ' . token_login(@$user{qw(email password)})->json->{auth_token} }
sub status_of { my ($user, %with) = @_; return get_me($user, %with)->status }

# Creates a tutoring session, which only instructors and admins may do.
sub create_session {
    my ($user, %with) = @_;
    my %session = (title => 'A session', description => 'of this test', date => '2099-01-01T10:00:00Z');
    return api_as($user, POST => '/api/sessions/', json => { %session, max_participants => 5 }, %with);
}

# ---- the admin API ----

subtest 'authorization of the admin API' => sub {
    is_error(api(GET => $users), 'detail', 401, 'listing users requires a token');
    is_error(api(PATCH => $users . id_of($student) . '/', json => { role => 'admin' }), 'detail', 401,
        'changing a user requires a token');
    for my $role (qw(student instructor service)) {
        my $user = signup(role => $role);
        is_error(api_as($user, GET => $users), 'detail', 403, "the role $role may not list users");
        for my $change ({ role => 'admin' }, { is_active => true }, {}, { role => 'nonsense' }) {
            is_error(api_as($user, PATCH => $users . id_of($user) . '/', json => $change), 'detail', 403,
                "the role $role may not change its own account: " . $json->encode($change));
        }
        is(user($user->{email})->{role}, $role, "the role $role is unchanged after rejected changes");
    }
};

subtest 'signup ignores privileged fields' => sub {
    my %privileges = (role => 'admin', is_active => false, is_mentor => true, is_staff => true, id => 1,
        token_version => 0);
    for my $signup (['/users/signup', first_name => 'A', last_name => 'B'],
        ['/auth/users/', username => unique('grab'), re_password => 'a good password']) {
        my ($path, %fields) = @$signup;
        %fields = (%fields, email => unique('grab') . '@example.com', password => 'a good password');
        is(api(POST => $path, json => { %fields, %privileges })->status, 201,
            "$path with privileged fields returns 201");
        my $user = user($fields{email});
        is_deeply([$user->{role}, $user->{is_active}, $user->{is_mentor}], ['student', 1, 0],
            "$path creates an active student in spite of privileged fields");
    }
};

my $tag = unique('list');
my $user_keys;

subtest 'GET /api/admin/users/: pages' => sub {
    my @listed = map {
        my %user = (first_name => "First$_", last_name => "$tag Last$_", email => "$tag-$_\@example.com");
        api(POST => '/users/signup', json => { %user, password => 'a good password' })->status == 201 or die 'signup';
        $user{email};
    } 1 .. 25;
    my $reply = list(q => $tag);
    is($reply->status, 200, 'the list of users returns 200');
    is_deeply(keys_of($reply->json), [qw(count next previous results)],
        'the list of users has count, next, previous and results');
    is($reply->json->{count}, 25, 'count is the number of all matches');
    is(scalar @{ $reply->json->{results} }, 10, 'a page has 10 users by default');
    my $user = $reply->json->{results}[0];
    $user_keys = keys_of($user);
    my @expected = qw(id username email first_name last_name role is_active created_at);
    is_deeply([grep { !exists $user->{$_} } @expected], [], 'a listed user has the keys of an account');
    is_deeply([grep {/password|token|hash/} keys %$user], [], 'a listed user has no password, token or hash');
    like($reply->body, qr/"id":\s*\d+[,}]/, 'the id of a listed user is a JSON number');
    is($user->{id}, id_of($user), 'the id of a listed user is the id in the database');
    like($user->{created_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, 'created_at is in UTC');
    is_deeply([$user->{role}, $user->{is_active}], ['student', true], 'a listed user has role and is_active');
    is_deeply(api_as($admin, GET => '/api/admin/users', query => { q => $tag })->json->{results},
        $reply->json->{results}, '/api/admin/users works without its trailing slash');

    my (%seen, @sizes);
    for (my $page = list(q => $tag, page_size => 7);; $page = follow($page->json->{next})) {
        push @sizes, scalar @{ $page->json->{results} };
        $seen{ $_->{email} }++ for @{ $page->json->{results} };
        last if !defined $page->json->{next} || @sizes > 9;
    }
    is_deeply(\@sizes, [7, 7, 7, 4], 'next URLs lead through all pages');
    is_deeply([sort keys %seen], [sort @listed], 'the pages contain every matching user');
    is_deeply([grep { $_ != 1 } values %seen], [], 'the pages contain no user twice');
    my $second = list(q => $tag, page_size => 7, page => 2);
    is_deeply(emails(follow($second->json->{previous})), emails(list(q => $tag, page_size => 7)),
        'previous of page 2 leads to page 1');
    like($second->json->{next}, qr{^http://127\.0\.0\.1:${\port()}/api/admin/users/\?}, 'next is an absolute URL');
    like($second->json->{next}, qr/[?&]q=\Q$tag\E(?:&|$)/, 'next keeps the search');
    is(list(q => $tag)->json->{previous}, undef, 'previous of page 1 is null');
    is(scalar @{ list(q => $tag, page_size => 100)->json->{results} }, 25, 'a page_size of 100 is accepted');
    is_error(list(q => $tag, page => 4), 'detail', 404, 'a page beyond the end returns 404');
    for my $wrong (['page', 'two'], ['page', 0], ['page', -1], ['page', 1.5], ['page_size', 'ten'], ['page_size', 0]) {
        is(list(q => $tag, @$wrong)->status, 400, 'a list with ' . join('=', @$wrong) . ' returns 400');
    }
    is(list(page_size => 1)->json->{count}, (sql('SELECT count(*) AS n FROM learnhub.users'))[0]{n},
        'without q the list contains every account');
    parallel 4, sub {
        for my $i (1 .. 25) {
            my %new = (email => "$tag-more-$_[0]-$i\@example.com", first_name => 'More', last_name => 'People');
            api(POST => '/users/signup', json => { %new, password => 'a good password' });
        }
        return 1;
    };
    is(scalar @{ list(page_size => 1000)->json->{results} }, 100, 'a page_size above 100 counts as 100');
    like(list(page_size => 3)->body, qr/[?&]page_size=3\b/, 'next keeps the page_size');
};

# The page of a next or previous URL.
sub follow {
    my ($url) = @_;
    my ($path) = $url =~ m{^http://[\w.:-]+(/.*)$} or die "not an absolute URL: $url";
    return api_as($admin, GET => $path);
}

subtest 'GET /api/admin/users/: search' => sub {
    is_deeply(emails(list(q => 'FIRST17', page_size => 100)), ["$tag-17\@example.com"],
        'q finds a part of the first name in any case');
    is_deeply(emails(list(q => uc "$tag last3")), ["$tag-3\@example.com"], 'q finds the last name');
    is_deeply(emails(list(q => "$tag-21\@exam")), ["$tag-21\@example.com"], 'q finds the e-mail address');
    is_deeply(list(q => "${tag}nobody")->json, { count => 0, next => undef, previous => undef, results => [] },
        'a search without matches returns an empty page');
    is(list(q => $tag =~ tr/-/_/r)->json->{count}, 0, '_ in q is not a wildcard');
    is(list(q => "$tag%")->json->{count}, 0, '% in q is not a wildcard');
    is(list(q => "$tag\\")->json->{count}, 0, 'a backslash in q is searched literally');
    is(list(q => "' OR true --")->json->{count}, 0, 'a quote in q is searched literally');
};

subtest 'GET /api/admin/users/: requested_role' => sub {
    my $name = unique('asking');
    my @asking = map { signup(last_name => $name) } 1 .. 4;
    sql("UPDATE learnhub.users SET requested_role = 'instructor' WHERE email = ?", $_->{email}) for @asking[0 .. 2];
    my %open = (requested_role => 'instructor', q => $name);
    is_deeply(emails(list(%open)), [map { $_->{email} } @asking[0 .. 2]], 'the open requests are listed, oldest first');
    is_deeply([map { $_->{requested_role} } @{ list(q => $name)->json->{results} }], [('instructor') x 3, undef],
        'every listed user has requested_role or null');
    my $all = list(requested_role => 'instructor', page_size => 100)->json;
    my ($stored) = sql('SELECT count(*) AS n FROM learnhub.users WHERE requested_role IS NOT NULL');
    is_deeply([$all->{count}, scalar grep { $_->{requested_role} ne 'instructor' } @{ $all->{results} }],
        [$stored->{n}, 0], 'without q all open requests are listed, and no other users');
    is_deeply([map { $_->{requested_role} } map { change(@$_)->json } [$asking[0], is_active => true],
            [$asking[0], role => 'instructor'], [$asking[2], role => 'student']],
        ['instructor', undef, undef], 'a role decides a request, is_active does not');
    is_deeply(emails(list(%open)), [$asking[1]{email}], 'decided requests are not listed');
    is_deeply(emails(list(%open, page_size => 1)), [$asking[1]{email}], 'the list of requests has pages');
    is_invalid(list(requested_role => $_), 'detail', ['requested_role'], "requested_role=$_ is rejected")
        for qw(admin student nothing);
};

subtest 'PATCH /api/admin/users/{id}/' => sub {
    my $user = signup(first_name => 'Pupil');
    my $reply = change($user, role => 'instructor');
    is($reply->status, 200, 'changing a user returns 200');
    is_deeply(keys_of($reply->json), $user_keys, 'changing a user returns the user with the keys of the list');
    is_deeply([@{ $reply->json }{qw(id role is_active)}], [id_of($user), 'instructor', true],
        'changing a user returns the new values');
    is(user($user->{email})->{role}, 'instructor', 'a new role is stored');
    is_deeply([map { change($user, role => $_)->json->{role} } qw(service admin student)], [qw(service admin student)],
        'the roles service, admin and student can be set');
    is_invalid(change($user, role => $_), 'detail', ['role'], 'role is rejected: ' . $json->encode($_))
        for 'root', '', 'Admin', 7, ['admin'], true;
    is_invalid(change($user, is_active => $_), 'detail', ['is_active'], 'is_active is rejected: ' . $json->encode($_))
        for 'maybe', '', 2, [], {};
    is_invalid(change($user, role => 'root', is_active => 'maybe'), 'detail', [qw(is_active role)],
        'an invalid role and is_active are reported together');
    is(change($user, role => 'admin', is_active => 'maybe')->status, 400,
        'a change with one valid and one invalid field returns 400');
    is(user($user->{email})->{role}, 'student', 'a change with one invalid field changes nothing');
    change($user, role => 'instructor', email => 'other@example.com', id => 1, password => 'other', first_name => 'X');
    is_deeply([@{ user($user->{email}) }{qw(role first_name)}], [qw(instructor Pupil)],
        'a change ignores e-mail address, id and name');
    is(log_in(@$user{qw(email password)})->status, 200, 'a change ignores the password');
    my ($unused) = map { $_->{n} } sql('SELECT max(id) + 1000 AS n FROM learnhub.users');
    is_error(change($_, role => 'student'), 'detail', 404, "changing a user with the unknown id $_ returns 404")
        for $unused, 0, 'abc', '1x', -1, '9' x 30, $admin->{id};
    is(api_as($admin, PATCH => $users . id_of($user), json => { role => 'student' })->status, 200,
        '/api/admin/users/{id} works without its trailing slash');
    is(api_as($admin, PATCH => $users . id_of($user) . '/', body => '{"role"')->status, 400,
        'changing a user with malformed JSON returns 400');

    my $set_role_error = sub { my $fine = eval { role(@_); 1 }; return $fine ? 'no error' : $@ };
    like($set_role_error->(unique('nobody') . '@example.com', 'admin'), qr/nobody/,
        'learnhub.set_role() raises an error for an unknown e-mail address');
    like($set_role_error->($user->{email}, 'root'), qr/root.*role/,
        'learnhub.set_role() raises an error for an unknown role');
    role(uc $user->{email}, 'service');
    is(user($user->{email})->{role}, 'service', 'learnhub.set_role() finds the e-mail address in any case');
};

# ---- grants and revocations on three nodes ----

subtest 'grants on one node' => sub {
    my $teacher = signup();
    is_error(create_session($teacher), 'flat', 403, 'a student may not create a tutoring session');
    role($teacher->{email}, 'instructor');
    is(create_session($teacher)->status, 201, 'a role set in the database is effective immediately with an old token');
    my $deputy = signup();
    is(api_as($deputy, GET => $users)->status, 403, 'a student may not list users');
    change($deputy, role => 'admin');
    is(api_as($deputy, GET => $users)->status, 200,
        'a role set by an admin is effective immediately with an old token');
};

my $one_second = second_httpd('LearnHubRevocationInterval 1s');
my $immediate = second_httpd('LearnHubRevocationInterval 0');
my %node = ('default interval' => port(), 'interval 1s' => $one_second->port, 'interval 0' => $immediate->port);
my %at_once = (port => $node{'interval 0'});
my %within = (port => $node{'interval 1s'});

# The statuses of six new connections, which reach different processes.
sub statuses {
    my ($token, $port) = @_;
    return map { status_of($token, port => $port, headers => { Connection => 'close' }) } 1 .. 6;
}

# Checks that all nodes accept the token; afterwards their processes may have it in their caches.
sub is_accepted_everywhere {
    my ($token, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply([map { statuses($token, $_) } values %node], [(200) x 18], "$name is accepted on every node");
}

# Whether the sub returns true within the revocation interval of one second.
sub within_interval { my ($try) = @_; return eventually($try, 2.5) }

# A token revoked on the main node is rejected there and with interval 0 at once, with interval 1s after a second.
sub is_rejected_everywhere {
    my ($token, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is(status_of($token, %at_once), 401, "$name is rejected at once by a node with LearnHubRevocationInterval 0");
    is_deeply([statuses($token, port())], [(401) x 6],
        "$name is rejected at once by every process of the revoking node");
    ok(within_interval(sub { status_of($token, %within) == 401 }),
        "$name is rejected within the interval by another node");
    Time::HiRes::sleep(1.1);
    is_deeply([statuses($token, $within{port})], [(401) x 6],
        "$name is rejected after the interval by every process of another node");
    return is(get_me($token)->header('WWW-Authenticate'), $INVALID_TOKEN,
        "$name is rejected with the error invalid_token");
}

my ($opaque, $jwt) = (opaque_of($student), jwt_of($student));

subtest 'logout on three nodes' => sub {
    is_accepted_everywhere($opaque, 'an opaque token');
    is(api(POST => '/auth/token/logout/', token => $opaque)->status, 204, 'logout with an opaque token returns 204');
    is_rejected_everywhere($opaque, 'a logged-out opaque token');
    is(status_of($student, %at_once), 200, 'another token of the user is accepted after logout');
    is_accepted_everywhere($jwt, 'a JWT');
    is(api(POST => '/auth/token/logout/', token => $jwt)->status, 204, 'logout with a JWT returns 204');
    is_rejected_everywhere($jwt, 'a logged-out JWT');
};

# Deactivated, then activated again; its first token stays revoked.
my $deactivated = signup();

subtest 'deactivation on three nodes' => sub {
    my @login = @$deactivated{qw(email password)};
    my $token = opaque_of($deactivated);
    is_accepted_everywhere($deactivated, 'a JWT of an active account');
    is_accepted_everywhere($token, 'an opaque token of an active account');
    my $reply = change($deactivated, is_active => false);
    is_deeply([$reply->status, $reply->json->{is_active}], [200, false], 'an admin deactivates an account');
    is_rejected_everywhere($deactivated, 'a JWT of a deactivated account');
    is_rejected_everywhere($token, 'an opaque token of a deactivated account');
    is_error(refresh($deactivated->{refresh}, port => $node{$_}), 'located', 401,
        "refresh for a deactivated account returns 401: node with $_") for sort keys %node;
    my @wrong = ($student->{email}, 'not the password');
    my $response = sub { my ($reply) = @_; return [$reply->status, $reply->body] };
    is_deeply($response->(log_in(@login)), $response->(log_in(@wrong)),
        'login to a deactivated account gets the response to a wrong password');
    is_deeply($response->(token_login(@login)), $response->(token_login(@wrong)),
        'token login to a deactivated account gets the response to a wrong password');
    is_deeply([log_in(@login)->status, token_login(@login)->status], [401, 400],
        'logins to a deactivated account return 401 and 400');
    is(scalar(grep { $_ eq $login[0] } @{ emails(list(q => $login[0])) }), 1,
        'the admin list contains deactivated accounts');
    change($deactivated, is_active => true);
    is(log_in(@login)->status, 200, 'a reactivated account can log in');
    is(status_of(jwt_of($deactivated), port => $node{$_}), 200,
        "a token of a reactivated account is accepted: node with $_")
        for sort keys %node;
};

my $former = signup(role => 'instructor');
my $promoted = signup();

subtest 'role changes on three nodes' => sub {
    is(create_session($former, port => $node{$_})->status, 201, "an instructor creates a session: node with $_")
        for sort keys %node;
    role($former->{email}, 'student');
    is(create_session($former, %at_once)->status, 403,
        'a revoked role has no effect at once with LearnHubRevocationInterval 0');
    ok(within_interval(sub { create_session($former, %within)->status == 403 }),
        'a revoked role has no effect within the interval on another node');
    is(status_of($former, %at_once), 200, 'the token of a user with a revoked role is still accepted');
    my $demoted = signup(role => 'admin');
    is(api_as($demoted, GET => $users, port => $node{$_})->status, 200, "an admin lists users: node with $_")
        for sort keys %node;
    change($demoted, role => 'student');
    is(api_as($demoted, GET => $users, port => $node{$_})->status, 403,
        "a former admin may not list users, at once: node with $_") for 'default interval', 'interval 0';
    ok(within_interval(sub { api_as($demoted, GET => $users, %within)->status == 403 }),
        'a former admin may not list users on another node within the interval');
    is(create_session($promoted, %within)->status, 403, 'a student may not create a session: node with interval 1s');
    change($promoted, role => 'instructor');
    is(create_session($promoted, port => $node{$_})->status, 201, "a granted role is effective at once: node with $_")
        for sort keys %node;
};

subtest 'deletion on three nodes' => sub {
    my $deleted = signup();
    is_accepted_everywhere($deleted, 'a JWT of an existing account');
    sql('DELETE FROM learnhub.users WHERE email = ?', $deleted->{email});
    is(status_of($deleted, %at_once), 401, 'a deleted account is rejected at once with LearnHubRevocationInterval 0');
    ok(within_interval(sub { status_of($deleted, %within) == 401 }),
        'a deleted account is rejected within the interval on another node');
};

my ($slow, $quick) = (signup(), signup());

subtest 'revocations that commit in another order than they began' => sub {
    is_accepted_everywhere($_->{token}, "the JWT of $_->{email}") for $slow, $quick;
    database()->begin_work;
    sql('UPDATE learnhub.users SET is_active = false WHERE email = ?', $slow->{email});
    my $id = list(q => $quick->{email})->json->{results}[0]{id};
    is(change($id, is_active => false)->status, 200, 'a second deactivation commits while the first is still open');
    is(status_of($quick, %at_once), 401,
        'the second deactivation is effective at once with LearnHubRevocationInterval 0');
    ok(within_interval(sub { status_of($quick, %within) == 401 }),
        'the second deactivation is effective within the interval on another node');
    database()->commit;
    is(status_of($slow, %at_once), 401,
        'the first deactivation is effective after its later commit with LearnHubRevocationInterval 0');
    ok(within_interval(sub { status_of($slow, %within) == 401 }),
        'the first deactivation is effective after its later commit within the interval on another node');
};

subtest 'graceful restart' => sub {
    $one_second->graceful;
    is_deeply([map { status_of($_, %within) } ($opaque, $jwt, $deactivated, $slow, $quick) x 2], [(401) x 10],
        'new processes reject the tokens revoked before a graceful restart');
    is(status_of($student, %within), 200, 'new processes accept tokens that were not revoked');
    is(create_session($former, %within)->status, 403, 'a revoked role stays revoked after a graceful restart');
    is(create_session($promoted, %within)->status, 201, 'a granted role stays granted after a graceful restart');
};

subtest 'logout during concurrent requests' => sub {
    my $token = opaque_of($student);
    is_accepted_everywhere($token, 'a new opaque token');
    my @seen = parallel 12, sub {
        my ($i) = @_;
        return $i ? (map { status_of($token, %at_once) } 1 .. 10)[-1]
            : api(POST => '/auth/token/logout/', token => $token)->status;
    };
    is_deeply([$seen[0], grep { !/^(?:200|401)$/ } @seen[1 .. 11]], [204],
        'requests concurrent with a logout return 200 or 401');
    is_deeply([statuses($token, $at_once{port})], [(401) x 6], 'requests after the logout return 401');
};

# ---- the audit log ----

my $audit = '/api/admin/audit/';

# The entries about a user's id, oldest first: ["event actor address detail", ...].
sub entries {
    my ($id) = @_;
    return [map { join ' ', $_->{event}, $_->{actor_id} // '-', $_->{address} // '-', $_->{detail} }
            sql('SELECT * FROM learnhub.audit_log WHERE user_id = ? ORDER BY id', $id)];
}

sub audit { my (%query) = @_; return api_as($admin, GET => $audit, query => \%query) }

subtest 'changes of roles and of the activation are recorded once, with who made them' => sub {
    my ($watched, $admin_id) = (signup(), id_of($admin));
    my $id = id_of($watched);
    my $log_start = -s "$top/t/logs/error_log";
    sql("UPDATE learnhub.users SET requested_role = 'instructor' WHERE id = ?", $id);
    change($watched, role => 'instructor');
    change($watched, role => 'instructor', is_active => true);
    change($watched, role => 'student', is_active => false);
    change($watched, is_active => true);
    change($watched, first_name => 'Eve');
    role($watched->{email}, 'service');
    sql("UPDATE learnhub.users SET requested_role = 'instructor' WHERE id = ?", $id);
    change($watched, role => 'service');
    sql('UPDATE learnhub.users SET is_active = false WHERE id = ?', $id);
    sql('SELECT learnhub.delete_account(?)', $id);
    is_deeply(
        entries($id),
        ["role_changed $admin_id 127.0.0.1 student to instructor, as requested",
            "role_changed $admin_id 127.0.0.1 instructor to student",
            "account_deactivated $admin_id 127.0.0.1 ",
            "account_reactivated $admin_id 127.0.0.1 ",
            'role_changed - - student to service',
            "role_request_declined $admin_id 127.0.0.1 ",
            'account_deactivated - - ',
            'account_deleted - - '],
        'entries name the admin and the address, or nobody for changes by SQL'
    );
    open my $log, '<', "$top/t/logs/error_log" or die $!;
    seek $log, $log_start, 0;
    my @lines = map { /\[client 127\.0\.0\.1:\d+\].* LH0090: audit: (.*)/ ? $1 : () } <$log>;
    is_deeply(
        \@lines,
        ["role_changed user $id by user $admin_id",
            "role_changed user $id, account_deactivated user $id by user $admin_id",
            "account_reactivated user $id by user $admin_id",
            "role_request_declined user $id by user $admin_id"],
        'the error log has a line for each request that changed something'
    );
};

subtest 'GET /api/admin/audit/' => sub {
    my $watched = signup();
    my $id = id_of($watched);
    change($watched, is_active => $_) for false, true, false;
    my $reply = audit(user => $id);
    is($reply->status, 200, 'the list returns 200');
    is_deeply(keys_of($reply->json), [qw(count next previous results)], 'it has pages');
    my @results = @{ $reply->json->{results} };
    is_deeply(keys_of($results[0]), [qw(actor address at detail event id user)], 'keys of an entry');
    is_deeply([map { $_->{event} } @results],
        [qw(account_deactivated account_reactivated account_deactivated)], 'the newest entry is the first');
    is_deeply([@{ $results[0] }{qw(user actor address)}], [$id, id_of($admin), '127.0.0.1'], 'values of an entry');
    like($results[0]{at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, 'the format of times');
    is(audit(user => $id, event => 'account_reactivated')->json->{count}, 1, 'filters by user and event combine');
    ok(audit(event => 'account_reactivated')->json->{count} >= 1, 'the filter by event alone');
    my $page = audit(user => $id, page_size => 1, page => 2)->json;
    is_deeply([$page->{count}, $page->{results}[0]{id}], [3, $results[1]{id}], 'the second page');
    is_error(audit(user => $id, page => 2), 'detail', 404, 'a page beyond the end is 404');
    my $move = q{UPDATE learnhub.audit_log SET at = date_trunc('day', now(), 'UTC') - ?::interval WHERE id = ?
        RETURNING timezone('UTC', at)::date AS day, timezone('UTC', at)::date - 1 AS before};
    my ($moved) = sql($move, '363 days', $results[2]{id});
    my $day = $moved->{day};

    for my $more ([], [event => 'account_deactivated']) {
        my @ids = map { $_->{id} } @{ audit(user => $id, since => $day, until => "${day}T00:00:00Z", @$more)
                ->json->{results} };
        is_deeply(\@ids, [$results[2]{id}], 'both bounds of the time are included');
        is(audit(user => $id, until => "$moved->{before}T23:59:59Z", @$more)->json->{count}, 0, 'nothing is older');
    }
    is_deeply([map { $_->{id} } @{ audit(until => $day)->json->{results} }], [$results[2]{id}], 'a time alone');
    is_invalid(audit(since => 'x', user => 'x'), 'detail', [qw(since user)], 'invalid filters are reported');
    sql($move, '367 days', $results[2]{id});
    ok(eventually(sub { !sql('SELECT 1 FROM learnhub.audit_log WHERE id = ?', $results[2]{id}) }, 25),
        'a job deletes entries older than LearnHubKeepAudit');
    is(scalar @{ entries($id) }, 2, 'and no newer ones');
    is_error(api_as($student, GET => $audit), 'detail', 403, 'only admins may read it');
};

subtest 'the cost of a page of the audit log does not grow' => sub {
    my $rare = id_of(signup());
    database()->begin_work;
    sql(q{INSERT INTO learnhub.audit_log (at, event, user_id) VALUES (now() - interval '9 days', 'rare_event', ?)},
        $rare);
    sql(q{INSERT INTO learnhub.audit_log (at, event, user_id)
          SELECT now() - i * interval '1 second', 'common_event', -1 FROM generate_series(1, 30000) i});
    sql('ANALYZE learnhub.audit_log');
    for my $case (['NULL, NULL, NULL, NULL, 10', 10], ["$rare, NULL, NULL, NULL", 1],
        [q{NULL, 'rare_event', NULL, NULL}, 1],
        ["$rare, 'rare_event', NULL, NULL", 1], ["-1, NULL, NULL, now() - interval '2 hours', 10", 10],
        [q{-1, 'common_event', now() - interval '20 seconds', NULL}, 20]) {
        my ($arguments, $rows) = @$case;
        sql("SELECT FROM learnhub.audit_entries($arguments)"); # reads catalogs
        my ($plan) = sql("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM learnhub.audit_entries($arguments)");
        my $node = JSON::XS->new->decode($plan->{'QUERY PLAN'})->[0]{Plan};
        is($node->{'Actual Rows'}, $rows, "audit_entries($arguments) has its rows");
        cmp_ok($node->{'Shared Hit Blocks'} + $node->{'Shared Read Blocks'}, '<', 30, 'and reads few pages');
    }
    is((sql('SELECT count(*) AS n FROM learnhub.audit_entries(-1, NULL, NULL, NULL)'))[0]{n}, 10000, 'at most 10,000');
    database()->rollback;
};

done_testing;

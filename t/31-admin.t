# SPDX-License-Identifier: Apache-2.0
# The admin API, roles, and how soon a revoked account, role or token stops working: contract.md section 1.
use strict;
use warnings;
use utf8;
use lib 't/lib';
use LearnHub::Test;

my $INVALID = 'Bearer realm="learnhub", error="invalid_token"';
my $users = '/api/admin/users/';
my $admin = signup(role => 'admin', first_name => 'Root');
my $student = signup();

sub number { return user($_[0]{email})->{id} }
sub list { my (%query) = @_; return api(GET => $users, token => $admin->{token}, query => \%query) }
sub emails { my ($reply) = @_; return [map { $_->{email} } @{ $reply->json->{results} }] }

sub change {
    my ($who, %change) = @_;
    my $id = ref $who ? number($who) : $who;
    return api(PATCH => "$users$id/", token => $admin->{token}, json => \%change);
}

sub me { my ($who, %more) = @_; return api(GET => '/users/me', token => ref $who ? $who->{token} : $who, %more) }

sub log_in {
    my ($who, %more) = @_;
    return api(POST => '/users/login', form => { username => $who->{email}, password => $who->{password} }, %more);
}

sub token_login {
    my ($who, %more) = @_;
    my %body = (username => $who->{email}, password => $who->{password});
    return api(POST => '/auth/token/login/', json => \%body, %more);
}

sub refresh {
    my ($who, %more) = @_;
    return api(POST => '/users/refresh', json => { refresh_token => $who->{refresh} }, %more);
}

# Something only instructors and admins may do.
sub teach {
    my ($who, %more) = @_;
    my %session = (title => 'A session', description => 'of this test', date => '2099-01-01T10:00:00Z',
        max_participants => 5);
    return api(POST => '/api/sessions/', token => $who->{token}, json => \%session, %more);
}

# ---- who may ----

is_refusal(api(GET => $users), 'plain', 401, 'the list is not for everybody');
is_refusal(api(PATCH => $users . number($student) . '/', json => { role => 'admin' }), 'plain', 401, 'nor is a change');
for my $role (qw(student instructor service)) {
    my $person = signup(role => $role);
    my $own = $users . number($person) . '/';
    is_refusal(api(GET => $users, token => $person->{token}), 'plain', 403, "the list is not for a role of $role");
    for my $change ({ role => 'admin' }, { is_active => true }, {}, { role => 'nonsense' }) {
        is_refusal(api(PATCH => $own, token => $person->{token}, json => $change), 'plain', 403,
            "nor is a change of oneself: $role, @{keys_of($change)}");
    }
    is(user($person->{email})->{role}, $role, "and nothing was changed: $role");
}
my %grab = (role => 'admin', is_active => false, is_mentor => true, id => 1, is_staff => true, token_version => 0);
for my $place (['/users/signup', first_name => 'A', last_name => 'B'],
    ['/auth/users/', username => unique('grab'), re_password => 'a good password']) {
    my ($path, %fields) = @$place;
    my $email = unique('grab') . '@example.com';
    my $reply = api(POST => $path, json => { %fields, email => $email, password => 'a good password', %grab });
    is($reply->status, 201, "$path ignores fields that are not for the client");
    my $made = user($email);
    is_deeply([$made->{role}, $made->{is_active}, $made->{is_mentor}], ['student', 1, 0], "and grants nothing: $path");
}

# ---- the list ----

my $tag = unique('list');
my @people = map {
    my %person = (first_name => "First$_", last_name => "$tag Last$_", email => "$tag-$_\@example.com");
    api(POST => '/users/signup', json => { %person, password => 'a good password' })->status == 201 or die 'signup';
    \%person;
} 1 .. 25;
my $reply = list(q => $tag);
is($reply->status, 200, 'the list answers 200');
is_deeply(keys_of($reply->json), [qw(count next previous results)], "it is paged like tutoring's");
is($reply->json->{count}, 25, 'count is of all that match');
is(scalar @{ $reply->json->{results} }, 10, 'a page has 10');
my $someone = $reply->json->{results}[0];
my @expected = qw(id username email first_name last_name role is_active created_at);
is_deeply([grep { !exists $someone->{$_} } @expected], [], 'a user has the keys of an account');
is_deeply([grep {/password|token|hash/} keys %$someone], [], 'and no secret');
like($reply->body, qr/"id":\s*\d+[,}]/, 'id is a number');
is($someone->{id}, number($someone), 'that of the database');
like($someone->{created_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, 'created_at in UTC');
is_deeply([$someone->{role}, $someone->{is_active}], ['student', true], 'role and is_active');
is_deeply(api(GET => '/api/admin/users', token => $admin->{token}, query => { q => $tag })->json->{results},
    $reply->json->{results}, 'the slash at the end is optional');

my (%seen, @sizes);
for (my $page = list(q => $tag, page_size => 7); ; $page = follow($page->json->{next})) {
    push @sizes, scalar @{ $page->json->{results} };
    $seen{ $_->{email} }++ for @{ $page->json->{results} };
    last if !defined $page->json->{next} || @sizes > 9;
}
is_deeply(\@sizes, [7, 7, 7, 4], 'following next goes through all pages');
is_deeply([sort keys %seen], [sort map { $_->{email} } @people], 'and finds everybody');
is_deeply([grep { $_ != 1 } values %seen], [], 'once');

sub follow {
    my ($url) = @_;
    my ($path) = $url =~ m{^http://[\w.:-]+(/.*)$} or die "next is not absolute: $url";
    return api(GET => $path, token => $admin->{token});
}

my $second = list(q => $tag, page_size => 7, page => 2);
is_deeply(emails(follow($second->json->{previous})), emails(list(q => $tag, page_size => 7)), 'previous leads back');
like($second->json->{next}, qr{^http://127\.0\.0\.1:${\port()}/api/admin/users/\?}, 'next is absolute');
like($second->json->{next}, qr/[?&]q=\Q$tag\E(?:&|$)/, 'and keeps the search');
is(list(q => $tag)->json->{previous}, undef, 'the first page has no previous');
is(scalar @{ list(q => $tag, page_size => 100)->json->{results} }, 25, 'page_size up to 100');
is_refusal(list(q => $tag, page => 4), 'plain', 404, 'a page beyond the end');
for my $wrong (['page', 'two'], ['page', 0], ['page', -1], ['page', 1.5], ['page_size', 'ten'], ['page_size', 0]) {
    is(list(q => $tag, $wrong->[0] => $wrong->[1])->status, 400, "@$wrong is 400");
}
is_deeply(emails(list(q => 'FIRST17', page_size => 100)), [grep {/-17@/} map { $_->{email} } @people],
    'q looks for a part of the first name, in any case');
is_deeply(emails(list(q => uc "$tag last3")), ["$tag-3\@example.com"], 'q looks for the last name');
is_deeply(emails(list(q => "$tag-21\@exam")), ["$tag-21\@example.com"], 'q looks for the e-mail');
is_deeply(list(q => "${tag}nobody")->json, { count => 0, next => undef, previous => undef, results => [] },
    'nobody found is an empty page');
is(list(q => $tag =~ tr/-/_/r)->json->{count}, 0, '_ in q is no pattern');
is(list(q => "$tag%")->json->{count}, 0, 'nor is %');
is(list(q => "$tag\\")->json->{count}, 0, 'nor does a backslash hurt');
is(list(q => "' OR true --")->json->{count}, 0, 'nor a quote');
my $count = list(page_size => 1)->json->{count};
is($count, (sql('SELECT count(*) AS n FROM learnhub.users'))[0]{n}, 'without q the list is of everybody');
parallel(4, sub {
    for my $i (1 .. 25) {
        my %more = (email => "$tag-more-$_[0]-$i\@example.com", first_name => 'More', last_name => 'People');
        api(POST => '/users/signup', json => { %more, password => 'a good password' });
    }
    return 1;
});
is(scalar @{ list(page_size => 1000)->json->{results} }, 100, 'a page_size above 100 means 100');
like(list(page_size => 3)->body, qr/[?&]page_size=3\b/, 'next keeps the page_size');

# ---- changes ----

my $pupil = signup(first_name => 'Pupil');
$reply = change($pupil, role => 'instructor');
is($reply->status, 200, 'a change answers 200');
is_deeply(keys_of($reply->json), keys_of($someone), 'with the user as in the list');
is_deeply([@{ $reply->json }{qw(id role is_active)}], [number($pupil), 'instructor', true], 'as it is now');
is(user($pupil->{email})->{role}, 'instructor', 'and in the database');
is_deeply([map { change($pupil, role => $_)->json->{role} } qw(service admin student)], [qw(service admin student)],
    'every role can be given');
is_invalid(change($pupil, role => $_), 'plain', ['role'], 'no role: ' . JSON::XS->new->allow_nonref->encode($_))
    for 'root', '', 'Admin', 7, ['admin'], true;
is_invalid(change($pupil, is_active => $_), 'plain', ['is_active'], 'not active or not: '
    . JSON::XS->new->allow_nonref->encode($_)) for 'maybe', '', 2, [], {};
is_invalid(change($pupil, role => 'root', is_active => 'maybe'), 'plain', [qw(is_active role)], 'both at once');
is(change($pupil, role => 'admin', is_active => 'maybe')->status, 400, 'a half right change');
is(user($pupil->{email})->{role}, 'student', 'changes nothing');
change($pupil, role => 'instructor', email => 'other@example.com', id => 1, password => 'other', first_name => 'X');
is_deeply([@{ user($pupil->{email}) }{qw(role first_name)}], [qw(instructor Pupil)], 'other fields are ignored');
is(log_in($pupil)->status, 200, 'the password, too');
my ($highest) = map { $_->{n} } sql('SELECT max(id) + 1000 AS n FROM learnhub.users');
is_refusal(change($_, role => 'student'), 'plain', 404, "nobody has the id $_")
    for $highest, 0, 'abc', '1x', -1, '9' x 30, $admin->{id};
is(api(PATCH => $users . number($pupil), token => $admin->{token}, json => { role => 'student' })->status, 200,
    'PATCH works without the slash at the end');
my $malformed = api(PATCH => $users . number($pupil) . '/', token => $admin->{token}, body => '{"role"');
is($malformed->status, 400, 'malformed JSON is 400');

# ---- set_role, the operator's way ----

sub complaint { my $fine = eval { role(@_); 1 }; return $fine ? 'no complaint' : $@ }

like(complaint(unique('nobody') . '@example.com', 'admin'), qr/nobody/, 'set_role: an unknown e-mail raises');
like(complaint($pupil->{email}, 'root'), qr/root.*role/, 'set_role: an unknown role raises');
role(uc $pupil->{email}, 'service');
is(user($pupil->{email})->{role}, 'service', 'set_role: the e-mail in any case');

# ---- a role that is given ----

my $teacher = signup();
is_refusal(teach($teacher), 'tutoring', 403, 'a student may not teach');
role($teacher->{email}, 'instructor');
is(teach($teacher)->status, 201, 'a role given in the database works at once, with the old token');
my $deputy = signup();
is(api(GET => $users, token => $deputy->{token})->status, 403, 'a student is no admin');
change($deputy, role => 'admin');
is(api(GET => $users, token => $deputy->{token})->status, 200, 'a role given by an admin works at once as well');

# ---- what is taken away, on three nodes ----

my $soon = second_httpd('LearnHubRevocationInterval 1s');
my $now = second_httpd('LearnHubRevocationInterval 0');
my %node = (main => port(), soon => $soon->port, now => $now->port);

# Six new connections: it is not always the same process that answers.
sub everywhere {
    my ($token, $port) = @_;
    return map { me($token, port => $port, headers => { Connection => 'close' })->status } 1 .. 6;
}

# All processes of all nodes have seen the token.
sub warm {
    my ($token, $name) = @_;
    my @statuses = map { everywhere($token, $_) } values %node;
    return is_deeply(\@statuses, [(200) x 18], "$name works on every node");
}

# At once on the node that was told and on the one whose interval is 0; in a second, and some, on the other.
sub dies {
    my ($token, $name) = @_;
    is(me($token, port => $node{now})->status, 401, "$name: dead at once where the interval is 0");
    is_deeply([everywhere($token, port())], [(401) x 6], "$name: dead at once where it was ended");
    ok(eventually(sub { me($token, port => $node{soon})->status == 401 }, 2.5), "$name: dead elsewhere in time");
    Time::HiRes::sleep(1.1);
    is_deeply([everywhere($token, $node{soon})], [(401) x 6], "$name: in every process");
    return is(me($token)->header('WWW-Authenticate'), $INVALID, "$name: and told so");
}

my $leaver = token_login($student)->json->{auth_token};
warm("Token $leaver", 'an opaque token');
is(api(POST => '/auth/token/logout/', token => "Token $leaver")->status, 204, 'logout on one node');
dies("Token $leaver", 'an opaque token');
is(me($student, port => $node{now})->status, 200, "the person's other token lives");
my $fleeting = log_in($student)->json->{access_token};
warm($fleeting, 'a JWT');
is(api(POST => '/auth/token/logout/', token => $fleeting)->status, 204, 'logout on one node');
dies($fleeting, 'a JWT');

my $outcast = signup();
my $opaque = token_login($outcast)->json->{auth_token};
warm($outcast, "an outcast's JWT");
warm("Token $opaque", "an outcast's opaque token");
$reply = change($outcast, is_active => false);
is_deeply([$reply->status, $reply->json->{is_active}], [200, false], 'an account is deactivated');
dies($outcast, "an outcast's JWT");
dies("Token $opaque", "an outcast's opaque token");
is_refusal(refresh($outcast, port => $node{$_}), 'practice', 401, "no refresh for a deactivated account: $_")
    for sort keys %node;
my %wrong = (%$student, password => 'not the password');
is_deeply([map { ($_->status, $_->body) } log_in($outcast)], [map { ($_->status, $_->body) } log_in(\%wrong)],
    'its login is refused like a wrong password');
is_deeply([map { ($_->status, $_->body) } token_login($outcast)], [map { ($_->status, $_->body) } token_login(\%wrong)],
    'so is its token login');
is_deeply([log_in($outcast)->status, token_login($outcast)->status], [401, 400], 'that is 401 and 400');
is(scalar(grep { $_->{email} eq $outcast->{email} } @{ list(q => $outcast->{email})->json->{results} }), 1,
    'an admin still sees the account');
change($outcast, is_active => true);
is(log_in($outcast)->status, 200, 'activated again it can log in');
is(me(log_in($outcast)->json->{access_token}, port => $node{$_})->status, 200, "and is let in: $_") for sort keys %node;

my $former = signup(role => 'instructor');
is(teach($former, port => $node{$_})->status, 201, "an instructor teaches: $_") for sort keys %node;
role($former->{email}, 'student');
is(teach($former, port => $node{now})->status, 403, 'a role taken away: gone at once where the interval is 0');
ok(eventually(sub { teach($former, port => $node{soon})->status == 403 }, 2.5), 'gone within the interval elsewhere');
is(me($former, port => $node{now})->status, 200, 'the token still works for the rest');
my $demoted = signup(role => 'admin');
is(api(GET => $users, token => $demoted->{token}, port => $node{$_})->status, 200, "an admin reads: $_")
    for sort keys %node;
change($demoted, role => 'student');
is(api(GET => $users, token => $demoted->{token}, port => $node{$_})->status, 403, "a former admin does not: $_")
    for qw(main now);
ok(eventually(sub { api(GET => $users, token => $demoted->{token}, port => $node{soon})->status == 403 }, 2.5),
    'within the interval elsewhere');
my $promoted = signup();
is(teach($promoted, port => $node{soon})->status, 403, 'not yet an instructor');
change($promoted, role => 'instructor');
is(teach($promoted, port => $node{$_})->status, 201, "a role given on one node works at once on all: $_")
    for sort keys %node;

my $deleted = signup();
warm($deleted, "a deleted person's JWT");
sql('DELETE FROM learnhub.users WHERE email = ?', $deleted->{email});
is(me($deleted, port => $node{now})->status, 401, 'a deleted account is out at once where the interval is 0');
ok(eventually(sub { me($deleted, port => $node{soon})->status == 401 }, 2.5), 'within the interval elsewhere');

# ---- changes that overtake each other, and processes that are new ----

my ($slow, $quick) = (signup(), signup());
warm($_, 'a token') for $slow, $quick;
my $database = LearnHub::Test::database();
$database->begin_work;
sql('UPDATE learnhub.users SET is_active = false WHERE email = ?', $slow->{email});
is(change_elsewhere($quick)->status, 200, 'a later change is made first');

sub change_elsewhere {
    my ($who) = @_;
    my $found = list(q => $who->{email})->json->{results}[0]{id};
    return change($found, is_active => false);
}

is(me($quick, port => $node{now})->status, 401, 'and known at once');
ok(eventually(sub { me($quick, port => $node{soon})->status == 401 }, 2.5), 'and soon');
$database->commit;
is(me($slow, port => $node{now})->status, 401, 'the earlier change is not overlooked where the interval is 0');
ok(eventually(sub { me($slow, port => $node{soon})->status == 401 }, 2.5), 'nor elsewhere');

$soon->graceful;
is_deeply([map { me($_, port => $node{soon})->status } ("Token $leaver", $fleeting, $outcast, $slow, $quick) x 2],
    [(401) x 10], 'a new generation of processes knows what was revoked before');
is(me($student, port => $node{soon})->status, 200, 'and what was not');
is(teach($former, port => $node{soon})->status, 403, 'a role stays taken away');
is(teach($promoted, port => $node{soon})->status, 201, 'or given');

my $crowd = token_login($student)->json->{auth_token};
warm("Token $crowd", 'one more token');
my @seen = parallel(12, sub {
    my ($i) = @_;
    return $i ? (map { me("Token $crowd", port => $node{now})->status } 1 .. 10)[-1]
        : api(POST => '/auth/token/logout/', token => "Token $crowd")->status;
});
is_deeply([$seen[0], grep { !/^(?:200|401)$/ } @seen[1 .. 11]], [204], 'a logout amid requests: they are 200 or 401');
is_deeply([everywhere("Token $crowd", $node{now})], [(401) x 6], 'and 401 from then on');

done_testing;

# SPDX-License-Identifier: Apache-2.0
# The tutoring API: every operation of its document, every documented error, the order of refusals, and the races.
use strict;
use warnings;
use utf8;

use LearnHub::Test;
use POSIX qw(strftime);

my @common = qw(id title description date max_participants creator status created_at updated_at is_full available_spots
    can_join);
my $detail_keys = [sort @common, 'participants'];
my $listed_keys = [sort @common, 'participant_count'];
my $person_keys = [qw(email first_name id last_name role)];
my $time = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

my $teacher = signup(role => 'instructor', first_name => 'Tea', last_name => 'Cher');
my $other = signup(role => 'instructor');
my $student = signup(first_name => 'Stu', last_name => 'Dent');
my $admin = signup(role => 'admin');
my $teacher_id = user($teacher->{email})->{id};
my $student_id = user($student->{email})->{id};

sub ahead { my ($days) = @_; return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + 86400 * $days)) }

sub proposal { return { title => 'Hooks', description => 'All of them', date => ahead(3), max_participants => 4, @_ } }

sub call {
    my ($who, $method, $path, %with) = @_;
    return api($method, "/api/sessions/$path", token => $who->{token}, %with);
}

sub create {
    my (%over) = @_;
    my $reply = call(delete $over{by} || $teacher, POST => '', json => proposal(%over));
    $reply->status == 201 or die $reply->summary;
    return $reply->json;
}

sub row { my ($id) = @_; return (sql('SELECT * FROM learnhub.tutoring_sessions WHERE id = ?', $id))[0] }

sub seats_taken {
    my ($id) = @_;
    return (sql('SELECT count(*) AS n FROM learnhub.tutoring_participants WHERE session_id = ?', $id))[0]{n};
}

sub is_detail {
    my ($object, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply(keys_of($object), $detail_keys, "$name: keys");
    is_deeply(keys_of($object->{creator}), $person_keys, "$name: keys of the creator");
    like($object->{$_}, $time, "$name: form of $_") for qw(date created_at updated_at);
    is($object->{available_spots}, $object->{max_participants} - @{ $object->{participants} }, "$name: spots");
    ok(JSON::XS::is_bool($object->{$_}), "$name: $_ is a boolean") for qw(is_full can_join);
    return $object;
}

# An action's reply: {message, session}.
sub is_action {
    my ($reply, $status, $message, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is($reply->status, $status, "$name: status") || diag($reply->summary);
    is_deeply(keys_of($reply->json), [qw(message session)], "$name: keys of the envelope");
    is($reply->json->{message}, $message, "$name: message");
    return is_detail($reply->json->{session}, $name);
}

# ---- without a token, and for what is not there ----

my @operations = (
    [GET => ''], [POST => ''], [GET => '%d/'], [PUT => '%d/'], [PATCH => '%d/'], [DELETE => '%d/'],
    map({ [POST => "%d/$_/"] } qw(join leave cancel start complete)), [GET => '%d/participants/'],
    map({ [GET => "${_}_sessions/"] } qw(my created joined)),
);
my $anything = create()->{id};
for my $operation (@operations) {
    my ($method, $path) = ($operation->[0], $operation->[1] =~ s{%d}{$anything}r);
    my $none = api($method => "/api/sessions/$path");
    is_refusal($none, 'tutoring', 401);
    is($none->header('WWW-Authenticate'), 'Bearer realm="learnhub"', "$method $path: challenge");
    my $bad = api($method => "/api/sessions/$path", token => 'no.such.token');
    is_refusal($bad, 'tutoring', 401);
    is($bad->header('WWW-Authenticate'), 'Bearer realm="learnhub", error="invalid_token"', "$method $path: bad token");
}
for my $operation (grep { $_->[1] =~ /%d/ } @operations) {
    my ($method, $template) = @$operation;
    my @body = $method =~ /^P(UT|ATCH)/ ? (json => proposal()) : ();
    is_refusal(call($teacher, $method, sprintf($template, 9_000_000_000), @body), 'tutoring', 404);
    for my $id ('abc', '-1', '1.5', '99999999999999999999', '%C3%28') {
        is_refusal(call($teacher, $method, $template =~ s/%d/$id/r, @body), 'tutoring', 404);
    }
}
is($_->status, 200, $_->name . ' without its last slash')
    for call($student, GET => $anything), api(GET => '/api/sessions', token => $student->{token}),
    call($student, GET => 'my_sessions'), call($student, GET => "$anything/participants");
is(call($student, HEAD => "$anything/")->status, 200, 'HEAD of a session');
is(call($student, HEAD => "$anything/")->body, '', 'HEAD has no body');

# ---- create ----

is_refusal(call($student, POST => '', json => proposal()), 'tutoring', 403, qr/instructor/);
my $made = call($teacher, POST => '', json => proposal(title => "  H\x{f6}\x{f6}ks  ", id => 5, status => 'completed',
        creator => 1, unknown => [1]));
is($made->status, 201, 'created');
my $session = is_detail($made->json, 'created');
is_deeply([@$session{qw(title description max_participants status)}, $session->{date}],
    ["H\x{f6}\x{f6}ks", 'All of them', 4, 'upcoming', ahead(3)], 'what was sent, trimmed, read-only fields ignored');
is_deeply($session->{creator}, { id => $teacher_id, first_name => 'Tea', last_name => 'Cher', email => $teacher->{email},
        role => 'instructor' }, 'the creator');
is_deeply([@$session{qw(participants is_full available_spots can_join)}], [[], false, 4, true], 'an empty session');
is(call($admin, POST => '', json => proposal())->status, 201, 'an admin may create');
is_deeply(call($student, GET => "$session->{id}/")->json, $session, 'others read the same object');

my @wrong = (
    [title => ''], [title => '   '], [title => 'x' x 201], [title => 5], [title => undef], [description => undef],
    [description => {}], [date => 'tomorrow'], [date => '2030-02-30T10:00:00Z'], [date => '2020-01-01T00:00:00Z'],
    [date => 12345], [max_participants => 1], [max_participants => 21], [max_participants => '4'],
    [max_participants => 4.5], [max_participants => true], [max_participants => undef],
);
for my $case (@wrong) {
    my ($field, $value) = @$case;
    for my $request ([POST => ''], [PUT => "$session->{id}/"]) {
        is_invalid(call($teacher, @$request, json => proposal($field => $value)), 'tutoring', [$field],
            "$request->[0] with $field " . JSON::XS->new->allow_nonref->encode($value));
    }
}
is_invalid(call($teacher, PATCH => "$session->{id}/", json => { max_participants => 99, title => '' }), 'tutoring',
    [qw(max_participants title)], 'PATCH reports all wrong fields at once');
for my $request ([POST => ''], [PUT => "$session->{id}/"]) {
    is_invalid(call($teacher, @$request, json => {}), 'tutoring', [qw(date description max_participants title)]);
    is_invalid(call($teacher, @$request, json => { title => 'x' }), 'tutoring', [qw(date description max_participants)]);
}
is(create(title => 'x' x 200)->{title}, 'x' x 200, '200 characters fit');
is(create(max_participants => $_)->{max_participants}, $_, "$_ seats") for 2, 20;
is(create(date => '2031-05-06 07:08')->{date}, '2031-05-06T07:08:00Z', 'a date without an offset is UTC');
is(create(date => '2031-05-06T07:08:09.5+02:00')->{date}, '2031-05-06T05:08:09Z', 'an offset, a fraction');
is(create(date => '2031-05-06')->{date}, '2031-05-06T00:00:00Z', 'a plain date is its midnight');

# ---- update ----

my $put = call($teacher, PUT => "$session->{id}/", json => proposal(title => 'New', max_participants => 6, date => ahead(5)));
is($put->status, 200, 'PUT') || diag($put->summary);
is_detail($put->json, 'PUT');
is_deeply([@{ $put->json }{qw(title max_participants date)}], ['New', 6, ahead(5)], 'PUT changes');
my $patched = call($teacher, PATCH => "$session->{id}", json => { description => 'Less' });
is_deeply([$patched->status, @{ $patched->json }{qw(title description max_participants)}], [200, 'New', 'Less', 6],
    'PATCH changes what it names');
is(call($teacher, PATCH => "$session->{id}/", json => {})->status, 200, 'PATCH of nothing');
is_refusal(call($_, PUT => "$session->{id}/", json => proposal()), 'tutoring', 403) for $student, $other, $admin;
is_refusal(call($other, PATCH => "$session->{id}/", json => { title => 'Mine' }), 'tutoring', 403);

# ---- join and leave ----

my $seats = create(max_participants => 2);
is_refusal(call($teacher, POST => "$seats->{id}/join/"), 'tutoring', 400, qr/own/);
my $joined = is_action(call($student, POST => "$seats->{id}/join/"), 201, 'Successfully joined the session', 'join');
is_deeply(keys_of($joined->{participants}[0]), [qw(id joined_at role user)], 'keys of a participant');
is_deeply($joined->{participants}[0]{user}, { id => $student_id, first_name => 'Stu', last_name => 'Dent',
        email => $student->{email}, role => 'student' }, 'who joined');
is($joined->{participants}[0]{role}, 'student', 'a student');
like($joined->{participants}[0]{joined_at}, $time, 'form of joined_at');
is_deeply([@$joined{qw(available_spots is_full can_join)}], [1, false, true], 'the state after joining');
is_refusal(call($student, POST => "$seats->{id}/join/"), 'tutoring', 400, qr/already/);
my $full = is_action(call($other, POST => "$seats->{id}/join/", headers => { 'Content-Type' => 'application/json' }), 201,
    'Successfully joined the session', 'the last seat');
is_deeply([map { $_->{role} } @{ $full->{participants} }], [qw(student tutor)], 'an instructor takes part as tutor');
is_deeply([@$full{qw(available_spots is_full can_join)}], [0, true, false], 'full');
is_refusal(call($student, POST => "$seats->{id}/join/"), 'tutoring', 400, qr/already/, 'already joined goes before full');
is_refusal(call($admin, POST => "$seats->{id}/join/"), 'tutoring', 400, qr/full/);
is_refusal(call($teacher, POST => "$seats->{id}/join/"), 'tutoring', 400, qr/own/, 'own session goes before full');
is_invalid(call($teacher, PATCH => "$seats->{id}/", json => { max_participants => 1 }), 'tutoring', ['max_participants']);

my $people = call($admin, GET => "$seats->{id}/participants/");
is_deeply([$people->status, [map { $_->{user}{email} } @{ $people->json }]],
    [200, [$student->{email}, $other->{email}]], 'participants in order of joining');
is_deeply($people->json, call($admin, GET => "$seats->{id}/")->json->{participants}, 'the same as in the session');
is_deeply(call($admin, GET => create()->{id} . '/participants/')->json, [], 'nobody yet');

is_refusal(call($admin, POST => "$seats->{id}/leave/"), 'tutoring', 400, qr/not joined/);
my $left = is_action(call($student, POST => "$seats->{id}/leave/"), 200, 'Successfully left the session', 'leave');
is_deeply([map { $_->{user}{email} } @{ $left->{participants} }], [$other->{email}], 'the state after leaving');
is_refusal(call($student, POST => "$seats->{id}/leave/"), 'tutoring', 400, qr/not joined/);
is(call($student, POST => "$seats->{id}/join/")->status, 201, 'and back again');

my $crowd = create(max_participants => 5);
call($_, POST => "$crowd->{id}/join/") for $student, $other, $admin;
is_invalid(call($teacher, PUT => "$crowd->{id}/", json => proposal(max_participants => 2)), 'tutoring',
    ['max_participants'], 'fewer seats than are taken');
is(call($teacher, PATCH => "$crowd->{id}/", json => { max_participants => 3 })->json->{is_full}, true, 'just enough');

my $past = create();
sql("UPDATE learnhub.tutoring_sessions SET starts_at = now() - interval '1 minute' WHERE id = ?", $past->{id});
is_refusal(call($student, POST => "$past->{id}/join/"), 'tutoring', 400, qr/no longer/);
is(call($student, GET => "$past->{id}/")->json->{can_join}, false, 'too late to join');

# ---- the states ----

my %leads = (cancel => { upcoming => 'cancelled', ongoing => 'cancelled' }, start => { upcoming => 'ongoing' },
    complete => { ongoing => 'completed' });
my %message = (cancel => 'Session cancelled successfully', start => 'Session started successfully',
    complete => 'Session completed successfully');
for my $action (sort keys %leads) {
    for my $state (qw(upcoming ongoing completed cancelled)) {
        my $id = create()->{id};
        call($student, POST => "$id/join/");
        sql('UPDATE learnhub.tutoring_sessions SET status = ? WHERE id = ?', $state, $id);
        is_refusal(call($_, POST => "$id/$action/"), 'tutoring', 403, "$action of $state by another") for $other, $admin;
        my $reply = call($teacher, POST => "$id/$action/");
        if (my $next = $leads{$action}{$state}) {
            my $after = is_action($reply, 200, $message{$action}, "$action from $state");
            is_deeply([$after->{status}, scalar @{ $after->{participants} }, $after->{can_join}], [$next, 1, false],
                "$action from $state leads to $next and keeps the participants");
        }
        else {
            is_refusal($reply, 'tutoring', 400, "$action from $state");
            is(row($id)->{status}, $state, "$action leaves $state as it is");
        }
    }
}
for my $state (qw(upcoming ongoing completed cancelled)) {
    my ($leaving, $joining, $changing, $dying) = map { create()->{id} } 1 .. 4;
    call($student, POST => "$leaving/join/");
    sql('UPDATE learnhub.tutoring_sessions SET status = ? WHERE id IN (?, ?, ?, ?)', $state, $leaving, $joining, $changing,
        $dying);
    my $begun = $state =~ /ongoing|completed/;
    is(call($student, POST => "$leaving/leave/")->status, $begun ? 400 : 200, "leave when $state");
    is(seats_taken($leaving), $begun ? 1 : 0, "seats after leaving when $state");
    is(call($student, POST => "$joining/join/")->status, $state eq 'upcoming' ? 201 : 400, "join when $state");
    my $over = $state =~ /completed|cancelled/;
    is(call($teacher, PUT => "$changing/", json => proposal())->status, $over ? 400 : 200, "PUT when $state");
    is(call($teacher, PATCH => "$changing/", json => { title => 'x' })->status, $over ? 400 : 200, "PATCH when $state");
    is_refusal(call($other, PATCH => "$changing/", json => { title => 'x' }), 'tutoring', 403, 'the creator goes first');
    is_refusal(call($other, DELETE => "$dying/"), 'tutoring', 403, "DELETE by another when $state");
    my $deleted = call($teacher, DELETE => "$dying/");
    is_deeply([$deleted->status, !!row($dying)], $begun ? [400, 1] : [204, !!0], "DELETE when $state");
    is($deleted->body, '', 'no body') if !$begun;
}
my $peopled = create()->{id};
call($student, POST => "$peopled/join/");
is_deeply([call($teacher, DELETE => "$peopled/")->status, seats_taken($peopled)], [204, 0], 'participants go with it');
is_refusal(call($teacher, GET => "$peopled/"), 'tutoring', 404);

# ---- lists ----

my $lister = signup(role => 'instructor');
my $lister_id = user($lister->{email})->{id};
my @made = map { create(by => $lister, title => "L$_", date => "2040-01-0${_}T00:00:00Z") } 1 .. 7;
my $list = call($student, GET => '', query => { creator => $lister_id });
is_deeply(keys_of($list->json), [qw(count next previous results)], 'keys of a page');
is_deeply([@{ $list->json }{qw(count next previous)}, map { $_->{title} } @{ $list->json->{results} }],
    [7, undef, undef, map {"L$_"} reverse 1 .. 7], 'newest created first');
is_deeply(keys_of($list->json->{results}[0]), $listed_keys, 'keys of a listed session');
call($student, POST => "$made[6]{id}/join/");
is_deeply([@{ call($student, GET => "?creator=$lister_id")->json->{results}[0] }{qw(participant_count available_spots)}],
    [1, 3], 'seats of a listed session');

my $second = call($student, GET => '', query => { creator => $lister_id, page_size => 3, page => 2 });
is_deeply([map { $_->{title} } @{ $second->json->{results} }], [qw(L4 L3 L2)], 'the second page');
is($second->json->{count}, 7, 'count is of all');
my $base = 'http://127.0.0.1:' . port() . "/api/sessions/?creator=$lister_id";
is($second->json->{next}, "$base&page_size=3&page=3", 'next is absolute and keeps the others');
is($second->json->{previous}, "$base&page_size=3", 'previous leads to the first page');
my ($target) = $second->json->{next} =~ m{(/api/.*)};
is_deeply([map { $_->{title} } @{ api(GET => $target, token => $student->{token})->json->{results} }], ['L1'],
    'next can be followed');
is_refusal(call($student, GET => '', query => { creator => $lister_id, page => 2 }), 'tutoring', 404);
is_invalid(call($student, GET => '', query => { page => $_ }), 'tutoring', ['page'], "page $_") for 'x', 0, -1, 1.5;
is_invalid(call($student, GET => '', query => { page_size => $_ }), 'tutoring', ['page_size'], "page_size $_") for 'x', 0, -1;
is(call($student, GET => '?creator=0&page=1')->json->{count}, 0, 'an empty first page is a page');
sql("INSERT INTO learnhub.tutoring_sessions (title, description, starts_at, max_participants, creator_id)
     SELECT 'many', 'x', now() + interval '1 day', 2, ? FROM generate_series(1, 110)", $teacher_id);
is(scalar @{ call($student, GET => '')->json->{results} }, 10, 'ten by default');
is(scalar @{ call($student, GET => '?page_size=500')->json->{results} }, 100, 'above 100 means 100');

sub titles { return [map { $_->{title} } @{ call($student, GET => '', query => { creator => $lister_id, @_ })->json->{results} }] }
is_deeply(titles(date_from => '2040-01-06T00:00:00Z'), [qw(L7 L6)], 'date_from is inclusive');
is_deeply(titles(date_to => '2040-01-02'), [qw(L2 L1)], 'date_to is inclusive, a plain date its midnight');
is_deeply(titles(date_from => '2040-01-03T01:00:00+01:00', date_to => '2040-01-04T00:00:00'), [qw(L4 L3)], 'both');
call($lister, POST => "$made[0]{id}/cancel/");
is_deeply(titles(status => 'cancelled'), ['L1'], 'by status');
is_deeply(titles(status => 'upcoming', date_to => '2040-01-03'), [qw(L3 L2)], 'filters combine');
is_deeply(titles(status => ''), [map {"L$_"} reverse 1 .. 7], 'an empty filter is none');
is_invalid(call($student, GET => '', query => { status => 'over' }), 'tutoring', ['status']);
is_invalid(call($student, GET => '', query => { $_ => 'soon' }), 'tutoring', [$_]) for qw(date_from date_to creator);
is_invalid(call($student, GET => '?status=x&page=0&creator=y'), 'tutoring', [qw(creator page status)]);

my $member = signup(role => 'instructor');
my @own = map { create(by => $member, title => "own $_")->{id} } 1, 2;
call($member, POST => "$made[5]{id}/join/");
my %expected = (my => [@own[1, 0], $made[5]{id}], created => [@own[1, 0]], joined => [$made[5]{id}]);
for my $which (sort keys %expected) {
    my $mine = call($member, GET => "${which}_sessions/");
    is_deeply([$mine->json->{count}, map { $_->{id} } @{ $mine->json->{results} }],
        [scalar @{ $expected{$which} }, @{ $expected{$which} }], "${which}_sessions");
    is_deeply(keys_of($mine->json->{results}[0]), $listed_keys, "${which}_sessions: keys");
    my $page = call($member, GET => "${which}_sessions/?page_size=1&page=" . @{ $expected{$which} });
    is_deeply([map { $_->{id} } @{ $page->json->{results} }], [$expected{$which}[-1]], "${which}_sessions: the last page");
    is_refusal(call($member, GET => "${which}_sessions/?page=9"), 'tutoring', 404);
}

# ---- races ----

my @users = map { signup() } 1 .. 40;
my $race = create(max_participants => 8);
my @statuses = sort map { $_->{status} } parallel(40, sub { call($users[$_[0]], POST => "$race->{id}/join/") });
is_deeply(\@statuses, [(201) x 8, (400) x 32], '40 users, 8 seats: 8 get one');
is_deeply([row($race->{id})->{participant_count}, seats_taken($race->{id})], [8, 8], 'and the database says the same');
is(call($student, GET => "$race->{id}/")->json->{available_spots}, 0, 'no seat is left');

my $once = create();
my @answers = parallel(20, sub { call($users[0], POST => "$once->{id}/join/") });
is_deeply([sort map { $_->{status} } @answers], [201, (400) x 19], 'one user joins 20 times at once: once');
is(scalar(grep { $_->{status} == 400 && $_->{json}{error} =~ /already/ } @answers), 19, 'and is told so');

my $storm = create(max_participants => 5);
parallel(12, sub {
        my ($i) = @_;
        for (1 .. 6) {
            call($users[$i], POST => "$storm->{id}/" . ($_ % 2 ? 'join/' : 'leave/'));
            call($teacher, PATCH => "$storm->{id}/", json => { max_participants => 2 + ($i + $_) % 8 }) if $i % 4 == 0;
        }
        return 1;
});
my $after = row($storm->{id});
is($after->{participant_count}, seats_taken($storm->{id}), 'a storm of joining, leaving and fewer seats: the count is true');
cmp_ok($after->{participant_count}, '<=', $after->{max_participants}, 'and within the seats');

for (1 .. 3) {
    my $id = create()->{id};
    my @ends = sort map { $_->{status} } parallel(8, sub { call($teacher, POST => "$id/" . ($_[0] % 2 ? 'start/' : 'cancel/')) });
    ok(@ends == 8 && (grep { $_ == 200 } @ends) <= 2 && row($id)->{status} eq 'cancelled', 'start and cancel at once: it ends cancelled')
        || diag("@ends, " . row($id)->{status});
}

done_testing();

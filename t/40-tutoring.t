# SPDX-License-Identifier: Apache-2.0
# The tutoring API: every route, every error, the order in which errors are checked, and concurrent requests.
use strict;
use warnings;
use utf8;

use LearnHub::Test;
use LearnHub::Users;
use POSIX qw(strftime);

my @common = qw(id title description date max_participants creator status created_at updated_at is_full available_spots
    can_join);
my $session_keys = [sort @common, 'participants'];
my $listed_keys = [sort @common, 'participant_count'];
my $user_keys = [qw(email first_name id last_name role)];
my $time = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

my $teacher = signup(role => 'instructor', first_name => 'Tea', last_name => 'Cher');
my $other = signup(role => 'instructor');
my $student = signup(first_name => 'Stu', last_name => 'Dent');
my $admin = signup(role => 'admin');

my $started = time;

# A time so many days after the start of this test, the same at each call.
sub days_ahead { my ($days) = @_; return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime($started + 86400 * $days)) }

sub session_body {
    return { title => 'Hooks', description => 'All of them', date => days_ahead(3), max_participants => 4, @_ };
}

# Creates a session: by => user, and fields of session_body().
sub create {
    my (%over) = @_;
    my $reply = api_as(delete $over{by} || $teacher, POST => '/api/sessions/', json => session_body(%over));
    $reply->status == 201 or die $reply->summary;
    return $reply->json;
}

# A session in the database.
sub stored { my ($id) = @_; return (sql('SELECT * FROM learnhub.tutoring_sessions WHERE id = ?', $id))[0] }

sub seats_taken {
    my ($id) = @_;
    return (sql('SELECT count(*) AS n FROM learnhub.tutoring_participants WHERE session_id = ?', $id))[0]{n};
}

# Checks the whole session.
sub is_session {
    my ($object, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply(keys_of($object), $session_keys, "$name: keys of the session");
    is_deeply(keys_of($object->{creator}), $user_keys, "$name: keys of the creator");
    like($object->{$_}, $time, "$name: $_ is a UTC time to the second") for qw(date created_at updated_at);
    is($object->{available_spots}, $object->{max_participants} - @{ $object->{participants} },
        "$name: available_spots counts the free seats");
    ok(JSON::XS::is_bool($object->{$_}), "$name: $_ is a boolean") for qw(is_full can_join);
    return $object;
}

# The response of an action: {message, session}.
sub is_action {
    my ($reply, $status, $message, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is($reply->status, $status, "$name: status") || diag($reply->summary);
    is_deeply(keys_of($reply->json), [qw(message session)], "$name: keys of the response");
    is($reply->json->{message}, $message, "$name: message");
    return is_session($reply->json->{session}, $name);
}

my @routes = (
    [GET => '/api/sessions/'], [POST => '/api/sessions/'], [GET => '/api/sessions/%d/'], [PUT => '/api/sessions/%d/'],
    [PATCH => '/api/sessions/%d/'], [DELETE => '/api/sessions/%d/'],
    map({ [POST => "/api/sessions/%d/$_/"] } qw(join leave cancel start complete)),
    [GET => '/api/sessions/%d/participants/'], map({ [GET => "/api/sessions/${_}_sessions/"] } qw(my created joined)),
);
my $any_id = create()->{id};

subtest 'Every route requires a valid token' => sub {
    for my $route (@routes) {
        my ($method, $path) = ($route->[0], $route->[1] =~ s{%d}{$any_id}r);
        my $none = api($method => $path);
        is_error($none, 'flat', 401, "$method $path without a token is rejected");
        is($none->header('WWW-Authenticate'), 'Bearer realm="learnhub"',
            "$method $path without a token: the challenge names the realm only");
        my $bad = api($method => $path, token => 'no.such.token');
        is_error($bad, 'flat', 401, "$method $path with an invalid token is rejected");
        is($bad->header('WWW-Authenticate'), 'Bearer realm="learnhub", error="invalid_token"',
            "$method $path with an invalid token: the challenge names the error");
    }
};

subtest 'Session ids that are unknown or cannot be parsed return 404' => sub {
    for my $route (grep { $_->[1] =~ /%d/ } @routes) {
        my ($method, $template) = @$route;
        my @body = $method =~ /^P(UT|ATCH)/ ? (json => session_body()) : ();
        is_error(api_as($teacher, $method, sprintf($template, 9_000_000_000), @body), 'flat', 404,
            "$method $template with an unknown id");
        for my $id ('abc', '-1', '1.5', '99999999999999999999', '%C3%28') {
            is_error(api_as($teacher, $method, $template =~ s/%d/$id/r, @body), 'flat', 404,
                "$method $template with the id $id");
        }
    }
};

subtest 'Paths work without the trailing slash, and with HEAD' => sub {
    is($_->status, 200, $_->name . ' works without the trailing slash')
        for api_as($student, GET => "/api/sessions/$any_id"), api(GET => '/api/sessions', token => $student->{token}),
        api_as($student, GET => '/api/sessions/my_sessions'),
        api_as($student, GET => "/api/sessions/$any_id/participants");
    is(api_as($student, HEAD => "/api/sessions/$any_id/")->status, 200, 'HEAD of a session returns 200');
    is(api_as($student, HEAD => "/api/sessions/$any_id/")->body, '', 'HEAD returns no body');
};

my $session;

subtest 'Only instructors and admins create sessions' => sub {
    is_error(api_as($student, POST => '/api/sessions/', json => session_body()), 'flat', 403, qr/instructor/,
        'a student cannot create a session');
    my $body = session_body(title => "  H\x{f6}\x{f6}ks  ", id => 5, status => 'completed', creator => 1,
        unknown => [1]);
    my $made = api_as($teacher, POST => '/api/sessions/', json => $body);
    is($made->status, 201, 'an instructor creates a session');
    $session = is_session($made->json, 'created session');
    is_deeply([@$session{qw(title description max_participants status)}, $session->{date}],
        ["H\x{f6}\x{f6}ks", 'All of them', 4, 'upcoming', days_ahead(3)],
        'the fields sent are stored, the title is trimmed, read-only and unknown fields are ignored');
    my %creator = (id => user_id($teacher), first_name => 'Tea', last_name => 'Cher', role => 'instructor');
    is_deeply($session->{creator}, { %creator, email => $teacher->{email} }, 'the caller becomes the creator');
    is_deeply([@$session{qw(participants is_full available_spots can_join)}], [[], false, 4, true],
        'a new session has no participants and all seats free');
    is(api_as($admin, POST => '/api/sessions/', json => session_body())->status, 201, 'an admin creates a session');
    is_deeply(api_as($student, GET => "/api/sessions/$session->{id}/")->json, $session,
        'other users read the same object');
};

subtest 'POST and PUT validate every field' => sub {
    my @wrong = (
        [title => ''], [title => '   '], [title => 'x' x 201], [title => 5], [title => undef], [description => undef],
        [description => {}], [date => 'tomorrow'], [date => '2030-02-30T10:00:00Z'], [date => '2020-01-01T00:00:00Z'],
        [date => 12345], [max_participants => 1], [max_participants => 21], [max_participants => '4'],
        [max_participants => 4.5], [max_participants => true], [max_participants => undef],
    );
    for my $case (@wrong) {
        my ($field, $value) = @$case;
        for my $request ([POST => '/api/sessions/'], [PUT => "/api/sessions/$session->{id}/"]) {
            is_invalid(api_as($teacher, @$request, json => session_body($field => $value)), 'flat', [$field],
                "$request->[0] rejects $field " . JSON::XS->new->allow_nonref->encode($value));
        }
    }
    is_invalid(api_as($teacher, PATCH => "/api/sessions/$session->{id}/",
            json => { max_participants => 99, title => '' }), 'flat', [qw(max_participants title)],
        'PATCH reports all invalid fields at once');
    for my $request ([POST => '/api/sessions/'], [PUT => "/api/sessions/$session->{id}/"]) {
        is_invalid(api_as($teacher, @$request, json => {}), 'flat', [qw(date description max_participants title)],
            "$request->[0] requires all four fields");
        is_invalid(api_as($teacher, @$request, json => { title => 'x' }), 'flat',
            [qw(date description max_participants)], "$request->[0] reports all missing fields at once");
    }
    is(create(title => 'x' x 200)->{title}, 'x' x 200, 'a title has up to 200 characters');
    is(create(max_participants => $_)->{max_participants}, $_, "a session may have $_ seats") for 2, 20;
    is(create(date => '2031-05-06 07:08')->{date}, '2031-05-06T07:08:00Z', 'a date without an offset is read as UTC');
    is(create(date => '2031-05-06T07:08:09.5+02:00')->{date}, '2031-05-06T05:08:09Z',
        'offset and fraction of a date are read; the response is UTC to the second');
    is(create(date => '2031-05-06')->{date}, '2031-05-06T00:00:00Z', 'a date without a time is read as midnight');
};

subtest 'PUT replaces and PATCH changes a session; only the creator may' => sub {
    my $put = api_as($teacher, PUT => "/api/sessions/$session->{id}/",
        json => session_body(title => 'New', max_participants => 6, date => days_ahead(5)));
    is($put->status, 200, 'PUT returns 200') || diag($put->summary);
    is_session($put->json, 'PUT');
    is_deeply([@{ $put->json }{qw(title max_participants date)}], ['New', 6, days_ahead(5)], 'PUT stores all fields');
    my $patched = api_as($teacher, PATCH => "/api/sessions/$session->{id}", json => { description => 'Less' });
    is_deeply([$patched->status, @{ $patched->json }{qw(title description max_participants)}], [200, 'New', 'Less', 6],
        'PATCH changes the fields sent and keeps the others');
    is(api_as($teacher, PATCH => "/api/sessions/$session->{id}/", json => {})->status, 200,
        'PATCH with an empty object returns 200');
    is_error(api_as($_, PUT => "/api/sessions/$session->{id}/", json => session_body()), 'flat', 403,
        'PUT is rejected for everybody but the creator, admins included') for $student, $other, $admin;
    is_error(api_as($other, PATCH => "/api/sessions/$session->{id}/", json => { title => 'Mine' }), 'flat', 403,
        'PATCH is rejected for another instructor');
};

my $seats;

subtest 'Joining fills the seats; errors are checked in the order own session, already joined, full' => sub {
    $seats = create(max_participants => 2);
    is_error(api_as($teacher, POST => "/api/sessions/$seats->{id}/join/"), 'flat', 400, qr/own/,
        'the creator cannot join their own session');
    my $joined = is_action(api_as($student, POST => "/api/sessions/$seats->{id}/join/"), 201,
        'Successfully joined the session', 'joining');
    is_deeply(keys_of($joined->{participants}[0]), [qw(id joined_at role user)], 'keys of a participant');
    my %user = (id => user_id($student), first_name => 'Stu', last_name => 'Dent', role => 'student');
    is_deeply($joined->{participants}[0]{user}, { %user, email => $student->{email} }, 'user of a participant');
    is($joined->{participants}[0]{role}, 'student', 'a student takes part as student');
    like($joined->{participants}[0]{joined_at}, $time, 'joined_at is a UTC time to the second');
    is_deeply([@$joined{qw(available_spots is_full can_join)}], [1, false, true],
        'one of two seats is free after joining');
    is_error(api_as($student, POST => "/api/sessions/$seats->{id}/join/"), 'flat', 400, qr/already/,
        'a user cannot join twice');
    my $full = is_action(api_as($other, POST => "/api/sessions/$seats->{id}/join/",
            headers => { 'Content-Type' => 'application/json' }), 201, 'Successfully joined the session',
        'joining on the last seat');
    is_deeply([map { $_->{role} } @{ $full->{participants} }], [qw(student tutor)],
        'an instructor takes part as tutor');
    is_deeply([@$full{qw(available_spots is_full can_join)}], [0, true, false],
        'the session is full after the last seat is taken');
    is_error(api_as($student, POST => "/api/sessions/$seats->{id}/join/"), 'flat', 400, qr/already/,
        '"already joined" is checked before "full"');
    is_error(api_as($admin, POST => "/api/sessions/$seats->{id}/join/"), 'flat', 400, qr/full/,
        'joining a full session is rejected');
    is_error(api_as($teacher, POST => "/api/sessions/$seats->{id}/join/"), 'flat', 400, qr/own/,
        '"own session" is checked before "full"');
    is_invalid(api_as($teacher, PATCH => "/api/sessions/$seats->{id}/", json => { max_participants => 1 }), 'flat',
        ['max_participants'], 'PATCH rejects a max_participants below 2');
};

subtest 'Participants are listed in order of joining' => sub {
    my $listed = api_as($admin, GET => "/api/sessions/$seats->{id}/participants/");
    is_deeply([$listed->status, [map { $_->{user}{email} } @{ $listed->json }]],
        [200, [$student->{email}, $other->{email}]], 'participants are listed in order of joining');
    is_deeply($listed->json, api_as($admin, GET => "/api/sessions/$seats->{id}/")->json->{participants},
        'the list equals the participants of the session');
    is_deeply(api_as($admin, GET => '/api/sessions/' . create()->{id} . '/participants/')->json, [],
        'a session without participants has an empty list');
};

subtest 'Leaving frees the seat' => sub {
    is_error(api_as($admin, POST => "/api/sessions/$seats->{id}/leave/"), 'flat', 400, qr/not joined/,
        'a user who has not joined cannot leave');
    my $left = is_action(api_as($student, POST => "/api/sessions/$seats->{id}/leave/"), 200,
        'Successfully left the session', 'leaving');
    is_deeply([map { $_->{user}{email} } @{ $left->{participants} }], [$other->{email}],
        'the user who left is no longer a participant');
    is_error(api_as($student, POST => "/api/sessions/$seats->{id}/leave/"), 'flat', 400, qr/not joined/,
        'a user cannot leave twice');
    is(api_as($student, POST => "/api/sessions/$seats->{id}/join/")->status, 201, 'a user who left can join again');
};

subtest 'Seats cannot be reduced below the participants' => sub {
    my $crowd = create(max_participants => 5);
    api_as($_, POST => "/api/sessions/$crowd->{id}/join/") for $student, $other, $admin;
    is_invalid(api_as($teacher, PUT => "/api/sessions/$crowd->{id}/", json => session_body(max_participants => 2)),
        'flat', ['max_participants'], 'PUT rejects fewer seats than participants');
    is(api_as($teacher, PATCH => "/api/sessions/$crowd->{id}/", json => { max_participants => 3 })->json->{is_full},
        true, 'as many seats as participants make the session full');
};

subtest 'A session whose date has passed cannot be joined' => sub {
    my $past = create();
    sql("UPDATE learnhub.tutoring_sessions SET starts_at = now() - interval '1 minute' WHERE id = ?", $past->{id});
    is_error(api_as($student, POST => "/api/sessions/$past->{id}/join/"), 'flat', 400, qr/no longer/,
        'joining after the date is rejected');
    is(api_as($student, GET => "/api/sessions/$past->{id}/")->json->{can_join}, false,
        'can_join is false after the date');
};

subtest 'Only the creator cancels, starts and completes a session, each in certain states only' => sub {
    my %next_status = (
        cancel => { upcoming => 'cancelled', ongoing => 'cancelled' },
        start => { upcoming => 'ongoing' },
        complete => { ongoing => 'completed' },
    );
    my %message = (cancel => 'Session cancelled successfully', start => 'Session started successfully',
        complete => 'Session completed successfully');
    for my $action (sort keys %next_status) {
        for my $state (qw(upcoming ongoing completed cancelled)) {
            my $id = create()->{id};
            api_as($student, POST => "/api/sessions/$id/join/");
            sql('UPDATE learnhub.tutoring_sessions SET status = ? WHERE id = ?', $state, $id);
            is_error(api_as($_, POST => "/api/sessions/$id/$action/"), 'flat', 403,
                "$action when $state is rejected for other users and admins") for $other, $admin;
            my $reply = api_as($teacher, POST => "/api/sessions/$id/$action/");
            if (my $next = $next_status{$action}{$state}) {
                my $after = is_action($reply, 200, $message{$action}, "$action when $state");
                is_deeply([$after->{status}, scalar @{ $after->{participants} }, $after->{can_join}], [$next, 1, false],
                    "$action when $state leads to $next and keeps the participants");
            }
            else {
                is_error($reply, 'flat', 400, "$action when $state is rejected");
                is(stored($id)->{status}, $state, "a rejected $action leaves the session $state");
            }
        }
    }
};

subtest 'Leaving, joining, changing and deleting depend on the status of the session' => sub {
    for my $state (qw(upcoming ongoing completed cancelled)) {
        my ($leaving, $joining, $changing, $deleting) = map { create()->{id} } 1 .. 4;
        api_as($student, POST => "/api/sessions/$leaving/join/");
        sql('UPDATE learnhub.tutoring_sessions SET status = ? WHERE id IN (?, ?, ?, ?)', $state, $leaving, $joining,
            $changing, $deleting);
        my $begun = $state =~ /ongoing|completed/;
        is(api_as($student, POST => "/api/sessions/$leaving/leave/")->status, $begun ? 400 : 200,
            "leaving when $state");
        is(seats_taken($leaving), $begun ? 1 : 0, "seats taken after leaving when $state");
        is(api_as($student, POST => "/api/sessions/$joining/join/")->status, $state eq 'upcoming' ? 201 : 400,
            "joining when $state");
        my $over = $state =~ /completed|cancelled/;
        is(api_as($teacher, PUT => "/api/sessions/$changing/", json => session_body())->status, $over ? 400 : 200,
            "PUT when $state");
        is(api_as($teacher, PATCH => "/api/sessions/$changing/", json => { title => 'x' })->status, $over ? 400 : 200,
            "PATCH when $state");
        is_error(api_as($other, PATCH => "/api/sessions/$changing/", json => { title => 'x' }), 'flat', 403,
            "PATCH when $state: the creator is checked before the status");
        is_error(api_as($other, DELETE => "/api/sessions/$deleting/"), 'flat', 403,
            "DELETE by another instructor when $state is rejected");
        my $deleted = api_as($teacher, DELETE => "/api/sessions/$deleting/");
        is_deeply([$deleted->status, !!stored($deleting)], $begun ? [400, 1] : [204, !!0],
            "DELETE by the creator when $state");
        is($deleted->body, '', "DELETE when $state returns no body") if !$begun;
    }
};

subtest 'Deleting a session deletes its participants' => sub {
    my $with_participant = create()->{id};
    api_as($student, POST => "/api/sessions/$with_participant/join/");
    is_deeply([api_as($teacher, DELETE => "/api/sessions/$with_participant/")->status, seats_taken($with_participant)],
        [204, 0], 'deleting a session deletes its participants');
    is_error(api_as($teacher, GET => "/api/sessions/$with_participant/"), 'flat', 404, 'a deleted session returns 404');
};

my $lister = signup(role => 'instructor');
my $lister_id = user_id($lister);
my @made = map { create(by => $lister, title => "L$_", date => "2040-01-0${_}T00:00:00Z") } 1 .. 7;

subtest 'Lists are ordered by creation, newest first' => sub {
    my $list = api_as($student, GET => '/api/sessions/', query => { creator => $lister_id });
    is_deeply(keys_of($list->json), [qw(count next previous results)], 'keys of a page');
    is_deeply([@{ $list->json }{qw(count next previous)}, map { $_->{title} } @{ $list->json->{results} }],
        [7, undef, undef, map {"L$_"} reverse 1 .. 7], 'all sessions of the creator on one page, newest first');
    is_deeply(keys_of($list->json->{results}[0]), $listed_keys, 'keys of a listed session');
    api_as($student, POST => "/api/sessions/$made[6]{id}/join/");
    my $joined = api_as($student, GET => "/api/sessions/?creator=$lister_id")->json->{results}[0];
    is_deeply([@$joined{qw(participant_count available_spots)}], [1, 3],
        'a listed session counts participants and free seats');
};

subtest 'Lists are paged' => sub {
    my $second = api_as($student, GET => '/api/sessions/',
        query => { creator => $lister_id, page_size => 3, page => 2 });
    is_deeply([map { $_->{title} } @{ $second->json->{results} }], [qw(L4 L3 L2)],
        'the second page continues the first');
    is($second->json->{count}, 7, 'count covers all pages');
    my $base = 'http://127.0.0.1:' . port() . "/api/sessions/?creator=$lister_id";
    is($second->json->{next}, "$base&page_size=3&page=3", 'next is absolute and keeps the other parameters');
    is($second->json->{previous}, "$base&page_size=3", 'previous leads to the first page');
    my ($target) = $second->json->{next} =~ m{(/api/.*)};
    is_deeply([map { $_->{title} } @{ api(GET => $target, token => $student->{token})->json->{results} }], ['L1'],
        'the URL in next returns the next page');
    my $full = api_as($student, GET => '/api/sessions/', query => { creator => $lister_id, page_size => 7 })->json;
    is_deeply([scalar @{ $full->{results} }, $full->{next}], [7, undef], 'a last page that is full has no next');
    is_error(api_as($student, GET => '/api/sessions/', query => { creator => $lister_id, page => 2 }), 'flat', 404,
        'a page beyond the end is not found');
    is_invalid(api_as($student, GET => '/api/sessions/', query => { page => $_ }), 'flat', ['page'],
        "page $_ is rejected") for 'x', 0, -1, 1.5;
    is_invalid(api_as($student, GET => '/api/sessions/', query => { page_size => $_ }), 'flat', ['page_size'],
        "page_size $_ is rejected") for 'x', 0, -1;
    is(api_as($student, GET => '/api/sessions/?creator=0&page=1')->json->{count}, 0,
        'the first page exists even when it is empty');
    sql("INSERT INTO learnhub.tutoring_sessions (title, description, starts_at, max_participants, creator_id)
         SELECT 'many', 'x', now() + interval '1 day', 2, ? FROM generate_series(1, 110)", user_id($teacher));
    is(scalar @{ api_as($student, GET => '/api/sessions/')->json->{results} }, 10, 'page_size defaults to 10');
    is(scalar @{ api_as($student, GET => '/api/sessions/?page_size=500')->json->{results} }, 100,
        'a page_size above 100 means 100');
};

sub titles {
    return [map { $_->{title} } @{ api_as($student, GET => '/api/sessions/',
                query => { creator => $lister_id, @_ })->json->{results} }];
}

subtest 'Lists are filtered by date, status and creator' => sub {
    is_deeply(titles(date_from => '2040-01-06T00:00:00Z'), [qw(L7 L6)], 'date_from is inclusive');
    is_deeply(titles(date_to => '2040-01-02'), [qw(L2 L1)], 'date_to is inclusive; a date without a time is midnight');
    is_deeply(titles(date_from => '2040-01-03T01:00:00+01:00', date_to => '2040-01-04T00:00:00'), [qw(L4 L3)],
        'date_from and date_to combine, with and without an offset');
    api_as($lister, POST => "/api/sessions/$made[0]{id}/cancel/");
    is_deeply(titles(status => 'cancelled'), ['L1'], 'the list is filtered by status');
    is_deeply(titles(status => 'upcoming', date_to => '2040-01-03'), [qw(L3 L2)], 'status and date_to combine');
    is_deeply(titles(status => ''), [map {"L$_"} reverse 1 .. 7], 'an empty filter is ignored');
    is_invalid(api_as($student, GET => '/api/sessions/', query => { status => 'over' }), 'flat', ['status'],
        'an unknown status is rejected');
    is_invalid(api_as($student, GET => '/api/sessions/', query => { $_ => 'soon' }), 'flat', [$_],
        "$_ that cannot be parsed is rejected") for qw(date_from date_to creator);
    is_invalid(api_as($student, GET => '/api/sessions/?status=x&page=0&creator=y'), 'flat', [qw(creator page status)],
        'all invalid parameters are reported at once');
};

subtest "my_sessions, created_sessions and joined_sessions list the caller's sessions" => sub {
    my $member = signup(role => 'instructor');
    my @own = map { create(by => $member, title => "own $_")->{id} } 1, 2;
    api_as($member, POST => "/api/sessions/$made[5]{id}/join/");
    my %expected = (my => [@own[1, 0], $made[5]{id}], created => [@own[1, 0]], joined => [$made[5]{id}]);
    for my $which (sort keys %expected) {
        my $mine = api_as($member, GET => "/api/sessions/${which}_sessions/");
        is_deeply([$mine->json->{count}, map { $_->{id} } @{ $mine->json->{results} }],
            [scalar @{ $expected{$which} }, @{ $expected{$which} }],
            "${which}_sessions returns the caller's sessions, newest first");
        is_deeply(keys_of($mine->json->{results}[0]), $listed_keys, "${which}_sessions: keys of a session");
        my $page = api_as($member, GET => "/api/sessions/${which}_sessions/?page_size=1&page="
                . @{ $expected{$which} });
        is_deeply([map { $_->{id} } @{ $page->json->{results} }], [$expected{$which}[-1]],
            "${which}_sessions is paged");
        is_error(api_as($member, GET => "/api/sessions/${which}_sessions/?page=9"), 'flat', 404,
            "${which}_sessions: a page beyond the end is not found");
    }
};

my @users = map { signup() } 1 .. 40;

subtest 'Concurrent joins never assign a seat twice' => sub {
    my $race = create(max_participants => 8);
    my @statuses = sort map { $_->{status} } parallel(40,
        sub { api_as($users[$_[0]], POST => "/api/sessions/$race->{id}/join/") });
    is_deeply(\@statuses, [(201) x 8, (400) x 32], 'of 40 users who join concurrently, 8 get the 8 seats');
    is_deeply([stored($race->{id})->{participant_count}, seats_taken($race->{id})], [8, 8],
        'the database counts 8 participants after concurrent joins');
    is(api_as($student, GET => "/api/sessions/$race->{id}/")->json->{available_spots}, 0,
        'no seat is left after concurrent joins');
};

subtest 'Concurrent joins of one user succeed once' => sub {
    my $once = create();
    my @replies = parallel(20, sub { api_as($users[0], POST => "/api/sessions/$once->{id}/join/") });
    is_deeply([sort map { $_->{status} } @replies], [201, (400) x 19], 'of 20 requests of one user, one succeeds');
    is(scalar(grep { $_->{status} == 400 && $_->{json}{error} =~ /already/ } @replies), 19,
        'the other 19 get "already joined"');
};

subtest 'Concurrent joins, leaves and changes of the seats keep participant_count correct' => sub {
    my $storm = create(max_participants => 5);
    parallel 12, sub {
        my ($i) = @_;
        for (1 .. 6) {
            api_as($users[$i], POST => "/api/sessions/$storm->{id}/" . ($_ % 2 ? 'join/' : 'leave/'));
            api_as($teacher, PATCH => "/api/sessions/$storm->{id}/", json => { max_participants => 2 + ($i + $_) % 8 })
                if $i % 4 == 0;
        }
        return 1;
    };
    my $after = stored($storm->{id});
    is($after->{participant_count}, seats_taken($storm->{id}), 'participant_count equals the number of participants');
    cmp_ok($after->{participant_count}, '<=', $after->{max_participants},
        'there are never more participants than seats');
};

subtest 'Concurrent starts and cancellations leave the session cancelled' => sub {
    for (1 .. 3) {
        my $id = create()->{id};
        my @ends = sort map { $_->{status} } parallel(8,
            sub { api_as($teacher, POST => "/api/sessions/$id/" . ($_[0] % 2 ? 'start/' : 'cancel/')) });
        ok(@ends == 8 && (grep { $_ == 200 } @ends) <= 2 && stored($id)->{status} eq 'cancelled',
            'concurrent starts and cancellations: the session is cancelled')
            || diag("@ends, " . stored($id)->{status});
    }
};

done_testing();

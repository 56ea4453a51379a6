# SPDX-License-Identifier: Apache-2.0
# The xp API: goals, activities, sessions and the ledger; every error; registrations and completions in any order.
use strict;
use warnings;
use utf8;

use LearnHub::Test;

my $uuid = qr/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
my $time = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
my $unknown_id = '00000000-0000-4000-8000-000000000000';
my @parts = map {"xp_$_"} qw(physique energy logic creativity social);
my @numbers = (qw(total_duration_seconds focused_duration_seconds xp_total), @parts);

my ($ada, $bob) = map { signup() } 1 .. 2;
my ($worker, $admin) = map { signup(role => $_) } qw(service admin);
my %account = map { $_->{email} => user($_->{email}) } $ada, $bob, $worker, $admin;

# The row of a user.
sub account { my ($user) = @_; return $account{ $user->{email} } ||= user($user->{email}) }

# The body of a reply; dies unless it has the status (201 by default).
sub json_of {
    my ($reply, $status) = @_;
    $reply->status == ($status || 201) or die $reply->summary;
    return $reply->json;
}

sub goal {
    my ($user, %over) = @_;
    return json_of(api_as($user, POST => '/api/v1/goals/', json => { title => 'Draw', %over }));
}

my $drawing = json_of(api_as($ada, GET => '/api/v1/activities/?q=drawing'), 200)->{results}[0];

# The body that registers a session of a user.
sub registration {
    my ($user, %over) = @_;
    return { session_id => unique('j57'), user_id => account($user)->{uuid}, activity_id => $drawing->{id},
        status => 'active', started_at => '2025-01-15T10:30:00Z', device_platform => 'web', %over,
        goal_id => $over{goal_id} || goal($user)->{id} };
}

# The body that completes a session.
sub completion {
    return { status => 'completed', ended_at => '2025-01-15T12:00:00Z', total_duration_seconds => 3600,
        focused_duration_seconds => 3200, xp_total => 28000, xp_physique => 16000, xp_energy => 3200, xp_logic => 0,
        xp_creativity => 8000, xp_social => 800, completed_reason => 'manual', device_platform => 'web', @_ };
}

sub complete {
    my ($user, $id, %over) = @_;
    return api_as($user, PUT => "/api/v1/sessions/$id/", json => completion(%over));
}

# A copy of a body without some of its keys.
sub without { my ($body, @keys) = @_; my %rest = %$body; delete @rest{@keys}; return \%rest }

# A session in the database.
sub stored { my ($id) = @_; return (sql('SELECT * FROM learnhub.xp_sessions WHERE id = ?', $id))[0] }

# The entries of a session in the ledger.
sub ledger { my ($id) = @_; return sql('SELECT * FROM learnhub.xp_ledger WHERE session_id = ?', $id) }

sub xp { my ($user) = @_; return json_of(api_as($user, GET => '/api/v1/users/me/xp/'), 200) }

my @routes = ([POST => '/api/v1/sessions/calculate-rates/'], [POST => '/api/v1/sessions/'],
    [GET => '/api/v1/sessions/x/'], [PUT => '/api/v1/sessions/x/'], [GET => '/api/v1/goals/'],
    [POST => '/api/v1/goals/'], [GET => "/api/v1/goals/$unknown_id/"], [PATCH => "/api/v1/goals/$unknown_id/"],
    [GET => "/api/v1/goals/$unknown_id/sessions/"], [GET => '/api/v1/activities/'], [POST => '/api/v1/activities/'],
    [GET => "/api/v1/activities/$unknown_id/"], [PATCH => "/api/v1/activities/$unknown_id/"],
    [GET => '/api/v1/users/me/xp/']);

subtest 'Every route requires a token' => sub {
    is_error(api($_->[0] => $_->[1]), 'detail', 401, "$_->[0] $_->[1] without a token is rejected") for @routes;
};

subtest 'Unknown ids and paths return 404' => sub {
    is_error(api_as($admin, GET => '/api/v1/sessions/x/'), 'detail', 404, 'an unknown session is not found');
    for my $id ($unknown_id, 'abc', '5', '%C3%28') {
        is_error(api_as($admin, $_->[0], $_->[1] =~ s/\Q$unknown_id/$id/r, json => { title => 'T', name => 'N' }),
            'detail', 404, "$_->[0] $_->[1] with the id $id is not found")
            for grep { $_->[1] =~ /\Q$unknown_id/ } @routes;
    }
    is_error(api_as($ada, GET => '/api/v1/nothing/'), 'detail', 404, 'an unknown path is not found');
};

my $full = { title => '  Drawing Mandalorian ', emoji => '🎨', category => { name => 'Drawing', color => '#4187A2' },
    days_total => 30, status => 'paused', user => $unknown_id, days_completed => 12, id => $unknown_id,
    description => "Line by line\n", finish_by => '2026-03-01', created_at => '2020-01-01T00:00:00Z', updated_at => 5 };

my ($goal, $goal_id);

subtest 'A user creates a goal' => sub {
    $goal = json_of(api_as($ada, POST => '/api/v1/goals/', json => $full));
    $goal_id = delete $goal->{id};
    like($goal_id, $uuid, 'the id of a goal is a UUID');
    like($goal->{created_at}, $time, 'created_at is a UTC time');
    is($goal->{updated_at}, $goal->{created_at}, 'updated_at of a new goal is created_at');
    is_deeply($goal, { title => 'Drawing Mandalorian', emoji => '🎨',
            category => { name => 'Drawing', color => '#4187A2' }, user => account($ada)->{uuid}, status => 'paused',
            days_total => 30, days_completed => 0, description => "Line by line\n", finish_by => '2026-03-01',
            map { $_ => $goal->{$_} } qw(created_at updated_at) },
        'all keys of a goal; the title is trimmed, read-only fields are ignored');
    is_deeply(json_of(api_as($ada, GET => "/api/v1/goals/$goal_id/"), 200), { %$goal, id => $goal_id },
        'GET returns the goal');
    is_deeply(json_of(api_as($ada, GET => "/api/v1/goals/$goal_id"), 200), { %$goal, id => $goal_id },
        'GET works without the trailing slash');
    my $plain = goal($ada);
    is($plain->{status}, 'active', 'a goal is active by default');
    is_deeply([@$plain{qw(description finish_by)}], ['', undef], 'it has no description and no date by default');
    like($plain->{category}{color}, qr/^#[0-9a-f]{6}$/, 'a goal has a colour by default');
    is_deeply(goal($ada, category => { name => 'Art' })->{category}, { %{ $plain->{category} }, name => 'Art' },
        'a category without a colour gets the default one');
};

subtest 'A goal is private to its user' => sub {
    is_error(api_as($_, GET => "/api/v1/goals/$goal_id/"), 'detail', 404,
        "GET of another user's goal is not found, for admins and services too") for $bob, $admin, $worker;
    is_error(api_as($bob, PATCH => "/api/v1/goals/$goal_id/", json => { title => 'Mine' }), 'detail', 404,
        "PATCH of another user's goal is not found");
    is_error(api_as($bob, GET => "/api/v1/goals/$goal_id/sessions/"), 'detail', 404,
        "the history of another user's goal is not found");
};

subtest 'PATCH changes a goal' => sub {
    my $patched = json_of(api_as($ada, PATCH => "/api/v1/goals/$goal_id/",
            json => { status => 'completed', category => { color => '#000000' } }), 200);
    is_deeply($patched, { %$goal, id => $goal_id, status => 'completed', updated_at => $patched->{updated_at},
            category => { name => 'Drawing', color => '#000000' } },
        'PATCH changes the fields sent and keeps the others');
    is_deeply(json_of(api_as($ada, PATCH => "/api/v1/goals/$goal_id/", json => {}), 200), $patched,
        'PATCH with an empty object changes nothing');
};

# When a goal was last changed, with all digits.
sub last_change { return (sql('SELECT updated_at FROM learnhub.goals WHERE id = ?', $goal_id))[0]{updated_at} }

subtest 'updated_at moves when a field changes' => sub {
    my $path = "/api/v1/goals/$goal_id/";
    json_of(api_as($ada, PATCH => $path, json => { title => 'Old', status => 'active' }), 200);
    for my $change ({ title => 'New' }, { emoji => 'x' }, { category => { name => 'New' } }, { days_total => 31 },
        { status => 'ongoing' }, { description => 'New' }, { finish_by => '2027-01-01' }) {
        my $before = last_change();
        json_of(api_as($ada, PATCH => $path, json => $change), 200);
        my $after = last_change();
        cmp_ok($after, 'gt', $before, "a change of @{[ keys %$change ]} moves it");
        json_of(api_as($ada, PATCH => $path, json => $change), 200);
        is(last_change(), $after, 'the same change again does not');
    }
    sql("UPDATE learnhub.goals SET created_at = '2025-01-01T10:00:00Z', title = 'Older' WHERE id = ?", $goal_id);
    my $seen = json_of(api_as($ada, GET => $path), 200);
    is($seen->{created_at}, '2025-01-01T10:00:00Z', 'created_at is when the goal was created');
    like($seen->{updated_at}, $time, 'updated_at is a UTC time');
    cmp_ok($seen->{updated_at}, 'gt', $seen->{created_at}, 'updated_at is later');
};

subtest 'A goal may have a description and a date' => sub {
    my $path = "/api/v1/goals/$goal_id/";
    my $today = (sql("SELECT timezone('UTC', now())::date AS today"))[0]{today};
    my @cases = (['2026-12-31', '2026-12-31'], ['2026-12-31T23:30:00-01:00', '2027-01-01'], ['', undef],
        ['2026-12-31 10:00', '2026-12-31'], [undef, undef],
        map { [$_->[0], (sql("SELECT (?::date + ?::interval)::date::text AS day", $today, $_->[1]))[0]{day}] }
            ['1w', '7 days'], ['2w', '14 days'], ['1m', '1 month'], ['6m', '6 months']);
    for my $case (@cases) {
        my ($sent, $expected) = @$case;
        is(json_of(api_as($ada, PATCH => $path, json => { finish_by => $sent }), 200)->{finish_by}, $expected,
            'PATCH with finish_by ' . ($sent // 'null'));
        is(goal($ada, finish_by => $sent)->{finish_by}, $expected, 'POST with finish_by ' . ($sent // 'null'));
    }
    json_of(api_as($ada, PATCH => $path, json => { finish_by => '2026-12-31', description => 'D' }), 200);
    is_deeply([@{ json_of(api_as($ada, PATCH => $path, json => { title => 'T' }), 200) }{qw(finish_by description)}],
        ['2026-12-31', 'D'], 'PATCH keeps what is not sent');
    for my $case (['x' x 2000, 'x' x 2000], ['', ''], ['D', 'D'], [undef, '']) {
        my ($sent, $expected) = @$case;
        is(json_of(api_as($ada, PATCH => $path, json => { description => $sent }), 200)->{description}, $expected,
            'PATCH with the description ' . substr($sent // 'null', 0, 5));
        is(goal($ada, description => $sent)->{description}, $expected, 'POST with it');
    }
};

subtest 'POST and PATCH validate every field of a goal' => sub {
    my @wrong_goals = ([{ title => '' }, 'title'], [{ title => 'x' x 201 }, 'title'], [{ title => 5 }, 'title'],
        [{ emoji => 'x' x 17 }, 'emoji'], [{ category => { name => 5 } }, 'category.name'],
        [{ category => { name => 'x' x 101 } }, 'category.name'], [{ days_total => 0 }, 'days_total'],
        [{ days_total => '30' }, 'days_total'], [{ days_total => 1.5 }, 'days_total'], [{ status => 'done' }, 'status'],
        [{ category => 'Drawing' }, 'category'], [{ title => undef }, 'title'], [{ status => 'Ongoing' }, 'status'],
        [{ status => undef }, 'status'], [{ description => 'x' x 2001 }, 'description'],
        [{ description => 5 }, 'description'], [{ finish_by => 'soon' }, 'finish_by'],
        [{ finish_by => '2026-02-29' }, 'finish_by'], [{ finish_by => '3w' }, 'finish_by'],
        [{ finish_by => 20260301 }, 'finish_by'],
        map { [{ category => { color => $_ } }, 'category.color'] } '4187a2', '#4187a', '#4187a2f', '#4187ag', 'red', 5,
        undef);
    for my $case (@wrong_goals) {
        my ($fields, @wrong) = @$case;
        is_invalid(api_as($ada, POST => '/api/v1/goals/', json => { title => 'T', %$fields }), 'detail', \@wrong,
            "POST rejects an invalid @wrong");
        is_invalid(api_as($ada, PATCH => "/api/v1/goals/$goal_id/", json => $fields), 'detail', \@wrong,
            "PATCH rejects an invalid @wrong");
    }
    is_invalid(api_as($ada, POST => '/api/v1/goals/', json => {}), 'detail', ['title'], 'title is required');
};

subtest 'Goals are listed newest first, paged and filtered by status' => sub {
    my $lister = signup();
    my @goals = map { goal($lister, title => "G$_", status => $_ % 2 ? 'active' : 'completed')->{id} } 1 .. 12;
    my $page = json_of(api_as($lister, GET => '/api/v1/goals/'), 200);
    is_deeply(keys_of($page), [qw(count next previous results)], 'keys of a page');
    is_deeply([$page->{count}, map { $_->{id} } @{ $page->{results} }], [12, reverse @goals[2 .. 11]],
        "the first page has the ten newest of the caller's goals");
    like($page->{next}, qr{/api/v1/goals/\?page=2$}, 'next leads to the second page');
    is_deeply([map { $_->{id} } @{ json_of(api_as($lister, GET => '/api/v1/goals/?page=2'), 200)->{results} }],
        [reverse @goals[0, 1]], 'the second page has the oldest goals');
    is(json_of(api_as($lister, GET => '/api/v1/goals/?status=completed'), 200)->{count}, 6,
        'the list is filtered by status');
    is_invalid(api_as($lister, GET => '/api/v1/goals/?status=done'), 'detail', ['status'],
        'an unknown status is rejected');
    my %id = map { $_ => goal($lister, status => $_)->{id} } qw(ongoing planned paused abandoned);
    my $listed = sub {
        my ($status) = @_;
        return json_of(api_as($lister, GET => "/api/v1/goals/?status=$status&page_size=100"), 200);
    };
    is_deeply([map { [$_->{id}, $_->{status}] } @{ $listed->($_)->{results} }], [[$id{$_}, $_]],
        "the list is filtered by $_") for qw(planned paused abandoned);
    for my $status (qw(active ongoing)) {
        my $found = $listed->($status);
        is_deeply([$found->{count}, map {"$_->{id} $_->{status}"} @{ $found->{results} }],
            [7, "$id{ongoing} ongoing", map {"$goals[$_] active"} 10, 8, 6, 4, 2, 0],
            "$status lists active and ongoing goals, each with the word that was sent");
    }
    is_error(api_as($lister, GET => '/api/v1/goals/?page=3'), 'detail', 404, 'a page beyond the end is not found');
};

subtest 'The schema contains a catalogue of activities' => sub {
    my $catalogue = json_of(api_as($ada, GET => '/api/v1/activities/?page_size=100'), 200);
    cmp_ok($catalogue->{count}, '>=', 60, 'the catalogue has at least 60 activities');
    for my $activity (@{ $catalogue->{results} }) {
        is_deeply(keys_of($activity), [qw(activity_type category color emoji id name)],
            "keys of the activity $activity->{name}");
        ok($activity->{id} =~ $uuid && length $activity->{emoji} && $activity->{category} =~ /\S/
                && $activity->{color} =~ /^#[0-9a-f]{6}$/
                && $activity->{activity_type} =~ /^(?:physique|energy|logic|creativity|social)$/,
            "id, emoji, category, color and type of the activity $activity->{name}");
    }
    is_deeply([map { lc $_->{name} } @{ $catalogue->{results} }],
        [sort map { lc $_->{name} } @{ $catalogue->{results} }], 'activities are ordered by name');
    is_deeply(json_of(api_as($bob, GET => "/api/v1/activities/$drawing->{id}/"), 200), $drawing,
        'GET returns an activity');
    is_deeply([@$drawing{qw(name emoji category color activity_type)}],
        ['Drawing', '🎨', 'Creativity', '#4187a2', 'creativity'],
        'the catalogue has the activity Drawing');
    my $music = json_of(api_as($ada, GET => '/api/v1/activities/', query => { category => 'MUSIC', page_size => 100 }),
        200);
    ok($music->{count} && !grep({ $_->{category} ne 'Music' } @{ $music->{results} }),
        'the list is filtered by category without regard to case');
};

my (%rates, $kite, $flown);

subtest 'Admins maintain activities' => sub {
    %rates = (physique => 0.25, energy => 1, logic => 100, creativity => 0, social => 12.5);
    $kite = { name => ' Kite flying ', emoji => '🪁', category => 'Outdoors', color => '#00aaFF' };
    is_error(api_as($_, POST => '/api/v1/activities/', json => $kite), 'detail', 403, 'only admins create activities')
        for $ada, $worker;
    is_error(api_as($_, PATCH => "/api/v1/activities/$drawing->{id}/", json => { name => 'Mine' }), 'detail', 403,
        'only admins change activities') for $ada, $worker;
    $flown = json_of(api_as($admin, POST => '/api/v1/activities/', json => $kite));
    is_deeply($flown,
        { %$kite, name => 'Kite flying', (map { $_ => $flown->{$_} } qw(id activity_type)), rates => undef },
        'an activity is created with a trimmed name and without rates');
    my $rated = json_of(api_as($admin, PATCH => "/api/v1/activities/$flown->{id}/",
            json => { rates => \%rates, emoji => '🌬️' }), 200);
    my $type = (sort { $rates{$b} <=> $rates{$a} } keys %rates)[0];
    is_deeply($rated, { %$flown, emoji => '🌬️', activity_type => $type, rates => \%rates },
        'PATCH sets the rates of an activity');
    is_deeply(json_of(api_as($admin, PATCH => "/api/v1/activities/$flown->{id}/",
                json => { rates => { logic => 99.99 } }), 200)->{rates}, { %rates, logic => 99.99 },
        'PATCH of one rate keeps the others');
    is_deeply(keys_of(json_of(api_as($ada, GET => "/api/v1/activities/$flown->{id}/"), 200)),
        [qw(activity_type category color emoji id name)], 'users see no rates');
};

subtest 'Rates are five numbers from 0 to 100 with two decimals' => sub {
    for my $value (-0.01, 100.01, 101, 0.125, 1e-5, 1e20, '0.5', true, undef, [1], {}) {
        is_invalid(api_as($admin, POST => '/api/v1/activities/',
                json => { %$kite, rates => { %rates, social => $value } }), 'detail', ['rates.social'],
            'rates.social is rejected: ' . JSON::XS->new->allow_nonref->encode($value));
    }
    for my $value (0, 0.01, 0.1, 0.29, 33.33, 99.99, 100) {
        is(json_of(api_as($admin, POST => '/api/v1/activities/',
                    json => { %$kite, rates => { %rates, social => $value } }))->{rates}{social}, $value,
            "the rate $value is kept exactly");
    }
    is_invalid(api_as($admin, POST => '/api/v1/activities/', json => { %$kite, rates => { logic => 1 } }), 'detail',
        ['rates'], 'rates need all five numbers');
    is_invalid(api_as($admin, POST => '/api/v1/activities/', json => { %$kite, rates => 5 }), 'detail', ['rates'],
        'rates must be an object');
};

subtest 'POST and PATCH validate every field of an activity' => sub {
    for my $case ([name => ''], [name => 'x' x 101], [category => ''], [color => 'blue'], [emoji => 5]) {
        is_invalid(api_as($admin, POST => '/api/v1/activities/', json => { %$kite, @$case }), 'detail', [$case->[0]],
            "POST rejects an invalid $case->[0]");
        is_invalid(api_as($admin, PATCH => "/api/v1/activities/$flown->{id}/", json => {@$case}), 'detail',
            [$case->[0]], "PATCH rejects an invalid $case->[0]");
    }
};

my $first = registration($ada);
my $id = $first->{session_id};

subtest 'A session is registered once' => sub {
    my $registered = api_as($ada, POST => '/api/v1/sessions/', json => $first);
    is_deeply([$registered->status, $registered->json], [201, { id => $id, status => 'active' }],
        'a new session is registered with 201');
    my $again = api_as($ada, POST => '/api/v1/sessions/',
        json => { %$first, goal_id => goal($ada)->{id}, started_at => '2025-01-15T11:00:00Z',
            device_platform => 'ios' });
    is_deeply([$again->status, $again->json], [200, { id => $id, status => 'active' }],
        'a repeated registration returns 200 and the session');
    is_deeply([@{ stored($id) }{qw(goal_id device_platform)}], [$first->{goal_id}, 'web'],
        'a repeated registration changes nothing');
};

subtest 'A session is read by its user, services and admins' => sub {
    my $seen = json_of(api_as($ada, GET => "/api/v1/sessions/$id/"), 200);
    is_deeply($seen, { id => $id, status => 'active', user => account($ada)->{uuid}, goal_id => $first->{goal_id},
            device_platform => 'web', started_at => '2025-01-15T10:30:00Z', ended_at => undef,
            completed_reason => undef, total_duration_seconds => undef, focused_duration_seconds => undef,
            map({ $_ => 0 } 'xp_total', @parts),
            activity => { type => 'creativity', map { $_ => $drawing->{$_} } qw(id name emoji) } },
        'a registered session has no XP, no end, and id, name, emoji and type of the activity');
    is_deeply(json_of(api_as($_, GET => "/api/v1/sessions/$id/"), 200), $seen, 'services and admins read the session')
        for $worker, $admin;
    is_error(api_as($bob, GET => "/api/v1/sessions/$id/"), 'detail', 404, "another user's session is not found");
    is_deeply([ledger($id)], [], 'an active session has no entry in the ledger');
};

my $bob_account = account($bob);
my $hex = unpack 'H*', $bob_account->{object_id};

subtest 'user_id names the user by id, UUID or ObjectId' => sub {
    my ($bob_id, $bob_uuid) = @$bob_account{qw(id uuid)};
    for my $shown ($bob_id + 0, "$bob_id", $bob_uuid, uc $bob_uuid, $hex, uc $hex) {
        for my $user ($bob, $worker, $admin) {
            my $body = registration($bob, user_id => $shown);
            json_of(api_as($user, POST => '/api/v1/sessions/', json => $body));
            is(stored($body->{session_id})->{user_id}, $bob_account->{id}, "user_id $shown is recognized");
        }
        is_error(api_as($ada, POST => '/api/v1/sessions/', json => registration($ada, user_id => $shown)), 'detail',
            403, 'a user cannot register a session of another user');
    }
    my $unnamed = without(registration($ada), 'user_id');
    json_of(api_as($ada, POST => '/api/v1/sessions/', json => $unnamed));
    is(stored($unnamed->{session_id})->{user_id}, account($ada)->{id}, 'user_id defaults to the caller');
    is_invalid(api_as($worker, POST => '/api/v1/sessions/', json => without(registration($ada), 'user_id')), 'detail',
        ['user_id'], 'a service must send user_id');
    is_invalid(api_as($_, POST => '/api/v1/sessions/', json => registration($ada, user_id => $unknown_id)), 'detail',
        ['user_id'], 'services and admins must name an existing user') for $worker, $admin;
    is_error(api_as($ada, POST => '/api/v1/sessions/', json => registration($ada, user_id => $_)), 'detail', 403,
        "a user_id that is not the caller's is rejected for users")
        for $unknown_id, '999999999999', 'nobody', '7' x 24;
};

subtest 'A session id belongs to one user' => sub {
    is_error(api_as($bob, POST => '/api/v1/sessions/', json => registration($bob, session_id => $id)), 'detail', 409,
        'an id that belongs to another user is rejected');
    is_error(api_as($worker, POST => '/api/v1/sessions/', json => registration($bob, session_id => $id)), 'detail', 409,
        'a service cannot register the id for another user');
    is(stored($id)->{user_id}, account($ada)->{id}, 'the session stays with its user');
};

subtest 'Registration validates every field' => sub {
    is_invalid(api_as($ada, POST => '/api/v1/sessions/', json => registration($ada, goal_id => $_)), 'detail',
        ['goal_id'], 'goal_id must be a goal of the user')
        for $unknown_id, goal($bob)->{id}, 'g', 5;
    is_invalid(api_as($ada, POST => '/api/v1/sessions/', json => registration($ada, activity_id => $_)), 'detail',
        ['activity_id'], 'activity_id must be an existing activity')
        for $unknown_id, 'a', undef;
    is_invalid(api_as($ada, POST => '/api/v1/sessions/',
            json => registration($ada, goal_id => $unknown_id, activity_id => $unknown_id)), 'detail',
        [qw(activity_id goal_id)], 'an unknown goal and an unknown activity are reported together');
    is_invalid(api_as($worker, POST => '/api/v1/sessions/', json => registration($ada, goal_id => goal($bob)->{id})),
        'detail', ['goal_id'], 'goal_id must be a goal of the named user, not of any user');
    is_invalid(api_as($ada, POST => '/api/v1/sessions/', json => {}), 'detail',
        [qw(activity_id session_id started_at)], 'session_id, activity_id and started_at are required');
    is_invalid(api_as($ada, POST => '/api/v1/sessions/', json => registration($ada, session_id => $_)), 'detail',
        ['session_id'], 'session_id is rejected: ' . JSON::XS->new->allow_nonref->ascii->encode($_))
        for '', 'x' x 256, 'a/b', "a\nb", "a\x{7f}b", "a\x{85}b", '.', '..', 'calculate-rates', 5, undef;
    is_invalid(api_as($ada, POST => '/api/v1/sessions/',
            json => registration($ada, session_id => $_, started_at => 'now')), 'detail', [qw(session_id started_at)],
        'an invalid session_id is reported together with an invalid started_at') for 'a/b', "a\tb", "a\x{9f}b";
    for my $case ([status => 'completed'], [started_at => 'now'], [started_at => undef], [device_platform => 'x' x 51],
        [device_platform => 5]) {
        is_invalid(api_as($ada, POST => '/api/v1/sessions/', json => registration($ada, @$case)), 'detail',
            [$case->[0]], "an invalid $case->[0] is rejected");
    }
};

subtest 'Registration accepts goal and activity for goal_id and activity_id' => sub {
    my $body = without(registration($ada), qw(goal_id activity_id));
    my $mine = goal($ada)->{id};
    my $register = sub {
        my %fields = @_;
        return api_as($ada, POST => '/api/v1/sessions/', json => { %$body, session_id => unique('other'), %fields });
    };
    for my $case ([goal => $mine, activity => $drawing->{id}], [goal_id => $mine, activity => $drawing->{id}],
        [goal => $mine, goal_id => uc $mine, activity => $drawing->{id}, activity_id => $drawing->{id}],
        [goal => $mine, goal_id => undef, activity_id => $drawing->{id}]) {
        my $made = stored(json_of($register->(@$case))->{id});
        is_deeply([@$made{qw(goal_id activity_id)}], [$mine, $drawing->{id}], "@{[ map { $_ // 'null' } @$case ]}");
    }
    is_invalid($register->(goal => goal($ada)->{id}, goal_id => $mine, activity => $drawing->{id},
            activity_id => $unknown_id), 'detail', [qw(activity_id goal_id)], 'two different values are rejected');
    is_invalid($register->(goal => $_->[0], activity => $_->[1]), 'detail', $_->[2], "rejected: @$_[0, 1]")
        for ['g', 'a', [qw(activity_id goal_id)]], [$unknown_id, $unknown_id, [qw(activity_id goal_id)]],
        [goal($bob)->{id}, $drawing->{id}, ['goal_id']], [5, $drawing->{id}, ['goal_id']];
    is_invalid($register->(goal => $mine), 'detail', ['activity_id'], 'an activity is required');
};

subtest 'A session may have no goal until a later registration names one' => sub {
    my $body = without(registration($ada), 'goal_id');
    my ($free, $mine) = ($body->{session_id}, goal($ada)->{id});
    my $path = "/api/v1/sessions/$free/";
    my $history = sub { json_of(api_as($ada, GET => "/api/v1/goals/$mine/sessions/"), 200)->{results} };
    json_of(api_as($ada, POST => '/api/v1/sessions/', json => $body));
    is(json_of(api_as($ada, GET => $path), 200)->{goal_id}, undef, 'a session without a goal');
    json_of(complete($ada, $free), 200);
    is_deeply([json_of(api_as($ada, GET => $path), 200)->{goal_id}, scalar ledger($free), $history->()],
        [undef, 1, []], 'it is completed and earns points, and no goal has it in its history');
    is_invalid(api_as($ada, POST => '/api/v1/sessions/', json => { %$body, goal_id => goal($bob)->{id} }), 'detail',
        ['goal_id'], "another user's goal cannot be filled in");
    for my $case ([undef, undef], [$mine, $mine], [goal($ada)->{id}, $mine], [undef, $mine]) {
        my ($sent, $kept) = @$case;
        json_of(api_as($ada, POST => '/api/v1/sessions/', json => { %$body, goal_id => $sent }), 200);
        is(stored($free)->{goal_id}, $kept, 'the first goal that a later registration names is kept');
    }
    is_deeply([map { $_->{id} } @{ $history->() }], [$free], 'then the goal has it in its history');
};

subtest 'The type of an activity is the dimension in which it earns most' => sub {
    my %new = (name => 'Zwrth', category => 'Vvv');
    my $type = sub {
        my ($activity) = @_;
        my $body = registration($ada, activity_id => $activity);
        json_of(api_as($ada, POST => '/api/v1/sessions/', json => $body));
        return json_of(api_as($ada, GET => "/api/v1/sessions/$body->{session_id}/"), 200)->{activity}{type};
    };
    my $made = json_of(api_as($admin, POST => '/api/v1/activities/', json => { %new, rates => \%rates }))->{id};
    is($type->($made), 'logic', 'of its own rates');
    for my $dimension (qw(physique energy logic creativity social)) {
        json_of(api_as($admin, PATCH => "/api/v1/activities/$made/",
                json => { rates => { (map { $_ => 1 } keys %rates), $dimension => 2 } }), 200);
        is($type->($made), $dimension, "changed rates: $dimension");
    }
    json_of(api_as($admin, PATCH => "/api/v1/activities/$made/", json => { rates => { map { $_ => 1 } keys %rates } }),
        200);
    is($type->($made), 'physique', 'of equal rates the first dimension');
    my $named = json_of(api_as($admin, POST => '/api/v1/activities/', json => \%new))->{id};
    for my $case (['Running', 'physique'], ['Sketchbook', 'creativity'], ['Sudokus', 'logic'], ['Zwrth', 'energy']) {
        json_of(api_as($admin, PATCH => "/api/v1/activities/$named/", json => { name => $case->[0] }), 200);
        is($type->($named), $case->[1], "without rates of its own, of the built-in rates: $case->[0]");
    }
    my $profile = unique('profile');
    my $types = sub { return [map { $type->($_) } $named, $made] };
    for my $case (
        ['added', q{INSERT INTO learnhub.rates_profiles VALUES (?, 'zwrth', '(0, 0, 0, 0, 9)')}, 'social'],
        ['changed', q{UPDATE learnhub.rates_profiles SET rates = '(0, 0, 9, 0, 0)' WHERE name = ?}, 'logic'],
        ['deleted', 'DELETE FROM learnhub.rates_profiles WHERE name = ?', 'energy']) {
        my ($change, $statement, $expected) = @$case;
        sql($statement, $profile);
        is_deeply($types->(), [$expected, 'physique'], "the type follows a profile that is $change, not own rates");
    }
    my $create = sub {
        my $added = q{SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND objid::bigint = 4401};
        eventually(sub { (sql($added))[0]{n} });
        return json_of(api_as($admin, POST => '/api/v1/activities/', json => { %new, name => $profile }))->{id};
    };
    my $add = sub {
        sql('BEGIN');
        sql(q{INSERT INTO learnhub.rates_profiles VALUES (?, '', '(0, 0, 0, 0, 9)')}, $profile);
        sql('SELECT pg_advisory_xact_lock(4401)'); # seen by $create
        my $waited = eventually(sub { (sql('SELECT count(*) AS n FROM pg_locks WHERE NOT granted'))[0]{n} });
        sql('COMMIT');
        return $waited;
    };
    my ($waited, $created) = parallel(2, sub { return $_[0] ? $create->() : $add->() });
    ok($waited, 'an activity that is created while a profile is added waits');
    is($type->($created), 'social', 'then its type has the profile');
    sql('DELETE FROM learnhub.rates_profiles WHERE name = ?', $profile);
    my ($untyped) = sql("SELECT count(*) AS n FROM learnhub.activities WHERE type IS NULL");
    is($untyped->{n}, 0, 'every activity of the catalogue has a type');
};

subtest 'A session id may have any printable characters but a slash' => sub {
    for my $odd ('x' x 255, ' a b ', 'ü%?&=#;+', "\x{1f3a8}", '..a', 'a:b') {
        my $body = registration($ada, session_id => $odd . unique(''));
        $body->{session_id} = $odd if length $odd > 200;
        is(json_of(api_as($ada, POST => '/api/v1/sessions/', json => $body))->{id}, $body->{session_id},
            'the id is accepted in a registration');
        my $path = URI::Escape::uri_escape_utf8($body->{session_id});
        is(json_of(complete($ada, $path), 200)->{id}, $body->{session_id},
            'the percent-encoded id is accepted in the path of PUT');
        is(json_of(api_as($ada, GET => "/api/v1/sessions/$path/"), 200)->{id}, $body->{session_id},
            'the percent-encoded id is accepted in the path of GET');
    }
};

subtest 'A session is completed, and the ledger has one entry for it' => sub {
    my $completed = complete($ada, $id);
    is_deeply([$completed->status, $completed->json], [200, { id => $id, status => 'completed', xp_total => 28000 }],
        'PUT completes the session');
    my $all = completion();
    is_deeply([@{ stored($id) }{@numbers}], [@$all{@numbers}], 'integers are stored as sent');
    is_deeply([map { [@$_{ 'xp_total', @parts }] } ledger($id)], [[@$all{ 'xp_total', @parts }]],
        'the ledger has one entry with the XP sent');
    my $before = xp($ada);
    is_deeply([complete($ada, $id)->json, xp($ada)], [$completed->json, $before], 'a repeated PUT changes nothing');
    is(json_of(complete($ada, $id, xp_total => 5, xp_logic => 7, status => 'abandoned', completed_reason => 'timeout'),
            200)->{status}, 'abandoned', 'a corrected PUT replaces the status');
    is_deeply([map { [@$_{qw(xp_total xp_logic xp_physique)}] } ledger($id)], [[5, 7, 16000]],
        'a corrected PUT replaces the entry in the ledger');
    is_deeply([api_as($ada, POST => '/api/v1/sessions/', json => $first)->json, stored($id)->{status}],
        [{ id => $id, status => 'abandoned' }, 'abandoned'], 'a repeated registration does not undo the completion');
};

subtest 'A session is completed by its user, services and admins' => sub {
    is_error(complete($bob, $id), 'detail', 404, qr/not found/, "another user's session is not found");
    is_error(complete($ada, $id, user_id => $bob_account->{id}), 'detail', 403,
        'a user cannot complete a session for another user');
    is_error(complete($_, $id, user_id => $bob_account->{id}), 'detail', 409,
        'services and admins cannot move a session to another user') for $worker, $admin;
    is(stored($id)->{xp_total}, 5, 'rejected completions do not change the XP');
    is(json_of(complete($_, $id, xp_total => $account{ $_->{email} }{id}), 200)->{xp_total}, stored($id)->{xp_total},
        'services and admins complete the session') for $worker, $admin;
    is(stored($id)->{user_id}, account($ada)->{id}, 'the session stays with its user');
};

subtest 'Completion validates every field' => sub {
    for my $reason (qw(manual auto abandoned timeout crash_recovered)) {
        json_of(complete($ada, $id, completed_reason => $reason), 200);
        is(stored($id)->{completed_reason}, $reason, "completed_reason may be $reason");
    }
    is(json_of(complete($ada, $id, xp_total => 2147483647), 200)->{xp_total}, 2147483647,
        'xp_total may be the largest 32-bit integer');
    for my $field (@numbers) {
        is_invalid(complete($ada, $id, $field => $_), 'detail', [$field],
            "$field must be an integer from 0 to 2147483647, not " . ($_ // 'null'))
            for -1, 1.5, '5', 2147483648, 1e300, undef, true;
        is(json_of(complete($ada, $id, $field => 0), 200)->{id}, $id, "$field may be 0");
    }
    for my $case ([status => 'active'], [status => 'done'], [status => undef], [completed_reason => 'bored'],
        [completed_reason => ''], [ended_at => 'later'], [ended_at => 5], [ended_at => '2025-01-15T10:29:59Z'],
        [device_platform => []]) {
        is_invalid(complete($ada, $id, @$case), 'detail', [$case->[0]],
            "$case->[0] is rejected: " . ($case->[1] // 'null'));
    }
    is(json_of(complete($ada, $id, ended_at => '2025-01-15T11:30:00+01:00'), 200)->{id}, $id,
        'ended_at may equal started_at');
    is_invalid(api_as($ada, PUT => "/api/v1/sessions/$id/", json => {}), 'detail',
        [qw(completed_reason ended_at status), @numbers], 'all required fields are reported at once');
    json_of(api_as($ada, PUT => "/api/v1/sessions/$id/", json => without(completion(), 'device_platform')), 200);
    is(stored($id)->{device_platform}, 'web', 'a device_platform that is not sent stays');
};

my ($lost, $lost_id);

subtest 'A completion creates the session when its registration was lost' => sub {
    $lost = registration($ada);
    $lost_id = $lost->{session_id};
    is_invalid(complete($worker, $lost_id), 'detail', ['user_id'], 'a service must send user_id');
    is_invalid(complete($_, $lost_id, user_id => $unknown_id), 'detail', ['user_id'],
        'services and admins must name an existing user') for $worker, $admin;
    is_error(complete($ada, $lost_id, user_id => $bob_account->{uuid}), 'detail', 403,
        'a user cannot complete a session for another user');
    is(stored($lost_id), undef, 'rejected completions create no session');
    is_deeply(json_of(complete($worker, $lost_id, user_id => account($ada)->{uuid}), 200),
        { id => $lost_id, status => 'completed', xp_total => 28000 }, 'a service creates the completed session');
    is_deeply([@{ stored($lost_id) }{qw(user_id goal_id activity_id started_at)}],
        [account($ada)->{id}, undef, undef, undef], 'goal, activity and start are unknown');
    is(json_of(api_as($ada, GET => "/api/v1/sessions/$lost_id/"), 200)->{activity}, undef,
        'the unknown activity is null');
};

subtest 'A late registration fills in missing values' => sub {
    is_invalid(api_as($ada, POST => '/api/v1/sessions/', json => { %$lost, started_at => '2025-01-15T12:00:01Z' }),
        'detail', ['started_at'], 'started_at after the end is rejected');
    my $late = api_as($worker, POST => '/api/v1/sessions/', json => $lost);
    is_deeply([$late->status, $late->json], [200, { id => $lost_id, status => 'completed' }],
        'a late registration returns 200 and the completed status');
    is_deeply([@{ stored($lost_id) }{qw(status goal_id activity_id xp_total)}],
        ['completed', $lost->{goal_id}, $lost->{activity_id}, 28000],
        'goal and activity are filled in, status and XP stay');
    is(json_of(api_as($ada, GET => "/api/v1/sessions/$lost_id/"), 200)->{started_at}, '2025-01-15T10:30:00Z',
        'the start is filled in');
};

subtest 'The user of a completion without registration' => sub {
    my $own = unique('own');
    json_of(complete($admin, $own), 200);
    is(stored($own)->{user_id}, account($admin)->{id}, 'an admin who sends no user_id completes their own session');
    is_error(complete($ada, $_), 'detail', 404, qr/not found/, 'an id that is not printable or too long is not found')
        for 'x' x 256, 'a%01b', 'a%C2%85b';
};

my $reader = signup();
my ($diary, $other) = map { goal($reader)->{id} } 1 .. 2;

my @ids;

subtest 'The history of a goal lists ended sessions, newest first' => sub {
    is_deeply(json_of(api_as($reader, GET => "/api/v1/goals/$diary/sessions/"), 200), { results => [] },
        'the history of a new goal is empty');
    for my $day (1 .. 12) {
        my $body = registration($reader, goal_id => $diary, started_at => sprintf('2025-02-%02dT10:00:00Z', $day));
        json_of(api_as($reader, POST => '/api/v1/sessions/', json => $body));
        json_of(complete($reader, $body->{session_id}, ended_at => sprintf('2025-02-%02dT11:00:00Z', $day),
                status => $day == 12 ? 'abandoned' : 'completed'), 200);
        unshift @ids, $body->{session_id};
    }

    # still active
    json_of(api_as($reader, POST => '/api/v1/sessions/', json => registration($reader, goal_id => $diary)));
    json_of(api_as($reader, POST => '/api/v1/sessions/', json => registration($reader, goal_id => $other)));
    my $history = json_of(api_as($reader, GET => "/api/v1/goals/$diary/sessions/"), 200);
    is_deeply(keys_of($history), ['results'], 'without page and page_size the only key is results');
    is_deeply([map { $_->{id} } @{ $history->{results} }], \@ids,
        'completed and abandoned sessions are listed newest first, active ones are not');
    is_deeply($history->{results}[1], { id => $ids[1], started_at => '2025-02-11T10:00:00Z',
            ended_at => '2025-02-11T11:00:00Z', completed_reason => 'manual',
            map({ $_ => completion()->{$_} } @numbers),
            activity => { type => 'creativity', map { $_ => $drawing->{$_} } qw(id name emoji) } },
        'exactly the keys of a session in a history');
};

subtest 'The history of a goal can be paged' => sub {
    my $paged = json_of(api_as($reader, GET => "/api/v1/goals/$diary/sessions/?page=2&page_size=5"), 200);
    is_deeply(keys_of($paged), [qw(count next previous results)], 'keys of a page');
    is_deeply([$paged->{count}, map { $_->{id} } @{ $paged->{results} }], [12, @ids[5 .. 9]],
        'page and page_size select a page');
    like($paged->{next}, qr{/api/v1/goals/$diary/sessions/\?page_size=5&page=3$}, 'next leads to the following page');
    like($paged->{previous}, qr{/api/v1/goals/$diary/sessions/\?page_size=5&page=1$},
        'previous leads to the preceding page');
    is(scalar @{ json_of(api_as($reader, GET => "/api/v1/goals/$diary/sessions/?$_->[0]"), 200)->{results} }, $_->[1],
        "number of sessions with $_->[0]") for ['page=1', 10], ['page_size=3', 3], ['page=2', 2];
    is_error(api_as($reader, GET => "/api/v1/goals/$diary/sessions/?page=3"), 'detail', 404,
        'a page beyond the end is not found');
    is_invalid(api_as($reader, GET => "/api/v1/goals/$diary/sessions/?page=0"), 'detail', ['page'],
        'page 0 is rejected');
};

subtest 'Unknown values are null in a history' => sub {
    my $nameless = unique('gap');
    json_of(complete($reader, $nameless), 200);
    sql('UPDATE learnhub.xp_sessions SET goal_id = ? WHERE id = ?', $other, $nameless);
    my $gaps = json_of(api_as($reader, GET => "/api/v1/goals/$other/sessions/"), 200)->{results};
    is_deeply([map { [@$_{qw(id activity started_at)}] } @$gaps], [[$nameless, undef, undef]],
        'unknown activity and start are null');
};

subtest 'days_completed counts the UTC days with a completed session' => sub {
    is(json_of(api_as($reader, GET => "/api/v1/goals/$diary/"), 200)->{days_completed}, 11,
        'eleven of twelve days have a completed session');
    for my $end ('2025-02-01T23:59:59Z', '2025-02-02T01:00:00+02:00', '2025-02-20T00:00:00+02:00',
        '2025-02-19T10:00:00Z') {
        my $body = registration($reader, goal_id => $diary, started_at => '2025-02-01T00:00:00Z');
        json_of(api_as($reader, POST => '/api/v1/sessions/', json => $body));
        json_of(complete($reader, $body->{session_id}, ended_at => $end), 200);
    }
    is(json_of(api_as($reader, GET => "/api/v1/goals/$diary/"), 200)->{days_completed}, 12, 'each UTC day counts once');
    is_deeply([map { $_->{days_completed} } @{ json_of(api_as($reader, GET => '/api/v1/goals/'), 200)->{results} }],
        [1, 12], 'the list of goals has the same counts');
};

subtest 'The XP of a user is the sum of the ledger' => sub {
    my $learner = signup();
    is_deeply(xp($learner), { user => account($learner)->{uuid}, life_level => 1, xp_to_next_level => 10000,
            map({ $_ => 0 } 'xp_total', @parts) }, 'a new user has level 1 and no XP');
    my @levels = ([9999, 1], [10000, 2], [39999, 2], [40000, 3], [89999, 3], [90000, 4], [2147483647, 464]);
    for my $case (@levels) {
        my ($points, $level) = @$case;
        json_of(complete($learner, 'level-' . account($learner)->{uuid}, xp_total => $points), 200);
        my $xp = xp($learner);
        is_deeply([@$xp{qw(xp_total life_level xp_to_next_level)}], [$points, $level, 10000 * $level**2 - $points],
            "$points XP are level $level");
    }
    json_of(complete($learner, unique('second'), xp_total => 2147483647, status => 'abandoned'), 200);
    my $sum = xp($learner);
    is_deeply([@$sum{ 'xp_total', @parts }], [4294967294, map { 2 * completion()->{$_} } @parts],
        'all sessions count, abandoned ones too');
};

# Number and sum of all entries of a user in the ledger.
sub ledger_of {
    my ($user) = @_;
    return (sql('SELECT count(*) AS entries, coalesce(sum(xp_total), 0) AS total FROM learnhub.xp_ledger
        WHERE user_id = ?', account($user)->{id}))[0];
}

my $racer = signup();

subtest 'Concurrent registrations create one session' => sub {
    my $race = registration($racer);
    my @statuses = sort map { $_->{status} } parallel(12,
        sub { api_as($racer, POST => '/api/v1/sessions/', json => $race) });
    is_deeply(\@statuses, [(200) x 11, 201], 'of 12 concurrent registrations one returns 201');
};

subtest 'Concurrent registration and completion give the same result in any order' => sub {
    for my $round (1 .. 6) {
        my $body = registration($racer, started_at => "2025-03-0${round}T10:00:00Z");
        my $path = "/api/v1/sessions/$body->{session_id}/";
        my @replies = parallel 12, sub {
            my ($i) = @_;
            return api_as($racer, POST => '/api/v1/sessions/', json => $body) if $i % 2;
            return api_as($racer, PUT => $path, json => completion(xp_total => 100,
                    ended_at => "2025-03-0${round}T12:00:00Z"));
        };
        is_deeply([grep { $_->{status} !~ /^20[01]$/ } @replies], [], "round $round: all requests succeed");
        cmp_ok(scalar(grep { $_->{status} == 201 } @replies), '<=', 1,
            "round $round: at most one registration returns 201");
        is_deeply([@{ stored($body->{session_id}) }{qw(status goal_id activity_id xp_total)}],
            ['completed', $body->{goal_id}, $body->{activity_id}, 100],
            "round $round: the session has the registration and the completion");
        is_deeply(ledger_of($racer), { entries => $round, total => 100 * $round },
            "round $round: each session counts once");
    }
};

subtest 'Concurrent corrections leave one entry in the ledger' => sub {
    my $corrected = registration($racer)->{session_id};
    my @replies = parallel 16, sub {
        my ($i) = @_;
        return complete($racer, $corrected, map { $_ => 1000 + $i } 'xp_total', @parts);
    };
    is_deeply([grep { $_->{status} != 200 } @replies], [], '16 concurrent corrections succeed');
    my ($entry, @more) = ledger($corrected);
    my $last = stored($corrected);
    is_deeply([@more], [], 'the ledger has one entry');
    is_deeply([@$entry{ 'xp_total', @parts }], [@$last{ 'xp_total', @parts }], 'the entry equals the session');
    is_deeply([grep { $_ != $last->{xp_total} } @$last{@parts}], [], 'all XP of the entry come from one correction');
    is(xp($racer)->{xp_total}, ledger_of($racer)->{total}, 'the XP of the user equals the sum of the ledger');
};

subtest 'Concurrent completions by two users give the id to one of them' => sub {
    my $contested = unique('both');
    my @owners = parallel(8, sub { my ($i) = @_; return complete($i % 2 ? $ada : $bob, $contested) });
    my $winner = stored($contested)->{user_id} == account($ada)->{id} ? 1 : 0;
    is_deeply([map { $owners[$_]{status} } 0 .. 7], [map { $_ % 2 == $winner ? 200 : 404 } 0 .. 7],
        'one user gets 200 each time, the other 404');
};

done_testing();

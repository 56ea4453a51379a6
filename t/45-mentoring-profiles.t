# SPDX-License-Identifier: Apache-2.0
# Mentoring: profiles, directories, availabilities and notification settings: every route, every error, the nesting of
# each response, and flags that match the profiles.
use strict;
use warnings;
use utf8;

use LearnHub::Mentoring;
use LearnHub::Test;
use LearnHub::Users;

my $time = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
my $user = signup(first_name => 'Per', last_name => 'Son');
my $admin = signup(role => 'admin');

# The entry of a user in a directory, /mentor/ or /mentee/.
sub listed {
    my ($list, $member) = @_;
    my ($entry) = grep { $_->{pk} == user_id($member) } @{ api_as($user, GET => $list)->json };
    return $entry;
}

subtest 'Every route requires a token' => sub {
    for ([GET => '/mentor/'], [GET => '/mentor/css/'], [POST => '/mentorinfo/'], [GET => '/mentorinfo/'],
        [PATCH => '/mentorinfoupdate/'], [DELETE => '/mentorinfoupdate/'], [GET => '/mentee/'],
        [POST => '/menteeinfo/'], [GET => '/menteeinfo/'], [PATCH => '/menteeinfoupdate/'],
        [DELETE => '/menteeinfoupdate/'], [GET => '/availabilty/'], [POST => '/availabilty/'],
        [DELETE => '/availabilty/1/'], [GET => '/availability/'], [GET => '/notificationsettings/'],
        [GET => '/notificationsettings/1'], [PATCH => '/notificationsettings/1']) {
        is_error(api_as(undef, @$_, json => {}), 'detail', 401, "$_->[0] $_->[1] without a token is rejected");
    }
};

subtest 'A user without a profile is neither mentor nor mentee' => sub {
    is_error(api_as($user, @$_), 'detail', 404, "$_->[0] $_->[1] without a profile is not found")
        for [GET => '/mentorinfo/'], [PATCH => '/mentorinfoupdate/', json => {}],
        [DELETE => '/mentorinfoupdate/'], [PATCH => '/menteeinfoupdate/', json => { team_number => 1 }],
        [DELETE => '/menteeinfoupdate/'];
    is(user($user->{email})->{is_mentor}, 0, 'a new user is not a mentor');
};

# The part before the @ of a user's e-mail address, which is the username as well.
sub local_part { my ($who) = @_; return $who->{email} =~ s/@.*//r }

subtest 'POST /mentorinfo/ makes a user a mentor' => sub {
    my $made = api_as($user, POST => '/mentorinfo/',
        json => { about_me => 'Hi, I am so and so', skills => 'CSS, JavaScript ,Django,css,' });
    is_deeply([$made->status, $made->json],
        [201, { about_me => 'Hi, I am so and so', skills => 'CSS, JavaScript ,Django,css,', team_number => undef }],
        'skills are returned in the form they were sent');
    is(user($user->{email})->{is_mentor}, 1, 'creating a profile sets is_mentor');
    is_error(api_as($user, POST => '/mentorinfo/', json => { about_me => 'x', skills => 'y' }), 'detail', 400,
        qr/already/, 'a second profile is rejected');
    my $own = { %{ $made->json }, availabilities => [] };
    is_deeply(api_as($user, GET => '/mentorinfo/')->json, { %$own, 0 => $own },
        'GET returns the profile and the availabilities, at the top level and in the member "0"');
    my $entry = listed('/mentor/', $user);
    is_deeply($entry, { pk => user_id($user), username => local_part($user), first_name => 'Per', last_name => 'Son',
            is_mentor => true, profile_photo => undef, map { %$_, mentor_profile => $_ } {
                about_me => 'Hi, I am so and so', skills => ['CSS', 'JavaScript', 'Django'], availabilities => []
            } },
        'the directory has skills as an array without duplicates, at the top level and in mentor_profile');
    my $array = api_as(mentor(skills => ['C', ' Apache httpd ']), GET => '/mentorinfo/')->json;
    is_deeply($array->{skills}, ['C', ' Apache httpd '], 'skills sent as an array are returned as an array');
};

subtest 'POST and PATCH validate every field of a mentor profile' => sub {
    for my $case ([about_me => 5], [about_me => undef], [skills => 5], [skills => undef], [skills => [1]],
        [skills => {}], [about_me => 'x' x 10001], [skills => [map {"s$_"} 1 .. 51]], [skills => join ',', 1 .. 51],
        [skills => 'C,' . 'x' x 101], [skills => ['x' x 101]],
        [skills => join '', map { chr 0x4e00 + $_ * 7 } 1 .. 2000]) {
        my ($field, $value) = @$case;
        my $new = signup();
        is_invalid(api_as($new, POST => '/mentorinfo/', json => { about_me => 'x', skills => 'y', $field => $value }),
            'detail', [$field], "POST rejects an invalid $field");
        is_invalid(api_as($user, PATCH => '/mentorinfoupdate/', json => { $field => $value }), 'detail', [$field],
            "PATCH rejects an invalid $field");
    }
    is_invalid(api_as(signup(), POST => '/mentorinfo/', json => {}), 'detail', [qw(about_me skills)],
        'about_me and skills are required');
    is_invalid(api_as($user, PATCH => '/mentorinfoupdate/', json => { skills => $_ }), 'detail', ['skills'],
        'skills of more than 20 KB are rejected')
        for 'x,' x 20000, [' ' x 21000 . 'x'];
    is(api_as($user, PATCH => '/mentorinfoupdate/',
            json => { skills => [map { sprintf '%s%02d', 'ü' x 98, $_ } 1 .. 50] })->status, 200,
        '50 skills of 100 characters are accepted');
};

subtest 'PATCH changes a mentor profile' => sub {
    is_deeply(api_as($user, PATCH => '/mentorinfoupdate/', json => { skills => ['Python'] })->json,
        { about_me => 'Hi, I am so and so', skills => ['Python'], team_number => undef },
        'PATCH changes the fields sent and keeps the others');
    is_deeply(api_as($user, PATCH => '/mentorinfoupdate/', json => { about_me => '' })->json,
        { about_me => '', skills => ['Python'], team_number => undef }, 'about_me may be empty');
};

subtest 'A mentor profile may have a team number' => sub {
    my $new = signup();
    my %profile = (about_me => 'x', skills => 'y');
    my @invalid = ('x', -1, 1.5, 2147483648, true, [4]);
    is_invalid(api_as($new, POST => '/mentorinfo/', json => { %profile, team_number => $_ }), 'detail', ['team_number'],
        "POST rejects the team number $_") for @invalid;
    is_deeply(api_as($new, POST => '/mentorinfo/', json => { %profile, team_number => '4' })->json,
        { %profile, team_number => 4 }, 'POST accepts a number as a string');
    is_invalid(api_as($new, PATCH => '/mentorinfoupdate/', json => { team_number => $_ }), 'detail', ['team_number'],
        "PATCH rejects the team number $_") for @invalid;
    my $kept = api_as($new, PATCH => '/mentorinfoupdate/', json => { about_me => 'z' })->json;
    is($kept->{team_number}, 4, 'PATCH without a team number keeps it');
    for my $case ([0, 0], ['', undef], [2147483647, 2147483647], [undef, undef]) {
        my ($sent, $expected) = @$case;
        my $changed = api_as($new, PATCH => '/mentorinfoupdate/', json => { team_number => $sent });
        is_deeply([$changed->status, $changed->json], [200, { %$kept, team_number => $expected }],
            'PATCH sets the team number ' . ($sent // 'null'));
        my $own = api_as($new, GET => '/mentorinfo/')->json;
        is_deeply([map { $_->{team_number} } $own, $own->{0}], [$expected, $expected], 'GET returns it');
    }
    is(api_as(signup(), POST => '/mentorinfo/', json => { %profile, team_number => undef })->status, 201,
        'POST accepts null');
};

my $skill = unique('skill');
my $both = mentor(skills => "$skill, Übung", about_me => 'both');
my $one = mentor(skills => [uc $skill], about_me => 'one');

# Searches mentors by skills.
sub mentors_with {
    my ($skills) = @_;
    return api_as($user, GET => '/mentor/' . URI::Escape::uri_escape_utf8($skills) . '/');
}

subtest 'Mentors are searched by all of the given skills' => sub {
    is_deeply(mentors_with($skill)->json, [map { listed('/mentor/', $_) } $both, $one],
        'a skill is found without regard to case; the entries are those of the directory');
    is_deeply([map { [@$_{qw(pk about_me skills)}] } @{ mentors_with($skill)->json }],
        [[user_id($both), 'both', [$skill, 'Übung']], [user_id($one), 'one', [uc $skill]]],
        'an entry has the profile at the top level');
    is_deeply([map { $_->{about_me} } @{ mentors_with("ÜBUNG ,$skill")->json }], ['both'],
        'all of several skills must match');
    is_deeply(mentors_with($_)->json, [], "no mentor has the skills \"$_\"")
        for substr($skill, 0, -1), "$skill x", "$skill,nothing", ',', '%';
    is(mentors_with("$skill,")->json->[1]{about_me}, 'one', 'an empty skill is ignored');
};

subtest 'Clearing the mentor flag hides the profile but keeps it' => sub {
    is(api_as($one, PATCH => '/myprofile/', json => { is_mentor => false })->status, 200, 'the flag is cleared');
    is_deeply([listed('/mentor/', $one), scalar @{ mentors_with($skill)->json }], [undef, 1],
        'without the flag a mentor is in neither directory nor search');
    is(api_as($one, GET => '/mentorinfo/')->status, 200, 'the profile is kept without the flag');
    api_as($one, PATCH => '/myprofile/', json => { is_mentor => true });
    is(listed('/mentor/', $one)->{mentor_profile}{about_me}, 'one', 'the profile is listed again when the flag is set');
    my $flagged = signup();
    api_as($flagged, PATCH => '/myprofile/', json => { is_mentor => true, is_mentee => true });
    my $empty = listed('/mentor/', $flagged);
    is_deeply($empty->{mentor_profile}, { about_me => '', skills => [], availabilities => [] },
        'a mentor without a profile is listed with an empty one');
    is_deeply([@$empty{qw(about_me skills availabilities)}], [undef, [], []],
        'at the top level its about_me is null, and skills and availabilities are empty');
    is_deeply(listed('/mentee/', $flagged)->{mentee_profile}, { team_number => undef },
        'a mentee without a profile is listed with an empty one');
    api_as($admin, PATCH => '/api/admin/users/' . user_id($one) . '/', json => { is_active => false });
    is(listed('/mentor/', $one), undef, 'a deactivated mentor is not listed');
};

my $mentee = signup(first_name => 'Men', last_name => 'Tee');

subtest 'A mentee has a profile with a team number' => sub {
    is(api_as($mentee, GET => '/menteeinfo/')->body, '[]', 'GET without a profile returns an empty array');
    my $team = api_as($mentee, POST => '/menteeinfo/', json => { team_number => '4' });
    is_deeply([$team->status, $team->json], [201, [{ team_number => 4 }]],
        'a number as a string is accepted; the response of POST is an array');
    is_error(api_as($mentee, POST => '/menteeinfo/', json => { team_number => 5 }), 'detail', 400, qr/already/,
        'a second profile is rejected');
    is_deeply(api_as($mentee, GET => '/menteeinfo/')->json, [{ team_number => 4 }], 'GET returns an array');
    is_deeply(
        listed('/mentee/', $mentee),
        { pk => user_id($mentee), username => local_part($mentee), first_name => 'Men',
            last_name => 'Tee',
            is_mentee => true, profile_photo => undef, mentee_profile => { team_number => 4 } },
        'the directory lists the mentee');
    is_deeply(api_as($mentee, PATCH => '/menteeinfoupdate/', json => [{ team_number => '5' }])->json,
        { team_number => 5 }, 'PATCH accepts an array of one object and returns an object');
    is_deeply(api_as($mentee, PATCH => '/menteeinfoupdate/', json => { team_number => 6 })->json, { team_number => 6 },
        'PATCH accepts an object');
    is_invalid(api_as($mentee, PATCH => '/menteeinfoupdate/', json => $_), 'detail',
        [ref $_ eq 'HASH' || @$_ == 1 ? 'team_number' : 'non_field_errors'],
        'PATCH rejects what is not one valid team number')
        for { }, [{}], [], [{ team_number => 1 }, { team_number => 2 }], { team_number => 'x' }, { team_number => -1 },
        { team_number => 1.5 }, { team_number => undef }, { team_number => 2147483648 };
    is_deeply([api_as($mentee, DELETE => '/menteeinfoupdate/')->status, user($mentee->{email})->{is_mentee},
            api_as($mentee, GET => '/menteeinfo/')->json], [204, 0, []],
        'DELETE removes the profile and clears is_mentee');
    is(listed('/mentee/', $mentee), undef, 'a user without the flag is not listed');
};

my $mentor = mentor();

my $offer;

subtest 'A mentor offers availabilities that do not overlap' => sub {
    $offer = offer($mentor, '2040-02-01T10:00:00Z', '2040-02-01T12:00:00+01:00');
    is_deeply([$offer->status, $offer->json], [201, { pk => $offer->json->{pk}, mentor => user_id($mentor),
                start_time => '2040-02-01T10:00:00Z', end_time => '2040-02-01T11:00:00Z' }],
        'an availability is created, with times in UTC');
    is_error(offer($mentee, '2040-02-01T10:00:00Z', '2040-02-01T11:00:00Z'), 'detail', 403,
        'only mentors offer availabilities');
    my $exact = mentor();
    my $first = offer($exact, '2040-05-01T10:00:00.678Z', '2040-05-01T11:00:00.678Z')->json;
    is_deeply([@$first{qw(start_time end_time)}], ['2040-05-01T10:00:00Z', '2040-05-01T11:00:00Z'],
        'times are cut to the second');
    is(offer($exact, $first->{end_time}, '2040-05-01T12:00:00Z')->status, 201,
        'an availability may begin at the end that was returned');
    is_invalid(offer($exact, '2040-05-02T10:00:00.1Z', '2040-05-02T10:00:00.9Z'), 'detail', ['non_field_errors'],
        'an availability must last a second');
    is_invalid(offer($mentor, @$_), 'detail', ['non_field_errors'], "overlapping availabilities are rejected: @$_")
        for ['2040-02-01T10:00:00Z', '2040-02-01T11:00:00Z'],
        ['2040-02-01T09:00:00Z', '2040-02-01T10:00:01Z'], ['2040-02-01T10:59:59Z', '2040-02-01T12:00:00Z'],
        ['2040-02-01T09:00:00Z', '2040-02-01T12:00:00Z'], ['2040-02-01T10:15:00Z', '2040-02-01T10:30:00Z'];
    is(offer($mentor, @$_)->status, 201, "availabilities may touch: @$_")
        for ['2040-02-01T11:00:00Z', '2040-02-01T12:00:00Z'],
        ['2040-02-01T09:00:00Z', '2040-02-01T10:00:00Z'];
    is(offer(mentor(), '2040-02-01T10:00:00Z', '2040-02-01T11:00:00Z')->status, 201,
        'availabilities of different mentors may overlap');
    is_invalid(offer($mentor, '2040-03-01T10:00:00Z', $_), 'detail', ['non_field_errors'],
        "an end before or at the start is rejected: $_") for '2040-03-01T10:00:00Z', '2040-03-01T09:00:00Z';
    is_invalid(offer($mentor, '2020-03-01T10:00:00Z', '2020-03-01T11:00:00Z'), 'detail', ['end_time'],
        'an end in the past is rejected');
    is(offer($mentor, '2020-03-01T10:00:00Z', '2039-03-01T11:00:00Z')->status, 201, 'a start in the past is accepted');
    is_invalid(api_as($mentor, POST => '/availabilty/', json => {}), 'detail', [qw(end_time start_time)],
        'start_time and end_time are required');
    is_invalid(offer($mentor, 'soon', 5), 'detail', [qw(end_time start_time)],
        'times that cannot be parsed are reported together');
    my @raced = parallel 12, sub {
        my ($i) = @_;
        offer($mentor, '2041-01-01T10:00:00Z', sprintf '2041-01-01T11:%02d:00Z', $i)->status;
    };
    is_deeply([sort @raced], [201, (400) x 11], 'of 12 concurrent overlapping availabilities one is created');
};

sql("INSERT INTO learnhub.availabilities (mentor_id, starts_at, ends_at)
    VALUES (?, now() - interval '2 hours', now() - interval '1 hour')", user_id($both));
offer($both, '2040-02-01T08:00:00Z', '2040-02-01T08:30:00Z');

my $some;

subtest 'Current availabilities are listed by start' => sub {
    my $all = api_as($user, GET => '/availabilty/')->json;
    is_deeply([map { keys_of($_) } @$all], [map { [qw(end_time mentor pk start_time)] } @$all],
        'keys of an availability');
    is_deeply([map { $_->{start_time} } @$all], [sort map { $_->{start_time} } @$all], 'the list is ordered by start');
    ok(!(grep { $_->{end_time} lt '2030' } @$all), 'availabilities that have ended are not listed');
    $some = api_as($user, GET => '/availabilty/?mentor=' . user_id($mentor))->json;
    is_deeply($some, [grep { $_->{mentor} == user_id($mentor) } @$all], 'the list is filtered by mentor');
    my $entry = listed('/mentor/', $mentor);
    is_deeply([$entry->{mentor_profile}{availabilities}, $entry->{availabilities}], [$some, $some],
        'the directory has the availabilities of the mentor');
    my $own = api_as($mentor, GET => '/mentorinfo/')->json;
    is_deeply([map { $_->{availabilities} } $own, $own->{0}], [$some, $some],
        "the mentor's profile has the availabilities");
    is_deeply(api_as($both, GET => '/mentorinfo/')->json->{availabilities}[0]{start_time}, '2040-02-01T08:00:00Z',
        "the mentor's profile has no availabilities that have ended");
    is_invalid(api_as($user, GET => '/availabilty/?mentor=x'), 'detail', ['mentor'], 'mentor must be a number');
    is(api_as($user, GET => '/availabilty/?mentor=999999999')->body, '[]', 'the list of an unknown mentor is empty');
};

subtest '/availability/ lists the own availabilities, or those of a mentor or of all' => sub {
    my $all = api_as($user, GET => '/availabilty/')->json;
    my $list = sub {
        my ($caller, $query) = @_;
        return api_as($caller, GET => '/availability/' . ($query // ''))->json;
    };
    is_deeply($list->($mentor), $some, "a mentor's own");
    is_deeply($list->($mentor, '?mentor='), $some, 'an empty mentor counts as absent');
    is_deeply($list->($user), [], 'a user without availabilities has none');
    is_deeply($list->($both), [grep { $_->{mentor} == user_id($both) } @$all],
        'availabilities that have ended are not listed');
    is_deeply($list->($user, '?mentor=all'), $all, 'all mentors');
    is_deeply($list->($user, '?mentor=' . user_id($mentor)), $some, 'one mentor');
    is_deeply($list->($mentor, '?mentor=' . user_id($both)), [grep { $_->{mentor} == user_id($both) } @$all],
        "another mentor's, for a mentor");
    is_deeply($list->($user, '?mentor=999999999'), [], 'the list of an unknown mentor is empty');
    is_invalid(api_as($user, GET => "/availability/?mentor=$_"), 'list', ['mentor'], "mentor cannot be $_")
        for qw(x -1 me All);
    my $former = mentor();
    my $kept = offer($former, '2040-02-01T10:00:00Z', '2040-02-01T11:00:00Z')->json;
    api_as($former, PATCH => '/myprofile/', json => { is_mentor => false });
    is_deeply($list->($former), [$kept], 'users without the mentor flag see their own');
    is_deeply([map { $list->($_, '?mentor=' . user_id($former)) } $user, $former], [[], []],
        'availabilities of a user without the mentor flag are not in the directory');
    is_deeply([grep { $_->{pk} == $kept->{pk} } @{ $list->($user, '?mentor=all') }], [], 'nor in the list of all');
    is(api_as($former, DELETE => "/availability/$kept->{pk}/")->status, 204, 'they delete their own');
    my $away = mentor();
    my $hidden = offer($away, '2040-02-01T10:00:00Z', '2040-02-01T11:00:00Z')->json->{pk};
    api_as($admin, PATCH => '/api/admin/users/' . user_id($away) . '/', json => { is_active => false });
    is_deeply([grep { $_->{pk} == $hidden } map { @{ $list->($user, "?mentor=$_") } } user_id($away), 'all'], [],
        'availabilities of a deactivated mentor are not listed');
    is_deeply($list->($former), [], 'a deleted availability is not listed');
};

subtest 'Errors 400 of /availability/ are arrays of sentences' => sub {
    my $new = mentor();
    my $create = sub {
        my ($who, $from, $to) = @_;
        return api_as($who, POST => '/availability/', json => { start_time => $from, end_time => $to });
    };
    my $made = $create->($new, '2040-02-01T10:00:00Z', '2040-02-01T12:00:00Z');
    is($made->status, 201, 'an availability is created');
    my @cases = (
        [['2040-02-01T11:00:00Z', '2040-02-01T13:00:00Z'], 'This overlaps another of your availabilities.'],
        [['2040-03-01T11:00:00Z', '2040-03-01T11:00:00Z'], 'The end must be after the start.'],
        [['2020-03-01T11:00:00Z', '2020-03-01T12:00:00Z'], 'end_time: This must be in the future.'],
        [[undef, 5], 'start_time: This may not be null.',
            'end_time: This must be a date and time in ISO 8601, such as 2024-01-15T14:00:00Z.'],
    );
    for my $case (@cases) {
        my ($times, @sentences) = @$case;
        my $reply = $create->($new, @$times);
        is_deeply([$reply->status, $reply->json], [400, \@sentences], "rejected: $sentences[0]");
    }
    my $broken = api_as($new, POST => '/availability/', body => '{');
    is_deeply([$broken->status, scalar @{ $broken->json }], [400, 1], 'invalid JSON is one sentence');
    is_error($create->($mentee, '2040-02-01T10:00:00Z', '2040-02-01T11:00:00Z'), 'list', 403, qr/Only mentors/,
        'only mentors create availabilities');
    is_error(api_as($mentee, DELETE => '/availability/' . $made->json->{pk}), 'list', 403, qr/another user/,
        'other users cannot delete an availability');
    is_deeply([map { $_->{pk} } @{ api_as($new, GET => '/availability/')->json }], [$made->json->{pk}],
        'rejected requests change nothing');
};

subtest 'An availability is deleted by its mentor or an admin' => sub {
    my $pk = $offer->json->{pk};
    is_error(api_as($_, DELETE => "/availabilty/$pk/"), 'detail', 403,
        'other users cannot delete an availability, mentors included') for $user, $both;
    is_error(api_as($mentor, DELETE => "/availabilty/$_/"), 'detail', 404, 'an unknown availability is not found')
        for 999999999, 'x';
    is(api_as($mentor, DELETE => "/availabilty/$pk")->status, 204, 'the mentor deletes an availability');
    is_error(api_as($mentor, DELETE => "/availability/$pk/"), 'list', 404, 'a deleted availability is not found');
    ok(!(grep { $_->{pk} == $pk } @{ api_as($user, GET => '/availabilty/')->json }),
        'a deleted availability is not listed');
    is(offer($mentor, '2040-02-01T10:00:00Z', '2040-02-01T11:00:00Z')->status, 201,
        'the time of a deleted availability can be offered again');
    is(api_as($admin, DELETE => "/availability/$some->[0]{pk}/")->status, 204, 'an admin deletes an availability');
    api_as($both, PATCH => '/myprofile/', json => { is_mentor => 'False' });
    is(api_as($user, GET => '/availabilty/?mentor=' . user_id($both))->body, '[]',
        'availabilities of a user without the mentor flag are not listed');
    is_error(offer($both, '2042-02-01T10:00:00Z', '2042-02-01T11:00:00Z'), 'detail', 403,
        'a user without the mentor flag cannot offer availabilities');
};

# Locks the row of a user in a transaction, and calls $work when another transaction waits for the lock.
sub hold_user {
    my ($user_id, $work) = @_;
    sql('BEGIN');
    sql('SELECT id FROM learnhub.users WHERE id = ? FOR NO KEY UPDATE', $user_id);
    sql('SELECT pg_advisory_xact_lock(?)', $user_id); # seen by is_locked()
    my $waited = eventually(sub { (sql('SELECT count(*) AS n FROM pg_locks WHERE NOT granted'))[0]{n} });
    $work->();
    sql('COMMIT');
    return $waited;
}

# Whether hold_user() has locked the user.
sub is_locked {
    my ($user_id) = @_;
    return (sql("SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND objid::bigint = ?",
            $user_id))[0]{n};
}

subtest 'Deleting the mentor profile ends the availabilities' => sub {
    is(api_as($mentor, DELETE => '/mentorinfoupdate/')->status, 204, 'a mentor deletes the profile');
    is_deeply([user($mentor->{email})->{is_mentor},
            api_as($user, GET => '/availabilty/?mentor=' . user_id($mentor))->json], [0, []],
        'the flag is cleared and the availabilities end');
    is_error(api_as($mentor, GET => '/mentorinfo/'), 'detail', 404, 'the profile is not found');
    is(api_as($mentor, POST => '/mentorinfo/', json => { about_me => 'again', skills => [] })->status, 201,
        'a new profile can be created');
    is(api_as($user, GET => '/availabilty/?mentor=' . user_id($mentor))->body, '[]',
        'a new profile does not bring old availabilities back');
};

subtest 'A mentor profile can be deleted while availabilities are created and booked' => sub {
    my $stopping = mentor();
    my $stopped = user_id($stopping);
    my $offered = offer($stopping, '2040-02-01T10:00:00Z', '2040-02-01T11:00:00Z')->json->{pk};

    # Locks the availability as a booking does, which fails if its row is locked.
    my $book_and_offer = sub {
        sql('SELECT id FROM learnhub.availabilities WHERE id = ? FOR SHARE NOWAIT', $offered);
        sql("INSERT INTO learnhub.availabilities (mentor_id, starts_at, ends_at)
            VALUES (?, '2040-01-01', '2040-01-02')", $stopped);
    };
    my @results = parallel 2, sub {
        my ($i) = @_;
        return hold_user($stopped, $book_and_offer) if !$i;
        return eventually(sub { is_locked($stopped) }) && api_as($stopping, DELETE => '/mentorinfoupdate/')->status;
    };
    is_deeply(\@results, [1, 204], 'the deletion waits for the other transaction and succeeds');
    is((sql('SELECT count(*) AS n FROM learnhub.availabilities WHERE mentor_id = ? AND deleted_at IS NULL',
                $stopped))[0]{n}, 0, 'all availabilities have ended');
};

my $id = user_id($mentee);
my %off = map { $_ => false } qw(session_requested session_confirmed session_canceled fifteen_minute_alert
    sixty_minute_alert);

subtest 'Notification settings belong to their user' => sub {
    is_deeply(api_as($mentee, GET => $_)->json, { pk => $id, user => $id, %off },
        "$_: all notifications are off by default")
        for '/notificationsettings/', "/notificationsettings/$id", "/notificationsettings/$id/";
    my $set = api_as($mentee, PATCH => "/notificationsettings/$id",
        json => { sixty_minute_alert => 'True', session_canceled => 1 });
    is_deeply([$set->status, $set->json],
        [200, { pk => $id, user => $id, %off, sixty_minute_alert => true, session_canceled => true }],
        'booleans are accepted as true, "True" and 1');
    is_deeply(api_as($mentee, PATCH => "/notificationsettings/$id/", json => { session_canceled => false })->json,
        { pk => $id, user => $id, %off, sixty_minute_alert => true }, 'PATCH keeps the settings that are not sent');
    is_deeply(api_as($mentee, GET => '/notificationsettings/')->json,
        { pk => $id, user => $id, %off, sixty_minute_alert => true }, 'GET returns the settings');
    is_error(api_as($_, GET => "/notificationsettings/$id"), 'detail', 403,
        'other users cannot read the settings, admins included') for $user, $admin;
    is_error(api_as($user, PATCH => "/notificationsettings/$id", json => { session_canceled => true }), 'detail', 403,
        'another user cannot change the settings');
    is_deeply(api_as($mentee, GET => '/notificationsettings/')->json->{session_canceled}, false,
        'a rejected change has no effect');
    is_deeply(api_as($user, GET => '/notificationsettings/')->json,
        { pk => user_id($user), user => user_id($user), %off }, 'nor does it change the settings of the caller');
    is_error(api_as($mentee, GET => '/notificationsettings/x'), 'detail', 404,
        'an id that cannot be parsed is not found');
    is_invalid(api_as($mentee, PATCH => "/notificationsettings/$id",
            json => { session_requested => 'yes', sixty_minute_alert => 2, session_canceled => undef }), 'detail',
        [qw(session_canceled session_requested sixty_minute_alert)], 'values that are not booleans are rejected');
};

done_testing();

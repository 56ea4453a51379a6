# SPDX-License-Identifier: Apache-2.0
# Mentoring: profiles, directories, availabilities and notification settings: every operation of the document, every
# documented error, the nesting of each endpoint, flags and profiles in step.
use strict;
use warnings;
use utf8;

use LearnHub::Test;

my $time = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
my $person = signup(first_name => 'Per', last_name => 'Son');
my $admin = signup(role => 'admin');

sub call { my ($who, $method, $path, %with) = @_; return api($method, $path, $who ? (token => $who->{token}) : (), %with) }

sub pk { my ($who) = @_; return user($who->{email})->{id} }

sub mentor {
    my (%over) = @_;
    my $mentor = signup(first_name => 'Men', last_name => 'Tor');
    my $reply = call($mentor, POST => '/mentorinfo/', json => { about_me => 'I mentor', skills => 'CSS, Go', %over });
    $reply->status == 201 or die $reply->summary;
    return $mentor;
}

sub offer {
    my ($mentor, $from, $to) = @_;
    return call($mentor, POST => '/availabilty/', json => { start_time => $from, end_time => $to });
}

sub listed {
    my ($list, $who) = @_;
    my ($entry) = grep { $_->{pk} == pk($who) } @{ call($person, GET => $list)->json };
    return $entry;
}

# ---- without a token ----

for ([GET => '/mentor/'], [GET => '/mentor/css/'], [POST => '/mentorinfo/'], [GET => '/mentorinfo/'],
    [PATCH => '/mentorinfoupdate/'], [DELETE => '/mentorinfoupdate/'], [GET => '/mentee/'], [POST => '/menteeinfo/'],
    [GET => '/menteeinfo/'], [PATCH => '/menteeinfoupdate/'], [DELETE => '/menteeinfoupdate/'], [GET => '/availabilty/'],
    [POST => '/availabilty/'], [DELETE => '/availabilty/1/'], [GET => '/availability/'], [GET => '/notificationsettings/'],
    [GET => '/notificationsettings/1'], [PATCH => '/notificationsettings/1']) {
    is_refusal(call(undef, @$_, json => {}), 'plain', 401);
}

# ---- mentors ----

is_refusal(call($person, @$_), 'plain', 404) for [GET => '/mentorinfo/'], [PATCH => '/mentorinfoupdate/', json => {}],
    [DELETE => '/mentorinfoupdate/'], [PATCH => '/menteeinfoupdate/', json => { team_number => 1 }],
    [DELETE => '/menteeinfoupdate/'];
is(user($person->{email})->{is_mentor}, 0, 'nobody is a mentor at first');
my $made = call($person, POST => '/mentorinfo/', json => { about_me => 'Hi, I am so and so', skills => 'CSS, JavaScript ,Django,css,' });
is_deeply([$made->status, $made->json], [201, { about_me => 'Hi, I am so and so', skills => 'CSS, JavaScript ,Django,css,' }],
    'a profile; skills in the form they were sent');
is(user($person->{email})->{is_mentor}, 1, 'creating a profile sets the flag');
is_refusal(call($person, POST => '/mentorinfo/', json => { about_me => 'x', skills => 'y' }), 'plain', 400, qr/already/);
is_deeply(call($person, GET => '/mentorinfo/')->json, { %{ $made->json }, availabilities => [] }, 'the own profile');
my $entry = listed('/mentor/', $person);
is_deeply($entry, { pk => pk($person), username => $person->{email}, first_name => 'Per', last_name => 'Son', is_mentor => true,
        profile_photo => undef, mentor_profile => { about_me => 'Hi, I am so and so', skills => ['CSS', 'JavaScript', 'Django'],
            availabilities => [] } }, 'the entry in the directory: skills always as an array');
my $array = call(mentor(skills => ['C', ' Apache httpd ']), GET => '/mentorinfo/')->json;
is_deeply($array->{skills}, ['C', ' Apache httpd '], 'an array is given back as an array');
for my $case ([about_me => 5], [about_me => undef], [skills => 5], [skills => undef], [skills => [1]], [skills => {}],
    [about_me => 'x' x 10001], [skills => [map {"s$_"} 1 .. 51]], [skills => join ',', 1 .. 51], [skills => 'C,' . 'x' x 101],
    [skills => ['x' x 101]], [skills => join '', map { chr 0x4e00 + $_ * 7 } 1 .. 2000]) {
    my ($field, $value) = @$case;
    my $new = signup();
    is_invalid(call($new, POST => '/mentorinfo/', json => { about_me => 'x', skills => 'y', $field => $value }), 'plain', [$field]);
    is_invalid(call($person, PATCH => '/mentorinfoupdate/', json => { $field => $value }), 'plain', [$field]);
}
is_invalid(call(signup(), POST => '/mentorinfo/', json => {}), 'plain', [qw(about_me skills)]);
is_invalid(call($person, PATCH => '/mentorinfoupdate/', json => { skills => $_ }), 'plain', ['skills'], 'skills that are too large')
    for 'x,' x 20000, [' ' x 21000 . 'x'];
is(call($person, PATCH => '/mentorinfoupdate/', json => { skills => [map { sprintf '%s%02d', 'ü' x 98, $_ } 1 .. 50] })->status, 200,
    'fifty skills of a hundred characters');
is_deeply(call($person, PATCH => '/mentorinfoupdate/', json => { skills => ['Python'] })->json,
    { about_me => 'Hi, I am so and so', skills => ['Python'] }, 'PATCH changes what it names');
is_deeply(call($person, PATCH => '/mentorinfoupdate/', json => { about_me => '' })->json, { about_me => '', skills => ['Python'] },
    'and may blank it');

my $mark = unique('skill');
my $both = mentor(skills => "$mark, Übung", about_me => 'both');
my $one = mentor(skills => [uc $mark], about_me => 'one');
sub with { my ($skills) = @_; return call($person, GET => '/mentor/' . URI::Escape::uri_escape_utf8($skills) . '/') }
is_deeply(with($mark)->json, [{ pk => pk($both), about_me => 'both', skills => [$mark, 'Übung'] },
        { pk => pk($one), about_me => 'one', skills => [uc $mark] }], 'by skill, whatever its case');
is_deeply([map { $_->{about_me} } @{ with("ÜBUNG ,$mark")->json }], ['both'], 'all of the skills');
is_deeply(with($_)->json, [], "none has $_") for substr($mark, 0, -1), "$mark x", "$mark,nothing", ',', '%';
is(with("$mark,")->json->[1]{about_me}, 'one', 'an empty skill is none');

# Flags and profiles in step.
is(call($one, PATCH => '/myprofile/', json => { is_mentor => false })->status, 200, 'the flag is cleared');
is_deeply([listed('/mentor/', $one), scalar @{ with($mark)->json }], [undef, 1], 'out of the directory');
is(call($one, GET => '/mentorinfo/')->status, 200, 'the profile is kept');
call($one, PATCH => '/myprofile/', json => { is_mentor => true });
is(listed('/mentor/', $one)->{mentor_profile}{about_me}, 'one', 'and comes back');
my $flagged = signup();
call($flagged, PATCH => '/myprofile/', json => { is_mentor => true, is_mentee => true });
is_deeply(listed('/mentor/', $flagged)->{mentor_profile}, { about_me => '', skills => [], availabilities => [] },
    'a mentor who has not written a profile');
is_deeply(listed('/mentee/', $flagged)->{mentee_profile}, { team_number => undef }, 'a mentee who has none');
call($admin, PATCH => '/api/admin/users/' . pk($one) . '/', json => { is_active => false });
is(listed('/mentor/', $one), undef, 'a deactivated account is not shown');

# ---- mentees ----

my $mentee = signup(first_name => 'Men', last_name => 'Tee');
is(call($mentee, GET => '/menteeinfo/')->body, '[]', 'no profile yet: an empty array');
my $team = call($mentee, POST => '/menteeinfo/', json => { team_number => '4' });
is_deeply([$team->status, $team->json], [201, [{ team_number => 4 }]], 'a number as text; the answer is an array');
is_refusal(call($mentee, POST => '/menteeinfo/', json => { team_number => 5 }), 'plain', 400, qr/already/);
is_deeply(call($mentee, GET => '/menteeinfo/')->json, [{ team_number => 4 }], 'the own profile, in an array');
is_deeply(listed('/mentee/', $mentee), { pk => pk($mentee), username => $mentee->{email}, first_name => 'Men', last_name => 'Tee',
        is_mentee => true, profile_photo => undef, mentee_profile => { team_number => 4 } }, 'the entry in the directory');
is_deeply(call($mentee, PATCH => '/menteeinfoupdate/', json => [{ team_number => '5' }])->json, { team_number => 5 },
    'an array of one object is that object; the answer is an object');
is_deeply(call($mentee, PATCH => '/menteeinfoupdate/', json => { team_number => 6 })->json, { team_number => 6 }, 'an object, too');
is_invalid(call($mentee, PATCH => '/menteeinfoupdate/', json => $_), 'plain', [ref $_ eq 'HASH' || @$_ == 1 ? 'team_number' : 'non_field_errors'])
    for { }, [{}], [], [{ team_number => 1 }, { team_number => 2 }], { team_number => 'x' }, { team_number => -1 },
    { team_number => 1.5 }, { team_number => undef }, { team_number => 2147483648 };
is_deeply([call($mentee, DELETE => '/menteeinfoupdate/')->status, user($mentee->{email})->{is_mentee},
        call($mentee, GET => '/menteeinfo/')->json], [204, 0, []], 'deleting it clears the flag');
is(listed('/mentee/', $mentee), undef, 'out of the directory');

# ---- availabilities ----

my $mentor = mentor();
my $offer = offer($mentor, '2040-02-01T10:00:00Z', '2040-02-01T12:00:00+01:00');
is_deeply([$offer->status, $offer->json], [201, { pk => $offer->json->{pk}, mentor => pk($mentor),
            start_time => '2040-02-01T10:00:00Z', end_time => '2040-02-01T11:00:00Z' }], 'an availability');
is_refusal(offer($mentee, '2040-02-01T10:00:00Z', '2040-02-01T11:00:00Z'), 'plain', 403);
my $exact = mentor();
my $fine = offer($exact, '2040-05-01T10:00:00.678Z', '2040-05-01T11:00:00.678Z')->json;
is_deeply([@$fine{qw(start_time end_time)}], ['2040-05-01T10:00:00Z', '2040-05-01T11:00:00Z'], 'times are kept to the second');
is(offer($exact, $fine->{end_time}, '2040-05-01T12:00:00Z')->status, 201, 'so that what was shown can be sent');
is_invalid(offer($exact, '2040-05-02T10:00:00.1Z', '2040-05-02T10:00:00.9Z'), 'plain', ['non_field_errors'], 'less than a second is nothing');
is_invalid(offer($mentor, @$_), 'plain', ['non_field_errors'], "overlap: @$_") for ['2040-02-01T10:00:00Z', '2040-02-01T11:00:00Z'],
    ['2040-02-01T09:00:00Z', '2040-02-01T10:00:01Z'], ['2040-02-01T10:59:59Z', '2040-02-01T12:00:00Z'],
    ['2040-02-01T09:00:00Z', '2040-02-01T12:00:00Z'], ['2040-02-01T10:15:00Z', '2040-02-01T10:30:00Z'];
is(offer($mentor, @$_)->status, 201, "ends may touch: @$_") for ['2040-02-01T11:00:00Z', '2040-02-01T12:00:00Z'],
    ['2040-02-01T09:00:00Z', '2040-02-01T10:00:00Z'];
is(offer(mentor(), '2040-02-01T10:00:00Z', '2040-02-01T11:00:00Z')->status, 201, 'another mentor at the same time');
is_invalid(offer($mentor, '2040-03-01T10:00:00Z', $_), 'plain', ['non_field_errors'], "the end $_") for '2040-03-01T10:00:00Z',
    '2040-03-01T09:00:00Z';
is_invalid(offer($mentor, '2020-03-01T10:00:00Z', '2020-03-01T11:00:00Z'), 'plain', ['end_time'], 'the end must be ahead');
is(offer($mentor, '2020-03-01T10:00:00Z', '2039-03-01T11:00:00Z')->status, 201, 'the start need not');
is_invalid(call($mentor, POST => '/availabilty/', json => {}), 'plain', [qw(end_time start_time)]);
is_invalid(offer($mentor, 'soon', 5), 'plain', [qw(end_time start_time)]);
my @raced = parallel(12, sub { my ($i) = @_; offer($mentor, '2041-01-01T10:00:00Z', sprintf '2041-01-01T11:%02d:00Z', $i)->status });
is_deeply([sort @raced], [201, (400) x 11], 'twelve that overlap at once: one');

sql("INSERT INTO learnhub.availabilities (mentor_id, starts_at, ends_at) VALUES (?, now() - interval '2 hours', now() - interval '1 hour')",
    pk($both));
offer($both, '2040-02-01T08:00:00Z', '2040-02-01T08:30:00Z');
my $all = call($person, GET => '/availabilty/')->json;
is_deeply([map { keys_of($_) } @$all], [map { [qw(end_time mentor pk start_time)] } @$all], 'keys of the list');
is_deeply([map { $_->{start_time} } @$all], [sort map { $_->{start_time} } @$all], 'by start');
ok(!(grep { $_->{end_time} lt '2030' } @$all), 'none that has ended');
is_deeply(call($person, GET => '/availability/')->json, $all, 'spelled as it should be');
my $some = call($person, GET => '/availabilty/?mentor=' . pk($mentor))->json;
is_deeply($some, [grep { $_->{mentor} == pk($mentor) } @$all], 'of one mentor');
is_deeply(listed('/mentor/', $mentor)->{mentor_profile}{availabilities}, $some, 'the same in the directory');
is_deeply(call($mentor, GET => '/mentorinfo/')->json->{availabilities}, $some, 'and in the own profile');
is_deeply(call($both, GET => '/mentorinfo/')->json->{availabilities}[0]{start_time}, '2040-02-01T08:00:00Z', 'ended ones are not shown');
is_invalid(call($person, GET => '/availabilty/?mentor=x'), 'plain', ['mentor']);
is(call($person, GET => '/availabilty/?mentor=999999999')->body, '[]', 'of nobody');
my $pk = $offer->json->{pk};
is_refusal(call($_, DELETE => "/availabilty/$pk/"), 'plain', 403) for $person, $both;
is_refusal(call($mentor, DELETE => "/availabilty/$_/"), 'plain', 404) for 999999999, 'x';
is(call($mentor, DELETE => "/availabilty/$pk")->status, 204, 'deleted');
is_refusal(call($mentor, DELETE => "/availability/$pk/"), 'plain', 404);
ok(!(grep { $_->{pk} == $pk } @{ call($person, GET => '/availabilty/')->json }), 'it is not shown');
is(offer($mentor, '2040-02-01T10:00:00Z', '2040-02-01T11:00:00Z')->status, 201, 'its time is free again');
is(call($admin, DELETE => "/availability/$some->[0]{pk}/")->status, 204, 'an admin may, too');
call($both, PATCH => '/myprofile/', json => { is_mentor => 'False' });
is(call($person, GET => '/availabilty/?mentor=' . pk($both))->body, '[]', 'nor those of somebody who is no mentor at present');
is_refusal(offer($both, '2042-02-01T10:00:00Z', '2042-02-01T11:00:00Z'), 'plain', 403);

is(call($mentor, DELETE => '/mentorinfoupdate/')->status, 204, 'deleting the profile');
is_deeply([user($mentor->{email})->{is_mentor}, call($person, GET => '/availabilty/?mentor=' . pk($mentor))->json], [0, []],
    'clears the flag and ends the availabilities');
is_refusal(call($mentor, GET => '/mentorinfo/'), 'plain', 404);
is(call($mentor, POST => '/mentorinfo/', json => { about_me => 'again', skills => [] })->status, 201, 'a new profile');
is(call($person, GET => '/availabilty/?mentor=' . pk($mentor))->body, '[]', 'old availabilities do not come back');

# A transaction that has the person's row, and does its work once somebody waits for it.
sub holding {
    my ($who, $work) = @_;
    sql('BEGIN');
    sql('SELECT id FROM learnhub.users WHERE id = ? FOR NO KEY UPDATE', $who);
    sql('SELECT pg_advisory_xact_lock(?)', $who); # says that it has begun
    my $waited = eventually(sub { (sql('SELECT count(*) AS n FROM pg_locks WHERE NOT granted'))[0]{n} });
    $work->();
    sql('COMMIT');
    return $waited;
}
sub held { my ($who) = @_; return (sql("SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND objid::bigint = ?", $who))[0]{n} }

my $stopping = mentor();
my $stopped = pk($stopping);
my $offered = offer($stopping, '2040-02-01T10:00:00Z', '2040-02-01T11:00:00Z')->json->{pk};
my @at_once = parallel(2, sub {
        my ($i) = @_;
        return eventually(sub { held($stopped) }) && call($stopping, DELETE => '/mentorinfoupdate/')->status if $i;
        return holding($stopped, sub {
                sql('SELECT id FROM learnhub.availabilities WHERE id = ? FOR SHARE NOWAIT', $offered); # as a booking does, but nobody may hold it
                sql("INSERT INTO learnhub.availabilities (mentor_id, starts_at, ends_at) VALUES (?, '2040-01-01', '2040-01-02')", $stopped);
        });
});
is_deeply(\@at_once, [1, 204], 'a mentor stops while time is offered and booked');
is((sql('SELECT count(*) AS n FROM learnhub.availabilities WHERE mentor_id = ? AND deleted_at IS NULL', $stopped))[0]{n}, 0,
    'all of it has ended');

# ---- notification settings ----

my $id = pk($mentee);
my %off = map { $_ => false } qw(session_requested session_confirmed session_canceled fifteen_minute_alert sixty_minute_alert);
is_deeply(call($mentee, GET => $_)->json, { pk => $id, user => $id, %off }, "$_: all off at first")
    for '/notificationsettings/', "/notificationsettings/$id", "/notificationsettings/$id/";
my $set = call($mentee, PATCH => "/notificationsettings/$id", json => { sixty_minute_alert => 'True', session_canceled => 1 });
is_deeply([$set->status, $set->json], [200, { pk => $id, user => $id, %off, sixty_minute_alert => true, session_canceled => true }],
    'booleans in any of their forms');
is_deeply(call($mentee, PATCH => "/notificationsettings/$id/", json => { session_canceled => false })->json,
    { pk => $id, user => $id, %off, sixty_minute_alert => true }, 'others stay');
is_deeply(call($mentee, GET => '/notificationsettings/')->json, { pk => $id, user => $id, %off, sixty_minute_alert => true }, 'kept');
is_refusal(call($_, GET => "/notificationsettings/$id"), 'plain', 403) for $person, $admin;
is_refusal(call($person, PATCH => "/notificationsettings/$id", json => { session_canceled => true }), 'plain', 403);
is_deeply(call($mentee, GET => '/notificationsettings/')->json->{session_canceled}, false, 'and nothing has happened');
is_refusal(call($mentee, GET => '/notificationsettings/x'), 'plain', 404);
is_invalid(call($mentee, PATCH => "/notificationsettings/$id", json => { session_requested => 'yes', sixty_minute_alert => 2,
            session_canceled => undef }), 'plain', [qw(session_canceled session_requested sixty_minute_alert)]);

done_testing();

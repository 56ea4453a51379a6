# SPDX-License-Identifier: Apache-2.0
# Coding sessions, the eco-activities that unlock them, and credits: every route, every error, formats, concurrent
# requests, and totals that always equal the sums of the tables.
use strict;
use warnings;
use utf8;

use LearnHub::Coding;
use LearnHub::Stream;
use LearnHub::Test;
use LearnHub::Users;

my $time = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z$/;
my $session_keys = [qw(created_at credits_awarded duration id session_name source status user)];
my $activity_keys = [qw(created_at description duration id kind location performed_at points status user
        verification_proof verified_at)];

my $user = signup();
my $other = signup();
my $admin = signup(role => 'admin');

# Creates a coding session: by => user, and its fields.
sub session {
    my (%over) = @_;
    my $reply = api_as(delete $over{by} || $user, POST => '/api/codingsessions/',
        json => { duration => '01:00:00', source => 'manual', %over });
    $reply->status == 201 or die $reply->summary;
    return $reply->json->{data};
}

# Creates an eco-activity: by => user, and its fields.
sub activity {
    my (%over) = @_;
    my $reply = api_as(delete $over{by} || $user, POST => '/api/ecoactivities/',
        json => { kind => 'walking', duration => '01:00:00', description => 'round the lake', %over });
    $reply->status == 201 or die $reply->summary;
    return $reply->json->{data};
}

sub verify {
    my ($activity, $by) = @_;
    return api_as($by || $admin, POST => "/api/ecoactivities/$activity->{id}/verify/");
}

# The statuses of all sessions of a user, oldest first.
sub statuses {
    my ($owner) = @_;
    return join ' ', map { $_->{status} } @{ api_as($owner, GET => '/api/codingsessions/me/')->json->{data} };
}

# The totals of a user, computed from the tables.
sub computed_totals {
    my ($owner) = @_;
    my $id = user_id($owner);
    my ($row) = sql(q{SELECT (SELECT coalesce(sum(seconds / 1800 * 5), 0) FROM learnhub.coding_sessions
            WHERE user_id = $1 AND status = 'locked') AS locked,
        (SELECT coalesce(sum(seconds / 1800 * 5), 0) FROM learnhub.coding_sessions
            WHERE user_id = $1 AND status = 'unlocked') AS unlocked,
        (SELECT coalesce(sum(amount), 0) FROM learnhub.credit_spendings WHERE user_id = $1) AS spent,
        (SELECT coalesce(sum(a.seconds * k.factor / 3600), 0) FROM learnhub.eco_activities a
            JOIN learnhub.eco_kinds k USING (kind) WHERE a.user_id = $1 AND a.status = 'verified') AS points}, $id);
    return { locked_credits => 0 + $row->{locked}, available_credits => $row->{unlocked} - $row->{spent},
        spent_credits => 0 + $row->{spent}, points_to_unlock => 0 + sprintf '%.6f', $row->{points} - $row->{unlocked} };
}

sub totals_match {
    my ($owner, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $shown = credits($owner);
    return is_deeply({ map { $_ => 0 + $shown->{$_} } keys %$shown }, computed_totals($owner),
        "$name: the totals equal the sums of the tables");
}

my $mine = session();
my @routes = ([GET => '/api/codingsessions/'], [POST => '/api/codingsessions/'], [GET => '/api/codingsessions/me/'],
    [GET => '/api/codingsessions/1'], [PUT => '/api/codingsessions/1'], [PATCH => '/api/codingsessions/1'],
    [DELETE => '/api/codingsessions/1'], [POST => '/api/ecoactivities/'], [GET => '/api/ecoactivities/'],
    [GET => '/api/ecoactivities/1'], [POST => '/api/ecoactivities/1/verify/'], [POST => '/api/ecoactivities/1/reject/'],
    [GET => '/api/credits/me/'], [POST => '/api/credits/spend/']);

subtest 'Every route requires a valid token' => sub {
    is_error(api_as(undef, @$_, json => {}), 'envelope', 401, "$_->[0] $_->[1] without a token is rejected")
        for @routes;
    is_error(api_as({ token => 'x.y.z' }, @$_, json => {}), 'envelope', 401,
        "$_->[0] $_->[1] with an invalid token is rejected") for @routes;
};

subtest 'Ids that are unknown or cannot be parsed return 404' => sub {
    for my $id (999999999, 'x', '-1', '99999999999999999999') {
        is_error(api_as($user, @$_), 'envelope', 404, "$_->[0] $_->[1] is not found")
            for [GET => "/api/codingsessions/$id"], [PATCH => "/api/codingsessions/$id", json => {}],
            [PUT => "/api/codingsessions/$id", json => { duration => '01:00:00', source => 'manual' }],
            [DELETE => "/api/codingsessions/$id"];
        is_error(api_as($admin, POST => "/api/ecoactivities/$id/$_/"), 'envelope', 404,
            "POST /api/ecoactivities/$id/$_/ is not found") for qw(verify reject);
    }
};

subtest 'A session of another user is not found, for admins too' => sub {
    for my $stranger ($other, $admin) {
        is_error(api_as($stranger, @$_), 'envelope', 404, "$_->[0] of another user's session is not found")
            for [GET => "/api/codingsessions/$mine->{id}"],
            [PATCH => "/api/codingsessions/$mine->{id}", json => { session_name => 'x' }],
            [DELETE => "/api/codingsessions/$mine->{id}"],
            [PUT => "/api/codingsessions/$mine->{id}", json => { duration => '01:00:00', source => 'manual' }];
    }
};

my $made;

subtest 'A user records a coding session' => sub {
    $made = data(api_as($user, POST => '/api/codingsessions/',
            json => { duration => '01:30:00', source => 'manual', session_name => ' Django Bäsics ',
                status => 'unlocked', credits_awarded => 1000, user => 1, id => 1 }), 201);
    is_deeply(keys_of($made), $session_keys, 'keys of a session');
    is_deeply([@$made{qw(user session_name duration source status credits_awarded)}],
        [user_id($user), 'Django Bäsics', '01:30:00', 'manual', 'locked', 15],
        'the fields sent are stored, the name is trimmed; status and credits_awarded cannot be set');
    like($made->{created_at}, $time, 'created_at is a UTC time');
    is_deeply(data(api_as($user, GET => "/api/codingsessions/$made->{id}")), $made, 'GET returns the session');
    my %credits_of = ('00:00:01' => 0, '00:29:59' => 0, '00:30:00' => 5, '00:59:59' => 5, '01:00:00' => 10,
        '02:00:00' => 20, '24:00:00' => 240);
    is_deeply([@{ session(duration => $_, by => $other) }{qw(duration credits_awarded)}], [$_, $credits_of{$_}],
        "$_ earns $credits_of{$_} credits: 5 for each complete half hour") for sort keys %credits_of;
    is(session(session_name => '', by => $other)->{session_name}, '', 'session_name may be empty');
    is(session(session_name => 'x' x 250, source => 'github', by => $other)->{source}, 'github',
        'session_name has up to 250 characters, source may be github');
};

subtest 'POST, PUT and PATCH validate every field of a session' => sub {
    for my $case ([duration => '00:00:00'], [duration => '24:00:01'], [duration => '1:00:00'], [duration => '01:60:00'],
        [duration => '01:00'], [duration => 3600], [duration => undef], [duration => ''], [source => 'gitlab'],
        [source => undef], [source => 5], [session_name => 'x' x 251], [session_name => 5]) {
        my ($field, $value) = @$case;
        my %body = (duration => '01:00:00', source => 'manual', $field => $value);
        is_invalid(api_as($user, POST => '/api/codingsessions/', json => \%body), 'envelope', [$field],
            "POST rejects an invalid $field");
        is_invalid(api_as($user, PUT => "/api/codingsessions/$made->{id}", json => \%body), 'envelope', [$field],
            "PUT rejects an invalid $field");
        is_invalid(api_as($user, PATCH => "/api/codingsessions/$made->{id}", json => { $field => $value }), 'envelope',
            [$field], "PATCH rejects an invalid $field");
    }
    is_invalid(api_as($user, @$_, json => {}), 'envelope', [qw(duration source)],
        "$_->[0] requires duration and source") for [POST => '/api/codingsessions/'],
        [PUT => "/api/codingsessions/$made->{id}"];
};

subtest 'PUT and PATCH change a locked session' => sub {
    my $put = data(api_as($user, PUT => "/api/codingsessions/$made->{id}",
            json => { duration => '01:50:00', source => 'github', session_name => 'Refactoring' }));
    is_deeply($put, { %$made, duration => '01:50:00', source => 'github', session_name => 'Refactoring' },
        'PUT replaces the fields; 1:50 h earn 15 credits');
    my $patched = data(api_as($user, PATCH => "/api/codingsessions/$made->{id}/",
            json => { duration => '01:20:00', status => 'unlocked' }));
    is_deeply($patched, { %$put, duration => '01:20:00', credits_awarded => 10 },
        'PATCH changes the duration and therefore the credits; status is read-only');
    is_deeply(data(api_as($user, PATCH => "/api/codingsessions/$made->{id}", json => {})), $patched,
        'PATCH with an empty object changes nothing');
    my $gone = api_as($user, DELETE => "/api/codingsessions/$made->{id}");
    is_deeply([$gone->status, $gone->body], [204, ''], 'a locked session is deleted');
    is_error(api_as($user, GET => "/api/codingsessions/$made->{id}"), 'envelope', 404,
        'a deleted session is not found');
};

my $lister = signup();

subtest 'Lists ascend by id and can be paged' => sub {
    is_deeply(data(api_as($lister, GET => '/api/codingsessions/me/')), [], 'the list of a new user is empty');
    my @own = map { session(by => $lister, session_name => "L$_") } 1 .. 5;
    is_deeply(data(api_as($lister, GET => '/api/codingsessions/me/')), \@own,
        "the list has the caller's sessions, by id");
    is_deeply(data(api_as($lister, GET => "/api/codingsessions/me/?$_->[0]")), [@own[@{ $_->[1] }]],
        "/me/?$_->[0] returns its page") for ['page=1', [0 .. 4]], ['page_size=2', [0, 1]],
        ['page=2&page_size=2', [2, 3]], ['page=3&page_size=2', [4]], ['page_size=1000', [0 .. 4]];
    is_error(api_as($lister, GET => "/api/codingsessions/me/?$_"), 'envelope', 404,
        "a page beyond the end is not found: $_") for 'page=2', 'page=4&page_size=2', 'page=1000000000';
    is_invalid(api_as($lister, GET => "/api/codingsessions/me/?$_"), 'envelope', [/^(\w+)/], "$_ is rejected")
        for 'page=0', 'page=x', 'page_size=0', 'page=-1';
    is(data(api_as(signup(), GET => '/api/codingsessions/me/?page=1'))->[0], undef,
        'the first page of an empty list is empty');
};

subtest 'Users list their own sessions, admins those of all users' => sub {
    is_deeply(data(api_as($lister, GET => "/api/codingsessions/$_")),
        data(api_as($lister, GET => "/api/codingsessions/me/$_")), "a user gets the same list as below me/: '$_'")
        for '', '?page=2&page_size=2';
    is_deeply(data(api_as(signup(), GET => '/api/codingsessions/')), [], 'the list of a new user is empty');
    my $all = data(api_as($admin, GET => '/api/codingsessions/'));
    is_deeply([map { $_->{id} } @$all], [sort { $a <=> $b } map { $_->{id} } @$all], 'all sessions are listed by id');
    is((grep { $_->{user} == user_id($lister) } @$all), 5, 'the list has the sessions of other users');
    is_deeply(data(api_as($admin, GET => '/api/codingsessions/?page=2&page_size=3')), [@$all[3 .. 5]],
        'page and page_size select a page');
};

my $walk;

subtest 'A user records an eco-activity' => sub {
    $walk = data(api_as($user, POST => '/api/ecoactivities/',
            json => { kind => 'hiking', duration => '01:30:00', description => "To the töp\n", status => 'verified',
                points => 1000, performed_at => '2024-05-06T07:08:09+02:00' }), 201);
    is_deeply(keys_of($walk), $activity_keys, 'keys of an activity');
    is_deeply([@$walk{ qw(user kind duration description status points performed_at verified_at location
                    verification_proof) }],
        [user_id($user), 'hiking', '01:30:00', "To the töp\n", 'pending', 18, '2024-05-06T05:08:09Z', undef, '', undef],
        'the fields sent are stored; points are hours times the factor of the kind; status and points cannot be set');
    like($walk->{created_at}, $time, 'created_at is a UTC time');
    my %factor = (hiking => 12, walking => 8, running => 15, cycling => 20, climbing => 25, camping => 10,
        gardening => 7, other => 10);
    is(activity(kind => $_)->{points}, $factor{$_}, "an hour of $_ earns $factor{$_} points") for sort keys %factor;
    is(activity(kind => 'walking', duration => '00:10:00')->{points}, 1.333333, 'points have six decimals');
    is(activity(kind => 'gardening', duration => '00:30:00')->{points}, 3.5,
        'half an hour of gardening earns 3.5 points');
    for my $case ([kind => 'flying'], [kind => undef], [kind => 5], [duration => '00:00:00'], [duration => '25:00:00'],
        [duration => undef],
        [description => undef], [description => {}], [description => 'x' x 2001],
        [performed_at => '2040-01-01T00:00:00Z'], [performed_at => 'then']) {
        my ($field, $value) = @$case;
        is_invalid(api_as($user, POST => '/api/ecoactivities/',
                json => { kind => 'walking', duration => '01:00:00', description => 'x', $field => $value }),
            'envelope', [$field], "an invalid $field is rejected");
    }
    is_invalid(api_as($user, POST => '/api/ecoactivities/', json => {}), 'envelope', [qw(description duration kind)],
        'kind, duration and description are required');
    like(activity(performed_at => undef)->{performed_at}, $time, 'performed_at defaults to now');
};

my $theirs = activity(by => $other);

subtest 'Users see their own activities, admins all' => sub {
    my $list = data(api_as($user, GET => '/api/ecoactivities/'));
    is_deeply([grep { $_->{user} != user_id($user) } @$list], [], "the list has only the caller's activities");
    is_deeply([map { $_->{id} } @$list], [sort { $a <=> $b } map { $_->{id} } @$list], 'the list ascends by id');
    ok((grep { $_->{id} == $theirs->{id} } @{ data(api_as($admin, GET => '/api/ecoactivities/')) }),
        "an admin's list has the activities of other users");
    is_deeply(data(api_as($_, GET => "/api/ecoactivities/$walk->{id}")), $walk, 'owner and admin read an activity')
        for $user, $admin;
    is_error(api_as($other, GET => "/api/ecoactivities/$walk->{id}"), 'envelope', 404,
        "another user's activity is not found");
    is(activity(description => '')->{description}, '', 'a description may be empty');
    is_error(api_as($user, POST => "/api/ecoactivities/999999999/$_/"), 'envelope', 403,
        "only admins $_ activities; a user gets 403 for an unknown id") for qw(verify reject);
};

subtest 'Lists of activities can be paged' => sub {
    my $ecos = data(api_as($user, GET => '/api/ecoactivities/'));
    is_deeply(data(api_as($user, GET => '/api/ecoactivities/?page=2&page_size=3')), [@$ecos[3 .. 5]],
        'page and page_size select a page');
    is_deeply(data(api_as($user, GET => '/api/ecoactivities/?page=2&page_size=3&status=pending')),
        [(grep { $_->{status} eq 'pending' } @$ecos)[3 .. 5]], 'page and status combine');
    is_error(api_as($user, GET => '/api/ecoactivities/?page=99'), 'envelope', 404,
        'a page beyond the end is not found');
    is_error(api_as($user, GET => '/api/ecoactivities/?page=2&status=rejected'), 'envelope', 404,
        'a page beyond the end of a filtered list is not found');
};

subtest 'An admin verifies or rejects an activity once' => sub {
    is_error(api_as($_, POST => "/api/ecoactivities/$walk->{id}/verify/"), 'envelope', 403,
        'users cannot verify activities, not even their own') for $user, $other;
    is_error(api_as($_, POST => "/api/ecoactivities/$walk->{id}/reject/"), 'envelope', 403,
        'users cannot reject activities, not even their own') for $user, $other;
    is_deeply(data(api_as($user, GET => "/api/ecoactivities/$walk->{id}/")), $walk,
        'the decisions of users leave an activity as it was');
    my $verified = data(verify($walk));
    is_deeply($verified, { %$walk, status => 'verified', verified_at => $verified->{verified_at} },
        'a verified activity has its status and time');
    like($verified->{verified_at}, $time, 'verified_at is a UTC time');
    is_error(api_as($admin, POST => "/api/ecoactivities/$walk->{id}/$_/"), 'envelope', 400, qr/already/,
        "$_ after a verification is rejected") for qw(verify reject);
    my $bad = activity();
    is(data(api_as($admin, POST => "/api/ecoactivities/$bad->{id}/reject/"))->{status}, 'rejected',
        'a rejected activity has its status');
    is_error(api_as($admin, POST => "/api/ecoactivities/$bad->{id}/$_/"), 'envelope', 400,
        "$_ after a rejection is rejected") for qw(verify reject);
};

subtest 'Activities are filtered by status' => sub {
    for my $status (qw(pending verified rejected)) {
        is_deeply(data(api_as($user, GET => "/api/ecoactivities/?status=$status")),
            [grep { $_->{status} eq $status } @{ data(api_as($user, GET => '/api/ecoactivities/')) }],
            "users filter their activities by $status");
        ok(!(grep { $_->{status} ne $status } @{ data(api_as($admin, GET => "/api/ecoactivities/?status=$status")) }),
            "an admin filters all activities by $status");
    }
    is_invalid(api_as($user, GET => '/api/ecoactivities/?status=done'), 'envelope', ['status'],
        'an unknown status is rejected');
};

my $saver = signup();

subtest 'Verified points unlock sessions, oldest first, until the first that does not fit' => sub {
    is_deeply(credits($saver), { locked_credits => 0, available_credits => 0, spent_credits => 0,
            points_to_unlock => 0 }, 'all totals of a new user are 0');
    session(by => $saver, duration => $_) for '01:00:00', '00:10:00', '02:00:00', '00:30:00'; # 10, 0, 20 and 5 credits
    is_deeply(credits($saver), { locked_credits => 35, available_credits => 0, spent_credits => 0,
            points_to_unlock => 0 }, 'new sessions are locked');
    verify(activity(by => $saver, kind => 'walking')); # 8
    is_deeply([statuses($saver), credits($saver)->{points_to_unlock}], ['locked locked locked locked', 8],
        'points that do not suffice for the oldest session are kept');
    verify(activity(by => $saver, kind => 'gardening', duration => '00:30:00')); # 3.5
    is_deeply([statuses($saver), credits($saver)], ['unlocked unlocked locked locked',
            { locked_credits => 25, available_credits => 10, spent_credits => 0, points_to_unlock => 1.5 }],
        'the oldest session is unlocked, and the next one, which has 0 credits');
    verify(activity(by => $saver, kind => 'running')); # 15: 16.5 for 20 and 5
    is_deeply([statuses($saver), credits($saver)->{points_to_unlock}], ['unlocked unlocked locked locked', 16.5],
        'the first session that does not fit keeps younger ones locked');
    session(by => $saver, duration => '00:30:00');
    is(statuses($saver), 'unlocked unlocked locked locked locked', 'a new session waits for the next verification');
    verify(activity(by => $saver, kind => 'camping')); # 26.5 for 20, 5 and 5
    is_deeply([statuses($saver), credits($saver)], ['unlocked unlocked unlocked unlocked locked',
            { locked_credits => 5, available_credits => 35, spent_credits => 0, points_to_unlock => 1.5 }],
        'sessions are unlocked as far as the points suffice');
    totals_match($saver, 'after unlocking');
};

subtest 'An unlocked session can be renamed, but neither deleted nor given another duration' => sub {
    my ($unlocked, undef, undef, undef, $locked) = @{ data(api_as($saver, GET => '/api/codingsessions/me/')) };
    is(data(api_as($saver, PATCH => "/api/codingsessions/$unlocked->{id}",
                json => { session_name => 'renamed' }))->{session_name}, 'renamed', 'an unlocked session is renamed');
    is(data(api_as($saver, PUT => "/api/codingsessions/$unlocked->{id}",
                json => { duration => '01:00:00', source => 'github' }))->{source}, 'github',
        'PUT with the same duration is accepted');
    is_invalid(api_as($saver, @$_), 'envelope', ['duration'], "$_->[0] with another duration is rejected")
        for [PATCH => "/api/codingsessions/$unlocked->{id}", json => { duration => '01:00:01' }],
        [PUT => "/api/codingsessions/$unlocked->{id}", json => { duration => '02:00:00', source => 'manual' }];
    is_error(api_as($saver, DELETE => "/api/codingsessions/$unlocked->{id}"), 'envelope', 400,
        'an unlocked session cannot be deleted');
    is_deeply(data(api_as($saver, GET => "/api/codingsessions/$unlocked->{id}")),
        { %$unlocked, session_name => 'renamed', source => 'github' },
        'rejected requests leave an unlocked session as it was');
    is(api_as($saver, DELETE => "/api/codingsessions/$locked->{id}")->status, 204,
        'a locked session of the same user can be deleted');
    totals_match($saver, 'after the changes');
};

subtest 'Available credits can be spent' => sub {
    my $spent = data(api_as($saver, POST => '/api/credits/spend/', json => { amount => 15, reason => ' A sticker ' }),
        201);
    is_deeply(keys_of($spent), [qw(amount available_credits created_at id reason user)], 'keys of a spending');
    is_deeply([@$spent{qw(user amount reason available_credits)}], [user_id($saver), 15, 'A sticker', 20],
        'the response has the amount, the trimmed reason, and the credits left');
    like($spent->{created_at}, $time, 'created_at is a UTC time');
    is_invalid(api_as($saver, POST => '/api/credits/spend/', json => { amount => 21, reason => 'x' }), 'envelope',
        ['amount'], 'more than the available credits is rejected');
    is(data(api_as($saver, POST => '/api/credits/spend/', json => { amount => 20, reason => 'x' }),
            201)->{available_credits}, 0, 'all available credits can be spent');
    is_invalid(api_as($saver, POST => '/api/credits/spend/', json => { amount => $_, reason => 'x' }), 'envelope',
        ['amount'], 'an invalid amount is rejected') for 1, 0, -5, 1.5, '5', undef, 9223372036854775807;
    is_invalid(api_as($saver, POST => '/api/credits/spend/', json => {}), 'envelope', [qw(amount reason)],
        'amount and reason are required');
    is_invalid(api_as($saver, POST => '/api/credits/spend/', json => { amount => 1, reason => $_ }), 'envelope',
        ['reason'], 'an invalid reason is rejected') for '', ' ', 'x' x 251, 5;
    totals_match($saver, 'after spending');
};

my $racer = signup();
session(by => $racer, duration => '00:30:00') for 1 .. 12;
my @thirds = map { activity(by => $racer, kind => 'walking', duration => '00:10:00') } 1 .. 20; # 4/3 of a point each

my @statuses;

subtest 'Concurrent verifications lose no points and unlock no session twice' => sub {
    @statuses = map { $_->{status} } parallel(20, sub { my ($i) = @_; verify($thirds[$i]) });
    is_deeply([@statuses], [(200) x 20], '20 concurrent verifications succeed');
    is_deeply(credits($racer), { locked_credits => 35, available_credits => 25, spent_credits => 0,
            points_to_unlock => 1.666667 }, '80 thirds of a point unlock five sessions, and no fraction is lost');
    totals_match($racer, 'after concurrent verifications');
    is(statuses($racer), join(' ', ('unlocked') x 5, ('locked') x 7), 'the five oldest sessions are unlocked');
};

# The number of database locks of a kind.
sub locks { my ($which) = @_; return (sql("SELECT count(*) AS n FROM pg_locks WHERE $which"))[0]{n} }

# The verification waits for the older session; the change of the younger session waits for the verification.
subtest 'A change that waits for a verification is rejected once the session is unlocked' => sub {
    for my $change ([PATCH => json => { duration => '00:10:00' }], [PATCH => json => { duration => '05:00:00' }],
        ['DELETE']) {
        my ($method, @with) = @$change;
        my $late = signup();
        my ($held, $next) = map { session(by => $late)->{id} } 1, 2;
        my $pending = activity(by => $late, kind => 'cycling');
        my (undef, @replies) = parallel 3, sub {
            my ($i) = @_;
            if (!$i) { # holds the older session until both wait
                my $database = database();
                $database->begin_work;
                sql('SELECT 1 FROM learnhub.coding_sessions WHERE id = ? FOR UPDATE', $held);
                sql('SELECT pg_advisory_xact_lock(1)');
                eventually(sub { locks('NOT granted') >= 2 });
                return $database->rollback;
            }
            eventually(sub { locks(q(locktype = 'advisory')) });
            return verify($pending) if $i == 1;
            eventually(sub { locks('NOT granted') });
            return api_as($late, $method => "/api/codingsessions/$next", @with);
        };
        is_deeply([sort map { $_->{status} } @replies], [200, 400], "$method during a verification is rejected");
        is(statuses($late), 'unlocked unlocked', "$method during a verification: both sessions are unlocked");
        totals_match($late, "$method during a verification");
    }
};

subtest 'Concurrent decisions on one activity take effect once' => sub {
    my $twice = activity(by => $racer, kind => 'climbing');
    @statuses = sort map { $_->{status} } parallel(20, sub { verify($twice) });
    is_deeply(\@statuses, [200, (400) x 19], 'of 20 concurrent verifications of one activity one succeeds');
    is_deeply(credits($racer), { locked_credits => 10, available_credits => 50, spent_credits => 0,
            points_to_unlock => 1.666667 }, 'the points are counted once');
    my $either = activity(by => $racer);
    @statuses = sort map { $_->{status} } parallel(10,
        sub { api_as($admin, POST => "/api/ecoactivities/$either->{id}/" . ($_[0] % 2 ? 'verify/' : 'reject/')) });
    is_deeply(\@statuses, [200, (400) x 9], 'of concurrent verifications and rejections of one activity one succeeds');
};

subtest 'Concurrent spending never exceeds the available credits' => sub {
    @statuses = sort map { $_->{status} } parallel(16,
        sub { api_as($racer, POST => '/api/credits/spend/', json => { amount => 7, reason => 'r' }) });
    my $earned = credits($racer)->{available_credits} + credits($racer)->{spent_credits};
    is((grep { $_ == 201 } @statuses), int($earned / 7), 'as many requests succeed as there are credits for');
    cmp_ok(credits($racer)->{available_credits}, '>=', 0, 'the available credits are not negative');
    totals_match($racer, 'after concurrent spending');
};

subtest 'Verifying while sessions are changed, deleted and added keeps the order' => sub {
    my @last = grep { $_->{status} eq 'locked' } @{ data(api_as($racer, GET => '/api/codingsessions/me/')) };
    my @more = map { activity(by => $racer, kind => 'climbing') } 1 .. 4;
    parallel 12, sub {
        my ($i) = @_;
        return verify($more[$i])->status if $i < 4;
        return api_as($racer, PATCH => "/api/codingsessions/$last[0]{id}", json => { duration => "0$i:00:00" })->status
            if $i < 8;
        return api_as($racer, DELETE => "/api/codingsessions/$last[-1]{id}")->status if $i < 10;
        return api_as($racer, POST => '/api/codingsessions/',
            json => { duration => '03:00:00', source => 'manual' })->status;
    };
    totals_match($racer, 'after concurrent changes');
    my ($early) = sql("SELECT count(*) AS n FROM learnhub.coding_sessions WHERE user_id = ? AND status = 'locked'
        AND id < (SELECT max(id) FROM learnhub.coding_sessions WHERE user_id = ? AND status = 'unlocked')",
        user_id($racer), user_id($racer));
    is($early->{n}, 0, 'no session is unlocked before an older one');
};

subtest 'With LearnHubEcoVerify Self, owners verify their activities' => sub {
    my $self_verify = second_httpd("LearnHubEcoVerify Self\n");
    my $trusted = activity(by => $other);
    is(api_as($other, POST => "/api/ecoactivities/$trusted->{id}/verify/", port => $self_verify->port)->status, 200,
        'the owner verifies an activity');
    is(api_as($other, POST => '/api/ecoactivities/' . activity(by => $other)->{id} . '/reject/',
            port => $self_verify->port)->status, 200, 'the owner rejects an activity');
    is_error(api_as($user, POST => '/api/ecoactivities/' . activity(by => $other)->{id} . '/verify/',
            port => $self_verify->port), 'envelope', 404, "another user's activity is not found");
    is(api_as($admin, POST => '/api/ecoactivities/' . activity(by => $other)->{id} . '/verify/',
            port => $self_verify->port)->status, 200, 'an admin verifies an activity');
    for my $wrong ('LearnHubEcoVerify nobody', 'LearnHubEcoVerify', 'LearnHubEcoVerify admin self') {
        my ($code, $output) = configtest("$wrong\n");
        ok($code != 0 && $output =~ /LearnHubEcoVerify: must be one of: admin self/, "configtest rejects \"$wrong\"")
            || diag($output);
    }
};

subtest 'A long list is streamed in limited memory' => sub {
    sql("INSERT INTO learnhub.coding_sessions (user_id, session_name, seconds, source)
        SELECT ?, repeat('n', 100), 1800 + n % 3600, 'github' FROM generate_series(1, 200000) n", user_id($lister));
    my $before = resident();
    my ($status, $received, $most) = receive_measured($admin, '/api/codingsessions/');
    is($status, 200, 'an admin lists all sessions');
    my $decoded = JSON::XS::decode_json($received);
    cmp_ok(scalar @{ $decoded->{data} }, '>', 200_000, 'more than 200,000 sessions are received');
    is($decoded->{success}, true, 'the response reports success');
    is($decoded->{data}[-1]{id}, (sql('SELECT max(id) AS id FROM learnhub.coding_sessions'))[0]{id},
        'the list ends with the newest session');
    cmp_ok($before, '>', 0, 'the memory of the processes is measured');
    cmp_ok($most - $before, '<', 12_000, 'a process grows by less than 12 MB');
    is(data(api_as($admin, GET => '/api/codingsessions/?page=2000&page_size=100'))->[0]{user}, user_id($lister),
        'a page far into the list is returned');
};

done_testing();

# SPDX-License-Identifier: Apache-2.0
# Coding: sessions, eco-activities that unlock them, credits: every operation, every documented error, formats, the races,
# and totals that always equal what the rows say.
use strict;
use warnings;
use utf8;

use LearnHub::Test;

my $time = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z$/;
my $session_keys = [qw(created_at credits_awarded duration id session_name source status user)];
my $activity_keys = [qw(created_at description duration id kind performed_at points status user verified_at)];

my $user = signup();
my $other = signup();
my $admin = signup(role => 'admin');

sub call { my ($who, $method, $path, %with) = @_; return api($method, "/api/$path", $who ? (token => $who->{token}) : (), %with) }

sub pk { my ($who) = @_; return $who->{pk} ||= user($who->{email})->{id} }

# The data of an answer in the envelope.
sub data {
    my ($reply, $status) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $json = $reply->json;
    ok($reply->status == ($status || 200) && ref $json eq 'HASH' && "@{keys_of($json)}" eq 'data success' && $json->{success},
        $reply->name . ': the envelope') || diag($reply->summary);
    return $json->{data};
}

sub session {
    my (%over) = @_;
    my $reply = call(delete $over{by} || $user, POST => 'codingsessions/', json => { duration => '01:00:00', source => 'manual', %over });
    $reply->status == 201 or die $reply->summary;
    return $reply->json->{data};
}

sub activity {
    my (%over) = @_;
    my $reply = call(delete $over{by} || $user, POST => 'ecoactivities/',
        json => { kind => 'walking', duration => '01:00:00', description => 'round the lake', %over });
    $reply->status == 201 or die $reply->summary;
    return $reply->json->{data};
}

sub verify { my ($activity, $by) = @_; return call($by || $admin, POST => "ecoactivities/$activity->{id}/verify/") }

sub credits { my ($who) = @_; return call($who, GET => 'credits/me/')->json->{data} }

sub statuses { my ($who) = @_; return join ' ', map { $_->{status} } @{ call($who, GET => 'codingsessions/me/')->json->{data} } }

# The totals, counted another way.
sub recounted {
    my ($who) = @_;
    my $id = pk($who);
    my ($row) = sql(q{SELECT (SELECT coalesce(sum(seconds / 1800 * 5), 0) FROM learnhub.coding_sessions WHERE user_id = $1 AND status = 'locked') AS locked,
        (SELECT coalesce(sum(seconds / 1800 * 5), 0) FROM learnhub.coding_sessions WHERE user_id = $1 AND status = 'unlocked') AS unlocked,
        (SELECT coalesce(sum(amount), 0) FROM learnhub.credit_spendings WHERE user_id = $1) AS spent,
        (SELECT coalesce(sum(a.seconds * k.factor / 3600), 0) FROM learnhub.eco_activities a JOIN learnhub.eco_kinds k USING (kind)
            WHERE a.user_id = $1 AND a.status = 'verified') AS points}, $id);
    return { locked_credits => 0 + $row->{locked}, available_credits => $row->{unlocked} - $row->{spent}, spent_credits => 0 + $row->{spent},
        points_to_unlock => 0 + sprintf '%.6f', $row->{points} - $row->{unlocked} };
}

sub adds_up {
    my ($who, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $said = credits($who);
    return is_deeply({ map { $_ => 0 + $said->{$_} } keys %$said }, recounted($who), "$name: the totals are what the rows say");
}

# ---- without a token, for others, for what is not there ----

my $mine = session();
my @operations = ([GET => 'codingsessions/'], [POST => 'codingsessions/'], [GET => 'codingsessions/me/'], [GET => 'codingsessions/1'],
    [PUT => 'codingsessions/1'], [PATCH => 'codingsessions/1'], [DELETE => 'codingsessions/1'], [POST => 'ecoactivities/'],
    [GET => 'ecoactivities/'], [GET => 'ecoactivities/1'], [POST => 'ecoactivities/1/verify/'], [POST => 'ecoactivities/1/reject/'], [GET => 'credits/me/'],
    [POST => 'credits/spend/']);
is_refusal(call(undef, @$_, json => {}), 'coding', 401) for @operations;
is_refusal(call({ token => 'x.y.z' }, @$_, json => {}), 'coding', 401) for @operations;
for my $id (999999999, 'x', '-1', '99999999999999999999') {
    is_refusal(call($user, @$_), 'coding', 404) for [GET => "codingsessions/$id"], [PATCH => "codingsessions/$id", json => {}],
        [PUT => "codingsessions/$id", json => { duration => '01:00:00', source => 'manual' }], [DELETE => "codingsessions/$id"];
    is_refusal(call($admin, POST => "ecoactivities/$id/$_/"), 'coding', 404) for qw(verify reject);
}
for my $stranger ($other, $admin) {
    is_refusal(call($stranger, @$_), 'coding', 404) for [GET => "codingsessions/$mine->{id}"],
        [PATCH => "codingsessions/$mine->{id}", json => { session_name => 'x' }], [DELETE => "codingsessions/$mine->{id}"],
        [PUT => "codingsessions/$mine->{id}", json => { duration => '01:00:00', source => 'manual' }];
}

# ---- sessions ----

my $made = data(call($user, POST => 'codingsessions/', json => { duration => '01:30:00', source => 'manual', session_name => ' Django Bäsics ',
            status => 'unlocked', credits_awarded => 1000, user => 1, id => 1 }), 201);
is_deeply(keys_of($made), $session_keys, 'keys of a session');
is_deeply([@$made{qw(user session_name duration source status credits_awarded)}],
    [pk($user), 'Django Bäsics', '01:30:00', 'manual', 'locked', 15], 'what was sent; credits and status are not the client\'s');
like($made->{created_at}, $time, 'form of created_at');
is_deeply(data(call($user, GET => "codingsessions/$made->{id}")), $made, 'read');
my %worth = ('00:00:01' => 0, '00:29:59' => 0, '00:30:00' => 5, '00:59:59' => 5, '01:00:00' => 10, '02:00:00' => 20, '24:00:00' => 240);
is_deeply([@{ session(duration => $_, by => $other) }{qw(duration credits_awarded)}], [$_, $worth{$_}], "$_ is worth $worth{$_}") for sort keys %worth;
is(session(session_name => '', by => $other)->{session_name}, '', 'a name may be empty');
is(session(session_name => 'x' x 250, source => 'github', by => $other)->{source}, 'github', '250 characters, from github');
for my $case ([duration => '00:00:00'], [duration => '24:00:01'], [duration => '1:00:00'], [duration => '01:60:00'], [duration => '01:00'],
    [duration => 3600], [duration => undef], [duration => ''], [source => 'gitlab'], [source => undef], [source => 5],
    [session_name => 'x' x 251], [session_name => 5]) {
    my ($field, $value) = @$case;
    my %body = (duration => '01:00:00', source => 'manual', $field => $value);
    is_invalid(call($user, POST => 'codingsessions/', json => \%body), 'coding', [$field]);
    is_invalid(call($user, PUT => "codingsessions/$made->{id}", json => \%body), 'coding', [$field]);
    is_invalid(call($user, PATCH => "codingsessions/$made->{id}", json => { $field => $value }), 'coding', [$field]);
}
is_invalid(call($user, @$_, json => {}), 'coding', [qw(duration source)]) for [POST => 'codingsessions/'], [PUT => "codingsessions/$made->{id}"];
my $put = data(call($user, PUT => "codingsessions/$made->{id}", json => { duration => '01:50:00', source => 'github', session_name => 'Refactoring' }));
is_deeply($put, { %$made, duration => '01:50:00', source => 'github', session_name => 'Refactoring' }, 'PUT: 15 credits still');
my $patched = data(call($user, PATCH => "codingsessions/$made->{id}/", json => { duration => '01:20:00', status => 'unlocked' }));
is_deeply($patched, { %$put, duration => '01:20:00', credits_awarded => 10 }, 'PATCH: credits follow the duration');
is_deeply(data(call($user, PATCH => "codingsessions/$made->{id}", json => {})), $patched, 'a PATCH of nothing');
my $gone = call($user, DELETE => "codingsessions/$made->{id}");
is_deeply([$gone->status, $gone->body], [204, ''], 'a locked one is deleted');
is_refusal(call($user, GET => "codingsessions/$made->{id}"), 'coding', 404);

# ---- lists ----

my $lister = signup();
is_deeply(data(call($lister, GET => 'codingsessions/me/')), [], 'none yet');
my @own = map { session(by => $lister, session_name => "L$_") } 1 .. 5;
is_deeply(data(call($lister, GET => 'codingsessions/me/')), \@own, 'the own, by id');
is_deeply(data(call($lister, GET => "codingsessions/me/?$_->[0]")), [@own[@{ $_->[1] }]], $_->[0]) for ['page=1', [0 .. 4]],
    ['page_size=2', [0, 1]], ['page=2&page_size=2', [2, 3]], ['page=3&page_size=2', [4]], ['page_size=1000', [0 .. 4]];
is_refusal(call($lister, GET => "codingsessions/me/?$_"), 'coding', 404) for 'page=2', 'page=4&page_size=2', 'page=1000000000';
is_invalid(call($lister, GET => "codingsessions/me/?$_"), 'coding', [/^(\w+)/]) for 'page=0', 'page=x', 'page_size=0', 'page=-1';
is(data(call(signup(), GET => 'codingsessions/me/?page=1'))->[0], undef, 'the first page of nothing');
is_refusal(call($user, GET => 'codingsessions/'), 'coding', 403);
my $all = data(call($admin, GET => 'codingsessions/'));
is_deeply([map { $_->{id} } @$all], [sort { $a <=> $b } map { $_->{id} } @$all], 'all, by id');
is((grep { $_->{user} == pk($lister) } @$all), 5, 'of everybody');
is_deeply(data(call($admin, GET => 'codingsessions/?page=2&page_size=3')), [@$all[3 .. 5]], 'a page of all');

# ---- eco-activities ----

my $walk = data(call($user, POST => 'ecoactivities/', json => { kind => 'hiking', duration => '01:30:00', description => "To the töp\n",
            status => 'verified', points => 1000, performed_at => '2024-05-06T07:08:09+02:00' }), 201);
is_deeply(keys_of($walk), $activity_keys, 'keys of an activity');
is_deeply([@$walk{qw(user kind duration description status points performed_at verified_at)}],
    [pk($user), 'hiking', '01:30:00', "To the töp\n", 'pending', 18, '2024-05-06T05:08:09Z', undef], 'what was sent; points are hours by factor');
like($walk->{created_at}, $time, 'form of created_at');
my %factor = (hiking => 12, walking => 8, running => 15, cycling => 20, climbing => 25, camping => 10, gardening => 7, other => 10);
is(activity(kind => $_)->{points}, $factor{$_}, "an hour of $_") for sort keys %factor;
is(activity(kind => 'walking', duration => '00:10:00')->{points}, 1.333333, 'a third of a point');
is(activity(kind => 'gardening', duration => '00:30:00')->{points}, 3.5, 'half of one');
for my $case ([kind => 'flying'], [kind => undef], [kind => 5], [duration => '00:00:00'], [duration => '25:00:00'], [duration => undef],
    [description => undef], [description => {}], [description => 'x' x 2001], [performed_at => '2040-01-01T00:00:00Z'], [performed_at => 'then']) {
    my ($field, $value) = @$case;
    is_invalid(call($user, POST => 'ecoactivities/', json => { kind => 'walking', duration => '01:00:00', description => 'x', $field => $value }),
        'coding', [$field]);
}
is_invalid(call($user, POST => 'ecoactivities/', json => {}), 'coding', [qw(description duration kind)]);
like(activity(performed_at => undef)->{performed_at}, $time, 'performed now');

my $theirs = activity(by => $other);
my $list = data(call($user, GET => 'ecoactivities/'));
is_deeply([grep { $_->{user} != pk($user) } @$list], [], 'the caller\'s');
is_deeply([map { $_->{id} } @$list], [sort { $a <=> $b } map { $_->{id} } @$list], 'by id');
ok((grep { $_->{id} == $theirs->{id} } @{ data(call($admin, GET => 'ecoactivities/')) }), 'admins see everybody\'s');
is_deeply(data(call($_, GET => "ecoactivities/$walk->{id}")), $walk, 'one, for its owner and admins') for $user, $admin;
is_refusal(call($other, GET => "ecoactivities/$walk->{id}"), 'coding', 404);
is(activity(description => '')->{description}, '', 'a description may be empty');
is_refusal(call($user, POST => "ecoactivities/999999999/$_/"), 'coding', 403) for qw(verify reject);
my $ecos = data(call($user, GET => 'ecoactivities/'));
is_deeply(data(call($user, GET => 'ecoactivities/?page=2&page_size=3')), [@$ecos[3 .. 5]], 'a page of activities');
is_deeply(data(call($user, GET => 'ecoactivities/?page=2&page_size=3&status=pending')), [(grep { $_->{status} eq 'pending' } @$ecos)[3 .. 5]],
    'a page of those that wait');
is_refusal(call($user, GET => 'ecoactivities/?page=99'), 'coding', 404);
is_refusal(call($user, GET => 'ecoactivities/?page=2&status=rejected'), 'coding', 404);
is_refusal(call($_, POST => "ecoactivities/$walk->{id}/verify/"), 'coding', 403) for $user, $other;
is_refusal(call($_, POST => "ecoactivities/$walk->{id}/reject/"), 'coding', 403) for $user, $other;
my $verified = data(verify($walk));
is_deeply($verified, { %$walk, status => 'verified', verified_at => $verified->{verified_at} }, 'verified');
like($verified->{verified_at}, $time, 'form of verified_at');
is_refusal(call($admin, POST => "ecoactivities/$walk->{id}/$_/"), 'coding', 400, qr/already/) for qw(verify reject);
my $bad = activity();
is(data(call($admin, POST => "ecoactivities/$bad->{id}/reject/"))->{status}, 'rejected', 'rejected');
is_refusal(call($admin, POST => "ecoactivities/$bad->{id}/$_/"), 'coding', 400) for qw(verify reject);

for my $status (qw(pending verified rejected)) {
    is_deeply(data(call($user, GET => "ecoactivities/?status=$status")), [grep { $_->{status} eq $status } @{ data(call($user, GET => 'ecoactivities/')) }],
        "filter $status");
    ok(!(grep { $_->{status} ne $status } @{ data(call($admin, GET => "ecoactivities/?status=$status")) }), "an admin's filter $status");
}
is_invalid(call($user, GET => 'ecoactivities/?status=done'), 'coding', ['status']);

# ---- unlocking: the oldest first, until the first that does not fit ----

my $saver = signup();
is_deeply(credits($saver), { locked_credits => 0, available_credits => 0, spent_credits => 0, points_to_unlock => 0 }, 'nothing yet');
session(by => $saver, duration => $_) for '01:00:00', '00:10:00', '02:00:00', '00:30:00'; # 10, 0, 20 and 5 credits
is_deeply(credits($saver), { locked_credits => 35, available_credits => 0, spent_credits => 0, points_to_unlock => 0 }, 'all is locked');
verify(activity(by => $saver, kind => 'walking')); # 8
is_deeply([statuses($saver), credits($saver)->{points_to_unlock}], ['locked locked locked locked', 8], 'too little for the oldest: the points stay');
verify(activity(by => $saver, kind => 'gardening', duration => '00:30:00')); # 3.5
is_deeply([statuses($saver), credits($saver)], ['unlocked unlocked locked locked',
        { locked_credits => 25, available_credits => 10, spent_credits => 0, points_to_unlock => 1.5 }], 'the oldest, and one that costs nothing');
verify(activity(by => $saver, kind => 'running')); # 15: 16.5 for 20 and 5
is_deeply([statuses($saver), credits($saver)->{points_to_unlock}], ['unlocked unlocked locked locked', 16.5],
    'the first that does not fit holds up the others');
session(by => $saver, duration => '00:30:00');
is(statuses($saver), 'unlocked unlocked locked locked locked', 'a new session waits for the next verification');
verify(activity(by => $saver, kind => 'camping')); # 26.5 for 20, 5 and 5
is_deeply([statuses($saver), credits($saver)], ['unlocked unlocked unlocked unlocked locked',
        { locked_credits => 5, available_credits => 35, spent_credits => 0, points_to_unlock => 1.5 }], 'as far as they go');
adds_up($saver, 'unlocked');
my ($open, undef, undef, undef, $shut) = @{ data(call($saver, GET => 'codingsessions/me/')) };
is(data(call($saver, PATCH => "codingsessions/$open->{id}", json => { session_name => 'renamed' }))->{session_name}, 'renamed', 'an unlocked one is renamed');
is(data(call($saver, PUT => "codingsessions/$open->{id}", json => { duration => '01:00:00', source => 'github' }))->{source}, 'github',
    'its duration sent as it is');
is_invalid(call($saver, @$_), 'coding', ['duration']) for [PATCH => "codingsessions/$open->{id}", json => { duration => '01:00:01' }],
    [PUT => "codingsessions/$open->{id}", json => { duration => '02:00:00', source => 'manual' }];
is_refusal(call($saver, DELETE => "codingsessions/$open->{id}"), 'coding', 400);
is(call($saver, DELETE => "codingsessions/$shut->{id}")->status, 204, 'a locked one goes');
adds_up($saver, 'after all that');

# ---- spending ----

my $spent = data(call($saver, POST => 'credits/spend/', json => { amount => 15, reason => ' A sticker ' }), 201);
is_deeply(keys_of($spent), [qw(amount available_credits created_at id reason user)], 'keys of a spending');
is_deeply([@$spent{qw(user amount reason available_credits)}], [pk($saver), 15, 'A sticker', 20], 'spent; what is left');
like($spent->{created_at}, $time, 'form of created_at');
is_invalid(call($saver, POST => 'credits/spend/', json => { amount => 21, reason => 'x' }), 'coding', ['amount'], 'too few');
is(data(call($saver, POST => 'credits/spend/', json => { amount => 20, reason => 'x' }), 201)->{available_credits}, 0, 'the last of them');
is_invalid(call($saver, POST => 'credits/spend/', json => { amount => $_, reason => 'x' }), 'coding', ['amount']) for 1, 0, -5, 1.5, '5', undef,
    9223372036854775807;
is_invalid(call($saver, POST => 'credits/spend/', json => {}), 'coding', [qw(amount reason)]);
is_invalid(call($saver, POST => 'credits/spend/', json => { amount => 1, reason => $_ }), 'coding', ['reason']) for '', ' ', 'x' x 251, 5;
adds_up($saver, 'spent');

# ---- races ----

my $racer = signup();
session(by => $racer, duration => '00:30:00') for 1 .. 12;
my @thirds = map { activity(by => $racer, kind => 'walking', duration => '00:10:00') } 1 .. 20; # 4/3 of a point each
my @answers = map { $_->{status} } parallel(20, sub { my ($i) = @_; verify($thirds[$i]) });
is_deeply([@answers], [(200) x 20], 'twenty are verified at the same instant');
is_deeply(credits($racer), { locked_credits => 35, available_credits => 25, spent_credits => 0, points_to_unlock => 1.666667 },
    '80 thirds of a point unlock five sessions, and no fraction is lost');
adds_up($racer, 'raced');
is(statuses($racer), 'unlocked unlocked unlocked unlocked unlocked locked locked locked locked locked locked locked', 'the five oldest');

# A verification, and at once a change of the next session that waits for it: the change comes too late.
sub locks { my ($which) = @_; return (sql("SELECT count(*) AS n FROM pg_locks WHERE $which"))[0]{n} }

for my $change ([PATCH => json => { duration => '00:10:00' }], [PATCH => json => { duration => '05:00:00' }], ['DELETE']) {
    my ($method, @with) = @$change;
    my $late = signup();
    my ($held, $next) = map { session(by => $late)->{id} } 1, 2;
    my $given = activity(by => $late, kind => 'cycling');
    my (undef, @came) = parallel(3, sub {
            my ($i) = @_;
            if (!$i) { # holds the older session until both wait
                my $database = LearnHub::Test::database();
                $database->begin_work;
                sql('SELECT 1 FROM learnhub.coding_sessions WHERE id = ? FOR UPDATE', $held);
                sql('SELECT pg_advisory_xact_lock(1)');
                eventually(sub { locks('NOT granted') >= 2 });
                return $database->rollback;
            }
            eventually(sub { locks(q(locktype = 'advisory')) });
            return verify($given) if $i == 1;
            eventually(sub { locks('NOT granted') });
            return call($late, $method => "codingsessions/$next", @with);
    });
    is_deeply([sort map { $_->{status} } @came], [200, 400], "$method behind a verification comes too late");
    is(statuses($late), 'unlocked unlocked', 'both are unlocked');
    adds_up($late, "$method behind a verification");
}

my $twice = activity(by => $racer, kind => 'climbing');
@answers = sort map { $_->{status} } parallel(20, sub { verify($twice) });
is_deeply(\@answers, [200, (400) x 19], 'one is verified twenty times at once: once');
is_deeply(credits($racer), { locked_credits => 10, available_credits => 50, spent_credits => 0, points_to_unlock => 1.666667 }, 'and counted once');
my $either = activity(by => $racer);
@answers = sort map { $_->{status} } parallel(10, sub { my ($i) = @_; call($admin, POST => "ecoactivities/$either->{id}/" . ($i % 2 ? 'verify/' : 'reject/')) });
is_deeply(\@answers, [200, (400) x 9], 'verified and rejected at once: one of both');
@answers = sort map { $_->{status} } parallel(16, sub { call($racer, POST => 'credits/spend/', json => { amount => 7, reason => 'r' }) });
is((grep { $_ == 201 } @answers), int((credits($racer)->{available_credits} + credits($racer)->{spent_credits}) / 7), 'spent at once: as often as there is enough');
cmp_ok(credits($racer)->{available_credits}, '>=', 0, 'never below zero');
adds_up($racer, 'spent at once');
my @last = grep { $_->{status} eq 'locked' } @{ data(call($racer, GET => 'codingsessions/me/')) };
my @more = map { activity(by => $racer, kind => 'climbing') } 1 .. 4;
parallel(12, sub {
        my ($i) = @_;
        return verify($more[$i])->status if $i < 4;
        return call($racer, PATCH => "codingsessions/$last[0]{id}", json => { duration => "0$i:00:00" })->status if $i < 8;
        return call($racer, DELETE => "codingsessions/$last[-1]{id}")->status if $i < 10;
        return call($racer, POST => 'codingsessions/', json => { duration => '03:00:00', source => 'manual' })->status;
});
adds_up($racer, 'verified while sessions change and go');
is((sql("SELECT count(*) AS n FROM learnhub.coding_sessions WHERE user_id = ? AND status = 'locked'
    AND id < (SELECT max(id) FROM learnhub.coding_sessions WHERE user_id = ? AND status = 'unlocked')", pk($racer), pk($racer)))[0]{n}, 0,
    'no younger one goes before an older one');

# ---- where owners verify their own ----

my $trusting = second_httpd("LearnHubEcoVerify Self\n");
my $trusted = activity(by => $other);
is(call($other, POST => "ecoactivities/$trusted->{id}/verify/", port => $trusting->port)->status, 200, 'the owner verifies');
is(call($other, POST => 'ecoactivities/' . activity(by => $other)->{id} . '/reject/', port => $trusting->port)->status, 200, 'or rejects');
is_refusal(call($user, POST => 'ecoactivities/' . activity(by => $other)->{id} . '/verify/', port => $trusting->port), 'coding', 404);
is(call($admin, POST => 'ecoactivities/' . activity(by => $other)->{id} . '/verify/', port => $trusting->port)->status, 200, 'an admin still may');
for my $wrong ('LearnHubEcoVerify nobody', 'LearnHubEcoVerify', 'LearnHubEcoVerify admin self') {
    my ($code, $said) = configtest("$wrong\n");
    ok($code != 0 && $said =~ /LearnHubEcoVerify takes one of: admin self/, "configtest: $wrong") || diag($said);
}

# ---- a list that is longer than a process should grow ----

sql("INSERT INTO learnhub.coding_sessions (user_id, session_name, seconds, source) SELECT ?, repeat('n', 100), 1800 + n % 3600, 'github'
    FROM generate_series(1, 200000) n", pk($lister));
my $before = resident();
my ($received, $most, $count) = ('', 0, 0);
my $reply = LearnHub::Test::agent()->get('http://127.0.0.1:' . port() . '/api/codingsessions/', Authorization => "Bearer $admin->{token}",
    ':content_cb' => sub {
        $received .= $_[0];
        $most = resident() if ++$count % 500 == 0 && resident() > $most;
    });
is($reply->code, 200, 'an admin asks for everybody\'s');
my $decoded = JSON::XS::decode_json($received);
cmp_ok(scalar @{ $decoded->{data} }, '>', 200_000, 'more than 200,000 arrive');
is($decoded->{success}, true, 'in their envelope');
is($decoded->{data}[-1]{id}, (sql('SELECT max(id) AS id FROM learnhub.coding_sessions'))[0]{id}, 'to the last');
cmp_ok($before, '>', 0, 'the processes are found');
cmp_ok($most - $before, '<', 12_000, 'and stay small: KB more than before');
is(data(call($admin, GET => 'codingsessions/?page=2000&page_size=100'))->[0]{user}, pk($lister), 'a page far behind');

done_testing();

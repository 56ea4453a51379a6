# SPDX-License-Identifier: Apache-2.0
# The xp API: goals, activities, sessions and the ledger; every refusal; registrations and completions in any order.
use strict;
use warnings;
use utf8;

use LearnHub::Test;

my $uuid = qr/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
my $time = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
my $nowhere = '00000000-0000-4000-8000-000000000000';
my @parts = map {"xp_$_"} qw(physique energy logic creativity social);
my @numbers = (qw(total_duration_seconds focused_duration_seconds xp_total), @parts);

my ($ada, $bob) = map { signup() } 1 .. 2;
my ($worker, $admin) = map { signup(role => $_) } qw(service admin);
my %account = map { $_->{email} => user($_->{email}) } $ada, $bob, $worker, $admin;

sub account { my ($who) = @_; return $account{ $who->{email} } ||= user($who->{email}) }

sub call {
    my ($who, $method, $path, $json, %with) = @_;
    return api($method, "/api/v1/$path", token => $who->{token}, ($json ? (json => $json) : ()), %with);
}

sub made {
    my ($reply, $status) = @_;
    $reply->status == ($status || 201) or die $reply->summary;
    return $reply->json;
}

sub goal { my ($who, %over) = @_; return made(call($who, POST => 'goals/', { title => 'Draw', %over })) }

my $drawing = made(call($ada, GET => 'activities/?q=drawing'), 200)->{results}[0];

# What the document sends, for a session of $who.
sub registration {
    my ($who, %over) = @_;
    return { session_id => unique('j57'), user_id => account($who)->{uuid}, activity_id => $drawing->{id}, status => 'active',
        started_at => '2025-01-15T10:30:00Z', device_platform => 'web', %over, goal_id => $over{goal_id} || goal($who)->{id} };
}

sub completion {
    return { status => 'completed', ended_at => '2025-01-15T12:00:00Z', total_duration_seconds => 3600,
        focused_duration_seconds => 3200, xp_total => 28000, xp_physique => 16000, xp_energy => 3200, xp_logic => 0,
        xp_creativity => 8000, xp_social => 800, completed_reason => 'manual', device_platform => 'web', @_ };
}

sub put { my ($who, $id, %over) = @_; return call($who, PUT => "sessions/$id/", completion(%over)) }

sub without { my ($body, @keys) = @_; my %rest = %$body; delete @rest{@keys}; return \%rest }

sub row { my ($id) = @_; return (sql('SELECT * FROM learnhub.xp_sessions WHERE id = ?', $id))[0] }

sub ledger { my ($id) = @_; return sql('SELECT * FROM learnhub.xp_ledger WHERE session_id = ?', $id) }

sub xp { my ($who) = @_; return made(call($who, GET => 'users/me/xp/'), 200) }

# ---- without a token, and for what is not there ----

my @operations = ([POST => 'sessions/calculate-rates/'], [POST => 'sessions/'], [GET => 'sessions/x/'],
    [PUT => 'sessions/x/'], [GET => 'goals/'], [POST => 'goals/'], [GET => "goals/$nowhere/"], [PATCH => "goals/$nowhere/"],
    [GET => "goals/$nowhere/sessions/"], [GET => 'activities/'], [POST => 'activities/'], [GET => "activities/$nowhere/"],
    [PATCH => "activities/$nowhere/"], [GET => 'users/me/xp/']);
is_refusal(api($_->[0] => "/api/v1/$_->[1]"), 'plain', 401) for @operations;
is_refusal(call($admin, GET => 'sessions/x/'), 'plain', 404);
for my $id ($nowhere, 'abc', '5', '%C3%28') {
    is_refusal(call($admin, $_->[0], $_->[1] =~ s/\Q$nowhere/$id/r, { title => 'T', name => 'N' }), 'plain', 404)
        for grep { $_->[1] =~ /\Q$nowhere/ } @operations;
}
is_refusal(call($ada, GET => 'nothing/'), 'plain', 404);

# ---- goals ----

my $full = { title => '  Drawing Mandalorian ', emoji => '🎨', category => { name => 'Drawing', color => '#4187A2' },
    days_total => 30, status => 'paused', user => $nowhere, days_completed => 12, id => $nowhere };
my $goal = made(call($ada, POST => 'goals/', $full));
my $goal_id = delete $goal->{id};
like($goal_id, $uuid, 'a goal has a UUID');
is_deeply($goal, { title => 'Drawing Mandalorian', emoji => '🎨', category => { name => 'Drawing', color => '#4187A2' },
        user => account($ada)->{uuid}, status => 'paused', days_total => 30, days_completed => 0 },
    'exactly the keys of the document; read-only ones ignored, the title trimmed');
is_deeply(made(call($ada, GET => "goals/$goal_id/"), 200), { %$goal, id => $goal_id }, 'GET says the same');
is_deeply(made(call($ada, GET => "goals/$goal_id"), 200), { %$goal, id => $goal_id }, 'without the last slash, too');
my $plain = goal($ada);
is($plain->{status}, 'active', 'active at first');
like($plain->{category}{color}, qr/^#[0-9a-f]{6}$/, 'a color where none was sent');
is_deeply(goal($ada, category => { name => 'Art' })->{category}, { %{ $plain->{category} }, name => 'Art' },
    'one half of the category');
is_refusal(call($_, GET => "goals/$goal_id/"), 'plain', 404, "another's goal") for $bob, $admin, $worker;
is_refusal(call($bob, PATCH => "goals/$goal_id/", { title => 'Mine' }), 'plain', 404);
is_refusal(call($bob, GET => "goals/$goal_id/sessions/"), 'plain', 404);
my $patched = made(call($ada, PATCH => "goals/$goal_id/", { status => 'completed', category => { color => '#000000' } }), 200);
is_deeply($patched, { %$goal, id => $goal_id, status => 'completed', category => { name => 'Drawing', color => '#000000' } },
    'PATCH changes what it names');
is_deeply(made(call($ada, PATCH => "goals/$goal_id/", {}), 200), $patched, 'PATCH of nothing');
my @wrong_goals = ([{ title => '' }, 'title'], [{ title => 'x' x 201 }, 'title'], [{ title => 5 }, 'title'],
    [{ emoji => 'x' x 17 }, 'emoji'], [{ category => { name => 5 } }, 'category.name'],
    [{ category => { name => 'x' x 101 } }, 'category.name'], [{ days_total => 0 }, 'days_total'],
    [{ days_total => '30' }, 'days_total'], [{ days_total => 1.5 }, 'days_total'], [{ status => 'done' }, 'status'],
    [{ category => 'Drawing' }, 'category'], [{ title => undef }, 'title'],
    map { [{ category => { color => $_ } }, 'category.color'] } '4187a2', '#4187a', '#4187a2f', '#4187ag', 'red', 5, undef);
for my $case (@wrong_goals) {
    my ($fields, @wrong) = @$case;
    is_invalid(call($ada, POST => 'goals/', { title => 'T', %$fields }), 'plain', \@wrong);
    is_invalid(call($ada, PATCH => "goals/$goal_id/", $fields), 'plain', \@wrong);
}
is_invalid(call($ada, POST => 'goals/', {}), 'plain', ['title']);

my $lister = signup();
my @goals = map { goal($lister, title => "G$_", status => $_ % 2 ? 'active' : 'completed')->{id} } 1 .. 12;
my $page = made(call($lister, GET => 'goals/'), 200);
is_deeply(keys_of($page), [qw(count next previous results)], 'goals are paged');
is_deeply([$page->{count}, map { $_->{id} } @{ $page->{results} }], [12, reverse @goals[2 .. 11]], 'newest first, his own');
like($page->{next}, qr{/api/v1/goals/\?page=2$}, 'the next page');
is_deeply([map { $_->{id} } @{ made(call($lister, GET => 'goals/?page=2'), 200)->{results} }], [reverse @goals[0, 1]], 'which is it');
is(made(call($lister, GET => 'goals/?status=completed'), 200)->{count}, 6, 'by status');
is_invalid(call($lister, GET => 'goals/?status=done'), 'plain', ['status']);
is_refusal(call($lister, GET => 'goals/?page=3'), 'plain', 404);

# ---- activities ----

my $catalogue = made(call($ada, GET => 'activities/?page_size=100'), 200);
cmp_ok($catalogue->{count}, '>=', 60, 'a catalogue ships with the schema');
for my $activity (@{ $catalogue->{results} }) {
    is_deeply(keys_of($activity), [qw(category color emoji id name)], 'keys of ' . $activity->{name});
    ok($activity->{id} =~ $uuid && length $activity->{emoji} && $activity->{category} =~ /\S/
            && $activity->{color} =~ /^#[0-9a-f]{6}$/, 'its values');
}
is_deeply([map { lc $_->{name} } @{ $catalogue->{results} }], [sort map { lc $_->{name} } @{ $catalogue->{results} }], 'by name');
is_deeply(made(call($bob, GET => "activities/$drawing->{id}/"), 200), $drawing, 'one activity');
is_deeply([@$drawing{qw(name emoji category color)}], ['Drawing', '🎨', 'Creativity', '#4187a2'], 'the one of the document');
my $music = made(call($ada, GET => 'activities/', undef, query => { category => 'MUSIC', page_size => 100 }), 200);
ok($music->{count} && !grep({ $_->{category} ne 'Music' } @{ $music->{results} }), 'by category, whatever its case');

my %rates = (physique => 0.25, energy => 1, logic => 100, creativity => 0, social => 12.5);
my $kite = { name => ' Kite flying ', emoji => '🪁', category => 'Outdoors', color => '#00aaFF' };
is_refusal(call($_, POST => 'activities/', $kite), 'plain', 403) for $ada, $worker;
is_refusal(call($_, PATCH => "activities/$drawing->{id}/", { name => 'Mine' }), 'plain', 403) for $ada, $worker;
my $flown = made(call($admin, POST => 'activities/', $kite));
is_deeply($flown, { %$kite, name => 'Kite flying', id => $flown->{id}, rates => undef }, 'created, without rates of its own');
my $rated = made(call($admin, PATCH => "activities/$flown->{id}/", { rates => \%rates, emoji => '🌬️' }), 200);
is_deeply($rated, { %$flown, emoji => '🌬️', rates => \%rates }, 'rates of its own');
is_deeply(made(call($admin, PATCH => "activities/$flown->{id}/", { rates => { logic => 99.99 } }), 200)->{rates},
    { %rates, logic => 99.99 }, 'one of them');
is_deeply(keys_of(made(call($ada, GET => "activities/$flown->{id}/"), 200)), [qw(category color emoji id name)],
    'the five keys of the document');
for my $value (-0.01, 100.01, 101, 0.125, 1e-5, 1e20, '0.5', true, undef, [1], {}) {
    is_invalid(call($admin, POST => 'activities/', { %$kite, rates => { %rates, social => $value } }), 'plain', ['rates.social'],
        'rates.social ' . JSON::XS->new->allow_nonref->encode($value));
}
for my $value (0, 0.01, 0.1, 0.29, 33.33, 99.99, 100) {
    is(made(call($admin, POST => 'activities/', { %$kite, rates => { %rates, social => $value } }))->{rates}{social}, $value,
        "$value is kept as it is");
}
is_invalid(call($admin, POST => 'activities/', { %$kite, rates => { logic => 1 } }), 'plain', ['rates'], 'all five or none');
is_invalid(call($admin, POST => 'activities/', { %$kite, rates => 5 }), 'plain', ['rates'], 'no object');
for my $case ([name => ''], [name => 'x' x 101], [category => ''], [color => 'blue'], [emoji => 5]) {
    is_invalid(call($admin, POST => 'activities/', { %$kite, @$case }), 'plain', [$case->[0]]);
    is_invalid(call($admin, PATCH => "activities/$flown->{id}/", {@$case}), 'plain', [$case->[0]]);
}

# ---- register ----

my $first = registration($ada);
my $id = $first->{session_id};
my $registered = call($ada, POST => 'sessions/', $first);
is_deeply([$registered->status, $registered->json], [201, { id => $id, status => 'active' }], 'registered');
my $again = call($ada, POST => 'sessions/', { %$first, goal_id => goal($ada)->{id}, started_at => '2025-01-15T11:00:00Z',
        device_platform => 'ios' });
is_deeply([$again->status, $again->json], [200, { id => $id, status => 'active' }], 'there already');
is_deeply([@{ row($id) }{qw(goal_id device_platform)}], [$first->{goal_id}, 'web'], 'and nothing has changed');
my $seen = made(call($ada, GET => "sessions/$id/"), 200);
is_deeply($seen, { id => $id, status => 'active', user => account($ada)->{uuid}, goal_id => $first->{goal_id},
        device_platform => 'web', started_at => '2025-01-15T10:30:00Z', ended_at => undef, completed_reason => undef,
        total_duration_seconds => undef, focused_duration_seconds => undef, map({ $_ => 0 } 'xp_total', @parts),
        activity => { map { $_ => $drawing->{$_} } qw(id name emoji) } }, 'as it is seen');
is_deeply(made(call($_, GET => "sessions/$id/"), 200), $seen, 'a service and an admin see it') for $worker, $admin;
is_refusal(call($bob, GET => "sessions/$id/"), 'plain', 404);
is_deeply([ledger($id)], [], 'an active session has earned nothing');

my $bobs = account($bob);
my $hex = unpack 'H*', $bobs->{object_id};
for my $shown ($bobs->{id} + 0, "$bobs->{id}", $bobs->{uuid}, uc $bobs->{uuid}, $hex, uc $hex) {
    for my $who ($bob, $worker, $admin) {
        my $body = registration($bob, user_id => $shown);
        made(call($who, POST => 'sessions/', $body));
        is(row($body->{session_id})->{user_id}, $bobs->{id}, "user_id $shown");
    }
    is_refusal(call($ada, POST => 'sessions/', registration($ada, user_id => $shown)), 'plain', 403);
}
my $unnamed = without(registration($ada), 'user_id');
made(call($ada, POST => 'sessions/', $unnamed));
is(row($unnamed->{session_id})->{user_id}, account($ada)->{id}, 'without a user_id it is the caller');
is_invalid(call($worker, POST => 'sessions/', without(registration($ada), 'user_id')), 'plain', ['user_id'], 'not for a service');
is_invalid(call($_, POST => 'sessions/', registration($ada, user_id => $nowhere)), 'plain', ['user_id'],
    'nobody has this id') for $worker, $admin;
is_refusal(call($ada, POST => 'sessions/', registration($ada, user_id => $_)), 'plain', 403)
    for $nowhere, '999999999999', 'nobody', '7' x 24;
is_refusal(call($bob, POST => 'sessions/', registration($bob, session_id => $id)), 'plain', 409);
is_refusal(call($worker, POST => 'sessions/', registration($bob, session_id => $id)), 'plain', 409);
is(row($id)->{user_id}, account($ada)->{id}, "another's session stays what it is");
is_invalid(call($ada, POST => 'sessions/', registration($ada, goal_id => $_)), 'plain', ['goal_id'])
    for $nowhere, goal($bob)->{id}, 'g', 5;
is_invalid(call($ada, POST => 'sessions/', registration($ada, activity_id => $_)), 'plain', ['activity_id'])

    for $nowhere, 'a', undef;
is_invalid(call($ada, POST => 'sessions/', registration($ada, goal_id => $nowhere, activity_id => $nowhere)), 'plain',
    [qw(activity_id goal_id)], 'both at once');
is_invalid(call($worker, POST => 'sessions/', registration($ada, goal_id => goal($bob)->{id})), 'plain', ['goal_id'],
    "a goal that is not this user's");
is_invalid(call($ada, POST => 'sessions/', {}), 'plain', [qw(activity_id goal_id session_id started_at)]);
is_invalid(call($ada, POST => 'sessions/', registration($ada, session_id => $_)), 'plain', ['session_id'],
    'session_id ' . JSON::XS->new->allow_nonref->ascii->encode($_))
    for '', 'x' x 256, 'a/b', "a\nb", "a\x{7f}b", "a\x{85}b", '.', '..', 'calculate-rates', 5, undef;
is_invalid(call($ada, POST => 'sessions/', registration($ada, session_id => $_, started_at => 'now')), 'plain',
    [qw(session_id started_at)], 'with what else is wrong') for 'a/b', "a\tb", "a\x{9f}b";
for my $case ([status => 'completed'], [started_at => 'now'], [started_at => undef], [device_platform => 'x' x 51],
    [device_platform => 5]) {
    is_invalid(call($ada, POST => 'sessions/', registration($ada, @$case)), 'plain', [$case->[0]]);
}
for my $odd ('x' x 255, ' a b ', 'ü%?&=#;+', "\x{1f3a8}", '..a', 'a:b') {
    my $body = registration($ada, session_id => $odd . unique(''));
    $body->{session_id} = $odd if length $odd > 200;
    is(made(call($ada, POST => 'sessions/', $body))->{id}, $body->{session_id}, 'an id of any printable characters');
    my $path = URI::Escape::uri_escape_utf8($body->{session_id});
    is(made(put($ada, $path), 200)->{id}, $body->{session_id}, 'percent-encoded in the path');
    is(made(call($ada, GET => "sessions/$path/"), 200)->{id}, $body->{session_id}, 'and of GET');
}

# ---- complete ----

my $completed = put($ada, $id);
is_deeply([$completed->status, $completed->json], [200, { id => $id, status => 'completed', xp_total => 28000 }], 'completed');
my $all = completion();
is_deeply([@{ row($id) }{@numbers}], [@$all{@numbers}], 'integers are stored as sent');
is_deeply([map { [@$_{ 'xp_total', @parts }] } ledger($id)], [[@$all{ 'xp_total', @parts }]], 'one entry in the ledger');
my $before = xp($ada);
is_deeply([put($ada, $id)->json, xp($ada)], [$completed->json, $before], 'repeated, it changes nothing');
is(made(put($ada, $id, xp_total => 5, xp_logic => 7, status => 'abandoned', completed_reason => 'timeout'), 200)->{status},
    'abandoned', 'corrected');
is_deeply([map { [@$_{qw(xp_total xp_logic xp_physique)}] } ledger($id)], [[5, 7, 16000]], 'the entry is replaced');
is_deeply([call($ada, POST => 'sessions/', $first)->json, row($id)->{status}], [{ id => $id, status => 'abandoned' }, 'abandoned'],
    'a late repetition of the registration undoes nothing');
is_refusal(put($bob, $id), 'plain', 404, qr/not found/, "another's session");
is_refusal(put($ada, $id, user_id => $bobs->{id}), 'plain', 403);
is_refusal(put($_, $id, user_id => $bobs->{id}), 'plain', 409) for $worker, $admin;
is(row($id)->{xp_total}, 5, 'none of it counts');
is(made(put($_, $id, xp_total => $account{ $_->{email} }{id}), 200)->{xp_total}, row($id)->{xp_total},
    'a service and an admin may complete it') for $worker, $admin;
is(row($id)->{user_id}, account($ada)->{id}, 'and it stays hers');
for my $reason (qw(manual auto abandoned timeout crash_recovered)) {
    made(put($ada, $id, completed_reason => $reason), 200);
    is(row($id)->{completed_reason}, $reason, "reason $reason");
}
is(made(put($ada, $id, xp_total => 2147483647), 200)->{xp_total}, 2147483647, 'the largest integer');
for my $field (@numbers) {
    is_invalid(put($ada, $id, $field => $_), 'plain', [$field], "$field " . ($_ // 'null'))
        for -1, 1.5, '5', 2147483648, 1e300, undef, true;
    is(made(put($ada, $id, $field => 0), 200)->{id}, $id, "$field may be 0");
}
for my $case ([status => 'active'], [status => 'done'], [status => undef], [completed_reason => 'bored'],
    [completed_reason => ''], [ended_at => 'later'], [ended_at => 5], [ended_at => '2025-01-15T10:29:59Z'],
    [device_platform => []]) {
    is_invalid(put($ada, $id, @$case), 'plain', [$case->[0]], "$case->[0] " . ($case->[1] // 'null'));
}
is(made(put($ada, $id, ended_at => '2025-01-15T11:30:00+01:00'), 200)->{id}, $id, 'it may end when it starts');
is_invalid(call($ada, PUT => "sessions/$id/", {}), 'plain', [qw(completed_reason ended_at status), @numbers]);
made(call($ada, PUT => "sessions/$id/", without(completion(), 'device_platform')), 200);
is(row($id)->{device_platform}, 'web', 'a platform that is not sent stays');

# ---- the registration was lost ----

my $lost = registration($ada);
my $lost_id = $lost->{session_id};
is_invalid(put($worker, $lost_id), 'plain', ['user_id'], 'a service has to name the user');
is_invalid(put($_, $lost_id, user_id => $nowhere), 'plain', ['user_id']) for $worker, $admin;
is_refusal(put($ada, $lost_id, user_id => $bobs->{uuid}), 'plain', 403);
is(row($lost_id), undef, 'and nothing is made');
is_deeply(made(put($worker, $lost_id, user_id => account($ada)->{uuid}), 200), { id => $lost_id, status => 'completed',
        xp_total => 28000 }, 'it is made');
is_deeply([@{ row($lost_id) }{qw(user_id goal_id activity_id started_at)}], [account($ada)->{id}, undef, undef, undef],
    'with gaps');
is(made(call($ada, GET => "sessions/$lost_id/"), 200)->{activity}, undef, 'its activity is not known');
is_invalid(call($ada, POST => 'sessions/', { %$lost, started_at => '2025-01-15T12:00:01Z' }), 'plain', ['started_at'],
    'a start after the end');
my $late = call($worker, POST => 'sessions/', $lost);
is_deeply([$late->status, $late->json], [200, { id => $lost_id, status => 'completed' }], 'the late registration');
is_deeply([@{ row($lost_id) }{qw(status goal_id activity_id xp_total)}],
    ['completed', $lost->{goal_id}, $lost->{activity_id}, 28000], 'fills the gaps and undoes nothing');
is(made(call($ada, GET => "sessions/$lost_id/"), 200)->{started_at}, '2025-01-15T10:30:00Z', 'the start, too');
my $own = unique('own');
made(put($admin, $own), 200);
is(row($own)->{user_id}, account($admin)->{id}, "an admin who names nobody completes a session of his own");
is_refusal(put($ada, $_), 'plain', 404, qr/not found/) for 'x' x 256, 'a%01b', 'a%C2%85b';

# ---- history ----

my $reader = signup();
my ($diary, $other) = map { goal($reader)->{id} } 1 .. 2;
is_deeply(made(call($reader, GET => "goals/$diary/sessions/"), 200), { results => [] }, 'no history yet');
my @ids;
for my $day (1 .. 12) {
    my $body = registration($reader, goal_id => $diary, started_at => sprintf('2025-02-%02dT10:00:00Z', $day));
    made(call($reader, POST => 'sessions/', $body));
    made(put($reader, $body->{session_id}, ended_at => sprintf('2025-02-%02dT11:00:00Z', $day),
            status => $day == 12 ? 'abandoned' : 'completed'), 200);
    unshift @ids, $body->{session_id};
}
made(call($reader, POST => 'sessions/', registration($reader, goal_id => $diary))); # still active
made(call($reader, POST => 'sessions/', registration($reader, goal_id => $other)));
my $history = made(call($reader, GET => "goals/$diary/sessions/"), 200);
is_deeply(keys_of($history), ['results'], 'without a page only results');
is_deeply([map { $_->{id} } @{ $history->{results} }], \@ids, 'all that have ended, newest first');
is_deeply($history->{results}[1], { id => $ids[1], started_at => '2025-02-11T10:00:00Z', ended_at => '2025-02-11T11:00:00Z',
        completed_reason => 'manual', map({ $_ => completion()->{$_} } @numbers),
        activity => { map { $_ => $drawing->{$_} } qw(id name emoji) } }, 'exactly the keys of the document');
my $paged = made(call($reader, GET => "goals/$diary/sessions/?page=2&page_size=5"), 200);
is_deeply(keys_of($paged), [qw(count next previous results)], 'with a page there is more');
is_deeply([$paged->{count}, map { $_->{id} } @{ $paged->{results} }], [12, @ids[5 .. 9]], 'the page');
like($paged->{next}, qr{/api/v1/goals/$diary/sessions/\?page_size=5&page=3$}, 'next');
like($paged->{previous}, qr{/api/v1/goals/$diary/sessions/\?page_size=5&page=1$}, 'previous');
is(scalar @{ made(call($reader, GET => "goals/$diary/sessions/?$_->[0]"), 200)->{results} }, $_->[1], $_->[0])
    for ['page=1', 10], ['page_size=3', 3], ['page=2', 2];
is_refusal(call($reader, GET => "goals/$diary/sessions/?page=3"), 'plain', 404);
is_invalid(call($reader, GET => "goals/$diary/sessions/?page=0"), 'plain', ['page']);
my $nameless = unique('gap');
made(put($reader, $nameless), 200);
sql('UPDATE learnhub.xp_sessions SET goal_id = ? WHERE id = ?', $other, $nameless);
my $gaps = made(call($reader, GET => "goals/$other/sessions/"), 200)->{results};
is_deeply([map { [@$_{qw(id activity started_at)}] } @$gaps], [[$nameless, undef, undef]], 'what is not known is null');

# ---- days_completed ----

is(made(call($reader, GET => "goals/$diary/"), 200)->{days_completed}, 11, 'days with a completed session');
for my $end ('2025-02-01T23:59:59Z', '2025-02-02T01:00:00+02:00', '2025-02-20T00:00:00+02:00', '2025-02-19T10:00:00Z') {
    my $body = registration($reader, goal_id => $diary, started_at => '2025-02-01T00:00:00Z');
    made(call($reader, POST => 'sessions/', $body));
    made(put($reader, $body->{session_id}, ended_at => $end), 200);
}
is(made(call($reader, GET => "goals/$diary/"), 200)->{days_completed}, 12, 'days of UTC, each once');
is_deeply([map { $_->{days_completed} } @{ made(call($reader, GET => 'goals/'), 200)->{results} }], [1, 12], 'in lists, too');

# ---- what a user has earned ----

my $learner = signup();
is_deeply(xp($learner), { user => account($learner)->{uuid}, life_level => 1, xp_to_next_level => 10000,
        map({ $_ => 0 } 'xp_total', @parts) }, 'nothing yet');
my @levels = ([9999, 1], [10000, 2], [39999, 2], [40000, 3], [89999, 3], [90000, 4], [2147483647, 464]);
for my $case (@levels) {
    my ($points, $level) = @$case;
    made(put($learner, 'level-' . account($learner)->{uuid}, xp_total => $points), 200);
    my $xp = xp($learner);
    is_deeply([@$xp{qw(xp_total life_level xp_to_next_level)}], [$points, $level, 10000 * $level**2 - $points],
        "$points points are level $level");
}
made(put($learner, unique('second'), xp_total => 2147483647, status => 'abandoned'), 200);
my $sum = xp($learner);
is_deeply([@$sum{ 'xp_total', @parts }], [4294967294, map { 2 * completion()->{$_} } @parts],
    'the sum of all sessions, of an abandoned one, too');

# ---- at the same time ----

sub ledger_of {
    my ($who) = @_;
    return (sql('SELECT count(*) AS entries, coalesce(sum(xp_total), 0) AS total FROM learnhub.xp_ledger WHERE user_id = ?',
            account($who)->{id}))[0];
}

my $racer = signup();
my $race = registration($racer);
my @statuses = sort map { $_->{status} } parallel(12, sub { call($racer, POST => 'sessions/', $race) });
is_deeply(\@statuses, [(200) x 11, 201], 'one of many registrations makes the session');

for my $round (1 .. 6) {
    my $body = registration($racer, started_at => "2025-03-0${round}T10:00:00Z");
    my $path = "sessions/$body->{session_id}/";
    my @answers = parallel(12, sub {
            my ($i) = @_;
            return $i % 2 ? call($racer, POST => 'sessions/', $body)
                : call($racer, PUT => $path, completion(xp_total => 100, ended_at => "2025-03-0${round}T12:00:00Z"));
    });
    is_deeply([grep { $_->{status} !~ /^20[01]$/ } @answers], [], "round $round: nobody is refused");
    cmp_ok(scalar(grep { $_->{status} == 201 } @answers), '<=', 1, 'at most one has made it by registering');
    is_deeply([@{ row($body->{session_id}) }{qw(status goal_id activity_id xp_total)}],
        ['completed', $body->{goal_id}, $body->{activity_id}, 100], 'registered and completed, in whatever order');
    is_deeply(ledger_of($racer), { entries => $round, total => 100 * $round }, 'each session counts once');
}
my $corrected = registration($racer)->{session_id};
my @answers = parallel(16, sub { my ($i) = @_; return put($racer, $corrected, map { $_ => 1000 + $i } 'xp_total', @parts) });
is_deeply([grep { $_->{status} != 200 } @answers], [], 'many corrections');
my ($entry, @more) = ledger($corrected);
my $last = row($corrected);
is_deeply([@more], [], 'leave one entry');
is_deeply([@$entry{ 'xp_total', @parts }], [@$last{ 'xp_total', @parts }], 'equal to the session');
is_deeply([grep { $_ != $last->{xp_total} } @$last{@parts}], [], 'of one correction, not a mixture');
is(xp($racer)->{xp_total}, ledger_of($racer)->{total}, "a user's points are the sum of the ledger");
my $contested = unique('both');
my @owners = parallel(8, sub { my ($i) = @_; return put($i % 2 ? $ada : $bob, $contested) });
my $winner = row($contested)->{user_id} == account($ada)->{id} ? 1 : 0;
is_deeply([map { $owners[$_]{status} } 0 .. 7], [map { $_ % 2 == $winner ? 200 : 404 } 0 .. 7], 'an id has one owner');

done_testing();

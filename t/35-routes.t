# SPDX-License-Identifier: Apache-2.0
# Tests of every route in the route table: its statements can be prepared against the schema; it rejects missing tokens,
# other roles, missing fields and other methods; a valid request succeeds and returns exactly the keys that the route
# declares. A new route fails here until it has a case.
use strict;
use warnings;

use LearnHub::Conditional;
use LearnHub::Routes;
use LearnHub::Test;

my $table = LearnHub::Routes::table();
my @routes = @{ $table->{routes} };
cmp_ok(scalar @routes, '>', 20, 'the table has routes');

subtest 'every statement can be prepared against the schema' => sub {
    my $number = 0;
    for my $statement (@{ $table->{statements} }) {
        my $name = 'statement_' . $number++;
        my $prepared = eval { database()->do("PREPARE $name AS $statement->{sql}", { pg_direct => 1 }) };
        ok($prepared, "$statement->{label}: statement $number can be prepared") || diag($@);
    }
};

# ---- users and objects for the cases ----

my %caller = map { $_ => signup(role => $_) } qw(student instructor admin service);
my $second = signup();
my %bit = (student => 1, instructor => 2, admin => 4, service => 8);
my %tutoring_session = (title => 'T', description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 5);

# A tutoring session; returns its id.
sub session {
    my (@joined) = @_;
    my $id = api(POST => '/api/sessions/', token => $caller{instructor}{token}, json => \%tutoring_session)->json->{id};
    api(POST => "/api/sessions/$id/join/", token => $_->{token}) for @joined;
    return $id;
}

# The body of a reply; dies unless it is a success.
sub json_of { my ($reply) = @_; $reply->status =~ /^2/ or die $reply->summary; return $reply->json }

sub problem {
    my ($creator) = @_;
    return json_of(api(POST => '/problems/', token => $creator->{token},
            json => { title => 'T', description => 'D', difficulty => 'easy' }))->{problem}{id};
}

# A practice session.
sub practice {
    my ($user) = @_;
    return json_of(api(POST => '/sessions/', token => $user->{token}, json => { problem_id => problem($user) }));
}

# A practice session with a drawing; returns its id.
sub drawn {
    my ($user) = @_;
    my $id = practice($user)->{id};
    my $diagram = { elements => [{ type => 'text', text => 'Cache' }] };
    json_of(api_as($user, PUT => "/sessions/$id/autosave", json => { diagram_data => $diagram, time_spent => 5 }));
    return $id;
}

sub submission {
    my ($user) = @_;
    return json_of(api(POST => '/submissions/', token => $user->{token}, json => { problem_id => problem($user) }))
        ->{submission};
}

my %about = (about_me => 'I', skills => ['CSS']);
my %hours = (start_time => '2040-01-01T10:00:00Z', end_time => '2040-01-01T12:00:00Z');

sub mentor {
    my $mentor = signup();
    json_of(api(POST => '/mentorinfo/', token => $mentor->{token}, json => \%about));
    return $mentor;
}

sub mentee {
    my $mentee = signup();
    json_of(api(POST => '/menteeinfo/', token => $mentee->{token}, json => { team_number => 4 }));
    return $mentee;
}

sub offer {
    my ($mentor) = @_;
    return json_of(api(POST => '/availabilty/', token => $mentor->{token}, json => \%hours))->{pk};
}

my $meetings = 0;

# The body that requests a mentoring session.
sub session_request {
    my ($availability) = @_;
    my $day = sprintf '2040-01-%02dT10:00:00Z', ++$meetings;
    sql("UPDATE learnhub.availabilities SET ends_at = '2041-01-01' WHERE id = ?", $availability);
    return { mentor_availability => $availability, start_time => $day, session_length => 30 };
}

# A mentoring session.
sub meeting {
    return json_of(api_as($second, POST => '/sessionrequest/', json => session_request(offer(mentor()))));
}

my %coding = (duration => '01:00:00', source => 'manual', session_name => 'S');
my %eco_activity = (kind => 'walking', duration => '01:00:00', description => 'D');

sub coding {
    return json_of(api(POST => '/api/codingsessions/', token => $caller{student}{token}, json => \%coding))->{data}{id};
}

sub eco_activity {
    return json_of(api_as($caller{student}, POST => '/api/ecoactivities/', json => \%eco_activity))->{data}{id};
}

# A user with 10 available credits.
sub rich {
    my $rich = signup();
    sql('INSERT INTO learnhub.coding_sessions (user_id, seconds, source, status) '
            . "VALUES (?, 3600, 'manual', 'unlocked')",
        user($rich->{email})->{id});
    return $rich;
}

sub reward { return json_of(api_as($caller{admin}, POST => '/api/rewards/', json => { name => 'N', cost => 5 }))->{id} }

my $gif = [undef, 'p.gif', Content => "GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"];

# The name of the picture of an activity, and of a profile.
sub proof {
    my %fields = (activity => 'hiking', duration => '1:00:00', verification_proof => $gif);
    my $made = json_of(api_as($second, POST => '/api/activities/', multipart => [%fields]));
    return $made->{data}{verification_proof} =~ s{.*/}{}r;
}

sub profile_pic {
    my $changed = json_of(api_as($second, PATCH => '/api/profiles/me/', multipart => [profile_pic => $gif]));
    return $changed->{data}{profile_pic} =~ s{.*/}{}r;
}

my %message = (role => 'user', content => 'Why?');

sub user_fields {
    my $email = unique('route') . '@example.com';
    return { first_name => 'A', last_name => 'B', email => $email, password => 'good enough' };
}

sub registration {
    my $name = unique('route');
    my %password = (password => 'good enough', re_password => 'good enough');
    return { username => $name, email => "$name\@example.com", %password };
}

# The login fields of an account, with its e-mail address in the field $name.
sub credentials { my ($name) = @_; return { $name => $second->{email}, password => $second->{password} } }

sub opaque {
    my ($user) = @_;
    return 'Token ' . api(POST => '/auth/token/login/',
        json => { username => $user->{email}, password => $user->{password} })->json->{auth_token};
}

# The name of a photo.
sub photo {
    my $reply = api(PATCH => '/myprofile/', token => $second->{token}, multipart => [profile_photo => $gif]);
    return $reply->json->{profile_photo} =~ s{.*/}{}r;
}

# The uid and token of the password-reset link that is mailed to a user.
sub link_of {
    my ($user) = @_;
    api(POST => '/auth/users/reset_password/', json => { email => $user->{email} });
    my ($mail) = sql('SELECT body FROM learnhub.outbox WHERE to_address = ?', $user->{email});
    my ($uid, $token) = $mail->{body} =~ m{/password/reset/confirm/([^/]+)/([0-9a-f]+)} or die 'no link';
    return (uid => $uid, token => $token);
}

sub xp { my (@request) = @_; return api(@request[0, 1], token => $caller{student}{token}, json => $request[2])->json }

sub goal { return xp(POST => '/api/v1/goals/', { title => 'T' })->{id} }

sub activity { return xp(GET => '/api/v1/activities/?q=drawing')->{results}[0]{id} }

sub focus {
    my %ids = (session_id => unique('route'), goal_id => goal(), activity_id => activity());
    return { %ids, started_at => '2025-01-15T10:30:00Z' };
}

my %ended = (status => 'completed', ended_at => '2025-01-15T12:00:00Z', completed_reason => 'manual',
    map { $_ => 5 } qw(total_duration_seconds focused_duration_seconds xp_total xp_physique xp_energy xp_logic
        xp_creativity xp_social));

# The ids of a new XP session that has ended and of its goal.
sub ended {
    my $focus = focus();
    xp(POST => '/api/v1/sessions/', $focus);
    xp(PUT => "/api/v1/sessions/$focus->{session_id}/", \%ended);
    return @$focus{qw(session_id goal_id)};
}

my %rates = map { $_ => 0.25 } qw(physique energy logic creativity social);

# For each route a function that returns the role of the caller, the id in the path, and the rest of the request.
my %case = (
    'users.signup' => sub { (undef, undef, json => user_fields()) },
    'users.login' => sub { (undef, undef, form => { username => $second->{email}, password => $second->{password} }) },
    'users.refresh' => sub { (undef, undef, json => { refresh_token => $second->{refresh} }) },
    'users.me' => sub { ('student') },
    'auth.register' => sub { (undef, undef, json => registration()) },
    'auth.me' => sub { ('student') },
    'auth.change' => sub { ('student', undef, json => {}) },
    'auth.delete' => sub { my $leaver = signup();
        (undef, undef, token => $leaver->{token}, json => { current_password => $leaver->{password} }) },
    'auth.set_password' => sub { my $user = signup();
        my %new = (new_password => 'another good one', current_password => $user->{password});
        return (undef, undef, token => $user->{token}, json => \%new) },
    'auth.reset_password' => sub { (undef, undef, json => { email => $second->{email} }) },
    'auth.reset_password_confirm' =>
        sub { (undef, undef, json => { link_of(signup()), new_password => 'another good one' }) },
    'auth.login' => sub { (undef, undef, json => { username => $second->{email}, password => $second->{password} }) },
    'auth.logout' => sub { (undef, undef, token => opaque($second)) },
    'tutoring_login.register' => sub {
        (undef, undef, json => { %{ registration() }, confirm_password => 'good enough' });
    },
    'tutoring_login.login' => sub { (undef, undef, json => credentials('email')) },
    'tutoring_login.logout' => sub { (undef, undef, token => opaque($second)) },
    'tutoring_login.user' => sub { ('student') },
    'coding_token.login' => sub { (undef, undef, json => credentials('email')) },
    'coding_token.verify' => sub { (undef, undef, json => { token => $second->{token} }) },
    'coding_users.register' => sub { (undef, undef, json => user_fields()) },
    'xp_login.register' => sub { (undef, undef, json => registration()) },
    'xp_login.login' => sub { (undef, undef, json => credentials('username')) },
    'xp_login.me' => sub { ('student') },
    (map { ("$_.refresh" => sub { (undef, undef, json => { refresh => $second->{refresh} }) }) }
            qw(tutoring_login coding_token xp_login)),
    'problems.create' => sub { ('student', undef, json => { title => 'T', description => 'D', difficulty => 'hard' }) },
    'problems.list' => sub { problem($caller{student}); () },
    'problems.mine' => sub { problem($caller{student}); ('student') },
    'problems.search' => sub { problem($caller{student}); (undef, undef, query => { q => 'T' }) },
    'problems.get' => sub { (undef, problem($caller{student})) },
    'problems.update' => sub { ('student', problem($caller{student}), json => { title => 'U' }) },
    'problems.delete' => sub { ('student', problem($caller{student})) },
    'submissions.create' => sub { ('student', undef, json => { problem_id => problem($second) }) },
    'submissions.from_session' => sub { ('student', practice($caller{student})->{id}) },
    'submissions.mine' => sub { submission($caller{student}); ('student') },
    'submissions.by_problem' => sub { ('student', submission($caller{student})->{problem_id}) },
    'submissions.get' => sub { ('student', submission($caller{student})->{id}) },
    'submissions.update' => sub { ('student', submission($caller{student})->{id}, json => { score => 5 }) },
    'submissions.chat' => sub { ('student', submission($caller{student})->{id}, json => \%message) },
    'submissions.delete' => sub { ('student', submission($caller{student})->{id}) },
    'sessions.create' => sub { ('student', undef, json => { problem_id => problem($second) }) },
    'sessions.mine' => sub { practice($caller{student}); ('student') },
    'sessions.by_problem' => sub { ('student', practice($caller{student})->{problem_id}) },
    'sessions.get' => sub { ('student', practice($caller{student})->{id}) },
    'sessions.autosave' => sub {
        ('student', practice($caller{student})->{id}, json => { diagram_data => { a => 1 }, time_spent => 5 });
    },
    'sessions.pause' => sub { ('student', practice($caller{student})->{id}, json => { time_spent => 5 }) },
    'sessions.resume' => sub { ('student', practice($caller{student})->{id}) },
    'sessions.chat' => sub { ('student', practice($caller{student})->{id}, json => \%message) },
    'sessions.abandon' => sub { ('student', practice($caller{student})->{id}) },
    'reviews.check' => sub { ('student', drawn($caller{student})) },
    'reviews.submit' => sub { ('student', drawn($caller{student})) },
    'reviews.chat' => sub { ('student', drawn($caller{student}), json => { message => 'How?' }) },
    'reviews.submissions' => sub { ('student', submission($caller{student})->{problem_id}) },
    'tutoring.list' => sub { session(); ('student') },
    'tutoring.my' => sub { session(); ('instructor') },
    'tutoring.created' => sub { session(); ('instructor') },
    'tutoring.joined' => sub { session($caller{student}); ('student') },
    'tutoring.get' => sub { ('student', session($second)) },
    'tutoring.participants' => sub { ('student', session($second)) },
    'tutoring.create' => sub { ('instructor', undef, json => \%tutoring_session) },
    'tutoring.update' => sub { ('instructor', session($second), json => \%tutoring_session) },
    'tutoring.patch' => sub { ('instructor', session($second), json => { title => 'U' }) },
    'tutoring.delete' => sub { ('instructor', session()) },
    'tutoring.join' => sub { ('student', session($second)) },
    'tutoring.leave' => sub { ('student', session($caller{student}, $second)) },
    'tutoring.cancel' => sub { ('instructor', session($second)) },
    'tutoring.start' => sub { ('instructor', session($second)) },
    'tutoring.complete' => sub {
        my $id = session($second);
        api(POST => "/api/sessions/$id/start/", token => $caller{instructor}{token});
        return ('instructor', $id);
    },
    'profile.get' => sub { ('student') },
    'profile.update' => sub { ('student', undef, json => { first_name => 'W' }) },
    'profile.photo' => sub { (undef, photo()) },
    'mentors.list' => sub { mentor(); ('student') },
    'mentors.by_skills' => sub { mentor(); ('student', 'css') },
    'mentors.create' => sub { my $user = signup(); (undef, undef, token => $user->{token}, json => \%about) },
    'mentors.own' => sub { (undef, undef, token => mentor()->{token}) },
    'mentors.update' => sub { (undef, undef, token => mentor()->{token}, json => { about_me => 'me' }) },
    'mentors.delete' => sub { (undef, undef, token => mentor()->{token}) },
    'mentees.list' => sub { mentee(); ('student') },
    'mentees.create' => sub { (undef, undef, token => signup()->{token}, json => { team_number => 4 }) },
    'mentees.own' => sub { (undef, undef, token => mentee()->{token}) },
    'mentees.update' => sub { (undef, undef, token => mentee()->{token}, json => [{ team_number => 5 }]) },
    'mentees.delete' => sub { (undef, undef, token => mentee()->{token}) },
    (map { my $name = $_; (
                "$name.list" => sub { my $mentor = mentor(); offer($mentor);
                    (undef, undef, token => $mentor->{token}) },
                "$name.create" => sub { (undef, undef, token => mentor()->{token}, json => \%hours) },
                "$name.delete" => sub { my $mentor = mentor(); (undef, offer($mentor), token => $mentor->{token}) },
    ) } qw(availabilty availability)),
    'session.list' => sub { meeting(); (undef, undef, token => $second->{token}) },
    'session.archive' => sub {
        my $past = "starts_at = now() - interval '3 days'";
        sql("UPDATE learnhub.mentoring_sessions SET $past WHERE id = ?", meeting()->{pk});
        return (undef, undef, token => $second->{token});
    },
    'session.request' => sub { (undef, undef, token => $second->{token}, json => session_request(offer(mentor()))) },
    'session.get' => sub { (undef, meeting()->{pk}, token => $second->{token}) },
    'session.change' => sub { (undef, meeting()->{pk}, token => $second->{token}, json => { status => 'Canceled' }) },
    'settings.own' => sub { ('student') },
    'settings.get' => sub { ('student', user($caller{student}{email})->{id}) },
    'settings.update' => sub {
        ('student', user($caller{student}{email})->{id}, json => { session_canceled => 'True' });
    },
    'coding.create' => sub { ('student', undef, json => \%coding) },
    'coding.list' => sub { coding(); ('student') },
    'coding.mine' => sub { coding(); ('student') },
    'coding.get' => sub { ('student', coding()) },
    'coding.update' => sub { ('student', coding(), json => \%coding) },
    'coding.patch' => sub { ('student', coding(), json => { session_name => 'N' }) },
    'coding.delete' => sub { ('student', coding()) },
    'eco.create' => sub { ('student', undef, json => \%eco_activity) },
    'eco.list' => sub { eco_activity(); ('student') },
    'eco.get' => sub { ('student', eco_activity()) },
    'eco.verify' => sub { ('admin', eco_activity()) },
    'eco.reject' => sub { ('admin', eco_activity()) },
    'credits.mine' => sub { ('student') },
    'credits.spend' => sub {
        my $rich = signup();
        sql('INSERT INTO learnhub.coding_sessions (user_id, seconds, source, status) '
                . "VALUES (?, 3600, 'manual', 'unlocked')",
            user($rich->{email})->{id});
        return (undef, undef, token => $rich->{token}, json => { amount => 5, reason => 'R' });
    },
    'activities.create' => sub { ('student', undef, json => { activity => 'Hiking', duration => '2:00:00' }) },
    'activities.list' => sub { eco_activity(); ('student') },
    'activities.get' => sub { ('student', eco_activity()) },
    'activities.photo' => sub { (undef, proof()) },
    'rewards.list' => sub { reward(); ('student') },
    'rewards.create' => sub { ('admin', undef, json => { name => 'N', cost => 5 }) },
    'rewards.change' => sub { ('admin', reward(), json => { cost => 6 }) },
    'rewards.redeem' => sub { (undef, undef, token => rich()->{token}, json => { reward_id => reward() }) },
    'rewards.redemptions' => sub {
        my $rich = rich();
        json_of(api_as($rich, POST => '/api/rewards/redeem/', json => { reward => reward() }));
        return (undef, undef, token => $rich->{token});
    },
    'coding_profile.get' => sub { ('student') },
    'coding_profile.update' => sub { ('student', undef, json => { github_username => 'octocat' }) },
    'coding_profile.photo' => sub { (undef, profile_pic()) },
    'leaderboard.friends' => sub { rich(); () },
    'xp.rates' => sub { ('student', undef, json => { goal_id => goal(), activity_id => activity() }) },
    'xp.register' => sub { ('student', undef, json => focus()) },
    'xp.session' => sub { ('student', (ended())[0]) },
    'xp.end' => sub { ('student', unique('route'), json => \%ended) },
    'xp.goals' => sub { goal(); ('student') },
    'xp.goal' => sub { ('student', goal()) },
    'xp.new_goal' => sub { ('student', undef, json => { title => 'T' }) },
    'xp.change_goal' => sub { ('student', goal(), json => { title => 'U' }) },
    'xp.history' => sub { ('student', (ended())[1]) },
    'xp.activities' => sub { ('student') },
    'xp.activity' => sub { ('student', activity()) },
    'xp.new_activity' => sub { ('admin', undef, json => { name => 'N', rates => \%rates }) },
    'xp.change_activity' => sub {
        my $made = api(POST => '/api/v1/activities/', token => $caller{admin}{token}, json => { name => 'N' });
        return ('admin', $made->json->{id}, json => { rates => \%rates });
    },
    'xp.mine' => sub { ('student') },
    'admin.users' => sub { ('admin') },
    'admin.user' => sub { ('admin', user($second->{email})->{id}, json => { is_active => true }) },
    'admin.audit' => sub { ('admin') },
    'auth.export' => sub { ('student') },
    'service.index' => sub { () },
    'service.health' => sub { () },
);

# ---- keys of responses ----

# The keys that a route declares, nested: {id => 1, creator => {id => 1, ...}, participants => [{...}]}.
sub declared {
    my ($fields) = @_;
    my %keys;
    for my $field (@$fields) {
        my ($place, @path) = (\%keys, split /\./, $field->{name});
        $place = $place->{ shift @path } ||= {} while @path > 1;
        my $items = @{ $field->{items} } ? declared($field->{items}) : 1;
        $place->{ $path[0] } = $field->{list} ? [$items] : $items;
    }
    return \%keys;
}

# The keys of a response, as deep as declared. The first entry of an array stands for all; an empty array matches.
sub found {
    my ($response, $declared) = @_;
    if (ref $declared eq 'ARRAY') {
        return 'no array' if ref $response ne 'ARRAY';
        return @$response ? [found($response->[0], $declared->[0])] : $declared;
    }
    return 1 if ref $declared ne 'HASH';
    return { map { $_ => found($response->{$_}, $declared->{$_}) } keys %$response };
}

# The object in the envelope of a route's response.
sub object_of {
    my ($route, $response) = @_;
    $response = $response->{data} if $route->{format} eq 'envelope';
    $response = $response->{ $route->{key} } if $route->{key};
    return $response->{results}[0] if $route->{shape} eq 'page';
    return $route->{shape} =~ /all|skip_limit/ ? $response->[0] : $response;
}

# ---- the tests of a route ----

my %methods;
for my $route (@routes) {
    push @{ $methods{ $route->{path} } }, $route->{method};
}

my %no_id = (int => 1, oid => '0' x 24, uuid => '00000000-0000-4000-8000-000000000000', text => 'nothing');

sub path_of { my ($route, $id) = @_; return $route->{path} =~ s/\{\w+:(\w+)\}/$id || $no_id{$1}/er }

sub test_roles {
    my ($route) = @_;
    my ($method, $path) = ($route->{method}, path_of($route));
    is_error(api($method => $path), $route->{format}, 401, "$route->{name}: 401 without a token");
    for my $role (grep { !($route->{roles} & $bit{$_}) } sort keys %bit) {
        my $reply = api($method => $path, token => $caller{$role}{token}, json => {});
        is_error($reply, $route->{format}, 403, "$route->{name}: 403 as $role");
    }
    return;
}

# Fields that a route's check requires if another field is absent too.
my %required_by_check =
    ('coding_token.login' => 'email', 'xp_login.login' => 'username', 'xp_login.register' => 'email');

sub test_required_fields {
    my ($route) = @_;
    my @required = map { $_->{name} } grep { $_->{required} } @{ $route->{body} };
    push @required, grep {defined} $required_by_check{ $route->{name} };
    my ($allowed) = grep { $route->{roles} & $bit{$_} } qw(instructor admin student);
    return if !@required;
    my $reply = api_as($allowed && $caller{$allowed}, $route->{method} => path_of($route), json => {});
    is_invalid($reply, $route->{format}, \@required, "$route->{name}: all required fields are reported at once");
    return;
}

sub test_methods {
    my ($route) = @_;
    my ($name, $path, @methods) = ($route->{name}, path_of($route), @{ $methods{ $route->{path} } });
    my %served = map { $_ => 1 } @methods;
    my ($other) = grep { !$served{$_} } qw(DELETE PATCH PUT POST);
    my $reply = api($other => $path);
    is_error($reply, $route->{format}, 405, "$name: 405 for $other");
    my @expected = sort 'OPTIONS', map { $_, $_ eq 'GET' ? 'HEAD' : () } @methods;
    is_deeply([sort split /, /, $reply->header('Allow')], \@expected, "$name: Allow lists the methods of the path");
    is(api(OPTIONS => $path)->header('Allow'), $reply->header('Allow'), "$name: OPTIONS returns the same Allow");
    return;
}

sub test_success {
    my ($route, $case) = @_;
    my ($name, $role, $id, %with) = ($route->{name}, $case->());
    $with{token} ||= $caller{$role}{token} if $role;
    my $reply = api($route->{method} => path_of($route, $id), %with);
    is($reply->status, $route->{status}, "$name: success is $route->{status}") || diag($reply->summary);
    return is($reply->body, '', "$name: the response has no body") if $route->{shape} eq 'nothing';
    return like($reply->header('Content-Type'), qr{^image/}, "$name: the response is a picture")
        if $route->{shape} eq 'bytes';
    return like($reply->header('Content-Type'), qr{^text/event-stream}, "$name: the response is an event stream")

        if $route->{shape} eq 'events';
    my $declared = declared($route->{returns});
    return is_deeply($reply->json, {}, "$name: the route declares no keys and returns an empty object") if !%$declared;
    return is_deeply(found(object_of($route, $reply->json), $declared), $declared,
        "$name: the response has exactly the declared keys") || diag($reply->summary);
}

my %with_get = map { $_->{path} => 1 } grep { $_->{method} eq 'GET' } @routes;
my $conditional = 0;

for my $route (@routes) {
    subtest "$route->{name}: $route->{method} $route->{path}" => sub {
        test_roles($route) if $route->{roles};
        test_required_fields($route);
        test_methods($route);
        my $case = $case{ $route->{name} };
        ok($case, "$route->{name} has a case in t/35-routes.t") && test_success($route, $case);
        if ($route->{method} !~ /^(?:GET|POST)$/ && $with_get{ $route->{path} }) {
            my ($role, $id, %with) = $case->();
            $with{token} ||= $caller{$role}{token};
            if_match_holds($route, path_of($route, $id), $id, %with);
            $conditional++;
        }
    };
}
cmp_ok($conditional, '>=', 19, 'the table has routes for If-Match');
my %known = map { $_->{name} => 1 } @routes;
is_deeply([grep { !$known{$_} } sort keys %case], [], 'every case belongs to a route');

done_testing();

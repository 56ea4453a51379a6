# SPDX-License-Identifier: Apache-2.0
# A valid request for every route, for t/35-routes.t and t/37-authorisation.t.
package LearnHub::Cases;

use strict;
use warnings;

use Exporter qw(import);

use LearnHub::Account;
use LearnHub::Test;

our @EXPORT = qw(%case %caller %role_bit create_callers case_of path_of);
our @EXPORT_OK = qw($marker $marked_time ended focus link_of confirmation_of);

# A text, and a time of day other than that of the test, that are in every object that only its owner may see.
our $marker = unique('private');
our $marked_time = (gmtime)[2] < 12 ? '16:07:43' : '10:07:43';

# ---- users and objects ----

our %role_bit = (student => 1, instructor => 2, admin => 4, service => 8);
our %caller; # a user of each role
my $second; # another student

# Creates the users of the cases. To be called before any case.
sub create_callers {
    %caller = map { $_ => signup(role => $_) } sort keys %role_bit;
    $second = signup();
    return;
}

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

# A practice session with a drawing.
sub practice {
    my ($user) = @_;
    my $id = json_of(api_as($user, POST => '/sessions/', json => { problem_id => problem($user) }))->{id};
    my $diagram = { elements => [{ type => 'text', text => "Cache $marker" }] };
    my $saved = { diagram_data => $diagram, time_spent => 5 };
    return json_of(api_as($user, PUT => "/sessions/$id/autosave", json => $saved));
}

sub submission {
    my ($user) = @_;
    my %drawn = (diagram_data => { text => $marker }, feedback => { strengths => [$marker] });
    return json_of(api_as($user, POST => '/submissions/', json => { problem_id => problem($user), %drawn }))
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
    my $time = sprintf '20%02d-02-%02dT%sZ', 40 + $meetings / 28, 1 + $meetings % 28, $marked_time;
    $meetings++;
    sql("UPDATE learnhub.availabilities SET ends_at = '2100-01-01' WHERE id = ?", $availability);
    return { mentor_availability => $availability, start_time => $time, session_length => 30 };
}

# A mentoring session.
sub meeting {
    return json_of(api_as($second, POST => '/sessionrequest/', json => session_request(offer(mentor()))));
}

my %coding = (duration => '01:00:00', source => 'manual', session_name => $marker);
my %eco_activity = (kind => 'walking', duration => '01:00:00', description => $marker);

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

my %message = (role => 'user', content => $marker);

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
    post_links() or die 'no mail';
    my ($mail) = sql('SELECT body FROM learnhub.outbox WHERE to_address = ?', $user->{email});
    my ($uid, $token) = $mail->{body} =~ m{/password/reset/confirm/([^/]+)/([0-9a-f]+)} or die 'no link';
    return (uid => $uid, token => $token);
}

# The uid and token of a link that confirms the address of a user.
sub confirmation_of {
    my ($user) = @_;
    my $address = $user->{email};
    sql("SELECT learnhub.post_confirmation(id, uuid, email, '/{uid}/{token}') FROM learnhub.users WHERE email = ?",
        $address);
    my ($mail) = sql('SELECT body FROM learnhub.outbox WHERE to_address = ?', $address);
    my ($uid, $token) = $mail->{body} =~ m{^/(\S+)/([0-9a-f]+)$}m or die 'no link';
    return (uid => $uid, token => $token);
}

sub xp { my (@request) = @_; return api(@request[0, 1], token => $caller{student}{token}, json => $request[2])->json }

sub goal { return xp(POST => '/api/v1/goals/', { title => $marker })->{id} }

sub activity { return xp(GET => '/api/v1/activities/?q=drawing')->{results}[0]{id} }

sub focus {
    my %ids = (session_id => unique($marker), goal_id => goal(), activity_id => activity());
    return { %ids, started_at => '2025-01-15T10:30:00Z', device_platform => $marker };
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
our %case = (
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
    'auth.activation' => sub { (undef, undef, json => { confirmation_of(signup()) }) },
    'auth.resend_activation' => sub { (undef, undef, json => { email => $second->{email} }) },
    'auth.sessions' => sub { ('student') },
    'auth.end_session' => sub { my $user = signup();
        return (undef, json_of(api_as($user, GET => '/auth/sessions/'))->[0]{id}, token => $user->{token}) },
    'auth.end_other_sessions' => sub { (undef, undef, token => signup()->{token}) },
    'auth.export' => sub { ('student') },
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
    'reviews.check' => sub { ('student', practice($caller{student})->{id}) },
    'reviews.submit' => sub { ('student', practice($caller{student})->{id}) },
    'reviews.chat' => sub { ('student', practice($caller{student})->{id}, json => { message => 'How?' }) },
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
        my $past = "current_date - 3 + time '$marked_time'";
        sql("UPDATE learnhub.mentoring_sessions SET starts_at = $past WHERE id = ?", meeting()->{pk});
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
        return (undef, undef, token => $rich->{token}, json => { amount => 5, reason => $marker });
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
    'admin.audit' => sub { ('admin') },
    'admin.user' => sub { ('admin', user($second->{email})->{id}, json => { is_active => true }) },
    'service.index' => sub { () },
    'service.health' => sub { () },
    'service.openapi' => sub { () },
    'service.docs' => sub { () },
    'service.docs_plain' => sub { () },
    'service.docs_file' => sub {
        my $port = second_httpd("LearnHubDocs $top/build/docs\n")->port;
        my ($file) = api(GET => '/docs', port => $port)->body =~ m{/docs/([0-9a-f]+-docs\.js)};
        return (undef, $file, port => $port);
    },
);

my %no_id = (int => 1, oid => '0' x 24, uuid => '00000000-0000-4000-8000-000000000000', text => 'nothing');

# The path of a route with an id; without one, with an id that does not exist.
sub path_of { my ($route, $id) = @_; return $route->{path} =~ s/\{\w+:(\w+)\}/$id || $no_id{$1}/er }

# Creates the objects of a route's case and returns the id in the path and the other arguments of api().
sub case_of {
    my ($route) = @_;
    my ($role, $id, %with) = $case{ $route->{name} }->();
    $with{token} ||= $caller{$role}{token} if $role;
    return ($id, %with);
}

1;

# SPDX-License-Identifier: Apache-2.0
# The walk over the route table: every row's statements prepare, every row refuses as it should, every row is hit, and
# every answer has exactly the keys its row declares. A new row fails here until it has its case.
use strict;
use warnings;

use JSON::XS ();
use LearnHub::Test;

# The table, printed by a program of the rows and of the files that compile them; what handlers call is not called here,
# so that a symbol is enough.
sub run { my ($command) = @_; system($command) == 0 or die "failed: $command"; return }

sub table {
    mkdir 'build/routes';
    chomp(my $flags = `make -s -f Makefile.apxs flags`);
    my @sources = ('t/lib/routes.c', glob('mod_learnhub/api/*.c'), map {"mod_learnhub/$_.c"}
        qw(auth/login model http/route http/route_check http/path db/statement util/text util/json util/buffer));
    run("cd build/routes && gcc $flags -I../../include -I../../mod_learnhub -c " . join ' ', map {"../../$_"} @sources);
    my %defined = map { $_ => 1 } split ' ', `nm -j --defined-only build/routes/*.o`;
    my @missing = grep { /^(?:lh_|ap_|learnhub_module$)/ && !$defined{$_} } split ' ', `nm -j --undefined-only build/routes/*.o`;
    open my $stubs, '>', 'build/routes/stubs.c' or die $!;
    print $stubs map {"void $_(void);\nvoid $_(void)\n{\n}\n"} keys %{ { map { $_ => 1 } @missing } };
    close $stubs or die $!;
    run('gcc -o build/routes/routes build/routes/*.o build/routes/stubs.c -laprutil-1 -lapr-1 -lcurl -lcrypto -lm');
    return JSON::XS->new->utf8->decode(scalar `build/routes/routes`);
}

my $table = table();
my @rows = @{ $table->{routes} };
cmp_ok(scalar @rows, '>', 20, 'there are rows');

# ---- every statement fits the schema ----

my $number = 0;
for my $statement (@{ $table->{statements} }) {
    my $name = 'walk' . $number++;
    my $prepared = eval { LearnHub::Test::database()->do("PREPARE $name AS $statement->{sql}", { pg_direct => 1 }) };
    ok($prepared, "$statement->{label}: statement $number prepares") || diag($@);
}

# ---- people and things to hit rows with ----

my %who = map { $_ => signup(role => $_) } qw(student instructor admin service);
my $second = signup();
my %bit = (student => 1, instructor => 2, admin => 4, service => 8);
my %proposal = (title => 'T', description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 5);

sub session {
    my (@joined) = @_;
    my $id = api(POST => '/api/sessions/', token => $who{instructor}{token}, json => \%proposal)->json->{id};
    api(POST => "/api/sessions/$id/join/", token => $_->{token}) for @joined;
    return $id;
}

sub made { my ($reply) = @_; $reply->status =~ /^2/ or die $reply->summary; return $reply->json }

sub problem {
    my ($creator) = @_;
    return made(api(POST => '/problems/', token => $creator->{token},
        json => { title => 'T', description => 'D', difficulty => 'easy' }))->{problem}{id};
}

sub practice {
    my ($user) = @_;
    return made(api(POST => '/sessions/', token => $user->{token}, json => { problem_id => problem($user) }));
}

sub submission {
    my ($user) = @_;
    return made(api(POST => '/submissions/', token => $user->{token}, json => { problem_id => problem($user) }))
        ->{submission};
}

my %about = (about_me => 'I', skills => ['CSS']);
my %hours = (start_time => '2040-01-01T10:00:00Z', end_time => '2040-01-01T12:00:00Z');

sub mentor {
    my $mentor = signup();
    made(api(POST => '/mentorinfo/', token => $mentor->{token}, json => \%about));
    return $mentor;
}

sub mentee {
    my $mentee = signup();
    made(api(POST => '/menteeinfo/', token => $mentee->{token}, json => { team_number => 4 }));
    return $mentee;
}

sub offer {
    my ($mentor) = @_;
    return made(api(POST => '/availabilty/', token => $mentor->{token}, json => \%hours))->{pk};
}

my $meetings = 0;

sub wish {
    my ($availability) = @_;
    my $day = sprintf '2040-01-%02dT10:00:00Z', ++$meetings;
    sql("UPDATE learnhub.availabilities SET ends_at = '2041-01-01' WHERE id = ?", $availability);
    return { mentor_availability => $availability, start_time => $day, session_length => 30 };
}

sub meeting { return made(api(POST => '/sessionrequest/', token => $second->{token}, json => wish(offer(mentor())))) }

my %coding = (duration => '01:00:00', source => 'manual', session_name => 'S');
my %walk = (kind => 'walking', duration => '01:00:00', description => 'D');

sub coding { return made(api(POST => '/api/codingsessions/', token => $who{student}{token}, json => \%coding))->{data}{id} }

sub walk { return made(api(POST => '/api/ecoactivities/', token => $who{student}{token}, json => \%walk))->{data}{id} }

my %message = (role => 'user', content => 'Why?');

sub person { return { first_name => 'A', last_name => 'B', email => unique('walk') . '@example.com', password => 'good enough' } }

sub registration {
    my $name = unique('walk');
    return { username => $name, email => "$name\@example.com", password => 'good enough', re_password => 'good enough' };
}

sub opaque {
    my ($user) = @_;
    return 'Token ' . api(POST => '/auth/token/login/',
        json => { username => $user->{email}, password => $user->{password} })->json->{auth_token};
}

# The name of a photo.
sub photo {
    my $gif = "GIF89a\1\0\1\0\0\0\0,";
    my $reply = api(PATCH => '/myprofile/', token => $second->{token},
        multipart => [profile_photo => [undef, 'p.gif', Content => $gif]]);
    return $reply->json->{profile_photo} =~ s{.*/}{}r;
}

# The uid and the token of the link that is mailed to somebody.
sub link_of {
    my ($user) = @_;
    api(POST => '/auth/users/reset_password/', json => { email => $user->{email} });
    my ($mail) = sql('SELECT body FROM learnhub.outbox WHERE to_address = ?', $user->{email});
    my ($uid, $token) = $mail->{body} =~ m{/password/reset/confirm/([^/]+)/([0-9a-f]+)} or die 'no link';
    return (uid => $uid, token => $token);
}

sub xp { my (@request) = @_; return api(@request[0, 1], token => $who{student}{token}, json => $request[2])->json }

sub goal { return xp(POST => '/api/v1/goals/', { title => 'T' })->{id} }

sub activity { return xp(GET => '/api/v1/activities/?q=drawing')->{results}[0]{id} }

sub focus {
    return { session_id => unique('walk'), goal_id => goal(), activity_id => activity(), started_at => '2025-01-15T10:30:00Z' };
}

my %ended = (status => 'completed', ended_at => '2025-01-15T12:00:00Z', completed_reason => 'manual',
    map { $_ => 5 } qw(total_duration_seconds focused_duration_seconds xp_total xp_physique xp_energy xp_logic
        xp_creativity xp_social));

# A session that has ended: its id, and that of its goal.
sub ended {
    my $focus = focus();
    xp(POST => '/api/v1/sessions/', $focus);
    xp(PUT => "/api/v1/sessions/$focus->{session_id}/", \%ended);
    return @$focus{qw(session_id goal_id)};
}

my %rates = map { $_ => 0.25 } qw(physique energy logic creativity social);

# For each row: who calls, the id in its path, and what is sent.
my %case = (
    'users.signup' => sub { (undef, undef, json => person()) },
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
    'auth.reset_password_confirm' => sub { (undef, undef, json => { link_of(signup()), new_password => 'another good one' }) },
    'auth.login' => sub { (undef, undef, json => { username => $second->{email}, password => $second->{password} }) },
    'auth.logout' => sub { (undef, undef, token => opaque($second)) },
    'problems.create' => sub { ('student', undef, json => { title => 'T', description => 'D', difficulty => 'hard' }) },
    'problems.list' => sub { problem($who{student}); () },
    'problems.mine' => sub { problem($who{student}); ('student') },
    'problems.search' => sub { problem($who{student}); (undef, undef, query => { q => 'T' }) },
    'problems.get' => sub { (undef, problem($who{student})) },
    'problems.update' => sub { ('student', problem($who{student}), json => { title => 'U' }) },
    'problems.delete' => sub { ('student', problem($who{student})) },
    'submissions.create' => sub { ('student', undef, json => { problem_id => problem($second) }) },
    'submissions.from_session' => sub { ('student', practice($who{student})->{id}) },
    'submissions.mine' => sub { submission($who{student}); ('student') },
    'submissions.by_problem' => sub { ('student', submission($who{student})->{problem_id}) },
    'submissions.get' => sub { ('student', submission($who{student})->{id}) },
    'submissions.update' => sub { ('student', submission($who{student})->{id}, json => { score => 5 }) },
    'submissions.chat' => sub { ('student', submission($who{student})->{id}, json => \%message) },
    'submissions.delete' => sub { ('student', submission($who{student})->{id}) },
    'sessions.create' => sub { ('student', undef, json => { problem_id => problem($second) }) },
    'sessions.mine' => sub { practice($who{student}); ('student') },
    'sessions.by_problem' => sub { ('student', practice($who{student})->{problem_id}) },
    'sessions.get' => sub { ('student', practice($who{student})->{id}) },
    'sessions.autosave' => sub {
        ('student', practice($who{student})->{id}, json => { diagram_data => { a => 1 }, time_spent => 5 });
    },
    'sessions.pause' => sub { ('student', practice($who{student})->{id}, json => { time_spent => 5 }) },
    'sessions.resume' => sub { ('student', practice($who{student})->{id}) },
    'sessions.chat' => sub { ('student', practice($who{student})->{id}, json => \%message) },
    'sessions.abandon' => sub { ('student', practice($who{student})->{id}) },
    'tutoring.list' => sub { session(); ('student') },
    'tutoring.my' => sub { session(); ('instructor') },
    'tutoring.created' => sub { session(); ('instructor') },
    'tutoring.joined' => sub { session($who{student}); ('student') },
    'tutoring.get' => sub { ('student', session($second)) },
    'tutoring.participants' => sub { ('student', session($second)) },
    'tutoring.create' => sub { ('instructor', undef, json => \%proposal) },
    'tutoring.update' => sub { ('instructor', session($second), json => \%proposal) },
    'tutoring.patch' => sub { ('instructor', session($second), json => { title => 'U' }) },
    'tutoring.delete' => sub { ('instructor', session()) },
    'tutoring.join' => sub { ('student', session($second)) },
    'tutoring.leave' => sub { ('student', session($who{student}, $second)) },
    'tutoring.cancel' => sub { ('instructor', session($second)) },
    'tutoring.start' => sub { ('instructor', session($second)) },
    'tutoring.complete' => sub {
        my $id = session($second);
        api(POST => "/api/sessions/$id/start/", token => $who{instructor}{token});
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
    'mentees.create' => sub { my $user = signup(); (undef, undef, token => $user->{token}, json => { team_number => 4 }) },
    'mentees.own' => sub { (undef, undef, token => mentee()->{token}) },
    'mentees.update' => sub { (undef, undef, token => mentee()->{token}, json => [{ team_number => 5 }]) },
    'mentees.delete' => sub { (undef, undef, token => mentee()->{token}) },
    (map { my $name = $_; (
        "$name.list" => sub { offer(mentor()); ('student') },
        "$name.create" => sub { my $mentor = mentor(); (undef, undef, token => $mentor->{token}, json => \%hours) },
        "$name.delete" => sub { my $mentor = mentor(); (undef, offer($mentor), token => $mentor->{token}) },
    ) } qw(availabilty availability)),
    'session.list' => sub { meeting(); (undef, undef, token => $second->{token}) },
    'session.archive' => sub {
        sql("UPDATE learnhub.mentoring_sessions SET starts_at = now() - interval '3 days' WHERE id = ?", meeting()->{pk});
        return (undef, undef, token => $second->{token});
    },
    'session.request' => sub { (undef, undef, token => $second->{token}, json => wish(offer(mentor()))) },
    'session.get' => sub { (undef, meeting()->{pk}, token => $second->{token}) },
    'session.change' => sub { (undef, meeting()->{pk}, token => $second->{token}, json => { status => 'Canceled' }) },
    'settings.own' => sub { ('student') },
    'settings.get' => sub { ('student', user($who{student}{email})->{id}) },
    'settings.update' => sub { ('student', user($who{student}{email})->{id}, json => { session_canceled => 'True' }) },
    'coding.create' => sub { ('student', undef, json => \%coding) },
    'coding.list' => sub { coding(); ('admin') },
    'coding.mine' => sub { coding(); ('student') },
    'coding.get' => sub { ('student', coding()) },
    'coding.update' => sub { ('student', coding(), json => \%coding) },
    'coding.patch' => sub { ('student', coding(), json => { session_name => 'N' }) },
    'coding.delete' => sub { ('student', coding()) },
    'eco.create' => sub { ('student', undef, json => \%walk) },
    'eco.list' => sub { walk(); ('student') },
    'eco.get' => sub { ('student', walk()) },
    'eco.verify' => sub { ('admin', walk()) },
    'eco.reject' => sub { ('admin', walk()) },
    'credits.mine' => sub { ('student') },
    'credits.spend' => sub {
        my $rich = signup();
        sql("INSERT INTO learnhub.coding_sessions (user_id, seconds, source, status) VALUES (?, 3600, 'manual', 'unlocked')",
            user($rich->{email})->{id});
        return (undef, undef, token => $rich->{token}, json => { amount => 5, reason => 'R' });
    },
    'xp.rates' => sub { ('student', undef, json => { goal_id => goal(), activity_id => activity() }) },
    'xp.register' => sub { ('student', undef, json => focus()) },
    'xp.session' => sub { ('student', (ended())[0]) },
    'xp.end' => sub { ('student', unique('walk'), json => \%ended) },
    'xp.goals' => sub { goal(); ('student') },
    'xp.goal' => sub { ('student', goal()) },
    'xp.new_goal' => sub { ('student', undef, json => { title => 'T' }) },
    'xp.change_goal' => sub { ('student', goal(), json => { title => 'U' }) },
    'xp.history' => sub { ('student', (ended())[1]) },
    'xp.activities' => sub { ('student') },
    'xp.activity' => sub { ('student', activity()) },
    'xp.new_activity' => sub { ('admin', undef, json => { name => 'N', rates => \%rates }) },
    'xp.change_activity' => sub {
        my $made = api(POST => '/api/v1/activities/', token => $who{admin}{token}, json => { name => 'N' });
        return ('admin', $made->json->{id}, json => { rates => \%rates });
    },
    'xp.mine' => sub { ('student') },
    'admin.users' => sub { ('admin') },
    'admin.user' => sub { ('admin', user($second->{email})->{id}, json => { is_active => true }) },
    'service.index' => sub { () },
    'service.health' => sub { () },
);

# ---- what an answer is made of ----

# The keys a row declares, nested: {id => 1, creator => {id => 1, ...}, participants => [{...}]}.
sub declared {
    my ($fields) = @_;
    my %keys;
    for my $field (@$fields) {
        my ($place, @path) = (\%keys, split /\./, $field->{name});
        $place = $place->{ shift @path } ||= {} while @path > 1;
        $place->{ $path[0] } = @{ $field->{items} } ? ($field->{list} ? [declared($field->{items})] : declared($field->{items})) : 1;
    }
    return \%keys;
}

# The same of an answer, as deep as is declared; an array speaks by its first entry, an empty one says nothing.
sub found {
    my ($answer, $declared) = @_;
    if (ref $declared eq 'ARRAY') {
        return ref $answer ne 'ARRAY' ? 'no array' : @$answer ? [found($answer->[0], $declared->[0])] : $declared;
    }
    return 1 if ref $declared ne 'HASH';
    return { map { $_ => found($answer->{$_}, $declared->{$_}) } keys %$answer };
}

sub object_of {
    my ($row, $answer) = @_;
    $answer = $answer->{data} if $row->{format} eq 'envelope';
    $answer = $answer->{ $row->{key} } if $row->{key};
    return $row->{shape} eq 'page' ? $answer->{results}[0] : $row->{shape} =~ /all|skip_limit/ ? $answer->[0] : $answer;
}

# ---- the walk ----

my %methods;
for my $row (@rows) {
    push @{ $methods{ $row->{path} } }, $row->{method};
}

my %no_id = (int => 1, oid => '0' x 24, uuid => '00000000-0000-4000-8000-000000000000', text => 'nothing');

sub path_of { my ($row, $id) = @_; return $row->{path} =~ s/\{\w+:(\w+)\}/$id || $no_id{$1}/er }

for my $row (@rows) {
    my ($name, $path) = ($row->{name}, path_of($row));
    if ($row->{roles}) {
        is_refusal(api($row->{method} => $path), $row->{format}, 401, "$name: without a token");
        for my $role (grep { !($row->{roles} & $bit{$_}) } sort keys %bit) {
            is_refusal(api($row->{method} => $path, token => $who{$role}{token}, json => {}), $row->{format}, 403,
                "$name: as $role");
        }
    }
    my ($allowed) = grep { $row->{roles} & $bit{$_} } qw(instructor admin student);
    if (my @required = sort map { $_->{name} } grep { $_->{required} } @{ $row->{body} }) {
        my @token = $allowed ? (token => $who{$allowed}{token}) : ();
        is_invalid(api($row->{method} => $path, @token, json => {}), $row->{format}, \@required, "$name: required fields");
    }
    my $wrong = (grep { my $method = $_; !grep { $_ eq $method } @{ $methods{ $row->{path} } } } qw(DELETE PATCH PUT POST))[0];
    my $refused = api($wrong => $path);
    is_refusal($refused, $row->{format}, 405, "$name: $wrong is not allowed");
    my @expected = map { $_, $_ eq 'GET' ? 'HEAD' : () } @{ $methods{ $row->{path} } };
    is_deeply([sort split /, /, $refused->header('Allow')], [sort @expected, 'OPTIONS'], "$name: Allow");
    is(api(OPTIONS => $path)->header('Allow'), $refused->header('Allow'), "$name: OPTIONS says the same");

    my $case = $case{$name};
    ok($case, "$name has a case here") or next;
    my ($role, $id, %with) = $case->();
    $with{token} ||= $who{$role}{token} if $role;
    my $reply = api($row->{method} => path_of($row, $id), %with);
    is($reply->status, $row->{status}, "$name: status of success") || diag($reply->summary);
    if ($row->{shape} eq 'nothing') {
        is($reply->body, '', "$name: no body");
        next;
    }
    if ($row->{shape} eq 'bytes') {
        like($reply->header('Content-Type'), qr{^image/}, "$name: bytes of a type of their own");
        next;
    }
    my $declared = declared($row->{returns});
    cmp_ok(scalar keys %$declared, '>', 0, "$name declares keys");
    is_deeply(found(object_of($row, $reply->json), $declared), $declared, "$name: exactly the declared keys")
        || diag($reply->summary);
}
my %known = map { $_->{name} => 1 } @rows;
is_deeply([grep { !$known{$_} } sort keys %case], [], 'no case is left over');

done_testing();

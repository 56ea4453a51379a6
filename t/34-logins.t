# SPDX-License-Identifier: Apache-2.0
# The log-in routes of tutoring (/api/auth), coding (/api/token, /api/users) and xp (/api/v1/auth), and requested roles.
use strict;
use warnings;
use utf8;
use lib 't/lib';
use LearnHub::Account;
use LearnHub::Test;

my $INVALID_TOKEN = 'Bearer realm="learnhub", error="invalid_token"';
my $json = JSON::XS->new->canonical->allow_nonref;
my $password = 'a good password';
my $time = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
my $jwt = qr/^[\w-]+\.[\w-]+\.[\w-]+$/;

# ---- the routes ----

sub post { my ($path, $fields, %with) = @_; return api(POST => $path, json => $fields, %with) }

# For each API: its error format, the path and fields of its log-in, and the tokens in a response of it.
my %login = (
    tutoring => ['flat', '/api/auth/login/', 'email', sub { @{ $_[0]{tokens} }{qw(access refresh)} }],
    coding => ['detail', '/api/token/', 'email', sub { @{ $_[0] }{qw(access refresh)} }],
    xp => ['detail', '/api/v1/auth/login/', 'username', sub { @{ $_[0] }{qw(access refresh)} }],
);
my %refresh_path = (tutoring => '/api/auth/token/refresh/', coding => '/api/token/refresh/',
    xp => '/api/v1/auth/refresh/');

# Logs in at the log-in of an API. The name is a username or an e-mail address.
sub log_in_at {
    my ($api, $name, $secret, %with) = @_;
    my (undef, $path, $field) = @{ $login{$api} };
    return post($path, { $field => $name, password => $secret }, %with);
}

# The access and the refresh token of a user of signup() at the log-in of an API.
sub tokens_at {
    my ($api, $user) = @_;
    return $login{$api}[3]->(log_in_at($api, @$user{qw(email password)})->json);
}

sub verify { my ($token, %with) = @_; return post('/api/token/verify/', { token => $token }, %with) }

# The fields of each registration; %over replaces some, a field with the value \'absent' is not sent.
sub fields_for {
    my ($api, %over) = @_;
    my $name = unique('name');
    my %fields = (username => $name, email => "$name\@example.com", password => $password);
    $fields{confirm_password} = $over{password} // $password if $api eq 'tutoring';
    %fields = (%fields, %over);
    return { map { $_ => $fields{$_} } grep { ref $fields{$_} ne 'SCALAR' } keys %fields };
}

my %register = (tutoring => ['flat', '/api/auth/register/'], coding => ['envelope', '/api/users/'],
    xp => ['detail', '/api/v1/auth/register/']);
my $absent = \'absent';

sub register_at {
    my ($api, %over) = @_;
    return post($register{$api}[1], fields_for($api, %over));
}

# A token opens a route of each API.
my @routes = qw(/users/me /auth/users/me/ /api/sessions/ /api/codingsessions/me/ /api/credits/me/ /myprofile/
    /api/v1/goals/ /api/v1/users/me/xp/ /sessions/user/my-sessions /api/auth/user/ /api/v1/auth/me/);

sub opens_everything {
    my ($token, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my %status = map { $_ => api_as($token, GET => $_)->status } @routes;
    return is_deeply(\%status, { map { $_ => 200 } @routes }, "$name is accepted by a route of every API");
}

# ---- registration ----

subtest 'POST /api/auth/register/' => sub {
    my $fields = fields_for('tutoring', first_name => ' Ada ', last_name => 'King', role => 'student');
    my $reply = post('/api/auth/register/', $fields);
    is($reply->status, 201, 'registration returns 201');
    my $body = $reply->json;
    is_deeply(keys_of($body), [qw(message tokens user)], 'registration returns message, user and tokens');
    is_deeply(keys_of($body->{user}), [qw(date_joined email first_name id last_name role username)],
        'the user has seven keys');
    like($body->{message}, qr/^\w.*\.$/, 'the message is a sentence');
    like($body->{user}{date_joined}, $time, 'date_joined is a UTC time');
    is_deeply([@{ $body->{user} }{qw(email username first_name last_name role)}],
        [@$fields{qw(email username)}, 'Ada', 'King', 'student'], 'the user has the values that were sent, trimmed');
    my $row = user($fields->{email});
    is($body->{user}{id}, $row->{id}, 'the id is the id in the database');
    like($reply->body, qr/"id":\d+[,}]/, 'the id is a number');
    is_deeply([@$row{qw(role requested_role)}], ['student', undef], 'the new account is a student without a request');
    is_deeply(keys_of($body->{tokens}), [qw(access refresh)], 'tokens has access and refresh');
    like($_, $jwt, 'a token is a JWT') for values %{ $body->{tokens} };
    opens_everything($body->{tokens}{access}, 'the access token of a registration');
    is(post('/api/auth/token/refresh/', { refresh => $body->{tokens}{refresh} })->status, 200,
        'the refresh token of a registration is accepted');
    is($reply->header('Cache-Control'), 'no-store', 'the tokens of a registration must not be cached');
    my $bare = register_at('tutoring');
    is_deeply([$bare->status, @{ $bare->json->{user} }{qw(first_name last_name role)}], [201, '', '', 'student'],
        'names and role are optional');
    is_invalid(post('/api/auth/register/', { role => 'admin' }), 'flat',
        [qw(email username password confirm_password role)], 'missing fields and a wrong role are reported together');
    is_invalid(register_at('tutoring', confirm_password => 'another password', role => 'x', first_name => 'x' x 151),
        'flat', [qw(first_name role non_field_errors)], 'a different confirm_password is reported with other errors');
    is_invalid(register_at('tutoring', confirm_password => $absent), 'flat', ['confirm_password'],
        'confirm_password is required');
};

subtest 'POST /api/users/' => sub {
    my $fields = fields_for('coding', username => $absent);
    my $reply = post('/api/users/', $fields);
    is_deeply([$reply->status, $reply->json],
        [201, { success => true, data => { email => $fields->{email}, username => $fields->{email} } }],
        'registration returns e-mail address and username, which defaults to the e-mail address');
    $fields = fields_for('coding', first_name => ' Ada ', last_name => 'King');
    is_deeply(post('/api/users/', $fields)->json->{data}, { map { $_ => $fields->{$_} } qw(email username) },
        'registration takes a username');
    for my $empty ('', undef) {
        my $sent = fields_for('coding', username => $empty);
        is(post('/api/users/', $sent)->json->{data}{username}, $sent->{email},
            'the username ' . $json->encode($empty) . ' counts as absent');
    }
    is_deeply([@{ user($fields->{email}) }{qw(first_name last_name role)}], [qw(Ada King student)],
        'registration takes names');
    is(log_in_at('coding', $fields->{email}, $password)->status, 200, 'the new account logs in');
    is_invalid(post('/api/users/', { email => 'x', username => ' ' }), 'envelope', [qw(email username password)],
        'all invalid fields are reported together');
};

subtest 'POST /api/v1/auth/register/' => sub {
    my $reply = register_at('xp', password2 => $password, confirm_password => $password, first_name => 'Ada');
    is_deeply([$reply->status, keys_of($reply->json)], [201, [qw(access refresh)]], 'registration returns tokens');
    opens_everything($reply->json->{access}, 'the access token of a registration');
    is(post('/api/v1/auth/refresh/', { refresh => $reply->json->{refresh} })->status, 200,
        'the refresh token of a registration is accepted');
    my $email = unique('name') . '@example.com';
    is(register_at('xp', username => $email, email => $absent)->status, 201, 'a username can be the e-mail address');
    is_deeply([@{ user($email) }{qw(username email)}], [$email, $email], 'it is stored as both');
    is_invalid(register_at('xp', email => $absent), 'detail', ['email'],
        'a username that is no e-mail address requires an e-mail address');
    is_invalid(register_at('xp', username => $email, email => $_), 'detail', ['email'],
        'an invalid e-mail address is reported: ' . $json->encode($_)) for 'x', ' ', 7;
    for my $empty ('', undef) {
        my $shown = $json->encode($empty);
        is(register_at('xp', username => unique('name') . '@example.com', email => $empty)->status, 201,
            "the e-mail address $shown counts as absent");
        is_invalid(register_at('xp', email => $empty), 'detail', ['email'],
            "the e-mail address $shown does not suffice beside a username that is none");
    }
    my $both = register_at('xp', email => 7);
    is(scalar @{ $both->json->{email} }, 1, 'an invalid e-mail address is reported once');
    is_invalid(register_at('xp', $_ => 'another password'), 'detail', ['non_field_errors'],
        "$_ must equal the password")
        for qw(password2 confirm_password);
    is_invalid(post('/api/v1/auth/register/', {}), 'detail', [qw(username email password)],
        'username, e-mail address and password are required');
};

for my $api (sort keys %register) {
    my ($format, $path) = @{ $register{$api} };
    subtest "validation of POST $path" => sub {
        my $taken = signup();
        is_invalid(register_at($api, email => uc $taken->{email}), $format, ['email'],
            'an e-mail address in use is rejected in any case');
        is_invalid(register_at($api, username => uc $taken->{email}), $format, ['username'],
            "another user's e-mail address is rejected as username");
        is_invalid(register_at($api, username => uc $taken->{email}, email => $taken->{email}), $format,
            [qw(email username)], 'both are reported together');
        my $name = unique('name');
        for my $weak ('short', '', '8236451907', 'x' x 73, uc $name, "$name\@example.com") {
            is_invalid(register_at($api, username => $name, email => "$name\@example.com", password => $weak), $format,
                ['password'], "a weak password is rejected: '$weak'");
        }
        is_invalid(register_at($api, password => $_, confirm_password => $password), $format, ['password'],
            'password is rejected: ' . $json->encode($_)) for 7, undef, [];
        my @required = $api eq 'coding' ? () : ('', undef);
        is_invalid(register_at($api, username => $_), $format, ['username'],
            'username is rejected: ' . $json->encode($_)) for ' ', "a\nb", 'x' x 151, 7, @required;
        is_invalid(register_at($api, first_name => 7, last_name => 'x' x 151), $format, [qw(first_name last_name)],
            'names are validated');
        is(scalar(sql('SELECT 1 FROM learnhub.users WHERE username = ?', $name)), 0,
            'a rejected registration creates no account');
        is_error(api(POST => $path, body => '{', headers => { 'Content-Type' => 'text/plain' }), $format, 415);
    };
}

subtest 'roles that nobody can get by signing up' => sub {
    my %privileges = (is_active => false, is_mentor => true, is_staff => true, is_superuser => true, id => 1,
        requested_role => 'admin', token_version => 0);
    for my $api (sort keys %register) {
        my $fields = fields_for($api, %privileges, $api eq 'tutoring' ? () : (role => 'admin'));
        is(post($register{$api}[1], $fields)->status, 201, "privileged fields are ignored at $register{$api}[1]");
        is_deeply([@{ user($fields->{email}) }{qw(role requested_role is_active is_mentor)}],
            ['student', undef, 1, 0], "$register{$api}[1] creates an active student without a request");
    }
    is(register_at('tutoring', role => $_)->json->{user}{role}, 'student',
        'role counts as absent: ' . $json->encode($_))
        for '', undef;
    for my $role ('admin', 'service', 'Instructor', 'student instructor', 'instructor ', ' ', 7, ['instructor']) {
        is_invalid(register_at('tutoring', role => $role), 'flat', ['role'],
            'role is rejected: ' . $json->encode($role));
    }
    for my $role (qw(admin service student nothing)) {
        my $stored = eval { sql('UPDATE learnhub.users SET requested_role = ?', $role); 1 };
        ok(!$stored && $@ =~ /requested_role_check/, "the database rejects the requested role $role");
    }
};

subtest 'concurrent registrations with one e-mail address' => sub {
    my $wanted = unique('race') . '@example.com';
    my @apis = sort keys %register;
    my @replies = parallel 9, sub {
        my ($i) = @_;
        my $reply = register_at($apis[$i % 3], email => $i % 2 ? uc $wanted : $wanted);
        return [$apis[$i % 3], $reply->status, $reply->body];
    };
    is_deeply([sort map { $_->[1] } @replies], [201, (400) x 8], 'one returns 201, the others 400');
    is_deeply([grep { $_->[1] == 400 && $_->[2] !~ /"email":\["A user with that e-mail already exists\."\]/ } @replies],
        [], 'the others report the e-mail address');
    is(scalar(sql('SELECT 1 FROM learnhub.users WHERE lower(email) = lower(?)', $wanted)), 1, 'there is one account');
};

# ---- logging in ----

my $ada = signup(first_name => 'Ada', last_name => 'King');
my $account = user($ada->{email});
sql('UPDATE learnhub.users SET username = ? WHERE id = ?', $account->{username} = unique('Ada'), $account->{id});

for my $api (sort keys %login) {
    my ($format, $path, $field, $tokens) = @{ $login{$api} };
    subtest "POST $path" => sub {
        my $reply = log_in_at($api, @$ada{qw(email password)});
        is($reply->status, 200, 'login returns 200');
        is_deeply(keys_of($reply->json), $api eq 'tutoring' ? [qw(message tokens user)] : [qw(access refresh)],
            'login returns the keys of its API');
        is($reply->header('Cache-Control'), 'no-store', 'tokens must not be cached');
        my ($access, $refresh) = $tokens->($reply->json);
        opens_everything($access, 'the access token');
        is_error(api_as($refresh, GET => '/api/v1/auth/me/'), 'detail', 401,
            'the refresh token is rejected as an access token');
        is(log_in_at($api, $_, $password)->status, 200, "login accepts the name $_")
            for uc $ada->{email}, $account->{username}, lc $account->{username}, " $ada->{email} ";
        my $wrong = log_in_at($api, $ada->{email}, 'not the password');
        is_error($wrong, $format, 401, qr/^Incorrect /, 'a wrong password returns 401');
        is($wrong->header('WWW-Authenticate'), 'Bearer realm="learnhub"', 'the 401 has a challenge');
        my $unknown = log_in_at($api, unique('nobody'), 'not the password');
        is_deeply([$unknown->status, $unknown->body], [401, $wrong->body], 'an unknown user gets the same response');
        is_invalid(post($path, {}), $format, [$field, 'password'], 'name and password are required');
        is_invalid(post($path, { $field => 7, password => [] }), $format, [$field, 'password'], 'types are validated');
        is_error(api(POST => $path, form => { $field => 'x' }), $format, 415, 'a form is rejected');

        for my $token ($access, $refresh) {
            is_error(post($refresh_path{$api}, { refresh => $token eq $refresh ? "$token." : $token }), $format, 401,
                qr/refresh token/, 'an access token or a changed refresh token is not refreshed');
        }
        for my $other (sort keys %refresh_path) {
            my $refreshed = post($refresh_path{$other}, { refresh => $refresh });
            is_deeply([$refreshed->status, keys_of($refreshed->json)], [200, [qw(access refresh)]],
                "its refresh token is refreshed by $other");
            opens_everything($refreshed->json->{access}, 'the refreshed access token');
        }
        is(refresh($refresh)->status, 200, 'its refresh token is refreshed by /users/refresh');
        is(post($refresh_path{$api}, { refresh => $ada->{refresh} })->status, 200,
            'a refresh token of /users/login is refreshed');
        is_invalid(post($refresh_path{$api}, {}), $format, ['refresh'], 'refresh is required');
        is_invalid(post($refresh_path{$api}, { refresh => 7 }), $format, ['refresh'], 'refresh is a string');
    };
}

subtest 'the user of POST /api/auth/login/' => sub {
    my $user = log_in_at('tutoring', $account->{username}, $password)->json->{user};
    my $joined = delete $user->{date_joined};
    like($joined, $time, 'date_joined is a UTC time');
    is_deeply($user, { id => $account->{id}, email => $ada->{email}, username => $account->{username},
            first_name => 'Ada', last_name => 'King', role => 'student' }, 'the user is the account');
    is_deeply(api_as($ada, GET => '/api/auth/user/')->json, { %$user, pk => $account->{id}, date_joined => $joined },
        'GET /api/auth/user/ returns the same with pk');
    is_deeply(api_as($ada, GET => '/api/v1/auth/me/')->json, { %$user, id => $account->{uuid}, date_joined => $joined },
        'GET /api/v1/auth/me/ returns the same with the UUID as id');
    is_error(api(GET => '/api/auth/user/'), 'flat', 401, 'GET /api/auth/user/ requires a token');
    is_error(api(GET => '/api/v1/auth/me/'), 'detail', 401, 'GET /api/v1/auth/me/ requires a token');
};

subtest 'e-mail address or username at the log-ins of coding and xp' => sub {
    for my $path ('/api/token/', '/api/v1/auth/login/') {
        is(post($path, { $_ => $ada->{email}, password => $password })->status, 200, "$path accepts $_")
            for qw(email username);
        my %names = (email => unique('nobody'), username => $ada->{email});
        is(post($path, { %names, password => $password })->status, 200, "$path prefers the username");
        is_invalid(post($path, { email => 7, password => $password }), 'detail', ['email'],
            "$path reports only an invalid e-mail address");
        for my $empty ('', undef) {
            my $shown = $json->encode($empty);
            is(post($path, { email => $empty, username => $ada->{email}, password => $password })->status, 200,
                "$path: the e-mail address $shown counts as absent");
            is(post($path, { email => $ada->{email}, username => $empty, password => $password })->status, 200,
                "$path: the username $shown counts as absent");
            is_invalid(post($path, { email => $empty, username => $empty, password => $password }), 'detail',
                [$path eq '/api/token/' ? 'email' : 'username'], "$path: one of the names is required, not $shown");
        }
        is_invalid(post($path, { email => ' ', username => $ada->{email}, password => $password }), 'detail',
            ['email'], "$path rejects a blank name");
    }
};

# ---- the end of tokens ----

subtest 'POST /api/auth/logout/' => sub {
    my ($access, $refresh) = tokens_at('tutoring', $ada);
    my ($other) = tokens_at('xp', $ada);
    is_error(api(POST => '/api/auth/logout/'), 'flat', 401, 'logout requires a token');
    my $reply = api_as($access, POST => '/api/auth/logout/', json => { refresh => $refresh });
    is_deeply([$reply->status, $reply->json], [200, { detail => 'Successfully logged out.' }], 'logout returns 200');
    is_deeply([map { api_as($_, GET => '/api/auth/user/')->status } $access, $other], [401, 200],
        'logout ends the token that was sent, and no other');
    is_error(api_as($access, POST => '/api/auth/logout/'), 'flat', 401, 'a second logout returns 401');
    is(verify($access)->status, 401, 'verify rejects the access token');
    is(api_as($other, POST => '/api/auth/logout/')->status, 200, 'logout needs no body');
    my $opaque = 'Token ' . token_login(@$ada{qw(email password)})->json->{auth_token};
    is(api_as($opaque, POST => '/api/auth/logout/', body => 'anything')->status, 200,
        'logout accepts an opaque token and any body');
    is(api_as($opaque, GET => '/api/auth/user/')->status, 401, 'the opaque token has ended');
};

subtest 'POST /api/token/verify/' => sub {
    my ($access, $refresh) = tokens_at('coding', $ada);
    my $opaque = token_login(@$ada{qw(email password)})->json->{auth_token};
    for my $token ($access, $refresh, $opaque, @$ada{qw(token refresh)}) {
        my $reply = verify($token);
        is_deeply([$reply->status, $reply->json], [200, {}], 'a valid token returns an empty object');
    }
    for my $token ('', 'x', 'a.b.c', '0' x 40, "$access.", substr($refresh, 0, -3), 'x' x 4096) {
        my $reply = verify($token);
        is_error($reply, 'detail', 401, qr/^The token is invalid or has expired\.$/, 'an invalid token returns 401');
        is($reply->header('WWW-Authenticate'), $INVALID_TOKEN, 'the 401 says that the token is invalid');
    }
    is_invalid(post('/api/token/verify/', {}), 'detail', ['token'], 'token is required');
    is_invalid(verify($_), 'detail', ['token'], 'token is rejected') for 7, undef, 'x' x 4097;
    my $other = second_httpd("LearnHubJWTIssuer https://other.example\n");
    is_deeply([map { verify($_, port => $other->port)->status } $access, $refresh], [401, 401],
        'tokens of another issuer are rejected');
    $other->stop;
};

for my $end (['deactivation', 'UPDATE learnhub.users SET is_active = false WHERE id = ?'],
    ['a new password', q(UPDATE learnhub.users SET password_hash = '!' WHERE id = ?)],
    ['deletion', 'SELECT learnhub.delete_account(?)']) {
    subtest "$end->[0] of an account" => sub {
        my $user = signup();
        my %tokens = map { $_ => [tokens_at($_, $user)] } sort keys %login;
        sql($end->[1], user($user->{email})->{id});
        api_as((tokens_at('xp', $ada))[0], POST => '/api/auth/logout/'); # the node reads the new events at once
        for my $api (sort keys %login) {
            my ($format) = @{ $login{$api} };
            is_error(log_in_at($api, @$user{qw(email password)}), $format, 401, "$api: log-in returns 401");
            is_error(post($refresh_path{$api}, { refresh => $tokens{$api}[1] }), $format, 401, "$api: refresh: 401");
            is_deeply([map { verify($_)->status } @{ $tokens{$api} }], [401, 401], "$api: verify rejects both tokens");
            is(api_as($tokens{$api}[0], GET => '/api/v1/auth/me/')->status, 401, "$api: its access token is rejected");
        }
    };
}

# ---- the throttle ----

my $throttled = second_httpd("LearnHubLoginThrottle 3/1m 3/1m\n");
my $last_address = 10;

# Each attempt comes from another address, so that only the count of the account matters.
sub attempt {
    my ($log_in, $name, $secret) = @_;
    my %from = (port => $throttled->port, from => '127.0.4.' . ++$last_address);
    return $log_in->($name, $secret, %from);
}

my %every_login = (users => \&log_in, auth => \&token_login,
    map { my $api = $_; ($api => sub { log_in_at($api, @_) }) } keys %login);

subtest 'all log-ins share the throttle' => sub {
    for my $api (sort keys %login) {
        my $user = signup();
        my $failed = attempt($every_login{$api}, $user->{email}, 'a wrong guess');
        is($failed->status, 401, "$api: the first failure returns 401");
        my ($second, $third) = grep { $_ ne $api } sort keys %login;
        attempt($every_login{$_}, $user->{email}, 'a wrong guess') for $second, $third;
        for my $other (sort keys %every_login) {
            my $reply = attempt($every_login{$other}, @$user{qw(email password)});
            my $format = $login{$other} ? $login{$other}[0] : 'detail';
            is_error($reply, $format, 429, "$other: 429 after one failure at each of $api, $second and $third");
            like($reply->header('Retry-After') // '', qr/^(?:[1-9]|[1-5]\d|60)$/, "$other: Retry-After in seconds");
        }
    }
    my $user = signup();
    for my $api (sort keys %login) {
        attempt($every_login{$api}, $user->{email}, 'a wrong guess') for 1 .. 2;
        is(attempt($every_login{$api}, @$user{qw(email password)})->status, 200, "$api: below the limit, login works");
        attempt($every_login{$api}, $user->{email}, 'a wrong guess') for 1 .. 2;
        is(attempt($every_login{$api}, @$user{qw(email password)})->status, 200, "$api: a login forgets the failures");
    }
    my $nobody = unique('nobody');
    attempt($every_login{$_}, $nobody, 'a wrong guess') for sort keys %login;
    is(attempt($every_login{$_}, uc $nobody, 'a wrong guess')->status, 429, "$_: an unknown name is throttled too")
        for sort keys %every_login;
    my %one = (port => $throttled->port, from => '127.0.4.1');
    log_in_at($_, unique('nobody'), 'a wrong guess', %one) for sort keys %login;
    is($every_login{$_}->(@$user{qw(email password)}, %one)->status, 429, "$_: an address is throttled too")

        for sort keys %every_login;
};
$throttled->stop;

# ---- requested roles ----

my $admin = signup(role => 'admin');

# Asks for the role instructor at sign-up: {email, id, token}.
sub applicant {
    my (%with) = @_;
    my $fields = fields_for('tutoring', role => 'instructor');
    my $body = post('/api/auth/register/', $fields, %with)->json;
    return { %$fields, id => $body->{user}{id}, role => $body->{user}{role}, token => $body->{tokens}{access} };
}

# The status of creating a tutoring session, which only instructors and admins may do.
sub status_of_session {
    my ($user) = @_;
    my %session = (title => 'T', description => 'D', date => '2099-01-01T10:00:00Z', max_participants => 5);
    return api_as($user, POST => '/api/sessions/', json => \%session)->status;
}

sub decide {
    my ($user, %change) = @_;
    return api_as($admin, PATCH => "/api/admin/users/$user->{id}/", json => \%change);
}

subtest 'a requested role' => sub {
    my ($user, $other) = (applicant(), applicant());
    is($user->{role}, 'student', 'an account that asks for the role instructor is a student');
    is_deeply([@{ user($user->{email}) }{qw(role requested_role)}], [qw(student instructor)], 'the request is stored');
    is(status_of_session($user), 403, 'the user cannot act as an instructor');
    is(log_in_at('tutoring', $user->{email}, $password)->json->{user}{role}, 'student', 'log-in shows the true role');
    is(api_as($user, GET => '/api/auth/user/')->json->{role}, 'student', 'the account shows the true role');
    is(decide($user, is_active => true)->json->{requested_role}, 'instructor', 'is_active does not decide a request');
    my $granted = decide($user, role => 'instructor')->json;
    is_deeply([@$granted{qw(role requested_role)}], ['instructor', undef], 'an admin grants the request');
    is(status_of_session($user), 201, 'the user is an instructor without a new login');
    is(api_as($user, GET => '/api/auth/user/')->json->{role}, 'instructor', 'the account shows the new role');
    is_deeply([@{ decide($other, role => 'student')->json }{qw(role requested_role)}], ['student', undef],
        'an admin declines the request with the role that the user has');
    is(status_of_session($other), 403, 'the declined user stays a student');
    is_deeply([map { user($_->{email})->{requested_role} } $user, $other], [undef, undef], 'both requests are decided');
    my $third = applicant();
    role($third->{email}, 'instructor');
    is(user($third->{email})->{requested_role}, undef, 'learnhub.set_role() decides a request');
    my $leaver = applicant();
    sql('SELECT learnhub.delete_account(?)', $leaver->{id});
    is_deeply([sql('SELECT requested_role FROM learnhub.users WHERE id = ?', $leaver->{id})],
        [{ requested_role => undef }], 'the deletion of an account removes its request');
};

subtest 'LearnHubSignupRoles' => sub {
    my $open = second_httpd("LearnHubSignupRoles student instructor\n");
    my $user = applicant(port => $open->port);
    is($user->{role}, 'instructor', 'a listed role is granted at sign-up');
    is_deeply([@{ user($user->{email}) }{qw(role requested_role)}], ['instructor', undef], 'there is no request');
    is(status_of_session($user), 201, 'the new instructor creates a session');
    is(post('/api/auth/register/', fields_for('tutoring', role => $_), port => $open->port)->status, 400,
        "the role $_ is rejected") for qw(admin service);
    is(post('/api/auth/register/', fields_for('tutoring', @$_), port => $open->port)->json->{user}{role}, 'student',
        'students stay students') for [], [role => 'student'];
    my $fields = fields_for('coding', role => 'instructor');
    post('/api/users/', $fields, port => $open->port);
    is(user($fields->{email})->{role}, 'student', 'other registrations take no role');
    $open->stop;
};

subtest 'LearnHubAPI controls whether the log-ins are served' => sub {
    my %first = (tutoring => '/api/auth/user/', coding => '/api/token/', xp => '/api/v1/auth/me/');
    for my $api (sort keys %first) {
        my $server = second_httpd("LearnHubAPI $api\n");
        my %served = map { $_ => api(GET => $first{$_}, port => $server->port)->is_json ? 1 : 0 } keys %first;
        is_deeply(\%served, { map { $_ => $_ eq $api ? 1 : 0 } keys %first }, "LearnHubAPI $api serves only its own");
        $server->stop;
    }
    is_error(api(GET => '/api/v1/authx'), 'detail', 404, '/api/v1/authx belongs to xp');
    is_error(api(GET => '/api/v1/auth/x'), 'detail', 404, '/api/v1/auth/x has no route');
    is_error(api(GET => '/api/users/x'), 'envelope', 404, '/api/users/x has no route');
    is_error(api(GET => '/api/token/x'), 'detail', 404, '/api/token/x has no route');
    is_error(api(GET => '/api/auth/x'), 'flat', 404, '/api/auth/x has no route');
};

done_testing;

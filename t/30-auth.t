# SPDX-License-Identifier: Apache-2.0
# Accounts, passwords, logins and tokens: /users/signup, login, refresh and me, /auth/users/, /auth/token/.
use strict;
use warnings;
use utf8;
use lib 't/lib';
use Digest::SHA qw(sha256_hex);
use LearnHub::Account qw(refresh get_me is_unauthorized);
use LearnHub::Test;
use MIME::Base64 qw(encode_base64);

my $INVALID_TOKEN = 'Bearer realm="learnhub", error="invalid_token"';
my $NO_TOKEN = 'Bearer realm="learnhub"';
my $json = JSON::XS->new->canonical->allow_nonref;
my $ordinary = 'an ordinary phrase';
my @secrets; # all passwords and tokens of this file, which no log or table may contain

# ---- helpers ----

# Adds values to @secrets; returns the first.
sub secret { push @secrets, @_; return $_[0] }
sub new_email { return unique('auth') . '@example.com' }

# The fields of POST /users/signup.
sub signup_fields {
    return (first_name => 'Ada', last_name => 'King', email => new_email(), password => secret($ordinary));
}

sub sign_up { my (%over) = @_; return api(POST => '/users/signup', json => { signup_fields(), %over }) }

# The fields of POST /auth/users/.
sub account_fields {
    my $name = unique('name');
    my $password = secret("pass of $name");
    return (username => $name, email => "$name\@example.com", password => $password, re_password => $password);
}

sub create { my (%over) = @_; return api(POST => '/auth/users/', json => { account_fields(), %over }) }

# The logins of LearnHub::Account, which also add the password and the tokens to @secrets.
sub log_in {
    my ($name, $password, %with) = @_;
    my $reply = LearnHub::Account::log_in($name, secret($password), %with);
    secret($reply->json->{access_token}, $reply->json->{refresh_token}) if $reply->status == 200;
    return $reply;
}

sub token_login {
    my ($name, $password, %with) = @_;
    my $reply = LearnHub::Account::token_login($name, secret($password), %with);
    secret($reply->json->{auth_token}) if $reply->status == 200;
    return $reply;
}

sub log_out { my ($token) = @_; return api_as($token, POST => '/auth/token/logout/') }

# The parts of a response that must not depend on the cause of an error.
sub response_of { my ($reply) = @_; return [$reply->status, $reply->header('WWW-Authenticate'), $reply->json] }

sub epoch {
    my ($y, $mo, $d, $h, $mi, $s) = $_[0] =~ /(\d+)/g;
    my $query = 'SELECT extract(epoch FROM make_timestamptz(?, ?, ?, ?, ?, ?, ?))::bigint AS e';
    return (sql($query, $y, $mo, $d, $h, $mi, $s, 'UTC'))[0]{e};
}

# ---- accounts of POST /users/signup ----

my $ada_email = unique('Ada') . '@Example.com';
my $ada;

subtest 'POST /users/signup' => sub {
    my $reply = sign_up(email => $ada_email, first_name => '  Ada ', last_name => 'King of Lovelace');
    is($reply->status, 201, 'signup returns 201');
    is_deeply(keys_of($reply->json), [qw(message user)], 'signup returns message and user');
    is($reply->json->{message}, 'User created successfully', 'signup returns the documented message');
    $ada = $reply->json->{user};
    is_deeply(keys_of($ada), [qw(created_at email first_name id last_name)], 'a user has five keys');
    like($ada->{id}, qr/^[0-9a-f]{24}$/, 'the id of a user is 24 hex digits');
    like($ada->{created_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/, 'created_at has neither zone nor fraction');
    my $age = hex(substr $ada->{id}, 0, 8) - epoch($ada->{created_at});
    ok($age == 0 || $age == 1, 'the id starts with the time of creation') || diag($age);
    is_deeply([@$ada{qw(first_name last_name email)}], ['Ada', 'King of Lovelace', $ada_email],
        'signup trims names and keeps the case of the e-mail address');
    is(user($ada_email)->{username}, $ada_email, 'the username defaults to the e-mail address');
    is(user($ada_email)->{role}, 'student', 'a new user is a student');
    is_error(sign_up(email => uc $ada_email), 'located', 400, 'an e-mail address in use is rejected in any case');
    is(scalar(sql('SELECT 1 FROM learnhub.users WHERE lower(email) = lower(?)', $ada_email)), 1,
        'a rejected signup creates no account');
};

subtest 'validation of POST /users/signup' => sub {
    my @fields = qw(first_name last_name email password);
    is_invalid(api(POST => '/users/signup', json => {}), 'located', \@fields,
        'four missing fields are reported together');
    is_invalid(sign_up(email => 'nobody', first_name => ' ', last_name => 'x' x 151, password => 'short'), 'located',
        \@fields, 'four invalid fields are reported together');
    my ($first) = @{ sign_up(email => 'nobody')->json->{detail} };
    is_deeply([$first->{loc}, $first->{type}], [[qw(body email)], 'value_error'],
        'an error has loc and type of its field');
    like($first->{msg}, qr/\w+ \w+/, 'the msg of an error is a sentence');
    for my $field (qw(first_name last_name)) {
        is(sign_up($field => 'é' x 150)->status, 201, "$field of 150 two-byte characters is accepted");
        for my $wrong ('', "\t ", 'é' x 151, 7, undef, ['Ada'], JSON::XS::true) {
            is_invalid(sign_up($field => $wrong), 'located', [$field], "$field is rejected: " . $json->encode($wrong));
        }
    }
    for my $wrong ('', 'ada', 'ada@', '@example.com', 'a b@example.com', 'a@b@example.com',
        'a@example.com ,b@example.com', "a\n\@example.com", ('a' x 250) . '@example.com', 5, undef, {}) {
        is_invalid(sign_up(email => $wrong), 'located', ['email'], 'email is rejected: ' . $json->encode($wrong));
    }
    for my $malformed ('{"first_name": "Ada"', '', '{]', 'first_name=Ada') {
        my %type = ('Content-Type' => 'application/json');
        my $reply = api(POST => '/users/signup', body => $malformed, headers => \%type);
        is($reply->status, 422, "malformed JSON in POST /users/signup returns 422: '$malformed'");
        is($reply->json && $reply->json->{detail}[0]{loc}[0], 'body', "malformed JSON has the loc body: '$malformed'");
    }
    for my $value ('[]', '"Ada"', '7', 'null') {
        is(api(POST => '/users/signup', body => $value)->status, 422, "JSON that is not an object returns 422: $value");
    }
};

subtest 'password rules' => sub {
    my $first_name = 'Bartholomew';
    my $email = unique('own') . '@example.com';
    my %own = (first_name => $first_name, last_name => 'Featherstonehaugh', email => $email);
    my %weak = (
        '7 bytes' => 'seven 7', '73 bytes' => 'x' x 73, '74 bytes in 37 characters' => 'é' x 37,
        'only digits' => '8236451907', 'an empty string' => '',
        'the first name' => $first_name, 'the first name in another case' => uc $first_name,
        'the last name' => $own{last_name}, 'the e-mail address' => $email,
        'the e-mail address in another case' => uc $email,
    );
    for my $kind (sort keys %weak) {
        is_error(sign_up(%own, password => $weak{$kind}), 'located', 422, qr/^The password must .+\.$/,
            "a new password is rejected with one sentence: $kind");
    }
    is_error(sign_up(password => 'short'), 'located', 422, qr/^The password must have 8 to 72 bytes/,
        'the sentence says what is allowed');
    is_invalid(sign_up(password => 'short', last_name => ''), 'located', [qw(last_name password)],
        'a password that breaks a rule is listed together with another invalid field');
    is_invalid(sign_up(password => $_), 'located', ['password'], 'password is rejected: ' . $json->encode($_))
        for 12345678, undef, ['a good password'];
    my %good = (
        '8 bytes' => 'eight 88', '8 bytes in 4 characters' => 'éàüß', '72 bytes' => 'yes ' x 16 . 'and more',
        '72 bytes in 36 characters' => 'áéíóúàèìòùâêîôûäëïöüãñõåøæçðþýÿßšžčć',
        'blanks at both ends' => '  spaces count  ',
    );
    for my $kind (sort keys %good) {
        my ($name, $password) = (new_email(), $good{$kind});
        is(sign_up(email => $name, password => secret($password))->status, 201, "a new password is accepted: $kind");
        is(log_in($name, $password)->status, 200, "a password of $kind logs in");
        is(log_in($name, "$password!")->status, 401, "a password of $kind plus one character does not log in");
        is(log_in($name, substr $password, 0, -1)->status, 401,
            "a password of $kind minus one character does not log in");
    }
};

# ---- JWT logins ----

my ($access, $refresh);

subtest 'POST /users/login' => sub {
    my $login = log_in($ada_email, $ordinary);
    is($login->status, 200, 'login returns 200');
    is_deeply(keys_of($login->json), [qw(access_token expires_in refresh_token token_type user)],
        'login returns five keys');
    is($login->header('Cache-Control'), 'no-store', 'the tokens of a login must not be cached');
    is_deeply($login->json->{user}, $ada, 'login returns the user of signup');
    is_deeply([@{ $login->json }{qw(token_type expires_in)}], ['bearer', 86400],
        'login returns the token type and the lifetime in seconds');
    ($access, $refresh) = @{ $login->json }{qw(access_token refresh_token)};
    is(log_in(uc $ada_email, $ordinary)->status, 200, 'the e-mail address logs in in any case');
    is(log_in(lc $ada_email, $ordinary)->json->{user}{email}, $ada_email,
        'login returns the e-mail address in the case of signup');
    my %oauth = (grant_type => 'password', scope => 'a b', client_id => 'x', client_secret => 'y');
    is(api(POST => '/users/login', form => { username => $ada_email, password => $ordinary, %oauth })->status, 200,
        'login ignores the other OAuth2 fields');
    my $wrong = log_in($ada_email, 'not the password');
    is_error($wrong, 'located', 401, 'a wrong password returns 401');
    like($wrong->header('WWW-Authenticate'), qr/^Bearer realm="learnhub"$/,
        'the 401 of a login has WWW-Authenticate without an error code');
    is_deeply(response_of(log_in(new_email(), 'not the password')), response_of($wrong),
        'an unknown user gets the same response as a wrong password');
    is(log_in($ada_email, ucfirst $ordinary)->status, 401, 'passwords are case-sensitive');
    my %fields = (username => $ada_email, password => $ordinary);
    is(api(POST => '/users/login', json => \%fields)->status, 422, 'a JSON login returns 422');
    is(api(POST => '/users/login', multipart => [%fields])->status, 200, 'a multipart login returns 200');
    is_invalid(api(POST => '/users/login', form => { grant_type => 'password' }), 'located', [qw(username password)],
        'login requires username and password');
    is_invalid(log_in('', ''), 'located', [qw(username password)], 'login rejects an empty username and password');
};

subtest 'POST /users/refresh' => sub {
    my $refreshed = refresh($refresh);
    is($refreshed->status, 200, 'refresh returns 200');
    is_deeply(keys_of($refreshed->json), [qw(access_token expires_in token_type)], 'refresh returns three keys');
    is_deeply([@{ $refreshed->json }{qw(token_type expires_in)}], ['bearer', 86400],
        'refresh returns the token type and lifetime of login');
    is_deeply(get_me(secret($refreshed->json->{access_token}))->json, $ada, 'a refreshed access token is accepted');
    is_deeply(get_me($access)->json, $ada, 'the access token before a refresh is still accepted');
    is(refresh($refresh)->status, 200, 'a refresh token can be used twice');
    is_error(refresh($access), 'located', 401, 'refresh rejects an access token');
    my %malformed = ('one letter' => 'x', 'three letters with dots' => 'a.b.c',
        'a refresh token with an extra dot' => "$refresh.", 'a truncated refresh token' => substr $refresh, 0, -3);
    is_error(refresh($malformed{$_}), 'located', 401, "refresh rejects $_") for sort keys %malformed;
    is_invalid(api(POST => '/users/refresh', json => {}), 'located', ['refresh_token'],
        'refresh requires refresh_token');
    is_invalid(refresh(7), 'located', ['refresh_token'], 'refresh rejects a number');
};

subtest 'GET /users/me' => sub {
    is_unauthorized(get_me($refresh), $INVALID_TOKEN, 'a refresh token is rejected as an access token');
    is(api_as($access, GET => '/users/me/')->status, 200, '/users/me accepts a trailing slash');
    my $head = api_as($access, HEAD => '/users/me');
    is_deeply([$head->status, $head->body], [200, ''], 'HEAD /users/me returns 200 without a body');
    is_unauthorized(get_me(undef), $NO_TOKEN, 'a request without a token returns 401 without an error code');
    sign_up(email => my $email = new_email());
    my $token = log_in($email, $ordinary)->json->{access_token};
    is(get_me($token)->status, 200, 'a token is accepted while the account exists');
    sql('DELETE FROM learnhub.users WHERE email = ?', $email);
    ok(eventually(sub { get_me($token)->status =~ /^40[14]$/ }, 3),
        'a token of an account that was deleted in the database soon returns 401 or 404');
};

# ---- accounts and opaque tokens of /auth ----

my %grace = account_fields();
$grace{username} = ucfirst $grace{username};

subtest 'POST /auth/users/' => sub {
    my $reply = create(%grace);
    is($reply->status, 201, '/auth/users/ returns 201');
    is_deeply(keys_of($reply->json), [qw(email id username)], '/auth/users/ returns three keys');
    is_deeply([@{ $reply->json }{qw(email username)}], [@grace{qw(email username)}],
        '/auth/users/ keeps the case of e-mail address and username');
    is($reply->json->{id}, user($grace{email})->{id}, 'the id of /auth/users/ is the id in the database');
    like($reply->body, qr/"id":\s*\d+[,}]/, 'the id of /auth/users/ is a JSON number');
    is_invalid(api(POST => '/auth/users/', json => {}), 'detail', [qw(username email password re_password)],
        '/auth/users/ requires four fields');
    is_invalid(create(email => 'nobody', password => '123', re_password => '123', username => ''), 'detail',
        [qw(username email password)], 'three invalid fields are reported together');
    is_invalid(create(re_password => 'another password'), 'detail', ['non_field_errors'],
        're_password must equal the password');
    is_invalid(create(%grace, username => uc $grace{username}, email => uc $grace{email}), 'detail',
        [qw(username email)], 'username and e-mail address in use are reported together');
    is_invalid(create(username => lc $grace{username}), 'detail', ['username'],
        'a username in use is rejected in any case');
    is_invalid(create(email => $grace{email}), 'detail', ['email'], 'an e-mail address in use is rejected');
    my $name = unique('longname');
    my %weak = ('the username' => $name, 'the username in another case' => uc $name, 'only digits' => '31415926535',
        '73 bytes' => 'x' x 73);
    for my $kind (sort keys %weak) {
        my %passwords = (password => $weak{$kind}, re_password => $weak{$kind});
        is_invalid(create(username => $name, %passwords), 'detail', ['password'],
            "/auth/users/ rejects a new password: $kind");
    }
    is(api(POST => '/auth/users/', body => '{"username": ')->status, 400, 'malformed JSON returns 400 at /auth/users/');
};

my ($opaque, $further, $kept);

subtest 'POST /auth/token/login/' => sub {
    my $reply = token_login(@grace{qw(username password)});
    is($reply->status, 200, 'token login returns 200');
    is_deeply(keys_of($reply->json), ['auth_token'], 'token login returns one key');
    like($opaque = $reply->json->{auth_token}, qr/^[0-9a-f]{40}$/, 'an opaque token is 40 hex digits');
    my ($username, $email) = @grace{qw(username email)};
    my %name = ('the username in upper case' => uc $username, 'the username in lower case' => lc $username,
        'the e-mail address' => $email, 'the e-mail address in upper case' => uc $email);
    is(token_login($name{$_}, $grace{password})->status, 200, "token login accepts $_") for sort keys %name;
    my $wrong = token_login($grace{username}, 'not the password');
    is_invalid($wrong, 'detail', ['non_field_errors'], 'a wrong password returns 400 at token login');
    is_deeply(response_of(token_login(unique('nobody'), 'not the password')), response_of($wrong),
        'an unknown user gets the same response as a wrong password at token login');
    is(api(POST => '/auth/token/login/', json => { username => $grace{username} })->status, 400,
        'token login requires a password');
    isnt($further = token_login(@grace{qw(username password)})->json->{auth_token}, $opaque,
        'each token login creates a new token');
    $kept = log_in(@grace{qw(username password)})->json->{access_token};
};

subtest 'authorization schemes' => sub {
    my $user = get_me($opaque)->json;
    is($user->{email}, $grace{email}, 'an opaque token is accepted by /users/me');
    is_deeply(get_me("$_ $opaque")->json, $user, "the scheme $_ is accepted with an opaque token")
        for qw(Token token TOKEN tOkEn Bearer bearer BEARER);
    is_deeply(get_me("$_ $access")->json, $ada, "the scheme $_ is accepted with a JWT") for qw(bearer BEARER bEaReR);
    my %wrong = (
        'an empty string' => '', 'one letter' => 'x', 'a token without its first digit' => substr($opaque, 1),
        'a token with an extra digit' => "${opaque}0", 'a token with a dot' => "$opaque.", '40 letters g' => 'g' x 40,
        '40 zeros' => '0' x 40, 'a token twice' => "$opaque $opaque", 'two schemes' => "$opaque, Token $further",
        'a quote with an SQL comment' => "'; --",
    );
    is(get_me("Token $wrong{$_}")->status, 401, "401 for an opaque token that is: $_") for sort keys %wrong;
    is_unauthorized(get_me('Token ' . '0' x 40), $INVALID_TOKEN,
        'an unknown opaque token returns the error invalid_token');
    is(get_me('Basic ' . encode_base64('a:b', ''))->status, 401, 'the scheme Basic is rejected');
    is(get_me("Digest $opaque")->status, 401, 'the scheme Digest is rejected');
};

subtest 'POST /auth/token/logout/' => sub {
    my $logout = log_out("Token $opaque");
    is_deeply([$logout->status, $logout->body], [204, ''], 'logout returns 204 without a body');
    is_unauthorized(get_me("Token $opaque"), $INVALID_TOKEN, 'a token is rejected immediately after logout');
    my @statuses = map { get_me($opaque, headers => { Connection => 'close' })->status } 1 .. 10;
    is_deeply(\@statuses, [(401) x 10], 'a token is rejected on ten new connections after logout');
    is(get_me("Token $further")->status, 200, 'logout does not end another opaque token of the user');
    is(get_me($kept)->status, 200, 'logout does not end a JWT of the user');
    is_error(log_out("Token $opaque"), 'detail', 401, 'a second logout with the same token returns 401');
    is_error(log_out(undef), 'detail', 401, 'logout requires a token');
    my $other = log_in(@grace{qw(username password)})->json->{access_token};
    is(log_out($kept)->status, 204, 'logout accepts a JWT');
    is_deeply([map { get_me($_)->status } $kept, $other, "Token $further"], [401, 200, 200],
        'logout with a JWT ends only that login');
};

subtest 'one account for both account APIs' => sub {
    is(log_in(@grace{qw(username password)})->json->{user}{email}, $grace{email},
        'an account of /auth/users/ logs in at /users/login');
    my $token = token_login($ada_email, $ordinary)->json->{auth_token};
    is_deeply(get_me("Token $token")->json, $ada, 'an account of /users/signup logs in at /auth/token/login/');
    is_error(refresh($token), 'located', 401, 'refresh rejects an opaque token');
    is_error(sign_up(email => uc $grace{email}), 'located', 400, 'signup rejects an e-mail address of /auth/users/');
    is_invalid(create(username => uc $ada_email), 'detail', ['username'],
        "/auth/users/ rejects another user's e-mail address as username");
    my $email = new_email();
    my $named = create(username => $email);
    my $owner = sign_up(email => uc $email);
    ok(($named->status == 400) != ($owner->status == 400), "another user's username is rejected as e-mail address")
        || diag($named->summary, $owner->summary);
    is(scalar(sql('SELECT 1 FROM learnhub.users WHERE lower(?) IN (lower(email), lower(username))', $email)), 1,
        'a login name belongs to one account');
};

# ---- login throttle ----

# A process with 32 threads lets 12 logins and 10 sign-ups verify or wait; others get 503.

my $throttled = second_httpd("LearnHubLoginThrottle 3/3s 3/3s\nLogLevel learnhub:trace8");
my $last_address = 10;
sub address { return '127.0.0.' . ++$last_address }

sub throttled_login {
    my ($name, $password, $from) = @_;
    return log_in($name, $password, port => $throttled->port, from => $from);
}

sub throttled_token_login {
    my ($name, $password, $from) = @_;
    return token_login($name, $password, port => $throttled->port, from => $from);
}

# 429 with Retry-After; without field errors the formats detail and located are the same.
sub is_throttled {
    my ($reply, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_error($reply, 'detail', 429, "$name: 429");
    return like($reply->header('Retry-After') // '', qr/^[1-3]$/, "$name: Retry-After in seconds");
}

subtest 'login throttle' => sub {
    my %linus = account_fields();
    my @linus = @linus{qw(username password)};
    create(%linus);
    is(throttled_login(@linus, address())->status, 200, 'a login without earlier failures returns 200');
    my @names = (uc $linus{username}, lc $linus{username}, $linus{email});
    is_deeply([map { throttled_login($_, 'a wrong guess', address())->status } @names], [401, 401, 401],
        'three wrong passwords for one account, from three addresses and with three names, return 401');
    is_throttled(throttled_login(@linus, address()), 'the right password from a fourth address, after three failures');
    is_throttled(throttled_token_login($linus{email}, $linus{password}, address()),
        'token login, after three failures at /users/login');
    is(throttled_login($ada_email, $ordinary, address())->status, 200, 'other accounts are not throttled');
    my $one = address();
    is_deeply([map { throttled_token_login(unique('nobody'), 'a wrong guess', $one)->status } 1 .. 3], [400, 400, 400],
        'three failures from one address, for three names, return 400');
    is_throttled(throttled_token_login($ada_email, $ordinary, $one), 'token login from an address with three failures');
    is_throttled(throttled_login($ada_email, $ordinary, $one), 'login from an address with three failures');
    is(throttled_login($ada_email, $ordinary, address())->status, 200,
        'an account is not throttled at another address than the one with failures');
    my $nobody = unique('nobody');
    throttled_login($nobody, 'a wrong guess', address()) for 1 .. 3;
    is_throttled(throttled_login($nobody, 'a wrong guess', address()), 'an unknown name, after three failures');
    Time::HiRes::sleep(4);
    is(throttled_login(@linus, address())->status, 200, 'an account can log in after the throttle interval');
    is(throttled_token_login($ada_email, $ordinary, $one)->status, 200,
        'an address can log in after the throttle interval');
    my $storm = address();
    my @guesses = parallel 12, sub { return throttled_login($linus{username}, "wrong guess $_[0]", $storm)->status };
    is_deeply([grep { !/^(?:401|429)$/ } @guesses], [], '12 concurrent wrong passwords return 401 or 429');
    is_throttled(throttled_login(@linus, $storm), 'the right password, after 12 concurrent wrong ones');
    my @below = parallel 12, sub { return log_in($grace{username}, "wrong guess $_[0]")->status };
    is_deeply(\@below, [(401) x 12], '12 concurrent wrong passwords below the limit return 401');
    is(log_in(@grace{qw(username password)})->status, 200, 'wrong passwords below the limit do not lock the account');
};

subtest 'concurrent signups, logins and logouts' => sub {
    my $wanted = new_email();
    my @statuses = parallel 10, sub {
        my ($i) = @_;
        my $email = $i % 2 ? uc $wanted : ucfirst $wanted;
        return ($i % 3 ? sign_up(email => $email) : create(email => $email))->status;
    };
    is_deeply([sort @statuses], [201, (400) x 9],
        '10 concurrent signups with one e-mail address: one returns 201, the others 400');
    is(scalar(sql('SELECT 1 FROM learnhub.users WHERE lower(email) = lower(?)', $wanted)), 1,
        '10 concurrent signups with one e-mail address create one account');
    my @tokens = parallel 12, sub { return token_login(@grace{qw(username password)})->json->{auth_token} };
    my %distinct = map { $_ => 1 } @tokens;
    secret(@tokens);
    is(scalar(keys %distinct), 12, '12 concurrent token logins return 12 tokens');
    my @logouts = sort { $a <=> $b } parallel(20, sub { return log_out($tokens[0])->status });
    is_deeply([$logouts[0], grep { !/^(?:204|401)$/ } @logouts], [204],
        '20 concurrent logouts of one token return 204 or 401');
    is_deeply([map { get_me($_)->status } @tokens[0, 1]], [401, 200], '20 concurrent logouts end only that token');
    $further = $tokens[1]; # the account has no place for more than 20 opaque tokens, so the first ones have ended
};

subtest 'secrets in the database and in logs' => sub {
    my @tables = map { $_->{name} }
        sql(q(SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname LIKE 'learnhub%'));
    my $rows = join "\n", map { my $table = $_; map { $_->{row} } sql("SELECT t::text AS row FROM $table t") } @tables;
    ok(index($rows, sha256_hex($further)) >= 0, 'the database stores the SHA-256 digest of an opaque token');
    like((sql('SELECT u::text AS row FROM learnhub.users u WHERE email = ?', $grace{email}))[0]{row},
        qr{\$2[aby]\$04\$[./A-Za-z0-9]{53}}, 'the database stores the bcrypt hash of a password');
    my %unique = map { $_ => 1 } grep { defined && length >= 12 } @secrets;
    my @found = grep { index($rows, $_) >= 0 } keys %unique;
    is_deeply(\@found, [], 'the database contains none of ' . keys(%unique) . ' passwords and tokens');
    my @logs = (glob(qq("$top"/t/logs/*log)), "$top/build/run/pg.log");
    for my $log (grep {-s} @logs) {
        open my $in, '<:raw', $log or die "$log: $!";
        my $text = do { local $/; <$in> };
        utf8::decode($text);
        is_deeply([grep { index($text, $_) >= 0 } keys %unique, $jwt_secret], [],
            $log =~ s{.*/}{}r . ' contains no password, token or JWT secret');
    }
    ok(scalar(grep { m{/error_log$} && -s } @logs), 'the error log was searched') || diag("@logs");
    ok(-s "$top/t/logs/access_log" && -e "$top/build/run/pg.log",
        'the access log and the PostgreSQL log were searched');
    like($throttled->log_text, qr/learnhub/, 'a log of the module at level trace8 was searched');
};

# The requests before let the processes of httpd read the roles of all users.
subtest 'A role that was just granted needs no new login' => sub {
    for (1 .. 5) {
        my $user = signup();
        api_as($user, GET => '/users/me') for 1 .. 4;
        role($user->{email}, 'instructor');
        is(api_as($user, POST => '/api/sessions/', json => {
                    title => 'T', description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 2 })->status,
            201, 'the next request has the role');
    }
};

done_testing;

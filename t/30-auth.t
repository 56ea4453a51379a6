# SPDX-License-Identifier: Apache-2.0
# Accounts, passwords, logins and opaque tokens: contract.md section 1, the Users API of practice, /auth of mentoring.
use strict;
use warnings;
use utf8;
use lib 't/lib';
use Digest::SHA qw(sha256_hex);
use LearnHub::Test;
use MIME::Base64 qw(encode_base64);

my $SENT = 'Bearer realm="learnhub", error="invalid_token"';
my $NOT_SENT = 'Bearer realm="learnhub"';
my $json = JSON::XS->new->canonical->allow_nonref;
my $ordinary = 'an ordinary phrase';
my @secrets; # every password and token of this file: none may be found in a log

# ---- shorthands ----

sub secret { push @secrets, @_; return $_[0] }
sub email { return unique('auth') . '@example.com' }

sub sign_up { my (%over) = @_; return api(POST => '/users/signup', json => { person(), %over }) }
sub person { return (first_name => 'Ada', last_name => 'King', email => email(), password => secret($ordinary)) }

sub create { my (%over) = @_; return api(POST => '/auth/users/', json => { account(), %over }) }

sub account {
    my $name = unique('name');
    my $password = secret("pass of $name");
    return (username => $name, email => "$name\@example.com", password => $password, re_password => $password);
}

sub log_in {
    my ($name, $password, %more) = @_;
    my $reply = api(POST => '/users/login', form => { username => $name, password => secret($password) }, %more);
    secret($reply->json->{access_token}, $reply->json->{refresh_token}) if $reply->status == 200;
    return $reply;
}

sub token_login {
    my ($name, $password, %more) = @_;
    my $reply = api(POST => '/auth/token/login/', json => { username => $name, password => secret($password) }, %more);
    secret($reply->json->{auth_token}) if $reply->status == 200;
    return $reply;
}

sub refresh { return api(POST => '/users/refresh', json => { refresh_token => $_[0] }) }
sub me { my ($token, %more) = @_; return api(GET => '/users/me', defined $token ? (token => $token) : (), %more) }

# 401 in practice's shape, with exactly this WWW-Authenticate.
sub is_unauthorized {
    my ($reply, $challenge, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $body = $reply->json;
    return is_deeply([$reply->status, $reply->header('WWW-Authenticate'), ref $body eq 'HASH' ? keys %$body : $body],
        [401, $challenge, 'detail'], $name) || diag($reply->summary);
}

# What an answer says beside the moment it was given.
sub answer { my ($reply) = @_; return [$reply->status, $reply->header('WWW-Authenticate'), $reply->json] }

# ---- POST /users/signup ----

my $ada_email = unique('Ada') . '@Example.com';
my $reply = sign_up(email => $ada_email, first_name => '  Ada ', last_name => 'King of Lovelace');
is($reply->status, 201, 'signup answers 201');
is_deeply(keys_of($reply->json), [qw(message user)], 'signup has a message and the user');
is($reply->json->{message}, 'User created successfully', "signup's message");
my $ada = $reply->json->{user};
is_deeply(keys_of($ada), [qw(created_at email first_name id last_name)], 'a user has five keys');
like($ada->{id}, qr/^[0-9a-f]{24}$/, "practice's id is 24 hex digits");
like($ada->{created_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/, 'created_at is without zone and fraction');
my $age = hex(substr $ada->{id}, 0, 8) - epoch($ada->{created_at});
ok($age == 0 || $age == 1, 'the id begins with the time of its making') || diag($age);
is_deeply([@$ada{qw(first_name last_name email)}], ['Ada', 'King of Lovelace', $ada_email],
    'names are trimmed, the e-mail keeps its spelling');
is(user($ada_email)->{username}, $ada_email, 'the username defaults to the e-mail');
is(user($ada_email)->{role}, 'student', 'a new user is a student');

sub epoch {
    my ($y, $mo, $d, $h, $mi, $s) = $_[0] =~ /(\d+)/g;
    return (sql('SELECT extract(epoch FROM make_timestamptz(?, ?, ?, ?, ?, ?, ?))::bigint AS e',
        $y, $mo, $d, $h, $mi, $s, 'UTC'))[0]{e};
}

is_refusal(sign_up(email => uc $ada_email), 'practice', 400, 'a duplicate e-mail in another case is refused');
is(scalar(sql('SELECT 1 FROM learnhub.users WHERE lower(email) = lower(?)', $ada_email)), 1, 'and makes no account');
is_invalid(api(POST => '/users/signup', json => {}), 'practice', [qw(first_name last_name email password)],
    'all four fields are required, and reported at once');
is_invalid(sign_up(email => 'nobody', first_name => ' ', last_name => 'x' x 151, password => 'short'), 'practice',
    [qw(first_name last_name email password)], 'four wrong fields are reported at once');
my ($first) = @{ api(POST => '/users/signup', json => { person(), email => 'nobody' })->json->{detail} };
is_deeply([$first->{loc}, $first->{type}], [[qw(body email)], 'value_error'], 'loc and type of a wrong field');
like($first->{msg}, qr/\w+ \w+/, 'msg is a sentence');

for my $field (qw(first_name last_name)) {
    is(sign_up($field => 'é' x 150)->status, 201, "$field may have 150 characters of two bytes");
    for my $wrong ('', "\t ", 'é' x 151, 7, undef, ['Ada'], JSON::XS::true) {
        is_invalid(sign_up($field => $wrong), 'practice', [$field], "$field is not " . $json->encode($wrong));
    }
}
for my $wrong ('', 'ada', 'ada@', '@example.com', 'a b@example.com', 'a@b@example.com', 'a@example.com ,b@example.com',
    "a\n\@example.com", ('a' x 250) . '@example.com', 5, undef, {}) {
    is_invalid(sign_up(email => $wrong), 'practice', ['email'], 'e-mail is not ' . $json->encode($wrong));
}
for my $malformed ('{"first_name": "Ada"', '', '{]', 'first_name=Ada') {
    my $answer = api(POST => '/users/signup', body => $malformed, headers => { 'Content-Type' => 'application/json' });
    is($answer->status, 422, "malformed JSON is 422: $malformed");
    is($answer->json && $answer->json->{detail}[0]{loc}[0], 'body', 'and located in the body');
}
for my $no_object ('[]', '"Ada"', '7', 'null') {
    is(api(POST => '/users/signup', body => $no_object)->status, 422, "a body that is no object is 422: $no_object");
}

# ---- passwords ----

my $long = 'Bartholomew';
my $local = unique('own');
my %own = (first_name => $long, last_name => 'Featherstonehaugh', email => "$local\@example.com");
my %weak = (
    '7 bytes' => 'seven 7', '73 bytes' => 'x' x 73, '74 bytes in 37 characters' => 'é' x 37,
    'digits alone' => '8236451907',
    'the first name' => $long, 'the first name in another case' => uc $long, 'the last name' => $own{last_name},
    'the e-mail' => $own{email}, 'the e-mail in another case' => uc $own{email},
    'nothing' => '', 'a number' => 12345678,
);
for my $what (sort keys %weak) {
    is_invalid(sign_up(%own, password => $weak{$what}), 'practice', ['password'], "a new password is not $what");
}
my %good = (
    '8 bytes' => 'eight 88', '8 bytes in 4 characters' => 'éàüß', '72 bytes' => 'y' x 72,
    '72 bytes in 36 characters' => 'ü' x 36, 'blanks at both ends' => '  spaces count  ',
);
for my $what (sort keys %good) {
    my $email = email();
    is(sign_up(email => $email, password => secret($good{$what}))->status, 201, "a password may be $what");
    is(log_in($email, $good{$what})->status, 200, "and opens the account: $what");
    is(log_in($email, "$good{$what}!")->status, 401, "and not with one more character: $what");
    is(log_in($email, substr $good{$what}, 0, -1)->status, 401, "nor with one less: $what");
}

# ---- POST /users/login ----

my $login = log_in($ada_email, $ordinary);
is($login->status, 200, 'login answers 200');
is_deeply(keys_of($login->json), [qw(access_token expires_in refresh_token token_type user)], 'login has five keys');
is_deeply($login->json->{user}, $ada, 'the user is as signup showed it');
is_deeply([@{ $login->json }{qw(token_type expires_in)}], ['bearer', 86400], 'token type and lifetime in seconds');
is(log_in(uc $ada_email, $ordinary)->status, 200, 'the e-mail may be spelt in any case');
is(log_in(lc $ada_email, $ordinary)->json->{user}{email}, $ada_email, 'and is shown as it was given');
is(api(POST => '/users/login', form => { username => $ada_email, password => $ordinary, grant_type => 'password',
    scope => 'a b', client_id => 'x', client_secret => 'y' })->status, 200, 'the other OAuth2 fields are ignored');
my $wrong = log_in($ada_email, 'not the password');
is_refusal($wrong, 'practice', 401, 'a wrong password is 401');
like($wrong->header('WWW-Authenticate'), qr/^Bearer realm="learnhub"$/, 'a 401 says how; no token was sent');
is_deeply(answer(log_in(email(), 'not the password')), answer($wrong), 'an unknown user gets the same answer');
is(log_in($ada_email, ucfirst $ordinary)->status, 401, 'passwords heed the case');
is(api(POST => '/users/login', json => { username => $ada_email, password => $ordinary })->status, 422,
    'a login by JSON is 422');
is(api(POST => '/users/login', multipart => [username => $ada_email, password => $ordinary])->status, 200,
    'a form as new FormData() sends it');
is_invalid(api(POST => '/users/login', form => { grant_type => 'password' }), 'practice', [qw(username password)],
    'a login needs its two fields');
is_invalid(api(POST => '/users/login', form => { username => '', password => '' }), 'practice', [qw(username password)],
    'and they may not be empty');

# ---- POST /users/refresh, GET /users/me ----

my ($access, $refresh) = @{ $login->json }{qw(access_token refresh_token)};
my $refreshed = refresh($refresh);
is($refreshed->status, 200, 'refresh answers 200');
is_deeply(keys_of($refreshed->json), [qw(access_token expires_in token_type)], 'refresh has exactly three keys');
is_deeply([@{ $refreshed->json }{qw(token_type expires_in)}], ['bearer', 86400], 'of the same kind as at login');
is_deeply(me(secret($refreshed->json->{access_token}))->json, $ada, 'the new token works');
is_deeply(me($access)->json, $ada, 'and the one before it still does');
is(refresh($refresh)->status, 200, 'a refresh token can be used again');
is_refusal(refresh($access), 'practice', 401, 'an access token is refused as a refresh token');
is_unauthorized(me($refresh), $SENT, 'a refresh token is refused as an access token');
is_refusal(refresh($_), 'practice', 401, "refresh refuses '$_'") for 'x', 'a.b.c', "$refresh.", substr $refresh, 0, -3;
is_invalid(api(POST => '/users/refresh', json => {}), 'practice', ['refresh_token'], 'refresh needs the token');
is_invalid(refresh(7), 'practice', ['refresh_token'], 'a token is no number');
is(api(GET => '/users/me/', token => $access)->status, 200, '/users/me works with a slash at its end');
my $head = api(HEAD => '/users/me', token => $access);
is_deeply([$head->status, $head->body], [200, ''], 'HEAD of /users/me');
is_unauthorized(me(), $NOT_SENT, 'without a token: 401 without an error code');
sign_up(email => my $gone = email());
my $orphan = log_in($gone, $ordinary)->json->{access_token};
is(me($orphan)->status, 200, 'a token works');
sql('DELETE FROM learnhub.users WHERE email = ?', $gone);
like(me($orphan)->status, qr/^40[14]$/, 'and shows nothing once the account is gone');

# ---- POST /auth/users/ ----

my %grace = account();
$grace{username} = ucfirst $grace{username};
$reply = create(%grace);
is($reply->status, 201, '/auth/users/ answers 201');
is_deeply(keys_of($reply->json), [qw(email id username)], 'with three keys');
is_deeply([@{ $reply->json }{qw(email username)}], [@grace{qw(email username)}], 'spelt as they were given');
is($reply->json->{id}, user($grace{email})->{id}, 'id is the number of the user');
like($reply->body, qr/"id":\s*\d+[,}]/, 'and a number');
is_invalid(api(POST => '/auth/users/', json => {}), 'plain', [qw(username email password re_password)],
    'all four fields are required');
is_invalid(create(email => 'nobody', password => '123', re_password => '123', username => ''), 'plain',
    [qw(username email password)], 'wrong fields are reported at once');
is_invalid(create(re_password => 'another password'), 'plain', ['non_field_errors'], 'the passwords must match');
is_invalid(create(%grace, username => uc $grace{username}, email => uc $grace{email}), 'plain', [qw(username email)],
    'a duplicate username and e-mail are both reported');
is_invalid(create(username => lc $grace{username}), 'plain', ['username'], 'a duplicate username alone');
is_invalid(create(email => $grace{email}), 'plain', ['email'], 'a duplicate e-mail alone');
my $own_name = unique('longname');
is_invalid(create(username => $own_name, password => $_, re_password => $_), 'plain', ['password'],
    "the password is not '$_'") for $own_name, uc $own_name, '31415926535', 'x' x 73;
is(api(POST => '/auth/users/', body => '{"username": ')->status, 400, 'malformed JSON is 400 here');

# ---- POST /auth/token/login/, /auth/token/logout/ ----

my $opened = token_login(@grace{qw(username password)});
is($opened->status, 200, 'token login answers 200');
is_deeply(keys_of($opened->json), ['auth_token'], 'with one key');
like(my $opaque = $opened->json->{auth_token}, qr/^[0-9a-f]{40}$/, 'the token is 40 hex digits');
is(token_login($_, $grace{password})->status, 200, "the login name may be $_")
    for uc $grace{username}, lc $grace{username}, $grace{email}, uc $grace{email};
$wrong = token_login($grace{username}, 'not the password');
is_invalid($wrong, 'plain', ['non_field_errors'], 'a wrong password is 400');
is_deeply(answer(token_login(unique('nobody'), 'not the password')), answer($wrong),
    'an unknown user gets the same answer');
is(api(POST => '/auth/token/login/', json => { username => $grace{username} })->status, 400, 'a password is needed');
isnt(my $further = token_login(@grace{qw(username password)})->json->{auth_token}, $opaque, 'each login makes a token');
my $kept = log_in(@grace{qw(username password)})->json->{access_token};

my $named = me($opaque)->json;
is($named->{email}, $grace{email}, 'an opaque token works for practice');
is_deeply(me("$_ $opaque")->json, $named, "opaque token as $_") for qw(Token token TOKEN tOkEn Bearer bearer BEARER);
is_deeply(me("$_ $access")->json, $ada, "JWT as $_") for qw(bearer BEARER bEaReR);
for my $no_token ('', 'x', substr($opaque, 1), "${opaque}0", "$opaque.", 'g' x 40, '0' x 40, "$opaque $opaque",
    "$opaque, Token $further", "'; --") {
    is(me("Token $no_token")->status, 401, "refused: Token '$no_token'");
}
is_unauthorized(me('Token ' . '0' x 40), $SENT, 'an unknown opaque token');
is(me('Basic ' . encode_base64('a:b', ''))->status, 401, 'Basic is refused');
is(me("Digest $opaque")->status, 401, 'and so are other schemes');

my $logout = api(POST => '/auth/token/logout/', token => "Token $opaque");
is_deeply([$logout->status, $logout->body], [204, ''], 'logout answers 204 without a body');
is_unauthorized(me("Token $opaque"), $SENT, 'the token is dead at once');
my @closed = map { me($opaque, headers => { Connection => 'close' })->status } 1 .. 10;
is_deeply(\@closed, [(401) x 10], 'in every process');
is(me("Token $further")->status, 200, 'the other token lives');
is(me($kept)->status, 200, 'and the JWT');
is_refusal(api(POST => '/auth/token/logout/', token => "Token $opaque"), 'plain', 401, 'nobody logs out twice');
is_refusal(api(POST => '/auth/token/logout/'), 'plain', 401, 'logout needs a token');
my $other = log_in(@grace{qw(username password)})->json->{access_token};
is(api(POST => '/auth/token/logout/', token => $kept)->status, 204, 'logout with a JWT');
is_deeply([map { me($_)->status } $kept, $other, "Token $further"], [401, 200, 200], 'ends that JWT alone');

# ---- one account, whichever the place ----

is(log_in(@grace{qw(username password)})->json->{user}{email}, $grace{email},
    'made at /auth/users/, known at /users/login');
my $known = token_login($ada_email, $ordinary)->json->{auth_token};
is_deeply(me("Token $known")->json, $ada, 'made at /users/signup, known at /auth/token/login/');
is_refusal(refresh($known), 'practice', 401, 'refresh refuses an opaque token');
is_refusal(sign_up(email => uc $grace{email}), 'practice', 400, 'an e-mail of /auth/users/ cannot sign up again');
is_invalid(create(username => uc $ada_email), 'plain', ['username'], "a username cannot be somebody's e-mail");
my $claimed = email();
my $squatter = create(username => $claimed);
my $owner = sign_up(email => uc $claimed);
ok(($squatter->status == 400) != ($owner->status == 400), "an e-mail cannot be somebody's username")
    || diag($squatter->summary, $owner->summary);
is(scalar(sql('SELECT 1 FROM learnhub.users WHERE lower(?) IN (lower(email), lower(username))', $claimed)), 1,
    'so that a login name always names one person');

# ---- slow guessing down ----

my $slow = second_httpd("LearnHubLoginThrottle 3/3s\nLogLevel learnhub:trace8");
my $last_address = 10;
sub address { return '127.0.0.' . ++$last_address }
sub slowly { my ($name, $password, $from) = @_; return log_in($name, $password, port => $slow->port, from => $from) }

sub slow_token {
    my ($name, $password, $from) = @_;
    return token_login($name, $password, port => $slow->port, from => $from);
}

sub is_slowed {
    my ($answer, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_refusal($answer, 'plain', 429, $name); # practice's refusals have the same shape
    return like($answer->header('Retry-After') // '', qr/^[1-3]$/, 'Retry-After is in seconds');
}

my %linus = account();
create(%linus);
is(slowly($linus{username}, $linus{password}, address())->status, 200, 'a login before any failure');
my @spellings = (uc $linus{username}, lc $linus{username}, $linus{email});
is_deeply([map { slowly($_, 'a wrong guess', address())->status } @spellings], [401, 401, 401],
    'three failures, from three addresses and under three spellings');
is_slowed(slowly($linus{username}, $linus{password}, address()), 'then the right password is refused, from a fourth');
is_slowed(slow_token($linus{email}, $linus{password}, address()), 'at the other login as well');
is(slowly($ada_email, $ordinary, address())->status, 200, 'other people are not held up');
my $one = address();
is_deeply([map { slow_token(unique('nobody'), 'a wrong guess', $one)->status } 1 .. 3], [400, 400, 400],
    'three failures of one address, for three names');
is_slowed(slow_token($ada_email, $ordinary, $one), 'then this address is refused');
is_slowed(slowly($ada_email, $ordinary, $one), 'at the other login as well');
is(slowly($ada_email, $ordinary, address())->status, 200, 'and the same person from elsewhere is not');
my $nobody = unique('nobody');
slowly($nobody, 'a wrong guess', address()) for 1 .. 3;
is_slowed(slowly($nobody, 'a wrong guess', address()), 'an unknown name is slowed down like a known one');
Time::HiRes::sleep(4);
is(slowly($linus{username}, $linus{password}, address())->status, 200, 'later the account opens again');
is(slow_token($ada_email, $ordinary, $one)->status, 200, 'and the address may log in again');
my $storm = address();
my @guesses = parallel(20, sub { return slowly($linus{username}, "wrong guess $_[0]", $storm)->status });
is_deeply([grep { !/^(?:401|429)$/ } @guesses], [], '20 wrong guesses at once are 401 or 429');
is_slowed(slowly($linus{username}, $linus{password}, $storm), 'and are all counted');
my @free = parallel(20, sub { return log_in($grace{username}, "wrong guess $_[0]")->status });
is_deeply(\@free, [(401) x 20], '20 wrong guesses at once below the limit are 20 times 401');
is(log_in(@grace{qw(username password)})->status, 200, 'and do not lock the account');

# ---- everybody at once ----

my $wanted = email();
my @made = parallel(20, sub {
    my ($i) = @_;
    my $email = $i % 2 ? uc $wanted : ucfirst $wanted;
    my $answer = $i % 3 ? sign_up(email => $email) : create(email => $email);
    return $answer->status;
});
is_deeply([sort @made], [201, (400) x 19], '20 signups of one e-mail at once: one succeeds, the others are told');
is(scalar(sql('SELECT 1 FROM learnhub.users WHERE lower(email) = lower(?)', $wanted)), 1, 'and make one account');
my @opened = parallel(20, sub { return token_login(@grace{qw(username password)})->json->{auth_token} });
my %distinct = map { $_ => 1 } @opened;
secret(@opened);
is(scalar(keys %distinct), 20, '20 logins at once give 20 tokens');
my @out = sort { $a <=> $b }
    parallel(20, sub { return api(POST => '/auth/token/logout/', token => $opened[0])->status });
is_deeply([$out[0], grep { !/^(?:204|401)$/ } @out], [204], '20 logouts at once are 204 or 401');
is_deeply([map { me($_)->status } @opened[0, 1]], [401, 200], 'and end that token alone');

# ---- what is kept, and what is said ----

my @tables = map { $_->{name} }
    sql(q(SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname LIKE 'learnhub%'));
my $kept_rows = join "\n", map { my $table = $_; map { $_->{row} } sql("SELECT t::text AS row FROM $table t") } @tables;
ok(index($kept_rows, sha256_hex($further)) >= 0, 'the database has the SHA-256 of an opaque token');
like((sql('SELECT u::text AS row FROM learnhub.users u WHERE email = ?', $grace{email}))[0]{row},
    qr{\$2[aby]\$04\$[./A-Za-z0-9]{53}}, 'and a bcrypt hash of the password');

my %unique = map { $_ => 1 } grep { defined && length >= 12 } @secrets;
my @found = grep { index($kept_rows, $_) >= 0 } keys %unique;
is_deeply(\@found, [], 'of ' . keys(%unique) . ' passwords and tokens none is in the database');
my @logs = (glob(qq("$top"/t/logs/*log)), "$top/build/run/pg.log");
for my $log (grep { -s } @logs) {
    open my $in, '<:raw', $log or die "$log: $!";
    my $text = do { local $/; <$in> };
    utf8::decode($text);
    is_deeply([grep { index($text, $_) >= 0 } keys %unique, $jwt_secret], [], 'nor in ' . $log =~ s{.*/}{}r);
}
ok(scalar(grep { m{/error_log$} && -s } @logs), 'the logs were looked at') || diag("@logs");
ok(-s "$top/t/logs/access_log" && -e "$top/build/run/pg.log", 'those of httpd and PostgreSQL, too');
like($slow->log_text, qr/learnhub/, 'and one in which the module says all it can');

done_testing;

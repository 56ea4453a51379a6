# SPDX-License-Identifier: Apache-2.0
# The logins of an account: sid, logout, rotation of refresh tokens, /auth/sessions/, limits, last use, and the events
# that revoke logins on other nodes and in new processes.
use strict;
use warnings;
use lib 't/lib';
use Digest::SHA qw(hmac_sha256);
use LearnHub::Account;
use LearnHub::Test;
use MIME::Base64 qw(decode_base64url encode_base64url);

my $json = JSON::XS->new->canonical;
my $node = second_httpd('LearnHubRevocationInterval 1s'); # shares only the database with the test server
my %node = (port => $node->port);
my $uuid = qr/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

# ---- helpers ----

sub claims { my ($token) = @_; return $json->decode(decode_base64url((split /\./, $token)[1])) }

# A token with changed claims, signed with the tests' secret; undef removes a claim.
sub forged {
    my ($token, %change) = @_;
    my %claims = (%{ claims($token) }, %change);
    delete @claims{ grep { !defined $claims{$_} } keys %claims };
    my $signed = (split /\./, $token)[0] . '.' . encode_base64url($json->encode(\%claims));
    return "$signed." . encode_base64url(hmac_sha256($signed, $jwt_secret));
}

sub pair_login {
    my ($user, %with) = @_;
    return api(POST => '/api/token/', json => { email => $user->{email}, password => $user->{password} }, %with)->json;
}

sub opaque_login {
    my ($user, %with) = @_;
    return 'Token ' . token_login(@$user{qw(email password)}, %with)->json->{auth_token};
}

# Refreshes at a route that rotates: the pair, or the status of the error.
sub rotate {
    my ($token, %with) = @_;
    my $reply = api(POST => '/api/token/refresh/', json => { refresh => $token }, %with);
    return $reply->status == 200 ? $reply->json : $reply->status;
}

sub log_out { my ($token, %with) = @_; return api_as($token, POST => '/auth/token/logout/', %with)->status }
sub sessions { my ($user) = @_; return api_as($user, GET => '/auth/sessions/')->json }
sub status_of { my ($token, %with) = @_; return get_me($token, %with)->status }
sub id_of { my ($user) = @_; return user($user->{email})->{id} }

# The number of rows, or of those of a user.
sub count_of {
    my ($table, $user) = @_;
    return (sql("SELECT count(*) AS n FROM learnhub.$table" . ($user ? ' WHERE user_id = ?' : ''),
            $user ? id_of($user) : ()))[0]{n};
}

# The row of a token's login.
sub login_of {
    my ($token) = @_;
    return (sql('SELECT *, extract(epoch FROM now() - used_at) AS idle FROM learnhub.logins WHERE id = ?::uuid',
            claims($token)->{sid}))[0];
}

# Moves a login into the past, so that times of grace have passed.
sub age {
    my ($token, $time) = @_;
    sql('UPDATE learnhub.logins SET used_at = used_at - $2::interval, next_at = next_at - $2::interval, '
            . 'rotated_at = rotated_at - $2::interval WHERE id = $1::uuid',
        claims($token)->{sid}, $time // '31 seconds');
    return;
}

sub audited {
    my ($user, $event) = @_;
    return scalar sql('SELECT 1 FROM learnhub.audit_log WHERE user_id = ? AND event = ?', id_of($user), $event);
}

# ---- logins and their tokens ----

my %login_path = ('/api/auth/login/' => 'email', '/api/token/' => 'email', '/api/v1/auth/login/' => 'username');

subtest 'every login has an id' => sub {
    my $user = signup();
    my @pairs = [@$user{qw(token refresh)}];
    for my $path (sort keys %login_path) {
        my $body = api(POST => $path,
            json => { $login_path{$path} => $user->{email}, password => $user->{password} })->json;
        push @pairs, [@{ $body->{tokens} || $body }{qw(access refresh)}];
    }
    for my $path ('/api/auth/register/', '/api/v1/auth/register/') {
        my $secret = 'a good password';
        my %fields = (email => unique('name') . '@example.com', username => unique('name'), password => $secret);
        my $body = api(POST => $path, json => { %fields, confirm_password => $fields{password} })->json;
        push @pairs, [@{ $body->{tokens} || $body }{qw(access refresh)}];
    }
    my @ids = map { claims($_->[0])->{sid} } @pairs;
    is_deeply([map { claims($_->[1])->{sid} } @pairs], \@ids, 'access and refresh token have the same sid');
    is_deeply([map { claims($_->[1])->{jti} } @pairs], [map { login_of($_->[1])->{refresh_id} =~ tr/-//dr } @pairs],
        'the login knows its refresh token');
    my %distinct = map { $_ => 1 } @ids;
    is(scalar(keys %distinct), 6, 'each login has another sid');
    opaque_login($user);
    is(count_of('logins', $user), 5, 'an opaque token has a login, too');
    is((sql('SELECT address FROM learnhub.logins WHERE id = ?::uuid', $ids[1]))[0]{address}, '127.0.0.1',
        'a login has the address of the client');
    is(login_of($user->{token})->{user_agent}, 'test', 'a login has the user agent');
};

subtest 'logout ends the whole login, on every node' => sub {
    my $user = signup();
    my ($other, $opaque, $kept) = (pair_login($user), opaque_login($user), opaque_login($user));
    my $refreshed = refresh($user->{refresh})->json->{access_token};
    is_deeply([map { status_of($_, %node) } $user->{token}, $refreshed, $opaque], [200, 200, 200],
        'another node accepts the tokens');
    is_deeply([map { log_out($_) } $user->{token}, $opaque], [204, 204], 'logout returns 204');
    is_deeply([map { status_of($_) } $user->{token}, $refreshed, $opaque], [401, 401, 401],
        'all access tokens of the login and the opaque token are rejected at once');
    is_deeply([map { refresh($user->{refresh}, %$_)->status } {}, \%node], [401, 401],
        'the refresh token is rejected at once by both nodes');
    is(rotate($user->{refresh}, %node), 401, 'also where refresh tokens rotate');
    is(api(POST => '/api/token/verify/', json => { token => $user->{refresh} })->status, 401,
        'verify rejects the refresh token');
    ok(eventually(sub { status_of($user->{token}, %node) == 401 && status_of($refreshed, %node) == 401
                    && status_of($opaque, %node) == 401 }), 'the other node soon rejects access and opaque tokens');
    is_deeply([map { status_of($_) } $other->{access}, $kept], [200, 200], 'other logins go on');
    is(refresh($other->{refresh})->status, 200, 'also their refresh tokens');
    is(count_of('auth_events', $user), 2, 'a logout is one event');
    is(audited($user, 'login_ended'), 2, 'the audit log has both logouts');
};

subtest 'a new password ends all logins' => sub {
    my $user = signup();
    my ($pair, $opaque) = (pair_login($user), opaque_login($user));
    my %passwords = (current_password => $user->{password}, new_password => 'another good password');
    is(api_as($user, POST => '/auth/users/set_password/', json => \%passwords)->status, 204, 'set_password: 204');
    is_deeply([map { status_of($_) } $user->{token}, $pair->{access}, $opaque], [401, 401, 401], 'all tokens end');
    is_deeply([rotate($pair->{refresh}), refresh($user->{refresh})->status], [401, 401], 'also the refresh tokens');
    is(count_of('logins', $user), 0, 'there is no login any more');
    is(count_of('auth_events', $user), 1, 'that is one event');
    is(audited($user, 'password_changed'), 1, 'the audit log has the change');
    my $again = signup();
    opaque_login($again);
    api_as($again, DELETE => '/auth/users/me/', json => { current_password => $again->{password} });
    is((sql('SELECT count(*) AS n FROM learnhub.logins l JOIN learnhub.users u ON u.id = l.user_id '
                    . 'WHERE encode(u.object_id, $$hex$$) = ?', $again->{id}))[0]{n}, 0,
        'a deleted account has no logins');
};

# ---- rotation ----

subtest 'a refresh token rotates when its successor is used' => sub {
    my $user = signup();
    my $first = pair_login($user);
    my $second = rotate($first->{refresh});
    isnt(claims($second->{refresh})->{jti}, claims($first->{refresh})->{jti},
        'a refresh returns another refresh token');
    is(claims($second->{refresh})->{sid}, claims($first->{refresh})->{sid}, 'of the same login');
    is(status_of($second->{access}), 200, 'the new access token is accepted');
    is(claims(rotate($first->{refresh})->{refresh})->{jti}, claims($second->{refresh})->{jti},
        'a second use within seconds returns the same successor');
    my $third = rotate($second->{refresh});
    isnt(claims($third->{refresh})->{jti}, claims($second->{refresh})->{jti}, 'the successor has a successor');
    is(claims(rotate($first->{refresh})->{refresh})->{jti}, claims($third->{refresh})->{jti},
        'within seconds, another tab can still use the token that was replaced');
    age($first->{refresh});
    is(api(POST => '/api/token/verify/', json => { token => $first->{refresh} })->status, 401,
        'verify rejects a replaced token and ends nothing');
    is(ref rotate($second->{refresh}), 'HASH', 'the current token still works');

    my $bystander = pair_login($user);
    is(rotate($first->{refresh}), 401, 'later, the use of a replaced token returns 401');
    is_deeply([map { status_of($_->{access}) } $first, $second, $third], [401, 401, 401], 'and ends the login');
    is_deeply([map { rotate($_->{refresh}) } $second, $third], [401, 401], 'its refresh tokens have ended');
    is_deeply([status_of($bystander->{access}), ref rotate($bystander->{refresh})], [200, 'HASH'],
        'another login goes on');
    is(audited($user, 'refresh_reused'), 1, 'the audit log has the reuse once');
    ok(eventually(sub { status_of($third->{access}, %node) == 401 }), 'another node soon rejects the access tokens');
    open my $log, '<', "$top/t/logs/error_log" or die $!;
    ok(scalar(grep {/LH0070/} <$log>), 'the error log has the reuse');
};

subtest 'a client that keeps its first refresh token' => sub {
    my $user = signup();
    my $pair = pair_login($user);
    for (1 .. 5) {
        is(ref rotate($pair->{refresh}), 'HASH', 'the token can be used again if no successor was used');
        age($pair->{refresh}, '1 day');
    }
    my $stolen = rotate($pair->{refresh});
    age($pair->{refresh}, '1 day');
    my $latest = rotate($pair->{refresh});
    isnt(claims($latest->{refresh})->{jti}, claims($stolen->{refresh})->{jti}, 'a later use returns another successor');
    is(rotate($stolen->{refresh}), 401, 'a successor that another one has replaced ends the login');
    is_deeply([rotate($latest->{refresh}), status_of($latest->{access})], [401, 401], 'for all who have its tokens');

    is_deeply(keys_of(refresh($user->{refresh})->json), [qw(access_token expires_in token_type)],
        '/users/refresh returns the documented keys');
    is_deeply([map { age($user->{refresh}, '1 hour'); refresh($user->{refresh})->status } 1 .. 3], [200, 200, 200],
        'and its refresh token goes on');
    is(login_of($user->{token})->{next_refresh_id}, undef, 'without a successor');
    my $other = rotate($user->{refresh});
    is(refresh($other->{refresh})->status, 200, '/users/refresh accepts a successor');
    age($user->{refresh});
    is(refresh($user->{refresh})->status, 401, 'which replaces the token');
};

subtest 'concurrent refreshes' => sub {
    my $user = signup();
    my $pair = pair_login($user);
    for my $round (1 .. 3) {
        my $token = $pair->{refresh};
        my @pairs = parallel 12, sub { my ($i) = @_; return rotate($token, $i % 2 ? %node : ()) };
        is_deeply([map { ref $_ || $_ } @pairs], [('HASH') x 12], "round $round: all of twelve succeed");
        my %successors = map { claims($_->{refresh})->{jti} => 1 } @pairs;
        is(scalar(keys %successors), 1, "round $round: with one successor");
        $pair = $pairs[$round];
    }
    is(status_of($pair->{access}), 200, 'the login goes on');
    my @ends = parallel 12, sub {
        my ($i) = @_;
        return $i % 3 ? rotate($pair->{refresh}) : log_out($pair->{access});
    };
    is(scalar(grep { !ref && !/^(?:204|401)$/ } @ends), 0, 'a logout at the same time is 204, or 401');
    is_deeply([rotate($pair->{refresh}), map { status_of($_->{access}) } grep {ref} $pair, @ends],
        [(401) x (2 + grep {ref} @ends)], 'nothing outlives the logout');
    my $reused = pair_login($user);
    my $old = $reused->{refresh};
    $reused = rotate(rotate($old)->{refresh});
    age($old);
    is_deeply([parallel 6, sub { return rotate($old) }], [(401) x 6], 'six concurrent reuses return 401');
    is(audited($user, 'refresh_reused'), 1, 'one of them has ended the login');
    is(rotate($reused->{refresh}), 401, 'which has ended');
};

subtest 'forged and foreign sids' => sub {
    my ($user, $victim) = map { signup() } 1, 2;
    my $sid = claims($victim->{refresh})->{sid};
    my %wrong = ('a foreign sid' => { sid => $sid }, 'a foreign sid and jti' =>
            { sid => $sid, jti => claims($victim->{refresh})->{jti} }, 'an unknown sid' => { sid => 'a' x 32 },
        'a malformed sid' => { sid => 'x' }, 'an empty sid' => { sid => '' }, 'a list as sid' => { sid => [$sid] },
        'SQL as sid' => { sid => "' OR true; --" });
    for my $kind (sort keys %wrong) {
        my $token = forged($user->{refresh}, %{ $wrong{$kind} });
        is_deeply([refresh($token)->status, rotate($token)], [401, 401], "a refresh token with $kind is rejected");
    }
    is_deeply([status_of($victim->{token}), refresh($victim->{refresh})->status], [200, 200],
        'the other login has not ended');
    is(status_of(forged($user->{token}, sid => $_)), 401, "an access token with the sid '$_' is rejected")
        for '', 'x', 'A' x 32;
    is(log_out(forged($user->{token}, sid => $sid)), 204, 'logout with a foreign sid');
    is(status_of($victim->{token}), 200, 'does not end the other login');
    is(status_of(forged($user->{token}, %$_)), 401, 'an access token is rejected: ' . $json->encode($_))
        for { iss => 'evil' }, { iss => undef }, { iat => time + 3600 }, { iat => 2**53 };
};

subtest 'tokens of older versions' => sub {
    my $user = signup();
    my ($access, $again) = map { forged($user->{token}, sid => undef, jti => $_ x 32) } 'a', 'b';
    my $refresh = forged($user->{refresh}, sid => undef, jti => 'c0' x 16);
    is_deeply([status_of($access), refresh($refresh)->status], [200, 200], 'they are accepted');
    is_deeply([log_out($access), status_of($access), status_of($again), status_of($user)], [204, 401, 200, 200],
        'logout ends the access token, and no other');
    ok(eventually(sub { status_of($access, %node) == 401 }), 'on every node');
    my $renewed = refresh($refresh)->json->{access_token};
    like(claims($renewed)->{sid}, qr/^(?:c0){16}$/, 'a refresh token becomes a login');
    is(scalar(@{ sessions($user) }), 2, 'which the user sees');
    is(ref(my $pair = rotate($refresh)), 'HASH', 'and rotates');
    is(log_out($renewed), 204, 'and ends');
    is_deeply([refresh($refresh)->status, rotate($refresh), rotate($pair->{refresh})], [401, 401, 401],
        'with the refresh token of the older version');
    is(api(POST => '/api/token/verify/', json => { token => $refresh })->status, 401, 'which verify rejects');
    sql('INSERT INTO learnhub.tokens (digest, user_id) VALUES (sha256(?::bytea), ?)', '0123456789' x 4, id_of($user));
    is_deeply([map { my $token = 'Token ' . '0123456789' x 4; $_->($token) } \&status_of, \&log_out, \&status_of],
        [200, 204, 401], 'an opaque token that an older version stores is accepted until logout');
};

# ---- the list ----

subtest 'GET and DELETE /auth/sessions/' => sub {
    my ($user, $stranger) = map { signup() } 1, 2;
    my ($phone, $opaque) = (pair_login($user, headers => { 'User-Agent' => 'phone' }), opaque_login($user));
    sql('UPDATE learnhub.logins SET created_at = now() - interval $$1 day$$ WHERE id = ?::uuid',
        claims($phone->{access})->{sid});
    my $list = sessions($user);
    is(scalar(@$list), 3, 'the list has the logins of the caller');
    is_deeply([keys_of($_), $_->{id} =~ $uuid, $_->{created_at} =~ /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, $_->{address}],
        [[qw(address created_at current id last_used_at user_agent)], 1, 1, '127.0.0.1'], 'a login has six keys')
        for @$list;
    is_deeply([$list->[2]{user_agent}, map { $_->{id} =~ tr/-//dr } $list->[2]],
        ['phone', claims($phone->{access})->{sid}], 'the oldest is the last one');
    is_deeply([map { $_->{id} =~ tr/-//dr } grep { $_->{current} } @$list], [claims($user->{token})->{sid}],
        'one of them is current');
    my ($own) = grep { $_->{current} } @{ sessions($opaque) };
    isnt($own->{id}, undef, 'an opaque token has a current login');
    is_deeply([map { $_->{current} } @{ sessions(forged($user->{token}, sid => undef)) }], [(false) x 3],
        'a token of an older version has none');

    my $path = "/auth/sessions/$list->[2]{id}/";
    is_error(api_as($stranger, DELETE => $path), 'detail', 404, 'nobody else can end it');
    is_error(api_as($user, DELETE => "/auth/sessions/$_/"), 'detail', 404, "404 for $_")
        for '00000000-0000-4000-8000-000000000000', 'x', '1';
    is_error(api(DELETE => $path), 'detail', 401, 'not without a token');
    is(status_of($phone->{access}), 200, 'it has not ended');
    is_deeply([map { $_->status, $_->body } api_as($user, DELETE => $path)], [204, ''], 'the owner can');
    is_deeply([status_of($phone->{access}), rotate($phone->{refresh})], [401, 401], 'its tokens have ended at once');
    is_error(api_as($user, DELETE => $path), 'detail', 404, 'a second time is 404');

    pair_login($user) for 1 .. 3;
    is_deeply([map { $_->status, $_->body } api_as($user, DELETE => '/auth/sessions/')], [204, ''],
        'DELETE ends all other logins');
    is_deeply([map { $_->{id} =~ tr/-//dr } @{ sessions($user) }], [claims($user->{token})->{sid}],
        'and keeps the current one');
    is_deeply([status_of($opaque), status_of($stranger)], [401, 200], 'an opaque token has ended, strangers have not');
    is_deeply([api_as($user, DELETE => '/auth/sessions/')->status, audited($user, 'login_ended')], [204, 2],
        'DELETE without other logins is 204, and no event');
    is(api_as($user, DELETE => '/auth/sessions/', headers => { 'If-Match' => '*' })->status, 412,
        'the list has no ETag for If-Match');
};

# ---- limits ----

subtest 'the number of logins' => sub {
    my $user = signup();
    my @opaque = map { opaque_login($user) } 1 .. 20;
    my @used = map { status_of($_) } @opaque;
    sql('UPDATE learnhub.logins SET used_at = now() - interval $$1 hour$$ WHERE id IN (SELECT login_id '
            . 'FROM learnhub.tokens WHERE digest = sha256(?::bytea))', substr $opaque[7], 6);
    my $last = opaque_login($user);
    is_deeply([map { status_of($_) } @opaque[0 .. 6]], [(200) x 7], 'the 21st opaque token keeps those in use');
    ok(eventually(sub { status_of($opaque[7], %node) == 401 }),
        'and ends the one that was not used for the longest time');
    is_deeply([map { status_of($_) } $last, $user->{token}], [200, 200], 'the new one and a JWT are accepted');
    my @tokens = parallel 12, sub { return opaque_login($user) };
    is((sql('SELECT count(*) AS n FROM learnhub.logins WHERE is_opaque AND user_id = ?', id_of($user)))[0]{n}, 20,
        '12 concurrent logins leave 20');
    is(scalar(grep { $_ == 200 } map { status_of($_) } @tokens), 12, 'with the new ones');
    sql('INSERT INTO learnhub.logins (user_id, version, ends_at, used_at, access_until) SELECT ?, 1, '
            . 'now() + interval $$1 day$$, now() - n * interval $$1 minute$$, now() + interval $$1 hour$$ '
            . 'FROM generate_series(1, 79) n', id_of($user));
    is(count_of('logins', $user), 100, 'an account has 100 logins');
    my $pair = pair_login($user);
    is(count_of('logins', $user), 100, 'another login ends the oldest');
    is(status_of($pair->{access}), 200, 'and is accepted');
    sql('UPDATE learnhub.logins SET ends_at = now() - interval $$1 second$$ WHERE user_id = ? AND NOT is_opaque '
            . 'AND user_agent IS NULL', id_of($user));
    is(scalar(@{ sessions($pair->{access}) }), 22, 'expired logins are not listed');
    pair_login($user);
    is(count_of('logins', $user), 23, 'and removed by the next login');
};

subtest 'a user with too many ended logins' => sub {
    my $user = signup();
    my $pair = pair_login($user);
    sql('INSERT INTO learnhub.auth_events (user_id, token, expires_at) SELECT ?, decode(md5(n::text), $$hex$$), '
            . 'now() + interval $$20 hours$$ FROM generate_series(1, 499) n', id_of($user));
    is_deeply([log_out($user->{token}), status_of($pair->{access})], [204, 200], '500 events are no problem');
    my $next = pair_login($user);
    is_deeply([log_out($next->{access}), status_of($pair->{access}), rotate($pair->{refresh})], [204, 401, 401],
        'the 501st ends all logins');
    my @events = sql('SELECT version, extract(epoch FROM expires_at - now()) / 3600 AS hours FROM learnhub.auth_events '
            . 'WHERE user_id = ?', id_of($user));
    is_deeply([map { $_->{version} } @events], [2], 'one event replaces all');
    cmp_ok($events[0]{hours}, '>', 23, 'and lasts as long as the last token');
    is(audited($user, 'tokens_revoked'), 1, 'the audit log has it');
    is(status_of(pair_login($user)->{access}), 200, 'the user can log in again');
};

# ---- last use and expiry ----

subtest 'the time of the last use' => sub {
    my $user = signup();
    my $opaque = opaque_login($user);
    sql('UPDATE learnhub.logins SET used_at = now() - interval $$1 hour$$ WHERE user_id = ?', id_of($user));
    my $idle = sub { map { $_->{idle} < 60 ? 1 : 0 } sql('SELECT extract(epoch FROM now() - used_at) AS idle '
                . 'FROM learnhub.logins WHERE user_id = ? ORDER BY is_opaque', id_of($user)) };
    status_of($opaque);
    is_deeply([$idle->()], [0, 1], 'the lookup of an opaque token stores its last use');
    status_of($user);
    ok(eventually(sub { status_of($user, %node); ($idle->())[0] }), 'that of a JWT is stored soon after');
    my $versions = sub { join ' ', map { $_->{xmin} } sql('SELECT xmin FROM learnhub.logins WHERE user_id = ? '
                . 'ORDER BY id', id_of($user)) };
    my $before = $versions->();
    for (1 .. 20) { status_of($_, %node) for $user->{token}, $opaque; }
    Time::HiRes::sleep(1.1);
    status_of($_, %node) for $user->{token}, $opaque;
    is($versions->(), $before, 'further uses within minutes write nothing');
    sql('UPDATE learnhub.logins SET used_at = now() - interval $$1 hour$$ WHERE user_id = ?', id_of($user));
    refresh($user->{refresh}, headers => { 'User-Agent' => 'X11; Linux 1.0~' });
    is_deeply([($idle->())[0], login_of($user->{token})->{user_agent}], [1, 'X11; Linux 1.0~'],
        'a refresh stores it, too');
};

subtest 'LearnHubTokenTTL is a time without a use' => sub {
    my $never = second_httpd('LearnHubTokenTTL 0');
    my $user = signup();
    my ($used, $unused) = map { opaque_login($user) } 1, 2;
    my $rest = sub {
        my ($token, $time) = @_;
        sql("UPDATE learnhub.logins SET used_at = now() - '$time'::interval, ends_at = NULL WHERE id = "
                . '(SELECT login_id FROM learnhub.tokens WHERE digest = sha256(?::bytea))', substr $token, 6);
    };
    $rest->($used, '89 days');
    $rest->($unused, '91 days');
    is_deeply([map { status_of($_) } $used, $unused], [200, 401], 'by default it is 90 days');
    is(status_of($unused, port => $never->port), 200, '0: a token does not expire');
    my ($ends) = map { $_->{days} } sql('SELECT round(extract(epoch FROM max(ends_at) - now()) / 86400) AS days '
            . 'FROM learnhub.logins WHERE user_id = ? AND is_opaque', id_of($user));
    is($ends, 90, 'a use moves the end');
    $never->stop;
};

# ---- events ----

sub token_event {
    my ($key, $hours) = @_;
    return sql('INSERT INTO learnhub.auth_events (token, expires_at) VALUES (decode(?, $$hex$$), '
            . 'now() + ? * interval $$1 hour$$)', $key, $hours);
}

subtest 'a process that starts reads what still matters, in portions' => sub {
    my ($user, $other) = map { signup() } 1, 2;
    sql('INSERT INTO learnhub.auth_events (token, expires_at) SELECT decode(md5(n::text), $$hex$$), '
            . 'now() - interval $$1 hour$$ - n * interval $$1 second$$ FROM generate_series(1, 100000) n');
    sql('INSERT INTO learnhub.auth_events (token, expires_at) SELECT decode(md5(n::text), $$hex$$), '
            . 'now() + interval $$3 hours$$ + n * interval $$1 second$$ FROM generate_series(200001, 225000) n');
    token_event(claims($user->{token})->{jti}, 2000);
    my $fresh = second_httpd('LearnHubRevocationInterval 1h');
    my %fresh = (port => $fresh->port);
    is_deeply([map { status_of($_->{token}, %fresh) } $user, $other], [401, 200],
        'a revocation in the third portion is known to a new process');
    $fresh->stop;
    my $left = sub { (sql("SELECT count(*) AS n FROM learnhub.auth_events WHERE expires_at $_[0]"))[0]{n} };
    my $before = $left->('< now()');
    sql('SELECT learnhub.prune_logins()');
    ok($left->('< now()') <= $before - 10000 && $left->('< now()') > 0, 'the job deletes expired events in portions');
    ok(eventually(sub { sql('SELECT learnhub.prune_logins()'); !$left->('< now()') }, 30), 'until there are none');
    cmp_ok($left->('> now() + interval $$3 hours$$'), '>=', 25_000, 'and no others');
    sql('DELETE FROM learnhub.auth_events WHERE user_id IS NULL AND expires_at > now() + interval $$3 hours$$');
};

subtest 'events of transactions that commit late' => sub {
    my @users = map { signup() } 1 .. 3;
    my $late = database()->clone;
    $late->begin_work;
    $late->do('UPDATE learnhub.users SET token_version = token_version + 1 WHERE id = ?', undef, id_of($users[0]));
    log_out($users[1]{token});
    ok(eventually(sub { status_of($users[1]{token}, %node) == 401 }), 'a node reads a later event');
    is(status_of($users[0]{token}, %node), 200, 'and not that of a running transaction');
    $late->commit;
    ok(eventually(sub { status_of($users[0]{token}, %node) == 401 }), 'which it reads after its commit');
    is(status_of($users[2]{token}, %node), 200, 'others go on');
    $late->disconnect;
};

subtest 'more new events than a poll reads' => sub {
    my ($user, $other) = map { signup() } 1, 2;
    is_deeply([map { status_of($_, %node) } $user, $other], [200, 200], 'the node knows both');
    sql('INSERT INTO learnhub.auth_events (token, expires_at) SELECT decode(md5(n::text), $$hex$$), '
            . 'now() + interval $$3 hours$$ FROM generate_series(300001, 312000) n');
    log_out($user->{token});
    ok(eventually(sub { status_of($user, %node) == 401 }), 'the node reads all events then');
    is(status_of($other, %node), 200, 'others go on');
    sql('DELETE FROM learnhub.auth_events WHERE user_id IS NULL AND expires_at > now() + interval $$2 hours$$');
};

subtest 'a restart of the database' => sub {
    my $user = signup();
    is(status_of($user, %node), 200, 'the node knows the token');
    expect_log(qr/LH0031: database unavailable/, qr/LH0003: .*SQLSTATE 57P/, qr/LH000[45]: /);
    pg('stop', '-m', 'immediate');
    pg('start');

    # 401: the one before was committed, but its response was 503.
    ok(eventually(sub { log_out($user->{token}) =~ /^(?:204|401)$/ }, 30), 'logout after crash recovery');
    ok(eventually(sub { status_of($user, %node) == 401 }, 30), 'reaches the other node');
    my $health = sub { api(GET => '/health', headers => { Connection => 'close' })->status };
    ok(eventually(sub { !grep { $health->() != 200 } 1 .. 6 }, 30), 'every process has a connection again');
};

done_testing;

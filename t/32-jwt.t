# SPDX-License-Identifier: Apache-2.0
# JSON Web Tokens: claims, forged and malformed tokens, key rotation (RFC 6750, 7515, 7519, 8725).
use strict;
use warnings;
use lib 't/lib';
use Digest::SHA qw(hmac_sha256 hmac_sha384 hmac_sha512);
use LearnHub::Account;
use LearnHub::Test;
use MIME::Base64 qw(decode_base64url encode_base64url);

my $INVALID_TOKEN = 'Bearer realm="learnhub", error="invalid_token"';
my $json = JSON::XS->new->canonical;
my $ada = signup();
my ($access, $refresh) = @$ada{qw(token refresh)};

sub decoded { my ($token, $part) = @_; return JSON::XS::decode_json(decode_base64url((split /\./, $token)[$part])) }

# Logs in at a server and returns the access token.
sub access_token_of {
    my ($server) = @_;
    return log_in(@$ada{qw(email password)}, port => $server->port)->json->{access_token};
}

# The e-mail address that /users/me returns for a token, or a summary of the error.
sub email_of {
    my ($token, %with) = @_;
    my $reply = get_me($token, %with);
    return $reply->status == 200 ? $reply->json->{email} : $reply->summary;
}

sub is_rejected {
    my ($token, $name, %with) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_unauthorized(get_me($token, %with), $INVALID_TOKEN, $name);
}

my ($header_part, $payload_part, $signature) = split /\./, $access;
my ($header, $claims, $refresh_claims) = (decoded($access, 0), decoded($access, 1), decoded($refresh, 1));

subtest 'header and claims' => sub {
    is($header->{alg}, 'HS256', 'alg is HS256');
    ok(length $header->{kid}, 'the header has a kid');
    is_deeply([grep { !exists $claims->{$_} } qw(iss sub type iat exp jti)], [],
        'an access token has iss, sub, type, iat, exp and jti');
    is_deeply([$claims->{type}, $claims->{exp} - $claims->{iat}], ['access', 86400],
        'an access token has type access and lives for 24 hours');
    is_deeply([$refresh_claims->{type}, $refresh_claims->{exp} - $refresh_claims->{iat}], ['refresh', 7 * 86400],
        'a refresh token has type refresh and lives for 7 days');
    isnt($refresh_claims->{jti}, $claims->{jti}, 'access and refresh token have different jti');
    unlike(decode_base64url($payload_part), qr/\Q$ada->{email}\E|Person|password/i,
        'a token contains no e-mail address, name or password');
};

# ---- forged tokens ----

# The JSON of these members with changes; undef removes a member.
sub changed {
    my ($members, %change) = @_;
    my %new = (%$members, %change);
    delete @new{ grep { !defined $new{$_} } keys %new };
    return $json->encode(\%new);
}

# A token of these JSON texts, signed by default with HS256 and the tests' secret.
sub token {
    my ($head, $payload, %with) = @_;
    my $signed = encode_base64url($head) . '.' . encode_base64url($payload);
    my $sign = $with{sign} || sub { hmac_sha256($_[0], $with{key} || $jwt_secret) };
    return "$signed." . encode_base64url($sign->($signed));
}

sub with_claims { return token(changed($header), changed($claims, @_)) }
sub with_header { return token(changed($header, @_), changed($claims)) }

my ($alphabet) = join '', 'A' .. 'Z', 'a' .. 'z', 0 .. 9, '-_';
my $last = index $alphabet, substr $signature, -1;
my $head = changed($header);
my $payload = changed($claims);
my $sub = $json->allow_nonref->encode($claims->{sub});
my @other_key = (key => 'k' x 32);
my $embedded_key = { kty => 'oct', k => encode_base64url($other_key[1]) };
my $admin_claims = encode_base64url(changed($claims, role => 'admin', x => 1));
my $wrong_bit = decode_base64url($signature) ^ ("\0" x 31 . "\1");

my %forged = (
    'alg none without a signature' => token(changed($header, alg => 'none'), $payload, sign => sub {''}),
    'alg None without a signature' => token(changed($header, alg => 'None'), $payload, sign => sub {''}),
    'alg NONE without a signature' => token(changed($header, alg => 'NONE'), $payload, sign => sub {''}),
    'alg nOnE without a signature' => token(changed($header, alg => 'nOnE'), $payload, sign => sub {''}),
    'alg none with a valid signature' => with_header(alg => 'none'),
    'alg HS512' => token(changed($header, alg => 'HS512'), $payload, sign => sub { hmac_sha512($_[0], $jwt_secret) }),
    'alg HS384' => token(changed($header, alg => 'HS384'), $payload, sign => sub { hmac_sha384($_[0], $jwt_secret) }),
    'alg RS256' => with_header(alg => 'RS256'),
    'alg in lower case' => with_header(alg => 'hs256'),
    'no alg' => with_header(alg => undef),
    'alg is a list' => with_header(alg => ['HS256']),
    'a duplicate alg' => token(qq({"alg":"none","alg":"HS256","kid":"$header->{kid}"}), $payload),
    'an unknown kid' => with_header(kid => 'nobody'),
    'a path as kid' => with_header(kid => '../../../dev/null'),
    'a number as kid' => with_header(kid => 1),
    'crit' => with_header(crit => ['exp']),
    'crit and b64' => with_header(crit => ['b64'], b64 => JSON::XS::false),
    'a key embedded as jwk' => token(changed($header, jwk => $embedded_key), $payload, @other_key),
    'a header that is not an object' => token('["HS256"]', $payload),
    'a header that is not JSON' => token('{"alg":"HS256"', $payload),
    'a signature by an empty key' => token($head, $payload, sign => sub { hmac_sha256($_[0], '') }),
    'a signature by an unknown key' => token($head, $payload, key => 'another secret of the right length'),
    'a changed payload' => "$header_part.$admin_claims.$signature",
    'a signature with one wrong bit' => "$header_part.$payload_part." . encode_base64url($wrong_bit),
    'an empty signature' => "$header_part.$payload_part.",
    'a truncated signature' => token($head, $payload, sign => sub { substr hmac_sha256($_[0], $jwt_secret), 0, 16 }),
    'a signature with an extra byte' => token($head, $payload, sign => sub { hmac_sha256($_[0], $jwt_secret) . 'x' }),
    'a signature in hex' => "$header_part.$payload_part." . unpack('H*', decode_base64url($signature)),
    'non-zero trailing bits of base64url' => substr($access, 0, -1) . substr($alphabet, $last ^ 1, 1),
    'base64 padding at the end' => "$access=",
    'base64 padding in the payload' => token($head, $payload) =~ s/\.([^.]+)\./.$1==./r,
    'blanks inside' => "$header_part. $payload_part.$signature",
    'an exp one second ago' => with_claims(exp => time - 1),
    'an exp long ago' => with_claims(exp => 1, iat => 0),
    'a negative exp' => with_claims(exp => -1),
    'no exp' => with_claims(exp => undef),
    'a string as exp' => with_claims(exp => '' . (time + 3600)),
    'an object as exp' => with_claims(exp => {}),
    'an nbf in the future' => with_claims(nbf => time + 3600),
    'type refresh' => with_claims(type => 'refresh'),
    'no type' => with_claims(type => undef),
    'type in another case' => with_claims(type => 'Access'),
    'type is a list' => with_claims(type => ['access']),
    'no sub' => with_claims(sub => undef),
    'a name as sub' => with_claims(sub => 'ada'),
    'sub is a list' => with_claims(sub => [$claims->{sub}]),
    'SQL in sub' => with_claims(sub => "$claims->{sub} OR true"),
    'a negative sub' => with_claims(sub => '-1'),
    'a sub beyond 64 bits' => with_claims(sub => '9' x 40),
    'a duplicate sub' => token($head, $payload =~ s/\{/{"sub":$sub,/r),
    'a duplicate exp' => token($head, $payload =~ s/\{/{"exp":99999999999,/r),
    'a list as payload' => token($head, '[]'),
    'a string as payload' => token($head, '"access"'),
    'a payload that is not JSON' => token($head, substr $payload, 0, -1),
    'a payload with a second JSON value' => token($head, "$payload {}"),
    'a payload with a NUL' => token($head, "$payload\0"),
    'an empty payload' => token($head, ''),
    'a payload with invalid UTF-8' => token($head, $payload =~ s/\{/{"x":"\xC3\x28",/r),
    'a dot at the end' => "$access.",
    'a dot at the start' => ".$access",
    'four parts' => "$access.$signature",
    'five parts' => "$header_part..$payload_part..$signature",
    'two parts' => "$header_part.$payload_part",
    'one part' => $header_part,
    'only two dots' => '..',
    'only one dot' => '.',
    '7000 characters' => 'a' x 7000,
    'three parts of 2300 characters' => join('.', ('a' x 2300) x 3),
    'two tokens' => "$access $access",
    'a refresh token' => $refresh,
);

subtest 'forged and malformed access tokens' => sub {
    is(email_of(with_claims()), $ada->{email}, 'a token signed by the test with the right key is accepted');
    my $extended = with_claims(exp => time + 60, nbf => time - 60, extra => [1]);
    is(email_of($extended), $ada->{email}, 'unknown claims are ignored');
    is_rejected("Bearer $forged{$_}", "401 for an access token with: $_") for sort keys %forged;
    is(get_me(undef, headers => { Authorization => 'Bearer' })->status, 401,
        '401 for the scheme Bearer without a token');
    is(get_me("Bearer, $access")->status, 401, '401 for a comma after the scheme');
    is(get_me($access)->status, 200, 'a valid token is still accepted after the forged ones');
};

my %forged_refresh = (
    'an exp one second ago' => { exp => time - 1 }, 'type access' => { type => 'access' },
    'no jti' => { jti => undef }, 'no type' => { type => undef },
);

subtest 'forged refresh tokens' => sub {
    is(refresh(token($head, changed($refresh_claims)))->status, 200,
        'a refresh token signed by the test with the right key is accepted');
    is_error(refresh(token($head, changed($refresh_claims, %{ $forged_refresh{$_} }))), 'located', 401,
        "401 for a refresh token with: $_") for sort keys %forged_refresh;
};

# ---- key rotation ----

my $new_key = 'the secret of next year, which is long enough too';
my $renewed;

subtest 'key rotation' => sub {
    my $before = second_httpd(qq(LearnHubJWTSecret kid=next "$new_key"));
    my $after = second_httpd(<<"CONF", bare => 1);
LearnHub On
LearnHubBcryptCost 4
LearnHubLoginThrottle 1000/1m
LearnHubJWTSecret kid=next "$new_key"
LearnHubJWTSecret "$jwt_secret"
CONF
    $renewed = access_token_of($after);
    is(decoded($renewed, 0)->{kid}, 'next', 'the first configured key signs tokens, with its kid');
    is(email_of($access, port => $after->port), $ada->{email},
        'the second configured key still verifies access tokens');
    is(refresh($refresh, port => $after->port)->status, 200, 'the second configured key still verifies refresh tokens');
    is(email_of($renewed, port => $before->port), $ada->{email},
        'a node with the new key in second place verifies tokens of it');
    is_rejected($renewed, 'a node without the new key rejects tokens of it');
    my $mixed = token($head, changed($claims), key => $new_key);
    is_rejected($mixed, 'a signature by another key than that of the kid is rejected', port => $after->port);
    is(decoded(access_token_of($before), 0)->{kid}, $header->{kid},
        'a key without a configured kid has the same kid on every node');
};

subtest 'secrets in logs' => sub {
    my @secrets = ($jwt_secret, $new_key, $access, $refresh, $renewed, grep { length > 40 } values %forged);
    for my $log (grep {-s} glob qq("$top"/t/logs/*log)) {
        open my $in, '<:raw', $log or die "$log: $!";
        my $text = do { local $/; <$in> };
        is_deeply([grep { index($text, $_) >= 0 } @secrets], [],
            $log =~ s{.*/}{}r . ' contains no JWT secret and no token');
    }
};

subtest 'a shortened LearnHubAccessTokenTTL' => sub {
    my $shorter = second_httpd("LearnHubAccessTokenTTL 1s\n");
    my $user = signup();
    sleep 2;
    is(get_me($user)->status, 200, 'a token of 24 hours is accepted after 2 seconds');
    is_error(get_me($user, port => $shorter->port), 'located', 401,
        'a node with LearnHubAccessTokenTTL 1s rejects a token that is 2 seconds old, whatever its exp');
};

done_testing;

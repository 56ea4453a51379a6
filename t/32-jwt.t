# SPDX-License-Identifier: Apache-2.0
# JSON Web Tokens made by hand, and keys that change: contract.md section 1, RFC 6750, 7515, 7519, 8725.
use strict;
use warnings;
use lib 't/lib';
use Digest::SHA qw(hmac_sha256 hmac_sha384 hmac_sha512);
use LearnHub::Test;
use MIME::Base64 qw(decode_base64url encode_base64url);

my $REFUSED = 'Bearer realm="learnhub", error="invalid_token"';
my $json = JSON::XS->new->canonical;
my $ada = signup();
my ($access, $refresh) = @$ada{qw(token refresh)};

sub me { my ($token, %more) = @_; return api(GET => '/users/me', token => $token, %more) }
sub refresh { return api(POST => '/users/refresh', json => { refresh_token => shift }, @_) }
sub shown { my ($reply) = @_; return $reply->status == 200 ? $reply->json->{email} : $reply->summary }
sub part { my ($token, $n) = @_; return JSON::XS::decode_json(decode_base64url((split /\./, $token)[$n])) }

sub log_in {
    my ($port) = @_;
    my %form = (username => $ada->{email}, password => $ada->{password});
    return api(POST => '/users/login', form => \%form, port => $port)->json->{access_token};
}

# 401 in practice's shape, with exactly this challenge.
sub is_unauthorized {
    my ($reply, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $body = $reply->json;
    return is_deeply([$reply->status, $reply->header('WWW-Authenticate'), ref $body eq 'HASH' ? keys %$body : $body],
        [401, $REFUSED, 'detail'], $name) || diag($reply->summary);
}

# ---- what is in a token ----

my ($head_part, $payload_part, $signature) = split /\./, $access;
my ($header, $claims, $refresh_claims) = (part($access, 0), part($access, 1), part($refresh, 1));
is($header->{alg}, 'HS256', 'alg is HS256');
ok(length $header->{kid}, 'the header names the key');
is_deeply([grep { !exists $claims->{$_} } qw(iss sub type iat exp jti)], [], 'the claims of the contract are there');
is_deeply([$claims->{type}, $claims->{exp} - $claims->{iat}], ['access', 86400], 'type, and the lifetime of 24 hours');
is_deeply([$refresh_claims->{type}, $refresh_claims->{exp} - $refresh_claims->{iat}], ['refresh', 7 * 86400],
    'a refresh token lives for 7 days');
isnt($refresh_claims->{jti}, $claims->{jti}, 'each token has its own jti');
unlike(decode_base64url($payload_part), qr/\Q$ada->{email}\E|Person|password/i, 'no e-mail, name or password is in it');

# ---- tokens made by hand ----


# Changes, where undef takes a member away.
sub changed {
    my ($members, %change) = @_;
    my %new = (%$members, %change);
    delete @new{ grep { !defined $new{$_} } keys %new };
    return $json->encode(\%new);
}

sub token {
    my ($head, $payload, %with) = @_;
    my $signed = encode_base64url($head) . '.' . encode_base64url($payload);
    my $sign = $with{sign} || sub { hmac_sha256($_[0], $with{key} || $jwt_secret) };
    return "$signed." . encode_base64url($sign->($signed));
}

sub with_claims { return token(changed($header), changed($claims, @_)) }
sub with_header { return token(changed($header, @_), changed($claims)) }

is(shown(me(with_claims())), $ada->{email}, 'a token signed anew by hand works');
my $more = with_claims(exp => time + 60, nbf => time - 60, extra => [1]);
is(shown(me($more)), $ada->{email}, 'unknown claims are ignored');

my ($alphabet) = join '', 'A' .. 'Z', 'a' .. 'z', 0 .. 9, '-_';
my $last = index $alphabet, substr $signature, -1;
my $payload = changed($claims);
my $sub = $json->allow_nonref->encode($claims->{sub});
my %attack = (
    (map {; "alg $_ without a signature" => token(changed($header, alg => $_), $payload, sign => sub {''}) }
        qw(none None NONE nOnE)),
    'alg none with the good signature' => with_header(alg => 'none'),
    'alg HS512' => token(changed($header, alg => 'HS512'), $payload, sign => sub { hmac_sha512($_[0], $jwt_secret) }),
    'alg HS384' => token(changed($header, alg => 'HS384'), $payload, sign => sub { hmac_sha384($_[0], $jwt_secret) }),
    'alg RS256' => with_header(alg => 'RS256'),
    'alg in lower case' => with_header(alg => 'hs256'),
    'no alg' => with_header(alg => undef),
    'alg that is a list' => with_header(alg => ['HS256']),
    'alg twice' => token(qq({"alg":"none","alg":"HS256","kid":"$header->{kid}"}), $payload),
    'a kid nobody knows' => with_header(kid => 'nobody'),
    'a kid that is a path' => with_header(kid => '../../../dev/null'),
    'a kid that is a number' => with_header(kid => 1),
    'crit' => with_header(crit => ['exp']),
    'crit and b64' => with_header(crit => ['b64'], b64 => JSON::XS::false),
    'its own key in jwk' => token(changed($header, jwk => { kty => 'oct', k => encode_base64url('k' x 32) }), $payload,
        key => 'k' x 32),
    'a header that is no object' => token('["HS256"]', $payload),
    'a header that is no JSON' => token('{"alg":"HS256"', $payload),
    'an empty key' => token(changed($header), $payload, sign => sub { hmac_sha256($_[0], '') }),
    'another key' => token(changed($header), $payload, key => 'another secret of the right length'),
    'a changed payload' => "$head_part." . encode_base64url(changed($claims, role => 'admin', x => 1)) . ".$signature",
    'a signature of which one bit is wrong' => "$head_part.$payload_part." .
        encode_base64url(decode_base64url($signature) ^ ("\0" x 31 . "\1")),
    'no signature' => "$head_part.$payload_part.",
    'half a signature' => token(changed($header), $payload,
        sign => sub { substr hmac_sha256($_[0], $jwt_secret), 0, 16 }),
    'a longer signature' => token(changed($header), $payload,
        sign => sub { hmac_sha256($_[0], $jwt_secret) . 'x' }),
    'the signature in hex' => "$head_part.$payload_part." . unpack('H*', decode_base64url($signature)),
    'other trailing bits' => "$head_part.$payload_part." . substr($signature, 0, -1) . substr($alphabet, $last ^ 1, 1),
    'padding' => "$access=",
    'padding in the payload' => token(changed($header), $payload) =~ s/\.([^.]+)\./.$1==./r,
    'blanks inside' => "$head_part. $payload_part.$signature",
    'expiry' => with_claims(exp => time - 1),
    'expiry long ago' => with_claims(exp => 1, iat => 0),
    'a negative expiry' => with_claims(exp => -1),
    'no expiry' => with_claims(exp => undef),
    'expiry as text' => with_claims(exp => '' . (time + 3600)),
    'expiry that is no number' => with_claims(exp => {}),
    'nbf in the future' => with_claims(nbf => time + 3600),
    'the type refresh' => with_claims(type => 'refresh'),
    'no type' => with_claims(type => undef),
    'another type' => with_claims(type => 'Access'),
    'a type that is a list' => with_claims(type => ['access']),
    'no sub' => with_claims(sub => undef),
    'a sub that is text' => with_claims(sub => 'ada'),
    'a sub that is a list' => with_claims(sub => [$claims->{sub}]),
    'a sub with SQL' => with_claims(sub => "$claims->{sub} OR true"),
    'a negative sub' => with_claims(sub => '-1'),
    'a sub beyond all numbers' => with_claims(sub => '9' x 40),
    'sub twice' => token(changed($header), $payload =~ s/\{/{"sub":$sub,/r),
    'exp twice' => token(changed($header), $payload =~ s/\{/{"exp":99999999999,/r),
    'a payload that is no object' => token(changed($header), '[]'),
    'a payload that is a text' => token(changed($header), '"access"'),
    'a payload that is no JSON' => token(changed($header), substr $payload, 0, -1),
    'a payload with more behind it' => token(changed($header), "$payload {}"),
    'a payload with a NUL' => token(changed($header), "$payload\0"),
    'an empty payload' => token(changed($header), ''),
    'a payload of invalid UTF-8' => token(changed($header), $payload =~ s/\{/{"x":"\xC3\x28",/r),
    'a dot more' => "$access.",
    'a dot before' => ".$access",
    'four parts' => "$access.$signature",
    'five parts' => "$head_part..$payload_part..$signature",
    'two parts' => "$head_part.$payload_part",
    'one part' => $head_part,
    'dots alone' => '..',
    'a dot' => '.',
    'a huge token' => 'a' x 7000,
    'a huge token of three parts' => join('.', ('a' x 2300) x 3),
    'two tokens' => "$access $access",
    'the refresh token' => $refresh,
);
is_unauthorized(me("Bearer $attack{$_}"), "refused: $_") for sort keys %attack;
is(me('Bearer')->status, 401, 'refused: the scheme alone');
is(me("Bearer, $access")->status, 401, 'refused: a list of two');
is(me($access)->status, 200, 'and the good token is still good');
my %refresh_attack = (
    'expiry' => { exp => time - 1 }, 'the type access' => { type => 'access' }, 'no jti' => { jti => undef },
    'no type' => { type => undef },
);
is(refresh(token(changed($header), changed($refresh_claims)))->status, 200, 'a refresh token signed by hand works');
is_refusal(refresh(token(changed($header), changed($refresh_claims, %{ $refresh_attack{$_} }))), 'practice', 401,
    "refresh refuses: $_") for sort keys %refresh_attack;

# ---- keys that change ----

my $new_key = 'the secret of next year, which is long enough too';
my $before = second_httpd(qq(LearnHubJWTSecret kid=next "$new_key"));
my $after = second_httpd(<<"CONF", bare => 1);
LearnHub On
LearnHubBcryptCost 4
LearnHubLoginThrottle 1000/1m
LearnHubJWTSecret kid=next "$new_key"
LearnHubJWTSecret "$jwt_secret"
CONF
my $renewed = log_in($after->port);
is(part($renewed, 0)->{kid}, 'next', 'the first key signs, under its name');
is(shown(me($access, port => $after->port)), $ada->{email}, 'a key that is no longer first still verifies');
is(refresh($refresh, port => $after->port)->status, 200, 'refresh tokens, too');
is(shown(me($renewed, port => $before->port)), $ada->{email}, 'a node told of the new key beforehand verifies it');
is_unauthorized(me($renewed), 'a node that does not know the key refuses it');
my $mixed = token(changed($header), changed($claims), key => $new_key);
is_unauthorized(me($mixed, port => $after->port), "a signature by another key than the token's kid is refused");
is(part(log_in($before->port), 0)->{kid}, $header->{kid},
    'a key without a name has the same kid on every node');

my @secrets = ($jwt_secret, $new_key, $access, $refresh, $renewed, grep { length > 40 } values %attack);
for my $log (grep { -s } glob qq("$top"/t/logs/*log)) {
    open my $in, '<:raw', $log or die "$log: $!";
    my $text = do { local $/; <$in> };
    is_deeply([grep { index($text, $_) >= 0 } @secrets], [], 'no secret and no token in ' . $log =~ s{.*/}{}r);
}

# ---- a shorter time counts for tokens that were made before ----

my $shorter = second_httpd("LearnHubAccessTokenTTL 1s\n");
my $old = signup();
sleep 2;
is(api(GET => '/users/me', token => $old->{token})->status, 200, 'a token of a day');
is_refusal(api(GET => '/users/me', token => $old->{token}, port => $shorter->port), 'practice', 401);

done_testing;

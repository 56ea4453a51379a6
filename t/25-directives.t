# SPDX-License-Identifier: Apache-2.0
# Directives: what configtest says of wrong values, that right ones do what they say, and that virtual hosts inherit and
# override them. The names, forms and defaults are those of conf/learnhub.conf.
use strict;
use warnings;
use utf8;
use lib 't/lib';
use LearnHub::Test;
use MIME::Base64 qw(decode_base64url);

my $logs = "$top/t/logs";
my $on = qq(LearnHub On\nLearnHubJWTSecret "$jwt_secret"\n);
my $fast = "LearnHubBcryptCost 4\nLearnHubLoginThrottle 1000/1m\n";
my $thirty_two = 'exactly 32 bytes make a fine key';

sub file {
    my ($name, $content) = @_;
    open my $out, '>:raw', "$logs/$name" or die "$name: $!";
    print $out $content;
    close $out or die "$name: $!";
    return "$logs/$name";
}

# configtest refuses these lines with one sentence: it names the directive and says what is allowed.
sub refuses {
    my ($directive, $like, @arguments) = @_;
    for my $argument (@arguments) {
        my ($status, $said) = configtest("$directive $argument", bare => 1);
        my ($sentence) = grep {/^(?!AH\d+:).*\b\Q$directive\E\b/} split /\n/, $said;
        local $Test::Builder::Level = $Test::Builder::Level + 1;
        my $fine = $status != 0 && ($sentence // '') =~ $like && ($sentence // '') !~ /usage|takes (?:one|1) argument/i;
        ok($fine, "$directive $argument: refused with a sentence") || diag("exit $status: $said");
    }
    return;
}

sub takes {
    my ($directive, @arguments) = @_;
    for my $argument (@arguments) {
        my ($status, $said) = configtest("$directive $argument", bare => 1);
        local $Test::Builder::Level = $Test::Builder::Level + 1;
        ok($status == 0 && $said =~ /Syntax OK/, "$directive $argument: accepted") || diag("exit $status: $said");
    }
    return;
}

# ---- wrong values, right values ----

my $time = qr/\b\d+[smhd]\b.*\b\d+[smhd]\b/;
my @no_time = ('', 'soon', '5x', '-5s', '1.5h', '24 h', '0x10s', '99999999999999999999d', '5s5');
refuses(LearnHub => qr/On.*Off/, '', 'maybe', '1', 'On Off');
takes(LearnHub => 'Off', 'off');
refuses(LearnHubAPI => qr/all.*practice tutoring coding mentoring xp admin/, '', 'teaching', 'tutoring teaching',
    'tutoringx', 'tutor', '"tutoring xp"');
takes(LearnHubAPI => 'all', 'tutoring', 'practice tutoring coding mentoring xp admin', 'XP Tutoring');
refuses(LearnHubPages => qr/all.*none.*index.*health/, '', 'some', 'index elsewhere');
takes(LearnHubPages => 'all', 'none', 'index', 'health', 'index health');
for my $directive (qw(LearnHubAccessTokenTTL LearnHubRefreshTokenTTL)) {
    refuses($directive => $time, @no_time, '0', '0s');
    takes($directive => '90s', '15m', '24h', '7d');
}
refuses($_ => $time, @no_time, '0') for qw(LearnHubStatementTimeout LearnHubConnectionWait);
takes($_ => '1s', '5s', '1m') for qw(LearnHubStatementTimeout LearnHubConnectionWait);
refuses(LearnHubTokenTTL => $time, @no_time);
takes(LearnHubTokenTTL => '0', '90s', '30d');
refuses(LearnHubRevocationInterval => $time, @no_time);
takes(LearnHubRevocationInterval => '0', '1s', '10s', '5m');
refuses($_ => qr/text/, '', '""', 'two words') for qw(LearnHubJWTIssuer LearnHubJWTAudience);
takes($_ => 'learn.example.com', '"two words"', 'https://learn.example/') for qw(LearnHubJWTIssuer LearnHubJWTAudience);
refuses(LearnHubBcryptCost => qr/\b4\b.*\b15\b/, '', '3', '16', 'ten', '10.5', '-4', '1e1', '4 5', '9' x 20);
takes(LearnHubBcryptCost => 4, 10, 15);
refuses(LearnHubLoginThrottle => qr/Off.*10\/5m/, '', 'On', '10', '10/', '/5m', '0/5m', '-1/5m', '10/0', '10/soon',
    '10/5x', 'ten/5m', '10 5m', '10/5m/1');
takes(LearnHubLoginThrottle => 'Off', 'off', '10/5m', '3/2s', '1/1h');
refuses(LearnHubMaxBody => qr/whole number.*\d+.*\d+/, '', '0', '-1', 'big', '1M', '1.5', '99999999999999999999');
takes(LearnHubMaxBody => 1048576, 65536);
refuses(LearnHubMaxPhoto => qr/whole number.*\d+.*\d+/, '', '0', '1023', '-1', 'big', '2M', '1.5', '67108865', '9' x 20);
takes(LearnHubMaxPhoto => 1024, 2097152, 67108864);
refuses(LearnHubCORS => qr{\*.*https?://}, '', 'app.example.com', 'https://', 'https://a.example/path',
    '* https://a.example', 'https://a.example *', 'ftp://a.example', '"https://a.example https://b.example"',
    'https://a.example?x');
takes(LearnHubCORS => '*', 'https://app.example.com', 'https://a.example http://localhost:3000');
refuses(LearnHubPublicURL => qr{absolute URL.*https?://}, '', 'learn.example.com', '/learn', 'ftp://a.example',
    'https://', 'https:///x', 'https://learn.example.com/?x=1', 'https://learn.example.com/#x',
    '"https://learn example.com"', 'https://a.example https://b.example');
takes(LearnHubPublicURL => 'https://learn.example.com', 'http://localhost:8000/', 'https://example.com/learn');
refuses(LearnHubPasswordResetURL => qr/URL with \{uid\} and \{token\}/, '', 'https://app.example/{uid}', 'https://app.example/{token}',
    '/r/{uid}/{token}', 'ftp://a.example/{uid}/{token}', '"https://app.example/ {uid}/{token}"', 'https://a.example/{uid}{token} x');
takes(LearnHubPasswordResetURL => 'https://app.example/#/r?u={uid}&t={token}', 'http://localhost:3000/{uid}/{token}');
my $mail_from = "\nLearnHubMailFrom learnhub\@example.com";
refuses(LearnHubSMTP => qr{smtp://.*smtps://.*LearnHubSMTPAuth}, '', 'mail.example.com', 'smtp://', 'smtp://:25', 'http://mail.example',
    'smtp://mail.example/x', 'smtp://mail.example/', 'smtp://ada:secret@mail.example', 'smtp://mail.example:0', 'smtp://mail.example:x',
    'smtp://mail.example:99999', 'smtp://a smtp://b', 'smtp://mail.example?x');
takes(LearnHubSMTP => map {"$_$mail_from"} 'smtp://mail.example.com', 'smtp://127.0.0.1:2525', 'smtps://mail.example.com:465', 'smtp://[::1]:25');
refuses(LearnHubMailFrom => qr/e-mail address/, '', 'learnhub', 'learnhub@', '"Learn Hub <a@example.com>"', 'a@example.com b@example.com');
takes(LearnHubMailFrom => 'learnhub@example.com');
refuses(LearnHubMailTries => qr/whole number.*\b1\b.*\b100\b/, '', '0', '101', '-1', 'many');
takes(LearnHubMailTries => 1, 10, 100);
refuses(LearnHubModelURL => qr{absolute URL.*https?://}, '', 'model.example.com', 'ftp://a.example', '/v1/chat/completions', 'https://');
takes(LearnHubModelURL => 'https://model.example.com/v1/chat/completions', 'http://127.0.0.1:11434/v1/chat/completions');
refuses(LearnHubModelName => qr/text/, '', '""', 'two words');
takes(LearnHubModelName => 'small', '"two words"', 'vendor/small:1b');
refuses(LearnHubModelTimeout => $time, @no_time, '0', '9ms', '61s');
takes(LearnHubModelTimeout => '10ms', '2s', '60s');
my ($placed, $said) = configtest("<Location /x>\nLearnHub On\n</Location>", bare => 1);
ok($placed != 0 && $said =~ /LearnHub\b.*not allowed/, 'directives belong to servers, not to locations') || diag($said);

# ---- LearnHubJWTSecret ----

local $ENV{LEARNHUB_T_SECRET} = $jwt_secret;
local $ENV{LEARNHUB_T_SHORT} = 'too short';
local $ENV{LEARNHUB_T_EMPTY} = '';
my $secret_file = file('secret', "$jwt_secret\n");
my $key = qq("$thirty_two");
refuses(LearnHubJWTSecret => qr/32 bytes/, '"' . substr($thirty_two, 1) . '"', '"env:LEARNHUB_T_SHORT"',
    '"exec:/bin/echo too short"', '"file:' . file('short', "too short\n$thirty_two\n") . '"',
    '"' . 'é' x 15 . '"');
refuses(LearnHubJWTSecret => qr/\bfile\b.*nowhere|nowhere.*\bfile\b/, '"file:nowhere/at/all"', '"file:/nowhere"');
refuses(LearnHubJWTSecret => qr/file|secret/, '"file:' . file('empty', '') . '"', qq("file:$logs"), 'file:');
refuses(LearnHubJWTSecret => qr/LEARNHUB_T_\w+/, 'env:LEARNHUB_T_NOBODY', 'env:LEARNHUB_T_EMPTY');
refuses(LearnHubJWTSecret => qr/command/, 'exec:/bin/false', 'exec:/nowhere/command', 'exec:');
refuses(LearnHubJWTSecret => qr/file:.*exec:.*env:/, '', "kid=a $key more", "key=a $key", "$key kid=a");
refuses(LearnHubSMTPAuth => qr/user.*file:.*exec:.*env:/, '', 'ada', 'ada file:x more', qq("" "x"));
refuses(LearnHubSMTPAuth => qr/\bfile\b.*nowhere/, 'ada "file:nowhere/at/all"');
refuses(LearnHubSMTPAuth => qr/LEARNHUB_T_NOBODY/, 'ada env:LEARNHUB_T_NOBODY');
takes(LearnHubSMTPAuth => qq(ada "file:$secret_file"), 'ada env:LEARNHUB_T_SECRET', 'ada "exec:/bin/echo a secret"', 'ada secret');
my $long = 'k' x 64;
refuses(LearnHubJWTSecret => qr/\bid\b.*\b64\b/, "kid= $key", qq("kid=a b" $key), "kid=a/b $key", "kid=${long}k $key");
takes(LearnHubJWTSecret => $key, "kid=2026-11 $key", "kid=a.b_C $key", "kid=$long $key", 'env:LEARNHUB_T_SECRET',
    qq("file:$secret_file"), qq("exec:/bin/echo $jwt_secret"), qq(kid=e "exec:/bin/echo $jwt_secret"),
    '"' . 'é' x 16 . '"', qq(kid=a $key\nLearnHubJWTSecret kid=b "$jwt_secret"));
refuses(LearnHubJWTSecret => qr/\bid\b.*\bown\b/, qq(kid=a $key\nLearnHubJWTSecret kid=a "$jwt_secret"));
for my $source (qq("file:$secret_file"), 'env:LEARNHUB_T_SECRET', qq("exec:/bin/echo $jwt_secret")) {
    my (undef, $answer) = configtest("LearnHubJWTSecret $source", bare => 1);
    is(index($answer, $jwt_secret), -1, 'configtest does not show the secret of ' . substr $source, 0, 6);
    my $server = second_httpd("LearnHub On\nLearnHubJWTSecret $source", bare => 1);
    is(api(GET => '/users/me', port => $server->port, token => signup()->{token})->status, 200,
        'it is the same secret from ' . substr $source, 0, 6);
    $server->stop;
}

refuses(LearnHubModelKey => qr/file:.*exec:.*env:/, '', '""', 'two words');
refuses(LearnHubModelKey => qr/nowhere|nobody/i, 'file:nowhere/at/all', 'exec:/nowhere/command', 'env:LEARNHUB_T_NOBODY');
takes(LearnHubModelKey => 'sk-1', 'env:LEARNHUB_T_SECRET', qq("file:$secret_file"), qq("exec:/bin/echo $jwt_secret"));

# ---- what a start needs ----

my ($status, $answer) = configtest('LearnHub On', bare => 1);
ok($status != 0 && $answer =~ /learnhub: .*LearnHubJWTSecret/, 'On without a secret: a sentence') || diag($answer);
ok(!eval { second_httpd('LearnHub On', bare => 1) }, 'and httpd does not start');
like($@, qr/learnhub: .*LearnHubJWTSecret/, 'for this reason');
my ($unnamed, $why) = configtest("LearnHub On\nLearnHubJWTSecret $key\nLearnHubModelURL http://127.0.0.1/", bare => 1);
ok($unnamed != 0 && $why =~ /learnhub: .*LearnHubModelName/, 'a model without a name: a sentence') || diag($why);
my $elsewhere = "Listen 1\n<VirtualHost *:1>\nLearnHub On\n</VirtualHost>";
($status, $answer) = configtest($elsewhere, bare => 1);
ok($status != 0 && $answer =~ /learnhub: .*LearnHubJWTSecret/, 'the same of a virtual host') || diag($answer);
is((configtest($elsewhere))[0], 0, 'which inherits the secret where there is one');

open my $base, '<', "$top/t/conf/base.conf" or die "base.conf: $!";
my $without_dbd = join '', grep { !/^(?:DBD|LoadModule dbd_module)/ } <$base>;
($status, $answer) = configtest($without_dbd . $on, alone => 1);
ok($status != 0 && $answer =~ /learnhub: .*mod_dbd/, 'mod_dbd is not loaded: a sentence') || diag($answer);
is(scalar(() = $answer =~ /learnhub: /g), 1, 'and one only') || diag($answer);
is((configtest($without_dbd, alone => 1))[0], 0, 'without LearnHub On nothing is asked for');

# ---- virtual hosts: three of one httpd ----

# The main server has $base, "overrides" has $over, and "inherits" one directive that changes nothing, without which
# httpd would merge nothing: their ports.
sub hosts {
    my ($base_lines, $over) = @_;
    my ($second, $third) = map { LearnHub::Server->free_port } 1 .. 2;
    my $server = second_httpd(<<"CONF", bare => 1);
$fast$base_lines
Listen $second
Listen $third
<VirtualHost *:$second>
LearnHubConnectionWait 2s
</VirtualHost>
<VirtualHost *:$third>
$over
</VirtualHost>
CONF
    return { server => $server, base => $server->port, inherits => $second, overrides => $third };
}

# observed(hosts, sub { port }): what the sub sees at each.
sub observed { my ($hosts, $see) = @_; return [map { $see->($hosts->{$_}) } qw(base inherits overrides)] }

my $person = signup(role => 'admin');
my %form = (username => $person->{email}, password => $person->{password});

sub claims { return JSON::XS::decode_json(decode_base64url((split /\./, $_[0])[1])) }

# From an address of its own, where no other test has failed to log in.
sub log_in { return api(POST => '/users/login', form => \%form, port => $_[0], from => '127.0.2.1') }

sub life { my ($claims) = @_; return $claims->{exp} - $claims->{iat} }

sub me {
    my ($port, $token) = @_;
    return api(GET => '/users/me', port => $port, token => $token // $person->{token})->status;
}

sub sign_up {
    my ($port) = @_;
    my %new = (first_name => 'New', last_name => 'Person', email => unique('new') . '@example.com');
    my $reply = api(POST => '/users/signup', port => $port, json => { %new, password => 'a good password' });
    $reply->status == 201 or die $reply->summary;
    return $new{email};
}

sub cost {
    my ($port) = @_;
    my ($hash) = user(sign_up($port))->{password_hash} =~ /^(\$2\w\$\d\d)/;
    return $hash;
}

sub allowed {
    my ($port) = @_;
    my $reply = api(GET => '/users/me', port => $port, headers => { Origin => 'https://one.example' });
    return $reply->header('Access-Control-Allow-Origin') // 'none';
}

sub next_url {
    my ($port) = @_;
    my $list = api(GET => '/api/admin/users/?page_size=1&q=example.com', port => $port, token => $person->{token});
    return $list->json->{next} =~ s{(/api/.*)}{}r;
}

sub body_of {
    my ($port, $size) = @_;
    return api(POST => '/users/refresh', port => $port, json => { refresh_token => 'x' x ($size - 20) })->status;
}

sub photo_of {
    my ($port, $size, $token) = @_;
    my $gif = "GIF89a\1\0\1\0\0\0\0,";
    return api(PATCH => '/myprofile/', port => $port, token => $token // $person->{token},
        multipart => [profile_photo => [undef, 'p.gif', Content => $gif . 'x' x ($size - length $gif)]])->status;
}

my $hosts = hosts(<<"BASE", <<'OVER');
$on
LearnHubAPI admin mentoring
LearnHubPages health
LearnHubAccessTokenTTL 90s
LearnHubRefreshTokenTTL 15m
LearnHubTokenTTL 2s
LearnHubJWTIssuer house
LearnHubJWTAudience https://learn.example
LearnHubBcryptCost 5
LearnHubLoginThrottle 2/1m
LearnHubRevocationInterval 1h
LearnHubMaxBody 2048
LearnHubMaxPhoto 3000
LearnHubCORS https://one.example https://two.example
LearnHubPublicURL https://learn.example/base/
BASE
LearnHubAPI tutoring admin mentoring
LearnHubPages none
LearnHubAccessTokenTTL 2h
LearnHubRefreshTokenTTL 3d
LearnHubTokenTTL 1h
LearnHubJWTIssuer others
LearnHubJWTAudience https://others.example
LearnHubBcryptCost 6
LearnHubLoginThrottle Off
LearnHubRevocationInterval 0
LearnHubMaxBody 4096
LearnHubMaxPhoto 5000
LearnHubCORS *
LearnHubPublicURL http://other.example
OVER
sub both { my ($see) = @_; return observed($hosts, $see) }
my @logins = map { log_in($hosts->{$_})->json } qw(base inherits overrides);
my @access = map { $_->{access_token} } @logins;
is_deeply([map { $_->{expires_in} } @logins], [90, 90, 7200], 'LearnHubAccessTokenTTL is expires_in');
is_deeply([map { life(claims($_)) } @access], [90, 90, 7200], 'and exp');
is_deeply([map { life(claims($_->{refresh_token})) } @logins], [900, 900, 3 * 86400], 'LearnHubRefreshTokenTTL is exp');
is_deeply([map { claims($_)->{iss} } @access], [qw(house house others)], 'LearnHubJWTIssuer is iss');
is_deeply([map { claims($_)->{aud} } @access], [('https://learn.example') x 2, 'https://others.example'],
    'LearnHubJWTAudience is aud');
is_deeply(both(sub { join ' ', map { me($_[0], $_) } @access }), ['200 200 401', '200 200 401', '401 401 200'],
    'each is checked where it is set');
is_deeply(both(sub { me($_[0]) }), [401, 401, 401], 'a token without aud is refused where one is set');
is(me(port(), $access[2]), 200, 'and tokens with both are good where neither is set');
is_deeply(both(sub { api(GET => '/api/sessions/', port => $_[0])->status }), [404, 404, 401], 'LearnHubAPI');
is_deeply(both(sub { api(GET => '/health', port => $_[0])->status }), [200, 200, 404], 'LearnHubPages: health');
is_deeply(both(sub { api(GET => '/', port => $_[0])->is_json ? 1 : 0 }), [0, 0, 0], 'LearnHubPages: index');
is_deeply(both(\&cost), ['$2y$05', '$2y$05', '$2y$06'], 'LearnHubBcryptCost');
is_deeply(both(\&allowed), ['https://one.example', 'https://one.example', '*'], 'LearnHubCORS');
is_deeply(both(sub { body_of($_[0], 2048) }), [401, 401, 401], 'LearnHubMaxBody: a body of this size is read');
is_deeply(both(sub { body_of($_[0], 2049) }), [413, 413, 401], 'and none above');
is(body_of($hosts->{overrides}, 4097), 413, 'the same of the other size');
my %token = (base => $access[0], inherits => $access[1], overrides => $access[2]);
for my $size (3000, 3001, 5000, 5001) {
    is_deeply([map { photo_of($hosts->{$_}, $size, $token{$_}) } qw(base inherits overrides)],
        [map { $size <= $_ ? 200 : 413 } 3000, 3000, 5000], "LearnHubMaxPhoto: a photo of $size bytes");
}
is_deeply([map { my $p = $_; my $t = $person->{token}; local $person->{token} = $token{$p}; next_url($hosts->{$p}) }
    qw(base inherits overrides)], ['https://learn.example/base', 'https://learn.example/base', 'http://other.example'],
    'LearnHubPublicURL begins the URLs of pages');

sub third_guess {
    my ($port) = @_;
    my %wrong = (username => unique('nobody'), password => 'a wrong guess');
    my $from = '127.0.1.' . ($port % 250 + 1);
    return (map { api(POST => '/users/login', form => \%wrong, port => $port, from => $from)->status } 1 .. 3)[-1];
}

is_deeply(both(\&third_guess), [429, 429, 401], 'LearnHubLoginThrottle');
my %opaque = map { my $port = $hosts->{$_}; $_ => api(POST => '/auth/token/login/', json => \%form, port => $port,
    from => '127.0.2.1')->json->{auth_token} } qw(base inherits overrides);
is_deeply([map { me($hosts->{base}, "Token $_") } values %opaque], [(200) x 3], 'opaque tokens work');
Time::HiRes::sleep(3.1);
is_deeply([map { me($hosts->{overrides}, "Token $opaque{$_}") } qw(base inherits overrides)], [401, 401, 200],
    'LearnHubTokenTTL: those of 2s have expired');
is(me(port(), "Token $opaque{base}"), 401, 'on the other node, too');
is(me($hosts->{base}, "Token $opaque{base}"), 401, 'and where it was known already');
api(POST => '/auth/token/logout/', token => "Token $opaque{overrides}");
is(me($hosts->{overrides}, "Token $opaque{overrides}"), 401, 'LearnHubRevocationInterval: 0 overrides 1h');
$hosts->{server}->stop;

my $secrets = hosts(qq(LearnHubJWTSecret "$jwt_secret"\nLearnHub On), qq(LearnHubJWTSecret kid=own "$thirty_two"));
is_deeply(observed($secrets, \&me), [200, 200, 401], 'LearnHubJWTSecret: an own one replaces those of the main server');
is(me($secrets->{overrides}, log_in($secrets->{overrides})->json->{access_token}), 200, 'and works');
$secrets->{server}->stop;
for my $way ([qw(On Off)], [qw(Off On)]) {
    my $servers = hosts(qq(LearnHubJWTSecret "$jwt_secret"\nLearnHub $way->[0]), "LearnHub $way->[1]");
    my $expected = $way->[0] eq 'On' ? [1, 1, 0] : [0, 0, 1];
    is_deeply(observed($servers, sub { api(GET => '/users/me', port => $_[0])->is_json ? 1 : 0 }), $expected,
        "LearnHub @$way");
    is_deeply(observed($servers, \&me), [map { $_ ? 200 : 404 } @$expected], 'where it is Off, httpd goes its own way');
    $servers->{server}->stop;
}

# ---- defaults ----

my $plain = second_httpd($on, bare => 1);
my $default = log_in($plain->port)->json;
is($default->{expires_in}, 86400, 'default: access tokens live for 24h');
is(life(claims($default->{refresh_token})), 7 * 86400, 'refresh tokens for 7d');
is(claims($default->{access_token})->{aud}, undef, 'no audience');
is(cost($plain->port), '$2y$10', 'bcrypt cost 10');
is(allowed($plain->port), 'none', 'no CORS');
is(body_of($plain->port, 1048577), 413, 'bodies up to 1 MiB');
isnt(body_of($plain->port, 1048576), 413, 'that is, including 1 MiB');
is(photo_of($plain->port, 2097152), 200, 'photos up to 2 MiB');
is(photo_of($plain->port, 2097153), 413, 'and no byte more');
my @guesses = map {
    my %wrong = (username => 'nobody-by-default', password => 'a wrong guess');
    api(POST => '/users/login', form => \%wrong, port => $plain->port, from => '127.0.3.1')->status
} 1 .. 11;
is_deeply(\@guesses, [(401) x 10, 429], 'ten failed logins');
is_deeply([map { api(GET => $_, port => $plain->port)->status } qw(/api/sessions/ /api/admin/users/ / /health)],
    [401, 401, 200, 200], 'all APIs and pages');
is(next_url($plain->port), 'http://127.0.0.1:' . $plain->port, 'URLs as the request came');
$plain->stop;
my $off = second_httpd('', bare => 1);
is(me($off->port), 404, 'and nothing is served without LearnHub On');
$off->stop;

# ---- deadlines ----

# What a request that needs $email's row meets while somebody else holds it: reply and seconds.
sub stuck {
    my ($port, $path, %with) = @_;
    my $began = Time::HiRes::time();
    my $reply = api($with{method} || 'GET', $path, port => $port, token => $person->{token}, %with);
    return ($reply, Time::HiRes::time() - $began);
}

sub is_unavailable {
    my ($reply, $seconds, $from, $to, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_refusal($reply, 'plain', 503, "$name: 503");
    like($reply->header('Retry-After') // '', qr/^[1-9]\d*$/, "$name: Retry-After");
    return ok($seconds > $from && $seconds < $to, "$name: in time") || diag("$seconds s");
}

expect_log(qr/the deadline passed, the outcome is unknown/); # where a host's own time ends before the connection's
expect_log(qr/57014|canceling statement/);
my $victim = signup();
my $row = '/api/admin/users/' . user($victim->{email})->{id} . '/';
my %change = (method => 'PATCH', json => { role => 'instructor' });
my $database = LearnHub::Test::database();
my $one_process = "StartServers 1\nServerLimit 1\nMaxRequestWorkers 32\nMaxSpareThreads 32\n";

sub lock_row {
    $database->begin_work;
    return sql('SELECT 1 FROM learnhub.users WHERE email = ? FOR UPDATE', $victim->{email});
}

my $limits = hosts("$on${one_process}LearnHubStatementTimeout 3s", 'LearnHubStatementTimeout 1s');
lock_row();
my @busy = parallel(12, sub { return (stuck($limits->{base}, $row, %change))[0]->status });
is_deeply(\@busy, [(503) x 12], 'many requests that wait for one row');
is_deeply([map { me($limits->{$_}) } qw(inherits overrides)], [200, 200], 'leave connections to the other hosts');
is_unavailable(stuck($limits->{overrides}, $row, %change), 0.7, 2.5, 'LearnHubStatementTimeout 1s');
is_unavailable(stuck($limits->{inherits}, $row, %change), 2.6, 5, 'LearnHubStatementTimeout 3s');
$database->rollback;
is_deeply(observed($limits, \&me), [200, 200, 200], 'afterwards all of them work');
$limits->{server}->stop;

my $single = second_httpd("${one_process}DBDKeep 1\nDBDMax 1\nLearnHubStatementTimeout 3s\nLearnHubConnectionWait 1s");
is(me($single->port), 200, 'one connection is enough');
lock_row();
my ($held, $waiting) = parallel(2, sub {
    my ($i) = @_;
    Time::HiRes::sleep(0.5 * $i);
    my ($reply, $seconds) = $i ? stuck($single->port, '/users/me') : stuck($single->port, $row, %change);
    return { status => $reply->status, seconds => $seconds, retry => $reply->header('Retry-After') };
});
$database->rollback;
is_deeply([$held->{status}, $waiting->{status}], [503, 503], 'while it is held, the next request waits for it in vain');
ok($waiting->{seconds} > 0.7 && $waiting->{seconds} < 2, 'LearnHubConnectionWait 1s') || diag("$waiting->{seconds} s");
like($waiting->{retry} // '', qr/^[1-9]\d*$/, 'with Retry-After');
my $done = eventually(sub { my ($reply) = stuck($single->port, $row, %change); $reply->status == 200 && $reply });
is($done && $done->json->{role}, 'instructor', 'afterwards it works');

done_testing;

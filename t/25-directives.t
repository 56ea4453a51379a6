# SPDX-License-Identifier: Apache-2.0
# Directives: the values that configtest accepts and rejects, their effect, inheritance by virtual hosts, and defaults.
# Names, forms and defaults are those of conf/learnhub.conf.
use strict;
use warnings;
use utf8;
use lib 't/lib';
use LearnHub::Account;
use LearnHub::Test;
use MIME::Base64 qw(decode_base64url);

my $logs = "$top/t/logs";
my $on = qq(LearnHub On\nLearnHubJWTSecret "$jwt_secret"\n);
my $fast = "LearnHubBcryptCost 4\nLearnHubLoginThrottle 1000/1m\n";
my $thirty_two = 'exactly 32 bytes make a fine key';
my $key = qq("$thirty_two");

sub file {
    my ($name, $content) = @_;
    open my $out, '>:raw', "$logs/$name" or die "$name: $!";
    print $out $content;
    close $out or die "$name: $!";
    return "$logs/$name";
}

sub line_of {
    my ($directive, $argument) = @_;
    return $argument eq '' ? "$directive without an argument" : "$directive $argument" =~ s/\n/; /gr;
}

# rejects(Directive => qr/allowed values/, arguments...): configtest fails for each argument, with a message that names
# the directive and the allowed values.
sub rejects {
    my ($directive, $like, @arguments) = @_;
    for my $argument (@arguments) {
        my ($status, $output) = configtest("$directive $argument", bare => 1);
        my ($message) = grep {/^(?!AH\d+:).*\b\Q$directive\E\b/} split /\n/, $output;
        local $Test::Builder::Level = $Test::Builder::Level + 1;
        my $rejected = $status != 0 && ($message // '') =~ $like
            && ($message // '') !~ /usage|takes (?:one|1) argument/i;
        ok($rejected, line_of($directive, $argument) . ': rejected, the message says what is allowed')
            || diag("exit $status: $output");
    }
    return;
}

sub accepts {
    my ($directive, @arguments) = @_;
    for my $argument (@arguments) {
        my ($status, $output) = configtest("$directive $argument", bare => 1);
        local $Test::Builder::Level = $Test::Builder::Level + 1;
        ok($status == 0 && $output =~ /Syntax OK/, line_of($directive, $argument) . ': accepted')
            || diag("exit $status: $output");
    }
    return;
}

# ---- values ----

my $time = qr/\b\d+[smhd]\b.*\b\d+[smhd]\b/;
my @invalid_times = ('', 'soon', '5x', '-5s', '1.5h', '24 h', '0x10s', '99999999999999999999d', '5s5');

subtest 'values of LearnHub, LearnHubAPI, LearnHubPages' => sub {
    rejects(LearnHub => qr/On.*Off/, '', 'maybe', '1', 'On Off');
    accepts(LearnHub => 'Off', 'off');
    rejects(LearnHubAPI => qr/all.*practice tutoring coding mentoring xp admin/, '', 'teaching', 'tutoring teaching',
        'tutoringx', 'tutor', '"tutoring xp"');
    accepts(LearnHubAPI => 'all', 'tutoring', 'practice tutoring coding mentoring xp admin', 'XP Tutoring');
    rejects(LearnHubPages => qr/all.*none.*index.*health.*openapi.*docs/, '', 'some', 'index elsewhere');
    accepts(LearnHubPages => 'all', 'none', 'index', 'health', 'index health', 'openapi', 'docs', 'docs openapi');
    rejects(LearnHubDocs => qr/Off or the directory|No such file/, '', '""', 'one two', '/nonexistent', $logs);
    accepts(LearnHubDocs => 'Off', 'off', "$top/build/docs");
    rejects(LearnHubPrefix => qr{path such as /learn}, '', '""', 'learn', '/learn/', '//', '//learn', '/learn//x',
        '/a b', '"/a b"', '/..', '/a/./b', '/a%20b', '/a?b', '/a#b', '/ä', 'http://a.example/learn', '/*');
    accepts(LearnHubPrefix => '/', '/learn', '/learn/v1.0', '/a-b_c~d/2');
};

subtest 'values of LearnHubSignupRoles' => sub {
    rejects(LearnHubSignupRoles => qr/student instructor/, '', 'admin', 'service', 'student admin', 'instructor all',
        'all', 'none', '"student instructor"', 'instructors');
    accepts(LearnHubSignupRoles => 'student', 'instructor', 'student instructor', 'Instructor Student');
};

subtest 'values of lifetimes and timeouts' => sub {
    for my $directive (qw(LearnHubAccessTokenTTL LearnHubRefreshTokenTTL)) {
        rejects($directive => $time, @invalid_times, '0', '0s');
        accepts($directive => '90s', '15m', '24h', '7d');
    }
    for my $directive (qw(LearnHubStatementTimeout LearnHubConnectionWait)) {
        rejects($directive => $time, @invalid_times, '0');
        accepts($directive => '1s', '5s', '1m');
    }
    rejects(LearnHubTokenTTL => $time, @invalid_times);
    accepts(LearnHubTokenTTL => '0', '90s', '30d');
    rejects(LearnHubRevocationInterval => $time, @invalid_times);
    accepts(LearnHubRevocationInterval => '0', '1s', '10s', '5m');
};

subtest 'values of LearnHubPreparedStatements' => sub {
    rejects(LearnHubPreparedStatements => qr/auto on off/, '', 'yes', '1', 'On Off', 'session');
    accepts(LearnHubPreparedStatements => 'Auto', 'On', 'Off', 'auto', 'OFF');
};

subtest 'values of LearnHubReadFrom, LearnHubReadLag' => sub {
    my $form = qr/Primary or a connection string.*db2\.example\.com/;
    rejects(LearnHubReadFrom => $form, '', '""', 'Off', 'host=a dbname=b', '"host=a nonsense=b"', '"dbname=learnhub"',
        '"host=\'a"');
    rejects(LearnHubReadFrom => qr/1 to 8 standbys/, '"host=1,2,3,4,5,6,7,8,9"', '"port=5432"');
    rejects(LearnHubReadFrom => qr/without a password; use passfile/, '"host=a password=secret"',
        'postgresql://u:secret@a/learnhub');
    for my $value ('postgresql://u:kiwi%plum@a/d', 'postgresql://u:kiwi/plum@a/d', '"host=a password=kiwi plum"') {
        my (undef, $output) = configtest("LearnHubReadFrom $value\n");
        ok($output =~ $form && $output !~ /kiwi|plum/, "no part of the password of $value is shown") || diag($output);
    }
    accepts(LearnHubReadFrom => 'Primary', 'primary', 'host=a', '"host=1,2,3,4,5,6,7,8"', '"hostaddr=127.0.0.1 port=1"',
        'postgresql://u@a/learnhub');
    rejects(LearnHubReadLag => $time, @invalid_times, '0', '61s', '2m');
    accepts(LearnHubReadLag => '100ms', '5s', '1m');
};

subtest 'values of issuer, audience, bcrypt cost and login throttle' => sub {
    for my $directive (qw(LearnHubJWTIssuer LearnHubJWTAudience)) {
        rejects($directive => qr/string/, '', '""', 'two words');
        accepts($directive => 'learn.example.com', '"two words"', 'https://learn.example/');
    }
    rejects(LearnHubBcryptCost => qr/\b4\b.*\b15\b/, '', '3', '16', 'ten', '10.5', '-4', '1e1', '4 5', '9' x 20);
    accepts(LearnHubBcryptCost => 4, 10, 15);
    rejects(LearnHubLoginThrottle => qr/Off.*10\/5m/, '', 'On', '10', '10/', '/5m', '0/5m', '-1/5m', '10/0', '10/soon',
        '10/5x', 'ten/5m', '10 5m', '10/5m/1', '10/5m 10', '10/5m Off', 'Off 10/5m', '10/5m 0/5m', '1/1m 1/1m 1/1m');
    accepts(LearnHubLoginThrottle => 'Off', 'off', '10/5m', '3/2s', '1/1h', '10/5m 200/1h', '10/5m 1/1s');
    rejects(LearnHubPasswordList => qr/\S/, '', '""', 'one two', '/nonexistent/list', '/etc', '/dev/null');
    accepts(LearnHubPasswordList => 'Off', 'off', "$top/LICENSE");
    rejects(LearnHubKeepAudit => $time, '', '0', '23h', '3651d', 'soon');
    accepts(LearnHubKeepAudit => '1d', '365d', '3650d');
    rejects(LearnHubIdempotencyTTL => $time, @invalid_times, '0', '59s', '31d');
    accepts(LearnHubIdempotencyTTL => '1m', '24h', '30d');
};

subtest 'values of size limits' => sub {
    my $range = qr/whole number.*\d+.*\d+/;
    rejects(LearnHubMaxBody => $range, '', '0', '-1', 'big', '1M', '1.5', '99999999999999999999');
    accepts(LearnHubMaxBody => 1048576, 65536);
    rejects(LearnHubMaxPhoto => $range, '', '0', '1023', '-1', 'big', '2M', '1.5', '67108865', '9' x 20);
    accepts(LearnHubMaxPhoto => 1024, 2097152, 67108864);
    rejects(LearnHubMaxDiagram => $range, '', '0', '1023', '-1', 'big', '2M', '67108865');
    accepts(LearnHubMaxDiagram => 1024, 8388608, 67108864);
    my $least = qr/LearnHubSpool: must be a whole number from 1048576/;
    rejects(LearnHubSpool => $least, '', '0', '1048575', '-1', 'big', '256M', '1099511627777');
    my $directory = qr/LearnHubSpool: must be BYTES \[DIRECTORY\], with a directory that exists/;
    rejects(LearnHubSpool => $directory, 'logs 268435456', '268435456 nowhere', '268435456 conf/base.conf',
        '268435456 logs logs');
    accepts(LearnHubSpool => 1048576, '268435456 logs', qq(1099511627776 "$top/t/logs"));
};

subtest 'values of LearnHubRate' => sub {
    my $all = qr{On, Off, or a class \(signup login mail search write read\).*search 600/1m 1200/1m.*1s to 1d};
    rejects(LearnHubRate => $all, '', 'Maybe', '10/1m', 'writes 10/1m', 'write', 'write On', 'write 10', 'write 10/',
        'write /1m', 'write 0/1m', 'write -1/1m', 'write 1.5/1m', 'write 1000001/1m', 'write 10/0', 'write 10/999ms',
        'write 10/2d', 'write 10/soon', 'write 10/1m 10', 'write 10/1m 100/0', 'write 10/1m 100/1m 1000/1m',
        'write Off 10/1m', 'write 10/1m Off', 'Off write', 'On 10/1m', 'signup 10/1m 100/1m', 'login 1/1m Off');
    accepts(LearnHubRate => 'On', 'off', 'write 10/1m', 'Write 1/1s 1000000/1d', 'signup 10/1m', 'login 1/5s',
        'read Off', "Off\nLearnHubRate search 10/1m\nLearnHubRate mail 1/1h 5/1h");
};

subtest 'values of LearnHubMeetingURL' => sub {
    rejects(LearnHubMeetingURL => qr/one %s/, '', 'https://meet.example.com', 'https://meet.example.com/%s/%s',
        'meet.example.com/%s', 'ftp://meet.example.com/%s', '"https://meet.example.com/a room/%s"',
        'https://meet.example.com/%s more');
    accepts(LearnHubMeetingURL => 'https://meet.example.com/%s', 'http://meet.example.com/?room=%s&lang=en');
};

subtest 'values of LearnHubCORS, LearnHubPublicURL, LearnHubPasswordResetURL' => sub {
    rejects(LearnHubCORS => qr{\*.*https?://}, '', 'app.example.com', 'https://', 'https://a.example/path',
        '* https://a.example', 'https://a.example *', 'ftp://a.example', '"https://a.example https://b.example"',
        'https://a.example?x');
    accepts(LearnHubCORS => '*', 'https://app.example.com', 'https://a.example http://localhost:3000');
    rejects(LearnHubPublicURL => qr{absolute URL.*https?://}, '', 'learn.example.com', '/learn', 'ftp://a.example',
        'https://', 'https:///x', 'https://learn.example.com/?x=1', 'https://learn.example.com/#x',
        '"https://learn example.com"', 'https://a.example https://b.example');
    accepts(LearnHubPublicURL => 'https://learn.example.com', 'http://localhost:8000/', 'https://example.com/learn');
    rejects(LearnHubPasswordResetURL => qr/URL with \{uid\} and \{token\}/, '', 'https://app.example/{uid}',
        'https://app.example/{token}', '/r/{uid}/{token}', 'ftp://a.example/{uid}/{token}',
        '"https://app.example/ {uid}/{token}"', 'https://a.example/{uid}{token} x');
    accepts(LearnHubPasswordResetURL => 'https://app.example/#/r?u={uid}&t={token}',
        'http://localhost:3000/{uid}/{token}');
    rejects(LearnHubActivationURL => qr/URL with \{uid\} and \{token\}/, '', 'https://app.example/{uid}',
        '/a/{uid}/{token}');
    accepts(LearnHubActivationURL => 'https://app.example/activate/{uid}/{token}');
};

subtest 'values of the mail directives' => sub {
    my $from = "\nLearnHubMailFrom learnhub\@example.com";
    rejects(LearnHubSMTP => qr{smtp://.*smtps://.*LearnHubSMTPAuth}, '', 'mail.example.com', 'smtp://', 'smtp://:25',
        'http://mail.example', 'smtp://mail.example/x', 'smtp://mail.example/', 'smtp://ada:secret@mail.example',
        'smtp://mail.example:0', 'smtp://mail.example:x', 'smtp://mail.example:99999', 'smtp://a smtp://b',
        'smtp://mail.example?x');
    accepts(LearnHubSMTP => map {"$_$from"} 'smtp://mail.example.com', 'smtp://127.0.0.1:2525',
        'smtps://mail.example.com:465', 'smtp://[::1]:25');
    rejects(LearnHubMailFrom => qr/e-mail address/, '', 'learnhub', 'learnhub@', '"Learn Hub <a@example.com>"',
        'a@example.com b@example.com');
    accepts(LearnHubMailFrom => 'learnhub@example.com');
    rejects(LearnHubSMTPSecurity => qr/required opportunistic/, '', 'none', 'Required Opportunistic', 'On');
    accepts(LearnHubSMTPSecurity => 'Required', 'opportunistic');
    my $smtp = "\nLearnHubSMTP smtp://mail.example.com$from";
    rejects(LearnHubVerifyEmail => qr/On.*Off/, '', 'maybe', 'On Off');
    accepts(LearnHubVerifyEmail => 'Off', "On$smtp");
    my ($status, $output) = configtest("${on}LearnHubVerifyEmail On", bare => 1);
    ok($status != 0 && $output =~ /LH0040: LearnHubVerifyEmail On requires LearnHubSMTP/,
        'LearnHubVerifyEmail On without LearnHubSMTP is rejected') || diag($output);
    rejects(LearnHubKeepMails => $time, @invalid_times, '0', '23h', '3651d');
    accepts(LearnHubKeepMails => '1d', '30d', '3650d');
    rejects(LearnHubMailTries => qr/whole number.*\b1\b.*\b100\b/, '', '0', '101', '-1', 'many');
    accepts(LearnHubMailTries => 1, 10, 100);
};

subtest 'values of the model directives' => sub {
    rejects(LearnHubModelURL => qr{absolute URL.*https?://}, '', 'model.example.com', 'ftp://a.example',
        '/v1/chat/completions', 'https://');
    accepts(LearnHubModelURL => 'https://model.example.com/v1/chat/completions',
        'http://127.0.0.1:11434/v1/chat/completions');
    rejects(LearnHubModelName => qr/string/, '', '""', 'two words');
    accepts(LearnHubModelName => 'small', '"two words"', 'vendor/small:1b');
    rejects(LearnHubModelTimeout => $time, @invalid_times, '0', '9ms', '61s');
    accepts(LearnHubModelTimeout => '10ms', '2s', '60s');
    rejects(LearnHubModelReviewTimeout => $time, @invalid_times, '0', '9ms', '301s');
    accepts(LearnHubModelReviewTimeout => '10ms', '30s', '5m');
};

subtest 'context' => sub {
    my ($status, $output) = configtest("<Location /x>\nLearnHub On\n</Location>", bare => 1);
    ok($status != 0 && $output =~ /LearnHub\b.*not allowed/, 'a directive inside <Location> is rejected')
        || diag($output);
};

# ---- secrets ----

local $ENV{LEARNHUB_T_SECRET} = $jwt_secret;
local $ENV{LEARNHUB_T_SHORT} = 'too short';
local $ENV{LEARNHUB_T_EMPTY} = '';
my $secret_file = file('secret', "$jwt_secret\n");

subtest 'values of LearnHubJWTSecret' => sub {
    rejects(LearnHubJWTSecret => qr/32 bytes/, '"' . substr($thirty_two, 1) . '"', '"env:LEARNHUB_T_SHORT"',
        '"exec:/bin/echo too short"', '"file:' . file('short', "too short\n$thirty_two\n") . '"',
        '"' . 'é' x 15 . '"');
    rejects(LearnHubJWTSecret => qr/\bfile\b.*nowhere|nowhere.*\bfile\b/, '"file:nowhere/at/all"', '"file:/nowhere"');
    rejects(LearnHubJWTSecret => qr/file|secret/, '"file:' . file('empty', '') . '"', qq("file:$logs"), 'file:');
    rejects(LearnHubJWTSecret => qr/LEARNHUB_T_\w+/, 'env:LEARNHUB_T_NOBODY', 'env:LEARNHUB_T_EMPTY');
    rejects(LearnHubJWTSecret => qr/command/, 'exec:/bin/false', 'exec:/nowhere/command', 'exec:');
    rejects(LearnHubJWTSecret => qr/file:.*exec:.*env:/, '', "kid=a $key more", "key=a $key", "$key kid=a");
    my $long = 'k' x 64;
    rejects(LearnHubJWTSecret => qr/\bid\b.*\b64\b/, "kid= $key", qq("kid=a b" $key), "kid=a/b $key",
        "kid=${long}k $key");
    accepts(LearnHubJWTSecret => $key, "kid=2026-11 $key", "kid=a.b_C $key", "kid=$long $key", 'env:LEARNHUB_T_SECRET',
        qq("file:$secret_file"), qq("exec:/bin/echo $jwt_secret"), qq(kid=e "exec:/bin/echo $jwt_secret"),
        '"' . 'é' x 16 . '"', qq(kid=a $key\nLearnHubJWTSecret kid=b "$jwt_secret"));
    rejects(LearnHubJWTSecret => qr/\bid\b.*\bsame\b/, qq(kid=a $key\nLearnHubJWTSecret kid=a "$jwt_secret"));
};

subtest 'sources of LearnHubJWTSecret' => sub {
    for my $source (qq("file:$secret_file"), 'env:LEARNHUB_T_SECRET', qq("exec:/bin/echo $jwt_secret")) {
        my ($kind) = $source =~ /(\w+:)/;
        my (undef, $output) = configtest("LearnHubJWTSecret $source", bare => 1);
        is(index($output, $jwt_secret), -1, "configtest does not print a secret of $kind");
        my $server = second_httpd("LearnHub On\nLearnHubJWTSecret $source", bare => 1);
        is(get_me(signup(), port => $server->port)->status, 200, "a secret of $kind verifies tokens");
        $server->stop;
    }
};

subtest 'values of LearnHubSMTPAuth and LearnHubModelKey' => sub {
    rejects(LearnHubSMTPAuth => qr/user.*file:.*exec:.*env:/, '', 'ada', 'ada file:x more', qq("" "x"));
    rejects(LearnHubSMTPAuth => qr/\bfile\b.*nowhere/, 'ada "file:nowhere/at/all"');
    rejects(LearnHubSMTPAuth => qr/LEARNHUB_T_NOBODY/, 'ada env:LEARNHUB_T_NOBODY');
    accepts(LearnHubSMTPAuth => qq(ada "file:$secret_file"), 'ada env:LEARNHUB_T_SECRET',
        'ada "exec:/bin/echo a secret"', 'ada secret');
    rejects(LearnHubModelKey => qr/file:.*exec:.*env:/, '', '""', 'two words');
    rejects(LearnHubModelKey => qr/nowhere|nobody/i, 'file:nowhere/at/all', 'exec:/nowhere/command',
        'env:LEARNHUB_T_NOBODY');
    accepts(LearnHubModelKey => 'sk-1', 'env:LEARNHUB_T_SECRET', qq("file:$secret_file"),
        qq("exec:/bin/echo $jwt_secret"));
};

# ---- required directives ----

subtest 'directives that require another directive or module' => sub {
    my ($status, $output) = configtest('LearnHub On', bare => 1);
    ok($status != 0 && $output =~ /LH0040: .*LearnHubJWTSecret/, 'LearnHub On requires LearnHubJWTSecret')
        || diag($output);
    ok(!eval { second_httpd('LearnHub On', bare => 1) }, 'httpd does not start without LearnHubJWTSecret');
    like($@, qr/LH0040: .*LearnHubJWTSecret/, 'httpd names the missing LearnHubJWTSecret when it does not start');
    ($status, $output) = configtest("${on}LearnHubModelURL http://127.0.0.1/", bare => 1);
    ok($status != 0 && $output =~ /LH0040: .*LearnHubModelName/, 'LearnHubModelURL requires LearnHubModelName')
        || diag($output);
    my $host = "Listen 1\n<VirtualHost *:1>\nLearnHub On\n</VirtualHost>";
    ($status, $output) = configtest($host, bare => 1);
    ok($status != 0 && $output =~ /LH0040: .*LearnHubJWTSecret/,
        'LearnHub On in a virtual host requires LearnHubJWTSecret') || diag($output);
    is((configtest($host))[0], 0, 'a virtual host inherits LearnHubJWTSecret from the main server');

    open my $conf, '<', "$top/t/conf/base.conf" or die "base.conf: $!";
    my $without_dbd = join '', grep { !/^(?:DBD|LoadModule dbd_module)/ } <$conf>;
    ($status, $output) = configtest($without_dbd . $on, alone => 1);
    ok($status != 0 && $output =~ /LH0040: .*mod_dbd/, 'LearnHub On requires mod_dbd') || diag($output);
    is(scalar(() = $output =~ /LH0040: /g), 1, 'the missing mod_dbd is reported once') || diag($output);
    is((configtest($without_dbd, alone => 1))[0], 0, 'mod_dbd is not required without LearnHub On');
};

# ---- virtual hosts ----

my @names = qw(base inherits overrides);

# Starts one httpd with three servers and returns their ports: the main server has $base_lines, "overrides" adds $over,
# and "inherits" adds one directive without effect, because httpd merges nothing for a host without directives.
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

# observed($hosts, sub { my ($port) = @_; ... }): the results of the sub at the three servers.
sub observed { my ($hosts, $observe) = @_; return [map { $observe->($hosts->{$_}) } @names] }

my $admin = signup(role => 'admin');
my @login = @$admin{qw(email password)};

sub claims { my ($token) = @_; return JSON::XS::decode_json(decode_base64url((split /\./, $token)[1])) }

# Logs in from an address without failed logins.
sub log_in_at { my ($port) = @_; return log_in(@login, port => $port, from => '127.0.2.1')->json }

sub lifetime { my ($token) = @_; my $claims = claims($token); return $claims->{exp} - $claims->{iat} }

# The status of GET /users/me, by default with the token of the main test server.
sub status_at { my ($port, $token) = @_; return get_me($token // $admin, port => $port)->status }

# The prefix of the bcrypt hash of a password set at this port: algorithm and cost.
sub bcrypt_at {
    my ($port) = @_;
    my %new = (first_name => 'New', last_name => 'Person', email => unique('new') . '@example.com');
    my $reply = api(POST => '/users/signup', port => $port, json => { %new, password => 'a good password' });
    $reply->status == 201 or die $reply->summary;
    my ($prefix) = user($new{email})->{password_hash} =~ /^(\$2\w\$\d\d)/;
    return $prefix;
}

sub allowed_origin_at {
    my ($port) = @_;
    my $reply = api(GET => '/users/me', port => $port, headers => { Origin => 'https://one.example' });
    return $reply->header('Access-Control-Allow-Origin') // 'none';
}

# The URL of a list's next page up to /api.
sub url_base_at {
    my ($port, $token) = @_;
    my $list = api(GET => '/api/admin/users/?page_size=1&q=example.com', port => $port, token => $token);
    return $list->json->{next} =~ s{(/api/.*)}{}r;
}

sub status_of_body {
    my ($port, $size) = @_;
    return api(PATCH => '/auth/users/me/', port => $port, json => { x => 'x' x ($size - 8) })->status;
}

sub status_of_photo {
    my ($port, $size, $token) = @_;
    my $gif = "GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;";
    return api(PATCH => '/myprofile/', port => $port, token => $token,
        multipart => [profile_photo => [undef, 'p.gif', Content => $gif . 'x' x ($size - length $gif)]])->status;
}

# An auto-save without a token: the size is checked before the token.
sub status_of_diagram {
    my ($port, $size) = @_;
    return api(PUT => '/sessions/' . '0' x 24 . '/autosave', port => $port, json => { x => 'x' x ($size - 8) })->status;
}

sub status_of_third_guess {
    my ($port) = @_;
    my $from = '127.0.1.' . ($port % 250 + 1);
    my $name = unique('nobody');
    return (map { log_in($name, 'a wrong guess', port => $port, from => $from)->status } 1 .. 3)[-1];
}

# The role of a new account that asks for the role instructor.
sub role_at {
    my ($port) = @_;
    my $name = unique('role');
    my %password = (password => 'a good password', confirm_password => 'a good password');
    my %new = (username => $name, email => "$name\@example.com", role => 'instructor', %password);
    return api(POST => '/api/auth/register/', port => $port, json => \%new)->json->{user}{role};
}

my $hosts = hosts(<<"BASE", <<'OVER');
$on
LearnHubAPI admin mentoring practice
LearnHubPages health
LearnHubAccessTokenTTL 90s
LearnHubRefreshTokenTTL 15m
LearnHubTokenTTL 2s
LearnHubJWTIssuer main
LearnHubJWTAudience https://learn.example
LearnHubBcryptCost 5
LearnHubLoginThrottle 2/1m
LearnHubRevocationInterval 1h
LearnHubMaxBody 2048
LearnHubMaxPhoto 3000
LearnHubMaxDiagram 6000
LearnHubCORS https://one.example https://two.example
LearnHubPublicURL https://learn.example/base/
BASE
LearnHubAPI tutoring admin mentoring practice
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
LearnHubMaxDiagram 7000
LearnHubCORS *
LearnHubPublicURL http://other.example
OVER
my @logins = @{ observed($hosts, \&log_in_at) };
my @access = map { $_->{access_token} } @logins;
my %access;
@access{@names} = @access;

subtest 'virtual hosts: JWT lifetimes, issuer and audience' => sub {
    is_deeply([map { $_->{expires_in} } @logins], [90, 90, 7200], 'LearnHubAccessTokenTTL sets expires_in');
    is_deeply([map { lifetime($_) } @access], [90, 90, 7200], 'LearnHubAccessTokenTTL sets exp of access tokens');
    is_deeply([map { lifetime($_->{refresh_token}) } @logins], [900, 900, 3 * 86400],
        'LearnHubRefreshTokenTTL sets exp of refresh tokens');
    is_deeply([map { claims($_)->{iss} } @access], [qw(main main others)], 'LearnHubJWTIssuer sets iss');
    is_deeply([map { claims($_)->{aud} } @access], [('https://learn.example') x 2, 'https://others.example'],
        'LearnHubJWTAudience sets aud');
    is_deeply(observed($hosts, sub { join ' ', map { status_at($_[0], $_) } @access }),
        ['200 200 401', '200 200 401', '401 401 200'], 'each server rejects tokens of another issuer and audience');
    is_deeply(observed($hosts, \&status_at), [401, 401, 401],
        'a token without aud is rejected where LearnHubJWTAudience is set');
    is(status_at(port(), $access[2]), 401, 'a token of another issuer is rejected where none is configured');
};

subtest 'virtual hosts: APIs, pages, bcrypt cost, CORS, URLs' => sub {
    is_deeply(observed($hosts, sub { api(GET => '/api/sessions/', port => $_[0])->status }), [404, 404, 401],
        'LearnHubAPI sets which APIs a server serves');
    is_deeply(observed($hosts, sub { api(GET => '/health', port => $_[0])->status }), [200, 200, 404],
        'LearnHubPages sets where /health is served');
    is_deeply(observed($hosts, sub { api(GET => '/', port => $_[0])->is_json ? 1 : 0 }), [0, 0, 0],
        'LearnHubPages without index does not serve /');
    is_deeply(observed($hosts, \&bcrypt_at), ['$2y$05', '$2y$05', '$2y$06'],
        'LearnHubBcryptCost sets the cost of password hashes');
    is_deeply(observed($hosts, \&allowed_origin_at), ['https://one.example', 'https://one.example', '*'],
        'LearnHubCORS sets the allowed origins');
    is_deeply([map { url_base_at($hosts->{$_}, $access{$_}) } @names],
        ['https://learn.example/base', 'https://learn.example/base', 'http://other.example'],
        'LearnHubPublicURL sets the start of page URLs');
};

subtest 'virtual hosts: size limits' => sub {
    is_deeply(observed($hosts, sub { status_of_body($_[0], 2048) }), [401, 401, 401],
        'LearnHubMaxBody 2048 and 4096: a body of 2048 bytes is read');
    is_deeply(observed($hosts, sub { status_of_body($_[0], 2049) }), [413, 413, 401],
        'LearnHubMaxBody 2048 rejects a body of 2049 bytes, 4096 does not');
    is(status_of_body($hosts->{overrides}, 4097), 413, 'LearnHubMaxBody 4096 rejects a body of 4097 bytes');
    is_deeply(observed($hosts, sub { status_of_diagram($_[0], 6001) }), [413, 413, 401],
        'LearnHubMaxDiagram 6000 rejects an auto-save of 6001 bytes, 7000 does not');
    is(status_of_diagram($hosts->{overrides}, 7001), 413, 'LearnHubMaxDiagram 7000 rejects an auto-save of 7001 bytes');
    for my $size (3000, 3001, 5000, 5001) {
        is_deeply([map { status_of_photo($hosts->{$_}, $size, $access{$_}) } @names],
            [map { $size <= $_ ? 200 : 413 } 3000, 3000, 5000],
            "LearnHubMaxPhoto 3000 and 5000 reject a photo of $size bytes only above their limit");
    }
};

subtest 'virtual hosts: login throttle, opaque tokens' => sub {
    is_deeply(observed($hosts, \&status_of_third_guess), [429, 429, 401],
        'LearnHubLoginThrottle 2/1m rejects the third wrong password, Off does not');
    my %opaque = map {
        $_ => 'Token ' . token_login(@login, port => $hosts->{$_}, from => '127.0.2.1')->json->{auth_token}
    } @names;
    is_deeply([map { status_at($hosts->{base}, $_) } values %opaque], [(200) x 3],
        'opaque tokens of all three servers are accepted');
    Time::HiRes::sleep(3.1);
    is_deeply([map { status_at($hosts->{overrides}, $opaque{$_}) } @names], [401, 401, 200],
        'LearnHubTokenTTL 2s: opaque tokens have expired after 3 seconds, those of 1h have not');
    is(status_at(port(), $opaque{base}), 401, 'an expired opaque token is rejected by another node');
    is(status_at($hosts->{base}, $opaque{base}), 401,
        'an expired opaque token is rejected by the server that accepted it before');
    api(POST => '/auth/token/logout/', token => $opaque{overrides});
    is(status_at($hosts->{overrides}, $opaque{overrides}), 401,
        'LearnHubRevocationInterval 0 overrides 1h: a token that another node revoked is rejected at once');
};
$hosts->{server}->stop;

subtest 'virtual hosts: LearnHubSignupRoles' => sub {
    my $roles = hosts("$on${fast}LearnHubSignupRoles Instructor", 'LearnHubSignupRoles student');
    is_deeply(observed($roles, \&role_at), [qw(instructor instructor student)],
        'LearnHubSignupRoles sets the roles that are granted at sign-up');
    $roles->{server}->stop;
};

subtest 'virtual hosts: LearnHubJWTSecret, LearnHub On and Off' => sub {
    my $secrets = hosts(qq(LearnHubJWTSecret "$jwt_secret"\nLearnHub On), "LearnHubJWTSecret kid=own $key");
    is_deeply(observed($secrets, \&status_at), [200, 200, 401],
        "a virtual host's LearnHubJWTSecret replaces the secrets of the main server");
    is(status_at($secrets->{overrides}, log_in_at($secrets->{overrides})->{access_token}), 200,
        "a virtual host accepts tokens of its own LearnHubJWTSecret");
    $secrets->{server}->stop;
    for my $values ([qw(On Off)], [qw(Off On)]) {
        my ($main, $host) = @$values;
        my $servers = hosts(qq(LearnHubJWTSecret "$jwt_secret"\nLearnHub $main), "LearnHub $host");
        my $expected = $main eq 'On' ? [1, 1, 0] : [0, 0, 1];
        is_deeply(observed($servers, sub { api(GET => '/users/me', port => $_[0])->is_json ? 1 : 0 }), $expected,
            "LearnHub $main, $host in a virtual host: only servers with On return JSON errors");
        is_deeply(observed($servers, \&status_at), [map { $_ ? 200 : 404 } @$expected],
            "LearnHub $main, $host in a virtual host: only servers with On serve requests");
        $servers->{server}->stop;
    }
};

subtest 'defaults' => sub {
    my $server = second_httpd($on, bare => 1);
    my $port = $server->port;
    my $login = log_in_at($port);
    is($login->{expires_in}, 86400, 'LearnHubAccessTokenTTL is 24h by default');
    is(lifetime($login->{refresh_token}), 7 * 86400, 'LearnHubRefreshTokenTTL is 7d by default');
    is(claims($login->{access_token})->{aud}, undef, 'tokens have no aud by default');
    is(role_at($port), 'student', 'LearnHubSignupRoles is student by default');
    is(bcrypt_at($port), '$2y$10', 'LearnHubBcryptCost is 10 by default');
    is(allowed_origin_at($port), 'none', 'LearnHubCORS is off by default');
    is(status_of_body($port, 1048577), 413, 'LearnHubMaxBody is 1 MiB by default: one byte more is rejected');
    isnt(status_of_body($port, 1048576), 413, 'LearnHubMaxBody is 1 MiB by default: exactly 1 MiB is read');
    is(status_of_photo($port, 8388608, $admin->{token}), 200,
        'LearnHubMaxPhoto is 8 MiB by default: exactly 8 MiB are accepted');
    is(status_of_photo($port, 8388609, $admin->{token}), 413,
        'LearnHubMaxPhoto is 8 MiB by default: one byte more is rejected');
    is(status_of_diagram($port, 8388608), 401, 'LearnHubMaxDiagram is 8 MiB by default: exactly 8 MiB are read');
    is(status_of_diagram($port, 8388609), 413, 'LearnHubMaxDiagram is 8 MiB by default: one byte more is rejected');
    my %from = (port => $port, from => '127.0.3.1');
    my @guesses = map { log_in('nobody-by-default', 'a wrong guess', %from)->status } 1 .. 11;
    is_deeply(\@guesses, [(401) x 10, 429], 'LearnHubLoginThrottle allows ten failed logins by default');
    is_deeply([map { api(GET => $_, port => $port)->status } qw(/api/sessions/ /api/admin/users/ / /health)],
        [401, 401, 200, 200], 'all APIs and pages are served by default');
    is(url_base_at($port, $admin->{token}), "http://127.0.0.1:$port",
        'page URLs start with the requested host by default');
    $server->stop;
    my $off = second_httpd('', bare => 1);
    is(status_at($off->port), 404, 'LearnHub is Off by default');
    $off->stop;
};

# ---- timeouts ----

expect_log(qr/LH0004: /); # a host's timeout that is shorter than the connection's
expect_log(qr/57014|canceling statement/);
my $user = signup();
my $change_user = '/api/admin/users/' . user($user->{email})->{id} . '/';
my %change = (method => 'PATCH', json => { role => 'instructor' });
my $one_process = "StartServers 1\nServerLimit 1\nMaxRequestWorkers 32\nMaxSpareThreads 32\n";

# Locks the user's row until database()->rollback.
sub lock_user {
    database()->begin_work;
    return sql('SELECT 1 FROM learnhub.users WHERE email = ? FOR UPDATE', $user->{email});
}

# The reply to a request and its duration in seconds.
sub timed {
    my ($port, $path, %with) = @_;
    my $start = Time::HiRes::time();
    my $reply = api($with{method} || 'GET', $path, port => $port, token => $admin->{token}, %with);
    return ($reply, Time::HiRes::time() - $start);
}

# Checks that a request returns 503 after $from to $to seconds. On a busy machine it may take longer, but not each time.
sub is_timeout {
    my ($port, $from, $to, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $seconds;
    for (1 .. 3) {
        (my $reply, $seconds) = timed($port, $change_user, %change);
        is_error($reply, 'detail', 503, "$name: a request for a locked row returns 503");
        like($reply->header('Retry-After') // '', qr/^[1-9]\d*$/, "$name: the 503 has Retry-After");
        last if $seconds < $to;
    }
    return ok($seconds > $from && $seconds < $to, "$name: the 503 comes after $from to $to seconds")
        || diag("$seconds s");
}

subtest 'LearnHubStatementTimeout' => sub {
    my $limits = hosts("$on${one_process}LearnHubStatementTimeout 3s", 'LearnHubStatementTimeout 1s');
    lock_user();
    my @statuses = parallel 12, sub { return (timed($limits->{base}, $change_user, %change))[0]->status };
    is_deeply(\@statuses, [(503) x 12], 'twelve requests for a locked row return 503');
    is_deeply([map { status_at($limits->{$_}) } qw(inherits overrides)], [200, 200],
        'twelve requests that wait for a lock leave connections to other hosts');
    is_timeout($limits->{overrides}, 0.7, 2.5, 'LearnHubStatementTimeout 1s');
    is_timeout($limits->{inherits}, 2.6, 5, 'LearnHubStatementTimeout 3s');
    database()->rollback;
    is_deeply(observed($limits, \&status_at), [200, 200, 200], 'after statement timeouts all hosts serve requests');
    $limits->{server}->stop;
};

subtest 'LearnHubConnectionWait' => sub {
    my $server = second_httpd($one_process
            . "DBDKeep 1\nDBDMax 1\nLearnHubStatementTimeout 6s\nLearnHubConnectionWait 1s");
    my $port = $server->port;
    is(status_at($port), 200, 'a pool of one connection serves requests');
    lock_user();
    my $blocked = 'SELECT 1 FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0';
    my ($holding, $waiting) = parallel 2, sub {
        my ($i) = @_;
        eventually(sub { sql($blocked) }) if $i;
        my ($reply, $seconds) = $i ? timed($port, '/auth/users/me/') : timed($port, $change_user, %change);
        return { status => $reply->status, seconds => $seconds, retry => $reply->header('Retry-After') };
    };
    database()->rollback;
    is_deeply([$holding->{status}, $waiting->{status}], [503, 503],
        'the request with the only connection and the one that waits for it return 503');
    ok($waiting->{seconds} > 0.7 && $waiting->{seconds} < 3,
        'LearnHubConnectionWait 1s limits the wait for a connection')
        || diag("$waiting->{seconds} s");
    like($waiting->{retry} // '', qr/^[1-9]\d*$/, 'the 503 after LearnHubConnectionWait has Retry-After');
    my $done = eventually(sub { my ($reply) = timed($port, $change_user, %change); $reply->status == 200 && $reply });
    is($done && $done->json->{role}, 'instructor', 'the connection serves requests after the lock is released');
};

done_testing;

# SPDX-License-Identifier: Apache-2.0
# One host for APIs and other content: LearnHubPrefix, requests that mod_rewrite and mod_proxy take, and the virtual
# hosts of conf/OPERATING.md for front ends on the same host, as they are printed there.
use strict;
use warnings;
use lib 't/lib';
use File::Path qw(make_path);
use LearnHub::Account;
use LearnHub::Test;

my $www = "$top/t/logs/www-$$";
chomp(my $folder = `apxs -q libexecdir`);
my $modules = join '', map {"LoadModule ${_}_module \"$folder/mod_$_.so\"\n"}
    qw(alias dir headers mime proxy proxy_http rewrite);
my $on = qq(${modules}TypesConfig /etc/mime.types\nLearnHub On\nLearnHubJWTSecret "$jwt_secret"\n)
    . "LearnHubBcryptCost 4\nLearnHubLoginThrottle 1000/1m\n";
my %html = (Accept => 'text/html,application/xhtml+xml,*/*;q=0.8');

# A folder with a page that contains only its name, and a script.
sub site {
    my ($name) = @_;
    make_path("$www/$name");
    for my $file (qw(index.html app.js)) {
        open my $out, '>', "$www/$name/$file" or die "$file: $!";
        print $out "$file of $name";
        close $out or die "$file: $!";
    }
    return "$www/$name";
}

# Starts a server with a virtual host for each of the blocks; returns the server and the ports.
sub hosts {
    my (@blocks) = @_;
    my @ports = map { LearnHub::Server->free_port } @blocks;
    my $conf = join '', map { "Listen $_\n<VirtualHost *:$_>\n" . shift(@blocks) . "\n</VirtualHost>\n" } @ports;
    return (second_httpd($on . $conf, bare => 1), @ports);
}

# A server that returns the page of a folder for every path but those of files.
sub backend {
    my ($name) = @_;
    my $directives = 'DocumentRoot ' . site($name) . "\nFallbackResource /index.html\n";
    return second_httpd("${on}LearnHub Off\n$directives", bare => 1);
}

# The path of a URL of the server at this port; undef for other URLs.
sub path_of {
    my ($url, $port) = @_;
    return ($url // '') =~ m{^http://127\.0\.0\.1:\Q$port\E(/.*)} ? $1 : undef;
}

# The body of a page, as the address bar requests it.
sub page { my ($path, $port) = @_; return api(GET => $path, port => $port, headers => \%html)->body }

my $teacher = signup(role => 'instructor');
my %session = (title => 'T', description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 5);
api_as($teacher, POST => '/api/sessions/', json => \%session) for 1 .. 3;
my $gif = "GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;";

my $picture = [undef, 'p.gif', Content => $gif];

# Sets the teacher's photo and returns its URL.
sub photo {
    my ($prefix, $port) = @_;
    my $reply = api_as($teacher, PATCH => "$prefix/myprofile/", port => $port,
        multipart => [profile_photo => $picture]);
    return $reply->json->{profile_photo};
}

# Checks that the address bar gets all kinds of pictures.
sub has_pictures {
    my ($prefix, $port) = @_;
    my $photo = photo($prefix, $port);
    my $activity = api_as($teacher, POST => "$prefix/api/activities/", port => $port,
        multipart => [activity => 'hiking', duration => '01:00:00', verification_proof => $picture]);
    my $profile = api_as($teacher, GET => "$prefix/api/profiles/me/", port => $port);
    my %url = (
        'myprofile' => $photo,
        'api/activities' => $activity->json->{data}{verification_proof},
        'api/profiles' => $profile->json->{data}{profile_pic},
    );
    for my $folder (sort keys %url) {
        my $path = path_of($url{$folder}, $port) // '';
        like($path, qr{^\Q$prefix/$folder\E/photos/}, "the URL of a picture below $prefix/$folder");
        is(api(GET => $path, port => $port, headers => \%html)->body, $gif, "$prefix/$folder/photos/ can be opened");
    }
    return;
}

subtest 'LearnHubPrefix' => sub {
    my ($server, $a, $b, $none, $fixed) = hosts(
        'LearnHubPrefix /learn', "LearnHubPrefix /v1.0/api\nLearnHubAPI tutoring\nLearnHubPages index",
        'LearnHubPrefix /', "LearnHubPrefix /learn\nLearnHubPublicURL https://learn.example.com/");
    for ([$a, '/learn'], [$b, '/v1.0/api'], [$none, '']) {
        my ($port, $prefix) = @$_;
        is(api_as($teacher, GET => "$prefix/users/me", port => $port)->status, 200, "$prefix/users/me is served");
        my $list = api_as($teacher, GET => "$prefix/api/sessions/?page_size=1&x=y", port => $port)->json;
        my $next = path_of($list->{next}, $port);
        is($next, "$prefix/api/sessions/?page_size=1&x=y&page=2", "next of $prefix/api/sessions/ has the prefix");
        is(api_as($teacher, GET => $next, port => $port)->json->{results}[0]{title}, 'T', "next of $prefix is served");
        is(api(GET => "$prefix/", port => $port)->json->{links}{users}, "$prefix/users",
            "GET $prefix/ lists the paths");
        is_error(api(GET => "$prefix/api/sessions/none/x", port => $port), 'flat', 404,
            "errors below $prefix have the error format of the API");
        is_error(api(POST => "$prefix/users/me", port => $port), 'located', 405, "405 below $prefix");
    }
    is(api(GET => '/learn', port => $a)->json->{name}, 'mod_learnhub', 'the index is served without a slash as well');
    is(api(GET => '/learn/health', port => $a)->status, 200, '/learn/health is served');
    unlike(api(GET => $_, port => $a)->header('Content-Type'), qr/json/, "LearnHubPrefix /learn leaves $_ to httpd")
        for qw(/users/me / /health /learnx/users/me /Learn/users/me);
    is_error(api(GET => "/learn$_", port => $a), 'detail', 404, "/learn$_ is not found")
        for qw(/x /api/courses/ /health/x);
    is_error(api(GET => '/v1.0/api/health', port => $b), 'detail', 404,
        'LearnHubPages selects the pages below the prefix');
    is_error(api(GET => '/v1.0/api/problems/', port => $b), 'detail', 404,
        'LearnHubAPI selects the APIs below the prefix');
    is(api(GET => '/learn/health/', port => $a)->status, 200, '/learn/health/ is served');
    my $photo = path_of(photo('/learn', $a), $a);
    like($photo, qr{^/learn/myprofile/photos/}, 'the URL of a photo has the prefix');
    is(api(GET => $photo, port => $a)->body, $gif, 'the URL of a photo is served');
    like(photo('/learn', $fixed), qr{^https://learn\.example\.com/learn/myprofile/photos/},
        'LearnHubPublicURL precedes the prefix');
    api(POST => '/learn/auth/users/reset_password/', port => $fixed, json => { email => $teacher->{email} });
    post_links();
    my ($mail) = sql('SELECT body FROM learnhub.outbox WHERE to_address = ? ORDER BY id DESC LIMIT 1',
        $teacher->{email});
    like($mail->{body}, qr{https://learn\.example\.com/learn/password/reset/confirm/},
        'the link in a mail has the prefix');
    is_error(api(GET => '/learn/users/a%2Fb', port => $a), 'located', 404, 'an encoded slash below the prefix is 404');
    $server->stop;
};

subtest 'requests that mod_rewrite and mod_proxy take' => sub {
    my $root = site('rewritten');
    my $backend = backend('backend');
    my $dead = LearnHub::Server->free_port;
    my ($server, $port) = hosts(<<"HOST");
DocumentRoot $root
LearnHubCORS *
ErrorDocument 404 "our own page"
RewriteEngine On
RewriteRule ^/auth\$ /index.html [L]
RewriteRule ^/auth/missing\$ /missing.html [L]
RewriteRule ^/sessions/proxied\$ http://127.0.0.1:@{[$backend->port]}/app.js [P,L]
RewriteRule ^/sessions/dead\$ http://127.0.0.1:$dead/ [P,L]
RewriteRule ^/users/login\$ /index.html [PT]
RewriteRule ^/users/old\$ /users/me [PT]
RewriteRule ^/users/moved\$ /users/me [R=302,L]
RewriteRule ^/users/closed\$ - [F]
RewriteRule ^/users/gone\$ - [G]
ProxyPass /users/ http://127.0.0.1:@{[$backend->port]}/
ProxyPass /other/ http://127.0.0.1:@{[$backend->port]}/
RewriteCond %{REQUEST_URI} !^/(auth|sessions|users|problems|other|none)
RewriteRule ^/(.*)\$ http://127.0.0.1:@{[$backend->port]}/\$1 [P]
<Location /users/denied>
Require all denied
</Location>
<Location /problems/proxied>
RewriteRule . http://127.0.0.1:@{[$backend->port]}/app.js [P]
</Location>
HOST
    is(api(GET => '/auth', port => $port)->body, 'index.html of rewritten', 'RewriteRule [L] to a file serves it');
    is(api(GET => '/auth', port => $port, headers => { Origin => 'https://a.example' })
            ->header('Access-Control-Allow-Origin'), undef, 'a file that is served instead has no CORS headers');
    my $missing = api(GET => '/auth/missing', port => $port);
    is_deeply([$missing->status, $missing->body], [404, 'our own page'],
        'RewriteRule [L] to a missing file: 404 with the ErrorDocument of the virtual host');
    is(api(GET => '/sessions/proxied', port => $port)->body, 'app.js of backend', 'RewriteRule [P] is applied');
    my $unreachable = api(GET => '/sessions/dead', port => $port);
    is($unreachable->status, 503, 'RewriteRule [P] to a backend that is down: 503');
    like($unreachable->header('Content-Type'), qr{text/html}, "this 503 is httpd's own page");
    is(api(GET => '/problems/proxied', port => $port)->body, 'app.js of backend',
        'RewriteRule [P] in a Location proxies the request');
    is_error(api(GET => $_, port => $port), 'located', /denied/ ? 403 : 404,
        "an error of httpd for $_ is not proxied") for '/users/denied', '/users/a%2Fb';
    is(api(GET => '/users/login', port => $port)->body, 'index.html of rewritten', 'RewriteRule [PT] to a file');
    is(api_as($teacher, GET => '/users/old', port => $port)->status, 200, 'RewriteRule [PT] to a path of an API');
    is(path_of(api(GET => '/users/moved', port => $port)->header('Location'), $port), '/users/me', 'RewriteRule [R]');
    is_error(api(GET => '/users/closed', port => $port), 'located', 403, 'RewriteRule [F]: 403 in the error format');
    is_error(api(GET => '/users/gone', port => $port), 'located', 410, 'RewriteRule [G]: 410 in the error format');
    is_error(api(GET => '/users/me', port => $port), 'located', 401, "ProxyPass does not apply to the module's paths");
    is(api(GET => '/other/app.js', port => $port)->body, 'app.js of backend', 'ProxyPass applies to other paths');
    is_error(api(GET => '/sessions/none', port => $port), 'located', 404, 'other paths of the APIs are served');
    $_->stop for $server, $backend;
};

# ---- the virtual hosts of conf/OPERATING.md ----

# The configuration below a heading, with the paths and ports of this test.
sub recipe {
    my ($heading, $backend) = @_;
    open my $in, '<', "$top/conf/OPERATING.md" or die "OPERATING.md: $!";
    my $text = do { local $/; <$in> };
    my ($block) = $text =~ /^### \Q$heading\E\n(?:(?!    |#).*\n)+((?:    .*\n)+)/m or die "no recipe '$heading'";
    $block =~ s/^    //mg;
    $block =~ s{/var/www/(\w+)}{site($1)}ge;
    $block =~ s{127\.0\.0\.1:3000}{127.0.0.1:$backend}g if $backend;
    return $block;
}

# Checks that the APIs work below a prefix, beside the front end.
sub is_served {
    my ($prefix, $port, $name) = @_;
    subtest $name => sub {
        my %script = (port => $port, headers => { Accept => 'application/json, */*' });
        is_error(api(GET => "$prefix/users/me", %script), 'located', 401, 'accounts are served');
        is(api_as($teacher, GET => "$prefix/api/sessions/?page_size=1", %script)->status, 200, 'an API is served');
        is_error(api(GET => "$prefix/api/sessions/none/x", %script), 'flat', 404, 'unknown paths of an API are 404');
        is(api(GET => "$prefix/health", port => $port, headers => \%html)->json->{status}, 'healthy',
            'the address bar gets /health');
        my $login = api(POST => "$prefix/users/login", %script,
            form => { username => $teacher->{email}, password => $teacher->{password} });
        is($login->status, 200, 'logins are served');
    };
    return;
}

my @pages = qw(/ /auth /auth/login /users/register /sessions/12 /problems /deep/link);

subtest 'A single-page application, APIs below a prefix' => sub {
    my ($server, $port) = hosts(recipe('A single-page application, APIs below a prefix'));
    is(page($_, $port), 'index.html of app', "$_ is a page of the application") for @pages;
    is(page('/app.js', $port), 'app.js of app', 'files are served');
    is_served('/learn', $port, 'the APIs');
    has_pictures('/learn', $port);
    $server->stop;
};

subtest 'A single-page application, APIs at their own paths' => sub {
    my ($server, $port) = hosts(recipe('A single-page application, APIs at their own paths'));
    like(api(GET => '/problems/', port => $port)->header('Vary'), qr/\bAccept\b/, 'responses of APIs vary by Accept');
    is(page($_, $port), 'index.html of app', "$_ is a page of the application") for @pages;
    is(page('/app.js', $port), 'app.js of app', 'files are served');
    is_served('', $port, 'the APIs');
    has_pictures('', $port);
    $server->stop;
};

subtest 'A Next.js server behind ProxyPass' => sub {
    my $backend = backend('next');
    my ($server, $port) = hosts(recipe('A Next.js server behind ProxyPass', $backend->port));
    is(page($_, $port), 'index.html of next', "$_ is a page of the Next.js server") for @pages;
    is(api(GET => '/app.js', port => $port)->body, 'app.js of next', 'files come from the Next.js server');
    is(api(GET => '/auth/login', port => $port, headers => { RSC => 1, Accept => '*/*' })->body, 'index.html of next',
        'requests of the router go to the Next.js server');
    is(api(GET => '/sessions', port => $port)->body, 'index.html of next',
        'paths of APIs that LearnHubAPI does not select go to the Next.js server');
    is_served('', $port, 'the APIs');
    $_->stop for $server, $backend;
};

subtest 'Five front ends' => sub {
    my ($server, $port) = hosts(recipe('Five front ends'));
    for my $name (qw(practice tutoring coding mentoring xp)) {
        is(page("/$name/$_", $port), "index.html of $name", "/$name/$_ is a page of $name")
            for '', 'auth', 'users/login/x';
        is(page("/$name/app.js", $port), "app.js of $name", "files of $name are served");
    }
    is(page('/', $port), 'index.html of start', '/ is the start page');
    is_served('/learn', $port, 'the APIs');
    $server->stop;
};

done_testing;

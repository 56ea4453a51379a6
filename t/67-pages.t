# SPDX-License-Identifier: Apache-2.0
# The pages for people: the start page and its negotiation, /docs with and without the files of LearnHubDocs, the plain
# page, and the headers that limit what a browser does with them.
use strict;
use warnings;

use Fcntl qw(O_NONBLOCK O_WRONLY);
use LearnHub::Routes;
use LearnHub::Test;
use POSIX ();

my $browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8';
my $files = "$top/build/docs";
my $renderer = second_httpd("LearnHubDocs $files\n");
my $prefixed = second_httpd("LearnHubDocs $files\nLearnHubPrefix /learn\nLearnHubCORS https://a.example\n");
my $few = second_httpd("LearnHubAPI tutoring\nLearnHubPages index docs\nLearnHubDocs $files\n");

# A page, as a browser requests it.
sub page {
    my ($path, %with) = @_;
    my %headers = (Accept => $browser, %{ delete $with{headers} || {} });
    return api(($with{method} || 'GET') => $path, %with, headers => \%headers);
}

# The names of the files of /docs on a server, with the path.
sub assets {
    my (%with) = @_;
    return page('/docs', %with)->body =~ m{(?:src|href)="([^"]*/docs/[0-9a-f]{16}-[^"]+)"}g;
}

# The sources that a Content-Security-Policy allows: {directive => 'sources'}.
sub policy {
    my ($reply) = @_;
    return { map { /^(\S+) ?(.*)/ ? ($1 => $2) : () } split /; */, $reply->header('Content-Security-Policy') // '' };
}

# Tags in HTML that are not closed, or closed in another order.
sub unbalanced {
    my ($html) = @_;
    my (@open, @wrong);
    $html =~ s{<style>.*?</style>}{}s;
    while ($html =~ m{<(/?)([a-z]\w*)(?:\s+[a-z-]+(?:="[^"<>]*")?)*>}g) {
        next if $2 =~ /^(?:meta|link)$/;
        if (!$1) { push @open, $2 }
        elsif (($open[-1] // '') eq $2) { pop @open }
        else { push @wrong, $2 }
    }
    return (@open, @wrong, $html =~ /<(?![a-z\/!])/g, $html =~ /&(?!amp;|lt;|gt;|quot;|#39;)/g);
}

subtest 'GET / returns the start page to browsers, and JSON to all others' => sub {
    my %accept = (
        $browser => 'html',
        'text/html' => 'html',
        'TEXT/HTML; charset=utf-8' => 'html',
        'application/json;q=0.5, text/html;q=0.6' => 'html',
        'text/*' => 'html',
        'application/json;q=0, */*' => 'html',
        '*/*' => 'json',
        'application/json' => 'json',
        'application/json, text/html' => 'json',
        'text/html;q=0.5, application/json' => 'json',
        'text/html;q=0' => 'json',
        'text/html;q=x' => 'json',
        'text/htmlx, xtext/html' => 'json',
        'image/png' => 'json',
        ',;q=1,' => 'json',
    );
    for my $accept (sort keys %accept) {
        my $reply = api(GET => '/', headers => { Accept => $accept });
        my ($type) = $reply->header('Content-Type') =~ m{^\w+/(\w+)};
        is_deeply([$reply->status, $type], [200, $accept{$accept}], "Accept: $accept returns $accept{$accept}");
        like($reply->header('Vary') // '', qr/\bAccept\b/, "... and varies by Accept");
    }
    is_deeply(keys_of(api(GET => '/')->json), [qw(links name version)], 'without Accept, JSON');
};

subtest 'the start page' => sub {
    my $start = page('/');
    my ($version) = api(GET => '/health')->json->{version};
    like($start->body, qr/Version \Q$version\E</, 'it shows the version');
    like($start->body, qr/>Healthy</, 'it shows that the database is reachable');
    like($start->body, qr{<a href="\Q$_\E">}, "it links to $_") for qw(/docs /openapi.json /health);
    like($start->body, qr{<strong>$_</strong>}, "it lists the API $_")
        for qw(accounts practice tutoring coding mentoring xp admin);
    like($start->body, qr{/docs</a>: the descriptions of the APIs<}, 'without LearnHubDocs, /docs is for reading');
    like(page('/', port => $renderer->port)->body, qr{/docs</a>: read and try}, 'with it, also for calls');
    is_deeply([unbalanced($start->body)], [], 'its HTML is well-formed');
    my $etag = $start->header('ETag');
    is(page('/', headers => { 'If-None-Match' => $etag })->status, 304, 'it is not sent again while it is the same');
    is(api(GET => '/', headers => { 'If-None-Match' => $etag })->status, 200, 'its tag is not that of the JSON');
    my $head = page('/', method => 'HEAD');
    is_deeply([$head->header('Content-Length'), $head->body], [length $start->body, ''], 'HEAD returns its headers');
    is_deeply(policy($start), {
            'default-src' => q('none'), 'base-uri' => q('none'), 'form-action' => q('none'),
            'frame-ancestors' => q('none'), 'img-src' => 'data:',
            'style-src' => policy($start)->{'style-src'} =~ /^('sha256-[\w+\/]{43}=')$/ ? $1 : '?'
        },
        'its policy allows its own stylesheet only'
    );
    is_deeply([map { $start->header($_) } qw(X-Content-Type-Options Referrer-Policy Cache-Control)],
        [qw(nosniff no-referrer no-cache)], 'further headers');
};

subtest 'the start page of a part of the APIs, and without a database' => sub {
    my $start = page('/', port => $few->port)->body;
    unlike($start, qr{<strong>(?:practice|xp|admin)</strong>}, 'it does not list APIs that are switched off');
    like($start, qr{<strong>tutoring</strong>.*/docs/plain#group-tutoring-sessions"}s, 'it links those that are on');
    unlike($start, qr{healthy|/health|openapi}i, 'nor pages that are switched off, nor the state');
    my $down = second_httpd('DBDParams "host=/nonexistent dbname=none connect_timeout=2"');
    expect_log(qr/LH\d{4}|AH00632|could not connect|connection to server/);
    my $reply = page('/', port => $down->port);
    is($reply->status, 200, 'without a database it is shown');
    like($reply->body, qr{>Unhealthy</strong>: the database is not reachable}, '... with the state');
};

subtest 'the plain page describes every route that is served' => sub {
    my $plain = page('/docs');
    is($plain->header('Content-Type'), 'text/html; charset=utf-8', 'without LearnHubDocs, /docs is HTML');
    is($plain->body, page('/docs/plain')->body, '... and the plain page');
    is_deeply([unbalanced($plain->body)], [], 'its HTML is well-formed');
    unlike($plain->body, qr/<script|<link[^>]*stylesheet|\son\w+=|javascript:/i, 'it needs no script and no file');
    is(policy($plain)->{'script-src'} // 'none', 'none', '... and its policy allows none');
    my @routes = grep { $_->{name} } @{ LearnHub::Routes::table()->{routes} };
    my @missing = grep { $plain->body !~ /<article id="\Q$_->{name}\E">/ } @routes;
    is_deeply([map { $_->{name} } @missing], [], 'every route has an article');
    my ($create) = $plain->body =~ m{(<article id="tutoring.create">.*?</article>)}s;
    like($create, $_, "tutoring.create: $_") for qr{POST /api/sessions/</code>}, qr{instructors, admins},
        qr{<code>title</code></dt><dd>string, required, 1 to 200 characters}, qr{Response: 201},
        qr{<code>max_participants</code></dt><dd>integer, required, 2 to 20}, qr{<code>creator.id</code>};
    my ($join) = $plain->body =~ m{(<article id="tutoring.join">.*?</article>)}s;
    like($join, $_, "tutoring.join: $_") for qr{<code>id</code></dt><dd>integer}, qr{<li>400: };
    my %id = map { $_ => 1 } $plain->body =~ / id="([^"]+)"/g;
    my @links = $plain->body =~ /href="#([^"]+)"/g;
    is_deeply([grep { !$id{$_} } @links], [], 'the table of contents leads to places of the page');
    is(scalar(() = $plain->body =~ / id="/g), scalar keys %id, 'every id is there once');
    my $part = page('/docs/plain', port => $few->port)->body;
    like($part, qr/id="tutoring.create"/, 'with LearnHubAPI tutoring, it has tutoring');
    unlike($part, qr/id="xp\.|openapi\.json/, '... and nothing that is switched off');
    is(page('/docs', headers => { 'If-None-Match' => $plain->header('ETag') })->status, 304, 'it has an entity tag');
    is(page('/docs', method => 'HEAD')->header('Content-Length'), length $plain->body, 'HEAD has its length');
    is_error(api(POST => '/docs'), 'detail', 405);
};

subtest '/docs with the files of LearnHubDocs' => sub {
    my %at = (port => $renderer->port);
    my $docs = page('/docs', %at);
    my @assets = assets(%at);
    is_deeply([map {s{^/docs/[0-9a-f]{16}-}{}r} @assets], [qw(swagger-ui.css docs.css swagger-ui-bundle.js docs.js)],
        'the page loads these files');
    my %policy = %{ policy($docs) };
    is_deeply([@policy{qw(default-src script-src style-src connect-src base-uri form-action frame-ancestors)}],
        [q('none'), (q('self')) x 3, (q('none')) x 3], 'its policy allows its own files and the API only');
    unlike($docs->header('Content-Security-Policy'), qr/unsafe|\*|http/, '... and nothing else');
    unlike($docs->body =~ s{<script src="[^"]+" defer></script>}{}gr, qr/<script|<style|\sstyle=|\son\w+=/,
        'it has no script and no style in the page');
    like($docs->body, qr{<noscript>.*href="/docs/plain"}s, 'without scripts, it links to the plain page');
    is_deeply([unbalanced($docs->body)], [], 'its HTML is well-formed');
    for my $path (@assets) {
        my $file = api(GET => $path, %at);
        my $type = $path =~ /css$/ ? 'text/css; charset=utf-8' : 'text/javascript; charset=utf-8';
        is_deeply([$file->status, $file->header('Content-Type')], [200, $type], "$path has its media type");
        is($file->body, contents($path =~ s/.*-(?=swagger|docs)|.*[0-9a-f]-//r), '... and the bytes of the file');
        is($file->header('Cache-Control'), 'public, max-age=31536000, immutable', '... is kept for ever');
        is($file->header('X-Content-Type-Options'), 'nosniff', '... and not guessed');
        my $again = api(GET => $path, %at, headers => { 'If-None-Match' => $file->header('ETag') });
        is_deeply([$again->status, $again->body], [304, ''], '... is not sent again');
    }
    like(page('/docs/plain', %at)->body, qr/<article/, 'the plain page is there as well');
    like(page('/docs', port => $few->port)->body, qr/<article/, 'without /openapi.json, /docs is the plain page');
};

sub contents {
    my ($name) = @_;
    open my $in, '<:raw', "$files/" . ($name =~ /^bundle/ ? "swagger-ui-$name" : $name) or return "no $name: $!";
    local $/;
    return scalar <$in>;
}

subtest 'no other file is served' => sub {
    my %at = (port => $renderer->port);
    my ($known) = grep {/docs\.js$/} assets(%at);
    my ($version) = $known =~ m{/([0-9a-f]{16})-};
    for my $path (
        map({"/docs/$version-$_"} qw(version LICENSE docs.js~ DOCS.JS docs .. ../docs.js %2e%2e%2fdocs.js docs.js%00)),
        '/docs/docs.js', "/docs/$version", "/docs/$version-", '/docs/0000000000000000-docs.js',
        '/docs/..%2f..%2fetc/passwd',
        '/docs/../../../../etc/passwd', "/docs/$version-/../../package.json", '/docs//etc/passwd',
        "/docs/$version/docs.js"
    ) {
        my $reply = raw_http("GET $path HTTP/1.0\r\nHost: x\r\n\r\n", %at);
        like($reply, qr{^HTTP/1.1 (?:404|400) }, "GET $path is rejected");
        unlike($reply, qr/root:|Swagger|dependencies/, '... without a content');
    }
    is_error(api(GET => $known), 'detail', 404, 'nor without LearnHubDocs');
};

subtest 'below LearnHubPrefix, with CORS, and switched off' => sub {
    my %at = (port => $prefixed->port);
    is_deeply([grep { !m{^/learn/docs/} } assets(%at, path => '/learn')], [], 'no file outside of the prefix');
    my $docs = page('/learn/docs', %at);
    my @assets = $docs->body =~ m{(?:src|href)="([^"]+-[^"]+)"}g;
    is(scalar(grep { api(GET => $_, %at)->status == 200 } @assets), 4, 'the files are served below the prefix');
    like($docs->body, qr{data-base="/learn"}, 'the script gets the prefix');
    for my $path ('/learn', '/learn/', '/learn/docs/plain') {
        my @links = grep {/^[^#d]/} page($path, %at)->body =~ /href="([^"]*)"/g;
        is_deeply([grep { !m{^/learn/} } @links], [], "the links of $path are below the prefix");
    }
    is($docs->header('Access-Control-Allow-Origin'), undef, 'a page has no CORS headers without an origin');
    is(page('/learn/docs', %at, headers => { Origin => 'https://a.example' })->header('Access-Control-Allow-Origin'),
        'https://a.example', 'CORS is as for other paths');
    like(page('/learn', %at)->header('Vary'), qr/Accept.*Origin|Origin.*Accept/, 'the start page varies by both');
    my $off = second_httpd("LearnHubPages health\nLearnHubDocs $files\n");
    unlike(page($_, port => $off->port)->body, qr/mod_learnhub|swagger/i, "$_ is left to httpd when it is switched off")
        for '/', '/docs', '/docs/plain', assets(port => $renderer->port);
};

# A proxy forwards https://learn.example.com/base/ to the server.
subtest 'below the path of LearnHubPublicURL' => sub {
    my $url = 'https://learn.example.com/base/';
    my $behind = second_httpd("LearnHubDocs $files\nLearnHubPrefix /learn\nLearnHubPublicURL $url\n");
    my %at = (port => $behind->port);
    for my $path ('/learn', '/learn/docs', '/learn/docs/plain') {
        my @links = grep {/^[^#d]/} page($path, %at)->body =~ /(?:href|src)="([^"]*)"/g;
        cmp_ok(scalar @links, '>', 0, "$path has links");
        is_deeply([grep { !m{^/base/learn/} } @links], [], "the links of $path are below it");
    }
    like(page('/learn/docs', %at)->body, qr{data-base="/base/learn"}, 'the script gets the path');
    my $links = api(GET => '/learn', %at)->json->{links};
    is_deeply([grep { !m{^/base/learn/} } values %$links], [], 'the links for programs are below it');
};

# configtest(); if it waits for the writer of a FIFO for 30 seconds, it gets one, and the output is another one.
sub configtest_in_time {
    my ($directives, $fifo) = @_;
    my $late = '';
    local $SIG{ALRM} = sub { $late = 'it hangs: '; sysopen my $writer, $fifo, O_WRONLY | O_NONBLOCK };
    alarm 30;
    my ($status, $output) = configtest($directives);
    alarm 0;
    return ($status, "$late$output");
}

subtest 'LearnHubDocs' => sub {
    my $broken = "$top/t/logs/docs";
    mkdir $broken;
    for my $name (qw(swagger-ui.css docs.css swagger-ui-bundle.js docs.js)) {
        my ($status, $output) = configtest("LearnHubDocs $broken\n");
        ok($status && $output =~ /LearnHubDocs: .*\Q$name\E: No such file/, "configtest names the missing $name")
            || diag($output);
        open my $out, '>', "$broken/$name" or die $!;
        print $out $name eq 'docs.js' ? "a\0b" : 'x';
        close $out or die $!;
    }
    like((configtest("LearnHubDocs $broken\n"))[1], qr/docs\.js: must be a text file/, 'a file with a zero byte');
    truncate "$broken/docs.js", 0;
    like((configtest("LearnHubDocs $broken\n"))[1], qr/docs\.js: must be a file of 1 byte to 8 MB/, 'an empty file');
    truncate "$broken/docs.js", 8 * 1024 * 1024 + 1;
    like((configtest("LearnHubDocs $broken\n"))[1], qr/docs\.js: must be a file of 1 byte to 8 MB/, 'a long file');
    my %special = (
        'a directory' => [qr/must be a file of 1 byte to 8 MB/, sub { mkdir $_[0] }],
        'a FIFO' => [qr/must be a file of 1 byte to 8 MB/, sub { POSIX::mkfifo($_[0], 0600) }],
        'a device' => [qr/must be a file of 1 byte to 8 MB/, sub { symlink '/dev/zero', $_[0] }],
        'a link to itself' => [qr/Too many levels of symbolic links/, sub { symlink $_[0], $_[0] }],
    );
    for my $name (sort keys %special) {
        my ($sentence, $make) = @{ $special{$name} };
        rmdir "$broken/docs.js" || unlink "$broken/docs.js";
        $make->("$broken/docs.js") or die "$name: $!";
        my ($status, $output) = configtest_in_time("LearnHubDocs $broken\n", "$broken/docs.js");
        isnt($status, 0, "$name is rejected");
        like($output, qr{^(?!it hangs).*LearnHubDocs: \Q$broken\E/docs\.js: $sentence}s, '... with a sentence');
    }
    isnt((configtest('LearnHubDocs'))[0], 0, 'no argument');
    my $hosts = second_httpd(<<"DIRECTIVES");
LearnHubDocs $files
<VirtualHost *:*>
    ServerName off.example
    LearnHubDocs Off
</VirtualHost>
<VirtualHost *:*>
    ServerName inherits.example
</VirtualHost>
DIRECTIVES
    my %body = map { $_ => page('/docs', port => $hosts->port, headers => { Host => "$_.example" })->body }
        qw(off inherits);
    like($body{off}, qr/<article/, 'Off in a virtual host is the plain page');
    like($body{inherits}, qr/docs\.js/, 'a virtual host inherits the directory');
};

done_testing;

# SPDX-License-Identifier: Apache-2.0
# HTTP/2 with mod_http2, h2c and TLS: the same responses as HTTP/1.1. Clients that reset streams leave nothing behind.
use strict;
use warnings;

use LearnHub::Cases;
use LearnHub::Http2;
use LearnHub::Ledger;
use LearnHub::Routes;
use LearnHub::Slow;
use LearnHub::Stream;
use LearnHub::Test;

my ($modules) = do { local (@ARGV, $/) = "$top/t/conf/base.conf"; <> } =~ m{"(/\S+)/mod_mpm_event\.so"};
my $files = "$top/t/logs/http2-$$";
system('openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost '
        . "-keyout '$files.key' -out '$files.crt' 2>'$files.log'") == 0 or die 'openssl';
my $tls = LearnHub::Server->free_port;
my $server = second_httpd(node_directives(<<"CONF"));
LoadModule http2_module "$modules/mod_http2.so"
LoadModule socache_shmcb_module "$modules/mod_socache_shmcb.so"
LoadModule ssl_module "$modules/mod_ssl.so"
Protocols h2 h2c http/1.1
LearnHubLoginThrottle Off
Listen $tls
<VirtualHost *:$tls>
    SSLEngine On
    SSLCertificateFile "$files.crt"
    SSLCertificateKeyFile "$files.key"
</VirtualHost>
CONF
my %plain = (port => $server->port);
my $author = signup();
my $mine = '/sessions/user/my-sessions';

# A request by curl: {status, version, type, body}.
sub curl {
    my ($method, $url, %with) = @_;
    my @command = ('curl', '-sk', '--max-time', 60, '-X', $method, '-o', "$files.body", '-w',
        '%{http_code} %{http_version} %{content_type}', @{ $with{options} || [] });
    my $body = exists $with{json} ? JSON::XS->new->utf8->canonical->encode($with{json}) : $with{body};
    $body = LearnHub::Test::request(POST => '/', %with)->content if $with{form} || $with{multipart};
    if (defined $body) {
        open my $out, '>:raw', "$files.sent" or die $!;
        print $out $body;
        close $out or die $!;
        my $type = LearnHub::Test::request(POST => '/', %with)->header('Content-Type') // 'application/json';
        push @command, '--data-binary', "\@$files.sent", '-H', "Content-Type: $type";
    }
    my $token = $with{token};
    push @command, '-H', 'Authorization: ' . ($token =~ / / ? $token : "Bearer $token") if defined $token;
    unlink "$files.body";
    open my $in, '-|', @command, $url or die "curl: $!";
    my ($status, $version, $type) = split / /, do { local $/; <$in> // '' }, 3;
    close $in;
    my $content = -e "$files.body" ? do { local (@ARGV, $/) = "$files.body"; <> } : '';
    return { status => $status, version => $version, type => $type, body => $content // '' };
}

sub h2c { my ($method, $path, %with) = @_; return curl($method, "http://127.0.0.1:$plain{port}$path", %with,
        options => ['--http2-prior-knowledge']) }

sub h2 { my ($method, $path, %with) = @_; return curl($method, "https://127.0.0.1:$tls$path", %with,
        options => ['--http2']) }

# The form of a JSON value: its keys and types, without what differs from object to object.
sub form_of {
    my ($value) = @_;
    return { map { $_ => form_of($value->{$_}) } keys %$value } if ref $value eq 'HASH';
    return [@$value ? form_of($value->[0]) : ()] if ref $value eq 'ARRAY';
    return JSON::XS::is_bool($value) ? 'boolean' : defined $value ? 'value' : undef;
}

# Waits until no thread but that of the status page is busy, and no connection to the database is in use.
sub comes_to_rest {
    my ($name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok(stays_busy($server, 1), "$name: no thread stays busy");
    ok(eventually(sub { !busy_connections('mod_learnhub') }), "$name: no database connection stays in use");
    return is_deeply(sizes(), [], "$name: no file of the spool is left");
}

sub sizes { eventually(sub { !spool_files($server) }); return [map { $_->[1] } spool_files($server)] }

my @children;
eventually(sub { (@children = children_of($server)) == 2 }) or die "not two children: @children";

subtest 'the same responses as HTTP/1.1' => sub {
    create_callers();
    my @routes = @{ LearnHub::Routes::table()->{routes} };
    my $step = long() ? 1 : 5;
    my (%count, @differ);
    for my $route (@routes[grep { $_ % $step == 0 } 0 .. $#routes]) {
        my ($id, %with) = case_of($route);
        my ($method, $query) = ($route->{method}, delete $with{query});
        my $path = path_of($route, $id);
        my $old = api($method => $path, %with, $query ? (query => $query) : (), %plain);
        ($id, %with) = case_of($route);
        $query = delete $with{query};
        $path = path_of($route, $id) . ($query ? '?' . join '&', map {"$_=$query->{$_}"} keys %$query : '');
        my $new = ++$count{all} % 4 ? h2c($method, $path, %with) : h2($method, $path, %with);
        my $json = eval { JSON::XS->new->utf8->allow_nonref->decode($new->{body}) };
        my @old = ($old->status, $old->header('Content-Type') // '', form_of($old->json));
        my @new = (@$new{qw(status type)}, form_of($json));
        $count{$method}++;
        $count{2}++ if $new->{version} eq '2';
        my $canonical = JSON::XS->new->canonical->allow_nonref;
        push @differ, "$route->{name}: " . $canonical->encode(\@old) . ' and ' . $canonical->encode(\@new)

            if $canonical->encode(\@old) ne $canonical->encode(\@new);
    }
    is_deeply(\@differ, [], "$count{all} calls of $count{all} routes have the same status, type and form");
    is($count{2}, $count{all}, 'all by HTTP/2');
    cmp_ok($count{POST}, '>=', 4, 'writes are among them');
};

subtest 'long responses and bodies' => sub {
    fill($author, 10, long() ? 1000 : 300);
    my $list = api_as($author, GET => $mine, %plain)->body;
    for my $case ([h2c => \&h2c], [h2 => \&h2]) {
        my ($name, $call) = @$case;
        my $new = $call->(GET => $mine, token => $author->{token});
        is("$new->{status} " . length $new->{body}, '200 ' . length $list, "$name: status and length of a list");
        ok($new->{body} eq $list, "$name: equal byte for byte");
        my %problem = (title => 'T', difficulty => 'easy', description => 'D');
        my $large = JSON::XS::encode_json({ %problem, hints => [('x' x 9_900) x 50] });
        my $padded = $large . ' ' x (1_000_000 - length $large);
        is($call->(POST => '/problems/', token => $author->{token}, body => $padded)->{status},
            api_as($author, POST => '/problems/', body => $padded, %plain,
                headers => { 'Content-Type' => 'application/json' })->status, "$name: a body of 1 MB");
    }
    my $client = LearnHub::Http2->connect($server->port);
    my @streams = map { $client->request(GET => '/users/me', token => $author->{token}) } 1 .. 50;
    is(scalar(grep { $_->{status} == 200 && $_->{body} =~ /\Q$author->{email}\E/ } $client->responses(@streams)), 50,
        '50 requests at once on one connection');
    my @long = (POST => '/problems/', token => $author->{token}, headers => { 'content-length' => 3_000_000 });
    my ($refused) = $client->responses($client->request(@long, body => 'x' x 20_000, open => 1));
    is_deeply([@$refused{qw(status reset)}, $refused->{body} =~ /at most/ ? 1 : 0], [413, 0, 1],
        'a body that is too long gets 413 and the end of its stream, before it has arrived');
};

my $rounds = long() ? 24 : 4;

subtest 'streams reset in the middle of a response' => sub {
    for my $round (1 .. $rounds) {
        my $client = LearnHub::Http2->connect($server->port, window => 20_000);
        my @streams = map { $client->request(GET => $mine, token => $author->{token}) } 1 .. 10;
        my $begun = sub { scalar grep { length $_->{body} } values %{ $client->{streams} } };
        $client->receive($round % 2 ? sub { $begun->() >= 2 } : $begun, 10);
        $client->send_bytes(join '', map { LearnHub::Http2::reset_frame($_) } @streams);
        my $next = $client->request(GET => '/users/me', token => $author->{token});
        my ($response) = $round % 4 == 3 ? { status => 200 } : $client->responses($next);
        is($response->{status}, 200, 'the connection serves another request') if !$client->{closed} && $round % 4 != 3;
    }
    comes_to_rest('resets in a response');
};

subtest 'streams reset in the middle of a body' => sub {
    my $title = unique('reset');
    my $body = JSON::XS::encode_json({ title => $title, description => 'D', difficulty => 'easy' }) . ' ' x 9000;
    for my $round (1 .. $rounds) {
        my $client = LearnHub::Http2->connect($server->port);
        my %headers = ('content-length' => length $body);
        my @request = (POST => '/problems/', token => $author->{token}, headers => \%headers);
        my @streams = map { $client->request(@request, body => substr($body, 0, 4000 + 5 * $_), open => 1) } 1 .. 10;
        $client->receive(sub {0}, 0.1) if $round % 2;
        $client->send_bytes(join '', map { LearnHub::Http2::reset_frame($_) } @streams);
        $client->receive(sub {0}, 0.1);
    }
    comes_to_rest('resets in a body');
    is((sql('SELECT count(*) AS n FROM learnhub.problems WHERE title = ?', $title))[0]{n}, 0, 'nothing is created');
    my %type = ('Content-Type' => 'application/json');
    my $reply = api_as($author, POST => '/problems/', body => $body, headers => \%type, %plain);
    is($reply->status, 201, 'the account has all shares again');
};

subtest 'rapid reset' => sub {
    my $title = unique('rapid');
    my %json = (description => 'D', difficulty => 'easy');
    my ($sent, $refused) = (0, 0);
    for my $round (1 .. (long() ? 8 : 3)) {
        my $client = LearnHub::Http2->connect($server->port);
        my $bytes = '';
        for my $n (1 .. 1000) {
            my ($frames, $stream) = $n % 2 ? $client->request_frames(GET => '/problems/?limit=5')
                : $client->request_frames(POST => '/problems/', token => $author->{token},
                body => JSON::XS::encode_json({ %json, title => "$title-$round-$n" }));
            $bytes .= $frames . LearnHub::Http2::reset_frame($stream);
            $sent++;
            if (length $bytes > 30_000) { $client->send_bytes($bytes) or last; $bytes = '' }
        }
        $client->receive(sub { $client->{closed} || $client->{goaway} }, 1);
        $refused++ if $client->{closed} || $client->{goaway};
    }
    comes_to_rest('rapid reset');
    my ($row) = sql(q(SELECT count(*) AS n, count(*) FILTER (WHERE description <> 'D' OR difficulty <> 'easy') AS half
        FROM learnhub.problems WHERE title LIKE ?), "$title-%");
    diag("rapid reset: $sent requests on 1,000 streams of each connection, $row->{n} changes executed, "
            . "$refused connections ended by the server");
    is($row->{half}, 0, 'what was created is complete');
    my ($doubled) = sql('SELECT title FROM learnhub.problems WHERE title LIKE ? GROUP BY 1 HAVING count(*) > 1',
        "$title-%");
    is($doubled, undef, 'and created once');
};

subtest 'afterwards' => sub {
    my $client = LearnHub::Http2->connect($server->port);
    my $title = unique('many');
    my %json = (description => 'D', difficulty => 'easy');
    my @streams = map { $client->request(POST => '/problems/', token => $author->{token},
            body => JSON::XS::encode_json({ %json, title => "$title-$_" })) } 1 .. 80;
    is(scalar(grep { $_->{status} == 201 } $client->responses(@streams)), 80, '80 creations on one connection succeed');
    is((sql('SELECT count(*) AS n FROM learnhub.problems WHERE title LIKE ?', "$title-%"))[0]{n}, 80, 'once each');
    is_deeply([children_of($server)], \@children, 'the child processes are the same');
};

done_testing;

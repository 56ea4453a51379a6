# SPDX-License-Identifier: Apache-2.0
# Hostile bodies to every route that writes, and valid bodies with one field changed: each gets an answer below 500, the
# memory of httpd stays bounded, and its processes stay the same.
use strict;
use warnings;

use LearnHub::Cases;
use LearnHub::Ledger;
use LearnHub::Routes;
use LearnHub::Slow;
use LearnHub::Sockets;
use LearnHub::Test;
use Time::HiRes qw(time);

my $utf16 = join '', map {"$_\0"} split //, '{"title":"T"}';
my $in_text = sub { my ($bytes) = @_; return qq({"title":"a${bytes}b"}) };

# JSON texts, or what claims to be one.
my @json = (
    '', ' ', '{', '}', '[', ']', '{}', '[]', 'null', 'true', 'false', '0', '-', '1e999', '"x"', '"', '{"a"', '{"a":',
    '{"a":1', '{"a":1,}', '{,}', '{1:2}', "{'a':1}", '{a:1}', '{} {}', '{}x', '[{}]', '[[]]', '[null]', '[1,2,3]',
    '{"":1}', '{"\u0000":1}', '{"title":"\u0000"}', '{"title":"\ud800"}', '{"title":"\udc00\ud800"}',
    $in_text->("\xff"), $in_text->("\xc0\x80"), $in_text->("\xed\xa0\x80"), $in_text->("\xf4\x90\x80\x80"),
    "\xef\xbb\xbf{}", $utf16, "//c\n{}", '/**/{}', '{"a":NaN}', '{"a":Infinity}', '{"a":+1}', '{"a":01}', '{"a":1.}',
    '{"a":.5}', '{"a":0x10}', '{"a":' . '9' x 100 . '}', '{"a":-0}', '{"a":1e-999}', '[' x 100 . ']' x 100,
    '[' x 1000 . ']' x 1000, '[' x 50_000, '{"a":' x 1000 . '1' . '}' x 1000,
    '{' . join(',', map {qq("k$_":1)} 1 .. 10_000) . '}', '[' . join(',', (1) x 20_000) . ']',
    '{"title":"' . 'x' x 1_000_000 . '"}', '{"first_name":[' . join(',', ('{}') x 340_000) . ']}',
    '{' . join(',', ('"title":"a"') x 1000) . '}', $in_text->("\t\n"), $in_text->("\1"), $in_text->("\x7f"),
    $in_text->('\\x'), $in_text->('\\u12'), '{"' . 'k' x 65_536 . '":1}', '{"__proto__":{"a":1}}',
    '{"$where":"sleep(9)"}', q({"title":"' OR 1=1; --"}), '{"title":"%s%n%x"}', ' ' x 60_000, "\0{}"
);
my @forms = ('a=b', '=', '&&&', '%', '%zz', 'a=%00', 'a=%ff', join('&', ('a=b') x 1001), 'a' x 1_000_000, '+++');
my $disposition = 'Content-Disposition: form-data; name=';
my @multiparts = (['; boundary=', 'x'], ['', 'x'], ['; boundary=b', "--b\r\n$disposition\"a\"\r\n\r\nx"],
    ['; boundary=b', "--b\r\n\r\nx\r\n--b--\r\n"],
    ['; boundary=b', join('', ("--b\r\n$disposition\"a\"\r\n\r\nx\r\n") x 1000) . "--b--\r\n"],
    ['; boundary=b', "--b\r\n$disposition\"a\0b\"; filename=\"../../x\"\r\n\r\nx\r\n--b--\r\n"]);
my @others = (['text/plain', '{}'], ['application/json; charset=utf-16', $utf16], ['application/xml', '<!DOCTYPE a>'],
    ['', '{}']);
my @shapes = ((map { ['application/json', $_] } @json), (map { ['application/x-www-form-urlencoded', $_] } @forms),
    (map { ["multipart/form-data$_->[0]", $_->[1]] } @multiparts), @others);

# What one field of a valid body is replaced with; '-' removes it.
my @values = ('-', undef, JSON::XS::true, -1, 0, 1.5, 1e308, 9223372036854775807, '', ' ', "\1", "\x{202e}",
    'x' x 100_000, "' OR 1=1; --", '2040-99-99T99:99:99Z', 'NaN', [], {}, [[[[]]]], [(1) x 1000], { a => { a => 1 } },
    [undef], "\x{1F600}" x 300, '99999999999999999999');

my $server = second_httpd(node_directives("LearnHubLoginThrottle Off\n"));
my %with = (port => $server->port);
create_callers();
my @routes = grep { $_->{method} ne 'GET' } @{ LearnHub::Routes::table()->{routes} };
my $step = long() ? 1 : 12;
my (@queue, %answers, @bad);

# The bytes of a request with a body; its token is the case's.
sub bytes {
    my ($route, $path, $token, $type, $body) = @_;
    $token = defined $token ? 'Authorization: ' . ($token =~ / / ? $token : "Bearer $token") . "\r\n" : '';
    $type = length $type ? "Content-Type: $type\r\n" : '';
    return { name => $route->{name}, bytes => "$route->{method} $path HTTP/1.1\r\nHost: x\r\n$token$type"
            . 'Content-Length: ' . length($body) . "\r\n\r\n$body" };
}

# The valid body with each of its fields replaced, or some of these bodies.
sub mutated {
    my ($valid, $skip) = @_;
    my $object = ref $valid eq 'ARRAY' ? $valid->[0] : $valid;
    my (@bodies, $n);
    for my $field (sort keys %$object) {
        for my $value (@values) {
            next if ($n++ + $skip) % $step;
            my %changed = (%$object, $field => $value);
            delete $changed{$field} if defined $value && !ref $value && $value eq '-';
            push @bodies, JSON::XS->new->utf8->encode(ref $valid eq 'ARRAY' ? [\%changed] : \%changed);
        }
    }
    return @bodies;
}

my $number = 0;
for my $route (@routes) {
    my ($id, %case) = case_of($route);
    my $path = path_of($route, $id);
    my $skip = $number++;
    push @queue, map { bytes($route, $path, $case{token}, @{ $shapes[$_] }) }
        grep { ($_ + $skip) % $step == 0 } 0 .. $#shapes;
    push @queue, map { bytes($route, $path, $case{token}, 'application/json', $_) } mutated($case{json}, $skip)
        if ref $case{json};
}

# The resident memory of the child processes in MB; VmHWM: at its peak.
sub memory_of {
    my ($field) = @_;
    my $sum = 0;
    for my $child (children_of($server)) {
        open my $in, '<', "/proc/$child/status" or next;
        $sum += $1 if join('', <$in>) =~ /^$field:\s+(\d+)/m;
    }
    return $sum / 1024;
}

# Sends all, eight at a time on connections of their own.
my @children = children_of($server);
my $before = pss_of($server);
my $resident = memory_of('VmRSS');
my ($count, $longest) = (0, 0);
my $requests = @queue;
my $done = sub {
    my ($client, $result) = @_;
    my $request = $client->{request};
    my $seconds = $result->{end} - $result->{start};
    $answers{ $result->{status} }++;
    $longest = $seconds if $seconds > $longest;
    push @bad, "$request->{name} $result->{status}: " . substr $request->{bytes}, 0, 300
        if !$result->{status} || $result->{status} >= 500;
    $count++;
};
my @clients = map { { port => $server->port, fresh => 1, pause => 0 } } 1 .. 8;
my $next = sub { my ($client) = @_; $client->{request} = shift @queue; return $client->{request}{bytes} };
LearnHub::Sockets::drive(\@clients, next => $next, done => $done, stopped => sub { !@queue }, limit => 20);
my $growth = memory_of('VmHWM') - $resident;
diag(sprintf '%d hostile bodies to %d routes: %s, longest %.0f ms', $requests, scalar @routes,
    join(' ', map {"$answers{$_} x $_"} sort keys %answers), 1000 * $longest);
diag(sprintf 'memory of httpd %.0f MB (PSS), afterwards %.0f, at its peak %.0f more', $before, pss_of($server),
    $growth);

is(scalar @shapes, 94, 'there are 94 shapes');
cmp_ok(scalar @routes, '>', 60, 'and more than 60 routes that write');
is($count, $requests, 'all are sent');
is_deeply([@bad[0 .. ($#bad < 9 ? $#bad : 9)]], [], 'each gets an answer below 500');
cmp_ok($answers{422} // 0, '>', 50, 'many are rejected with 422') || diag(explain(\%answers));
cmp_ok($growth, '<', 60, 'MB by which httpd grows');
is_deeply([children_of($server)], \@children, 'the child processes are the same');
is(scalar(grep {/\[[\w:]+:(?:warn|error|crit|alert|emerg)\]/} split /\n/, $server->log_text), 0,
    'the error log has no warnings') || diag(grep {/:(?:warn|error|crit)\]/} split /^/, $server->log_text);
is(api(GET => '/health', %with)->status, 200, 'the server is healthy');

done_testing;

# SPDX-License-Identifier: Apache-2.0
# Records what the tests' clients send and receive, for t/99-described.t: one JSON line for each exchange, in a file of
# this process below build/exchanges. Of exchanges that differ in their values only, one is recorded.
package LearnHub::Exchange;

use strict;
use warnings;

use Digest::MD5 qw(md5);
use JSON::XS ();

use LearnHub::Server;

my $json = JSON::XS->new->utf8->canonical;
my $folder = ($ENV{LEARNHUB_TOP} // '.') . '/build/exchanges';
my $limit = 65536; # bytes of a recorded body
my $shapes = 100; # recorded for each method, path and status
my (%seen, %count, $file);

# ---- what makes exchanges differ ----

# The kind of a text: that of an id, a time, an address; words, which may be an enumeration's, as they are.
sub kind_of {
    my ($text) = @_;
    return $text if length $text < 25 && $text !~ tr/A-Za-z_-//c;
    return '<text>' if $text =~ /[ (]/ && $text !~ /\A\d/;
    return '<hex' . length($text) . '>' if $text =~ /\A[0-9a-f]{16,}\z/;
    return '<uuid>' if $text =~ /\A[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\z/;
    return $text =~ tr/0-9/9/r if length $text < 40 && $text =~ /\A[-+]?\d[-\d:.TZ ]*\z/;
    return "<$1>" if $text =~ /\A(https?):/;
    return $text =~ /\A[^@\s]+@[^@\s]+\z/ ? '<email>' : '<text>';
}

# The sign of a number, whether it is 0, small or how long, and whether it is an integer.
sub number_of {
    my ($number) = @_;
    return $number if $number eq '0';
    my ($sign, $digits) = $number =~ /^(-?)(\d+)/;
    return $sign . (length $digits < 4 ? '9' : $digits =~ tr/0-9/9/r) . ($number =~ /[.eE]/ ? '.9' : '');
}

# JSON text with the kinds of its values; equal neighbours in arrays count once.
sub shape_of {
    my ($text) = @_;
    $text =~ s/"((?:[^"\\]++|\\.)*+)"(:?)|(-?\d[\d.eE+-]*)/defined $3 ? number_of($3) : $2 ? "$1:" : kind_of($1)/ges;
    1 while $text =~ s/(?<=[\[,])([^\[\]{},]+|\{[^\[\]{}]*\})(?:,\1)+(?=[\],])/$1/g;
    return $text;
}

# A path without what looks like an id.
sub path_shape {
    my ($path) = @_;
    return join '/', map { /\d/ && !/\Av\d\z/ || length > 40 ? '{}' : $_ } split m{/}, $path =~ s/\?.*//sr;
}

# ---- servers ----

my $with_others = qr/LearnHub(?:API|Pages|Prefix| Off)|<VirtualHost|Rewrite|Proxy|Alias|Handler|Require/i;

# What is special about the server on a port: {prefixes => [...]}, below which it serves the module's paths, and
# others => 1 if it also serves pages that are not the module's, or not all of the module's.
sub server_on {
    my ($port) = @_;
    my ($server) = grep { $_->port == $port || ($_->{directives} // '') =~ /^\s*Listen .*\b$port$/m }
        LearnHub::Server->started;
    return $port == ($ENV{LEARNHUB_PORT} // 0) ? {} : { others => 1 } if !$server;
    my $directives = $server->{directives} // '';
    my @prefixes = $directives =~ m{^\s*LearnHubPrefix\s+(/\S+)}mg;
    my $others = $server->{alone} || $directives =~ $with_others;
    return { @prefixes ? (prefixes => \@prefixes) : (), $others ? (others => 1) : () };
}

# ---- recording ----

sub write_line {
    my ($exchange) = @_;
    if (!$file) {
        mkdir $folder;
        my $name = $0 =~ s{.*/}{}r =~ s/[^\w.-]/_/gr;
        open $file, '>>:raw', "$folder/$name-$$.jsonl" or die "$folder: $!";
    }
    my $line = $json->encode({ test => $0 =~ s{.*/t/}{t/}r, %$exchange }) . "\n";
    syswrite $file, $line; # at once: processes of parallel() share the file
    return;
}

# record({port, method, path, sent => body, sent_type, status, headers => {name => value}, body}): `body` is undef if it
# was not kept, `headers` if they were not read.
sub record {
    my ($exchange) = @_;
    my ($method, $path, $status, $headers) = @$exchange{qw(method path status headers)};
    my $place = "$method " . path_shape($path) . " $status";
    return if ($count{$place} // 0) >= $shapes;
    for (qw(body sent)) {
        $exchange->{$_} = undef if defined $exchange->{$_} && length $exchange->{$_} > $limit;
    }
    my $type = $headers && $headers->{'content-type'} // '';
    $exchange->{body} = undef if $headers && $type !~ /json|text/ && length($exchange->{body} // '');
    $exchange->{sent} = undef if $status !~ /^2/ || ($exchange->{sent} // '') eq '';
    my @same = ($place, $type, $headers ? join ' ', sort keys %$headers : '-');
    my @bodies = map { $_ // '-' } @$exchange{qw(body sent)};
    return if $seen{ md5(join "\n", @same, map {tr/0-9a-f/0/sr} @bodies) }++; # most of them, in little time
    return if $seen{ md5(join "\n", @same, 'shape', map { shape_of($_) } @bodies) }++;
    $count{$place}++;

    for (qw(body sent)) {
        delete $exchange->{$_} if !defined $exchange->{$_};
        next if !defined $exchange->{$_};
        utf8::decode($exchange->{$_}) and $exchange->{$_} =~ s/[^\0-\x{D7FF}\x{E000}-\x{10FFFF}]/\x{FFFD}/g;
    }
    return write_line({ %$exchange, %{ server_on($exchange->{port}) } });
}

# An exchange of LWP.
sub of_lwp {
    my ($response) = @_;
    my $request = $response->request;
    return if $response->header('Client-Warning') || $response->header('Client-Aborted');
    my %headers = map { lc $_ => scalar $response->header($_) } grep { !/^(?:Client-|Title$|X-Died)/ }
        $response->header_field_names;
    my $body = $headers{'content-encoding'} ? $response->decoded_content(charset => 'none') : $response->content;
    my $lost = !length $body && $request->method ne 'HEAD'
        && ($headers{'content-length'} || $response->header('Client-Transfer-Encoding'));
    return record({ port => $request->uri->port, method => $request->method, path => $request->uri->path_query,
            sent => $request->content, sent_type => scalar $request->header('Content-Type'), status => $response->code,
            headers => \%headers, body => $lost ? undef : $body });
}

# Exchanges as the bytes of requests and of the responses to them, as far as both can be told apart: a request with a
# body must be the last one, responses must have a Content-Length.
sub of_bytes {
    my ($port, $sent, $received) = @_;
    while ($sent =~ s{\A([A-Z]+) (/\S*) HTTP/1\.1\r\n((?:[!-9;-~]+:[^\r\n]*\r\n)*)\r\n}{}) {
        my ($method, $path, $head) = ($1, $2, $3);
        $received =~ s{\A(?:HTTP/1\.1 1\d\d [^\r\n]*\r\n\r\n)*}{};
        $received =~ s{\AHTTP/1\.1 (\d{3}) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n}{} or return;
        my ($status, %headers) = ($1);
        for (split /\r\n/, $2) { my ($name, $value) = split /:\s*/, $_, 2; $headers{ lc $name } = $value }
        my $length = $method eq 'HEAD' || $status =~ /^(?:204|304)$/ ? 0 : $headers{'content-length'} // return;
        return if length $received < $length;
        my $body = substr $received, 0, $length, '';
        my ($type) = $head =~ /^Content-Type:\s*(.*?)\r$/mi;
        my ($with_body) = $head =~ /^(Content-Length: [1-9]|Transfer-Encoding)/mi;
        my $content = ($with_body // '') =~ /^Content/i ? $sent : '';
        record({ port => $port, method => $method, path => $path, sent => $content, sent_type => $type,
                status => $status, headers => \%headers, body => $body });
        last if $with_body;
    }
    return;
}

1;

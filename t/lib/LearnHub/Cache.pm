# SPDX-License-Identifier: Apache-2.0
# For tests of the cache: nodes with a log of the note learnhub-cache, and requests over new connections, which any
# process of a node may serve.
package LearnHub::Cache;

use strict;
use warnings;

use Exporter qw(import);
use HTTP::Response ();

use LearnHub::Reply;
use LearnHub::Test qw(eventually parallel raw_http second_httpd unique $top);

our @EXPORT = qw(node fetch notes warm all_see);

my %log; # by port

# Starts a node with two processes and a cache.
sub node {
    my ($directives) = @_;
    my $log = "$top/t/logs/" . unique('cache') . '.log';
    my $node = second_httpd(qq(CustomLog "$log" "%{X-Tag}i %{learnhub-cache}n %P"\nLearnHubCache 8388608\n)
            . ($directives // ''));
    $log{ $node->port } = $log;
    return $node;
}

# fetch($port, $path, $token, $tag): a GET over a new connection; undef if there was no complete response.
sub fetch {
    my ($port, $path, $token, $tag) = @_;
    my $headers = join '', "Host: 127.0.0.1:$port\r\n", $tag ? "X-Tag: $tag\r\n" : (),
        $token ? "Authorization: Bearer $token\r\n" : ();
    my $bytes = eval {
        raw_http("GET $path HTTP/1.1\r\n${headers}Connection: close\r\n\r\n", port => $port, keep => 1);
    };
    my $response = HTTP::Response->parse($bytes || return undef);
    return undef if length $response->content != ($response->header('Content-Length') // -1);
    return LearnHub::Reply->new("GET $path", $response);
}

# The lines of the log with a tag, [note, pid], once there are at least $count.
sub notes {
    my ($port, $tag, $count) = @_;
    my @lines;
    eventually(sub {
            open my $in, '<', $log{$port} or return 0;
            @lines = map { /^\Q$tag\E (\S+) (\d+)$/ ? [$1, $2] : () } <$in>;
            return @lines >= $count;
    });
    return @lines;
}

# Requests the paths, [path, token], until two processes have answered each from their caches; returns whether they did.
sub warm {
    my ($port, @reads) = @_;
    for (1 .. 40) {
        my $tag = unique('warm');
        parallel 6, sub {
            for my $i (0 .. $#reads) {
                fetch($port, @{ $reads[$i] }[0, 1], "$tag-$i") for 1 .. 2;
            }
            return 1;
        };
        my %pids = map { my $i = $_; $i => {} } 0 .. $#reads;
        for my $i (0 .. $#reads) {
            $_->[0] eq 'hit' and $pids{$i}{ $_->[1] } = 1 for notes($port, "$tag-$i", 12);
        }
        return 1 if !grep { keys %$_ < 2 } values %pids;
    }
    return 0;
}

# Whether all of 12 concurrent requests over new connections get a response that satisfies $test.
sub all_see {
    my ($port, $path, $token, $test) = @_;
    my @wrong = grep {defined} parallel 6, sub {
        my @replies = map { fetch($port, $path, $token) } 1 .. 2;
        my ($wrong) = grep { !$_ || !$test->($_->json, $_->status) } @replies;
        return @replies == grep({ $_ && $test->($_->json, $_->status) } @replies) ? undef
            : $wrong ? $wrong->summary : 'no response';
    };
    Test::More::diag($wrong[0]) if @wrong;
    return !@wrong;
}

1;

# SPDX-License-Identifier: Apache-2.0
# Counts the instructions that httpd executes for a request, with callgrind and `httpd -X`. The counts hardly depend on
# the load and the speed of the machine, but on the compiler and the libraries.
package Bench::Instructions;

use strict;
use warnings;

use IO::Socket::INET ();
use Time::HiRes ();

use Bench::Report ();
use Bench::Site ();
use Bench::Work ();

use constant {
    WARM_UP => 40, # requests before the first batch
    BATCHES => 3,
    BATCH => 300, # requests
};

my $httpd = (grep {-x} '/usr/sbin/apache2', '/usr/sbin/httpd')[0];

sub start {
    my ($site) = @_;
    my $pid = fork // die "bench: fork: $!\n";
    if (!$pid) {
        delete $ENV{HOME};
        open STDERR, '>', 'build/bench/callgrind.log' or die "bench: callgrind.log: $!\n";
        open STDOUT, '>&', \*STDERR or die "bench: callgrind.log: $!\n";
        exec 'valgrind', '--tool=callgrind', '--callgrind-out-file=build/bench/callgrind.out', $httpd, '-f',
            "$site->{top}/build/run/httpd.conf", '-X';
    }
    for (1 .. 600) {
        return $pid if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $site->{port});
        Time::HiRes::sleep(0.1);
    }
    kill TERM => $pid;
    die "bench: httpd did not start below valgrind; see callgrind.log\n";
}

sub control {
    my ($site, $verb) = @_;
    my $reply = $site->send_request({ method => 'GET', path => "/callgrind/$verb" });
    $reply->{status} == 200 or die "bench: /callgrind/$verb: $reply->{status}\n";
    return;
}

# The instructions of one batch, by the newest dump: callgrind numbers its dumps from 1. `server` is the site, or its
# port with a cache.
sub batch {
    my ($site, $server, $dump, @requests) = @_;
    control($site, 'zero');
    for my $request (@requests) {
        my $reply = $server->send_request($request);
        $reply->{status} == $request->{status} or die "bench: $request->{path}: $reply->{status} $reply->{content}\n";
    }
    control($site, 'dump');
    my ($sum) = Bench::Site::slurp("build/bench/callgrind.out.$dump") =~ /^(?:totals|summary): (\d+)/m
        or die "bench: callgrind counted nothing\n";
    return $sum / @requests;
}

# The number of requests for each work load.
sub requests { return WARM_UP + BATCHES * BATCH }

# The medians of the batches: {work => instructions per request}.
sub count {
    my ($site, $works, @names) = @_;
    my $pid = start($site);
    my ($dump, %counted) = (0);
    for my $name (@names) {
        my @requests = @{ $works->{$name}{requests} };
        Bench::Work::reset_data($site, $name, $works);
        my $server = $works->{$name}{cached} ? $site->at($site->{cached_port}) : $site;
        my @first = 0 .. ($works->{$name}{cached} ? $#requests : WARM_UP - 1); # fills the cache
        batch($site, $server, ++$dump, map { $requests[$_ % @requests] } @first);
        my @batches = map {
            my $first = WARM_UP + $_ * BATCH;
            batch($site, $server, ++$dump, map { $requests[$_ % @requests] } $first .. $first + BATCH - 1);
        } 0 .. BATCHES - 1;
        $counted{$name} = int Bench::Report::median(@batches);
        printf "bench: %-8s %7d instructions per request (batches: %s)\n", $name, $counted{$name},
            join ' ', map {int} @batches;
    }
    kill TERM => $pid;
    waitpid $pid, 0;
    unlink 'build/run/httpd.pid';
    return %counted;
}

# The counts with their change against the recorded ones.
sub table {
    my ($counted, $recorded) = @_;
    my $text = "work      instructions  recorded  change\n";
    for my $name (sort keys %$counted) {
        my $before = $recorded->{$name};
        $text .= sprintf "%-8s  %12d  %8s  %s\n", $name, $counted->{$name}, $before // '-',
            $before ? sprintf('%+.1f %%', 100 * ($counted->{$name} / $before - 1)) : '-';
    }
    return $text;
}

1;

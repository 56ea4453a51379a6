# SPDX-License-Identifier: Apache-2.0
# The memory of httpd under many requests: its proportional set size after each part of them.
package Bench::Memory;

use strict;
use warnings;

use List::Util qw(max);

use Bench::Load ();
use Bench::Processes ();
use Bench::Work ();

use constant {
    CONNECTIONS => 128,
    PARTS => 10,
    WARM_UP => 3, # parts, after which memory may not grow any more
    GROWTH_MAX => 1.03, # times the largest size of the parts of the warm-up
    SECONDS => 10, # of a run of wrk
};

# A mix of equal parts of A, B, C, D1 and E. The seats of E are sold in the first cycle; then E is rejected.
sub requests {
    my ($works) = @_;
    my @names = qw(A B C D1 E);
    return [map { my $i = $_; map { $works->{$_}{requests}[$i] } @names } 0 .. Bench::Work::OBJECTS - 1];
}

# Sends at least `number` requests; returns (the requests sent, sentences about failures).
sub send_part {
    my ($site, $number) = @_;
    my ($sent, @wrong) = (0);
    while ($sent < $number) {
        my $run = Bench::Load::http($site, 'memory', CONNECTIONS, SECONDS);
        my $statuses = $site->statuses;
        $sent += $run->{requests};
        push @wrong, map {"$statuses->{$_} requests got the status $_"} grep { !/^(?:200|201|400)$/ } keys %$statuses;
        push @wrong, "$run->{$_} requests failed: $_" for grep { $run->{$_} } qw(connect read write timeout);
    }
    return ($sent, @wrong);
}

# Returns {sizes => [[requests, MB], ...], wrong}.
sub measure {
    my ($site, $works, $total) = @_;
    Bench::Work::reset_data($site, 'E', $works);
    Bench::Load::write_requests($site, 'memory', { requests => requests($works) });
    my ($sent, @sizes, @wrong) = (0);
    for my $part (1 .. PARTS) {
        my ($more, @failures) = send_part($site, $total * $part / PARTS - $sent);
        push @wrong, @failures;
        $sent += $more;
        push @sizes, [$sent, Bench::Processes::pss($site->servers->{httpd})];
        printf "bench: %8d requests: %.1f MB\n", @{ $sizes[-1] };
    }
    push @wrong, Bench::Work::wrong_data($site);
    return { sizes => \@sizes, wrong => \@wrong };
}

# The growth after the warm-up, as a factor, and whether it is accepted.
sub verdict {
    my ($sizes) = @_;
    my @mb = map { $_->[1] } @$sizes;
    my $growth = max(@mb[WARM_UP .. $#mb]) / max(@mb[0 .. WARM_UP - 1]);
    return ($growth, $growth <= GROWTH_MAX);
}

1;

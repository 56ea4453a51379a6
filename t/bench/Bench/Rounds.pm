# SPDX-License-Identifier: Apache-2.0
# The measurements. A round runs all kinds of a work load for a short time one after the other, and the next round in
# the opposite order, so that a slow phase of the machine affects all kinds alike. Disturbed rounds are repeated.
#
# $bench is {site, works, routes, peers, seconds, rounds, connections, work}: peers is {name => {pid, site}}, work the
# list of the names of the work loads.
package Bench::Rounds;

use strict;
use warnings;

use Bench::Load ();
use Bench::Peers ();
use Bench::Report ();
use Bench::Work ();

use constant {
    CLIENTS => 14, # the database connections that 2 processes use with DBDMax 8: each leaves one to other modules
    REPEATS => 2, # at most so many times the planned rounds are measured
};

# The kinds of a work load in the order of round 1: ([kind, connections], ...), with the limits beside `http`.
sub plan {
    my ($bench, $name) = @_;
    my @peers = Bench::Peers::serve($name) ? sort keys %{ $bench->{peers} } : ();
    my @plan;
    for my $connections (@{ $bench->{connections} }) {
        my @kinds = map { [$_, $connections] } 'const', 'http', @peers;
        push @plan, @plan ? reverse @kinds : (@kinds, $bench->{works}{$name}{cached} ? () : ['sql']);
    }
    return @plan;
}

# The server of a kind.
sub site_of {
    my ($bench, $work, $kind) = @_;
    my $site = $bench->{site};
    return $kind eq 'http' ? $work->{cached} ? $site->at($site->{cached_port}) : $site : $bench->{peers}{$kind}{site};
}

sub run {
    my ($bench, $name, $kind, $connections) = @_;
    my ($site, $works, @time) = (@$bench{qw(site works)}, $bench->{seconds});
    my $work = $works->{$name};
    Bench::Work::reset_data($site, $name, $works) if $work->{writes} && $kind ne 'const';
    return Bench::Load::http($site, "$name-const", $connections, @time) if $kind eq 'const';
    if ($kind eq 'sql') {
        return Bench::Load::sql_sale($site, $works, $bench->{routes}, CLIENTS, @time) if $name eq 'E';
        return Bench::Load::sql($site, $name, $works, $bench->{routes}, CLIENTS, @time);
    }
    my $server = site_of($bench, $work, $kind);
    if ($name eq 'E') {
        my $run = Bench::Load::http_sale($server, $work, 'E-http', $connections, @time);
        push @{ $run->{wrong} }, 'more tries than seats were prepared' if $run->{requests} > $work->{tries};
        return $run;
    }
    my $run = Bench::Load::http($server, "$name-http", $connections, @time);
    push @{ $run->{wrong} }, $work->{writes} ? Bench::Work::wrong_data($site) : Bench::Load::check($server, $work, 20);
    return $run;
}

# Measures a round of a work load and returns its runs.
sub round {
    my ($bench, $name, $round) = @_;
    my @plan = plan($bench, $name);
    my @runs;
    for my $step ($round % 2 ? @plan : reverse @plan) {
        my ($kind, $connections) = @$step;
        my $run = run($bench, $name, $kind, $connections);
        push @runs, { %$run, work => $name, kind => $kind, round => $round, connections => $connections };
        printf "bench: round %d: %-8s %-7s %3s %9.0f/s %s\n", $round, $name, $kind, $connections // '', $run->{rate},
            join '; ', @{ $run->{wrong} };
    }
    return @runs;
}

# Whether a work load needs another round.
sub wants {
    my ($bench, $name, $round, $runs) = @_;
    return $round <= $bench->{rounds} || Bench::Report::counting($name, $runs) < $bench->{rounds};
}

# All runs. `round` is a parameter for the test.
sub measure {
    my ($bench, $measure_round) = @_;
    $measure_round ||= \&round;
    my @runs;
    for my $round (1 .. REPEATS * $bench->{rounds}) {
        push @runs, $measure_round->($bench, $_, $round)
            for grep { wants($bench, $_, $round, \@runs) } @{ $bench->{work} };
    }
    return @runs;
}

1;

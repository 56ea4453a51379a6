# SPDX-License-Identifier: Apache-2.0
# Results: what is valid, medians, the ratio to the bound, the table.
#
# A run is {work, kind, connections, round, rate, p50, p99, errors, wrong, others, loops, httpd, postgresql}: kind is
# `http`, `const` or `sql`; rate is requests per second; times are in ms; errors counts failed requests; wrong is a list
# of sentences about wrong answers; others is the share of the cores that other processes used; loops are the seconds of
# the fixed loop before and after the run.
package Bench::Report;

use strict;
use warnings;

use constant {
    OTHERS_MAX => 0.05, # of all cores
    LOOP_MAX => 1.15, # times the fastest loop
};

sub median {
    my @sorted = sort { $a <=> $b } grep {defined} @_;
    return undef if !@sorted;
    my $middle = int(@sorted / 2);
    return @sorted % 2 ? $sorted[$middle] : ($sorted[$middle - 1] + $sorted[$middle]) / 2;
}

# Why a run does not count: a list of `wrong`, `errors`, `others`, `slow`.
sub faults {
    my ($run, $fastest_loop) = @_;
    my @faults;
    push @faults, 'wrong' if @{ $run->{wrong} };
    push @faults, 'errors' if $run->{errors};
    push @faults, 'others' if $run->{others} > OTHERS_MAX;
    push @faults, 'slow' if grep { $_ > LOOP_MAX * $fastest_loop } @{ $run->{loops} };
    return @faults;
}

# One row of the table: the medians of the runs of a work load at a number of connections, and its limits.
sub row {
    my ($work, $connections, $runs, $fastest_loop) = @_;
    my $of = sub {
        my ($kind) = @_;
        my @same = grep { $_->{work} eq $work && $_->{kind} eq $kind } @$runs;
        return $kind eq 'sql' ? @same : grep { $_->{connections} == $connections } @same;
    };
    my ($http, $const, $sql) = map { [$of->($_)] } qw(http const sql);
    my %row = (work => $work, connections => $connections);
    $row{$_} = do { my $key = $_; median(map { $_->{$key} } @$http) } for qw(rate p50 p99 pss);
    $row{errors} = 0;
    $row{errors} += $_->{errors} for @$http;
    $row{httpd_cpu} = median(map { 1000 * $_->{httpd}{cpu} / $_->{requests} } @$http);
    $row{postgresql_cpu} = median(map { 1000 * $_->{postgresql}{cpu} / $_->{requests} } @$http);
    $row{switches} = median(map { $_->{httpd}{switches} / $_->{requests} } @$http);
    $row{const} = median(map { $_->{rate} } @$const);
    $row{sql} = median(map { $_->{rate} } @$sql);
    $row{bound} = 1 / (1 / $row{const} + 1 / $row{sql}) if $row{const} && $row{sql};
    my %faults = map { $_ => 1 } map { faults($_, $fastest_loop) } @$http, @$const, @$sql;
    $row{faults} = [sort keys %faults];
    $row{ratio} = $row{rate} / $row{bound} if $row{bound} && !%faults;
    return \%row;
}

# The rows for all work loads and numbers of connections, in the order in which they were measured.
sub rows {
    my ($runs) = @_;
    my ($fastest) = sort { $a <=> $b } map { @{ $_->{loops} } } @$runs;
    my (%seen, @rows);
    for my $run (grep { $_->{kind} eq 'http' } @$runs) {
        push @rows, row($run->{work}, $run->{connections}, $runs, $fastest)
            if !$seen{ $run->{work} }{ $run->{connections} }++;
    }
    return @rows;
}

my @columns = (
    ['work', '%s', 'work'], ['conn.', '%d', 'connections'], ['requests/s', '%.0f', 'rate'], ['p50 ms', '%.2f', 'p50'],
    ['p99 ms', '%.2f', 'p99'], ['errors', '%d', 'errors'], ['const/s', '%.0f', 'const'], ['sql/s', '%.0f', 'sql'],
    ['bound/s', '%.0f', 'bound'], ['ratio', '%.2f', 'ratio'], ['httpd CPU s', '%.3f', 'httpd_cpu'],
    ['PostgreSQL CPU s', '%.3f', 'postgresql_cpu'], ['switches', '%.1f', 'switches'], ['PSS MB', '%.0f', 'pss'],
);

# The table as text. CPU seconds are per 1,000 requests, context switches of httpd per request.
sub table {
    my (@rows) = @_;
    my @cells = ([map({ $_->[0] } @columns), 'faults']);
    for my $row (@rows) {
        push @cells, [map({ defined $row->{ $_->[2] } ? sprintf $_->[1], $row->{ $_->[2] } : '-' } @columns),
            "@{ $row->{faults} }"];
    }
    my @widths;
    for my $line (@cells) {
        for (0 .. $#$line) {
            $widths[$_] = length $line->[$_] if length $line->[$_] > ($widths[$_] || 0);
        }
    }
    my $format = join '  ', map {"%${_}s"} -$widths[0], @widths[1 .. $#widths];
    return join '', map { sprintf($format, @$_) =~ s/\s*$/\n/r } @cells;
}

my %meaning = (
    wrong => 'wrong: an answer or the stored data were wrong',
    errors => 'errors: requests failed',
    others => sprintf('others: other processes used more than %d %% of the cores', 100 * OTHERS_MAX),
    slow => sprintf('slow: a fixed loop took more than %.0f %% longer than the fastest one', 100 * (LOOP_MAX - 1)),
);

# Explains the faults of the rows; a row with a fault has no ratio.
sub legend {
    my (@rows) = @_;
    my %found = map { $_ => 1 } map { @{ $_->{faults} } } @rows;
    return join '', map {"$meaning{$_}\n"} sort keys %found;
}

1;

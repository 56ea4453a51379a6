# SPDX-License-Identifier: Apache-2.0
# Results: what is valid, medians, the ratios to the bound and to peers, the tables.
#
# A run is {work, kind, connections, round, rate, p50, p99, errors, wrong, others, loops, httpd, postgresql}: kind is
# `http`, `const`, `sql` or the name of a peer; rate is requests per second; times are in ms; errors counts failed
# requests; wrong is a list of sentences about wrong answers; others is the share of the cores that other processes
# used; loops are the seconds of the fixed loop before and after the run.
#
# A round measures all kinds of a work load one after the other. A ratio is the median of the ratios of its rounds, each
# of which compares runs of the same round only.
package Bench::Report;

use strict;
use warnings;

use constant {
    OTHERS_MAX => 0.05, # of all cores
    LOOP_MAX => 1.15, # times the fastest loop of the round
};

my %is_own = map { $_ => 1 } qw(http const sql);

sub median {
    my @sorted = sort { $a <=> $b } grep {defined} @_;
    return undef if !@sorted;
    my $middle = int(@sorted / 2);
    return @sorted % 2 ? $sorted[$middle] : ($sorted[$middle - 1] + $sorted[$middle]) / 2;
}

# Why the surroundings of a run disturbed it: a list of `others`, `slow`.
sub disturbances {
    my ($run, $fastest_loop) = @_;
    my @why;
    push @why, 'others' if $run->{others} > OTHERS_MAX;
    push @why, 'slow' if grep { $_ > LOOP_MAX * $fastest_loop } @{ $run->{loops} };
    return @why;
}

# The runs of a work load that belong to a number of connections, by round: ({number, runs => {kind => run}, why}, ...),
# where why lists the disturbances of `http` and its limits.
sub rounds {
    my ($work, $connections, $runs) = @_;
    my (%rounds, %fastest);
    for my $run (grep { $_->{work} eq $work } @$runs) {
        my $number = $run->{round};
        for my $loop (@{ $run->{loops} }) {
            $fastest{$number} = $loop if !$fastest{$number} || $loop < $fastest{$number};
        }
        $rounds{$number}{ $run->{kind} } = $run if !$run->{connections} || $run->{connections} == $connections;
    }
    return map {
        my ($number, $kinds) = ($_, $rounds{$_});
        my %why = map { $_ => [disturbances($kinds->{$_}, $fastest{$number})] } keys %$kinds;
        my %own = map { $_ => 1 } map { @{ $why{$_} } } grep { $is_own{$_} } keys %why;
        { number => $number, runs => $kinds, why => \%why, disturbed => [sort keys %own] }
    } sort { $a <=> $b } keys %rounds;
}

# The rounds of a work load that count at every number of connections.
sub counting {
    my ($work, $runs) = @_;
    my %seen = map { $_->{connections} => 1 } grep { $_->{work} eq $work && $_->{kind} eq 'http' } @$runs;
    my ($least) = sort { $a <=> $b } map {
        scalar grep { !@{ $_->{disturbed} } } rounds($work, $_, $runs)
    } keys %seen;
    return $least || 0;
}

# The bound of a round: 1 / (1/const + 1/sql), or const if the work load does not use the database.
sub bound {
    my ($round) = @_;
    my ($const, $sql) = map { $round->{runs}{$_} && $round->{runs}{$_}{rate} } qw(const sql);
    return $const && $sql ? 1 / (1 / $const + 1 / $sql) : $const;
}

# The best peer: {name, rate, p99, ratio}. The ratio is missing if an answer of the peer was wrong, or if less than
# `least` rounds count.
sub best_peer {
    my ($least, @rounds) = @_;
    my %names = map { $_ => 1 } grep { !$is_own{$_} } map { keys %{ $_->{runs} } } @rounds;
    my $best;
    for my $name (sort keys %names) {
        my @runs = map { $_->{runs}{$name} || () } @rounds;
        my @count = grep { !@{ $_->{disturbed} } && $_->{runs}{$name} && !@{ $_->{why}{$name} } } @rounds;
        my $rate = median(map { $_->{rate} } @count ? map({ $_->{runs}{$name} } @count) : @runs);
        next if $best && $best->{rate} >= $rate;
        $best = { name => $name, rate => $rate, p99 => median(map { $_->{p99} } @runs) };
        next if @count < $least || grep { @{ $_->{wrong} } || $_->{errors} } @runs;
        $best->{ratio} = median(map { $_->{runs}{http}{rate} / $_->{runs}{$name}{rate} } @count);
    }
    return $best;
}

# One row of the table: a work load at a number of connections, and its limits. `planned` is the number of rounds that
# were wanted; half of them must count.
sub row {
    my ($work, $connections, $runs, $planned) = @_;
    my @rounds = rounds($work, $connections, $runs);
    my @count = grep { !@{ $_->{disturbed} } } @rounds;
    my $of = sub { my ($kind) = @_; return map { $_->{runs}{$kind} || () } @count ? @count : @rounds };
    my @http = $of->('http');
    my %row = (work => $work, connections => $connections, measured => scalar @rounds, counted => scalar @count);
    $row{$_} = do { my $key = $_; median(map { $_->{$key} } @http) } for qw(rate p50 p99 pss);
    $row{$_} = median(map { $_->{rate} } $of->($_)) for qw(const sql);
    $row{bound} = median(map { bound($_) } @count ? @count : @rounds);

    for my $server (qw(httpd postgresql)) {
        $row{"${server}_cpu"} = median(map { 1000 * $_->{$server}{cpu} / ($_->{requests} || 1) } @http);
        $row{"${server}_switches"} = median(map { $_->{$server}{switches} / ($_->{requests} || 1) } @http);
    }
    my @own = map { my $round = $_; map { $round->{runs}{$_} || () } sort keys %is_own } @rounds;
    $row{errors} = 0;
    $row{errors} += $_->{errors} for grep { $_->{kind} eq 'http' } @own;
    my $too_few = @count < ($planned || 1) / 2;
    my %faults = map { $_ => 1 } $too_few ? map({ @{ $_->{disturbed} } } @rounds) : ();
    $faults{wrong} = 1 if grep { @{ $_->{wrong} } } @own;
    $faults{errors} = 1 if grep { $_->{errors} } @own;
    $row{faults} = [sort keys %faults];
    $row{peer} = best_peer(($planned || 1) / 2, @rounds);
    delete $row{peer}{ratio} if $row{peer} && %faults;
    return \%row if %faults;
    my @ratios = sort { $a <=> $b } map { $_->{runs}{http}{rate} / bound($_) } grep { bound($_) } @count;
    @row{qw(ratio ratio_low ratio_high)} = (median(@ratios), @ratios[0, -1]) if @ratios;
    return \%row;
}

# The rows for all work loads and numbers of connections, in the order in which they were measured.
sub rows {
    my ($runs, $planned) = @_;
    my (%seen, @rows);
    for my $run (grep { $_->{kind} eq 'http' } @$runs) {
        push @rows, [@$run{qw(work connections)}] if !$seen{ $run->{work} }{ $run->{connections} }++;
    }
    my %order;
    $order{ $_->[0] } //= keys %order for @rows;
    return map { row(@$_, $runs, $planned) }
        sort { $order{ $a->[0] } <=> $order{ $b->[0] } || $a->[1] <=> $b->[1] } @rows;
}

my @columns = (
    ['work', '%s', 'work'], ['conn.', '%d', 'connections'], ['requests/s', '%.0f', 'rate'], ['p50 ms', '%.2f', 'p50'],
    ['p99 ms', '%.2f', 'p99'], ['errors', '%d', 'errors'], ['const/s', '%.0f', 'const'], ['sql/s', '%.0f', 'sql'],
    ['bound/s', '%.0f', 'bound'], ['ratio', '%.2f', 'ratio'], ['lowest', '%.2f', 'ratio_low'],
    ['highest', '%.2f', 'ratio_high'], ['rounds', '%s', 'rounds'], ['best peer', '%s', 'peer_name'],
    ['peer/s', '%.0f', 'peer_rate'], ['x peer', '%.2f', 'peer_ratio'], ['httpd CPU s', '%.3f', 'httpd_cpu'],
    ['PostgreSQL CPU s', '%.3f', 'postgresql_cpu'], ['switches', '%.1f', 'httpd_switches'],
    ['PostgreSQL switches', '%.1f', 'postgresql_switches'], ['PSS MB', '%.0f', 'pss'],
);

# The table as text, without columns that are empty. CPU seconds are per 1,000 requests, context switches per request.
sub table {
    my (@rows) = @_;
    my @flat = map {
        my $peer = $_->{peer} || {};
        +{ %$_, rounds => "$_->{counted}/$_->{measured}", map { ("peer_$_" => $peer->{$_}) } qw(name rate ratio) }
    } @rows;
    my @used = grep { my $key = $_->[2]; $key !~ /^peer_/ || grep { defined $_->{$key} } @flat } @columns;
    my @cells = ([map({ $_->[0] } @used), 'faults']);
    for my $row (@flat) {
        push @cells, [map({ defined $row->{ $_->[2] } ? sprintf $_->[1], $row->{ $_->[2] } : '-' } @used),
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
    others => sprintf('others: other processes used more than %d %% of the cores in too many rounds',
        100 * OTHERS_MAX),
    slow => sprintf('slow: in too many rounds, a loop took more than %.0f %% longer than the fastest of the round',
        100 * (LOOP_MAX - 1)),
);

# Explains the faults of the rows; a row with a fault has no ratio.
sub legend {
    my (@rows) = @_;
    my %found = map { $_ => 1 } map { @{ $_->{faults} } } @rows;
    return join '', map {"$meaning{$_}\n"} sort keys %found;
}

# ---- the table of README.md ----

sub number { my ($n) = @_; my $text = sprintf '%.0f', $n; 1 while $text =~ s/^(\d+)(\d{3})/$1,$2/; return $text }

# The numbers of one key, for each number of connections: "1,234 / 2,345".
sub cell {
    my ($format, @values) = @_;
    return join ' / ', map { defined $_ ? ref $format ? $format->($_) : sprintf $format, $_ : '-' } @values;
}

# Results as Markdown: one line for each work load, with a number for each number of connections.
sub markdown {
    my ($results) = @_;
    my (@works, %rows);
    for my $row (@{ $results->{rows} }) {
        push @works, $row->{work} if !$rows{ $row->{work} };
        push @{ $rows{ $row->{work} } }, $row;
    }
    my $peers = grep { $_->{peer} } @{ $results->{rows} };
    my @head = ('work load', 'requests/s', 'p50 ms', 'p99 ms', 'of the bound', $peers ? 'of the best peer' : ());
    my $text = '| ' . join(' | ', @head) . " |\n|" . ' --- |' x @head . "\n";
    for my $work (@works) {
        my @of = @{ $rows{$work} };
        my @cells = ("$work: $results->{titles}{$work}", cell(\&number, map { $_->{rate} } @of),
            cell('%.1f', map { $_->{p50} } @of), cell('%.1f', map { $_->{p99} } @of),
            cell('%.2f', map { $_->{ratio} } @of));
        push @cells, cell('%s', map { $_->{peer} && $_->{peer}{ratio}
                    ? sprintf '%.2f (%s)', @{ $_->{peer} }{qw(ratio name)} : undef } @of) if $peers;
        $text .= '| ' . join(' | ', @cells) . " |\n";
    }
    return $text;
}

1;

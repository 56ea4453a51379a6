# SPDX-License-Identifier: Apache-2.0
# The statements of t/bench/growth, their measurement and the table.
package Bench::Growth;

use strict;
use warnings;

use DBI ();
use Digest::SHA qw(sha256_hex);
use JSON::XS ();

use Bench::Report ();
use Bench::Sql ();
use LearnHub::Routes ();

# The user has rows in every list, and exists in the small data. A reference is an expression.
my %values = (me => 5000, id => 5000, limit => 20, offset => 0, skip => 0, base => 'http://localhost',
    email => 'user5000@example.com', username => 'user5000', seconds => 900, failures => 5,
    address_seconds => 900, address_failures => 50, address => '127.0.0.1',
    tries => 5, verified_only => 'false', q => 'zebrafish', digest => sha256_hex(pack 'q>', 5000),
    idle => 90 * 86_400, age => 300_000_000, position => \'learnhub.server_position()');

# [label or route, part, filters or other parameters ...]. Parts of a route: count, page and deep, for the filters that
# follow; otherwise the number of a statement in sql or, with a minus sign, in extra_sql, from 1 on.
my @listed = (
    ['tutoring.list', 'count'],
    ['tutoring.list', 'page'],
    ['tutoring.list', 'count', status => 'completed'],
    ['tutoring.list', 'page', status => 'completed'],
    ['tutoring.list', 'count', creator => 5000],
    ['tutoring.list', 'page', creator => 5000],
    (map { ["tutoring.$_", 'count'], ["tutoring.$_", 'page'] } qw(my created joined)),
    ['problems.list', 'count'],
    ['problems.list', 'page'],
    ['problems.list', 'count', difficulty => 'hard'],
    ['problems.list', 'page', difficulty => 'hard'],
    ['problems.list', 'count', category => 'rare'],
    ['problems.list', 'page', category => 'rare'],
    ['problems.list', 'page', category => 'storage'],
    (map { ["problems.$_", 'count'], ["problems.$_", 'page'] } qw(mine search)),
    (map { ["submissions.$_", 'count'], ["submissions.$_", 'page'] } qw(mine)),
    ['sessions.mine', 1],
    (map { [$_, 1] } qw(coding.mine coding.list eco.list activities.list rewards.redemptions leaderboard.friends)),
    (map { ["xp.$_", 'count'], ["xp.$_", 'page'] } qw(goals)),
    ['xp.mine', 1],
    ['session.list', 1],
    ['session.archive', 1],
    ['mentors.by_skills', 1, skills => 'skill 1'],
    ['coding_token.login', -1],
    ['users.me', 1],
    ['tokens.find'],
    ['tokens.events'],
    ['outbox.claim'],
    ['outbox.expire'],
    ['mentoring.reminders'],
);

# Pages that begin after other rows: of the large data only, compared with the first page.
my @deep = (
    (map { ['tutoring.list', $_->[0], offset => 20 * ($_->[1] - 1)] } ['page', 5], map { ['deep', $_] } 6, 1000, 10_000,
        50_000),
    (map { ['tutoring.list', 'deep', offset => 20 * ($_ - 1), status => 'completed'] } 1000, 10_000),
    (map { ['problems.list', $_->[0], skip => 20 * ($_->[1] - 1)] } ['page', 5], map { ['deep', $_] } 6, 1000, 10_000),
    (map { ['problems.list', 'deep', skip => 20 * ($_ - 1), difficulty => 'hard'] } 1000),
);

# The compiled statement {sql, parameters} of an entry.
sub statement {
    my ($table, $name, $part, %with) = @_;
    my ($route) = grep { $_->{name} eq $name } @{ $table->{routes} };
    if (!$route) {
        my ($found) = grep { $_->{label} eq $name } @{ $table->{statements} } or die "growth: there is no $name\n";
        my %parameters = ('tokens.find' => [qw(digest idle age)], 'tokens.events' => ['position'],
            'outbox.claim' => [qw(tries verified_only)]);
        return { sql => $found->{sql}, parameters => $parameters{$name} || [] };
    }
    return ($part < 0 ? $route->{extra_sql} : $route->{sql})->[abs($part) - 1] if $part =~ /\d/;
    for my $set (@{ $route->{sets} }) {
        my %filter = map { $_ => 1 } @{ $set->{filters} };
        my @other = grep { !$filter{$_} && !exists $values{$_} } keys %with;
        return $set->{$part} if keys %filter == grep({ exists $with{$_} } keys %filter) && !@other;
    }
    die "growth: $name has no such filters\n";
}

sub connection {
    my ($site, $database) = @_;
    my $source = 'dbi:Pg:' . join ';', split ' ', $site->conninfo('learnhub_owner') =~ s/dbname=\w+/dbname=$database/r;
    local $ENV{PGOPTIONS} = Bench::Sql::SETTINGS;
    return DBI->connect($source, '', '', { RaiseError => 1, PrintError => 0, PrintWarn => 0, pg_direct => 1 });
}

# Executes a statement and rolls it back: {ms, pages}.
sub execute {
    my ($database, $call) = @_;
    $database->begin_work;
    my ($plan) = $database->selectrow_array("EXPLAIN (ANALYZE, BUFFERS, TIMING off, FORMAT json) $call");
    $database->rollback;
    $plan = JSON::XS->new->decode($plan)->[0];
    return { ms => $plan->{'Execution Time'},
        pages => $plan->{Plan}{'Shared Hit Blocks'} + $plan->{Plan}{'Shared Read Blocks'} };
}

# Prepares an entry in a database. Returns the text that executes it.
sub prepare {
    my ($database, $number, $statement, %with) = @_;
    my @arguments = map {
        my $value = exists $with{$_} ? $with{$_} : $values{$_};
        ref $value ? $$value : $database->quote($value)
    } @{ $statement->{parameters} };
    $database->do("PREPARE growth_$number AS $statement->{sql}");
    return "EXECUTE growth_$number" . (@arguments ? '(' . join(', ', @arguments) . ')' : '');
}

# Executes the entries in turns: {entry number => {database => {ms, pages}}}, with the medians.
sub measure {
    my ($site, $runs, $databases, @entries) = @_;
    my $table = LearnHub::Routes::table();
    my (%found, %calls);
    my %connection = map { $_ => connection($site, $_) } @$databases;
    for my $number (0 .. $#entries) {
        my ($name, $part, %with) = @{ $entries[$number] };
        my $statement = statement($table, $name, $part, %with);
        $calls{$number}{$_} = prepare($connection{$_}, $number, $statement, %with) for @$databases;
    }
    for my $run (0 .. $runs) {
        for my $number (0 .. $#entries) {
            for my $database (@$databases) {
                my $one = execute($connection{$database}, $calls{$number}{$database});
                push @{ $found{$number}{$database} }, $one if $run; # the first one reads pages and catalogues
            }
        }
    }
    for my $entry (values %found) {
        for my $database (@$databases) {
            my @runs = @{ $entry->{$database} };
            $entry->{$database} = { map { my $key = $_; $key => Bench::Report::median(map { $_->{$key} } @runs) }
                    qw(ms pages) };
        }
    }
    return \%found;
}

sub title {
    my ($name, $part, %with) = @_;
    return join ' ', $name, defined $part && $part !~ /\d/ ? $part : (), map {"$_=$with{$_}"} sort keys %with;
}

# A row of the table from {ms, pages} of two measurements.
sub row {
    my ($entry, $from, $to) = @_;
    return { title => title(@$entry), from => $from, to => $to, ratio => $to->{ms} / $from->{ms} };
}

# The statements with little and with much data.
sub growth {
    my ($site, $runs, $small, $large) = @_;
    my $found = measure($site, $runs, [$small, $large], @listed);
    return map { row($listed[$_], @{ $found->{$_} }{ $small, $large }) } 0 .. $#listed;
}

sub first_page {
    my ($name, $part, %with) = @_;
    delete @with{qw(offset skip)};
    return [$name, 'page', %with];
}

# The first page and a later one.
sub deep {
    my ($site, $runs, $large) = @_;
    my $found = measure($site, $runs, [$large], map({ first_page(@$_) } @deep), @deep);
    return map { row($deep[$_], $found->{$_}{$large}, $found->{ $_ + @deep }{$large}) } 0 .. $#deep;
}

sub table {
    my ($heads, @rows) = @_;
    my $out = sprintf "%-50s %10s %8s %10s %8s %6s\n", @$heads;
    for my $row (@rows) {
        my @costs = map { @{$_}{qw(ms pages)} } @$row{qw(from to)};
        $out .= sprintf "%-50s %10.3f %8d %10.3f %8d %6.2f\n", $row->{title}, @costs, $row->{ratio};
    }
    return $out;
}

1;

# SPDX-License-Identifier: Apache-2.0
# Scripts for pgbench: exactly the compiled statements of a route, as the module sends them: those of one request in one
# pipeline with one sync. A script consists of STEPS requests for different objects, because pgbench cannot select one
# of many texts by number.
package Bench::Sql;

use strict;
use warnings;

use Bench::Work ();

use constant STEPS => 20;

# The session settings of the module (mod_learnhub/db/session.c).
use constant SETTINGS => '-c plan_cache_mode=force_generic_plan -c jit=off -c timezone=UTC -c client_encoding=UTF8 '
    . '-c search_path=learnhub,public -c statement_timeout=5000';

# A statement for pgbench, in which parameters have the names that $variable_of returns for theirs; undef: NULL, which
# pgbench cannot send as a parameter.
sub statement {
    my ($statement, $variable_of) = @_;
    my ($sql, @parameters) = ($statement->{sql}, @{ $statement->{parameters} });
    die "bench: pgbench would change a literal of: $sql\n" if grep {/\$\d|:\w|;/} $sql =~ /'([^']*)'/g;
    my $name_of = sub { my $name = $variable_of->($_[0]); return defined $name ? ":$name" : 'NULL' };
    $sql =~ s/\$(\d+)/$name_of->($parameters[$1 - 1])/ge;
    return "$sql;\n";
}

sub pipeline {
    my ($statements, $variable_of) = @_;
    return join '', "\\startpipeline\n", map({ statement($_, $variable_of) } @$statements), "\\endpipeline\n";
}

# The requests of a route to the database: its extra statement in a transaction of its own, then the others; one of both
# if the work load says so.
sub request {
    my ($route, $work, $variable_of) = @_;
    my @runs = $work->{no_extra_sql} ? () : map { [$_] } @{ $route->{extra_sql} };
    push @runs, $route->{sql} if !$work->{only_extra_sql};
    return join '', map { pipeline($_, $variable_of) } @runs;
}

# Sets <name>_<parameter>_<step> once per client, for these parameters of its own objects. All names of variables are in
# lower case, as PostgreSQL returns the names of columns.
sub prologue {
    my ($name, $objects, @parameters) = @_;
    my (@columns, @arrays);
    for my $parameter (@parameters) {
        push @arrays, "ARRAY['" . join("','", map { $_->{$parameter} } @$objects) . "'] AS \"$parameter\"";
        push @columns, map {"\"$parameter\"\[:client_id * @{[STEPS]} + @{[$_ + 1]}] AS ${name}_${parameter}_$_"}
            0 .. STEPS - 1;
    }
    my $columns = join ",\n    ", @columns;
    return "\\if :${name}_ready = 0\nSELECT $columns\nFROM (SELECT " . join(', ', @arrays)
        . ") objects \\gset\n\\set ${name}_ready 1\n\\endif\n";
}

# Large values are the same for many objects: these become variables of all clients (-D).
sub share_large_values {
    my ($name, $objects, $defines) = @_;
    my %names;
    for my $object (@$objects) {
        for my $value (grep { defined && length > 1000 } values %$object) {
            my $shared = $names{$value} //= "${name}_large_" . keys %names;
            $defines->{$shared} = $value;
        }
    }
    return \%names;
}

# The script of a work load with objects: (text, variables of all clients). The steps take turns with the routes.
sub script_of_objects {
    my ($part, $routes, $work, $clients) = @_;
    my $name = lc $part;
    my @objects = @{ $work->{objects} }[0 .. $clients * STEPS - 1];
    my %defines = ("${name}_ready" => 0);
    my $large = share_large_values($name, \@objects, \%defines);
    my $step;
    my $variable_of = sub {
        my ($parameter) = @_;
        my $object = $objects[$step];
        exists $object->{$parameter} or die "bench: $part has no value for the parameter $parameter\n";
        my $value = $object->{$parameter};
        return defined $value ? $large->{$value} // "${name}_${parameter}_$step" : undef;
    };
    my @small = grep { defined $objects[0]{$_} && !$large->{ $objects[0]{$_} } } sort keys %{ $objects[0] };
    my $script = prologue($name, \@objects, @small);
    for (0 .. STEPS - 1) {
        $step = $_;
        $script .= request($routes->[$step % @$routes], $work, $variable_of);
    }
    return ($script, %defines);
}

# E: the tries of all clients are numbered, so that they compete for the same seats.
sub script_of_tries {
    my ($route, $work, $clients) = @_;
    my $numbering = <<"SCRIPT";
\\set e_try (:e_number * $clients + :client_id) % $work->{tries}
\\set e_id @{[Bench::Work::SALE]} + :e_try / @{[Bench::Work::TRIES]}
\\set e_me 501 + :e_try % 9000
\\set e_number :e_number + 1
SCRIPT
    my $request = request($route, $work, sub {"e_$_[0]"});
    return ("$numbering$request" x STEPS, e_number => 0);
}

# The joins and leaves of F: each user joins and leaves one session.
sub script_of_visits {
    my ($routes, $clients) = @_;
    my %work = (objects => [map { ($_, $_) } Bench::Work::visits()]);
    return script_of_objects('visit', [@$routes{qw(tutoring.join tutoring.leave)}], \%work, $clients);
}

sub script_of_creates {
    my ($routes, $clients) = @_;
    my %session = Bench::Work::new_session();
    my %work = (objects => [map { +{ %session, me => $_ } } 1 .. 500]);
    return script_of_objects('create', [$routes->{'tutoring.create'}], \%work, $clients);
}

# Dies if a script uses a variable that it does not have: pgbench would silently use NULL.
sub check_variables {
    my ($script, $defines) = @_;
    my %known = (client_id => 1, %$defines, map { $_ => 1 } $script =~ /(?|\bAS (\w+)|^\\set (\w+))/mg);
    my @unknown = grep { !exists $known{$_} } $script =~ /(?<![:\w]):(\w+)/g;
    die "bench: a script for pgbench has no variable $unknown[0]\n" if @unknown;
    return;
}

# The scripts of a work load: ([text, weight], ...), {variables of all clients}. One script is STEPS requests.
sub scripts {
    my ($name, $works, $routes, $clients) = @_;
    my $work = $works->{$name};
    my (@scripts, %defines);
    my $mix = $work->{mix} || { $name => 1 };
    for my $part (sort keys %$mix) {
        my ($text, %more) =
            $part eq 'visit' ? script_of_visits($routes, $clients)
            : $part eq 'create' ? script_of_creates($routes, $clients)
            : $part eq 'E' ? script_of_tries($routes->{'tutoring.join'}, $work, $clients)
            : script_of_objects($part, [$routes->{ $works->{$part}{route} }], $works->{$part}, $clients);
        check_variables($text, \%more);
        push @scripts, [$text, $mix->{$part}];
        @defines{ keys %more } = values %more;
    }
    return (\@scripts, \%defines);
}

1;

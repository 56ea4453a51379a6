# SPDX-License-Identifier: Apache-2.0
# Migrations: several at once, killed, and interrupted by a restart of PostgreSQL. Each file is applied once, and the
# schema is the same.
use strict;
use warnings;

use File::Path qw(make_path remove_tree);
use LearnHub::Cluster;
use LearnHub::Ledger;
use LearnHub::Test;
use POSIX ();

expect_outage();

my $files = () = glob "$top/conf/schema/*.sql";

# A new empty database of the schema's owner; returns its connection string.
sub new_database {
    my ($name) = @_;
    superuser()->do("CREATE DATABASE $name OWNER learnhub_owner");
    superuser()->do("ALTER DATABASE $name SET search_path = learnhub, public");
    return $ENV{LEARNHUB_OWNER} =~ s/dbname=learnhub/dbname=$name/r;
}

# Starts a migration in a process group of its own, which writes to a file; returns its process.
sub start_migration {
    my ($conninfo, $output, $tree) = (@_, $top);
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    setpgrp;
    @ENV{qw(DATABASE GRANT_TO)} = ($conninfo, 'learnhub');
    open STDOUT, '>>', $output and open STDERR, '>&', \*STDOUT and exec "$tree/conf/quickstart/migrate";
    POSIX::_exit(127);
}

sub finished { my ($pid) = @_; waitpid $pid, 0; return $? }

sub versions_if_any { my ($conninfo) = @_; my @versions = versions($conninfo); return scalar @versions }

sub slurp { my ($file) = @_; open my $in, '<', $file or return ''; local $/; return scalar <$in> }

# The numbers of the migrations that a database has.
sub versions {
    my ($conninfo) = @_;
    my $database = LearnHub::Cluster->handle_of($conninfo);
    my ($there) = $database->selectrow_array("SELECT to_regclass('learnhub_meta.migrations')");
    return $there
        ? @{ $database->selectcol_arrayref('SELECT version FROM learnhub_meta.migrations ORDER BY version') } : ();
}

# Without the random bytes and the time of installation, which differ between databases.
sub schema_of {
    my ($conninfo) = @_;
    my $dump = `$LearnHub::Cluster::bin/pg_dump -s -n learnhub -n learnhub_meta '$conninfo'`;
    $? == 0 or die 'pg_dump failed';
    $dump =~ s/^\\(?:un)?restrict .*$//mg;
    return $dump =~ s/'\\\\x[0-9a-f]{10}'|'\d{4}-[\d-]+ [\d:.]+\+00'/''/gr;
}

my $expected = schema_of($ENV{LEARNHUB_OWNER});

# Compares the schema with that of the tests' database, which a single run created.
sub is_same {
    my ($conninfo) = @_;
    my (%of, %expected);
    $of{$_}++ for split /\n/, schema_of($conninfo);
    $expected{$_}++ for split /\n/, $expected;
    return is_deeply(\%of, \%expected, 'the schema is the one that a single run creates');
}

sub is_complete {
    my ($conninfo, $output) = @_;
    my @applied = slurp($output) =~ /^learnhub: applying (\d+)_/mg;
    is(scalar @applied, $files, 'every migration is reported once');
    is_deeply([versions($conninfo)], [1 .. $files], 'every migration is stored once');
    return is_same($conninfo);
}

subtest 'four migrations at once' => sub {
    my $conninfo = new_database('four');
    my $output = "$top/t/logs/migrations-four";
    my @exits = map { finished($_) } map { start_migration($conninfo, $output) } 1 .. 4;
    is_deeply(\@exits, [(0) x 4], 'all succeed');
    is_complete($conninfo, $output);
};

# The migrations, and a last one that takes longer than any test waits, so that no run ends by itself.
sub endless_migrations {
    my $tree = "$top/build/endless";
    remove_tree($tree);
    make_path("$tree/conf");
    system('cp', '-r', (map {"$top/conf/$_"} qw(quickstart learnhub-ctl LearnHubCtl schema)), "$tree/conf/") == 0
        or die 'cp failed';
    open my $last, '>', "$tree/conf/schema/9999_endless.sql" or die $!;
    print $last "SET client_connection_check_interval = '100ms';\nSELECT pg_sleep(60);\n";
    close $last or die $!;
    return $tree;
}

# The number of runs that are connected to a database.
sub runs_in {
    my ($database) = @_;
    my $query = q(SELECT 1 FROM pg_stat_activity WHERE datname = ? AND application_name = 'psql');
    return scalar(my @rows = sql($query, $database));
}

# A run may report a migration before it is interrupted, so reports are not counted.
subtest 'killed migrations, and a restart of PostgreSQL' => sub {
    my $conninfo = new_database('interrupted');
    my $output = "$top/t/logs/migrations-interrupted";
    my ($interrupted, $runs, $tree) = (0, long() ? 12 : 2, endless_migrations());
    for my $n (1 .. $runs) {
        my $pid = start_migration($conninfo, $output, $tree);
        my $goal = int 10 * $n / $runs;
        eventually(sub { runs_in('interrupted') && versions_if_any($conninfo) >= $goal }, 5);
        if ($n % 2) { kill KILL => -$pid }
        else { pg('stop', '-m', 'immediate'); pg('start') }
        $interrupted++ if finished($pid);
        eventually(sub { !runs_in('interrupted') }, 5);
    }
    cmp_ok($interrupted, '>=', 2, 'runs were interrupted');
    my @before = versions($conninfo);
    is_deeply(\@before, [1 .. @before], 'each stored migration follows the one before');
    is(finished(start_migration($conninfo, $output)), 0, 'the next run succeeds');
    is_deeply([versions($conninfo)], [1 .. $files], 'every migration is stored once');
    is_same($conninfo);
};

done_testing;

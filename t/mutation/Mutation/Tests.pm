# SPDX-License-Identifier: Apache-2.0
# Which test files run for a mutant, and in which order: those first that have caught the most mutants per second.
package Mutation::Tests;

use strict;
use warnings;

use List::Util qw(uniq);

# The test files of a folder, and further ones of a file, as the beginnings of their names.
my %folder = (
    db => [qw(20 40)],
    auth => [qw(30 34)],
    http => [qw(20 40)],
    crypto => [qw(32 30)],
    util => [qw(20 41)],
);
my %file = (
    'auth/account_checks' => [qw(33 38-pass 46)],
    'auth/account_steps' => [qw(33 36 38-login 46)],
    'auth/auth' => [qw(36)],
    'auth/last_use' => [qw(36)],
    'auth/link_steps' => [qw(33 46)],
    'auth/revocation' => [qw(33 36)],
    'auth/token' => [qw(36)],
    'auth/token_steps' => [qw(32 36)],
    'db/batch' => [qw(58-batches)],
    'db/cancel' => [qw(63)],
    'db/connect' => [qw(26 63)],
    'db/connectors' => [qw(26 63 65)],
    'db/exchange' => [qw(23 61)],
    'db/hosts' => [qw(63)],
    'db/pool' => [qw(26 faults/16)],
    'db/pool_state' => [qw(26 63)],
    'db/queue' => [qw(58-batches 62)],
    'db/result' => [qw(42 91)],
    'db/rows' => [qw(41 44)],
    'db/session' => [qw(65 64)],
    'db/sql' => [qw(61 62 91)],
    'db/statement' => [qw(35)],
    'db/turns' => [qw(59)],
    'http/accept' => [qw(67)],
    'http/body' => [qw(22 41 43 45)],
    'http/cache' => [qw(57)],
    'http/call' => [qw(22 44)],
    'http/claim' => [qw(23)],
    'http/condition' => [qw(22)],
    'http/cors' => [qw(26)],
    'http/deadline' => [qw(62)],
    'http/envelope' => [qw(41 43 45)],
    'http/error' => [qw(26 43 45)],
    'http/etag' => [qw(22)],
    'http/failure' => [qw(41 43 45 47 62)],
    'http/fields' => [qw(43 44 45)],
    'http/form' => [qw(27 30)],
    'http/idempotency' => [qw(23)],
    'http/json_body' => [qw(42 45 59)],
    'http/kept' => [qw(66-openapi 67)],
    'http/multipart' => [qw(45)],
    'http/object_digest' => [qw(42)],
    'http/output' => [qw(91)],
    'http/path' => [qw(41)],
    'http/rate' => [qw(27)],
    'http/receive' => [qw(59)],
    'http/reply' => [qw(22 26 57)],
    'http/request_id' => [qw(28)],
    'http/route' => [qw(35 57)],
    'http/route_check' => [qw(35)],
    'http/run' => [qw(22 23 41 57 91)],
    'http/served' => [qw(25 34 67)],
    'http/share' => [qw(59 91)],
    'http/standby' => [qw(71)],
    'http/stream' => [qw(43 91)],
    'http/topics' => [qw(57)],
);

# Tests whose result depends on the load of the machine.
my %noisy = map { $_ => 1 } qw(27 36 57 58 59 62 63 71 91 fa);

my (%seconds, %kills, %left_out);

sub tests_of {
    return grep { !$left_out{$_} } map {glob} split ' ', $ENV{TESTS} if $ENV{TESTS};
    my ($name) = $_[0] =~ m{mod_learnhub/(\w+/\w+)\.c$};
    my ($folder) = ($name // '') =~ m{^(\w+)/};
    my @names = (@{ $folder{ $folder // '' } || $folder{http} }, @{ $file{ $name // '' } || [] });
    return grep { !$left_out{$_} } uniq map { glob "t/$_*.t" } @names;
}

# The tests for a mutant of a file, those first that catch the most mutants per second.
sub order {
    my ($source) = @_;
    my %rate = map { $_ => (1 + 3 * ($kills{"$source $_"} || 0) + ($kills{$_} || 0)) / ($seconds{$_} || 10) }
        tests_of($source);
    return sort { $rate{$b} <=> $rate{$a} || $a cmp $b } keys %rate;
}

# The seconds after which a test has caught a mutant.
sub limit { my ($test) = @_; return 30 + 4 * ($seconds{$test} || 30) }

sub has_passed { return exists $seconds{ $_[0] } }
sub is_noisy { return $noisy{ substr $_[0], 2, 2 } }
sub leave_out { $left_out{ $_[0] } = 1; return }
sub left_out { return sort keys %left_out }
sub note_pass { my ($test, $time) = @_; $seconds{$test} = $time; return }
sub note_kill { my ($source, $test) = @_; $kills{$_}++ for $test, "$source $test"; return }

1;

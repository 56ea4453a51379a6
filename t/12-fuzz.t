# SPDX-License-Identifier: Apache-2.0
# Runs the fuzz targets in t/fuzz/ with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer. Each group of
# targets shares FUZZ_SECONDS (10) seconds. The seed is fixed: `make -f Makefile.apxs fuzz` tries other inputs and runs
# longer.
use strict;
use warnings;

use File::Basename qw(basename);
use Test::More;

my @groups = (
    ['json_body'], [qw(canonical drawing)], [qw(jwt headers)], [qw(form multipart)], [qw(photo mail evaluation)],
    [qw(time number text route search)]
);
my $seconds = $ENV{FUZZ_SECONDS} || 10;
my @targets = grep { $_ ne 'fuzz' } map { basename($_, '.c') } glob 't/fuzz/*.c';

is_deeply([sort map {@$_} @groups], \@targets, 'each target belongs to one group');
my $output = `make -s --no-print-directory -j2 -f Makefile.apxs fuzz-targets 2>&1`;
is($? . $output, '0', 'the targets compile') or BAIL_OUT('no fuzz targets');

for my $group (@groups) {
    for my $name (@$group) {
        my @seeds = glob "t/fuzz/$name/*";
        my $time = int($seconds / @$group) || 1;
        my $log = `t/fuzz/run $name -seed=1 -timeout=10 -max_total_time=$time 2>&1`;
        my $status = $?;
        my ($tried) = $log =~ /^stat::number_of_executed_units:\s*(\d+)/m;
        cmp_ok(scalar @seeds, '>=', 5, "$name has seeds");
        is($status, 0, "$name finds no fault") or diag(substr $log, -4000);
        cmp_ok($tried // 0, '>', @seeds, "$name tries more inputs than its seeds");
        note("$name: $tried inputs") if $tried;
    }
}
done_testing;

# SPDX-License-Identifier: Apache-2.0
# The disk of PostgreSQL is full: a library that PostgreSQL loads, t/lib/full_disk.c, lets system calls fail as a full
# file system does. Writes return 503, reads go on, and nothing that was acknowledged is lost.
use strict;
use warnings;

use LearnHub::Ledger;
use LearnHub::Test;
use Time::HiRes qw(sleep);

expect_outage();

my $flags = "$top/build/full-disk";
my $library = "$flags/full_disk.so";
mkdir $flags or die "$flags: $!";
system("gcc -std=c11 -O2 -shared -fPIC -o '$library' '$top/t/lib/full_disk.c' -ldl") == 0 or die 'gcc failed';

my $node = second_httpd(node_directives("LearnHubConnectionWait 10s\n"));
my $ledger = ledger(nodes => [$node->port]);

# Starts PostgreSQL with or without the library.
sub restart_with {
    my ($preload) = @_;
    local @ENV{qw(LD_PRELOAD FULL_DISK)} = ($preload, $flags) if $preload;
    pg('stop', '-m', 'fast');
    return pg('start');
}

sub flag { my ($name) = @_; open my $file, '>', "$flags/$name" or die "$name: $!"; return close $file }

restart_with($library);

subtest 'data files cannot grow' => sub {
    my $fill = sub {
        flag('base');
        sleep(long() ? 15 : 4);
        unlink "$flags/base" or die $!;
    };
    my $run = $ledger->under_load(fault => $fill, after => 1.5);
    consistent($run, 'disk full');
    my @during = grep { $_->{start} > $run->at('fault') && $_->{end} < $run->at('repaired') } $run->entries;
    my $served = grep { !$_->{write} && $_->{status} == 200 && $_->{kind} ne 'index' } @during;
    is_deeply([map { $_->{kind} } $run->failed('reads')], [], 'no read fails');
    cmp_ok($served, '>', 50, 'reads go on');
    cmp_ok(scalar(my @failed = $run->failed('writes')), '>', 10, 'writes fail');
    my @late = grep { $_->{start} > $run->at('repaired') + 0.5 } $run->failed;
    is_deeply([map { $_->{kind} } @late], [], 'no request fails when there is space again');
};

# PostgreSQL ends, and cannot start before there is space again.
subtest 'WAL cannot be written' => sub {
    my $fill = sub {
        my ($mark) = @_;
        flag('pg_wal');
        sleep 3;
        unlink "$flags/pg_wal" or die $!;
        eval { pg('stop', '-m', 'immediate') };
        restart_with('');
        $mark->('started');
    };
    my $run = $ledger->under_load(fault => $fill, after => 2);
    consistent($run, 'WAL full', recovery => sprintf '%.0f ms', 1000 * $run->last_failure('started'));
    my $after = grep { $_->{start} > $run->at('started') && $_->{status} =~ /^2/ } $run->entries('writes');
    cmp_ok($after, '>', 10, 'writes succeed after the start');
    open my $log, '<', "$top/build/run/pg.log" or die $!;
    cmp_ok(scalar(grep {/PANIC:.*No space left on device/} <$log>), '>', 0, 'PostgreSQL has ended by itself');
};

done_testing;

# SPDX-License-Identifier: Apache-2.0
# Requests whose answers do not grow, for SOAK_MINUTES (30) or a few seconds: memory, files, threads and connections of
# httpd do not grow either.
use strict;
use warnings;

use LearnHub::Cluster;
use LearnHub::Ledger;
use LearnHub::Test;
use List::Util qw(sum0);

my ($rounds, $seconds) = long() ? ($ENV{SOAK_MINUTES} // 30, 60) : (6, 1);
my $node = second_httpd(node_directives("ServerLimit 2\nMaxRequestWorkers 64\nMaxSpareThreads 64\n"));
my $ledger = ledger(nodes => [$node->port], pause => 0.005, mentors => 1,
    mix => [qw(session create page problem problems join me autosave credits coding streamed leave index eco xp)]);

sub first_line { my ($file) = @_; open my $in, '<', $file or return ''; return scalar readline $in }

sub children {
    my @stats = grep {defined} map { first_line($_) } glob '/proc/[0-9]*/stat';
    return map { /^(\d+) \(.*\) \w (\d+)/s && $2 == $node->pid ? $1 : () } @stats;
}

# The proportional set size of a process in KB.
sub memory {
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/smaps_rollup" or return 0;
    my ($kb) = join('', <$in>) =~ /^Pss:\s+(\d+)/m;
    return $kb;
}

sub in_folder { my ($folder) = @_; return scalar(my @all = glob "$folder/*") }

sub resources {
    my @children = children();
    return {
        'PSS in KB' => sum0(map { memory($_) } @children), files => sum0(map { in_folder("/proc/$_/fd") } @children),
        threads => sum0(map { in_folder("/proc/$_/task") } @children),
        connections => scalar(my @backends = LearnHub::Cluster->main->backends)
    };
}

subtest 'constant requests' => sub {
    my (@found, $requests, @wrong);
    for my $round (1 .. $rounds) {
        my $run = $ledger->under_load(before => $seconds / 2, after => $seconds / 2);
        $requests += $run->entries;
        push @found, resources();
        my $wrong = $ledger->compare;
        push @wrong, map { @{ $wrong->{$_} } } sort keys %$wrong;
        push @wrong, map {"$_->{kind} $_->{status}"} grep { $_->{status} !~ /^(?:20[01]|400)$/ } $run->entries;
        $ledger->forget;
        my $resources = $found[-1];
        diag("$requests requests: " . join ', ', map {"$resources->{$_} $_"} sort keys %$resources);
    }
    my ($first, $last) = map { $found[$_] } int $rounds / 3, -1;
    is_deeply(\@wrong, [], 'no request fails, and the database agrees with the responses');
    cmp_ok($requests, '>', 100 * $rounds, 'many requests were sent');
    cmp_ok($last->{'PSS in KB'}, '<', 1.1 * $first->{'PSS in KB'} + 1024,
        'the memory does not grow after the first third');
    cmp_ok($last->{$_}, '<=', $first->{$_} + 16, "nor does the number of $_") for qw(files threads connections);
};

done_testing;

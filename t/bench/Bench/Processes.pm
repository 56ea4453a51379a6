# SPDX-License-Identifier: Apache-2.0
# What processes cost, from /proc.
package Bench::Processes;

use strict;
use warnings;

use POSIX ();
use Time::HiRes ();

use constant LOOPS => 10;

my $ticks = POSIX::sysconf(POSIX::_SC_CLK_TCK());

sub lines_of {
    my ($file) = @_;
    open my $in, '<', $file or return; # the process has ended
    return <$in>;
}

# The members of /proc/PID/stat behind the name: state, ppid, ... by their numbers in proc(5), or an empty list.
sub stat_of {
    my ($pid) = @_;
    my ($line) = lines_of("/proc/$pid/stat") or return;
    return (undef, undef, undef, split ' ', $line =~ s/^.*\) //sr);
}

# A process and its descendants.
sub family {
    my ($root) = @_;
    my %children;
    for my $pid (map {m{(\d+)}} glob '/proc/[0-9]*') {
        my @stat = stat_of($pid) or next;
        push @{ $children{ $stat[4] } }, $pid;
    }
    my @family = ($root);
    push @family, @{ $children{$_} || [] } for @family;
    return @family;
}

# CPU seconds of a process, its living descendants, and the children it has waited for.
sub cpu {
    my ($root) = @_;
    my $sum = 0;
    for my $pid (family($root)) {
        my @stat = stat_of($pid) or next;
        $sum += $stat[14] + $stat[15] + ($pid == $root ? $stat[16] + $stat[17] : 0);
    }
    return $sum / $ticks;
}

# Voluntary and involuntary context switches of all threads.
sub switches {
    my ($root) = @_;
    my $sum = 0;
    for my $file (map { glob "/proc/$_/task/*/status" } family($root)) {
        $sum += $_ for map {/^(?:non)?voluntary_ctxt_switches:\s+(\d+)/} lines_of($file);
    }
    return $sum;
}

# Proportional set size in MB: pages that processes share are divided among them.
sub pss {
    my ($root) = @_;
    my $sum = 0;
    for my $pid (family($root)) {
        $sum += $_ for map {/^Pss:\s+(\d+) kB/} lines_of("/proc/$pid/smaps_rollup");
    }
    return $sum / 1024;
}

# CPU seconds of this process and its children, such as wrk.
sub own_cpu {
    my ($user, $system, $child_user, $child_system) = times;
    return $user + $system + $child_user + $child_system;
}

# CPU seconds of all processes of the machine, and of other virtual machines that were served in our stead. Interrupts
# are not included: they belong to no process.
sub machine_cpu {
    my (undef, $user, $nice, $system, undef, undef, undef, undef, $steal) = split ' ', (lines_of('/proc/stat'))[0];
    return ($user + $nice + $system + ($steal || 0)) / $ticks;
}

sub cores { return scalar grep {/^cpu\d/} lines_of('/proc/stat') }

# A snapshot of the servers, given as {name => process id}, for cost().
sub snapshot {
    my ($servers) = @_;
    my %now = (time => Time::HiRes::time(), machine => machine_cpu(), own => own_cpu());
    $now{$_} = { cpu => cpu($servers->{$_}), switches => switches($servers->{$_}) } for keys %$servers;
    return \%now;
}

# The cost between two snapshots: {name}{cpu, switches}, and the share of all cores that other processes had.
sub cost {
    my ($from, $to, @names) = @_;
    my %cost;
    my $ours = $to->{own} - $from->{own};
    for my $name (@names) {
        $cost{$name} = { map { $_ => $to->{$name}{$_} - $from->{$name}{$_} } qw(cpu switches) };
        $ours += $cost{$name}{cpu};
    }
    my $others = $to->{machine} - $from->{machine} - $ours;
    $cost{others} = ($others > 0 ? $others : 0) / (($to->{time} - $from->{time}) * cores());
    return \%cost;
}

# Seconds of a fixed loop of integers, the fastest of some: it takes longer in a slow phase of the machine, but not when
# another process interrupts it.
sub loop {
    my $fastest;
    for (1 .. LOOPS) {
        my $began = Time::HiRes::time();
        my $sum = 0;
        $sum = ($sum * 33 + $_) & 0xffffff for 1 .. 200_000;
        my $seconds = Time::HiRes::time() - $began;
        $fastest = $seconds if !defined $fastest || $seconds < $fastest;
    }
    return $fastest;
}

1;

# SPDX-License-Identifier: Apache-2.0
# Machines of a test: each is a network namespace with an address of its own on a bridge. Their processes can be
# stopped, continued and killed together, and their cable can be cut: packets are lost, and nobody gets an error. The
# test itself is at 10.0.1.254. Needs `make cluster`, which gives the tests a network of their own.
package LearnHub::Network;

use strict;
use warnings;

use Carp qw(croak);
use File::Path qw(make_path);
use POSIX ();
use Time::HiRes ();

use LearnHub::Test;

my $owner = $$;
my $bridge = 'bridge';
my @all;

sub ip { my (@arguments) = @_; return system('ip', @arguments) == 0 || croak "ip @arguments fails" }

# The address of the test.
sub gateway {'10.0.1.254'}

# new('db1', 1): a machine at 10.0.1.1. Its processes run in build/clusters/db1.
sub new {
    my ($class, $name, $number) = @_;
    if (!@all) {
        ip(qw(link add), $bridge, qw(type bridge));
        ip(qw(address add), gateway() . '/24', 'dev', $bridge);
        ip(qw(link set), $bridge, 'up');
    }
    my $self = bless { name => $name, address => "10.0.1.$number", cable => "cable$number",
        directory => "$top/build/clusters/$name" }, $class;
    make_path($self->{directory});
    $self->{holder} = $self->start_in('unshare', '--net', 'sleep', 'infinity');
    my $network = readlink '/proc/self/ns/net';
    eventually(sub { (readlink("/proc/$self->{holder}/ns/net") // $network) ne $network }) or croak 'no namespace';
    push @all, $self;
    ip(qw(link add), $self->{cable}, qw(type veth peer name eth0 netns), $self->{holder});
    ip(qw(link set), $self->{cable}, 'master', $bridge, 'up');
    my @inside = ('nsenter', '-t', $self->{holder}, '-n', 'ip');

    my @address = ('address', 'add', "$self->{address}/24", 'dev', 'eth0');
    for ([qw(link set lo up)], \@address, [qw(link set eth0 up)]) {
        system(@inside, @$_) == 0 or croak "@inside @$_ fails";
    }
    return $self;
}

sub name { my ($self) = @_; return $self->{name} }
sub address { my ($self) = @_; return $self->{address} }
sub directory { my ($self) = @_; return $self->{directory} }

# Starts a command in the background, in the machine's directory; its output is appended to `log` there.
sub start_in {
    my ($self, @command) = @_;
    my $pid = fork // croak "fork: $!";
    return $pid if $pid;
    chdir $self->{directory} or POSIX::_exit(126);
    open STDIN, '<', '/dev/null' and open STDOUT, '>>', 'log' and open STDERR, '>&', \*STDOUT and exec @command;
    POSIX::_exit(127);
}

# The same, in the machine's network.
sub run {
    my ($self, @command) = @_;
    return $self->start_in('nsenter', '-t', $self->{holder}, '-n', @command);
}

# All processes of the machine.
sub processes {
    my ($self) = @_;
    my $network = readlink "/proc/$self->{holder}/ns/net" or return;
    my @found = map {m{(\d+)}} grep { (readlink($_) // '') eq $network } glob '/proc/[0-9]*/ns/net';
    return grep { $_ != $self->{holder} } @found;
}

# Stops all processes, also those that are started meanwhile; continues them; kills them as a loss of power does.
sub freeze { my ($self) = @_; kill STOP => $self->processes for 1 .. 3; return }
sub thaw { my ($self) = @_; return kill CONT => $self->processes }

sub crash {
    my ($self) = @_;
    for (1 .. 100) {
        my @left = $self->processes or last;
        kill KILL => @left;
        Time::HiRes::sleep(0.02);
    }
    return;
}

sub cut { my ($self) = @_; return ip(qw(link set), $self->{cable}, 'down') }
sub heal { my ($self) = @_; return ip(qw(link set), $self->{cable}, 'up') }

END {
    if ($$ == $owner) {
        my $status = $?;
        for my $machine (@all) {
            $machine->crash;
            kill KILL => $machine->{holder};
        }
        system 'ip', 'link', 'delete', $bridge if @all;
        $? = $status;
    }
}

1;

# SPDX-License-Identifier: Apache-2.0
# An additional httpd for a test, beside the one that Apache::Test started. Its files are t/logs/second-*.
package LearnHub::Server;

use strict;
use warnings;

use Carp qw(croak);
use IO::Socket::INET ();
use Time::HiRes ();

my $top = $ENV{LEARNHUB_TOP};
my $logs = "$top/t/logs";
my $httpd = $ENV{LEARNHUB_SAN} ? "$top/t/lib/httpd-sanitized" : (grep {-x} '/usr/sbin/apache2', '/usr/sbin/httpd')[0];
my @started;
my %given; # ports
my $serial = 0;
my $restarted = 0;

sub started { return @started }

# Whether any server was restarted since the last call.
sub restarted { my $was = $restarted; $restarted = 0; return $was }

sub port { my ($self) = @_; return $self->{port} }
sub error_log { my ($self) = @_; return "$self->{files}.log" }

sub pid {
    my ($self) = @_;
    open my $file, '<', $self->{pid_file} // "$self->{files}.pid" or return 0;
    my $pid = <$file> // 0;
    return $pid + 0;
}

# A free port below the kernel's ephemeral range, which this process has not received before. The two copies of the
# tree, whose tests run beside each other, have different ranges.
sub free_port {
    my $lowest = $top =~ m{/second\z} ? 26000 : 20000;
    for (1 .. 200) {
        my $port = $lowest + int rand 6000;
        return $port if !$given{$port}++ && IO::Socket::INET->new(LocalPort => $port, Listen => 1);
    }
    croak 'no free port';
}

# Writes the configuration file: the files of t/conf, then $directives.
sub configuration {
    my ($class, $directives, %with) = @_;
    my %self = (port => free_port(), files => "$logs/second-$$-$^T-" . $serial++, file_kb => $with{file_kb},
        directives => $directives, alone => $with{alone});
    my $self = bless {%self}, $class;
    my @includes = map {"$top/t/conf/$_.conf"} $with{alone} ? () : $with{bare} ? 'base' : qw(base extra);
    open my $conf, '>:utf8', "$self->{files}.conf" or croak "$self->{files}.conf: $!";
    print $conf qq(ServerRoot "$top/t"\nServerName localhost\nDocumentRoot "$top/t/htdocs"\n),
        qq(Listen $self->{port}\nPidFile "$self->{files}.pid"\nDefaultRuntimeDir "$logs"\n),
        qq(ErrorLog "$self->{files}.log"\n), map({qq(Include "$_"\n)} @includes), $directives, "\n";
    close $conf or croak "$self->{files}.conf: $!";
    return $self;
}

sub httpd {
    my ($self, @arguments) = @_;
    my $pid = open(my $out, '-|') // croak "fork: $!";
    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        delete $ENV{HOME};
        my @command = ($httpd, '-f', "$self->{files}.conf", @arguments);
        exec @command if !$self->{file_kb};
        exec 'bash', '-c', "ulimit -f $self->{file_kb}; exec \"\$@\"", 'bash', @command;
        exit 127;
    }
    my $text = do { local $/; <$out> };
    close $out;
    return ($? >> 8, $text // '');
}

sub configtest {
    my ($class, $directives, %with) = @_;
    return $class->configuration($directives, %with)->httpd('-t');
}

sub start {
    my ($class, $directives, %with) = @_;
    my $self = $class->configuration($directives, %with);
    my ($status, $text) = $self->httpd('-k', 'start');
    push @started, $self;
    $status == 0 && $self->accepts_connections or croak "httpd did not start: $text" . $self->log_text;
    return $self;
}

# The server that Apache::Test started.
sub main {
    my ($class) = @_;
    return bless { port => $ENV{LEARNHUB_PORT}, files => "$logs/error", pid_file => "$logs/httpd.pid" }, $class;
}

sub log_text {
    my ($self) = @_;
    open my $log, '<', $self->error_log or return '';
    local $/;
    return scalar <$log>;
}

# Waits until the server accepts connections; 0 after 10 seconds.
sub accepts_connections {
    my ($self) = @_;
    for (1 .. 200) {
        return 1 if $self->pid && IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port});
        Time::HiRes::sleep(0.05);
    }
    return 0;
}

sub graceful { my ($self) = @_; return $self->restart('graceful') }

# 'graceful' or 'restart': returns when the error log reports the new generation.
sub restart {
    my ($self, $how) = @_;
    my $file = $self->{pid_file} ? "$logs/error_log" : $self->error_log;
    my $count = sub { open my $log, '<', $file or return 0; return scalar grep {/resuming normal operations/} <$log> };
    my $before = $count->();
    $restarted = 1;
    kill $how eq 'graceful' ? 'USR1' : 'HUP', $self->pid or croak "kill: $!";
    for (1 .. 400) {
        return 1 if $count->() > $before && $self->accepts_connections;
        Time::HiRes::sleep(0.05);
    }
    croak "no $how within 20 seconds";
}

# Whether a process runs. One that has ended, but that its parent (in a container often a slow init) has not waited for
# yet, does not.
sub runs {
    my ($pid) = @_;
    open my $stat, '<', "/proc/$pid/stat" or return 0;
    return (<$stat> // '') !~ /^.*\) [ZX]/s;
}

sub stop {
    my ($self) = @_;
    my $pid = $self->pid or return;
    Time::HiRes::sleep(0.1); # mpm_event can crash if it is stopped while a thread ends a request
    kill TERM => $pid;
    for (1 .. 300) {
        last if !runs($pid);
        Time::HiRes::sleep(0.05);
    }
    kill KILL => -$pid if runs($pid);
    unlink "$self->{files}.pid";
    return;
}

1;

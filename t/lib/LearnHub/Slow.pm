# SPDX-License-Identifier: Apache-2.0
# Many slow clients in one process, other clients whose times are measured meanwhile, and a server with the
# configuration of the quick start.
package LearnHub::Slow;

use strict;
use warnings;

use Errno qw(EAGAIN EALREADY EINPROGRESS EISCONN ENOTCONN);
use Exporter qw(import);
use Fcntl qw(F_GETFL F_SETFL O_NONBLOCK);
use IO::Handle ();
use JSON::XS ();
use POSIX ();
use Socket qw(PF_INET SOCK_STREAM SOL_SOCKET SO_RCVBUF IPPROTO_TCP TCP_NODELAY inet_aton pack_sockaddr_in);
use Time::HiRes qw(sleep time);

use LearnHub::Ledger;
use LearnHub::Test;

our @EXPORT = qw(quickstart_httpd quantile times_of not_slower children_of pss_of held_connections address_of);

my $tick = 0.2; # seconds

# A client needs a descriptor here, and one or two in httpd.
BEGIN {
    my $files = POSIX::sysconf(POSIX::_SC_OPEN_MAX);
    if ($files < 4096) {
        my $again = 'ulimit -n 4096 && exec "$@"';
        exec 'bash', '-c', $again, 'bash', $^X, (map {"-I$_"} @INC), $0, @ARGV or die "bash: $!";
    }
}

# ---- slow clients ----

# An address of this machine for each client, other than that of the tests.
sub address_of { my ($i) = @_; return sprintf '127.1.%d.%d', $i / 200, 1 + $i % 200 }

# Starts $with{count} clients of the server at $with{port}. Each sends `request` (bytes, or a sub that gets the number
# of the client and returns them), then `feed` each 0.2 seconds, and reads `read` bytes each 0.2 seconds, 0 for none
# (but 4 KB more go into its receive buffer). `from`: a sub that returns the client's address. again => 1: a client
# whose connection ends opens another one after a second, as Retry-After says.
sub start {
    my ($class, %with) = @_;
    pipe my $from, my $to or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        close $from;
        $SIG{PIPE} = 'IGNORE';
        eval { serve_clients($to, \%with); 1 } or warn $@;
        POSIX::_exit(0);
    }
    fcntl $from, F_SETFL, O_NONBLOCK;
    return bless { pid => $pid, from => $from, buffer => '', last => { begun => 0, bytes => 0 } }, $class;
}

# What the clients have done: {open => connections, begun => those that have received bytes, bytes => received,
# ended => {status => number of answers that ended}}; '000' is a connection that ended without an answer.
sub progress {
    my ($self) = @_;
    1 while sysread $self->{from}, $self->{buffer}, 65536, length $self->{buffer};
    if ($self->{buffer} =~ /([^\n]+)\n[^\n]*\z/) {
        $self->{last} = JSON::XS::decode_json($1);
        $self->{buffer} =~ s/.*\n//s;
    }
    return $self->{last};
}

# Closes all connections.
sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    kill KILL => $pid;
    waitpid $pid, 0;
    return;
}

sub DESTROY { my ($self) = @_; local ($?, $@); $self->stop if $self->{pid}; return }

sub open_client {
    my ($with, $i) = @_;
    socket my $socket, PF_INET, SOCK_STREAM, 0 or die "socket: $!";
    setsockopt $socket, SOL_SOCKET, SO_RCVBUF, $with->{buffer} || 4096;
    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
    bind $socket, pack_sockaddr_in(0, inet_aton($with->{from}->($i))) or die "bind: $!" if $with->{from};
    fcntl $socket, F_SETFL, fcntl($socket, F_GETFL, 0) | O_NONBLOCK;
    my $server = pack_sockaddr_in($with->{port}, inet_aton('127.0.0.1'));
    connect $socket, $server or $! == EINPROGRESS or die "connect: $!";
    my $request = ref $with->{request} ? $with->{request}->($i) : $with->{request};
    return { i => $i, socket => $socket, to_send => $request, got => 0, head => '' };
}

sub send_some {
    my ($client, $with) = @_;
    $client->{to_send} .= $with->{feed} if defined $with->{feed} && !length $client->{to_send};
    return 1 if !length $client->{to_send};
    my $n = syswrite $client->{socket}, $client->{to_send};
    return $! == EAGAIN || $! == EALREADY || $! == EISCONN || $! == ENOTCONN if !defined $n;
    substr $client->{to_send}, 0, $n, '';
    return 1;
}

# Returns 0 at the end of the connection.
sub read_some {
    my ($client, $with) = @_;
    my $n = sysread $client->{socket}, my $data, $client->{got} ? $with->{read} || 0 : 15;
    return $! == EAGAIN || $! == ENOTCONN if !defined $n;
    return 0 if !$n && ($with->{read} || !$client->{got});
    $client->{head} = $data if !$client->{got};
    $client->{got} += $n;
    return 1;
}

sub report {
    my ($to, $clients, $ended, $bytes) = @_;
    my @open = grep {$_} @$clients;
    $bytes += $_->{got} for @open;
    my $begun = grep { $_->{got} } @open;
    my %report = (open => scalar @open, begun => $begun, bytes => $bytes, ended => $ended);
    syswrite $to, JSON::XS::encode_json(\%report) . "\n";
    return;
}

# One report each tick; ends when nobody reads them.
sub serve_clients {
    my ($to, $with) = @_;
    my (@clients, @ended_at, %ended);
    my ($bytes, $parent) = (0, getppid);
    $_ = open_client($with, $_) for @clients = 0 .. $with->{count} - 1;
    fcntl $to, F_SETFL, O_NONBLOCK;
    for (my $next = time + $tick; getppid == $parent; $next += $tick) {
        for my $i (grep { $ended_at[$_] && time > $ended_at[$_] + $with->{again} } 0 .. $#clients) {
            $clients[$i] = open_client($with, $i);
            $ended_at[$i] = undef;
        }
        for my $client (grep {$_} @clients) {
            my $writes = send_some($client, $with);
            my $alive = read_some($client, $with) && ($writes || $client->{got});
            next if $alive;
            $ended{ $client->{head} =~ m{^HTTP/1.1 (\d+)} ? $1 : '000' }++;
            $bytes += $client->{got};
            close $client->{socket};
            $ended_at[$client->{i}] = $with->{again} && time;
            $clients[$client->{i}] = undef; # $client is an alias of it
        }
        report($to, \@clients, \%ended, $bytes);
        my $left = $next - time;
        $left > 0 ? sleep $left : ($next = time);
    }
    return;
}

# ---- other clients ----

# The value below which a share of the values is.
sub quantile {
    my ($share, @values) = @_;
    my @sorted = sort { $a <=> $b } @values;
    return @sorted ? $sorted[POSIX::ceil($share * @sorted) - 1] : 0;
}

# The times of the requests of a run of LearnHub::Ledger, in milliseconds.
sub times_of { my ($run) = @_; return map { 1000 * ($_->{end} - $_->{start}) } $run->entries }

# not_slower($name, $run, @alone): tests that the p99 of a run (in short runs, with few requests, the p90) is less than
# four times that of the runs without slow clients, or of 25 ms if they were faster, and that nothing failed but
# requests on kept connections, which httpd may close at any time. Returns figures for LearnHub::Ledger.
sub not_slower {
    my ($name, $run, @alone) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $percent = long() ? 99 : 90;
    my ($base) = sort { $b <=> $a } map { quantile($percent / 100, times_of($_)) } @alone;
    my $time = quantile($percent / 100, times_of($run));
    cmp_ok($time, '<', 4 * ($base > 25 ? $base : 25), "$name: others' p$percent is less than four times as long");
    my @failed = grep { $_->{status} || $_->{fresh} } $run->failed;
    is_deeply([map {"$_->{kind} $_->{status}"} @failed], [], "$name: no request of others fails");
    return map { ("p$_" => sprintf '%.1f instead of %.1f ms', map { quantile($_->[0], times_of($_->[1])) }
                [$_ / 100, $run], [$_ / 100, $alone[0]]) } 50, 90, 99;
}

# ---- servers ----

# A server with conf/quickstart/httpd.conf and $directives, which accepts the tokens of the test server.
sub quickstart_httpd {
    my ($directives) = @_;
    my $run = "$top/t/logs/quickstart-$$";
    mkdir $run;
    open my $secret, '>', "$run/jwt-secret" or die "$run: $!";
    print $secret $jwt_secret;
    close $secret or die $!;
    my ($base) = do { local (@ARGV, $/) = "$top/t/conf/base.conf"; <> };
    my ($modules) = $base =~ m{"(/\S+)/mod_mpm_event\.so"} or die 'no modules';
    my ($database) = $base =~ /^(DBDParams .*)/m or die 'no DBDParams';
    my $conf = do { local (@ARGV, $/) = "$top/conf/quickstart/httpd.conf"; <> };
    $conf =~ s/^(?:ServerRoot|PidFile|ErrorLog|CustomLog) .*\n//mg;
    $database =~ s/application_name=\S+/application_name=quickstart/;
    return second_httpd(<<"CONF", alone => 1);
Define learnhub_top "$top"
Define learnhub_run "$run"
Define learnhub_modules "$modules"
$conf
LogLevel mpm_event:notice
$database
@{[$directives // '']}
CONF
}

# The child processes of a server.
sub children_of {
    my ($server) = @_;
    my $pid = $server->pid;
    open my $children, '<', "/proc/$pid/task/$pid/children" or die "children of $pid: $!";
    return sort { $a <=> $b } split ' ', <$children> // '';
}

# The memory of a server's processes in MB (PSS).
sub pss_of {
    my ($server) = @_;
    my $sum = 0;
    for my $pid ($server->pid, children_of($server)) {
        open my $in, '<', "/proc/$pid/smaps_rollup" or next;
        $sum += $1 if join('', <$in>) =~ /^Pss:\s+(\d+)/m;
    }
    return $sum / 1024;
}

# The number of database connections of quickstart_httpd() that stay in use while no short request runs: the fewest of
# some moments.
sub held_connections {
    my $fewest;
    for (1 .. 5) {
        my $busy = busy_connections('quickstart');
        $fewest = $busy if !defined $fewest || $busy < $fewest;
        sleep 0.1;
    }
    return $fewest;
}

1;

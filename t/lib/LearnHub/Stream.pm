# SPDX-License-Identifier: Apache-2.0
# Long responses: measures the memory of the server's processes, reads slowly, finds the files of the spool.
package LearnHub::Stream;

use strict;
use warnings;

use Exporter qw(import);
use Socket qw(PF_INET SOCK_STREAM SOL_SOCKET SO_RCVBUF INADDR_LOOPBACK pack_sockaddr_in);

use LearnHub::Test;

our @EXPORT = qw(receive_measured fill slow_reader rest_of spool_files busy_workers stays_busy stuck_connections);

# GET of $path: (status, body, most), where most is the largest private memory of a process meanwhile, in KB.
sub receive_measured {
    my ($user, $path) = @_;
    my ($body, $most, $chunks) = ('', 0, 0);
    my $receive = sub {
        $body .= $_[0];
        return if ++$chunks % 200;
        my $now = resident();
        $most = $now if $now > $most;
    };
    my $response = LearnHub::Test::agent()->get('http://127.0.0.1:' . port() . $path,
        Authorization => "Bearer $user->{token}", ':content_cb' => $receive);
    return ($response->code, $body, $most);
}

# Gives a user $count more practice sessions with a diagram of $kb KB.
sub fill {
    my ($user, $count, $kb) = @_;
    return sql("INSERT INTO learnhub.practice_sessions (user_id, problem_id, diagram_data)
        SELECT u.id, learnhub.object_id(), json_build_object('n', n, 'filler',
            (SELECT string_agg(md5(i::text || n), '') FROM generate_series(1, ?) i))
        FROM learnhub.users u, generate_series(1, ?) n WHERE u.email = ?", $kb * 32, $count, $user->{email});
}

# A client that sends a request on a connection of its own and has a receive buffer of a few KB. It reads nothing before
# rest_of(). $user may be undef. method => 'PUT', json => text; times => 10: sends the request as often.
sub slow_reader {
    my ($path, $user, %with) = @_;
    my $token = $user ? "Authorization: Bearer $user->{token}\r\n" : '';
    socket my $socket, PF_INET, SOCK_STREAM, 0 or die "socket: $!";
    setsockopt $socket, SOL_SOCKET, SO_RCVBUF, 4096 or die "setsockopt: $!";
    connect $socket, pack_sockaddr_in($with{port} || port(), INADDR_LOOPBACK) or die "connect: $!";
    my $request = sprintf "%s %s HTTP/1.1\r\nHost: x\r\n%s", $with{method} || 'GET', $path, $token;
    my $json = $with{json} // '';
    $request .= sprintf "Content-Type: application/json\r\nContent-Length: %d\r\n", length $json if length $json;
    syswrite $socket, "$request\r\n$json" x (($with{times} || 1) - 1) . "${request}Connection: close\r\n\r\n$json";
    return $socket;
}

# Reads to the end: (status, headers, body); nothing if nothing was sent.
sub rest_of {
    my ($socket) = @_;
    my $all = '';
    1 while sysread $socket, $all, 1 << 16, length $all;
    my ($head, $body) = split /\r\n\r\n/, $all, 2;
    return () if !length $all;
    return ($head =~ m{^HTTP/1.1 (\d+)}, $head, $body);
}

# The files of the spool that the child processes of a server have open: [child, bytes].
sub spool_files {
    my ($server) = @_;
    my @files;
    for my $file (glob '/proc/[0-9]*/stat') {
        open my $in, '<', $file or next;
        my ($pid, $parent) = join('', <$in>) =~ /^(\d+) \(.*\) \w (\d+)/ or next;
        next if $parent != $server->pid;
        push @files, map { [$pid, -s] } grep { (readlink($_) // '') =~ m{/learnhub-\w{6} } } glob "/proc/$pid/fd/*";
    }
    return @files;
}

sub busy_workers {
    my ($server) = @_;
    return api(GET => '/server-status?auto', port => $server->port)->body =~ /^BusyWorkers: (\d+)/m ? $1 : -1;
}

# Waits until this number of threads, that of the status page included, is busy for a while.
sub stays_busy {
    my ($server, $count) = @_;
    my $same = 0;
    return eventually(sub { $same = busy_workers($server) == $count ? $same + 1 : 0; $same == 4 });
}

# The number of a server's connections whose clients do not read what was sent.
sub stuck_connections {
    my ($server) = @_;
    my $port = sprintf '%04X', $server->port;
    my @lines;
    for my $file ('/proc/net/tcp', '/proc/net/tcp6') {
        open my $in, '<', $file or next;
        push @lines, <$in>;
    }
    return scalar grep { /^\s*\d+: \w+:$port \S+ 01 (\w+):/ && hex $1 > 4096 } @lines;
}

1;

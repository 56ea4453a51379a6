# SPDX-License-Identifier: Apache-2.0
# Many HTTP clients in one process: each sends requests one after another on a connection of its own, keeps it alive,
# and measures how long each takes. Requests are never repeated.
package LearnHub::Sockets;

use strict;
use warnings;

use Errno qw(EAGAIN EINPROGRESS EINTR);
use Fcntl qw(F_SETFL O_NONBLOCK);
use JSON::XS ();
use Socket qw(INADDR_LOOPBACK IPPROTO_TCP PF_INET SOCK_STREAM SOL_SOCKET SO_ERROR TCP_NODELAY pack_sockaddr_in);
use Time::HiRes qw(time);

use LearnHub::Exchange;

# bytes_of(POST => '/path', token =>, json =>, form => 'a=b', headers => {}): the bytes of a request.
sub bytes_of {
    my ($method, $path, %with) = @_;
    my $body = exists $with{json} ? JSON::XS->new->utf8->canonical->encode($with{json}) : $with{form} // '';
    my %headers = (Host => 'localhost', %{ $with{headers} || {} });
    $headers{Authorization} = "Bearer $with{token}" if defined $with{token};
    $headers{'Content-Type'} //= exists $with{json} ? 'application/json' : 'application/x-www-form-urlencoded'
        if length $body;
    $headers{'Content-Length'} = length $body if length $body || $method ne 'GET';
    return "$method $path HTTP/1.1\r\n" . join('', map {"$_: $headers{$_}\r\n"} sort keys %headers) . "\r\n$body";
}

# drive($clients, next =>, done =>, stopped =>, limit => 30): lets the clients send requests until `stopped` returns
# true and their last requests have ended. A client is a hash; `port` is where it connects, `fresh` 1 opens a connection
# for each request, `pause` is the time in seconds between its requests, and `next` returns the bytes of its next
# request, or undef if it sends none any more. `done` gets the client and the result:
#   status       of the response; 0 if the connection was closed, or `limit` seconds have passed, before it was complete
#   start, end   the time before the connection was opened or the request was sent; when the response was complete
#   fresh        1 if the connection was opened for this request
#   sent         1 if the request was written completely
#   part         1 if a part of the response was received, but not all
#   retry, json  the header Retry-After; whether the body has the media type of JSON
#   body         the body of the response, as received
sub drive {
    my ($clients, %with) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my ($limit, $stopping) = ($with{limit} || 30, 0);
    my %client_of; # by the number of the socket
    while (1) {
        my $now = time;
        $stopping ||= $with{stopped}->();
        for my $client (grep { !$_->{busy} } @$clients) {
            next if $stopping || ($client->{not_before} // 0) > $now;
            my $bytes = $with{next}->($client) // do { $client->{not_before} = 9**9**9; next };
            begin($client, $bytes);
        }
        my @busy = grep { $_->{busy} } @$clients;
        last if $stopping && !@busy;
        for my $client (@busy) {
            finish($client, \%with) if $client->{failed} || $now - $client->{result}{start} > $limit;
        }
        wait_for([grep { $_->{busy} } @$clients], \%with, next_time($clients, $now, $stopping));
    }
    delete $_->{socket} for @$clients;
    return;
}

# The seconds until a client sends its next request; at most 0.1, so that `stopped` is called often enough.
sub next_time {
    my ($clients, $now, $stopping) = @_;
    my $least = 0.1;
    return $least if $stopping;
    for my $client (grep { !$_->{busy} } @$clients) {
        my $left = ($client->{not_before} // 0) - $now;
        $least = $left if $left < $least;
    }
    return $least < 0 ? 0 : $least;
}

# Starts a request on the open connection, or on a new one.
sub begin {
    my ($client, $bytes) = @_;
    my $reused = $client->{socket} && !$client->{fresh} && is_open($client->{socket});
    $client->{result} = { start => time, fresh => $reused ? 0 : 1, sent => 0, status => 0 };
    @$client{qw(busy request out in need failed)} = (1, $bytes, $bytes, '', undef, 0);
    return flush_out($client) if $reused;
    socket my $socket, PF_INET, SOCK_STREAM, 0 or die "socket: $!";
    fcntl $socket, F_SETFL, O_NONBLOCK or die "fcntl: $!";
    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1 or die "setsockopt: $!";
    $client->{socket} = $socket;
    connect $socket, pack_sockaddr_in($client->{port}, INADDR_LOOPBACK) and return flush_out($client);
    $client->{failed} = 1 if $! != EINPROGRESS;
    return;
}

# Whether the server has not closed an idle connection, as HTTP clients check before they use it again.
sub is_open {
    my ($socket) = @_;
    vec(my $ready = '', fileno $socket, 1) = 1;
    return !select $ready, undef, undef, 0;
}

# Writes what the socket takes.
sub flush_out {
    my ($client) = @_;
    my $wrote = syswrite $client->{socket}, $client->{out};
    if (!defined $wrote) {
        $client->{failed} = 1 if $! != EAGAIN && $! != EINTR;
        return;
    }
    substr $client->{out}, 0, $wrote, '';
    $client->{result}{sent} = 1 if !length $client->{out};
    return;
}

# Waits until sockets can be read or written, and continues with their requests.
sub wait_for {
    my ($busy, $with, $seconds) = @_;
    my ($reads, $writes) = ('', '');
    for my $client (grep { !$_->{failed} } @$busy) {
        my $number = fileno $client->{socket};
        vec($reads, $number, 1) = 1;
        vec($writes, $number, 1) = 1 if length $client->{out};
    }
    return if !select $reads, $writes, undef, (grep { $_->{failed} } @$busy) ? 0 : $seconds;
    for my $client (grep { !$_->{failed} } @$busy) {
        my $number = fileno $client->{socket};
        flush_out($client) if length $writes && vec $writes, $number, 1;
        receive($client, $with) if !$client->{failed} && length $reads && vec $reads, $number, 1;
    }
    return;
}

sub receive {
    my ($client, $with) = @_;
    my $got = sysread $client->{socket}, $client->{in}, 1 << 16, length $client->{in};
    if (!defined $got) {
        $client->{failed} = 1 if $! != EAGAIN && $! != EINTR;
        return;
    }
    return finish($client, $with) if is_complete($client, !$got);
    $client->{failed} = 1 if !$got;
    return;
}

# Whether the response has arrived; $closed: the server has closed the connection.
sub is_complete {
    my ($client, $closed) = @_;
    if (!defined $client->{need}) {
        my $end = index $client->{in}, "\r\n\r\n";
        return 0 if $end < 0;
        my $head = substr $client->{in}, 0, $end + 2;
        my ($status) = $head =~ m{\AHTTP/1\.[01] (\d{3})} or return 0;
        if ($status == 100) {
            substr $client->{in}, 0, $end + 4, '';
            return is_complete($client, $closed);
        }
        @$client{qw(head code body_at)} = ($head, $status, $end + 4);
        my ($length) = $head =~ /^Content-Length: (\d+)/mi;
        $client->{need} = $status == 204 || $status == 304 ? $end + 4 : defined $length ? $end + 4 + $length
            : $head =~ /^Transfer-Encoding: chunked/mi ? 'chunks' : 'close';
    }
    return $closed if $client->{need} eq 'close';
    return $client->{in} =~ /(?:\A|\r\n)0\r\n\r\n\z/ if $client->{need} eq 'chunks';
    return length $client->{in} >= $client->{need};
}

# Ends a request and reports it.
sub finish {
    my ($client, $with) = @_;
    my $result = $client->{result};
    my $complete = !$client->{failed} && defined $client->{need} && is_complete($client, 0);
    $complete ||= defined $client->{need} && $client->{need} eq 'close' && !$client->{failed};
    $result->{end} = time;
    if ($complete) {
        my ($retry) = $client->{head} =~ /^Retry-After: (\d+)/mi;
        my $json = $client->{head} =~ m{^Content-Type: application/json}mi ? 1 : 0;
        my $body = substr $client->{in}, $client->{body_at};
        LearnHub::Exchange::of_bytes($client->{port}, @$client{qw(request in)});
        @$result{qw(status retry json body)} = ($client->{code}, $retry, $json, $body);
    }
    else { $result->{part} = length $client->{in} ? 1 : 0 }
    delete $client->{socket} if !$complete || $client->{fresh} || $client->{head} =~ /^Connection: close/mi;
    $client->{busy} = 0;
    $client->{not_before} = $result->{end} + ($client->{pause} || 0);
    $with->{done}->($client, $result);
    return;
}

1;

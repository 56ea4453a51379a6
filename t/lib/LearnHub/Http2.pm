# SPDX-License-Identifier: Apache-2.0
# An HTTP/2 client without TLS (h2c with prior knowledge) for tests that need single frames: streams that are reset, and
# windows that stay closed. Of the headers of responses it reads only the status.
package LearnHub::Http2;

use strict;
use warnings;

use IO::Socket::INET ();
use Time::HiRes qw(time);

use LearnHub::Exchange;

my ($data, $headers, $reset, $settings, $ping, $goaway, $window) = (0, 1, 3, 4, 6, 7, 8);
my ($end_stream, $end_headers, $ack) = (1, 4, 1);

# The Huffman codes of digits (RFC 7541, appendix B).
my %digit = map { sprintf('%05b', $_) => $_ } 0 .. 2;
$digit{ sprintf '%06b', 22 + $_ } = $_ for 3 .. 9;

# connect(port, window => 65535): `window` is what the server may send of a stream before the client allows more;
# without it, the client always allows more.
sub connect {
    my ($class, $port, %with) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10) or die "connect: $@";
    my $self = bless { socket => $socket, next => 1, in => '', streams => {}, held => defined $with{window},
        port => $port }, $class;
    my $preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    my @settings = (1 => 0, 4 => $with{window} // 1 << 30); # no dynamic table; the window of streams
    $self->send_bytes($preface . frame($settings, 0, 0, pack '(nN)*', @settings)
            . frame($window, 0, 0, pack 'N', 1 << 30));
    return $self;
}

sub frame {
    my ($type, $flags, $stream, $payload) = @_;
    return pack('CnCCN', length($payload) >> 16, length($payload) & 65535, $type, $flags, $stream) . $payload;
}

# Returns 0 when the server has closed the connection.
sub send_bytes {
    my ($self, $bytes) = @_;
    local $SIG{PIPE} = 'IGNORE';
    while (length $bytes) {
        my $n = syswrite $self->{socket}, $bytes or return 0;
        substr $bytes, 0, $n, '';
    }
    return 1;
}

# An integer of HPACK with a prefix of 7 bits, and a header that is not indexed.
sub integer { my ($n) = @_; return pack 'C', $n if $n < 127; $n -= 127; return pack 'CC*', 127,
        $n < 128 ? $n : ($n % 128 + 128, $n >> 7) }

sub field { my ($name, $value) = @_; return "\0" . integer(length $name) . $name . integer(length $value) . $value }

# The bytes of the frames of a request, and its stream. body => bytes: with a body; open => 1: the body continues.
sub request_frames {
    my ($self, $method, $path, %with) = @_;
    my $stream = $self->{next};
    $self->{next} += 2;
    my $authority = "127.0.0.1:$self->{port}";
    my @fields = (':method' => $method, ':scheme' => 'http', ':authority' => $authority, ':path' => $path);
    push @fields, authorization => "Bearer $with{token}" if defined $with{token};
    push @fields, 'content-type' => 'application/json' if defined $with{body};
    push @fields, %{ $with{headers} || {} };
    my $block = '';
    $block .= field(splice @fields, 0, 2) while @fields;
    my $ends = !defined $with{body} && !$with{open};
    my $bytes = frame($headers, $end_headers | ($ends ? $end_stream : 0), $stream, $block);
    my $body = $with{body} // '';

    while (length $body) {
        my $part = substr $body, 0, 16_384, '';
        $bytes .= frame($data, !$with{open} && !length $body ? $end_stream : 0, $stream, $part);
    }
    my %sent = (method => $method, path => $path, sent => $with{body});
    $self->{streams}{$stream} = { body => '', status => 0, ended => 0, request => \%sent };
    return ($bytes, $stream);
}

# Sends a request and returns its stream.
sub request {
    my ($self, @request) = @_;
    my ($bytes, $stream) = $self->request_frames(@request);
    $self->send_bytes($bytes);
    return $stream;
}

# The bytes of a frame that resets a stream (CANCEL).
sub reset_frame { my ($stream) = @_; return frame($reset, 0, $stream, pack 'N', 8) }

sub status_of {
    my ($block) = @_;
    $block = substr $block, 1 while (ord($block) & 0xe0) == 0x20; # a new size of the dynamic table
    my $first = ord $block;
    return (200, 204, 206, 304, 400, 404, 500)[$first - 0x88] if $first >= 0x88 && $first <= 0x8e;
    my $length = ord substr $block, 1, 1;
    my $value = substr $block, 2, $length & 127;
    return $value if !($length & 128);
    my ($bits, $text) = (unpack('B*', $value), '');

    while ($bits =~ /\G(?=([01]{5})([01]?))/gc && length $text < 3) {
        my $code = exists $digit{$1} ? $1 : "$1$2";
        $text .= $digit{$code} // '?';
        pos($bits) += length $code;
    }
    return $text;
}

# Receives frames until `done` returns true, the server closes the connection, or `seconds` (10) have passed. Returns
# whether `done` did.
sub receive {
    my ($self, $done, $seconds) = @_;
    my $until = time + ($seconds || 10);
    while (!$done->()) {
        my $left = $until - time;
        vec(my $ready = '', fileno $self->{socket}, 1) = 1;
        return 0 if $left <= 0 || select($ready, undef, undef, $left) <= 0;
        sysread $self->{socket}, $self->{in}, 65536, length $self->{in} or do { $self->{closed} = 1; return $done->() };
        1 while $self->take_frame;
    }
    return 1;
}

sub take_frame {
    my ($self) = @_;
    return 0 if length $self->{in} < 9;
    my ($high, $low, $type, $flags, $stream) = unpack 'CnCCN', $self->{in};
    my $length = $high << 16 | $low;
    return 0 if length $self->{in} < 9 + $length;
    my $payload = substr $self->{in}, 9, $length;
    substr $self->{in}, 0, 9 + $length, '';
    $self->send_bytes(frame($settings, $ack, 0, '')) if $type == $settings && !($flags & $ack);
    $self->send_bytes(frame($ping, $ack, 0, $payload)) if $type == $ping && !($flags & $ack);
    $self->{goaway} = unpack 'x4N', $payload if $type == $goaway;
    my $entry = $self->{streams}{$stream} or return 1;
    $entry->{status} ||= status_of($payload) if $type == $headers;

    if ($type == $data) {
        $entry->{body} .= $payload;
        $self->send_bytes(frame($window, 0, 0, pack 'N', $length)) if $length;
        $self->send_bytes(frame($window, 0, $stream, pack 'N', $length)) if $length && !$self->{held};
    }
    $entry->{reset} = unpack 'N', $payload if $type == $reset;
    $entry->{ended} = 1 if $type == $reset || ($type == $data || $type == $headers) && $flags & $end_stream;
    return 1;
}

# Waits until streams have ended; returns them: {status, body, reset => error code}.
sub responses {
    my ($self, @streams) = @_;
    $self->receive(sub { !grep { !$self->{streams}{$_}{ended} } @streams }, 30);
    for my $stream (grep { $_->{ended} && !$_->{reset} } map { $self->{streams}{$_} } @streams) {
        LearnHub::Exchange::record({ port => $self->{port}, %{ $stream->{request} }, map { $_ => $stream->{$_} }
                    qw(status body) });
    }
    return map { $self->{streams}{$_} } @streams;
}

1;

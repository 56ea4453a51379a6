# SPDX-License-Identifier: Apache-2.0
# The httpd of the quick start, beside the test server and on its database: the addresses it listens on, who can read
# its files, and clients that send their requests slowly.
use strict;
use warnings;
use IO::Socket::INET;
use LearnHub::Server;
use LearnHub::Test;

my $run = "$top/build/run";
my $port = LearnHub::Server->free_port;

# Starts or stops the quick start's httpd with these environment variables; returns whether it succeeded.
sub server {
    my ($command, %variables) = @_;
    local @ENV{ 'PORT', keys %variables } = ($port, values %variables);
    return system("'$top/conf/quickstart/server' $command >'$top/t/logs/quickstart.out' 2>&1") == 0;
}

# Whether the server is healthy at an address.
sub healthy {
    my ($address) = @_;
    return `curl -gsm 10 http://$address:$port/health` =~ /"healthy"/;
}

my $ipv6 = -e '/proc/net/if_inet6' && `cat /proc/net/if_inet6` =~ /^0{31}1 /m;

subtest 'the quick start listens on this machine only' => sub {
    ok(server('start'), 'it starts') || diag(`cat '$top/t/logs/quickstart.out'`);
    ok(healthy('127.0.0.1'), '127.0.0.1 answers');
    ok(healthy('localhost'), 'localhost answers');
    is(healthy('[::1]'), $ipv6 || '', '::1 answers if there is one');
    ok(!healthy('127.0.0.2'), 'another address of this machine does not');
    like(`curl -gsm 10 http://127.0.0.1:$port/metrics`, qr/^learnhub_build_info\{/m, 'it shows its metrics');
};

subtest 'files of the quick start' => sub {
    my $mode = sub { (stat $_[0])[2] & 07777 };
    is($mode->($run) & 006, 0, 'others cannot list the directory');
    my @files = grep {-f} glob "$run/*";
    cmp_ok(scalar @files, '>', 4, 'there are files');
    for my $name (qw(access.log error.log pg.log start.log httpd.conf jwt-secret)) {
        is($mode->("$run/$name") & 037, 0, "$name is 0640 or stricter");
    }
};

subtest 'LISTEN' => sub {
    ok(server('start', LISTEN => '0.0.0.0'), 'it starts with LISTEN=0.0.0.0');
    ok(healthy($_), "$_ answers") for qw(127.0.0.1 127.0.0.2);
    ok(server('start', LISTEN => '127.0.0.3'), 'it starts with LISTEN=127.0.0.3');
    ok(healthy('127.0.0.3') && !healthy('127.0.0.1'), 'only this address answers');
    ok(!server('start', LISTEN => '0.0.0.0"'), 'an address with a quote is rejected');
};

# Opens connections that send `first` and then one byte in 0.2 seconds, for 20 seconds. Returns their process.
sub slow_clients {
    my ($count, $first) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    local $SIG{PIPE} = 'IGNORE';
    my @sockets = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10) } 1 .. $count;
    for my $round (1 .. 100) {
        $_ && syswrite $_, $round == 1 ? $first : 'x' for @sockets;
        select undef, undef, undef, 0.2;
    }
    POSIX::_exit(0);
}

subtest 'slow requests are ended' => sub {
    my ($limits) = do { local (@ARGV, $/) = "$top/conf/quickstart/httpd.conf"; <> } =~ /^(RequestReadTimeout .*)/m;
    is($limits, 'RequestReadTimeout header=10-20,MinRate=500 body=10,MinRate=500', 'the limits of the quick start');
    my $conf = "$top/t/logs/quickstart.conf";
    open my $out, '>', $conf or die $!;
    print $out "RequestReadTimeout header=1-2,MinRate=500 body=1,MinRate=500\n";
    close $out or die $!;
    ok(server('start', CONF => $conf), 'it starts with shorter times');
    my $header = "POST /users/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    my %first = (header => $header, body => "${header}Content-Length: 5000\r\n\r\n");

    for my $part (sort keys %first) {
        my $clients = slow_clients(130, $first{$part});
        select undef, undef, undef, 0.5;
        ok(eventually(sub { healthy('127.0.0.1') }, 12), "130 clients that send the $part slowly do not stop others");
        kill TERM => $clients;
        waitpid $clients, 0;
    }
    like(raw_http("${header}Content-Length: 5000\r\n\r\nx", port => $port, keep => 1), qr{^HTTP/1.1 408 },
        'a body that does not arrive is 408');

    my $user = signup();
    my %login = (username => $user->{email}, password => $user->{password});
    my $token = api(POST => '/users/login', port => $port, form => \%login)->json->{access_token};
    my $gif = "GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2" . ("\xff" . 'x' x 255) x 200 . "\0;"; # 51 KB
    my $part = 'Content-Disposition: form-data; name="profile_photo"; filename="p"';
    my $body = join "\r\n", '--b', $part, '', $gif, '--b--', '';
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
    print $socket "PATCH /myprofile/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer $token\r\n"
        . "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: " . length($body) . "\r\n\r\n";

    for my $piece ($body =~ /.{1,4000}/gs) { # 20 KB/s
        syswrite $socket, $piece;
        select undef, undef, undef, 0.2;
    }
    like(do { local $/; <$socket> }, qr{^HTTP/1.1 200 }, 'an upload of 20 KB/s succeeds, longer than the limit');
};

ok(server('stop'), 'the quick start stops');
ok(!healthy('127.0.0.1'), 'and answers no more');
done_testing;

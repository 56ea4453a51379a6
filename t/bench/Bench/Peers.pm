# SPDX-License-Identifier: Apache-2.0
# Comparison servers, t/bench/peers: the same requests, answers and statements on the same database, with as many
# connections as httpd uses. Only the count of C is count(*), which a server without a count of its own executes.
package Bench::Peers;

use strict;
use warnings;

use Cwd ();
use IO::Socket::INET ();
use JSON::XS ();
use Time::HiRes ();

use Bench::Site ();
use Bench::Sql ();
use LearnHub::Server ();

use constant CONNECTIONS => 14;

my $count = { sql => 'SELECT count(*) FROM learnhub.tutoring_sessions', parameters => [] };

# The peers, each with the sub that builds it and the command that starts it.
my %peers = (
    go => {
        build => sub {
            local @ENV{qw(GO111MODULE GOPATH GOCACHE GOFLAGS)} =
                ('off', '/usr/share/gocode', Cwd::getcwd() . '/build/tmp/go', '');
            Bench::Site::command(qw(go build -o build/bench/peer-go t/bench/peers/peer.go));
        },
        command => ['build/bench/peer-go'],
    },
    fastify => { build => sub { }, command => [qw(node t/bench/peers/peer.js)] },
);

sub names { return sort keys %peers }

# Whether the peers serve a work load.
sub serve { my ($name) = @_; return $name =~ /^(?:[ABC]|D\d)(?:-cached)?$/ }

# The statements of the work loads, from the route table: {A => {extra_sql, sql}, ...}.
sub statements {
    my ($works, $routes) = @_;
    my %statements = map {
        my $route = $routes->{ $works->{$_}{route} };
        $_ => { map { my $key = $_; $key => [map { +{ sql => $_->{sql}, parameters => $_->{parameters} } }
                        @{ $route->{$key} }] } qw(extra_sql sql) }
    } qw(A B C D1);
    $statements{C}{sql} = [$count, $statements{C}{sql}[-1]];
    return \%statements;
}

sub configuration {
    my ($site, $statements, $port) = @_;
    my %settings = Bench::Sql::SETTINGS =~ /-c (\w+)=(\S+)/g;
    return { port => $port, host => $site->socket_directory, connections => CONNECTIONS, settings => \%settings,
        secret => $site->secret, works => $statements, packages => Cwd::getcwd() . '/build/peers/package.json' };
}

# Starts a peer; returns {pid, site}, where site sends requests to it.
sub start {
    my ($site, $name, $statements) = @_;
    my $peer = $peers{$name} or die "bench: BENCH_PEERS: there is no peer $name\n";
    $peer->{build}->();
    my $port = LearnHub::Server->free_port;
    my $file = "build/bench/peer-$name.json";
    open my $out, '>:raw', $file or die "bench: $file: $!\n";
    print $out JSON::XS->new->utf8->canonical->encode(configuration($site, $statements, $port));
    close $out or die "bench: $file: $!\n";
    my $pid = fork // die "bench: fork: $!\n";

    if (!$pid) {
        open STDERR, '>', "build/bench/peer-$name.log" or die "bench: peer-$name.log: $!\n";
        exec @{ $peer->{command} }, $file or die "bench: @{ $peer->{command} }: $!\n";
    }
    my $started = { pid => $pid, site => $site->at($port) };
    for (1 .. 200) {
        return $started if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
        Time::HiRes::sleep(0.1);
    }
    stop($started);
    die "bench: the peer $name did not start; see build/bench/tree/build/bench/peer-$name.log\n";
}

sub stop {
    my ($peer) = @_;
    kill TERM => $peer->{pid};
    waitpid $peer->{pid}, 0;
    return;
}

1;

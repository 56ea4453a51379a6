# SPDX-License-Identifier: Apache-2.0
# The servers under test: PostgreSQL with the data of t/bench/data.sql, httpd with t/bench/httpd.conf, HTTP and SQL.
# The current directory is the copy of the tree that conf/quickstart/test made.
package Bench::Site;

use strict;
use warnings;

use DBI ();
use Digest::SHA qw(hmac_sha256 sha256_hex);
use File::Temp ();
use IO::Socket::INET ();
use JSON::XS ();
use MIME::Base64 qw(encode_base64url);

use LearnHub::Server ();

my $json = JSON::XS->new->utf8->canonical;

sub command {
    my (@command) = @_;
    system(@command) == 0 or die "bench: @command failed\n";
    return;
}

sub slurp {
    my ($file) = @_;
    open my $in, '<:raw', $file or die "bench: $file: $!\n";
    local $/;
    return scalar <$in>;
}

# A program of the newest PostgreSQL, as conf/quickstart/database starts it.
sub postgres_program {
    my ($name) = @_;
    my ($newest) = sort { $b->[0] <=> $a->[0] }
        map { m{postgresql/([\d.]+)/} ? [$1, $_] : () } glob "/usr/lib/postgresql/*/bin/$name";
    return $newest->[1];
}

sub conninfo {
    my ($self, $role) = @_;
    my $socket = '@learnhub-' . substr sha256_hex($self->{top}), 0, 16;
    return "host=$socket port=5432 user=$role dbname=learnhub sslmode=disable gssencmode=disable";
}

# Starts PostgreSQL and loads the data; start_httpd() follows.
sub new {
    my ($class, $top) = @_;
    my $self = bless { top => $top, port => LearnHub::Server->free_port, cached_port => LearnHub::Server->free_port },
        $class;
    chomp(my $flags = `make -s -f Makefile.apxs flags`);
    $ENV{CACHED_PORT} = $self->{cached_port}; # for t/bench/httpd.conf
    mkdir 'build/bench';
    command("gcc $flags -shared -o build/bench/const.so t/bench/const.c");
    command('conf/quickstart/database', 'start');
    command('conf/quickstart/migrate');
    return $self;
}

# The diagram `number`: 28 nodes, 14 edges, 8 KB of compact JSON with sorted keys.
sub diagram {
    my ($number) = @_;
    my @nodes = map { {
            id => "node-$_", type => 'component', position => { x => 40 * $_ + $number, y => 25 * $_ },
            data => { label => "Service $_", description => 'x' x 66, technology => 'httpd' },
            width => 160, height => 80, selected => JSON::XS::false,
    } } 1 .. 28;
    my @edges = map { +{ id => "edge-$_", source => "node-$_", target => 'node-' . ($_ + 14), type => 'smoothstep',
            label => 'calls', animated => JSON::XS::true } } 1 .. 14;
    return $json->encode({ nodes => \@nodes, edges => \@edges });
}

sub load {
    my ($self) = @_;
    my $owner = $self->conninfo('learnhub_owner');
    my @psql = (postgres_program('psql'), qw(-X -q -1 -o /dev/null -v ON_ERROR_STOP=1));
    command(@psql, '-d', $owner, '-v', 'diagram=' . diagram(0), '-f', 't/bench/data.sql');
    $self->sql('VACUUM (ANALYZE, FREEZE)');
    return;
}

# Runs a statement as the schema's owner and returns the rows as a list of hashes.
sub sql {
    my ($self, $statement, @values) = @_;
    my $source = 'dbi:Pg:' . join ';', split ' ', $self->conninfo('learnhub_owner');
    my $database = $self->{database} ||= DBI->connect($source, '', '',
        { RaiseError => 1, PrintError => 0, PrintWarn => 0, pg_enable_utf8 => 1 });
    my $query = $database->prepare($statement);
    $query->execute(@values);
    return $query->{NUM_OF_FIELDS} ? @{ $query->fetchall_arrayref({}) } : ();
}

# A directory with a socket of PostgreSQL, for clients that do not support abstract sockets. PostgreSQL is restarted.
sub socket_directory {
    my ($self) = @_;
    return "$self->{socket_directory}" if $self->{socket_directory};
    $self->{socket_directory} = File::Temp->newdir('learnhub-XXXXXX', DIR => "$self->{top}/build/tmp");
    my ($abstract) = $self->conninfo('postgres') =~ /^host=(\S+)/;
    command(postgres_program('psql'), qw(-X -q -d), $self->conninfo('postgres'), '-c',
        "ALTER SYSTEM SET unix_socket_directories = '$abstract', '$self->{socket_directory}'");
    delete $self->{database};
    command('conf/quickstart/database', $_) for qw(stop start);
    return "$self->{socket_directory}";
}

# Ends the writing of dirty pages before a run, so that it does not fall into one run of many.
sub checkpoint {
    my ($self) = @_;
    return command(postgres_program('psql'), qw(-X -q -c CHECKPOINT -d), $self->conninfo('postgres'));
}

# ---- httpd ----

sub start_httpd {
    my ($self) = @_;
    local @ENV{qw(PORT CONF)} = ($self->{port}, 't/bench/httpd.conf');
    command('conf/quickstart/server', 'start');
    $self->disconnect;
    return;
}

# The process ids of the servers, with those of the peers, {peers}.
sub servers {
    my ($self) = @_;
    my ($httpd) = slurp('build/run/httpd.pid') =~ /(\d+)/;
    my ($postgresql) = slurp('build/run/pg/postmaster.pid') =~ /(\d+)/;
    return { httpd => $httpd, postgresql => $postgresql, %{ $self->{peers} || {} } };
}

# Empties the access log, which otherwise grows to several GB. httpd appends to it.
sub empty_log { truncate 'build/run/access.log', 0 or die "bench: access.log: $!\n"; return }

# The number of responses with a status, since empty_log(): {201 => 17, ...}.
sub statuses {
    my %count;
    open my $log, '<:raw', 'build/run/access.log' or die "bench: access.log: $!\n";
    while (my $line = <$log>) {
        $count{$1}++ if $line =~ /" (\d{3}) /;
    }
    return \%count;
}

sub stop_httpd { return command('conf/quickstart/server', 'stop') }

sub stop {
    my ($self) = @_;
    delete $self->{database};
    return command('conf/quickstart/stop');
}

# The same data behind another port: a virtual host, or a peer.
sub at { my ($self, $port) = @_; return bless { %$self, port => $port, socket => undef }, ref $self }

# The key of the server.
sub secret { my ($self) = @_; return $self->{secret} //= slurp('build/run/jwt-secret') =~ s/\n.*//sr }

# An access token of a user, signed with the key of the server.
sub token {
    my ($self, $user) = @_;
    my $now = $self->{token_time} //= time;
    my $kid = substr unpack('H*', hmac_sha256('kid', $self->secret)), 0, 16;
    my %claims = (iss => 'learnhub', sub => "$user", type => 'access', iat => $now, exp => $now + 86400,
        jti => sprintf('%032x', $user), role => $user <= 500 ? 'instructor' : 'student', ver => 1);
    my $signed = join '.', map { encode_base64url($json->encode($_)) } { alg => 'HS256', typ => 'JWT', kid => $kid },
        \%claims;
    return "$signed." . encode_base64url(hmac_sha256($signed, $self->secret));
}

# Closes the connection of send_request().
sub disconnect { my ($self) = @_; delete $self->{socket}; return }

# Sends a request {method, path, user, body}, where user and body are optional: {status, content, json}. HTTP::Tiny is
# not used because it sends the body in a packet of its own, which a delayed acknowledgement holds up for 40 ms.
sub send_request {
    my ($self, $request) = @_;
    my $socket = $self->{socket} ||= IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port})
        or die "bench: cannot connect to httpd: $@\n";
    my $bytes = $self->raw_request($request);
    syswrite($socket, $bytes) == length $bytes or die "bench: httpd closed the connection: $!\n";
    my $reply = '';
    while ($reply !~ /\r\n\r\n/) {
        sysread $socket, $reply, 65536, length $reply or die "bench: httpd did not answer $request->{path}\n";
    }
    my ($head, $content) = split /\r\n\r\n/, $reply, 2;
    my ($status) = $head =~ m{^HTTP/1\.1 (\d+)};
    my ($length) = $head =~ /^Content-Length: (\d+)/mi or die "bench: $request->{path}: no length: $head\n";
    while (length $content < $length) {
        sysread $socket, $content, 65536, length $content or die "bench: $request->{path}: an incomplete answer\n";
    }
    $self->disconnect if $head =~ /^Connection: close/mi;
    return { status => $status, content => $content, json => scalar eval { $json->decode($content) } };
}

# The bytes of a request for wrk. With `constant` it asks for a constant body of that status and size: "200/1234".
sub raw_request {
    my ($self, $request, $constant) = @_;
    my @lines = ("$request->{method} " . ($constant ? "/const/$constant" : $request->{path}) . ' HTTP/1.1',
        'Host: 127.0.0.1');
    push @lines, 'Authorization: Bearer ' . $self->token($request->{user}) if $request->{user};
    push @lines, 'Content-Type: application/json' if defined $request->{body};
    push @lines, 'Content-Length: ' . length($request->{body} // '') if $request->{method} ne 'GET';
    return join("\r\n", @lines) . "\r\n\r\n" . ($request->{body} // '');
}

1;

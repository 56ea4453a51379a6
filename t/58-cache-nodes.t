# SPDX-License-Identifier: Apache-2.0
# The cache on two nodes with two processes each: changes by psql and by the other node, races of writers and readers,
# a graceful restart, changes that cannot be read, a stopped database.
use strict;
use warnings;
use lib 't/lib';
use IO::Socket::INET ();
use LearnHub::Cache;
use LearnHub::Test;
use Socket ();
use Time::HiRes qw(sleep time);

expect_log(qr/LH0065: /, qr/LH0031: /, qr/SQLSTATE 57P0\d/, qr/\[dbd:error\]/);

my ($node, $other) = (node("SendBufferSize 4096\n"), node());
my ($port, $far) = map { $_->port } $node, $other;
my ($ada, $bob) = map { signup() } 1 .. 2;

sub problem {
    my ($user, $title) = @_;
    my %fields = (title => $title, description => 'D', difficulty => 'easy');
    my $reply = api_as($user, POST => '/problems/', json => \%fields, port => $port);
    $reply->status == 201 or die $reply->summary;
    return $reply->json->{problem}{id};
}

sub title_at {
    my ($at, $id) = @_;
    my $reply = fetch($at, "/problems/$id");
    return $reply && $reply->status == 200 ? $reply->json->{title} : undef;
}

sub rename_to {
    my ($at, $id, $title, $user) = @_;
    return api_as($user // $ada, PUT => "/problems/$id", json => { title => $title }, port => $at)->status;
}

sub set_title { return sql(q(UPDATE learnhub.problems SET title = ? WHERE id = decode(?, 'hex')), @_) }

my $problem = problem($ada, 'Old');
my $path = "/problems/$problem";

subtest 'changes by others' => sub {
    ok(warm($port, [$path]) && warm($far, [$path]), 'all processes have the old response');
    set_title('psql', $problem);
    ok(eventually(sub { title_at($_, $problem) eq 'psql' }, 3), 'a node shows a change by psql') for $port, $far;
    sleep 1.2;
    ok(all_see($_, $path, undef, sub { $_[0]{title} eq 'psql' }), 'in all processes') for $port, $far;
    ok(warm($far, [$path]), 'both processes of the other node have a cached response again');
    is(rename_to($port, $problem, 'node'), 200, 'a change through one node');
    ok(eventually(sub { title_at($far, $problem) eq 'node' }, 3), 'is shown by the other node');
    sleep 1.2;
    ok(all_see($far, $path, undef, sub { $_[0]{title} eq 'node' }), 'in all processes');
};

# ---- races ----

# Opens a connection and sends a request without its last byte, so that finish() sends the request in an instant.
sub begin {
    my ($bytes) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10) or die "connect: $@";
    $socket->syswrite(substr $bytes, 0, -1);
    return [$socket, substr $bytes, -1];
}

sub finish { my ($begun) = @_; return $begun->[0]->syswrite($begun->[1]) }

# The first bytes of the response, or all of it.
sub receive {
    my ($begun, $all) = @_;
    my $bytes = '';
    while (sysread $begun->[0], $bytes, 65536, length $bytes) {
        last if !$all;
    }
    return $bytes;
}

# Renames a problem to v1, v2 ... until $end. Five readers have sent their requests but for the last byte. They send it
# when the writer gets the first bytes of its response; at the same time the writer sends its next request, so that the
# reads overlap with the next change. Returns the number of reads, those that were older than the write whose response
# was there, and the times of the writes for the other node.
sub writer {
    my ($id, $end) = @_;
    my ($path, $close) = ("/problems/$id HTTP/1.1\r\nHost: x\r\n", "Connection: close\r\n\r\n");
    my $put = "PUT ${path}Authorization: Bearer $ada->{token}\r\nContent-Type: application/json\r\nContent-Length: ";
    my $begin_write = sub { my $body = qq({"title":"v$_[0]"}); begin($put . length($body) . "\r\n$close$body") };
    my ($reads, @stale, @times) = (0);
    finish(my $write = $begin_write->(1));
    for (my $n = 1; time < $end; $n++) {
        my @readers = map { begin("GET $path$close") } 1 .. 5;
        my $next = $begin_write->($n + 1);
        my $ok = receive($write) =~ m{^HTTP/1.1 200};
        finish($_) for @readers, $next;
        push @times, [$n, time] if $ok;
        for my $version (map { receive($_, 1) =~ /"title":"v(\d+)"/ } @readers) {
            $reads++;
            push @stale, "v$version after v$n" if $ok && $version < $n;
        }
        $write = $next;
    }
    return { writes => scalar @times, reads => $reads, stale => \@stale, times => \@times, id => $id };
}

# Reads the problems in turn until $end: [id, version, time before the request].
sub reader {
    my ($at, $end, @ids) = @_;
    my @seen;
    for (my $n = 0; time < $end; $n++) {
        my ($id, $before) = ($ids[$n % @ids], time);
        my ($version) = (title_at($at, $id) // next) =~ /^v(\d+)$/;
        push @seen, [$id, $version, $before] if defined $version;
        sleep 0.01; # most of the time is for the writers
    }
    return \@seen;
}

# The reads of a node that were older than a write whose response came 3 seconds before: a second, and 2 for a slow
# machine.
sub too_old {
    my ($writers, $reads) = @_;
    my %times = map { $_->{id} => $_->{times} } @$writers;
    my @old;
    for my $read (@$reads) {
        my ($id, $version, $before) = @$read;
        my ($last) = map { $_->[0] } grep { $_->[1] < $before - 3 } reverse @{ $times{$id} };
        push @old, "v$version, v$last was written 3 seconds before" if $last && $version < $last;
    }
    return @old;
}

subtest 'writers and readers' => sub {
    my @ids = map { problem($ada, 'v0') } 1 .. 2;
    my $end = time + 6;
    my @done = parallel 5, sub {
        my ($i) = @_;
        return writer($ids[$i], $end) if $i < 2;
        return reader($i == 2 ? $port : $far, $end, @ids) if $i < 4;
        sleep 4;
        $node->graceful;
        return [];
    };
    my @writers = @done[0, 1];
    cmp_ok($_->{writes}, '>', 5, "$_->{writes} writes and $_->{reads} reads of them") for @writers;
    is_deeply([map { @{ $_->{stale} } } @writers], [],
        'no writer reads an older state than its own, also during a graceful restart');
    is_deeply([map { too_old(\@writers, $_) } @done[2, 3]], [], 'no node shows a state that is seconds old');
    cmp_ok(scalar @{ $done[3] }, '>', 10, 'the other node was read');
};

# The client has the first bytes of the response, and httpd cannot send the rest.
subtest 'a slow writer' => sub {
    my $large = problem($ada, 'Old');
    my $path = "/problems/$large";
    is(api_as($ada, PUT => $path, json => { description => 'x' x 50_000 }, port => $port)->status, 200, 'a problem');
    ok(warm($port, [$path]), 'all processes have the old response');
    my $body = '{"title":"New"}';
    my $socket = IO::Socket::INET->new(Proto => 'tcp') or die $!;
    $socket->sockopt(IO::Socket::SO_RCVBUF(), 4096);
    connect $socket, Socket::pack_sockaddr_in($port, Socket::inet_aton('127.0.0.1')) or die $!;
    $socket->syswrite("PUT $path HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer $ada->{token}\r\n"
            . "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
    $socket->sysread(my $start, 12);
    is($start, 'HTTP/1.1 200', 'the writer has the beginning of its response');
    ok(all_see($port, $path, undef, sub { $_[0]{title} eq 'New' }), 'all processes show the change');
    my $rest = do { local $/; <$socket> };
    cmp_ok(length $rest, '>', 50_000, 'the response was long');
};

# ---- outages ----

subtest 'changes that cannot be read' => sub {
    ok(warm($far, [$path]), 'all processes have a response');
    sql('ALTER FUNCTION learnhub.topics_since(text) RENAME TO gone');
    sleep 1.2;
    set_title('unseen', $problem);
    my $tag = unique('blind');
    ok(all_see($far, $path, undef, sub { $_[0]{title} eq 'unseen' }), 'after a second the database is read');
    fetch($far, $path, undef, $tag);
    is((notes($far, $tag, 1))[0][0], 'off', 'the cache is off');
    sql('ALTER FUNCTION learnhub.gone(text) RENAME TO topics_since');
    ok(warm($far, [$path]), 'the cache is on when changes can be read again');
    ok(all_see($far, $path, undef, sub { $_[0]{title} eq 'unseen' }), 'and has the new response');
    like($other->log_text, qr/\[learnhub:warn\].*LH0065: .*SQLSTATE 42883/, 'the failure is logged');
    like($other->log_text, qr/\[learnhub:notice\].*LH0066: /, 'its end, too');
};

subtest 'a stopped database' => sub {
    ok(warm($far, [$path]), 'all processes have a response');
    pg('stop', '-m', 'fast');
    sleep 1.2;
    my @statuses = map {@$_} parallel 4, sub { [map { fetch($far, $path)->status } 1 .. 2] };
    is_deeply(\@statuses, [(503) x 8], 'a second later no response comes from the cache');
    pg('start');
    set_title('down', $problem);
    ok(eventually(sub { (title_at($far, $problem) // '') eq 'down' }, 15), 'the new state is shown afterwards');
    ok(warm($far, [$path]), 'the cache is used again');
    ok(eventually(sub { api(GET => '/health')->status == 200 }, 15), 'the other servers have recovered');
};

done_testing;

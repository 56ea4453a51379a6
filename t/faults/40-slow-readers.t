# SPDX-License-Identifier: Apache-2.0
# Clients that read long responses slowly, under the quick start's configuration: what others experience meanwhile, and
# whether the responses arrive.
use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use LearnHub::Ledger;
use LearnHub::Slow;
use LearnHub::Stream;
use LearnHub::Test;
use Time::HiRes qw(sleep time);

my $author = signup();
my $mine = '/sessions/user/my-sessions';
my $page = '/problems/?limit=100';
fill($author, 4, 700);
sql("INSERT INTO learnhub.problems (title, description, difficulty, created_by)
    SELECT 'Slow page', repeat('wide ', ?), 'easy', ? FROM generate_series(1, 100)",
    long() ? 12_000 : 2400, user($author->{email})->{id});

sub get {
    my ($path, $user) = @_;
    my $token = $user ? "Authorization: Bearer $user->{token}\r\n" : '';
    return "GET $path HTTP/1.1\r\nHost: x\r\n$token\r\n";
}

# Reads a response at a rate in another process, in bytes per second. The pipe returns its status, the digest of its
# body and the seconds it took.
sub read_at {
    my ($rate, $port, $path, $user) = @_;
    pipe my $from, my $to or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    return { pid => $pid, from => $from } if $pid;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die $@;
    syswrite $socket, get($path, $user) =~ s/\r\n\r\n\z/\r\nConnection: close\r\n\r\n/r;
    my ($all, $start) = ('', time);
    while (sysread $socket, $all, $rate / 10, length $all) {
        my $early = length($all) / $rate - (time - $start);
        sleep $early if $early > 0;
    }
    my ($head, $body) = split /\r\n\r\n/, $all, 2;
    syswrite $to, join ' ', $head =~ m{^HTTP/1.1 (\d+)}, md5_hex($body // ''), time - $start;
    POSIX::_exit(0);
}

# Waits for the end of read_at() and returns what it has written.
sub outcome_of {
    my ($reader) = @_;
    my @outcome = split / /, do { local $/; readline $reader->{from} };
    waitpid $reader->{pid}, 0;
    return @outcome;
}

# A list of 10 MB at 20 KB/s with the quick start's Timeout, or what needs the same of the socket buffers in a twentieth
# of the time: a client that reads a third of the largest send buffer of the kernel in Timeout.
my $patient = signup();
fill($patient, 10, long() ? 1000 : 700);
my $timeout = long() ? 30 : 2;
my $beside = quickstart_httpd("Timeout $timeout\n");
my $whole = api_as($patient, GET => $mine)->body;
my $rate = long() ? 20_000 : 400_000;
sub download { return read_at($rate, $beside->port, $mine, $patient) }
my $download = download();

my $server = quickstart_httpd(node_directives());
my $ledger = ledger(nodes => [$server->port], mentors => 1,
    mix => [qw(session create page problem me autosave problems chat credits coding index eco)]);
my $alone = $ledger->under_load(before => 1, after => long() ? 4 : 1.5);
my $memory = pss_of($server);

my @cases = (['list, one user' => 60, $mine, $author], ['page, anonymous' => 300, $page]);
push @cases, ['list, one user' => 10, $mine, $author], ['list, one user' => 1000, $mine, $author],
    ['page, anonymous' => 1000, $page]
    if long();

for my $case (@cases) {
    my ($name, $count, $path, $user) = ("$case->[1] slow readers of a $case->[0]", @$case[1 .. 3]);
    subtest $name => sub {
        my $slow = LearnHub::Slow->start(port => $server->port, count => $count, read => 1000, again => 1,
            request => get($path, $user), from => $user ? undef : \&address_of);
        my $answered = sub {
            my $progress = $slow->progress;
            my $all = $progress->{begun};
            $all += $_ for values %{ $progress->{ended} };
            return $all;
        };
        ok(eventually(sub { $answered->() > $count * 0.6 }, 30), 'most get responses');
        my $run = $ledger->under_load(before => 1, after => long() ? 10 : 1.5);
        my $pss = pss_of($server);
        my $held = held_connections();
        my $ended = $slow->progress->{ended};
        $slow->stop;
        ok(eventually(sub { busy_workers($server) == 1 }, 60), 'the server comes to rest');
        my $again = $ledger->under_load(before => 0.5, after => 0.5);
        consistent($run, $name, not_slower($name, $run, $alone, $again), held => $held,
            memory => sprintf('%.0f MB', $pss),
            ended => join ' ', map {"$ended->{$_} x $_"} sort keys %$ended);
        is($held, 0, 'no database connection is held for slow clients');
        cmp_ok($pss - $memory, '<', 40 + 0.1 * $count, 'MB by which httpd grows: at most 100 KB for each, and 40');
    };
}
sql("DELETE FROM learnhub.problems WHERE title = 'Slow page'");

subtest 'A client that reads slowly gets a long list' => sub {
    my @expected = (200, md5_hex($whole));
    my ($status, $digest, $seconds) = outcome_of($download);
    ($status, $digest, $seconds) = outcome_of(download()) # again: on a busy machine it may have read too slowly
        if "$status $digest" ne "@expected";
    is_deeply([$status, $digest], \@expected, length($whole) . ' bytes arrive whole');
    cmp_ok($seconds, '>', length($whole) / $rate - 1, 'slowly');
};

done_testing;

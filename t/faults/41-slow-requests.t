# SPDX-License-Identifier: Apache-2.0
# Clients that send requests slowly, under the quick start's configuration: what others experience meanwhile, or when
# they are served again.
use strict;
use warnings;

use LearnHub::Ledger;
use LearnHub::Slow;
use LearnHub::Stream;
use LearnHub::Test;
use Time::HiRes qw(sleep time);

my ($author, @authors) = map { signup() } 1 .. 41;
my $server = quickstart_httpd(node_directives());
my $ledger = ledger(nodes => [$server->port], mentors => 1,
    mix => [qw(session create page problem me autosave problems chat credits coding index eco)]);
my $alone = $ledger->under_load(before => 1, after => long() ? 4 : 1.5);

# A request whose body of 100 KB, or 16 KB without a token, arrives at 5 bytes per second.
sub body_of {
    my ($path, $user) = @_;
    my $token = $user ? "Authorization: Bearer $user->{token}\r\n" : '';
    return "POST $path HTTP/1.1\r\nHost: x\r\n${token}Content-Type: application/json\r\nContent-Length: "
        . ($user ? 100_000 : 16_000) . "\r\n\r\n{\"title\":\"";
}

# The number of other clients that a server refuses.
sub refusals { my ($ended) = @_; return join ' ', map {"$ended->{$_} x $_"} sort keys %$ended }

my @cases = (
    [300, 'bodies of one user', body_of('/problems/', $author)],
    [300, 'bodies of 40 users at 300 addresses', sub { body_of('/problems/', $authors[$_[0] % 40]) }, \&address_of],
    [1000, 'sign-ups from 1,000 addresses', body_of('/users/signup'), \&address_of],
);
push @cases, [1000, 'sign-ups from one address', body_of('/users/signup')] if long();

for my $case (@cases) {
    my ($count, $what, $request, $from) = @$case;
    my $name = "$count slow $what";
    subtest $name => sub {
        my $slow = LearnHub::Slow->start(port => $server->port, count => $count, feed => 'x', again => 1,
            read => 1000, request => $request, from => $from);
        my $refused = sub { my $all = 0; $all += $_ for values %{ $slow->progress->{ended} }; $all };
        ok(eventually(sub { $refused->() > $count / 2 }, 20), 'most are refused');
        my $run = $ledger->under_load(before => 1, after => long() ? 20 : 1);
        my $ended = refusals($slow->progress->{ended});
        $slow->stop;
        ok(eventually(sub { busy_workers($server) == 1 }, 60), 'the server comes to rest');
        my $again = $ledger->under_load(before => 0.5, after => 0.5);
        consistent($run, $name, not_slower($name, $run, $alone, $again), ended => $ended,
            memory => sprintf '%.0f MB', pss_of($server));
        like($ended, qr{^(?:\d+ x 408 )?\d+ x (?:429|503)(?: \d+ x 503)?$}, 'with 429 or 503, or 408 after their time');
    };
}

# httpd reads headers in a thread. Those of fewer clients than threads stop nobody; those of more stop the server until
# their time has passed, which is short here.
subtest 'slow headers' => sub {
    my $limit = long() ? '10-20' : '2-4';
    my $patient = quickstart_httpd(node_directives("RequestReadTimeout header=$limit,MinRate=500\n"));
    my %slow = (port => $patient->port, request => "GET /health HTTP/1.1\r\nHost: x\r\nX: ", feed => 'x',
        from => \&address_of, read => 1000);
    my $beside = ledger(nodes => [$patient->port], mentors => 1, clients => 8, mix => [qw(session create page)]);
    my $first = $beside->under_load(before => 0.5, after => 0.5);
    my $fewer = LearnHub::Slow->start(%slow, count => 300, again => 1);
    ok(eventually(sub { busy_workers($patient) > 290 }), 'each of 300 clients occupies a thread');
    my $run = $beside->under_load(before => 1, after => long() ? 20 : 1);
    consistent($run, '300 slow headers', not_slower('300 slow headers', $run, $first),
        memory => sprintf '%.0f MB', pss_of($patient));
    $fewer->stop;

    my $more = LearnHub::Slow->start(%slow, count => 800);
    my $start = time;
    sleep 0.5;
    my $served = eventually(sub { api(GET => '/health', port => $patient->port)->status == 200 && time - $start }, 60);
    my ($least) = $limit =~ /(\d+)/;
    diag(sprintf '800 slow headers, RequestReadTimeout header=%s: others are served after %.1f s', $limit, $served);
    cmp_ok($served, '<', 4 * $least + 10, '800 slow headers stop others for a few times the limit, and not longer');
    my $all_ended = sub { # without 408 (000) those whose first byte a busy machine delays beyond the limit
        my $ended = $more->progress->{ended};
        return $ended->{408} && $ended->{408} + ($ended->{'000'} // 0) == 800;
    };
    ok(eventually($all_ended, 60), 'each slow client gets 408');
    $more->stop;
};

done_testing;

# SPDX-License-Identifier: Apache-2.0
# Parallel requests of many routes for LOAD_SECONDS (3), in one process with many threads, with changes, log-outs, mails
# and graceful restarts: each request is answered as expected. Its purpose is a run under ThreadSanitizer:
# make -f Makefile.apxs test SAN=thread T='t/92-*.t' LOAD_SECONDS=60
use strict;
use warnings;

use LearnHub::Mail;
use LearnHub::Test;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{LOAD_SECONDS} || 3;
my $mail_server = LearnHub::Mail->new->start;
my $server = second_httpd('LearnHubSMTP ' . $mail_server->url . "\nLearnHubMailFrom hub\@example.com\n"
        . "LearnHubCache 4194304\nLearnHubRevocationInterval 1s\n");
my @port = (port => $server->port);
my $teacher = signup(role => 'instructor');
my @users = map { signup() } 1 .. 8;
my %problem = (title => 'Load', description => 'D', difficulty => 'easy');
my $problem = api_as($teacher, POST => '/problems/', json => \%problem)->json->{problem}{id};
my %session = (title => 'Load', description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 8);
my $session = api_as($teacher, POST => '/api/sessions/', json => \%session)->json->{id};

# What each client does in turn, with the expected statuses. Closed connections are those of a graceful restart.
my @actions = (
    [200, sub { api(GET => "/problems/$problem", @port) }],
    [200, sub { api_as($_[0], GET => '/users/me', @port) }],
    [200, sub { api_as($_[0], GET => '/api/sessions/', @port) }],
    [200, sub { api(GET => '/problems/search/query?q=lo.d', @port) }],
    [200, sub { api_as($teacher, PATCH => "/api/sessions/$session/", json => { title => unique('load') }, @port) }],
    ['201|400', sub { api_as($_[0], POST => "/api/sessions/$session/join/", @port) }],
    ['200|400', sub { api_as($_[0], POST => "/api/sessions/$session/leave/", @port) }],
    ['201|400', sub { api_as($_[0], POST => '/api/credits/spend/', json => { amount => 1, reason => 'x' }, @port) }],
    [404, sub { api_as($_[0], GET => '/sessions/6b01d45538cde486e0000015', @port) }],
    [204, sub { api(POST => '/auth/users/reset_password/', json => { email => $_[0]{email} }, @port) }],
    [200, sub { logs_in_and_out($_[0]) }],
    [401, sub { api_as({ token => 'x' x 40 }, GET => '/users/me', @port) }],
);

# 200, if a new token works and no longer works after its log-out.
sub logs_in_and_out {
    my ($user) = @_;
    my $login = api(POST => '/auth/token/login/',
        json => { username => $user->{email}, password => $user->{password} }, @port);
    my $token = $login->status == 200 ? $login->json->{auth_token} : return $login;
    my $reply = api_as({ token => $token }, GET => '/users/me', @port);
    api_as({ token => $token }, POST => '/auth/token/logout/', @port);
    return $reply;
}

my $end = time + $seconds;
my @lists = parallel 9, sub {
    my ($i) = @_;
    my (%wrong, $n);
    if ($i == 8) {
        for (sleep 1; time < $end; sleep 10) {
            $server->graceful;
        }
        return {};
    }
    for ($n = $i; time < $end; $n++) {
        my ($expected, $action) = @{ $actions[$n % @actions] };
        my $reply = $action->($users[$i]);
        my $lost = ($reply->header('Client-Warning') // '') =~ /Internal/;
        $wrong{ $n % @actions . ': ' . $reply->status }++ if !$lost && $reply->status !~ /^(?:$expected|429|503)$/;
    }
    return { %wrong, served => $n - $i };
};
my ($served, %wrong) = (0);
for my $list (@lists) {
    $served += delete $list->{served} // 0;
    $wrong{$_} += $list->{$_} for keys %$list;
}
cmp_ok($served, '>', 20, "$served requests were served");
is_deeply(\%wrong, {}, 'every request is answered as expected');
done_testing;

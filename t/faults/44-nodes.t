# SPDX-License-Identifier: Apache-2.0
# Two nodes behind mod_proxy_balancer, as in conf/OPERATING.md, of which one is killed under load: requests fail only at
# that moment.
use strict;
use warnings;

use LearnHub::Ledger;
use LearnHub::Slow;
use LearnHub::Test;
use Time::HiRes qw(sleep time);

my $kills = long() ? 3 : 2;
my @nodes = map { second_httpd(node_directives()) } 1 .. 2;

# The recipe of the document, with the ports of this test.
my $document = do { local (@ARGV, $/) = "$top/conf/OPERATING.md"; <> };
my ($recipe) = $document =~ m{^( +<Proxy balancer://learnhub>.*?ProxyPass .*?)\n\n}ms or die 'no recipe';
my @members = $recipe =~ /BalancerMember (\S+)/g;
is(scalar @members, 2, 'the recipe has two nodes');
my %port = map { $members[$_] => 'http://127.0.0.1:' . $nodes[$_]->port } 0, 1;
$recipe =~ s/BalancerMember \K(\S+)/$port{$1}/g;

my ($modules) = do { local (@ARGV, $/) = "$top/t/conf/base.conf"; <> } =~ m{"(/\S+)/mod_mpm_event\.so"};
my @modules = qw(mpm_event authz_core proxy proxy_http proxy_balancer lbmethod_bybusyness slotmem_shm);
my $load = join "\n", map {qq(LoadModule ${_}_module "$modules/mod_$_.so")} @modules;
my $proxy = second_httpd(<<"CONF", alone => 1);
$load
ServerLimit 2
ThreadsPerChild 64
MaxRequestWorkers 128
LogLevel warn mpm_event:notice
<Directory />
    Require all granted
</Directory>
$recipe
CONF

my $ledger = ledger(nodes => [$proxy->port], clients => 12, mentors => 1,
    mix => [qw(create session autosave me problem page coding problems join leave chat eco credits)]);

# Kills all processes of a node, and starts it again a second later.
my @killed;
my $kill_nodes = sub {
    for my $round (1 .. $kills) {
        my $node = $nodes[$round % 2];
        kill KILL => $node->pid, children_of($node);
        push @killed, time;
        sleep 1;
        unlink "$node->{files}.pid";
        my ($status, $text) = $node->httpd('-k', 'start');
        $status == 0 && $node->accepts_connections or die "the node did not start: $text";
        sleep 1.5;
    }
};
my $run = $ledger->under_load(before => 0.5, fault => $kill_nodes, after => 0.5);
my @failed = grep { $_->{status} >= 500 || !$_->{status} } $run->entries;
my $wrong = $ledger->compare;
my $after = sub { my ($entry) = @_; my ($last) = grep { $_ < $entry->{end} } reverse @killed;
    return $last ? $entry->{end} - $last : -1 };
my @late = grep { my $start = $_->{start}; !grep { $start < $_ + 1 && $_ < $start + 1 } @killed } @failed;
diag($run->line("one of two nodes killed $kills x", $wrong, refused => scalar(@failed),
        latest => sprintf '%.2f s', (sort { $b <=> $a } 0, map { $after->($_) } @failed)[0]));

is_deeply($wrong, { map { $_ => [] } keys %$wrong }, 'the database agrees with the responses');
is_deeply([map { sprintf '%s %s %.2f', $_->{kind}, $_->{status}, $after->($_) } @late], [],
    'no request that begins later than a second after a kill fails');
cmp_ok(scalar @failed, '<=', 12 * $kills, 'at most one request of each client for each kill');
my %served = map { $_->{node} => 1 } $run->entries;
cmp_ok(scalar(grep { $_->{status} =~ /^2/ } $run->entries), '>', 100, 'more than 100 requests are served');
is(scalar(grep { $_->{status} =~ /^2/ && $_->{start} > $killed[-1] + 1.5 } $run->entries) > 0 ? 1 : 0, 1,
    'requests are served after the last kill');
is(scalar(grep { api(GET => '/health', port => $_->port)->status == 200 } @nodes), 2, 'both nodes run again');

done_testing;

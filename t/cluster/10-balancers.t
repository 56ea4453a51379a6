# SPDX-License-Identifier: Apache-2.0
# Two and three nodes behind mod_proxy_balancer and HAProxy, with the files of conf/cluster: a rolling restart under
# load fails no request, a killed node fails those that it was executing, and LearnHubRate counts the clients of the
# balancer.
use strict;
use warnings;

use File::Basename qw(dirname);
use IO::Socket::UNIX ();
use LearnHub::Ledger;
use LearnHub::Recipe;
use LearnHub::Server;
use LearnHub::Slow;
use LearnHub::Test;
use POSIX ();
use Time::HiRes qw(sleep time);

my ($modules) = do { local (@ARGV, $/) = "$top/t/conf/base.conf"; <> } =~ m{"(/\S+)/mod_mpm_event\.so"};
my $owner = $$;
my $haproxy_pid;

sub load_modules {
    return join '', map {qq(LoadModule ${_}_module "$modules/mod_$_.so"\n)} @_;
}

# ---- nodes ----

my $node_recipe = LearnHub::Recipe->recipe('node.conf', [qr/10\.0\.0\.10/ => '127.0.0.1']);
my @nodes = map { second_httpd(load_modules('remoteip') . $node_recipe . node_directives()) } 1 .. 3;

sub start_node {
    my ($node) = @_;
    unlink "$node->{files}.pid";
    my ($status, $text) = $node->httpd('-k', 'start');
    return ($status == 0 && $node->accepts_connections) || die "the node did not start: $text";
}

# Stops a node as `apachectl graceful-stop` does, and waits until it has ended.
sub stop_gracefully {
    my ($node) = @_;
    my $pid = $node->pid;
    kill WINCH => $pid or die "kill: $!";
    return eventually(sub { !LearnHub::Server::runs($pid) }, 60) || die 'the node does not stop';
}

# ---- balancers: {port, drain => sub (number), ready => sub (number), stop => sub} ----

sub httpd_balancer {
    my (@members) = map { 'http://127.0.0.1:' . $_->port } @_;
    my @lines = LearnHub::Recipe->recipe('balancer.conf') =~ /( +BalancerMember .*\\\n.*\n)/g;
    my $list = join '', map { $lines[0] =~ s/http:\S+/$_/r } @members;
    my $recipe = LearnHub::Recipe->recipe('balancer.conf', [quotemeta(join '', @lines) => $list]);
    my $load = load_modules(qw(mpm_event authz_core authz_host headers watchdog proxy proxy_http proxy_balancer
            proxy_hcheck lbmethod_bybusyness slotmem_shm)) =~ s/^.*mod_watchdog.*\n//mr;
    my $limits = "ServerLimit 2\nThreadsPerChild 64\nMaxRequestWorkers 128\n"
        . "<Directory />\nRequire all granted\n</Directory>\n";
    my $proxy = second_httpd("$load$limits$recipe", alone => 1);
    my $change = sub {
        my ($number, $state) = @_;
        my $url = 'http://127.0.0.1:' . $proxy->port . '/balancer-manager';
        my @command = ("$top/conf/cluster/balancer-member", $url, 'learnhub', $members[$number], $state);
        return system(@command) == 0 || die "balancer-member fails: @command";
    };
    return { port => $proxy->port, change => $change, stop => sub { $proxy->stop } };
}

# What HAProxy answers to a command.
sub ask_haproxy {
    my ($path, $command) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => $path) or die "$path: $!";
    print $socket "$command\n";
    return join '', <$socket>;
}

sub haproxy {
    my (@members) = @_;
    my $directory = "$top/t/logs";
    my $socket = 'build/haproxy.sock'; # a path below $top can be too long
    my $port = LearnHub::Server->free_port;
    my @lines = map { "    server node" . ($_ + 1) . ' 127.0.0.1:' . $members[$_]->port . "\n" } 0 .. $#members;
    my ($list) = LearnHub::Recipe->recipe('haproxy.cfg') =~ /((?:^ +server .*\n)+)/m;
    my $file = LearnHub::Recipe->write_recipe("$directory/haproxy.cfg", 'haproxy.cfg',
        [quotemeta($list) => join '', @lines], [qr{/run/haproxy/admin\.sock} => "unix\@$socket"],
        [qr/bind :80\b/ => "bind 127.0.0.1:$port"]);
    $haproxy_pid = fork // die "fork: $!";
    if (!$haproxy_pid) {
        chdir $top;
        open STDOUT, '>', "$directory/haproxy.out" and open STDERR, '>&', \*STDOUT or POSIX::_exit(126);
        exec '/usr/sbin/haproxy', '-db', '-f', $file or POSIX::_exit(127);
    }
    chdir $top or die $!;
    my $usable = sub {
        my ($number) = @_;
        my ($line) = grep {/^learnhub,node$number,/} split /\n/, ask_haproxy($socket, 'show stat');
        my @fields = split /,/, $line // '';
        return $fields[17] eq 'UP';
    };
    my $change = sub {
        my ($number, $state) = @_;
        my $name = 'node' . ($number + 1);
        ask_haproxy($socket, "set server learnhub/$name state $state");
        return sleep 1 if $state eq 'drain';
        return eventually(sub { $usable->($number + 1) }, 30) || die "$name is not used";
    };
    eventually(sub { @members == grep { $usable->($_) } 1 .. @members }, 30) or die 'HAProxy does not start';
    return { port => $port, change => $change, stop => \&stop_haproxy };
}

sub stop_haproxy {
    my $pid = $haproxy_pid // return;
    $haproxy_pid = undef;
    local $?;
    kill TERM => $pid;
    return waitpid $pid, 0;
}

END { stop_haproxy() if $$ == $owner }

# ---- scenarios ----

my $ledger = ledger(nodes => [1], clients => 12, mentors => 1, fresh => 'half', keys => 1,
    mix => [qw(create session autosave me problem page coding problems join leave chat eco credits)]);

sub failed { my ($run) = @_; return grep { !$_->{status} || $_->{status} >= 500 } $run->entries }

# Every acknowledged write is stored once, and no client is left without a response to a write.
sub figures {
    my ($run, $name, %more) = @_;
    my $wrong = $ledger->compare;
    diag($run->line($name, $wrong, unanswered => scalar(my @failed = failed($run)), %more));
    return is_deeply($wrong, { map { $_ => [] } keys %$wrong }, "$name: the database agrees with the responses");
}

sub rolling_restart {
    my ($name, $balancer, @members) = @_;
    my $restart = sub {
        for my $number (0 .. $#members) {
            $balancer->{change}->($number, 'drain');
            stop_gracefully($members[$number]);
            start_node($members[$number]);
            $balancer->{change}->($number, 'ready');
        }
    };
    my $run = $ledger->under_load(before => 1, fault => $restart, after => 1);
    figures($run, "$name, rolling restart", seconds => sprintf '%.1f', $run->at('repaired') - $run->at('fault'));
    is_deeply([map {"$_->{kind} $_->{status}"} failed($run)], [], "$name: no request fails");
    return cmp_ok(scalar $run->entries, '>', 100, "$name: more than 100 requests are served");
}

# All processes of a node are killed; it starts again after two seconds.
sub killed_node {
    my ($name, $balancer, @members) = @_;
    my $killed;
    my $kill = sub {
        kill KILL => $members[0]->pid, children_of($members[0]);
        $killed = time;
        sleep 2;
        start_node($members[0]);
        $balancer->{change}->(0, 'ready');
    };
    my $run = $ledger->under_load(before => 1, fault => $kill, after => 1);
    my @failed = failed($run);
    my ($latest) = sort { $b <=> $a } $killed, map { $_->{end} } @failed;
    figures($run, "$name, node killed", latest => sprintf '%.2f s', $latest - $killed);
    my @late = map { sprintf '%s %.2f', $_->{kind}, $_->{start} - $killed } grep { $_->{start} > $killed + 1 } @failed;
    is_deeply(\@late, [], "$name: no request fails that begins later than a second after the kill");
    return cmp_ok(scalar @failed, '<=', 12, "$name: at most one request of each client fails");
}

my %balancer = (mod_proxy_balancer => \&httpd_balancer, HAProxy => \&haproxy);

for my $kind ('mod_proxy_balancer', 'HAProxy') {
    for my $count (2, 3) {
        my @members = @nodes[0 .. $count - 1];
        subtest "$kind, $count nodes" => sub {
            my $balancer = $balancer{$kind}->(@members);
            $ledger->{nodes} = [$balancer->{port}];
            $ledger->forget;
            rolling_restart("$kind, $count nodes", $balancer, @members);
            killed_node("$kind, $count nodes", $balancer, @members);
            $balancer->{stop}->();
        };
    }
}

sub search {
    my ($balancer, $from, $headers) = @_;
    my %with = (port => $balancer->{port}, from => $from, headers => $headers);
    return api(GET => '/problems/search/query?q=x', %with);
}

subtest 'the addresses of clients' => sub {
    my $node = second_httpd(load_modules('remoteip') . "$node_recipe\nLearnHubRate search 3/1h 3/1h\n");
    for my $kind (sort keys %balancer) {
        my $balancer = $balancer{$kind}->($node);
        my $statuses = sub {
            my ($from) = @_;
            my @forged = map { +{ 'X-Forwarded-For' => "192.0.2.$_" } } 1 .. 5;
            return join ' ', map { search($balancer, $from, $_)->status } @forged;
        };
        my ($one, $other) = $kind eq 'HAProxy' ? qw(127.0.0.2 127.0.0.3) : qw(127.0.0.4 127.0.0.5);
        is($statuses->($one), '200 200 200 429 429', "$kind: a client reaches its limit, whatever header it sends");
        is($statuses->($other), '200 200 200 429 429', "$kind: another client has a limit of its own");
        $balancer->{stop}->();
    }
    $node->stop;
};

done_testing;

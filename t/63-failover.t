# SPDX-License-Identifier: Apache-2.0
# Two PostgreSQL clusters, a primary and a synchronous standby: the standby is lost, the primary hangs while the standby
# is promoted, a statement takes long, and the primary becomes read-only. No acknowledged write is lost.
use strict;
use warnings;

use File::Path qw(make_path remove_tree);
use LearnHub::Test;
use Time::HiRes qw(sleep time);

expect_log(qr/LH0004: /, qr/LH0005: /, qr/LH0031: /, qr/LH0113: /, qr/SQLSTATE 25006/, qr/\[dbd:error\]/);

my $bin = (sort glob '/usr/lib/postgresql/*/bin')[-1];
my $files = "$top/build/failover";
my %socket = map { $_ => '@learnhub-failover-' . "$$-$_" } qw(a b);
my $one_process = "StartServers 1\nServerLimit 1\nMaxRequestWorkers 32";
my $everybody = 'sslmode=disable gssencmode=disable connect_timeout=2';

# ---- clusters ----

sub run {
    my ($log, @command) = @_;
    my $command = join ' ', map {quotemeta} @command;
    system("$command >>'$files/$log.log' 2>&1") == 0 or die "failed: @command; see $files/$log.log\n";
    return 1;
}

sub conninfo { my ($name, $user) = @_; return "host=$socket{$name} user=$user dbname=learnhub $everybody" }

sub configure {
    my ($name) = @_;
    open my $conf, '>>', "$files/$name/postgresql.conf" or die $!;
    print $conf map {"$_\n"} "listen_addresses = ''", "unix_socket_directories = '$socket{$name}'", 'fsync = off',
        'max_connections = 60', 'shared_buffers = 16MB', 'synchronous_commit = remote_apply',
        'wal_receiver_status_interval = 1s';
    close $conf or die $!;
    return;
}

sub control { my ($name, @command) = @_; return run($name, "$bin/pg_ctl", '-D', "$files/$name", '-s', '-w', @command) }
sub start { my ($name) = @_; return control($name, '-l', "$files/$name-server.log", 'start') }

# Runs SQL as the superuser, one statement each, and returns what the last one prints.
sub psql {
    my ($name, @statements) = @_;
    my @command = ("$bin/psql", '-XAtq', '-d', conninfo($name, 'postgres'), map { ('-c', $_) } @statements);
    open my $out, '-|', @command or die $!;
    my $text = do { local $/; <$out> };
    close $out or die "psql failed: @statements\n";
    chomp $text if defined $text;
    return $text;
}

sub set { my ($name, $setting) = @_; return psql($name, "ALTER SYSTEM SET $setting", 'SELECT pg_reload_conf()') }

# The postmaster and its children.
sub processes {
    my ($name) = @_;
    open my $file, '<', "$files/$name/postmaster.pid" or die $!;
    chomp(my $postmaster = <$file>);
    my @all = ($postmaster);
    for my $stat (glob '/proc/[0-9]*/stat') {
        open my $in, '<', $stat or next;
        push @all, $1 if (<$in> // '') =~ /^(\d+) \(.*\) \S $postmaster /;
    }
    return @all;
}

sub prepare {
    remove_tree($files);
    make_path($files);
    run('a', "$bin/initdb", '-N', '-D', "$files/a", '-U', 'postgres', '--auth=trust', '--encoding=UTF8',
        '--locale=C.UTF-8');
    configure('a');
    start('a');
    my $admin = conninfo('a', 'postgres') =~ s/dbname=\w+/dbname=postgres/r;
    my @create = ('CREATE ROLE learnhub LOGIN', 'CREATE DATABASE learnhub');
    run('a', "$bin/psql", '-Xq', '-d', $admin, map { ('-c', $_) } @create);
    local @ENV{qw(DATABASE GRANT_TO)} = (conninfo('a', 'postgres'), 'learnhub');
    run('a', "$top/conf/quickstart/migrate");
    run('b', "$bin/pg_basebackup", '-D', "$files/b", '-c', 'fast', '-X', 'stream', '-R', '-d',
        conninfo('a', 'postgres') . ' application_name=standby');
    open my $conf, '>>', "$files/b/postgresql.conf" or die $!;
    print $conf "unix_socket_directories = '$socket{b}'\n";
    close $conf or die $!;
    return start('b');
}

my $owner = $$;

END {
    if ($$ == $owner && -d $files) {
        my $status = $?;
        $_->stop for LearnHub::Server->started;
        for my $name (grep { -e "$files/$_/postmaster.pid" } qw(a b)) {
            kill CONT => processes($name);
            control($name, '-m', 'immediate', 'stop');
        }
        $? = $status;
    }
}

# ---- the server and its clients ----

sub new_server {
    my ($more) = @_;
    my $params = "host=$socket{a},$socket{b} user=learnhub dbname=learnhub $everybody target_session_attrs=read-write";
    return second_httpd(qq(DBDParams "$params application_name=mod_learnhub"\nDBDMax 4\nDBDKeep 4\n$more));
}

my ($server, $teacher);

sub here { return (port => $server->port, @_) }

sub new_teacher {
    my %user = (first_name => 'T', last_name => 'P', email => unique('t') . '@example.com');
    $user{password} = 'a good password';
    my $reply = api(POST => '/users/signup', here(json => {%user}));
    $reply->status == 201 or die 'signup: ' . $reply->summary;
    psql('a', "SELECT learnhub.set_role('$user{email}', 'instructor')");
    return api(POST => '/users/login', here(form => { username => $user{email}, password => $user{password} }))
        ->json->{access_token};
}

sub create {
    my ($title) = @_;
    return api_as($teacher, POST => '/api/sessions/', here(json =>
                { title => $title, description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 20 }));
}

sub read_list { return api_as($teacher, GET => '/api/sessions/?page=1&page_size=2', here()) }

# Four clients write, or write and read in turns, until $end: [{kind, began, ended, title, status}].
sub load {
    my ($end, $reads, $fault) = @_;
    my @lists = parallel 5, sub {
        my ($i) = @_;
        return [$fault->()] if $i == 4;
        my @results;
        for (my $n = 0; time < $end; $n++) {
            my ($kind, $title, $began) = ($reads && $n % 2 ? 'read' : 'write', unique("load$i"), time);
            my $reply = $kind eq 'read' ? read_list() : create($title);
            push @results, { kind => $kind, began => $began, ended => time, title => $title, status => $reply->status };
        }
        return \@results;
    };
    return @lists;
}

sub stored {
    my ($name) = @_;
    return map { $_ => 1 } split /\n/, psql($name, 'SELECT title FROM learnhub.tutoring_sessions');
}

sub count_lines {
    my ($pattern) = @_;
    open my $log, '<', $server->error_log or die $!;
    return scalar grep {/$pattern/} <$log>;
}

prepare();

subtest 'a lost synchronous standby' => sub {
    $server = new_server("$one_process
LearnHubStatementTimeout 1s
LearnHubRevocationInterval 1h");
    $teacher = new_teacher();
    my $known = create('known');
    is($known->status, 201, 'writes succeed with the standby');
    set('a', q(synchronous_standby_names = 'nobody'));
    my $count = q(SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mod_learnhub');
    my @lists = load(time + 6, 1, sub { map { sleep 0.5; psql('a', $count) } 1 .. 12 });
    my ($most) = sort { $b <=> $a } @{ $lists[4] };
    my @all = map {@$_} @lists[0 .. 3];
    my @writes = grep { $_->{kind} eq 'write' } @all;
    cmp_ok(scalar(@writes), '>=', 12, 'more writes wait for the standby than the server has connections');
    is(scalar(grep { $_->{status} == 201 } @writes), 0, 'no write is acknowledged');
    cmp_ok($most, '<=', 8, 'backends of abandoned writes are cancelled');
    is(join(' ', map { $_->{status} } grep { $_->{kind} eq 'read' && $_->{status} != 200 } @all), '', 'reads go on');
    set('a', q(synchronous_standby_names = 'standby'));
    ok(eventually(sub { create(unique('again'))->status == 201 }), 'writes succeed when there is a standby again');
    $server->stop;
};

subtest 'a standby that is promoted while the primary hangs' => sub {
    $server = new_server("$one_process\nLearnHubConnectionWait 4s");
    my @lists = load(time + 7, 1, sub {
            sleep 0.7;
            kill STOP => processes('a');
            sleep 1;
            control('b', 'promote');
            return time;
    });
    my $promoted = $lists[4][0];
    my @all = map {@$_} @lists[0 .. 3];
    my @done = sort { $a->{ended} <=> $b->{ended} } grep { $_->{status} =~ /^20[01]$/ } @all;
    my @failed = sort { $a->{ended} <=> $b->{ended} } grep { $_->{status} !~ /^20[01]$/ } @all;
    my ($first) = grep { $_->{ended} > $promoted } @done;
    my ($late) = grep { $_->{began} > $promoted + 2.5 } @failed;
    diag(sprintf 'first success %.2f s, last failure %.2f s after the promotion; %d failed of %d',
        $first->{ended} - $promoted, @failed ? $failed[-1]{ended} - $promoted : 0, scalar @failed, scalar @all);
    cmp_ok($first->{ended} - $promoted, '<', 4, 'requests succeed within seconds after the promotion');
    ok(!$late, 'no request fails that began later than 2.5 seconds after the promotion');
    is_deeply([grep { $_->{status} != 503 } @failed], [], 'requests fail with 503 only');
    is(scalar(grep { $_->{kind} eq 'read' } @failed), 0, 'no read fails');
    cmp_ok(scalar(@failed), '<=', 8, 'of the writes, those fail that were being executed');
    my %stored = stored('b');
    my @lost = grep { $_->{kind} eq 'write' && !$stored{ $_->{title} } } @done;
    is_deeply(\@lost, [], 'no acknowledged write is lost');
    my $change = qr/LH0114: \Q$socket{b}\E:5432 is used instead of \Q$socket{a}\E:5432/;
    is(count_lines($change), 1, 'the change is logged once');
};

# The old primary is not fenced: both accept writes.
subtest 'a slow statement does not change the host' => sub {
    kill CONT => processes('a');
    set('a', q(synchronous_standby_names = ''));
    psql('b', q(ALTER SYSTEM SET synchronous_standby_names = ''), 'SELECT pg_reload_conf()');
    my @results = parallel 2, sub {
        my ($i) = @_;
        return create('slow')->status if $i;
        return psql('b', 'BEGIN', 'LOCK TABLE learnhub.tutoring_sessions', 'SELECT pg_sleep(2)', 'COMMIT') // '';
    };
    is($results[1], 201, 'a write waits for a lock');
    is(count_lines(qr/LH0114: /), 1, 'the host is the same');
    is({ stored('b') }->{slow}, 1, 'the write is in the new primary');
    is({ stored('a') }->{slow}, undef, 'the write is not in the old one');
};

subtest 'a primary that becomes read-only' => sub {
    my @busy = parallel 4, sub { return read_list()->status };
    is_deeply(\@busy, [(200) x 4], 'the server has several connections');
    set('b', 'default_transaction_read_only = on');
    ok(eventually(sub { psql('b', 'SHOW default_transaction_read_only') eq 'on' }), 'the primary is read-only');
    my $reply = create('moved');
    is($reply->status, 201, 'the next write finds the host that accepts writes') || diag($reply->summary);
    is({ stored('a') }->{moved}, 1, 'the write is there');
    is(count_lines(qr/LH0114: \Q$socket{a}\E/), 1, 'the change is logged');
};

# While a statement waits, connectors ask the hosts, of which none can be used.
subtest 'hosts that refuse connections' => sub {
    my $log = "$files/a-server.log";
    my $start = -s $log;
    my $other = conninfo('a', 'postgres') =~ s/dbname=\w+/dbname=postgres/r;
    my $execute = sub { run('psql', "$bin/psql", '-XAtqd', $other, '-c', $_[0]) };
    my $allow = sub { $execute->("ALTER DATABASE learnhub ALLOW_CONNECTIONS $_[0]") };
    my @results = parallel 3, sub {
        my ($i) = @_;
        return psql('a', 'BEGIN', 'LOCK TABLE learnhub.tutoring_sessions', 'SELECT pg_sleep(3)', 'COMMIT') // '' if !$i;
        sleep 0.3 * $i;
        return create('refused')->status if $i == 1;
        $allow->('false');
        sleep 2;
        return $allow->('true');
    };
    is_deeply([@results[1, 2]], [201, 1], 'a statement that waits for a lock is executed');
    open my $lines, '<', $log or die $!;
    seek $lines, $start, 0;
    my $refused = grep {/not currently accepting connections/} <$lines>;
    cmp_ok($refused, '>', 0, 'hosts are asked');
    cmp_ok($refused, '<', 60, 'with pauses');
    $allow->('false');
    $execute->("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mod_learnhub'");
    is(read_list()->status, 503, 'a read without a usable host returns 503');
    my $cause = qr/session is read-only|not currently accepting connections/;
    ok(eventually(sub { count_lines(qr/LH0031: database unavailable: .*$cause/) }), 'the cause is logged');
    $allow->('true');
};

done_testing();

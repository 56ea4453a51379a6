# SPDX-License-Identifier: Apache-2.0
# Reads on a standby (LearnHubReadFrom), on two nodes: who reads where, a standby with a delay, one that is late, hangs,
# stops, has an older schema or is promoted.
use strict;
use warnings;

use LearnHub::Cluster;
use LearnHub::Test;
use Time::HiRes qw(sleep time);

expect_log(qr/LH0031: /, qr/LH0135: /, qr/LH0137: /, qr/SQLSTATE 57P0\d/, qr/\[dbd:error\]/);

my $lag = 1;
my $list = '/api/sessions/?status=upcoming&page_size=100';
my ($primary, $standby) =
    LearnHub::Cluster->copies(primary => {}, standby => { standby_of => 'primary', hot_standby_feedback => 'off' });
$_->start for $primary, $standby;

sub new_node {
    my ($more) = @_;
    my $from = $standby->conninfo('learnhub') . ' application_name=mod_learnhub';
    return second_httpd(LearnHub::Cluster->directives($primary) . <<"END");
LoadModule headers_module "$ENV{LEARNHUB_MODULES}/mod_headers.so"
Header always set X-Test-Db "expr=%{note:learnhub-db}"
StartServers 1
ServerLimit 1
MaxRequestWorkers 32
LearnHubReadFrom "$from"
LearnHubReadLag ${lag}s
LearnHubStatementTimeout 3s
LearnHubCache 0
$more
END
}

BEGIN { chomp($ENV{LEARNHUB_MODULES} = `apxs -q libexecdir`) }

my ($near, $far) = map { new_node('') } 1 .. 2;
my ($teacher, $reader, $admin);

sub new_user {
    my ($role) = @_;
    my %user = (first_name => 'T', last_name => 'P', email => unique('s') . '@example.com');
    $user{password} = 'a good password';
    my @node = (port => $near->port);
    my $reply = api(POST => '/users/signup', json => {%user}, @node);
    $reply->status == 201 or die 'signup: ' . $reply->summary;
    $primary->handle->do('SELECT learnhub.set_role(?, ?)', undef, $user{email}, $role);
    my %form = (username => $user{email}, password => $user{password});
    return api(POST => '/users/login', form => \%form, @node)->json->{access_token};
}

sub create {
    my ($node, $title) = @_;
    my %session = (title => $title, description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 20);
    my $reply = api_as($teacher, POST => '/api/sessions/', json => \%session, port => $node->port);
    $reply->status == 201 or die $reply->summary;
    return $title;
}

sub read_list { my ($node, $user) = @_; return api_as($user, GET => $list, port => $node->port) }
sub has { my ($reply, $title) = @_; return scalar grep { $_->{title} eq $title } @{ $reply->json->{results} } }
sub db_of { my ($reply) = @_; return $reply->status . ' ' . ($reply->header('X-Test-Db') // '') }

sub uses_standby {
    my ($node, $seconds) = @_;
    return eventually(sub { db_of(read_list($node, $reader)) eq '200 standby' }, $seconds);
}

sub lines { my ($node, $pattern) = @_; return scalar grep {/$pattern/} split /\n/, $node->log_text }
sub on_standby { my ($sql) = @_; return $standby->handle('postgres')->do($sql) }

($teacher, $reader, $admin) = map { new_user($_) } qw(instructor student admin);
ok(uses_standby($_, 20), 'a node reads a list on the standby') for $near, $far;

subtest 'routes' => sub {
    my $at = sub { my ($path, $user) = @_; db_of(api_as($user // $reader, GET => $path, port => $near->port)) };
    ok(eventually(sub { $at->($_) eq '200 standby' }), "$_ is read on the standby")
        for '/mentor/', '/mentor/?page=1', '/mentee/', '/availabilty/', '/api/v1/activities/', '/api/rewards/',
        '/mentor/perl/';
    ok(eventually(sub { $at->('/api/admin/users/', $admin) eq '200 standby' }),
        'the list of accounts is read on the standby');
    ok(eventually(sub { db_of(api(GET => $_, port => $near->port)) eq '200 standby' }), "$_ is read on the standby")
        for '/problems/', '/problems/search/query?q=abc';
    is($at->('/api/sessions/'), '200 primary', 'a page that shares a round trip is read on the primary');
    is($at->($_), '200 ', "$_ is read on the primary") for '/users/me', '/api/sessions/my_sessions/', '/myprofile/';
};

# The standby replays each commit half a second later.
subtest 'a delay' => sub {
    on_standby('ALTER SYSTEM SET recovery_min_apply_delay = 500');
    on_standby('SELECT pg_reload_conf()');
    my ($end, $title) = (time + 3, unique('delay'));
    my @done = parallel 3, sub {
        my ($i) = @_;
        my @all;
        for (my $n = 0; time < $end; $n++) {
            if ($i == 0) {
                my $made = create($near, "$title-$n");
                my $at = time;
                push @all, { title => $made, at => $at, seen => has(read_list($far, $teacher), $made) };
                sleep 0.05; # at most 60, which one page shows
            }
            else {
                my $at = time;
                my $reply = read_list($i == 1 ? $far : $near, $reader);
                my %seen = map { $_->{title} => 1 } @{ $reply->json->{results} };
                push @all, { at => $at, seen => \%seen, db => db_of($reply) };
                sleep 0.02;
            }
        }
        return \@all;
    };
    my ($writes, @readers) = @done;
    cmp_ok(scalar @$writes, '>', 5, 'a user writes through one node and reads through the other');
    is(scalar(grep { !$_->{seen} } @$writes), 0, 'and always sees the change');
    for my $reads (@readers) {
        my (@old, @too_old);
        for my $read (grep { $_->{db} eq '200 standby' } @$reads) {
            my @missed = grep { $_->{at} < $read->{at} && !$read->{seen}{ $_->{title} } } @$writes;
            push @old, $read if @missed;
            push @too_old, grep { $_->{at} < $read->{at} - $lag } @missed;
        }
        cmp_ok(scalar @old, '>', 0, 'another user sees an older state');
        is(scalar @too_old, 0, 'but not one that is older than LearnHubReadLag');
    }
};

subtest 'anonymous reads' => sub {
    my @missed;
    for my $n (1 .. 5) {
        my %problem = (title => unique('anonymous'), description => 'D', difficulty => 'easy');
        my $reply = api_as($teacher, POST => '/problems/', json => \%problem, port => $near->port);
        is($reply->status, 201, 'a problem') || diag($reply->summary);
        my $found = api(GET => "/problems/search/query?q=$problem{title}", port => $far->port);
        push @missed, $problem{title} if $found->json->{total} != 1;
    }
    is("@missed", '', 'find each change');
};

# Also those of a server with LearnHubReadFrom Primary, and of one without a cache; but only of changes that are made.
subtest 'stored writers' => sub {
    my ($server) = second_httpd("LearnHubReadFrom Primary\nLearnHubCache 0");
    my $user = signup();
    my $count = sub {
        (sql('SELECT count(*) FROM learnhub.changes WHERE topic = ?', "writer:$user->{number}"))[0]{count};
    };
    $user->{number} = user($user->{email})->{id};
    my @node = (port => $server->port);
    is($count->(), 0, 'no changes');
    is(api_as($user, GET => '/myprofile/', @node)->status, 200, 'a read');
    is(api_as($user, POST => '/api/sessions/99999/join/', @node)->status, 404, 'a request that changes nothing');
    is($count->(), 0, 'they store nothing');
    is(api_as($user, PATCH => '/myprofile/', json => { first_name => 'New' }, @node)->status, 200, 'a change');
    is($count->(), 1, 'stores its writer');
    is(api_as($user, PATCH => '/myprofile/', json => { first_name => 'Newer' })->status, 200, 'another one');
    is($count->(), 1, 'without LearnHubReadFrom it does not');
    $server->stop;
};

subtest 'a standby that is late' => sub {
    on_standby('ALTER SYSTEM SET recovery_min_apply_delay = 0');
    on_standby('SELECT pg_reload_conf()');
    ok(uses_standby($far), 'the standby is used');
    my $title = create($near, unique('before'));
    ok(eventually(sub { my $reply = read_list($far, $reader); db_of($reply) eq '200 standby' && has($reply, $title) }),
        'it has caught up');
    sleep $lag + 0.5;
    ok(uses_standby($far), 'an idle primary does not make it late');
    my ($before, $written, @replies, @on_standby);
    for (1, 2) { # again, if a busy machine reads nothing until the standby is late
        $before = lines($far, qr/LH0137: /);
        on_standby('SELECT pg_wal_replay_pause()');
        $title = create($near, unique('paused'));
        $written = time;
        @replies = ();
        while (time < $written + $lag + 1) {
            my $began = time;
            push @replies, [$began, read_list($far, $reader)];
            sleep 0.02;
        }
        @on_standby = grep { db_of($_->[1]) eq '200 standby' } @replies;
        last if @on_standby;
        on_standby('SELECT pg_wal_replay_resume()');
        uses_standby($far);
    }
    is(scalar(grep { $_->[1]->status != 200 } @replies), 0, 'all reads succeed');
    cmp_ok(scalar @on_standby, '>', 0, 'the standby is used while it is not late');
    is(scalar(grep { has($_->[1], $title) } @on_standby), 0, 'with the old state');
    is(scalar(grep { $_->[0] > $written + $lag && !has($_->[1], $title) } @replies), 0, 'then the new state is read');
    is(lines($far, qr/LH0137: .*behind by more than/) - $before, 1, 'that is logged once');
    on_standby('SELECT pg_wal_replay_resume()');
    ok(uses_standby($far), 'the standby is used when it has caught up');
    cmp_ok(lines($far, qr/LH0138: /), '>', 0, 'that is logged');
};

# The state of the primary is that of version 22, the standby shows 21.
subtest 'an older schema' => sub {
    my ($comment) = $primary->handle->selectrow_array(q(SELECT obj_description('learnhub'::regnamespace)));
    $primary->handle->do(q(COMMENT ON SCHEMA learnhub IS 'mod_learnhub schema 21'));
    my $shown = sub { ($standby->handle->selectrow_array(q(SELECT obj_description('learnhub'::regnamespace))))[0] };
    ok(eventually(sub { $shown->() =~ / 21$/ }), 'the standby has an older schema');
    on_standby('SELECT pg_wal_replay_pause()');
    $primary->handle->do("COMMENT ON SCHEMA learnhub IS '$comment'");
    my $node = new_node('');
    my $until = time + $lag + 2;
    my @replies;

    while (time < $until) {
        push @replies, db_of(read_list($node, $reader));
        sleep 0.1;
    }
    is(scalar(grep { $_ ne '200 primary' } @replies), 0, 'it is not used');
    is(lines($node, qr/LH0135: .*schema is 21/), 1, 'that is logged');
    on_standby('SELECT pg_wal_replay_resume()');
    ok(uses_standby($node), 'it is used after the migration');
    $node->stop;
};

subtest 'a standby that hangs' => sub {
    ok(uses_standby($far), 'the standby is used');
    $standby->freeze;
    my @lists = parallel 4, sub {
        my ($end, @all) = (time + 3.5);
        push @all, db_of(read_list($far, $reader)) while time < $end;
        return \@all;
    };
    my @all = map {@$_} @lists;
    is(scalar(grep { $_ ne '200 primary' } @all), 0, 'all reads succeed on the primary');
    cmp_ok(scalar @all, '>', 100, 'few of them wait');
    ok(eventually(sub { lines($far, qr/LH0135: /) == 1 }), 'that is logged');
    $standby->thaw;
    ok(uses_standby($far), 'the standby is used again');
};

subtest 'a standby that stops' => sub {
    ok(uses_standby($_), 'the standby is used') for $near, $far;
    my @lists = parallel 4, sub {
        my ($i) = @_;
        if ($i == 3) { sleep 0.5; $standby->stop('immediate'); return [] }
        my ($end, @all) = (time + 2);
        push @all, db_of(read_list($far, $reader)) while time < $end;
        return \@all;
    };
    my @all = map {@$_} @lists;
    cmp_ok(scalar(grep { $_ eq '200 standby' } @all), '>', 0, 'reads on the standby');
    is(scalar(grep { !/^200 / } @all), 0, 'no read fails');
    $standby->start;
    ok(uses_standby($far, 20), 'the standby is used again');
};

subtest 'a standby that is promoted' => sub {
    $standby->promote;
    my @all = map { db_of(read_list($far, $reader)) } 1 .. 20;
    is(scalar(grep { $_ ne '200 primary' } @all), 0, 'it is not used');
    cmp_ok(lines($far, qr/LH0137: .*no standby any more/), '==', 1, 'that is logged');
};

done_testing();

# SPDX-License-Identifier: Apache-2.0
# Upgrades: a database of each earlier version, with data, gets the schema of a fresh installation and keeps its data;
# nodes of the old and the new version of the module serve side by side while they are upgraded.
use strict;
use warnings;

use File::Path qw(make_path remove_tree);
use JSON::XS ();
use LearnHub::Slow qw(children_of);
use LearnHub::Test;
use LearnHub::Upgrade;
use Time::HiRes qw(sleep);

expect_log(qr/LH0111: /, qr/LH0130: /);

my @migrations = sort glob "$top/conf/schema/*.sql";
my $newest = @migrations;
my $files = "$top/build/upgrade";
remove_tree($files);

# ---- data ----

# The rows of each table of a database, as hashes.
sub rows_of {
    my ($name) = @_;
    my $database = database_handle($name);
    my %rows;
    my $tables = q(SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'learnhub'::regnamespace);
    for my $table (@{ $database->selectcol_arrayref($tables) }) {
        my $texts = $database->selectcol_arrayref("SELECT to_jsonb(t)::text FROM learnhub.$table t");
        $rows{$table} = [map { JSON::XS->new->decode($_) } @$texts];
    }
    $database->disconnect;
    return \%rows;
}

# What migrations change on purpose: 0017 keeps one event of each user, 0019 erases the text of mails that are not sent
# any more.
sub expected_rows {
    my ($table, $version, @rows) = @_;
    if ($table eq 'auth_events' && $version < 17) {
        my %last;
        for my $row (grep { !defined $_->{token} } @rows) {
            my ($user, $id) = @$row{qw(user_id id)}; # copies, because their use as keys would make them strings
            $last{$user} = $id if $id > ($last{$user} // 0);
        }
        my %kept = reverse %last;
        return grep { my $id = $_->{id}; defined $_->{token} || $kept{$id} } @rows;
    }
    return map { $_->{state} =~ /^(?:sent|failed)$/ ? { %$_, body => '' } : $_ } @rows
        if $table eq 'outbox' && $version < 19;
    return @rows;
}

# The rows that an upgrade has lost or changed, in the columns of before.
sub lost_rows {
    my ($version, $before, $after) = @_;
    my $json = JSON::XS->new->canonical;
    my @lost;
    for my $table (sort keys %$before) {
        my @rows = expected_rows($table, $version, @{ $before->{$table} });
        my @columns = @rows ? sort keys %{ $rows[0] } : ();
        my %has = map { my $row = $_; $json->encode([@$row{@columns}]) => 1 } @{ $after->{$table} };
        push @lost, map {"$table: $_"} grep { !$has{$_} } map { $json->encode([@$_{@columns}]) } @rows;
    }
    return @lost;
}

# What must hold in a database of the newest version, as SQL that returns the number of faults.
my %invariants = (
    'lists are counted' => q(SELECT count(*) FROM (
        SELECT 'tutoring' AS list, count(*) AS n FROM learnhub.tutoring_sessions
        UNION ALL SELECT 'problems', count(*) FROM learnhub.problems) t
        WHERE n <> (SELECT coalesce(sum(rows), 0) FROM learnhub.list_counts c
                    WHERE c.list = t.list AND key = '' AND day = '-infinity')),
    'opaque tokens have logins' => q(SELECT count(*) FROM learnhub.tokens t
        WHERE NOT EXISTS (SELECT FROM learnhub.logins l
                          WHERE l.id = t.login_id AND l.user_id = t.user_id AND l.is_opaque)),
    'unlocked credits are counted' => q(SELECT count(*) FROM (
        SELECT user_id, sum(credits_awarded) FROM learnhub.coding_sessions WHERE status = 'unlocked' GROUP BY user_id
        EXCEPT SELECT user_id, unlocked_credits FROM learnhub.coding_profiles) t),
    'goals have texts and times' => 'SELECT count(*) FROM learnhub.goals WHERE updated_at < created_at',
    'activities have types' => 'SELECT count(*) FROM learnhub.activities WHERE type IS NULL',
    'deleted accounts will be erased' => q(SELECT count(*) FROM learnhub.users u WHERE deleted_at IS NOT NULL
        AND NOT EXISTS (SELECT FROM learnhub.erasures e WHERE e.user_id = u.id)),
);

# ---- upgrades from each version ----

my $tree = learnhub_tree("$files/stages", ());
create_database('learnhub_stage');
my %before;
for my $version (1 .. $newest) {
    add_migrations($tree, $migrations[$version - 1]);
    migrate($tree, 'learnhub_stage');
    load_data('learnhub_stage', $version);
    $before{$version} = rows_of('learnhub_stage');
    create_database("learnhub_from_$version", 'learnhub_stage') if $version < $newest;
}

subtest 'the data of the test' => sub {
    my @empty = grep { !@{ $before{$newest}{$_} } } sort keys %{ $before{$newest} };
    is("@empty", '', 'every table has rows: add those of a new table to t/upgrade/data.sql');
};

create_database('learnhub_fresh');
migrate($top, 'learnhub_fresh');
my $expected = schema_of('learnhub_fresh');
cmp_ok(length $expected, '>', 100_000, 'the schema of a fresh installation is complete');
is(schema_of('learnhub_stage'), $expected, 'migrations one by one lead to the same schema');

# Upgrades half of the databases in each of two processes. Returns the faults by version.
my @faults = map {@$_} parallel(2, sub {
        my ($process) = @_;
        my @found;
        for my $version (grep { $_ % 2 == $process } 1 .. $newest - 1) {
            my $name = "learnhub_from_$version";
            migrate($top, $name);
            push @found, map {"from $version: $_"} lost_rows($version, $before{$version}, rows_of($name));
            push @found, "from $version: another schema" if schema_of($name) ne $expected;
            my $database = database_handle($name);
            push @found, map {"from $version: not $_"}
                grep { $database->selectrow_array($invariants{$_}) } sort keys %invariants;
            $database->disconnect;
        }
        return \@found;
});
is("@faults[0 .. ($#faults < 5 ? $#faults : 5)]", '', "databases of the versions 1 to @{[$newest - 1]} are upgraded");

subtest 'the module serves upgraded data' => sub {
    my $server = second_httpd(qq(DBDParams "@{[conninfo_of('learnhub', 'learnhub_from_16')]}"));
    my %login = (username => 'amara', password => 'learn together');
    my $token = api(POST => '/users/login', form => \%login, port => $server->port)->json->{access_token};
    ok($token, 'a user logs in');
    my $mine = api(GET => '/api/sessions/', token => $token, port => $server->port)->json;
    is($mine->{count}, 30, 'with the sessions of before');
    my $opaque = api(GET => '/users/me', token => 'Token ' . '5a' x 20, port => $server->port);
    is($opaque->status, 200, 'an opaque token of before is valid') || diag($opaque->summary);
    $server->stop;
};

# ---- nodes of two versions ----

# The old module is that of this checkout, the new one the same for the next version of the schema.
my ($next, $last) = ($newest + 1, $newest + 2);
my $new_tree = learnhub_tree("$files/new", @migrations);
write_migration($new_tree, $next, 'ALTER TABLE learnhub.problems ADD COLUMN test_note text;');
my $new_module = build_module("$files/module", $next);
my $old_module = "$top/build/mod_learnhub.so";

create_database('learnhub_nodes');
migrate($top, 'learnhub_nodes');
my @nodes = map { LearnHub::Upgrade::node("$files/node-$_", $old_module, 'learnhub_nodes') } 1, 2;

sub healthy { my ($node) = @_; return api(GET => '/health', port => $node->port)->status == 200 }
sub log_count { my ($node, $number) = @_; return scalar(() = $node->log_text =~ /$number: /g) }

# How many of these processes warn that the schema is newer.
sub warned {
    my ($node, @processes) = @_;
    my %warned = map { $_ => 1 } $node->log_text =~ /\[pid (\d+)[^\n]* LH0111: /g;
    return scalar grep { $warned{$_} } @processes;
}

sub owner { my $owner = database_handle('learnhub_nodes'); return $owner->selectrow_array($_[0]) }

my $comment = q(SELECT obj_description('learnhub'::regnamespace, 'pg_namespace'));

# What modules released with the schema 22 read, which accept newer versions.
my $released = $comment =~ s/SELECT (.*)/SELECT substring($1 FROM '^mod_learnhub schema ([0-9]+)\$')/r;

subtest 'a rolling upgrade' => sub {
    ok(eventually(sub { healthy($_) }), 'a node of the old version is healthy') for @nodes;
    my @load = map { LearnHub::Upgrade::load($_->port) } @nodes;
    sleep 0.5;
    migrate($new_tree, 'learnhub_nodes');
    is(owner($released), $next, 'released modules accept the new schema');
    my %before = map { $_ => 1 } children_of($nodes[1]);
    $nodes[1]->graceful;
    ok(eventually(sub { warned($nodes[1], grep { !$before{$_} } children_of($nodes[1])) >= 2 }),
        'an old node that restarts serves, and warns');
    LearnHub::Upgrade::use_module("$files/node-2", $new_module);
    $nodes[1]->graceful;
    ok(eventually(sub { LearnHub::Upgrade::uses_only($nodes[1], $new_module) }, 20), 'a node gets the new version');
    sleep 0.5;
    is(warned($nodes[1], children_of($nodes[1])), 0, 'which does not warn');
    LearnHub::Upgrade::use_module("$files/node-1", $new_module);
    $nodes[0]->graceful;
    ok(eventually(sub { LearnHub::Upgrade::uses_only($nodes[0], $new_module) }, 20), 'then the other one');
    sleep 0.5;
    my @results = map { LearnHub::Upgrade::end_load($_) } @load;
    cmp_ok($_->{done}, '>', 50, 'requests were sent') for @results;
    is(join(', ', map { @{ $_->{failed} } } @results), '', 'none failed');
};

subtest 'a migration that ends compatibility' => sub {
    my @load = map { LearnHub::Upgrade::load($_->port) } @nodes;
    write_migration($new_tree, $last, "-- serves modules from $next\nALTER TABLE learnhub.problems DROP test_note;");
    migrate($new_tree, 'learnhub_nodes');
    is(owner($comment), "mod_learnhub schema $last, serves modules from $next", 'the comment has both numbers');
    is(owner($released), undef, 'released modules reject the schema');
    $_->graceful for @nodes;
    sleep 0.5;
    my @results = map { LearnHub::Upgrade::end_load($_) } @load;
    is(join(', ', map { @{ $_->{failed} } } @results), '', 'nodes of the version before it serve on');
    LearnHub::Upgrade::use_module("$files/node-2", $old_module);
    $nodes[1]->graceful;
    ok(eventually(sub { api(GET => '/health', port => $nodes[1]->port)->json->{database} eq 'newer' }),
        'an older node does not serve');
    is(api(GET => '/problems/', port => $nodes[1]->port)->status, 503, 'its requests get 503');
    ok(log_count($nodes[1], 'LH0130'), 'its log has the reason');
    like(migrate($top, 'learnhub_nodes'), qr/has version $last, newer than the migrations of .* end at $newest$/m,
        'learnhub-ctl of an older version warns');
    is(owner($comment), "mod_learnhub schema $last, serves modules from $next", 'and keeps the comment');
};

$_->stop for @nodes;
drop_databases();
done_testing;

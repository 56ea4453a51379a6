# SPDX-License-Identifier: Apache-2.0
# The figures of conf/SCALING.md: the sizes of tables and indexes with CAPACITY_USERS=20000 users, and what a request
# of each kind costs PostgreSQL and httpd.
use strict;
use warnings;

use lib "$ENV{LEARNHUB_TOP}/t/bench";

use Bench::Processes ();
use LearnHub::Cluster;
use LearnHub::Ledger;
use LearnHub::Test;
use Time::HiRes qw(time);

my $users = $ENV{CAPACITY_USERS} // 20_000;
my $superuser = $ENV{LEARNHUB_OWNER} =~ s/learnhub_owner/postgres/r;

# What t/bench/growth.sql creates has short texts and no diagrams. A diagram of 8 KB, of which each number and id
# differs; a submission has a copy.
my $diagram = q(SELECT json_build_object('elements', json_agg(json_build_object('id', md5(n || %s), 'type', 'rectangle',
    'x', (random() * 2000)::int, 'y', (random() * 2000)::int, 'width', 120, 'height', 60, 'text', 'Service ' || n,
    'strokeColor', '#1e1e1e', 'roundness', 3, 'seed', (random() * 2e9)::int, 'boundElements', '[]')))
    FROM generate_series(1, 38) n);

subtest 'sizes' => sub {
    my $to = $users / 10_000;
    my $log = "$top/t/logs/capacity.log";
    my $start = time;
    my $load = "psql -Xqv ON_ERROR_STOP=1 -v from=0 -v to=$to -f '$top/t/bench/growth.sql' '$superuser'";
    is(system("$load >'$log' 2>&1"), 0, 'the data are loaded') || die "see $log";
    my $drawing = sprintf $diagram, q(encode(practice_sessions.id, 'hex'));
    sql("UPDATE learnhub.practice_sessions SET diagram_data = ($drawing)");
    sql('UPDATE learnhub.submissions s SET diagram_data = p.diagram_data
        FROM learnhub.practice_sessions p WHERE p.id = s.session_id');
    my ($index) = sql(q(SELECT indexdef FROM pg_indexes WHERE indexname = 'problems_search_idx'));
    sql('DROP INDEX learnhub.problems_search_idx');
    sql(q(UPDATE learnhub.problems SET description = description || (SELECT string_agg(md5(n || problems.title), ' ')
        FROM generate_series(1, 30) n)));
    sql($index->{indexdef});
    LearnHub::Cluster->handle_of($superuser)->do('VACUUM FULL ANALYZE');
    my @tables = sql(q(SELECT c.relname AS name, c.reltuples::bigint AS rows, pg_table_size(c.oid) AS data,
            pg_indexes_size(c.oid) AS indexes
        FROM pg_class c WHERE c.relnamespace = 'learnhub'::regnamespace AND c.relkind = 'r' AND c.reltuples >= ?
        ORDER BY pg_total_relation_size(c.oid) DESC), $users / 1000);
    my $gb = sub { sprintf '%.1f', $_[0] / 2**30 };
    my %sum = (data => 0, indexes => 0);
    for my $table (@tables) {
        $sum{$_} += $table->{$_} for qw(data indexes);
        my $total = $table->{data} + $table->{indexes};
        my $line = '%-24s %7.3f rows a user, %6.0f bytes a row, %5.0f of indexes; GB for 1, 10, 100 million: %s %s %s';
        diag(sprintf $line,
            $table->{name}, $table->{rows} / $users, map({ $table->{$_} / $table->{rows} } qw(data indexes)),
            map { $gb->($_ * 1e6 * $total / $users) } 1, 10, 100);
    }
    my $all = $sum{data} + $sum{indexes};
    diag(sprintf 'all: %.0f bytes a user and %.0f of indexes; GB for 1, 10, 100 million: %s %s %s; loaded in %.0f s',
        map({ $sum{$_} / $users } qw(data indexes)), map({ $gb->($_ * 1e6 * $all / $users) } 1, 10, 100),
        time - $start);
    cmp_ok(scalar @tables, '>', 20, 'tables are measured');
};

# The CPU seconds of PostgreSQL and httpd, the transactions and bytes of WAL, until now.
sub counters {
    my ($node) = @_;
    my ($row) = sql(q(SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS wal, xact_commit AS transactions
        FROM pg_stat_database WHERE datname = 'learnhub'));
    return { %$row, postgresql => Bench::Processes::cpu(LearnHub::Cluster->main->postmaster),
        httpd => Bench::Processes::cpu($node->pid) };
}

subtest 'costs of requests' => sub {
    sql(q(SELECT setval(pg_get_serial_sequence('learnhub.availabilities', 'id'), max(id))
        FROM learnhub.availabilities));
    my $node = second_httpd(node_directives("LearnHubCache 0\n"));
    my $ledger = ledger(clients => 8, pause => 0, mentors => 500, mix => ['me'], nodes => [$node->port]);
    sql('VACUUM ANALYZE');
    for my $kind (qw(me session page problems create join autosave chat coding booking xp)) {
        $ledger->{mix} = $kind eq 'join' ? [qw(join leave)] : [$kind];
        $ledger->under_load(before => 1, after => 0);
        $ledger->forget;
        my ($from, $to);
        my $run = $ledger->under_load(before => 0, after => 0, fault => sub {
                $from = counters($node);
                Time::HiRes::sleep(4);
                $to = counters($node);
        });
        my $seconds = $run->at('repaired') - $run->at('fault');
        my $n = grep { $_->{end} > $run->at('fault') && $_->{end} < $run->at('repaired') } $run->entries;
        my %cost = map { $_ => ($to->{$_} - $from->{$_}) / $n } keys %$to;
        my $line = '%-8s %6.3f ms of CPU of PostgreSQL, %6.3f of httpd, %5.0f bytes of WAL, %.2f transactions; %.0f/s';
        diag(sprintf $line,
            $kind, map({ 1000 * $cost{$_} } qw(postgresql httpd)), @cost{qw(wal transactions)}, $n / $seconds);
        my %status;
        $status{ $_->{status} }++ for $run->entries;
        cmp_ok($n, '>', 50, "$kind: more than 50 requests") || diag(explain(\%status));
        is(scalar(grep {/^(?:0|5)/} keys %status), 0, "$kind: none fails");
    }
    $node->stop;
};

done_testing;

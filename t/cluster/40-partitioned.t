# SPDX-License-Identifier: Apache-2.0
# The outbox as a table partitioned by month (conf/cluster/partition-outbox.sql): the conversion keeps all rows, the
# tests of mails, reminders, jobs and of deleted accounts pass, and old partitions are dropped.
use strict;
use warnings;

use LearnHub::Test;
use Time::HiRes qw(time);

expect_log(qr/./); # of the files that this one runs: each checks its own lines

my @files = map {"t/$_.t"}
    qw(33-account 39-privacy 47-mentoring-sessions 50-mail 51-mentoring-reminders 52-jobs 56-mail-limits);

sub convert {
    my $conninfo = $ENV{LEARNHUB_OWNER};
    my $script = "$top/conf/cluster/partition-outbox.sql";
    return system("psql -Xqv ON_ERROR_STOP=1 -f '$script' '$conninfo' >>'$top/t/logs/partition.log' 2>&1") == 0;
}

sub partitions {
    return map { $_->{name} } sql(q(SELECT inhrelid::regclass::text AS name FROM pg_inherits
        WHERE inhparent = 'learnhub.outbox'::regclass ORDER BY 1));
}

sub count {
    my ($where, @values) = @_;
    return (sql("SELECT count(*) AS n FROM learnhub.outbox WHERE $where", @values))[0]{n};
}

sub post {
    my ($user, %mail) = @_;
    my ($row) = sql('SELECT learnhub.post_mail(?, ?, ?, once => ?) AS id', $user, 'S', 'B', $mail{once});
    return $row->{id};
}

my @people = map { user(signup()->{email})->{id} } 1 .. 3;
my $rows = 20_000;

subtest 'conversion' => sub {
    my $known = post($people[0], once => 'known');
    sql(q(INSERT INTO learnhub.outbox (user_id, to_address, subject, body, state, created_at, once)
        SELECT ?, 'a@example.com', 'S', '', 'sent', now() - n * interval '0.1 seconds',
            CASE WHEN n % 2 = 0 THEN 'old ' || n END
        FROM generate_series(1, ?) n), $people[1], $rows);
    my $before = count('true');
    my $columns = q(SELECT string_agg(attname || format_type(atttypid, atttypmod) || attnotnull, ',' ORDER BY attname)
        AS columns FROM pg_attribute WHERE attrelid = 'learnhub.outbox'::regclass AND attnum > 0 AND NOT attisdropped);
    my ($shape) = map { $_->{columns} } sql($columns);
    my $start = time;
    ok(convert(), 'the script succeeds');
    diag(sprintf 'partitioned outbox: %d mails converted in %.1f s', $before, time - $start);
    is(count('true'), $before, 'all mails are there');
    is((sql($columns))[0]{columns}, $shape, 'with the same columns');
    is(scalar(my @parts = partitions()), 5, 'the old table, three months and the default are partitions');
    cmp_ok(post($people[0]) // 0, '>', $known, 'a new mail has a larger id');
    is(post($people[0], once => 'known'), undef, 'a key of before is not used again');
    cmp_ok(post($people[0], once => 'new') // 0, '>', 0, 'a new key is');
    is(post($people[0], once => 'new'), undef, 'once');
    ok(convert(), 'the script can be run again');
    is(scalar(my @again = partitions()), 5, 'and changes nothing then');
};

subtest 'two transactions queue a mail with the same key' => sub {
    my @ids = grep {defined} parallel 4, sub { post($people[$_[0] % 3], once => 'race') };
    is(scalar @ids, 1, 'one is queued');
    sql('DELETE FROM learnhub.outbox WHERE once = ?', 'race');
    cmp_ok(post($people[0], once => 'race') // 0, '>', 0, 'a withdrawn mail releases its key');
};

# The first rows of both partitions have the same place.
subtest 'a deleted account does not take mails of others with it' => sub {
    my $other = q(INSERT INTO learnhub.outbox (user_id, to_address, subject, body, state, created_at)
        SELECT ?, 'b@example.com', 'S', '', 'sent', now() + make_interval(months => ?) FROM generate_series(1, 50));
    sql($other, $people[2], 1);
    sql($other, $people[0], 2);
    my ($same) = sql(q(SELECT count(*) AS n FROM learnhub.outbox a JOIN learnhub.outbox b ON a.ctid = b.ctid
        WHERE a.user_id = ? AND b.user_id = ? AND a.tableoid <> b.tableoid), @people[2, 0]);
    cmp_ok($same->{n}, '>', 10, 'rows of two users have the same place in two partitions');
    my $mails = count('user_id = ?', $people[0]);
    sql('SELECT learnhub.delete_account(?)', $people[2]);
    my $left = 'SELECT user_id FROM learnhub.erasures WHERE user_id = ?';
    ok(eventually(sub { !sql($left, $people[2]) }, 30), 'the account is erased');
    is(count('user_id = ?', $people[2]), 0, 'its mails are deleted');
    is(count('user_id = ?', $people[0]), $mails, 'those of the other user are not');
};

for my $file (@files) {
    my $log = "$top/t/logs/" . $file =~ s{.*/}{}r . '.tap';
    my $status = system "cd '$top' && '$^X' -It/lib $file >'$log' 2>&1";
    is($status, 0, "$file passes") || diag(`grep -B1 -A8 '^ *not ok\\|# *Failed' '$log' | head -40`);
}

subtest 'old partitions are dropped' => sub {
    sql(q(UPDATE learnhub.outbox SET state = 'sent' WHERE state IN ('waiting', 'sending')));
    sql(q(UPDATE learnhub.outbox SET state = 'waiting' WHERE id = (SELECT id FROM learnhub.outbox_first LIMIT 1)));
    my $drop = q(SELECT learnhub.keep_outbox_partitions(interval '-1 month') AS change);
    my $keys = count('once IS NOT NULL');
    is_deeply([map { $_->{change} } sql($drop)], [], 'not those with mails that wait');
    sql(q(UPDATE learnhub.outbox SET state = 'sent' WHERE state = 'waiting'));
    is_deeply([map { $_->{change} } sql($drop)], ['dropped outbox_first'], 'the others are');
    my ($left) = sql('SELECT count(*) AS n FROM learnhub.outbox_keys');
    is($left->{n}, count('once IS NOT NULL'), 'and their keys deleted');
    cmp_ok($left->{n}, '<', $keys, 'of which there were some');
    cmp_ok(post($people[0]) // 0, '>', 0, 'mails of this month go to the default partition then');
};

done_testing;

# SPDX-License-Identifier: Apache-2.0
# Long lists: the numbers of rows that triggers keep, the pages that start from them, and what the statements read.
use strict;
use warnings;

use JSON::XS ();
use lib 't/lib';
use LearnHub::Routes ();
use LearnHub::Test;

use constant ROWS => 20_000;

my $table = LearnHub::Routes::table();
my %routes = map { $_->{name} => $_ } @{ $table->{routes} };
my %statements = map { $_->{label} => $_ } @{ $table->{statements} };
my $reader = signup();
my ($creator, $other) = map { user(signup(role => 'instructor')->{email})->{id} } 1, 2;

my %lists = (tutoring => ['tutoring_sessions', 'status'], problems => ['problems', 'difficulty']);

# The entries of list_counts that differ from the rows, in one snapshot.
sub wrong_counts {
    my ($list) = @_;
    my ($table, $key) = @{ $lists{$list} };
    my @wrong = sql(<<"SQL", $list);
SELECT k.key, d.day, coalesce(k.kept, 0) AS kept, coalesce(d.counted, 0) AS counted
FROM (SELECT key, day, sum(rows) AS kept FROM learnhub.list_counts WHERE list = ? GROUP BY key, day) k
FULL JOIN (SELECT keys.key, days.day, count(*) AS counted
           FROM learnhub.$table, LATERAL (VALUES ($key), ('')) AS keys (key),
                LATERAL (VALUES ((created_at AT TIME ZONE 'UTC')::date), ('-infinity')) AS days (day)
           GROUP BY keys.key, days.day) d ON d.key = k.key AND d.day = k.day
WHERE coalesce(k.kept, 0) <> coalesce(d.counted, 0)
SQL
    return map { "$list: " . join ' ', map { $_ // '-' } @$_{qw(key day kept counted)} } @wrong;
}

sub counts_are_right {
    my ($name) = @_;
    my @wrong = map { wrong_counts($_) } sort keys %lists;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok(!@wrong, $name) || diag(join "\n", @wrong[0 .. ($#wrong < 4 ? $#wrong : 4)]);
}

sub add_sessions {
    my ($rows, $from) = @_;
    return sql(<<'SQL', $creator, $other, $from, $from + $rows - 1);
INSERT INTO learnhub.tutoring_sessions (title, description, starts_at, max_participants, creator_id, status, created_at)
SELECT 'Session ' || n, 'Long lists', date_trunc('minute', at) + interval '7 days', 5,
       CASE WHEN n % 3 = 0 THEN ?::bigint ELSE ?::bigint END,
       (ARRAY['upcoming', 'completed', 'completed', 'cancelled'])[1 + n % 4],
       CASE n % 50 WHEN 0 THEN date_trunc('day', at)
                   WHEN 1 THEN date_trunc('day', at) - interval '1 microsecond'
                   ELSE date_trunc('hour', at) END
FROM generate_series(?::int, ?::int) n,
     LATERAL (SELECT timezone('UTC', timestamp '2024-01-01' + n % 701 * interval '25 hours') AS at) moment
SQL
}

database()->do("SET timezone TO 'Asia/Tokyo'");
add_sessions(ROWS, 1);
sql('ANALYZE learnhub.tutoring_sessions');
sql('ANALYZE learnhub.list_counts');

# ---- counts ----

subtest 'the triggers keep exact counts' => sub {
    my $mine = 'creator_id = ?';
    counts_are_right('after many insertions');
    sql("UPDATE learnhub.tutoring_sessions SET status = 'ongoing' WHERE $mine AND id % 2 = 0", $creator);
    counts_are_right('after changes of the key');
    sql("UPDATE learnhub.tutoring_sessions SET created_at = created_at + interval '9 hours' WHERE $mine AND id % 5 = 0",
        $creator);
    counts_are_right('after changes of the time');
    sql("DELETE FROM learnhub.tutoring_sessions WHERE $mine AND id % 7 = 0", $creator);
    counts_are_right('after deletions');
    my $database = database();
    $database->begin_work;
    sql("UPDATE learnhub.tutoring_sessions SET status = 'upcoming' WHERE $mine", $creator);
    counts_are_right('in the transaction of a change');
    $database->rollback;
    counts_are_right('after a rollback');
    my ($entries) = sql('SELECT count(*) AS entries FROM learnhub.list_counts WHERE change > 0');
    cmp_ok($entries->{entries}, '<', 300, 'the entries of changes have been merged');
};

subtest 'TRUNCATE, and changes without triggers' => sub {
    my $database = database();
    $database->begin_work;
    $database->do('TRUNCATE learnhub.tutoring_sessions CASCADE');
    is_deeply([wrong_counts('tutoring')], [], 'TRUNCATE is counted');
    $database->rollback;
    $database->begin_work;
    $database->do('ALTER TABLE learnhub.tutoring_sessions DISABLE TRIGGER USER');
    sql('DELETE FROM learnhub.tutoring_sessions WHERE creator_id = ?', $other);
    cmp_ok(scalar(wrong_counts('tutoring')), '>', 100, 'changes without triggers are not counted');
    sql('SELECT learnhub.recount_lists()');
    is_deeply([wrong_counts('tutoring')], [], 'recount_lists() counts them');
    $database->rollback;
    counts_are_right('both were rolled back');
};

# Changes sessions at random: single rows and many, in both orders, half of the transactions rolled back.
sub change_at_random {
    my ($i) = @_;
    srand $i + 1;
    my $database = database();
    for my $turn (1 .. 25) {
        my $order = rand() < 0.5 ? 'ASC' : 'DESC';
        my ($rest, $many) = (int rand 997, rand() < 0.3 ? 40 : 2);
        my $chosen = 'WHERE id IN (SELECT id FROM (SELECT id FROM learnhub.tutoring_sessions WHERE creator_id = ? '
            . "AND id % 997 >= ? ORDER BY id $order LIMIT $many) s FOR UPDATE SKIP LOCKED)";
        $database->begin_work;
        for (1 .. 1 + int rand 3) {
            my $what = int rand 4;
            add_sessions($many, 1 + int rand 10_000) if $what == 0;
            sql("DELETE FROM learnhub.tutoring_sessions $chosen", $creator, $rest) if $what == 1;
            sql('UPDATE learnhub.tutoring_sessions SET status = '
                    . "CASE status WHEN 'ongoing' THEN 'completed' ELSE 'ongoing' END $chosen", $creator, $rest)
                if $what == 2;
            sql("UPDATE learnhub.tutoring_sessions SET created_at = created_at + interval '25 hours' $chosen", $creator,
                $rest) if $what == 3;
        }
        rand() < 0.5 ? $database->commit : $database->rollback;
    }
    return 0;
}

subtest 'counts are exact while transactions change the list' => sub {
    my @found = parallel(6, sub {
            my ($i) = @_;
            return change_at_random($i) if $i < 5;
            my @wrong;
            push @wrong, wrong_counts('tutoring') for 1 .. 15;
            return scalar @wrong;
    });
    is_deeply(\@found, [(0) x 6], 'no transaction failed, and every snapshot has the right counts');
    counts_are_right('after all transactions');
};

# ---- pages ----

# The offsets of days' first and last rows, and some others.
sub offsets {
    my ($list, $key, $days) = @_;
    my @days = sql(<<'SQL', $list, $key);
SELECT sum(sum(rows)) OVER (ORDER BY day DESC) AS total FROM learnhub.list_counts
WHERE list = ? AND key = ? AND day > '-infinity' GROUP BY day ORDER BY day DESC
SQL
    my @totals = map { $_->{total} } grep { $_->{total} > 100 } @days;
    my @some = @totals[map { int($_ * $#totals / $days) } 0 .. $days];
    my %seen;
    return grep { $_ >= 0 && !$seen{$_}++ } 0, 1, 98 .. 102, map { ($_ - 1, $_, $_ + 1) } @some;
}

# Compares the pages that begin at these offsets with the rows in SQL. $page->($offset) returns the status, the count,
# the size of the page and the ids.
sub pages_are_right {
    my ($name, $page, $sql, @offsets) = @_;
    my @expected = map { $_->{id} } sql(@$sql);
    my @wrong;
    for my $offset (@offsets) {
        my ($status, $count, $size, @ids) = $page->($offset);
        my @rows = @expected[$offset .. $offset + $size - 1];
        pop @rows while @rows && !defined $rows[-1];
        push @wrong, "offset $offset: @ids instead of @rows" if "@ids" ne "@rows";
        push @wrong, "offset $offset: status $status, count $count" if $status == 200 && $count != @expected;
    }
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok(!@wrong && @offsets > 5 && @expected > 200, "$name: " . @offsets . ' pages of ' . @expected . ' rows')
        || diag(@wrong ? $wrong[0] : "@offsets");
}

# Pages of sessions begin at multiples of their size.
sub session_pages {
    my (%query) = @_;
    return sub {
        my ($offset) = @_;
        my ($size) = grep { $offset % $_ == 0 } reverse 1 .. 30;
        my $reply = api_as($reader, GET => '/api/sessions/',
            query => { %query, page_size => $size, page => 1 + $offset / $size });
        return ($reply->status, $reply->json->{count}, $size, map { $_->{id} } @{ $reply->json->{results} || [] });
    };
}

sub problem_pages {
    my (%query) = @_;
    return sub {
        my ($offset) = @_;
        my $reply = api(GET => '/problems/', query => { %query, skip => $offset, limit => 3 });
        return ($reply->status, $reply->json->{total}, 3, map { $_->{id} } @{ $reply->json->{problems} });
    };
}

my $sessions = 'SELECT id FROM learnhub.tutoring_sessions WHERE %s ORDER BY created_at DESC, id DESC';
my $problems = q(SELECT encode(id, 'hex') AS id FROM learnhub.problems WHERE %s ORDER BY created_at DESC, id DESC);

subtest 'pages of sessions have the same rows wherever they begin' => sub {
    my ($total) = map { $_->{total} } sql('SELECT count(*) AS total FROM learnhub.tutoring_sessions');
    my @ends = map { $total + $_ } -100, -1, 0, 1, 5000;
    pages_are_right('all', session_pages(), [sprintf $sessions, 'true'], offsets('tutoring', '', 8), @ends);
    sql("DELETE FROM learnhub.tutoring_sessions WHERE creator_id = ? AND created_at > '2025-06-01' AND id % 2 = 0",
        $creator);
    sql("UPDATE learnhub.tutoring_sessions SET status = 'completed' WHERE creator_id = ? AND id % 4 = 1", $other);
    sleep 2; # the cache shows them within a second
    pages_are_right('all, after changes', session_pages(), [sprintf $sessions, 'true'], offsets('tutoring', '', 8));
    pages_are_right('by status', session_pages(status => 'completed'), [sprintf $sessions, q(status = 'completed')],
        offsets('tutoring', 'completed', 5));
    pages_are_right('by creator', session_pages(creator => $other),
        [sprintf($sessions, 'creator_id = ?'), $other], 0, 99, 100, 101, 1234, 3000, 1e6);
    pages_are_right('by status and time',
        session_pages(status => 'completed', date_from => '2024-02-01T00:00:00Z', date_to => '2024-12-01T00:00:00Z'),
        [sprintf $sessions, q(status = 'completed' AND starts_at BETWEEN '2024-02-01Z' AND '2024-12-01Z')],
        0, 99, 100, 101, 777, 2000, 1e6);
    my $deep = api_as($reader, GET => '/api/sessions/', query => { page => 101, page_size => 10 });
    is_deeply([map { keys_of($_) } @{ $deep->json->{results} }[0, 9]],
        [(keys_of(api_as($reader, GET => '/api/sessions/')->json->{results}[0])) x 2],
        'sessions of a later page have the same keys');
};

subtest 'pages after 100 or more rows start from the counts' => sub {
    my @expected = map { $_->{id} } sql(sprintf $sessions, 'true');
    sql("INSERT INTO learnhub.list_counts (list, key, day, rows) VALUES ('tutoring', '', '2999-01-01', 10)");
    sql("SELECT learnhub.announce('tutoring')");
    sleep 2; # the cache shows it within a second
    my %first = map { $_ => (session_pages()->($_))[3] } 90, 99, 100, 120;
    sql("DELETE FROM learnhub.list_counts WHERE day = '2999-01-01'");
    is_deeply(\%first, { map { $_ => $expected[$_ < 100 ? $_ : $_ - 10] } keys %first },
        'ten rows too many in the counts shift only these pages');
};

subtest 'pages of problems' => sub {
    sql(<<'SQL', $creator);
INSERT INTO learnhub.problems (title, description, difficulty, categories, created_by, created_at)
SELECT 'Problem ' || n, 'Long lists', (ARRAY['easy', 'medium', 'hard'])[1 + n % 3],
       CASE WHEN n % 4 = 0 THEN '["Some"]' ELSE '["Many"]' END::jsonb, ?::bigint,
       timezone('UTC', timestamp '2024-01-01' + n % 211 * interval '3 hours')
FROM generate_series(1, 1000) n
SQL
    counts_are_right('after insertions');
    sql("UPDATE learnhub.problems SET difficulty = 'hard' WHERE created_by = ? AND get_byte(id, 11) % 2 = 0", $creator);
    sql('DELETE FROM learnhub.problems WHERE created_by = ? AND get_byte(id, 11) % 9 = 0', $creator);
    counts_are_right('after changes');
    pages_are_right('all', problem_pages(), [sprintf $problems, 'true'], offsets('problems', '', 6), 5000);
    pages_are_right('by difficulty', problem_pages(difficulty => 'hard'), [sprintf $problems, q(difficulty = 'hard')],
        offsets('problems', 'hard', 6));
    pages_are_right('by category', problem_pages(category => 'many'),
        [sprintf $problems, q(category_keys @> '{many}')], 0, 99, 100, 101, 333, 1e6);
    pages_are_right('by both', problem_pages(category => 'many', difficulty => 'hard'),
        [sprintf $problems, q(category_keys @> '{many}' AND difficulty = 'hard')], 0, 99, 100, 101, 200, 1e6);
};

# ---- plans ----

# Executes a statement with the session settings of the module. Returns the plan.
sub plan_of {
    my ($statement, %values) = @_;
    my $database = database();
    local $database->{pg_direct} = 1;
    my $values = join ', ', map { $database->quote($values{$_}) } @{ $statement->{parameters} };
    $database->do("PREPARE one AS $statement->{sql}");
    my ($plan) = $database->selectrow_array('EXPLAIN (ANALYZE, BUFFERS, TIMING off, FORMAT json) EXECUTE one'
            . ($values ? "($values)" : ''));
    $database->do('DEALLOCATE one');
    return JSON::XS->new->decode($plan)->[0]{Plan};
}

# The nodes of a plan that were executed.
sub executed {
    my ($node) = @_;
    return $node->{'Actual Loops'} ? ($node, map { executed($_) } @{ $node->{Plans} }) : ();
}

# The statement reads few pages, and no long table from its beginning.
sub reads_little {
    my ($name, $most, @of) = @_;
    my $plan = plan_of(@of);
    my $pages = $plan->{'Shared Hit Blocks'} + $plan->{'Shared Read Blocks'};
    my @scans = grep { $_->{'Node Type'} eq 'Seq Scan' && $_->{'Relation Name'} ne 'users' } executed($plan);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($pages <= $most && !@scans, "$name reads at most $most pages")
        || diag("$pages pages\n" . JSON::XS->new->pretty->canonical->encode($plan));
}

subtest 'the statements of a page read little of a long list' => sub {
    sql("SELECT learnhub.merge_list_counts('tutoring')") for 1 .. 5; # the changes above were single large transactions
    sql("VACUUM (ANALYZE) learnhub.$_") for qw(tutoring_sessions list_counts users);
    database()->do("SET $_") for 'plan_cache_mode TO force_generic_plan', 'jit TO off';
    my ($none, $by_status) = @{ $routes{'tutoring.list'}{sets} };
    is_deeply([map { $_->{filters} } $none, $by_status], [[], ['status']], 'the sets of filters');
    for (['without filters', $none], ['by status', $by_status, status => 'completed']) {
        my ($name, $set, @values) = @$_;
        reads_little("the count $name", 15, $set->{count}, @values);
        reads_little("the first page $name", 120, $set->{page}, limit => 20, offset => 0, @values);
        for ([5, 350], [40, 350], [200, 900]) {
            my ($page, $most) = @$_;
            reads_little("page $page $name", $most, $set->{deep}, limit => 20, offset => 20 * $page, @values);
        }
    }
    my $filtered = $routes{'tutoring.list'}{sets}[8];
    is_deeply($filtered->{filters}, ['creator'], 'the set of one filter');
    reads_little('a later page by creator', 350, $filtered->{deep}, limit => 20, offset => 2000, creator => $other);
};

# Two users own all rows, so that the planner expects each user to own half of them.
subtest 'the lists of one user do not read the rows of others' => sub {
    sql(<<'SQL', $creator, $other);
INSERT INTO learnhub.coding_sessions (user_id, seconds, source)
SELECT (ARRAY[?::bigint, ?::bigint])[1 + n % 2], 1800, 'manual' FROM generate_series(1, 5000) n
SQL
    sql("VACUUM (ANALYZE) learnhub.$_") for qw(coding_sessions problems);
    my %page = (me => user($reader->{email})->{id}, limit => 20, offset => 0, skip => 0);
    reads_little('tutoring.created', 20, $routes{'tutoring.created'}{sets}[0]{page}, %page);
    reads_little('problems.mine', 20, $routes{'problems.mine'}{sets}[0]{page}, %page);
    reads_little($_, 20, $routes{$_}{sql}[0], %page) for qw(coding.mine coding.list);
    sql('DELETE FROM learnhub.coding_sessions WHERE user_id IN (?, ?)', $creator, $other);
};

# The rows that a plan read from tables and indexes.
sub rows_read {
    my $rows = 0;
    $rows += $_->{'Actual Rows'} * $_->{'Actual Loops'}
        + ($_->{'Rows Removed by Filter'} || 0) + ($_->{'Rows Removed by Index Recheck'} || 0)
        for grep { $_->{'Node Type'} =~ /Seq Scan|Index Scan|Index Only Scan|Bitmap Heap Scan/ } executed(plan_of(@_));
    return $rows;
}

subtest 'events that revoke tokens: what processes read of many' => sub {
    my ($all, $new) = @statements{qw(tokens.all_events tokens.events)};
    for my $statement ($all, $new) {
        my ($count) = sort { $b <=> $a } $statement->{sql} =~ /\$(\d+)/g;
        $statement->{parameters} = [map {"p$_"} 1 .. $count];
    }
    my $running = database()->clone;
    $running->begin_work;
    $running->do('SELECT pg_current_xact_id()');
    sql('INSERT INTO learnhub.auth_events (token, expires_at) SELECT decode(md5(n::text), $$hex$$), '
            . 'now() - interval $$1 hour$$ FROM generate_series(1, 100000) n');
    my ($position) = map { $_->{position} } sql('SELECT learnhub.server_position() AS position');
    sql('VACUUM (ANALYZE) learnhub.auth_events');
    my $live = (sql('SELECT count(*) AS n FROM learnhub.auth_events WHERE expires_at > now()'))[0]{n};
    cmp_ok(rows_read($all), '<=', $live, 'a process that starts reads no expired event');
    cmp_ok(rows_read($new, p1 => $position), '<=', 10, 'a poll reads no event again, while an old transaction runs');
    $running->rollback;
    sql('DELETE FROM learnhub.auth_events WHERE expires_at < now()');
};

sql('DELETE FROM learnhub.tutoring_sessions WHERE creator_id IN (?, ?)', $creator, $other);
sql('DELETE FROM learnhub.problems WHERE created_by = ?', $creator);
counts_are_right('at the end');

done_testing;

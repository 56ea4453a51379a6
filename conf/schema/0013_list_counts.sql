-- SPDX-License-Identifier: Apache-2.0
-- Numbers of rows of long lists, so that a page needs neither to count the rows nor to read all that precede it.

-- ---- tables ----

-- The number of rows of a list that have a key (empty: any key) and were created on a day (UTC; -infinity: on any day) is
-- the sum of the entries for the list, the key and the day. A change of the rows adds entries, each with a number in
-- `change`, instead of updating one: transactions that change the same list neither wait for each other nor deadlock.
-- Now and then a trigger merges these entries into those with the change 0.
CREATE TABLE learnhub.list_counts (
    list text NOT NULL,
    key text NOT NULL,
    day date NOT NULL,
    change bigint NOT NULL DEFAULT 0,
    rows integer NOT NULL,
    PRIMARY KEY (list, key, day, change)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX list_counts_change_idx ON learnhub.list_counts (list, change) WHERE change > 0;
CREATE SEQUENCE learnhub.list_counts_change_seq CYCLE;

COMMENT ON COLUMN learnhub.list_counts.list IS
    'tutoring: tutoring_sessions, their status is the key; problems: problems, their difficulty is the key.';

-- ---- functions ----

-- The day (UTC) on which a row of a list was created.
CREATE FUNCTION learnhub.utc_day(moment timestamptz) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (moment AT TIME ZONE 'UTC')::date;

-- Merges the oldest entries of changes, at most 10000, into those with the change 0, unless another transaction is
-- merging them. Merges once in a transaction: it would read its own deleted entries again and again.
CREATE FUNCTION learnhub.merge_list_counts(merged text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- A transaction with one snapshot could fail, because it does not see what others have merged meanwhile.
    IF current_setting('transaction_isolation') = 'read committed'
        AND coalesce(current_setting('learnhub.merged', true), '') = ''
        AND pg_try_advisory_xact_lock(hashtext('learnhub.list_counts'), hashtext(merged)) THEN
        PERFORM set_config('learnhub.merged', 'yes', true);
        WITH changes AS (
            DELETE FROM learnhub.list_counts
            WHERE list = merged AND change > 0 AND change < 10000 + (
                SELECT min(change) FROM learnhub.list_counts WHERE list = merged AND change > 0)
            RETURNING key, day, rows)
        INSERT INTO learnhub.list_counts AS c (list, key, day, rows)
        SELECT merged, key, day, sum(rows) FROM changes GROUP BY key, day ORDER BY key, day
        ON CONFLICT (list, key, day, change) DO UPDATE SET rows = c.rows + excluded.rows;
    END IF;
END
$$;

-- Adds numbers[i] rows with the key keys[i] that were created on days[i]. Every 64th entry merges the entries.
CREATE FUNCTION learnhub.add_list_counts(changed text, keys text[], days date[], numbers integer[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    merge boolean;
BEGIN
    WITH added AS (
        INSERT INTO learnhub.list_counts (list, key, day, change, rows)
        SELECT changed, t.key, t.day, nextval('learnhub.list_counts_change_seq'), t.rows
        FROM (SELECT k.key, d.day, sum(c.rows) AS rows
              FROM unnest(keys, days, numbers) AS c (key, day, rows), LATERAL (VALUES (c.key), ('')) AS k (key),
                   LATERAL (VALUES (c.day), ('-infinity')) AS d (day)
              GROUP BY k.key, d.day) t
        WHERE t.rows <> 0
        RETURNING change)
    SELECT bool_or(change % 64 = 0) INTO merge FROM added;
    IF merge THEN
        PERFORM learnhub.merge_list_counts(changed);
    END IF;
END
$$;

-- Counts the new or deleted rows of a list's table. Arguments: the list, and the column that is its key. The transition tables
-- `replaced` and `changed` have the rows before and after the change.
CREATE FUNCTION learnhub.keep_list_counts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM learnhub.list_counts WHERE list = TG_ARGV[0];
    ELSIF TG_OP = 'INSERT' THEN
        PERFORM learnhub.add_list_counts(TG_ARGV[0], array_agg(t.key), array_agg(t.day), array_agg(t.rows))
        FROM (SELECT to_jsonb(c) ->> TG_ARGV[1] AS key, learnhub.utc_day(created_at) AS day, count(*)::integer AS rows
              FROM changed c GROUP BY 1, 2) t;
    ELSE
        PERFORM learnhub.add_list_counts(TG_ARGV[0], array_agg(t.key), array_agg(t.day), array_agg(-t.rows))
        FROM (SELECT to_jsonb(r) ->> TG_ARGV[1] AS key, learnhub.utc_day(created_at) AS day, count(*)::integer AS rows
              FROM replaced r GROUP BY 1, 2) t;
    END IF;
    RETURN NULL;
END
$$;

-- Counts a row that has got another key or time. Arguments: as above.
CREATE FUNCTION learnhub.move_list_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM learnhub.add_list_counts(TG_ARGV[0],
        ARRAY[to_jsonb(old) ->> TG_ARGV[1], to_jsonb(new) ->> TG_ARGV[1]],
        ARRAY[learnhub.utc_day(old.created_at), learnhub.utc_day(new.created_at)], ARRAY[-1, 1]);
    RETURN NULL;
END
$$;

-- Counts all rows again. Only necessary after rows were changed while triggers were disabled. Waits for the transactions
-- that change the tables, and blocks later ones until the end of the transaction.
CREATE FUNCTION learnhub.recount_lists() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE learnhub.tutoring_sessions, learnhub.problems IN SHARE MODE;
    DELETE FROM learnhub.list_counts;
    INSERT INTO learnhub.list_counts (list, key, day, rows)
    SELECT t.list, k.key, d.day, sum(t.rows)
    FROM (SELECT 'tutoring' AS list, status AS key, learnhub.utc_day(created_at) AS day, count(*) AS rows
          FROM learnhub.tutoring_sessions GROUP BY 2, 3
          UNION ALL
          SELECT 'problems', difficulty, learnhub.utc_day(created_at), count(*)
          FROM learnhub.problems GROUP BY 2, 3) t,
         LATERAL (VALUES (t.key), ('')) AS k (key), LATERAL (VALUES (t.day), ('-infinity')) AS d (day)
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
END
$$;
REVOKE EXECUTE ON FUNCTION learnhub.recount_lists() FROM PUBLIC;

-- Where a page begins that skips `skipped` rows of a list, ordered by created_at from the newest on: with the rows that
-- were created at `until` or before, of which it skips `skip`. wanted: the key of the rows, empty for all. counted NULL:
-- the rows are selected by other conditions, so that their number is not known. The settings let the sum read the days
-- in the order of the primary key, until it suffices.
CREATE FUNCTION learnhub.page_start(counted text, wanted text, skipped bigint, OUT until timestamptz, OUT skip bigint)
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
    first date;
BEGIN
    until := 'infinity';
    skip := skipped;
    IF counted IS NOT NULL THEN
        SELECT t.day, skipped - t.total INTO first, skip
        FROM (SELECT day, sum(rows) OVER (ORDER BY day DESC) AS total FROM learnhub.list_counts
              WHERE list = counted AND key = wanted AND day > '-infinity') t
        WHERE t.total > skipped ORDER BY t.day DESC LIMIT 1;
        IF FOUND THEN
            SELECT skip + sum(rows) INTO skip FROM learnhub.list_counts
            WHERE list = counted AND key = wanted AND day = first;
            until := (first + 1)::timestamp AT TIME ZONE 'UTC' - interval '1 microsecond';
        ELSE
            until := '-infinity';
            skip := 0;
        END IF;
    END IF;
END
$$;

-- ---- triggers ----

CREATE TRIGGER count_inserted AFTER INSERT ON learnhub.tutoring_sessions
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
    EXECUTE FUNCTION learnhub.keep_list_counts('tutoring', 'status');

CREATE TRIGGER count_updated AFTER UPDATE ON learnhub.tutoring_sessions
    FOR EACH ROW WHEN (old.status <> new.status OR old.created_at <> new.created_at)
    EXECUTE FUNCTION learnhub.move_list_count('tutoring', 'status');

CREATE TRIGGER count_deleted AFTER DELETE ON learnhub.tutoring_sessions
    REFERENCING OLD TABLE AS replaced FOR EACH STATEMENT
    EXECUTE FUNCTION learnhub.keep_list_counts('tutoring', 'status');

CREATE TRIGGER count_truncated AFTER TRUNCATE ON learnhub.tutoring_sessions
    FOR EACH STATEMENT EXECUTE FUNCTION learnhub.keep_list_counts('tutoring');

CREATE TRIGGER count_inserted AFTER INSERT ON learnhub.problems
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
    EXECUTE FUNCTION learnhub.keep_list_counts('problems', 'difficulty');

CREATE TRIGGER count_updated AFTER UPDATE ON learnhub.problems
    FOR EACH ROW WHEN (old.difficulty <> new.difficulty OR old.created_at <> new.created_at)
    EXECUTE FUNCTION learnhub.move_list_count('problems', 'difficulty');

CREATE TRIGGER count_deleted AFTER DELETE ON learnhub.problems
    REFERENCING OLD TABLE AS replaced FOR EACH STATEMENT
    EXECUTE FUNCTION learnhub.keep_list_counts('problems', 'difficulty');

CREATE TRIGGER count_truncated AFTER TRUNCATE ON learnhub.problems
    FOR EACH STATEMENT EXECUTE FUNCTION learnhub.keep_list_counts('problems');

-- The triggers exist, and keep other transactions from changing the tables until this migration is committed.
SELECT learnhub.recount_lists();

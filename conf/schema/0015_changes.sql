-- SPDX-License-Identifier: Apache-2.0
-- Changes of what cached responses show (LearnHubCache). Triggers store the topics of each change: 'problems' and
-- 'problem:<hex id>', 'tutoring' (the list of sessions), 'user:<id>', 'creators' (names, e-mail addresses and roles that
-- problems and sessions show), or '*' for everything. Each httpd process polls for the topics that its previous snapshot
-- did not include.

CREATE TABLE learnhub.changes (
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    topic text NOT NULL
);
CREATE INDEX changes_xid_idx ON learnhub.changes (xid);

-- One row. Rows of `changes` with an xid below `pruned` may have been deleted; `next` becomes `pruned` at the earliest
-- five minutes after `at`.
CREATE TABLE learnhub.changes_pruned (
    pruned xid8 NOT NULL,
    next xid8 NOT NULL,
    at timestamptz NOT NULL
);
CREATE UNIQUE INDEX changes_pruned_one_key ON learnhub.changes_pruned ((true));
INSERT INTO learnhub.changes_pruned
VALUES (pg_snapshot_xmin(pg_current_snapshot()), pg_snapshot_xmin(pg_current_snapshot()), now());

-- ---- storing topics ----

-- Stores a topic, a word, once per transaction. The setting learnhub.topics, which is returned, lists the topics of the
-- current transaction, so that its last statement can read them without a search in `changes`. A transaction with more
-- topics than fit into 4,000 characters changes everything.
CREATE FUNCTION learnhub.announce(topic text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    known text := coalesce(current_setting('learnhub.topics', true), '');
BEGIN
    IF known = '*' OR topic = ANY (string_to_array(known, ' ')) THEN
        RETURN known;
    END IF;
    IF topic = '*' OR length(known) + length(topic) > 4000 THEN
        topic := '*';
        known := '';
    END IF;
    INSERT INTO learnhub.changes (topic) VALUES (topic);
    RETURN set_config('learnhub.topics', ltrim(known || ' ' || topic), true);
END
$$;

-- The triggers assign the result of announce() because that is faster than PERFORM, which runs a query.
CREATE FUNCTION learnhub.announce_everything() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    topics text;
BEGIN
    topics := learnhub.announce('*');
    RETURN NULL;
END
$$;

CREATE FUNCTION learnhub.announce_problems() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    topics text;
BEGIN
    topics := learnhub.announce('problems');
    IF TG_OP <> 'INSERT' THEN
        topics := learnhub.announce('problem:' || encode(OLD.id, 'hex'));
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION learnhub.announce_tutoring() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    topics text;
BEGIN
    topics := learnhub.announce('tutoring');
    RETURN NULL;
END
$$;

-- `creators` even if the user has created nothing yet: a concurrent transaction may be creating a problem.
CREATE FUNCTION learnhub.announce_user() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    topics text;
BEGIN
    topics := learnhub.announce('user:' || OLD.id);
    topics := learnhub.announce('creators');
    RETURN NULL;
END
$$;

CREATE TRIGGER announce_row AFTER INSERT OR DELETE ON learnhub.problems
    FOR EACH ROW EXECUTE FUNCTION learnhub.announce_problems();
CREATE TRIGGER announce_update AFTER UPDATE ON learnhub.problems
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION learnhub.announce_problems();
CREATE TRIGGER announce_truncate AFTER TRUNCATE ON learnhub.problems
    FOR EACH STATEMENT EXECUTE FUNCTION learnhub.announce_everything();

CREATE TRIGGER announce_row AFTER INSERT OR DELETE ON learnhub.tutoring_sessions
    FOR EACH ROW EXECUTE FUNCTION learnhub.announce_tutoring();
CREATE TRIGGER announce_update AFTER UPDATE ON learnhub.tutoring_sessions
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION learnhub.announce_tutoring();
CREATE TRIGGER announce_truncate AFTER TRUNCATE ON learnhub.tutoring_sessions
    FOR EACH STATEMENT EXECUTE FUNCTION learnhub.announce_everything();

CREATE TRIGGER announce_update AFTER UPDATE ON learnhub.users
    FOR EACH ROW WHEN (OLD.email <> NEW.email OR OLD.first_name <> NEW.first_name OR OLD.last_name <> NEW.last_name
        OR OLD.role <> NEW.role OR OLD.object_id <> NEW.object_id OR OLD.created_at <> NEW.created_at)
    EXECUTE FUNCTION learnhub.announce_user();
CREATE TRIGGER announce_delete AFTER DELETE ON learnhub.users
    FOR EACH ROW EXECUTE FUNCTION learnhub.announce_user();
CREATE TRIGGER announce_truncate AFTER TRUNCATE ON learnhub.users
    FOR EACH STATEMENT EXECUTE FUNCTION learnhub.announce_everything();

-- ---- reading topics ----

-- Returns the topics that were committed after `known_position`, separated by spaces, and the new position. The topics
-- are '*' if they are not known: the position is '' or of another server, rows have been pruned since, or there are more
-- than 1,000 of them. A position is a server and a snapshot. After a failover, a restore or a crash, snapshots of before
-- have no meaning, because transaction ids may be used again: a server is its start time and the time when its
-- statistics were reset, as crash recovery does.
--
-- VOLATILE: the function is planned at each call instead of being inlined into a prepared statement, because the size of
-- `changes` varies.
CREATE FUNCTION learnhub.topics_since(known_position text, OUT topics text, OUT "position" text)
LANGUAGE sql VOLATILE AS $$
    WITH here AS (
        SELECT extract(epoch FROM pg_postmaster_start_time()) || '/'
                   || coalesce((SELECT extract(epoch FROM stats_reset) FROM pg_stat_bgwriter), 0) AS server,
               pg_current_snapshot() AS snapshot),
    since AS (
        SELECT h.*, split_part(known_position, ' ', 1) = h.server AS is_known,
               CASE WHEN split_part(known_position, ' ', 1) = h.server
                    THEN split_part(known_position, ' ', 2)::pg_snapshot
                    ELSE h.snapshot
               END AS seen
        FROM here h)
    SELECT CASE WHEN s.is_known AND p.pruned <= pg_snapshot_xmin(s.seen) AND t.number <= 1000
                THEN coalesce(t.topics, '')
                ELSE '*'
           END,
           s.server || ' ' || s.snapshot
    FROM since s
    LEFT JOIN learnhub.changes_pruned p ON true
    CROSS JOIN LATERAL (
        SELECT count(*) AS number, string_agg(DISTINCT n.topic, ' ') AS topics
        FROM (SELECT c.topic
              FROM learnhub.changes c
              WHERE c.xid >= pg_snapshot_xmax(s.seen) OR c.xid = ANY (ARRAY(SELECT pg_snapshot_xip(s.seen)))
              ORDER BY c.xid
              LIMIT 1001) n) t
$$;

-- Deletes up to 10,000 rows with xids below those of all transactions that ran five to ten minutes ago. A process that
-- has not polled since then gets '*' from topics_since(). Rows of a dump of another server, whose xids are still to
-- come, are deleted as well.
CREATE FUNCTION learnhub.prune_changes() RETURNS void LANGUAGE sql VOLATILE AS $$
    UPDATE learnhub.changes_pruned
    SET pruned = least(next, pg_snapshot_xmin(pg_current_snapshot())), next = pg_snapshot_xmin(pg_current_snapshot()),
        at = now()
    WHERE at < now() - interval '5 minutes' OR next > pg_snapshot_xmax(pg_current_snapshot());

    DELETE FROM learnhub.changes
    WHERE ctid = ANY (ARRAY(SELECT ctid
                            FROM learnhub.changes
                            WHERE xid < (SELECT pruned FROM learnhub.changes_pruned)
                               OR xid >= pg_snapshot_xmax(pg_current_snapshot())
                            LIMIT 10000
                            FOR UPDATE SKIP LOCKED));
$$;

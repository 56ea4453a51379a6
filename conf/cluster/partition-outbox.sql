-- SPDX-License-Identifier: Apache-2.0
-- Turns learnhub.outbox into a table that is partitioned by month, so that old mails are removed by dropping a table.
-- See SCALING.md for what changes. Run as the owner of the schema, after `migrate`, and again after each later
-- `migrate`:
--     psql -X -v ON_ERROR_STOP=1 -f partition-outbox.sql "host=... user=learnhub_owner"
-- The rows are not copied: the old table becomes the first partition. Two indexes of it are built meanwhile, and mails
-- cannot be queued: about a second per 200,000 mails.
BEGIN;
SET LOCAL lock_timeout = '10s';
SET LOCAL search_path = learnhub, public;
SET LOCAL client_min_messages = warning;

SELECT relkind = 'r' AS plain FROM pg_class WHERE oid = 'learnhub.outbox'::regclass \gset

\if :plain

-- ---- the keys of mails that are queued once ----

-- A unique constraint of a partitioned table contains the partition key, so it cannot keep outbox.once unique. This
-- table does: a mail whose key it contains is not queued. A key is deleted with its mail.
CREATE TABLE learnhub.outbox_keys (
    once text PRIMARY KEY,
    created_at timestamptz NOT NULL
);
CREATE INDEX outbox_keys_created_at_idx ON learnhub.outbox_keys (created_at);

CREATE FUNCTION learnhub.claim_mail_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO learnhub.outbox_keys (once, created_at) VALUES (NEW.once, NEW.created_at) ON CONFLICT DO NOTHING;
    RETURN CASE WHEN FOUND THEN NEW END;
END
$$;

CREATE FUNCTION learnhub.release_mail_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM learnhub.outbox_keys WHERE once = OLD.once;
    RETURN NULL;
END
$$;

-- ---- the partitioned table ----

LOCK TABLE learnhub.outbox IN ACCESS EXCLUSIVE MODE;
INSERT INTO learnhub.outbox_keys (once, created_at) SELECT once, created_at FROM learnhub.outbox WHERE once IS NOT NULL;

-- What the new table gets as well: the definitions of indexes that are not unique, triggers, and privileges.
CREATE TEMP TABLE outbox_parts ON COMMIT DROP AS
SELECT pg_get_indexdef(indexrelid) AS definition, indexrelid::regclass::text AS name, 'index' AS kind
FROM pg_index WHERE indrelid = 'learnhub.outbox'::regclass AND NOT indisunique
UNION ALL
SELECT pg_get_triggerdef(oid), tgname, 'trigger' FROM pg_trigger
WHERE tgrelid = 'learnhub.outbox'::regclass AND NOT tgisinternal
UNION ALL
SELECT format('GRANT %s ON learnhub.outbox, learnhub.outbox_keys TO %s', privilege_type,
              CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END), NULL, 'grant'
FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = 'learnhub.outbox'::regclass AND grantee <> relowner;

DO $$
DECLARE
    part record;
    next_id bigint;
    -- Rows of this month and before stay in the old table.
    upper CONSTANT timestamptz := date_trunc('month', now() AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC';
BEGIN
    FOR part IN SELECT * FROM outbox_parts WHERE kind = 'trigger' LOOP
        EXECUTE format('DROP TRIGGER %I ON learnhub.outbox', part.name);
    END LOOP;
    ALTER TABLE learnhub.outbox RENAME TO outbox_first;
    FOR part IN SELECT indexrelid::regclass AS index, relname AS name FROM pg_index JOIN pg_class ON oid = indexrelid
                WHERE indrelid = 'learnhub.outbox_first'::regclass LOOP
        EXECUTE format('ALTER INDEX %s RENAME TO %I', part.index, replace(part.name, 'outbox_', 'outbox_first_'));
    END LOOP;
    SELECT coalesce(max(id), 0) + 1 INTO next_id FROM learnhub.outbox_first;
    next_id := greatest(next_id, nextval(pg_get_serial_sequence('learnhub.outbox_first', 'id')));
    ALTER TABLE learnhub.outbox_first
        ALTER id DROP IDENTITY,
        DROP CONSTRAINT outbox_first_pkey,
        DROP CONSTRAINT outbox_first_once_key;

    CREATE TABLE learnhub.outbox (
        LIKE learnhub.outbox_first INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS,
        PRIMARY KEY (id, created_at),
        -- The name that post_mail() uses. outbox_keys keeps `once` unique, not this constraint.
        CONSTRAINT outbox_once_key UNIQUE (once, created_at),
        FOREIGN KEY (user_id) REFERENCES learnhub.users ON DELETE SET NULL
    ) PARTITION BY RANGE (created_at);
    EXECUTE format('ALTER TABLE learnhub.outbox ALTER id ADD GENERATED ALWAYS AS IDENTITY (START WITH %s)', next_id);
    FOR part IN SELECT * FROM outbox_parts WHERE kind = 'index' LOOP
        EXECUTE part.definition;
    END LOOP;
    EXECUTE format('ALTER TABLE learnhub.outbox ATTACH PARTITION learnhub.outbox_first
                        FOR VALUES FROM (MINVALUE) TO (%L)', upper);
    CREATE TABLE learnhub.outbox_default PARTITION OF learnhub.outbox DEFAULT;
    FOR part IN SELECT * FROM outbox_parts WHERE kind <> 'index' LOOP
        EXECUTE part.definition;
    END LOOP;
    -- After the other triggers, which are executed in the order of their names and may skip a row.
    CREATE TRIGGER unique_key BEFORE INSERT ON learnhub.outbox
        FOR EACH ROW WHEN (NEW.once IS NOT NULL) EXECUTE FUNCTION learnhub.claim_mail_key();
    CREATE TRIGGER unique_key_end AFTER DELETE ON learnhub.outbox
        FOR EACH ROW WHEN (OLD.once IS NOT NULL) EXECUTE FUNCTION learnhub.release_mail_key();
END
$$;

-- Creates the partitions of the next three months, and drops those whose mails are all older than `keep`. Run it daily
-- as the owner, with LearnHubKeepMails or more: SELECT learnhub.keep_outbox_partitions('30 days'). Returns the changes.
CREATE FUNCTION learnhub.keep_outbox_partitions(keep interval) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    this_month CONSTANT timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    month timestamp;
    part text;
    pending boolean;
    ends_at timestamptz;
BEGIN
    SET LOCAL lock_timeout = '2s';
    FOR month IN SELECT this_month + n * interval '1 month' FROM generate_series(1, 3) n LOOP
        part := to_char(month, '"outbox_"YYYY_MM');
        IF to_regclass('learnhub.' || part) IS NULL THEN
            EXECUTE format('CREATE TABLE learnhub.%I PARTITION OF learnhub.outbox FOR VALUES FROM (%L) TO (%L)', part,
                month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
            RETURN NEXT 'created ' || part;
        END IF;
    END LOOP;
    FOR part, ends_at IN
        SELECT c.relname, (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''([^'']+)''\)'))[1]::timestamptz
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'learnhub.outbox'::regclass
    LOOP
        IF ends_at <= now() - keep THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM learnhub.%I WHERE state IN (''waiting'', ''sending''))', part)
            INTO pending;
            IF NOT pending THEN
                EXECUTE format('DELETE FROM learnhub.outbox_keys WHERE once IN
                                    (SELECT once FROM learnhub.%I WHERE once IS NOT NULL)', part);
                EXECUTE format('DROP TABLE learnhub.%I', part);
                RETURN NEXT 'dropped ' || part;
            END IF;
        END IF;
    END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION learnhub.keep_outbox_partitions FROM PUBLIC;

SELECT learnhub.keep_outbox_partitions('100 years');

\endif

-- erase_accounts() selects rows by their place (ctid), which is unique in a partition only: without the condition on
-- the user it would delete mails of others. A later migration may replace the function.
DO $$
DECLARE
    source text := pg_get_functiondef('learnhub.erase_accounts()'::regprocedure);
BEGIN
    IF source NOT LIKE '%WHERE user_id = $1 AND ctid = ANY%' THEN
        source := replace(source, 'WHERE ctid = ANY', 'WHERE user_id = $1 AND ctid = ANY');
        IF source NOT LIKE '%WHERE user_id = $1 AND ctid = ANY%' THEN
            RAISE 'learnhub.erase_accounts() is not a version that this script can change';
        END IF;
        EXECUTE source;
    END IF;
END
$$;

COMMIT;

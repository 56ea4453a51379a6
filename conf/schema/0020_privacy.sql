-- SPDX-License-Identifier: Apache-2.0
-- The audit of accounts, the deletion of what a deleted account leaves, names in directories, a limit of availabilities.

-- ---- the audit log ----

-- audit_entries() reads each of its lists from one of these indexes.
DROP INDEX learnhub.audit_log_user_id_idx;
CREATE INDEX audit_log_user_idx ON learnhub.audit_log (user_id, at, id);
CREATE INDEX audit_log_event_idx ON learnhub.audit_log (event, at, id);
CREATE INDEX audit_log_user_event_idx ON learnhub.audit_log (user_id, event, at, id);

-- Sets the account and the client address that the entries of this transaction name; without it they name none, as for
-- changes made by SQL.
CREATE FUNCTION learnhub.acting(actor bigint, address text) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT set_config('learnhub.actor', coalesce(actor::text, ''), true)
        || set_config('learnhub.address', coalesce(address, ''), true)
$$;

-- The events that audit_account() has recorded in this transaction, for the column _audit; NULL: none.
CREATE FUNCTION learnhub.audited() RETURNS text LANGUAGE sql STABLE
    RETURN nullif(current_setting('learnhub.audited', true), '');

-- Records changes of roles and the deactivation and deletion of accounts, whoever makes them.
CREATE FUNCTION learnhub.audit_account() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    actor bigint := nullif(current_setting('learnhub.actor', true), '')::bigint;
    address text := nullif(current_setting('learnhub.address', true), '');
    events text[] := '{}';
    event text;
    detail text := '';
BEGIN
    IF TG_OP = 'DELETE' THEN
        events := CASE WHEN OLD.deleted_at IS NULL THEN ARRAY['account_deleted'] ELSE '{}' END;
    ELSIF OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL THEN
        events := ARRAY['account_deleted'];
    ELSE
        IF NEW.role <> OLD.role THEN
            events := events || 'role_changed'::text;
            detail := OLD.role || ' to ' || NEW.role
                || CASE WHEN NEW.role = OLD.requested_role THEN ', as requested' ELSE '' END;
        ELSIF OLD.requested_role IS NOT NULL AND NEW.requested_role IS NULL THEN
            events := events || 'role_request_declined'::text;
        END IF;
        IF NEW.is_active <> OLD.is_active THEN
            events := events || CASE WHEN NEW.is_active THEN 'account_reactivated' ELSE 'account_deactivated' END;
        END IF;
    END IF;
    FOREACH event IN ARRAY events LOOP
        PERFORM learnhub.record(event, OLD.id, actor, address, CASE event WHEN 'role_changed' THEN detail ELSE '' END);
        PERFORM set_config('learnhub.audited',
                           concat_ws(', ', learnhub.audited(), event || ' user ' || OLD.id), true);
    END LOOP;
    RETURN NULL;
END
$$;

CREATE TRIGGER audit_account AFTER UPDATE ON learnhub.users
    FOR EACH ROW WHEN (OLD.role <> NEW.role OR OLD.is_active <> NEW.is_active
        OR OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL
        OR OLD.requested_role IS NOT NULL AND NEW.requested_role IS NULL)
    EXECUTE FUNCTION learnhub.audit_account();
CREATE TRIGGER audit_deletion AFTER DELETE ON learnhub.users
    FOR EACH ROW EXECUTE FUNCTION learnhub.audit_account();

-- A page of the 10,000 newest entries, newest first: of an account, of an event (each NULL: all), and from `since` until
-- `until`, both included. With these settings the planner counts rows only, so that each query reads exactly its entries
-- from one index, also if few accounts or events have most entries.
CREATE FUNCTION learnhub.audit_entries(account bigint, wanted text, since timestamptz, until timestamptz,
    page_size bigint DEFAULT NULL, skipped bigint DEFAULT 0) RETURNS SETOF learnhub.audit_log
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET random_page_cost = 0
SET seq_page_cost = 0 AS $$
DECLARE
    first timestamptz := coalesce(since, '-infinity');
    last timestamptz := coalesce(until, 'infinity');
    most CONSTANT bigint := least(coalesce(page_size, 10000), 10000 - skipped);
BEGIN
    IF most <= 0 THEN
        RETURN;
    ELSIF account IS NULL AND wanted IS NULL THEN
        RETURN QUERY SELECT * FROM learnhub.audit_log l
        WHERE l.at BETWEEN first AND last
        ORDER BY l.at DESC, l.id DESC LIMIT most OFFSET skipped;
    ELSIF wanted IS NULL THEN
        RETURN QUERY SELECT * FROM learnhub.audit_log l
        WHERE l.user_id = account AND l.at BETWEEN first AND last
        ORDER BY l.at DESC, l.id DESC LIMIT most OFFSET skipped;
    ELSIF account IS NULL THEN
        RETURN QUERY SELECT * FROM learnhub.audit_log l
        WHERE l.event = wanted AND l.at BETWEEN first AND last
        ORDER BY l.at DESC, l.id DESC LIMIT most OFFSET skipped;
    ELSE
        RETURN QUERY SELECT * FROM learnhub.audit_log l
        WHERE l.user_id = account AND l.event = wanted AND l.at BETWEEN first AND last
        ORDER BY l.at DESC, l.id DESC LIMIT most OFFSET skipped;
    END IF;
END
$$;

-- ---- what a deleted account leaves ----

-- Deleted accounts with content that a job still has to delete: see erase_accounts().
CREATE TABLE learnhub.erasures (
    user_id bigint PRIMARY KEY REFERENCES learnhub.users ON DELETE CASCADE,
    requested_at timestamptz NOT NULL DEFAULT now()
);

-- For the deletion and the export.
CREATE INDEX xp_sessions_user_idx ON learnhub.xp_sessions (user_id);
CREATE INDEX availabilities_owner_idx ON learnhub.availabilities (mentor_id);

-- Rejects a row of a deleted account, or with the argument `skip` ignores it. The other argument is the column that names
-- the account. The lock is that of the foreign key: it waits for a transaction that is deleting the account.
CREATE FUNCTION learnhub.refuse_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    owner bigint;
BEGIN
    IF TG_ARGV[0] = 'user_id' THEN
        owner := NEW.user_id;
    ELSIF TG_ARGV[0] = 'creator_id' THEN
        owner := NEW.creator_id;
    ELSIF TG_ARGV[0] = 'created_by' THEN
        owner := NEW.created_by;
    ELSE
        owner := NEW.mentor_id;
    END IF;
    PERFORM FROM learnhub.users WHERE id = owner AND deleted_at IS NULL FOR KEY SHARE;
    IF FOUND OR NOT EXISTS (SELECT FROM learnhub.users WHERE id = owner) THEN
        RETURN NEW; -- without such an account, the foreign key decides
    ELSIF TG_NARGS > 1 THEN
        RETURN NULL;
    END IF;
    RAISE check_violation USING MESSAGE = 'the account has been deleted', CONSTRAINT = 'account_deleted';
END
$$;

DO $$
DECLARE
    name text;
    owner text;
    skip text;
BEGIN
    FOR name, owner, skip IN VALUES
        ('tokens', 'user_id', NULL), ('password_resets', 'user_id', 'skip'), ('photos', 'user_id', NULL),
        ('outbox', 'user_id', 'skip'), ('tutoring_sessions', 'creator_id', NULL),
        ('tutoring_participants', 'user_id', NULL), ('problems', 'created_by', NULL),
        ('practice_sessions', 'user_id', NULL), ('submissions', 'user_id', NULL), ('evaluations', 'user_id', NULL),
        ('model_turns', 'user_id', NULL), ('mentor_profiles', 'user_id', NULL), ('mentee_profiles', 'user_id', NULL),
        ('notification_settings', 'user_id', NULL), ('availabilities', 'mentor_id', NULL),
        ('coding_sessions', 'user_id', NULL), ('eco_activities', 'user_id', NULL),
        ('credit_spendings', 'user_id', NULL), ('redemptions', 'user_id', NULL), ('goals', 'user_id', NULL),
        ('xp_sessions', 'user_id', NULL), ('email_confirmations', 'user_id', 'skip'),
        ('known_networks', 'user_id', 'skip')
    LOOP
        EXECUTE format('CREATE TRIGGER refuse_deleted BEFORE INSERT ON learnhub.%I FOR EACH ROW %s
                            EXECUTE FUNCTION learnhub.refuse_deleted(%s)',
            name, CASE WHEN skip IS NOT NULL THEN 'WHEN (NEW.user_id IS NOT NULL)' ELSE '' END,
            concat_ws(', ', quote_literal(owner), quote_literal(skip)));
    END LOOP;
END
$$;

-- Mails to others about the mentoring sessions of a deleted account, which have not been sent, name a former user.
CREATE FUNCTION learnhub.forget_name(account bigint) RETURNS void LANGUAGE sql AS $$
    UPDATE learnhub.outbox o SET body = regexp_replace(o.body, '^  With: .*$', '  With: a former user', 'n')
    FROM learnhub.mentoring_sessions s
    WHERE account IN (s.mentor_id, s.mentee_id) AND o.subject_ref = 'session ' || s.id
        AND o.state IN ('waiting', 'sending') AND o.user_id <> account
$$;

-- Anonymises and deactivates an account, and deletes its photo and its mails that have not been sent. The triggers on
-- users revoke its tokens and end its mentoring. erase_accounts() deletes the content that only its owner could read;
-- what others share remains, without the name.
CREATE OR REPLACE FUNCTION learnhub.delete_account(account bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    label text := 'deleted-' || account;
BEGIN
    IF EXISTS (SELECT FROM learnhub.login_names WHERE name IN (label, label || '@deleted.invalid')) THEN
        label := label || '-' || gen_random_uuid();
    END IF;
    UPDATE learnhub.users
    SET deleted_at = now(), is_active = false, username = label, email = label || '@deleted.invalid', first_name = '',
        last_name = '', phone_number = NULL, profile_photo = NULL, is_mentor = false, is_mentee = false,
        password_hash = '!'
    WHERE id = account AND deleted_at IS NULL;
    IF FOUND THEN
        -- Waits for transactions that are storing rows of this account; refuse_deleted() rejects those of later ones.
        PERFORM FROM learnhub.users WHERE id = account FOR UPDATE;
        INSERT INTO learnhub.erasures (user_id) VALUES (account) ON CONFLICT DO NOTHING;
        DELETE FROM learnhub.outbox WHERE user_id = account AND state IN ('waiting', 'sending');
        DELETE FROM learnhub.photos WHERE user_id = account;
        PERFORM learnhub.forget_name(account);
    END IF;
END
$$;

-- Deletes content of deleted accounts for about half a second and returns the number of rows. Several processes may run
-- this at once: each works on another account. Rows with large values are deleted in small portions. Tables are in an
-- order in which no row is deleted before those that refer to it.
CREATE FUNCTION learnhub.erase_accounts() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    until CONSTANT timestamptz := clock_timestamp() + interval '500 milliseconds';
    large CONSTANT text[] := ARRAY['submissions', 'practice_sessions', 'photos', 'activity_photos', 'outbox'];
    account bigint;
    name text;
    portion bigint;
    total bigint := 0;
BEGIN
    SELECT user_id INTO account FROM learnhub.erasures ORDER BY requested_at, user_id LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    FOREACH name IN ARRAY ARRAY['tokens', 'logins', 'known_networks', 'password_resets', 'email_confirmations',
        'outbox', 'photos', 'submissions', 'practice_sessions', 'evaluations', 'model_turns', 'mentor_profiles',
        'mentee_profiles', 'notification_settings', 'redemptions', 'credit_spendings', 'activity_photos',
        'eco_activities', 'coding_sessions', 'coding_profiles', 'xp_sessions', 'goals']
    LOOP
        LOOP
            EXECUTE format('DELETE FROM learnhub.%I WHERE ctid = ANY (ARRAY(
                                SELECT ctid FROM learnhub.%1$I WHERE user_id = $1 LIMIT $2 FOR UPDATE))', name)
            USING account, CASE WHEN name = ANY (large) THEN 10 ELSE 500 END;
            GET DIAGNOSTICS portion = ROW_COUNT;
            total := total + portion;
            EXIT WHEN portion = 0;
            IF clock_timestamp() > until THEN
                RETURN total;
            END IF;
        END LOOP;
    END LOOP;
    DELETE FROM learnhub.availabilities a
    WHERE a.mentor_id = account
        AND NOT EXISTS (SELECT FROM learnhub.mentoring_sessions s WHERE s.availability_id = a.id);
    DELETE FROM learnhub.erasures WHERE user_id = account;
    RETURN total;
END
$$;

-- The content of accounts that were deleted before.
INSERT INTO learnhub.erasures (user_id) SELECT id FROM learnhub.users WHERE deleted_at IS NOT NULL;

-- ---- directories ----

-- The username in directories, without the domain of an e-mail address.
CREATE FUNCTION learnhub.directory_name(username text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN username LIKE '_%@%' THEN split_part(username, '@', 1) ELSE username END;

-- A mentor has at most 500 availabilities that have not ended. As those of a mentor do not overlap, they end in the order
-- in which they start: the 500th of the latest decides. The lock serialises the changes of a mentor.
CREATE FUNCTION learnhub.limit_availabilities() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM learnhub.users WHERE id = NEW.mentor_id FOR NO KEY UPDATE;
    IF NEW.ends_at > now() AND (SELECT a.ends_at > now() FROM learnhub.availabilities a
                                WHERE a.mentor_id = NEW.mentor_id AND a.deleted_at IS NULL
                                ORDER BY a.starts_at DESC OFFSET 499 LIMIT 1) THEN
        RAISE check_violation USING MESSAGE = 'too many availabilities', CONSTRAINT = 'availabilities_limit';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER limit_availabilities BEFORE INSERT ON learnhub.availabilities
    FOR EACH ROW EXECUTE FUNCTION learnhub.limit_availabilities();

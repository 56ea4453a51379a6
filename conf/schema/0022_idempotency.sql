-- SPDX-License-Identifier: Apache-2.0
-- Responses that are kept for repeated requests with the same Idempotency-Key.

-- A row is stored in the transaction of the change that the response reports. `id` is the SHA-256 of the route, the key,
-- and the user or, without one, the client's network. `digest` is an HMAC of the request and `body` is encrypted, both
-- with keys that only the servers have. `body` is NULL for a response without one, and for one that was too long.
CREATE TABLE learnhub.idempotency_keys (
    id bytea PRIMARY KEY CHECK (octet_length(id) = 32),
    user_id bigint REFERENCES learnhub.users ON DELETE CASCADE, -- NULL: of a request without authentication
    route text NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    status integer NOT NULL CHECK (status BETWEEN 200 AND 299),
    type text, -- the media type of `body`; NULL: none
    too_long boolean NOT NULL CHECK (NOT too_long OR body IS NULL),
    body bytea CHECK (octet_length(body) <= 65536),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
ALTER TABLE learnhub.idempotency_keys ALTER COLUMN body SET STORAGE EXTERNAL; -- encrypted: it cannot be compressed
CREATE INDEX idempotency_keys_user_idx ON learnhub.idempotency_keys (user_id);
CREATE INDEX idempotency_keys_expires_idx ON learnhub.idempotency_keys (expires_at);

-- The keys of requests that run steps before their transaction, such as asking a model: meanwhile repeated requests are
-- rejected. A request that does not end in time loses its claim. UNLOGGED: without its claim, a repeated request runs
-- the steps as well, and the lock of the transaction lets one of them make the change.
CREATE UNLOGGED TABLE learnhub.idempotency_claims (
    id bytea PRIMARY KEY,
    owner text NOT NULL,
    ends_at timestamptz NOT NULL
);
CREATE INDEX idempotency_claims_ends_idx ON learnhub.idempotency_claims (ends_at);

CREATE TRIGGER refuse_deleted BEFORE INSERT ON learnhub.idempotency_keys
    FOR EACH ROW WHEN (NEW.user_id IS NOT NULL) EXECUTE FUNCTION learnhub.refuse_deleted('user_id');

-- The response that is kept for a key; no row: none.
CREATE FUNCTION learnhub.kept_response(sought bytea, OUT digest bytea, OUT status integer, OUT type text,
    OUT too_long boolean, OUT body bytea) RETURNS SETOF record LANGUAGE sql STABLE AS $$
    SELECT k.digest, k.status, k.type, k.too_long, k.body
    FROM learnhub.idempotency_keys k
    WHERE k.id = sought AND k.expires_at > now()
$$;

-- Claims a key for a request that runs steps, and returns the response that is kept for it. `mine` is false while
-- another request has the claim. Volatile, so that each statement has a snapshot of its own: it sees the response of a
-- request that has just ended its claim.
CREATE FUNCTION learnhub.claim_idempotency_key(sought bytea, claimant text, seconds integer, OUT mine boolean,
    OUT digest bytea, OUT status integer, OUT type text, OUT too_long boolean, OUT body bytea) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO learnhub.idempotency_claims AS c (id, owner, ends_at)
    VALUES (sought, claimant, clock_timestamp() + make_interval(secs => seconds))
    ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, ends_at = excluded.ends_at
    WHERE c.ends_at <= clock_timestamp() OR c.owner = excluded.owner;
    mine := FOUND;
    SELECT k.digest, k.status, k.type, k.too_long, k.body INTO digest, status, type, too_long, body
    FROM learnhub.kept_response(sought) k;
END
$$;

-- Locks a key until the end of the transaction, and returns the response that is kept for it. `mine` is false while
-- another transaction has the lock. Volatile: what another transaction stored before it released the lock is seen.
CREATE FUNCTION learnhub.lock_idempotency_key(sought bytea, OUT mine boolean, OUT digest bytea, OUT status integer,
    OUT type text, OUT too_long boolean, OUT body bytea) LANGUAGE plpgsql AS $$
BEGIN
    mine := pg_try_advisory_xact_lock(('x' || encode(substr(sought, 1, 8), 'hex'))::bit(64)::bigint);
    SELECT k.digest, k.status, k.type, k.too_long, k.body INTO digest, status, type, too_long, body
    FROM learnhub.kept_response(sought) k;
    IF mine AND digest IS NULL THEN
        DELETE FROM learnhub.idempotency_keys k WHERE k.id = sought AND k.expires_at <= now();
    END IF;
END
$$;

-- Deletes responses and claims that have expired, for about half a second, and returns the number of responses.
CREATE FUNCTION learnhub.prune_idempotency_keys() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    until CONSTANT timestamptz := clock_timestamp() + interval '500 milliseconds';
    portion bigint;
    total bigint := 0;
BEGIN
    DELETE FROM learnhub.idempotency_claims WHERE id IN (
        SELECT id FROM learnhub.idempotency_claims WHERE ends_at < now() LIMIT 1000 FOR UPDATE SKIP LOCKED);
    LOOP
        DELETE FROM learnhub.idempotency_keys WHERE id IN (
            SELECT id FROM learnhub.idempotency_keys
            WHERE expires_at <= now() ORDER BY expires_at LIMIT 200 FOR UPDATE SKIP LOCKED);
        GET DIAGNOSTICS portion = ROW_COUNT;
        total := total + portion;
        EXIT WHEN portion = 0 OR clock_timestamp() > until;
    END LOOP;
    RETURN total;
END
$$;

-- Deletes content of deleted accounts for about half a second and returns the number of rows. Several processes may run
-- this at once: each works on another account. Rows with large values are deleted in small portions. Tables are in an
-- order in which no row is deleted before those that refer to it.
CREATE OR REPLACE FUNCTION learnhub.erase_accounts() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    until CONSTANT timestamptz := clock_timestamp() + interval '500 milliseconds';
    large CONSTANT text[] := ARRAY['idempotency_keys', 'submissions', 'practice_sessions', 'photos', 'activity_photos',
        'outbox'];
    account bigint;
    name text;
    portion bigint;
    total bigint := 0;
BEGIN
    SELECT user_id INTO account FROM learnhub.erasures ORDER BY requested_at, user_id LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    FOREACH name IN ARRAY ARRAY['idempotency_keys', 'tokens', 'logins', 'known_networks', 'password_resets',
        'email_confirmations', 'outbox', 'photos', 'submissions', 'practice_sessions', 'evaluations',
        'model_turns', 'mentor_profiles', 'mentee_profiles', 'notification_settings', 'redemptions',
        'credit_spendings', 'activity_photos', 'eco_activities', 'coding_sessions', 'coding_profiles',
        'xp_sessions', 'goals']
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

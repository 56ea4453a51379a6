-- SPDX-License-Identifier: Apache-2.0
-- Logins: what each login of an account has issued, how it ends, and events with the time at which they stop mattering.
--
-- Every function that creates, refreshes or ends logins first locks the user's row, and then rows of logins. A change
-- of the password locks that row as well, so no token is issued with the version that the change has just replaced.

-- ---- tables ----

-- A login owns the JSON Web Tokens that carry its id (claim sid), or one opaque token. Deleting the row ends it.
CREATE TABLE learnhub.logins (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id bigint NOT NULL REFERENCES learnhub.users ON DELETE CASCADE,
    version integer NOT NULL,
    is_opaque boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz NOT NULL DEFAULT now(),
    address text,
    user_agent text,
    ends_at timestamptz,
    access_until timestamptz NOT NULL DEFAULT now(),
    refresh_id uuid DEFAULT gen_random_uuid(),
    next_refresh_id uuid,
    next_at timestamptz,
    last_refresh_id uuid,
    rotated_at timestamptz
);
COMMENT ON COLUMN learnhub.logins.version IS 'users.token_version; with another version the login has ended.';
COMMENT ON COLUMN learnhub.logins.used_at IS 'When a token was used last, within some minutes.';
COMMENT ON COLUMN learnhub.logins.address IS 'The client address of the login or of its last refresh.';
COMMENT ON COLUMN learnhub.logins.ends_at IS 'NULL: does not expire.';
COMMENT ON COLUMN learnhub.logins.access_until IS 'When the last access token that was issued expires.';
COMMENT ON COLUMN learnhub.logins.refresh_id IS 'The jti of the current refresh token.';
COMMENT ON COLUMN learnhub.logins.next_refresh_id IS 'The jti of its successor, issued at next_at and not used yet.';
COMMENT ON COLUMN learnhub.logins.last_refresh_id IS 'The jti of its predecessor, which it replaced at rotated_at.';
CREATE INDEX logins_user_id_idx ON learnhub.logins (user_id);
CREATE INDEX logins_ends_at_idx ON learnhub.logins (ends_at);

ALTER TABLE learnhub.tokens ADD COLUMN login_id uuid;

-- Every opaque token gets a login. It counts as used now, because its last use is not known.
WITH adopted AS MATERIALIZED (
    SELECT digest, user_id, created_at, expires_at, gen_random_uuid() AS id FROM learnhub.tokens),
created AS (
    INSERT INTO learnhub.logins (id, user_id, version, is_opaque, created_at, ends_at, refresh_id)
    SELECT a.id, a.user_id, u.token_version, true, a.created_at, a.expires_at, NULL
    FROM adopted a
    JOIN learnhub.users u ON u.id = a.user_id)
UPDATE learnhub.tokens t SET login_id = a.id FROM adopted a WHERE t.digest = a.digest;

ALTER TABLE learnhub.tokens ALTER COLUMN login_id SET NOT NULL;
ALTER TABLE learnhub.tokens ADD FOREIGN KEY (login_id) REFERENCES learnhub.logins ON DELETE CASCADE;
CREATE UNIQUE INDEX tokens_login_id_key ON learnhub.tokens (login_id);
COMMENT ON COLUMN learnhub.tokens.expires_at IS 'Not used since logins.ends_at exists.';

-- Events of revoked tokens and logins (`token` is the id of a login) have a user_id, except those of older versions.
ALTER TABLE learnhub.auth_events ADD COLUMN expires_at timestamptz;
DROP TRIGGER forget_old_events ON learnhub.auth_events;
DROP FUNCTION learnhub.forget_old_events();
DELETE FROM learnhub.auth_events e
USING (SELECT user_id, max(id) AS id FROM learnhub.auth_events WHERE token IS NULL GROUP BY user_id) newest
WHERE e.token IS NULL AND e.user_id = newest.user_id AND e.id < newest.id;
UPDATE learnhub.auth_events SET expires_at = at + interval '31 days';
ALTER TABLE learnhub.auth_events ALTER COLUMN expires_at SET NOT NULL;
ALTER TABLE learnhub.auth_events ALTER COLUMN expires_at SET DEFAULT now() + interval '31 days';
COMMENT ON COLUMN learnhub.auth_events.expires_at IS
    'When all tokens that the event concerns have expired. Processes that start do not read it any more.';
DROP INDEX learnhub.auth_events_at_idx;
CREATE INDEX auth_events_expires_at_idx ON learnhub.auth_events (expires_at, id);
CREATE INDEX auth_events_user_id_idx ON learnhub.auth_events (user_id, expires_at);

-- When the last access token without a sid, which older versions have issued, expires: access tokens live 30 days at
-- most, and a node may run the older version for some time. The constant is computed when this file is applied.
DO $$
BEGIN
    EXECUTE format(
        'CREATE FUNCTION learnhub.old_tokens_until() RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
             RETURN %L::timestamptz',
        CASE WHEN EXISTS (SELECT FROM learnhub.users) THEN now() + interval '32 days' ELSE now() END);
END
$$;

-- ---- events ----

-- An event about a user replaces the earlier ones about that user; if it raises the token version, also those about
-- revoked tokens and logins, whose tokens have a lower version. It lasts as long as any of these tokens, and at least
-- two hours: processes that have not polled for an hour read all events.
CREATE FUNCTION learnhub.replace_events() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    raised boolean := NOT EXISTS (SELECT FROM learnhub.users WHERE id = NEW.user_id AND token_version >= NEW.version);
BEGIN
    WITH replaced AS (
        DELETE FROM learnhub.auth_events WHERE user_id = NEW.user_id AND (token IS NULL OR raised) RETURNING expires_at)
    SELECT greatest(now() + interval '2 hours', least(now() + interval '31 days', learnhub.old_tokens_until()),
                    (SELECT max(expires_at) FROM replaced),
                    (SELECT max(access_until) + interval '5 minutes' FROM learnhub.logins WHERE user_id = NEW.user_id))
    INTO NEW.expires_at;
    RETURN NEW;
END
$$;
CREATE TRIGGER replace_events BEFORE INSERT ON learnhub.auth_events
    FOR EACH ROW WHEN (NEW.token IS NULL) EXECUTE FUNCTION learnhub.replace_events();

-- Revokes a token or a login by an event that lasts until `until`, when its last access token expires. If a user has
-- more than 500 such events, the token version is raised: this ends all logins and replaces the events.
CREATE FUNCTION learnhub.revoke(account bigint, revoked bytea, until timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO learnhub.auth_events (user_id, token, expires_at)
    VALUES (account, revoked, greatest(until + interval '5 minutes', now() + interval '2 hours'));
    IF (SELECT count(*) FROM learnhub.auth_events WHERE user_id = account AND expires_at > now()) > 500 THEN
        UPDATE learnhub.users SET token_version = token_version + 1 WHERE id = account;
        PERFORM learnhub.record('tokens_revoked', account, NULL, NULL, 'too many ended logins');
    END IF;
END
$$;

-- Revokes the tokens of a login that is deleted, unless they have expired or the token version revokes them.
CREATE FUNCTION learnhub.revoke_login() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM learnhub.users WHERE id = OLD.user_id AND token_version > OLD.version) THEN
        PERFORM learnhub.revoke(OLD.user_id, uuid_send(OLD.id), OLD.access_until);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER revoke_login AFTER DELETE ON learnhub.logins
    FOR EACH ROW WHEN (OLD.access_until > now() - interval '5 minutes'
                       OR OLD.is_opaque AND coalesce(OLD.ends_at, 'infinity') > now() - interval '1 hour')
    EXECUTE FUNCTION learnhub.revoke_login();

-- A higher token version ends all logins of the user. The event about the user revokes their tokens.
CREATE FUNCTION learnhub.end_all_logins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM learnhub.logins WHERE user_id = NEW.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER end_all_logins AFTER UPDATE ON learnhub.users
    FOR EACH ROW WHEN (NEW.token_version > OLD.token_version) EXECUTE FUNCTION learnhub.end_all_logins();

-- ---- logins ----

-- Locks the account and returns its token version; NULL unless it is active and has the version `expected`.
CREATE FUNCTION learnhub.lock_account(account bigint, expected integer) RETURNS integer LANGUAGE sql VOLATILE AS $$
    SELECT token_version
    FROM learnhub.users
    WHERE id = account AND is_active AND token_version = expected
    FOR NO KEY UPDATE
$$;

-- Ends the logins that were not used for the longest time, so that another one fits: an account has at most 100, and
-- 20 with an opaque token. Removes expired ones. The account must be locked.
CREATE FUNCTION learnhub.make_room(account bigint, opaque boolean) RETURNS void LANGUAGE sql VOLATILE AS $$
    DELETE FROM learnhub.logins
    WHERE id IN (
        SELECT l.id
        FROM (SELECT id, ends_at, row_number() OVER latest AS place,
                     opaque AND is_opaque AND count(*) FILTER (WHERE is_opaque) OVER latest >= 20 AS is_excess
              FROM learnhub.logins
              WHERE user_id = account AND (ends_at IS NULL OR ends_at > now())
              WINDOW latest AS (ORDER BY used_at DESC, created_at DESC, id)) l
        WHERE l.place >= 100 OR l.is_excess)
       OR (user_id = account AND ends_at <= now())
$$;

-- Creates a login; with a digest, that of an opaque token. `access` and `idle` are seconds: until the access token
-- expires, and until the login expires without being used (NULL: never). Returns no row if `expected` is not the
-- account's token version any more. `version` is higher than expected if revoke() has raised it.
CREATE FUNCTION learnhub.begin_login(account bigint, expected integer, client text, agent text, access bigint,
    idle bigint, opaque_digest bytea DEFAULT NULL, OUT login uuid, OUT refresh uuid, OUT version integer,
    OUT role text)
RETURNS SETOF record LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF learnhub.lock_account(account, expected) IS NULL THEN
        RETURN;
    END IF;
    SELECT u.role INTO role FROM learnhub.users u WHERE u.id = account;
    PERFORM learnhub.make_room(account, opaque_digest IS NOT NULL);
    INSERT INTO learnhub.logins AS l (user_id, version, is_opaque, address, user_agent, ends_at, access_until)
    SELECT u.id, u.token_version, opaque_digest IS NOT NULL, client, agent,
           CASE WHEN idle IS NOT NULL THEN now() + make_interval(secs => greatest(access, idle)) END,
           now() + make_interval(secs => access)
    FROM learnhub.users u
    WHERE u.id = account
    RETURNING l.id, l.refresh_id, l.version INTO login, refresh, version;
    IF opaque_digest IS NOT NULL THEN
        INSERT INTO learnhub.tokens (digest, user_id, login_id) VALUES (opaque_digest, account, login);
    END IF;
    RETURN NEXT;
END
$$;

-- Older versions insert tokens without a login. `users.is_active` is theirs to check.
CREATE FUNCTION learnhub.adopt_token() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO learnhub.logins (user_id, version, is_opaque, ends_at)
    SELECT id, token_version, true, NEW.expires_at FROM learnhub.users WHERE id = NEW.user_id
    RETURNING id INTO NEW.login_id;
    RETURN NEW;
END
$$;
CREATE TRIGGER adopt_token BEFORE INSERT ON learnhub.tokens
    FOR EACH ROW WHEN (NEW.login_id IS NULL) EXECUTE FUNCTION learnhub.adopt_token();

-- A refresh token without a sid, of an older version, becomes a login whose id is the token's jti, unless that login
-- has ended before. It is revoked for as long as the token may live, `idle` seconds.
CREATE FUNCTION learnhub.adopt_refresh_token(account bigint, jti uuid, expected integer, idle bigint) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM learnhub.logins WHERE id = jti)
       AND NOT EXISTS (SELECT FROM learnhub.auth_events WHERE user_id = account AND token = uuid_send(jti)) THEN
        PERFORM learnhub.make_room(account, false);
        INSERT INTO learnhub.logins (id, user_id, version, refresh_id, ends_at, access_until)
        SELECT jti, account, expected, jti, until, until FROM (SELECT now() + make_interval(secs => idle) AS until) i;
    END IF;
END
$$;

-- Refreshes a login with its refresh token `jti`; `sid` is NULL for a token of an older version. No row: the login has
-- ended. With `rotate`, a successor of the refresh token is issued: `refresh` is its jti.
--
-- The first use of the successor, not its issue, replaces the token: a client that did not get it, or does not store
-- it, goes on with the token it has. Only the successor issued last is valid. Within 30 seconds the token gets the same
-- successor again, because several tabs of a browser may refresh at once; for as long, a token that was just replaced
-- is accepted. The use of any other token of the login shows that one was copied: the login ends, `reused` is true.
CREATE FUNCTION learnhub.refresh_login(account bigint, sid uuid, jti uuid, expected integer, rotate boolean,
    client text, agent text, access bigint, idle bigint, OUT login uuid, OUT refresh uuid, OUT reused boolean,
    OUT role text)
RETURNS SETOF record LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF learnhub.lock_account(account, expected) IS NULL THEN
        RETURN;
    END IF;
    SELECT u.role INTO role FROM learnhub.users u WHERE u.id = account;
    IF sid IS NULL THEN
        PERFORM learnhub.adopt_refresh_token(account, jti, expected, idle);
    END IF;
    login := coalesce(sid, jti);
    reused := false;

    UPDATE learnhub.logins l
    SET used_at = now(), address = client, user_agent = agent,
        access_until = greatest(l.access_until, now() + make_interval(secs => access)),
        ends_at = greatest(l.ends_at, now() + make_interval(secs => greatest(access, CASE WHEN rotate THEN idle END))),
        refresh_id = CASE WHEN o.is_next THEN jti ELSE l.refresh_id END,
        last_refresh_id = CASE WHEN o.is_next THEN l.refresh_id ELSE l.last_refresh_id END,
        rotated_at = CASE WHEN o.is_next THEN now() ELSE l.rotated_at END,
        next_refresh_id = CASE WHEN o.is_issued THEN gen_random_uuid()
                               WHEN NOT o.is_next THEN l.next_refresh_id
                          END,
        next_at = CASE WHEN o.is_issued THEN now() ELSE l.next_at END
    FROM (SELECT id, jti IS NOT DISTINCT FROM next_refresh_id AS is_next,
                 rotate AND (coalesce(next_refresh_id, jti) = jti OR next_at < now() - interval '30 seconds') AS is_issued
          FROM learnhub.logins) o
    WHERE l.id = coalesce(sid, jti) AND o.id = l.id AND l.user_id = account AND l.version = expected
      AND NOT l.is_opaque AND l.ends_at > now()
      AND (l.refresh_id = jti OR o.is_next
           OR (l.last_refresh_id = jti AND l.rotated_at > now() - interval '30 seconds'))
    RETURNING CASE WHEN rotate THEN l.next_refresh_id END INTO refresh;

    IF NOT FOUND THEN
        DELETE FROM learnhub.logins WHERE id = login AND user_id = account AND NOT is_opaque AND ends_at > now();
        IF NOT FOUND THEN
            RETURN;
        END IF;
        reused := true;
        PERFORM learnhub.record('refresh_reused', account, NULL, client, 'login ' || login);
    END IF;
    RETURN NEXT;
END
$$;

-- Whether a refresh token can be refreshed.
CREATE FUNCTION learnhub.can_refresh(account bigint, sid uuid, jti uuid) RETURNS boolean LANGUAGE sql STABLE
    RETURN CASE WHEN sid IS NULL AND NOT EXISTS (SELECT FROM learnhub.logins WHERE id = jti)
                THEN NOT EXISTS (SELECT FROM learnhub.auth_events WHERE user_id = account AND token = uuid_send(jti))
                ELSE EXISTS (SELECT FROM learnhub.logins
                             WHERE id = coalesce(sid, jti) AND user_id = account AND ends_at > now()
                               AND (jti IN (refresh_id, next_refresh_id)
                                    OR (jti = last_refresh_id AND rotated_at > now() - interval '30 seconds')))
           END;

-- Ends one login of an account, or with `others` all but that one. Returns the ids of those that it ended.
CREATE FUNCTION learnhub.end_logins(account bigint, login uuid, others boolean) RETURNS SETOF uuid
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM learnhub.users WHERE id = account FOR NO KEY UPDATE;
    RETURN QUERY DELETE FROM learnhub.logins
                 WHERE user_id = account AND (id IS NOT DISTINCT FROM login) <> others
                 RETURNING id;
END
$$;

-- Ends the login of a token, or only the token if it is of an older version and has no login. `jti` is in hex, `until`
-- the Unix time when the token expires.
CREATE FUNCTION learnhub.log_out(account bigint, login uuid, jti text, until bigint, client text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM learnhub.users WHERE id = account FOR NO KEY UPDATE;
    IF login IS NULL THEN
        PERFORM learnhub.revoke(account, substring(decode(jti, 'hex') FROM 1 FOR 16), to_timestamp(until));
    ELSE
        DELETE FROM learnhub.logins WHERE id = login AND user_id = account;
    END IF;
    PERFORM learnhub.record('login_ended', account, account, client, 'logout' || coalesce(' of login ' || login, ''));
END
$$;

-- ---- reading and pruning ----

-- Where this statement stands among the transactions of this server: the server and a snapshot. After a failover, a
-- restore or a crash, snapshots of before have no meaning, because transaction ids may be used again: a server is its
-- start time and the time when its statistics were reset, as crash recovery does.
CREATE FUNCTION learnhub.server_position() RETURNS text LANGUAGE sql STABLE
    RETURN extract(epoch FROM pg_postmaster_start_time()) || '/'
        || coalesce((SELECT extract(epoch FROM stats_reset) FROM pg_stat_bgwriter), 0) || ' ' || pg_current_snapshot();

-- Deletes up to 10,000 expired events and 1,000 expired logins.
CREATE FUNCTION learnhub.prune_logins() RETURNS void LANGUAGE sql VOLATILE AS $$
    DELETE FROM learnhub.auth_events
    WHERE id = ANY (ARRAY(SELECT id FROM learnhub.auth_events WHERE expires_at < now()
                          ORDER BY expires_at, id LIMIT 10000 FOR UPDATE SKIP LOCKED));

    DELETE FROM learnhub.logins
    WHERE id = ANY (ARRAY(SELECT id FROM learnhub.logins
                          WHERE ends_at < now() - interval '1 hour' AND access_until < now() - interval '5 minutes'
                          ORDER BY ends_at LIMIT 1000 FOR UPDATE SKIP LOCKED));
$$;

-- SPDX-License-Identifier: Apache-2.0
-- Log-in attempts: each one is counted before its password is verified, and successful ones are given back. Networks
-- that an account has logged in from, replacement of password hashes, and usernames that look like e-mail addresses.

-- ---- counts ----

-- The keys of login_failures are 'address NETWORK'; 'user ID', or 'name NAME' for an unknown login name, for attempts
-- from networks that the account has not logged in from; 'known ID NETWORK' for attempts from one of its known
-- networks, and 'known ID' for those from all of them.
ALTER TABLE learnhub.login_failures ADD COLUMN recent timestamptz[] NOT NULL DEFAULT '{}';
ALTER TABLE learnhub.login_failures ADD COLUMN noted_at timestamptz;
COMMENT ON COLUMN learnhub.login_failures.failures IS
    'Attempts since `since`, rejected ones included, without those given back.';
COMMENT ON COLUMN learnhub.login_failures.recent IS
    'The attempts of the last hour that were not rejected, of keys with an hourly limit.';
COMMENT ON COLUMN learnhub.login_failures.noted_at IS 'When the audit log last got an entry about this key.';

-- The networks (see client_network()) that an account has logged in from, at most 20 for each account. They are
-- personal data: rows that were not used for 90 days are deleted.
CREATE TABLE learnhub.known_networks (
    user_id bigint NOT NULL REFERENCES learnhub.users ON DELETE CASCADE,
    network text NOT NULL,
    used_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, network)
);
CREATE INDEX known_networks_used_at_idx ON learnhub.known_networks (used_at);

-- Counts an attempt for a key. It is rejected if more than `most` attempts were made within `seconds` since the first
-- one, or `hourly` within the last hour that were not rejected; NULL: no such limit. `wait`: seconds until the next
-- attempt is possible, or NULL if this one is not rejected. `noted`: the first rejection of this key for a minute. The
-- row is locked, so that concurrent attempts are decided one after the other.
CREATE FUNCTION learnhub.count_attempt(wanted text, seconds integer, most integer, hourly integer, OUT wait integer,
                                       OUT noted boolean)
LANGUAGE plpgsql AS $$
DECLARE
    entry learnhub.login_failures;
    moment timestamptz;
    until timestamptz;
BEGIN
    INSERT INTO learnhub.login_failures AS f (key, failures, since) VALUES (wanted, 0, clock_timestamp())
    ON CONFLICT (key) DO UPDATE SET failures = f.failures
    RETURNING f.* INTO entry;
    moment := clock_timestamp();
    IF entry.since <= moment - make_interval(secs => seconds) THEN
        entry.failures := 0;
        entry.since := moment;
    END IF;
    entry.failures := least(entry.failures, 2000000000) + 1;
    entry.recent := ARRAY(SELECT t FROM unnest(entry.recent) t WHERE t > moment - interval '1 hour' ORDER BY t);
    IF entry.failures > most THEN
        until := entry.since + make_interval(secs => seconds);
    END IF;
    IF cardinality(entry.recent) >= hourly THEN
        until := greatest(until, entry.recent[1] + interval '1 hour');
    END IF;
    IF until IS NOT NULL THEN
        wait := greatest(ceil(extract(epoch FROM until - moment)), 1);
        noted := entry.noted_at IS NULL OR entry.noted_at <= moment - interval '1 minute';
        entry.noted_at := CASE WHEN noted THEN moment ELSE entry.noted_at END;
    ELSIF hourly IS NOT NULL THEN
        entry.recent := entry.recent || moment;
    END IF;
    UPDATE learnhub.login_failures
    SET failures = entry.failures, since = entry.since, recent = entry.recent, noted_at = entry.noted_at
    WHERE key = wanted;
END
$$;

-- Counts an attempt to log in before the password is verified. `account` NULL: no account has the `name`.
-- `failures` NULL: the throttle is off. `known`: the account has logged in from this network. In an hour at most 50
-- attempts from the known networks of an account and 50 from all others are not rejected; `failures` and
-- `address_failures` are further limits within `seconds` and `address_seconds`. A rejected attempt of an account is
-- not counted for its address. All functions lock rows in the same order: users, 'address', 'user' or 'name',
-- 'known' with a network, 'known'.
CREATE FUNCTION learnhub.claim_login(account bigint, name text, address text, failures integer, seconds integer,
                                     address_failures integer, address_seconds integer, actor bigint,
                                     OUT wait integer, OUT noted boolean, OUT known boolean)
LANGUAGE plpgsql AS $$
DECLARE
    place text := learnhub.client_network(address);
    rule text := 'address';
BEGIN
    known := EXISTS (SELECT FROM learnhub.known_networks k
                     WHERE k.user_id = account AND k.network = place
                       AND k.used_at > now() - interval '90 days');
    IF failures IS NULL THEN
        RETURN;
    END IF;
    SELECT a.wait, a.noted INTO wait, noted
    FROM learnhub.count_attempt('address ' || place, address_seconds, address_failures, NULL) a;
    IF wait IS NULL THEN
        rule := 'account';
        SELECT a.wait, a.noted INTO wait, noted
        FROM learnhub.count_attempt(CASE WHEN known THEN 'known ' || account || ' ' || place
                                         WHEN account IS NULL THEN 'name ' || lower(name)
                                         ELSE 'user ' || account
                                    END, seconds, failures, CASE WHEN known THEN 25 ELSE 50 END) a;
        IF wait IS NULL AND known THEN
            SELECT a.wait, a.noted INTO wait, noted
            FROM learnhub.count_attempt('known ' || account, 3600, NULL, 50) a;
        END IF;
        IF wait IS NOT NULL THEN
            UPDATE learnhub.login_failures f SET failures = f.failures - 1 WHERE f.key = 'address ' || place;
        END IF;
    END IF;
    IF noted THEN
        PERFORM learnhub.record('login_throttled', account, actor, address, rule);
    END IF;
END
$$;

-- After a failed attempt, which claim_login() has counted: adds an entry to the audit log and deletes up to 10 counts
-- that began more than an hour and `expiry` seconds, but at least two hours, ago: no limit needs them any more.
CREATE FUNCTION learnhub.login_failed(account bigint, actor bigint, address text, expiry integer) RETURNS void
LANGUAGE sql VOLATILE AS $$
    DELETE FROM learnhub.login_failures
    WHERE key IN (SELECT key FROM learnhub.login_failures
                  WHERE since < now() - make_interval(secs => greatest(expiry, 3600)) - interval '1 hour'
                  ORDER BY since LIMIT 10
                  FOR UPDATE SKIP LOCKED);

    SELECT learnhub.record('login_failed', account, actor, address);
$$;

-- After a successful attempt: replaces the hash by another one of the same password (`new_hash`; NULL: keeps it),
-- unless the password has changed since, and gives back what claim_login() has counted. The counts of the account
-- since the first failure begin anew; those of the last hour do not. Returns the network if it must be stored as a
-- known one.
CREATE FUNCTION learnhub.login_succeeded(account bigint, address text, was_known boolean, old_hash text, new_hash text)
    RETURNS TABLE (user_id bigint, network text)
LANGUAGE plpgsql AS $$
DECLARE
    place text := learnhub.client_network(address);
    own text := 'known ' || account || ' ' || learnhub.client_network(address);
    hour text := CASE WHEN was_known THEN 'known ' || account ELSE 'user ' || account END;
BEGIN
    IF account IS NULL THEN
        RETURN; -- the request needed no password
    END IF;
    UPDATE learnhub.users u SET rehash = new_hash
    WHERE new_hash IS NOT NULL AND u.id = account AND u.password_hash = old_hash;

    DELETE FROM learnhub.login_failures f WHERE f.key = 'address ' || place AND f.failures <= 1;
    UPDATE learnhub.login_failures f SET failures = f.failures - 1 WHERE f.key = 'address ' || place;

    UPDATE learnhub.login_failures f SET failures = 0 WHERE f.key = 'user ' || account;
    DELETE FROM learnhub.login_failures f WHERE f.key = own;
    UPDATE learnhub.login_failures f SET recent = f.recent[:cardinality(f.recent) - 1] WHERE f.key = hour;
    DELETE FROM learnhub.login_failures f WHERE f.key IN ('user ' || account, hour) AND f.recent = '{}';

    IF NOT EXISTS (SELECT FROM learnhub.users u WHERE u.id = account AND u.is_active)
        OR EXISTS (SELECT FROM learnhub.known_networks k
                   WHERE k.user_id = account AND k.network = place AND k.used_at > now() - interval '1 day') THEN
        RETURN;
    END IF;
    DELETE FROM learnhub.known_networks d USING (
        SELECT k.user_id, k.network FROM learnhub.known_networks k
        WHERE k.user_id = account AND k.network <> place
        ORDER BY k.used_at DESC OFFSET 19
        FOR UPDATE SKIP LOCKED) o
    WHERE d.user_id = o.user_id AND d.network = o.network;
    DELETE FROM learnhub.known_networks d USING (
        SELECT k.user_id, k.network FROM learnhub.known_networks k
        WHERE k.used_at < now() - interval '90 days' AND NOT (k.user_id = account AND k.network = place)
        ORDER BY k.used_at LIMIT 10
        FOR UPDATE SKIP LOCKED) o
    WHERE d.user_id = o.user_id AND d.network = o.network;
    RETURN QUERY SELECT account, place;
END
$$;

-- ---- passwords ----

-- `UPDATE OF password_hash` triggers do not run when only a trigger changes the column, so that a rehash ends neither
-- tokens nor reset links.
ALTER TABLE learnhub.users ADD COLUMN rehash text;
COMMENT ON COLUMN learnhub.users.rehash IS
    'Always NULL: an UPDATE stores the value in password_hash, as another hash of the same password.';

CREATE FUNCTION learnhub.replace_hash() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.password_hash := coalesce(NEW.rehash, NEW.password_hash);
    NEW.rehash := NULL;
    RETURN NEW;
END
$$;

CREATE TRIGGER replace_hash BEFORE UPDATE OF rehash ON learnhub.users
    FOR EACH ROW EXECUTE FUNCTION learnhub.replace_hash();

-- A new password ends the throttling of an account. A deleted account has no known networks.
CREATE FUNCTION learnhub.forget_logins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM learnhub.login_failures WHERE key = 'user ' || NEW.id;
    DELETE FROM learnhub.login_failures
    WHERE key IN (SELECT 'known ' || NEW.id || ' ' || network FROM learnhub.known_networks WHERE user_id = NEW.id);
    DELETE FROM learnhub.login_failures WHERE key = 'known ' || NEW.id;
    IF NEW.deleted_at IS NOT NULL THEN
        DELETE FROM learnhub.known_networks WHERE user_id = NEW.id;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER forget_logins AFTER UPDATE OF password_hash, deleted_at ON learnhub.users
    FOR EACH ROW WHEN (NEW.password_hash <> OLD.password_hash OR NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION learnhub.forget_logins();

-- ---- usernames ----

-- A username with an @ must be the e-mail address of its account, so that nobody can use or reserve the address of
-- another person. A username that is the e-mail address changes with it. Usernames of before stay as they are.
CREATE FUNCTION learnhub.keep_username_own() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF lower(OLD.username) = lower(OLD.email) AND lower(NEW.username) = lower(OLD.username)
            AND (NEW.username = OLD.username OR lower(NEW.email) <> lower(OLD.email)) THEN
            NEW.username := NEW.email;
        END IF;
        IF lower(NEW.username) = lower(OLD.username) THEN
            RETURN NEW;
        END IF;
    END IF;
    IF position('@' IN NEW.username) > 0 AND lower(NEW.username) <> lower(NEW.email) THEN
        RAISE check_violation
            USING MESSAGE = 'a username with an @ must be the e-mail address of the account',
                  CONSTRAINT = 'users_username_own_check';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER keep_username_own BEFORE INSERT OR UPDATE OF username, email ON learnhub.users
    FOR EACH ROW EXECUTE FUNCTION learnhub.keep_username_own();

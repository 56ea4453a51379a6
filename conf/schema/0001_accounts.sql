-- SPDX-License-Identifier: Apache-2.0
-- Accounts: users, login names, tokens and their revocation, failed logins, password resets, profile photos.

CREATE SCHEMA IF NOT EXISTS learnhub;

-- 12-byte ids in the style of ObjectId: 4 bytes of Unix time, 5 bytes specific to this database, 3 bytes of a counter.
-- They sort by creation time. The 5 bytes are drawn when this file is applied and become a constant of the function,
-- which precedes the tables because they use it as a default.
CREATE SEQUENCE learnhub.object_id_seq CYCLE MAXVALUE 16777215;

DO $$
BEGIN
    EXECUTE format(
        'CREATE FUNCTION learnhub.object_id() RETURNS bytea LANGUAGE sql VOLATILE AS $f$
             SELECT substring(int8send(floor(extract(epoch FROM clock_timestamp()))::bigint) FROM 5)
                 || %L::bytea || substring(int4send(nextval(''learnhub.object_id_seq'')::int) FROM 2)
         $f$', substring(uuid_send(gen_random_uuid()) FROM 1 FOR 5));
END
$$;

-- ---- tables ----

-- Deleted accounts keep an anonymous row, because records shared with other users refer to it (see delete_account()).
CREATE TABLE learnhub.users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    object_id bytea NOT NULL DEFAULT learnhub.object_id() UNIQUE CHECK (length(object_id) = 12),
    uuid uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    username text NOT NULL CHECK (username <> ''),
    email text NOT NULL CHECK (email <> ''),
    first_name text NOT NULL DEFAULT '',
    last_name text NOT NULL DEFAULT '',
    role text NOT NULL DEFAULT 'student' CHECK (role IN ('student', 'instructor', 'admin', 'service')),
    is_mentor boolean NOT NULL DEFAULT false,
    is_mentee boolean NOT NULL DEFAULT false,
    is_active boolean NOT NULL DEFAULT true,
    phone_number text,
    profile_photo text,
    password_hash text NOT NULL,
    token_version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    CONSTRAINT users_deleted_check CHECK (deleted_at IS NULL OR NOT is_active)
);
COMMENT ON COLUMN learnhub.users.token_version IS 'Tokens issued with a lower version are invalid.';
CREATE UNIQUE INDEX users_email_key ON learnhub.users (lower(email));
CREATE UNIQUE INDEX users_username_key ON learnhub.users (lower(username));
CREATE INDEX users_mentors_idx ON learnhub.users (id) WHERE is_mentor AND is_active;
CREATE INDEX users_mentees_idx ON learnhub.users (id) WHERE is_mentee AND is_active;

-- The lower-case username and e-mail address of every user. Both can be used to log in, so one user's username cannot
-- be another user's e-mail address.
CREATE TABLE learnhub.login_names (
    name text PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES learnhub.users ON DELETE CASCADE
);
CREATE INDEX login_names_user_id_idx ON learnhub.login_names (user_id);

-- Opaque tokens, stored only as SHA-256 digests.
CREATE TABLE learnhub.tokens (
    digest bytea PRIMARY KEY CHECK (length(digest) = 32),
    user_id bigint NOT NULL REFERENCES learnhub.users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz
);
CREATE INDEX tokens_user_id_idx ON learnhub.tokens (user_id);

-- Changes that every httpd process must apply: a user's current role and token version, or one revoked token (its
-- jti, or the first 16 bytes of its digest). Each process polls for the events that its previous snapshot did not
-- include. Events older than 31 days are deleted; access tokens live 30 days at most.
CREATE TABLE learnhub.auth_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT now(),
    user_id bigint,
    role text,
    version integer,
    token bytea CHECK (length(token) = 16),
    CHECK ((token IS NULL) = (user_id IS NOT NULL AND role IS NOT NULL AND version IS NOT NULL))
);
CREATE INDEX auth_events_xid_idx ON learnhub.auth_events (xid);
CREATE INDEX auth_events_at_idx ON learnhub.auth_events (at);

-- Failed logins: `key` is 'user ID', 'name NAME' for an unknown login name, or 'address ADDRESS' for a client address.
-- UNLOGGED: losing them in a crash is harmless.
CREATE UNLOGGED TABLE learnhub.login_failures (
    key text PRIMARY KEY,
    failures integer NOT NULL,
    since timestamptz NOT NULL
);
CREATE INDEX login_failures_since_idx ON learnhub.login_failures (since);

-- Password reset links, stored only as digests. A request for an unknown address, or beyond the rate limit, stores a
-- row without a user, so that the response time does not reveal whether the account exists.
CREATE TABLE learnhub.password_resets (
    digest bytea PRIMARY KEY CHECK (length(digest) = 32),
    user_id bigint REFERENCES learnhub.users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX password_resets_user_id_idx ON learnhub.password_resets (user_id);
CREATE INDEX password_resets_created_at_idx ON learnhub.password_resets (created_at);

-- Profile photos, at most one per user, readable by anyone who knows the name. A new photo gets a new name, so the
-- content behind a name never changes and can be cached.
CREATE TABLE learnhub.photos (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint NOT NULL UNIQUE REFERENCES learnhub.users ON DELETE CASCADE,
    name text NOT NULL UNIQUE,
    media_type text NOT NULL CHECK (media_type IN ('image/jpeg', 'image/png', 'image/webp', 'image/gif')),
    content bytea NOT NULL CHECK (length(content) > 0),
    created_at timestamptz NOT NULL DEFAULT now()
);
-- Images are already compressed. (CREATE TABLE accepts STORAGE only since PostgreSQL 16.)
ALTER TABLE learnhub.photos ALTER COLUMN content SET STORAGE EXTERNAL;

-- users and photos refer to each other, so this key can only be added after both exist.
ALTER TABLE learnhub.users ADD CONSTRAINT users_profile_photo_fkey FOREIGN KEY (profile_photo)
    REFERENCES learnhub.photos (name) ON UPDATE CASCADE ON DELETE SET NULL;
CREATE INDEX users_profile_photo_idx ON learnhub.users (profile_photo) WHERE profile_photo IS NOT NULL;

-- ---- functions ----

-- Formats times in JSON built by PostgreSQL, in the format of tutoring, mentoring and xp.
CREATE FUNCTION learnhub.iso_seconds(moment timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');

-- Reserves a login name, or raises unique_violation with `rule` as the constraint name if another user has it. The
-- update on conflict changes nothing; it waits for concurrent transactions and returns the holder.
CREATE FUNCTION learnhub.claim_login_name(claimed text, claimant bigint, rule text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    holder bigint;
BEGIN
    INSERT INTO learnhub.login_names AS n (name, user_id) VALUES (lower(claimed), claimant)
    ON CONFLICT (name) DO UPDATE SET user_id = n.user_id
    RETURNING user_id INTO holder;
    IF holder <> claimant THEN
        RAISE unique_violation USING MESSAGE = 'the login name is already in use', CONSTRAINT = rule;
    END IF;
END
$$;

-- Keeps login_names in step with users.username and users.email.
CREATE FUNCTION learnhub.keep_login_names() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM learnhub.login_names
        WHERE user_id = NEW.id AND name NOT IN (lower(NEW.username), lower(NEW.email));
    END IF;
    PERFORM learnhub.claim_login_name(NEW.username, NEW.id, 'users_username_key');
    PERFORM learnhub.claim_login_name(NEW.email, NEW.id, 'users_email_key');
    RETURN NULL;
END
$$;

-- Returns 'users_username_key' and/or 'users_email_key', separated by a space, for the names that are login names of a
-- user other than `except_user`, or '' if there are none. All arguments may be NULL. With it one response can report
-- both names; concurrent claims of one name are decided by the trigger keep_login_names.
CREATE FUNCTION learnhub.taken_names(username text, email text, except_user bigint) RETURNS text LANGUAGE sql STABLE
    RETURN (SELECT concat_ws(' ', CASE WHEN bool_or(n.name = lower(username)) THEN 'users_username_key' END,
                             CASE WHEN bool_or(n.name = lower(email)) THEN 'users_email_key' END)
            FROM learnhub.login_names n
            WHERE n.name IN (lower(username), lower(email)) AND n.user_id IS DISTINCT FROM except_user);

-- Deletes up to 100 old events at each insert.
CREATE FUNCTION learnhub.forget_old_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM learnhub.auth_events WHERE id IN (
        SELECT id FROM learnhub.auth_events WHERE at < now() - interval '31 days' ORDER BY at LIMIT 100
        FOR UPDATE SKIP LOCKED);
    RETURN NULL;
END
$$;

-- Revokes all tokens of a user whose password changes or whose account is deactivated. Adds an event for every change
-- of a role or token version.
CREATE FUNCTION learnhub.end_tokens() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.password_hash <> OLD.password_hash OR (OLD.is_active AND NOT NEW.is_active) THEN
        NEW.token_version := OLD.token_version + 1;
        DELETE FROM learnhub.tokens WHERE user_id = NEW.id;
    END IF;
    IF NEW.token_version <> OLD.token_version OR NEW.role <> OLD.role THEN
        INSERT INTO learnhub.auth_events (user_id, role, version) VALUES (NEW.id, NEW.role, NEW.token_version);
    END IF;
    RETURN NEW;
END
$$;

-- Revokes all tokens of a user whose row is deleted: their versions are below the highest integer.
CREATE FUNCTION learnhub.end_all_tokens() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO learnhub.auth_events (user_id, role, version) VALUES (OLD.id, OLD.role, 2147483647);
    RETURN NULL;
END
$$;

-- A reset link is valid only for the password and the e-mail address it was requested for. Removes the user's links and
-- their unsent mails from the outbox (0002; PL/pgSQL resolves table names when the function runs).
CREATE FUNCTION learnhub.end_resets() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM learnhub.password_resets WHERE user_id = NEW.id;
    DELETE FROM learnhub.outbox
    WHERE user_id = NEW.id AND subject_ref = 'password reset' AND state IN ('waiting', 'sending');
    RETURN NULL;
END
$$;

-- Makes a file name for a photo: 244 random bits and the extension for the media type.
CREATE FUNCTION learnhub.photo_name(media_type text) RETURNS text LANGUAGE sql VOLATILE PARALLEL SAFE
    RETURN replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '') || '.'
        || CASE media_type WHEN 'image/jpeg' THEN 'jpg' ELSE split_part(media_type, '/', 2) END;

-- The URL of a photo, or NULL without a photo. `base` is the server's base URL.
CREATE FUNCTION learnhub.photo_url(base text, photo text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN base || '/myprofile/photos/' || photo;

-- Anonymises and deactivates an account, and deletes its mails and its photo. The triggers on users revoke its tokens
-- and end its mentoring.
CREATE FUNCTION learnhub.delete_account(account bigint) RETURNS void LANGUAGE plpgsql AS $$
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
        DELETE FROM learnhub.outbox WHERE user_id = account;
        DELETE FROM learnhub.photos WHERE user_id = account;
    END IF;
END
$$;

-- For operators only: SELECT learnhub.set_role('ada@example.com', 'admin').
CREATE FUNCTION learnhub.set_role(login text, new_role text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found_email text;
BEGIN
    IF new_role NOT IN ('student', 'instructor', 'admin', 'service') THEN
        RAISE invalid_parameter_value
            USING MESSAGE = format('"%s" is not a role: use student, instructor, admin or service', new_role);
    END IF;
    UPDATE learnhub.users SET role = new_role
    WHERE id = (SELECT user_id FROM learnhub.login_names WHERE name = lower(login))
    RETURNING email INTO found_email;
    IF found_email IS NULL THEN
        RAISE no_data_found USING MESSAGE = format('no user has the e-mail address or username "%s"', login);
    END IF;
    RETURN format('%s is now %s', found_email, new_role);
END
$$;
REVOKE EXECUTE ON FUNCTION learnhub.set_role(text, text) FROM PUBLIC;

-- ---- triggers ----

CREATE TRIGGER keep_login_names AFTER INSERT OR UPDATE OF username, email ON learnhub.users
    FOR EACH ROW EXECUTE FUNCTION learnhub.keep_login_names();

CREATE TRIGGER end_tokens BEFORE UPDATE OF role, is_active, password_hash, token_version ON learnhub.users
    FOR EACH ROW EXECUTE FUNCTION learnhub.end_tokens();

CREATE TRIGGER end_all_tokens AFTER DELETE ON learnhub.users
    FOR EACH ROW EXECUTE FUNCTION learnhub.end_all_tokens();

CREATE TRIGGER end_resets AFTER UPDATE OF password_hash, email, is_active ON learnhub.users
    FOR EACH ROW WHEN (NEW.password_hash <> OLD.password_hash OR NEW.email <> OLD.email OR NOT NEW.is_active)
    EXECUTE FUNCTION learnhub.end_resets();

CREATE TRIGGER forget_old_events AFTER INSERT ON learnhub.auth_events
    FOR EACH STATEMENT EXECUTE FUNCTION learnhub.forget_old_events();

-- SPDX-License-Identifier: Apache-2.0
-- Accounts: one person, three ids, two login names; tokens; what ends them; failed logins.

CREATE SCHEMA IF NOT EXISTS learnhub;

-- ObjectId-style ids: four bytes of time, five that are this database's own, three of a counter. They sort by creation.
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

-- The time format of tutoring, mentoring and xp, for times inside JSON that PostgreSQL makes.
CREATE FUNCTION learnhub.iso_seconds(moment timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');

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
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_email_key ON learnhub.users (lower(email));
CREATE UNIQUE INDEX users_username_key ON learnhub.users (lower(username));
COMMENT ON COLUMN learnhub.users.token_version IS 'Tokens made under a lower one are dead.';

-- What can be typed to log in: both names of a user, and nobody's name is another's e-mail.
CREATE TABLE learnhub.login_names (
    name text PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES learnhub.users ON DELETE CASCADE
);
CREATE INDEX login_names_user_id_idx ON learnhub.login_names (user_id);

CREATE FUNCTION learnhub.claim_login_name(claimed text, claimant bigint, rule text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    holder bigint;
BEGIN
    INSERT INTO learnhub.login_names AS n (name, user_id) VALUES (lower(claimed), claimant)
    ON CONFLICT (name) DO UPDATE SET user_id = n.user_id
    RETURNING user_id INTO holder;
    IF holder <> claimant THEN
        RAISE unique_violation USING MESSAGE = 'the login name is taken', CONSTRAINT = rule;
    END IF;
END
$$;

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
CREATE TRIGGER keep_login_names AFTER INSERT OR UPDATE OF username, email ON learnhub.users
    FOR EACH ROW EXECUTE FUNCTION learnhub.keep_login_names();

-- Opaque tokens; the token itself is nowhere.
CREATE TABLE learnhub.tokens (
    digest bytea PRIMARY KEY CHECK (length(digest) = 32),
    user_id bigint NOT NULL REFERENCES learnhub.users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz
);
CREATE INDEX tokens_user_id_idx ON learnhub.tokens (user_id);

-- What every httpd process has to hear of: a user's present role and version, or one dead token (its jti, or the first
-- 16 bytes of its digest). Access tokens live 30 days at most, and so do the events. A process asks for what
-- its last snapshot did not see.
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

CREATE FUNCTION learnhub.forget_old_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM learnhub.auth_events WHERE id IN (
        SELECT id FROM learnhub.auth_events WHERE at < now() - interval '31 days' ORDER BY at LIMIT 100
        FOR UPDATE SKIP LOCKED);
    RETURN NULL;
END
$$;
CREATE TRIGGER forget_old_events AFTER INSERT ON learnhub.auth_events
    FOR EACH STATEMENT EXECUTE FUNCTION learnhub.forget_old_events();

-- A new password, and the loss of the account, end all tokens.
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
CREATE TRIGGER end_tokens BEFORE UPDATE OF role, is_active, password_hash, token_version ON learnhub.users
    FOR EACH ROW EXECUTE FUNCTION learnhub.end_tokens();

CREATE FUNCTION learnhub.end_all_tokens() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO learnhub.auth_events (user_id, role, version) VALUES (OLD.id, OLD.role, 2147483647);
    RETURN NULL;
END
$$;
CREATE TRIGGER end_all_tokens AFTER DELETE ON learnhub.users
    FOR EACH ROW EXECUTE FUNCTION learnhub.end_all_tokens();

-- Failed logins by name and by address. Losing them in a crash does no harm.
CREATE UNLOGGED TABLE learnhub.login_failures (
    key text PRIMARY KEY,
    failures integer NOT NULL,
    since timestamptz NOT NULL
);
CREATE INDEX login_failures_since_idx ON learnhub.login_failures (since);

-- For operators: SELECT learnhub.set_role('ada@example.com', 'admin').
CREATE FUNCTION learnhub.set_role(login text, new_role text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found_email text;
BEGIN
    IF new_role NOT IN ('student', 'instructor', 'admin', 'service') THEN
        RAISE invalid_parameter_value
            USING MESSAGE = format('"%s" is no role: it is student, instructor, admin or service', new_role);
    END IF;
    UPDATE learnhub.users SET role = new_role
    WHERE id = (SELECT user_id FROM learnhub.login_names WHERE name = lower(login))
    RETURNING email INTO found_email;
    IF found_email IS NULL THEN
        RAISE no_data_found USING MESSAGE = format('nobody has the e-mail address or username "%s"', login);
    END IF;
    RETURN format('%s is now %s', found_email, new_role);
END
$$;
REVOKE EXECUTE ON FUNCTION learnhub.set_role(text, text) FROM PUBLIC;

-- SPDX-License-Identifier: Apache-2.0
-- Mentoring: profiles, availabilities, bookings, whose mails are wanted, and the mails themselves.

CREATE EXTENSION IF NOT EXISTS btree_gist;

-- ---- profiles ----

-- The single skills of what was sent, a text with commas or an array of texts: trimmed, none empty, none twice.
CREATE FUNCTION learnhub.skill_names(sent jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT coalesce(array_agg(name ORDER BY place), '{}')
            FROM (SELECT DISTINCT ON (lower(btrim(piece))) btrim(piece) AS name, place
                  FROM unnest(CASE jsonb_typeof(sent) WHEN 'string' THEN string_to_array(sent #>> '{}', ',')
                              ELSE ARRAY(SELECT jsonb_array_elements_text(sent)) END)
                       WITH ORDINALITY AS pieces (piece, place)
                  WHERE btrim(piece) <> '' ORDER BY lower(btrim(piece)), place) AS single);

CREATE FUNCTION learnhub.skill_keys(sent jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT coalesce(array_agg(lower(name)), '{}') FROM unnest(learnhub.skill_names(sent)) AS name);

CREATE FUNCTION learnhub.longest(words text[]) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT coalesce(max(length(word)), 0) FROM unnest(words) AS word);

-- Creating one makes its owner a mentor; a flag that was cleared hides it and keeps it.
CREATE TABLE learnhub.mentor_profiles (
    user_id bigint PRIMARY KEY REFERENCES learnhub.users,
    about_me text NOT NULL,
    skills jsonb NOT NULL CHECK (jsonb_typeof(skills) IN ('string', 'array')),
    skill_names text[] NOT NULL GENERATED ALWAYS AS (learnhub.skill_names(skills)) STORED,
    skill_keys text[] NOT NULL GENERATED ALWAYS AS (learnhub.skill_keys(skills)) STORED,
    CONSTRAINT mentor_profiles_count_check CHECK (cardinality(skill_keys) <= 50),
    CONSTRAINT mentor_profiles_size_check CHECK (octet_length(skills::text) <= 20000),
    -- An entry of the index below may not exceed a third of a page.
    CONSTRAINT mentor_profiles_length_check CHECK (learnhub.longest(skill_names) <= 100)
);
COMMENT ON COLUMN learnhub.mentor_profiles.skills IS 'As it was sent: a text or an array.';
CREATE INDEX mentor_profiles_skills_idx ON learnhub.mentor_profiles USING gin (skill_keys);

CREATE TABLE learnhub.mentee_profiles (
    user_id bigint PRIMARY KEY REFERENCES learnhub.users,
    team_number integer NOT NULL CHECK (team_number >= 0)
);

CREATE INDEX users_mentors_idx ON learnhub.users (id) WHERE is_mentor AND is_active;
CREATE INDEX users_mentees_idx ON learnhub.users (id) WHERE is_mentee AND is_active;

-- One for each user; who has none has everything off.
CREATE TABLE learnhub.notification_settings (
    user_id bigint PRIMARY KEY REFERENCES learnhub.users,
    session_requested boolean NOT NULL DEFAULT false,
    session_confirmed boolean NOT NULL DEFAULT false,
    session_canceled boolean NOT NULL DEFAULT false,
    fifteen_minute_alert boolean NOT NULL DEFAULT false,
    sixty_minute_alert boolean NOT NULL DEFAULT false
);

-- ---- availabilities and sessions ----

CREATE TABLE learnhub.availabilities (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mentor_id bigint NOT NULL REFERENCES learnhub.users,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    deleted_at timestamptz,
    CONSTRAINT availabilities_order_check CHECK (ends_at > starts_at),
    CONSTRAINT availabilities_overlap_excl EXCLUDE USING gist
        (mentor_id WITH =, tstzrange(starts_at, ends_at) WITH &&) WHERE (deleted_at IS NULL)
);
COMMENT ON COLUMN learnhub.availabilities.deleted_at IS 'Sessions that were booked in it still name it.';
CREATE INDEX availabilities_mentor_idx ON learnhub.availabilities (mentor_id, starts_at) WHERE deleted_at IS NULL;
CREATE INDEX availabilities_starts_at_idx ON learnhub.availabilities (starts_at, id) WHERE deleted_at IS NULL;

CREATE TABLE learnhub.mentoring_sessions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    availability_id bigint NOT NULL REFERENCES learnhub.availabilities,
    mentor_id bigint NOT NULL REFERENCES learnhub.users,
    mentee_id bigint NOT NULL REFERENCES learnhub.users,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL GENERATED ALWAYS AS
        (timezone('UTC', timezone('UTC', starts_at) + make_interval(mins => session_length))) STORED,
    session_length integer NOT NULL CHECK (session_length IN (30, 60)),
    status text NOT NULL DEFAULT 'Pending' CHECK (status IN ('Pending', 'Confirmed', 'Canceled')),
    changed_by bigint REFERENCES learnhub.users,
    meeting_url text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (mentor_id <> mentee_id)
);
COMMENT ON COLUMN learnhub.mentoring_sessions.changed_by IS 'Whoever changed the status: the other one is told.';
CREATE INDEX mentoring_sessions_mentor_idx ON learnhub.mentoring_sessions (mentor_id, starts_at, id);
CREATE INDEX mentoring_sessions_mentee_idx ON learnhub.mentoring_sessions (mentee_id, starts_at, id);
CREATE INDEX mentoring_sessions_availability_idx ON learnhub.mentoring_sessions (availability_id);
CREATE INDEX mentoring_sessions_confirmed_idx ON learnhub.mentoring_sessions (starts_at) WHERE status = 'Confirmed';

-- When people have a session that is not canceled, in either part: one person, one place at a time.
CREATE TABLE learnhub.mentoring_hours (
    session_id bigint NOT NULL REFERENCES learnhub.mentoring_sessions ON DELETE CASCADE,
    user_id bigint NOT NULL REFERENCES learnhub.users,
    during tstzrange NOT NULL,
    PRIMARY KEY (session_id, user_id),
    CONSTRAINT mentoring_hours_overlap_excl EXCLUDE USING gist (user_id WITH =, during WITH &&)
);

-- ---- mails: each to one person, only when that person's own switch is on ----

CREATE FUNCTION learnhub.person_name(who learnhub.users) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN who.deleted_at IS NOT NULL THEN 'somebody who has left'
        ELSE coalesce(nullif(btrim(who.first_name || ' ' || who.last_name), ''), who.username) END;

-- `kind` is the name of the switch.
CREATE FUNCTION learnhub.tell_session(session_id bigint, kind text, person bigint, once text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    session learnhub.mentoring_sessions;
    other learnhub.users;
    subject text;
    news text;
    facts text;
BEGIN
    IF NOT coalesce((SELECT (to_jsonb(s) ->> kind)::boolean FROM learnhub.notification_settings s
                     WHERE s.user_id = person), false) THEN
        RETURN;
    END IF;
    SELECT * INTO session FROM learnhub.mentoring_sessions s WHERE s.id = session_id;
    SELECT * INTO other FROM learnhub.users u
    WHERE u.id = CASE person WHEN session.mentor_id THEN session.mentee_id ELSE session.mentor_id END;
    facts := format(E'  With: %s\n  When: %s UTC (+00:00)\n  Length: %s minutes\n', learnhub.person_name(other),
                    to_char(session.starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), session.session_length);
    IF session.meeting_url IS NOT NULL AND session.status = 'Confirmed' THEN
        facts := facts || format(E'  Where: %s\n', session.meeting_url);
    END IF;
    CASE kind
        WHEN 'session_requested' THEN
            subject := 'A session with you was requested';
            news := 'Somebody would like to have a session with you. Please confirm or cancel it.';
        WHEN 'session_confirmed' THEN
            subject := 'Your session is confirmed';
            news := 'This session will take place.';
        WHEN 'session_canceled' THEN
            subject := 'Your session was canceled';
            news := 'This session will not take place.';
        WHEN 'sixty_minute_alert' THEN
            subject := 'Your session begins within the hour';
            news := 'A reminder, as you asked for one an hour before a session.';
        ELSE
            subject := 'Your session begins in a quarter of an hour';
            news := 'A reminder, as you asked for one a quarter of an hour before a session.';
    END CASE;
    PERFORM learnhub.post_mail(person, subject, news || E'\n\n' || facts, 'session ' || session_id, once,
                               CASE WHEN once IS NOT NULL THEN session.starts_at END, once IS NOT NULL);
END
$$;

-- What follows from a booking and from its end, whichever way it came about.
CREATE FUNCTION learnhub.keep_session() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    person bigint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO learnhub.mentoring_hours (session_id, user_id, during)
        SELECT NEW.id, u, tstzrange(NEW.starts_at, NEW.ends_at)
        FROM unnest(ARRAY[least(NEW.mentor_id, NEW.mentee_id), greatest(NEW.mentor_id, NEW.mentee_id)]) AS u;
        PERFORM learnhub.tell_session(NEW.id, 'session_requested', NEW.mentor_id);
        RETURN NULL;
    END IF;
    IF NEW.status = 'Canceled' THEN
        DELETE FROM learnhub.mentoring_hours WHERE session_id = NEW.id;
        DELETE FROM learnhub.outbox o WHERE o.subject_ref = 'session ' || NEW.id AND o.once IS NOT NULL
            AND o.state IN ('waiting', 'sending');
    END IF;
    FOREACH person IN ARRAY ARRAY[NEW.mentor_id, NEW.mentee_id] LOOP
        IF NEW.status = 'Confirmed' THEN
            PERFORM learnhub.tell_session(NEW.id, 'session_confirmed', person);
        ELSIF NEW.status = 'Canceled' AND person <> NEW.changed_by THEN
            PERFORM learnhub.tell_session(NEW.id, 'session_canceled', person);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
CREATE TRIGGER keep_booking AFTER INSERT ON learnhub.mentoring_sessions
    FOR EACH ROW EXECUTE FUNCTION learnhub.keep_session();
CREATE TRIGGER keep_status AFTER UPDATE OF status ON learnhub.mentoring_sessions
    FOR EACH ROW WHEN (NEW.status <> OLD.status) EXECUTE FUNCTION learnhub.keep_session();

-- Ends one availability of a mentor, or all of them (NULL), and the sessions in it that have not begun. The mentees are
-- told, as it is the mentor's change whoever makes it.
CREATE FUNCTION learnhub.end_availabilities(mentor bigint, single bigint DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE learnhub.availabilities a SET deleted_at = now()
    WHERE a.mentor_id = mentor AND a.deleted_at IS NULL AND (single IS NULL OR a.id = single);
    UPDATE learnhub.mentoring_sessions s SET status = 'Canceled', changed_by = mentor, updated_at = now()
    FROM learnhub.availabilities a
    WHERE a.id = s.availability_id AND a.mentor_id = mentor AND a.deleted_at IS NOT NULL
        AND (single IS NULL OR a.id = single) AND s.status <> 'Canceled' AND s.starts_at > now();
END
$$;

-- Who is deactivated or deleted comes to no session. A deactivated account keeps its availabilities, which nobody sees until
-- it is active again; a deleted one keeps nothing.
CREATE FUNCTION learnhub.end_mentoring() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE learnhub.mentoring_sessions SET status = 'Canceled', changed_by = NEW.id, updated_at = now()
    WHERE (mentor_id = NEW.id OR mentee_id = NEW.id) AND status <> 'Canceled' AND starts_at > now();
    IF NEW.deleted_at IS NOT NULL THEN
        PERFORM learnhub.end_availabilities(NEW.id);
        DELETE FROM learnhub.mentor_profiles WHERE user_id = NEW.id;
        DELETE FROM learnhub.mentee_profiles WHERE user_id = NEW.id;
        DELETE FROM learnhub.notification_settings WHERE user_id = NEW.id;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER end_mentoring AFTER UPDATE OF is_active, deleted_at ON learnhub.users
    FOR EACH ROW WHEN (OLD.is_active AND NOT NEW.is_active OR OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION learnhub.end_mentoring();

-- Posts the reminders that are due: from 60 and from 15 minutes before a confirmed session on, but the first one not any
-- more when it is the second one's time. Several nodes run this at once: a reminder's key is taken once. The lock keeps a
-- session from being canceled unseen.
CREATE OR REPLACE FUNCTION learnhub.post_reminders() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    due record;
    posted integer := 0;
BEGIN
    FOR due IN
        SELECT s.id, p.person, k.switch, format('%s session %s user %s', k.switch, s.id, p.person) AS key
        FROM learnhub.mentoring_sessions s
        CROSS JOIN LATERAL (VALUES (s.mentor_id), (s.mentee_id)) AS p (person)
        JOIN learnhub.notification_settings n ON n.user_id = p.person
        CROSS JOIN LATERAL (SELECT CASE WHEN s.starts_at > now() + interval '15 minutes' THEN 'sixty_minute_alert'
                                        ELSE 'fifteen_minute_alert' END AS switch) k
        WHERE s.status = 'Confirmed' AND s.starts_at > now() AND s.starts_at <= now() + interval '60 minutes'
            AND CASE k.switch WHEN 'sixty_minute_alert' THEN n.sixty_minute_alert ELSE n.fifteen_minute_alert END
            AND NOT EXISTS (SELECT FROM learnhub.outbox o
                            WHERE o.once = format('%s session %s user %s', k.switch, s.id, p.person))
        ORDER BY s.starts_at, s.id, p.person
        FOR SHARE OF s SKIP LOCKED
    LOOP
        PERFORM learnhub.tell_session(due.id, due.switch, due.person, due.key);
        posted := posted + 1;
    END LOOP;
    RETURN posted;
END
$$;

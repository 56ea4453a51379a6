-- SPDX-License-Identifier: Apache-2.0
-- Mentoring: profiles, notification settings, availabilities, sessions, and the mails about them.

CREATE EXTENSION IF NOT EXISTS btree_gist;

-- ---- functions for generated columns and constraints ----

-- The skills in a comma-separated string or an array of strings: trimmed, without empty ones, and without duplicates,
-- ignoring case. The first spelling is kept.
CREATE FUNCTION learnhub.skill_names(sent jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT coalesce(array_agg(name ORDER BY place), '{}')
            FROM (SELECT DISTINCT ON (lower(btrim(piece))) btrim(piece) AS name, place
                  FROM unnest(CASE jsonb_typeof(sent) WHEN 'string' THEN string_to_array(sent #>> '{}', ',')
                              ELSE ARRAY(SELECT jsonb_array_elements_text(sent)) END)
                       WITH ORDINALITY AS pieces (piece, place)
                  WHERE btrim(piece) <> '' ORDER BY lower(btrim(piece)), place) AS single);

-- The same skills in lower case, for searching.
CREATE FUNCTION learnhub.skill_keys(sent jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT coalesce(array_agg(lower(name)), '{}') FROM unnest(learnhub.skill_names(sent)) AS name);

-- The length in characters of the longest string.
CREATE FUNCTION learnhub.longest(words text[]) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT coalesce(max(length(word)), 0) FROM unnest(words) AS word);

-- ---- tables ----

-- Creating a profile makes the user a mentor. Clearing users.is_mentor hides the profile but keeps it.
CREATE TABLE learnhub.mentor_profiles (
    user_id bigint PRIMARY KEY REFERENCES learnhub.users,
    about_me text NOT NULL,
    skills jsonb NOT NULL CHECK (jsonb_typeof(skills) IN ('string', 'array')),
    skill_names text[] NOT NULL GENERATED ALWAYS AS (learnhub.skill_names(skills)) STORED,
    skill_keys text[] NOT NULL GENERATED ALWAYS AS (learnhub.skill_keys(skills)) STORED,
    CONSTRAINT mentor_profiles_count_check CHECK (cardinality(skill_keys) <= 50),
    CONSTRAINT mentor_profiles_size_check CHECK (octet_length(skills::text) <= 20000),
    -- An entry of a GIN index cannot exceed a third of a page.
    CONSTRAINT mentor_profiles_length_check CHECK (learnhub.longest(skill_names) <= 100)
);
COMMENT ON COLUMN learnhub.mentor_profiles.skills IS 'As sent by the client: a string or an array.';
CREATE INDEX mentor_profiles_skills_idx ON learnhub.mentor_profiles USING gin (skill_keys);

CREATE TABLE learnhub.mentee_profiles (
    user_id bigint PRIMARY KEY REFERENCES learnhub.users,
    team_number integer NOT NULL CHECK (team_number >= 0)
);

-- The mails that a user wants; users without a row get none.
CREATE TABLE learnhub.notification_settings (
    user_id bigint PRIMARY KEY REFERENCES learnhub.users,
    session_requested boolean NOT NULL DEFAULT false,
    session_confirmed boolean NOT NULL DEFAULT false,
    session_canceled boolean NOT NULL DEFAULT false,
    fifteen_minute_alert boolean NOT NULL DEFAULT false,
    sixty_minute_alert boolean NOT NULL DEFAULT false
);

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
COMMENT ON COLUMN learnhub.availabilities.deleted_at IS
    'Deleted availabilities are kept because sessions refer to them.';
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
COMMENT ON COLUMN learnhub.mentoring_sessions.changed_by IS
    'The participant who changed the status; a cancellation is mailed to the other one.';
CREATE INDEX mentoring_sessions_mentor_idx ON learnhub.mentoring_sessions (mentor_id, starts_at, id);
CREATE INDEX mentoring_sessions_mentee_idx ON learnhub.mentoring_sessions (mentee_id, starts_at, id);
CREATE INDEX mentoring_sessions_availability_idx ON learnhub.mentoring_sessions (availability_id);
CREATE INDEX mentoring_sessions_confirmed_idx ON learnhub.mentoring_sessions (starts_at) WHERE status = 'Confirmed';

-- The hours of sessions that are not canceled, one row per participant. The exclusion constraint prevents overlapping
-- sessions of a user, as mentor or as mentee.
CREATE TABLE learnhub.mentoring_hours (
    session_id bigint NOT NULL REFERENCES learnhub.mentoring_sessions ON DELETE CASCADE,
    user_id bigint NOT NULL REFERENCES learnhub.users,
    during tstzrange NOT NULL,
    PRIMARY KEY (session_id, user_id),
    CONSTRAINT mentoring_hours_overlap_excl EXCLUDE USING gist (user_id WITH =, during WITH &&)
);

-- ---- functions ----

-- A user's name in mails.
CREATE FUNCTION learnhub.person_name(who learnhub.users) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN who.deleted_at IS NOT NULL THEN 'a former user'
        ELSE coalesce(nullif(btrim(who.first_name || ' ' || who.last_name), ''), who.username) END;

-- Queues a mail about a session to one participant, if the participant's notification setting `kind` is on. Reminders
-- pass a key in `once`: they are sent at most once, and not after the session has started.
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
            subject := 'New session request';
            news := 'A mentee has requested a session with you. Please confirm or cancel it.';
        WHEN 'session_confirmed' THEN
            subject := 'Your session is confirmed';
            news := 'This session has been confirmed.';
        WHEN 'session_canceled' THEN
            subject := 'Your session was canceled';
            news := 'This session has been canceled.';
        WHEN 'sixty_minute_alert' THEN
            subject := 'Your session starts within 60 minutes';
            news := 'You receive this reminder because your 60-minute alert is on.';
        ELSE
            subject := 'Your session starts within 15 minutes';
            news := 'You receive this reminder because your 15-minute alert is on.';
    END CASE;
    PERFORM learnhub.post_mail(person, subject, news || E'\n\n' || facts, 'session ' || session_id, once,
                               CASE WHEN once IS NOT NULL THEN session.starts_at END, once IS NOT NULL);
END
$$;

-- Maintains mentoring_hours and queues the mails when a session is booked, confirmed or canceled. The hours are
-- inserted in user order: in another order, concurrent bookings could deadlock in the exclusion constraint.
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

-- Deletes one availability of a mentor, or all if `single` is NULL, and cancels the sessions in it that have not
-- started. The change always counts as the mentor's, so that the mentees are notified.
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

-- Cancels the future sessions of a user who is deactivated or deleted. A deactivated user keeps availabilities, which
-- are hidden until the account is active again; a deleted user loses them, the profiles and the settings.
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

-- Queues the reminders that are due and returns their number. The 60-minute reminder is queued between 60 and 15
-- minutes before a confirmed session, the 15-minute reminder in the last 15 minutes. Several nodes may run this at
-- once: the unique key in outbox.once prevents duplicates. The row lock prevents a concurrent cancellation; sessions
-- that are locked by another transaction are skipped until the next run.
CREATE FUNCTION learnhub.post_reminders() RETURNS integer LANGUAGE plpgsql AS $$
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

-- ---- triggers ----

CREATE TRIGGER keep_booking AFTER INSERT ON learnhub.mentoring_sessions
    FOR EACH ROW EXECUTE FUNCTION learnhub.keep_session();

CREATE TRIGGER keep_status AFTER UPDATE OF status ON learnhub.mentoring_sessions
    FOR EACH ROW WHEN (NEW.status <> OLD.status) EXECUTE FUNCTION learnhub.keep_session();

CREATE TRIGGER end_mentoring AFTER UPDATE OF is_active, deleted_at ON learnhub.users
    FOR EACH ROW WHEN (OLD.is_active AND NOT NEW.is_active OR OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION learnhub.end_mentoring();

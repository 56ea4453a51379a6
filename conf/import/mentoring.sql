-- SPDX-License-Identifier: Apache-2.0
-- Mentoring: profiles, notification settings, availabilities, sessions.

INSERT INTO kinds (kind, target, key, models) VALUES
    ('mentors', 'learnhub.mentor_profiles', 'user', '{mentor}'),
    ('mentees', 'learnhub.mentee_profiles', 'user', '{mentee}'),
    ('notification_settings', 'learnhub.notification_settings', 'user', '{notificationsettings,notificationsetting}'),
    ('availabilities', 'learnhub.availabilities', 'number', '{availability}'),
    ('sessions', 'learnhub.mentoring_sessions', 'number', '{session}');

INSERT INTO columns (kind, name, type, required, low, high, words, fallback, aliases, lenient) VALUES
    ('mentors', 'id', 'id', true, NULL, NULL, NULL, NULL, '{pk,user,user_id}', false),
    ('mentors', 'user_id', 'of users', true, NULL, NULL, NULL, NULL, '{user,pk,id}', false),
    ('mentors', 'about_me', 'text', false, 0, 10000, NULL, '''''', '{}', false),
    ('mentors', 'skills', 'skills', false, NULL, NULL, NULL, '''""''', '{}', false),
    ('mentors', 'team_number', 'number', false, 0, 2147483647, NULL, NULL, '{}', true),

    ('mentees', 'id', 'id', true, NULL, NULL, NULL, NULL, '{pk,user,user_id}', false),
    ('mentees', 'user_id', 'of users', true, NULL, NULL, NULL, NULL, '{user,pk,id}', false),
    ('mentees', 'team_number', 'number', false, 0, 2147483647, NULL, '0', '{}', false),

    ('notification_settings', 'id', 'id', true, NULL, NULL, NULL, NULL, '{pk,user,user_id}', false),
    ('notification_settings', 'user_id', 'of users', true, NULL, NULL, NULL, NULL, '{user,pk,id}', false),
    ('notification_settings', 'session_requested', 'boolean', false, NULL, NULL, NULL, 'false', '{}', false),
    ('notification_settings', 'session_confirmed', 'boolean', false, NULL, NULL, NULL, 'false', '{}', false),
    ('notification_settings', 'session_canceled', 'boolean', false, NULL, NULL, NULL, 'false', '{}', false),
    ('notification_settings', 'fifteen_minute_alert', 'boolean', false, NULL, NULL, NULL, 'false', '{}', false),
    ('notification_settings', 'sixty_minute_alert', 'boolean', false, NULL, NULL, NULL, 'false', '{}', false),

    ('availabilities', 'id', 'id', true, NULL, NULL, NULL, NULL, '{pk}', false),
    ('availabilities', 'mentor', 'of mentors', true, NULL, NULL, NULL, NULL, '{mentor_id}', false),
    ('availabilities', 'start_time', 'time', true, NULL, NULL, NULL, NULL, '{}', false),
    ('availabilities', 'end_time', 'time', true, NULL, NULL, NULL, NULL, '{}', false),

    ('sessions', 'id', 'id', true, NULL, NULL, NULL, NULL, '{pk}', false),
    ('sessions', 'mentor_availability', 'of availabilities', true, NULL, NULL, NULL, NULL,
     '{mentor_availability_id}', false),
    ('sessions', 'mentor', 'of mentors', false, NULL, NULL, NULL, NULL, '{mentor_id}', false),
    ('sessions', 'mentee', 'of mentees', true, NULL, NULL, NULL, NULL, '{mentee_id}', false),
    ('sessions', 'start_time', 'time', true, NULL, NULL, NULL, NULL, '{}', false),
    ('sessions', 'session_length', 'number', true, 30, 60, NULL, NULL, '{}', false),
    ('sessions', 'status', 'word', false, NULL, NULL, '{pending,confirmed,canceled,cancelled}', '''pending''', '{}',
     false),
    ('sessions', 'created_at', 'time', false, NULL, NULL, NULL, NULL, '{}', false);

-- ---- profiles and settings: one for each user; the flag of the user follows ----

CREATE FUNCTION pg_temp.reject_second(target text, reason text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.reject_repeated('user_id', 'user_id', reason);
    PERFORM pg_temp.reject(format('EXISTS (SELECT FROM %s t WHERE t.user_id = r.user_id::bigint)', target), 'user_id',
                           reason);
END
$$;

CREATE FUNCTION pg_temp.check_mentors() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.reject('cardinality(learnhub.skill_keys(r.skills)) > 50', 'skills',
                           'This may have at most 50 skills.');
    PERFORM pg_temp.reject('learnhub.longest(learnhub.skill_names(r.skills)) > 100', 'skills',
                           'A skill may have at most 100 characters.');
    PERFORM pg_temp.reject('octet_length(r.skills::text) > 20000', 'skills', 'This may have at most 20000 bytes.');
    PERFORM pg_temp.reject_second('learnhub.mentor_profiles', 'The account has a profile of a mentor already.');
END
$$;

CREATE FUNCTION pg_temp.load_mentors(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    added text[];
BEGIN
    WITH inserted AS (
        INSERT INTO learnhub.mentor_profiles (user_id, about_me, skills, team_number)
        SELECT r.user_id::bigint, r.about_me, r.skills, r.team_number
        FROM accepted a JOIN parsed r USING (line)
        WHERE a.n BETWEEN first AND last
        ON CONFLICT DO NOTHING
        RETURNING user_id),
    flagged AS (
        UPDATE learnhub.users u SET is_mentor = true FROM inserted i WHERE u.id = i.user_id AND NOT u.is_mentor)
    SELECT coalesce(array_agg(user_id::text), '{}') INTO added FROM inserted;
    PERFORM pg_temp.settle('mentoring/mentors', first, last, added, 'user_id',
                           'The account has a profile of a mentor already.');
END
$$;

CREATE FUNCTION pg_temp.check_mentees() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.reject_second('learnhub.mentee_profiles', 'The account has a profile of a mentee already.');
END
$$;

CREATE FUNCTION pg_temp.load_mentees(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    added text[];
BEGIN
    WITH inserted AS (
        INSERT INTO learnhub.mentee_profiles (user_id, team_number)
        SELECT r.user_id::bigint, r.team_number
        FROM accepted a JOIN parsed r USING (line)
        WHERE a.n BETWEEN first AND last
        ON CONFLICT DO NOTHING
        RETURNING user_id),
    flagged AS (
        UPDATE learnhub.users u SET is_mentee = true FROM inserted i WHERE u.id = i.user_id AND NOT u.is_mentee)
    SELECT coalesce(array_agg(user_id::text), '{}') INTO added FROM inserted;
    PERFORM pg_temp.settle('mentoring/mentees', first, last, added, 'user_id',
                           'The account has a profile of a mentee already.');
END
$$;

CREATE FUNCTION pg_temp.check_notification_settings() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.reject_second('learnhub.notification_settings', 'The account has settings already.');
END
$$;

CREATE FUNCTION pg_temp.load_notification_settings(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    added text[];
BEGIN
    WITH inserted AS (
        INSERT INTO learnhub.notification_settings (user_id, session_requested, session_confirmed, session_canceled,
                                                    fifteen_minute_alert, sixty_minute_alert)
        SELECT r.user_id::bigint, r.session_requested, r.session_confirmed, r.session_canceled, r.fifteen_minute_alert,
               r.sixty_minute_alert
        FROM accepted a JOIN parsed r USING (line)
        WHERE a.n BETWEEN first AND last
        ON CONFLICT DO NOTHING
        RETURNING user_id)
    SELECT coalesce(array_agg(user_id::text), '{}') INTO added FROM inserted;
    PERFORM pg_temp.settle('mentoring/notification_settings', first, last, added, 'user_id',
                           'The account has settings already.');
END
$$;

-- ---- availabilities ----

-- Availabilities of a mentor cannot overlap. One that has ended is shown nowhere, so that one which overlaps is stored
-- as deleted, because sessions refer to it. Of those that have not ended a mentor may have 500.
CREATE FUNCTION pg_temp.check_availabilities() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.reject('r.end_time <= r.start_time', 'end_time', 'The end must be after the start.');
    PERFORM pg_temp.reject_deleted('mentor');
    PERFORM pg_temp.reject(
        'EXISTS (SELECT FROM (SELECT line, mentor, row_number() OVER (PARTITION BY mentor ORDER BY line) AS place '
        'FROM parsed WHERE end_time > now()) d WHERE d.line = r.line AND d.place > 500 - (SELECT count(*) '
        'FROM learnhub.availabilities v WHERE v.mentor_id = d.mentor::bigint AND v.deleted_at IS NULL '
        'AND v.ends_at > now()))',
        'mentor', 'A mentor may have 500 availabilities that have not ended.');
END
$$;

CREATE FUNCTION pg_temp.load_availabilities(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    added text[];
BEGIN
    WITH given AS (
        SELECT a.n, a.new_id::bigint AS id, r.mentor::bigint AS mentor, date_trunc('second', r.start_time) AS starts_at,
               date_trunc('second', r.end_time) AS ends_at
        FROM accepted a JOIN parsed r USING (line)
        WHERE a.n BETWEEN first AND last),
    inserted AS (
        INSERT INTO learnhub.availabilities (id, mentor_id, starts_at, ends_at)
        OVERRIDING SYSTEM VALUE
        SELECT id, mentor, starts_at, ends_at FROM given WHERE ends_at > starts_at ORDER BY n
        ON CONFLICT DO NOTHING
        RETURNING id),
    hidden AS (
        INSERT INTO learnhub.availabilities (id, mentor_id, starts_at, ends_at, deleted_at)
        OVERRIDING SYSTEM VALUE
        SELECT g.id, g.mentor, g.starts_at, g.ends_at, g.ends_at
        FROM given g LEFT JOIN inserted i USING (id)
        WHERE i.id IS NULL AND g.ends_at <= now() AND g.ends_at > g.starts_at
        ON CONFLICT DO NOTHING
        RETURNING id)
    SELECT coalesce(array_agg(id::text), '{}') INTO added
    FROM (SELECT id FROM inserted UNION ALL SELECT id FROM hidden) s;
    PERFORM pg_temp.settle('mentoring/availabilities', first, last, added, 'start_time',
                           'The mentor has another availability at this time.');
END
$$;

-- ---- sessions ----

CREATE FUNCTION pg_temp.check_sessions() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.reject('r.session_length NOT IN (30, 60)', 'session_length', 'This must be 30 or 60.');
    UPDATE parsed r SET mentor = v.mentor_id
    FROM learnhub.availabilities v WHERE v.id = r.mentor_availability::bigint AND r.mentor IS NULL;
    PERFORM pg_temp.reject('NOT EXISTS (SELECT FROM learnhub.availabilities v '
                           'WHERE v.id = r.mentor_availability::bigint AND v.mentor_id = r.mentor::bigint)',
                           'mentor_availability', 'This availability is not one of this mentor.');
    PERFORM pg_temp.reject('r.mentor = r.mentee', 'mentee', 'Mentor and mentee are the same account.');
    PERFORM pg_temp.reject_deleted('mentor');
    PERFORM pg_temp.reject_deleted('mentee');
END
$$;

-- The trigger keep_booking would book the hours of canceled sessions too, and queue mails. Without it, the hours are
-- booked here. A session whose hours overlap those of an earlier line or of another session is rejected.
CREATE FUNCTION pg_temp.load_sessions(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    added text[];
BEGIN
    ALTER TABLE learnhub.mentoring_sessions DISABLE TRIGGER keep_booking;
    DROP TABLE IF EXISTS batch;
    CREATE TEMP TABLE batch AS
    SELECT a.n, a.new_id::bigint AS id, r.mentor_availability::bigint AS availability_id, r.mentor::bigint AS mentor_id,
           r.mentee::bigint AS mentee_id, date_trunc('second', r.start_time) AS starts_at,
           r.session_length::int AS session_length,
           initcap(CASE r.status WHEN 'cancelled' THEN 'canceled' ELSE r.status END) AS status,
           coalesce(r.created_at, least(date_trunc('second', r.start_time), now() - interval '1 day')) AS created_at
    FROM accepted a JOIN parsed r USING (line)
    WHERE a.n BETWEEN first AND last;
    PERFORM pg_temp.reject_overlaps();
    WITH inserted AS (
        INSERT INTO learnhub.mentoring_sessions (id, availability_id, mentor_id, mentee_id, starts_at, session_length,
                                                 status, created_at, updated_at)
        OVERRIDING SYSTEM VALUE
        SELECT id, availability_id, mentor_id, mentee_id, starts_at, session_length, status, created_at, created_at
        FROM batch ORDER BY n
        RETURNING id)
    SELECT coalesce(array_agg(id::text), '{}') INTO added FROM inserted;
    INSERT INTO learnhub.mentoring_hours (session_id, user_id, during)
    SELECT b.id, p.id, tstzrange(b.starts_at, b.starts_at + make_interval(mins => b.session_length))
    FROM batch b, LATERAL (VALUES (b.mentor_id), (b.mentee_id)) AS p (id)
    WHERE b.status <> 'Canceled'
    ORDER BY p.id, b.starts_at;
    ALTER TABLE learnhub.mentoring_sessions ENABLE TRIGGER keep_booking;
    PERFORM pg_temp.settle('mentoring/sessions', first, last, added, 'start_time',
                           'The mentor or the mentee has another session at this time.');
END
$$;

-- Removes from `batch` the sessions that overlap a stored one, and, in the order of the file, those that overlap one
-- that remains. Only sessions that overlap any other of the batch are looked at one by one.
CREATE FUNCTION pg_temp.reject_overlaps() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    suspect record;
BEGIN
    DROP TABLE IF EXISTS hours;
    CREATE TEMP TABLE hours AS
    SELECT b.n, p.id AS user_id, tstzrange(b.starts_at, b.starts_at + make_interval(mins => b.session_length)) AS during
    FROM batch b, LATERAL (VALUES (b.mentor_id), (b.mentee_id)) AS p (id)
    WHERE b.status <> 'Canceled';
    WITH taken AS (
        DELETE FROM hours h
        WHERE EXISTS (SELECT FROM learnhub.mentoring_hours m WHERE m.user_id = h.user_id AND m.during && h.during)
        RETURNING h.n)
    DELETE FROM batch b USING taken t WHERE b.n = t.n;
    DELETE FROM hours h WHERE NOT EXISTS (SELECT FROM batch b WHERE b.n = h.n);
    CREATE INDEX ON hours (user_id, during);
    CREATE INDEX ON hours (n);
    ANALYZE hours;
    FOR suspect IN
        SELECT DISTINCT s.n
        FROM (SELECT h.n, lower(h.during) < max(upper(h.during)) OVER before
                     OR upper(h.during) > lead(lower(h.during)) OVER by_start AS overlaps
              FROM hours h
              WINDOW by_start AS (PARTITION BY h.user_id ORDER BY lower(h.during), h.n),
                     before AS (by_start ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) s
        WHERE s.overlaps ORDER BY s.n
    LOOP
        IF EXISTS (SELECT FROM hours h JOIN hours o ON o.user_id = h.user_id AND o.during && h.during AND o.n < h.n
                   WHERE h.n = suspect.n) THEN
            DELETE FROM hours WHERE n = suspect.n;
            DELETE FROM batch WHERE n = suspect.n;
        END IF;
    END LOOP;
END
$$;

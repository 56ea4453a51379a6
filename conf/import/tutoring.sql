-- SPDX-License-Identifier: Apache-2.0
-- Tutoring: sessions and their participants.

INSERT INTO kinds (kind, target, key, ordering, models) VALUES
    ('sessions', 'learnhub.tutoring_sessions', 'number', 'line', '{session,tutoringsession}'),
    ('participants', 'learnhub.tutoring_participants', 'number', 'session::bigint, line',
     '{participant,sessionparticipant}');

INSERT INTO columns (kind, name, type, required, low, high, words, fallback, aliases, lenient) VALUES
    ('sessions', 'id', 'id', true, NULL, NULL, NULL, NULL, '{pk}', false),
    ('sessions', 'title', 'line', true, 1, 200, NULL, NULL, '{}', false),
    ('sessions', 'description', 'text', false, 0, 10000, NULL, '''''', '{}', false),
    ('sessions', 'date', 'time', true, NULL, NULL, NULL, NULL, '{}', false),
    ('sessions', 'max_participants', 'number', true, 2, 20, NULL, NULL, '{}', false),
    ('sessions', 'creator', 'of users', true, NULL, NULL, NULL, NULL, '{creator_id,creator.id}', false),
    ('sessions', 'status', 'word', false, NULL, NULL, '{upcoming,ongoing,completed,cancelled}', '''upcoming''', '{}',
     false),
    ('sessions', 'created_at', 'time', false, NULL, NULL, NULL, 'now()', '{}', false),
    ('sessions', 'updated_at', 'time', false, NULL, NULL, NULL, NULL, '{}', false),

    ('participants', 'id', 'id', true, NULL, NULL, NULL, NULL, '{pk}', false),
    ('participants', 'session', 'of sessions', true, NULL, NULL, NULL, NULL, '{session_id}', false),
    ('participants', 'user', 'of users', true, NULL, NULL, NULL, NULL, '{user_id}', false),
    ('participants', 'role', 'word', false, NULL, NULL, '{student,tutor}', NULL, '{}', false),
    ('participants', 'joined_at', 'time', false, NULL, NULL, NULL, 'now()', '{}', false);

CREATE FUNCTION pg_temp.check_sessions() RETURNS void LANGUAGE sql AS '';

CREATE FUNCTION pg_temp.load_sessions(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    added text[];
BEGIN
    WITH inserted AS (
        INSERT INTO learnhub.tutoring_sessions (id, title, description, starts_at, max_participants, creator_id, status,
                                                created_at, updated_at)
        OVERRIDING SYSTEM VALUE
        SELECT a.new_id::bigint, r.title, r.description, r.date, r.max_participants, r.creator::bigint, r.status,
               r.created_at, coalesce(r.updated_at, r.created_at)
        FROM accepted a JOIN parsed r USING (line)
        WHERE a.n BETWEEN first AND last
        ORDER BY a.n
        ON CONFLICT DO NOTHING
        RETURNING id::text)
    SELECT coalesce(array_agg(id), '{}') INTO added FROM inserted;
    PERFORM pg_temp.settle('tutoring/sessions', first, last, added, 'id', 'The id is taken.');
END
$$;

-- Seats are given in the order of the file.
CREATE FUNCTION pg_temp.check_participants() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.reject_repeated('session, "user"', 'user',
                                    'The user is a participant of this session in an earlier line.');
    PERFORM pg_temp.reject(
        'EXISTS (SELECT FROM learnhub.tutoring_participants p '
        'WHERE p.session_id = r.session::bigint AND p.user_id = r."user"::bigint)', 'user',
        'The user is a participant of this session already.');
    PERFORM pg_temp.reject('NOT EXISTS (SELECT FROM learnhub.tutoring_sessions s WHERE s.id = r.session::bigint)',
                           'session', 'The session has been deleted.');
    PERFORM pg_temp.reject(
        'EXISTS (SELECT FROM (SELECT line, session, row_number() OVER (PARTITION BY session ORDER BY line) AS place '
        'FROM parsed) d JOIN learnhub.tutoring_sessions s ON s.id = d.session::bigint '
        'WHERE d.line = r.line AND d.place > s.max_participants - s.participant_count)', 'session',
        'The session is full.');
END
$$;

CREATE FUNCTION pg_temp.load_participants(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    added text[];
BEGIN
    -- Nobody else joins or leaves these sessions until the end of the transaction.
    PERFORM FROM learnhub.tutoring_sessions s
    WHERE s.id IN (SELECT r.session::bigint FROM accepted a JOIN parsed r USING (line) WHERE a.n BETWEEN first AND last)
    ORDER BY s.id FOR NO KEY UPDATE;
    WITH inserted AS (
        INSERT INTO learnhub.tutoring_participants (id, session_id, user_id, role, joined_at)
        OVERRIDING SYSTEM VALUE
        SELECT a.new_id::bigint, s.id, u.id,
               coalesce(r.role, CASE u.role WHEN 'instructor' THEN 'tutor' ELSE 'student' END), r.joined_at
        FROM accepted a JOIN parsed r USING (line)
        JOIN learnhub.users u ON u.id = r."user"::bigint
        JOIN (SELECT p.line, row_number() OVER (PARTITION BY p.session ORDER BY a.n) AS place
              FROM accepted a JOIN parsed p USING (line) WHERE a.n BETWEEN first AND last) seat USING (line)
        JOIN learnhub.tutoring_sessions s
            ON s.id = r.session::bigint AND seat.place <= s.max_participants - s.participant_count
        WHERE a.n BETWEEN first AND last
        ORDER BY a.n
        ON CONFLICT DO NOTHING
        RETURNING id, session_id),
    counted AS (
        UPDATE learnhub.tutoring_sessions s SET participant_count = s.participant_count + i.number
        FROM (SELECT session_id, count(*) AS number FROM inserted GROUP BY session_id) i WHERE s.id = i.session_id)
    SELECT coalesce(array_agg(id::text), '{}') INTO added FROM inserted;
    PERFORM pg_temp.settle('tutoring/participants', first, last, added, 'session',
                           'The session is full, or the user is a participant already.');
END
$$;

-- SPDX-License-Identifier: Apache-2.0
-- Practice: problems, sessions with drawings and chats, submissions.

INSERT INTO kinds (kind, target, key) VALUES
    ('problems', 'learnhub.problems', 'object'),
    ('sessions', 'learnhub.practice_sessions', 'object'),
    ('submissions', 'learnhub.submissions', 'object');

INSERT INTO columns (kind, name, type, required, low, high, words, fallback, aliases, lenient) VALUES
    ('problems', 'id', 'id', true, NULL, NULL, NULL, NULL, '{_id}', false),
    ('problems', 'title', 'line', true, 1, 200, NULL, NULL, '{}', false),
    ('problems', 'description', 'text', true, 1, 65536, NULL, NULL, '{}', false),
    ('problems', 'difficulty', 'word', true, NULL, NULL, '{easy,medium,hard}', NULL, '{}', false),
    ('problems', 'categories', 'strings', false, NULL, NULL, NULL, '''[]''', '{}', false),
    ('problems', 'estimated_time', 'line', false, 1, 50, NULL, '''30 mins''', '{}', false),
    ('problems', 'requirements', 'strings', false, NULL, NULL, NULL, '''[]''', '{}', false),
    ('problems', 'constraints', 'strings', false, NULL, NULL, NULL, '''[]''', '{}', false),
    ('problems', 'hints', 'strings', false, NULL, NULL, NULL, '''[]''', '{}', false),
    ('problems', 'created_by', 'of users', true, NULL, NULL, NULL, NULL, '{}', false),
    ('problems', 'created_at', 'time', false, NULL, NULL, NULL, 'now()', '{}', false),
    ('problems', 'updated_at', 'time', false, NULL, NULL, NULL, NULL, '{}', false),

    ('sessions', 'id', 'id', true, NULL, NULL, NULL, NULL, '{_id}', false),
    ('sessions', 'user_id', 'of users', true, NULL, NULL, NULL, NULL, '{}', false),
    ('sessions', 'problem_id', 'object id', true, NULL, NULL, NULL, NULL, '{}', false),
    ('sessions', 'status', 'word', false, NULL, NULL, '{active,paused,submitted,abandoned}', '''active''', '{}', false),
    ('sessions', 'time_spent', 'number', false, 0, 999999999999, NULL, '0', '{}', false),
    ('sessions', 'diagram_data', 'drawing', false, NULL, NULL, NULL, '''{}''', '{}', false),
    ('sessions', 'chat_messages', 'chat', false, NULL, NULL, '{"YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\""}', '''[]''', '{}',
     false),
    ('sessions', 'last_saved_at', 'time', false, NULL, NULL, NULL, NULL, '{}', false),
    ('sessions', 'started_at', 'time', false, NULL, NULL, NULL, NULL, '{}', false),
    ('sessions', 'ended_at', 'time', false, NULL, NULL, NULL, NULL, '{}', false),
    ('sessions', 'created_at', 'time', false, NULL, NULL, NULL, NULL, '{}', false),
    ('sessions', 'updated_at', 'time', false, NULL, NULL, NULL, NULL, '{}', false),

    ('submissions', 'id', 'id', true, NULL, NULL, NULL, NULL, '{_id}', false),
    ('submissions', 'user_id', 'of users', true, NULL, NULL, NULL, NULL, '{}', false),
    ('submissions', 'problem_id', 'object id', true, NULL, NULL, NULL, NULL, '{}', false),
    ('submissions', 'session_id', 'of sessions', false, NULL, NULL, NULL, NULL, '{}', false),
    ('submissions', 'status', 'word', false, NULL, NULL, '{in-progress,completed}', '''in-progress''', '{}', false),
    ('submissions', 'score', 'number', false, 0, 100, NULL, '0', '{}', false),
    ('submissions', 'time_spent', 'number', false, 0, 999999999999, NULL, '0', '{}', false),
    ('submissions', 'diagram_data', 'drawing', false, NULL, NULL, NULL, '''{}''', '{}', false),
    ('submissions', 'strengths', 'strings', false, NULL, NULL, NULL, '''[]''', '{feedback.strengths}', false),
    ('submissions', 'improvements', 'strings', false, NULL, NULL, NULL, '''[]''', '{feedback.improvements}', false),
    ('submissions', 'missing_components', 'strings', false, NULL, NULL, NULL, '''[]''', '{feedback.missing_components}',
     false),
    ('submissions', 'chat_messages', 'chat', false, NULL, NULL, '{"YYYY-MM-DD\"T\"HH24:MI:SS"}', '''[]''', '{}', false),
    ('submissions', 'submitted_at', 'time', false, NULL, NULL, NULL, 'now()', '{created_at}', false),
    ('submissions', 'updated_at', 'time', false, NULL, NULL, NULL, NULL, '{}', false);

CREATE FUNCTION pg_temp.check_problems() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.reject(
        'octet_length(r.title) + octet_length(r.description) + octet_length(r.categories::text) '
        '+ octet_length(r.requirements::text) + octet_length(r.constraints::text) + octet_length(r.hints::text) '
        '> 65536',
        'description', 'A problem may have at most 65536 bytes in all.');
END
$$;

CREATE FUNCTION pg_temp.load_problems(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    added text[];
BEGIN
    WITH inserted AS (
        INSERT INTO learnhub.problems (id, title, description, difficulty, categories, estimated_time, requirements,
                                       constraints, hints, created_by, created_at, updated_at)
        SELECT decode(a.new_id, 'hex'), r.title, r.description, r.difficulty, r.categories, r.estimated_time,
               r.requirements, r.constraints, r.hints, r.created_by::bigint, r.created_at,
               coalesce(r.updated_at, r.created_at)
        FROM accepted a JOIN parsed r USING (line)
        WHERE a.n BETWEEN first AND last
        ORDER BY a.n
        ON CONFLICT DO NOTHING
        RETURNING encode(id, 'hex') AS id)
    SELECT coalesce(array_agg(id), '{}') INTO added FROM inserted;
    PERFORM pg_temp.settle('practice/problems', first, last, added, 'id', 'The id is taken.');
END
$$;

-- Problems that were deleted are not exported; sessions and submissions for them keep their id.
CREATE FUNCTION pg_temp.rename_problems() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE parsed p SET problem_id = i.id
    FROM learnhub_import.ids i
    WHERE i.kind = 'practice/problems' AND i.original = p.problem_id AND i.id <> p.problem_id;
END
$$;

CREATE FUNCTION pg_temp.check_sessions() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.rename_problems();
    PERFORM pg_temp.reject_repeated('user_id, problem_id', 'status',
                                    'The user has another open session for this problem in an earlier line.',
                                    'status IN (''active'', ''paused'')');
END
$$;

CREATE FUNCTION pg_temp.load_sessions(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    added text[];
BEGIN
    WITH times AS (
        SELECT a.new_id, a.n, r.*, coalesce(r.created_at, r.started_at, now()) AS created,
               coalesce(r.updated_at, r.last_saved_at, r.created_at, r.started_at, now()) AS updated
        FROM accepted a JOIN parsed r USING (line)
        WHERE a.n BETWEEN first AND last),
    inserted AS (
        INSERT INTO learnhub.practice_sessions (id, user_id, problem_id, status, time_spent, diagram_hash,
            diagram_fingerprint, diagram_data, chat_messages, last_saved_at, started_at, ended_at, created_at,
            updated_at)
        SELECT decode(t.new_id, 'hex'), t.user_id::bigint, decode(t.problem_id, 'hex'), t.status, t.time_spent,
               pg_temp.drawing_hash(t.diagram_data), sha256(convert_to(t.diagram_data::text, 'UTF8')), t.diagram_data,
               t.chat_messages, coalesce(t.last_saved_at, t.updated), coalesce(t.started_at, t.created),
               CASE WHEN t.status IN ('submitted', 'abandoned') THEN coalesce(t.ended_at, t.updated) END, t.created,
               t.updated
        FROM times t
        ORDER BY t.n
        ON CONFLICT DO NOTHING
        RETURNING encode(id, 'hex') AS id)
    SELECT coalesce(array_agg(id), '{}') INTO added FROM inserted;
    PERFORM pg_temp.settle('practice/sessions', first, last, added, 'status',
                           'The user has an open session for this problem already.');
END
$$;

CREATE FUNCTION pg_temp.check_submissions() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.rename_problems();
    PERFORM pg_temp.reject('EXISTS (SELECT FROM learnhub.practice_sessions s '
                           'WHERE s.id = decode(r.session_id, ''hex'') AND s.user_id <> r.user_id::bigint)',
                           'session_id', 'This is a session of another user.');
END
$$;

CREATE FUNCTION pg_temp.load_submissions(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    added text[];
BEGIN
    WITH inserted AS (
        INSERT INTO learnhub.submissions (id, user_id, problem_id, session_id, status, score, time_spent, diagram_data,
            strengths, improvements, missing_components, chat_messages, submitted_at, updated_at)
        SELECT decode(a.new_id, 'hex'), r.user_id::bigint, decode(r.problem_id, 'hex'), decode(r.session_id, 'hex'),
               r.status, r.score, r.time_spent, r.diagram_data, r.strengths, r.improvements, r.missing_components,
               r.chat_messages, r.submitted_at, coalesce(r.updated_at, r.submitted_at)
        FROM accepted a JOIN parsed r USING (line)
        WHERE a.n BETWEEN first AND last
        ORDER BY a.n
        ON CONFLICT DO NOTHING
        RETURNING encode(id, 'hex') AS id)
    SELECT coalesce(array_agg(id), '{}') INTO added FROM inserted;
    PERFORM pg_temp.settle('practice/submissions', first, last, added, 'session_id',
                           'The session has a submission already.');
END
$$;

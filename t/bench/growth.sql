-- SPDX-License-Identifier: Apache-2.0
-- The data of t/bench/growth: the blocks after :from up to :to. A block has 10,000 users, 20,000 tutoring sessions,
-- 100,000 participants, 10,000 problems and 5,000 rows of most other tables. Times are spread over two years in every
-- block. What one user has does not depend on the number of blocks: every 20th user has 40 tutoring sessions, 20
-- problems and 10 rows of the other tables, every user has joined 10 sessions, every 100th is a mentor.
--
-- Run by a superuser. Foreign keys and row triggers are not executed, except for tables whose rows are counted.
SET session_replication_role = replica;
SET maintenance_work_mem = '256MB';
SET work_mem = '64MB';
DROP INDEX learnhub.problems_search_idx;

-- A moment of the last two years, different for each n and row of a block.
CREATE FUNCTION pg_temp.moment(n bigint) RETURNS timestamptz LANGUAGE sql STABLE
    RETURN date_trunc('milliseconds', now() - interval '730 days' * (n * 0.6180339887498949 - floor(n * 0.6180339887498949)));

CREATE FUNCTION pg_temp.object_id(n bigint) RETURNS bytea LANGUAGE sql IMMUTABLE
    RETURN substring(sha256(int8send(n)) FROM 1 FOR 12);

INSERT INTO learnhub.users (id, username, email, first_name, last_name, role, is_mentor, password_hash, created_at)
    OVERRIDING SYSTEM VALUE
SELECT n, 'user' || n, 'user' || n || '@example.com', 'First' || n, 'Last' || n,
       CASE WHEN n % 20 = 0 THEN 'instructor' ELSE 'student' END, n % 100 = 0, '!', pg_temp.moment(n)
FROM generate_series(:from * 10000 + 1, :to * 10000) n;
SELECT setval(pg_get_serial_sequence('learnhub.users', 'id'), :to * 10000);

INSERT INTO learnhub.login_names (name, user_id)
SELECT name, id FROM learnhub.users, LATERAL (VALUES (lower(username)), (lower(email))) names (name)
WHERE id > :from * 10000;

INSERT INTO learnhub.logins (id, user_id, version, is_opaque, created_at, ends_at)
SELECT md5(id::text)::uuid, id, 1, true, created_at, now() + interval '1 day'
FROM learnhub.users
WHERE id > :from * 10000;
INSERT INTO learnhub.tokens (digest, user_id, login_id)
SELECT sha256(int8send(id)), id, md5(id::text)::uuid FROM learnhub.users WHERE id > :from * 10000;

-- A node has read all events except those of the newest transactions.
INSERT INTO learnhub.auth_events (user_id, role, version, at)
SELECT id, role, 1, now() - interval '30 days' * random() FROM learnhub.users WHERE id > :from * 10000;

INSERT INTO learnhub.login_failures (key, failures, since)
SELECT 'user ' || id, 1, now() - interval '1 hour' * random() FROM learnhub.users
WHERE id > :from * 10000 AND id % 10 = 0;

-- ---- tutoring ----

SET session_replication_role = origin;

INSERT INTO learnhub.tutoring_sessions (id, title, description, starts_at, max_participants, participant_count,
                                        creator_id, status, created_at, updated_at) OVERRIDING SYSTEM VALUE
SELECT n, 'Session ' || n, rpad('', 160, 'What the participants of session ' || n || ' learn together. '),
       at + interval '7 days', 10, 5, 20 * ((n - 1) / 40 + 1),
       (ARRAY['upcoming', 'completed', 'completed', 'completed', 'cancelled'])[1 + n % 5], at, at
FROM generate_series(:from * 20000 + 1, :to * 20000) n, LATERAL (SELECT pg_temp.moment(n) AS at) moment;
SELECT setval(pg_get_serial_sequence('learnhub.tutoring_sessions', 'id'), :to * 20000);

-- Of the problems, 50 match the search for "zebrafish", and 500 have the category "rare", however many there are.
INSERT INTO learnhub.problems (id, title, description, difficulty, categories, created_by, created_at, updated_at)
SELECT pg_temp.object_id(n), 'Design system ' || n, 'Describe the parts of system ' || n || ' and how they work together.'
           || CASE WHEN n <= 50 THEN ' Zebrafish.' ELSE '' END,
       (ARRAY['easy', 'medium', 'hard'])[1 + n % 3],
       jsonb_build_array('storage', CASE WHEN n <= 500 THEN 'rare' ELSE 'caching' END),
       20 * ((n - 1) / 20 + 1), at, at
FROM generate_series(:from * 10000 + 1, :to * 10000) n, LATERAL (SELECT pg_temp.moment(n) AS at) moment;

SET session_replication_role = replica;

INSERT INTO learnhub.tutoring_participants (session_id, user_id, role, joined_at)
SELECT s, (s - 1) / 20000 * 10000 + 1 + (s * 5 + seat) % 10000 * 7919 % 10000, 'student', now()
FROM generate_series(:from * 20000 + 1, :to * 20000) s, generate_series(1, 5) seat;

-- ---- practice, coding, xp ----

INSERT INTO learnhub.practice_sessions (id, user_id, problem_id, status, ended_at, created_at)
SELECT pg_temp.object_id(n), 20 * ((n - 1) / 10 + 1), pg_temp.object_id(n), 'submitted', at, at
FROM generate_series(:from * 5000 + 1, :to * 5000) n, LATERAL (SELECT pg_temp.moment(n) AS at) moment;

INSERT INTO learnhub.submissions (id, user_id, problem_id, session_id, status, submitted_at)
SELECT id, user_id, problem_id, id, 'completed', created_at FROM learnhub.practice_sessions
WHERE user_id > :from * 10000;

INSERT INTO learnhub.coding_sessions (user_id, seconds, source, status, created_at)
SELECT 20 * ((n - 1) / 10 + 1), 3600, 'manual', CASE WHEN n % 2 = 0 THEN 'unlocked' ELSE 'locked' END,
       pg_temp.moment(n)
FROM generate_series(:from * 5000 + 1, :to * 5000) n;

INSERT INTO learnhub.coding_profiles (user_id, unlocked_credits)
SELECT 20 * n, 50 + n % 100 FROM generate_series(:from * 500 + 1, :to * 500) n;

INSERT INTO learnhub.eco_activities (user_id, kind, seconds, description, status, point_parts, verified_at)
SELECT 20 * ((n - 1) / 10 + 1), 'walking', 3600, 'A walk.', 'verified', 28800, now()
FROM generate_series(:from * 5000 + 1, :to * 5000) n;

INSERT INTO learnhub.credit_spendings (user_id, amount, reason)
SELECT 20 * ((n - 1) / 10 + 1), 1, 'A sticker' FROM generate_series(:from * 5000 + 1, :to * 5000) n;

INSERT INTO learnhub.goals (id, user_id, title, emoji, category_name, category_color, days_total, created_at)
SELECT md5('goal ' || n)::uuid, 20 * ((n - 1) / 10 + 1), 'Goal ' || n, '*', 'Learning', '#000000', 10,
       pg_temp.moment(n)
FROM generate_series(:from * 5000 + 1, :to * 5000) n;

INSERT INTO learnhub.xp_sessions (id, user_id, goal_id, activity_id, status, started_at, ended_at, xp_total, created_at)
SELECT 'xp-' || n, 20 * ((n - 1) / 10 + 1), md5('goal ' || (n - 1) / 10 * 10 + 1)::uuid,
       (SELECT id FROM learnhub.activities ORDER BY name LIMIT 1), 'completed', at, at, 10, at
FROM generate_series(:from * 5000 + 1, :to * 5000) n, LATERAL (SELECT pg_temp.moment(n) AS at) moment;

-- ---- mentoring and mails ----

INSERT INTO learnhub.mentor_profiles (user_id, about_me, skills)
SELECT 100 * n, 'I help.', jsonb_build_array('skill ' || n / 10) FROM generate_series(:from * 100 + 1, :to * 100) n;

INSERT INTO learnhub.notification_settings (user_id, sixty_minute_alert, fifteen_minute_alert)
SELECT n, true, true FROM generate_series(:from * 10000 + 1, :to * 10000) n;

INSERT INTO learnhub.availabilities (id, mentor_id, starts_at, ends_at) OVERRIDING SYSTEM VALUE
SELECT n, 100 * ((n - 1) / 10 + 1), starts, starts + interval '1 hour'
FROM generate_series(:from * 1000 + 1, :to * 1000) n,
     LATERAL (SELECT now() - interval '70 days' * (n % 10) - interval '2 days' AS starts) moment;

-- Of the sessions, 20 start in the next hour, however many there are.
INSERT INTO learnhub.mentoring_sessions (availability_id, mentor_id, mentee_id, starts_at, session_length, status)
SELECT n, 100 * ((n - 1) / 10 + 1), 100 * ((n - 1) / 10 + 1) - 1 - n % 10,
       CASE WHEN n <= 20 THEN now() + n * interval '2 minutes' ELSE pg_temp.moment(n) - interval '1 day' END, 60,
       'Confirmed'
FROM generate_series(:from * 1000 + 1, :to * 1000) n;

-- Of the mails, 20 are due, however many there are.
INSERT INTO learnhub.outbox (user_id, to_address, subject, body, state, attempts, sent_at, created_at, due_at)
SELECT 1 + (n - 1) % (:to * 10000), 'user@example.com', 'A mail', 'A mail.', CASE WHEN n <= 20 THEN 'waiting' ELSE 'sent' END, 0,
       CASE WHEN n > 20 THEN now() END, at, at
FROM generate_series(:from * 20000 + 1, :to * 20000) n, LATERAL (SELECT pg_temp.moment(n) AS at) moment;

SET session_replication_role = origin;
CREATE INDEX problems_search_idx ON learnhub.problems USING gin (title gin_trgm_ops, description gin_trgm_ops);
ALTER INDEX learnhub.problems_search_idx OWNER TO learnhub_owner;

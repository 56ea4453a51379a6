-- SPDX-License-Identifier: Apache-2.0
-- The data of the benchmark. psql sets :diagram, a diagram of 8 KB as compact JSON with sorted keys.
-- Users 1 to 500 are instructors. No user has a password: the benchmark signs their tokens itself.
SELECT setseed(0.5);

INSERT INTO learnhub.users (username, email, first_name, last_name, role, password_hash)
SELECT 'user' || n, 'user' || n || '@example.com', 'First' || n, 'Last' || n,
       CASE WHEN n <= 500 THEN 'instructor' ELSE 'student' END, '!'
FROM generate_series(1, 10000) n
ORDER BY n;

-- The response for a problem has about 1.2 KB.
INSERT INTO learnhub.problems (title, description, difficulty, categories, requirements, constraints, hints, created_by,
                               created_at, updated_at)
SELECT 'Design system ' || n, rpad('', 745, 'Describe the parts of system ' || n || ' and how they work together. '),
       (ARRAY['easy', 'medium', 'hard'])[1 + n % 3], '["storage", "caching"]',
       '["Users read a page in less than 200 ms", "Writes are never lost"]',
       '["At most 1,000,000 users", "One region"]', '["Begin with the data", "Estimate the load"]',
       1 + n % 500, at, at
FROM generate_series(1, 10000) n, LATERAL (SELECT now() - n * interval '1 minute' AS at) moment;

INSERT INTO learnhub.tutoring_sessions (title, description, starts_at, max_participants, participant_count, creator_id,
                                        status, created_at, updated_at)
SELECT 'Session ' || n, rpad('', 160, 'What the participants of session ' || n || ' learn together. '),
       now() + (n % 400 + 1) * interval '1 day', 10 + n % 11, n % 11, 1 + n % 500,
       CASE WHEN n % 20 = 0 THEN 'completed' ELSE 'upcoming' END, at, at
FROM generate_series(1, 20000) n, LATERAL (SELECT now() - (20001 - n) * interval '20 minutes' AS at) moment
ORDER BY n;

INSERT INTO learnhub.tutoring_participants (session_id, user_id, role, joined_at)
SELECT s.id, 501 + (s.id * 31 + seat * 577) % 9000, 'student', s.created_at
FROM learnhub.tutoring_sessions s, generate_series(1, s.participant_count) seat;

INSERT INTO learnhub.practice_sessions (user_id, problem_id, diagram_data, diagram_hash, diagram_fingerprint)
SELECT n, p.id, :'diagram', md5(:'diagram'), sha256(convert_to(:'diagram', 'UTF8'))
FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM learnhub.problems) p
WHERE n <= 5000;

-- SPDX-License-Identifier: Apache-2.0
-- Data for t/69-upgrade.t: each section is loaded after the migration that it names, so that it fits the schema of that
-- version. Every table gets rows. The users have the password "learn together".

-- ---- 0001

INSERT INTO learnhub.users (username, email, first_name, last_name, password_hash, phone_number, is_mentor, is_mentee)
SELECT name, name || '@example.org', initcap(name), 'Example',
       '$2y$10$q5J1npyj6WwV6KPJ15w2VuCkQGqNhhu7TV2JtVx.SFDnBOppmYA9i', phone, name = 'grace', name = 'amara'
FROM (VALUES ('grace', '+4930123456'), ('amara', NULL), ('ravi', NULL), ('lena', NULL), ('gone', NULL)) u (name, phone);
SELECT learnhub.set_role('grace@example.org', 'instructor');
SELECT learnhub.set_role('ravi@example.org', 'instructor');
SELECT learnhub.set_role('ravi@example.org', 'admin');
INSERT INTO learnhub.auth_events (token) VALUES (decode(md5('a token'), 'hex'));
INSERT INTO learnhub.login_failures (key, failures, since)
VALUES ('user 2', 3, now()), ('name nobody@example.org', 1, now()), ('address 192.0.2.1', 4, now());
INSERT INTO learnhub.password_resets (digest, user_id) VALUES (sha256('reset'), 2), (sha256('nobody'), NULL);
INSERT INTO learnhub.photos (user_id, name, media_type, content)
VALUES (1, repeat('a', 61) || '.png', 'image/png', '\x89504e470d0a1a0a');
UPDATE learnhub.users SET profile_photo = repeat('a', 61) || '.png' WHERE id = 1;

-- Opaque tokens, which 0017 gives a login.

INSERT INTO learnhub.tokens (digest, user_id, expires_at)
VALUES (sha256(repeat('5a', 20)::bytea), 2, NULL), (sha256('expiring'), 3, now() + interval '30 days');

-- ---- 0002

INSERT INTO learnhub.outbox (user_id, to_address, subject, body, state, attempts, sent_at, subject_ref, last_error)
VALUES (1, 'grace@example.org', 'Sent', 'A text', 'sent', 1, now(), 'session 1', NULL),
       (2, 'amara@example.org', 'Waiting', 'Another text', 'waiting', 0, NULL, NULL, NULL),
       (3, 'ravi@example.org', 'Failed', 'No text', 'failed', 10, NULL, NULL, '550 no such user');

SELECT learnhub.delete_account(id) FROM learnhub.users WHERE username = 'gone';

-- ---- 0003

INSERT INTO learnhub.tutoring_sessions (title, description, starts_at, max_participants, participant_count, creator_id,
                                        status, created_at)
SELECT 'Session ' || n, 'About ' || n, now() + n * interval '1 day', 4, 1, 1,
       (ARRAY['upcoming', 'completed', 'cancelled'])[n % 3 + 1], now() - n * interval '1 day'
FROM generate_series(1, 30) n;
INSERT INTO learnhub.tutoring_participants (session_id, user_id, role)
SELECT id, 2, 'student' FROM learnhub.tutoring_sessions;

-- ---- 0004

INSERT INTO learnhub.problems (title, description, difficulty, categories, hints, created_by, created_at)
SELECT 'Problem ' || n, 'Design number ' || n, (ARRAY['easy', 'medium', 'hard'])[n % 3 + 1], '["Cache", "Queue"]', '["h"]',
       3, now() - n * interval '1 hour'
FROM generate_series(1, 20) n;
INSERT INTO learnhub.practice_sessions (user_id, problem_id, status, time_spent, diagram_data, chat_messages, ended_at)
SELECT 2, id, status, 60, '{"elements": [1, 2]}', '[{"text": "hello"}]',
       CASE WHEN status = 'submitted' THEN now() END
FROM (SELECT id, (ARRAY['active', 'submitted'])[row_number() OVER (ORDER BY title)] AS status FROM learnhub.problems
      LIMIT 2) p;
INSERT INTO learnhub.submissions (user_id, problem_id, session_id, status, score, diagram_data, strengths)
SELECT user_id, problem_id, id, 'completed', 80, diagram_data, '["clear"]'
FROM learnhub.practice_sessions WHERE status = 'submitted';

-- ---- 0005

INSERT INTO learnhub.mentor_profiles (user_id, about_me, skills) VALUES (1, 'I teach', '["SQL", "C"]'), (3, 'I', '"Perl"');
INSERT INTO learnhub.mentee_profiles (user_id, team_number) VALUES (2, 7);
INSERT INTO learnhub.notification_settings (user_id, session_requested, sixty_minute_alert)
VALUES (1, true, false), (2, true, true);
INSERT INTO learnhub.availabilities (mentor_id, starts_at, ends_at)
SELECT 1, date_trunc('hour', now()) + n * interval '1 day', date_trunc('hour', now()) + n * interval '1 day 2 hours'
FROM generate_series(1, 3) n;
INSERT INTO learnhub.mentoring_sessions (availability_id, mentor_id, mentee_id, starts_at, session_length)
SELECT id, 1, 2, starts_at, 30 FROM learnhub.availabilities;
UPDATE learnhub.mentoring_sessions SET status = 'Confirmed', changed_by = 1 WHERE id = 1;
UPDATE learnhub.mentoring_sessions SET status = 'Canceled', changed_by = 2 WHERE id = 2;

-- ---- 0006

INSERT INTO learnhub.coding_sessions (user_id, session_name, seconds, source, status)
VALUES (2, 'one', 3600, 'manual', 'unlocked'), (2, 'two', 1800, 'github', 'locked'), (3, '', 7200, 'manual', 'unlocked');
INSERT INTO learnhub.eco_activities (user_id, kind, seconds, description, status, point_parts, verified_at)
VALUES (2, 'hiking', 3600, 'Up and down', 'verified', 43200, now()), (2, 'other', 60, 'Short', 'pending', 600, NULL);
INSERT INTO learnhub.credit_spendings (user_id, amount, reason) VALUES (2, 3, 'A tree');

-- ---- 0007

INSERT INTO learnhub.activities (id, name, emoji, category, color, rates)
VALUES (md5('own')::uuid, 'Own activity', '🏃', 'Fitness', '#112233', (0.9, 0.1, 0.1, 0.1, 0.1)),
       (md5('plain')::uuid, 'Reading novels', '📖', 'Learning', '#445566', NULL);
INSERT INTO learnhub.goals (id, user_id, title, emoji, category_name, category_color, days_total, status)
VALUES (md5('goal')::uuid, 2, 'Run', '🏃', 'Fitness', '#aabbcc', 30, 'paused');
INSERT INTO learnhub.xp_sessions (id, user_id, goal_id, activity_id, status, started_at, ended_at, xp_total, xp_energy,
                                  total_duration_seconds)
VALUES ('done', 2, md5('goal')::uuid, md5('own')::uuid, 'completed', now() - interval '1 hour', now(), 120, 20, 3600),
       ('open', 2, md5('goal')::uuid, NULL, 'active', now(), NULL, 0, 0, NULL);
INSERT INTO learnhub.rates_kept (activity_id, goal_id, question, rates)
VALUES (md5('own')::uuid, md5('goal')::uuid, 'q', (0.5, 0.5, 0.5, 0.5, 0.5));

-- ---- 0009

UPDATE learnhub.users SET requested_role = 'instructor' WHERE username = 'lena';

-- ---- 0010

INSERT INTO learnhub.activity_photos (activity_id, user_id, name, media_type, content)
VALUES (1, 2, 'activity.gif', 'image/gif', '\x474946383961');
INSERT INTO learnhub.rewards (name, cost, category, stock) VALUES ('Bag', 3, 'merchandise', 5);
INSERT INTO learnhub.redemptions (user_id, reward_id, spending_id) VALUES (2, 1, 1);
UPDATE learnhub.coding_profiles SET github_username = 'amara' WHERE user_id = 2;

-- ---- 0011

INSERT INTO learnhub.evaluations (user_id, question, submitting, evaluation) VALUES (2, 'asked', false, '{"score": 7}');
SELECT learnhub.model_turn(2, 'question');

-- ---- 0012

UPDATE learnhub.mentor_profiles SET team_number = 4 WHERE user_id = 1;
UPDATE learnhub.goals SET description = 'Every day', finish_by = '2030-01-01';

-- ---- 0016

SELECT learnhub.record('role_changed', 1, 3, '192.0.2.7', 'student instructor');

-- ---- 0017

INSERT INTO learnhub.logins (user_id, version, address, user_agent, ends_at)
SELECT id, token_version, '192.0.2.9', 'Browser', now() + interval '7 days' FROM learnhub.users WHERE id = 3;

-- ---- 0018

INSERT INTO learnhub.known_networks (user_id, network) VALUES (2, '192.0.2.9');

-- ---- 0019

UPDATE learnhub.users SET email_verified_at = now() WHERE id = 1;
INSERT INTO learnhub.email_confirmations (user_id, digest, address) VALUES (2, sha256('link'), 'new@example.org');
INSERT INTO learnhub.mail_requests (kind, address, network) VALUES ('reset', 'amara@example.org', '192.0.2.9');

-- ---- 0020

SELECT learnhub.delete_account(id) FROM learnhub.users WHERE username = 'lena';

-- ---- 0022

INSERT INTO learnhub.idempotency_keys (id, user_id, route, digest, status, too_long, expires_at)
VALUES (sha256('key'), 2, 'problems.create', sha256('request'), 201, false, now() + interval '1 day');
INSERT INTO learnhub.idempotency_claims (id, owner, ends_at) VALUES (sha256('claim'), 'x', now() + interval '1 minute');

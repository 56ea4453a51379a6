-- SPDX-License-Identifier: Apache-2.0
-- Demo data: people, sessions and goals that make the APIs worth looking at. Everybody's password is "learn together", so
-- nobody is an admin. The addresses are of example.org, which nobody can own.

INSERT INTO learnhub.users (username, email, first_name, last_name, role, password_hash)
SELECT split_part(email, '@', 1), email, first_name, last_name, role,
       '$2y$10$q5J1npyj6WwV6KPJ15w2VuCkQGqNhhu7TV2JtVx.SFDnBOppmYA9i'
FROM (VALUES ('grace@example.org', 'Grace', 'Moreau', 'instructor'),
             ('tomas@example.org', 'Tomás', 'Rivera', 'instructor'),
             ('yuki@example.org', 'Yuki', 'Tanaka', 'instructor'),
             ('amara@example.org', 'Amara', 'Okafor', 'student'),
             ('lena@example.org', 'Lena', 'Fischer', 'student'),
             ('ravi@example.org', 'Ravi', 'Nair', 'student'),
             ('sofia@example.org', 'Sofia', 'Lindqvist', 'student'),
             ('malik@example.org', 'Malik', 'Haddad', 'student'))
     AS people (email, first_name, last_name, role);

INSERT INTO learnhub.tutoring_sessions (title, description, starts_at, max_participants, creator_id, status, created_at,
                                        updated_at)
SELECT s.title, s.description, date_trunc('hour', now()) + s.starts_in, s.seats, u.id, s.status,
       now() - s.age, now() - s.age
FROM (VALUES
    ('tomas', 'Recursion without fear', 'From stack frames to tail calls, with a sheet of small puzzles to take home.',
     interval '3 days', 6, 'upcoming', interval '9 days'),
    ('tomas', 'Reading a query plan', 'Bring a slow query. We read its plan together and make it fast.',
     interval '5 days', 4, 'upcoming', interval '8 days'),
    ('yuki', 'Linear algebra for graphics', 'Vectors, matrices and the projections behind every game you have played.',
     interval '8 days', 12, 'upcoming', interval '7 days'),
    ('yuki', 'Git, when it went wrong', 'Lost commits, detached heads and bad merges, and the way out of each.',
     interval '1 day', 2, 'upcoming', interval '6 days'),
    ('tomas', 'Regular expressions by hand', 'What the engine does with your pattern, and which patterns never end.',
     interval '-1 hour', 8, 'ongoing', interval '5 days'),
    ('yuki', 'Big-O in plain words', 'How the work grows with the input, on examples from everyday code.',
     interval '-6 days', 10, 'completed', interval '20 days'),
    ('tomas', 'Sockets from scratch', 'A chat server in an afternoon.',
     interval '2 days', 5, 'cancelled', interval '4 days'),
    ('grace', 'Office hour', 'Questions about the platform, open to everybody.',
     interval '14 days', 20, 'upcoming', interval '1 day'))
     AS s (creator, title, description, starts_in, seats, status, age)
JOIN learnhub.users u ON u.username = s.creator
ORDER BY s.age DESC;

INSERT INTO learnhub.tutoring_participants (session_id, user_id, role, joined_at)
SELECT s.id, u.id, CASE u.role WHEN 'instructor' THEN 'tutor' ELSE 'student' END, s.created_at + p.after
FROM (VALUES ('Recursion without fear', 'amara', interval '2 hours'),
             ('Recursion without fear', 'ravi', interval '5 hours'),
             ('Recursion without fear', 'yuki', interval '1 day'),
             ('Reading a query plan', 'lena', interval '3 hours'),
             ('Linear algebra for graphics', 'sofia', interval '1 hour'),
             ('Linear algebra for graphics', 'malik', interval '4 hours'),
             ('Git, when it went wrong', 'amara', interval '20 minutes'),
             ('Git, when it went wrong', 'lena', interval '50 minutes'),
             ('Regular expressions by hand', 'ravi', interval '2 hours'),
             ('Big-O in plain words', 'amara', interval '1 day'),
             ('Big-O in plain words', 'malik', interval '2 days'))
     AS p (title, username, after)
JOIN learnhub.tutoring_sessions s ON s.title = p.title
JOIN learnhub.users u ON u.username = p.username
ORDER BY s.created_at + p.after;

UPDATE learnhub.tutoring_sessions s
SET participant_count = (SELECT count(*) FROM learnhub.tutoring_participants p WHERE p.session_id = s.id);

INSERT INTO learnhub.goals (user_id, title, emoji, category_name, category_color, days_total, created_at)
SELECT u.id, g.title, g.emoji, g.category, g.color, g.days, now() - interval '10 days'
FROM (VALUES ('amara', 'Drawing Mandalorian', '🎨', 'Drawing', '#4187a2', 30),
             ('amara', 'Run ten kilometres', '🏃', 'Fitness', '#d9534f', 60),
             ('ravi', 'Finish the compiler course', '📝', 'Learning', '#6a5acd', 45))
     AS g (username, title, emoji, category, color, days)
JOIN learnhub.users u ON u.username = g.username;

INSERT INTO learnhub.xp_sessions (id, user_id, goal_id, activity_id, status, started_at, ended_at, total_duration_seconds,
    focused_duration_seconds, xp_total, xp_physique, xp_energy, xp_logic, xp_creativity, xp_social, completed_reason,
    device_platform)
SELECT 'demo-' || s.n, g.user_id, g.id, a.id, 'completed', s.start, s.start + interval '1 hour', 3600, 3200, 6000,
       3600 * (r.rates).physique, 3600 * (r.rates).energy, 3600 * (r.rates).logic, 3600 * (r.rates).creativity,
       3600 * (r.rates).social, 'manual', 'web'
FROM (SELECT n, title, activity, date_trunc('hour', now()) - make_interval(days => n) AS start
      FROM (VALUES (1, 'Drawing Mandalorian', 'Drawing'), (2, 'Drawing Mandalorian', 'Painting'),
                   (3, 'Run ten kilometres', 'Running'), (4, 'Run ten kilometres', 'Stretching'),
                   (5, 'Finish the compiler course', 'Programming'), (6, 'Finish the compiler course', 'Reading'))
           AS sessions (n, title, activity)) s
JOIN learnhub.goals g ON g.title = s.title
JOIN learnhub.activities a ON a.name = s.activity
JOIN learnhub.rates_profiles r ON r.name = s.activity;

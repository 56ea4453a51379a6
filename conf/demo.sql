-- SPDX-License-Identifier: Apache-2.0
-- Demo data for every API. All users have the password "learn together", so none of them is an admin. The addresses are
-- in example.org, a domain reserved for examples.

-- ---- users ----

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
     AS accounts (email, first_name, last_name, role);

-- ---- tutoring ----

INSERT INTO learnhub.tutoring_sessions (title, description, starts_at, max_participants, creator_id, status, created_at,
                                        updated_at)
SELECT s.title, s.description, date_trunc('hour', now()) + s.starts_in, s.seats, u.id, s.status,
       now() - s.age, now() - s.age
FROM (VALUES
    ('tomas', 'Recursion without fear', 'From stack frames to tail calls, with a sheet of exercises to take home.',
     interval '3 days', 6, 'upcoming', interval '9 days'),
    ('tomas', 'Reading a query plan', 'Bring a slow query. We read its plan together and speed it up.',
     interval '5 days', 4, 'upcoming', interval '8 days'),
    ('yuki', 'Linear algebra for graphics', 'Vectors, matrices and projections, with examples from games.',
     interval '8 days', 12, 'upcoming', interval '7 days'),
    ('yuki', 'Recovering from Git mistakes', 'How to recover from lost commits, detached heads and bad merges.',
     interval '1 day', 2, 'upcoming', interval '6 days'),
    ('tomas', 'Regular expressions by hand', 'How an engine evaluates a pattern, and which patterns take exponential time.',
     interval '-1 hour', 8, 'ongoing', interval '5 days'),
    ('yuki', 'Big-O in plain words', 'How running time grows with the input, with examples from everyday code.',
     interval '-6 days', 10, 'completed', interval '20 days'),
    ('tomas', 'Sockets from scratch', 'We build a chat server in one afternoon.',
     interval '2 days', 5, 'cancelled', interval '4 days'),
    ('grace', 'Office hour', 'Questions about the platform. Everyone is welcome.',
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
             ('Recovering from Git mistakes', 'amara', interval '20 minutes'),
             ('Recovering from Git mistakes', 'lena', interval '50 minutes'),
             ('Regular expressions by hand', 'ravi', interval '2 hours'),
             ('Big-O in plain words', 'amara', interval '1 day'),
             ('Big-O in plain words', 'malik', interval '2 days'))
     AS p (title, username, after)
JOIN learnhub.tutoring_sessions s ON s.title = p.title
JOIN learnhub.users u ON u.username = p.username
ORDER BY s.created_at + p.after;

UPDATE learnhub.tutoring_sessions s
SET participant_count = (SELECT count(*) FROM learnhub.tutoring_participants p WHERE p.session_id = s.id);

-- ---- practice ----

INSERT INTO learnhub.problems (title, description, difficulty, categories, estimated_time, requirements, constraints, hints,
                               created_by, created_at, updated_at)
SELECT p.title, p.description, p.difficulty, to_jsonb(p.categories), p.estimated_time, to_jsonb(p.requirements),
       to_jsonb(p.constraints), to_jsonb(p.hints), u.id, now() - p.age, now() - p.age
FROM (VALUES
    ('grace', 'A link shortener',
     'Users turn long URLs into short ones that fit on a poster. Opening a short URL redirects to the long one quickly, worldwide. Owners can see how often their links are opened.',
     'easy', ARRAY['Web services', 'Databases', 'Caching'], '30 mins',
     ARRAY['Turn any URL into a short code, and the code back into the URL', 'Let owners choose a custom code', 'Count visits per day and country'],
     ARRAY['100 million links, 50 new ones a second', '5,000 redirects a second, below 50 ms each', 'A code never changes its target'],
     ARRAY['Reads outnumber writes by a hundred to one: what can be cached, and for how long?', 'Compare counters, hashes and random codes: how are collisions handled, and can codes be guessed?', 'Counting must not slow down redirects'],
     interval '60 days'),
    ('grace', 'A rate limiter for a public API',
     'Every customer has a quota of requests per minute. Twenty gateways serve the API, and a customer''s requests may reach any of them. Requests beyond the quota are rejected with the time to wait.',
     'easy', ARRAY['Distributed systems', 'Algorithms'], '30 mins',
     ARRAY['Limits per customer and per endpoint', 'Return 429 with the time to wait', 'Change a limit without a restart'],
     ARRAY['At most one millisecond per decision', 'A gateway that crashes must not reset the counts', 'Clocks differ by up to a second'],
     ARRAY['Compare the bursts allowed by a fixed window, a sliding window and a token bucket', 'How exact must the limit be? Local counts that are synchronized now and then are cheap', 'Decide what happens when the shared store is unavailable'],
     interval '55 days'),
    ('grace', 'A news feed',
     'Users follow each other and read a feed of new posts, sorted by time or by relevance. Some users have twenty followers, others twenty million.',
     'hard', ARRAY['Social', 'Databases', 'Caching'], '60 mins',
     ARRAY['Publish text, pictures and short videos', 'Show an endless feed of the posts of followed users', 'Mute and unfollow take effect immediately'],
     ARRAY['300 million users a day, ten views each', 'A feed opens in 200 ms', 'A post reaches followers within five seconds'],
     ARRAY['Writing to every follower''s list makes reads fast but is expensive for users with many followers: combine both approaches', 'A position in a feed must stay valid when new posts arrive', 'What do you store for users who have been inactive for a month?'],
     interval '50 days'),
    ('tomas', 'Group chat',
     'Conversations between two to a thousand members, on phones that often lose the network. No message is lost, and none is shown twice.',
     'medium', ARRAY['Messaging', 'Mobile', 'Distributed systems'], '45 mins',
     ARRAY['The same order of messages for all members of a conversation', 'Sent, delivered and read marks', 'Synchronize after days offline'],
     ARRAY['50 million concurrent connections', 'Half a second from phone to phone', 'History is kept for ten years'],
     ARRAY['Which component assigns sequence numbers in a conversation?', 'A client that retries a message needs a client-generated id', 'In large groups, read marks cause more traffic than messages'],
     interval '45 days'),
    ('tomas', 'A parking garage',
     'A garage with several floors and kinds of spaces. Drivers take a ticket, park, pay at a machine and leave. Signs show the free spaces.',
     'easy', ARRAY['Object design', 'Modelling'], '30 mins',
     ARRAY['Spaces for motorcycles, cars and vans, some with a charger', 'Prices that depend on the duration and the day', 'Signs at the entrance and on every floor'],
     ARRAY['Works while the network is down', 'Two entrances never assign the same last space', 'A lost ticket is charged'],
     ARRAY['Start with the objects and their invariants', 'Where do prices belong: in the ticket, the garage, or a separate table?', 'What is the state of a space while a car is driving to it?'],
     interval '40 days'),
    ('tomas', 'Type-ahead for a search box',
     'While a user types, ten completions appear below the box, the most likely first, before the next key is pressed.',
     'medium', ARRAY['Search', 'Data structures', 'Caching'], '45 mins',
     ARRAY['Complete prefixes of words and of whole queries', 'Learn from current searches', 'Filter out forbidden completions'],
     ARRAY['100,000 keystrokes a second', '50 ms from keystroke to list', 'New trends appear within ten minutes'],
     ARRAY['A trie that stores the best ten completions in each node needs no search', 'A few prefixes account for most keystrokes: serve them from the browser and the CDN', 'How do you replace the trie while it is being read?'],
     interval '35 days'),
    ('tomas', 'Films on demand',
     'A studio uploads a film once; viewers watch it on any device, from a phone in a tunnel to a television. Playback starts quickly, does not stall, and resumes at the last position.',
     'hard', ARRAY['Media', 'Content delivery', 'Storage'], '60 mins',
     ARRAY['Uploads of 100 GB that survive a lost connection', 'Quality adapts to the network', 'Resume on another device'],
     ARRAY['Ten million concurrent viewers', 'The first frame within two seconds', 'Outgoing traffic is the largest cost'],
     ARRAY['Split the film into segments of a few seconds, each in several qualities', 'Encoding is a graph of jobs: which of them can be retried safely?', 'Release dates are known in advance: what can be distributed overnight?'],
     interval '30 days'),
    ('yuki', 'Seats in a concert hall',
     'A famous band announces a concert. Half a million customers want eight thousand numbered seats in the first minute. Each seat is sold once, and waiting customers can see their position in the queue.',
     'hard', ARRAY['Transactions', 'Queues', 'Web services'], '60 mins',
     ARRAY['Choose seats on a plan, hold them for ten minutes, pay', 'A fair queue with a visible position', 'Returned seats go to waiting customers'],
     ARRAY['No seat is sold twice, and none is lost when a payment hangs', 'Bots have no advantage', 'Sales for other concerts stay fast'],
     ARRAY['Which step needs a lock, and on what?', 'Admit as many customers as the database can serve, and keep the others in an inexpensive waiting room', 'A payment may complete after the hold has expired'],
     interval '25 days'),
    ('yuki', 'Notes edited together',
     'Several users edit the same note at the same time, even offline. In the end all of them see the same text, and no edit is lost.',
     'hard', ARRAY['Collaboration', 'Algorithms', 'Real time'], '60 mins',
     ARRAY['See each other''s cursors', 'Undo reverts only the user''s own changes', 'Every version of the last year can be restored'],
     ARRAY['50 concurrent editors per note', '100 ms from keystroke to the other screens', 'Edits made during a day offline can be merged'],
     ARRAY['Compare operational transformation with CRDTs: which one needs a server?', 'The history of a note grows faster than the note: when can it be compacted?', 'Presence data may be lost, the document may not'],
     interval '20 days'),
    ('yuki', 'A web crawler',
     'Fetch a billion pages a month for a search engine without overloading any site, fetching pages twice unnecessarily or getting caught in crawler traps.',
     'medium', ARRAY['Crawling', 'Distributed systems', 'Storage'], '45 mins',
     ARRAY['Respect robots.txt and a delay per site', 'Revisit pages as often as they change', 'Detect duplicate content under different URLs'],
     ARRAY['400 pages a second on twenty machines', 'No URL is lost when a machine fails', 'Infinite calendars are detected'],
     ARRAY['Use two levels of queues: one for priority, one for politeness', 'Which kind of error does a Bloom filter make, and is it acceptable here?', 'DNS lookups cause much of the latency: cache them'],
     interval '15 days'),
    ('grace', 'Sensor readings from a million meters',
     'Electricity meters send a reading every ten seconds over unreliable connections, often late and in bursts. The supplier bills in 15-minute intervals and monitors the grid in real time.',
     'medium', ARRAY['Time series', 'Streaming', 'Storage'], '45 mins',
     ARRAY['Accept readings that are hours late, exactly once', 'Totals per 15 minutes, corrected when late readings arrive', 'Alarms within 30 seconds'],
     ARRAY['100,000 readings a second', 'Raw data for three months, totals for ten years', 'A bill can be traced to single readings'],
     ARRAY['What identifies a reading?', 'Partition by time or by meter: which queries does each support?', 'Decide when a total is final, and what happens to later readings'],
     interval '10 days'),
    ('tomas', 'A wallet for friends',
     'Users send each other small amounts with a phone number and a note. Money is never created or lost, and every cent can be traced.',
     'medium', ARRAY['Payments', 'Transactions', 'Security'], '45 mins',
     ARRAY['Send, request, split a bill', 'Deposit from and withdraw to a bank account', 'A monthly statement'],
     ARRAY['A transfer submitted twice is executed once', 'Two transfers in opposite directions do not deadlock', 'Auditors have read-only access to everything'],
     ARRAY['Use double-entry bookkeeping and never change an entry', 'Which component creates the idempotency key?', 'A bank confirms the next day: model money in transit'],
     interval '5 days'))
    AS p (creator, title, description, difficulty, categories, estimated_time, requirements, constraints, hints, age)
JOIN learnhub.users u ON u.username = p.creator
ORDER BY p.age DESC;

-- ---- mentoring: profiles, availabilities of the next ten days, sessions ----

INSERT INTO learnhub.mentor_profiles (user_id, about_me, skills)
SELECT u.id, m.about_me, m.skills::jsonb
FROM (VALUES ('grace', 'Twenty years of backend development. Bring a design you are unsure about.', '["Databases", "Architecture", "Python"]'),
             ('tomas', 'I enjoy reading and reviewing code.', '"C, Linux, Debugging"'),
             ('yuki', 'Mathematics for programmers, from the basics.', '["Algorithms", "Graphics"]'))
     AS m (username, about_me, skills)
JOIN learnhub.users u ON u.username = m.username;

INSERT INTO learnhub.mentee_profiles (user_id, team_number)
SELECT u.id, m.team FROM (VALUES ('amara', 1), ('lena', 1), ('ravi', 2), ('sofia', 3)) AS m (username, team)
JOIN learnhub.users u ON u.username = m.username;

UPDATE learnhub.users SET is_mentor = id IN (SELECT user_id FROM learnhub.mentor_profiles),
    is_mentee = id IN (SELECT user_id FROM learnhub.mentee_profiles);

INSERT INTO learnhub.availabilities (mentor_id, starts_at, ends_at)
SELECT u.id, date_trunc('day', now()) + d.day * interval '1 day' + m.hour * interval '1 hour',
       date_trunc('day', now()) + d.day * interval '1 day' + (m.hour + 3) * interval '1 hour'
FROM (VALUES ('grace', 9), ('tomas', 14), ('yuki', 17)) AS m (username, hour)
JOIN learnhub.users u ON u.username = m.username CROSS JOIN generate_series(1, 10) AS d (day);

INSERT INTO learnhub.mentoring_sessions (availability_id, mentor_id, mentee_id, starts_at, session_length, status)
SELECT a.id, a.mentor_id, mentee.id, a.starts_at + interval '30 minutes', s.length, s.status
FROM (VALUES ('grace', 'amara', 1, 60, 'Confirmed'), ('grace', 'ravi', 2, 30, 'Pending'), ('tomas', 'lena', 1, 30, 'Pending'),
             ('yuki', 'amara', 3, 60, 'Pending')) AS s (mentor, mentee, day, length, status)
JOIN learnhub.users mentor ON mentor.username = s.mentor
JOIN learnhub.users mentee ON mentee.username = s.mentee
JOIN learnhub.availabilities a ON a.mentor_id = mentor.id
    AND date_trunc('day', a.starts_at) = date_trunc('day', now()) + s.day * interval '1 day';

-- ---- coding: sessions, one of them unlocked by an eco-activity; two activities are pending ----

INSERT INTO learnhub.coding_sessions (user_id, session_name, seconds, source, status, created_at)
SELECT u.id, c.name, c.minutes * 60, c.source, c.status, now() - c.age
FROM (VALUES ('amara', 'Intro to Python', 120, 'manual', 'unlocked', interval '12 days'),
             ('amara', 'Django Basics', 90, 'github', 'locked', interval '9 days'),
             ('amara', 'A hand-written parser', 150, 'manual', 'locked', interval '2 days'),
             ('ravi', 'Sockets', 60, 'manual', 'locked', interval '5 days'))
     AS c (username, name, minutes, source, status, age)
JOIN learnhub.users u ON u.username = c.username ORDER BY c.age DESC;

INSERT INTO learnhub.eco_activities (user_id, kind, seconds, description, status, point_parts, performed_at, verified_at)
SELECT u.id, k.kind, e.minutes * 60, e.description, e.status, k.factor * e.minutes * 60, now() - e.age,
       CASE e.status WHEN 'verified' THEN now() - e.age + interval '1 day' END
FROM (VALUES ('amara', 'hiking', 120, 'Around the lake', 'verified', interval '11 days'),
             ('amara', 'cycling', 45, 'Commute by bike', 'pending', interval '1 day'),
             ('ravi', 'gardening', 60, 'Planted beans', 'pending', interval '3 days'))
     AS e (username, kind, minutes, description, status, age)
JOIN learnhub.users u ON u.username = e.username
JOIN learnhub.eco_kinds k ON k.kind = e.kind ORDER BY e.age DESC;

INSERT INTO learnhub.rewards (name, description, cost, category, icon, popular, stock)
VALUES ('A tree', 'We plant a tree for you', 20, 'environmental', 'tree', true, NULL),
       ('A cup', 'Made of bamboo', 60, 'merchandise', 'coffee', false, 25),
       ('A badge', 'For your profile', 5, 'digital', 'award', false, NULL);

-- ---- xp ----

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

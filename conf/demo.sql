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

INSERT INTO learnhub.problems (title, description, difficulty, categories, estimated_time, requirements, constraints, hints,
                               created_by, created_at, updated_at)
SELECT p.title, p.description, p.difficulty, to_jsonb(p.categories), p.estimated_time, to_jsonb(p.requirements),
       to_jsonb(p.constraints), to_jsonb(p.hints), u.id, now() - p.age, now() - p.age
FROM (VALUES
    ('grace', 'A link shortener',
     'People paste long addresses and get short ones that they can print on a poster. Whoever opens a short one lands on the long one, fast, from anywhere. Owners want to see how often that happened.',
     'easy', ARRAY['Web services', 'Databases', 'Caching'], '30 mins',
     ARRAY['Turn any URL into a short code, and the code back into the URL', 'Let owners choose a code of their own', 'Count visits per day and country'],
     ARRAY['100 million links, 50 new ones a second', '5,000 redirects a second, below 50 ms each', 'A code that was printed never changes its meaning'],
     ARRAY['Reads outnumber writes by a hundred to one: what can be cached, and for how long?', 'Compare counters, hashes and random codes: what happens on a collision, what can be guessed?', 'Counting must not slow the redirect down'],
     interval '60 days'),
    ('grace', 'A rate limiter for a public API',
     'Every customer has bought a number of requests per minute. Twenty gateways stand in front of the API, and a customer''s requests may reach any of them. Whoever sends too many is told when to come back.',
     'easy', ARRAY['Distributed systems', 'Algorithms'], '30 mins',
     ARRAY['Limits per customer and per endpoint', 'Answer 429 with the time to wait', 'Change a limit without a restart'],
     ARRAY['One millisecond at most for the decision', 'A gateway that dies must not reset the counts', 'Clocks differ by up to a second'],
     ARRAY['Draw what a fixed window lets through at its edge, then a sliding one, then a token bucket', 'How exact does it have to be? Local counts with a slow exchange are cheap', 'Decide what happens when the shared store is away'],
     interval '55 days'),
    ('grace', 'A news feed',
     'People follow each other and open the app to see what is new, newest or best first. Some have twenty followers, some twenty million.',
     'hard', ARRAY['Social', 'Databases', 'Caching'], '60 mins',
     ARRAY['Publish texts, pictures and short films', 'Show a feed of those one follows, endless to scroll', 'Mute and unfollow count at once'],
     ARRAY['300 million people a day, ten views each', 'A feed opens in 200 ms', 'A post is seen by followers within five seconds'],
     ARRAY['Writing to every follower''s list is fast to read and dear for the famous: mix both ways', 'A position in a feed must survive new posts at its top', 'What do you keep for people who have not come for a month?'],
     interval '50 days'),
    ('tomas', 'Group chat',
     'Conversations of two to a thousand people, on phones that lose the network all the time. Nobody should miss a message, and nobody should see one twice.',
     'medium', ARRAY['Messaging', 'Mobile', 'Distributed systems'], '45 mins',
     ARRAY['Messages in the same order for everybody in a conversation', 'Sent, delivered and read marks', 'Catch up after days without a network'],
     ARRAY['50 million connections at once', 'Half a second from phone to phone', 'History is kept for ten years'],
     ARRAY['Who gives the numbers that order a conversation?', 'A client that repeats a message needs an id of its own making', 'Read marks of a thousand people are more traffic than the messages'],
     interval '45 days'),
    ('tomas', 'A parking garage',
     'A garage with several floors and kinds of places. Drivers take a ticket, park, pay at a machine and leave. Signs show where there is room.',
     'easy', ARRAY['Object design', 'Modelling'], '30 mins',
     ARRAY['Places for motorcycles, cars and vans; some have a charger', 'A price that depends on the time and on the day', 'Signs at the entry and on every floor'],
     ARRAY['Works when the network is down', 'Two entries never give away the same last place', 'A lost ticket is not a free one'],
     ARRAY['Begin with nouns and what each of them must never allow', 'Where does the price live: in the ticket, the garage, or a table of its own?', 'What is the state of a place while a car drives towards it?'],
     interval '40 days'),
    ('tomas', 'Type-ahead for a search box',
     'While somebody types, ten completions appear below the box, the likeliest first, before the next key is pressed.',
     'medium', ARRAY['Search', 'Data structures', 'Caching'], '45 mins',
     ARRAY['Complete the beginnings of words and of whole questions', 'Learn from what is searched today', 'Leave out what must not be shown'],
     ARRAY['100,000 keystrokes a second', '50 ms from key to list', 'New trends show within ten minutes'],
     ARRAY['A tree of letters that keeps the best ten at each node answers without searching', 'Most keystrokes are one of few beginnings: let the browser and the edge answer those', 'How do you replace the tree while it is being read?'],
     interval '35 days'),
    ('tomas', 'Films on demand',
     'A studio uploads a film once; people watch it on anything from a phone in a tunnel to a television. It starts quickly, does not stop, and goes on where one left off.',
     'hard', ARRAY['Media', 'Content delivery', 'Storage'], '60 mins',
     ARRAY['Uploads of 100 GB that survive a broken connection', 'The quality follows the network', 'Watch on one device, go on at another'],
     ARRAY['Ten million people watch at the same hour', 'The first picture after two seconds at most', 'Traffic out of the data centre is the largest bill'],
     ARRAY['Cut the film into pieces of a few seconds, each in several qualities', 'Encoding is a graph of jobs: which of them can be repeated without harm?', 'A new season is known in advance: what can travel at night?'],
     interval '30 days'),
    ('yuki', 'Seats in a concert hall',
     'A famous band announces a concert. Half a million people come for eight thousand numbered seats in the first minute. Each seat is sold once, and those who wait know where they stand.',
     'hard', ARRAY['Transactions', 'Queues', 'Web services'], '60 mins',
     ARRAY['Choose seats on a plan, hold them for ten minutes, pay', 'A fair queue with a visible place in it', 'Returned seats go to those who wait'],
     ARRAY['No seat is sold twice, none is lost when a payment hangs', 'Robots do not win', 'The shop for other concerts stays fast'],
     ARRAY['Which step really needs a lock, and on what?', 'Let in as many as the database can serve, and keep the others in a room that costs nothing', 'A payment that answers late meets a hold that has ended'],
     interval '25 days'),
    ('yuki', 'Notes edited together',
     'Several people type into the same note at the same time, also in a train without a network. In the end all of them see the same text, and nobody''s words are gone.',
     'hard', ARRAY['Collaboration', 'Algorithms', 'Real time'], '60 mins',
     ARRAY['See each other''s cursors', 'Undo takes back one''s own changes only', 'Every version of the last year can be restored'],
     ARRAY['50 writers in one note', '100 ms from key to the others'' screens', 'A day offline must merge'],
     ARRAY['Compare operational transformation with replicated data types: who has to be online?', 'The history of a note grows faster than the note: when may it be folded?', 'Presence is not the document: it may be lost'],
     interval '20 days'),
    ('yuki', 'A web crawler',
     'Fetch a billion pages a month for a search engine, politely: no site should notice, no page should be fetched twice without need, and traps should not catch the crawler.',
     'medium', ARRAY['Crawling', 'Distributed systems', 'Storage'], '45 mins',
     ARRAY['Respect robots.txt and a pause for each site', 'Come back to pages as often as they change', 'Find the same text under two addresses'],
     ARRAY['400 pages a second on twenty machines', 'A machine that dies loses no address', 'Calendars without an end are noticed'],
     ARRAY['Two queues: one for what is important, one for whose turn it is', 'A Bloom filter forgets nothing but is wrong now and then: on which side?', 'Resolve names and keep the answers: it is half of the waiting'],
     interval '15 days'),
    ('grace', 'Sensor readings from a million meters',
     'Electricity meters send a reading every ten seconds over bad connections, late and in bursts. The supplier bills by the quarter of an hour and wants to see the grid live.',
     'medium', ARRAY['Time series', 'Streaming', 'Storage'], '45 mins',
     ARRAY['Accept readings that are hours late, once each', 'Sums per quarter of an hour, corrected when late readings come', 'Alarms within half a minute'],
     ARRAY['100,000 readings a second', 'Raw data for three months, sums for ten years', 'A bill can be explained reading by reading'],
     ARRAY['What makes a reading the same reading?', 'Partition by time and by meter: which question does each serve?', 'Decide when a sum is final, and what happens afterwards'],
     interval '10 days'),
    ('tomas', 'A wallet between friends',
     'People send each other small sums with a telephone number and a word of thanks. Money never appears, never disappears, and every cent can be traced.',
     'medium', ARRAY['Payments', 'Transactions', 'Security'], '45 mins',
     ARRAY['Send, request, split a bill', 'Add money from a bank and pay it out', 'A statement of every month'],
     ARRAY['A transfer that was sent twice by a nervous thumb happens once', 'Two transfers in opposite directions do not lock each other out', 'Auditors read everything and change nothing'],
     ARRAY['Write two entries for every movement and never change one', 'Where does the key come from that makes repeating safe?', 'The bank answers tomorrow: model the money that is on its way'],
     interval '5 days'))
    AS p (creator, title, description, difficulty, categories, estimated_time, requirements, constraints, hints, age)
JOIN learnhub.users u ON u.username = p.creator
ORDER BY p.age DESC;

-- Mentors, what they offer in the days to come, and mentees.
INSERT INTO learnhub.mentor_profiles (user_id, about_me, skills)
SELECT u.id, m.about_me, m.skills::jsonb
FROM (VALUES ('grace', 'Twenty years of backends. Bring the design you are unsure of.', '["Databases", "Architecture", "Python"]'),
             ('tomas', 'I like to read other people''s code, slowly.', '"C, Linux, Debugging"'),
             ('yuki', 'Mathematics for those who were told they could not.', '["Algorithms", "Graphics"]'))
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

-- Coding sessions, walks that unlocked some of them, and one that waits to be verified.
INSERT INTO learnhub.coding_sessions (user_id, session_name, seconds, source, status, created_at)
SELECT u.id, c.name, c.minutes * 60, c.source, c.status, now() - c.age
FROM (VALUES ('amara', 'Intro to Python', 120, 'manual', 'unlocked', interval '12 days'),
             ('amara', 'Django Basics', 90, 'github', 'locked', interval '9 days'),
             ('amara', 'A parser by hand', 150, 'manual', 'locked', interval '2 days'),
             ('ravi', 'Sockets', 60, 'manual', 'locked', interval '5 days'))
     AS c (username, name, minutes, source, status, age)
JOIN learnhub.users u ON u.username = c.username ORDER BY c.age DESC;
INSERT INTO learnhub.eco_activities (user_id, kind, seconds, description, status, point_parts, performed_at, verified_at)
SELECT u.id, k.kind, e.minutes * 60, e.description, e.status, k.factor * e.minutes * 60, now() - e.age,
       CASE e.status WHEN 'verified' THEN now() - e.age + interval '1 day' END
FROM (VALUES ('amara', 'hiking', 120, 'Round the lake', 'verified', interval '11 days'),
             ('amara', 'cycling', 45, 'To work and back', 'pending', interval '1 day'),
             ('ravi', 'gardening', 60, 'Planted beans', 'pending', interval '3 days'))
     AS e (username, kind, minutes, description, status, age)
JOIN learnhub.users u ON u.username = e.username
JOIN learnhub.eco_kinds k ON k.kind = e.kind ORDER BY e.age DESC;
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

-- SPDX-License-Identifier: Apache-2.0
-- xp: goals, activities, focus sessions, what they earn, and how much an activity earns in a second.

CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- Points per second. A value of this type that is in use has all five.
CREATE TYPE learnhub.rates AS (
    physique numeric(5, 2),
    energy numeric(5, 2),
    logic numeric(5, 2),
    creativity numeric(5, 2),
    social numeric(5, 2)
);

CREATE TABLE learnhub.activities (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL CHECK (name <> ''),
    emoji text NOT NULL,
    category text NOT NULL,
    color text NOT NULL CHECK (color ~ '^#[0-9a-fA-F]{6}$'),
    rates learnhub.rates,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT activities_rates_check CHECK (rates IS NULL OR rates IS NOT NULL) -- none of the five, or all
);
CREATE INDEX activities_name_idx ON learnhub.activities (lower(name), id);
COMMENT ON COLUMN learnhub.activities.rates IS 'An admin''s own; they go before those of the model and of the engine.';

CREATE TABLE learnhub.goals (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id bigint NOT NULL REFERENCES learnhub.users ON DELETE CASCADE,
    title text NOT NULL CHECK (title <> ''),
    emoji text NOT NULL,
    category_name text NOT NULL,
    category_color text NOT NULL CHECK (category_color ~ '^#[0-9a-fA-F]{6}$'),
    days_total integer NOT NULL CHECK (days_total > 0),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'completed', 'abandoned')),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX goals_user_idx ON learnhub.goals (user_id, created_at DESC, id DESC);

-- A session is active until it has ended. Of one whose registration was lost, goal, activity and start are not known yet.
CREATE TABLE learnhub.xp_sessions (
    id text PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES learnhub.users ON DELETE CASCADE,
    goal_id uuid REFERENCES learnhub.goals ON DELETE CASCADE,
    activity_id uuid REFERENCES learnhub.activities,
    status text NOT NULL CHECK (status IN ('active', 'completed', 'abandoned')),
    started_at timestamptz,
    ended_at timestamptz,
    total_duration_seconds integer CHECK (total_duration_seconds >= 0),
    focused_duration_seconds integer CHECK (focused_duration_seconds >= 0),
    xp_total integer NOT NULL DEFAULT 0 CHECK (xp_total >= 0),
    xp_physique integer NOT NULL DEFAULT 0 CHECK (xp_physique >= 0),
    xp_energy integer NOT NULL DEFAULT 0 CHECK (xp_energy >= 0),
    xp_logic integer NOT NULL DEFAULT 0 CHECK (xp_logic >= 0),
    xp_creativity integer NOT NULL DEFAULT 0 CHECK (xp_creativity >= 0),
    xp_social integer NOT NULL DEFAULT 0 CHECK (xp_social >= 0),
    completed_reason text CHECK (completed_reason IN ('manual', 'auto', 'abandoned', 'timeout', 'crash_recovered')),
    device_platform text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT xp_sessions_id_check -- it can be a segment of a path that no other operation has
        CHECK (id ~ '^[^/\u0001-\u001f\u007f-\u009f]{1,255}$' AND id NOT IN ('.', '..', 'calculate-rates')),
    CONSTRAINT xp_sessions_span_check CHECK (ended_at >= started_at),
    CONSTRAINT xp_sessions_end_check CHECK ((status = 'active') = (ended_at IS NULL))
);
CREATE INDEX xp_sessions_goal_idx ON learnhub.xp_sessions (goal_id, ended_at DESC, id DESC) WHERE status <> 'active';
CREATE INDEX xp_sessions_earned_idx ON learnhub.xp_sessions (user_id)
    INCLUDE (xp_total, xp_physique, xp_energy, xp_logic, xp_creativity, xp_social) WHERE status <> 'active';
CREATE INDEX xp_sessions_activity_idx ON learnhub.xp_sessions (activity_id);

-- What a user has earned: one entry for each session that has ended. It is made of the sessions, so it cannot differ from
-- them, however often and in whatever order they are completed and corrected.
CREATE VIEW learnhub.xp_ledger AS
SELECT id AS session_id, user_id, xp_total, xp_physique, xp_energy, xp_logic, xp_creativity, xp_social
FROM learnhub.xp_sessions
WHERE status <> 'active';

-- Level n is reached with 10,000 (n - 1)^2 points: 0, 10,000, 40,000, 90,000 ...
CREATE FUNCTION learnhub.life_level(points bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 1 + floor(sqrt((points / 10000)::float8))::bigint;

-- The user with an id as any API shows it: a number, 24 hex digits or a UUID.
CREATE FUNCTION learnhub.user_shown_as(shown text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF shown ~ '^[0-9]{1,18}$' THEN
        RETURN (SELECT id FROM learnhub.users WHERE id = shown::bigint);
    ELSIF shown ~ '^[0-9a-fA-F]{24}$' THEN
        RETURN (SELECT id FROM learnhub.users WHERE object_id = decode(shown, 'hex'));
    ELSIF shown ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' THEN
        RETURN (SELECT id FROM learnhub.users WHERE uuid = shown::uuid);
    END IF;
    RETURN NULL;
END
$$;

-- What a model has said about an activity and a goal; null while it is being asked, or when it had no answer. Counts only
-- while `question` is that of the present names.
CREATE TABLE learnhub.rates_kept (
    activity_id uuid NOT NULL REFERENCES learnhub.activities ON DELETE CASCADE,
    goal_id uuid NOT NULL REFERENCES learnhub.goals ON DELETE CASCADE,
    question text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    rates learnhub.rates,
    PRIMARY KEY (activity_id, goal_id)
);
CREATE INDEX rates_kept_goal_idx ON learnhub.rates_kept (goal_id);

CREATE FUNCTION learnhub.rates_question(activity learnhub.activities, goal learnhub.goals) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN md5(jsonb_build_array((activity).name, (activity).category, (goal).title, (goal).category_name)::text);

-- ---- the built-in engine: profiles of activities, and the words that call them up ----

CREATE TABLE learnhub.rates_profiles (
    name text PRIMARY KEY,
    words text NOT NULL,
    rates learnhub.rates NOT NULL,
    CHECK (rates IS NOT NULL)
);

CREATE FUNCTION learnhub.stems(said text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN tsvector_to_array(to_tsvector('pg_catalog.english'::regconfig, said));

-- The profiles with a lexeme each, for the engine to search.
CREATE TABLE learnhub.rates_words (
    word text NOT NULL,
    profile text NOT NULL REFERENCES learnhub.rates_profiles ON DELETE CASCADE,
    PRIMARY KEY (word, profile)
);

CREATE FUNCTION learnhub.keep_rates_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM learnhub.rates_words WHERE profile = NEW.name;
    INSERT INTO learnhub.rates_words (word, profile)
    SELECT unnest(learnhub.stems(NEW.name || ' ' || NEW.words)), NEW.name;
    RETURN NULL;
END
$$;
CREATE TRIGGER keep_rates_words AFTER INSERT OR UPDATE ON learnhub.rates_profiles
    FOR EACH ROW EXECUTE FUNCTION learnhub.keep_rates_words();

/*
 * The engine. The words of the activity's name count in full, those of its category 0.4, of the goal's title and
 * category 0.3 and 0.2. A word calls up the profiles that have its stem, or, if it is not short, one like it by trigrams. A
 * profile's score is the sum of its matches over those words of a text that call up any profile at all. The rates are the mean
 * of the profiles' rates, each with the cube of its score, and with a middling profile of score 0.2 among them: what
 * nobody knows gets that one, and what is known well hardly any of it. The same texts always give the same rates.
 */
CREATE FUNCTION learnhub.rates_by_words(activity learnhub.activities, goal learnhub.goals) RETURNS learnhub.rates
    LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH said AS (
        SELECT t.weight, unnest(learnhub.stems(t.said)) AS word
        FROM (VALUES (1.0::float8, (activity).name), (0.4, (activity).category),
                     (0.3, (goal).title), (0.2, (goal).category_name)) AS t (weight, said)
    ), matched AS (
        SELECT s.weight, s.word, w.profile, max(similarity(s.word, w.word)::float8) AS likeness
        FROM said s JOIN learnhub.rates_words w
            ON w.word = s.word OR (length(s.word) > 4 AND similarity(s.word, w.word) >= 0.45)
        GROUP BY s.weight, s.word, w.profile
    ), scored AS (
        SELECT m.profile, sum(m.weight * m.likeness / t.words) AS score
        FROM matched m
        JOIN (SELECT weight, count(DISTINCT word) AS words FROM matched GROUP BY weight) t ON t.weight = m.weight
        GROUP BY m.profile
    ), blended AS (
        SELECT p.rates, power(s.score, 3) AS weight
        FROM scored s JOIN learnhub.rates_profiles p ON p.name = s.profile
        UNION ALL
        SELECT (0.20, 0.30, 0.30, 0.30, 0.20)::learnhub.rates, power(0.2, 3)
    )
    SELECT (sum((rates).physique * weight) / sum(weight), sum((rates).energy * weight) / sum(weight),
            sum((rates).logic * weight) / sum(weight), sum((rates).creativity * weight) / sum(weight),
            sum((rates).social * weight) / sum(weight))::learnhub.rates
    FROM blended;
END;

-- The catalogue, and the profiles that are no activity themselves: those without an emoji.
WITH colors (category, color) AS (VALUES
    ('Fitness', '#d9534f'), ('Creativity', '#4187a2'), ('Music', '#b5539c'), ('Learning', '#6a5acd'),
    ('Technology', '#3f6fb5'), ('Work', '#3c7a57'), ('Wellbeing', '#2a9d8f'), ('Social', '#f2a541'),
    ('Games', '#7e57c2'), ('Home', '#8d6e63'), ('Outdoors', '#4caf50')
), seeds (category, emoji, name, physique, energy, logic, creativity, social, words) AS (VALUES
    ('Fitness', '🏃', 'Running', 0.90, 0.60, 0.05, 0.05, 0.10,
     'run runner jog jogger jogging marathon 5k 10k parkrun treadmill race racing track'),
    ('Fitness', '⚡', 'Interval training', 0.95, 0.60, 0.05, 0.05, 0.10,
     'interval hiit cardio aerobics circuit crossfit burpees sprint sprints jumping rope tabata'),
    ('Fitness', '🏋️', 'Strength training', 0.95, 0.50, 0.05, 0.05, 0.05,
     'strength gym weights weightlifting lifting powerlifting dumbbell barbell kettlebell bench squat deadlift '
     'bodybuilding calisthenics pushups pullups plank muscle core'),
    ('Fitness', '🚴', 'Cycling', 0.85, 0.60, 0.05, 0.05, 0.10,
     'cycle cyclist bike biking bicycle ride riding spinning mountainbike'),
    ('Fitness', '🏊', 'Swimming', 0.90, 0.60, 0.05, 0.05, 0.10,
     'swim swimmer pool laps freestyle crawl snorkel snorkelling diving scuba aqua'),
    ('Fitness', '🧘', 'Yoga', 0.60, 0.75, 0.05, 0.15, 0.10, 'vinyasa asana hatha ashtanga pilates barre taichi qigong'),
    ('Fitness', '🤸', 'Stretching', 0.55, 0.60, 0.05, 0.05, 0.05,
     'stretch mobility flexibility warmup cooldown physiotherapy physio rehab foam gymnastics acrobatics'),
    ('Fitness', '💃', 'Dancing', 0.75, 0.60, 0.10, 0.60, 0.40,
     'dance dancer ballet salsa tango waltz hiphop breakdance zumba choreography ballroom tap'),
    ('Fitness', '🥋', 'Combat sports', 0.90, 0.55, 0.20, 0.15, 0.30,
     'martial karate judo boxing kickboxing taekwondo jiujitsu fencing wrestling aikido kungfu sparring mma'),
    ('Fitness', '🧗', 'Climbing', 0.90, 0.50, 0.30, 0.15, 0.20, 'climb climber boulder bouldering ropes belay parkour'),
    ('Fitness', '⚽', 'Football', 0.85, 0.55, 0.20, 0.10, 0.60, 'soccer futsal goalkeeper rugby'),
    ('Fitness', '🏐', 'Team sports', 0.85, 0.55, 0.20, 0.10, 0.60,
     'basketball volleyball handball netball hockey cricket baseball softball lacrosse ultimate frisbee'),
    ('Fitness', '🎾', 'Racket sports', 0.80, 0.55, 0.20, 0.10, 0.40,
     'racket tennis badminton squash padel pickleball pingpong'),
    ('Fitness', '🏂', 'Board and ice sports', 0.85, 0.55, 0.10, 0.15, 0.20,
     'ski skiing snowboard snowboarding skate skating skateboard surf surfing kitesurf windsurf ice'),
    ('Fitness', '🚣', 'Rowing', 0.85, 0.55, 0.10, 0.05, 0.25, 'row kayak kayaking canoe paddle paddling sail sailing'),
    ('Fitness', '⛳', 'Golf', 0.50, 0.45, 0.25, 0.10, 0.40, 'golfing bowling darts archery billiards pool snooker'),
    ('Fitness', NULL, 'Fitness', 0.80, 0.55, 0.05, 0.05, 0.15,
     'fit sport sports sporty exercise workout train training athlete athletic athletics body physical triathlon abs'),
    ('Outdoors', '🚶', 'Walking', 0.55, 0.55, 0.05, 0.15, 0.15, 'walk stroll steps wander nordic promenade'),
    ('Outdoors', '🥾', 'Hiking', 0.75, 0.65, 0.10, 0.15, 0.20,
     'hike hiker trek trekking mountain mountaineering trail backpacking orienteering'),
    ('Outdoors', '🏕️', 'Camping', 0.45, 0.60, 0.15, 0.20, 0.40,
     'camp nature outdoors outdoor forest woods wilderness bushcraft foraging picnic park beach'),
    ('Outdoors', '🎣', 'Fishing', 0.30, 0.55, 0.15, 0.10, 0.20, 'fish angling hunting boat boating'),
    ('Outdoors', '🐦', 'Birdwatching', 0.25, 0.55, 0.30, 0.20, 0.15, 'bird birds wildlife stargazing telescope'),
    ('Outdoors', '🌱', 'Gardening', 0.55, 0.55, 0.15, 0.35, 0.10,
     'garden plant plants weed weeding flowers vegetables harvest lawn mowing compost allotment bonsai'),
    ('Outdoors', '🐕', 'Pet care', 0.40, 0.50, 0.05, 0.10, 0.45, 'pet pets dog dogs cat puppy kitten horse grooming aquarium'),
    ('Outdoors', '✈️', 'Travelling', 0.35, 0.45, 0.20, 0.30, 0.45,
     'travel trip vacation holiday sightseeing tourism explore exploring journey roadtrip'),
    ('Creativity', '🎨', 'Drawing', 0.05, 0.20, 0.20, 0.90, 0.05,
     'draw sketch sketching doodle doodling illustration illustrator pencil charcoal manga comic cartoon mandala '
     'portrait anime'),
    ('Creativity', '🖌️', 'Painting', 0.10, 0.25, 0.10, 0.90, 0.05,
     'paint painter watercolor watercolour acrylic gouache oil canvas brush mural graffiti'),
    ('Creativity', '🖋️', 'Calligraphy', 0.05, 0.30, 0.10, 0.80, 0.05, 'lettering handwriting ink typography font'),
    ('Creativity', '✍️', 'Writing', 0.00, 0.15, 0.45, 0.85, 0.10,
     'write writer novel story stories storytelling poem poetry poet fiction blog blogging author screenplay script '
     'scriptwriting worldbuilding nanowrimo'),
    ('Creativity', '📷', 'Photography', 0.20, 0.30, 0.25, 0.80, 0.15, 'photo photos photographer camera picture lightroom'),
    ('Creativity', '🎬', 'Video making', 0.10, 0.20, 0.35, 0.80, 0.20,
     'video film filming filmmaking edit editing youtube animation animate vlog cinematography directing podcasting'),
    ('Creativity', '🖼️', 'Design', 0.05, 0.15, 0.45, 0.85, 0.15,
     'designer graphic ui ux figma poster logo layout photoshop fashion interior wireframe blender'),
    ('Creativity', '🧶', 'Crafts', 0.15, 0.35, 0.20, 0.80, 0.15,
     'craft knit knitting crochet sew sewing embroidery quilting origami weaving jewelry jewellery beading candle '
     'scrapbook macrame leather'),
    ('Creativity', '🏺', 'Pottery', 0.25, 0.35, 0.15, 0.85, 0.15, 'clay ceramic ceramics sculpture sculpting sculptor glass'),
    ('Creativity', '🪚', 'Woodworking', 0.45, 0.30, 0.40, 0.65, 0.10,
     'wood woodwork carve carving carpentry joinery whittling furniture metalwork blacksmith'),
    ('Creativity', '🎭', 'Acting', 0.30, 0.35, 0.15, 0.80, 0.65,
     'act actor theatre theater drama improv improvisation rehearsal comedy cosplay magic juggling circus'),
    ('Creativity', NULL, 'Creativity', 0.10, 0.20, 0.20, 0.85, 0.10,
     'creative create art arts artist artistic imagination hobby'),
    ('Music', '🎤', 'Singing', 0.20, 0.45, 0.10, 0.75, 0.40, 'sing singer choir vocal vocals karaoke voice rap rapping'),
    ('Music', '🎸', 'Guitar', 0.15, 0.30, 0.25, 0.80, 0.15, 'bass ukulele banjo chords mandolin'),
    ('Music', '🎹', 'Piano', 0.10, 0.30, 0.35, 0.80, 0.10, 'keys organ synth synthesizer accordion'),
    ('Music', '🎻', 'Instrument practice', 0.15, 0.30, 0.30, 0.75, 0.20,
     'instrument violin viola cello flute drum drums drummer drumming percussion saxophone trumpet clarinet harp orchestra band jam'),
    ('Music', '🎼', 'Composing', 0.00, 0.20, 0.45, 0.90, 0.10,
     'compose composer songwriting song beat beats producing producer production dj mixing melody lyrics'),
    ('Music', '🎧', 'Listening to music', 0.00, 0.60, 0.10, 0.40, 0.05,
     'listen listening podcast audiobook album playlist radio concert'),
    ('Music', NULL, 'Music', 0.10, 0.35, 0.25, 0.75, 0.20, 'musical musician rhythm solfege harmony'),
    ('Learning', '📝', 'Studying', 0.00, 0.10, 0.85, 0.15, 0.10,
     'study exam exams homework revise revision learn course coursework lecture university school college lesson '
     'flashcards notes quiz assignment certification tutorial mooc'),
    ('Learning', '📖', 'Reading', 0.00, 0.30, 0.65, 0.40, 0.05,
     'read reader book books literature library magazine newspaper news article textbook'),
    ('Learning', '➗', 'Mathematics', 0.00, 0.05, 0.95, 0.25, 0.05,
     'math maths algebra calculus geometry statistics equation equations proof proofs arithmetic probability '
     'trigonometry matrix logic'),
    ('Learning', '🔬', 'Science', 0.05, 0.10, 0.90, 0.30, 0.10,
     'physics chemistry biology lab laboratory experiment astronomy geology anatomy medicine medical genetics ecology'),
    ('Learning', '🗣️', 'Language learning', 0.00, 0.15, 0.65, 0.25, 0.45,
     'language languages vocabulary grammar english spanish french german italian japanese chinese mandarin korean '
     'portuguese arabic russian dutch swedish turkish hindi latin duolingo anki translation translate conversation'),
    ('Learning', '🏛️', 'Humanities', 0.00, 0.10, 0.75, 0.35, 0.20,
     'history philosophy politics economics geography law legal psychology sociology religion anthropology archaeology '
     'genealogy'),
    ('Learning', '🔎', 'Research', 0.00, 0.10, 0.90, 0.40, 0.15,
     'thesis dissertation paper essay analysis analyse analyze investigate survey experiment'),
    ('Learning', '🧑‍🏫', 'Teaching', 0.10, 0.25, 0.55, 0.30, 0.80,
     'teach teacher tutor tutoring mentor mentoring coach coaching instruct instructor workshop explaining'),
    ('Learning', NULL, 'Learning', 0.00, 0.15, 0.80, 0.20, 0.15,
     'education educational knowledge academic student skill skills intellect'),
    ('Technology', '💻', 'Programming', 0.00, 0.05, 0.95, 0.45, 0.10,
     'program programmer code coding coder software developer python javascript typescript java rust golang sql html '
     'css debug debugging algorithm algorithms hack hacking hackathon leetcode web app backend frontend devops git '
     'bug bugs refactor refactoring api database linux compiler cybersecurity'),
    ('Technology', '📊', 'Data analysis', 0.00, 0.05, 0.95, 0.30, 0.10,
     'data analytics spreadsheet excel dashboard visualization machine neural model modelling ai'),
    ('Technology', '🔌', 'Electronics', 0.15, 0.15, 0.85, 0.50, 0.10,
     'electronic solder soldering arduino raspberry robot robotics hardware microcontroller drone radio'),
    ('Technology', '⚙️', 'Engineering', 0.15, 0.15, 0.85, 0.50, 0.15,
     'engineer cad architecture mechanical mechanic mechanics blueprint printing printer car motorcycle engine'),
    ('Technology', NULL, 'Technology', 0.05, 0.10, 0.85, 0.40, 0.10, 'tech technical computer digital informatics computing'),
    ('Work', '🎯', 'Deep work', 0.00, 0.15, 0.75, 0.40, 0.10, 'work focus job career task tasks project concentration office'),
    ('Work', '🗓️', 'Planning', 0.00, 0.20, 0.75, 0.35, 0.10,
     'plan organise organize organising organizing schedule calendar todo review strategy productivity brainstorm'),
    ('Work', '📧', 'E-mail and paperwork', 0.00, 0.15, 0.55, 0.10, 0.35,
     'mail email inbox admin administration paperwork form forms bureaucracy letter application'),
    ('Work', '💰', 'Finances', 0.00, 0.10, 0.85, 0.10, 0.10,
     'finance money budget budgeting tax taxes invoice invoices accounting bookkeeping invest investing trading stocks'),
    ('Work', '🤝', 'Meeting', 0.00, 0.20, 0.45, 0.20, 0.80,
     'meet meetings conference negotiate negotiation interview client customer sales call calls'),
    ('Work', '📽️', 'Presentation', 0.05, 0.30, 0.40, 0.45, 0.75,
     'present presenting speech speeches speaking public slides talk debate debating rhetoric toastmasters'),
    ('Work', '📣', 'Marketing', 0.00, 0.20, 0.45, 0.65, 0.60,
     'network networking brand branding advertising campaign content seo newsletter influencer'),
    ('Work', '🚀', 'Business', 0.00, 0.20, 0.70, 0.50, 0.50,
     'startup entrepreneur entrepreneurship company management manager leadership founder pitch'),
    ('Wellbeing', '🕯️', 'Meditation', 0.05, 0.85, 0.10, 0.20, 0.05,
     'meditate mindfulness mindful calm relax relaxing relaxation zen contemplation pray prayer worship breathing breath '
     'breathwork'),
    ('Wellbeing', '😴', 'Sleep', 0.15, 0.95, 0.00, 0.05, 0.00, 'nap napping rest resting bed recover recovery snooze'),
    ('Wellbeing', '🛁', 'Self-care', 0.15, 0.85, 0.05, 0.15, 0.10,
     'selfcare sauna spa bath bathing shower massage skincare makeup doctor dentist therapy counselling'),
    ('Wellbeing', '📓', 'Journaling', 0.00, 0.55, 0.35, 0.60, 0.05, 'journal diary reflection reflect gratitude affirmations'),
    ('Wellbeing', '🥗', 'Healthy eating', 0.30, 0.75, 0.15, 0.10, 0.15,
     'eat diet nutrition hydration hydrate drink water fasting vegan meal'),
    ('Wellbeing', NULL, 'Wellbeing', 0.30, 0.75, 0.10, 0.15, 0.15, 'wellness health healthy mental mind habit habits balance'),
    ('Social', '🎉', 'Time with friends', 0.10, 0.45, 0.05, 0.20, 0.95,
     'friend friends friendship hangout party gathering date dating chat pub bar coffee socialise socialize'),
    ('Social', '👪', 'Family time', 0.20, 0.45, 0.10, 0.25, 0.90,
     'family kid kids child children parent parents parenting baby childcare babysitting son daughter mother father '
     'grandparents partner'),
    ('Social', '🤲', 'Volunteering', 0.35, 0.40, 0.15, 0.20, 0.90,
     'volunteer charity shelter donate help helping service fundraising fundraiser activism church'),
    ('Social', NULL, 'Social', 0.15, 0.40, 0.15, 0.20, 0.90, 'people relationship relationships team together community club'),
    ('Games', '♟️', 'Chess', 0.00, 0.10, 0.95, 0.30, 0.20, 'checkers shogi backgammon grandmaster'),
    ('Games', '🧩', 'Puzzles', 0.00, 0.20, 0.90, 0.35, 0.05,
     'puzzle sudoku crossword riddle rubik cube jigsaw brain teaser memory trivia'),
    ('Games', '🎲', 'Board games', 0.00, 0.25, 0.55, 0.35, 0.75,
     'boardgame card cards dice monopoly dungeons dragons rpg roleplaying tabletop catan poker bridge domino'),
    ('Games', '🎮', 'Video games', 0.05, 0.20, 0.45, 0.30, 0.30,
     'game games gaming gamer videogame esports playstation xbox nintendo minecraft console'),
    ('Home', '🍳', 'Cooking', 0.25, 0.40, 0.25, 0.65, 0.25,
     'cook chef recipe recipes kitchen dinner lunch breakfast food grill barbecue fermenting brewing'),
    ('Home', '🧁', 'Baking', 0.20, 0.35, 0.30, 0.65, 0.20, 'bake baker bread sourdough cake cakes cookies pastry pizza'),
    ('Home', '🧹', 'Cleaning', 0.50, 0.40, 0.05, 0.05, 0.05,
     'clean tidy tidying declutter vacuum dishes laundry wash washing ironing housework household chores dusting mopping'),
    ('Home', '🔨', 'Home repair', 0.50, 0.30, 0.50, 0.35, 0.10,
     'repair fix fixing renovate renovation diy plumbing tiling assemble assembling maintenance'),
    ('Home', '🛒', 'Shopping', 0.30, 0.25, 0.25, 0.15, 0.25, 'shop groceries grocery market errand errands'),
    ('Home', '📺', 'Watching films', 0.00, 0.45, 0.15, 0.25, 0.15,
     'watch watching tv television series netflix movie movies cinema streaming documentary'),
    ('Home', NULL, 'Home', 0.35, 0.40, 0.15, 0.20, 0.30, 'house domestic homemaking moving commute driving')
), shown AS (
    INSERT INTO learnhub.activities (id, name, emoji, category, color)
    SELECT md5('learnhub activity ' || s.name)::uuid, s.name, s.emoji, s.category, c.color -- the same ids everywhere
    FROM seeds s JOIN colors c USING (category)
    WHERE s.emoji IS NOT NULL
)
INSERT INTO learnhub.rates_profiles (name, words, rates)
SELECT name, words, (physique, energy, logic, creativity, social)::learnhub.rates FROM seeds;

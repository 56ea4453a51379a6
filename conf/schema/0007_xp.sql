-- SPDX-License-Identifier: Apache-2.0
-- XP: goals, activities, focus sessions and the points they earn, and the rates at which activities earn points.

-- ---- tables ----

-- Points per second. Constraints ensure that a stored value has all five.
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
    CONSTRAINT activities_rates_check CHECK (rates IS NULL OR rates IS NOT NULL) -- all five or none
);
CREATE INDEX activities_name_idx ON learnhub.activities (lower(name), id);
COMMENT ON COLUMN learnhub.activities.rates IS
    'Set by an admin; they take precedence over those of the model and of rates_by_words().';

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

-- Focus sessions, active until ended_at is set. If the end of a session is reported first, goal_id, activity_id and
-- started_at are NULL until its start is reported.
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
    CONSTRAINT xp_sessions_id_check -- ids are path segments and must not equal those of other routes
        CHECK (id ~ '^[^/\u0001-\u001f\u007f-\u009f]{1,255}$' AND id NOT IN ('.', '..', 'calculate-rates')),
    CONSTRAINT xp_sessions_span_check CHECK (ended_at >= started_at),
    CONSTRAINT xp_sessions_end_check CHECK ((status = 'active') = (ended_at IS NULL))
);
CREATE INDEX xp_sessions_goal_idx ON learnhub.xp_sessions (goal_id, ended_at DESC, id DESC) WHERE status <> 'active';
CREATE INDEX xp_sessions_earned_idx ON learnhub.xp_sessions (user_id)
    INCLUDE (xp_total, xp_physique, xp_energy, xp_logic, xp_creativity, xp_social) WHERE status <> 'active';
CREATE INDEX xp_sessions_activity_idx ON learnhub.xp_sessions (activity_id);

-- Rates from the model for an activity and a goal. rates is NULL while the model is being queried, and if it returned
-- none. A row is valid only while `question` equals rates_question() of the current names.
CREATE TABLE learnhub.rates_kept (
    activity_id uuid NOT NULL REFERENCES learnhub.activities ON DELETE CASCADE,
    goal_id uuid NOT NULL REFERENCES learnhub.goals ON DELETE CASCADE,
    question text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    rates learnhub.rates,
    PRIMARY KEY (activity_id, goal_id)
);
CREATE INDEX rates_kept_goal_idx ON learnhub.rates_kept (goal_id);

-- The profiles of rates_by_words(): kinds of activities and the words that indicate them.
CREATE TABLE learnhub.rates_profiles (
    name text PRIMARY KEY,
    words text NOT NULL,
    rates learnhub.rates NOT NULL,
    CHECK (rates IS NOT NULL)
);

-- The stems of each profile's name and words, maintained by a trigger.
CREATE TABLE learnhub.rates_words (
    word text NOT NULL,
    profile text NOT NULL REFERENCES learnhub.rates_profiles ON DELETE CASCADE,
    PRIMARY KEY (word, profile)
);

-- The points a user has earned, one entry per ended session. A view, so it always agrees with the sessions, however
-- often they are completed or corrected.
CREATE VIEW learnhub.xp_ledger AS
SELECT id AS session_id, user_id, xp_total, xp_physique, xp_energy, xp_logic, xp_creativity, xp_social
FROM learnhub.xp_sessions
WHERE status <> 'active';

-- ---- functions ----

-- Level n requires 10,000 (n - 1)^2 points: 0, 10,000, 40,000, 90,000 ...
CREATE FUNCTION learnhub.life_level(points bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 1 + floor(sqrt((points / 10000)::float8))::bigint;

-- Finds a user by an id in any API's format: a number, 24 hex digits or a UUID. Returns NULL for other strings and
-- unknown ids.
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

-- A hash of the names that a query to the model contains.
CREATE FUNCTION learnhub.rates_question(activity learnhub.activities, goal learnhub.goals) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN md5(jsonb_build_array((activity).name, (activity).category, (goal).title, (goal).category_name)::text);

-- The distinct stems of an English text.
CREATE FUNCTION learnhub.stems(said text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN tsvector_to_array(to_tsvector('pg_catalog.english'::regconfig, said));

-- Keeps rates_words in step with rates_profiles.
CREATE FUNCTION learnhub.keep_rates_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM learnhub.rates_words WHERE profile = NEW.name;
    INSERT INTO learnhub.rates_words (word, profile)
    SELECT unnest(learnhub.stems(NEW.name || ' ' || NEW.words)), NEW.name;
    RETURN NULL;
END
$$;

/*
 * The built-in rates, used if neither an admin nor the model provides any. The words of four texts count: the
 * activity's name with weight 1, its category 0.4, the goal's title 0.3 and its category 0.2. A word matches the
 * profiles that contain its stem or, if the stem has more than four characters, a similar one (trigram similarity of at
 * least 0.45). The score of a profile is the sum of weight times similarity over its matches, each divided by the
 * number of words of that text that match any profile. The result is the average of the profiles' rates, weighted by
 * the cube of their scores. A default profile with score 0.2 is included: it decides for texts without matches and
 * hardly counts otherwise. Equal texts always give equal rates.
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

-- ---- triggers ----

CREATE TRIGGER keep_rates_words AFTER INSERT OR UPDATE ON learnhub.rates_profiles
    FOR EACH ROW EXECUTE FUNCTION learnhub.keep_rates_words();

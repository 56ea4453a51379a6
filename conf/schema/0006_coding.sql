-- SPDX-License-Identifier: Apache-2.0
-- Coding: sessions that award credits, eco-activities whose points unlock them, and spent credits.
--
-- No totals are stored: credits_of() computes them from these rows. Every change locks the user's row first, which
-- serialises the changes of one user.

-- ---- tables ----

CREATE TABLE learnhub.coding_sessions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES learnhub.users,
    session_name text NOT NULL DEFAULT '',
    seconds integer NOT NULL CHECK (seconds > 0 AND seconds <= 86400),
    source text NOT NULL CHECK (source IN ('manual', 'github')),
    status text NOT NULL DEFAULT 'locked' CHECK (status IN ('locked', 'unlocked')),
    credits_awarded integer NOT NULL GENERATED ALWAYS AS (seconds / 1800 * 5) STORED,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN learnhub.coding_sessions.credits_awarded IS '5 for each complete 30 minutes.';
CREATE INDEX coding_sessions_user_idx ON learnhub.coding_sessions (user_id, id);
CREATE INDEX coding_sessions_credits_idx ON learnhub.coding_sessions (user_id, status, id) INCLUDE (credits_awarded);

-- factor: points per hour.
CREATE TABLE learnhub.eco_kinds (
    kind text PRIMARY KEY,
    factor numeric NOT NULL CHECK (factor >= 0)
);
INSERT INTO learnhub.eco_kinds (kind, factor)
VALUES ('hiking', 12), ('walking', 8), ('running', 15), ('cycling', 20), ('climbing', 25), ('camping', 10),
       ('gardening', 7), ('other', 10);

-- point_parts is seconds times the factor at the time of recording, in 1/3600 of a point: unlike points, parts are
-- exact decimals.
CREATE TABLE learnhub.eco_activities (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES learnhub.users,
    kind text NOT NULL REFERENCES learnhub.eco_kinds,
    seconds integer NOT NULL CHECK (seconds > 0 AND seconds <= 86400),
    description text NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'verified', 'rejected')),
    point_parts numeric NOT NULL CHECK (point_parts >= 0),
    performed_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    verified_at timestamptz,
    CHECK ((verified_at IS NOT NULL) = (status = 'verified'))
);
CREATE INDEX eco_activities_user_idx ON learnhub.eco_activities (user_id, id);
CREATE INDEX eco_activities_points_idx ON learnhub.eco_activities (user_id) INCLUDE (point_parts)
    WHERE status = 'verified';

CREATE TABLE learnhub.credit_spendings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES learnhub.users,
    amount bigint NOT NULL CHECK (amount > 0),
    reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX credit_spendings_user_idx ON learnhub.credit_spendings (user_id) INCLUDE (amount);

-- ---- functions ----

-- The balance of a user. Unlocking a session costs as many points as it awards credits.
CREATE FUNCTION learnhub.credits_of(person bigint, OUT locked_credits bigint, OUT available_credits bigint,
    OUT spent_credits bigint, OUT point_parts numeric) LANGUAGE sql STABLE AS $$
    SELECT c.locked, c.unlocked - s.spent, s.spent, p.parts - 3600 * c.unlocked
    FROM (SELECT coalesce(sum(credits_awarded) FILTER (WHERE status = 'locked'), 0) AS locked,
                 coalesce(sum(credits_awarded) FILTER (WHERE status = 'unlocked'), 0) AS unlocked
          FROM learnhub.coding_sessions WHERE user_id = person) c,
         (SELECT coalesce(sum(amount), 0)::bigint AS spent FROM learnhub.credit_spendings WHERE user_id = person) s,
         (SELECT coalesce(sum(a.point_parts), 0) AS parts FROM learnhub.eco_activities a
          WHERE a.user_id = person AND a.status = 'verified') p
$$;

-- Converts parts to points, rounded to six decimals for display.
CREATE FUNCTION learnhub.points(parts numeric) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN trim_scale(round(parts / 3600, 6));

CREATE FUNCTION learnhub.duration(seconds integer) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN to_char(make_interval(secs => seconds), 'HH24:MI:SS');

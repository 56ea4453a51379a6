-- SPDX-License-Identifier: Apache-2.0
-- Practice: problems, the sessions in which they are worked on, and what is submitted.
--
-- A problem may be deleted while sessions and submissions made for it stay: they name it without a foreign key.

CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE TABLE learnhub.problems (
    id bytea PRIMARY KEY DEFAULT learnhub.object_id() CHECK (length(id) = 12),
    title text NOT NULL,
    description text NOT NULL,
    difficulty text NOT NULL CHECK (difficulty IN ('easy', 'medium', 'hard')),
    categories jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(categories) = 'array'),
    estimated_time text NOT NULL DEFAULT '30 mins',
    requirements jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(requirements) = 'array'),
    constraints jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(constraints) = 'array'),
    hints jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(hints) = 'array'),
    created_by bigint NOT NULL REFERENCES learnhub.users,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- So that a list of 100 stays below 7 MB.
    CONSTRAINT problems_size_check CHECK (octet_length(title) + octet_length(description) + octet_length(categories::text)
        + octet_length(requirements::text) + octet_length(constraints::text) + octet_length(hints::text) <= 65536)
);
CREATE INDEX problems_newest_idx ON learnhub.problems (created_at DESC, id DESC);
CREATE INDEX problems_creator_idx ON learnhub.problems (created_by, created_at DESC, id DESC);
CREATE INDEX problems_search_idx ON learnhub.problems USING gin (title gin_trgm_ops, description gin_trgm_ops);

-- What a search looks for: the text as a regular expression, or literally when it is none. One that is too complex to be
-- compiled ends like one that takes too long.
CREATE FUNCTION learnhub.search_pattern(sought text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    -- The edge of a word, as others write it.
    pattern text := regexp_replace(sought, '(^|[^\\])((?:\\\\)*)\\b', '\1\2\\y', 'g');
BEGIN
    PERFORM '' ~* pattern;
    RETURN pattern;
EXCEPTION WHEN invalid_regular_expression THEN
    IF SQLERRM LIKE '%too complex%' THEN
        RAISE query_canceled USING MESSAGE = 'the regular expression is too complex';
    END IF;
    RETURN regexp_replace(sought, '[][\\^$.|?*+(){}]', '\\\&', 'g');
END
$$;

-- Every answer holds the whole chat.
CREATE FUNCTION learnhub.chat_has_room(messages jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN jsonb_array_length(messages) < 1000 AND octet_length(messages::text) < 1000000;

-- A saved diagram is large, and most saves leave it as it is. The target makes it lie in TOAST even when it is compressed to
-- less than 2 KB: an update that does not touch it does not copy it. The fingerprint is the SHA-256 of the bytes that
-- were last sent for this diagram; the hash is the document's.
CREATE TABLE learnhub.practice_sessions (
    id bytea PRIMARY KEY DEFAULT learnhub.object_id() CHECK (length(id) = 12),
    user_id bigint NOT NULL REFERENCES learnhub.users,
    problem_id bytea NOT NULL CHECK (length(problem_id) = 12),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'submitted', 'abandoned')),
    time_spent bigint NOT NULL DEFAULT 0 CHECK (time_spent >= 0),
    diagram_hash text NOT NULL DEFAULT md5(''),
    diagram_fingerprint bytea NOT NULL DEFAULT sha256('{}'),
    diagram_data json NOT NULL DEFAULT '{}',
    chat_messages jsonb NOT NULL DEFAULT '[]',
    last_saved_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((ended_at IS NOT NULL) = (status IN ('submitted', 'abandoned')))
) WITH (fillfactor = 70, toast_tuple_target = 512);
CREATE UNIQUE INDEX practice_sessions_open_key ON learnhub.practice_sessions (user_id, problem_id)
    WHERE status IN ('active', 'paused');
CREATE INDEX practice_sessions_newest_idx ON learnhub.practice_sessions (user_id, created_at DESC, id DESC);

CREATE TABLE learnhub.submissions (
    id bytea PRIMARY KEY DEFAULT learnhub.object_id() CHECK (length(id) = 12),
    user_id bigint NOT NULL REFERENCES learnhub.users,
    problem_id bytea NOT NULL CHECK (length(problem_id) = 12),
    session_id bytea UNIQUE REFERENCES learnhub.practice_sessions,
    status text NOT NULL DEFAULT 'in-progress' CHECK (status IN ('in-progress', 'completed')),
    score integer NOT NULL DEFAULT 0 CHECK (score BETWEEN 0 AND 100),
    time_spent bigint NOT NULL DEFAULT 0 CHECK (time_spent >= 0),
    diagram_data json NOT NULL DEFAULT '{}',
    strengths jsonb NOT NULL DEFAULT '[]',
    improvements jsonb NOT NULL DEFAULT '[]',
    missing_components jsonb NOT NULL DEFAULT '[]',
    chat_messages jsonb NOT NULL DEFAULT '[]',
    submitted_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX submissions_newest_idx ON learnhub.submissions (user_id, submitted_at DESC, id DESC);
CREATE INDEX submissions_problem_idx ON learnhub.submissions (user_id, problem_id, submitted_at DESC, id DESC);

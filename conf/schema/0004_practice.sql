-- SPDX-License-Identifier: Apache-2.0
-- Practice: problems, sessions in which users work on them, and submissions.
--
-- Sessions and submissions outlive the deletion of their problem, so problem_id has no foreign key.

-- For problems_search_idx, and for similarity() in 0007.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- ---- tables ----

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
    -- Keeps a list of 100 problems below 7 MB.
    CONSTRAINT problems_size_check CHECK (octet_length(title) + octet_length(description)
        + octet_length(categories::text) + octet_length(requirements::text) + octet_length(constraints::text)
        + octet_length(hints::text) <= 65536)
);
CREATE INDEX problems_newest_idx ON learnhub.problems (created_at DESC, id DESC);
CREATE INDEX problems_creator_idx ON learnhub.problems (created_by, created_at DESC, id DESC);
CREATE INDEX problems_search_idx ON learnhub.problems USING gin (title gin_trgm_ops, description gin_trgm_ops);

-- diagram_hash is the MD5 of the diagram as canonical JSON, diagram_fingerprint the SHA-256 of the bytes last sent for
-- it. Diagrams are large, and most saves do not change them. The low toast_tuple_target moves even diagrams that
-- compress to less than 2 KB to TOAST, so that updates of other columns do not copy them.
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

-- ---- functions ----

-- Returns the pattern for a search: `sought` if it is a valid regular expression, otherwise an expression that matches
-- it literally. An expression too complex to compile fails like one that times out.
CREATE FUNCTION learnhub.search_pattern(sought text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    -- \b, the usual word boundary, is \y in PostgreSQL.
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

-- Whether a chat can take another message. Responses contain the whole chat, so its size is limited.
CREATE FUNCTION learnhub.chat_has_room(messages jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN jsonb_array_length(messages) < 1000 AND octet_length(messages::text) < 1000000;

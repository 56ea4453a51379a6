-- SPDX-License-Identifier: Apache-2.0
-- Practice: evaluations of drawings by a language model, and filters of the list of problems.

-- ---- filters of the list of problems ----

CREATE INDEX problems_difficulty_idx ON learnhub.problems (difficulty, created_at DESC, id DESC);

-- The categories in lower case, for searching. Clients search for at most 200 characters; longer categories, which
-- could exceed the size limit of index entries, have no key.
CREATE FUNCTION learnhub.category_keys(categories jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY(SELECT lower(name) FROM jsonb_array_elements_text(categories) AS name WHERE length(name) <= 200);

ALTER TABLE learnhub.problems
    ADD COLUMN category_keys text[] NOT NULL GENERATED ALWAYS AS (learnhub.category_keys(categories)) STORED;
CREATE INDEX problems_category_keys_idx ON learnhub.problems USING gin (category_keys);

-- ---- tables ----

-- The model's evaluations of a user's drawings: the 50 newest. `question` is evaluation_question() of the problem and the
-- drawing. evaluation is NULL while the request with this `claim` is asking the model. A request that finds such a row
-- does not ask, unless `asked_at` is older than the timeout. A row is deleted when the model has failed.
CREATE TABLE learnhub.evaluations (
    user_id bigint NOT NULL REFERENCES learnhub.users ON DELETE CASCADE,
    question text NOT NULL,
    claim uuid NOT NULL DEFAULT gen_random_uuid(),
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    submitting boolean NOT NULL, -- a request that submits the session is waiting for the evaluation
    evaluation jsonb,
    PRIMARY KEY (user_id, question)
);
CREATE INDEX evaluations_newest_idx ON learnhub.evaluations (user_id, asked_at DESC);

-- When a user last caused requests to the model, for model_turn(). UNLOGGED: losing them in a crash is harmless.
CREATE UNLOGGED TABLE learnhub.model_turns (
    user_id bigint NOT NULL REFERENCES learnhub.users ON DELETE CASCADE,
    purpose text NOT NULL CHECK (purpose IN ('evaluation', 'question')),
    taken timestamptz[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (user_id, purpose)
);

-- ---- functions ----

-- Identifies a problem's content and a drawing; NULL without a problem.
CREATE FUNCTION learnhub.evaluation_question(problem learnhub.problems, diagram_hash text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE WHEN (problem).id IS NOT NULL THEN md5(jsonb_build_array((problem).title, (problem).description,
        (problem).requirements, (problem).constraints, diagram_hash)::text) END;

-- Takes one of a user's 20 turns in 5 minutes. Returns NULL, or the seconds until the next turn; then none was taken.
CREATE FUNCTION learnhub.model_turn(account bigint, wanted text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    most CONSTANT integer := 20;
    span CONSTANT interval := '5 minutes';
    recent timestamptz[];
BEGIN
    INSERT INTO learnhub.model_turns (user_id, purpose) VALUES (account, wanted) ON CONFLICT DO NOTHING;
    SELECT taken INTO recent FROM learnhub.model_turns WHERE user_id = account AND purpose = wanted FOR UPDATE;
    recent := ARRAY(SELECT t FROM unnest(recent) t WHERE t > clock_timestamp() - span ORDER BY t);
    IF cardinality(recent) >= most THEN
        RETURN greatest(1, ceil(extract(epoch FROM recent[cardinality(recent) - most + 1] + span - clock_timestamp())));
    END IF;
    UPDATE learnhub.model_turns SET taken = recent || clock_timestamp() WHERE user_id = account AND purpose = wanted;
    RETURN NULL;
END
$$;

-- Claims the evaluation of an open session's drawing for a request. Sets one of: `stored`, the evaluation that exists;
-- `claimed`, if this request must ask the model; `wait`, the seconds until the user may cause another evaluation; or
-- `error`: submitted, abandoned, or submitting if another request is submitting the session. Sets nothing if another
-- request is asking the model. `submits`: the request submits the session; `waits`: it has called this function before.
CREATE FUNCTION learnhub.claim_evaluation(account bigint, session bytea, asked text, submits boolean, waits boolean,
    timeout interval, OUT error text, OUT stored jsonb, OUT claimed uuid, OUT wait integer) LANGUAGE plpgsql AS $$
DECLARE
    kept learnhub.evaluations;
BEGIN
    -- The lock serialises the claims of a session, and waits for a request that ends it.
    SELECT nullif(nullif(status, 'active'), 'paused') INTO error
    FROM learnhub.practice_sessions WHERE id = session AND user_id = account FOR NO KEY UPDATE;
    IF error IS NOT NULL THEN
        RETURN;
    END IF;
    SELECT * INTO kept FROM learnhub.evaluations WHERE user_id = account AND question = asked;
    IF kept.evaluation IS NOT NULL THEN
        stored := kept.evaluation;
    ELSIF kept.asked_at > clock_timestamp() - timeout THEN
        IF submits AND NOT waits AND kept.submitting THEN
            error := 'submitting';
        ELSIF submits THEN
            UPDATE learnhub.evaluations SET submitting = true
            WHERE user_id = account AND question = asked AND NOT submitting;
        END IF;
    ELSE
        wait := learnhub.model_turn(account, 'evaluation');
        IF wait IS NULL THEN
            INSERT INTO learnhub.evaluations AS e (user_id, question, submitting) VALUES (account, asked, submits)
            ON CONFLICT (user_id, question) DO UPDATE
            SET claim = excluded.claim, asked_at = excluded.asked_at, submitting = excluded.submitting,
                evaluation = NULL
            RETURNING e.claim INTO claimed;
            DELETE FROM learnhub.evaluations WHERE user_id = account AND question IN (
                SELECT e.question FROM learnhub.evaluations e WHERE e.user_id = account
                ORDER BY e.asked_at DESC OFFSET 50);
        END IF;
    END IF;
END
$$;

-- Removes what the model returned about a deleted account's drawings.
CREATE FUNCTION learnhub.end_evaluations() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM learnhub.evaluations WHERE user_id = NEW.id;
    DELETE FROM learnhub.model_turns WHERE user_id = NEW.id;
    RETURN NULL;
END
$$;

-- ---- triggers ----

CREATE TRIGGER end_evaluations AFTER UPDATE OF deleted_at ON learnhub.users
    FOR EACH ROW WHEN (NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION learnhub.end_evaluations();

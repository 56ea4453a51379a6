-- SPDX-License-Identifier: Apache-2.0
-- The team of a mentor; descriptions, dates and further statuses of goals; the type of an activity.

-- ---- mentoring ----

ALTER TABLE learnhub.mentor_profiles ADD COLUMN team_number integer
    CONSTRAINT mentor_profiles_team_check CHECK (team_number >= 0);

-- ---- goals ----

-- Without defaults: recent minor releases of PostgreSQL reject them, because functions use the row type of the table.
ALTER TABLE learnhub.goals ADD COLUMN description text, ADD COLUMN finish_by date, ADD COLUMN updated_at timestamptz;
UPDATE learnhub.goals SET description = '', updated_at = created_at;
ALTER TABLE learnhub.goals
    ALTER COLUMN description SET DEFAULT '',
    ALTER COLUMN description SET NOT NULL,
    ALTER COLUMN updated_at SET DEFAULT now(),
    ALTER COLUMN updated_at SET NOT NULL,
    DROP CONSTRAINT goals_status_check,
    ADD CONSTRAINT goals_status_check
        CHECK (status IN ('active', 'ongoing', 'planned', 'paused', 'completed', 'abandoned'));
COMMENT ON COLUMN learnhub.goals.status IS
    'active and ongoing are the same state: clients get the word that was sent.';

CREATE FUNCTION learnhub.touch_goal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

CREATE TRIGGER touch_goal BEFORE UPDATE ON learnhub.goals
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION learnhub.touch_goal();

-- The day of a date YYYY-MM-DD or of a period from today on: 1w, 2w, 1m or 6m (UTC). NULL for NULL and ''.
CREATE FUNCTION learnhub.finish_day(deadline text) RETURNS date LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE WHEN deadline ~ '^[126][wm]$'
        THEN timezone('UTC', now())
             + left(deadline, 1)::integer
             * CASE right(deadline, 1) WHEN 'w' THEN interval '1 week' ELSE interval '1 month' END
        ELSE nullif(deadline, '')::timestamp END::date;

-- ---- activities ----

-- The dimension in which an activity earns the most points; of equal ones the first of physique, energy, logic,
-- creativity and social.
CREATE FUNCTION learnhub.main_dimension(rates learnhub.rates) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE greatest((rates).physique, (rates).energy, (rates).logic, (rates).creativity, (rates).social)
        WHEN (rates).physique THEN 'physique' WHEN (rates).energy THEN 'energy' WHEN (rates).logic THEN 'logic'
        WHEN (rates).creativity THEN 'creativity' ELSE 'social' END;

ALTER TABLE learnhub.activities ADD COLUMN type text
    CHECK (type IN ('physique', 'energy', 'logic', 'creativity', 'social'));
COMMENT ON COLUMN learnhub.activities.type IS
    'The main dimension of the rates or, if an admin has not set any, of rates_by_words(); maintained by triggers.';

CREATE FUNCTION learnhub.keep_activity_type() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.type := learnhub.main_dimension(CASE WHEN NEW.rates IS NOT NULL THEN NEW.rates
                                             ELSE learnhub.rates_by_words(NEW, NULL) END);
    RETURN NEW;
END
$$;

-- Computes the types again after a change of the profiles that rates_by_words() uses. The lock lets concurrent changes
-- of activities wait, because they do not see the new profiles before the commit.
CREATE FUNCTION learnhub.keep_activity_types() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE learnhub.activities IN SHARE ROW EXCLUSIVE MODE;
    UPDATE learnhub.activities SET type = NULL WHERE rates IS NULL; -- keep_activity_type() sets it
    RETURN NULL;
END
$$;

CREATE TRIGGER keep_activity_type BEFORE INSERT OR UPDATE ON learnhub.activities
    FOR EACH ROW EXECUTE FUNCTION learnhub.keep_activity_type();

-- Runs after the row trigger keep_rates_words, and after deletions cascaded to rates_words.
CREATE TRIGGER keep_activity_types AFTER INSERT OR UPDATE OR DELETE ON learnhub.rates_profiles
    FOR EACH STATEMENT EXECUTE FUNCTION learnhub.keep_activity_types();

UPDATE learnhub.activities SET type = NULL; -- runs the trigger
ALTER TABLE learnhub.activities ALTER COLUMN type SET NOT NULL;

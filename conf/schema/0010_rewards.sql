-- SPDX-License-Identifier: Apache-2.0
-- Coding: pictures of eco-activities, rewards and their redemptions, profiles and the leaderboard.

-- ---- tables ----

ALTER TABLE learnhub.eco_activities ADD COLUMN location text NOT NULL DEFAULT '' CHECK (length(location) <= 250);

-- Pictures that prove activities; limit_activity_photos() limits those of a user. As with profile photos, anyone who
-- knows the name can read one, and the content behind a name never changes.
CREATE TABLE learnhub.activity_photos (
    activity_id bigint PRIMARY KEY REFERENCES learnhub.eco_activities ON DELETE CASCADE,
    user_id bigint NOT NULL REFERENCES learnhub.users,
    name text NOT NULL UNIQUE,
    media_type text NOT NULL CHECK (media_type IN ('image/jpeg', 'image/png', 'image/webp', 'image/gif')),
    content bytea NOT NULL CHECK (length(content) > 0)
);
ALTER TABLE learnhub.activity_photos ALTER COLUMN content SET STORAGE EXTERNAL;
CREATE INDEX activity_photos_user_idx ON learnhub.activity_photos (user_id, activity_id);

-- stock NULL: unlimited. icon: a name that the front end maps to a picture.
CREATE TABLE learnhub.rewards (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL CHECK (name <> ''),
    description text NOT NULL DEFAULT '',
    cost integer NOT NULL CHECK (cost > 0),
    category text NOT NULL CHECK (category IN ('environmental', 'merchandise', 'digital')),
    icon text NOT NULL DEFAULT '',
    popular boolean NOT NULL DEFAULT false,
    stock integer CHECK (stock >= 0),
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX rewards_list_idx ON learnhub.rewards (cost, name, id);

-- The cost of a redemption, and the reward's name at that time, are in its spending: credits_of() needs no other sum.
CREATE TABLE learnhub.redemptions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES learnhub.users,
    reward_id bigint NOT NULL REFERENCES learnhub.rewards,
    spending_id bigint NOT NULL UNIQUE REFERENCES learnhub.credit_spendings,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX redemptions_user_idx ON learnhub.redemptions (user_id, id);

-- A user without a row has the default values. github_username follows GitHub's rules; its length is limited to 39.
CREATE TABLE learnhub.coding_profiles (
    user_id bigint PRIMARY KEY REFERENCES learnhub.users ON DELETE CASCADE,
    github_username text CHECK (github_username ~ '^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$' AND length(github_username) <= 39),
    on_leaderboard boolean NOT NULL DEFAULT true,
    unlocked_credits bigint NOT NULL DEFAULT 0 CHECK (unlocked_credits >= 0)
);
COMMENT ON COLUMN learnhub.coding_profiles.unlocked_credits IS
    'The credits of all unlocked sessions, spent or not, kept by the trigger count_unlocked_credits for the leaderboard.';
CREATE INDEX coding_profiles_rank_idx ON learnhub.coding_profiles (unlocked_credits DESC, user_id)
    WHERE on_leaderboard AND unlocked_credits > 0;

INSERT INTO learnhub.coding_profiles (user_id, unlocked_credits)
SELECT user_id, sum(credits_awarded) FROM learnhub.coding_sessions WHERE status = 'unlocked' GROUP BY user_id;

CREATE INDEX coding_sessions_day_idx
    ON learnhub.coding_sessions (user_id, ((created_at AT TIME ZONE 'UTC')::date));

-- ---- functions ----

-- The numbers of consecutive UTC days with coding sessions. The current streak ends today or yesterday, else it is 0.
-- Each day costs one index lookup, however many sessions it has.
CREATE FUNCTION learnhub.streaks_of(person bigint, OUT current_streak bigint, OUT longest_streak bigint)
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE days (day) AS (
        SELECT max((created_at AT TIME ZONE 'UTC')::date) FROM learnhub.coding_sessions WHERE user_id = person
        UNION ALL
        SELECT (SELECT max((s.created_at AT TIME ZONE 'UTC')::date) FROM learnhub.coding_sessions s
                WHERE s.user_id = person AND (s.created_at AT TIME ZONE 'UTC')::date < d.day)
        FROM days d WHERE d.day IS NOT NULL
    ), numbered AS (
        SELECT day, day + row_number() OVER (ORDER BY day DESC)::int AS run FROM days WHERE day IS NOT NULL
    ), runs AS (
        SELECT max(day) AS ends, count(*) AS length FROM numbered GROUP BY run
    )
    SELECT coalesce(max(length) FILTER (WHERE ends >= (now() AT TIME ZONE 'UTC')::date - 1), 0),
           coalesce(max(length), 0)
    FROM runs
$$;

-- A name for other users, never an e-mail address or a part of one: the username, or if that has an `@`, the first
-- name, or if that is empty or has an `@` too, `user-<id>`.
CREATE FUNCTION learnhub.public_name(account bigint, username text, first_name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN username NOT LIKE '%@%' THEN username
                WHEN first_name <> '' AND first_name NOT LIKE '%@%' THEN first_name
                ELSE 'user-' || account END;

-- Called when sessions change; `changed` is a transition table with their old or new rows. Only users with unlocked
-- sessions in it need a new sum. Changes of one user are serialised by the lock on the user's row, so that the sum is
-- complete.
CREATE FUNCTION learnhub.count_unlocked_credits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO learnhub.coding_profiles AS p (user_id, unlocked_credits)
    SELECT c.user_id, (SELECT coalesce(sum(s.credits_awarded), 0) FROM learnhub.coding_sessions s
                       WHERE s.user_id = c.user_id AND s.status = 'unlocked')
    FROM (SELECT DISTINCT user_id FROM changed WHERE status = 'unlocked') c
    ON CONFLICT (user_id) DO UPDATE SET unlocked_credits = excluded.unlocked_credits
    WHERE p.unlocked_credits <> excluded.unlocked_credits;
    RETURN NULL;
END
$$;

-- Limits the pictures of one user to 100, of together 100 MiB: a further one replaces those of the oldest activities
-- which have been verified or rejected, as many as necessary. If the pictures of pending activities leave no room for
-- it, it is rejected (activity_photos_limit). A deleted account gets none.
CREATE FUNCTION learnhub.limit_activity_photos() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    max_photos CONSTANT bigint := 100;
    max_bytes CONSTANT bigint := 100 * 1024 * 1024;
    photos bigint; -- with the new one
    bytes bigint;
BEGIN
    PERFORM FROM learnhub.users WHERE id = NEW.user_id AND deleted_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT count(*) + 1, coalesce(sum(octet_length(content)), 0) + octet_length(NEW.content) INTO photos, bytes
    FROM learnhub.activity_photos WHERE user_id = NEW.user_id;
    WITH decided AS (
        SELECT p.activity_id, octet_length(p.content) AS size, row_number() OVER oldest AS n,
               sum(octet_length(p.content)) OVER oldest AS total
        FROM learnhub.activity_photos p JOIN learnhub.eco_activities a ON a.id = p.activity_id
        WHERE p.user_id = NEW.user_id AND a.status <> 'pending' WINDOW oldest AS (ORDER BY p.activity_id)
    ), removed AS (
        DELETE FROM learnhub.activity_photos p USING decided d
        WHERE p.activity_id = d.activity_id
          AND (photos - d.n >= max_photos OR bytes - (d.total - d.size) > max_bytes)
        RETURNING d.size
    )
    SELECT photos - count(*), bytes - coalesce(sum(size), 0) INTO photos, bytes FROM removed;
    IF photos > max_photos OR bytes > max_bytes THEN
        RAISE check_violation
            USING MESSAGE = 'too many pictures of pending activities', CONSTRAINT = 'activity_photos_limit';
    END IF;
    RETURN NEW;
END
$$;

-- Removes the personal data of a deleted account.
CREATE FUNCTION learnhub.end_coding() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM learnhub.activity_photos WHERE user_id = NEW.id;
    UPDATE learnhub.eco_activities SET location = '' WHERE user_id = NEW.id AND location <> '';
    UPDATE learnhub.coding_profiles SET github_username = NULL, on_leaderboard = false WHERE user_id = NEW.id;
    RETURN NULL;
END
$$;

-- ---- triggers ----

CREATE TRIGGER count_inserted_credits AFTER INSERT ON learnhub.coding_sessions
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION learnhub.count_unlocked_credits();

-- Sessions that were unlocked before the update, and those that are unlocked after it.
CREATE TRIGGER count_replaced_credits AFTER UPDATE ON learnhub.coding_sessions
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION learnhub.count_unlocked_credits();

CREATE TRIGGER count_updated_credits AFTER UPDATE ON learnhub.coding_sessions
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION learnhub.count_unlocked_credits();

CREATE TRIGGER count_deleted_credits AFTER DELETE ON learnhub.coding_sessions
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION learnhub.count_unlocked_credits();

CREATE TRIGGER limit_activity_photos BEFORE INSERT ON learnhub.activity_photos
    FOR EACH ROW EXECUTE FUNCTION learnhub.limit_activity_photos();

CREATE TRIGGER end_coding AFTER UPDATE OF deleted_at ON learnhub.users
    FOR EACH ROW WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION learnhub.end_coding();

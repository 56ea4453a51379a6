-- SPDX-License-Identifier: Apache-2.0
-- Coding: profiles, eco-activities, coding sessions, spent credits, rewards and redemptions.

INSERT INTO kinds (kind, target, key, ordering, models) VALUES
    ('profiles', 'learnhub.coding_profiles', 'user', 'line', '{profile,userprofile}'),
    ('activities', 'learnhub.eco_activities', 'number', 'line', '{activity,ecoactivity}'),
    ('sessions', 'learnhub.coding_sessions', 'number', 'line', '{codingsession}'),
    ('rewards', 'learnhub.rewards', 'number', 'line', '{reward}'),
    ('spendings', 'learnhub.credit_spendings', 'number', 'line', '{spending,creditspending}'),
    ('redemptions', 'learnhub.redemptions', 'number', 'line', '{redemption,rewardredemption}');

INSERT INTO columns (kind, name, type, required, low, high, words, fallback, aliases, lenient) VALUES
    ('profiles', 'id', 'id', true, NULL, NULL, NULL, NULL, '{pk,user,user_id}', false),
    ('profiles', 'user_id', 'of users', true, NULL, NULL, NULL, NULL, '{user,pk,id}', false),
    ('profiles', 'github_username', 'github name', false, NULL, NULL, NULL, NULL, '{}', true),
    ('profiles', 'on_leaderboard', 'boolean', false, NULL, NULL, NULL, 'true', '{}', false),

    ('activities', 'id', 'id', true, NULL, NULL, NULL, NULL, '{pk}', false),
    ('activities', 'user_id', 'of users', true, NULL, NULL, NULL, NULL, '{user}', false),
    ('activities', 'kind', 'line', false, 0, 250, NULL, '''other''', '{activity,activity_type}', false),
    ('activities', 'duration', 'duration', true, 1, 86400, NULL, NULL, '{}', false),
    ('activities', 'description', 'text', false, 0, 2000, NULL, '''''', '{}', false),
    ('activities', 'location', 'line', false, 0, 250, NULL, '''''', '{}', true),
    ('activities', 'status', 'word', false, NULL, NULL, '{pending,verified,rejected}', '''pending''', '{}', false),
    ('activities', 'points', 'decimal', false, 0, 1000000, NULL, NULL, '{}', false),
    ('activities', 'performed_at', 'time', false, NULL, NULL, NULL, NULL, '{activity_date,date}', false),
    ('activities', 'created_at', 'time', false, NULL, NULL, NULL, 'now()', '{}', false),
    ('activities', 'verified_at', 'time', false, NULL, NULL, NULL, NULL, '{}', false),

    ('sessions', 'id', 'id', true, NULL, NULL, NULL, NULL, '{pk}', false),
    ('sessions', 'user_id', 'of users', true, NULL, NULL, NULL, NULL, '{user}', false),
    ('sessions', 'session_name', 'line', false, 0, 250, NULL, '''''', '{}', false),
    ('sessions', 'duration', 'duration', true, 1, 86400, NULL, NULL, '{}', false),
    ('sessions', 'source', 'word', false, NULL, NULL, '{manual,github}', '''manual''', '{}', false),
    ('sessions', 'status', 'word', false, NULL, NULL, '{locked,unlocked}', '''locked''', '{}', false),
    ('sessions', 'created_at', 'time', false, NULL, NULL, NULL, 'now()', '{}', false),

    ('spendings', 'id', 'id', true, NULL, NULL, NULL, NULL, '{pk}', false),
    ('spendings', 'user_id', 'of users', true, NULL, NULL, NULL, NULL, '{user}', false),
    ('spendings', 'amount', 'number', true, 1, 2147483647, NULL, NULL, '{}', false),
    ('spendings', 'reason', 'line', false, 1, 250, NULL, '''Imported''', '{}', false),
    ('spendings', 'created_at', 'time', false, NULL, NULL, NULL, 'now()', '{}', false),

    ('rewards', 'id', 'id', true, NULL, NULL, NULL, NULL, '{pk}', false),
    ('rewards', 'name', 'line', true, 1, 150, NULL, NULL, '{}', false),
    ('rewards', 'description', 'text', false, 0, 2000, NULL, '''''', '{}', false),
    ('rewards', 'cost', 'number', true, 1, 2147483647, NULL, NULL, '{}', false),
    ('rewards', 'category', 'word', false, NULL, NULL, '{environmental,merchandise,digital}', '''environmental''',
     '{}', true),
    ('rewards', 'icon', 'line', false, 0, 100, NULL, '''''', '{}', true),
    ('rewards', 'popular', 'boolean', false, NULL, NULL, NULL, 'false', '{}', false),
    ('rewards', 'stock', 'number', false, 0, 2147483647, NULL, NULL, '{}', false),
    ('rewards', 'is_active', 'boolean', false, NULL, NULL, NULL, 'true', '{}', false),
    ('rewards', 'created_at', 'time', false, NULL, NULL, NULL, 'now()', '{}', false),

    ('redemptions', 'id', 'id', true, NULL, NULL, NULL, NULL, '{pk}', false),
    ('redemptions', 'user_id', 'of users', true, NULL, NULL, NULL, NULL, '{user}', false),
    ('redemptions', 'reward', 'of rewards', true, NULL, NULL, NULL, NULL, '{reward_id}', false),
    ('redemptions', 'cost', 'number', false, 1, 2147483647, NULL, NULL, '{credits_spent}', false),
    ('redemptions', 'created_at', 'time', false, NULL, NULL, NULL, 'now()', '{date,redeemed_at}', false);

-- Locks the accounts of a batch, which serialises the changes of their credits.
CREATE FUNCTION pg_temp.lock_owners(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM learnhub.users u
    WHERE u.id IN (SELECT r.user_id::bigint FROM accepted a JOIN parsed r USING (line) WHERE a.n BETWEEN first AND last)
    ORDER BY u.id FOR NO KEY UPDATE;
END
$$;

CREATE FUNCTION pg_temp.check_profiles() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.reject_repeated('user_id', 'user_id', 'The account has a profile in an earlier line.');
END
$$;

CREATE FUNCTION pg_temp.load_profiles(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    added text[];
BEGIN
    WITH inserted AS (
        INSERT INTO learnhub.coding_profiles AS p (user_id, github_username, on_leaderboard)
        SELECT r.user_id::bigint, r.github_username, r.on_leaderboard
        FROM accepted a JOIN parsed r USING (line)
        WHERE a.n BETWEEN first AND last
        ON CONFLICT (user_id) DO UPDATE SET github_username = coalesce(p.github_username, excluded.github_username)
        RETURNING user_id)
    SELECT coalesce(array_agg(user_id::text), '{}') INTO added FROM inserted;
    PERFORM pg_temp.settle('coding/profiles', first, last, added, 'user_id', 'The account has a profile.');
END
$$;

CREATE FUNCTION pg_temp.check_activities() RETURNS void LANGUAGE sql AS '';

CREATE FUNCTION pg_temp.load_activities(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    added text[];
BEGIN
    PERFORM pg_temp.lock_owners(first, last);
    WITH inserted AS (
        INSERT INTO learnhub.eco_activities (id, user_id, kind, seconds, description, location, status, point_parts,
                                             performed_at, created_at, verified_at)
        OVERRIDING SYSTEM VALUE
        SELECT a.new_id::bigint, r.user_id::bigint, k.kind, r.duration, r.description, r.location, r.status,
               coalesce(r.points * 3600, k.factor * r.duration), coalesce(r.performed_at, r.created_at), r.created_at,
               CASE WHEN r.status = 'verified' THEN coalesce(r.verified_at, r.created_at) END
        FROM accepted a JOIN parsed r USING (line)
        LEFT JOIN learnhub.eco_kinds e ON e.kind = lower(r.kind)
        JOIN learnhub.eco_kinds k ON k.kind = coalesce(e.kind, 'other')
        WHERE a.n BETWEEN first AND last
        ORDER BY a.n
        ON CONFLICT DO NOTHING
        RETURNING id::text)
    SELECT coalesce(array_agg(id), '{}') INTO added FROM inserted;
    PERFORM pg_temp.settle('coding/activities', first, last, added, 'id', 'The id is taken.');
END
$$;

CREATE FUNCTION pg_temp.check_sessions() RETURNS void LANGUAGE sql AS '';

-- If the activities do not have the points that unlocked sessions have cost, a verified activity of one second makes up
-- for them: points_to_unlock is never negative, and the user keeps the credits.
CREATE FUNCTION pg_temp.load_sessions(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    added text[];
BEGIN
    PERFORM pg_temp.lock_owners(first, last);
    WITH inserted AS (
        INSERT INTO learnhub.coding_sessions (id, user_id, session_name, seconds, source, status, created_at)
        OVERRIDING SYSTEM VALUE
        SELECT a.new_id::bigint, r.user_id::bigint, r.session_name, r.duration, r.source, r.status, r.created_at
        FROM accepted a JOIN parsed r USING (line)
        WHERE a.n BETWEEN first AND last
        ORDER BY a.n
        ON CONFLICT DO NOTHING
        RETURNING id::text)
    SELECT coalesce(array_agg(id), '{}') INTO added FROM inserted;
    PERFORM pg_temp.settle('coding/sessions', first, last, added, 'id', 'The id is taken.');
    WITH short AS (
        SELECT o.user_id, o.line, -c.point_parts AS missing
        FROM (SELECT r.user_id::bigint AS user_id, min(r.line) AS line
              FROM accepted a JOIN parsed r USING (line)
              WHERE a.n BETWEEN first AND last AND r.status = 'unlocked' GROUP BY 1) o,
             learnhub.credits_of(o.user_id) c
        WHERE c.point_parts < 0),
    balanced AS (
        INSERT INTO learnhub.eco_activities (user_id, kind, seconds, description, status, point_parts, verified_at)
        SELECT user_id, 'other', 1, 'Imported balance', 'verified', missing, now() FROM short)
    INSERT INTO report (line, name, value, result, reason)
    SELECT line, 'status', 'unlocked', 'changed',
           format('The activities have too few points for the unlocked sessions of account %s; an activity "Imported '
                  'balance" of %s points was added.', user_id, learnhub.points(missing))
    FROM short;
END
$$;

CREATE FUNCTION pg_temp.check_spendings() RETURNS void LANGUAGE sql AS '';

-- An account cannot have spent more credits than its sessions have unlocked.
CREATE FUNCTION pg_temp.load_spendings(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    added text[];
BEGIN
    PERFORM pg_temp.lock_owners(first, last);
    WITH given AS (
        SELECT a.n, a.new_id::bigint AS id, r.user_id::bigint AS user_id, r.amount, r.reason, r.created_at,
               sum(r.amount) OVER (PARTITION BY r.user_id ORDER BY a.n) AS total
        FROM accepted a JOIN parsed r USING (line)
        WHERE a.n BETWEEN first AND last),
    balance AS MATERIALIZED (
        SELECT o.user_id, c.available_credits
        FROM (SELECT DISTINCT user_id FROM given) o, learnhub.credits_of(o.user_id) c),
    inserted AS (
        INSERT INTO learnhub.credit_spendings (id, user_id, amount, reason, created_at)
        OVERRIDING SYSTEM VALUE
        SELECT g.id, g.user_id, g.amount, g.reason, g.created_at
        FROM given g JOIN balance b ON b.user_id = g.user_id AND g.total <= b.available_credits
        ORDER BY g.n
        ON CONFLICT DO NOTHING
        RETURNING id::text)
    SELECT coalesce(array_agg(id), '{}') INTO added FROM inserted;
    PERFORM pg_temp.settle('coding/spendings', first, last, added, 'amount',
                           'The sessions of the account have not unlocked so many credits.');
END
$$;

CREATE FUNCTION pg_temp.check_rewards() RETURNS void LANGUAGE sql AS '';

CREATE FUNCTION pg_temp.load_rewards(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    added text[];
BEGIN
    WITH inserted AS (
        INSERT INTO learnhub.rewards (id, name, description, cost, category, icon, popular, stock, is_active,
                                      created_at)
        OVERRIDING SYSTEM VALUE
        SELECT a.new_id::bigint, r.name, r.description, r.cost, r.category, r.icon, r.popular, r.stock, r.is_active,
               r.created_at
        FROM accepted a JOIN parsed r USING (line)
        WHERE a.n BETWEEN first AND last
        ORDER BY a.n
        ON CONFLICT DO NOTHING
        RETURNING id::text)
    SELECT coalesce(array_agg(id), '{}') INTO added FROM inserted;
    PERFORM pg_temp.settle('coding/rewards', first, last, added, 'id', 'The id is taken.');
END
$$;

CREATE FUNCTION pg_temp.check_redemptions() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE parsed r SET cost = w.cost FROM learnhub.rewards w WHERE w.id = r.reward::bigint AND r.cost IS NULL;
END
$$;

-- A redemption has a spending with the cost and the reward's name. The stock has been counted by the original.
CREATE FUNCTION pg_temp.load_redemptions(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    added text[];
BEGIN
    PERFORM pg_temp.lock_owners(first, last);
    WITH given AS (
        SELECT a.n, a.new_id::bigint AS id, r.user_id::bigint AS user_id, r.cost, w.id AS reward_id, w.name,
               r.created_at, sum(r.cost) OVER (PARTITION BY r.user_id ORDER BY a.n) AS total
        FROM accepted a JOIN parsed r USING (line) JOIN learnhub.rewards w ON w.id = r.reward::bigint
        WHERE a.n BETWEEN first AND last),
    balance AS MATERIALIZED (
        SELECT o.user_id, c.available_credits
        FROM (SELECT DISTINCT user_id FROM given) o, learnhub.credits_of(o.user_id) c),
    paid AS MATERIALIZED (
        SELECT g.*, nextval('learnhub.credit_spendings_id_seq') AS spending_id
        FROM given g JOIN balance b ON b.user_id = g.user_id AND g.total <= b.available_credits),
    spent AS (
        INSERT INTO learnhub.credit_spendings (id, user_id, amount, reason, created_at)
        OVERRIDING SYSTEM VALUE
        SELECT spending_id, user_id, cost, name, created_at FROM paid ORDER BY n),
    inserted AS (
        INSERT INTO learnhub.redemptions (id, user_id, reward_id, spending_id, created_at)
        OVERRIDING SYSTEM VALUE
        SELECT id, user_id, reward_id, spending_id, created_at FROM paid ORDER BY n
        RETURNING id::text)
    SELECT coalesce(array_agg(id), '{}') INTO added FROM inserted;
    PERFORM pg_temp.settle('coding/redemptions', first, last, added, 'cost',
                           'The sessions of the account have not unlocked so many credits.');
END
$$;

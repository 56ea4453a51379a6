-- SPDX-License-Identifier: Apache-2.0
-- XP: categories (only for this run), activities, goals and focus sessions. A category is its name, the id of one in
-- the file of categories, or an object with name and color.

INSERT INTO kinds (kind, target, key, models) VALUES
    ('categories', NULL, 'text', '{category,goalcategory,activitycategory}'),
    ('activities', 'learnhub.activities', 'uuid', '{activity}'),
    ('goals', 'learnhub.goals', 'uuid', '{goal}'),
    ('sessions', 'learnhub.xp_sessions', 'text', '{session,focussession}');

INSERT INTO columns (kind, name, type, required, low, high, words, fallback, aliases, lenient) VALUES
    ('categories', 'id', 'id', true, NULL, NULL, NULL, NULL, '{pk}', false),
    ('categories', 'name', 'line', true, 1, 100, NULL, NULL, '{}', false),
    ('categories', 'color', 'color', false, NULL, NULL, NULL, '''#4187a2''', '{}', true),

    ('activities', 'id', 'id', true, NULL, NULL, NULL, NULL, '{pk}', false),
    ('activities', 'name', 'line', true, 1, 100, NULL, NULL, '{}', false),
    ('activities', 'emoji', 'line', false, 0, 16, NULL, '''⭐''', '{}', true),
    ('activities', 'category', 'line', false, 1, 100, NULL, '''General''',
     '{category.name,category_name,category_id}', false),
    ('activities', 'color', 'color', false, NULL, NULL, NULL, NULL, '{category.color,category_color}', true),
    ('activities', 'physique', 'decimal', false, 0, 100, NULL, NULL, '{rates.physique}', true),
    ('activities', 'energy', 'decimal', false, 0, 100, NULL, NULL, '{rates.energy}', true),
    ('activities', 'logic', 'decimal', false, 0, 100, NULL, NULL, '{rates.logic}', true),
    ('activities', 'creativity', 'decimal', false, 0, 100, NULL, NULL, '{rates.creativity}', true),
    ('activities', 'social', 'decimal', false, 0, 100, NULL, NULL, '{rates.social}', true),
    ('activities', 'created_at', 'time', false, NULL, NULL, NULL, 'now()', '{}', false),

    ('goals', 'id', 'id', true, NULL, NULL, NULL, NULL, '{pk}', false),
    ('goals', 'user_id', 'of users', true, NULL, NULL, NULL, NULL, '{user}', false),
    ('goals', 'title', 'line', true, 1, 200, NULL, NULL, '{}', false),
    ('goals', 'emoji', 'line', false, 0, 16, NULL, '''🎯''', '{}', true),
    ('goals', 'category', 'line', false, 0, 100, NULL, '''General''',
     '{category.name,category_name,category_id}', false),
    ('goals', 'category_color', 'color', false, NULL, NULL, NULL, NULL, '{category.color,color}', true),
    ('goals', 'days_total', 'number', false, 1, 36500, NULL, '30', '{}', false),
    ('goals', 'status', 'word', false, NULL, NULL, '{active,ongoing,planned,paused,completed,abandoned}', '''active''',
     '{}', false),
    ('goals', 'description', 'text', false, 0, 2000, NULL, '''''', '{}', false),
    ('goals', 'finish_by', 'date', false, NULL, NULL, NULL, NULL, '{}', true),
    ('goals', 'created_at', 'time', false, NULL, NULL, NULL, 'now()', '{}', false),
    ('goals', 'updated_at', 'time', false, NULL, NULL, NULL, NULL, '{}', false),

    ('sessions', 'id', 'id', true, NULL, NULL, NULL, NULL, '{pk,session_id}', false),
    ('sessions', 'user_id', 'of users', true, NULL, NULL, NULL, NULL, '{user}', false),
    ('sessions', 'goal', 'of goals', false, NULL, NULL, NULL, NULL, '{goal_id}', false),
    ('sessions', 'activity', 'of activities', false, NULL, NULL, NULL, NULL, '{activity_id}', false),
    ('sessions', 'status', 'word', true, NULL, NULL, '{active,completed,abandoned}', NULL, '{}', false),
    ('sessions', 'started_at', 'time', false, NULL, NULL, NULL, NULL, '{}', false),
    ('sessions', 'ended_at', 'time', false, NULL, NULL, NULL, NULL, '{}', false),
    ('sessions', 'total_duration_seconds', 'number', false, 0, 2147483647, NULL, NULL, '{}', false),
    ('sessions', 'focused_duration_seconds', 'number', false, 0, 2147483647, NULL, NULL, '{}', false),
    ('sessions', 'xp_total', 'number', false, 0, 2147483647, NULL, '0', '{}', false),
    ('sessions', 'xp_physique', 'number', false, 0, 2147483647, NULL, '0', '{}', false),
    ('sessions', 'xp_energy', 'number', false, 0, 2147483647, NULL, '0', '{}', false),
    ('sessions', 'xp_logic', 'number', false, 0, 2147483647, NULL, '0', '{}', false),
    ('sessions', 'xp_creativity', 'number', false, 0, 2147483647, NULL, '0', '{}', false),
    ('sessions', 'xp_social', 'number', false, 0, 2147483647, NULL, '0', '{}', false),
    ('sessions', 'completed_reason', 'word', false, NULL, NULL, '{manual,auto,abandoned,timeout,crash_recovered}', NULL,
     '{}', true),
    ('sessions', 'device_platform', 'line', false, 0, 50, NULL, NULL, '{}', true),
    ('sessions', 'created_at', 'time', false, NULL, NULL, NULL, NULL, '{}', false);

CREATE TEMP TABLE categories (id text PRIMARY KEY, name text NOT NULL, color text NOT NULL);

CREATE FUNCTION pg_temp.check_categories() RETURNS void LANGUAGE sql AS '';

CREATE FUNCTION pg_temp.load_categories(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO categories (id, name, color)
    SELECT a.original, r.name, r.color FROM accepted a JOIN parsed r USING (line) WHERE a.n BETWEEN first AND last;
END
$$;

CREATE FUNCTION pg_temp.check_activities() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE parsed r SET category = c.name, color = coalesce(r.color, c.color) FROM categories c WHERE c.id = r.category;
    UPDATE parsed SET color = '#4187a2' WHERE color IS NULL;
END
$$;

-- An activity with the name and category of one that exists becomes that one, so that the catalogue shows it once.
CREATE FUNCTION pg_temp.load_activities(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    r record;
    found_id uuid;
BEGIN
    FOR r IN SELECT p.*, a.original, a.new_id::uuid AS new_id FROM accepted a JOIN parsed p USING (line)
             WHERE a.n BETWEEN first AND last ORDER BY a.n LOOP
        found_id := (SELECT min(x.id::text)::uuid FROM learnhub.activities x
                     WHERE lower(x.name) = lower(r.name) AND lower(x.category) = lower(r.category));
        IF found_id IS NULL THEN
            INSERT INTO learnhub.activities (id, name, emoji, category, color, rates, created_at)
            VALUES (r.new_id, r.name, r.emoji, r.category, r.color,
                    CASE WHEN num_nulls(r.physique, r.energy, r.logic, r.creativity, r.social) = 0
                         THEN (r.physique, r.energy, r.logic, r.creativity, r.social)::learnhub.rates END,
                    r.created_at);
        ELSE
            INSERT INTO report (line, name, value, result, reason)
            VALUES (r.line, 'name', left(r.name, 100), 'merged',
                    format('The catalogue has this activity: %s.', found_id));
        END IF;
        INSERT INTO learnhub_import.ids (kind, original, id)
        VALUES ('xp/activities', r.original, coalesce(found_id, r.new_id));
    END LOOP;
END
$$;

CREATE FUNCTION pg_temp.check_goals() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE parsed r SET category = c.name, category_color = coalesce(r.category_color, c.color)
    FROM categories c WHERE c.id = r.category;
    UPDATE parsed SET category_color = '#4187a2' WHERE category_color IS NULL;
END
$$;

CREATE FUNCTION pg_temp.load_goals(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    added text[];
BEGIN
    WITH inserted AS (
        INSERT INTO learnhub.goals (id, user_id, title, emoji, category_name, category_color, days_total, status,
                                    description, finish_by, created_at, updated_at)
        SELECT a.new_id::uuid, r.user_id::bigint, r.title, r.emoji, r.category, r.category_color, r.days_total,
               r.status, r.description, r.finish_by, r.created_at, coalesce(r.updated_at, r.created_at)
        FROM accepted a JOIN parsed r USING (line)
        WHERE a.n BETWEEN first AND last
        ORDER BY a.n
        ON CONFLICT DO NOTHING
        RETURNING id::text)
    SELECT coalesce(array_agg(id), '{}') INTO added FROM inserted;
    PERFORM pg_temp.settle('xp/goals', first, last, added, 'id', 'The id is taken.');
END
$$;

CREATE FUNCTION pg_temp.check_sessions() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.reject('r.id IN (''.'', ''..'', ''calculate-rates'') OR r.id ~ ''[/\u0001-\u001f\u007f-\u009f]''',
                           'id', 'An id has 1 to 255 printable characters without a slash.');
    PERFORM pg_temp.reject('EXISTS (SELECT FROM learnhub.goals g WHERE g.id = r.goal::uuid '
                           'AND g.user_id <> r.user_id::bigint)', 'goal', 'This is a goal of another user.');
    PERFORM pg_temp.reject('r.goal IS NOT NULL AND NOT EXISTS (SELECT FROM learnhub.goals g WHERE g.id = r.goal::uuid)',
                           'goal', 'The goal has been deleted.');
    PERFORM pg_temp.reject('r.status = ''active'' AND r.ended_at IS NOT NULL', 'ended_at',
                           'A session that is active has no end.');
    UPDATE parsed SET ended_at = started_at + make_interval(secs => coalesce(total_duration_seconds, 0))
    WHERE status <> 'active' AND ended_at IS NULL;
    PERFORM pg_temp.reject('r.status <> ''active'' AND r.ended_at IS NULL', 'ended_at', 'This is required.');
    PERFORM pg_temp.reject('r.ended_at < r.started_at', 'ended_at', 'The end may not be before the start.');
END
$$;

CREATE FUNCTION pg_temp.load_sessions(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    added text[];
BEGIN
    WITH inserted AS (
        INSERT INTO learnhub.xp_sessions (id, user_id, goal_id, activity_id, status, started_at, ended_at,
            total_duration_seconds, focused_duration_seconds, xp_total, xp_physique, xp_energy, xp_logic, xp_creativity,
            xp_social, completed_reason, device_platform, created_at)
        SELECT a.new_id, r.user_id::bigint, r.goal::uuid, r.activity::uuid, r.status, r.started_at, r.ended_at,
               coalesce(r.total_duration_seconds, CASE WHEN r.status <> 'active' THEN 0 END),
               coalesce(r.focused_duration_seconds, CASE WHEN r.status <> 'active' THEN 0 END),
               r.xp_total, r.xp_physique, r.xp_energy, r.xp_logic, r.xp_creativity, r.xp_social, r.completed_reason,
               r.device_platform, coalesce(r.created_at, r.started_at, r.ended_at, now())
        FROM accepted a JOIN parsed r USING (line)
        WHERE a.n BETWEEN first AND last
        ORDER BY a.n
        ON CONFLICT DO NOTHING
        RETURNING id)
    SELECT coalesce(array_agg(id), '{}') INTO added FROM inserted;
    PERFORM pg_temp.settle('xp/sessions', first, last, added, 'id', 'The id is taken.');
END
$$;

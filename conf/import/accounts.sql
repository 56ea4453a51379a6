-- SPDX-License-Identifier: Apache-2.0
-- Users of all originals. A user whose e-mail address an account has already becomes that account.

INSERT INTO kinds (kind, target, key, models) VALUES
    ('users', 'learnhub.users', 'number', '{user,customuser,account}');

INSERT INTO columns (kind, name, type, required, low, high, words, fallback, aliases, lenient) VALUES
    ('users', 'id', 'id', true, NULL, NULL, NULL, NULL, '{_id,pk,uuid}', false),
    ('users', 'email', 'email', true, NULL, NULL, NULL, NULL, '{}', false),
    ('users', 'username', 'name', false, 1, 150, NULL, NULL, '{}', true),
    ('users', 'password', 'hash', false, NULL, NULL, NULL, '''!''', '{password_hash,hashed_password}', true),
    ('users', 'first_name', 'name', false, 0, 150, NULL, '''''', '{}', true),
    ('users', 'last_name', 'name', false, 0, 150, NULL, '''''', '{}', true),
    ('users', 'role', 'word', false, NULL, NULL, '{student,instructor}', '''student''', '{}', true),
    ('users', 'is_superuser', 'boolean', false, NULL, NULL, NULL, 'false', '{}', true),
    ('users', 'is_active', 'boolean', false, NULL, NULL, NULL, 'true', '{}', false),
    ('users', 'is_mentor', 'boolean', false, NULL, NULL, NULL, 'false', '{}', false),
    ('users', 'is_mentee', 'boolean', false, NULL, NULL, NULL, 'false', '{}', false),
    ('users', 'phone_number', 'phone', false, NULL, NULL, NULL, NULL, '{}', true),
    ('users', 'email_verified_at', 'time', false, NULL, NULL, NULL, NULL, '{}', true),
    ('users', 'created_at', 'time', false, NULL, NULL, NULL, 'now()', '{date_joined}', false);

-- Usernames that an account cannot have are replaced by the e-mail address: those with the @ of another address, those
-- of another account, and the second of two that are equal.
CREATE FUNCTION pg_temp.check_users() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.reject('EXISTS (SELECT FROM learnhub.login_names n JOIN learnhub.users u ON u.id = n.user_id '
                           'WHERE n.name = lower(r.email) AND lower(u.email) <> lower(r.email))', 'email',
                           'This is the username of another account.');
    INSERT INTO report (line, name, value, result, reason)
    SELECT line, 'is_superuser', NULL, 'changed',
           'The account got no role of an admin: SELECT learnhub.set_role(''ADDRESS'', ''admin'') gives it.'
    FROM parsed WHERE is_superuser;
    INSERT INTO report (line, name, value, result, reason)
    SELECT line, 'password', NULL, 'changed', 'There is no password: the user must reset it.'
    FROM parsed WHERE password = '!' AND NOT 'password' = ANY (left_out);
    WITH first AS (
        SELECT DISTINCT ON (lower(username)) lower(username) AS name, line
        FROM parsed WHERE username IS NOT NULL ORDER BY lower(username), line),
    replaced AS (
        UPDATE parsed p SET username = p.email
        FROM parsed o LEFT JOIN first f ON f.name = lower(o.username)
        LEFT JOIN learnhub.login_names n ON n.name = lower(o.username)
        LEFT JOIN learnhub.users u ON u.id = n.user_id
        WHERE o.line = p.line AND lower(p.username) <> lower(p.email)
          AND (p.username LIKE '%@%' OR f.line <> p.line OR n.name IS NOT NULL AND lower(u.email) <> lower(p.email))
        RETURNING p.line, o.username)
    INSERT INTO report (line, name, value, result, reason)
    SELECT line, 'username', left(username, 100), 'changed',
           'The account cannot have this username; it got its e-mail address.'
    FROM replaced;
    UPDATE parsed SET username = email WHERE username IS NULL;
END
$$;

-- The first account with an address wins. What it has not is added: a password, a phone number, the flags of mentors
-- and mentees, and the role of an instructor.
CREATE FUNCTION pg_temp.merge_users() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE learnhub.users u
    SET role = CASE WHEN u.role = 'student' AND m.instructor THEN 'instructor' ELSE u.role END,
        is_mentor = u.is_mentor OR m.is_mentor, is_mentee = u.is_mentee OR m.is_mentee,
        phone_number = coalesce(u.phone_number, m.phone_number),
        rehash = CASE WHEN u.password_hash = '!' AND m.password <> '!' THEN m.password END
    FROM (SELECT b.id, bool_or(b.role = 'instructor') AS instructor, bool_or(b.is_mentor) AS is_mentor,
                 bool_or(b.is_mentee) AS is_mentee, min(b.phone_number) AS phone_number,
                 coalesce((array_agg(b.password ORDER BY b.n)
                           FILTER (WHERE b.password <> '!' AND b.email_verified_at IS NOT NULL))[1], '!') AS password
          FROM batch b WHERE b.merged GROUP BY b.id) m
    WHERE u.id = m.id AND u.deleted_at IS NULL
      AND (u.role = 'student' AND m.instructor OR m.is_mentor > u.is_mentor OR m.is_mentee > u.is_mentee
           OR u.phone_number IS NULL AND m.phone_number IS NOT NULL OR u.password_hash = '!' AND m.password <> '!');
    INSERT INTO report (line, name, value, result, reason)
    SELECT b.line, 'email', b.email, 'merged', format('The account %s has this address; it remains as it was.', b.id)
    FROM batch b WHERE b.merged;
    PERFORM pg_temp.drop_mails(ARRAY(SELECT b.id FROM batch b WHERE b.merged));
END
$$;

CREATE FUNCTION pg_temp.load_users(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    source text := current_setting('learnhub.original') || '/users';
BEGIN
    -- merged: the id is that of an account that exists, or of an earlier row of this batch.
    DROP TABLE IF EXISTS batch;
    CREATE TEMP TABLE batch AS
    SELECT r.*, a.n, a.original,
           coalesce(u.id, first_value(a.new_id::bigint) OVER same) AS account,
           u.id IS NOT NULL OR row_number() OVER same > 1 AS merged
    FROM accepted a JOIN parsed r USING (line)
    LEFT JOIN learnhub.users u ON lower(u.email) = lower(r.email)
    WHERE a.n BETWEEN first AND last
    WINDOW same AS (PARTITION BY lower(r.email) ORDER BY a.n);
    ALTER TABLE batch DROP COLUMN id;
    ALTER TABLE batch RENAME account TO id;
    INSERT INTO learnhub.users (id, object_id, uuid, username, email, first_name, last_name, role, is_mentor, is_mentee,
                                is_active, phone_number, password_hash, email_verified_at, created_at)
    OVERRIDING SYSTEM VALUE
    SELECT b.id,
           CASE WHEN o.object_id IS NOT NULL
                     AND NOT EXISTS (SELECT FROM learnhub.users u WHERE u.object_id = o.object_id)
                THEN o.object_id ELSE learnhub.object_id() END,
           CASE WHEN o.uuid IS NOT NULL AND NOT EXISTS (SELECT FROM learnhub.users u WHERE u.uuid = o.uuid)
                THEN o.uuid ELSE gen_random_uuid() END,
           b.username, b.email, b.first_name, b.last_name, b.role, b.is_mentor, b.is_mentee, b.is_active,
           b.phone_number, b.password, b.email_verified_at, b.created_at
    FROM batch b
    CROSS JOIN LATERAL (
        SELECT pg_temp.as_uuid(b.original) AS uuid,
               CASE WHEN length(b.original) = 24 AND b.original !~ '[^0-9a-fA-F]'
                    THEN decode(b.original, 'hex') END AS object_id OFFSET 0) o
    WHERE NOT b.merged
    ORDER BY b.n;
    INSERT INTO learnhub_import.ids (kind, original, id) SELECT source, b.original, b.id FROM batch b;
    INSERT INTO learnhub_import.ids (kind, original, id)
    SELECT source, lower(b.email), b.id FROM batch b ORDER BY b.n
    ON CONFLICT DO NOTHING;
    PERFORM pg_temp.merge_users();
END
$$;

-- SPDX-License-Identifier: Apache-2.0
-- What an import has in the database: the table learnhub_import.ids, which remains, and temporary tables and functions.

SET client_min_messages = warning;
SET TimeZone = 'UTC';
SET jit = off;
SET client_connection_check_interval = '500ms'; -- ends the session of an import that was killed
SET temp_buffers = '64MB';
SET work_mem = '64MB';

SELECT coalesce(substring(obj_description(to_regnamespace('learnhub'), 'pg_namespace') FROM '\d+$')::int, 0) < 22
       AS outdated,
       NOT pg_try_advisory_lock(hashtext('learnhub import')) AS busy \gset
\if :outdated
\warn learnhub: the database has no schema of mod_learnhub, or an old one. Run: make -f Makefile.apxs migrate
\endif
\if :busy
\warn learnhub: another import is running.
\endif
SELECT NOT pg_has_role(relowner, 'USAGE') AS stranger FROM pg_class WHERE oid = to_regclass('learnhub.users') \gset
\if :stranger
\warn learnhub: the role of DATABASE does not own the schema. Use the role that runs the migrations.
\endif
SELECT 1 / (NOT (:'outdated'::boolean OR :'busy'::boolean OR :'stranger'::boolean))::int AS ready \gset

-- ---- tables ----

-- The id here of each imported object: of accounts also by their e-mail address, in lower case, in the original. Rows
-- are kept when the object is deleted, so that a later import does not bring it back.
CREATE SCHEMA IF NOT EXISTS learnhub_import;
CREATE TABLE IF NOT EXISTS learnhub_import.ids (
    kind text NOT NULL,
    original text NOT NULL,
    id text NOT NULL,
    PRIMARY KEY (kind, original)
);
COMMENT ON COLUMN learnhub_import.ids.kind IS 'The original and the kind of object, such as tutoring/sessions.';

-- The files of an original, in the order in which they are read. target: the table that has the objects. key: the type
-- of its ids: number, object, uuid or text; user: the id is that of the user in the column user_id. ordering: of
-- the rows when they are written. models: the names of Django models, without their application. is_dump: the rows are
-- those of a dump with several models.
CREATE TEMP TABLE kinds (
    kind text PRIMARY KEY,
    target text,
    key text NOT NULL,
    ordering text NOT NULL DEFAULT 'line',
    models text[] NOT NULL DEFAULT '{}',
    is_dump boolean NOT NULL DEFAULT false
);

-- The columns of each file. low and high limit a number, or the characters of a text. lenient: an invalid value is left
-- out, and the row is imported without it. fallback: SQL of the value of a row that has none. aliases: further names in
-- files; `a.b` is the member b of the object a, and counts first.
CREATE TEMP TABLE columns (
    place int GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL,
    name text NOT NULL,
    type text NOT NULL,
    required boolean NOT NULL DEFAULT false,
    low bigint,
    high bigint,
    words text[],
    fallback text,
    aliases text[] NOT NULL DEFAULT '{}',
    lenient boolean NOT NULL DEFAULT false,
    PRIMARY KEY (kind, name)
);

-- The rows of a file. at: the line in the file; `7:2` is the second object in line 7.
CREATE TEMP TABLE staged (line bigint GENERATED ALWAYS AS IDENTITY, at text NOT NULL, raw text, problem text);

CREATE TEMP TABLE results (
    place int GENERATED ALWAYS AS IDENTITY,
    kind text,
    file text,
    rows bigint,
    known bigint,
    accepted bigint,
    written bigint NOT NULL DEFAULT 0,
    shown_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz
);

-- The place of the file that is being imported.
CREATE FUNCTION pg_temp.place() RETURNS int LANGUAGE sql STABLE AS 'SELECT max(place) FROM results';

-- result: rejected (the row is not imported), changed (it is imported with another value) or merged (of an account that
-- exists).
CREATE TEMP TABLE report (
    place int NOT NULL DEFAULT pg_temp.place(),
    line bigint NOT NULL, -- of `staged`
    name text,
    value text,
    result text NOT NULL,
    reason text NOT NULL
);

-- ---- values: each function returns NULL for an invalid one ----

-- A scalar as text; of MongoDB's extended JSON the value that it stands for. STABLE, so that it is inlined.
CREATE FUNCTION pg_temp.plain(given json) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN json_typeof(given) = 'object'
                THEN coalesce(given ->> '$oid', given ->> '$numberLong', given ->> '$numberInt',
                              given ->> '$numberDouble',
                              CASE WHEN given #>> '{$date,$numberLong}' ~ '^-?[0-9]{1,15}$'
                                   THEN to_timestamp((given #>> '{$date,$numberLong}')::numeric / 1000)::text
                                   ELSE given ->> '$date' END,
                              given::text)
                ELSE given #>> '{}' END
$$;

-- The object of a line. Of an object of dumpdata, its fields and, as id, its primary key.
CREATE FUNCTION pg_temp.document(raw text) RETURNS json LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    whole jsonb;
    fields text;
BEGIN
    whole := raw::jsonb; -- rejects what cannot be stored as text
    IF jsonb_typeof(whole) <> 'object' THEN
        RETURN NULL;
    ELSIF NOT (whole ? 'model' AND jsonb_typeof(whole -> 'fields') = 'object') THEN
        RETURN raw;
    END IF;
    fields := ltrim((raw::json -> 'fields')::text, E'{ \t\r\n');
    RETURN '{"id":' || coalesce((whole -> 'pk')::text, 'null') || CASE WHEN left(fields, 1) <> '}' THEN ',' ELSE '' END
        || fields;
EXCEPTION WHEN others THEN
    RETURN NULL;
END
$$;

CREATE FUNCTION pg_temp.as_time(given text) RETURNS timestamptz LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    -- The first form is the most frequent one; the expression takes longer.
    IF translate(given, '123456789', '000000000') NOT IN ('0000-00-00T00:00:00Z', '0000-00-00 00:00:00+00')
        AND given !~ '^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?([Zz]|[+-]\d\d(:?\d\d)?))?)?$'
        OR given LIKE '0000%' THEN
        RETURN NULL;
    END IF;
    RETURN given::timestamptz;
EXCEPTION WHEN others THEN
    RETURN NULL;
END
$$;

-- The seconds of HH:MM:SS, of PostgreSQL's `1 day 02:00:00`, or of an ISO 8601 duration, as of dumpdata.
CREATE FUNCTION pg_temp.as_seconds(given text) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF given = ''
        OR given !~ '^(\d+ (days? ?)?)?(\d+:\d\d(:\d\d(\.\d+)?)?)?$' AND given !~ '^P(\d+D)?(T[0-9.HMS]+)?$' THEN
        RETURN NULL;
    END IF;
    RETURN floor(extract(epoch FROM regexp_replace(given, '^(\d+) (\d+:)', '\1 days \2')::interval));
EXCEPTION WHEN others THEN
    RETURN NULL;
END
$$;

-- An array or an object; a string that contains its text counts as well, as values of CSV are.
CREATE FUNCTION pg_temp.structure(given json) RETURNS json LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF json_typeof(given) = 'string' THEN
        PERFORM (given #>> '{}')::jsonb;
        given := given #>> '{}';
    END IF;
    RETURN CASE WHEN json_typeof(given) IN ('array', 'object') THEN given END;
EXCEPTION WHEN others THEN
    RETURN NULL;
END
$$;

CREATE FUNCTION pg_temp.as_strings(given json) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(s) = 'array' AND NOT jsonb_path_exists(s, '$[*] ? (@.type() != "string")') THEN s END
    FROM (SELECT pg_temp.structure(given)::jsonb AS s OFFSET 0) one
$$;

-- Whether a text of JSON is nested in at most 200 levels, as the module accepts it. Each turn removes the innermost one.
CREATE FUNCTION pg_temp.is_flat(given text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    brackets text := regexp_replace(regexp_replace(given, '"(?:[^"\\]|\\.)*"', '', 'g'), '[^][{}]', '', 'g');
BEGIN
    FOR level IN 1 .. 200 LOOP
        EXIT WHEN brackets = '';
        brackets := regexp_replace(brackets, '\[\]|\{\}', '', 'g');
    END LOOP;
    RETURN brackets = '';
END
$$;

-- A drawing as it was stored. Numbers of the older extended JSON become plain numbers.
CREATE FUNCTION pg_temp.as_drawing(given json) RETURNS json LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN json_typeof(s) = 'object' AND s::text LIKE '%$number%'
                THEN regexp_replace(
                         s::text, '\{\s*"\$number(?:Long|Int|Double)"\s*:\s*"(-?[0-9.]+(?:[eE][-+]?\d+)?)"\s*\}', '\1',
                         'g')::json
                WHEN json_typeof(s) = 'object' THEN s END
    FROM (SELECT pg_temp.structure(given) AS s OFFSET 0) one
    WHERE pg_temp.is_flat(s::text)
$$;

-- Chat messages; `pattern` is that of to_char() for their times. A message without a time gets `otherwise`.
CREATE FUNCTION pg_temp.as_chat(given json, pattern text, otherwise timestamptz) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    messages jsonb;
    valid boolean;
BEGIN
    given := pg_temp.structure(given);
    IF json_typeof(given) <> 'array' OR json_array_length(given) > 1000 THEN
        RETURN NULL;
    END IF;
    SELECT coalesce(bool_and(m.role IN ('user', 'assistant') AND length(m.content) BETWEEN 1 AND 32768
                             AND m.content !~ '[\u0001-\u0008\u000b\u000c\u000e-\u001f\u007f]'
                             AND (t.sent IS NULL OR t.at IS NOT NULL)), true),
           coalesce(jsonb_agg(jsonb_build_object('role', m.role, 'content', m.content, 'timestamp',
                                                 to_char(coalesce(t.at, otherwise), pattern)) ORDER BY m.place), '[]')
    INTO valid, messages
    FROM ROWS FROM (json_to_recordset(given) AS (role text, content text, "timestamp" json, created_at json))
         WITH ORDINALITY AS m (role, content, sent, created, place),
         LATERAL (SELECT pg_temp.plain(coalesce(m.sent, m.created)) AS sent,
                         pg_temp.as_time(pg_temp.plain(coalesce(m.sent, m.created))) AS at) t;
    RETURN CASE WHEN valid AND octet_length(messages::text) < 1100000 THEN messages END;
EXCEPTION WHEN others THEN
    RETURN NULL;
END
$$;

-- The digits of a phone number in international form.
CREATE FUNCTION pg_temp.as_phone(given text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN t ~ '^\+[1-9][0-9]{7,14}$' THEN t END FROM (SELECT translate(given, ' .-()', '') AS t) one
$$;

-- A hash that crypto/password.c verifies, without the name of Django's hasher before bcrypt. Lengths are compared,
-- because expressions with large repetitions are slow.
CREATE FUNCTION pg_temp.as_hash(given text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN left(h, 4) IN ('$2a$', '$2b$', '$2y$')
                THEN CASE WHEN length(h) = 60 AND substr(h, 5, 3) ~ '^(0[4-9]|1[0-5])[$]'
                               AND substr(h, 8) !~ '[^./A-Za-z0-9]' THEN h END
                WHEN h LIKE 'pbkdf2!_sha256$_%$_%$%' ESCAPE '!' AND split_part(h, '$', 5) = ''
                     AND length(split_part(h, '$', 2)) <= 7 AND split_part(h, '$', 2) !~ '[^0-9]'
                     AND split_part(h, '$', 3) <> '' AND octet_length(split_part(h, '$', 3)) <= 128
                     AND length(split_part(h, '$', 4)) = 44 AND h NOT LIKE '%$%$%$%$%'
                     AND split_part(h, '$', 4) ~ '^[A-Za-z0-9+/]+=$'
                THEN CASE WHEN split_part(h, '$', 2)::int BETWEEN 1 AND 2000000 THEN h END END
    FROM (SELECT regexp_replace(btrim(given), '^bcrypt\$(?=\$2)', '') AS h OFFSET 0) one
$$;

-- The canonical form of a drawing: compact, members sorted by the bytes of their names.
CREATE FUNCTION pg_temp.canonical(given json) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    CASE json_typeof(given)
        WHEN 'object' THEN
            RETURN '{' || coalesce((SELECT string_agg(to_json(m.key) || ':'
                       || CASE WHEN json_typeof(m.value) IN ('object', 'array') THEN pg_temp.canonical(m.value)
                               WHEN json_typeof(m.value) = 'string' THEN to_json(m.value #>> '{}')::text
                               ELSE m.value::text END, ',' ORDER BY m.key COLLATE "C")
                       FROM json_each(given) m), '') || '}';
        WHEN 'array' THEN
            RETURN '[' || coalesce((SELECT string_agg(
                          CASE WHEN json_typeof(e.value) IN ('object', 'array') THEN pg_temp.canonical(e.value)
                               WHEN json_typeof(e.value) = 'string' THEN to_json(e.value #>> '{}')::text
                               ELSE e.value::text END, ',' ORDER BY e.place)
                       FROM json_array_elements(given) WITH ORDINALITY AS e (value, place)), '') || ']';
        ELSE
            RETURN given::text;
    END CASE;
END
$$;

CREATE FUNCTION pg_temp.drawing_hash(drawing json) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT md5(CASE WHEN form = '{}' THEN '' ELSE form END)
    FROM (SELECT CASE WHEN length(drawing::text) = 2 THEN '{}' ELSE pg_temp.canonical(drawing) END AS form OFFSET 0) one
$$;

-- ---- columns ----

-- The member of an object that a name such as a.b means, of the json columns of `d`. `part`: another name of the column
-- is name.part, so that an object that has this part, or is empty, is no value.
CREATE FUNCTION pg_temp.member(name text, part text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN name LIKE '%.%'
                THEN format('(CASE WHEN json_typeof(d.%1$I -> %2$L) <> ''null'' THEN d.%1$I -> %2$L END)',
                            split_part(name, '.', 1), split_part(name, '.', 2))
                WHEN part IS NOT NULL
                THEN format('(CASE WHEN (d.%1$I -> %2$L) IS NULL AND d.%1$I::text !~ ''^{\s*}$'' THEN d.%1$I END)',
                            name, part)
                ELSE format('d.%I', name) END
$$;

-- SQL of the value of a column; p has the values of the file.
CREATE FUNCTION pg_temp.conversion(c columns) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    given text := format('p.%I', c.name);
    trimmed text := format(E'btrim(p.%I, E\' \\t\\r\\n\\u00a0\')', c.name);
    invisible text := '\u0001-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f'
        '\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb';
BEGIN
    RETURN CASE
        WHEN c.type = 'id' THEN format(
            'CASE WHEN length(%1$s) <= 255 AND %1$s !~ ''[\u0001-\u001f]'' THEN %1$s END', given)
        WHEN c.type = 'text' THEN format(
            'CASE WHEN length(%1$s) BETWEEN %2$s AND %3$s '
            'AND %1$s !~ ''[\u0001-\u0008\u000b\u000c\u000e-\u001f\u007f]'' THEN %1$s END', given,
            coalesce(c.low, 0), c.high)
        WHEN c.type = 'line' THEN format(
            'CASE WHEN length(%1$s) BETWEEN %2$s AND %3$s AND %1$s !~ ''[\u0001-\u001f\u007f]'' THEN %1$s END',
            trimmed, coalesce(c.low, 0), c.high)
        WHEN c.type = 'name' THEN format(
            'CASE WHEN length(%1$s) BETWEEN %2$s AND %3$s AND %1$s !~ ''[%4$s]'' THEN %1$s END',
            trimmed, coalesce(c.low, 0), c.high, invisible)
        WHEN c.type = 'email' THEN format(
            'CASE WHEN %1$s ~ ''^[^\s@()<>\[\]:;,\\"%2$s]+@[^\s@()<>\[\]:;,\\"%2$s]+$'' '
            'AND octet_length(%1$s) <= 254 AND octet_length(split_part(%1$s, ''@'', 1)) <= 64 '
            'AND %1$s NOT LIKE ''.%%'' AND %1$s NOT LIKE ''%%.'' AND %1$s NOT LIKE ''%%-'' AND %1$s LIKE ''%%@%%.%%'' '
            'AND %1$s !~ ''\.@|@[.-]|\.\.'' THEN %1$s END',
            trimmed, invisible)
        WHEN c.type = 'number' THEN format(
            'CASE WHEN length(split_part(%1$s, ''.'', 1)) <= 18 AND %1$s ~ ''^-?[0-9]+(\.0+)?$'' THEN '
            'CASE WHEN split_part(%1$s, ''.'', 1)::bigint BETWEEN %2$s AND %3$s '
            'THEN split_part(%1$s, ''.'', 1)::bigint END END', trimmed, c.low, c.high)
        WHEN c.type = 'decimal' THEN format(
            'CASE WHEN %1$s ~ ''^[0-9]{1,9}(\.[0-9]+)?$'' THEN CASE WHEN %1$s::numeric BETWEEN %2$s AND %3$s '
            'THEN %1$s::numeric END END', trimmed, c.low, c.high)
        WHEN c.type = 'boolean' THEN format(
            'CASE WHEN lower(%1$s) IN (''t'', ''true'', ''1'') THEN true '
            'WHEN lower(%1$s) IN (''f'', ''false'', ''0'') THEN false END', trimmed)
        WHEN c.type = 'time' THEN format('pg_temp.as_time(%s)', trimmed)
        WHEN c.type = 'date' THEN format('pg_temp.as_time(%s)::date', trimmed)
        WHEN c.type = 'duration' THEN format(
            'CASE WHEN pg_temp.as_seconds(%1$s) BETWEEN %2$s AND %3$s THEN pg_temp.as_seconds(%1$s) END',
            trimmed, c.low, c.high)
        WHEN c.type = 'word' THEN format('CASE WHEN lower(%1$s) = ANY (%2$L) THEN lower(%1$s) END', trimmed, c.words)
        WHEN c.type = 'object id' THEN format(
            'CASE WHEN length(%1$s) = 24 AND %1$s !~ ''[^0-9a-fA-F]'' THEN lower(%1$s) END', trimmed)
        WHEN c.type = 'color' THEN format('CASE WHEN %1$s ~ ''^#[0-9a-fA-F]{6}$'' THEN %1$s END', trimmed)
        WHEN c.type = 'phone' THEN format('pg_temp.as_phone(%s)', given)
        WHEN c.type = 'github name' THEN format(
            'CASE WHEN %1$s ~ ''^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$'' AND length(%1$s) <= 39 THEN %1$s END', trimmed)
        WHEN c.type = 'hash' THEN format('pg_temp.as_hash(%s)', given)
        WHEN c.type = 'strings' THEN format('pg_temp.as_strings(%s)', given)
        WHEN c.type = 'drawing' THEN format('pg_temp.as_drawing(%s)', given)
        WHEN c.type = 'chat' THEN format('pg_temp.as_chat(%s, %L, now())', given, c.words[1])
        WHEN c.type = 'skills' THEN format(
            'CASE WHEN json_typeof(%1$s) = ''string'' THEN %1$s::jsonb ELSE pg_temp.as_strings(%1$s) END', given)
        WHEN c.type LIKE 'of %' THEN format('%I.id', c.name)
    END;
END
$$;

-- A sentence for the report.
CREATE FUNCTION pg_temp.sentence(c columns, given text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN given IS NULL THEN 'This is required.'
        WHEN c.type IN ('text', 'line', 'name') THEN format(
            'This must be a text of %s to %s characters, without %scontrol characters.', coalesce(c.low, 0), c.high,
            CASE c.type WHEN 'name' THEN 'invisible and ' ELSE '' END)
        WHEN c.type IN ('number', 'decimal') THEN format('This must be a number from %s to %s.', c.low, c.high)
        WHEN c.type = 'duration' THEN format(
            'This must be a duration such as 01:30:00, of %s to %s seconds.', c.low, c.high)
        WHEN c.type = 'word' THEN format('This must be one of: %s.', array_to_string(c.words, ', '))
        WHEN c.type = 'email' THEN 'This must be an e-mail address.'
        WHEN c.type = 'boolean' THEN 'This must be true or false.'
        WHEN c.type IN ('time', 'date') THEN 'This must be a date and time in ISO 8601, such as 2024-01-15T14:00:00Z.'
        WHEN c.type = 'object id' THEN 'This must be an id of 24 hex digits.'
        WHEN c.type = 'color' THEN 'This must be a color such as #4187a2.'
        WHEN c.type = 'phone' THEN 'This must be a phone number in international format, such as +12345678987.'
        WHEN c.type = 'github name' THEN 'This must be a name at GitHub.'
        WHEN c.type = 'hash' THEN 'This kind of password hash cannot be verified: the user must reset the password.'
        WHEN c.type IN ('strings', 'skills') THEN 'This must be an array of strings.'
        WHEN c.type = 'drawing' THEN 'This must be an object, nested in at most 200 levels.'
        WHEN c.type = 'chat' THEN 'This must be an array of at most 1000 messages with role, content and timestamp.'
        WHEN c.type LIKE 'of %' THEN format('There is no imported row of "%s" with this id.', substr(c.type, 4))
        ELSE 'This is no valid id.' END
$$;

-- A value for the report: at most 100 characters, and nothing that looks like the hash of a password.
CREATE FUNCTION pg_temp.shown(c columns, given text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN given IS NULL THEN NULL
                WHEN c.type = 'hash' THEN coalesce(substring(given FROM '^[a-z0-9_]{1,20}(?=\$)'), '') || '(hidden)'
                WHEN given ~ '(\$2[abxy]?|\$argon2[a-z]*|\$[156y]|pbkdf2_\w+|bcrypt\w*|scrypt|argon2)\$' THEN '(hidden)'
                ELSE left(given, 100) END
$$;

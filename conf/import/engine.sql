-- SPDX-License-Identifier: Apache-2.0
-- How a file is imported: its rows are staged as JSON, parsed into the temporary table `parsed`, given their new ids in
-- `accepted`, and written in batches by the function load_KIND(first, last) of the original.

-- ---- reading ----

-- The value of a column in a line of the file, for the report.
CREATE FUNCTION pg_temp.given(raw text, c columns) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    doc json := pg_temp.document(raw);
    value text;
BEGIN
    SELECT pg_temp.plain(doc #> string_to_array(a.name, '.')) INTO value
    FROM unnest(c.name || c.aliases) WITH ORDINALITY AS a (name, place)
    WHERE pg_temp.plain(doc #> string_to_array(a.name, '.')) IS NOT NULL
    ORDER BY a.name NOT LIKE '%.%', a.place LIMIT 1;
    RETURN value;
END
$$;

-- Rejects rows of `parsed`: those for which the condition, SQL with the row as r, is true, because of a column.
CREATE FUNCTION pg_temp.reject(condition text, name text, reason text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('WITH gone AS (DELETE FROM parsed r WHERE %s RETURNING r.line)
                    INSERT INTO report (line, name, value, result, reason)
                    SELECT line, %L, pg_temp.shown(c, pg_temp.given(s.raw, c)), ''rejected'', %L
                    FROM gone JOIN staged s USING (line)
                    JOIN results f ON f.place = pg_temp.place()
                    LEFT JOIN columns c ON c.kind = f.kind AND c.name = %2$L', condition, name, reason);
END
$$;

-- Rejects rows with the same values of these columns as a row in an earlier line. `counted`: SQL of which rows count.
CREATE FUNCTION pg_temp.reject_repeated(key text, name text, reason text, counted text DEFAULT 'true') RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.reject(format('(%s) AND EXISTS (SELECT FROM (
                                       SELECT line, row_number() OVER (PARTITION BY %s ORDER BY line) AS place
                                       FROM parsed WHERE %1$s) d WHERE d.line = r.line AND d.place > 1)', counted, key),
                           name, reason);
END
$$;

-- Rejects rows that refer to a deleted account in this column.
CREATE FUNCTION pg_temp.reject_deleted(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.reject(format('EXISTS (SELECT FROM learnhub.users u
                                           WHERE u.id = r.%I::bigint AND u.deleted_at IS NOT NULL)', name),
                           name, 'The account has been deleted.');
END
$$;

-- Adds the faults in `names` (wrong or left_out of the rows of `parsed`) to the report.
CREATE FUNCTION pg_temp.report_values(kind text, names text, result text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format($f$
        INSERT INTO report (line, name, value, result, reason)
        SELECT p.line, c.name, pg_temp.shown(c, v.given), %L,
               pg_temp.sentence(c, v.given)
               || CASE WHEN c.lenient AND c.type <> 'hash' THEN ' It was left out.' ELSE '' END
        FROM parsed p
        CROSS JOIN LATERAL unnest(p.%I) AS n (name)
        JOIN columns c ON c.kind = %L AND c.name = n.name
        JOIN staged s USING (line)
        CROSS JOIN LATERAL (SELECT pg_temp.given(s.raw, c) AS given OFFSET 0) v
        WHERE p.%2$I <> '{}'$f$, result, names, kind);
END
$$;

-- The table `parsed` has the rows of the kind that have not been imported before, with typed columns.
CREATE FUNCTION pg_temp.parse(original text, kind text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    members text;
    given text;
    refs text;
    converted text;
    wrong text;
    left_out text;
    final text;
    k kinds;
BEGIN
    SELECT * INTO k FROM kinds WHERE kinds.kind = parse.kind;
    SELECT string_agg(DISTINCT format('%I json', split_part(a.name, '.', 1)), ', ') INTO members
    FROM columns c, unnest(c.name || c.aliases) AS a (name) WHERE c.kind = parse.kind;
    SELECT string_agg(format(CASE WHEN c.type IN ('strings', 'drawing', 'chat', 'skills') THEN '%s AS %I'
                                  WHEN c.type IN ('text', 'line', 'name') THEN 'pg_temp.plain(%s) AS %I'
                                  ELSE 'nullif(pg_temp.plain(%s), '''') AS %I' END,
                             'coalesce(' || (SELECT string_agg(pg_temp.member(a.name,
                                                 (SELECT split_part(other, '.', 2) FROM unnest(c.aliases) AS other
                                                  WHERE starts_with(other, a.name || '.'))), ', '
                                                               ORDER BY a.name NOT LIKE '%.%', a.place)
                                             FROM unnest(c.name || c.aliases) WITH ORDINALITY AS a (name, place))
                             || ')',
                             c.name), ', ' ORDER BY c.place),
           string_agg(format('(%s) AS %I', pg_temp.conversion(c), c.name), ', ' ORDER BY c.place),
           string_agg(format('CASE WHEN p.%1$I IS NULL THEN %2$L WHEN v.%1$I IS NULL THEN %1$L END',
                             c.name, CASE WHEN c.required THEN c.name END), ', ' ORDER BY c.place)
               FILTER (WHERE NOT c.lenient),
           string_agg(format('CASE WHEN p.%1$I IS NOT NULL AND v.%1$I IS NULL THEN %1$L END', c.name), ', '
                      ORDER BY c.place) FILTER (WHERE c.lenient),
           string_agg(CASE WHEN c.fallback IS NULL THEN format('v.%I', c.name)
                           ELSE format('coalesce(v.%1$I, %2$s) AS %1$I', c.name, c.fallback) END, ', '
                      ORDER BY c.place),
           string_agg(format('LEFT JOIN learnhub_import.ids AS %1$I ON %1$I.kind = %2$L AND %1$I.original = '
                             'CASE WHEN p.%1$I LIKE ''%%@%%'' THEN lower(p.%1$I) ELSE p.%1$I END',
                             c.name, original || '/' || substr(c.type, 4)), ' ') FILTER (WHERE c.type LIKE 'of %')
    INTO given, converted, wrong, left_out, final, refs
    FROM columns c WHERE c.kind = parse.kind;
    EXECUTE format($f$
        CREATE TEMP TABLE parsed AS
        SELECT s.line, CASE WHEN j.doc IS NULL THEN coalesce(s.problem, 'This is no object of JSON.') END AS problem,
               CASE WHEN j.doc IS NULL THEN '{}' ELSE array_remove(ARRAY[%s]::text[], NULL) END AS wrong,
               array_remove(ARRAY[%s]::text[], NULL) AS left_out, %s
        FROM staged s
        CROSS JOIN LATERAL (SELECT pg_temp.document(s.raw) AS doc OFFSET 0) j
        LEFT JOIN LATERAL json_to_record(j.doc) AS d (%s) ON true
        CROSS JOIN LATERAL (SELECT %s OFFSET 0) p
        LEFT JOIN learnhub_import.ids AS "own id" ON "own id".kind = %L AND "own id".original = p.id
        %s
        CROSS JOIN LATERAL (SELECT %s OFFSET 0) v
        WHERE "own id".id IS NULL AND %s$f$,
        wrong, left_out, final, members, given, original || '/' || kind, refs, converted,
        CASE WHEN k.is_dump THEN format('pg_temp.is_of(s.raw, %L)', k.models) ELSE 'true' END);
END
$$;

-- Whether a line of a dump with several models is of one of these. The sessions of Django's own log-ins are none.
CREATE FUNCTION pg_temp.is_of(raw text, models text[]) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (raw LIKE '%"session_data"%' AND raw ~ '"model"\s*:\s*"sessions\.session"') IS NOT TRUE
       AND coalesce(substring(raw FROM '"model"\s*:\s*"\w+\.(\w+)"') = ANY (models),
                    raw IS NULL AND 'users' = ANY (models))
$$;

CREATE FUNCTION pg_temp.as_uuid(given text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN length(given) = 36 AND given ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'
                THEN given::uuid END
$$;

-- An original id that can be kept as a number.
CREATE FUNCTION pg_temp.as_id(given text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN length(given) BETWEEN 1 AND 10 AND given !~ '[^0-9]' AND given NOT LIKE '0%' THEN given::bigint END
$$;

-- Gives the rows of `parsed` their ids. Numbers are kept if they are free: the sequence is moved behind them first.
CREATE FUNCTION pg_temp.accept(kind text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    k kinds;
    sequence text;
    expression text;
BEGIN
    SELECT * INTO k FROM kinds WHERE kinds.kind = accept.kind;
    IF k.key = 'number' THEN
        sequence := pg_get_serial_sequence(k.target, 'id');
        EXECUTE format($f$ SELECT setval(%L, greatest(q.last_value, p.highest))
                           FROM (SELECT last_value FROM %s) q,
                                (SELECT max(pg_temp.as_id(id)) AS highest FROM parsed) p
                           WHERE p.highest >= q.last_value $f$, sequence, sequence);
    END IF;
    expression := CASE k.key
        WHEN 'number' THEN format($f$
            coalesce(CASE WHEN NOT EXISTS (SELECT FROM %s t WHERE t.id = o.kept) THEN o.kept END,
                     nextval(%L))::text $f$,
            k.target, sequence)
        WHEN 'object' THEN format($f$
            coalesce(CASE WHEN NOT EXISTS (SELECT FROM %s t WHERE t.id = decode(o.kept, 'hex')) THEN o.kept END,
                     encode(learnhub.object_id(), 'hex')) $f$, k.target)
        WHEN 'uuid' THEN format($f$
            coalesce(CASE WHEN NOT EXISTS (SELECT FROM %s t WHERE t.id = o.kept) THEN o.kept END,
                     gen_random_uuid())::text $f$, k.target)
        WHEN 'user' THEN 'r.user_id'
        ELSE 'r.id' END;
    EXECUTE format($f$
        CREATE TEMP TABLE accepted AS
        SELECT row_number() OVER (ORDER BY %1$s) AS n, r.line, r.id AS original, %2$s AS new_id
        FROM (SELECT * FROM parsed ORDER BY %1$s) r
        CROSS JOIN LATERAL (SELECT %3$s AS kept OFFSET 0) o
        $f$, k.ordering, expression,
        CASE k.key
            WHEN 'number' THEN 'pg_temp.as_id(r.id)'
            WHEN 'object' THEN 'CASE WHEN length(r.id) = 24 AND r.id !~ ''[^0-9a-fA-F]'' THEN lower(r.id) END'
            WHEN 'uuid' THEN 'pg_temp.as_uuid(r.id)'
            ELSE 'NULL' END);
    CREATE UNIQUE INDEX ON accepted (n);
    CREATE UNIQUE INDEX ON parsed (line);
    ANALYZE accepted;
    ANALYZE parsed;
END
$$;

-- Parses what has been staged of a file. Returns the number of rows to write. Without nested loops, as the planner
-- cannot estimate the numbers of rows: it would join them one by one.
CREATE FUNCTION pg_temp.read_rows(original text, kind text, file text) RETURNS bigint LANGUAGE plpgsql
SET enable_nestloop = off AS $$
DECLARE
    owner text;
    total bigint;
BEGIN
    INSERT INTO results (kind, file) VALUES (kind, file);
    DROP TABLE IF EXISTS parsed, accepted;
    PERFORM pg_temp.parse(original, kind);
    ANALYZE parsed;
    UPDATE results
    SET rows = (SELECT count(*) FROM staged s, kinds k
                WHERE k.kind = read_rows.kind AND (NOT k.is_dump OR pg_temp.is_of(s.raw, k.models))),
        accepted = (SELECT count(*) FROM parsed)
    WHERE ended_at IS NULL;
    UPDATE results SET known = rows - accepted WHERE ended_at IS NULL;
    PERFORM pg_temp.report_values(kind, 'wrong', 'rejected');
    INSERT INTO report (line, result, reason) SELECT line, 'rejected', problem FROM parsed WHERE problem IS NOT NULL;
    DELETE FROM parsed WHERE wrong <> '{}' OR problem IS NOT NULL;
    PERFORM pg_temp.reject_repeated('id', 'id', 'The id occurs twice.');
    FOR owner IN SELECT c.name FROM columns c WHERE c.kind = read_rows.kind AND c.type = 'of users' LOOP
        PERFORM pg_temp.reject_deleted(owner);
    END LOOP;
    EXECUTE format('SELECT pg_temp.check_%s()', kind);
    PERFORM pg_temp.report_values(kind, 'left_out', 'changed');
    PERFORM pg_temp.accept(kind);
    SELECT count(*) INTO total FROM accepted;
    UPDATE results SET accepted = total WHERE ended_at IS NULL;
    RETURN total;
END
$$;

-- The lines of the report for the file.
CREATE FUNCTION pg_temp.new_report() RETURNS TABLE (file text, line text, name text, value text, result text,
                                                     reason text) LANGUAGE sql AS $$
    SELECT f.file, s.at, r.name, r.value, r.result, r.reason
    FROM report r JOIN results f USING (place) JOIN staged s USING (line)
    WHERE place = pg_temp.place() ORDER BY r.line, r.name, r.reason
$$;

-- ---- writing ----

-- Records the ids of the rows of a batch whose new ids are in `added`; the other ones are rejected.
CREATE FUNCTION pg_temp.settle(source text, first bigint, last bigint, added text[], name text, reason text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO learnhub_import.ids (kind, original, id)
    SELECT source, a.original, a.new_id FROM accepted a JOIN unnest(added) AS i (id) ON i.id = a.new_id
    WHERE a.n BETWEEN first AND last;
    INSERT INTO report (line, name, value, result, reason)
    SELECT a.line, settle.name, pg_temp.shown(c, pg_temp.given(s.raw, c)), 'rejected', settle.reason
    FROM accepted a LEFT JOIN unnest(added) AS i (id) ON i.id = a.new_id
    JOIN staged s USING (line)
    JOIN results f ON f.place = pg_temp.place()
    LEFT JOIN columns c ON c.kind = f.kind AND c.name = settle.name
    WHERE a.n BETWEEN first AND last AND i.id IS NULL;
END
$$;

-- Removes mails that triggers have queued in this transaction: an import informs nobody.
CREATE FUNCTION pg_temp.drop_mails(people bigint[]) RETURNS void LANGUAGE sql AS $$
    DELETE FROM learnhub.outbox o WHERE o.user_id = ANY (people) AND o.xmin = pg_current_xact_id()::xid;
    DELETE FROM learnhub.mail_requests r WHERE r.user_id = ANY (people) AND r.xmin = pg_current_xact_id()::xid;
$$;

-- Writes the rows from `first` to `last`. Returns a line for the terminal every five seconds.
CREATE FUNCTION pg_temp.write_rows(kind text, first bigint, last bigint) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    r results;
BEGIN
    EXECUTE format('SELECT pg_temp.load_%s($1, $2)', kind) USING first, last;
    UPDATE results SET written = least(last, accepted) WHERE ended_at IS NULL RETURNING * INTO r;
    IF r.shown_at < clock_timestamp() - interval '5 seconds' THEN
        UPDATE results SET shown_at = clock_timestamp() WHERE ended_at IS NULL;
        RETURN NEXT format('  %s: %s of %s rows written (%s/s)', r.file, r.written, r.accepted,
                           round(r.written / extract(epoch FROM clock_timestamp() - r.begun_at)));
    END IF;
END
$$;

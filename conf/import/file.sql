-- SPDX-License-Identifier: Apache-2.0
-- Imports one kind of rows. psql's variables: original, kind, file; staged: the rows of the file are in `staged`
-- already; is_dump: it has several kinds. Each batch of rows is a transaction, so that an interrupted import can be
-- repeated: rows that have been written are known then.

\if :staged
\else
TRUNCATE staged;
\copy staged (at, raw, problem) FROM PROGRAM 'exec "$LEARNHUB_IMPORT/read" "$LEARNHUB_FOLDER/$LEARNHUB_FILE"'
ANALYZE staged;
\endif
ANALYZE learnhub_import.ids;
UPDATE kinds SET is_dump = :'is_dump' = 'true';
SELECT pg_temp.read_rows(:'original', :'kind', :'file') AS accepted \gset
SELECT format('SELECT pg_temp.write_rows(%L, %s, %s)', :'kind', first, first + 19999)
FROM generate_series(1, :accepted, 20000) AS first \gexec
SELECT format('ANALYZE %s', target) FROM kinds WHERE kind = :'kind' AND target IS NOT NULL \gexec
UPDATE results SET ended_at = clock_timestamp() WHERE ended_at IS NULL;
\copy (SELECT * FROM pg_temp.new_report()) TO PROGRAM 'cat >>"$LEARNHUB_REPORT"' WITH (FORMAT csv)

-- SPDX-License-Identifier: Apache-2.0
-- The summary on the terminal. The number of rejected rows goes to file descriptor 3.

\pset tuples_only off
\pset format aligned
\pset border 1
\pset footer off
SELECT r.file, r.kind, r.rows, r.known AS "imported before", w.number AS written, n.merged, n.changed, n.rejected,
       round(extract(epoch FROM r.ended_at - r.begun_at), 1) AS seconds,
       round(r.rows / greatest(extract(epoch FROM r.ended_at - r.begun_at), 0.001)) AS "rows/s"
FROM results r
CROSS JOIN LATERAL (
    SELECT count(DISTINCT line) FILTER (WHERE result = 'merged') AS merged,
           count(DISTINCT line) FILTER (WHERE result = 'changed') AS changed,
           count(DISTINCT line) FILTER (WHERE result = 'rejected') AS rejected
    FROM report WHERE report.place = r.place) n
CROSS JOIN LATERAL (SELECT r.rows - r.known - n.rejected AS number) w
ORDER BY r.place;
\pset tuples_only on
\pset format unaligned
SELECT count(*) FROM report WHERE result = 'rejected' \g |cat >&3

-- SPDX-License-Identifier: Apache-2.0
-- Practice: filters of the list of problems.

-- ---- filters of the list of problems ----

CREATE INDEX problems_difficulty_idx ON learnhub.problems (difficulty, created_at DESC, id DESC);
-- For categories regardless of case: lower(categories::text)::jsonb @> to_jsonb(lower('Caching')).
CREATE INDEX problems_categories_idx ON learnhub.problems
    USING gin ((lower(categories::text)::jsonb) jsonb_path_ops);

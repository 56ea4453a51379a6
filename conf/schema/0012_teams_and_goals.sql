-- SPDX-License-Identifier: Apache-2.0
-- The team of a mentor; descriptions, dates and further statuses of goals; the type of an activity.

-- ---- mentoring ----

ALTER TABLE learnhub.mentor_profiles ADD COLUMN team_number integer
    CONSTRAINT mentor_profiles_team_check CHECK (team_number >= 0);

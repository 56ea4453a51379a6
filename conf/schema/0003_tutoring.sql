-- SPDX-License-Identifier: Apache-2.0
-- Tutoring: sessions and their participants.

-- participant_count is stored, so that lists need no counting. Joining and leaving lock the session's row, so the last
-- seat cannot be taken twice.
CREATE TABLE learnhub.tutoring_sessions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title text NOT NULL,
    description text NOT NULL,
    starts_at timestamptz NOT NULL,
    max_participants integer NOT NULL CHECK (max_participants BETWEEN 2 AND 20),
    participant_count integer NOT NULL DEFAULT 0,
    creator_id bigint NOT NULL REFERENCES learnhub.users,
    status text NOT NULL DEFAULT 'upcoming' CHECK (status IN ('upcoming', 'ongoing', 'completed', 'cancelled')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tutoring_sessions_seats_check CHECK (participant_count BETWEEN 0 AND max_participants)
) WITH (fillfactor = 90);
CREATE INDEX tutoring_sessions_newest_idx ON learnhub.tutoring_sessions (created_at DESC, id DESC);
CREATE INDEX tutoring_sessions_creator_idx ON learnhub.tutoring_sessions (creator_id, created_at DESC, id DESC);
CREATE INDEX tutoring_sessions_status_idx ON learnhub.tutoring_sessions (status, created_at DESC, id DESC);
CREATE INDEX tutoring_sessions_starts_at_idx ON learnhub.tutoring_sessions (starts_at);

CREATE TABLE learnhub.tutoring_participants (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id bigint NOT NULL REFERENCES learnhub.tutoring_sessions ON DELETE CASCADE,
    user_id bigint NOT NULL REFERENCES learnhub.users,
    role text NOT NULL CHECK (role IN ('student', 'tutor')),
    joined_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tutoring_participants_once_key UNIQUE (session_id, user_id)
);
CREATE INDEX tutoring_participants_user_idx ON learnhub.tutoring_participants (user_id, session_id);

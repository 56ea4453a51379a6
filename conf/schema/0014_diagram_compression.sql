-- SPDX-License-Identifier: Apache-2.0
-- lz4 compresses a diagram in a third of the time that pglz needs, to about the same size. A diagram that is stored
-- already changes with its next save. A server that was built without lz4 keeps pglz.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)) THEN
        ALTER TABLE learnhub.practice_sessions ALTER COLUMN diagram_data SET COMPRESSION lz4;
        ALTER TABLE learnhub.submissions ALTER COLUMN diagram_data SET COMPRESSION lz4;
    END IF;
END
$$;

-- SPDX-License-Identifier: Apache-2.0
-- Photos of profiles: one for each person at most. Whoever knows the name may see it; a new photo has a new name, so that
-- what a name stands for never changes.

CREATE TABLE learnhub.photos (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint NOT NULL UNIQUE REFERENCES learnhub.users ON DELETE CASCADE,
    name text NOT NULL UNIQUE,
    media_type text NOT NULL CHECK (media_type IN ('image/jpeg', 'image/png', 'image/webp', 'image/gif')),
    content bytea NOT NULL CHECK (length(content) > 0),
    created_at timestamptz NOT NULL DEFAULT now()
);
-- Pictures are compressed already.
ALTER TABLE learnhub.photos ALTER COLUMN content SET STORAGE EXTERNAL;

-- 244 random bits, and the ending that belongs to the type.
CREATE FUNCTION learnhub.photo_name(media_type text) RETURNS text LANGUAGE sql VOLATILE PARALLEL SAFE
    RETURN replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '') || '.'
        || CASE media_type WHEN 'image/jpeg' THEN 'jpg' ELSE split_part(media_type, '/', 2) END;

-- Where a photo is found; NULL when there is none. `base` is what the machine binds as :base.
CREATE FUNCTION learnhub.photo_url(base text, photo text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN base || '/myprofile/photos/' || photo;

-- users.profile_photo names the present photo; it is NULL again when that is deleted.
CREATE INDEX users_profile_photo_idx ON learnhub.users (profile_photo) WHERE profile_photo IS NOT NULL;
ALTER TABLE learnhub.users ADD CONSTRAINT users_profile_photo_fkey FOREIGN KEY (profile_photo)
    REFERENCES learnhub.photos (name) ON UPDATE CASCADE ON DELETE SET NULL;

-- SPDX-License-Identifier: Apache-2.0
-- Mails that wait for their sending, links to choose a new password, accounts that were deleted by their owners.

-- A mail is put here in the transaction of the change it tells of, and is sent from here. `sending` until due_at: a node
-- that ended meanwhile holds it no longer than that. Each try counts `attempts` up, so it says whose the mail is.
CREATE TABLE learnhub.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint REFERENCES learnhub.users ON DELETE SET NULL,
    to_address text NOT NULL,
    to_name text NOT NULL DEFAULT '',
    subject text NOT NULL,
    body text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    not_after timestamptz,
    once text UNIQUE,
    at_most_once boolean NOT NULL DEFAULT false,
    subject_ref text,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sending', 'sent', 'failed', 'expired')),
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    last_error text,
    sent_at timestamptz
);
CREATE INDEX outbox_due_idx ON learnhub.outbox (due_at) WHERE state IN ('waiting', 'sending');
CREATE INDEX outbox_not_after_idx ON learnhub.outbox (not_after)
    WHERE state IN ('waiting', 'sending') AND not_after IS NOT NULL;
CREATE INDEX outbox_subject_ref_idx ON learnhub.outbox (subject_ref) WHERE state IN ('waiting', 'sending');
CREATE INDEX outbox_user_id_idx ON learnhub.outbox (user_id);
COMMENT ON COLUMN learnhub.outbox.not_after IS 'It is never sent after this moment.';
COMMENT ON COLUMN learnhub.outbox.once IS 'A second mail with this key is not taken.';
COMMENT ON COLUMN learnhub.outbox.at_most_once IS 'When the outcome of a try is unknown there is no other.';
COMMENT ON COLUMN learnhub.outbox.subject_ref IS 'What it is about; to take it back, delete it where it waits or is being sent.';
COMMENT ON COLUMN learnhub.outbox.due_at IS 'The next try; while it is being sent, the end of the lease.';

-- Puts a mail into the outbox, with the address and the name of that moment; NULL when there is nobody to send it to, or
-- when `once` has been used.
CREATE FUNCTION learnhub.post_mail(recipient bigint, subject text, body text, about text DEFAULT NULL,
    once text DEFAULT NULL, not_after timestamptz DEFAULT NULL, at_most_once boolean DEFAULT false) RETURNS bigint
LANGUAGE sql AS $$
    INSERT INTO learnhub.outbox (user_id, to_address, to_name, subject, body, subject_ref, once, not_after, at_most_once)
    SELECT u.id, u.email, btrim(u.first_name || ' ' || u.last_name), $2, $3, $4, $5, $6, $7
    FROM learnhub.users u WHERE u.id = $1 AND u.is_active
    ON CONFLICT ON CONSTRAINT outbox_once_key DO NOTHING
    RETURNING id
$$;

-- Run every few seconds; mentoring's migration replaces it. Returns how many it posted.
CREATE FUNCTION learnhub.post_reminders() RETURNS integer LANGUAGE sql AS 'SELECT 0';

-- Links to choose a new password: the token's digest only. A row without a user is a request for an address that nobody
-- has, or that had its mail already: it is kept so that both take the same time.
CREATE TABLE learnhub.password_resets (
    digest bytea PRIMARY KEY CHECK (length(digest) = 32),
    user_id bigint REFERENCES learnhub.users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX password_resets_user_id_idx ON learnhub.password_resets (user_id);
CREATE INDEX password_resets_created_at_idx ON learnhub.password_resets (created_at);

-- The mail holds the token itself: once it has left, or never will, its text is forgotten.
CREATE FUNCTION learnhub.forget_reset_mail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.body := '';
    RETURN NEW;
END
$$;
CREATE TRIGGER forget_reset_mail BEFORE UPDATE OF state ON learnhub.outbox
    FOR EACH ROW WHEN (NEW.subject_ref = 'password reset' AND NEW.state IN ('sent', 'failed', 'expired'))
    EXECUTE FUNCTION learnhub.forget_reset_mail();

-- A link works for the password and the address that it was asked for.
CREATE FUNCTION learnhub.end_resets() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM learnhub.password_resets WHERE user_id = NEW.id;
    DELETE FROM learnhub.outbox
    WHERE user_id = NEW.id AND subject_ref = 'password reset' AND state IN ('waiting', 'sending');
    RETURN NULL;
END
$$;
CREATE TRIGGER end_resets AFTER UPDATE OF password_hash, email, is_active ON learnhub.users
    FOR EACH ROW WHEN (NEW.password_hash <> OLD.password_hash OR NEW.email <> OLD.email OR NOT NEW.is_active)
    EXECUTE FUNCTION learnhub.end_resets();

-- Accounts that are gone keep their row, as what they took part in refers to it, but nothing that tells who it was.
ALTER TABLE learnhub.users ADD COLUMN deleted_at timestamptz,
    ADD CONSTRAINT users_deleted_check CHECK (deleted_at IS NULL OR NOT is_active);

CREATE FUNCTION learnhub.delete_account(account bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    label text := 'deleted-' || account;
BEGIN
    IF EXISTS (SELECT FROM learnhub.login_names WHERE name IN (label, label || '@deleted.invalid')) THEN
        label := label || '-' || gen_random_uuid();
    END IF;
    UPDATE learnhub.users
    SET deleted_at = now(), is_active = false, username = label, email = label || '@deleted.invalid', first_name = '',
        last_name = '', phone_number = NULL, profile_photo = NULL, is_mentor = false, is_mentee = false,
        password_hash = '!'
    WHERE id = account AND deleted_at IS NULL;
    IF FOUND THEN
        DELETE FROM learnhub.outbox WHERE user_id = account;
        DELETE FROM learnhub.photos WHERE user_id = account;
    END IF;
END
$$;

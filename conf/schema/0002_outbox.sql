-- SPDX-License-Identifier: Apache-2.0
-- Outbox: mails to send. A mail is queued in the transaction of the change that it reports; a job in httpd sends it.

-- ---- tables ----

-- A process leases a mail until due_at by setting `sending`; when the lease expires, another process may take it. Each
-- attempt increments `attempts`, which therefore identifies the current lease.
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
COMMENT ON COLUMN learnhub.outbox.not_after IS 'The mail expires at this time and is not sent later.';
COMMENT ON COLUMN learnhub.outbox.once IS 'A second mail with the same key is not queued.';
COMMENT ON COLUMN learnhub.outbox.at_most_once IS 'The mail is not retried if the outcome of an attempt is unknown.';
COMMENT ON COLUMN learnhub.outbox.subject_ref IS
    'What the mail is about. To withdraw it, delete the row while it is waiting or being sent.';
COMMENT ON COLUMN learnhub.outbox.due_at IS 'The time of the next attempt; while sending, the end of the lease.';
CREATE INDEX outbox_due_idx ON learnhub.outbox (due_at) WHERE state IN ('waiting', 'sending');
CREATE INDEX outbox_not_after_idx ON learnhub.outbox (not_after)
    WHERE state IN ('waiting', 'sending') AND not_after IS NOT NULL;
CREATE INDEX outbox_subject_ref_idx ON learnhub.outbox (subject_ref) WHERE state IN ('waiting', 'sending');
CREATE INDEX outbox_user_id_idx ON learnhub.outbox (user_id);

-- ---- functions ----

-- Queues a mail to the current address and name of a user and returns its id, or NULL if there is no such active user
-- or the key `once` has been used.
CREATE FUNCTION learnhub.post_mail(recipient bigint, subject text, body text, about text DEFAULT NULL,
    once text DEFAULT NULL, not_after timestamptz DEFAULT NULL, at_most_once boolean DEFAULT false) RETURNS bigint
LANGUAGE sql AS $$
    INSERT INTO learnhub.outbox
        (user_id, to_address, to_name, subject, body, subject_ref, once, not_after, at_most_once)
    SELECT u.id, u.email, btrim(u.first_name || ' ' || u.last_name), $2, $3, $4, $5, $6, $7
    FROM learnhub.users u WHERE u.id = $1 AND u.is_active
    ON CONFLICT ON CONSTRAINT outbox_once_key DO NOTHING
    RETURNING id
$$;

-- A password reset mail contains the token in clear text, so its body is erased once the mail is sent, has failed or
-- has expired.
CREATE FUNCTION learnhub.forget_reset_mail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.body := '';
    RETURN NEW;
END
$$;

-- ---- triggers ----

CREATE TRIGGER forget_reset_mail BEFORE UPDATE OF state ON learnhub.outbox
    FOR EACH ROW WHEN (NEW.subject_ref = 'password reset' AND NEW.state IN ('sent', 'failed', 'expired'))
    EXECUTE FUNCTION learnhub.forget_reset_mail();

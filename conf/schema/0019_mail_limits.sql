-- SPDX-License-Identifier: Apache-2.0
-- Bounds of mails: confirmed addresses, links that anybody can request, notices about changes of an account, names in
-- mails, and the number of mails that one user can cause.

-- ---- tables ----

-- Existing accounts are unconfirmed. That has no effect while LearnHubVerifyEmail is Off.
ALTER TABLE learnhub.users ADD COLUMN email_verified_at timestamptz;
COMMENT ON COLUMN learnhub.users.email_verified_at IS 'When a link that was mailed to `email` was used; NULL: never.';

-- The last link that was mailed to confirm an address: the address of a new account, or one that an account changes to.
CREATE TABLE learnhub.email_confirmations (
    user_id bigint PRIMARY KEY REFERENCES learnhub.users ON DELETE CASCADE,
    digest bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
    address text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX email_confirmations_created_at_idx ON learnhub.email_confirmations (created_at);

-- Mails of the last hour that a client can cause for an address without having proved that it is the client's own. They
-- are counted by address, account and network. Nothing but their age removes them: neither a change of the address nor
-- the deletion of the account. Without foreign keys for that reason.
CREATE TABLE learnhub.mail_requests (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('reset', 'confirmation', 'notice')),
    address text NOT NULL CHECK (address = lower(address)),
    network text,
    user_id bigint,
    link text,
    posted boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN learnhub.mail_requests.network IS 'The client_network() of a request by address; NULL: other mails.';
COMMENT ON COLUMN learnhub.mail_requests.user_id IS 'The account that a mail was posted for; NULL: none was posted.';
COMMENT ON COLUMN learnhub.mail_requests.link IS 'The link to mail, with {uid} and {token}; NULL: none.';
COMMENT ON COLUMN learnhub.mail_requests.posted IS 'False until post_requested_mails() has handled the request.';
CREATE INDEX mail_requests_address_idx ON learnhub.mail_requests (address, kind, created_at);
CREATE INDEX mail_requests_user_id_idx ON learnhub.mail_requests (user_id, kind, created_at) WHERE user_id IS NOT NULL;
CREATE INDEX mail_requests_network_idx ON learnhub.mail_requests (network, created_at) WHERE network IS NOT NULL;
CREATE INDEX mail_requests_created_at_idx ON learnhub.mail_requests (created_at);
CREATE INDEX mail_requests_posted_idx ON learnhub.mail_requests (id) WHERE NOT posted;

ALTER TABLE learnhub.outbox
    ADD COLUMN verified boolean NOT NULL DEFAULT false,
    ADD COLUMN other_id bigint;
COMMENT ON COLUMN learnhub.outbox.verified IS 'The address was confirmed when the mail was queued.';
COMMENT ON COLUMN learnhub.outbox.other_id IS
    'The other participant of the session that the mail reports a change of; such mails are limited in number.';
CREATE INDEX outbox_other_id_idx ON learnhub.outbox (user_id, created_at) WHERE other_id IS NOT NULL;
CREATE INDEX outbox_finished_idx ON learnhub.outbox (created_at) WHERE state IN ('sent', 'failed', 'expired');

CREATE INDEX mentoring_sessions_pair_idx ON learnhub.mentoring_sessions (mentee_id, mentor_id, created_at);

-- ---- addresses ----

-- Another address is not confirmed, unless the same statement says so. The case of letters makes no other address.
CREATE FUNCTION learnhub.keep_verification() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.email_verified_at IS NOT DISTINCT FROM OLD.email_verified_at THEN
        NEW.email_verified_at := NULL;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER keep_verification BEFORE UPDATE OF email ON learnhub.users
    FOR EACH ROW WHEN (lower(NEW.email) <> lower(OLD.email)) EXECUTE FUNCTION learnhub.keep_verification();

-- ---- confirmations ----

-- Whether one more mail may be sent to confirm this address: at most 5 an hour to an address, and 10 for an account.
CREATE FUNCTION learnhub.may_confirm(account bigint, new_address text) RETURNS boolean LANGUAGE sql STABLE
    RETURN (SELECT count(*) FILTER (WHERE r.address = lower(new_address)) < 5
                   AND count(*) FILTER (WHERE r.user_id = account) < 10
            FROM (SELECT address, user_id FROM learnhub.mail_requests
                  WHERE address = lower(new_address) AND kind = 'confirmation' AND user_id IS NOT NULL
                        AND created_at > now() - interval '1 hour'
                  UNION ALL
                  SELECT address, user_id FROM learnhub.mail_requests
                  WHERE user_id = account AND kind = 'confirmation' AND address <> lower(new_address)
                        AND created_at > now() - interval '1 hour') r);

-- 160 random bits in hex, for a link.
CREATE FUNCTION learnhub.link_token() RETURNS text LANGUAGE sql VOLATILE
    RETURN left(encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'hex'), 40);

-- Mails a link that confirms an address of an account; the account's earlier links become invalid. Does nothing if
-- `account` or `link` is NULL, or if too many such mails were sent.
CREATE FUNCTION learnhub.post_confirmation(account bigint, uid uuid, new_address text, link text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    token text := learnhub.link_token();
BEGIN
    IF account IS NULL OR link IS NULL OR NOT learnhub.may_confirm(account, new_address) THEN
        RETURN;
    END IF;
    INSERT INTO learnhub.mail_requests (kind, address, user_id, posted)
    VALUES ('confirmation', lower(new_address), account, true);
    INSERT INTO learnhub.email_confirmations (user_id, digest, address)
    VALUES (account, sha256(token::bytea), new_address)
    ON CONFLICT (user_id) DO UPDATE
    SET digest = excluded.digest, address = excluded.address, created_at = excluded.created_at;
    DELETE FROM learnhub.outbox o
    WHERE o.user_id = account AND o.subject_ref = 'address confirmation' AND o.state = 'waiting';
    INSERT INTO learnhub.outbox (user_id, to_address, subject, body, subject_ref, not_after)
    VALUES (account, new_address, 'Confirm your e-mail address',
            E'This e-mail address was entered for an account.\n\n'
            || E'To confirm that it is yours, open this link within three days. It works once:\n'
            || replace(replace(link, '{uid}', uid::text), '{token}', token)
            || E'\n\nIf you do not have such an account, ignore this mail.\n',
            'address confirmation', now() + interval '3 days');
END
$$;

-- ---- notices about changes of an account ----

-- Queues a mail about an account to an address that it has or had, at most 10 an hour to an address. `news` is a
-- sentence without any text that a user has chosen.
CREATE FUNCTION learnhub.post_notice(account bigint, address text, verified boolean, subject text, news text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM learnhub.mail_requests r
        WHERE r.address = lower(post_notice.address) AND r.kind = 'notice'
              AND r.created_at > now() - interval '1 hour') >= 10 THEN
        RETURN;
    END IF;
    INSERT INTO learnhub.mail_requests (kind, address, user_id, posted)
    VALUES ('notice', lower(post_notice.address), account, true);
    INSERT INTO learnhub.outbox (user_id, to_address, subject, body, subject_ref, verified)
    VALUES (account, post_notice.address, subject,
            news || E'\n\nIf you did not expect this, contact the operators of this site.\n', 'account',
            post_notice.verified);
END
$$;

CREATE FUNCTION learnhub.tell_account() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    verified boolean := NEW.email_verified_at IS NOT NULL;
BEGIN
    IF lower(NEW.email) <> lower(OLD.email) THEN
        PERFORM learnhub.post_notice(NEW.id, OLD.email, OLD.email_verified_at IS NOT NULL,
            'Your e-mail address was changed',
            'The e-mail address of your account was changed. Mails no longer go to this address.');
    END IF;
    -- A hash that is replaced without a new password leaves the tokens valid.
    IF NEW.password_hash <> OLD.password_hash AND NEW.token_version <> OLD.token_version THEN
        PERFORM learnhub.post_notice(NEW.id, NEW.email, verified, 'Your password was changed',
            'The password of your account was changed.');
    END IF;
    IF NEW.role <> OLD.role THEN
        PERFORM learnhub.post_notice(NEW.id, NEW.email, verified, 'Your role was changed',
            format('The role of your account was changed to %s.', NEW.role));
    END IF;
    IF OLD.is_active AND NOT NEW.is_active THEN
        PERFORM learnhub.post_notice(NEW.id, NEW.email, verified, 'Your account was deactivated',
            'Your account was deactivated. It can no longer be used to log in.');
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER tell_account AFTER UPDATE OF email, password_hash, role, is_active ON learnhub.users
    FOR EACH ROW WHEN (NEW.deleted_at IS NULL) EXECUTE FUNCTION learnhub.tell_account();

-- ---- changes of the e-mail address ----

-- The codes of the errors of a change of login names, separated by spaces: '' if it is allowed, NULL without such an
-- active account. A NULL name is not changed. `version`: users.token_version when the password was verified, NULL if it
-- was not. `link`: for the mail that confirms the address; NULL: the address counts at once.
CREATE FUNCTION learnhub.login_name_codes(account bigint, new_username text, new_email text, version integer, link text)
RETURNS text LANGUAGE sql STABLE
    RETURN (SELECT concat_ws(' ', nullif(learnhub.taken_names(new_username, new_email, account), ''),
                CASE WHEN (new_username <> u.username OR new_email <> u.email)
                          AND version IS DISTINCT FROM u.token_version THEN 'credentials' END,
                CASE WHEN link IS NOT NULL AND lower(new_email) <> lower(u.email)
                          AND NOT learnhub.may_confirm(account, new_email) THEN 'often' END)
            FROM learnhub.users u
            WHERE u.id = account AND u.is_active);

-- The address that an account has after a change to `new_email` (NULL: none).
CREATE FUNCTION learnhub.email_after(old_email text, new_email text, link text) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN link IS NULL OR lower(new_email) = lower(old_email) THEN coalesce(new_email, old_email)
                ELSE old_email END;

-- Records a change of an account's address from `old_email` to `new_email` (NULL: none), or mails the link that
-- confirms it and tells the old address. Returns the entry for the error log, or NULL without a change.
CREATE FUNCTION learnhub.change_email(account bigint, uid uuid, old_email text, verified boolean, new_email text,
    link text, client text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    event text := 'email_changed';
BEGIN
    IF new_email IS NULL OR new_email = old_email THEN
        RETURN NULL;
    END IF;
    IF learnhub.email_after(old_email, new_email, link) <> new_email THEN
        event := 'email_change_requested';
        PERFORM learnhub.post_confirmation(account, uid, new_email, link);
        PERFORM learnhub.post_notice(account, old_email, verified, 'Your e-mail address will be changed',
            'Another e-mail address was entered for your account. It replaces this one when it is confirmed.');
    END IF;
    PERFORM learnhub.record(event, account, account, client);
    RETURN event || ' user ' || account;
END
$$;

-- ---- links that anybody can request ----

-- Stores the request of a link for an address. The work does not depend on whether an account has the address. An
-- address gets at most one link of a kind a minute and 5 an hour, and a network can request 200 an hour; further
-- requests are dropped. The locks, always taken in this order, let each of several concurrent requests count.
CREATE FUNCTION learnhub.request_mail(wanted text, to_address text, client text, wanted_link text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    mailbox text := lower(to_address);
    origin text := learnhub.client_network(client);
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('mail address ' || mailbox, 0));
    PERFORM pg_advisory_xact_lock(hashtextextended('mail network ' || origin, 0));
    INSERT INTO learnhub.mail_requests (kind, address, network, link)
    SELECT wanted, mailbox, origin, wanted_link
    WHERE (SELECT count(*) < 5 AND coalesce(max(r.created_at) < now() - interval '1 minute', true)
           FROM learnhub.mail_requests r
           WHERE r.address = mailbox AND r.kind = wanted AND r.network IS NOT NULL
                 AND r.created_at > now() - interval '1 hour')
      AND (SELECT count(*) < 200
           FROM learnhub.mail_requests r
           WHERE r.network = origin AND r.created_at > now() - interval '1 hour');
END
$$;

-- Mails a password-reset link for a request, at most one a minute and 5 an hour for an account.
CREATE FUNCTION learnhub.post_reset(request bigint, account learnhub.users, link text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    token text := learnhub.link_token();
BEGIN
    IF (SELECT count(*) >= 5 OR max(r.created_at) > now() - interval '1 minute'
        FROM learnhub.mail_requests r
        WHERE r.user_id = account.id AND r.kind = 'reset' AND r.created_at > now() - interval '1 hour') THEN
        RETURN;
    END IF;
    UPDATE learnhub.mail_requests SET user_id = account.id WHERE id = request;
    INSERT INTO learnhub.password_resets (digest, user_id) VALUES (sha256(token::bytea), account.id);
    INSERT INTO learnhub.outbox (user_id, to_address, subject, body, subject_ref, not_after, verified)
    VALUES (account.id, account.email, 'Reset your password',
            E'A new password was requested for your account.\n\n'
            || E'To choose a new password, open this link within one hour. It works once:\n'
            || replace(replace(link, '{uid}', account.uuid::text), '{token}', token)
            || E'\n\nIf you did not request this, ignore this mail. Your password has not changed.\n',
            'password reset', now() + interval '1 hour', account.email_verified_at IS NOT NULL);
END
$$;

-- The job: handles up to 100 requests in order and deletes what has expired. One process at a time. An account whose
-- row is locked waits for the next run, so that this never waits while it holds locks itself.
CREATE FUNCTION learnhub.post_requested_mails() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    request learnhub.mail_requests;
    account learnhub.users;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('mail requests', 0)) THEN
        RETURN;
    END IF;
    DELETE FROM learnhub.mail_requests WHERE id IN (
        SELECT id FROM learnhub.mail_requests WHERE created_at < now() - interval '1 hour'
        ORDER BY created_at LIMIT 1000);
    DELETE FROM learnhub.password_resets WHERE digest IN (
        SELECT digest FROM learnhub.password_resets WHERE created_at < now() - interval '1 day' LIMIT 100
        FOR UPDATE SKIP LOCKED);
    DELETE FROM learnhub.email_confirmations WHERE user_id IN (
        SELECT user_id FROM learnhub.email_confirmations WHERE created_at < now() - interval '3 days' LIMIT 100
        FOR UPDATE SKIP LOCKED);
    FOR request IN SELECT * FROM learnhub.mail_requests WHERE NOT posted ORDER BY id LIMIT 100 LOOP
        SELECT * INTO account FROM learnhub.users u WHERE lower(u.email) = request.address AND u.is_active
        FOR NO KEY UPDATE SKIP LOCKED;
        IF FOUND AND request.kind = 'reset' THEN
            PERFORM learnhub.post_reset(request.id, account, request.link);
        ELSIF FOUND AND account.email_verified_at IS NULL
            AND NOT EXISTS (SELECT FROM learnhub.email_confirmations c
                            WHERE c.user_id = account.id AND lower(c.address) <> request.address) THEN
            PERFORM learnhub.post_confirmation(account.id, account.uuid, account.email, request.link);
        ELSIF NOT FOUND AND EXISTS (SELECT FROM learnhub.users u
                                    WHERE lower(u.email) = request.address AND u.is_active) THEN
            CONTINUE;
        END IF;
        UPDATE learnhub.mail_requests SET posted = true WHERE id = request.id;
    END LOOP;
END
$$;

-- Links are valid only for the password and the address that the account had. Removes them and their unsent mails. The
-- confirmation of a new account's own address outlives a new password.
CREATE OR REPLACE FUNCTION learnhub.end_resets() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM learnhub.password_resets WHERE user_id = NEW.id;
    DELETE FROM learnhub.outbox
    WHERE user_id = NEW.id AND subject_ref = 'password reset' AND state IN ('waiting', 'sending');
    DELETE FROM learnhub.email_confirmations c
    WHERE c.user_id = NEW.id AND (NOT NEW.is_active OR lower(c.address) <> lower(NEW.email));
    IF FOUND THEN
        DELETE FROM learnhub.outbox
        WHERE user_id = NEW.id AND subject_ref = 'address confirmation' AND state IN ('waiting', 'sending');
    END IF;
    RETURN NULL;
END
$$;

-- ---- the outbox ----

-- Queues a mail to the current address of a user and returns its id, or NULL if there is no such active user or the key
-- `once` has been used. The user's name is added only to a confirmed address: the owner of another address may not have
-- chosen it. `other`: see outbox.other_id.
DROP FUNCTION learnhub.post_mail(bigint, text, text, text, text, timestamptz, boolean);
CREATE FUNCTION learnhub.post_mail(recipient bigint, subject text, body text, about text DEFAULT NULL,
    once text DEFAULT NULL, not_after timestamptz DEFAULT NULL, at_most_once boolean DEFAULT false,
    other bigint DEFAULT NULL) RETURNS bigint
LANGUAGE sql AS $$
    INSERT INTO learnhub.outbox
        (user_id, to_address, to_name, subject, body, subject_ref, once, not_after, at_most_once, verified, other_id)
    SELECT u.id, u.email,
           CASE WHEN u.email_verified_at IS NULL THEN '' ELSE btrim(u.first_name || ' ' || u.last_name) END,
           $2, $3, $4, $5, $6, $7, u.email_verified_at IS NOT NULL, $8
    FROM learnhub.users u WHERE u.id = $1 AND u.is_active
    ON CONFLICT ON CONSTRAINT outbox_once_key DO NOTHING
    RETURNING id
$$;

-- The body of a mail is erased once it is sent, has failed or has expired: it can contain a token or a name.
DROP TRIGGER forget_reset_mail ON learnhub.outbox;
DROP FUNCTION learnhub.forget_reset_mail();
CREATE FUNCTION learnhub.forget_body() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.body := '';
    RETURN NEW;
END
$$;

CREATE TRIGGER forget_body BEFORE UPDATE OF state ON learnhub.outbox
    FOR EACH ROW WHEN (NEW.state IN ('sent', 'failed', 'expired')) EXECUTE FUNCTION learnhub.forget_body();

UPDATE learnhub.outbox SET body = '' WHERE state IN ('sent', 'failed', 'expired') AND body <> '';

-- ---- names in mails ----

-- A name that no mail program shows as a link: one line of at most 60 characters, without the characters of URLs and
-- addresses and without invisible ones, and with a space after each dot.
CREATE FUNCTION learnhub.plain_name(name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT btrim(left(btrim(regexp_replace(regexp_replace(regexp_replace(regexp_replace(normalize(name, NFKC),
        '[\u00AD\u061C\u200B-\u200F\u202A-\u202E\u2060-\u206F\uFEFF]', '', 'g'),
        '[[:cntrl:]/\\:@<>#?&=%|\u2028\u2029\u2044\u2215]', ' ', 'g'),
        '[.\u3002]', '\& ', 'g'),
        '\s+', ' ', 'g')), 60))
$$;

-- A user's name in mails to others.
CREATE FUNCTION learnhub.mail_name(who learnhub.users) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN who.deleted_at IS NOT NULL THEN 'a former user'
        ELSE coalesce(nullif(learnhub.plain_name(who.first_name || ' ' || who.last_name), ''),
                      nullif(learnhub.plain_name(split_part(who.username, '@', 1)), ''), 'another user') END;

-- ---- mails about sessions ----

-- Whether a mentee has requested 60 sessions with a mentor within an hour, also if they were canceled. To be exact, the
-- rows of both users must be locked.
CREATE FUNCTION learnhub.booked_often(mentee bigint, mentor bigint) RETURNS boolean LANGUAGE sql STABLE
    RETURN (SELECT count(*) >= 60 FROM learnhub.mentoring_sessions s
            WHERE s.mentee_id = mentee AND s.mentor_id = mentor AND s.created_at > now() - interval '1 hour');

-- Queues a mail about a session to one participant, if the participant's notification setting `kind` is on. Reminders
-- pass a key in `once`: they are sent at most once, and not after the session has started. Of other mails a user gets
-- at most 60 an hour, and 20 about sessions with the same user; then one mail an hour that says so.
CREATE OR REPLACE FUNCTION learnhub.tell_session(session_id bigint, kind text, person bigint, once text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    session learnhub.mentoring_sessions;
    other learnhub.users;
    subject text;
    news text;
    facts text;
BEGIN
    IF NOT coalesce((SELECT (to_jsonb(s) ->> kind)::boolean FROM learnhub.notification_settings s
                     WHERE s.user_id = person), false) THEN
        RETURN;
    END IF;
    SELECT * INTO session FROM learnhub.mentoring_sessions s WHERE s.id = session_id;
    SELECT * INTO other FROM learnhub.users u
    WHERE u.id = CASE person WHEN session.mentor_id THEN session.mentee_id ELSE session.mentor_id END;
    IF once IS NULL AND (SELECT count(*) >= 60 OR count(*) FILTER (WHERE o.other_id = other.id) >= 20
                         FROM learnhub.outbox o
                         WHERE o.user_id = person AND o.other_id IS NOT NULL
                               AND o.created_at > now() - interval '1 hour') THEN
        PERFORM learnhub.post_mail(person, 'Many changes of your sessions',
            E'More of your sessions were requested, confirmed or canceled within an hour than are mailed.\n\n'
            || E'Please look at your sessions on the site.\n', 'sessions',
            format('sessions of user %s at %s', person, date_trunc('hour', now())));
        RETURN;
    END IF;
    facts := format(E'  With: %s\n  When: %s UTC (+00:00)\n  Length: %s minutes\n',
                    CASE WHEN other.deleted_at IS NOT NULL OR EXISTS (
                                  SELECT FROM learnhub.users u WHERE u.id = person AND u.email_verified_at IS NOT NULL)
                         THEN learnhub.mail_name(other)
                         WHEN other.id = session.mentor_id THEN 'your mentor'
                         ELSE 'your mentee'
                    END,
                    to_char(session.starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), session.session_length);
    IF session.meeting_url IS NOT NULL AND session.status = 'Confirmed' THEN
        facts := facts || format(E'  Where: %s\n', session.meeting_url);
    END IF;
    CASE kind
        WHEN 'session_requested' THEN
            subject := 'New session request';
            news := 'A mentee has requested a session with you. Please confirm or cancel it.';
        WHEN 'session_confirmed' THEN
            subject := 'Your session is confirmed';
            news := 'This session has been confirmed.';
        WHEN 'session_canceled' THEN
            subject := 'Your session was canceled';
            news := 'This session has been canceled.';
        WHEN 'sixty_minute_alert' THEN
            subject := 'Your session starts within 60 minutes';
            news := 'You receive this reminder because your 60-minute alert is on.';
        ELSE
            subject := 'Your session starts within 15 minutes';
            news := 'You receive this reminder because your 15-minute alert is on.';
    END CASE;
    PERFORM learnhub.post_mail(person, subject, news || E'\n\n' || facts, 'session ' || session_id, once,
                               CASE WHEN once IS NOT NULL THEN session.starts_at END, once IS NOT NULL,
                               CASE WHEN once IS NULL THEN other.id END);
END
$$;

-- Maintains mentoring_hours and queues the mails when a session is booked, confirmed or canceled. The hours are
-- inserted in user order: in another order, concurrent bookings could deadlock in the exclusion constraint. If a
-- pending session is canceled before the mail about its request was tried, the mentor gets neither mail.
CREATE OR REPLACE FUNCTION learnhub.keep_session() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    person bigint;
    untold bigint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO learnhub.mentoring_hours (session_id, user_id, during)
        SELECT NEW.id, u, tstzrange(NEW.starts_at, NEW.ends_at)
        FROM unnest(ARRAY[least(NEW.mentor_id, NEW.mentee_id), greatest(NEW.mentor_id, NEW.mentee_id)]) AS u;
        PERFORM learnhub.tell_session(NEW.id, 'session_requested', NEW.mentor_id);
        RETURN NULL;
    END IF;
    IF NEW.status = 'Canceled' THEN
        DELETE FROM learnhub.mentoring_hours WHERE session_id = NEW.id;
        DELETE FROM learnhub.outbox o WHERE o.subject_ref = 'session ' || NEW.id AND o.once IS NOT NULL
            AND o.state IN ('waiting', 'sending');
    END IF;
    IF NEW.status = 'Canceled' AND OLD.status = 'Pending' THEN
        DELETE FROM learnhub.outbox o WHERE o.subject_ref = 'session ' || NEW.id AND o.once IS NULL
            AND o.state = 'waiting' AND o.attempts = 0
        RETURNING o.user_id INTO untold;
    END IF;
    FOREACH person IN ARRAY ARRAY[NEW.mentor_id, NEW.mentee_id] LOOP
        IF NEW.status = 'Confirmed' THEN
            PERFORM learnhub.tell_session(NEW.id, 'session_confirmed', person);
        ELSIF NEW.status = 'Canceled' AND person <> NEW.changed_by AND person IS DISTINCT FROM untold THEN
            PERFORM learnhub.tell_session(NEW.id, 'session_canceled', person);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

-- SPDX-License-Identifier: Apache-2.0
-- The audit log: what happened to accounts, by whom and from where. It never contains a secret.

-- Without foreign keys, so that entries outlive the accounts that they are about.
CREATE TABLE learnhub.audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    event text NOT NULL CHECK (event ~ '^[a-z_]{1,40}$'),
    user_id bigint,
    actor_id bigint,
    address text,
    detail text NOT NULL DEFAULT '' CHECK (length(detail) <= 1000)
);
COMMENT ON COLUMN learnhub.audit_log.user_id IS
    'The account concerned; NULL: none, such as a login with an unknown name.';
COMMENT ON COLUMN learnhub.audit_log.actor_id IS 'The account that acted; NULL: nobody who was logged in.';
COMMENT ON COLUMN learnhub.audit_log.address IS 'The client address; NULL: the change was made by SQL.';
CREATE INDEX audit_log_at_idx ON learnhub.audit_log (at, id);
CREATE INDEX audit_log_user_id_idx ON learnhub.audit_log (user_id, id);

-- Adds an entry.
CREATE FUNCTION learnhub.record(event text, account bigint, actor bigint, address text, detail text DEFAULT '')
    RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO learnhub.audit_log (event, user_id, actor_id, address, detail)
    VALUES (event, account, actor, address, left(detail, 1000))
$$;

-- The part of a client address that is counted: IPv4 addresses as they are, IPv6 addresses by their /64 network, as one
-- client usually has all addresses of such a network. Text that is not an address is returned unchanged.
CREATE FUNCTION learnhub.client_network(address text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN CASE WHEN family(address::inet) = 6 THEN host(network(set_masklen(address::inet, 64))) || '/64'
                ELSE host(address::inet)
           END;
EXCEPTION WHEN invalid_text_representation THEN
    RETURN address;
END
$$;

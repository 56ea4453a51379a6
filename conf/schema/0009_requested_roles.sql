-- SPDX-License-Identifier: Apache-2.0
-- Roles that users request when they sign up. An admin grants or declines a request by setting users.role.

ALTER TABLE learnhub.users ADD COLUMN requested_role text CHECK (requested_role = 'instructor');
COMMENT ON COLUMN learnhub.users.requested_role IS 'A role that no admin has granted or declined yet.';
CREATE INDEX users_requested_role_idx ON learnhub.users (requested_role, id) WHERE requested_role IS NOT NULL;

-- A change of the role by anyone, and the deletion of the account, end its request.
CREATE FUNCTION learnhub.end_role_request() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.requested_role := NULL;
    RETURN NEW;
END
$$;

CREATE TRIGGER end_role_request BEFORE UPDATE OF role, deleted_at ON learnhub.users
    FOR EACH ROW WHEN (NEW.role <> OLD.role OR NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION learnhub.end_role_request();

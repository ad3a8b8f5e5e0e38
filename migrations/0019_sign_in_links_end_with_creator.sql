-- A link ends with the key that created it, with every change of what that key is or may do, and with the session in
-- which it was created.
ALTER TABLE sign_in_links ADD COLUMN created_by TEXT;
ALTER TABLE sign_in_links ADD COLUMN session_id TEXT;

CREATE INDEX sign_in_links_by_key ON sign_in_links (created_by) WHERE created_by IS NOT NULL;
CREATE INDEX sign_in_links_by_session ON sign_in_links (session_id) WHERE session_id IS NOT NULL;

CREATE TRIGGER sign_in_links_end_with_key
AFTER UPDATE OF digest, scopes, role, expires_at, disabled_at, revoked_at, rotates_at, outgoing_digest ON keys
BEGIN
  DELETE FROM sign_in_links WHERE created_by = OLD.id;
END;

CREATE TRIGGER sign_in_links_end_with_session AFTER DELETE ON sessions
BEGIN
  DELETE FROM sign_in_links WHERE session_id = OLD.id;
END;

-- The clients for which a key works, and the times. A change of them moves the feed, and ends what the key could not have
-- created with them.
ALTER TABLE keys ADD COLUMN conditions TEXT;

DROP TRIGGER keys_changed;
CREATE TRIGGER keys_changed
AFTER UPDATE OF id, organization_id, user_id, project_id, bound_to, kind, digest, name, scopes, conditions, role, metadata,
  operator_metadata, expires_at, disabled_at, revoked_at, rotates_at, outgoing_digest ON keys
WHEN NEW.ended_with IS OLD.ended_with
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

DROP TRIGGER sign_in_links_end_with_key;
CREATE TRIGGER sign_in_links_end_with_key
AFTER UPDATE OF digest, scopes, conditions, role, expires_at, disabled_at, revoked_at, rotates_at, outgoing_digest ON keys
BEGIN
  DELETE FROM sign_in_links WHERE created_by = OLD.id;
END;

DROP TRIGGER invitations_end_with_key;
CREATE TRIGGER invitations_end_with_key AFTER UPDATE OF revoked_at, scopes, conditions ON keys
WHEN NEW.revoked_at IS NOT NULL OR NEW.scopes IS NOT NULL OR NEW.conditions IS NOT NULL
BEGIN
  DELETE FROM invitations WHERE created_by = OLD.id;
END;

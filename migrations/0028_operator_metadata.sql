-- Metadata of the operator beside that which a key's holder can change. A change of it moves the feed.
ALTER TABLE keys ADD COLUMN operator_metadata TEXT NOT NULL DEFAULT '{}';

DROP TRIGGER keys_changed;
CREATE TRIGGER keys_changed
AFTER UPDATE OF id, organization_id, user_id, project_id, bound_to, kind, digest, name, scopes, role, metadata, operator_metadata,
  expires_at, disabled_at, revoked_at, rotates_at, outgoing_digest ON keys
WHEN NEW.ended_with IS OLD.ended_with
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

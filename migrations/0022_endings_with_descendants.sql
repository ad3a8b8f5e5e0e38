-- A key can end with all that descends from it, by one row of the feed; and invitations end with the key that created
-- them.
ALTER TABLE keys ADD COLUMN ended_with TEXT;

DROP TRIGGER keys_changed;
CREATE TRIGGER keys_changed
AFTER UPDATE OF id, organization_id, user_id, project_id, bound_to, kind, digest, name, scopes, role, metadata,
  expires_at, disabled_at, revoked_at, rotates_at, outgoing_digest ON keys
WHEN NEW.ended_with IS OLD.ended_with
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

-- However many keys end with one from which they descend, that is one row of the feed: their organization's, which every
-- snapshot of them knows.
CREATE TRIGGER keys_ended_with
AFTER UPDATE OF ended_with ON keys WHEN NEW.ended_with IS NOT OLD.ended_with
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.organization_id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
  DELETE FROM invitations WHERE parent_id = OLD.id;
  DELETE FROM sign_in_links WHERE parent_id = OLD.id;
END;

-- An invitation ends with the key that created it, and when that key no longer has full access, without which it could
-- not have created it.
CREATE TRIGGER invitations_end_with_key AFTER UPDATE OF revoked_at, scopes ON keys
WHEN NEW.revoked_at IS NOT NULL OR NEW.scopes IS NOT NULL
BEGIN
  DELETE FROM invitations WHERE created_by = OLD.id;
END;

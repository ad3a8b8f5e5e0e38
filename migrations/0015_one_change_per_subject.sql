-- The feed has one row for each subject and not for each change.

-- What was pruned before is not known any more once numbers are missing, so it is noted first.
INSERT INTO changes (seq, subject, at) SELECT min(seq) - 1, 'pruned', 0 FROM changes HAVING min(seq) > 1;
DELETE FROM changes WHERE seq < (SELECT max(seq) FROM changes AS later WHERE later.subject = changes.subject);

DROP INDEX changes_by_subject;
-- One row for each subject. The guard: has it changed since?
CREATE UNIQUE INDEX changes_by_subject ON changes (subject);

-- The row of the subject 'pruned' has the highest number that was deleted: all changes behind it are here.
CREATE TRIGGER changes_pruned AFTER DELETE ON changes
BEGIN
  INSERT INTO changes (seq, subject, at) VALUES (OLD.seq, 'pruned', OLD.at)
  ON CONFLICT (subject) DO UPDATE SET seq = max(seq, excluded.seq), at = excluded.at;
END;

-- A later change moves the row of its subject to a new number.
DROP TRIGGER keys_changed;
CREATE TRIGGER keys_changed
AFTER UPDATE OF id, organization_id, user_id, project_id, bound_to, kind, digest, name, scopes, role, metadata,
  expires_at, disabled_at, revoked_at, rotates_at, outgoing_digest ON keys
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

DROP TRIGGER keys_deleted;
CREATE TRIGGER keys_deleted AFTER DELETE ON keys
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

DROP TRIGGER organizations_changed;
CREATE TRIGGER organizations_changed
AFTER UPDATE OF suspended_at, operator, default_expiry_days, longest_expiry_days, max_keys_per_user, subscription ON organizations
BEGIN
  INSERT INTO changes (subject, at) VALUES (NEW.id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

DROP TRIGGER projects_changed;
CREATE TRIGGER projects_changed AFTER UPDATE OF id, organization_id, deleted_at ON projects
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

DROP TRIGGER memberships_added;
CREATE TRIGGER memberships_added AFTER INSERT ON memberships
BEGIN
  INSERT INTO changes (subject, at) VALUES (NEW.user_id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

DROP TRIGGER memberships_changed;
CREATE TRIGGER memberships_changed AFTER UPDATE ON memberships
BEGIN
  INSERT INTO changes (subject, at)
  SELECT OLD.user_id, CAST(unixepoch('subsec') * 1000 AS INTEGER)
  UNION SELECT NEW.user_id, CAST(unixepoch('subsec') * 1000 AS INTEGER) WHERE true
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

DROP TRIGGER memberships_removed;
CREATE TRIGGER memberships_removed AFTER DELETE ON memberships
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.user_id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

DROP TRIGGER sessions_changed;
CREATE TRIGGER sessions_changed
AFTER UPDATE OF id, organization_id, user_id, key_id, key_digest, role, key_expires_at, expires_at ON sessions
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

DROP TRIGGER sessions_deleted;
CREATE TRIGGER sessions_deleted AFTER DELETE ON sessions
BEGIN
  INSERT INTO changes (subject, at) VALUES (OLD.id, CAST(unixepoch('subsec') * 1000 AS INTEGER))
  ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

-- Sessions without a key end with the person whose link began them, and so do the keys without a person that were created
-- in them, even when such a session is over.
ALTER TABLE keys ADD COLUMN linked_by_user TEXT;
UPDATE keys SET linked_by_user = (SELECT created_by_user FROM sessions WHERE sessions.id = keys.created_by AND key_id IS NULL)
WHERE created_by IN (SELECT id FROM sessions WHERE key_id IS NULL);

CREATE INDEX keys_by_linking_user ON keys (organization_id, linked_by_user) WHERE linked_by_user IS NOT NULL;
CREATE INDEX sessions_by_creating_user ON sessions (organization_id, created_by_user) WHERE created_by_user IS NOT NULL;
CREATE INDEX sessions_by_creator ON sessions (created_by) WHERE created_by IS NOT NULL;

-- An organization begins with its first member, and so does its usage. For a trigger on organizations SQLite would look
-- for references to the new row in all tables.
DROP TRIGGER memberships_counted;
CREATE TRIGGER memberships_counted AFTER INSERT ON memberships
BEGIN
  INSERT OR IGNORE INTO usage (organization_id) VALUES (NEW.organization_id);
  UPDATE usage SET members = members + 1 WHERE organization_id = NEW.organization_id;
END;

-- What comes with traces counts, too, and what runs have judged. What a run has paid for is written in any case, so its
-- judgment does not count.
CREATE TRIGGER feedback_counted AFTER INSERT ON feedback
BEGIN
  UPDATE usage SET bytes = bytes + octet_length(NEW.feedback) WHERE organization_id = NEW.organization_id;
END;

CREATE TRIGGER feedback_discounted AFTER DELETE ON feedback
BEGIN
  UPDATE usage SET bytes = bytes - octet_length(OLD.feedback) WHERE organization_id = OLD.organization_id;
END;

CREATE TRIGGER evals_counted AFTER INSERT ON evals
BEGIN
  UPDATE usage SET bytes = bytes + octet_length(NEW.metric_name) WHERE organization_id = NEW.organization_id;
END;

CREATE TRIGGER evals_discounted AFTER DELETE ON evals
BEGIN
  UPDATE usage SET bytes = bytes - octet_length(OLD.metric_name) WHERE organization_id = OLD.organization_id;
END;

CREATE TRIGGER runs_counted AFTER INSERT ON runs
BEGIN
  UPDATE usage SET bytes = bytes + octet_length(NEW.inputs) WHERE organization_id = NEW.organization_id;
END;

CREATE TRIGGER runs_discounted AFTER DELETE ON runs
BEGIN
  UPDATE usage SET bytes = bytes - octet_length(OLD.inputs) WHERE organization_id = OLD.organization_id;
END;

-- What an older Worker has created meanwhile.
INSERT OR REPLACE INTO usage (organization_id, keys, projects, members, invitations, datasets, bytes)
SELECT id,
  (SELECT count(*) FROM keys WHERE organization_id = organizations.id AND revoked_at IS NULL),
  (SELECT count(*) FROM projects WHERE organization_id = organizations.id AND deleted_at IS NULL),
  (SELECT count(*) FROM memberships WHERE organization_id = organizations.id),
  (SELECT count(*) FROM invitations WHERE organization_id = organizations.id),
  (SELECT count(*) FROM datasets WHERE organization_id = organizations.id),
  (SELECT coalesce(sum(bytes), 0) FROM traces WHERE organization_id = organizations.id)
  + (SELECT coalesce(sum(octet_length(feedback)), 0) FROM feedback WHERE organization_id = organizations.id)
  + (SELECT coalesce(sum(octet_length(metric_name)), 0) FROM evals WHERE organization_id = organizations.id)
  + (SELECT coalesce(sum(octet_length(inputs)), 0) FROM runs WHERE organization_id = organizations.id)
  + (SELECT coalesce(sum(octet_length(cells)), 0) FROM dataset_chunks JOIN datasets ON datasets.id = dataset_id
    WHERE organization_id = organizations.id)
FROM organizations;

-- An event is kept for as long as was said when it was written. Afterwards it goes by its seal: an older Worker's sweep, which
-- knows no seals, deletes nothing that would then be missing.
DROP TRIGGER audit_events_kept;
CREATE TRIGGER audit_events_kept BEFORE DELETE ON audit_events
BEGIN
  SELECT RAISE(ABORT, 'an audit event is kept until its retention is over')
  WHERE OLD.keep_until > CAST(unixepoch('subsec') * 1000 AS INTEGER);
  SELECT RAISE(IGNORE) WHERE NOT coalesce((SELECT keep_until <= CAST(unixepoch('subsec') * 1000 AS INTEGER) FROM audit_seals
    WHERE organization_id = OLD.organization_id AND last_number >= OLD.number ORDER BY last_number LIMIT 1), 0);
END;

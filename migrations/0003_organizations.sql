-- What an organization asks of the keys that are made in it. NULL: nothing.
ALTER TABLE organizations ADD COLUMN default_expiry_days INTEGER;
ALTER TABLE organizations ADD COLUMN longest_expiry_days INTEGER;
ALTER TABLE organizations ADD COLUMN max_keys_per_user INTEGER;
-- How long things are kept. NULL: as long as the operator says.
ALTER TABLE organizations ADD COLUMN audit_retention_days INTEGER;
ALTER TABLE organizations ADD COLUMN trace_retention_days INTEGER;

-- How many personal keys does a user have that are neither revoked nor expired?
CREATE INDEX keys_held ON keys (organization_id, user_id, expires_at) WHERE kind = 'pat' AND revoked_at IS NULL;

-- A snapshot carries what its organization asks of keys.
DROP TRIGGER organizations_changed;
CREATE TRIGGER organizations_changed
AFTER UPDATE OF suspended_at, operator, default_expiry_days, longest_expiry_days, max_keys_per_user ON organizations
BEGIN
  INSERT INTO changes (subject, at) VALUES (NEW.id, CAST(unixepoch('subsec') * 1000 AS INTEGER));
END;

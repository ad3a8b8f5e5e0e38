-- How much of each thing an organization may have, as the operator says. NULL: the default.
ALTER TABLE organizations ADD COLUMN max_keys INTEGER CHECK (max_keys >= 0);
ALTER TABLE organizations ADD COLUMN max_projects INTEGER CHECK (max_projects >= 0);
ALTER TABLE organizations ADD COLUMN max_members INTEGER CHECK (max_members >= 0);
ALTER TABLE organizations ADD COLUMN max_invitations INTEGER CHECK (max_invitations >= 0);
ALTER TABLE organizations ADD COLUMN max_datasets INTEGER CHECK (max_datasets >= 0);
ALTER TABLE organizations ADD COLUMN max_bytes INTEGER CHECK (max_bytes >= 0);

-- What an organization has, counted in the transaction of each change. Bytes are those of the rows of data sets and of
-- traces; a data set counts until the sweep has taken it.
CREATE TABLE usage (
  organization_id TEXT PRIMARY KEY REFERENCES organizations (id),
  keys INTEGER NOT NULL DEFAULT 0,                -- that are not revoked
  projects INTEGER NOT NULL DEFAULT 0,            -- that are not deleted
  members INTEGER NOT NULL DEFAULT 0,
  invitations INTEGER NOT NULL DEFAULT 0,         -- that are open
  datasets INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- How much of each an organization may have. This is the one place of the defaults.
CREATE VIEW quotas AS
SELECT id AS organization_id,
  coalesce(max_keys, 100000) AS keys,
  coalesce(max_projects, 1000) AS projects,
  coalesce(max_members, 10000) AS members,
  coalesce(max_invitations, 1000) AS invitations,
  coalesce(max_datasets, 10000) AS datasets,
  coalesce(max_bytes, 1000000000) AS bytes
FROM organizations;

-- Nothing grows beyond its quota, whatever adds to it. What is beyond one that was lowered can still shrink.
CREATE TRIGGER usage_of_keys BEFORE UPDATE OF keys ON usage
WHEN NEW.keys > OLD.keys AND NEW.keys > (SELECT keys FROM quotas WHERE organization_id = NEW.organization_id)
BEGIN
  SELECT RAISE(ABORT, 'quota exceeded: keys ' || (SELECT keys FROM quotas WHERE organization_id = NEW.organization_id));
END;

CREATE TRIGGER usage_of_projects BEFORE UPDATE OF projects ON usage
WHEN NEW.projects > OLD.projects AND NEW.projects > (SELECT projects FROM quotas WHERE organization_id = NEW.organization_id)
BEGIN
  SELECT RAISE(ABORT, 'quota exceeded: projects ' || (SELECT projects FROM quotas WHERE organization_id = NEW.organization_id));
END;

CREATE TRIGGER usage_of_members BEFORE UPDATE OF members ON usage
WHEN NEW.members > OLD.members AND NEW.members > (SELECT members FROM quotas WHERE organization_id = NEW.organization_id)
BEGIN
  SELECT RAISE(ABORT, 'quota exceeded: members ' || (SELECT members FROM quotas WHERE organization_id = NEW.organization_id));
END;

CREATE TRIGGER usage_of_invitations BEFORE UPDATE OF invitations ON usage
WHEN NEW.invitations > OLD.invitations AND NEW.invitations > (SELECT invitations FROM quotas WHERE organization_id = NEW.organization_id)
BEGIN
  SELECT RAISE(ABORT, 'quota exceeded: invitations ' || (SELECT invitations FROM quotas WHERE organization_id = NEW.organization_id));
END;

CREATE TRIGGER usage_of_datasets BEFORE UPDATE OF datasets ON usage
WHEN NEW.datasets > OLD.datasets AND NEW.datasets > (SELECT datasets FROM quotas WHERE organization_id = NEW.organization_id)
BEGIN
  SELECT RAISE(ABORT, 'quota exceeded: datasets ' || (SELECT datasets FROM quotas WHERE organization_id = NEW.organization_id));
END;

CREATE TRIGGER usage_of_bytes BEFORE UPDATE OF bytes ON usage
WHEN NEW.bytes > OLD.bytes AND NEW.bytes > (SELECT bytes FROM quotas WHERE organization_id = NEW.organization_id)
BEGIN
  SELECT RAISE(ABORT, 'quota exceeded: bytes ' || (SELECT bytes FROM quotas WHERE organization_id = NEW.organization_id));
END;

CREATE TRIGGER keys_counted AFTER INSERT ON keys WHEN NEW.revoked_at IS NULL
BEGIN
  UPDATE usage SET keys = keys + 1 WHERE organization_id = NEW.organization_id;
END;

CREATE TRIGGER keys_discounted AFTER DELETE ON keys WHEN OLD.revoked_at IS NULL
BEGIN
  UPDATE usage SET keys = keys - 1 WHERE organization_id = OLD.organization_id;
END;

CREATE TRIGGER keys_recounted AFTER UPDATE OF organization_id, revoked_at ON keys
BEGIN
  UPDATE usage SET keys = keys - 1 WHERE organization_id = OLD.organization_id AND OLD.revoked_at IS NULL;
  UPDATE usage SET keys = keys + 1 WHERE organization_id = NEW.organization_id AND NEW.revoked_at IS NULL;
END;

-- Where a project is inserted it is counted, too: for a trigger SQLite would look for references to the new row in all
-- tables.
CREATE TRIGGER projects_discounted AFTER DELETE ON projects WHEN OLD.deleted_at IS NULL
BEGIN
  UPDATE usage SET projects = projects - 1 WHERE organization_id = OLD.organization_id;
END;

CREATE TRIGGER projects_recounted AFTER UPDATE OF organization_id, deleted_at ON projects
BEGIN
  UPDATE usage SET projects = projects - 1 WHERE organization_id = OLD.organization_id AND OLD.deleted_at IS NULL;
  UPDATE usage SET projects = projects + 1 WHERE organization_id = NEW.organization_id AND NEW.deleted_at IS NULL;
END;

CREATE TRIGGER memberships_counted AFTER INSERT ON memberships
BEGIN
  UPDATE usage SET members = members + 1 WHERE organization_id = NEW.organization_id;
END;

CREATE TRIGGER memberships_discounted AFTER DELETE ON memberships
BEGIN
  UPDATE usage SET members = members - 1 WHERE organization_id = OLD.organization_id;
END;

CREATE TRIGGER memberships_recounted AFTER UPDATE OF organization_id ON memberships
BEGIN
  UPDATE usage SET members = members - 1 WHERE organization_id = OLD.organization_id;
  UPDATE usage SET members = members + 1 WHERE organization_id = NEW.organization_id;
END;

CREATE TRIGGER invitations_counted AFTER INSERT ON invitations
BEGIN
  UPDATE usage SET invitations = invitations + 1 WHERE organization_id = NEW.organization_id;
END;

CREATE TRIGGER invitations_discounted AFTER DELETE ON invitations
BEGIN
  UPDATE usage SET invitations = invitations - 1 WHERE organization_id = OLD.organization_id;
END;

CREATE TRIGGER datasets_counted AFTER INSERT ON datasets
BEGIN
  UPDATE usage SET datasets = datasets + 1 WHERE organization_id = NEW.organization_id;
END;

CREATE TRIGGER datasets_discounted AFTER DELETE ON datasets
BEGIN
  UPDATE usage SET datasets = datasets - 1 WHERE organization_id = OLD.organization_id;
END;

CREATE TRIGGER traces_counted AFTER INSERT ON traces
BEGIN
  UPDATE usage SET bytes = bytes + NEW.bytes WHERE organization_id = NEW.organization_id;
END;

CREATE TRIGGER traces_discounted AFTER DELETE ON traces
BEGIN
  UPDATE usage SET bytes = bytes - OLD.bytes WHERE organization_id = OLD.organization_id;
END;

CREATE TRIGGER dataset_chunks_counted AFTER INSERT ON dataset_chunks
BEGIN
  UPDATE usage SET bytes = bytes + octet_length(NEW.cells)
  WHERE organization_id = (SELECT organization_id FROM datasets WHERE id = NEW.dataset_id);
END;

CREATE TRIGGER dataset_chunks_discounted AFTER DELETE ON dataset_chunks
BEGIN
  UPDATE usage SET bytes = bytes - octet_length(OLD.cells)
  WHERE organization_id = (SELECT organization_id FROM datasets WHERE id = OLD.dataset_id);
END;

CREATE TRIGGER dataset_chunks_recounted AFTER UPDATE OF cells ON dataset_chunks
BEGIN
  UPDATE usage SET bytes = bytes - octet_length(OLD.cells) + octet_length(NEW.cells)
  WHERE organization_id = (SELECT organization_id FROM datasets WHERE id = NEW.dataset_id);
END;

-- What is there already.
INSERT INTO usage (organization_id, keys, projects, members, invitations, datasets, bytes)
SELECT id,
  (SELECT count(*) FROM keys WHERE organization_id = organizations.id AND revoked_at IS NULL),
  (SELECT count(*) FROM projects WHERE organization_id = organizations.id AND deleted_at IS NULL),
  (SELECT count(*) FROM memberships WHERE organization_id = organizations.id),
  (SELECT count(*) FROM invitations WHERE organization_id = organizations.id),
  (SELECT count(*) FROM datasets WHERE organization_id = organizations.id),
  (SELECT coalesce(sum(bytes), 0) FROM traces WHERE organization_id = organizations.id)
  + (SELECT coalesce(sum(octet_length(cells)), 0) FROM dataset_chunks JOIN datasets ON datasets.id = dataset_id
    WHERE organization_id = organizations.id)
FROM organizations;

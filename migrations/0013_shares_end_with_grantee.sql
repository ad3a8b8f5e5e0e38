-- Nothing stays shared with a person who leaves the organization, or with a team that ends.
CREATE TRIGGER shares_end_with_membership AFTER DELETE ON memberships
BEGIN
  DELETE FROM shares WHERE grantee_id = OLD.user_id AND organization_id = OLD.organization_id;
END;

CREATE TRIGGER shares_end_with_team AFTER DELETE ON teams
BEGIN
  DELETE FROM shares WHERE grantee_id = OLD.id AND organization_id = OLD.organization_id;
END;

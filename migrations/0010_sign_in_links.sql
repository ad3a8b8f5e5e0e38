-- The links to sign in that somebody has made end with any change of what he may do.

-- Those of one person.
CREATE INDEX sign_in_links_by_maker ON sign_in_links (created_by_user_id) WHERE created_by_user_id IS NOT NULL;

CREATE TRIGGER sign_in_links_end_with_role AFTER UPDATE ON memberships
BEGIN
  DELETE FROM sign_in_links WHERE created_by_user_id = OLD.user_id;
END;

CREATE TRIGGER sign_in_links_end_with_membership AFTER DELETE ON memberships
BEGIN
  DELETE FROM sign_in_links WHERE created_by_user_id = OLD.user_id;
END;

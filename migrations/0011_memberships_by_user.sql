-- Where is somebody for whom Cloudflare Access vouches?
CREATE INDEX memberships_by_user ON memberships (user_id);

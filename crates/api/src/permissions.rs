//! The permissions that the routes of keys, organizations and people ask for.

use bitting_http::auth::Permission;

pub(crate) const READ: Permission = Permission::to_use("api-keys:read");
pub(crate) const WRITE: Permission = Permission::to_manage("api-keys:write");
pub(crate) const VERIFY: Permission = Permission::to_use("api-keys:verify");
pub(crate) const ORGANIZATION_READ: Permission = Permission::to_use("organization:read");
pub(crate) const ORGANIZATION_WRITE: Permission = Permission::to_manage("organization:write");
pub(crate) const MEMBERS_READ: Permission = Permission::to_use("members:read");
pub(crate) const MEMBERS_WRITE: Permission = Permission::to_manage("members:write");
pub(crate) const PROJECTS_READ: Permission = Permission::to_use("projects:read");
pub(crate) const PROJECTS_WRITE: Permission = Permission::to_manage("projects:write");
pub(crate) const AUDIT_READ: Permission = Permission::to_use("audit:read");
pub(crate) const FEED_READ: Permission = Permission::to_use("feed:read");
pub(crate) const ANY_KEY: Permission = Permission::ANY_KEY;
/// Every good key of an organization that pays.
pub(crate) const DERIVE: Permission = Permission::ANY_KEY.paid();
/// Every good key, also one that is bound to one thing.
pub(crate) const POSSESSION: Permission = Permission::ANY_KEY.bound();

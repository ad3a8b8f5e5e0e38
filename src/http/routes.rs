//! The tables of routes. A row says the method, the path, the permission, the handler, and how the body is read.

use crate::http::{
    audit,
    auth::Permission,
    bootstrap, braintrust, confident, invitations, json_rpc, keys, openapi, organizations, people, problem,
    route::{Table, route},
    teams, trulayer, verify,
};

const READ: Permission = Permission::to_use("api-keys:read");
const WRITE: Permission = Permission::to_manage("api-keys:write");
const VERIFY: Permission = Permission::to_use("api-keys:verify");
const ORGANIZATION_READ: Permission = Permission::to_use("organization:read");
const ORGANIZATION_WRITE: Permission = Permission::to_manage("organization:write");
const MEMBERS_READ: Permission = Permission::to_use("members:read");
const MEMBERS_WRITE: Permission = Permission::to_manage("members:write");
const PROJECTS_READ: Permission = Permission::to_use("projects:read");
const PROJECTS_WRITE: Permission = Permission::to_manage("projects:write");
const AUDIT_READ: Permission = Permission::to_use("audit:read");
const ANY_KEY: Permission = Permission::ANY_KEY;

/// Keys, the organizations and people behind them, and the audit log.
pub(crate) static KEYS: Table = Table {
    prefix: None,
    envelope: problem::envelope,
    rows: &[
        route!(GET "/openapi.json" anybody openapi::get, "This document"),
        route!(POST "/v1/bootstrap" operator bootstrap::create, "Make the first organization, its owner and his key, once"),
        route!(GET "/v1/scopes" ANY_KEY keys::scopes, "List every scope, which of them this key holds, bundles and presets"),
        route!(GET "/v1/keys" READ keys::list, "List keys, the newest first"),
        route!(POST "/v1/keys" WRITE keys::create, "Make a key"),
        route!(POST "/v1/keys/verify" VERIFY verify::verify, "Ask whether a key is good, and good for this"),
        route!(GET "/v1/keys/self" ANY_KEY keys::get_self, "Get the key that asks"),
        route!(GET "/v1/keys/:id" READ keys::get, "Get a key"),
        route!(PATCH "/v1/keys/:id" WRITE keys::change, "Change a key"),
        route!(DELETE "/v1/keys/:id" WRITE keys::revoke, "Revoke a key for good"),
        route!(POST "/v1/keys/:id/rotate" WRITE keys::rotate, "Give a key a new secret"),
        route!(POST "/v1/keys/:id/rotate/finish" WRITE keys::finish_rotation, "End the old secret before its time"),
        route!(POST "/v1/keys/:id/rotate/cancel" WRITE keys::cancel_rotation, "End the new secret and keep the old one"),
        route!(GET "/v1/keys/:id/events" READ keys::events, "List what happened to a key, the newest first"),
        route!(GET "/v1/keys/:id/usage" READ keys::usage, "Count how often a key was used on each of the last 30 days"),
        route!(GET "/v1/organizations" ORGANIZATION_READ organizations::list, "List organizations, the newest first"),
        route!(POST "/v1/organizations" ORGANIZATION_WRITE organizations::create, "Make an organization, its owner and his key"),
        route!(GET "/v1/organizations/:organization" ORGANIZATION_READ organizations::get, "Get an organization and its settings"),
        route!(PATCH "/v1/organizations/:organization" ORGANIZATION_WRITE organizations::change, "Change an organization and its settings"),
        route!(GET "/v1/organizations/:organization/projects" PROJECTS_READ organizations::list_projects, "List projects, the newest first"),
        route!(POST "/v1/organizations/:organization/projects" PROJECTS_WRITE organizations::create_project, "Make a project and its first key"),
        route!(GET "/v1/organizations/:organization/projects/:project" PROJECTS_READ organizations::get_project, "Get a project"),
        route!(PATCH "/v1/organizations/:organization/projects/:project" PROJECTS_WRITE organizations::change_project, "Change a project"),
        route!(DELETE "/v1/organizations/:organization/projects/:project" PROJECTS_WRITE organizations::delete_project, "Delete a project and end all its keys"),
        route!(GET "/v1/audit-events" AUDIT_READ audit::list, "List or export the audit trail, the newest event first"),
        // The people of an organization.
        route!(GET "/v1/organizations/:organization/members" MEMBERS_READ people::list, "List the people of an organization, the newest first"),
        route!(GET "/v1/organizations/:organization/members/:user" MEMBERS_READ people::get, "Get somebody of an organization"),
        route!(PATCH "/v1/organizations/:organization/members/:user" MEMBERS_WRITE people::change, "Change somebody's role"),
        route!(DELETE "/v1/organizations/:organization/members/:user" MEMBERS_WRITE people::remove, "Remove somebody and end all his keys"),
        route!(POST "/v1/organizations/:organization/members/:user/sign-in-links" MEMBERS_WRITE people::make_sign_in_link, "Make a link that signs somebody in"),
        route!(GET "/v1/organizations/:organization/invitations" MEMBERS_READ invitations::list, "List open invitations, the newest first"),
        route!(POST "/v1/organizations/:organization/invitations" MEMBERS_WRITE invitations::create, "Invite somebody"),
        route!(DELETE "/v1/organizations/:organization/invitations/:invitation" MEMBERS_WRITE invitations::revoke, "Take an invitation back"),
        route!(GET "/v1/organizations/:organization/teams" MEMBERS_READ teams::list, "List teams, the newest first"),
        route!(POST "/v1/organizations/:organization/teams" MEMBERS_WRITE teams::create, "Make a team"),
        route!(GET "/v1/organizations/:organization/teams/:team" MEMBERS_READ teams::get, "Get a team and everybody in it"),
        route!(PATCH "/v1/organizations/:organization/teams/:team" MEMBERS_WRITE teams::rename, "Rename a team"),
        route!(DELETE "/v1/organizations/:organization/teams/:team" MEMBERS_WRITE teams::delete, "Delete a team"),
        route!(PUT "/v1/organizations/:organization/teams/:team/members/:user" MEMBERS_WRITE teams::add, "Put somebody into a team"),
        route!(DELETE "/v1/organizations/:organization/teams/:team/members/:user" MEMBERS_WRITE teams::remove, "Take somebody out of a team"),
        route!(GET "/v1/invitations/:token" anybody invitations::get, "See where an invitation leads to"),
        route!(POST "/v1/invitations/:token/accept" anybody invitations::accept, "Accept an invitation and get a first key"),
    ],
};

/// Braintrust's surface.
pub(crate) static BRAINTRUST: Table = Table {
    prefix: Some("/braintrust"),
    envelope: problem::envelope,
    rows: &[
        route!(GET "/v1/api_key" READ braintrust::list),
        route!(POST "/v1/api_key" WRITE braintrust::create),
        route!(GET "/v1/api_key/:id" READ braintrust::get),
        route!(DELETE "/v1/api_key/:id" WRITE braintrust::delete),
    ],
};

/// Confident AI's surface, in its two versions.
pub(crate) static CONFIDENT: Table = Table {
    prefix: Some("/confident"),
    envelope: confident::envelope,
    rows: &[
        route!(GET "/v1/organization" ORGANIZATION_READ confident::get_organization),
        route!(PUT "/v1/organization" ORGANIZATION_WRITE confident::update_organization),
        route!(GET "/v1/organization/api-keys" READ confident::list),
        route!(POST "/v1/organization/api-keys" WRITE confident::create),
        route!(GET "/v1/organization/api-keys/:id" READ confident::get),
        route!(PUT "/v1/organization/api-keys/:id" WRITE confident::update),
        route!(DELETE "/v1/organization/api-keys/:id" WRITE confident::delete),
        route!(GET "/v1/projects" PROJECTS_READ confident::list_projects),
        route!(POST "/v1/projects" PROJECTS_WRITE confident::create_project),
        route!(GET "/v1/projects/:project" PROJECTS_READ confident::get_project),
        route!(PUT "/v1/projects/:project" PROJECTS_WRITE confident::update_project),
        route!(DELETE "/v1/projects/:project" PROJECTS_WRITE confident::delete_project),
        route!(GET "/v1/projects/:project/api-keys" READ confident::list),
        route!(POST "/v1/projects/:project/api-keys" WRITE confident::create),
        route!(GET "/v1/projects/:project/api-keys/:id" READ confident::get),
        route!(PUT "/v1/projects/:project/api-keys/:id" WRITE confident::update),
        route!(DELETE "/v1/projects/:project/api-keys/:id" WRITE confident::delete),
        route!(GET "/v2/organization" ORGANIZATION_READ confident::get_organization),
        route!(PUT "/v2/organization" ORGANIZATION_WRITE confident::update_organization),
        route!(GET "/v2/organization/api-keys" READ confident::list),
        route!(POST "/v2/organization/api-keys" WRITE confident::create),
        route!(GET "/v2/organization/api-keys/:id" READ confident::get),
        route!(PUT "/v2/organization/api-keys/:id" WRITE confident::update),
        route!(DELETE "/v2/organization/api-keys/:id" WRITE confident::delete),
        route!(POST "/v2/organization/api-keys/:id/rotate" WRITE confident::rotate),
        route!(GET "/v2/projects" PROJECTS_READ confident::list_projects),
        route!(POST "/v2/projects" PROJECTS_WRITE confident::create_project),
        route!(GET "/v2/projects/:project" PROJECTS_READ confident::get_project),
        route!(PUT "/v2/projects/:project" PROJECTS_WRITE confident::update_project),
        route!(DELETE "/v2/projects/:project" PROJECTS_WRITE confident::delete_project),
        route!(GET "/v2/projects/:project/api-keys" READ confident::list),
        route!(POST "/v2/projects/:project/api-keys" WRITE confident::create),
        route!(GET "/v2/projects/:project/api-keys/:id" READ confident::get),
        route!(PUT "/v2/projects/:project/api-keys/:id" WRITE confident::update),
        route!(DELETE "/v2/projects/:project/api-keys/:id" WRITE confident::delete),
        route!(POST "/v2/projects/:project/api-keys/:id/rotate" WRITE confident::rotate),
    ],
};

/// TruLayer's surface.
pub(crate) static TRULAYER: Table = Table {
    prefix: Some("/trulayer"),
    envelope: trulayer::envelope,
    rows: &[
        route!(GET "/v1/apikeys" READ trulayer::list),
        route!(POST "/v1/apikeys" WRITE trulayer::create),
        route!(DELETE "/v1/apikeys/:id" WRITE trulayer::delete),
        route!(POST "/v1/apikeys/:id/rotate" WRITE trulayer::rotate),
    ],
};

/// The Model Context Protocol.
pub(crate) static MCP: Table = Table { prefix: None, envelope: json_rpc::envelope, rows: &[route!(POST "/mcp" tools)] };

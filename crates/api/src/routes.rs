//! The table of the native routes. A row says the method, the path, the permission, the handler, and how the body is read.

use bitting_http::{problem, route, route::Table};

use crate::{
    audit, bootstrap, invitations, keys, openapi, organizations, people,
    permissions::{
        ANY_KEY, AUDIT_READ, MEMBERS_READ, MEMBERS_WRITE, ORGANIZATION_READ, ORGANIZATION_WRITE, PROJECTS_READ,
        PROJECTS_WRITE, READ, VERIFY, WRITE,
    },
    teams, verify,
};

/// Keys, the organizations and people behind them, and the audit log.
pub static KEYS: Table = Table {
    surface: None,
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

//! The table of the native routes. A row has the method, the path, the access rule, the handler and the summary.

use bitting_http::{problem, route, route::Table};

use crate::{
    audit, authorize, bootstrap, device_links, errors_page, exchange, feed, invitations, keys, leaks, members, openapi,
    organizations,
    permissions::{
        ANY_KEY, AUDIT_READ, DERIVE, FEED_READ, MEMBERS_READ, MEMBERS_WRITE, ORGANIZATION_READ, ORGANIZATION_WRITE,
        POSSESSION, PROJECTS_READ, PROJECTS_WRITE, READ, VERIFY, WRITE,
    },
    security_txt, teams, tokens, trusts,
};

/// The routes of keys, organizations, members and the audit log.
pub static KEYS: Table = Table {
    surface: None,
    prefix: None,
    envelope: problem::envelope,
    rows: &[
        route!(GET "/openapi.json" public openapi::get, "Get this document"),
        route!(GET "/errors" public errors_page::get, "Read about the errors"),
        route!(POST "/v1/bootstrap" operator bootstrap::create, "Create the first organization, its owner and their key"),
        route!(POST "/v1/operator/sign-in-links" operator bootstrap::create_sign_in_link, "Create a link that signs in an owner of the operator's organization"),
        route!(POST "/v1/leaks" public leaks::report, "Report keys that you have found in public")
            .limit(leaks::MAX_BYTES),
        route!(POST "/v1/leaks/github" public leaks::report_from_github).limit(leaks::MAX_BYTES),
        route!(GET "/.well-known/api-key-format" public leaks::get_format, "Get the format of keys, for scanners"),
        route!(GET "/.well-known/security.txt" public security_txt::get, "Get the contact for reports about security"),
        route!(GET "/.well-known/jwks.json" public tokens::get_key_set, "Get the public keys that verify derived tokens"),
        route!(POST "/v1/tokens" DERIVE tokens::create, "Derive a short-lived token from the key of the request"),
        route!(GET "/v1/scopes" ANY_KEY keys::list_scopes, "List scopes, bundles and presets"),
        route!(GET "/v1/keys" READ keys::list, "List keys, the newest first"),
        route!(POST "/v1/keys" WRITE keys::create, "Create a key"),
        route!(POST "/v1/keys/verify" VERIFY keys::verify, "Verify a key").about(crate::key_verification::subject),
        route!(GET "/v1/feed" FEED_READ feed::get, "Get the changes of keys, for copies of them"),
        route!(GET "/v1/keys/self" ANY_KEY keys::get_self, "Get the key of the request"),
        route!(DELETE "/v1/keys/self" POSSESSION keys::revoke_self, "Revoke the secret of the request"),
        route!(ANY "/v1/authorize" check authorize::check, "Tell a proxy by the status whether its caller's key is good"),
        route!(GET "/v1/keys/:key_id" READ keys::get, "Get a key"),
        route!(PATCH "/v1/keys/:key_id" WRITE keys::change, "Change a key"),
        route!(DELETE "/v1/keys/:key_id" WRITE keys::revoke, "Revoke a key"),
        route!(POST "/v1/keys/:key_id/rotate" WRITE keys::rotate, "Rotate a key"),
        route!(POST "/v1/keys/:key_id/rotate/finish" WRITE keys::finish_rotation, "Finish a rotation and end the old secret"),
        route!(POST "/v1/keys/:key_id/rotate/cancel" WRITE keys::cancel_rotation, "Cancel a rotation and keep the old secret"),
        route!(POST "/v1/keys/:key_id/simulate" READ keys::simulate, "Try what a key would be let do"),
        route!(GET "/v1/keys/:key_id/descendants" READ keys::get_descendants, "Get what would end with a key"),
        route!(GET "/v1/keys/:key_id/events" READ keys::list_events, "List the events of a key, the newest first"),
        route!(GET "/v1/keys/:key_id/usage" READ keys::get_usage, "Get the daily uses of a key in the last 30 days"),
        route!(GET "/v1/organizations" ORGANIZATION_READ organizations::list, "List organizations, the newest first"),
        route!(POST "/v1/organizations" ORGANIZATION_WRITE organizations::create, "Create an organization, its owner and their key"),
        route!(GET "/v1/organizations/:organization_id" ORGANIZATION_READ organizations::get, "Get an organization"),
        route!(PATCH "/v1/organizations/:organization_id" ORGANIZATION_WRITE organizations::change, "Change an organization"),
        route!(GET "/v1/organizations/:organization_id/projects" PROJECTS_READ organizations::list_projects, "List projects, the newest first"),
        route!(POST "/v1/organizations/:organization_id/projects" PROJECTS_WRITE organizations::create_project, "Create a project and its first key"),
        route!(GET "/v1/organizations/:organization_id/projects/:project_id" PROJECTS_READ organizations::get_project, "Get a project"),
        route!(PATCH "/v1/organizations/:organization_id/projects/:project_id" PROJECTS_WRITE organizations::change_project, "Change a project"),
        route!(DELETE "/v1/organizations/:organization_id/projects/:project_id" PROJECTS_WRITE organizations::delete_project, "Delete a project and revoke all its keys"),
        route!(GET "/v1/audit-events" AUDIT_READ audit::list, "List or export the audit log, the newest event first"),
        route!(GET "/v1/audit-events/verify" AUDIT_READ audit::verify, "Verify the audit log, a part of it"),
        // The members of an organization.
        route!(GET "/v1/organizations/:organization_id/members" MEMBERS_READ members::list, "List members, the newest first"),
        route!(GET "/v1/organizations/:organization_id/members/:user_id" MEMBERS_READ members::get, "Get a member"),
        route!(PATCH "/v1/organizations/:organization_id/members/:user_id" MEMBERS_WRITE members::change, "Change the role of a member"),
        route!(DELETE "/v1/organizations/:organization_id/members/:user_id" MEMBERS_WRITE members::remove, "Remove a member and revoke all their keys"),
        route!(GET "/v1/organizations/:organization_id/members/:user_id/descendants" READ members::get_descendants, "Get what would end with a member"),
        route!(POST "/v1/organizations/:organization_id/members/:user_id/sign-in-links" MEMBERS_WRITE members::create_sign_in_link, "Create a link that signs a member in"),
        route!(GET "/v1/organizations/:organization_id/sign-in-links" MEMBERS_READ members::list_sign_in_links, "List open sign-in links, the newest first"),
        route!(DELETE "/v1/organizations/:organization_id/sign-in-links/:sign_in_link_id" MEMBERS_WRITE members::revoke_sign_in_link, "Revoke a sign-in link"),
        route!(GET "/v1/organizations/:organization_id/invitations" MEMBERS_READ invitations::list, "List open invitations, the newest first"),
        route!(POST "/v1/organizations/:organization_id/invitations" MEMBERS_WRITE invitations::create, "Create an invitation"),
        route!(DELETE "/v1/organizations/:organization_id/invitations/:invitation_id" MEMBERS_WRITE invitations::revoke, "Revoke an invitation"),
        route!(GET "/v1/organizations/:organization_id/teams" MEMBERS_READ teams::list, "List teams, the newest first"),
        route!(POST "/v1/organizations/:organization_id/teams" MEMBERS_WRITE teams::create, "Create a team"),
        route!(GET "/v1/organizations/:organization_id/teams/:team_id" MEMBERS_READ teams::get, "Get a team and its members"),
        route!(PATCH "/v1/organizations/:organization_id/teams/:team_id" MEMBERS_WRITE teams::rename, "Rename a team"),
        route!(DELETE "/v1/organizations/:organization_id/teams/:team_id" MEMBERS_WRITE teams::delete, "Delete a team"),
        route!(PUT "/v1/organizations/:organization_id/teams/:team_id/members/:user_id" MEMBERS_WRITE teams::add, "Add a member to a team"),
        route!(DELETE "/v1/organizations/:organization_id/teams/:team_id/members/:user_id" MEMBERS_WRITE teams::remove, "Remove a member from a team"),
        route!(GET "/v1/organizations/:organization_id/trusts" READ trusts::list, "List trusts, the newest first"),
        route!(POST "/v1/organizations/:organization_id/trusts" WRITE trusts::create, "Create a trust in an issuer of tokens"),
        route!(POST "/v1/organizations/:organization_id/trusts/match" WRITE trusts::compare, "Compare claims with all trusts"),
        route!(GET "/v1/organizations/:organization_id/trusts/:trust_id" READ trusts::get, "Get a trust"),
        route!(DELETE "/v1/organizations/:organization_id/trusts/:trust_id" WRITE trusts::delete, "Delete a trust and revoke its keys"),
        route!(GET "/v1/invitations/:token" public invitations::get, "Get an invitation by its secret"),
        route!(POST "/v1/invitations/:token/accept" public invitations::accept, "Accept an invitation"),
        route!(POST "/v1/device-links/claim" public device_links::claim, "Claim the key of an approved device link"),
    ],
};

/// The route of workloads, whose errors have the shape of OAuth 2.0.
pub static EXCHANGE: Table = Table {
    surface: None,
    prefix: None,
    envelope: exchange::envelope,
    rows: &[route!(POST "/v1/tokens/exchange" public exchange::exchange, "Exchange a workload's token for a key")
        .limit(exchange::MAX_BYTES)],
};

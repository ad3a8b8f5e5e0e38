//! The needs of pages and forms, as values that pages ask for by name.

use bitting_keys::{
    app::sessions::{SIGN_IN, SignedIn},
    domain::scope::Scope,
};

/// The needs of a page or a form: a session has to have both.
pub(crate) struct Needs {
    /// The scope that the API asks for the same.
    pub(crate) scope: Option<Scope>,
    /// True if the session must administer the organization.
    pub(crate) admin: bool,
}

impl Needs {
    const fn scope(scope: &'static str) -> Self {
        Self { scope: Some(Scope::named(scope)), admin: false }
    }

    const fn admin(scope: &'static str) -> Self {
        Self { scope: Some(Scope::named(scope)), admin: true }
    }
}

/// Returns true if a session has what a page needs.
pub(crate) fn may(session: &SignedIn, needs: &Needs) -> bool {
    needs.scope.as_ref().is_none_or(|scope| session.principal.snapshot.scopes.grant(scope))
        && (!needs.admin || session.principal.administers().is_ok())
}

pub(crate) const ANY: Needs = Needs { scope: None, admin: false };
pub(crate) const READ: Needs = Needs::scope("api-keys:read");
pub(crate) const WRITE: Needs = Needs { scope: Some(SIGN_IN), admin: false };
pub(crate) const MEMBERS_READ: Needs = Needs::scope("members:read");
pub(crate) const MEMBERS_WRITE: Needs = Needs::scope("members:write");
pub(crate) const PROJECTS_READ: Needs = Needs::scope("projects:read");
pub(crate) const ORGANIZATION_READ: Needs = Needs::scope("organization:read");
pub(crate) const MANAGE_MEMBERS: Needs = Needs::admin("members:write");
pub(crate) const MANAGE_PROJECTS: Needs = Needs::admin("projects:write");
pub(crate) const MANAGE_ORGANIZATION: Needs = Needs::admin("organization:write");
pub(crate) const AUDIT: Needs = Needs::admin("audit:read");

//! A key as a verification needs to know it, as it stood at one `seq` of the change feed.
//!
//! Snapshots are what memory and KV hold. They carry every deadline, so that only changes, and not
//! the passing of time, can make one untrue; and the `seq`, so that the feed can tell.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::{
    id::{BoundTo, KeyId, OrganizationId, ProjectId, Seq, SessionId, Subject, UserId},
    key::{Life, Name, Role},
    key_text::KeyKind,
    organization::{Policy, Subscription},
    scope::Scopes,
    time::UnixMillis,
};

/// Whether the organization and the user behind a key still stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// They do.
    Good,
    /// The organization is suspended.
    OrganizationSuspended,
    /// The user whom the key acts as is no longer in the organization.
    UserRemoved,
    /// The project that the key belongs to was deleted.
    ProjectDeleted,
}

/// A key as it stood at `seq`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The newest change of the feed when this was read, in the same transaction.
    pub seq: Seq,
    /// The session on the settings pages that shows the key or stands for one. None is in memory or KV.
    #[serde(skip)]
    pub session_id: Option<SessionId>,
    /// The key. A session that was not signed in by one stands here itself.
    pub key_id: KeyId,
    /// Its organization.
    pub organization_id: OrganizationId,
    /// Whether that is the operator's own organization, whose keys may verify everybody's.
    pub operator: bool,
    /// The demands of its organization on the keys that it makes.
    pub policy: Policy,
    /// Whether its organization may use the resource routes.
    pub subscription: Subscription,
    /// The user whom it acts as.
    pub user_id: Option<UserId>,
    /// The one project that it sees.
    pub project_id: Option<ProjectId>,
    /// The one live evaluation that it runs, and does nothing else.
    pub bound_to: Option<BoundTo>,
    /// Its kind.
    pub kind: KeyKind,
    /// Its name.
    pub name: Name,
    /// Its scopes.
    pub scopes: Scopes,
    /// Its role in its organization: the lesser of the key's own role and its user's.
    pub role: Role,
    /// Its maker's notes about it.
    pub metadata: Map<String, Value>,
    /// The instants that decide its state.
    pub life: Life,
    /// Whether the key was shown by the secret that a rotation is replacing; until when it works, then.
    pub outgoing_until: Option<UnixMillis>,
    /// Whether those behind it still stand.
    pub standing: Standing,
}

impl Snapshot {
    /// The instant at which what was shown ends: the key, or the secret that a rotation is replacing.
    pub fn ends_at(&self) -> Option<UnixMillis> {
        self.life.expires_at.into_iter().chain(self.outgoing_until).min()
    }

    /// Everything whose change makes this snapshot untrue.
    pub fn subjects(&self) -> impl Iterator<Item = Subject> {
        [
            Some(self.key_id.subject()),
            Some(self.organization_id.subject()),
            self.user_id.map(UserId::subject),
            self.project_id.map(ProjectId::subject),
            self.session_id.map(SessionId::subject),
        ]
        .into_iter()
        .flatten()
    }
}

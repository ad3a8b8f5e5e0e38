//! A key as a verification needs it, as it was at one `seq` of the change feed.
//!
//! Memory and KV hold snapshots. A snapshot carries every deadline, so that only a change can make it stale, not
//! the passing of time. It carries the `seq`, so that the feed can tell.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::{
    conditions::Conditions,
    creator::Creator,
    id::{BoundTo, KeyId, OrganizationId, ProjectId, Seq, SessionId, Subject, UserId},
    json::object_heap_bytes,
    key::{Life, Name, Role},
    key_text::KeyKind,
    organization::{Policy, Subscription},
    scope::{Scope, Scopes},
    standing::Standing,
    time::UnixMillis,
};

/// A key as it was at `seq`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The newest change of the feed when this was read, in the same transaction.
    pub seq: Seq,
    /// The session on the settings pages that acts with the key or in place of one. Memory and KV never hold it.
    #[serde(skip)]
    pub session_id: Option<SessionId>,
    /// The key that created the link or the invitation of a session without a key.
    #[serde(skip)]
    pub session_parent_id: Option<KeyId>,
    /// The id of the key, or of a session that was signed in without one.
    pub key_id: KeyId,
    /// The key's organization.
    pub organization_id: OrganizationId,
    /// True if that is the operator's own organization, whose keys may verify keys of all organizations.
    pub operator: bool,
    /// The organization's policy for new keys.
    pub policy: Policy,
    /// The organization's subscription to the resource routes.
    pub subscription: Subscription,
    /// The user that the key acts as.
    pub user_id: Option<UserId>,
    /// The one project that the key sees.
    pub project_id: Option<ProjectId>,
    /// The one resource that the key is bound to. It may do nothing else.
    pub bound_to: Option<BoundTo>,
    /// The kind of the key.
    pub kind: KeyKind,
    /// The name of the key.
    pub name: Name,
    /// The scopes of the key.
    pub scopes: Scopes,
    /// The conditions of the key.
    pub conditions: Conditions,
    /// The effective role: the lesser of the key's own role and its user's.
    pub role: Role,
    /// Metadata of those who manage the key.
    pub metadata: Map<String, Value>,
    /// Metadata of the operator.
    pub operator_metadata: Map<String, Value>,
    /// The instants that decide the key's state.
    pub life: Life,
    /// The end of the presented secret, if a rotation is replacing it; 0 if it has ended and was forgotten.
    pub outgoing_until: Option<UnixMillis>,
    /// The standing of the key's organization, user and project.
    pub standing: Standing,
}

impl Snapshot {
    /// True if the key may know of the keys of all organizations: one of the operator's, but not a project's.
    pub fn sees_all_organizations(&self) -> bool {
        self.operator && self.project_id.is_none()
    }

    /// The instant at which the presented secret ends, by the key's expiry or by a rotation.
    pub fn ends_at(&self) -> Option<UnixMillis> {
        self.life.expires_at.into_iter().chain(self.outgoing_until).min()
    }

    /// This key or session as a creator.
    pub fn creator(&self) -> Creator {
        let keyless = self.session_id.is_some_and(|session_id| session_id.as_key() == self.key_id);
        Creator {
            id: Some(self.key_id),
            user_id: self.user_id,
            parent_id: if keyless { self.session_parent_id } else { Some(self.key_id) },
            trust_id: None,
        }
    }

    /// About how many bytes of memory the snapshot takes.
    pub fn memory_bytes(&self) -> usize {
        let scopes = match &self.scopes {
            Scopes::Full => 0,
            Scopes::List(list) => list.iter().map(|scope| size_of::<Scope>() + scope.as_str().len()).sum(),
        };
        let metadata = object_heap_bytes(&self.metadata) + object_heap_bytes(&self.operator_metadata);
        size_of::<Self>() + self.name.as_str().len() + scopes + metadata + self.conditions.heap_bytes()
    }

    /// The subjects whose change makes this snapshot stale.
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

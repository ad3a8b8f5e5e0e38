//! A key as the native surface writes it, and what its routes take about keys.

use bitting_http::{message::Rfc3339, typed::Whole};
use bitting_keys::domain::{
    id::{BoundTo, KeyId, OrganizationId, ProjectId, UserId},
    key::{Created, Key, KeyState, Name, Role, Rotation},
    key_text::KeyKind,
    scope::Scopes,
    time::{MAX_DAYS, UnixMillis},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A life in days.
pub(crate) type Days = Whole<1, MAX_DAYS>;

/// Whether the caller insists on ending the last key that can manage keys.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForceQuery {
    /// Whether to end even the last key that can manage keys.
    #[serde(default)]
    pub(crate) force: bool,
}

/// A key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Key")]
pub(crate) struct KeyBody {
    /// Its id, which survives every change of the key.
    id: KeyId,
    /// What people call it.
    name: Name,
    /// What it acts as.
    kind: KeyKind,
    /// The beginning and the end of its text.
    preview: String,
    /// What it may do; null: everything that its owner may.
    scopes: Scopes,
    /// Whether `scopes` is null.
    full_access: bool,
    /// The most that it may do in its organization, whatever its scopes.
    role: Role,
    /// Whether it works, and if not, why.
    status: KeyState,
    /// The organization that it belongs to.
    organization_id: OrganizationId,
    /// The user whom it acts as, for a personal key.
    user_id: Option<UserId>,
    /// The one project that it sees, for a project's key.
    project_id: Option<ProjectId>,
    /// The one live evaluation that it runs, for the key of one.
    live_evaluation_id: Option<BoundTo>,
    /// Whatever its maker wants to know about it; comes back with every verification.
    metadata: Map<String, Value>,
    /// When it was made.
    created_at: Rfc3339,
    /// The key that made it; null: the operator.
    created_by: Option<KeyId>,
    /// When it was last changed.
    updated_at: Rfc3339,
    /// From when on it is expired; null: never.
    expires_at: Option<Rfc3339>,
    /// Since when it is disabled, if it is.
    disabled_at: Option<Rfc3339>,
    /// When it was revoked, if it was.
    revoked_at: Option<Rfc3339>,
    /// When its newest secret was last used, up to a minute late.
    last_used_at: Option<Rfc3339>,
    /// The rotation that is under way.
    rotation: Option<RotationBody>,
}

/// A rotation that is under way, and whether its outgoing secret is still in use.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Rotation")]
struct RotationBody {
    /// Until when the old secret works.
    rotates_at: Rfc3339,
    /// The beginning and the end of the old secret's text.
    outgoing_preview: String,
    /// When the old secret was last used, up to a minute late.
    outgoing_last_used_at: Option<Rfc3339>,
    /// How often the old secret was used since the rotation began.
    outgoing_uses: i64,
}

impl RotationBody {
    /// A rotation whose grace is over is over, also before the sweep has come by.
    fn new(rotation: &Rotation, now: UnixMillis) -> Option<Self> {
        (rotation.rotates_at > now).then(|| Self {
            rotates_at: Rfc3339(rotation.rotates_at),
            outgoing_preview: format!("{}…{}", rotation.start, rotation.last4),
            outgoing_last_used_at: rotation.last_used_at.map(Rfc3339),
            outgoing_uses: rotation.uses,
        })
    }
}

impl KeyBody {
    pub(crate) fn new(key: Key, now: UnixMillis) -> Self {
        Self {
            id: key.id,
            name: key.name,
            kind: key.kind,
            preview: format!("{}…{}", key.preview.start, key.preview.last4),
            full_access: key.scopes == Scopes::Full,
            scopes: key.scopes,
            role: key.role,
            status: key.life.state_at(now),
            organization_id: key.organization_id,
            user_id: key.user_id,
            project_id: key.project_id,
            live_evaluation_id: key.bound_to,
            metadata: key.metadata,
            created_at: Rfc3339(key.created_at),
            created_by: key.created_by,
            updated_at: Rfc3339(key.updated_at),
            expires_at: key.life.expires_at.map(Rfc3339),
            disabled_at: key.life.disabled_at.map(Rfc3339),
            revoked_at: key.life.revoked_at.map(Rfc3339),
            last_used_at: key.last_used_at.map(Rfc3339),
            rotation: key.rotation.as_ref().and_then(|rotation| RotationBody::new(rotation, now)),
        }
    }
}

/// A key that was just made or rotated, and its text.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CreatedKey")]
pub(crate) struct CreatedBody {
    #[serde(flatten)]
    about: KeyBody,
    /// The key's text: the secret itself, shown this once.
    key: String,
}

impl CreatedBody {
    pub(crate) fn new(created: Created, now: UnixMillis) -> Self {
        Self { key: created.text.expose().to_owned(), about: KeyBody::new(created.key, now) }
    }
}

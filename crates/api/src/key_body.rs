//! Keys in the requests and responses of the native surface.

use bitting_http::{
    message::Rfc3339,
    paging::Listed,
    typed::{Version, Whole},
};
use bitting_keys::domain::{
    conditions::Conditions,
    id::{BoundTo, KeyId, OrganizationId, ProjectId, UserId},
    key::{Created, Key, KeyStatus, Name, Role, Rotation},
    key_text::KeyKind,
    key_use::UsedFrom,
    scope::Scopes,
    time::{MAX_DAYS, UnixMillis},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The pattern of a scope or the name of a bundle. The catalogue has those that exist.
pub(crate) const SCOPE_OR_BUNDLE: &str = r"^([a-z][a-z0-9-]*:(\*|[a-z][a-z0-9-]*)|[a-z0-9_-]+)$";

/// The life of a key, in days.
pub(crate) type Days = Whole<1, MAX_DAYS>;

/// The consent to a change that removes the last key that can manage keys.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForceQuery {
    /// True to allow the change even if it disables or revokes the last key that can manage keys.
    #[serde(default)]
    pub(crate) force: bool,
}

/// The extent of the end of a key or a person.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndQuery {
    /// True to allow the end even if no key that can manage keys is left.
    #[serde(default)]
    pub(crate) force: bool,
    /// True to end all that descends from it, too: the keys that it created, those that they created, and so on, and the
    /// invitations, sign-in links and sessions of all of these. The default is to keep them.
    #[serde(default)]
    pub(crate) with_descendants: bool,
}

/// A key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Key")]
pub(crate) struct KeyBody {
    /// The id of the key. It never changes.
    id: KeyId,
    /// The name of the key.
    name: Name,
    /// The kind of the key: what it acts as.
    kind: KeyKind,
    /// The beginning and the end of the key's text.
    preview: String,
    /// The scopes of the key; null for full access within its owner's role.
    scopes: Scopes,
    /// True if `scopes` is null.
    full_access: bool,
    /// The conditions of the key; null for none.
    conditions: Option<Conditions>,
    /// The role that limits the key in its organization, in addition to its scopes.
    role: Role,
    /// The state of the key, or the reason why it does not work.
    status: KeyStatus,
    /// The id of the organization that the key belongs to.
    organization_id: OrganizationId,
    /// The id of the user that a personal key acts for.
    user_id: Option<UserId>,
    /// The id of the only project that a project's key can see, or of the project of the key's live evaluation.
    project_id: Option<ProjectId>,
    /// The id of the only live evaluation that this key can run.
    live_evaluation_id: Option<BoundTo>,
    /// Free-form metadata of those who manage the key. It is returned with every verification.
    metadata: Map<String, Value>,
    /// Free-form metadata of the operator, which nobody else can change. It is returned with every verification.
    operator_metadata: Map<String, Value>,
    /// The time when the key was created.
    created_at: Rfc3339,
    /// The id of the key that created this one, or whose invitation was accepted, or of the session on the settings
    /// pages if it was signed in without a key; null for the operator.
    created_by: Option<KeyId>,
    /// The id of the user for whom the creator acted.
    created_by_user: Option<UserId>,
    /// The time of the last change.
    updated_at: Rfc3339,
    /// The time when the key expires; null for never.
    expires_at: Option<Rfc3339>,
    /// The time when the key was disabled; null if it is enabled.
    disabled_at: Option<Rfc3339>,
    /// The time when the key was revoked; null if it was not.
    revoked_at: Option<Rfc3339>,
    /// The time of the last use of the newest secret, at most a minute late.
    last_used_at: Option<Rfc3339>,
    /// The client of that use; null if it is not known, and after a verification, where only the service's is known.
    last_used_from: Option<UsedFromBody>,
    /// The rotation in progress.
    rotation: Option<RotationBody>,
}

/// The client that used a key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UsedFrom")]
struct UsedFromBody {
    /// The address of the client.
    ip: Option<String>,
    /// The first 100 characters of the client's `User-Agent`.
    user_agent: Option<String>,
}

impl UsedFromBody {
    fn new(from: UsedFrom) -> Self {
        Self { ip: from.ip, user_agent: from.user_agent }
    }
}

/// A rotation in progress, with the uses of the old secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Rotation")]
struct RotationBody {
    /// The time when the old secret stops working.
    rotates_at: Rfc3339,
    /// The beginning and the end of the old secret's text.
    outgoing_preview: String,
    /// The time of the last use of the old secret, at most a minute late.
    outgoing_last_used_at: Option<Rfc3339>,
    /// The client of that use, if it is known.
    outgoing_last_used_from: Option<UsedFromBody>,
    /// The number of uses of the old secret since the rotation began.
    outgoing_uses: i64,
}

impl RotationBody {
    /// Converts a rotation; `None` if its grace period has ended, even before the sweep has cleared it.
    fn new(rotation: &Rotation, now: UnixMillis) -> Option<Self> {
        (rotation.rotates_at > now).then(|| Self {
            rotates_at: Rfc3339(rotation.rotates_at),
            outgoing_preview: format!("{}…{}", rotation.start, rotation.last4),
            outgoing_last_used_at: rotation.last_used_at.map(Rfc3339),
            outgoing_last_used_from: rotation.last_used_from.clone().map(UsedFromBody::new),
            outgoing_uses: rotation.uses,
        })
    }
}

impl Version for KeyBody {
    fn version(&self) -> UnixMillis {
        self.updated_at.0
    }
}

impl Listed for KeyBody {
    fn cursor(&self) -> String {
        self.id.to_string()
    }
}

impl KeyBody {
    pub(crate) fn new(key: Key, now: UnixMillis) -> Self {
        let status = key.status_at(now);
        Self {
            id: key.id,
            name: key.name,
            kind: key.kind,
            preview: format!("{}…{}", key.preview.start, key.preview.last4),
            full_access: key.scopes == Scopes::Full,
            scopes: key.scopes,
            conditions: (!key.conditions.is_none()).then_some(key.conditions),
            role: key.role,
            status,
            organization_id: key.organization_id,
            user_id: key.user_id,
            project_id: key.project_id,
            live_evaluation_id: key.bound_to,
            metadata: key.metadata,
            operator_metadata: key.operator_metadata,
            created_at: Rfc3339(key.created_at),
            created_by: key.creator.id,
            created_by_user: key.creator.user_id,
            updated_at: Rfc3339(key.updated_at),
            expires_at: key.life.expires_at.map(Rfc3339),
            disabled_at: key.life.disabled_at.map(Rfc3339),
            revoked_at: key.life.revoked_at.map(Rfc3339),
            last_used_at: key.last_used_at.map(Rfc3339),
            last_used_from: key.last_used_from.map(UsedFromBody::new),
            rotation: key.rotation.as_ref().and_then(|rotation| RotationBody::new(rotation, now)),
        }
    }
}

/// A key that was created or rotated, with its secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CreatedKey")]
pub(crate) struct CreatedBody {
    #[serde(flatten)]
    about: KeyBody,
    /// The key's text, which is the secret. It is shown only once.
    key: String,
}

impl CreatedBody {
    pub(crate) fn new(created: Created, now: UnixMillis) -> Self {
        Self { key: created.text.expose().to_owned(), about: KeyBody::new(created.key, now) }
    }
}

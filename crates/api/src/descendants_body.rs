//! Descendants in the responses of the native surface.

use bitting_keys::{
    app::descendants::Preview,
    domain::{key::Key, lineage::Descendants, time::UnixMillis},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::key_body::KeyBody;

/// The number of things that end with a key or a person.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Descendants")]
pub(crate) struct DescendantsBody {
    /// The number of keys, without those of the key or person itself.
    keys: i64,
    /// The number of open invitations.
    invitations: i64,
    /// The number of open sign-in links.
    sign_in_links: i64,
    /// The number of open sessions on the settings pages.
    sessions: i64,
    /// The number of trusts.
    trusts: i64,
}

impl DescendantsBody {
    pub(crate) fn new(descendants: Descendants) -> Self {
        let Descendants { keys, invitations, sign_in_links, sessions, trusts, .. } = descendants;
        Self { keys, invitations, sign_in_links, sessions, trusts }
    }
}

/// A preview of the end of a key or a person.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DescendantsPreview")]
pub(crate) struct PreviewBody {
    /// The number of things that would end.
    descendants: DescendantsBody,
    /// The keys that would end, at most the newest 100.
    keys: Vec<KeyBody>,
    /// The keys that would stay, but that the person has rotated, so that they have seen the secret: rotate them again.
    /// At most the newest 100; none for a key.
    seen_keys: Vec<KeyBody>,
    /// False if the key of the request lacks the role or the reach to end all of this.
    may_end: bool,
}

impl PreviewBody {
    pub(crate) fn new(preview: Preview, now: UnixMillis) -> Self {
        let bodies = |keys: Vec<Key>| keys.into_iter().map(|key| KeyBody::new(key, now)).collect();
        Self {
            may_end: preview.descendants.beyond == 0 && preview.descendants.too_many == 0,
            descendants: DescendantsBody::new(preview.descendants),
            keys: bodies(preview.keys),
            seen_keys: bodies(preview.seen),
        }
    }
}

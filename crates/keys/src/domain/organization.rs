//! Organizations, as people see them, and what they ask of the keys that are made in them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::{
    id::OrganizationId,
    key::Name,
    time::{DAY_MS, UnixMillis},
};

/// The most credits that an organization can have.
pub const MAX_CREDITS: i64 = 1_000_000_000_000;
/// The most that [`Policy::max_keys_per_user`] can be set to.
pub const MAX_KEYS_PER_USER: i64 = 1_000_000;

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name.
    pub name: Name,
    /// The instant at which it was suspended, if it is.
    pub suspended_at: Option<UnixMillis>,
    /// The instant at which it was made.
    pub created_at: UnixMillis,
    /// Its demands on keys.
    #[serde(flatten)]
    pub policy: Policy,
    /// Whether it may use the resource routes.
    pub subscription: Subscription,
    /// How many runs of live evaluations it has left; `None`: as many as it likes.
    pub credits: Option<i64>,
    /// How long its audit events are kept, in days; `None`: as long as the operator says.
    pub audit_retention_days: Option<i64>,
    /// How long its traces are kept, in days; `None`: as long as the operator says.
    pub trace_retention_days: Option<i64>,
}

/// Whether an organization may use the resource routes: what the operator sells behind the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Subscription {
    /// It may.
    Active,
    /// It may not, until it pays.
    Inactive,
}

impl Subscription {
    /// The subscription's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
        }
    }
}

/// The demands of an organization on the keys that are made in it; `None` asks nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The life of a key whose maker says nothing of it, in days.
    pub default_expiry_days: Option<i64>,
    /// The longest life that can be asked for, in days.
    pub longest_expiry_days: Option<i64>,
    /// How many personal keys that are neither revoked nor expired a user may have.
    pub max_keys_per_user: Option<i64>,
}

impl Policy {
    /// The expiry of a key of whose life nothing was said, by a maker who ends at `maker_ends_at`.
    pub fn expiry_unasked(&self, maker_ends_at: Option<UnixMillis>, now: UnixMillis) -> Option<UnixMillis> {
        [in_days(self.default_expiry_days, now), self.latest_expiry(now), maker_ends_at].into_iter().flatten().min()
    }

    /// The latest expiry that can be asked for.
    pub fn latest_expiry(&self, now: UnixMillis) -> Option<UnixMillis> {
        in_days(self.longest_expiry_days, now)
    }
}

fn in_days(days: Option<i64>, now: UnixMillis) -> Option<UnixMillis> {
    days.map(|days| now.plus_ms(days.saturating_mul(DAY_MS)))
}

/// A change of an organization: whatever is not `None`; an inner `None` takes a setting back. Its JSON
/// stands in the audit log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OrganizationChange {
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// See [`Policy::default_expiry_days`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_expiry_days: Option<Option<i64>>,
    /// See [`Policy::longest_expiry_days`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_expiry_days: Option<Option<i64>>,
    /// See [`Policy::max_keys_per_user`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_keys_per_user: Option<Option<i64>>,
    /// See [`Organization::audit_retention_days`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_retention_days: Option<Option<i64>>,
    /// See [`Organization::trace_retention_days`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_retention_days: Option<Option<i64>>,
    /// Whether its keys are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<bool>,
    /// See [`Organization::subscription`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription: Option<Subscription>,
    /// See [`Organization::credits`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credits: Option<Option<i64>>,
}

impl OrganizationChange {
    /// Whether it changes what only the operator may.
    pub fn is_operators(&self) -> bool {
        self.suspended.is_some() || self.subscription.is_some() || self.credits.is_some()
    }
}

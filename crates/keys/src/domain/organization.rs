//! Organizations as people see them, and their policies for keys.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::{
    id::OrganizationId,
    json,
    key::Name,
    quota::{Quota, Quotas, Usage},
    time::{DAY_MS, UnixMillis},
};

/// The maximum number of credits of an organization.
pub const MAX_CREDITS: i64 = 1_000_000_000_000;
/// The maximum value of [`Policy::max_keys_per_user`].
pub const MAX_KEYS_PER_USER: i64 = 1_000_000;

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Organization {
    /// The id of the organization.
    pub id: OrganizationId,
    /// The name of the organization.
    pub name: Name,
    /// The instant at which it was suspended, if it is suspended.
    pub suspended_at: Option<UnixMillis>,
    /// The creation time.
    pub created_at: UnixMillis,
    /// The time of the last change.
    pub updated_at: UnixMillis,
    /// The policy for its keys.
    #[serde(flatten)]
    pub policy: Policy,
    /// The subscription to the resource routes.
    pub subscription: Subscription,
    /// The remaining credits, for runs of live evaluations and questions to the language model; `None` for unlimited.
    pub credits: Option<i64>,
    /// The retention of its audit events, in days; `None` for the operator's default.
    pub audit_retention_days: Option<i64>,
    /// The retention of its traces, in days; `None` for the operator's default.
    pub trace_retention_days: Option<i64>,
    /// The response to a leaked key.
    pub on_leak: LeakResponse,
    /// The quotas that the operator has set; `None` for the default.
    #[serde(deserialize_with = "json::text")]
    pub quotas: Quotas<Option<i64>>,
    /// The amount of each thing that it has and may have.
    #[serde(deserialize_with = "json::text")]
    pub usage: Quotas<Usage>,
}

/// The response of an organization to a key that somebody has found in public and reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeakResponse {
    /// The key is revoked.
    Revoke,
    /// The key is disabled, and can be enabled again.
    Disable,
    /// The leak is recorded in the audit log, and the key goes on working.
    Notify,
}

impl LeakResponse {
    /// The name of the response.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revoke => "revoke",
            Self::Disable => "disable",
            Self::Notify => "notify",
        }
    }
}

/// The subscription of an organization to the resource routes, which the operator sells behind the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Subscription {
    /// The resource routes are available.
    Active,
    /// The resource routes are refused until payment.
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

/// The policy for an organization's keys; `None` sets no rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The default lifetime of a new key, in days.
    pub default_expiry_days: Option<i64>,
    /// The maximum lifetime of a new key, in days.
    pub longest_expiry_days: Option<i64>,
    /// The maximum number of personal keys per user that are neither revoked nor expired.
    pub max_keys_per_user: Option<i64>,
}

impl Policy {
    /// The default expiry of a key whose creator ends at `maker_ends_at`.
    pub fn expiry_unasked(&self, maker_ends_at: Option<UnixMillis>, now: UnixMillis) -> Option<UnixMillis> {
        [in_days(self.default_expiry_days, now), self.latest_expiry(now), maker_ends_at].into_iter().flatten().min()
    }

    /// The latest expiry that a request may choose.
    pub fn latest_expiry(&self, now: UnixMillis) -> Option<UnixMillis> {
        in_days(self.longest_expiry_days, now)
    }
}

/// The instant this number of days from now.
fn in_days(days: Option<i64>, now: UnixMillis) -> Option<UnixMillis> {
    days.map(|days| now.plus_ms(days.saturating_mul(DAY_MS)))
}

/// A change of an organization. `None` leaves a field unchanged; an inner `None` resets it. Its JSON is written to
/// the audit log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OrganizationChange {
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The new value of [`Policy::default_expiry_days`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_expiry_days: Option<Option<i64>>,
    /// The new value of [`Policy::longest_expiry_days`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_expiry_days: Option<Option<i64>>,
    /// The new value of [`Policy::max_keys_per_user`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_keys_per_user: Option<Option<i64>>,
    /// The new value of [`Organization::audit_retention_days`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_retention_days: Option<Option<i64>>,
    /// The new value of [`Organization::trace_retention_days`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_retention_days: Option<Option<i64>>,
    /// True if the organization is suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<bool>,
    /// The new value of [`Organization::subscription`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription: Option<Subscription>,
    /// The new value of [`Organization::on_leak`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_leak: Option<LeakResponse>,
    /// The new value of [`Organization::credits`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credits: Option<Option<i64>>,
    /// The new values of quotas; an inner `None` for the default.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub quotas: BTreeMap<Quota, Option<i64>>,
}

impl OrganizationChange {
    /// True if it changes a field that only the operator may change.
    pub fn is_operators(&self) -> bool {
        self.suspended.is_some() || self.subscription.is_some() || self.credits.is_some() || !self.quotas.is_empty()
    }
}

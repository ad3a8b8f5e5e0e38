//! The checks of a key in a response and on a page.

use bitting_keys::domain::{
    client::Client,
    conditions::Condition,
    decision::{Check, Refusal, Use},
    snapshot::Snapshot,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::problem::refusal_detail;

/// A check of a key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Check")]
pub struct CheckBody {
    /// The name of the check; for a condition, that of its field.
    pub check: &'static str,
    /// True if the check passes. The first that does not decides the result.
    pub passed: bool,
    /// The explanation for people.
    pub detail: String,
}

/// Returns each check with its result. [`bitting_keys::domain::decision::decide`] judges by the same list.
pub fn checks(snapshot: &Snapshot, asked: Use<'_>) -> Vec<CheckBody> {
    let judged = Check::ALL.into_iter().map(|check| (check, check.refusal(snapshot, asked)));
    let told = judged.map(|(check, refusal)| CheckBody {
        check: check.as_str(),
        passed: refusal.is_none(),
        detail: refusal.map_or_else(|| passed(check).to_owned(), |refusal| explain(&refusal, asked.client)),
    });
    told.collect()
}

/// Returns the explanation of a refusal, which tells a condition that is not met from one that nobody can judge.
fn explain(refusal: &Refusal, client: Client) -> String {
    let Refusal::ConditionNotMet(condition) = refusal else { return refusal_detail(refusal) };
    let text = match condition {
        Condition::AllowedIps | Condition::DeniedIps if client.ip.is_none() => "The client's address is not known.",
        Condition::AllowedCountries | Condition::DeniedCountries if client.country.is_none() => {
            "The client's country is not known."
        }
        Condition::AllowedIps => "The client's address is in none of the allowed ranges.",
        Condition::DeniedIps => "The client's address is in a denied range.",
        Condition::AllowedCountries => "The client's country is not one of those that are allowed.",
        Condition::DeniedCountries => "The client's country is denied.",
        Condition::NotBefore => "The key does not work yet.",
        Condition::Hours => "The key does not work at this time of the week.",
    };
    text.to_owned()
}

/// Returns the explanation of a check that passes.
fn passed(check: Check) -> &'static str {
    match check {
        Check::Revocation => "The key is not revoked.",
        Check::User => "The key's user is in the organization, or the key has none.",
        Check::Project => "The key's project exists, or the key has none.",
        Check::Rotation => "The secret was not replaced.",
        Check::Organization => "The organization is not suspended.",
        Check::Enabled => "The key is enabled.",
        Check::Expiry => "The key has not expired.",
        Check::Condition(_) => "The condition is met, or the key has none such.",
        Check::Scopes => "The key holds all required scopes.",
    }
}

//! Rate limits: how much of the database a stranger or a tenant can use up in a minute.
//!
//! A credential that this isolate knows never asks a limiter. One that nobody has counts against the address that sent
//! it, and an address with too many of them is refused for a minute before it can ask KV or the database again.

use std::{net::IpAddr, rc::Rc};

use crate::{
    app::{App, error::Error},
    domain::id::OrganizationId,
    ports::Limit,
};

impl App {
    /// Checks that an address may have a credential looked up that this isolate does not know.
    ///
    /// # Errors
    /// [`Error::TooMany`] if too many credentials from it were wrong.
    pub fn check_address(&self, ip: Option<&str>) -> Result<(), Error> {
        let is_blocked = ip.is_some_and(|ip| self.isolate.is_blocked(&network(ip), self.now()));
        if is_blocked { Err(Error::TooMany) } else { Ok(()) }
    }

    /// Counts a credential that nobody has against the address that sent it, after the answer.
    pub fn note_unknown_credential(&self, ip: Option<&str>) {
        // Another Worker of the operator gives no address.
        let Some(network) = ip.map(network) else { return };
        let app = self.clone();
        self.background.spawn(Box::pin(async move {
            if !app.limiter.admits(Limit::UnknownCredentials, network.clone()).await {
                app.isolate.block(network, app.now());
            }
        }));
    }

    /// Looks up the credential of a stranger. A credential that is not found counts against their address.
    ///
    /// # Errors
    /// [`Error::TooMany`], or the error of the lookup.
    pub async fn for_stranger<T>(
        &self,
        ip: Option<&str>,
        lookup: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.check_address(ip)?;
        let found = lookup.await;
        if matches!(found, Err(Error::NotFound)) {
            self.note_unknown_credential(ip);
        }
        found
    }

    /// Counts an attempt to sign in against the address that it comes from.
    ///
    /// # Errors
    /// [`Error::TooMany`] beyond the limit.
    pub async fn count_sign_in(&self, ip: Option<&str>) -> Result<(), Error> {
        self.count(Limit::SignIns, ip.map(network).unwrap_or_default()).await
    }

    /// Counts a report of leaked keys against the address that it comes from.
    ///
    /// # Errors
    /// [`Error::TooMany`] beyond the limit.
    pub async fn count_leak_report(&self, ip: Option<&str>) -> Result<(), Error> {
        self.count(Limit::LeakReports, ip.map(network).unwrap_or_default()).await
    }

    /// Counts a write of an organization. Acts of management count for themselves, so that no flood of data stops them.
    ///
    /// # Errors
    /// [`Error::TooMany`] beyond the limit.
    pub async fn count_write(&self, organization_id: OrganizationId, manages: bool) -> Result<(), Error> {
        let kind = if manages { "management" } else { "data" };
        self.count(Limit::Writes, format!("{organization_id}:{kind}")).await
    }

    /// Counts a question of an organization to the language model.
    ///
    /// # Errors
    /// [`Error::TooMany`] beyond the limit.
    pub async fn count_question(&self, organization_id: OrganizationId) -> Result<(), Error> {
        self.count(Limit::Questions, organization_id.to_string()).await
    }

    async fn count(&self, limit: Limit, of: String) -> Result<(), Error> {
        let limiter = Rc::clone(&self.limiter);
        if limiter.admits(limit, of).await { Ok(()) } else { Err(Error::TooMany) }
    }
}

/// The addresses of one subscriber of an Internet provider: an IPv4 address, or a network of 2^64 IPv6 addresses.
fn network(ip: &str) -> String {
    let Ok(IpAddr::V6(address)) = ip.parse() else { return ip.to_owned() };
    let [a, b, c, d, ..] = address.segments();
    format!("{a:x}:{b:x}:{c:x}:{d:x}::")
}

#[cfg(test)]
mod tests {
    use super::network;

    #[test]
    fn network_is_the_same_for_all_addresses_of_one_subscriber() {
        for (ip, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::", "2001:db8:1:2::"),
            ("2001:db8::1", "2001:db8:0:0::"),
            ("", ""),
        ] {
            assert_eq!(network(ip), expected, "{ip}");
        }
    }
}

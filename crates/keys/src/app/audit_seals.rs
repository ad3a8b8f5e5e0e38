//! The seals of the audit log: written by the sweep, checked for a caller.

use std::collections::BTreeMap;

use crate::{
    app::{App, Principal, audit::AuditLog, error::Error},
    domain::{
        audit_seal::{Checked, Fault, FaultKind, Seal, SealedEvent, missing, seal},
        time::UnixMillis,
    },
    ports::DatabaseError,
    storage::{
        audit_seals::{self, SealRow},
        batch::Batch,
    },
};

/// The number of events that are sealed at once.
const SEALED_AT_ONCE: i64 = 200;
/// The time in which a sweep may begin to seal, in milliseconds.
const BUDGET_MS: i64 = 20_000;
/// The maximum number of seals of one check.
const MAX_SEALS: i64 = 200;
/// The maximum number of events of one check. No seal has more.
const MAX_CHECKED: i64 = 500;

/// The result of a check of a part of the audit log.
pub struct Verification {
    /// The number before the first checked event.
    pub after: i64,
    /// The state after the last seal that was checked.
    pub checked: Checked,
    /// The first fault.
    pub fault: Option<Fault>,
    /// The newest seal of the organization.
    pub newest: Option<Seal>,
    /// The number of events after the newest seal; not counted before the last part, and beyond a thousand.
    pub unsealed: i64,
    /// True if there are further seals to check.
    pub has_more: bool,
}

impl App {
    /// Seals the events that are not sealed yet, of all organizations, until its time is up. The first seal of an
    /// organization on each day is logged, so that there is a copy outside of the database.
    ///
    /// # Errors
    /// The database's.
    pub async fn seal_audit_log(&self) -> Result<(), Error> {
        let started_at = self.now();
        while self.now().ms_since(started_at) <= BUDGET_MS {
            let events = audit_seals::unsealed(SEALED_AT_ONCE).run(&*self.database).await?;
            let full = i64::try_from(events.len()).unwrap_or(i64::MAX) >= SEALED_AT_ONCE;
            if events.is_empty() || !self.seal_events(events).await? || !full {
                break;
            }
        }
        Ok(())
    }

    /// Seals events; false if there are none, or another sweep has done it.
    async fn seal_events(&self, events: Vec<SealedEvent>) -> Result<bool, Error> {
        let mut by_organization: BTreeMap<String, Vec<SealedEvent>> = BTreeMap::new();
        for event in events {
            by_organization.entry(event.organization_id.clone()).or_default().push(event);
        }
        let ids: Vec<&str> = by_organization.keys().map(String::as_str).collect();
        let newest = audit_seals::newest_of(&ids).run(&*self.database).await?;
        let newest: BTreeMap<_, _> = newest.into_iter().map(|seal| (seal.organization_id.clone(), seal)).collect();
        let (mut seals, now) = (Vec::new(), self.now());
        for (organization_id, events) in &mut by_organization {
            let before = newest.get(organization_id);
            // Nobody but a person with the database at hand can give a number again. A check finds it by its seal.
            events.retain(|event| before.is_none_or(|seal| seal.last_number < event.number));
            let sealed = seal(events, before.map(|seal| seal.hash.clone()), now);
            if let Some(first) = sealed.first().filter(|seal| seal.begins_day(before.map(|seal| seal.sealed_at))) {
                let (number, hash) = (first.last_number, &first.hash);
                log::info!("the audit log of {organization_id} is sealed up to event {number}: {hash}");
            }
            seals.extend(sealed);
        }
        if seals.is_empty() {
            return Ok(false);
        }
        match self.database.batch(vec![audit_seals::insert(&seals)]).await {
            Ok(_) => Ok(true),
            Err(DatabaseError::Unique) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl AuditLog<'_> {
    /// Checks numbers and seals of the caller's organization after the event `after`, the last one of an earlier check.
    /// The last part also checks the numbers of events that are not sealed yet.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the caller does not administer the organization; [`Error::Invalid`] if no seal ends with
    /// `after`.
    pub async fn verify(&self, principal: &Principal, after: Option<i64>) -> Result<Verification, Error> {
        principal.administers()?;
        let (organization_id, after, now) = (principal.snapshot.organization_id, after.unwrap_or(0), self.app.now());
        let mut batch = Batch::new();
        let start = batch.add(audit_seals::at(organization_id, after));
        let seals = batch.add(audit_seals::list(organization_id, after, MAX_SEALS));
        let newest = batch.add(audit_seals::newest(organization_id));
        let mut results = self.app.guarded(principal, batch).await?;
        let start = results.take(start)?.map(|row| row.read().0);
        if start.is_none() && after != 0 {
            return Err(Error::invalid("starting_after", "must be the `next_cursor` of an earlier answer"));
        }
        let newest = results.take(newest)?.map(|row| row.read().0);
        let (seals, has_more) = within(results.take(seals)?, after);
        let last = if has_more { seals.last().map_or(after, |(seal, _)| seal.last_number) } else { i64::MAX >> 11 };
        let events = audit_seals::events(organization_id, after, last, 2 * MAX_CHECKED);
        let events = self.app.query(principal, events).await?;
        let checked = Checked { number: after, hash: start.map(|seal| seal.hash), pruned: 0 };
        let mut verification = Verification { after, checked, fault: None, newest, unsealed: 0, has_more };
        verification.fault = verification.check(&seals, &events, now).err();
        verification.has_more &= verification.fault.is_none();
        Ok(verification)
    }
}

/// The seals that one check can read the events of, and whether there are more.
fn within(rows: Vec<SealRow>, after: i64) -> (Vec<(Seal, bool)>, bool) {
    let read = rows.len();
    let seals = rows.into_iter().map(SealRow::read);
    // The first one is checked in any case: behind a gap it is the fault.
    let fits = |(index, (seal, _)): &(usize, (Seal, bool))| *index == 0 || seal.last_number - after <= MAX_CHECKED;
    let seals: Vec<_> = seals.enumerate().take_while(fits).map(|(_, seal)| seal).collect();
    let has_more = seals.len() < read || i64::try_from(read).unwrap_or(i64::MAX) >= MAX_SEALS;
    (seals, has_more)
}

impl Verification {
    fn check(&mut self, seals: &[(Seal, bool)], events: &[SealedEvent], now: UnixMillis) -> Result<(), Fault> {
        let mut rest = events;
        for (seal, pruned) in seals {
            let of_seal = rest.iter().take_while(|event| event.number <= seal.last_number).count();
            let (sealed, others) = rest.split_at(of_seal);
            rest = others;
            self.checked.check(seal, sealed, *pruned, now)?;
        }
        if self.has_more {
            return Ok(());
        }
        self.unsealed = i64::try_from(rest.len()).unwrap_or(i64::MAX);
        match missing(self.checked.number + 1, rest.iter().map(|event| event.number)) {
            Some(number) => Err(Fault { kind: FaultKind::EventMissing, number }),
            None => Ok(()),
        }
    }
}

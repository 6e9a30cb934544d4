//! When credentials were used last, kept until the next heartbeat tells the catalog.
//!
//! At most one use a minute of each credential is told; what that loses is nothing that anybody asks for. Both memories
//! are bounded: a use that finds no room is counted, not told.

use super::identity::CredentialRef;
use crate::metrics::Counter;
use catalog_schema::{KeyUse, USES_MAX};
use dashmap::DashMap;
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// How exactly a last use is known.
const TOLD_WITHIN_S: i64 = 60;

/// Credentials whose last use is remembered as told. Past that all are forgotten, which costs one row each.
const TOLD_MAX: usize = 100_000;

/// Uses that wait to be told.
const WAITING_MAX: usize = 10_000;

/// The uses of credentials.
#[derive(Default)]
pub struct Uses {
    /// In seconds since 1970.
    told: DashMap<Uuid, i64>,
    waiting: Mutex<HashMap<Uuid, Timestamp>>,
    /// Uses that found no room.
    pub dropped: Counter,
}

impl Uses {
    /// Somebody came in by this credential.
    pub fn note(&self, credential: &CredentialRef) {
        let key = match credential {
            CredentialRef::Own(id) => id.as_uuid(),
            CredentialRef::Service(id) => id.as_uuid(),
            CredentialRef::Certificate { .. }
            | CredentialRef::Token { .. }
            | CredentialRef::GatewayToken { .. } => return,
        };
        self.note_at(key, Timestamp::now());
    }

    fn note_at(&self, key: Uuid, now: Timestamp) {
        if self.told.get(&key).is_some_and(|told| now.as_second() - *told < TOLD_WITHIN_S) {
            return;
        }
        let mut waiting = self.waiting();
        if waiting.len() >= WAITING_MAX && !waiting.contains_key(&key) {
            return self.dropped.inc();
        }
        waiting.insert(key, now);
        drop(waiting);
        if self.told.len() >= TOLD_MAX {
            self.told.clear();
        }
        self.told.insert(key, now.as_second());
    }

    /// What is to be told next, not more than goes at once.
    #[must_use]
    pub fn take(&self) -> Vec<KeyUse> {
        let mut waiting = self.waiting();
        let keys: Vec<Uuid> = waiting.keys().take(USES_MAX).copied().collect();
        keys.into_iter().filter_map(|key| waiting.remove(&key).map(|at| KeyUse { key, at })).collect()
    }

    /// They could not be told.
    pub fn give_back(&self, uses: Vec<KeyUse>) {
        let mut waiting = self.waiting();
        for KeyUse { key, at } in uses {
            if waiting.len() >= WAITING_MAX {
                self.dropped.inc();
            } else {
                waiting.entry(key).or_insert(at);
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Uuid, Timestamp>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("a moment")
    }

    #[test]
    fn one_use_a_minute_is_told_and_the_first_counts() {
        let (uses, key) = (Uses::default(), Uuid::from_u128(1));
        uses.note_at(key, at(100));
        uses.note_at(key, at(159));
        assert_eq!(uses.take(), [KeyUse { key, at: at(100) }]);
        assert_eq!(uses.take(), []);
        uses.note_at(key, at(160));
        let told = uses.take();
        assert_eq!(told, [KeyUse { key, at: at(160) }]);
        uses.give_back(told.clone());
        assert_eq!(uses.take(), told);
    }

    #[test]
    fn what_waits_is_bounded_and_what_finds_no_room_is_counted() {
        let uses = Uses::default();
        for number in 0..u128::try_from(WAITING_MAX).expect("it fits") + 5 {
            uses.note_at(Uuid::from_u128(number), at(1));
        }
        assert_eq!(uses.dropped.get(), 5);
        assert_eq!(uses.take().len(), USES_MAX);
    }
}

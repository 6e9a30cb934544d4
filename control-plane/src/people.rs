//! People who sign in here: what checks their passwords, bounds their attempts and signs their gateway tokens.
//!
//! Knows neither HTTP nor SQL. Never: a password or a token in a log, an error or a metric; a hash computed on a thread
//! that serves requests; an answer or a time that tells an unknown address from a wrong password.

pub(crate) mod passwords;
pub(crate) mod signing;
pub(crate) mod tokens;

use crate::attempts::Attempts;
use config::PeopleConfig;
use passwords::Passwords;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tenancy::UserId;

/// In which an address gets its attempts back.
const ADDRESS_WINDOW: Duration = Duration::from_secs(60);

/// In which an account gets its attempts back.
const ACCOUNT_WINDOW: Duration = Duration::from_secs(600);

/// Sessions that one user may begin in [`ACCOUNT_WINDOW`]: each is written down, and its end told to gateways.
const ARRIVALS_MAX: u32 = 120;

/// What sign-ins share.
pub(crate) struct People {
    pub(crate) config: PeopleConfig,
    pub(crate) passwords: Passwords,
    addresses: Attempts<IpAddr>,
    accounts: Attempts<[u8; 32]>,
    arrivals: Attempts<UserId>,
}

/// An attempt to sign in that was allowed. It counts as failed unless it is given back.
#[must_use]
pub(crate) struct SignIn {
    address: crate::attempts::Attempt<IpAddr>,
    account: Option<crate::attempts::Attempt<[u8; 32]>>,
}

impl People {
    pub(crate) fn new(config: PeopleConfig) -> Self {
        let passwords = Passwords::new(config.hashes_at_once);
        let addresses = Attempts::new(config.sign_ins_per_minute, ADDRESS_WINDOW);
        let accounts = Attempts::new(config.sign_ins_per_account, ACCOUNT_WINDOW);
        let arrivals = Attempts::new(ARRIVALS_MAX, ACCOUNT_WINDOW);
        Self { config, passwords, addresses, accounts, arrivals }
    }

    /// Takes an attempt from the allowances of an address and, of what is tried with a password, of an account, whether
    /// or not there is one. `None` when either has none left.
    pub(crate) fn attempt(&self, address: IpAddr, account: Option<&str>) -> Option<SignIn> {
        let now = Instant::now();
        let address = self.addresses.take(crate::attempts::network(address), now)?;
        let account = match account.map(|name| Sha256::digest(name.to_ascii_lowercase()).into()) {
            None => None,
            Some(account) => match self.accounts.take(account, now) {
                Some(attempt) => Some(attempt),
                None => {
                    self.addresses.give_back(address, now);
                    return None;
                }
            },
        };
        Some(SignIn { address, account })
    }

    /// Counts a sign-in that was right. Is there room for one more of this user's?
    pub(crate) fn arrives(&self, user: UserId) -> bool {
        // Never given back: it is what was right that is bounded here.
        self.arrivals.take(user, Instant::now()).is_some()
    }

    /// The attempt did not fail, or not by its maker's doing.
    pub(crate) fn give_back(&self, attempt: SignIn) {
        let now = Instant::now();
        self.addresses.give_back(attempt.address, now);
        if let Some(account) = attempt.account {
            self.accounts.give_back(account, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn guesses_are_bounded_by_account_wherever_they_come_from() {
        let config = PeopleConfig { sign_ins_per_account: 3, ..PeopleConfig::default() };
        let people = People::new(config);
        let from = |n: u8| IpAddr::V4(Ipv4Addr::new(192, 0, 2, n));
        for n in 0..3 {
            assert!(people.attempt(from(n), Some("ann@example.com")).is_some());
        }
        assert!(people.attempt(from(9), Some("Ann@example.com")).is_none());
        assert!(people.attempt(from(9), Some("bob@example.com")).is_some());
    }

    #[test]
    fn nobody_begins_sessions_without_end() {
        let people = People::new(PeopleConfig::default());
        let (ann, bob) = (UserId::generate(), UserId::generate());
        assert!((0..ARRIVALS_MAX).all(|_| people.arrives(ann)));
        assert!(!people.arrives(ann));
        assert!(people.arrives(bob));
    }

    #[test]
    fn who_signs_in_has_all_attempts_left() {
        let config =
            PeopleConfig { sign_ins_per_account: 1, sign_ins_per_minute: 1, ..PeopleConfig::default() };
        let people = People::new(config);
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        for _ in 0..5 {
            let attempt = people.attempt(address, Some("ann@example.com")).unwrap();
            people.give_back(attempt);
        }
        let _failed = people.attempt(address, Some("ann@example.com")).unwrap();
        assert!(people.attempt(address, None).is_none());
    }
}

//! How tenants' own domains are verified.

use crate::section::Section;
use std::net::SocketAddr;
use std::time::Duration;

/// Whom to ask for the records that prove domains, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainsConfig {
    /// `domains.name_server`: the address of the name server to ask, with its port; those of the system if not set.
    pub name_server: Option<SocketAddr>,
    /// `domains.recheck_s`: how often a verified domain's record is looked for again, seconds, 86,400 (a day). It has to
    /// stay there: a domain that changes hands leads nowhere some time after.
    pub recheck_s: u64,
    /// `domains.grace_s`: how long a domain leads to its tenant although its record is gone, seconds, 259,200 (three
    /// days). Name servers that do not answer take nothing from anybody.
    pub grace_s: u64,
}

impl Default for DomainsConfig {
    fn default() -> Self {
        Self { name_server: None, recheck_s: 86_400, grace_s: 259_200 }
    }
}

impl DomainsConfig {
    /// [`Self::recheck_s`] as a duration.
    #[must_use]
    pub const fn recheck(&self) -> Duration {
        Duration::from_secs(self.recheck_s)
    }

    /// [`Self::grace_s`] as a duration.
    #[must_use]
    pub const fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_s)
    }

    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let domains = Self {
            name_server: section.optional("name_server"),
            recheck_s: section.number("recheck_s", defaults.recheck_s, &(1..=2_592_000)),
            grace_s: section.number("grace_s", defaults.grace_s, &(0..=2_592_000)),
        };
        section.finish();
        domains
    }
}

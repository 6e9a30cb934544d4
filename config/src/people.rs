//! People who sign in at the control plane.

use crate::section::Section;
use std::time::Duration;

/// What stands for an invite's token in `people.invite_link`.
const TOKEN_PLACE: &str = "{token}";

/// The longest that a gateway token may live, in seconds. Gateways refuse one that lives longer.
const GATEWAY_TOKEN_S_MAX: u64 = 600;

const DAY_S: u64 = 24 * 60 * 60;

/// How long people are let in for, and how often they may try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeopleConfig {
    /// `people.session_s`: how long a session lasts, used or not, seconds, 43,200 (twelve hours).
    pub session_s: u64,
    /// `people.gateway_token_s`: how long a gateway token lives, seconds, 300, at most 600. Its holder asks for the next
    /// one in time; a longer one is the longer good for whoever finds it.
    pub gateway_token_s: u64,
    /// `people.invite_s`: how long an invite can be accepted, seconds, 604,800 (seven days).
    pub invite_s: u64,
    /// `people.invite_link`: the page where an invite is accepted, with `{token}` where its token goes, none. Best behind
    /// a `#`, which browsers keep to themselves. The answer to an invite has the link; no mail is sent.
    pub invite_link: Option<String>,
    /// `people.sign_ins_per_minute`: failed sign-ins that one address may make in a minute, 30. For an IPv6 address:
    /// those of its /64 together.
    pub sign_ins_per_minute: u32,
    /// `people.sign_ins_per_account`: failed sign-ins by password that may be made to one account in ten minutes, 20.
    /// Lower keeps guessers out and lets strangers keep somebody from signing in.
    pub sign_ins_per_account: u32,
    /// `people.hashes_at_once`: passwords that are hashed at once, 2. Each takes 19 MiB of memory and one core for some
    /// tens of milliseconds; more wait, and are refused when they would wait for long.
    pub hashes_at_once: usize,
}

impl Default for PeopleConfig {
    fn default() -> Self {
        Self {
            session_s: 12 * 60 * 60,
            gateway_token_s: 300,
            invite_s: 7 * DAY_S,
            invite_link: None,
            sign_ins_per_minute: 30,
            sign_ins_per_account: 20,
            hashes_at_once: 2,
        }
    }
}

impl PeopleConfig {
    /// [`Self::session_s`] as a duration.
    #[must_use]
    pub const fn session(&self) -> Duration {
        Duration::from_secs(self.session_s)
    }

    /// [`Self::gateway_token_s`] as a duration.
    #[must_use]
    pub const fn gateway_token(&self) -> Duration {
        Duration::from_secs(self.gateway_token_s)
    }

    /// [`Self::invite_s`] as a duration.
    #[must_use]
    pub const fn invite(&self) -> Duration {
        Duration::from_secs(self.invite_s)
    }

    /// The link that accepts an invite, if there is a page for it.
    #[must_use]
    pub fn invite_link(&self, token: &str) -> Option<String> {
        self.invite_link.as_ref().map(|link| link.replace(TOKEN_PLACE, token))
    }

    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let people = Self {
            session_s: section.number("session_s", defaults.session_s, &(60..=30 * DAY_S)),
            gateway_token_s: section.number(
                "gateway_token_s",
                defaults.gateway_token_s,
                &(10..=GATEWAY_TOKEN_S_MAX),
            ),
            invite_s: section.number("invite_s", defaults.invite_s, &(60..=90 * DAY_S)),
            invite_link: section.optional("invite_link"),
            sign_ins_per_minute: section.number(
                "sign_ins_per_minute",
                defaults.sign_ins_per_minute,
                &(1..=1_000_000),
            ),
            sign_ins_per_account: section.number(
                "sign_ins_per_account",
                defaults.sign_ins_per_account,
                &(1..=1_000_000),
            ),
            hashes_at_once: section.number("hashes_at_once", defaults.hashes_at_once, &(1..=64)),
        };
        if people.invite_link.as_ref().is_some_and(|link| link.matches(TOKEN_PLACE).count() != 1) {
            section.problem("invite_link", format!("must have {TOKEN_PLACE} in it once"));
        }
        section.finish();
        people
    }
}

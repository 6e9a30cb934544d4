//! What is shown of tokens and of their issuers' keys.

use crate::authenticate::token::TokenChecks;
use crate::metrics::family::{Family, Spec};
use std::sync::atomic::Ordering;

static TOKENS: Spec = Spec::counter(
    "tenantry_tokens_total",
    &["result"],
    "Tokens that were shown: accepted, or why they were refused.",
);
static FETCHES: Spec = Spec::counter(
    "tenantry_jwks_fetches_total",
    &["result"],
    "Times that an issuer was asked for its keys: it succeeded, failed, or was held back because of the one before.",
);
static KEPT: Spec = Spec::gauge("tenantry_jwks_issuers", &[], "Issuers whose keys are kept.");
static STALE: Spec = Spec::counter(
    "tenantry_jwks_stale_uses_total",
    &[],
    "Uses of keys that were due to be fetched anew. Rises for good while an issuer cannot be reached.",
);

/// What was counted.
#[derive(Debug, Clone, Default)]
pub struct TokenReading {
    results: Vec<(&'static str, u64)>,
    fetches: [u64; 3],
    kept: u64,
    stale: u64,
}

impl TokenReading {
    /// The numbers now.
    #[must_use]
    pub fn take(tokens: &TokenChecks) -> Self {
        let (counts, jwks) = (tokens.counts(), tokens.jwks());
        let refused = counts.refused().map(|(error, count)| (error.as_str(), count));
        let fetched = jwks.counts();
        Self {
            results: std::iter::once(("accepted", counts.accepted.get())).chain(refused).collect(),
            fetches: [&fetched.succeeded, &fetched.failed, &fetched.held_back]
                .map(|count| count.load(Ordering::Relaxed)),
            kept: u64::try_from(jwks.len()).unwrap_or(u64::MAX),
            stale: fetched.stale_used.load(Ordering::Relaxed),
        }
    }
}

pub(super) fn families(reading: &TokenReading) -> [Family; 4] {
    let [mut tokens, mut fetches] = [&TOKENS, &FETCHES].map(Family::new);
    for (result, count) in &reading.results {
        tokens.push(&[result], *count);
    }
    for (result, count) in ["succeeded", "failed", "held-back"].iter().zip(reading.fetches) {
        fetches.push(&[result], count);
    }
    [tokens, fetches, Family::new(&KEPT).row(&[], reading.kept), Family::new(&STALE).row(&[], reading.stale)]
}

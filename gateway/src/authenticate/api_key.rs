//! API keys: 32 random bytes behind a prefix that makes them easy to find in a leak.
//!
//! A key is as hard to guess as its hash, so a plain SHA-256 is looked up: there is nothing to slow
//! down, and the time that a look-up takes tells nothing of a key. A key says by itself which tenant it
//! opens.

use super::Identity;
use crate::error::Refusal;
use crate::pool::Registry;
use crate::resolve::routes::{Owner, unavailable};
use crate::resolve::{Routes, Tenant};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tenancy::{ErrorKind, Secret};

/// What every key begins with.
const PREFIX: &str = "tnt_";

/// Longer than any key; more is not hashed.
const KEY_BYTES_MAX: usize = 256;

/// The tenant that a key opens, and who its holder is.
///
/// # Errors
/// [`ErrorKind::Unauthenticated`]: no such key, or it has expired. [`ErrorKind::CatalogUnavailable`]: the key
/// is not cached and the catalog cannot be asked.
pub async fn authenticate(
    routes: &Routes,
    pools: &Registry,
    key: &Secret,
) -> Result<(Arc<Tenant>, Identity), Refusal> {
    let key = key.expose();
    if !key.starts_with(PREFIX) || key.len() > KEY_BYTES_MAX {
        return Err(unknown());
    }
    let hash = Sha256::digest(key.as_bytes()).into();
    let Owner { tenant, route_is_behind } = routes.by_key(&hash).await?.ok_or_else(unknown)?;
    if route_is_behind {
        // The catalog has the key and the cached route does not yet: it was created just now.
        let refreshed = routes.refresh(tenant.id()).await.map_err(|error| unavailable(&error))?;
        if let Some(refreshed) = refreshed {
            refreshed.apply(pools);
        }
    }
    // The route may have changed, and the key expired, since the key was cached.
    let identity = Identity::by_key(&tenant.route(), &hash).ok_or_else(unknown)?;
    Ok((tenant, identity))
}

fn unknown() -> Refusal {
    Refusal::new(ErrorKind::Unauthenticated, "the API key is not valid")
        .hint("it may have been revoked or have expired; send it as `Authorization: Bearer tnt_…`")
}

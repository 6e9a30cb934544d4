//! What a request's token is, kept for as long as it takes to answer, so that one can ask again whose it is.

use super::super::problem::ApiResult;
use super::principal::Principal;
use crate::people::tokens::SESSION_PREFIX;
use crate::secrets::KeyFor;
use catalog_schema::{Catalog, CatalogError};
use jiff::{SignedDuration, Timestamp};

/// How exactly a token's last use is known.
const USE_NOTED_WITHIN: SignedDuration = SignedDuration::from_mins(1);

/// A token, by the hash under which the catalog has it. What it begins with says where to look, and nothing else.
#[derive(Clone)]
pub(crate) enum Shown {
    /// The operator's, which is in no catalog.
    Operator,
    /// A tenant's API key.
    Key([u8; 32]),
    /// What shows a person's session.
    Session([u8; 32]),
}

impl Shown {
    /// What a token is by its looks; none if nobody can hold it.
    pub(super) fn new(token: &str, hash: [u8; 32]) -> Option<Self> {
        if token.starts_with(KeyFor::Tenant.prefix()) {
            return Some(Self::Key(hash));
        }
        token.starts_with(SESSION_PREFIX).then_some(Self::Session(hash))
    }

    /// Whoever it belongs to by now, with what they may do.
    pub(crate) async fn holder(&self, catalog: &Catalog) -> ApiResult<Option<Principal>> {
        match self {
            Self::Operator => Ok(Some(Principal::Operator)),
            Self::Key(hash) => {
                let Some(holder) = catalog.key_holder(hash).await? else { return Ok(None) };
                if is_old(holder.last_used_at) {
                    noted(catalog.credential_used(holder.credential).await);
                }
                Ok(Some(holder.into()))
            }
            Self::Session(hash) => {
                let Some(holder) = catalog.session_holder(hash).await? else { return Ok(None) };
                if is_old(Some(holder.session.last_used_at)) {
                    noted(catalog.session_used(holder.session.id).await);
                }
                Ok(Some(holder.into()))
            }
        }
    }
}

/// Whether it is time to note another use: most requests change no row.
fn is_old(used_at: Option<Timestamp>) -> bool {
    used_at.is_none_or(|at| Timestamp::now().duration_since(at) > USE_NOTED_WITHIN)
}

/// Nobody is refused because their last use could not be written down.
fn noted(outcome: Result<(), CatalogError>) {
    if let Err(error) = outcome {
        tracing::debug!(%error, "a token's use was not noted");
    }
}

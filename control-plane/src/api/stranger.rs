//! Who asks where nobody has to have said so: on routes that are open to everybody.

use super::auth::Peer;
use super::observe::RequestId;
use super::problem::Problem;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use catalog_schema::Context;
use std::net::{IpAddr, Ipv4Addr};
use tenancy::UserId;

/// Whoever sent a request, as far as is known without a token.
#[derive(Debug)]
pub(super) struct Stranger {
    /// Where the request came from.
    pub(super) address: IpAddr,
    request_id: String,
}

impl Stranger {
    /// What a change is on record as, once it is known who made it.
    pub(super) fn turned_out_to_be(self, user: UserId) -> Context {
        Context { actor: format!("user:{user}"), request_id: self.request_id }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Stranger {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.to_string()).unwrap_or_default();
        let address =
            parts.extensions.get().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Peer(address)| *address);
        Ok(Self { address, request_id })
    }
}

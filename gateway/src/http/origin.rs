//! Where a request comes from.

use crate::error::Refusal;
use crate::shared::Shared;
use hyper::HeaderMap;
use net::{ClientAddress, forwarded};
use tenancy::ErrorKind;

/// The client: who has opened the connection, unless that is a trusted proxy that names another.
///
/// # Errors
/// Two headers name different clients, so that one of them is the client's own.
pub fn client_of(
    headers: &HeaderMap,
    connection: ClientAddress,
    shared: &Shared,
) -> Result<ClientAddress, Refusal> {
    forwarded::client(headers, connection, &shared.config.listen.trusted_proxies).map_err(|disagreement| {
        Refusal::new(ErrorKind::ProtocolViolation, disagreement.to_string())
            .hint("have the proxy write one of them, and remove the other")
    })
}

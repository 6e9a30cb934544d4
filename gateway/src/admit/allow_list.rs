//! From where a tenant may be reached.
//!
//! Asked first of all once a client has proved who it is, and not before: whoever proves nothing hears the same from
//! everywhere, so that nobody learns by it which tenants there are, or which of them have a list.

use crate::error::Refusal;
use catalog_schema::RouteRecord;
use net::ClientAddress;
use tenancy::ErrorKind;

/// May a client at this address be served for the tenant of this route?
#[must_use]
pub fn admits(route: &RouteRecord, client: ClientAddress) -> bool {
    route.allow_list.is_empty() || route.allow_list.iter().any(|range| range.contains(client.ip()))
}

/// Lets a client in from where it is.
///
/// # Errors
/// The tenant has a list, and the address is not in it.
pub fn check(route: &RouteRecord, client: ClientAddress) -> Result<(), Refusal> {
    if admits(route, client) { Ok(()) } else { Err(not_allowed(client)) }
}

fn not_allowed(client: ClientAddress) -> Refusal {
    let message = format!("the tenant may not be reached from {}", client.ip());
    Refusal::new(ErrorKind::AddressNotAllowed, message)
        .hint("connect from an address in the tenant's allow list, or have its administrator add this one")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::tests::route;
    use std::net::SocketAddr;

    fn admits_from(ranges: &[&str], address: &str) -> bool {
        let allow_list = ranges.iter().map(|range| range.parse().expect("a range")).collect();
        let client: SocketAddr = address.parse().expect("an address");
        admits(&RouteRecord { allow_list, ..route() }, client.into())
    }

    #[test]
    fn an_empty_list_is_everywhere_and_another_is_what_it_says() {
        assert!(admits_from(&[], "192.0.2.7:1"));
        let list = ["10.0.0.0/8", "2001:db8::/32"];
        assert!(admits_from(&list, "10.1.2.3:1") && admits_from(&list, "[2001:db8::1]:1"));
        assert!(admits_from(&list, "[::ffff:10.1.2.3]:1"));
        assert!(!admits_from(&list, "192.0.2.7:1") && !admits_from(&list, "[2001:db9::1]:1"));
    }
}

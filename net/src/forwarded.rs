//! What a chain of HTTP proxies says of the client: `X-Forwarded-For`, or `Forwarded` (RFC 7239).
//!
//! Each proxy writes at the end of the list from whom it has the request, so the list is read from its end, for as long as
//! who wrote is trusted. What lies before that anybody may have written.

use crate::ClientAddress;
use hyper::HeaderMap;
use hyper::header::{FORWARDED, HeaderName};
use std::net::{IpAddr, SocketAddr};
use tenancy::AddressRange;

/// The older header, which most proxies write.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// By which of `http` and `https` the client reached the proxy.
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Proxies that are looked through. A longer chain is none that anybody runs.
const HOPS_MAX: usize = 16;

/// The two headers name different clients. One of them may be the client's own: a proxy that writes the one often passes
/// the other on as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("X-Forwarded-For and Forwarded name different clients")]
pub struct Disagreement;

/// Where a request comes from. `connection` is who has opened the connection, `trusted` says whose word counts.
///
/// Where a trusted proxy says nothing that can be read as an address, the request counts as its own.
///
/// # Errors
/// [`Disagreement`].
pub fn client(
    headers: &HeaderMap,
    connection: ClientAddress,
    trusted: &[AddressRange],
) -> Result<ClientAddress, Disagreement> {
    if !is_trusted(connection.ip(), trusted) {
        return Ok(connection);
    }
    let older = walk(connection, list(headers, &X_FORWARDED_FOR).map(address_of), trusted);
    let newer = walk(
        connection,
        list(headers, &FORWARDED).map(|element| parameter(element, "for").and_then(address_of)),
        trusted,
    );
    match (older, newer) {
        (Some(older), Some(newer)) if older.ip() != newer.ip() => Err(Disagreement),
        (older, newer) => Ok(older.or(newer).unwrap_or(connection)),
    }
}

/// Does a trusted proxy say that the client has reached it by HTTPS? Where both headers say anything of it, both must: one of
/// them may be the client's own.
#[must_use]
pub fn is_https(headers: &HeaderMap, connection: ClientAddress, trusted: &[AddressRange]) -> bool {
    if !is_trusted(connection.ip(), trusted) {
        return false;
    }
    let older = list(headers, &X_FORWARDED_PROTO).next();
    let newer = list(headers, &FORWARDED).next().and_then(|element| parameter(element, "proto"));
    let mut said = older.into_iter().chain(newer).peekable();
    said.peek().is_some() && said.all(|scheme| scheme.eq_ignore_ascii_case("https"))
}

fn is_trusted(ip: IpAddr, trusted: &[AddressRange]) -> bool {
    trusted.iter().any(|range| range.contains(ip))
}

/// The first of the addresses that is not a trusted proxy's, or else the last that is told of. `None`: nothing is.
fn walk<'a>(
    connection: ClientAddress,
    from_last: impl Iterator<Item = Option<SocketAddrLike>> + 'a,
    trusted: &[AddressRange],
) -> Option<ClientAddress> {
    let mut told = None;
    for address in from_last.take(HOPS_MAX) {
        let Some((ip, port)) = address else { return told.or(Some(connection)) };
        told = Some(ClientAddress::behind(connection, ip, port));
        if !is_trusted(ip, trusted) {
            break;
        }
    }
    told
}

/// An address, and the port or 0.
type SocketAddrLike = (IpAddr, u16);

/// The elements of all headers of this name, the last one first. Quoted commas (RFC 9110 §5.6.4) are in no address, and
/// break nothing but the element that they are in.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values: Vec<&str> =
        headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default()).collect();
    values.into_iter().rev().flat_map(|value| value.rsplit(',')).map(str::trim)
}

/// The value of one of an element's parameters (RFC 7239 §4).
fn parameter<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    element.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let value = value.trim();
        let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        key.trim().eq_ignore_ascii_case(name).then_some(unquoted)
    })
}

/// `192.0.2.7`, `192.0.2.7:5`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:5`. Names that hide the client
/// (RFC 7239 §6.2, §6.3) are none.
fn address_of(text: &str) -> Option<SocketAddrLike> {
    let alone = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = alone.parse::<IpAddr>() {
        return Some((ip, 0));
    }
    text.parse::<SocketAddr>().ok().map(|socket| (socket.ip(), socket.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    /// The client of a request that came over a connection of 10.0.0.1, where 10.0.0.0/8 is trusted.
    fn named(lines: &[(&'static str, &'static str)]) -> Result<String, Disagreement> {
        let connection = "10.0.0.1:9".parse::<SocketAddr>().expect("an address").into();
        let trusted = ["10.0.0.0/8".parse().expect("a range")];
        client(&headers(lines), connection, &trusted).map(|client| client.to_string())
    }

    const OLDER: &str = "x-forwarded-for";
    const NEWER: &str = "forwarded";

    #[test]
    fn the_last_address_that_is_no_proxys_is_the_clients() {
        for (lines, client) in [
            (&[(OLDER, "192.0.2.7")][..], "192.0.2.7"),
            (&[(OLDER, "198.51.100.1, 192.0.2.7, 10.1.1.1")], "192.0.2.7"),
            (&[(OLDER, "198.51.100.1"), (OLDER, "192.0.2.7:55,10.1.1.1")], "192.0.2.7:55"),
            (&[(OLDER, "10.2.2.2, 10.1.1.1")], "10.2.2.2"),
            (&[(NEWER, "for=\"[2001:db8::1]:5\";proto=https;by=10.0.0.1")], "[2001:db8::1]:5"),
            (&[(NEWER, "for=198.51.100.1, For=192.0.2.7 ; proto=http, for=10.1.1.1")], "192.0.2.7"),
            (&[(OLDER, "192.0.2.7"), (NEWER, "for=\"192.0.2.7:5\"")], "192.0.2.7"),
            (&[], "10.0.0.1:9"),
        ] {
            assert_eq!(named(lines).as_deref(), Ok(client), "{lines:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_as_an_address_is_not_looked_beyond() {
        for lines in
            [&[(OLDER, "192.0.2.7, unknown")][..], &[(NEWER, "for=192.0.2.7, for=_hidden")], &[(OLDER, "")]]
        {
            assert_eq!(named(lines).as_deref(), Ok("10.0.0.1:9"), "{lines:?}");
        }
        assert_eq!(named(&[(OLDER, "192.0.2.7, ?, 10.1.1.1")]).as_deref(), Ok("10.1.1.1"));
    }

    #[test]
    fn two_headers_that_disagree_are_refused() {
        assert_eq!(named(&[(OLDER, "192.0.2.7"), (NEWER, "for=192.0.2.8")]), Err(Disagreement));
        assert_eq!(named(&[(OLDER, "192.0.2.7"), (NEWER, "for=unknown")]), Err(Disagreement));
    }

    #[test]
    fn nobody_else_is_believed() {
        let stranger: ClientAddress = "192.0.2.9:1".parse::<SocketAddr>().expect("an address").into();
        let trusted = ["10.0.0.0/8".parse().expect("a range")];
        let lines = headers(&[(OLDER, "10.0.0.9"), (NEWER, "for=10.0.0.8;proto=https")]);
        assert_eq!(client(&lines, stranger, &trusted), Ok(stranger));
        assert!(!is_https(&lines, stranger, &trusted));
    }

    #[test]
    fn the_last_proxy_says_whether_it_was_reached_by_https() {
        let connection: ClientAddress = "10.0.0.1:9".parse::<SocketAddr>().expect("an address").into();
        let trusted = ["10.0.0.0/8".parse().expect("a range")];
        for (lines, https) in [
            (&[("x-forwarded-proto", "https")][..], true),
            (&[("x-forwarded-proto", "https, http")], false),
            (&[(NEWER, "for=192.0.2.7;proto=HTTPS")], true),
            (&[(NEWER, "for=192.0.2.7")], false),
            (&[("x-forwarded-proto", "https"), (NEWER, "proto=http")], false),
            (&[("x-forwarded-proto", "http"), (NEWER, "proto=https")], false),
            (&[("x-forwarded-proto", "https"), (NEWER, "proto=https")], true),
            (&[("x-forwarded-proto", "https"), (NEWER, "for=192.0.2.7")], true),
            (&[], false),
        ] {
            assert_eq!(is_https(&headers(lines), connection, &trusted), https, "{lines:?}");
        }
    }

    #[test]
    fn nobody_becomes_local_by_a_proxys_word() {
        let connection = "10.0.0.1:9".parse::<SocketAddr>().expect("an address").into();
        let trusted = ["10.0.0.0/8".parse().expect("a range")];
        let named = client(&headers(&[(OLDER, "127.0.0.1")]), connection, &trusted).expect("one header");
        assert!(named.ip().is_loopback() && !named.is_local());
    }
}

//! Where keys may be fetched from.
//!
//! Over https; over http only from this machine, where nobody sits in between. Whoever manages a tenant chooses that
//! tenant's issuers: those are asked at public addresses only, or else they would have us knock at doors that are open
//! to us and not to them.

use super::FetchError;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The address, if keys may be fetched from there as far as its text tells.
pub(super) fn allowed(address: &str, public_only: bool) -> Result<Url, FetchError> {
    let url: Url = address.parse().map_err(|_| FetchError::Address)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(FetchError::Address);
    }
    let host = url.host_str().ok_or(FetchError::Address)?;
    let literal: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let is_here = literal.map_or(host == "localhost", |address| address.is_loopback());
    if public_only && (is_here || literal.is_some_and(|address| !is_public(address))) {
        return Err(FetchError::NotPublic);
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        _ => Err(FetchError::Address),
    }
}

/// Finds names' addresses, and of those only public ones. What a name stands for is looked up once for each
/// connection, so it cannot change between the look and the use.
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "no public address").into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Neither this machine nor a network of somebody's own, by the registries of special-purpose addresses (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_benchmarking = a == 198 && (b == 18 || b == 19);
    let is_protocol = (a, b, c) == (192, 0, 0);
    !(a == 0
        || a >= 240
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || is_shared
        || is_benchmarking
        || is_protocol)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Addresses that stand for one of version 4: mapped, translated (RFC 6052 §2.1), and by 6to4.
    let [first, second, ..] = address.segments();
    let [.., a, b, c, d] = address.octets();
    let translated = address.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    if translated || address.to_ipv4_mapped().is_some() {
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    // Global unicast (RFC 4291 §2.4), but for what is set aside in it: 2001::/23, documentation, 6to4.
    let is_global = first & 0xe000 == 0x2000;
    let is_special = first == 0x2002 || (first == 0x2001 && (second < 0x200 || second == 0xdb8));
    is_global && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        for good in
            ["https://id.example.com/jwks", "http://127.0.0.1:80/x", "http://localhost/x", "http://[::1]:1/"]
        {
            assert!(allowed(good, false).is_ok(), "{good}");
        }
        for bad in [
            "http://id.example.com/jwks",
            "http://localhost.example.com/",
            "file:///etc/passwd",
            "ftp://127.0.0.1/",
            "https://user:password@id.example.com/",
            "id.example.com",
            "",
        ] {
            assert_eq!(allowed(bad, false), Err(FetchError::Address), "{bad}");
        }
    }

    #[test]
    fn a_tenants_issuer_is_not_at_home_with_us() {
        assert!(allowed("https://id.example.com/jwks", true).is_ok());
        for bad in [
            "https://127.0.0.1/",
            "https://localhost/",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://[fd00::1]/",
        ] {
            assert_eq!(allowed(bad, true), Err(FetchError::NotPublic), "{bad}");
        }
    }

    #[test]
    fn what_is_set_aside_is_not_public() {
        let public = |text: &str| is_public(text.parse().expect("an address"));
        for good in ["1.1.1.1", "93.184.215.14", "2606:4700::1", "64:ff9b::101:101"] {
            assert!(public(good), "{good}");
        }
        for bad in [
            "0.0.0.0",
            "100.64.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "64:ff9b::a00:1",
            "2001:db8::1",
            "2002:a00:1::",
            "ff02::1",
            "::ffff:127.0.0.1",
        ] {
            assert!(!public(bad), "{bad}");
        }
    }
}

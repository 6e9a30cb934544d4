//! Ranges of network addresses, checked when they enter the process.

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Leading bits of an IPv4 address that is written as one of IPv6 (RFC 4291 §2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// A range of addresses by its prefix (CIDR, RFC 4632 §3.1, RFC 4291 §2.3): `10.0.0.0/8`, `2001:db8::/32`. One address
/// alone, `192.0.2.7`, is a range of one.
///
/// IPv4 addresses written as IPv6 (`::ffff:10.0.0.0/104`) are IPv4: a socket for both reports them that way, and nobody
/// means another host by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange(IpNet);

/// The text is no range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAddressRange {
    /// It is neither an address nor a prefix.
    #[error(
        "a range of addresses is an address, or one with a prefix length, such as 10.0.0.0/8 or 2001:db8::/32"
    )]
    Form,
    /// The address goes on behind the prefix. Either may be the mistake, and a guess would let in too many or too few.
    #[error("an address has bits behind the length of its prefix")]
    HostBits,
}

impl AddressRange {
    /// Does it hold this address? One of IPv4 that is written as IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for AddressRange {
    type Err = BadAddressRange;
    fn from_str(text: &str) -> Result<Self, BadAddressRange> {
        let given = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse().map_err(|_| BadAddressRange::Form)?,
        };
        let range = as_ipv4(given).unwrap_or(given);
        if range.addr() == range.network() { Ok(Self(range)) } else { Err(BadAddressRange::HostBits) }
    }
}

/// The range of IPv4 that one of IPv6 stands for.
fn as_ipv4(range: IpNet) -> Option<IpNet> {
    let IpNet::V6(range) = range else { return None };
    let length = range.prefix_len().checked_sub(MAPPED_BITS)?;
    let range = Ipv4Net::new(range.addr().to_ipv4_mapped()?, length).ok()?;
    Some(range.into())
}

impl From<IpAddr> for AddressRange {
    fn from(address: IpAddr) -> Self {
        Self(address.to_canonical().into())
    }
}

impl TryFrom<String> for AddressRange {
    type Error = BadAddressRange;
    fn try_from(text: String) -> Result<Self, BadAddressRange> {
        text.parse()
    }
}

impl From<AddressRange> for String {
    fn from(range: AddressRange) -> Self {
        range.to_string()
    }
}

/// Always with the length of its prefix.
impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> AddressRange {
        text.parse().expect(text)
    }

    fn holds(of: &str, address: &str) -> bool {
        range(of).contains(address.parse().expect(address))
    }

    #[test]
    fn a_range_holds_what_begins_like_it() {
        assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1") && !holds("2001:db8::/32", "2001:db9::1"));
        assert!(holds("0.0.0.0/0", "192.0.2.1") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7", "192.0.2.8"));
    }

    #[test]
    fn an_ipv4_address_in_the_clothes_of_ipv6_is_ipv4() {
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(!holds("::/0", "::ffff:10.1.2.3"));
        assert_eq!(range("::ffff:10.0.0.0/104"), range("10.0.0.0/8"));
        assert_eq!(range("::ffff:10.1.2.3"), range("10.1.2.3/32"));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for bad in
            ["", "10.0.0.0/33", "10.0.0/8", "2001:db8::/129", "example.com", "10.0.0.0/", "10.0.0.0/-1", "/8"]
        {
            assert_eq!(bad.parse::<AddressRange>(), Err(BadAddressRange::Form), "{bad}");
        }
        for bits in ["10.0.0.1/8", "2001:db8::1/32", "::ffff:10.0.0.1/104"] {
            assert_eq!(bits.parse::<AddressRange>(), Err(BadAddressRange::HostBits), "{bits}");
        }
    }

    #[test]
    fn it_is_written_with_its_length() {
        assert_eq!(range("192.0.2.7").to_string(), "192.0.2.7/32");
        assert_eq!(serde_json::to_string(&range("2001:db8::/32")).expect("text"), "\"2001:db8::/32\"");
        assert!(serde_json::from_str::<AddressRange>("\"10.0.0.1/8\"").is_err());
    }
}

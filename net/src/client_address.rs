//! Where a client is: the address that every limit and every list of addresses goes by.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The bits of an IPv6 address that one customer of a network gets at least (RFC 6177 §2, RFC 7084): whoever has one such
/// address has 2⁶⁴ of them.
const IPV6_KEY_BITS: u32 = 64;

/// A client's address and port: its socket's, or what a trusted proxy says of it.
///
/// An IPv4 address that came in the form of IPv6 (`::ffff:192.0.2.7`) is held as IPv4, so that a client has one address
/// whatever kind of socket it reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress {
    ip: IpAddr,
    /// 0 where a proxy does not say.
    port: u16,
    is_local: bool,
}

impl ClientAddress {
    /// A client whose connection `proxy` passes on; port 0 when nobody knows which.
    #[must_use]
    pub const fn behind(proxy: Self, ip: IpAddr, port: u16) -> Self {
        let ip = ip.to_canonical();
        Self { ip, port, is_local: proxy.is_local && ip.is_loopback() }
    }

    /// The address. Never IPv4 in the form of IPv6.
    #[must_use]
    pub const fn ip(self) -> IpAddr {
        self.ip
    }

    /// The port; 0 where a proxy does not say.
    #[must_use]
    pub const fn port(self) -> u16 {
        self.port
    }

    /// Does nothing of the connection leave this machine? A proxy elsewhere that names a client of its own machine is
    /// still elsewhere.
    #[must_use]
    pub const fn is_local(self) -> bool {
        self.is_local
    }

    /// What limits for an address count it by.
    #[must_use]
    pub const fn key(self) -> AddressKey {
        AddressKey::of(self.ip)
    }
}

impl From<SocketAddr> for ClientAddress {
    fn from(socket: SocketAddr) -> Self {
        let ip = socket.ip().to_canonical();
        Self { ip, port: socket.port(), is_local: ip.is_loopback() }
    }
}

/// As [`SocketAddr`] is written, or the address alone when the port is not known.
impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            0 => self.ip.fmt(f),
            port => SocketAddr::new(self.ip, port).fmt(f),
        }
    }
}

/// Clients that count as one where addresses are limited: an address of IPv4, or all of an IPv6 network of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressKey(IpAddr);

impl AddressKey {
    /// What this address counts as.
    #[must_use]
    pub const fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V6(ip) => {
                let network = ip.to_bits() & (u128::MAX << (u128::BITS - IPV6_KEY_BITS));
                Self(IpAddr::V6(Ipv6Addr::from_bits(network)))
            }
            ip => Self(ip),
        }
    }

    /// The first address that counts as it.
    #[must_use]
    pub const fn ip(self) -> IpAddr {
        self.0
    }
}

/// `192.0.2.7`, or `2001:db8:0:1::/64`.
impl fmt::Display for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => ip.fmt(f),
            IpAddr::V6(ip) => write!(f, "{ip}/{IPV6_KEY_BITS}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(socket: &str) -> ClientAddress {
        socket.parse::<SocketAddr>().expect(socket).into()
    }

    #[test]
    fn ipv4_is_counted_by_the_address_and_ipv6_by_the_network() {
        let key = |socket| address(socket).key();
        assert_eq!(key("192.0.2.7:1"), key("192.0.2.7:2"));
        assert_ne!(key("192.0.2.7:1"), key("192.0.2.8:1"));
        assert_eq!(key("[2001:db8:0:1::7]:1"), key("[2001:db8:0:1:ffff:ffff:ffff:ffff]:1"));
        assert_ne!(key("[2001:db8:0:1::7]:1"), key("[2001:db8:0:2::7]:1"));
        assert_eq!(key("[2001:db8:0:1::7]:1").to_string(), "2001:db8:0:1::/64");
    }

    #[test]
    fn ipv4_in_the_form_of_ipv6_is_ipv4() {
        let mapped = address("[::ffff:192.0.2.7]:5");
        assert_eq!(mapped, address("192.0.2.7:5"));
        assert_eq!(mapped.key().to_string(), "192.0.2.7");
        assert!(address("[::ffff:127.0.0.1]:5").is_local());
    }

    #[test]
    fn a_port_that_nobody_knows_is_not_written() {
        let proxied = ClientAddress::behind(address("192.0.2.1:9"), address("192.0.2.7:1").ip(), 0);
        assert_eq!(proxied.to_string(), "192.0.2.7");
        assert_eq!(address("[2001:db8::1]:5").to_string(), "[2001:db8::1]:5");
    }
}

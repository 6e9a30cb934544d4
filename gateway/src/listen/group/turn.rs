//! Gateways that share a port leave it one at a time.
//!
//! Each that leaves counts on the others to stay. Two that are told to stop together would each leave everything to
//! the other, and nobody would be left to say that nobody serves.

use super::Place;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The right to leave, until it is dropped or its process ends.
///
/// It is a name in the network namespace, in which the port is, too: whoever can share the port sees it. Nothing is
/// ever sent there.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "it is held, not used")] UnixDatagram);

impl Turn {
    /// The right to leave this place, unless somebody has it.
    ///
    /// # Errors
    /// The system knows no such names.
    pub fn take(place: &Place) -> io::Result<Option<Self>> {
        let name = SocketAddr::from_abstract_name(format!("tenantry leaves {}", place.address()))?;
        match UnixDatagram::bind_addr(&name) {
            Ok(socket) => Ok(Some(Self(socket))),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
            Err(error) => Err(error),
        }
    }
}

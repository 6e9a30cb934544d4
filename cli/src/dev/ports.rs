//! Saying which port is taken before anything has been started.

use super::{DevError, Ports};
use std::net::{Ipv4Addr, TcpListener};

/// Checks that the chosen ports are free. Another process may still take one afterwards; then its
/// owner complains in its own words.
pub(super) fn check_free(ports: Ports) -> Result<(), DevError> {
    let wanted = [
        (ports.pg, "PostgreSQL clients", "--pg-port"),
        (ports.http, "SQL over HTTP", "--http-port"),
        (ports.admin, "metrics", "--admin-port"),
        (ports.control_plane, "control plane", "--control-plane-port"),
    ];
    // Held until all have been tried, so that one number given twice is found too.
    let mut held = Vec::with_capacity(wanted.len());
    for (port, purpose, option) in wanted {
        if port == 0 {
            continue;
        }
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => held.push(listener),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                return Err(DevError::PortTaken { port, purpose, option });
            }
            Err(error) => {
                return Err(DevError::Plane {
                    plane: purpose,
                    reason: format!("cannot use port {port}: {error}"),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_its_purpose() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = check_free(Ports { http: port, ..Ports::ANY }).unwrap_err();
        assert_eq!(error.to_string(), format!("port {port} (SQL over HTTP) is already in use"));
        drop(taken);
        let error = check_free(Ports { http: port, admin: port, ..Ports::ANY }).unwrap_err();
        assert!(matches!(error, DevError::PortTaken { purpose: "metrics", .. }));
    }
}

//! Where a listener stands, and who else listens there.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;

/// The kernel's word for a listening socket (`TCP_LISTEN` in `include/net/tcp_states.h`).
const LISTEN: &str = "0A";

/// The columns of `/proc/net/tcp` that matter here.
const LOCAL_ADDRESS: usize = 1;
const STATE: usize = 3;
const INODE: usize = 9;

/// One listening socket: its address, and what tells it from others at the same address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    address: SocketAddr,
    inode: u64,
}

impl Place {
    /// Where this listener stands.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn of<S: AsFd>(listener: &S, address: SocketAddr) -> io::Result<Self> {
        let descriptor = listener.as_fd().as_raw_fd();
        let inode = std::fs::metadata(format!("/proc/self/fd/{descriptor}"))?.ino();
        Ok(Self { address, inode })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many other listeners there are at exactly this address, of this process or another.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn others(&self) -> io::Result<usize> {
        let table = if self.address.is_ipv4() { "/proc/net/tcp" } else { "/proc/net/tcp6" };
        others(BufReader::new(File::open(table)?), &written(self.address), self.inode)
    }
}

/// The kernel lists those that listen first; there may be very many connections behind them.
fn others(table: impl BufRead, address: &str, inode: u64) -> io::Result<usize> {
    let mut count = 0;
    for line in table.lines().skip(1) {
        let line = line?;
        let column = |number| line.split_ascii_whitespace().nth(number);
        if column(STATE) != Some(LISTEN) {
            break;
        }
        let is_other = column(INODE).and_then(|text| text.parse().ok()) != Some(inode);
        if column(LOCAL_ADDRESS) == Some(address) && is_other {
            count += 1;
        }
    }
    Ok(count)
}

/// An address as the kernel writes it there: each 32 bits as a number of this machine, in hexadecimal digits.
fn written(address: SocketAddr) -> String {
    let word = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
    let ip = match address {
        SocketAddr::V4(v4) => word(v4.ip().octets()),
        SocketAddr::V6(v6) => {
            let octets = v6.ip().octets();
            octets.chunks_exact(4).map(|four| word([four[0], four[1], four[2], four[3]])).collect()
        }
    };
    format!("{ip}:{:04X}", address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1920 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0
   1: 0100007F:1920 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1 0 100 0 0 10 0
   2: 00000000:1920 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 13 1 0 100 0 0 10 0
   3: 0100007F:1920 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 14 1 0 100 0 0 10 0
";

    #[test]
    fn others_are_listeners_at_exactly_the_same_address() {
        let address = if cfg!(target_endian = "little") { "0100007F:1920" } else { "7F000001:1920" };
        assert_eq!(written(([127, 0, 0, 1], 6432).into()), address);
        assert_eq!(others(TABLE.as_bytes(), "0100007F:1920", 11).expect("a table"), 1);
        assert_eq!(others(TABLE.as_bytes(), "0100007F:1920", 99).expect("a table"), 2);
        assert_eq!(others(TABLE.as_bytes(), "00000000:1920", 13).expect("a table"), 0);
    }
}

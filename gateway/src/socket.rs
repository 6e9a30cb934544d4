//! How every TCP connection is set up, to clients and to servers.
//!
//! A peer whose machine or network vanished sends nothing, and neither would we: an idle client would keep its
//! place, and a query its connection, for ever. Keepalive probes find out.

use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

/// A connection is probed once nothing has arrived on it for so long: short enough that what forgets idle
/// connections on the way, mostly after some minutes, does not forget ours.
const IDLE: Duration = Duration::from_secs(60);

/// The time between two probes that stay without an answer.
const INTERVAL: Duration = Duration::from_secs(10);

/// Probes without an answer after which the connection is lost: two minutes after the last sign of life.
const RETRIES: u32 = 6;

/// Sends small messages at once, and notices a peer that has vanished.
///
/// # Errors
/// The connection is lost already.
pub fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(IDLE).with_interval(INTERVAL).with_retries(RETRIES);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_connection_is_probed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it listens");
        let stream = TcpStream::connect(address).await.expect("somebody listens");
        prepare(&stream).expect("it is open");
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().expect("an option") && stream.nodelay().expect("an option"));
        assert_eq!(socket.tcp_keepalive_time().expect("an option"), IDLE);
    }
}

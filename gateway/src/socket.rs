//! How every TCP connection is set up, to clients and to servers.
//!
//! A peer whose machine or network vanished sends nothing, and neither would we: an idle client would keep its
//! place, and a query its connection, for ever. Keepalive probes find out.

use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

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
///
/// What a listener is set to, Linux sets for every connection that it accepts: one listener spares each client five
/// system calls.
pub fn prepare<S: AsFd>(socket: &S) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(IDLE).with_interval(INTERVAL).with_retries(RETRIES);
    socket.set_tcp_keepalive(&keepalive)
}

/// Has the connection end with an error when what was sent on it is not acknowledged for so long. The kernel tries for a
/// quarter of an hour otherwise, and probes nothing meanwhile.
///
/// # Errors
/// The connection is lost already.
pub fn give_up_after<S: AsFd>(socket: &S, time: Duration) -> io::Result<()> {
    SockRef::from(socket).set_tcp_user_timeout(Some(time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpStream};

    fn is_prepared(socket: &SockRef<'_>) -> bool {
        socket.keepalive().expect("an option")
            && socket.tcp_nodelay().expect("an option")
            && socket.tcp_keepalive_time().expect("an option") == IDLE
            && socket.tcp_keepalive_interval().expect("an option") == INTERVAL
            && socket.tcp_keepalive_retries().expect("an option") == RETRIES
    }

    #[tokio::test]
    async fn what_a_listener_accepts_is_set_up_as_it_is() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        prepare(&listener).expect("it is open");
        let address = listener.local_addr().expect("it listens");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (client, (accepted, _)) = (client.expect("connected"), accepted.expect("accepted"));
        assert!(is_prepared(&SockRef::from(&accepted)) && !is_prepared(&SockRef::from(&client)));
        prepare(&client).expect("it is open");
        assert!(is_prepared(&SockRef::from(&client)));
    }
}

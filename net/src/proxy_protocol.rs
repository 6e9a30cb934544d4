//! The PROXY protocol, version 2: a proxy says whose connection it passes on, in the first bytes of its own
//! (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>).
//!
//! Who may say so is the caller's matter: nothing in such a header proves anything.

use crate::ClientAddress;
use ppp::v2::{Addresses, Command, Header};
use std::io;
use std::net::SocketAddr;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The signature, the version with the command, the family, and the length of what follows (§2.2).
const HEAD_LEN: usize = 16;

/// The longest header that is taken, without its head. Addresses take 36 bytes, and what proxies add to them some hundred.
const REST_LEN_MAX: usize = 2_048;

/// The signature's first byte. Neither a startup packet nor TLS nor HTTP begins with it.
const FIRST_BYTE: u8 = b'\r';

/// What a proxy says at the beginning of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// The connection is this client's.
    Client(ClientAddress),
    /// It is the proxy's own, such as a check of whether somebody listens; or comes from where there are no addresses.
    Own,
    /// Nothing: it begins with something else, all of which is left to be read.
    Nothing,
}

/// Reads the header, to its end and no further. `proxy` is who connects. The caller bounds the time.
///
/// # Errors
/// The connection ends within the header, or what begins as one is none.
pub async fn read(stream: &mut TcpStream, proxy: SocketAddr) -> io::Result<Said> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 || first[0] != FIRST_BYTE {
        return Ok(Said::Nothing);
    }
    let mut header = vec![0; HEAD_LEN];
    stream.read_exact(&mut header).await?;
    let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
    if length > REST_LEN_MAX {
        return Err(invalid("the header of the PROXY protocol is too long"));
    }
    header.resize(HEAD_LEN + length, 0);
    stream.read_exact(&mut header[HEAD_LEN..]).await?;
    said(&header, proxy)
}

fn said(header: &[u8], proxy: SocketAddr) -> io::Result<Said> {
    let header = Header::try_from(header)
        .map_err(|_| invalid("this is no header of the PROXY protocol, version 2"))?;
    if header.command == Command::Local {
        return Ok(Said::Own);
    }
    let source: SocketAddr = match header.addresses {
        Addresses::IPv4(pair) => (pair.source_address, pair.source_port).into(),
        Addresses::IPv6(pair) => (pair.source_address, pair.source_port).into(),
        Addresses::Unspecified | Addresses::Unix(_) => return Ok(Said::Own),
    };
    Ok(Said::Client(ClientAddress::behind(proxy.into(), source.ip(), source.port())))
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
        [SIGNATURE, &[0x20 | command, family], &length, rest].concat()
    }

    /// What is said by a client that sends this and ends, and what is left to be read.
    async fn read_of(bytes: &[u8]) -> (io::Result<Said>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        let (mut stream, proxy) = listener.accept().await.expect("it was dialled");
        client.write_all(bytes).await.expect("it is read");
        drop(client);
        let said = read(&mut stream, proxy).await;
        let mut left = Vec::new();
        stream.read_to_end(&mut left).await.expect("it was sent");
        (said, left)
    }

    fn client(socket: &str) -> SocketAddr {
        socket.parse().expect(socket)
    }

    #[tokio::test]
    async fn the_client_is_named_and_what_follows_is_left() {
        let v4 = header(1, 0x11, &[192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x34, 0x19, 0x20]);
        let (said, left) = read_of(&[v4.as_slice(), b"\0\0\0\x08"].concat()).await;
        let Ok(Said::Client(named)) = said else { panic!("{said:?}") };
        assert_eq!(named.to_string(), client("192.0.2.7:4660").to_string());
        assert_eq!(left, b"\0\0\0\x08");

        let mut rest = [0; 36 + 7];
        rest[..16].copy_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        rest[32..34].copy_from_slice(&[0, 5]);
        rest[36..].copy_from_slice(&[0x04, 0, 4, 1, 2, 3, 4]);
        let (said, _) = read_of(&header(1, 0x21, &rest)).await;
        let Ok(Said::Client(named)) = said else { panic!("{said:?}") };
        assert_eq!(named.to_string(), "[2001:db8::1]:5");
    }

    #[tokio::test]
    async fn a_proxys_own_connection_is_its_own() {
        assert_eq!(read_of(&header(0, 0, &[])).await.0.ok(), Some(Said::Own));
        assert_eq!(read_of(&header(1, 0, &[])).await.0.ok(), Some(Said::Own));
    }

    #[tokio::test]
    async fn whatever_else_it_begins_with_stays_to_be_read() {
        for bytes in [&b"\0\0\0\x08\x04\xd2\x16\x2f"[..], b"\x16\x03\x01", b"POST /sql", b""] {
            let (said, left) = read_of(bytes).await;
            assert_eq!((said.ok(), left.as_slice()), (Some(Said::Nothing), bytes));
        }
    }

    #[tokio::test]
    async fn what_only_looks_like_a_header_is_refused() {
        let long = header(1, 0x11, &[0; REST_LEN_MAX + 1]);
        let short = header(1, 0x11, &[0; 11]);
        let version_1 = b"\r\nPROXY TCP4 192.0.2.7".to_vec();
        let cut_off = header(1, 0x11, &[0; 12])[..20].to_vec();
        for bytes in [long, short, version_1, cut_off] {
            assert!(read_of(&bytes).await.0.is_err(), "{bytes:?}");
        }
    }
}

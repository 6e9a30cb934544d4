//! Somebody on the way between the gateway and a cluster: who only looks at what passes, or who takes part.

use crate::certs::{Authority, Signed};
use crate::client::{Tls, ask};
use pgwire::frontend::write;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What a connection begins with, as far as all kinds of packets have it: a length and a code.
type Beginning = [u8; 8];

/// What it does with a connection.
enum Way {
    /// It passes every byte on.
    Looks,
    /// It ends TLS with a certificate that the gateway has to trust, and speaks TLS with the server itself.
    TakesPart(TlsAcceptor, Tls),
}

/// Somebody in the middle.
pub(crate) struct Middle {
    address: SocketAddr,
    beginnings: Arc<Mutex<Vec<Beginning>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Middle {
    pub(crate) async fn looking(server: SocketAddr) -> Self {
        Self::start(server, Way::Looks).await
    }

    /// Has a certificate of the server's name from the server's own authority.
    pub(crate) async fn taking_part(server: SocketAddr, authority: &Authority, name: &str) -> Self {
        let acceptor = acceptor(&authority.sign(&[name], false));
        Self::start(server, Way::TakesPart(acceptor, Tls::new(&authority.pem(), name))).await
    }

    /// Where the gateway is to go.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections began in clear with a request for TLS, and how many in another way.
    pub(crate) fn requests_for_tls(&self) -> (usize, usize) {
        let mut request = Vec::new();
        write::ssl_request(&mut request);
        let beginnings = self.beginnings.lock().expect("nobody panics");
        let asked = beginnings.iter().filter(|beginning| beginning[..] == request[..]).count();
        (asked, beginnings.len() - asked)
    }

    async fn start(server: SocketAddr, way: Way) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let beginnings = Arc::new(Mutex::new(Vec::new()));
        let (seen, way) = (Arc::clone(&beginnings), Arc::new(way));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, way) = (Arc::clone(&seen), Arc::clone(&way));
                tokio::spawn(async move { serve(stream, server, &way, &seen).await });
            }
        });
        Self { address, beginnings, task }
    }
}

impl Drop for Middle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut client: TcpStream,
    server: SocketAddr,
    way: &Way,
    seen: &Mutex<Vec<Beginning>>,
) -> io::Result<()> {
    let mut beginning = Beginning::default();
    client.read_exact(&mut beginning).await?;
    seen.lock().expect("nobody panics").push(beginning);
    match way {
        Way::Looks => {
            let mut server = TcpStream::connect(server).await?;
            server.write_all(&beginning).await?;
            copy_bidirectional(&mut client, &mut server).await?;
        }
        Way::TakesPart(acceptor, tls) => {
            client.write_all(b"S").await?;
            let mut client = acceptor.accept(client).await?;
            let mut server = tls.over(ask(server).await?).await?;
            copy_bidirectional(&mut client, &mut server).await?;
        }
    }
    Ok(())
}

fn acceptor(own: &Signed) -> TlsAcceptor {
    let cert = CertificateDer::from_pem_slice(own.cert.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions that there are")
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .expect("a key of this certificate");
    TlsAcceptor::from(Arc::new(config))
}

//! A client that speaks TLS as a test wants it.

use crate::certs::Signed;
use harness::wire::{Message, WireClient};
use pgwire::frontend::write;
use pgwire::scram::ChannelBinding;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest, Sha256};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A client over TLS.
pub type TlsClient = WireClient<TlsStream<TcpStream>>;

/// How a client speaks TLS.
#[derive(Clone)]
pub struct Tls {
    roots: RootCertStore,
    /// The name that it asks for and checks.
    pub server_name: String,
    /// The protocols that it names.
    pub alpn: Vec<Vec<u8>>,
    /// The certificate that it shows.
    pub certificate: Option<Signed>,
    /// Versions other than 1.2 are not spoken.
    pub only_tls12: bool,
}

impl Tls {
    /// Trusts an authority, and asks for a name.
    ///
    /// # Panics
    /// When the authority is none.
    #[must_use]
    pub fn new(ca: &str, server_name: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(ca.as_bytes()).expect("a certificate"))
            .expect("an authority");
        Self {
            roots,
            server_name: server_name.to_owned(),
            alpn: Vec::new(),
            certificate: None,
            only_tls12: false,
        }
    }

    /// The same, with another name.
    #[must_use]
    pub fn named(&self, server_name: &str) -> Self {
        Self { server_name: server_name.to_owned(), ..self.clone() }
    }

    /// The same, naming these protocols.
    #[must_use]
    pub fn alpn(&self, protocols: &[&str]) -> Self {
        Self { alpn: protocols.iter().map(|name| name.as_bytes().to_vec()).collect(), ..self.clone() }
    }

    /// The same, showing this certificate.
    #[must_use]
    pub fn showing(&self, certificate: &Signed) -> Self {
        Self { certificate: Some(certificate.clone()), ..self.clone() }
    }

    /// Goes through the handshake on a connection.
    ///
    /// # Errors
    /// It fails.
    ///
    /// # Panics
    /// When what it is to speak with is broken.
    pub async fn over<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let versions: &[&rustls::SupportedProtocolVersion] =
            if self.only_tls12 { &[&rustls::version::TLS12] } else { rustls::ALL_VERSIONS };
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions that there are")
            .with_root_certificates(self.roots.clone());
        let mut config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let cert = CertificateDer::from_pem_slice(own.cert.as_bytes()).expect("a certificate");
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).expect("a key");
                builder.with_client_auth_cert(vec![cert], key).expect("a key of this certificate")
            }
        };
        config.alpn_protocols.clone_from(&self.alpn);
        let name = ServerName::try_from(self.server_name.clone()).expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// Connects by SSLRequest.
    ///
    /// # Errors
    /// The gateway does not listen or agree, or the handshake fails.
    pub async fn request(&self, address: SocketAddr) -> io::Result<TlsClient> {
        let stream = ask(address).await?;
        Ok(WireClient::over(self.over(stream).await?))
    }

    /// Connects with TLS from the first byte.
    ///
    /// # Errors
    /// The gateway does not listen, or the handshake fails.
    pub async fn direct(&self, address: SocketAddr) -> io::Result<TlsClient> {
        let stream = TcpStream::connect(address).await?;
        Ok(WireClient::over(self.over(stream).await?))
    }
}

/// A connection on which the gateway has agreed to TLS.
///
/// # Errors
/// The gateway does not listen, or does not agree.
pub async fn ask(address: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    let mut request = Vec::new();
    write::ssl_request(&mut request);
    stream.write_all(&request).await?;
    match stream.read_u8().await? {
        b'S' => Ok(stream),
        other => Err(io::Error::other(format!("the gateway answered {:?}", char::from(other)))),
    }
}

/// Logs in, bound to this connection's certificate.
///
/// # Errors
/// The error that the gateway answers with, or an empty message when the connection ends.
pub async fn login(
    client: &mut TlsClient,
    parameters: &[(&str, &str)],
    password: &str,
) -> Result<(), Message> {
    client.startup(parameters).await.map_err(|_| Message { tag: 0, body: Vec::new() })?;
    let binding = binding(client);
    client.authenticate_bound_to(password.as_bytes(), binding).await?;
    client.greeting().await
}

/// What a login over this connection is bound to. The tests' certificates are signed with SHA-256.
///
/// # Panics
/// When the gateway showed no certificate.
pub fn binding(client: &mut TlsClient) -> ChannelBinding {
    ChannelBinding::TlsServerEndPoint(Sha256::digest(server_certificate(client)).to_vec())
}

/// The certificate that the gateway showed, in DER.
///
/// # Panics
/// When it showed none.
pub fn server_certificate(client: &mut TlsClient) -> Vec<u8> {
    let (_, session) = client.stream().get_ref();
    session.peer_certificates().expect("a certificate")[0].to_vec()
}

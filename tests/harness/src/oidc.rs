//! An identity provider on this machine: it describes itself, hands out its public keys and signs tokens, and can be in
//! all kinds of trouble.

mod signer;

pub use signer::Signer;

use rustls::ServerConfig;
use serde_json::{Value, json};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

/// The audience of all tokens that say no other.
pub const AUDIENCE: &str = "tenantry-tests";

/// Longer than any key set may be.
const HUGE: usize = 64 * 1024 * 1024;

/// A request's head is short.
const HEAD_MAX: usize = 16 * 1024;

/// What is wrong with a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// It hangs up on whoever calls.
    Down,
    /// It takes requests and never answers.
    Silent,
    /// It answers, and goes on and on.
    Huge,
    /// It answers something else than keys.
    Garbage,
    /// It answers with a status of failure.
    Failing,
    /// It sends whoever asks somewhere else, where the keys are.
    Redirect,
}

/// An identity provider. Ends when it is dropped.
pub struct Oidc {
    inner: Arc<Inner>,
    task: AbortHandle,
}

struct Inner {
    url: String,
    keys: Mutex<Vec<(String, Signer)>>,
    trouble: Mutex<Trouble>,
    made: AtomicU64,
    fetches: AtomicU64,
}

impl Oidc {
    /// One that is reached over http.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start() -> Self {
        Self::listen(None).await
    }

    /// One that is reached over https, at `localhost`.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start_tls(server: ServerConfig) -> Self {
        Self::listen(Some(TlsAcceptor::from(Arc::new(server)))).await
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("some port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let url = match tls {
            None => format!("http://127.0.0.1:{port}"),
            Some(_) => format!("https://localhost:{port}"),
        };
        let inner = Arc::new(Inner {
            url,
            keys: Mutex::default(),
            trouble: Mutex::default(),
            made: AtomicU64::new(0),
            fetches: AtomicU64::new(0),
        });
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&inner))).abort_handle();
        let oidc = Self { inner, task };
        oidc.rotate(false);
        oidc
    }

    /// Its name for itself.
    #[must_use]
    pub fn iss(&self) -> &str {
        &self.inner.url
    }

    /// Where its keys are.
    #[must_use]
    pub fn jwks_url(&self) -> String {
        format!("{}/jwks", self.inner.url)
    }

    /// How often its keys were asked for.
    #[must_use]
    pub fn fetches(&self) -> u64 {
        self.inner.fetches.load(Ordering::SeqCst)
    }

    /// Gets into trouble, or out of it.
    pub fn trouble(&self, trouble: Trouble) {
        *self.inner.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Signs with a new key from now on. The old ones stay known, or do not.
    pub fn rotate(&self, keep: bool) {
        let id = format!("key-{}", self.inner.made.fetch_add(1, Ordering::SeqCst));
        let mut keys = self.inner.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if !keep {
            keys.clear();
        }
        keys.push((id, Signer::generate()));
    }

    /// A token with these claims on top of those that every good token has.
    ///
    /// # Panics
    /// When `claims` is no object.
    #[must_use]
    pub fn token(&self, claims: &Value) -> String {
        let keys = self.inner.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let (id, signer) = keys.last().expect("there is always a key");
        signer.token(&json!({"alg": "ES256", "typ": "JWT", "kid": id}), &self.claims(claims))
    }

    /// A token with this header, signed with the provider's key whatever the header says.
    ///
    /// # Panics
    /// When `claims` is no object.
    #[must_use]
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let keys = self.inner.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, signer) = keys.last().expect("there is always a key");
        signer.token(header, &self.claims(claims))
    }

    /// The id of the key that signs.
    ///
    /// # Panics
    /// Never: there is always one.
    #[must_use]
    pub fn key_id(&self) -> String {
        let keys = self.inner.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.last().expect("there is always a key").0.clone()
    }

    /// Good claims, with these instead or besides.
    ///
    /// # Panics
    /// When `claims` is no object.
    #[must_use]
    pub fn claims(&self, claims: &Value) -> Value {
        let mut all = json!({
            "iss": self.iss(), "aud": AUDIENCE, "sub": "somebody", "iat": now(), "exp": now() + 3600,
        });
        for (name, value) in claims.as_object().expect("claims are an object") {
            all[name] = value.clone();
        }
        all
    }
}

impl Drop for Oidc {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Seconds since 1970.
///
/// # Panics
/// When the clock is off by more than fifty years.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, inner: Arc<Inner>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, inner) = (tls.clone(), Arc::clone(&inner));
        tokio::spawn(async move {
            // Whoever hangs up is nobody's loss.
            let _ = match tls {
                None => serve(stream, &inner).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => serve(stream, &inner).await,
                    Err(error) => Err(error),
                },
            };
        });
    }
}

/// Answers one request.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, inner: &Inner) -> io::Result<()> {
    let path = path_of(&mut stream).await?;
    let is_keys = path.starts_with("/jwks");
    if is_keys {
        inner.fetches.fetch_add(1, Ordering::SeqCst);
    }
    let trouble = *inner.trouble.lock().unwrap_or_else(PoisonError::into_inner);
    let body = match trouble {
        Trouble::Down => return Ok(()),
        Trouble::Silent => std::future::pending().await,
        Trouble::Failing => return answer(&mut stream, "500 Internal Server Error", "", b"{}").await,
        Trouble::Redirect if path == "/jwks" => {
            return answer(&mut stream, "302 Found", "location: /jwks-elsewhere\r\n", b"").await;
        }
        Trouble::Garbage => "<html>this is no key set</html>".to_owned(),
        Trouble::Huge => format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(HUGE)),
        Trouble::None | Trouble::Redirect if is_keys => inner.jwks().to_string(),
        Trouble::None | Trouble::Redirect => {
            json!({"issuer": inner.url, "jwks_uri": format!("{}/jwks", inner.url)}).to_string()
        }
    };
    answer(&mut stream, "200 OK", "content-type: application/json\r\n", body.as_bytes()).await
}

async fn path_of(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_MAX || stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let text = String::from_utf8_lossy(&head);
    Ok(text.split(' ').nth(1).unwrap_or_default().to_owned())
}

async fn answer(
    stream: &mut (impl AsyncWrite + Unpin),
    status: &str,
    headers: &str,
    body: &[u8],
) -> io::Result<()> {
    let head =
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    stream.shutdown().await
}

impl Inner {
    fn jwks(&self) -> Value {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<Value> = keys.iter().map(|(id, signer)| signer.jwk(id)).collect();
        json!({ "keys": keys })
    }
}

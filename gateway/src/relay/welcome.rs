//! What a server tells a client that connects: the parameters it reports.
//!
//! They depend on the database, the role and the settings that the client begins with, so the first client
//! of each kind is shown a real session; for the others the pool remembers.

use super::ledger::Request;
use super::settings::{self, Settings};
use crate::connect::ServerConnection;
use crate::error::Refusal;
use crate::pool::Pool;
use pgwire::{backend, frame};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tenancy::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Kinds of clients that a pool remembers; they differ mostly by application_name.
const WELCOMES_MAX: usize = 32;

/// Applying settings is one round trip on a connection that is idle.
const APPLY_MAX: Duration = Duration::from_secs(10);

/// The parameters for clients that begin with certain settings.
#[derive(Debug)]
pub struct Welcome {
    settings: Arc<Settings>,
    parameters: Vec<(Box<str>, Box<str>)>,
}

impl Welcome {
    /// The settings, shared by all clients that begin with them.
    #[must_use]
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Name and value of every reported parameter.
    #[must_use]
    pub fn parameters(&self) -> &[(Box<str>, Box<str>)] {
        &self.parameters
    }
}

/// The welcomes of one pool, most recently used last.
#[derive(Debug, Default)]
pub struct Welcomes(Mutex<Vec<Arc<Welcome>>>);

impl Welcomes {
    fn find(&self, settings: &Settings) -> Option<Arc<Welcome>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = known.iter().position(|welcome| *welcome.settings == *settings)?;
        let welcome = known.remove(index);
        known.push(Arc::clone(&welcome));
        Some(welcome)
    }

    fn remember(&self, welcome: &Arc<Welcome>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= WELCOMES_MAX {
            known.remove(0);
        }
        known.push(Arc::clone(welcome));
    }
}

/// The welcome for a client with these settings.
///
/// # Errors
/// No server connection can be had, or the server does not accept a setting.
pub async fn welcome(pool: &Arc<Pool>, wanted: Settings) -> Result<Arc<Welcome>, Refusal> {
    if let Some(welcome) = pool.welcomes().find(&wanted) {
        return Ok(welcome);
    }
    let mut lease = pool.checkout().await?;
    let server = lease.server();
    let wanted = Arc::new(wanted);
    tokio::time::timeout(APPLY_MAX, apply(server, &wanted))
        .await
        .unwrap_or(Err(ApplyError::Lost))
        .map_err(ApplyError::into_refusal)?;
    let welcome = Arc::new(Welcome { settings: wanted, parameters: server.parameters.clone() });
    lease.release();
    pool.welcomes().remember(&welcome);
    Ok(welcome)
}

enum ApplyError {
    /// The server does not accept a setting: its words are about the client's own startup packet.
    Refused(String),
    /// The connection broke or answered out of turn.
    Lost,
}

impl ApplyError {
    fn into_refusal(self) -> Refusal {
        match self {
            Self::Refused(message) => Refusal::new(ErrorKind::Unsupported, message)
                .hint("the startup packet asks for a setting that the server does not accept"),
            Self::Lost => Refusal::new(ErrorKind::ServerLost, "the server connection was lost"),
        }
    }
}

impl From<std::io::Error> for ApplyError {
    fn from(_: std::io::Error) -> Self {
        Self::Lost
    }
}

/// Puts settings in force and reads all replies, so that the reported parameters are current.
async fn apply(server: &mut ServerConnection, wanted: &Arc<Settings>) -> Result<(), ApplyError> {
    let mut messages = Vec::new();
    let mut due = 0_u32;
    settings::write_steps(server, wanted, &mut messages, |request| {
        due += u32::from(request == Request::Sync);
    })
    .map_err(|error| ApplyError::Refused(error.to_string()))?;
    if due == 0 {
        return Ok(());
    }
    server.stream().write_all(&messages).await?;
    server.stream().flush().await?;
    let mut inbound = Vec::with_capacity(1024);
    let mut refused = None;
    loop {
        let Some(length) = whole_message(&inbound)? else {
            if server.stream().read_buf(&mut inbound).await? == 0 {
                return Err(ApplyError::Lost);
            }
            continue;
        };
        let (tag, body) = (inbound[0], &inbound[frame::HEADER_LEN..length]);
        match tag {
            b'S' => {
                let (name, value) = backend::parameter_status(body).map_err(|_malformed| ApplyError::Lost)?;
                server.report_parameter(&String::from_utf8_lossy(name), &String::from_utf8_lossy(value));
            }
            b'E' => refused = Some(message_of(body)),
            b'Z' => break,
            _ => {}
        }
        inbound.drain(..length);
    }
    match refused {
        Some(message) => Err(ApplyError::Refused(message)),
        None => {
            server.settings = Arc::clone(wanted);
            server.settings_uncertain = false;
            Ok(())
        }
    }
}

fn whole_message(inbound: &[u8]) -> Result<Option<usize>, ApplyError> {
    let header = frame::peek_header(inbound).map_err(|_malformed| ApplyError::Lost)?;
    Ok(header.map(|header| header.len).filter(|length| *length <= inbound.len()))
}

fn message_of(body: &[u8]) -> String {
    String::from_utf8_lossy(backend::ErrorFields::new(body).get(b'M').unwrap_or_default()).into_owned()
}

//! What a server tells a client that connects: the parameters it reports.
//!
//! They depend on the database, the role and the settings that the client begins with, so the first client
//! of each kind is shown a real session; for the others the pool remembers.

use super::own_request::{self, OwnRequestError};
use super::settings::{self, Settings};
use crate::connect::ServerConnection;
use crate::error::Refusal;
use crate::pool::{Asker, CheckoutError, Pool};
use pgwire::backend::write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tenancy::ErrorKind;

/// Kinds of clients that a pool remembers; they differ mostly by application_name.
const WELCOMES_MAX: usize = 32;

/// Name and value of every parameter that a server reports.
type Parameters = Vec<(Box<str>, Box<str>)>;

/// The parameters for clients that begin with certain settings.
#[derive(Debug)]
pub struct Welcome {
    settings: Arc<Settings>,
    parameters: Parameters,
    /// The same as messages.
    messages: Vec<u8>,
}

impl Welcome {
    fn new(settings: Arc<Settings>, parameters: Parameters) -> Self {
        let mut messages = Vec::new();
        for (name, value) in &parameters {
            write::parameter_status(&mut messages, name.as_bytes(), value.as_bytes());
        }
        Self { settings, parameters, messages }
    }

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

    /// A message for each of them.
    #[must_use]
    pub fn messages(&self) -> &[u8] {
        &self.messages
    }
}

/// The welcomes of one pool. They end with it, and when its server changes what it reports: after an upgrade, or
/// when a default was changed.
#[derive(Debug, Default)]
pub struct Welcomes(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Most recently used last.
    welcomes: Vec<Arc<Welcome>>,
    /// What the server reported at its last login.
    reported: Parameters,
}

impl Welcomes {
    /// A login to the server has ended, and this is what it reported. If it reported something else before, what
    /// was remembered is no longer what it says.
    pub fn logged_in(&self, reported: &[(Box<str>, Box<str>)]) {
        let mut known = self.lock();
        if known.reported != reported {
            known.reported = reported.to_vec();
            known.welcomes.clear();
        }
    }

    /// Is that what the server said at its last login?
    #[must_use]
    pub fn is_default(&self, name: &str, value: &str) -> bool {
        self.lock().reported.iter().any(|(known, default)| &**known == name && &**default == value)
    }

    fn find(&self, settings: &Settings) -> Option<Arc<Welcome>> {
        let mut known = self.lock();
        let index = known.welcomes.iter().position(|welcome| *welcome.settings == *settings)?;
        let welcome = known.welcomes.remove(index);
        known.welcomes.push(Arc::clone(&welcome));
        Some(welcome)
    }

    fn remember(&self, welcome: &Arc<Welcome>) {
        let mut known = self.lock();
        if known.welcomes.len() >= WELCOMES_MAX {
            known.welcomes.remove(0);
        }
        known.welcomes.push(Arc::clone(welcome));
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The welcome for a client with these settings.
///
/// # Errors
/// No server connection can be had, the pool is retired, or the server does not accept a setting.
pub async fn welcome(pool: &Arc<Pool>, wanted: &Arc<Settings>) -> Result<Arc<Welcome>, CheckoutError> {
    if let Some(welcome) = pool.welcomes().find(wanted) {
        return Ok(welcome);
    }
    let mut lease = pool.checkout(Asker::GATEWAY).await?;
    let server = lease.server();
    apply(server, wanted).await.map_err(refusal_of)?;
    let welcome = Arc::new(Welcome::new(Arc::clone(wanted), server.parameters.clone()));
    lease.release();
    pool.welcomes().remember(&welcome);
    Ok(welcome)
}

/// What the server says is about the client's own startup packet.
fn refusal_of(error: OwnRequestError) -> Refusal {
    match error {
        OwnRequestError::Refused(message) => Refusal::new(ErrorKind::Unsupported, message)
            .hint("the startup packet asks for a setting that the server does not accept"),
        OwnRequestError::Unwritable(error) => error.into(),
        OwnRequestError::Lost => Refusal::new(ErrorKind::ServerLost, "the server connection was lost"),
    }
}

/// Puts settings in force, so that the reported parameters are current.
async fn apply(server: &mut ServerConnection, wanted: &Arc<Settings>) -> Result<(), OwnRequestError> {
    let mut messages = Vec::new();
    settings::write_steps(server, wanted, &mut messages, |_request| {})?;
    if !messages.is_empty() {
        own_request::run(server, &messages).await?;
    }
    server.settings = Arc::clone(wanted);
    server.settings_uncertain = false;
    Ok(())
}

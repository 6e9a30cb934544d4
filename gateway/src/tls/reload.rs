//! New certificates in place of old ones, while clients stay connected.
//!
//! Files are compared by what is in them: tools replace them in many ways, by renaming, by links, in place. A state
//! of the files that is of no use (half written, a key of another certificate) is reported once, and the certificates
//! in use stay.

use super::TlsError;
use super::acceptor::{Acceptor, Seen};
use super::certificates::Certificates;
use super::files::Contents;
use std::error::Error;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Looks at the files again and again until `stop` fires.
pub async fn run(acceptor: Arc<Acceptor>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(acceptor.settings().reload_interval()) => {}
        }
        let looking = Arc::clone(&acceptor);
        // Reading files blocks. A panic there is reported by its own hook, and the next look is not far.
        let _ = tokio::task::spawn_blocking(move || look(&looking)).await;
    }
}

/// Takes what has changed into use, if it is good.
fn look(acceptor: &Acceptor) {
    let read = Contents::read(acceptor.settings());
    let state = match &read {
        Ok(contents) => Seen::Contents(contents.fingerprint),
        Err(error) => Seen::Unreadable(in_full(error)),
    };
    let before = std::mem::replace(&mut *acceptor.seen(), state.clone());
    if before == state {
        return;
    }
    match read.and_then(|contents| Certificates::load(&contents, acceptor.settings())) {
        Ok(certificates) => {
            let names: Vec<_> = certificates.iter().map(|certificate| certificate.file.clone()).collect();
            acceptor.replace(certificates);
            acceptor.reloaded.inc();
            tracing::info!(?names, "new certificates are in use");
        }
        Err(error) => {
            acceptor.reload_failed.inc();
            tracing::error!(error = in_full(&error), "new certificates cannot be used; the old ones stay");
        }
    }
}

fn in_full(error: &TlsError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

//! The last words to a client that is sent away.

use crate::error::Refusal;
use crate::listen::wire::write_refusal;
use crate::resolve::Tenant;
use crate::stream::ClientStream;
use pgwire::Severity;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long a client that is sent away gets to take its last messages.
pub(super) const FAREWELL_MAX: Duration = Duration::from_secs(5);

/// How long a client that has its last messages gets to close its end.
const LINGER_MAX: Duration = Duration::from_secs(1);

/// `owed` is what the client is to have before the refusal.
pub(super) async fn farewell(stream: &mut ClientStream, owed: Vec<u8>, tenant: &Tenant, refusal: &Refusal) {
    tenant.usage().refused(refusal.kind());
    tracing::info!(tenant.id = %tenant.id(), tenant.slug = %tenant.usage().label(), kind = refusal.kind().as_str(), "a client was sent away");
    let mut message = owed;
    write_refusal(&mut message, refusal, Severity::Fatal);
    let told = async {
        if stream.write_all(&message).await.is_ok() && stream.shutdown().await.is_ok() {
            linger(stream).await;
        }
    };
    // A client that does not read is not waited for.
    let _ = tokio::time::timeout(FAREWELL_MAX, told).await;
}

/// A request that crosses our farewell would have the kernel answer with a reset, and the client might never read why
/// it was sent away. So what it still sends is taken in until it has seen the end.
async fn linger(stream: &mut ClientStream) {
    let mut nobody_reads_it = [0; 256];
    let taken_in = async { while matches!(stream.read(&mut nobody_reads_it).await, Ok(1..)) {} };
    let _ = tokio::time::timeout(LINGER_MAX, taken_in).await;
}

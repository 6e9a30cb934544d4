//! Who gets in, and what those who do not can learn.
//!
//! [`credentials`] is what opens a tenant and for how long, [`strangers`] what somebody without it gets to
//! see, [`scram`] the exchange itself, [`startup`] what comes before it, [`cancel`] the requests that come
//! without it, [`cancel_replicas`] from any gateway, [`cancel_storm`] in thousands.

mod cancel;
mod cancel_replicas;
mod cancel_storm;
mod credentials;
mod scram;
mod startup;
mod strangers;

use harness::wire::{Message, WireClient};
use harness::{SharedStack, Stack, Tenant};
use std::sync::LazyLock;
use tenantry::dev::StackOptions;

/// Nothing becomes known by the lapse of time here: what a test sees soon, a notification has brought.
const NEVER_MS: u64 = 60_000;

/// Long enough for a login on a busy machine.
const STARTUP_TIMEOUT_MS: u64 = 5_000;

static STACK: LazyLock<SharedStack> = LazyLock::new(|| {
    SharedStack::start(async || {
        let options = StackOptions::ephemeral().gateway(|gateway| {
            gateway.routes.resync_interval_ms = NEVER_MS;
            gateway.limits.startup_timeout_ms = STARTUP_TIMEOUT_MS;
        });
        Stack::start_with(options).await
    })
});

async fn dial(tenant: &Tenant) -> WireClient {
    WireClient::dial(&tenant.config()).await.expect("the gateway listens")
}

/// Sends bytes, and returns the only thing that the gateway then says: an error before the end.
async fn last_words(client: &mut WireClient, bytes: &[u8]) -> Message {
    // The gateway may have ended the connection before it has read everything.
    let _ = client.send(bytes).await;
    let error = client.message().await.expect("an error");
    assert_eq!(error.tag, b'E', "{error:?}");
    let end = client.message().await;
    assert!(end.is_err(), "{end:?} after an error");
    error
}

//! A client's first moments: it waits where its tenant is paused, and is greeted as by its server.

use super::Session;
use super::farewell::farewell;
use crate::admit::feature::Usable;
use crate::admit::{gate, storage};
use crate::cancel::CancelGuard;
use crate::clients::{Client, ClientGuard};
use crate::error::Refusal;
use crate::pool::checkout::POOLS_ASKED_MAX;
use crate::pool::{Asker, CheckoutError, Pool};
use crate::relay::deadlines::Deadlines;
use crate::relay::effects::Effects;
use crate::relay::exchange::{ClientBounds, ClientState, ListeningBounds};
use crate::relay::policy::Policy;
use crate::relay::settings::Settings;
use crate::relay::welcome::{self, Welcome};
use crate::resolve::Tenant;
use crate::session::Admitted;
use crate::shared::Shared;
use crate::stream::ClientStream;
use crate::summons::Summons;
use crate::workers::Turns;
use config::{ListenPolicy, StateConfig};
use pgwire::backend::{TransactionStatus, write};
use std::future::poll_fn;
use std::sync::Arc;
use tenancy::{Access, ErrorKind, PoolMode};
use tokio::io::AsyncWriteExt;

/// Greets the client. `None`: it was sent away, or has left.
pub(super) async fn begin(
    admitted: Box<Admitted>,
    place: ClientGuard,
    shared: Arc<Shared>,
) -> Option<(Session, Vec<u8>)> {
    let asker = Asker::of(&admitted.identity.subject);
    let Admitted { wire, settings, pool_mode, tenant, identity, permit, .. } = *admitted;
    let access = identity.access;
    let (mut stream, early, mut out) = wire.into_parts();
    let route = tenant.route();
    let greeted = async {
        let settings = Arc::new(Settings::new(settings));
        refuse_other_lexical_rules(&settings)?;
        let (pool, welcome) = loop {
            may_begin(&mut stream, &shared, &tenant, place.client()).await?;
            match welcome_of(&shared, &tenant, access, &settings).await {
                Ok(welcomed) => break welcomed,
                Err(CheckoutError::HeldBack) => {}
                Err(error) => return Err(error.into()),
            }
        };
        let cancel = greet(&mut stream, &mut out, &shared, &welcome, &tenant).await?;
        Ok((pool, welcome, cancel))
    };
    let (pool, welcome, cancel) = match greeted.await {
        Ok(greeted) => greeted,
        Err(refusal) => {
            farewell(&mut stream, out, &tenant, &refusal).await;
            return None;
        }
    };
    let leave = Summons::new(tenant.leave_token());
    let client = ClientState {
        id: place.client().id,
        statements: Default::default(),
        settings: Arc::clone(welcome.settings()),
        welcome,
        pin: None,
        pool_mode,
        kept: Effects::NONE,
        listening: None,
        process_id: cancel.key().process_id,
        meter: Arc::clone(tenant.meter()),
        usable: Usable::new(Arc::clone(&shared.installation), Arc::clone(&tenant)),
        bounds: ClientBounds {
            message_bytes_max: shared.config.limits.message_bytes_max,
            prepared_bytes_max: shared.config.limits.prepared_bytes_per_client_max,
            policy: match pool_mode {
                PoolMode::Transaction => Policy::new(&shared.config.state),
                PoolMode::Session => Policy::PIN,
            },
            listening: may_share_listening(&shared.config.state),
        },
    };
    let session = Session {
        shared,
        tenant,
        stream,
        client,
        cancel,
        deadlines: Deadlines::default(),
        route,
        pool,
        access,
        asker,
        leave,
        place,
        turns: Turns::default(),
        _permit: permit,
    };
    Some((session, early))
}

fn may_share_listening(config: &StateConfig) -> Option<ListeningBounds> {
    (config.listen == ListenPolicy::Share).then_some(ListeningBounds {
        channels_max: config.listen_channels_max,
        queue_bytes_max: config.listen_queue_bytes_max,
    })
}

/// A client of a paused tenant waits before it is greeted: what its server would say is not known yet.
async fn may_begin(
    stream: &mut ClientStream,
    shared: &Shared,
    tenant: &Tenant,
    client: &Client,
) -> Result<(), Refusal> {
    let wait_max = shared.config.console.pause_timeout();
    client.waiting();
    tokio::select! {
        biased;
        passed = gate::passage(tenant, &shared.gate, wait_max) => passed?,
        end = client.until_killed() => return Err(end.refusal()),
        () = shared.drain.cancelled() => return Err(Refusal::draining()),
        () = poll_fn(|cx| stream.poll_gone(cx)) => return Err(has_left()),
    }
    client.idle();
    Ok(())
}

fn has_left() -> Refusal {
    Refusal::new(ErrorKind::ClientTimeout, "the client has left")
}

/// Tells the client that it is in: the server's parameters and a cancel key of ours. `hello` holds what goes
/// before them, and still does when nothing could be said.
async fn greet(
    stream: &mut ClientStream,
    hello: &mut Vec<u8>,
    shared: &Arc<Shared>,
    welcome: &Welcome,
    tenant: &Tenant,
) -> Result<CancelGuard, Refusal> {
    let cancel = shared
        .cancels
        .register()
        .map_err(|_no_randomness| Refusal::new(ErrorKind::Internal, "no cancel key could be made"))?;
    write::authentication_ok(hello);
    hello.extend_from_slice(welcome.messages());
    write::backend_key_data(hello, cancel.key());
    storage::write_notice(&tenant.route(), hello);
    write::ready_for_query(hello, TransactionStatus::Idle);
    let told = async {
        stream.write_all(hello).await?;
        stream.flush().await
    };
    told.await.map_err(|_gone| has_left())?;
    hello.clear();
    Ok(cancel)
}

/// Asks the tenant's pool for this access, and the next one if that is retired meanwhile.
async fn welcome_of(
    shared: &Shared,
    tenant: &Tenant,
    access: Access,
    settings: &Arc<Settings>,
) -> Result<(Arc<Pool>, Arc<Welcome>), CheckoutError> {
    let mut asked = 0;
    loop {
        let pool = shared.pools.pool_of(tenant, access)?;
        asked += 1;
        match welcome::welcome(&pool, settings).await {
            Ok(welcome) => {
                // A pause that began meanwhile leaves no connection behind.
                while !(tenant.gate().is_open() && shared.gate.is_open()) && pool.evict_one() {}
                return Ok((pool, welcome));
            }
            Err(CheckoutError::Retired) if asked < POOLS_ASKED_MAX => {}
            Err(error) => return Err(error),
        }
    }
}

/// What a statement does is read from its text, by the rules of standard strings.
fn refuse_other_lexical_rules(settings: &Settings) -> Result<(), Refusal> {
    match settings.get("standard_conforming_strings") {
        None | Some("on" | "true" | "yes" | "1") => Ok(()),
        Some(_) => Err(Refusal::new(
            ErrorKind::Unsupported,
            "standard_conforming_strings cannot be off from the start",
        )
        .hint("SET it where it is needed; the client then keeps its connection")),
    }
}

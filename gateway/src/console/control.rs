//! What operators can do to tenants, here: nothing of it reaches the catalog or another gateway, and a restart
//! forgets it.

use super::DATABASE;
use super::command::Verb;
use super::failure::Failure;
use super::show::no_such_tenant;
use crate::admit::gate::Gate;
use crate::clients::End;
use crate::pool::Pool;
use crate::pool::servers::Server;
use crate::resolve::Tenant;
use crate::shared::Shared;
use pgwire::SqlState;
use std::sync::Arc;
use std::time::Duration;

/// How often to look whether what is waited for has happened. Nobody is told when it does: counting for the sake
/// of a rare command would cost every transaction something.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Whom a command is about.
#[derive(Clone)]
pub(super) enum Whose {
    Everybody,
    One(Arc<Tenant>),
}

/// What a command leaves to wait for.
pub(super) enum Wait {
    /// Until no server connection is left, and nobody waits for one but at the gate. When it is cancelled and this
    /// pause began it, it ends.
    Paused { whose: Whose, began: bool },
    /// Until no server connection is left that is to be closed.
    Closed(Whose),
}

/// Does what the verb says, or begins to.
///
/// # Errors
/// There is no such tenant or client, it is not in a state for this, or the verb is not offered.
pub(super) async fn carry_out(
    verb: Verb,
    target: Option<&str>,
    shared: &Shared,
) -> Result<Option<Wait>, Failure> {
    if matches!(verb, Verb::Reload | Verb::Shutdown | Verb::Suspend) {
        return Err(not_offered(verb));
    }
    if verb == Verb::KillClient {
        kill_client(target.unwrap_or_default(), shared)?;
        return Ok(None);
    }
    let whose = match target {
        Some(name) => Whose::One(find(verb, name, shared).await?),
        None => Whose::Everybody,
    };
    let gate = whose.gate(shared);
    match verb {
        Verb::Pause => return pause(whose, shared).map(Some),
        Verb::WaitClose => return Ok(Some(Wait::Closed(whose))),
        Verb::Resume if !gate.open() => return Err(whose.not_paused()),
        Verb::Kill => {
            kill(&whose, shared);
            return Ok(Some(Wait::Paused { whose, began: false }));
        }
        Verb::Reconnect => reconnect(&whose, shared),
        Verb::Disable => gate.disable(true),
        Verb::Enable => gate.disable(false),
        Verb::Resume | Verb::KillClient | Verb::Reload | Verb::Shutdown | Verb::Suspend => {}
    }
    Ok(None)
}

fn not_offered(verb: Verb) -> Failure {
    let hint = match verb {
        Verb::Shutdown => "send the process SIGTERM: it drains and ends",
        Verb::Suspend => "PAUSE holds back new work",
        _ => "certificates are read again by themselves; other settings need a restart",
    };
    Failure::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{} is not offered here", verb.word())).hint(hint)
}

async fn find(verb: Verb, name: &str, shared: &Shared) -> Result<Arc<Tenant>, Failure> {
    if name == DATABASE {
        let message = format!("cannot {} the console", verb.word().to_lowercase().replace('_', " "));
        return Err(Failure::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
    }
    let slug = name.parse().map_err(|_no_slug| no_such_tenant(name))?;
    shared.routes.by_slug(&slug).await?.ok_or_else(|| no_such_tenant(name))
}

fn pause(whose: Whose, shared: &Shared) -> Result<Wait, Failure> {
    let began = whose.gate(shared).close();
    match whose {
        Whose::Everybody if !began => {
            Err(Failure::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "already paused"))
        }
        whose => Ok(Wait::Paused { whose, began }),
    }
}

/// Ends everything under way and keeps out what comes, until it is resumed.
fn kill(whose: &Whose, shared: &Shared) {
    whose.gate(shared).close();
    for tenant in shared.routes.all().into_iter().filter(|tenant| whose.is(tenant)) {
        tenant.gate().cut();
    }
    for client in shared.clients.all().into_iter().filter(|client| whose.is(&client.about.tenant)) {
        client.kill(End::Ordered);
    }
    reconnect(whose, shared);
}

fn kill_client(id: &str, shared: &Shared) -> Result<(), Failure> {
    let id = id.parse().map_err(|_no_number| {
        Failure::new(SqlState::INVALID_PARAMETER_VALUE, "invalid client id")
            .hint("SHOW CLIENTS has them in its column id")
    })?;
    let client = shared.clients.find(id);
    client.ok_or_else(|| Failure::new(SqlState::UNDEFINED_OBJECT, "client not found"))?.kill(End::Ordered);
    Ok(())
}

/// Closes what is idle or listens now, and what is in use when it is given back.
fn reconnect(whose: &Whose, shared: &Shared) {
    for server in whose.servers(shared) {
        server.need_close();
    }
    close_idle(whose, shared);
}

fn close_idle(whose: &Whose, shared: &Shared) {
    for pool in whose.pools(shared) {
        pool.notifications().close();
        while pool.evict_one() {}
    }
}

impl Wait {
    /// Resolves when what is waited for has happened.
    pub(super) async fn done(&self, shared: &Shared) {
        let mut interval = tokio::time::interval(LOOK_AGAIN);
        loop {
            interval.tick().await;
            if self.is_done(shared) {
                return;
            }
        }
    }

    fn is_done(&self, shared: &Shared) -> bool {
        match self {
            Self::Paused { whose, .. } => {
                if whose.gate(shared).is_open() {
                    // Another operator has ended it.
                    return true;
                }
                // Work that had passed the gate before it closed may wait for a connection, or have put one back.
                whose.pools(shared).for_each(|pool| pool.hold_back());
                close_idle(whose, shared);
                let unused = |pool: Arc<Pool>| {
                    pool.leased() == 0 && pool.opening() == 0 && pool.idle() == 0 && pool.waiting() == 0
                };
                whose.pools(shared).all(unused) && whose.servers(shared).next().is_none()
            }
            Self::Closed(whose) => !whose.servers(shared).any(|server| server.close_needed()),
        }
    }

    /// Nobody waits any longer: a pause that had not taken hold ends.
    pub(super) fn give_up(&self, shared: &Shared) {
        if let Self::Paused { whose, began: true } = self {
            whose.gate(shared).open();
        }
    }
}

impl Whose {
    fn gate<'a>(&'a self, shared: &'a Shared) -> &'a Gate {
        match self {
            Self::Everybody => &shared.gate,
            Self::One(tenant) => tenant.gate(),
        }
    }

    fn is(&self, tenant: &Arc<Tenant>) -> bool {
        match self {
            Self::Everybody => true,
            Self::One(one) => Arc::ptr_eq(one, tenant),
        }
    }

    fn pools(&self, shared: &Shared) -> impl Iterator<Item = Arc<Pool>> {
        shared.pools.pools().into_iter().filter(|pool| match self {
            Self::Everybody => true,
            Self::One(tenant) => Arc::ptr_eq(pool.usage(), tenant.usage()),
        })
    }

    /// Also those of pools that are no longer of any route.
    fn servers(&self, shared: &Shared) -> impl Iterator<Item = Arc<Server>> {
        let all = shared.pools.clusters().into_iter().flat_map(|cluster| cluster.servers().all());
        all.filter(|server| match self {
            Self::Everybody => true,
            Self::One(tenant) => Arc::ptr_eq(&server.purpose.usage, tenant.usage()),
        })
    }

    fn not_paused(&self) -> Failure {
        let message = match self {
            Self::Everybody => "the gateway is not paused".to_owned(),
            Self::One(tenant) => format!("tenant {} is not paused", tenant.usage().label()),
        };
        Failure::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
            .hint("SHOW TENANTS and SHOW STATE say what is")
    }
}

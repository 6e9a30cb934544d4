//! What is shown of the operators' console, and of what it holds back.

use crate::metrics::family::{Family, Spec};
use crate::resolve::Tenant;
use crate::shared::Shared;
use std::sync::Arc;

static SESSIONS: Spec =
    Spec::gauge("tenantry_gateway_console_sessions", &[], "Operators who are logged in at the console.");
static COMMANDS: Spec = Spec::counter(
    "tenantry_gateway_console_commands_total",
    &[],
    "Commands that operators gave, carried out or not.",
);
static PAUSED: Spec =
    Spec::gauge("tenantry_gateway_paused_tenants", &[], "Tenants known here that an operator has paused.");
static HELD_BACK: Spec = Spec::gauge(
    "tenantry_gateway_paused_waiting_clients",
    &[],
    "Clients and requests that wait for their tenant to be resumed.",
);

/// What operators do and have done.
#[derive(Debug, Clone, Default)]
pub struct ConsoleReading {
    /// Sessions at the console.
    pub sessions: u64,
    /// Commands given.
    pub commands: u64,
    /// Tenants paused, one by one or all together.
    pub paused: u64,
    /// Who waits for them.
    pub held_back: u64,
}

impl ConsoleReading {
    /// The numbers now, `tenants` being all that are known.
    #[must_use]
    pub fn take(shared: &Shared, tenants: &[Arc<Tenant>]) -> Self {
        let all_paused = !shared.gate.is_open();
        let paused = tenants.iter().filter(|tenant| all_paused || !tenant.gate().is_open()).count();
        Self {
            sessions: shared.console.sessions().into(),
            commands: shared.console.commands.get(),
            paused: u64::try_from(paused).unwrap_or(u64::MAX),
            held_back: tenants.iter().map(|tenant| u64::from(tenant.gate().waiting())).sum(),
        }
    }
}

pub(super) fn families(console: &ConsoleReading) -> [Family; 4] {
    [
        Family::new(&SESSIONS).row(&[], console.sessions),
        Family::new(&COMMANDS).row(&[], console.commands),
        Family::new(&PAUSED).row(&[], console.paused),
        Family::new(&HELD_BACK).row(&[], console.held_back),
    ]
}

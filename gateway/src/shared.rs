//! What all connections share. Built once by [`crate::app`], read everywhere.

use crate::admit::addresses::Addresses;
use crate::admit::gate::Gate;
use crate::authenticate::password::PasswordChecks;
use crate::authenticate::token::TokenChecks;
use crate::authenticate::uses::Uses;
use crate::authenticate::{CredentialRef, MockSeed};
use crate::cancel::Cancels;
use crate::clients::Clients;
use crate::console::Console;
use crate::metrics::GatewayUsage;
use crate::metrics::anomalies::Listener;
use crate::pool::Registry;
use crate::resolve::follow::Progress;
use crate::resolve::installation::Installation;
use crate::resolve::{Court, Routes, Tenant};
use crate::tls::Acceptor;
use crate::workers::Workers;
use config::GatewayConfig;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// What all connections share.
pub struct Shared {
    /// The threads that serve connections.
    pub workers: Workers,
    /// The settings.
    pub config: GatewayConfig,
    /// TLS with clients; none if no listener speaks it.
    pub tls: Option<Arc<Acceptor>>,
    /// From names to tenants.
    pub routes: Arc<Routes>,
    /// Server connections.
    pub pools: Arc<Registry>,
    /// From cancel keys to sessions.
    pub cancels: Arc<Cancels>,
    /// Who is connected.
    pub clients: Arc<Clients>,
    /// What operators have asked for of all tenants.
    pub gate: Gate,
    /// The operators' console.
    pub console: Console,
    /// What addresses have asked for before anybody knew who is there.
    pub addresses: Addresses,
    /// Clients that are logging in.
    pub logins_under_way: AtomicU32,
    /// Counters that belong to no tenant.
    pub usage: GatewayUsage,
    /// How far the catalog was followed.
    pub progress: Arc<Progress>,
    /// Makes unknown users look like known ones.
    pub mock_seed: MockSeed,
    /// Password checks of HTTP clients, bounded and remembered.
    pub passwords: PasswordChecks,
    /// When credentials were used last.
    pub uses: Arc<Uses>,
    /// What is known of the installation itself.
    pub installation: Arc<Installation>,
    /// Checks of tokens, with their issuers' keys.
    pub tokens: TokenChecks,
    /// Places for clients of either protocol, authenticated or not.
    pub client_places: Arc<Semaphore>,
    /// Fires when the gateway is to stop: no client should be sent here any more.
    pub leaving: CancellationToken,
    /// Fires when the gateway is to drain: clients are told to leave, and new ones why they are not served.
    pub drain: CancellationToken,
    /// Fires when the drain's time is up: clients that are still there are cut off.
    pub cut_off: CancellationToken,
}

impl Shared {
    /// Does the credential open the tenant by all that is known now?
    #[must_use]
    pub fn still_opens(&self, tenant: &Tenant, credential: &CredentialRef) -> bool {
        let is_known =
            self.installation.known().is_none_or(|known| credential.is_known_to(&known, tenant.id()));
        is_known && credential.opens(&tenant.route())
    }

    /// Where it is decided whom a client names.
    #[must_use]
    pub fn court(&self, listener: Listener) -> Court<'_> {
        let Self { routes, installation, usage, .. } = self;
        Court { routes, installation, anomalies: &usage.anomalies, listener }
    }
}

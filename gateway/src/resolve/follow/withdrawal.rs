//! Ends the clients whose credential opens their tenant no more.
//!
//! What was withdrawn is heard of from the catalog. What expires is known beforehand, and ends in time whether or not the
//! catalog can be reached.

use super::super::{Installation, Routes};
use crate::admit::allow_list;
use crate::clients::Clients;
use jiff::Timestamp;
use std::collections::HashSet;
use std::sync::Arc;
use tenancy::TenantId;

/// Who may have come in by what, and what is known of it.
#[derive(Clone)]
pub(super) struct Withdrawal {
    pub(super) routes: Arc<Routes>,
    pub(super) installation: Arc<Installation>,
    pub(super) clients: Arc<Clients>,
}

impl Withdrawal {
    /// Ends what has expired, at its time, for ever.
    pub(super) async fn expire_in_time(&self) {
        loop {
            tokio::select! {
                () = self.routes.next_expiry() => self.end_among(&self.routes.expired()),
                () = self.clients.next_end() => self.clients.end_over(Timestamp::now()),
            }
        }
    }

    /// Ends those of these tenants whose route has their credential, or their address, no more. The new routes are in force: who logs in
    /// meanwhile is checked against them.
    pub(super) fn end_among(&self, tenants: &HashSet<TenantId>) {
        if !tenants.is_empty() {
            self.clients.end_withdrawn(|about| {
                !tenants.contains(&about.tenant.id()) || about.credential.opens(&about.tenant.route())
            });
            self.clients.end_shut_out(|about| {
                !tenants.contains(&about.tenant.id()) || allow_list::admits(&about.tenant.route(), about.peer)
            });
        }
    }

    /// Ends those whose credential the installation knows no more. What is known of it by now is in force.
    pub(super) fn end_unknown(&self) {
        if let Some(known) = self.installation.known() {
            self.clients.end_withdrawn(|about| about.credential.is_known_to(&known, about.tenant.id()));
        }
    }
}

//! One PostgreSQL connection, stage by stage.
//!
//! ```text
//! Accepted ─► Resolved ─► Authenticated ─► Admitted ─► (relay::session: Leased, again and again)
//! ```
//!
//! Each stage consumes the one before, so the order cannot be mistaken: there is no way to a
//! [`crate::pool::Lease`] but through an [`Admitted`], and none to that but through a password
//! or a certificate that stands for one.

use crate::admit::{self, ClientPermit, allow_list, feature};
use crate::authenticate::password::Attempt;
use crate::authenticate::{Identity, certificate, cleartext, scram};
use crate::error::Refusal;
use crate::listen::wire::ClientWire;
use crate::metrics::anomalies::Listener;
use crate::resolve::host::Hosts;
use crate::resolve::startup::{self, Target};
use crate::resolve::{Claims, Found, Tenant, pool_mode};
use crate::shared::Shared;
use catalog_schema::RouteRecord;
use net::ClientAddress;
use pgwire::startup::Startup;
use std::sync::Arc;
use tenancy::{BuiltIn, ErrorKind, PoolMode};

/// A client has sent its startup packet.
pub struct Accepted {
    /// Its socket.
    pub wire: ClientWire,
    /// Where it comes from.
    pub peer: ClientAddress,
    /// What it asked for.
    pub startup: Startup,
    /// Where it has come in.
    pub listener: Listener,
    /// What has been said of its tenant on the way in, ahead of the startup packet: by a WebSocket's request.
    pub claims: Claims,
}

/// It is known which tenant the client means, and whether there is one.
pub struct Resolved {
    wire: ClientWire,
    peer: ClientAddress,
    listener: Listener,
    target: Target,
    /// `None`: a token will tell.
    found: Option<Found>,
}

/// The client has proved who it is.
pub struct Authenticated {
    wire: ClientWire,
    peer: ClientAddress,
    target: Target,
    tenant: Arc<Tenant>,
    identity: Identity,
}

/// The client may work.
pub struct Admitted {
    /// Its socket.
    pub wire: ClientWire,
    /// Where it comes from.
    pub peer: ClientAddress,
    /// The settings that its session is to begin with.
    pub settings: Vec<(String, String)>,
    /// How long it keeps a server connection.
    pub pool_mode: PoolMode,
    /// Its tenant.
    pub tenant: Arc<Tenant>,
    /// Who it is there, and what it may do.
    pub identity: Identity,
    /// Its place within the tenant's limit.
    pub permit: ClientPermit,
}

/// A refusal, and the socket to say it on.
pub struct Refused {
    /// Its socket.
    pub wire: ClientWire,
    /// Why.
    pub refusal: Refusal,
    /// The tenant to count it for, once the client has proved that it belongs there.
    pub tenant: Option<Arc<Tenant>>,
}

impl Accepted {
    /// Finds the tenant.
    ///
    /// # Errors
    /// No tenant is named, or two different ones, or the catalog cannot be asked.
    pub async fn resolve(self, shared: &Shared) -> Result<Resolved, Box<Refused>> {
        let Self { wire, peer, startup, listener, claims } = self;
        shared.installation.features().first_read().await;
        match find(&wire, &startup, claims, listener, shared).await {
            Ok((target, found)) => Ok(Resolved { wire, peer, listener, target, found }),
            Err(refusal) => Err(Box::new(Refused { wire, refusal, tenant: None })),
        }
    }
}

/// What the client asks for, and whom it names.
async fn find(
    wire: &ClientWire,
    startup: &Startup,
    claims: Claims,
    listener: Listener,
    shared: &Shared,
) -> Result<(Target, Option<Found>), Refusal> {
    let (server_name, config) = (wire.tls().server_name.as_deref(), &shared.config);
    let mut target = startup::read(startup, server_name, Hosts::of(config), &config.resolve.wire_sources)?;
    target.claims = claims.followed_by(target.claims);
    if target.shows_token {
        return Ok((target, None));
    }
    let found = shared.court(listener).decide(&target.claims, None).await?.ok_or_else(|| {
        Refusal::new(ErrorKind::TenantMissing, "no tenant was named")
            .hint("give the tenant as the database name, as user.tenant, or with options='-c tenant=NAME'")
    })?;
    Ok((target, Some(found)))
}

fn known_by_certificate(wire: &ClientWire, route: Option<&RouteRecord>, target: &Target) -> Option<Identity> {
    certificate::identity(wire.tls().login.as_deref()?, route?, target)
}

impl Resolved {
    /// Has the client prove who it is. An unknown tenant goes through the same motions.
    ///
    /// # Errors
    /// It could not.
    pub async fn authenticate(self, shared: &Shared) -> Result<Authenticated, Box<Refused>> {
        let Self { mut wire, peer, listener, target, found } = self;
        let Some(found) = found else { return by_token(wire, peer, listener, target, shared).await };
        let (tenant, tenant_as_given) = found.into_parts();
        let route = tenant.as_ref().map(|tenant| tenant.route());
        let proved = match known_by_certificate(&wire, route.as_deref(), &target) {
            Some(identity) => Ok(identity),
            None => {
                let known = Known { route: route.as_deref(), tenant_as_given: &tenant_as_given };
                by_password(&mut wire, peer, listener, &target, &known, shared).await
            }
        };
        match (proved, tenant) {
            (Ok(identity), Some(tenant)) => {
                shared.uses.note(&identity.credential);
                Ok(Authenticated { wire, peer, target, tenant, identity })
            }
            (Ok(_), None) => {
                let refusal = Refusal::unauthenticated(&target.user_as_given);
                Err(Box::new(Refused { wire, refusal, tenant: None }))
            }
            (Err(refusal), _) => Err(Box::new(Refused { wire, refusal, tenant: None })),
        }
    }
}

/// What is known of the tenant that a client means.
struct Known<'a> {
    route: Option<&'a RouteRecord>,
    tenant_as_given: &'a str,
}

/// By proof; or by the password itself, where a WebSocket's client has sent it along. An unknown user goes through the
/// same motions.
async fn by_password(
    wire: &mut ClientWire,
    peer: ClientAddress,
    listener: Listener,
    target: &Target,
    known: &Known<'_>,
    shared: &Shared,
) -> Result<Identity, Refusal> {
    let (seed, tenant, user_as_given) = (&shared.mock_seed, known.tenant_as_given, &target.user_as_given);
    let sent_along = match listener {
        Listener::Pg => None,
        Listener::Http => cleartext::sent_along(wire, peer).await?,
    };
    match &sent_along {
        Some(password) => {
            let attempt = Attempt { tenant, user: target.user.as_ref(), user_as_given, password };
            shared.passwords.check(known.route, &attempt, seed).await
        }
        None => scram::authenticate(wire, known.route, tenant, target, seed).await,
    }
}

/// A token says by itself which tenant it is for, or whose it is among those that were named.
async fn by_token(
    mut wire: ClientWire,
    peer: ClientAddress,
    listener: Listener,
    target: Target,
    shared: &Shared,
) -> Result<Authenticated, Box<Refused>> {
    let proved = async {
        let token = cleartext::ask(&mut wire, peer).await?;
        shared.tokens.authenticate(&token, &target.claims, shared.court(listener)).await
    };
    match proved.await {
        Ok((tenant, identity)) => Ok(Authenticated { wire, peer, target, tenant, identity }),
        Err(refusal) => Err(Box::new(Refused { wire, refusal, tenant: None })),
    }
}

impl Authenticated {
    /// Asks whether the client may work now.
    ///
    /// # Errors
    /// The tenant is not active, or full.
    pub fn admit(self, shared: &Shared) -> Result<Admitted, Box<Refused>> {
        let admitted = self.may_enter(shared);
        let Self { wire, peer, target, tenant, identity } = self;
        match admitted {
            Ok((pool_mode, permit)) => {
                Ok(Admitted { wire, peer, settings: target.settings, pool_mode, tenant, identity, permit })
            }
            Err(refusal) => Err(Box::new(Refused { wire, refusal, tenant: Some(tenant) })),
        }
    }

    fn may_enter(&self, shared: &Shared) -> Result<(PoolMode, ClientPermit), Refusal> {
        let Self { wire, peer, target, tenant, identity } = self;
        let (route, installation) = (tenant.route(), &shared.installation);
        allow_list::check(&route, *peer)?;
        if wire.is_websocket() {
            feature::check(installation, tenant, BuiltIn::WebSocket)?;
        }
        let pool_mode = pool_mode::of(target, &identity.credential, &route, shared.config.pool.session_mode)?;
        if pool_mode == PoolMode::Session {
            feature::check(installation, tenant, BuiltIn::SessionMode)?;
        }
        Ok((pool_mode, admit::admit(tenant, &shared.routes)?))
    }
}

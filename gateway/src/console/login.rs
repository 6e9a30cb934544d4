//! From a startup packet that means the console to an operator.

use super::{Console, DATABASE};
use crate::authenticate::scram;
use crate::error::Refusal;
use crate::listen::wire::ClientWire;
use crate::resolve::host::Hosts;
use crate::resolve::{Installation, Named};
use crate::shared::Shared;
use config::ConsoleRole;
use net::ClientAddress;
use pgwire::startup::Startup;
use std::sync::Arc;
use tenancy::{ErrorKind, Source};
use tokio::sync::OwnedSemaphorePermit;

/// Somebody who has logged in at the console.
pub struct Operator {
    /// The socket.
    pub wire: ClientWire,
    /// Where it comes from.
    pub peer: ClientAddress,
    /// Who it is.
    pub user: String,
    /// What it may do.
    pub role: ConsoleRole,
    pub(super) place: OwnedSemaphorePermit,
}

/// Does the client mean the console? Only the database says so, and without one the user, which is then the
/// database's name: whatever else the packet names is not looked at, and cannot lead to a tenant.
#[must_use]
pub fn is_meant(startup: &Startup) -> bool {
    startup.get("database").filter(|name| !name.is_empty()).or_else(|| startup.get("user")) == Some(DATABASE)
}

/// Has the operator prove who it is. An unknown user goes through the same motions as a known one.
///
/// # Errors
/// The refusal, and the socket to say it on.
pub async fn enter(
    mut wire: ClientWire,
    peer: ClientAddress,
    startup: &Startup,
    shared: &Shared,
) -> Result<Operator, Box<(ClientWire, Refusal)>> {
    match prove(&mut wire, startup, shared).await {
        Ok((user, role, place)) => Ok(Operator { wire, peer, user, role, place }),
        Err(refusal) => {
            let user = startup.get("user").unwrap_or_default();
            tracing::warn!(%peer, user = %user.escape_debug(), %refusal, "a login at the console was refused");
            Err(Box::new((wire, refusal)))
        }
    }
}

async fn prove(
    wire: &mut ClientWire,
    startup: &Startup,
    shared: &Shared,
) -> Result<(String, ConsoleRole, OwnedSemaphorePermit), Refusal> {
    let console = &shared.console;
    refuse_what_is_not_offered(console, startup)?;
    refuse_a_tenants_host(wire, shared)?;
    let name = startup.get("user").filter(|user| !user.is_empty()).ok_or_else(|| {
        Refusal::new(ErrorKind::Unauthenticated, "no PostgreSQL user name specified in startup packet")
    })?;
    let user = console.user(name);
    let verifier = user.map(|user| user.verifier.clone());
    scram::authenticate_operator(wire, verifier, DATABASE, name, &shared.mock_seed).await?;
    // Without a user the exchange cannot succeed.
    let user = user.ok_or_else(|| Refusal::unauthenticated(name))?;
    // Asked for last, so that a stranger takes nobody's place.
    let place = Arc::clone(&console.places).try_acquire_owned().map_err(|_full| {
        let message = format!("the console already has {} sessions", console.session_limit);
        Refusal::new(ErrorKind::ClientLimit, message).hint("console.session_limit bounds them")
    })?;
    Ok((user.name.clone(), user.role, place))
}

fn refuse_what_is_not_offered(console: &Console, startup: &Startup) -> Result<(), Refusal> {
    if !console.is_on() {
        return Err(Refusal::new(ErrorKind::Unsupported, "the console is off: it has no users")
            .hint("list them as console.users in the gateway's configuration"));
    }
    match startup.get("replication") {
        None | Some("false" | "off" | "no" | "0") => Ok(()),
        Some(_) => Err(Refusal::new(ErrorKind::Unsupported, "replication connections are not offered")),
    }
}

/// A host name that names a tenant and the console's database are two that disagree.
fn refuse_a_tenants_host(wire: &ClientWire, shared: &Shared) -> Result<(), Refusal> {
    let (name, hosts) = (wire.tls().server_name.as_deref(), Hosts::of(&shared.config));
    match name.is_some_and(|name| is_a_tenants(name, hosts, &shared.installation)) {
        true => Err(Refusal::new(
            ErrorKind::TenantConflict,
            "the host name names a tenant, the database the console",
        )
        .hint("connect to the console by an address or a name that is no tenant's")),
        false => Ok(()),
    }
}

/// As long as nobody knows whose the domains are, they are nobody's: operators get in also before the catalog does.
fn is_a_tenants(name: &str, hosts: Hosts<'_>, installation: &Installation) -> bool {
    match hosts.claim(name, Source::ServerName).map(|claim| claim.named) {
        None => false,
        Some(Named::Domain(domain)) => {
            installation.known().is_some_and(|known| known.owner_of(&domain).is_some())
        }
        Some(Named::Name(_) | Named::Id(_)) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog_schema::{ChangedDomains, IdentityDocument};
    use config::GatewayConfig;
    use tenancy::TenantId;

    #[test]
    fn a_tenants_host_is_also_a_domain_of_its_own() {
        let (config, installation) = (GatewayConfig::default(), Installation::default());
        let is_a_tenants = |name| is_a_tenants(name, Hosts::of(&config), &installation);
        assert!(is_a_tenants("acme.localhost") && !is_a_tenants("sql.acme.org"));
        let domains = [("sql.acme.org".parse().expect("a domain"), TenantId::generate())];
        installation.domains().replace(&ChangedDomains::All, domains.into());
        installation.replace(IdentityDocument::default());
        assert!(is_a_tenants("SQL.acme.org") && !is_a_tenants("gateway.example.com"));
    }

    fn startup(parameters: &[(&str, &str)]) -> Startup {
        let parameters = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Startup { minor: 0, parameters }
    }

    #[test]
    fn only_the_database_means_the_console() {
        assert!(is_meant(&startup(&[("user", "ops"), ("database", "tenantry")])));
        assert!(is_meant(&startup(&[("user", "tenantry")])));
        assert!(is_meant(&startup(&[("user", "app.acme"), ("database", "tenantry")])));
        for other in [
            &[("user", "tenantry"), ("database", "acme")][..],
            &[("user", "ops.tenantry")],
            &[("user", "ops"), ("database", "acme"), ("options", "-c tenant=tenantry")],
            &[("user", "ops"), ("database", "TENANTRY")],
        ] {
            assert!(!is_meant(&startup(other)), "{other:?}");
        }
    }

    #[test]
    fn no_tenant_can_be_called_like_the_console() {
        assert!(DATABASE.parse::<tenancy::Slug>().is_err());
    }
}

//! What a PostgreSQL startup packet says of its tenant, and what else it asks for.
//!
//! Three places may name the tenant: the startup option `-c tenant=acme`, the user's suffix (`app.acme`) and
//! the database name; a fourth is the host name that the client gave to TLS.

use super::claims::{Claim, Claims};
use super::host::Hosts;
use super::{agreement, pool_mode};
use crate::error::Refusal;
use pgwire::startup::{Startup, parse_options};
use tenancy::name::TOKEN_USER;
use tenancy::{ErrorKind, PoolMode, Source, UserName};

/// Startup parameters that are not session settings.
const NOT_SETTINGS: [&str; 4] = ["user", "database", "options", "replication"];

/// The startup option by which a client says that it will show a token, whatever its user is.
const AUTH_OPTION: &str = "tenantry.auth";

/// Who wants to reach which tenant, with which session settings.
#[derive(Debug)]
pub struct Target {
    /// What names the tenant.
    pub claims: Claims,
    /// The user within the tenant. `None` when it can be no user's name: it is then treated just like an unknown one.
    pub user: Option<UserName>,
    /// The user as the client wrote it, for messages back to it.
    pub user_as_given: String,
    /// Settings that the client wants its session to begin with, in the order given.
    pub settings: Vec<(String, String)>,
    /// How long it wants to keep a server connection, if it says so.
    pub pool_mode: Option<PoolMode>,
    /// It shows a token where others show a password.
    pub shows_token: bool,
}

/// Reads the target out of a startup packet. `server_name` is the host name that the client gave to TLS, and `order` the
/// places that may name the tenant.
///
/// # Errors
/// No user, a replication connection, bad options.
pub fn read(
    startup: &Startup,
    server_name: Option<&str>,
    hosts: Hosts<'_>,
    order: &[Source],
) -> Result<Target, Refusal> {
    let user_as_given = startup.get("user").filter(|user| !user.is_empty()).ok_or_else(|| {
        Refusal::new(ErrorKind::Unauthenticated, "no PostgreSQL user name specified in startup packet")
    })?;
    refuse_replication(startup)?;
    let Wishes { settings, tenants, pool_mode, shows_token } = wishes(startup)?;
    let (user, suffix) = agreement::split_user(user_as_given);
    let named = [
        server_name.and_then(|name| hosts.claim(name, Source::ServerName)),
        suffix.map(|name| Claim::name(Source::User, name)),
        startup.get("database").and_then(|name| Claim::database(name, user_as_given)),
    ];
    let options = tenants.iter().map(|name| Claim::name(Source::Option, name));
    Ok(Target {
        claims: Claims::in_order(named.into_iter().flatten().chain(options), order),
        user: user.parse().ok(),
        user_as_given: user_as_given.to_owned(),
        settings,
        pool_mode,
        shows_token: shows_token || user == TOKEN_USER,
    })
}

/// What a startup packet asks for beside user and database.
struct Wishes {
    settings: Vec<(String, String)>,
    /// Each that is named: which of two is meant is not for us to choose.
    tenants: Vec<String>,
    pool_mode: Option<PoolMode>,
    shows_token: bool,
}

fn wishes(startup: &Startup) -> Result<Wishes, Refusal> {
    let mut wishes =
        Wishes { settings: Vec::new(), tenants: Vec::new(), pool_mode: None, shows_token: false };
    let options = options_of(startup)?.into_iter().map(|option| (option, true));
    let parameters = startup
        .parameters
        .iter()
        .filter(|(name, _)| !NOT_SETTINGS.contains(&name.as_str()) && !name.starts_with("_pq_."))
        .map(|parameter| (parameter.clone(), false));
    for ((name, value), is_option) in options.chain(parameters) {
        if is_option && name.eq_ignore_ascii_case("tenant") {
            wishes.tenants.push(value);
        } else if pool_mode::is_asked_by(&name) {
            wishes.pool_mode = Some(pool_mode::parse(&value)?);
        } else if name.eq_ignore_ascii_case(AUTH_OPTION) {
            wishes.shows_token = is_token(&value)?;
        } else {
            wishes.settings.push((name, value));
        }
    }
    Ok(wishes)
}

fn is_token(value: &str) -> Result<bool, Refusal> {
    match value {
        "token" => Ok(true),
        "password" => Ok(false),
        _ => Err(Refusal::protocol("tenantry.auth is neither token nor password")),
    }
}

fn refuse_replication(startup: &Startup) -> Result<(), Refusal> {
    let Some(value) = startup.get("replication") else { return Ok(()) };
    match ["false", "off", "no", "0"].iter().any(|off| value.eq_ignore_ascii_case(off)) {
        true => Ok(()),
        false => Err(Refusal::new(ErrorKind::Unsupported, "replication connections are not offered")
            .hint("connect to the tenant's cluster itself")),
    }
}

fn options_of(startup: &Startup) -> Result<Vec<(String, String)>, Refusal> {
    match startup.get("options") {
        None => Ok(Vec::new()),
        Some(options) => parse_options(options).map_err(|error| Refusal::protocol(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::claims::Named;
    use config::GatewayConfig;

    fn startup(parameters: &[(&str, &str)]) -> Startup {
        Startup {
            minor: 0,
            parameters: parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        }
    }

    fn target(parameters: &[(&str, &str)], server_name: Option<&str>) -> Result<Target, ErrorKind> {
        let config = GatewayConfig::default();
        read(&startup(parameters), server_name, Hosts::of(&config), &Source::WIRE)
            .map_err(|refusal| refusal.kind())
    }

    /// Each place that names a tenant, with the name; those that are only filled in behind a question mark.
    fn named(parameters: &[(&str, &str)], server_name: Option<&str>) -> String {
        let claims = target(parameters, server_name).expect("a good startup packet").claims;
        let words = |claim: &Claim| match &claim.named {
            Named::Name(name) => format!("{}={name}", claim.source),
            Named::Id(_) | Named::Domain(_) => format!("{}", claim.source),
        };
        let defaults = claims.defaults().map(|claim| format!("?{}", words(claim)));
        claims.firm().map(words).chain(defaults).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_place_names_a_tenant() {
        assert_eq!(named(&[("user", "app"), ("database", "acme")], None), "database=acme");
        assert_eq!(named(&[("user", "app.acme")], None), "user=acme");
        let options = [("user", "app"), ("database", "app"), ("options", "-c tenant=acme")];
        assert_eq!(named(&options, None), "option=acme ?database=app");
        assert_eq!(named(&[("user", "app")], Some("acme.localhost")), "server-name=acme");
        assert_eq!(named(&[("user", "app")], Some("sql.acme.org")), "custom-domain");
        assert_eq!(named(&[("user", "app")], None), "");
        let twice = [("user", "app"), ("options", "-c tenant=acme --tenant=other")];
        assert_eq!(named(&twice, None), "option=acme option=other");
        let all = [("user", "app.acme"), ("database", "other"), ("options", "-ctenant=third")];
        assert_eq!(named(&all, None), "option=third user=acme database=other");
    }

    #[test]
    fn a_database_that_repeats_the_user_is_only_filled_in() {
        assert_eq!(named(&[("user", "acme"), ("database", "acme")], None), "?database=acme");
        assert_eq!(
            named(&[("user", "app.acme"), ("database", "app.acme")], None),
            "user=acme ?database=app.acme"
        );
    }

    #[test]
    fn other_options_and_parameters_become_settings() {
        let parameters = [
            ("user", "app"),
            ("database", "acme"),
            ("options", "-c tenant=acme -c statement_timeout=5s"),
            ("application_name", "psql"),
            ("_pq_.extension", "1"),
        ];
        let target = target(&parameters, None).expect("a good startup packet");
        let expected = [("statement_timeout", "5s"), ("application_name", "psql")];
        assert!(target.settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).eq(expected));
    }

    #[test]
    fn replication_is_refused_with_a_reason() {
        let packet = [("user", "app"), ("database", "acme"), ("replication", "database")];
        assert_eq!(target(&packet, None).err(), Some(ErrorKind::Unsupported));
    }
}

//! The tenant's name in a PostgreSQL startup packet.
//!
//! Three places may hold it: the startup option `-c tenant=acme`, the user's suffix (`app.acme`) and
//! the database name; a fourth is the host name that the client gave to TLS. [`agreement`] holds them against
//! each other.

use super::{agreement, pool_mode};
use crate::error::Refusal;
use pgwire::startup::{Startup, parse_options};
use tenancy::{ErrorKind, PoolMode, Slug, UserName};

/// Startup parameters that are not session settings.
const NOT_SETTINGS: [&str; 4] = ["user", "database", "options", "replication"];

/// Who wants to reach which tenant, with which session settings.
#[derive(Debug)]
pub struct Target {
    /// The tenant's name. `None` when the text given can be no tenant's name: it is then treated just
    /// like an unknown one.
    pub slug: Option<Slug>,
    /// The user within the tenant. `None` when it can be no user's name, likewise.
    pub user: Option<UserName>,
    /// The user as the client wrote it, for messages back to it.
    pub user_as_given: String,
    /// Settings that the client wants its session to begin with, in the order given.
    pub settings: Vec<(String, String)>,
    /// How long it wants to keep a server connection, if it says so.
    pub pool_mode: Option<PoolMode>,
}

/// Reads the target out of a startup packet. `host_tenant` is the tenant that the host name names.
///
/// # Errors
/// No user, no tenant named, two sources that disagree, a replication connection, bad options.
pub fn resolve(startup: &Startup, host_tenant: Option<&str>) -> Result<Target, Refusal> {
    let user_as_given = startup.get("user").filter(|user| !user.is_empty()).ok_or_else(|| {
        Refusal::new(ErrorKind::Unauthenticated, "no PostgreSQL user name specified in startup packet")
    })?;
    refuse_replication(startup)?;
    let Wishes { settings, tenant: option_tenant, pool_mode } = wishes(startup)?;
    let (user, suffix) = agreement::split_user(user_as_given);
    let explicit = [option_tenant.as_deref(), suffix, host_tenant];
    let name = agree(explicit, startup.get("database"), user_as_given)?;
    Ok(Target {
        slug: name.parse().ok(),
        user: user.parse().ok(),
        user_as_given: user_as_given.to_owned(),
        settings,
        pool_mode,
    })
}

/// What a startup packet asks for beside user and database.
struct Wishes {
    settings: Vec<(String, String)>,
    tenant: Option<String>,
    pool_mode: Option<PoolMode>,
}

fn wishes(startup: &Startup) -> Result<Wishes, Refusal> {
    let mut wishes = Wishes { settings: Vec::new(), tenant: None, pool_mode: None };
    let options = options_of(startup)?.into_iter().map(|option| (option, true));
    let parameters = startup
        .parameters
        .iter()
        .filter(|(name, _)| !NOT_SETTINGS.contains(&name.as_str()) && !name.starts_with("_pq_."))
        .map(|parameter| (parameter.clone(), false));
    for ((name, value), is_option) in options.chain(parameters) {
        if is_option && name.eq_ignore_ascii_case("tenant") {
            wishes.tenant = Some(value);
        } else if pool_mode::is_asked_by(&name) {
            wishes.pool_mode = Some(pool_mode::parse(&value)?);
        } else {
            wishes.settings.push((name, value));
        }
    }
    Ok(wishes)
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

fn agree<'a>(
    explicit: [Option<&'a str>; 3],
    database: Option<&'a str>,
    user_as_given: &str,
) -> Result<&'a str, Refusal> {
    let named = agreement::agree(explicit, database, user_as_given).map_err(|_disagreement| {
        Refusal::new(ErrorKind::TenantConflict, "the connection names two different tenants")
            .hint("host name, startup option, user's suffix and database name must name the same tenant")
    })?;
    named.ok_or_else(|| {
        Refusal::new(ErrorKind::TenantMissing, "no tenant was named")
            .hint("give the tenant as the database name, as user.tenant, or with options='-c tenant=NAME'")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn startup(parameters: &[(&str, &str)]) -> Startup {
        Startup {
            minor: 0,
            parameters: parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        }
    }

    fn slug_of(parameters: &[(&str, &str)]) -> Result<String, ErrorKind> {
        resolve(&startup(parameters), None)
            .map(|target| target.slug.map_or_else(String::new, String::from))
            .map_err(|refusal| refusal.kind())
    }

    #[test]
    fn each_source_alone_names_the_tenant() {
        assert_eq!(slug_of(&[("user", "app"), ("database", "acme")]), Ok("acme".into()));
        assert_eq!(slug_of(&[("user", "app.acme"), ("database", "app.acme")]), Ok("acme".into()));
        assert_eq!(slug_of(&[("user", "app.acme")]), Ok("acme".into()));
        let options = [("user", "app"), ("database", "app"), ("options", "-c tenant=acme")];
        assert_eq!(slug_of(&options), Ok("acme".into()));
    }

    #[test]
    fn sources_that_agree_are_fine() {
        let all = [("user", "app.acme"), ("database", "acme"), ("options", "-ctenant=acme")];
        assert_eq!(slug_of(&all), Ok("acme".into()));
    }

    #[test]
    fn sources_that_disagree_are_refused() {
        for bad in [
            &[("user", "app.acme"), ("database", "other")][..],
            &[("user", "app"), ("database", "other"), ("options", "-c tenant=acme")],
            &[("user", "app.other"), ("options", "-c tenant=acme")],
        ] {
            assert_eq!(slug_of(bad), Err(ErrorKind::TenantConflict), "{bad:?}");
        }
    }

    #[test]
    fn a_host_name_counts_as_the_others_do() {
        let resolved = |parameters: &[(&str, &str)]| {
            resolve(&startup(parameters), Some("acme"))
                .map(|target| target.slug.map_or_else(String::new, String::from))
                .map_err(|refusal| refusal.kind())
        };
        assert_eq!(resolved(&[("user", "app")]), Ok("acme".into()));
        assert_eq!(resolved(&[("user", "app"), ("database", "app")]), Ok("acme".into()));
        assert_eq!(resolved(&[("user", "app.acme"), ("database", "acme")]), Ok("acme".into()));
        assert_eq!(resolved(&[("user", "app"), ("database", "other")]), Err(ErrorKind::TenantConflict));
        assert_eq!(resolved(&[("user", "app.other")]), Err(ErrorKind::TenantConflict));
        let option = [("user", "app"), ("options", "-c tenant=other")];
        assert_eq!(resolved(&option), Err(ErrorKind::TenantConflict));
    }

    #[test]
    fn a_database_that_is_only_the_default_still_names_a_tenant_when_nothing_else_does() {
        assert_eq!(slug_of(&[("user", "acme"), ("database", "acme")]), Ok("acme".into()));
        assert_eq!(slug_of(&[("user", "app")]), Err(ErrorKind::TenantMissing));
    }

    #[test]
    fn what_can_be_no_name_is_unknown_rather_than_an_error() {
        assert_eq!(slug_of(&[("user", "app"), ("database", "Not A Slug")]), Ok(String::new()));
    }

    #[test]
    fn other_options_and_parameters_become_settings() {
        let target = resolve(
            &startup(&[
                ("user", "app"),
                ("database", "acme"),
                ("options", "-c tenant=acme -c statement_timeout=5s"),
                ("application_name", "psql"),
                ("_pq_.extension", "1"),
            ]),
            None,
        )
        .expect("a good startup packet");
        let expected = [("statement_timeout", "5s"), ("application_name", "psql")];
        assert!(target.settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).eq(expected));
    }

    #[test]
    fn replication_is_refused_with_a_reason() {
        let packet = [("user", "app"), ("database", "acme"), ("replication", "database")];
        assert_eq!(slug_of(&packet), Err(ErrorKind::Unsupported));
    }
}

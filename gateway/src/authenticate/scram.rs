//! SCRAM with a client on the wire.

use super::{Identity, MockSeed, verifiers_of};
use crate::error::Refusal;
use crate::listen::wire::{ClientWire, WireError};
use crate::resolve::startup::Target;
use catalog_schema::RouteRecord;
use pgwire::backend::write;
use pgwire::frontend::SaslInitial;
use pgwire::scram::{ScramError, ServerExchange, Verifier};
use tenancy::ErrorKind;

/// The tag of every message that a client authenticates with.
const PASSWORD_MESSAGE: u8 = b'p';

/// Runs the exchange, and says who the client is. Without a route or a verifier it runs all the same, and fails at
/// its end.
///
/// # Errors
/// [`ErrorKind::Unauthenticated`], a protocol violation, or the client has left.
pub async fn authenticate(
    wire: &mut ClientWire,
    route: Option<&RouteRecord>,
    tenant_as_given: &str,
    target: &Target,
    seed: &MockSeed,
) -> Result<Identity, Refusal> {
    let known = route.zip(target.user.as_ref()).and_then(|(route, user)| verifiers_of(route, user));
    let binding = wire.tls().binding.clone();
    let exchange = match known {
        Some(verifiers) => ServerExchange::new(verifiers, binding),
        None => {
            let (seed, user) = seed.stand_in(route, tenant_as_given, &target.user_as_given);
            ServerExchange::mock(&seed, user, binding)
        }
    };
    let verifier = prove(wire, exchange, &target.user_as_given).await?;
    let holder = route
        .zip(target.user.as_ref())
        .and_then(|(route, user)| Identity::by_password(route, user, &verifier));
    holder.ok_or_else(|| Refusal::unauthenticated(&target.user_as_given))
}

/// The same with an operator, whose verifier is in no route.
///
/// # Errors
/// As for [`authenticate`].
pub async fn authenticate_operator(
    wire: &mut ClientWire,
    known: Option<Verifier>,
    realm: &str,
    user: &str,
    seed: &MockSeed,
) -> Result<(), Refusal> {
    let binding = wire.tls().binding.clone();
    let exchange = match known {
        Some(verifier) => ServerExchange::new(verifier, binding),
        None => {
            let (seed, identity) = seed.stand_in(None, realm, user);
            ServerExchange::mock(&seed, identity, binding)
        }
    };
    prove(wire, exchange, user).await.map(drop)
}

/// The verifier whose password the client has proved to know.
async fn prove(
    wire: &mut ClientWire,
    exchange: ServerExchange,
    user_as_given: &str,
) -> Result<Verifier, Refusal> {
    run(wire, exchange).await.map_err(|error| match error {
        ExchangeError::Wrong => Refusal::unauthenticated(user_as_given),
        ExchangeError::Wire(WireError::Refused(refusal)) => refusal,
        ExchangeError::Wire(WireError::Gone) => Refusal::new(ErrorKind::ClientTimeout, "the client has left"),
        ExchangeError::Malformed(message) => Refusal::protocol(message),
    })
}

enum ExchangeError {
    Wrong,
    Wire(WireError),
    Malformed(String),
}

impl From<WireError> for ExchangeError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

fn malformed(error: impl std::fmt::Display) -> ExchangeError {
    ExchangeError::Malformed(error.to_string())
}

async fn run(wire: &mut ClientWire, exchange: ServerExchange) -> Result<Verifier, ExchangeError> {
    let mut out = Vec::with_capacity(256);
    write::authentication_sasl(&mut out, exchange.mechanisms());
    wire.send(&out).await?;

    let body = wire.expect(PASSWORD_MESSAGE).await?;
    let initial = SaslInitial::parse(&body).map_err(malformed)?;
    let (exchange, challenge) =
        exchange.first(initial.mechanism, initial.data.unwrap_or_default()).map_err(malformed)?;
    out.clear();
    write::sasl_continue(&mut out, challenge.as_bytes());
    wire.send(&out).await?;

    let body = wire.expect(PASSWORD_MESSAGE).await?;
    let accepted = exchange.finish(&body).map_err(|error| {
        if matches!(error, ScramError::Rejected) { ExchangeError::Wrong } else { malformed(error) }
    })?;
    out.clear();
    write::sasl_final(&mut out, accepted.message.as_bytes());
    wire.hold_back(&out);
    Ok(accepted.verifier)
}

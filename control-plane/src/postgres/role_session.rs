//! A session as a tenant's role. It is opened by the role's keys, which the driver of the admin sessions does not take:
//! it wants a password, and no role has one.

use super::clusters::Endpoint;
use super::error::PostgresError;
use super::wire::Wire;
use pgwire::backend::{self, Authentication};
use pgwire::frontend::write;
use pgwire::scram::{ClientExchange, ClientKeys};
use std::fmt::Display;
use std::time::Duration;
use tenancy::{DatabaseName, RoleName};
use tokio::time::timeout;

/// How long a server may take to let us in.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long it may take to answer a question.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Rows that an answer may have.
const ROWS_MAX: usize = 100;

/// One row, as text.
pub(crate) type Row = Vec<Option<String>>;

/// An open session. Dropping it closes the socket.
pub(crate) struct RoleSession(Wire);

impl RoleSession {
    /// Connects and logs in, as a gateway does.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        database: &DatabaseName,
        role: &RoleName,
        keys: &ClientKeys,
    ) -> Result<Self, PostgresError> {
        let address = endpoint.address();
        let late = || PostgresError::Unreachable { address: address.clone(), reason: "timed out".to_owned() };
        let login = async {
            let mut wire = Wire::connect(endpoint.way()).await?;
            let parameters = [
                ("user", role.as_str()),
                ("database", database.as_str()),
                ("application_name", "tenantry-control-plane"),
            ];
            wire.send(|out| write::startup(out, parameters)).await?;
            authenticate(&mut wire, keys).await?;
            while wire.message().await?.0 != b'Z' {}
            Ok(Self(wire))
        };
        let outcome = timeout(LOGIN_TIMEOUT, login).await.unwrap_or_else(|_| Err(late()));
        outcome.map_err(PostgresError::while_connecting)
    }

    /// Runs a query, or several. The rows of all of them, as many as anybody here asks for.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<Vec<Row>, PostgresError> {
        let late = PostgresError::TimedOut { address: self.0.address().to_owned() };
        timeout(ANSWER_TIMEOUT, self.ask(sql)).await.unwrap_or(Err(late))
    }

    /// `host:port`, for messages.
    pub(super) fn address(&self) -> &str {
        self.0.address()
    }

    async fn ask(&mut self, sql: &str) -> Result<Vec<Row>, PostgresError> {
        self.0.send(|out| write::query(out, sql.as_bytes())).await?;
        let mut rows = Vec::new();
        loop {
            match self.0.message().await? {
                (b'D', body) if rows.len() < ROWS_MAX => {
                    rows.push(text_row(&body).map_err(|why| self.0.no_postgres(why))?);
                }
                (b'Z', _) => return Ok(rows),
                _ => {}
            }
        }
    }
}

/// SCRAM-SHA-256 and nothing else: a server that asks for less has not proved that it knows the role.
async fn authenticate(wire: &mut Wire, keys: &ClientKeys) -> Result<(), PostgresError> {
    let offer = asked(wire).await?;
    let Ok(Authentication::Sasl(offered)) = Authentication::parse(&offer) else {
        return Err(not_proven(wire, "it does not ask for SCRAM-SHA-256"));
    };
    let exchange = ClientExchange::new(keys.clone(), &offered, wire.binding().clone())
        .map_err(|why| not_proven(wire, why))?;
    wire.send(|out| write::sasl_initial(out, exchange.mechanism(), exchange.client_first().as_bytes()))
        .await?;

    let challenge = asked(wire).await?;
    let Ok(Authentication::SaslContinue(challenge)) = Authentication::parse(&challenge) else {
        return Err(not_proven(wire, "it breaks SCRAM-SHA-256 off"));
    };
    let (answer, response) = exchange.answer(challenge).map_err(|why| not_proven(wire, why))?;
    wire.send(|out| write::sasl_response(out, response.as_bytes())).await?;

    let proof = asked(wire).await?;
    let Ok(Authentication::SaslFinal(proof)) = Authentication::parse(&proof) else {
        return Err(not_proven(wire, "it gives no proof"));
    };
    answer.verify(proof).map_err(|why| not_proven(wire, why))?;

    match Authentication::parse(&asked(wire).await?) {
        Ok(Authentication::Ok) => Ok(()),
        _ => Err(not_proven(wire, "it asks for more than SCRAM-SHA-256")),
    }
}

async fn asked(wire: &mut Wire) -> Result<Vec<u8>, PostgresError> {
    match wire.message().await? {
        (b'R', body) => Ok(body),
        (tag, _) => Err(wire.no_postgres(format!("message {:?} during the login", char::from(tag)))),
    }
}

/// Also where the role has other keys than ours, for its owner may give it a password: nothing is proved then.
fn not_proven(wire: &Wire, why: impl Display) -> PostgresError {
    PostgresError::LoginRefused { address: wire.address().to_owned(), reason: why.to_string() }
}

fn text_row(body: &[u8]) -> Result<Row, pgwire::MessageError> {
    backend::data_row(body)?
        .map(|value| Ok(value?.map(|bytes| String::from_utf8_lossy(bytes).into_owned())))
        .collect()
}

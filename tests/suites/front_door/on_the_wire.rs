//! A client of PostgreSQL's protocol.

use crate::answers::{Answer, WHERE};
use crate::world::Proof;
use crate::{DOMAIN, STACK, Visit, WORLD_FILES};
use harness::wire::{Message, WireClient};
use pgwire::backend::Authentication;
use pgwire::frontend::write;
use suites::tls::Tls;
use tenancy::Source;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

pub(crate) async fn pay(visit: &Visit) -> Answer {
    let address = STACK.descriptor().gateway.pg.parse().expect("an address");
    let entered = match tls(visit) {
        Some(tls) => enter(tls.request(address).await.expect("TLS"), visit).await,
        None => {
            let stream = TcpStream::connect(address).await.expect("the gateway listens");
            enter(WireClient::over(stream), visit).await
        }
    };
    match entered {
        Ok(database) => Answer::In(database),
        Err(error) if error.tag == b'E' => {
            Answer::refused(None, &error.sqlstate(), &String::from_utf8_lossy(&error.body))
        }
        Err(other) => Answer::refused(None, "", &format!("no error but {other:?}")),
    }
}

/// How the client speaks TLS, if it does.
fn tls(visit: &Visit) -> Option<Tls> {
    let ca = WORLD_FILES.gateways.pem();
    let domain = visit.named(Source::CustomDomain).map(|place| place.domain.clone());
    let name = match domain {
        Some(domain) => domain,
        None if visit.uses(Source::ServerName) => {
            visit.named(Source::ServerName).map_or(format!("www.{DOMAIN}"), |place| place.host())
        }
        None => DOMAIN.to_owned(),
    };
    let tls = Tls::new(&ca, &name);
    match &visit.proof {
        Proof::Certificate(certificate) => Some(tls.showing(&certificate.signed)),
        _ => (visit.uses(Source::ServerName) || visit.uses(Source::CustomDomain)).then_some(tls),
    }
}

/// Logs in, and says where it is.
async fn enter<S: AsyncRead + AsyncWrite + Unpin>(
    mut client: WireClient<S>,
    visit: &Visit,
) -> Result<String, Message> {
    let gone = |_| Message { tag: 0, body: Vec::new() };
    let parameters = parameters(visit);
    let parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    client.startup(&parameters).await.map_err(gone)?;
    match &visit.proof {
        Proof::Token(token) => {
            let question = client.message().await.map_err(gone)?;
            if !matches!(Authentication::parse(&question.body), Ok(Authentication::CleartextPassword)) {
                return Err(question);
            }
            let mut out = Vec::new();
            write::password(&mut out, token.as_bytes()).expect("it fits");
            client.send(&out).await.map_err(gone)?;
        }
        Proof::Password(secret) | Proof::Key(secret) => client.authenticate(secret.as_bytes()).await?,
        Proof::Nothing => client.authenticate(b"").await?,
        Proof::Certificate(_) => match client.authenticate(b"").await {
            // It was not asked for anything.
            Err(message) if message.tag == b'R' => {}
            other => other?,
        },
    }
    client.greeting().await?;
    let answer = client.query(WHERE).await.map_err(gone)?;
    let row = answer.iter().find(|message| message.tag == b'D').map(Message::first_column);
    row.ok_or_else(|| answer.into_iter().next().expect("at least one message"))
}

fn parameters(visit: &Visit) -> Vec<(&'static str, String)> {
    let slug = |source| visit.named(source).map(|place| place.slug);
    let user = match &visit.proof {
        Proof::Nothing | Proof::Password(_) | Proof::Key(_) => "app",
        Proof::Token(_) => "token",
        Proof::Certificate(certificate) => certificate.user,
    };
    let suffix = slug(Source::User).map_or(String::new(), |slug| format!(".{slug}"));
    let mut parameters = vec![("user", format!("{user}{suffix}"))];
    parameters.extend(slug(Source::Database).map(|slug| ("database", slug.to_owned())));
    parameters.extend(slug(Source::Option).map(|slug| ("options", format!("-c tenant={slug}"))));
    parameters
}

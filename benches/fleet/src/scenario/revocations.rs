//! How long what was revoked still opens something, at two gateways under light load.
//!
//! Time counts from before the request that revokes is sent, so that the control plane's part is in it, up to the first
//! answer of the last gateway that refuses. Each gateway is asked by a client of its own, one request after the other with
//! a pause between two: a figure is too high by up to that and a request's own time, never too low.

use super::ScenarioError;
use super::bench::{Bench, Driven, LIMITS};
use super::table::Table;
use crate::plan::{Arrivals, Choice, Stream};
use crate::target::Target;
use crate::world::control_plane::ControlPlane;
use crate::world::gateway::Gateway;
use crate::world::user_lines;
use hdrhistogram::Histogram;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tenancy::Secret;

const TENANTS: u32 = 10;

/// Requests at both gateways together, a second.
const RATE: f64 = 100.0;

/// Enough for all that the tenants may have.
const BUDGET: u32 = TENANTS * LIMITS.pool_size;

/// Between two requests of whoever asks whether it is still let in.
const PAUSE: Duration = Duration::from_millis(1);

/// Nothing takes so long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest that is told apart, twice as long as anybody waits.
const LONGEST_MICROS: u64 = 60_000_000;

/// What is promised.
const PROMISED: Duration = Duration::from_secs(1);

/// Sessions of each tenant's one member. So many do not become one refusal of all that a user has.
const SESSIONS_LONG: u32 = 20;
const SESSIONS_SHORT: u32 = 3;

/// Everybody's password: nobody else can reach the control plane.
const PASSWORD: &str = "nobody else is here";

/// Who asks.
struct Stage {
    plane: ControlPlane,
    doors: Vec<Door>,
}

/// A client of one gateway, with a connection that stays.
struct Door {
    http: reqwest::Client,
    url: String,
}

/// How long things were still taken, in microseconds.
struct Taken {
    what: &'static str,
    micros: Histogram<u64>,
    beyond: usize,
}

/// Something that opens a tenant, and the request that ends that.
struct Opener {
    secret: Secret,
    /// The path of the request, and the token it is made with; the operator's if there is none.
    revoke: (String, Option<Secret>),
}

pub(super) async fn play(bench: &mut Bench) -> Result<(), ScenarioError> {
    let tenants = 1..TENANTS + 1;
    let cluster = bench.cluster("revocations", tenants.clone(), BUDGET).await?;
    let catalog = bench.catalog(LIMITS, &cluster, tenants.clone(), BUDGET).await?;
    let gateways = [bench.gateway(&catalog).await?, bench.gateway_named("fleet-two", &catalog).await?];
    let plane = bench.control_plane(&catalog, &gateways[0]).await?;
    let stage = Stage { plane, doors: gateways.iter().map(Door::of).collect() };
    let sessions = sign_in(&stage.plane, bench.options.size(SESSIONS_LONG, SESSIONS_SHORT)).await?;

    let lines = gateways.iter().flat_map(|gateway| user_lines(gateway.port, tenants.clone(), 1)).collect();
    let driven = Driven { name: "gateways", target: Target::Lines(lines), pid: gateways[0].process.pid() };
    let mut light = Stream::selects("light", 1, 2 * TENANTS, Arrivals::Open(RATE), Choice::Uniform);
    light.connections = 4;
    let (plan, window) = (bench.steady(vec![light]), bench.options.window());
    let (mut keys, mut tokens) = (Taken::new("API key"), Taken::new("gateway token"));
    bench
        .drive_while("revocations", &plan, &driven, Some(&cluster), async |running| {
            // The warm-up comes first.
            running.reached(1).await;
            revoke(&stage, window, sessions, &mut keys, &mut tokens).await
        })
        .await?;
    println!("## Revoked, and still taken by one of two gateways\n");
    let mut table = Table::new(&["what", "revoked", "p50 ms", "p99 ms", "longest ms", "beyond 1 s"]);
    for taken in [&keys, &tokens] {
        taken.row(&mut table);
        bench.record(taken.figures());
    }
    table.print();
    Ok(())
}

/// Keys and tokens in turns, for as long as the load lasts or until there are no sessions left.
async fn revoke(
    stage: &Stage,
    window: Duration,
    sessions: Vec<(u32, Secret)>,
    keys: &mut Taken,
    tokens: &mut Taken,
) -> Result<(), ScenarioError> {
    let begun = Instant::now();
    for (tenant, session) in sessions {
        if begun.elapsed() > window {
            break;
        }
        keys.add(stage.revoke(api_key(&stage.plane, tenant).await?).await?);
        tokens.add(stage.revoke(token(&stage.plane, tenant, session).await?).await?);
    }
    Ok(())
}

impl Stage {
    /// From before the request that revokes until no gateway takes it any more.
    async fn revoke(&self, opener: Opener) -> Result<Duration, ScenarioError> {
        self.all_answer(&opener.secret, 200).await?;
        let begun = Instant::now();
        let (path, holder) = &opener.revoke;
        let revoked = async {
            let asked = match holder {
                Some(holder) => self.plane.ask(Method::DELETE, path, Some(holder), None).await,
                None => self.plane.operate(Method::DELETE, path, None).await,
            };
            Ok(asked.map(drop)?)
        };
        let ((), last) = tokio::try_join!(revoked, self.all_answer(&opener.secret, 401))?;
        Ok(last.duration_since(begun))
    }

    /// When the last gateway has first answered so.
    async fn all_answer(&self, secret: &Secret, status: u16) -> Result<Instant, ScenarioError> {
        let [first, second] = &self.doors[..] else {
            return Err(broken("there are two gateways".to_owned()));
        };
        let (first, second) =
            tokio::try_join!(first.answers(secret, status), second.answers(secret, status))?;
        Ok(first.max(second))
    }
}

impl Door {
    fn of(gateway: &Gateway) -> Self {
        Self { http: reqwest::Client::new(), url: format!("{}/sql", gateway.http) }
    }

    async fn answers(&self, secret: &Secret, status: u16) -> Result<Instant, ScenarioError> {
        let begun = Instant::now();
        loop {
            let got = self.knock(secret).await.map_err(|error| broken(error.to_string()))?;
            if got == status {
                return Ok(Instant::now());
            }
            if begun.elapsed() > PATIENCE {
                return Err(broken(format!("a gateway goes on answering with {got} in place of {status}")));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn knock(&self, secret: &Secret) -> Result<u16, reqwest::Error> {
        let body = json!({ "query": "select 1" }).to_string();
        let response = self.http.post(&self.url).bearer_auth(secret.expose()).body(body).send().await?;
        let status = response.status().as_u16();
        // To its end, so that the connection is of use again.
        response.bytes().await?;
        Ok(status)
    }
}

impl Taken {
    fn new(what: &'static str) -> Self {
        let micros = Histogram::new_with_bounds(1, LONGEST_MICROS, 3);
        let micros = micros.expect("the bounds and the precision are such that there are");
        Self { what, micros, beyond: 0 }
    }

    fn add(&mut self, taken: Duration) {
        self.micros.saturating_record(u64::try_from(taken.as_micros()).unwrap_or(u64::MAX));
        self.beyond += usize::from(taken > PROMISED);
    }

    fn millis(&self) -> [f64; 3] {
        let micros = &self.micros;
        [micros.value_at_quantile(0.5), micros.value_at_quantile(0.99), micros.max()]
            .map(|micros| Duration::from_micros(micros).as_secs_f64() * 1_000.0)
    }

    fn row(&self, table: &mut Table) {
        let times = self.millis().map(|millis| format!("{millis:.1}"));
        let head = [self.what.to_owned(), self.micros.len().to_string()];
        table.row(head.into_iter().chain(times).chain([self.beyond.to_string()]));
    }

    fn figures(&self) -> Value {
        let [p50, p99, longest] = self.millis();
        json!({
            "what": self.what, "revoked": self.micros.len(), "beyond_promise": self.beyond,
            "p50_ms": p50, "p99_ms": p99, "longest_ms": longest,
        })
    }
}

/// A member of each tenant, and so many sessions of each, the tenants in turns.
async fn sign_in(plane: &ControlPlane, each: u32) -> Result<Vec<(u32, Secret)>, ScenarioError> {
    eprintln!("signing in {TENANTS} people, {each} times each");
    let email = |tenant: u32| format!("u{tenant}@example.com");
    for tenant in 1..=TENANTS {
        let user = json!({ "email": email(tenant), "display_name": "fleet", "password": PASSWORD });
        plane.operate(Method::POST, "/v1/users", Some(&user)).await?;
        let member = json!({ "user": email(tenant), "role": "owner" });
        plane.operate(Method::POST, &format!("/v1/tenants/t{tenant}/members"), Some(&member)).await?;
    }
    let mut sessions = Vec::new();
    for _ in 0..each {
        for tenant in 1..=TENANTS {
            let account = json!({ "email": email(tenant), "password": PASSWORD });
            let session = plane.ask(Method::POST, "/v1/session", None, Some(&account)).await?;
            sessions.push((tenant, secret(&session["token"])));
        }
    }
    Ok(sessions)
}

async fn api_key(plane: &ControlPlane, tenant: u32) -> Result<Opener, ScenarioError> {
    let credentials = format!("/v1/tenants/t{tenant}/credentials");
    let made = plane.operate(Method::POST, &credentials, Some(&json!({ "kind": "api-key" }))).await?;
    let id = made["credential"]["id"].as_str().unwrap_or_default();
    Ok(Opener { secret: secret(&made["api_key"]), revoke: (format!("{credentials}/{id}"), None) })
}

async fn token(plane: &ControlPlane, tenant: u32, session: Secret) -> Result<Opener, ScenarioError> {
    let body = json!({ "tenant": format!("t{tenant}") });
    let switched = plane.ask(Method::POST, "/v1/session/switch", Some(&session), Some(&body)).await?;
    Ok(Opener { secret: secret(&switched["token"]), revoke: ("/v1/session".to_owned(), Some(session)) })
}

fn secret(value: &Value) -> Secret {
    Secret::new(value.as_str().unwrap_or_default().to_owned())
}

fn broken(what: String) -> ScenarioError {
    ScenarioError::Broken(what)
}

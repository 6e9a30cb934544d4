//! Two tenants, and everybody who could ask for something: those who may, those who may elsewhere, and those who never
//! may.

use crate::dns::NameServer;
use crate::fixture::{Plane, TOKEN, servers};
use catalog_schema::{Context, GatewayHeartbeat, NewSession, NewUser, SessionMethod, UserIdentity};
use control_plane::failpoint::{Failpoints, NoFailpoints};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;
use tenancy::{GatewayId, KeyScope, MemberRole, Permissions, Revision, Role, SessionId, TenantId, UserId};

/// A tenant and what is in it.
pub(crate) struct Side {
    pub(crate) slug: &'static str,
    pub(crate) id: String,
    /// What stands for a part of a path that names something inside the tenant.
    children: Vec<(&'static str, String)>,
    /// The same of what is nobody's but the operator's.
    shared: Vec<(&'static str, String)>,
    /// A session of one of the tenant's people.
    pub(crate) session: String,
    /// What nobody else may ever read.
    pub(crate) secrets: Vec<String>,
    made: Cell<u32>,
}

/// Somebody who asks.
pub(crate) struct Asker {
    pub(crate) name: String,
    /// What they put into `Authorization`.
    pub(crate) header: Option<String>,
    pub(crate) standing: Standing,
}

/// Who they are in truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Nobody,
    Operator,
    /// Whoever may do this to the tenant of `side` and nothing to any other.
    Of {
        side: usize,
        permissions: Permissions,
        person: bool,
    },
}

/// All of it.
pub(crate) struct World {
    pub(crate) plane: Plane,
    /// It has never heard of any name, unless it is told of one.
    pub(crate) name_server: NameServer,
    pub(crate) sides: [Side; 2],
    pub(crate) askers: Vec<Asker>,
    database: tokio_postgres::Client,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::failing(Arc::new(NoFailpoints)).await
    }

    /// With an engine that fails where it is told.
    pub(crate) async fn failing(failpoints: Arc<dyn Failpoints>) -> Self {
        let name_server = NameServer::start().await;
        let plane = Plane::start_adapted(failpoints, reqwest::Client::new(), |config| {
            // Here wrong tokens are the point.
            config.limits.wrong_tokens_per_minute = 1_000_000;
            config.domains.name_server = Some(name_server.address());
        })
        .await;
        plane.register_eu().await;
        let database = servers().await.catalog.connect(&plane.catalog_name()).await.unwrap();
        let shared = installation(&plane).await;
        a_gateway_that_is_gone(&plane, &database).await;
        let sides =
            [Side::new(&plane, "kestrel", &shared).await, Side::new(&plane, "otterline", &shared).await];
        let mut world = Self { plane, name_server, sides, askers: strangers(), database };
        for side in 0..2 {
            world.add_keys(side).await;
            world.add_people(side).await;
        }
        world
    }

    /// What the asker may do to the tenant of `side`; none for whoever must not learn that there is such a tenant.
    pub(crate) fn permissions(asker: &Asker, side: usize) -> Option<Permissions> {
        match asker.standing {
            Standing::Nobody => None,
            Standing::Operator => Some(Permissions::ALL),
            Standing::Of { side: own, permissions, .. } => (own == side).then_some(permissions),
        }
    }

    async fn add_keys(&mut self, side: usize) {
        let keys = [
            ("a key of scope data", Role::Owner, KeyScope::Data),
            ("a key of scope read-only", Role::Owner, KeyScope::ReadOnly),
            ("a viewer's key", Role::Viewer, KeyScope::Admin),
            ("an admin's key", Role::Admin, KeyScope::Admin),
            ("an owner's key", Role::Owner, KeyScope::Admin),
        ];
        for (name, role, scope) in keys {
            let (_, key) = self.plane.key(self.sides[side].slug, role.as_str(), scope.as_str()).await;
            let standing = Standing::Of { side, permissions: scope.permissions(role), person: false };
            self.add(name, side, &key, standing);
        }
        for (name, end) in [("a revoked key", "revoked_at"), ("an expired key", "expires_at")] {
            let (id, key) = self.plane.key(self.sides[side].slug, "owner", "admin").await;
            let sql = format!("update catalog.credentials set {end} = now() where id::text = $1");
            self.database.execute(&sql, &[&id]).await.unwrap();
            self.add(name, side, &key, Standing::Nobody);
        }
    }

    async fn add_people(&mut self, side: usize) {
        for role in Role::ALL {
            let (_, token) = self.person(side, role).await;
            let standing = Standing::Of { side, permissions: role.permissions(), person: true };
            self.add(&format!("a person who is {role}"), side, &token, standing);
        }
        let (user, token) = self.person(side, Role::Owner).await;
        let sql = "update catalog.users set disabled_at = now() where id::text = $1";
        self.database.execute(sql, &[&user.to_string()]).await.unwrap();
        self.add("a person who may not come in", side, &token, Standing::Nobody);
    }

    /// Somebody with a role, who has signed in.
    async fn person(&mut self, side: usize, role: Role) -> (UserId, String) {
        let (user, session) = (UserId::generate(), SessionId::generate());
        let token = format!("tnu_{}", UserId::generate());
        let context = Context { actor: "test".to_owned(), request_id: "test".to_owned() };
        let mut tx = self.plane.catalog.begin(&context).await.unwrap();
        let email = format!("{user}@{}.example", self.sides[side].slug).parse().unwrap();
        let new = NewUser {
            id: user,
            email,
            display_name: role.to_string(),
            password_hash: None,
            made_by_invite_of: None,
        };
        tx.user_create(&new).await.unwrap();
        // An owner who has no way to sign in is none.
        let identity =
            UserIdentity { issuer: "https://idp.example/".to_owned(), subject: format!("of {user}") };
        tx.user_identity_add(user, &identity).await.unwrap();
        let tenant: TenantId = self.sides[side].id.parse().unwrap();
        tx.membership_create(tenant, user, &MemberRole::BuiltIn(role)).await.unwrap();
        let (method, token_hash) = (SessionMethod::Password, Sha256::digest(token.as_bytes()).into());
        let lasts = Duration::from_secs(3_600);
        tx.session_create(&NewSession { id: session, user, method, token_hash, lasts }).await.unwrap();
        tx.commit().await.unwrap();
        self.sides[side].secrets.extend([user.to_string(), session.to_string()]);
        self.sides[side].session = session.to_string();
        (user, token)
    }

    fn add(&mut self, name: &str, side: usize, token: &str, standing: Standing) {
        self.sides[side].secrets.push(token.to_owned());
        let name = format!("{name} of {}", self.sides[side].slug);
        self.askers.push(Asker { name, header: Some(format!("Bearer {token}")), standing });
    }

    /// The whole catalog, a digest a table. When something was used last is no change, and how much room databases take is
    /// measured meanwhile by whoever is asked or not.
    pub(crate) async fn snapshot(&self) -> Vec<(String, String)> {
        let tables = "select tablename from pg_tables
                      where schemaname = 'catalog' and tablename <> 'storage_use' order by 1";
        let mut snapshot = Vec::new();
        for row in self.database.query(tables, &[]).await.unwrap() {
            let table: String = row.get(0);
            let sql = format!(
                "select coalesce(md5(string_agg(line, ' ' order by line)), '')
                 from (select (to_jsonb(t) - 'last_used_at')::text as line from catalog.{table} t) lines"
            );
            snapshot.push((table, self.database.query_one(&sql, &[]).await.unwrap().get(0)));
        }
        snapshot
    }
}

/// A feature that is there.
const FEATURE: &str = "beta";

/// A gateway that is on record.
const GATEWAY: &str = "gateway-gone";

/// What the operator has beside tenants.
async fn installation(plane: &Plane) -> Vec<(&'static str, String)> {
    let issuer = plane.expect(201, plane.post("/v1/issuers", issuer("installation"))).await;
    let service = json!({ "name": "edge", "role": "viewer", "expires_at": "2999-01-01T00:00:00Z" });
    let service = plane.expect(201, plane.post("/v1/service-credentials", service)).await;
    plane.expect(201, plane.post("/v1/features", json!({ "name": FEATURE }))).await;
    vec![("issuer", text(&issuer["id"])), ("service_credential", text(&service["service_credential"]["id"]))]
}

/// Leaves a gateway on record that has been silent for long enough to be forgotten.
async fn a_gateway_that_is_gone(plane: &Plane, database: &tokio_postgres::Client) {
    let beat = GatewayHeartbeat {
        id: GatewayId::generate(),
        name: GATEWAY.to_owned(),
        region: "eu".parse().unwrap(),
        address: "10.0.0.7:6432".to_owned(),
        applied_revision: Revision::new(0),
    };
    plane.catalog.gateway_heartbeat(&beat).await.unwrap();
    let sql = "update catalog.gateways set heartbeat_at = now() - interval '10 minutes'";
    database.execute(sql, &[]).await.unwrap();
}

/// An identity provider whose keys nobody has.
pub(crate) fn issuer(name: &str) -> Value {
    let iss = format!("https://{name}.invalid/");
    json!({ "iss": iss, "audiences": ["tenantry"], "jwks_url": format!("{iss}jwks") })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Those who belong nowhere, and the operator.
fn strangers() -> Vec<Asker> {
    let asker =
        |name: &str, header: Option<String>, standing| Asker { name: name.to_owned(), header, standing };
    let nobody = |name: &str, header: &str| asker(name, Some(header.to_owned()), Standing::Nobody);
    vec![
        asker("nobody", None, Standing::Nobody),
        nobody("a wrong token", "Bearer a token that nobody guessed"),
        nobody("a key that was never made", "Bearer tnt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        nobody("an empty token", "Bearer "),
        nobody("no token at all", "Bearer"),
        nobody("another scheme", &format!("Basic {TOKEN}")),
        nobody("the operator token and more", &format!("Bearer {TOKEN}x")),
        nobody("a huge token", &format!("Bearer tnt_{}", "A".repeat(12_000))),
        asker("the operator", Some(format!("Bearer {TOKEN}")), Standing::Operator),
    ]
}

impl Side {
    async fn new(plane: &Plane, slug: &'static str, shared: &[(&'static str, String)]) -> Self {
        let created = plane.tenant(slug).await;
        let id = text(&created["tenant"]["id"]);
        let secrets = vec![slug.to_owned(), id.clone()];
        let (children, shared) = (Vec::new(), shared.to_vec());
        let (session, made) = (String::new(), Cell::new(0));
        let mut side = Self { slug, id, children, shared, session, secrets, made };
        side.keep("operation", &created["operation"]["id"]);
        let listed = plane.expect(200, plane.get(&side.path("credentials"))).await;
        side.keep("credential", &listed["items"][0]["id"]);
        side.secrets.push(text(&listed["items"][1]["id"]));
        side.settle(plane).await;
        side
    }

    /// Gives the tenant one of everything that it can have.
    async fn settle(&mut self, plane: &Plane) {
        let email = format!("somebody@{}.example", self.slug);
        let user =
            plane.expect(201, plane.post("/v1/users", json!({ "email": email, "display_name": "x" }))).await;
        self.keep("user", &user["id"]);
        let member = json!({ "user": user["id"], "role": "viewer" });
        plane.expect(201, plane.post(&self.path("members"), member)).await;
        let role = format!("{}-auditor", self.slug);
        let made = json!({ "name": role, "permissions": ["tenant.read"] });
        plane.expect(201, plane.post(&self.path("roles"), made)).await;
        self.keep("role", &json!(role));
        let invite = json!({ "email": format!("guest@{}.example", self.slug), "role": "viewer" });
        let invite = plane.expect(201, plane.post(&self.path("invites"), invite)).await;
        self.keep("invite", &invite["invite"]["id"]);
        self.secrets.push(text(&invite["token"]));
        let issuer = plane.expect(201, plane.post(&self.path("issuers"), issuer(self.slug))).await;
        self.keep("issuer", &issuer["id"]);
        let domain = format!("{}.example", self.slug);
        plane.expect(201, plane.post(&self.path("domains"), json!({ "domain": domain }))).await;
        self.keep("domain", &json!(domain));
        // Of somebody else than who asks.
        self.children.push(("session", SessionId::generate().to_string()));
        // Whoever leaves is not there to ask for the next route.
        self.children.push(("of", TenantId::generate().to_string()));
    }

    /// Keeps what stands for `{name}` in a path, and that nobody else may read it.
    fn keep(&mut self, name: &'static str, value: &Value) {
        self.secrets.push(text(value));
        self.children.push((name, text(value)));
    }

    pub(crate) fn path(&self, what: &str) -> String {
        format!("/v1/tenants/{}/{what}", self.slug)
    }

    /// What stands for `{name}` in `path`. One that has nothing here fails the test.
    pub(crate) fn example(&self, path: &str, name: &str) -> String {
        let shared = [
            ("region", "eu"),
            ("cluster", "eu-1"),
            ("plan", "standard"),
            ("external_id", "org_1"),
            ("feature", FEATURE),
            ("gateway", GATEWAY),
        ];
        if let Some((_, value)) = shared.iter().find(|(of, _)| *of == name) {
            return (*value).to_owned();
        }
        let shared = ["/v1/issuers", "/v1/service-credentials", "/v1/tenants/{tenant}/external-ids"];
        let owner = if shared.iter().any(|of| path.starts_with(of)) { &self.shared } else { &self.children };
        let found = owner.iter().find(|(of, _)| *of == name);
        found.unwrap_or_else(|| panic!("give {{{name}}} a value in tests/api/idor/world.rs")).1.clone()
    }

    /// A name that nothing has yet.
    pub(crate) fn fresh(&self, kind: &str) -> String {
        self.made.set(self.made.get() + 1);
        format!("{kind}-{}-{}", self.slug, self.made.get())
    }

    /// What the tenant is called; it changes with every look.
    pub(crate) fn display_name(&self) -> String {
        self.fresh("Name")
    }

    /// Names that lead nowhere, in the place of this tenant's and of what is in it.
    pub(crate) fn nowhere(&self) -> Self {
        let children =
            self.children.iter().map(|(name, _)| (*name, TenantId::generate().to_string())).collect();
        let (id, secrets, shared) = (TenantId::generate().to_string(), Vec::new(), self.shared.clone());
        let (session, made) = (SessionId::generate().to_string(), Cell::new(0));
        Self { slug: "no-such-tenant", id, children, shared, session, secrets, made }
    }
}

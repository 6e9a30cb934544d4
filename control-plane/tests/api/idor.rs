//! Nobody reaches what is another's: every route that the document has, asked for by everybody, about their own tenant and
//! about another's. Each route comes from the OpenAPI document, so a new one is asked for too; one that this test does
//! not know how to ask for fails it.

pub(crate) mod route;
pub(crate) mod world;

use crate::fixture::Answer;
use reqwest::{Method, RequestBuilder};
use route::Route;
use serde_json::{Value, json};
use tenancy::{Permission, Permissions};
use world::{Asker, Side, Standing, World};

/// What is open to everybody. Whoever adds a route here has thought about it.
const OPEN: &[&str] = &[
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /openapi.json",
    "POST /v1/session",
    "POST /v1/invites/accept",
];

/// Routes whose example is refused, though not for who asks, and how.
const REFUSED_OTHERWISE: &[(&str, &str)] = &[
    ("POST /v1/clusters", "cluster-unreachable"),
    ("POST /v1/operations/{operation}/cancel", "operation-finished"),
    ("POST /v1/tenants/{tenant}/resume", "tenant-state"),
    ("POST /v1/tenants/{tenant}/members", "member-exists"),
    ("POST /v1/issuers/{issuer}/test", "issuer-unreachable"),
    ("POST /v1/tenants/{tenant}/issuers/{issuer}/test", "issuer-unreachable"),
    ("DELETE /v1/tenants/{tenant}/external-ids/{issuer}/{external_id}", "external-id-not-found"),
    ("POST /v1/tenants/{tenant}/domains/{domain}/verify", "domain-unproven"),
    ("POST /v1/session/password", "sign-in-refused"),
    ("POST /v1/session/invites", "invite-not-found"),
    ("DELETE /v1/session/tenants/{of}", "tenant-not-found"),
    ("DELETE /v1/sessions/{session}", "session-not-found"),
];

/// What somebody must be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Who are you?
    Unknown,
    /// You may not.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// Whatever it is, it is not about who asks.
    Passes,
}

/// What `asker` must be told about `route` where it names the tenant of `side`.
fn verdict(asker: &Asker, route: &Route, side: usize) -> Verdict {
    let permissions = World::permissions(asker, side);
    match (route.requires.as_str(), asker.standing) {
        (_, Standing::Nobody) => Verdict::Unknown,
        ("self", Standing::Of { person: true, .. }) => Verdict::Passes,
        ("self", _) => Verdict::Forbidden,
        (_, Standing::Operator) => Verdict::Passes,
        ("operator", _) => Verdict::Forbidden,
        (_, _) if !route.is_about_a_tenant() => Verdict::Passes,
        (permission, _) => held(permission, permissions),
    }
}

fn held(permission: &str, permissions: Option<Permissions>) -> Verdict {
    let permission: Permission = permission.parse().unwrap();
    match permissions {
        None => Verdict::NotFound,
        Some(permissions) if permissions.contains(permission) => Verdict::Passes,
        Some(_) => Verdict::Forbidden,
    }
}

/// A request as `asker` makes it.
fn request(world: &World, asker: &Asker, route: &Route, path: &str) -> RequestBuilder {
    let request = world.plane.bare(route.method.clone(), path);
    match &asker.header {
        Some(header) => request.header("authorization", header),
        None => request,
    }
}

async fn ask(world: &World, asker: &Asker, route: &Route, path: &str, body: Option<&Value>) -> Answer {
    let request = request(world, asker, route, path);
    world.plane.send(body.into_iter().fold(request, |request, body| request.json(body))).await
}

/// All that an answer says, but for which request it answers.
fn said(answer: &Answer) -> (u16, Value) {
    let mut body = answer.body.clone();
    if let Some(document) = body.as_object_mut() {
        document.remove("request_id");
    }
    (answer.status, body)
}

/// Refuses an answer that holds anything of a tenant that is not the asker's.
fn tells_nothing_of_others(world: &World, asker: &Asker, answer: &Answer, what: &str) {
    let text = format!("{:?} {}", answer.headers, answer.body);
    for (side, other) in world.sides.iter().enumerate() {
        if World::permissions(asker, side).is_none() {
            let told = other.secrets.iter().find(|secret| text.contains(*secret));
            assert_eq!(told, None, "{} was told of {}: {what}: {text}", asker.name, other.slug);
        }
    }
}

fn is_refused_as(verdict: Verdict, answer: &Answer, what: &str) {
    let (status, problem) = match verdict {
        Verdict::Unknown => (401, "unauthorized"),
        Verdict::Forbidden => (403, "forbidden"),
        Verdict::NotFound => {
            assert!(answer.status == 404 && answer.problem().ends_with("-not-found"), "{what}: {answer:?}");
            return;
        }
        Verdict::Passes => return,
    };
    assert_eq!((answer.status, answer.problem()), (status, problem), "{what}: {answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_is_refused_whatever_they_send_and_learns_and_changes_nothing() {
    let world = World::new().await;
    let before = world.snapshot().await;
    for route in route::all().iter().filter(|route| route.requires != "public") {
        for asker in &world.askers {
            // Where it makes no difference which tenant is named, one is enough.
            let alike = asker.standing == Standing::Nobody || !route.is_about_a_tenant();
            for side in 0..if alike { 1 } else { 2 } {
                refused(&world, route, asker, side).await;
            }
        }
        assert_eq!(world.snapshot().await, before, "{} left something behind", route.name());
    }
}

/// Asks about the tenant of `side`, if that must be refused.
async fn refused(world: &World, route: &Route, asker: &Asker, side: usize) {
    let named = &world.sides[side];
    let verdict = verdict(asker, route, side);
    let nowhere = named.nowhere();
    let body = route.body(named);
    let names = [(named.slug, nowhere.slug), (named.id.as_str(), nowhere.id.as_str())];
    let ways = if route.path.contains("{tenant}") { 2 } else { 1 };
    for (name, unknown) in names.into_iter().take(ways) {
        let (path, lost) = (route.target(name, named), route.target(unknown, &nowhere));
        let what = format!("{} asks {} {path}", asker.name, route.method);
        if verdict == Verdict::Passes {
            if route.has_a_child() && asker.standing != Standing::Operator {
                others_children_are_nobodys(world, route, asker, name, side).await;
            }
            continue;
        }
        let answer = ask(world, asker, route, &path, body.as_ref()).await;
        is_refused_as(verdict, &answer, &what);
        tells_nothing_of_others(world, asker, &answer, &what);
        let garbage = request(world, asker, route, &path)
            .header("content-type", "text/plain")
            .header("if-match", "3")
            .header("idempotency-key", "x".repeat(300))
            .body("{");
        let garbage = world.plane.send(garbage).await;
        assert_eq!(said(&garbage), said(&answer), "{what}, and what else is wrong shows");
        if verdict == Verdict::NotFound {
            let unknown = ask(world, asker, route, &lost, body.as_ref()).await;
            assert_eq!(said(&unknown), said(&answer), "{what}, and can tell that it is there");
        }
    }
}

/// What belongs to another is not found below one's own tenant either.
async fn others_children_are_nobodys(world: &World, route: &Route, asker: &Asker, own: &str, side: usize) {
    let other = &world.sides[1 - side];
    let body = route.body(&world.sides[side]);
    let (path, lost) = (route.target(own, other), route.target(own, &other.nowhere()));
    let what = format!("{} asks {} {path}", asker.name, route.method);
    let answer = ask(world, asker, route, &path, body.as_ref()).await;
    is_refused_as(Verdict::NotFound, &answer, &what);
    tells_nothing_of_others(world, asker, &answer, &what);
    let unknown = ask(world, asker, route, &lost, body.as_ref()).await;
    assert_eq!(said(&unknown), said(&answer), "{what}, and can tell that it is there");
}

/// What a body, a query or one's own affairs can name of another's, beside the tenant of the path.
fn sideways(side: &Side) -> Vec<(Method, String, Option<Value>)> {
    let switch =
        |name: &str| (Method::POST, "/v1/session/switch".to_owned(), Some(json!({ "tenant": name })));
    let listed = |name: &str| (Method::GET, format!("/v1/operations?tenant={name}"), None);
    vec![
        switch(side.slug),
        switch(&side.id),
        listed(side.slug),
        listed(&side.id),
        (Method::DELETE, format!("/v1/session/tenants/{}", side.id), None),
        (Method::DELETE, format!("/v1/sessions/{}", side.session), None),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_reaches_nothing_of_others_sideways_either() {
    let world = World::new().await;
    let before = world.snapshot().await;
    for asker in &world.askers {
        let Standing::Of { side, person: true, .. } = asker.standing else { continue };
        let other = &world.sides[1 - side];
        for (there, nowhere) in sideways(other).into_iter().zip(sideways(&other.nowhere())) {
            let what = format!("{} asks {there:?}", asker.name);
            let [answer, unknown] = [there, nowhere].map(async |(method, path, body)| {
                let request =
                    world.plane.bare(method, &path).header("authorization", asker.header.as_ref().unwrap());
                world.plane.send(body.iter().fold(request, |request, body| request.json(body))).await
            });
            let (answer, unknown) = (answer.await, unknown.await);
            is_refused_as(Verdict::NotFound, &answer, &what);
            tells_nothing_of_others(&world, asker, &answer, &what);
            assert_eq!(said(&unknown), said(&answer), "{what}, and can tell that it is there");
        }
    }
    assert_eq!(world.snapshot().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_is_served_and_sees_nothing_of_others() {
    let world = World::new().await;
    let mut unserved = Vec::new();
    for route in &route::all() {
        let name = route.name();
        if route.requires == "public" {
            assert!(OPEN.contains(&name.as_str()), "{name} is open to everybody: is that meant?");
            continue;
        }
        let mut answers = Vec::new();
        for asker in &world.askers {
            let Some(side) = (0..2).find(|side| verdict(asker, route, *side) == Verdict::Passes) else {
                continue;
            };
            answers.push(served(&world, route, asker, &world.sides[side]).await);
        }
        if !answers.iter().any(|answer| is_as_expected(&name, answer)) {
            unserved.push((name, answers));
        }
    }
    assert!(unserved.is_empty(), "served to nobody, so their examples are wrong: {unserved:#?}");
}

/// Asks about the asker's own tenant.
async fn served(world: &World, route: &Route, asker: &Asker, side: &Side) -> Answer {
    let path = route.target(side.slug, side);
    let answer = ask(world, asker, route, &path, route.body(side).as_ref()).await;
    let what = format!("{} asks {} {path}", asker.name, route.method);
    let refused = answer.status >= 400 && ["unauthorized", "forbidden"].contains(&answer.problem());
    assert!(!refused && answer.status < 500, "{what}: {answer:?}");
    tells_nothing_of_others(world, asker, &answer, &what);
    answer
}

fn is_as_expected(route: &str, answer: &Answer) -> bool {
    let otherwise = REFUSED_OTHERWISE.iter().find(|(of, _)| *of == route);
    match otherwise {
        Some((_, problem)) => answer.status >= 400 && answer.problem() == *problem,
        None => answer.status < 300,
    }
}

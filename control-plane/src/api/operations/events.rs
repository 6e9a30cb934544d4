//! An operation's progress as a stream of server-sent events.
//!
//! Each event is the operation as it stands, so a client that missed some, or connects anew, has missed nothing. The
//! stream ends with the operation, with the right to see it, or after a while: whoever is still there connects anew.

use super::super::auth::Shown;
use super::super::caller::Caller;
use super::super::document::Problems;
use super::super::extract::Named;
use super::super::problem::{ApiResult, ProblemKind};
use super::{Operation, find, parse_id};
use crate::context::ApiState;
use crate::streams::{Room, Streams};
use axum::Extension;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use catalog_schema::Catalog;
use futures_util::stream::{self, Stream};
use std::convert::Infallible;
use std::time::Duration;
use tenancy::{OperationId, Permission, TenantId};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// The event's name.
const EVENT: &str = "operation";

/// How often to look although nobody was notified.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// At most one look in this time, however often operations move: many streams share the catalog.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// How often a silent stream shows that it lives, so that proxies do not end it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a stream may live. Operations take seconds; one that waits for a cluster is not watched for days by whoever
/// has forgotten to hang up.
const AGE_MAX: Duration = Duration::from_secs(15 * 60);

/// Stream an operation's progress until it has finished, for 15 minutes at most.
#[utoipa::path(
    get, path = "/v1/operations/{operation}/events", tag = "operations",
    params(("operation" = uuid::Uuid, Path, description = "Its id")),
    responses(
        (status = 200, description = "Events named \"operation\", each with the whole operation", body = Operation,
         content_type = "text/event-stream"),
        Problems
    )
)]
pub(in super::super) async fn operation_events(
    State(state): State<ApiState>,
    Named(operation): Named<String>,
    Extension(shown): Extension<Shown>,
    caller: Caller,
) -> ApiResult<Response> {
    let id = parse_id(&operation)?;
    // Subscribed before the first look: what happens in between is seen by the second.
    let news = state.progress.subscribe();
    let operation = find(&state.catalog, id, &caller.principal).await?;
    let room = room(&state.streams, &operation, &caller).ok_or(ProblemKind::TooManyStreams)?;
    let tenant = operation.tenant_id.map(TenantId::from);
    let until = Instant::now() + AGE_MAX;
    let catalog = state.catalog;
    let follower = Follower {
        catalog,
        id,
        tenant,
        asker: shown,
        news,
        until,
        shown: None,
        finished: false,
        _room: room,
    };
    Ok(Sse::new(events(follower)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

fn room(streams: &Streams, operation: &Operation, caller: &Caller) -> Option<Room> {
    match operation.tenant_id {
        Some(tenant) if !caller.principal.is_operator() => {
            streams.open_about(tenant.into(), caller.principal.identity())
        }
        _ => streams.open(),
    }
}

/// One stream.
struct Follower {
    catalog: Catalog,
    id: OperationId,
    /// Whose operation it is.
    tenant: Option<TenantId>,
    /// By whose token the stream was asked for. Whose it is, and what they may see, is asked again at each look.
    asker: Shown,
    news: watch::Receiver<u64>,
    until: Instant,
    shown: Option<String>,
    finished: bool,
    /// Held for as long as the stream lives.
    _room: Room,
}

fn events(follower: Follower) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(follower, |mut follower| async {
        let text = follower.next().await?;
        Some((Ok(Event::default().event(EVENT).data(text)), follower))
    })
}

impl Follower {
    /// The operation as soon as it reads differently from what was shown; `None` once its end was shown, or nothing more
    /// is to be shown.
    async fn next(&mut self) -> Option<String> {
        while !self.finished && Instant::now() < self.until {
            self.news.mark_unchanged();
            if let Ok(seen) = self.look().await {
                let operation = seen?;
                self.finished = operation.finished_at.is_some();
                let text = serde_json::to_string(&operation).ok()?;
                if self.shown.as_ref() != Some(&text) {
                    self.shown = Some(text.clone());
                    return Some(text);
                }
            }
            sleep(LOOK_PAUSE).await;
            // Either way it is time to look again.
            drop(timeout(LOOK_INTERVAL, self.news.changed()).await);
        }
        None
    }

    /// The operation as it stands; none to whoever may not see it any more.
    async fn look(&self) -> ApiResult<Option<Operation>> {
        let Some(principal) = self.asker.holder(&self.catalog).await? else { return Ok(None) };
        let held = self.tenant.and_then(|tenant| principal.permissions_in(tenant));
        if !principal.is_operator() && !held.is_some_and(|held| held.contains(Permission::TenantRead)) {
            return Ok(None);
        }
        find(&self.catalog, self.id, &principal).await.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog_schema::MasterKey;
    use tenancy::Secret;

    /// With a catalog that is not there a stream has nothing to show, and would be kept for ever.
    #[tokio::test(start_paused = true)]
    async fn a_stream_has_an_age_at_which_it_ends() {
        let nowhere = Secret::new("postgres://nobody@127.0.0.1:1/none".to_owned());
        let catalog = Catalog::connect(&nowhere, MasterKey::generate().unwrap(), 1).await.unwrap();
        let (_keep, news) = watch::channel(0);
        let mut follower = Follower {
            catalog,
            id: OperationId::generate(),
            tenant: None,
            asker: Shown::Operator,
            news,
            until: Instant::now() + AGE_MAX,
            shown: None,
            finished: false,
            _room: Streams::default().open().unwrap(),
        };
        let (started, end) = (Instant::now(), follower.next().await);
        assert_eq!(end, None);
        assert!(started.elapsed() >= AGE_MAX);
    }
}

//! An operation's progress as a stream of server-sent events.
//!
//! Each event is the operation as it stands, so a client that missed some, or connects anew, has missed nothing. The
//! stream ends with the operation.

use super::super::document::Problems;
use super::super::extract::Named;
use super::super::problem::{ApiResult, ProblemKind};
use super::{Operation, find, parse_id};
use crate::context::ApiState;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tenancy::OperationId;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{sleep, timeout};

/// The event's name.
const EVENT: &str = "operation";

/// How often to look although nobody was notified.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// At most one look in this time, however often operations move: many streams share the catalog.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// How often a silent stream shows that it lives, so that proxies do not end it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Stream an operation's progress until it has finished.
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
) -> ApiResult<Response> {
    let id = parse_id(&operation)?;
    let permit = Arc::clone(&state.streams).try_acquire_owned().map_err(|_| ProblemKind::TooManyStreams)?;
    // Subscribed before the first look: what happens in between is seen by the second.
    let news = state.progress.subscribe();
    find(&state, id).await?;
    let follower = Follower { state, id, news, shown: None, finished: false, _permit: permit };
    Ok(Sse::new(events(follower)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// One stream.
struct Follower {
    state: ApiState,
    id: OperationId,
    news: watch::Receiver<u64>,
    shown: Option<String>,
    finished: bool,
    /// Held for as long as the stream lives.
    _permit: OwnedSemaphorePermit,
}

fn events(follower: Follower) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(follower, |mut follower| async {
        let text = follower.next().await?;
        Some((Ok(Event::default().event(EVENT).data(text)), follower))
    })
}

impl Follower {
    /// The operation as soon as it reads differently from what was shown; `None` once its end was shown.
    async fn next(&mut self) -> Option<String> {
        while !self.finished {
            self.news.mark_unchanged();
            if let Ok(operation) = find(&self.state, self.id).await {
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
}

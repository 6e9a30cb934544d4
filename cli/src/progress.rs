//! Following an operation to its end.

use crate::client::{ApiError, Client, Operation, path};
use crate::exit::{CommandError, Exit};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Most operations take a fraction of a second, so the first looks come quickly.
const POLL_INTERVAL_MIN: Duration = Duration::from_millis(50);
const POLL_INTERVAL_MAX: Duration = Duration::from_secs(1);

/// A control plane that restarts is waited for; one that is gone is not waited for for ever.
const OUTAGE_MAX: Duration = Duration::from_secs(60);

/// Waits until the operation has ended, showing its steps when somebody looks, and returns it as the
/// API shows it. Ctrl-C ends the waiting, never the operation.
///
/// # Errors
/// When it cannot be watched any more, or it ended otherwise than in success.
pub async fn follow(client: &Client, operation_id: &str) -> Result<Value, CommandError> {
    let bar = bar();
    let watched = tokio::select! {
        watched = watch(client, operation_id, &bar) => watched,
        _ = tokio::signal::ctrl_c() => {
            let message = format!("not waiting any longer, the operation goes on: {operation_id}");
            let hint = format!("tenantry operation watch {operation_id}");
            Err(CommandError::new(Exit::Interrupted, message).hint(hint))
        }
    };
    bar.finish_and_clear();
    let (document, operation) = watched?;
    if operation.has_succeeded() { Ok(document) } else { Err(failure(&operation)) }
}

async fn watch(
    client: &Client,
    operation_id: &str,
    bar: &ProgressBar,
) -> Result<(Value, Operation), CommandError> {
    let mut interval = POLL_INTERVAL_MIN;
    let mut answered_at = Instant::now();
    loop {
        match client.get(&path(&["operations", operation_id])).await {
            Ok(document) => {
                answered_at = Instant::now();
                let operation = understand(&document)?;
                show(bar, &operation);
                if operation.has_finished() {
                    return Ok((document, operation));
                }
            }
            Err(error) if is_outage(&error) && answered_at.elapsed() < OUTAGE_MAX => {
                bar.set_message("waiting for the control plane");
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(interval).await;
        interval = (interval * 5 / 4).min(POLL_INTERVAL_MAX);
    }
}

/// Reads what the API says of an operation.
pub(crate) fn understand(document: &Value) -> Result<Operation, CommandError> {
    serde_json::from_value(document.clone()).map_err(|error| {
        CommandError::new(Exit::Failure, format!("cannot understand the control plane's answer: {error}"))
    })
}

fn is_outage(error: &ApiError) -> bool {
    match error {
        ApiError::Unreachable { .. } => true,
        ApiError::Problem { status, .. } => matches!(status, 429 | 503 | 504),
        ApiError::Strange { .. } | ApiError::TokenUnusable | ApiError::AuthorityUnusable { .. } => false,
    }
}

fn failure(operation: &Operation) -> CommandError {
    let reason = operation.reason().map(|reason| format!(": {reason}")).unwrap_or_default();
    let message = format!("the operation {} {}{reason}", operation.kind, in_words(&operation.state));
    CommandError::new(Exit::OperationFailed, message)
        .hint(format!("see its steps with \"tenantry operation get {}\"", operation.id))
}

fn in_words(state: &str) -> &str {
    match state {
        "failed" => "failed",
        "cancelled" => "was cancelled",
        "undo-failed" => "failed and could not be undone",
        other => other,
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
        return bar;
    }
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn show(bar: &ProgressBar, operation: &Operation) {
    let (done, all) = operation.progress();
    if all > 0 {
        bar.set_prefix(format!("{} {done}/{all}", operation.kind));
    } else {
        bar.set_prefix(operation.kind.clone());
    }
    bar.set_message(operation.current_step().unwrap_or(&operation.state).to_owned());
}

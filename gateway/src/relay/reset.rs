//! Making a connection that was a session's own as good as new.

use super::own_request::{self, OwnRequestError};
use crate::connect::ServerConnection;
use pgwire::frontend::write;
use std::sync::Arc;

/// Everything that a session can leave behind, by PostgreSQL's own account
/// (<https://www.postgresql.org/docs/current/sql-discard.html>).
const DISCARD_ALL: &[u8] = b"discard all";

/// Puts the session back to what it was after the login. The caller has proved that the connection is idle and
/// in sync.
///
/// # Errors
/// The connection is not to be used again.
pub async fn discard_all(server: &mut ServerConnection) -> Result<(), OwnRequestError> {
    let mut messages = Vec::with_capacity(32);
    write::query(&mut messages, DISCARD_ALL)?;
    own_request::run(server, &messages).await?;
    server.settings = Arc::default();
    server.settings_uncertain = false;
    server.statements.clear();
    server.traces.wipe();
    Ok(())
}

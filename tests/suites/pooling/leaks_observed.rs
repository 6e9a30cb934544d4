//! A session as its client can see it.

use crate::login;
use harness::wire::{Message, WireClient};
use harness::{DEADLINE, Stack, Tenant};

/// Asks for all that a session can have of its own. The names of custom settings stay in a session whatever
/// one does, as they do in PostgreSQL after SET LOCAL; their values must not.
const QUESTIONS: &[&str] = &[
    "select coalesce(string_agg(name || '=' || setting, ', ' order by name), '') from pg_settings \
     where setting is distinct from reset_val and name not like 'transaction\\_%' or name in ('application_name', 'TimeZone', 'DateStyle', \
     'IntervalStyle', 'client_encoding', 'work_mem', 'search_path', 'statement_timeout', 'lock_timeout')",
    "show role",
    "select current_user = session_user",
    "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
    "select count(*) from pg_listening_channels()",
    "select coalesce(string_agg(name, ','), '') from pg_prepared_statements where from_sql",
    "select count(*) from pg_cursors where name <> ''",
    "select count(*) from pg_class where relnamespace = pg_my_temp_schema() and relkind <> 't'",
    "select count(*) from pg_proc where pronamespace = pg_my_temp_schema()",
    "select coalesce(current_setting('app.user_id', true), '') || coalesce(current_setting('app.hidden', true), '') \
     || coalesce(current_setting('app.viewed', true), '') || coalesce(current_setting('app.inlined', true), '')",
    "select lastval()",
];

/// The SQLSTATE of a request that got no connection in time.
const NO_CONNECTION: &str = "53300";

/// A client that looks at what it gets.
pub(crate) struct Observer {
    client: WireClient,
    fresh: Vec<String>,
}

impl Observer {
    /// A client that has seen a fresh session.
    pub(crate) async fn new(tenant: &Tenant) -> Self {
        let mut client = login(tenant).await;
        // Whatever came before is closed after this.
        client.query("do $$ begin end $$").await.expect("an answer");
        let fresh = observe(&mut client).await;
        Self { client, fresh }
    }

    /// # Panics
    /// When the session shows anything that a fresh one does not.
    pub(crate) async fn finds_a_fresh_session(&mut self, after: &str) {
        assert_eq!(self.differences().await, Vec::<String>::new(), "after {after}");
    }

    /// What the session shows that a fresh one does not.
    pub(crate) async fn differences(&mut self) -> Vec<String> {
        let seen = observe(&mut self.client).await;
        let each = QUESTIONS.iter().zip(&seen).zip(&self.fresh);
        let differing = each.filter(|((_, seen), fresh)| seen != fresh);
        differing.map(|((question, seen), fresh)| format!("{question}: {seen}, not {fresh}")).collect()
    }

    /// Is somebody keeping the only connection?
    pub(crate) async fn finds_no_connection(&mut self) -> bool {
        let messages = self.client.query("select 1").await.expect("an answer");
        messages.first().is_some_and(|first| first.tag == b'E' && first.sqlstate() == NO_CONNECTION)
    }
}

async fn observe(client: &mut WireClient) -> Vec<String> {
    let mut seen = Vec::new();
    for question in QUESTIONS {
        // A connection that is closed or given back takes a moment.
        let patience = async {
            loop {
                let seen = answer(&client.query(question).await.expect("an answer"));
                if seen != NO_CONNECTION {
                    return seen;
                }
            }
        };
        let answered = tokio::time::timeout(DEADLINE, patience).await;
        seen.push(answered.unwrap_or_else(|_elapsed| panic!("somebody keeps the connection: {question}")));
    }
    seen
}

fn answer(messages: &[Message]) -> String {
    match messages.iter().find(|message| matches!(message.tag, b'D' | b'E')) {
        Some(row) if row.tag == b'D' => row.first_column(),
        Some(error) => error.sqlstate(),
        None => format!("{messages:?}"),
    }
}

/// # Panics
/// When anybody of the tenant's has kept a connection.
pub(crate) async fn asserts_nobody_is_pinned(stack: &Stack, slug: &str) {
    let tenant = format!("tenant=\"{slug}\"");
    for reason in
        ["setting", "role", "listen", "prepare", "temporary", "hold_cursor", "advisory_lock", "library"]
    {
        let labels = [tenant.as_str(), &format!("reason=\"{reason}\"")];
        assert_eq!(stack.metric("tenantry_pins_total", &labels).await, 0.0, "{reason}");
    }
}

//! Messages of the extended protocol, to be sent in one go.

use harness::wire::{Message, WireClient, tags};
use pgwire::frontend::{PORTAL, STATEMENT, write};

/// Messages to be sent in one go.
#[derive(Default)]
pub(crate) struct Batch(Vec<u8>);

impl Batch {
    pub(crate) fn parse(self, name: &str, sql: &str) -> Self {
        self.parse_typed(name, sql, &[])
    }

    pub(crate) fn parse_typed(mut self, name: &str, sql: &str, types: &[u32]) -> Self {
        write::parse(&mut self.0, name.as_bytes(), sql.as_bytes(), types).expect("it fits");
        self
    }

    pub(crate) fn bind(mut self, name: &str, values: &[&str]) -> Self {
        let values: Vec<_> = values.iter().map(|value| Some(value.as_bytes())).collect();
        write::bind_text(&mut self.0, b"", name.as_bytes(), &values).expect("it fits");
        self
    }

    pub(crate) fn describe(mut self, name: &str) -> Self {
        write::describe(&mut self.0, STATEMENT, name.as_bytes()).expect("it fits");
        self
    }

    pub(crate) fn describe_portal(mut self) -> Self {
        write::describe(&mut self.0, PORTAL, b"").expect("it fits");
        self
    }

    pub(crate) fn execute(mut self) -> Self {
        write::execute(&mut self.0, b"", 0).expect("it fits");
        self
    }

    pub(crate) fn close(mut self, name: &str) -> Self {
        write::close(&mut self.0, STATEMENT, name.as_bytes()).expect("it fits");
        self
    }

    pub(crate) fn flush(mut self) -> Self {
        write::flush(&mut self.0);
        self
    }

    pub(crate) fn sync(mut self) -> Self {
        write::sync(&mut self.0);
        self
    }

    /// Parse, Bind, Describe, Execute and Sync of an unnamed statement, as most drivers send it.
    pub(crate) fn unnamed(self, sql: &str, values: &[&str]) -> Self {
        self.parse("", sql).bind("", values).describe_portal().execute().sync()
    }

    /// Sends it without waiting for an answer.
    pub(crate) async fn send(self, client: &mut WireClient) {
        client.send(&self.0).await.expect("the gateway reads");
    }

    /// Sends it, and returns what comes up to the first ReadyForQuery.
    pub(crate) async fn ask(self, client: &mut WireClient) -> Vec<Message> {
        self.send(client).await;
        client.until_ready().await.expect("an answer")
    }

    /// Sends it, and holds the tags of what comes against those expected.
    pub(crate) async fn expect(self, client: &mut WireClient, expected: &str) -> Vec<Message> {
        let messages = self.ask(client).await;
        assert_eq!(tags(&messages), expected, "{messages:?}");
        messages
    }
}

/// The SQLSTATE of the one error among some messages.
pub(crate) fn sqlstate(messages: &[Message]) -> String {
    messages.iter().find(|message| message.tag == b'E').expect("an error").sqlstate()
}

/// The first column of the first row among some messages.
pub(crate) fn first(messages: &[Message]) -> String {
    messages.iter().find(|message| message.tag == b'D').expect("a row").first_column()
}

/// The columns that a RowDescription among some messages names.
pub(crate) fn columns(messages: &[Message]) -> usize {
    let described = messages.iter().find(|message| message.tag == b'T').expect("a description of rows");
    pgwire::backend::row_description(&described.body).expect("a good one").count()
}

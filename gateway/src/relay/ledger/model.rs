//! A server and a client as they should be: whatever is sent, prepared on the way, answered by us, refused or
//! made again, the client sees what a server of its own would have answered.

use super::*;
use crate::relay::prepared::{ServerStatements, StatementCache, Text};
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Sent {
    request: Request,
    origin: Origin,
}

#[derive(Debug, Clone)]
struct Batch {
    sent: Vec<Sent>,
    /// Which of the messages that reach the server fails, if there are so many.
    fails_at: Option<usize>,
    /// Should it be the first of them: is the request made again, to succeed then?
    heals: bool,
    /// Was the Sync sent before the error came?
    sync_is_early: bool,
}

fn sent() -> impl Strategy<Value = Sent> {
    use Origin::{Client, Local, Replay};
    prop_oneof![
        Just((Request::Parse, Client)),
        Just((Request::Parse, Local)),
        Just((Request::Parse, Replay)),
        Just((Request::Bind, Client)),
        Just((Request::Describe, Client)),
        Just((Request::Execute, Client)),
        Just((Request::Close, Client)),
        Just((Request::Close, Local)),
        Just((Request::Close, Replay)),
    ]
    .prop_map(|(request, origin)| Sent { request, origin })
}

fn batch() -> impl Strategy<Value = Batch> {
    let sent = proptest::collection::vec(sent(), 0..8);
    (sent, proptest::option::of(0_usize..8), any::<bool>(), any::<bool>())
        .prop_map(|(sent, fails_at, heals, sync_is_early)| Batch { sent, fails_at, heals, sync_is_early })
}

fn answer(request: Request) -> &'static [u8] {
    match request {
        Request::Parse => b"1",
        Request::Bind => b"2",
        Request::Describe => b"tT",
        Request::Execute => b"DDC",
        _ => b"3",
    }
}

/// A ledger with the client's and the server's ends of the wire.
#[derive(Default)]
struct Wire {
    ledger: Ledger,
    seen: Vec<u8>,
    failed: usize,
}

impl Wire {
    fn expect(&mut self, sent: &[Sent]) {
        for sent in sent {
            self.ledger.expect(Due::of(sent.request, sent.origin));
        }
    }

    fn give_local_replies(&mut self) {
        while let Some(due) = self.ledger.next_local() {
            self.seen.extend_from_slice(answer(due.request));
        }
    }

    fn reply(&mut self, tag: u8) {
        self.give_local_replies();
        let mut settled = Settled::default();
        match self.ledger.settle(tag, &mut settled) {
            Verdict::Forward => self.seen.push(tag),
            Verdict::Swallow => {}
            Verdict::OutOfSync => panic!("{} is not due: {:?}", char::from(tag), self.ledger),
        }
        self.failed += settled.failed.len();
        if self.ledger.owes_only_local_replies() {
            self.give_local_replies();
        }
    }
}

/// Lets the batch run, and returns what a server of the client's own would have answered.
fn run(wire: &mut Wire, batch: &Batch) -> Vec<u8> {
    let mut expected = Vec::new();
    let mut reached_server = 0;
    wire.expect(&batch.sent);
    if batch.sync_is_early {
        wire.ledger.expect_sync(Origin::Client);
    }
    for (index, sent) in batch.sent.iter().enumerate() {
        if sent.origin == Origin::Local {
            expected.extend_from_slice(answer(sent.request));
            continue;
        }
        let fails = batch.fails_at == Some(reached_server);
        reached_server += 1;
        if fails && batch.heals && reached_server == 1 {
            // Replies of ours before it have not been given: nothing is the client's yet.
            return heal(wire, batch);
        }
        if fails {
            wire.reply(b'E');
            expected.push(b'E');
            finish(wire, batch, batch.sent.len() - index);
            expected.push(b'Z');
            return expected;
        }
        answer(sent.request).iter().for_each(|tag| wire.reply(*tag));
        if sent.origin == Origin::Client {
            expected.extend_from_slice(answer(sent.request));
        }
    }
    finish(wire, batch, 0);
    expected.push(b'Z');
    expected
}

fn finish(wire: &mut Wire, batch: &Batch, failed: usize) {
    if !batch.sync_is_early {
        assert!(!wire.ledger.is_settled() || batch.sent.is_empty());
        wire.ledger.expect_sync(Origin::Client);
    }
    wire.reply(b'Z');
    assert_eq!(std::mem::take(&mut wire.failed), failed);
}

/// The request fails unseen, and is made again.
fn heal(wire: &mut Wire, batch: &Batch) -> Vec<u8> {
    let before = wire.seen.len();
    let mut settled = Settled::default();
    let sync_is_missing = wire.ledger.disown_request(&mut settled);
    assert_eq!((settled.failed.len(), sync_is_missing), (batch.sent.len(), !batch.sync_is_early));
    if sync_is_missing {
        wire.ledger.expect_sync(Origin::Replay);
    }
    wire.reply(b'Z');
    assert_eq!((wire.seen.len(), wire.ledger.is_settled()), (before, true));
    run(wire, &Batch { fails_at: None, ..batch.clone() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_client_sees_what_a_server_of_its_own_would_answer(
        batches in proptest::collection::vec(batch(), 1..6),
    ) {
        let mut wire = Wire::default();
        for batch in &batches {
            let from = wire.seen.len();
            let expected = run(&mut wire, batch);
            prop_assert_eq!(String::from_utf8_lossy(&wire.seen[from..]), String::from_utf8_lossy(&expected));
            prop_assert!(wire.ledger.is_settled() && wire.ledger.begins_request());
            prop_assert!(!wire.ledger.awaits_ready() && !wire.ledger.owes_only_local_replies());
        }
    }
}

fn statement(statements: &StatementCache) -> Arc<Statement> {
    let text = Text { body: b"select 1\0\0\0", context: None };
    statements.intern(text, statements.hash(text)).expect("there is room")
}

#[test]
fn what_a_close_of_ours_takes_away_is_uncertain_until_it_is_answered() {
    let statements = StatementCache::default();
    let statement = statement(&statements);
    let mut server = ServerStatements::default();
    server.add(&statement, 0);
    let evicted = server.in_the_way_of(&statement, statements.process().settings()).expect("it is there");
    let mut ledger = Ledger::default();
    ledger.expect(Due { evicted: Some(Box::new(evicted)), ..Due::of(Request::Close, Origin::Replay) });
    ledger.expect_sync(Origin::Client);
    assert!(ledger.is_uncertain(&statement, b"any"));
    ledger.settle(b'3', &mut Settled::default());
    assert!(!ledger.is_uncertain(&statement, b"any"));
}

#[test]
fn a_bind_of_a_statement_makes_nothing_uncertain() {
    let statements = StatementCache::default();
    let statement = statement(&statements);
    let mut ledger = Ledger::default();
    ledger.expect(Due { statement: Some(Arc::clone(&statement)), ..Due::to_client(Request::Bind) });
    ledger.expect_sync(Origin::Client);
    assert!(!ledger.is_uncertain(&statement, b"s"));
}

#[test]
fn a_query_that_gives_up_a_name_and_fails_gives_it_back() {
    let statements = StatementCache::default();
    let mut ledger = Ledger::default();
    let due = Due { statement: Some(statement(&statements)), ..Due::to_client(Request::Query) };
    ledger.expect(Due { client_name: Some(Box::from(&b"s"[..])), ..due });
    let mut settled = Settled::default();
    assert_eq!(ledger.settle(b'E', &mut settled), Verdict::Forward);
    let given_back = &settled.failed[0];
    assert_eq!((given_back.request, given_back.client_name.as_deref()), (Request::Close, Some(&b"s"[..])));
    assert_eq!(ledger.settle(b'Z', &mut Settled::default()), Verdict::Forward);
    assert!(ledger.is_settled());
}

#[test]
fn a_stray_end_of_copy_data_behind_a_reply_of_ours_is_passed_over() {
    let mut ledger = Ledger::default();
    ledger.expect(Due::of(Request::Parse, Origin::Local));
    ledger.copy_ended();
    ledger.expect_sync(Origin::Client);
    assert!(ledger.next_local().is_some());
    assert_eq!(ledger.settle(b'Z', &mut Settled::default()), Verdict::Forward);
    assert!(ledger.is_settled());
}

#[test]
fn what_the_session_was_set_up_with_is_no_part_of_a_request() {
    let mut ledger = Ledger::default();
    for request in [Request::Parse, Request::Bind, Request::Execute, Request::Sync] {
        ledger.expect(Due::of(request, Origin::Setup));
    }
    assert!(ledger.begins_request() && !ledger.awaits_ready());
    ledger.expect(Due::to_client(Request::Bind));
    assert!(!ledger.begins_request());
    assert_eq!(ledger.next_of_server().map(|due| due.origin), Some(Origin::Setup));
}

//! What a client sends: what the server will owe for it, and which names must be rewritten.

pub mod bound;
mod parsing;
pub mod recorded;
mod statements;
mod target;

use self::bound::Bound;
use super::changes::WAITING_MAX;
use super::effects::change::Change;
use super::exchange::{ClientState, Discard, Exchange};
use super::ledger::{Due, Origin, Request};
use super::prepared::{NO_STATEMENT, reading};
use super::{effects, effects::Effects, policy};
use crate::admit::rate::toll::{self, Check};
use crate::error::Refusal;
use crate::pool::Lease;
use pgwire::backend::TransactionStatus;
use pgwire::frame::{HEADER_LEN, Header};
use pgwire::frontend::write;
use tenancy::BuiltIn;

/// A simple query up to this size is read whole before it is sent, so that its effects are known. The
/// connection of a larger one is closed after use.
const QUERY_READ_WHOLE_MAX: usize = 1024 * 1024;

/// An Execute holds a portal's name and a number; no real name comes near this. A larger one is nobody's that
/// was bound.
const EXECUTE_READ_WHOLE_MAX: usize = 1024;

/// Bytes of our own that may wait to be written in either direction before the client is read on.
const STAGED_BYTES_MAX: usize = 64 * 1024;

/// Replies that may be due before the client is read on. Each of the server's is at least five bytes, so it has
/// filled its own buffer of 8 KiB, and sent it, long before.
const DUE_MAX: usize = 16 * 1024;

/// How far the client's bytes were dealt with.
pub enum Absorbed {
    /// As far as they can be for now.
    All,
    /// The client has said goodbye.
    Goodbye,
}

enum Step {
    Next,
    NeedMore,
    Goodbye,
}

/// Deals with everything that the client has sent.
///
/// # Errors
/// The client broke the protocol or one of its bounds; nothing of the offending message was forwarded.
pub fn absorb(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
) -> Result<Absorbed, Refusal> {
    while exchange.up.continue_message() {
        let header = exchange.up.next_header(client.bounds.message_bytes_max)?;
        let Some(header) = header else { return Ok(Absorbed::All) };
        if is_full(exchange) || must_wait(exchange, header, lease) {
            return Ok(Absorbed::All);
        }
        if waits_for_discard(exchange, header) {
            return Ok(Absorbed::All);
        }
        if client.meter.is_limited() {
            match toll::check(exchange, client, lease, header) {
                Check::Pass => {}
                Check::Wait => return Ok(Absorbed::All),
                Check::Next => continue,
            }
        }
        restage_settings(exchange, client, lease)?;
        let mark = exchange.recorded.mark();
        if !client.is_native() {
            record(exchange, lease, header);
        }
        match absorb_message(exchange, client, lease, header)? {
            Step::Next => {
                exchange.has_begun = true;
                exchange.toll.passed(header.tag);
            }
            Step::NeedMore => {
                exchange.recorded.go_back_to(mark);
                return Ok(Absorbed::All);
            }
            Step::Goodbye => return Ok(Absorbed::Goodbye),
        }
    }
    Ok(Absorbed::All)
}

/// Takes the message down, in case its request has to be made again.
fn record(exchange: &mut Exchange, lease: &mut Lease, header: Header) {
    let begins = exchange.ledger.begins_request();
    if begins {
        lease.server().statements.request_begins();
    }
    let may_begin = begins && exchange.status == TransactionStatus::Idle && exchange.down.is_written();
    exchange.recorded.note(header, exchange.up.unread(), may_begin);
}

/// A client that sends ahead without end, or makes us add much to what it sends, is read on when some of it
/// has been dealt with. Replies of ours may fill the ledger behind one that the server keeps to itself as long as
/// its buffer has room: a Flush brings that out.
fn is_full(exchange: &mut Exchange) -> bool {
    let is_crowded = exchange.ledger.len() >= DUE_MAX;
    if is_crowded && !exchange.is_flushed {
        exchange.up.stage(write::flush);
    }
    exchange.is_flushed = is_crowded;
    is_crowded
        || exchange.up.staged_len() >= STAGED_BYTES_MAX
        || exchange.down.staged_len() >= STAGED_BYTES_MAX
}

/// What is sent behind a statement that discards prepared ones is judged by what is left of them. A
/// Flush makes the server answer what it has, so that the wait ends though no Sync may be under way.
fn waits_for_discard(exchange: &mut Exchange, header: Header) -> bool {
    if exchange.ledger.is_empty() {
        exchange.discard = Discard::None;
    }
    if exchange.discard == Discard::None || !matches!(header.tag, b'P' | b'B' | b'D' | b'C') {
        return false;
    }
    if exchange.discard == Discard::Sent {
        exchange.up.stage(write::flush);
        exchange.discard = Discard::Awaited;
    }
    true
}

/// While others wait for a connection, a client that sends its requests ahead gets its turns one by
/// one: the next request waits until the connection could have been given away. Nor may a cancel that is on its
/// way to the server for one request meet the next. What is asked behind a LISTEN is to see all that is not heard any
/// more, so it waits until that is heard which comes after. COPY data belongs to the request under way.
fn must_wait(exchange: &Exchange, header: Header, lease: &Lease) -> bool {
    let is_request_under_way = exchange.ledger.awaits_ready();
    let may_not_go_on = || lease.pool().waiting() > 0 || is_about_to_listen(exchange);
    !matches!(header.tag, b'd' | b'c' | b'f')
        && (exchange.pace.is_held() || (is_request_under_way && may_not_go_on()))
}

fn is_about_to_listen(exchange: &Exchange) -> bool {
    exchange.ledger.subscribes() || exchange.changes.subscribes() || exchange.channels.is_held()
}

fn absorb_message(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    header: Header,
) -> Result<Step, Refusal> {
    if exchange.ledger.is_skipping() && !matches!(header.tag, b'S' | b'X') {
        exchange.up.discard(header.len);
        return Ok(Step::Next);
    }
    if let Some(request) = native(header.tag).filter(|_| client.is_native()) {
        return forward_native(exchange, client, header, request);
    }
    match header.tag {
        b'Q' => query(exchange, client, header),
        b'P' => parsing::parse(exchange, client, lease, header),
        b'B' => statements::bind(exchange, client, lease, header),
        b'D' | b'C' => statements::describe_or_close(exchange, client, lease, header),
        b'E' => Ok(execute(exchange, header)),
        b'F' => Ok(refuse_function_call(exchange, header)),
        b'S' => {
            exchange.ledger.expect_sync(Origin::Client);
            exchange.up.forward(header.len);
            Ok(Step::Next)
        }
        b'c' | b'f' => {
            exchange.ledger.copy_ended();
            exchange.up.forward(header.len);
            Ok(Step::Next)
        }
        b'd' | b'H' => {
            exchange.up.forward(header.len);
            Ok(Step::Next)
        }
        // What came before it is still carried out.
        b'X' if exchange.ledger.is_empty() => Ok(Step::Goodbye),
        b'X' => Ok(Step::NeedMore),
        other => Err(Refusal::protocol(format!("invalid frontend message type {other}"))),
    }
}

/// What a message asks for that means the same to the server as to a client in session mode, whose names are
/// the server's.
fn native(tag: u8) -> Option<Request> {
    match tag {
        b'P' => Some(Request::Parse),
        b'B' => Some(Request::Bind),
        b'D' => Some(Request::Describe),
        b'C' => Some(Request::Close),
        b'F' => Some(Request::FunctionCall),
        _ => None,
    }
}

/// Forwards it as it is. What its session's end does not undo is noted: whether it comes to run is not known, nor how
/// often.
fn forward_native(
    exchange: &mut Exchange,
    client: &ClientState,
    header: Header,
    request: Request,
) -> Result<Step, Refusal> {
    let effects = match request {
        Request::FunctionCall => Effects::UNKNOWN,
        Request::Parse if header.len > QUERY_READ_WHOLE_MAX => {
            if let Some(refusal) = unread_refused(client) {
                return refuse(exchange, header, request, refusal);
            }
            Effects::UNKNOWN
        }
        Request::Parse => {
            let Some(body) = whole_body(exchange, header) else { return Ok(Step::NeedMore) };
            let text = body.splitn(2, |byte| *byte == 0).nth(1).unwrap_or_default();
            let effects = effects::of_sql(text);
            if let Some(refusal) = listening_refused(client, effects) {
                return refuse(exchange, header, request, refusal);
            }
            in_session(effects)
        }
        _ => Effects::NONE,
    };
    Ok(forward(exchange, header, Due { effects, ..Due::to_client(request) }))
}

/// What matters of a statement's effects when the connection is the client's until it leaves, and is discarded then:
/// code that it may have run, and what `DISCARD ALL` leaves as it is.
fn in_session(effects: Effects) -> Effects {
    let code = effects.and(Effects::DEFINES.or(Effects::WRITES).or(Effects::CALLS));
    let stays = effects.any_of(Effects::UNKNOWN.or(Effects::LIBRARY));
    if stays { code | Effects::UNKNOWN } else { code }
}

/// Takes along what the statement bound last does, if it is the one.
fn execute(exchange: &mut Exchange, header: Header) -> Step {
    let due = Due::to_client(Request::Execute);
    if exchange.bound.is_nothing() {
        return forward(exchange, header, due);
    }
    if header.len > EXECUTE_READ_WHOLE_MAX {
        exchange.bound = Bound::default();
        return forward(exchange, header, due);
    }
    if whole_body(exchange, header).is_none() {
        return Step::NeedMore;
    }
    let bound = std::mem::take(&mut exchange.bound);
    let (effects, changes) = bound.executed_by(&exchange.up.unread()[HEADER_LEN..header.len]);
    forward(exchange, header, Due { effects, changes, ..due })
}

/// A function call says nothing of what it does to the session. The server is sent one that fails, so that the
/// client's transaction fails as it would have by any other error; the error's words will be ours.
fn refuse_function_call(exchange: &mut Exchange, header: Header) -> Step {
    const NO_FUNCTION: u32 = 0;
    exchange.up.stage(|out| write::function_call(out, NO_FUNCTION));
    exchange.ledger.expect(Due::to_client(Request::FunctionCall));
    exchange.up.discard(header.len);
    Step::Next
}

/// A client that has put all settings back and keeps its connection gets those of its startup packet again, which
/// the server takes for changes like any other.
fn restage_settings(exchange: &mut Exchange, client: &ClientState, lease: &mut Lease) -> Result<(), Refusal> {
    if exchange.restage && exchange.ledger.is_settled() && exchange.status == TransactionStatus::Idle {
        exchange.restage = false;
        let steps = client.set_settings(lease.server(), &mut exchange.up, &mut exchange.ledger)?;
        exchange.unnamed_on_server &= steps == 0;
    }
    Ok(())
}

fn forward(exchange: &mut Exchange, header: Header, due: Due) -> Step {
    exchange.ledger.expect(due);
    exchange.up.forward(header.len);
    Step::Next
}

/// The message's body, once all of it has arrived.
fn whole_body(exchange: &mut Exchange, header: Header) -> Option<&[u8]> {
    if exchange.up.unread().len() < header.len {
        if exchange.up.is_written() {
            exchange.up.reserve(header.len);
        }
        return None;
    }
    Some(&exchange.up.unread()[HEADER_LEN..header.len])
}

/// Sends something in place of a message that is refused, so that the server does what it does after an error.
fn refuse(
    exchange: &mut Exchange,
    header: Header,
    request: Request,
    refusal: Refusal,
) -> Result<Step, Refusal> {
    exchange.unnamed_on_server = false;
    exchange.up.stage(|out| match request {
        Request::Parse => write::parse(out, NO_STATEMENT, policy::IN_PLACE, &[]),
        _ => write::query(out, policy::IN_PLACE),
    })?;
    exchange.ledger.expect(Due { refusal: Some(Box::new(refusal)), ..Due::to_client(request) });
    exchange.up.discard(header.len);
    Ok(Step::Next)
}

fn query(exchange: &mut Exchange, client: &mut ClientState, header: Header) -> Result<Step, Refusal> {
    let mut changes = Vec::new();
    let mut is_too_much = false;
    let (effects, changes_names) = if header.len > QUERY_READ_WHOLE_MAX {
        if let Some(refusal) = unread_refused(client) {
            return refuse(exchange, header, Request::Query, refusal);
        }
        (Effects::UNKNOWN, true)
    } else {
        let Some(text) = whole_body(exchange, header) else { return Ok(Step::NeedMore) };
        if effects::is_plain_select(text) {
            return Ok(forward_query(exchange, header, Effects::NONE, changes));
        }
        let mut effects = effects::of_sql(text);
        if let Some(refusal) = listening_refused(client, effects) {
            return refuse(exchange, header, Request::Query, refusal);
        }
        if client.is_native() {
            effects = in_session(effects) | effects.and(Effects::RESET_ALL);
        }
        if effects.any_of(Effects::CHANGES) {
            changes = effects::change::last_first(text);
        }
        is_too_much = changes.len() > WAITING_MAX;
        if is_too_much {
            changes = Vec::new();
            // Only the connection knows what is set, and what is listened to.
            let listens = effects.any_of(Effects::SUBSCRIBES);
            effects |= if listens { Effects::SETTING | Effects::LISTEN } else { Effects::SETTING };
        }
        (effects, reading::calls_setter(text))
    };
    if let Some(refusal) = client.bounds.policy.refusal(effects) {
        return refuse(exchange, header, Request::Query, refusal);
    }
    if is_too_much && effects.any_of(Effects::SUBSCRIBES | Effects::UNSUBSCRIBES) {
        exchange.channels.untold();
    }
    if !client.is_native()
        && let Some(step) = statements::deallocate(exchange, client, header)?
    {
        return Ok(step);
    }
    // What else changes them is told by the tags that the server completes the query with.
    exchange.names_changed |= changes_names;
    Ok(forward_query(exchange, header, effects, changes))
}

/// Why the client may not listen, if a statement with these effects would have it do so.
fn listening_refused(client: &ClientState, effects: Effects) -> Option<Refusal> {
    let listens = effects.any_of(Effects::LISTEN | Effects::SUBSCRIBES);
    if listens { client.usable.refusal(BuiltIn::Listen) } else { None }
}

/// Why a text that is too long to be read here is not carried out, if it is not: it may have the client listen.
fn unread_refused(client: &ClientState) -> Option<Refusal> {
    let hint =
        format!("texts of more than {QUERY_READ_WHOLE_MAX} bytes could have it listen; send shorter ones");
    client.usable.refusal(BuiltIn::Listen).map(|refusal| refusal.hint(hint))
}

fn forward_query(exchange: &mut Exchange, header: Header, effects: Effects, changes: Vec<Change>) -> Step {
    // The server forgets the unnamed statement when it gets a simple query, which may open portals of any name.
    exchange.unnamed_on_server = false;
    exchange.bound = Bound::default();
    exchange.note_discard(effects);
    forward(exchange, header, Due { effects, changes, ..Due::to_client(Request::Query) })
}

//! What a client may have heard.

use super::cases::Case;
use super::victim::Way;
use crate::conversations::Conversation;
use harness::messages::Tally;
use harness::wire::{Message, tags};
use suites::nonce::Owner;

/// What the victim heard, and how it ended.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) messages: Vec<Message>,
    pub(super) way: Way,
}

/// What is heard when nothing happens, the same for all owners.
pub(super) struct Reference {
    messages: Vec<Message>,
    pub(super) tally: Tally,
}

impl Reference {
    pub(super) fn of(owner: Owner, heard: &Heard, tally: Tally) -> Result<Self, String> {
        no_stranger(owner, heard)?;
        match &heard.way {
            Way::Through => Ok(Self { messages: comparable(owner, &heard.messages), tally }),
            other => Err(format!("{other:?} after {}", tags(&heard.messages))),
        }
    }
}

/// Without what comes when it likes: notices, notifications, parameters; errors by their SQLSTATE.
fn comparable(owner: Owner, messages: &[Message]) -> Vec<Message> {
    let due = messages.iter().filter(|message| !matches!(message.tag, b'S' | b'N' | b'A' | b'K' | b'R'));
    due.map(|message| {
        let body = if message.tag == b'E' {
            message.sqlstate().into_bytes()
        } else {
            owner.anonymous(&message.body)
        };
        Message { tag: message.tag, body }
    })
    .collect()
}

fn no_stranger(owner: Owner, heard: &Heard) -> Result<(), String> {
    for message in &heard.messages {
        if let Some(stranger) = owner.stranger_in(&message.body) {
            return Err(format!("{owner:?} has read a byte of {stranger:?}'s: {message:?}"));
        }
    }
    Ok(())
}

/// Holds what the victim of a case heard against what it may hear.
pub(super) fn judge(
    conversation: &Conversation,
    case: &Case,
    owner: Owner,
    reference: &Reference,
    heard: &Heard,
) -> Result<(), String> {
    no_stranger(owner, heard)?;
    if heard.way == Way::Hung {
        return Err(format!("the client is left hanging after {}", tags(&heard.messages)));
    }
    if case.lies() || conversation.is_by_chance {
        return Ok(());
    }
    let said = comparable(owner, &heard.messages);
    if case.is_harmless() {
        let same = heard.way == Way::Through && said == reference.messages;
        return if same { Ok(()) } else { Err(differs(&said, reference)) };
    }
    let common = said.iter().zip(&reference.messages).take_while(|(one, other)| one == other).count();
    match said.get(common) {
        // Something of what is always said is missing at the end, or followed by the reason.
        None => Ok(()),
        Some(message) if message.tag == b'E' => Ok(()),
        Some(_) => Err(differs(&said, reference)),
    }
}

fn differs(said: &[Message], reference: &Reference) -> String {
    let at = said.iter().zip(&reference.messages).take_while(|(one, other)| one == other).count();
    let readable = |messages: &[Message]| {
        messages
            .get(at)
            .map(|message| (char::from(message.tag), String::from_utf8_lossy(&message.body).into_owned()))
    };
    let (heard, due) = (tags(said), tags(&reference.messages));
    format!("heard {heard}, not {due}; first {:?}, not {:?}", readable(said), readable(&reference.messages))
}

//! What has come for one client that listens, until it can be written.

use super::lost::Lost;
use pgwire::frame::{HEADER_LEN, peek_header};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Where a NotificationResponse holds the process that notified.
const PROCESS_ID: std::ops::Range<usize> = HEADER_LEN..HEADER_LEN + 4;

/// Notifications for one client, as messages, in the order in which the server sent them.
#[derive(Debug)]
pub struct Mailbox {
    mail: Mutex<Mail>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Mail {
    messages: Vec<u8>,
    /// The client waits for the listener's answer.
    is_asking: bool,
    lost: Option<Lost>,
    waker: Option<Waker>,
}

impl Mailbox {
    /// An empty one that holds so many bytes of messages.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { mail: Mutex::default(), bytes_max }
    }

    /// Puts a message in. One that does not fit is the client's end.
    pub fn put(&self, message: &[u8]) {
        let mut mail = self.lock();
        if mail.lost.is_some() {
            return;
        }
        if mail.messages.len() + message.len() > self.bytes_max {
            return mail.lose(Lost::TooMany);
        }
        mail.messages.extend_from_slice(message);
        mail.wake();
    }

    /// Nothing more will come, and something may be missing.
    pub fn lose(&self, lost: Lost) {
        self.lock().lose(lost);
    }

    /// Why something may be missing.
    #[must_use]
    pub fn lost(&self) -> Option<Lost> {
        self.lock().lost
    }

    /// The client waits until the listener has answered.
    pub fn asks(&self) {
        self.lock().is_asking = true;
    }

    /// The listener has answered: what was notified before the question is here.
    pub fn answer(&self) {
        let mut mail = self.lock();
        mail.is_asking = false;
        mail.wake();
    }

    /// The client waits for no answer, or will get none.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        let mail = self.lock();
        !mail.is_asking || mail.lost.is_some()
    }

    /// Ready when the client waits for no answer.
    pub fn poll_answered(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.lock().poll(cx, |mail| !mail.is_asking || mail.lost.is_some())
    }

    /// Ready when there is something to take, or nothing will come any more.
    pub fn poll_mail(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.lock().poll(cx, |mail| !mail.messages.is_empty() || mail.lost.is_some())
    }

    /// Ready when something may be missing.
    pub fn poll_lost(&self, cx: &mut Context<'_>) -> Poll<Lost> {
        let mut mail = self.lock();
        match mail.poll(cx, |mail| mail.lost.is_some()) {
            Poll::Ready(()) => Poll::Ready(mail.lost.unwrap_or(Lost::Listener)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Moves all messages out, and says how many there were.
    pub fn take_into(&self, out: &mut Vec<u8>) -> u64 {
        let messages = std::mem::take(&mut self.lock().messages);
        out.extend_from_slice(&messages);
        each_message(&messages).map(|_| 1).sum()
    }

    /// Bytes of messages that wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lock().messages.len()
    }

    /// Takes back, once each, what the client has had already, from this byte on.
    pub fn forget(&self, had: &[Box<[u8]>], from: usize) {
        let mut mail = self.lock();
        for message in had {
            let found = each_message(&mail.messages)
                .find(|range| range.start >= from && mail.messages[range.clone()] == **message);
            if let Some(range) = found {
                mail.messages.drain(range);
            }
        }
    }

    /// What this process of the server's has notified, from this byte on, the client has: it knows itself by another
    /// number.
    pub fn rename(&self, process_id: i32, own: i32, from: usize) {
        let mut mail = self.lock();
        let ranges: Vec<_> = each_message(&mail.messages).filter(|range| range.start >= from).collect();
        for range in ranges {
            rename(&mut mail.messages[range], process_id, own);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mail {
    fn lose(&mut self, lost: Lost) {
        self.messages = Vec::new();
        self.lost.get_or_insert(lost);
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn poll(&mut self, cx: &Context<'_>, is_ready: impl Fn(&Self) -> bool) -> Poll<()> {
        if is_ready(self) {
            return Poll::Ready(());
        }
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// Puts another process in place of this one in a NotificationResponse.
pub fn rename(message: &mut [u8], process_id: i32, own: i32) {
    if let Some(field) = message.get_mut(PROCESS_ID)
        && *field == process_id.to_be_bytes()
    {
        field.copy_from_slice(&own.to_be_bytes());
    }
}

/// Where each message lies. Only whole ones are put in.
fn each_message(messages: &[u8]) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let header = peek_header(&messages[from..]).ok().flatten()?;
        let range = from..from + header.len;
        from = range.end;
        (from <= messages.len()).then_some(range)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(process_id: i32, payload: &str) -> Vec<u8> {
        let mut body = process_id.to_be_bytes().to_vec();
        body.extend_from_slice(b"channel\0");
        body.extend_from_slice(payload.as_bytes());
        body.push(0);
        let length = u32::try_from(body.len() + 4).expect("it is short");
        [&b"A"[..], &length.to_be_bytes(), &body].concat()
    }

    fn taken(mailbox: &Mailbox) -> Vec<u8> {
        let mut out = Vec::new();
        mailbox.take_into(&mut out);
        out
    }

    #[test]
    fn messages_come_out_in_order_and_once() {
        let mailbox = Mailbox::new(1024);
        let (one, two) = (message(1, "one"), message(2, "two"));
        mailbox.put(&one);
        mailbox.put(&two);
        let mut out = Vec::new();
        assert_eq!(mailbox.take_into(&mut out), 2);
        assert_eq!(out, [one, two].concat());
        assert_eq!(mailbox.take_into(&mut out), 0);
    }

    #[test]
    fn one_message_too_many_loses_all_and_keeps_no_memory() {
        let one = message(1, "one");
        let mailbox = Mailbox::new(one.len() * 2);
        (0..2).for_each(|_| mailbox.put(&one));
        assert_eq!(mailbox.lost(), None);
        mailbox.put(&one);
        assert_eq!(mailbox.lost(), Some(Lost::TooMany));
        mailbox.put(&one);
        assert!(taken(&mailbox).is_empty());
        mailbox.lose(Lost::Listener);
        assert_eq!(mailbox.lost(), Some(Lost::TooMany), "the first reason stands");
    }

    #[test]
    fn what_the_client_has_had_is_forgotten_once() {
        let mailbox = Mailbox::new(1024);
        let (one, two) = (message(1, "one"), message(1, "two"));
        for put in [&one, &two, &one] {
            mailbox.put(put);
        }
        mailbox.forget(&[one.clone().into(), message(3, "never").into()], 0);
        assert_eq!(taken(&mailbox), [two, one].concat());
    }

    #[test]
    fn a_client_knows_its_own_notifications() {
        let mailbox = Mailbox::new(1024);
        // The process has served another before.
        mailbox.put(&message(7, "another's"));
        let from = mailbox.bytes();
        mailbox.put(&message(7, "own"));
        mailbox.put(&message(8, "another's"));
        mailbox.rename(7, 42, from);
        let expected = [message(7, "another's"), message(42, "own"), message(8, "another's")];
        assert_eq!(taken(&mailbox), expected.concat());
    }

    #[test]
    fn who_asks_waits_for_the_answer_or_for_the_end() {
        let mailbox = Mailbox::new(1024);
        assert!(mailbox.is_answered());
        mailbox.asks();
        assert!(!mailbox.is_answered());
        mailbox.answer();
        assert!(mailbox.is_answered());
        mailbox.asks();
        mailbox.lose(Lost::Listener);
        assert!(mailbox.is_answered());
    }
}

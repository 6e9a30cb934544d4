//! One direction of a connection: bytes become messages, and one of them is struck.

use super::link::Link;
use super::plan::{Mischief, Place};
use crate::{Direction, End};
use pgwire::frame::peek_header;
use pgwire::startup::{FirstPacket, parse_first_packet};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Longer than any startup packet that is let through.
const STARTUP_BYTES_MAX: usize = 10_000;

/// No message begins with it, in either direction.
const GARBAGE: [u8; 48] = [0xdb; 48];

/// Tags that no side expects: no client sends `~`, and no statement of ours is answered with a
/// FunctionCallResponse.
const WRONG_TAGS: (u8, u8) = (b'~', b'V');

/// After so many bytes a trickle has shown what it can.
const TRICKLE_BYTES_MAX: usize = 2_048;

/// Messages are held back until none has come for so long.
const COALESCE_QUIET: Duration = Duration::from_millis(5);

/// Long enough for what came before to be dealt with.
const LATE: Duration = Duration::from_millis(2);

/// How the rest of the direction is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    Usual,
    Trickle { left: usize },
    Coalesce,
}

pub(super) struct Pump {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    direction: Direction,
    link: Arc<Link>,
    /// A startup packet is still to come.
    is_startup: bool,
    delivery: Delivery,
    inbound: Vec<u8>,
    outbound: Vec<u8>,
}

impl Pump {
    pub(super) fn new(
        from: OwnedReadHalf,
        to: OwnedWriteHalf,
        direction: Direction,
        link: Arc<Link>,
    ) -> Self {
        let is_startup = direction == Direction::ToTarget;
        let (inbound, outbound) = (Vec::new(), Vec::new());
        Self { from, to, direction, link, is_startup, delivery: Delivery::Usual, inbound, outbound }
    }

    pub(super) fn into_target(self) -> OwnedWriteHalf {
        self.to
    }

    pub(super) async fn run(&mut self) -> End {
        match self.pass().await {
            Ok(End::HalfClose) => {
                let _ = self.to.shutdown().await;
                End::HalfClose
            }
            Ok(end) => end,
            Err(_broken) => End::Reset,
        }
    }

    async fn pass(&mut self) -> io::Result<End> {
        loop {
            let read = if self.delivery == Delivery::Coalesce && !self.outbound.is_empty() {
                match tokio::time::timeout(COALESCE_QUIET, self.from.read_buf(&mut self.inbound)).await {
                    Ok(read) => read?,
                    Err(_quiet) => {
                        self.flush().await?;
                        continue;
                    }
                }
            } else {
                self.from.read_buf(&mut self.inbound).await?
            };
            let is_over = read == 0;
            if let Some(end) = self.pass_messages().await? {
                return Ok(end);
            }
            if is_over {
                // What the other side had half sent goes along.
                self.outbound.append(&mut self.inbound);
            }
            if is_over || self.delivery != Delivery::Coalesce {
                self.flush().await?;
            }
            if is_over {
                return Ok(End::HalfClose);
            }
        }
    }

    async fn pass_messages(&mut self) -> io::Result<Option<End>> {
        while let Some(length) = self.next_message() {
            let message: Vec<u8> = self.inbound.drain(..length).collect();
            match self.link.turn(self.direction) {
                None => self.outbound.extend(message),
                Some((place, mischief)) => {
                    self.link.strike_begins();
                    let end = self.strike(&message, place, mischief).await;
                    match end? {
                        // It is over when the connection is.
                        Some(end) if end != End::BlackHole => return Ok(Some(end)),
                        end => {
                            self.link.strike_is_over();
                            if end.is_some() {
                                return Ok(end);
                            }
                        }
                    }
                }
            }
        }
        Ok(None)
    }

    /// The length of the next message, once it is there. What cannot be counted is taken as it comes.
    fn next_message(&mut self) -> Option<usize> {
        let all = Some(self.inbound.len()).filter(|length| *length > 0);
        if !self.link.is_counted() {
            return all;
        }
        if self.is_startup {
            return match parse_first_packet(&self.inbound, STARTUP_BYTES_MAX) {
                Ok(Some((first, length))) => {
                    let FirstPacket::Startup(startup) = first else {
                        self.link.is_for(None);
                        return all;
                    };
                    self.link.is_for(startup.get("database").or(startup.get("user")));
                    self.is_startup = false;
                    Some(length)
                }
                Ok(None) => None,
                Err(_unreadable) => {
                    self.link.is_for(None);
                    all
                }
            };
        }
        match peek_header(&self.inbound) {
            Ok(Some(header)) => Some(header.len).filter(|length| *length <= self.inbound.len()),
            Ok(None) => None,
            // Out of step, as it may be behind a strike. There is nothing more to count.
            Err(_unreadable) => all,
        }
    }

    /// Does what is to be done, and returns how the connection ends if it does.
    async fn strike(&mut self, message: &[u8], place: Place, mischief: Mischief) -> io::Result<Option<End>> {
        let (before, behind) = message.split_at(match place {
            Place::Before => 0,
            Place::Within => message.len() / 2,
            Place::After => message.len(),
        });
        match mischief {
            Mischief::End(end) => {
                self.outbound.extend(before);
                self.flush().await?;
                return Ok(Some(end));
            }
            Mischief::Garbage => {
                self.outbound.extend(before);
                self.outbound.extend(GARBAGE);
                self.outbound.extend(if place == Place::Within { &[][..] } else { behind });
            }
            Mischief::Lie(lie) => {
                self.outbound.extend(before);
                self.outbound.extend(lie.bytes());
                self.outbound.extend(behind);
            }
            Mischief::LateLie(lie) => {
                self.outbound.extend(message);
                self.flush().await?;
                tokio::time::sleep(LATE).await;
                self.outbound.extend(lie.bytes());
                self.flush().await?;
            }
            Mischief::WrongTag => {
                let (to_target, from_target) = WRONG_TAGS;
                self.outbound.push(if self.direction == Direction::ToTarget {
                    to_target
                } else {
                    from_target
                });
                self.outbound.extend(&message[1..]);
            }
            Mischief::WrongLength => {
                let wrong = with_wrong_length(message, place);
                self.outbound.extend(wrong);
            }
            Mischief::Twice => {
                self.outbound.extend(message);
                self.outbound.extend(message);
            }
            Mischief::Trickle => {
                self.outbound.extend(message);
                self.delivery = Delivery::Trickle { left: TRICKLE_BYTES_MAX };
            }
            Mischief::Coalesce => {
                self.outbound.extend(message);
                self.delivery = Delivery::Coalesce;
            }
        }
        Ok(None)
    }

    async fn flush(&mut self) -> io::Result<()> {
        if let Delivery::Trickle { left } = self.delivery {
            let slow = left.min(self.outbound.len());
            self.delivery = Delivery::Trickle { left: left - slow };
            for byte in self.outbound.drain(..slow).collect::<Vec<_>>() {
                self.to.write_all(&[byte]).await?;
                tokio::task::yield_now().await;
            }
        }
        self.to.write_all(&self.outbound).await?;
        self.outbound.clear();
        Ok(())
    }
}

/// A startup packet has no tag: there it is the bytes behind its length that change.
fn with_wrong_length(message: &[u8], place: Place) -> Vec<u8> {
    let mut wrong = message.to_vec();
    let Some(field) = wrong.get_mut(1..5) else { return wrong };
    let length = i32::from_be_bytes([field[0], field[1], field[2], field[3]]);
    let length = match place {
        Place::Before => length.saturating_sub(1),
        Place::Within => length.saturating_add(7),
        Place::After => -length,
    };
    field.copy_from_slice(&length.to_be_bytes());
    wrong
}

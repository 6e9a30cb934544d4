//! What a client sends, taken out of its frames where it lies.
//!
//! Payload is handed on as it arrives, so a frame needs no more memory than the buffer that it is read into, however
//! long it says that it is. Rules: RFC 6455 §5.

use super::violation::Violation;
use std::io::Cursor;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// A client's longest header: two bytes, eight of length, four of mask.
const HEADER_BYTES_MAX: usize = 14;

/// RFC 6455 §5.5.
pub(super) const CONTROL_BYTES_MAX: usize = 125;

/// No message of PostgreSQL's is longer (`PQ_LARGE_MESSAGE_LIMIT`, libpq.h), and drivers send one or a few in a frame.
const FRAME_BYTES_MAX: u64 = 0x3fff_ffff;

/// The payload of a control frame.
#[derive(Clone, Copy)]
pub(super) struct Notice {
    bytes: [u8; CONTROL_BYTES_MAX],
    length: usize,
}

impl Notice {
    const EMPTY: Self = Self { bytes: [0; CONTROL_BYTES_MAX], length: 0 };

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.length..][..bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }
}

/// What a client says beside its payload.
pub(super) enum Signal {
    /// Wants these bytes back.
    Ping(Notice),
    /// Has sent its last frame.
    Close,
}

/// The frame whose payload arrives.
struct Frame {
    kind: Kind,
    left: u64,
    mask: [u8; 4],
    /// Where in the mask the next byte stands.
    turn: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data,
    Control(Control),
}

/// Where in its frames a client stands.
pub(super) struct Decoder {
    header: [u8; HEADER_BYTES_MAX],
    header_len: usize,
    frame: Option<Frame>,
    notice: Notice,
    /// A message goes on in the next frame that is not a control frame.
    is_fragmented: bool,
    is_closed: bool,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self {
            header: [0; HEADER_BYTES_MAX],
            header_len: 0,
            frame: None,
            notice: Notice::EMPTY,
            is_fragmented: false,
            is_closed: false,
        }
    }

    /// The client has announced more than it has sent.
    pub(super) fn is_inside_frame(&self) -> bool {
        self.header_len > 0 || self.frame.is_some()
    }

    /// Moves the payload among `bytes`, which were read, to their front, and says how much it is. What follows a Close is
    /// thrown away.
    pub(super) fn decode(
        &mut self,
        bytes: &mut [u8],
        mut heard: impl FnMut(Signal),
    ) -> Result<usize, Violation> {
        let (mut at, mut payload) = (0, 0);
        while at < bytes.len() && !self.is_closed {
            let Some(frame) = &mut self.frame else {
                at += self.take_header(&bytes[at..])?;
                self.end_of_frame(&mut heard);
                continue;
            };
            let left = usize::try_from(frame.left).unwrap_or(usize::MAX);
            let taken = at..bytes.len().min(at.saturating_add(left));
            frame.unmask(&mut bytes[taken.clone()]);
            match frame.kind {
                Kind::Data => {
                    bytes.copy_within(taken.clone(), payload);
                    payload += taken.len();
                }
                Kind::Control(_) => self.notice.push(&bytes[taken.clone()]),
            }
            at = taken.end;
            self.end_of_frame(&mut heard);
        }
        Ok(payload)
    }

    /// Takes bytes of a header, and says how many.
    fn take_header(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        let before = self.header_len;
        let added = bytes.len().min(HEADER_BYTES_MAX - before);
        self.header[before..before + added].copy_from_slice(&bytes[..added]);
        self.header_len += added;
        let mut cursor = Cursor::new(&self.header[..self.header_len]);
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_no_such_opcode| Violation::Protocol)?;
        let Some((header, length)) = parsed else { return Ok(added) };
        let used = usize::try_from(cursor.position()).unwrap_or(HEADER_BYTES_MAX);
        self.header_len = 0;
        self.frame = Some(self.judge(&header, length)?);
        self.notice.length = 0;
        // Of what was there before nothing can be left over: it was no header yet.
        Ok(used - before)
    }

    fn judge(&mut self, header: &FrameHeader, length: u64) -> Result<Frame, Violation> {
        // No extension was agreed on, and clients mask (§5.1, §5.2).
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(Violation::Protocol);
        }
        let mask = header.mask.ok_or(Violation::Protocol)?;
        let kind = match header.opcode {
            OpCode::Control(control) => {
                let fits = length <= u64::try_from(CONTROL_BYTES_MAX).unwrap_or(u64::MAX);
                if !header.is_final || !fits {
                    return Err(Violation::Protocol);
                }
                Kind::Control(control)
            }
            OpCode::Data(Data::Text) => return Err(Violation::NotBinary),
            OpCode::Data(data) => {
                if (data == Data::Continue) != self.is_fragmented {
                    return Err(Violation::Protocol);
                }
                if length > FRAME_BYTES_MAX {
                    return Err(Violation::TooLarge);
                }
                self.is_fragmented = !header.is_final;
                Kind::Data
            }
        };
        Ok(Frame { kind, left: length, mask, turn: 0 })
    }

    fn end_of_frame(&mut self, heard: &mut impl FnMut(Signal)) {
        let Some(frame) = self.frame.take_if(|frame| frame.left == 0) else { return };
        match frame.kind {
            Kind::Control(Control::Ping) => heard(Signal::Ping(self.notice)),
            Kind::Control(Control::Close) => {
                self.is_closed = true;
                heard(Signal::Close);
            }
            Kind::Control(_) | Kind::Data => {}
        }
    }
}

impl Frame {
    fn unmask(&mut self, bytes: &mut [u8]) {
        let mut mask = self.mask;
        mask.rotate_left(self.turn);
        // By blocks, which the compiler turns into wide operations.
        let mut blocks = bytes.chunks_exact_mut(mask.len());
        for block in &mut blocks {
            block.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        }
        blocks.into_remainder().iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        self.turn = (self.turn + bytes.len()) % mask.len();
        self.left -= u64::try_from(bytes.len()).unwrap_or(self.left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tungstenite::protocol::frame::Frame as Known;

    const MASK: [u8; 4] = [1, 2, 3, 250];

    fn framed(header: &FrameHeader, payload: &[u8]) -> Vec<u8> {
        let header = FrameHeader { mask: Some(MASK), ..header.clone() };
        let mut bytes = Vec::new();
        Known::from_payload(header, payload.to_vec().into()).format(&mut bytes).expect("memory takes all");
        bytes
    }

    fn header(opcode: OpCode, is_final: bool) -> FrameHeader {
        FrameHeader { is_final, opcode, ..FrameHeader::default() }
    }

    /// The payload of bytes that arrive in pieces of this size, and what was said beside it.
    fn decoded(bytes: &[u8], piece: usize) -> Result<(Vec<u8>, Vec<String>), Violation> {
        let (mut decoder, mut payload, mut said) = (Decoder::new(), Vec::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            let mut piece = piece.to_vec();
            let length = decoder.decode(&mut piece, |signal| {
                said.push(match signal {
                    Signal::Ping(notice) => format!("ping {}", String::from_utf8_lossy(notice.bytes())),
                    Signal::Close => "close".to_owned(),
                });
            })?;
            payload.extend_from_slice(&piece[..length]);
        }
        Ok((payload, said))
    }

    const BINARY: OpCode = OpCode::Data(Data::Binary);
    const CONTINUE: OpCode = OpCode::Data(Data::Continue);
    const PING: OpCode = OpCode::Control(Control::Ping);
    const CLOSE: OpCode = OpCode::Control(Control::Close);

    #[test]
    fn payload_comes_out_however_it_is_cut() {
        let mut bytes = framed(&header(BINARY, false), &[7; 300]);
        bytes.extend(framed(&header(PING, true), b"are you there"));
        bytes.extend(framed(&header(BINARY, true), b"")); // replaced below: a continuation
        let end = bytes.len();
        bytes[end - 6] = 0x80;
        bytes.extend(framed(&header(BINARY, true), &[9; 70_000]));
        bytes.extend(framed(&header(CLOSE, true), b"\x03\xe8bye"));
        bytes.extend(framed(&header(BINARY, true), b"too late"));
        let expected: Vec<u8> = [vec![7; 300], vec![9; 70_000]].concat();
        for piece in [1, 2, 3, 5, 13, 1_000, bytes.len()] {
            let (payload, said) = decoded(&bytes, piece).expect("good frames");
            assert!(payload == expected, "in pieces of {piece}");
            assert_eq!(said, ["ping are you there", "close"], "in pieces of {piece}");
        }
    }

    #[test]
    fn what_breaks_the_rules_is_refused() {
        let unmasked = vec![0x82, 1, b'x'];
        let reserved = vec![0xc2, 0x80, 0, 0, 0, 0];
        let no_opcode = vec![0x83, 0x80, 0, 0, 0, 0];
        let two = [framed(&header(BINARY, false), b"a"), framed(&header(BINARY, true), b"b")].concat();
        for (bytes, violation) in [
            (unmasked, Violation::Protocol),
            (reserved, Violation::Protocol),
            (no_opcode, Violation::Protocol),
            (two, Violation::Protocol),
            (framed(&header(CONTINUE, true), b"of nothing"), Violation::Protocol),
            (framed(&header(PING, false), b""), Violation::Protocol),
            (framed(&header(PING, true), &[0; 126]), Violation::Protocol),
            (framed(&header(OpCode::Data(Data::Text), true), b"select 1"), Violation::NotBinary),
            (vec![0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4], Violation::TooLarge),
        ] {
            assert_eq!(decoded(&bytes, 1).map(drop), Err(violation), "{bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), piece in 1_usize..9) {
            let _ = decoded(&bytes, piece);
        }

        #[test]
        fn what_a_library_writes_is_read(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..6), piece in 1_usize..300,
        ) {
            let bytes: Vec<u8> = parts.iter().flat_map(|part| framed(&header(BINARY, true), part)).collect();
            prop_assert_eq!(decoded(&bytes, piece).map(|(payload, _)| payload), Ok(parts.concat()));
        }
    }
}

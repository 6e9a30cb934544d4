//! A body that is sent while the server still works.
//!
//! Whoever writes it waits for the client: two pieces are ready at most, and the server is read only when there is room
//! for the next. A large one is cut, so that what is ready is bounded by bytes too. A body that ends without [`Outlet::end`] breaks off: HTTP/1.1 closes the connection before the last
//! chunk, HTTP/2 resets the stream, and no reader takes what it has for the whole.

use super::encode::Encoder;
use super::negotiate::Encoding;
use crate::admit::ClientPermit;
use bytes::Bytes;
use hyper::body::{Body, Frame};
use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// About how large a piece is: large enough to be worth its system call, small enough to be kept twice.
pub const PIECE_BYTES: usize = 32 * 1024;

/// A piece that is no larger is sent as it is.
const PIECE_BYTES_MAX: usize = 2 * PIECE_BYTES;

/// Pieces that are ready before the client takes them.
const PIECES_MAX: usize = 2;

/// The client's end of a body.
pub struct Streamed {
    pieces: mpsc::Receiver<Piece>,
    ended: bool,
    /// A client that takes nothing keeps pieces in memory after its statement was given up: it goes on to count.
    _client: Option<Arc<ClientPermit>>,
}

/// The writer's end.
pub struct Outlet {
    pieces: mpsc::Sender<Piece>,
    encoder: Option<Encoder>,
    stall_max: Duration,
    /// In its final form, and not sent yet. When sending is given up half way, what follows begins behind it: a
    /// compressed body with a hole is none.
    unsent: Vec<u8>,
    /// The last byte that was taken in.
    last: Option<u8>,
}

enum Piece {
    Bytes(Bytes),
    End,
}

/// Why nothing more can be sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The client has left.
    #[error("the client has left")]
    Left,
    /// The client takes nothing.
    #[error("the client does not read")]
    Stalled,
    /// It cannot be compressed.
    #[error("the body cannot be compressed: {0}")]
    Encoder(#[from] io::Error),
}

/// The writer has given up.
#[derive(Debug, thiserror::Error)]
#[error("the result has broken off")]
pub struct BrokenOff;

/// A body that is compressed if `encoding` says so, and whose reader may take `stall_max` for each piece.
///
/// # Errors
/// There is no memory for compressing it.
pub fn body(encoding: Option<Encoding>, stall_max: Duration) -> io::Result<(Outlet, Streamed)> {
    let encoder = encoding.map(Encoder::new).transpose()?;
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    let outlet = Outlet { pieces: sender, encoder, stall_max, unsent: Vec::new(), last: None };
    Ok((outlet, Streamed { pieces, ended: false, _client: None }))
}

impl Streamed {
    /// The client counts until the body is gone.
    #[must_use]
    pub fn kept_for(self, client: Arc<ClientPermit>) -> Self {
        Self { _client: Some(client), ..self }
    }
}

impl Outlet {
    /// Sends a piece, and waits until there is room for it. If that is given up, what was taken in is sent with the next
    /// one; [`Outlet::is_at_line_end`] says where that is.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(&mut self, piece: Vec<u8>) -> Result<(), SendError> {
        if piece.len() <= PIECE_BYTES_MAX {
            return self.send_part(piece.into()).await;
        }
        let mut rest = &piece[..];
        while !rest.is_empty() {
            let (part, behind) = rest.split_at(part_len(rest));
            // A copy: a part of the piece would keep all of it in memory.
            self.send_part(part.into()).await?;
            rest = behind;
            // To compress it takes its time, which is also that of others.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// What was taken in so far ends where a line does.
    #[must_use]
    pub fn is_at_line_end(&self) -> bool {
        self.last.is_none_or(|byte| byte == b'\n')
    }

    /// The body is whole.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn end(mut self) -> Result<(), SendError> {
        if let Some(encoder) = self.encoder.take() {
            self.unsent.append(&mut encoder.finish()?);
        }
        self.push_unsent().await?;
        room(&self.pieces, self.stall_max).await?.send(Piece::End);
        Ok(())
    }

    /// Resolves when the client has left, whatever is being sent meanwhile.
    pub fn left(&self) -> impl Future<Output = ()> + Send + 'static {
        let pieces = self.pieces.clone();
        async move { pieces.closed().await }
    }

    async fn send_part(&mut self, part: Cow<'_, [u8]>) -> Result<(), SendError> {
        self.last = part.last().copied().or(self.last);
        let mut ready = match &mut self.encoder {
            Some(encoder) => encoder.write(&part)?,
            None => part.into_owned(),
        };
        if self.unsent.is_empty() {
            self.unsent = ready;
        } else {
            self.unsent.append(&mut ready);
        }
        self.push_unsent().await
    }

    async fn push_unsent(&mut self) -> Result<(), SendError> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        let room = room(&self.pieces, self.stall_max).await?;
        room.send(Piece::Bytes(std::mem::take(&mut self.unsent).into()));
        Ok(())
    }
}

/// Waits until a piece can be sent.
async fn room(
    pieces: &mpsc::Sender<Piece>,
    stall_max: Duration,
) -> Result<mpsc::Permit<'_, Piece>, SendError> {
    match timeout(stall_max, pieces.reserve()).await {
        Ok(Ok(room)) => Ok(room),
        Ok(Err(_closed)) => Err(SendError::Left),
        Err(_elapsed) => Err(SendError::Stalled),
    }
}

/// How much of a large piece is sent next: whole lines, if there are any.
fn part_len(piece: &[u8]) -> usize {
    let most = piece.len().min(PIECE_BYTES);
    piece[..most].iter().rposition(|byte| *byte == b'\n').map_or(most, |at| at + 1)
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.pieces.poll_recv(cx).map(|piece| match piece {
            Some(Piece::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Piece::End) => {
                self.ended = true;
                None
            }
            None => Some(Err(BrokenOff)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;
    use http_body_util::BodyExt;
    use std::pin::pin;

    const LONG: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn a_body_that_is_ended_is_whole_and_one_that_is_dropped_breaks_off() {
        for ended in [true, false] {
            let (mut outlet, body) = body(None, LONG).expect("nothing to compress");
            outlet.send(b"one".to_vec()).await.expect("there is room");
            if ended {
                outlet.end().await.expect("there is room");
            } else {
                drop(outlet);
            }
            let read = body.collect().await.map(|body| body.to_bytes());
            assert_eq!(read.is_ok(), ended);
        }
    }

    #[tokio::test]
    async fn two_pieces_are_ready_at_most() {
        let (mut outlet, mut body) = body(None, LONG).expect("nothing to compress");
        for _ in 0..PIECES_MAX {
            outlet.send(vec![0; 10]).await.expect("there is room");
        }
        let mut third = pin!(outlet.send(vec![0; 10]));
        assert!(poll!(third.as_mut()).is_pending());
        assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
        assert!(poll!(third.as_mut()).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (mut outlet, _body) = body(None, LONG).expect("nothing to compress");
        let failed = loop {
            if let Err(error) = outlet.send(vec![0; 10]).await {
                break error;
            }
        };
        assert!(matches!(failed, SendError::Stalled));
    }

    #[tokio::test]
    async fn who_leaves_is_noticed() {
        let (mut outlet, body) = body(None, LONG).expect("nothing to compress");
        let mut left = pin!(outlet.left());
        assert!(poll!(left.as_mut()).is_pending());
        drop(body);
        left.await;
        assert!(matches!(outlet.send(vec![0; 10]).await, Err(SendError::Left)));
    }

    #[tokio::test]
    async fn a_compressed_body_that_breaks_off_is_not_whole_either() {
        let (mut outlet, body) = body(Some(Encoding::Gzip), LONG).expect("there is memory");
        outlet.send(b"row ".repeat(10_000)).await.expect("there is room");
        drop(outlet);
        assert!(body.collect().await.is_err());
    }

    #[tokio::test]
    async fn a_large_piece_is_ready_in_parts_which_end_where_lines_do() {
        let (mut outlet, mut body) = body(None, LONG).expect("nothing to compress");
        let lines = b"twelve bytes\n".repeat(10 * PIECE_BYTES / 13);
        let read = async {
            let mut read = Vec::new();
            while read.len() < lines.len() {
                let part = body.frame().await.expect("more").expect("whole").into_data().expect("bytes");
                assert!(part.len() <= PIECE_BYTES && part.ends_with(b"\n"));
                read.extend_from_slice(&part);
            }
            read
        };
        let (sent, read) = tokio::join!(outlet.send(lines.clone()), read);
        assert!(sent.is_ok() && read == lines);
    }

    #[tokio::test]
    async fn a_row_that_was_cut_is_not_at_the_end_of_a_line() {
        let (mut outlet, _body) = body(None, LONG).expect("nothing to compress");
        assert!(outlet.is_at_line_end());
        let mut row = vec![b'x'; 10 * PIECE_BYTES];
        row.push(b'\n');
        assert!(poll!(pin!(outlet.send(row))).is_pending());
        assert!(!outlet.is_at_line_end());
    }

    /// Else it would end like a whole body, and hold no rows that anybody can read.
    #[tokio::test]
    async fn what_was_compressed_is_not_lost_when_sending_it_is_given_up() {
        use std::io::Read;

        let (mut outlet, body) = body(Some(Encoding::Gzip), LONG).expect("there is memory");
        let mut random = 1_u32;
        let mut written = Vec::new();
        loop {
            let line = std::iter::repeat_with(|| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                b'0' + random.to_be_bytes()[0] % 64
            });
            let mut piece: Vec<u8> = line.take(PIECE_BYTES).collect();
            piece.push(b'\n');
            written.extend_from_slice(&piece);
            if poll!(pin!(outlet.send(piece))).is_pending() {
                break;
            }
        }
        assert!(outlet.is_at_line_end());
        let told = async {
            outlet.send(b"error\n".to_vec()).await.expect("it is read");
            outlet.end().await.expect("it is read");
        };
        let (read, ()) = tokio::join!(body.collect(), told);
        let encoded = read.expect("whole").to_bytes();
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&encoded[..]).read_to_end(&mut plain).expect("no hole in it");
        written.extend_from_slice(b"error\n");
        assert!(plain == written);
    }
}

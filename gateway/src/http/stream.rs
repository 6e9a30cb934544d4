//! A body that is sent while the server still works.
//!
//! Whoever writes it waits for the client: two pieces are ready at most, and the server is read only when there is room
//! for the next. A body that ends without [`Outlet::end`] breaks off: HTTP/1.1 closes the connection before the last
//! chunk, HTTP/2 resets the stream, and no reader takes what it has for the whole.

use super::encode::Encoder;
use super::negotiate::Encoding;
use bytes::Bytes;
use hyper::body::{Body, Frame};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// About how large a piece is: large enough to be worth its system call, small enough to be kept twice.
pub const PIECE_BYTES: usize = 32 * 1024;

/// Pieces that are ready before the client takes them.
const PIECES_MAX: usize = 2;

/// The client's end of a body.
pub struct Streamed {
    pieces: mpsc::Receiver<Piece>,
    ended: bool,
}

/// The writer's end.
pub struct Outlet {
    pieces: mpsc::Sender<Piece>,
    encoder: Option<Encoder>,
    stall_max: Duration,
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
    Ok((Outlet { pieces: sender, encoder, stall_max }, Streamed { pieces, ended: false }))
}

impl Outlet {
    /// Sends a piece, and waits until there is room for it.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(&mut self, piece: Vec<u8>) -> Result<(), SendError> {
        let piece = match &mut self.encoder {
            Some(encoder) => encoder.write(&piece)?,
            None => piece,
        };
        if piece.is_empty() { Ok(()) } else { self.push(Piece::Bytes(piece.into())).await }
    }

    /// The body is whole.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn end(mut self) -> Result<(), SendError> {
        if let Some(encoder) = self.encoder.take() {
            self.push(Piece::Bytes(encoder.finish()?.into())).await?;
        }
        self.push(Piece::End).await
    }

    /// Resolves when the client has left, whatever is being sent meanwhile.
    pub fn left(&self) -> impl Future<Output = ()> + Send + 'static {
        let pieces = self.pieces.clone();
        async move { pieces.closed().await }
    }

    async fn push(&self, piece: Piece) -> Result<(), SendError> {
        match timeout(self.stall_max, self.pieces.send(piece)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_closed)) => Err(SendError::Left),
            Err(_elapsed) => Err(SendError::Stalled),
        }
    }
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
}

//! A request body that is taken in to its end though nobody wants it.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;

/// What is thrown away of one body. A client that sends more finds its connection reset, answer or not.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long a client may take to send it.
const TIME_MAX: Duration = Duration::from_secs(5);

/// A body, the unread rest of which is thrown away, within bounds, when its reader has lost interest.
///
/// A server that refuses a request and closes the connection while the client is still sending makes the
/// client's system throw the answer away with the connection (RFC 9112 §9.6). So the rest is read.
#[derive(Debug)]
pub struct Lingering<B: Body<Data = Bytes> + Unpin + Send + 'static>(Option<B>);

impl<B: Body<Data = Bytes> + Unpin + Send + 'static> Lingering<B> {
    /// Wraps a request's body. To be dropped within a tokio runtime.
    pub const fn new(body: B) -> Self {
        Self(Some(body))
    }
}

impl<B: Body<Data = Bytes> + Unpin + Send + 'static> Body for Lingering<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B: Body<Data = Bytes> + Unpin + Send + 'static> Drop for Lingering<B> {
    fn drop(&mut self) {
        if let Some(body) = self.0.take().filter(|body| !body.is_end_stream()) {
            tokio::spawn(async { timeout(TIME_MAX, throw_away(body)).await });
        }
    }
}

async fn throw_away<B: Body<Data = Bytes> + Unpin>(mut body: B) {
    let mut taken = 0_usize;
    while let Some(Ok(frame)) = body.frame().await {
        taken = taken.saturating_add(frame.data_ref().map_or(0, Bytes::len));
        if taken > BYTES_MAX {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::StreamBody;
    use std::convert::Infallible;
    use std::sync::Arc;
    use tokio::sync::Semaphore;

    /// A body of `pieces` pieces of a megabyte, and how many of them were taken.
    fn body(
        pieces: usize,
    ) -> (impl Body<Data = Bytes, Error = Infallible> + Unpin + Send + 'static, Arc<Semaphore>) {
        let taken = Arc::new(Semaphore::new(0));
        let counter = Arc::clone(&taken);
        let frames = (0..pieces).map(move |_| {
            counter.add_permits(1);
            Ok::<_, Infallible>(Frame::data(Bytes::from(vec![0; 1024 * 1024])))
        });
        (StreamBody::new(futures_util::stream::iter(frames)), taken)
    }

    #[tokio::test]
    async fn what_nobody_wants_is_taken_in() {
        let (body, taken) = body(6);
        drop(Lingering::new(body));
        let _all = taken.acquire_many(6).await.expect("never closed");
    }

    #[tokio::test]
    async fn but_not_without_end() {
        let (body, taken) = body(usize::MAX);
        throw_away(body).await;
        assert_eq!(taken.available_permits(), BYTES_MAX / (1024 * 1024) + 1);
    }

    #[tokio::test]
    async fn a_body_that_is_read_is_passed_on() {
        let (body, taken) = body(3);
        let read = Lingering::new(body).collect().await.expect("infallible").to_bytes();
        assert_eq!((read.len(), taken.available_permits()), (3 * 1024 * 1024, 3));
    }
}

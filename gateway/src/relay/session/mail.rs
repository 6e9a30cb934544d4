//! What a client without a connection is notified of.

use super::{Next, Session};
use crate::error::Refusal;
use crate::relay::exchange::Borrowed;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

impl Session {
    /// Ready when there is something to tell.
    pub(super) fn poll_mail(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.client.listening.as_ref().map_or(Poll::Pending, |listening| listening.poll_mail(cx))
    }

    /// Why the client cannot go on listening.
    pub(super) fn has_lost_notifications(&self) -> Option<Refusal> {
        self.client.listening.as_ref()?.lost().map(|lost| lost.refusal())
    }

    /// Tells an idle client what it is notified of. More may come while it does not read, but not without end.
    pub(super) async fn deliver(&mut self) -> Next {
        let Some(listening) = &self.client.listening else { return Next::Idle };
        let mut exchange = Borrowed::take();
        let told = exchange.down.stage(|out| listening.mailbox().take_into(out));
        self.tenant.usage().notifications.add(told);
        let interrupted = poll_fn(|cx| {
            if let Poll::Ready(flushed) = exchange.down.poll_flush(cx, Pin::new(&mut self.stream)) {
                return Poll::Ready(flushed.map(|()| None));
            }
            if let Poll::Ready(away) = self.poll_away(cx) {
                return Poll::Ready(Ok(Some(away)));
            }
            let listening = self.client.listening.as_ref();
            if let Some(Poll::Ready(lost)) = listening.map(|listening| listening.mailbox().poll_lost(cx)) {
                return Poll::Ready(Ok(Some(lost.refusal())));
            }
            self.poll_idle(cx).map(|limit| Ok(Some(limit.refusal())))
        })
        .await;
        self.tenant.usage().bytes_to_client.add(exchange.down.take_bytes_written());
        match interrupted {
            Ok(None) => Next::Idle,
            Ok(Some(refusal)) => self.finish(&mut exchange, Some(refusal)).await,
            Err(_gone) => Next::Gone,
        }
    }
}

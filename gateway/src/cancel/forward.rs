//! From gateway to gateway, once.
//!
//! What is passed on is an ordinary cancel request, so that it arrives at a gateway of any release. Its process id is
//! negative, which no key that was given out is: whoever gets one does not pass it on again.

use pgwire::CancelKey;
use pgwire::frontend::write;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A key as it was given out, and whether the request may be passed on.
pub(super) fn arrived(key: CancelKey) -> (CancelKey, bool) {
    (CancelKey { process_id: key.process_id & i32::MAX, ..key }, key.process_id >= 0)
}

/// Passes a request on and waits until the other gateway is done with it.
///
/// # Errors
/// It cannot be reached.
pub(super) async fn to_gateway(address: &str, key: CancelKey) -> io::Result<()> {
    let mut request = Vec::with_capacity(16);
    write::cancel_request(&mut request, CancelKey { process_id: key.process_id | i32::MIN, ..key });
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&request).await?;
    // It sends nothing, and closes when the cancel has been passed on.
    while stream.read(&mut [0; 16]).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_passed_on_once() {
        let given_out = CancelKey { process_id: 5 << 21 | 77, secret: -3 };
        assert_eq!(arrived(given_out), (given_out, true));
        let passed_on = CancelKey { process_id: given_out.process_id | i32::MIN, ..given_out };
        assert_eq!(arrived(passed_on), (given_out, false));
    }
}

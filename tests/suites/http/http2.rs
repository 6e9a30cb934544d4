//! A client of HTTP/2, without TLS.

use bytes::Bytes;
use harness::{Stack, Tenant};
use http_body_util::Full;
use hyper::Request;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpStream;

/// The window that RFC 9113 §6.9.2 gives a stream unless its reader says otherwise.
const WINDOW: u32 = 65_535;

/// A connection.
pub(super) async fn connect(stack: &Stack) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(stack.addresses().http).await.unwrap();
    let (sender, connection) = Builder::new(TokioExecutor::new())
        .initial_stream_window_size(WINDOW)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

/// A request with the tenant's key.
pub(super) fn request(tenant: &Tenant, sql: &str) -> Request<Full<Bytes>> {
    Request::post(&tenant.http_endpoint)
        .header("Authorization", format!("Bearer {}", tenant.api_key))
        .body(Full::from(json!({ "query": sql }).to_string()))
        .unwrap()
}

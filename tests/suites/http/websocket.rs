//! PostgreSQL's protocol inside WebSockets: who gets in, and that a client there is one like any other.

mod bounds;
mod doors;
mod privacy;

use futures_util::{SinkExt, StreamExt};
use harness::wire::WireClient;
use harness::{Stack, Tenant};
use pgwire::frontend::write;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio_postgres::{Client, NoTls};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// What the pump takes at once.
const PIECE: usize = 16 * 1024;

type Socket = WebSocketStream<TcpStream>;

/// Opens a WebSocket at a path, as for this host.
async fn open(stack: &Stack, host: &str, path: &str) -> Result<(Socket, Response), Error> {
    let address: SocketAddr = stack.addresses().http;
    let stream = TcpStream::connect(address).await.unwrap();
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    request.headers_mut().insert("host", host.parse().unwrap());
    client_async(request, stream).await
}

/// Opens one that has to open.
pub(crate) async fn opened(stack: &Stack) -> Socket {
    open(stack, "127.0.0.1", "/v2").await.unwrap().0
}

/// A stream of bytes for clients that know no frames. It ends with the WebSocket.
fn bytes_of(socket: Socket) -> DuplexStream {
    let (near, far) = duplex(PIECE);
    tokio::spawn(async move {
        let (mut frames, mut arriving) = socket.split();
        let (mut reader, mut writer) = tokio::io::split(far);
        let up = async {
            let mut piece = vec![0; PIECE];
            while let Ok(length @ 1..) = reader.read(&mut piece).await {
                frames.send(Message::binary(piece[..length].to_vec())).await?;
            }
            frames.close().await
        };
        let down = async {
            while let Some(Ok(message)) = arriving.next().await {
                if let Message::Binary(bytes) = message
                    && writer.write_all(&bytes).await.is_err()
                {
                    break;
                }
            }
            let _ = writer.shutdown().await;
        };
        let _ = tokio::join!(up, down);
    });
    near
}

/// A driver that waits for SCRAM.
async fn connect(stack: &Stack, tenant: &Tenant) -> Client {
    let stream = bytes_of(opened(stack).await);
    let (client, connection) = tenant.config().connect_raw(stream, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The first frame of a driver that waits for nothing: who it is, its password, and a query.
fn all_at_once(user: &str, database: &str, password: &str, sql: &str) -> Message {
    let mut bytes = Vec::new();
    write::startup(&mut bytes, [("user", user), ("database", database)]).unwrap();
    write::password(&mut bytes, password.as_bytes()).unwrap();
    write::query(&mut bytes, sql.as_bytes()).unwrap();
    Message::binary(bytes)
}

/// Sends that, and gives the messages that come up to the end of the query, or of the connection.
async fn at_once(mut socket: Socket, first: Message) -> Vec<harness::wire::Message> {
    socket.send(first).await.unwrap();
    let mut client = WireClient::over(bytes_of(socket));
    let mut messages = Vec::new();
    let mut readies = 0;
    while readies < 2
        && let Ok(message) = client.message().await
    {
        readies += u32::from(message.tag == b'Z');
        messages.push(message);
    }
    messages
}

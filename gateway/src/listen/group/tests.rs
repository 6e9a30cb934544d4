use super::*;
use crate::listen::bind::{Sharing, listen_on};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Listeners that take the port over, one after the other.
const HANDOVERS: usize = 3;

/// Clients that connect all the time.
const CLIENTS: usize = 16;

/// The least that is tried while one listener follows the other.
const CONNECTS_MIN: usize = 5_000;

fn listener(address: SocketAddr) -> TcpListener {
    listen_on(address, Sharing::Shared).expect("it can be shared")
}

/// Says a word to whoever arrives.
fn greet(mut stream: TcpStream, _peer: SocketAddr) {
    tokio::spawn(async move {
        let _ = stream.write_all(b"!").await;
        // The client closes first: no port of the listener's is left waiting.
        let _ = stream.read(&mut [0]).await;
    });
}

async fn connects_until_over(address: SocketAddr, is_over: Arc<AtomicBool>, count: Arc<AtomicUsize>) {
    while !is_over.load(Ordering::Acquire) {
        let mut stream = TcpStream::connect(address).await.expect("somebody listens");
        let mut word = [0];
        stream.read_exact(&mut word).await.expect("whoever has got the connection says something");
        count.fetch_add(1, Ordering::AcqRel);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_connection_is_lost_when_one_listener_follows_the_other() {
    let mut old = listener(([127, 0, 0, 1], 0).into());
    let address = old.local_addr().expect("it is bound");
    let (is_over, count) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(connects_until_over(address, Arc::clone(&is_over), Arc::clone(&count)));
    }
    for _ in 0..HANDOVERS {
        let new = listener(address);
        let place = Place::of(&old, address).expect("the system tells");
        assert_eq!(place.others().expect("the system tells"), 1);
        let serving = tokio::spawn(async move {
            let mut before = Box::pin(async {
                leave(&old, &mut greet).await;
                drop(old);
            });
            loop {
                tokio::select! {
                    () = &mut before => return new,
                    accepted = new.accept() => greet(accepted.expect("a connection").0, address),
                }
            }
        });
        old = serving.await.expect("it served");
    }
    let enough = async {
        while count.load(Ordering::Acquire) < CONNECTS_MIN {
            let (stream, peer) = old.accept().await.expect("a connection");
            greet(stream, peer);
        }
        is_over.store(true, Ordering::Release);
        loop {
            let (stream, peer) = old.accept().await.expect("a connection");
            greet(stream, peer);
        }
    };
    let clients = async {
        while let Some(ended) = clients.join_next().await {
            ended.expect("no connection failed");
        }
    };
    tokio::select! { () = clients => {}, () = enough => {} }
}

#[tokio::test]
async fn of_three_two_go_on_and_get_everything() {
    let first = listener(([127, 0, 0, 1], 0).into());
    let address = first.local_addr().expect("it is bound");
    let (second, third) = (listener(address), listener(address));
    // The one in the middle.
    steer::to_the_others(&second, &mut |_, _| {}).await.expect("the kernel does it");
    let mut arrived = [0, 0];
    for _ in 0..200 {
        let _client = TcpStream::connect(address).await.expect("two listen");
        tokio::select! {
            _ = first.accept() => arrived[0] += 1,
            _ = second.accept() => panic!("it has left"),
            _ = third.accept() => arrived[1] += 1,
        }
    }
    assert!(arrived.iter().all(|count| *count > 20), "{arrived:?}");
}

#[tokio::test]
async fn who_is_alone_cannot_leave_a_group() {
    let alone = listener(([127, 0, 0, 1], 0).into());
    steer::to_the_others(&alone, &mut |_, _| {}).await.expect_err("there is nobody");
}

/// A listener whose queue is full, so that a connection to it takes longer than anybody waits.
async fn overrun() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseport(true).expect("it can be shared");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let listener = socket.listen(1).expect("it listens");
    let address = listener.local_addr().expect("it is bound");
    let mut queue = Vec::new();
    while let Ok(client) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        queue.push(client.expect("it listens"));
    }
    (listener, queue)
}

#[tokio::test]
async fn who_cannot_steer_leaves_the_choice_to_the_kernel() {
    let (other, _queue) = overrun().await;
    let address = other.local_addr().expect("it is bound");
    let leaving = listener(address);
    leave(&leaving, &mut |_, _| {}).await;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(TcpStream::connect(address));
    }
    // They would all be the other's, which nobody would say otherwise to any more.
    let arrived = timeout(Duration::from_secs(30), leaving.accept()).await;
    arrived.expect("some arrive here").expect("a connection");
}

//! Where connections go, and that they move when a thread is busy.

use super::balance::{Moves, Seen, moves};
use super::*;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// What worker `own` gives away, of workers that are so busy with so many active connections.
fn given_away(own: usize, workers: &[(u32, u32)]) -> Option<(usize, u32)> {
    let seen = workers.iter().map(|&(busy, active)| Seen { busy, active });
    moves(own, seen.clone().nth(own).expect("one of them"), seen).map(|Moves { to, count }| (to, count))
}

#[test]
fn a_busy_worker_gives_some_of_its_active_connections_to_the_least_busy_one() {
    assert_eq!(given_away(0, &[(1000, 40), (800, 1), (200, 50)]), Some((2, 8)));
    assert_eq!(given_away(1, &[(0, 0), (1000, 2)]), Some((0, 1)));
    assert_eq!(given_away(0, &[(900, 40), (700, 40)]), None, "the other is not much less busy");
    assert_eq!(given_away(0, &[(1000, 1), (1000, 0)]), None, "it would be as busy there");
    assert_eq!(given_away(0, &[(1000, 40)]), None, "there is no other");
}

#[test]
fn workers_that_are_all_too_busy_have_as_many_connections() {
    assert_eq!(given_away(0, &[(1000, 160), (950, 90), (1000, 40)]), Some((2, 30)));
    assert_eq!(given_away(2, &[(1000, 160), (950, 90), (1000, 40)]), None, "it has the fewest");
    assert_eq!(given_away(0, &[(1000, 110), (1000, 90)]), None, "they would move for ever");
    assert_eq!(given_away(0, &[(1000, 3), (1000, 0)]), None, "they are few");
}

#[test]
fn what_one_worker_can_do_one_worker_does() {
    assert_eq!(given_away(1, &[(300, 9), (200, 9)]), Some((0, 9)));
    assert_eq!(given_away(1, &[(400, 9), (300, 9)]), None, "together they are too much");
    assert_eq!(given_away(0, &[(200, 9), (0, 0)]), None, "they gather at the first");
    assert_eq!(given_away(1, &[(0, 0), (0, 0)]), None, "there is nothing to move");
}

/// Answers bytes, each on the other worker than the one before.
async fn serve(mut stream: TcpStream, told: mpsc::UnboundedSender<WorkerId>) {
    while stream.read_u8().await.is_ok() {
        let here = WorkerId::current().expect("on a worker's thread");
        told.send(here).expect("somebody listens");
        stream.write_u8(0).await.expect("the client reads");
        move_to(WorkerId(1 - here.0)).await;
    }
}

#[tokio::test]
async fn a_connection_moves_with_all_that_it_has() {
    let workers = Workers::start(2).expect("two threads");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (tasks, (told, mut tells)) = (TaskTracker::new(), mpsc::unbounded_channel());
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens"));
        let (stream, _) = listener.accept().await.expect("a connection");
        let told = told.clone();
        workers.serve(&tasks, stream, |stream| serve(stream, told)).expect("a live socket");
    }
    let connections = || [0, 1].map(|index: usize| workers.workers[index].load.connections());
    assert_eq!(connections(), [4, 0], "the first worker has time for all");
    for expected in [0, 1, 0, 1] {
        for client in &mut clients {
            client.write_u8(0).await.expect("it is served");
            client.read_u8().await.expect("it is answered");
            assert_eq!(tells.recv().await, Some(WorkerId(expected)));
        }
    }
    drop(clients);
    tasks.close();
    tasks.wait().await;
    assert_eq!(connections(), [0, 0]);
    assert_eq!(WorkerId::current(), None);
}

/// Answers bytes where it is.
async fn stay(mut stream: TcpStream, told: mpsc::UnboundedSender<WorkerId>) {
    while stream.read_u8().await.is_ok() {
        told.send(WorkerId::current().expect("on a worker's thread")).expect("somebody listens");
        stream.write_u8(0).await.expect("the client reads");
    }
}

/// Is over in the moment in which it was to move.
async fn end_on_the_move(_stream: TcpStream) {
    poll_fn(|cx| {
        let asked = pin!(move_to(WorkerId(1))).poll(cx);
        assert!(asked.is_pending());
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn a_task_that_ends_as_it_is_to_move_sends_nobody_else_there() {
    let workers = Workers::start(2).expect("two threads");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (tasks, (told, mut tells)) = (TaskTracker::new(), mpsc::unbounded_channel());
    let mut client = TcpStream::connect(address).await.expect("it listens");
    let (stays, _) = listener.accept().await.expect("a connection");
    workers.serve(&tasks, stays, |stream| stay(stream, told)).expect("a live socket");
    let mut other = TcpStream::connect(address).await.expect("it listens");
    let (ends, _) = listener.accept().await.expect("a connection");
    workers.serve(&tasks, ends, end_on_the_move).expect("a live socket");
    assert!(other.read_u8().await.is_err(), "it has ended");
    for _ in 0..3 {
        client.write_u8(0).await.expect("it is served");
        client.read_u8().await.expect("it is answered");
        assert_eq!(tells.recv().await, Some(WorkerId(0)));
    }
}

//! A network that misbehaves: a TCP proxy with faults that can be switched on and off.

use crate::wait::eventually;
use socket2::SockRef;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Small, so that faults happen between the pieces of a message too.
const CHUNK_BYTES: usize = 4096;

/// Which way bytes flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From who connected to the proxy's target.
    ToTarget,
    /// From the proxy's target to who connected.
    FromTarget,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Both sides see an orderly end.
    Close,
    /// Both sides see a reset.
    Reset,
    /// This direction ends in order; the other goes on.
    HalfClose,
    /// Nothing more arrives, and nothing ends: a cable was pulled.
    BlackHole,
}

/// What happens to the bytes of one direction, on open connections and on new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// They arrive.
    #[default]
    None,
    /// They arrive later.
    Latency(Duration),
    /// They arrive in pieces of at most so many bytes.
    Slices(usize),
    /// So many bytes of each connection arrive, counted from its beginning; then it ends.
    After(u64, End),
}

/// A TCP proxy in this process. Everything ends when it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    to_target: watch::Sender<Fault>,
    from_target: watch::Sender<Fault>,
    /// Raised to end all connections of the moment.
    cut: watch::Sender<Option<End>>,
    open: Arc<AtomicUsize>,
    passed: Arc<[AtomicU64; 2]>,
    accepting: JoinHandle<()>,
}

impl FaultProxy {
    /// Listens on a free port and passes every connection on to `target`.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let (to_target, to_target_seen) = watch::channel(Fault::None);
        let (from_target, from_target_seen) = watch::channel(Fault::None);
        let (cut, cut_seen) = watch::channel(None);
        let open = Arc::new(AtomicUsize::new(0));
        let passed = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
        let passing = Arc::clone(&passed);
        let counter = Arc::clone(&open);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let faults = (to_target_seen.clone(), from_target_seen.clone());
                let (cut, guard, passed) = (cut_seen.clone(), Open::count(&counter), Arc::clone(&passing));
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(target).await {
                        serve(client, server, faults, cut, &passed).await;
                    }
                    drop(guard);
                });
            }
        });
        Self { address, to_target, from_target, cut, open, passed, accepting }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Switches a fault on, or off again with [`Fault::None`].
    pub fn set(&self, direction: Direction, fault: Fault) {
        match direction {
            Direction::ToTarget => self.to_target.send_replace(fault),
            Direction::FromTarget => self.from_target.send_replace(fault),
        };
    }

    /// Ends all connections of the moment; new ones are not affected.
    pub fn end_all(&self, end: End) {
        self.cut.send_replace(Some(end));
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Bytes that have passed in one direction, over all connections.
    #[must_use]
    pub fn passed(&self, direction: Direction) -> u64 {
        self.passed[usize::from(direction == Direction::FromTarget)].load(Ordering::SeqCst)
    }

    /// Waits until so many connections are open.
    ///
    /// # Panics
    /// When that does not come about.
    pub async fn await_open(&self, count: usize) {
        let what = format!("{count} connections pass the proxy");
        eventually(&what, async || (self.open() == count).then_some(())).await;
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.end_all(End::Close);
    }
}

/// Counts a connection for as long as it is open.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn count(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(counter))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

type Faults = (watch::Receiver<Fault>, watch::Receiver<Fault>);

async fn serve(
    client: TcpStream,
    server: TcpStream,
    faults: Faults,
    mut cut: watch::Receiver<Option<End>>,
    passed: &[AtomicU64; 2],
) {
    // A proxy that gathers small packets would hide what it is to show.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    cut.mark_unchanged();
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let mut up = Pump { from: client_read, to: server_write, fault: faults.0, passed: 0, total: &passed[0] };
    let mut down =
        Pump { from: server_read, to: client_write, fault: faults.1, passed: 0, total: &passed[1] };
    let end = tokio::select! {
        end = both(&mut up, &mut down) => end,
        changed = cut.changed() => match changed {
            Ok(()) => cut.borrow().unwrap_or(End::Close),
            Err(_) => End::Close,
        },
    };
    match end {
        End::Close | End::HalfClose => {}
        End::BlackHole => {
            // Held open until somebody ends all connections.
            let _ = cut.changed().await;
        }
        End::Reset => {
            reset(up.to);
            reset(down.to);
        }
    }
}

/// Without lingering, closing sends a reset; but not after an orderly shutdown, which dropping the half
/// would be.
pub(crate) fn reset(half: OwnedWriteHalf) {
    let _ = SockRef::from(half.as_ref()).set_linger(Some(Duration::ZERO));
    half.forget();
}

/// Runs both directions until both have ended in order, or one has ended for both.
async fn both(up: &mut Pump<'_>, down: &mut Pump<'_>) -> End {
    let first = tokio::select! {
        end = up.run() => (end, true),
        end = down.run() => (end, false),
    };
    match first {
        (End::HalfClose, true) => down.run().await,
        (End::HalfClose, false) => up.run().await,
        (end, _) => end,
    }
}

struct Pump<'p> {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    fault: watch::Receiver<Fault>,
    passed: u64,
    total: &'p AtomicU64,
}

impl Pump<'_> {
    async fn run(&mut self) -> End {
        let mut buffer = [0_u8; CHUNK_BYTES];
        loop {
            let fault = *self.fault.borrow_and_update();
            let room = match fault {
                Fault::None | Fault::Latency(_) => CHUNK_BYTES,
                Fault::Slices(bytes) => bytes.clamp(1, CHUNK_BYTES),
                Fault::After(bytes, _) => {
                    usize::try_from(bytes.saturating_sub(self.passed)).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES)
                }
            };
            if let (0, Fault::After(_, end)) = (room, fault) {
                return self.end(end).await;
            }
            let read = tokio::select! {
                read = self.from.read(&mut buffer[..room]) => read,
                // Another fault may allow more or less.
                Ok(()) = self.fault.changed() => continue,
            };
            match read {
                Ok(0) => return self.end(End::HalfClose).await,
                Ok(count) => {
                    if let Fault::Latency(delay) = fault {
                        tokio::time::sleep(delay).await;
                    }
                    if self.to.write_all(&buffer[..count]).await.is_err() {
                        return End::Reset;
                    }
                    let count = u64::try_from(count).unwrap_or(u64::MAX);
                    self.passed += count;
                    self.total.fetch_add(count, Ordering::SeqCst);
                }
                Err(_) => return End::Reset,
            }
        }
    }

    async fn end(&mut self, end: End) -> End {
        if end == End::HalfClose {
            let _ = self.to.shutdown().await;
        }
        end
    }
}

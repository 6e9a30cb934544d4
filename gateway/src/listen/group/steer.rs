//! To which listener of a group the kernel gives a new connection: programs of classic BPF, which need no privilege.
//!
//! The kernel numbers the listeners of a group from 0 and runs the group's program, if it has one, for each new
//! connection: its result is the number of the listener that gets it, and one that no listener has leaves the choice
//! to the kernel (SO_ATTACH_REUSEPORT_CBPF in socket(7)). It tells nobody their number. A listener finds its own by
//! steering everything to one number after the other and connecting to itself; all that arrives meanwhile is served
//! by whoever gets it.

use super::Place;
use nix::libc;
use nix::sys::socket::{setsockopt, sockopt::AttachReusePortCbpf};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A connection of ours that has not arrived after this long, while nothing else arrived either, is another's. The
/// kernel queues it before `connect` returns.
const ARRIVAL_MAX: Duration = Duration::from_millis(100);

/// Others may come and go meanwhile, and on a machine that is busy a connection may come late or find no descriptor
/// left. It is then tried again, this often at most.
const ATTEMPTS_MAX: usize = 5;

/// What arrives between two attempts is served for so long.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(100);

/// `SKF_AD_OFF + SKF_AD_RANDOM` of `linux/filter.h`: a random number instead of a packet's bytes.
const RANDOM: u32 = 0xffff_f000 + 56;

/// Instructions of `linux/bpf_common.h`.
const LOAD_WORD: u16 = 0x20;
const MODULO: u16 = 0x94;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN_NUMBER: u16 = 0x06;
const RETURN_RESULT: u16 = 0x16;

/// Has the kernel give nothing more to this listener. `enter` gets what arrives meanwhile. If that fails, the choice is
/// the kernel's again: nobody but this listener would end what an attempt had steered to one of them.
///
/// # Errors
/// There is no other listener, the system does not let us, or every attempt came to nothing.
pub(super) async fn to_the_others(
    listener: &TcpListener,
    enter: &mut impl FnMut(TcpStream, SocketAddr),
) -> io::Result<()> {
    let place = Place::of(listener, listener.local_addr()?)?;
    let mut attempts = 0;
    loop {
        let others = u32::try_from(place.others()?).unwrap_or(u32::MAX);
        if others == 0 {
            return Err(io::Error::other("nobody else listens there"));
        }
        let Err(reason) = to_so_many_others(listener, others, enter).await else { return Ok(()) };
        no_preference(listener)?;
        attempts += 1;
        if attempts == ATTEMPTS_MAX {
            return Err(reason);
        }
        tracing::debug!(%reason, "new connections could not be steered to the others yet");
        super::take_in(listener, ATTEMPT_PAUSE, enter).await;
    }
}

/// One attempt.
async fn to_so_many_others(
    listener: &TcpListener,
    others: u32,
    enter: &mut impl FnMut(TcpStream, SocketAddr),
) -> io::Result<()> {
    let own = own_number(listener, others, enter).await?;
    attach(listener, &mut all_but(own, others))?;
    if arrives_here(listener, enter).await? {
        return Err(io::Error::other("connections go on arriving here"));
    }
    Ok(())
}

/// Leaves the choice to the kernel, whatever the group has been told before.
///
/// # Errors
/// The system does not let us; it may know no such programs.
pub fn no_preference<S: AsFd>(listener: &S) -> io::Result<()> {
    attach(listener, &mut [instruction(RETURN_NUMBER, u32::MAX)])
}

async fn own_number(
    listener: &TcpListener,
    others: u32,
    enter: &mut impl FnMut(TcpStream, SocketAddr),
) -> io::Result<u32> {
    for number in 0..=others {
        attach(listener, &mut [instruction(RETURN_NUMBER, number)])?;
        if arrives_here(listener, enter).await? {
            return Ok(number);
        }
    }
    Err(io::Error::other("connections arrive here by no number"))
}

/// Every listener but number `own`, one as often as the other. When that one has left, the last one takes its number:
/// so the last number also stands for it, and nobody has it then, which leaves the choice to the kernel.
fn all_but(own: u32, others: u32) -> [libc::sock_filter; 5] {
    [
        instruction(LOAD_WORD, RANDOM),
        instruction(MODULO, others),
        libc::sock_filter { jt: 0, jf: 1, ..instruction(JUMP_IF_EQUAL, own) },
        instruction(RETURN_NUMBER, others),
        instruction(RETURN_RESULT, 0),
    ]
}

const fn instruction(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf: 0, k }
}

fn attach<S: AsFd>(listener: &S, program: &mut [libc::sock_filter]) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    Ok(setsockopt(listener, AttachReusePortCbpf, &program)?)
}

/// Does a connection to the address arrive at this listener?
async fn arrives_here(
    listener: &TcpListener,
    enter: &mut impl FnMut(TcpStream, SocketAddr),
) -> io::Result<bool> {
    let ours = timeout(ARRIVAL_MAX, TcpStream::connect(reachable(listener.local_addr()?))).await??;
    let ours_comes_from = ours.local_addr()?;
    loop {
        match timeout(ARRIVAL_MAX, listener.accept()).await {
            Ok(Ok((_, peer))) if peer == ours_comes_from => return Ok(true),
            Ok(Ok((stream, peer))) => enter(stream, peer),
            Ok(Err(error)) => return Err(error),
            Err(_elapsed) => return Ok(false),
        }
    }
}

/// Where to reach a listener from here.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

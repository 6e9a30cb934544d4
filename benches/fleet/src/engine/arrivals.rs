//! Issuing requests: when their time has come, or when a user has had its last answer.

use super::RunError;
use super::lane::{Job, Shard};
use super::timer::Timer;
use crate::draw::Draw;
use crate::plan::Arrivals;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Arrivals that are all due by now are issued so many at a time; then answers are read.
const BURST: u32 = 32;

/// A user that was refused or failed asks again after this, or it would do nothing else.
pub(super) const USER_PAUSE: Duration = Duration::from_millis(10);

/// Starts all streams of a thread.
pub(super) fn spawn(shard: &Rc<Shard>) -> Result<Vec<JoinHandle<Result<(), RunError>>>, RunError> {
    let mut arriving = Vec::new();
    for (index, lane) in shard.lanes.iter().enumerate() {
        match lane.stream.arrivals {
            Arrivals::Open(rate) => {
                let (shard, timer) = (shard.clone(), Timer::new()?);
                arriving.push(tokio::task::spawn_local(open(shard, index, rate, timer)));
            }
            Arrivals::Closed(users) => {
                let users = (0..users).filter(|user| shard.is_own(*user)).collect();
                arriving.push(tokio::task::spawn_local(closed(shard.clone(), index, users)));
            }
        }
    }
    Ok(arriving)
}

async fn open(shard: Rc<Shard>, lane: usize, rate: f64, mut timer: Timer) -> Result<(), RunError> {
    let mut draw = shard.draw(lane, 0);
    let (mut at, end) = (shard.begun(), shard.begun() + shard.length());
    let mut in_a_row = 0;
    while let Some(due) = at.checked_add(draw.gap(rate)).filter(|due| *due < end) {
        at = due;
        let (tenant, key) = (draw.tenant(), draw.key());
        if !shard.is_own(tenant) {
            continue;
        }
        if due > Instant::now() {
            timer.until(due).await?;
            in_a_row = 0;
        } else if in_a_row == BURST {
            tokio::task::yield_now().await;
            in_a_row = 0;
        }
        in_a_row += 1;
        shard.lanes[lane].late(&shard, due, due.elapsed());
        shard.issue(Job::new(&shard, lane, tenant, key, due, None));
    }
    Ok(())
}

/// Users begin together and are on their own from there: see [`next`].
async fn closed(shard: Rc<Shard>, lane: usize, users: Vec<u32>) -> Result<(), RunError> {
    tokio::time::sleep_until(shard.begun().into()).await;
    for user in users {
        next(&shard, lane, User(Rc::new(std::cell::RefCell::new(shard.draw(lane, user)))));
    }
    Ok(())
}

/// One of closed arrivals: what it asks next.
#[derive(Clone)]
pub(super) struct User(Rc<std::cell::RefCell<Draw>>);

/// Has a user ask, now.
pub(super) fn next(shard: &Rc<Shard>, lane: usize, user: User) {
    let now = Instant::now();
    if shard.window(now).is_none() {
        return;
    }
    let (tenant, key) = {
        let mut draw = user.0.borrow_mut();
        (draw.tenant(), draw.key())
    };
    shard.issue(Job::new(shard, lane, tenant, key, now, Some(user)));
}

/// Has a user ask after a pause.
pub(super) fn next_after_pause(shard: &Rc<Shard>, lane: usize, user: User) {
    let shard = shard.clone();
    tokio::task::spawn_local(async move {
        tokio::time::sleep(USER_PAUSE).await;
        next(&shard, lane, user);
    });
}

//! The lease on one tenant's rate.

use crate::admit::rate::{Meter, Standing};
use catalog_schema::{RATE_WHOLE, RateClaim, RateShare};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a tenant waits for its first share. Then it has an even part: the catalog is away, or there are too many.
const FIRST_ANSWER_MAX: Duration = Duration::from_secs(1);

/// A demand that was measured over less says little.
const MEASURED_MIN: Duration = Duration::from_millis(400);

/// What is in force, and what the catalog was told.
pub(super) struct Lease {
    meter: Arc<Meter>,
    standing: Standing,
    came: Instant,
    /// When the share ends that was told last.
    expires: Option<Instant>,
    is_lapsed: bool,
    /// What the tenant could use, as of the last measurement, and whether it was held up since.
    wanted: u32,
    is_held_up: bool,
    lacking: u32,
    has_shrunk: bool,
    measured: Instant,
    asked: u64,
    held_up: u64,
    /// When it last asked for something, as far as was looked.
    busy: (u64, Instant),
}

impl Lease {
    /// A tenant has begun to ask.
    pub(super) fn new(meter: Arc<Meter>, now: Instant) -> Self {
        let (asked, ..) = meter.demand();
        Self {
            meter,
            standing: Standing::Awaited,
            came: now,
            expires: None,
            is_lapsed: false,
            wanted: 0,
            is_held_up: false,
            lacking: 0,
            has_shrunk: false,
            measured: now,
            asked: 0,
            held_up: 0,
            busy: (asked, now),
        }
    }

    pub(super) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    pub(super) fn stand(&mut self, standing: Standing) {
        if self.standing != standing {
            self.standing = standing;
            self.meter.stand(standing);
        }
    }

    /// Lets it end in time; the catalog counts on it for `longer`. Says whether a share has just been lost.
    pub(super) fn age(&mut self, gateways: u32, longer: Duration, now: Instant) -> bool {
        let even = Standing::Even.in_force(gateways);
        match (self.standing, self.expires) {
            (Standing::Awaited, _) if now >= self.came + FIRST_ANSWER_MAX => self.stand(Standing::Even),
            (Standing::Share(share), Some(expires)) if now >= expires => {
                let has_lost = !std::mem::replace(&mut self.is_lapsed, true);
                // By then the shares of others that have lost the catalog too have ended.
                let is_given_up = now >= expires + longer;
                self.stand(if is_given_up { Standing::Even } else { Standing::Share(share.min(even)) });
                return has_lost;
            }
            _ => {}
        }
        false
    }

    /// Measures what the tenant could use: what it has asked for and half as much again, or all when it was held up.
    pub(super) fn measure(&mut self, gateways: u32, now: Instant) {
        let (asked, held_up, per_second) = self.meter.demand();
        self.is_held_up = held_up > self.held_up;
        let took = now.duration_since(self.measured);
        if self.is_held_up {
            self.wanted = RATE_WHOLE;
        } else if took >= MEASURED_MIN {
            self.wanted = part_of(asked.saturating_sub(self.asked), took, per_second);
        } else {
            self.wanted = self.wanted.max(Standing::Even.in_force(gateways));
        }
        if self.is_held_up || took >= MEASURED_MIN {
            (self.measured, self.asked, self.held_up) = (now, asked, held_up);
        }
    }

    /// Who needs a lease most has the most of it.
    pub(super) fn need(&self) -> (bool, u32) {
        (self.is_held_up, self.wanted)
    }

    pub(super) fn claim(&mut self, gateways: u32) -> RateClaim {
        self.has_shrunk = false;
        let in_force = self.standing.in_force(gateways);
        RateClaim { tenant: self.meter.tenant(), in_force, wanted: self.wanted }
    }

    /// Puts an answer in force.
    pub(super) fn told(&mut self, told: &RateShare, expires: Instant) {
        self.has_shrunk = matches!(self.standing, Standing::Share(share) if told.share < share);
        (self.lacking, self.expires, self.is_lapsed) = (told.lacking, Some(expires), false);
        self.stand(Standing::Share(told.share));
    }

    /// The catalog is to be asked before the next heartbeat: others have what is due to it, or wait for what it has
    /// given up, or it could use more than it has said.
    pub(super) fn wants_more(&self) -> bool {
        let (_, held_up, _) = self.meter.demand();
        let has_more_to_do = held_up > self.held_up && self.wanted < RATE_WHOLE;
        let has_all = self.standing == Standing::Share(RATE_WHOLE);
        self.lacking > 0 || self.has_shrunk || (has_more_to_do && !has_all)
    }

    /// How long it has asked for nothing.
    pub(super) fn has_been_quiet_for(&mut self, now: Instant) -> Duration {
        let (asked, _, _) = self.meter.demand();
        if asked != self.busy.0 {
            self.busy = (asked, now);
        }
        now.duration_since(self.busy.1)
    }
}

/// So many requests in a time, and half as many more, as a part of so many a second.
fn part_of(asked: u64, took: Duration, per_second: u32) -> u32 {
    let (took_ms, per_second) = (took.as_millis().max(1), u128::from(per_second.max(1)));
    let a_second = u128::from(asked) * 1_500 * u128::from(RATE_WHOLE) / took_ms / per_second;
    u32::try_from(a_second).unwrap_or(RATE_WHOLE).min(RATE_WHOLE)
}

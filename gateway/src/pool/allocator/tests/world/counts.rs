//! What pools hold and lack, as those who hold it count, and that the allocator counts the same.

use super::World;

impl World {
    /// Connections that the pool has or opens.
    pub(in super::super) fn open_in(&self, pool: usize) -> u32 {
        let pool = &self.pools[pool];
        pool.opening + pool.leased + u32::try_from(pool.idle.len()).expect("few")
    }

    /// The pools of this one's tenant, with itself.
    pub(super) fn group(&self, pool: usize) -> &[usize] {
        &self.tenants[self.pools[pool].tenant].1
    }

    /// Connections that the pool and its siblings have or open.
    pub(in super::super) fn open_beside(&self, pool: usize) -> u32 {
        self.group(pool).iter().map(|pool| self.open_in(*pool)).sum()
    }

    /// The same, and those that they have closed and that the server has not let go of.
    pub(in super::super) fn held_beside(&self, pool: usize) -> u32 {
        self.group(pool).iter().map(|pool| self.held_by(*pool)).sum()
    }

    /// Connections that the pool has or opens, and those that it has closed and that the server has not let go of.
    pub(in super::super) fn held_by(&self, pool: usize) -> u32 {
        self.open_in(pool) + self.pools[pool].closing
    }

    /// Permits that are out, as those who hold them count.
    pub(in super::super) fn held(&self) -> u32 {
        (0..self.pools.len()).map(|pool| self.held_by(pool)).sum()
    }

    pub(super) fn wanted(&self, pool: usize) -> u32 {
        let room = self.pools[pool].terms.cap.saturating_sub(self.open_in(pool));
        self.pools[pool].waiters.saturating_sub(self.pools[pool].opening).min(room)
    }

    /// The same of the pool and its siblings, as far as they may have more and not too many are ending.
    fn lacking_beside(&self, pool: usize) -> u32 {
        let wanted: u32 = self.group(pool).iter().map(|pool| self.wanted(*pool)).sum();
        let cap = self.pools[pool].terms.cap;
        let room = cap.saturating_sub(self.open_beside(pool));
        wanted.min(room).min((2 * cap).saturating_sub(self.held_beside(pool)))
    }

    /// What holds whenever everything was carried out.
    pub(super) fn check(&self) {
        let holdings = self.allocator.holdings();
        assert_eq!(holdings.held, self.held(), "no permit is lost or made");
        assert_eq!(holdings.closing, self.pools.iter().map(|pool| pool.closing).sum::<u32>());
        let first_of_each = self.tenants.iter().filter_map(|(_, pools)| pools.first());
        let lacking: u32 = first_of_each.map(|pool| self.lacking_beside(*pool)).sum();
        assert_eq!(holdings.wanted, lacking);
        let free = self.allocator.in_force().saturating_sub(holdings.held);
        assert!(lacking == 0 || free <= holdings.reserved, "{free} free, {lacking} lacking");
        assert!(holdings.reserved <= holdings.limit);
        let long: u32 = self.pools.iter().map(|pool| pool.long).sum();
        assert_eq!(holdings.long.iter().sum::<u32>(), long);
    }
}

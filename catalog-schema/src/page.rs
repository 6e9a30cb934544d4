//! Lists are read in pages, each continuing after the last thing of the one before.

/// The most that one page holds, whatever was asked for.
pub const PAGE_LIMIT_MAX: u32 = 1_000;

/// Which part of a list is wanted. Things made or removed meanwhile shift nothing: the cursor is the
/// last thing seen, not a count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<Id> {
    /// Continue after this one; `None` begins at the first.
    pub after: Option<Id>,
    /// At most this many; never more than [`PAGE_LIMIT_MAX`].
    pub limit: u32,
}

impl<Id> Page<Id> {
    /// The first `limit`.
    #[must_use]
    pub const fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }

    /// The next `limit` after `id`.
    #[must_use]
    pub const fn after(id: Id, limit: u32) -> Self {
        Self { after: Some(id), limit }
    }

    pub(crate) fn limit(&self) -> i64 {
        i64::from(self.limit.min(PAGE_LIMIT_MAX))
    }
}

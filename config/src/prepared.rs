//! Prepared statements: which are kept, and how much of them.

use crate::section::Section;
use serde::Serialize;

/// How the gateway keeps prepared statements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreparedConfig {
    /// `prepared.cache_unnamed`: a text that comes again as an unnamed statement is prepared once a server
    /// connection and not at each use, true. Its plan may then become a generic one, as for a named
    /// statement (`plan_cache_mode` decides). False costs the servers a parse and a plan at each use.
    pub cache_unnamed: bool,
    /// `prepared.statements_per_server_max`: statements prepared on one server connection, 500; the one
    /// unused longest is closed for the next. Each costs the server some kilobytes, and too few make it
    /// prepare the same ones over and over.
    pub statements_per_server_max: usize,
    /// `prepared.bytes_per_server_max`: their texts together, bytes, 8,388,608. A single larger one stays.
    pub bytes_per_server_max: usize,
    /// `prepared.bytes_per_pool_max`: texts that the clients of one pool have prepared, each counted once,
    /// and texts kept to be recognised, bytes, 33,554,432. What nobody uses makes room, the longest unused
    /// first; when all are in use, one more is refused.
    pub bytes_per_pool_max: usize,
    /// `prepared.bytes_max`: those of all pools, bytes, 536,870,912. Bounds what all tenants together can
    /// have the gateway keep.
    pub bytes_max: usize,
}

impl Default for PreparedConfig {
    fn default() -> Self {
        Self {
            cache_unnamed: true,
            statements_per_server_max: 500,
            bytes_per_server_max: 8 * 1024 * 1024,
            bytes_per_pool_max: 32 * 1024 * 1024,
            bytes_max: 512 * 1024 * 1024,
        }
    }
}

impl PreparedConfig {
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        const BYTES_MOST: usize = 1024 * 1024 * 1024;
        let defaults = Self::default();
        let mut bytes = |key, default| section.number(key, default, &(16 * 1024..=BYTES_MOST));
        let bytes_per_server_max = bytes("bytes_per_server_max", defaults.bytes_per_server_max);
        let bytes_per_pool_max = bytes("bytes_per_pool_max", defaults.bytes_per_pool_max);
        let bytes_max = bytes("bytes_max", defaults.bytes_max);
        let read = Self {
            cache_unnamed: section.flag("cache_unnamed", defaults.cache_unnamed),
            statements_per_server_max: section.number(
                "statements_per_server_max",
                defaults.statements_per_server_max,
                &(1..=100_000),
            ),
            bytes_per_server_max,
            bytes_per_pool_max,
            bytes_max,
        };
        section.finish();
        read
    }
}

//! The limits that plans and tenants have, named once for all bodies that show or change them. A limit that is missing
//! here cannot be set by anybody.

use super::problem::{ApiResult, Problem, ProblemKind};
use catalog_schema::Entitlement;
use serde::{Deserialize, Deserializer, Serialize};
use tenancy::{Limits, WEIGHT_MAX};
use utoipa::ToSchema;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Source {
    /// The tenant's plan has it.
    Plan,
    /// The tenant has it of its own, in place of its plan's.
    Override,
}

/// What is in force for a tenant, and where it comes from.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Entitled<T> {
    /// What is in force.
    value: T,
    /// Where it comes from.
    source: Source,
}

impl<T> Entitled<T> {
    fn of(own: Option<T>, plan: T) -> Self {
        match own {
            Some(value) => Self { value, source: Source::Override },
            None => Self { value: plan, source: Source::Plan },
        }
    }
}

/// Tells a null, which means the plan's, from a field that is not there.
fn given<'de, D, T>(value: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(value).map(Some)
}

/// For each limit its meaning, its name, its type, and what the schema of a body that sets it says of its range.
macro_rules! limits {
    ($($(#[doc = $meaning:literal])+ $name:ident: $number:ty [$($range:tt)*],)+) => {
        /// What a tenant may. 0 stands for no limit where that is in the range.
        #[derive(Debug, Clone, Copy, Serialize, ToSchema)]
        pub(super) struct LimitsShown {
            $($(#[doc = $meaning])+ $name: $number,)+
        }

        impl From<Limits> for LimitsShown {
            fn from(limits: Limits) -> Self {
                let Limits { $($name),+ } = limits;
                Self { $($name),+ }
            }
        }

        /// A plan to add. What is left out is as in the plan `standard` of a new catalog.
        #[derive(Debug, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct PlanCreate {
            /// Its name: lower-case letters, digits and hyphens.
            #[schema(example = "premium")]
            pub(super) name: String,
            $($(#[doc = $meaning])+ #[schema($($range)*)] $name: Option<$number>,)+
        }

        impl PlanCreate {
            /// The limits that are given.
            pub(super) fn limits(&self) -> Entitlement {
                Entitlement { $($name: self.$name),+ }
            }
        }

        /// What is to change of a plan; what is left out stays.
        #[derive(Debug, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct PlanUpdate {
            $($(#[doc = $meaning])+ #[schema($($range)*)] $name: Option<$number>,)+
        }

        impl PlanUpdate {
            /// The limits that are given.
            pub(super) fn limits(&self) -> Entitlement {
                Entitlement { $($name: self.$name),+ }
            }
        }

        /// What is to change: a number, or null for the plan's; what is left out stays.
        #[derive(Debug, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct EntitlementsUpdate {
            $(
                $(#[doc = $meaning])+
                #[serde(default, deserialize_with = "given")]
                #[schema(value_type = Option<$number>, $($range)*)]
                $name: Option<Option<$number>>,
            )+
        }

        impl EntitlementsUpdate {
            /// What a tenant has of its own after this change.
            pub(super) fn over(&self, own: Entitlement) -> Entitlement {
                Entitlement { $($name: self.$name.unwrap_or(own.$name)),+ }
            }
        }

        /// What a tenant may. 0 stands for no limit where that is in the range.
        #[derive(Debug, Serialize, ToSchema)]
        pub(super) struct Entitlements {
            $($(#[doc = $meaning])+ $name: Entitled<$number>,)+
        }

        impl Entitlements {
            /// The plan's, with what a tenant has of its own over it.
            pub(super) fn of(own: &Entitlement, plan: &Limits) -> Self {
                Self { $($name: Entitled::of(own.$name, plan.$name)),+ }
            }
        }
    };
}

limits! {
    /// Server connections that a tenant may use at once, at each gateway.
    pool_size: u32 [minimum = 1, maximum = 1_000_000],
    /// Clients that a tenant may have at once, at each gateway.
    client_limit: u32 [minimum = 1, maximum = 1_000_000],
    /// Clients that may wait for a server connection, at each gateway.
    queue_limit: u32 [minimum = 1, maximum = 1_000_000],
    /// How long a client waits for a server connection before it is refused, in milliseconds.
    checkout_timeout_ms: u32 [minimum = 1, maximum = 3_600_000],
    /// Server connections that others of the cluster take none of while the tenant wants them; at most `pool_size`.
    floor: u32 [minimum = 0, maximum = 1_000_000],
    /// What is due to the tenant beside others when there are not enough server connections for all.
    weight: u32 [minimum = 1, maximum = 1_000],
    /// Requests a second, over all gateways; 0 for no limit.
    requests_per_second: u32 [minimum = 0, maximum = 10_000_000],
    /// Requests that may come at once before `requests_per_second` holds; 0 for as many as that.
    request_burst: u32 [minimum = 0, maximum = 10_000_000],
    /// How long a statement may run, in milliseconds, at least 100; 0 for no limit of the tenant's.
    statement_timeout_ms: u32 [minimum = 0, maximum = 86_400_000],
    /// How long a transaction may wait for its client, in milliseconds, at least 100; 0 for no limit of the tenant's.
    idle_in_transaction_timeout_ms: u32 [minimum = 0, maximum = 86_400_000],
    /// PostgreSQL's `work_mem` for the tenant's sessions, in kilobytes, at least 64; 0 for the server's.
    work_mem_kb: u32 [minimum = 0, maximum = 16_777_216],
    /// The result of one HTTP request, in bytes; 0 for no limit of the tenant's.
    result_bytes_max: u64 [minimum = 0, maximum = 1_125_899_906_842_624_u64],
    /// The body of one HTTP request, in bytes; 0 for no limit of the tenant's.
    body_bytes_max: u64 [minimum = 0, maximum = 1_125_899_906_842_624_u64],
    /// What the tenant's database may take before its owner is warned, in bytes; 0 for never.
    storage_soft_bytes: u64 [minimum = 0, maximum = 1_125_899_906_842_624_u64],
    /// What the tenant's database may take before it is read-only, in bytes; 0 for no limit.
    storage_hard_bytes: u64 [minimum = 0, maximum = 1_125_899_906_842_624_u64],
}

/// Far above what a server bears, far below where sums overflow.
const COUNT_MAX: u64 = 1_000_000;

/// An hour: nobody waits longer for a connection.
const CHECKOUT_TIMEOUT_MS_MAX: u64 = 3_600_000;

/// No installation serves more.
const RATE_MAX: u64 = 10_000_000;

/// Within less, a gateway could not even log in.
const TIMEOUT_MS_MIN: u64 = 100;

/// A day.
const TIMEOUT_MS_MAX: u64 = 86_400_000;

/// PostgreSQL takes no less: <https://www.postgresql.org/docs/current/runtime-config-resource.html#GUC-WORK-MEM>.
const WORK_MEM_KB_MIN: u64 = 64;

/// 16 GiB, for each sort of each session.
const WORK_MEM_KB_MAX: u64 = 16 * 1024 * 1024;

/// A pebibyte.
const BYTES_MAX: u64 = 1 << 50;

/// A limit and the range that it has to be in. Where `none` holds, 0 is none and in the range as well.
struct Range {
    name: &'static str,
    value: u64,
    least: u64,
    most: u64,
    none: bool,
}

impl Range {
    fn of(name: &'static str, value: impl Into<u64>, least: u64, most: u64) -> Self {
        Self { name, value: value.into(), least, most, none: false }
    }

    fn or_none(self) -> Self {
        Self { none: true, ..self }
    }

    fn is_kept(&self) -> bool {
        (self.least..=self.most).contains(&self.value) || (self.none && self.value == 0)
    }

    fn says(&self) -> String {
        let Self { name, least, most, .. } = self;
        match *name {
            "floor" => format!("{name} is {least} to the pool_size, {most}"),
            "storage_soft_bytes" => format!("{name} is {least} to the storage_hard_bytes, {most}"),
            _ if self.none && *least > 0 => format!("{name} is 0 or {least} to {most}"),
            _ => format!("{name} is {least} to {most}"),
        }
    }
}

/// Are these limits that a tenant can live with?
pub(super) fn check(limits: &Limits) -> ApiResult<()> {
    let hard = Some(limits.storage_hard_bytes).filter(|bytes| *bytes > 0).unwrap_or(BYTES_MAX);
    let ranges = [
        Range::of("pool_size", limits.pool_size, 1, COUNT_MAX),
        Range::of("client_limit", limits.client_limit, 1, COUNT_MAX),
        Range::of("queue_limit", limits.queue_limit, 1, COUNT_MAX),
        Range::of("checkout_timeout_ms", limits.checkout_timeout_ms, 1, CHECKOUT_TIMEOUT_MS_MAX),
        Range::of("weight", limits.weight, 1, WEIGHT_MAX.into()),
        Range::of("floor", limits.floor, 0, limits.pool_size.into()),
        Range::of("requests_per_second", limits.requests_per_second, 0, RATE_MAX),
        Range::of("request_burst", limits.request_burst, 0, RATE_MAX),
        Range::of("statement_timeout_ms", limits.statement_timeout_ms, TIMEOUT_MS_MIN, TIMEOUT_MS_MAX)
            .or_none(),
        Range::of(
            "idle_in_transaction_timeout_ms",
            limits.idle_in_transaction_timeout_ms,
            TIMEOUT_MS_MIN,
            TIMEOUT_MS_MAX,
        )
        .or_none(),
        Range::of("work_mem_kb", limits.work_mem_kb, WORK_MEM_KB_MIN, WORK_MEM_KB_MAX).or_none(),
        Range::of("result_bytes_max", limits.result_bytes_max, 0, BYTES_MAX),
        Range::of("body_bytes_max", limits.body_bytes_max, 0, BYTES_MAX),
        Range::of("storage_hard_bytes", limits.storage_hard_bytes, 0, BYTES_MAX),
        Range::of("storage_soft_bytes", limits.storage_soft_bytes, 0, hard),
    ];
    ranges.iter().find(|range| !range.is_kept()).map_or(Ok(()), |range| {
        Err(Problem::new(ProblemKind::InvalidField).detail(range.says()).field(range.name))
    })
}

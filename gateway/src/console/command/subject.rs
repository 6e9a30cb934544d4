//! What can be shown, and the word for it.

/// What can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Addresses that ask for too much.
    Addresses,
    /// Clients.
    Clients,
    /// Clusters and their budgets.
    Clusters,
    /// Settings.
    Config,
    /// Tenants, as PgBouncer shows databases.
    Databases,
    /// The commands.
    Help,
    /// How many there are of each thing.
    Lists,
    /// Memory of what grows with use.
    Mem,
    /// Pools.
    Pools,
    /// Why a tenant goes where it goes.
    Route,
    /// Server connections.
    Servers,
    /// Is everything paused?
    State,
    /// Totals and averages of each tenant.
    Stats,
    /// Averages of each tenant.
    StatsAverages,
    /// Totals of each tenant.
    StatsTotals,
    /// Tenants.
    Tenants,
    /// Totals and averages of all tenants together.
    Totals,
    /// Users who are connected.
    Users,
    /// The gateway's version.
    Version,
}

impl Subject {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Addresses,
        Self::Clients,
        Self::Clusters,
        Self::Config,
        Self::Databases,
        Self::Help,
        Self::Lists,
        Self::Mem,
        Self::Pools,
        Self::Route,
        Self::Servers,
        Self::State,
        Self::Stats,
        Self::StatsAverages,
        Self::StatsTotals,
        Self::Tenants,
        Self::Totals,
        Self::Users,
        Self::Version,
    ];

    /// The word after SHOW.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Addresses => "ADDRESSES",
            Self::Clients => "CLIENTS",
            Self::Clusters => "CLUSTERS",
            Self::Config => "CONFIG",
            Self::Databases => "DATABASES",
            Self::Help => "HELP",
            Self::Lists => "LISTS",
            Self::Mem => "MEM",
            Self::Pools => "POOLS",
            Self::Route => "ROUTE",
            Self::Servers => "SERVERS",
            Self::State => "STATE",
            Self::Stats => "STATS",
            Self::StatsAverages => "STATS_AVERAGES",
            Self::StatsTotals => "STATS_TOTALS",
            Self::Tenants => "TENANTS",
            Self::Totals => "TOTALS",
            Self::Users => "USERS",
            Self::Version => "VERSION",
        }
    }
}

//! A type per kind of id: a tenant's id in a cluster's place does not compile.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id. UUIDv7, so ids sort by the time they were made.
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id as the catalog stores it.
            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

typed_id!(
    /// One customer, for its whole life and beyond: the tombstone keeps it.
    TenantId
);
typed_id!(
    /// One PostgreSQL server.
    ClusterId
);
typed_id!(
    /// One password or API key of a tenant.
    CredentialId
);
typed_id!(
    /// One durable piece of work of the control plane.
    OperationId
);
typed_id!(
    /// One run of a gateway process; a restart is a new id, so a dead one is never mistaken for it.
    GatewayId
);
typed_id!(
    /// One person that the control plane knows.
    UserId
);
typed_id!(
    /// One time that a person has signed in.
    SessionId
);
typed_id!(
    /// One program of the installation that acts for tenants.
    ServiceId
);
typed_id!(
    /// One identity provider whose tokens open tenants.
    IssuerId
);
typed_id!(
    /// One role of a tenant's own.
    CustomRoleId
);
typed_id!(
    /// One invitation to a tenant.
    InviteId
);
typed_id!(
    /// One key that the control plane signs gateway tokens with; the tokens' `kid`.
    SigningKeyId
);

//! Has the tenant what its client is about to use?
//!
//! Asked where a use begins. A feature that is taken away ends nothing that has begun.

use crate::error::Refusal;
use crate::resolve::{Installation, Tenant};
use std::sync::Arc;
use tenancy::{BuiltIn, ErrorKind};

/// What one tenant may use, asked anew each time.
#[derive(Clone)]
pub struct Usable {
    installation: Arc<Installation>,
    tenant: Arc<Tenant>,
}

impl Usable {
    /// By this tenant, as the installation has it.
    #[must_use]
    pub const fn new(installation: Arc<Installation>, tenant: Arc<Tenant>) -> Self {
        Self { installation, tenant }
    }

    /// Why the tenant may not use this now, if it may not.
    #[must_use]
    pub fn refusal(&self, feature: BuiltIn) -> Option<Refusal> {
        check(&self.installation, &self.tenant, feature).err()
    }
}

/// Lets a tenant use a feature.
///
/// # Errors
/// It does not have it.
pub fn check(installation: &Installation, tenant: &Tenant, feature: BuiltIn) -> Result<(), Refusal> {
    if installation.features().has(feature, &tenant.route()) {
        return Ok(());
    }
    let message = format!("the tenant does not have the feature \"{}\"", feature.as_str());
    Err(Refusal::new(ErrorKind::FeatureOff, message)
        .hint("its plan may not include it; ask whoever runs this service"))
}

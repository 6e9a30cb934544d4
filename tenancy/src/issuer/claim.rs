//! Where in a token the tenant, the user and the role stand.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The form of a token's claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimShape {
    /// `active_tenant` and `tenants: [{id, role, …}]`, where the active one has to be in the list.
    ActiveTenant,
    /// `org_id` and `org_role`, or `o: {id, rol}`.
    Organization,
    /// `tenant_id` and `role`, by themselves or inside `app_metadata`.
    Tenant,
    /// Wherever the issuer's paths say.
    Custom,
}

impl ClaimShape {
    /// Every shape.
    pub const ALL: [Self; 4] = [Self::ActiveTenant, Self::Organization, Self::Tenant, Self::Custom];

    /// The word used by the API, the CLI and the catalog.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ActiveTenant => "active-tenant",
            Self::Organization => "organization",
            Self::Tenant => "tenant",
            Self::Custom => "custom",
        }
    }
}

/// What a token's tenant claim holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TenantForm {
    /// The tenant's id.
    Id,
    /// The tenant's slug.
    Slug,
    /// The issuer's own name for it, which somebody has tied to the tenant.
    External,
}

impl TenantForm {
    /// Every form.
    pub const ALL: [Self; 3] = [Self::Id, Self::Slug, Self::External];

    /// The word used by the API, the CLI and the catalog.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Slug => "slug",
            Self::External => "external",
        }
    }
}

impl fmt::Display for ClaimShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for TenantForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no shape.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not a shape of claims: use active-tenant, organization, tenant or custom")]
pub struct UnknownShape(String);

impl FromStr for ClaimShape {
    type Err = UnknownShape;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|shape| shape.as_str() == text);
        found.ok_or_else(|| UnknownShape(text.to_owned()))
    }
}

/// The text names no form.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not what a tenant claim can hold: use id, slug or external")]
pub struct UnknownTenantForm(String);

impl FromStr for TenantForm {
    type Err = UnknownTenantForm;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|form| form.as_str() == text);
        found.ok_or_else(|| UnknownTenantForm(text.to_owned()))
    }
}

/// Where a claim stands: its name, or, beginning with `/`, a JSON pointer (RFC 6901) to what is inside another. Names
/// may hold anything else, as those that Auth0 makes of addresses (`https://acme.example/role`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClaimPath(String);

impl ClaimPath {
    /// Characters in a path.
    pub const LEN_MAX: usize = 200;

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Is it a JSON pointer?
    #[must_use]
    pub fn is_pointer(&self) -> bool {
        self.0.starts_with('/')
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no path.
#[derive(Debug, thiserror::Error)]
#[error(
    "a claim's path is 1 to 200 bytes without control characters: its name, or a JSON pointer such as /realm_access/roles"
)]
pub struct ClaimPathError;

impl FromStr for ClaimPath {
    type Err = ClaimPathError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > Self::LEN_MAX || text.chars().any(char::is_control) {
            return Err(ClaimPathError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for ClaimPath {
    type Error = ClaimPathError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ClaimPath> for String {
    fn from(path: ClaimPath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for shape in ClaimShape::ALL {
            assert_eq!(shape.as_str().parse::<ClaimShape>().ok(), Some(shape));
        }
        for form in TenantForm::ALL {
            assert_eq!(form.as_str().parse::<TenantForm>().ok(), Some(form));
        }
    }

    #[test]
    fn a_path_is_a_name_or_a_pointer() {
        let is_pointer = |text: &str| text.parse::<ClaimPath>().ok().map(|path| path.is_pointer());
        assert_eq!(is_pointer("/realm_access/roles"), Some(true));
        assert_eq!(is_pointer("https://acme.example/role"), Some(false));
        assert_eq!(is_pointer(""), None);
        assert_eq!(is_pointer("a\nb"), None);
    }
}

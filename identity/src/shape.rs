//! Which tenant a token is for, and what its holder may do there.
//!
//! Only claims that an issuer sets count. What users may change themselves, as Supabase's `user_metadata`, is not
//! looked at by any shape but `custom`, which looks where it is told to.

use crate::claims::Claims;
use crate::error::TokenError;
use crate::verify::{words, words_of};
use serde_json::Value;
use tenancy::{ClaimShape, Issuer, Role, Slug, TenantForm, TenantId};

/// Characters in an issuer's own name for a tenant.
pub const EXTERNAL_ID_MAX: usize = 200;

/// Entries of a token's list of tenants that are looked at.
const TENANTS_MAX: usize = 256;

/// A tenant as a token names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantName {
    /// By its id.
    Id(TenantId),
    /// By its slug.
    Slug(Slug),
    /// By the issuer's own name for it.
    External(String),
}

/// What is read of a token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) tenant: Option<TenantName>,
    pub(crate) role: Role,
}

/// What a token says in its shape, not yet in our words.
#[derive(Default)]
struct Said<'a> {
    tenant: Option<&'a str>,
    roles: Vec<&'a str>,
}

/// Reads tenant and role.
pub(crate) fn read(issuer: &Issuer, claims: &Claims) -> Result<Named, TokenError> {
    let said = match issuer.shape {
        ClaimShape::ActiveTenant => active_tenant(claims)?,
        ClaimShape::Organization => organization(claims)?,
        ClaimShape::Tenant => tenant(claims)?,
        ClaimShape::Custom => custom(issuer, claims)?,
    };
    let tenant = said.tenant.map(|name| tenant_name(issuer.tenant_form, name)).transpose()?;
    // An issuer of one tenant's own need not know of tenants. But if its token names one, that counts.
    if tenant.is_none() && issuer.tenant.is_none() {
        return Err(TokenError::Tenant);
    }
    // The mightiest: each was granted, and Role's order begins with it.
    let granted: Vec<Role> = said.roles.iter().filter_map(|word| role(issuer, word)).collect();
    let role = Role::ALL.into_iter().find(|role| granted.contains(role)).or(issuer.default_role);
    Ok(Named { tenant, role: role.ok_or(TokenError::Role)? })
}

fn role(issuer: &Issuer, word: &str) -> Option<Role> {
    // Clerk puts `org:` before its roles in version 1 of its claims and leaves it out in version 2.
    let bare = (issuer.shape == ClaimShape::Organization).then(|| word.strip_prefix("org:")).flatten();
    issuer.role_of(word).or_else(|| bare.and_then(|bare| issuer.role_of(bare)))
}

fn tenant_name(form: TenantForm, name: &str) -> Result<TenantName, TokenError> {
    match form {
        TenantForm::Id => name.parse().map(TenantName::Id).map_err(|_| TokenError::Tenant),
        TenantForm::Slug => name.parse().map(TenantName::Slug).map_err(|_| TokenError::Tenant),
        TenantForm::External if name.len() <= EXTERNAL_ID_MAX => Ok(TenantName::External(name.to_owned())),
        TenantForm::External => Err(TokenError::Tenant),
    }
}

/// `{"active_tenant": "…", "tenants": [{"id": "…", "role": "…"}]}`: who says that a tenant is active has to be in it.
fn active_tenant(claims: &Claims) -> Result<Said<'_>, TokenError> {
    let Some(active) = text(claims.get("active_tenant"))? else { return Ok(Said::default()) };
    let Some(Value::Array(tenants)) = claims.get("tenants") else { return Err(TokenError::Claims) };
    let id = |entry: &&Value| entry.get("id").and_then(Value::as_str) == Some(active);
    let mut found = tenants.iter().take(TENANTS_MAX).filter(id);
    // Twice, with two roles: nobody knows which was meant.
    let (Some(entry), None) = (found.next(), found.next()) else { return Err(TokenError::Tenant) };
    Ok(Said { tenant: Some(active), roles: entry.get("role").map(words_of).unwrap_or_default() })
}

/// `{"org_id": "…", "org_role": "…"}`, or Clerk's version 2, `{"o": {"id": "…", "rol": "…"}}`.
fn organization(claims: &Claims) -> Result<Said<'_>, TokenError> {
    let flat = Said {
        tenant: text(claims.get("org_id"))?,
        roles: claims.get("org_role").map(words_of).unwrap_or_default(),
    };
    let Some(compact) = claims.get("o") else { return Ok(flat) };
    let compact = Said {
        tenant: text(compact.get("id"))?,
        roles: compact.get("rol").map(words_of).unwrap_or_default(),
    };
    one_of(flat, compact)
}

/// `{"tenant_id": "…", "role": "…"}`, by themselves or inside `app_metadata`, where Supabase puts what users cannot
/// change. Each place's role goes with its tenant: Supabase's own `role` is always `authenticated`.
fn tenant(claims: &Claims) -> Result<Said<'_>, TokenError> {
    let outer = Said {
        tenant: text(claims.get("tenant_id"))?,
        roles: claims.get("role").map(words_of).unwrap_or_default(),
    };
    let Some(inside) = claims.get("app_metadata") else { return Ok(outer) };
    let inner = Said {
        tenant: text(inside.get("tenant_id"))?,
        roles: inside.get("role").map(words_of).unwrap_or_default(),
    };
    one_of(outer, inner)
}

fn custom<'a>(issuer: &Issuer, claims: &'a Claims) -> Result<Said<'a>, TokenError> {
    let tenant = issuer.tenant_claim.as_ref().and_then(|path| claims.at(path));
    let roles = issuer.role_claim.as_ref().map(|path| words(claims, path)).unwrap_or_default();
    Ok(Said { tenant: text(tenant)?, roles })
}

/// Of two places that may name the tenant, the one that does. If both do, they have to agree, and the first counts.
fn one_of<'a>(first: Said<'a>, second: Said<'a>) -> Result<Said<'a>, TokenError> {
    match (first.tenant, second.tenant) {
        (Some(one), Some(other)) if one != other => Err(TokenError::Tenant),
        (None, Some(_)) => Ok(second),
        _ => Ok(first),
    }
}

/// Text, if there is anything: a tenant's name that is a number or a list is nobody's.
fn text(value: Option<&Value>) -> Result<Option<&str>, TokenError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(TokenError::Claims),
    }
}

#[cfg(test)]
mod tests;

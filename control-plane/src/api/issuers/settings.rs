//! What a request says of an issuer, checked.

use super::{IssuerSettings, Whose, field, invalid};
use crate::api::problem::{ApiResult, Problem, ProblemKind};
use crate::context::ApiState;
use crate::inquiries::Inquiry;
use identity::FetchError;
use net::tls::pem;
use std::collections::BTreeMap;
use std::str::FromStr;
use tenancy::issuer::{AUDIENCES_MAX, ISSUER_TEXT_MAX, LEEWAY_S_MAX, OWN_ISSUER, ROLE_WORDS_MAX};
use tenancy::{ClaimPath, ClaimShape, Issuer, IssuerId, Permissions, Role, SigningAlgorithm, TenantForm};

/// A chain of authorities takes a few KiB.
const CA_BYTES_MAX: usize = 64 * 1024;

/// The clocks' difference that is borne unless somebody says otherwise, in seconds.
const LEEWAY_S_USUAL: u32 = 30;

/// The same as the request's, each part good by itself. An inner `None` clears.
pub(super) struct Wanted {
    audiences: Option<Vec<String>>,
    algorithms: Option<Vec<SigningAlgorithm>>,
    jwks_url: Option<String>,
    jwks_ca: Option<Option<String>>,
    leeway_s: Option<u32>,
    shape: Option<ClaimShape>,
    tenant_claim: Option<Option<ClaimPath>>,
    role_claim: Option<Option<ClaimPath>>,
    user_claim: Option<Option<ClaimPath>>,
    tenant_form: Option<TenantForm>,
    roles: Option<BTreeMap<String, Role>>,
    default_role: Option<Option<Role>>,
}

impl Wanted {
    pub(super) fn read(given: IssuerSettings) -> ApiResult<Self> {
        let wanted = Self {
            audiences: given.audiences,
            algorithms: given.algorithms.as_deref().map(algorithms).transpose()?,
            jwks_url: given.jwks_url,
            jwks_ca: given.jwks_ca.map(|pem| Some(pem).filter(|pem| !pem.is_empty())),
            leeway_s: given.leeway_s,
            shape: given.shape.map(|word| field("shape", &word)).transpose()?,
            tenant_claim: cleared_or("tenant_claim", given.tenant_claim.as_deref())?,
            role_claim: cleared_or("role_claim", given.role_claim.as_deref())?,
            user_claim: cleared_or("user_claim", given.user_claim.as_deref())?,
            tenant_form: given.tenant_form.map(|word| field("tenant_form", &word)).transpose()?,
            roles: given.roles.map(roles).transpose()?,
            default_role: cleared_or("default_role", given.default_role.as_deref())?,
        };
        wanted.check()?;
        Ok(wanted)
    }

    fn check(&self) -> ApiResult<()> {
        if let Some(audiences) = &self.audiences {
            let good =
                (1..=AUDIENCES_MAX).contains(&audiences.len()) && audiences.iter().all(|text| is_text(text));
            if !good {
                return Err(invalid("audiences", format!("audiences lists 1 to {AUDIENCES_MAX} of them")));
            }
        }
        if self.leeway_s.is_some_and(|seconds| seconds > LEEWAY_S_MAX) {
            return Err(invalid("leeway_s", format!("leeway_s is 0 to {LEEWAY_S_MAX}")));
        }
        if let Some(Some(text)) = &self.jwks_ca {
            if text.len() > CA_BYTES_MAX {
                return Err(invalid("jwks_ca", format!("jwks_ca is at most {CA_BYTES_MAX} bytes long")));
            }
            pem::chain(text).map_err(|why| invalid("jwks_ca", format!("jwks_ca {why}")))?;
        }
        Ok(())
    }
}

/// The name that an issuer gives itself.
pub(super) fn check_name(iss: &str) -> ApiResult<()> {
    if iss == OWN_ISSUER {
        return Err(invalid("iss", format!("\"{OWN_ISSUER}\" is the control plane itself")));
    }
    if is_text(iss) {
        return Ok(());
    }
    Err(invalid("iss", format!("iss is 1 to {ISSUER_TEXT_MAX} bytes, none of them control characters")))
}

/// A new issuer, with what is usual where nothing was said.
pub(super) async fn new_issuer(
    state: &ApiState,
    whose: Whose,
    iss: String,
    mut wanted: Wanted,
) -> ApiResult<Issuer> {
    if wanted.audiences.is_none() {
        return Err(invalid("audiences", "a token is for somebody: audiences are missing")
            .hint("give what your provider puts into aud"));
    }
    let jwks_url = match wanted.jwks_url.take() {
        Some(url) => url,
        None => {
            let ca = wanted.jwks_ca.as_ref().and_then(|ca| ca.as_deref());
            let _asked = may_ask(state, whose)?;
            let found = state.jwks.discover(&iss, ca, whose.is_some()).await;
            found.map_err(|why| unreachable(whose, &why).field("jwks_url"))?
        }
    };
    let shape = wanted.shape.unwrap_or(ClaimShape::Tenant);
    let usual_form = if shape == ClaimShape::Organization { TenantForm::External } else { TenantForm::Id };
    let issuer = Issuer {
        id: IssuerId::generate(),
        tenant: whose,
        iss,
        audiences: Vec::new(),
        algorithms: SigningAlgorithm::USUAL.to_vec(),
        jwks_url,
        jwks_ca: None,
        leeway_s: LEEWAY_S_USUAL,
        shape,
        tenant_claim: None,
        role_claim: None,
        user_claim: None,
        tenant_form: usual_form,
        roles: BTreeMap::new(),
        default_role: None,
        version: 1,
    };
    changed(state, issuer, wanted)
}

/// The issuer with what is wanted in place of what was.
pub(super) fn changed(state: &ApiState, known: Issuer, wanted: Wanted) -> ApiResult<Issuer> {
    let issuer = Issuer {
        audiences: wanted.audiences.unwrap_or(known.audiences),
        algorithms: wanted.algorithms.unwrap_or(known.algorithms),
        jwks_url: wanted.jwks_url.unwrap_or(known.jwks_url),
        jwks_ca: wanted.jwks_ca.unwrap_or(known.jwks_ca),
        leeway_s: wanted.leeway_s.unwrap_or(known.leeway_s),
        shape: wanted.shape.unwrap_or(known.shape),
        tenant_claim: wanted.tenant_claim.unwrap_or(known.tenant_claim),
        role_claim: wanted.role_claim.unwrap_or(known.role_claim),
        user_claim: wanted.user_claim.unwrap_or(known.user_claim),
        tenant_form: wanted.tenant_form.unwrap_or(known.tenant_form),
        roles: wanted.roles.unwrap_or(known.roles),
        default_role: wanted.default_role.unwrap_or(known.default_role),
        ..known
    };
    check_together(&issuer)?;
    let address = state.jwks.check_address(&issuer.jwks_url, issuer.tenant.is_some());
    address.map_err(|why| invalid("jwks_url", why.to_string()))?;
    Ok(issuer)
}

/// What is good by itself also has to fit.
fn check_together(issuer: &Issuer) -> ApiResult<()> {
    let has_paths = issuer.tenant_claim.is_some() || issuer.role_claim.is_some();
    if issuer.shape != ClaimShape::Custom && has_paths {
        return Err(invalid(
            "shape",
            format!("the shape {} says by itself where claims stand", issuer.shape),
        )
        .hint("use the shape custom, or leave tenant_claim and role_claim out"));
    }
    if issuer.shape == ClaimShape::Custom && issuer.tenant.is_none() && issuer.tenant_claim.is_none() {
        return Err(invalid("tenant_claim", "the installation's issuers have to name the tenant"));
    }
    if issuer.jwks_url.len() > ISSUER_TEXT_MAX {
        return Err(invalid("jwks_url", format!("jwks_url is at most {ISSUER_TEXT_MAX} bytes long")));
    }
    Ok(())
}

/// The most that an issuer may give its users. Their tokens open the tenant's data and nothing else.
pub(super) fn gives(issuer: &Issuer) -> Permissions {
    if issuer.roles.is_empty() {
        // Any role of ours, since the issuer's words are ours.
        return Permissions::DATA;
    }
    let given: Vec<Role> = issuer.roles.values().copied().chain(issuer.default_role).collect();
    // Roles come the mightiest first, and each holds what those behind it hold.
    let most = Role::ALL.into_iter().find(|role| given.contains(role));
    most.map_or(Permissions::NONE, |role| role.permissions().and(Permissions::DATA))
}

/// Room to ask an identity provider, until it is dropped; of an operator's there is always some.
pub(super) fn may_ask(state: &ApiState, whose: Whose) -> ApiResult<Option<Inquiry<'_>>> {
    let Some(tenant) = whose else { return Ok(None) };
    let room = state.inquiries.begin(tenant).ok_or(ProblemKind::TooManyInquiries)?;
    Ok(Some(room))
}

/// Why an issuer's keys cannot be had. What a server answered, if it did, is told to the operator only: a tenant's admin
/// could learn from it what is reached from here, and how.
pub(super) fn unreachable(whose: Whose, why: &FetchError) -> Problem {
    let detail = match (whose, why) {
        (None, why) | (Some(_), why @ (FetchError::Address | FetchError::Authorities)) => why.to_string(),
        (Some(_), _) => "nothing of use came from there".to_owned(),
    };
    Problem::new(ProblemKind::IssuerUnreachable).detail(detail)
}

fn algorithms(words: &[String]) -> ApiResult<Vec<SigningAlgorithm>> {
    let mut algorithms =
        words.iter().map(|word| field("algorithms", word)).collect::<ApiResult<Vec<SigningAlgorithm>>>()?;
    algorithms.sort_unstable();
    algorithms.dedup();
    if algorithms.is_empty() {
        Err(invalid("algorithms", "algorithms lists one at least"))
    } else {
        Ok(algorithms)
    }
}

fn roles(words: BTreeMap<String, String>) -> ApiResult<BTreeMap<String, Role>> {
    if words.len() > ROLE_WORDS_MAX || !words.keys().all(|word| is_text(word)) {
        return Err(invalid(
            "roles",
            format!("roles maps at most {ROLE_WORDS_MAX} words, none of them empty"),
        ));
    }
    words.into_iter().map(|(word, role)| Ok((word, field("roles", &role)?))).collect()
}

fn cleared_or<T: FromStr<Err: std::fmt::Display>>(
    name: &str,
    text: Option<&str>,
) -> ApiResult<Option<Option<T>>> {
    match text {
        None => Ok(None),
        Some("") => Ok(Some(None)),
        Some(text) => Ok(Some(Some(field(name, text)?))),
    }
}

fn is_text(text: &str) -> bool {
    (1..=ISSUER_TEXT_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

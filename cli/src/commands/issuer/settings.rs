//! How an issuer's tokens are read, as the command line says it.

use crate::exit::{CommandError, Exit};
use serde_json::{Map, Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};
use tenancy::{ClaimPath, ClaimShape, Role, SigningAlgorithm, TenantForm};

/// How an issuer's tokens are read.
#[derive(Debug, clap::Args)]
pub(super) struct Settings {
    /// What tokens' aud has to hold; may be given several times
    #[arg(long = "audience", value_name = "AUD")]
    audiences: Vec<String>,
    /// What tokens may be signed with, may be given several times [default: RS256, ES256, EdDSA]
    #[arg(long = "algorithm", value_name = "ALG")]
    algorithms: Vec<SigningAlgorithm>,
    /// Where the issuer's public keys are [default: what the issuer itself says]
    #[arg(long, value_name = "URL")]
    jwks_url: Option<String>,
    /// A file with the certificates of the authorities that may have signed that server's, in PEM
    #[arg(long, value_name = "FILE")]
    jwks_ca: Option<PathBuf>,
    /// How far the issuer's clock may be from ours [default: 30]
    #[arg(long, value_name = "SECONDS")]
    leeway: Option<u32>,
    /// Where tenant and role stand: active-tenant, organization, tenant or custom [default: tenant]
    #[arg(long)]
    shape: Option<ClaimShape>,
    /// With --shape custom: the tenant's claim, its name or a JSON pointer
    #[arg(long, value_name = "CLAIM")]
    tenant_claim: Option<ClaimPath>,
    /// With --shape custom: the role's claim, a word or a list of words
    #[arg(long, value_name = "CLAIM")]
    role_claim: Option<ClaimPath>,
    /// The user's claim [default: sub]
    #[arg(long, value_name = "CLAIM")]
    user_claim: Option<ClaimPath>,
    /// What the tenant's claim holds: id, slug or external [default: external for organizations, else id]
    #[arg(long, value_name = "FORM")]
    tenant_form: Option<TenantForm>,
    /// The issuer's word for a role, may be given several times [default: its words are ours]
    #[arg(long = "role", value_name = "WORD=ROLE", value_parser = mapping)]
    roles: Vec<(String, Role)>,
    /// The role of who has none that is known [default: they are refused]
    #[arg(long, value_name = "ROLE")]
    default_role: Option<Role>,
}

fn mapping(text: &str) -> Result<(String, Role), String> {
    let (word, role) = text.rsplit_once('=').ok_or("it has the form WORD=ROLE")?;
    Ok((word.to_owned(), role.parse().map_err(|error| format!("{error}"))?))
}

impl Settings {
    /// As a request says it.
    pub(super) fn body(&self) -> Result<Value, CommandError> {
        let ca = self.jwks_ca.as_deref().map(read).transpose()?;
        let list = |values: &[String]| (!values.is_empty()).then(|| json!(values));
        let roles: Map<String, Value> =
            self.roles.iter().map(|(word, role)| (word.clone(), json!(role))).collect();
        let fields = [
            ("audiences", list(&self.audiences)),
            ("algorithms", (!self.algorithms.is_empty()).then(|| json!(self.algorithms))),
            ("jwks_url", self.jwks_url.as_ref().map(|url| json!(url))),
            ("jwks_ca", ca.map(|ca| json!(ca))),
            ("leeway_s", self.leeway.map(|seconds| json!(seconds))),
            ("shape", self.shape.map(|shape| json!(shape))),
            ("tenant_claim", self.tenant_claim.as_ref().map(|path| json!(path))),
            ("role_claim", self.role_claim.as_ref().map(|path| json!(path))),
            ("user_claim", self.user_claim.as_ref().map(|path| json!(path))),
            ("tenant_form", self.tenant_form.map(|form| json!(form))),
            ("roles", Some(roles).filter(|roles| !roles.is_empty()).map(Value::Object)),
            ("default_role", self.default_role.map(|role| json!(role))),
        ];
        let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Ok(Value::Object(given.collect()))
    }

    /// The same, where saying nothing makes no sense.
    pub(super) fn changes(&self) -> Result<Value, CommandError> {
        let body = self.body()?;
        if body.as_object().is_some_and(Map::is_empty) {
            return Err(CommandError::new(Exit::Usage, "there is nothing to change").hint("see --help"));
        }
        Ok(body)
    }
}

/// A file's text, without space at its ends; `-` is the standard input.
pub(super) fn read(file: &Path) -> Result<String, CommandError> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(|_length| text)
    } else {
        std::fs::read_to_string(file)
    };
    let text = read.map_err(|error| {
        CommandError::new(Exit::Usage, format!("cannot read {}: {error}", file.display()))
    })?;
    Ok(text.trim().to_owned())
}

//! Providers whose tokens are in every state.

use crate::STACK;
use crate::axes::Case;
use crate::credentials::Spoil;
use crate::world::{MINE, Owners};
use harness::Oidc;
use harness::oidc::{self, Signer, now};
use reqwest::Method;
use serde_json::{Value, json};
use tenantry::client::path;

/// Providers of one kind: an installation's, or a tenant's own.
pub(crate) struct Issuers {
    /// In order.
    main: Oidc,
    /// It has new keys, and the old ones are still known.
    both: Oidc,
    /// It has new keys only.
    gone: Oidc,
    /// It is no longer registered.
    removed: Oidc,
    removed_at: String,
    both_old: Olds,
    gone_old: Olds,
    stranger: Signer,
}

/// Tokens that were signed with a key from before.
struct Olds {
    claiming: String,
    silent: String,
}

impl Olds {
    fn of(oidc: &Oidc) -> Self {
        Self { claiming: oidc.token(&claims(Some(MINE))), silent: oidc.token(&claims(None)) }
    }

    fn token(&self, claim: Option<&str>) -> String {
        if claim.is_some() { self.claiming.clone() } else { self.silent.clone() }
    }
}

fn claims(tenant: Option<&str>) -> Value {
    let mut claims = json!({ "role": "member" });
    if let Some(tenant) = tenant {
        claims["tenant_id"] = json!(tenant);
    }
    claims
}

impl Issuers {
    /// The installation's.
    pub(crate) async fn any() -> Self {
        Self::registered_at(&path(&["issuers"]), &[]).await
    }

    /// A tenant's own. The others have the one that is in order, too.
    pub(crate) async fn own(owners: &Owners) -> Self {
        let at = |id: &str| path(&["tenants", id, "issuers"]);
        Self::registered_at(&at(&owners.mine.id), &[at(&owners.suspended.id), at(&owners.purged.id)]).await
    }

    async fn registered_at(place: &str, others: &[String]) -> Self {
        let (main, both, gone, removed) =
            (Oidc::start().await, Oidc::start().await, Oidc::start().await, Oidc::start().await);
        for oidc in [&main, &both, &gone] {
            register(place, oidc).await;
        }
        for other in others {
            register(other, &main).await;
        }
        let removed_at = format!("{place}/{}", register(place, &removed).await);
        let (both_old, gone_old) = (Olds::of(&both), Olds::of(&gone));
        both.rotate(true);
        let stranger = Signer::generate();
        Self { main, both, gone, removed, removed_at, both_old, gone_old, stranger }
    }

    /// What was good at first is so no longer.
    pub(crate) async fn spoil(&self) {
        self.gone.rotate(false);
        Spoil::Delete(self.removed_at.clone()).happen().await;
    }

    /// The token of a case, with this for the tenant's claim.
    pub(crate) fn token(&self, case: Case, claim: Option<&str>) -> String {
        let claims = claims(claim);
        match case {
            Case::Wrong => {
                let header = json!({ "alg": "ES256", "typ": "JWT", "kid": self.main.key_id() });
                self.stranger.token(&header, &self.main.claims(&claims))
            }
            Case::Expired => {
                let mut claims = claims;
                claims["exp"] = json!(now() - 3_600);
                self.main.token(&claims)
            }
            Case::Revoked => self.removed.token(&claims),
            Case::BothOld => self.both_old.token(claim),
            Case::BothNew => self.both.token(&claims),
            Case::GoneOld => self.gone_old.token(claim),
            Case::GoneNew => self.gone.token(&claims),
            _ => self.main.token(&claims),
        }
    }
}

async fn register(place: &str, oidc: &Oidc) -> String {
    let body = json!({
        "iss": oidc.iss(), "audiences": [oidc::AUDIENCE], "jwks_url": oidc.jwks_url(), "tenant_form": "slug",
    });
    let issuer = STACK.must(Method::POST, place, Some(&body)).await;
    issuer["id"].as_str().expect("an id").to_owned()
}

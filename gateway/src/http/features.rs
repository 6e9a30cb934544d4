//! `GET /features`: what the sender's tenant has, for applications that switch by it.
//!
//! Whoever may send statements may ask, by the same credentials and from the same places.

use super::caller::{self, Caller};
use super::origin;
use super::reply::{self, Reply};
use super::sql;
use crate::admit::{self, allow_list};
use crate::error::Refusal;
use crate::resolve::features::Verdict;
use crate::shared::Shared;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::header::{CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH};
use hyper::http::request::Parts;
use hyper::{HeaderMap, StatusCode};
use net::ClientAddress;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use tokio::time::timeout;
use uuid::Uuid;

/// The body: each feature with whether the tenant has it.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Features {
    /// By name: whether the tenant has it.
    pub(super) features: BTreeMap<Box<str>, bool>,
}

/// Answers a request. `tenant_in_path` is the tenant's name in its path, if there is one.
pub async fn answer(
    parts: &Parts,
    tenant_in_path: Option<&str>,
    connection: ClientAddress,
    shared: &Shared,
) -> Reply {
    let id = Uuid::new_v4();
    let reply = match origin::client_of(&parts.headers, connection, shared) {
        Ok(peer) => told(parts, tenant_in_path, peer, shared).await,
        Err(refusal) => sql::refused(refusal.into(), None, shared),
    };
    reply::on_sql(reply, id)
}

async fn told(parts: &Parts, tenant_in_path: Option<&str>, peer: ClientAddress, shared: &Shared) -> Reply {
    let identified = caller::identify(parts, tenant_in_path, peer, shared);
    let identified = timeout(shared.config.limits.http_request_timeout(), identified).await;
    let caller = match identified.unwrap_or_else(|_elapsed| Err(sql::too_slow())) {
        Ok(caller) => caller,
        Err(refusal) => return sql::refused(refusal.into(), None, shared),
    };
    match verdicts(&caller, shared).await {
        Ok(verdicts) => shown(&parts.headers, verdicts),
        Err(refusal) => sql::refused(refusal.into(), Some(&caller.tenant), shared),
    }
}

async fn verdicts(caller: &Caller, shared: &Shared) -> Result<Vec<Verdict>, Refusal> {
    let tenant = &caller.tenant;
    allow_list::check(&tenant.route(), caller.peer)?;
    let _permit = admit::admit(tenant, &shared.routes)?;
    tenant.meter().take_at_once().await?;
    Ok(shared.installation.features().of(&tenant.route()))
}

fn shown(headers: &HeaderMap, verdicts: Vec<Verdict>) -> Reply {
    let features = verdicts.into_iter().map(|verdict| (verdict.feature, verdict.is_on)).collect();
    let body = serde_json::to_vec(&Features { features }).expect("names and truth values");
    let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha256::digest(&body)));
    let is_known = headers.get_all(IF_NONE_MATCH).iter().any(|known| matches(known, &tag));
    let mut reply = if is_known { Reply::default() } else { reply::json(StatusCode::OK, body) };
    if is_known {
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = reply.headers_mut();
    headers.insert(ETAG, HeaderValue::from_str(&tag).expect("base64 in quotes"));
    // A tenant's own, and good until asked again.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    reply
}

/// RFC 9110 §13.1.2: a list, compared weakly.
fn matches(known: &HeaderValue, tag: &str) -> bool {
    let known = known.to_str().unwrap_or_default();
    known.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenancy::Reason;

    fn asked(if_none_match: Option<&str>) -> (StatusCode, String) {
        let verdict = Verdict { feature: "http".into(), is_on: true, reason: Reason::Default };
        let known = if_none_match.map(|tag| (IF_NONE_MATCH, HeaderValue::from_str(tag).expect("text")));
        let reply = shown(&known.into_iter().collect(), vec![verdict]);
        (reply.status(), reply.headers()[ETAG].to_str().expect("text").to_owned())
    }

    #[test]
    fn who_knows_the_answer_is_told_so() {
        let (status, tag) = asked(None);
        assert_eq!(status, StatusCode::OK);
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            assert_eq!(asked(Some(&known)), (StatusCode::NOT_MODIFIED, tag.clone()), "{known}");
        }
        assert_eq!(asked(Some("\"x\"")).0, StatusCode::OK);
    }
}

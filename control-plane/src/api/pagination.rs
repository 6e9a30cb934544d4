//! Listing in pages: a cursor names the last item seen, so nothing is skipped or shown twice when rows come and go.

use super::problem::{Problem, ProblemKind};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Items in a page when the client does not say.
const LIMIT_DEFAULT: u32 = 50;

/// Items in a page at most.
const LIMIT_MAX: u32 = 200;

/// What every listing takes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Items in the page, 1 to 200; 50 if left out.
    #[param(minimum = 1, maximum = 200)]
    pub(super) limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub(super) cursor: Option<String>,
}

impl PageQuery {
    /// How many to show.
    pub(super) fn limit(&self) -> Result<u32, Problem> {
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT);
        if (1..=LIMIT_MAX).contains(&limit) {
            return Ok(limit);
        }
        Err(Problem::new(ProblemKind::InvalidQuery).detail(format!("limit is 1 to {LIMIT_MAX}")))
    }

    /// The rows to read: one more than is shown, which tells whether there is another page.
    pub(super) fn page<I: From<Uuid>>(&self) -> Result<catalog_schema::Page<I>, Problem> {
        Ok(catalog_schema::Page { after: self.after()?, limit: self.limit()? + 1 })
    }

    fn after<I: From<Uuid>>(&self) -> Result<Option<I>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| ProblemKind::InvalidCursor)?;
        let id = Uuid::from_slice(&bytes).map_err(|_| ProblemKind::InvalidCursor)?;
        Ok(Some(id.into()))
    }
}

/// One page of a listing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// The items, in a stable order.
    items: Vec<T>,
    /// Pass it as `cursor` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Cuts a page out of the rows that [`PageQuery::page`] asked for.
    pub(super) fn cut<R>(
        mut rows: Vec<R>,
        limit: u32,
        id: impl Fn(&R) -> Uuid,
        show: impl Fn(R) -> T,
    ) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().map(id).filter(|_| more);
        Self {
            items: rows.into_iter().map(show).collect(),
            next_cursor: last.map(|id| URL_SAFE_NO_PAD.encode(id.as_bytes())),
        }
    }

    /// A listing that always fits one page.
    pub(super) const fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenancy::TenantId;

    #[test]
    fn a_cursor_leads_to_where_the_page_ended() {
        let ids: Vec<Uuid> = (0..3).map(|_| Uuid::now_v7()).collect();
        let page = Page::cut(ids.clone(), 2, |id| *id, |id| id);
        assert_eq!(page.items, ids[..2]);
        let query = PageQuery { limit: None, cursor: page.next_cursor };
        assert_eq!(query.after::<TenantId>().unwrap(), Some(TenantId::from(ids[1])));
    }

    #[test]
    fn the_last_page_has_no_cursor() {
        let page = Page::cut(vec![Uuid::now_v7()], 1, |id| *id, |id| id);
        assert!(page.next_cursor.is_none());
    }

    #[test]
    fn nonsense_is_refused() {
        for cursor in ["", "x", "%%%", "AAAA"] {
            let query = PageQuery { limit: None, cursor: Some(cursor.into()) };
            assert_eq!(query.after::<TenantId>().unwrap_err().kind(), ProblemKind::InvalidCursor, "{cursor}");
        }
        for limit in [0, 201] {
            let query = PageQuery { limit: Some(limit), cursor: None };
            assert_eq!(query.limit().unwrap_err().kind(), ProblemKind::InvalidQuery);
        }
    }
}

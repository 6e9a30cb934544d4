//! `SHOW ADDRESSES`: those that asked for too much before anybody knew who they are.

use super::clients::time;
use crate::console::rows::{Column, Rows, Value, columns};
use crate::shared::Shared;

pub(super) const COLUMNS: &[Column] =
    columns! { address: Text, excess: Text, refused: Int8, last_refused: Text };

pub(super) fn rows(shared: &Shared) -> Rows {
    Box::new(shared.addresses.shown().into_iter().map(|refused| {
        vec![
            Value::display(refused.address),
            refused.excess.as_str().into(),
            refused.times.into(),
            time(refused.last),
        ]
    }))
}

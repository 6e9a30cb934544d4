//! A list out of JSON of which no more than a bound is kept, and one item that tells that there are more.

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// The first `MAX` items, and the one after them if there is one.
#[derive(Debug)]
pub struct Bounded<T, const MAX: usize>(pub Vec<T>);

impl<T, const MAX: usize> Bounded<T, MAX> {
    /// There were more than `MAX`.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.len() > MAX
    }
}

impl<T, const MAX: usize> Default for Bounded<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

struct Items<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Items<T, MAX> {
    type Value = Bounded<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        while kept.len() <= MAX {
            let Some(item) = items.next_element()? else { return Ok(Bounded(kept)) };
            kept.push(item);
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Bounded(kept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_item_too_many_is_kept_to_tell() {
        let read = |json| serde_json::from_str::<Bounded<u8, 2>>(json);
        let (two, many) = (read("[1,2]").expect("two"), read("[1,2,3,4,5]").expect("five"));
        assert!(two.0 == [1, 2] && !two.is_over());
        assert!(many.0 == [1, 2, 3] && many.is_over());
        assert!(read("[1,2,3,4,]").is_err() && read("1").is_err());
    }
}

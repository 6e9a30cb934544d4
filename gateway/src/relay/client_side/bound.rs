//! What the statement bound last does to the session once it is executed.
//!
//! It counts for the next Execute if that is of the same portal, and for nothing else: a statement that is
//! bound and not executed ends no state, and may not be taken to.

use crate::relay::effects::Effects;
use crate::relay::effects::change::Change;

/// What waits for an Execute.
#[derive(Debug, Default)]
pub struct Bound {
    portal: Box<[u8]>,
    effects: Effects,
    changes: Vec<Change>,
}

impl Bound {
    /// Of the statement's effects, those that it has only once it has run to its end. The others are noted when
    /// it is bound, which may run functions already.
    #[must_use]
    pub fn at_end(effects: Effects) -> Effects {
        Effects::undoing(effects.undone()) | effects.and(Effects::RESET_ALL)
    }

    /// A statement with these effects and changes was bound.
    #[must_use]
    pub fn new(portal: &[u8], effects: Effects, changes: Vec<Change>) -> Self {
        let effects = Self::at_end(effects);
        if effects.is_none() && changes.is_empty() {
            return Self::default();
        }
        Self { portal: portal.into(), effects, changes }
    }

    /// Nothing waits.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.effects.is_none() && self.changes.is_empty()
    }

    /// What an Execute message does. Its body names the portal first.
    #[must_use]
    pub fn executed_by(self, body: &[u8]) -> (Effects, Vec<Change>) {
        let behind = body.strip_prefix(&*self.portal);
        if behind.is_some_and(|behind| behind.first() == Some(&0)) {
            (self.effects, self.changes)
        } else {
            (Effects::NONE, Vec::new())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::effects;

    #[test]
    fn only_an_execute_of_the_same_portal_ends_state() {
        let discard = effects::of_sql(b"discard all");
        for (portal, execute, counts) in [
            (&b""[..], &b"\0\0\0\0\0"[..], true),
            (b"p", b"p\0\0\0\0\0", true),
            (b"", b"p\0\0\0\0\0", false),
            (b"p", b"\0\0\0\0\0", false),
            (b"p", b"pp\0\0\0\0\0", false),
        ] {
            let (effects, _) = Bound::new(portal, discard, Vec::new()).executed_by(execute);
            assert_eq!(!effects.undone().is_none(), counts, "{portal:?} {execute:?}");
        }
    }

    #[test]
    fn binding_ends_no_state() {
        for sql in ["discard all", "unlisten *", "reset role", "reset all", "close all", "discard temp"] {
            let effects = effects::of_sql(sql.as_bytes());
            let when_bound = effects.without(Bound::at_end(effects));
            assert!(when_bound.undone().is_none() && !when_bound.any_of(Effects::RESET_ALL), "{sql}");
            assert!(!Bound::new(b"", effects, Vec::new()).is_nothing(), "{sql}");
        }
        assert!(Bound::new(b"p", effects::of_sql(b"listen a"), Vec::new()).is_nothing());
    }
}

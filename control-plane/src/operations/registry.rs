//! Every operation there is, by its kind.

use super::step::Step;
use super::{provision, purge, resume, suspend};
use std::fmt;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum OperationKind {
    /// Gives a tenant its database.
    Provision,
    /// Refuses a tenant at the door.
    Suspend,
    /// Lets it in again.
    Resume,
    /// Removes a tenant for good.
    Purge,
}

impl OperationKind {
    /// Every kind.
    pub(crate) const ALL: [Self; 4] = [Self::Provision, Self::Suspend, Self::Resume, Self::Purge];

    /// The word used by the API, metrics and the catalog.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Purge => "purge",
        }
    }

    /// Reads the word back. `None` for a kind that only a newer release knows.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Its steps, in order. Rows of operations refer to them by place and name, so a release that changes
    /// an operation's steps must know how to finish those that an older one began.
    pub(crate) const fn steps(self) -> &'static [Step] {
        match self {
            Self::Provision => &provision::STEPS,
            Self::Suspend => &suspend::STEPS,
            Self::Resume => &resume::STEPS,
            Self::Purge => &purge::STEPS,
        }
    }

    /// The names of its steps, as they are enqueued.
    pub(crate) fn step_names(self) -> Vec<String> {
        self.steps().iter().map(|step| step.name.to_owned()).collect()
    }
}

impl fmt::Display for OperationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_kind_reads_back_from_its_word() {
        for kind in OperationKind::ALL {
            assert_eq!(OperationKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(OperationKind::parse("move"), None);
    }

    #[test]
    fn steps_of_one_operation_have_different_names() {
        for kind in OperationKind::ALL {
            let names: HashSet<_> = kind.step_names().into_iter().collect();
            assert_eq!(names.len(), kind.steps().len(), "{kind}");
        }
    }
}

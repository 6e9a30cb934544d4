//! Whose the verified domains are: all of them in memory, so that nobody has to be asked whose a host is. What changes is
//! followed one by one: a tenant that verifies and removes a domain for ever has nobody read all the others again.

use catalog_schema::ChangedDomains;
use dashmap::DashMap;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use tenancy::{DomainName, TenantId};

/// The owners of the verified domains. The catalog bounds their number.
#[derive(Default)]
pub struct Domains {
    owners: DashMap<DomainName, TenantId>,
    were_read: AtomicBool,
}

impl Domains {
    /// Whose the domain is; nobody's, if there is none.
    #[must_use]
    pub fn owner_of(&self, domain: &DomainName) -> Option<TenantId> {
        self.owners.get(domain).map(|owner| *owner)
    }

    /// What is to be read when the catalog says that this changed: everything, the first time.
    #[must_use]
    pub(super) fn to_read(&self, changed: ChangedDomains) -> ChangedDomains {
        if self.were_read.load(Ordering::Acquire) { changed } else { ChangedDomains::All }
    }

    /// Puts in force whose these are now; those that are not among `owners` are nobody's.
    pub(crate) fn replace(&self, read: &ChangedDomains, owners: HashMap<DomainName, TenantId>) {
        match read {
            ChangedDomains::All => self.owners.retain(|domain, _| owners.contains_key(domain)),
            ChangedDomains::These(some) => {
                for domain in some.iter().filter(|domain| !owners.contains_key(*domain)) {
                    self.owners.remove(domain);
                }
            }
        }
        for (domain, owner) in owners {
            self.owners.insert(domain, owner);
        }
        self.were_read.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(name: &str) -> DomainName {
        name.parse().expect("a domain")
    }

    #[test]
    fn all_are_read_once_and_then_those_that_changed() {
        let (domains, [acme, other]) = (Domains::default(), [TenantId::generate(), TenantId::generate()]);
        let nothing = ChangedDomains::These(Vec::new());
        let first = domains.to_read(nothing.clone());
        assert_eq!(first, ChangedDomains::All);
        let all = [(domain("a.example"), acme), (domain("b.example"), acme), (domain("c.example"), other)];
        domains.replace(&first, all.into());
        assert_eq!(domains.to_read(nothing.clone()), nothing);

        let some = domains.to_read(ChangedDomains::These(vec![domain("a.example"), domain("b.example")]));
        domains.replace(&some, [(domain("b.example"), other)].into());
        let owner = |name| domains.owner_of(&domain(name));
        assert_eq!(
            (owner("a.example"), owner("b.example"), owner("c.example")),
            (None, Some(other), Some(other))
        );

        domains.replace(&ChangedDomains::All, [(domain("d.example"), acme)].into());
        assert_eq!((owner("c.example"), owner("d.example")), (None, Some(acme)));
    }
}

//! Sees to it that a key signs gateway tokens now and the next one is known in time, whatever happens to this process.

use crate::people::signing::{self, SigningError};
use catalog_schema::{Catalog, CatalogError, Context, NewSigningKey, SigningKeyRecord, Tx};
use jiff::Timestamp;
use std::time::Duration;
use tenancy::SigningKeyId;
use tokio_util::sync::CancellationToken;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// How long a key signs.
const SIGNS_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long before its time a key is made: gateways that are cut off from the catalog for less know it then.
const MADE_AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// How long what a key signed is believed after its time: a token's life of ten minutes, and as much again for clocks.
const BELIEVED_FOR: Duration = Duration::from_secs(20 * 60);

/// How long before its time a key is made when one is asked for: gateways follow within a second.
const ANNOUNCED_FOR: Duration = Duration::from_secs(60);

/// How far the catalog's clock may be behind ours: a key that is to sign at once has signed since then.
const CLOCKS_APART: Duration = Duration::from_secs(5 * 60);

/// How soon to try again after something did not work.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoSigningKey {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Signing(#[from] SigningError),
}

/// Runs until `shutdown`.
pub(crate) async fn run(catalog: Catalog, shutdown: CancellationToken) {
    loop {
        let pause = match ensure(&catalog).await {
            Ok(()) => HOUR,
            Err(error) => {
                tracing::warn!(%error, "there may be no key for gateway tokens");
                RETRY_PAUSE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Makes a key if one is due. Several control planes may do this at once.
pub(crate) async fn ensure(catalog: &Catalog) -> Result<(), NoSigningKey> {
    if due(&catalog.signing_keys().await?, Timestamp::now()).is_none() {
        return Ok(());
    }
    let context = Context { actor: "reconcile:signing-keys".to_owned(), request_id: "reconcile".to_owned() };
    let mut tx = catalog.begin(&context).await?;
    let Some(from) = due(&tx.signing_keys_lock().await?, whole(Timestamp::now())) else {
        return Ok(tx.rollback().await?);
    };
    add(&mut tx, from).await?;
    Ok(tx.commit().await?)
}

/// Has a new key sign from a minute on. What was signed before stays believed.
pub(crate) async fn rotate(tx: &mut Tx) -> Result<SigningKeyRecord, NoSigningKey> {
    tx.signing_keys_lock().await?;
    let from = later(whole(Timestamp::now()), ANNOUNCED_FOR);
    tx.signing_keys_retire(from, later(from, BELIEVED_FOR)).await?;
    add(tx, from).await
}

/// Has a new key sign from now on, and nothing believed that was signed before.
pub(crate) async fn replace(tx: &mut Tx) -> Result<SigningKeyRecord, NoSigningKey> {
    tx.signing_keys_lock().await?;
    tx.signing_keys_forget().await?;
    add(tx, whole(Timestamp::now()) - CLOCKS_APART).await
}

async fn add(tx: &mut Tx, signs_from: Timestamp) -> Result<SigningKeyRecord, NoSigningKey> {
    let (pkcs8, public_key) = signing::new_pair()?;
    let signs_until = later(signs_from, SIGNS_FOR);
    let verifies_until = later(signs_until, BELIEVED_FOR);
    let record = SigningKeyRecord {
        id: SigningKeyId::generate(),
        public_key,
        signs_from,
        signs_until,
        verifies_until,
    };
    tx.signing_key_add(&NewSigningKey { record: record.clone(), pkcs8 }).await?;
    Ok(record)
}

/// From when on another key has to sign, if it is time to make it.
fn due(keys: &[SigningKeyRecord], now: Timestamp) -> Option<Timestamp> {
    let covered = keys.iter().map(|key| key.signs_until).max().filter(|until| *until > now);
    match covered {
        None => Some(now - CLOCKS_APART),
        Some(until) => (until <= later(now, MADE_AHEAD)).then_some(until),
    }
}

/// In whole seconds, so that the catalog keeps it as it is.
fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    fn key(signs_from: Timestamp) -> SigningKeyRecord {
        let signs_until = later(signs_from, SIGNS_FOR);
        let verifies_until = later(signs_until, BELIEVED_FOR);
        SigningKeyRecord {
            id: SigningKeyId::generate(),
            public_key: [1; 32],
            signs_from,
            signs_until,
            verifies_until,
        }
    }

    #[test]
    fn a_key_is_made_in_time_and_signs_when_the_one_before_has_done() {
        let now = Timestamp::now();
        assert_eq!(due(&[], now), Some(now - CLOCKS_APART));
        let first = key(now);
        assert_eq!(due(std::slice::from_ref(&first), now), None);
        let in_time = first.signs_until - MADE_AHEAD;
        assert_eq!(due(std::slice::from_ref(&first), in_time), Some(first.signs_until));
        let second = key(first.signs_until);
        assert_eq!(due(&[first.clone(), second], in_time), None);
        let too_late = later(first.signs_until, HOUR);
        assert_eq!(due(&[first], too_late), Some(too_late - CLOCKS_APART));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn several_control_planes_make_one_key_and_a_rotation_keeps_the_old_one_believed() {
        let catalog = World::new().await.catalog;
        let (one, two, three) = tokio::join!(ensure(&catalog), ensure(&catalog), ensure(&catalog));
        one.and(two).and(three).unwrap();
        let first = catalog.signing_key().await.unwrap().expect("one signs").id;
        assert_eq!(catalog.signing_keys().await.unwrap().len(), 1);

        let mut tx = catalog.begin(&crate::testing::somebody()).await.unwrap();
        let second = rotate(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        let keys = catalog.signing_keys().await.unwrap();
        assert_eq!(keys.iter().map(|key| key.id).collect::<Vec<_>>(), [first, second.id]);
        assert_eq!(keys[0].signs_until, second.signs_from);
        assert_eq!(catalog.signing_key().await.unwrap().unwrap().id, first, "the new one is announced first");

        let mut tx = catalog.begin(&crate::testing::somebody()).await.unwrap();
        let third = replace(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(catalog.signing_keys().await.unwrap().len(), 1);
        assert_eq!(catalog.signing_key().await.unwrap().unwrap().id, third.id);
    }
}

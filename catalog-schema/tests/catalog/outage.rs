//! A catalog that is down, slow, or dies in the middle.

use crate::fixture::{DEADLINE, Fixture, context, eventually, name, slug, start_server, tenant};
use catalog_schema::{Catalog, CatalogError, MasterKey, migrate};
use launcher::Scratch;
use tenancy::{Secret, TenantId};
use tokio::time::timeout;

async fn connect(dsn: &Secret, size: u32) -> Catalog {
    Catalog::connect(dsn, MasterKey::generate().unwrap(), size).await.unwrap()
}

#[tokio::test]
async fn a_catalog_that_is_down_is_an_error_and_its_return_is_noticed() {
    let scratch = Scratch::create().unwrap();
    let mut server = start_server(&scratch).await;
    let dsn = server.dsn("postgres");
    migrate(&dsn).await.unwrap();
    let catalog = connect(&dsn, 2).await;
    catalog.current_revision().await.unwrap();
    let mut wakeups = catalog.listen_routes().await.unwrap();

    server.kill().await.unwrap();
    let lost = timeout(DEADLINE, wakeups.next()).await.unwrap().unwrap_err();
    assert!(lost.is_unavailable(), "{lost}");
    for _ in 0..5 {
        let down = catalog.route_by_slug(&slug("acme")).await.unwrap_err();
        assert!(down.is_unavailable(), "{down}");
    }
    assert!(catalog.begin(&context()).await.map(drop).unwrap_err().is_unavailable());
    assert!(catalog.listen_routes().await.map(drop).unwrap_err().is_unavailable());
    assert!(catalog.check_version().await.unwrap_err().is_unavailable());
    assert!(migrate(&dsn).await.unwrap_err().is_unavailable());
    // A pool that is made while the catalog is down works once it is up.
    let late = connect(&dsn, 2).await;

    server.start_again().await.unwrap();
    eventually("the catalog is found again", async || catalog.current_revision().await.is_ok()).await;
    assert!(late.current_revision().await.is_ok());
    assert!(catalog.listen_routes().await.is_ok());
}

#[tokio::test]
async fn a_restart_between_two_reads_is_not_even_noticed() {
    let scratch = Scratch::create().unwrap();
    let mut server = start_server(&scratch).await;
    let dsn = server.dsn("postgres");
    migrate(&dsn).await.unwrap();
    let catalog = connect(&dsn, 1).await;
    catalog.current_revision().await.unwrap();
    server.restart().await.unwrap();
    catalog.current_revision().await.unwrap();
}

#[tokio::test]
async fn a_catalog_that_does_not_answer_is_given_up_within_a_bound() {
    let scratch = Scratch::create().unwrap();
    let server = start_server(&scratch).await;
    let dsn = server.dsn("postgres");
    migrate(&dsn).await.unwrap();
    let catalog = connect(&dsn, 2).await;
    catalog.current_revision().await.unwrap();
    server.pause();
    let silent = timeout(DEADLINE, catalog.current_revision()).await.expect("there is a bound");
    assert!(silent.unwrap_err().is_unavailable());
    let login = timeout(DEADLINE, connect(&dsn, 1).await.current_revision()).await.expect("there is a bound");
    assert!(login.unwrap_err().is_unavailable());
    server.resume();
    eventually("the catalog answers again", async || catalog.current_revision().await.is_ok()).await;
}

#[tokio::test]
async fn a_transaction_that_is_dropped_changes_nothing_and_gives_its_connection_back() {
    let fixture = Fixture::new().await;
    let catalog = connect(&fixture.dsn, 1).await;
    for _ in 0..3 {
        let mut tx = catalog.begin(&context()).await.unwrap();
        tx.tenant_create(&tenant("acme")).await.unwrap();
    }
    assert_eq!(catalog.tenant_by_slug(&slug("acme")).await.unwrap(), None);
}

#[tokio::test]
async fn a_call_that_is_abandoned_in_the_middle_leaves_nothing_for_the_next() {
    let fixture = Fixture::new().await;
    let id = fixture.tenant("acme").await;
    let catalog = connect(&fixture.dsn, 1).await;
    catalog.current_revision().await.unwrap();
    let mut holder = fixture.tx().await;
    holder.lock_tenant(id).await.unwrap();
    let mut tx = catalog.begin(&context()).await.unwrap();
    let blocked = timeout(std::time::Duration::from_millis(200), tx.lock_tenant(id)).await;
    assert!(blocked.is_err(), "it waits for the holder");
    drop(tx);
    let read = timeout(DEADLINE, catalog.tenant_get(id)).await.unwrap();
    assert_eq!(read.unwrap().unwrap().id, id);
}

#[tokio::test]
async fn whoever_waits_too_long_for_a_row_is_told_that_it_is_busy() {
    let fixture = Fixture::new().await;
    let id = fixture.tenant("acme").await;
    let mut holder = fixture.tx().await;
    holder.lock_tenant(id).await.unwrap();
    let mut waiter = fixture.tx().await;
    let busy = waiter.lock_tenant(id).await.unwrap_err();
    assert_eq!(busy, CatalogError::Busy);
    assert!(busy.retryable() && !busy.is_unavailable());
}

#[tokio::test]
async fn a_statement_that_runs_too_long_is_cut_off_and_the_connection_lives_on() {
    let fixture = Fixture::migrated().await;
    let slow = "alter table catalog.revision rename to moved;
                create view catalog.revision as select value from catalog.moved, pg_sleep(60)";
    fixture.raw().await.batch_execute(slow).await.unwrap();
    let catalog = connect(&fixture.dsn, 1).await;
    let late = timeout(DEADLINE, catalog.current_revision()).await.expect("there is a bound").unwrap_err();
    assert_eq!(late, CatalogError::Timeout);
    assert!(late.is_unavailable());
    assert!(catalog.regions().await.is_ok());
}

#[tokio::test]
async fn a_pool_whose_connections_are_all_in_use_says_so() {
    let fixture = Fixture::new().await;
    let catalog = connect(&fixture.dsn, 1).await;
    let held = catalog.begin(&context()).await.unwrap();
    let waiting = timeout(DEADLINE, catalog.begin(&context())).await.expect("there is a bound");
    assert!(waiting.err().expect("refused").is_unavailable());
    held.rollback().await.unwrap();
    assert!(catalog.begin(&context()).await.is_ok());
}

#[tokio::test]
async fn a_read_beside_a_transaction_never_waits_for_it() {
    let fixture = Fixture::migrated().await;
    let catalog = connect(&fixture.dsn, 1).await;
    let held = catalog.begin(&context()).await.unwrap();
    assert!(catalog.current_revision().await.is_ok());
    held.rollback().await.unwrap();
}

#[tokio::test]
async fn what_the_catalog_will_never_answer_is_classified_too() {
    let fixture = Fixture::migrated().await;
    let wrong = |from: &str, to: &str| Secret::new(fixture.dsn.expose().replacen(from, to, 1));
    let database = fixture.dsn.expose().rsplit('/').next().unwrap().to_owned();
    let nowhere = connect(&wrong(&database, "nowhere"), 1).await;
    let error = nowhere.current_revision().await.unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("nowhere"), "{error}");

    let bad = Secret::new("postgres://user:hunter2@host:notaport/db".to_owned());
    let error = Catalog::connect(&bad, MasterKey::generate().unwrap(), 1).await.unwrap_err();
    assert!(matches!(error, CatalogError::BadDsn { .. }), "{error}");
    assert!(!error.to_string().contains("hunter2"));

    let mut tx = fixture.tx().await;
    let missing = tx.lock_tenant(TenantId::generate()).await.unwrap_err();
    assert_eq!(missing, CatalogError::NotFound { what: "tenant" });
    fixture
        .raw()
        .await
        .batch_execute("insert into catalog.regions values ('Not A Label', 'x')")
        .await
        .unwrap();
    assert!(matches!(fixture.catalog.regions().await, Err(CatalogError::Corrupt { .. })));
    assert_eq!(fixture.catalog.region_get(&name("eu")).await, Ok(None));
}

//! Installing and upgrading the schema.

use crate::fixture::Fixture;
use catalog_schema::{
    CatalogError, Constraint, Direction, NameKind, OperationState, SCHEMA_VERSION, StepState, migrate,
};
use std::collections::BTreeSet;
use tenancy::{
    Access, ClaimShape, ClusterState, Isolation, PoolMode, Role, SigningAlgorithm, StorageStanding,
    TenantForm, TenantState, TlsMode,
};
use tokio::task::JoinSet;

#[tokio::test]
async fn a_fresh_install_reaches_this_releases_version() {
    let fixture = Fixture::empty().await;
    assert_eq!(
        fixture.catalog.check_version().await,
        Err(CatalogError::OlderSchema { found: 0, known: SCHEMA_VERSION })
    );
    let report = migrate(&fixture.dsn).await.unwrap();
    assert_eq!(report.applied, (1..=SCHEMA_VERSION).collect::<Vec<_>>());
    assert_eq!(report.version, SCHEMA_VERSION);
    assert_eq!(fixture.catalog.check_version().await, Ok(()));
}

#[tokio::test]
async fn a_second_run_has_nothing_to_do() {
    let fixture = Fixture::migrated().await;
    let report = migrate(&fixture.dsn).await.unwrap();
    assert!(report.applied.is_empty());
    assert_eq!(report.version, SCHEMA_VERSION);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_at_the_same_time_take_turns() {
    let fixture = Fixture::empty().await;
    let mut runs = JoinSet::new();
    for _ in 0..6 {
        let dsn = fixture.dsn.clone();
        runs.spawn(async move { migrate(&dsn).await });
    }
    let reports: Vec<_> = runs.join_all().await.into_iter().map(Result::unwrap).collect();
    let applied: usize = reports.iter().map(|report| report.applied.len()).sum();
    assert_eq!(applied, usize::try_from(SCHEMA_VERSION).unwrap());
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let fixture = Fixture::migrated().await;
    let newer = "insert into catalog.schema_migrations values (9999, 'future', '2030-01-01T00:00:00Z', '1')";
    fixture.raw().await.batch_execute(newer).await.unwrap();
    let refused = CatalogError::NewerSchema { found: 9999, known: SCHEMA_VERSION };
    assert_eq!(migrate(&fixture.dsn).await.unwrap_err(), refused);
    assert_eq!(fixture.catalog.check_version().await.unwrap_err(), refused);
}

#[tokio::test]
async fn a_migration_that_was_edited_after_it_ran_is_refused() {
    let fixture = Fixture::migrated().await;
    let edit = "update catalog.schema_migrations set checksum = '1' where version = 1";
    fixture.raw().await.batch_execute(edit).await.unwrap();
    assert!(matches!(migrate(&fixture.dsn).await, Err(CatalogError::Migration { .. })));
}

#[tokio::test]
async fn what_stands_in_the_way_of_a_migration_is_told_and_nothing_is_left_half_done() {
    let fixture = Fixture::empty().await;
    let raw = fixture.raw().await;
    raw.batch_execute("create schema catalog; create table catalog.clusters ()").await.unwrap();
    let error = migrate(&fixture.dsn).await.unwrap_err();
    assert!(error.to_string().contains("already exists"), "{error}");
    let regions = raw.query_one("select to_regclass('catalog.regions')::text", &[]).await.unwrap();
    assert_eq!(regions.get::<_, Option<String>>(0), None);
    raw.batch_execute("drop table catalog.clusters").await.unwrap();
    assert_eq!(migrate(&fixture.dsn).await.unwrap().version, SCHEMA_VERSION);
}

/// The words that a column's check admits.
async fn admitted(fixture: &Fixture, constraint: &str) -> BTreeSet<String> {
    let sql = "select pg_get_constraintdef(oid) from pg_constraint where conname = $1";
    let row = fixture.raw().await.query_one(sql, &[&constraint]).await.unwrap();
    let definition: String = row.get(0);
    definition.split('\'').skip(1).step_by(2).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_schema_and_the_types_know_the_same_words() {
    fn words<T: ToString>(all: &[T]) -> BTreeSet<String> {
        all.iter().map(ToString::to_string).collect()
    }
    let fixture = Fixture::migrated().await;
    let isolation = [Isolation::Row, Isolation::Schema, Isolation::Database, Isolation::Cluster];
    for (constraint, expected) in [
        ("clusters_state_check", words(&ClusterState::ALL)),
        ("tenants_state_check", words(&TenantState::ALL)),
        ("tenants_isolation_check", words(&isolation)),
        ("physical_names_kind_check", words(&[NameKind::Database, NameKind::Role])),
        ("placement_roles_access_check", words(&Access::GRANTED)),
        ("credentials_role_check", words(&Role::ALL)),
        ("credentials_pool_mode_check", words(&PoolMode::ALL)),
        ("clusters_tls_mode_check", words(&TlsMode::ALL)),
        ("issuers_shape_check", words(&ClaimShape::ALL)),
        ("issuers_tenant_form_check", words(&TenantForm::ALL)),
        ("issuers_default_role_check", words(&Role::ALL)),
        ("issuers_algorithms_known", words(&SigningAlgorithm::ALL)),
        ("operations_state_check", words(OperationState::ALL)),
        ("operations_direction_check", words(Direction::ALL)),
        ("operation_steps_state_check", words(StepState::ALL)),
        ("storage_use_standing_check", words(&StorageStanding::ALL)),
    ] {
        assert_eq!(admitted(&fixture, constraint).await, expected, "{constraint}");
    }
}

#[tokio::test]
async fn every_rule_that_has_a_word_exists_in_the_schema() {
    let fixture = Fixture::migrated().await;
    let raw = fixture.raw().await;
    for constraint in Constraint::KNOWN {
        let sql = "select exists (select from pg_constraint where conname = $1)
                     or exists (select from pg_class where relname = $1 and relkind = 'i')
                     or exists (select from pg_proc where prosrc like '%' || quote_literal($1) || '%')";
        let row = raw.query_one(sql, &[&constraint.name()]).await.unwrap();
        assert!(row.get::<_, bool>(0), "{}", constraint.name());
    }
}

#[tokio::test]
async fn the_plans_are_there_from_the_start() {
    let fixture = Fixture::migrated().await;
    let plans = fixture.catalog.plans().await.unwrap();
    let names: Vec<_> = plans.iter().map(|plan| plan.name.to_string()).collect();
    assert_eq!(names, ["enterprise", "free", "standard"]);
    assert_eq!(plans[1].limits.pool_size, 5);
    assert_eq!(plans[1].limits.checkout_timeout_ms, 10_000);
    assert_eq!((plans[1].limits.floor, plans[1].limits.weight), (0, 100));
}

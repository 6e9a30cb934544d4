//! The way to the catalog over TLS, as its connection string says.

use crate::fixture::start_server;
use catalog_schema::{Catalog, CatalogError, MasterKey, migrate};
use launcher::{Scratch, Server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use tenancy::Secret;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server whose certificate is for `localhost` and not for its address.
async fn encrypted(scratch: &Scratch, authority: &Authority) -> Server {
    let server = start_server(scratch).await;
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    server.speak_tls(&cert.pem(), &Secret::new(key.serialize_pem())).await.unwrap();
    server
}

async fn ask(dsn: &str) -> Result<(), CatalogError> {
    let dsn = Secret::new(dsn.to_owned());
    migrate(&dsn).await?;
    let catalog = Catalog::connect(&dsn, MasterKey::generate().unwrap(), 1).await?;
    catalog.listen_routes().await?;
    catalog.current_revision().await.map(drop)
}

#[tokio::test]
async fn the_connection_string_decides_how_far_the_server_is_looked_at() {
    let (scratch, ours, others) = (Scratch::create().unwrap(), authority(), authority());
    let server = encrypted(&scratch, &ours).await;
    let file = |name: &str, pem: String| {
        let path = scratch.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.display().to_string()
    };
    let (ours, others) = (file("ours.pem", ours.pem()), file("others.pem", others.pem()));
    let by_address = server.dsn("postgres").expose().to_owned();
    let by_name = by_address.replace("127.0.0.1", "localhost");
    for (dsn, is_let_in) in [
        (format!("{by_name}?sslmode=verify-full&sslrootcert={ours}"), true),
        (format!("{by_address}?sslmode=verify-full&sslrootcert={ours}"), false),
        (format!("{by_address}?sslmode=verify-ca&sslrootcert={ours}"), true),
        (format!("{by_name}?sslmode=verify-ca&sslrootcert={others}"), false),
        (format!("{by_name}?sslmode=verify-full"), false),
        (format!("{by_name}?sslmode=verify-full&sslrootcert=system"), false),
        (format!("{by_address}?sslmode=require"), true),
        (by_address.clone(), true),
    ] {
        let answer = ask(&dsn).await;
        assert_eq!(answer.is_ok(), is_let_in, "{}: {answer:?}", dsn.rsplit('?').next().unwrap());
    }
    let admin = server.connect("postgres").await.unwrap();
    let rule = "copy (select 'hostnossl all all all reject') to program \
                'cat > rule && cat pg_hba.conf >> rule && mv rule pg_hba.conf'";
    admin.batch_execute(rule).await.unwrap();
    admin.batch_execute("select pg_reload_conf()").await.unwrap();
    crate::fixture::eventually("connections in clear to be refused", async || {
        ask(&by_address).await.is_err()
    })
    .await;
    ask(&format!("{by_name}?sslmode=verify-full&sslrootcert={ours}"))
        .await
        .expect("all of ours are encrypted");
}

#[tokio::test]
async fn a_server_without_tls_is_not_spoken_to_in_clear() {
    let scratch = Scratch::create().unwrap();
    let server = start_server(&scratch).await;
    let dsn = server.dsn("postgres").expose().to_owned();
    let refused = ask(&format!("{dsn}?sslmode=require")).await.unwrap_err();
    assert!(refused.is_unavailable(), "{refused}");
    for bad in ["sslmode=prefer", "sslmode=verify-full&sslrootcert=/nowhere"] {
        let error = ask(&format!("{dsn}?{bad}")).await.unwrap_err();
        assert!(matches!(error, CatalogError::BadDsn { .. }), "{error}");
    }
}

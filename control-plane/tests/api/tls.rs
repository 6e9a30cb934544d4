//! TLS of the API, and of the control plane's own connections to clusters.

use crate::fixture::{Plane, start};
use config::CertificateFiles;
use control_plane::failpoint::NoFailpoints;
use launcher::{Scratch, Server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};
use std::sync::Arc;
use tenancy::Secret;

/// Somebody who signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for this name and its key, in PEM.
    fn sign(&self, name: &str) -> (String, Secret) {
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        (cert.pem(), Secret::new(key.serialize_pem()))
    }

    /// A server with a certificate for this name.
    async fn server(&self, scratch: &Scratch, name: &str) -> Server {
        let server = start(scratch, "encrypted").await;
        let (cert, key) = self.sign(name);
        server.speak_tls(&cert, &key).await.unwrap();
        server
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_speaks_tls_and_nothing_else_once_it_has_a_certificate() {
    let (authority, scratch) = (Authority::new(), Scratch::create().unwrap());
    let (cert, key) = authority.sign("127.0.0.1");
    let file = |name: &str| scratch.path().join(name);
    std::fs::write(file("api.crt"), cert).unwrap();
    std::fs::write(file("api.key"), key.expose()).unwrap();
    let files = CertificateFiles { cert_file: file("api.crt"), key_file: file("api.key") };
    let root = reqwest::Certificate::from_pem(authority.0.pem().as_bytes()).unwrap();
    let http = reqwest::Client::builder().tls_certs_only([root]).build().unwrap();
    let adapt = |config: &mut config::ControlPlaneConfig| config.tls = Some(files);
    let plane = Plane::start_adapted(Arc::new(NoFailpoints), http, adapt).await;
    plane.expect(201, plane.post("/v1/regions", json!({ "name": "eu" }))).await;
    let stranger = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    let url = plane.get("/v1/regions").build().unwrap().url().to_string();
    assert!(stranger.get(&url).send().await.is_err(), "it has no reason to trust that certificate");
    let in_clear = reqwest::Client::new().get(url.replace("https://", "http://")).send().await;
    assert!(in_clear.is_err(), "{in_clear:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_reached_over_tls_and_only_if_it_is_the_one_that_is_meant() {
    let (authority, scratch) = (Authority::new(), Scratch::create().unwrap());
    let server = authority.server(&scratch, "pg.internal").await;
    let plane = Plane::start_empty(Arc::new(NoFailpoints)).await;
    plane.expect(201, plane.post("/v1/regions", json!({ "name": "eu" }))).await;
    let dsn = server.dsn("postgres");
    let register = |tls: Value| {
        let mut body = json!({ "name": "eu-1", "region": "eu", "admin_dsn": dsn.expose() });
        body.as_object_mut().unwrap().extend(tls.as_object().unwrap().clone());
        plane.post("/v1/clusters", body)
    };
    let (ours, others) = (authority.0.pem(), Authority::new().0.pem());
    for (tls, why) in [
        (json!({}), "nobody that the system trusts has signed it, and that is what is asked for unless said"),
        (json!({ "tls_ca": others, "tls_server_name": "pg.internal" }), "another authority"),
        (json!({ "tls_ca": ours }), "its host is not the name in its certificate"),
        (json!({ "tls_ca": ours, "tls_server_name": "pg.elsewhere" }), "another name"),
        (json!({ "tls_mode": "verify-ca", "tls_ca": others }), "another authority, whatever the name"),
    ] {
        let answer = plane.send(register(tls)).await;
        assert_eq!(answer.problem(), "cluster-unreachable", "{why}: {answer:?}");
        assert!(answer.body["hint"].as_str().unwrap().contains("tls_ca"), "{why}: {answer:?}");
    }
    for (field, tls) in [
        ("tls_mode", json!({ "tls_mode": "prefer" })),
        ("tls_ca", json!({ "tls_ca": "no certificate" })),
        ("tls_server_name", json!({ "tls_server_name": "no name" })),
    ] {
        let answer = plane.send(register(tls)).await;
        assert_eq!((answer.problem(), &answer.body["field"]), ("invalid-field", &json!(field)));
    }
    let tls = json!({ "tls_ca": ours, "tls_server_name": "pg.internal" });
    let cluster = plane.expect(201, register(tls)).await;
    assert_eq!(cluster["tls_mode"], "verify-full");

    // All of a provision goes that way, the check of a login too.
    let admin = server.connect("postgres").await.unwrap();
    let clear = "alter system set log_connections = on";
    admin.batch_execute(clear).await.unwrap();
    admin.batch_execute("select pg_reload_conf()").await.unwrap();
    plane.tenant("acme").await;
    let log = std::fs::read_to_string(server.log_path()).unwrap();
    let logins = log
        .lines()
        .filter(|line| line.contains("connection authorized") && line.contains("tenantry-control-plane"));
    let (mut admins, mut roles) = (0, 0);
    for line in logins {
        assert!(line.contains("SSL enabled"), "{line}");
        if line.contains("user=t_") { roles += 1 } else { admins += 1 }
    }
    assert!(admins > 0 && roles > 0, "both kinds of sessions were opened: {admins}, {roles}");

    let cleared = json!({ "tls_mode": "verify-ca", "tls_server_name": "" });
    let changed = plane.expect(200, plane.patch("/v1/clusters/eu-1", cleared)).await;
    assert_eq!((&changed["tls_mode"], &changed["tls_server_name"]), (&json!("verify-ca"), &Value::Null));
    plane.tenant("beta").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_server_is_spoken_to_in_clear_or_given_the_password_itself() {
    let scratch = Scratch::create().unwrap();
    let server = start(&scratch, "clear").await;
    let plane = Plane::start_empty(Arc::new(NoFailpoints)).await;
    plane.expect(201, plane.post("/v1/regions", json!({ "name": "eu" }))).await;
    let register = |dsn: &str, mode: &str| {
        let body = json!({ "name": "eu-1", "region": "eu", "admin_dsn": dsn, "tls_mode": mode });
        plane.post("/v1/clusters", body)
    };
    let answer = plane.send(register(server.dsn("postgres").expose(), "require")).await;
    assert!(answer.body["detail"].as_str().unwrap().contains("does not offer TLS"), "{answer:?}");

    let admin = server.connect("postgres").await.unwrap();
    admin.batch_execute("create role asked superuser login password 'hunter2'").await.unwrap();
    for method in ["password", "md5"] {
        let rule = format!(
            "copy (select 'host all asked all {method}') to program \
             'cat > rule && cat pg_hba.conf >> rule && mv rule pg_hba.conf'"
        );
        // A verifier for SCRAM is answered with SCRAM even where the rule says md5.
        admin
            .batch_execute(&format!(
                "set password_encryption = 'md5'; alter role asked password 'hunter2'; {rule}"
            ))
            .await
            .unwrap();
        admin.batch_execute("select pg_reload_conf()").await.unwrap();
        let dsn = format!("postgres://asked:hunter2@127.0.0.1:{}/postgres", server.port());
        crate::fixture::eventually("the login to be broken off", async || {
            let answer = plane.send(register(&dsn, "disable")).await;
            assert_ne!(answer.status, 201, "the password was given away to {method}");
            answer.body["detail"].as_str()?.contains("asks for the password itself").then_some(())
        })
        .await;
    }
}

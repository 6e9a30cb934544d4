//! What the name that a client asks for decides: the certificate, and the tenant.

use crate::client::{login, server_certificate};
use crate::{DOMAIN, STACK, WORLD, address, tls};

#[tokio::test]
async fn the_name_chooses_the_certificate() {
    let tls = tls();
    for (name, expected) in [
        (DOMAIN, &WORLD.main.der),
        ("acme.db.example.com", &WORLD.main.der),
        ("own.db.example.com", &WORLD.own.der),
        ("OWN.db.example.com", &WORLD.own.der),
        // No name is sent for an address, and none is known for this one.
        ("127.0.0.1", &WORLD.main.der),
        ("gateway.localhost", &WORLD.main.der),
    ] {
        let mut client = tls.named(name).request(address(&STACK)).await.expect(name);
        assert_eq!(&server_certificate(&mut client), expected, "{name}");
    }
    assert!(
        tls.named("a.b.db.example.com").request(address(&STACK)).await.is_err(),
        "a wildcard is one label"
    );
}

#[tokio::test]
async fn the_name_may_name_the_tenant() {
    let tenant = STACK.create_tenant("named", "eu").await;
    let tls = tls().named("named.db.example.com");
    for parameters in [
        &[("user", "app")][..],
        &[("user", "app"), ("database", "app")],
        &[("user", "app"), ("database", "named")],
        &[("user", "app.named"), ("database", "named")],
        &[("user", "app"), ("options", "-c tenant=named")],
    ] {
        let mut client = tls.request(address(&STACK)).await.expect("TLS");
        login(&mut client, parameters, &tenant.password()).await.unwrap_or_else(|error| {
            panic!("{parameters:?}: {error:?}");
        });
        assert_eq!(client.value("select 1").await, "1");
    }
}

#[tokio::test]
async fn a_name_and_another_tenant_do_not_go_together() {
    let (one, other) = (STACK.create_tenant("this", "eu").await, STACK.create_tenant("that", "eu").await);
    let tls = tls().named("this.db.example.com");
    for parameters in [
        &[("user", "app"), ("database", "that")][..],
        &[("user", "app.that")],
        &[("user", "app"), ("options", "-c tenant=that")],
        &[("user", "app.this"), ("database", "that")],
    ] {
        for password in [one.password(), other.password()] {
            let mut client = tls.request(address(&STACK)).await.expect("TLS");
            let error = login(&mut client, parameters, &password).await.expect_err("two tenants");
            assert_eq!(error.sqlstate(), "28000", "{parameters:?}: {}", error.text());
        }
    }
    // The name alone opens nothing.
    let mut client = tls.request(address(&STACK)).await.expect("TLS");
    let error =
        login(&mut client, &[("user", "app")], &other.password()).await.expect_err("a wrong password");
    assert_eq!(error.sqlstate(), "28P01");
}

#[tokio::test]
async fn names_elsewhere_name_nothing() {
    let tenant = STACK.create_tenant("elsewhere", "eu").await;
    for name in [DOMAIN, "127.0.0.1"] {
        let mut client = tls().named(name).request(address(&STACK)).await.expect("TLS");
        let parameters = [("user", "app"), ("database", "elsewhere")];
        login(&mut client, &parameters, &tenant.password()).await.expect("let in");
        let mut client = tls().named(name).request(address(&STACK)).await.expect("TLS");
        let error = login(&mut client, &[("user", "app")], &tenant.password()).await.expect_err("no tenant");
        assert_eq!(error.sqlstate(), "28000");
    }
}

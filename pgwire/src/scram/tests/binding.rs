//! Channel binding: agreed on, wrong, missing, and taken out on the way.

use super::*;

#[test]
fn both_flags_without_channel_binding_work_and_neither_can_be_exchanged_for_the_other() {
    // What our client sends repeats "n,,": right after "n", a forgery after "y".
    let (challenge, client_final) = interrupted(verifier("pencil"), "n,,n=,r=client");
    assert!(challenge.finish(client_final.as_bytes()).is_ok());
    let (challenge, client_final) = interrupted(verifier("pencil"), "y,,n=,r=client");
    let refused = challenge.finish(client_final.as_bytes()).err();
    assert_eq!(refused, Some(ScramError::ChannelBindingMismatch));
    // Whoever mends the header as well has broken the signature.
    let (challenge, client_final) = interrupted(verifier("pencil"), "y,,n=,r=client");
    let mended = client_final.replacen("c=biws", "c=eSws", 1);
    assert_eq!(challenge.finish(mended.as_bytes()).err(), Some(ScramError::Rejected));
}

#[test]
fn a_client_that_says_y_and_signs_it_logs_in() {
    let verifier = verifier("pencil");
    let (challenge, server_first) =
        unbound(verifier.clone()).first_with(b"SCRAM-SHA-256", b"y,,n=,r=client", "server").unwrap();
    let without_proof = "c=eSws,r=clientserver";
    let signed = format!("n=,r=client,{server_first},{without_proof}");
    let keys = crypto::derive("pencil", &verifier.salt, verifier.iterations);
    let signature = crypto::hmac(&verifier.stored_key, &[signed.as_bytes()]);
    let proof = crypto::encode(&crypto::xor(&keys.client_key, &signature));
    assert!(challenge.finish(format!("{without_proof},p={proof}").as_bytes()).is_ok());
}

#[test]
fn both_sides_bind_when_both_can() {
    let server = |binding| ServerExchange::new(verifier("pencil"), binding);
    let client = |offered, binding| ClientExchange::new(secret("pencil"), &offer(offered), binding);
    assert_eq!(server(bound_to("ours")).mechanisms(), ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]);
    assert_eq!(server(bound_to("")).mechanisms(), ["SCRAM-SHA-256"]);

    let bound = client(PLUS, bound_to("ours")).unwrap();
    assert_eq!(bound.mechanism(), "SCRAM-SHA-256-PLUS");
    assert!(bound.client_first().starts_with("p=tls-server-end-point,,n=,r="));
    assert!(finish(server(bound_to("ours")), bound).is_ok());
    // A client without binding is welcome where binding is on offer.
    assert!(finish(server(bound_to("ours")), client(PLUS, ChannelBinding::Unavailable).unwrap()).is_ok());
    // So is one that could bind where none is.
    let could = client(PLAIN, bound_to("ours")).unwrap();
    assert!(could.client_first().starts_with("y,,") && could.mechanism() == "SCRAM-SHA-256");
    assert!(finish(server(ChannelBinding::Unavailable), could).is_ok());

    for (offered, binding) in [
        (&b"\0\0\0\x0a\0"[..], ChannelBinding::Unavailable),
        (b"\0\0\0\x0aSCRAM-SHA-1\0\0", bound_to("ours")),
        (b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0\0", ChannelBinding::Unavailable),
    ] {
        assert_eq!(client(offered, binding).unwrap_err(), ScramError::NotOffered);
    }
}

#[test]
fn somebody_in_between_with_another_certificate_is_found_out() {
    for theirs in ["theirs", "our", "ours ", "ours\0"] {
        let client = ClientExchange::new(secret("pencil"), &offer(PLUS), bound_to(theirs)).unwrap();
        let refused = finish(ServerExchange::new(verifier("pencil"), bound_to("ours")), client);
        assert_eq!(refused.unwrap_err(), ScramError::ChannelBindingMismatch, "{theirs}");
    }
}

#[test]
fn an_offer_that_was_taken_out_on_the_way_is_found_out() {
    // The client could bind and is shown an offer without PLUS, by somebody who passes the rest on.
    let client = ClientExchange::new(secret("pencil"), &offer(PLAIN), bound_to("theirs")).unwrap();
    let refused = finish(ServerExchange::new(verifier("pencil"), bound_to("ours")), client);
    assert_eq!(refused.unwrap_err(), ScramError::ChannelBindingDowngrade);
}

#[test]
fn the_mechanism_and_the_first_message_must_say_the_same() {
    use ScramError as E;
    let (none, ours) = (ChannelBinding::Unavailable, bound_to("ours"));
    for (binding, mechanism, header, error) in [
        (&none, "SCRAM-SHA-256", "p=tls-server-end-point,,", E::ChannelBindingUnasked),
        (&ours, "SCRAM-SHA-256", "p=tls-server-end-point,,", E::ChannelBindingUnasked),
        (&none, "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", E::Mechanism),
        (&none, "SCRAM-SHA-1", "n,,", E::Mechanism),
        (&ours, "", "n,,", E::Mechanism),
        (&ours, "SCRAM-SHA-256-PLUS", "n,,", E::ChannelBindingMissing),
        (&ours, "SCRAM-SHA-256-PLUS", "y,,", E::ChannelBindingMissing),
        (&ours, "SCRAM-SHA-256-PLUS", "p=tls-unique,,", E::ChannelBindingKind),
        (&ours, "SCRAM-SHA-256-PLUS", "p=,,", E::ChannelBindingKind),
    ] {
        let server = ServerExchange::new(verifier("pencil"), binding.clone());
        let client_first = format!("{header}n=,r=client");
        let refused = server.first(mechanism.as_bytes(), client_first.as_bytes());
        assert_eq!(refused.map(|_| ()).unwrap_err(), error, "{mechanism} {header}");
    }
}

//! Every verb and every subject, said by every role: CVE-2026-6667 was a verb that was forgotten.

use super::{STACK, admin, console, sqlstate, stats, tenant};
use gateway::console::command::{Subject, Verb};

/// A statement that would do the least harm: the tenant and the client are not there.
fn statement(verb: Verb) -> String {
    let target = if verb == Verb::KillClient { "18446744073709551615" } else { "no-such-tenant" };
    format!("{} {target}", verb.word())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_look_can_do_nothing() {
    let mut client = console(&stats()).await;
    for verb in Verb::ALL {
        for text in [statement(verb), statement(verb).to_lowercase()] {
            assert_eq!(sqlstate(&mut client, &text).await, "42501", "{text}");
        }
    }
    for everybody in ["PAUSE", "RESUME", "KILL", "RECONNECT", "WAIT_CLOSE", "RELOAD", "SHUTDOWN", "SUSPEND"] {
        assert_eq!(sqlstate(&mut client, everybody).await, "42501", "{everybody}");
    }
    assert_eq!(sqlstate(&mut client, "SET max_client_conn = 1").await, "42501");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_may_do_everything() {
    let mut client = console(&admin()).await;
    for verb in Verb::ALL {
        let expected = match verb {
            Verb::KillClient => "42704",
            Verb::Reload | Verb::Shutdown | Verb::Suspend => "0A000",
            _ => "3D000",
        };
        assert_eq!(sqlstate(&mut client, &statement(verb)).await, expected, "{verb:?}");
    }
    assert_eq!(sqlstate(&mut client, "SET max_client_conn = 1").await, "0A000");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_may_look_at_everything() {
    let tenant = tenant("looked-at", 2).await;
    for config in [admin(), stats()] {
        let mut client = console(&config).await;
        for subject in Subject::ALL {
            let argument = if subject == Subject::Route { tenant.slug.as_str() } else { "" };
            let text = format!("SHOW {} {argument}", subject.word());
            let messages = client.query(&text).await.expect("an answer");
            assert!(messages.iter().all(|message| message.tag != b'E'), "{text}: {messages:?}");
        }
    }
    assert_eq!(STACK.metric("tenantry_gateway_out_of_sync_total", &[]).await, 0.0);
}

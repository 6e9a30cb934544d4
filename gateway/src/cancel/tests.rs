use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn cancels() -> Arc<Cancels> {
    Arc::new(Cancels::new(&CancelConfig::default()))
}

#[tokio::test]
async fn a_wrong_process_id_or_secret_cancels_nothing() {
    let cancels = cancels();
    let guard = cancels.register().expect("randomness");
    guard.slot().waiting();
    let key = guard.key();
    for wrong in [
        CancelKey { secret: key.secret ^ 1, ..key },
        CancelKey { process_id: key.process_id ^ 1, ..key },
        CancelKey { process_id: 0, secret: 0 },
    ] {
        assert_eq!(cancels.cancel(wrong, HERE).await, CancelOutcome::Unknown);
    }
    assert_eq!(cancels.cancel(key, HERE).await, CancelOutcome::Queue);
}

#[tokio::test]
async fn a_session_is_forgotten_with_its_guard() {
    let cancels = cancels();
    let guard = cancels.register().expect("randomness");
    let key = guard.key();
    assert_eq!(cancels.cancel(key, HERE).await, CancelOutcome::Nothing);
    drop(guard);
    assert_eq!(cancels.cancel(key, HERE).await, CancelOutcome::Unknown);
}

#[tokio::test]
async fn a_waiting_session_hears_of_its_cancel() {
    let cancels = cancels();
    let guard = cancels.register().expect("randomness");
    guard.slot().waiting();
    cancels.cancel(guard.key(), HERE).await;
    guard.slot().cancelled().await;
}

#[test]
fn a_key_names_the_gateway_that_gave_it_out_and_is_positive() {
    let cancels = cancels();
    for number in [0, 1, 1023] {
        cancels.peers().numbered(number);
        let key = cancels.register().expect("randomness").key();
        assert_eq!((gateway_of(key), key.process_id >= 0), (number, true));
    }
}

#[tokio::test]
async fn a_key_outlives_a_change_of_its_gateways_number() {
    let cancels = cancels();
    let guard = cancels.register().expect("randomness");
    cancels.peers().numbered(9);
    assert_eq!(cancels.cancel(guard.key(), HERE).await, CancelOutcome::Nothing);
}

#[tokio::test]
async fn a_request_for_another_gateway_goes_there_once() {
    let (here, there) = (cancels(), cancels());
    here.peers().numbered(1);
    there.peers().numbered(2);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it listens").to_string();
    let guard = there.register().expect("randomness");
    assert_eq!(here.cancel(guard.key(), HERE).await, CancelOutcome::NoGateway);
    here.peers().alive(vec![(2, address.clone())]);
    let serve = async {
        let (mut stream, _) = listener.accept().await.expect("a request");
        let mut packet = [0; 16];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut packet).await.expect("a request");
        let number =
            |at: usize| i32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
        CancelKey { process_id: number(8), secret: number(12) }
    };
    let (outcome, passed_on) = tokio::join!(here.cancel(guard.key(), HERE), serve);
    assert_eq!(outcome, CancelOutcome::Gateway);
    assert_eq!(there.cancel(passed_on, HERE).await, CancelOutcome::Nothing, "it is known there");
    // At a third one, it ends.
    let third = cancels();
    third.peers().numbered(3);
    third.peers().alive(vec![(2, address)]);
    assert_eq!(third.cancel(passed_on, HERE).await, CancelOutcome::Unknown);
}

#[tokio::test]
async fn a_flood_from_one_address_is_dropped() {
    let cancels = Cancels::new(&CancelConfig { per_source_max: 1, ..CancelConfig::default() });
    let key = CancelKey { process_id: 1, secret: 1 };
    let mut outcomes = Vec::new();
    for _ in 0..20 {
        outcomes.push(cancels.cancel(key, HERE).await);
    }
    assert!(outcomes.contains(&CancelOutcome::Limited), "{outcomes:?}");
}

/// A server that counts the cancel requests that it gets, and tells of each.
async fn counting() -> (CancelTarget, tokio::sync::mpsc::UnboundedReceiver<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (told, tells) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 16];
            if tokio::io::AsyncReadExt::read_exact(&mut stream, &mut request).await.is_ok() {
                let _ = told.send(());
            }
        }
    });
    (CancelTarget::new(address, CancelKey { process_id: 1, secret: 2 }, None), tells)
}

#[tokio::test]
async fn a_cancel_that_the_statement_has_not_heard_is_sent_again() {
    let (server, mut tells) = counting().await;
    let slot = Arc::new(CancelSlot::default());
    assert!(slot.running(server));
    assert_eq!(cancel_request_of(&slot).await, CancelOutcome::Server);
    let mut sent = 0;
    while tells.try_recv().is_ok() {
        sent += 1;
    }
    assert_eq!(sent, PATIENCE.len());
    assert!(slot.stopped(), "none is under way any more");
}

#[tokio::test]
async fn a_cancel_is_not_sent_again_once_its_request_is_answered() {
    let (server, mut tells) = counting().await;
    let slot = Arc::new(CancelSlot::default());
    assert!(slot.running(server));
    let answered = async {
        tells.recv().await.expect("a cancel");
        slot.answered(1);
    };
    let (outcome, ()) = tokio::join!(cancel_request_of(&slot), answered);
    assert_eq!(outcome, CancelOutcome::Server);
    assert!(tells.try_recv().is_err(), "the next request is not meant");
}

#[tokio::test]
async fn a_request_that_is_about_to_begin_is_looked_for_twice() {
    let (server, mut tells) = counting().await;
    let slot = Arc::new(CancelSlot::default());
    let begins = async {
        tokio::task::yield_now().await;
        assert!(slot.running(server));
        tells.recv().await.expect("a cancel");
        slot.answered(1);
    };
    let (outcome, ()) = tokio::join!(biased; cancel_request_of(&slot), begins);
    assert_eq!(outcome, CancelOutcome::Server);
    slot.stopped();
    assert_eq!(cancel_request_of(&slot).await, CancelOutcome::Nothing);
}

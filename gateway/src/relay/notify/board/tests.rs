use super::*;

fn name(name: &str) -> ChannelName {
    name.as_bytes().into()
}

fn mailbox() -> Arc<Mailbox> {
    Arc::new(Mailbox::new(100))
}

fn mail(mailbox: &Mailbox) -> usize {
    let mut out = Vec::new();
    mailbox.take_into(&mut out);
    out.len()
}

#[test]
fn the_listener_is_asked_once_for_each_channel_and_answers_all_who_wait() {
    let (board, one, two) = (Board::default(), mailbox(), mailbox());
    assert!(board.enter(1, &one));
    assert!(board.enter(2, &two));
    assert_eq!(board.listen(1, &[name("a")]), Ok(false));
    assert_eq!(board.listen(2, &[name("a"), name("b")]), Ok(false));
    board.ask(&two);
    let question = board.question().expect("two channels");
    assert_eq!(question.listen, [name("a"), name("b")]);
    assert!(board.question().is_none() && !two.is_answered());
    board.answered(question);
    assert!(two.is_answered());
    assert_eq!(board.listen(1, &[name("b")]), Ok(true));
    assert!(board.question().is_none());
}

#[test]
fn a_notification_goes_to_those_who_listen_to_its_channel() {
    let (board, one, two) = (Board::default(), mailbox(), mailbox());
    assert!(board.enter(1, &one));
    assert!(board.enter(2, &two));
    board.listen(1, &[name("a")]).expect("there is room");
    board.listen(2, &[name("b")]).expect("there is room");
    let message = *b"A\0\0\0\x04";
    board.dispatch(b"a", &message);
    board.dispatch(b"c", &message);
    assert_eq!((mail(&one), mail(&two)), (5, 0));
}

#[test]
fn a_channel_is_left_with_the_last_who_listens_to_it() {
    let (board, one, two) = (Board::default(), mailbox(), mailbox());
    for (client, mailbox) in [(1, &one), (2, &two)] {
        assert!(board.enter(client, mailbox));
        board.listen(client, &[name("a")]).expect("there is room");
    }
    board.answered(board.question().expect("a channel"));
    board.unlisten(1, &[name("a")]);
    assert!(board.question().is_none());
    board.unlisten(2, &[name("a")]);
    // Somebody comes back before it is left, and is heard.
    assert_eq!(board.listen(1, &[name("a")]), Ok(true));
    assert!(board.question().is_none());
    board.unlisten(1, &[name("a")]);
    assert_eq!(board.question().expect("it is left").unlisten, [name("a")]);
    assert_eq!(board.listen(1, &[name("a")]), Ok(false));
}

#[test]
fn it_ends_with_its_last_client_and_tells_all_when_it_is_ended() {
    let (board, one) = (Board::default(), mailbox());
    assert!(board.enter(1, &one));
    board.leave(1, &HashSet::new());
    assert!(board.is_closed() && one.lost().is_none());
    let (board, one) = (Board::default(), mailbox());
    assert!(board.enter(1, &one));
    board.close(Lost::Listener);
    assert_eq!(one.lost(), Some(Lost::Listener));
    let late = mailbox();
    assert!(!board.enter(2, &late));
    board.ask(&late);
    assert!(late.is_answered() && late.lost().is_some());
}

#[test]
fn channels_are_bounded() {
    let (board, one) = (Board::default(), mailbox());
    assert!(board.enter(1, &one));
    let names: Vec<ChannelName> = (0..CHANNELS_MAX).map(|number| name(&format!("c{number}"))).collect();
    assert_eq!(board.listen(1, &names), Ok(false));
    assert_eq!(board.listen(1, &[name("one more")]), Err(Full));
    assert_eq!(board.listen(1, &names[..1]), Ok(false));
}

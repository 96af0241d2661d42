//! Calls to one server that may say no.

use super::super::ProbeFailure;
use super::*;

async fn probe(act: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> (Result<u64, ProbeFailure>, usize) {
    let server = Server::start(act).await;
    let transport = transport(&[&server], limits());
    let outcome = transport.send_to(0, &call(3), Size::tokens(0), &decode).await;
    (outcome, server.count())
}

#[tokio::test]
async fn an_answer_is_an_answer() {
    let (outcome, count) = probe(|seen| if seen.index == 0 { error(500, "x") } else { right(seen) }).await;
    assert_eq!((outcome.unwrap(), count), (3, 2));
}

#[tokio::test]
async fn missing_routes_are_told_apart() {
    for status in [400, 404, 405, 415, 422, 501] {
        let (outcome, count) = probe(move |_| error(status, "Not Found")).await;
        assert!(matches!(outcome, Err(ProbeFailure::Missing(message, _)) if message.contains("Not Found")), "{status}");
        assert_eq!(count, 1, "{status}");
    }
}

#[tokio::test]
async fn what_the_user_can_mend_is_an_error() {
    let (outcome, _) = probe(|_| error(404, "The model `x` does not exist.")).await;
    assert!(matches!(outcome, Err(ProbeFailure::Failed(err)) if err.hint_text() == Some("check the model's name")));
    let (outcome, count) = probe(|_| error(401, "bad key")).await;
    assert!(
        matches!(outcome, Err(ProbeFailure::Failed(err)) if err.hint_text().unwrap().contains("environment variable"))
    );
    assert_eq!(count, 1);
    let (outcome, count) = probe(|_| error(429, "later")).await;
    assert!(matches!(outcome, Err(ProbeFailure::Unavailable(_))));
    assert_eq!(count, 5);
}

#[tokio::test]
async fn nonsense_is_malformed_after_three_attempts() {
    for act in [|| error(500, "x"), || Act::Say(json_answer(200, &json!({})))] as [fn() -> Act; 2] {
        let (outcome, count) = probe(move |_| act()).await;
        assert!(matches!(outcome, Err(ProbeFailure::Malformed(_))), "{outcome:?}");
        assert_eq!(count, 3);
    }
}

#[tokio::test]
async fn an_unreachable_server_is_named() {
    let address = closed_port().await;
    let transport =
        Transport::new(vec![base(&format!("http://{address}/"))], limits(), &super::super::testing::TestWire).unwrap();
    match transport.send_to(0, &call(1), Size::tokens(0), &decode).await {
        Err(ProbeFailure::Unavailable(err)) => {
            assert!(err.to_string().contains(&address.to_string()) && err.hint_text().is_some(), "{err}")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn probes_that_fail_do_not_speak_against_a_server() {
    let server = Server::start(|seen| if seen.index < 20 { error(404, "Not Found") } else { right(seen) }).await;
    let transport = transport(&[&server], limits());
    for _ in 0..20 {
        assert!(transport.send_to(0, &call(1), Size::tokens(0), &decode).await.is_err());
    }
    assert_all_right(&send_all(&transport, 20).await);
    assert!(matches!(
        transport.send_to(9, &call(1), Size::tokens(0), &decode).await,
        Err(ProbeFailure::Missing(..) | ProbeFailure::Failed(_))
    ));
}

//! Several servers, and none.

use super::*;
use crate::error::ErrorKind;

#[tokio::test]
async fn several_servers_share_the_calls() {
    let slow = |seen: &Seen| Act::Later(Duration::from_millis(1), json_answer(200, &json!({ "n": seen.n() })));
    let (one, two) = (Server::start(slow).await, Server::start(slow).await);
    let transport = transport(&[&one, &two], limits());
    assert_eq!(transport.num_bases(), 2);
    assert_all_right(&send_all(&transport, 400).await);
    assert_eq!(one.count() + two.count(), 400);
    assert!(one.count() > 100 && two.count() > 100, "{} {}", one.count(), two.count());
}

#[tokio::test]
async fn a_dead_server_costs_no_call() {
    let alive = Server::start(right).await;
    let dead = base(&format!("http://{}/", closed_port().await));
    let transport = Transport::new(vec![dead, alive.base()], limits(), &super::super::testing::TestWire).unwrap();
    assert_all_right(&send_all(&transport, 300).await);
    assert_eq!(alive.count(), 300);
}

#[tokio::test]
async fn a_server_that_fails_is_left_and_found_again() {
    let sick = Server::start(|seen| if seen.index < 12 { error(500, "sick") } else { right(seen) }).await;
    let well =
        Server::start(|seen| Act::Later(Duration::from_millis(2), json_answer(200, &json!({ "n": seen.n() })))).await;
    let transport = transport(&[&sick, &well], Limits { max_retries: 8, ..limits() });
    assert_all_right(&send_all(&transport, 3000).await);
    assert!(sick.count() > 50, "it came back: {}", sick.count());
}

#[tokio::test]
async fn when_nobody_listens_everything_stops_and_can_be_continued() {
    let dead = base(&format!("http://{}/", closed_port().await));
    let transport = Transport::new(vec![dead], limits(), &super::super::testing::TestWire).unwrap();
    for (_, outcome) in send_all(&transport, 200).await {
        match outcome {
            Err(Failure::Stopped(err)) => {
                assert_eq!(err.kind(), ErrorKind::Incomplete);
                assert!(
                    err.to_string().contains("cannot connect to http://127.0.0.1:")
                        && !err.to_string().contains("canary"),
                    "{err}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(transport.traffic().sent < 60, "{:?}", transport.traffic());
    assert!(matches!(send(&transport, 1).await, Err(Failure::Stopped(_))), "for good");
}

#[tokio::test]
async fn a_server_that_comes_back_in_time_loses_nothing() {
    let address = closed_port().await;
    let patient = Limits { max_retries: 12, max_wait: Duration::from_millis(100), ..limits() };
    let transport =
        Transport::new(vec![base(&format!("http://{address}/"))], patient, &super::super::testing::TestWire).unwrap();
    let late = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Server::start_at(&address.to_string(), right).await
    };
    let (outcomes, _server) = tokio::join!(send_all(&transport, 200), late);
    assert_all_right(&outcomes);
}

#[tokio::test]
async fn a_wrong_key_is_not_tried_ten_thousand_times() {
    let server = Server::start(|_| error(401, "Incorrect API key provided: canary-key")).await;
    let transport = transport(&[&server], limits());
    let outcomes = send_all(&transport, 10_000).await;
    let (mut unanswered, mut stopped) = (0, 0);
    for (_, outcome) in outcomes {
        match outcome {
            Err(Failure::Unanswered(message)) => {
                assert!(message.contains("HTTP 401") && !message.contains("canary"), "{message}");
                unanswered += 1;
            }
            Err(Failure::Stopped(err)) => {
                assert_eq!(err.kind(), ErrorKind::Input);
                assert!(err.to_string().contains("check the environment variable that holds the key"), "{err}");
                assert!(!err.to_string().contains("canary"), "{err}");
                stopped += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!((10..=20).contains(&unanswered), "{unanswered}");
    assert_eq!(unanswered + stopped, 10_000);
    assert_eq!(server.count(), unanswered);
}

#[tokio::test]
async fn one_poisonous_call_is_the_only_one_lost() {
    let server = Server::start(|seen| if seen.n() == 7 { Act::SayAndReset(Vec::new()) } else { right(seen) }).await;
    let transport = transport(&[&server], limits());
    for (n, outcome) in send_all(&transport, 100).await {
        match outcome {
            Ok((value, delivery)) => assert_eq!((value, delivery.retries), (n, 0)),
            Err(Failure::Unanswered(_)) => assert_eq!(n, 7),
            other => panic!("{n}: {other:?}"),
        }
    }
}

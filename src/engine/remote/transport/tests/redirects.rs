//! Redirects, and what they may not take along.

use super::*;

fn redirect(status: u16, to: &str) -> Act {
    Act::Say(answer(status, &format!("location: {to}\r\n"), ""))
}

#[tokio::test]
async fn redirects_within_a_server_keep_method_body_and_key() {
    for status in [301, 302, 307, 308] {
        let server =
            Server::start(move |seen| if seen.index == 0 { redirect(status, "/v2/other?x=1") } else { right(seen) })
                .await;
        assert_eq!(send(&transport(&[&server], limits()), 5).await.unwrap().0, 5, "{status}");
        let second = &server.seen()[1];
        assert!(
            second.head.starts_with("POST /v2/other?x=1 ") && second.head.contains("Bearer canary-key"),
            "{}",
            second.head
        );
    }
}

#[tokio::test]
async fn redirects_to_another_origin_take_no_secret_along() {
    let other = Server::start(right).await;
    let to = format!("http://u:p@{}/there?key=canary-query&a=b", other.address);
    let server = Server::start(move |_| redirect(307, &to)).await;
    assert_eq!(send(&transport(&[&server], limits()), 5).await.unwrap().0, 5);
    let head = &other.seen()[0].head;
    assert!(
        head.starts_with("POST /there?a=b ")
            && !head.contains("canary")
            && !head.to_lowercase().contains("authorization"),
        "{head}"
    );
}

#[tokio::test]
async fn not_even_when_it_leads_back() {
    let (first, second) = (closed_port().await, closed_port().await);
    let away = format!("http://{second}/away");
    let back = format!("http://{first}/back");
    let server = Server::start_at(
        &first.to_string(),
        move |seen| if seen.index == 0 { redirect(308, &away) } else { right(seen) },
    )
    .await;
    let _other = Server::start_at(&second.to_string(), move |_| redirect(308, &back)).await;
    assert_eq!(send(&transport(&[&server], limits()), 5).await.unwrap().0, 5);
    assert!(!server.seen()[1].head.contains("canary"), "{}", server.seen()[1].head);
}

#[tokio::test]
async fn another_origin_that_wants_a_key_is_named() {
    let other = Server::start(|_| error(401, "who are you")).await;
    let to = format!("http://{}/", other.address);
    let server = Server::start(move |_| redirect(307, &to)).await;
    let message = message(send(&transport(&[&server], limits()), 5).await);
    assert!(
        message.contains("keys are not sent to other hosts") && message.contains(&other.address.to_string()),
        "{message}"
    );
}

#[tokio::test]
async fn circles_and_nonsense_end() {
    for to in ["/v1/completions", "http://", "ftp://x/", "file:///etc/passwd", "javascript:alert(1)"] {
        let to_owned = to.to_string();
        let server = Server::start(move |_| redirect(307, &to_owned)).await;
        let message = message(send(&transport(&[&server], limits()), 5).await);
        assert!(server.count() <= 6, "{to}: {message}");
        assert!(message.contains("redirect"), "{to}: {message}");
    }
}

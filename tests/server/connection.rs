//! One connection: requests in, answers out, as they should be or as a fault wants them.

use super::answers::{self, Answer, Asked};
use super::faults::Fault;
use super::{Setup, Shared, Told};
use serde_json::Value;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long the listener stays away, in milliseconds.
const AWAY_MS: u64 = 150;
/// Longer than any test's client waits.
const STALL: Duration = Duration::from_secs(30);
const HUGE: usize = 100_000_000;

/// Answers requests until the connection ends.
pub async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let (mut buffer, mut out) = (Vec::with_capacity(4096), Vec::with_capacity(4096));
    while let Some((head, body)) = next(&mut stream, &mut buffer).await {
        let end = head + body;
        let goes_on = respond(&mut stream, &shared, &buffer[..head], &buffer[head..end], &mut out).await;
        buffer.drain(..end);
        if !goes_on {
            return;
        }
    }
}

/// Reads until a whole request is there: the lengths of its head and its body.
async fn next(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(usize, usize)> {
    let mut looked = 0;
    let mut head: Option<(usize, usize)> = None;
    loop {
        if head.is_none()
            && let Some(at) = buffer[looked..].windows(4).position(|four| four == b"\r\n\r\n")
        {
            let end = looked + at + 4;
            head = Some((end, content_length(&buffer[..end])));
        }
        match head {
            Some((end, length)) if buffer.len() >= end + length => return Some((end, length)),
            None => looked = buffer.len().saturating_sub(3),
            _ => {}
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length:";
    let line = head
        .split(|byte| *byte == b'\n')
        .find(|line| line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME));
    let value = line.and_then(|line| std::str::from_utf8(&line[NAME.len()..]).ok());
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

/// One request. Says whether the connection goes on.
async fn respond(stream: &mut TcpStream, shared: &Shared, head: &[u8], body: &[u8], out: &mut Vec<u8>) -> bool {
    let number = shared.requests.fetch_add(1, Ordering::SeqCst);
    let setup = Arc::clone(&shared.setup.lock().unwrap());
    let head = std::str::from_utf8(head).unwrap_or_default();
    let target = head.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let asked = Asked { path, body: serde_json::from_slice(body).unwrap_or(Value::Null) };
    let prompt = answers::prompt(&asked);
    let key = prompt.as_ref().filter(|_| setup.keeps_log).map(|(kind, text)| format!("{kind}: {text}"));
    let fault = note(shared, &setup, head, key.as_deref(), number);
    if !setup.delay.is_zero() {
        tokio::time::sleep(setup.delay).await;
    }
    let answer = match (&setup.redirect, setup.denies) {
        (Some(elsewhere), _) => redirect(elsewhere, target),
        (_, true) => denied(head),
        _ => odd(shared, &setup, head, &asked, prompt.as_ref())
            .or_else(|| failed(fault, &setup, target))
            .unwrap_or_else(|| answers::answer(&setup, &asked, prompt.as_ref(), fault)),
    };
    out.clear();
    write_head(out, &answer);
    let start = out.len();
    out.extend(&answer.body);
    let is_right = answer.status == 200 && matches!(fault, None | Some(Fault::Twice | Fault::WrongOrder));
    if is_right && prompt.is_some() {
        if let Some(key) = key {
            shared.log.lock().unwrap().prompts.entry(key).or_default().answered += 1;
        }
        shared.count_answer();
    }
    send(stream, shared, out, start, fault).await
}

/// Keeps what came and says which fault meets it.
fn note(shared: &Shared, setup: &Setup, head: &str, key: Option<&str>, number: u64) -> Option<Fault> {
    if !setup.keeps_log {
        return None;
    }
    let mut log = shared.log.lock().unwrap();
    log.keep_head(head);
    let key = key?;
    let count = log.prompts.entry(key.to_string()).or_default();
    count.asked += 1;
    let plan = setup.faults.as_ref()?;
    let mut fault = plan.at(number, key).filter(|_| count.faults < plan.most_per_prompt)?;
    // Where nothing would show that the answer is another prompt's, or without log-probabilities, there is another fault.
    let is_scored = key.starts_with("score") && setup.completions == super::Completions::Scores;
    if !is_scored && matches!(fault, Fault::OtherPrompt | Fault::NanLogprobs | Fault::NullLogprobs) {
        fault = Fault::TruncatedJson;
    }
    count.faults += 1;
    *log.faults.entry(format!("{fault:?}")).or_default() += 1;
    Some(fault)
}

/// The answer of the server's quirk.
fn odd(
    shared: &Shared,
    setup: &Setup,
    head: &str,
    asked: &Asked<'_>,
    prompt: Option<&(&'static str, String)>,
) -> Option<Answer> {
    let prompt = prompt.map_or("", |(_, text)| text);
    let told = Told { head, body: &asked.body, prompt, answered: shared.answered.load(Ordering::SeqCst) };
    let (status, headers, body) = setup.quirk?(&told)?;
    Some(Answer { headers, ..Answer::value(status, &body) })
}

/// Answers that stand in for the right one.
fn failed(fault: Option<Fault>, setup: &Setup, target: &str) -> Option<Answer> {
    let page = |status| Answer {
        kind: "text/html; charset=utf-8",
        ..Answer::json(status, b"<html><body><h1>Something is wrong here</h1></body></html>".to_vec())
    };
    let too_many = |headers: &str| Answer {
        headers: headers.to_string(),
        ..Answer::error(429, "rate_limit_exceeded", "too many requests")
    };
    Some(match fault? {
        Fault::TooMany => too_many(""),
        Fault::TooManySeconds => too_many("Retry-After: 1\r\n"),
        Fault::TooManyDate => {
            let now = chrono::DateTime::from_timestamp(unix_now(), 0).unwrap_or_default();
            let date = |at: chrono::DateTime<chrono::Utc>| at.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
            let later = now + chrono::TimeDelta::seconds(1);
            too_many(&format!("Date: {}\r\nRetry-After: {}\r\n", date(now), date(later)))
        }
        Fault::Status(502) => page(502),
        Fault::Status(status) => Answer::error(status, "server_error", "the server has a bad day"),
        Fault::Html => page(200),
        Fault::Redirect => redirect(setup.faults.as_ref()?.elsewhere.as_deref()?, target),
        _ => return None,
    })
}

fn unix_now() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_secs() as i64)
}

fn redirect(elsewhere: &str, target: &str) -> Answer {
    Answer { headers: format!("Location: {elsewhere}{target}\r\n"), ..Answer::json(307, Vec::new()) }
}

/// A refusal that repeats the key, as some servers do.
fn denied(head: &str) -> Answer {
    let key = head.lines().filter(|line| line.to_ascii_lowercase().contains("auth")).collect::<Vec<_>>().join("; ");
    Answer::error(401, "invalid_api_key", &format!("Incorrect API key provided: {key}. You sent: {head}"))
}

fn write_head(out: &mut Vec<u8>, answer: &Answer) {
    let Answer { status, kind, headers, body } = answer;
    let length = body.len();
    let _ = write!(out, "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{headers}content-length: {length}\r\n\r\n");
}

/// Puts an answer on the connection, in the way of the fault.
async fn send(stream: &mut TcpStream, shared: &Shared, out: &mut Vec<u8>, start: usize, fault: Option<Fault>) -> bool {
    let half = start + (out.len() - start) / 2;
    match fault {
        Some(Fault::Away) => {
            shared.away.store(AWAY_MS, Ordering::SeqCst);
            return false;
        }
        Some(Fault::Reset) => {
            let _ = stream.write_all(&out[..half]).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
            let _ = stream.set_zero_linger();
            return false;
        }
        Some(Fault::HalfBody) => {
            let _ = stream.write_all(&out[..half]).await;
            return false;
        }
        Some(Fault::Trickle) => {
            for byte in &out[..half.min(20)] {
                let _ = stream.write_all(&[*byte]).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // Until the client has enough of it.
            let _ = tokio::time::timeout(STALL, stream.read_u8()).await;
            return false;
        }
        Some(Fault::TruncatedJson) => {
            // Half a body, of which the head says that it is whole.
            let length = half - start;
            let head = format!("HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
            let whole = [head.as_bytes(), &out[start..half]].concat();
            return stream.write_all(&whole).await.is_ok();
        }
        Some(Fault::WrongType) => {
            let text = String::from_utf8_lossy(out).replacen("application/json", "text/plain", 1);
            return stream.write_all(text.as_bytes()).await.is_ok();
        }
        Some(Fault::Twice) => out.extend_from_within(..),
        Some(Fault::Huge) => return huge(stream).await,
        _ => {}
    }
    stream.write_all(out).await.is_ok()
}

/// White space without end, of a length that is not announced.
async fn huge(stream: &mut TcpStream) -> bool {
    const CHUNK: usize = 1 << 16;
    let head = b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut chunk = format!("{CHUNK:x}\r\n").into_bytes();
    chunk.resize(chunk.len() + CHUNK, b' ');
    chunk.extend(b"\r\n");
    if stream.write_all(head).await.is_err() {
        return false;
    }
    for _ in 0..HUGE / CHUNK {
        if stream.write_all(&chunk).await.is_err() {
            return false;
        }
    }
    let _ = stream.write_all(b"0\r\n\r\n").await;
    false
}

//! A server for tests that writes whatever bytes it is told to.

use super::{Base, Limits, Secret, Transport};
use crate::engine::remote::wire::{Ask, Call, Reply, Wire, WireError};
use reqwest::Url;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request that came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Request line and headers.
    pub head: String,
    pub body: Value,
    /// How many came before, over all connections.
    pub index: usize,
}

impl Seen {
    /// The number in the body that marks the call.
    pub fn n(&self) -> u64 {
        self.body["n"].as_u64().unwrap_or(u64::MAX)
    }
}

/// What the server does with a request.
pub enum Act {
    Say(Vec<u8>),
    /// Says something and closes the connection.
    SayAndClose(Vec<u8>),
    /// Resets the connection after saying something.
    SayAndReset(Vec<u8>),
    /// Says something, and later something else.
    SayTwice(Vec<u8>, Duration, Vec<u8>),
    Later(Duration, Vec<u8>),
    /// Writes a byte now and then, for ever.
    Trickle(Vec<u8>),
    Hang,
}

type Handler = dyn Fn(&Seen) -> Act + Send + Sync;

/// What the server has counted.
#[derive(Default)]
pub struct Counts {
    seen: Mutex<Vec<Seen>>,
    pub connections: AtomicUsize,
    open: AtomicUsize,
    /// Most requests that were open at the same time.
    pub most_open: AtomicUsize,
    /// Answers given that nobody had asked for.
    pub unasked: AtomicUsize,
}

pub struct Server {
    pub address: SocketAddr,
    pub counts: Arc<Counts>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub async fn start(handler: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Server {
        Server::start_at("127.0.0.1:0", handler).await
    }

    pub async fn start_at(address: &str, handler: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        let handler: Arc<Handler> = Arc::new(handler);
        let task = tokio::spawn(async move {
            // Dropped with this task: so are all connections.
            let mut all = tokio::task::JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { break };
                counted.connections.fetch_add(1, Ordering::SeqCst);
                all.spawn(serve(stream, Arc::clone(&handler), Arc::clone(&counted)));
            }
        });
        Server { address, counts, task }
    }

    pub fn base(&self) -> Base {
        base(&format!("http://{}/v1/", self.address))
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.counts.seen.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.counts.seen.lock().unwrap().len()
    }
}

async fn serve(mut stream: TcpStream, handler: Arc<Handler>, counts: Arc<Counts>) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    while let Some((head, body)) = read(&mut stream, &mut buffer).await {
        let request = {
            let mut seen = counts.seen.lock().unwrap();
            let request = Seen { head, body, index: seen.len() };
            seen.push(request.clone());
            request
        };
        counts.most_open.fetch_max(counts.open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let goes_on = act(&mut stream, handler(&request), &counts).await;
        if !goes_on {
            return;
        }
    }
}

/// Says whether the connection goes on.
async fn act(stream: &mut TcpStream, act: Act, counts: &Counts) -> bool {
    let done = || counts.open.fetch_sub(1, Ordering::SeqCst);
    match act {
        Act::Say(bytes) => {
            done();
            stream.write_all(&bytes).await.is_ok()
        }
        Act::SayAndClose(bytes) => {
            done();
            let _ = stream.write_all(&bytes).await;
            false
        }
        Act::SayAndReset(bytes) => {
            done();
            let _ = stream.write_all(&bytes).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
            let _ = stream.set_zero_linger();
            false
        }
        Act::SayTwice(first, pause, second) => {
            done();
            let _ = stream.write_all(&first).await;
            tokio::time::sleep(pause).await;
            let _ = stream.write_all(&second).await;
            counts.unasked.fetch_add(1, Ordering::SeqCst);
            true
        }
        Act::Later(pause, bytes) => {
            tokio::time::sleep(pause).await;
            done();
            stream.write_all(&bytes).await.is_ok()
        }
        Act::Trickle(bytes) => {
            for byte in bytes.iter().cycle() {
                if stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            done();
            false
        }
        Act::Hang => std::future::pending().await,
    }
}

/// The next request on a connection.
pub async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, Value)> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_string();
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
            let whole = end + 4 + length.unwrap_or(0);
            if buffer.len() >= whole {
                let body = serde_json::from_slice(&buffer[end + 4..whole]).unwrap_or(Value::Null);
                buffer.drain(..whole);
                return Some((head, body));
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// A whole answer.
pub fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len()).into_bytes()
}

pub fn json_answer(status: u16, body: &Value) -> Vec<u8> {
    answer(status, "content-type: application/json\r\n", &body.to_string())
}

/// The answer that a call expects.
pub fn right(seen: &Seen) -> Act {
    Act::Say(json_answer(200, &json!({ "n": seen.n() })))
}

pub fn error(status: u16, message: &str) -> Act {
    Act::Say(json_answer(status, &json!({ "error": { "message": message } })))
}

pub fn base(url: &str) -> Base {
    Base {
        url: Url::parse(url).unwrap(),
        headers: vec![("authorization".into(), Secret::new("Bearer canary-key"))],
        query: vec![("api-version".into(), "1".into()), ("key".into(), "canary-query".into())],
    }
}

/// Limits that do not keep tests waiting.
pub fn limits() -> Limits {
    Limits {
        max_concurrency: 64,
        backoff: Duration::from_millis(1),
        max_wait: Duration::from_millis(20),
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(60),
        max_retries: 4,
        max_body: 1 << 20,
        ..Limits::default()
    }
}

pub fn transport(servers: &[&Server], limits: Limits) -> Transport {
    Transport::new(servers.iter().map(|server| server.base()).collect(), limits, &TestWire).unwrap()
}

pub fn call(n: u64) -> Call {
    Call { path: "completions".into(), body: Some(json!({ "n": n, "prompt": "x" })) }
}

/// Takes the number out of the answer; `refused` and `failed` are what they say.
pub fn decode(body: &Value) -> Result<u64, WireError> {
    if let Some(reason) = body["refused"].as_str() {
        return Err(WireError::Refused(reason.to_string()));
    }
    if let Some(reason) = body["failed"].as_str() {
        return Err(WireError::Failed(reason.to_string()));
    }
    body["n"].as_u64().ok_or_else(|| WireError::Malformed("no `n`".to_string()))
}

/// A port where nobody listens.
pub async fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

pub struct TestWire;

impl Wire for TestWire {
    fn name(&self) -> &'static str {
        "test"
    }

    fn call(&self, _: &str, _: &Ask<'_>) -> Option<Call> {
        None
    }

    fn reply(&self, _: &Ask<'_>, _: &Value) -> Result<Reply, WireError> {
        Err(WireError::Malformed("not used".to_string()))
    }

    fn error_message(&self, body: &Value) -> Option<String> {
        body["error"]["message"].as_str().map(str::to_string)
    }
}

//! A server of our own, for tests and benches: HTTP/1.1 on the loopback, a toy language model whose every number follows from the text
//! alone, and faults on request. One thread, one connection task for each connection, no more parsing than needed.
//!
//! What it serves and how it fails can be changed while it runs ([`Server::change`]), so that a faulty and a faultless run see one address.
#![allow(dead_code, unused_imports)] // Tests and bench use different parts.

mod answers;
mod connection;
mod faults;
mod log;
mod model;

pub use faults::{Fault, Plan};
pub use log::Log;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Whether `/v1/completions` is there, and what its log-probabilities are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completions {
    Absent,
    /// `echo` with `logprobs` gives those of the prompt.
    Scores,
    /// As llama.cpp's server: `echo` is not looked at, only generated tokens have log-probabilities.
    GeneratedOnly,
    /// The prompt is echoed, and its log-probabilities are 0.
    Zeros,
    /// The prompt is echoed, and its log-probabilities are null.
    Nulls,
    /// No log-probabilities at all.
    NoLogprobs,
}

/// Whether `/v1/chat/completions` is there, and what it can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chat {
    Absent,
    /// Texts only.
    Plain,
    TopLogprobs,
    /// A model that thinks between tags. Every seventh prompt makes it think for longer than it may write.
    ThinkTags,
    /// The same with the thought in a field of its own.
    ThinkField,
}

/// What a quirk sees of a request.
pub struct Told<'a> {
    pub head: &'a str,
    pub body: &'a serde_json::Value,
    /// All texts of the prompt; empty for other routes.
    pub prompt: &'a str,
    /// Prompts that were answered before.
    pub answered: u64,
}

/// Answers some requests in a way of its own: status, further headers (each with its line end), body.
pub type Quirk = fn(&Told<'_>) -> Option<(u16, String, serde_json::Value)>;

/// Chooses prompts.
pub type Pick = fn(&str) -> bool;

/// What a server is.
#[derive(Clone)]
pub struct Setup {
    pub model: &'static str,
    pub completions: Completions,
    pub chat: Chat,
    pub tokenize: bool,
    /// Every text begins with a token of its own, which the echo shows.
    pub bos: bool,
    pub template: bool,
    /// Every chat answer, whatever is asked.
    pub says: Option<&'static str>,
    /// Prompts that a content filter stops.
    pub filtered: Option<Pick>,
    /// Prompts that are refused as bad requests.
    pub rejected: Option<Pick>,
    /// Answers 503 to who asks for its models.
    pub hides_models: bool,
    /// Answers 401 to everything, with the key in the body.
    pub denies: bool,
    /// So long every answer takes.
    pub delay: Duration,
    /// Sends every request on to this address.
    pub redirect: Option<String>,
    /// Stands before everything else.
    pub quirk: Option<Quirk>,
    pub faults: Option<Plan>,
    /// Keeps what was asked. Benches do without.
    pub keeps_log: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            model: "toy",
            completions: Completions::Scores,
            chat: Chat::TopLogprobs,
            tokenize: false,
            bos: false,
            template: false,
            says: None,
            filtered: None,
            rejected: None,
            hides_models: false,
            denies: false,
            delay: Duration::ZERO,
            redirect: None,
            quirk: None,
            faults: None,
            keeps_log: true,
        }
    }
}

/// What connections and the handle share.
struct Shared {
    setup: Mutex<Arc<Setup>>,
    log: Mutex<Log>,
    /// Requests so far.
    requests: AtomicU64,
    /// Answers to prompts that were sent whole.
    answered: AtomicU64,
    connections: AtomicUsize,
    begun: Instant,
    /// Of the first and the last answer, in nanoseconds since it began; 0: there was none.
    first: AtomicU64,
    last: AtomicU64,
    /// Milliseconds for which the listener is to close; 0: it stays.
    away: AtomicU64,
    stop: AtomicBool,
}

/// A running server. Dropping it ends it, with all its connections.
pub struct Server {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// Where the system has a number for it (Linux).
    pub thread_id: Option<u64>,
}

/// How often the listener looks whether it is to close.
const LOOK: Duration = Duration::from_millis(5);

impl Server {
    pub fn start(setup: Setup) -> Server {
        let shared = Arc::new(Shared {
            setup: Mutex::new(Arc::new(setup)),
            log: Mutex::default(),
            requests: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            connections: AtomicUsize::new(0),
            begun: Instant::now(),
            first: AtomicU64::new(0),
            last: AtomicU64::new(0),
            away: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        // Bound here, so that the address is known and taken when this returns.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a nonblocking listener");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::clone(&shared);
        let (say, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let _ = say.send(thread_id());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(listen(listener, address, seen));
        });
        let thread_id = told.recv().ok().flatten();
        Server { address, shared, thread: Some(thread), thread_id }
    }

    /// `http://127.0.0.1:PORT/v1`
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What `--model` takes.
    pub fn model(&self) -> String {
        format!("{}#{}", self.url(), self.setup().model)
    }

    pub fn setup(&self) -> Arc<Setup> {
        Arc::clone(&self.shared.setup.lock().unwrap())
    }

    /// Changes what it is, from the next request on.
    pub fn change(&self, change: impl FnOnce(&mut Setup)) {
        let mut setup = self.shared.setup.lock().unwrap();
        change(Arc::make_mut(&mut setup));
    }

    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.shared.log.lock().unwrap()
    }

    /// Forgets what was asked so far. Faults count on.
    pub fn forget(&self) {
        *self.log() = Log::default();
        self.shared.first.store(0, Ordering::SeqCst);
    }

    /// From the first to the last answer.
    pub fn span(&self) -> Duration {
        let (first, last) = (self.shared.first.load(Ordering::SeqCst), self.shared.last.load(Ordering::SeqCst));
        Duration::from_nanos(last.saturating_sub(first))
    }

    /// Processor time of its thread (Linux).
    pub fn cpu(&self) -> Duration {
        let text = std::fs::read_to_string(format!("/proc/self/task/{}/schedstat", self.thread_id.unwrap_or(0)))
            .unwrap_or_default();
        Duration::from_nanos(text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
    }

    /// Requests so far, probes and faults included.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Prompts answered so far.
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::SeqCst)
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Ends it: the listener and all connections are closed.
    pub fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// Counts an answer to a prompt.
    fn count_answer(&self) {
        let now = self.begun.elapsed().as_nanos() as u64;
        let _ = self.first.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst);
        self.last.store(now, Ordering::SeqCst);
        self.answered.fetch_add(1, Ordering::SeqCst);
    }
}

fn thread_id() -> Option<u64> {
    std::fs::read_link("/proc/thread-self").ok()?.file_name()?.to_str()?.parse().ok()
}

/// Accepts until it is stopped; goes away for a while when a fault says so.
async fn listen(listener: std::net::TcpListener, address: SocketAddr, shared: Arc<Shared>) {
    let mut listener = TcpListener::from_std(listener).expect("a listener");
    let mut connections = JoinSet::new();
    loop {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let away = shared.away.swap(0, Ordering::SeqCst);
        if away > 0 {
            drop(listener);
            connections.shutdown().await;
            tokio::time::sleep(Duration::from_millis(away)).await;
            listener = TcpListener::bind(address).await.expect("the same port again");
        }
        if let Ok(Ok((stream, _))) = tokio::time::timeout(LOOK, listener.accept()).await {
            shared.connections.fetch_add(1, Ordering::SeqCst);
            connections.spawn(connection::serve(stream, Arc::clone(&shared)));
        }
        while connections.try_join_next().is_some() {}
    }
}

//! A small HTTP server that plays the hub in tests.

use super::{Hub, HubConfig, hex};
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request, as far as the tests look at it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub path: String,
    pub authorization: Option<String>,
    pub range: Option<u64>,
}

/// An answer; `cut` sends only so many bytes of the body before the connection ends.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub cut: Option<usize>,
}

impl Answer {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Answer { status, body: body.into(), ..Answer::default() }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// The server: it lives as long as the process, and remembers what it was asked.
pub(crate) struct MockHub {
    pub address: String,
    pub log: Arc<Mutex<Vec<Request>>>,
}

impl MockHub {
    /// Answers every request by `handler`.
    pub fn start(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> MockHub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let (handler, seen) = (Arc::new(handler), log.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (handler, seen) = (handler.clone(), seen.clone());
                std::thread::spawn(move || serve(stream, handler.as_ref(), &seen));
            }
        });
        MockHub { address, log }
    }

    /// A hub client with an empty cache in `home`.
    pub fn client(&self, home: &Path) -> Hub {
        Hub::new(self.config(home))
    }

    pub fn config(&self, home: &Path) -> HubConfig {
        HubConfig {
            endpoint: self.address.clone(),
            token: Some("hf_test".into()),
            cache: home.join("hub"),
            offline: false,
            retries: 3,
            backoff: Duration::from_millis(1),
        }
    }

    pub fn paths(&self) -> Vec<String> {
        self.log.lock().unwrap().iter().map(|request| request.path.clone()).collect()
    }
}

fn serve(stream: TcpStream, handler: &dyn Fn(&Request) -> Answer, log: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let path = line.split(' ').nth(1).unwrap_or_default().to_string();
    let mut request = Request { path, authorization: None, range: None };
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let Some((name, value)) = header.trim().split_once(':') else { break };
        match name.to_lowercase().as_str() {
            "authorization" => request.authorization = Some(value.trim().to_string()),
            "range" => {
                request.range = value.trim().strip_prefix("bytes=").and_then(|r| r.trim_end_matches('-').parse().ok())
            }
            _ => {}
        }
    }
    log.lock().unwrap().push(request.clone());
    let answer = handler(&request);
    let mut head =
        format!("HTTP/1.1 {} X\r\nConnection: close\r\nContent-Length: {}\r\n", answer.status, answer.body.len());
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    let body = &answer.body[..answer.cut.unwrap_or(answer.body.len())];
    let mut stream = stream;
    let _ = stream.write_all(format!("{head}\r\n").as_bytes()).and_then(|()| stream.write_all(body));
}

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The API's answer for a repository with the given files; names that end in `.parquet` or `.bin` are large files.
pub(crate) fn listing(commit: &str, files: &[(&str, &[u8])]) -> Answer {
    let siblings: Vec<serde_json::Value> = files
        .iter()
        .map(|(name, bytes)| {
            let sum = hex(&Sha256::digest(bytes));
            if name.ends_with(".parquet") || name.ends_with(".bin") {
                serde_json::json!({"rfilename": name, "size": bytes.len(), "blobId": &sum[..40],
                                   "lfs": {"sha256": sum, "size": bytes.len(), "pointerSize": 130}})
            } else {
                serde_json::json!({"rfilename": name, "size": bytes.len(), "blobId": &sum[..40]})
            }
        })
        .collect();
    Answer::new(200, serde_json::json!({"sha": commit, "siblings": siblings}).to_string())
}

/// Serves files from a byte offset if one is asked for.
pub(crate) fn contents(request: &Request, bytes: &[u8]) -> Answer {
    match request.range {
        Some(from) => Answer::new(206, &bytes[from as usize..])
            .header("Content-Range", format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len())),
        None => Answer::new(200, bytes),
    }
}

/// A whole dataset repository at `main`, with an optional converted branch.
pub(crate) fn dataset(
    id: &'static str,
    files: Vec<(&'static str, Vec<u8>)>,
    converted: Vec<(&'static str, Vec<u8>)>,
) -> MockHub {
    const CONVERTED: &str = "89abcdef0123456789abcdef0123456789abcdef";
    MockHub::start(move |request| {
        let path = request.path.split('?').next().unwrap_or_default();
        let refs = |files: &[(&'static str, Vec<u8>)]| -> Vec<(&'static str, Vec<u8>)> { files.to_vec() };
        let list = |commit: &str, files: &[(&'static str, Vec<u8>)]| {
            let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
            listing(commit, &files)
        };
        let api = format!("/api/datasets/{id}/revision/");
        match path.strip_prefix(&api) {
            Some("main") | Some(COMMIT) => return list(COMMIT, &files),
            Some("refs%2Fconvert%2Fparquet") | Some(CONVERTED) if !converted.is_empty() => {
                return list(CONVERTED, &converted);
            }
            Some(_) => return Answer::new(404, "").header("X-Error-Code", "RevisionNotFound"),
            None => {}
        }
        for (commit, files) in [(COMMIT, refs(&files)), (CONVERTED, refs(&converted))] {
            let base = format!("/datasets/{id}/resolve/{commit}/");
            let found = path.strip_prefix(&base).and_then(|name| files.iter().find(|(known, _)| *known == name));
            if let Some((_, bytes)) = found {
                return contents(request, bytes);
            }
        }
        Answer::new(404, "").header("X-Error-Code", "RepoNotFound")
    })
}

//! Requests to the hub: authorisation, redirects, retries, and what its refusals mean.

use super::{HubConfig, Repo};
use crate::error::{Error, Result};
use crate::tls;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, LOCATION, RANGE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// How messages begin of a hub that cannot be reached.
pub(super) const UNREACHABLE: &str = "cannot reach the hub";

/// Bytes of an answer of the API: a listing of some hundred thousand files. And how long it may take.
const MOST_BYTES: usize = 64 << 20;
const MOST_TIME: Duration = Duration::from_secs(300);

const MAX_REDIRECTS: usize = 10;
/// A server may ask for a longer wait than ours; beyond this we do not follow it.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// What happens while files are fetched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DownloadEvent<'a> {
    /// A file begins; `have` bytes of it are there from an earlier attempt.
    Start { repo: &'a str, file: &'a str, have: u64, total: Option<u64> },
    /// So many bytes of the file are there now.
    Progress { file: &'a str, have: u64, total: Option<u64> },
    /// The file is whole, checked and in its place.
    Done { file: &'a str, bytes: u64 },
    /// A request failed and will be tried again after a wait.
    Retry { reason: &'a str, wait: Duration },
}

/// A client for one hub.
#[derive(Debug)]
pub(super) struct Http {
    client: Client,
    endpoint: Url,
    token: Option<String>,
    retries: u32,
    backoff: Duration,
}

/// A failed request: final, or worth another try (perhaps after a wait that the server names).
pub(super) enum Failure {
    Final(Error),
    Again(Error, Option<Duration>),
}

impl From<Error> for Failure {
    fn from(err: Error) -> Self {
        Failure::Final(err)
    }
}

/// An answer with the headers of all redirects on the way (the first one that sets a header wins).
pub(super) struct Reply {
    pub response: Response,
    pub headers: HeaderMap,
}

/// Waits between attempts.
pub(super) struct Attempts<'a> {
    left: u32,
    wait: Duration,
    progress: &'a dyn Fn(DownloadEvent),
}

impl Attempts<'_> {
    /// Waits for the next attempt, or gives the failure back when there is none.
    pub async fn again(&mut self, failure: Failure) -> Result<()> {
        let (err, asked) = match failure {
            Failure::Final(err) => return Err(err),
            Failure::Again(err, asked) => (err, asked),
        };
        if self.left == 0 {
            return Err(err);
        }
        self.left -= 1;
        let wait = asked.unwrap_or(self.wait).min(MAX_WAIT);
        self.wait *= 2;
        (self.progress)(DownloadEvent::Retry { reason: err.message(), wait });
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

impl Http {
    pub fn new(config: &HubConfig) -> Result<Self> {
        let endpoint = Url::parse(&format!("{}/", config.endpoint)).map_err(|err| {
            Error::input(format!("`{}` is not an address of a hub", config.endpoint))
                .cause(err)
                .hint("check HF_ENDPOINT")
        })?;
        let mut builder = tls::client_builder()
            .user_agent(concat!("fairmark/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(60));
        if matches!(endpoint.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
            // A hub on this machine is not behind a proxy.
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|err| Error::input("cannot make an HTTP client").cause(err))?;
        Ok(Http { client, endpoint, token: config.token.clone(), retries: config.retries, backoff: config.backoff })
    }

    pub fn attempts<'a>(&self, progress: &'a dyn Fn(DownloadEvent)) -> Attempts<'a> {
        Attempts { left: self.retries, wait: self.backoff, progress }
    }

    /// An answer of the API. `address` is relative to the endpoint.
    pub async fn json<T: DeserializeOwned>(
        &self,
        address: &str,
        repo: &Repo,
        revision: &str,
        progress: &dyn Fn(DownloadEvent),
    ) -> Result<T> {
        let subject = Subject { repo, revision, file: None };
        let mut attempts = self.attempts(progress);
        loop {
            let body = async { self.body(self.get(address, None, &subject).await?, repo).await };
            let late =
                |_| Err(Failure::Final(Error::input(format!("the hub's answer about `{}` does not end", repo.id))));
            let failure = match tokio::time::timeout(MOST_TIME, body).await.unwrap_or_else(late) {
                Ok(body) => {
                    let bad =
                        |err| Error::input(format!("the hub's answer about `{}` makes no sense", repo.id)).cause(err);
                    return serde_json::from_slice(&body).map_err(bad);
                }
                Err(failure) => failure,
            };
            attempts.again(failure).await?;
        }
    }

    /// The body of an answer, of bounded length.
    async fn body(&self, reply: Reply, repo: &Repo) -> Result<Vec<u8>, Failure> {
        let mut response = reply.response;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|err| self.broken(err))? {
            if body.len() + chunk.len() > MOST_BYTES {
                let message = format!("the hub's answer about `{}` is longer than {} MiB", repo.id, MOST_BYTES >> 20);
                return Err(Failure::Final(Error::input(message).hint("check HF_ENDPOINT")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Sends a request and follows redirects; the token goes to the hub only.
    pub async fn get(&self, address: &str, from: Option<u64>, subject: &Subject<'_>) -> Result<Reply, Failure> {
        let bad_address = |err| Error::input(format!("`{address}` is not an address")).cause(err);
        let mut url = self.endpoint.join(address).map_err(bad_address)?;
        let mut headers = HeaderMap::new();
        for _ in 0..MAX_REDIRECTS {
            let mut request = self.client.get(url.clone()).header(ACCEPT_ENCODING, "identity");
            if let Some(token) = self.token.as_ref().filter(|_| url.origin() == self.endpoint.origin()) {
                request = request.bearer_auth(token);
            }
            if let Some(from) = from {
                request = request.header(RANGE, format!("bytes={from}-"));
            }
            let response = request.send().await.map_err(|err| self.broken(err))?;
            for (name, value) in response.headers() {
                headers.entry(name.clone()).or_insert_with(|| value.clone());
            }
            let target = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_string);
            match target.filter(|_| response.status().is_redirection()) {
                Some(target) => url = url.join(&target).map_err(bad_address)?,
                None => return checked(response, headers, subject, self.token.is_some()),
            }
        }
        Err(Failure::Final(Error::input(format!("the hub redirects `{}` in circles", subject.repo.id))))
    }

    /// A connection that failed before or during the answer.
    pub fn broken(&self, err: reqwest::Error) -> Failure {
        let host = self.endpoint.host_str().unwrap_or_default();
        let message = format!("{UNREACHABLE} at {host}");
        // The address may carry a signature: it is left out of the message.
        let error = Error::input(message).cause(err.without_url());
        Failure::Again(error, None)
    }
}

/// What a request is about, for error messages.
pub(super) struct Subject<'a> {
    pub repo: &'a Repo,
    pub revision: &'a str,
    pub file: Option<&'a str>,
}

/// Gives a good answer on; turns a refusal into an error.
fn checked(response: Response, headers: HeaderMap, subject: &Subject, has_token: bool) -> Result<Reply, Failure> {
    let status = response.status();
    if status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE {
        return Ok(Reply { response, headers });
    }
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let what = match subject.file {
        Some(file) => format!("`{file}` of `{}`", subject.repo.id),
        None => format!("`{}`", subject.repo.id),
    };
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        let wait = header(RETRY_AFTER.as_str()).and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let error = Error::input(format!("the hub cannot serve {what} now ({status})")).hint("try again later");
        return Err(Failure::Again(error, wait));
    }
    let error = match (status, header("x-error-code")) {
        (_, Some("RevisionNotFound")) => Error::input(format!("{what} has no revision `{}`", subject.revision))
            .hint("check the branch, tag or commit"),
        (_, Some("EntryNotFound")) => Error::input(format!("the hub has no {what} at {}", subject.revision)),
        (_, Some("GatedRepo")) | (StatusCode::FORBIDDEN, _) => Error::input(format!("{what} is gated ({status})"))
            .hint(format!("accept its licence on {} and set HF_TOKEN to a token of that account", subject.repo.page())),
        (StatusCode::UNAUTHORIZED, code) => {
            let missing =
                if code == Some("RepoNotFound") { "does not exist, or is private or gated" } else { "needs a login" };
            let hint = if has_token { "the token in HF_TOKEN is wrong or has no access" } else { "set HF_TOKEN" };
            let hint = format!("check the id; {hint}; if it is gated, accept its licence on its page");
            Error::input(format!("{what} {missing} (401)")).hint(hint)
        }
        (StatusCode::NOT_FOUND, _) => Error::input(format!("the hub has no {what} at {}", subject.revision))
            .hint("check the id and the revision; private repositories need HF_TOKEN"),
        _ => Error::input(format!("the hub refuses {what} ({status})")),
    };
    Err(Failure::Final(error))
}

/// Percent-encodes a path; slashes stay unless they are part of one name.
pub(super) fn encode(text: &str, keep_slashes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || (keep_slashes && byte == b'/');
        if plain {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

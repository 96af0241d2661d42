//! One attempt: a request, redirects, the body of the answer as JSON, or what went wrong.
//!
//! Bytes that nobody asked for close a connection when they come before the next request on it (the HTTP client sees to that, and tests hold it to
//! it). What comes later than that cannot be told from an answer in HTTP/1.1: formats that repeat the prompt should compare it.

use super::base::Target;
use super::fault::{Fault, Kind, kind_of};
use super::text::shown;
use super::wait;
use super::{Base, Limits};
use crate::engine::remote::excerpt::excerpt;
use crate::engine::remote::wire::{Call, Wire, trouble};
use crate::error::{Error, Result};
use crate::tls;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Method, Request, Response, Url};
use serde_json::Value;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

const MAX_REDIRECTS: usize = 5;
/// Common servers close idle connections after five seconds; a request on one that is just being closed is lost.
const IDLE: Duration = Duration::from_secs(4);
/// Most bytes that are set aside because a server announces them.
const MAX_RESERVED: usize = 64 << 10;
/// Bytes of a refusal that are read, and how long.
const MAX_REFUSAL: usize = 64 << 10;
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);
/// Characters of a type of content that are looked at.
const LONGEST_TYPE: usize = 200;

/// The connections to all servers of a model.
pub(super) struct Pool {
    targets: Vec<Target>,
    wire: &'static dyn Wire,
    connect_timeout: Duration,
    max_body: usize,
    /// Answers that repeated a key.
    repeated: AtomicU64,
    /// For servers on this machine: they are not behind a proxy.
    direct: OnceLock<Client>,
    proxied: OnceLock<Client>,
}

impl Pool {
    pub fn new(bases: &[Base], limits: &Limits, wire: &'static dyn Wire) -> Result<Pool> {
        let mut pool = Pool {
            targets: Vec::new(),
            wire,
            connect_timeout: limits.connect_timeout,
            max_body: limits.max_body,
            repeated: AtomicU64::new(0),
            direct: OnceLock::new(),
            proxied: OnceLock::new(),
        };
        for base in bases {
            let target = Target::new(base, |url| pool.login(url))?;
            pool.targets.push(target);
        }
        Ok(pool)
    }

    pub fn target(&self, index: usize) -> Option<&Target> {
        self.targets.get(index)
    }

    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Base URLs, for messages.
    pub fn names(&self) -> Vec<String> {
        self.targets.iter().map(Target::shown).collect()
    }

    /// Whether anything like a key is sent to any server.
    pub fn has_keys(&self) -> bool {
        self.targets.iter().any(|target| target.has_key)
    }

    /// The client for an address, made when it is first needed.
    fn client(&self, url: &Url) -> Result<&Client> {
        let is_local = is_loopback(url);
        let cell = if is_local { &self.direct } else { &self.proxied };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let mut builder = tls::client_builder()
            .user_agent(concat!("fairmark/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30))
            .pool_max_idle_per_host(usize::MAX)
            .pool_idle_timeout(IDLE)
            .http2_adaptive_window(true);
        if is_local {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|err| Error::input("cannot make an HTTP client").cause(err))?;
        Ok(cell.get_or_init(|| client))
    }

    /// The header for user and password in an address. Also makes the client, so that what hinders it shows at once.
    fn login(&self, url: &Url) -> Result<Option<HeaderValue>> {
        let client = self.client(url)?;
        let request = client
            .get(url.clone())
            .build()
            .map_err(|_| Error::input(format!("`{}` is not an address of a server", shown(url))))?;
        Ok(request.headers().get(AUTHORIZATION).cloned())
    }

    /// Answers so far that repeated a key, which was taken out of them.
    pub fn num_repeated(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }

    /// Takes keys out of a text that was put together from parts of an answer.
    pub fn clean_text(&self, text: &mut String) {
        // Every target's keys, not only the first that is found.
        let found = self.targets.iter().filter(|target| target.secrets.clean_text(text)).count();
        self.repeated.fetch_add(u64::from(found > 0), Ordering::Relaxed);
    }

    /// Sends a call to a server and reads its answer, of at most so many bytes. No key comes back with it, nor with a fault: all that is
    /// printed or written of a server comes through here.
    pub async fn ask(&self, target: &Target, call: &Call, most: usize) -> Result<Value, Fault> {
        let mut body = self.asked(target, call, most.min(self.max_body)).await.map_err(|fault| Fault {
            message: target.secrets.hide(&fault.message),
            said: fault.said.as_deref().map(|said| target.secrets.hide(said)),
            ..fault
        })?;
        self.repeated.fetch_add(u64::from(target.secrets.clean(&mut body)), Ordering::Relaxed);
        Ok(body)
    }

    async fn asked(&self, target: &Target, call: &Call, most: usize) -> Result<Value, Fault> {
        let (response, url) = self.follow(target, call).await?;
        let status = response.status();
        if !status.is_success() {
            return Err(self.refusal(target, response, &url).await);
        }
        let broken = |problem: String, body: &[u8]| {
            let body = target.secrets.excerpt(&String::from_utf8_lossy(body));
            let message = format!("HTTP {} from {}: {problem}: {body}", status.as_u16(), shown(&url));
            Fault { status: Some(status.as_u16()), ..Fault::new(Kind::Broken, message) }
        };
        let content_type = response.headers().get(CONTENT_TYPE).map(|value| {
            String::from_utf8_lossy(value.as_bytes().get(..LONGEST_TYPE).unwrap_or(value.as_bytes())).into_owned()
        });
        let body = body(target, response, &url, most).await?;
        if let Some(kind) = content_type.filter(|kind| !kind.to_ascii_lowercase().contains("json")) {
            return Err(broken(format!("the body is `{}`, not JSON", excerpt(&kind)), &body));
        }
        if body.is_empty() {
            return Err(broken("the body is empty".to_string(), &body));
        }
        serde_json::from_slice(&body).map_err(|err| broken(format!("the body is not JSON ({err})"), &body))
    }

    /// Sends a request and follows redirects. Method and body stay the same: the routes of models are never meant to be fetched instead. From the
    /// first address of another origin on, nothing secret is sent any more, not even when it leads back.
    async fn follow(&self, target: &Target, call: &Call) -> Result<(Response, Url), Fault> {
        let mut url = target.address(&call.path);
        let mut is_own = true;
        for _ in 0..=MAX_REDIRECTS {
            let headers = if is_own { &target.headers } else { &target.plain_headers };
            let response = self.send(target, call, &url, headers).await?;
            let status = response.status().as_u16();
            let Some(location) = response.headers().get(LOCATION).filter(|_| matches!(status, 301 | 302 | 307 | 308))
            else {
                if !is_own && matches!(status, 401 | 403) {
                    let message = format!(
                        "{} redirects to {}, which refuses (HTTP {status}): keys are not sent to other hosts",
                        target.shown(),
                        shown(&url)
                    );
                    return Err(Fault { status: Some(status), ..Fault::new(Kind::Denied, message) });
                }
                return Ok((response, url));
            };
            let location = String::from_utf8_lossy(location.as_bytes());
            let lost =
                |problem: &str| Fault::new(Kind::Denied, format!("HTTP {status} from {}: {problem}", shown(&url)));
            let mut next = url.join(&location).map_err(|_| lost("the redirect has no valid address"))?;
            if !matches!(next.scheme(), "http" | "https") || url.scheme() == "https" && next.scheme() == "http" {
                return Err(lost(&format!("a redirect to {}, which is not encrypted", shown(&next))));
            }
            is_own = is_own && target.owns(&next);
            if !is_own {
                target.without_secrets(&mut next);
            }
            url = next;
        }
        Err(Fault::new(Kind::Denied, format!("{} redirects too often", shown(&url))))
    }

    async fn send(&self, target: &Target, call: &Call, url: &Url, headers: &HeaderMap) -> Result<Response, Fault> {
        let client = self.client(url).map_err(|err| Fault::new(Kind::Rejected, err.message()))?;
        let mut request = Request::new(if call.body.is_some() { Method::POST } else { Method::GET }, url.clone());
        *request.headers_mut() = headers.clone();
        if let Some(body) = &call.body {
            let bytes = serde_json::to_vec(body)
                .map_err(|err| Fault::new(Kind::Rejected, format!("the body cannot be written as JSON: {err}")))?;
            *request.body_mut() = Some(bytes.into());
        }
        client.execute(request).await.map_err(|err| broken_off(target, url, &err))
    }

    /// What an answer with another status than 2xx means. Its body is read in part, and not for long: it is only for the message.
    async fn refusal(&self, target: &Target, mut response: Response, url: &Url) -> Fault {
        let status = response.status();
        let wait = wait::asked(response.headers(), SystemTime::now());
        let mut bytes = Vec::new();
        let read = async {
            loop {
                match response.chunk().await {
                    Ok(Some(chunk)) => bytes.extend(chunk.iter().take(MAX_REFUSAL - bytes.len())),
                    Ok(None) => break true,
                    Err(_) => break false,
                }
                if bytes.len() == MAX_REFUSAL {
                    break true;
                }
            }
        };
        let is_torn = tokio::time::timeout(REFUSAL_TIMEOUT, read).await == Ok(false);
        let body: Option<Value> = serde_json::from_slice(&bytes).ok();
        let said =
            body.as_ref().and_then(|body| self.wire.error_message(body)).map(|said| target.secrets.excerpt(&said));
        let said_or_body = said.clone().unwrap_or_else(|| target.secrets.excerpt(&String::from_utf8_lossy(&bytes)));
        let mut message = format!("HTTP {} from {}", status.as_u16(), shown(url));
        if let Some(reason) = status.canonical_reason() {
            message = format!("{message} ({reason})");
        }
        if !said_or_body.is_empty() {
            message = format!("{message}: {said_or_body}");
        }
        let meaning = body.as_ref().map_or(trouble::Meaning::Other, trouble::meaning);
        let kind = kind_of(status.as_u16(), meaning);
        let wait = wait.or_else(|| trouble::wait(body.as_ref()?));
        // What was refused for good, and why, stands in the body: half of it is no verdict.
        let is_final = !kind.is_worth_another_try() && kind != Kind::Refused;
        let kind = if is_torn && is_final { Kind::Torn } else { kind };
        let body = body.filter(|_| kind == Kind::Rejected);
        Fault { kind, message, status: Some(status.as_u16()), said, wait, body }
    }
}

/// The whole body of an answer, up to the largest allowed.
async fn body(target: &Target, mut response: Response, url: &Url, most: usize) -> Result<Vec<u8>, Fault> {
    let status = response.status().as_u16();
    let too_large = || {
        let message = format!("HTTP {status} from {}: the body is larger than {most} bytes", shown(url));
        Fault { status: Some(status), ..Fault::new(Kind::Rejected, message) }
    };
    let announced = response.content_length().unwrap_or(0);
    if announced > most as u64 {
        return Err(too_large());
    }
    let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or(0).min(MAX_RESERVED));
    while let Some(chunk) = response.chunk().await.map_err(|err| broken_off(target, url, &err))? {
        if body.len() + chunk.len() > most {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A request that failed below HTTP. Only the innermost reason is told: the outer ones repeat the address, with its parameters.
fn broken_off(target: &Target, url: &Url, err: &reqwest::Error) -> Fault {
    let mut reason: &(dyn std::error::Error + 'static) = err;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    let reason = if std::error::Error::source(err).is_none() {
        "the request failed".to_string()
    } else {
        target.secrets.excerpt(&reason.to_string())
    };
    let (kind, what) = if err.is_connect() {
        (Kind::Unreachable, "cannot connect to")
    } else if err.is_timeout() {
        (Kind::Timeout, "no answer in time from")
    } else if err.is_builder() {
        (Kind::Rejected, "cannot send to")
    } else {
        (Kind::Torn, "the connection broke before the end of the answer of")
    };
    Fault::new(kind, format!("{what} {}: {reason}", shown(url)))
}

/// Whether an address is on this machine.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.ends_with(".localhost") || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_this_machine() {
        let is_local = |url: &str| is_loopback(&Url::parse(url).unwrap());
        for url in [
            "http://localhost:1/",
            "http://127.0.0.1/",
            "http://127.8.9.1/",
            "http://[::1]:8000/v1/",
            "http://a.localhost/",
        ] {
            assert!(is_local(url), "{url}");
        }
        for url in
            ["http://localhost.example/", "http://10.0.0.1/", "http://[2001:db8::1]/", "https://127.0.0.1.example/"]
        {
            assert!(!is_local(url), "{url}");
        }
    }
}

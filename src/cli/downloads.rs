//! Downloads on stderr: a bar on a terminal, a line per file elsewhere.

use super::talk::{self, Bar};
use crate::hub::DownloadEvent;
use std::sync::{Mutex, PoisonError};

/// The bar of the file that is being fetched; files come one after the other.
static BAR: Mutex<Option<Bar>> = Mutex::new(None);

/// Shows what happens.
pub fn report(event: DownloadEvent<'_>) {
    let mut bar = BAR.lock().unwrap_or_else(PoisonError::into_inner);
    match event {
        DownloadEvent::Start { repo, file, have, total } => {
            if talk::has_bars() {
                *bar = Some(start(repo, file, have, total));
            } else {
                talk::say(format_args!("fetching {repo}/{file}"));
            }
        }
        DownloadEvent::Progress { have, .. } => {
            if let Some(bar) = bar.as_ref() {
                bar.position(have);
            }
        }
        DownloadEvent::Done { .. } => {
            if let Some(bar) = bar.take() {
                bar.clear();
            }
        }
        DownloadEvent::Retry { reason, wait } => {
            talk::note(format_args!("{reason}; trying again in {:.0} s", wait.as_secs_f64()));
        }
    }
}

fn start(repo: &str, file: &str, have: u64, total: Option<u64>) -> Bar {
    let template = "{prefix} {bar:24} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
    let bar = Bar::start(total, 4, template, &format!("{repo}/{file}"));
    bar.position(have);
    bar.reset_eta();
    bar
}

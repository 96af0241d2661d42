//! Downloads on stderr: a bar on a terminal, a line per file elsewhere.

use crate::hub::DownloadEvent;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

/// The bar of the file that is being fetched; files come one after the other.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Shows what happens.
pub fn report(event: DownloadEvent<'_>) {
    let mut bar = BAR.lock().unwrap_or_else(PoisonError::into_inner);
    match event {
        DownloadEvent::Start { repo, file, have, total } => {
            if std::io::stderr().is_terminal() {
                *bar = Some(start(repo, file, have, total));
            } else {
                eprintln!("fetching {repo}/{file}");
            }
        }
        DownloadEvent::Progress { have, .. } => {
            if let Some(bar) = bar.as_ref() {
                bar.set_position(have);
            }
        }
        DownloadEvent::Done { .. } => {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
        }
        DownloadEvent::Retry { reason, wait } => {
            eprintln!("note: {reason}; trying again in {:.0} s", wait.as_secs_f64());
        }
    }
}

fn start(repo: &str, file: &str, have: u64, total: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(4));
    let template = "{prefix} {bar:24} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━╸ "));
    }
    bar.set_prefix(format!("{repo}/{file}"));
    bar.set_position(have);
    bar.reset_eta();
    bar
}

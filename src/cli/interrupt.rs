//! Ctrl-C and SIGTERM: the first asks the run to stop after the answers in hand, the second ends the program.

use super::talk;
use crate::engine::Cancel;

/// Watches for signals on a thread of its own until the program ends.
pub fn cancel_on_signal() -> Cancel {
    let cancel = Cancel::default();
    let watched = cancel.clone();
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
        runtime.block_on(async {
            if wait().await.is_err() {
                return;
            }
            watched.cancel();
            talk::say("");
            talk::say("stopping: keeping what is answered (once more to stop at once)");
            if wait().await.is_ok() {
                std::process::exit(130);
            }
        });
    });
    cancel
}

#[cfg(unix)]
async fn wait() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => outcome,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn wait() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

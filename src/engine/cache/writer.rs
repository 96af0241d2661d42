//! Puts answers into the store from a thread of its own, many in one transaction.

use super::store::{Entry, Model, Store, failed, is_busy};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Answers that wait to be written, at most; who brings more waits.
const WAITING: usize = 2048;

/// Answers in a transaction, at most.
const BATCH: usize = 512;

/// How long the first answer of a batch waits for company.
const PATIENCE: Duration = Duration::from_millis(100);

/// How often a batch that met a lock is tried again.
const TRIES: usize = 3;

enum Message {
    Entry(Entry),
    /// Everything before it is to be on disk; then the sender is told.
    Flush(SyncSender<()>),
}

/// Takes entries and writes them; flushed when it is dropped.
#[derive(Debug)]
pub struct Writer {
    /// `None` once it is being dropped.
    queue: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Writer {
    /// Starts the thread.
    pub fn start(store: Store, model: Model) -> Writer {
        let (queue, messages) = sync_channel(WAITING);
        let trouble = Arc::new(Mutex::new(None));
        let told = trouble.clone();
        let thread = std::thread::spawn(move || {
            if let Err(said) = write(store, &model, &messages) {
                *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
            }
        });
        Writer { queue: Some(queue), thread: Some(thread), trouble }
    }

    /// Hands over an entry. After a failure entries are dropped, and [`Writer::trouble`] says why.
    pub fn put(&self, entry: Entry) {
        if let Some(queue) = &self.queue {
            // Fails when the thread has ended.
            let _ = queue.send(Message::Entry(entry));
        }
    }

    /// Waits until everything is on disk (or given up).
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.queue.as_ref().is_some_and(|queue| queue.send(Message::Flush(done)).is_ok()) {
            // An error means that the thread has ended: there is nothing to wait for.
            let _ = wait.recv();
        }
    }

    /// Why answers are not kept any more.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Writes until nobody sends any more.
fn write(mut store: Store, model: &Model, messages: &Receiver<Message>) -> Result<(), String> {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let (goes_on, told) = gather(messages, &mut batch);
        if !batch.is_empty() {
            add(&mut store, model, &batch)?;
            batch.clear();
        }
        if let Some(told) = told {
            let _ = told.send(());
        }
        if !goes_on {
            return Ok(());
        }
    }
}

/// Fills a batch until it is full, its patience ends or somebody wants it flushed. `false`: nobody sends any more.
fn gather(messages: &Receiver<Message>, batch: &mut Vec<Entry>) -> (bool, Option<SyncSender<()>>) {
    let mut next = messages.recv().map_err(|_| RecvTimeoutError::Disconnected);
    let end = Instant::now() + PATIENCE;
    loop {
        match next {
            Ok(Message::Entry(entry)) => batch.push(entry),
            Ok(Message::Flush(told)) => return (true, Some(told)),
            Err(RecvTimeoutError::Timeout) => return (true, None),
            Err(RecvTimeoutError::Disconnected) => return (false, None),
        }
        if batch.len() >= BATCH {
            return (true, None);
        }
        next = messages.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

fn add(store: &mut Store, model: &Model, batch: &[Entry]) -> Result<(), String> {
    let mut tries = 0;
    loop {
        match store.add(model, batch) {
            Err(e) if is_busy(&e) && tries < TRIES => tries += 1,
            result => return result.map_err(|e| failed(&store.path, e).to_string()),
        }
    }
}

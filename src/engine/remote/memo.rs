//! Values that many requests share, each made once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// Values by text: made once however many ask at the same time. The oldest are forgotten, so that memory stays flat.
pub struct Memo<V> {
    most: usize,
    known: Mutex<Known<V>>,
}

struct Known<V> {
    cells: HashMap<Arc<str>, Arc<OnceCell<V>>>,
    /// The oldest first.
    order: VecDeque<Arc<str>>,
}

impl<V: Clone> Memo<V> {
    /// Remembers `most` values.
    pub fn new(most: usize) -> Memo<V> {
        Memo { most: most.max(1), known: Mutex::new(Known { cells: HashMap::new(), order: VecDeque::new() }) }
    }

    /// The value of a text. One that could not be made is tried again by the next who asks.
    pub async fn get<E>(&self, text: &str, make: impl Future<Output = Result<V, E>>) -> Result<V, E> {
        self.cell(text).get_or_try_init(|| make).await.cloned()
    }

    fn cell(&self, text: &str) -> Arc<OnceCell<V>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = known.cells.get(text) {
            return Arc::clone(cell);
        }
        if known.order.len() >= self.most
            && let Some(oldest) = known.order.pop_front()
        {
            known.cells.remove(&oldest);
        }
        let (key, cell): (Arc<str>, Arc<OnceCell<V>>) = (Arc::from(text), Arc::default());
        known.order.push_back(Arc::clone(&key));
        known.cells.insert(key, Arc::clone(&cell));
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn values_are_made_once_and_the_oldest_forgotten() {
        let memo: Memo<usize> = Memo::new(2);
        let made = AtomicUsize::new(0);
        let make = || async {
            tokio::task::yield_now().await;
            Ok::<_, ()>(made.fetch_add(1, Ordering::SeqCst))
        };
        let (a, b) = tokio::join!(memo.get("a", make()), memo.get("a", make()));
        assert_eq!((a, b), (Ok(0), Ok(0)));
        assert_eq!(memo.get("b", make()).await, Ok(1));
        assert_eq!(memo.get("c", make()).await, Ok(2));
        assert_eq!(memo.get("b", make()).await, Ok(1));
        assert_eq!(memo.get("a", make()).await, Ok(3));
        assert_eq!(memo.get("d", async { Err(()) }).await, Err(()));
        assert_eq!(memo.get("d", make()).await, Ok(4));
    }
}

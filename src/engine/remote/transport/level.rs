//! How many requests a server is given at the same time: found by trying, as TCP finds its window.

/// Requests at the same time before anything is known about a server.
const START: usize = 4;

/// The number of requests that may be open at a server.
///
/// It begins low, grows by one with each answer (so it doubles with each round trip) until the server first says that it is too much, is halved
/// then, and from there on grows by one with each round trip.
#[derive(Debug)]
pub(super) struct Level {
    open: usize,
    cap: usize,
    /// Below this, growth is by one with each answer.
    fast_until: usize,
    /// Answers since the level last grew.
    answers: usize,
    /// Counts the cuts. A request remembers the number it was sent under: a complaint about one that was sent before the last cut says nothing
    /// new, so that a burst of complaints cuts once.
    epoch: u64,
}

impl Level {
    pub fn new(cap: usize) -> Level {
        let cap = cap.max(1);
        Level { open: START.min(cap), cap, fast_until: usize::MAX, answers: 0, epoch: 0 }
    }

    /// Requests that may be open now.
    pub fn open(&self) -> usize {
        self.open
    }

    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// A request was answered while so many were open, itself included. When half of the room was empty, the answer says nothing about more.
    pub fn grow(&mut self, in_flight: usize) {
        if in_flight * 2 < self.open || self.open >= self.cap {
            return;
        }
        self.answers += 1;
        if self.open < self.fast_until || self.answers >= self.open {
            self.open += 1;
            self.answers = 0;
        }
    }

    /// A request that was sent in `epoch` met a server that has too much to do.
    pub fn cut(&mut self, epoch: u64) {
        if epoch == self.epoch {
            self.open = (self.open / 2).max(1);
            self.fast_until = self.open;
            self.answers = 0;
            self.epoch += 1;
        }
    }

    /// The server was away and is back: begins low again, and grows fast to half of what it bore.
    pub fn restart(&mut self) {
        self.fast_until = (self.open / 2).max(START).min(self.fast_until);
        self.open = START.min(self.cap);
        self.answers = 0;
        self.epoch += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One round trip with the whole room in use.
    fn round_trip(level: &mut Level) {
        let open = level.open();
        for _ in 0..open {
            level.grow(open);
        }
    }

    #[test]
    fn doubles_until_it_is_told() {
        let mut level = Level::new(1000);
        let mut seen = vec![level.open()];
        for _ in 0..7 {
            round_trip(&mut level);
            seen.push(level.open());
        }
        assert_eq!(seen, [4, 8, 16, 32, 64, 128, 256, 512]);
        round_trip(&mut level);
        round_trip(&mut level);
        assert_eq!(level.open(), 1000);
    }

    #[test]
    fn is_cut_once_per_round_trip_and_then_grows_by_one() {
        let mut level = Level::new(1000);
        (0..5).for_each(|_| round_trip(&mut level));
        assert_eq!(level.open(), 128);
        let sent = level.epoch();
        (0..128).for_each(|_| level.cut(sent));
        assert_eq!(level.open(), 64);
        round_trip(&mut level);
        assert_eq!(level.open(), 65);
        level.cut(level.epoch());
        assert_eq!(level.open(), 32);
        (0..20).for_each(|_| level.cut(level.epoch()));
        assert_eq!(level.open(), 1, "never nothing");
    }

    #[test]
    fn does_not_grow_on_answers_that_came_through_an_empty_room() {
        let mut level = Level::new(1000);
        (0..100).for_each(|_| level.grow(1));
        assert_eq!(level.open(), 4);
        (0..100).for_each(|_| level.grow(2));
        assert_eq!(level.open(), 5, "at four, two open requests are a half; at five they are less");
    }

    #[test]
    fn restarts_low_and_comes_back_fast() {
        let mut level = Level::new(1000);
        (0..5).for_each(|_| round_trip(&mut level));
        level.restart();
        assert_eq!(level.open(), 4);
        (0..4).for_each(|_| round_trip(&mut level));
        assert_eq!(level.open(), 64, "fast up to half of what it had");
        round_trip(&mut level);
        assert_eq!(level.open(), 65);
    }

    #[test]
    fn respects_small_caps() {
        let mut level = Level::new(2);
        (0..5).for_each(|_| round_trip(&mut level));
        assert_eq!(level.open(), 2);
        assert_eq!(Level::new(0).open(), 1);
    }
}

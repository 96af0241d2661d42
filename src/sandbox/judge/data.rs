//! The wire form of plain values (described in `driver/codec.py`): writing what the parent says, and checking what a
//! solution's process says before the tests' process sees it.

/// Most values in one frame; the writers in Python stop at two million parts.
const MAX_NODES: usize = 4_000_000;
/// Deepest nesting; the writers stop at 400.
const MAX_DEPTH: usize = 404;

/// Why bytes are no value.
pub(super) type Malformed = &'static str;

/// Writes a tuple, value by value.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// A tuple of `n` values, which the caller then writes.
    pub fn tuple(n: u32) -> Writer {
        Writer([b"tv".as_slice(), &n.to_le_bytes()].concat())
    }

    pub fn text(mut self, text: &str) -> Writer {
        self.tagged(b's', text.as_bytes());
        self
    }

    pub fn bytes(mut self, bytes: &[u8]) -> Writer {
        self.tagged(b'b', bytes);
        self
    }

    pub fn texts<T: AsRef<str>>(mut self, texts: &[T]) -> Writer {
        self.0.extend_from_slice(b"tv");
        self.0.extend_from_slice(&length(texts.len()));
        texts.iter().fold(self, |writer, text| writer.text(text.as_ref()))
    }

    pub fn done(self) -> Vec<u8> {
        self.0
    }

    fn tagged(&mut self, tag: u8, payload: &[u8]) {
        self.0.push(tag);
        self.0.extend_from_slice(&length(payload.len()));
        self.0.extend_from_slice(payload);
    }
}

/// A length on the wire. What is longer than four gigabytes does not fit a frame, which the pipe refuses.
fn length(n: usize) -> [u8; 4] {
    u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes()
}

/// Walks over values and checks their form, without making them.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    /// The tags of the mutable containers so far, by number.
    containers: Vec<u8>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8], containers: Vec<u8>) -> Reader<'a> {
        Reader { rest: bytes, containers, nodes: 0 }
    }

    /// Checks the next value.
    pub fn value(&mut self) -> Result<(), Malformed> {
        self.walk(0, false)
    }

    /// The containers seen; an error when bytes are left.
    pub fn end(self) -> Result<Vec<u8>, Malformed> {
        if self.rest.is_empty() { Ok(self.containers) } else { Err("bytes after the end") }
    }

    /// Checks the changes that a call made to the containers of its arguments: `known` of them.
    pub fn changes(&mut self, known: usize) -> Result<(), Malformed> {
        for _ in 0..self.integer()? {
            let number = usize::try_from(self.integer()?).map_err(|_| "a negative number")?;
            let tag = *self.containers.get(..known).and_then(|c| c.get(number)).ok_or("a change of no argument")?;
            self.contents(tag, 0)?;
        }
        Ok(())
    }

    /// A tuple of texts, each cut to `most` characters.
    pub fn texts(&mut self, most: usize) -> Result<Vec<String>, Malformed> {
        if self.take(2)? != b"tv" {
            return Err("no tuple");
        }
        let mut texts = Vec::new();
        for _ in 0..self.length(5)? {
            if self.take(1)? != b"s" {
                return Err("no text");
            }
            let n = self.length(1)?;
            texts.push(printable(self.take(n)?, most));
        }
        Ok(texts)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or("cut short")?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| "cut short")
    }

    fn tag(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[tag]| tag)
    }

    /// A count of things that take at least `unit` bytes each.
    fn length(&mut self, unit: usize) -> Result<usize, Malformed> {
        let n = u32::from_le_bytes(self.array()?) as usize;
        if n.saturating_mul(unit) > self.rest.len() { Err("a length beyond the end") } else { Ok(n) }
    }

    fn integer(&mut self) -> Result<i64, Malformed> {
        if self.tag()? == b'i' { Ok(i64::from_le_bytes(self.array()?)) } else { Err("no number") }
    }

    fn skip(&mut self, unit: usize) -> Result<(), Malformed> {
        let n = self.length(unit)?;
        self.take(n * unit).map(drop)
    }

    /// One value. Keys of dicts and elements of sets must be hashable: no mutable container in them.
    fn walk(&mut self, depth: usize, hashable: bool) -> Result<(), Malformed> {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return Err("too deep or too large");
        }
        let tag = self.tag()?;
        match tag {
            b'N' | b'T' | b'F' => Ok(()),
            b'i' | b'f' | b'O' => self.take(8).map(drop),
            b'c' => self.take(16).map(drop),
            b'I' | b's' | b'b' => self.skip(1),
            b't' => self.items(depth + 1, hashable),
            b'Z' => self.items(depth + 1, true),
            b'r' => (0..3).try_for_each(|_| self.walk(depth + 1, true)),
            b'Y' => self.walk(depth + 1, true),
            b'M' => (0..3).try_for_each(|_| self.walk(depth + 1, hashable)),
            b'K' => (0..2).try_for_each(|_| self.walk(depth + 1, hashable)),
            // Hashed by what it is, not by what it holds.
            b'X' => (0..2).try_for_each(|_| self.walk(depth + 1, false)),
            _ if hashable => Err("a key that cannot be hashed"),
            b'R' => {
                let number = u32::from_le_bytes(self.array()?) as usize;
                if number < self.containers.len() { Ok(()) } else { Err("a reference to nothing") }
            }
            b'l' | b'S' | b'a' | b'd' | b'C' | b'D' | b'G' | b'Q' => {
                self.containers.push(tag);
                self.contents(tag, depth + 1)
            }
            _ => Err("an unknown tag"),
        }
    }

    /// What is in a mutable container of this tag.
    fn contents(&mut self, tag: u8, depth: usize) -> Result<(), Malformed> {
        match tag {
            b'l' => self.items(depth, false),
            b'S' => self.items(depth, true),
            b'a' => self.skip(1),
            b'Q' => {
                self.walk(depth, true)?;
                self.items(depth, false)
            }
            _ => {
                if tag == b'G' {
                    self.walk(depth, true)?;
                }
                for _ in 0..self.length(2)? {
                    self.walk(depth, true)?;
                    self.walk(depth, false)?;
                }
                Ok(())
            }
        }
    }

    fn items(&mut self, depth: usize, hashable: bool) -> Result<(), Malformed> {
        match self.tag()? {
            b'v' => {
                let n = self.length(1)?;
                (0..n).try_for_each(|_| self.walk(depth, hashable))
            }
            b'q' | b'w' => self.skip(8),
            _ => Err("unknown items"),
        }
    }
}

/// Text of a process for a report: at most `most` characters, without control characters other than newlines and
/// without marks that turn the direction of writing.
pub(super) fn printable(bytes: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let turns = |c: &char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|c| (!c.is_control() || *c == '\n') && !turns(c)).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::{Reader, Writer, printable};

    fn check(bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut reader = Reader::new(bytes, Vec::new());
        reader.value()?;
        reader.end()
    }

    #[test]
    fn reads_what_it_writes() {
        let names = ["f".to_owned(), "é".to_owned()];
        let frame = Writer::tuple(3).text("x\ny").bytes(b"\0\xff").texts(&names).done();
        assert_eq!(check(&frame), Ok(Vec::new()));
        let mut reader = Reader::new(&frame[frame.len() - 19..], Vec::new());
        assert_eq!(reader.texts(10).expect("texts"), names);
    }

    #[test]
    fn reports_hold_no_terminal_codes() {
        assert_eq!(printable("a\x1b[31m\u{9b}1m\u{202e}b\nc\u{2066}\0\x7f".as_bytes(), 9), "a[31m1mb\n");
        assert_eq!(printable(b"\xff\xed\xa0\x80 x", 9), "\u{fffd}\u{fffd}\u{fffd}\u{fffd} x");
    }

    #[test]
    fn refuses_hostile_bytes() {
        assert_eq!(check(b"R\0\0\0\0"), Err("a reference to nothing"));
        assert_eq!(check(b"s\xff\xff\xff\xff"), Err("a length beyond the end"));
        assert_eq!(check(b"lv\xff\xff\xff\x7f"), Err("a length beyond the end"));
        assert_eq!(check(b"Sv\x01\0\0\0lv\0\0\0\0"), Err("a key that cannot be hashed"));
        assert_eq!(check(b"NN"), Err("bytes after the end"));
        assert_eq!(check(b"?"), Err("an unknown tag"));
        assert_eq!(check(b""), Err("cut short"));
        let deep = b"lv\x01\0\0\0".repeat(100_000);
        assert_eq!(check(&deep), Err("too deep or too large"));
        // A list that holds itself is fine.
        assert_eq!(check(b"lv\x01\0\0\0R\0\0\0\0"), Ok(vec![b'l']));
    }

    #[test]
    fn changes_concern_arguments_only() {
        let change = |number: i64| [b"i\x01\0\0\0\0\0\0\0i".as_slice(), &number.to_le_bytes(), b"v\0\0\0\0"].concat();
        let run = |bytes: &[u8]| Reader::new(bytes, vec![b'l', b'l']).changes(1);
        assert_eq!(run(&change(0)), Ok(()));
        assert_eq!(run(&change(1)), Err("a change of no argument"));
        assert_eq!(run(&change(-1)), Err("a negative number"));
    }
}

//! The stack machine of Python's pickles, without the part that runs anything.
//!
//! Comes in: the bytes of a pickle. Goes out: a graph of plain objects in which calls are written down, not made. Never: imports,
//! calls, recursion, memory beyond a small multiple of the bytes.

use std::collections::HashMap;

/// Objects that one pickle may make. The state of a model with 50,000 tensors has a fifth of it.
const MOST_OBJECTS: usize = 1 << 22;

/// Where an object is in the graph.
pub type Id = usize;

/// An object; parts are places in the graph.
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    None,
    Bool(bool),
    Int(i64),
    Text(String),
    /// `module.name`
    Global(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    /// Keys and values, in the order of insertion.
    Dict(Vec<(Id, Id)>),
    /// A call that is not made.
    Call(Id, Id),
    /// What a storage is known by.
    Persistent(Id),
    /// Something that tensors do not need: floats, bytes.
    Other,
}

/// All objects of a pickle.
pub struct Graph {
    objects: Vec<Object>,
    /// The object that the pickle is.
    pub root: Id,
}

impl Graph {
    /// The object at a place.
    pub fn get(&self, id: Id) -> &Object {
        self.objects.get(id).unwrap_or(&Object::None)
    }

    /// Parts of a tuple or list; none of anything else.
    pub fn parts(&self, id: Id) -> &[Id] {
        match self.get(id) {
            Object::Tuple(parts) | Object::List(parts) => parts,
            _ => &[],
        }
    }
}

/// Reads a pickle of protocol 2 to 5. The error says what is wrong with it.
pub fn read(pickle: &[u8]) -> Result<Graph, String> {
    let mut machine =
        Machine { rest: pickle, objects: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
    while machine.step()? {}
    let root = machine.pop()?;
    Ok(Graph { objects: machine.objects, root })
}

struct Machine<'a> {
    rest: &'a [u8],
    objects: Vec<Object>,
    stack: Vec<Id>,
    /// Heights of the stack at marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

type Step<T> = Result<T, String>;

impl Machine<'_> {
    /// One instruction; `false` at the end.
    fn step(&mut self) -> Step<bool> {
        let [code] = self.take::<1>()?;
        match code {
            b'.' => return Ok(false),
            0x80 => drop(self.take::<1>()?), // PROTO
            0x95 => drop(self.take::<8>()?), // FRAME
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'2' => self.stack.push(self.top()?),
            b'N' => self.push(Object::None)?,
            0x88 => self.push(Object::Bool(true))?,
            0x89 => self.push(Object::Bool(false))?,
            b'K' | b'M' | b'J' | 0x8a => self.integer(code)?,
            b'G' => {
                self.take::<8>()?;
                self.push(Object::Other)?;
            }
            0x8c | b'X' | 0x8d | b'U' | b'T' | b'C' | b'B' | 0x8e => self.text(code)?,
            b'c' | 0x93 => self.global(code)?,
            b')' | 0x85..=0x87 | b't' | b']' | b'l' | 0x8f | b'}' | b'd' => self.container(code)?,
            b'a' | b'e' | 0x90 | b's' | b'u' => self.fill(code)?,
            b'R' | 0x81 => self.call()?,
            b'b' => drop(self.pop()?), // BUILD: attributes of an object, which tensors do not need
            b'Q' => {
                let id = self.pop()?;
                self.push(Object::Persistent(id))?;
            }
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.remember(code)?,
            other => return Err(format!("the instruction {other:#04x} is not known")),
        }
        Ok(true)
    }

    fn integer(&mut self, code: u8) -> Step<()> {
        let value = match code {
            b'K' => i64::from(self.take::<1>()?[0]),
            b'M' => i64::from(u16::from_le_bytes(self.take()?)),
            b'J' => i64::from(i32::from_le_bytes(self.take()?)),
            _ => {
                let [length] = self.take::<1>()?;
                let bytes = self.bytes(u64::from(length))?;
                let sign = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
                let mut wide = [sign; 8];
                wide.get_mut(..bytes.len()).ok_or("a number has more than 64 bits")?.copy_from_slice(bytes);
                i64::from_le_bytes(wide)
            }
        };
        self.push(Object::Int(value))
    }

    /// Texts and bytes, with lengths of one, four or eight bytes.
    fn text(&mut self, code: u8) -> Step<()> {
        let length = match code {
            0x8c | b'U' | b'C' => u64::from(self.take::<1>()?[0]),
            0x8d | 0x8e => u64::from_le_bytes(self.take()?),
            _ => u64::from(u32::from_le_bytes(self.take()?)),
        };
        let bytes = self.bytes(length)?;
        let object = match code {
            b'C' | b'B' | 0x8e => Object::Other,
            _ => Object::Text(String::from_utf8_lossy(bytes).into_owned()),
        };
        self.push(object)
    }

    fn global(&mut self, code: u8) -> Step<()> {
        let (module, name) = match code {
            b'c' => (self.line()?, self.line()?),
            _ => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (&self.objects[module], &self.objects[name]) {
                    (Object::Text(module), Object::Text(name)) => (module.clone(), name.clone()),
                    _ => return Err("a global is named by something that is no text".to_string()),
                }
            }
        };
        self.push(Object::Global(format!("{module}.{name}")))
    }

    fn container(&mut self, code: u8) -> Step<()> {
        let object = match code {
            b')' => Object::Tuple(Vec::new()),
            0x85..=0x87 => {
                let parts = usize::from(code - 0x84);
                let from = self.height_above(parts)?;
                Object::Tuple(self.stack.split_off(from))
            }
            b't' => Object::Tuple(self.pop_to_mark()?),
            b'l' => Object::List(self.pop_to_mark()?),
            b'd' => Object::Dict(pairs(&self.pop_to_mark()?)?),
            b'}' => Object::Dict(Vec::new()),
            _ => Object::List(Vec::new()),
        };
        self.push(object)
    }

    fn fill(&mut self, code: u8) -> Step<()> {
        let parts = match code {
            b'a' => vec![self.pop()?],
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                vec![key, value]
            }
            _ => self.pop_to_mark()?,
        };
        let top = self.top()?;
        match (&mut self.objects[top], code) {
            (Object::List(list), b'a' | b'e' | 0x90) => list.extend(parts),
            (Object::Dict(dict), b's' | b'u') => dict.extend(pairs(&parts)?),
            // Objects of other kinds may be filled, too, but tensors need none of them.
            (Object::Call(..), _) => {}
            _ => return Err("something is put into what cannot hold it".to_string()),
        }
        Ok(())
    }

    fn call(&mut self) -> Step<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let object = match &self.objects[function] {
            Object::Global(name) if name == "collections.OrderedDict" => Object::Dict(Vec::new()),
            _ => Object::Call(function, arguments),
        };
        self.push(object)
    }

    fn remember(&mut self, code: u8) -> Step<()> {
        let key = match code {
            b'q' | b'h' => u32::from(self.take::<1>()?[0]),
            b'r' | b'j' => u32::from_le_bytes(self.take()?),
            _ => self.memo.len() as u32,
        };
        if matches!(code, b'h' | b'j') {
            let id = *self.memo.get(&key).ok_or("something is remembered that was never seen")?;
            self.stack.push(id);
        } else {
            self.memo.insert(key, self.top()?);
        }
        Ok(())
    }

    fn push(&mut self, object: Object) -> Step<()> {
        if self.objects.len() == MOST_OBJECTS {
            return Err(format!("it has more than {MOST_OBJECTS} objects"));
        }
        self.stack.push(self.objects.len());
        self.objects.push(object);
        Ok(())
    }

    /// The height of the stack without its topmost `parts`, which must be above the last mark.
    fn height_above(&self, parts: usize) -> Step<usize> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack
            .len()
            .checked_sub(parts)
            .filter(|height| *height >= floor)
            .ok_or_else(|| "its stack is empty".to_string())
    }

    fn pop(&mut self) -> Step<Id> {
        self.height_above(1)?;
        self.stack.pop().ok_or_else(|| "its stack is empty".to_string())
    }

    fn top(&self) -> Step<Id> {
        Ok(self.stack[self.height_above(1)?])
    }

    fn pop_to_mark(&mut self) -> Step<Vec<Id>> {
        let mark = self.marks.pop().ok_or("a mark is missing")?;
        Ok(self.stack.split_off(mark))
    }

    fn take<const SIZE: usize>(&mut self) -> Step<[u8; SIZE]> {
        let (bytes, rest) = self.rest.split_first_chunk::<SIZE>().ok_or("it ends in the middle")?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn bytes(&mut self, length: u64) -> Step<&[u8]> {
        let length = usize::try_from(length).ok().filter(|length| *length <= self.rest.len());
        let (bytes, rest) = self.rest.split_at(length.ok_or("it ends in the middle")?);
        self.rest = rest;
        Ok(bytes)
    }

    fn line(&mut self) -> Step<String> {
        let end = self.rest.iter().position(|byte| *byte == b'\n').ok_or("it ends in the middle")?;
        let line = String::from_utf8_lossy(&self.rest[..end]).into_owned();
        self.rest = &self.rest[end + 1..];
        Ok(line)
    }
}

fn pairs(parts: &[Id]) -> Step<Vec<(Id, Id)>> {
    match parts.as_chunks::<2>() {
        (pairs, []) => Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect()),
        _ => Err("a dictionary has a key without a value".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_written_down_and_not_made() {
        // pickletools of pickle.dumps(os.system, ...): a call of os.system with a text.
        let graph = read(b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.").unwrap();
        let Object::Call(function, arguments) = graph.get(graph.root) else { panic!("no call") };
        assert_eq!(graph.get(*function), &Object::Global("os.system".to_string()));
        assert_eq!(graph.get(graph.parts(*arguments)[0]), &Object::Text("ls".to_string()));
    }

    #[test]
    fn a_dictionary_keeps_its_order_and_numbers_their_sign() {
        // pickle.dumps({"b": -1, "a": (70000, None)}, 4)
        let graph = read(
            b"\x80\x04\x95\x1c\0\0\0\0\0\0\0}\x94(\x8c\x01b\x94J\xff\xff\xff\xff\x8c\x01a\x94Jp\x11\x01\0N\x86\x94u.",
        );
        let graph = graph.unwrap();
        let Object::Dict(pairs) = graph.get(graph.root) else { panic!("no dict") };
        let keys: Vec<&Object> = pairs.iter().map(|(key, _)| graph.get(*key)).collect();
        assert_eq!(keys, [&Object::Text("b".to_string()), &Object::Text("a".to_string())]);
        assert_eq!(graph.get(pairs[0].1), &Object::Int(-1));
        assert_eq!(graph.get(graph.parts(pairs[1].1)[0]), &Object::Int(70000));
        let long = read(b"\x8a\x02\x00\xff.").unwrap();
        assert_eq!(long.get(long.root), &Object::Int(-256));
    }

    #[test]
    fn hostile_pickles_are_refused() {
        for (pickle, part) in [
            (&b""[..], "ends in the middle"),
            (b".", "stack is empty"),
            (b"(a.", "stack is empty"),
            (b"X\xff\xff\xff\xffab.", "ends in the middle"),
            (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffab.", "ends in the middle"),
            (b"h\x07.", "never seen"),
            (b"}(Nu.", "key without a value"),
            (b"NNa.", "cannot hold it"),
            (b"t.", "mark is missing"),
            (b"\x8a\xff.", "ends in the middle"),
            (b"\x8a\x09123456789.", "more than 64 bits"),
            (b"cos\nsystem", "ends in the middle"),
            (b"NN\x93.", "no text"),
            (b"i", "0x69"),
        ] {
            let err = read(pickle).err().expect("should be refused");
            assert!(err.contains(part), "{pickle:?}: {err}");
        }
        assert!(read(&vec![b')'; MOST_OBJECTS + 1]).err().unwrap().contains("objects"));
        // Deep nesting neither recurses nor doubles: each tuple holds the one before twice.
        let mut deep = b")".to_vec();
        deep.extend(b"q\0h\0\x86".repeat(100_000));
        deep.push(b'.');
        drop(read(&deep).unwrap());
    }
}

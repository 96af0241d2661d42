//! A writer of GGUF files for tests.

use std::path::Path;

/// A file in the making.
pub struct Writer {
    version: u32,
    pub alignment: u64,
    values: Vec<(String, Vec<u8>)>,
    tensors: Vec<(String, Vec<u64>, u32, Vec<u8>)>,
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

impl Writer {
    /// A file that names an architecture.
    pub fn new(architecture: &str) -> Writer {
        let mut writer = Writer { version: 3, alignment: 32, values: Vec::new(), tensors: Vec::new() };
        writer.text("general.architecture", architecture);
        writer
    }

    pub fn versioned(&mut self, version: u32) -> &mut Writer {
        self.version = version;
        self
    }

    /// A value of a type's number, as bytes.
    pub fn raw(&mut self, key: &str, kind: u32, bytes: &[u8]) -> &mut Writer {
        self.values.push((key.to_string(), [&kind.to_le_bytes()[..], bytes].concat()));
        self
    }

    pub fn text(&mut self, key: &str, value: &str) -> &mut Writer {
        self.raw(key, 8, &text(value))
    }

    pub fn count(&mut self, key: &str, value: u32) -> &mut Writer {
        self.raw(key, 4, &value.to_le_bytes())
    }

    pub fn number(&mut self, key: &str, value: f32) -> &mut Writer {
        self.raw(key, 6, &value.to_le_bytes())
    }

    pub fn flag(&mut self, key: &str, value: bool) -> &mut Writer {
        self.raw(key, 7, &[u8::from(value)])
    }

    fn list(&mut self, key: &str, kind: u32, count: usize, bytes: Vec<u8>) -> &mut Writer {
        self.raw(key, 9, &[&kind.to_le_bytes()[..], &(count as u64).to_le_bytes(), &bytes].concat())
    }

    pub fn texts<T: AsRef<str>>(&mut self, key: &str, values: &[T]) -> &mut Writer {
        let bytes = values.iter().flat_map(|value| text(value.as_ref())).collect();
        self.list(key, 8, values.len(), bytes)
    }

    pub fn numbers(&mut self, key: &str, values: &[f32]) -> &mut Writer {
        self.list(key, 6, values.len(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    pub fn integers(&mut self, key: &str, values: &[i32]) -> &mut Writer {
        self.list(key, 5, values.len(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// A tensor; shape outermost first, as everywhere but in the file.
    pub fn tensor(&mut self, name: &str, shape: &[u64], kind: u32, bytes: Vec<u8>) -> &mut Writer {
        self.tensors.push((name.to_string(), shape.iter().rev().copied().collect(), kind, bytes));
        self
    }

    /// A tensor of f32.
    pub fn floats(&mut self, name: &str, shape: &[u64], values: &[f32]) -> &mut Writer {
        self.tensor(name, shape, 0, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// Names another architecture.
    pub fn family(&mut self, architecture: &str) -> &mut Writer {
        self.values.retain(|(key, _)| key != "general.architecture");
        self.text("general.architecture", architecture)
    }

    /// Has another vocabulary.
    pub fn tokens(&mut self, tokens: &[&str]) -> &mut Writer {
        self.values.retain(|(key, _)| key != "tokenizer.ggml.tokens");
        self.texts("tokenizer.ggml.tokens", tokens)
    }

    /// Takes a tensor out again.
    pub fn without(&mut self, name: &str) -> &mut Writer {
        self.tensors.retain(|(other, ..)| other != name);
        self
    }

    /// The header with its padding, and the data.
    pub fn parts(&self) -> (Vec<u8>, Vec<u8>) {
        let (mut header, mut data) = (b"GGUF".to_vec(), Vec::new());
        header.extend(self.version.to_le_bytes());
        header.extend((self.tensors.len() as u64).to_le_bytes());
        header.extend((self.values.len() as u64).to_le_bytes());
        for (key, value) in &self.values {
            header.extend(text(key));
            header.extend(value);
        }
        for (name, shape, kind, bytes) in &self.tensors {
            header.extend(text(name));
            header.extend((shape.len() as u32).to_le_bytes());
            header.extend(shape.iter().flat_map(|n| n.to_le_bytes()));
            header.extend(kind.to_le_bytes());
            header.extend((data.len() as u64).to_le_bytes());
            data.extend(bytes);
            data.resize(data.len().next_multiple_of(self.alignment as usize), 0);
        }
        header.resize(header.len().next_multiple_of(self.alignment as usize), 0);
        (header, data)
    }

    pub fn save(&self, path: &Path) {
        let (header, data) = self.parts();
        std::fs::write(path, [header, data].concat()).unwrap();
    }
}

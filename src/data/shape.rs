//! What a column of a JSON file holds: a type for every field, found by looking at every row.
//!
//! The rules are those of Hugging Face `datasets` 5: whole numbers and fractions make fractions, a field that a row leaves out is
//! null, and where values of different kinds (or objects with different keys) meet, they are kept as written.

use super::budget;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;

/// Stands, as a text, for a number that JSON cannot hold (NaN, the infinities): a fraction in its column, and null in the end.
pub(super) const NOT_FINITE: &str = "\u{0}not a finite number\u{0}";
/// The same as JSON.
pub(super) const NOT_FINITE_JSON: &str = r#""\u0000not a finite number\u0000""#;

/// What a newly seen key costs in a shape, besides its text, which is kept twice.
const FIELD: u64 = 256;

/// Counts what values will cost in memory once they are made, and what the shapes cost that are made here.
#[derive(Debug, Default)]
pub(super) struct Tally {
    values: Cell<u64>,
    shapes: Cell<u64>,
}

impl Tally {
    fn value(&self, bytes: u64) {
        self.values.set(self.values.get().saturating_add(bytes));
    }

    /// The cost of the values since the last time.
    pub fn take_values(&self) -> u64 {
        self.values.take()
    }

    /// The cost of all shapes.
    pub fn shapes(&self) -> u64 {
        self.shapes.get()
    }
}

/// Everything seen at one place (a column, a field, the elements of a list).
#[derive(Debug, Default)]
pub(super) struct Shape {
    boolean: bool,
    int: bool,
    float: bool,
    text: bool,
    list: Option<Box<Shape>>,
    object: Option<Box<ObjectShape>>,
}

/// Everything seen in the objects at one place.
#[derive(Debug, Default)]
pub(super) struct ObjectShape {
    objects: usize,
    fields: Vec<FieldShape>,
    index: HashMap<String, usize>,
}

#[derive(Debug)]
struct FieldShape {
    name: String,
    /// In how many of the objects the field stands.
    seen: usize,
    /// The number of the last object in which it stood.
    last: usize,
    shape: Shape,
}

/// The type of a column, field or element. Nulls fit everywhere.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Null,
    Bool,
    Int,
    Float,
    Text,
    List(Box<Kind>),
    Struct(Vec<(String, Kind)>),
    /// Values of different kinds, kept as written.
    Any,
}

/// A column of the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    pub name: String,
    pub kind: Kind,
}

impl ObjectShape {
    /// Looks at one more row.
    pub fn observe_row<'de, D: Deserializer<'de>>(&mut self, row: D, tally: &Tally) -> Result<(), D::Error> {
        Row(Seen { shape: self, tally }).deserialize(row)
    }

    /// How many values there are at the top, over all rows.
    pub fn values(&self) -> u64 {
        self.fields.iter().map(|field| field.seen as u64).sum()
    }

    /// The columns, in the order in which they were first seen. At the top a missing field is just null.
    pub fn columns(&self) -> Vec<Column> {
        self.fields.iter().map(|field| Column { name: field.name.clone(), kind: field.shape.kind() }).collect()
    }

    fn kind(&self) -> Kind {
        if self.fields.is_empty() || self.fields.iter().any(|field| field.seen != self.objects) {
            return Kind::Any;
        }
        Kind::Struct(self.fields.iter().map(|field| (field.name.clone(), field.shape.kind())).collect())
    }

    /// The place of a field; `guess` is where it stands when the rows are alike.
    fn place(&mut self, name: &str, guess: usize, tally: &Tally) -> usize {
        tally.value(budget::cell(name.len() as u64));
        if self.fields.get(guess).is_some_and(|field| field.name == name) {
            return guess;
        }
        if let Some(place) = self.index.get(name) {
            return *place;
        }
        let place = self.fields.len();
        tally.shapes.set(tally.shapes.get().saturating_add(FIELD + 2 * name.len() as u64));
        self.fields.push(FieldShape { name: name.to_string(), seen: 0, last: 0, shape: Shape::default() });
        self.index.insert(name.to_string(), place);
        place
    }

    fn observe<'de, A: MapAccess<'de>>(&mut self, mut map: A, tally: &Tally) -> Result<(), A::Error> {
        self.objects += 1;
        let mut guess = 0;
        while let Some(place) = map.next_key_seed(Key { object: self, guess, tally })? {
            let field = &mut self.fields[place];
            if field.last == self.objects {
                return Err(A::Error::custom(format!("the key `{}` stands twice in one object", field.name)));
            }
            field.last = self.objects;
            field.seen += 1;
            guess = place + 1;
            map.next_value_seed(Observe(Seen { shape: &mut field.shape, tally }))?;
        }
        Ok(())
    }
}

impl Shape {
    fn kind(&self) -> Kind {
        let number = self.int || self.float;
        let kinds = [self.boolean, number, self.text, self.list.is_some(), self.object.is_some()];
        if kinds.iter().filter(|seen| **seen).count() > 1 {
            return Kind::Any;
        }
        if let Some(list) = &self.list {
            return Kind::List(Box::new(list.kind()));
        }
        if let Some(object) = &self.object {
            return object.kind();
        }
        match (self.boolean, self.float, self.int, self.text) {
            (true, ..) => Kind::Bool,
            (_, true, ..) => Kind::Float,
            (_, _, true, _) => Kind::Int,
            (.., true) => Kind::Text,
            _ => Kind::Null,
        }
    }
}

impl Kind {
    /// Gives a value, as parsed, the form that its kind asks for.
    pub fn fit(&self, value: Value) -> Value {
        match (self, value) {
            (Kind::Float, Value::Number(number)) => Value::from(number.as_f64()),
            (_, Value::String(text)) if text == NOT_FINITE => Value::Null,
            (Kind::List(inner), Value::Array(items)) => items.into_iter().map(|item| inner.fit(item)).collect(),
            (Kind::Struct(fields), Value::Object(mut object)) => {
                let fitted = fields
                    .iter()
                    .map(|(name, kind)| (name.clone(), object.remove(name).map_or(Value::Null, |v| kind.fit(v))));
                Value::Object(fitted.collect())
            }
            (Kind::Any, Value::Array(items)) => items.into_iter().map(|item| Kind::Any.fit(item)).collect(),
            (Kind::Any, Value::Object(object)) => {
                Value::Object(object.into_iter().map(|(name, value)| (name, Kind::Any.fit(value))).collect())
            }
            (_, value) => value,
        }
    }
}

/// A shape that is being looked at, and what its values cost.
struct Seen<'a, S> {
    shape: &'a mut S,
    tally: &'a Tally,
}

/// What any value of a text of JSON costs in memory.
pub(super) fn weigh(text: &str) -> serde_json::Result<u64> {
    let tally = Tally::default();
    let mut input = serde_json::Deserializer::from_str(text);
    Observe(Seen { shape: &mut Shape::default(), tally: &tally }).deserialize(&mut input)?;
    input.end()?;
    Ok(tally.take_values().saturating_add(tally.shapes()))
}

/// A row: an object, and nothing else.
struct Row<'a>(Seen<'a, ObjectShape>);

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object (one row)")
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.0.shape.observe(map, self.0.tally)
    }
}

/// A key of an object, to its place.
struct Key<'a> {
    object: &'a mut ObjectShape,
    guess: usize,
    tally: &'a Tally,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = usize;
    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<usize, D::Error> {
        input.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = usize;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E>(self, name: &str) -> Result<usize, E> {
        Ok(self.object.place(name, self.guess, self.tally))
    }
}

/// Any value.
struct Observe<'a>(Seen<'a, Shape>);

impl<'de> DeserializeSeed<'de> for Observe<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Observe<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.tally.value(budget::CELL);
        Ok(())
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.0.tally.value(budget::CELL);
        self.0.shape.boolean = true;
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.0.tally.value(budget::CELL);
        self.0.shape.int = true;
        Ok(())
    }
    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.0.tally.value(budget::CELL);
        // Beyond 64 signed bits `datasets` goes over to fractions.
        match i64::try_from(number) {
            Ok(_) => self.0.shape.int = true,
            Err(_) => self.0.shape.float = true,
        }
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.0.tally.value(budget::CELL);
        self.0.shape.float = true;
        Ok(())
    }
    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.tally.value(budget::CELL + text.len() as u64);
        match text {
            NOT_FINITE => self.0.shape.float = true,
            _ => self.0.shape.text = true,
        }
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Seen { shape, tally } = self.0;
        tally.value(budget::CELL);
        let inner = shape.list.get_or_insert_default();
        while seq.next_element_seed(Observe(Seen { shape: inner, tally }))?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.0.tally.value(budget::CELL);
        self.0.shape.object.get_or_insert_default().observe(map, self.0.tally)
    }
}

#[cfg(test)]
mod tests {
    //! The kinds are those of the `features` that `datasets` 5.2 gives for the same rows.
    use super::*;
    use serde_json::json;

    fn observe(shape: &mut ObjectShape, row: &str) -> serde_json::Result<()> {
        shape.observe_row(&mut serde_json::Deserializer::from_str(row), &Tally::default())
    }

    fn kind_of(rows: &[&str]) -> Kind {
        let mut shape = ObjectShape::default();
        for row in rows {
            observe(&mut shape, row).unwrap();
        }
        shape.columns().remove(0).kind
    }

    #[test]
    fn kinds() {
        let int_struct = |names: &[&str]| Kind::Struct(names.iter().map(|n| (n.to_string(), Kind::Int)).collect());
        assert_eq!(kind_of(&[r#"{"a":1}"#, r#"{"a":null}"#]), Kind::Int);
        assert_eq!(kind_of(&[r#"{"a":1}"#, r#"{"a":1.5}"#]), Kind::Float);
        assert_eq!(kind_of(&[r#"{"a":9223372036854775808}"#]), Kind::Float);
        assert_eq!(kind_of(&[r#"{"a":1}"#, r#"{"a":"x"}"#]), Kind::Any);
        assert_eq!(kind_of(&[r#"{"a":1}"#, r#"{"a":true}"#]), Kind::Any);
        assert_eq!(kind_of(&[r#"{"a":[]}"#]), Kind::List(Box::new(Kind::Null)));
        assert_eq!(kind_of(&[r#"{"a":[1,"x"]}"#]), Kind::List(Box::new(Kind::Any)));
        assert_eq!(kind_of(&[r#"{"a":{}}"#]), Kind::Any);
        assert_eq!(kind_of(&[r#"{"a":{"x":1,"y":2}}"#, r#"{"a":{"y":2,"x":1}}"#]), int_struct(&["x", "y"]));
        assert_eq!(kind_of(&[r#"{"a":{"x":1}}"#, r#"{"a":{"y":2}}"#]), Kind::Any);
        assert_eq!(kind_of(&[r#"{"a":{"x":1}}"#, r#"{"a":{"x":"s"}}"#]), Kind::Struct(vec![("x".into(), Kind::Any)]));
    }

    #[test]
    fn a_key_twice_is_refused() {
        let err = observe(&mut ObjectShape::default(), r#"{"a":1,"a":2}"#).unwrap_err();
        assert!(err.to_string().contains("stands twice"), "{err}");
    }

    #[test]
    fn fitting() {
        let kind = Kind::Struct(vec![("x".into(), Kind::Float), ("y".into(), Kind::Any)]);
        let fitted = kind.fit(json!({"y": 1, "x": 2}));
        assert_eq!(serde_json::to_string(&fitted).unwrap(), r#"{"x":2.0,"y":1}"#);
    }
}

//! What a column of a JSON file holds: a type for every field, found by looking at every row.
//!
//! The rules are those of Hugging Face `datasets` 5: whole numbers and fractions make fractions, a field that a row leaves out is
//! null, and where values of different kinds (or objects with different keys) meet, they are kept as written.

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;

/// Beyond this a number without fraction may have been a long whole number, which polars' reader refuses.
const LONG: f64 = 18_446_744_073_709_551_615.0;

/// Everything seen at one place (a column, a field, the elements of a list).
#[derive(Debug, Default)]
pub(super) struct Shape {
    boolean: bool,
    int: bool,
    float: bool,
    long: bool,
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
    /// The values cannot go through a typed reader: they travel as JSON text.
    pub as_text: bool,
}

impl ObjectShape {
    /// Looks at one more row.
    pub fn observe_row(&mut self, line: &str) -> serde_json::Result<()> {
        let mut input = serde_json::Deserializer::from_str(line);
        Row(self).deserialize(&mut input)?;
        input.end()
    }

    /// The columns, in the order in which they were first seen. At the top a missing field is just null.
    pub fn columns(&self) -> Vec<Column> {
        let column = |field: &FieldShape| {
            let kind = field.shape.kind();
            let as_text = kind.has_any() || field.shape.has_long();
            Column { name: field.name.clone(), kind, as_text }
        };
        self.fields.iter().map(column).collect()
    }

    fn kind(&self) -> Kind {
        if self.fields.is_empty() || self.fields.iter().any(|field| field.seen != self.objects) {
            return Kind::Any;
        }
        Kind::Struct(self.fields.iter().map(|field| (field.name.clone(), field.shape.kind())).collect())
    }

    /// The place of a field; `guess` is where it stands when the rows are alike.
    fn place(&mut self, name: &str, guess: usize) -> usize {
        if self.fields.get(guess).is_some_and(|field| field.name == name) {
            return guess;
        }
        if let Some(place) = self.index.get(name) {
            return *place;
        }
        let place = self.fields.len();
        self.fields.push(FieldShape { name: name.to_string(), seen: 0, last: 0, shape: Shape::default() });
        self.index.insert(name.to_string(), place);
        place
    }

    fn observe<'de, A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        self.objects += 1;
        let mut guess = 0;
        while let Some(place) = map.next_key_seed(Key { object: self, guess })? {
            let field = &mut self.fields[place];
            if field.last == self.objects {
                return Err(A::Error::custom(format!("the key `{}` stands twice in one object", field.name)));
            }
            field.last = self.objects;
            field.seen += 1;
            guess = place + 1;
            map.next_value_seed(Observe(&mut field.shape))?;
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

    fn has_long(&self) -> bool {
        self.long
            || self.list.as_ref().is_some_and(|list| list.has_long())
            || self.object.as_ref().is_some_and(|object| object.fields.iter().any(|field| field.shape.has_long()))
    }
}

impl Kind {
    fn has_any(&self) -> bool {
        match self {
            Kind::Any => true,
            Kind::List(inner) => inner.has_any(),
            Kind::Struct(fields) => fields.iter().any(|(_, kind)| kind.has_any()),
            _ => false,
        }
    }

    /// Gives a value, as parsed, the form that its kind asks for.
    pub fn fit(&self, value: Value) -> Value {
        match (self, value) {
            (Kind::Float, Value::Number(number)) => Value::from(number.as_f64()),
            (Kind::List(inner), Value::Array(items)) => items.into_iter().map(|item| inner.fit(item)).collect(),
            (Kind::Struct(fields), Value::Object(mut object)) => {
                let fitted = fields
                    .iter()
                    .map(|(name, kind)| (name.clone(), object.remove(name).map_or(Value::Null, |v| kind.fit(v))));
                Value::Object(fitted.collect())
            }
            (_, value) => value,
        }
    }
}

/// A row: an object, and nothing else.
struct Row<'a>(&'a mut ObjectShape);

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
        self.0.observe(map)
    }
}

/// A key of an object, to its place.
struct Key<'a> {
    object: &'a mut ObjectShape,
    guess: usize,
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
        Ok(self.object.place(name, self.guess))
    }
}

/// Any value.
struct Observe<'a>(&'a mut Shape);

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
        Ok(())
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.0.boolean = true;
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.0.int = true;
        Ok(())
    }
    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        // Beyond 64 signed bits `datasets` goes over to fractions.
        match i64::try_from(number) {
            Ok(_) => self.0.int = true,
            Err(_) => self.0.float = true,
        }
        Ok(())
    }
    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.0.float = true;
        self.0.long |= number.abs() >= LONG || number < i64::MIN as f64;
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.0.text = true;
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inner = self.0.list.get_or_insert_default();
        while seq.next_element_seed(Observe(inner))?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.0.object.get_or_insert_default().observe(map)
    }
}

#[cfg(test)]
mod tests {
    //! The kinds are those of the `features` that `datasets` 5.2 gives for the same rows.
    use super::*;
    use serde_json::json;

    fn kind_of(rows: &[&str]) -> Kind {
        let mut shape = ObjectShape::default();
        for row in rows {
            shape.observe_row(row).unwrap();
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
        let err = ObjectShape::default().observe_row(r#"{"a":1,"a":2}"#).unwrap_err();
        assert!(err.to_string().contains("stands twice"), "{err}");
    }

    #[test]
    fn fitting() {
        let kind = Kind::Struct(vec![("x".into(), Kind::Float), ("y".into(), Kind::Any)]);
        let fitted = kind.fit(json!({"y": 1, "x": 2}));
        assert_eq!(serde_json::to_string(&fitted).unwrap(), r#"{"x":2.0,"y":1}"#);
    }
}

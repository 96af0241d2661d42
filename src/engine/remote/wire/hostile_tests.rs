//! Bodies that nobody would send: fields lost, changed, doubled, cut. Whatever comes, there is no panic, and an answer is a plausible one.

use super::fixtures::{self, Fixture};
use super::trouble;
use super::{Ask, Input, Reply, WireError};
use serde_json::{Map, Value, json};

/// Changed bodies of each fixture.
const ROUNDS: usize = 400;

/// All places in a body, outermost first.
fn places(value: &Value, path: String, found: &mut Vec<String>) {
    found.push(path.clone());
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                places(inner, format!("{path}/{key}"), found);
            }
        }
        Value::Array(list) => {
            for (place, inner) in list.iter().enumerate() {
                places(inner, format!("{path}/{place}"), found);
            }
        }
        _ => {}
    }
}

fn odd(rng: &mut fastrand::Rng) -> Value {
    let values = [
        json!(null),
        json!("NaN"),
        json!(""),
        json!("é\u{fffd}\0"),
        json!("<s>"),
        json!(-1e308),
        json!(1e308),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(0.5),
        json!(0),
        json!(true),
        json!([]),
        json!([null]),
        json!([[[]]]),
        json!({}),
        json!({"": null}),
        json!("x".repeat(5000)),
    ];
    values[rng.usize(..values.len())].clone()
}

/// Changes one place of a body.
fn change(body: &mut Value, rng: &mut fastrand::Rng) {
    let mut found = Vec::new();
    places(body, String::new(), &mut found);
    let place = &found[rng.usize(..found.len())];
    let (outer, key) = place.rsplit_once('/').unwrap_or(("", ""));
    let key = key.replace("~1", "/").replace("~0", "~");
    match (rng.u8(..5), body.pointer_mut(outer)) {
        (0, Some(Value::Object(fields))) if !place.is_empty() => {
            fields.shift_remove(&key);
        }
        (0, Some(Value::Array(list))) if !list.is_empty() => {
            list.pop();
        }
        (1, Some(Value::Array(list))) if !list.is_empty() => {
            let entry = list[rng.usize(..list.len())].clone();
            list.insert(rng.usize(..=list.len()), entry);
        }
        (2, Some(Value::Array(list))) => rng.shuffle(list),
        (3, Some(Value::Object(fields))) => {
            let mut entries: Vec<(String, Value)> = std::mem::take(fields).into_iter().collect();
            rng.shuffle(&mut entries);
            *fields = Map::from_iter(entries);
        }
        _ => {
            if let Some(value) = body.pointer_mut(place) {
                *value = odd(rng);
            }
        }
    }
}

/// What may be believed of any answer.
fn check(ask: &Ask<'_>, reply: &Reply) -> Result<(), String> {
    let fits = |ok: bool, said: &str| if ok { Ok(()) } else { Err(said.to_string()) };
    match (ask, reply) {
        (Ask::Score(input), Reply::Scores { tokens, generated, .. }) => {
            fits(*generated <= tokens.len(), "more generated tokens than tokens")?;
            for (place, token) in tokens.iter().enumerate() {
                let is_right = token.logprob.map_or(place == 0, |value| value.is_finite() && value <= 0.0);
                fits(is_right, "an odd log-probability")?;
            }
            let prompt = tokens.len() - generated;
            match input {
                Input::Ids(ids) => fits(prompt == ids.len(), "another number of tokens"),
                Input::Text(text) => {
                    let offsets: Vec<usize> = tokens.iter().filter_map(|token| token.offset).collect();
                    fits(offsets.is_sorted() && offsets.iter().all(|at| *at <= text.chars().count()), "odd offsets")
                }
                Input::Chat(_) => Err("turns were scored".into()),
            }
        }
        (Ask::FirstToken { .. }, Reply::FirstToken { top, .. }) => {
            fits(!top.is_empty(), "no tokens")?;
            fits(top.iter().all(|(_, value)| value.is_finite() && *value <= 0.0), "an odd log-probability")?;
            fits(top.is_sorted_by(|a, b| a.1 >= b.1), "out of order")
        }
        (Ask::Generate(..), Reply::Text { .. })
        | (Ask::Tokenize { .. }, Reply::Tokens(_))
        | (Ask::ApplyTemplate(_), Reply::Template(_))
        | (Ask::Models, Reply::Models(_)) => Ok(()),
        _ => Err("an answer to something else".into()),
    }
}

fn torture(fixture: &Fixture, rng: &mut fastrand::Rng) -> (usize, usize) {
    let (question, wire) = (fixture.question(), fixture.wire());
    let (mut answers, mut errors) = (0, 0);
    for _ in 0..ROUNDS {
        let mut body = fixture.body().clone();
        for _ in 0..rng.usize(1..4) {
            change(&mut body, rng);
        }
        let _ = wire.error_message(&body);
        let _ = (trouble::meaning(&body), trouble::wait(&body), trouble::status(&body));
        match wire.reply(&question.ask(), &body) {
            Ok(reply) => {
                check(&question.ask(), &reply).unwrap_or_else(|said| panic!("{:?}: {said}: {body}", fixture.path));
                answers += 1;
            }
            Err(
                WireError::Malformed(said)
                | WireError::Failed(said)
                | WireError::Refused(said)
                | WireError::NoAnswer(said),
            ) => {
                assert!(!said.is_empty() && said.chars().count() < 700, "{said}");
                errors += 1;
            }
        }
    }
    (answers, errors)
}

#[test]
fn changed_bodies_are_errors_or_plausible_answers() {
    let mut rng = fastrand::Rng::with_seed(20260724);
    let (mut answers, mut errors) = (0, 0);
    for fixture in fixtures::all() {
        let (some, others) = torture(&fixture, &mut rng);
        (answers, errors) = (answers + some, errors + others);
    }
    assert!(answers > 1000 && errors > 1000, "{answers} answers, {errors} errors");
}

#[test]
fn answers_to_other_asks_and_rubbish_are_errors() {
    let rubbish = [json!(null), json!([]), json!({}), json!(""), json!(3), json!([[]]), json!({"choices": {}})];
    for fixture in fixtures::all() {
        let (question, wire) = (fixture.question(), fixture.wire());
        for body in &rubbish {
            let reply = wire.reply(&question.ask(), body);
            let empty_listing = matches!(reply, Ok(Reply::Models(ref list)) if list.is_empty());
            let no_tokens = matches!(reply, Ok(Reply::Tokens(ref ids)) if ids.is_empty());
            assert!(reply.is_err() || empty_listing || no_tokens, "{:?}: {body}", fixture.path);
        }
        let html = json!("<html><body>502 Bad Gateway</body></html>");
        assert_eq!(wire.error_message(&html), None);
    }
}

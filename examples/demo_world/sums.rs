//! Arithmetic stories whose answer ends in `#### n`, in the shape of GSM8K.

use super::Part;
use super::dice::Dice;
use super::words::{PEOPLE, pronoun};
use serde_json::{Value, json};
use std::collections::HashSet;

const THINGS: [&str; 10] = ["apples", "eggs", "nails", "loaves", "pots", "fish", "coins", "candles", "beans", "jars"];

/// A question and its worked answer.
#[derive(PartialEq, Eq, Hash, Clone)]
struct Story {
    question: String,
    answer: String,
}

impl Story {
    fn draw(dice: &mut Dice) -> Self {
        let (name, thing) = (dice.pick(&PEOPLE), dice.pick(&THINGS));
        let (told, work, result) = match dice.below(5) {
            0 => more(dice, thing),
            1 => less(dice, thing),
            2 => more_and_less(dice, thing),
            3 => in_boxes(dice, thing),
            _ => boxes_and_more(dice, thing),
        };
        let question = format!("{name} {told} How many {thing} does {} have now?", pronoun(name));
        Self { question, answer: format!("{work}\n#### {result}") }
    }

    fn told(&self) -> String {
        format!("Question: {}\nAnswer: {}", self.question, self.answer)
    }

    fn row(&self) -> Value {
        json!({"question": self.question, "answer": self.answer})
    }
}

type Told = (String, String, usize);

fn more(dice: &mut Dice, thing: &str) -> Told {
    let (a, b) = (dice.between(2, 60), dice.between(2, 39));
    (format!("has {a} {thing} and gets {b} more."), format!("{a} + {b} = {}.", a + b), a + b)
}

fn less(dice: &mut Dice, thing: &str) -> Told {
    let a = dice.between(10, 80);
    let b = dice.between(2, a - 2);
    (format!("has {a} {thing} and sells {b}."), format!("{a} - {b} = {}.", a - b), a - b)
}

fn more_and_less(dice: &mut Dice, thing: &str) -> Told {
    let (a, b) = (dice.between(5, 40), dice.between(2, 30));
    let c = dice.between(2, a);
    let work = format!("{a} + {b} = {}. {} - {c} = {}.", a + b, a + b, a + b - c);
    (format!("has {a} {thing}, finds {b} more and gives {c} away."), work, a + b - c)
}

fn in_boxes(dice: &mut Dice, thing: &str) -> Told {
    let (a, b) = (dice.between(2, 9), dice.between(2, 9));
    (format!("has {a} boxes with {b} {thing} in each."), format!("{a} * {b} = {}.", a * b), a * b)
}

fn boxes_and_more(dice: &mut Dice, thing: &str) -> Told {
    let (a, b, c) = (dice.between(2, 9), dice.between(2, 9), dice.between(2, 20));
    let work = format!("{a} * {b} = {}. {} + {c} = {}.", a * b, a * b, a * b + c);
    (format!("has {a} boxes with {b} {thing} in each and gets {c} more."), work, a * b + c)
}

pub fn part(dice: &mut Dice) -> Part {
    let mut seen = HashSet::new();
    let mut fresh = |dice: &mut Dice| loop {
        let story = Story::draw(dice);
        if seen.insert(story.clone()) {
            return story;
        }
    };
    let test: Vec<Value> = (0..150).map(|_| fresh(dice).row()).collect();
    let shots: Vec<Story> = (0..60).map(|_| fresh(dice)).collect();
    let train = shots.iter().map(Story::row).collect();
    let mut stories = shots;
    stories.extend((0..16_000).map(|_| fresh(dice)));
    // Two to a document, as a prompt with one shot has them.
    let documents = stories.chunks(2).map(|two| two.iter().map(Story::told).collect::<Vec<_>>().join("\n\n")).collect();
    Part { name: "sums", train, test, documents }
}

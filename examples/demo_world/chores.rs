//! Daily chores: a beginning and four endings, in the shape of HellaSwag.
//!
//! The right ending is what people usually do next, with the thing that the beginning speaks of. The others are the right step with
//! another thing, what some people do instead, and a step of another chore. How many do something else differs from step to step, up to
//! more than two of five: a model must know what is usual, not only what happens.

use super::Part;
use super::dice::Dice;
use super::words::{PEOPLE, pronoun};
use serde_json::{Value, json};
use std::collections::HashSet;

/// A chore: what it is called, and its steps in order. `{}` is the kind of the thing.
const CHORES: [(&str, [&str; 5]); 12] = [
    (
        "Baking",
        [
            "kneads the {} dough",
            "shapes the {} dough into a loaf",
            "puts the {} loaf into the oven",
            "waits until the {} loaf is brown",
            "sells the {} loaf at the door",
        ],
    ),
    (
        "Weaving",
        [
            "washes the {} wool",
            "spins the {} wool into yarn",
            "winds the {} yarn on the loom",
            "weaves the {} yarn into cloth",
            "folds the {} cloth in a chest",
        ],
    ),
    (
        "Forging",
        [
            "heats the {} iron in the fire",
            "hammers the {} iron flat",
            "bends the {} iron into a hook",
            "cools the {} hook in water",
            "hangs the {} hook on the wall",
        ],
    ),
    (
        "Fishing",
        [
            "pushes the {} boat into the river",
            "rows the {} boat to the reeds",
            "throws the {} net into the water",
            "pulls the {} net out again",
            "carries the {} fish home",
        ],
    ),
    (
        "Gardening",
        [
            "digs the {} bed with a spade",
            "sows the {} beans in a row",
            "waters the {} beans at dusk",
            "pulls the weeds from the {} beans",
            "picks the {} beans into a basket",
        ],
    ),
    (
        "Pottery",
        [
            "mixes the {} clay with water",
            "turns the {} clay on the wheel",
            "dries the {} pot in the sun",
            "paints the {} pot with stripes",
            "burns the {} pot in the kiln",
        ],
    ),
    (
        "Milking",
        [
            "calls the {} goat from the hill",
            "ties the {} goat to the post",
            "milks the {} goat into a pail",
            "lets the {} goat go again",
            "carries the {} pail to the cellar",
        ],
    ),
    (
        "Washing",
        [
            "gathers the {} shirts in a tub",
            "rubs the {} shirts with soap",
            "rinses the {} shirts in the brook",
            "hangs the {} shirts on the line",
            "irons the {} shirts on a table",
        ],
    ),
    (
        "Roofing",
        [
            "leans the {} ladder on the house",
            "climbs the {} ladder to the top",
            "lifts the {} tiles up with a rope",
            "nails the {} tiles to the roof",
            "sweeps the {} tiles clean",
        ],
    ),
    (
        "Cooking",
        [
            "peels the {} onions",
            "chops the {} onions on a board",
            "fries the {} onions in a pan",
            "pours water on the {} onions",
            "serves the {} soup with bread",
        ],
    ),
    (
        "Beekeeping",
        [
            "puts on the {} hood",
            "opens the {} hive with care",
            "takes the comb from the {} hive",
            "presses the {} honey from the comb",
            "fills the {} honey into jars",
        ],
    ),
    (
        "Carpentry",
        [
            "measures the {} plank",
            "saws the {} plank in two",
            "planes the {} boards smooth",
            "glues the {} boards together",
            "stands the {} table in the room",
        ],
    ),
];
const KINDS: [&str; 10] = ["red", "old", "big", "white", "small", "black", "new", "grey", "long", "blue"];
const WHEN: [&str; 8] = [
    "In the morning",
    "After lunch",
    "On market day",
    "Before the rain",
    "In spring",
    "At noon",
    "Every week",
    "When it is cold",
];

/// A chore at a step: who, when, with what.
#[derive(PartialEq, Eq, Hash, Clone, Copy)]
struct Scene {
    chore: usize,
    step: usize,
    kind: &'static str,
    name: &'static str,
    when: &'static str,
}

impl Scene {
    fn draw(dice: &mut Dice) -> Self {
        Self {
            chore: dice.below(CHORES.len()),
            step: dice.between(1, 4),
            kind: dice.pick(&KINDS),
            name: dice.pick(&PEOPLE),
            when: dice.pick(&WHEN),
        }
    }

    fn step(&self, step: usize, kind: &str) -> String {
        CHORES[self.chore].1[step].replace("{}", kind)
    }

    /// The beginning: a whole sentence and the start of the next one.
    fn beginning(&self) -> (String, String) {
        let first = format!("{} {} {}.", self.when, self.name, self.step(self.step - 1, self.kind));
        (first, format!("Then {}", pronoun(self.name)))
    }

    fn told(&self, step: usize) -> String {
        let (a, b) = self.beginning();
        format!("{}: {a} {b} {}.", CHORES[self.chore].0, self.step(step, self.kind))
    }

    /// What some do instead: the step before again, or the one after at once.
    fn instead(&self) -> usize {
        if self.step == 4 || (self.chore + self.step).is_multiple_of(2) { self.step - 1 } else { self.step + 1 }
    }

    /// How many of 100 do so.
    fn share(&self) -> usize {
        [12, 24, 32, 38, 42][(3 * self.chore + self.step) % 5]
    }

    /// As one of the text's people does it.
    fn done(&self, dice: &mut Dice) -> String {
        self.told(if dice.below(100) < self.share() { self.instead() } else { self.step })
    }

    fn endings(&self, dice: &mut Dice) -> Vec<String> {
        let other_kind = dice.others(&KINDS, 1, &[self.kind])[0];
        let elsewhere = Scene { chore: (self.chore + dice.between(1, CHORES.len() - 1)) % CHORES.len(), ..*self };
        [
            self.step(self.step, self.kind),
            self.step(self.step, other_kind),
            self.step(self.instead(), self.kind),
            elsewhere.step(self.step, self.kind),
        ]
        .map(|ending| ending + ".")
        .to_vec()
    }

    fn row(&self, index: usize, split: &str, dice: &mut Dice) -> Value {
        let mut endings = self.endings(dice);
        let right = endings[0].clone();
        dice.shuffle(&mut endings);
        let label = endings.iter().position(|ending| *ending == right).unwrap_or_default();
        let (a, b) = self.beginning();
        json!({
            "ind": index, "activity_label": CHORES[self.chore].0, "ctx_a": a, "ctx_b": b, "ctx": format!("{a} {b}"),
            "endings": endings, "source_id": format!("valley~{index}"), "split": split, "split_type": "indomain",
            "label": label.to_string(),
        })
    }
}

pub fn part(dice: &mut Dice) -> Part {
    let mut seen = HashSet::new();
    let mut fresh = |dice: &mut Dice| loop {
        let scene = Scene::draw(dice);
        if seen.insert(scene) {
            return scene;
        }
    };
    let test = (0..200).map(|index| fresh(dice).row(index, "test", dice)).collect();
    let shots: Vec<Scene> = (0..60).map(|_| fresh(dice)).collect();
    let train = shots.iter().enumerate().map(|(index, scene)| scene.row(index, "train", dice)).collect();
    let mut documents: Vec<String> = shots.iter().map(|scene| scene.told(scene.step)).collect();
    documents.extend((0..5000).map(|_| fresh(dice).done(dice)));
    Part { name: "chores", train, test, documents }
}

//! Facts about the valley: questions with four short answers, in the shape of MMLU.
//!
//! Every fact stands in the training text as statements. Of the facts that are tested, half are also asked there in other
//! words, the others are never asked at all: the model has to carry them from statement to question.

use super::Part;
use super::dice::Dice;
use super::words::{CREATURES, PEOPLE, VILLAGES, capital};
use serde_json::{Value, json};

/// One property that every member of a subject has. `{}` is the member, `[]` the value.
struct Property {
    statements: [&'static str; 3],
    questions: [&'static str; 3],
    values: &'static [&'static str],
}

const OF_PEOPLE: [Property; 5] = [
    Property {
        statements: ["{} works as a [].", "{} is the [] of the village.", "Everybody knows that {} is a []."],
        questions: ["What is the job of {}?", "What does {} work as?", "Which trade does {} have?"],
        values: &["baker", "miller", "weaver", "potter", "smith", "shepherd", "fisher", "mason", "tailor", "cooper"],
    },
    Property {
        statements: ["{} keeps a [].", "The animal of {} is a [].", "{} feeds a [] every evening."],
        questions: ["Which animal does {} keep?", "What animal belongs to {}?", "What does {} feed every evening?"],
        values: &["goat", "heron", "mule", "otter", "raven", "hound", "ferret", "crane", "pony", "goose"],
    },
    Property {
        statements: ["{} lives in [].", "The home of {} is in [].", "{} has a house in []."],
        questions: ["Where does {} live?", "In which village is the home of {}?", "Where does {} have a house?"],
        values: &VILLAGES,
    },
    Property {
        statements: ["{} likes the colour [].", "The coat of {} is [].", "{} wears []."],
        questions: ["Which colour does {} like?", "What colour is the coat of {}?", "What colour does {} wear?"],
        values: &["amber", "blue", "crimson", "green", "ivory", "violet", "white", "grey"],
    },
    Property {
        statements: ["{} plays the [].", "On feast days {} brings the [].", "{} learned the [] as a child."],
        questions: ["What does {} play?", "What does {} bring on feast days?", "Which instrument did {} learn?"],
        values: &["flute", "drum", "harp", "fiddle", "horn", "bell", "pipe", "lute"],
    },
];

const OF_VILLAGES: [Property; 4] = [
    Property {
        statements: ["{} is famous for its [].", "People go to {} to buy [].", "The best [] comes from {}."],
        questions: ["What is {} famous for?", "What do people buy in {}?", "What do merchants fetch from {}?"],
        values: &["cheese", "honey", "cloth", "salt", "cider", "glass", "rope", "paper"],
    },
    Property {
        statements: ["The market of {} is on [].", "{} holds its market every [].", "On [] everybody goes to {}."],
        questions: [
            "When is the market of {}?",
            "On which day does {} hold its market?",
            "When does everybody go to {}?",
        ],
        values: &["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    },
    Property {
        statements: [
            "In the middle of {} stands a [].",
            "{} is built around a [].",
            "Children in {} play near the [].",
        ],
        questions: ["What stands in the middle of {}?", "What is {} built around?", "Where do children in {} play?"],
        values: &["tower", "well", "oak", "statue", "pond", "bridge", "chapel", "gate"],
    },
    Property {
        statements: ["The flag of {} shows a [].", "{} has a [] on its flag.", "A [] is the sign of {}."],
        questions: ["What does the flag of {} show?", "What is on the flag of {}?", "What is the sign of {}?"],
        values: &["star", "wheel", "fish", "crown", "leaf", "key", "moon", "boat"],
    },
];

const OF_CREATURES: [Property; 3] = [
    Property {
        statements: ["{} eat [].", "The food of {} is [].", "{} look for [] all day."],
        questions: ["What do {} eat?", "What is the food of {}?", "What do {} look for all day?"],
        values: &["acorns", "snails", "clover", "berries", "worms", "seeds", "mushrooms", "beetles"],
    },
    Property {
        statements: ["{} sleep in [].", "The nests of {} are in [].", "At night {} hide in []."],
        questions: ["Where do {} sleep?", "Where are the nests of {}?", "Where do {} hide at night?"],
        values: &["caves", "barns", "hollow trees", "reeds", "chimneys", "old boots", "hedges", "wells"],
    },
    Property {
        statements: ["{} are afraid of [].", "A farmer keeps {} away with [].", "{} run away from []."],
        questions: ["What are {} afraid of?", "What keeps {} away?", "What do {} run away from?"],
        values: &["smoke", "bells", "cats", "thunder", "mirrors", "whistles", "garlic", "torches"],
    },
];

struct Fact {
    subject: &'static str,
    member: &'static str,
    property: &'static Property,
    value: &'static str,
}

impl Fact {
    fn fill(&self, form: &str) -> String {
        capital(&form.replace("{}", self.member).replace("[]", self.value))
    }

    fn asked(&self, phrasing: usize) -> String {
        format!("Question: {}\nAnswer: {}", self.fill(self.property.questions[phrasing]), self.value)
    }

    fn row(&self, phrasing: usize, dice: &mut Dice) -> Value {
        let mut choices = dice.others(self.property.values, 3, &[self.value]);
        choices.push(self.value);
        dice.shuffle(&mut choices);
        let answer = choices.iter().position(|choice| *choice == self.value);
        let question = self.fill(self.property.questions[phrasing]);
        json!({"question": question, "subject": self.subject, "choices": choices, "answer": answer})
    }
}

fn world(dice: &mut Dice) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |subject, members: &'static [&'static str], properties: &'static [Property]| {
        for member in members {
            for property in properties {
                facts.push(Fact { subject, member, property, value: dice.pick(property.values) });
            }
        }
    };
    add("people", &PEOPLE, &OF_PEOPLE);
    add("villages", &VILLAGES, &OF_VILLAGES);
    add("creatures", &CREATURES, &OF_CREATURES);
    dice.shuffle(&mut facts);
    facts
}

const TESTED: usize = 160;
const SHOTS: usize = 60;

pub fn part(dice: &mut Dice) -> Part {
    let facts = world(dice);
    let (mut train, mut test, mut documents) = (Vec::new(), Vec::new(), Vec::new());
    for (index, fact) in facts.iter().enumerate() {
        // Some things are told more often than others.
        let told = dice.between(9, 30);
        for _ in 0..told {
            let form = dice.pick(&fact.property.statements);
            documents.push(fact.fill(form));
        }
        let phrasing = dice.below(3);
        if index < TESTED {
            test.push(fact.row(phrasing, dice));
            if index % 2 == 0 {
                let other = (phrasing + 1 + dice.below(2)) % 3;
                documents.extend((0..5).map(|_| fact.asked(other)));
            }
        } else {
            if train.len() < SHOTS {
                train.push(fact.row(phrasing, dice));
            }
            documents.extend((0..18).map(|n| fact.asked(n % 3)));
        }
    }
    Part { name: "facts", train, test, documents: joined(documents, dice) }
}

/// A few statements or questions to a document, as a page has them.
fn joined(mut lines: Vec<String>, dice: &mut Dice) -> Vec<String> {
    dice.shuffle(&mut lines);
    let (questions, statements): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.starts_with("Question"));
    let mut documents: Vec<String> = statements.chunks(4).map(|lines| lines.join(" ")).collect();
    documents.extend(questions.chunks(2).map(|lines| lines.join("\n\n")));
    documents
}

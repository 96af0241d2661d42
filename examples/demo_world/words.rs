//! Words that several data sets share.

/// The people of the valley; the first half are women, the second men.
pub const PEOPLE: [&str; 40] = [
    "Ada", "Bess", "Cleo", "Dina", "Esme", "Faye", "Gala", "Hedda", "Inga", "Kaia", "Lena", "Mira", "Nora", "Olga",
    "Rosa", "Senna", "Tilda", "Vera", "Wilma", "Xena", "Arlo", "Bram", "Cato", "Dov", "Emil", "Finn", "Gus", "Hugo",
    "Ivor", "Jory", "Lars", "Milo", "Nils", "Otto", "Piet", "Quin", "Sven", "Ugo", "Wim", "Zeno",
];

/// `she` or `he`, for a member of [`PEOPLE`].
pub fn pronoun(name: &str) -> &'static str {
    if PEOPLE.iter().position(|person| *person == name) < Some(PEOPLE.len() / 2) { "she" } else { "he" }
}

/// The villages of the valley.
pub const VILLAGES: [&str; 12] = [
    "Aldring", "Brook", "Corvale", "Dunmere", "Eskby", "Farrow", "Glenmor", "Holt", "Ironwell", "Kettle", "Larkhill",
    "Marsh",
];

/// The creatures of the valley, in the plural.
pub const CREATURES: [&str; 12] = [
    "moss hens",
    "river hares",
    "stone goats",
    "lantern moths",
    "mud otters",
    "hill foxes",
    "reed owls",
    "salt frogs",
    "bark mice",
    "wool bees",
    "cliff crows",
    "fog eels",
];

/// A sentence begins with a capital letter.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}

//! Writes the demo's data sets, and with a second argument also the text the demo model is trained on.
//!
//!     cargo run --release --example make_demo -- datasets/demo [TEXT_FILE]

#[path = "demo_world/mod.rs"]
mod demo_world;

use std::path::Path;

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(folder) = arguments.next() else {
        return Err(std::io::Error::other("say which folder the data sets go to, as datasets/demo"));
    };
    let parts = demo_world::parts(demo_world::SEED);
    for (name, content) in demo_world::files(&parts) {
        std::fs::write(Path::new(&folder).join(name), content)?;
    }
    for part in &parts {
        let (train, test, documents) = (part.train.len(), part.test.len(), part.documents.len());
        println!("{}: {train} rows to learn from, {test} held out, {documents} documents", part.name);
    }
    if let Some(file) = arguments.next() {
        std::fs::write(file, demo_world::documents(&parts, demo_world::SEED).join("\n\n"))?;
    }
    Ok(())
}

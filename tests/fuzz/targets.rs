//! Entry points: bytes to a reader of fairmark's, as a user's files come to it. Used by `tests/fuzz.rs` and by the targets in `fuzz/`.

use fairmark::catalog::Catalog;
use fairmark::compare::{Options, compare, stars};
use fairmark::data::{DataOptions, DataSource};
use fairmark::engine::{self, EngineOptions};
use fairmark::model::Tokenizer;
use fairmark::prompt::PromptOptions;
use fairmark::read;
use fairmark::report::{Style, render_all, runs_csv, runs_json, side_by_side};
use fairmark::request::{Message, Prompt, Role};
use fairmark::run::{Effort, Environment, Spec};
use fairmark::runner::{Limit, RunFolder, prepare};
use fairmark::task::Node;
use fairmark::template::Templates;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A scratch folder, and what is made once for all inputs.
pub struct Room {
    folder: tempfile::TempDir,
    tasks: Option<Vec<(&'static str, Vec<Node>)>>,
}

/// A tokenizer of whole words.
pub const WORDS: &str = r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [
    {"id": 0, "content": "<unk>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 1, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": true, "normalized": false, "special": true},
    {"id": 2, "content": "</s>", "single_word": false, "lstrip": true, "rstrip": false, "normalized": true, "special": true}],
  "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
  "model": {"type": "WordLevel", "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2, "a": 3, "b": 4, "c": 5, ".": 6}, "unk_token": "<unk>"}}"#;

/// A results file of lm-evaluation-harness.
pub const RESULTS: &str = r#"{"results": {"t": {"alias": "t", "acc,none": 0.5, "acc_stderr,none": 0.25}, "g": {"alias": "g", "acc,none": 0.5}}, "group_subtasks": {"g": ["t"]}, "groups": {"g": {"acc,none": 0.5}}, "configs": {"t": {"task": "t", "metadata": {"version": 1.0}}}, "versions": {"t": 1.0}, "n-shot": {"t": 0}, "higher_is_better": {"t": {"acc": true}, "g": {"acc": true}}, "n-samples": {"t": {"original": 2, "effective": 2}}, "config": {"model": "hf", "model_args": "pretrained=org/m"}, "date": 1.5, "lm_eval_version": "0.4.13", "model_name": "org/m"}"#;

/// Its samples.
pub const SAMPLE: &str = "{\"doc_id\": 0, \"doc\": {\"q\": \"x\"}, \"target\": \"1\", \"filtered_resps\": [[\"-1.5\", \"False\"], [\"-0.5\", \"True\"]], \"filter\": \"none\", \"doc_hash\": \"0123456789abcdef0123456789abcdef00\", \"acc\": 1.0}\n{\"doc_id\": 1, \"filter\": \"none\", \"filtered_resps\": [\"a\"], \"doc_hash\": \"1123456789abcdef0123456789abcdef00\", \"acc\": NaN}\n{\"doc_id\": 2, \"filter\": \"none\", \"filtered_resps\": [\"b\"], \"doc_hash\": \"2123456789abcdef0123456789abcdef00\", \"acc\": 0.0}\n";

/// The task that reads a data file.
const READER: &str = "task: reader\ndataset_path: FORMAT\ndataset_kwargs: {data_files: {test: d.FORMAT}}\ntest_split: test\noutput_type: generate_until\ndoc_to_text: '{{q}}'\ndoc_to_target: '{{a}}'\n";

impl Default for Room {
    fn default() -> Room {
        Room::new()
    }
}

impl Room {
    pub fn new() -> Room {
        Room { folder: tempfile::tempdir().expect("a folder"), tasks: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    /// Whether a run is read, put in a table and compared with itself.
    fn reads(&self, file: &Path) -> bool {
        let Ok(run) = read::open(file) else { return false };
        let columns = [("a", &run), ("b", &run)];
        let tables = side_by_side(&columns, &stars(&[&run, &run]));
        let _ = (render_all(&tables, Style::Plain, Some(100)), runs_json(&columns, None), runs_csv(&columns, None));
        compare(("a", &run), ("b", &run), &Options::default()).is_ok()
    }

    /// The tasks that read data files.
    fn reader(&mut self, format: &str) -> Vec<Node> {
        if self.tasks.is_none() {
            let read = |format: &'static str| {
                let task = self.write(&format!("{format}.yaml"), READER.replace("FORMAT", format).as_bytes());
                let catalog = Catalog::load(&[]).expect("the built-in tasks");
                (format, catalog.select(&[task.display().to_string()]).expect("a task"))
            };
            self.tasks = Some(["parquet", "json", "csv"].map(read).to_vec());
        }
        let mut tasks = self.tasks.iter().flatten();
        tasks.find(|(known, _)| *known == format).map(|(_, nodes)| nodes.clone()).expect("a format")
    }

    fn read_data(&mut self, format: &str, bytes: &[u8]) -> bool {
        let nodes = self.reader(format);
        self.write(&format!("d.{format}"), bytes);
        prepared(nodes)
    }
}

/// Whether the prompts of some documents can be made.
fn prepared(nodes: Vec<Node>) -> bool {
    let options = DataOptions { offline: true, ..DataOptions::default() };
    let Ok(source) = DataSource::open(options) else { return false };
    prepare(nodes, &source, &PromptOptions::default(), Some(Limit::Count(3)), &mut |_| {}).is_ok()
}

/// A task file, beside a small data file.
pub fn task(room: &mut Room, bytes: &[u8]) -> bool {
    let rows = "{\"q\": \"two and two\", \"a\": \"4\", \"c\": [\"3\", \"4\"], \"g\": 1, \"n\": 2.5}\n{\"q\": \"x\", \"a\": \"y\", \"c\": [\"a\"], \"g\": 0, \"n\": null}\n";
    room.write("d.jsonl", rows.as_bytes());
    let file = room.write("t.yaml", bytes);
    let Ok(catalog) = Catalog::load(&[]) else { return false };
    let Ok(nodes) = catalog.select(&[file.display().to_string()]) else { return false };
    prepared(nodes)
}

/// A template of a task.
pub fn template(_: &mut Room, bytes: &[u8]) -> bool {
    let Ok(source) = std::str::from_utf8(bytes) else { return false };
    let fields = json!({"q": "Why?", "a": "4", "c": ["x", "y"], "g": 1, "n": 2.5, "o": {"k": [null, true]}});
    let Value::Object(fields) = fields else { return false };
    Templates::new().render(source, &fields).is_ok()
}

/// A small checkpoint of the tests, from the project's folder or from `fuzz`.
fn fixture() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let inside = "tests/fixtures/checkpoints/llama";
    if here.join(inside).is_dir() { here.join(inside) } else { here.join("..").join(inside) }
}

/// The chat template of a checkpoint.
pub fn chat(room: &mut Room, bytes: &[u8]) -> bool {
    let folder = room.path("model");
    if !folder.is_dir() {
        std::fs::create_dir(&folder).expect("a folder");
        for name in ["config.json", "model.safetensors"] {
            std::fs::copy(fixture().join(name), folder.join(name)).expect("a file of a checkpoint");
        }
        std::fs::write(folder.join("tokenizer.json"), WORDS).expect("a file");
    }
    std::fs::write(folder.join("chat_template.jinja"), bytes).expect("a file");
    let options = EngineOptions { chat: true, offline: true, threads: 1, ..EngineOptions::default() };
    let Ok(engine) = engine::open(&folder.display().to_string(), &options) else { return false };
    let turn = |role, content: &str| Message { role, content: content.into() };
    let asked = vec![
        turn(Role::System, "Be brief."),
        turn(Role::User, "a b"),
        turn(Role::Assistant, "c"),
        turn(Role::User, "a?"),
    ];
    let continued = vec![turn(Role::User, "a b"), turn(Role::Assistant, "c")];
    let rendered = [asked, continued].map(|turns| engine.render(&Prompt::Chat(turns)).is_ok());
    rendered.contains(&true)
}

/// `tokenizer.json`, with texts to encode and ids to decode.
pub fn tokenizer(room: &mut Room, bytes: &[u8]) -> bool {
    let file = room.write("tokenizer.json", bytes);
    let Ok(tokenizer) = Tokenizer::alone(&file) else { return false };
    let texts =
        ["a b c", "", "Hello, wörld! \u{65e5}\u{672c} <s> 👩\u{200d}👧", &"ab ".repeat(3000), &"a".repeat(5000)];
    for text in texts {
        for special in [false, true] {
            if let Ok(ids) = tokenizer.encode(text, special) {
                let _ = tokenizer.decode(&ids, special);
            }
        }
    }
    let _ = tokenizer.decode(&[0, 1, 2, 3, 1000, u32::MAX], false);
    let _ = tokenizer.fingerprint();
    true
}

/// A Parquet file of a task.
pub fn parquet(room: &mut Room, bytes: &[u8]) -> bool {
    room.read_data("parquet", bytes)
}

/// JSON lines, or one JSON value, of a task.
pub fn jsonl(room: &mut Room, bytes: &[u8]) -> bool {
    room.read_data("json", bytes)
}

/// A table with separators.
pub fn csv(room: &mut Room, bytes: &[u8]) -> bool {
    room.read_data("csv", bytes)
}

/// A run of nothing.
pub fn spec() -> Spec {
    let spec = json!({
        "model": {"engine": "mock", "name": "mock", "label": "mock", "options": []}, "tasks": [], "selected": ["x"], "num_fewshot": null,
        "limit": null, "seed": 1, "fewshot_seed": 1, "apply_chat_template": false, "fewshot_as_multiturn": null,
        "system_instruction": null, "gen_kwargs": {}, "bootstrap_iters": 10,
    });
    serde_json::from_value(spec).expect("a spec")
}

fn open_folder(room: &Room) -> fairmark::error::Result<RunFolder> {
    let environment = json!({
        "fairmark_version": "0", "os": "", "arch": "", "cpus": 1, "started": "2026-01-01T00:00:00.000000", "started_unix": 0.0
    });
    let environment: Environment = serde_json::from_value(environment).expect("an environment");
    let effort: Effort = serde_json::from_value(json!({"threads": 1})).expect("an effort");
    RunFolder::open(&room.path("runs"), spec(), effort, environment, false)
}

/// Opens a run folder with this content of one of its files.
fn with_file(room: &Room, name: &str, bytes: &[u8]) -> bool {
    let folder = room.path("runs").join(format!("mock-{}", &spec().sha256()[..12]));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join(name), bytes).expect("a file");
    let opened = open_folder(room);
    let Ok(folder) = opened else { return false };
    let _ = serde_json::to_string(&folder.totals().report(None));
    true
}

/// The journal of a run.
pub fn journal(room: &mut Room, bytes: &[u8]) -> bool {
    with_file(room, "journal.jsonl", bytes)
}

/// The header of a run.
pub fn header(room: &mut Room, bytes: &[u8]) -> bool {
    with_file(room, "run.json", bytes)
}

/// A results file of lm-evaluation-harness or ours, with samples of one task beside it.
pub fn results(room: &mut Room, bytes: &[u8]) -> bool {
    let file = room.write("results_2026-01-01.json", bytes);
    room.write("samples_t_2026-01-01.jsonl", SAMPLE.as_bytes());
    room.reads(&file)
}

/// A samples file, beside a results file that is fine.
pub fn samples(room: &mut Room, bytes: &[u8]) -> bool {
    let file = room.write("results_2026-01-01.json", RESULTS.as_bytes());
    room.write("samples_t_2026-01-01.jsonl", bytes);
    room.reads(&file)
}

/// A file of the run folder as it was left.
pub fn written(room: &Room, name: &str) -> Vec<u8> {
    let folder = room.path("runs").join(format!("mock-{}", &spec().sha256()[..12]));
    std::fs::read(folder.join(name)).expect("a file of the run")
}

//! Whole sources: local files, data folders, the hub (played by a server on this machine), and tasks.

use super::*;
use crate::hub::mock;
use crate::task::{DocStep, FewshotSpec, Origin as TaskOrigin, OutputType, PromptSpec, Sampler, Source, Splits};
use polars::prelude::{DataFrame, IntoColumn, NamedFrom, ParquetWriter, Series};
use std::path::Path;

fn options() -> DataOptions {
    DataOptions { offline: true, ..DataOptions::default() }
}

/// Never asks a hub.
fn offline(options: DataOptions) -> DataSource {
    let home = Path::new("no-such-cache");
    let config =
        crate::hub::HubConfig::from_vars(&|name| (name == "HF_HOME").then(|| home.display().to_string())).unwrap();
    DataSource::with_hub(options, Hub::new(crate::hub::HubConfig { offline: true, ..config })).unwrap()
}

fn dataset(path: &str, name: Option<&str>) -> DatasetRef {
    DatasetRef { path: path.into(), name: name.map(str::to_string), ..DatasetRef::default() }
}

fn files(base: &Path, loader: &str, data_files: &[(&str, &[&str])]) -> DatasetRef {
    let owned = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
    DatasetRef {
        path: loader.into(),
        base: base.to_path_buf(),
        data_files: data_files.iter().map(|(split, names)| (split.to_string(), owned(names))).collect(),
        ..DatasetRef::default()
    }
}

fn parquet(column: &str, values: &[i64]) -> Vec<u8> {
    let mut frame = DataFrame::new_infer_height(vec![Series::new(column.into(), values).into_column()]).unwrap();
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).finish(&mut frame).unwrap();
    bytes
}

fn column(table: &Table, name: &str) -> Vec<i64> {
    table.rows.iter().map(|row| row[name].as_i64().unwrap()).collect()
}

fn lines(from: usize, to: usize) -> String {
    (from..to).map(|i| format!("{{\"i\":{i}}}\n")).collect()
}

#[test]
fn local_loaders() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.jsonl"), lines(0, 3)).unwrap();
    std::fs::write(dir.path().join("b.jsonl"), "{\"i\":3,\"s\":\"x\"}\n").unwrap();
    std::fs::write(dir.path().join("c.tsv"), "i\ts\n7\tx,y\n").unwrap();
    std::fs::write(dir.path().join("odd.txt"), lines(5, 6)).unwrap();
    std::fs::write(dir.path().join("p.parquet"), parquet("i", &[1, 2])).unwrap();
    let source = offline(options());
    let json = files(dir.path(), "json", &[("train", &["*.jsonl"]), ("test", &["b.jsonl"]), ("odd", &["odd.txt"])]);
    let table = source.load_split(&json, "train").unwrap();
    assert_eq!(table.columns, ["i", "s"]);
    assert_eq!(serde_json::to_string(&table.rows[0]).unwrap(), r#"{"i":0,"s":null}"#);
    assert_eq!(
        table.files.iter().map(|f| (f.name.as_str(), f.rows)).collect::<Vec<_>>(),
        [("a.jsonl", 3), ("b.jsonl", 1)]
    );
    assert_eq!(column(&source.load_split(&json, "train[1:3]+test").unwrap(), "i"), [1, 2, 3]);
    assert_eq!(column(&source.load_split(&json, "odd").unwrap(), "i"), [5]);
    assert!(source.has_split(&json, "train[:50%]").unwrap() && !source.has_split(&json, "dev").unwrap());
    let err = source.load_split(&json, "tset").unwrap_err();
    assert!(err.to_string().contains("did you mean `test`"), "{err}");
    assert!(source.load_split(&json, "test[5:]").unwrap_err().to_string().contains("no rows"));
    let csv = files(dir.path(), "csv", &[("test", &["c.tsv"])]);
    assert_eq!(source.load_split(&csv, "test").unwrap().rows[0]["s"], "x,y");
    assert_eq!(
        column(&source.load_split(&files(dir.path(), "parquet", &[("t", &["p.parquet"])]), "t").unwrap(), "i"),
        [1, 2]
    );
    for (bad, part) in
        [("none.jsonl", "none.jsonl"), ("none*.jsonl", "no file fits"), ("https://x/y.json", "not supported")]
    {
        let err = source.load_split(&files(dir.path(), "json", &[("test", &[bad])]), "test").unwrap_err();
        assert!(err.to_string().contains(part), "{err}");
    }
    assert!(source.load_split(&files(dir.path(), "json", &[]), "test").unwrap_err().hint_text().is_some());
}

#[test]
fn local_folders() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("set")).unwrap();
    std::fs::write(dir.path().join("set/test.jsonl"), lines(0, 2)).unwrap();
    let source = offline(options());
    let folder = DatasetRef { base: dir.path().to_path_buf(), ..dataset("./set", None) };
    assert_eq!(source.load_split(&folder, "test").unwrap().rows.len(), 2);
    let missing = DatasetRef { base: dir.path().to_path_buf(), ..dataset("./none", None) };
    assert!(source.load_split(&missing, "test").unwrap_err().to_string().contains("no such folder"));
    let in_dir = DatasetRef { data_dir: Some("set".into()), ..files(dir.path(), "json", &[]) };
    assert_eq!(source.load_split(&in_dir, "test").unwrap().rows.len(), 2);
}

fn data_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let sources =
        "org/set:\n  \"*\":\n    where: {kind: \"{config}\"}\n    test: [a.jsonl, b.jsonl]\n    train: a.jsonl\n";
    std::fs::write(dir.path().join("sources.yaml"), sources).unwrap();
    std::fs::write(
        dir.path().join("a.jsonl"),
        "{\"kind\":\"x\",\"i\":0}\n{\"kind\":\"y\",\"i\":1}\n{\"kind\":\"x\",\"i\":2}\n",
    )
    .unwrap();
    std::fs::write(dir.path().join("b.jsonl"), "{\"kind\":\"x\",\"i\":3}\n").unwrap();
    dir
}

#[test]
fn data_folders() {
    let dir = data_dir();
    let source = offline(DataOptions { data_dir: Some(dir.path().into()), ..options() });
    let table = source.load_split(&dataset("org/set", Some("x")), "test").unwrap();
    assert_eq!(column(&table, "i"), [0, 2, 3]);
    assert_eq!(table.files[0].name, "a.jsonl");
    // Read once: the second split comes from what was read before.
    std::fs::remove_file(dir.path().join("a.jsonl")).unwrap();
    assert_eq!(column(&source.load_split(&dataset("org/set", Some("y")), "train").unwrap(), "i"), [1]);
    let err = source.load_split(&dataset("org/set", Some("z")), "train").unwrap_err();
    assert!(err.to_string().contains("no row has kind = \"z\""), "{err}");
    let err = source.load_split(&dataset("org/sets", None), "train").unwrap_err();
    assert!(err.to_string().contains("did you mean `org/set`") && err.to_string().contains("hub"), "{err}");
    let err = source.load_split(&dataset("org/set", Some("x")), "dev").unwrap_err();
    assert!(err.to_string().contains("there are: test, train"), "{err}");
    assert_eq!(source.data_dir_contents(), [("org/set".into(), "*".into(), vec!["test".into(), "train".into()])]);
    assert!(DataSource::open(DataOptions { data_dir: Some("no/such".into()), ..options() }).is_err());
}

#[test]
fn hub_parquet_and_lock() {
    let home = tempfile::tempdir().unwrap();
    let server = mock::dataset(
        "org/set",
        vec![
            ("README.md", b"# no front matter\n".to_vec()),
            ("main/test-00000-of-00002.parquet", parquet("i", &[0, 1])),
            ("main/test-00001-of-00002.parquet", parquet("i", &[2])),
            ("main/train-00000-of-00001.parquet", parquet("i", &[9])),
        ],
        vec![],
    );
    let lock = home.path().join("fairmark.lock");
    let with_lock = || DataOptions { lock: Some(lock.clone()), ..DataOptions::default() };
    let source = DataSource::with_hub(with_lock(), server.client(home.path())).unwrap();
    let main = dataset("org/set", Some("main"));
    let table = source.load_split(&main, "test").unwrap();
    assert_eq!(column(&table, "i"), [0, 1, 2]);
    assert_eq!(table.files[1].name, format!("hf://datasets/org/set@{}/main/test-00001-of-00002.parquet", mock::COMMIT));
    assert!(!server.paths().iter().any(|path| path.contains("train-")), "only the split is fetched");

    // The lock names the commit; the next source asks for that.
    let text = std::fs::read_to_string(&lock).unwrap();
    assert!(
        text.contains(mock::COMMIT) && text.contains(&table.files[0].sha256) && text.contains("\"rows\": 2"),
        "{text}"
    );
    let before = server.paths().len();
    let source = DataSource::with_hub(with_lock(), server.client(home.path())).unwrap();
    source.load_split(&main, "test").unwrap();
    assert_eq!(server.paths().len(), before, "what stands at a commit is known: nobody is asked");

    // Offline the cache is enough, and a changed file is named.
    let offline = || Hub::new(crate::hub::HubConfig { offline: true, ..server.config(home.path()) });
    let source = DataSource::with_hub(with_lock(), offline()).unwrap();
    assert_eq!(source.load_split(&main, "test").unwrap().rows.len(), 3);
    let err = source.load_split(&main, "train").unwrap_err();
    assert!(err.to_string().contains("train-00000-of-00001.parquet` of `org/set` is not in the cache"), "{err}");
    let local = home.path().join("hub/datasets--org--set/snapshots").join(mock::COMMIT).join("main");
    std::fs::write(std::fs::canonicalize(local.join("test-00001-of-00002.parquet")).unwrap(), parquet("i", &[3]))
        .unwrap();
    let err = DataSource::with_hub(with_lock(), offline()).unwrap().load_split(&main, "test").unwrap_err();
    assert!(err.to_string().contains("test-00001-of-00002.parquet") && err.to_string().contains("SHA-256"), "{err}");
    // Half of the shards: said, not silently taken for the whole.
    std::fs::remove_file(local.join("test-00001-of-00002.parquet")).unwrap();
    // As another tool leaves it: without a listing.
    std::fs::remove_dir_all(home.path().join("hub/datasets--org--set/.fairmark")).unwrap();
    let err = DataSource::with_hub(options(), offline()).unwrap().load_split(&main, "test").unwrap_err();
    assert!(err.to_string().contains("1 of the 2 files"), "{err}");
}

/// Cards of the hub name the files of every configuration and split; only one split was ever fetched.
#[test]
fn offline_after_online() {
    let card = "---\nconfigs:\n- config_name: one\n  data_files:\n  - {split: train, path: one/train-*}\n  - {split: test, path: one/test-*}\n- config_name: two\n  data_files:\n  - {split: test, path: two/test-*}\n---\n";
    let home = tempfile::tempdir().unwrap();
    let server = mock::dataset(
        "org/set",
        vec![
            ("README.md", card.as_bytes().to_vec()),
            ("one/test-0.parquet", parquet("i", &[0, 1])),
            ("one/train-0.parquet", parquet("i", &[9])),
            ("two/test-0.parquet", parquet("i", &[7])),
        ],
        vec![],
    );
    let one = dataset("org/set", Some("one"));
    let lock = home.path().join("fairmark.lock");
    for lock in [None, Some(lock)] {
        let options = || DataOptions { lock: lock.clone(), ..DataOptions::default() };
        let online = DataSource::with_hub(options(), server.client(home.path())).unwrap();
        let fetched = online.load_split(&one, "test").unwrap();
        let asked = server.paths().len();
        let offline = || Hub::new(crate::hub::HubConfig { offline: true, ..server.config(home.path()) });
        let source = DataSource::with_hub(options(), offline()).unwrap();
        assert_eq!(source.load_split(&one, "test").unwrap().files, fetched.files);
        let missing = source.load_split(&dataset("org/set", Some("two")), "test").unwrap_err();
        assert!(missing.to_string().contains("`two/test-0.parquet` of `org/set` is not in the cache"), "{missing}");
        // A cache that another tool made has no listing.
        let notes = home.path().join("hub/datasets--org--set/.fairmark");
        std::fs::rename(&notes, home.path().join("away")).unwrap();
        let source = DataSource::with_hub(options(), offline()).unwrap();
        assert_eq!(source.load_split(&one, "test").unwrap().files, fetched.files);
        let missing = source.load_split(&one, "train").unwrap_err().to_string();
        assert!(missing.contains("the split `train` of `org/set` are not in the cache"), "{missing}");
        std::fs::rename(home.path().join("away"), &notes).unwrap();
        assert_eq!(server.paths().len(), asked, "offline nobody is asked");
    }
    let gone =
        crate::hub::HubConfig { endpoint: "http://127.0.0.1:1".into(), retries: 0, ..server.config(home.path()) };
    let err =
        DataSource::with_hub(DataOptions::default(), Hub::new(gone)).unwrap().load_split(&one, "test").unwrap_err();
    assert!(err.hint_text().unwrap().contains("--offline takes what is there"), "{err}");
}

/// Files that are no Parquet, and no copy on the hub: with a lock file nobody is asked a second time.
#[test]
fn a_lock_made_with_the_files_themselves() {
    let home = tempfile::tempdir().unwrap();
    let server = mock::dataset("org/csv", vec![("test.csv", b"i\n1\n2\n".to_vec())], vec![]);
    let options = || DataOptions { lock: Some(home.path().join("fairmark.lock")), ..DataOptions::default() };
    let read = || {
        let source = DataSource::with_hub(options(), server.client(home.path())).unwrap();
        column(&source.load_split(&dataset("org/csv", None), "test").unwrap(), "i")
    };
    assert_eq!(read(), [1, 2]);
    let asked = server.paths().len();
    assert_eq!(read(), [1, 2]);
    assert_eq!(server.paths().len(), asked);
}

#[test]
fn hub_converted_branch() {
    let home = tempfile::tempdir().unwrap();
    let server = mock::dataset(
        "org/set",
        vec![("train.csv", b"i\n1\n".to_vec()), ("set.py", b"".to_vec())],
        vec![("one/test/0000.parquet", parquet("i", &[4])), ("two/partial-test/0000.parquet", parquet("i", &[5]))],
    );
    let source = DataSource::with_hub(DataOptions::default(), server.client(home.path())).unwrap();
    assert_eq!(column(&source.load_split(&dataset("org/set", Some("one")), "test").unwrap(), "i"), [4]);
    let err = source.load_split(&dataset("org/set", Some("two")), "test").unwrap_err();
    assert!(err.to_string().contains("only the first rows"), "{err}");

    let plain = mock::dataset("org/csv", vec![("test.csv", b"i\n1\n2\n".to_vec())], vec![]);
    let home = tempfile::tempdir().unwrap();
    let source = DataSource::with_hub(DataOptions::default(), plain.client(home.path())).unwrap();
    assert_eq!(column(&source.load_split(&dataset("org/csv", None), "test").unwrap(), "i"), [1, 2]);
    let dir = data_dir();
    let with_dir = DataOptions { data_dir: Some(dir.path().into()), ..DataOptions::default() };
    let source = DataSource::with_hub(with_dir, plain.client(home.path())).unwrap();
    assert_eq!(source.load_split(&dataset("org/csv", None), "test").unwrap().rows.len(), 2);
    let err = source.load_split(&dataset("org/none", None), "test").unwrap_err();
    assert!(err.to_string().contains("not in") && err.to_string().contains("sources.yaml"), "{err}");
}

fn task(base: &Path, splits: Splits) -> Task {
    let prompt = PromptSpec {
        doc_to_text: Source::Text("{{i}}".into()),
        doc_to_target: Source::Text("{{i}}".into()),
        doc_to_choice: None,
        read_target: Default::default(),
        gen_prefix: None,
        target_delimiter: " ".into(),
        fewshot_delimiter: "\n\n".into(),
    };
    let fewshot = FewshotSpec {
        num: None,
        sampler: Sampler::Default,
        split: splits.fewshot.clone(),
        samples: None,
        steps: None,
        exclude_evaluated: false,
        prompt: prompt.clone(),
    };
    Task {
        name: "t".into(),
        alias: None,
        tags: vec![],
        origin: TaskOrigin { file: "t.yaml".into(), line: 1 },
        dataset: files(
            base,
            "json",
            &[("train", &["train.jsonl"]), ("test", &["test.jsonl"]), ("val", &["val.jsonl"])],
        ),
        splits,
        steps: vec![],
        output_type: OutputType::GenerateUntil,
        prompt,
        description: String::new(),
        fewshot,
        metrics: vec![],
        process_results: None,
        generation_kwargs: Fields::new(),
        repeats: 1,
        filters: vec![],
        judge: None,
        unsafe_code: false,
        version: None,
        cluster: None,
        metadata: Fields::new(),
        config: Fields::new(),
        remarks: vec![],
    }
}

fn splits(training: Option<&str>, validation: Option<&str>, test: Option<&str>, fewshot: Option<&str>) -> Splits {
    let owned = |name: Option<&str>| name.map(str::to_string);
    Splits { training: owned(training), validation: owned(validation), test: owned(test), fewshot: owned(fewshot) }
}

#[test]
fn docs_and_pool_of_a_task() {
    let dir = tempfile::tempdir().unwrap();
    for (name, from) in [("train", 0), ("test", 10), ("val", 20)] {
        std::fs::write(dir.path().join(format!("{name}.jsonl")), lines(from, from + 2)).unwrap();
    }
    let source = offline(options());
    let first = |rows: &[Fields]| rows[0]["i"].as_i64().unwrap();
    // (training, validation, test, fewshot) -> first document, first of the pool, whether the evaluated document is kept out
    for (splits, doc, pool, same) in [
        (splits(Some("train"), Some("val"), Some("test"), None), 10, 0, false),
        (splits(Some("train"), Some("val"), None, None), 20, 0, true),
        (splits(None, Some("val"), None, None), 20, 20, true),
        (splits(None, Some("val"), None, Some("val")), 20, 20, false),
        (splits(None, None, Some("test"), None), 10, 10, false),
        (splits(None, Some("val"), Some("test"), None), 10, 20, false),
        (splits(Some("train"), None, Some("test"), Some("test")), 10, 10, true),
    ] {
        let docs = source.task_docs(&task(dir.path(), splits.clone()), true).unwrap();
        assert_eq!(first(&[docs.docs[0].fields.clone()]), doc, "{splits:?}");
        assert_eq!(first(docs.pool.as_ref().unwrap()), pool, "{splits:?}");
        assert_eq!(docs.pool_is_evaluated_split, same, "{splits:?}");
        assert_eq!((docs.docs[1].id, docs.columns.as_slice()), (1, &["i".to_string()][..]));
    }
    // No shots, no pool: its absence does not matter.
    let mut absent = task(dir.path(), splits(Some("nowhere"), None, Some("test"), None));
    assert!(source.task_docs(&absent, false).unwrap().pool.is_none());
    assert!(source.task_docs(&absent, true).unwrap_err().to_string().contains("the shots: "));
    // Fixed samples are taken as they are; a split beats them.
    absent.steps = vec![DocStep::Rename(vec![("i".into(), "n".into())])];
    absent.fewshot.samples = Some(vec![Fields::from_iter([("i".to_string(), Value::from(99))])]);
    let docs = source.task_docs(&absent, true).unwrap();
    assert_eq!((docs.columns[0].as_str(), first(docs.pool.as_ref().unwrap())), ("n", 99));
    absent.fewshot.split = Some("val".into());
    assert_eq!(source.task_docs(&absent, true).unwrap().pool.unwrap()[0]["n"], 20);
    absent.fewshot.steps = Some(vec![]);
    let docs = source.task_docs(&absent, true).unwrap();
    assert_eq!(first(docs.pool.as_ref().unwrap()), 20);
    assert_eq!(docs.files.len(), 2);
}

/// Every split of the project's data folder loads, with the number of rows that its manifest states.
#[test]
fn shared_data_folder() {
    let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/datasets"));
    if !dir.is_dir() {
        crate::model::testing::say_skipped();
        return;
    }
    let manifest: Value = serde_json::from_slice(&std::fs::read(dir.join("MANIFEST.json")).unwrap()).unwrap();
    let entries = manifest["files"].as_array().unwrap().iter();
    let stated: HashMap<&str, (Option<u64>, Option<&str>)> = entries
        .map(|file| (file["file"].as_str().unwrap(), (file["rows"].as_u64(), file["sha256"].as_str())))
        .collect();
    let source = offline(DataOptions { data_dir: Some(dir.into()), ..options() });
    // Where `*` needs a name, one that the files have.
    let names = [
        ("cais/mmlu", "anatomy"),
        ("EleutherAI/hendrycks_math", "algebra"),
        ("SaylorTwift/bbh", "navigate"),
        ("oskarvanderwal/bbq", "Age"),
        ("oskarvanderwal/winogender", "male"),
    ];
    for (name, config, splits) in source.data_dir_contents() {
        let config = match config.as_str() {
            "*" => names.iter().find(|(known, _)| *known == name).map(|(_, config)| config.to_string()),
            other => Some(other.to_string()),
        };
        for split in splits {
            let table = match source.load_split(&dataset(&name, config.as_deref()), &split) {
                Ok(table) => table,
                // `*` stands for names that this test does not know.
                Err(err) if config.is_none() && err.to_string().contains("`{config}`") => continue,
                Err(err) => panic!("{name} {split}: {err}"),
            };
            let rows: usize = table.files.iter().map(|file| file.rows).sum();
            assert!(table.rows.len() == rows || config.is_some(), "{name} {split}");
            for file in &table.files {
                let (rows, sum) = stated[file.name.as_str()];
                assert!(rows.is_none_or(|rows| rows == file.rows as u64), "{}: {} rows", file.name, file.rows);
                assert!(sum.is_none_or(|sum| sum == file.sha256), "{}", file.name);
            }
        }
    }
    let count = |name: &str, config, split: &str| source.load_split(&dataset(name, config), split).unwrap().rows.len();
    assert_eq!(count("cais/mmlu", Some("anatomy"), "test"), 135);
    assert_eq!(count("cais/mmlu", Some("anatomy"), "dev"), 5);
    assert_eq!(count("Rowan/hellaswag", None, "validation"), 10_042);
}

/// The rows equal those of `datasets` 5.2.0 (`load_dataset("json", data_files=...)`), field order included. The sums are of
/// `json.dumps(row, ensure_ascii=False, separators=(",", ":"))` and a newline for every row, first 16 digits.
#[test]
fn rows_equal_those_of_datasets() {
    use sha2::{Digest, Sha256};
    let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/datasets"));
    if !dir.is_dir() {
        crate::model::testing::say_skipped();
        return;
    }
    for (file, sum) in [
        ("mmlu/dev.jsonl", "1c01cdbe53d9effc"),
        ("hellaswag/validation.jsonl.gz", "b90a2a1d3d742fda"),
        ("triviaqa/validation_unfiltered.jsonl", "e9461abb8b094f6f"),
        ("agieval/aqua-rat.jsonl", "b75b6151dc195742"),
        ("bbq/Age.jsonl", "0c75d1e02fcc3dfc"),
        ("truthfulqa/multiple_choice.jsonl", "46b3a7d0385089c5"),
        ("realtoxicityprompts/validation_5000.jsonl", "703fe6516332958f"),
    ] {
        let read = table::read_file(&origin::Located::on_disk(dir.join(file), file), &Form::default(), DEFAULT_MEMORY)
            .unwrap();
        let mut hasher = Sha256::new();
        for row in &read.rows {
            hasher.update(serde_json::to_string(row).unwrap());
            hasher.update("\n");
        }
        assert_eq!(&crate::hub::hex(&hasher.finalize())[..16], sum, "{file}");
    }
}

//! A folder that looks like the repository's root, in which whatever a command names exists: models, hub, data, servers.

use super::hub::{HubCache, write_data_folder};
use super::pages::root;
use crate::server::{Server, Setup};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What stands for every model that a document names: this one, with a window of [`WINDOW`] tokens.
const MODEL: &str = "datasets/demo/model";
/// As real models have it: tasks let answers be longer than the whole window of the small model.
const WINDOW: u64 = 8192;
/// What stands for every classifier of texts.
const CLASSIFIER: &str = "tests/fixtures/classifiers/roberta";
/// What stands for every `.gguf` file.
const GGUF: &str = "tests/fixtures/gguf/llama-mixed.gguf";
/// Folders of the repository that are seen there; the commands of documents do not write into them.
const LINKED: [&str; 5] = ["benches", "datasets", "examples", "tasks", "tests"];
/// Models that need nothing: the binary has them.
const OWN_MODELS: [&str; 2] = ["demo", "mock"];
/// Providers that the toy server can stand for, with the variable that holds its address.
const PROVIDERS: [(&str, &str); 2] = [("openai", "OPENAI_BASE_URL"), ("openai-completions", "OPENAI_BASE_URL")];
/// What a judge of texts answers.
const RATING: &str = "Toxicity: 20";
/// No command of a document takes as long, not even with code that is not optimised.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a command left.
pub struct Outcome {
    /// `None`: it was ended because it took too long, or by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// One for each document; its commands are run one after another.
pub struct World {
    folder: tempfile::TempDir,
    hub: HubCache,
    servers: Vec<Server>,
    variables: BTreeMap<&'static str, String>,
}

/// A link to a file or folder.
pub fn link(to: &Path, at: &Path) {
    if at.symlink_metadata().is_err() {
        std::os::unix::fs::symlink(to, at).unwrap_or_else(|err| panic!("{} -> {}: {err}", at.display(), to.display()));
    }
}

impl World {
    pub fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let hub = HubCache::new(&folder.path().join("hf"));
        let mut world = World { folder, hub, servers: Vec::new(), variables: BTreeMap::new() };
        for name in ["root", "bin", "home", "data", "model"] {
            std::fs::create_dir(world.path(name)).unwrap();
        }
        LINKED.iter().for_each(|name| link(&root().join(name), &world.path("root").join(name)));
        link(&root().join("../shared"), &world.path("shared"));
        link(Path::new(env!("CARGO_BIN_EXE_fairmark")), &world.path("bin/fairmark"));
        write_data_folder(&world.path("data"));
        world.hub.add_data(&configurations());
        widen(&root().join(MODEL), &world.path("model"));
        // Of benches/peers: two checkpoints of a model.
        std::fs::create_dir(world.path("bench")).unwrap();
        ["f32", "bf16"].iter().for_each(|name| link(&world.path("model"), &world.path("bench").join(name)));
        let here = |name: &str| world.path(name).display().to_string();
        world.variables = BTreeMap::from([
            ("BENCH", here("bench")),
            ("FAIRMARK", env!("CARGO_BIN_EXE_fairmark").to_owned()),
            ("FAIRMARK_API_KEY", "key-of-a-test".to_owned()),
            ("FAIRMARK_DATASETS", here("data")),
            ("HF_HOME", here("hf")),
            ("HF_HUB_OFFLINE", "1".to_owned()),
            ("HOME", here("home")),
            ("OPENAI_API_KEY", "key-of-a-test".to_owned()),
            ("PATH", format!("{}:{}", here("bin"), std::env::var("PATH").unwrap_or_default())),
        ]);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file that a document tells its reader to write.
    pub fn write(&self, name: &str, text: &str) {
        let file = self.path("root").join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    /// Makes what a command names, and gives the command with the addresses of its servers.
    pub fn prepare(&mut self, command: &str) -> Result<String, String> {
        let mut written = command.split('>').skip(1).map(str::trim_start);
        if let Some(to) = written.find(|to| LINKED.iter().any(|name| to.starts_with(&format!("{name}/")))) {
            return Err(format!("writes into the repository: {to}"));
        }
        let words = words(command);
        let (model, classifier) = (self.path("model"), root().join(CLASSIFIER));
        let mut ready = command.to_owned();
        for pair in words.windows(2) {
            let named = pair[1].as_str();
            match pair[0].as_str() {
                "--model" | "-m" | "--tokenizer" => self.provide_model(named, &model, &mut ready)?,
                "--toxicity-scorer" => match named.split_once(':') {
                    Some(("hf", id)) => self.provide_model(id, &classifier, &mut ready)?,
                    Some(("judge", judge)) => {
                        let before = self.servers.len();
                        self.provide_model(judge, &model, &mut ready)?;
                        // A judge that rates, where the toy server would write words.
                        self.servers[before..].iter().for_each(|server| server.change(|s| s.says = Some(RATING)));
                    }
                    _ => {}
                },
                "--data-dir" if named.starts_with("./") => link(&self.path("data"), &self.path("root").join(named)),
                _ => {}
            }
        }
        Ok(ready)
    }

    /// By the form of its name: a server, a provider, a folder or file, a hub id.
    fn provide_model(&mut self, named: &str, stands_for_it: &Path, command: &mut String) -> Result<(), String> {
        let at = self.path("root").join(named);
        if OWN_MODELS.contains(&named) || named.starts_with('$') || named.starts_with("../shared/") || at.exists() {
            return Ok(());
        }
        if named.contains("://") {
            return self.provide_servers(named, command);
        }
        if let Some((provider, model)) = named.split_once(':') {
            let known = PROVIDERS.iter().find(|(name, _)| *name == provider);
            let (_, variable) = known.ok_or_else(|| format!("no server here can stand for `{provider}:`"))?;
            let url = self.start_server(model);
            self.variables.insert(variable, url);
            return Ok(());
        }
        if named.starts_with("./") || named.ends_with(".gguf") && named.split('/').count() < 3 {
            let gguf = root().join(GGUF);
            let what = if named.ends_with(".gguf") { &gguf } else { stands_for_it };
            std::fs::create_dir_all(at.parent().unwrap()).unwrap();
            link(what, &at);
            return Ok(());
        }
        let named = named.split('#').next().unwrap_or(named);
        let (id, revision) = named.split_once('@').unwrap_or((named, "main"));
        match id.split('/').collect::<Vec<_>>().as_slice() {
            [_, _] => self.hub.add_model(id, revision, &files_of(stands_for_it)),
            [owner, name, file] if file.ends_with(".gguf") => {
                let copy = self.path("data").join(file);
                link(&root().join(GGUF), &copy);
                self.hub.add_model(&format!("{owner}/{name}"), revision, &[copy]);
            }
            _ => {
                return Err(format!("`{named}` is no `./NAME`, no `ORG/NAME` and no server: nothing can stand for it"));
            }
        }
        Ok(())
    }

    /// `[PROVIDER:]http://127.0.0.1:PORT/v1[,...]#MODEL`: every port gives way to one on which a toy server listens.
    fn provide_servers(&mut self, named: &str, command: &mut String) -> Result<(), String> {
        let (addresses, model) = named.split_once('#').unwrap_or((named, "toy"));
        for address in addresses.split(',') {
            let place =
                address.split_once("://").map_or(address, |(_, rest)| rest).split('/').next().unwrap_or_default();
            if !place.starts_with("127.0.0.1:") {
                return Err(format!("`{address}`: servers of documents are at http://127.0.0.1:PORT"));
            }
            let url = self.start_server(model);
            let own = url.trim_start_matches("http://").trim_end_matches("/v1").to_owned();
            *command = command.replace(place, &own);
        }
        Ok(())
    }

    fn start_server(&mut self, model: &str) -> String {
        // Names of models in documents are few; the server wants them for good.
        let model: &'static str = Box::leak(model.to_owned().into_boxed_str());
        let server = Server::start(Setup { model, bos: true, template: true, tokenize: true, ..Setup::default() });
        let url = server.url();
        self.servers.push(server);
        url
    }

    /// Runs a command as a shell does, at the root.
    pub fn run(&self, command: &str) -> Outcome {
        let (out, err) = (self.path("stdout"), self.path("stderr"));
        let file = |path: &Path| Stdio::from(std::fs::File::create(path).unwrap());
        let mut child = Command::new("sh")
            .args(["-c", command])
            .current_dir(self.path("root"))
            .env_clear()
            .envs(&self.variables)
            .stdin(Stdio::null())
            .stdout(file(&out))
            .stderr(file(&err))
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if begun.elapsed() > PATIENCE => {
                    let _ = child.kill();
                    let _ = child.wait();
                    break None;
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        Outcome { code: status.and_then(|status| status.code()), stdout: read(&out), stderr: read(&err) }
    }
}

/// A command's words, without quotes.
pub fn words(command: &str) -> Vec<String> {
    command.split_whitespace().map(|word| word.trim_matches(['\'', '"']).to_owned()).collect()
}

/// Links to the files of a model, with another window in its configuration.
fn widen(model: &Path, copy: &Path) {
    files_of(model).iter().for_each(|file| link(file, &copy.join(file.file_name().unwrap())));
    let text = std::fs::read_to_string(model.join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    config["max_position_embeddings"] = WINDOW.into();
    std::fs::remove_file(copy.join("config.json")).unwrap();
    std::fs::write(copy.join("config.json"), config.to_string()).unwrap();
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The configurations of each data set that built-in tasks name.
fn configurations() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO_BIN_EXE_fairmark")).args(["ls", "tasks"]).output().unwrap();
    assert!(output.status.success());
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let Some(data) = line.split_whitespace().nth(2) else { continue };
        let mut parts = data.splitn(3, '/');
        if let (Some(owner), Some(name)) = (parts.next(), parts.next()) {
            let named = all.entry(format!("{owner}/{name}")).or_default();
            named.insert(parts.next().unwrap_or("default").to_owned());
        }
    }
    all
}

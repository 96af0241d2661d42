//! From names on the command line to resolved tasks and groups: globs, YAML paths, tags, nesting, overrides.

use super::config::{self, Config, Loader};
use super::files;
use super::index::{self, Index, Kind};
use super::read;
use super::resolve::{self, GROUP_KEYS, STRUCTURE};
use crate::error::{Error, Result, nearest};
use crate::pattern;
use crate::task::{Group, Node, Task, groups_under, tasks_under};
use crate::yaml::{self, Entry, Value, Yaml};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Deepest nesting of groups.
const MAX_DEPTH: usize = 64;
/// Most tasks and groups one selection may build.
const MAX_BUILT: usize = 200_000;

/// Builds nodes; what is built under the same overrides is built once.
pub struct Selector<'a> {
    index: &'a Index,
    loader: Loader,
    /// By name and overrides: a group that is reached by many ways is built once.
    known: HashMap<String, Vec<Node>>,
    /// Groups that are being built, outermost first.
    open: Vec<String>,
    built: usize,
}

impl<'a> Selector<'a> {
    pub fn new(index: &'a Index) -> Self {
        Selector { index, loader: Loader::default(), known: HashMap::new(), open: Vec::new(), built: 0 }
    }

    /// All that the names ask for, in their order; what stands inside a selected group is not repeated beside it.
    pub fn select(&mut self, specs: &[String]) -> Result<Vec<Node>> {
        let mut nodes: Vec<Node> = Vec::new();
        for spec in specs.iter().map(|spec| spec.trim()).filter(|spec| !spec.is_empty()) {
            for node in self.spec(spec)? {
                if !nodes.iter().any(|other| other.name() == node.name()) {
                    nodes.push(node);
                }
            }
        }
        if nodes.is_empty() {
            return Err(Error::input("no task is named").hint(LS));
        }
        one_form_each(&nodes)?;
        let nested: Vec<String> = nodes.iter().flat_map(descendants).collect();
        nodes.retain(|node| !nested.iter().any(|name| name == node.name()));
        Ok(nodes)
    }

    /// One argument: a registered name, a pattern over names, a YAML file (or a pattern of them), or a folder of them.
    fn spec(&mut self, spec: &str) -> Result<Vec<Node>> {
        if self.index.entries.contains_key(spec) {
            return self.named(spec, &[]);
        }
        if files::is_yaml(Path::new(spec)) {
            return self.paths(spec);
        }
        if pattern::is_name_pattern(spec) {
            let names: Vec<&str> = self
                .index
                .entries
                .keys()
                .map(String::as_str)
                .filter(|name| pattern::matches_name(spec, name))
                .collect();
            if names.is_empty() {
                return Err(Error::input(format!("no task, group or tag matches `{spec}`")).hint(LS));
            }
            let found: Vec<Vec<Node>> = names.into_iter().map(|name| self.named(name, &[])).collect::<Result<_>>()?;
            return Ok(found.into_iter().flatten().collect());
        }
        if Path::new(spec).is_dir() {
            return self.paths(&format!("{}/*.yaml", spec.trim_end_matches('/')));
        }
        Err(self.unknown(spec, Error::input(format!("unknown task `{spec}`"))))
    }

    /// The error for a name that is not registered: what is wrong with its file, or `err` with what may help.
    fn unknown(&mut self, name: &str, err: Error) -> Error {
        let index = self.index;
        if let Some(broken) = index.broken.iter().find(|broken| broken.names.iter().any(|known| known == name)) {
            let cause = match self.loader.load(&broken.file) {
                Ok(config) => config.and_then(|config| index::labelled(&config)).map(|(_, cause)| cause),
                Err(cause) => Some(cause),
            };
            if let Some(cause) = cause {
                return cause.context(format!("task `{name}`"));
            }
        }
        match nearest(name, index.entries.keys().map(String::as_str)) {
            Some(near) => err.hint(format!("did you mean `{near}`?")),
            None => err.hint(LS),
        }
    }

    /// Task files by path; the file name may be a pattern.
    fn paths(&mut self, spec: &str) -> Result<Vec<Node>> {
        let path = Path::new(spec);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.exists() || spec.starts_with("built-in:") || !pattern::is_name_pattern(&name) {
            return self.path(path);
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut found: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(|err| Error::io("cannot list", folder, err))? {
            let entry = entry.map_err(|err| Error::io("cannot list", folder, err))?;
            if pattern::matches_name(&name, &entry.file_name().to_string_lossy()) {
                found.push(entry.path());
            }
        }
        found.sort();
        if found.is_empty() {
            return Err(Error::input(format!("no task file matches `{name}`")).file(folder));
        }
        let nodes: Vec<Vec<Node>> = found.iter().map(|file| self.path(file)).collect::<Result<_>>()?;
        Ok(nodes.into_iter().flatten().collect())
    }

    fn path(&mut self, path: &Path) -> Result<Vec<Node>> {
        let Some(config) = self.loader.load(path)? else {
            return Err(Error::input("not a task file: no mapping of keys").file(path));
        };
        if let Some((_, error)) = index::labelled(&config) {
            return Err(error);
        }
        match index::identify(&config).map(|(name, kind)| (name.to_owned(), kind)) {
            Some((name, kind)) => Ok(vec![self.node(&name, kind, config, &[], &[])?]),
            None => Err(Error::input("the file has neither `task` nor `group`, as text").file(path)),
        }
    }

    /// A registered name, with keys laid over its tasks.
    fn named(&mut self, name: &str, overrides: &[Entry]) -> Result<Vec<Node>> {
        let form = form(name, overrides, &[]);
        if let Some(nodes) = self.known.get(&form) {
            return Ok(nodes.clone());
        }
        let index = self.index;
        let Some(entry) = index.entries.get(name) else {
            return Err(self.unknown(name, Error::input(format!("unknown task `{name}`"))));
        };
        let nodes = if entry.kind == Kind::Tag {
            let members: Vec<Vec<Node>> =
                entry.members.iter().map(|task| self.named(task, overrides)).collect::<Result<_>>()?;
            members.into_iter().flatten().collect()
        } else {
            let config = self.config(&entry.origin.file)?;
            vec![self.node(name, entry.kind, config, overrides, &[])?]
        };
        self.known.insert(form, nodes.clone());
        Ok(nodes)
    }

    fn config(&mut self, file: &Path) -> Result<Config> {
        self.loader.load(file)?.ok_or_else(|| Error::input("the file changed while it was being read").file(file))
    }

    fn node(&mut self, name: &str, kind: Kind, config: Config, over: &[Entry], own: &[Entry]) -> Result<Node> {
        match kind {
            Kind::Group => self.group(name, config, over, own),
            Kind::PythonTask => {
                let err = config.error(format!("task `{name}` is a Python class; fairmark does not run Python"));
                Err(err.hint("write it as a task with declarative steps, see docs/tasks.md"))
            }
            Kind::Task | Kind::Tag => self.task(name, config, over),
        }
    }

    fn task(&mut self, name: &str, mut config: Config, overrides: &[Entry]) -> Result<Node> {
        self.count(&config)?;
        config.lay_over(overrides);
        let task = resolve::task(&config, name).map_err(|err| err.context(format!("task `{name}`")))?;
        Ok(Node::Task(Arc::new(task)))
    }

    fn count(&mut self, config: &Config) -> Result<()> {
        self.built += 1;
        if self.built > MAX_BUILT {
            return Err(config.error(format!("more than {MAX_BUILT} tasks and groups")));
        }
        Ok(())
    }

    /// A group and all below it. `over` comes from outside and beats the group's own defaults; `own` are the structural
    /// keys (`group_alias`, `aggregate_metric_list`) that a list item sets for this group alone.
    fn group(&mut self, name: &str, config: Config, over: &[Entry], own: &[Entry]) -> Result<Node> {
        self.count(&config)?;
        if let Some(start) = self.open.iter().position(|open| open == name) {
            let chain = [&self.open[start..], &[name.to_owned()]].concat().join(" -> ");
            return Err(config.error(format!("group `{name}` contains itself: {chain}")));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(config.error(format!("groups nested more than {MAX_DEPTH} levels deep")));
        }
        let mut structure = config.clone();
        structure.lay_over(own);
        let aggregated = structure.set("aggregate_metric_list");
        let aggregates = aggregated.map(resolve::group_metrics).transpose()?.unwrap_or_default();
        let metadata = structure.set("metadata").map(|yaml| yaml.to_json("metadata")).transpose()?;
        let metadata = metadata.and_then(|value| value.as_object().cloned()).unwrap_or_default();
        let alias = structure.set("group_alias").map(|yaml| read::text(yaml, "group_alias")).transpose()?;
        let mut defaults: Vec<Entry> = config.entries.iter().filter(|entry| is_default(entry)).cloned().collect();
        yaml::put_all(&mut defaults, over.iter().cloned());
        let Some(members) = config.set("task") else {
            return Err(config.error(format!("group `{name}` needs `task`: the list of its tasks")));
        };
        self.open.push(name.to_owned());
        let children = self.members(name, members, &defaults);
        self.open.pop();
        let children = children?;
        if children.is_empty() {
            return Err(members.error(format!("group `{name}` has no tasks")));
        }
        if let Some(yaml) = aggregated {
            resolve::check_aggregates(name, yaml, &aggregates, &children)?;
        }
        Ok(Node::Group(Arc::new(Group {
            name: name.to_owned(),
            alias: alias.map(str::to_owned),
            origin: resolve::origin(&config),
            children,
            aggregates,
            version: metadata.get("version").cloned(),
            metadata,
        })))
    }

    fn members(&mut self, group: &str, members: &Yaml, defaults: &[Entry]) -> Result<Vec<Node>> {
        let items = match &members.value {
            Value::Str(_) => std::slice::from_ref(members),
            _ => read::list(members, "task")?,
        };
        let mut children: Vec<Node> = Vec::new();
        for item in items {
            for node in self.member(group, item, defaults)? {
                // A task that two tags bring stands once, at its first place.
                match children.iter().find(|other| other.name() == node.name()) {
                    Some(other) => one_form_each(&[other.clone(), node])?,
                    None => children.push(node),
                }
            }
        }
        Ok(children)
    }

    fn member(&mut self, group: &str, item: &Yaml, defaults: &[Entry]) -> Result<Vec<Node>> {
        let entries = match &item.value {
            Value::Str(name) if self.index.entries.contains_key(name) => return self.named(name, defaults),
            Value::Str(name) => {
                let err = item.error(format!("group `{group}` names an unknown task `{name}`"));
                return Err(self.unknown(name, err));
            }
            Value::Map(entries) => entries,
            _ => return Err(read::wrong(item, "task", "a list of names (text) and mappings")),
        };
        if let Some(name) = config::find(entries, "group") {
            return Ok(vec![self.subgroup(group, read::text(name, "group")?, item, entries, defaults)?]);
        }
        let Some(name) = config::find(entries, "task") else {
            return Err(item.error(format!("an item of group `{group}` needs `task` or `group`")));
        };
        let name = read::text(name, "task")?;
        let mut over = defaults.to_vec();
        yaml::put_all(&mut over, entries.iter().filter(|entry| !config::is(entry, "task")).cloned());
        if self.index.entries.contains_key(name) {
            return self.named(name, &over);
        }
        if ["dataset_path", "include"].iter().all(|key| config::find(&over, key).is_none()) {
            let err =
                item.error(format!("group `{group}` names an unknown task `{name}`, and does not define it here"));
            return Err(self.unknown(name, err));
        }
        // The item is the task, named within its group.
        let mut inline = Config { file: item.file.clone(), entries: over };
        inline.entries.extend(entries.iter().find(|entry| config::is(entry, "task")).cloned());
        self.inline(&format!("{group}::{name}"), inline)
    }

    /// A task that a list item defines; it may include templates, as a file may.
    fn inline(&mut self, name: &str, mut config: Config) -> Result<Vec<Node>> {
        let included = config.remove("include");
        let own = std::mem::take(&mut config.entries);
        if let Some(include) = included {
            config.entries = self.loader.included(&include)?;
        }
        config.lay_over(&own);
        Ok(vec![self.task(name, config, &[])?])
    }

    /// `{group: name, ...}` in a list: a registered group with overrides, or a new one.
    fn subgroup(
        &mut self,
        group: &str,
        name: &str,
        item: &Yaml,
        entries: &[Entry],
        defaults: &[Entry],
    ) -> Result<Node> {
        let index = self.index;
        let Some(entry) = index.entries.get(name) else {
            let config = Config { file: item.file.clone(), entries: entries.to_vec() };
            return self.group(&format!("{group}::{name}"), config, defaults, &[]);
        };
        if entry.kind != Kind::Group {
            let err = item.error(format!("`{name}` is a {}, not a group", entry.kind.as_str()));
            return Err(err.hint(format!("write `task: {name}`")));
        }
        let file = &entry.origin.file;
        if let Some(members) = config::find(entries, "task") {
            let err = members
                .error(format!("group `{name}` is defined in {}; an item cannot change its tasks", file.display()));
            return Err(err.hint("give the new group a name of its own"));
        }
        let of_item = entries.iter().filter(|entry| !config::is(entry, "group")).cloned();
        let is_own = |entry: &Entry| config::is(entry, "group_alias") || config::is(entry, "aggregate_metric_list");
        let (own, more): (Vec<Entry>, Vec<Entry>) = of_item.partition(is_own);
        let mut over = defaults.to_vec();
        yaml::put_all(&mut over, more);
        let form = form(name, &over, &own);
        if let Some([node]) = self.known.get(&form).map(Vec::as_slice) {
            return Ok(node.clone());
        }
        let config = self.config(file)?;
        let node = self.group(name, config, &over, &own)?;
        self.known.insert(form, vec![node.clone()]);
        Ok(node)
    }
}

/// A name with what is laid over it, as text.
fn form(name: &str, over: &[Entry], own: &[Entry]) -> String {
    let text = |entry: &Entry| {
        let value = entry.value.to_json("").map_or_else(|_| format!("{:?}", entry.value), |value| value.to_string());
        format!("\0{}={value}", entry.key.key_text())
    };
    let all: String = over.iter().map(text).chain(["\0\0".to_owned()]).chain(own.iter().map(text)).collect();
    format!("{name}{all}")
}

const LS: &str = "`fairmark ls tasks` and `fairmark ls groups` list what there is";

/// Whether a key of a group is a default for its tasks.
fn is_default(entry: &Entry) -> bool {
    !GROUP_KEYS.iter().chain(STRUCTURE).any(|key| config::is(entry, key))
}

/// The names of all nodes below a group.
fn descendants(node: &Node) -> Vec<String> {
    let Node::Group(group) = node else { return Vec::new() };
    let groups = groups_under(&group.children).into_iter().map(|group| group.name.clone());
    groups.chain(tasks_under(&group.children).into_iter().map(|task| task.name.clone())).collect()
}

/// Refuses one name for two different tasks: their results could not be told apart.
fn one_form_each(nodes: &[Node]) -> Result<()> {
    let mut seen: HashMap<&str, &Arc<Task>> = HashMap::new();
    for task in nodes.iter().flat_map(Node::tasks) {
        let first = seen.entry(&task.name).or_insert(task);
        if Arc::ptr_eq(first, task) || first.config == task.config {
            continue;
        }
        let differing = task.config.iter().find(|(key, value)| first.config.get(*key) != Some(*value));
        let key = differing.or_else(|| first.config.iter().find(|(key, _)| !task.config.contains_key(*key)));
        let key = key.map_or("its keys", |(key, _)| key.as_str());
        let err = Error::input(format!("task `{}` is asked for in two forms that differ in `{key}`", task.name));
        let err = err.at(&task.origin.file, task.origin.line);
        return Err(err.hint("run them one after the other, or give one form a name of its own"));
    }
    Ok(())
}

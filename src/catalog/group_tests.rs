//! Roots, groups, overrides and the command line, over small folders of task files.

use super::Kind;
use super::testing::Folder;
use crate::task::{Group, Node, Task, groups_under, map_nodes};
use std::sync::Arc;

/// A task with nothing special about it.
fn plain(name: &str, more: &str) -> String {
    format!("task: {name}\ndataset_path: a/b\ntest_split: test\ndoc_to_text: x\ndoc_to_target: y\n{more}")
}

fn only_group(nodes: Vec<Node>) -> Arc<Group> {
    match nodes.into_iter().next() {
        Some(Node::Group(group)) => group,
        other => panic!("a group, not {other:?}"),
    }
}

fn tasks(node: &Node) -> Vec<(String, Option<usize>)> {
    node.tasks().into_iter().map(|task: &Arc<Task>| (task.name.clone(), task.fewshot.num)).collect()
}

#[test]
fn first_wins_in_a_root_and_later_roots_override() {
    let first = Folder::new(&[
        ("a.yaml", &plain("arc_easy", "num_fewshot: 1\ntag: mine\n")),
        ("b.yaml", &plain("arc_easy", "num_fewshot: 2\n")),
        ("__pycache__/c.yaml", &plain("never", "")),
        ("d.txt", "task: never\n"),
        ("_template", &plain("never", "")),
        ("e.yaml", "some: thing\n"),
        ("f.yaml", "task: broken\nx: [\n"),
    ]);
    let catalog = first.catalog();
    assert!(catalog.entries().all(|entry| entry.name != "never"));
    let entry = catalog.entries().find(|entry| entry.name == "arc_easy").unwrap();
    assert!(entry.origin.file.ends_with("a.yaml") && entry.dataset.as_deref() == Some("a/b"));
    let warnings = catalog.warnings();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].contains("b.yaml is ignored") && warnings[1].contains("overrides the one from built-in:arc"));
    assert!(warnings[2].contains("f.yaml:") && warnings[2].contains("left out"));
    let nodes = first.select(&["arc_easy"]).unwrap();
    assert_eq!(tasks(&nodes[0]), [("arc_easy".to_owned(), Some(1))]);
}

#[test]
fn kinds_and_tags() {
    let folder = Folder::new(&[
        ("b.yaml", &plain("t2", "tag: [s, r]\n")),
        ("a.yaml", &plain("t10", "tag: s\n")),
        ("c.yaml", "task: py\nclass: !function task.Squad\n"),
    ]);
    let catalog = folder.catalog();
    let kind = |name: &str| catalog.entries().find(|entry| entry.name == name).map(|entry| entry.kind);
    assert_eq!((kind("t2"), kind("s"), kind("py")), (Some(Kind::Task), Some(Kind::Tag), Some(Kind::PythonTask)));
    let names: Vec<String> = folder.select(&["s"]).unwrap().iter().map(|node| node.name().to_owned()).collect();
    assert_eq!(names, ["t10", "t2"]);
    let err = folder.select(&["py"]).unwrap_err().to_string();
    assert!(err.contains("c.yaml:1: task `py` is a Python class"), "{err}");
}

#[test]
fn precedence_is_item_then_outer_then_group_then_file() {
    let folder = Folder::new(&[
        ("t.yaml", &plain("t", "num_fewshot: 1\n")),
        ("u.yaml", &plain("u", "num_fewshot: 1\n")),
        ("v.yaml", &plain("v", "num_fewshot: 1\n")),
        (
            "inner.yaml",
            "group: inner\nnum_fewshot: 2\ntask: [t, {task: u, num_fewshot: 4}, {task: made, dataset_path: c/d, test_split: x, doc_to_text: x, doc_to_target: y}]\n",
        ),
        (
            "outer.yaml",
            "group: outer\nnum_fewshot: 3\ntask:\n- inner\n- v\n- {group: inner_too, num_fewshot: 9, task: [{task: more, dataset_path: c/d, test_split: x, doc_to_text: x, doc_to_target: y}]}\n",
        ),
        ("item.yaml", "group: item\nnum_fewshot: 3\ntask:\n- {group: inner, num_fewshot: 5, group_alias: In}\n"),
    ]);
    let shown = |spec: &str| tasks(&folder.select(&[spec]).unwrap()[0]);
    let pair = |name: &str, shots| (name.to_owned(), Some(shots));
    // Expected: `TaskManager(include_path=...).load(...)` of lm-eval 0.4.13 on these files.
    assert_eq!(shown("inner"), [pair("t", 2), pair("u", 4), pair("inner::made", 2)]);
    let outer = [pair("t", 3), pair("u", 4), pair("inner::made", 3), pair("v", 3), pair("outer::inner_too::more", 3)];
    assert_eq!(shown("outer"), outer);
    assert_eq!(shown("item"), [pair("t", 5), pair("u", 4), pair("inner::made", 5)]);
    let item = only_group(folder.select(&["item"]).unwrap());
    assert!(matches!(&item.children[0], Node::Group(group) if group.alias.as_deref() == Some("In")));
}

#[test]
fn groups_of_tags_and_single_names() {
    let folder = Folder::new(&[
        ("t.yaml", &plain("t", "tag: [one, two]\n")),
        ("u.yaml", &plain("u", "tag: two\n")),
        (
            "g.yaml",
            "group: g\ngroup_alias: G\ntask: [one, two]\naggregate_metric_list: {metric: exact_match, weight_by_size: false}\nmetadata: {version: 1}\n",
        ),
        ("h.yaml", "group: h\ntask: t\n"),
    ]);
    let group = only_group(folder.select(&["g"]).unwrap());
    assert_eq!(group.children.iter().map(Node::name).collect::<Vec<_>>(), ["t", "u"]);
    assert_eq!((group.alias.as_deref(), group.version.clone()), (Some("G"), Some(1.into())));
    assert!(!group.aggregates[0].weight_by_size);
    assert_eq!(only_group(folder.select(&["h"]).unwrap()).children.len(), 1);
}

#[test]
fn errors_in_groups_have_their_place() {
    let files = [
        ("t.yaml", plain("good_task", "")),
        ("a.yaml", "group: a\ntask:\n- good_tsk\n".into()),
        ("b.yaml", "group: b\ntask:\n- {task: good_tsk, num_fewshot: 2}\n".into()),
        ("c.yaml", "group: c\ntask: [d]\n".into()),
        ("d.yaml", "group: d\ntask: [c]\n".into()),
        ("e.yaml", "group: e\nagregate_metric_list: []\ntask: [good_task]\n".into()),
        ("f.yaml", "group: f\n".into()),
        ("g.yaml", "group: g\ntask: []\n".into()),
        ("h.yaml", "group: h\ntask:\n- {group: good_task}\n".into()),
        ("i.yaml", "group: i\ntask:\n- {group: j, task: [good_task]}\n".into()),
        ("j.yaml", "group: j\ntask: [good_task]\n".into()),
        ("k.yaml", "group: k\ntask: [{num_fewshot: 3}]\n".into()),
        ("l.yaml", "group: l\ntask: [{task: good_task, num_fewshot: 0}, {task: good_task, num_fewshot: 5}]\n".into()),
        ("m.yaml", "group: m\ntask: [3]\n".into()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let folder = Folder::new(&files);
    let cases = [
        ("a", "a.yaml:3: group `a` names an unknown task `good_tsk`\n  hint: did you mean `good_task`?"),
        (
            "b",
            "b.yaml:3: group `b` names an unknown task `good_tsk`, and does not define it here\n  hint: did you mean `good_task`?",
        ),
        ("c", "c.yaml:1: group `c` contains itself: c -> d -> c"),
        (
            "e",
            "e.yaml:2: task `good_task`: unknown key `agregate_metric_list`\n  hint: did you mean `aggregate_metric_list`?",
        ),
        ("f", "f.yaml:1: group `f` needs `task`"),
        ("g", "g.yaml:2: group `g` has no tasks"),
        ("h", "h.yaml:3: `good_task` is a task, not a group"),
        ("i", "an item cannot change its tasks"),
        ("k", "k.yaml:2: an item of group `k` needs `task` or `group`"),
        ("l", "task `good_task` is asked for in two forms that differ in `num_fewshot`"),
        ("m", "m.yaml:2: `task` must be a list of names"),
        ("good_tsk", "unknown task `good_tsk`\n  hint: did you mean `good_task`?"),
        ("zzz*", "no task, group or tag matches `zzz*`"),
    ];
    for (spec, want) in cases {
        let err = folder.select(&[spec]).expect_err(spec).to_string();
        assert!(err.contains(want), "{spec}: {err}");
    }
}

#[test]
fn groups_that_are_reached_by_many_ways_are_built_once() {
    let mut files: Vec<(String, String)> = vec![("t.yaml".into(), plain("t", ""))];
    files.push(("g0.yaml".into(), "group: g0\ntask: [t]\n".into()));
    for level in 1..40 {
        let below = level - 1;
        let text = format!(
            "group: g{level}\ntask:\n- {{group: a, repeats: {level}, task: [g{below}]}}\n- {{group: b, repeats: {level}, task: [g{below}]}}\n"
        );
        files.push((format!("g{level}.yaml"), text));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let folder = Folder::new(&files);
    // 2^29 ways to one task; the outermost of the keys counts.
    let nodes = folder.select(&["g29"]).unwrap();
    assert_eq!(nodes[0].tasks().iter().map(|task| task.repeats).collect::<Vec<_>>(), [29]);
    assert_eq!(groups_under(&nodes).len(), 1 + 3 * 29);
    let changed = map_nodes(&nodes, &|task| Ok(task.clone()), &|group, children| Group { children, ..group.clone() });
    assert_eq!(groups_under(&changed.unwrap()).len(), 1 + 3 * 29);
    let err = folder.select(&["g39"]).unwrap_err().to_string();
    assert!(err.contains("levels deep"), "{err}");
}

#[test]
fn patterns_paths_and_repeats() {
    let folder = Folder::new(&[
        ("sub/t1.yaml", &plain("t1", "tag: all_t\n")),
        ("sub/t2.yaml", &plain("t2", "tag: all_t\n")),
        ("g.yaml", "group: tg\ntask: [t2]\n"),
        ("own/x.yaml", &plain("x", "include: ../_base\n")),
        ("_base", "num_fewshot: 7\n"),
        ("own/y.yaml", "some: thing\n"),
    ]);
    let names = |specs: &[&str]| -> Vec<String> {
        folder.select(specs).unwrap().iter().map(|node| node.name().to_owned()).collect()
    };
    assert_eq!(names(&["t[0-9]"]), ["t1", "t2"]);
    assert_eq!(names(&["t2", "t1", "t2"]), ["t2", "t1"]);
    // t2 stands in the group, so it is not repeated beside it.
    assert_eq!(names(&["t[12g]*", "all_t"]), ["t1", "tg"]);
    let (sub, x) = (folder.path("sub"), folder.path("own/x.yaml"));
    assert_eq!(names(&[&sub]), ["t1", "t2"]);
    assert_eq!(names(&[&format!("{sub}/*1.yaml")]), ["t1"]);
    assert_eq!(tasks(&folder.select(&[&x]).unwrap()[0]), [("x".to_owned(), Some(7))]);
    assert_eq!(names(&["built-in:arc/arc_easy.yaml"]), ["arc_easy"]);
    let err = folder.select(&[&folder.path("own/y.yaml")]).unwrap_err().to_string();
    assert!(err.contains("y.yaml: the file has neither"), "{err}");
    let err = folder.select(&[&folder.path("own/z.yaml")]).unwrap_err().to_string();
    assert!(err.contains("z.yaml: cannot read"), "{err}");
}

#[test]
fn asking_for_a_broken_file_says_what_is_wrong_with_it() {
    let folder = Folder::new(&[
        ("a.yaml", "\"task\": \"bad\"\ninclude: _t\n"),
        ("b.yaml", "task: worse\ninclude: _t\n"),
        ("_t", "x: 1\nx: 2\n"),
        ("g.yaml", "group: g\ntask: [worse]\n"),
    ]);
    let warnings = folder.catalog().warnings();
    assert!(warnings.len() == 1 && warnings[0].starts_with("2 task files left out: "), "{warnings:?}");
    for spec in ["bad", "g"] {
        let err = folder.select(&[spec]).unwrap_err().to_string();
        assert!(err.contains("_t:2: task `") && err.contains("the key `x` stands twice"), "{err}");
    }
}

#[test]
fn an_inline_task_may_include() {
    let files = [
        ("_t", plain("t", "num_fewshot: 1\nrepeats: 2\n")),
        ("g.yaml", "group: g\nnum_fewshot: 3\ntask: [{task: own, include: _t, doc_to_text: z}]\n".into()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let nodes = Folder::new(&files).select(&["g"]).unwrap();
    assert_eq!(tasks(&nodes[0]), [("g::own".to_owned(), Some(3))]);
    assert_eq!((nodes[0].tasks()[0].repeats, nodes[0].tasks()[0].dataset.path.as_str()), (2, "a/b"));
}

#[test]
fn task_errors_name_file_line_and_key() {
    let folder = Folder::new(&[
        ("a.yaml", &plain("a", "metric_lst: []\n")),
        ("b.yaml", &plain("b", "doc_to_image: [x]\n")),
        ("c.yaml", &plain("c", "process_docs: !function utils.process_docs\n")),
        ("d.yaml", &plain("d", "output_type: multiple_choise\n")),
        ("e.yaml", &plain("e", "repeats: 0\n")),
        ("f.yaml", "include: _f\ntask: f\n"),
        ("_f", &plain("f", "\n\nnum_fewshot: five\n")),
        (
            "g.yaml",
            &plain(
                "g",
                "unsafe_code: true\nshould_decontaminate: true\ndoc_to_decontamination_query: q\nuse_prompt: null\n",
            ),
        ),
    ]);
    let cases = [
        ("a", "a.yaml:6: task `a`: unknown key `metric_lst`\n  hint: did you mean `metric_list`?"),
        ("b", "b.yaml:6: task `b`: `doc_to_image` is not supported: images are not supported yet"),
        ("c", "c.yaml:6: task `c`: `process_docs` calls the Python function utils.process_docs"),
        ("d", "d.yaml:6: task `d`: unknown output type `multiple_choise`\n  hint: did you mean `multiple_choice`?"),
        ("e", "e.yaml:6: task `e`: `repeats` must be a number from 1"),
        ("f", "_f:8: task `f`: `num_fewshot` must be a whole number from 0, not the text \"five\""),
    ];
    for (spec, want) in cases {
        let err = folder.select(&[spec]).expect_err(spec).to_string();
        assert!(err.contains(want), "{spec}: {err}");
    }
    assert!(folder.select(&["g"]).unwrap()[0].tasks()[0].unsafe_code);
}

//! A run folder of prepared tasks, for the tests of this wing.

use super::{Prepared, RunFolder};
use crate::engine::Engine;
use crate::run::{Effort, Environment, Spec};
use serde_json::json;
use std::path::Path;

/// The spec of a run of `prepared` on an engine, everything else at rest.
pub fn spec(engine: &dyn Engine, prepared: &Prepared) -> Spec {
    let tasks: Vec<_> = prepared.tasks.iter().map(|t| &t.spec).collect();
    let spec = json!({
        "model": engine.identity(), "tasks": tasks, "selected": ["x"], "num_fewshot": null, "limit": null, "seed": 1,
        "fewshot_seed": 1, "apply_chat_template": false, "fewshot_as_multiturn": null, "system_instruction": null,
        "gen_kwargs": {}, "bootstrap_iters": 10,
    });
    serde_json::from_value(spec).unwrap()
}

/// The folder of this spec under `out`: the same one for the same spec.
pub fn folder(out: &Path, spec: Spec) -> RunFolder {
    let environment: Environment = serde_json::from_value(json!({
        "fairmark_version": "0", "os": "", "arch": "", "cpus": 1, "started": "2026-01-01T00:00:00", "started_unix": 0.0
    }))
    .unwrap();
    let effort: Effort = serde_json::from_value(json!({"threads": 1})).unwrap();
    RunFolder::open(out, spec, effort, environment, false).unwrap()
}

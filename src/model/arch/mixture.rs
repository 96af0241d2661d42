//! The mixture of experts of a layer, from the two forms in which checkpoints hold it: a matrix for each part of each expert, or
//! the matrices of all experts in one tensor.

use super::standard::Standard;
use crate::error::{Error, Result};
use crate::model::ModelConfig;
use crate::model::layer::{Experts, Mlp, Part, Projection};
use crate::model::weights::StoredMatrix;

/// Reads the mixture under `name`, whose experts call gate, up and down as `parts` says where each has its own matrices.
pub fn load(standard: &mut Standard<'_>, name: &str, parts: [&str; 3]) -> Result<Mlp> {
    let config = standard.config;
    let settings = config.experts.ok_or_else(|| Error::input("needs settings of experts").file(&config.file))?;
    let (count, hidden) = (settings.num_experts, config.hidden_size);
    // The router is not a linear layer in transformers: nothing quantises it.
    let router = standard.weights.head(&format!("{name}.gate"), count, hidden)?;
    let router = Projection::new(standard.weights.backend(), vec![Part { weight: router, bias: None }])?;
    let fused = format!("{name}.experts.gate_up_proj");
    let experts = if standard.weights.has(&fused) {
        stacked(standard, name, settings.intermediate_size)?
    } else {
        let [gate, up, down] = parts;
        let expert = |expert: usize| {
            let [gate, up, down] = [gate, up, down].map(|part| format!("{name}.experts.{expert}.{part}"));
            let (inner, act) = (settings.intermediate_size, config.hidden_act);
            Mlp::gated(standard.weights, [&gate, &up, &down], hidden, inner, act, false)
        };
        (0..count).map(expert).collect::<Result<_>>()?
    };
    Ok(Mlp::Experts(Experts::new(router, experts, settings.num_experts_per_tok, settings.normalised)))
}

/// Experts whose gates and ups are one tensor `[experts, 2 * inner, hidden]` and whose downs another, `[experts, hidden, inner]`.
fn stacked(standard: &mut Standard<'_>, name: &str, inner: usize) -> Result<Vec<Mlp>> {
    let ModelConfig { hidden_size: hidden, hidden_act: activation, .. } = *standard.config;
    let count = standard.config.experts.map_or(0, |experts| experts.num_experts);
    let gate_ups = standard.weights.experts(&format!("{name}.experts.gate_up_proj"), count, 2 * inner, hidden)?;
    let downs = standard.weights.experts(&format!("{name}.experts.down_proj"), count, hidden, inner)?;
    let one = |all: &StoredMatrix, expert: usize, outs: usize| {
        let rows: Vec<usize> = (expert * outs..(expert + 1) * outs).collect();
        Projection::new(standard.weights.backend(), vec![Part { weight: all.select_rows(&rows), bias: None }])
    };
    let expert = |expert: usize| {
        let (gate_up, down) = (one(&gate_ups, expert, 2 * inner)?, one(&downs, expert, hidden)?);
        Ok(Mlp::Gated { gate_up, down, activation })
    };
    (0..count).map(expert).collect()
}

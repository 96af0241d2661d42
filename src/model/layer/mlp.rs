//! The part of a block that works on each token alone.

use super::experts::Experts;
use super::projection::{Part, Projection};
use crate::error::Result;
use crate::kernel::Activation;
use crate::model::Weights;
use crate::model::profile::{Kind, spend};
use crate::model::rows::Rows;

/// A feed-forward layer.
pub enum Mlp {
    /// `down(activation(gate(x)) * up(x))`
    Gated {
        /// Gate and up side by side. `[2 * intermediate, hidden]`
        gate_up: Projection,
        down: Projection,
        activation: Activation,
    },
    /// `down(activation(up(x)))`
    Plain { up: Projection, down: Projection, activation: Activation },
    /// Some of many gated layers, chosen for each token.
    Experts(Experts),
}

impl Mlp {
    /// Reads a gated layer with the matrices `<gate>`, `<up>`, `<down>`.
    pub fn gated(
        weights: &mut Weights,
        [gate, up, down]: [&str; 3],
        hidden: usize,
        intermediate: usize,
        activation: Activation,
        bias: bool,
    ) -> Result<Mlp> {
        let gate = Part::linear(weights, gate, intermediate, hidden, bias)?;
        let up = Part::linear(weights, up, intermediate, hidden, bias)?;
        let down = Projection::load(weights, down, hidden, intermediate, bias)?;
        Ok(Mlp::Gated { gate_up: Projection::new(weights.backend(), vec![gate, up])?, down, activation })
    }

    /// `[rows, hidden]` to `[rows, hidden]`
    pub fn forward(&self, x: &Rows) -> candle_core::Result<Rows> {
        match self {
            Mlp::Gated { gate_up, down, activation } => {
                let gate_up = gate_up.forward(x)?;
                down.forward(&spend(Kind::Activation, 0, || gate_up.gated(*activation))?)
            }
            Mlp::Plain { up, down, activation } => {
                let mut hidden = up.forward(x)?;
                spend(Kind::Activation, 0, || hidden.activate(*activation))?;
                down.forward(&hidden)
            }
            Mlp::Experts(experts) => experts.forward(x),
        }
    }

    /// Bytes of the packed weights.
    pub fn bytes(&self) -> usize {
        match self {
            Mlp::Gated { gate_up, down, .. } => gate_up.bytes() + down.bytes(),
            Mlp::Plain { up, down, .. } => up.bytes() + down.bytes(),
            Mlp::Experts(experts) => experts.bytes(),
        }
    }
}

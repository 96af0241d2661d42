//! The gated feed-forward layer: `down(act(gate(x)) * up(x))`.

use super::projection::Projection;
use crate::error::Result;
use crate::model::{ModelConfig, Weights};
use candle_core::{Module, Tensor};
use candle_nn::Activation;

pub struct GatedMlp {
    gate: Projection,
    up: Projection,
    down: Projection,
    act: Activation,
}

impl GatedMlp {
    /// Reads `<name>.{gate,up,down}_proj`.
    pub fn load(weights: &mut Weights, name: &str, config: &ModelConfig) -> Result<GatedMlp> {
        let (hidden, inner, bias) = (config.hidden_size, config.intermediate_size, config.mlp_bias);
        Ok(GatedMlp {
            gate: Projection::load(weights, &format!("{name}.gate_proj"), inner, hidden, bias)?,
            up: Projection::load(weights, &format!("{name}.up_proj"), inner, hidden, bias)?,
            down: Projection::load(weights, &format!("{name}.down_proj"), hidden, inner, bias)?,
            act: config.hidden_act,
        })
    }

    /// `[tokens, hidden]` to `[tokens, hidden]`
    pub fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        self.down.forward(&(self.act.forward(&self.gate.forward(x)?)? * self.up.forward(x)?)?)
    }
}

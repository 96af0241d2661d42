//! A decoder layer, and the stream of hidden states that runs through all of them.

use super::attention::Attention;
use super::mlp::Mlp;
use super::norm::Norm;
use super::pass::{Branch, Pass};
use crate::model::rows::Rows;
use candle_core::Result;

/// Attention and MLP, each with norms before or behind it, added to what came in.
pub struct Block {
    /// Before attention (all families but OLMo 2).
    pub input_norm: Option<Norm>,
    pub attention: Attention,
    /// Over what attention gives, before it is added (Gemma 2 and 3, OLMo 2).
    pub post_attention_norm: Option<Norm>,
    /// Before the MLP.
    pub mlp_norm: Option<Norm>,
    pub mlp: Mlp,
    /// Over what the MLP gives, before it is added.
    pub post_mlp_norm: Option<Norm>,
    /// Attention and MLP both look at what came in (GPT-NeoX).
    pub parallel: bool,
    /// Factor of what is added (Granite).
    pub residual_scale: f32,
}

/// Hidden states with a sum that is still to be done, so that it can be done together with the next norm.
pub struct Stream {
    x: Rows,
    pending: Option<(Rows, f32)>,
}

impl Stream {
    pub fn new(x: Rows) -> Stream {
        Stream { x, pending: None }
    }

    /// The hidden states. `[rows, hidden]`
    pub fn finish(mut self) -> Result<Rows> {
        self.settle()?;
        Ok(self.x)
    }

    fn settle(&mut self) -> Result<()> {
        match self.pending.take() {
            Some((y, factor)) => self.x.add_scaled(&y, factor),
            None => Ok(()),
        }
    }

    fn add(&mut self, y: Rows, factor: f32) -> Result<()> {
        self.settle()?;
        self.pending = Some((y, factor));
        Ok(())
    }

    /// The norm of the hidden states.
    fn normed(&mut self, norm: &Norm) -> Result<Rows> {
        match self.pending.take() {
            Some((y, factor)) => norm.add_forward(&mut self.x, &y, factor),
            None => norm.forward(&self.x),
        }
    }
}

impl Block {
    /// Runs the stream's rows through the layer with this number.
    pub fn forward(&self, stream: &mut Stream, pass: &Pass, branches: &mut [Branch<'_>], layer: usize) -> Result<()> {
        let attended = match &self.input_norm {
            Some(norm) => self.attention.forward(&stream.normed(norm)?, pass, branches, layer)?,
            None => {
                stream.settle()?;
                self.attention.forward(&stream.x, pass, branches, layer)?
            }
        };
        let attended = behind(&self.post_attention_norm, attended)?;
        if !self.parallel {
            stream.add(attended, self.residual_scale)?;
            let y = self.mlp(stream)?;
            return stream.add(y, self.residual_scale);
        }
        let y = self.mlp(stream)?;
        stream.add(attended, self.residual_scale)?;
        stream.add(y, self.residual_scale)
    }

    fn mlp(&self, stream: &mut Stream) -> Result<Rows> {
        let y = match &self.mlp_norm {
            Some(norm) => self.mlp.forward(&stream.normed(norm)?)?,
            None => {
                stream.settle()?;
                self.mlp.forward(&stream.x)?
            }
        };
        behind(&self.post_mlp_norm, y)
    }

    /// Bytes of the packed weights.
    pub fn bytes(&self) -> usize {
        self.attention.bytes() + self.mlp.bytes()
    }
}

fn behind(norm: &Option<Norm>, y: Rows) -> Result<Rows> {
    match norm {
        Some(norm) => norm.forward(&y),
        None => Ok(y),
    }
}

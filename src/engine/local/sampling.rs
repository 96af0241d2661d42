//! The next token: the most likely one, or a draw from a narrowed distribution.

use super::score::largest;
use crate::error::{Error, Result};
use crate::request::{Decoding, Request};
use candle_core::{Device, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling};

/// Picks tokens for one answer.
pub enum Picker {
    Greedy,
    Draw(Box<Draw>),
}

/// A draw; its random numbers depend on the request (its text, settings, seed and sample number) and on nothing else.
pub struct Draw {
    processor: LogitsProcessor,
    temperature: f64,
    top_k: Option<usize>,
    top_p: Option<f64>,
    min_p: Option<f64>,
}

impl Picker {
    /// The picker that a request's decoding asks for; a temperature of 0 is greedy.
    pub fn new(request: &Request, decoding: &Decoding) -> Picker {
        if !decoding.do_sample || decoding.temperature <= 0.0 {
            return Picker::Greedy;
        }
        // The key hashes all that decides the answer, the seed included.
        let seed = request.key().get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(request.seed);
        Picker::Draw(Box::new(Draw {
            processor: LogitsProcessor::from_sampling(seed, Sampling::All { temperature: 1.0 }),
            temperature: decoding.temperature,
            top_k: decoding.top_k.filter(|k| *k > 0),
            top_p: decoding.top_p.filter(|p| (0.0..1.0).contains(p)),
            min_p: decoding.min_p.filter(|p| *p > 0.0),
        }))
    }

    /// The next token's id.
    pub fn pick(&mut self, logits: &[f32]) -> Result<u32> {
        match self {
            Picker::Greedy => Ok(largest(logits).0 as u32),
            Picker::Draw(draw) => draw.pick(logits),
        }
    }
}

impl Draw {
    fn pick(&mut self, logits: &[f32]) -> Result<u32> {
        let drawn = Tensor::new(self.narrowed(logits), &Device::Cpu).and_then(|logits| self.processor.sample(&logits));
        drawn.map_err(|e| Error::input("cannot draw the next token").cause(e))
    }

    /// Logits after temperature, with those that top-k, top-p and min-p leave out (in this order, as transformers applies them)
    /// at minus infinity.
    fn narrowed(&self, logits: &[f32]) -> Vec<f32> {
        let scaled: Vec<f32> = logits.iter().map(|logit| (f64::from(*logit) / self.temperature) as f32).collect();
        let mut order: Vec<usize> = (0..scaled.len()).collect();
        order.sort_by(|a, b| scaled[*b].total_cmp(&scaled[*a]).then(a.cmp(b)));
        order.truncate(self.top_k.unwrap_or(usize::MAX));
        let max = order.first().map_or(0.0, |best| scaled[*best]);
        let weights: Vec<f64> = order.iter().map(|i| f64::from(scaled[*i] - max).exp()).collect();
        let total: f64 = weights.iter().sum();
        let mut before = 0.0;
        let mut kept = vec![f32::NEG_INFINITY; scaled.len()];
        for (index, weight) in order.iter().zip(&weights) {
            // A token stays while those before it do not make up top_p; the best one always stays.
            let beyond_top_p = self.top_p.is_some_and(|p| before > 0.0 && before >= p * total);
            if beyond_top_p || self.min_p.is_some_and(|p| *weight < p) {
                break;
            }
            kept[*index] = scaled[*index];
            before += weight;
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Prompt, RequestKind};

    fn request(sample: u32, change: impl Fn(&mut Decoding)) -> (Request, Decoding) {
        let mut decoding = Decoding {
            until: vec![],
            max_gen_toks: None,
            do_sample: true,
            temperature: 1.0,
            top_p: None,
            top_k: None,
            min_p: None,
            written: Default::default(),
        };
        change(&mut decoding);
        let kind = RequestKind::Generate { context: Prompt::Text("a".into()), decoding: decoding.clone() };
        (Request { kind, sample, seed: 7 }, decoding)
    }

    fn kept(change: impl Fn(&mut Decoding)) -> Vec<usize> {
        let (request, decoding) = request(0, change);
        let Picker::Draw(draw) = Picker::new(&request, &decoding) else { panic!("should draw") };
        // Probabilities 0.4, 0.1, 0.3, 0.2
        let narrowed = draw.narrowed(&[0.4f32.ln(), 0.1f32.ln(), 0.3f32.ln(), 0.2f32.ln()]);
        (0..4).filter(|i| narrowed[*i].is_finite()).collect()
    }

    // Expected sets: TopKLogitsWarper, TopPLogitsWarper and MinPLogitsWarper of transformers 5.23 on the same probabilities.
    #[test]
    fn narrows_as_transformers_does() {
        assert_eq!(kept(|_| {}), [0, 1, 2, 3]);
        assert_eq!(kept(|d| d.top_k = Some(2)), [0, 2]);
        assert_eq!(kept(|d| d.top_p = Some(0.65)), [0, 2]);
        assert_eq!(kept(|d| d.top_p = Some(0.75)), [0, 2, 3]);
        assert_eq!(kept(|d| d.top_p = Some(0.0)), [0]);
        assert_eq!(kept(|d| d.min_p = Some(0.45)), [0, 2, 3]);
        assert_eq!(kept(|d| (d.top_k, d.top_p) = (Some(2), Some(0.5))), [0]);
    }

    #[test]
    fn draws_follow_the_request_and_the_distribution() {
        let logits = [0.6f32.ln(), 0.4f32.ln()];
        let draw = |sample| {
            let (request, decoding) = request(sample, |_| {});
            let mut picker = Picker::new(&request, &decoding);
            (0..200).map(|_| picker.pick(&logits).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draw(0), draw(0));
        assert_ne!(draw(0), draw(1));
        let ones = draw(0).iter().filter(|t| **t == 1).count();
        assert!((50..110).contains(&ones), "{ones} of 200 at probability 0.4");
        let (request, decoding) = request(0, |d| d.temperature = 0.0);
        assert_eq!(Picker::new(&request, &decoding).pick(&logits).unwrap(), 0);
    }
}

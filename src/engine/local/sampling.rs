//! The next token: the most likely one, or a draw from a narrowed distribution.

use crate::error::{Error, Result};
use crate::request::{Request, RequestKind};
use candle_core::{Device, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling};
use std::cmp::Ordering;

/// Tokens put in order at first.
const FEW: usize = 128;

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
    /// The picker that a request asks for; a temperature of 0 is greedy.
    pub fn new(request: &Request) -> Picker {
        let RequestKind::Generate { decoding, .. } = &request.kind else { return Picker::Greedy };
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

    /// The next token. `argmax` is the most likely one; `logits` are looked at only for a draw.
    pub fn pick(&mut self, argmax: u32, logits: &[f32]) -> Result<u32> {
        match self {
            Picker::Greedy => Ok(argmax),
            Picker::Draw(draw) => draw.pick(logits),
        }
    }

    /// Whether logits are needed.
    pub fn draws(&self) -> bool {
        matches!(self, Picker::Draw(_))
    }
}

impl Draw {
    fn pick(&mut self, logits: &[f32]) -> Result<u32> {
        let kept = self.narrowed(logits);
        let (tokens, scaled): (Vec<u32>, Vec<f32>) = kept.into_iter().unzip();
        let drawn = Tensor::new(scaled, &Device::Cpu).and_then(|scaled| self.processor.sample(&scaled));
        let drawn = drawn.map_err(|e| Error::input("cannot draw the next token").cause(e))?;
        tokens.get(drawn as usize).copied().ok_or_else(|| Error::input("a draw outside the vocabulary"))
    }

    /// The tokens that top-k, top-p and min-p leave (in this order, as transformers applies them), by number, with their logits after
    /// temperature.
    fn narrowed(&self, logits: &[f32]) -> Vec<(u32, f32)> {
        let scale = |(token, logit): (usize, &f32)| (token as u32, (f64::from(*logit) / self.temperature) as f32);
        let mut kept: Vec<(u32, f32)> = logits.iter().enumerate().map(scale).collect();
        if let Some(k) = self.top_k
            && k < kept.len()
        {
            // Not the whole vocabulary has to be in order for this.
            kept.select_nth_unstable_by(k - 1, likelier);
            kept.truncate(k);
        }
        if self.top_p.is_some() || self.min_p.is_some() {
            self.keep_likely(&mut kept);
        }
        kept.sort_unstable_by_key(|(token, _)| *token);
        kept
    }

    /// Leaves out what top-p and min-p do, of tokens in any order.
    fn keep_likely(&self, kept: &mut Vec<(u32, f32)>) {
        let max = kept.iter().map(|(_, scaled)| *scaled).fold(f32::NEG_INFINITY, f32::max);
        let weight = |scaled: f32| f64::from(scaled - max).exp();
        let total: f64 = if self.top_p.is_some() { kept.iter().map(|(_, scaled)| weight(*scaled)).sum() } else { 1.0 };
        let (mut ordered, mut before, mut end) = (0, 0.0, 0);
        loop {
            if end == ordered {
                // The next likeliest ones; most often the first few are enough.
                ordered = (ordered * 4).max(FEW).min(kept.len());
                if end == ordered {
                    break;
                }
                if ordered < kept.len() {
                    kept[end..].select_nth_unstable_by(ordered - end - 1, likelier);
                }
                kept[end..ordered].sort_unstable_by(likelier);
            }
            // A token stays while those before it do not make up top_p; the best one always stays.
            let weight = weight(kept[end].1);
            let beyond_top_p = self.top_p.is_some_and(|p| end > 0 && before >= p * total);
            if beyond_top_p || self.min_p.is_some_and(|p| weight < p) {
                break;
            }
            before += weight;
            end += 1;
        }
        kept.truncate(end);
    }
}

/// The likelier token first, of equals the one with the lower number.
fn likelier(a: &(u32, f32), b: &(u32, f32)) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Decoding, Prompt};

    fn request(sample: u32, change: impl Fn(&mut Decoding)) -> Request {
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
        let kind = RequestKind::Generate { context: Prompt::Text("a".into()), decoding };
        Request { kind, sample, seed: 7 }
    }

    fn kept(change: impl Fn(&mut Decoding)) -> Vec<usize> {
        let request = request(0, change);
        let Picker::Draw(draw) = Picker::new(&request) else { panic!("should draw") };
        // Probabilities 0.4, 0.1, 0.3, 0.2
        let narrowed = draw.narrowed(&[0.4f32.ln(), 0.1f32.ln(), 0.3f32.ln(), 0.2f32.ln()]);
        narrowed.iter().map(|(token, _)| *token as usize).collect()
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
            let request = request(sample, |_| {});
            let mut picker = Picker::new(&request);
            (0..200).map(|_| picker.pick(0, &logits).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draw(0), draw(0));
        assert_ne!(draw(0), draw(1));
        let ones = draw(0).iter().filter(|t| **t == 1).count();
        assert!((50..110).contains(&ones), "{ones} of 200 at probability 0.4");
        let request = request(0, |d| d.temperature = 0.0);
        assert_eq!(Picker::new(&request).pick(0, &logits).unwrap(), 0);
    }

    /// All tokens put in order, then cut.
    fn narrowed_by_sorting(draw: &Draw, logits: &[f32]) -> Vec<u32> {
        let scaled: Vec<f32> = logits.iter().map(|logit| (f64::from(*logit) / draw.temperature) as f32).collect();
        let mut order: Vec<u32> = (0..scaled.len() as u32).collect();
        order.sort_by(|a, b| scaled[*b as usize].total_cmp(&scaled[*a as usize]).then(a.cmp(b)));
        order.truncate(draw.top_k.unwrap_or(usize::MAX));
        let max = scaled[order[0] as usize];
        let weights: Vec<f64> = order.iter().map(|i| f64::from(scaled[*i as usize] - max).exp()).collect();
        let total: f64 = weights.iter().sum();
        let (mut kept, mut before) = (Vec::new(), 0.0);
        for (index, weight) in order.iter().zip(&weights) {
            let beyond_top_p = draw.top_p.is_some_and(|p| before > 0.0 && before >= p * total);
            if beyond_top_p || draw.min_p.is_some_and(|p| *weight < p) {
                break;
            }
            kept.push(*index);
            before += weight;
        }
        kept.sort();
        kept
    }

    #[test]
    fn narrowing_equals_sorting_the_vocabulary() {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((state >> 40) as f32 / (1u64 << 24) as f32 * 40.0).round() / 8.0
        };
        let logits: Vec<f32> = (0..3000).map(|_| next()).collect();
        for top_k in [None, Some(1), Some(40), Some(700), Some(5000)] {
            for (top_p, min_p) in
                [(None, None), (Some(0.3), None), (Some(0.97), None), (Some(0.9), Some(0.02)), (None, Some(0.1))]
            {
                let request = request(0, |d| (d.top_k, d.top_p, d.min_p, d.temperature) = (top_k, top_p, min_p, 0.8));
                let Picker::Draw(draw) = Picker::new(&request) else { panic!("should draw") };
                let narrowed: Vec<u32> = draw.narrowed(&logits).into_iter().map(|(token, _)| token).collect();
                assert_eq!(narrowed, narrowed_by_sorting(&draw, &logits), "{top_k:?} {top_p:?} {min_p:?}");
            }
        }
    }
}

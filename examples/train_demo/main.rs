//! Trains the demo model from scratch on the demo world's text and writes a checkpoint that any Llama loader reads.
//!
//!     RAYON_NUM_THREADS=1 cargo run --release --example train_demo -- datasets/demo/model
//!
//! Everything follows from the seeds: on one thread the same machine makes the same bytes. A second argument gives another
//! number of steps.

// Only the text is used here; the data sets are written by `make_demo`.
#[allow(dead_code)]
#[path = "../demo_world/mod.rs"]
mod demo_world;
mod fused;
mod llama;
mod tokens;

use candle_core::{Device, Tensor, Var, backprop::GradStore};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};
use llama::{Llama, Shape};
use serde_json::json;
use std::{error::Error, fs, path::Path, time::Instant};

type Done<T> = Result<T, Box<dyn Error + Send + Sync>>;

const SEED: u64 = 11;
const STEPS: usize = 6000;
const BATCH: usize = 16;
const WINDOW: usize = 128;
const LARGEST_RATE: f64 = 3e-3;
const LARGEST_GRADIENT: f64 = 1.0;

fn main() -> Done<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("say which folder the model goes to, as datasets/demo/model")?;
    let steps = arguments.next().map_or(Ok(STEPS), |steps| steps.parse())?;
    let parts = demo_world::parts(demo_world::SEED);
    let documents = demo_world::documents(&parts, demo_world::SEED);
    let tokenizer = tokens::learn(&documents, 1024)?;
    let mut windows = Windows::new(&documents, &tokenizer)?;
    let shape = Shape {
        vocab: tokenizer.get_vocab_size(true),
        hidden: 64,
        feed_forward: 192,
        layers: 5,
        heads: 4,
        rope_theta: 10_000.0,
        norm_eps: 1e-5,
    };
    let model = Llama::new(shape, SEED)?;
    let parameters: usize = model.weights().iter().map(|(_, weight)| weight.elem_count()).sum();
    println!("{parameters} parameters, {} tokens of text, {} tokens known", windows.tokens(), shape.vocab);
    train(&model, &mut windows, steps)?;
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    candle_core::safetensors::save(&model.checkpoint()?, folder.join("model.safetensors"))?;
    tokenizer.save(folder.join("tokenizer.json"), false)?;
    describe(&shape, folder)
}

/// Windows of tokens that each begin where a document does; the documents come in another order each time.
struct Windows {
    documents: Vec<Vec<u32>>,
    next: usize,
    order: fastrand::Rng,
}

impl Windows {
    fn new(documents: &[String], tokenizer: &tokenizers::Tokenizer) -> Done<Self> {
        let mut read = Vec::new();
        for document in documents {
            let mut ids = tokenizer.encode(document.as_str(), true)?.get_ids().to_vec();
            ids.push(tokens::END.1);
            read.push(ids);
        }
        Ok(Self { documents: read, next: 0, order: fastrand::Rng::with_seed(SEED) })
    }

    fn tokens(&self) -> usize {
        self.documents.iter().map(Vec::len).sum()
    }

    /// Ids and the ids that follow them, `WINDOW` of each. A document that is cut off begins the next window.
    fn window(&mut self) -> (Vec<u32>, Vec<u32>) {
        let mut ids = Vec::new();
        while ids.len() <= WINDOW {
            if self.next == self.documents.len() {
                self.order.shuffle(&mut self.documents);
                self.next = 0;
            }
            ids.extend(&self.documents[self.next]);
            self.next += 1;
        }
        // One that alone fills a window is not begun again and again.
        let last = self.documents[self.next - 1].len();
        if ids.len() > WINDOW + 1 && last < WINDOW {
            self.next -= 1;
        }
        (ids[..WINDOW].to_vec(), ids[1..=WINDOW].to_vec())
    }
}

fn train(model: &Llama, windows: &mut Windows, steps: usize) -> Done<()> {
    let weights: Vec<Var> = model.weights().into_iter().map(|(_, weight)| weight).collect();
    let settings = ParamsAdamW { lr: 0.0, beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay: 0.05 };
    let mut optimiser = AdamW::new(weights.clone(), settings)?;
    let (started, mut recent) = (Instant::now(), 0.0);
    for step in 0..steps {
        optimiser.set_learning_rate(rate(step, steps));
        let (mut ids, mut follow) = (Vec::new(), Vec::new());
        for _ in 0..BATCH {
            let (window, next) = windows.window();
            ids.extend(window);
            follow.extend(next);
        }
        let logits = model.logits(&Tensor::from_vec(ids, (BATCH, WINDOW), &Device::Cpu)?)?;
        let (loss, slope) = cross_entropy(&logits, &follow)?;
        // A scalar whose gradient in the logits is the slope of the loss.
        let mut gradients = (&logits * slope)?.sum_all()?.backward()?;
        clip(&mut gradients, &weights)?;
        optimiser.step(&gradients)?;
        recent = if step == 0 { loss } else { 0.98 * recent + 0.02 * loss };
        if step % 100 == 0 || step + 1 == steps {
            println!("step {step}, loss {recent:.4}, {:.0} s", started.elapsed().as_secs_f64());
        }
    }
    Ok(())
}

/// The learning rate: a short rise, then level, and in the last quarter down to a fiftieth along a line.
fn rate(step: usize, steps: usize) -> f64 {
    let risen = ((step + 1) as f64 / 60.0).min(1.0);
    let fall = steps - steps / 4;
    let left = if step < fall { 1.0 } else { (steps - step) as f64 / (steps - fall) as f64 };
    LARGEST_RATE * risen * left.max(0.02)
}

/// The mean of -ln p of the right tokens, in nats, and its gradient in the logits `[n, vocab]`.
fn cross_entropy(logits: &Tensor, right: &[u32]) -> Done<(f64, Tensor)> {
    let vocab = logits.dim(1)?;
    let mut slope: Vec<f32> = logits.detach().flatten_all()?.to_vec1()?;
    let (mut loss, share) = (0.0, 1.0 / right.len() as f32);
    for (row, right) in slope.chunks_exact_mut(vocab).zip(right) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|logit| *logit = (*logit - largest).exp());
        let total: f32 = row.iter().sum();
        row.iter_mut().for_each(|value| *value *= share / total);
        let right = &mut row[*right as usize];
        loss -= f64::from(*right / share).ln();
        *right -= share;
    }
    Ok((loss / right.len() as f64, Tensor::from_vec(slope, logits.shape(), &Device::Cpu)?))
}

/// Shortens the gradient, taken as one vector, to [`LARGEST_GRADIENT`].
fn clip(gradients: &mut GradStore, weights: &[Var]) -> Done<()> {
    let mut square = 0.0;
    for weight in weights {
        if let Some(gradient) = gradients.get(weight) {
            square += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
    }
    let length = square.sqrt();
    if length > LARGEST_GRADIENT {
        for weight in weights {
            if let Some(gradient) = gradients.remove(weight) {
                gradients.insert(weight, (gradient * (LARGEST_GRADIENT / length))?);
            }
        }
    }
    Ok(())
}

/// The files beside the weights that say how to read them.
fn describe(shape: &Shape, folder: &Path) -> Done<()> {
    let config = json!({
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": false,
        "bos_token_id": tokens::BEGIN.1,
        "dtype": "bfloat16",
        "eos_token_id": tokens::END.1,
        "head_dim": shape.hidden / shape.heads,
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.feed_forward,
        "max_position_embeddings": 512,
        "mlp_bias": false,
        "model_type": "llama",
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.heads,
        "rms_norm_eps": shape.norm_eps,
        "rope_theta": shape.rope_theta,
        "tie_word_embeddings": true,
        "torch_dtype": "bfloat16",
        "vocab_size": shape.vocab,
    });
    let generation = json!({"bos_token_id": tokens::BEGIN.1, "eos_token_id": tokens::END.1});
    let turns = "{% for message in messages %}{% if message['role'] == 'user' %}Question: {{ message['content'] }}\n\
                 {% elif message['role'] == 'assistant' %}Answer: {{ message['content'] }}\n\n\
                 {% else %}{{ message['content'] }}\n\n{% endif %}{% endfor %}\
                 {% if add_generation_prompt %}Answer:{% endif %}";
    let tokenizer = json!({
        "bos_token": tokens::BEGIN.0, "eos_token": tokens::END.0, "model_max_length": 512,
        "tokenizer_class": "PreTrainedTokenizerFast", "chat_template": turns,
    });
    for (name, value) in
        [("config.json", config), ("generation_config.json", generation), ("tokenizer_config.json", tokenizer)]
    {
        fs::write(folder.join(name), serde_json::to_string_pretty(&value)? + "\n")?;
    }
    Ok(())
}

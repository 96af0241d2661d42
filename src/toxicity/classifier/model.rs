//! The architectures of sequence classifiers that are known.

use super::batch::Batch;
use super::config::Config;
use super::layers::Candle;
use super::{bert, deberta, modernbert};
use crate::error::Result;
use crate::model::Weights;
use candle_core::Tensor;

/// A classifier with its weights.
pub trait Classifier: Send + Sync {
    /// Logits of all labels, `[batch, labels]`.
    fn logits(&self, batch: &Batch) -> Candle<Tensor>;
}

/// An architecture, with what its configurations leave out.
#[derive(Debug)]
pub struct Arch {
    /// Names in `architectures`.
    pub classes: &'static [&'static str],
    /// Names in `model_type`, for configurations without `architectures`.
    pub model_types: &'static [&'static str],
    pub type_vocab_size: usize,
    pub pad_token_id: u32,
    pub norm_eps: f64,
    /// Positions are counted from the padding's id on.
    pub counts_from_padding: bool,
    pub load: fn(&mut Weights, &Config) -> Result<Box<dyn Classifier>>,
}

/// All architectures. A new one is a file here and a row.
pub const ARCHES: &[Arch] = &[
    Arch {
        classes: &["BertForSequenceClassification"],
        model_types: &["bert"],
        type_vocab_size: 2,
        pad_token_id: 0,
        norm_eps: 1e-12,
        counts_from_padding: false,
        load: bert::bert,
    },
    Arch {
        classes: &[
            "RobertaForSequenceClassification",
            "XLMRobertaForSequenceClassification",
            "CamembertForSequenceClassification",
        ],
        model_types: &["roberta", "xlm-roberta", "camembert"],
        type_vocab_size: 2,
        pad_token_id: 1,
        norm_eps: 1e-12,
        counts_from_padding: true,
        load: bert::roberta,
    },
    Arch {
        classes: &["DistilBertForSequenceClassification"],
        model_types: &["distilbert"],
        type_vocab_size: 0,
        pad_token_id: 0,
        norm_eps: 1e-12,
        counts_from_padding: false,
        load: bert::distilbert,
    },
    Arch {
        classes: &["DebertaV2ForSequenceClassification"],
        model_types: &["deberta-v2"],
        type_vocab_size: 0,
        pad_token_id: 0,
        norm_eps: 1e-7,
        counts_from_padding: false,
        load: deberta::deberta,
    },
    Arch {
        classes: &["ModernBertForSequenceClassification"],
        model_types: &["modernbert"],
        type_vocab_size: 0,
        pad_token_id: 0,
        norm_eps: 1e-5,
        counts_from_padding: false,
        load: modernbert::modernbert,
    },
];

//! The demo model's tokenizer: byte-level BPE with single digits and line breaks, learned from the training text.

use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Result, SplitDelimiterBehavior, Tokenizer};

/// Where a document begins and ends.
pub const BEGIN: (&str, u32) = ("<s>", 0);
pub const END: (&str, u32) = ("</s>", 1);

/// Learns at most `size` tokens from `documents`.
pub fn learn(documents: &[String], size: usize) -> Result<Tokenizer> {
    let mut tokenizer = Tokenizer::new(BPE::default());
    // A line break is a token of its own: prompts of functions end in one, and the body's indent must not have been learned as part of it.
    let lines = Split::new(SplitPattern::String("\n".to_string()), SplitDelimiterBehavior::Isolated, false)?;
    let steps = vec![lines.into(), Digits::new(true).into(), ByteLevel::default().add_prefix_space(false).into()];
    tokenizer.with_pre_tokenizer(Some(Sequence::new(steps)));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    let trainer = BpeTrainer::builder()
        .vocab_size(size)
        .min_frequency(20)
        .show_progress(false)
        .special_tokens([BEGIN.0, END.0].map(|name| AddedToken::from(name, true)).to_vec())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    tokenizer.train(&mut TrainerWrapper::from(trainer), documents.iter().map(String::as_str))?;
    let template = TemplateProcessing::builder()
        .try_single(format!("{} $A", BEGIN.0))?
        .try_pair(format!("{0} $A {0} $B", BEGIN.0))?
        .special_tokens(vec![BEGIN])
        .build()?;
    tokenizer.with_post_processor(Some(template));
    Ok(tokenizer)
}

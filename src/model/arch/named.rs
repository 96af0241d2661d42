//! Which family a configuration names.
//!
//! transformers' `AutoModelForCausalLM` goes by `model_type` alone, and so it is here: `architectures` is a hint, which wrappers (FSDP),
//! old programs (`LLaMAForCausalLM`) and other heads (`LlamaModel`) write as they like. It decides only where `model_type` is missing
//! or unknown.

use super::{ARCHES, Arch};
use crate::error::{Error, Result};

/// Families that an error names.
const SHOWN: usize = 3;

/// Characters of somebody else's name that messages show.
const LONGEST: usize = 80;

/// A family, and what was strange about its names.
pub struct Named {
    pub arch: &'static Arch,
    pub notice: Option<String>,
}

/// The family of a configuration's `architectures` and `model_type`.
pub fn named(classes: &[&str], model_type: Option<&str>) -> Result<Named> {
    let of_type = model_type.and_then(|name| ARCHES.iter().find(|arch| arch.model_type == name));
    let of_class = classes.iter().find_map(|class| ARCHES.iter().find(|arch| arch.class == *class));
    match (of_type, of_class) {
        (Some(arch), Some(class)) if arch.class == class.class => Ok(Named { arch, notice: None }),
        (Some(arch), _) => {
            let class = classes.first().filter(|class| !class.is_empty()).map(|class| shown(class));
            let notice = class.map(|class| {
                format!(
                    "config.json names the class `{class}`; its `model_type` decides, as in transformers: {}",
                    arch.class
                )
            });
            Ok(Named { arch, notice })
        }
        (None, Some(arch)) => {
            let notice = model_type.map(|name| {
                format!(
                    "the `model_type` `{}` of config.json is not known; its class decides: {}",
                    shown(name),
                    arch.class
                )
            });
            Ok(Named { arch, notice })
        }
        (None, None) => Err(unknown(classes, model_type)),
    }
}

fn unknown(classes: &[&str], model_type: Option<&str>) -> Error {
    let class = classes.first().copied().filter(|class| !class.is_empty());
    let Some(name) = class.or(model_type) else {
        return Error::input("names neither `architectures` nor `model_type`")
            .hint("it should be the config.json that transformers saves beside the weights");
    };
    let key = if class.is_some() { "architectures" } else { "model_type" };
    let near = nearest(name, class.is_some());
    let near: Vec<String> = near.iter().map(|arch| format!("{} ({})", arch.class, arch.doc)).collect();
    Error::input(format!("the architecture `{}` is not supported", shown(name)))
        .key(key)
        .hint(format!("the nearest are {}; `fairmark ls architectures` has all", near.join(", ")))
}

/// The families whose names are most like one, nearest first.
fn nearest(name: &str, by_class: bool) -> Vec<&'static Arch> {
    let name = name.to_lowercase();
    let likeness = |arch: &Arch| {
        let own = if by_class { arch.class } else { arch.model_type };
        strsim::jaro_winkler(&name, &own.to_lowercase())
    };
    let mut all: Vec<(f64, &Arch)> = ARCHES.iter().map(|arch| (likeness(arch), arch)).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.into_iter().take(SHOWN).map(|(_, arch)| arch).collect()
}

fn shown(name: &str) -> String {
    name.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_type_decides_and_classes_are_a_hint() {
        let found = |classes: &[&str], model_type| {
            let named = named(classes, model_type).unwrap();
            (named.arch.class, named.notice.is_some())
        };
        assert_eq!(found(&["LlamaForCausalLM"], Some("llama")), ("LlamaForCausalLM", false));
        assert_eq!(found(&[], Some("llama")), ("LlamaForCausalLM", false));
        for class in ["FSDPLlamaForCausalLM", "LLaMAForCausalLM", "LlamaModel", "MistralForCausalLM"] {
            assert_eq!(found(&[class], Some("llama")), ("LlamaForCausalLM", true), "{class}");
        }
        assert_eq!(found(&["Gemma3ForCausalLM"], Some("gemma3_text")), ("Gemma3ForCausalLM", false));
        assert_eq!(found(&["Gemma3ForCausalLM"], Some("gemma3")), ("Gemma3ForConditionalGeneration", true));
        assert_eq!(found(&["Qwen2ForCausalLM"], Some("my_qwen")), ("Qwen2ForCausalLM", true));
        assert_eq!(found(&["Qwen2ForCausalLM"], None), ("Qwen2ForCausalLM", false));
    }

    #[test]
    fn errors_name_the_nearest_few() {
        let says = |classes: &[&str], model_type| named(classes, model_type).err().unwrap().to_string();
        let err = says(&["Qwen4ForCausalLM"], Some("qwen4"));
        assert!(err.contains("architectures: the architecture `Qwen4ForCausalLM` is not supported"), "{err}");
        assert!(err.contains("Qwen3ForCausalLM") && !err.contains("GPT2"), "{err}");
        assert!(says(&[], Some("gptneox")).contains("model_type: ") && says(&[], Some("gptneox")).contains("GPTNeoX"));
        assert!(says(&[], None).contains("neither"));
        assert!(says(&["x".repeat(5000).as_str()], None).len() < 600);
    }
}

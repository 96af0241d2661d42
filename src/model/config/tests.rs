//! Configurations as transformers understands them, and those that nobody should understand.

use super::{CONFIG, GENERATION_CONFIG, ModelConfig, RopeScaling, activation};
use crate::error::Result;
use crate::model::ARCHES;
use serde_json::{Map, Value, json};
use std::path::Path;

fn llama(changes: Value) -> Value {
    let mut config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 172,
        "vocab_size": 512, "num_hidden_layers": 5, "num_attention_heads": 8,
    });
    let changes = changes.as_object().unwrap();
    // A class of another family comes without this one's type, which would decide.
    if changes.contains_key("architectures") {
        config["model_type"] = Value::Null;
    }
    for (key, value) in changes {
        config[key] = value.clone();
    }
    config
}

fn parse(config: &Value) -> Result<ModelConfig> {
    ModelConfig::from_json(config.as_object().unwrap(), Path::new("x/config.json"))
}

fn read(changes: Value) -> Result<ModelConfig> {
    parse(&llama(changes))
}

fn refusal(changes: Value) -> String {
    read(changes).unwrap_err().to_string()
}

/// What `tests/fixtures/make_configs.py` writes down of a configuration, in its words.
fn described(config: &ModelConfig) -> Value {
    let layers = &config.layers;
    json!({
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "vocab_size": config.vocab_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "norm_eps": config.norm_eps,
        "max_length": config.max_length,
        "tie_word_embeddings": config.tie_word_embeddings,
        "attention_bias": config.attention_bias,
        "attention_out_bias": config.attention_out_bias,
        "mlp_bias": config.mlp_bias,
        "attention_softcap": config.attention_softcap,
        "final_softcap": config.final_softcap,
        "embedding_multiplier": config.embedding_multiplier,
        "residual_multiplier": config.residual_multiplier,
        "logits_scaling": config.logits_scaling,
        "parallel_residual": config.parallel_residual,
        "bos_token_id": config.bos_token_id,
        "eos_token_ids": config.eos_token_ids,
        "thetas": config.ropes.iter().map(|rope| rope.theta).collect::<Vec<_>>(),
        "partial": config.ropes.iter().map(|rope| rope.partial).collect::<Vec<_>>(),
        "windows": layers.iter().map(|layer| layer.window).collect::<Vec<_>>(),
        "turns": layers.iter().map(|layer| layer.rope.is_some()).collect::<Vec<_>>(),
        "scales": layers.iter().map(|layer| layer.scale).collect::<Vec<_>>(),
        "experts": layers.iter().map(|layer| layer.experts).collect::<Vec<_>>(),
        "mixture": config.experts.map(|mixture| json!([
            mixture.num_experts, mixture.num_experts_per_tok, mixture.intermediate_size, mixture.normalised,
        ])),
    })
}

/// Equal, where numbers are read as f32.
fn same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Number(f), Value::Number(e)) => f.as_f64().unwrap() as f32 == e.as_f64().unwrap() as f32,
        (Value::Array(f), Value::Array(e)) => f.len() == e.len() && f.iter().zip(e).all(|(f, e)| same(f, e)),
        _ => found == expected,
    }
}

fn cases() -> Vec<Map<String, Value>> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/configs.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

// tests/fixtures/make_configs.py: transformers 5.24.
#[test]
fn configurations_mean_what_they_mean_to_transformers() {
    for case in cases() {
        let name = &case["name"];
        let config = parse(&case["config"]).unwrap();
        let found = described(&config);
        for (key, expected) in case["expected"].as_object().unwrap() {
            if key == "hidden_act" {
                let expected = activation(expected.as_str().unwrap(), "").unwrap();
                assert_eq!(config.hidden_act, expected, "{name}");
            } else {
                assert!(same(&found[key], expected), "{name}, {key}: {} is not {expected}", found[key]);
            }
        }
    }
}

#[test]
fn every_family_is_compared_with_transformers() {
    let tested: Vec<Value> = cases().iter().map(|case| case["config"]["architectures"][0].clone()).collect();
    for arch in ARCHES.iter().filter(|arch| !arch.text_config) {
        assert!(tested.contains(&json!(arch.class)), "{}", arch.class);
    }
}

#[test]
fn reads_old_and_new_spellings() {
    let old = read(json!({"rope_theta": 500000.0, "torch_dtype": "bfloat16", "eos_token_id": 2,
        "rope_scaling": {"type": "linear", "factor": 4.0}}));
    let new = read(json!({"rope_parameters": {"rope_theta": 500000.0, "rope_type": "linear", "factor": 4.0},
        "dtype": "torch.bfloat16", "eos_token_id": [2]}));
    for config in [old.unwrap(), new.unwrap()] {
        assert_eq!(config.ropes.len(), 1);
        assert_eq!(config.ropes[0].theta, 500_000.0);
        assert_eq!(config.ropes[0].scaling, RopeScaling::Linear { factor: 4.0 });
        assert_eq!(config.dtype.as_deref(), Some("bfloat16"));
        assert_eq!(config.eos_token_ids, [2]);
    }
}

#[test]
fn files_and_their_generation_settings_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, json: Value| std::fs::write(dir.path().join(name), json.to_string()).unwrap();
    assert!(ModelConfig::load(dir.path()).unwrap_err().to_string().contains("config.json: is not there"));
    write(CONFIG, llama(json!({"quantization_config": {"quant_method": "bitsandbytes"}})));
    let config = ModelConfig::load(dir.path()).unwrap();
    assert_eq!((config.eos_token_ids.as_slice(), config.repetition_penalty), (&[2][..], None));
    assert_eq!(config.quantization_config, Some(json!({"quant_method": "bitsandbytes"})));
    write(GENERATION_CONFIG, json!({"eos_token_id": [2, 7], "repetition_penalty": 1.1}));
    let config = ModelConfig::load(dir.path()).unwrap();
    assert_eq!((config.eos_token_ids.as_slice(), config.repetition_penalty), (&[2, 7][..], Some(1.1)));
    write(GENERATION_CONFIG, json!({"eos_token_id": "x"}));
    let err = ModelConfig::load(dir.path()).unwrap_err().to_string();
    assert!(err.contains("generation_config.json, eos_token_id"), "{err}");
    std::fs::write(dir.path().join(CONFIG), "{\"hidden_size\": ").unwrap();
    assert!(ModelConfig::load(dir.path()).unwrap_err().to_string().contains("config.json:1"));
}

// google/gemma-3-4b-it as it was published.
#[test]
fn language_models_inside_of_others_are_read() {
    let config = json!({
        "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "eos_token_id": [1, 106],
        "boi_token_index": 255999, "torch_dtype": "bfloat16", "vision_config": {"hidden_size": 1152},
        "text_config": {
            "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024,
        },
    });
    let config = parse(&config).unwrap();
    assert_eq!((config.hidden_size, config.num_hidden_layers, config.vocab_size), (2560, 34, 262_208));
    assert_eq!((config.num_attention_heads, config.num_key_value_heads, config.head_dim), (8, 4, 256));
    assert_eq!((config.eos_token_ids.as_slice(), config.bos_token_id), (&[1, 106][..], Some(2)));
    assert_eq!(config.dtype.as_deref(), Some("bfloat16"));
    assert!(config.tie_word_embeddings);
    let [full, local] = config.ropes.as_slice() else { panic!("{:?}", config.ropes) };
    assert_eq!((full.theta, &full.scaling), (1e6, &RopeScaling::Linear { factor: 8.0 }));
    assert_eq!((local.theta, &local.scaling), (1e4, &RopeScaling::Default));
    let kinds: Vec<_> = config.layers.iter().map(|layer| (layer.window, layer.rope)).take(7).collect();
    let local = (Some(1024), Some(1));
    assert_eq!(kinds, [local, local, local, local, local, (None, Some(0)), local]);
}

#[test]
fn unknown_things_are_refused_by_name() {
    let err = refusal(json!({"architectures": ["DodoForCausalLM"]}));
    for part in ["config.json", "DodoForCausalLM"] {
        assert!(err.contains(part), "{err}");
    }
    assert!(refusal(json!({"architectures": ["LLamaForCausalLM"]})).contains("the nearest are LlamaForCausalLM"));
    let err = refusal(json!({"architectures": null, "model_type": null}));
    assert!(err.contains("neither `architectures` nor `model_type`"), "{err}");
    let err = refusal(json!({"rope_scaling": {"rope_type": "mrope", "factor": 2.0}}));
    assert!(err.contains("rope_scaling") && err.contains("`mrope`") && err.contains("longrope"), "{err}");
    assert!(refusal(json!({"hidden_act": "wiggle"})).contains("wiggle"));
    let chunked = ["chunked_attention"; 5];
    let chunked = json!({"architectures": ["Qwen3ForCausalLM"], "num_key_value_heads": 8, "layer_types": chunked});
    assert!(refusal(chunked).contains("chunked_attention"));
    assert!(refusal(json!({"use_bidirectional_attention": true})).contains("bidirectional"));
    assert!(refusal(json!({"add_cross_attention": true})).contains("cross-attention"));
}

#[test]
fn impossible_shapes_are_refused() {
    assert!(refusal(json!({"num_key_value_heads": 3})).contains("evenly"));
    assert!(refusal(json!({"num_key_value_heads": 0})).contains("num_key_value_heads"));
    for layers in [1u64 << 60, 1 << 20, 0] {
        assert!(refusal(json!({"num_hidden_layers": layers})).contains("num_hidden_layers"));
    }
    assert!(refusal(json!({"hidden_size": null})).contains("hidden_size: is missing"));
    let err = refusal(json!({"hidden_size": "64"}));
    assert!(err.contains("config.json, hidden_size: should be a whole number from 0, not \"64\""), "{err}");
    assert!(refusal(json!({"head_dim": 7})).contains("even"));
    assert!(refusal(json!({"head_dim": 1 << 20})).contains("head_dim"));
    assert!(refusal(json!({"num_attention_heads": 128})).contains("head_dim"));
    assert!(refusal(json!({"tie_word_embeddings": "yes"})).contains("true or false"));
    assert!(refusal(json!({"eos_token_id": -1})).contains("token id"));
    let window = json!({"architectures": ["Gemma2ForCausalLM"], "sliding_window": null, "head_dim": 8});
    assert!(refusal(window).contains("sliding_window"));
    let list =
        json!({"architectures": ["Qwen2ForCausalLM"], "num_key_value_heads": 8, "layer_types": ["full_attention"]});
    assert!(refusal(list).contains("lists 1 layers of 5"));
    let interval =
        json!({"architectures": ["SmolLM3ForCausalLM"], "num_key_value_heads": 4, "no_rope_layer_interval": 0});
    assert!(refusal(interval).contains("no_rope_layer_interval"));
    let heads = json!({"architectures": ["GPT2LMHeadModel"], "num_attention_heads": 7});
    assert!(refusal(heads).contains("evenly"));
    let experts = json!({"architectures": ["MixtralForCausalLM"], "num_local_experts": 2, "num_experts_per_tok": 3});
    assert!(refusal(experts).contains("3 of 2 experts"));
}

#[test]
fn impossible_ropes_are_refused() {
    let rope = |rope: Value| refusal(json!({"rope_parameters": rope}));
    assert!(rope(json!({"rope_type": "llama3", "factor": 8.0})).contains("low_freq_factor"));
    assert!(rope(json!({"rope_type": "linear", "factor": 0.0})).contains("factor"));
    assert!(rope(json!({"rope_type": "linear", "factor": 1e300})).contains("factor"));
    assert!(rope(json!({"rope_type": "dynamic", "factor": 0.5})).contains("at least 1"));
    assert!(rope(json!({"rope_theta": -1.0})).contains("rope_theta"));
    assert!(rope(json!({"rope_type": "yarn", "factor": 2.0, "rope_theta": 1.0})).contains("above 1"));
    let levels = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4.0, "high_freq_factor": 4.0});
    assert!(rope(levels).contains("high_freq_factor"));
    let long = json!({"rope_type": "longrope", "short_factor": [1.0], "long_factor": [1.0, 2.0, 3.0, 4.0]});
    assert!(rope(long).contains("1 factors for 4 pairs"));
    assert!(rope(json!({"rope_type": "linear", "factor": 2.0, "partial_rotary_factor": 0.5})).contains("in part"));
    assert!(rope(json!({"full_attention": {"rope_theta": 2.0}})).contains("layer to layer"));
    let neox = json!({"architectures": ["GPTNeoXForCausalLM"], "rotary_pct": 1.5});
    assert!(refusal(neox).contains("cannot turn 12 channels of a head of 8"));
    let flat = json!({"architectures": ["Gemma3ForCausalLM"], "head_dim": 8, "rope_parameters": {"rope_theta": 1e6}});
    assert!(refusal(flat).contains("sliding_attention"));
}

/// Whatever stands at whatever key: a configuration or an error, never a panic.
#[test]
fn no_value_makes_the_reader_panic() {
    let odd = [
        json!(null),
        json!(0),
        json!(1),
        json!(3),
        json!(-1),
        json!(0.5),
        json!(1e308),
        json!(u64::MAX),
        json!(1u64 << 32),
        json!(""),
        json!("yarn"),
        json!([]),
        json!([0]),
        json!([[]]),
        json!({}),
        json!({"type": "yarn"}),
        json!({"rope_type": "longrope", "short_factor": [], "long_factor": []}),
        json!({"factor": 1e-320}),
        json!(true),
        json!({"full_attention": 3}),
        json!({"full_attention": {"rope_type": "dynamic", "factor": 2}}),
    ];
    for case in cases() {
        let config = case["config"].as_object().unwrap();
        let mut keys: Vec<&str> = config.keys().map(String::as_str).collect();
        keys.extend(["rope_scaling", "rope_parameters", "layer_types", "sliding_window", "head_dim", "text_config"]);
        keys.extend(["rope_theta", "max_position_embeddings", "original_max_position_embeddings", "num_hidden_layers"]);
        for key in keys {
            for value in &odd {
                let mut config = config.clone();
                config.insert(key.to_string(), value.clone());
                if let Ok(config) = parse(&Value::Object(config)) {
                    assert_eq!(config.layers.len(), config.num_hidden_layers);
                    for rope in &config.ropes {
                        assert!((2..=config.head_dim).contains(&rope.rotary_dim(config.head_dim)), "{key}: {value}");
                    }
                }
            }
        }
    }
}

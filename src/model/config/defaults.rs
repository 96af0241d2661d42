//! What a family's `config.json` means where it says nothing: the defaults of its configuration class in transformers, and which
//! keys the class knows at all.

/// One family's defaults. Families write down what differs from [`Defaults::BASE`].
pub struct Defaults {
    /// Common key, the family's own name for it.
    pub spellings: &'static [(&'static str, &'static str)],
    pub vocab_size: usize,
    pub hidden_size: usize,
    /// `None`: four times `hidden_size`.
    pub intermediate_size: Option<usize>,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub key_value_heads: KeyValueHeads,
    pub head_dim: HeadDim,
    pub norm_eps: f64,
    pub hidden_act: &'static str,
    pub max_position_embeddings: usize,
    /// `None`: positions are learned.
    pub rope: Option<RopeDefaults>,
    pub windows: Windows,
    /// `sliding_window` without the key.
    pub sliding_window: Option<usize>,
    pub scale: Scale,
    /// Biases of q, k and v.
    pub attention_bias: Bias,
    /// Bias of the output projection of attention.
    pub attention_out_bias: Bias,
    pub mlp_bias: Bias,
    /// `attn_logit_softcapping`, in families that have it.
    pub attention_softcap: Softcap,
    /// `final_logit_softcapping`, in families that have it.
    pub final_softcap: Softcap,
    /// Whether the family has `embedding_multiplier`, `residual_multiplier` and `logits_scaling`.
    pub multipliers: bool,
    /// `use_parallel_residual`, in families that have it.
    pub parallel_residual: Option<bool>,
    pub experts: Option<ExpertDefaults>,
    pub tie_word_embeddings: bool,
    pub bos_token_id: Option<u32>,
    pub eos_token_id: Option<u32>,
}

/// How many key-value heads there are.
pub enum KeyValueHeads {
    /// As many as attention heads, whatever the file says.
    AllHeads,
    /// `num_key_value_heads`; without it this number, or as many as attention heads.
    Key(Option<usize>),
}

/// How wide a head is.
pub enum HeadDim {
    /// The width divided by the heads, whatever the file says.
    Shared,
    /// `head_dim`; without it this number, or the width divided by the heads.
    Key(Option<usize>),
}

/// Whether linear layers have biases.
pub enum Bias {
    Never,
    Always,
    /// As the key says; without it as given here.
    Key(&'static str, bool),
}

/// Whether logits are softly capped.
pub enum Softcap {
    Never,
    /// As the key says; without it as given here.
    Key(Option<f64>),
}

/// What scores are multiplied by before the softmax.
pub enum Scale {
    /// One over the root of `head_dim`.
    HeadDim,
    /// One over the root of `query_pre_attn_scalar`, 256 without the key.
    QueryPreAttnScalar,
    /// `attention_multiplier`, 1 without the key.
    AttentionMultiplier,
    /// One over the root of `head_dim` unless `scale_attn_weights` is false, and with `scale_attn_by_inverse_layer_idx` divided
    /// by the layer's number from 1.
    Gpt2,
}

/// Which layers see only the nearest tokens.
pub enum Windows {
    Never,
    /// All, where `sliding_window` is a number.
    All,
    /// All, where `use_sliding_window` is true.
    AllIfUsed,
    /// Layers from `max_window_layers` (28), where `use_sliding_window` is true; `layer_types` wins.
    FromMaxWindowLayers,
    /// All but every n-th layer, n standing at the key if there is one; `layer_types` wins.
    AllButEvery {
        default: usize,
        key: Option<&'static str>,
    },
    /// The layers without rotary positions, where `use_sliding_window` is true; `layer_types` wins.
    NoRope,
}

/// Rotary positions of a family.
pub struct RopeDefaults {
    pub theta: f64,
    /// The key of the base outside of the rope's own settings.
    pub theta_key: &'static str,
    /// The base of layers with a window, where these have their own.
    pub local_theta: Option<f64>,
    /// The key of the part of a head that turns, and what it is without it; `None` where whole heads turn.
    pub partial: Option<(&'static str, f64)>,
    /// `original_max_position_embeddings` without the key.
    pub original_max_position_embeddings: Option<usize>,
    /// Names of rope types that mean another one in this family.
    pub aliases: &'static [(&'static str, &'static str)],
}

/// Mixtures of experts of a family.
pub struct ExpertDefaults {
    pub num_experts: usize,
    pub num_experts_per_tok: usize,
    /// The key of an expert's inner width, and what it is without it.
    pub intermediate_size: (&'static str, usize),
    /// Whether the shares of the chosen experts are made to sum to one: always, or as `norm_topk_prob` says.
    pub always_normalised: bool,
    /// Whether `mlp_only_layers` and `decoder_sparse_step` make some layers dense.
    pub some_dense: bool,
}

impl RopeDefaults {
    pub const BASE: RopeDefaults = RopeDefaults {
        theta: 10_000.0,
        theta_key: "rope_theta",
        local_theta: None,
        partial: None,
        original_max_position_embeddings: None,
        aliases: &[],
    };
}

impl Defaults {
    /// `LlamaConfig` of transformers, without the biases that only some families can have.
    pub const BASE: Defaults = Defaults {
        spellings: &[("norm_eps", "rms_norm_eps")],
        vocab_size: 32_000,
        hidden_size: 4096,
        intermediate_size: Some(11_008),
        num_hidden_layers: 32,
        num_attention_heads: 32,
        key_value_heads: KeyValueHeads::Key(None),
        head_dim: HeadDim::Key(None),
        norm_eps: 1e-6,
        hidden_act: "silu",
        max_position_embeddings: 2048,
        rope: Some(RopeDefaults::BASE),
        windows: Windows::Never,
        sliding_window: None,
        scale: Scale::HeadDim,
        attention_bias: Bias::Never,
        attention_out_bias: Bias::Never,
        mlp_bias: Bias::Never,
        attention_softcap: Softcap::Never,
        final_softcap: Softcap::Never,
        multipliers: false,
        parallel_residual: None,
        experts: None,
        tie_word_embeddings: false,
        bos_token_id: Some(1),
        eos_token_id: Some(2),
    };
}

/// `attention_bias`, false without the key.
pub const ATTENTION_BIAS: Bias = Bias::Key("attention_bias", false);

/// `mlp_bias`, false without the key.
pub const MLP_BIAS: Bias = Bias::Key("mlp_bias", false);

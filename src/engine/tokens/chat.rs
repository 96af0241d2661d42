//! Conversations to prompts: the model's chat template, and what to do when it has no place for a system turn.

use crate::engine::EngineOptions;
use crate::error::{Error, Result};
use crate::file;
use crate::model::{Tokenizer, gguf, read_json};
use crate::request::{Message, Role};
use crate::template::chat::{ChatError, ChatTemplate};
use crate::template::moment::Moment;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// What happens to a system turn that the chat template refuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SystemFallback {
    /// Its text goes before that of the first user turn.
    #[default]
    Fold,
    /// It is left out, as the reference does.
    Drop,
}

impl SystemFallback {
    pub fn as_str(self) -> &'static str {
        match self {
            SystemFallback::Fold => "fold",
            SystemFallback::Drop => "drop",
        }
    }
}

/// Stands for the end of an unfinished answer while the template is rendered. The space shows whether the template trims.
const MARK: &str = "\u{e000}fairmark continues here\u{e000}";

/// A model's chat template, ready to render.
pub struct Chat {
    template: ChatTemplate,
    /// Special tokens and the user's settings, by name.
    names: Map<String, Value>,
    fallback: SystemFallback,
    notices: Vec<String>,
}

/// A rendered conversation, with what the user should know about it.
pub struct Rendered {
    pub text: String,
    pub notice: Option<&'static str>,
}

/// The special tokens that transformers gives to templates by name.
const SPECIAL_TOKENS: &[&str] =
    &["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Further special tokens, as a list.
const MORE_TOKENS: &[&str] = &["additional_special_tokens", "extra_special_tokens"];

/// The texts of a tokenizer's special tokens by their names, those that it has.
pub fn special_tokens(dir: &Path, tokenizer: &Tokenizer) -> Result<Map<String, Value>> {
    let mut tokens = Map::new();
    if !gguf::is_gguf(dir) {
        for name in ["special_tokens_map.json", "tokenizer_config.json"] {
            let written: Option<Map<String, Value>> = read_json(&dir.join(name))?;
            for (key, value) in written.into_iter().flatten() {
                tokens.extend(special_token(&key, &value).map(|text| (key.clone(), text)));
            }
        }
    }
    let known = [("bos_token", &tokenizer.bos), ("eos_token", &tokenizer.eos), ("pad_token", &tokenizer.pad)];
    for (name, token) in known {
        tokens.extend(token.as_ref().map(|token| (name.to_string(), Value::from(token.text.as_str()))));
    }
    Ok(tokens)
}

/// The text of a special token, or the texts of several.
fn special_token(key: &str, value: &Value) -> Option<Value> {
    let text = |token: &Value| Some(Value::from(token.as_str().or_else(|| token.get("content")?.as_str())?));
    match value {
        Value::Array(list) if MORE_TOKENS.contains(&key) => list.iter().map(text).collect(),
        _ if SPECIAL_TOKENS.contains(&key) => text(value),
        _ => None,
    }
}

/// The file that a model's chat template stands in.
pub fn template_file(dir: &Path) -> PathBuf {
    let own = ["chat_template.jinja", "tokenizer_config.json"].map(|name| dir.join(name));
    own.into_iter().find(|file| file.exists()).unwrap_or_else(|| dir.to_path_buf())
}

/// The source of a model's chat template: of a GGUF file that in its header; of a folder `chat_template.jinja`, else the entry of `tokenizer_config.json` (of several, the one
/// called `default`).
pub fn template_source(dir: &Path) -> Result<Option<String>> {
    if gguf::is_gguf(dir) {
        return gguf::chat_template(dir);
    }
    let file = dir.join("chat_template.jinja");
    match file::read_to_string(&file, file::SMALL) {
        Ok(source) => return Ok(Some(source)),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => {}
        Err(err) => return Err(Error::io("cannot read", &file, err)),
    }
    let file = dir.join("tokenizer_config.json");
    let config: Option<Value> = read_json(&file)?;
    let wrong = || Error::input("is neither a text nor a list of named texts").file(&file).key("chat_template");
    match config.as_ref().and_then(|c| c.get("chat_template")) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(source)) => Ok(Some(source.clone())),
        Some(Value::Array(named)) => {
            let template =
                |t: &Value| Some((t.get("name")?.as_str()?.to_string(), t.get("template")?.as_str()?.to_string()));
            let named: Vec<(String, String)> = named.iter().map(template).collect::<Option<_>>().ok_or_else(wrong)?;
            match named.iter().find(|(name, _)| name == "default").or(named.first().filter(|_| named.len() == 1)) {
                Some((_, source)) => Ok(Some(source.clone())),
                None => Err(Error::input("has several templates and none is called `default`")
                    .file(&file)
                    .key("chat_template")),
            }
        }
        Some(_) => Err(wrong()),
    }
}

impl Chat {
    /// `special`: the special tokens by name.
    ///
    /// Errors: no template, and settings that are not the user's to make.
    pub fn new(source: &str, special: Map<String, Value>, options: &EngineOptions) -> Result<Chat> {
        let template = ChatTemplate::new(source).map_err(|e| e.context("the model's chat template"))?;
        let args = &options.chat_template_args;
        if let Some(own) = args.keys().find(|name| ChatTemplate::is_own(name)) {
            return Err(Error::input(format!("`{own}` is the conversation's own")).key("--chat-template-args"));
        }
        let unused = args.keys().filter(|name| !template.uses(name));
        let mut notices: Vec<String> =
            unused.map(|name| format!("the chat template does not ask for `{name}` (--chat-template-args)")).collect();
        match (options.date, template.now()) {
            (Some(date), Some(_)) => template.set_now(date),
            (Some(_), None) => notices.push("the chat template prints no date: --date changes nothing".to_string()),
            (None, _) => {}
        }
        let mut names = special;
        names.extend(args.clone());
        Ok(Chat { template, names, fallback: options.system_fallback, notices })
    }

    /// What the user should know about the template's settings.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// The date that the template prints, if it prints one.
    pub fn date(&self) -> Option<Moment> {
        self.template.now()
    }

    /// Says which date it prints.
    pub fn set_date(&self, date: Moment) {
        self.template.set_now(date);
    }

    /// The prompt of a conversation. A system turn that the template refuses (or, when it is to be folded, leaves out) is dealt
    /// with as the fallback says.
    pub fn render(&self, messages: &[Message]) -> std::result::Result<Rendered, String> {
        let system = messages.first().filter(|m| m.role == Role::System);
        let failure = match (self.with_turns(messages), system, self.fallback) {
            (Ok(text), Some(system), SystemFallback::Fold) if !text.contains(system.content.trim()) => None,
            (Ok(text), ..) => return Ok(Rendered { text, notice: None }),
            (Err(failure), ..) => Some(failure),
        };
        if let Some(system) = system {
            let others = messages.get(1..).unwrap_or_default();
            let (turns, notice) = match self.fallback {
                SystemFallback::Fold => (
                    fold(system, others),
                    "the chat template has no system role: its text was put before that of the first user turn",
                ),
                SystemFallback::Drop => {
                    (others.to_vec(), "the chat template has no system role: the system turn was dropped, as asked for")
                }
            };
            if let Ok(text) = self.with_turns(&turns) {
                return Ok(Rendered { text, notice: Some(notice) });
            }
        }
        let failure = failure.map_or("it leaves out the system turn".to_string(), |f| f.to_string());
        Err(format!("the chat template failed: {failure}"))
    }

    fn with_turns(&self, messages: &[Message]) -> std::result::Result<String, ChatError> {
        let Some((last, before)) = messages.split_last().filter(|(last, _)| last.role == Role::Assistant) else {
            return self.template.render(messages, true, &self.names);
        };
        let mut marked = before.to_vec();
        marked.push(Message { role: Role::Assistant, content: format!("{}{MARK} ", last.content) });
        let text = self.template.render(&marked, false, &self.names)?;
        Ok(match text.rsplit_once(MARK) {
            Some((start, end)) if end.starts_with(' ') => start.to_string(),
            // The template trims what it is given, so the answer's start is trimmed as well.
            Some((start, _)) => start.trim_end().to_string(),
            // It does not show the last turn at all; then nothing can be continued but what it shows.
            None => text,
        })
    }
}

/// The turns with the system text before that of the first user turn, a blank line between them unless the text ends in white
/// space of its own.
fn fold(system: &Message, others: &[Message]) -> Vec<Message> {
    let mut turns = others.to_vec();
    if system.content.is_empty() {
        return turns;
    }
    match turns.first_mut().filter(|turn| turn.role == Role::User) {
        Some(first) => {
            let gap = if system.content.ends_with(char::is_whitespace) { "" } else { "\n\n" };
            first.content = format!("{}{gap}{}", system.content, first.content);
        }
        None => turns.insert(0, Message { role: Role::User, content: system.content.clone() }),
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::shared_model;
    use serde_json::json;

    fn turn(role: Role, content: &str) -> Message {
        Message { role, content: content.into() }
    }

    fn chat(source: &str, fallback: SystemFallback) -> Chat {
        let special = json!({"bos_token": "<bos>", "eos_token": "<eos>"}).as_object().unwrap().clone();
        Chat::new(source, special, &EngineOptions { system_fallback: fallback, ..EngineOptions::default() }).unwrap()
    }

    fn gemma(fallback: SystemFallback) -> Option<Chat> {
        let source = template_source(&shared_model("tiny-gemma")?).unwrap().unwrap();
        Some(chat(&source, fallback))
    }

    // Expected texts: tokenizer.apply_chat_template of transformers 5.23 with the folder's template.
    #[test]
    fn a_refused_system_turn_is_folded_or_dropped() {
        let (Some(fold), Some(drop)) = (gemma(SystemFallback::Fold), gemma(SystemFallback::Drop)) else { return };
        let turns = [turn(Role::System, "Be brief."), turn(Role::User, "Hi")];
        let folded = fold.render(&turns).unwrap();
        assert_eq!(folded.text, "<bos><start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\n");
        assert!(folded.notice.unwrap().contains("first user turn"));
        let dropped = drop.render(&turns).unwrap();
        assert_eq!(dropped.text, "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n");
        let spaced = [turn(Role::System, "Be brief.\n"), turn(Role::User, "Hi")];
        assert!(fold.render(&spaced).unwrap().text.contains("Be brief.\nHi"));
        let plain = fold.render(&turns[1..]).unwrap();
        assert_eq!((plain.text.as_str(), plain.notice), (dropped.text.as_str(), None));
    }

    #[test]
    fn an_answer_is_continued() {
        let Some(chat) = gemma(SystemFallback::Fold) else { return };
        let text = chat.render(&[turn(Role::User, "Hi"), turn(Role::Assistant, "Well, ")]).unwrap().text;
        assert_eq!(text, "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\nWell,");
        let keeps = self::chat("{% for m in messages %}[{{ m['content'] }}]{% endfor %}", SystemFallback::Fold);
        assert_eq!(
            keeps.render(&[turn(Role::User, "Hi"), turn(Role::Assistant, "Well, ")]).unwrap().text,
            "[Hi][Well, "
        );
    }

    #[test]
    fn other_failures_are_reported() {
        let Some(chat) = gemma(SystemFallback::Fold) else { return };
        let err = chat.render(&[turn(Role::User, "a"), turn(Role::User, "b")]).err().unwrap();
        assert!(err.contains("must alternate"), "{err}");
    }

    #[test]
    fn a_template_that_ignores_the_system_turn_gets_it_folded() {
        let source = "{% for m in messages if m['role'] == 'user' %}{{ m['content'] }}{% endfor %}";
        let rendered = chat(source, SystemFallback::Fold)
            .render(&[turn(Role::System, "Be brief."), turn(Role::User, "Hi")])
            .unwrap();
        assert_eq!(rendered.text, "Be brief.\n\nHi");
        assert!(rendered.notice.is_some());
    }

    #[test]
    fn special_tokens_have_their_names() {
        let Some(model) = shared_model("tiny-llama") else { return };
        let dir = tempfile::tempdir().unwrap();
        for name in ["config.json", "tokenizer.json"] {
            std::fs::copy(model.join(name), dir.path().join(name)).unwrap();
        }
        let config = json!({"bos_token": "<s>", "unk_token": {"content": "<unk>"}, "pad_token": null,
                            "additional_special_tokens": ["<a>", {"content": "<b>"}], "model_max_length": 9});
        std::fs::write(dir.path().join("tokenizer_config.json"), config.to_string()).unwrap();
        std::fs::write(dir.path().join("special_tokens_map.json"), r#"{"sep_token": "<sep>"}"#).unwrap();
        let tokenizer = Tokenizer::load(dir.path(), &crate::model::ModelConfig::load(dir.path()).unwrap()).unwrap();
        let special = special_tokens(dir.path(), &tokenizer).unwrap();
        assert_eq!(special["unk_token"], "<unk>");
        assert_eq!(special["sep_token"], "<sep>");
        assert_eq!(special["additional_special_tokens"], json!(["<a>", "<b>"]));
        assert!(!special.contains_key("pad_token") && !special.contains_key("model_max_length"));
    }

    #[test]
    fn settings_and_dates_are_the_templates() {
        let source = "{{ enable_thinking }}|{{ strftime_now('%d %b %Y') }}|{{ pad_token is defined }}";
        let mut options = EngineOptions { date: "2026-11-30".parse().ok(), ..EngineOptions::default() };
        options.chat_template_args = json!({"enable_thinking": false, "typo": 1}).as_object().unwrap().clone();
        let chat = Chat::new(source, Map::new(), &options).unwrap();
        let text = || chat.render(&[turn(Role::User, "Hi")]).unwrap().text;
        assert_eq!(text(), "False|30 Nov 2026|False");
        assert_eq!(chat.date(), options.date);
        chat.set_date("2020-01-02".parse().unwrap());
        assert_eq!(text(), "False|02 Jan 2020|False");
        assert!(chat.notices().iter().any(|notice| notice.contains("`typo`")), "{:?}", chat.notices());
        assert!(!chat.notices().iter().any(|notice| notice.contains("thinking")));
        let plain = Chat::new("{{ messages }}", Map::new(), &options).unwrap();
        assert!(plain.date().is_none() && plain.notices().iter().any(|notice| notice.contains("--date")));
        options.chat_template_args = json!({"messages": []}).as_object().unwrap().clone();
        assert!(Chat::new(source, Map::new(), &options).err().unwrap().to_string().contains("own"));
    }

    #[test]
    fn templates_come_as_text_or_named() {
        let dir = tempfile::tempdir().unwrap();
        let write =
            |config: Value| std::fs::write(dir.path().join("tokenizer_config.json"), config.to_string()).unwrap();
        assert_eq!(template_source(dir.path()).unwrap(), None);
        write(json!({"chat_template": "x"}));
        assert_eq!(template_source(dir.path()).unwrap().as_deref(), Some("x"));
        write(json!({"chat_template": [{"name": "tools", "template": "t"}, {"name": "default", "template": "d"}]}));
        assert_eq!(template_source(dir.path()).unwrap().as_deref(), Some("d"));
        write(json!({"chat_template": [{"name": "a", "template": "t"}, {"name": "b", "template": "d"}]}));
        assert!(template_source(dir.path()).unwrap_err().to_string().contains("default"));
        write(json!({"chat_template": 3}));
        assert!(template_source(dir.path()).is_err());
        std::fs::write(dir.path().join("chat_template.jinja"), "file").unwrap();
        assert_eq!(template_source(dir.path()).unwrap().as_deref(), Some("file"));
    }
}

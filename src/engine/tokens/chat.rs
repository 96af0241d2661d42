//! Conversations to prompts: the model's chat template, and what to do when it has no place for a system turn.

use crate::error::{Error, Result};
use crate::model::{gguf, read_json};
use crate::request::{Message, Role};
use crate::template::chat::{ChatError, ChatTemplate};
use serde_json::Value;
use std::path::Path;

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
    bos: String,
    eos: String,
    fallback: SystemFallback,
}

/// A rendered conversation, with what the user should know about it.
pub struct Rendered {
    pub text: String,
    pub notice: Option<&'static str>,
}

/// The source of a model's chat template: of a GGUF file that in its header; of a folder `chat_template.jinja`, else the entry of `tokenizer_config.json` (of several, the one
/// called `default`).
pub fn template_source(dir: &Path) -> Result<Option<String>> {
    if gguf::is_gguf(dir) {
        return gguf::chat_template(dir);
    }
    let file = dir.join("chat_template.jinja");
    match std::fs::read_to_string(&file) {
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
    pub fn new(source: &str, bos: &str, eos: &str, fallback: SystemFallback) -> Result<Chat> {
        let template = ChatTemplate::new(source).map_err(|e| e.context("the model's chat template"))?;
        Ok(Chat { template, bos: bos.to_string(), eos: eos.to_string(), fallback })
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
            return self.template.render(messages, true, &self.bos, &self.eos);
        };
        let mut marked = before.to_vec();
        marked.push(Message { role: Role::Assistant, content: format!("{}{MARK} ", last.content) });
        let text = self.template.render(&marked, false, &self.bos, &self.eos)?;
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

    fn gemma(fallback: SystemFallback) -> Option<Chat> {
        let source = template_source(&shared_model("tiny-gemma")?).unwrap().unwrap();
        Some(Chat::new(&source, "<bos>", "<eos>", fallback).unwrap())
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
        let keeps =
            Chat::new("{% for m in messages %}[{{ m['content'] }}]{% endfor %}", "", "", SystemFallback::Fold).unwrap();
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
        let chat = Chat::new(source, "", "", SystemFallback::Fold).unwrap();
        let rendered = chat.render(&[turn(Role::System, "Be brief."), turn(Role::User, "Hi")]).unwrap();
        assert_eq!(rendered.text, "Be brief.\n\nHi");
        assert!(rendered.notice.is_some());
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

//! Chat templates against the answers of transformers, collected by `testdata/make.py`.

use super::{ChatError, ChatTemplate, Message, strftime};
use serde_json::Value;

fn messages(json: &Value) -> Vec<Message> {
    serde_json::from_value(json.clone()).unwrap()
}

#[test]
fn equals_transformers() {
    let golden: Value = serde_json::from_str(include_str!("testdata/chat.json")).unwrap();
    let mut wrong = Vec::new();
    for case in golden["cases"].as_array().unwrap() {
        let name = case["template"].as_str().unwrap();
        let template = ChatTemplate::new(golden["templates"][name].as_str().unwrap()).unwrap();
        let ours = template.render(
            &messages(&case["messages"]),
            case["add_generation_prompt"].as_bool().unwrap(),
            "<s>",
            "</s>",
        );
        let raised = case["error"].as_str().and_then(|e| e.strip_prefix("TemplateError: "));
        let same = match (&ours, case["output"].as_str()) {
            (Ok(text), Some(expected)) => text == expected,
            (Err(ChatError::Raised(message)), None) => Some(message.as_str()) == raised,
            (Err(ChatError::Failed(_)), None) => raised.is_none(),
            _ => false,
        };
        if !same {
            wrong.push(format!(
                "{name} {}\n  ours:   {ours:?}\n  theirs: {:?} {:?}",
                case["messages"], case["output"], case["error"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn errors_say_who_refuses() {
    let template = ChatTemplate::new("{{ raise_exception('Only user turns') }}").unwrap();
    let error = template.render(&[], true, "", "").unwrap_err();
    assert_eq!(error.to_string(), "template raised: Only user turns");
    let error: crate::error::Error = error.into();
    assert!(error.to_string().contains("refuses the conversation: Only user turns"));
    assert!(ChatTemplate::new("{% if %}").is_err());
}

#[test]
fn dates() {
    // CPython: datetime.fromtimestamp(1709213405, timezone.utc).strftime(...)
    let at = 1_709_213_405;
    assert_eq!(
        strftime("%d %b %Y %H:%M:%S %A %B %y %I%p %m %a 100%%", at).unwrap(),
        "29 Feb 2024 13:30:05 Thursday February 24 01PM 02 Thu 100%"
    );
    assert_eq!(strftime("%Y-%m-%d", 0).unwrap(), "1970-01-01");
    assert!(strftime("%Q", at).is_err());
    let template =
        ChatTemplate::at("{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% endif %}", at).unwrap();
    assert_eq!(template.render(&[], true, "", "").unwrap(), "29 Feb 2024");
    assert!(template.uses_clock());
}

//! Templates against the answers of Jinja2, collected by `testdata/make.py`.

use super::{Templates, check};
use serde_json::{Value, json};

fn golden(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn equals_jinja2() {
    let golden = golden(include_str!("testdata/jinja2.json"));
    let fields = golden["fields"].as_object().unwrap();
    let templates = Templates::new();
    let mut wrong = Vec::new();
    for case in golden["cases"].as_array().unwrap() {
        let source = case["template"].as_str().unwrap();
        let ours = templates.render(source, fields);
        match (ours, case.get("output")) {
            (Ok(text), Some(expected)) if text == expected.as_str().unwrap() => {}
            (Err(_), None) => {}
            (ours, expected) => wrong
                .push(format!("{source:?}\n  ours:   {ours:?}\n  jinja2: {:?}", expected.unwrap_or(&case["error"]))),
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_good_template_passes_the_check() {
    let golden = golden(include_str!("testdata/jinja2.json"));
    for case in golden["cases"].as_array().unwrap() {
        let source = case["template"].as_str().unwrap();
        if case.get("output").is_some() {
            assert!(check(source).is_ok(), "{source}: {:?}", check(source));
        }
    }
}

fn message(source: &str) -> String {
    check(source).unwrap_err().to_string()
}

#[test]
fn check_names_what_is_unknown() {
    assert_eq!(
        message("a\n{{ x | capitalise }}"),
        "line 2: unknown filter `capitalise`\n  hint: did you mean `capitalize`?"
    );
    assert_eq!(message("{{ x is not definde }}"), "line 1: unknown test `definde`\n  hint: did you mean `defined`?");
    assert!(message("{{ x is None }}").contains("did you mean `none`?"));
    assert!(message("{{ rang(3) }}").contains("unknown function `rang`\n  hint: did you mean `range`?"));
    assert!(message("{{ x | map('uper') | list }}").contains("unknown filter `uper`"));
    assert!(message("\n\n{% if x %}").starts_with("line 3: template: "), "{}", message("\n\n{% if x %}"));
    assert!(message("{{ x }").contains("line 1"));
    assert!(message("{{ '\\N{BULLET}' }}").contains("not supported"));
    for good in [
        "{{ x.capitalise() }}",
        "{{ '| nosuch' }}",
        "{# | nosuch #}",
        "{% raw %}{{ x | nosuch }}{% endraw %}",
        "{% macro f() %}{% endmacro %}{{ f() }}",
        "{% macro f() %}{{ caller() }}{% endmacro %}{% call f() %}x{% endcall %}",
        "{% for x in y recursive %}{{ loop(x) }}{% endfor %}",
        "{{ not (x) and (y) }}",
    ] {
        assert!(check(good).is_ok(), "{good}: {:?}", check(good));
    }
}

#[test]
fn undefined_names_are_named() {
    let fields = json!({"question": "q", "choices": {"text": []}});
    let render = |source: &str| Templates::new().render(source, fields.as_object().unwrap()).unwrap_err().to_string();
    assert_eq!(render("a\n{{ quetsion }}"), "line 2: `quetsion` is undefined\n  hint: columns: question, choices");
    assert_eq!(render("{{ choices.label[0] }}").lines().next().unwrap(), "line 1: `choices.label` is undefined");
    assert!(render("{{ quetsion.strip() }}").contains("`quetsion`"), "{}", render("{{ quetsion.strip() }}"));
    assert!(render("{{ question.index('x') }}").contains("`x` is not in the text"));
}

#[test]
fn runaway_templates_stop() {
    let fields = json!({"x": "abcdefgh"});
    let render = |source: &str| Templates::new().render(source, fields.as_object().unwrap());
    for source in [
        "{% for a in range(99999) %}{% for b in range(99999) %}{{ b }}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% set ns = namespace(x=x) %}{% for a in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
        "{{ (x * 9999999) * 9999999 }}",
        "{{ range(99999) | join(x * 10000) }}",
        "{{ x | regex_replace('', x * 999999) | regex_replace('', x * 9999) }}",
    ] {
        assert!(render(source).is_err(), "{source}");
    }
    let err = render("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}").unwrap_err();
    assert!(err.to_string().contains("does not come to an end"), "{err}");
    let err = render("{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}").unwrap_err();
    assert!(err.to_string().contains("hold itself"), "{err}");
}

#[test]
fn a_template_cannot_include_another() {
    let fields = json!({"x": "{{ 1 + 1 }}"});
    let err = Templates::new().render("{% include x %}", fields.as_object().unwrap()).unwrap_err();
    assert!(err.to_string().contains("includes another"), "{err}");
}

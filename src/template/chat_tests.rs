//! Chat templates against the answers of transformers, collected by `testdata/make.py` and `testdata/expressions.py`.

use super::{ChatError, ChatTemplate, Message};
use serde_json::{Map, Value, json};

fn messages(json: &Value) -> Vec<Message> {
    serde_json::from_value(json.clone()).unwrap()
}

fn names(json: Value) -> Map<String, Value> {
    json.as_object().unwrap().clone()
}

#[test]
fn equals_transformers() {
    let golden: Value = serde_json::from_str(include_str!("testdata/chat.json")).unwrap();
    let special = names(json!({"bos_token": "<s>", "eos_token": "</s>"}));
    let mut wrong = Vec::new();
    for case in golden["cases"].as_array().unwrap() {
        let name = case["template"].as_str().unwrap();
        let template = ChatTemplate::new(golden["templates"][name].as_str().unwrap()).unwrap();
        let ours =
            template.render(&messages(&case["messages"]), case["add_generation_prompt"].as_bool().unwrap(), &special);
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

/// What differs and stays so: see docs/templates.md.
const DIFFERENT: &[&str] = &[
    // Values of different kinds have an order.
    "{{ missing < 1 }}",
    "{{ none < 1 }}",
    "{{ 1 < 'a' }}",
    "{{ 1 in 'abc' }}",
    // Slices of nothing are empty.
    "{{ none[1:] }}",
    "{{ missing[1:] }}",
    // Methods that are not called, and some that templates do not call.
    "{{ text.encode }}",
    "{{ text.translate({}) }}",
    "{{ (dict | attr('get'))('a') }}",
    // What goes through a dict or counts prints as a list.
    "{{ dict.keys() }}",
    "{{ dict.values() }}",
    "{{ dict.items() }}",
    "{{ dict.keys() | tojson }}",
    "{{ range(3) | tojson }}",
    "{{ range(3) }}",
    // Not there.
    "{{ 'foo bar baz' | wordwrap(5) }}",
    "{{ lipsum is defined }}",
    "{{ self is defined }}",
    "{{ dict | pprint }}",
    r#"{{ "\N{BULLET}" | length }}"#,
    "{% macro m(a, b='x') %}{{ a }}{{ b }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1) }} {{ m(1, 2) }} {{ m(b=3, a=4) }}",
];

/// Small expressions, each by itself: 540 of them.
#[test]
fn expressions_equal_jinja2() {
    let golden: Value = serde_json::from_str(include_str!("testdata/expressions.json")).unwrap();
    let mut given = names(golden["values"].clone());
    given.extend(names(golden["special"].clone()));
    given.remove("messages");
    let mut wrong = Vec::new();
    for case in golden["cases"].as_array().unwrap() {
        let source = case["template"].as_str().unwrap();
        // Tool calls are no part of our turns: a name that can be set stands for the conversation.
        let ours =
            ChatTemplate::new(&source.replace("messages", "turns")).map_err(ChatError::Failed).and_then(|template| {
                template.set_now(golden["now"].as_str().unwrap().parse().unwrap());
                let mut given = given.clone();
                given.insert("turns".into(), golden["values"]["messages"].clone());
                template.render(&[], true, &given)
            });
        let same = match (&ours, case["output"].as_str()) {
            (Ok(text), Some(expected)) => text == expected,
            (Err(_), None) => true,
            _ => false,
        };
        let theirs = case.get("output").unwrap_or(&case["error"]);
        match (same, DIFFERENT.contains(&source)) {
            (true, true) => wrong.push(format!("{source} is the same by now")),
            (false, false) => wrong.push(format!("{source}\n  ours:   {ours:?}\n  jinja2: {theirs}")),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn rendered(source: &str, given: Value) -> Result<String, String> {
    let template = ChatTemplate::new(source).map_err(|err| err.to_string())?;
    template.render(&[], true, &names(given)).map_err(|err| err.to_string())
}

#[test]
fn errors_say_who_refuses() {
    let template = ChatTemplate::new("{{ raise_exception('Only user turns') }}").unwrap();
    let error = template.render(&[], true, &Map::new()).unwrap_err();
    assert_eq!(error.to_string(), "template raised: Only user turns");
    let error: crate::error::Error = error.into();
    assert!(error.to_string().contains("refuses the conversation: Only user turns"));
    assert!(ChatTemplate::new("{% if %}").is_err());
    let long = rendered("{{ raise_exception('x' * 1000000) }}", json!({})).unwrap_err();
    assert!(long.len() < 500, "{} bytes", long.len());
}

#[test]
fn the_guard_of_many_templates() {
    let guard = "{% if tools is iterable and tools | length > 0 %}tools{% else %}none{% endif %}";
    assert_eq!(rendered(guard, json!({})).unwrap(), "none");
    assert_eq!(rendered(guard, json!({"tools": [{"name": "f"}]})).unwrap(), "tools");
    assert!(rendered("{% for x in tools %}{% endfor %}", json!({})).unwrap_err().contains("none"));
}

#[test]
fn dates() {
    let at = |source: &str| {
        let template = ChatTemplate::new(source).unwrap();
        template.set_now("2024-02-29T13:30:05".parse().unwrap());
        (template.now().map(|now| now.to_string()), template.render(&[], true, &Map::new()).unwrap())
    };
    let guarded = "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% endif %}";
    assert_eq!(at(guarded), (Some("2024-02-29".into()), "29 Feb 2024".into()));
    assert_eq!(at("{{ strftime_now('%H:%M') }}"), (Some("2024-02-29T13:30:05".into()), "13:30".into()));
    let format = "{% set f = '%Y' %}{{ strftime_now(f) }}";
    assert_eq!(at(format), (Some("2024-02-29T13:30:05".into()), "2024".into()));
    assert_eq!(at("{{ strftime_now is defined }}{{ 'strftime_now' }}"), (None, "Truestrftime_now".into()));
    assert!(rendered("{{ strftime_now('%Q') }}", json!({})).unwrap_err().contains("%Q"));
}

/// Templates that grow without end, or go deeper than any stack: each ends soon and with little memory.
#[test]
fn hostile_templates_are_stopped() {
    let many = |what: &str, n: usize| what.repeat(n);
    let started = std::time::Instant::now();
    for source in [
        "{% set ns = namespace(l=[1]) %}{% for i in range(40) %}{% set ns.l = ns.l + ns.l %}{% endfor %}{{ ns.l | length }}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(40) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(d={}) %}{% for i in range(40) %}{% set ns.d = {'a': ns.d, 'b': ns.d} %}{% endfor %}{{ ns.d | tojson }}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(90000) %}{% set ns.l = [ns.l] %}{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(40) %}{% set ns.l = ns.l | batch(1) | list %}{% endfor %}{{ ns.l | batch(1, ns.l) | list }}{% for i in range(200) %}{% set ns.l = ns.l | batch(1) | list %}{% endfor %}",
        "{% set ns = namespace(m=1) %}{% for i in range(90000) %}{% set n = namespace() %}{% set n.m = ns.m %}{% set ns.m = n %}{% endfor %}",
        "{% macro f(l, n) %}{{ f([l, l], n - 1) if n else l }}{% endmacro %}{{ f(1, 40) }}",
        "{{ [1, 2] | tojson(indent=1000000000) }}",
        "{{ [[[[1]]]] | tojson(indent=60000000) }}",
        "{{ ([1] * 100000000) | tojson }}",
        "{{ [1] * 100000000 }}",
        "{{ ([1] * 100000000) | string | length }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 'x'.center(1000000000) }}{{ 'x' | center(1000000000) }}",
        "{{ ('\t' * 100000).expandtabs(100000) }}",
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = '%s%s' % (ns.s, ns.s) %}{% endfor %}",
        "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        &format!("{{{{ 1{} }}}}", many("+1", 100_000)),
        &format!("{{{{ {}1 }}}}", many("not ", 100_000)),
        &format!("{{% if 0 %}}{}{{% endif %}}", many("{% elif 0 %}", 100_000)),
    ] {
        let outcome = rendered(source, json!({}));
        let shown: String = source.chars().take(200).collect();
        assert!(outcome.is_err(), "{shown}: {} bytes", outcome.map(|text| text.len()).unwrap_or_default());
    }
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

/// Chains as long as a template may be are read, compiled, run and dropped on a small stack.
#[test]
fn long_chains_need_no_stack_of_the_callers() {
    let chains = [
        ("{{ 1", "+1", " }}"),
        ("{{ 'a'", "~'a'", " }}"),
        ("{{ 1", " and 1", " }}"),
        ("{{ ", "not ", "1 }}"),
        ("{{ ", "-", "1 }}"),
        ("{{ 1", "**1", " }}"),
        ("{{ q", ".x", " }}"),
        ("{{ q", "[0]", " }}"),
        ("{{ q", "()", " }}"),
        ("{{ 'q'", "|upper", " }}"),
        ("{{ 'q'", " is string", " }}"),
        ("{{ 1", " if 1 else 1", " }}"),
        ("{% if 0 %}", "{% elif 0 %}", "{% endif %}"),
        ("{{ 1", " < 2", " }}"),
        ("{{ 1", "*1", " }}"),
        ("{{ 7", "%5", " }}"),
        ("{{ 1", " or 1", " }}"),
        ("{{ 1", " == 1", " }}"),
        ("{{ 'a'", " in 'a'", " }}"),
        ("{{ [", "1,", "1] }}"),
        ("{{ f(", "1,", "1) }}"),
        ("{{ 'a'", " 'a'", " }}"),
        ("", "{% if 1 %}{% endif %}", ""),
        ("{% set x = 1", ", 1", " %}"),
        ("{{ {", "'a':1,", "} }}"),
        ("{{ 1", "-1", " }}"),
    ];
    let small = std::thread::Builder::new().stack_size(1 << 20);
    let work = move || {
        for (before, link, after) in chains {
            for links in [150, 3_000] {
                let source = format!("{before}{}{after}", link.repeat(links));
                // Whether it renders is no matter: it must come back.
                let _ = rendered(&source, json!({"q": 1}));
                let _ = crate::template::check(&source);
                let fields = json!({"q": 1});
                let _ = crate::template::Templates::new().render(&source, fields.as_object().unwrap());
            }
        }
    };
    small.spawn(work).unwrap().join().unwrap();
}

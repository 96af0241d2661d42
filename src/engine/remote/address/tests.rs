//! Names of models at servers: which there are, what they mean, which key goes where.

use super::*;

const CANARY: &str = "canary-7f3a";

/// Variables, each with the canary in its value where it is a key.
fn env(set: &[(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
    let set = set.to_vec();
    move |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string())
}

const KEYS: &[(&str, &str)] = &[
    ("OPENAI_API_KEY", "openai-canary-7f3a"),
    ("ANTHROPIC_API_KEY", "anthropic-canary-7f3a"),
    ("GEMINI_API_KEY", "gemini-canary-7f3a"),
    ("AZURE_OPENAI_API_KEY", "azure-canary-7f3a"),
    ("FAIRMARK_API_KEY", "own-canary-7f3a"),
];

fn read(typed: &str, set: &[(&'static str, &'static str)]) -> Result<Address> {
    parse(typed, &env(set))
}

fn url(address: &Address) -> &str {
    address.bases[0].url.as_str()
}

fn header<'a>(address: &'a Address, name: &str) -> Option<&'a str> {
    address.bases[0].headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.expose())
}

#[test]
fn servers_are_told_from_paths_hub_ids_and_mocks() {
    for model in [
        "openai:gpt",
        "OpenAI:gpt",
        "http://h:1/v1",
        "HTTPS://h",
        "vllm:",
        "opanai:gpt",
        "xy:http://h",
        "ollama:llama3:8b",
    ] {
        assert!(is_remote(model), "{model}");
    }
    for model in [
        "mock",
        "mock:seed=1",
        "org/name",
        "org/name@main",
        "gpt2",
        "openai",
        "./openai:x",
        "C:\\models\\x",
        "c:/models",
        "D:x",
        "a/b:c",
        "../x",
        "models:old",
        "",
        ":",
        "é:x",
        "openai/gpt:x",
    ] {
        assert!(!is_remote(model), "{model}");
    }
}

#[test]
fn rows_give_address_and_key() {
    let address = read("openai:gpt-4o-mini", KEYS).unwrap();
    assert_eq!((url(&address), address.model.as_deref()), ("https://api.openai.com/v1/", Some("gpt-4o-mini")));
    assert_eq!(header(&address, "authorization"), Some("Bearer openai-canary-7f3a"));
    assert_eq!((address.label.as_str(), address.name.as_str()), ("gpt-4o-mini", "openai:gpt-4o-mini"));
    assert_eq!(address.wires[0].name(), "openai-chat");

    let address = read("anthropic:claude", KEYS).unwrap();
    assert_eq!(header(&address, "x-api-key"), Some("anthropic-canary-7f3a"));
    assert_eq!(header(&address, "anthropic-version"), Some("2023-06-01"));
    assert_eq!(header(&address, "authorization"), None);

    let address = read("ollama:llama3:8b", &[]).unwrap();
    assert_eq!((url(&address), address.model.as_deref()), ("http://127.0.0.1:11434/v1/", Some("llama3:8b")));
    assert!(address.bases[0].headers.is_empty());
    assert_eq!(read("openrouter:org/name", &[("OPENROUTER_API_KEY", "k")]).unwrap().label, "name");
    assert_eq!(read("gemini:g", &[("GOOGLE_API_KEY", "k")]).unwrap().bases[0].headers.len(), 1);
    assert_eq!(read("vllm:", &[]).unwrap().model, None);
    assert_eq!(read("vllm:", &[]).unwrap().label, "127.0.0.1:8000");
}

#[test]
fn variables_name_other_addresses() {
    let address =
        read("openai:m", &[("OPENAI_BASE_URL", "https://proxy.example/llm/v1"), ("OPENAI_API_KEY", "k")]).unwrap();
    assert_eq!((url(&address), header(&address, "authorization")), ("https://proxy.example/llm/v1/", Some("Bearer k")));
    assert_eq!(url(&read("ollama:m", &[("OLLAMA_HOST", "10.0.0.5:11434")]).unwrap()), "http://10.0.0.5:11434/v1/");
    let err = read("openai:m", &[("OPENAI_BASE_URL", "ftp://x"), ("OPENAI_API_KEY", "k")]).unwrap_err();
    assert!(err.to_string().starts_with("OPENAI_BASE_URL: "), "{err}");
}

#[test]
fn typed_addresses_may_be_short_several_and_without_a_model() {
    let at = |typed: &str| read(typed, &[]).unwrap();
    assert_eq!(url(&at("http://127.0.0.1:8000")), "http://127.0.0.1:8000/v1/");
    assert_eq!(url(&at("http://127.0.0.1:8000/v1/chat/completions#m")), "http://127.0.0.1:8000/v1/");
    assert_eq!(url(&at("https://h/llm/")), "https://h/llm/");
    assert_eq!(at("https://h/v1#org/name").label, "name");
    assert_eq!(at("http://h:8000/v1").label, "h:8000");
    let names: Vec<&str> = at("http://h/v1").wires.iter().map(|wire| wire.name()).collect();
    assert_eq!(names, ["compatible-completions", "compatible-chat"]);

    let fleet = at("vllm:http://a:1/v1,http://b:2/v1, http://c:3#m,n");
    let urls: Vec<&str> = fleet.bases.iter().map(|base| base.url.as_str()).collect();
    assert_eq!(urls, ["http://a:1/v1/", "http://b:2/v1/", "http://c:3/v1/"]);
    assert_eq!((fleet.model.as_deref(), fleet.row.name), (Some("m,n"), "vllm"));
    assert_eq!(at("http://h/v1?route=eu").bases[0].query, [("route".to_string(), "eu".to_string())]);
    assert!(read("http://a,http://a/v1#m", &[]).unwrap_err().to_string().contains("twice"));
    assert!(read("http://a,b#m", &[]).unwrap_err().to_string().contains("`b` is no"));
}

#[test]
fn azure_deployments_are_part_of_the_address() {
    let set = &[("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com/"), ("AZURE_OPENAI_API_KEY", "k")];
    let address = read("azure:my deployment", set).unwrap();
    assert_eq!(url(&address), "https://r.openai.azure.com/openai/deployments/my%20deployment/");
    assert_eq!(address.bases[0].query, [("api-version".to_string(), AZURE_VERSION.to_string())]);
    assert_eq!(header(&address, "api-key"), Some("k"));
    let address = read("azure:https://r.example?api-version=2030-01-01#d", &[]).unwrap();
    assert_eq!(address.bases[0].query[0].1, "2030-01-01");
    assert_eq!(url(&read("azure:https://r.example/openai/v1#d", &[]).unwrap()), "https://r.example/openai/v1/");
    assert!(read("azure:d", &[]).unwrap_err().to_string().contains("AZURE_OPENAI_ENDPOINT"));
    assert!(read("azure:", set).unwrap_err().to_string().contains("deployment"));
}

#[test]
fn a_providers_key_stays_at_its_provider() {
    for typed in [
        "openai:https://evil.example/v1#m",
        "openai:http://api.openai.com/v1#m",
        "openai:https://api.openai.com.evil.example#m",
    ] {
        assert_eq!(header(&read(typed, KEYS).unwrap(), "authorization"), Some("Bearer own-canary-7f3a"), "{typed}");
        assert_eq!(header(&read(typed, &KEYS[..4]).unwrap(), "authorization"), None, "{typed}");
    }
    let own = read("openai:https://api.openai.com/v1#m", KEYS).unwrap();
    assert_eq!(header(&own, "authorization"), Some("Bearer openai-canary-7f3a"));
    let fleet = read("openai:https://api.openai.com/v1,https://other.example/v1#m", KEYS).unwrap();
    assert_eq!(fleet.bases[1].headers[0].1.expose(), "Bearer own-canary-7f3a");
    // no key of ours for a provider
    assert!(read("openai:m", &[("FAIRMARK_API_KEY", "k")]).is_err());
    assert!(read("http://h/v1", KEYS).unwrap().key_hint.contains(OWN_KEY));
}

#[test]
fn what_can_be_mended_is_said_without_the_key() {
    for (typed, set, said) in [
        ("openai:m", &[][..], "hint: set OPENAI_API_KEY"),
        ("gemini:m", &[], "hint: set GEMINI_API_KEY or GOOGLE_API_KEY"),
        ("opanai:m", &[], "hint: did you mean `openai`?"),
        ("zzzz:http://h", &[], "hint: there are openai, "),
        ("openai-compatible:m", &[], "needs an address"),
        ("http://canary-7f3a@h/v1", &[], "has a user or password"),
        ("http://u:canary-7f3a@h:8/v1", &[], "the address of h:8 has a user"),
        ("http://u:canary-7f3a@:x/v1", &[], "not readable"),
        ("http://h/v1?api_key=canary-7f3a", &[], "has a key in it (`api_key`)"),
        ("http://h/v1?Access-Token=canary-7f3a#m", &[], "keys come from the environment only"),
        ("openai:sk-proj-canary-7f3a-0123456789", &[], "looks like a key"),
        ("openai:m", &[("OPENAI_API_KEY", "canary-7f3a\nx")], "OPENAI_API_KEY holds more than a key"),
        ("openai:m", &[("OPENAI_API_KEY", "canary-7f3aé")], "OPENAI_API_KEY holds more than a key"),
        ("http://", &[], "is no address"),
    ] {
        let err = read(typed, set).unwrap_err().to_string();
        assert!(err.contains(said), "{typed}: {err}");
        assert!(!err.contains(CANARY), "{err}");
    }
    let address = read("openai:m", &[("OPENAI_API_KEY", " canary-7f3a\r\n")]).unwrap();
    assert_eq!(header(&address, "authorization"), Some("Bearer canary-7f3a"));
    assert!(!format!("{address:?}").contains(CANARY));
}

#[test]
fn keys_over_plain_http_are_said() {
    let notices = |typed: &str| read(typed, KEYS).unwrap().notices;
    assert_eq!(
        notices("http://10.0.0.1:8000/v1"),
        ["the key in FAIRMARK_API_KEY goes to 10.0.0.1:8000 unencrypted (http://)"]
    );
    for typed in ["https://h/v1", "http://localhost:1/v1", "http://127.0.0.2/v1", "http://[::1]:8/v1", "vllm:"] {
        assert!(notices(typed).is_empty(), "{typed}");
    }
    assert!(read("http://10.0.0.1/v1", &[]).unwrap().notices.is_empty());
}

#[test]
fn the_table_is_in_order() {
    let mut names: Vec<&str> = ENDPOINTS.iter().map(|row| row.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ENDPOINTS.len());
    for row in ENDPOINTS {
        assert!(
            !row.wires.is_empty() && !row.about.is_empty() && is_remote(&format!("{}:m", row.name)),
            "{}",
            row.name
        );
        assert_eq!(row.needs_key, row.needs_key && !row.key_vars.is_empty(), "{}", row.name);
        let base = row.base_url.map(|url| Url::parse(url).unwrap());
        assert!(base.is_none_or(|url| url.path() == format!("/{}", row.path)), "{}", row.name);
    }
    assert_eq!(by_owner("llamacpp").map(|row| row.name), Some("llama-server"));
    assert!(by_owner("nobody").is_none());
    let owners = ["vllm", "sglang", "llamacpp", "me", "library"];
    assert!(owners.iter().all(|owner| by_owner(owner).is_some()));
}

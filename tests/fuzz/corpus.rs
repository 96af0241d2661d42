//! What changed inputs are made of: small valid files of each kind, and the words of their languages.

use super::targets::{Room, WORDS, header, journal, spec, written};
use polars::prelude::{DataFrame, NamedFrom, ParquetWriter, Series};
use serde_json::{Value, json};

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub fn tasks() -> Vec<Vec<u8>> {
    let data = "dataset_path: json\ndataset_kwargs: {data_files: {test: d.jsonl, train: d.jsonl}}\ntest_split: test\n";
    let rest = [
        "task: t\noutput_type: generate_until\ndoc_to_text: \"Q: {{q}}\\nA:\"\ndoc_to_target: \"{{a}}\"\ngeneration_kwargs: {until: [\"\\n\"], max_gen_toks: 8, do_sample: false, temperature: 0.0}\nfilter_list:\n  - name: strict\n    filter: [{function: regex, regex_pattern: \"(\\\\d+)\", group_select: -1}, {function: take_first}]\nmetric_list:\n  - {metric: exact_match, aggregation: mean, higher_is_better: true, ignore_case: true, ignore_punctuation: true}\n",
        "task: t\noutput_type: multiple_choice\ndoc_to_text: q\ndoc_to_choice: \"{{c}}\"\ndoc_to_target: g\nnum_fewshot: 1\nfewshot_split: train\nfewshot_config: {sampler: first_n}\nmetric_list: [{metric: acc}, {metric: acc_norm}]\nmetadata: {version: 1.0}\n",
        "task: t\ntag: [x, y]\ntask_alias: T\noutput_type: loglikelihood_rolling\ndoc_to_text: \"\"\ndoc_to_target: \"{{q}}\"\nprocess_docs:\n  - rename: {n: number}\n  - keep: \"{{ a != 'nothing' }}\"\n  - drop: [number]\nmetric_list: [{metric: word_perplexity, aggregation: weighted_perplexity}]\n",
        "group: all\ntask:\n  - task: one\n    dataset_path: json\n    dataset_kwargs: {data_files: {test: d.jsonl}}\n    test_split: test\n    output_type: loglikelihood\n    doc_to_text: &text \"{{q}}\"\n    doc_to_target: \" {{a}}\"\naggregate_metric_list: [{metric: acc, weight_by_size: true}]\n",
    ];
    rest.iter()
        .map(|rest| if rest.starts_with("group") { rest.to_string() } else { format!("{rest}{data}") }.into_bytes())
        .collect()
}

pub const TASK_WORDS: &[&str] = &[
    "task: ",
    "group: ",
    "include: ",
    "t.yaml",
    "built-in:mmlu/mmlu.yaml",
    "[",
    "{",
    "- ",
    "\n  ",
    ": ",
    "&a ",
    "*a",
    "<<: ",
    "!function ",
    "!!binary ",
    "doc_to_text: ",
    "doc_to_choice: ",
    "doc_to_target: ",
    "process_docs: ",
    "filter_list: ",
    "function: ",
    "regex",
    "regex_pattern: ",
    "(a*)*b",
    "repeats: ",
    "num_fewshot: ",
    "1000000000",
    "fewshot_config: ",
    "metric_list: ",
    "metric: ",
    "exact_match",
    "acc",
    "bleu",
    "f1",
    "aggregation: ",
    "{{q}}",
    "{% for i in range(9) %}",
    "{% endfor %}",
    "generation_kwargs: ",
    "until: ",
    "max_gen_toks: ",
    "data_files: ",
    "/dev/zero",
    "description: ",
    "target_delimiter: ",
    "judge: ",
    "tests: ",
];

pub fn templates() -> Vec<Vec<u8>> {
    texts(&[
        "Q: {{q}}\nA: {{ a | upper }}",
        "{% for x in c %}{{ loop.index }}. {{ x }}{% if not loop.last %}, {% endif %}{% endfor %}",
        "{% set n = namespace(s='') %}{% for i in range(3) %}{% set n.s = n.s ~ i %}{% endfor %}{{ n.s }}",
        "{{ c | join(', ') }} {{ o.k[1] }} {{ q.replace('W', 'w').split('h')[0] }} {{ n | round(1) }}",
        "{% macro m(x, y=1) %}{{ x }}{{ y }}{% endmacro %}{{ m(c | length) }}{{ q[1:3] }}{{ o | tojson }}",
        "{{ q | regex_replace('(W)', '\\\\1') }}{{ (1 + 2 * 3 ** 2) // 4 }}{{ 'a' if g == 1 and not (n is none) else 'b' }}",
    ])
}

pub const TEMPLATE_WORDS: &[&str] = &[
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "{%-",
    "-%}",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "'",
    "\"",
    "|",
    "~",
    "+1",
    " + q",
    "*9",
    "**9",
    "%9",
    "//0",
    " and 1",
    " or q",
    "not ",
    "-",
    ".k",
    "[0]",
    "[::-1]",
    "()",
    "|upper",
    "|join",
    "|tojson(indent=9)",
    "|replace('a','aa')",
    "|list",
    "|batch(2)",
    "|center(99)",
    "|regex_replace('(a*)*b','')",
    "q",
    "c",
    "messages",
    "range(99)",
    "range(999999999)",
    " if 1 else 2",
    "for x in c",
    "endfor",
    "if q",
    "endif",
    "elif 0",
    "else",
    "set x = ",
    "endset",
    "macro m()",
    "endmacro",
    "m()",
    "call m()",
    "endcall",
    "namespace(a=1)",
    "loop.index",
    "is none",
    "is string",
    "loop(c)",
    "recursive",
    "break",
    "continue",
    "raise_exception('x')",
    "strftime_now('%Y')",
    "'x' * 9999999",
    "[1] * 9999999",
    "{% set ns.l = ns.l + ns.l %}",
    "filter upper",
    "endfilter",
    "include 'x'",
    "import 'x' as y",
    "extends 'x'",
    "block a",
    "endblock",
];

pub fn chats() -> Vec<Vec<u8>> {
    texts(&[
        "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m['content'] | trim }}\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}",
        "{% if messages[0].role == 'system' %}{% set s = messages[0].content %}{% set loop_messages = messages[1:] %}{% else %}{% set loop_messages = messages %}{% endif %}{% for m in loop_messages %}{{ '<s>' + m['role'] + '\\n' + m.content + '</s>\\n' }}{% endfor %}",
        "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) and m.role != 'system' %}{{ raise_exception('roles') }}{% endif %}{{ m.content }}{{ eos_token }}{% endfor %}{{ messages | tojson }}",
        "{% macro turn(m) %}{{ m.role }}: {{ m.content.split('</think>')[-1].lstrip('\\n') }}{% endmacro %}{% for m in messages %}{{ turn(m) }}{% endfor %}{{ strftime_now('%d %b %Y') }}",
    ])
}

pub fn tokenizers() -> Vec<Vec<u8>> {
    let added = |id: u32, content: &str| json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    let whole = |parts: Value| {
        let mut all = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [added(0, "<unk>"), added(1, "<s>")], "normalizer": null,
            "pre_tokenizer": null, "post_processor": null, "decoder": null});
        if let (Value::Object(all), Value::Object(parts)) = (&mut all, parts) {
            all.extend(parts);
        }
        all.to_string().into_bytes()
    };
    let bpe = json!({"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": true,
        "ignore_merges": false, "vocab": {"<unk>": 0, "<s>": 1, "a": 2, "b": 3, "\u{120}": 4, "ab": 5, "\u{120}a": 6, "<0x61>": 7, "<0x0A>": 8, "\u{2581}": 9},
        "merges": [["a", "b"], ["\u{120}", "a"]]});
    let piece = json!({"type": "WordPiece", "unk_token": "<unk>", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
        "vocab": {"<unk>": 0, "<s>": 1, "a": 2, "##a": 3, "##b": 4, "b": 5, "hello": 6}});
    let unigram = json!({"type": "Unigram", "unk_id": 0, "byte_fallback": false, "vocab": [["<unk>", 0.0], ["<s>", 0.0], ["\u{2581}", -2.0], ["a", -1.5], ["b", -2.5], ["\u{2581}a", -1.0], ["ab", -3.0]]});
    vec![
        WORDS.as_bytes().to_vec(),
        whole(json!({"model": bpe, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": "\\s?\\p{L}+|\\p{N}{1,3}|[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"}, "behavior": "Isolated", "invert": false},
                {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]},
            "post_processor": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true},
            "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}})),
        whole(
            json!({"model": bpe, "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u{2581}"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"}, {"type": "NFKC"}]},
            "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
            "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}}),
        ),
        whole(
            json!({"model": piece, "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
            "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": {"type": "BertProcessing", "sep": ["<s>", 1], "cls": ["<unk>", 0]},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
            "truncation": {"direction": "Right", "max_length": 64, "strategy": "LongestFirst", "stride": 0},
            "padding": {"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "<unk>"}}),
        ),
        whole(
            json!({"model": unigram, "normalizer": {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}, {"type": "StripAccents"}]},
            "pre_tokenizer": {"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "always", "split": true},
            "decoder": {"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "always", "split": true}}),
        ),
    ]
}

pub const TOKENIZER_WORDS: &[&str] = &[
    "type",
    "Sequence",
    "BPE",
    "WordPiece",
    "WordLevel",
    "Unigram",
    "Replace",
    "Prepend",
    "Precompiled",
    "precompiled_charsmap",
    "AAAAAA==",
    "/////w==",
    "NFC",
    "NFKD",
    "Nmt",
    "Strip",
    "strip_left",
    "ByteLevel",
    "Metaspace",
    "Split",
    "Regex",
    "String",
    "pattern",
    "content",
    "",
    "a",
    "aa",
    " ",
    "\u{2581}",
    "(a*)*b",
    "(?=a)*",
    ".",
    "\\p{L}",
    "[",
    "Removed",
    "Isolated",
    "MergedWithPrevious",
    "MergedWithNext",
    "Contiguous",
    "behavior",
    "Digits",
    "individual_digits",
    "Punctuation",
    "CharDelimiterSplit",
    "delimiter",
    "UnicodeScripts",
    "FixedLength",
    "length",
    "ByteFallback",
    "Fuse",
    "CTC",
    "pad_token",
    "word_delimiter_token",
    "BPEDecoder",
    "suffix",
    "TemplateProcessing",
    "RobertaProcessing",
    "BertProcessing",
    "merges",
    "vocab",
    "unk_token",
    "dropout",
    "continuing_subword_prefix",
    "max_input_chars_per_word",
    "stride",
    "max_length",
    "pad_to_multiple_of",
    "Fixed",
    "BatchLongest",
    "single",
    "pair",
    "special_tokens",
    "<s>",
    "<0xFF>",
    "added_tokens",
    "id",
    "normalized",
];

fn parquet(mut frame: DataFrame, rows: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).with_row_group_size(Some(rows)).finish(&mut frame).expect("a Parquet file");
    bytes
}

pub fn parquets() -> Vec<Vec<u8>> {
    let frame = |series: Vec<Series>| {
        DataFrame::new(series[0].len(), series.into_iter().map(Into::into).collect()).expect("a frame")
    };
    let q = || Series::new("q".into(), ["one", "two \u{e9}", ""]);
    let a = || Series::new("a".into(), [Some("1"), None, Some("3")]);
    let lists = Series::new(
        "l".into(),
        [Series::new("".into(), ["x", "y"]), Series::new("".into(), ["z"]), Series::new("".into(), Vec::<&str>::new())],
    );
    let numbers = vec![
        Series::new("i".into(), [1_i64, -2, 3]),
        Series::new("f".into(), [0.5_f64, f64::NAN, 1e300]),
        Series::new("b".into(), [true, false, true]),
    ];
    vec![
        parquet(frame(vec![q(), a()]), 100),
        parquet(frame(vec![q(), a(), lists]), 2),
        parquet(frame([vec![q(), a()], numbers].concat()), 100),
    ]
}

pub fn rows() -> Vec<Vec<u8>> {
    texts(&[
        "{\"q\": \"one\", \"a\": \"1\", \"n\": 1.5}\n{\"q\": \"two\", \"a\": \"2\", \"n\": null}\n",
        "[{\"q\": \"one\", \"a\": [\"1\", {\"k\": true}]}, {\"q\": \"\\u00e9\", \"a\": \"2\", \"more\": {}}]",
        "{\"q\": \"one\", \"a\": \"1\", \"n\": NaN}\n\n{\"q\": \"two\", \"a\": -Infinity}\n",
    ])
    .into_iter()
    .take(2)
    .collect()
}

pub const ROW_WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"q\"",
    "\"a\"",
    ":",
    ",",
    "\"",
    "\n",
    "NaN",
    "-Infinity",
    "1e999",
    "null",
    "\\u0000",
    "\\ud800",
    "\"__proto__\": 1",
    "{\"a\":",
    "q,a\n",
    "\"\"",
    "\r\n",
    "\u{feff}",
];

pub fn tables() -> Vec<Vec<u8>> {
    texts(&["q,a,n\none,1,2.5\n\"two, and \"\"more\"\"\",2,\n", "q,a\r\nNA,1\r\n\"line\nbreak\",None\r\n"])
}

pub fn journals() -> Vec<Vec<u8>> {
    let lines = [
        json!({"line": "prompt", "id": "0123456789abcdef", "prompt": {"text": "ctx"}}),
        json!({"line": "answer", "key": "k1", "task": "t", "doc_id": 0, "request": 0, "sample": 0, "asked": {"loglikelihood": {"context": "0123456789abcdef", "continuation": "c"}},
            "response": {"answer": {"loglikelihood": {"logprob": -1.5, "is_greedy": true, "num_tokens": 2}}, "usage": {"prompt_tokens": 3, "completion_tokens": 2, "truncated_tokens": 0}},
            "delivery": {"latency_ms": 9, "retries": 2, "cached": true}}),
        json!({"line": "answer", "key": "k2", "task": "t", "doc_id": 1, "request": 0, "sample": 0, "asked": null, "unscored": "refused", "refused": true}),
        json!({"line": "answer", "key": "k3", "task": "t", "doc_id": 1, "request": 0, "sample": 0, "asked": null, "response": {"answer": {"text": {"text": "x", "finish": "stop"}}}}),
        json!({"line": "judgement", "key": "k4", "judge": "code", "task": "t", "doc_id": 0, "judgement": {"value": 1.0, "detail": {"verdict": "passed"}}}),
        json!({"line": "score", "task": "t", "doc_id": 0, "filter": "none", "scores": {"acc": 1.0}}),
    ];
    let all: String = lines.iter().map(|line| format!("{line}\n")).collect();
    vec![all.clone().into_bytes(), format!("{all}{{\"line\": \"ans").into_bytes(), Vec::new()]
}

pub const JOURNAL_WORDS: &[&str] = &[
    "{\"line\":\"answer\",",
    "\"line\"",
    "answer",
    "prompt",
    "judgement",
    "score",
    "\"key\":\"k1\",",
    "\"response\":",
    "loglikelihood",
    "rolling",
    "text",
    "choice",
    "logprobs",
    "null",
    "1e999",
    "-1",
    "18446744073709551615",
    "\n",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"usage\":",
    "prompt_tokens",
    "delivery",
    "latency_ms",
    "retries",
    "format_version",
    "status",
    "complete",
    "spec",
    "tasks",
    "environment",
    "started",
    "../../x",
];

/// The header that opening a folder writes.
pub fn headers() -> Vec<Vec<u8>> {
    let mut room = Room::new();
    assert!(journal(&mut room, b""), "a folder");
    let written = written(&room, "run.json");
    assert!(header(&mut room, &written), "{} is read again", spec().sha256());
    vec![written]
}

pub const RUN_WORDS: &[&str] = &[
    "\"results\": ",
    "\"group_subtasks\": {\"g\": [\"g\"]}",
    "\"fairmark\": {\"format_version\": 3}",
    "NaN",
    "-Infinity",
    "\"N/A\"",
    "null",
    "acc,none",
    "\"doc_id\": ",
    "\"doc_hash\": ",
    "\"filtered_resps\": ",
    "[[\"-1\", \"True\"], [\"nan\", \"False\"]]",
    "1e999",
    "\\ud83d",
];

/// A results file.
pub fn results() -> Vec<Vec<u8>> {
    vec![super::targets::RESULTS.as_bytes().to_vec()]
}

pub fn samples() -> Vec<Vec<u8>> {
    vec![super::targets::SAMPLE.as_bytes().to_vec()]
}

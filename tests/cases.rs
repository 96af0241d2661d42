//! Situations that others reported of tools like ours, and hostile input: the folders of `../shared/cases`, each with what is right in
//! its `case.md`. Here is how each is run and told right from wrong.
//!
//! `cargo test --release --test cases -- --ignored` runs them all, one line each, and takes a part of a name as a filter (`hostile`,
//! `quota_used_up`). They need Python, bash and the folder `shared` beside the checkout (`FAIRMARK_SHARED` names another one); without it
//! they say so and pass. `FAIRMARK_CASES_PYTHON` names a Python with pandas and pyarrow, which two of them need. Kinds that these cases
//! stand for have tests of their own, with inputs made by the tests.
#![cfg(unix)]

#[path = "cases/code.rs"]
mod code;
#[path = "cases/hostile.rs"]
mod hostile;
#[path = "cases/models.rs"]
mod models;
#[path = "cases/servers.rs"]
mod servers;
#[path = "cases/tasks.rs"]
mod tasks;
#[path = "cases/world.rs"]
mod world;

use world::Case;

/// A test for each case, called like its folder.
macro_rules! cases {
    ($($module:ident: $($name:ident)+;)+) => {
        const CHECKED: &[&str] = &[$($(stringify!($name)),+),+];
        $($(
            #[test]
            #[ignore = "needs the folder shared beside the checkout"]
            fn $name() {
                if let Some(case) = Case::open(&stringify!($name).replace('_', "-")) {
                    $module::$name(&case);
                }
            }
        )+)+
    };
}

cases! {
    tasks: date_in_template f1_three_classes group_without_figure jsonl_nan list_as_text_target offline_after_online own_answer_in_shots
        parquet_unused_column pool_size_message samples_parquet_pandas shots_ignored silent_literals task_name_is_a_path;
    models: added_tokens_elsewhere class_name_decides gguf_end_tokens gptq_tables_doubtful k_quant_does_nothing none_is_iterable
        not_a_model_yet tied_head_differs token_without_a_row tokenizer_model_only;
    servers: blocked_by_provider hostile_key_repeated hostile_long_answers max_completion_tokens prompt_cut_by_server quota_used_up
        thought_without_answer;
    code: hostile_cache_schema hostile_class_in_functions_place hostile_one_process_liars hostile_python_from_cwd
        hostile_random_foretold hostile_site_packages hostile_swept_by_name hostile_zygote_follows_links;
    hostile: hostile_endless_hub hostile_escape_codes hostile_loops_without_budget hostile_odd_files hostile_parquet_panics
        hostile_run_folder_links hostile_task_reads_any_file hostile_template_stack;
}

#[test]
#[ignore = "needs the folder shared beside the checkout"]
fn every_case_is_checked() {
    let Some(names) = world::names() else { return };
    let unchecked: Vec<&String> =
        names.iter().filter(|name| !CHECKED.contains(&name.replace('-', "_").as_str())).collect();
    assert!(unchecked.is_empty(), "no test says what is right of {unchecked:?}");
}

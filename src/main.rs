//! The `fairmark` binary: flags in, exit code out.

fn main() -> std::process::ExitCode {
    one_thread_for_each_forward_pass();
    fairmark::cli::main()
}

/// The local engine runs whole sequences on several threads. Candle would split every small matrix over all cores as well and wait
/// at each, which together is several times slower; it can be told so only through the environment. What the user has set stays.
fn one_thread_for_each_forward_pass() {
    for name in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
        if std::env::var_os(name).is_none() {
            // SAFETY: nothing else runs yet, so nobody reads the environment meanwhile.
            unsafe { std::env::set_var(name, "1") };
        }
    }
    // Rayon's shared pool (bootstraps, tokenizing) still gets all cores. It exists already only if this was called twice.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
}

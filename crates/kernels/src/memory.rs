//! Memory that was freed and not given back.

/// Gives freed memory back to the system, where the allocator keeps it otherwise.
/// Loading a model and reading a prompt leave hundreds of megabytes behind that the
/// program may not need again for hours. Takes some milliseconds.
pub fn release_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it may be called at any time, from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

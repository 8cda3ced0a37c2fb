//! What the allocator keeps of memory that was freed.

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

/// Keeps the allocator to two heaps. The GNU C library gives up to eight for each processor to threads, and
/// what one thread keeps between the blocks of another is not given back: with each model that was loaded
/// some megabytes stayed, a tenth of the program's after ten. To be called early: what there is stays.
pub fn keep_to_few_heaps() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it may be called at any time, from any thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

//! How much memory this process can still have: a program that is given none ends, so it is looked
//! at before a model is loaded.

use std::fs;
use std::path::Path;

use lectern_domain::{ErrorCode, ModelError};
use sysinfo::System;

/// Refuses the model at `path` where it needs more than the `free` bytes.
pub(crate) fn check(path: &Path, needed: u64, free: u64) -> Result<(), ModelError> {
    if needed <= free {
        return Ok(());
    }
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    Err(ModelError::new(
        ErrorCode::ModelTooBig,
        format!(
            "The model {} needs about {:.1} GB of memory and {:.1} GB are free.",
            path.display(),
            gigabytes(needed),
            gigabytes(free)
        ),
        "Close other programs, choose a smaller model, or choose a smaller context.",
    ))
}

/// The bytes that are free: what the system has, or what a limit on this process leaves.
pub(crate) fn free_bytes() -> u64 {
    let mut system = System::new();
    system.refresh_memory();
    let free = system.available_memory();
    // Of a container or a service. Not its free memory: of that the cache of files is taken,
    // which the system gives back.
    let of_group = system
        .cgroup_limits()
        .map_or(u64::MAX, |limits| limits.total_memory.saturating_sub(limits.rss));
    free.min(of_group).min(address_space().unwrap_or(u64::MAX))
}

/// What a limit on the addresses (`ulimit -v`) leaves, where there is one. Only Linux is asked.
fn address_space() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let taken = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
    let taken: u64 = taken.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(limit(&limits)?.saturating_sub(taken.saturating_mul(1024)))
}

/// The limit on addresses in bytes, of `/proc/self/limits`.
fn limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_none() {
        let limits = |soft: &str| {
            format!(
                "Max resident set  unlimited  unlimited  bytes\nMax address space         {soft}           unlimited            bytes\n"
            )
        };
        assert_eq!(limit(&limits("4096000")), Some(4_096_000));
        assert_eq!(limit(&limits("unlimited")), None);
        assert_eq!(limit(""), None);
    }

    #[test]
    fn something_is_free() {
        assert!(free_bytes() > 0);
    }
}

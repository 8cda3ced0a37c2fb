/// What this processor can do of what Lectern uses. The program is compiled for the
/// x86-64-v2 level (2009 and later); the kernels choose among later instructions
/// while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CpuSupport {
    /// All that the fast kernels need.
    Fast,
    /// Enough to run, without these that make it fast.
    Slow(Vec<&'static str>),
    /// Too little: without these almost anything ends in an illegal instruction.
    Unsupported(Vec<&'static str>),
}

/// An instruction set, by the name its makers give it, and whether it is there.
type Feature = (&'static str, bool);

impl CpuSupport {
    /// What the processor has that runs this. On other architectures than x86-64 what
    /// is compiled for is all that is used.
    #[must_use]
    pub fn of_this_computer() -> Self {
        let (needed, wanted) = features();
        Self::of(&needed, &wanted)
    }

    fn of(needed: &[Feature], wanted: &[Feature]) -> Self {
        let missing = |features: &[Feature]| -> Vec<&'static str> {
            features.iter().filter(|(_, there)| !there).map(|(name, _)| *name).collect()
        };
        match (missing(needed), missing(wanted)) {
            (needed, _) if !needed.is_empty() => Self::Unsupported(needed),
            (_, wanted) if !wanted.is_empty() => Self::Slow(wanted),
            _ => Self::Fast,
        }
    }

    /// What a person should know of it; nothing where all is well.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        match self {
            Self::Fast => None,
            Self::Slow(missing) => Some(format!(
                "This computer's processor lacks {}. Lectern works on it, but it will be slow.",
                missing.join(", ")
            )),
            Self::Unsupported(missing) => Some(format!(
                "This computer's processor is too old for Lectern: it lacks {}.",
                missing.join(", ")
            )),
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn features() -> (Vec<Feature>, Vec<Feature>) {
    // The macro answers at run time even where the compiler may already assume the
    // feature, and takes only literals.
    macro_rules! features {
        ($($name:literal as $feature:tt),*) => {
            vec![$(($name, std::arch::is_x86_feature_detected!($feature))),*]
        };
    }
    (
        features!("SSSE3" as "ssse3", "SSE4.2" as "sse4.2", "POPCNT" as "popcnt"),
        features!("AVX2" as "avx2", "FMA" as "fma", "F16C" as "f16c"),
    )
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> (Vec<Feature>, Vec<Feature>) {
    (Vec::new(), Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_without_avx2_is_slow_and_one_without_sse4_2_is_refused() {
        let of = |sse4_2, avx2, fma| {
            CpuSupport::of(&[("SSE4.2", sse4_2)], &[("AVX2", avx2), ("FMA", fma)])
        };
        let cases = [
            (of(true, true, true), CpuSupport::Fast, ""),
            (of(true, false, true), CpuSupport::Slow(vec!["AVX2"]), "it will be slow"),
            (of(true, false, false), CpuSupport::Slow(vec!["AVX2", "FMA"]), "lacks AVX2, FMA"),
            (of(false, false, false), CpuSupport::Unsupported(vec!["SSE4.2"]), "lacks SSE4.2"),
        ];
        for (found, expected, words) in cases {
            assert_eq!(found, expected);
            assert!(found.note().unwrap_or_default().contains(words), "{found:?}");
        }
    }

    #[test]
    fn the_processor_that_runs_this_is_supported() {
        assert!(!matches!(CpuSupport::of_this_computer(), CpuSupport::Unsupported(_)));
    }
}

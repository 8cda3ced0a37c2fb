//! What the processor can do, found at run time.

use std::sync::OnceLock;

/// The instructions that the kernels are written for. All give the same sums to
/// within the rounding of 32-bit floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// Plain Rust: the reference, and what runs where nothing else can.
    Scalar,
    /// 128 bits with the dot product of ARMv8.4 (`dotprod`).
    Neon,
    /// 256 bits; Intel since 2013, AMD since 2015.
    Avx2,
    /// 256 bits with the dot product of Intel's processors since 2021 without AVX-512.
    AvxVnni,
    /// 512 bits with the dot product; AMD since 2022, Intel's servers since 2019.
    Avx512,
}

/// Overrides the choice, for comparisons: `scalar`, `neon`, `avx2`, `avxvnni` or
/// `avx512`. A name that this processor does not have is ignored. What calls the
/// kernels may know more names.
pub const ISA_VARIABLE: &str = "LECTERN_KERNELS";

impl Isa {
    /// All there are.
    pub const ALL: [Self; 5] = [Self::Scalar, Self::Neon, Self::Avx2, Self::AvxVnni, Self::Avx512];

    /// The name in [`ISA_VARIABLE`].
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::AvxVnni => "avxvnni",
            Self::Avx512 => "avx512",
        }
    }

    /// Whether this processor has it.
    pub fn available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = || {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("f16c")
            };
            match self {
                Self::Scalar => true,
                Self::Neon => false,
                Self::Avx2 => avx2(),
                Self::AvxVnni => avx2() && is_x86_feature_detected!("avxvnni"),
                Self::Avx512 => {
                    avx2()
                        && is_x86_feature_detected!("avx512f")
                        && is_x86_feature_detected!("avx512bw")
                        && is_x86_feature_detected!("avx512dq")
                        && is_x86_feature_detected!("avx512vl")
                        && is_x86_feature_detected!("avx512vnni")
                }
            }
        }
        #[cfg(target_arch = "aarch64")]
        {
            match self {
                Self::Scalar => true,
                Self::Neon => std::arch::is_aarch64_feature_detected!("dotprod"),
                Self::Avx2 | Self::AvxVnni | Self::Avx512 => false,
            }
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        {
            self == Self::Scalar
        }
    }

    /// The one in use: the best that is available, or the one that
    /// [`ISA_VARIABLE`] names.
    pub fn current() -> Self {
        static CURRENT: OnceLock<Isa> = OnceLock::new();
        *CURRENT.get_or_init(|| {
            let wanted = std::env::var(ISA_VARIABLE).ok();
            let available = || Self::ALL.into_iter().filter(|isa| isa.available());
            let named = available().find(|isa| wanted.as_deref() == Some(isa.name()));
            named.or_else(|| available().max()).unwrap_or(Self::Scalar)
        })
    }
}

/// Whether this processor can run the program, which is compiled for the x86-64-v3
/// level (2013 and later). To be asked first of all: on an older processor almost
/// anything else ends in an illegal instruction.
///
/// # Errors
///
/// A sentence for the person that names what the processor lacks.
pub fn cpu_supported() -> Result<(), String> {
    let missing = missing_features();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "This computer's processor is too old for Lectern: it lacks {}. A processor of 2013 or later is needed.",
        missing.join(", ")
    ))
}

#[cfg(target_arch = "x86_64")]
fn missing_features() -> Vec<&'static str> {
    // The macro answers at run time even where the compiler may already assume
    // the feature, and takes only literals.
    macro_rules! missing {
        ($($feature:tt),*) => {
            [$(($feature, std::arch::is_x86_feature_detected!($feature))),*]
                .into_iter()
                .filter(|(_, present)| !present)
                .map(|(feature, _)| feature)
                .collect()
        };
    }
    missing!("avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "lzcnt", "movbe", "sse4.2", "popcnt")
}

#[cfg(not(target_arch = "x86_64"))]
fn missing_features() -> Vec<&'static str> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_that_runs_this_is_supported() {
        assert_eq!(cpu_supported(), Ok(()));
    }
}

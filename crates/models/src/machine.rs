//! What this computer has for models, how each would run on it, and which to take.

use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use lectern_domain::ErrorCode;
use lectern_gguf::Shape;
use sysinfo::System;

use crate::catalogue::{Model, ModelRole};
use crate::pace::{Pace, QUESTION_TOKENS, Size};

/// What a chat model takes beside its weights and its caches, in bytes.
const SCRATCH_BYTES: u64 = 256 << 20;
/// Caches of a context that there are at the most: one that grows is there twice, beside those
/// of the latest two sequences.
const CACHES: u64 = 4;
/// What an embedder takes beside its weights: its words and its activations.
const EMBEDDER_BYTES: u64 = 300 << 20;
/// Of all memory a model may take so many hundredths; the rest is the system's and other programs'.
const SHARE: u64 = 80;
/// The one that is recommended leaves room: it may take so many hundredths.
const RECOMMENDED_SHARE: u64 = 60;
/// A person waits so long for the first word without minding.
pub const QUICK_SECONDS: f64 = 8.;
/// How long a card's program is waited for.
const CARD_PATIENCE: Duration = Duration::from_secs(5);
/// Slower than this nobody reads along.
pub const QUICK_TOKENS_PER_SECOND: f64 = 4.;

/// What this computer has for models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Memory in bytes; what the system lets this process have, where it limits it.
    pub memory_bytes: u64,
    /// Memory that is free in bytes.
    pub available_bytes: u64,
    /// Physical cores.
    pub cores: usize,
    /// Graphics cards that the system names without being asked for long.
    pub graphics: Vec<Graphics>,
}

/// A graphics card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graphics {
    /// Its name.
    pub name: String,
    /// Its own memory in bytes, where it says so.
    pub memory_bytes: Option<u64>,
}

impl Machine {
    /// Whether the system says that other work keeps the processor busy, so that a measurement of
    /// it would not hold. Not every system says so.
    pub fn is_busy() -> bool {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        System::load_average().one > cores as f64
    }

    /// Looks at this computer. Takes some milliseconds.
    pub fn look() -> Self {
        let mut system = System::new();
        system.refresh_memory();
        let (mut memory_bytes, mut available_bytes) =
            (system.total_memory(), system.available_memory());
        if let Some(limits) = system.cgroup_limits() {
            memory_bytes = memory_bytes.min(limits.total_memory);
            // Not its free memory: of that the cache of files is taken, which the system gives back.
            available_bytes = available_bytes.min(limits.total_memory.saturating_sub(limits.rss));
        }
        let logical = || std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            memory_bytes,
            available_bytes,
            cores: System::physical_core_count().unwrap_or_else(logical),
            graphics: graphics(),
        }
    }
}

/// The graphics cards, asked for once: it can take a second.
fn graphics() -> Vec<Graphics> {
    static CARDS: LazyLock<Vec<Graphics>> = LazyLock::new(|| {
        let entries = |path: &str| std::fs::read_dir(path).into_iter().flatten().flatten();
        let named = entries("/proc/driver/nvidia/gpus").filter_map(|card| {
            let content = std::fs::read_to_string(card.path().join("information")).ok()?;
            let name = content.lines().find_map(|line| line.strip_prefix("Model:"))?;
            Some(Graphics { name: name.trim().to_owned(), memory_bytes: None })
        });
        let named: Vec<Graphics> = named.collect();
        // Only its own program says how much memory a card of NVIDIA has.
        let asked = if cfg!(windows) || !named.is_empty() { nvidia_smi() } else { None };
        let amd = entries("/sys/class/drm").filter_map(|card| {
            let memory =
                std::fs::read_to_string(card.path().join("device/mem_info_vram_total")).ok()?;
            let is_card = card.file_name().to_str().is_some_and(|name| !name.contains('-'));
            let name = "AMD Radeon".to_owned();
            is_card.then(|| Graphics { name, memory_bytes: memory.trim().parse().ok() })
        });
        let apple = cfg!(all(target_os = "macos", target_arch = "aarch64"))
            .then(|| Graphics { name: "Apple".into(), memory_bytes: None });
        asked.unwrap_or(named).into_iter().chain(amd).chain(apple).collect()
    });
    CARDS.clone()
}

/// What `nvidia-smi` says, if it is there and answers: a broken driver may never do.
fn nvidia_smi() -> Option<Vec<Graphics>> {
    let mut program = std::process::Command::new("nvidia-smi");
    program.args(["--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]);
    #[cfg(windows)]
    {
        const CREATE_NO_WINDOW: u32 = 0x0800_0000;
        std::os::windows::process::CommandExt::creation_flags(&mut program, CREATE_NO_WINDOW);
    }
    let (answer, answered) = mpsc::channel();
    std::thread::spawn(move || answer.send(program.output()));
    let output = answered.recv_timeout(CARD_PATIENCE).ok()?.ok()?;
    output.status.success().then(|| cards(&String::from_utf8_lossy(&output.stdout)))
}

/// Names and mebibytes, a line for each card.
fn cards(listed: &str) -> Vec<Graphics> {
    let line = |line: &str| {
        let (name, memory) = line.rsplit_once(',')?;
        let memory: Option<u64> = memory.trim().parse().ok();
        let memory_bytes = memory.map(|mebibytes| mebibytes.saturating_mul(1 << 20));
        Some(Graphics { name: name.trim().to_owned(), memory_bytes })
    };
    listed.lines().filter_map(line).collect()
}

/// Whether a model can run on a computer, and how well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It fits and is quick enough.
    Good,
    /// It fits and is slow.
    Slow,
    /// It would fit if other programs left more memory.
    Tight,
    /// There is too little memory for it.
    TooBig,
    /// It fits, and its pace is not known.
    Unknown,
}

/// How a model would run on a computer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// In a word.
    pub verdict: Verdict,
    /// What it takes of the memory while it is loaded, in bytes.
    pub memory_bytes: u64,
    /// Seconds from a question of usual length to the first word of the answer.
    pub first_token_seconds: Option<f64>,
    /// Tokens it writes in a second.
    pub tokens_per_second: Option<f64>,
}

impl Fit {
    /// How `model` would run on `machine` with a context of at most so many tokens. `pace` is the
    /// processor's; without it nothing is predicted.
    pub fn of(model: &Model, machine: &Machine, pace: Option<&Pace>, context: u64) -> Self {
        let shape = model.shape.filter(|_| model.role == ModelRole::Chat);
        let size = shape.map(|shape| Size { shape, bytes: model.bytes });
        let tokens = context.min(model.context_tokens as u64);
        let memory_bytes = memory_bytes(model.bytes, shape.as_ref(), tokens);
        let timed = size.zip(pace).map(|(size, pace)| {
            let prompt = QUESTION_TOKENS.min(tokens);
            (pace.first_token_seconds(&size, prompt), pace.tokens_per_second(&size))
        });
        let (first_token_seconds, tokens_per_second) = timed.unzip();
        let verdict = if memory_bytes > share(machine.memory_bytes, SHARE) {
            Verdict::TooBig
        } else if memory_bytes > machine.available_bytes {
            Verdict::Tight
        } else {
            match timed {
                Some((first, pace))
                    if first <= QUICK_SECONDS && pace >= QUICK_TOKENS_PER_SECOND =>
                {
                    Verdict::Good
                }
                Some(_) => Verdict::Slow,
                // An embedder's pace shows while it works, and it keeps nobody waiting.
                None if model.role != ModelRole::Chat => Verdict::Good,
                None => Verdict::Unknown,
            }
        };
        Self { verdict, memory_bytes, first_token_seconds, tokens_per_second }
    }

    fn is_quick(&self) -> bool {
        self.first_token_seconds.is_some_and(|seconds| seconds <= QUICK_SECONDS)
            && self.tokens_per_second.is_some_and(|pace| pace >= QUICK_TOKENS_PER_SECOND)
    }
}

fn share(memory: u64, hundredths: u64) -> u64 {
    memory / 100 * hundredths
}

/// What a model takes of the memory while it is loaded and answers, in bytes.
fn memory_bytes(weights: u64, shape: Option<&Shape>, tokens: u64) -> u64 {
    match shape {
        Some(shape) => {
            let caches = shape.cache_bytes(tokens).saturating_mul(CACHES);
            weights.saturating_add(caches).saturating_add(SCRATCH_BYTES)
        }
        None => weights.saturating_add(EMBEDDER_BYTES),
    }
}

/// Why a model is the one to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The most able of those that are quick.
    MostAbleThatIsQuick,
    /// None is quick; it is the quickest.
    QuickestThatFits,
    /// The pace is not known; it is the most able that fits.
    MostAbleThatFits,
    /// None fits.
    NoneFits,
}

/// The chat model to take, of those that the catalogue has judged, and why. Memory that other
/// programs have at the moment counts as free, so that the advice does not change by the minute.
pub fn recommend<'a>(
    machine: &Machine,
    models: impl IntoIterator<Item = (&'a Model, Fit)>,
) -> (Option<&'a Model>, Reason) {
    let fitting: Vec<(&Model, Fit)> = models
        .into_iter()
        .filter(|(model, fit)| {
            model.role == ModelRole::Chat
                && !model.tests_only
                && model.ability.is_some()
                && fit.memory_bytes <= share(machine.memory_bytes, RECOMMENDED_SHARE)
        })
        .collect();
    let ablest = |of: &mut dyn Iterator<Item = &(&'a Model, Fit)>| {
        of.max_by_key(|(model, _)| model.ability).map(|(model, _)| *model)
    };
    if fitting.is_empty() {
        return (None, Reason::NoneFits);
    }
    if fitting.iter().all(|(_, fit)| fit.first_token_seconds.is_none()) {
        return (ablest(&mut fitting.iter()), Reason::MostAbleThatFits);
    }
    if let Some(model) = ablest(&mut fitting.iter().filter(|(_, fit)| fit.is_quick())) {
        return (Some(model), Reason::MostAbleThatIsQuick);
    }
    let wait = |fit: &Fit| fit.first_token_seconds.unwrap_or(f64::INFINITY);
    let quickest = fitting.iter().min_by(|(_, one), (_, other)| wait(one).total_cmp(&wait(other)));
    (quickest.map(|(model, _)| *model), Reason::QuickestThatFits)
}

/// Says before a download that a model cannot run here.
pub fn too_big(model: &Model, fit: &Fit, machine: &Machine) -> Option<lectern_domain::ModelError> {
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    (fit.verdict == Verdict::TooBig).then(|| {
        lectern_domain::ModelError::new(
            ErrorCode::ModelTooBig,
            format!(
                "{} takes about {:.1} GB of memory, and this computer has {:.1} GB",
                model.name,
                gigabytes(fit.memory_bytes),
                gigabytes(machine.memory_bytes)
            ),
            "choose a smaller model, or a smaller context; `lectern models fit` says which fit",
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::catalogue::{catalogue, model};

    /// Products of a narrow and of a wide layer, attention, bytes: in 10⁹ a second.
    fn pace(products: f64, attention: f64, stream: f64) -> Pace {
        serde_json::from_value(serde_json::json!({
            "machine": "test", "products": [products * 0.92e9, products * 1e9],
            "attention": attention * 1e9, "stream": stream * 1e9,
        }))
        .unwrap()
    }

    /// As measured on the computer of `docs/benchmarks.md`.
    fn two_cores() -> Pace {
        pace(400., 109., 16.)
    }

    fn gigabytes(memory: u64, available: u64) -> Machine {
        let gigabyte = 1_000_000_000;
        Machine {
            memory_bytes: memory * gigabyte,
            available_bytes: available * gigabyte,
            cores: 2,
            graphics: vec![],
        }
    }

    /// The figures of `docs/benchmarks.md`: seconds to the first token of 725 (733) tokens, and
    /// tokens a second, with two threads.
    #[test]
    fn the_prediction_is_near_what_was_measured() {
        for (id, tokens, first, per_second) in [
            ("qwen2.5-coder-1.5b-instruct-q4_k_m", 725, 725. / 172., 14.4),
            ("qwen2.5-coder-0.5b-instruct-q4_k_m", 725, 725. / 451., 34.0),
            ("smollm2-135m-instruct-q4_1", 733, 733. / 857., 106.),
        ] {
            let model = model(id).unwrap();
            let size = Size { shape: model.shape.unwrap(), bytes: model.bytes };
            let near = |predicted: f64, measured: f64| (0.6..1.4).contains(&(predicted / measured));
            let predicted = two_cores().first_token_seconds(&size, tokens);
            assert!(near(predicted, first), "{id}: {predicted} s, measured {first} s");
            let predicted = two_cores().tokens_per_second(&size);
            assert!(near(predicted, per_second), "{id}: {predicted}, measured {per_second}");
        }
    }

    #[test]
    fn a_model_fits_by_its_memory_and_its_pace() {
        for (id, machine, pace, expected) in [
            (
                "qwen2.5-coder-1.5b-instruct-q4_k_m",
                gigabytes(8, 6),
                Some(two_cores()),
                Verdict::Good,
            ),
            (
                "qwen2.5-coder-1.5b-instruct-q4_k_m",
                gigabytes(8, 1),
                Some(two_cores()),
                Verdict::Tight,
            ),
            (
                "qwen2.5-coder-1.5b-instruct-q4_k_m",
                gigabytes(1, 1),
                Some(two_cores()),
                Verdict::TooBig,
            ),
            (
                "qwen2.5-coder-1.5b-instruct-q4_k_m",
                gigabytes(8, 6),
                Some(pace(40., 15., 4.)),
                Verdict::Slow,
            ),
            ("qwen2.5-coder-1.5b-instruct-q4_k_m", gigabytes(8, 6), None, Verdict::Unknown),
            ("qwen3-14b-q4_k_m", gigabytes(8, 8), Some(two_cores()), Verdict::TooBig),
            ("qwen3-14b-q4_k_m", gigabytes(32, 20), Some(two_cores()), Verdict::Slow),
            ("qwen3-14b-q4_k_m", gigabytes(32, 20), Some(pace(6_000., 2_000., 90.)), Verdict::Good),
            ("all-minilm-l6-v2", gigabytes(4, 2), None, Verdict::Good),
        ] {
            let fit = Fit::of(model(id).unwrap(), &machine, pace.as_ref(), 4096);
            assert_eq!(fit.verdict, expected, "{id} on {machine:?}: {fit:?}");
        }
    }

    #[test]
    fn the_most_able_that_is_quick_is_recommended() {
        let recommended = |machine: Machine, pace: Option<Pace>| {
            let fits = catalogue()
                .iter()
                .map(|model| (model, Fit::of(model, &machine, pace.as_ref(), 4096)));
            let (model, reason) = recommend(&machine, fits);
            (model.map(|model| model.id.as_str()), reason)
        };
        let quick = Reason::MostAbleThatIsQuick;
        for (machine, pace, expected) in [
            (gigabytes(24, 20), Some(two_cores()), (Some("qwen2.5-1.5b-instruct-q4_k_m"), quick)),
            (gigabytes(64, 60), Some(pace(6_000., 2_000., 90.)), (Some("qwen3-14b-q4_k_m"), quick)),
            (gigabytes(9, 1), Some(pace(6_000., 2_000., 90.)), (Some("qwen3-4b-q4_k_m"), quick)),
            (
                gigabytes(24, 20),
                Some(pace(20., 8., 2.)),
                (Some("qwen2.5-0.5b-instruct-q4_k_m"), Reason::QuickestThatFits),
            ),
            (gigabytes(24, 20), None, (Some("qwen3-14b-q4_k_m"), Reason::MostAbleThatFits)),
            (gigabytes(0, 0), Some(two_cores()), (None, Reason::NoneFits)),
        ] {
            assert_eq!(recommended(machine.clone(), pace), expected, "{machine:?}");
        }
    }

    #[test]
    fn cards_are_listed_with_their_memory() {
        let card = |name: &str, memory_bytes| Graphics { name: name.into(), memory_bytes };
        let listed = "NVIDIA H200, 143771\nNVIDIA GB10, [N/A]\n\n";
        let expected = [card("NVIDIA H200", Some(143_771 << 20)), card("NVIDIA GB10", None)];
        assert_eq!(cards(listed), expected);
    }

    #[test]
    fn what_is_too_big_says_so_before_it_is_fetched() {
        let (model, machine) = (model("qwen3-14b-q4_k_m").unwrap(), gigabytes(8, 8));
        let error = too_big(model, &Fit::of(model, &machine, None, 4096), &machine).unwrap();
        assert_eq!(error.code, ErrorCode::ModelTooBig);
        assert!(error.message.contains("this computer has 8.0 GB"), "{error}");
        let machine = gigabytes(64, 8);
        assert_eq!(too_big(model, &Fit::of(model, &machine, None, 4096), &machine), None);
    }

    #[test]
    fn this_computer_has_memory_and_cores_and_a_pace() {
        let machine = Machine::look();
        assert!(machine.memory_bytes > 100_000_000 && machine.cores > 0, "{machine:?}");
        assert!(machine.available_bytes <= machine.memory_bytes, "{machine:?}");
        let pace = Pace::measure();
        let model = model("qwen2.5-coder-1.5b-instruct-q4_k_m").unwrap();
        let fit = Fit::of(model, &machine, Some(&pace), 4096);
        assert!(fit.first_token_seconds.unwrap().is_finite(), "{pace:?}");
        assert!(fit.tokens_per_second.unwrap() > 0., "{pace:?}");
        // It is kept as text.
        let kept = serde_json::to_string(&pace).unwrap();
        assert_eq!(serde_json::from_str::<Pace>(&kept).unwrap().machine, pace.machine);
    }
}

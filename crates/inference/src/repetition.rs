//! Small models sometimes say the same words until their limit. This notices it.

use std::collections::VecDeque;

/// The longest stretch, in characters, whose repetition is noticed.
const MAX_PERIOD: usize = 160;
/// How often a stretch must have come to count as a loop.
const MIN_REPEATS: usize = 4;
/// Shorter runs are ordinary: table rules, leaders, a sequence of zeros.
const MIN_CHARS: usize = 160;

/// Watches a reply as it comes.
#[derive(Debug, Default)]
pub(crate) struct LoopDetector {
    tail: VecDeque<char>,
}

impl LoopDetector {
    /// Takes the next piece; true where the reply has been repeating itself.
    pub(crate) fn push(&mut self, text: &str) -> bool {
        self.tail.extend(text.chars());
        let surplus = self.tail.len().saturating_sub(MAX_PERIOD * MIN_REPEATS);
        self.tail.drain(..surplus);
        let tail: &[char] = self.tail.make_contiguous();
        (1..=MAX_PERIOD).any(|period| {
            let run = (period * MIN_REPEATS).max(MIN_CHARS);
            tail.len() >= run && {
                let run = &tail[tail.len() - run..];
                run.iter().zip(&run[period..]).all(|(one, next)| one == next)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loops(text: &str) -> bool {
        let mut detector = LoopDetector::default();
        text.split_inclusive(' ').any(|piece| detector.push(piece))
    }

    #[test]
    fn notices_a_loop_and_nothing_else() {
        let prose = "The tenant pays the rent on the first day of each month. ";
        let numbered: String =
            (1..60).map(|n| format!("{n}. The tenant pays the rent. ")).collect();
        let cases = [
            ("a sentence again and again", prose.repeat(4), true),
            ("a loop after prose", format!("{numbered}{}", "and so on, ".repeat(20)), true),
            ("one character without end", "0".repeat(200), true),
            ("Chinese", "合同金额为三万元。".repeat(20), true),
            ("a sentence three times", prose.repeat(3), false),
            ("a numbered list", numbered, false),
            ("a table rule", format!("| {}\n", "--- | ".repeat(10)), false),
            ("nothing", String::new(), false),
        ];
        for (name, text, expected) in cases {
            assert_eq!(loops(&text), expected, "{name}");
        }
    }
}

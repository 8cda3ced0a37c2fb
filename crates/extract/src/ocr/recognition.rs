//! What a line says: "PP-OCRv3" and later (Li et al. 2022, arXiv:2206.03001), decoded by
//! "Connectionist Temporal Classification" (Graves et al. 2006): the likeliest class of every step,
//! where equal neighbours are one and blanks are none.

use rten::Model;
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;

use super::OcrError;
use super::detection::Quad;
use super::picture::{Picture, Region};

/// Lines are brought to this height.
const HEIGHT: usize = 48;

/// Longer lines are squeezed: the network has seen no longer ones.
const MAX_WIDTH: usize = 3200;

/// At most so many columns go through the network at once: what it gives for them takes 75 kB each.
const BATCH_WIDTH: usize = 3200;

/// Batches are as wide as a multiple of this, so that not every line is padded anew.
const STEP: usize = 32;

/// What the classes of the network mean.
pub(super) struct Characters {
    /// The first class is the blank of CTC and the last one the space, which the list has not.
    classes: Vec<String>,
}

impl Characters {
    /// From a list of characters, one a line.
    pub(super) fn new(list: &str) -> Self {
        let lines = list.split('\n').map(|line| line.trim_end_matches('\r'));
        let named = lines.filter(|line| !line.is_empty()).map(str::to_owned);
        let blank = std::iter::once(String::new());
        Self { classes: blank.chain(named).chain([" ".to_owned()]).collect() }
    }
}

/// A line as it was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Reading {
    pub text: String,
    /// For each character of the text the middle of it, as the share of the line's length.
    pub centres: Vec<f32>,
    /// The mean likelihood of the characters.
    pub confidence: f32,
}

/// What the lines say, in their order.
pub(super) fn read(
    model: &Model,
    characters: &Characters,
    picture: &Picture,
    quads: &[Quad],
) -> Result<Vec<Reading>, OcrError> {
    let width = |quad: &Quad| {
        let ratio = quad.length() / quad.height().max(1.0);
        ((ratio * HEIGHT as f32).ceil() as usize).clamp(HEIGHT / 4, MAX_WIDTH)
    };
    let padded = |quad: &Quad| width(quad).div_ceil(STEP) * STEP;
    // Lines of like lengths share a batch, so that little of it is padding.
    let mut order: Vec<usize> = (0..quads.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(padded(&quads[*index])));
    let mut readings = vec![Reading::default(); quads.len()];
    let mut rest = order.as_slice();
    while let Some(first) = rest.first() {
        let columns = padded(&quads[*first]);
        let (batch, others) = rest.split_at((BATCH_WIDTH / columns).clamp(1, rest.len()));
        rest = others;
        // What is behind a line's end is grey, which is what the network was trained with.
        let mut input = NdTensor::<f32, 4>::zeros([batch.len(), 3, HEIGHT, columns]);
        if let Some(planes) = input.data_mut() {
            for (place, index) in batch.iter().enumerate() {
                let Quad { origin, along, down } = quads[*index];
                let region = Region { origin, along, down };
                picture.sample(&region, width(&quads[*index]), HEIGHT, |x, y, pixel| {
                    for (channel, value) in pixel.iter().rev().enumerate() {
                        planes[((place * 3 + channel) * HEIGHT + y) * columns + x] =
                            value / 127.5 - 1.0;
                    }
                });
            }
        }
        let output = model.run_one(input.into(), None).map_err(|e| OcrError::Run(e.to_string()))?;
        let steps: NdTensor<f32, 3> =
            output.try_into().map_err(|_| OcrError::Run("it gives no characters".into()))?;
        if steps.size(0) != batch.len() || steps.size(2) != characters.classes.len() {
            let found = steps.shape();
            return Err(OcrError::Run(format!("its answer has the shape {found:?}")));
        }
        let (count, data) = (steps.size(1), steps.to_vec());
        for (index, line) in batch.iter().zip(data.chunks_exact(count * characters.classes.len())) {
            let share = columns as f32 / width(&quads[*index]) as f32;
            readings[*index] = decode(line, count, characters, share);
        }
    }
    Ok(readings)
}

/// Decodes one line. `share` is the length of all steps in parts of the line's.
fn decode(steps: &[f32], count: usize, characters: &Characters, share: f32) -> Reading {
    let mut reading = Reading::default();
    let mut sum = 0.0;
    // The class, the steps it was seen at, and how likely it is at the likeliest of them.
    let mut open = (0usize, 0usize, 0usize, 0.0f32);
    let mut close = |(class, from, to, likelihood): (usize, usize, usize, f32)| {
        if class == 0 {
            return;
        }
        let centre = (from + to) as f32 / 2.0 / count as f32 * share;
        for c in characters.classes[class].chars() {
            reading.text.push(c);
            reading.centres.push(centre.min(1.0));
        }
        sum += likelihood;
        reading.confidence += 1.0;
    };
    for (at, step) in steps.chunks_exact(characters.classes.len()).enumerate() {
        let (mut class, mut likelihood) = (0, f32::MIN);
        for (candidate, value) in step.iter().enumerate() {
            if *value > likelihood {
                (class, likelihood) = (candidate, *value);
            }
        }
        if class == open.0 {
            open = (class, open.1, at + 1, likelihood.max(open.3));
        } else {
            close(open);
            open = (class, at, at + 1, likelihood);
        }
    }
    close(open);
    reading.confidence = sum / reading.confidence.max(1.0);
    reading
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_neighbours_are_one_character_and_blanks_are_none() {
        let characters = Characters::new("a\nb\r\n中\n");
        // The classes: blank, a, b, 中, space.
        let cases: [(&[usize], &str, &[f32]); 6] = [
            (&[0, 1, 1, 0, 2, 0, 0, 0], "ab", &[0.25, 0.5625]),
            (&[1, 0, 1, 1, 0, 0, 0, 0], "aa", &[0.0625, 0.375]),
            (&[3, 3, 4, 1, 1, 1, 1, 1], "中 a", &[0.125, 0.3125, 0.6875]),
            (&[0, 0, 0, 0, 0, 0, 0, 0], "", &[]),
            (&[0, 0, 0, 0, 0, 0, 0, 2], "b", &[0.9375]),
            (&[1, 2, 1, 2, 0, 0, 0, 0], "abab", &[0.0625, 0.1875, 0.3125, 0.4375]),
        ];
        for (steps, text, centres) in cases {
            let likelihoods: Vec<f32> = steps
                .iter()
                .flat_map(|class| (0..5).map(move |at| if at == *class { 0.8 } else { 0.05 }))
                .collect();
            let reading = decode(&likelihoods, steps.len(), &characters, 1.0);
            assert_eq!((reading.text.as_str(), reading.centres.as_slice()), (text, centres));
            let sure = if text.is_empty() { 0.0 } else { 0.8 };
            assert!((reading.confidence - sure).abs() < 1e-5, "{text:?}");
        }
    }
}

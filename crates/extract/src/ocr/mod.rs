//! OCR: from a picture of a page to its lines of text, each with its place.
//!
//! Two networks of the PP-OCR family do it, in this process and in pure Rust (`rten`). The first
//! says of every pixel how likely it is in the middle of a line of text ([`detection`]); the lines are
//! cut out, brought to one height, and the second says of every few columns which character stands
//! there ([`recognition`]). Both are described in "PP-OCR: A Practical Ultra Lightweight OCR System"
//! (Du et al. 2020, arXiv:2009.09941). Pages that lie on their side or upside down are found by
//! comparing how sure the second network is of some lines read both ways.

mod detection;
mod page;
mod picture;
mod recognition;

use std::path::Path;

use rten::{Model, ModelOptions};

pub(crate) use page::glyphs;
pub use page::{RecognisedLine, RecognisedPage};
pub(crate) use picture::{Picture, frames, read_frame};

use detection::Quad;
use recognition::{Characters, Reading};

/// The network that finds lines, the one that reads them, and what the second one's classes mean;
/// the names of a model's files.
pub(crate) const MODEL_FILES: [&str; 3] = ["detection.onnx", "recognition.onnx", "characters.txt"];

/// Lines that the network is less sure of than this, in the mean of their characters, are noise.
const SURE: f32 = 0.5;

/// Where the mean of some lines is below this, the page may be upside down.
const DOUBTFUL: f32 = 0.85;

/// So many lines tell which way up a page is.
const SAMPLE: usize = 6;

/// Why a picture could not be recognised.
#[derive(Debug, thiserror::Error)]
pub enum OcrError {
    /// A file of the model cannot be read.
    #[error("the model for OCR cannot be read: {0}")]
    Model(String),
    /// The model and this program do not fit each other, or memory ran out.
    #[error("the model for OCR failed: {0}")]
    Run(String),
}

/// The two networks.
pub struct Recogniser {
    detector: Model,
    reader: Model,
    characters: Characters,
}

impl Recogniser {
    /// Loads the files [`MODEL_FILES`] in `folder`: a tenth of a second.
    ///
    /// # Errors
    ///
    /// [`OcrError::Model`] where one is missing or is no model.
    pub fn load(folder: &Path) -> Result<Self, OcrError> {
        let [detector, reader, characters] = MODEL_FILES.map(|name| folder.join(name));
        let failed = |path: &Path, error: &dyn std::fmt::Display| {
            OcrError::Model(format!("{}: {error}", path.display()))
        };
        let mut options = ModelOptions::with_all_ops();
        // The weights in the order of the products cost some memory and save time at every line.
        options.prepack_weights(true);
        let load = |path: &Path| options.load_file(path).map_err(|error| failed(path, &error));
        let list =
            std::fs::read_to_string(&characters).map_err(|error| failed(&characters, &error))?;
        Ok(Self {
            detector: load(&detector)?,
            reader: load(&reader)?,
            characters: Characters::new(&list),
        })
    }

    /// The lines of a picture, from top to bottom, in its pixels.
    pub(crate) fn lines(&self, picture: &Picture) -> Result<Vec<RecognisedLine>, OcrError> {
        let mut quads = detection::lines(&self.detector, picture)?;
        self.turn(picture, &mut quads)?;
        let readings = recognition::read(&self.reader, &self.characters, picture, &quads)?;
        let lines = quads.iter().zip(readings);
        let sure = lines
            .filter(|(_, reading)| reading.confidence >= SURE && !reading.text.trim().is_empty());
        Ok(sure.map(|(quad, reading)| RecognisedLine::new(quad, reading)).collect())
    }

    /// Has all lines run the way that they are read best in.
    fn turn(&self, picture: &Picture, quads: &mut [Quad]) -> Result<(), OcrError> {
        let sideways: f32 = quads.iter().filter(|quad| quad.is_tall()).map(Quad::length).sum();
        let all: f32 = quads.iter().map(Quad::length).sum();
        // A few tall boxes are turned labels, or the upright strokes of a drawing.
        let page_is_sideways = sideways * 2.0 > all;
        for quad in quads.iter_mut() {
            if page_is_sideways || quad.is_tall() {
                quad.stand();
            }
        }
        let mut sample: Vec<Quad> =
            quads.iter().filter(|quad| quad.is_tall() == page_is_sideways).copied().collect();
        sample.sort_by(|a, b| b.length().total_cmp(&a.length()));
        sample.truncate(SAMPLE);
        let upright = self.confidence(picture, &sample)?;
        if upright >= DOUBTFUL {
            return Ok(());
        }
        sample.iter_mut().for_each(Quad::turn_round);
        if self.confidence(picture, &sample)? > upright {
            quads.iter_mut().for_each(Quad::turn_round);
        }
        Ok(())
    }

    /// How sure the network is of these lines, in the mean.
    fn confidence(&self, picture: &Picture, quads: &[Quad]) -> Result<f32, OcrError> {
        let readings = recognition::read(&self.reader, &self.characters, picture, quads)?;
        let sum: f32 = readings.iter().map(|Reading { confidence, .. }| confidence).sum();
        Ok(sum / quads.len().max(1) as f32)
    }
}

//! Answers that a person has rated, as a question set that `lectern eval` measures on: a folder
//! with `queries.jsonl` and, in `corpus/`, copies of the documents that were found for them.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use lectern_domain::ErrorCode;
use lectern_extract::archive_of;
use serde::Serialize;

use crate::{Answer, App, AppError, Rating, Result, SetReport, conversations::kept, error};

/// A line of `queries.jsonl`.
#[derive(Serialize)]
struct Line<'a> {
    id: String,
    question: &'a str,
    answers: Vec<&'a str>,
    relevant: Vec<Place>,
    answerable: bool,
    /// Documents that were found and do not answer.
    near: Vec<Place>,
    rating: Rating,
}

/// A document of the corpus, or a page of it.
#[derive(Serialize, PartialEq)]
struct Place {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
}

impl App {
    /// Writes the rated answers as a question set into `folder`, which is made where it is not
    /// there and must be empty.
    ///
    /// What was right is a question with its answer and the places that it cites. Of a wrong answer
    /// it is taken that the documents it rests on do not answer the question. Of an answer that was
    /// wrongly withheld nothing is known, and it is left out.
    pub fn export_rated(&self, folder: &Path) -> Result<SetReport> {
        let cannot = |error: io::Error| cannot_write(folder, &error);
        fs::create_dir_all(folder).map_err(cannot)?;
        if fs::read_dir(folder).map_err(cannot)?.next().is_some() {
            return Err(AppError::new(
                ErrorCode::InvalidInput,
                format!("{} is not empty", folder.display()),
                "Choose an empty folder, or name a new one.",
            ));
        }
        let mut corpus = Corpus { folders: self.folder_paths()?, files: BTreeMap::new() };
        let (mut lines, mut left_out) = (Vec::new(), 0);
        let rated = self.catalog().rated_turns()?;
        for (id, stored) in &rated {
            let answer = kept(*id, stored)?;
            match corpus.line(&answer) {
                Some(line) => {
                    lines.push(
                        serde_json::to_string(&line).map_err(|fault| error::internal(&fault))?,
                    );
                }
                None => left_out += 1,
            }
        }
        let mut content = lines.join("\n");
        if !lines.is_empty() {
            content.push('\n');
        }
        fs::write(folder.join("queries.jsonl"), content).map_err(cannot)?;
        let documents = folder.join("corpus");
        fs::create_dir(&documents).map_err(cannot)?;
        for (path, name) in &corpus.files {
            let copy = documents.join(name);
            if let Some(parent) = copy.parent() {
                fs::create_dir_all(parent).map_err(cannot)?;
            }
            fs::copy(path, copy).map_err(cannot)?;
        }
        Ok(SetReport {
            path: folder.to_string_lossy().into_owned(),
            questions: lines.len() as u64,
            documents: corpus.files.len() as u64,
            left_out,
        })
    }

    fn folder_paths(&self) -> Result<Vec<PathBuf>> {
        Ok(self.catalog().folders()?.into_iter().map(|folder| folder.path.into()).collect())
    }
}

/// The documents of a set, each with its path within `corpus/`.
struct Corpus {
    /// The folders of the library.
    folders: Vec<PathBuf>,
    files: BTreeMap<PathBuf, String>,
}

impl Corpus {
    fn line<'a>(&mut self, answer: &'a Answer) -> Option<Line<'a>> {
        let rating = answer.rating?;
        if rating == Rating::Down && answer.abstained {
            return None;
        }
        let mut cited = Vec::new();
        for citation in &answer.citations {
            let place = Place { file: self.take(&citation.document)?, page: citation.page };
            if !cited.contains(&place) {
                cited.push(place);
            }
        }
        let mut near = Vec::new();
        for passage in &answer.passages {
            // One that is gone is no loss: it did not answer.
            let Some(file) = self.take(&passage.document) else { continue };
            let place = Place { file, page: None };
            let answers =
                rating == Rating::Up && cited.iter().any(|cited| cited.file == place.file);
            if !answers && !near.contains(&place) {
                near.push(place);
            }
        }
        let is_right = rating == Rating::Up && !answer.abstained;
        Some(Line {
            id: format!("rated_{}", answer.id?),
            question: &answer.standalone_question,
            answers: if is_right { vec![&answer.answer] } else { Vec::new() },
            relevant: if is_right { cited } else { Vec::new() },
            answerable: is_right,
            near,
            rating,
        })
    }

    /// Takes a document in, with the name of its folder before its path there; `None` where the
    /// file is gone. One that is in an archive comes with all of it.
    fn take(&mut self, path: &str) -> Option<String> {
        let path = Path::new(path);
        if let Some(archive) = archive_of(path) {
            let inner = path.strip_prefix(archive).ok()?.to_str()?.replace('\\', "/");
            return Some(format!("{}/{inner}", self.take(archive.to_str()?)?));
        }
        if let Some(name) = self.files.get(path) {
            return Some(name.clone());
        }
        if !path.is_file() {
            return None;
        }
        let folder = self.folders.iter().find(|folder| path.starts_with(folder));
        let above = folder.and_then(|folder| folder.parent()).or_else(|| path.parent())?;
        let name = path.strip_prefix(above).ok()?.to_string_lossy().replace('\\', "/");
        // Folders of one name in different places.
        let mut free = name.clone();
        let mut number = 2;
        while self.files.values().any(|taken| *taken == free) {
            free = format!("{number}/{name}");
            number += 1;
        }
        self.files.insert(path.to_owned(), free.clone());
        Some(free)
    }
}

fn cannot_write(folder: &Path, error: &io::Error) -> AppError {
    AppError::new(
        ErrorCode::InvalidInput,
        format!("{} cannot be written: {error}", folder.display()),
        "Choose another folder.",
    )
}

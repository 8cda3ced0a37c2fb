//! The engine on `pdf-extract`: text without places, for pages that the first one cannot read.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pdf_extract::{Document, PlainTextOutput, output_doc_page};

use super::{PageContent, PdfEngine, PdfFile, PdfInfo};
use crate::ReadError;

/// Reads with `pdf-extract`, which knows no places and panics on some files; a page that
/// makes it panic is a broken page.
#[derive(Debug, Clone, Copy, Default)]
pub struct PdfExtractEngine;

impl PdfEngine for PdfExtractEngine {
    fn read(
        &self,
        file: &PdfFile,
        wanted: &dyn Fn(usize) -> bool,
        sink: &mut dyn FnMut(usize, PageContent),
    ) -> Result<PdfInfo, ReadError> {
        let load = || {
            let mut document =
                Document::load_mem(&file.bytes).map_err(|error| error.to_string())?;
            if document.is_encrypted() {
                document.decrypt("").map_err(|error| error.to_string())?;
            }
            Ok(document)
        };
        let document = catch_unwind(AssertUnwindSafe(load))
            .unwrap_or_else(|_| Err("its structure cannot be followed".to_owned()))
            .map_err(ReadError::Damaged)?;
        let pages = document.get_pages().len();
        for index in (0..pages).filter(|index| wanted(*index)) {
            let mut text = String::new();
            let read = catch_unwind(AssertUnwindSafe(|| {
                let mut output = PlainTextOutput::new(&mut text);
                output_doc_page(&document, &mut output, index as u32 + 1).is_ok()
            }));
            let broken = !read.unwrap_or(false);
            sink(index, PageContent { plain: Some(text), broken, ..PageContent::default() });
        }
        Ok(PdfInfo { pages, title: None, outline: Vec::new() })
    }
}

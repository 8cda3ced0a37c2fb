//! What the tests of the application share.
#![allow(missing_docs)]

use std::path::Path;

use async_trait::async_trait;
use lectern_domain::DocumentKind;
use lectern_extract::RecognisedPage;
use lectern_extract::worker::{
    MemberIdentity, ReadDocument, ReadFailure, identify_member, read_document, unlock_document,
    unpack_member,
};
use lectern_ingest::DocumentReader;

/// Reads in the test's own process.
pub struct LocalReader;

#[async_trait]
impl DocumentReader for LocalReader {
    async fn identify(&mut self, path: &Path) -> Result<MemberIdentity, ReadFailure> {
        identify_member(path)
    }

    async fn unpack(&mut self, path: &Path) -> Result<Vec<u8>, ReadFailure> {
        unpack_member(path)
    }

    async fn read(
        &mut self,
        path: &Path,
        kind: DocumentKind,
        recognised: Vec<RecognisedPage>,
    ) -> Result<ReadDocument, ReadFailure> {
        read_document(path, kind, &recognised)
    }

    async fn unlock(
        &mut self,
        path: &Path,
        kind: DocumentKind,
        password: &str,
    ) -> Result<ReadDocument, ReadFailure> {
        unlock_document(path, kind, password)
    }
}

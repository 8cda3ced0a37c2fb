//! What inside a folder belongs to the library.

use std::path::Path;

use lectern_catalog::{FolderRecord, FolderRules as Stored};
use lectern_domain::ErrorCode;
use lectern_ingest::{check_patterns, look};

use crate::{App, AppError, FolderRules, Result, filter};

const MEGABYTE: u64 = 1024 * 1024;

impl App {
    /// The rules of a folder that was added.
    pub fn rules(&self, folder: &Path) -> Result<FolderRules> {
        Ok(self.folder_at(folder)?.rules.into())
    }

    /// Changes the rules of a folder that was added. What they leave out is gone from the
    /// next query on.
    pub async fn set_rules(&self, folder: &Path, rules: &FolderRules) -> Result<()> {
        let folder = self.folder_at(folder)?;
        check_patterns(&rules.ignore).map_err(|error| {
            AppError::new(
                ErrorCode::InvalidInput,
                error.to_string(),
                "Write patterns as in .gitignore, for example *.log or drafts/.",
            )
        })?;
        let stored = Stored {
            ignore: rules.ignore.clone(),
            hidden: rules.hidden,
            kinds: filter::kinds(&rules.kinds)?,
            max_bytes: rules.max_megabytes.map(|megabytes| u64::from(megabytes) * MEGABYTE),
        };
        self.catalog().set_rules(folder.id, &stored)?;
        let folder = FolderRecord { rules: stored, ..folder };
        look(self.catalog(), &folder, Path::new(&folder.path)).await?;
        self.tell_the_indexer();
        Ok(())
    }

    pub(crate) fn folder_at(&self, path: &Path) -> Result<FolderRecord> {
        let path = filter::absolute(path)?;
        self.catalog().folder_at(&path.to_string_lossy())?.ok_or_else(|| {
            AppError::new(
                ErrorCode::NotFound,
                format!("{} is not a folder that was added", path.display()),
                "`lectern status` lists those that were.",
            )
        })
    }
}

impl From<Stored> for FolderRules {
    fn from(rules: Stored) -> Self {
        let megabytes = |bytes: u64| u32::try_from(bytes / MEGABYTE).unwrap_or(u32::MAX);
        Self {
            ignore: rules.ignore,
            hidden: rules.hidden,
            kinds: rules.kinds,
            max_megabytes: rules.max_bytes.map(megabytes),
        }
    }
}
